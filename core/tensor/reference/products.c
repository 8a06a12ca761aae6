/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/reference/internal.h"

/* a[K] . b[K] */
static double dot(const double *a, const double *b, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += a[i] * b[i];
    return sum;
}

void ref_linear(const struct ref *r)
{
    const double *x = r->in[0], *w = r->in[1], *bias = r->in[2];
    int64_t m = ref_rows(&r->call->in[0]), n = r->call->in[1].shape[0], k = r->call->in[1].shape[1];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            r->out[0][i * n + j] = dot(x + i * k, w + j * k, k) + (bias != NULL ? bias[j] : 0);
}

/* y[n] += s B (A source) for one row. */
static void add_branch(const struct ref *r, int branch, int64_t row, double *y)
{
    int first = 4 + 4 * branch;
    const struct cr_operand *a = &r->call->in[first], *b = &r->call->in[first + 1];
    const double *source = r->in[first + 2] != NULL ? r->in[first + 2] : r->in[0];
    double s = r->in[first + 3] != NULL ? r->in[first + 3][row] : 1;
    int64_t rank = a->shape[0], columns = a->shape[1];
    if (s == 0)
        return;
    for (int64_t i = 0; i < rank; i++) {
        double t = dot(source + row * columns, r->in[first] + i * columns, columns);
        for (int64_t j = 0; j < b->shape[0]; j++)
            y[j] += s * r->in[first + 1][j * rank + i] * t;
    }
}

void ref_linear_fused(const struct ref *r)
{
    int64_t m = ref_rows(&r->call->in[0]), n = r->call->in[1].shape[0];
    ref_linear(r);
    for (int64_t i = 0; i < m; i++) {
        double *y = r->out[0] + i * n;
        for (int branch = 0; branch < r->call->ints[1]; branch++)
            add_branch(r, branch, i, y);
        for (int64_t j = 0; j < n; j++) {
            y[j] = ref_activation((int)r->call->ints[0], y[j]);
            y[j] += r->in[3] != NULL ? r->in[3][i * n + j] : 0;
        }
    }
}

/* Where matrix `batch` of the product's leading extents begins in an operand whose own may be 1 or
 * missing. */
static int64_t matrix_of(const struct cr_operand *y, const struct cr_operand *operand,
                         int64_t batch)
{
    int64_t start = 0, stride = 1;
    for (int axis = 1; axis <= operand->rank; axis++) {
        int64_t extent = operand->shape[operand->rank - axis];
        if (axis > 2) {
            int64_t index = batch % y->shape[y->rank - axis];
            batch /= y->shape[y->rank - axis];
            start += extent == 1 ? 0 : index * stride;
        }
        stride *= extent;
    }
    return start;
}

void ref_matmul(const struct ref *r)
{
    const struct cr_operand *ao = &r->call->in[0], *bo = &r->call->in[1], *y = &r->call->out[0];
    bool ta = r->call->ints[0] != 0, tb = r->call->ints[1] != 0;
    int64_t m = y->shape[y->rank - 2], n = y->shape[y->rank - 1];
    int64_t k = ao->shape[ao->rank - (ta ? 2 : 1)];
    int64_t batches = m * n == 0 ? 0 : cr_operand_elements(y) / (m * n);
    for (int64_t batch = 0; batch < batches; batch++) {
        const double *a = r->in[0] + matrix_of(y, ao, batch),
                     *b = r->in[1] + matrix_of(y, bo, batch);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t l = 0; l < k; l++)
                    sum += (ta ? a[l * m + i] : a[i * k + l]) * (tb ? b[j * k + l] : b[l * n + j]);
                r->out[0][(batch * m + i) * n + j] = r->call->reals[0] * sum;
            }
    }
}

/* log sum exp of x W^T, less the label's product. */
static double row_loss(const double *x, const double *w, int64_t n, int64_t k, int64_t label)
{
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        most = fmax(most, dot(x, w + j * k, k));
    for (int64_t j = 0; j < n; j++)
        sum += exp(dot(x, w + j * k, k) - most);
    return most + log(sum) - dot(x, w + label * k, k);
}

void ref_cross_entropy(const struct ref *r)
{
    int64_t m = r->call->in[0].shape[0], k = r->call->in[0].shape[1], n = r->call->in[1].shape[0];
    int64_t count = 0;
    double sum = 0;
    for (int64_t i = 0; i < m; i++) {
        if (r->in[2][i] == -100)
            continue;
        sum += row_loss(r->in[0] + i * k, r->in[1], n, k, (int64_t)r->in[2][i]);
        count++;
    }
    r->out[0][0] = count > 0 ? sum / (double)count : 0;
}
