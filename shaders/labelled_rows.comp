// SPDX-License-Identifier: MIT
#version 450
// labelled_rows: y[r,*] = x[list[r],*]: the rows that have a label, side by side, for
// linear_cross_entropy. f32 [rows, k].
//
// Reads and writes 4 k bytes a row, which is also the least.
#include "common.glsl"

layout(push_constant) uniform Push {
    uvec2 x, list, y;
    uint rows, k;
} p;

void main()
{
    uint i = global_id();
    if (i < p.rows * p.k)
        Words(p.y).v[i] = Words(p.x).v[Words(p.list).v[i / p.k] * p.k + i % p.k];
}
