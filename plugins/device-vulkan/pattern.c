/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "grid.h"

/* To nearest, even on a tie; a NaN stays one. */
static uint32_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000)
        return sign | 0x7E00;
    if (magnitude >= 0x47800000) /* 65536 and more */
        return sign | 0x7C00;
    if (magnitude < 0x33000000) /* below half of the smallest denormal */
        return sign;
    if (magnitude >= 0x38800000) /* normal as binary16 */
        return sign | (magnitude + 0xFFF + (magnitude >> 13 & 1) - 0x38000000) >> 13;
    uint32_t shift = 126 - (magnitude >> 23), mantissa = (magnitude & 0x7FFFFF) | 0x800000;
    uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1);
    uint32_t half_way = 1u << (shift - 1);
    return sign | (kept + (rest > half_way || (rest == half_way && (kept & 1) != 0)));
}

/* Towards 0, to the nearest end where it does not fit, NaN to 0. */
static int32_t int_of(float value)
{
    return value >= 0x1p31f    ? INT32_MAX
           : value <= -0x1p31f ? INT32_MIN
           : value == value    ? (int32_t)value
                               : 0;
}

static uint32_t byte_of(float value)
{
    return value >= 255 ? 255 : value > 0 ? (uint32_t)value : 0;
}

uint32_t vk_pattern(enum cr_dtype dtype, float value)
{
    uint32_t bits;
    switch (dtype) {
    case CR_DTYPE_F16:
        return half_of(value) * 0x10001;
    case CR_DTYPE_I32:
        return (uint32_t)int_of(value);
    case CR_DTYPE_U8:
        return byte_of(value) * 0x1010101;
    default:
        memcpy(&bits, &value, sizeof(bits));
        return bits;
    }
}
