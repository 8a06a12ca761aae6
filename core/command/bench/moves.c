/* SPDX-License-Identifier: MIT */
/* The kinds of cases that go over elements or move them: as in kinds.c, bytes are those of every
 * operand and result once; an exponential, a root or a comparison counts as one operation. */
#include "command/bench/bench.h"

#define SHAPE(...)                                                                                 \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define N(i) ((double)c->n[i])
#define M_K (N(0) * N(1))

/* A kind from the functions prepare_X, run_X, bytes_X and operations_X. */
#define KIND(name, OP, prepare, run, bytes, operations)                                            \
    const struct bench_kind bench_##name = {CR_OP_##OP, false,         prepare_##prepare,          \
                                            run_##run,  bytes_##bytes, operations_##operations}

typedef int operation(struct cr_tensor **y, struct cr_tensor *const *warm,
                      const struct bench_case *c, struct cr_error *err);

/* Run an operation with one result, which nobody wants. */
static int discard(operation *run, struct bench_inputs *inputs, const struct bench_case *c,
                   struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    int result = run(&y, inputs->warm, c, err);
    cr_tensor_unref(&y);
    return result;
}

/* run_NAME from an expression with y, warm, c and err. */
#define RUN(name, call)                                                                            \
    static int name##_once(struct cr_tensor **y, struct cr_tensor *const *warm,                    \
                           const struct bench_case *c, struct cr_error *err)                       \
    {                                                                                              \
        (void)c;                                                                                   \
        return call;                                                                               \
    }                                                                                              \
    static int run_##name(struct bench_inputs *inputs, const struct bench_case *c,                 \
                          struct cr_error *err)                                                    \
    {                                                                                              \
        return discard(name##_once, inputs, c, err);                                               \
    }

/* bytes_NAME or operations_NAME. */
#define FORMULA(name, formula)                                                                     \
    static double name(const struct bench_case *c)                                                 \
    {                                                                                              \
        return formula;                                                                            \
    }

/* ---- Rows of M, K ---- */

static void prepare_one(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 2, SHAPE(c->n[0], c->n[1]));
}

static void prepare_norm(struct bench_inputs *inputs, const struct bench_case *c)
{
    prepare_one(inputs, c);
    bench_warm_f32(inputs, 1, SHAPE(c->n[1]));
    bench_warm_f32(inputs, 1, SHAPE(c->n[1]));
}

/* Two of the same shape, or a row for all rows. */
static void prepare_two(struct bench_inputs *inputs, const struct bench_case *c)
{
    prepare_one(inputs, c);
    bench_warm_f32(inputs, 2, SHAPE(c->n[2] != 1 ? c->n[0] : 1, c->n[1]));
}

FORMULA(bytes_in_out, 8 * M_K)
FORMULA(bytes_rms_norm, 8 * M_K + 4 * N(1))
FORMULA(bytes_layer_norm, 8 * M_K + 8 * N(1))
FORMULA(bytes_two, 8 * M_K + 4 * (N(2) != 1 ? N(0) : 1) * N(1))
FORMULA(bytes_reduce, 4 * M_K + 4 * N(0))
FORMULA(bytes_cast, 6 * M_K)
FORMULA(bytes_fill, 4 * M_K)
FORMULA(bytes_topk, 4 * M_K + 8 * N(0) * N(2))
FORMULA(bytes_total, 4 * M_K)
FORMULA(bytes_adamw, 28 * M_K)

static double operations_none(const struct bench_case *c)
{
    (void)c;
    return 0;
}

FORMULA(operations_1, M_K)
FORMULA(operations_2, 2 * M_K)
FORMULA(operations_4, 4 * M_K)
FORMULA(operations_7, 7 * M_K)
FORMULA(operations_15, 15 * M_K)

RUN(rms_norm, cr_op_rms_norm(y, warm[0], warm[1], 1e-6f, err))
RUN(layer_norm, cr_op_layer_norm(y, warm[0], warm[1], warm[2], 1e-5f, err))
RUN(add, cr_op_add(y, warm[0], warm[1], err))
RUN(mul, cr_op_mul(y, warm[0], warm[1], err))
RUN(silu_mul, cr_op_silu_mul(y, warm[0], warm[1], err))
RUN(scale, cr_op_scale(y, warm[0], 0.5f, err))
RUN(unary, cr_op_unary(y, c->kind->op, warm[0], err))
RUN(reduce, cr_op_reduce(y, c->kind->op, warm[0], err))
RUN(argmax, cr_op_argmax(y, warm[0], err))
RUN(cast, cr_op_cast(y, warm[0], CR_DTYPE_F16, err))
RUN(fill, cr_op_fill(y, cr_tensor_device(warm[0]), CR_DTYPE_F32, 2, c->n, 1, err))
RUN(grad_norm, cr_op_grad_norm(y, (const struct cr_tensor *const[]){warm[0]}, 1, err))

KIND(rms_norm, RMS_NORM, norm, rms_norm, rms_norm, 4);
KIND(layer_norm, LAYER_NORM, norm, layer_norm, layer_norm, 7);
KIND(add, ADD, two, add, two, 1);
KIND(mul, MUL, two, mul, two, 1);
KIND(silu_mul, SILU_MUL, two, silu_mul, two, 4);
KIND(scale, SCALE, one, scale, in_out, 1);
KIND(sigmoid, SIGMOID, one, unary, in_out, 4);
KIND(relu, RELU, one, unary, in_out, 1);
KIND(gelu, GELU, one, unary, in_out, 15);
KIND(quick_gelu, QUICK_GELU, one, unary, in_out, 4);
KIND(silu, SILU, one, unary, in_out, 4);
KIND(softmax, SOFTMAX, one, reduce, in_out, 4);
KIND(log_softmax, LOG_SOFTMAX, one, reduce, in_out, 4);
KIND(sum, SUM, one, reduce, reduce, 1);
KIND(mean, MEAN, one, reduce, reduce, 1);
KIND(max, MAX, one, reduce, reduce, 1);
KIND(sum_squares, SUM_SQUARES, one, reduce, reduce, 2);
KIND(argmax, ARGMAX, one, argmax, reduce, 1);
KIND(cast, CAST, one, cast, cast, none);
KIND(fill, FILL, one, fill, fill, none);
KIND(grad_norm, GRAD_NORM, one, grad_norm, total, 2);

static int run_topk(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    struct cr_tensor *values = NULL, *indices = NULL;
    int result = cr_op_topk(&values, &indices, inputs->warm[0], (int)c->n[2], err);
    cr_tensor_unref(&values);
    cr_tensor_unref(&indices);
    return result;
}

KIND(topk, TOPK, one, topk, topk, 1);

static void prepare_adamw(struct bench_inputs *inputs, const struct bench_case *c)
{
    for (int i = 0; i < 2; i++)
        prepare_one(inputs, c);
    for (int i = 0; i < 2 && inputs->result == 0; i++) /* moments are not negative */
        inputs->result = cr_op_fill(&inputs->warm[inputs->warm_count++], inputs->device,
                                    CR_DTYPE_F32, 2, c->n, 0.01f, inputs->err);
}

static int run_adamw(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    static const struct cr_adamw adamw = {1e-4f, 0.9f, 0.999f, 1e-8f, 0.01f, 10};
    struct cr_tensor *const *warm = inputs->warm;
    (void)c;
    return cr_op_adamw_step(warm[0], warm[2], warm[3], warm[1], &adamw, err);
}

KIND(adamw_step, ADAMW_STEP, adamw, adamw, adamw, 15);

/* ---- group_norm: channels, side, groups ---- */

static void prepare_group_norm(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 4, SHAPE(1, c->n[0], c->n[1], c->n[1]));
    bench_warm_f32(inputs, 1, SHAPE(c->n[0]));
    bench_warm_f32(inputs, 1, SHAPE(c->n[0]));
}

RUN(group_norm, cr_op_group_norm(y, warm[0], warm[1], warm[2], (int)c->n[2], 1e-5f, err))
FORMULA(bytes_group_norm, 8 * N(0) * N(1) * N(1) + 8 * N(0))
FORMULA(operations_group_norm, 7 * N(0) * N(1) * N(1))
KIND(group_norm, GROUP_NORM, group_norm, group_norm, group_norm, group_norm);

/* ---- rope: L, heads, d ---- */

static void prepare_rope(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 4, SHAPE(1, c->n[0], c->n[1], c->n[2]));
    bench_warm_f32(inputs, 2, SHAPE(c->n[0], c->n[2] / 2));
    bench_warm_f32(inputs, 2, SHAPE(c->n[0], c->n[2] / 2));
    bench_warm(inputs, CR_DTYPE_I32, 2, SHAPE(1, c->n[0]), (int32_t)c->n[0]);
}

RUN(rope, cr_op_rope(y, warm[0], warm[1], warm[2], warm[3], err))
FORMULA(bytes_rope, 8 * N(0) * N(1) * N(2) + 4 * N(0) * N(2) + 4 * N(0))
FORMULA(operations_rope, 3 * N(0) * N(1) * N(2))
KIND(rope, ROPE, rope, rope, rope, rope);

/* ---- kv_append: L, heads, d, rows of the cache ---- */

static void prepare_kv_append(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm(inputs, CR_DTYPE_F16, 4, SHAPE(1, c->n[1], c->n[3], c->n[2]), 0);
    bench_warm_f32(inputs, 4, SHAPE(1, c->n[0], c->n[1], c->n[2]));
}

static int run_kv_append(struct bench_inputs *inputs, const struct bench_case *c,
                         struct cr_error *err)
{
    const int32_t at = (int32_t)(c->n[3] - c->n[0]);
    return cr_op_kv_append(inputs->warm[0], inputs->warm[1], &at, NULL, err);
}

FORMULA(bytes_kv_append, 6 * N(0) * N(1) * N(2) + 4 * N(0))
KIND(kv_append, KV_APPEND, kv_append, kv_append, kv_append, none);

/* ---- Rows: rows of x, D, rows moved ---- */

static void prepare_rows(struct bench_inputs *inputs, const struct bench_case *c)
{
    prepare_one(inputs, c);
    bench_warm_f32(inputs, 2, SHAPE(c->n[2], c->n[1]));
    int32_t *rows = cr_malloc((size_t)c->n[2] * sizeof(int32_t));
    for (int64_t i = 0; rows != NULL && i < c->n[2]; i++)
        rows[i] = (int32_t)(c->n[0] - c->n[2] + i);
    if (inputs->result == 0)
        inputs->result = rows == NULL
                             ? cr_fail_memory(inputs->err, (size_t)c->n[2] * sizeof(int32_t))
                             : cr_tensor_upload(&inputs->warm[inputs->warm_count++], inputs->device,
                                                CR_DTYPE_I32, 1, SHAPE(c->n[2]), rows, inputs->err);
    cr_free(rows);
}

static int run_scatter_rows(struct bench_inputs *inputs, const struct bench_case *c,
                            struct cr_error *err)
{
    (void)c;
    return cr_op_scatter_rows(inputs->warm[0], inputs->warm[2], inputs->warm[1], err);
}

static int run_scatter_add_rows(struct bench_inputs *inputs, const struct bench_case *c,
                                struct cr_error *err)
{
    (void)c;
    return cr_op_scatter_add_rows(inputs->warm[0], inputs->warm[2], inputs->warm[1], err);
}

RUN(gather_rows, cr_op_gather_rows(y, warm[0], warm[2], err))
FORMULA(bytes_rows, 8 * N(2) * N(1) + 4 * N(2))
FORMULA(bytes_rows_add, 12 * N(2) * N(1) + 4 * N(2))
FORMULA(operations_rows_add, N(2) * N(1))
KIND(gather_rows, GATHER_ROWS, rows, gather_rows, rows, none);
KIND(scatter_rows, SCATTER_ROWS, rows, scatter_rows, rows, none);
KIND(scatter_add_rows, SCATTER_ADD_ROWS, rows, scatter_add_rows, rows_add, rows_add);

/* ---- Layout: a shape in n[0..3], and what is done to it ---- */

static void prepare_shape(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 4, c->n);
}

#define SHAPE_ELEMENTS (N(0) * N(1) * N(2) * N(3))

/* slice: n[4] of the first axis that is not 1, from its middle; here always axis 1. */
static int slice_once(struct cr_tensor **y, struct cr_tensor *const *warm,
                      const struct bench_case *c, struct cr_error *err)
{
    const int64_t start[4] = {0, (c->n[1] - c->n[4]) / 2, 0, 0};
    const int64_t extent[4] = {c->n[0], c->n[4], c->n[2], c->n[3]};
    return cr_op_slice(y, warm[0], start, extent, err);
}

static int run_slice(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    return discard(slice_once, inputs, c, err);
}

/* permute: axes 1 and 2 change places. */
static const int swap_inner[4] = {0, 2, 1, 3};

/* roll: by n[4] on axes 1 and 2. pad: n[4] behind on axes 1 and 2. */
RUN(concat, cr_op_concat(y, (const struct cr_tensor *const[]){warm[0], warm[0]}, 2, 1, err))
RUN(permute, cr_op_permute(y, warm[0], swap_inner, err))
RUN(roll, cr_op_roll(y, warm[0], SHAPE(0, c->n[4], c->n[4], 0), err))
RUN(pad, cr_op_pad(y, warm[0], SHAPE(0, 0, 0, 0), SHAPE(0, c->n[4], c->n[4], 0), 0, err))
FORMULA(bytes_slice, 8 * N(0) * N(4) * N(2) * N(3))
FORMULA(bytes_concat, 12 * SHAPE_ELEMENTS)
FORMULA(bytes_same, 8 * SHAPE_ELEMENTS)
FORMULA(bytes_pad, 4 * SHAPE_ELEMENTS + 4 * N(0) * (N(1) + N(4)) * (N(2) + N(4)) * N(3))
KIND(slice, SLICE, shape, slice, slice, none);
KIND(concat, CONCAT, shape, concat, concat, none);
KIND(permute, PERMUTE, shape, permute, same, none);
KIND(roll, ROLL, shape, roll, same, none);
KIND(pad, PAD, shape, pad, pad, none);

/* ---- resize: channels, side, side of the result, mode ---- */

static void prepare_resize(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 4, SHAPE(1, c->n[0], c->n[1], c->n[1]));
}

static int resize_once(struct cr_tensor **y, struct cr_tensor *const *warm,
                       const struct bench_case *c, struct cr_error *err)
{
    const struct cr_size size = {(int32_t)c->n[2], (int32_t)c->n[2]};
    return cr_op_resize(y, warm[0], size, (enum cr_interpolation)c->n[3], err);
}

static int run_resize(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    return discard(resize_once, inputs, c, err);
}

/* Rows first, then columns: each a sum of 2 or 4 products for a pixel of the result. */
static double operations_resize(const struct bench_case *c)
{
    static const double taps[] = {[CR_INTERPOLATION_NEAREST] = 0,
                                  [CR_INTERPOLATION_BILINEAR] = 2,
                                  [CR_INTERPOLATION_BICUBIC] = 4};
    return 2 * taps[c->n[3]] * N(0) * N(2) * (N(1) + N(2));
}

FORMULA(bytes_resize, 4 * N(0) * (N(1) * N(1) + N(2) * N(2)))
KIND(resize, RESIZE, resize, resize, resize, resize);
