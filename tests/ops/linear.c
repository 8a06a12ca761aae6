/* SPDX-License-Identifier: MIT */
/* Products with weights of every type against the reference, pairwise over the extents and types
 * that have to work. */
#include "guarded.h"

static const int64_t rows[] = {1, 2, 3, 16, 17, 33, 129};
static const int64_t columns[] = {1, 3, 63, 64, 65, 160};
static const int64_t depths[] = {1, 31, 48, 64, 65, 90, 96, 128, 1000, 4096};

/* Every number of rows with every depth; the others so that all pairs occur, which is counted. */
static void test_pairs(void **state)
{
    (void)state;
    bool with_columns[COUNT(columns)][CR_WEIGHTS_COUNT] = {{false}};
    for (size_t m = 0; m < COUNT(rows); m++)
        for (size_t k = 0; k < COUNT(depths); k++) {
            size_t n = (m + k) % COUNT(columns), weights = (m + 2 * k) % CR_WEIGHTS_COUNT;
            struct cr_case c;
            cr_case_linear(&c,
                           &(struct cr_linear_case){.m = rows[m],
                                                    .n = columns[n],
                                                    .k = depths[k],
                                                    .weights = (enum cr_weights)weights,
                                                    .bias = (m + k / 2) % 2 == 0},
                           m * 100 + k);
            check_case(&c);
            with_columns[n][weights] = true;
        }
    for (size_t n = 0; n < COUNT(columns); n++)
        for (size_t weights = 0; weights < CR_WEIGHTS_COUNT; weights++)
            assert_true(with_columns[n][weights]);
}

/* 0..4 branches, with scales of every kind, in all activations. */
static void test_fused(void **state)
{
    (void)state;
    static const int64_t depth[] = {31, 64, 128, 90, 96}, ranks[] = {1, 8, 33, 64};
    for (int i = 0; i < 5 * 4 * 3; i++) {
        struct cr_case c;
        struct cr_linear_case shape = {
            .m = rows[i % 7],
            .n = columns[i % 6],
            .k = depth[i / 2 % 5],
            .weights = (enum cr_weights)(i % CR_WEIGHTS_COUNT),
            .bias = i % 3 == 0,
            .activation = (enum cr_activation)(i / 3 % 5),
            .residual = i % 5 < 3,
            .branches = i % 5,
            .scales = (enum cr_scales)(i / 5 % 4),
            .branch_weights = (enum cr_weights)(i / 4 % CR_WEIGHTS_COUNT),
            .rank = ranks[i / 7 % 4],
            .source = i % 2 == 0 ? 48 : 0,
        };
        cr_case_linear(&c, &shape, 1000 + (uint64_t)i);
        check_case(&c);
    }
}

/* Matrices of both types, transposed or not, alone and in batches that are broadcast. */
static void test_matmul(void **state)
{
    (void)state;
    static const int64_t m[] = {1, 2, 17, 64, 129}, n[] = {1, 33, 64, 160}, k[] = {1, 31, 64, 300};
    static const int64_t leads[][2][2] = {
        {{1, 1}, {1, 1}}, {{2, 3}, {2, 3}}, {{1, 3}, {2, 1}}, {{2, 1}, {1, 1}}};
    for (int i = 0; i < 80; i++) {
        struct cr_case c;
        bool ta = i % 2 != 0, tb = i / 2 % 2 != 0;
        const int64_t(*lead)[2] = leads[i / 4 % 4];
        int64_t height = m[i % 5], width = n[i / 5 % 4], depth = k[(i / 3 + i / 20) % 4];
        const int64_t a[4] = {lead[0][0], lead[0][1], ta ? depth : height, ta ? height : depth};
        const int64_t b[4] = {lead[1][0], lead[1][1], tb ? width : depth, tb ? depth : width};
        const int64_t y[4] = {a[0] > b[0] ? a[0] : b[0], a[1] > b[1] ? a[1] : b[1], height, width};
        cr_case_init(&c, CR_OP_MATMUL, (uint64_t)i,
                     "[%lld, %lld, %lld, %lld] by [%lld, %lld, ..]%s%s", (long long)a[0],
                     (long long)a[1], (long long)a[2], (long long)a[3], (long long)b[0],
                     (long long)b[1], ta ? ", a transposed" : "", tb ? ", b transposed" : "");
        cr_case_in(&c, i % 3 == 1 ? CR_DTYPE_F16 : CR_DTYPE_F32, 4, a, CR_FILL_NORMAL);
        cr_case_in(&c, i / 3 % 3 == 1 ? CR_DTYPE_F16 : CR_DTYPE_F32, 4, b, CR_FILL_NORMAL);
        cr_case_out(&c, CR_DTYPE_F32, 4, y, CR_FILL_ZERO);
        c.call.ints[0] = ta;
        c.call.ints[1] = tb;
        c.call.reals[0] = i % 5 == 0 ? -0.125 : 1;
        check_case(&c);
    }
}

static void test_many_rows(void **state)
{
    (void)state;
    struct cr_case c;
    cr_case_linear(&c, &(struct cr_linear_case){.m = 70001, .n = 3, .k = 8}, 1);
    check_case(&c);
    cr_case_linear(
        &c, &(struct cr_linear_case){.m = 2, .n = 70001, .k = 32, .weights = CR_WEIGHTS_NF4}, 2);
    check_case(&c);
}

/* Nothing to do, and nothing to sum over: y = bias. */
static void test_empty(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{0, 5, 7}, {3, 0, 7}, {3, 5, 0}, {40, 5, 0}};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int weights = 0; weights < CR_WEIGHTS_COUNT; weights++) {
            struct cr_case c;
            struct cr_linear_case shape = {.m = shapes[i][0],
                                           .n = shapes[i][1],
                                           .k = shapes[i][2],
                                           .weights = (enum cr_weights)weights,
                                           .bias = true};
            cr_case_linear(&c, &shape, 1);
            check_case(&c);
            shape.residual = true;
            cr_case_linear(&c, &shape, 1);
            check_case(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),  cmocka_unit_test(test_fused),
        cmocka_unit_test(test_matmul), cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
