/* SPDX-License-Identifier: MIT */
/* value.h: what the core may do with values beyond crayon/value.h. */
#ifndef CR_VALUE_VALUE_H
#define CR_VALUE_VALUE_H

#include <crayon/value.h>

/* No more changes from here on. */
void cr_value_seal(struct cr_value *value);
/* Are all items set (a null text counts as set once it was set)? `*index` becomes the first that is
 * not. */
bool cr_value_complete(const struct cr_value *value, size_t *index);

#endif
