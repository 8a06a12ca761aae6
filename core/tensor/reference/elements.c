/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/reference/internal.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gelu(double x)
{
    return x * 0.5 * erfc(-x * sqrt(0.5));
}

static double relu(double x)
{
    return x < 0 ? 0 : x;
}

double ref_activation(int activation, double x)
{
    switch (activation) {
    case CR_ACTIVATION_GELU:
        return gelu(x);
    case CR_ACTIVATION_QUICK_GELU:
        return x * sigmoid(1.702 * x);
    case CR_ACTIVATION_SILU:
        return x * sigmoid(x);
    case CR_ACTIVATION_RELU:
        return relu(x);
    default:
        return x;
    }
}

static double unary(const struct cr_call *call, double x)
{
    switch (call->op) {
    case CR_OP_SCALE:
        return x * call->reals[0];
    case CR_OP_SIGMOID:
        return sigmoid(x);
    case CR_OP_RELU:
        return relu(x);
    case CR_OP_GELU:
        return gelu(x);
    case CR_OP_QUICK_GELU:
        return ref_activation(CR_ACTIVATION_QUICK_GELU, x);
    default:
        return ref_activation(CR_ACTIVATION_SILU, x);
    }
}

void ref_unary(const struct ref *r)
{
    int64_t elements = cr_operand_elements(&r->call->in[0]);
    for (int64_t i = 0; i < elements; i++)
        r->out[0][i] = unary(r->call, r->in[0][i]);
}

/* Which element of b meets element i of a. */
static int64_t partner(const struct cr_operand *a, const struct cr_operand *b, int64_t i)
{
    int64_t index = 0, stride = 1;
    for (int axis = 1; axis <= b->rank; axis++) {
        int64_t extent = b->shape[b->rank - axis];
        index += extent == 1 ? 0 : i % a->shape[a->rank - axis] * stride;
        i /= a->shape[a->rank - axis];
        stride *= extent;
    }
    return index;
}

void ref_binary(const struct ref *r)
{
    const struct cr_operand *ao = &r->call->in[0], *bo = &r->call->in[1];
    int64_t elements = cr_operand_elements(ao);
    for (int64_t i = 0; i < elements; i++) {
        double a = r->in[0][i], b = r->in[1][partner(ao, bo, i)];
        r->out[0][i] = r->call->op == CR_OP_ADD   ? a + b
                       : r->call->op == CR_OP_MUL ? a * b
                                                  : a * sigmoid(a) * b;
    }
}

/* ---- Over the last extent ---- */

/* The largest; a NaN if there is one. */
static double most(const double *x, int64_t k)
{
    double result = x[0];
    for (int64_t i = 1; i < k && !isnan(result); i++)
        if (x[i] > result || isnan(x[i]))
            result = x[i];
    return result;
}

void ref_softmax(const struct ref *r)
{
    int64_t rows = ref_rows(&r->call->in[0]), k = ref_last(&r->call->in[0]);
    for (int64_t row = 0; row < rows; row++) {
        const double *x = r->in[0] + row * k;
        double *y = r->out[0] + row * k, top = most(x, k), sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += exp(x[i] - top);
        for (int64_t i = 0; i < k; i++)
            y[i] = r->call->op == CR_OP_SOFTMAX ? exp(x[i] - top) / sum : x[i] - top - log(sum);
    }
}

static double reduce(int op, const double *x, int64_t k)
{
    double sum = 0;
    if (op == CR_OP_MAX)
        return most(x, k);
    for (int64_t i = 0; i < k; i++)
        sum += op == CR_OP_SUM_SQUARES ? x[i] * x[i] : x[i];
    return op == CR_OP_MEAN ? sum / (double)k : sum;
}

void ref_reduce(const struct ref *r)
{
    int64_t rows = ref_rows(&r->call->in[0]), k = ref_last(&r->call->in[0]);
    for (int64_t row = 0; row < rows; row++)
        r->out[0][row] = reduce(r->call->op, r->in[0] + row * k, k);
}

void ref_argmax(const struct ref *r)
{
    int64_t rows = ref_rows(&r->call->in[0]), k = ref_last(&r->call->in[0]);
    for (int64_t row = 0; row < rows; row++) {
        const double *x = r->in[0] + row * k;
        int64_t best = 0;
        for (int64_t i = 1; i < k; i++)
            if (x[i] > x[best])
                best = i;
        r->out[0][row] = (double)best;
    }
}

/* Does element i come before element j? The larger, then the lower index. */
static bool before(const double *x, int64_t i, int64_t j)
{
    return x[i] > x[j] || (x[i] == x[j] && i < j);
}

void ref_topk(const struct ref *r)
{
    int64_t rows = ref_rows(&r->call->in[0]), k = ref_last(&r->call->in[0]),
            wanted = r->call->ints[0];
    for (int64_t row = 0; row < rows; row++) {
        const double *x = r->in[0] + row * k;
        for (int64_t i = 0; i < k; i++) {
            int64_t place = 0;
            for (int64_t j = 0; j < k; j++)
                place += before(x, j, i);
            if (place >= wanted)
                continue;
            r->out[0][row * wanted + place] = x[i];
            r->out[1][row * wanted + place] = (double)i;
        }
    }
}

/* ---- Norms ---- */

/* y = (x - mean) / sqrt(variance + eps) over `count` numbers. */
static void normalise(const double *x, double *y, int64_t count, double eps)
{
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < count; i++)
        mean += x[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)count;
    for (int64_t i = 0; i < count; i++)
        y[i] = (x[i] - mean) / sqrt(variance + eps);
}

void ref_rms_norm(const struct ref *r)
{
    int64_t rows = ref_rows(&r->call->in[0]), k = ref_last(&r->call->in[0]);
    for (int64_t row = 0; row < rows; row++) {
        const double *x = r->in[0] + row * k;
        double mean = 0;
        for (int64_t i = 0; i < k; i++)
            mean += x[i] * x[i] / (double)k;
        for (int64_t i = 0; i < k; i++)
            r->out[0][row * k + i] =
                x[i] / sqrt(mean + r->call->reals[0]) * (r->in[1] != NULL ? r->in[1][i] : 1);
    }
}

void ref_layer_norm(const struct ref *r)
{
    int64_t rows = ref_rows(&r->call->in[0]), k = ref_last(&r->call->in[0]);
    for (int64_t row = 0; row < rows; row++) {
        double *y = r->out[0] + row * k;
        normalise(r->in[0] + row * k, y, k, r->call->reals[0]);
        for (int64_t i = 0; i < k; i++)
            y[i] =
                y[i] * (r->in[1] != NULL ? r->in[1][i] : 1) + (r->in[2] != NULL ? r->in[2][i] : 0);
    }
}

void ref_group_norm(const struct ref *r)
{
    const struct cr_operand *x = &r->call->in[0];
    int64_t channels = x->shape[1], groups = r->call->ints[0];
    int64_t pixels = x->shape[2] * (x->rank == 4 ? x->shape[3] : 1);
    int64_t group = channels / groups * pixels;
    for (int64_t start = 0; start < x->shape[0] * channels * pixels; start += group)
        normalise(r->in[0] + start, r->out[0] + start, group, r->call->reals[0]);
    for (int64_t i = 0; i < x->shape[0] * channels * pixels; i++) {
        int64_t c = i / pixels % channels;
        r->out[0][i] = r->out[0][i] * (r->in[1] != NULL ? r->in[1][c] : 1) +
                       (r->in[2] != NULL ? r->in[2][c] : 0);
    }
}
