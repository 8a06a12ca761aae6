// SPDX-License-Identifier: MIT
// cast: y[i] = x[i] as another type (f32, f16, i32, u8; constants 1 and 2). To f16 and f32 to
// nearest, even on a tie; to whole numbers towards 0, to the nearest end where it does not fit, NaN
// to 0. All by whole-number arithmetic, so that no driver's rounding counts.
//
// x, y: [n]. A thread converts four elements, so that it owns the words that it writes; of the last
// word what is behind y stays. WIDE: f32 and i32 in one load or store, addresses multiples of 16.
// At least and in fact: the bytes of x and y; about 10 operations an element.
#version 450
#include "common.glsl"
#include "exact.glsl"

layout(constant_id = 1) const uint FROM = F32;
layout(constant_id = 2) const uint TO = F16;
layout(constant_id = 3) const bool WIDE = false;
layout(push_constant) uniform Push {
    uvec2 x, y;
    uint n;
} p;

const uint FROM_BYTES = FROM == F16 ? 2 : FROM == U8 ? 1 : 4;
const uint TO_BYTES = TO == F16 ? 2 : TO == U8 ? 1 : 4;

// The bits of one element.
uint convert(uint bits)
{
    if (FROM == I32 && TO == U8)
        return uint(clamp(int(bits), 0, 255));
    if (FROM == U8 && TO == I32)
        return bits;
    float x = FROM == F16   ? half_to_float(bits)
              : FROM == I32 ? int_to_float(int(bits))
              : FROM == U8  ? float(bits)
                            : uintBitsToFloat(bits);
    return TO == F16   ? float_to_half(x)
           : TO == I32 ? uint(float_to_int(x))
           : TO == U8  ? float_to_byte(x)
                       : floatBitsToUint(x);
}

// Elements i..i+count-1; i is a multiple of 4.
uvec4 load(uint i, uint count)
{
    uvec4 bits = uvec4(0);
    if (FROM_BYTES == 4) {
        if (WIDE && count == 4)
            return Words4(p.x).v[i / 4];
        for (uint k = 0; k < count; k++)
            bits[k] = Words(p.x).v[i + k];
    } else if (FROM_BYTES == 2) {
        uint low = Words(p.x).v[i / 2], high = count > 2 ? Words(p.x).v[i / 2 + 1] : 0;
        bits = uvec4(low & 0xffff, low >> 16, high & 0xffff, high >> 16);
    } else {
        uint word = Words(p.x).v[i / 4];
        bits = uvec4(word & 0xff, word >> 8 & 0xff, word >> 16 & 0xff, word >> 24);
    }
    return bits;
}

// `bytes` bytes of a word of y; the others stay.
void store_bytes(uint i, uint word, uint bytes)
{
    Words(p.y).v[i] =
        bytes >= 4 ? word : bitfieldInsert(Words(p.y).v[i], word, 0, int(8 * bytes));
}

void store(uint i, uint count, uvec4 bits)
{
    if (TO_BYTES == 4) {
        if (WIDE && count == 4) {
            Words4(p.y).v[i / 4] = bits;
            return;
        }
        for (uint k = 0; k < count; k++)
            Words(p.y).v[i + k] = bits[k];
    } else if (TO_BYTES == 2) {
        store_bytes(i / 2, bits.x | bits.y << 16, 2 * count);
        if (count > 2)
            store_bytes(i / 2 + 1, bits.z | bits.w << 16, 2 * (count - 2));
    } else {
        store_bytes(i / 4, bits.x | bits.y << 8 | bits.z << 16 | bits.w << 24, count);
    }
}

void main()
{
    uint i = global_id() * 4;
    if (i >= p.n)
        return;
    uint count = min(p.n - i, 4u);
    uvec4 bits = load(i, count);
    store(i, count, uvec4(convert(bits.x), convert(bits.y), convert(bits.z), convert(bits.w)));
}
