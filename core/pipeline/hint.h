/* SPDX-License-Identifier: MIT */
/* hint.h: the end of a message about a name that does not exist: the nearest one that does, and
 * which there are. */
#ifndef CR_PIPELINE_HINT_H
#define CR_PIPELINE_HINT_H

#include "base/nearest.h"

struct cr_hint {
    struct cr_nearest nearest;
    const char *what; /* "options", "stages": the plural of what is looked for */
    size_t count;
    char known[600]; /* the names, with commas; ends in "..." when not all fit */
    char text[900];
};

/* `wanted` and `what` must outlive the hint, and so must the names that are offered. */
void cr_hint_init(struct cr_hint *hint, const char *wanted, const char *what);
void cr_hint_offer(struct cr_hint *hint, const char *name);
/* "; did you mean "quantize"? Known options: context, quantize", to follow the message. */
const char *cr_hint_text(struct cr_hint *hint);

#endif
