/* SPDX-License-Identifier: MIT */
/* The cases of every operation between canaries, and shapes that are large, empty or long. */
#include <math.h>

#include "guarded.h"

/* ---- The cases of the self-test ---- */

static void test_cases(void **state)
{
    enum cr_op op = *(enum cr_op *)*state;
    struct cr_case c;
    for (int i = 0; cr_case_get(&c, op, i); i++)
        check_case(&c);
}

/* ---- Shapes ---- */

/* More rows than a GPU has groups along one axis, and a row longer than any block of work. */
static const int64_t shapes[][2] = {{70001, 3}, {2, 131075}, {1, 1}, {0, 5}, {700, 129}};

static void test_last_extent(void **state)
{
    (void)state;
    static const enum cr_op ops[] = {CR_OP_SOFTMAX, CR_OP_LOG_SOFTMAX, CR_OP_SUM,
                                     CR_OP_MEAN,    CR_OP_MAX,         CR_OP_SUM_SQUARES,
                                     CR_OP_ARGMAX,  CR_OP_RMS_NORM,    CR_OP_LAYER_NORM};
    for (size_t i = 0; i < COUNT(ops); i++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            struct cr_case c;
            int64_t m = shapes[s][0], k = shapes[s][1];
            bool same = ops[i] < CR_OP_SUM;
            cr_case_init(&c, ops[i], s, "x [%lld, %lld]", (long long)m, (long long)k);
            float *x = cr_case_in(&c, CR_DTYPE_F32, 2, shapes[s], CR_FILL_NORMAL);
            for (int64_t j = 0; j < m * k && (ops[i] == CR_OP_SUM || ops[i] == CR_OP_MEAN); j++)
                x[j] += 2;
            for (int w = 0; w < (ops[i] == CR_OP_RMS_NORM ? 1 : 2) && same; w++)
                cr_case_in(&c, CR_DTYPE_F32, 1, &k, CR_FILL_NORMAL);
            if (ops[i] == CR_OP_SOFTMAX || ops[i] == CR_OP_LOG_SOFTMAX)
                same = true;
            c.call.reals[0] = 1e-5f;
            if (ops[i] == CR_OP_ARGMAX)
                cr_case_out(&c, CR_DTYPE_I32, 1, &m, CR_FILL_ZERO);
            else
                cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){m, same ? k : 1}, CR_FILL_ZERO);
            check_case(&c);
        }
}

static void test_elements(void **state)
{
    (void)state;
    for (int op = CR_OP_ADD; op <= CR_OP_SILU_MUL; op++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            struct cr_case c;
            bool two = op == CR_OP_ADD || op == CR_OP_MUL || op == CR_OP_SILU_MUL;
            cr_case_init(&c, (enum cr_op)op, s, "[%lld, %lld]", (long long)shapes[s][0],
                         (long long)shapes[s][1]);
            cr_case_in(&c, CR_DTYPE_F32, 2, shapes[s], CR_FILL_NORMAL);
            if (two && op != CR_OP_SILU_MUL && s % 2 == 0)
                cr_case_in(&c, CR_DTYPE_F32, 1, &shapes[s][1], CR_FILL_NORMAL);
            else if (two)
                cr_case_in(&c, CR_DTYPE_F32, 2, shapes[s], CR_FILL_NORMAL);
            cr_case_out(&c, CR_DTYPE_F32, 2, shapes[s], CR_FILL_ZERO);
            c.call.reals[0] = 0.3f;
            check_case(&c);
        }
}

/* Every axis of length 1 or of one axis alone, and every order of four axes. */
static void test_permutations(void **state)
{
    (void)state;
    static const int64_t extents[][4] = {
        {3, 5, 7, 2}, {1, 40, 33, 1}, {65, 1, 1, 70}, {2, 0, 3, 1}};
    for (size_t s = 0; s < COUNT(extents); s++)
        for (int order = 0; order < 256; order++) {
            struct cr_case c;
            int64_t axes[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6}, y[4];
            unsigned seen = 0;
            for (int i = 0; i < 4; i++) {
                seen |= 1u << axes[i];
                y[i] = extents[s][axes[i]];
            }
            if (seen != 15)
                continue;
            enum cr_dtype dtype = order % 3 == 0 ? CR_DTYPE_F16 : CR_DTYPE_F32;
            cr_case_init(&c, CR_OP_PERMUTE, s, "shape %zu, order %lld %lld %lld %lld", s,
                         (long long)axes[0], (long long)axes[1], (long long)axes[2],
                         (long long)axes[3]);
            cr_case_in(&c, dtype, 4, extents[s], CR_FILL_NORMAL);
            cr_case_out(&c, dtype, 4, y, CR_FILL_ZERO);
            memcpy(c.call.ints, axes, sizeof(axes));
            check_case(&c);
        }
}

/* Large enough for all threads to take part. */
static void test_large_moves(void **state)
{
    (void)state;
    static const int64_t x[4] = {2, 30, 65, 50};
    static const int64_t y[][4] = {
        {2, 29, 33, 50}, {50, 2, 65, 30}, {3, 31, 60, 57}, {2, 30, 65, 50}};
    static const int64_t ints[][4] = {{0, 1, 32, 0}, {3, 0, 2, 1}, {1, 0, -2, 3}, {1, 7, 0, 49}};
    static const enum cr_op ops[] = {CR_OP_SLICE, CR_OP_PERMUTE, CR_OP_PAD, CR_OP_ROLL};
    static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_I32, CR_DTYPE_U8};
    for (size_t i = 0; i < COUNT(ops); i++)
        for (size_t d = 0; d < COUNT(dtypes); d++) {
            struct cr_case c;
            cr_case_init(&c, ops[i], d, "%s", cr_dtype_name(dtypes[d]));
            uint8_t *data = cr_case_in(&c, dtypes[d], 4, x, CR_FILL_NORMAL);
            for (size_t j = 0; j < cr_case_bytes(&c.call.in[0]) && d >= 2; j++)
                data[j] = (uint8_t)(j * 7 + j / 255);
            cr_case_out(&c, dtypes[d], 4, y[i], CR_FILL_ZERO);
            memcpy(c.call.ints, ints[i], sizeof(ints[i]));
            c.call.reals[0] = 3;
            check_case(&c);
        }
}

static void test_many_rows(void **state)
{
    (void)state;
    struct cr_case c;
    const int64_t rows = 70001;
    for (int op = CR_OP_GATHER_ROWS; op <= CR_OP_SCATTER_ADD_ROWS; op++) {
        bool gather = op == CR_OP_GATHER_ROWS;
        cr_case_init(&c, (enum cr_op)op, 1, "%lld rows", (long long)rows);
        if (gather)
            cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){rows, 3}, CR_FILL_NORMAL);
        int32_t *list = cr_case_in(&c, CR_DTYPE_I32, 1, &rows, CR_FILL_ZERO);
        for (int64_t i = 0; i < rows; i++)
            list[i] = i % 100 == 9 ? -1 : (int32_t)(i * 7919 % rows);
        for (int64_t i = 0; i < rows && op == CR_OP_SCATTER_ADD_ROWS; i++)
            list[i] %= 1000;
        if (!gather)
            cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){rows, 3}, CR_FILL_NORMAL);
        cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){rows, 3}, CR_FILL_NORMAL);
        check_case(&c);
    }
}

/* The one that is looked for at every place of a row, and ties. */
static void test_selection(void **state)
{
    (void)state;
    for (int64_t k = 1; k <= 67; k += 3)
        for (int64_t wanted = 1; wanted <= k; wanted += k > 1 ? k - 1 : 1) {
            struct cr_case c;
            const int64_t x[2] = {2 * k, k}, y[2] = {2 * k, wanted};
            cr_case_init(&c, CR_OP_TOPK, (uint64_t)k, "%lld of %lld", (long long)wanted,
                         (long long)k);
            float *numbers = cr_case_in(&c, CR_DTYPE_F32, 2, x, CR_FILL_ZERO);
            for (int64_t row = 0; row < 2 * k; row++)
                numbers[row * k + row % k] = row < k ? 1 : -1;
            cr_case_out(&c, CR_DTYPE_F32, 2, y, CR_FILL_ZERO);
            cr_case_out(&c, CR_DTYPE_I32, 2, y, CR_FILL_ZERO);
            c.call.ints[0] = wanted;
            check_case(&c);
            cr_case_init(&c, CR_OP_ARGMAX, (uint64_t)k, "%lld", (long long)k);
            numbers = cr_case_in(&c, CR_DTYPE_F32, 2, x, CR_FILL_ZERO);
            for (int64_t row = 0; row < 2 * k; row++)
                numbers[row * k + row % k] = row < k ? 1 : -1;
            cr_case_out(&c, CR_DTYPE_I32, 1, x, CR_FILL_ZERO);
            check_case(&c);
        }
}

/* Rows so long that a GPU splits them, more wanted than is sorted at once, and rows of equals,
 * where the index decides. */
static void test_long_selection(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {
        {2, 17000, 50}, {2, 5000, 1024}, {1, 4097, 1}, {2, 1025, 1025 / 2}};
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int distinct = 1; distinct <= 10000; distinct *= 100) {
            struct cr_case c;
            const int64_t m = sizes[s][0], n = sizes[s][1], y[2] = {m, sizes[s][2]};
            cr_case_init(&c, CR_OP_TOPK, s, "%lld of %lld, %d values", (long long)y[1],
                         (long long)n, distinct);
            float *x = cr_case_in(&c, CR_DTYPE_F32, 2, sizes[s], CR_FILL_UNIFORM);
            for (int64_t i = 0; i < m * n; i++)
                x[i] = floorf(x[i] * (float)distinct) - (float)(distinct / 2);
            cr_case_out(&c, CR_DTYPE_F32, 2, y, CR_FILL_ZERO);
            cr_case_out(&c, CR_DTYPE_I32, 2, y, CR_FILL_ZERO);
            c.call.ints[0] = y[1];
            check_case(&c);
        }
}

/* A few groups of many numbers; tensors from none to many numbers. */
static void test_long_norms(void **state)
{
    (void)state;
    struct cr_case c;
    const int64_t x[4] = {1, 6, 113, 101}, lengths[] = {40000, 3, 0, 33000}, one = 1;
    cr_case_init(&c, CR_OP_GROUP_NORM, 1, "2 groups of 3 x 113 x 101");
    float *numbers = cr_case_in(&c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
    for (int64_t i = 0; i < x[1] * x[2] * x[3]; i++)
        numbers[i] += 3;
    cr_case_in(&c, CR_DTYPE_F16, 1, &x[1], CR_FILL_NORMAL);
    cr_case_in(&c, CR_DTYPE_F32, 1, &x[1], CR_FILL_NORMAL);
    cr_case_out(&c, CR_DTYPE_F32, 4, x, CR_FILL_ZERO);
    c.call.ints[0] = 2;
    c.call.reals[0] = 1e-5f;
    check_case(&c);
    cr_case_init(&c, CR_OP_GRAD_NORM, 1, "tensors of 40000, 3, 0 and 33000");
    for (size_t i = 0; i < COUNT(lengths); i++)
        cr_case_in(&c, CR_DTYPE_F32, 1, &lengths[i], CR_FILL_NORMAL);
    cr_case_out(&c, CR_DTYPE_F32, 1, &one, CR_FILL_ZERO);
    check_case(&c);
}

/* More labelled rows than are projected at once. */
static void test_many_labels(void **state)
{
    (void)state;
    struct cr_case c;
    const int64_t m = 1400, k = 8, n = 37, one = 1;
    cr_case_init(&c, CR_OP_LINEAR_CROSS_ENTROPY, 1, "%lld rows", (long long)m);
    cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){m, k}, CR_FILL_NORMAL);
    cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){n, k}, CR_FILL_NORMAL);
    int32_t *labels = cr_case_in(&c, CR_DTYPE_I32, 1, &m, CR_FILL_ZERO);
    for (int64_t i = 0; i < m; i++)
        labels[i] = i % 7 == 2 ? -100 : (int32_t)(i * 31 % n);
    cr_case_out(&c, CR_DTYPE_F32, 1, &one, CR_FILL_ZERO);
    check_case(&c);
}

/* ---- Pictures ---- */

static void convolution(const int64_t x[4], const int64_t w[4], const int64_t ints[4], bool half)
{
    struct cr_case c;
    cr_case_init(&c, CR_OP_CONV2D, 1, "x [%lld, %lld, %lld, %lld], w [%lld, .., %lld, %lld]",
                 (long long)x[0], (long long)x[1], (long long)x[2], (long long)x[3],
                 (long long)w[0], (long long)w[2], (long long)w[3]);
    cr_case_in(&c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
    cr_case_in(&c, half ? CR_DTYPE_F16 : CR_DTYPE_F32, 4, w, CR_FILL_NORMAL);
    cr_case_in(&c, CR_DTYPE_F32, 1, w, CR_FILL_NORMAL);
    cr_case_out(&c, CR_DTYPE_F32, 4,
                (int64_t[]){x[0], w[0], (x[2] + 2 * ints[2] - w[2]) / ints[0] + 1,
                            (x[3] + 2 * ints[3] - w[3]) / ints[1] + 1},
                CR_FILL_ZERO);
    memcpy(c.call.ints, ints, 4 * sizeof(int64_t));
    check_case(&c);
}

static void test_convolutions(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        /* the patches of a vision transformer, wide and narrow kernels, strides past the kernel,
         * padding past the picture */
        convolution((int64_t[]){1, 3, 56, 42}, (int64_t[]){65, 3, 14, 14},
                    (int64_t[]){14, 14, 0, 0}, half);
        convolution((int64_t[]){2, 33, 13, 17}, (int64_t[]){18, 33, 3, 3}, (int64_t[]){1, 1, 1, 1},
                    half);
        convolution((int64_t[]){1, 5, 9, 8}, (int64_t[]){3, 5, 1, 4}, (int64_t[]){3, 2, 0, 3},
                    half);
        convolution((int64_t[]){1, 1, 1, 1}, (int64_t[]){1, 1, 3, 3}, (int64_t[]){2, 2, 4, 4},
                    half);
        convolution((int64_t[]){1, 16, 40, 40}, (int64_t[]){64, 16, 1, 1}, (int64_t[]){1, 1, 0, 0},
                    half);
        convolution((int64_t[]){0, 4, 5, 5}, (int64_t[]){2, 4, 3, 3}, (int64_t[]){1, 1, 1, 1},
                    half);
    }
}

static void test_resizing(void **state)
{
    (void)state;
    static const int64_t heights[] = {1, 2, 17, 64}, widths[] = {1, 5, 31, 90};
    for (int64_t mode = 0; mode < 3; mode++)
        for (int i = 0; i < 16; i++) {
            struct cr_case c;
            const int64_t x[4] = {2, 3, heights[i % 4], widths[(i / 4 + 1) % 4]};
            const int64_t y[4] = {2, 3, heights[(i / 2) % 4], widths[i / 4]};
            cr_case_init(&c, CR_OP_RESIZE, (uint64_t)i, "%lld x %lld to %lld x %lld, mode %lld",
                         (long long)x[2], (long long)x[3], (long long)y[2], (long long)y[3],
                         (long long)mode);
            cr_case_in(&c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
            cr_case_out(&c, CR_DTYPE_F32, 4, y, CR_FILL_ZERO);
            c.call.ints[0] = mode;
            check_case(&c);
        }
}

/* Rows so long that their places take more than 32 bits to find, made shorter and longer. */
static void test_wide_resizing(void **state)
{
    (void)state;
    static const int64_t widths[][2] = {{65537, 40000}, {40000, 65537}};
    for (int64_t mode = 0; mode < 3; mode++)
        for (size_t i = 0; i < COUNT(widths); i++)
            for (int64_t axis = 2; axis < 4; axis++) {
                struct cr_case c;
                int64_t x[4] = {1, 1, 3, 3}, y[4] = {1, 1, 2, 2};
                x[axis] = widths[i][0];
                y[axis] = widths[i][1];
                cr_case_init(&c, CR_OP_RESIZE, i, "axis %lld, %lld to %lld, mode %lld",
                             (long long)axis, (long long)x[axis], (long long)y[axis],
                             (long long)mode);
                cr_case_in(&c, CR_DTYPE_F32, 4, x, CR_FILL_NORMAL);
                cr_case_out(&c, CR_DTYPE_F32, 4, y, CR_FILL_ZERO);
                c.call.ints[0] = mode;
                check_case(&c);
            }
}

int main(void)
{
    static enum cr_op ops[CR_OP_COUNT];
    struct CMUnitTest tests[CR_OP_COUNT + 12] = {
        cmocka_unit_test(test_last_extent),    cmocka_unit_test(test_elements),
        cmocka_unit_test(test_permutations),   cmocka_unit_test(test_large_moves),
        cmocka_unit_test(test_many_rows),      cmocka_unit_test(test_selection),
        cmocka_unit_test(test_long_selection), cmocka_unit_test(test_long_norms),
        cmocka_unit_test(test_many_labels),    cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_resizing),       cmocka_unit_test(test_wide_resizing),
    };
    for (int i = 1; i < CR_OP_COUNT; i++) {
        ops[i] = (enum cr_op)i;
        tests[11 + i] = (struct CMUnitTest){
            .name = cr_op_name(ops[i]), .test_func = test_cases, .initial_state = &ops[i]};
    }
    return _cmocka_run_group_tests("cases", tests, CR_OP_COUNT + 11, NULL, NULL);
}
