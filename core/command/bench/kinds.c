/* SPDX-License-Identifier: MIT */
/* Products and attention: how a case is prepared and run, and the least that it needs. Bytes are
 * those of every operand and result once; operations are additions and multiplications. */
#include <math.h>

#include "command/bench/bench.h"

#define SHAPE(...)                                                                                 \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* The extents of a case by their names in the formulas. */
#define N(i) ((double)c->n[i])

/* ---- linear: M, N, K ---- */

static void prepare_linear(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 2, SHAPE(c->n[0], c->n[2]));
    bench_cold(inputs, 1, c->type, 2, SHAPE(c->n[1], c->n[2]));
}

static int run_linear(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    (void)c;
    int result = cr_op_linear(&y, inputs->warm[0], bench_cold_get(inputs, 0), NULL, err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_linear(const struct bench_case *c)
{
    return bench_type_bytes(c->type, N(1) * N(2)) + 4 * N(0) * (N(1) + N(2));
}

static double operations_linear(const struct bench_case *c)
{
    return 2 * N(0) * N(1) * N(2);
}

const struct bench_kind bench_linear = {CR_OP_LINEAR, true,         prepare_linear,
                                        run_linear,   bytes_linear, operations_linear};

/* ---- linear_fused: M, N, K, activation, branches, rank, live rows, residual ---- */

/* Branches are f16; the first reads x, the others a source of their own. One scale for all. */
static void prepare_fused(struct bench_inputs *inputs, const struct bench_case *c)
{
    int64_t m = c->n[0], n = c->n[1], k = c->n[2], rank = c->n[5];
    prepare_linear(inputs, c);
    bench_warm_f32(inputs, 1, SHAPE(n));
    bench_warm_f32(inputs, 2, SHAPE(m, n));
    if (c->n[4] == 0)
        return;
    float *scales = cr_calloc((size_t)m, sizeof(float));
    for (int64_t i = 0; scales != NULL && i < c->n[6]; i++)
        scales[i] = 1;
    if (inputs->result == 0)
        inputs->result = scales == NULL
                             ? cr_fail_memory(inputs->err, (size_t)m * sizeof(float))
                             : cr_tensor_upload(&inputs->warm[inputs->warm_count++], inputs->device,
                                                CR_DTYPE_F32, 1, &m, scales, inputs->err);
    cr_free(scales);
    for (int64_t i = 0; i < c->n[4]; i++) {
        bench_warm_weights(inputs, BENCH_F16, rank, k);
        bench_warm_weights(inputs, BENCH_F16, n, rank);
        if (i > 0)
            bench_warm_f32(inputs, 2, SHAPE(m, k));
    }
}

static int run_fused(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    struct cr_tensor *const *warm = inputs->warm, *y = NULL;
    struct cr_linear_extra extra = {.activation = (enum cr_activation)c->n[3],
                                    .residual = c->n[7] != 0 ? warm[2] : NULL,
                                    .branches = (size_t)c->n[4]};
    for (size_t i = 0, at = 4; i < extra.branches; i++) {
        extra.branch[i] = (struct cr_branch){.a = warm[at], .b = warm[at + 1], .scale = warm[3]};
        extra.branch[i].source = i > 0 ? warm[at + 2] : NULL;
        at += i > 0 ? 3 : 2;
    }
    int result = cr_op_linear_fused(&y, warm[0], bench_cold_get(inputs, 0), warm[1], &extra, err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_fused(const struct bench_case *c)
{
    double sources = N(4) > 1 ? N(4) - 1 : 0, live = N(6);
    double branches = live > 0 ? N(4) * 2 * N(5) * (N(1) + N(2)) + 4 * sources * live * N(2) : 0;
    return bytes_linear(c) + 4 * N(1) + N(7) * 4 * N(0) * N(1) + branches;
}

static double operations_fused(const struct bench_case *c)
{
    return operations_linear(c) + N(4) * 2 * N(6) * N(5) * (N(1) + N(2));
}

const struct bench_kind bench_linear_fused = {CR_OP_LINEAR_FUSED, true,        prepare_fused,
                                              run_fused,          bytes_fused, operations_fused};

/* ---- matmul: batch, M, N, K ---- */

static void prepare_matmul(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 3, SHAPE(c->n[0], c->n[1], c->n[3]));
    bench_warm_f32(inputs, 3, SHAPE(c->n[0], c->n[3], c->n[2]));
}

static int run_matmul(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    (void)c;
    int result = cr_op_matmul(&y, inputs->warm[0], inputs->warm[1], false, false, 1, err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_matmul(const struct bench_case *c)
{
    return 4 * N(0) * (N(1) * N(3) + N(3) * N(2) + N(1) * N(2));
}

static double operations_matmul(const struct bench_case *c)
{
    return 2 * N(0) * N(1) * N(2) * N(3);
}

const struct bench_kind bench_matmul = {CR_OP_MATMUL, true,         prepare_matmul,
                                        run_matmul,   bytes_matmul, operations_matmul};

/* ---- attention: batch, heads, key heads, queries, keys, d, flags ---- */

static void prepare_attention(struct bench_inputs *inputs, const struct bench_case *c)
{
    const int64_t *n = c->n;
    bench_warm_f32(inputs, 4, SHAPE(n[0], n[1], n[3], n[5]));
    bench_cold(inputs, 2, c->type, 4, SHAPE(n[0], n[2], n[4], n[5]));
    if ((n[6] & (BENCH_BIAS | BENCH_BIASES)) != 0)
        bench_warm_f32(inputs, 4, SHAPE((n[6] & BENCH_BIAS) != 0 ? 1 : n[0], n[1], n[3], n[4]));
    if ((n[6] & BENCH_MASK) != 0)
        bench_warm(inputs, CR_DTYPE_U8, 4, SHAPE(n[0], 1, n[3], n[4]), 0);
}

static int run_attention(struct bench_inputs *inputs, const struct bench_case *c,
                         struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    struct cr_attention extra = {.causal = (c->n[6] & BENCH_CAUSAL) != 0,
                                 .offset = c->n[4] - c->n[3]};
    int at = 1;
    if ((c->n[6] & (BENCH_BIAS | BENCH_BIASES)) != 0)
        extra.bias = inputs->warm[at++];
    if ((c->n[6] & BENCH_MASK) != 0)
        extra.mask = inputs->warm[at];
    int result = cr_op_attention(&y, inputs->warm[0], bench_cold_get(inputs, 0),
                                 bench_cold_get(inputs, 1), &extra, err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_attention(const struct bench_case *c)
{
    double of_heads = (c->n[6] & BENCH_BIAS) != 0     ? N(1)
                      : (c->n[6] & BENCH_BIASES) != 0 ? N(0) * N(1)
                                                      : 0;
    double of_items = (c->n[6] & BENCH_MASK) != 0 ? N(0) : 0;
    return 8 * N(0) * N(1) * N(3) * N(5) +
           2 * bench_type_bytes(c->type, N(0) * N(2) * N(4) * N(5)) +
           N(3) * N(4) * (4 * of_heads + of_items);
}

/* Two products over the pairs of a query and a key that it sees. */
static double operations_attention(const struct bench_case *c)
{
    double hidden = (c->n[6] & BENCH_CAUSAL) != 0 ? N(3) * (N(3) - 1) / 2 : 0;
    return 4 * N(0) * N(1) * N(5) * (N(3) * N(4) - hidden);
}

const struct bench_kind bench_attention = {
    CR_OP_ATTENTION, true, prepare_attention, run_attention, bytes_attention, operations_attention};

/* ---- ms_deform_attn: queries, heads, d, points, three sides ---- */

#define LEVELS 3

static int64_t positions(const struct bench_case *c)
{
    return c->n[4] * c->n[4] + c->n[5] * c->n[5] + c->n[6] * c->n[6];
}

/* Locations reach a little beyond the pictures, as a model's do. */
static void prepare_deform(struct bench_inputs *inputs, const struct bench_case *c)
{
    const int64_t *n = c->n;
    bench_warm_f32(inputs, 4, SHAPE(1, positions(c), n[1], n[2]));
    bench_warm_f32(inputs, 4, SHAPE(n[0], n[1], LEVELS * n[3], 2));
    bench_warm_f32(inputs, 3, SHAPE(n[0], n[1], LEVELS * n[3]));
    if (inputs->result < 0)
        return;
    size_t count = (size_t)cr_tensor_elements(inputs->warm[1]);
    float *locations = cr_malloc(count * sizeof(float));
    if (locations == NULL) {
        inputs->result = cr_fail_memory(inputs->err, count * sizeof(float));
        return;
    }
    inputs->result = cr_tensor_read(inputs->warm[1], locations, count * sizeof(float), inputs->err);
    for (size_t i = 0; i < count; i++)
        locations[i] = 0.5f + 0.52f * locations[i];
    cr_tensor_unref(&inputs->warm[1]);
    if (inputs->result == 0)
        inputs->result =
            cr_tensor_upload(&inputs->warm[1], inputs->device, CR_DTYPE_F32, 4,
                             SHAPE(n[0], n[1], LEVELS * n[3], 2), locations, inputs->err);
    cr_free(locations);
}

static int run_deform(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    const int64_t *n = c->n, shapes[2 * LEVELS] = {n[4], n[4], n[5], n[5], n[6], n[6]};
    struct cr_tensor *y = NULL;
    int result = cr_op_ms_deform_attn(&y, inputs->warm[0], shapes, LEVELS, inputs->warm[1],
                                      inputs->warm[2], err);
    cr_tensor_unref(&y);
    return result;
}

/* The four cells of each sample are read anew: which they are follows from the numbers, so that
 * caches help as it happens. */
static double bytes_deform(const struct bench_case *c)
{
    double samples = N(0) * N(1) * LEVELS * N(3), result = N(0) * N(1) * N(2);
    return 4 * (samples * (4 * N(2) + 3) + result);
}

/* Each sample is a sum of four products. */
static double operations_deform(const struct bench_case *c)
{
    return 8 * N(0) * N(1) * N(2) * LEVELS * N(3);
}

const struct bench_kind bench_ms_deform_attn = {
    CR_OP_MS_DEFORM_ATTN, false, prepare_deform, run_deform, bytes_deform, operations_deform};

/* ---- conv2d: channels, side, channels out, kernel, stride, padding ---- */

static void prepare_conv2d(struct bench_inputs *inputs, const struct bench_case *c)
{
    const int64_t *n = c->n;
    bench_warm_f32(inputs, 4, SHAPE(1, n[0], n[1], n[1]));
    bench_warm(inputs, CR_DTYPE_F16, 4, SHAPE(n[2], n[0], n[3], n[3]), 0);
    bench_warm_f32(inputs, 1, SHAPE(n[2]));
}

static int run_conv2d(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err)
{
    const int stride[2] = {(int)c->n[4], (int)c->n[4]}, padding[2] = {(int)c->n[5], (int)c->n[5]};
    struct cr_tensor *y = NULL;
    int result =
        cr_op_conv2d(&y, inputs->warm[0], inputs->warm[1], inputs->warm[2], stride, padding, err);
    cr_tensor_unref(&y);
    return result;
}

static double pixels_out(const struct bench_case *c)
{
    double side = floor((N(1) + 2 * N(5) - N(3)) / N(4)) + 1;
    return side * side;
}

static double bytes_conv2d(const struct bench_case *c)
{
    return 4 * (N(0) * N(1) * N(1) + N(2) * pixels_out(c)) + 2 * N(2) * N(0) * N(3) * N(3);
}

static double operations_conv2d(const struct bench_case *c)
{
    return 2 * pixels_out(c) * N(2) * N(0) * N(3) * N(3);
}

const struct bench_kind bench_conv2d = {CR_OP_CONV2D, true,         prepare_conv2d,
                                        run_conv2d,   bytes_conv2d, operations_conv2d};

/* ---- linear_cross_entropy: M, N, K, labelled rows ---- */

static int run_cross_entropy(struct bench_inputs *inputs, const struct bench_case *c,
                             struct cr_error *err)
{
    int32_t *labels = cr_malloc((size_t)c->n[0] * sizeof(int32_t));
    if (labels == NULL)
        return cr_fail_memory(err, (size_t)c->n[0] * sizeof(int32_t));
    for (int64_t i = 0; i < c->n[0]; i++)
        labels[i] = i < c->n[3] ? (int32_t)(i * 991 % c->n[1]) : -100;
    struct cr_tensor *loss = NULL;
    int result =
        cr_op_linear_cross_entropy(&loss, inputs->warm[0], bench_cold_get(inputs, 0), labels, err);
    cr_tensor_unref(&loss);
    cr_free(labels);
    return result;
}

static double bytes_cross_entropy(const struct bench_case *c)
{
    return bench_type_bytes(c->type, N(1) * N(2)) + 4 * N(3) * N(2) + 4 * N(0);
}

/* The product, and three for each logit: its exponential, a comparison, a sum. */
static double operations_cross_entropy(const struct bench_case *c)
{
    return N(3) * N(1) * (2 * N(2) + 3);
}

const struct bench_kind bench_linear_cross_entropy = {
    CR_OP_LINEAR_CROSS_ENTROPY, true, prepare_linear, run_cross_entropy, bytes_cross_entropy,
    operations_cross_entropy};

/* ---- quantize, dequantize: N, K ---- */

static void prepare_matrix(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm_f32(inputs, 2, SHAPE(c->n[0], c->n[1]));
}

static int run_quantize(struct bench_inputs *inputs, const struct bench_case *c,
                        struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    enum cr_dtype dtype = c->type == BENCH_Q8_0 ? CR_DTYPE_Q8_0 : CR_DTYPE_NF4;
    int result = cr_op_quantize(&y, inputs->warm[0], dtype, c->type == BENCH_NF4X2, err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_quantize(const struct bench_case *c)
{
    return 4 * N(0) * N(1) + bench_type_bytes(c->type, N(0) * N(1));
}

/* The largest of the block, a product, and rounding or four comparisons. */
static double operations_quantize(const struct bench_case *c)
{
    return (c->type == BENCH_Q8_0 ? 3 : 6) * N(0) * N(1);
}

const struct bench_kind bench_quantize = {CR_OP_QUANTIZE, false,          prepare_matrix,
                                          run_quantize,   bytes_quantize, operations_quantize};

static void prepare_dequantize(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_cold(inputs, 1, c->type, 2, SHAPE(c->n[0], c->n[1]));
}

static int run_dequantize(struct bench_inputs *inputs, const struct bench_case *c,
                          struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    (void)c;
    int result = cr_op_dequantize(&y, bench_cold_get(inputs, 0), CR_DTYPE_F16, err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_dequantize(const struct bench_case *c)
{
    return 2 * N(0) * N(1) + bench_type_bytes(c->type, N(0) * N(1));
}

static double operations_dequantize(const struct bench_case *c)
{
    return N(0) * N(1);
}

const struct bench_kind bench_dequantize = {CR_OP_DEQUANTIZE,   false,
                                            prepare_dequantize, run_dequantize,
                                            bytes_dequantize,   operations_dequantize};

/* ---- embedding: rows, D, ids ---- */

static void prepare_embedding(struct bench_inputs *inputs, const struct bench_case *c)
{
    bench_warm(inputs, CR_DTYPE_I32, 1, SHAPE(c->n[2]), (int32_t)c->n[0]);
    bench_cold(inputs, 1, c->type, 2, SHAPE(c->n[0], c->n[1]));
}

static int run_embedding(struct bench_inputs *inputs, const struct bench_case *c,
                         struct cr_error *err)
{
    struct cr_tensor *y = NULL;
    (void)c;
    int result = cr_op_embedding(&y, bench_cold_get(inputs, 0), inputs->warm[0], err);
    cr_tensor_unref(&y);
    return result;
}

static double bytes_embedding(const struct bench_case *c)
{
    return bench_type_bytes(c->type, N(2) * N(1)) + 4 * N(2) * N(1) + 4 * N(2);
}

static double operations_embedding(const struct bench_case *c)
{
    return c->type >= BENCH_Q8_0 ? N(2) * N(1) : 0;
}

const struct bench_kind bench_embedding = {CR_OP_EMBEDDING, false,           prepare_embedding,
                                           run_embedding,   bytes_embedding, operations_embedding};
