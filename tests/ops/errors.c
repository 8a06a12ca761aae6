/* SPDX-License-Identifier: MIT */
/* What the operations refuse, word for word, and what devices report late. */
#include <math.h>

#include "devices.h"

/* ---- Tensors from a few words ---- */

static struct cr_device *device, *other;
static struct cr_tensor *made[64];
static size_t made_count;
static struct cr_tensor *y, *y2;
static struct cr_error err;
static struct cr_device_info info; /* of both devices */

static int open_devices(void **state)
{
    (void)state;
    device = open_best();
    other = open_best();
    cr_device_get_info(device, &info);
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    cr_device_unref(&device);
    cr_device_unref(&other);
    return 0;
}

static struct cr_tensor *quantised(enum cr_dtype dtype, const int64_t *shape)
{
    static const uint8_t zeros[4096];
    struct cr_quantized parts = {.codes = zeros, .scales = zeros};
    struct cr_tensor *tensor = NULL;
    assert_int_equal(
        cr_tensor_upload_quantized(&tensor, device, dtype, shape[0], shape[1], &parts, &err), 0);
    return tensor;
}

/* A tensor of zeros, until forget(): t("f32", 2, 5) on the device; on another with a dtype that
 * starts with ">", on the host with "@". */
#define t(dtype, ...)                                                                              \
    make(dtype, (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
static struct cr_tensor *make(const char *words, const int64_t *shape, size_t rank)
{
    struct cr_tensor *tensor = NULL;
    const char *name = words + (words[0] == '>' || words[0] == '@');
    int dtype = CR_DTYPE_F32, result = 0;
    float *zeros = calloc(65536, sizeof(float));
    while (strcmp(cr_dtype_name((enum cr_dtype)dtype), name) != 0)
        dtype++;
    if (cr_dtype_size((enum cr_dtype)dtype) == 0)
        tensor = quantised((enum cr_dtype)dtype, shape);
    else if (words[0] == '@')
        result = cr_tensor_create(&tensor, (enum cr_dtype)dtype, (int)rank, shape, NULL, &err);
    else
        result = cr_tensor_upload(&tensor, words[0] == '>' ? other : device, (enum cr_dtype)dtype,
                                  (int)rank, shape, zeros, &err);
    free(zeros);
    assert_int_equal(result, 0);
    assert_true(made_count < COUNT(made));
    return made[made_count++] = tensor;
}

static void forget(void)
{
    while (made_count > 0)
        cr_tensor_unref(&made[--made_count]);
}

/* The text with the device's name ("cpu", "vulkan:0") for each "@"; until the next call. */
static const char *with_name(const char *text)
{
    static char named[512];
    size_t length = 0;
    for (; *text != '\0'; text++)
        length += (size_t)snprintf(named + length, sizeof(named) - length, "%.*s",
                                   *text == '@' ? (int)sizeof(info.name) : 1,
                                   *text == '@' ? info.name : text);
    return named;
}

/* The call fails with this message, as the caller's mistake, and gives nothing. */
#define REFUSES(call, text) refuses(#call, (call), text)
static void refuses(const char *what, int code, const char *text)
{
    if (code != CR_ERR_ARGUMENT)
        fail_msg("%s gives %d, not %d", what, code, CR_ERR_ARGUMENT);
    assert_text(what, err.message, with_name(text));
    assert_int_equal(err.code, code);
    assert_null(y);
    assert_null(y2);
    cr_error_clear(&err);
    forget();
}

/* ---- What holds for all ---- */

static void test_operands(void **state)
{
    (void)state;
    REFUSES(cr_op_linear(&y, NULL, t("f32", 2, 3), NULL, &err), "linear: x is missing");
    REFUSES(cr_op_linear(&y, t("f32", 2, 3), NULL, NULL, &err), "linear: w is missing");
    REFUSES(cr_op_linear(&y, t("@f32", 2, 3), t("f32", 2, 3), NULL, &err),
            "linear: x is on the host; move it to a device with cr_tensor_to()");
    REFUSES(cr_op_linear(&y, t("f32", 2, 3), t("@f32", 2, 3), NULL, &err),
            "linear: w is on the host; move it to a device with cr_tensor_to()");
    REFUSES(cr_op_linear(&y, t("f32", 2, 3), t(">f32", 2, 3), NULL, &err),
            "linear: w is on @, but x on @");
    REFUSES(cr_op_add(&y, t("i32", 2), t("f32", 2), &err), "add: a is i32, not f32");
    REFUSES(cr_op_linear(&y, t("f32", 2, 3), t("u8", 2, 3), NULL, &err),
            "linear: w is u8, not f32 or f16 or q8_0 or nf4");
    REFUSES(cr_op_permute(&y, t("nf4", 2, 3), (int[]){0, 1}, &err),
            "permute: x is nf4, not f32 or f16 or i32 or u8");
}

/* ---- Operation by operation ---- */

static void test_linear(void **state)
{
    (void)state;
    REFUSES(cr_op_linear(&y, t("f32", 2, 32), t("f32", 64, 31), NULL, &err),
            "linear: w [64, 31] does not fit x [2, 32]: K must agree");
    REFUSES(cr_op_linear(&y, t("f32", 2, 32), t("nf4", 64, 33), NULL, &err),
            "linear: w [64, 33] does not fit x [2, 32]: K must agree");
    REFUSES(cr_op_linear(&y, t("f32", 2, 32), t("f32", 32), NULL, &err),
            "linear: w [32] has rank 1, not 2");
    REFUSES(cr_op_linear(&y, t("f32", 2, 4), t("f32", 3, 4), t("f32", 4), &err),
            "linear: bias is [4], not [3]");
    REFUSES(cr_op_linear(&y, t("f32", 2, 4), t("f32", 3, 4), t("f16", 3), &err),
            "linear: bias is f16, not f32");
}

static void test_linear_fused(void **state)
{
    (void)state;
    struct cr_linear_extra extra = {.branches = 5};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: 5 branches, at most 4");
    extra = (struct cr_linear_extra){.activation = (enum cr_activation)5};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: 5 is no activation");
    extra = (struct cr_linear_extra){.residual = t("f32", 2, 4)};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: residual is [2, 4], not [2, 3]");
    extra = (struct cr_linear_extra){.branches = 1, .branch = {{.b = t("f32", 3, 8)}}};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: branch[0].a is missing");
    extra = (struct cr_linear_extra){.branches = 1,
                                     .branch = {{.a = t("f32", 8, 5), .b = t("f32", 3, 8)}}};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: branch[0].a is [8, 5], not [any, 4]");
    extra = (struct cr_linear_extra){.branches = 1,
                                     .branch = {{.a = t("f32", 8, 4), .b = t("f32", 3, 7)}}};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: branch[0].b is [3, 7], not [3, 8]");
    extra = (struct cr_linear_extra){
        .branches = 1,
        .branch = {{.a = t("f32", 8, 5), .b = t("f32", 3, 8), .source = t("f32", 3, 5)}}};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: branch[0].source [3, 5] has other rows than x [2, 4]");
    extra = (struct cr_linear_extra){
        .branches = 1,
        .branch = {{.a = t("f32", 8, 4), .b = t("f32", 3, 8), .scale = t("f32", 3)}}};
    REFUSES(cr_op_linear_fused(&y, t("f32", 2, 4), t("f32", 3, 4), NULL, &extra, &err),
            "linear_fused: branch[0].scale is [3], not [2]");
}

static void test_matmul(void **state)
{
    (void)state;
    REFUSES(cr_op_matmul(&y, t("f32", 2, 3), t("f32", 4, 5), false, false, 1, &err),
            "matmul: b [4, 5] does not fit a [2, 3]: K must agree");
    REFUSES(cr_op_matmul(&y, t("f32", 2, 3), t("f32", 3, 5), true, true, 1, &err),
            "matmul: b [3, 5]^T does not fit a [2, 3]^T: K must agree");
    REFUSES(cr_op_matmul(&y, t("f32", 3), t("f32", 3, 5), false, false, 1, &err),
            "matmul: a [3] has rank 1, not 2..4");
    REFUSES(cr_op_matmul(&y, t("f32", 2, 4, 3), t("f32", 3, 3, 5), false, false, 1, &err),
            "matmul: leading extents of a [2, 4, 3] and b [3, 3, 5] neither agree nor are 1");
}

static void test_rows(void **state)
{
    (void)state;
    struct cr_tensor *ids = NULL;
    REFUSES(cr_op_embedding(&y, t("f32", 9, 4), t("f32", 2), &err), "embedding: ids must be i32");
    REFUSES(cr_op_embedding(&y, t("f32", 9, 4), NULL, &err), "embedding: ids must be i32");
    REFUSES(cr_op_embedding(&y, t("f32", 9), t("i32", 2), &err),
            "embedding: table [9] has rank 1, not 2");
    REFUSES(cr_op_embedding(&y, t("f32", 9, 4), t("i32", 1, 1, 1, 1), &err),
            "embedding: ids [1, 1, 1, 1] has rank 4, not 0..3");
    assert_int_equal(
        cr_tensor_create(&ids, CR_DTYPE_I32, 1, (int64_t[]){3}, (int32_t[]){8, -7, 9}, &err), 0);
    REFUSES(cr_op_embedding(&y, t("f32", 9, 4), ids, &err),
            "embedding: ids[2] is 9, the table has 9 rows");
    cr_tensor_unref(&ids);
    REFUSES(cr_op_gather_rows(&y, t("f32", 9, 4), t("i32", 2, 1), &err),
            "gather_rows: rows [2, 1] has rank 2, not 1");
    REFUSES(cr_op_scatter_rows(t("f32", 9, 4), t("i32", 2), t("f32", 3, 4), &err),
            "scatter_rows: src is [3, 4], not [2, 4]");
    REFUSES(cr_op_scatter_add_rows(t("f32", 9, 4, 2), t("i32", 2), t("f32", 2, 4), &err),
            "scatter_add_rows: src is [2, 4], not [2, 4, 2]");
    REFUSES(cr_op_scatter_rows(NULL, t("i32", 2), t("f32", 3, 4), &err),
            "scatter_rows: x is missing");
}

static void test_norms(void **state)
{
    (void)state;
    REFUSES(cr_op_rms_norm(&y, t("f32", 2, 4), t("f32", 3), 1e-5f, &err),
            "rms_norm: w is [3], not [4]");
    REFUSES(cr_op_layer_norm(&y, t("f32", 2, 4), t("f32", 4), t("f16", 2), 1e-5f, &err),
            "layer_norm: b is [2], not [4]");
    REFUSES(cr_op_group_norm(&y, t("f32", 2, 6, 5), t("f32", 5), NULL, 2, 1e-5f, &err),
            "group_norm: w is [5], not [6]");
    REFUSES(cr_op_group_norm(&y, t("f32", 2, 6, 5), NULL, NULL, 4, 1e-5f, &err),
            "group_norm: 6 channels cannot be split into 4 groups");
    REFUSES(cr_op_group_norm(&y, t("f32", 2, 6), NULL, NULL, 2, 1e-5f, &err),
            "group_norm: x [2, 6] has rank 2, not 3..4");
}

static void test_rope(void **state)
{
    (void)state;
    REFUSES(
        cr_op_rope(&y, t("f32", 1, 2, 3, 5), t("f32", 9, 2), t("f32", 9, 2), t("i32", 1, 2), &err),
        "rope: d = 5 is odd");
    REFUSES(
        cr_op_rope(&y, t("f32", 1, 2, 3, 4), t("f32", 9, 3), t("f32", 9, 2), t("i32", 1, 2), &err),
        "rope: cos is [9, 3], not [any, 2]");
    REFUSES(
        cr_op_rope(&y, t("f32", 1, 2, 3, 4), t("f32", 9, 2), t("f32", 8, 2), t("i32", 1, 2), &err),
        "rope: sin is [8, 2], not [9, 2]");
    REFUSES(cr_op_rope(&y, t("f32", 1, 2, 3, 4), t("f32", 9, 2), t("f32", 9, 2), t("i32", 2), &err),
            "rope: positions is [2], not [1, 2]");
}

static void test_attention(void **state)
{
    (void)state;
    struct cr_attention extra = {.mask = t("u8", 1, 1, 2, 5)};
    REFUSES(cr_op_attention(&y, t("f32", 1, 4, 3, 8), t("f32", 1, 2, 6, 8), t("f32", 1, 2, 6, 8),
                            &extra, &err),
            "attention: mask [1, 1, 2, 5] cannot be broadcast to [1, 4, 3, 6]");
    REFUSES(cr_op_attention(&y, t("f32", 1, 4, 3, 8), t("f32", 1, 3, 6, 8), t("f32", 1, 3, 6, 8),
                            NULL, &err),
            "attention: 4 query heads are no multiple of 3 key heads");
    REFUSES(cr_op_attention(&y, t("f32", 1, 4, 3, 8), t("f32", 1, 4, 6, 9), t("f32", 1, 4, 6, 9),
                            NULL, &err),
            "attention: k [1, 4, 6, 9] and q [1, 4, 3, 8] differ in d");
    REFUSES(cr_op_attention(&y, t("f32", 1, 1, 3, 257), t("f32", 1, 1, 6, 257),
                            t("f32", 1, 1, 6, 257), NULL, &err),
            "attention: q [1, 1, 3, 257]: d is outside 1..256");
    REFUSES(cr_op_attention(&y, t("f32", 1, 4, 3, 8), t("f32", 1, 4, 6, 8), t("f32", 1, 4, 5, 8),
                            NULL, &err),
            "attention: v is [1, 4, 5, 8], not [1, 4, 6, 8]");
    REFUSES(cr_op_attention(&y, t("f32", 1, 4, 3, 8), t("f32", 1, 4, 6, 8), t("f16", 1, 4, 6, 8),
                            NULL, &err),
            "attention: k is f32, but v f16");
    REFUSES(cr_op_attention(&y, t("f32", 2, 4, 3, 8), t("f32", 1, 4, 6, 8), t("f32", 1, 4, 6, 8),
                            NULL, &err),
            "attention: k [1, 4, 6, 8] has the wrong leading extent for q [2, 4, 3, 8]");
    extra = (struct cr_attention){.rows = t("i32", 2, 6)};
    REFUSES(cr_op_attention(&y, t("f32", 2, 4, 3, 8), t("f32", 2, 4, 6, 8), t("f32", 2, 4, 6, 8),
                            &extra, &err),
            "attention: k [2, 4, 6, 8] has the wrong leading extent for q [2, 4, 3, 8] (1 with "
            "rows)");
    extra = (struct cr_attention){.rows = t("i32", 3, 6)};
    REFUSES(cr_op_attention(&y, t("f32", 2, 4, 3, 8), t("f32", 1, 4, 6, 8), t("f32", 1, 4, 6, 8),
                            &extra, &err),
            "attention: rows is [3, 6], not [2, any]");
    extra = (struct cr_attention){.lengths = t("i32", 3)};
    REFUSES(cr_op_attention(&y, t("f32", 2, 4, 3, 8), t("f32", 2, 4, 6, 8), t("f32", 2, 4, 6, 8),
                            &extra, &err),
            "attention: lengths is [3], not [2]");
    extra = (struct cr_attention){.bias = t("f32", 3)};
    REFUSES(cr_op_attention(&y, t("f32", 2, 4, 3, 8), t("f32", 2, 4, 6, 8), t("f32", 2, 4, 6, 8),
                            &extra, &err),
            "attention: bias [3] cannot be broadcast to [2, 4, 3, 6]");
}

static void test_kv_append(void **state)
{
    (void)state;
    const int32_t at[2] = {0, 4}, rows[4] = {0, 1, -1, 9}, low[2] = {0, -1};
    REFUSES(cr_op_kv_append(t("f32", 2, 3, 5, 4), t("f32", 2, 2, 3, 4), at, NULL, &err),
            "kv_append: row 5 of the cache, which has 5");
    REFUSES(cr_op_kv_append(t("f32", 2, 3, 5, 4), t("f32", 2, 2, 3, 4), low, NULL, &err),
            "kv_append: row -1 of the cache, which has 5");
    REFUSES(cr_op_kv_append(t("f32", 1, 3, 9, 4), t("f32", 2, 2, 3, 4), NULL, rows, &err),
            "kv_append: row 9 of the cache, which has 9");
    REFUSES(cr_op_kv_append(t("f32", 2, 3, 9, 4), t("f32", 2, 2, 3, 4), NULL, rows, &err),
            "kv_append: cache is [2, 3, 9, 4], not [1, 3, any, 4]");
    REFUSES(cr_op_kv_append(t("f32", 2, 3, 9, 4), t("f32", 2, 2, 3, 4), NULL, NULL, &err),
            "kv_append: either `at` or `rows` is needed");
    REFUSES(cr_op_kv_append(t("f32", 2, 3, 9, 4), t("f32", 2, 2, 3, 4), at, rows, &err),
            "kv_append: either `at` or `rows` is needed");
    REFUSES(cr_op_kv_append(NULL, t("f32", 2, 2, 3, 4), at, NULL, &err),
            "kv_append: cache is missing");
    REFUSES(cr_op_kv_append(t("i32", 2, 3, 9, 4), t("f32", 2, 2, 3, 4), at, NULL, &err),
            "kv_append: cache is i32, not f32 or f16");
}

static void test_ms_deform_attn(void **state)
{
    (void)state;
    const int64_t sizes[] = {2, 3, 1, 2}, empty[] = {2, 3, 0, 2};
    REFUSES(cr_op_ms_deform_attn(&y, t("f32", 1, 8, 2, 4), sizes, 9, t("f32", 3, 2, 4, 2),
                                 t("f32", 3, 2, 4), &err),
            "ms_deform_attn: 9 levels, 1..8");
    REFUSES(cr_op_ms_deform_attn(&y, t("f32", 1, 8, 2, 4), empty, 2, t("f32", 3, 2, 4, 2),
                                 t("f32", 3, 2, 4), &err),
            "ms_deform_attn: level 1 is empty");
    REFUSES(cr_op_ms_deform_attn(&y, t("f32", 1, 9, 2, 4), sizes, 2, t("f32", 3, 2, 4, 2),
                                 t("f32", 3, 2, 4), &err),
            "ms_deform_attn: value has 9 cells, the levels 8");
    REFUSES(cr_op_ms_deform_attn(&y, t("f32", 1, 8, 2, 4), sizes, 2, t("f32", 3, 2, 5, 2),
                                 t("f32", 3, 2, 5), &err),
            "ms_deform_attn: 5 samples cannot be split into 2 levels");
    REFUSES(cr_op_ms_deform_attn(&y, t("f32", 2, 8, 2, 4), sizes, 2, t("f32", 3, 2, 4, 2),
                                 t("f32", 3, 2, 4), &err),
            "ms_deform_attn: weights do not fit value: B*Q rows of 2 heads are needed");
    REFUSES(cr_op_ms_deform_attn(&y, t("f32", 1, 8, 2, 4), sizes, 2, t("f32", 3, 2, 4, 3),
                                 t("f32", 3, 2, 4), &err),
            "ms_deform_attn: locations is [3, 2, 4, 3], not [3, 2, 4, 2]");
}

static void test_elements(void **state)
{
    (void)state;
    REFUSES(cr_op_add(&y, t("f32", 2, 4), t("f32", 2), &err),
            "add: b [2] cannot be broadcast to a [2, 4]");
    REFUSES(cr_op_mul(&y, t("f32", 4), t("f32", 1, 4), &err),
            "mul: b [1, 4] cannot be broadcast to a [4]");
    REFUSES(cr_op_silu_mul(&y, t("f32", 2, 4), t("f32", 4), &err),
            "silu_mul: b is [4], not [2, 4]");
    REFUSES(cr_op_unary(&y, CR_OP_SOFTMAX, t("f32", 4), &err),
            "operation 22 is none of one element");
    REFUSES(cr_op_reduce(&y, CR_OP_ARGMAX, t("f32", 4), &err),
            "operation 38 is none over the last extent");
    REFUSES(cr_op_reduce(&y, CR_OP_SUM, t("f32", 4, 0), &err),
            "sum: x has no element to reduce over");
    REFUSES(cr_op_argmax(&y, t("f32", 0), &err), "argmax: x has no element to reduce over");
    REFUSES(cr_op_topk(&y, &y2, t("f32", 2, 5), 6, &err),
            "topk: k = 6 is outside 1..5 (1024 at most)");
    REFUSES(cr_op_topk(&y, &y2, t("f32", 2, 5), 0, &err),
            "topk: k = 0 is outside 1..5 (1024 at most)");
    REFUSES(cr_op_topk(&y, &y2, t("f32", 2, 2000), 1025, &err),
            "topk: k = 1025 is outside 1..2000 (1024 at most)");
}

static void test_layout(void **state)
{
    (void)state;
    const struct cr_tensor *list[17];
    REFUSES(cr_op_reshape(&y, t("f32", 2, 3), 1, (int64_t[]){5}, &err),
            "reshape: x [2, 3] has other elements than [5]");
    REFUSES(cr_op_reshape(&y, t("q8_0", 2, 3), 1, (int64_t[]){6}, &err),
            "reshape: x is q8_0, a quantised matrix keeps its shape");
    REFUSES(cr_op_cast(&y, t("f32", 2), CR_DTYPE_NF4, &err),
            "cast: nf4 is no dtype of dense tensors");
    REFUSES(cr_op_slice(&y, t("f32", 2, 5), (int64_t[]){0, 3}, (int64_t[]){2, 3}, &err),
            "slice: axis 1: 3 elements from 3 of 5");
    REFUSES(cr_op_slice(&y, t("f32", 2, 5), (int64_t[]){-1, 3}, (int64_t[]){2, 2}, &err),
            "slice: axis 0: 2 elements from -1 of 2");
    list[0] = t("f32", 2, 3);
    list[1] = t("f32", 3, 3);
    REFUSES(cr_op_concat(&y, list, 2, 1, &err), "concat: x[1] is [3, 3], not [2, any]");
    list[0] = t("f32", 2, 3);
    list[1] = t("f16", 2, 3);
    REFUSES(cr_op_concat(&y, list, 2, 1, &err), "concat: x[1] is f16, not f32");
    list[0] = t("f32", 2, 3);
    list[1] = t(">f32", 2, 3);
    REFUSES(cr_op_concat(&y, list, 2, 1, &err), "concat: x[1] is on @, but x[0] on @");
    list[0] = t("f32", 2, 3);
    REFUSES(cr_op_concat(&y, list, 1, 2, &err), "concat: axis 2 of rank 2");
    REFUSES(cr_op_concat(&y, list, 0, 0, &err), "concat: 0 tensors, 1..16");
    REFUSES(cr_op_concat(&y, list, 17, 0, &err), "concat: 17 tensors, 1..16");
    REFUSES(cr_op_permute(&y, t("f32", 2, 3), (int[]){0, 0}, &err),
            "permute: the order is no permutation of 2 axes");
    REFUSES(cr_op_permute(&y, t("f32", 2, 3), (int[]){0, 2}, &err),
            "permute: the order is no permutation of 2 axes");
    REFUSES(cr_op_pad(&y, t("f32", 2, 3), (int64_t[]){0, -2}, (int64_t[]){0, -2}, 0, &err),
            "pad: axis 1: -2 + 3 + -2 is below 0");
    REFUSES(cr_op_fill(&y, device, CR_DTYPE_F32, 5, (int64_t[]){1, 1, 1, 1, 1}, 0, &err),
            "fill: a tensor of rank 5: at most 4");
}

static void test_pictures(void **state)
{
    (void)state;
    const int one[2] = {1, 1}, none[2] = {0, 0}, minus[2] = {-1, 0};
    REFUSES(cr_op_conv2d(&y, t("f32", 1, 3, 5, 5), t("f32", 2, 4, 3, 3), NULL, one, none, &err),
            "conv2d: w [2, 4, 3, 3] does not fit x [1, 3, 5, 5]: C must agree");
    REFUSES(cr_op_conv2d(&y, t("f32", 1, 3, 5, 5), t("f32", 2, 3, 6, 3), NULL, one, none, &err),
            "conv2d: the kernel w [2, 3, 6, 3] does not fit the padded picture x [1, 3, 5, 5]");
    REFUSES(cr_op_conv2d(&y, t("f32", 1, 3, 5, 5), t("f32", 2, 3, 3, 3), NULL, none, none, &err),
            "conv2d: stride 0, padding 0");
    REFUSES(cr_op_conv2d(&y, t("f32", 1, 3, 5, 5), t("f32", 2, 3, 3, 3), NULL, one, minus, &err),
            "conv2d: stride 1, padding -1");
    REFUSES(
        cr_op_conv2d(&y, t("f32", 1, 3, 5, 5), t("f32", 2, 3, 3, 3), t("f32", 3), one, none, &err),
        "conv2d: bias is [3], not [2]");
    REFUSES(cr_op_resize(&y, t("f32", 1, 3, 5), (struct cr_size){2, 2}, CR_INTERPOLATION_BILINEAR,
                         &err),
            "resize: x [1, 3, 5] has rank 3, not 4");
    REFUSES(cr_op_resize(&y, t("f32", 1, 3, 5, 5), (struct cr_size){0, 2},
                         CR_INTERPOLATION_BILINEAR, &err),
            "resize: to 0 x 2");
    REFUSES(cr_op_resize(&y, t("f32", 1, 3, 0, 5), (struct cr_size){2, 2},
                         CR_INTERPOLATION_BILINEAR, &err),
            "resize: x is empty");
    REFUSES(cr_op_resize(&y, t("f32", 1, 3, 5, 5), (struct cr_size){2, 2}, (enum cr_interpolation)3,
                         &err),
            "resize: 3 is no mode");
}

static void test_training(void **state)
{
    (void)state;
    const int32_t labels[3] = {0, -100, 6}, low[3] = {-1, 0, 0};
    const struct cr_adamw adamw = {1e-3f, 0.9f, 0.999f, 1e-8f, 0, .step = 0};
    const struct cr_adamw first = {1e-3f, 0.9f, 0.999f, 1e-8f, 0, .step = 1};
    const struct cr_tensor *list[25] = {NULL};
    REFUSES(cr_op_linear_cross_entropy(&y, t("f32", 3, 4), t("f32", 6, 4), labels, &err),
            "linear_cross_entropy: label 2 is 6, outside 0..5 (-100: not labelled)");
    REFUSES(cr_op_linear_cross_entropy(&y, t("f32", 3, 4), t("f32", 6, 4), low, &err),
            "linear_cross_entropy: label 0 is -1, outside 0..5 (-100: not labelled)");
    REFUSES(cr_op_linear_cross_entropy(&y, t("f32", 3, 4), t("f32", 6, 5), labels, &err),
            "linear_cross_entropy: w is [6, 5], not [any, 4]");
    REFUSES(cr_op_adamw_step(t("f32", 3), t("f32", 3), t("f32", 3), t("f32", 3), &adamw, &err),
            "adamw_step: step 0, they count from 1");
    REFUSES(cr_op_adamw_step(t("f32", 3), t("f32", 2), t("f32", 3), t("f32", 3), &first, &err),
            "adamw_step: m is [2], not [3]");
    REFUSES(cr_op_grad_norm(&y, list, 0, &err), "grad_norm: 0 tensors, 1..24");
    REFUSES(cr_op_grad_norm(&y, list, 25, &err), "grad_norm: 25 tensors, 1..24");
    list[0] = t("f32", 3);
    REFUSES(cr_op_grad_norm(&y, list, 2, &err), "grad_norm: x[1] is missing");
}

static void test_quantised(void **state)
{
    (void)state;
    const struct cr_quantized none = {NULL, NULL, NULL, NULL, 0, {0}};
    REFUSES(cr_op_quantize(&y, t("f32", 3, 4), CR_DTYPE_Q8_0, true, &err),
            "quantize: only nf4 is doubly quantised");
    REFUSES(cr_op_quantize(&y, t("f32", 3, 4), CR_DTYPE_F16, false, &err),
            "quantize: f16 is no quantised type");
    REFUSES(cr_op_quantize(&y, t("f32", 3, 4, 5), CR_DTYPE_NF4, false, &err),
            "quantize: x [3, 4, 5] has rank 3, not 2");
    REFUSES(cr_op_dequantize(&y, t("q8_0", 3, 4), CR_DTYPE_I32, &err),
            "dequantize: to i32, not f32 or f16");
    REFUSES(cr_op_dequantize(&y, t("f32", 3, 4), CR_DTYPE_F32, &err),
            "dequantize: x is f32, not q8_0 or nf4");
    REFUSES(cr_tensor_upload_quantized(&y, device, CR_DTYPE_F32, 2, 3, &none, &err),
            "f32 is no quantised type");
    REFUSES(cr_tensor_upload(&y, device, CR_DTYPE_NF4, 2, (int64_t[]){2, 3}, NULL, &err),
            "nf4 is no dtype of dense tensors");
    REFUSES(cr_tensor_read_quantized(t("f32", 2, 3), NULL, NULL, NULL, NULL, NULL, NULL, &err),
            "a tensor of type f32 is not quantised");
    struct cr_tensor *moved = NULL;
    assert_int_equal(cr_tensor_to(&moved, t("nf4", 2, 3), NULL, &err), CR_ERR_UNSUPPORTED);
    assert_text("to", err.message, "a tensor of type nf4 stays on its device");
    cr_error_clear(&err);
    forget();
}

/* ---- Late errors ---- */

/* The call is accepted; the next synchronisation reports it, once. Shaders report that something
 * was wrong, not where. */
#define LATE(call, on_cpu, on_vulkan) late(#call, (call), on_cpu, on_vulkan)
static void late(const char *what, int code, const char *on_cpu, const char *on_vulkan)
{
    if (code != 0)
        fail_msg("%s: %s", what, err.message);
    assert_int_equal(cr_device_finish(device, &err), CR_ERR_DEVICE);
    assert_text(what, err.message, test_vulkan() != NULL ? on_vulkan : on_cpu);
    cr_error_clear(&err);
    assert_int_equal(cr_device_finish(device, &err), 0);
    cr_tensor_unref(&y);
    cr_tensor_unref(&y2);
    forget();
}

static struct cr_tensor *ints(int rank, const int64_t *shape, const int32_t *data)
{
    struct cr_tensor *tensor = NULL;
    assert_int_equal(cr_tensor_upload(&tensor, device, CR_DTYPE_I32, rank, shape, data, &err), 0);
    return made[made_count++] = tensor;
}

static struct cr_tensor *with_nan(int64_t rows, int64_t columns, int64_t at)
{
    struct cr_tensor *tensor = NULL;
    float *data = calloc((size_t)(rows * columns), sizeof(float));
    data[at] = NAN;
    assert_int_equal(
        cr_tensor_upload(&tensor, device, CR_DTYPE_F32, 2, (int64_t[]){rows, columns}, data, &err),
        0);
    free(data);
    return made[made_count++] = tensor;
}

static void test_late(void **state)
{
    (void)state;
    const int64_t two[2] = {2, 1}, one[2] = {1, 2};
    LATE(cr_op_embedding(&y, t("f32", 9, 4), ints(1, two, (int32_t[]){-3, 9}), &err),
         "embedding: ids[1] is 9, there are 9 rows",
         "embedding: an id is beyond the last row of the table");
    LATE(cr_op_embedding(&y, t("nf4", 9, 4), ints(1, two, (int32_t[]){INT32_MAX, 9}), &err),
         "embedding: ids[0] is 2147483647, there are 9 rows",
         "embedding: an id is beyond the last row of the table");
    LATE(cr_op_gather_rows(&y, t("f32", 9, 4), ints(1, two, (int32_t[]){1 << 30, 2}), &err),
         "gather_rows: rows[0] is 1073741824, there are 9 rows",
         "gather_rows: a number in rows is neither -1 nor that of a row of x");
    LATE(cr_op_gather_rows(&y, t("f32", 9, 4), ints(1, two, (int32_t[]){0, -2}), &err),
         "gather_rows: rows[1] is -2, there are 9 rows",
         "gather_rows: a number in rows is neither -1 nor that of a row of x");
    LATE(cr_op_scatter_rows(t("f32", 9, 4), ints(1, two, (int32_t[]){8, 9}), t("f32", 2, 4), &err),
         "scatter_rows: rows[1] is 9, there are 9 rows",
         "scatter_rows: a number in rows is neither -1 nor that of a row of x");
    LATE(cr_op_scatter_add_rows(t("f32", 9, 4), ints(1, two, (int32_t[]){INT32_MIN, 9}),
                                t("f32", 2, 4), &err),
         "scatter_add_rows: rows[0] is -2147483648, there are 9 rows",
         "scatter_add_rows: a number in rows is neither -1 nor that of a row of x");
    LATE(cr_op_rope(&y, t("f32", 1, 2, 3, 4), t("f32", 9, 2), t("f32", 9, 2),
                    ints(2, one, (int32_t[]){8, 9}), &err),
         "rope: positions[1] is 9, there are 9 rows",
         "rope: a position is beyond the tables of cosines and sines");
    LATE(cr_op_rope(&y, t("f32", 1, 2, 3, 4), t("f32", 9, 2), t("f32", 9, 2),
                    ints(2, one, (int32_t[]){8, -1}), &err),
         "rope: positions[1] is -1, there are 9 rows",
         "rope: a position is beyond the tables of cosines and sines");
    LATE(cr_op_argmax(&y, with_nan(5, 33, 3 * 33 + 32), &err), "argmax: row 3 of x holds a NaN",
         "argmax: a row of x holds a NaN");
    LATE(cr_op_topk(&y, &y2, with_nan(5, 33, 0), 2, &err), "topk: row 0 of x holds a NaN",
         "topk: a row of x holds a NaN");
    LATE(cr_op_quantize(&y, with_nan(2, 3, 4), CR_DTYPE_Q8_0, false, &err),
         "quantize: a NaN or an infinity in the block of 32 from x[0,0] on",
         "quantize: a NaN or an infinity in x");
    struct cr_attention extra = {.rows = ints(2, one, (int32_t[]){0, 6})};
    LATE(cr_op_attention(&y, t("f32", 1, 2, 3, 8), t("f32", 1, 2, 6, 8), t("f32", 1, 2, 6, 8),
                         &extra, &err),
         "attention: rows holds a row that the cache of 6 does not have",
         "attention: rows holds a row that the cache does not have");
}

/* Of several the first is reported; reading a tensor reports it too, once. */
static void test_first_of_two(void **state)
{
    (void)state;
    struct cr_tensor *first = NULL, *second = NULL;
    int32_t numbers[5];
    assert_int_equal(cr_op_argmax(&first, with_nan(5, 3, 4), &err), 0);
    assert_int_equal(cr_op_topk(&y, &y2, with_nan(5, 3, 4), 1, &err), 0);
    assert_int_equal(cr_op_argmax(&second, t("f32", 5, 3), &err), 0);
    assert_int_equal(cr_tensor_read(second, numbers, sizeof(numbers), &err), CR_ERR_DEVICE);
    assert_text("read", err.message,
                test_vulkan() != NULL ? "argmax: a row of x holds a NaN"
                                      : "argmax: row 1 of x holds a NaN");
    cr_error_clear(&err);
    assert_int_equal(cr_tensor_read(second, numbers, sizeof(numbers), &err), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(numbers[i], 0);
    cr_tensor_unref(&first);
    cr_tensor_unref(&second);
    cr_tensor_unref(&y);
    cr_tensor_unref(&y2);
    forget();
}

/* ---- Devices ---- */

static void test_devices(void **state)
{
    (void)state;
    struct cr_device *none = NULL;
    struct cr_device_params params = {.threads = 257};
    assert_int_equal(cr_device_open(&none, test_registry(), "tpu", NULL, &err), CR_ERR_NOT_FOUND);
    assert_null(none);
    assert_ptr_equal(strstr(err.message, "no device \"tpu\"; there are: "), err.message);
    assert_non_null(strstr(err.message, "cpu"));
    cr_error_clear(&err);
    assert_int_equal(cr_device_open(&none, test_registry(), "cpu:1", NULL, &err), CR_ERR_NOT_FOUND);
    assert_text("cpu:1", err.message, "no device \"cpu:1\"; there is one: cpu");
    cr_error_clear(&err);
    assert_int_equal(cr_device_open(&none, test_registry(), "cpu", &params, &err), CR_ERR_ARGUMENT);
    assert_text("threads", err.message, "257 threads: 1..256, or 0 for one per processor");
    cr_error_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands),     cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linear_fused), cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_norms),
        cmocka_unit_test(test_rope),         cmocka_unit_test(test_attention),
        cmocka_unit_test(test_kv_append),    cmocka_unit_test(test_ms_deform_attn),
        cmocka_unit_test(test_elements),     cmocka_unit_test(test_layout),
        cmocka_unit_test(test_pictures),     cmocka_unit_test(test_training),
        cmocka_unit_test(test_quantised),    cmocka_unit_test(test_late),
        cmocka_unit_test(test_first_of_two), cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
