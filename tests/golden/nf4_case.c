/* SPDX-License-Identifier: MIT */
/* NF4 against recorded numbers (tests/golden/nf4/README.md): tables, codes, scales, second-level
 * codes, dequantised weights and products, at every level of the device. */
#include <math.h>

#include <cjson/cJSON.h>

#include "ops/devices.h"
#include "safetensors.h"

#define ROWS 160
#define COLUMNS 128
#define ELEMENTS (ROWS * COLUMNS)
#define BLOCKS (ELEMENTS / 64)
#define X_ROWS 5

static struct st_file *inputs, *expected, *model;

static int open_files(void **state)
{
    (void)state;
    inputs = st_open(source_path("tests/golden/nf4/inputs.safetensors"));
    expected = st_open(source_path("tests/golden/nf4/expected.safetensors"));
    model = st_open(source_path("tests/golden/nf4/model.safetensors"));
    return 0;
}

static int close_files(void **state)
{
    (void)state;
    st_close(&inputs);
    st_close(&expected);
    st_close(&model);
    return 0;
}

/* "f16" and "absmax": the tensor "f16.absmax". */
static struct st_tensor recorded(const char *kind, const char *name, const char *dtype)
{
    char full[64];
    snprintf(full, sizeof(full), "%s.%s", kind, name);
    return st_get(expected, full, dtype);
}

static void assert_same(const char *what, const void *got, const struct st_tensor *tensor)
{
    if (memcmp(got, tensor->data, tensor->bytes) != 0)
        fail_msg("%s: other bits than recorded", what);
}

static void assert_near(const char *what, const float *got, const struct st_tensor *tensor,
                        double absolute, double relative)
{
    const float *wanted = tensor->data;
    for (int64_t i = 0; i < tensor->elements; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= absolute + relative * fabs((double)wanted[i])))
            fail_msg("%s[%lld] is %.9g, recorded %.9g", what, (long long)i, (double)got[i],
                     (double)wanted[i]);
}

static void test_tables(void **state)
{
    (void)state;
    struct st_tensor codes = st_get(inputs, "nf4_code", "F32");
    struct st_tensor map = st_get(inputs, "dynamic_map", "F32");
    assert_same("the 16 values", cr_nf4_values(), &codes);
    assert_same("the dynamic map", cr_dynamic_map(), &map);
}

/* ---- Quantising ---- */

/* The recorded weight on the device as f32; f16 ones are converted there. */
static struct cr_tensor *upload_weight(struct cr_device *device, const char *kind)
{
    struct cr_tensor *given = NULL, *weight = NULL;
    struct cr_error err = CR_ERROR_INIT;
    const int64_t shape[2] = {ROWS, COLUMNS};
    bool half = strcmp(kind, "f16") == 0;
    struct st_tensor tensor =
        st_get(inputs, half ? "f16.weight" : "f32.weight", half ? "F16" : "F32");
    assert_int_equal(cr_tensor_upload(&given, device, half ? CR_DTYPE_F16 : CR_DTYPE_F32, 2, shape,
                                      tensor.data, &err),
                     0);
    assert_int_equal(cr_op_cast(&weight, given, CR_DTYPE_F32, &err), 0);
    cr_tensor_unref(&given);
    return weight;
}

struct planes {
    uint8_t codes[ELEMENTS / 2], nested_codes[BLOCKS];
    float absmax[BLOCKS], nested[2], map[256], offset;
};

static struct cr_tensor *quantise(struct cr_device *device, const char *kind, bool nested,
                                  struct planes *planes)
{
    struct cr_tensor *weight = upload_weight(device, kind), *result = NULL;
    struct cr_error err = CR_ERROR_INIT;
    bool is_nested;
    assert_int_equal(cr_op_quantize(&result, weight, CR_DTYPE_NF4, nested, &err), 0);
    assert_int_equal(
        cr_tensor_read_quantized(result, planes->codes,
                                 nested ? (void *)planes->nested_codes : (void *)planes->absmax,
                                 planes->nested, planes->map, &planes->offset, &is_nested, &err),
        0);
    assert_true(is_nested == nested);
    cr_tensor_unref(&weight);
    return result;
}

static void check_planes(struct cr_device *device, const char *kind)
{
    struct planes planes;
    struct st_tensor packed = recorded(kind, "packed", "U8");
    struct st_tensor absmax = recorded(kind, "absmax", "F32");
    struct st_tensor codes = recorded(kind, "absmax_codes", "U8");
    struct st_tensor nested = recorded(kind, "nested_absmax", "F32");
    struct st_tensor offset = recorded(kind, "offset", "F32");
    struct cr_tensor *single = quantise(device, kind, false, &planes);
    assert_same("packed", planes.codes, &packed);
    assert_same("absmax", planes.absmax, &absmax);
    memset(&planes, 0, sizeof(planes));
    struct cr_tensor *twice = quantise(device, kind, true, &planes);
    assert_same("packed, doubly quantised", planes.codes, &packed);
    assert_same("absmax_codes", planes.nested_codes, &codes);
    assert_near("nested_absmax", planes.nested, &nested, 0, 1e-6);
    assert_near("offset", &planes.offset, &offset, 0, 1e-6);
    assert_memory_equal(planes.map, cr_dynamic_map(), sizeof(planes.map));
    cr_tensor_unref(&single);
    cr_tensor_unref(&twice);
}

/* ---- Dequantising and products ---- */

static void check_dequantised(struct cr_tensor *quantised, const char *kind, const char *name)
{
    static float numbers[ELEMENTS];
    static uint16_t halves[ELEMENTS];
    struct cr_tensor *dense = NULL;
    struct cr_error err = CR_ERROR_INIT;
    bool half = strcmp(kind, "f16") == 0;
    struct st_tensor tensor = recorded(kind, name, half ? "F16" : "F32");
    assert_int_equal(cr_op_dequantize(&dense, quantised, half ? CR_DTYPE_F16 : CR_DTYPE_F32, &err),
                     0);
    if (half) {
        /* absmax' may differ in its last bit, which may move a half to its neighbour */
        assert_int_equal(cr_tensor_read(dense, halves, sizeof(halves), &err), 0);
        for (int i = 0; i < ELEMENTS; i++)
            assert_true(abs(halves[i] - ((const uint16_t *)tensor.data)[i]) <= 1);
    } else {
        assert_int_equal(cr_tensor_read(dense, numbers, sizeof(numbers), &err), 0);
        assert_near(name, numbers, &tensor, 0, 1e-6);
    }
    cr_tensor_unref(&dense);
}

static void check_product(struct cr_device *device, struct cr_tensor *weight, const char *kind,
                          double absolute, double relative)
{
    char name[16];
    float y[X_ROWS * ROWS];
    struct cr_tensor *x = NULL, *product = NULL;
    struct cr_error err = CR_ERROR_INIT;
    const int64_t shape[2] = {X_ROWS, COLUMNS};
    struct st_tensor wanted = recorded(kind, "y", "F32");
    snprintf(name, sizeof(name), "%s.x", kind);
    assert_int_equal(cr_tensor_upload(&x, device, CR_DTYPE_F32, 2, shape,
                                      st_get(inputs, name, "F32").data, &err),
                     0);
    assert_int_equal(cr_op_linear(&product, x, weight, NULL, &err), 0);
    assert_int_equal(cr_tensor_read(product, y, sizeof(y), &err), 0);
    assert_near("y", y, &wanted, absolute, relative);
    cr_tensor_unref(&x);
    cr_tensor_unref(&product);
}

static void for_all_levels(void (*check)(struct cr_device *device, const char *kind))
{
    const struct level *levels;
    size_t count = test_levels(&levels);
    for (size_t i = 0; i < count; i++)
        for (int threads = 1; threads <= (test_vulkan() != NULL ? 1 : 2); threads++) {
            struct cr_device *device = open_level(&levels[i], threads);
            check(device, "f32");
            check(device, "f16");
            cr_device_unref(&device);
        }
}

static void test_quantise(void **state)
{
    (void)state;
    for_all_levels(check_planes);
}

static void check_both(struct cr_device *device, const char *kind)
{
    static struct planes planes;
    struct cr_tensor *single = quantise(device, kind, false, &planes);
    struct cr_tensor *twice = quantise(device, kind, true, &planes);
    check_dequantised(single, kind, "dequant_single");
    check_dequantised(twice, kind, "dequant");
    cr_tensor_unref(&single);
    cr_tensor_unref(&twice);
}

static void test_dequantise(void **state)
{
    (void)state;
    for_all_levels(check_both);
}

static void check_products(struct cr_device *device, const char *kind)
{
    static struct planes planes;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *twice = quantise(device, kind, true, &planes), *dense = NULL;
    bool half = strcmp(kind, "f16") == 0;
    /* y was recorded with weights rounded to halves, which the product itself does not do */
    check_product(device, twice, kind, half ? 5e-4 : 2e-5, half ? 5e-4 : 0);
    assert_int_equal(cr_op_dequantize(&dense, twice, half ? CR_DTYPE_F16 : CR_DTYPE_F32, &err), 0);
    check_product(device, dense, kind, 2e-5, 0);
    cr_tensor_unref(&twice);
    cr_tensor_unref(&dense);
}

static void test_products(void **state)
{
    (void)state;
    for_all_levels(check_products);
}

/* ---- A file as bitsandbytes writes it ---- */

static struct cr_tensor *load_model(struct cr_device *device)
{
    struct cr_tensor *weight = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct st_tensor text = st_get(model, "layer.weight.quant_state.bitsandbytes__nf4", "U8");
    cJSON *json = cJSON_ParseWithLength(text.data, text.bytes);
    assert_non_null(json);
    struct cr_quantized parts = {
        .codes = st_get(model, "layer.weight", "U8").data,
        .scales = st_get(model, "layer.weight.absmax", "U8").data,
        .nested_absmax = st_get(model, "layer.weight.nested_absmax", "F32").data,
        .nested_map = st_get(model, "layer.weight.nested_quant_map", "F32").data,
        .nested_offset =
            (float)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "nested_offset")),
    };
    cJSON_Delete(json);
    assert_int_equal(
        cr_tensor_upload_quantized(&weight, device, CR_DTYPE_NF4, ROWS, COLUMNS, &parts, &err), 0);
    return weight;
}

static void check_model(struct cr_device *device, const char *kind)
{
    if (strcmp(kind, "f16") != 0)
        return;
    struct cr_tensor *weight = load_model(device);
    check_dequantised(weight, kind, "dequant");
    check_product(device, weight, kind, 5e-4, 5e-4); /* as in matmul.case.json */
    cr_tensor_unref(&weight);
}

static void test_model(void **state)
{
    (void)state;
    for_all_levels(check_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),     cmocka_unit_test(test_quantise),
        cmocka_unit_test(test_dequantise), cmocka_unit_test(test_products),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
