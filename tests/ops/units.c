/* SPDX-License-Identifier: MIT */
/* What kernels move in units of their own: 16 bytes at once where addresses and extents allow it,
 * tiles, and words that several numbers share. Every case with its operands aligned, and not. */
#include "guarded.h"

static const enum cr_dtype dense[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_I32, CR_DTYPE_U8};

/* Bytes of all values; halves are never NaN, floats neither. */
static void any_input(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape)
{
    uint8_t *data = cr_case_in(c, dtype, rank, shape, CR_FILL_NORMAL);
    size_t bytes = cr_case_bytes(&c->call.in[c->call.inputs - 1]);
    for (size_t i = 0; i < bytes && (dtype == CR_DTYPE_I32 || dtype == CR_DTYPE_U8); i++)
        data[i] = (uint8_t)(i * 7 + i / 255 + (size_t)c->call.inputs * 3);
}

/* Make the case twice: checking finishes it. */
#define CHECK_BOTH(make, ...)                                                                      \
    do {                                                                                           \
        struct cr_case c;                                                                          \
        make(&c, __VA_ARGS__);                                                                     \
        check_case(&c);                                                                            \
        make(&c, __VA_ARGS__);                                                                     \
        check_case_aligned(&c);                                                                    \
    } while (0)

/* ---- Elements ---- */

static void make_binary(struct cr_case *c, enum cr_op op, int a_rank, const int64_t *a, int b_rank,
                        const int64_t *b)
{
    cr_case_init(c, op, 1, "a of rank %d, last %lld, b of rank %d", a_rank,
                 (long long)a[a_rank - 1], b_rank);
    cr_case_in(c, CR_DTYPE_F32, a_rank, a, CR_FILL_NORMAL);
    cr_case_in(c, CR_DTYPE_F32, b_rank, b, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, a_rank, a, CR_FILL_ZERO);
}

static void test_binary(void **state)
{
    (void)state;
    static const struct {
        int a_rank, b_rank;
        int64_t a[4], b[4];
    } cases[] = {
        {2, 2, {8, 64}, {8, 64}},
        {2, 2, {5, 7}, {5, 7}},
        {2, 1, {8, 64}, {64}},
        {2, 2, {8, 64}, {8, 1}},
        {2, 2, {8, 3}, {8, 1}},
        {2, 1, {9, 62}, {62}},
        {2, 0, {8, 63}, {0}},
        {4, 3, {2, 3, 4, 16}, {3, 1, 16}},
        {4, 4, {2, 3, 4, 16}, {2, 1, 1, 16}},
        {4, 4, {2, 3, 4, 16}, {1, 3, 1, 1}},
        {4, 4, {2, 6, 5, 4}, {2, 1, 5, 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK_BOTH(make_binary, CR_OP_ADD, cases[i].a_rank, cases[i].a, cases[i].b_rank,
                   cases[i].b);
        CHECK_BOTH(make_binary, CR_OP_MUL, cases[i].a_rank, cases[i].a, cases[i].b_rank,
                   cases[i].b);
        if (i < 2)
            CHECK_BOTH(make_binary, CR_OP_SILU_MUL, cases[i].a_rank, cases[i].a, cases[i].b_rank,
                       cases[i].b);
    }
}

static void make_unary(struct cr_case *c, enum cr_op op, int64_t count)
{
    cr_case_init(c, op, 1, "%lld elements", (long long)count);
    cr_case_in(c, CR_DTYPE_F32, 1, &count, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 1, &count, CR_FILL_ZERO);
    c->call.reals[0] = 1.7f;
}

static void make_fill(struct cr_case *c, enum cr_dtype dtype, int64_t count)
{
    cr_case_init(c, CR_OP_FILL, 1, "%lld of %s", (long long)count, cr_dtype_name(dtype));
    cr_case_out(c, dtype, 1, &count, CR_FILL_ZERO);
    c->call.reals[0] = 77.5;
}

static void make_cast(struct cr_case *c, enum cr_dtype from, enum cr_dtype to, int64_t count)
{
    cr_case_init(c, CR_OP_CAST, 1, "%lld of %s to %s", (long long)count, cr_dtype_name(from),
                 cr_dtype_name(to));
    any_input(c, from, 1, &count);
    cr_case_out(c, to, 1, &count, CR_FILL_ZERO);
}

/* Each rest of a word and of 16 bytes. */
static void test_counts(void **state)
{
    (void)state;
    for (int64_t count = 1; count <= 67; count += count < 19 ? 1 : 8) {
        CHECK_BOTH(make_unary, CR_OP_SCALE, count);
        CHECK_BOTH(make_unary, CR_OP_GELU, count);
        for (size_t i = 0; i < COUNT(dense); i++) {
            CHECK_BOTH(make_fill, dense[i], count);
            for (size_t j = 0; j < COUNT(dense) && count % 4 < 2; j++)
                CHECK_BOTH(make_cast, dense[i], dense[j], count);
        }
    }
}

/* More groups than a GPU takes along one axis, and a last one that is short. */
static void test_many_groups(void **state)
{
    (void)state;
    struct cr_case c;
    make_unary(&c, CR_OP_SCALE, 65536 * 128 + 5);
    check_case_aligned(&c);
}

/* ---- Layout ---- */

static void make_move(struct cr_case *c, enum cr_op op, enum cr_dtype dtype, const int64_t x[4],
                      const int64_t ints[4], const int64_t y[4])
{
    cr_case_init(c, op, 1, "%s, %lld of %lld, %lld of %lld", cr_dtype_name(dtype), (long long)y[2],
                 (long long)x[2], (long long)y[3], (long long)x[3]);
    any_input(c, dtype, 4, x);
    cr_case_out(c, dtype, 4, y, CR_FILL_ZERO);
    memcpy(c->call.ints, ints, 4 * sizeof(int64_t));
    c->call.reals[0] = 5;
}

/* Whole units of 16 bytes; whole words; neither. */
static void test_moves(void **state)
{
    (void)state;
    static const struct {
        enum cr_op op;
        int64_t x[4], ints[4], y[4];
    } cases[] = {
        {CR_OP_SLICE, {3, 4, 8, 64}, {1, 0, 0, 16}, {2, 4, 8, 32}},
        {CR_OP_SLICE, {3, 4, 8, 24}, {0, 1, 2, 4}, {3, 2, 5, 12}},
        {CR_OP_SLICE, {3, 4, 8, 23}, {0, 1, 2, 5}, {3, 3, 6, 13}},
        {CR_OP_SLICE, {1, 1, 9, 3}, {0, 0, 1, 0}, {1, 1, 7, 3}},
        {CR_OP_PAD, {2, 3, 4, 32}, {1, 0, -2, 16}, {3, 4, 5, 64}},
        {CR_OP_PAD, {2, 3, 4, 20}, {0, 2, 1, -4}, {2, 6, 6, 12}},
        {CR_OP_PAD, {2, 3, 4, 21}, {0, 0, 1, -3}, {2, 3, 6, 23}},
        {CR_OP_PAD, {1, 0, 4, 3}, {0, 2, 0, 0}, {1, 3, 4, 3}},
        {CR_OP_PAD, {1, 2, 3, 1}, {0, 1, 0, 2}, {1, 4, 3, 2}},
        {CR_OP_ROLL, {3, 4, 5, 48}, {2, 0, 4, 16}, {3, 4, 5, 48}},
        {CR_OP_ROLL, {3, 4, 5, 12}, {1, 3, 0, 8}, {3, 4, 5, 12}},
        {CR_OP_ROLL, {3, 4, 5, 11}, {0, 2, 0, 7}, {3, 4, 5, 11}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t d = 0; d < COUNT(dense); d++)
            CHECK_BOTH(make_move, cases[i].op, dense[d], cases[i].x, cases[i].ints, cases[i].y);
}

static void test_permutations(void **state)
{
    (void)state;
    static const int64_t extents[][4] = {{2, 36, 3, 40}, {4, 5, 33, 8}, {1, 64, 1, 31}};
    for (size_t s = 0; s < COUNT(extents); s++)
        for (int order = 0; order < 256; order++) {
            const int64_t axes[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
            int64_t y[4];
            unsigned seen = 0;
            for (int i = 0; i < 4; i++) {
                seen |= 1u << axes[i];
                y[i] = extents[s][axes[i]];
            }
            for (size_t d = 0; d < COUNT(dense) && seen == 15; d++)
                if (dense[d] != CR_DTYPE_I32)
                    CHECK_BOTH(make_move, CR_OP_PERMUTE, dense[d], extents[s], axes, y);
        }
}

static void make_concat(struct cr_case *c, enum cr_dtype dtype, int axis, const int64_t *pieces,
                        int count)
{
    int64_t shape[3] = {3, 2, 16}, total = 0;
    cr_case_init(c, CR_OP_CONCAT, 1, "%d of %s along axis %d, the first %lld", count,
                 cr_dtype_name(dtype), axis, (long long)pieces[0]);
    for (int i = 0; i < count; i++) {
        shape[axis] = pieces[i];
        total += pieces[i];
        any_input(c, dtype, 3, shape);
    }
    shape[axis] = total;
    cr_case_out(c, dtype, 3, shape, CR_FILL_ZERO);
    c->call.ints[0] = axis;
}

static void test_concat(void **state)
{
    (void)state;
    static const struct {
        int axis, count;
        int64_t pieces[16];
    } cases[] = {
        {2, 3, {16, 48, 32}}, {2, 3, {4, 8, 12}},
        {2, 4, {3, 5, 0, 1}}, {0, 2, {1, 3}},
        {1, 3, {0, 2, 0}},    {2, 16, {1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1, 1, 1, 1, 2}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t d = 0; d < COUNT(dense); d++)
            CHECK_BOTH(make_concat, dense[d], cases[i].axis, cases[i].pieces, cases[i].count);
}

/* ---- Rows ---- */

static void make_rows(struct cr_case *c, enum cr_op op, int64_t width)
{
    static const int32_t list[] = {6, 0, -1, 3, 5};
    const int64_t all[2] = {7, width}, some[2] = {5, width};
    cr_case_init(c, op, 1, "rows of %lld", (long long)width);
    if (op == CR_OP_GATHER_ROWS || op == CR_OP_EMBEDDING)
        cr_case_in(c, CR_DTYPE_F32, 2, all, CR_FILL_NORMAL);
    memcpy(cr_case_in(c, CR_DTYPE_I32, 1, some, CR_FILL_ZERO), list, sizeof(list));
    if (op == CR_OP_SCATTER_ROWS)
        cr_case_in(c, CR_DTYPE_F32, 2, some, CR_FILL_NORMAL);
    cr_case_out(c, CR_DTYPE_F32, 2, op == CR_OP_SCATTER_ROWS ? all : some, CR_FILL_NORMAL);
}

static void test_rows(void **state)
{
    (void)state;
    static const enum cr_op ops[] = {CR_OP_EMBEDDING, CR_OP_GATHER_ROWS, CR_OP_SCATTER_ROWS};
    for (size_t i = 0; i < COUNT(ops); i++)
        for (int64_t width = 60; width < 70; width += 2)
            CHECK_BOTH(make_rows, ops[i], width);
}

/* Positions that follow each other: with an odd d their halves share words. */
static void make_append(struct cr_case *c, enum cr_dtype dtype, int64_t d, bool shared)
{
    const int64_t x[4] = {2, 5, 3, d}, cache[4] = {shared ? 1 : 2, 3, 12, d};
    cr_case_init(c, CR_OP_KV_APPEND, 1, "d %lld to %s%s", (long long)d, cr_dtype_name(dtype),
                 shared ? ", shared" : "");
    cr_case_in(c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
    int32_t *at = cr_case_in(c, CR_DTYPE_I32, 2, x, CR_FILL_ZERO);
    for (int i = 0; i < 10; i++)
        at[i] = shared ? 11 - i : i % 5 + 2 + i / 5 * 3;
    cr_case_out(c, dtype, 4, cache, CR_FILL_NORMAL);
    c->call.ints[0] = shared;
}

static void test_append(void **state)
{
    (void)state;
    for (int64_t d = 1; d < 68; d += d < 5 ? 1 : 17)
        for (int i = 0; i < 4; i++)
            CHECK_BOTH(make_append, dense[i & 1], d, (i & 2) != 0);
}

static void make_dequantize(struct cr_case *c, enum cr_dtype from, enum cr_dtype to,
                            const int64_t shape[2])
{
    cr_case_init(c, CR_OP_DEQUANTIZE, 1, "[%lld, %lld] from %s to %s", (long long)shape[0],
                 (long long)shape[1], cr_dtype_name(from), cr_dtype_name(to));
    cr_case_in(c, from, 2, shape, CR_FILL_NORMAL);
    cr_case_out(c, to, 2, shape, CR_FILL_ZERO);
}

static void test_dequantize(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{3, 64}, {7, 21}, {1, 2}, {5, 13}};
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (int i = 0; i < 4; i++)
            CHECK_BOTH(make_dequantize, (i & 1) != 0 ? CR_DTYPE_Q8_0 : CR_DTYPE_NF4, dense[i / 2],
                       shapes[s]);
}

/* ---- Numbers of rows that are not there ---- */

#define MAX_LEVELS 16
static struct cr_device *devices[MAX_LEVELS];

/* The call is recorded; waiting for it tells once, naming the operation. */
static void check_late(struct cr_case *c)
{
    const struct level *levels;
    size_t count = test_levels(&levels);
    const char *name = cr_op_name((enum cr_op)c->call.op);
    assert_true(count <= MAX_LEVELS);
    for (size_t i = 0; i < count; i++) {
        struct cr_error err = CR_ERROR_INIT;
        void *result = malloc(cr_case_bytes(&c->call.out[0]) + 1);
        if (devices[i] == NULL)
            devices[i] = open_level(&levels[i], 2);
        assert_int_equal(cr_case_execute(c, devices[i], &result, &err), CR_ERR_DEVICE);
        if (strncmp(err.message, name, strlen(name)) != 0 || err.message[strlen(name)] != ':')
            fail_msg("%s of %s: %s", name, c->name, err.message);
        cr_error_clear(&err);
        assert_int_equal(cr_device_finish(devices[i], &err), 0);
        free(result);
    }
    cr_case_finish(c);
}

static int close_devices(void **state)
{
    (void)state;
    for (int i = 0; i < MAX_LEVELS; i++)
        cr_device_unref(&devices[i]);
    return 0;
}

static void test_late(void **state)
{
    (void)state;
    static const int32_t wrong[] = {7, INT32_MAX, -2, INT32_MIN};
    static const enum cr_op ops[] = {CR_OP_GATHER_ROWS, CR_OP_SCATTER_ROWS};
    struct cr_case c;
    for (size_t i = 0; i < COUNT(ops) * COUNT(wrong); i++) {
        bool gather = i % 2 == 0;
        make_rows(&c, ops[i % 2], 33);
        ((int32_t *)c.call.in[gather ? 1 : 0].memory)[i % 5] = wrong[i / 2];
        check_late(&c);
    }
    for (int32_t at = 0; at < 3; at++) {
        const int64_t x[4] = {1, 3, 2, 6}, table[2] = {9, 3};
        cr_case_init(&c, CR_OP_ROPE, 1, "position %d of 9", at == 0 ? -1 : 8 + at);
        cr_case_in(&c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
        cr_case_in(&c, CR_DTYPE_F32, 2, table, CR_FILL_UNIFORM);
        cr_case_in(&c, CR_DTYPE_F32, 2, table, CR_FILL_UNIFORM);
        ((int32_t *)cr_case_in(&c, CR_DTYPE_I32, 2, x, CR_FILL_ZERO))[at] = at == 0 ? -1 : 8 + at;
        cr_case_out(&c, CR_DTYPE_F32, 4, x, CR_FILL_ZERO);
        check_late(&c);
    }
    for (int i = 0; i < CR_WEIGHTS_COUNT; i++) {
        static const enum cr_dtype tables[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_Q8_0,
                                               CR_DTYPE_NF4};
        const int64_t table[2] = {9, 37}, five[1] = {5}, y[2] = {5, 37};
        cr_case_init(&c, CR_OP_EMBEDDING, 1, "id %d", 9 + i);
        if (i == CR_WEIGHTS_NESTED)
            cr_case_in_nested(&c, 9, 37, CR_FILL_NORMAL);
        else
            cr_case_in(&c, tables[i], 2, table, CR_FILL_NORMAL);
        ((int32_t *)cr_case_in(&c, CR_DTYPE_I32, 1, five, CR_FILL_ZERO))[i] = 9 + i;
        cr_case_out(&c, CR_DTYPE_F32, 2, y, CR_FILL_ZERO);
        check_late(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),       cmocka_unit_test(test_counts),
        cmocka_unit_test(test_many_groups),  cmocka_unit_test(test_moves),
        cmocka_unit_test(test_permutations), cmocka_unit_test(test_concat),
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_append),
        cmocka_unit_test(test_dequantize),   cmocka_unit_test(test_late),
    };
    return cmocka_run_group_tests(tests, NULL, close_devices);
}
