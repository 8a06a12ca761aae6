// SPDX-License-Identifier: MIT
// What the shaders of a linear product y[M,N] = x[M,K] W[N,K]^T have in common: operands, reading x,
// and what becomes of a sum (finish_sum).
//
// A sum over all of K is finished at once:
//     plain        y = activation(sum + bias) + residual
//     adding       y = activation(y + s[m] sum) + residual, where y keeps its bits if s[m] is 0:
//                  the second product of a low-rank branch
// or, where K is split over groups (gl_WorkGroupID.z), left in partial[split][M][N], and
// linear_combine adds the parts in their order. bias, residual and s may be absent. If not
// adding, s says only that rows with 0 are not needed: whole groups of them are spared (y is 0).
//
// How a sum is finished is told by push constants, not by specialisation: it is little work beside
// the sum, the branches are the same for all invocations, and an activation is then no reason to
// compile everything again.

layout(constant_id = 1) const uint WEIGHTS = 1;
layout(constant_id = 2) const bool NESTED = false;
layout(constant_id = 3) const uint LOADS = 0;
layout(constant_id = 4) const uint UNIT = 4;

const uint BY_ELEMENT = 0, BY_WORD = 1, WIDE = 2; // LOADS: see weights.glsl

layout(push_constant, std430) uniform Push
{
    uvec2 x, w, scales, nested, map;
    uvec2 bias, residual, row_scale;
    uvec2 partial, y;
    uint rows, columns, depth; // M, N, K
    uint split_depth;          // K of one split; a multiple of what a group takes in one step
    uint splits;
    uint activation; // enum cr_activation
    uint adding;     // 0 or 1
} p;

// A row takes part in a branch unless its scale is +0 or -0.
bool row_is_live(uint m)
{
    return !present(p.row_scale) || (Words(p.row_scale).v[m] & 0x7fffffffu) != 0u;
}

void store_finished(uint m, uint n, float sum)
{
    uint at = m * p.columns + n;
    precise float y = sum;
    if (p.adding != 0u) {
        float s = present(p.row_scale) ? Floats(p.row_scale).v[m] : 1.0;
        float old = Floats(p.y).v[at];
        y = row_is_live(m) ? old + s * sum : old;
    }
    if (present(p.bias))
        y = y + Floats(p.bias).v[n];
    y = activate(p.activation, y);
    if (present(p.residual))
        y = y + Floats(p.residual).v[at];
    Floats(p.y).v[at] = y;
}

void finish_sum(uint m, uint n, float sum)
{
    if (present(p.partial))
        Floats(p.partial).v[(gl_WorkGroupID.z * p.rows + m) * p.columns + n] = sum;
    else
        store_finished(m, n, sum);
}

// x[m,k..k+3]; beyond `end` zeros.
vec4 load_x(uint m, uint k, uint end)
{
    uint at = m * p.depth + k;
    if (LOADS == WIDE)
        return Floats4(p.x).v[at >> 2];
    if (LOADS == BY_WORD || k + 4u <= end)
        return vec4(Floats(p.x).v[at], Floats(p.x).v[at + 1u], Floats(p.x).v[at + 2u],
                    Floats(p.x).v[at + 3u]);
    vec4 quad = vec4(0);
    for (uint i = 0; k + i < end && i < 4u; i++)
        quad[i] = Floats(p.x).v[at + i];
    return quad;
}
