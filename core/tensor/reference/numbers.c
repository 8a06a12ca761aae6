/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <crayon/memory.h>

#include "tensor/quantized.h"
#include "tensor/reference/internal.h"

#define NESTED_ZERO 127 /* where the dynamic map holds 0 */
#define NF4_ZERO 7

/* ---- binary16: a sign, 5 bits of exponent, 10 of fraction ---- */

double cr_half_number(uint16_t half)
{
    int exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    double magnitude = exponent == 0x1F && fraction != 0 ? NAN
                       : exponent == 0x1F                ? INFINITY
                       : exponent == 0                   ? ldexp(fraction, -24)
                                                         : ldexp(1024 + fraction, exponent - 25);
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

uint16_t cr_half(double number)
{
    uint16_t sign = signbit(number) ? 0x8000 : 0;
    double magnitude = fabs(number);
    if (isnan(number))
        return sign | 0x7E00;
    if (magnitude >= 65520)
        return sign | 0x7C00;
    int exponent = magnitude < 0x1p-14 ? -14 : ilogb(magnitude);
    /* In units of the last place; a carry walks into the exponent by itself. */
    double units = rint(ldexp(magnitude, 10 - exponent));
    if (magnitude < 0x1p-14)
        return (uint16_t)(sign | (uint16_t)units);
    return (uint16_t)(sign | ((exponent + 14) * 1024 + (int)units));
}

/* ---- Operands as numbers ---- */

int64_t cr_operand_elements(const struct cr_operand *operand)
{
    int64_t elements = 1;
    for (int i = 0; i < operand->rank; i++)
        elements *= operand->shape[i];
    return elements;
}

static const void *plane(const struct cr_operand *operand, uint64_t offset)
{
    return (const char *)operand->memory + offset;
}

/* Operands may lie anywhere, so that numbers are copied out. */
static float float_at(const void *plane, int64_t i)
{
    float value;
    memcpy(&value, (const char *)plane + i * (int64_t)sizeof(value), sizeof(value));
    return value;
}

static double half_at(const void *plane, int64_t i)
{
    uint16_t value;
    memcpy(&value, (const char *)plane + i * (int64_t)sizeof(value), sizeof(value));
    return cr_half_number(value);
}

static double int_at(const void *plane, int64_t i)
{
    int32_t value;
    memcpy(&value, (const char *)plane + i * (int64_t)sizeof(value), sizeof(value));
    return value;
}

static float nf4_absmax(const struct cr_operand *operand, int64_t block)
{
    const void *scales = plane(operand, operand->scales);
    if (operand->nested == 0)
        return float_at(scales, block);
    const void *map = plane(operand, operand->nested_map);
    float value = float_at(map, ((const uint8_t *)scales)[block]);
    value = value * float_at(plane(operand, operand->nested), block / CR_NESTED_BLOCK);
    return value + float_at(map, 256);
}

static double nf4_at(const struct cr_operand *operand, int64_t i)
{
    const uint8_t *codes = plane(operand, operand->offset);
    int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    return (double)cr_nf4_values()[code] * nf4_absmax(operand, i / CR_NF4_BLOCK);
}

static double q8_0_at(const struct cr_operand *operand, int64_t i)
{
    const int8_t *codes = plane(operand, operand->offset);
    return codes[i] * half_at(plane(operand, operand->scales), i / CR_Q8_0_BLOCK);
}

double ref_number(const struct cr_operand *operand, int64_t i)
{
    const void *data = plane(operand, operand->offset);
    switch (operand->dtype) {
    case CR_DTYPE_F16:
        return half_at(data, i);
    case CR_DTYPE_I32:
        return int_at(data, i);
    case CR_DTYPE_U8:
        return ((const uint8_t *)data)[i];
    case CR_DTYPE_Q8_0:
        return q8_0_at(operand, i);
    case CR_DTYPE_NF4:
        return nf4_at(operand, i);
    default:
        return float_at(data, i);
    }
}

void cr_operand_numbers(const struct cr_operand *operand, double *numbers)
{
    int64_t elements = cr_operand_elements(operand);
    for (int64_t i = 0; i < elements; i++)
        numbers[i] = ref_number(operand, i);
}

double ref_stored(int dtype, double x)
{
    switch (dtype) {
    case CR_DTYPE_F32:
        return (float)x;
    case CR_DTYPE_F16:
        return cr_half_number(cr_half(x));
    case CR_DTYPE_I32:
        return isnan(x) ? 0 : trunc(fmin(fmax(x, INT32_MIN), INT32_MAX)) + 0.0;
    case CR_DTYPE_U8:
        return isnan(x) ? 0 : trunc(fmin(fmax(x, 0), 255)) + 0.0;
    default:
        return x;
    }
}

/* ---- Quantisation: in f32, so that the bits are defined ---- */

static float largest(const float *x, int64_t count)
{
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        if (fabsf(x[i]) > most)
            most = fabsf(x[i]);
    return most;
}

/* The nearest of `count` ascending values, the lower one on a midpoint. */
static int nearest(const float *values, int count, float x)
{
    int code = 0;
    while (code + 1 < count && x > ((double)values[code] + values[code + 1]) / 2)
        code++;
    return code;
}

static void quantize_q8_0(const float *x, int64_t count, const struct cr_operand *to)
{
    int8_t *codes = (int8_t *)to->memory + to->offset;
    char *scales = (char *)to->memory + to->scales;
    for (int64_t start = 0; start < count; start += CR_Q8_0_BLOCK) {
        int64_t size = count - start < CR_Q8_0_BLOCK ? count - start : CR_Q8_0_BLOCK;
        uint16_t half = cr_half(largest(x + start, size) / 127);
        float scale = (float)cr_half_number(half), inverse = 1 / scale;
        for (int64_t i = start; i < start + size; i++)
            codes[i] = scale == 0 ? 0 : (int8_t)fminf(fmaxf(rintf(x[i] * inverse), -127), 127);
        memcpy(scales + start / CR_Q8_0_BLOCK * 2, &half, sizeof(half));
    }
}

/* Codes, and the absmax of each block. */
static void quantize_nf4(const float *x, int64_t count, uint8_t *codes, char *absmax)
{
    memset(codes, 0, (size_t)(count + 1) / 2);
    for (int64_t start = 0; start < count; start += CR_NF4_BLOCK) {
        int64_t size = count - start < CR_NF4_BLOCK ? count - start : CR_NF4_BLOCK;
        float most = largest(x + start, size), inverse = 1 / most;
        for (int64_t i = start; i < start + size; i++) {
            int code = most == 0 ? NF4_ZERO : nearest(cr_nf4_values(), 16, x[i] * inverse);
            codes[i / 2] |= (uint8_t)(i % 2 == 0 ? code << 4 : code);
        }
        memcpy(absmax + start / CR_NF4_BLOCK * 4, &most, sizeof(most));
    }
}

/* The second level: `absmax` of all blocks as codes. */
static void quantize_absmax(const char *absmax, int64_t blocks, const struct cr_operand *to)
{
    uint8_t *codes = (uint8_t *)to->memory + to->scales;
    char *nested = (char *)to->memory + to->nested, *map = (char *)to->memory + to->nested_map;
    double sum = 0;
    for (int64_t i = 0; i < blocks; i++)
        sum += float_at(absmax, i);
    float offset = blocks > 0 ? (float)(sum / (double)blocks) : 0;
    for (int64_t start = 0; start < blocks; start += CR_NESTED_BLOCK) {
        int64_t end = blocks - start < CR_NESTED_BLOCK ? blocks : start + CR_NESTED_BLOCK;
        float most = 0;
        for (int64_t i = start; i < end; i++)
            most = fmaxf(most, fabsf(float_at(absmax, i) - offset));
        float inverse = 1 / most;
        for (int64_t i = start; i < end; i++)
            codes[i] = most == 0 ? NESTED_ZERO
                                 : (uint8_t)nearest(cr_dynamic_map(), 256,
                                                    (float_at(absmax, i) - offset) * inverse);
        memcpy(nested + start / CR_NESTED_BLOCK * 4, &most, sizeof(most));
    }
    memcpy(map, cr_dynamic_map(), 256 * sizeof(float));
    memcpy(map + 256 * sizeof(float), &offset, sizeof(offset));
}

int cr_reference_quantize(const float *x, int64_t count, const struct cr_operand *to,
                          struct cr_error *err)
{
    uint8_t *codes = (uint8_t *)to->memory + to->offset;
    if (to->dtype == CR_DTYPE_Q8_0) {
        quantize_q8_0(x, count, to);
        return 0;
    }
    if (to->nested == 0) {
        quantize_nf4(x, count, codes, (char *)to->memory + to->scales);
        return 0;
    }
    int64_t blocks = (count + CR_NF4_BLOCK - 1) / CR_NF4_BLOCK;
    size_t bytes = (size_t)blocks * sizeof(float) + 1;
    char *absmax = cr_malloc(bytes);
    if (absmax == NULL)
        return cr_fail_memory(err, bytes);
    quantize_nf4(x, count, codes, absmax);
    quantize_absmax(absmax, blocks, to);
    cr_free(absmax);
    return 0;
}
