/* SPDX-License-Identifier: MIT */
/* palette.h: the colours of segments: the same class has the same family of colours in every
 * picture. */
#ifndef OVERLAY_PALETTE_H
#define OVERLAY_PALETTE_H

#include <stdbool.h>
#include <stdint.h>

/* The colour of the `nth` (from 0) segment of a class. Things are vivid, stuff is muted; further
 * instances are lighter or darker and a little off in hue. Unknown segments go round the hues. */
void palette_color(int32_t label, int32_t nth, uint8_t color[3]);

/* Does black stand out better from a colour than white? */
bool palette_is_light(const uint8_t color[3]);

#endif
