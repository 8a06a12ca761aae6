/* SPDX-License-Identifier: MIT */
/* tile.h: y = x W^T for many rows of x: blocks of W become f32 panels in the cache, whatever their
 * type, and a micro-kernel multiplies them with packed rows of x. */
#ifndef CPU_TILE_H
#define CPU_TILE_H

#include "weights.h"

/* Columns of x that are multiplied in one go: a panel of W stays in the second-level cache. */
#define CPU_TILE_K 256

/* How far apart rows of x lie that are multiplied without being packed; columns of a row at most.
 */
#define CPU_TILE_ROW 192

struct cpu_tile {
    enum cpu_level level;
    const char *name;
    int mr; /* rows of x at once */
    int nr; /* rows of W at once: a few vectors */
    int nc; /* rows of W in one panel: a multiple of nr */
    /* y[i * stride + j] (+)= sum over k of x[k * mr + i] w[k * nr + j], for i < rows <= mr, j <
     * columns <= nr. */
    void (*multiply)(int64_t k, const float *x, const float *w, float *y, int64_t stride, int rows,
                     int columns, bool accumulate);
    /* The same with x[i * CPU_TILE_ROW + k]. There are mr such rows, whatever stands in those from
     * `rows` on. */
    void (*multiply_rows)(int64_t k, const float *x, const float *w, float *y, int64_t stride,
                          int rows, int columns, bool accumulate);
};

struct cpu_tile cpu_tile_choose(enum cpu_level level);

/* Pack rows of x [m,k] (row stride `stride`) for columns k0..k0+kc-1: groups of mr rows, [kc][mr]
 * each, the last one filled up with zeros. */
void cpu_tile_pack_x(const struct cpu_tile *tile, const float *x, int64_t stride, int64_t m,
                     int64_t k0, int64_t kc, float *out);

/* Pack rows n0..n0+n-1 of W: groups of nr rows, [kc][nr] each, the last one filled up with zeros.
 * `scratch` holds nr * kc floats. */
void cpu_tile_pack_w(const struct cpu_tile *tile, const struct cpu_weights *w, int64_t n0,
                     int64_t n, int64_t k0, int64_t kc, float *out, float *scratch);

/* out[c * ld_out + r] = in[r * ld_in + c] for r < rows, c < columns. */
void cpu_transpose(enum cpu_level level, const float *in, int64_t ld_in, int64_t rows,
                   int64_t columns, float *out, int64_t ld_out);

#endif
