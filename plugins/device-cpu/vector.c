/* SPDX-License-Identifier: MIT */
/* Each kernel takes MB rows of x at a time against RB rows of W; both are constants where it is
 * inlined, so that sums live in registers. The sum over a block is scaled once and added to the
 * row's sum: sums are f32, in lanes, and the lanes are added at the end. */
#include <string.h>

#include "neon.h"
#include "vector.h"

void cpu_vector_reorder(enum cpu_x_order order, const float *x, int64_t m, int64_t k, float *out)
{
    if (order == CPU_X_PLAIN) {
        memcpy(out, x, (size_t)(m * k) * sizeof(float));
        return;
    }
    if (order == CPU_X_BYTES_32 || order == CPU_X_BYTES_64) {
        cpu_vector_bytes(order, x, m, k, out);
        return;
    }
    if (order == CPU_X_EVEN_ODD) {
        for (int64_t at = 0; at < m * k; at += 32)
            for (int i = 0; i < 16; i++) {
                out[at + i] = x[at + 2 * i];
                out[at + 16 + i] = x[at + 2 * i + 1];
            }
        return;
    }
    const int lanes = order == CPU_X_NIBBLES_16 ? 16 : 8;
    for (int64_t at = 0; at < m * k; at += 8 * lanes)
        for (int j = 0; j < 8; j++)
            for (int l = 0; l < lanes; l++)
                out[at + j * lanes + l] = x[at + 8 * l + (j ^ 1)];
}

size_t cpu_vector_scratch(const struct cpu_weights *w)
{
    /* One row as f32, or the scales of four rows. */
    size_t k = (size_t)w->columns;
    return k > 256 ? k : 256;
}

/* ---- Plain ---- */

/* Eight sums side by side, which compilers turn into vectors. */
static float dot_plain(const float *a, const float *b, int64_t count)
{
    float sums[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int j = 0; j < 8; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < count; i++)
        sums[i % 8] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

#if CPU_X86
CPU_TARGET_AVX2 CPU_INLINE float sum_lanes_avx2(__m256 v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

CPU_TARGET_AVX2 static float dot_avx2(const float *a, const float *b, int64_t count)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    float sum = sum_lanes_avx2(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
    return sum + dot_plain(a + i, b + i, count - i);
}

CPU_TARGET_AVX512 static float dot_avx512(const float *a, const float *b, int64_t count)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i < count; i += 16) {
        __mmask16 mask = count - i >= 16 ? 0xFFFF : (__mmask16)((1u << (count - i)) - 1);
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i),
                             s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}
#endif

#if CPU_ARM
static float dot_neon(const float *a, const float *b, int64_t count)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
        s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
        s2 = vfmaq_f32(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
        s3 = vfmaq_f32(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
    }
    float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
    return sum + dot_plain(a + i, b + i, count - i);
}
#endif

float cpu_dot(enum cpu_level level, const float *a, const float *b, int64_t count)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return dot_avx512(a, b, count);
    case CPU_AVX2:
        return dot_avx2(a, b, count);
#elif CPU_ARM
    case CPU_NEON:
        return dot_neon(a, b, count);
#endif
    default:
        return dot_plain(a, b, count);
    }
}

/* Any type, any K: a row as f32, then dot products. */
CPU_INLINE void run_by_rows(enum cpu_level level, const struct cpu_weights *w, int64_t n0,
                            int64_t n1, const float *x, int m, float *y, int64_t stride,
                            float *scratch)
{
    int64_t k = w->columns;
    for (int64_t n = n0; n < n1; n++) {
        const float *row = scratch;
        if (w->dtype == CR_DTYPE_F32)
            row = (const float *)w->data + n * k;
        else
            cpu_weights_row(level, w, n, 0, k, scratch);
        for (int i = 0; i < m; i++)
            y[i * stride + n] = cpu_dot(level, x + i * k, row, k);
    }
}

#define BY_ROWS(name, level)                                                                       \
    static void name(const struct cpu_weights *w, int64_t n0, int64_t n1, const float *x, int m,   \
                     float *y, int64_t stride, float *scratch)                                     \
    {                                                                                              \
        run_by_rows(level, w, n0, n1, x, m, y, stride, scratch);                                   \
    }
BY_ROWS(rows_plain, CPU_PLAIN)
#if CPU_X86
BY_ROWS(rows_avx2, CPU_AVX2)
BY_ROWS(rows_avx512, CPU_AVX512)
#endif
#if CPU_ARM
BY_ROWS(rows_neon, CPU_NEON)
#endif

/* How far ahead of the sums weights are asked for. The hardware prefetcher stops at page ends; what
 * is asked for goes to the second-level cache, and x stays in the first. One row of W at a time is
 * one stream: four rows at a time, 1024 bytes ahead, reached 54 % of the read bandwidth with nf4
 * and 70 % with q8_0 where this reaches 80 % and 96 %. */
#define AHEAD 4096
#define AHEAD_NEON 1024

/* ---- AVX-512 ---- */

#if CPU_X86
/* nf4, K a multiple of 128, x in order NIBBLES_16. One load of 64 bytes holds the codes of two
 * blocks, and a permutation looks at the lowest four bits of each index only: shifting the words
 * brings up one nibble after the other. */
CPU_TARGET_AVX512 CPU_INLINE void nf4_512(const uint8_t *const *codes, const float *const *scales,
                                          const float *x, int64_t k, const int MB, const int RB,
                                          __m512 (*sums)[4])
{
    const __m512 values = _mm512_loadu_ps(cr_nf4_values());
    for (int64_t block = 0; block < k / CPU_NF4_BLOCK; block += 2) {
        const float *xb = x + block * CPU_NF4_BLOCK;
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            const uint8_t *at = codes[r] + block * 32;
            _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T1);
            const __m512i words = _mm512_loadu_si512(at);
            __m512 scale = _mm512_mask_broadcastss_ps(_mm512_set1_ps(scales[r][block]), 0xFF00,
                                                      _mm_load_ss(&scales[r][block + 1]));
            __m512 t[4];
            CPU_UNROLL
            for (int j = 0; j < 8; j++) {
                __m512 w = _mm512_permutexvar_ps(_mm512_srli_epi32(words, 4 * j), values);
                CPU_UNROLL
                for (int i = 0; i < MB; i++) {
                    __m512 xi = _mm512_loadu_ps(xb + i * k + 16 * j);
                    t[i] = j == 0 ? _mm512_mul_ps(w, xi) : _mm512_fmadd_ps(w, xi, t[i]);
                }
            }
            CPU_UNROLL
            for (int i = 0; i < MB; i++)
                sums[i][r] = _mm512_fmadd_ps(t[i], scale, sums[i][r]);
        }
    }
}

/* q8_0, K a multiple of 32; the scales are f32 in scratch. */
CPU_TARGET_AVX512 CPU_INLINE void q8_0_512(const int8_t *const *codes,
                                           const uint16_t *const *scales, const float *x, int64_t k,
                                           const int MB, const int RB, __m512 (*sums)[4])
{
    for (int64_t block = 0; block < k / CPU_Q8_0_BLOCK; block++) {
        const float *xb = x + block * CPU_Q8_0_BLOCK;
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            const int8_t *at = codes[r] + block * CPU_Q8_0_BLOCK;
            _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T1);
            __m512 w0 = _mm512_cvtepi32_ps(
                _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at)));
            __m512 w1 = _mm512_cvtepi32_ps(
                _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(at + 16))));
            __m512 scale = _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(scales[r][block])));
            CPU_UNROLL
            for (int i = 0; i < MB; i++) {
                __m512 t = _mm512_mul_ps(w0, _mm512_loadu_ps(xb + i * k));
                t = _mm512_fmadd_ps(w1, _mm512_loadu_ps(xb + i * k + 16), t);
                sums[i][r] = _mm512_fmadd_ps(t, scale, sums[i][r]);
            }
        }
    }
}

/* f16 (half) or f32, K a multiple of 32. */
CPU_TARGET_AVX512 CPU_INLINE __m512 load_512(const bool half, const char *row, int64_t at)
{
    if (half)
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(row + 2 * at)));
    return _mm512_loadu_ps(row + 4 * at);
}

CPU_TARGET_AVX512 CPU_INLINE void float_512(const bool half, const char *const *rows,
                                            const float *x, int64_t k, const int MB, const int RB,
                                            __m512 (*sums)[4])
{
    for (int64_t at = 0; at < k; at += 32) {
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            _mm_prefetch(rows[r] + (half ? 2 : 4) * at + AHEAD, _MM_HINT_T1);
            __m512 w0 = load_512(half, rows[r], at), w1 = load_512(half, rows[r], at + 16);
            CPU_UNROLL
            for (int i = 0; i < MB; i++) {
                __m512 t = _mm512_mul_ps(w0, _mm512_loadu_ps(x + i * k + at));
                t = _mm512_fmadd_ps(w1, _mm512_loadu_ps(x + i * k + at + 16), t);
                sums[i][r] = _mm512_add_ps(sums[i][r], t);
            }
        }
    }
}

#endif

/* Scales that are doubly quantised: map[code] x nested absmax + offset. */
static void nested_scales_plain(const struct cpu_weights *w, int64_t block, int64_t count,
                                float *out)
{
    const uint8_t *codes = (const uint8_t *)w->scales + block;
    for (int64_t i = 0; i < count; i++)
        out[i] = w->map[codes[i]] * w->nested[(block + i) / 256] + w->map[256];
}

#if CPU_X86
/* Product and sum are rounded one after the other, as everywhere. */
CPU_TARGET_AVX2 static void nested_scales_avx2(const struct cpu_weights *w, int64_t block,
                                               int64_t count, float *out)
{
    const uint8_t *codes = (const uint8_t *)w->scales + block;
    const __m256 offset = _mm256_set1_ps(w->map[256]);
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        if ((block + i) / 256 != (block + i + 7) / 256) {
            nested_scales_plain(w, block + i, 8, out + i);
            continue;
        }
        __m256i code =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(codes + i)));
        __m256 scale = _mm256_i32gather_ps(w->map, code, 4);
        scale = _mm256_mul_ps(scale, _mm256_set1_ps(w->nested[(block + i) / 256]));
        _mm256_storeu_ps(out + i, _mm256_add_ps(scale, offset));
    }
    nested_scales_plain(w, block + i, count - i, out + i);
}
#endif

const float *cpu_vector_scales(const struct cpu_weights *w, int64_t n, float *scratch)
{
    int64_t blocks = w->columns / CPU_NF4_BLOCK;
    if (w->nested == NULL)
        return (const float *)w->scales + n * blocks;
#if CPU_X86
    nested_scales_avx2(w, n * blocks, blocks, scratch);
#else
    nested_scales_plain(w, n * blocks, blocks, scratch);
#endif
    return scratch;
}

/* Where RB rows of W from n on lie. */
struct row_set {
    const void *rows[4], *scales[4];
};

CPU_INLINE struct row_set row_set(const struct cpu_weights *w, int64_t n, const int RB,
                                  float *scratch)
{
    const int64_t k = w->columns;
    const char *data = w->data;
    struct row_set set = {{NULL}, {NULL}};
    CPU_UNROLL
    for (int r = 0; r < RB; r++) {
        if (w->dtype == CR_DTYPE_NF4) {
            set.rows[r] = data + (n + r) * k / 2;
            set.scales[r] = cpu_vector_scales(w, n + r, scratch + r * (k / CPU_NF4_BLOCK));
        } else if (w->dtype == CR_DTYPE_Q8_0) {
            set.rows[r] = data + (n + r) * k;
            set.scales[r] = (const uint16_t *)w->scales + (n + r) * (k / CPU_Q8_0_BLOCK);
        } else {
            set.rows[r] = data + (n + r) * k * (w->dtype == CR_DTYPE_F16 ? 2 : 4);
        }
    }
    return set;
}

#if CPU_X86
CPU_TARGET_AVX512 CPU_INLINE void rows_512(const struct cpu_weights *w, int64_t n, const float *x,
                                           const int MB, const int RB, float *y, int64_t stride,
                                           float *scratch)
{
    const int64_t k = w->columns;
    const struct row_set set = row_set(w, n, RB, scratch);
    __m512 sums[4][4];
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        sums[i][r] = _mm512_setzero_ps();
    if (w->dtype == CR_DTYPE_NF4)
        nf4_512((const uint8_t *const *)set.rows, (const float *const *)set.scales, x, k, MB, RB,
                sums);
    else if (w->dtype == CR_DTYPE_Q8_0)
        q8_0_512((const int8_t *const *)set.rows, (const uint16_t *const *)set.scales, x, k, MB, RB,
                 sums);
    else if (w->dtype == CR_DTYPE_F16)
        float_512(true, (const char *const *)set.rows, x, k, MB, RB, sums);
    else
        float_512(false, (const char *const *)set.rows, x, k, MB, RB, sums);
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        y[i * stride + n + r] = _mm512_reduce_add_ps(sums[i][r]);
}

/* ---- AVX2: the same in halves ---- */

/* nf4, K a multiple of 64, x in order NIBBLES_8. The table of 16 is two of 8, chosen by the highest
 * bit of the code. */
CPU_TARGET_AVX2 CPU_INLINE void nf4_256(const uint8_t *const *codes, const float *const *scales,
                                        const float *x, int64_t k, const int MB, const int RB,
                                        __m256 (*sums)[4])
{
    const __m256 low = _mm256_loadu_ps(cr_nf4_values());
    const __m256 high = _mm256_loadu_ps(cr_nf4_values() + 8);
    for (int64_t block = 0; block < k / CPU_NF4_BLOCK; block++) {
        const float *xb = x + block * CPU_NF4_BLOCK;
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            const uint8_t *at = codes[r] + block * 32;
            _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T1);
            const __m256i words = _mm256_loadu_si256((const __m256i *)(const void *)at);
            const __m256 scale = _mm256_set1_ps(scales[r][block]);
            __m256 t[4];
            CPU_UNROLL
            for (int j = 0; j < 8; j++) {
                __m256i code = _mm256_srli_epi32(words, 4 * j);
                __m256 w = _mm256_blendv_ps(
                    _mm256_permutevar8x32_ps(low, code), _mm256_permutevar8x32_ps(high, code),
                    _mm256_castsi256_ps(_mm256_slli_epi32(words, 28 - 4 * j)));
                CPU_UNROLL
                for (int i = 0; i < MB; i++) {
                    __m256 xi = _mm256_loadu_ps(xb + i * k + 8 * j);
                    t[i] = j == 0 ? _mm256_mul_ps(w, xi) : _mm256_fmadd_ps(w, xi, t[i]);
                }
            }
            CPU_UNROLL
            for (int i = 0; i < MB; i++)
                sums[i][r] = _mm256_fmadd_ps(t[i], scale, sums[i][r]);
        }
    }
}

CPU_TARGET_AVX2 CPU_INLINE void q8_0_256(const int8_t *const *codes, const uint16_t *const *scales,
                                         const float *x, int64_t k, const int MB, const int RB,
                                         __m256 (*sums)[4])
{
    for (int64_t block = 0; block < k / CPU_Q8_0_BLOCK; block++) {
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            const int8_t *at = codes[r] + block * CPU_Q8_0_BLOCK;
            _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T1);
            __m256 scale = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(scales[r][block])));
            __m256 t[4];
            CPU_UNROLL
            for (int j = 0; j < 4; j++) {
                const float *xb = x + block * CPU_Q8_0_BLOCK + 8 * j;
                __m256 w0 = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
                    _mm_loadl_epi64((const __m128i *)(const void *)(at + 8 * j))));
                CPU_UNROLL
                for (int i = 0; i < MB; i++) {
                    __m256 xi = _mm256_loadu_ps(xb + i * k);
                    t[i] = j == 0 ? _mm256_mul_ps(w0, xi) : _mm256_fmadd_ps(w0, xi, t[i]);
                }
            }
            CPU_UNROLL
            for (int i = 0; i < MB; i++)
                sums[i][r] = _mm256_fmadd_ps(t[i], scale, sums[i][r]);
        }
    }
}

CPU_TARGET_AVX2 CPU_INLINE __m256 load_256(const bool half, const char *row, int64_t at)
{
    if (half)
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(row + 2 * at)));
    return _mm256_loadu_ps((const float *)(const void *)(row + 4 * at));
}

CPU_TARGET_AVX2 CPU_INLINE void float_256(const bool half, const char *const *rows, const float *x,
                                          int64_t k, const int MB, const int RB, __m256 (*sums)[4])
{
    for (int64_t at = 0; at < k; at += 16) {
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            _mm_prefetch(rows[r] + (half ? 2 : 4) * at + AHEAD, _MM_HINT_T1);
            __m256 w0 = load_256(half, rows[r], at), w1 = load_256(half, rows[r], at + 8);
            CPU_UNROLL
            for (int i = 0; i < MB; i++) {
                __m256 t = _mm256_mul_ps(w0, _mm256_loadu_ps(x + i * k + at));
                t = _mm256_fmadd_ps(w1, _mm256_loadu_ps(x + i * k + at + 8), t);
                sums[i][r] = _mm256_add_ps(sums[i][r], t);
            }
        }
    }
}

CPU_TARGET_AVX2 CPU_INLINE void rows_256(const struct cpu_weights *w, int64_t n, const float *x,
                                         const int MB, const int RB, float *y, int64_t stride,
                                         float *scratch)
{
    const int64_t k = w->columns;
    const struct row_set set = row_set(w, n, RB, scratch);
    __m256 sums[4][4];
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        sums[i][r] = _mm256_setzero_ps();
    if (w->dtype == CR_DTYPE_NF4)
        nf4_256((const uint8_t *const *)set.rows, (const float *const *)set.scales, x, k, MB, RB,
                sums);
    else if (w->dtype == CR_DTYPE_Q8_0)
        q8_0_256((const int8_t *const *)set.rows, (const uint16_t *const *)set.scales, x, k, MB, RB,
                 sums);
    else if (w->dtype == CR_DTYPE_F16)
        float_256(true, (const char *const *)set.rows, x, k, MB, RB, sums);
    else
        float_256(false, (const char *const *)set.rows, x, k, MB, RB, sums);
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        y[i * stride + n + r] = sum_lanes_avx2(sums[i][r]);
}
#endif

/* ---- NEON: the same in quarters, 16 weights at a time ---- */

#if CPU_ARM
/* For rows r0..r1-1 of W: t[i][r] = or += the products of 16 weights with those of each row of x.
 */
CPU_INLINE void multiply_16(const float32x4x4_t *w, const float *x, int64_t k, const int MB,
                            const int r0, const int r1, const bool first, float32x4_t (*t)[4])
{
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int j = 0; j < 4; j++) {
        float32x4_t xi = vld1q_f32(x + i * k + 4 * j);
        CPU_UNROLL
        for (int r = r0; r < r1; r++)
            t[i][r] = first && j == 0 ? vmulq_f32(w[r - r0].val[j], xi)
                                      : vfmaq_f32(t[i][r], w[r - r0].val[j], xi);
    }
}

/* How many rows of W become f32 together: with several rows of x two, which share what is loaded of
 * x; with one row of x it stays in registers itself, and there is room for one row of W. */
#define TOGETHER(MB, RB) ((MB) == 1 || (RB) == 1 ? 1 : 2)

/* nf4, K a multiple of 64. x in order EVEN_ODD. */
CPU_INLINE void nf4_128(const uint8_t *const *codes, const float *const *scales, const float *x,
                        int64_t k, const int MB, const int RB, float32x4_t (*sums)[4])
{
    const uint8x16x4_t planes = cpu_nf4_planes();
    const int step = TOGETHER(MB, RB);
    for (int64_t block = 0; block < k / CPU_NF4_BLOCK; block++) {
        float32x4_t t[4][4];
        CPU_UNROLL
        for (int part = 0; part < 4; part++) {
            const float *xp = x + block * CPU_NF4_BLOCK + 16 * part;
            CPU_UNROLL
            for (int r0 = 0; r0 < RB; r0 += step) {
                float32x4x4_t w[2];
                CPU_UNROLL
                for (int r = r0; r < r0 + step; r++) {
                    const uint8_t *at = codes[r] + block * 32 + 16 * (part / 2);
                    if (part == 0)
                        __builtin_prefetch(at + AHEAD_NEON);
                    uint8x16_t pairs = vld1q_u8(at);
                    w[r - r0] = cpu_nf4_16(planes, part % 2 == 0 ? vshrq_n_u8(pairs, 4)
                                                                 : vandq_u8(pairs, vdupq_n_u8(15)));
                }
                multiply_16(w, xp, k, MB, r0, r0 + step, part == 0, t);
            }
            CPU_ORDER;
        }
        CPU_UNROLL
        for (int i = 0; i < MB; i++)
            CPU_UNROLL
        for (int r = 0; r < RB; r++)
            sums[i][r] = vfmaq_n_f32(sums[i][r], t[i][r], scales[r][block]);
    }
}

CPU_INLINE void q8_0_128(const int8_t *const *codes, const uint16_t *const *scales, const float *x,
                         int64_t k, const int MB, const int RB, float32x4_t (*sums)[4])
{
    const uint8x16x4_t places = cpu_s8_places();
    const int step = TOGETHER(MB, RB);
    for (int64_t block = 0; block < k / CPU_Q8_0_BLOCK; block++) {
        float32x4_t t[4][4];
        CPU_UNROLL
        for (int part = 0; part < 2; part++) {
            const int64_t at = block * CPU_Q8_0_BLOCK + 16 * part;
            CPU_UNROLL
            for (int r0 = 0; r0 < RB; r0 += step) {
                float32x4x4_t w[2];
                CPU_UNROLL
                for (int r = r0; r < r0 + step; r++) {
                    if (part == 0)
                        __builtin_prefetch(codes[r] + at + AHEAD_NEON);
                    w[r - r0] = cpu_s8_16(places, vld1q_s8(codes[r] + at));
                }
                multiply_16(w, x + at, k, MB, r0, r0 + step, part == 0, t);
            }
        }
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            float16_t scale;
            memcpy(&scale, scales[r] + block, sizeof(scale));
            CPU_UNROLL
            for (int i = 0; i < MB; i++)
                sums[i][r] = vfmaq_n_f32(sums[i][r], t[i][r], (float)scale);
        }
    }
}

CPU_INLINE void f16_128(const uint16_t *const *rows, const float *x, int64_t k, const int MB,
                        const int RB, float32x4_t (*sums)[4])
{
    const int step = TOGETHER(MB, RB);
    for (int64_t block = 0; block < k; block += 32) {
        float32x4_t t[4][4];
        CPU_UNROLL
        for (int part = 0; part < 2; part++) {
            const int64_t at = block + 16 * part;
            CPU_UNROLL
            for (int r0 = 0; r0 < RB; r0 += step) {
                float32x4x4_t w[2];
                CPU_UNROLL
                for (int r = r0; r < r0 + step; r++) {
                    if (part == 0)
                        __builtin_prefetch(rows[r] + at + AHEAD_NEON / 2);
                    w[r - r0] = cpu_f16_16(rows[r] + at);
                }
                multiply_16(w, x + at, k, MB, r0, r0 + step, part == 0, t);
            }
        }
        CPU_UNROLL
        for (int i = 0; i < MB; i++)
            CPU_UNROLL
        for (int r = 0; r < RB; r++)
            sums[i][r] = vaddq_f32(sums[i][r], t[i][r]);
    }
}

CPU_INLINE void rows_128(const struct cpu_weights *w, int64_t n, const float *x, const int MB,
                         const int RB, float *y, int64_t stride, float *scratch)
{
    const int64_t k = w->columns;
    const struct row_set set = row_set(w, n, RB, scratch);
    float32x4_t sums[4][4];
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        sums[i][r] = vdupq_n_f32(0);
    if (w->dtype == CR_DTYPE_NF4)
        nf4_128((const uint8_t *const *)set.rows, (const float *const *)set.scales, x, k, MB, RB,
                sums);
    else if (w->dtype == CR_DTYPE_Q8_0)
        q8_0_128((const int8_t *const *)set.rows, (const uint16_t *const *)set.scales, x, k, MB, RB,
                 sums);
    else
        f16_128((const uint16_t *const *)set.rows, x, k, MB, RB, sums);
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        y[i * stride + n + r] = vaddvq_f32(sums[i][r]);
}
#endif

/* ---- All rows ---- */

#if CPU_X86 || CPU_ARM
/* One row of x stays in the first-level cache up to this length. A longer one is read from the
 * second for every row of W: then four rows share it (nf4, K = 14336: 4.3 ms one by one, 2.6 by
 * fours). */
#define LONG_X 6144

/* ALONE rows of W at a time for one row of x; two for more, which are then taken by four, two and
 * one. */
#define RUN(name, target, rows, ALONE)                                                             \
    target static void name(const struct cpu_weights *w, int64_t n0, int64_t n1, const float *x,   \
                            int m, float *y, int64_t stride, float *scratch)                       \
    {                                                                                              \
        const int64_t k = w->columns;                                                              \
        int64_t n = n0;                                                                            \
        for (; m == 1 && k <= LONG_X && n + ALONE <= n1; n += ALONE)                               \
            rows(w, n, x, 1, ALONE, y, stride, scratch);                                           \
        for (; m == 1 && k > LONG_X && n + 4 <= n1; n += 4)                                        \
            rows(w, n, x, 1, 4, y, stride, scratch);                                               \
        for (; n + 2 <= n1; n += 2) {                                                              \
            int i = 0;                                                                             \
            for (; i + 4 <= m; i += 4)                                                             \
                rows(w, n, x + i * k, 4, 2, y + i * stride, stride, scratch);                      \
            for (; i + 2 <= m; i += 2)                                                             \
                rows(w, n, x + i * k, 2, 2, y + i * stride, stride, scratch);                      \
            for (; i < m; i++)                                                                     \
                rows(w, n, x + i * k, 1, 2, y + i * stride, stride, scratch);                      \
        }                                                                                          \
        for (; n < n1; n++) {                                                                      \
            int i = 0;                                                                             \
            for (; i + 4 <= m; i += 4)                                                             \
                rows(w, n, x + i * k, 4, 1, y + i * stride, stride, scratch);                      \
            for (; i < m; i++)                                                                     \
                rows(w, n, x + i * k, 1, 1, y + i * stride, stride, scratch);                      \
        }                                                                                          \
    }
#endif
#if CPU_X86
RUN(blocks_avx512, CPU_TARGET_AVX512, rows_512, 1)
RUN(blocks_avx2, CPU_TARGET_AVX2, rows_256, 1)
#elif CPU_ARM
RUN(blocks_neon, , rows_128, 4)
#endif

/* Do rows consist of whole blocks, so that the kernels above can be used? */
static bool whole_blocks(const struct cpu_weights *w)
{
    return (w->dtype == CR_DTYPE_NF4 && w->columns % CPU_NF4_BLOCK == 0) ||
           ((w->dtype == CR_DTYPE_Q8_0 || w->dtype == CR_DTYPE_F16 ||
             (CPU_X86 && w->dtype == CR_DTYPE_F32)) &&
            w->columns % 32 == 0);
}

struct cpu_vector cpu_vector_choose(enum cpu_level level, const struct cpu_weights *w)
{
    bool nf4 = w->dtype == CR_DTYPE_NF4;
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        if (whole_blocks(w) && (!nf4 || w->columns % (2 * CPU_NF4_BLOCK) == 0))
            return (struct cpu_vector){level, "vector-avx512", nf4 ? CPU_X_NIBBLES_16 : CPU_X_PLAIN,
                                       blocks_avx512};
        return (struct cpu_vector){level, "vector-rows-avx512", CPU_X_PLAIN, rows_avx512};
    case CPU_AVX2:
        if (whole_blocks(w))
            return (struct cpu_vector){level, "vector-avx2", nf4 ? CPU_X_NIBBLES_8 : CPU_X_PLAIN,
                                       blocks_avx2};
        return (struct cpu_vector){level, "vector-rows-avx2", CPU_X_PLAIN, rows_avx2};
#elif CPU_ARM
    case CPU_NEON:
        if (whole_blocks(w))
            return (struct cpu_vector){level, "vector-neon", nf4 ? CPU_X_EVEN_ODD : CPU_X_PLAIN,
                                       blocks_neon};
        return (struct cpu_vector){level, "vector-rows-neon", CPU_X_PLAIN, rows_neon};
#endif
    default:
        (void)nf4;
        (void)whole_blocks;
        return (struct cpu_vector){level, "vector-rows-plain", CPU_X_PLAIN, rows_plain};
    }
}
