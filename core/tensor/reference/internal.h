/* SPDX-License-Identifier: MIT */
/* internal.h: how the loops of the reference see a call. */
#ifndef CR_TENSOR_REFERENCE_INTERNAL_H
#define CR_TENSOR_REFERENCE_INTERNAL_H

#include <crayon/ops.h>

#include "tensor/reference.h"

/* The numbers of all operands; NULL for absent ones. Outputs in place start as their old contents.
 */
struct ref {
    const struct cr_call *call;
    double *in[CR_CALL_MAX_INPUTS];
    double *out[CR_CALL_MAX_OUTPUTS];
};

typedef void (*ref_loop)(const struct ref *r);

void ref_linear(const struct ref *r);
void ref_linear_fused(const struct ref *r);
void ref_matmul(const struct ref *r);
void ref_cross_entropy(const struct ref *r);

void ref_embedding(const struct ref *r);
void ref_gather_rows(const struct ref *r);
void ref_scatter_rows(const struct ref *r);
void ref_scatter_add_rows(const struct ref *r);

void ref_rms_norm(const struct ref *r);
void ref_layer_norm(const struct ref *r);
void ref_group_norm(const struct ref *r);

void ref_rope(const struct ref *r);
void ref_attention(const struct ref *r);
void ref_kv_append(const struct ref *r);
void ref_ms_deform_attn(const struct ref *r);

void ref_binary(const struct ref *r);  /* add, mul, silu_mul */
void ref_unary(const struct ref *r);   /* scale, sigmoid .. silu */
void ref_softmax(const struct ref *r); /* log_softmax too */
void ref_reduce(const struct ref *r);  /* sum, mean, max, sum_squares */
void ref_argmax(const struct ref *r);
void ref_topk(const struct ref *r);

void ref_cast(const struct ref *r);
void ref_concat(const struct ref *r);
void ref_move(const struct ref *r); /* slice, permute, pad, roll */
void ref_fill(const struct ref *r);

void ref_conv2d(const struct ref *r);
void ref_resize(const struct ref *r);

void ref_dequantize(const struct ref *r);

/* y = activation(x) */
double ref_activation(int activation, double x);
/* Does the operation change its outputs rather than make them? */
bool ref_in_place(int op);
/* Element i of an operand. */
double ref_number(const struct cr_operand *operand, int64_t i);
/* What a number becomes when it is stored as `dtype` (cast's rules). */
double ref_stored(int dtype, double x);

static inline int64_t ref_last(const struct cr_operand *operand)
{
    return operand->rank == 0 ? 1 : operand->shape[operand->rank - 1];
}

/* The product of all extents but the last. */
static inline int64_t ref_rows(const struct cr_operand *operand)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < operand->rank; i++)
        rows *= operand->shape[i];
    return rows;
}

/* The product of all extents but the first. */
static inline int64_t ref_stride(const struct cr_operand *operand)
{
    int64_t elements = 1;
    for (int i = 1; i < operand->rank; i++)
        elements *= operand->shape[i];
    return elements;
}

#endif
