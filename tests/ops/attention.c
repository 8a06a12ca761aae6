/* SPDX-License-Identifier: MIT */
/* Attention and deformable attention against the reference, pairwise over what they have to take.
 */
#include "guarded.h"

static const int64_t sizes[] = {8, 16, 40, 64, 80, 128, 256};
static const int64_t queries[] = {1, 7, 65};
static const int64_t keys[] = {1, 8, 33, 1226};

/* Every head size with every number of keys; the options so that each meets each. */
static void test_pairs(void **state)
{
    (void)state;
    bool with_queries[COUNT(queries)][COUNT(keys)] = {{false}};
    int index = 0;
    for (size_t d = 0; d < COUNT(sizes); d++)
        for (size_t k = 0; k < COUNT(keys); k++, index++) {
            struct cr_case c;
            size_t q = (d + k) % COUNT(queries);
            struct cr_attention_case shape = {
                .b = 1 + index % 2,
                .heads = index % 3 == 0 ? 2 : 4,
                .kv_heads = index % 3 == 2 ? 1 : 2,
                .queries = queries[q],
                .keys = keys[k],
                .d = sizes[d],
                .half = index % 2 == 0,
                .causal = index / 2 % 2 == 0,
                .lengths = index / 3 % 3 == 0,
                .mask = index / 4 % 3 == 1,
                .bias = index / 5 % 3 == 1,
                .rows = index / 2 % 4 == 3,
            };
            cr_case_attention(&c, &shape, 100 + (uint64_t)index);
            check_case(&c);
            with_queries[q][k] = true;
        }
    for (size_t q = 0; q < COUNT(queries); q++)
        for (size_t k = 0; k < COUNT(keys); k++)
            assert_true(with_queries[q][k]);
}

/* All 64 sets of options, on one odd shape, for few and for many queries. */
static void test_options(void **state)
{
    (void)state;
    for (int options = 0; options < 128; options++) {
        struct cr_case c;
        struct cr_attention_case shape = {
            .b = 2,
            .heads = 6,
            .kv_heads = 3,
            .queries = (options & 64) != 0 ? 19 : 2,
            .keys = 37,
            .d = 20,
            .half = (options & 1) != 0,
            .causal = (options & 2) != 0,
            .lengths = (options & 4) != 0,
            .mask = (options & 8) != 0,
            .bias = (options & 16) != 0,
            .rows = (options & 32) != 0,
        };
        cr_case_attention(&c, &shape, 200 + (uint64_t)options);
        check_case(&c);
    }
}

/* Heads as the windows of Swin and the decoder of Mask2Former have them: what fills tiles and
 * blocks of keys exactly, and what leaves a rest. */
static void test_windows(void **state)
{
    (void)state;
    static const struct cr_attention_case shapes[] = {
        {3, 2, 2, 144, 144, 32, .mask = true, .bias = true},
        {2, 3, 3, 49, 49, 32, .bias = true},
        {1, 2, 2, 100, 576, 32, .mask = true},
        {1, 2, 2, 169, 193, 32, .bias = true, .half = true},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct cr_case c;
        cr_case_attention(&c, &shapes[i], 400 + i);
        check_case(&c);
    }
}

/* Queries that see nothing give 0: by causality, by length, by mask, by rows. */
static void test_nothing_seen(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++)
        for (int many = 0; many < 2; many++) {
            struct cr_case c;
            struct cr_attention_case shape = {
                .b = 1,
                .heads = 2,
                .kv_heads = 2,
                .queries = many ? 33 : 1,
                .keys = 9,
                .d = 16,
                .causal = way == 0,
                .lengths = way == 1,
                .mask = way == 2,
                .rows = way == 3,
            };
            cr_case_attention(&c, &shape, 1);
            assert_int_equal(c.result, 0);
            if (way == 0)
                c.call.ints[1] = -10; /* the first ten queries, or all */
            if (way == 1)
                memset(c.call.in[3].memory, 0, cr_case_bytes(&c.call.in[3]));
            if (way == 2)
                memset(c.call.in[4].memory, 0, cr_case_bytes(&c.call.in[4]));
            if (way == 3)
                memset(c.call.in[6].memory, 0xFF, cr_case_bytes(&c.call.in[6]));
            check_case_within(&c, way == 0 ? 1e-5 : 0);
        }
}

/* Masks and biases of every broadcast shape. */
static void test_broadcast(void **state)
{
    (void)state;
    for (int shape = 0; shape < 8; shape++) {
        struct cr_case c;
        const int64_t b = 2, h = 3, q = 5, k = 11;
        const int64_t extents[4] = {(shape & 1) != 0 ? b : 1, (shape & 2) != 0 ? h : 1,
                                    (shape & 4) != 0 ? q : 1, k};
        cr_case_init(&c, CR_OP_ATTENTION, 300, "mask and bias [%lld, %lld, %lld, %lld]",
                     (long long)extents[0], (long long)extents[1], (long long)extents[2],
                     (long long)k);
        for (int i = 0; i < 3; i++)
            cr_case_in(&c, CR_DTYPE_F32, 4, (int64_t[]){b, h, i == 0 ? q : k, 24}, CR_FILL_NORMAL);
        cr_case_absent(&c);
        uint8_t *mask = cr_case_in(&c, CR_DTYPE_U8, 4, extents, CR_FILL_ZERO);
        for (int64_t i = 0; i < extents[0] * extents[1] * extents[2] * k; i++)
            mask[i] = cr_case_uniform(&c.seed) < 0.6;
        cr_case_in(&c, CR_DTYPE_F32, 4, extents, CR_FILL_NORMAL);
        cr_case_absent(&c);
        cr_case_out(&c, CR_DTYPE_F32, 4, (int64_t[]){b, h, q, 24}, CR_FILL_ZERO);
        c.call.reals[0] = 0.3f;
        check_case(&c);
    }
}

static void test_many_rows(void **state)
{
    (void)state;
    struct cr_case c;
    cr_case_attention(&c, &(struct cr_attention_case){1, 1, 1, 70001, 3, 8}, 1);
    check_case(&c);
    cr_case_attention(&c, &(struct cr_attention_case){257, 258, 129, 1, 2, 8, .half = true}, 2);
    check_case(&c);
}

/* Scores far apart and far out: e^score alone would overflow. */
static void test_large_scores(void **state)
{
    (void)state;
    for (int64_t q = 1; q <= 33; q += 32) {
        struct cr_case c;
        cr_case_attention(&c, &(struct cr_attention_case){1, 2, 1, q, 150, 32, .bias = true}, 5);
        float *bias = c.call.in[5].memory;
        for (int64_t i = 0; i < 2 * q * 150; i++)
            bias[i] = bias[i] * 30 + (i % 2 == 0 ? 500 : -1000);
        check_case(&c);
    }
}

/* A bias of minus infinity hides a key as a mask does, as long as another one is seen. */
static void test_infinite_bias(void **state)
{
    (void)state;
    for (int64_t q = 1; q <= 33; q += 32) {
        struct cr_case c;
        cr_case_attention(&c, &(struct cr_attention_case){1, 2, 1, q, 300, 32, .bias = true}, 6);
        float *bias = c.call.in[5].memory;
        for (int64_t i = 0; i < 2 * q * 300; i++)
            bias[i] = i % 300 != 290 ? -strtof("inf", NULL) : bias[i]; /* whole tiles of nothing */
        check_case(&c);
    }
}

static void test_empty(void **state)
{
    (void)state;
    static const struct cr_attention_case shapes[] = {
        {0, 2, 1, 3, 4, 8}, {1, 2, 1, 0, 4, 8}, {1, 2, 1, 3, 0, 8}, {1, 2, 1, 40, 0, 8}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct cr_case c;
        cr_case_attention(&c, &shapes[i], 1);
        check_case(&c);
    }
}

/* ---- Deformable attention ---- */

static void deformable(int64_t batch, int64_t rows, int64_t heads, int64_t d, int64_t points,
                       uint64_t seed)
{
    struct cr_case c;
    const int64_t cells = 6 * 9 + 3 * 5 + 1;
    cr_case_init(&c, CR_OP_MS_DEFORM_ATTN, seed, "%lld queries, %lld heads of %lld, %lld points",
                 (long long)rows, (long long)heads, (long long)d, (long long)points);
    cr_case_in(&c, CR_DTYPE_F32, 4, (int64_t[]){batch, cells, heads, d}, CR_FILL_NORMAL);
    float *places = cr_case_in(&c, CR_DTYPE_F32, 4, (int64_t[]){batch * rows, heads, 3 * points, 2},
                               CR_FILL_UNIFORM);
    for (int64_t i = 0; i < batch * rows * heads * 3 * points * 2; i++)
        places[i] = i % 17 == 0 ? (float)(i % 3) * 0.5f : places[i] * 1.6f - 0.3f;
    cr_case_in(&c, CR_DTYPE_F32, 3, (int64_t[]){batch * rows, heads, 3 * points}, CR_FILL_NORMAL);
    cr_case_out(&c, CR_DTYPE_F32, 3, (int64_t[]){batch, rows, heads * d}, CR_FILL_ZERO);
    const int64_t ints[] = {3, points, 6, 9, 3, 5, 1, 1};
    memcpy(c.call.ints, ints, sizeof(ints));
    check_case(&c);
}

static void test_deformable(void **state)
{
    (void)state;
    static const int64_t widths[] = {1, 3, 8, 16, 31, 32, 33, 64};
    for (size_t i = 0; i < COUNT(widths); i++)
        deformable(1 + (int64_t)i % 2, 1 + 7 * (int64_t)i, 1 + (int64_t)i % 3, widths[i],
                   1 + (int64_t)i % 4, i);
    deformable(1, 70001, 1, 4, 1, 50);
}

/* Places that are no number or infinitely far: outside, so 0; and with a NaN the result is NaN. */
static void test_far_places(void **state)
{
    (void)state;
    static const char *const far[] = {"inf", "-inf", "1e30", "-1e30", "3e9", "nan"};
    for (size_t i = 0; i < COUNT(far); i++) {
        struct cr_case c;
        cr_case_init(&c, CR_OP_MS_DEFORM_ATTN, 1, "a place at %s", far[i]);
        cr_case_in(&c, CR_DTYPE_F32, 4, (int64_t[]){1, 12, 1, 17}, CR_FILL_NORMAL);
        float *places = cr_case_in(&c, CR_DTYPE_F32, 4, (int64_t[]){3, 1, 2, 2}, CR_FILL_UNIFORM);
        places[5] = strtof(far[i], NULL);
        cr_case_in(&c, CR_DTYPE_F32, 3, (int64_t[]){3, 1, 2}, CR_FILL_NORMAL);
        cr_case_out(&c, CR_DTYPE_F32, 3, (int64_t[]){1, 3, 17}, CR_FILL_ZERO);
        const int64_t ints[] = {1, 2, 3, 4};
        memcpy(c.call.ints, ints, sizeof(ints));
        check_case(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),        cmocka_unit_test(test_options),
        cmocka_unit_test(test_windows),      cmocka_unit_test(test_nothing_seen),
        cmocka_unit_test(test_broadcast),    cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_large_scores), cmocka_unit_test(test_infinite_bias),
        cmocka_unit_test(test_empty),        cmocka_unit_test(test_deformable),
        cmocka_unit_test(test_far_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
