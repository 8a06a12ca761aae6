/* SPDX-License-Identifier: MIT */
/* nearest.h: "did you mean". */
#ifndef CR_BASE_NEAREST_H
#define CR_BASE_NEAREST_H

#include <crayon/base.h>

/* The best of the names offered one after the other: the one with the smallest edit distance
 * (transpositions count one), if it is at most a third of the longer name's length (at least 1). */
struct cr_nearest {
    const char *wanted;
    const char *best; /* NULL: none is near */
    size_t distance;
};

CR_API
void cr_nearest_init(struct cr_nearest *nearest, const char *wanted);
CR_API
void cr_nearest_offer(struct cr_nearest *nearest, const char *name);

#endif
