// SPDX-License-Identifier: MIT
// The second half of a linear product whose K was split over groups: sum[m,n] = sum over z of
// partial[z,m,n], in the order of z, then store_finished() (linear.glsl).
//
// Shapes: an invocation for each element of y[M,N]. Must move and does: splits M N words in, M N out;
// splits M N operations.
#version 450
#include "common.glsl"
#include "activation.glsl"
#include "linear.glsl"

void main()
{
    uint count = p.rows * p.columns, at = global_id();
    if (at >= count)
        return;
    float sum = 0.0;
    for (uint z = 0; z < p.splits; z++)
        sum += Floats(p.partial).v[z * count + at];
    store_finished(at / p.columns, at % p.columns, sum);
}
