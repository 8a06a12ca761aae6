/* SPDX-License-Identifier: MIT */
#include <crayon/image.h>

/* Pillow steps through the source with a running sum, and its rounding errors decide ties. */
void cr_nearest_indices(int32_t from, int32_t to, int32_t *index)
{
    double step = (double)from / to;
    double at = step * 0.5;
    for (int32_t i = 0; i < to; i++) {
        int32_t position = (int32_t)at;
        index[i] = position < from ? position : from - 1;
        at += step;
    }
}
