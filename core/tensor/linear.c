/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/ops.h>

#include "tensor/builder.h"
#include "tensor/device.h"

/* The shape of x with the last extent replaced. */
static void replace_last(int64_t shape[CR_TENSOR_MAX_RANK], const struct cr_tensor *x, int64_t last)
{
    memcpy(shape, x->shape, sizeof(x->shape));
    shape[x->rank - 1] = last;
}

static void build_linear(struct cr_builder *b, const struct cr_tensor *x, const struct cr_tensor *w,
                         const struct cr_tensor *bias)
{
    char xs[96], ws[96];
    cr_build_in(b, "x", x, CR_F32);
    cr_build_in(b, "w", w, CR_WEIGHTS);
    cr_build_rank(b, "x", x, 1, 4);
    cr_build_rank(b, "w", w, 2, 2);
    if (!cr_build_ok(b))
        return;
    cr_build_expect(b, w->shape[1] == cr_last_of(x), "w %s does not fit x %s: K must agree",
                    cr_shape_text(ws, w->rank, w->shape), cr_shape_text(xs, x->rank, x->shape));
    cr_build_optional(b, "bias", bias, CR_F32);
    cr_build_shape(b, "bias", bias, 1, w->shape);
}

static void build_output(struct cr_builder *b, struct cr_tensor **y, const struct cr_tensor *x,
                         const struct cr_tensor *w)
{
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    if (!cr_build_ok(b))
        return;
    replace_last(shape, x, w->shape[0]);
    cr_build_out(b, y, CR_DTYPE_F32, x->rank, shape);
}

int cr_op_linear(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                 const struct cr_tensor *bias, struct cr_error *err)
{
    struct cr_builder b;
    cr_build(&b, CR_OP_LINEAR, err);
    build_linear(&b, x, w, bias);
    build_output(&b, y, x, w);
    return cr_build_submit(&b);
}

/* ---- Fused ---- */

static void build_branch(struct cr_builder *b, const struct cr_tensor *x, const struct cr_tensor *w,
                         const struct cr_branch *branch, size_t index)
{
    char name[48], source_text[96], x_text[96];
    snprintf(name, sizeof(name), "branch[%zu].a", index);
    cr_build_in(b, name, branch->a, CR_WEIGHTS);
    const struct cr_tensor *source = branch->source != NULL ? branch->source : x;
    if (!cr_build_ok(b))
        return;
    cr_build_shape(b, name, branch->a, 2, (int64_t[]){-1, cr_last_of(source)});
    snprintf(name, sizeof(name), "branch[%zu].b", index);
    cr_build_in(b, name, branch->b, CR_WEIGHTS);
    if (!cr_build_ok(b))
        return;
    cr_build_shape(b, name, branch->b, 2, (int64_t[]){w->shape[0], branch->a->shape[0]});
    snprintf(name, sizeof(name), "branch[%zu].source", index);
    cr_build_optional(b, name, branch->source, CR_F32);
    cr_build_expect(b, cr_rows_of(source) == cr_rows_of(x), "%s %s has other rows than x %s", name,
                    cr_shape_text(source_text, source->rank, source->shape),
                    cr_shape_text(x_text, x->rank, x->shape));
    snprintf(name, sizeof(name), "branch[%zu].scale", index);
    cr_build_optional(b, name, branch->scale, CR_F32);
    cr_build_shape(b, name, branch->scale, 1, (int64_t[]){cr_rows_of(x)});
}

/* The rows with a scale other than 0, as a host list; all rows without a scale. */
static int live_rows(const struct cr_tensor *scale, int64_t rows, int32_t **list, int64_t *count,
                     struct cr_error *err)
{
    size_t bytes = (size_t)rows * sizeof(float);
    float *scales = cr_malloc(bytes);
    *list = cr_malloc((size_t)rows * sizeof(int32_t));
    int result = scales == NULL || *list == NULL ? cr_fail_memory(err, bytes)
                                                 : cr_tensor_read(scale, scales, bytes, err);
    *count = 0;
    for (int64_t i = 0; result == 0 && i < rows; i++)
        if (scales[i] != 0)
            (*list)[(*count)++] = (int32_t)i;
    cr_free(scales);
    if (result < 0) {
        cr_free(*list);
        *list = NULL;
    }
    return result;
}

struct branch_work {
    struct cr_tensor *rows, *flat, *picked, *scale, *picked_scale, *scale_column, *low, *full,
        *scaled;
};

static void branch_work_finish(struct branch_work *work)
{
    cr_tensor_unref(&work->rows);
    cr_tensor_unref(&work->flat);
    cr_tensor_unref(&work->picked);
    cr_tensor_unref(&work->scale);
    cr_tensor_unref(&work->picked_scale);
    cr_tensor_unref(&work->scale_column);
    cr_tensor_unref(&work->low);
    cr_tensor_unref(&work->full);
    cr_tensor_unref(&work->scaled);
}

/* y[rows] += scale B (A source), for the rows whose scale is not 0: the others keep their bits. */
static int add_branch(struct cr_tensor *y, const struct cr_tensor *x,
                      const struct cr_branch *branch, struct cr_error *err)
{
    const struct cr_tensor *source = branch->source != NULL ? branch->source : x;
    int64_t m = cr_rows_of(x), count = m;
    int32_t *list = NULL;
    struct branch_work work = {NULL};
    int result = 0;
    if (branch->scale != NULL)
        result = live_rows(branch->scale, m, &list, &count, err);
    if (result < 0 || count == 0) {
        cr_free(list);
        return result;
    }
    if (list == NULL && (list = cr_malloc((size_t)m * sizeof(int32_t))) == NULL)
        return cr_fail_memory(err, (size_t)m * sizeof(int32_t));
    if (branch->scale == NULL)
        for (int64_t i = 0; i < m; i++)
            list[i] = (int32_t)i;
    int64_t n = branch->b->shape[0];
    if ((result = cr_tensor_upload(&work.rows, y->buffer->device, CR_DTYPE_I32, 1, &count, list,
                                   err)) == 0 &&
        (result = cr_op_reshape(&work.flat, source, 2, (int64_t[]){m, cr_last_of(source)}, err)) ==
            0 &&
        (result = cr_op_gather_rows(&work.picked, work.flat, work.rows, err)) == 0 &&
        (result = cr_op_linear(&work.low, work.picked, branch->a, NULL, err)) == 0)
        result = cr_op_linear(&work.full, work.low, branch->b, NULL, err);
    if (result == 0 && branch->scale != NULL &&
        (result = cr_op_reshape(&work.scale_column, branch->scale, 2, (int64_t[]){m, 1}, err)) ==
            0 &&
        (result = cr_op_gather_rows(&work.picked_scale, work.scale_column, work.rows, err)) == 0)
        result = cr_op_mul(&work.scaled, work.full, work.picked_scale, err);
    struct cr_tensor *flat_y = NULL;
    if (result == 0 && (result = cr_op_reshape(&flat_y, y, 2, (int64_t[]){m, n}, err)) == 0)
        result = cr_op_scatter_add_rows(flat_y, work.rows,
                                        work.scaled != NULL ? work.scaled : work.full, err);
    cr_tensor_unref(&flat_y);
    branch_work_finish(&work);
    cr_free(list);
    return result;
}

static int activate(struct cr_tensor **y, enum cr_activation activation, struct cr_error *err)
{
    static const enum cr_op ops[] = {
        [CR_ACTIVATION_GELU] = CR_OP_GELU,
        [CR_ACTIVATION_QUICK_GELU] = CR_OP_QUICK_GELU,
        [CR_ACTIVATION_SILU] = CR_OP_SILU,
        [CR_ACTIVATION_RELU] = CR_OP_RELU,
    };
    if (activation == CR_ACTIVATION_NONE)
        return 0;
    struct cr_tensor *result = NULL;
    int code = cr_op_unary(&result, ops[activation], *y, err);
    cr_tensor_unref(y);
    *y = result;
    return code;
}

/* The same by basic operations. */
static int compose(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                   const struct cr_tensor *bias, const struct cr_linear_extra *extra,
                   struct cr_error *err)
{
    struct cr_tensor *result = NULL, *sum = NULL;
    int code = cr_op_linear(&result, x, w, bias, err);
    for (size_t i = 0; code == 0 && i < extra->branches; i++)
        code = add_branch(result, x, &extra->branch[i], err);
    if (code == 0)
        code = activate(&result, extra->activation, err);
    if (code == 0 && extra->residual != NULL) {
        code = cr_op_add(&sum, result, extra->residual, err);
        cr_tensor_unref(&result);
        result = sum;
    }
    if (code < 0)
        cr_tensor_unref(&result);
    *y = result;
    return code;
}

int cr_op_linear_fused(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                       const struct cr_tensor *bias, const struct cr_linear_extra *extra,
                       struct cr_error *err)
{
    struct cr_builder b;
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    cr_build(&b, CR_OP_LINEAR_FUSED, err);
    build_linear(&b, x, w, bias);
    cr_build_expect(&b, extra->branches <= CR_MAX_BRANCHES, "%zu branches, at most %d",
                    extra->branches, CR_MAX_BRANCHES);
    cr_build_expect(&b, (int)extra->activation >= 0 && extra->activation <= CR_ACTIVATION_RELU,
                    "%d is no activation", (int)extra->activation);
    cr_build_optional(&b, "residual", extra->residual, CR_F32);
    if (cr_build_ok(&b)) {
        replace_last(shape, x, w->shape[0]);
        cr_build_shape(&b, "residual", extra->residual, x->rank, shape);
    }
    for (size_t i = 0; cr_build_ok(&b) && i < extra->branches; i++)
        build_branch(&b, x, w, &extra->branch[i], i);
    b.call.ints[0] = extra->activation;
    b.call.ints[1] = (int64_t)extra->branches;
    if (cr_build_ok(&b) && !cr_device_supports(b.device, &b.call))
        return compose(y, x, w, bias, extra, err);
    build_output(&b, y, x, w);
    return cr_build_submit(&b);
}

/* ---- Matrices ---- */

/* Leading extents of the product: equal, 1, or missing. */
static bool broadcast(const struct cr_tensor *a, const struct cr_tensor *b, int rank,
                      int64_t *shape)
{
    for (int i = 0; i < rank - 2; i++) {
        int ai = i - (rank - a->rank), bi = i - (rank - b->rank);
        int64_t ae = ai < 0 ? 1 : a->shape[ai], be = bi < 0 ? 1 : b->shape[bi];
        if (ae != be && ae != 1 && be != 1)
            return false;
        shape[i] = ae == 1 ? be : ae;
    }
    return true;
}

int cr_op_matmul(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
                 bool transpose_a, bool transpose_b, float alpha, struct cr_error *err)
{
    struct cr_builder build;
    char as[96], bs[96];
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    cr_build(&build, CR_OP_MATMUL, err);
    cr_build_in(&build, "a", a, CR_F32 | CR_F16);
    cr_build_in(&build, "b", b, CR_F32 | CR_F16);
    cr_build_rank(&build, "a", a, 2, 4);
    cr_build_rank(&build, "b", b, 2, 4);
    if (!cr_build_ok(&build))
        return cr_build_end(&build);
    cr_shape_text(as, a->rank, a->shape);
    cr_shape_text(bs, b->rank, b->shape);
    int64_t ak = a->shape[a->rank - (transpose_a ? 2 : 1)];
    int64_t bk = b->shape[b->rank - (transpose_b ? 1 : 2)];
    int rank = a->rank > b->rank ? a->rank : b->rank;
    cr_build_expect(&build, ak == bk, "b %s%s does not fit a %s%s: K must agree", bs,
                    transpose_b ? "^T" : "", as, transpose_a ? "^T" : "");
    cr_build_expect(&build, broadcast(a, b, rank, shape),
                    "leading extents of a %s and b %s neither agree nor are 1", as, bs);
    shape[rank - 2] = a->shape[a->rank - (transpose_a ? 1 : 2)];
    shape[rank - 1] = b->shape[b->rank - (transpose_b ? 2 : 1)];
    cr_build_out(&build, y, CR_DTYPE_F32, rank, shape);
    build.call.ints[0] = transpose_a;
    build.call.ints[1] = transpose_b;
    build.call.reals[0] = alpha;
    return cr_build_submit(&build);
}
