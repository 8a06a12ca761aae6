#version 450
// SPDX-License-Identifier: MIT
// attention_join: the partial results of the chunks of keys become one, in their order:
//
//     y[row,c] = sum_i e^(top_i - top) part_i[c] / sum_i e^(top_i - top) sum_i,   top = max top_i
//
// An invocation for each number of y. Parts as include/attention.glsl has them. Bytes: the parts
// once; operations: about 6 for each of their numbers.
#include "common.glsl"

layout(push_constant) uniform Arguments
{
    uvec2 parts, y;
    uint group, kv_heads, queries, d; // as in include/attention.glsl
    uint blocks, chunks;
    uint rows;  // of a block
    uint count; // numbers of y
} a;

void main()
{
    uint id = global_id();
    if (id >= a.count)
        return;
    uint column = id % a.d, query = id / a.d % a.queries, head = id / a.d / a.queries;
    uint row = query * a.group + head % a.group, item = head / a.group;
    uint stride = a.rows * (a.d + 2u);
    uint first = (item * a.blocks + row / a.rows) * a.chunks * stride +
                 row % a.rows * (a.d + 2u);
    float top = Floats(a.parts).v[first + a.d];
    for (uint i = 1; i < a.chunks; i++)
        top = max(top, Floats(a.parts).v[first + i * stride + a.d]);
    float sum = 0.0, all = 0.0;
    bool poisoned = false;
    for (uint i = 0; i < a.chunks; i++) {
        uint part = first + i * stride;
        float share = Floats(a.parts).v[part + a.d + 1u];
        poisoned = poisoned || is_nan(share);
        if (share == 0.0) // nothing was seen: there may be no sums either
            continue;
        float factor = exp(max(Floats(a.parts).v[part + a.d] - top, -104.0));
        all += factor * share;
        sum += factor * Floats(a.parts).v[part + column];
    }
    float result = all == 0.0 ? 0.0 : sum / all;
    Floats(a.y).v[id] = poisoned ? uintBitsToFloat(0x7fc00000u) : result;
}
