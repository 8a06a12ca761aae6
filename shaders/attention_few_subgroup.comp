#version 450
// SPDX-License-Identifier: MIT
// attention_few_subgroup: attention of few rows (include/attention_few.glsl), sums over lanes by
// shuffles: LANES is a power of two and at most the size of a subgroup.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "attention_few.glsl"

// Both partners of a step add the same two numbers: all lanes end with the same bits.
void lane_sums(uint thread, inout float products[PRODUCTS])
{
    [[unroll]] for (uint step = LANES / 2u; step > 0u; step /= 2u)
        [[unroll]] for (uint i = 0; i < PRODUCTS; i++)
            products[i] += subgroupShuffleXor(products[i], step);
}

void main() { attend(gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID); }
