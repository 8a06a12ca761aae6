/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <crayon/memory.h>

#include "tensor/reference/internal.h"

/* ---- Training ---- */

static void adamw_step(const struct ref *r)
{
    const double *grad = r->in[0], *reals = r->call->reals;
    double rate = reals[0], beta1 = reals[1], beta2 = reals[2], epsilon = reals[3];
    double *p = r->out[0], *m = r->out[1], *v = r->out[2], step = (double)r->call->ints[0];
    int64_t elements = cr_operand_elements(&r->call->in[0]);
    for (int64_t i = 0; i < elements; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * grad[i];
        v[i] = beta2 * v[i] + (1 - beta2) * grad[i] * grad[i];
        double mean = m[i] / (1 - pow(beta1, step)), square = v[i] / (1 - pow(beta2, step));
        p[i] -= rate * reals[4] * p[i];
        p[i] -= rate * mean / (sqrt(square) + epsilon);
    }
}

static void grad_norm(const struct ref *r)
{
    double sum = 0;
    for (int input = 0; input < r->call->inputs; input++) {
        int64_t elements = cr_operand_elements(&r->call->in[input]);
        for (int64_t i = 0; i < elements; i++)
            sum += r->in[input][i] * r->in[input][i];
    }
    r->out[0][0] = sqrt(sum);
}

/* ---- All of them ---- */

/* QUANTIZE is apart: it makes bits, not numbers. */
static const ref_loop loops[CR_OP_COUNT] = {
    [CR_OP_LINEAR] = ref_linear,
    [CR_OP_MATMUL] = ref_matmul,
    [CR_OP_EMBEDDING] = ref_embedding,
    [CR_OP_GATHER_ROWS] = ref_gather_rows,
    [CR_OP_SCATTER_ROWS] = ref_scatter_rows,
    [CR_OP_SCATTER_ADD_ROWS] = ref_scatter_add_rows,
    [CR_OP_RMS_NORM] = ref_rms_norm,
    [CR_OP_LAYER_NORM] = ref_layer_norm,
    [CR_OP_GROUP_NORM] = ref_group_norm,
    [CR_OP_ROPE] = ref_rope,
    [CR_OP_ATTENTION] = ref_attention,
    [CR_OP_KV_APPEND] = ref_kv_append,
    [CR_OP_ADD] = ref_binary,
    [CR_OP_MUL] = ref_binary,
    [CR_OP_SCALE] = ref_unary,
    [CR_OP_SIGMOID] = ref_unary,
    [CR_OP_RELU] = ref_unary,
    [CR_OP_GELU] = ref_unary,
    [CR_OP_QUICK_GELU] = ref_unary,
    [CR_OP_SILU] = ref_unary,
    [CR_OP_SILU_MUL] = ref_binary,
    [CR_OP_SOFTMAX] = ref_softmax,
    [CR_OP_LOG_SOFTMAX] = ref_softmax,
    [CR_OP_SUM] = ref_reduce,
    [CR_OP_MEAN] = ref_reduce,
    [CR_OP_MAX] = ref_reduce,
    [CR_OP_SUM_SQUARES] = ref_reduce,
    [CR_OP_CAST] = ref_cast,
    [CR_OP_SLICE] = ref_move,
    [CR_OP_CONCAT] = ref_concat,
    [CR_OP_PERMUTE] = ref_move,
    [CR_OP_PAD] = ref_move,
    [CR_OP_ROLL] = ref_move,
    [CR_OP_FILL] = ref_fill,
    [CR_OP_CONV2D] = ref_conv2d,
    [CR_OP_RESIZE] = ref_resize,
    [CR_OP_MS_DEFORM_ATTN] = ref_ms_deform_attn,
    [CR_OP_ARGMAX] = ref_argmax,
    [CR_OP_TOPK] = ref_topk,
    [CR_OP_LINEAR_FUSED] = ref_linear_fused,
    [CR_OP_LINEAR_CROSS_ENTROPY] = ref_cross_entropy,
    [CR_OP_ADAMW_STEP] = adamw_step,
    [CR_OP_GRAD_NORM] = grad_norm,
    [CR_OP_DEQUANTIZE] = ref_dequantize,
};

bool ref_in_place(int op)
{
    return op == CR_OP_SCATTER_ROWS || op == CR_OP_SCATTER_ADD_ROWS || op == CR_OP_KV_APPEND ||
           op == CR_OP_ADAMW_STEP;
}

static int quantize(const struct cr_call *call, double *out, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    const float *numbers = (const float *)(const void *)((const char *)x->memory + x->offset);
    int result = cr_reference_quantize(numbers, cr_operand_elements(x), y, err);
    if (result == 0 && out != NULL)
        cr_operand_numbers(y, out);
    return result;
}

int cr_reference(const struct cr_call *call, double *const *out, struct cr_error *err)
{
    struct ref r = {.call = call};
    int result = 0;
    if (call->op == CR_OP_QUANTIZE)
        return quantize(call, out[0], err);
    for (int i = 0; i < call->inputs && result == 0; i++) {
        if (call->in[i].memory == NULL)
            continue;
        size_t bytes = (size_t)cr_operand_elements(&call->in[i]) * sizeof(double) + 1;
        if ((r.in[i] = cr_malloc(bytes)) == NULL)
            result = cr_fail_memory(err, bytes);
        else
            cr_operand_numbers(&call->in[i], r.in[i]);
    }
    for (int i = 0; i < call->outputs; i++) {
        r.out[i] = out[i];
        if (ref_in_place(call->op))
            cr_operand_numbers(&call->out[i], out[i]);
    }
    if (result == 0)
        loops[call->op](&r);
    for (int i = 0; i < call->inputs; i++)
        cr_free(r.in[i]);
    return result;
}
