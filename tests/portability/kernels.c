/* SPDX-License-Identifier: MIT */
/* The kernels of device-cpu at every level that this processor has, against the plain ones, on
 * awkward sizes. Needs nothing but the plugin's own files and a few of the core, so that it can be
 * built for another processor and run in an emulator. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/plugin.h>

#include "tensor/cases.h"
#include "tensor/device.h"

#include "activation.h"
#include "attention.h"
#include "product.h"
#include "tile.h"
#include "vector.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BOUND 1e-5 /* |d|2 / |plain|2 of everything that adds up */
#define FAST_BOUND 1e-2

static enum cpu_level level; /* that is tested now */

CR_EXPORT extern const struct cr_plugin crayon_plugin; /* of device.c */

/* ---- Numbers ---- */

static uint64_t seed;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

/* About normally distributed. */
static float normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return (float)sum;
}

/* Memory between two walls of bytes that nobody may change, filled with NaN. */
#define WALL 256

struct guarded {
    unsigned char *memory;
    float *at;
    size_t bytes;
};

/* `shift` bytes off an alignment of 64. */
static struct guarded guarded(int64_t floats, size_t shift)
{
    struct guarded g = {.bytes = (size_t)floats * sizeof(float)};
    size_t total = (g.bytes + 2 * WALL + shift + 63) / 64 * 64;
    if ((g.memory = aligned_alloc(64, total)) == NULL)
        abort();
    memset(g.memory, 0xA5, total);
    g.at = (float *)(void *)(g.memory + WALL + shift);
    for (int64_t i = 0; i < floats; i++)
        g.at[i] = NAN;
    return g;
}

static bool walls_stand(const struct guarded *g)
{
    const unsigned char *end = (const unsigned char *)(const void *)g->at + g->bytes;
    for (const unsigned char *at = g->memory; at < (const unsigned char *)(const void *)g->at; at++)
        if (*at != 0xA5)
            return false;
    for (int i = 0; i < WALL; i++)
        if (end[i] != 0xA5)
            return false;
    return true;
}

static void release(struct guarded *g)
{
    free(g->memory);
    g->memory = NULL;
}

static struct guarded normals(int64_t floats, size_t shift)
{
    struct guarded g = guarded(floats, shift);
    for (int64_t i = 0; i < floats; i++)
        g.at[i] = normal();
    return g;
}

/* ---- What went wrong ---- */

static int failures;
static double worst;

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        if (failures++ < 20) {                                                                     \
            printf("# %s: ", cpu_level_name(level));                                               \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

/* |got - expected|2 / |expected|2; infinite where only one is finite. */
static double difference(const float *got, const float *expected, int64_t count)
{
    double d = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(got[i]) || !isfinite(expected[i]))
            return INFINITY;
        double delta = (double)got[i] - (double)expected[i];
        d += delta * delta;
        norm += (double)expected[i] * (double)expected[i];
    }
    return norm == 0 ? (d == 0 ? 0 : INFINITY) : sqrt(d / norm);
}

static bool within(const float *got, const float *expected, int64_t count, double bound)
{
    double error = difference(got, expected, count);
    worst = error > worst ? error : worst;
    return error <= bound;
}

/* The same bits, any NaN for another. */
static bool same(const float *got, const float *expected, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (memcmp(&got[i], &expected[i], sizeof(float)) != 0 &&
            !(isnan(got[i]) && isnan(expected[i])))
            return false;
    return true;
}

/* ---- Weights ---- */

static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_Q8_0, CR_DTYPE_NF4};

/* A matrix of any type in memory of its own. */
struct matrix {
    struct cpu_weights w;
    void *planes[4];
};

static struct matrix matrix(enum cr_dtype dtype, bool nested, int64_t rows, int64_t columns)
{
    struct matrix m = {.w = {.dtype = dtype, .rows = rows, .columns = columns}};
    int64_t n = rows * columns, blocks = (n + 31) / 32;
    size_t bytes = ((size_t)n * 4 + WALL) / 64 * 64;
    for (int i = 0; i < 4; i++)
        if ((m.planes[i] = aligned_alloc(64, bytes + 2048)) == NULL)
            abort();
    for (int64_t i = 0; i < n; i++) {
        if (dtype == CR_DTYPE_F32)
            ((float *)m.planes[0])[i] = normal();
        else if (dtype == CR_DTYPE_F16)
            ((uint16_t *)m.planes[0])[i] = cpu_f32_to_f16(normal());
        else
            ((uint8_t *)m.planes[0])[i] = (uint8_t)(uniform() * 256);
    }
    for (int64_t i = 0; i < blocks; i++) {
        if (dtype == CR_DTYPE_Q8_0)
            ((uint16_t *)m.planes[1])[i] = cpu_f32_to_f16((float)uniform());
        else if (nested)
            ((uint8_t *)m.planes[1])[i] = (uint8_t)(uniform() * 256);
        else
            ((float *)m.planes[1])[i] = (float)uniform();
        ((float *)m.planes[2])[i / 256] = (float)uniform();
    }
    for (int i = 0; i <= 256; i++)
        ((float *)m.planes[3])[i] = (float)i / 128 - 0.9f;
    m.w.data = m.planes[0];
    m.w.scales = m.planes[1];
    m.w.nested = nested ? m.planes[2] : NULL;
    m.w.map = nested ? m.planes[3] : NULL;
    return m;
}

static void matrix_free(struct matrix *m)
{
    for (int i = 0; i < 4; i++)
        free(m->planes[i]);
}

/* Every half, at every distance from the end of a vector. */
static void halves(void)
{
    uint16_t *half = malloc(65536 * sizeof(uint16_t));
    struct guarded plain = guarded(65536, 0), got = guarded(65536, 4);
    if (half == NULL)
        abort();
    for (int i = 0; i < 65536; i++)
        half[i] = (uint16_t)i;
    cpu_f16_row(CPU_PLAIN, half, 65536, plain.at);
    cpu_f16_row(level, half, 65536, got.at);
    if (!same(got.at, plain.at, 65536) || !walls_stand(&got))
        FAIL("65536 halves");
    release(&got);
    for (int64_t count = 0; count < 40; count++) {
        got = guarded(count, 4);
        cpu_f16_row(level, half + 15000 + count, count, got.at);
        if (!same(got.at, plain.at + 15000 + count, count) || !walls_stand(&got))
            FAIL("%d halves", (int)count);
        release(&got);
    }
    release(&plain);
    free(half);
}

static void weight_rows(void)
{
    static const int64_t columns[] = {1, 31, 48, 64, 65, 90, 96, 128, 1000};
    for (size_t t = 0; t < COUNT(dtypes) + 1; t++)
        for (size_t c = 0; c < COUNT(columns); c++) {
            int64_t k = columns[c];
            struct matrix m = matrix(dtypes[t < 4 ? t : 3], t == 4, 5, k);
            for (int64_t row = 0; row < 5; row++)
                for (int64_t from = 0; from < k; from += 1 + k / 3) {
                    struct guarded plain = guarded(k - from, 0), got = guarded(k - from, 4);
                    cpu_weights_row(CPU_PLAIN, &m.w, row, from, k - from, plain.at);
                    cpu_weights_row(level, &m.w, row, from, k - from, got.at);
                    if (!same(got.at, plain.at, k - from) || !walls_stand(&got))
                        FAIL("row %d of type %d, columns %d..%d", (int)row, (int)m.w.dtype,
                             (int)from, (int)k);
                    release(&plain);
                    release(&got);
                }
            matrix_free(&m);
        }
}

/* ---- Products ---- */

static void dots(void)
{
    struct guarded a = normals(200, 4), b = normals(200, 8);
    for (int64_t count = 0; count < 200; count++) {
        float plain = cpu_dot(CPU_PLAIN, a.at, b.at, count);
        float got = cpu_dot(level, a.at, b.at, count);
        if (fabsf(got - plain) > 1e-5f * (float)(count + 1))
            FAIL("a dot product of %d", (int)count);
    }
    release(&a);
    release(&b);
}

/* y = x W^T through cpu_product, rows n0..n1-1 of W. */
static void product(struct cpu *cpu, const struct cpu_weights *w, const float *x, int64_t m,
                    int64_t n0, int64_t n1, float *y, int64_t stride)
{
    struct cpu_product p;
    cpu_product_init(&p, cpu, w, x, m);
    struct guarded prepared = guarded((int64_t)cpu_product_prepared(&p), 0);
    struct guarded scratch = guarded((int64_t)cpu_product_scratch(&p), 0);
    cpu_product_prepare(&p, cpu, prepared.at);
    cpu_product_range(&p, n0, n1, 0, m, y, stride, scratch.at);
    if (!walls_stand(&prepared) || !walls_stand(&scratch))
        FAIL("%s, %d x %d x %d writes past its memory", cpu_product_name(&p), (int)m,
             (int)(n1 - n0), (int)w->columns);
    release(&prepared);
    release(&scratch);
}

static void compare_product(struct cpu *cpu, const struct matrix *w, int64_t m, int64_t n0,
                            int64_t n1, double bound)
{
    int64_t k = w->w.columns, n = n1 - n0;
    struct guarded x = normals(m * k, 4), plain = guarded(m * n, 0), got = guarded(m * n, 4);
    const enum cr_precision precision = cpu->params.precision;
    cpu->features.level = CPU_PLAIN;
    cpu->params.precision = CR_PRECISION_EXACT;
    product(cpu, &w->w, x.at, m, n0, n1, plain.at, n);
    cpu->features.level = level;
    cpu->params.precision = precision;
    product(cpu, &w->w, x.at, m, n0, n1, got.at, n);
    /* The terms of few sums may cancel each other. */
    bool near = m * n < 16 ? difference(got.at, plain.at, m * n) <= 10 * bound
                           : within(got.at, plain.at, m * n, bound);
    if (!near || !walls_stand(&got))
        FAIL("product of type %d, %d x %d x %d, from row %d", (int)w->w.dtype, (int)m, (int)n,
             (int)k, (int)n0);
    release(&x);
    release(&plain);
    release(&got);
}

static void compare_products(struct cpu *cpu, const struct matrix *w, double bound)
{
    static const int64_t ms[] = {1, 2, 3, 4, 5, 7, 16, 17, 33};
    static const int64_t ns[] = {1, 2, 3, 5, 8, 63};
    for (size_t a = 0; a < COUNT(ms); a++)
        for (size_t b = 0; b < COUNT(ns); b++)
            compare_product(cpu, w, ms[a], (int64_t)b % 4, (int64_t)b % 4 + ns[b], bound);
}

static void products(struct cpu *cpu)
{
    static const int64_t ks[] = {1, 31, 32, 64, 90, 96, 128, 192, 576};
    for (size_t t = 0; t < COUNT(dtypes) + 1; t++)
        for (size_t c = 0; c < COUNT(ks); c++) {
            struct matrix w = matrix(dtypes[t < 4 ? t : 3], t == 4, 66, ks[c]);
            compare_products(cpu, &w, BOUND);
            matrix_free(&w);
        }
}

/* What only a device that may be fast does: 8-bit activations. */
static void fast_products(struct cpu *cpu)
{
    static const int64_t ks[] = {128, 192, 256, 384, 1024};
    cpu->params.precision = CR_PRECISION_FAST;
    for (size_t t = 2; t < COUNT(dtypes) + 1; t++)
        for (size_t c = 0; c < COUNT(ks); c++) {
            struct matrix w = matrix(dtypes[t < 4 ? t : 3], t == 4, 66, ks[c]);
            compare_products(cpu, &w, FAST_BOUND);
            matrix_free(&w);
        }
    cpu->params.precision = CR_PRECISION_EXACT;
}

/* Zeros stay zeros, and what is no number, or infinite, reaches all of its row of y. */
static void fast_specials(struct cpu *cpu)
{
    static const float special[] = {0, NAN, INFINITY, -INFINITY, 1e-40f};
    enum {
        K = 256
    };
    struct matrix w = matrix(CR_DTYPE_NF4, false, 5, K);
    cpu->params.precision = CR_PRECISION_FAST;
    for (size_t i = 0; i < COUNT(special); i++) {
        struct guarded x = guarded(2 * K, 0), y = guarded(2 * 5, 4);
        for (int j = 0; j < 2 * K; j++)
            x.at[j] = j < K ? 0 : 1;
        x.at[70] = special[i];
        product(cpu, &w.w, x.at, 2, 0, 5, y.at, 5);
        for (int j = 0; j < 10; j++)
            if (j >= 5 ? !isfinite(y.at[j]) : isfinite(special[i]) ? y.at[j] != 0 : !isnan(y.at[j]))
                FAIL("8-bit activations with %g: %g", (double)special[i], (double)y.at[j]);
        release(&x);
        release(&y);
    }
    cpu->params.precision = CR_PRECISION_EXACT;
    matrix_free(&w);
}

static void transpositions(void)
{
    for (int64_t rows = 0; rows < 20; rows++)
        for (int64_t columns = 0; columns < 20; columns++) {
            int64_t ld_in = columns + 3, ld_out = rows + 5;
            struct guarded in = normals(rows * ld_in, 4);
            struct guarded plain = guarded(columns * ld_out, 0), got = guarded(columns * ld_out, 4);
            cpu_transpose(CPU_PLAIN, in.at, ld_in, rows, columns, plain.at, ld_out);
            cpu_transpose(level, in.at, ld_in, rows, columns, got.at, ld_out);
            if (!same(got.at, plain.at, columns * ld_out) || !walls_stand(&got))
                FAIL("transposition of %d x %d", (int)rows, (int)columns);
            release(&in);
            release(&plain);
            release(&got);
        }
}

/* A micro-kernel alone: parts of a tile, stored and added. Row i of x starts at x[i * row], its
 * numbers are `step` apart. */
static void tiles_of(const struct cpu_tile *tile, bool packed)
{
    const struct cpu_tile t = *tile;
    const int64_t k = 37, stride = t.nr + 3;
    const int64_t row = packed ? 1 : CPU_TILE_ROW, step = packed ? t.mr : 1;
    struct guarded x = normals(packed ? k * t.mr : t.mr * row, packed ? 0 : 4);
    struct guarded w = normals(k * t.nr, 4);
    for (int rows = 1; rows <= t.mr; rows++)
        for (int columns = 1; columns <= t.nr; columns++)
            for (int add = 0; add < 2; add++) {
                struct guarded got = guarded(t.mr * stride, 4),
                               expected = guarded(t.mr * stride, 0);
                for (int64_t i = 0; i < rows; i++)
                    for (int64_t j = 0; j < columns; j++) {
                        double sum = add;
                        for (int64_t at = 0; at < k; at++)
                            sum += (double)x.at[i * row + at * step] * (double)w.at[at * t.nr + j];
                        got.at[i * stride + j] = 1;
                        expected.at[i * stride + j] = (float)sum;
                    }
                (packed ? t.multiply : t.multiply_rows)(k, x.at, w.at, got.at, stride, rows,
                                                        columns, add != 0);
                for (int64_t i = 0; i < t.mr * stride; i++) {
                    float a = got.at[i], b = expected.at[i];
                    if (isnan(a) != isnan(b) || fabsf(a - b) > 1e-4f) {
                        FAIL("%s: %d x %d of a tile", t.name, rows, columns);
                        break;
                    }
                }
                if (!walls_stand(&got))
                    FAIL("%s writes past the tile", t.name);
                release(&got);
                release(&expected);
            }
    release(&x);
    release(&w);
}

static void tiles(void)
{
    const struct cpu_tile t = cpu_tile_choose(level);
    tiles_of(&t, true);
    tiles_of(&t, false);
}

/* ---- Activations ---- */

static const int activations[] = {CR_ACTIVATION_GELU, CR_ACTIVATION_QUICK_GELU, CR_ACTIVATION_SILU,
                                  CR_ACTIVATION_RELU, CPU_ACTIVATION_SIGMOID};

/* In double. */
static double activation(int function, double x)
{
    switch (function) {
    case CR_ACTIVATION_GELU:
        return 0.5 * x * (1 + erf(x * 0.70710678118654752));
    case CR_ACTIVATION_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case CR_ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case CR_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    default:
        return 1 / (1 + exp(-x));
    }
}

/* A sweep from -120 to 120; an error of 1e-6 of the larger of 1 and the result. */
static void sweep(int function)
{
    enum {
        STEPS = 24001
    };
    struct guarded x = guarded(STEPS, 4);
    for (int i = 0; i < STEPS; i++)
        x.at[i] = (float)(i - STEPS / 2) * 0.01f;
    cpu_activate(level, function, x.at, STEPS);
    for (int i = 0; i < STEPS; i++) {
        double expected = activation(function, (double)((float)(i - STEPS / 2) * 0.01f));
        if (!(fabs((double)x.at[i] - expected) <= 1e-6 * fmax(1, fabs(expected)))) {
            FAIL("activation %d of %g is %g, not %g", function, (i - STEPS / 2) * 0.01,
                 (double)x.at[i], expected);
            break;
        }
    }
    if (!walls_stand(&x))
        FAIL("activation %d writes past the end", function);
    release(&x);
}

/* What an element becomes does not depend on its place, and what is no number stays none. */
static void places(int function)
{
    static const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-40f, -3, 1000, -1000};
    for (int64_t count = 1; count < 40; count++) {
        struct guarded x = guarded(count, 4);
        float one[COUNT(special)];
        for (int64_t i = 0; i < count; i++)
            x.at[i] = special[i % (int64_t)COUNT(special)];
        for (size_t i = 0; i < COUNT(special); i++) {
            one[i] = special[i];
            cpu_activate(level, function, &one[i], 1);
        }
        cpu_activate(level, function, x.at, count);
        for (int64_t i = 0; i < count; i++)
            if (!same(&x.at[i], &one[i % (int64_t)COUNT(special)], 1))
                FAIL("activation %d depends on the place", function);
        for (size_t i = 0; i < COUNT(special) && count == 1; i++) {
            float plain = special[i];
            cpu_activate(CPU_PLAIN, function, &plain, 1);
            if (isnan(plain) != isnan(one[i]) || isinf(plain) != isinf(one[i]) ||
                (!isnan(plain) && signbit(plain) != signbit(one[i])))
                FAIL("activation %d of %g is %g, plain %g", function, (double)special[i],
                     (double)one[i], (double)plain);
        }
        release(&x);
    }
}

static void activate_all(void)
{
    for (size_t i = 0; i < COUNT(activations); i++) {
        sweep(activations[i]);
        places(activations[i]);
    }
    struct guarded a = normals(2100, 4), b = normals(2100, 0);
    struct guarded plain = guarded(2100, 0), got = guarded(2100, 4);
    cpu_silu_mul(CPU_PLAIN, a.at, b.at, plain.at, 2100);
    cpu_silu_mul(level, a.at, b.at, got.at, 2100);
    if (!within(got.at, plain.at, 2100, 1e-6) || !walls_stand(&got))
        FAIL("silu_mul");
    release(&a);
    release(&b);
    release(&plain);
    release(&got);
}

/* ---- Attention ---- */

struct attention_case {
    int64_t heads, key_heads, queries, keys, d;
    bool causal, half;
};

static void attend(struct cpu *cpu, const struct attention_case *c, const float *q, const void *k,
                   const void *v, float *y)
{
    const int32_t dtype = c->half ? CR_DTYPE_F16 : CR_DTYPE_F32;
    struct cr_call call = {.op = CR_OP_ATTENTION};
    call.in[0] = (struct cr_operand){.memory = (void *)(uintptr_t)q,
                                     .dtype = CR_DTYPE_F32,
                                     .rank = 4,
                                     .shape = {2, c->heads, c->queries, c->d}};
    call.in[1] = (struct cr_operand){.memory = (void *)(uintptr_t)k,
                                     .dtype = dtype,
                                     .rank = 4,
                                     .shape = {2, c->key_heads, c->keys, c->d}};
    call.in[2] = call.in[1];
    call.in[2].memory = (void *)(uintptr_t)v;
    call.out[0] = call.in[0];
    call.out[0].memory = y;
    call.ints[0] = c->causal;
    call.ints[1] = c->keys - c->queries;
    call.reals[0] = 1 / sqrt((double)c->d);
    struct cr_error err = CR_ERROR_INIT;
    if (cpu_attention_family[0].run(cpu, &call, &err) != 0)
        FAIL("attention: %s", err.message);
}

/* The same numbers, or as halves in the same memory. */
static void *keys_of(struct guarded *g, int64_t count, bool half)
{
    for (int64_t i = 0; half && i < count; i++) {
        uint16_t bits = cpu_f32_to_f16(g->at[i]);
        memcpy((char *)g->at + 2 * i, &bits, sizeof(bits));
    }
    return g->at;
}

static void attentions(struct cpu *cpu)
{
    static const struct attention_case cases[] = {
        {1, 1, 1, 1, 8, false, false},      {4, 2, 1, 33, 16, false, true},
        {4, 4, 7, 65, 40, true, false},     {8, 2, 2, 700, 64, true, true},
        {6, 3, 65, 130, 80, false, false},  {4, 1, 33, 257, 128, true, true},
        {2, 2, 9, 100, 256, false, false},  {3, 1, 5, 77, 90, true, false},
        {2, 2, 144, 144, 32, false, false}, {1, 1, 49, 49, 32, true, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct attention_case *c = &cases[i];
        int64_t outputs = 2 * c->heads * c->queries * c->d,
                inputs = 2 * c->key_heads * c->keys * c->d;
        struct guarded q = normals(outputs, 4), k = normals(inputs, 4), v = normals(inputs, 4);
        struct guarded plain = guarded(outputs, 0), got = guarded(outputs, 4);
        void *keys = keys_of(&k, inputs, c->half), *values = keys_of(&v, inputs, c->half);
        cpu->features.level = CPU_PLAIN;
        attend(cpu, c, q.at, keys, values, plain.at);
        cpu->features.level = level;
        attend(cpu, c, q.at, keys, values, got.at);
        if (!within(got.at, plain.at, outputs, BOUND) || !walls_stand(&got))
            FAIL("attention: %d of %d heads, %d queries, %d keys, d %d", (int)c->heads,
                 (int)c->key_heads, (int)c->queries, (int)c->keys, (int)c->d);
        release(&q);
        release(&k);
        release(&v);
        release(&plain);
        release(&got);
    }
}

/* ---- Every operation, through the functions of the core ---- */

/* What to switch off, so that a level is the best that is left. */
static const char *const others[] = {[CPU_PLAIN] = "avx2,neon,openblas",
                                     [CPU_AVX2] = "avx512,openblas",
                                     [CPU_AVX512] = "openblas",
                                     [CPU_NEON] = "openblas"};

static void operations(enum cr_precision precision)
{
    const struct cr_element *element = crayon_plugin.elements[0];
    const struct cr_device_params params = {.precision = precision, .threads = 2};
    struct cr_device *device;
    struct cr_error err = CR_ERROR_INIT;
    setenv("CRAYON_CPU_DISABLE", others[level], 1);
    if (cr_device_create(&device, element->device, element->state_size, "", &params, &err) != 0) {
        FAIL("%s", err.message);
        return;
    }
    for (int op = 1; op < CR_OP_COUNT; op++) {
        struct cr_selftest_result result;
        if (cr_selftest_run(device, (enum cr_op)op, &result, &err) != 0)
            FAIL("%s: %s", cr_op_name((enum cr_op)op), err.message);
        else if (result.failed > 0)
            FAIL("%s: %d of %d cases failed; error %.1e of \"%s\" by %s; %s",
                 cr_op_name((enum cr_op)op), result.failed, result.cases, result.error,
                 result.worst, result.variant, result.problem);
        worst = result.bound > 0 && result.error > worst ? result.error : worst;
    }
    cr_device_unref(&device);
}

/* ---- All ---- */

static int tests, broken;

static void report(const char *what)
{
    broken += failures > 0;
    if (worst > 0)
        printf("# worst error %.1e\n", worst);
    printf("%sok %d - %s: %s\n", failures > 0 ? "not " : "", ++tests, cpu_level_name(level), what);
    fflush(stdout);
    failures = 0;
    worst = 0;
}

static void test_plain(void)
{
    level = CPU_PLAIN;
    operations(CR_PRECISION_EXACT);
    report("every operation against the reference");
}

static void test_level(struct cpu *cpu)
{
    cpu->features.level = level;
    seed = 1;
    halves();
    weight_rows();
    report("weights as f32 have the same bits");
    dots();
    products(cpu);
    report("products of every type");
    if (cpu->features.dotprod) {
        fast_products(cpu);
        fast_specials(cpu);
        report("products with 8-bit activations");
    }
    transpositions();
    tiles();
    report("transposition and tiles");
    activate_all();
    report("activations");
    attentions(cpu);
    report("attention");
    operations(CR_PRECISION_EXACT);
    report("every operation against the reference");
    operations(CR_PRECISION_FAST);
    report("every operation of a device that may be fast");
}

int main(void)
{
    struct cpu cpu = {.features = {.level = CPU_PLAIN}};
    struct cr_error err = CR_ERROR_INIT;
    cpu_detect(&cpu.features);
    const enum cpu_level best = cpu.features.level;
    static const enum cpu_level levels[] = {CPU_AVX2, CPU_AVX512, CPU_NEON};
    const struct cr_device_ops *ops = crayon_plugin.elements[0]->device;
    const struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = 2};
    if (ops->open(&cpu, "", &params, &err) != 0) {
        printf("Bail out! %s\n", err.message);
        return 1;
    }
    test_plain();
    for (size_t i = 0; i < COUNT(levels); i++)
        if (levels[i] == best || (levels[i] == CPU_AVX2 && best == CPU_AVX512)) {
            level = levels[i];
            test_level(&cpu);
        }
    printf("1..%d\n", tests);
    ops->close(&cpu);
    return broken > 0;
}
