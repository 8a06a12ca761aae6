/* SPDX-License-Identifier: MIT */
#include <crayon/ops.h>

#include "tensor/builder.h"

static void same_shape_out(struct cr_builder *b, struct cr_tensor **y, const struct cr_tensor *x)
{
    *y = NULL;
    if (cr_build_ok(b))
        cr_build_out(b, y, CR_DTYPE_F32, x->rank, x->shape);
}

/* x and its weights, which have one number for each of `channels` (an axis of x). */
static void build_norm(struct cr_builder *b, const struct cr_tensor *x, int axis_from_end,
                       const struct cr_tensor *w, const struct cr_tensor *bias, bool has_bias)
{
    cr_build_in(b, "x", x, CR_F32);
    cr_build_rank(b, "x", x, axis_from_end, 4);
    cr_build_optional(b, "w", w, CR_F32 | CR_F16);
    if (has_bias)
        cr_build_optional(b, "b", bias, CR_F32 | CR_F16);
    if (!cr_build_ok(b))
        return;
    int64_t channels = x->shape[x->rank - axis_from_end];
    cr_build_shape(b, "w", w, 1, &channels);
    cr_build_shape(b, "b", bias, 1, &channels);
}

int cr_op_rms_norm(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                   float eps, struct cr_error *err)
{
    struct cr_builder b;
    cr_build(&b, CR_OP_RMS_NORM, err);
    build_norm(&b, x, 1, w, NULL, false);
    same_shape_out(&b, y, x);
    b.call.reals[0] = eps;
    return cr_build_submit(&b);
}

int cr_op_layer_norm(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                     const struct cr_tensor *bias, float eps, struct cr_error *err)
{
    struct cr_builder b;
    cr_build(&b, CR_OP_LAYER_NORM, err);
    build_norm(&b, x, 1, w, bias, true);
    same_shape_out(&b, y, x);
    b.call.reals[0] = eps;
    return cr_build_submit(&b);
}

int cr_op_group_norm(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                     const struct cr_tensor *bias, int groups, float eps, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_GROUP_NORM, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 3, 4);
    cr_build_optional(&b, "w", w, CR_F32 | CR_F16);
    cr_build_optional(&b, "b", bias, CR_F32 | CR_F16);
    if (cr_build_ok(&b)) {
        cr_build_shape(&b, "w", w, 1, &x->shape[1]);
        cr_build_shape(&b, "b", bias, 1, &x->shape[1]);
        cr_build_expect(&b, groups > 0 && x->shape[1] % groups == 0,
                        "%lld channels cannot be split into %d groups", (long long)x->shape[1],
                        groups);
    }
    same_shape_out(&b, y, x);
    b.call.ints[0] = groups;
    b.call.reals[0] = eps;
    return cr_build_submit(&b);
}
