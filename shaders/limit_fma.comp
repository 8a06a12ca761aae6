#version 450
// SPDX-License-Identifier: MIT
// How fast f32 multiply-adds are, from registers: every invocation has 8 vectors of 4, each a chain
// of its own.
//
// Operations: 2 x 32 x rounds x invocations. No memory but the write that never happens.
#include "common.glsl"

layout(push_constant) uniform Args {
    uvec2 sink;
    uint rounds;
    float factor;
    float term;
} args;

void main()
{
    vec4 x[8];
    [[unroll]] for (uint j = 0; j < 8; j++)
        x[j] = vec4(thread_id() + j);
    for (uint i = 0; i < args.rounds; i++)
        [[unroll]] for (uint j = 0; j < 8; j++)
            x[j] = fma(x[j], vec4(args.factor), vec4(args.term));
    vec4 sum = vec4(0);
    [[unroll]] for (uint j = 0; j < 8; j++)
        sum += x[j];
    if (sum.x + sum.y + sum.z + sum.w == -1.0)
        Floats(args.sink).v[0] = sum.x;
}
