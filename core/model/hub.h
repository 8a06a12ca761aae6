/* SPDX-License-Identifier: MIT */
/* hub.h: where the folder of a model is. */
#ifndef CR_MODEL_HUB_H
#define CR_MODEL_HUB_H

#include <crayon/error.h>

/* The folder that `name` stands for, as crayon/model.h says, new. `*is_public`: it was found by its
 * public name. */
int cr_hub_find(char **folder, bool *is_public, const char *name, struct cr_error *err);

#endif
