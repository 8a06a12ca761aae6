/* SPDX-License-Identifier: MIT */
/* Claims: what is found wrong, and what is loaded. */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include <crayon/memory.h>
#include <crayon/model.h>
#include <crayon/ops.h>

#include "../ops/devices.h"
#include "fault_sweep.h"
#include "safetensors.h"
#include "tensor/device.h"
#include "tensor/reference.h"
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

#define MANY 1500001 /* numbers: several pieces, the last one odd */

static void load_many(struct cr_model *model, struct cr_device *on, const uint16_t *halves,
                      const float *floats, uint32_t flags)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *half = NULL, *wide = NULL;
    cr_claim_tensor(claim, &half, CR_DTYPE_F16, 1, SHAPE(MANY), flags, "many");
    cr_claim_tensor(claim, &wide, CR_DTYPE_F32, 1, SHAPE(MANY), flags, "many");
    if (cr_claim_load(claim, on, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_numbers(&half, 1, SHAPE(MANY), halves, MANY * sizeof(*halves));
    assert_numbers(&wide, 1, SHAPE(MANY), floats, MANY * sizeof(*floats));
    cr_claim_destroy(&claim);
}

/* Straight into the memory of the host or of a device, and through a device that has to be asked.
 */
static void fills_tensors_in_pieces(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    uint16_t *halves = malloc(MANY * sizeof(*halves));
    float *floats = malloc(MANY * sizeof(*floats));
    assert_true(halves != NULL && floats != NULL);
    for (int i = 0; i < MANY; i++) {
        halves[i] = (uint16_t)(i * 40503u % 0x7C00u);
        floats[i] = (float)cr_half_number(halves[i]);
    }
    const struct weight weight = {"many", "F16", 1, {MANY}, halves};
    struct cr_model *model = make_model("many", &weight, 1);
    load_many(model, device, halves, floats, 0);
    load_many(model, device, halves, floats, CR_CLAIM_HOST);
    const struct cr_element *element =
        cr_registry_find(test_registry(), CR_ELEMENT_DEVICE, "device-cpu", NULL);
    struct cr_device_ops ops = *element->device;
    struct cr_device *distant = NULL;
    assert_non_null(ops.map);
    ops.map = NULL;
    assert_int_equal(cr_device_create(&distant, &ops, element->state_size, "", NULL, &err), 0);
    load_many(model, distant, halves, floats, 0);
    cr_device_unref(&distant);
    cr_model_unref(&model);
    free(halves);
    free(floats);
}

/* ---- What is wrong ---- */

static void assert_problems(struct cr_claim *claim, const char *folder, const char *message)
{
    struct cr_error err = CR_ERROR_INIT;
    char expected[2048];
    snprintf(expected, sizeof(expected), "%s: %s", folder, message);
    assert_int_equal(cr_claim_check(claim, &err), CR_ERR_FORMAT);
    assert_text(message, err.message, expected);
    cr_error_clear(&err);
    assert_int_equal(cr_claim_load(claim, device, NULL, &err), CR_ERR_FORMAT);
    assert_text(message, err.message, expected);
}

static void reports_all_problems_at_once(void **state)
{
    (void)state;
    const struct weight weights[] = {
        {"a.w", "F32", 2, {2, 3}, NULL},   {"a.i", "I64", 1, {2}, NULL},
        {"a.c", "U8", 1, {4}, NULL},       {"a.extra", "F32", 1, {1}, NULL},
        {"a.skip.1", "F32", 1, {1}, NULL}, {"b.w", "F32", 1, {1}, NULL},
    };
    struct cr_model *model = make_model("problems", weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *t[8] = {NULL};
    cr_claim_prefix(claim, "a.");
    cr_claim_ignore(claim, "*.skip.*");
    cr_claim_tensor(claim, &t[0], CR_DTYPE_F32, 2, SHAPE(3, 2), 0, "a.w");
    cr_claim_tensor(claim, &t[1], CR_DTYPE_F32, 1, SHAPE(2), 0, "a.i");
    cr_claim_tensor(claim, &t[2], CR_DTYPE_F16, 1, SHAPE(4), 0, "a.c");
    cr_claim_tensor(claim, &t[3], CR_DTYPE_F32, 1, SHAPE(4), 0, "a.gone");
    cr_claim_tensor(claim, &t[4], CR_DTYPE_F32, 1, SHAPE(4), CR_CLAIM_OPTIONAL, "a.may");
    cr_claim_tensor(claim, &t[5], CR_DTYPE_NF4, 2, SHAPE(2, -1), CR_CLAIM_HOST, "a.w");
    cr_claim_parts(claim, &t[6], CR_DTYPE_F32, 2, SHAPE(-1, 3), 0,
                   (const struct cr_claim_part[]){{"a.w", 1, 5}}, 1);
    cr_claim_parts(claim, &t[7], CR_DTYPE_F32, 1, SHAPE(-1), 0,
                   (const struct cr_claim_part[]){{"a.w", 0, 0}, {"b.w", 0, 0}}, 2);
    assert_problems(claim, cr_model_folder(model),
                    "8 problems with its tensors: \"a.w\" is [2, 3], [3, 2] is needed; "
                    "\"a.i\" is I64, which cannot become f32; "
                    "\"a.c\" is U8, which cannot become f16; \"a.gone\" is missing; "
                    "\"a.w\" is claimed as nf4, which only matrices on a device can be; "
                    "\"a.w\" has 2 rows, 5 from 1 on are wanted; "
                    "\"b.w\" has rows of 1, \"a.w\" of 3; they cannot be put together; "
                    "\"a.extra\" is not expected");
    for (size_t i = 0; i < COUNT(t); i++)
        assert_null(t[i]);
    cr_claim_destroy(&claim);
    claim = new_claim(model);
    for (int i = 0; i < 30; i++)
        cr_claim_tensor(claim, &t[0], CR_DTYPE_F32, 1, SHAPE(1), 0, "gone.%d", i);
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_claim_check(claim, &err), CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, ": 30 problems with its tensors: \"gone.0\" is missing; "));
    assert_non_null(strstr(err.message, "\"gone.19\" is missing; and 10 more"));
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

static void matches_shapes(void **state)
{
    (void)state;
    const struct weight weights[] = {
        {"conv", "U8", 4, {6, 3, 2, 2}, NULL},
        {"row", "U8", 2, {1, 12}, NULL},
        {"point", "U8", 4, {5, 1, 1, 1}, NULL},
        {"one", "U8", 2, {1, 1}, NULL},
        {"mid", "U8", 4, {1, 4, 1, 3}, NULL},
        {"vast", "U8", 3, {0, INT64_C(1) << 50, INT64_C(1) << 50}, NULL},
        {"none", "U8", 2, {0, 7}, NULL},
    };
    static const struct {
        const char *name;
        int rank;
        int64_t shape[4], result[4];
        bool fits;
    } cases[] = {
        {"conv", 2, {6, 12}, {6, 12}, true},
        {"conv", 2, {-1, 12}, {6, 12}, true},
        {"conv", 2, {6, -1}, {6, 12}, true},
        {"conv", 4, {-1, -1, -1, -1}, {6, 3, 2, 2}, true},
        {"conv", 2, {12, 6}, {0}, false},
        {"conv", 1, {72}, {0}, false},
        {"conv", 3, {-1, -1, 4}, {0}, false},
        {"conv", 2, {-1, 5}, {0}, false},
        {"row", 1, {12}, {12}, true},
        {"row", 1, {-1}, {12}, true},
        {"row", 2, {12, 1}, {12, 1}, true},
        {"row", 2, {-1, -1}, {1, 12}, true},
        {"row", 2, {3, 4}, {0}, false},
        {"point", 1, {5}, {5}, true},
        {"point", 2, {5, 1}, {5, 1}, true},
        {"one", 0, {0}, {0}, true},
        {"one", 1, {1}, {1}, true},
        {"one", 1, {-1}, {1}, true},
        {"one", 1, {2}, {0}, false},
        {"mid", 2, {4, 3}, {4, 3}, true},
        {"mid", 3, {-1, -1, -1}, {4, 1, 3}, true},
        {"vast", 3, {-1, -1, -1}, {0}, false},
        {"vast", 1, {0}, {0}, false},
        {"none", 2, {0, 7}, {0, 7}, true},
    };
    struct cr_model *model = make_model("shapes", weights, COUNT(weights));
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_claim *claim = new_claim(model);
        struct cr_tensor *tensor = NULL;
        struct cr_error err = CR_ERROR_INIT;
        cr_claim_tensor(claim, &tensor, CR_DTYPE_U8, cases[i].rank, cases[i].shape, 0, "%s",
                        cases[i].name);
        int result = cr_claim_load(claim, device, NULL, &err);
        if ((result == 0) != cases[i].fits)
            fail_msg("case %zu of %s: %s", i, cases[i].name, err.message);
        for (int j = 0; j < cases[i].rank && result == 0; j++)
            assert_int_equal(cr_tensor_extent(tensor, j), cases[i].result[j]);
        cr_tensor_unref(&tensor);
        cr_claim_destroy(&claim);
    }
    cr_model_unref(&model);
}

static void names_the_number_that_does_not_fit(void **state)
{
    (void)state;
    static const int64_t big[3] = {1, -2147483648, 2147483648};
    static const float large[2] = {65519, -65520}, infinite[2] = {INFINITY, 1};
    const struct weight weights[] = {
        {"i", "I64", 1, {3}, big}, {"f", "F32", 1, {2}, large}, {"inf", "F32", 1, {2}, infinite}};
    struct cr_model *model = make_model("ranges", weights, COUNT(weights));
    static const struct {
        const char *name;
        enum cr_dtype dtype;
        const char *message;
    } cases[] = {
        {"i", CR_DTYPE_I32, ": number 2 of \"i\" (I64) is out of the range of i32"},
        {"f", CR_DTYPE_F16, ": number 1 of \"f\" (F32) is out of the range of f16"},
        {"inf", CR_DTYPE_F16, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_claim *claim = new_claim(model);
        struct cr_tensor *tensor = NULL;
        struct cr_error err = CR_ERROR_INIT;
        cr_claim_tensor(claim, &tensor, cases[i].dtype, 1, SHAPE(-1), 0, "%s", cases[i].name);
        int result = cr_claim_load(claim, device, NULL, &err);
        assert_int_equal(result, cases[i].message == NULL ? 0 : CR_ERR_FORMAT);
        if (cases[i].message != NULL) {
            assert_non_null(strstr(err.message, cases[i].message));
            assert_non_null(strstr(err.message, "model.safetensors"));
            assert_null(tensor);
        }
        cr_tensor_unref(&tensor);
        cr_claim_destroy(&claim);
    }
    cr_model_unref(&model);
}

/* ---- Quantising ---- */

/* All planes of a quantised matrix. */
struct planes {
    unsigned char *codes, *scales;
    float nested[4096], map[256], offset;
    bool is_nested;
    size_t codes_size, scales_size, groups;
};

static void read_planes(const struct cr_tensor *tensor, struct planes *planes)
{
    struct cr_error err = CR_ERROR_INIT;
    size_t n = (size_t)cr_tensor_elements(tensor);
    bool nf4 = cr_tensor_dtype(tensor) == CR_DTYPE_NF4;
    size_t blocks = nf4 ? (n + 63) / 64 : (n + 31) / 32;
    memset(planes, 0, sizeof(*planes));
    planes->codes = calloc(1, n + 1);
    planes->scales = calloc(blocks + 1, 4);
    assert_true(planes->codes != NULL && planes->scales != NULL);
    assert_int_equal(cr_tensor_read_quantized(tensor, planes->codes, planes->scales, planes->nested,
                                              planes->map, &planes->offset, &planes->is_nested,
                                              &err),
                     0);
    planes->codes_size = nf4 ? (n + 1) / 2 : n;
    planes->scales_size = blocks * (!nf4 ? 2 : planes->is_nested ? 1 : 4);
    planes->groups = planes->is_nested ? (blocks + 255) / 256 : 0;
}

static void free_planes(struct planes *planes)
{
    free(planes->codes);
    free(planes->scales);
}

/* Bit for bit. */
static void assert_same_matrix(const struct cr_tensor *a, const struct cr_tensor *b)
{
    static struct planes x, y;
    assert_true(a != NULL && b != NULL);
    assert_int_equal(cr_tensor_dtype(a), cr_tensor_dtype(b));
    assert_int_equal(cr_tensor_elements(a), cr_tensor_elements(b));
    read_planes(a, &x);
    read_planes(b, &y);
    assert_int_equal(x.is_nested, y.is_nested);
    assert_memory_equal(x.codes, y.codes, x.codes_size);
    assert_memory_equal(x.scales, y.scales, x.scales_size);
    assert_memory_equal(x.nested, y.nested, x.groups * sizeof(float));
    if (x.is_nested) {
        assert_memory_equal(x.map, y.map, sizeof(x.map));
        assert_memory_equal(&x.offset, &y.offset, sizeof(float));
    }
    free_planes(&x);
    free_planes(&y);
}

/* Numbers of all sizes, with blocks of zeros between. */
static void fill(float *numbers, size_t count)
{
    uint32_t seed = 12345;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        float unit = (float)(seed >> 8) / 8388608 - 1;
        numbers[i] = i / 64 % 7 == 3 ? 0 : unit * unit * unit * (float)(1 + i / 64 % 5);
    }
}

/* The halves of these numbers; the numbers become those of the halves. */
static uint16_t *halve(float *numbers, size_t count)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = NULL, *half = NULL, *back = NULL;
    const int64_t shape[1] = {(int64_t)count};
    uint16_t *halves = malloc(count * 2);
    assert_non_null(halves);
    assert_int_equal(cr_tensor_upload(&x, device, CR_DTYPE_F32, 1, shape, numbers, &err), 0);
    assert_int_equal(cr_op_cast(&half, x, CR_DTYPE_F16, &err), 0);
    assert_int_equal(cr_op_cast(&back, half, CR_DTYPE_F32, &err), 0);
    assert_int_equal(cr_tensor_read(half, halves, count * 2, &err), 0);
    assert_int_equal(cr_tensor_read(back, numbers, count * 4, &err), 0);
    cr_tensor_unref(&x);
    cr_tensor_unref(&half);
    cr_tensor_unref(&back);
    return halves;
}

static struct cr_tensor *quantize(const float *numbers, int64_t rows, int64_t columns,
                                  enum cr_dtype dtype, bool nested)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = NULL, *y = NULL;
    assert_int_equal(
        cr_tensor_upload(&x, device, CR_DTYPE_F32, 2, SHAPE(rows, columns), numbers, &err), 0);
    if (cr_op_quantize(&y, x, dtype, nested, &err) < 0)
        fail_msg("%s", err.message);
    cr_tensor_unref(&x);
    return y;
}

static void check_quantised(const char *folder, int64_t rows, int64_t columns)
{
    size_t count = (size_t)(rows * columns);
    float *numbers = malloc(count * sizeof(float));
    assert_non_null(numbers);
    fill(numbers, count);
    uint16_t *halves = halve(numbers, count);
    const struct weight weights[] = {{"w", "F16", 2, {rows, columns}, halves},
                                     {"x", "F32", 2, {rows, columns}, numbers}};
    struct cr_model *model = make_model(folder, weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *t[4] = {NULL};
    cr_claim_tensor(claim, &t[0], CR_DTYPE_Q8_0, 2, SHAPE(rows, columns), 0, "w");
    cr_claim_tensor(claim, &t[1], CR_DTYPE_NF4, 2, SHAPE(rows, columns), 0, "w");
    cr_claim_tensor(claim, &t[2], CR_DTYPE_NF4, 2, SHAPE(rows, columns), CR_CLAIM_NESTED, "w");
    cr_claim_tensor(claim, &t[3], CR_DTYPE_NF4, 2, SHAPE(rows, columns), CR_CLAIM_NESTED, "x");
    load(claim);
    for (size_t i = 0; i < COUNT(t); i++) {
        struct cr_tensor *wanted =
            quantize(numbers, rows, columns, i == 0 ? CR_DTYPE_Q8_0 : CR_DTYPE_NF4, i >= 2);
        assert_same_matrix(t[i], wanted);
        cr_tensor_unref(&wanted);
        cr_tensor_unref(&t[i]);
    }
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
    free(halves);
    free(numbers);
}

/* The sizes: one element; short last blocks, odd; several strips; several pieces and groups. */
static void quantises_as_devices_do(void **state)
{
    (void)state;
    check_quantised("quantise-1", 1, 1);
    check_quantised("quantise-2", 3, 37);
    check_quantised("quantise-3", 5, 13);
    check_quantised("quantise-4", 300, 512);
    check_quantised("quantise-5", 1030, 2049);
}

static void refuses_to_quantise_what_is_not_finite(void **state)
{
    (void)state;
    static float numbers[3 * 64];
    fill(numbers, COUNT(numbers));
    numbers[2 * 64 + 5] = NAN;
    const struct weight weights[] = {{"bad", "F32", 2, {3, 64}, numbers},
                                     {"good", "F32", 2, {2, 64}, numbers}};
    struct cr_model *model = make_model("nan", weights, COUNT(weights));
    for (int i = 0; i < 2; i++) {
        struct cr_claim *claim = new_claim(model);
        struct cr_tensor *bad = NULL, *good = NULL;
        struct cr_error err = CR_ERROR_INIT;
        enum cr_dtype dtype = i == 0 ? CR_DTYPE_NF4 : CR_DTYPE_Q8_0;
        cr_claim_tensor(claim, &good, dtype, 2, SHAPE(2, 64), 0, "good");
        cr_claim_tensor(claim, &bad, dtype, 2, SHAPE(3, 64), CR_CLAIM_NESTED, "bad");
        assert_int_equal(cr_claim_load(claim, device, NULL, &err), CR_ERR_FORMAT);
        assert_non_null(strstr(err.message, "\"bad\" holds a NaN at [2, 5] of the matrix, which "
                                            "cannot be quantised"));
        assert_null(good);
        assert_null(bad);
        cr_claim_destroy(&claim);
    }
    cr_model_unref(&model);
}

/* ---- Parts ---- */

static void puts_rows_together(void **state)
{
    (void)state;
    static float numbers[8 * 40];
    fill(numbers, COUNT(numbers));
    const struct weight weights[] = {{"a", "F32", 2, {5, 40}, numbers},
                                     {"b", "F32", 2, {3, 40}, numbers + 200},
                                     {"v", "F32", 1, {8}, numbers}};
    struct cr_model *model = make_model("parts", weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *whole = NULL, *some = NULL, *packed = NULL, *vector = NULL;
    const struct cr_claim_part both[] = {{"a", 0, 0}, {"b", 0, 0}};
    const struct cr_claim_part rows[] = {{"b", 2, 1}, {"a", 1, 2}, {"b", 0, 1}};
    cr_claim_parts(claim, &whole, CR_DTYPE_F32, 2, SHAPE(8, 40), 0, both, 2);
    cr_claim_parts(claim, &some, CR_DTYPE_F32, 2, SHAPE(-1, 40), 0, rows, 3);
    cr_claim_parts(claim, &packed, CR_DTYPE_NF4, 2, SHAPE(8, 40), CR_CLAIM_NESTED, both, 2);
    cr_claim_parts(claim, &vector, CR_DTYPE_F32, 1, SHAPE(3), 0,
                   (const struct cr_claim_part[]){{"v", 5, 0}}, 1);
    load(claim);
    float expected[4 * 40];
    memcpy(expected, numbers + 280, 160);
    memcpy(expected + 40, numbers + 40, 320);
    memcpy(expected + 120, numbers + 200, 160);
    struct cr_tensor *wanted = quantize(numbers, 8, 40, CR_DTYPE_NF4, true);
    assert_same_matrix(packed, wanted);
    assert_numbers(&whole, 2, SHAPE(8, 40), numbers, sizeof(numbers));
    assert_numbers(&some, 2, SHAPE(4, 40), expected, sizeof(expected));
    assert_numbers(&vector, 1, SHAPE(3), numbers + 5, 12);
    cr_tensor_unref(&packed);
    cr_tensor_unref(&wanted);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

/* ---- Saved in NF4 ---- */

static struct cr_model *open_folder(const char *folder)
{
    struct cr_model *model;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_model_open(&model, folder, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return model;
}

static void assert_f32(const struct cr_tensor *tensor, const float *numbers, size_t count)
{
    struct cr_error err = CR_ERROR_INIT;
    float *found = malloc(count * sizeof(float));
    assert_non_null(found);
    assert_int_equal(cr_tensor_read(tensor, found, count * sizeof(float), &err), 0);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(found[i] - numbers[i]) <= 1e-6f * fabsf(numbers[i])))
            fail_msg("number %zu is %g, not %g", i, (double)found[i], (double)numbers[i]);
    free(found);
}

/* tests/golden/nf4/model.safetensors, recorded as bitsandbytes writes it: 160 x 128. */
static void loads_what_bitsandbytes_saved(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_model *model = open_folder(source_path("tests/golden/nf4"));
    struct st_file *recorded = st_open(source_path("tests/golden/nf4/model.safetensors"));
    struct st_file *expected = st_open(source_path("tests/golden/nf4/expected.safetensors"));
    const uint16_t *halves = st_get(expected, "f16.dequant", "F16").data;
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *saved = NULL, *dense = NULL, *half = NULL, *rows = NULL, *again = NULL,
                     *back = NULL;
    cr_claim_prefix(claim, "layer.");
    cr_claim_tensor(claim, &saved, CR_DTYPE_NF4, 2, SHAPE(160, 128), 0, "layer.weight");
    cr_claim_tensor(claim, &dense, CR_DTYPE_F32, 2, SHAPE(160, -1), 0, "layer.weight");
    cr_claim_tensor(claim, &half, CR_DTYPE_F16, 2, SHAPE(160, 128), CR_CLAIM_HOST, "layer.weight");
    cr_claim_parts(claim, &rows, CR_DTYPE_NF4, 2, SHAPE(7, 128), 0,
                   (const struct cr_claim_part[]){{"layer.weight", 131, 7}}, 1);
    cr_claim_tensor(claim, &again, CR_DTYPE_Q8_0, 2, SHAPE(160, 128), 0, "layer.weight");
    load(claim);
    static struct planes planes;
    read_planes(saved, &planes);
    assert_true(planes.is_nested);
    assert_memory_equal(planes.codes, st_get(recorded, "layer.weight", "U8").data, 10240);
    assert_memory_equal(planes.scales, st_get(recorded, "layer.weight.absmax", "U8").data, 320);
    assert_memory_equal(planes.nested, st_get(recorded, "layer.weight.nested_absmax", "F32").data,
                        8);
    assert_memory_equal(planes.map, st_get(recorded, "layer.weight.nested_quant_map", "F32").data,
                        1024);
    assert_true(planes.offset == 0.09452180564403534f);
    free_planes(&planes);
    assert_numbers(&half, 2, SHAPE(160, 128), halves, 160 * 128 * 2);
    /* Rows by themselves mean the same numbers. */
    static float numbers[160 * 128];
    assert_int_equal(cr_tensor_read(dense, numbers, sizeof(numbers), &err), 0);
    assert_int_equal(cr_op_dequantize(&back, rows, CR_DTYPE_F32, &err), 0);
    assert_f32(back, numbers + 131 * 128, 7 * 128);
    struct cr_tensor *wanted = quantize(numbers, 160, 128, CR_DTYPE_Q8_0, false);
    assert_same_matrix(again, wanted);
    struct cr_tensor *all[] = {saved, dense, rows, again, back, wanted};
    for (size_t i = 0; i < COUNT(all); i++)
        cr_tensor_unref(&all[i]);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
    st_close(&recorded);
    st_close(&expected);
}

/* A matrix in NF4 of 3 rows of 64: what is saved of it, to be spoilt by tests. */
struct saved {
    uint8_t codes[96];
    float absmax[3];
    const char *state;
};

static void set_saved(struct saved *saved)
{
    for (int i = 0; i < 96; i++)
        saved->codes[i] = (uint8_t)(i * 37);
    for (int i = 0; i < 3; i++)
        saved->absmax[i] = (float)(i + 1) / 8;
    saved->state =
        "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"bfloat16\",\"shape\":[3,64]}";
}

static void refuses_what_it_cannot_read(void **state)
{
    (void)state;
    struct saved saved;
    set_saved(&saved);
    float other[16];
    memcpy(other, cr_nf4_values(), sizeof(other));
    other[3] += 0.01f;
    static const char *const states[] = {
        NULL,
        "{\"quant_type\":\"fp4\",\"blocksize\":128,\"shape\":[3,64]}",
        "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[3,65]}",
        "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[3,-64]}",
        "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[99999999999,99999999999]}",
        "[]",
        NULL, /* another table */
        NULL, /* no absmax */
    };
    static const char *const messages[] = {
        NULL,
        "quant_state.bitsandbytes__nf4: /quant_type: is \"fp4\", not \"nf4\"; /blocksize: 128 is "
        "outside 64..64",
        "\"m\" holds 96 bytes of codes, its shape [3, 65] takes 98",
        "/shape/1: -64 is outside 0..1099511627776",
        "/shape: makes more elements than can be counted",
        "holds a list, an object is needed",
        "\"m.quant_map\": number 3 is -0.384917, in the table of NF4 it is -0.394917",
        "\"m.absmax\" is missing, a part of a quantised matrix",
    };
    for (size_t i = 0; i < COUNT(states); i++) {
        char folder[32];
        const char *text = states[i] != NULL ? states[i] : saved.state;
        snprintf(folder, sizeof(folder), "refused-%zu", i);
        const struct weight weights[] = {
            {"m", "BF16", 2, {48, 1}, saved.codes}, /* quant_storage: bf16 */
            {"m.quant_state.bitsandbytes__nf4", "U8", 1, {(int64_t)strlen(text)}, text},
            {"m.quant_map", "F32", 1, {16}, i == 6 ? other : cr_nf4_values()},
            {i == 7 ? "other" : "m.absmax", "F32", 1, {3}, saved.absmax},
        };
        struct cr_model *model = make_model(folder, weights, COUNT(weights));
        struct cr_claim *claim = new_claim(model);
        struct cr_tensor *tensor = NULL;
        struct cr_error err = CR_ERROR_INIT;
        cr_claim_tensor(claim, &tensor, CR_DTYPE_NF4, 2, SHAPE(3, 64), 0, "m");
        assert_int_equal(cr_claim_load(claim, device, NULL, &err),
                         messages[i] == NULL ? 0 : CR_ERR_FORMAT);
        if (messages[i] != NULL && strstr(err.message, messages[i]) == NULL)
            fail_msg("%s\nlacks %s", err.message, messages[i]);
        cr_tensor_unref(&tensor);
        cr_claim_destroy(&claim);
        cr_model_unref(&model);
    }
}

static void keeps_nf4_in_whole_blocks_only(void **state)
{
    (void)state;
    struct saved saved;
    set_saved(&saved);
    const char *text = "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[6,32]}";
    const struct weight weights[] = {
        {"m", "U8", 2, {96, 1}, saved.codes},
        {"m.quant_state.bitsandbytes__nf4", "U8", 1, {(int64_t)strlen(text)}, text},
        {"m.quant_map", "F32", 1, {16}, cr_nf4_values()},
        {"m.absmax", "F32", 1, {3}, saved.absmax},
        {"f", "F32", 2, {2, 32}, NULL},
    };
    struct cr_model *model = make_model("blocks", weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *t[3] = {NULL}, *back = NULL;
    const struct cr_claim_part good[] = {{"m", 2, 2}, {"m", 0, 1}};
    cr_claim_parts(claim, &t[0], CR_DTYPE_NF4, 2, SHAPE(3, 32), 0, good, 2);
    cr_claim_tensor(claim, &t[1], CR_DTYPE_F32, 2, SHAPE(6, 32), 0, "m");
    cr_claim_parts(claim, &t[2], CR_DTYPE_F32, 2, SHAPE(1, 32), 0,
                   (const struct cr_claim_part[]){{"m", 3, 1}}, 1);
    load(claim);
    float numbers[6 * 32], row[32];
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_tensor_read(t[1], numbers, sizeof(numbers), &err), 0);
    assert_int_equal(cr_tensor_read(t[2], row, sizeof(row), &err), 0);
    assert_memory_equal(row, numbers + 96, sizeof(row));
    assert_int_equal(cr_op_dequantize(&back, t[0], CR_DTYPE_F32, &err), 0);
    float expected[3 * 32];
    memcpy(expected, numbers + 64, 256);
    memcpy(expected + 64, numbers, 128);
    assert_numbers(&back, 2, SHAPE(3, 32), expected, sizeof(expected));
    for (size_t i = 0; i < COUNT(t); i++)
        cr_tensor_unref(&t[i]);
    cr_claim_destroy(&claim);
    claim = new_claim(model);
    cr_claim_parts(claim, &t[0], CR_DTYPE_NF4, 2, SHAPE(2, 32), 0,
                   (const struct cr_claim_part[]){{"m", 1, 2}}, 1);
    cr_claim_parts(claim, &t[0], CR_DTYPE_NF4, 2, SHAPE(8, 32), 0,
                   (const struct cr_claim_part[]){{"m", 0, 0}, {"f", 0, 0}}, 2);
    assert_problems(claim, cr_model_folder(model),
                    "2 problems with its tensors: the rows of \"m\" that are wanted are no whole "
                    "blocks of 64, in which it is saved as nf4; claim f16 or f32; \"m\" and \"f\" "
                    "cannot be put together as nf4: only one is saved so");
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

/* ---- Files that change ---- */

static void notices_that_a_file_shrinks(void **state)
{
    (void)state;
    const struct weight weights[] = {{"w", "F32", 2, {100, 100}, NULL}};
    struct cr_model *model = make_model("shrinks", weights, COUNT(weights));
    const char *path = scratch("shrinks/model.safetensors");
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    cr_claim_tensor(claim, &tensor, CR_DTYPE_F32, 2, SHAPE(100, 100), 0, "w");
    assert_int_equal(cr_claim_check(claim, &err), 0);
    assert_int_equal(truncate(path, 20000), 0);
    assert_int_equal(cr_claim_load(claim, device, NULL, &err), CR_ERR_IO);
    assert_non_null(strstr(err.message, "model.safetensors: the file has shrunk from "));
    assert_non_null(strstr(err.message, " to 20000 bytes since it was opened"));
    assert_null(tensor);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

/* Cut the file when it has been checked, before its first piece is read. */
static bool cut(void *user)
{
    assert_int_equal(truncate(user, 4096), 0);
    return false;
}

static void survives_a_file_that_shrinks_meanwhile(void **state)
{
    (void)state;
    const struct weight weights[] = {{"w", "F32", 2, {16384, 1024}, NULL}};
    struct cr_model *model = make_model("meanwhile", weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    void *path = (void *)(uintptr_t)scratch("meanwhile/model.safetensors");
    const struct cr_load_hooks hooks = {.user = path, .cancelled = cut};
    cr_claim_tensor(claim, &tensor, CR_DTYPE_F32, 2, SHAPE(16384, 1024), 0, "w");
    assert_int_equal(cr_claim_load(claim, device, &hooks, &err), CR_ERR_IO);
    assert_non_null(strstr(err.message, "the file has shrunk since it was opened"));
    assert_null(tensor);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

/* ---- Hooks and faults ---- */

struct watch {
    double last;
    int calls;
    bool cancel;
};

static void note(void *user, double done)
{
    struct watch *watch = user;
    assert_true(done > 0 && done >= watch->last && done <= 1);
    watch->last = done;
    watch->calls++;
}

static bool is_cancelled(void *user)
{
    const struct watch *watch = user;
    return watch->cancel;
}

static void reports_progress_and_stops(void **state)
{
    (void)state;
    const struct weight weights[] = {{"w", "F32", 2, {4096, 1024}, NULL}};
    struct cr_model *model = make_model("hooks", weights, COUNT(weights));
    struct cr_claim *claim = new_claim(model);
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct watch watch = {.cancel = true};
    const struct cr_load_hooks hooks = {
        .user = &watch, .progress = note, .cancelled = is_cancelled};
    cr_claim_tensor(claim, &tensor, CR_DTYPE_F32, 2, SHAPE(4096, 1024), 0, "w");
    assert_int_equal(cr_claim_load(claim, device, &hooks, &err), CR_ERR_CANCELLED);
    assert_null(tensor);
    watch = (struct watch){.cancel = false};
    assert_int_equal(cr_claim_load(claim, device, &hooks, &err), 0);
    assert_true(watch.calls == 0 || watch.last > 0);
    cr_tensor_unref(&tensor);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

/* From opening to closing; whatever a tensor still holds would be left in the device's pool. */
static int load_all(void *user, struct cr_error *err)
{
    struct cr_model *model = NULL;
    struct cr_claim *claim = NULL;
    struct cr_tensor *t[4] = {NULL};
    int result = cr_model_open(&model, user, NULL, err);
    if (result == 0)
        result = cr_claim_create(&claim, model, err);
    if (result == 0) {
        cr_claim_prefix(claim, "");
        cr_claim_ignore(claim, "m.*");
        cr_claim_tensor(claim, &t[0], CR_DTYPE_NF4, 2, SHAPE(4, 64), CR_CLAIM_NESTED, "%s", "w");
        cr_claim_tensor(claim, &t[1], CR_DTYPE_NF4, 2, SHAPE(160, 128), 0, "layer.weight");
        cr_claim_parts(claim, &t[2], CR_DTYPE_F16, 2, SHAPE(-1, 64), 0,
                       (const struct cr_claim_part[]){{"w", 1, 1}, {"w", 3, 1}}, 2);
        cr_claim_tensor(claim, &t[3], CR_DTYPE_F32, 2, SHAPE(4, 64), CR_CLAIM_HOST, "w");
        result = cr_claim_load(claim, device, NULL, err);
    }
    for (size_t i = 0; i < COUNT(t); i++) {
        assert_true((t[i] == NULL) == (result != 0));
        cr_tensor_unref(&t[i]);
    }
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
    sweep_disarm();
    struct cr_error late = CR_ERROR_INIT;
    assert_int_equal(cr_device_trim(device, &late), 0);
    return result;
}

static void survives_faults(void **state)
{
    (void)state;
    static float numbers[4 * 64];
    fill(numbers, COUNT(numbers));
    void *folder = (void *)(uintptr_t)weights_folder("faults");
    const struct weight weights[] = {{"w", "F32", 2, {4, 64}, numbers}};
    write_weights(scratch("faults/a.safetensors"), weights, 1);
    size_t size;
    char *golden = read_test_file(source_path("tests/golden/nf4/model.safetensors"), &size);
    write_test_file(scratch("faults/b.safetensors"), golden, size);
    write_test_text(
        scratch("faults/model.safetensors.index.json"),
        "{\"weight_map\":{\"w\":\"a.safetensors\",\"layer.weight\":\"b.safetensors\"}}");
    struct cr_error err = CR_ERROR_INIT;
    if (load_all(folder, &err) < 0)
        fail_msg("%s", err.message);
    static const struct {
        enum cr_fault_kind kind;
        int number, least;
    } kinds[] = {
        {CR_FAULT_ALLOC, ENOMEM, 40},
        {CR_FAULT_READ, EIO, 8},
        {CR_FAULT_OPEN, EACCES, 3},
        {CR_FAULT_OTHER, EIO, 3},
    };
    for (size_t i = 0; i < COUNT(kinds); i++)
        assert_true(sweep_faults(kinds[i].kind, kinds[i].number, load_all, NULL, folder) >=
                    kinds[i].least);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_numbers),
        cmocka_unit_test(fills_tensors_in_pieces),
        cmocka_unit_test(reports_all_problems_at_once),
        cmocka_unit_test(matches_shapes),
        cmocka_unit_test(names_the_number_that_does_not_fit),
        cmocka_unit_test(quantises_as_devices_do),
        cmocka_unit_test(refuses_to_quantise_what_is_not_finite),
        cmocka_unit_test(puts_rows_together),
        cmocka_unit_test(loads_what_bitsandbytes_saved),
        cmocka_unit_test(refuses_what_it_cannot_read),
        cmocka_unit_test(keeps_nf4_in_whole_blocks_only),
        cmocka_unit_test(notices_that_a_file_shrinks),
        cmocka_unit_test(survives_a_file_that_shrinks_meanwhile),
        cmocka_unit_test(reports_progress_and_stops),
        cmocka_unit_test(survives_faults),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
