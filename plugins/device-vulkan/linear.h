/* SPDX-License-Identifier: MIT */
/* linear.h: products with a weight matrix, for all operations that need one. */
#ifndef VK_LINEAR_H
#define VK_LINEAR_H

#include "vulkan.h"

/* y[rows,N] = x[rows,K] w[N,K]^T, finished in one of two ways:
 *
 *     plain    y = activation(sum + bias) + residual
 *     add      y = activation(y + scale[m] sum) + residual; a row with scale 0 keeps its bits in
 *              y + scale[m] sum
 *
 * Addresses of absent operands are 0. Without `add`, a scale says only which rows are needed: those
 * with 0 may come out as 0. Everything is declared and recorded; x must not overlap y. Zero extents
 * are fine: no rows or columns do nothing, K = 0 sums nothing. */
struct vk_product {
    uint64_t x;                 /* f32 [rows,K] */
    const struct cr_operand *w; /* [N,K] f32, f16, q8_0 or nf4 */
    uint64_t y;                 /* f32 [rows,N] */
    int64_t rows;
    uint64_t bias;     /* f32 [N] */
    uint64_t residual; /* f32 [rows,N] */
    uint64_t scale;    /* f32 [rows] */
    enum cr_activation activation;
    bool add;
};

int vk_product(struct vk *vk, const struct vk_product *product, struct cr_error *err);

/* The name of the variant that computes y = x w^T: "nf4-vector-subgroup-wide-split". Operands need
 * no memory of the device. */
const char *vk_product_variant(const struct vk *vk, const struct cr_operand *x,
                               const struct cr_operand *w);
/* Every table of this family; ends with NULL. */
extern const struct vk_variant *const vk_linear_variants[];

/* matmul.c */
extern const struct vk_variant vk_matmul_variants[];
int vk_matmul(struct vk *vk, const struct cr_call *call, struct cr_error *err);
const char *vk_matmul_variant(const struct vk *vk, const struct cr_call *call);

#endif
