/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "convert.h"
#include "lanes.h"
#include "weights.h"

/* ---- To f32 ---- */

typedef int32_t v16i_at __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint8_t v16b_at __attribute__((vector_size(16), aligned(1), may_alias));

CPU_INLINE void from_i32_body(enum cpu_level level, const int32_t *in, int64_t count, float *out)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES) {
        cpu_v16i whole = *(const v16i_at *)(const void *)(in + i);
        CPU_STORE16(out + i, __builtin_convertvector(whole, cpu_v16));
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
        v16b_at bytes = *(const v16b_at *)(const void *)(in + i);
        cpu_v16i whole = __builtin_convertvector(bytes, cpu_v16i);
        CPU_STORE16(out + i, __builtin_convertvector(whole, cpu_v16));
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
static inline int32_t to_i32(float x)
{
    if (x >= 0x1p31f)
        return INT32_MAX;
    if (x <= -0x1p31f)
        return INT32_MIN;
    return x == x ? (int32_t)x : 0;
}

static inline uint8_t to_u8(float x)
{
    return x >= 255 ? 255 : x > 0 ? (uint8_t)x : 0;
}

void cpu_from_f32(enum cpu_level level, const float *in, int64_t count, enum cr_dtype to, void *out)
{
    if (to == CR_DTYPE_F16) {
#if CPU_X86
        if (level >= CPU_AVX2) {
            to_f16_avx2(in, count, out);
            return;
        }
#endif
        (void)level;
        to_f16_plain(in, count, out);
    } else if (to == CR_DTYPE_I32) {
        for (int64_t i = 0; i < count; i++)
            ((int32_t *)out)[i] = to_i32(in[i]);
    } else if (to == CR_DTYPE_U8) {
        for (int64_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = to_u8(in[i]);
    } else {
        memcpy(out, in, (size_t)count * sizeof(float));
    }
}
