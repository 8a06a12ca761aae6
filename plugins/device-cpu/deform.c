/* SPDX-License-Identifier: MIT */
/* Multi-scale deformable attention (Deformable DETR, arXiv 2010.04159): for each query and head a
 * few bilinear samples of the levels, weighted.
 *
 * Where the samples of one query and head fall is worked out first, eight at a time; the cells are
 * then summed up in registers, and none of their addresses waits for anything. */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "lanes.h"

#define QUERIES 32 /* of a task */

/* The levels of eight samples that follow each other. */
struct levels {
    cpu_v8 width, height;
    cpu_v8i columns, rows; /* the same as whole numbers */
    cpu_v8i start;         /* the first cell */
};

struct deform {
    enum cpu_level level;
    const float *value, *locations, *weights;
    float *y;
    int64_t rows, queries, cells, heads, d, samples;
    struct levels *levels;
};

/* The four cells around each of eight samples. */
struct corners {
    cpu_v8i cell[4], inside[4]; /* -1; 0 where there is no such cell */
    cpu_v8i all, any;           /* of these four */
    cpu_v8i unknown;            /* the place is NaN */
    cpu_v8 share[4];
};

/* ---- Places ---- */

/* Samples at (x, y) in 0..1 of their levels; pixel centres lie at (i + 1/2) / size. Far outside
 * nothing is sampled, and the conversion to a whole number would not be defined. */
CPU_INLINE void find_corners_body(enum cpu_level level, const struct levels *of,
                                  const float *places, const float *weights, struct corners *out)
{
    (void)level;
    const cpu_v8 p0 = CPU_LOAD8(places), p1 = CPU_LOAD8(places + CPU_LANES);
    cpu_v8 x = CPU_EVEN8(p0, p1) * of->width - 0.5f, y = CPU_ODD8(p0, p1) * of->height - 0.5f;
    cpu_v8i near = (x > -1.0f) & (y > -1.0f) & (x < of->width) & (y < of->height);
    out->unknown = (x != x) | (y != y);
    x = (cpu_v8)((cpu_v8i)x & near);
    y = (cpu_v8)((cpu_v8i)y & near);
    cpu_v8i left = __builtin_convertvector(x, cpu_v8i), top = __builtin_convertvector(y, cpu_v8i);
    left += __builtin_convertvector(left, cpu_v8) > x; /* towards minus infinity */
    top += __builtin_convertvector(top, cpu_v8) > y;
    const cpu_v8 fx = x - __builtin_convertvector(left, cpu_v8);
    const cpu_v8 fy = y - __builtin_convertvector(top, cpu_v8);
    CPU_UNROLL
    for (int c = 0; c < 4; c++) {
        cpu_v8i row = top + c / 2, column = left + c % 2;
        out->cell[c] = of->start + row * of->columns + column;
        out->inside[c] =
            near & (row >= 0) & (column >= 0) & (row < of->rows) & (column < of->columns);
        out->share[c] =
            CPU_LOAD8(weights) * ((c / 2 != 0 ? fy : 1 - fy) * (c % 2 != 0 ? fx : 1 - fx));
    }
    out->all = out->inside[0] & out->inside[1] & out->inside[2] & out->inside[3];
    out->any = out->inside[0] | out->inside[1] | out->inside[2] | out->inside[3];
}
CPU_VARIANTS(find_corners,
             (enum cpu_level level, const struct levels *of, const float *places,
              const float *weights, struct corners *out),
             (level, of, places, weights, out))

/* ---- Sums ---- */

/* Which of eight samples are summed up, and from where. */
struct sum {
    const struct corners *corners;
    const float *base; /* of the head, in the first cell */
    int64_t stride;    /* from cell to cell */
    int first;         /* sample that is taken, with all after it */
};

static const float *value_at(const struct sum *s, int c, int j)
{
    return s->base + s->corners->cell[c][j] * s->stride;
}

/* Numbers from..d-1 of a cell, one by one. */
static void add_rest(const struct sum *s, int64_t from, int64_t d, float *out)
{
    for (int j = s->first; j < CPU_LANES && from < d; j++)
        for (int c = 0; c < 4; c++) {
            const float *value = value_at(s, c, j), share = s->corners->share[c][j];
            for (int64_t i = from; i < d && s->corners->inside[c][j] != 0; i++)
                out[i] += share * value[i];
        }
}

#if CPU_X86
/* 8 NV numbers of each cell. Two corners at a time, so that sums do not wait for each other. */
CPU_TARGET_AVX2 CPU_INLINE void add_block_avx2(const int NV, const struct sum *s, int64_t at,
                                               float *out)
{
    const struct corners *corners = s->corners;
    __m256 sums[2][4];
    CPU_UNROLL
    for (int v = 0; v < NV; v++) {
        sums[0][v] = _mm256_loadu_ps(out + at + 8 * v);
        sums[1][v] = _mm256_setzero_ps();
    }
    for (int j = s->first; j < CPU_LANES; j++) {
        if (corners->any[j] == 0)
            continue;
        CPU_UNROLL
        for (int c = 0; c < 4; c++) {
            if (corners->all[j] == 0 && corners->inside[c][j] == 0)
                continue;
            const float *value = value_at(s, c, j) + at;
            const __m256 share = _mm256_set1_ps(corners->share[c][j]);
            CPU_UNROLL
            for (int v = 0; v < NV; v++)
                sums[c % 2][v] =
                    _mm256_fmadd_ps(share, _mm256_loadu_ps(value + 8 * v), sums[c % 2][v]);
        }
    }
    CPU_UNROLL
    for (int v = 0; v < NV; v++)
        _mm256_storeu_ps(out + at + 8 * v, _mm256_add_ps(sums[0][v], sums[1][v]));
}

CPU_TARGET_AVX2 static void add_avx2(const struct sum *s, int64_t d, float *out)
{
    int64_t i = 0;
    for (; i + 32 <= d; i += 32)
        add_block_avx2(4, s, i, out);
    for (; i + 8 <= d; i += 8)
        add_block_avx2(1, s, i, out);
    add_rest(s, i, d, out);
}
#endif

#if CPU_ARM
CPU_INLINE void add_block_neon(const int NV, const struct sum *s, int64_t at, float *out)
{
    const struct corners *corners = s->corners;
    float32x4_t sums[8];
    CPU_UNROLL
    for (int v = 0; v < NV; v++)
        sums[v] = vld1q_f32(out + at + 4 * v);
    for (int j = s->first; j < CPU_LANES; j++) {
        CPU_UNROLL
        for (int c = 0; c < 4; c++) {
            if (corners->inside[c][j] == 0)
                continue;
            const float *value = value_at(s, c, j) + at;
            CPU_UNROLL
            for (int v = 0; v < NV; v++)
                sums[v] = vfmaq_n_f32(sums[v], vld1q_f32(value + 4 * v), corners->share[c][j]);
        }
    }
    CPU_UNROLL
    for (int v = 0; v < NV; v++)
        vst1q_f32(out + at + 4 * v, sums[v]);
}

static void add_neon(const struct sum *s, int64_t d, float *out)
{
    int64_t i = 0;
    for (; i + 32 <= d; i += 32)
        add_block_neon(8, s, i, out);
    for (; i + 4 <= d; i += 4)
        add_block_neon(1, s, i, out);
    add_rest(s, i, d, out);
}
#endif

/* out[d] += the samples. */
static void add(enum cpu_level level, const struct sum *s, int64_t d, float *out)
{
#if CPU_X86
    if (level >= CPU_AVX2) {
        add_avx2(s, d, out);
        return;
    }
#elif CPU_ARM
    if (level == CPU_NEON) {
        add_neon(s, d, out);
        return;
    }
#endif
    (void)level;
    add_rest(s, 0, d, out);
}

/* ---- A task ---- */

/* The first of the eight samples that are number `group`. Behind the last whole eight, some have
 * had their turn already. */
static int64_t first_of(const struct deform *f, int64_t group)
{
    const int64_t s = group * CPU_LANES;
    return s + CPU_LANES <= f->samples || s == 0 ? s : f->samples - CPU_LANES;
}

/* All samples of query and head `item`. */
static void sample(const struct deform *f, const float *base, int64_t item, float *out)
{
    const float *places = f->locations + item * f->samples * 2;
    const float *weights = f->weights + item * f->samples;
    float few_places[2 * CPU_LANES] = {0}, few_weights[CPU_LANES] = {0};
    struct corners corners;
    struct sum sum = {.corners = &corners, .base = base, .stride = f->heads * f->d};
    int32_t unknown = 0;
    if (f->samples < CPU_LANES) {
        memcpy(few_places, places, (size_t)f->samples * 2 * sizeof(float));
        memcpy(few_weights, weights, (size_t)f->samples * sizeof(float));
        places = few_places;
        weights = few_weights;
    }
    memset(out, 0, (size_t)f->d * sizeof(float));
    for (int64_t group = 0; group * CPU_LANES < f->samples; group++) {
        const int64_t first = first_of(f, group);
        sum.first = (int)(group * CPU_LANES - first);
        find_corners(f->level, &f->levels[group], places + 2 * first, weights + first, &corners);
        for (int j = 0; j < CPU_LANES; j++)
            unknown |= corners.unknown[j];
        add(f->level, &sum, f->d, out);
    }
    /* A NaN is no place: it makes the result NaN. */
    for (int64_t i = 0; i < f->d && unknown != 0; i++)
        out[i] = NAN;
}

static void task(void *argument, int64_t index, int worker)
{
    const struct deform *f = argument;
    (void)worker;
    const int64_t end = (index + 1) * QUERIES < f->rows ? (index + 1) * QUERIES : f->rows;
    for (int64_t row = index * QUERIES; row < end; row++)
        for (int64_t h = 0; h < f->heads; h++) {
            const float *base = f->value + (row / f->queries * f->cells * f->heads + h) * f->d;
            sample(f, base, row * f->heads + h, f->y + (row * f->heads + h) * f->d);
        }
}

/* The level of each sample; they lie [levels][points]. Where there are less than eight, the others
 * are of a level without cells. */
static void set_levels(struct deform *f, const struct cr_call *call)
{
    const int64_t points = call->ints[1], *sizes = call->ints + 2;
    for (int64_t group = 0; group * CPU_LANES < f->samples; group++)
        for (int64_t j = 0; j < CPU_LANES && j < f->samples; j++) {
            struct levels *of = &f->levels[group];
            const int64_t level = (first_of(f, group) + j) / points;
            of->height[j] = (float)sizes[2 * level];
            of->width[j] = (float)sizes[2 * level + 1];
            of->rows[j] = (int32_t)sizes[2 * level];
            of->columns[j] = (int32_t)sizes[2 * level + 1];
            for (int64_t l = 0; l < level; l++)
                of->start[j] += (int32_t)(sizes[2 * l] * sizes[2 * l + 1]);
        }
}

int cpu_ms_deform_attn(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *value = &call->in[0], *weights = &call->in[2];
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
        .samples = call->ints[0] * call->ints[1],
    };
    size_t bytes = (size_t)(f.samples / CPU_LANES + 1) * sizeof(*f.levels);
    if ((f.levels = cpu_caller_scratch(cpu, bytes)) == NULL)
        return cr_fail_memory(err, bytes);
    memset(f.levels, 0, bytes);
    set_levels(&f, call);
    cpu_parallel(cpu->pool, (f.rows + QUERIES - 1) / QUERIES, task, &f);
    return 0;
}
