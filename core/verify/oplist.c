/* SPDX-License-Identifier: MIT */
/* oplist.c: every operation of crayon/ops.h as cases name it. */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "verify/op.h"

static const char *const dtype_words[] = {"f32", "f16", "i32", "u8", "q8_0", "nf4", NULL};
static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16,  CR_DTYPE_I32,
                                       CR_DTYPE_U8,  CR_DTYPE_Q8_0, CR_DTYPE_NF4};

/* ---- Products ---- */

static int run_linear(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_in(op, "w", OP_REAL);
    struct cr_tensor *bias = op_optional(op, "bias", OP_F32);
    return op_ready(op) ? cr_op_linear(op_out(op, "y"), x, w, bias, &op->err) : 0;
}

static const char *const branch_names[CR_MAX_BRANCHES][4] = {
    {"a0", "b0", "source0", "scale0"},
    {"a1", "b1", "source1", "scale1"},
    {"a2", "b2", "source2", "scale2"},
    {"a3", "b3", "source3", "scale3"},
};

static int run_linear_fused(struct op *op)
{
    static const char *const activations[] = {"none", "gelu", "quick_gelu", "silu", "relu", NULL};
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_in(op, "w", OP_REAL);
    struct cr_tensor *bias = op_optional(op, "bias", OP_F32);
    struct cr_linear_extra extra = {
        .activation = (enum cr_activation)op_choice(op, "activation", activations, 0),
        .residual = op_optional(op, "residual", OP_F32),
    };
    for (size_t i = 0; i < CR_MAX_BRANCHES && op_has(op, branch_names[i][0]); i++)
        extra.branch[extra.branches++] = (struct cr_branch){
            .a = op_in(op, branch_names[i][0], OP_REAL),
            .b = op_in(op, branch_names[i][1], OP_REAL),
            .source = op_optional(op, branch_names[i][2], OP_F32),
            .scale = op_optional(op, branch_names[i][3], OP_F32),
        };
    return op_ready(op) ? cr_op_linear_fused(op_out(op, "y"), x, w, bias, &extra, &op->err) : 0;
}

/* With "weight" it is the product with a stored matrix, y = x weight^T, in whatever type. */
static int run_matmul(struct op *op)
{
    if (op_has(op, "weight")) {
        struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_in(op, "weight", OP_REAL);
        return op_ready(op) ? cr_op_linear(op_out(op, "y"), x, w, NULL, &op->err) : 0;
    }
    struct cr_tensor *a = op_in(op, "a", OP_REAL), *b = op_in(op, "b", OP_REAL);
    bool transpose_a = op_flag(op, "transpose_a"), transpose_b = op_flag(op, "transpose_b");
    float alpha = (float)op_number(op, "alpha", 1);
    return op_ready(op)
               ? cr_op_matmul(op_out(op, "y"), a, b, transpose_a, transpose_b, alpha, &op->err)
               : 0;
}

/* ---- Rows ---- */

static int run_embedding(struct op *op)
{
    struct cr_tensor *table = op_in(op, "table", OP_REAL), *ids = op_in(op, "ids", OP_I32);
    return op_ready(op) ? cr_op_embedding(op_out(op, "y"), table, ids, &op->err) : 0;
}

static int run_gather_rows(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS), *rows = op_in(op, "rows", OP_I32);
    return op_ready(op) ? cr_op_gather_rows(op_out(op, "y"), x, rows, &op->err) : 0;
}

/* An operand that is changed in place is the output of its name. */
static void changes(struct op *op, const char *name, struct cr_tensor *tensor)
{
    *op_out(op, name) = cr_tensor_ref(tensor);
}

static int run_scatter(struct op *op, bool add)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS), *rows = op_in(op, "rows", OP_I32);
    struct cr_tensor *src = op_in(op, "src", OP_AS_IT_IS);
    if (!op_ready(op))
        return 0;
    changes(op, "x", x);
    return add ? cr_op_scatter_add_rows(x, rows, src, &op->err)
               : cr_op_scatter_rows(x, rows, src, &op->err);
}

static int run_scatter_rows(struct op *op)
{
    return run_scatter(op, false);
}

static int run_scatter_add_rows(struct op *op)
{
    return run_scatter(op, true);
}

/* ---- Norms ---- */

static int run_rms_norm(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_optional(op, "w", OP_REAL);
    float eps = (float)op_number(op, "eps", 0);
    return op_ready(op) ? cr_op_rms_norm(op_out(op, "y"), x, w, eps, &op->err) : 0;
}

static int run_layer_norm(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_optional(op, "w", OP_REAL);
    struct cr_tensor *b = op_optional(op, "b", OP_REAL);
    float eps = (float)op_number(op, "eps", 0);
    return op_ready(op) ? cr_op_layer_norm(op_out(op, "y"), x, w, b, eps, &op->err) : 0;
}

static int run_group_norm(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_optional(op, "w", OP_REAL);
    struct cr_tensor *b = op_optional(op, "b", OP_REAL);
    int groups = (int)op_integer(op, "groups", 1);
    float eps = (float)op_number(op, "eps", 0);
    return op_ready(op) ? cr_op_group_norm(op_out(op, "y"), x, w, b, groups, eps, &op->err) : 0;
}

/* ---- Attention ---- */

static int run_rope(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32), *cosines = op_in(op, "cos", OP_F32);
    struct cr_tensor *sines = op_in(op, "sin", OP_F32), *at = op_in(op, "positions", OP_I32);
    return op_ready(op) ? cr_op_rope(op_out(op, "y"), x, cosines, sines, at, &op->err) : 0;
}

static int run_attention(struct op *op)
{
    struct cr_tensor *q = op_in(op, "q", OP_F32), *k = op_in(op, "k", OP_REAL);
    struct cr_tensor *v = op_in(op, "v", OP_REAL);
    const struct cr_attention extra = {
        .scale = (float)op_number(op, "scale", 0),
        .causal = op_flag(op, "causal"),
        .offset = op_integer(op, "offset", 0),
        .lengths = op_optional(op, "lengths", OP_I32),
        .mask = op_optional(op, "mask", OP_U8),
        .bias = op_optional(op, "bias", OP_F32),
        .rows = op_optional(op, "rows", OP_I32),
    };
    return op_ready(op) ? cr_op_attention(op_out(op, "y"), q, k, v, &extra, &op->err) : 0;
}

/* The front-end reads as many positions as x has items, or rows. */
static int run_kv_append(struct op *op)
{
    size_t count;
    bool by_rows = op_has(op, "rows");
    struct cr_tensor *cache = op_in(op, "cache", OP_REAL), *x = op_in(op, "x", OP_F32);
    int32_t *at = op_host_ids(op, by_rows ? "rows" : "at", &count);
    if (!op_ready(op))
        return 0;
    int64_t needed = cr_tensor_extent(x, 0) * (by_rows ? cr_tensor_extent(x, 1) : 1);
    if ((int64_t)count != needed)
        return cr_fail(&op->err, CR_ERR_ARGUMENT, "kv_append: \"%s\" has %zu numbers, not %lld",
                       by_rows ? "rows" : "at", count, (long long)needed);
    changes(op, "cache", cache);
    return cr_op_kv_append(cache, x, by_rows ? NULL : at, by_rows ? at : NULL, &op->err);
}

static int run_ms_deform_attn(struct op *op)
{
    int64_t shapes[OP_MAX_LIST];
    size_t count;
    struct cr_tensor *value = op_in(op, "value", OP_F32);
    struct cr_tensor *locations = op_in(op, "locations", OP_F32);
    struct cr_tensor *weights = op_in(op, "weights", OP_F32);
    op_list(op, "shapes", shapes, &count);
    if (!op_ready(op))
        return 0;
    if (count % 2 != 0)
        return cr_fail(&op->err, CR_ERR_ARGUMENT, "ms_deform_attn: \"shapes\" is a list of pairs");
    return cr_op_ms_deform_attn(op_out(op, "y"), value, shapes, (int)(count / 2), locations,
                                weights, &op->err);
}

/* ---- Elements ---- */

static int run_add(struct op *op)
{
    struct cr_tensor *a = op_in(op, "a", OP_F32), *b = op_in(op, "b", OP_F32);
    return op_ready(op) ? cr_op_add(op_out(op, "y"), a, b, &op->err) : 0;
}

static int run_mul(struct op *op)
{
    struct cr_tensor *a = op_in(op, "a", OP_F32), *b = op_in(op, "b", OP_F32);
    return op_ready(op) ? cr_op_mul(op_out(op, "y"), a, b, &op->err) : 0;
}

static int run_silu_mul(struct op *op)
{
    struct cr_tensor *a = op_in(op, "a", OP_F32), *b = op_in(op, "b", OP_F32);
    return op_ready(op) ? cr_op_silu_mul(op_out(op, "y"), a, b, &op->err) : 0;
}

static int run_scale(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32);
    float factor = (float)op_number(op, "factor", 1);
    return op_ready(op) ? cr_op_scale(op_out(op, "y"), x, factor, &op->err) : 0;
}

static enum cr_op find_op(const char *name)
{
    int op = 1;
    while (op < CR_OP_COUNT && strcmp(cr_op_name((enum cr_op)op), name) != 0)
        op++;
    return (enum cr_op)op;
}

static int run_unary(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32);
    return op_ready(op) ? cr_op_unary(op_out(op, "y"), find_op(op->name), x, &op->err) : 0;
}

static int run_reduce(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32);
    return op_ready(op) ? cr_op_reduce(op_out(op, "y"), find_op(op->name), x, &op->err) : 0;
}

static int run_argmax(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32);
    return op_ready(op) ? cr_op_argmax(op_out(op, "y"), x, &op->err) : 0;
}

static int run_topk(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32);
    int k = (int)op_integer(op, "k", 1);
    if (!op_ready(op))
        return 0;
    struct cr_tensor **values = op_out(op, "values"), **indices = op_out(op, "indices");
    return cr_op_topk(values, indices, x, k, &op->err);
}

/* ---- Layout ---- */

/* A list that must have one number for each axis of x. */
static void axes(struct op *op, const char *name, const struct cr_tensor *x,
                 int64_t list[OP_MAX_LIST])
{
    size_t count;
    memset(list, 0, OP_MAX_LIST * sizeof(*list));
    op_list(op, name, list, &count);
    if (x != NULL && count != (size_t)cr_tensor_rank(x))
        verify_problem(op->c, VERIFY_PLACE("attributes", name),
                       "%d numbers are needed here, one for each axis of x", cr_tensor_rank(x));
}

static int run_reshape(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    int64_t shape[OP_MAX_LIST];
    size_t rank;
    op_list(op, "shape", shape, &rank);
    return op_ready(op) ? cr_op_reshape(op_out(op, "y"), x, (int)rank, shape, &op->err) : 0;
}

static int run_cast(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    enum cr_dtype dtype = dtypes[op_choice(op, "dtype", dtype_words, 0)];
    return op_ready(op) ? cr_op_cast(op_out(op, "y"), x, dtype, &op->err) : 0;
}

static int run_slice(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    int64_t start[OP_MAX_LIST], extent[OP_MAX_LIST];
    axes(op, "start", x, start);
    axes(op, "extent", x, extent);
    return op_ready(op) ? cr_op_slice(op_out(op, "y"), x, start, extent, &op->err) : 0;
}

static const char *const numbered[] = {"x0", "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7", "x8",
                                       "x9", "x10", "x11", "x12", "x13", "x14", "x15", NULL};

static size_t many(struct op *op, const struct cr_tensor *x[OP_MAX_LIST], enum op_type type)
{
    size_t count = 0;
    do
        x[count] = op_in(op, numbered[count], type);
    while (++count < OP_MAX_LIST && op_has(op, numbered[count]));
    return count;
}

static int run_concat(struct op *op)
{
    const struct cr_tensor *x[OP_MAX_LIST];
    size_t count = many(op, x, OP_AS_IT_IS);
    int axis = (int)op_integer(op, "axis", 0);
    return op_ready(op) ? cr_op_concat(op_out(op, "y"), x, count, axis, &op->err) : 0;
}

static int run_permute(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    int64_t list[OP_MAX_LIST];
    int order[OP_MAX_LIST];
    axes(op, "order", x, list);
    for (size_t i = 0; i < OP_MAX_LIST; i++)
        order[i] = (int)list[i];
    return op_ready(op) ? cr_op_permute(op_out(op, "y"), x, order, &op->err) : 0;
}

static int run_pad(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    int64_t before[OP_MAX_LIST], after[OP_MAX_LIST];
    float value = (float)op_number(op, "value", 0);
    axes(op, "before", x, before);
    axes(op, "after", x, after);
    return op_ready(op) ? cr_op_pad(op_out(op, "y"), x, before, after, value, &op->err) : 0;
}

static int run_roll(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    int64_t shift[OP_MAX_LIST];
    axes(op, "shift", x, shift);
    return op_ready(op) ? cr_op_roll(op_out(op, "y"), x, shift, &op->err) : 0;
}

static int run_fill(struct op *op)
{
    int64_t shape[OP_MAX_LIST];
    size_t rank;
    enum cr_dtype dtype = dtypes[op_choice(op, "dtype", dtype_words, 0)];
    float value = (float)op_number(op, "value", 0);
    op_list(op, "shape", shape, &rank);
    return op_ready(op)
               ? cr_op_fill(op_out(op, "y"), op->device, dtype, (int)rank, shape, value, &op->err)
               : 0;
}

/* ---- Pictures ---- */

/* [vertical, horizontal], or one number for both. */
static void pair(struct op *op, const char *name, int initial, int both[2])
{
    int64_t list[OP_MAX_LIST] = {initial};
    size_t count;
    op_list(op, name, list, &count);
    both[0] = (int)list[0];
    both[1] = (int)list[count > 1];
    if (count > 2)
        verify_problem(op->c, VERIFY_PLACE("attributes", name), "two numbers are needed here");
}

static int run_conv2d(struct op *op)
{
    int stride[2], padding[2];
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_in(op, "w", OP_REAL);
    struct cr_tensor *bias = op_optional(op, "bias", OP_F32);
    pair(op, "stride", 1, stride);
    pair(op, "padding", 0, padding);
    return op_ready(op) ? cr_op_conv2d(op_out(op, "y"), x, w, bias, stride, padding, &op->err) : 0;
}

static int run_resize(struct op *op)
{
    static const char *const modes[] = {"nearest", "bilinear", "bicubic", NULL};
    int size[2];
    struct cr_tensor *x = op_in(op, "x", OP_F32);
    int mode = op_choice(op, "mode", modes, CR_INTERPOLATION_BILINEAR);
    pair(op, "size", 0, size);
    return op_ready(op) ? cr_op_resize(op_out(op, "y"), x, (struct cr_size){size[0], size[1]},
                                       (enum cr_interpolation)mode, &op->err)
                        : 0;
}

/* ---- Training ---- */

static int run_linear_cross_entropy(struct op *op)
{
    size_t count;
    struct cr_tensor *x = op_in(op, "x", OP_F32), *w = op_in(op, "w", OP_REAL);
    int32_t *labels = op_host_ids(op, "labels", &count);
    if (!op_ready(op))
        return 0;
    int64_t rows = cr_tensor_elements(x);
    if (cr_tensor_rank(x) > 0 && rows > 0)
        rows /= cr_tensor_extent(x, cr_tensor_rank(x) - 1);
    if ((int64_t)count != rows)
        return cr_fail(&op->err, CR_ERR_ARGUMENT,
                       "linear_cross_entropy: \"labels\" has %zu numbers, x %lld rows", count,
                       (long long)rows);
    return cr_op_linear_cross_entropy(op_out(op, "loss"), x, w, labels, &op->err);
}

static int run_adamw_step(struct op *op)
{
    struct cr_tensor *p = op_in(op, "p", OP_F32), *m = op_in(op, "m", OP_F32);
    struct cr_tensor *v = op_in(op, "v", OP_F32), *grad = op_in(op, "grad", OP_F32);
    const struct cr_adamw adamw = {
        .rate = (float)op_number(op, "rate", 1e-3),
        .beta1 = (float)op_number(op, "beta1", 0.9),
        .beta2 = (float)op_number(op, "beta2", 0.999),
        .epsilon = (float)op_number(op, "epsilon", 1e-8),
        .decay = (float)op_number(op, "decay", 0),
        .step = op_integer(op, "step", 1),
    };
    if (!op_ready(op))
        return 0;
    changes(op, "p", p);
    changes(op, "m", m);
    changes(op, "v", v);
    return cr_op_adamw_step(p, m, v, grad, &adamw, &op->err);
}

static int run_grad_norm(struct op *op)
{
    const struct cr_tensor *x[OP_MAX_LIST];
    size_t count = many(op, x, OP_F32);
    return op_ready(op) ? cr_op_grad_norm(op_out(op, "y"), x, count, &op->err) : 0;
}

/* ---- Quantisation ---- */

/* One plane of a quantised matrix, as a tensor. */
static int plane(struct op *op, const char *name, enum cr_dtype dtype, int64_t count,
                 const void *data)
{
    return cr_tensor_create(op_out(op, name), dtype, 1, &count, data, &op->err);
}

static int nf4_planes(struct op *op, const struct cr_tensor *y, int64_t codes, int64_t blocks)
{
    int64_t outer = (blocks + 255) / 256;
    bool nested;
    float offset;
    uint8_t *code = cr_arena_alloc(&op->arena, (size_t)codes + 1);
    void *scales = cr_arena_alloc(&op->arena, (size_t)blocks * sizeof(float) + 1);
    float *nested_absmax = cr_arena_alloc(&op->arena, (size_t)outer * sizeof(float) + 1);
    float *map = cr_arena_alloc(&op->arena, 256 * sizeof(float));
    if (code == NULL || scales == NULL || nested_absmax == NULL || map == NULL)
        return cr_fail_memory(&op->err, (size_t)codes);
    int result =
        cr_tensor_read_quantized(y, code, scales, nested_absmax, map, &offset, &nested, &op->err);
    if (result == 0)
        result = plane(op, "codes", CR_DTYPE_U8, codes, code);
    if (result == 0)
        result = plane(op, "scales", nested ? CR_DTYPE_U8 : CR_DTYPE_F32, blocks, scales);
    if (result == 0 && nested)
        result = plane(op, "nested_absmax", CR_DTYPE_F32, outer, nested_absmax);
    if (result == 0 && nested)
        result = plane(op, "nested_offset", CR_DTYPE_F32, 1, &offset);
    return result;
}

static int q8_planes(struct op *op, const struct cr_tensor *y, int64_t codes, int64_t blocks)
{
    bool nested;
    int8_t *code = cr_arena_alloc(&op->arena, (size_t)codes + 1);
    int32_t *signs = cr_arena_alloc(&op->arena, (size_t)codes * sizeof(*signs) + 1);
    uint16_t *scales = cr_arena_alloc(&op->arena, (size_t)blocks * sizeof(*scales) + 1);
    if (code == NULL || signs == NULL || scales == NULL)
        return cr_fail_memory(&op->err, (size_t)codes);
    int result = cr_tensor_read_quantized(y, code, scales, NULL, NULL, NULL, &nested, &op->err);
    for (int64_t i = 0; i < codes && result == 0; i++)
        signs[i] = code[i];
    if (result == 0)
        result = plane(op, "codes", CR_DTYPE_I32, codes, signs);
    if (result == 0)
        result = plane(op, "scales", CR_DTYPE_F16, blocks, scales);
    return result;
}

static int run_quantize(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_F32), *y = NULL;
    enum cr_dtype dtype = dtypes[op_choice(op, "dtype", dtype_words, 5)];
    bool nested = op_flag(op, "nested");
    if (!op_ready(op))
        return 0;
    int64_t count = cr_tensor_elements(x);
    int result = cr_op_quantize(&y, x, dtype, nested, &op->err);
    if (result == 0)
        result = cr_op_dequantize(op_out(op, "y"), y, CR_DTYPE_F32, &op->err);
    if (result == 0)
        result = dtype == CR_DTYPE_NF4 ? nf4_planes(op, y, (count + 1) / 2, (count + 63) / 64)
                                       : q8_planes(op, y, count, (count + 31) / 32);
    cr_tensor_unref(&y);
    return result;
}

static int run_dequantize(struct op *op)
{
    struct cr_tensor *x = op_in(op, "x", OP_AS_IT_IS);
    enum cr_dtype dtype = dtypes[op_choice(op, "dtype", dtype_words, 0)];
    return op_ready(op) ? cr_op_dequantize(op_out(op, "y"), x, dtype, &op->err) : 0;
}

const struct op_entry op_entries[] = {
    {"linear", run_linear},
    {"linear_fused", run_linear_fused},
    {"matmul", run_matmul},
    {"embedding", run_embedding},
    {"gather_rows", run_gather_rows},
    {"scatter_rows", run_scatter_rows},
    {"scatter_add_rows", run_scatter_add_rows},
    {"rms_norm", run_rms_norm},
    {"layer_norm", run_layer_norm},
    {"group_norm", run_group_norm},
    {"rope", run_rope},
    {"attention", run_attention},
    {"kv_append", run_kv_append},
    {"ms_deform_attn", run_ms_deform_attn},
    {"add", run_add},
    {"mul", run_mul},
    {"silu_mul", run_silu_mul},
    {"scale", run_scale},
    {"sigmoid", run_unary},
    {"relu", run_unary},
    {"gelu", run_unary},
    {"quick_gelu", run_unary},
    {"silu", run_unary},
    {"softmax", run_reduce},
    {"log_softmax", run_reduce},
    {"sum", run_reduce},
    {"mean", run_reduce},
    {"max", run_reduce},
    {"sum_squares", run_reduce},
    {"argmax", run_argmax},
    {"topk", run_topk},
    {"reshape", run_reshape},
    {"cast", run_cast},
    {"slice", run_slice},
    {"concat", run_concat},
    {"permute", run_permute},
    {"pad", run_pad},
    {"roll", run_roll},
    {"fill", run_fill},
    {"conv2d", run_conv2d},
    {"resize", run_resize},
    {"linear_cross_entropy", run_linear_cross_entropy},
    {"adamw_step", run_adamw_step},
    {"grad_norm", run_grad_norm},
    {"quantize", run_quantize},
    {"dequantize", run_dequantize},
    {NULL, NULL},
};
