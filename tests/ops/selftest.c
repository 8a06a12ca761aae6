/* SPDX-License-Identifier: MIT */
/* The self-test that `crayon devices --check` runs: every operation through the functions of
 * crayon/ops.h, at every level of the device. */
#include "devices.h"

#include "tensor/cases.h"

/* Devices stay open from operation to operation. */
static struct cr_device *devices[16][2];

static struct cr_device *device_of(const struct level *levels, size_t level, int threads)
{
    struct cr_device **device = &devices[level][threads - 1];
    assert_true(level < COUNT(devices));
    if (*device == NULL)
        *device = open_level(&levels[level], threads);
    return *device;
}

static int close_devices(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(devices); i++) {
        cr_device_unref(&devices[i][0]);
        cr_device_unref(&devices[i][1]);
    }
    return 0;
}

static void check_level(const struct level *levels, size_t level, int threads, enum cr_op op)
{
    struct cr_device *device = device_of(levels, level, threads);
    struct cr_selftest_result result;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_selftest_run(device, op, &result, &err), 0);
    assert_true(result.cases > 0);
    if (result.failed > 0)
        fail_msg("%s, %s, %d threads: %d of %d cases failed; error %.2e of \"%s\" by %s; %s",
                 cr_op_name(op), levels[level].name, threads, result.failed, result.cases,
                 result.error, result.worst, result.variant, result.problem);
}

static void test_operation(void **state)
{
    enum cr_op op = *(enum cr_op *)*state;
    const struct level *levels;
    size_t count = test_levels(&levels);
    for (size_t i = 0; i < count && levels[i].sync == NULL; i++)
        for (int threads = 1; threads <= (test_vulkan() != NULL ? 1 : 2); threads++)
            check_level(levels, i, threads, op);
}

/* The tests must be able to fail: a result that is off by little more than the bound is noticed. */
static void test_notices(void **state)
{
    (void)state;
    struct cr_case c;
    double expected[4] = {1, 2, -3, 0};
    float got[4] = {1, 2, -3, 0};
    cr_case_init(&c, CR_OP_ADD, 1, "four");
    cr_case_out(&c, CR_DTYPE_F32, 1, (int64_t[]){4}, CR_FILL_ZERO);
    assert_true(cr_case_error(&c.call.out[0], got, expected) == 0);
    got[1] += 1e-4f;
    double error = cr_case_error(&c.call.out[0], got, expected);
    assert_true(error > 2.6e-5 && error < 2.7e-5); /* 1e-4 / sqrt(14) */
    got[1] = 2;
    got[3] = -0.0f;
    error = cr_case_error(&c.call.out[0], got, expected);
    assert_true(error > 0 && error < 1e-300);
    got[3] = strtof("nan", NULL);
    assert_true(cr_case_error(&c.call.out[0], got, expected) > 1e300);
    expected[3] = got[3];
    assert_true(cr_case_error(&c.call.out[0], got, expected) == 0);
    cr_case_finish(&c);
}

int main(void)
{
    static enum cr_op ops[CR_OP_COUNT];
    struct CMUnitTest tests[CR_OP_COUNT] = {
        {.name = "test_notices", .test_func = test_notices},
    };
    for (int i = 1; i < CR_OP_COUNT; i++) {
        ops[i] = (enum cr_op)i;
        tests[i] = (struct CMUnitTest){
            .name = cr_op_name(ops[i]), .test_func = test_operation, .initial_state = &ops[i]};
    }
    return cmocka_run_group_tests(tests, NULL, close_devices);
}
