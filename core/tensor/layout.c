/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/ops.h>

#include "tensor/builder.h"

int cr_op_reshape(struct cr_tensor **y, const struct cr_tensor *x, int rank, const int64_t *shape,
                  struct cr_error *err)
{
    char from[96], to[96];
    int64_t elements = 0;
    *y = NULL;
    int result = cr_shape_elements(rank, shape, &elements, err);
    if (result < 0)
        return result;
    if (cr_dtype_size(x->dtype) == 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "reshape: x is %s, a quantised matrix keeps its shape",
                       cr_dtype_name(x->dtype));
    if (elements != x->elements)
        return cr_fail(err, CR_ERR_ARGUMENT, "reshape: x %s has other elements than %s",
                       cr_shape_text(from, x->rank, x->shape), cr_shape_text(to, rank, shape));
    result = cr_tensor_wrap(y, x->dtype, rank, shape, cr_buffer_ref(x->buffer), err);
    if (result == 0)
        (*y)->offset = x->offset;
    return result;
}

int cr_op_cast(struct cr_tensor **y, const struct cr_tensor *x, enum cr_dtype dtype,
               struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_CAST, err);
    cr_build_in(&b, "x", x, CR_DENSE);
    if (cr_build_ok(&b))
        cr_build_out(&b, y, dtype, x->rank, x->shape);
    return cr_build_submit(&b);
}

int cr_op_slice(struct cr_tensor **y, const struct cr_tensor *x, const int64_t *start,
                const int64_t *extent, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_SLICE, err);
    cr_build_in(&b, "x", x, CR_DENSE);
    for (int i = 0; cr_build_ok(&b) && i < x->rank; i++) {
        cr_build_expect(&b,
                        start[i] >= 0 && extent[i] >= 0 && start[i] <= x->shape[i] &&
                            extent[i] <= x->shape[i] - start[i],
                        "axis %d: %lld elements from %lld of %lld", i, (long long)extent[i],
                        (long long)start[i], (long long)x->shape[i]);
        b.call.ints[i] = start[i];
    }
    if (cr_build_ok(&b))
        cr_build_out(&b, y, x->dtype, x->rank, extent);
    return cr_build_submit(&b);
}

#define MAX_CONCAT 16

int cr_op_concat(struct cr_tensor **y, const struct cr_tensor *const *x, size_t count, int axis,
                 struct cr_error *err)
{
    struct cr_builder b;
    char name[32];
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    cr_build(&b, CR_OP_CONCAT, err);
    cr_build_expect(&b, count >= 1 && count <= MAX_CONCAT, "%zu tensors, 1..%d", count, MAX_CONCAT);
    for (size_t i = 0; cr_build_ok(&b) && i < count; i++)
        cr_build_in(&b, cr_numbered(name, "x", i), x[i], i == 0 ? CR_DENSE : 1u << x[0]->dtype);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_expect(&b, axis >= 0 && axis < x[0]->rank, "axis %d of rank %d", axis, x[0]->rank);
    memcpy(shape, x[0]->shape, sizeof(shape));
    for (size_t i = 1; cr_build_ok(&b) && i < count; i++) {
        int64_t expected[CR_TENSOR_MAX_RANK];
        memcpy(expected, x[0]->shape, sizeof(expected));
        expected[axis] = -1;
        cr_build_shape(&b, cr_numbered(name, "x", i), x[i], x[0]->rank, expected);
        if (cr_build_ok(&b))
            shape[axis] += x[i]->shape[axis];
    }
    if (cr_build_ok(&b))
        cr_build_out(&b, y, x[0]->dtype, x[0]->rank, shape);
    b.call.ints[0] = axis;
    return cr_build_submit(&b);
}

int cr_op_permute(struct cr_tensor **y, const struct cr_tensor *x, const int *order,
                  struct cr_error *err)
{
    struct cr_builder b;
    int64_t shape[CR_TENSOR_MAX_RANK];
    unsigned seen = 0;
    *y = NULL;
    cr_build(&b, CR_OP_PERMUTE, err);
    cr_build_in(&b, "x", x, CR_DENSE);
    for (int i = 0; cr_build_ok(&b) && i < x->rank; i++) {
        cr_build_expect(&b, order[i] >= 0 && order[i] < x->rank && (seen & 1u << order[i]) == 0,
                        "the order is no permutation of %d axes", x->rank);
        if (!cr_build_ok(&b))
            break;
        seen |= 1u << order[i];
        shape[i] = x->shape[order[i]];
        b.call.ints[i] = order[i];
    }
    if (cr_build_ok(&b))
        cr_build_out(&b, y, x->dtype, x->rank, shape);
    return cr_build_submit(&b);
}

int cr_op_pad(struct cr_tensor **y, const struct cr_tensor *x, const int64_t *before,
              const int64_t *after, float value, struct cr_error *err)
{
    struct cr_builder b;
    int64_t shape[CR_TENSOR_MAX_RANK];
    *y = NULL;
    cr_build(&b, CR_OP_PAD, err);
    cr_build_in(&b, "x", x, CR_DENSE);
    for (int i = 0; cr_build_ok(&b) && i < x->rank; i++) {
        shape[i] = x->shape[i] + before[i] + after[i];
        cr_build_expect(&b, shape[i] >= 0, "axis %d: %lld + %lld + %lld is below 0", i,
                        (long long)before[i], (long long)x->shape[i], (long long)after[i]);
        b.call.ints[i] = before[i];
    }
    if (cr_build_ok(&b))
        cr_build_out(&b, y, x->dtype, x->rank, shape);
    b.call.reals[0] = value;
    return cr_build_submit(&b);
}

int cr_op_roll(struct cr_tensor **y, const struct cr_tensor *x, const int64_t *shift,
               struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_ROLL, err);
    cr_build_in(&b, "x", x, CR_DENSE);
    for (int i = 0; cr_build_ok(&b) && i < x->rank; i++)
        if (x->shape[i] > 0)
            b.call.ints[i] = (shift[i] % x->shape[i] + x->shape[i]) % x->shape[i];
    if (cr_build_ok(&b))
        cr_build_out(&b, y, x->dtype, x->rank, x->shape);
    return cr_build_submit(&b);
}

int cr_op_fill(struct cr_tensor **y, struct cr_device *device, enum cr_dtype dtype, int rank,
               const int64_t *shape, float value, struct cr_error *err)
{
    struct cr_builder b;
    cr_build(&b, CR_OP_FILL, err);
    b.device = device;
    cr_build_out(&b, y, dtype, rank, shape);
    b.call.reals[0] = value;
    return cr_build_submit(&b);
}
