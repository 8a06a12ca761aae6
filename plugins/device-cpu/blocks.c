/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "blocks.h"
#include "simd.h"
#include "weights.h"

#define NF4_ZERO 7      /* the code of 0 */
#define NESTED_ZERO 127 /* the same in the dynamic map */
#define INFINITE 0x7F800000u

/* The largest f32 that is not above the middle between two values: v belongs to the upper one where
 * v > it. */
static float boundary(float low, float high)
{
    double middle = ((double)low + high) / 2;
    float rounded = (float)middle;
    return rounded > middle ? nextafterf(rounded, -INFINITY) : rounded;
}

/* The largest magnitude as bits, whose order is that of the numbers, with NaN above infinity. */
static uint32_t magnitude_plain(const float *x, int64_t count)
{
    uint32_t most = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    return most;
}

static float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* ---- q8_0 ---- */

/* The codes of a block with scale 1 / inverse. */
static void q8_0_codes_plain(const float *x, int64_t count, float inverse, int8_t *codes)
{
    for (int64_t i = 0; i < count; i++) {
        float code = rintf(x[i] * inverse);
        codes[i] = (int8_t)(code > 127 ? 127 : code >= -127 ? code : -127);
    }
}

#if CPU_X86
CPU_TARGET_AVX2 static uint32_t magnitude_avx2(const float *x, int64_t count)
{
    const __m256i mask = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i most = _mm256_setzero_si256();
    for (int64_t i = 0; i < count; i += 8) {
        __m256i bits = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
        most = _mm256_max_epi32(most, _mm256_and_si256(bits, mask));
    }
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(half);
}

CPU_TARGET_AVX2 CPU_INLINE __m256i q8_0_eight(const float *x, __m256 inverse)
{
    __m256 code = _mm256_mul_ps(_mm256_loadu_ps(x), inverse);
    code = _mm256_min_ps(code, _mm256_set1_ps(127));
    return _mm256_cvtps_epi32(_mm256_max_ps(code, _mm256_set1_ps(-127)));
}

/* A whole block of 32. */
CPU_TARGET_AVX2 static void q8_0_codes_avx2(const float *x, float inverse, int8_t *codes)
{
    const __m256 factor = _mm256_set1_ps(inverse);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i ab = _mm256_packs_epi32(q8_0_eight(x, factor), q8_0_eight(x + 8, factor));
    __m256i cd = _mm256_packs_epi32(q8_0_eight(x + 16, factor), q8_0_eight(x + 24, factor));
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd), order);
    _mm256_storeu_si256((__m256i *)(void *)codes, bytes);
}
#endif

static uint32_t magnitude(enum cpu_level level, const float *x, int64_t count)
{
#if CPU_X86
    if ((level == CPU_AVX2 || level == CPU_AVX512) && count % 8 == 0)
        return magnitude_avx2(x, count);
#endif
    (void)level;
    return magnitude_plain(x, count);
}

bool cpu_quantize_q8_0(enum cpu_level level, const float *x, int64_t count, int8_t *codes,
                       uint16_t *scales)
{
    uint32_t most = 0;
    for (int64_t i = 0; i < count; i += CPU_Q8_0_BLOCK) {
        int64_t size = count - i < CPU_Q8_0_BLOCK ? count - i : CPU_Q8_0_BLOCK;
        uint32_t here = magnitude(level, x + i, size);
        uint16_t half = cpu_f32_to_f16(as_float(here) / 127);
        float scale = cpu_f16_to_f32(half);
        most = here > most ? here : most;
        scales[i / CPU_Q8_0_BLOCK] = half;
        if (scale == 0 || here >= INFINITE)
            memset(codes + i, 0, (size_t)size);
#if CPU_X86
        else if ((level == CPU_AVX2 || level == CPU_AVX512) && size == CPU_Q8_0_BLOCK)
            q8_0_codes_avx2(x + i, 1 / scale, codes + i);
#endif
        else
            q8_0_codes_plain(x + i, size, 1 / scale, codes + i);
    }
    return most < INFINITE;
}

/* ---- nf4 ---- */

/* Between the values; the last is never passed. */
struct nf4_boundaries {
    float at[16];
};

static struct nf4_boundaries nf4_boundaries(void)
{
    const float *values = cr_nf4_values();
    struct nf4_boundaries b;
    for (int i = 0; i < 15; i++)
        b.at[i] = boundary(values[i], values[i + 1]);
    b.at[15] = INFINITY;
    return b;
}

static uint8_t nf4_code(const struct nf4_boundaries *b, float v)
{
    int code = v > b->at[7] ? 8 : 0;
    code += v > b->at[code + 3] ? 4 : 0;
    code += v > b->at[code + 1] ? 2 : 0;
    return (uint8_t)(code + (v > b->at[code] ? 1 : 0));
}

/* count elements of one block. */
static void nf4_codes_plain(const struct nf4_boundaries *b, const float *x, int64_t count,
                            float inverse, uint8_t *codes)
{
    for (int64_t i = 0; i < count; i += 2) {
        int high = nf4_code(b, x[i] * inverse);
        int low = i + 1 < count ? nf4_code(b, x[i + 1] * inverse) : 0;
        codes[i / 2] = (uint8_t)(high << 4 | low);
    }
}

#if CPU_X86
/* 16 codes at once, by the same search: 4 steps, each a look-up and a comparison. */
CPU_TARGET_AVX512 CPU_INLINE __m128i nf4_sixteen(__m512 boundaries, __m512 v)
{
    __m512i code = _mm512_setzero_si512();
    CPU_UNROLL for (int step = 8; step > 0; step /= 2)
    {
        __m512i middle = _mm512_add_epi32(code, _mm512_set1_epi32(step - 1));
        __mmask16 above =
            _mm512_cmp_ps_mask(v, _mm512_permutexvar_ps(middle, boundaries), _CMP_GT_OQ);
        code = _mm512_mask_add_epi32(code, above, code, _mm512_set1_epi32(step));
    }
    return _mm512_cvtepi32_epi8(code);
}

/* A whole block of 64. */
CPU_TARGET_AVX512 static void nf4_codes_avx512(const struct nf4_boundaries *b, const float *x,
                                               float inverse, uint8_t *codes)
{
    const __m512 boundaries = _mm512_loadu_ps(b->at), factor = _mm512_set1_ps(inverse);
    const __m128i weights = _mm_set1_epi16(0x0110); /* 16 for the even ones, 1 for the odd ones */
    CPU_UNROLL for (int i = 0; i < 64; i += 32)
    {
        __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + i), factor);
        __m512 w = _mm512_mul_ps(_mm512_loadu_ps(x + i + 16), factor);
        __m128i first = _mm_maddubs_epi16(nf4_sixteen(boundaries, v), weights);
        __m128i second = _mm_maddubs_epi16(nf4_sixteen(boundaries, w), weights);
        _mm_storeu_si128((__m128i *)(void *)(codes + i / 2), _mm_packus_epi16(first, second));
    }
}

/* 8 codes: the table is two halves, and the first comparison says in which one the rest goes on. */
CPU_TARGET_AVX2 CPU_INLINE __m256i nf4_eight(__m256 low, __m256 high, __m256 v)
{
    __m256 middle = _mm256_permutevar8x32_ps(low, _mm256_set1_epi32(7));
    __m256 upper = _mm256_cmp_ps(v, middle, _CMP_GT_OQ);
    __m256i code = _mm256_setzero_si256();
    CPU_UNROLL for (int step = 4; step > 0; step /= 2)
    {
        __m256i at = _mm256_add_epi32(code, _mm256_set1_epi32(step - 1));
        __m256 boundary = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, at),
                                           _mm256_permutevar8x32_ps(high, at), upper);
        __m256i above = _mm256_castps_si256(_mm256_cmp_ps(v, boundary, _CMP_GT_OQ));
        code = _mm256_add_epi32(code, _mm256_and_si256(above, _mm256_set1_epi32(step)));
    }
    return _mm256_add_epi32(code,
                            _mm256_and_si256(_mm256_castps_si256(upper), _mm256_set1_epi32(8)));
}

CPU_TARGET_AVX2 static void nf4_codes_avx2(const struct nf4_boundaries *b, const float *x,
                                           float inverse, uint8_t *codes)
{
    const __m256 low = _mm256_loadu_ps(b->at), high = _mm256_loadu_ps(b->at + 8);
    const __m256 factor = _mm256_set1_ps(inverse);
    const __m256i weights = _mm256_set1_epi16(0x0110);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int i = 0; i < 64; i += 32) {
        __m256i code[4];
        CPU_UNROLL for (int j = 0; j < 4; j++)
        {
            code[j] = nf4_eight(low, high, _mm256_mul_ps(_mm256_loadu_ps(x + i + 8 * j), factor));
        }
        __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(code[0], code[1]),
                                            _mm256_packs_epi32(code[2], code[3]));
        bytes = _mm256_maddubs_epi16(_mm256_permutevar8x32_epi32(bytes, order), weights);
        __m128i packed =
            _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
        _mm_storeu_si128((__m128i *)(void *)(codes + i / 2), packed);
    }
}
#endif

static void nf4_codes(enum cpu_level level, const struct nf4_boundaries *b, const float *x,
                      int64_t count, float inverse, uint8_t *codes)
{
#if CPU_X86
    if (level == CPU_AVX512 && count == CPU_NF4_BLOCK) {
        nf4_codes_avx512(b, x, inverse, codes);
        return;
    }
    if (level == CPU_AVX2 && count == CPU_NF4_BLOCK) {
        nf4_codes_avx2(b, x, inverse, codes);
        return;
    }
#endif
    (void)level;
    nf4_codes_plain(b, x, count, inverse, codes);
}

bool cpu_quantize_nf4(enum cpu_level level, const float *x, int64_t count, uint8_t *codes,
                      float *absmax)
{
    const struct nf4_boundaries boundaries = nf4_boundaries();
    uint32_t most = 0;
    for (int64_t i = 0; i < count; i += CPU_NF4_BLOCK) {
        int64_t size = count - i < CPU_NF4_BLOCK ? count - i : CPU_NF4_BLOCK;
        uint32_t here = magnitude(level, x + i, size);
        most = here > most ? here : most;
        absmax[i / CPU_NF4_BLOCK] = as_float(here);
        if (here == 0) {
            memset(codes + i / 2, NF4_ZERO << 4 | NF4_ZERO, (size_t)(size / 2));
            if (size % 2 != 0)
                codes[(i + size) / 2] = NF4_ZERO << 4;
        } else {
            nf4_codes(level, &boundaries, x + i, size, 1 / as_float(here), codes + i / 2);
        }
    }
    return most < INFINITE;
}

/* ---- The second level ---- */

float cpu_nested_offset(const float *absmax, int64_t blocks)
{
    double sum = 0;
    for (int64_t i = 0; i < blocks; i++)
        sum += absmax[i];
    return blocks > 0 ? (float)(sum / (double)blocks) : 0;
}

static uint8_t nested_code(const float boundaries[256], float v)
{
    int code = 0;
    for (int step = 128; step > 0; step /= 2)
        code += v > boundaries[code + step - 1] ? step : 0;
    return (uint8_t)code;
}

void cpu_quantize_absmax(const float *absmax, int64_t blocks, float offset, uint8_t *codes,
                         float *nested)
{
    const float *map = cr_dynamic_map();
    float boundaries[256];
    for (int i = 0; i < 255; i++)
        boundaries[i] = boundary(map[i], map[i + 1]);
    boundaries[255] = INFINITY;
    for (int64_t i = 0; i < blocks; i += CPU_NESTED_BLOCK) {
        int64_t end = blocks - i < CPU_NESTED_BLOCK ? blocks : i + CPU_NESTED_BLOCK;
        float most = 0;
        for (int64_t j = i; j < end; j++)
            most = fabsf(absmax[j] - offset) > most ? fabsf(absmax[j] - offset) : most;
        float inverse = 1 / most;
        for (int64_t j = i; j < end; j++)
            codes[j] =
                most == 0 ? NESTED_ZERO : nested_code(boundaries, (absmax[j] - offset) * inverse);
        nested[i / CPU_NESTED_BLOCK] = most;
    }
}
