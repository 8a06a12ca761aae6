/* SPDX-License-Identifier: MIT */
/* reduce.h: sums and maxima of rows, in a fixed order: 64 sums side by side over each segment, then
 * pairs, then pairs of segments. */
#ifndef CPU_REDUCE_H
#define CPU_REDUCE_H

#include "cpu.h"

#define CPU_SEGMENT 4096

enum cpu_sum {
    CPU_SUM,         /* of x */
    CPU_SUM_SQUARES, /* of (x - centre)^2 */
};

/* Sums of numbers that come one by one, as a tree of pairs. */
struct cpu_tree {
    float open[48];
    int depth;
    int64_t count;
};
void cpu_tree_add(struct cpu_tree *tree, float value);
float cpu_tree_end(struct cpu_tree *tree); /* 0 of nothing */

float cpu_row_sum(enum cpu_level level, enum cpu_sum kind, const float *x, int64_t count,
                  float centre);
/* NaN if one is among them; -infinity of nothing. */
float cpu_row_max(enum cpu_level level, const float *x, int64_t count);
/* The sum of exp(x - shift); these go to y unless it is NULL. */
float cpu_row_exp(enum cpu_level level, const float *x, int64_t count, float shift, float *y);
/* a or b, the larger; NaN if one is. */
static inline float cpu_larger(float a, float b)
{
    return b > a || b != b ? b : a;
}

#endif
