/* SPDX-License-Identifier: MIT */
/* Fused operations on a device that lacks them: the front-end composes them of basic ones. */
#include <math.h>

#include "guarded.h"

#include <crayon/memory.h>

#include "tensor/device.h"

/* ---- The device without fused operations ---- */

static struct cr_device_ops lacking;

static bool supports_nothing(const void *state, const struct cr_call *call)
{
    (void)state;
    (void)call;
    return false;
}

static struct cr_device *open_lacking(int threads)
{
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = threads};
    const struct cr_element *element = test_element();
    const char *selector = test_vulkan() != NULL ? test_vulkan() : "";
    lacking = *element->device;
    lacking.supports = supports_nothing;
    assert_int_equal(
        cr_device_create(&device, &lacking, element->state_size, selector, &params, &err), 0);
    return device;
}

/* ---- Comparing ---- */

static float *execute(const struct cr_case *c, struct cr_device *device)
{
    struct cr_error err = CR_ERROR_INIT;
    void *result = cr_malloc(cr_case_bytes(&c->call.out[0]) + 1);
    assert_non_null(result);
    if (cr_case_execute(c, device, (void *[]){result}, &err) < 0)
        fail_msg("%s: %s", c->name, err.message);
    return result;
}

static double error_of(const struct cr_case *c, const float *got)
{
    struct cr_error err = CR_ERROR_INIT;
    double *expected = cr_malloc((size_t)cr_operand_elements(&c->call.out[0]) * sizeof(double) + 1);
    assert_non_null(expected);
    assert_int_equal(cr_reference(&c->call, (double *[]){expected}, &err), 0);
    double error = cr_case_error(&c->call.out[0], got, expected);
    cr_free(expected);
    return error;
}

/* Composed and fused, both within the bound. */
static void check_both(struct cr_case *c, struct cr_device *without, struct cr_device *with)
{
    assert_int_equal(c->result, 0);
    float *composed = execute(c, without), *fused = execute(c, with);
    double error = error_of(c, composed);
    if (error > 1e-5)
        fail_msg("%s, composed, is off by %.2e", c->name, error);
    error = error_of(c, fused);
    if (error > 1e-5)
        fail_msg("%s, fused, is off by %.2e", c->name, error);
    cr_free(composed);
    cr_free(fused);
    cr_case_finish(c);
}

static void test_cases(void **state)
{
    (void)state;
    static const enum cr_op ops[] = {CR_OP_LINEAR_FUSED, CR_OP_LINEAR_CROSS_ENTROPY};
    struct cr_device *without = open_lacking(2), *with = open_best();
    for (size_t i = 0; i < COUNT(ops); i++) {
        struct cr_case c;
        for (int index = 0; cr_case_get(&c, ops[i], index); index++)
            check_both(&c, without, with);
    }
    cr_device_unref(&without);
    cr_device_unref(&with);
}

static void test_branches(void **state)
{
    (void)state;
    struct cr_device *without = open_lacking(2), *with = open_best();
    for (int i = 0; i < 60; i++) {
        struct cr_case c;
        struct cr_linear_case shape = {
            .m = 1 + i * 7 % 40,
            .n = 1 + i * 11 % 70,
            .k = 1 + i * 13 % 100,
            .weights = (enum cr_weights)(i % CR_WEIGHTS_COUNT),
            .bias = i % 3 == 0,
            .activation = (enum cr_activation)(i / 3 % 5),
            .residual = i % 2 == 0,
            .branches = 1 + i % 4,
            .scales = (enum cr_scales)(i / 4 % 4),
            .branch_weights = (enum cr_weights)(i / 5 % CR_WEIGHTS_COUNT),
            .rank = 1 + i % 9,
            .source = i % 3 == 1 ? 33 : 0,
        };
        cr_case_linear(&c, &shape, (uint64_t)i);
        check_both(&c, without, with);
    }
    cr_device_unref(&without);
    cr_device_unref(&with);
}

/* Rows that are skipped have the bits of the call without branches, composed as well. */
static void test_skipped_rows(void **state)
{
    (void)state;
    struct cr_device *device = open_lacking(2);
    for (int activation = 0; activation <= CR_ACTIVATION_RELU; activation++) {
        struct cr_case with, without;
        struct cr_linear_case shape = {.m = 23,
                                       .n = 40,
                                       .k = 64,
                                       .bias = true,
                                       .activation = (enum cr_activation)activation,
                                       .residual = true,
                                       .branches = 2,
                                       .rank = 8,
                                       .scales = CR_SCALES_ALL};
        cr_case_linear(&with, &shape, 3);
        shape.branches = 0;
        cr_case_linear(&without, &shape, 3);
        for (int b = 0; b < 2; b++) {
            float *scale = with.call.in[7 + 4 * b].memory;
            for (int row = 0; row < 23; row += 2)
                scale[row] = row % 4 == 0 ? 0.0f : -0.0f;
            ((float *)with.call.in[4 + 4 * b].memory)[9] = NAN;
        }
        float *y = execute(&with, device), *expected = execute(&without, device);
        for (int row = 0; row < 23; row += 2)
            assert_memory_equal(y + 40 * row, expected + 40 * row, 40 * sizeof(float));
        assert_true(isnan(y[40]));
        cr_free(y);
        cr_free(expected);
        cr_case_finish(&with);
        cr_case_finish(&without);
    }
    cr_device_unref(&device);
}

/* More logits than a chunk of 64 MiB takes: the loss is the mean all the same. */
static void test_chunks(void **state)
{
    (void)state;
    struct cr_device *without = open_lacking(2), *with = open_best();
    struct cr_device_info info;
    cr_device_get_info(with, &info);
    if ((info.flags & CR_DEVICE_SOFTWARE) != 0) {
        cr_device_unref(&without);
        cr_device_unref(&with);
        skip_because("37 million logits take long on a driver that computes on the processor");
    }
    struct cr_case c;
    const int64_t m = 531, n = 70001, k = 4;
    cr_case_init(&c, CR_OP_LINEAR_CROSS_ENTROPY, 1, "three chunks");
    cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){m, k}, CR_FILL_NORMAL);
    cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){n, k}, CR_FILL_NORMAL);
    int32_t *labels = cr_case_in(&c, CR_DTYPE_I32, 1, &m, CR_FILL_ZERO);
    for (int64_t i = 0; i < m; i++)
        labels[i] = i % 10 == 0 ? -100 : (int32_t)(i * 131 % n);
    cr_case_out(&c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO);
    check_both(&c, without, with);
    struct cr_device_memory memory;
    cr_device_get_memory(without, &memory);
    /* logits and their log softmax, and little else */
    assert_true(memory.peak < (uint64_t)3 * (64 << 20));
    cr_device_unref(&without);
    cr_device_unref(&with);
}

/* A label that is unlikely beyond measure, and rows so large that e^x overflows. */
static void test_far_logits(void **state)
{
    (void)state;
    struct cr_device *without = open_lacking(2), *with = open_best();
    struct cr_case c;
    const int64_t m = 9, n = 50, k = 8;
    cr_case_init(&c, CR_OP_LINEAR_CROSS_ENTROPY, 1, "far logits");
    float *x = cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){m, k}, CR_FILL_NORMAL);
    for (int64_t i = 0; i < m * k; i++)
        x[i] *= 200;
    cr_case_in(&c, CR_DTYPE_F32, 2, (int64_t[]){n, k}, CR_FILL_NORMAL);
    int32_t *labels = cr_case_in(&c, CR_DTYPE_I32, 1, &m, CR_FILL_ZERO);
    for (int64_t i = 0; i < m; i++)
        labels[i] = (int32_t)(i * 5 % n);
    cr_case_out(&c, CR_DTYPE_F32, 1, (int64_t[]){1}, CR_FILL_ZERO);
    check_both(&c, without, with);
    cr_device_unref(&without);
    cr_device_unref(&with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_skipped_rows), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_far_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
