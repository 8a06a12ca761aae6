/* SPDX-License-Identifier: MIT */
/* Rows by their numbers: gather, scatter, embedding, the key and value cache, rope. */
#include <string.h>

#include "convert.h"
#include "lanes.h"
#include "layout.h"
#include "spans.h"
#include "weights.h"

struct rows {
    enum cpu_level level;
    const int32_t *list; /* row numbers */
    int64_t count;       /* of them */
    int64_t limit;       /* rows that there are */
    int64_t length;      /* elements of a row */
    const float *x;
    float *y;
    struct cpu_weights table;
};

static bool usable(const struct rows *job, int32_t row)
{
    return row >= 0 && row < job->limit;
}

/* Report the first number that is out of range. Below 0, down to `least`, means no row. */
static void check_rows(struct cpu *cpu, const struct cr_call *call, const char *name,
                       const struct rows *job, int32_t least)
{
    for (int64_t i = 0; i < job->count; i++) {
        if (job->list[i] >= least && job->list[i] < job->limit)
            continue;
        cpu_late(cpu, call, "%s[%lld] is %d, there are %lld rows", name, (long long)i, job->list[i],
                 (long long)job->limit);
        return;
    }
}

/* ---- gather, scatter ---- */

static void gather_span(void *argument, int64_t from, int64_t to)
{
    const struct rows *job = argument;
    size_t bytes = (size_t)job->length * sizeof(float);
    for (int64_t i = from; i < to; i++) {
        float *y = job->y + i * job->length;
        if (usable(job, job->list[i]))
            memcpy(y, job->x + job->list[i] * job->length, bytes);
        else
            memset(y, 0, bytes);
    }
}

int cpu_gather_rows(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0], *rows = &call->in[1], *y = &call->out[0];
    struct rows job = {
        .list = cpu_data(rows),
        .count = rows->shape[0],
        .limit = x->shape[0],
        .x = cpu_data(x),
        .y = cpu_data(y),
        .length = 1,
    };
    for (int i = 1; i < y->rank; i++)
        job.length *= y->shape[i];
    check_rows(cpu, call, "rows", &job, -1);
    cpu_spans(cpu, job.count, job.length, gather_span, &job);
    return 0;
}

static void scatter_span(void *argument, int64_t from, int64_t to)
{
    const struct rows *job = argument;
    for (int64_t i = from; i < to; i++)
        if (usable(job, job->list[i]))
            memcpy(job->y + job->list[i] * job->length, job->x + i * job->length,
                   (size_t)job->length * sizeof(float));
}

/* y += x */
CPU_INLINE void accumulate_body(enum cpu_level level, const float *x, int64_t count, float *y)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES)
        CPU_STORE8(y + i, CPU_LOAD8(y + i) + CPU_LOAD8(x + i));
    for (; i < count; i++)
        y[i] += x[i];
}
CPU_VARIANTS(accumulate, (enum cpu_level level, const float *x, int64_t count, float *y),
             (level, x, count, y))

/* Columns are shared out, in groups, so that each number is added to in the order of the list. */
#define GROUP 256

static void scatter_add_span(void *argument, int64_t from, int64_t to)
{
    const struct rows *job = argument;
    int64_t first = from * GROUP, end = to * GROUP;
    end = end < job->length ? end : job->length;
    for (int64_t i = 0; i < job->count; i++)
        if (usable(job, job->list[i]))
            accumulate(job->level, job->x + i * job->length + first, end - first,
                       job->y + job->list[i] * job->length + first);
}

static struct rows scatter_job(struct cpu *cpu, const struct cr_call *call)
{
    const struct cr_operand *rows = &call->in[0], *x = &call->out[0];
    struct rows job = {
        .level = cpu_level(cpu),
        .list = cpu_data(rows),
        .count = rows->shape[0],
        .limit = x->shape[0],
        .x = cpu_data(&call->in[1]),
        .y = cpu_data(x),
        .length = 1,
    };
    for (int i = 1; i < x->rank; i++)
        job.length *= x->shape[i];
    check_rows(cpu, call, "rows", &job, -1);
    return job;
}

int cpu_scatter_rows(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    struct rows job = scatter_job(cpu, call);
    cpu_spans(cpu, job.count, job.length, scatter_span, &job);
    return 0;
}

int cpu_scatter_add_rows(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    struct rows job = scatter_job(cpu, call);
    cpu_spans(cpu, (job.length + GROUP - 1) / GROUP, job.count * GROUP, scatter_add_span, &job);
    return 0;
}

/* ---- embedding ---- */

static void embedding_span(void *argument, int64_t from, int64_t to)
{
    const struct rows *job = argument;
    for (int64_t i = from; i < to; i++) {
        float *y = job->y + i * job->length;
        if (usable(job, job->list[i]))
            cpu_weights_row(job->level, &job->table, job->list[i], 0, job->length, y);
        else
            memset(y, 0, (size_t)job->length * sizeof(float));
    }
}

int cpu_embedding(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *ids = &call->in[1];
    struct rows job = {
        .level = cpu_level(cpu),
        .list = cpu_data(ids),
        .count = cpu_elements(ids),
        .y = cpu_data(&call->out[0]),
        .table = cpu_weights(&call->in[0]),
    };
    job.limit = job.table.rows;
    job.length = job.table.columns;
    check_rows(cpu, call, "ids", &job, INT32_MIN);
    cpu_spans(cpu, job.count, job.length, embedding_span, &job);
    return 0;
}

/* ---- kv_append ---- */

struct append {
    enum cpu_level level;
    enum cr_dtype dtype;
    const int32_t *positions;
    const float *x;
    char *cache;
    int64_t length, heads, d, room;
    bool shared;
};

static void append_span(void *argument, int64_t from, int64_t to)
{
    const struct append *job = argument;
    size_t size = cr_dtype_size(job->dtype);
    for (int64_t i = from; i < to; i++) {
        int64_t item = job->shared ? 0 : i / job->length;
        if (job->positions[i] < 0 || job->positions[i] >= job->room)
            continue;
        for (int64_t h = 0; h < job->heads; h++) {
            int64_t row = (item * job->heads + h) * job->room + job->positions[i];
            cpu_from_f32(job->level, job->x + (i * job->heads + h) * job->d, job->d, job->dtype,
                         job->cache + (size_t)(row * job->d) * size);
        }
    }
}

int cpu_kv_append(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0], *cache = &call->out[0];
    struct append job = {
        .level = cpu_level(cpu),
        .dtype = (enum cr_dtype)cache->dtype,
        .positions = cpu_data(&call->in[1]),
        .x = cpu_data(x),
        .cache = cpu_data(cache),
        .length = x->shape[1],
        .heads = x->shape[2],
        .d = x->shape[3],
        .room = cache->shape[2],
        .shared = call->ints[0] != 0,
    };
    cpu_spans(cpu, x->shape[0] * job.length, job.heads * job.d, append_span, &job);
    return 0;
}

/* ---- rope ---- */

struct rope {
    struct rows rows;
    const float *cosines, *sines;
    int64_t half;
};

/* The two halves of one head. */
CPU_INLINE void rotate_body(enum cpu_level level, const float *x, const float *c, const float *s,
                            int64_t half, float *y)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= half; i += CPU_LANES) {
        cpu_v8 a = CPU_LOAD8(x + i), b = CPU_LOAD8(x + half + i);
        cpu_v8 cosine = CPU_LOAD8(c + i), sine = CPU_LOAD8(s + i);
        CPU_STORE8(y + i, a * cosine - b * sine);
        CPU_STORE8(y + half + i, b * cosine + a * sine);
    }
    for (; i < half; i++) {
        y[i] = x[i] * c[i] - x[half + i] * s[i];
        y[half + i] = x[half + i] * c[i] + x[i] * s[i];
    }
}
CPU_VARIANTS(rotate,
             (enum cpu_level level, const float *x, const float *c, const float *s, int64_t half,
              float *y),
             (level, x, c, s, half, y))

static void rope_span(void *argument, int64_t from, int64_t to)
{
    const struct rope *job = argument;
    const struct rows *rows = &job->rows;
    for (int64_t i = from; i < to; i++) {
        int32_t position = rows->list[i];
        if (!usable(rows, position)) {
            memset(rows->y + i * rows->length, 0, (size_t)rows->length * sizeof(float));
            continue;
        }
        for (int64_t at = i * rows->length; at < (i + 1) * rows->length; at += 2 * job->half)
            rotate(rows->level, rows->x + at, job->cosines + position * job->half,
                   job->sines + position * job->half, job->half, rows->y + at);
    }
}

int cpu_rope(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0];
    struct rope job = {
        .rows =
            {
                .level = cpu_level(cpu),
                .list = cpu_data(&call->in[3]),
                .count = x->shape[0] * x->shape[1],
                .limit = call->in[1].shape[0],
                .length = x->shape[2] * x->shape[3],
                .x = cpu_data(x),
                .y = cpu_data(&call->out[0]),
            },
        .cosines = cpu_data(&call->in[1]),
        .sines = cpu_data(&call->in[2]),
        .half = x->shape[3] / 2,
    };
    if (job.half == 0)
        return 0;
    check_rows(cpu, call, "positions", &job.rows, 0);
    cpu_spans(cpu, job.rows.count, job.rows.length, rope_span, &job);
    return 0;
}
