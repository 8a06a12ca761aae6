/* SPDX-License-Identifier: MIT */
/* font.h: text as outlines.
 *
 * Letters are filled like any other shape, from unhinted outlines in font units: their pixels then
 * depend on no system font, no font configuration and no cache that outlives the canvas. */
#ifndef CR_MEDIA_FONT_H
#define CR_MEDIA_FONT_H

#include <cairo.h>

#include <crayon/canvas.h>

struct cr_font;

/* Open one of the installed font files. */
int cr_font_open(struct cr_font **out, enum cr_weight weight, struct cr_error *err);
void cr_font_close(struct cr_font **font);

int cr_font_measure(struct cr_font *font, const char *text, double size,
                    struct cr_text_extents *extents, struct cr_error *err);
/* Add the outlines of UTF-8 text to cairo's current path, its base line starting at (x, y). */
int cr_font_trace(struct cr_font *font, cairo_t *cairo, const char *text, double x, double y,
                  double size, struct cr_error *err);

#endif
