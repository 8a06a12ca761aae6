/* SPDX-License-Identifier: MIT */
/* style.h: the options of the stage, bound to the measures of one picture. */
#ifndef OVERLAY_STYLE_H
#define OVERLAY_STYLE_H

#include <crayon/image.h>

/* As in the pipeline file; the state of the stage. */
struct overlay_options {
    double opacity;
    double stuff_opacity;
    int64_t outline; /* pixels; -1: from the picture's size */
    bool labels;
    bool legend;
    double label_size; /* pixels; 0: from the picture's size */
    double min_area;
    struct cr_size grid;
};

/* Sizes in pixels. */
struct overlay_style {
    double text;     /* em */
    int32_t outline; /* 0: none */
    int32_t stripe;  /* of the hatching of crowds */
};

struct overlay_style overlay_style(const struct overlay_options *options, struct cr_size size);

#endif
