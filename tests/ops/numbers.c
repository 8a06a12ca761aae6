/* SPDX-License-Identifier: MIT */
/* NaN, infinities, zeros of both signs and denormals, as crayon/ops.h has them, at every level. */
#include <float.h>
#include <math.h>

#include "guarded.h"

static const float special[] = {
    NAN,     INFINITY, -INFINITY, 0.0f,    -0.0f, 1e-40f, -1e-40f, FLT_TRUE_MIN, -FLT_TRUE_MIN,
    FLT_MIN, FLT_MAX,  -FLT_MAX,  1,       -1,    88.5f,  -88.5f,  89,           -89,
    103,     -103,     104.5f,    -104.5f, 1000,  -1000,  1e30f,   -1e30f,       0.5f,
    -5.75f,  6,        -9,        -13,     1e-8f, -1e-8f, 20,      -20,          3e-39f,
};

/* All of them in a row, at every place of a vector. */
static float *special_input(struct cr_case *c, int shift)
{
    const int64_t count = (int64_t)COUNT(special) + shift;
    float *x = cr_case_in(c, CR_DTYPE_F32, 1, &count, CR_FILL_NORMAL);
    memcpy(x + shift, special, sizeof(special));
    return x;
}

static void test_unary(void **state)
{
    (void)state;
    for (int op = CR_OP_SCALE; op <= CR_OP_SILU; op++)
        for (int shift = 0; shift < 17; shift++) {
            struct cr_case c;
            cr_case_init(&c, (enum cr_op)op, 1, "special numbers from %d on", shift);
            special_input(&c, shift);
            cr_case_out(&c, CR_DTYPE_F32, 1, c.call.in[0].shape, CR_FILL_ZERO);
            c.call.reals[0] = -0.5;
            if (op == CR_OP_SCALE || op == CR_OP_RELU)
                check_each(&c, 0x1p-24, 0.5 * (double)FLT_TRUE_MIN);
            else if (op == CR_OP_GELU) /* erf is right to 2e-7, not to a share of itself */
                check_each(&c, 4e-6, 2e-6);
            else /* e^89 is beyond f32, so that what is below e^-89 becomes 0 */
                check_each(&c, 4e-6, 1e-36);
        }
}

static void test_binary(void **state)
{
    (void)state;
    static const enum cr_op ops[] = {CR_OP_ADD, CR_OP_MUL, CR_OP_SILU_MUL};
    for (size_t i = 0; i < COUNT(ops); i++) {
        struct cr_case c;
        const int64_t n = COUNT(special), shape[2] = {n, n};
        cr_case_init(&c, ops[i], 1, "special numbers in pairs");
        float *a = cr_case_in(&c, CR_DTYPE_F32, 2, shape, CR_FILL_ZERO);
        float *b = cr_case_in(&c, CR_DTYPE_F32, 2, shape, CR_FILL_ZERO);
        for (int64_t j = 0; j < n * n; j++) {
            a[j] = special[j / n];
            b[j] = special[j % n];
            /* silu(a) b underflows and overflows on the way, where the double does not */
            if (ops[i] == CR_OP_SILU_MUL && (fabsf(a[j]) < 1e-6f || fabsf(b[j]) > 1e6f))
                b[j] = 1;
        }
        cr_case_out(&c, CR_DTYPE_F32, 2, shape, CR_FILL_ZERO);
        if (ops[i] == CR_OP_SILU_MUL)
            check_each(&c, 4e-6, FLT_MIN * 1e6);
        else
            check_each(&c, 0x1p-24, 0.5 * (double)FLT_TRUE_MIN);
    }
}

/* One special number at every place of a row. */
static void test_reductions(void **state)
{
    (void)state;
    static const float numbers[] = {NAN, INFINITY, -INFINITY, 1e-40f, -0.0f};
    for (int op = CR_OP_SOFTMAX; op <= CR_OP_SUM_SQUARES; op++)
        for (size_t i = 0; i < COUNT(numbers); i++)
            for (int64_t k = 1; k <= 70; k += 23) {
                struct cr_case c;
                bool same = op == CR_OP_SOFTMAX || op == CR_OP_LOG_SOFTMAX;
                cr_case_init(&c, (enum cr_op)op, 1, "%g at every place of %lld", (double)numbers[i],
                             (long long)k);
                float *x = cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){k, k}, CR_FILL_UNIFORM);
                for (int64_t row = 0; row < k; row++)
                    x[row * k + row] = numbers[i];
                cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){k, same ? k : 1}, CR_FILL_ZERO);
                /* the sign of a sum of zeros is nobody's business */
                if (k > 1 || numbers[i] != 0)
                    check_each(&c, 1e-5, FLT_TRUE_MIN);
                else
                    cr_case_finish(&c);
            }
}

/* Two infinities and a NaN; nothing but minus infinity; sums of denormals. */
static void test_rows(void **state)
{
    (void)state;
    static const float firsts[][2] = {{INFINITY, INFINITY},
                                      {INFINITY, -INFINITY},
                                      {NAN, INFINITY},
                                      {INFINITY, NAN},
                                      {-INFINITY, NAN}};
    for (int op = CR_OP_SOFTMAX; op <= CR_OP_SUM_SQUARES; op++)
        for (size_t i = 0; i < 7; i++) {
            struct cr_case c;
            bool same = op == CR_OP_SOFTMAX || op == CR_OP_LOG_SOFTMAX;
            const int64_t k = 37;
            cr_case_init(&c, (enum cr_op)op, 1, "row %zu", i);
            float *x = cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){1, k}, CR_FILL_UNIFORM);
            for (int j = 0; j < 2 && i < COUNT(firsts); j++)
                x[j == 0 ? 3 : 20] = firsts[i][j];
            for (int64_t j = 0; j < k && i >= COUNT(firsts); j++)
                x[j] = i == 5 ? -INFINITY : 1e-42f;
            cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){1, same ? k : 1}, CR_FILL_ZERO);
            if (op != CR_OP_SUM_SQUARES || i < 6)
                check_each(&c, 1e-5, FLT_TRUE_MIN);
            else
                cr_case_finish(&c);
        }
}

static void test_norms(void **state)
{
    (void)state;
    static const float numbers[] = {NAN, INFINITY, -INFINITY};
    for (int op = CR_OP_RMS_NORM; op <= CR_OP_GROUP_NORM; op++)
        for (size_t i = 0; i < COUNT(numbers); i++)
            for (int64_t at = 0; at < 40; at += 13) {
                struct cr_case c;
                const int64_t shape[3] = {3, 4, 40};
                cr_case_init(&c, (enum cr_op)op, 1, "%g at %lld", (double)numbers[i],
                             (long long)at);
                float *x = cr_case_in(&c, CR_DTYPE_F32, 3, shape, CR_FILL_NORMAL);
                x[160 + at] = numbers[i];
                cr_case_absent(&c);
                if (op != CR_OP_RMS_NORM)
                    cr_case_absent(&c);
                cr_case_out(&c, CR_DTYPE_F32, 3, shape, CR_FILL_ZERO);
                c.call.ints[0] = 2;
                c.call.reals[0] = 1e-5f;
                check_each(&c, 1e-4, 1e-6);
            }
}

/* ---- Products ---- */

/* A NaN or an infinity in x or W reaches its row or its column and nothing else. */
static void test_linear(void **state)
{
    (void)state;
    static const float numbers[] = {NAN, INFINITY, -INFINITY};
    static const int64_t m[] = {1, 5, 40};
    for (int i = 0; i < 3 * 3 * CR_WEIGHTS_COUNT; i++) {
        struct cr_case c;
        struct cr_linear_case shape = {.m = m[i % 3],
                                       .n = 37,
                                       .k = i % 2 == 0 ? 128 : 65,
                                       .weights = (enum cr_weights)(i / 9),
                                       .bias = i % 2 == 0};
        cr_case_linear(&c, &shape, (uint64_t)i);
        float *x = c.call.in[0].memory;
        x[(shape.m / 2) * shape.k + 33] = numbers[i / 3 % 3];
        if (shape.weights == CR_WEIGHTS_F32)
            ((float *)c.call.in[1].memory)[5 * shape.k + 2] = numbers[(i + 1) % 3];
        if (shape.weights == CR_WEIGHTS_F16)
            ((uint16_t *)c.call.in[1].memory)[5 * shape.k + 2] = i % 2 == 0 ? 0x7C00 : 0xFE00;
        check_each(&c, 1e-4, 1e-5);
    }
}

/* Denormal inputs give denormal results: nothing is flushed. */
static void test_denormal_products(void **state)
{
    (void)state;
    if (test_vulkan() != NULL)
        skip_because("a GPU may take denormal numbers for 0");
    static const int64_t m[] = {1, 3, 33};
    for (int i = 0; i < 3 * CR_WEIGHTS_COUNT; i++) {
        struct cr_case c;
        struct cr_linear_case shape = {
            .m = m[i % 3], .n = 65, .k = 64, .weights = (enum cr_weights)(i / 3)};
        cr_case_linear(&c, &shape, (uint64_t)i);
        float *x = c.call.in[0].memory;
        for (int64_t j = 0; j < shape.m * shape.k; j++)
            x[j] = x[j] * 2e-39f;
        check_case_within(&c, 1e-3);
    }
}

static void test_matmul(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct cr_case c;
        bool ta = (i & 1) != 0, tb = (i & 2) != 0;
        const int64_t m = (i & 4) != 0 ? 40 : 3, n = 35, k = 50;
        const int64_t a[2] = {ta ? k : m, ta ? m : k}, b[2] = {tb ? n : k, tb ? k : n};
        cr_case_init(&c, CR_OP_MATMUL, 1, "NaN in a, infinity in b, %d", i);
        float *numbers = cr_case_in(&c, CR_DTYPE_F32, 2, a, CR_FILL_NORMAL);
        numbers[7] = NAN;
        numbers = cr_case_in(&c, CR_DTYPE_F32, 2, b, CR_FILL_NORMAL);
        numbers[9] = INFINITY;
        cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){m, n}, CR_FILL_ZERO);
        c.call.ints[0] = ta;
        c.call.ints[1] = tb;
        c.call.reals[0] = 1;
        check_each(&c, 1e-4, 1e-5);
    }
}

/* Rows that every branch skips have the bits of a call without branches, whatever is in A, in the
 * source, or in B. */
static void test_skipped_rows(void **state)
{
    (void)state;
    const struct level *levels;
    size_t count = test_levels(&levels);
    static const int64_t m[] = {1, 2, 7, 16, 17, 40};
    for (size_t level = 0; level < count; level++)
        for (int i = 0; i < 6 * CR_WEIGHTS_COUNT; i++) {
            if (test_vulkan() != NULL && ((size_t)i + level) % 5 != 0)
                continue; /* all would take long to compile */
            const struct table *table = level_table(level);
            struct cr_case with, without;
            struct cr_linear_case shape = {.m = m[i % 6],
                                           .n = 70,
                                           .k = 64,
                                           .bias = true,
                                           .weights = (enum cr_weights)(i / 6),
                                           .activation = (enum cr_activation)(i % 5),
                                           .residual = true,
                                           .branches = 1 + i % 4,
                                           .rank = 8,
                                           .scales = CR_SCALES_ALL,
                                           .source = 40};
            cr_case_linear(&with, &shape, 7);
            shape.branches = 0;
            cr_case_linear(&without, &shape, 7);
            for (int b = 0; b < 1 + i % 4; b++) {
                float *scale = with.call.in[7 + 4 * b].memory;
                for (int64_t row = 0; row < shape.m; row++)
                    scale[row] = row % 3 == 0 ? 0 : row % 3 == 1 ? -0.0f : scale[row];
                ((float *)with.call.in[4 + 4 * b].memory)[11] = NAN;
                ((float *)with.call.in[5 + 4 * b].memory)[3] = INFINITY;
            }
            float *y = malloc((size_t)(shape.m * 70) * sizeof(float));
            float *expected = malloc((size_t)(shape.m * 70) * sizeof(float));
            run_guarded(table, &with, 0, y);
            run_guarded(table, &without, 0, expected);
            for (int64_t row = 0; row < shape.m; row++)
                if (row % 3 != 2 &&
                    memcmp(y + row * 70, expected + row * 70, 70 * sizeof(float)) != 0)
                    fail_msg("%s by %s: row %lld is not skipped", with.name, table->name,
                             (long long)row);
            free(y);
            free(expected);
            cr_case_finish(&with);
            cr_case_finish(&without);
        }
}

/* ---- Attention ---- */

/* A NaN in a key or value reaches the queries that see it; hidden ones reach nobody. */
static void test_attention(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 2 * 2 * 4; i++) {
        struct cr_case c;
        bool values = (i & 1) != 0, many = (i & 2) != 0, half = (i & 4) != 0;
        int way = i / 8;
        struct cr_attention_case shape = {.b = 1,
                                          .heads = 2,
                                          .kv_heads = 1,
                                          .queries = many ? 35 : 2,
                                          .keys = 70,
                                          .d = 32,
                                          .half = half,
                                          .causal = way == 0,
                                          .lengths = way == 1,
                                          .mask = way == 2,
                                          .rows = way == 3};
        cr_case_attention(&c, &shape, (uint64_t)i);
        c.call.ints[1] = 40;
        if (way == 1)
            *(int32_t *)c.call.in[3].memory = 41;
        const int64_t poisoned[] = {41, 50, 69};
        for (size_t j = 0; j < COUNT(poisoned); j++) {
            int64_t at = poisoned[j] * 32 + 5;
            struct cr_operand *to = &c.call.in[values ? 2 : 1];
            if (half)
                ((uint16_t *)to->memory)[at] = j == 0 ? 0x7E00 : 0x7C00;
            else
                ((float *)to->memory)[at] = j == 0 ? NAN : INFINITY;
        }
        check_each(&c, 1e-4, 1e-5);
    }
}

static void test_attention_queries(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct cr_case c;
        struct cr_attention_case shape = {
            .b = 1, .heads = 2, .kv_heads = 2, .queries = i < 2 ? 2 : 35, .keys = 33, .d = 24};
        cr_case_attention(&c, &shape, (uint64_t)i);
        ((float *)c.call.in[0].memory)[24 + 3] = i % 2 == 0 ? NAN : INFINITY;
        check_each(&c, 1e-4, 1e-5);
    }
}

/* ---- Casts ---- */

/* All halves to f32 and back, and what lies between two halves. */
static void test_halves(void **state)
{
    (void)state;
    struct cr_case c;
    const int64_t count = 65536, four = 4 * count;
    cr_case_init(&c, CR_OP_CAST, 1, "all halves");
    uint16_t *halves = cr_case_in(&c, CR_DTYPE_F16, 1, &count, CR_FILL_ZERO);
    for (int64_t i = 0; i < count; i++)
        halves[i] = (uint16_t)i;
    cr_case_out(&c, CR_DTYPE_F32, 1, &count, CR_FILL_ZERO);
    check_case(&c);
    cr_case_init(&c, CR_OP_CAST, 1, "around all halves");
    float *x = cr_case_in(&c, CR_DTYPE_F32, 1, &four, CR_FILL_ZERO);
    for (int64_t i = 0; i < count; i++) {
        float value = (float)cr_half_number((uint16_t)i);
        float next = (float)cr_half_number((uint16_t)(i ^ 1));
        x[4 * i] = value;
        x[4 * i + 1] = (value + next) / 2; /* a tie */
        x[4 * i + 2] = nextafterf(x[4 * i + 1], INFINITY);
        x[4 * i + 3] = nextafterf(x[4 * i + 1], -INFINITY);
    }
    cr_case_out(&c, CR_DTYPE_F16, 1, &four, CR_FILL_ZERO);
    check_case(&c);
}

static void test_casts(void **state)
{
    (void)state;
    static const float edges[] = {
        0.99f,         -0.99f,        1.5f,  -1.5f,          254.9f,         255,   255.5f, 256,
        2147483520.0f, 2147483648.0f, 3e9f,  -2147483648.0f, -2147483904.0f, -3e9f, 65504,  65519,
        65520,         -65520,        1e-8f, 16777216};
    static const enum cr_dtype to[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_I32, CR_DTYPE_U8};
    for (size_t i = 0; i < COUNT(to); i++)
        for (int shift = 0; shift < 17; shift++) {
            struct cr_case c;
            const int64_t count = COUNT(edges) + COUNT(special) + shift;
            cr_case_init(&c, CR_OP_CAST, 1, "edges to %s, from %d on", cr_dtype_name(to[i]), shift);
            float *x = cr_case_in(&c, CR_DTYPE_F32, 1, &count, CR_FILL_NORMAL);
            memcpy(x + shift, special, sizeof(special));
            memcpy(x + shift + COUNT(special), edges, sizeof(edges));
            cr_case_out(&c, to[i], 1, &count, CR_FILL_ZERO);
            check_case(&c);
        }
}

/* Whole numbers that f32 cannot hold are rounded; those beyond the type stop at its ends. */
static void test_integer_casts(void **state)
{
    (void)state;
    static const int32_t numbers[] = {
        0,        1,         -1,        255,       256,      -256,       65519, 65520, -65521,
        16777217, -16777219, INT32_MAX, INT32_MIN, 33554435, 2147483584, 2049,  2051,  4098};
    static const enum cr_dtype to[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_I32, CR_DTYPE_U8};
    for (size_t i = 0; i < COUNT(to); i++) {
        struct cr_case c;
        const int64_t count = 3 * COUNT(numbers);
        cr_case_init(&c, CR_OP_CAST, 1, "whole numbers to %s", cr_dtype_name(to[i]));
        int32_t *x = cr_case_in(&c, CR_DTYPE_I32, 1, &count, CR_FILL_ZERO);
        for (int64_t j = 0; j < count; j++)
            x[j] = numbers[j % (int64_t)COUNT(numbers)];
        cr_case_out(&c, to[i], 1, &count, CR_FILL_ZERO);
        check_case(&c);
    }
}

/* Moving keeps every bit, that of a NaN too. */
static void test_moves(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, COUNT(special)};
    static const enum cr_op ops[] = {CR_OP_SLICE, CR_OP_CONCAT,      CR_OP_PERMUTE, CR_OP_PAD,
                                     CR_OP_ROLL,  CR_OP_GATHER_ROWS, CR_OP_CAST};
    const struct level *levels;
    size_t count = test_levels(&levels);
    for (size_t i = 0; i < COUNT(ops) * count; i++) {
        struct cr_case c;
        uint32_t got[3 * COUNT(special)];
        cr_case_init(&c, ops[i / count], 1, "special numbers");
        uint32_t *x = cr_case_in(&c, CR_DTYPE_F32, 2, shape, CR_FILL_ZERO);
        for (int row = 0; row < 3; row++)
            memcpy(x + row * shape[1], special, sizeof(special));
        x[1] = 0xFFC12345;
        x[2] = 0x7FE54321;
        if (ops[i / count] == CR_OP_GATHER_ROWS) {
            int32_t *rows = cr_case_in(&c, CR_DTYPE_I32, 1, shape, CR_FILL_ZERO);
            for (int32_t row = 0; row < 3; row++)
                rows[row] = row;
        }
        cr_case_out(&c, CR_DTYPE_F32, 2, shape, CR_FILL_ZERO);
        if (ops[i / count] == CR_OP_PERMUTE)
            c.call.ints[1] = 1;
        run_guarded(level_table(i % count), &c, 0, got);
        if (memcmp(got, x, sizeof(got)) != 0)
            fail_msg("%s by %s changes bits", cr_op_name(ops[i / count]), levels[i % count].name);
        cr_case_finish(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_denormal_products),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_skipped_rows),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_queries),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_integer_casts),
        cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
