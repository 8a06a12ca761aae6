// SPDX-License-Identifier: MIT
// gather_rows: y[r,:] = x[rows[r],:]; a number below 0 gives zeros. One below `least` or beyond the
// last row raises the alarm, gives zeros and reads nothing.
//
// x, y: f32 as units of BYTES bytes: 4, or 16 (addresses and lengths suit). rows: i32. A thread
// moves one unit. At least and in fact: the bytes of y twice, and those of rows.
#version 450
#include "common.glsl"

layout(constant_id = 1) const uint BYTES = 4;
layout(push_constant) uniform Push {
    uvec2 x, rows, y, alarm;
    uint n, width; // units of y, of a row
    int limit, least;
} p;

void main()
{
    uint i = global_id();
    if (i >= p.n)
        return;
    uint column = i % p.width;
    int row = Ints(p.rows).v[i / p.width];
    bool there = row >= 0 && row < p.limit;
    if (column == 0 && (row < p.least || row >= p.limit))
        atomicOr(Words(p.alarm).v[0], 1u);
    uint at = there ? uint(row) * p.width + column : 0;
    if (BYTES == 16)
        Words4(p.y).v[i] = there ? Words4(p.x).v[at] : uvec4(0);
    else
        Words(p.y).v[i] = there ? Words(p.x).v[at] : 0;
}
