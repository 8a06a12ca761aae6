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
    CPU_X_NIBBLES_16, /* nf4, avx512: see cpu_vector_reorder() */
    CPU_X_NIBBLES_8,  /* nf4, avx2 */
    CPU_X_EVEN_ODD,   /* nf4, neon: in each 32 the 16 even ones, then the 16 odd ones */
    CPU_X_BYTES_32,   /* q8_0, dotprod: see cpu_vector_bytes() */
    CPU_X_BYTES_64,   /* nf4, dotprod */
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

/* x[m,k] in the kernel's order. For nf4 the codes are taken as 32-bit words, `lanes` of them at a
 * time: nibble j (from the lowest) of word l is element 8 l + (j xor 1) of the 8 x lanes ones, so
 * those are what lane l of vector j holds. */
void cpu_vector_reorder(enum cpu_x_order order, const float *x, int64_t m, int64_t k, float *out);

/* Where the processor has dot products of bytes and the device may be fast: the kernel with 8-bit
 * activations, for rows of whole groups of blocks; else *vector stays what it is. Bound: 1e-2 for x
 * about normally distributed (measured: 6e-3), since each block of x has one scale. A NaN or an
 * infinity in x makes the whole row of y NaN. */
void cpu_vector_dotprod(const struct cpu_weights *w, struct cpu_vector *vector);
/* x for that kernel: codes i8 [m][k], each block (32 or 64) scaled by its largest magnitude / 127,
 * then these scales, f32 [m][k / block]. CPU_X_BYTES_64 also sorts codes as CPU_X_EVEN_ODD does. */
void cpu_vector_bytes(enum cpu_x_order order, const float *x, int64_t m, int64_t k, float *out);

/* The scales of row n of an nf4 matrix of whole blocks as f32: in place, or worked out into
 * scratch. */
const float *cpu_vector_scales(const struct cpu_weights *w, int64_t n, float *scratch);

/* The dot product of two f32 rows; for branches and other small work. */
float cpu_dot(enum cpu_level level, const float *a, const float *b, int64_t count);

#endif
