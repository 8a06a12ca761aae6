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
/* 8 x 8: pairs of rows, quarters, halves. */
CPU_TARGET_AVX2 CPU_INLINE void transpose_8(const float *in, int64_t ld_in, float *out,
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

#if CPU_X86
/* 4 x 4: pairs of rows, halves. */
CPU_INLINE void transpose_4(const float *in, int64_t ld_in, float *out, int64_t ld_out)
{
    __m128 r0 = _mm_loadu_ps(in), r1 = _mm_loadu_ps(in + ld_in);
    __m128 r2 = _mm_loadu_ps(in + 2 * ld_in), r3 = _mm_loadu_ps(in + 3 * ld_in);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(out, r0);
    _mm_storeu_ps(out + ld_out, r1);
    _mm_storeu_ps(out + 2 * ld_out, r2);
    _mm_storeu_ps(out + 3 * ld_out, r3);
}
#elif CPU_ARM
CPU_INLINE void transpose_4(const float *in, int64_t ld_in, float *out, int64_t ld_out)
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

#if CPU_X86 || CPU_ARM
/* Up to `rows` rows in blocks of 4, and what is left of them. */
static void transpose_by_4(const float *in, int64_t ld_in, int64_t rows, int64_t columns,
                           float *out, int64_t ld_out)
{
    int64_t full_rows = rows / 4 * 4, full_columns = columns / 4 * 4;
    for (int64_t r = 0; r < full_rows; r += 4)
        for (int64_t c = 0; c < full_columns; c += 4)
            transpose_4(in + r * ld_in + c, ld_in, out + c * ld_out + r, ld_out);
    transpose_plain(in + full_columns, ld_in, full_rows, columns - full_columns,
                    out + full_columns * ld_out, ld_out);
    transpose_plain(in + full_rows * ld_in, ld_in, rows - full_rows, columns, out + full_rows,
                    ld_out);
}
#endif

#if CPU_X86
CPU_TARGET_AVX2 static void transpose_avx2(const float *in, int64_t ld_in, int64_t rows,
                                           int64_t columns, float *out, int64_t ld_out)
{
    int64_t full_rows = rows / 8 * 8, full_columns = columns / 8 * 8;
    for (int64_t r = 0; r < full_rows; r += 8)
        for (int64_t c = 0; c < full_columns; c += 8)
            transpose_8(in + r * ld_in + c, ld_in, out + c * ld_out + r, ld_out);
    transpose_by_4(in + full_columns, ld_in, full_rows, columns - full_columns,
                   out + full_columns * ld_out, ld_out);
    transpose_by_4(in + full_rows * ld_in, ld_in, rows - full_rows, columns, out + full_rows,
                   ld_out);
}
#endif

void cpu_transpose(enum cpu_level level, const float *in, int64_t ld_in, int64_t rows,
                   int64_t columns, float *out, int64_t ld_out)
{
#if CPU_X86
    if (level != CPU_PLAIN) {
        transpose_avx2(in, ld_in, rows, columns, out, ld_out);
        return;
    }
#elif CPU_ARM
    if (level != CPU_PLAIN) {
        transpose_by_4(in, ld_in, rows, columns, out, ld_out);
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

/* Each kernel comes in two forms: for packed rows of x, and for rows as they lie. `row` and `step`
 * say how far apart the rows are, and the numbers of one row; both are constants where a body is
 * inlined, and so are the sizes of the tile. The last rows and columns get a smaller tile. */
#define KERNEL(target, name, body, mr)                                                             \
    target static void name(int64_t k, const float *x, const float *w, float *y, int64_t stride,   \
                            int rows, int columns, bool accumulate)                                \
    {                                                                                              \
        body(1, mr, k, x, w, y, stride, rows, columns, accumulate);                                \
    }                                                                                              \
    target static void name##_rows(int64_t k, const float *x, const float *w, float *y,            \
                                   int64_t stride, int rows, int columns, bool accumulate)         \
    {                                                                                              \
        body(CPU_TILE_ROW, 1, k, x, w, y, stride, rows, columns, accumulate);                      \
    }

#define PLAIN_MR 4
#define PLAIN_NR 16

CPU_INLINE void body_plain(const int64_t row, const int64_t step, int64_t k, const float *x,
                           const float *w, float *y, int64_t stride, int rows, int columns,
                           bool accumulate)
{
    float sums[PLAIN_MR * PLAIN_NR] = {0};
    for (int64_t at = 0; at < k; at++)
        for (int i = 0; i < PLAIN_MR; i++)
            for (int j = 0; j < PLAIN_NR; j++)
                sums[i * PLAIN_NR + j] += x[at * step + i * row] * w[at * PLAIN_NR + j];
    put_tile(sums, PLAIN_NR, y, stride, rows, columns, accumulate);
}
KERNEL(, multiply_plain, body_plain, PLAIN_MR)

#if CPU_X86
#define AVX512_MR 14
#define AVX512_NR 32

/* MR rows of x against NV vectors of W. 14 and 2 are 28 sums, which fill 31 of 32 registers with 2
 * vectors of W and one of x. */
CPU_TARGET_AVX512 CPU_INLINE void tile_avx512(const int MR, const int NV, const int64_t row,
                                              const int64_t step, int64_t k, const float *x,
                                              const float *w, float *y, int64_t stride, int rows,
                                              int columns, bool accumulate)
{
    __m512 sums[AVX512_MR][2], wv[2];
    CPU_UNROLL
    for (int i = 0; i < MR; i++)
        sums[i][0] = sums[i][1] = _mm512_setzero_ps();
    for (int64_t at = 0; at < k; at++) {
        CPU_UNROLL
        for (int v = 0; v < NV; v++)
            wv[v] = _mm512_loadu_ps(w + 16 * v);
        CPU_UNROLL
        for (int i = 0; i < MR; i++) {
            __m512 xi = _mm512_set1_ps(x[i * row]);
            CPU_UNROLL
            for (int v = 0; v < NV; v++)
                sums[i][v] = _mm512_fmadd_ps(xi, wv[v], sums[i][v]);
        }
        x += step;
        w += AVX512_NR;
    }
    CPU_UNROLL
    for (int v = 0; v < NV; v++) {
        const int left = columns - 16 * v;
        const __mmask16 mask = left >= 16 ? 0xFFFF : (__mmask16)((1u << left) - 1);
        CPU_UNROLL
        for (int i = 0; i < MR; i++) {
            if (i >= rows)
                continue;
            float *to = y + i * stride + 16 * v;
            __m512 sum = sums[i][v];
            if (accumulate)
                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, to));
            _mm512_mask_storeu_ps(to, mask, sum);
        }
    }
}

#define TILE_AVX512(mr, nv)                                                                        \
    tile_avx512(mr, nv, row, step, k, x, w, y, stride, rows, columns, accumulate)
CPU_TARGET_AVX512 CPU_INLINE void body_avx512(const int64_t row, const int64_t step, int64_t k,
                                              const float *x, const float *w, float *y,
                                              int64_t stride, int rows, int columns,
                                              bool accumulate)
{
    if (columns > 16) {
        if (rows > 8)
            TILE_AVX512(AVX512_MR, 2);
        else if (rows > 4)
            TILE_AVX512(8, 2);
        else
            TILE_AVX512(4, 2);
    } else if (rows > 8) {
        TILE_AVX512(AVX512_MR, 1);
    } else {
        TILE_AVX512(8, 1);
    }
}
KERNEL(CPU_TARGET_AVX512, multiply_avx512, body_avx512, AVX512_MR)

#define AVX2_MR 6
#define AVX2_NR 16

/* 6 and 2 are 12 sums: 15 of 16 registers. */
CPU_TARGET_AVX2 CPU_INLINE void tile_avx2(const int MR, const int64_t row, const int64_t step,
                                          int64_t k, const float *x, const float *w, float *y,
                                          int64_t stride, int rows, int columns, bool accumulate)
{
    __m256 sums[AVX2_MR][2];
    CPU_UNROLL
    for (int i = 0; i < MR; i++)
        sums[i][0] = sums[i][1] = _mm256_setzero_ps();
    for (int64_t at = 0; at < k; at++) {
        __m256 w0 = _mm256_loadu_ps(w), w1 = _mm256_loadu_ps(w + 8);
        CPU_UNROLL
        for (int i = 0; i < MR; i++) {
            __m256 xi = _mm256_broadcast_ss(x + i * row);
            sums[i][0] = _mm256_fmadd_ps(xi, w0, sums[i][0]);
            sums[i][1] = _mm256_fmadd_ps(xi, w1, sums[i][1]);
        }
        x += step;
        w += AVX2_NR;
    }
    float tile[AVX2_MR * AVX2_NR];
    const bool whole = columns == AVX2_NR;
    CPU_UNROLL
    for (int i = 0; i < MR; i++) {
        float *to = whole ? y + i * stride : tile + i * AVX2_NR;
        if (i >= rows)
            continue;
        if (whole && accumulate) {
            sums[i][0] = _mm256_add_ps(sums[i][0], _mm256_loadu_ps(to));
            sums[i][1] = _mm256_add_ps(sums[i][1], _mm256_loadu_ps(to + 8));
        }
        _mm256_storeu_ps(to, sums[i][0]);
        _mm256_storeu_ps(to + 8, sums[i][1]);
    }
    if (!whole)
        put_tile(tile, AVX2_NR, y, stride, rows, columns, accumulate);
}

CPU_TARGET_AVX2 CPU_INLINE void body_avx2(const int64_t row, const int64_t step, int64_t k,
                                          const float *x, const float *w, float *y, int64_t stride,
                                          int rows, int columns, bool accumulate)
{
    if (rows > 2)
        tile_avx2(AVX2_MR, row, step, k, x, w, y, stride, rows, columns, accumulate);
    else
        tile_avx2(2, row, step, k, x, w, y, stride, rows, columns, accumulate);
}
KERNEL(CPU_TARGET_AVX2, multiply_avx2, body_avx2, AVX2_MR)
#endif

#if CPU_ARM
#define NEON_MR 12
#define NEON_NR 8

CPU_INLINE void put_neon(float32x4_t (*sums)[2], float *y, int64_t stride, int rows, int columns,
                         bool accumulate)
{
    float tile[NEON_MR * NEON_NR];
    const bool whole = columns == NEON_NR;
    CPU_UNROLL
    for (int i = 0; i < NEON_MR; i++) {
        float *to = whole ? y + i * stride : tile + i * NEON_NR;
        if (i >= rows)
            continue;
        if (whole && accumulate) {
            sums[i][0] = vaddq_f32(sums[i][0], vld1q_f32(to));
            sums[i][1] = vaddq_f32(sums[i][1], vld1q_f32(to + 4));
        }
        vst1q_f32(to, sums[i][0]);
        vst1q_f32(to + 4, sums[i][1]);
    }
    if (!whole)
        put_tile(tile, NEON_NR, y, stride, rows, columns, accumulate);
}

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
    put_neon(sums, y, stride, rows, columns, accumulate);
}

/* Two numbers of each row of x at once, 4 vectors of W: 29 of 32 registers again. */
static void multiply_neon_rows(int64_t k, const float *x, const float *w, float *y, int64_t stride,
                               int rows, int columns, bool accumulate)
{
    float32x4_t sums[NEON_MR][2];
    CPU_UNROLL
    for (int i = 0; i < NEON_MR; i++)
        sums[i][0] = sums[i][1] = vdupq_n_f32(0);
    for (; k >= 2; k -= 2, x += 2, w += 2 * NEON_NR) {
        float32x4_t w0 = vld1q_f32(w), w1 = vld1q_f32(w + 4);
        float32x4_t w2 = vld1q_f32(w + 8), w3 = vld1q_f32(w + 12);
        CPU_UNROLL
        for (int i = 0; i < NEON_MR; i++) {
            float32x2_t xi = vld1_f32(x + i * CPU_TILE_ROW);
            sums[i][0] = vfmaq_lane_f32(vfmaq_lane_f32(sums[i][0], w0, xi, 0), w2, xi, 1);
            sums[i][1] = vfmaq_lane_f32(vfmaq_lane_f32(sums[i][1], w1, xi, 0), w3, xi, 1);
        }
    }
    CPU_UNROLL
    for (int i = 0; i < NEON_MR && k > 0; i++) {
        sums[i][0] = vfmaq_n_f32(sums[i][0], vld1q_f32(w), x[i * CPU_TILE_ROW]);
        sums[i][1] = vfmaq_n_f32(sums[i][1], vld1q_f32(w + 4), x[i * CPU_TILE_ROW]);
    }
    put_neon(sums, y, stride, rows, columns, accumulate);
}
#endif

struct cpu_tile cpu_tile_choose(enum cpu_level level)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return (struct cpu_tile){level, "tile-avx512",   AVX512_MR,           AVX512_NR,
                                 128,   multiply_avx512, multiply_avx512_rows};
    case CPU_AVX2:
        return (struct cpu_tile){level, "tile-avx2",   AVX2_MR,           AVX2_NR,
                                 128,   multiply_avx2, multiply_avx2_rows};
#elif CPU_ARM
    case CPU_NEON:
        return (struct cpu_tile){level, "tile-neon",   NEON_MR,           NEON_NR,
                                 128,   multiply_neon, multiply_neon_rows};
#endif
    default:
        return (struct cpu_tile){level, "tile-plain",   PLAIN_MR,           PLAIN_NR,
                                 64,    multiply_plain, multiply_plain_rows};
    }
}
