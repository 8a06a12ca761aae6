// SPDX-License-Identifier: MIT
// rope: half-split rotation of x[T,H,2 half]; with q = positions[t] and i < half,
//
//     y[i]        = x[i] cos[q,i] - x[i + half] sin[q,i]
//     y[i + half] = x[i + half] cos[q,i] + x[i] sin[q,i]
//
// x, y, cos, sin: f32, positions: i32 [T], 0..limit-1: others raise the alarm and give zeros. A
// thread computes one pair. At least: the bytes of x and y, of positions, and of cos and sin once
// for each t; used: those once for each head, from a cache; 6 operations a pair.
#version 450
#include "common.glsl"

layout(push_constant) uniform Push {
    uvec2 x, cosines, sines, positions, y, alarm;
    uint n; // pairs
    uint half_width, heads;
    int limit;
} p;

void main()
{
    uint pair = global_id();
    if (pair >= p.n)
        return;
    uint i = pair % p.half_width, head = pair / p.half_width;
    int position = Ints(p.positions).v[head / p.heads];
    uint low = head * 2 * p.half_width + i, high = low + p.half_width;
    if (position < 0 || position >= p.limit) {
        if (i == 0 && head % p.heads == 0)
            atomicOr(Words(p.alarm).v[0], 1u);
        Floats(p.y).v[low] = 0.0;
        Floats(p.y).v[high] = 0.0;
        return;
    }
    float a = Floats(p.x).v[low], b = Floats(p.x).v[high];
    float c = Floats(p.cosines).v[uint(position) * p.half_width + i];
    float s = Floats(p.sines).v[uint(position) * p.half_width + i];
    precise float first = a * c - b * s, second = b * c + a * s;
    Floats(p.y).v[low] = first;
    Floats(p.y).v[high] = second;
}
