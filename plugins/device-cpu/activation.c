/* SPDX-License-Identifier: MIT */
#include "activation.h"
#include "vmath.h"

/* ---- Plain ---- */

static inline float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

CPU_INLINE float activate_one(const int activation, float x)
{
    switch (activation) {
    case CR_ACTIVATION_GELU:
        return 0.5f * x * (1 + erff(x * 0.70710678118654752f));
    case CR_ACTIVATION_QUICK_GELU:
        return x * sigmoid(1.702f * x);
    case CR_ACTIVATION_SILU:
        return x * sigmoid(x);
    case CR_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case CPU_ACTIVATION_SIGMOID:
        return sigmoid(x);
    default:
        return x;
    }
}

static void activate_plain(int activation, float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = activate_one(activation, x[i]);
}

/* One function for each activation, inlined into one that chooses. */
#define DISPATCH(name, target, run)                                                                \
    target static void name(int activation, float *x, int64_t count)                               \
    {                                                                                              \
        switch (activation) {                                                                      \
        case CR_ACTIVATION_GELU:                                                                   \
            run(CR_ACTIVATION_GELU, x, count);                                                     \
            break;                                                                                 \
        case CR_ACTIVATION_QUICK_GELU:                                                             \
            run(CR_ACTIVATION_QUICK_GELU, x, count);                                               \
            break;                                                                                 \
        case CR_ACTIVATION_SILU:                                                                   \
            run(CR_ACTIVATION_SILU, x, count);                                                     \
            break;                                                                                 \
        case CR_ACTIVATION_RELU:                                                                   \
            run(CR_ACTIVATION_RELU, x, count);                                                     \
            break;                                                                                 \
        default:                                                                                   \
            run(CPU_ACTIVATION_SIGMOID, x, count);                                                 \
        }                                                                                          \
    }

/* ---- x86-64 ---- */

#if CPU_X86
CPU_TARGET_AVX512 CPU_INLINE __m512 activate_512(const int activation, __m512 x)
{
    switch (activation) {
    case CR_ACTIVATION_GELU: {
        __m512 e = cpu_erf_512(_mm512_mul_ps(x, _mm512_set1_ps(0.70710678118654752f)));
        return _mm512_mul_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.5f)),
                             _mm512_add_ps(e, _mm512_set1_ps(1)));
    }
    case CR_ACTIVATION_QUICK_GELU:
        return _mm512_mul_ps(x, cpu_sigmoid_512(_mm512_mul_ps(x, _mm512_set1_ps(1.702f))));
    case CR_ACTIVATION_SILU:
        return _mm512_mul_ps(x, cpu_sigmoid_512(x));
    case CR_ACTIVATION_RELU:
        return _mm512_max_ps(_mm512_setzero_ps(), x);
    default:
        return cpu_sigmoid_512(x);
    }
}

CPU_TARGET_AVX2 CPU_INLINE __m256 activate_256(const int activation, __m256 x)
{
    switch (activation) {
    case CR_ACTIVATION_GELU: {
        __m256 e = cpu_erf_256(_mm256_mul_ps(x, _mm256_set1_ps(0.70710678118654752f)));
        return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_set1_ps(0.5f)),
                             _mm256_add_ps(e, _mm256_set1_ps(1)));
    }
    case CR_ACTIVATION_QUICK_GELU:
        return _mm256_mul_ps(x, cpu_sigmoid_256(_mm256_mul_ps(x, _mm256_set1_ps(1.702f))));
    case CR_ACTIVATION_SILU:
        return _mm256_mul_ps(x, cpu_sigmoid_256(x));
    case CR_ACTIVATION_RELU:
        return _mm256_max_ps(_mm256_setzero_ps(), x);
    default:
        return cpu_sigmoid_256(x);
    }
}

CPU_TARGET_AVX512 CPU_INLINE void run_512(const int activation, float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = count - i >= 16 ? 0xFFFF : (__mmask16)((1u << (count - i)) - 1);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        _mm512_mask_storeu_ps(x + i, mask, activate_512(activation, v));
    }
}

/* The last few go through a vector that is filled up, so that an element's result does not depend
 * on its place. */
CPU_TARGET_AVX2 CPU_INLINE void run_256(const int activation, float *x, int64_t count)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(x + i, activate_256(activation, _mm256_loadu_ps(x + i)));
    if (i == count)
        return;
    float rest[8] = {0};
    for (int64_t j = i; j < count; j++)
        rest[j - i] = x[j];
    _mm256_storeu_ps(rest, activate_256(activation, _mm256_loadu_ps(rest)));
    for (int64_t j = i; j < count; j++)
        x[j] = rest[j - i];
}

DISPATCH(activate_avx512, CPU_TARGET_AVX512, run_512)
DISPATCH(activate_avx2, CPU_TARGET_AVX2, run_256)
#endif

/* ---- AArch64 ---- */

#if CPU_ARM
CPU_INLINE float32x4_t activate_neon_4(const int activation, float32x4_t x)
{
    switch (activation) {
    case CR_ACTIVATION_GELU: {
        float32x4_t e = cpu_erf_neon(vmulq_n_f32(x, 0.70710678118654752f));
        return vmulq_f32(vmulq_n_f32(x, 0.5f), vaddq_f32(e, vdupq_n_f32(1)));
    }
    case CR_ACTIVATION_QUICK_GELU:
        return vmulq_f32(x, cpu_sigmoid_neon(vmulq_n_f32(x, 1.702f)));
    case CR_ACTIVATION_SILU:
        return vmulq_f32(x, cpu_sigmoid_neon(x));
    case CR_ACTIVATION_RELU: /* NaN and -0 stay: no maximum does that */
        return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vcltzq_f32(x)));
    default:
        return cpu_sigmoid_neon(x);
    }
}

CPU_INLINE void run_neon(const int activation, float *x, int64_t count)
{
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        vst1q_f32(x + i, activate_neon_4(activation, vld1q_f32(x + i)));
    if (i == count)
        return;
    float rest[4] = {0};
    for (int64_t j = i; j < count; j++)
        rest[j - i] = x[j];
    vst1q_f32(rest, activate_neon_4(activation, vld1q_f32(rest)));
    for (int64_t j = i; j < count; j++)
        x[j] = rest[j - i];
}

DISPATCH(activate_neon, , run_neon)
#endif

void cpu_activate(enum cpu_level level, int activation, float *x, int64_t count)
{
    if (activation == CR_ACTIVATION_NONE)
        return;
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        activate_avx512(activation, x, count);
        break;
    case CPU_AVX2:
        activate_avx2(activation, x, count);
        break;
#elif CPU_ARM
    case CPU_NEON:
        activate_neon(activation, x, count);
        break;
#endif
    default:
        activate_plain(activation, x, count);
    }
}

void cpu_silu_mul(enum cpu_level level, const float *a, const float *b, float *y, int64_t count)
{
    /* In pieces that stay in the first-level cache. */
    enum {
        PIECE = 1024
    };
    for (int64_t i = 0; i < count; i += PIECE) {
        int64_t n = count - i < PIECE ? count - i : PIECE;
        float piece[PIECE];
        for (int64_t j = 0; j < n; j++)
            piece[j] = a[i + j];
        cpu_activate(level, CR_ACTIVATION_SILU, piece, n);
        for (int64_t j = 0; j < n; j++)
            y[i + j] = piece[j] * b[i + j];
    }
}
