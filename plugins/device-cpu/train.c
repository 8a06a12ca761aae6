/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "product.h"
#include "reduce.h"
#include "simd.h"
#include "spans.h"

/* ---- linear_cross_entropy ---- */

#define IGNORED (-100)
/* Labelled rows that are projected together. Their logits are not kept: each task turns its columns
 * into a maximum and a sum of exponentials for each row. */
#define LOSS_ROWS 512

struct loss {
    enum cpu_level level;
    struct cpu_product product;
    int64_t n, chunk, chunks; /* columns; in a task; how many tasks */
    const int32_t *labels;    /* of the rows at hand */
    int64_t rows;
    float *best, *sums; /* [rows][chunks] */
    float *picked;      /* [rows]: the label's logit */
    float *work;        /* for each worker: logits, then the product's scratch */
    size_t work_floats;
};

static void loss_task(void *argument, int64_t index, int worker)
{
    const struct loss *l = argument;
    float *logits = l->work + (size_t)worker * l->work_floats;
    int64_t n0 = index * l->chunk, n1 = l->n - n0 < l->chunk ? l->n : n0 + l->chunk;
    int64_t width = n1 - n0;
    cpu_product_range(&l->product, n0, n1, 0, l->rows, logits, width, logits + l->rows * l->chunk);
    for (int64_t i = 0; i < l->rows; i++) {
        const float *row = logits + i * width;
        float best = cpu_row_max(l->level, row, width);
        l->best[i * l->chunks + index] = best;
        l->sums[i * l->chunks + index] =
            best == -INFINITY ? 0 : cpu_row_exp(l->level, row, width, best, NULL);
        if (l->labels[i] >= n0 && l->labels[i] < n1)
            l->picked[i] = row[l->labels[i] - n0];
    }
}

/* log sum exp of a row's logits, less the label's. */
static double row_loss(const struct loss *l, int64_t row)
{
    const float *best = l->best + row * l->chunks, *sums = l->sums + row * l->chunks;
    double sum = 0;
    float most = -INFINITY;
    for (int64_t i = 0; i < l->chunks; i++)
        most = cpu_larger(most, best[i]);
    for (int64_t i = 0; i < l->chunks; i++)
        if (sums[i] != 0)
            sum += sums[i] * exp((double)best[i] - most);
    return most + log(sum) - l->picked[row];
}

/* The next labelled rows from `*at` on, side by side. */
static int64_t gather_labelled(const struct cr_call *call, int64_t *at, float *x, int32_t *labels)
{
    const int32_t *all = cpu_data(&call->in[2]);
    const float *from = cpu_data(&call->in[0]);
    int64_t m = call->in[0].shape[0], k = call->in[0].shape[1], rows = 0;
    for (; *at < m && rows < LOSS_ROWS; ++*at) {
        if (all[*at] == IGNORED)
            continue;
        memcpy(x + rows * k, from + *at * k, (size_t)k * sizeof(float));
        labels[rows++] = all[*at];
    }
    return rows;
}

static size_t round_floats(int64_t floats)
{
    return (size_t)(floats + 15) / 16 * 16;
}

/* Adds the losses of the rows in x to *sum. */
static int run_loss(struct cpu *cpu, struct loss *l, const struct cpu_weights *w, const float *x,
                    double *sum, struct cr_error *err)
{
    cpu_product_init(&l->product, cpu, w, x, l->rows);
    l->chunk = cpu_product_chunk(&l->product);
    l->chunks = (l->n + l->chunk - 1) / l->chunk;
    l->work_floats =
        round_floats(l->rows * l->chunk) + round_floats((int64_t)cpu_product_scratch(&l->product));
    size_t prepared = round_floats((int64_t)cpu_product_prepared(&l->product));
    size_t parts = round_floats(l->rows * l->chunks), rows = round_floats(l->rows);
    size_t threads = (size_t)cpu_pool_threads(cpu->pool);
    size_t bytes = (prepared + 2 * parts + rows + threads * l->work_floats) * sizeof(float);
    float *memory = cpu_caller_scratch(cpu, bytes);
    if (memory == NULL)
        return cr_fail_memory(err, bytes);
    l->best = memory + prepared;
    l->sums = l->best + parts;
    l->picked = l->sums + parts;
    l->work = l->picked + rows;
    cpu_product_prepare(&l->product, cpu, memory);
    cpu_parallel(cpu->pool, l->chunks, loss_task, l);
    for (int64_t i = 0; i < l->rows; i++)
        *sum += row_loss(l, i);
    return 0;
}

static int linear_cross_entropy(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cpu_weights w = cpu_weights(&call->in[1]);
    int64_t m = call->in[0].shape[0], most = m < LOSS_ROWS ? m : LOSS_ROWS, at = 0, count = 0;
    float *loss = cpu_data(&call->out[0]);
    double sum = 0;
    int result = 0;
    /* The rows of x stay in a worker's scratch, which the tasks leave alone. */
    size_t bytes = (size_t)(most * (w.columns + 1)) * sizeof(float);
    float *x = cpu_scratch(cpu, 0, bytes);
    if (x == NULL)
        return cr_fail_memory(err, bytes);
    int32_t *labels = (int32_t *)(void *)(x + most * w.columns);
    struct loss l = {.level = cpu_level(cpu), .n = w.rows, .labels = labels};
    while (result == 0 && (l.rows = gather_labelled(call, &at, x, labels)) > 0) {
        count += l.rows;
        result = run_loss(cpu, &l, &w, x, &sum, err);
    }
    loss[0] = count > 0 ? (float)(sum / (double)count) : 0;
    return result;
}

/* ---- adamw_step ---- */

struct adamw {
    enum cpu_level level;
    const float *grad;
    float *p, *m, *v;
    float decay;                        /* rate x decay */
    float beta1, beta2, other1, other2; /* other: 1 - beta */
    float rate, scale, epsilon;         /* of m, with its correction; v's correction */
};

static void adamw_plain(const struct adamw *a, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        float g = a->grad[i];
        a->m[i] = a->beta1 * a->m[i] + a->other1 * g;
        a->v[i] = a->beta2 * a->v[i] + a->other2 * g * g;
        float p = a->p[i] - a->decay * a->p[i];
        a->p[i] = p - a->rate * a->m[i] / (sqrtf(a->v[i] * a->scale) + a->epsilon);
    }
}

#if CPU_X86
CPU_TARGET_AVX2 static void adamw_avx2(const struct adamw *a, int64_t from, int64_t to)
{
    const __m256 beta1 = _mm256_set1_ps(a->beta1), beta2 = _mm256_set1_ps(a->beta2);
    const __m256 other1 = _mm256_set1_ps(a->other1), other2 = _mm256_set1_ps(a->other2);
    int64_t i = from;
    for (; i + 8 <= to; i += 8) {
        __m256 g = _mm256_loadu_ps(a->grad + i), p = _mm256_loadu_ps(a->p + i);
        __m256 m = _mm256_mul_ps(beta1, _mm256_loadu_ps(a->m + i));
        __m256 v = _mm256_mul_ps(beta2, _mm256_loadu_ps(a->v + i));
        m = _mm256_add_ps(m, _mm256_mul_ps(other1, g));
        v = _mm256_add_ps(v, _mm256_mul_ps(_mm256_mul_ps(other2, g), g));
        __m256 root = _mm256_sqrt_ps(_mm256_mul_ps(v, _mm256_set1_ps(a->scale)));
        root = _mm256_add_ps(root, _mm256_set1_ps(a->epsilon));
        p = _mm256_sub_ps(p, _mm256_mul_ps(_mm256_set1_ps(a->decay), p));
        p = _mm256_sub_ps(p, _mm256_div_ps(_mm256_mul_ps(_mm256_set1_ps(a->rate), m), root));
        _mm256_storeu_ps(a->m + i, m);
        _mm256_storeu_ps(a->v + i, v);
        _mm256_storeu_ps(a->p + i, p);
    }
    adamw_plain(a, i, to);
}
#endif

static void adamw_span(void *argument, int64_t from, int64_t to)
{
    const struct adamw *a = argument;
#if CPU_X86
    if (a->level == CPU_AVX2 || a->level == CPU_AVX512) {
        adamw_avx2(a, from, to);
        return;
    }
#endif
    adamw_plain(a, from, to);
}

static int adamw_step(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const double *reals = call->reals, step = (double)call->ints[0];
    struct adamw a = {
        .level = cpu_level(cpu),
        .grad = cpu_data(&call->in[0]),
        .p = cpu_data(&call->out[0]),
        .m = cpu_data(&call->out[1]),
        .v = cpu_data(&call->out[2]),
        .decay = (float)(reals[0] * reals[4]),
        .beta1 = (float)reals[1],
        .beta2 = (float)reals[2],
        .other1 = (float)(1 - reals[1]),
        .other2 = (float)(1 - reals[2]),
        .rate = (float)(reals[0] / (1 - pow(reals[1], step))),
        .scale = (float)(1 / (1 - pow(reals[2], step))),
        .epsilon = (float)reals[3],
    };
    cpu_spans(cpu, cpu_elements(&call->in[0]), 1, adamw_span, &a);
    return 0;
}

/* ---- grad_norm ---- */

struct squares {
    enum cpu_level level;
    const float *x;
    int64_t count;
    float *parts; /* the sum of squares of each segment */
};

static void squares_span(void *argument, int64_t from, int64_t to)
{
    const struct squares *job = argument;
    for (int64_t i = from; i < to; i++) {
        int64_t left = job->count - i * CPU_SEGMENT;
        job->parts[i] = cpu_row_sum(job->level, CPU_SUM_SQUARES, job->x + i * CPU_SEGMENT,
                                    left < CPU_SEGMENT ? left : CPU_SEGMENT, 0);
    }
}

static int grad_norm(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    float *y = cpu_data(&call->out[0]);
    int64_t segments[CR_CALL_MAX_INPUTS], most = 0;
    double sum = 0;
    for (int i = 0; i < call->inputs; i++) {
        segments[i] = (cpu_elements(&call->in[i]) + CPU_SEGMENT - 1) / CPU_SEGMENT;
        most = segments[i] > most ? segments[i] : most;
    }
    float *parts = cpu_caller_scratch(cpu, (size_t)most * sizeof(float));
    if (parts == NULL)
        return cr_fail_memory(err, (size_t)most * sizeof(float));
    for (int i = 0; i < call->inputs; i++) {
        struct squares job = {cpu_level(cpu), cpu_data(&call->in[i]), cpu_elements(&call->in[i]),
                              parts};
        cpu_spans(cpu, segments[i], CPU_SEGMENT, squares_span, &job);
        for (int64_t j = 0; j < segments[i]; j++)
            sum += parts[j];
    }
    y[0] = (float)sqrt(sum);
    return 0;
}

static const char *loss_variant(const struct cpu *cpu, const struct cr_call *call)
{
    const struct cpu_weights w = cpu_weights(&call->in[1]);
    struct cpu_product product;
    cpu_product_init(&product, cpu, &w, NULL, call->in[0].shape[0]);
    return cpu_product_name(&product);
}

const struct cpu_entry cpu_train_family[] = {
    {CR_OP_LINEAR_CROSS_ENTROPY, linear_cross_entropy, loss_variant},
    {CR_OP_ADAMW_STEP, adamw_step, cpu_level_variant},
    {CR_OP_GRAD_NORM, grad_norm, cpu_level_variant},
    {0, NULL, NULL},
};
