/* SPDX-License-Identifier: MIT */
/* The reference of the operations against numbers worked out by hand: what all devices are compared
 * with must not be wrong in the same way as they are. */
#include <math.h>

#include <crayon/ops.h>

#include "tensor/cases.h"
#include "tensor/reference.h"
#include "test.h"

static double out[64];

static float *input(struct cr_case *c, int rank, const int64_t *shape, const float *numbers)
{
    float *data = cr_case_in(c, CR_DTYPE_F32, rank, shape, CR_FILL_ZERO);
    memcpy(data, numbers, cr_case_bytes(&c->call.in[c->call.inputs - 1]));
    return data;
}

/* The first output is `expected`. */
static void gives(struct cr_case *c, const double *expected, size_t count)
{
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(c->result, 0);
    assert_int_equal(cr_operand_elements(&c->call.out[0]), count);
    assert_int_equal(cr_reference(&c->call, (double *[]){out, out + 32, out + 48}, &err), 0);
    for (size_t i = 0; i < count; i++)
        if (!(fabs(out[i] - expected[i]) <= 1e-6))
            fail_msg("%s: number %zu is %.9g, not %.9g", c->name, i, out[i], expected[i]);
    cr_case_finish(c);
}
#define GIVES(c, ...)                                                                              \
    gives(c, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void products(void **state)
{
    (void)state;
    struct cr_case c;
    cr_case_init(&c, CR_OP_LINEAR, 1, "linear");
    input(&c, 2, (int64_t[]){2, 3}, (float[]){1, 2, 3, -1, 0, 1});
    input(&c, 2, (int64_t[]){2, 3}, (float[]){1, 0, 1, 2, -1, 0.5f});
    input(&c, 1, (int64_t[]){2}, (float[]){10, 20});
    cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){2, 2}, CR_FILL_ZERO);
    GIVES(&c, 14, 21.5, 10, 18.5);
    cr_case_init(&c, CR_OP_LINEAR_FUSED, 1, "linear_fused");
    input(&c, 2, (int64_t[]){2, 2}, (float[]){1, 2, 3, -4});
    input(&c, 2, (int64_t[]){1, 2}, (float[]){1, 1});
    cr_case_absent(&c);
    input(&c, 2, (int64_t[]){2, 1}, (float[]){100, 200});
    input(&c, 2, (int64_t[]){1, 2}, (float[]){0.5f, 0.25f});
    input(&c, 2, (int64_t[]){1, 1}, (float[]){3});
    cr_case_absent(&c);
    input(&c, 1, (int64_t[]){2}, (float[]){2, 0});
    cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){2, 1}, CR_FILL_ZERO);
    c.call.ints[0] = CR_ACTIVATION_RELU;
    c.call.ints[1] = 1;
    GIVES(&c, 109, 200); /* relu(3 + 2 x 3 x 1) + 100, relu(-1) + 200 */
    cr_case_init(&c, CR_OP_MATMUL, 1, "matmul");
    input(&c, 3, (int64_t[]){2, 2, 1}, (float[]){1, 2, 3, 4});
    input(&c, 2, (int64_t[]){2, 2}, (float[]){1, 10, 100, 1000});
    cr_case_out(&c, CR_DTYPE_F32, 3, (int64_t[]){2, 1, 2}, CR_FILL_ZERO);
    c.call.ints[0] = 1;
    c.call.reals[0] = 2;
    GIVES(&c, 402, 4020, 806, 8060);
    cr_case_init(&c, CR_OP_LINEAR_CROSS_ENTROPY, 1, "linear_cross_entropy");
    input(&c, 2, (int64_t[]){3, 1}, (float[]){0, 1, 0});
    input(&c, 2, (int64_t[]){2, 1}, (float[]){0, logf(3)});
    memcpy(cr_case_in(&c, CR_DTYPE_I32, 1, (int64_t[]){3}, CR_FILL_ZERO), (int32_t[]){0, 1, -100},
           12);
    cr_case_out(&c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO);
    GIVES(&c, (log(2) + log(4.0 / 3)) / 2);
}

static void unary(enum cr_op op, float x, double y)
{
    struct cr_case c;
    cr_case_init(&c, op, 1, "%s(%g)", cr_op_name(op), (double)x);
    input(&c, 1, (int64_t[]){1}, &x);
    cr_case_out(&c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO);
    c.call.reals[0] = 3;
    GIVES(&c, y);
}

static void functions(void **state)
{
    (void)state;
    unary(CR_OP_SCALE, -2, -6);
    unary(CR_OP_SIGMOID, 0, 0.5);
    unary(CR_OP_SIGMOID, 1, 0.731058579);
    unary(CR_OP_RELU, -2, 0);
    unary(CR_OP_RELU, 2, 2);
    unary(CR_OP_GELU, 1, 0.841344746); /* the normal distribution's table: 0.8413 */
    unary(CR_OP_GELU, -2, -0.0455002639);
    unary(CR_OP_QUICK_GELU, 1, 0.845795765);
    unary(CR_OP_SILU, -1, -0.268941421);
}

static void over_last(enum cr_op op, int64_t width, double y)
{
    struct cr_case c;
    cr_case_init(&c, op, 1, "%s", cr_op_name(op));
    input(&c, 2, (int64_t[]){1, 4}, (float[]){1, -2, 4, 0});
    cr_case_out(&c, CR_DTYPE_F32, 2, (int64_t[]){1, width}, CR_FILL_ZERO);
    c.call.reals[0] = 0.25;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_reference(&c.call, (double *[]){out}, &err), 0);
    if (fabs(out[width > 1 ? 2 : 0] - y) > 1e-6)
        fail_msg("%s is %.9g", c.name, out[width > 1 ? 2 : 0]);
    cr_case_finish(&c);
}

static void reductions(void **state)
{
    (void)state;
    double sum = exp(1) + exp(-2) + exp(4) + 1;
    over_last(CR_OP_SUM, 1, 3);
    over_last(CR_OP_MEAN, 1, 0.75);
    over_last(CR_OP_MAX, 1, 4);
    over_last(CR_OP_SUM_SQUARES, 1, 21);
    over_last(CR_OP_SOFTMAX, 4, exp(4) / sum);
    over_last(CR_OP_LOG_SOFTMAX, 4, 4 - log(sum));
    over_last(CR_OP_RMS_NORM, 4, 4 / sqrt(5.25 + 0.25));
    over_last(CR_OP_LAYER_NORM, 4, 3.25 / sqrt(4.6875 + 0.25));
}

static void attention(void **state)
{
    (void)state;
    struct cr_case c;
    cr_case_init(&c, CR_OP_ATTENTION, 1, "attention");
    input(&c, 4, (int64_t[]){1, 2, 2, 1}, (float[]){1, 0, -1, 2});
    input(&c, 4, (int64_t[]){1, 1, 2, 1}, (float[]){0, logf(3)});
    input(&c, 4, (int64_t[]){1, 1, 2, 1}, (float[]){8, 16});
    for (int i = 0; i < 4; i++)
        cr_case_absent(&c);
    cr_case_out(&c, CR_DTYPE_F32, 4, (int64_t[]){1, 2, 2, 1}, CR_FILL_ZERO);
    c.call.reals[0] = 1;
    struct cr_case causal = c;
    causal.block_count = 0;
    causal.call.ints[0] = 1;
    strcpy(causal.name, "causal");
    GIVES(&causal, 8, 12, 8, 15.2); /* weights 1; 1/2 1/2; 1; 1/10 9/10 */
    GIVES(&c, 14, 12, 10, 15.2);    /* 1/4 3/4 and 3/4 1/4 where both are seen */
    cr_case_init(&c, CR_OP_ROPE, 1, "rope");
    input(&c, 4, (int64_t[]){1, 1, 1, 4}, (float[]){1, 2, 3, 4});
    input(&c, 2, (int64_t[]){2, 2}, (float[]){9, 9, 0, 0.5f});
    input(&c, 2, (int64_t[]){2, 2}, (float[]){9, 9, 1, 0.25f});
    memcpy(cr_case_in(&c, CR_DTYPE_I32, 2, (int64_t[]){1, 1}, CR_FILL_ZERO), (int32_t[]){1}, 4);
    cr_case_out(&c, CR_DTYPE_F32, 4, (int64_t[]){1, 1, 1, 4}, CR_FILL_ZERO);
    GIVES(&c, -3, 0, 1, 2.5);
    cr_case_init(&c, CR_OP_MS_DEFORM_ATTN, 1, "ms_deform_attn");
    input(&c, 4, (int64_t[]){1, 4, 1, 1}, (float[]){1, 2, 3, 4});
    input(&c, 4, (int64_t[]){1, 1, 2, 2}, (float[]){0.5f, 0.5f, 0, 0.25f});
    input(&c, 3, (int64_t[]){1, 1, 2}, (float[]){1, 10});
    cr_case_out(&c, CR_DTYPE_F32, 3, (int64_t[]){1, 1, 1}, CR_FILL_ZERO);
    memcpy(c.call.ints, (int64_t[]){1, 2, 2, 2}, 4 * sizeof(int64_t));
    GIVES(&c, 7.5); /* the mean of all four, and 10 x half of the first */
}

static void pictures(void **state)
{
    (void)state;
    struct cr_case c;
    cr_case_init(&c, CR_OP_CONV2D, 1, "conv2d");
    input(&c, 4, (int64_t[]){1, 1, 2, 3}, (float[]){1, 2, 3, 4, 5, 6});
    input(&c, 4, (int64_t[]){1, 1, 2, 2}, (float[]){1, 10, 100, 1000});
    cr_case_absent(&c);
    cr_case_out(&c, CR_DTYPE_F32, 4, (int64_t[]){1, 1, 1, 2}, CR_FILL_ZERO);
    memcpy(c.call.ints, (int64_t[]){1, 2, 0, 1}, 4 * sizeof(int64_t));
    GIVES(&c, 4010, 6532);
    static const struct {
        int mode;
        double y[4];
    } modes[] = {{CR_INTERPOLATION_NEAREST, {0, 0, 8, 8}},
                 {CR_INTERPOLATION_BILINEAR, {0, 2, 6, 8}},
                 /* by hand, a = -3/4: at 1/4 the taps are -27/256, 225/256, 67/256, -9/256 */
                 {CR_INTERPOLATION_BICUBIC, {-0.84375, 1.8125, 6.1875, 8.84375}}};
    for (size_t i = 0; i < COUNT(modes); i++) {
        cr_case_init(&c, CR_OP_RESIZE, 1, "resize, mode %d", modes[i].mode);
        input(&c, 4, (int64_t[]){1, 1, 1, 2}, (float[]){0, 8});
        cr_case_out(&c, CR_DTYPE_F32, 4, (int64_t[]){1, 1, 1, 4}, CR_FILL_ZERO);
        c.call.ints[0] = modes[i].mode;
        gives(&c, modes[i].y, 4);
    }
}

static void training(void **state)
{
    (void)state;
    struct cr_case c;
    cr_case_init(&c, CR_OP_ADAMW_STEP, 1, "adamw_step");
    input(&c, 1, (int64_t[]){1}, (float[]){2});
    for (int i = 0; i < 3; i++)
        *(float *)cr_case_out(&c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO) = i == 0 ? 10 : 0;
    c.call.ints[0] = 1;
    memcpy(c.call.reals, (double[]){0.5, 0.75, 0.5, 0, 0.25}, 5 * sizeof(double));
    GIVES(&c, 8.25); /* 10 - 0.125 x 10 - 0.5 x 2 / 2 */
    assert_true(out[32] == 0.5 && out[48] == 2);
}

static void halves(void **state)
{
    (void)state;
    static const struct {
        uint16_t bits;
        double number;
    } known[] = {{0, 0},
                 {0x3C00, 1},
                 {0xC000, -2},
                 {0x3555, 0.333251953125},
                 {0x7BFF, 65504},
                 {0x0001, 0x1p-24},
                 {0x03FF, 1023 * 0x1p-24},
                 {0x0400, 0x1p-14},
                 {0x7C00, INFINITY},
                 {0xFC00, -INFINITY}};
    for (size_t i = 0; i < COUNT(known); i++) {
        assert_true(cr_half_number(known[i].bits) == known[i].number);
        assert_int_equal(cr_half(known[i].number), known[i].bits);
    }
    assert_true(isnan(cr_half_number(0x7C01)));
    assert_int_equal(cr_half(NAN) & 0x7C00, 0x7C00);
    assert_int_equal(cr_half(65519.99), 0x7BFF);
    assert_int_equal(cr_half(65520), 0x7C00);
    assert_int_equal(cr_half(2049), 0x6800); /* a tie, to the even 2048 */
    assert_int_equal(cr_half(2051), 0x6802);
    assert_int_equal(cr_half(-0x1p-25), 0x8000); /* a tie with zero */
    assert_int_equal(cr_half(0x1.8p-24), 0x0002);
    for (int bits = 0; bits < 0x7C00; bits++)
        assert_int_equal(cr_half(cr_half_number((uint16_t)bits)), bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),  cmocka_unit_test(functions), cmocka_unit_test(reductions),
        cmocka_unit_test(attention), cmocka_unit_test(pictures),  cmocka_unit_test(training),
        cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
