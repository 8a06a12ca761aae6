/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "neon.h"
#include "weights.h"

struct cpu_weights cpu_weights(const struct cr_operand *operand)
{
    const char *memory = operand->memory;
    struct cpu_weights w = {
        .dtype = (enum cr_dtype)operand->dtype,
        .rows = operand->shape[0],
        .columns = operand->shape[1],
        .data = memory + operand->offset,
        .scales = memory + operand->scales,
    };
    if (operand->nested != 0) {
        w.nested = (const float *)(const void *)(memory + operand->nested);
        w.map = (const float *)(const void *)(memory + operand->nested_map);
    }
    return w;
}

size_t cpu_weights_row_bytes(const struct cpu_weights *w)
{
    size_t k = (size_t)w->columns;
    switch (w->dtype) {
    case CR_DTYPE_F16:
        return k * 2;
    case CR_DTYPE_Q8_0:
        return k + k / CPU_Q8_0_BLOCK * 2;
    case CR_DTYPE_NF4:
        return k / 2 + k / CPU_NF4_BLOCK * (w->nested != NULL ? 1 : 4);
    default:
        return k * 4;
    }
}

/* ---- f16 ---- */

float cpu_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1F,
             fraction = half & 0x3FF, bits;
    if (exponent == 0x1F) {
        bits = sign | 0x7F800000 | fraction << 13 | (fraction != 0 ? 0x400000 : 0);
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        float value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof(bits));
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint16_t cpu_f32_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000)
        return (uint16_t)(sign | 0x7E00 | (bits >> 13 & 0x3FF));
    if (bits >= 0x477FF000) /* 65520 and above round to infinity */
        return sign | 0x7C00;
    if (bits < 0x38800000) { /* below 2^-14: a denormal, in units of 2^-24 */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof(magnitude));
        float shifted = magnitude + 0.5f; /* one unit in the last place of 0.5 is 2^-24 */
        memcpy(&bits, &shifted, sizeof(bits));
        return (uint16_t)(sign | (bits - 0x3F000000));
    }
    uint32_t rounded = bits + 0xFFF + (bits >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

static void f16_row_plain(const uint16_t *half, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = cpu_f16_to_f32(half[i]);
}

#if CPU_X86
CPU_TARGET_AVX2 static void f16_row_avx2(const uint16_t *half, int64_t count, float *out)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(
            out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(half + i))));
    f16_row_plain(half + i, count - i, out + i);
}
#endif

#if CPU_X86
CPU_TARGET_AVX512 static void f16_row_avx512(const uint16_t *half, int64_t count, float *out)
{
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256(
                                      (const __m256i *)(const void *)(half + i))));
    f16_row_avx2(half + i, count - i, out + i);
}
#endif

#if CPU_ARM
static void f16_row_neon(const uint16_t *half, int64_t count, float *out)
{
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        float32x4x4_t w = cpu_f16_16(half + i);
        CPU_UNROLL
        for (int j = 0; j < 4; j++)
            vst1q_f32(out + i + 4 * j, w.val[j]);
    }
    f16_row_plain(half + i, count - i, out + i);
}
#endif

void cpu_f16_row(enum cpu_level level, const uint16_t *half, int64_t count, float *out)
{
#if CPU_X86
    if (level == CPU_AVX512) {
        f16_row_avx512(half, count, out);
        return;
    }
    if (level == CPU_AVX2) {
        f16_row_avx2(half, count, out);
        return;
    }
#elif CPU_ARM
    if (level == CPU_NEON) {
        f16_row_neon(half, count, out);
        return;
    }
#endif
    (void)level;
    f16_row_plain(half, count, out);
}

/* ---- Quantised rows ---- */

float cpu_weights_scale(const struct cpu_weights *w, int64_t block)
{
    if (w->dtype == CR_DTYPE_Q8_0)
        return cpu_f16_to_f32(((const uint16_t *)w->scales)[block]);
    if (w->nested == NULL)
        return ((const float *)w->scales)[block];
    float scaled = w->map[((const uint8_t *)w->scales)[block]] * w->nested[block / 256];
    return scaled + w->map[256];
}

/* count elements of one block, from flat index `at` on. */
static void nf4_piece_plain(const uint8_t *codes, int64_t at, int64_t count, float scale,
                            float *out)
{
    const float *values = cr_nf4_values();
    for (int64_t i = 0; i < count; i++) {
        int64_t index = at + i;
        uint8_t pair = codes[index / 2];
        out[i] = values[index % 2 == 0 ? pair >> 4 : pair & 15] * scale;
    }
}

static void q8_0_piece_plain(const int8_t *codes, int64_t at, int64_t count, float scale,
                             float *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)codes[at + i] * scale;
}

#if CPU_X86
/* A whole block of 64. The high nibble of each byte comes first. */
CPU_TARGET_AVX512 static void nf4_block_avx512(const uint8_t *codes, float scale, float *out)
{
    const __m512 values = _mm512_loadu_ps(cr_nf4_values());
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const __m512 factor = _mm512_set1_ps(scale);
    for (int i = 0; i < 2; i++) {
        __m512i pairs =
            _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(codes + 16 * i)));
        __m512 even = _mm512_permutexvar_ps(_mm512_srli_epi32(pairs, 4), values);
        __m512 odd = _mm512_permutexvar_ps(pairs, values);
        __m512 low = _mm512_permutex2var_ps(even, first, odd);
        __m512 high = _mm512_permutex2var_ps(even, second, odd);
        _mm512_storeu_ps(out + 32 * i, _mm512_mul_ps(low, factor));
        _mm512_storeu_ps(out + 32 * i + 16, _mm512_mul_ps(high, factor));
    }
}

CPU_TARGET_AVX512 static void q8_0_block_avx512(const int8_t *codes, float scale, float *out)
{
    const __m512 factor = _mm512_set1_ps(scale);
    for (int i = 0; i < 2; i++) {
        __m512i wide =
            _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(codes + 16 * i)));
        _mm512_storeu_ps(out + 16 * i, _mm512_mul_ps(_mm512_cvtepi32_ps(wide), factor));
    }
}

/* The values of 8 codes (in the low 4 bits of each element): two halves of the table, chosen by
 * bit 3. */
CPU_TARGET_AVX2 CPU_INLINE __m256 nf4_lookup_avx2(__m256i codes, __m256 low, __m256 high)
{
    __m256 a = _mm256_permutevar8x32_ps(low, codes);
    __m256 b = _mm256_permutevar8x32_ps(high, codes);
    return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28)));
}

CPU_TARGET_AVX2 static void nf4_block_avx2(const uint8_t *codes, float scale, float *out)
{
    const __m256 low = _mm256_loadu_ps(cr_nf4_values());
    const __m256 high = _mm256_loadu_ps(cr_nf4_values() + 8);
    const __m256 factor = _mm256_set1_ps(scale);
    for (int i = 0; i < 4; i++) {
        __m256i pairs =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(codes + 8 * i)));
        __m256 even =
            _mm256_mul_ps(nf4_lookup_avx2(_mm256_srli_epi32(pairs, 4), low, high), factor);
        __m256 odd = _mm256_mul_ps(nf4_lookup_avx2(pairs, low, high), factor);
        __m256 ab = _mm256_unpacklo_ps(even, odd), cd = _mm256_unpackhi_ps(even, odd);
        _mm256_storeu_ps(out + 16 * i, _mm256_permute2f128_ps(ab, cd, 0x20));
        _mm256_storeu_ps(out + 16 * i + 8, _mm256_permute2f128_ps(ab, cd, 0x31));
    }
}

CPU_TARGET_AVX2 static void q8_0_block_avx2(const int8_t *codes, float scale, float *out)
{
    const __m256 factor = _mm256_set1_ps(scale);
    for (int i = 0; i < 4; i++) {
        __m256i wide =
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(codes + 8 * i)));
        _mm256_storeu_ps(out + 8 * i, _mm256_mul_ps(_mm256_cvtepi32_ps(wide), factor));
    }
}
#endif

#if CPU_ARM
static void nf4_block_neon(const uint8_t *codes, float scale, float *out)
{
    const uint8x16x4_t planes = cpu_nf4_planes();
    for (int i = 0; i < 2; i++) {
        uint8x16_t pairs = vld1q_u8(codes + 16 * i);
        uint8x16_t even = vshrq_n_u8(pairs, 4), odd = vandq_u8(pairs, vdupq_n_u8(15));
        float32x4x4_t low = cpu_nf4_16(planes, vzip1q_u8(even, odd));
        float32x4x4_t high = cpu_nf4_16(planes, vzip2q_u8(even, odd));
        CPU_UNROLL
        for (int j = 0; j < 4; j++) {
            vst1q_f32(out + 32 * i + 4 * j, vmulq_n_f32(low.val[j], scale));
            vst1q_f32(out + 32 * i + 16 + 4 * j, vmulq_n_f32(high.val[j], scale));
        }
    }
}

static void q8_0_block_neon(const int8_t *codes, float scale, float *out)
{
    const uint8x16x4_t places = cpu_s8_places();
    for (int i = 0; i < CPU_Q8_0_BLOCK; i += 16) {
        float32x4x4_t w = cpu_s8_16(places, vld1q_s8(codes + i));
        CPU_UNROLL
        for (int j = 0; j < 4; j++)
            vst1q_f32(out + i + 4 * j, vmulq_n_f32(w.val[j], scale));
    }
}
#endif

static void nf4_block(enum cpu_level level, const uint8_t *codes, float scale, float *out)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        nf4_block_avx512(codes, scale, out);
        break;
    case CPU_AVX2:
        nf4_block_avx2(codes, scale, out);
        break;
#elif CPU_ARM
    case CPU_NEON:
        nf4_block_neon(codes, scale, out);
        break;
#endif
    default:
        nf4_piece_plain(codes, 0, CPU_NF4_BLOCK, scale, out);
    }
}

static void q8_0_block(enum cpu_level level, const int8_t *codes, float scale, float *out)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        q8_0_block_avx512(codes, scale, out);
        break;
    case CPU_AVX2:
        q8_0_block_avx2(codes, scale, out);
        break;
#elif CPU_ARM
    case CPU_NEON:
        q8_0_block_neon(codes, scale, out);
        break;
#endif
    default:
        q8_0_piece_plain(codes, 0, CPU_Q8_0_BLOCK, scale, out);
    }
}

/* Blocks run over the flattened matrix: a piece of a row starts and ends inside blocks. */
static void quantised_row(enum cpu_level level, const struct cpu_weights *w, int64_t at,
                          int64_t count, float *out)
{
    const int64_t size = w->dtype == CR_DTYPE_NF4 ? CPU_NF4_BLOCK : CPU_Q8_0_BLOCK;
    while (count > 0) {
        int64_t inside = at % size, piece = size - inside < count ? size - inside : count;
        float scale = cpu_weights_scale(w, at / size);
        if (w->dtype == CR_DTYPE_NF4 && piece == size)
            nf4_block(level, (const uint8_t *)w->data + at / 2, scale, out);
        else if (w->dtype == CR_DTYPE_NF4)
            nf4_piece_plain(w->data, at, piece, scale, out);
        else if (piece == size)
            q8_0_block(level, (const int8_t *)w->data + at, scale, out);
        else
            q8_0_piece_plain(w->data, at, piece, scale, out);
        at += piece;
        out += piece;
        count -= piece;
    }
}

void cpu_weights_row(enum cpu_level level, const struct cpu_weights *w, int64_t row, int64_t column,
                     int64_t count, float *out)
{
    int64_t at = row * w->columns + column;
    if (w->dtype == CR_DTYPE_F32)
        memcpy(out, (const float *)w->data + at, (size_t)count * sizeof(float));
    else if (w->dtype == CR_DTYPE_F16)
        cpu_f16_row(level, (const uint16_t *)w->data + at, count, out);
    else
        quantised_row(level, w, at, count, out);
}
