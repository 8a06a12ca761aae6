/* SPDX-License-Identifier: MIT */
/* vmath.h: exp, sigmoid and erf in vectors. NaN stays NaN, exp overflows to infinity and underflows
 * through the denormals to 0.
 *
 * exp: x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7 in Horner's form;
 * relative error under 2e-7. erf: Abramowitz and Stegun, Handbook of Mathematical
 * Functions, 7.1.26; absolute error under 2e-7. */
#ifndef CPU_VMATH_H
#define CPU_VMATH_H

#include <math.h>

#include "simd.h"

#define CPU_LOG2E 1.44269504088896341f
#define CPU_LN2_HIGH 0.693359375f /* exact in 9 bits, so that n times it is exact */
#define CPU_LN2_LOW (-2.12194440e-4f)
#define CPU_EXP_MAX 88.8f   /* beyond it e^x overflows */
#define CPU_EXP_MIN -104.0f /* below it e^x is 0 */

/* A weight of softmax, exp(x) for x <= 0, is 0 below it: beside the largest weight, which is 1, it
 * would not be felt, and numbers without leading 1 are slow on some processors. */
#define CPU_EXP_WEIGHT_MIN -87.0f

#define CPU_ERF_P 0.3275911f
#define CPU_ERF_A1 0.254829592f
#define CPU_ERF_A2 -0.284496736f
#define CPU_ERF_A3 1.421413741f
#define CPU_ERF_A4 -1.453152027f
#define CPU_ERF_A5 1.061405429f

#if CPU_X86
/* min and max return their second operand when one is NaN: x comes second, so that NaN survives. */
CPU_TARGET_AVX512 CPU_INLINE __m512 cpu_exp_unbounded_512(__m512 x)
{
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(CPU_LOG2E)),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(CPU_LN2_HIGH), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(CPU_LN2_LOW), r);
    __m512 p = _mm512_set1_ps(1 / 5040.0f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1 / 720.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1 / 120.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1 / 24.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1 / 6.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    return _mm512_scalef_ps(p, n);
}

CPU_TARGET_AVX512 CPU_INLINE __m512 cpu_exp_512(__m512 x)
{
    x = _mm512_min_ps(_mm512_set1_ps(CPU_EXP_MAX), x);
    return cpu_exp_unbounded_512(_mm512_max_ps(_mm512_set1_ps(CPU_EXP_MIN), x));
}

CPU_TARGET_AVX512 CPU_INLINE __m512 cpu_exp_weight_512(__m512 x)
{
    __mmask16 felt = _mm512_cmp_ps_mask(x, _mm512_set1_ps(CPU_EXP_WEIGHT_MIN), _CMP_NLT_UQ);
    return _mm512_maskz_mov_ps(felt, cpu_exp_unbounded_512(x));
}

CPU_TARGET_AVX512 CPU_INLINE __m512 cpu_sigmoid_512(__m512 x)
{
    __m512 e = cpu_exp_512(_mm512_sub_ps(_mm512_setzero_ps(), x));
    return _mm512_div_ps(_mm512_set1_ps(1), _mm512_add_ps(_mm512_set1_ps(1), e));
}

CPU_TARGET_AVX512 CPU_INLINE __m512 cpu_erf_512(__m512 x)
{
    __m512 a = _mm512_abs_ps(x);
    __m512 t = _mm512_div_ps(_mm512_set1_ps(1),
                             _mm512_fmadd_ps(_mm512_set1_ps(CPU_ERF_P), a, _mm512_set1_ps(1)));
    __m512 p = _mm512_set1_ps(CPU_ERF_A5);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(CPU_ERF_A4));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(CPU_ERF_A3));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(CPU_ERF_A2));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(CPU_ERF_A1));
    __m512 e = cpu_exp_512(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(a, a)));
    __m512 y = _mm512_fnmadd_ps(_mm512_mul_ps(p, t), e, _mm512_set1_ps(1));
    __m512 sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0f));
    return _mm512_or_ps(y, sign);
}

/* e^x = the result times 2^n. */
CPU_TARGET_AVX2 CPU_INLINE __m256 cpu_exp_parts_256(__m256 x, __m256i *whole)
{
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(CPU_LOG2E)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    *whole = _mm256_cvtps_epi32(n);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(CPU_LN2_HIGH), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(CPU_LN2_LOW), r);
    __m256 p = _mm256_set1_ps(1 / 5040.0f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1 / 720.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1 / 120.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1 / 24.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1 / 6.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    return _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
}

CPU_TARGET_AVX2 CPU_INLINE __m256 cpu_exp_256(__m256 x)
{
    __m256i whole;
    x = _mm256_min_ps(_mm256_set1_ps(CPU_EXP_MAX), x);
    __m256 p = cpu_exp_parts_256(_mm256_max_ps(_mm256_set1_ps(CPU_EXP_MIN), x), &whole);
    /* 2^n in two steps: n goes down to -150, below the exponents of normal numbers. */
    __m256i first = _mm256_srai_epi32(whole, 1), second = _mm256_sub_epi32(whole, first);
    const __m256i bias = _mm256_set1_epi32(127);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(p, a), b);
}

CPU_TARGET_AVX2 CPU_INLINE __m256 cpu_exp_weight_256(__m256 x)
{
    __m256i whole;
    __m256 felt = _mm256_cmp_ps(x, _mm256_set1_ps(CPU_EXP_WEIGHT_MIN), _CMP_NLT_UQ);
    __m256 p = cpu_exp_parts_256(x, &whole);
    whole = _mm256_slli_epi32(_mm256_add_epi32(whole, _mm256_set1_epi32(127)), 23);
    return _mm256_and_ps(felt, _mm256_mul_ps(p, _mm256_castsi256_ps(whole)));
}

CPU_TARGET_AVX2 CPU_INLINE __m256 cpu_sigmoid_256(__m256 x)
{
    __m256 e = cpu_exp_256(_mm256_sub_ps(_mm256_setzero_ps(), x));
    return _mm256_div_ps(_mm256_set1_ps(1), _mm256_add_ps(_mm256_set1_ps(1), e));
}

CPU_TARGET_AVX2 CPU_INLINE __m256 cpu_erf_256(__m256 x)
{
    const __m256 minus_zero = _mm256_set1_ps(-0.0f);
    __m256 a = _mm256_andnot_ps(minus_zero, x);
    __m256 t = _mm256_div_ps(_mm256_set1_ps(1),
                             _mm256_fmadd_ps(_mm256_set1_ps(CPU_ERF_P), a, _mm256_set1_ps(1)));
    __m256 p = _mm256_set1_ps(CPU_ERF_A5);
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(CPU_ERF_A4));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(CPU_ERF_A3));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(CPU_ERF_A2));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(CPU_ERF_A1));
    __m256 e = cpu_exp_256(_mm256_sub_ps(_mm256_setzero_ps(), _mm256_mul_ps(a, a)));
    __m256 y = _mm256_fnmadd_ps(_mm256_mul_ps(p, t), e, _mm256_set1_ps(1));
    return _mm256_or_ps(y, _mm256_and_ps(x, minus_zero));
}
#endif

#if CPU_ARM
/* e^x = the result times 2^n. */
CPU_INLINE float32x4_t cpu_exp_parts_neon(float32x4_t x, int32x4_t *whole)
{
    float32x4_t n = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(CPU_LOG2E)));
    *whole = vcvtq_s32_f32(n);
    float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(CPU_LN2_HIGH));
    r = vfmsq_f32(r, n, vdupq_n_f32(CPU_LN2_LOW));
    float32x4_t p = vdupq_n_f32(1 / 5040.0f);
    p = vfmaq_f32(vdupq_n_f32(1 / 720.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1 / 120.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1 / 24.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1 / 6.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1), p, r);
    return vfmaq_f32(vdupq_n_f32(1), p, r);
}

/* min and max of a NaN are NaN. */
CPU_INLINE float32x4_t cpu_exp_neon(float32x4_t x)
{
    int32x4_t whole;
    x = vminq_f32(x, vdupq_n_f32(CPU_EXP_MAX));
    float32x4_t p = cpu_exp_parts_neon(vmaxq_f32(x, vdupq_n_f32(CPU_EXP_MIN)), &whole);
    /* 2^n in two steps: n goes down to -150, below the exponents of normal numbers. */
    int32x4_t first = vshrq_n_s32(whole, 1), second = vsubq_s32(whole, first);
    const int32x4_t bias = vdupq_n_s32(127);
    float32x4_t a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(first, bias), 23));
    float32x4_t b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(second, bias), 23));
    return vmulq_f32(vmulq_f32(p, a), b);
}

CPU_INLINE float32x4_t cpu_exp_weight_neon(float32x4_t x)
{
    int32x4_t whole;
    uint32x4_t unfelt = vcltq_f32(x, vdupq_n_f32(CPU_EXP_WEIGHT_MIN));
    float32x4_t p = cpu_exp_parts_neon(x, &whole);
    whole = vshlq_n_s32(vaddq_s32(whole, vdupq_n_s32(127)), 23);
    return vbslq_f32(unfelt, vdupq_n_f32(0), vmulq_f32(p, vreinterpretq_f32_s32(whole)));
}

CPU_INLINE float32x4_t cpu_sigmoid_neon(float32x4_t x)
{
    const float32x4_t one = vdupq_n_f32(1);
    return vdivq_f32(one, vaddq_f32(one, cpu_exp_neon(vnegq_f32(x))));
}

CPU_INLINE float32x4_t cpu_erf_neon(float32x4_t x)
{
    const float32x4_t one = vdupq_n_f32(1);
    float32x4_t a = vabsq_f32(x);
    float32x4_t t = vdivq_f32(one, vfmaq_f32(one, vdupq_n_f32(CPU_ERF_P), a));
    float32x4_t p = vdupq_n_f32(CPU_ERF_A5);
    p = vfmaq_f32(vdupq_n_f32(CPU_ERF_A4), p, t);
    p = vfmaq_f32(vdupq_n_f32(CPU_ERF_A3), p, t);
    p = vfmaq_f32(vdupq_n_f32(CPU_ERF_A2), p, t);
    p = vfmaq_f32(vdupq_n_f32(CPU_ERF_A1), p, t);
    float32x4_t e = cpu_exp_neon(vnegq_f32(vmulq_f32(a, a)));
    float32x4_t y = vfmsq_f32(one, vmulq_f32(p, t), e);
    return vbslq_f32(vdupq_n_u32(0x80000000), x, y); /* the sign of x */
}
#endif

#endif
