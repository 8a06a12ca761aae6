// SPDX-License-Identifier: MIT
// scatter_add_rows: x[rows[r],:] += src[r,:] for r = first..end-1, in this order; -1 is passed
// over. Numbers out of range raise the alarm and add nothing.
//
// src, x: f32; rows: i32. No float atomics: a thread has a column and, of the rows of x, those
// whose number is `share` modulo SHARES (a power of two), and walks the whole list; so the order of
// additions is that of the list. The host cuts long lists into several dispatches. At least: 12
// bytes and 1 operation an element of src; used: also 4 bytes a row for each share and column, from
// a cache.
#version 450
#include "common.glsl"

layout(constant_id = 1) const uint SHARES = 1;
layout(push_constant) uniform Push {
    uvec2 rows, src, x, alarm;
    uint first, end; // of the list
    uint width;
    int limit;
} p;

void main()
{
    uint i = global_id(), column = i % p.width, share = i / p.width;
    if (share >= SHARES)
        return;
    for (uint r = p.first; r < p.end; r++) {
        int row = Ints(p.rows).v[r];
        if (row < 0 || row >= p.limit) {
            if (i == 0 && row != -1)
                atomicOr(Words(p.alarm).v[0], 1u);
            continue;
        }
        if ((uint(row) & SHARES - 1) == share)
            Floats(p.x).v[uint(row) * p.width + column] += Floats(p.src).v[r * p.width + column];
    }
}
