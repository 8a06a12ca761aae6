/* SPDX-License-Identifier: MIT */
#include <crayon/ops.h>

#include "tensor/builder.h"

int cr_op_conv2d(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                 const struct cr_tensor *bias, const int stride[2], const int padding[2],
                 struct cr_error *err)
{
    struct cr_builder b;
    char xs[96], ws[96];
    *y = NULL;
    cr_build(&b, CR_OP_CONV2D, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_in(&b, "w", w, CR_F32 | CR_F16);
    cr_build_rank(&b, "x", x, 4, 4);
    cr_build_rank(&b, "w", w, 4, 4);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_shape_text(xs, 4, x->shape);
    cr_shape_text(ws, 4, w->shape);
    cr_build_expect(&b, w->shape[1] == x->shape[1], "w %s does not fit x %s: C must agree", ws, xs);
    cr_build_optional(&b, "bias", bias, CR_F32);
    cr_build_shape(&b, "bias", bias, 1, w->shape);
    int64_t out[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        cr_build_expect(&b, stride[i] > 0 && padding[i] >= 0, "stride %d, padding %d", stride[i],
                        padding[i]);
        int64_t room = x->shape[2 + i] + 2 * (int64_t)padding[i] - w->shape[2 + i];
        cr_build_expect(&b, room >= 0 && w->shape[2 + i] > 0,
                        "the kernel w %s does not fit the padded picture x %s", ws, xs);
        if (cr_build_ok(&b))
            out[i] = room / stride[i] + 1;
        b.call.ints[i] = stride[i];
        b.call.ints[2 + i] = padding[i];
    }
    cr_build_out(&b, y, CR_DTYPE_F32, 4, (int64_t[]){x->shape[0], w->shape[0], out[0], out[1]});
    return cr_build_submit(&b);
}

int cr_op_resize(struct cr_tensor **y, const struct cr_tensor *x, struct cr_size size,
                 enum cr_interpolation mode, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_RESIZE, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 4, 4);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_expect(&b, size.height > 0 && size.width > 0, "to %d x %d", size.height, size.width);
    cr_build_expect(&b, x->shape[2] > 0 && x->shape[3] > 0, "x is empty");
    cr_build_expect(&b, (int)mode >= 0 && mode <= CR_INTERPOLATION_BICUBIC, "%d is no mode",
                    (int)mode);
    cr_build_out(&b, y, CR_DTYPE_F32, 4,
                 (int64_t[]){x->shape[0], x->shape[1], size.height, size.width});
    b.call.ints[0] = mode;
    return cr_build_submit(&b);
}
