/* SPDX-License-Identifier: MIT */
/* Claims: what is found wrong, and what is loaded. */
#include <errno.h>
#include <math.h>

#include <crayon/memory.h>
#include <crayon/model.h>
#include <crayon/ops.h>

#include "../ops/devices.h"
#include "fault_sweep.h"
#include "safetensors.h"
#include "test.h"
#include "weights.h"

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

static struct cr_device *device;

static int open_device(void **state)
{
    (void)state;
    device = open_best();
    return device == NULL;
}

static int close_device(void **state)
{
    (void)state;
    cr_device_unref(&device);
    return 0;
}

/* A model of these tensors in a folder of this name. */
static struct cr_model *make_model(const char *name, const struct weight *weights, size_t count)
{
    struct cr_model *model;
    struct cr_error err = CR_ERROR_INIT;
    char file[256];
    const char *folder = weights_folder(name);
    snprintf(file, sizeof(file), "%s/model.safetensors", name);
    write_weights(scratch(file), weights, count);
    if (cr_model_open(&model, folder, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return model;
}

static struct cr_claim *new_claim(struct cr_model *model)
{
    struct cr_claim *claim;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_claim_create(&claim, model, &err), 0);
    return claim;
}

static void load(struct cr_claim *claim)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_claim_load(claim, device, NULL, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_numbers(struct cr_tensor **tensor, int rank, const int64_t *shape,
                           const void *numbers, size_t bytes)
{
    struct cr_error err = CR_ERROR_INIT;
    assert_non_null(*tensor);
    assert_int_equal(cr_tensor_rank(*tensor), rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(cr_tensor_extent(*tensor, i), shape[i]);
    void *found = malloc(bytes + 1);
    assert_non_null(found);
    if (cr_tensor_read(*tensor, found, bytes, &err) < 0)
        fail_msg("%s", err.message);
    assert_memory_equal(found, numbers, bytes);
    free(found);
    cr_tensor_unref(tensor);
}

static const float six[6] = {0, -1.5f, 2, 65504, -0.25f, 1e-7f};
static const uint16_t six_halves[6] = {0, 0xBE00, 0x4000, 0x7BFF, 0xB400, 0x0002};

static void converts_numbers(void **state)
{
    (void)state;
    static const uint16_t bf16[2] = {0x3F80, 0xC040};
    static const double f64[2] = {0.1, -3};
    static const int64_t i64[2] = {-5, INT32_MAX};
    static const int16_t i16[2] = {-5, 32767};
    static const uint8_t bytes[2] = {1, 0};
    const struct weight weights[] = {
        {"f32", "F32", 2, {2, 3}, six},   {"f16", "F16", 1, {6}, six_halves},
        {"bf16", "BF16", 1, {2}, bf16},   {"f64", "F64", 1, {2}, f64},
        {"i64", "I64", 1, {2}, i64},      {"i16", "I16", 1, {2}, i16},
        {"bool", "BOOL", 1, {2}, bytes},  {"scalar", "F32", 0, {0}, six + 1},
        {"none", "F32", 2, {0, 4}, NULL},
    };
    struct cr_model *model = make_model("converts", weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *t[12] = {NULL};
    cr_claim_tensor(claim, &t[0], CR_DTYPE_F32, 2, SHAPE(2, 3), 0, "f%d", 32);
    cr_claim_tensor(claim, &t[1], CR_DTYPE_F16, 2, SHAPE(2, -1), 0, "f32");
    cr_claim_tensor(claim, &t[2], CR_DTYPE_F16, 1, SHAPE(6), 0, "f16");
    cr_claim_tensor(claim, &t[3], CR_DTYPE_F32, 1, SHAPE(2), 0, "bf16");
    cr_claim_tensor(claim, &t[4], CR_DTYPE_F32, 1, SHAPE(-1), 0, "f64");
    cr_claim_tensor(claim, &t[5], CR_DTYPE_I32, 1, SHAPE(2), 0, "i64");
    cr_claim_tensor(claim, &t[6], CR_DTYPE_I32, 1, SHAPE(2), 0, "i16");
    cr_claim_tensor(claim, &t[7], CR_DTYPE_I32, 1, SHAPE(2), 0, "bool");
    cr_claim_tensor(claim, &t[8], CR_DTYPE_U8, 1, SHAPE(2), CR_CLAIM_HOST, "bool");
    cr_claim_tensor(claim, &t[9], CR_DTYPE_F32, 0, NULL, 0, "scalar");
    cr_claim_tensor(claim, &t[10], CR_DTYPE_F32, 2, SHAPE(0, 4), 0, "none");
    cr_claim_tensor(claim, &t[11], CR_DTYPE_F32, 2, SHAPE(0, 4), CR_CLAIM_OPTIONAL, "gone");
    assert_int_equal(cr_claim_bytes(claim), 24 + 12 + 12 + 8 + 8 + 8 + 8 + 8 + 4);
    load(claim);
    assert_null(cr_tensor_device(t[8]));
    assert_ptr_equal(cr_tensor_device(t[7]), device);
    assert_numbers(&t[0], 2, SHAPE(2, 3), six, sizeof(six));
    assert_numbers(&t[1], 2, SHAPE(2, 3), six_halves, sizeof(six_halves));
    assert_numbers(&t[2], 1, SHAPE(6), six_halves, sizeof(six_halves));
    assert_numbers(&t[3], 1, SHAPE(2), (const float[]){1, -3}, 8);
    assert_numbers(&t[4], 1, SHAPE(2), (const float[]){0.1f, -3}, 8);
    assert_numbers(&t[5], 1, SHAPE(2), (const int32_t[]){-5, INT32_MAX}, 8);
    assert_numbers(&t[6], 1, SHAPE(2), (const int32_t[]){-5, 32767}, 8);
    assert_numbers(&t[7], 1, SHAPE(2), (const int32_t[]){1, 0}, 8);
    assert_numbers(&t[8], 1, SHAPE(2), bytes, 2);
    assert_numbers(&t[9], 0, NULL, six + 1, 4);
    assert_numbers(&t[10], 2, SHAPE(0, 4), six, 0);
    assert_null(t[11]);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_numbers),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
