/* SPDX-License-Identifier: MIT */
/* Attention of few queries (decoding): each key and value is read once for all heads that share it,
 * in the order in which they lie. The keys are split into chunks of a fixed length, so that few
 * heads still keep many threads busy; chunks are joined in their order. */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "simd.h"
#include "vector.h"

#define CHUNK 512 /* keys of a task */
#define KEYS 32   /* keys that are loaded at once: their rows stay in the first-level cache */

struct few {
    const struct cpu_attention *a;
    int64_t rows;   /* group x queries */
    int64_t chunks; /* of the keys */
    float *parts;   /* [batch x key heads][chunks][rows][d + 2]: what each chunk summed up, its
                       maximum and sum */
    float *work;    /* for each worker: [KEYS][d] and [rows][KEYS] */
    size_t scratch;
};

/* out[i] += sum over keys of p[j] values[j][i]. A key that is hidden has p = 0, and must not be
 * felt even where its value is NaN. */
static void add_values_plain(float *out, const float *const *values, const float *p, int64_t count,
                             int64_t d)
{
    for (int64_t j = 0; j < count; j++)
        for (int64_t i = 0; i < d && p[j] != 0; i++)
            out[i] += p[j] * values[j][i];
}

#if CPU_X86
/* 64 columns of the sum stay in registers while the keys pass by. */
CPU_TARGET_AVX512 static void add_values_avx512(float *out, const float *const *values,
                                                const float *p, int64_t count, int64_t d)
{
    for (int64_t c = 0; c < d; c += 64) {
        __mmask16 mask[4];
        __m512 sums[4];
        CPU_UNROLL
        for (int v = 0; v < 4; v++) {
            int64_t left = d - c - 16 * v;
            mask[v] = left >= 16 ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
            sums[v] = _mm512_maskz_loadu_ps(mask[v], out + c + 16 * v);
        }
        for (int64_t j = 0; j < count; j++) {
            if (p[j] == 0)
                continue;
            const __m512 factor = _mm512_set1_ps(p[j]);
            CPU_UNROLL
            for (int v = 0; v < 4; v++)
                sums[v] = _mm512_fmadd_ps(
                    factor, _mm512_maskz_loadu_ps(mask[v], values[j] + c + 16 * v), sums[v]);
        }
        CPU_UNROLL
        for (int v = 0; v < 4; v++)
            _mm512_mask_storeu_ps(out + c + 16 * v, mask[v], sums[v]);
    }
}

CPU_TARGET_AVX2 static void add_values_avx2(float *out, const float *const *values, const float *p,
                                            int64_t count, int64_t d)
{
    int64_t c = 0;
    for (; c + 32 <= d; c += 32) {
        __m256 sums[4];
        CPU_UNROLL
        for (int v = 0; v < 4; v++)
            sums[v] = _mm256_loadu_ps(out + c + 8 * v);
        for (int64_t j = 0; j < count; j++) {
            if (p[j] == 0)
                continue;
            const __m256 factor = _mm256_set1_ps(p[j]);
            CPU_UNROLL
            for (int v = 0; v < 4; v++)
                sums[v] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(values[j] + c + 8 * v), sums[v]);
        }
        CPU_UNROLL
        for (int v = 0; v < 4; v++)
            _mm256_storeu_ps(out + c + 8 * v, sums[v]);
    }
    for (int64_t j = 0; j < count && c < d; j++)
        for (int64_t i = c; i < d && p[j] != 0; i++)
            out[i] += p[j] * values[j][i];
}
#endif

#if CPU_ARM
static void add_values_neon(float *out, const float *const *values, const float *p, int64_t count,
                            int64_t d)
{
    int64_t c = 0;
    for (; c + 16 <= d; c += 16) {
        float32x4_t sums[4];
        CPU_UNROLL
        for (int v = 0; v < 4; v++)
            sums[v] = vld1q_f32(out + c + 4 * v);
        for (int64_t j = 0; j < count; j++) {
            if (p[j] == 0)
                continue;
            CPU_UNROLL
            for (int v = 0; v < 4; v++)
                sums[v] = vfmaq_n_f32(sums[v], vld1q_f32(values[j] + c + 4 * v), p[j]);
        }
        CPU_UNROLL
        for (int v = 0; v < 4; v++)
            vst1q_f32(out + c + 4 * v, sums[v]);
    }
    for (int64_t j = 0; j < count && c < d; j++)
        for (int64_t i = c; i < d && p[j] != 0; i++)
            out[i] += p[j] * values[j][i];
}
#endif

static void add_values(enum cpu_level level, float *out, const float *const *values, const float *p,
                       int64_t count, int64_t d)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        add_values_avx512(out, values, p, count, d);
        break;
    case CPU_AVX2:
        add_values_avx2(out, values, p, count, d);
        break;
#elif CPU_ARM
    case CPU_NEON:
        add_values_neon(out, values, p, count, d);
        break;
#endif
    default:
        add_values_plain(out, values, p, count, d);
    }
}

/* Row r of a task is query r % queries of head r / queries of the group. */
static int64_t head_of(const struct cpu_attention *a, int64_t key_head, int64_t r)
{
    return key_head * a->group + r / a->queries;
}

/* The next keys, or values, are asked for while these are at work: pieces of one head are too short
 * for the processor to see them coming. */
static void ask_for(const struct cpu_attention *a, const void *from, int64_t b, int64_t key_head,
                    int64_t j)
{
    const int64_t size = a->half ? (int64_t)sizeof(uint16_t) : (int64_t)sizeof(float);
    int64_t at = j < a->keys ? cpu_attention_key(a, b, key_head, j) : -1;
    for (int64_t i = 0; i < a->d * size && at >= 0; i += 64)
        __builtin_prefetch((const char *)from + at * size + i);
}

/* Rows of k or v as f32, where they lie or in `memory`. */
static void load(const struct cpu_attention *a, const void *from, int64_t b, int64_t key_head,
                 int64_t j0, int64_t count, float *memory, const float **rows)
{
    for (int64_t j = 0; j < count; j++) {
        int64_t at = cpu_attention_key(a, b, key_head, j0 + j);
        ask_for(a, from, b, key_head, j0 + j + KEYS);
        rows[j] = memory + j * a->d;
        if (at >= 0 && !a->half)
            rows[j] = (const float *)from + at;
        else
            cpu_attention_load(a, from, at, memory + j * a->d);
    }
}

#if CPU_X86
/* The sums of the lanes of four vectors. */
CPU_TARGET_AVX512 CPU_INLINE __m128 sum_four_avx512(const __m512 *v)
{
    __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
    __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
    a = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xEE));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* scores[r * KEYS] = the product of row r of q and the key, for four rows. */
CPU_TARGET_AVX512 static void four_avx512(const float *q, const float *key, int64_t d,
                                          float *scores)
{
    __m512 sums[4];
    CPU_UNROLL
    for (int r = 0; r < 4; r++)
        sums[r] = _mm512_setzero_ps();
    for (int64_t i = 0; i < d; i += 16) {
        __mmask16 mask = d - i >= 16 ? 0xFFFF : (__mmask16)((1u << (d - i)) - 1);
        const __m512 k = _mm512_maskz_loadu_ps(mask, key + i);
        CPU_UNROLL
        for (int r = 0; r < 4; r++)
            sums[r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, q + r * d + i), k, sums[r]);
    }
    float four[4];
    _mm_storeu_ps(four, sum_four_avx512(sums));
    for (int r = 0; r < 4; r++)
        scores[r * KEYS] = four[r];
}
#endif

/* Rows of q that follow each other against the keys. */
static void multiply(const struct cpu_attention *a, const float *q, int64_t rows,
                     const float *const *keys, int64_t count, float *scores)
{
    int64_t r = 0;
#if CPU_X86
    for (; a->level == CPU_AVX512 && r + 4 <= rows; r += 4)
        for (int64_t j = 0; j < count; j++)
            four_avx512(q + r * a->d, keys[j], a->d, scores + r * KEYS + j);
#endif
    for (; r < rows; r++)
        for (int64_t j = 0; j < count; j++)
            scores[r * KEYS + j] = cpu_dot(a->level, q + r * a->d, keys[j], a->d);
}

static void task(void *argument, int64_t index, int worker)
{
    const struct few *f = argument;
    const struct cpu_attention *a = f->a;
    int64_t item = index / f->chunks, chunk = index % f->chunks;
    int64_t b = item / a->key_heads, key_head = item % a->key_heads;
    float *memory = f->work + (size_t)worker * f->scratch, *scores = memory + KEYS * a->d;
    const float *q = a->q + item * f->rows * a->d, *rows[KEYS];
    float *part = f->parts + index * f->rows * (a->d + 2);
    int64_t reach = cpu_attention_reach(a, b, a->queries - 1);
    int64_t end = (chunk + 1) * CHUNK < reach ? (chunk + 1) * CHUNK : reach;
    memset(part, 0, (size_t)(f->rows * (a->d + 2)) * sizeof(float));
    for (int64_t r = 0; r < f->rows; r++)
        part[r * (a->d + 2) + a->d] = -INFINITY;
    for (int64_t j0 = chunk * CHUNK; j0 < end; j0 += KEYS) {
        int64_t count = end - j0 < KEYS ? end - j0 : KEYS;
        load(a, a->k, b, key_head, j0, count, memory, rows);
        multiply(a, q, f->rows, rows, count, scores);
        for (int64_t r = 0; r < f->rows; r++) {
            float *out = part + r * (a->d + 2);
            const struct cpu_attention_row row = {b, head_of(a, key_head, r), r % a->queries};
            float factor = cpu_attention_soften(a, &row, j0, count, scores + r * KEYS, &out[a->d],
                                                &out[a->d + 1]);
            for (int64_t i = 0; i < a->d && factor != 1; i++)
                out[i] *= factor;
        }
        load(a, a->v, b, key_head, j0, count, memory, rows);
        for (int64_t r = 0; r < f->rows; r++)
            add_values(a->level, part + r * (a->d + 2), rows, scores + r * KEYS, count, a->d);
    }
}

/* Join the chunks of one row: all sums relative to the largest maximum. */
static void join(const struct few *f, int64_t item, int64_t r, float *y)
{
    const int64_t d = f->a->d, stride = f->rows * (d + 2);
    const float *first = f->parts + (item * f->chunks * f->rows + r) * (d + 2);
    float top = -INFINITY, sum = 0;
    for (int64_t c = 0; c < f->chunks; c++)
        top = first[c * stride + d] > top ? first[c * stride + d] : top;
    memset(y, 0, (size_t)d * sizeof(float));
    for (int64_t c = 0; c < f->chunks; c++) {
        const float *part = first + c * stride;
        if (part[d + 1] == 0)
            continue;
        float factor = part[d] == top ? 1 : expf(part[d] - top);
        sum += factor * part[d + 1];
        for (int64_t i = 0; i < d; i++)
            y[i] += factor * part[i];
    }
    float inverse = sum == 0 ? 0 : 1 / sum;
    for (int64_t i = 0; i < d; i++)
        y[i] *= inverse;
}

int cpu_attention_few(const struct cpu_attention *a, struct cr_error *err)
{
    struct few f = {.a = a, .rows = a->group * a->queries};
    f.chunks = a->keys == 0 ? 1 : (a->keys + CHUNK - 1) / CHUNK;
    int64_t items = a->batch * a->key_heads;
    size_t parts = (size_t)(items * f.chunks * f.rows * (a->d + 2));
    f.scratch = (size_t)(KEYS * a->d + f.rows * KEYS);
    size_t bytes = (parts + (size_t)cpu_pool_threads(a->cpu->pool) * f.scratch) * sizeof(float);
    if ((f.parts = cpu_caller_scratch(a->cpu, bytes)) == NULL)
        return cr_fail_memory(err, bytes);
    f.work = f.parts + parts;
    cpu_parallel(a->cpu->pool, items * f.chunks, task, &f);
    for (int64_t item = 0; item < items; item++)
        for (int64_t r = 0; r < f.rows; r++) {
            int64_t b = item / a->key_heads, head = head_of(a, item % a->key_heads, r);
            join(&f, item, r, a->y + ((b * a->heads + head) * a->queries + r % a->queries) * a->d);
        }
    return 0;
}
