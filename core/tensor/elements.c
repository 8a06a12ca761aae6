/* SPDX-License-Identifier: MIT */
#include <crayon/ops.h>

#include "tensor/builder.h"

/* Each extent of b, aligned at the end, equals a's or is 1. */
static bool fits(const struct cr_tensor *a, const struct cr_tensor *b)
{
    if (b->rank > a->rank)
        return false;
    for (int i = 1; i <= b->rank; i++) {
        int64_t extent = b->shape[b->rank - i];
        if (extent != 1 && extent != a->shape[a->rank - i])
            return false;
    }
    return true;
}

static int binary(struct cr_tensor **y, enum cr_op op, const struct cr_tensor *a,
                  const struct cr_tensor *b, bool broadcast, struct cr_error *err)
{
    struct cr_builder build;
    char as[96], bs[96];
    *y = NULL;
    cr_build(&build, op, err);
    cr_build_in(&build, "a", a, CR_F32);
    cr_build_in(&build, "b", b, CR_F32);
    if (!cr_build_ok(&build))
        return cr_build_end(&build);
    if (broadcast)
        cr_build_expect(&build, fits(a, b), "b %s cannot be broadcast to a %s",
                        cr_shape_text(bs, b->rank, b->shape), cr_shape_text(as, a->rank, a->shape));
    else
        cr_build_shape(&build, "b", b, a->rank, a->shape);
    cr_build_out(&build, y, CR_DTYPE_F32, a->rank, a->shape);
    return cr_build_submit(&build);
}

int cr_op_add(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
              struct cr_error *err)
{
    return binary(y, CR_OP_ADD, a, b, true, err);
}

int cr_op_mul(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
              struct cr_error *err)
{
    return binary(y, CR_OP_MUL, a, b, true, err);
}

int cr_op_silu_mul(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
                   struct cr_error *err)
{
    return binary(y, CR_OP_SILU_MUL, a, b, false, err);
}

int cr_op_scale(struct cr_tensor **y, const struct cr_tensor *x, float factor, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_SCALE, err);
    cr_build_in(&b, "x", x, CR_F32);
    if (cr_build_ok(&b))
        cr_build_out(&b, y, CR_DTYPE_F32, x->rank, x->shape);
    b.call.reals[0] = factor;
    return cr_build_submit(&b);
}

int cr_op_unary(struct cr_tensor **y, enum cr_op op, const struct cr_tensor *x,
                struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    if (op < CR_OP_SIGMOID || op > CR_OP_SILU)
        return cr_fail(err, CR_ERR_ARGUMENT, "operation %d is none of one element", (int)op);
    cr_build(&b, op, err);
    cr_build_in(&b, "x", x, CR_F32);
    if (cr_build_ok(&b))
        cr_build_out(&b, y, CR_DTYPE_F32, x->rank, x->shape);
    return cr_build_submit(&b);
}

/* ---- Over the last extent ---- */

static void build_last(struct cr_builder *b, const struct cr_tensor *x)
{
    cr_build_in(b, "x", x, CR_F32);
    cr_build_rank(b, "x", x, 1, 4);
    cr_build_expect(b, !cr_build_ok(b) || cr_last_of(x) > 0, "x has no element to reduce over");
}

int cr_op_reduce(struct cr_tensor **y, enum cr_op op, const struct cr_tensor *x,
                 struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    if (op < CR_OP_SOFTMAX || op > CR_OP_SUM_SQUARES)
        return cr_fail(err, CR_ERR_ARGUMENT, "operation %d is none over the last extent", (int)op);
    cr_build(&b, op, err);
    build_last(&b, x);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    int64_t shape[CR_TENSOR_MAX_RANK] = {x->shape[0], x->shape[1], x->shape[2], x->shape[3]};
    if (op != CR_OP_SOFTMAX && op != CR_OP_LOG_SOFTMAX)
        shape[x->rank - 1] = 1;
    cr_build_out(&b, y, CR_DTYPE_F32, x->rank, shape);
    return cr_build_submit(&b);
}

int cr_op_argmax(struct cr_tensor **y, const struct cr_tensor *x, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_ARGMAX, err);
    build_last(&b, x);
    if (cr_build_ok(&b))
        cr_build_out(&b, y, CR_DTYPE_I32, x->rank - 1, x->shape);
    return cr_build_submit(&b);
}

int cr_op_topk(struct cr_tensor **values, struct cr_tensor **indices, const struct cr_tensor *x,
               int k, struct cr_error *err)
{
    struct cr_builder b;
    *values = *indices = NULL;
    cr_build(&b, CR_OP_TOPK, err);
    build_last(&b, x);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_expect(&b, k >= 1 && k <= 1024 && k <= cr_last_of(x),
                    "k = %d is outside 1..%lld (1024 at most)", k, (long long)cr_last_of(x));
    int64_t shape[CR_TENSOR_MAX_RANK] = {x->shape[0], x->shape[1], x->shape[2], x->shape[3]};
    shape[x->rank - 1] = k;
    cr_build_out(&b, values, CR_DTYPE_F32, x->rank, shape);
    cr_build_out(&b, indices, CR_DTYPE_I32, x->rank, shape);
    b.call.ints[0] = k;
    return cr_build_submit(&b);
}
