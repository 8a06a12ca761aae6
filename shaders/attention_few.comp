#version 450
// SPDX-License-Identifier: MIT
// attention_few: attention of few rows (include/attention_few.glsl), sums over lanes through shared
// memory.
#include "common.glsl"
#include "attention_few.glsl"

shared float parts[PRODUCTS * THREADS];
shared float done[PRODUCTS * SETS];

void lane_sums(uint thread, inout float products[PRODUCTS])
{
    [[unroll]] for (uint i = 0; i < PRODUCTS; i++)
        parts[i * THREADS + thread] = products[i];
    barrier();
    uint set = thread / LANES;
    for (uint i = thread % LANES; i < PRODUCTS; i += LANES) {
        float sum = 0.0;
        for (uint lane = 0; lane < LANES; lane++)
            sum += parts[i * THREADS + set * LANES + lane];
        done[set * PRODUCTS + i] = sum;
    }
    barrier();
    [[unroll]] for (uint i = 0; i < PRODUCTS; i++)
        products[i] = done[set * PRODUCTS + i];
}

void main() { attend(thread_id()); }
