#version 450
// SPDX-License-Identifier: MIT
// ms_deform_attn: y[r,h,:] = sum over levels l and points p of weights[r,h,l,p] times the bilinear
// sample of value[b, level l, h, :] at locations[r,h,l,p] = (x, y) in 0..1; cell centres lie at
// (i + 1/2) / size, cells outside are zeros. A place that is NaN gives NaN. Row r = b Q + query.
//
// value[B,S,H,d], S the cells of all levels; locations [B Q,H,L P,2], weights [B Q,H,L P],
// y[B,Q,H d], all f32. An invocation has WIDTH columns of a head: neighbours read the same cell's
// head side by side, then other heads at about the same places, then the next query, whose places
// are near where queries are cells. Operations: 8 for each sample and column; bytes: locations,
// weights and y once, value once from memory and 4 d for each sample from caches.
#include "common.glsl"

layout(constant_id = 1) const uint WIDTH = 1; // 4: value and y at multiples of 16 bytes, d % 4 = 0

layout(push_constant) uniform Arguments
{
    uvec2 value, locations, weights, y;
    uint rows, queries, cells, heads, d, levels, points;
    uint sizes[16]; // h0, w0, h1, w1, ...
} a;

vec4 load_cell(uint at)
{
    if (WIDTH == 4u)
        return Floats4(a.value).v[at >> 2];
    return vec4(Floats(a.value).v[at], 0, 0, 0);
}

// The cell at (row, column) of a level that starts at `base`, times its share.
vec4 corner(uint base, int row, int column, uint height, uint width, float share)
{
    if (uint(row) >= height || uint(column) >= width) // or negative
        return vec4(0);
    return share * load_cell(base + (uint(row) * width + uint(column)) * a.heads * a.d);
}

vec4 sample_at(uint base, uint height, uint width, float x, float y, float weight)
{
    x = x * float(width) - 0.5;
    y = y * float(height) - 0.5;
    // far outside, the conversion to a whole number would not be defined
    if (x <= -1.0 || y <= -1.0 || x >= float(width) || y >= float(height))
        return vec4(0);
    float left = floor(x), top = floor(y), u = x - left, v = y - top;
    int row = int(top), column = int(left);
    return corner(base, row, column, height, width, weight * ((1.0 - v) * (1.0 - u))) +
           corner(base, row, column + 1, height, width, weight * ((1.0 - v) * u)) +
           corner(base, row + 1, column, height, width, weight * (v * (1.0 - u))) +
           corner(base, row + 1, column + 1, height, width, weight * (v * u));
}

void main()
{
    uint id = global_id(), lanes = (a.d + WIDTH - 1u) / WIDTH;
    if (id >= a.rows * a.heads * lanes)
        return;
    uint column = id % lanes * WIDTH, of_head = id / lanes; // row H + head
    uint head = of_head % a.heads, item = of_head / a.heads / a.queries;
    uint start = (item * a.cells * a.heads + head) * a.d + column;
    uint at = of_head * a.levels * a.points;
    vec4 sum = vec4(0);
    for (uint l = 0; l < a.levels; l++) {
        uint height = a.sizes[2u * l], width = a.sizes[2u * l + 1u];
        for (uint p = 0; p < a.points; p++, at++) {
            float x = Floats(a.locations).v[2u * at], y = Floats(a.locations).v[2u * at + 1u];
            float weight = Floats(a.weights).v[at];
            if (is_nan(x) || is_nan(y))
                sum = vec4(uintBitsToFloat(0x7fc00000u));
            else
                sum += sample_at(start, height, width, x, y, weight);
        }
        start += height * width * a.heads * a.d;
    }
    uint to = of_head * a.d + column;
    if (WIDTH == 4u)
        Floats4(a.y).v[to >> 2] = sum;
    else
        Floats(a.y).v[to] = sum.x;
}
