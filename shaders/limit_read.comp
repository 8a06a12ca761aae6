#version 450
// SPDX-License-Identifier: MIT
// How fast memory is read: every invocation combines `rounds` vectors of 16 bytes, `stride` vectors
// apart.
//
// Bytes: 16 x rounds x invocations, each read once. The sum is written where it is all ones, which
// it is not: the compiler cannot know.
#include "common.glsl"

layout(push_constant) uniform Args {
    uvec2 x;
    uvec2 sink;
    uint rounds;
    uint stride;
} args;

void main()
{
    uvec4 sum = uvec4(0);
    for (uint i = 0; i < args.rounds; i++)
        sum ^= Words4(args.x).v[global_id() + i * args.stride];
    if ((sum.x & sum.y & sum.z & sum.w) == 0xffffffffu)
        Words(args.sink).v[0] = sum.x;
}
