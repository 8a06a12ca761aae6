/* SPDX-License-Identifier: MIT */
/* Attention by rows: the scores of one query become weights. */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "lanes.h"
#include "vmath.h"

void cpu_attention_load(const struct cpu_attention *a, const void *from, int64_t at, float *out)
{
    if (at < 0)
        memset(out, 0, (size_t)a->d * sizeof(float));
    else if (a->half)
        cpu_f16_row(a->level, (const uint16_t *)from + at, a->d, out);
    else
        memcpy(out, (const float *)from + at, (size_t)a->d * sizeof(float));
}

CPU_INLINE void scale_body(enum cpu_level level, const float *x, int64_t count, float factor,
                           float *y)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES)
        CPU_STORE8(y + i, CPU_LOAD8(x + i) * factor);
    for (; i < count; i++)
        y[i] = x[i] * factor;
}
CPU_VARIANTS(scale, (enum cpu_level level, const float *x, int64_t count, float factor, float *y),
             (level, x, count, factor, y))

void cpu_attention_scale(enum cpu_level level, const float *x, int64_t count, float factor,
                         float *y)
{
    scale(level, x, count, factor, y);
}

/* ---- Scaled, biased, hidden; and the largest ---- */

/* What stands over the scores of a query for some keys. */
struct cover {
    float scale;
    const float *bias;   /* NULL: none */
    const uint8_t *mask; /* NULL: none */
    const int32_t *rows; /* NULL: none */
};

/* Scores from..count-1. A NaN is never the largest. */
static float cover_plain(const struct cover *c, int64_t from, int64_t count, float *scores,
                         float largest)
{
    for (int64_t j = from; j < count; j++) {
        float score = scores[j] * c->scale;
        if (c->bias != NULL)
            score += c->bias[j];
        if ((c->mask != NULL && c->mask[j] == 0) || (c->rows != NULL && c->rows[j] < 0))
            score = -INFINITY;
        scores[j] = score;
        largest = score > largest ? score : largest;
    }
    return largest;
}

#if CPU_X86
CPU_TARGET_AVX512 static float cover_avx512(const struct cover *c, int64_t count, float *scores)
{
    const __m512 scale = _mm512_set1_ps(c->scale), hidden = _mm512_set1_ps(-INFINITY);
    __m512 largest = hidden;
    for (int64_t j = 0; j < count; j += 16) {
        __mmask16 seen = count - j >= 16 ? 0xFFFF : (__mmask16)((1u << (count - j)) - 1);
        __m512 score = _mm512_mul_ps(_mm512_maskz_loadu_ps(seen, scores + j), scale);
        if (c->bias != NULL)
            score = _mm512_add_ps(score, _mm512_maskz_loadu_ps(seen, c->bias + j));
        if (c->mask != NULL) {
            __m128i mask = _mm_maskz_loadu_epi8(seen, c->mask + j);
            seen = _mm_test_epi8_mask(mask, mask);
        }
        if (c->rows != NULL) {
            __m512i rows = _mm512_maskz_loadu_epi32(seen, c->rows + j);
            seen = _mm512_mask_cmpge_epi32_mask(seen, rows, _mm512_setzero_si512());
        }
        score = _mm512_mask_mov_ps(hidden, seen, score);
        largest = _mm512_max_ps(score, largest);
        _mm512_storeu_ps(scores + j, score);
    }
    return _mm512_reduce_max_ps(largest);
}

CPU_TARGET_AVX2 static float cover_avx2(const struct cover *c, int64_t count, float *scores)
{
    const __m256 scale = _mm256_set1_ps(c->scale), hidden = _mm256_set1_ps(-INFINITY);
    __m256 largest = hidden;
    int64_t j = 0;
    for (; j + 8 <= count; j += 8) {
        __m256 score = _mm256_mul_ps(_mm256_loadu_ps(scores + j), scale);
        if (c->bias != NULL)
            score = _mm256_add_ps(score, _mm256_loadu_ps(c->bias + j));
        if (c->mask != NULL) {
            __m256i mask =
                _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(c->mask + j)));
            mask = _mm256_cmpeq_epi32(mask, _mm256_setzero_si256());
            score = _mm256_blendv_ps(score, hidden, _mm256_castsi256_ps(mask));
        }
        if (c->rows != NULL) /* the sign decides */
            score = _mm256_blendv_ps(score, hidden,
                                     _mm256_loadu_ps((const float *)(const void *)(c->rows + j)));
        largest = _mm256_max_ps(score, largest);
        _mm256_storeu_ps(scores + j, score);
    }
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    half = _mm_max_ss(half, _mm_movehdup_ps(half));
    return cover_plain(c, j, count, scores, _mm_cvtss_f32(half));
}
#endif

#if CPU_ARM
static float cover_neon(const struct cover *c, int64_t count, float *scores)
{
    const float32x4_t hidden = vdupq_n_f32(-INFINITY);
    float32x4_t largest = hidden;
    int64_t j = 0;
    for (; j + 4 <= count; j += 4) {
        float32x4_t score = vmulq_n_f32(vld1q_f32(scores + j), c->scale);
        if (c->bias != NULL)
            score = vaddq_f32(score, vld1q_f32(c->bias + j));
        if (c->mask != NULL) {
            uint32_t four;
            memcpy(&four, c->mask + j, sizeof(four));
            uint32x4_t mask = vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
            score = vbslq_f32(vceqzq_u32(mask), hidden, score);
        }
        if (c->rows != NULL)
            score = vbslq_f32(vcltzq_s32(vld1q_s32(c->rows + j)), hidden, score);
        largest = vmaxnmq_f32(largest, score);
        vst1q_f32(scores + j, score);
    }
    return cover_plain(c, j, count, scores, vmaxnmvq_f32(largest));
}
#endif

static float cover(enum cpu_level level, const struct cover *c, int64_t count, float *scores)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return cover_avx512(c, count, scores);
    case CPU_AVX2:
        return cover_avx2(c, count, scores);
#elif CPU_ARM
    case CPU_NEON:
        return cover_neon(c, count, scores);
#endif
    default:
        return cover_plain(c, 0, count, scores, -INFINITY);
    }
}

/* ---- exp(score - maximum), and the sum ---- */

/* `count` is a CPU_ATTENTION_ROOM() in all of them. */
static float exp_and_sum_plain(float *x, int64_t count, float maximum)
{
    float sum = 0;
    for (int64_t j = 0; j < count; j++) {
        x[j] = expf(x[j] - maximum);
        sum += x[j];
    }
    return sum;
}

#if CPU_X86
CPU_TARGET_AVX512 static float exp_and_sum_avx512(float *x, int64_t count, float maximum)
{
    const __m512 top = _mm512_set1_ps(maximum);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t j = 0; j < count; j += 16) {
        __m512 e = cpu_exp_weight_512(_mm512_sub_ps(_mm512_loadu_ps(x + j), top));
        _mm512_storeu_ps(x + j, e);
        sum = _mm512_add_ps(sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

CPU_TARGET_AVX2 static float exp_and_sum_avx2(float *x, int64_t count, float maximum)
{
    const __m256 top = _mm256_set1_ps(maximum);
    __m256 sum = _mm256_setzero_ps();
    for (int64_t j = 0; j < count; j += 8) {
        __m256 e = cpu_exp_weight_256(_mm256_sub_ps(_mm256_loadu_ps(x + j), top));
        _mm256_storeu_ps(x + j, e);
        sum = _mm256_add_ps(sum, e);
    }
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
#endif

#if CPU_ARM
static float exp_and_sum_neon(float *x, int64_t count, float maximum)
{
    const float32x4_t top = vdupq_n_f32(maximum);
    float32x4_t sum = vdupq_n_f32(0);
    for (int64_t j = 0; j < count; j += 4) {
        float32x4_t e = cpu_exp_weight_neon(vsubq_f32(vld1q_f32(x + j), top));
        vst1q_f32(x + j, e);
        sum = vaddq_f32(sum, e);
    }
    return vaddvq_f32(sum);
}
#endif

static float exp_and_sum(enum cpu_level level, float *x, int64_t count, float maximum)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return exp_and_sum_avx512(x, count, maximum);
    case CPU_AVX2:
        return exp_and_sum_avx2(x, count, maximum);
#elif CPU_ARM
    case CPU_NEON:
        return exp_and_sum_neon(x, count, maximum);
#endif
    default:
        return exp_and_sum_plain(x, count, maximum);
    }
}

/* ---- Both ---- */

/* All of a row is hidden so far. The weights are 0, unless a score is NaN, which no maximum shows.
 */
static void nothing_seen(float *scores, int64_t count, float *sum)
{
    for (int64_t j = 0; j < count; j++) {
        if (scores[j] != scores[j])
            *sum = NAN;
        scores[j] = 0;
    }
}

float cpu_attention_soften(const struct cpu_attention *a, const struct cpu_attention_row *row,
                           int64_t j0, int64_t count, float *scores, float *maximum, float *sum)
{
    struct cover c = {.scale = a->scale};
    if (a->bias.data != NULL)
        c.bias = (const float *)a->bias.data + row->b * a->bias.batch + row->head * a->bias.head +
                 row->query * a->bias.query + j0;
    if (a->mask.data != NULL)
        c.mask = (const uint8_t *)a->mask.data + row->b * a->mask.batch + row->head * a->mask.head +
                 row->query * a->mask.query + j0;
    if (a->rows != NULL)
        c.rows = a->rows + row->b * a->keys + j0;
    int64_t seen = cpu_attention_reach(a, row->b, row->query) - j0;
    seen = seen < 0 ? 0 : seen < count ? seen : count;
    float top = cover(a->level, &c, seen, scores);
    top = top > *maximum ? top : *maximum;
    count = CPU_ATTENTION_ROOM(count);
    for (int64_t j = seen; j < count; j++)
        scores[j] = -INFINITY;
    if (top == -INFINITY && *sum == 0) {
        nothing_seen(scores, count, sum);
        return 1;
    }
    float factor = *maximum == top ? 1 : *maximum == -INFINITY ? 0 : expf(*maximum - top);
    *maximum = top;
    *sum = *sum * factor + exp_and_sum(a->level, scores, count, top);
    return factor;
}
