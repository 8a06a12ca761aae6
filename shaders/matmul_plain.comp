// SPDX-License-Identifier: MIT
// y[...,M,N] = alpha op(a) op(b) (matmul.glsl) without tiles: an invocation sums one element. Moves a row
// of a and a column of b for each. Slow and obvious; for a device whose tiles are in doubt.
#version 450
#include "common.glsl"
#include "matmul.glsl"

void main()
{
    uint at = global_id(), size = p.rows * p.columns;
    if (at >= p.items * size)
        return;
    uint item = at / size, m = at % size / p.columns, n = at % p.columns;
    float sum = 0.0;
    for (uint k = 0; k < p.depth; k++)
        sum += load_a(start_a(item) + m * p.a_row + k * p.a_k) *
               load_b(start_b(item) + n * p.b_column + k * p.b_k);
    Floats(p.y).v[at] = p.alpha * sum;
}
