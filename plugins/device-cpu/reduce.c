/* SPDX-License-Identifier: MIT */
#include "reduce.h"
#include "convert.h"
#include "lanes.h"
#include "spans.h"
#include "vmath.h"

/* ---- Trees ---- */

/* Complete pairs of equal size close at once, as carries do in a binary counter. */
void cpu_tree_add(struct cpu_tree *tree, float value)
{
    for (int64_t bits = tree->count++; (bits & 1) != 0; bits >>= 1)
        value = tree->open[--tree->depth] + value;
    tree->open[tree->depth++] = value;
}

float cpu_tree_end(struct cpu_tree *tree)
{
    if (tree->depth == 0)
        return 0;
    float value = tree->open[--tree->depth];
    while (tree->depth > 0)
        value = tree->open[--tree->depth] + value;
    return value;
}

/* Vectors wider than the plain level's are no parameters of functions, hence macros below. */
CPU_INLINE float add_lanes(float *lane, const int count)
{
    for (int width = count / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

/* ---- Segments ---- */

#define TERM(kind, x, centre) ((kind) == CPU_SUM ? (x) : ((x) - (centre)) * ((x) - (centre)))

CPU_INLINE void sum_kind(enum cpu_sum kind, const float *x, int64_t count, float centre, float *out)
{
    cpu_v8 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
    float lane[CPU_LANES];
    int64_t i = 0;
    for (; i + 8 * CPU_LANES <= count; i += 8 * CPU_LANES) {
        s0 += TERM(kind, CPU_LOAD8(x + i), centre);
        s1 += TERM(kind, CPU_LOAD8(x + i + 8), centre);
        s2 += TERM(kind, CPU_LOAD8(x + i + 16), centre);
        s3 += TERM(kind, CPU_LOAD8(x + i + 24), centre);
        s4 += TERM(kind, CPU_LOAD8(x + i + 32), centre);
        s5 += TERM(kind, CPU_LOAD8(x + i + 40), centre);
        s6 += TERM(kind, CPU_LOAD8(x + i + 48), centre);
        s7 += TERM(kind, CPU_LOAD8(x + i + 56), centre);
    }
    for (; i + CPU_LANES <= count; i += CPU_LANES)
        s0 += TERM(kind, CPU_LOAD8(x + i), centre);
    if (i < count) {
        for (int j = 0; j < CPU_LANES; j++)
            lane[j] = i + j < count ? x[i + j] : kind == CPU_SUM ? 0 : centre;
        s1 += TERM(kind, CPU_LOAD8(lane), centre);
    }
    CPU_STORE8(lane, ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)));
    *out = add_lanes(lane, CPU_LANES);
}

CPU_INLINE void sum_segment_body(enum cpu_level level, enum cpu_sum kind, const float *x,
                                 int64_t count, float centre, float *out)
{
    (void)level;
    if (kind == CPU_SUM)
        sum_kind(CPU_SUM, x, count, centre, out);
    else
        sum_kind(CPU_SUM_SQUARES, x, count, centre, out);
}
CPU_VARIANTS(sum_segment,
             (enum cpu_level level, enum cpu_sum kind, const float *x, int64_t count, float centre,
              float *out),
             (level, kind, x, count, centre, out))

/* Without branches that depend on the numbers. */
static float max_segment_plain(const float *x, int64_t count)
{
    float lane[CPU_LANES], best = -INFINITY;
    int bad = 0;
    int64_t i = 0;
    for (int j = 0; j < CPU_LANES; j++)
        lane[j] = -INFINITY;
    for (; i + CPU_LANES <= count; i += CPU_LANES) {
        CPU_UNROLL for (int j = 0; j < CPU_LANES; j++)
        {
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
            bad |= x[i + j] != x[i + j];
        }
    }
    for (int j = 0; j < CPU_LANES; j++)
        best = lane[j] > best ? lane[j] : best;
    for (; i < count; i++)
        best = cpu_larger(best, x[i]);
    return bad != 0 ? NAN : best;
}

#if CPU_X86
/* max gives its second operand when one is a NaN; those are counted apart. */
CPU_TARGET_AVX512 static float max_segment_avx512(const float *x, int64_t count)
{
    __m512 most[4];
    __mmask16 bad = 0;
    int64_t i = 0;
    CPU_UNROLL for (int j = 0; j < 4; j++) most[j] = _mm512_set1_ps(-INFINITY);
    for (; i + 64 <= count; i += 64) {
        CPU_UNROLL for (int j = 0; j < 4; j += 2)
        {
            __m512 a = _mm512_loadu_ps(x + i + 16 * j), b = _mm512_loadu_ps(x + i + 16 * j + 16);
            bad = _mm512_kor(bad, _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q));
            most[j] = _mm512_max_ps(a, most[j]);
            most[j + 1] = _mm512_max_ps(b, most[j + 1]);
        }
    }
    most[0] = _mm512_max_ps(_mm512_max_ps(most[0], most[1]), _mm512_max_ps(most[2], most[3]));
    float best = _mm512_reduce_max_ps(most[0]);
    return bad != 0 ? NAN : cpu_larger(max_segment_plain(x + i, count - i), best);
}

CPU_TARGET_AVX2 static float max_segment_avx2(const float *x, int64_t count)
{
    __m256 most[4], bad = _mm256_setzero_ps();
    float lane[8];
    int64_t i = 0;
    CPU_UNROLL for (int j = 0; j < 4; j++) most[j] = _mm256_set1_ps(-INFINITY);
    for (; i + 32 <= count; i += 32) {
        CPU_UNROLL for (int j = 0; j < 4; j += 2)
        {
            __m256 a = _mm256_loadu_ps(x + i + 8 * j), b = _mm256_loadu_ps(x + i + 8 * j + 8);
            bad = _mm256_or_ps(bad, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
            most[j] = _mm256_max_ps(a, most[j]);
            most[j + 1] = _mm256_max_ps(b, most[j + 1]);
        }
    }
    most[0] = _mm256_max_ps(_mm256_max_ps(most[0], most[1]), _mm256_max_ps(most[2], most[3]));
    _mm256_storeu_ps(lane, most[0]);
    float best = cpu_larger(max_segment_plain(lane, 8), max_segment_plain(x + i, count - i));
    return _mm256_movemask_ps(bad) != 0 ? NAN : best;
}
#endif

/* ---- exp ---- */

#if CPU_X86
CPU_TARGET_AVX512 static float exp_segment_avx512(const float *x, int64_t count, float shift,
                                                  float *y)
{
    const __m512 by = _mm512_set1_ps(shift);
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int64_t i = 0; i < count; i += 32) {
        CPU_UNROLL for (int j = 0; j < 2; j++)
        {
            int64_t left = count - i - 16 * j;
            __mmask16 mask = left >= 16 ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
            __m512 v = _mm512_maskz_loadu_ps(mask, x + i + 16 * j);
            __m512 e = cpu_exp_512(_mm512_sub_ps(v, by));
            sums[j] = _mm512_mask_add_ps(sums[j], mask, sums[j], e);
            if (y != NULL)
                _mm512_mask_storeu_ps(y + i + 16 * j, mask, e);
        }
    }
    float lane[16];
    _mm512_storeu_ps(lane, _mm512_add_ps(sums[0], sums[1]));
    return add_lanes(lane, 16);
}

CPU_TARGET_AVX2 static float exp_segment_avx2(const float *x, int64_t count, float shift, float *y)
{
    const __m256 by = _mm256_set1_ps(shift);
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        CPU_UNROLL for (int j = 0; j < 2; j++)
        {
            __m256 e = cpu_exp_256(_mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * j), by));
            sums[j] = _mm256_add_ps(sums[j], e);
            if (y != NULL)
                _mm256_storeu_ps(y + i + 8 * j, e);
        }
    }
    float lane[16], rest[16];
    _mm256_storeu_ps(lane, sums[0]);
    _mm256_storeu_ps(lane + 8, sums[1]);
    for (int j = 0; j < 16; j++)
        rest[j] = i + j < count ? x[i + j] : shift;
    for (int j = 0; j < 16; j += 8)
        _mm256_storeu_ps(rest + j, cpu_exp_256(_mm256_sub_ps(_mm256_loadu_ps(rest + j), by)));
    for (int j = 0; i + j < count; j++) {
        lane[j] += rest[j];
        if (y != NULL)
            y[i + j] = rest[j];
    }
    return add_lanes(lane, 16);
}
#endif

static float exp_segment_plain(const float *x, int64_t count, float shift, float *y)
{
    float lane[CPU_LANES] = {0};
    for (int64_t i = 0; i < count; i++) {
        float e = expf(x[i] - shift);
        lane[i % CPU_LANES] += e;
        if (y != NULL)
            y[i] = e;
    }
    return add_lanes(lane, CPU_LANES);
}

static float exp_segment(enum cpu_level level, const float *x, int64_t count, float shift, float *y)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return exp_segment_avx512(x, count, shift, y);
    case CPU_AVX2:
        return exp_segment_avx2(x, count, shift, y);
#endif
    default:
        return exp_segment_plain(x, count, shift, y);
    }
}

/* ---- Rows ---- */

static int64_t segment_length(int64_t count, int64_t from)
{
    return count - from < CPU_SEGMENT ? count - from : CPU_SEGMENT;
}

float cpu_row_sum(enum cpu_level level, enum cpu_sum kind, const float *x, int64_t count,
                  float centre)
{
    struct cpu_tree tree = {.depth = 0};
    for (int64_t i = 0; i < count; i += CPU_SEGMENT) {
        float sum;
        sum_segment(level, kind, x + i, segment_length(count, i), centre, &sum);
        cpu_tree_add(&tree, sum);
    }
    return cpu_tree_end(&tree);
}

float cpu_row_max(enum cpu_level level, const float *x, int64_t count)
{
    switch (level) {
#if CPU_X86
    case CPU_AVX512:
        return max_segment_avx512(x, count);
    case CPU_AVX2:
        return max_segment_avx2(x, count);
#endif
    default:
        return max_segment_plain(x, count);
    }
}

float cpu_row_exp(enum cpu_level level, const float *x, int64_t count, float shift, float *y)
{
    struct cpu_tree tree = {.depth = 0};
    for (int64_t i = 0; i < count; i += CPU_SEGMENT)
        cpu_tree_add(&tree, exp_segment(level, x + i, segment_length(count, i), shift,
                                        y == NULL ? NULL : y + i));
    return cpu_tree_end(&tree);
}

/* y = (x - centre) factor w + b, or + shift where there is no b. */
CPU_INLINE void affine_with(const bool has_w, const bool has_b, const float *x, int64_t count,
                            float centre, float factor, const float *w, const float *b, float shift,
                            float *y)
{
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES) {
        cpu_v8 v = (CPU_LOAD8(x + i) - centre) * factor;
        if (has_w)
            v *= CPU_LOAD8(w + i);
        if (has_b)
            v += CPU_LOAD8(b + i);
        else
            v += shift;
        CPU_STORE8(y + i, v);
    }
    for (; i < count; i++)
        y[i] = (x[i] - centre) * factor * (has_w ? w[i] : 1) + (has_b ? b[i] : shift);
}

CPU_INLINE void affine_body(enum cpu_level level, const float *x, int64_t count, float centre,
                            float factor, const float *w, const float *b, float shift, float *y)
{
    (void)level;
    if (w != NULL && b != NULL)
        affine_with(true, true, x, count, centre, factor, w, b, shift, y);
    else if (w != NULL)
        affine_with(true, false, x, count, centre, factor, w, b, shift, y);
    else if (b != NULL)
        affine_with(false, true, x, count, centre, factor, w, b, shift, y);
    else
        affine_with(false, false, x, count, centre, factor, w, b, shift, y);
}
CPU_VARIANTS(affine,
             (enum cpu_level level, const float *x, int64_t count, float centre, float factor,
              const float *w, const float *b, float shift, float *y),
             (level, x, count, centre, factor, w, b, shift, y))

/* ---- sum, mean, max, sum_squares ---- */

struct reduce {
    enum cpu_level level;
    int op;
    const float *x;
    float *y; /* what each segment gives */
    int64_t k, segments;
};

static void reduce_span(void *argument, int64_t from, int64_t to)
{
    const struct reduce *job = argument;
    for (int64_t i = from; i < to; i++) {
        int64_t at = i % job->segments * CPU_SEGMENT;
        const float *x = job->x + i / job->segments * job->k + at;
        int64_t count = segment_length(job->k, at);
        if (job->op == CR_OP_MAX)
            job->y[i] = cpu_row_max(job->level, x, count);
        else
            sum_segment(job->level, job->op == CR_OP_SUM_SQUARES ? CPU_SUM_SQUARES : CPU_SUM, x,
                        count, 0, &job->y[i]);
    }
}

/* What the segments of one row give together. */
static float join_segments(const struct reduce *job, const float *parts)
{
    struct cpu_tree tree = {.depth = 0};
    float best = -INFINITY;
    for (int64_t i = 0; i < job->segments; i++) {
        best = cpu_larger(best, parts[i]);
        cpu_tree_add(&tree, parts[i]);
    }
    return job->op == CR_OP_MAX ? best : cpu_tree_end(&tree);
}

static int reduce(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    int64_t rows = cpu_rows(&call->in[0]), k = cpu_last(&call->in[0]);
    float *y = cpu_data(&call->out[0]);
    struct reduce job = {
        .level = cpu_level(cpu),
        .op = call->op,
        .x = cpu_data(&call->in[0]),
        .y = y,
        .k = k,
        .segments = (k + CPU_SEGMENT - 1) / CPU_SEGMENT,
    };
    if (job.segments > 1) {
        size_t bytes = (size_t)(rows * job.segments) * sizeof(float);
        if ((job.y = cpu_caller_scratch(cpu, bytes)) == NULL)
            return cr_fail_memory(err, bytes);
    }
    cpu_spans(cpu, rows * job.segments, k < CPU_SEGMENT ? k : CPU_SEGMENT, reduce_span, &job);
    for (int64_t i = 0; i < rows && job.segments > 1; i++)
        y[i] = join_segments(&job, job.y + i * job.segments);
    for (int64_t i = 0; i < rows && job.op == CR_OP_MEAN; i++)
        y[i] /= (float)k;
    return 0;
}

/* ---- softmax, norms ---- */

struct rows {
    enum cpu_level level;
    int op;
    const float *x, *w, *b;
    float *y, eps;
    int64_t k;
    int64_t channels, size; /* of one group: channels, and elements of each */
    int64_t groups;
};

static void softmax_row(const struct rows *job, const float *x, float *y)
{
    float best = cpu_row_max(job->level, x, job->k);
    if (job->op == CR_OP_SOFTMAX) {
        float sum = cpu_row_exp(job->level, x, job->k, best, y);
        affine(job->level, y, job->k, 0, 1 / sum, NULL, NULL, 0, y);
    } else {
        float sum = cpu_row_exp(job->level, x, job->k, best, NULL);
        affine(job->level, x, job->k, best, 1, NULL, NULL, -logf(sum), y);
    }
}

static void norm_row(const struct rows *job, const float *x, float *y)
{
    float centre = 0, k = (float)job->k;
    if (job->op == CR_OP_LAYER_NORM)
        centre = cpu_row_sum(job->level, CPU_SUM, x, job->k, 0) / k;
    float squares = cpu_row_sum(job->level, CPU_SUM_SQUARES, x, job->k, centre);
    float factor = 1 / sqrtf(squares / k + job->eps);
    affine(job->level, x, job->k, centre, factor, job->w, job->b, 0, y);
}

static void rows_span(void *argument, int64_t from, int64_t to)
{
    const struct rows *job = argument;
    for (int64_t i = from; i < to; i++) {
        const float *x = job->x + i * job->k;
        float *y = job->y + i * job->k;
        if (job->op == CR_OP_SOFTMAX || job->op == CR_OP_LOG_SOFTMAX)
            softmax_row(job, x, y);
        else
            norm_row(job, x, y);
    }
}

static int softmax(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    struct rows job = {
        .level = cpu_level(cpu),
        .op = call->op,
        .x = cpu_data(&call->in[0]),
        .y = cpu_data(&call->out[0]),
        .k = cpu_last(&call->in[0]),
    };
    cpu_spans(cpu, cpu_rows(&call->in[0]), job.k, rows_span, &job);
    return 0;
}

static void group_span(void *argument, int64_t from, int64_t to)
{
    const struct rows *job = argument;
    int64_t count = job->channels * job->size;
    for (int64_t i = from; i < to; i++) {
        const float *x = job->x + i * count;
        float *y = job->y + i * count;
        float centre = cpu_row_sum(job->level, CPU_SUM, x, count, 0) / (float)count;
        float squares = cpu_row_sum(job->level, CPU_SUM_SQUARES, x, count, centre);
        float factor = 1 / sqrtf(squares / (float)count + job->eps);
        int64_t channel = i % job->groups * job->channels;
        for (int64_t c = 0; c < job->channels; c++)
            affine(job->level, x + c * job->size, job->size, centre,
                   job->w != NULL ? factor * job->w[channel + c] : factor, NULL, NULL,
                   job->b != NULL ? job->b[channel + c] : 0, y + c * job->size);
    }
}

/* rms_norm, layer_norm and group_norm: weights become f32 first. */
static int norm(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *w = &call->in[1], *b = &call->in[2];
    bool group = call->op == CR_OP_GROUP_NORM;
    int64_t channels = group ? x->shape[1] : cpu_last(x);
    size_t bytes = (size_t)channels * 2 * sizeof(float);
    float *copies = cpu_caller_scratch(cpu, bytes);
    if (copies == NULL)
        return cr_fail_memory(err, bytes);
    struct rows job = {
        .level = cpu_level(cpu),
        .op = call->op,
        .x = cpu_data(x),
        .w = cpu_as_f32(cpu_level(cpu), w, copies),
        .b = cpu_as_f32(cpu_level(cpu), b, copies + channels),
        .y = cpu_data(&call->out[0]),
        .eps = (float)call->reals[0],
        .k = channels,
    };
    if (cpu_elements(x) == 0)
        return 0;
    if (!group) {
        cpu_spans(cpu, cpu_rows(x), job.k, rows_span, &job);
        return 0;
    }
    job.groups = call->ints[0];
    job.channels = channels / job.groups;
    job.size = cpu_elements(x) / (x->shape[0] * channels);
    cpu_spans(cpu, x->shape[0] * job.groups, job.channels * job.size, group_span, &job);
    return 0;
}

/* ---- argmax, topk ---- */

struct select {
    enum cpu_level level;
    const float *x;
    float *values;
    int32_t *indices; /* the first of a row with a NaN becomes -1 */
    int64_t k, wanted;
};

static int32_t argmax_row(const struct select *job, const float *x)
{
    float best = -INFINITY;
    int64_t segment = 0;
    for (int64_t i = 0; i < job->k; i += CPU_SEGMENT) {
        float here = cpu_row_max(job->level, x + i, segment_length(job->k, i));
        if (here != here)
            return -1;
        if (here > best) {
            best = here;
            segment = i;
        }
    }
    while (x[segment] != best)
        segment++;
    return (int32_t)segment;
}

static void argmax_span(void *argument, int64_t from, int64_t to)
{
    const struct select *job = argument;
    for (int64_t i = from; i < to; i++)
        job->indices[i] = argmax_row(job, job->x + i * job->k);
}

#define MOST_WANTED 1024
/* Elements that are looked at together: if none is large enough, none is looked at alone. */
#define GLANCE 256

struct candidate {
    float value;
    int32_t index;
};

static bool worse(struct candidate a, struct candidate b)
{
    return a.value < b.value || (a.value == b.value && a.index > b.index);
}

/* The worst stands at the root. */
static void sift_down(struct candidate *heap, int64_t count, int64_t at)
{
    struct candidate moved = heap[at];
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* False: there is a NaN. */
static bool find_best(const struct select *job, const float *x, struct candidate *heap)
{
    int64_t wanted = job->wanted;
    for (int64_t i = 0; i < wanted; i++)
        heap[i] = (struct candidate){x[i], (int32_t)i};
    for (int64_t i = wanted / 2 - 1; i >= 0; i--)
        sift_down(heap, wanted, i);
    if (isnan(cpu_row_max(job->level, x, wanted)))
        return false;
    for (int64_t i = wanted; i < job->k; i += GLANCE) {
        int64_t count = job->k - i < GLANCE ? job->k - i : GLANCE;
        float best = cpu_row_max(job->level, x + i, count);
        if (best != best)
            return false;
        if (best <= heap[0].value)
            continue;
        for (int64_t j = i; j < i + count; j++) {
            if (x[j] <= heap[0].value)
                continue;
            heap[0] = (struct candidate){x[j], (int32_t)j};
            sift_down(heap, wanted, 0);
        }
    }
    return true;
}

static void topk_span(void *argument, int64_t from, int64_t to)
{
    const struct select *job = argument;
    struct candidate heap[MOST_WANTED];
    for (int64_t i = from; i < to; i++) {
        bool good = find_best(job, job->x + i * job->k, heap);
        for (int64_t left = job->wanted; left > 0; left--) {
            job->values[i * job->wanted + left - 1] = good ? heap[0].value : NAN;
            job->indices[i * job->wanted + left - 1] = good ? heap[0].index : -1;
            heap[0] = heap[left - 1];
            sift_down(heap, left - 1, 0);
        }
    }
}

static void report_nan(struct cpu *cpu, const struct cr_call *call, const struct select *job,
                       int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        if (job->indices[i * job->wanted] >= 0)
            continue;
        cpu_late(cpu, call, "row %lld of x holds a NaN", (long long)i);
        return;
    }
}

static int argmax(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    int64_t rows = cpu_rows(&call->in[0]);
    struct select job = {
        .level = cpu_level(cpu),
        .x = cpu_data(&call->in[0]),
        .indices = cpu_data(&call->out[0]),
        .k = cpu_last(&call->in[0]),
        .wanted = 1,
    };
    cpu_spans(cpu, rows, job.k, argmax_span, &job);
    report_nan(cpu, call, &job, rows);
    return 0;
}

static int topk(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    int64_t rows = cpu_rows(&call->in[0]);
    struct select job = {
        .level = cpu_level(cpu),
        .x = cpu_data(&call->in[0]),
        .values = cpu_data(&call->out[0]),
        .indices = cpu_data(&call->out[1]),
        .k = cpu_last(&call->in[0]),
        .wanted = call->ints[0],
    };
    cpu_spans(cpu, rows, job.k, topk_span, &job);
    report_nan(cpu, call, &job, rows);
    return 0;
}

const struct cpu_entry cpu_reduce_family[] = {
    {CR_OP_SOFTMAX, softmax, cpu_level_variant}, {CR_OP_LOG_SOFTMAX, softmax, cpu_level_variant},
    {CR_OP_SUM, reduce, cpu_level_variant},      {CR_OP_MEAN, reduce, cpu_level_variant},
    {CR_OP_MAX, reduce, cpu_level_variant},      {CR_OP_SUM_SQUARES, reduce, cpu_level_variant},
    {CR_OP_RMS_NORM, norm, cpu_level_variant},   {CR_OP_LAYER_NORM, norm, cpu_level_variant},
    {CR_OP_GROUP_NORM, norm, cpu_level_variant}, {CR_OP_ARGMAX, argmax, cpu_level_variant},
    {CR_OP_TOPK, topk, cpu_level_variant},       {0, NULL, NULL},
};
