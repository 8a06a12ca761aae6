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

/* ---- Elements ---- */

/* Activations of a language model, of a vision transformer and of a mask decoder. */
static const int64_t activations[][2] = {{1, 4096},    {1225, 4096}, {1, 14336}, {1225, 14336},
                                         {1226, 1024}, {14400, 256}, {100, 134}};

static void elements(struct maker *m)
{
    for (int op = CR_OP_ADD; op <= CR_OP_SILU_MUL; op++)
        for (size_t s = 0; s < sizeof(activations) / sizeof(activations[0]); s++) {
            const int64_t rows = activations[s][0], columns = activations[s][1];
            const bool broadcast = op == CR_OP_ADD || op == CR_OP_MUL;
            /* the other operand: as large, a row, a column */
            for (int kind = 0; kind < (broadcast ? 3 : 1); kind++) {
                begin(m, (enum cr_op)op);
                IN(m, F32, rows, columns);
                if (broadcast || op == CR_OP_SILU_MUL)
                    IN(m, F32, kind == 1 ? 1 : rows, kind == 2 ? 1 : columns);
                OUT(m, F32, rows, columns);
                m->call.reals[0] = 0.125;
                end(m);
            }
        }
}

static void casts(struct maker *m)
{
    static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_I32, CR_DTYPE_U8};
    for (int from = 0; from < 4; from++)
        for (int to = 0; to < 4; to++)
            for (int64_t columns = 133; columns <= 1024; columns += 891) {
                begin(m, CR_OP_CAST);
                m->call.in[m->call.inputs++] = operand(dtypes[from], false, SHAPE(1225, columns));
                m->call.out[m->call.outputs++] = operand(dtypes[to], false, SHAPE(1225, columns));
                end(m);
            }
    for (int to = 0; to < 4; to++) {
        begin(m, CR_OP_FILL);
        m->call.out[m->call.outputs++] = operand(dtypes[to], false, SHAPE(1225, 4096));
        m->call.reals[0] = 1;
        end(m);
    }
}

/* ---- Layout ---- */

static const struct move {
    enum cr_op op;
    int64_t x[4], y[4], ints[4];
} moves[] = {
    /* heads of a projection and back; a picture as rows and back; windows */
    {CR_OP_PERMUTE, {1, 1225, 32, 128}, {1, 32, 1225, 128}, {0, 2, 1, 3}},
    {CR_OP_PERMUTE, {1, 32, 1225, 128}, {1, 1225, 32, 128}, {0, 2, 1, 3}},
    {CR_OP_PERMUTE, {1, 16, 1226, 64}, {1, 16, 64, 1226}, {0, 1, 3, 2}},
    {CR_OP_PERMUTE, {1, 256, 120, 120}, {1, 120, 120, 256}, {0, 2, 3, 1}},
    {CR_OP_PERMUTE, {1, 120, 120, 256}, {1, 256, 120, 120}, {0, 3, 1, 2}},
    {CR_OP_PERMUTE, {8, 12, 8, 2304}, {8, 8, 12, 2304}, {0, 2, 1, 3}},
    /* q, k and v of one projection; all but the first row; queries */
    {CR_OP_SLICE, {1, 1, 1225, 6144}, {1, 1, 1225, 1024}, {0, 0, 0, 4096}},
    {CR_OP_SLICE, {1, 1, 1226, 1024}, {1, 1, 1225, 1024}, {0, 0, 1, 0}},
    {CR_OP_SLICE, {1, 1, 100, 134}, {1, 1, 100, 133}, {0, 0, 0, 0}},
    /* whole windows, shifted windows */
    {CR_OP_PAD, {1, 120, 123, 192}, {1, 120, 132, 192}, {0, 0, 0, 0}},
    {CR_OP_PAD, {1, 3, 480, 487}, {1, 3, 512, 512}, {0, 0, 16, 12}},
    {CR_OP_ROLL, {1, 96, 96, 192}, {1, 96, 96, 192}, {0, 90, 90, 0}},
};

static void layouts(struct maker *m)
{
    static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_U8};
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
        for (size_t d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++) {
            begin(m, moves[i].op);
            m->call.in[m->call.inputs++] = operand(dtypes[d], false, 4, moves[i].x);
            m->call.out[m->call.outputs++] = operand(dtypes[d], false, 4, moves[i].y);
            memcpy(m->call.ints, moves[i].ints, sizeof(moves[i].ints));
            end(m);
        }
    /* a class token or text before the rows of a picture; features side by side */
    for (int64_t axis = 0; axis < 2; axis++) {
        begin(m, CR_OP_CONCAT);
        IN(m, F32, axis == 0 ? 1 : 1225, axis == 0 ? 1024 : 257);
        IN(m, F32, 1225, 1024);
        OUT(m, F32, axis == 0 ? 1226 : 1225, axis == 0 ? 1024 : 1281);
        m->call.ints[0] = axis;
        end(m);
    }
}

static void listed_rows(struct maker *m)
{
    begin(m, CR_OP_GATHER_ROWS);
    IN(m, F32, 1500, 4096);
    IN(m, I32, 1225);
    OUT(m, F32, 1225, 4096);
    end(m);
    for (int op = CR_OP_SCATTER_ROWS; op <= CR_OP_SCATTER_ADD_ROWS; op++) {
        begin(m, (enum cr_op)op);
        IN(m, I32, 1225);
        IN(m, F32, 1225, 4096);
        OUT(m, F32, 1500, 4096);
        end(m);
    }
}

/* ---- Sums ---- */

static void sums(struct maker *m)
{
    for (int op = CR_OP_SUM; op <= CR_OP_SUM_SQUARES; op++)
        for (size_t s = 0; s < sizeof(activations) / sizeof(activations[0]); s++) {
            begin(m, (enum cr_op)op);
            IN(m, F32, activations[s][0], activations[s][1]);
            OUT(m, F32, activations[s][0], 1);
            end(m);
        }
    begin(m, CR_OP_GROUP_NORM);
    IN(m, F32, 1, 256, 120, 120);
    IN(m, F32, 256);
    IN(m, F32, 256);
    OUT(m, F32, 1, 256, 120, 120);
    m->call.ints[0] = 32;
    m->call.reals[0] = 1e-5;
    end(m);
}

/* ---- Quantisation and training ---- */

static void quantisations(struct maker *m)
{
    for (size_t w = 2; w < sizeof(weights) / sizeof(weights[0]); w++) {
        begin(m, CR_OP_QUANTIZE);
        IN(m, F32, 14336, 4096);
        m->call.out[m->call.outputs++] =
            operand(weights[w].dtype, weights[w].nested, SHAPE(14336, 4096));
        m->call.ints[0] = weights[w].nested;
        end(m);
        for (int half = 0; half < 2; half++) {
            begin(m, CR_OP_DEQUANTIZE);
            add_weights(m, &weights[w], 14336, 4096);
            if (half != 0)
                OUT(m, F16, 14336, 4096);
            else
                OUT(m, F32, 14336, 4096);
            end(m);
        }
    }
}

static void training(struct maker *m)
{
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
        begin(m, CR_OP_LINEAR_CROSS_ENTROPY);
        IN(m, F32, 1500, 4096);
        add_weights(m, &weights[w], 92544, 4096);
        IN(m, I32, 1500);
        OUT(m, F32, 1);
        end(m);
    }
    begin(m, CR_OP_ADAMW_STEP);
    IN(m, F32, 64, 4096);
    for (int i = 0; i < 3; i++)
        OUT(m, F32, 64, 4096);
    m->call.ints[0] = 1;
    memcpy(m->call.reals, (double[]){1e-4, 0.9, 0.999, 1e-8, 0.01}, 5 * sizeof(double));
    end(m);
    begin(m, CR_OP_GRAD_NORM);
    IN(m, F32, 64, 4096);
    IN(m, F32, 4096, 64);
    OUT(m, F32, 1);
    end(m);
}

/* ---- Pictures ---- */

static void resizes(struct maker *m)
{
    static const int64_t sizes[][5] = {
        {100, 120, 120, 490, 490}, {1024, 37, 37, 35, 35}, {256, 60, 60, 120, 120}};
    for (int64_t mode = 0; mode < 3; mode++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            begin(m, CR_OP_RESIZE);
            IN(m, F32, 1, sizes[s][0], sizes[s][1], sizes[s][2]);
            OUT(m, F32, 1, sizes[s][0], sizes[s][3], sizes[s][4]);
            m->call.ints[0] = mode;
            end(m);
        }
}

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
    elements(&m);
    casts(&m);
    layouts(&m);
    listed_rows(&m);
    sums(&m);
    quantisations(&m);
    training(&m);
    resizes(&m);
    pictures(&m);
}
