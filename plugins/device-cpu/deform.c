/* SPDX-License-Identifier: MIT */
/* Multi-scale deformable attention (Deformable DETR, arXiv 2010.04159): for each query and head a
 * few bilinear samples of the levels, weighted. */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "simd.h"

#define QUERIES 32 /* of a task */
#define MAX_LEVELS 8

struct deform {
    enum cpu_level level;
    const float *value, *locations, *weights;
    float *y;
    int64_t rows, queries, cells, heads, d, levels, points;
    int64_t height[MAX_LEVELS], width[MAX_LEVELS], start[MAX_LEVELS];
};

/* One of the four cells around a sample: where its value lies, and its share. */
struct corner {
    const float *value;
    float weight;
};

static void add_corners_plain(const struct corner *corners, int count, int64_t d, float *out)
{
    for (int c = 0; c < count; c++)
        for (int64_t i = 0; i < d; i++)
            out[i] += corners[c].weight * corners[c].value[i];
}

#if CPU_X86
CPU_TARGET_AVX2 static void add_corners_avx2(const struct corner *corners, int count, int64_t d,
                                             float *out)
{
    int64_t i = 0;
    for (; i + 8 <= d; i += 8) {
        __m256 sum = _mm256_loadu_ps(out + i);
        for (int c = 0; c < count; c++)
            sum = _mm256_fmadd_ps(_mm256_set1_ps(corners[c].weight),
                                  _mm256_loadu_ps(corners[c].value + i), sum);
        _mm256_storeu_ps(out + i, sum);
    }
    for (int c = 0; c < count; c++)
        for (int64_t j = i; j < d; j++)
            out[j] += corners[c].weight * corners[c].value[j];
}
#endif

#if CPU_ARM
static void add_corners_neon(const struct corner *corners, int count, int64_t d, float *out)
{
    int64_t i = 0;
    for (; i + 4 <= d; i += 4) {
        float32x4_t sum = vld1q_f32(out + i);
        for (int c = 0; c < count; c++)
            sum = vfmaq_n_f32(sum, vld1q_f32(corners[c].value + i), corners[c].weight);
        vst1q_f32(out + i, sum);
    }
    for (int c = 0; c < count; c++)
        for (int64_t j = i; j < d; j++)
            out[j] += corners[c].weight * corners[c].value[j];
}
#endif

static void add_corners(enum cpu_level level, const struct corner *corners, int count, int64_t d,
                        float *out)
{
#if CPU_X86
    if (level >= CPU_AVX2) {
        add_corners_avx2(corners, count, d, out);
        return;
    }
#elif CPU_ARM
    if (level == CPU_NEON) {
        add_corners_neon(corners, count, d, out);
        return;
    }
#endif
    (void)level;
    add_corners_plain(corners, count, d, out);
}

/* One sample at (x, y) in 0..1 of a level; pixel centres lie at (i + 1/2) / size. Cells outside are
 * zeros. */
static void add_sample(const struct deform *f, const float *level, int64_t height, int64_t width,
                       const float *at, float weight, float *out)
{
    float x = at[0] * (float)width - 0.5f, y = at[1] * (float)height - 0.5f;
    /* Far outside nothing is sampled, and the conversion to a whole number would not be defined. A
     * NaN is no place: it makes the result NaN. */
    if (x != x || y != y) {
        for (int64_t i = 0; i < f->d; i++)
            out[i] = NAN;
        return;
    }
    if (x <= -1 || y <= -1 || x >= (float)width || y >= (float)height)
        return;
    float left = floorf(x), top = floorf(y), fx = x - left, fy = y - top;
    const float shares[4] = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
    struct corner corners[4];
    int count = 0;
    for (int c = 0; c < 4; c++) {
        int64_t row = (int64_t)top + c / 2, column = (int64_t)left + c % 2;
        if (row < 0 || column < 0 || row >= height || column >= width)
            continue;
        corners[count++] =
            (struct corner){level + (row * width + column) * f->heads * f->d, weight * shares[c]};
    }
    add_corners(f->level, corners, count, f->d, out);
}

static void task(void *argument, int64_t index, int worker)
{
    const struct deform *f = argument;
    (void)worker;
    const int64_t samples = f->levels * f->points;
    int64_t end = (index + 1) * QUERIES < f->rows ? (index + 1) * QUERIES : f->rows;
    for (int64_t row = index * QUERIES; row < end; row++)
        for (int64_t h = 0; h < f->heads; h++) {
            const float *base = f->value + (row / f->queries * f->cells * f->heads + h) * f->d;
            const float *at = f->locations + (row * f->heads + h) * samples * 2;
            const float *weight = f->weights + (row * f->heads + h) * samples;
            float *out = f->y + (row * f->heads + h) * f->d;
            memset(out, 0, (size_t)f->d * sizeof(float));
            for (int64_t s = 0; s < samples; s++) {
                int64_t l = s / f->points;
                add_sample(f, base + f->start[l] * f->heads * f->d, f->height[l], f->width[l],
                           at + 2 * s, weight[s], out);
            }
        }
}

int cpu_ms_deform_attn(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *value = &call->in[0], *weights = &call->in[2];
    (void)err;
    struct deform f = {
        .level = cpu_level(cpu),
        .value = cpu_data(value),
        .locations = cpu_data(&call->in[1]),
        .weights = cpu_data(weights),
        .y = cpu_data(&call->out[0]),
        .rows = weights->shape[0],
        .queries = call->out[0].shape[1],
        .cells = value->shape[1],
        .heads = value->shape[2],
        .d = value->shape[3],
        .levels = call->ints[0],
        .points = call->ints[1],
    };
    int64_t start = 0;
    for (int64_t l = 0; l < f.levels; l++) {
        f.height[l] = call->ints[2 + 2 * l];
        f.width[l] = call->ints[3 + 2 * l];
        f.start[l] = start;
        start += f.height[l] * f.width[l];
    }
    cpu_parallel(cpu->pool, (f.rows + QUERIES - 1) / QUERIES, task, &f);
    return 0;
}
