// SPDX-License-Identifier: MIT
// embedding: y[r,:] = table[ids[r],:]; an id below 0 gives zeros. One beyond the last row raises
// the alarm, gives zeros and reads nothing. (A table of f32 goes by gather_rows.)
//
// table: f16, q8_0 or nf4 (constant 1) [limit, width]; ids: i32; y: f32. A thread writes one
// element: nf4 and q8_0 blocks run over the flattened table, whatever the width. At least: the rows
// of the table and the bytes of y and ids; used: scales once for each element, from a cache.
#version 450
#include "common.glsl"
#include "quantized.glsl"

layout(constant_id = 1) const uint TYPE = F16;
layout(push_constant) uniform Push {
    uvec2 table, scales, nested, map, ids, y, alarm;
    uint n, width;
    int limit;
} p;

// Element i of the flattened table.
float load(uint i)
{
    if (TYPE == F16)
        return load_half(p.table, i);
    if (TYPE == Q8_0)
        return float(q8_0_code(p.table, i)) * q8_0_scale(p.scales, i / 32);
    uint code = nf4_code(Words(p.table).v[i / 8], i % 8);
    precise float x = NF4_VALUES[code] * nf4_absmax(p.scales, p.nested, p.map, i / 64);
    return x;
}

void main()
{
    uint i = global_id();
    if (i >= p.n)
        return;
    uint column = i % p.width;
    int id = Ints(p.ids).v[i / p.width];
    if (column == 0 && id >= p.limit)
        atomicOr(Words(p.alarm).v[0], 1u);
    bool there = id >= 0 && id < p.limit;
    Floats(p.y).v[i] = there ? load(uint(id) * p.width + column) : 0.0;
}
