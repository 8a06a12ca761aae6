// SPDX-License-Identifier: MIT
// Operands of y[i,m,n] = alpha sum over k of a[i,m,k] b[i,k,n]: f32 or f16 with any strides, which is how
// both transpositions and the broadcast of leading extents come about. Items i are numbered along
// two leading extents.

layout(constant_id = 1) const bool A_IS_HALF = false;
layout(constant_id = 2) const bool B_IS_HALF = false;

layout(push_constant, std430) uniform Push
{
    uvec2 a, b, y;
    uint items, rows, columns, depth; // i, M, N, K
    uint inner;                       // the second of the two leading extents
    uint a_outer, a_inner;            // strides of the leading extents, in elements; 0: broadcast
    uint b_outer, b_inner;
    uint a_row, a_k, b_column, b_k; // strides inside an item
    float alpha;
} p;

uint start_a(uint item) { return item / p.inner * p.a_outer + item % p.inner * p.a_inner; }
uint start_b(uint item) { return item / p.inner * p.b_outer + item % p.inner * p.b_inner; }

float load_a(uint at) { return A_IS_HALF ? load_half(p.a, at) : Floats(p.a).v[at]; }
float load_b(uint at) { return B_IS_HALF ? load_half(p.b, at) : Floats(p.b).v[at]; }
