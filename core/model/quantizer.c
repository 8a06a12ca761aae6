/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <crayon/device.h>

#include "model/numbers.h"
#include "model/quantizer.h"
#include "tensor/quantized.h"

#define INFINITE 0x7F800000

/* The largest f32 that is not above the middle between two values: v belongs to the upper one where
 * v > it. */
static float boundary(float low, float high)
{
    double middle = ((double)low + high) / 2;
    float rounded = (float)middle;
    return rounded > middle ? nextafterf(rounded, -INFINITY) : rounded;
}

void cr_quantizer_init(struct cr_quantizer *quantizer)
{
    const float *values = cr_nf4_values(), *map = cr_dynamic_map();
    for (int i = 0; i < 15; i++)
        quantizer->nf4[i] = boundary(values[i], values[i + 1]);
    for (int i = 0; i < 255; i++)
        quantizer->nested[i] = boundary(map[i], map[i + 1]);
}

static float as_float(int32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/* The largest magnitude as bits, whose order is that of the numbers, with NaN above infinity. */
static int32_t magnitude(const float *x, int count)
{
    int32_t most = 0;
    for (int i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    return most;
}

/* ---- q8_0 ---- */

static void q8_0_codes(const float *x, float inverse, int8_t *codes)
{
    for (int i = 0; i < CR_Q8_0_BLOCK; i++) {
        float code = rintf(x[i] * inverse);
        code = code > 127 ? 127 : code;
        codes[i] = (int8_t)(code >= -127 ? code : -127);
    }
}

bool cr_quantize_q8_0(const float *x, int64_t count, int8_t *codes, uint16_t *scales)
{
    int32_t most = 0;
    for (int64_t i = 0; i < count; i += CR_Q8_0_BLOCK) {
        float block[CR_Q8_0_BLOCK] = {0};
        int8_t whole[CR_Q8_0_BLOCK] = {0};
        size_t size = (size_t)(count - i < CR_Q8_0_BLOCK ? count - i : CR_Q8_0_BLOCK);
        memcpy(block, x + i, size * sizeof(*x));
        int32_t here = magnitude(block, CR_Q8_0_BLOCK);
        uint16_t half = cr_numbers_to_half(as_float(here) / 127);
        float scale = cr_numbers_half(half);
        most = here > most ? here : most;
        scales[i / CR_Q8_0_BLOCK] = half;
        if (scale != 0 && here < INFINITE)
            q8_0_codes(block, 1 / scale, whole);
        memcpy(codes + i, whole, size);
    }
    return most < INFINITE;
}

void cr_dequantize_q8_0(const int8_t *codes, int64_t from, int64_t count, const uint16_t *scales,
                        float *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)codes[i] * cr_numbers_half(scales[(from + i) / CR_Q8_0_BLOCK]);
}

/* ---- nf4 ---- */

/* The code is the number of boundaries that v is above: no branch, no table, so that compilers
 * make vector code of it. */
static void nf4_codes(const float *at, const float *x, float inverse, uint8_t *codes)
{
    int32_t code[CR_NF4_BLOCK];
    for (int i = 0; i < CR_NF4_BLOCK; i++) {
        float v = x[i] * inverse;
        code[i] = (v > at[0]) + (v > at[1]) + (v > at[2]) + (v > at[3]) + (v > at[4]) +
                  (v > at[5]) + (v > at[6]) + (v > at[7]) + (v > at[8]) + (v > at[9]) +
                  (v > at[10]) + (v > at[11]) + (v > at[12]) + (v > at[13]) + (v > at[14]);
    }
    for (int i = 0; i < CR_NF4_BLOCK / 2; i++)
        codes[i] = (uint8_t)(code[2 * i] << 4 | code[2 * i + 1]);
}

/* A block that is shorter than others; the nibble behind an odd number of elements is 0. */
static int32_t short_block(const float *at, const float *x, int count, uint8_t *codes)
{
    float block[CR_NF4_BLOCK] = {0};
    uint8_t whole[CR_NF4_BLOCK / 2];
    memcpy(block, x, (size_t)count * sizeof(*x));
    int32_t most = magnitude(block, CR_NF4_BLOCK);
    nf4_codes(at, block, most == 0 ? 0 : 1 / as_float(most), whole);
    if (count % 2 != 0)
        whole[count / 2] &= 0xF0;
    memcpy(codes, whole, (size_t)(count + 1) / 2);
    return most;
}

bool cr_quantize_nf4(const struct cr_quantizer *quantizer, const float *x, int64_t count,
                     uint8_t *codes, float *absmax)
{
    int32_t most = 0;
    for (int64_t i = 0; i < count; i += CR_NF4_BLOCK) {
        int32_t here;
        if (count - i < CR_NF4_BLOCK) {
            here = short_block(quantizer->nf4, x + i, (int)(count - i), codes + i / 2);
        } else {
            here = magnitude(x + i, CR_NF4_BLOCK);
            /* 0 times 0 gives the code of 0, where 1 / 0 would not */
            nf4_codes(quantizer->nf4, x + i, here == 0 ? 0 : 1 / as_float(here), codes + i / 2);
        }
        most = here > most ? here : most;
        absmax[i / CR_NF4_BLOCK] = as_float(here);
    }
    return most < INFINITE;
}

void cr_dequantize_nf4(const uint8_t *codes, int64_t from, int64_t count, const float *absmax,
                       float *out)
{
    const float *values = cr_nf4_values();
    for (int64_t i = 0; i < count; i++) {
        int64_t at = from + i;
        int code = at % 2 == 0 ? codes[at / 2] >> 4 : codes[at / 2] & 15;
        out[i] = values[code] * absmax[at / CR_NF4_BLOCK];
    }
}

/* ---- The second level ---- */

static uint8_t nested_code(const float *boundaries, float v)
{
    int code = 0;
    for (int step = 128; step > 0; step /= 2)
        code += v > boundaries[code + step - 1] ? step : 0;
    return (uint8_t)code;
}

float cr_quantize_absmax(const struct cr_quantizer *quantizer, const float *absmax, int64_t blocks,
                         uint8_t *codes, float *nested)
{
    double sum = 0;
    for (int64_t i = 0; i < blocks; i++)
        sum += absmax[i];
    float offset = blocks > 0 ? (float)(sum / (double)blocks) : 0;
    for (int64_t i = 0; i < blocks; i += CR_NESTED_BLOCK) {
        int64_t end = blocks - i < CR_NESTED_BLOCK ? blocks : i + CR_NESTED_BLOCK;
        float most = 0;
        for (int64_t j = i; j < end; j++)
            most = fabsf(absmax[j] - offset) > most ? fabsf(absmax[j] - offset) : most;
        float inverse = most == 0 ? 0 : 1 / most; /* 0 times 0 is the code of 0 */
        for (int64_t j = i; j < end; j++)
            codes[j] = nested_code(quantizer->nested, (absmax[j] - offset) * inverse);
        nested[i / CR_NESTED_BLOCK] = most;
    }
    return offset;
}
