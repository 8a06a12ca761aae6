/* SPDX-License-Identifier: MIT */
/* Putting cases together, and comparing. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "tensor/cases.h"
#include "tensor/quantized.h"
#include "tensor/reference/internal.h"

/* ---- Numbers: splitmix64 (Steele, Lea, Flood 2014) ---- */

static uint64_t next(uint64_t *seed)
{
    uint64_t z = *seed += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

double cr_case_uniform(uint64_t *seed)
{
    return (double)(next(seed) >> 11) * 0x1p-53;
}

/* The sum of four uniform numbers. */
double cr_case_normal(uint64_t *seed)
{
    uint64_t bits = next(seed);
    double sum = 0;
    for (int i = 0; i < 4; i++, bits >>= 16)
        sum += ((double)(bits & 0xFFFF) + 0.5) / 65536 - 0.5;
    return sum * sqrt(3);
}

static float fill_number(enum cr_fill fill, double weight, uint64_t *seed)
{
    switch (fill) {
    case CR_FILL_NORMAL:
        return (float)cr_case_normal(seed);
    case CR_FILL_WEIGHT:
        return (float)(cr_case_normal(seed) * weight);
    case CR_FILL_UNIFORM:
        return (float)cr_case_uniform(seed);
    default:
        return 0;
    }
}

/* ---- Building ---- */

void cr_case_init(struct cr_case *c, enum cr_op op, uint64_t seed, const char *name, ...)
{
    va_list args;
    memset(c, 0, sizeof(*c));
    va_start(args, name);
    vsnprintf(c->name, sizeof(c->name), name, args);
    va_end(args);
    c->call.size = sizeof(c->call);
    c->call.op = op;
    c->seed = seed * 1000003 + (uint64_t)op;
}

void cr_case_finish(struct cr_case *c)
{
    for (int i = 0; i < c->block_count; i++)
        cr_free(c->blocks[i]);
    c->block_count = 0;
}

static void *block(struct cr_case *c, size_t bytes)
{
    void *memory = c->result < 0 ? NULL : cr_calloc(1, bytes == 0 ? 1 : bytes);
    if (memory == NULL)
        c->result = CR_ERR_MEMORY;
    else
        c->blocks[c->block_count++] = memory;
    return memory;
}

static bool quantised(const struct cr_operand *operand)
{
    return operand->dtype == CR_DTYPE_Q8_0 || operand->dtype == CR_DTYPE_NF4;
}

static struct cr_quantized_layout layout_of(const struct cr_operand *operand)
{
    return cr_quantized_layout((enum cr_dtype)operand->dtype, cr_operand_elements(operand),
                               operand->nested != 0);
}

size_t cr_case_bytes(const struct cr_operand *operand)
{
    if (quantised(operand))
        return layout_of(operand).bytes;
    return (size_t)cr_operand_elements(operand) * cr_dtype_size((enum cr_dtype)operand->dtype);
}

static void fill_dense(struct cr_operand *operand, enum cr_fill fill, uint64_t *seed)
{
    int64_t elements = cr_operand_elements(operand);
    double weight = 1 / sqrt((double)ref_last(operand));
    for (int64_t i = 0; i < elements; i++) {
        float number = fill_number(fill, weight, seed);
        if (operand->dtype == CR_DTYPE_F32)
            ((float *)operand->memory)[i] = number;
        else if (operand->dtype == CR_DTYPE_F16)
            ((uint16_t *)operand->memory)[i] = cr_half(number);
    }
}

static int fill_quantised(struct cr_operand *operand, enum cr_fill fill, uint64_t *seed)
{
    int64_t elements = cr_operand_elements(operand);
    double weight = 1 / sqrt((double)ref_last(operand));
    float *numbers = cr_malloc((size_t)elements * sizeof(float) + 1);
    if (numbers == NULL)
        return CR_ERR_MEMORY;
    for (int64_t i = 0; i < elements; i++)
        numbers[i] = fill_number(fill, weight, seed);
    int result = cr_reference_quantize(numbers, elements, operand, NULL);
    cr_free(numbers);
    return result;
}

static void *make(struct cr_case *c, struct cr_operand *operand, enum cr_dtype dtype, int rank,
                  const int64_t *shape, bool nested, enum cr_fill fill)
{
    *operand = (struct cr_operand){.dtype = (int32_t)dtype, .rank = rank, .nested = nested};
    for (int i = 0; i < rank; i++)
        operand->shape[i] = shape[i];
    if ((operand->memory = block(c, cr_case_bytes(operand))) == NULL)
        return NULL;
    if (!quantised(operand)) {
        fill_dense(operand, fill, &c->seed);
        return operand->memory;
    }
    struct cr_quantized_layout layout = layout_of(operand);
    operand->scales = layout.scales;
    operand->nested = layout.nested;
    operand->nested_map = layout.map;
    if (fill_quantised(operand, fill, &c->seed) < 0)
        c->result = CR_ERR_MEMORY;
    return operand->memory;
}

void *cr_case_in(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape,
                 enum cr_fill fill)
{
    return make(c, &c->call.in[c->call.inputs++], dtype, rank, shape, false, fill);
}

void *cr_case_in_nested(struct cr_case *c, int64_t rows, int64_t columns, enum cr_fill fill)
{
    const int64_t shape[2] = {rows, columns};
    return make(c, &c->call.in[c->call.inputs++], CR_DTYPE_NF4, 2, shape, true, fill);
}

void cr_case_absent(struct cr_case *c)
{
    c->call.inputs++;
}

void *cr_case_out(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape,
                  enum cr_fill fill)
{
    bool nested = c->call.op == CR_OP_QUANTIZE && c->call.ints[0] != 0;
    return make(c, &c->call.out[c->call.outputs++], dtype, rank, shape, nested, fill);
}

/* ---- Comparing ---- */

/* The sums behind a relative error. */
struct sums {
    double difference, reference;
    bool broken, sign; /* a NaN or infinity on one side; a zero of the wrong sign */
};

static void add_number(struct sums *sums, int dtype, double got, double expected)
{
    double rounded = ref_stored(dtype, expected);
    if (!isnan(expected) && !isinf(expected))
        sums->reference += expected * expected;
    if (isnan(got) && isnan(rounded))
        return;
    if (got == rounded) {
        sums->sign = sums->sign || (signbit(got) != 0) != (signbit(rounded) != 0);
        return;
    }
    if (isnan(got) || isnan(rounded) || isinf(got) || isinf(rounded))
        sums->broken = true;
    else
        sums->difference += (got - expected) * (got - expected);
}

static double relative(const struct sums *sums)
{
    if (sums->broken)
        return INFINITY;
    if (sums->difference == 0)
        return sums->sign ? DBL_TRUE_MIN : 0;
    return sums->reference == 0 ? INFINITY : sqrt(sums->difference / sums->reference);
}

/* Do all bits of two sets of planes agree, the unused half of the last byte aside? */
static bool same_planes(const struct cr_operand *out, const void *got)
{
    const struct cr_quantized_layout layout = layout_of(out);
    const uint8_t *a = out->memory, *b = got;
    size_t codes = layout.codes_bytes, odd = 0;
    if (out->dtype == CR_DTYPE_NF4 && cr_operand_elements(out) % 2 != 0) {
        codes--;
        odd = (a[codes] ^ b[codes]) & 0xF0;
    }
    return odd == 0 && memcmp(a, b, codes) == 0 &&
           memcmp(a + layout.scales, b + layout.scales, layout.scales_bytes) == 0 &&
           (out->nested == 0 ||
            (memcmp(a + layout.nested, b + layout.nested, layout.nested_bytes) == 0 &&
             memcmp(a + layout.map, b + layout.map, 257 * sizeof(float)) == 0));
}

double cr_case_error(const struct cr_operand *out, const void *got, const double *expected)
{
    struct cr_operand copy = *out;
    struct sums sums = {0};
    int64_t elements = cr_operand_elements(out);
    if (quantised(out) && same_planes(out, got))
        return 0;
    copy.memory = (void *)(uintptr_t)got;
    copy.offset = 0;
    for (int64_t i = 0; i < elements; i++)
        add_number(&sums, quantised(out) ? CR_DTYPE_F32 : out->dtype, ref_number(&copy, i),
                   expected[i]);
    double error = relative(&sums);
    return quantised(out) && error == 0 ? DBL_TRUE_MIN : error;
}
