/* SPDX-License-Identifier: MIT */
/* draw.h: the whole picture of the stage. */
#ifndef OVERLAY_DRAW_H
#define OVERLAY_DRAW_H

#include "layout.h"
#include "style.h"

/* What overlay_draw() found and where it put things, for tests; freed with overlay_plan_finish().
 */
struct overlay_plan {
    struct cr_panoptic *panoptic; /* as large as the photograph */
    struct survey survey;
    struct overlay_style style;
    struct label *labels;
    size_t count;
    struct legend legend; /* no entries: there is none */
    struct cr_size size;  /* of the result */
};

int overlay_plan(struct overlay_plan *plan, const struct overlay_options *options,
                 const struct cr_image *image, const struct cr_panoptic *panoptic,
                 struct cr_error *err);
void overlay_plan_finish(struct overlay_plan *plan);

/* The photograph with its map painted over it, in a new picture; the photograph lies at its left
 * top, the legend below or beside it. */
int overlay_draw(struct cr_image **out, const struct overlay_plan *plan,
                 const struct overlay_options *options, const struct cr_image *image,
                 struct cr_error *err);

#endif
