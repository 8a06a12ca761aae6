/* SPDX-License-Identifier: MIT */
/* The cases of the self-test: a few of every operation, small, odd in every extent. A maker returns
 * false behind its last case. */
#include <math.h>

#include "tensor/cases.h"
#include "tensor/reference/internal.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

typedef bool (*maker)(struct cr_case *c, enum cr_op op, int index);

/* ---- Products ---- */

static bool linear(struct cr_case *c, enum cr_op op, int index)
{
    static const struct cr_linear_case cases[] = {
        {.m = 1, .n = 65, .k = 128, .weights = CR_WEIGHTS_NF4},
        {.m = 3, .n = 33, .k = 90, .weights = CR_WEIGHTS_NF4, .bias = true},
        {.m = 17, .n = 160, .k = 192, .weights = CR_WEIGHTS_NESTED},
        {.m = 1, .n = 31, .k = 1000, .weights = CR_WEIGHTS_NESTED},
        {.m = 1, .n = 65, .k = 96, .weights = CR_WEIGHTS_Q8_0},
        {.m = 33, .n = 63, .k = 48, .weights = CR_WEIGHTS_Q8_0, .bias = true},
        {.m = 2, .n = 64, .k = 31, .weights = CR_WEIGHTS_F16},
        {.m = 33, .n = 65, .k = 300, .weights = CR_WEIGHTS_F16},
        {.m = 1, .n = 3, .k = 1, .weights = CR_WEIGHTS_F32},
        {.m = 65, .n = 70, .k = 129, .weights = CR_WEIGHTS_F32, .bias = true},
        {.m = 2, .n = 65, .k = 256, .weights = CR_WEIGHTS_NF4, .bias = true},
        {.m = 5, .n = 66, .k = 384, .weights = CR_WEIGHTS_Q8_0},
        {.m = 1, .n = 63, .k = 512, .weights = CR_WEIGHTS_NESTED},
    };
    (void)op;
    if (index >= COUNT(cases))
        return false;
    cr_case_linear(c, &cases[index], 1 + (uint64_t)index);
    return true;
}

static bool linear_fused(struct cr_case *c, enum cr_op op, int index)
{
    static const struct cr_linear_case cases[] = {
        {.m = 1, .n = 65, .k = 128, .weights = CR_WEIGHTS_NF4, .activation = CR_ACTIVATION_GELU},
        {.m = 17, .n = 64, .k = 96, .bias = true, .activation = CR_ACTIVATION_QUICK_GELU},
        {.m = 3, .n = 33, .k = 90, .weights = CR_WEIGHTS_Q8_0, .residual = true},
        {.m = 5,
         .n = 63,
         .k = 64,
         .bias = true,
         .activation = CR_ACTIVATION_RELU,
         .residual = true},
        {.m = 9,
         .n = 80,
         .k = 128,
         .weights = CR_WEIGHTS_NF4,
         .branches = 2,
         .rank = 8,
         .branch_weights = CR_WEIGHTS_NF4,
         .scales = CR_SCALES_ALTERNATING},
        {.m = 33,
         .n = 70,
         .k = 65,
         .weights = CR_WEIGHTS_F16,
         .bias = true,
         .branches = 4,
         .rank = 5,
         .source = 31,
         .scales = CR_SCALES_ALL,
         .activation = CR_ACTIVATION_SILU,
         .residual = true},
        {.m = 2, .n = 31, .k = 64, .branches = 1, .rank = 16, .scales = CR_SCALES_NONE},
    };
    (void)op;
    if (index >= COUNT(cases))
        return false;
    cr_case_linear(c, &cases[index], 11 + (uint64_t)index);
    return true;
}

static bool matmul(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int a_rank, b_rank, y_rank;
        int64_t a[4], b[4], y[4];
        bool a_half, b_half, ta, tb;
        double alpha;
    } cases[] = {
        {2, 2, 2, {5, 31}, {31, 7}, {5, 7}, .alpha = 1},
        {2, 2, 2, {31, 65}, {33, 31}, {65, 33}, .ta = true, .tb = true, .alpha = 0.5},
        {3, 3, 3, {3, 9, 40}, {3, 40, 17}, {3, 9, 17}, .b_half = true, .alpha = 1},
        {4, 3, 4, {2, 1, 6, 8}, {3, 5, 8}, {2, 3, 6, 5}, .tb = true, .a_half = true, .alpha = -2},
        {4, 4, 4, {1, 2, 130, 3}, {4, 1, 130, 70}, {4, 2, 3, 70}, .ta = true, .alpha = 0.125},
    };
    if (index >= COUNT(cases))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "y [%lld, %lld]%s%s",
                 (long long)cases[index].y[cases[index].y_rank - 2],
                 (long long)cases[index].y[cases[index].y_rank - 1],
                 cases[index].ta ? ", a transposed" : "", cases[index].tb ? ", b transposed" : "");
    cr_case_in(c, cases[index].a_half ? CR_DTYPE_F16 : CR_DTYPE_F32, cases[index].a_rank,
               cases[index].a, CR_FILL_NORMAL);
    cr_case_in(c, cases[index].b_half ? CR_DTYPE_F16 : CR_DTYPE_F32, cases[index].b_rank,
               cases[index].b, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, cases[index].y_rank, cases[index].y, CR_FILL_ZERO);
    c->call.ints[0] = cases[index].ta;
    c->call.ints[1] = cases[index].tb;
    c->call.reals[0] = cases[index].alpha;
    return true;
}

static bool cross_entropy(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int64_t m, n, k;
        enum cr_dtype dtype;
        int every; /* every which row is labelled; 0: none */
    } cases[] = {
        {7, 100, 48, CR_DTYPE_F32, 1},
        {20, 65, 64, CR_DTYPE_NF4, 3},
        {5, 33, 32, CR_DTYPE_F16, 0},
        {9, 1, 40, CR_DTYPE_Q8_0, 2},
    };
    if (index >= COUNT(cases))
        return false;
    int64_t m = cases[index].m, n = cases[index].n, k = cases[index].k;
    cr_case_init(c, op, 1 + (uint64_t)index, "x [%lld, %lld], w [%lld] %s, labels: every %d.",
                 (long long)m, (long long)k, (long long)n, cr_dtype_name(cases[index].dtype),
                 cases[index].every);
    cr_case_in(c, CR_DTYPE_F32, 2, (int64_t[]){m, k}, CR_FILL_NORMAL);
    cr_case_in(c, cases[index].dtype, 2, (int64_t[]){n, k}, CR_FILL_WEIGHT);
    int32_t *labels = cr_case_in(c, CR_DTYPE_I32, 1, &m, CR_FILL_ZERO);
    for (int64_t i = 0; labels != NULL && i < m; i++)
        labels[i] = cases[index].every > 0 && i % cases[index].every == 0
                        ? (int32_t)(cr_case_uniform(&c->seed) * (double)n)
                        : -100;
    cr_case_out(c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO);
    return true;
}

/* ---- Rows ---- */

static bool embedding(struct cr_case *c, enum cr_op op, int index)
{
    static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_Q8_0, CR_DTYPE_NF4,
                                           CR_DTYPE_NF4};
    static const int32_t ids[6] = {4, -1, 0, 8, 4, -100};
    if (index >= COUNT(dtypes))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "table [9, 37] %s%s", cr_dtype_name(dtypes[index]),
                 index == 4 ? " nested" : "");
    if (index == 4)
        cr_case_in_nested(c, 9, 37, CR_FILL_NORMAL);
    else
        cr_case_in(c, dtypes[index], 2, (int64_t[]){9, 37}, CR_FILL_NORMAL);
    int32_t *list = cr_case_in(c, CR_DTYPE_I32, 2, (int64_t[]){2, 3}, CR_FILL_ZERO);
    for (int i = 0; list != NULL && i < 6; i++)
        list[i] = ids[i];
    cr_case_out(c, CR_DTYPE_F32, 3, (int64_t[]){2, 3, 37}, CR_FILL_ZERO);
    return true;
}

static bool rows(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int rank;
        int64_t x[4], rows;
        int32_t list[5];
    } cases[] = {
        {2, {6, 37}, 5, {5, 0, -1, 2, 3}},
        {3, {7, 3, 5}, 3, {6, 1, 4}},
        {1, {9}, 4, {8, -1, 0, 3}},
        {2, {6, 70}, 5, {1, 1, 4, 1, -1}}, /* twice the same: not for scatter_rows */
    };
    if (index >= COUNT(cases) - (op == CR_OP_SCATTER_ROWS))
        return false;
    int64_t picked[4];
    for (int i = 0; i < 4; i++)
        picked[i] = i == 0 ? cases[index].rows : cases[index].x[i];
    cr_case_init(c, op, 1 + (uint64_t)index, "x [%lld, ...] of rank %d, %lld rows",
                 (long long)cases[index].x[0], cases[index].rank, (long long)cases[index].rows);
    if (op == CR_OP_GATHER_ROWS)
        cr_case_in(c, CR_DTYPE_F32, cases[index].rank, cases[index].x, CR_FILL_NORMAL);
    int32_t *list = cr_case_in(c, CR_DTYPE_I32, 1, &cases[index].rows, CR_FILL_ZERO);
    for (int i = 0; list != NULL && i < cases[index].rows; i++)
        list[i] = cases[index].list[i];
    if (op != CR_OP_GATHER_ROWS)
        cr_case_in(c, CR_DTYPE_F32, cases[index].rank, picked, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, cases[index].rank,
                op == CR_OP_GATHER_ROWS ? picked : cases[index].x, CR_FILL_NORMAL);
    return true;
}

/* ---- Norms ---- */

static bool norm(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int rank;
        int64_t x[4];
        int weights; /* 0: none, 1: f32, 2: f16 */
        double eps;
    } cases[] = {
        {2, {3, 65}, 0, 1e-6f},
        {3, {2, 8, 129}, 1, 1e-5f},
        {4, {1, 12, 7, 33}, 2, 1e-5f},
        {3, {5, 4, 1}, 1, 1e-2f},
    };
    bool group = op == CR_OP_GROUP_NORM;
    index += group; /* it needs rank 3 */
    if (index >= COUNT(cases))
        return false;
    const int64_t *x = cases[index].x, *weights = &x[group ? 1 : cases[index].rank - 1];
    cr_case_init(c, op, 1 + (uint64_t)index, "x of rank %d over %lld, weights: %s",
                 cases[index].rank, (long long)*weights,
                 cases[index].weights == 0   ? "none"
                 : cases[index].weights == 1 ? "f32"
                                             : "f16");
    cr_case_in(c, CR_DTYPE_F32, cases[index].rank, x, CR_FILL_NORMAL);
    for (int i = 0; i < (op == CR_OP_RMS_NORM ? 1 : 2); i++)
        if (cases[index].weights == 0)
            cr_case_absent(c);
        else
            cr_case_in(c, cases[index].weights == 1 ? CR_DTYPE_F32 : CR_DTYPE_F16, 1, weights,
                       CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, cases[index].rank, x, CR_FILL_ZERO);
    c->call.ints[0] = group ? 4 : 0;
    c->call.reals[0] = cases[index].eps;
    return true;
}

/* ---- Attention ---- */

static bool rope(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t shapes[][4] = {{2, 5, 3, 64}, {1, 7, 2, 10}, {1, 1, 4, 128}};
    const int64_t positions = 50;
    if (index >= COUNT(shapes))
        return false;
    const int64_t *x = shapes[index], half = x[3] / 2;
    cr_case_init(c, op, 1 + (uint64_t)index, "x [%lld, %lld, %lld, %lld]", (long long)x[0],
                 (long long)x[1], (long long)x[2], (long long)x[3]);
    cr_case_in(c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
    float *cosines = cr_case_in(c, CR_DTYPE_F32, 2, (int64_t[]){positions, half}, CR_FILL_ZERO);
    float *sines = cr_case_in(c, CR_DTYPE_F32, 2, (int64_t[]){positions, half}, CR_FILL_ZERO);
    for (int64_t i = 0; sines != NULL && i < positions * half; i++) {
        double angle = (double)(i / half) * pow(10000, -(double)(i % half) / (double)half);
        cosines[i] = (float)cos(angle);
        sines[i] = (float)sin(angle);
    }
    int32_t *list = cr_case_in(c, CR_DTYPE_I32, 2, x, CR_FILL_ZERO);
    for (int64_t i = 0; list != NULL && i < x[0] * x[1]; i++)
        list[i] = (int32_t)(cr_case_uniform(&c->seed) * (double)positions);
    cr_case_out(c, CR_DTYPE_F32, 4, x, CR_FILL_ZERO);
    return true;
}

static bool attention(struct cr_case *c, enum cr_op op, int index)
{
    static const struct cr_attention_case cases[] = {
        {1, 2, 2, 7, 33, 64},
        {2, 4, 2, 1, 33, 128, .half = true, .lengths = true},
        {1, 3, 1, 65, 70, 40, .causal = true},
        {2, 2, 2, 7, 8, 8, .mask = true, .bias = true},
        {2, 4, 1, 5, 40, 80, .half = true, .rows = true, .causal = true, .lengths = true},
        {1, 1, 1, 3, 130, 256, .bias = true},
        {1, 8, 8, 1, 300, 16, .half = true, .mask = true},
    };
    (void)op;
    if (index >= COUNT(cases))
        return false;
    cr_case_attention(c, &cases[index], 1 + (uint64_t)index);
    return true;
}

static bool kv_append(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int64_t b, length, heads, d, room;
        enum cr_dtype dtype;
        bool shared;
        int32_t first[2];
    } cases[] = {
        {2, 3, 2, 40, 9, CR_DTYPE_F32, false, {0, 6}},
        {2, 1, 4, 64, 5, CR_DTYPE_F16, false, {4, 2}},
        {2, 3, 2, 17, 11, CR_DTYPE_F16, true, {7, 1}},
    };
    if (index >= COUNT(cases))
        return false;
    int64_t b = cases[index].b, length = cases[index].length, heads = cases[index].heads;
    int64_t d = cases[index].d;
    cr_case_init(c, op, 1 + (uint64_t)index, "x [%lld, %lld, %lld, %lld] to %s%s", (long long)b,
                 (long long)length, (long long)heads, (long long)d,
                 cr_dtype_name(cases[index].dtype), cases[index].shared ? ", rows" : "");
    cr_case_in(c, CR_DTYPE_F32, 4, (int64_t[]){b, length, heads, d}, CR_FILL_NORMAL);
    int32_t *list = cr_case_in(c, CR_DTYPE_I32, 2, (int64_t[]){b, length}, CR_FILL_ZERO);
    for (int64_t i = 0; list != NULL && i < b * length; i++)
        list[i] = cases[index].first[i / length] + (int32_t)(i % length);
    if (list != NULL && cases[index].shared)
        list[1] = -1;
    cr_case_out(c, cases[index].dtype, 4,
                (int64_t[]){cases[index].shared ? 1 : b, heads, cases[index].room, d},
                CR_FILL_NORMAL);
    c->call.ints[0] = cases[index].shared;
    return true;
}

static bool ms_deform_attn(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int64_t b, queries, heads, d, levels, points, sizes[8];
    } cases[] = {
        {1, 9, 2, 8, 1, 1, {5, 7}},
        {2, 11, 3, 32, 3, 4, {9, 12, 5, 6, 1, 3}},
        {1, 6, 8, 5, 4, 2, {8, 8, 4, 4, 2, 2, 1, 1}},
    };
    if (index >= COUNT(cases))
        return false;
    int64_t b = cases[index].b, all_rows = b * cases[index].queries, heads = cases[index].heads;
    int64_t d = cases[index].d, levels = cases[index].levels, cells = 0;
    int64_t samples = levels * cases[index].points;
    cr_case_init(c, op, 1 + (uint64_t)index, "%lld levels of %lld points, %lld heads of %lld",
                 (long long)levels, (long long)cases[index].points, (long long)heads, (long long)d);
    for (int64_t i = 0; i < levels; i++)
        cells += cases[index].sizes[2 * i] * cases[index].sizes[2 * i + 1];
    cr_case_in(c, CR_DTYPE_F32, 4, (int64_t[]){b, cells, heads, d}, CR_FILL_NORMAL);
    float *places =
        cr_case_in(c, CR_DTYPE_F32, 4, (int64_t[]){all_rows, heads, samples, 2}, CR_FILL_UNIFORM);
    for (int64_t i = 0; places != NULL && i < all_rows * heads * samples * 2; i++)
        places[i] = places[i] * 1.5f - 0.25f; /* some lie outside */
    cr_case_in(c, CR_DTYPE_F32, 3, (int64_t[]){all_rows, heads, samples}, CR_FILL_UNIFORM);
    cr_case_out(c, CR_DTYPE_F32, 3, (int64_t[]){b, cases[index].queries, heads * d}, CR_FILL_ZERO);
    c->call.ints[0] = levels;
    c->call.ints[1] = cases[index].points;
    for (int64_t i = 0; i < 2 * levels; i++)
        c->call.ints[2 + i] = cases[index].sizes[i];
    return true;
}

/* ---- Elements and reductions ---- */

static bool binary(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int a_rank, b_rank;
        int64_t a[4], b[4];
    } cases[] = {
        {2, 2, {7, 65}, {7, 65}},          {3, 1, {3, 5, 33}, {33}},  {2, 2, {9, 31}, {9, 1}},
        {4, 3, {2, 3, 4, 17}, {3, 1, 17}}, {4, 0, {2, 1, 3, 5}, {0}},
    };
    if (index >= (op == CR_OP_SILU_MUL ? 1 : COUNT(cases)))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "a of rank %d, b of rank %d", cases[index].a_rank,
                 cases[index].b_rank);
    cr_case_in(c, CR_DTYPE_F32, cases[index].a_rank, cases[index].a, CR_FILL_NORMAL);
    cr_case_in(c, CR_DTYPE_F32, cases[index].b_rank, cases[index].b, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, cases[index].a_rank, cases[index].a, CR_FILL_ZERO);
    return true;
}

static bool unary(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t counts[] = {1, 1000, 40013};
    if (index >= COUNT(counts))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "%lld elements", (long long)counts[index]);
    float *x = cr_case_in(c, CR_DTYPE_F32, 1, &counts[index], CR_FILL_NORMAL);
    for (int64_t i = 0; x != NULL && i < counts[index]; i += 3)
        x[i] *= 10; /* far out too */
    cr_case_out(c, CR_DTYPE_F32, 1, &counts[index], CR_FILL_ZERO);
    c->call.reals[0] = -0.37f;
    return true;
}

static bool reduce(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t shapes[][2] = {{3, 1}, {5, 65}, {2, 1000}, {1, 40013}, {301, 7}};
    if (index >= COUNT(shapes))
        return false;
    int64_t m = shapes[index][0], k = shapes[index][1];
    bool last = op == CR_OP_SOFTMAX || op == CR_OP_LOG_SOFTMAX;
    cr_case_init(c, op, 1 + (uint64_t)index, "x [%lld, %lld]", (long long)m, (long long)k);
    /* Sums of numbers with a mean: those without one may cancel to nothing. */
    float *x = cr_case_in(c, CR_DTYPE_F32, 2, shapes[index], CR_FILL_NORMAL);
    for (int64_t i = 0; x != NULL && i < m * k && (op == CR_OP_SUM || op == CR_OP_MEAN); i++)
        x[i] += 1;
    cr_case_out(c, CR_DTYPE_F32, 2, (int64_t[]){m, last ? k : 1}, CR_FILL_ZERO);
    return true;
}

/* Many equal numbers, so that ties have to be decided. */
static bool select_largest(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t shapes[][3] = {{3, 1, 1}, {5, 65, 7}, {2, 1500, 1024}, {301, 7, 7}};
    if (index >= COUNT(shapes))
        return false;
    int64_t m = shapes[index][0], n = shapes[index][1], k = shapes[index][2];
    cr_case_init(c, op, 1 + (uint64_t)index, "x [%lld, %lld], k %lld", (long long)m, (long long)n,
                 (long long)k);
    float *x = cr_case_in(c, CR_DTYPE_F32, 2, shapes[index], CR_FILL_NORMAL);
    for (int64_t i = 0; x != NULL && i < m * n; i++)
        x[i] = roundf(x[i] * 20) / 4;
    if (op == CR_OP_TOPK) {
        cr_case_out(c, CR_DTYPE_F32, 2, (int64_t[]){m, k}, CR_FILL_ZERO);
        cr_case_out(c, CR_DTYPE_I32, 2, (int64_t[]){m, k}, CR_FILL_ZERO);
        c->call.ints[0] = k;
    } else {
        cr_case_out(c, CR_DTYPE_I32, 1, &m, CR_FILL_ZERO);
    }
    return true;
}

/* ---- Layout ---- */

/* An input of any dense type, with whole numbers of both signs. */
static void any_input(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape)
{
    void *data = cr_case_in(c, dtype, rank, shape, CR_FILL_NORMAL);
    int64_t elements = cr_operand_elements(&c->call.in[c->call.inputs - 1]);
    for (int64_t i = 0; data != NULL && i < elements; i++) {
        double number = cr_case_normal(&c->seed) * 300;
        if (dtype == CR_DTYPE_I32)
            ((int32_t *)data)[i] = (int32_t)number;
        else if (dtype == CR_DTYPE_U8)
            ((uint8_t *)data)[i] = (uint8_t)((int)number & 255);
        else if (dtype == CR_DTYPE_F32)
            ((float *)data)[i] *= 200;
    }
}

static const enum cr_dtype dense[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_I32, CR_DTYPE_U8};

static bool cast(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t count = 1003;
    if (index >= 16)
        return false;
    enum cr_dtype from = dense[index / 4], to = dense[index % 4];
    cr_case_init(c, op, 1 + (uint64_t)index, "%s to %s", cr_dtype_name(from), cr_dtype_name(to));
    any_input(c, from, 1, &count);
    cr_case_out(c, to, 1, &count, CR_FILL_ZERO);
    return true;
}

/* Four numbers for each axis of a [3, 4, 5, 33] or a shorter shape, for slice, permute, pad, roll.
 */
static bool move(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t x[4] = {3, 4, 5, 33};
    static const int64_t starts[4] = {1, 0, 2, 5}, before[4] = {0, 2, -1, 3};
    static const int64_t grown[4] = {3, 7, 2, 40}, cut[4] = {2, 4, 1, 20};
    static const int64_t orders[2][4] = {{2, 0, 3, 1}, {0, 2, 1, 3}}, shifts[4] = {1, 0, 4, 32};
    if (index >= 5)
        return false;
    enum cr_dtype dtype = dense[index % 4];
    const int64_t *numbers = op == CR_OP_SLICE     ? starts
                             : op == CR_OP_PERMUTE ? orders[index > 0]
                             : op == CR_OP_PAD     ? before
                                                   : shifts;
    int64_t y[4];
    for (int i = 0; i < 4; i++) {
        y[i] = op == CR_OP_SLICE     ? cut[i]
               : op == CR_OP_PERMUTE ? x[numbers[i]]
               : op == CR_OP_PAD     ? grown[i]
                                     : x[i];
    }
    cr_case_init(c, op, 1 + (uint64_t)index, "%s, case %d", cr_dtype_name(dtype), index);
    any_input(c, dtype, 4, x);
    cr_case_out(c, dtype, 4, y, CR_FILL_ZERO);
    for (int i = 0; i < 4; i++)
        c->call.ints[i] = numbers[i];
    c->call.reals[0] = op == CR_OP_PAD ? 1.75 : 0;
    return true;
}

static bool concat(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int rank, axis, count;
        int64_t extents[3];
    } cases[] = {{2, 0, 3, {1, 4, 2}}, {2, 1, 2, {5, 28}}, {3, 1, 3, {2, 3, 1}}, {3, 2, 1, {7}}};
    if (index >= COUNT(cases))
        return false;
    int64_t y[4] = {3, 4, 5, 1}, total = 0;
    cr_case_init(c, op, 1 + (uint64_t)index, "%d of rank %d along axis %d", cases[index].count,
                 cases[index].rank, cases[index].axis);
    for (int i = 0; i < cases[index].count; i++) {
        y[cases[index].axis] = cases[index].extents[i];
        total += cases[index].extents[i];
        any_input(c, dense[index], cases[index].rank, y);
    }
    y[cases[index].axis] = total;
    cr_case_out(c, dense[index], cases[index].rank, y, CR_FILL_ZERO);
    c->call.ints[0] = cases[index].axis;
    return true;
}

static bool fill(struct cr_case *c, enum cr_op op, int index)
{
    static const double values[] = {-0.1f, 65504, -2.75, 300};
    if (index >= COUNT(values))
        return false;
    cr_case_init(c, op, 1, "%s", cr_dtype_name(dense[index]));
    cr_case_out(c, dense[index], 2, (int64_t[]){7, 33}, CR_FILL_ZERO);
    c->call.reals[0] = values[index];
    return true;
}

/* ---- Pictures ---- */

static bool conv2d(struct cr_case *c, enum cr_op op, int index)
{
    static const struct {
        int64_t x[4], w[4], y[4], ints[4];
        enum cr_dtype dtype;
        bool bias;
    } cases[] = {
        {{1, 3, 16, 20}, {5, 3, 4, 4}, {1, 5, 4, 5}, {4, 4, 0, 0}, CR_DTYPE_F32, true},
        {{2, 4, 9, 7}, {6, 4, 3, 3}, {2, 6, 9, 7}, {1, 1, 1, 1}, CR_DTYPE_F16, false},
        {{1, 2, 8, 11}, {3, 2, 2, 5}, {1, 3, 9, 5}, {1, 2, 1, 1}, CR_DTYPE_F32, true},
        {{1, 70, 5, 5}, {33, 70, 1, 1}, {1, 33, 5, 5}, {1, 1, 0, 0}, CR_DTYPE_F32, false},
    };
    if (index >= COUNT(cases))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "%lld channels by %lld x %lld, stride %lld, %lld",
                 (long long)cases[index].x[1], (long long)cases[index].w[2],
                 (long long)cases[index].w[3], (long long)cases[index].ints[0],
                 (long long)cases[index].ints[1]);
    cr_case_in(c, CR_DTYPE_F32, 4, cases[index].x, CR_FILL_NORMAL);
    cr_case_in(c, cases[index].dtype, 4, cases[index].w, CR_FILL_NORMAL);
    if (cases[index].bias)
        cr_case_in(c, CR_DTYPE_F32, 1, cases[index].w, CR_FILL_NORMAL);
    else
        cr_case_absent(c);
    cr_case_out(c, CR_DTYPE_F32, 4, cases[index].y, CR_FILL_ZERO);
    for (int i = 0; i < 4; i++)
        c->call.ints[i] = cases[index].ints[i];
    return true;
}

static bool resize(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t sizes[][2] = {{14, 24}, {5, 3}, {7, 30}};
    static const char *const modes[] = {"nearest", "bilinear", "bicubic"};
    if (index >= 3 * COUNT(sizes))
        return false;
    const int64_t *size = sizes[index / 3];
    cr_case_init(c, op, 1 + (uint64_t)index, "7 x 9 to %lld x %lld, %s", (long long)size[0],
                 (long long)size[1], modes[index % 3]);
    cr_case_in(c, CR_DTYPE_F32, 4, (int64_t[]){1, 3, 7, 9}, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 4, (int64_t[]){1, 3, size[0], size[1]}, CR_FILL_ZERO);
    c->call.ints[0] = index % 3;
    return true;
}

/* ---- Training ---- */

static bool adamw_step(struct cr_case *c, enum cr_op op, int index)
{
    static const int64_t counts[] = {1, 1003}, steps[] = {1, 1000};
    static const double reals[] = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f};
    if (index >= COUNT(counts))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "%lld numbers, step %lld", (long long)counts[index],
                 (long long)steps[index]);
    cr_case_in(c, CR_DTYPE_F32, 1, &counts[index], CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 1, &counts[index], CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 1, &counts[index], CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 1, &counts[index], CR_FILL_UNIFORM);
    c->call.ints[0] = steps[index];
    for (int i = 0; i < COUNT(reals); i++)
        c->call.reals[i] = reals[i];
    return true;
}

static bool grad_norm(struct cr_case *c, enum cr_op op, int index)
{
    static const int counts[] = {1, 3, 24};
    if (index >= COUNT(counts))
        return false;
    cr_case_init(c, op, 1 + (uint64_t)index, "%d tensors", counts[index]);
    for (int i = 0; i < counts[index]; i++)
        cr_case_in(c, CR_DTYPE_F32, 2, (int64_t[]){1 + i % 5, 31 + 400 * (i % 3)}, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO);
    return true;
}

/* ---- Quantisation ---- */

static const struct {
    enum cr_dtype dtype;
    bool nested;
    int64_t shape[2];
} quantised[] = {
    {CR_DTYPE_Q8_0, false, {5, 64}},  {CR_DTYPE_Q8_0, false, {3, 31}},
    {CR_DTYPE_NF4, false, {5, 128}},  {CR_DTYPE_NF4, false, {3, 31}},
    {CR_DTYPE_NF4, true, {160, 128}}, {CR_DTYPE_NF4, true, {3, 45}},
};

static bool quantize(struct cr_case *c, enum cr_op op, int index)
{
    if (index >= COUNT(quantised))
        return false;
    const int64_t *shape = quantised[index].shape;
    cr_case_init(c, op, 1 + (uint64_t)index, "[%lld, %lld] to %s%s", (long long)shape[0],
                 (long long)shape[1], cr_dtype_name(quantised[index].dtype),
                 quantised[index].nested ? " nested" : "");
    float *x = cr_case_in(c, CR_DTYPE_F32, 2, shape, CR_FILL_NORMAL);
    for (int i = 0; x != NULL && i < 64; i++)
        x[i] = 0; /* a block of zeros */
    c->call.ints[0] = quantised[index].nested;
    cr_case_out(c, quantised[index].dtype, 2, shape, CR_FILL_ZERO);
    return true;
}

static bool dequantize(struct cr_case *c, enum cr_op op, int index)
{
    if (index >= 2 * COUNT(quantised))
        return false;
    enum cr_dtype from = quantised[index / 2].dtype, to = dense[index % 2];
    const int64_t *shape = quantised[index / 2].shape;
    bool nested = quantised[index / 2].nested;
    cr_case_init(c, op, 1 + (uint64_t)index, "[%lld, %lld] from %s%s to %s", (long long)shape[0],
                 (long long)shape[1], cr_dtype_name(from), nested ? " nested" : "",
                 cr_dtype_name(to));
    if (nested)
        cr_case_in_nested(c, shape[0], shape[1], CR_FILL_NORMAL);
    else
        cr_case_in(c, from, 2, shape, CR_FILL_NORMAL);
    cr_case_out(c, to, 2, shape, CR_FILL_ZERO);
    return true;
}

/* ---- All of them ---- */

static const maker makers[CR_OP_COUNT] = {
    [CR_OP_LINEAR] = linear,
    [CR_OP_MATMUL] = matmul,
    [CR_OP_EMBEDDING] = embedding,
    [CR_OP_GATHER_ROWS] = rows,
    [CR_OP_SCATTER_ROWS] = rows,
    [CR_OP_SCATTER_ADD_ROWS] = rows,
    [CR_OP_RMS_NORM] = norm,
    [CR_OP_LAYER_NORM] = norm,
    [CR_OP_GROUP_NORM] = norm,
    [CR_OP_ROPE] = rope,
    [CR_OP_ATTENTION] = attention,
    [CR_OP_KV_APPEND] = kv_append,
    [CR_OP_ADD] = binary,
    [CR_OP_MUL] = binary,
    [CR_OP_SCALE] = unary,
    [CR_OP_SIGMOID] = unary,
    [CR_OP_RELU] = unary,
    [CR_OP_GELU] = unary,
    [CR_OP_QUICK_GELU] = unary,
    [CR_OP_SILU] = unary,
    [CR_OP_SILU_MUL] = binary,
    [CR_OP_SOFTMAX] = reduce,
    [CR_OP_LOG_SOFTMAX] = reduce,
    [CR_OP_SUM] = reduce,
    [CR_OP_MEAN] = reduce,
    [CR_OP_MAX] = reduce,
    [CR_OP_SUM_SQUARES] = reduce,
    [CR_OP_CAST] = cast,
    [CR_OP_SLICE] = move,
    [CR_OP_CONCAT] = concat,
    [CR_OP_PERMUTE] = move,
    [CR_OP_PAD] = move,
    [CR_OP_ROLL] = move,
    [CR_OP_FILL] = fill,
    [CR_OP_CONV2D] = conv2d,
    [CR_OP_RESIZE] = resize,
    [CR_OP_MS_DEFORM_ATTN] = ms_deform_attn,
    [CR_OP_ARGMAX] = select_largest,
    [CR_OP_TOPK] = select_largest,
    [CR_OP_LINEAR_FUSED] = linear_fused,
    [CR_OP_LINEAR_CROSS_ENTROPY] = cross_entropy,
    [CR_OP_ADAMW_STEP] = adamw_step,
    [CR_OP_GRAD_NORM] = grad_norm,
    [CR_OP_QUANTIZE] = quantize,
    [CR_OP_DEQUANTIZE] = dequantize,
};

bool cr_case_get(struct cr_case *c, enum cr_op op, int index)
{
    return (int)op > 0 && (int)op < CR_OP_COUNT && index >= 0 && makers[op](c, op, index);
}
