/* SPDX-License-Identifier: MIT */
/* crayon/canvas.h: drawing on a picture: anti-aliased shapes, and text in the one font that the
 * toolkit installs (DejaVu Sans 2.37), unhinted, so that labels are the same on every machine.
 *
 * Coordinates are pixels, x to the right and y down from the top left corner of the picture; whole
 * numbers lie between pixels. A failed drawing is remembered and reported by cr_canvas_finish(). */
#ifndef CRAYON_CANVAS_H
#define CRAYON_CANVAS_H

#include <crayon/image.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_canvas;

struct cr_color {
    uint8_t r, g, b;
    uint8_t a; /* 255 = opaque */
};

struct cr_rect {
    double x, y, width, height;
};

enum cr_weight {
    CR_WEIGHT_REGULAR,
    CR_WEIGHT_BOLD,
};

/* A canvas that shows `background` (copied); or, with NULL, white of `size`. Sides are 1..32767. */
CR_API
int cr_canvas_create(struct cr_canvas **out, const struct cr_image *background, struct cr_size size,
                     struct cr_error *err) CR_MUST_CHECK;
CR_API
void cr_canvas_destroy(struct cr_canvas **canvas);

CR_API
void cr_canvas_image(struct cr_canvas *canvas, const struct cr_image *image, double x, double y);
/* Corners are rounded with `radius` (0: square). */
CR_API
void cr_canvas_fill_rect(struct cr_canvas *canvas, struct cr_rect rect, double radius,
                         struct cr_color color);
CR_API
void cr_canvas_stroke_rect(struct cr_canvas *canvas, struct cr_rect rect, double radius,
                           double width, struct cr_color color);
/* Lines through `count` points x0 y0 x1 y1 ..., round joins; closed and filled with fill_polygon.
 */
CR_API
void cr_canvas_stroke_line(struct cr_canvas *canvas, const double *points, size_t count,
                           double width, struct cr_color color);
CR_API
void cr_canvas_fill_polygon(struct cr_canvas *canvas, const double *points, size_t count,
                            struct cr_color color);
CR_API
void cr_canvas_fill_circle(struct cr_canvas *canvas, double x, double y, double radius,
                           struct cr_color color);

/* What a text of `size` pixels (the em square) measures: the advance as width; ascent and descent
 * of the font (not of the text) from the base line, both positive. */
struct cr_text_extents {
    double width, ascent, descent;
};
CR_API
void cr_canvas_measure(struct cr_canvas *canvas, const char *text, double size,
                       enum cr_weight weight, struct cr_text_extents *extents);
/* UTF-8 text whose base line starts at (x, y). Characters that the font lacks show as a box. */
CR_API
void cr_canvas_text(struct cr_canvas *canvas, const char *text, double x, double y, double size,
                    enum cr_weight weight, struct cr_color color);

/* The picture as drawn so far (new; the canvas can be used further). Reports the first failed
 * drawing. */
CR_API
int cr_canvas_finish(struct cr_canvas *canvas, struct cr_image **out,
                     struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
