/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/reference/internal.h"

/* One number of the output: channel o at (row, column). */
static double convolve(const struct ref *r, int64_t item, int64_t o, int64_t row, int64_t column)
{
    const int64_t *x = r->call->in[0].shape, *w = r->call->in[1].shape, *ints = r->call->ints;
    double sum = r->in[2] != NULL ? r->in[2][o] : 0;
    for (int64_t c = 0; c < w[1]; c++)
        for (int64_t i = 0; i < w[2]; i++)
            for (int64_t j = 0; j < w[3]; j++) {
                int64_t y = row * ints[0] - ints[2] + i, z = column * ints[1] - ints[3] + j;
                if (y >= 0 && y < x[2] && z >= 0 && z < x[3])
                    sum += r->in[0][((item * x[1] + c) * x[2] + y) * x[3] + z] *
                           r->in[1][((o * w[1] + c) * w[2] + i) * w[3] + j];
            }
    return sum;
}

void ref_conv2d(const struct ref *r)
{
    const int64_t *y = r->call->out[0].shape;
    int64_t elements = cr_operand_elements(&r->call->out[0]);
    for (int64_t i = 0; i < elements; i++)
        r->out[0][i] =
            convolve(r, i / y[3] / y[2] / y[1], i / y[3] / y[2] % y[1], i / y[3] % y[2], i % y[3]);
}

/* The four taps around a place, from the one before it on. */
static void taps(int64_t mode, double t, double weights[4])
{
    const double a = -0.75;
    weights[0] = weights[3] = 0;
    weights[1] = 1 - t;
    weights[2] = t;
    if (mode != CR_INTERPOLATION_BICUBIC)
        return;
    for (int i = 0; i < 4; i++) {
        double x = fabs(t - (i - 1));
        weights[i] = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
                            : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
}

static int64_t inside(int64_t i, int64_t extent)
{
    return i < 0 ? 0 : i >= extent ? extent - 1 : i;
}

/* One number of the output: (row, column) of a plane of h x w. */
static double interpolate(const struct ref *r, const double *plane, int64_t row, int64_t column)
{
    const int64_t *x = r->call->in[0].shape, *y = r->call->out[0].shape;
    double row_weights[4], column_weights[4], sum = 0;
    if (r->call->ints[0] == CR_INTERPOLATION_NEAREST)
        return plane[row * x[2] / y[2] * x[3] + column * x[3] / y[3]];
    double v = ((double)row + 0.5) * (double)x[2] / (double)y[2] - 0.5;
    double u = ((double)column + 0.5) * (double)x[3] / (double)y[3] - 0.5;
    taps(r->call->ints[0], v - floor(v), row_weights);
    taps(r->call->ints[0], u - floor(u), column_weights);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum += row_weights[i] * column_weights[j] *
                   plane[inside((int64_t)floor(v) + i - 1, x[2]) * x[3] +
                         inside((int64_t)floor(u) + j - 1, x[3])];
    return sum;
}

void ref_resize(const struct ref *r)
{
    const int64_t *x = r->call->in[0].shape, *y = r->call->out[0].shape;
    int64_t elements = cr_operand_elements(&r->call->out[0]), size = y[2] * y[3];
    for (int64_t i = 0; i < elements; i++)
        r->out[0][i] = interpolate(r, r->in[0] + i / size * x[2] * x[3], i % size / y[3], i % y[3]);
}
