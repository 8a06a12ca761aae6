/* SPDX-License-Identifier: MIT */
/* Chains: who owns what, and what happens after a failure. */
#include <crayon/chain.h>

#include "devices.h"

#include "base/fault.h"
#include "tensor/device.h"

static struct cr_tensor *numbers(struct cr_chain *chain, struct cr_device *device)
{
    static const float values[4] = {1, 2, 3, 4};
    return CR_DO(chain, cr_tensor_upload, device, CR_DTYPE_F32, 1, (int64_t[]){4}, values);
}

static void computes(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device *device = open_best();
    struct cr_chain c = CR_CHAIN_INIT(&err);
    float out[4];
    struct cr_tensor *x = numbers(&c, device);
    struct cr_tensor *y = CR_DO(&c, cr_op_add, x, x);
    y = CR_DO(&c, cr_op_scale, y, 10);
    struct cr_tensor *taken = cr_chain_take(&c, y);
    assert_int_equal(cr_chain_mark(&c), 3);
    assert_int_equal(cr_chain_finish(&c), 0);
    assert_int_equal(cr_tensor_read(taken, out, sizeof(out), &err), 0);
    for (int i = 0; i < 4; i++)
        assert_true(out[i] == 20.0f * (float)(i + 1));
    cr_tensor_unref(&taken);
    cr_device_unref(&device);
}

/* The pool takes back what was released, and nothing else. */
static void releases(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device *device = open_best();
    struct cr_device_memory before, after;
    struct cr_chain c = CR_CHAIN_INIT(&err);
    struct cr_tensor *x = numbers(&c, device);
    cr_device_get_memory(device, &before);
    for (int i = 0; i < 1000; i++) {
        size_t mark = cr_chain_mark(&c);
        struct cr_tensor *y = CR_DO(&c, cr_op_scale, x, 2);
        y = CR_DO(&c, cr_op_add, y, x);
        assert_ptr_equal(cr_chain_release(&c, mark, y), y);
        assert_int_equal(cr_chain_mark(&c), 2);
        assert_ptr_equal(cr_chain_release(&c, mark, x), x); /* older: stays as it is */
        assert_int_equal(cr_chain_mark(&c), 1);
    }
    cr_device_get_memory(device, &after);
    assert_int_equal(after.used, before.used);
    assert_int_equal(cr_chain_finish(&c), 0);
    cr_device_get_memory(device, &after);
    assert_int_equal(after.used, 0);
    cr_device_unref(&device);
}

static void stops_at_the_first_failure(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device *device = open_best();
    int64_t live = cr_memory_live();
    struct cr_chain c = CR_CHAIN_INIT(&err);
    struct cr_tensor *x = numbers(&c, device);
    struct cr_tensor *other =
        CR_DO(&c, cr_tensor_upload, device, CR_DTYPE_F32, 1, (int64_t[]){3}, NULL);
    assert_null(CR_DO(&c, cr_op_add, x, other));
    assert_int_equal(c.result, CR_ERR_ARGUMENT);
    char first[sizeof(err.message)];
    memcpy(first, err.message, sizeof(first));
    assert_null(CR_DO(&c, cr_op_scale, NULL, 1)); /* not executed */
    assert_string_equal(err.message, first);
    assert_null(cr_chain_take(&c, x));
    assert_int_equal(cr_chain_finish(&c), CR_ERR_ARGUMENT);
    struct cr_error ignored = CR_ERROR_INIT;
    assert_int_equal(cr_device_trim(device, &ignored), 0);
    assert_int_equal(cr_memory_live(), live);
    cr_device_unref(&device);
}

static void holds_so_many(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device *device = open_best();
    struct cr_chain c = CR_CHAIN_INIT(&err);
    struct cr_tensor *x = numbers(&c, device);
    for (int i = 1; i < CR_CHAIN_MAX; i++)
        assert_non_null(CR_DO(&c, cr_op_scale, x, 1));
    assert_null(CR_DO(&c, cr_op_scale, x, 1));
    assert_string_equal(err.message, "more than 128 tensors in one chain");
    assert_int_equal(cr_chain_finish(&c), CR_ERR_INTERNAL);
    cr_device_unref(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes),
        cmocka_unit_test(releases),
        cmocka_unit_test(stops_at_the_first_failure),
        cmocka_unit_test(holds_so_many),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
