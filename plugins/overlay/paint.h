/* SPDX-License-Identifier: MIT */
/* paint.h: segments over the photograph, pixel by pixel. */
#ifndef OVERLAY_PAINT_H
#define OVERLAY_PAINT_H

#include "style.h"
#include "survey.h"

/* How much of 255 the segment's colour covers the photograph at (x, y). */
int32_t paint_alpha(const struct overlay_options *options, const struct overlay_style *style,
                    const struct surveyed *segment, int32_t x, int32_t y);

/* Paint the picture, whose size is the map's, into rows of `stride` bytes from `out` on. */
int paint_segments(uint8_t *out, size_t stride, const struct cr_image *image,
                   const struct survey *survey, const struct overlay_options *options,
                   const struct overlay_style *style, struct cr_error *err);

/* An outline of n pixels covers the pixels that have a segment of higher rank within n pixels to
 * the sides, above and below, corners included: it lies around things, never on them. It is white,
 * and covers this much of 255 around a thing, and where stuff meets stuff. */
#define PAINT_THING_EDGE 235
#define PAINT_STUFF_EDGE 96

#endif
