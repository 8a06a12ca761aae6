/* SPDX-License-Identifier: MIT */
#ifndef CR_MEDIA_CATEGORIES_H
#define CR_MEDIA_CATEGORIES_H

#include <crayon/panoptic.h>

/* The group that COCO puts a label's category in ("animal"), or NULL outside 0..132. */
const char *cr_coco_supercategory(int32_t label);

#endif
