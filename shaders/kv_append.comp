// SPDX-License-Identifier: MIT
// kv_append: cache[b,h,positions[b,l],:] = x[b,l,h,:]; a shared cache has one item b for all. What
// is out of range is passed over (the host has checked positions).
//
// x: f32 [B,L,H,D]; positions: i32 [B,L]; cache: f32 or f16 [B or 1,H,room,D]. WAY:
//     WORDS   f32: a thread copies one word
//     WORDS4  f32: four words (D a multiple of 4, addresses of 16)
//     PAIRS   f16: a thread packs two numbers (D even)
//     HALVES  f16: one number; words are shared by two rows, and are changed by atomic operations
// At least and in fact: the bytes of x, and those that are written.
#version 450
#include "common.glsl"

const uint WORDS = 0, WORDS4 = 1, PAIRS = 2, HALVES = 3;

layout(constant_id = 1) const uint WAY = WORDS;
layout(push_constant) uniform Push {
    uvec2 x, positions, cache;
    uint n;     // units of x, as WAY has them
    uint width; // units of a row
    uint heads, steps; // H, L
    uint room;
    uint shared_cache;
} p;

void main()
{
    uint i = global_id();
    if (i >= p.n)
        return;
    uint column = i % p.width, row = i / p.width, head = row % p.heads, at = row / p.heads;
    int position = Ints(p.positions).v[at];
    if (position < 0 || uint(position) >= p.room)
        return;
    uint item = p.shared_cache != 0 ? 0 : at / p.steps;
    uint to = ((item * p.heads + head) * p.room + uint(position)) * p.width + column;
    if (WAY == WORDS) {
        Words(p.cache).v[to] = Words(p.x).v[i];
    } else if (WAY == WORDS4) {
        Words4(p.cache).v[to] = Words4(p.x).v[i];
    } else if (WAY == PAIRS) {
        uint low = float_to_half(Floats(p.x).v[2 * i]);
        Words(p.cache).v[to] = low | float_to_half(Floats(p.x).v[2 * i + 1]) << 16;
    } else {
        uint bits = float_to_half(Floats(p.x).v[i]), shift = (to & 1) * 16;
        atomicAnd(Words(p.cache).v[to / 2], ~(0xffffu << shift));
        atomicOr(Words(p.cache).v[to / 2], bits << shift);
    }
}
