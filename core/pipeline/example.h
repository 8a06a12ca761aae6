/* SPDX-License-Identifier: MIT */
#ifndef CR_PIPELINE_EXAMPLE_H
#define CR_PIPELINE_EXAMPLE_H

#include <crayon/value.h>

/* An ordinary value of this type, for a plan, sealed: grey pictures and maps of 16 objects of this
 * size, a question, 64 tokens. CR_ERR_ARGUMENT for tensors, whose shape nobody can guess. */
int cr_example(struct cr_value **out, enum cr_type type, size_t items, struct cr_size size,
               struct cr_error *err);

#endif
