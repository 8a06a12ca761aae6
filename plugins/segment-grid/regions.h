/* SPDX-License-Identifier: MIT */
/* regions.h: a picture cut into connected regions of similar colour. */
#ifndef SEGMENT_GRID_REGIONS_H
#define SEGMENT_GRID_REGIONS_H

#include <crayon/image.h>

struct regions_options {
    int32_t most;          /* so many regions are left at most */
    double min_difference; /* neighbours that differ less are one region; Lab units */
    double min_area;       /* the part of the picture that a region has at least */
};

/* A picture of L* a* b* colours (CIE 1976), in planes. */
struct lab {
    int32_t height, width;
    float *l, *a, *b; /* one block, l first */
};

int lab_create(struct lab *lab, const struct cr_image *image, struct cr_error *err);
void lab_finish(struct lab *lab);
/* Takes away specks, then noise, and leaves edges where they are and as sharp as they are: a plain
 * blur would put a strip of mixed colours along them, which becomes a region itself. */
int lab_smooth(struct lab *lab, struct cr_error *err);

/* Label every pixel with its region: 0 is the largest, then by size, then from the top. `labels`
 * holds height x width numbers; `*count` becomes the number of regions. */
int regions_find(const struct cr_image *image, const struct regions_options *options,
                 int32_t *labels, int32_t *count, struct cr_error *err);

/* The parts of it. */

/* Many small regions: neighbours are joined where the step between them is no larger than the
 * variation inside. Labels count from 0; none has fewer than `min_pixels` pixels, unless it is the
 * only one. */
int regions_split(const struct lab *lab, int32_t min_pixels, int32_t *labels, int32_t *count,
                  struct cr_error *err);
/* Join the most similar neighbours until what `options` say holds. */
int regions_merge(const struct lab *lab, const struct regions_options *options, int32_t *labels,
                  int32_t *count, struct cr_error *err);

#endif
