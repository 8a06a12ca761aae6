/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "activation.h"
#include "convert.h"
#include "lanes.h"
#include "spans.h"

/* Elements that stay in the first-level cache. */
#define PIECE 2048

/* ---- add, mul, scale ---- */

/* y = a op b; b has one number for each of a, or (step 0) one for all. */
CPU_INLINE void binary_run_body(enum cpu_level level, bool mul, const float *a, const float *b,
                                int64_t step, float *y, int64_t count)
{
    (void)level;
    int64_t i = 0;
    if (step == 0 && mul)
        for (; i + CPU_LANES <= count; i += CPU_LANES)
            CPU_STORE8(y + i, CPU_LOAD8(a + i) * b[0]);
    else if (step == 0)
        for (; i + CPU_LANES <= count; i += CPU_LANES)
            CPU_STORE8(y + i, CPU_LOAD8(a + i) + b[0]);
    else if (mul)
        for (; i + CPU_LANES <= count; i += CPU_LANES)
            CPU_STORE8(y + i, CPU_LOAD8(a + i) * CPU_LOAD8(b + i));
    else
        for (; i + CPU_LANES <= count; i += CPU_LANES)
            CPU_STORE8(y + i, CPU_LOAD8(a + i) + CPU_LOAD8(b + i));
    for (; i < count; i++)
        y[i] = mul ? a[i] * b[i * step] : a[i] + b[i * step];
}
CPU_VARIANTS(binary_run,
             (enum cpu_level level, bool mul, const float *a, const float *b, int64_t step,
              float *y, int64_t count),
             (level, mul, a, b, step, y, count))

/* a as rows over which b has a constant step (0 or 1), with as few axes as possible. */
struct binary {
    enum cpu_level level;
    bool mul;
    const float *a, *b;
    float *y;
    int axes;
    int64_t extent[CR_TENSOR_MAX_RANK + 1], step[CR_TENSOR_MAX_RANK + 1];
};

static void add_axis(struct binary *job, int64_t extent, int64_t step)
{
    int last = job->axes - 1;
    if (extent == 1)
        return;
    if (last >= 0 && job->step[last] == extent * step) {
        job->extent[last] *= extent;
        job->step[last] = step;
        return;
    }
    job->extent[job->axes] = extent;
    job->step[job->axes++] = step;
}

static void set_axes(struct binary *job, const struct cr_operand *a, const struct cr_operand *b)
{
    int64_t steps[CR_TENSOR_MAX_RANK] = {0}, step = 1;
    for (int i = 1; i <= b->rank; i++) {
        int64_t extent = b->shape[b->rank - i];
        steps[a->rank - i] = extent == 1 ? 0 : step;
        step *= extent;
    }
    for (int i = 0; i < a->rank; i++)
        add_axis(job, a->shape[i], steps[i]);
    if (job->axes == 0) {
        job->extent[0] = 1;
        job->axes = 1;
    }
}

static int64_t offset_of_row(const struct binary *job, int64_t row)
{
    int64_t offset = 0;
    for (int i = job->axes - 2; i >= 0; i--) {
        offset += row % job->extent[i] * job->step[i];
        row /= job->extent[i];
    }
    return offset;
}

static void binary_span(void *argument, int64_t from, int64_t to)
{
    const struct binary *job = argument;
    int64_t length = job->extent[job->axes - 1], step = job->step[job->axes - 1];
    while (from < to) {
        int64_t row = from / length, column = from % length;
        int64_t count = length - column < to - from ? length - column : to - from;
        const float *b = job->b + offset_of_row(job, row) + column * step;
        binary_run(job->level, job->mul, job->a + from, b, step, job->y + from, count);
        from += count;
    }
}

static int binary(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *a = &call->in[0], *b = &call->in[1];
    struct binary job = {
        .level = cpu_level(cpu),
        .mul = call->op == CR_OP_MUL,
        .a = cpu_data(a),
        .b = cpu_data(b),
        .y = cpu_data(&call->out[0]),
    };
    set_axes(&job, a, b);
    cpu_spans(cpu, cpu_elements(a), 1, binary_span, &job);
    return 0;
}

static int scale(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const float factor = (float)call->reals[0];
    struct binary job = {
        .level = cpu_level(cpu),
        .mul = true,
        .a = cpu_data(&call->in[0]),
        .b = &factor,
        .y = cpu_data(&call->out[0]),
        .axes = 1,
        .extent = {cpu_elements(&call->in[0])},
    };
    cpu_spans(cpu, job.extent[0], 1, binary_span, &job);
    return 0;
}

/* ---- Functions of one element ---- */

struct unary {
    enum cpu_level level;
    int activation;
    const float *x, *b;
    float *y;
};

static void unary_span(void *argument, int64_t from, int64_t to)
{
    const struct unary *job = argument;
    for (; from < to; from += PIECE) {
        int64_t count = to - from < PIECE ? to - from : PIECE;
        memcpy(job->y + from, job->x + from, (size_t)count * sizeof(float));
        cpu_activate(job->level, job->activation, job->y + from, count);
    }
}

static int unary(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    static const int activations[CR_OP_COUNT] = {
        [CR_OP_SIGMOID] = CPU_ACTIVATION_SIGMOID, [CR_OP_RELU] = CR_ACTIVATION_RELU,
        [CR_OP_GELU] = CR_ACTIVATION_GELU,        [CR_OP_QUICK_GELU] = CR_ACTIVATION_QUICK_GELU,
        [CR_OP_SILU] = CR_ACTIVATION_SILU,
    };
    (void)err;
    struct unary job = {cpu_level(cpu), activations[call->op], cpu_data(&call->in[0]), NULL,
                        cpu_data(&call->out[0])};
    cpu_spans(cpu, cpu_elements(&call->in[0]), 1, unary_span, &job);
    return 0;
}

static void silu_mul_span(void *argument, int64_t from, int64_t to)
{
    const struct unary *job = argument;
    cpu_silu_mul(job->level, job->x + from, job->b + from, job->y + from, to - from);
}

static int silu_mul(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    struct unary job = {cpu_level(cpu), 0, cpu_data(&call->in[0]), cpu_data(&call->in[1]),
                        cpu_data(&call->out[0])};
    cpu_spans(cpu, cpu_elements(&call->in[0]), 1, silu_mul_span, &job);
    return 0;
}

/* ---- fill, cast ---- */

struct cast {
    enum cpu_level level;
    enum cr_dtype from, to;
    const char *x;
    char *y;
};

static void cast_span(void *argument, int64_t from, int64_t to)
{
    const struct cast *job = argument;
    size_t in = cr_dtype_size(job->from), out = cr_dtype_size(job->to);
    float piece[PIECE];
    for (; from < to; from += PIECE) {
        int64_t count = to - from < PIECE ? to - from : PIECE;
        const char *x = job->x + (size_t)from * in;
        char *y = job->y + (size_t)from * out;
        if (job->from == job->to) {
            memcpy(y, x, (size_t)count * in);
        } else if (job->to == CR_DTYPE_F32) {
            cpu_to_f32(job->level, job->from, x, count, (float *)(void *)y);
        } else if (job->from == CR_DTYPE_F32) {
            cpu_from_f32(job->level, (const float *)(const void *)x, count, job->to, y);
        } else {
            /* Exact for u8, f16 and every i32 that fits f16 or u8. */
            cpu_to_f32(job->level, job->from, x, count, piece);
            cpu_from_f32(job->level, piece, count, job->to, y);
        }
    }
}

static int cast(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    struct cast job = {cpu_level(cpu), (enum cr_dtype)x->dtype, (enum cr_dtype)y->dtype,
                       cpu_data(x), cpu_data(y)};
    cpu_spans(cpu, cpu_elements(x), 1, cast_span, &job);
    return 0;
}

struct fill {
    size_t size;
    const void *pattern; /* PIECE elements */
    char *y;
};

static void fill_span(void *argument, int64_t from, int64_t to)
{
    const struct fill *job = argument;
    for (; from < to; from += PIECE)
        memcpy(job->y + (size_t)from * job->size, job->pattern,
               (size_t)(to - from < PIECE ? to - from : PIECE) * job->size);
}

static int fill(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    const struct cr_operand *y = &call->out[0];
    float values[PIECE], pattern[PIECE];
    for (int i = 0; i < PIECE; i++)
        values[i] = (float)call->reals[0];
    cpu_from_f32(cpu_level(cpu), values, PIECE, (enum cr_dtype)y->dtype, pattern);
    struct fill job = {cr_dtype_size((enum cr_dtype)y->dtype), pattern, cpu_data(y)};
    cpu_spans(cpu, cpu_elements(y), 1, fill_span, &job);
    return 0;
}

const struct cpu_entry cpu_elements_family[] = {
    {CR_OP_ADD, binary, cpu_level_variant},
    {CR_OP_MUL, binary, cpu_level_variant},
    {CR_OP_SCALE, scale, cpu_level_variant},
    {CR_OP_SIGMOID, unary, cpu_level_variant},
    {CR_OP_RELU, unary, cpu_level_variant},
    {CR_OP_GELU, unary, cpu_level_variant},
    {CR_OP_QUICK_GELU, unary, cpu_level_variant},
    {CR_OP_SILU, unary, cpu_level_variant},
    {CR_OP_SILU_MUL, silu_mul, cpu_level_variant},
    {CR_OP_CAST, cast, cpu_level_variant},
    {CR_OP_FILL, fill, NULL},
    {0, NULL, NULL},
};
