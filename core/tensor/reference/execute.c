/* SPDX-License-Identifier: MIT */
/* A case through the functions of crayon/ops.h. */
#include <string.h>

#include "tensor/cases.h"
#include "tensor/quantized.h"
#include "tensor/reference/internal.h"

/* A case on its way through a device. */
struct run {
    const struct cr_case *c;
    struct cr_device *device;
    struct cr_tensor *in[CR_CALL_MAX_INPUTS], *out[CR_CALL_MAX_OUTPUTS];
    struct cr_error *err;
};

/* ---- Moving operands ---- */

static int upload_quantised(struct cr_tensor **out, struct cr_device *device,
                            const struct cr_operand *operand, struct cr_error *err)
{
    const char *memory = operand->memory;
    const float *map = (const float *)(const void *)(memory + operand->nested_map);
    bool nested = operand->nested != 0;
    struct cr_quantized parts = {
        .codes = memory + operand->offset,
        .scales = memory + operand->scales,
        .nested_absmax = nested ? (const float *)(const void *)(memory + operand->nested) : NULL,
        .nested_map = nested ? map : NULL,
        .nested_offset = nested ? map[256] : 0,
    };
    return cr_tensor_upload_quantized(out, device, (enum cr_dtype)operand->dtype, operand->shape[0],
                                      operand->shape[1], &parts, err);
}

static int upload(struct cr_tensor **out, struct cr_device *device,
                  const struct cr_operand *operand, struct cr_error *err)
{
    enum cr_dtype dtype = (enum cr_dtype)operand->dtype;
    if (operand->memory == NULL)
        return 0;
    if (cr_dtype_size(dtype) == 0)
        return upload_quantised(out, device, operand, err);
    return cr_tensor_upload(out, device, dtype, operand->rank, operand->shape,
                            (const char *)operand->memory + operand->offset, err);
}

static int read_result(const struct cr_tensor *tensor, const struct cr_operand *operand,
                       void *result, struct cr_error *err)
{
    bool same =
        (int)cr_tensor_dtype(tensor) == operand->dtype && cr_tensor_rank(tensor) == operand->rank;
    for (int i = 0; same && i < operand->rank; i++)
        same = cr_tensor_extent(tensor, i) == operand->shape[i];
    if (!same)
        return cr_fail(err, CR_ERR_DEVICE, "the result has the wrong type or shape");
    if (cr_dtype_size((enum cr_dtype)operand->dtype) != 0)
        return cr_tensor_read(tensor, result, cr_case_bytes(operand), err);
    char *planes = result;
    bool nested;
    float *map = (float *)(void *)(planes + operand->nested_map);
    return cr_tensor_read_quantized(tensor, planes, planes + operand->scales,
                                    (float *)(void *)(planes + operand->nested), map, map + 256,
                                    &nested, err);
}

/* ---- Operations, by family ---- */

static int run_linear_fused(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    struct cr_linear_extra extra = {
        .activation = (enum cr_activation)call->ints[0],
        .residual = r->in[3],
        .branches = (size_t)call->ints[1],
    };
    for (size_t i = 0; i < extra.branches; i++)
        extra.branch[i] = (struct cr_branch){r->in[4 + 4 * i], r->in[5 + 4 * i], r->in[6 + 4 * i],
                                             r->in[7 + 4 * i]};
    return cr_op_linear_fused(&r->out[0], r->in[0], r->in[1], r->in[2], &extra, r->err);
}

static int run_product(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    switch (call->op) {
    case CR_OP_LINEAR:
        return cr_op_linear(&r->out[0], r->in[0], r->in[1], r->in[2], r->err);
    case CR_OP_LINEAR_FUSED:
        return run_linear_fused(r);
    case CR_OP_MATMUL:
        return cr_op_matmul(&r->out[0], r->in[0], r->in[1], call->ints[0] != 0, call->ints[1] != 0,
                            (float)call->reals[0], r->err);
    default:
        return cr_op_linear_cross_entropy(&r->out[0], r->in[0], r->in[1], call->in[2].memory,
                                          r->err);
    }
}

static int run_rows(struct run *r)
{
    switch (r->c->call.op) {
    case CR_OP_EMBEDDING:
        return cr_op_embedding(&r->out[0], r->in[0], r->in[1], r->err);
    case CR_OP_GATHER_ROWS:
        return cr_op_gather_rows(&r->out[0], r->in[0], r->in[1], r->err);
    case CR_OP_SCATTER_ROWS:
        return cr_op_scatter_rows(r->out[0], r->in[0], r->in[1], r->err);
    default:
        return cr_op_scatter_add_rows(r->out[0], r->in[0], r->in[1], r->err);
    }
}

static int run_norm(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    float eps = (float)call->reals[0];
    switch (call->op) {
    case CR_OP_RMS_NORM:
        return cr_op_rms_norm(&r->out[0], r->in[0], r->in[1], eps, r->err);
    case CR_OP_LAYER_NORM:
        return cr_op_layer_norm(&r->out[0], r->in[0], r->in[1], r->in[2], eps, r->err);
    default:
        return cr_op_group_norm(&r->out[0], r->in[0], r->in[1], r->in[2], (int)call->ints[0], eps,
                                r->err);
    }
}

/* The positions of a call are a number for each new row; the front-end wants the first ones. */
static int run_kv_append(struct run *r)
{
    const struct cr_operand *positions = &r->c->call.in[1];
    const int32_t *rows = positions->memory;
    int32_t at[16];
    if (r->c->call.ints[0] != 0)
        return cr_op_kv_append(r->out[0], r->in[0], NULL, rows, r->err);
    for (int64_t i = 0; i < positions->shape[0] && i < 16; i++)
        at[i] = rows[i * positions->shape[1]];
    return cr_op_kv_append(r->out[0], r->in[0], at, NULL, r->err);
}

static int run_attention(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    struct cr_attention extra = {
        .scale = (float)call->reals[0],
        .causal = call->ints[0] != 0,
        .offset = call->ints[1],
        .lengths = r->in[3],
        .mask = r->in[4],
        .bias = r->in[5],
        .rows = r->in[6],
    };
    switch (call->op) {
    case CR_OP_ROPE:
        return cr_op_rope(&r->out[0], r->in[0], r->in[1], r->in[2], r->in[3], r->err);
    case CR_OP_ATTENTION:
        return cr_op_attention(&r->out[0], r->in[0], r->in[1], r->in[2], &extra, r->err);
    case CR_OP_KV_APPEND:
        return run_kv_append(r);
    default:
        return cr_op_ms_deform_attn(&r->out[0], r->in[0], &call->ints[2], (int)call->ints[0],
                                    r->in[1], r->in[2], r->err);
    }
}

static int run_elements(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    switch (call->op) {
    case CR_OP_ADD:
        return cr_op_add(&r->out[0], r->in[0], r->in[1], r->err);
    case CR_OP_MUL:
        return cr_op_mul(&r->out[0], r->in[0], r->in[1], r->err);
    case CR_OP_SILU_MUL:
        return cr_op_silu_mul(&r->out[0], r->in[0], r->in[1], r->err);
    case CR_OP_SCALE:
        return cr_op_scale(&r->out[0], r->in[0], (float)call->reals[0], r->err);
    case CR_OP_ARGMAX:
        return cr_op_argmax(&r->out[0], r->in[0], r->err);
    case CR_OP_TOPK:
        return cr_op_topk(&r->out[0], &r->out[1], r->in[0], (int)call->ints[0], r->err);
    default:
        if (call->op < CR_OP_SILU_MUL)
            return cr_op_unary(&r->out[0], (enum cr_op)call->op, r->in[0], r->err);
        return cr_op_reduce(&r->out[0], (enum cr_op)call->op, r->in[0], r->err);
    }
}

static int run_pad(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    int64_t after[CR_TENSOR_MAX_RANK];
    for (int i = 0; i < call->in[0].rank; i++)
        after[i] = call->out[0].shape[i] - call->in[0].shape[i] - call->ints[i];
    return cr_op_pad(&r->out[0], r->in[0], call->ints, after, (float)call->reals[0], r->err);
}

static int run_layout(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    const struct cr_operand *y = &call->out[0];
    int order[CR_TENSOR_MAX_RANK];
    for (int i = 0; i < CR_TENSOR_MAX_RANK; i++)
        order[i] = (int)call->ints[i];
    switch (call->op) {
    case CR_OP_CAST:
        return cr_op_cast(&r->out[0], r->in[0], (enum cr_dtype)y->dtype, r->err);
    case CR_OP_SLICE:
        return cr_op_slice(&r->out[0], r->in[0], call->ints, y->shape, r->err);
    case CR_OP_CONCAT:
        return cr_op_concat(&r->out[0], (const struct cr_tensor *const *)r->in,
                            (size_t)call->inputs, (int)call->ints[0], r->err);
    case CR_OP_PERMUTE:
        return cr_op_permute(&r->out[0], r->in[0], order, r->err);
    case CR_OP_PAD:
        return run_pad(r);
    case CR_OP_ROLL:
        return cr_op_roll(&r->out[0], r->in[0], call->ints, r->err);
    default:
        return cr_op_fill(&r->out[0], r->device, (enum cr_dtype)y->dtype, y->rank, y->shape,
                          (float)call->reals[0], r->err);
    }
}

static int run_picture(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    const int64_t *ints = call->ints;
    const int stride[2] = {(int)ints[0], (int)ints[1]}, padding[2] = {(int)ints[2], (int)ints[3]};
    if (call->op == CR_OP_CONV2D)
        return cr_op_conv2d(&r->out[0], r->in[0], r->in[1], r->in[2], stride, padding, r->err);
    struct cr_size size = {.width = (int)call->out[0].shape[3],
                           .height = (int)call->out[0].shape[2]};
    return cr_op_resize(&r->out[0], r->in[0], size, (enum cr_interpolation)ints[0], r->err);
}

static int run_other(struct run *r)
{
    const struct cr_call *call = &r->c->call;
    const double *reals = call->reals;
    struct cr_adamw adamw = {
        .rate = (float)reals[0],
        .beta1 = (float)reals[1],
        .beta2 = (float)reals[2],
        .epsilon = (float)reals[3],
        .decay = (float)reals[4],
        .step = call->ints[0],
    };
    switch (call->op) {
    case CR_OP_ADAMW_STEP:
        return cr_op_adamw_step(r->out[0], r->out[1], r->out[2], r->in[0], &adamw, r->err);
    case CR_OP_GRAD_NORM:
        return cr_op_grad_norm(&r->out[0], (const struct cr_tensor *const *)r->in,
                               (size_t)call->inputs, r->err);
    case CR_OP_QUANTIZE:
        return cr_op_quantize(&r->out[0], r->in[0], (enum cr_dtype)call->out[0].dtype,
                              call->ints[0] != 0, r->err);
    default:
        return cr_op_dequantize(&r->out[0], r->in[0], (enum cr_dtype)call->out[0].dtype, r->err);
    }
}

static int run_op(struct run *r)
{
    int op = r->c->call.op;
    if (op <= CR_OP_MATMUL || op == CR_OP_LINEAR_FUSED || op == CR_OP_LINEAR_CROSS_ENTROPY)
        return run_product(r);
    if (op <= CR_OP_SCATTER_ADD_ROWS)
        return run_rows(r);
    if (op <= CR_OP_GROUP_NORM)
        return run_norm(r);
    if (op <= CR_OP_KV_APPEND || op == CR_OP_MS_DEFORM_ATTN)
        return run_attention(r);
    if (op <= CR_OP_SUM_SQUARES || op == CR_OP_ARGMAX || op == CR_OP_TOPK)
        return run_elements(r);
    if (op <= CR_OP_FILL)
        return run_layout(r);
    if (op <= CR_OP_RESIZE)
        return run_picture(r);
    return run_other(r);
}

int cr_case_execute(const struct cr_case *c, struct cr_device *device, void *const *results,
                    struct cr_error *err)
{
    const struct cr_call *call = &c->call;
    struct run r = {.c = c, .device = device, .err = err};
    int result = 0;
    for (int i = 0; i < call->inputs && result == 0; i++)
        result = upload(&r.in[i], device, &call->in[i], err);
    for (int i = 0; i < call->outputs && result == 0 && ref_in_place(call->op); i++)
        result = upload(&r.out[i], device, &call->out[i], err);
    if (result == 0)
        result = run_op(&r);
    for (int i = 0; i < call->outputs && result == 0; i++)
        result = read_result(r.out[i], &call->out[i], results[i], err);
    for (int i = 0; i < CR_CALL_MAX_INPUTS; i++)
        cr_tensor_unref(&r.in[i]);
    for (int i = 0; i < CR_CALL_MAX_OUTPUTS; i++)
        cr_tensor_unref(&r.out[i]);
    return result;
}
