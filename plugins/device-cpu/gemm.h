/* SPDX-License-Identifier: MIT */
/* gemm.h: matmul, and the float products that OpenBLAS does where it was found. */
#ifndef CPU_GEMM_H
#define CPU_GEMM_H

#include "weights.h"

/* A matrix with any strides (in elements): element (i, j) lies at data[i * row + j * column]. */
struct cpu_matrix {
    const float *data;
    int64_t row, column;
};

/* y[b][m * stride + n] = alpha sum over k of a_b[m,k] w_b[n,k], for `batch` independent products;
 * a(b) and w(b) are asked for their places. */
struct cpu_gemm {
    int64_t batch, m, n, k;
    float alpha;
    struct cpu_matrix (*a)(const void *user, int64_t item);
    struct cpu_matrix (*w)(const void *user, int64_t item);
    float *(*y)(const void *user, int64_t item);
    int64_t stride;
    const void *user;
};
int cpu_gemm_run(struct cpu *cpu, const struct cpu_gemm *gemm, struct cr_error *err);

int cpu_matmul(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
const char *cpu_matmul_variant(const struct cpu *cpu, const struct cr_call *call);

/* Does OpenBLAS take linear with these weights and this many rows? */
bool cpu_blas_wanted(const struct cpu *cpu, const struct cpu_weights *w, int64_t m);
int cpu_blas_linear(struct cpu *cpu, const float *x, const struct cpu_weights *w, int64_t m,
                    const float *bias, float *y);

#endif
