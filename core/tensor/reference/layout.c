/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "tensor/reference/internal.h"

/* ---- Rows ---- */

void ref_embedding(const struct ref *r)
{
    int64_t count = cr_operand_elements(&r->call->in[1]), d = r->call->in[0].shape[1];
    for (int64_t i = 0; i < count * d; i++) {
        int64_t id = (int64_t)r->in[1][i / d];
        r->out[0][i] = id < 0 ? 0 : r->in[0][id * d + i % d];
    }
}

void ref_gather_rows(const struct ref *r)
{
    int64_t rows = r->call->in[1].shape[0], d = ref_stride(&r->call->in[0]);
    for (int64_t i = 0; i < rows * d; i++) {
        int64_t row = (int64_t)r->in[1][i / d];
        r->out[0][i] = row < 0 ? 0 : r->in[0][row * d + i % d];
    }
}

void ref_scatter_rows(const struct ref *r)
{
    int64_t rows = r->call->in[0].shape[0], d = ref_stride(&r->call->out[0]);
    for (int64_t i = 0; i < rows * d; i++) {
        int64_t row = (int64_t)r->in[0][i / d];
        if (row >= 0)
            r->out[0][row * d + i % d] = r->in[1][i];
    }
}

void ref_scatter_add_rows(const struct ref *r)
{
    int64_t rows = r->call->in[0].shape[0], d = ref_stride(&r->call->out[0]);
    for (int64_t i = 0; i < rows * d; i++) {
        int64_t row = (int64_t)r->in[0][i / d];
        if (row >= 0)
            r->out[0][row * d + i % d] += r->in[1][i];
    }
}

/* ---- Shapes: an index on every axis, four of them ---- */

struct index {
    int64_t at[CR_TENSOR_MAX_RANK];
};

static struct index index_of(const struct cr_operand *operand, int64_t element)
{
    struct index index = {{0}};
    for (int axis = operand->rank - 1; axis >= 0; axis--) {
        index.at[axis] = element % operand->shape[axis];
        element /= operand->shape[axis];
    }
    return index;
}

/* -1: outside. */
static int64_t element_at(const struct cr_operand *operand, struct index index)
{
    int64_t element = 0;
    for (int axis = 0; axis < operand->rank; axis++) {
        if (index.at[axis] < 0 || index.at[axis] >= operand->shape[axis])
            return -1;
        element = element * operand->shape[axis] + index.at[axis];
    }
    return element;
}

/* The element of x that y's element i is; -1: none. */
static int64_t source_of(const struct cr_call *call, int64_t i)
{
    const struct cr_operand *x = &call->in[0];
    struct index to = index_of(&call->out[0], i), from = to;
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t number = call->ints[axis];
        if (call->op == CR_OP_SLICE)
            from.at[axis] = to.at[axis] + number;
        else if (call->op == CR_OP_PAD)
            from.at[axis] = to.at[axis] - number;
        else if (call->op == CR_OP_ROLL)
            from.at[axis] = (to.at[axis] + x->shape[axis] - number) % x->shape[axis];
        else
            from.at[number] = to.at[axis];
    }
    return element_at(x, from);
}

void ref_move(const struct ref *r)
{
    int64_t elements = cr_operand_elements(&r->call->out[0]);
    double value = ref_stored(r->call->out[0].dtype, r->call->reals[0]);
    for (int64_t i = 0; i < elements; i++) {
        int64_t from = source_of(r->call, i);
        r->out[0][i] = from < 0 ? value : r->in[0][from];
    }
}

void ref_concat(const struct ref *r)
{
    int64_t axis = r->call->ints[0], before = 0;
    for (int input = 0; input < r->call->inputs; input++) {
        const struct cr_operand *x = &r->call->in[input];
        int64_t elements = cr_operand_elements(x);
        for (int64_t i = 0; i < elements; i++) {
            struct index index = index_of(x, i);
            index.at[axis] += before;
            r->out[0][element_at(&r->call->out[0], index)] = r->in[input][i];
        }
        before += x->shape[axis];
    }
}

void ref_cast(const struct ref *r)
{
    int64_t elements = cr_operand_elements(&r->call->out[0]);
    for (int64_t i = 0; i < elements; i++)
        r->out[0][i] = ref_stored(r->call->out[0].dtype, r->in[0][i]);
}

void ref_fill(const struct ref *r)
{
    int64_t elements = cr_operand_elements(&r->call->out[0]);
    for (int64_t i = 0; i < elements; i++)
        r->out[0][i] = ref_stored(r->call->out[0].dtype, r->call->reals[0]);
}

/* The product is rounded to f32, then to the type. */
void ref_dequantize(const struct ref *r)
{
    int64_t elements = cr_operand_elements(&r->call->out[0]);
    for (int64_t i = 0; i < elements; i++)
        r->out[0][i] = ref_stored(r->call->out[0].dtype, (float)r->in[0][i]);
}
