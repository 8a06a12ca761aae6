/* SPDX-License-Identifier: MIT */
/* Quantising and back: the bits of the reference at every level, bounds of the error, and what must
 * not change when it is done twice. */
#include <float.h>
#include <math.h>

#include "guarded.h"

static const struct kind {
    const char *name;
    enum cr_dtype dtype;
    bool nested;
} kinds[] = {
    {"q8_0", CR_DTYPE_Q8_0, false},
    {"nf4", CR_DTYPE_NF4, false},
    {"nf4 nested", CR_DTYPE_NF4, true},
};

/* Odd numbers of elements, short last blocks, one element, rows that straddle blocks, a second
 * block of second-level scales, work for several threads. */
static const int64_t shapes[][2] = {{1, 1},    {1, 31},    {1, 32}, {3, 11},  {5, 13},
                                    {1, 63},   {2, 32},    {1, 65}, {7, 129}, {33, 100},
                                    {257, 64}, {129, 255}, {0, 7},  {5, 0},   {300, 500}};

/* x to a kind and, if `back`, from it: the bits of the reference. */
static float *begin(struct cr_case *c, const struct kind *kind, const int64_t shape[2],
                    const char *name)
{
    cr_case_init(c, CR_OP_QUANTIZE, 1, "[%lld, %lld] %s to %s", (long long)shape[0],
                 (long long)shape[1], name, kind->name);
    c->call.ints[0] = kind->nested;
    return cr_case_in(c, CR_DTYPE_F32, 2, shape, CR_FILL_NORMAL);
}

static void end(struct cr_case *c, const struct kind *kind)
{
    cr_case_out(c, kind->dtype, 2, c->call.in[0].shape, CR_FILL_ZERO);
    check_case(c);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            struct cr_case c;
            begin(&c, &kinds[k], shapes[s], "normal");
            end(&c, &kinds[k]);
        }
}

/* Back to f32 and f16. */
static void test_back(void **state)
{
    (void)state;
    static const enum cr_dtype to[] = {CR_DTYPE_F32, CR_DTYPE_F16};
    for (size_t i = 0; i < 2 * COUNT(kinds) * COUNT(shapes); i++) {
        struct cr_case c;
        const int64_t *shape = shapes[i / 6];
        const struct kind *kind = &kinds[i / 2 % 3];
        cr_case_init(&c, CR_OP_DEQUANTIZE, i, "[%lld, %lld] from %s", (long long)shape[0],
                     (long long)shape[1], kind->name);
        if (kind->nested)
            cr_case_in_nested(&c, shape[0], shape[1], CR_FILL_NORMAL);
        else
            cr_case_in(&c, kind->dtype, 2, shape, CR_FILL_NORMAL);
        cr_case_out(&c, to[i % 2], 2, shape, CR_FILL_ZERO);
        check_case(&c);
    }
}

/* ---- Contents ---- */

static void zeros(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = i % 2 == 0 ? 0.0f : -0.0f;
}

/* Whole blocks of zeros between others. */
static void zero_blocks(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = i / 64 % 2 == 0 ? 0 : x[i];
}

static void equal(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = -0.1f;
}

/* Whole blocks whose reciprocal scale overflows, and less. */
static void tiny(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = x[i] * (i / 64 % 3 == 0 ? 1e-39f : i / 64 % 3 == 1 ? 1e-5f : FLT_MIN);
}

/* q8_0 scales that are denormal halves and infinite ones. */
static void wide(float *x, int64_t count)
{
    static const float factors[] = {1e-3f, 3e-5f, 1e-6f, 1e6f, 1e7f, 1e30f};
    for (int64_t i = 0; i < count; i++)
        x[i] = x[i] * factors[i / 64 % 6];
}

/* The midpoints between the 16 values, and their neighbours. */
static void midpoints(float *x, int64_t count)
{
    const float *values = cr_nf4_values();
    for (int64_t i = 0; i < count; i++) {
        float middle = (float)(((double)values[i % 15] + values[i % 15 + 1]) / 2);
        x[i] = i % 64 == 63      ? 1
               : i / 15 % 3 == 0 ? middle
                                 : nextafterf(middle, i / 15 % 3 == 1 ? 2 : -2);
    }
}

/* Ties between two codes of q8_0. */
static void halves(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = i % 32 == 0 ? 127 : (float)(i % 250) - 125 + 0.5f;
}

static void test_contents(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*fill)(float *x, int64_t count);
    } contents[] = {
        {"zeros", zeros}, {"zero blocks", zero_blocks}, {"equal", equal},  {"tiny", tiny},
        {"wide", wide},   {"midpoints", midpoints},     {"halves", halves}};
    static const int64_t sizes[][2] = {{9, 64}, {13, 45}, {1, 1}};
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t i = 0; i < COUNT(contents); i++)
            for (size_t s = 0; s < COUNT(sizes); s++) {
                struct cr_case c;
                float *x = begin(&c, &kinds[k], sizes[s], contents[i].name);
                contents[i].fill(x, sizes[s][0] * sizes[s][1]);
                end(&c, &kinds[k]);
            }
}

/* ---- Properties, through the functions of crayon/ops.h ---- */

static struct cr_tensor *there_and_back(const struct cr_tensor *x, const struct kind *kind,
                                        float *numbers, int64_t count)
{
    struct cr_tensor *quantised = NULL, *dense = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_op_quantize(&quantised, x, kind->dtype, kind->nested, &err), 0);
    assert_int_equal(cr_op_dequantize(&dense, quantised, CR_DTYPE_F32, &err), 0);
    assert_int_equal(cr_tensor_read(dense, numbers, (size_t)count * sizeof(float), &err), 0);
    cr_tensor_unref(&quantised);
    return dense;
}

static float largest(const float *x, int64_t start, int64_t end)
{
    float most = 0;
    for (int64_t i = start; i < end; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* No number moves by more than half a step; what has been quantised is not moved again. */
static void test_error(void **state)
{
    (void)state;
    struct cr_device *device = open_best();
    for (size_t k = 0; k < 2; k++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            struct cr_error err = CR_ERROR_INIT;
            struct cr_tensor *x = NULL, *once, *twice;
            int64_t count = shapes[s][0] * shapes[s][1], block = k == 0 ? 32 : 64;
            size_t bytes = (size_t)count * sizeof(float);
            float *from = malloc(bytes + 1), *to = malloc(bytes + 1), *again = malloc(bytes + 1);
            uint64_t seed = s;
            for (int64_t i = 0; i < count; i++)
                from[i] = (float)cr_case_normal(&seed);
            assert_int_equal(cr_tensor_upload(&x, device, CR_DTYPE_F32, 2, shapes[s], from, &err),
                             0);
            once = there_and_back(x, &kinds[k], to, count);
            for (int64_t i = 0; i < count; i++) {
                int64_t start = i / block * block;
                float most = largest(from, start, start + block < count ? start + block : count);
                /* the widest gap between the 16 values is 0.304 */
                double step =
                    k == 0 ? (double)most / 127 / 2 * 1.001 + 1e-7 : 0.1521 * (double)most;
                assert_true(fabs((double)from[i] - (double)to[i]) <= step);
            }
            twice = there_and_back(once, &kinds[k], again, count);
            assert_memory_equal(to, again, bytes);
            cr_tensor_unref(&x);
            cr_tensor_unref(&once);
            cr_tensor_unref(&twice);
            free(from);
            free(to);
            free(again);
        }
    cr_device_unref(&device);
}

static void check_not_finite(struct cr_device *device, const struct kind *kind, float number,
                             size_t place)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = NULL, *y = NULL;
    float data[3 * 67] = {0};
    data[place % COUNT(data)] = number;
    assert_int_equal(cr_tensor_upload(&x, device, CR_DTYPE_F32, 2, (int64_t[]){3, 67}, data, &err),
                     0);
    assert_int_equal(cr_op_quantize(&y, x, kind->dtype, kind->nested, &err), 0);
    assert_int_equal(cr_device_finish(device, &err), CR_ERR_DEVICE);
    assert_ptr_equal(strstr(err.message, "quantize"), err.message);
    cr_error_clear(&err);
    assert_int_equal(cr_device_finish(device, &err), 0);
    cr_tensor_unref(&x);
    cr_tensor_unref(&y);
}

/* A NaN or an infinity anywhere raises the flag, which names the operation and is told once. */
static void test_not_finite(void **state)
{
    (void)state;
    static const float numbers[] = {NAN, INFINITY, -INFINITY};
    const struct level *levels;
    size_t count = test_levels(&levels);
    for (size_t level = 0; level < count; level++) {
        struct cr_device *device = open_level(&levels[level], 2);
        for (size_t i = 0; i < COUNT(kinds) * COUNT(numbers); i++)
            check_not_finite(device, &kinds[i % COUNT(kinds)], numbers[i / COUNT(kinds)],
                             (level + i * 7) * 31);
        cr_device_unref(&device);
    }
}

/* What is uploaded is read back, plane by plane. */
static void test_planes(void **state)
{
    (void)state;
    struct cr_device *device = open_best();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *w = NULL;
    enum {
        elements = 3 * 43,
        blocks = 3
    };
    uint8_t codes[(elements + 1) / 2], read_codes[sizeof(codes)];
    uint8_t scales[blocks] = {1, 128, 255}, read_scales[blocks];
    float nested[1] = {0.5f}, map[256], read_nested[1], read_map[256], offset;
    bool is_nested;
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = (uint8_t)(i * 37);
    for (int i = 0; i < 256; i++)
        map[i] = (float)i / 255;
    struct cr_quantized parts = {codes, scales, nested, map, 0.25f, {0}};
    assert_int_equal(cr_tensor_upload_quantized(&w, device, CR_DTYPE_NF4, 3, 43, &parts, &err), 0);
    assert_int_equal(cr_tensor_read_quantized(w, read_codes, read_scales, read_nested, read_map,
                                              &offset, &is_nested, &err),
                     0);
    assert_true(is_nested && offset == 0.25f);
    assert_memory_equal(codes, read_codes, sizeof(codes));
    assert_memory_equal(scales, read_scales, sizeof(scales));
    assert_memory_equal(nested, read_nested, sizeof(nested));
    assert_memory_equal(map, read_map, sizeof(map));
    assert_int_equal(cr_tensor_read_quantized(w, NULL, NULL, NULL, NULL, NULL, NULL, &err), 0);
    cr_tensor_unref(&w);
    cr_device_unref(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_back),
        cmocka_unit_test(test_contents),   cmocka_unit_test(test_error),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
