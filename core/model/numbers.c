/* SPDX-License-Identifier: MIT */
/* The loops run over chunks of a constant size and without branches, as that is what compilers turn
 * into vector code without being asked specially. */
#include <math.h>
#include <string.h>

#include "model/numbers.h"

#define CHUNK 64

static float as_float(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static uint32_t as_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

/* ---- binary16 ---- */

/* The exponent moves by 112. A subnormal one is made 1.fraction x 2^-14 first, from which 2^-14 is
 * taken away again: so it works where subnormal f32 numbers count as zero, too. */
static inline float half_to_float(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7FFF) << 13, exponent = magnitude & 0x0F800000;
    uint32_t bits = magnitude + 0x38000000;
    bits += exponent == 0x0F800000 ? 0x38000000 : 0;
    uint32_t small = as_bits(as_float(bits + 0x00800000) - as_float(0x38800000));
    bits = exponent == 0 ? small : bits;
    return as_float(bits | (uint32_t)(half & 0x8000) << 16);
}

/* To the nearest, even on a tie. Adding 0.5 makes the last place of a subnormal half that of the
 * sum. */
static inline uint16_t float_to_half(float number)
{
    uint32_t bits = as_bits(number), magnitude = bits & 0x7FFFFFFF;
    uint32_t normal = (magnitude - 0x38000000 + 0x0FFF + (magnitude >> 13 & 1)) >> 13;
    uint32_t small = as_bits(as_float(magnitude) + 0.5f) - 0x3F000000;
    uint32_t large = magnitude > 0x7F800000 ? 0x7E00 : 0x7C00;
    uint32_t half = magnitude < 0x38800000 ? small : normal;
    half = magnitude >= 0x47800000 ? large : half;
    return (uint16_t)(half | (bits >> 16 & 0x8000));
}

float cr_numbers_half(uint16_t half)
{
    return half_to_float(half);
}

uint16_t cr_numbers_to_half(float number)
{
    return float_to_half(number);
}

/* ---- To f32 ---- */

static void f16_chunk(const uint16_t *in, float *out)
{
    for (int i = 0; i < CHUNK; i++)
        out[i] = half_to_float(in[i]);
}

static void bf16_chunk(const uint16_t *in, float *out)
{
    for (int i = 0; i < CHUNK; i++)
        out[i] = as_float((uint32_t)in[i] << 16);
}

static void f64_chunk(const double *in, float *out)
{
    for (int i = 0; i < CHUNK; i++)
        out[i] = (float)in[i];
}

/* At most CHUNK numbers. */
static void to_f32_chunk(enum cr_st_dtype from, const void *data, size_t count, float *out)
{
    union {
        uint16_t halves[CHUNK];
        double doubles[CHUNK];
    } in;
    float chunk[CHUNK];
    memset(&in, 0, sizeof(in));
    memcpy(&in, data, count * (size_t)cr_st_dtype_bits(from) / 8);
    if (from == CR_ST_F16)
        f16_chunk(in.halves, chunk);
    else if (from == CR_ST_BF16)
        bf16_chunk(in.halves, chunk);
    else
        f64_chunk(in.doubles, chunk);
    memcpy(out, chunk, count * sizeof(*out));
}

void cr_numbers_to_f32(enum cr_st_dtype from, const void *data, size_t count, float *out)
{
    size_t size = (size_t)cr_st_dtype_bits(from) / 8;
    if (from == CR_ST_F32) {
        memcpy(out, data, count * size);
        return;
    }
    for (size_t i = 0; i < count; i += CHUNK)
        to_f32_chunk(from, (const char *)data + i * size, count - i < CHUNK ? count - i : CHUNK,
                     out + i);
}

/* ---- With a look at the range ---- */

/* The first number that is finite and too large for the type; `count`: there is none. */
static size_t find_large(const float *numbers, size_t count, float limit)
{
    size_t i = 0;
    while (i < count && !(fabsf(numbers[i]) >= limit && fabsf(numbers[i]) < INFINITY))
        i++;
    return i;
}

static bool any_large(const float *chunk, float limit)
{
    int found = 0;
    for (int i = 0; i < CHUNK; i++)
        found |= (fabsf(chunk[i]) >= limit) & (fabsf(chunk[i]) < INFINITY);
    return found != 0;
}

/* What rounds to infinity: the middle between the largest half and 65536. */
#define HALF_LIMIT 65520.0f

static size_t to_f16(enum cr_st_dtype from, const void *data, size_t count, uint16_t *out)
{
    size_t size = (size_t)cr_st_dtype_bits(from) / 8;
    for (size_t i = 0; i < count; i += CHUNK) {
        float chunk[CHUNK] = {0};
        uint16_t halves[CHUNK];
        size_t here = count - i < CHUNK ? count - i : CHUNK;
        cr_numbers_to_f32(from, (const char *)data + i * size, here, chunk);
        if (any_large(chunk, HALF_LIMIT))
            return i + find_large(chunk, here, HALF_LIMIT);
        for (int j = 0; j < CHUNK; j++)
            halves[j] = float_to_half(chunk[j]);
        memcpy(out + i, halves, here * sizeof(*out));
    }
    return count;
}

static size_t f64_to_f32(const void *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        double number;
        memcpy(&number, (const char *)data + i * sizeof(number), sizeof(number));
        out[i] = (float)number;
        if (isinf(out[i]) && !isinf(number))
            return i;
    }
    return count;
}

static int64_t integer_at(enum cr_st_dtype from, const void *data, size_t i)
{
    int64_t wide;
    int32_t word;
    int16_t half;
    switch (from) {
    case CR_ST_I64:
        memcpy(&wide, (const char *)data + i * sizeof(wide), sizeof(wide));
        return wide;
    case CR_ST_I32:
        memcpy(&word, (const char *)data + i * sizeof(word), sizeof(word));
        return word;
    case CR_ST_I16:
        memcpy(&half, (const char *)data + i * sizeof(half), sizeof(half));
        return half;
    default:
        return ((const uint8_t *)data)[i];
    }
}

static size_t to_i32(enum cr_st_dtype from, const void *data, size_t count, int32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int64_t number = integer_at(from, data, i);
        if (number < INT32_MIN || number > INT32_MAX)
            return i;
        out[i] = (int32_t)number;
    }
    return count;
}

bool cr_numbers_convert(enum cr_st_dtype from, enum cr_dtype to)
{
    switch (to) {
    case CR_DTYPE_F32:
    case CR_DTYPE_F16:
        return from == CR_ST_F32 || from == CR_ST_F16 || from == CR_ST_BF16 || from == CR_ST_F64;
    case CR_DTYPE_I32:
        return from == CR_ST_I64 || from == CR_ST_I32 || from == CR_ST_I16 || from == CR_ST_U8 ||
               from == CR_ST_BOOL;
    case CR_DTYPE_U8:
        return from == CR_ST_U8 || from == CR_ST_BOOL;
    default:
        return false;
    }
}

bool cr_numbers_same(enum cr_st_dtype from, enum cr_dtype to)
{
    return to == CR_DTYPE_U8 || (to == CR_DTYPE_F32 && from == CR_ST_F32) ||
           (to == CR_DTYPE_F16 && from == CR_ST_F16) || (to == CR_DTYPE_I32 && from == CR_ST_I32);
}

size_t cr_numbers_to(enum cr_dtype to, enum cr_st_dtype from, const void *data, size_t count,
                     void *out)
{
    if (cr_numbers_same(from, to))
        memcpy(out, data, count * cr_dtype_size(to));
    else if (to == CR_DTYPE_F16)
        return to_f16(from, data, count, out);
    else if (to == CR_DTYPE_I32)
        return to_i32(from, data, count, out);
    else if (from == CR_ST_F64)
        return f64_to_f32(data, count, out);
    else
        cr_numbers_to_f32(from, data, count, out);
    return count;
}
