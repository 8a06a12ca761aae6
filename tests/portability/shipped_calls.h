/* SPDX-License-Identifier: MIT */
/* shipped_calls.h: the calls that models make, by their shapes: operands without memory. */
#ifndef CR_TEST_SHIPPED_CALLS_H
#define CR_TEST_SHIPPED_CALLS_H

#include <crayon/ops.h>

/* `each` for every call. Operands that are present have offset 0 and the planes where a matrix of
 * its own has them; their `memory` is not NULL and means nothing. */
void shipped_calls(void (*each)(void *user, const struct cr_call *call), void *user);

#endif
