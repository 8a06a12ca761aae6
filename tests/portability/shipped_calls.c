/* SPDX-License-Identifier: MIT */
#include "shipped_calls.h"

#include <string.h>

#include "tensor/quantized.h"

struct maker {
    void (*each)(void *user, const struct cr_call *call);
    void *user;
    struct cr_call call;
};

static void begin(struct maker *m, enum cr_op op)
{
    m->call = (struct cr_call){.size = sizeof(m->call), .op = (int32_t)op};
}

static void end(struct maker *m)
{
    m->each(m->user, &m->call);
}

static struct cr_operand operand(enum cr_dtype dtype, bool nested, int rank, const int64_t *shape)
{
    static char something;
    struct cr_operand made = {.memory = &something, .dtype = (int32_t)dtype, .rank = rank};
    int64_t elements = 1;
    for (int i = 0; i < rank; i++)
        elements *= made.shape[i] = shape[i];
    if (dtype == CR_DTYPE_Q8_0 || dtype == CR_DTYPE_NF4) {
        struct cr_quantized_layout layout = cr_quantized_layout(dtype, elements, nested);
        made.scales = layout.scales;
        made.nested = nested ? layout.nested : 0;
        made.nested_map = nested ? layout.map : 0;
    }
    return made;
}

#define SHAPE(...)                                                                                 \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[])                         \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define IN(m, dtype, ...)                                                                          \
    ((m)->call.in[(m)->call.inputs++] = operand(CR_DTYPE_##dtype, false, SHAPE(__VA_ARGS__)))
#define OUT(m, dtype, ...)                                                                         \
    ((m)->call.out[(m)->call.outputs++] = operand(CR_DTYPE_##dtype, false, SHAPE(__VA_ARGS__)))
#define ABSENT(m) ((m)->call.inputs++)

/* ---- Products ---- */

static const struct weights {
    enum cr_dtype dtype;
    bool nested;
} weights[] = {
    {CR_DTYPE_F32, false}, {CR_DTYPE_F16, false}, {CR_DTYPE_Q8_0, false},
    {CR_DTYPE_NF4, false}, {CR_DTYPE_NF4, true},
};

static void add_weights(struct maker *m, const struct weights *w, int64_t n, int64_t k)
{
    m->call.in[m->call.inputs++] = operand(w->dtype, w->nested, SHAPE(n, k));
}

/* Of a language model of 7 billion parameters and a vision transformer: decoding one token and a
 * few, prefill of a prompt and of a picture. */
static void products(struct maker *m)
{
    static const int64_t sizes[][2] = {{4096, 4096},  {6144, 4096}, {14336, 4096}, {4096, 14336},
                                       {92544, 4096}, {1024, 1024}, {4096, 1024},  {1024, 4096}};
    static const int64_t heights[] = {1, 2, 4, 5, 8, 16, 17, 64, 512, 1225};
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
            for (size_t h = 0; h < sizeof(heights) / sizeof(heights[0]); h++) {
                begin(m, CR_OP_LINEAR);
                IN(m, F32, heights[h], sizes[s][1]);
                add_weights(m, &weights[w], sizes[s][0], sizes[s][1]);
                if (s % 2 == 1)
                    IN(m, F32, sizes[s][0]);
                else
                    ABSENT(m);
                OUT(m, F32, heights[h], sizes[s][0]);
                end(m);
            }
}

/* With what is fused around them: activation, residual, low-rank branches on the rows of a picture.
 */
static void fused_products(struct maker *m)
{
    static const int64_t heights[] = {1, 5, 16, 1225};
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++)
        for (size_t h = 0; h < sizeof(heights) / sizeof(heights[0]); h++)
            for (int kind = 0; kind < 4; kind++) {
                const int64_t rank = kind == 3 ? 256 : 64;
                begin(m, CR_OP_LINEAR_FUSED);
                IN(m, F32, heights[h], 4096);
                add_weights(m, &weights[w], 4096, 4096);
                ABSENT(m);
                if (kind % 2 == 0)
                    IN(m, F32, heights[h], 4096);
                else
                    ABSENT(m);
                for (int b = 0; b < kind; b++) {
                    IN(m, F16, rank, 4096);
                    IN(m, F16, 4096, rank);
                    ABSENT(m);
                    IN(m, F32, heights[h]);
                }
                OUT(m, F32, heights[h], 4096);
                m->call.ints[0] = kind == 1   ? CR_ACTIVATION_SILU
                                  : kind == 2 ? CR_ACTIVATION_QUICK_GELU
                                              : 0;
                m->call.ints[1] = kind;
                end(m);
            }
}

static void batched_products(struct maker *m)
{
    static const int64_t shapes[][3] = {{100, 134, 256}, {100, 65536, 256}, {1226, 1226, 64}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (int transposed = 0; transposed < 4; transposed++) {
            const int64_t *s = shapes[i];
            bool a = (transposed & 1) != 0, b = (transposed & 2) != 0;
            begin(m, CR_OP_MATMUL);
            IN(m, F32, 1, 16, a ? s[2] : s[0], a ? s[0] : s[2]);
            IN(m, F32, 1, 16, b ? s[1] : s[2], b ? s[2] : s[1]);
            OUT(m, F32, 1, 16, s[0], s[1]);
            m->call.ints[0] = a;
            m->call.ints[1] = b;
            m->call.reals[0] = 1;
            end(m);
        }
}

/* ---- Attention ---- */

struct attention {
    int64_t b, heads, kv_heads, queries, keys, d;
    bool half, causal, lengths, mask, bias, rows;
};

static void attend(struct maker *m, const struct attention *a)
{
    begin(m, CR_OP_ATTENTION);
    IN(m, F32, a->b, a->heads, a->queries, a->d);
    for (int i = 0; i < 2; i++)
        if (a->half)
            IN(m, F16, a->b, a->kv_heads, a->keys, a->d);
        else
            IN(m, F32, a->b, a->kv_heads, a->keys, a->d);
    if (a->lengths)
        IN(m, I32, a->b);
    else
        ABSENT(m);
    if (a->mask)
        IN(m, U8, a->b, a->heads, a->queries, a->keys);
    else
        ABSENT(m);
    if (a->bias)
        IN(m, F32, 1, a->heads, a->queries, a->keys);
    else
        ABSENT(m);
    if (a->rows)
        IN(m, I32, a->b, a->keys);
    else
        ABSENT(m);
    OUT(m, F32, a->b, a->heads, a->queries, a->d);
    m->call.ints[0] = a->causal;
    m->call.ints[1] = a->causal ? a->keys - a->queries : 0;
    m->call.reals[0] = 0.125;
    end(m);
}

static void attentions(struct maker *m)
{
    static const struct attention list[] = {
        /* a language model: decoding, prefill, padding and beams through rows */
        {1, 32, 8, 1, 1500, 128, .half = true},
        {1, 32, 8, 1, 8192, 128, .half = true},
        {4, 32, 8, 1, 1500, 128, .half = true, .lengths = true, .rows = true},
        {1, 32, 32, 1, 1500, 128},
        {1, 32, 8, 1225, 1500, 128, .half = true, .causal = true},
        {2, 32, 8, 300, 300, 128, .causal = true, .lengths = true, .rows = true, .half = true},
        /* a vision transformer; windows of a Swin transformer; queries of a mask decoder */
        {1, 16, 16, 1226, 1226, 64},
        {64, 6, 6, 144, 144, 32, .bias = true, .mask = true},
        {1, 8, 8, 100, 100, 32},
        {1, 8, 8, 100, 16384, 32, .mask = true},
        /* other sizes of heads */
        {1, 8, 2, 1, 700, 80, .half = true},
        {1, 8, 2, 70, 700, 80, .half = true, .causal = true},
        {1, 4, 4, 1, 700, 256},
        {1, 4, 4, 70, 700, 256, .causal = true},
        {1, 8, 8, 70, 700, 40},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        attend(m, &list[i]);
    for (int64_t rows = 1; rows <= 1225; rows += 1224) {
        begin(m, CR_OP_ROPE);
        IN(m, F32, 1, rows, 32, 128);
        IN(m, F32, 4096, 64);
        IN(m, F32, 4096, 64);
        IN(m, I32, 1, rows);
        OUT(m, F32, 1, rows, 32, 128);
        end(m);
        begin(m, CR_OP_KV_APPEND);
        IN(m, F32, 1, rows, 8, 128);
        IN(m, I32, 1, rows);
        OUT(m, F16, 1, 8, 4096, 128);
        end(m);
    }
}

/* ---- Rows ---- */

static void over_rows(struct maker *m)
{
    static const int64_t shapes[][2] = {{1, 4096},    {1225, 4096}, {1226, 1024},
                                        {16384, 192}, {1, 92544},   {100, 134}};
    static const enum cr_op ops[] = {CR_OP_RMS_NORM, CR_OP_LAYER_NORM, CR_OP_SOFTMAX,
                                     CR_OP_LOG_SOFTMAX, CR_OP_ARGMAX};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
            begin(m, ops[i]);
            IN(m, F32, shapes[s][0], shapes[s][1]);
            for (int w = 0; w < (ops[i] == CR_OP_RMS_NORM     ? 1
                                 : ops[i] == CR_OP_LAYER_NORM ? 2
                                                              : 0);
                 w++)
                IN(m, F32, shapes[s][1]);
            if (ops[i] == CR_OP_ARGMAX)
                OUT(m, I32, shapes[s][0]);
            else
                OUT(m, F32, shapes[s][0], shapes[s][1]);
            m->call.reals[0] = 1e-5;
            end(m);
        }
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
        begin(m, CR_OP_EMBEDDING);
        add_weights(m, &weights[w], 92544, 4096);
        IN(m, I32, 1225);
        OUT(m, F32, 1225, 4096);
        end(m);
    }
    begin(m, CR_OP_TOPK);
    IN(m, F32, 1, 92544);
    OUT(m, F32, 1, 50);
    OUT(m, I32, 1, 50);
    m->call.ints[0] = 50;
    end(m);
}

/* ---- Pictures ---- */

static void pictures(struct maker *m)
{
    static const struct {
        int64_t channels, size, filters, kernel, stride, padding;
    } list[] = {
        {3, 490, 1024, 14, 14, 0},
        {3, 384, 192, 4, 4, 0},
        {256, 120, 256, 3, 1, 1},
        {192, 120, 256, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        for (int half = 0; half < 2; half++) {
            const int64_t k = list[i].kernel;
            const int64_t y = (list[i].size + 2 * list[i].padding - k) / list[i].stride + 1;
            begin(m, CR_OP_CONV2D);
            IN(m, F32, 1, list[i].channels, list[i].size, list[i].size);
            if (half != 0)
                IN(m, F16, list[i].filters, list[i].channels, k, k);
            else
                IN(m, F32, list[i].filters, list[i].channels, k, k);
            IN(m, F32, list[i].filters);
            OUT(m, F32, 1, list[i].filters, y, y);
            m->call.ints[0] = m->call.ints[1] = list[i].stride;
            m->call.ints[2] = m->call.ints[3] = list[i].padding;
            end(m);
        }
    begin(m, CR_OP_MS_DEFORM_ATTN);
    IN(m, F32, 1, 120 * 120 + 60 * 60 + 30 * 30, 8, 32);
    IN(m, F32, 18900, 8, 12, 2);
    IN(m, F32, 18900, 8, 12);
    OUT(m, F32, 1, 18900, 256);
    memcpy(m->call.ints, (int64_t[]){3, 4, 120, 120, 60, 60, 30, 30}, 8 * sizeof(int64_t));
    end(m);
}

void shipped_calls(void (*each)(void *user, const struct cr_call *call), void *user)
{
    struct maker m = {.each = each, .user = user};
    products(&m);
    fused_products(&m);
    batched_products(&m);
    attentions(&m);
    over_rows(&m);
    pictures(&m);
}
