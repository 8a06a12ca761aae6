/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/reference/internal.h"

void ref_rope(const struct ref *r)
{
    const int64_t *shape = r->call->in[0].shape;
    int64_t heads = shape[2], d = shape[3], half = d / 2;
    for (int64_t row = 0; row < shape[0] * shape[1] * heads; row++) {
        const double *x = r->in[0] + row * d;
        double *y = r->out[0] + row * d;
        int64_t position = (int64_t)r->in[3][row / heads];
        for (int64_t i = 0; i < half; i++) {
            double c = r->in[1][position * half + i], s = r->in[2][position * half + i];
            y[i] = x[i] * c - x[i + half] * s;
            y[i + half] = x[i + half] * c + x[i] * s;
        }
    }
}

/* ---- Attention ---- */

/* An element of a mask or bias [B|1,H|1,Lq|1,Lk]. */
static double broadcast_at(const struct cr_operand *operand, const double *numbers, int64_t b,
                           int64_t h, int64_t i, int64_t j)
{
    const int64_t *shape = operand->shape;
    b = shape[0] == 1 ? 0 : b;
    h = shape[1] == 1 ? 0 : h;
    i = shape[2] == 1 ? 0 : i;
    return numbers[((b * shape[1] + h) * shape[2] + i) * shape[3] + j];
}

struct query {
    const struct ref *r;
    int64_t b, h, i;    /* item, head, row */
    int64_t keys, room; /* Lk; rows of k and v */
    int64_t d;
};

/* The row of k and v that key j is; -1 if the query does not see it. */
static int64_t key_row(const struct query *q, int64_t j)
{
    const struct ref *r = q->r;
    const struct cr_operand *in = r->call->in;
    int64_t kv_heads = in[1].shape[1];
    int64_t head = q->h / (in[0].shape[1] / kv_heads), item = r->in[6] != NULL ? 0 : q->b, row = j;
    if (r->call->ints[0] != 0 && j > q->i + r->call->ints[1])
        return -1;
    if (r->in[3] != NULL && j >= (int64_t)r->in[3][q->b])
        return -1;
    if (r->in[4] != NULL && broadcast_at(&in[4], r->in[4], q->b, q->h, q->i, j) == 0)
        return -1;
    if (r->in[6] != NULL && (row = (int64_t)r->in[6][q->b * q->keys + j]) < 0)
        return -1;
    return (item * kv_heads + head) * q->room + row;
}

static double score(const struct query *q, const double *query, int64_t row, int64_t j)
{
    const struct ref *r = q->r;
    const double *key = r->in[1] + row * q->d;
    double sum = 0;
    for (int64_t i = 0; i < q->d; i++)
        sum += query[i] * key[i];
    sum *= r->call->reals[0];
    if (r->in[5] != NULL)
        sum += broadcast_at(&r->call->in[5], r->in[5], q->b, q->h, q->i, j);
    return sum;
}

/* y[d] = sum of e^(score - top) v / sum of e^(score - top) */
static void attend(const struct query *q, const double *query, double *y)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < q->keys; j++) {
        int64_t row = key_row(q, j);
        if (row >= 0)
            top = fmax(top, score(q, query, row, j));
    }
    for (int64_t i = 0; i < q->d; i++)
        y[i] = 0;
    for (int64_t j = 0; j < q->keys; j++) {
        int64_t row = key_row(q, j);
        if (row < 0)
            continue;
        double e = exp(score(q, query, row, j) - top);
        sum += e;
        for (int64_t i = 0; i < q->d; i++)
            y[i] += e * q->r->in[2][row * q->d + i];
    }
    for (int64_t i = 0; i < q->d && sum != 0; i++)
        y[i] /= sum;
}

void ref_attention(const struct ref *r)
{
    const struct cr_operand *in = r->call->in;
    int64_t heads = in[0].shape[1], rows = in[0].shape[2], d = in[0].shape[3];
    struct query q = {.r = r, .room = in[1].shape[2], .d = d};
    q.keys = r->in[6] != NULL ? in[6].shape[1] : q.room;
    for (int64_t row = 0; row < in[0].shape[0] * heads * rows; row++) {
        q.b = row / rows / heads;
        q.h = row / rows % heads;
        q.i = row % rows;
        attend(&q, r->in[0] + row * d, r->out[0] + row * d);
    }
}

void ref_kv_append(const struct ref *r)
{
    const int64_t *x = r->call->in[0].shape;
    int64_t length = x[1], heads = x[2], d = x[3], room = r->call->out[0].shape[2];
    for (int64_t i = 0; i < x[0] * length * heads * d; i++) {
        int64_t b = i / d / heads / length, l = i / d / heads % length, h = i / d % heads;
        int64_t position = (int64_t)r->in[1][b * length + l];
        int64_t item = r->call->ints[0] != 0 ? 0 : b;
        if (position >= 0)
            r->out[0][((item * heads + h) * room + position) * d + i % d] =
                ref_stored(r->call->out[0].dtype, r->in[0][i]);
    }
}

/* ---- Deformable attention ---- */

/* One level of one item and head: cell (row, column) of h x w, a step of `step` numbers apart. */
struct level {
    const double *values;
    int64_t h, w, step;
};

static double cell(const struct level *level, double row, double column)
{
    if (!(row >= 0 && row < (double)level->h && column >= 0 && column < (double)level->w))
        return 0;
    return level->values[((int64_t)row * level->w + (int64_t)column) * level->step];
}

/* Between the four cells around (y, x), in cells; infinitely far is outside. */
static double sample(const struct level *level, double y, double x)
{
    if (isinf(y) || isinf(x))
        return isnan(y) || isnan(x) ? NAN : 0;
    double row = floor(y), column = floor(x), v = y - row, u = x - column;
    return (1 - v) * (1 - u) * cell(level, row, column) +
           (1 - v) * u * cell(level, row, column + 1) + v * (1 - u) * cell(level, row + 1, column) +
           v * u * cell(level, row + 1, column + 1);
}

void ref_ms_deform_attn(const struct ref *r)
{
    const int64_t *value = r->call->in[0].shape, *ints = r->call->ints;
    int64_t heads = value[2], d = value[3], levels = ints[0], points = ints[1];
    int64_t rows = r->call->in[2].shape[0], queries = rows / value[0];
    for (int64_t i = 0; i < rows * heads * d; i++) {
        int64_t row = i / d / heads, head = i / d % heads, cells = 0;
        double sum = 0;
        for (int64_t l = 0; l < levels; l++) {
            struct level level = {.h = ints[2 + 2 * l], .w = ints[3 + 2 * l], .step = heads * d};
            level.values =
                r->in[0] + ((row / queries * value[1] + cells) * heads + head) * d + i % d;
            for (int64_t p = 0; p < points; p++) {
                int64_t at = ((row * heads + head) * levels + l) * points + p;
                sum += r->in[2][at] * sample(&level, r->in[1][2 * at + 1] * (double)level.h - 0.5,
                                             r->in[1][2 * at] * (double)level.w - 0.5);
            }
            cells += level.h * level.w;
        }
        r->out[0][i] = sum;
    }
}
