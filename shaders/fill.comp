// SPDX-License-Identifier: MIT
// fill: every word of y is `pattern`: one f32 or i32, two f16 or four u8.
//
// y: n words, and `rest` bytes of one more, whose other bytes stay. A thread writes WIDE words:
// one, or four (the address is a multiple of 16). At least and in fact: 4 bytes a word.
#version 450
#include "common.glsl"

layout(constant_id = 1) const uint WIDE = 1;
layout(push_constant) uniform Push {
    uvec2 y;
    uint n, rest, pattern;
} p;

void main()
{
    uint i = global_id() * WIDE;
    if (WIDE == 4 && i + 4 <= p.n) {
        Words4(p.y).v[i / 4] = uvec4(p.pattern);
        return;
    }
    for (uint end = i + WIDE; i < end && i < p.n; i++)
        Words(p.y).v[i] = p.pattern;
    if (i == p.n && global_id() == p.n / WIDE && p.rest > 0)
        Words(p.y).v[i] = bitfieldInsert(Words(p.y).v[i], p.pattern, 0, int(8 * p.rest));
}
