// SPDX-License-Identifier: MIT
// A linear product of few rows (linear_vector.glsl), lanes summed by exchanges inside a subgroup,
// which holds LANES or a multiple of it: no barrier before the sums are there.
#version 450
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "activation.glsl"
#include "linear.glsl"
#include "weights.glsl"
#include "linear_vector.glsl"

// A lane has results of its own registers only; through here they reach finish_result() evenly.
shared float results[SLOTS * SUMS];

void main()
{
    prepare_weights();
    // How invocations are numbered in their subgroup is the driver's choice.
    uint thread = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
    uint slot = thread / LANES, lane = thread % LANES;
    sum_rows(slot, lane);
    for (uint distance = LANES / 2u; distance > 0u; distance /= 2u)
        [[unroll]] for (uint i = 0; i < SUMS; i++)
            sums[i] += subgroupShuffleXor(sums[i], distance);
    if (lane == 0u)
        [[unroll]] for (uint i = 0; i < SUMS; i++)
            results[(i % X_ROWS * SLOTS + slot) * W_ROWS + i / X_ROWS] = sums[i];
    barrier();
    for (uint i = thread; i < SLOTS * SUMS; i += THREADS)
        finish_result(i, results[i]);
}
