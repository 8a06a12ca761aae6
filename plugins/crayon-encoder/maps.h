/* SPDX-License-Identifier: MIT */
/* maps.h: from a panoptic map to what the Crayon Prompt is painted from. */
#ifndef CRAYON_ENCODER_MAPS_H
#define CRAYON_ENCODER_MAPS_H

#include <crayon/panoptic.h>

/* The table of numbering queries has a row for "none" and one for each of this many instances. */
#define MAX_NUMBER 20

/* Fill `semantic` and `numbering` (height x width of `grid` each) and `*caption`: a new string that
 * the caller frees with cr_free(), or NULL when there is nothing to say. Time grows with cells and
 * with segments x log(segments). */
int encode_maps(const struct cr_panoptic *grid, int32_t *semantic, int32_t *numbering,
                char **caption, struct cr_error *err) CR_MUST_CHECK;

#endif
