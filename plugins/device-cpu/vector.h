/* SPDX-License-Identifier: MIT */
/* vector.h: y = x W^T for few rows of x: the weights are read once, in the order in which they lie.
 */
#ifndef CPU_VECTOR_H
#define CPU_VECTOR_H

#include "weights.h"

/* More rows than this go through the tiled path. */
#define CPU_VECTOR_ROWS 16

/* The order in which a kernel wants x. */
enum cpu_x_order {
    CPU_X_PLAIN,
    CPU_X_EVEN_ODD_16, /* in each 32: the 16 even ones, then the 16 odd ones (nf4, avx512) */
    CPU_X_EVEN_ODD_8,  /* in each 16: the 8 even ones, then the 8 odd ones (nf4, avx2) */
};

struct cpu_vector {
    enum cpu_level level;
    const char *name; /* of the variant */
    enum cpu_x_order order;
    /* y[m * stride + n] = the product, for rows n0..n1-1 of W and `m` (1..CPU_VECTOR_ROWS) rows of
     * x; `scratch` holds cpu_vector_scratch() floats. */
    void (*run)(const struct cpu_weights *w, int64_t n0, int64_t n1, const float *x, int m,
                float *y, int64_t stride, float *scratch);
};

/* The kernel for a matrix: special ones where rows are whole blocks, else one that goes through f32
 * rows. */
struct cpu_vector cpu_vector_choose(enum cpu_level level, const struct cpu_weights *w);
size_t cpu_vector_scratch(const struct cpu_weights *w);

/* x[m,k] in the kernel's order. */
void cpu_vector_reorder(enum cpu_x_order order, const float *x, int64_t m, int64_t k, float *out);

/* The dot product of two f32 rows; for branches and other small work. */
float cpu_dot(enum cpu_level level, const float *a, const float *b, int64_t count);

#endif
