// SPDX-License-Identifier: MIT
// A linear product of few rows (linear_vector.glsl), lanes summed through shared memory.
#version 450
#include "common.glsl"
#include "activation.glsl"
#include "linear.glsl"
#include "weights.glsl"
#include "linear_vector.glsl"

// One row of x at a time: [w row][invocation].
shared float lanes[W_ROWS * THREADS];

// Halve the lanes until one is left; all W_ROWS sums of all slots at once.
void sum_lanes()
{
    for (uint half_lanes = LANES / 2u; half_lanes > 0u; half_lanes /= 2u) {
        for (uint i = thread_id(); i < W_ROWS * SLOTS * half_lanes; i += THREADS) {
            uint at = i / half_lanes * LANES + i % half_lanes;
            lanes[at] += lanes[at + half_lanes];
        }
        barrier();
    }
}

void main()
{
    prepare_weights();
    sum_rows(thread_id() / LANES, thread_id() % LANES);
    [[unroll]] for (uint m = 0; m < X_ROWS; m++) {
        [[unroll]] for (uint r = 0; r < W_ROWS; r++)
            lanes[r * THREADS + thread_id()] = sums[r * X_ROWS + m];
        barrier();
        sum_lanes();
        for (uint i = thread_id(); i < SLOTS * W_ROWS; i += THREADS)
            finish_result(m * SLOTS * W_ROWS + i,
                          lanes[i % W_ROWS * THREADS + i / W_ROWS * LANES]);
        barrier();
    }
}
