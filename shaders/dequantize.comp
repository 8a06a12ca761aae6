// SPDX-License-Identifier: MIT
// dequantize: y[i] = code[i] scale[i / 32] (q8_0; constant 1) or NF4[code[i]] absmax[i / 64]; the
// product in f32; y f32 or f16 (constant 2).
//
// codes, scales, and second-level scales and map of a doubly quantised matrix: quantized.glsl. A
// thread has a word of codes: four elements or eight. WIDE: y is f32 and its address a multiple of
// 16. At least and in fact: the bytes of the planes and of y; about 5 operations an element.
#version 450
#include "common.glsl"
#include "quantized.glsl"

layout(constant_id = 1) const uint TYPE = Q8_0;
layout(constant_id = 2) const uint TO = F32;
layout(constant_id = 3) const bool WIDE = false;
layout(push_constant) uniform Push {
    uvec2 codes, scales, nested, map, y;
    uint n;
} p;

const uint MINE = TYPE == Q8_0 ? 4 : 8;

float value(uint word, uint k, float scale)
{
    float level = TYPE == Q8_0 ? float(bitfieldExtract(int(word), int(8 * k), 8))
                               : NF4_VALUES[nf4_code(word, k)];
    precise float x = level * scale;
    return x;
}

// Elements first + k and the one behind it, of which `count` are there, as halves.
void store_pair(uint first, uint k, uint count, float low, float high)
{
    uint at = (first + k) / 2, word = float_to_half(low) | float_to_half(high) << 16;
    Words(p.y).v[at] =
        k + 1 < count ? word : bitfieldInsert(Words(p.y).v[at], word, 0, 16);
}

void main()
{
    uint first = global_id() * MINE;
    if (first >= p.n)
        return;
    uint count = min(p.n - first, MINE), word = Words(p.codes).v[global_id()];
    float scale = TYPE == Q8_0 ? q8_0_scale(p.scales, first / 32)
                               : nf4_absmax(p.scales, p.nested, p.map, first / 64);
    if (TO == F16) {
        for (uint k = 0; k < count; k += 2)
            store_pair(first, k, count, value(word, k, scale), value(word, k + 1, scale));
    } else if (WIDE && count == MINE) {
        [[unroll]] for (uint k = 0; k < MINE; k += 4)
            Floats4(p.y).v[(first + k) / 4] =
                vec4(value(word, k, scale), value(word, k + 1, scale), value(word, k + 2, scale),
                     value(word, k + 3, scale));
    } else {
        for (uint k = 0; k < count; k++)
            Floats(p.y).v[first + k] = value(word, k, scale);
    }
}
