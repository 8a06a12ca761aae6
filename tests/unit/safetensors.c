/* SPDX-License-Identifier: MIT */
/* The tests' own reader, on a file written here and on a recorded one. */
#include "safetensors.h"
#include "test.h"

static void reads_a_small_file(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"a\":\"b\"},"
                                 "\"x\":{\"dtype\":\"I32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                                 "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,8]},"
                                 "\"one\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}";
    static const int32_t numbers[2] = {-7, 1 << 30};
    unsigned char bytes[8 + sizeof(header) - 1 + 9] = {sizeof(header) - 1};
    memcpy(bytes + 8, header, sizeof(header) - 1);
    memcpy(bytes + 8 + sizeof(header) - 1, numbers, 8);
    bytes[sizeof(bytes) - 1] = 5;
    write_test_file(scratch("small.safetensors"), bytes, sizeof(bytes));

    struct st_file *file = st_open(scratch("small.safetensors"));
    struct st_tensor x = st_get(file, "x", "I32");
    assert_int_equal(x.rank, 2);
    assert_int_equal(x.shape[0], 2);
    assert_int_equal(x.shape[1], 1);
    assert_memory_equal(x.data, numbers, 8);
    assert_int_equal(st_get(file, "none", "U8").bytes, 0);
    struct st_tensor one = st_get(file, "one", "U8");
    assert_int_equal(one.rank, 0);
    assert_int_equal(one.elements, 1);
    assert_int_equal(*(const uint8_t *)one.data, 5);
    assert_false(st_find(file, "y", &x));
    assert_string_equal(st_name(file, 0), "x");
    assert_string_equal(st_name(file, 2), "one");
    assert_null(st_name(file, 3));
    st_close(&file);
    st_close(&file);
}

static void reads_a_recorded_file(void **state)
{
    (void)state;
    struct st_file *file = st_open(shared_path("goldens/crayon/inputs.safetensors"));
    for (size_t i = 0; st_name(file, i) != NULL; i++) {
        struct st_tensor tensor = st_get(file, st_name(file, i), "I32");
        assert_int_equal(tensor.elements * 4, tensor.bytes);
    }
    assert_non_null(st_name(file, 20));
    st_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_small_file),
        cmocka_unit_test(reads_a_recorded_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
