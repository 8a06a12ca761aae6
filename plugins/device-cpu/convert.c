/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "convert.h"
#include "lanes.h"
#include "weights.h"

/* ---- To f32 ---- */

typedef int32_t v8i_at __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint8_t v8b_at __attribute__((vector_size(8), aligned(1), may_alias));

CPU_INLINE void from_i32_body(enum cpu_level level, const int32_t *in, int64_t count, float *out)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES) {
        cpu_v8i whole = *(const v8i_at *)(const void *)(in + i);
        CPU_STORE8(out + i, __builtin_convertvector(whole, cpu_v8));
    }
    for (; i < count; i++)
        out[i] = (float)in[i];
}
CPU_VARIANTS(from_i32, (enum cpu_level level, const int32_t *in, int64_t count, float *out),
             (level, in, count, out))

CPU_INLINE void from_u8_body(enum cpu_level level, const uint8_t *in, int64_t count, float *out)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES) {
        v8b_at bytes = *(const v8b_at *)(const void *)(in + i);
        cpu_v8i whole = __builtin_convertvector(bytes, cpu_v8i);
        CPU_STORE8(out + i, __builtin_convertvector(whole, cpu_v8));
    }
    for (; i < count; i++)
        out[i] = in[i];
}
CPU_VARIANTS(from_u8, (enum cpu_level level, const uint8_t *in, int64_t count, float *out),
             (level, in, count, out))

void cpu_to_f32(enum cpu_level level, enum cr_dtype from, const void *in, int64_t count, float *out)
{
    if (from == CR_DTYPE_F16)
        cpu_f16_row(level, in, count, out);
    else if (from == CR_DTYPE_I32)
        from_i32(level, in, count, out);
    else if (from == CR_DTYPE_U8)
        from_u8(level, in, count, out);
    else
        memcpy(out, in, (size_t)count * sizeof(float));
}

const float *cpu_as_f32(enum cpu_level level, const struct cr_operand *operand, float *memory)
{
    if (!cpu_present(operand) || operand->dtype == CR_DTYPE_F32)
        return cpu_data(operand);
    cpu_to_f32(level, (enum cr_dtype)operand->dtype, cpu_data(operand), cpu_elements(operand),
               memory);
    return memory;
}

/* ---- From f32 ---- */

static void to_f16_plain(const float *in, int64_t count, uint16_t *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = cpu_f32_to_f16(in[i]);
}

#if CPU_X86
CPU_TARGET_AVX2 static void to_f16_avx2(const float *in, int64_t count, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(out + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    to_f16_plain(in + i, count - i, out + i);
}
#endif

/* Towards 0, to the nearest end where it does not fit, NaN to 0. */
static void to_i32_plain(const float *in, int64_t count, int32_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        float x = in[i];
        out[i] = x >= 0x1p31f ? INT32_MAX : x <= -0x1p31f ? INT32_MIN : x == x ? (int32_t)x : 0;
    }
}

static void to_u8_plain(const float *in, int64_t count, uint8_t *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = in[i] >= 255 ? 255 : in[i] > 0 ? (uint8_t)in[i] : 0;
}

#if CPU_X86
/* What does not fit becomes INT32_MIN, whose bits are those of INT32_MAX turned round. */
CPU_TARGET_AVX2 static void to_i32_avx2(const float *in, int64_t count, int32_t *out)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 x = _mm256_loadu_ps(in + i);
        __m256 above = _mm256_cmp_ps(x, _mm256_set1_ps(0x1p31f), _CMP_GE_OQ);
        __m256 number = _mm256_cmp_ps(x, x, _CMP_ORD_Q);
        __m256i whole = _mm256_xor_si256(_mm256_cvttps_epi32(x), _mm256_castps_si256(above));
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_and_si256(whole, _mm256_castps_si256(number)));
    }
    to_i32_plain(in + i, count - i, out + i);
}

/* max gives its second operand for a NaN. */
CPU_TARGET_AVX2 static void to_u8_avx2(const float *in, int64_t count, uint8_t *out)
{
    const __m256 most = _mm256_set1_ps(255);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i whole[4];
        CPU_UNROLL for (int j = 0; j < 4; j++)
        {
            __m256 x = _mm256_max_ps(_mm256_loadu_ps(in + i + 8 * j), _mm256_setzero_ps());
            whole[j] = _mm256_cvttps_epi32(_mm256_min_ps(x, most));
        }
        __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                                            _mm256_packs_epi32(whole[2], whole[3]));
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_permutevar8x32_epi32(bytes, order));
    }
    to_u8_plain(in + i, count - i, out + i);
}

static void from_f32_avx2(const float *in, int64_t count, enum cr_dtype to, void *out)
{
    if (to == CR_DTYPE_F16)
        to_f16_avx2(in, count, out);
    else if (to == CR_DTYPE_I32)
        to_i32_avx2(in, count, out);
    else
        to_u8_avx2(in, count, out);
}
#endif

static void from_f32_plain(const float *in, int64_t count, enum cr_dtype to, void *out)
{
    if (to == CR_DTYPE_F16)
        to_f16_plain(in, count, out);
    else if (to == CR_DTYPE_I32)
        to_i32_plain(in, count, out);
    else
        to_u8_plain(in, count, out);
}

void cpu_from_f32(enum cpu_level level, const float *in, int64_t count, enum cr_dtype to, void *out)
{
    if (to == CR_DTYPE_F32) {
        memcpy(out, in, (size_t)count * sizeof(float));
        return;
    }
#if CPU_X86
    if (level == CPU_AVX2 || level == CPU_AVX512) {
        from_f32_avx2(in, count, to, out);
        return;
    }
#endif
    (void)level;
    from_f32_plain(in, count, to, out);
}
