/* SPDX-License-Identifier: MIT */
/* product.h: y = x W^T in two steps: prepare x once, then compute any range of columns of y in any
 * thread. */
#ifndef CPU_PRODUCT_H
#define CPU_PRODUCT_H

#include "tile.h"
#include "vector.h"

struct cpu_product {
    struct cpu_weights w;
    const float *x; /* [m, columns of W] */
    int64_t m;
    bool tiled;
    struct cpu_vector vector;
    struct cpu_tile tile;
    float *prepared; /* x reordered, or packed for the tiles */
};

void cpu_product_init(struct cpu_product *p, const struct cpu *cpu, const struct cpu_weights *w,
                      const float *x, int64_t m);
const char *cpu_product_name(const struct cpu_product *p);
/* Floats that prepare() needs for x, and each range() for its work (both without the other). */
size_t cpu_product_prepared(const struct cpu_product *p);
size_t cpu_product_scratch(const struct cpu_product *p);
/* Fill `prepared`, with the pool's threads. */
void cpu_product_prepare(struct cpu_product *p, struct cpu *cpu, float *prepared);
/* Rows of W that make a good task. */
int64_t cpu_product_chunk(const struct cpu_product *p);
/* out[i * stride + n - n0] for rows n0..n1-1 of W and rows m0..m1-1 of x; m0 is a multiple of
 * cpu_product_step(). */
void cpu_product_range(const struct cpu_product *p, int64_t n0, int64_t n1, int64_t m0, int64_t m1,
                       float *out, int64_t stride, float *scratch);
int64_t cpu_product_step(const struct cpu_product *p);

#endif
