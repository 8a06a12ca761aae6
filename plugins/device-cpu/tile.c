/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "simd.h"
#include "tile.h"

/* ---- Transposition ---- */

static void transpose_plain(const float *in, int64_t ld_in, int64_t rows, int64_t columns,
                            float *out, int64_t ld_out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            out[c * ld_out + r] = in[r * ld_in + c];
}

#if CPU_X86
#define BLOCK 8

/* 8 x 8: pairs of rows, quarters, halves. */
CPU_TARGET_AVX2 static void transpose_block(const float *in, int64_t ld_in, float *out,
                                            int64_t ld_out)
{
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(in + i * ld_in);
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(out + i * ld_out, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(out + (i + 4) * ld_out, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
#endif

#if CPU_ARM
#define BLOCK 4

/* 4 x 4: pairs of rows, halves. */
static void transpose_block(const float *in, int64_t ld_in, float *out, int64_t ld_out)
{
    float64x2_t t[4];
    for (int i = 0; i < 4; i += 2) {
        float32x4_t a = vld1q_f32(in + i * ld_in), b = vld1q_f32(in + (i + 1) * ld_in);
        t[i] = vreinterpretq_f64_f32(vtrn1q_f32(a, b));
        t[i + 1] = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    }
    for (int i = 0; i < 2; i++) {
        vst1q_f32(out + i * ld_out, vreinterpretq_f32_f64(vtrn1q_f64(t[i], t[i + 2])));
        vst1q_f32(out + (i + 2) * ld_out, vreinterpretq_f32_f64(vtrn2q_f64(t[i], t[i + 2])));
    }
}
#endif

void cpu_transpose(enum cpu_level level, const float *in, int64_t ld_in, int64_t rows,
                   int64_t columns, float *out, int64_t ld_out)
{
#if CPU_X86 || CPU_ARM
    if (level != CPU_PLAIN) {
        int64_t full_rows = rows / BLOCK * BLOCK, full_columns = columns / BLOCK * BLOCK;
        for (int64_t r = 0; r < full_rows; r += BLOCK)
            for (int64_t c = 0; c < full_columns; c += BLOCK)
                transpose_block(in + r * ld_in + c, ld_in, out + c * ld_out + r, ld_out);
        transpose_plain(in + full_columns, ld_in, full_rows, columns - full_columns,
                        out + full_columns * ld_out, ld_out);
        transpose_plain(in + full_rows * ld_in, ld_in, rows - full_rows, columns, out + full_rows,
                        ld_out);
        return;
    }
#endif
    (void)level;
    transpose_plain(in, ld_in, rows, columns, out, ld_out);
}

/* ---- Packing ---- */

void cpu_tile_pack_x(const struct cpu_tile *tile, const float *x, int64_t stride, int64_t m,
                     int64_t k0, int64_t kc, float *out)
{
    for (int64_t i = 0; i < m; i += tile->mr) {
        int64_t rows = m - i < tile->mr ? m - i : tile->mr;
        if (rows < tile->mr)
            memset(out, 0, (size_t)(kc * tile->mr) * sizeof(float));
        cpu_transpose(tile->level, x + i * stride + k0, stride, rows, kc, out, tile->mr);
        out += kc * tile->mr;
    }
}

void cpu_tile_pack_w(const struct cpu_tile *tile, const struct cpu_weights *w, int64_t n0,
                     int64_t n, int64_t k0, int64_t kc, float *out, float *scratch)
{
    for (int64_t j = 0; j < n; j += tile->nr) {
        int64_t rows = n - j < tile->nr ? n - j : tile->nr;
        const float *from = scratch;
        int64_t stride = kc;
        if (w->dtype == CR_DTYPE_F32) {
            from = (const float *)w->data + (n0 + j) * w->columns + k0;
            stride = w->columns;
        } else {
            for (int64_t r = 0; r < rows; r++)
                cpu_weights_row(tile->level, w, n0 + j + r, k0, kc, scratch + r * kc);
        }
        if (rows < tile->nr)
            memset(out, 0, (size_t)(kc * tile->nr) * sizeof(float));
        cpu_transpose(tile->level, from, stride, rows, kc, out, tile->nr);
        out += kc * tile->nr;
    }
}

/* ---- Micro-kernels ---- */

/* Add a finished tile that lies in `sums` [rows][nr] to y, or store it. */
static void put_tile(const float *sums, int nr, float *y, int64_t stride, int rows, int columns,
                     bool accumulate)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            y[i * stride + j] = (accumulate ? y[i * stride + j] : 0) + sums[i * nr + j];
}

#define PLAIN_MR 4
#define PLAIN_NR 16

static void multiply_plain(int64_t k, const float *x, const float *w, float *y, int64_t stride,
                           int rows, int columns, bool accumulate)
{
    float sums[PLAIN_MR * PLAIN_NR] = {0};
    for (int64_t at = 0; at < k; at++)
        for (int i = 0; i < PLAIN_MR; i++)
            for (int j = 0; j < PLAIN_NR; j++)
                sums[i * PLAIN_NR + j] += x[at * PLAIN_MR + i] * w[at * PLAIN_NR + j];
    put_tile(sums, PLAIN_NR, y, stride, rows, columns, accumulate);
}

#if CPU_X86
#define AVX512_MR 14
#define AVX512_NR 32

/* 14 rows of x against 2 vectors of W: 28 sums, 2 vectors of W and one of x fill 31 of 32
 * registers. */
CPU_TARGET_AVX512 static void multiply_avx512(int64_t k, const float *x, const float *w, float *y,
                                              int64_t stride, int rows, int columns,
                                              bool accumulate)
{
    __m512 sums[AVX512_MR][2];
    CPU_UNROLL
    for (int i = 0; i < AVX512_MR; i++)
        sums[i][0] = sums[i][1] = _mm512_setzero_ps();
    for (int64_t at = 0; at < k; at++) {
        __m512 w0 = _mm512_load_ps(w), w1 = _mm512_load_ps(w + 16);
        CPU_UNROLL
        for (int i = 0; i < AVX512_MR; i++) {
            __m512 xi = _mm512_set1_ps(x[i]);
            sums[i][0] = _mm512_fmadd_ps(xi, w0, sums[i][0]);
            sums[i][1] = _mm512_fmadd_ps(xi, w1, sums[i][1]);
        }
        x += AVX512_MR;
        w += AVX512_NR;
    }
    const __mmask16 left = columns >= 16 ? 0xFFFF : (__mmask16)((1u << columns) - 1);
    const __mmask16 right = columns >= 32   ? 0xFFFF
                            : columns <= 16 ? 0
                                            : (__mmask16)((1u << (columns - 16)) - 1);
    CPU_UNROLL
    for (int i = 0; i < AVX512_MR; i++) {
        if (i >= rows)
            continue;
        float *to = y + i * stride;
        __m512 a = sums[i][0], b = sums[i][1];
        if (accumulate) {
            a = _mm512_add_ps(a, _mm512_maskz_loadu_ps(left, to));
            b = _mm512_add_ps(b, _mm512_maskz_loadu_ps(right, to + 16));
        }
        _mm512_mask_storeu_ps(to, left, a);
        _mm512_mask_storeu_ps(to + 16, right, b);
    }
}

#define AVX2_MR 6
#define AVX2_NR 16

CPU_TARGET_AVX2 static void multiply_avx2(int64_t k, const float *x, const float *w, float *y,
                                          int64_t stride, int rows, int columns, bool accumulate)
{
    __m256 sums[AVX2_MR][2];
    CPU_UNROLL
    for (int i = 0; i < AVX2_MR; i++)
        sums[i][0] = sums[i][1] = _mm256_setzero_ps();
    for (int64_t at = 0; at < k; at++) {
        __m256 w0 = _mm256_load_ps(w), w1 = _mm256_load_ps(w + 8);
        CPU_UNROLL
        for (int i = 0; i < AVX2_MR; i++) {
            __m256 xi = _mm256_broadcast_ss(x + i);
            sums[i][0] = _mm256_fmadd_ps(xi, w0, sums[i][0]);
            sums[i][1] = _mm256_fmadd_ps(xi, w1, sums[i][1]);
        }
        x += AVX2_MR;
        w += AVX2_NR;
    }
    float tile[AVX2_MR * AVX2_NR];
    CPU_UNROLL
    for (int i = 0; i < AVX2_MR; i++) {
        _mm256_storeu_ps(tile + i * AVX2_NR, sums[i][0]);
        _mm256_storeu_ps(tile + i * AVX2_NR + 8, sums[i][1]);
    }
    put_tile(tile, AVX2_NR, y, stride, rows, columns, accumulate);
}
#endif

#if CPU_ARM
#define NEON_MR 12
#define NEON_NR 8

/* Rows 4g..4g+3 of x, which are the lanes of one vector. */
#define NEON_ROW(i, lane)                                                                          \
    sums[i][0] = vfmaq_laneq_f32(sums[i][0], w0, xi, lane);                                        \
    sums[i][1] = vfmaq_laneq_f32(sums[i][1], w1, xi, lane)
#define NEON_ROWS(g)                                                                               \
    do {                                                                                           \
        float32x4_t xi = vld1q_f32(x + 4 * (g));                                                   \
        NEON_ROW(4 * (g), 0);                                                                      \
        NEON_ROW(4 * (g) + 1, 1);                                                                  \
        NEON_ROW(4 * (g) + 2, 2);                                                                  \
        NEON_ROW(4 * (g) + 3, 3);                                                                  \
    } while (0)

/* 12 rows of x against 2 vectors of W: 24 sums, 2 vectors of W and 3 of x fill 29 of 32 registers.
 */
static void multiply_neon(int64_t k, const float *x, const float *w, float *y, int64_t stride,
                          int rows, int columns, bool accumulate)
{
    float32x4_t sums[NEON_MR][2];
    CPU_UNROLL
    for (int i = 0; i < NEON_MR; i++)
        sums[i][0] = sums[i][1] = vdupq_n_f32(0);
    for (int64_t at = 0; at < k; at++) {
        float32x4_t w0 = vld1q_f32(w), w1 = vld1q_f32(w + 4);
        NEON_ROWS(0);
        NEON_ROWS(1);
        NEON_ROWS(2);
        x += NEON_MR;
        w += NEON_NR;
    }
    float tile[NEON_MR * NEON_NR];
    CPU_UNROLL
    for (int i = 0; i < NEON_MR; i++) {
        vst1q_f32(tile + i * NEON_NR, sums[i][0]);
        vst1q_f32(tile + i * NEON_NR + 4, sums[i][1]);
    }
    put_tile(tile, NEON_NR, y, stride, rows, columns, accumulate);
}
#endif

struct cpu_tile cpu_tile_choose(enum cpu_level level)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return (struct cpu_tile){level, "tile-avx512", AVX512_MR, AVX512_NR, 128, multiply_avx512};
    case CPU_AVX2:
        return (struct cpu_tile){level, "tile-avx2", AVX2_MR, AVX2_NR, 128, multiply_avx2};
#elif CPU_ARM
    case CPU_NEON:
        return (struct cpu_tile){level, "tile-neon", NEON_MR, NEON_NR, 128, multiply_neon};
#endif
    default:
        return (struct cpu_tile){level, "tile-plain", PLAIN_MR, PLAIN_NR, 64, multiply_plain};
    }
}
