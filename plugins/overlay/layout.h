/* SPDX-License-Identifier: MIT */
/* layout.h: where labels and the entries of the legend stand. Geometry alone: nothing is drawn. */
#ifndef OVERLAY_LAYOUT_H
#define OVERLAY_LAYOUT_H

#include <crayon/canvas.h>

#include "style.h"
#include "survey.h"

/* ---- Labels ---- */

struct label {
    int32_t index; /* of the segment in the survey */
    char text[64];
    double width;        /* of the text; filled in by whoever can measure */
    struct cr_rect rect; /* where it stands, inside the picture */
    bool placed;
    bool leader; /* it stands away from its segment's centre: a line leads there */
};

/* One label for each segment of at least `min_area` of the picture; others are for the legend
 * alone. `*labels` is freed with cr_free(). */
int layout_labels(struct label **labels, size_t *count, const struct survey *survey,
                  double min_area, struct cr_error *err);

/* Find a place for each label: on its segment's centre, else further inside, else beside it. Placed
 * labels never touch each other nor leave the picture; where there is no room, placed is false. */
int layout_place(struct label *labels, size_t count, const struct survey *survey,
                 const struct overlay_style *style, struct cr_error *err);

/* The space that a label takes around its text. */
double layout_label_height(const struct overlay_style *style);
double layout_label_margin(const struct overlay_style *style);

/* ---- Legend ---- */

struct legend_entry {
    int32_t label;
    char text[64];
    int64_t segments, crowds;
    bool thing;
    double width; /* of the text; filled in by whoever can measure */
    double x, y;  /* of the left top corner of its row, in pixels of the whole picture */
};

struct legend {
    struct legend_entry *entries;
    size_t count;
    struct cr_size size; /* of the whole picture, with the legend */
    double row, swatch;  /* height of a row, side of a swatch */
};

/* The classes that have a pixel: things, then stuff, in the order in which they are listed first.
 */
int legend_create(struct legend *legend, const struct survey *survey, struct cr_error *err);
void legend_finish(struct legend *legend);
/* Arrange the entries in columns below a picture; beside one that is more than twice as high as
 * wide. */
void legend_arrange(struct legend *legend, struct cr_size picture,
                    const struct overlay_style *style);

#endif
