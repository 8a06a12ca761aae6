/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/tensor.h>

#include "fault_sweep.h"
#include "test.h"

static void names_dtypes(void **state)
{
    (void)state;
    static const struct {
        int dtype;
        const char *name;
        size_t size;
    } cases[] = {
        {CR_DTYPE_F32, "f32", 4},
        {CR_DTYPE_F16, "f16", 2},
        {CR_DTYPE_I32, "i32", 4},
        {CR_DTYPE_U8, "u8", 1},
        {CR_DTYPE_Q8_0, "q8_0", 0},
        {CR_DTYPE_NF4, "nf4", 0},
        {0, "?", 0},
        {7, "?", 0},
        {-1, "?", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_text("name", cr_dtype_name((enum cr_dtype)cases[i].dtype), cases[i].name);
        assert_int_equal(cr_dtype_size((enum cr_dtype)cases[i].dtype), cases[i].size);
        if (strcmp(cases[i].name, "?") != 0)
            assert_int_equal(cr_dtype_find(cases[i].name), cases[i].dtype);
    }
    assert_int_equal(cr_dtype_find("f64"), 0);
    assert_int_equal(cr_dtype_find(""), 0);
}

static void holds_a_copy(void **state)
{
    (void)state;
    int32_t numbers[6] = {1, -2, 3, 4, 5, INT32_MIN}, out[6] = {0};
    struct cr_tensor *tensor;
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_I32, 2, (int64_t[]){2, 3}, numbers, NULL),
                     0);
    numbers[0] = 99;
    assert_int_equal(cr_tensor_dtype(tensor), CR_DTYPE_I32);
    assert_int_equal(cr_tensor_rank(tensor), 2);
    assert_int_equal(cr_tensor_extent(tensor, 0), 2);
    assert_int_equal(cr_tensor_extent(tensor, 1), 3);
    assert_int_equal(cr_tensor_extent(tensor, 2), 1);
    assert_int_equal(cr_tensor_extent(tensor, -1), 1);
    assert_int_equal(cr_tensor_elements(tensor), 6);
    assert_int_equal(cr_tensor_read(tensor, out, sizeof(out), NULL), 0);
    numbers[0] = 1;
    assert_memory_equal(out, numbers, sizeof(out));
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_tensor_read(tensor, out, 23, &err), CR_ERR_ARGUMENT);
    assert_string_equal(err.message, "reading 23 bytes of a tensor that holds 24");
    struct cr_tensor *other = cr_tensor_ref(tensor);
    cr_tensor_unref(&tensor);
    assert_null(tensor);
    assert_int_equal(cr_tensor_elements(other), 6);
    cr_tensor_unref(&other);
    cr_tensor_unref(&other);
    assert_null(cr_tensor_ref(NULL));
}

static const struct {
    int dtype, rank;
    int64_t shape[5];
    int result;
    int64_t elements;
    const char *message;
} shapes[] = {
    {CR_DTYPE_F32, 0, {0}, 0, 1, ""},
    {CR_DTYPE_U8, 4, {1, 2, 3, 4}, 0, 24, ""},
    {CR_DTYPE_F16, 1, {0}, 0, 0, ""},
    {CR_DTYPE_F32, 2, {0, INT64_MAX}, 0, 0, ""},
    {CR_DTYPE_F32, 3, {INT64_MAX, INT64_MAX, 0}, 0, 0, ""},
    {CR_DTYPE_F32, 5, {1, 1, 1, 1, 1}, CR_ERR_ARGUMENT, 0, "a tensor of rank 5: at most 4"},
    {CR_DTYPE_F32, -1, {0}, CR_ERR_ARGUMENT, 0, "a tensor of rank -1: at most 4"},
    {CR_DTYPE_F32, 2, {3, -1}, CR_ERR_ARGUMENT, 0, "extent 1 of a tensor is -1, below 0"},
    {CR_DTYPE_F32, 2, {0, -1}, CR_ERR_ARGUMENT, 0, "extent 1 of a tensor is -1, below 0"},
    {CR_DTYPE_U8, 1, {(int64_t)1 << 31}, CR_ERR_LIMIT, 0, "a tensor of 2^31 elements or more"},
    {CR_DTYPE_U8, 2, {65536, 32768}, CR_ERR_LIMIT, 0, "a tensor of 2^31 elements or more"},
    {CR_DTYPE_U8,
     4,
     {(int64_t)1 << 32, (int64_t)1 << 32, 2, 2},
     CR_ERR_LIMIT,
     0,
     "a tensor of 2^31 elements or more"},
    {9, 1, {1}, CR_ERR_ARGUMENT, 0, "9 is no dtype"},
};

static void checks_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct cr_error err = CR_ERROR_INIT;
        int before;
        struct cr_tensor *tensor = (void *)&before;
        assert_int_equal(cr_tensor_create(&tensor, (enum cr_dtype)shapes[i].dtype, shapes[i].rank,
                                          shapes[i].shape, NULL, &err),
                         shapes[i].result);
        assert_text("message", err.message, shapes[i].message);
        if (shapes[i].result == 0)
            assert_int_equal(cr_tensor_elements(tensor), shapes[i].elements);
        else
            assert_null(tensor);
        cr_tensor_unref(&tensor);
    }
}

static void is_zero_without_data(void **state)
{
    (void)state;
    struct cr_tensor *tensor;
    float out[3] = {1, 1, 1};
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, 1, (int64_t[]){3}, NULL, NULL), 0);
    assert_int_equal(cr_tensor_read(tensor, out, sizeof(out), NULL), 0);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
    cr_tensor_unref(&tensor);
}

static int make(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_tensor *tensor;
    int result = cr_tensor_create(&tensor, CR_DTYPE_U8, 1, (int64_t[]){2}, "ab", err);
    assert_true((result == 0) == (tensor != NULL));
    cr_tensor_unref(&tensor);
    return result;
}

static void fails_cleanly(void **state)
{
    (void)state;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, make, NULL, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_dtypes),  cmocka_unit_test(holds_a_copy),
        cmocka_unit_test(checks_shapes), cmocka_unit_test(is_zero_without_data),
        cmocka_unit_test(fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
