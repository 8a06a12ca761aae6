// SPDX-License-Identifier: MIT
// scatter_rows: x[rows[r],:] = src[r,:]; -1 is passed over. Numbers out of range raise the alarm
// and write nothing.
//
// src, x: f32 as units of BYTES bytes: 4, or 16 (addresses and lengths suit). rows: i32, unique. A
// thread moves one unit. At least and in fact: the bytes of src twice, and those of rows.
#version 450
#include "common.glsl"

layout(constant_id = 1) const uint BYTES = 4;
layout(push_constant) uniform Push {
    uvec2 rows, src, x, alarm;
    uint n, width; // units of src, of a row
    int limit;
} p;

void main()
{
    uint i = global_id();
    if (i >= p.n)
        return;
    uint column = i % p.width;
    int row = Ints(p.rows).v[i / p.width];
    if (row < 0 || row >= p.limit) {
        if (column == 0 && row != -1)
            atomicOr(Words(p.alarm).v[0], 1u);
        return;
    }
    uint at = uint(row) * p.width + column;
    if (BYTES == 16)
        Words4(p.x).v[at] = Words4(p.src).v[i];
    else
        Words(p.x).v[at] = Words(p.src).v[i];
}
