/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "convert.h"
#include "gemm.h"
#include "lanes.h"
#include "spans.h"

/* ---- conv2d: a product of the weights [O,K] with the places of the kernel, K = C kh kw ---- */

/* What is unfolded at a time. */
#define UNFOLD_BYTES (8 << 20)
#define UNFOLD_LEAST 256

struct conv {
    const float *x, *w; /* x: of this item */
    float *y;
    int64_t channels, height, width, kh, kw, out_width;
    int64_t stride_y, stride_x, padding_y, padding_x;
    int64_t outputs, k, places;
    float *unfolded;      /* NULL: x itself is what would be unfolded */
    bool by_place;        /* [places][K] instead of [K][places] */
    int64_t first, count; /* the places that are unfolded now */
};

/* Row `row` of the picture, `count` numbers from column `column` on, zeros outside. */
static void copy_clipped(const struct conv *job, const float *plane, int64_t row, int64_t column,
                         int64_t count, float *out)
{
    int64_t first = column < 0 ? -column : 0, end = job->width - column;
    first = first < count ? first : count;
    end = end < count ? end : count;
    if (row < 0 || row >= job->height || end <= first) {
        memset(out, 0, (size_t)count * sizeof(float));
        return;
    }
    memset(out, 0, (size_t)first * sizeof(float));
    memcpy(out + first, plane + row * job->width + column + first,
           (size_t)(end - first) * sizeof(float));
    memset(out + end, 0, (size_t)(count - end) * sizeof(float));
}

/* [places][K]: each place is kh runs of kw numbers for each channel. */
static void unfold_places(void *argument, int64_t from, int64_t to)
{
    const struct conv *job = argument;
    for (int64_t i = from; i < to; i++) {
        int64_t place = job->first + i;
        int64_t row = place / job->out_width * job->stride_y - job->padding_y;
        int64_t column = place % job->out_width * job->stride_x - job->padding_x;
        float *out = job->unfolded + i * job->k;
        for (int64_t c = 0; c < job->channels; c++)
            for (int64_t ky = 0; ky < job->kh; ky++, out += job->kw)
                copy_clipped(job, job->x + c * job->height * job->width, row + ky, column, job->kw,
                             out);
    }
}

/* Every stride_x-th number of a row, zeros outside. */
static void copy_stepping(const struct conv *job, const float *plane, int64_t row, int64_t column,
                          int64_t count, float *out)
{
    bool there = row >= 0 && row < job->height;
    for (int64_t i = 0; i < count; i++, column += job->stride_x)
        out[i] = there && column >= 0 && column < job->width ? plane[row * job->width + column] : 0;
}

/* [K][places]: for one element of the kernel, pieces of rows of the picture. */
static void unfold_planes(void *argument, int64_t from, int64_t to)
{
    const struct conv *job = argument;
    for (int64_t i = from; i < to; i++) {
        const float *plane = job->x + i / (job->kh * job->kw) * job->height * job->width;
        int64_t ky = i / job->kw % job->kh, kx = i % job->kw;
        float *out = job->unfolded + i * job->count;
        for (int64_t at = job->first; at < job->first + job->count;) {
            int64_t row = at / job->out_width, column = at % job->out_width;
            int64_t left = job->first + job->count - at, run = job->out_width - column;
            run = run < left ? run : left;
            int64_t y = row * job->stride_y - job->padding_y + ky;
            int64_t x = column * job->stride_x - job->padding_x + kx;
            if (job->stride_x == 1)
                copy_clipped(job, plane, y, x, run, out);
            else
                copy_stepping(job, plane, y, x, run, out);
            out += run;
            at += run;
        }
    }
}

static struct cpu_matrix conv_weights(const void *user, int64_t item)
{
    const struct conv *job = user;
    (void)item;
    return (struct cpu_matrix){job->w, job->k, 1};
}

static struct cpu_matrix conv_places(const void *user, int64_t item)
{
    const struct conv *job = user;
    if (job->unfolded == NULL)
        return (struct cpu_matrix){job->x + item * job->k * job->places, 1, job->places};
    if (job->by_place)
        return (struct cpu_matrix){job->unfolded, job->k, 1};
    return (struct cpu_matrix){job->unfolded, 1, job->count};
}

static float *conv_result(const void *user, int64_t item)
{
    const struct conv *job = user;
    return job->y + item * job->outputs * job->places + job->first;
}

static int multiply(struct cpu *cpu, const struct conv *job, int64_t batch, struct cr_error *err)
{
    struct cpu_gemm gemm = {
        .batch = batch,
        .m = job->outputs,
        .n = job->count,
        .k = job->k,
        .alpha = 1,
        .a = conv_weights,
        .w = conv_places,
        .y = conv_result,
        .stride = job->places,
        .user = job,
    };
    return cpu_gemm_run(cpu, &gemm, err);
}

/* One item, as many places at a time as fit. */
static int convolve(struct cpu *cpu, struct conv *job, int64_t at_once, struct cr_error *err)
{
    int result = 0;
    for (job->first = 0; job->first < job->places && result == 0; job->first += at_once) {
        int64_t left = job->places - job->first;
        job->count = left < at_once ? left : at_once;
        if (job->by_place)
            cpu_spans(cpu, job->count, job->k, unfold_places, job);
        else
            cpu_spans(cpu, job->k, job->count, unfold_planes, job);
        result = multiply(cpu, job, 1, err);
    }
    return result;
}

struct bias {
    const float *bias;
    float *y;
    int64_t outputs, places;
};

static void bias_span(void *argument, int64_t from, int64_t to)
{
    const struct bias *job = argument;
    for (int64_t i = from; i < to; i++) {
        float by = job->bias[i % job->outputs], *y = job->y + i * job->places;
        for (int64_t j = 0; j < job->places; j++)
            y[j] += by;
    }
}

static struct conv conv_job(const struct cr_call *call)
{
    const int64_t *x = call->in[0].shape, *w = call->in[1].shape, *y = call->out[0].shape;
    struct conv job = {
        .x = cpu_data(&call->in[0]),
        .y = cpu_data(&call->out[0]),
        .channels = x[1],
        .height = x[2],
        .width = x[3],
        .kh = w[2],
        .kw = w[3],
        .out_width = y[3],
        .stride_y = call->ints[0],
        .stride_x = call->ints[1],
        .padding_y = call->ints[2],
        .padding_x = call->ints[3],
        .outputs = w[0],
        .k = w[1] * w[2] * w[3],
        .places = y[2] * y[3],
    };
    job.by_place = job.stride_x >= job.kw && job.kw > 1;
    return job;
}

static int conv2d(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *w = &call->in[1];
    struct conv job = conv_job(call);
    int64_t batch = call->in[0].shape[0], x_item = job.channels * job.height * job.width;
    bool direct = job.kh == 1 && job.kw == 1 && job.stride_y == 1 && job.stride_x == 1 &&
                  job.padding_y == 0 && job.padding_x == 0;
    if (cpu_elements(&call->out[0]) == 0)
        return 0;
    int64_t at_once = UNFOLD_BYTES / ((job.k + 1) * (int64_t)sizeof(float));
    at_once = at_once < UNFOLD_LEAST ? UNFOLD_LEAST : at_once;
    at_once = at_once < job.places ? at_once : job.places;
    size_t weights = w->dtype == CR_DTYPE_F32 ? 0 : (size_t)(job.outputs * job.k + 15) / 16 * 16;
    size_t bytes = (weights + (direct ? 0 : (size_t)(at_once * job.k))) * sizeof(float);
    /* The product takes the caller's scratch, and its tasks none of the workers'. */
    float *memory = cpu_scratch(cpu, 0, bytes);
    if (memory == NULL)
        return cr_fail_memory(err, bytes);
    job.w = cpu_as_f32(cpu_level(cpu), w, memory);
    int result = 0;
    if (direct) {
        job.count = job.places;
        result = multiply(cpu, &job, batch, err);
    } else {
        job.unfolded = memory + weights;
    }
    for (int64_t i = 0; i < batch && !direct && result == 0; i++) {
        result = convolve(cpu, &job, at_once, err);
        job.x += x_item;
        job.y += job.outputs * job.places;
    }
    if (result == 0 && cpu_present(&call->in[2])) {
        struct bias bias = {cpu_data(&call->in[2]), cpu_data(&call->out[0]), job.outputs,
                            job.places};
        cpu_spans(cpu, batch * job.outputs, job.places, bias_span, &bias);
    }
    return result;
}

static const char *conv2d_variant(const struct cpu *cpu, const struct cr_call *call)
{
    return cpu_matmul_variant(cpu, call);
}

/* ---- resize: rows first, then between rows ---- */

#define MAX_TAPS 4

/* For each place along one axis of the result, what it takes from the picture. */
struct taps {
    int32_t *index[MAX_TAPS];
    float *weight[MAX_TAPS];
};

struct resize {
    struct cpu *cpu;
    const float *x;
    float *y, *rings; /* for each worker, MAX_TAPS rows that are resized already */
    int64_t height, width, out_height, out_width;
    int64_t rows, tasks; /* in one task; of one plane */
    int taps;
    struct taps vertical, horizontal;
};

/* The cubic of Keys with a = -0.75, at distance x. */
static double cubic(double x)
{
    const double a = -0.75;
    x = fabs(x);
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static void find_taps(const struct taps *taps, int count, int64_t from, int64_t to)
{
    for (int64_t i = 0; i < to; i++) {
        double at = ((double)i + 0.5) * (double)from / (double)to - 0.5, whole = floor(at);
        if (count == 1) { /* in whole numbers */
            taps->index[0][i] = (int32_t)(i * from / to);
            taps->weight[0][i] = 1;
            continue;
        }
        int64_t first = (int64_t)whole - (count == 4 ? 1 : 0);
        for (int j = 0; j < count; j++) {
            int64_t index = first + j;
            double distance = at - (double)index;
            taps->index[j][i] = (int32_t)(index < 0 ? 0 : index >= from ? from - 1 : index);
            taps->weight[j][i] = (float)(count == 4 ? cubic(distance) : 1 - fabs(distance));
        }
    }
}

CPU_INLINE void resize_with(const struct taps *t, const int count, const float *x, int64_t width,
                            float *out)
{
    for (int64_t i = 0; i < width; i++) {
        float sum = x[t->index[0][i]] * t->weight[0][i];
        CPU_UNROLL for (int j = 1; j < count; j++) sum += x[t->index[j][i]] * t->weight[j][i];
        out[i] = sum;
    }
}

static void resize_row(const struct resize *job, const float *x, float *out)
{
    const struct taps taps = job->horizontal;
    if (job->taps == 1)
        resize_with(&taps, 1, x, job->out_width, out);
    else if (job->taps == 2)
        resize_with(&taps, 2, x, job->out_width, out);
    else
        resize_with(&taps, 4, x, job->out_width, out);
}

/* y = the weighted sum of `taps` rows */
CPU_INLINE void blend_with(const int taps, const float *const rows[MAX_TAPS],
                           const float weights[MAX_TAPS], int64_t count, float *y)
{
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES) {
        cpu_v8 sum = CPU_LOAD8(rows[0] + i) * weights[0];
        CPU_UNROLL for (int j = 1; j < taps; j++) sum += CPU_LOAD8(rows[j] + i) * weights[j];
        CPU_STORE8(y + i, sum);
    }
    for (; i < count; i++) {
        float sum = rows[0][i] * weights[0];
        for (int j = 1; j < taps; j++)
            sum += rows[j][i] * weights[j];
        y[i] = sum;
    }
}

CPU_INLINE void blend_body(enum cpu_level level, int taps, const float *const rows[MAX_TAPS],
                           const float weights[MAX_TAPS], int64_t count, float *y)
{
    (void)level;
    if (taps == 1)
        blend_with(1, rows, weights, count, y);
    else if (taps == 2)
        blend_with(2, rows, weights, count, y);
    else
        blend_with(4, rows, weights, count, y);
}
CPU_VARIANTS(blend,
             (enum cpu_level level, int taps, const float *const rows[MAX_TAPS],
              const float weights[MAX_TAPS], int64_t count, float *y),
             (level, taps, rows, weights, count, y))

/* The resized rows that were made last. */
struct ring {
    float *row[MAX_TAPS];
    int32_t index[MAX_TAPS]; /* in the picture; -1: empty */
};

/* Is this row of the ring one that output row `row` takes? */
static bool needed(const struct resize *job, int64_t row, int32_t index)
{
    for (int j = 0; j < job->taps; j++)
        if (job->vertical.index[j][row] == index)
            return true;
    return false;
}

static const float *ring_row(const struct resize *job, struct ring *ring, const float *plane,
                             int64_t row, int32_t index)
{
    int place = -1;
    for (int j = 0; j < job->taps; j++) {
        if (ring->index[j] == index)
            return ring->row[j];
        if (!needed(job, row, ring->index[j]))
            place = j;
    }
    ring->index[place] = index;
    resize_row(job, plane + index * job->width, ring->row[place]);
    return ring->row[place];
}

static void resize_task(void *argument, int64_t index, int worker)
{
    const struct resize *job = argument;
    int64_t plane = index / job->tasks, first = index % job->tasks * job->rows;
    int64_t end = first + job->rows < job->out_height ? first + job->rows : job->out_height;
    const float *x = job->x + plane * job->height * job->width;
    struct ring ring;
    for (int j = 0; j < MAX_TAPS; j++) {
        ring.row[j] = job->rings + (worker * MAX_TAPS + j) * job->out_width;
        ring.index[j] = -1;
    }
    for (int64_t row = first; row < end; row++) {
        const float *rows[MAX_TAPS];
        float weights[MAX_TAPS];
        for (int j = 0; j < job->taps; j++) {
            rows[j] = ring_row(job, &ring, x, row, job->vertical.index[j][row]);
            weights[j] = job->vertical.weight[j][row];
        }
        blend(cpu_level(job->cpu), job->taps, rows, weights, job->out_width,
              job->y + (plane * job->out_height + row) * job->out_width);
    }
}

/* Cut the scratch: tables, then rings. */
static void place_tables(struct resize *job, float *memory)
{
    for (int j = 0; j < MAX_TAPS; j++) {
        job->horizontal.weight[j] = memory;
        job->horizontal.index[j] = (int32_t *)(void *)(memory + job->out_width);
        memory += 2 * job->out_width;
        job->vertical.weight[j] = memory;
        job->vertical.index[j] = (int32_t *)(void *)(memory + job->out_height);
        memory += 2 * job->out_height;
    }
    job->rings = memory;
}

static int resize(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    static const int taps[] = {1, 2, 4};
    const int64_t *x = call->in[0].shape, *y = call->out[0].shape;
    struct resize job = {
        .cpu = cpu,
        .x = cpu_data(&call->in[0]),
        .y = cpu_data(&call->out[0]),
        .height = x[2],
        .width = x[3],
        .out_height = y[2],
        .out_width = y[3],
        .taps = taps[call->ints[0]],
    };
    size_t floats = (size_t)(MAX_TAPS * (2 * (y[2] + y[3]) + cpu_pool_threads(cpu->pool) * y[3]));
    float *memory = cpu_caller_scratch(cpu, floats * sizeof(float));
    if (memory == NULL)
        return cr_fail_memory(err, floats * sizeof(float));
    place_tables(&job, memory);
    find_taps(&job.horizontal, job.taps, x[3], y[3]);
    find_taps(&job.vertical, job.taps, x[2], y[2]);
    job.rows = CPU_SPAN / y[3] > 0 ? CPU_SPAN / y[3] : 1;
    job.tasks = (y[2] + job.rows - 1) / job.rows;
    cpu_parallel(cpu->pool, y[0] * y[1] * job.tasks, resize_task, &job);
    return 0;
}

const struct cpu_entry cpu_picture_family[] = {
    {CR_OP_CONV2D, conv2d, conv2d_variant},
    {CR_OP_RESIZE, resize, cpu_level_variant},
    {0, NULL, NULL},
};
