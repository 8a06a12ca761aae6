// SPDX-License-Identifier: MIT
// reduce: y[r] = sum, mean, largest, or sum of squares of x[r, 0..k); the root of a sum. f32.
//
// Reads 4 k bytes a row and does k operations (2 k for squares), which is also the least. Rows that
// are split into segments give y[r, segment]; a second dispatch reduces those.
//
// The maximum is taken over numbers in their order, so that it is exact, NaN if there is one.
#include "common.glsl"
#include "reduce.glsl"
#include "order.glsl"

const uint SUM = 0, MEAN = 1, MAXIMUM = 2, SQUARES = 3, ROOT = 4;
layout(constant_id = 3) const uint KIND = SUM;

layout(push_constant) uniform Push {
    uvec2 x, y;
    uint rows, k, segments, segment_length;
    float divisor; // of a mean
} p;

float term(uint i)
{
    float x = Floats(p.x).v[i];
    return KIND == SQUARES ? x * x : x;
}

// Four sums side by side: shorter chains of additions, for the error's sake and for speed.
float sum_of(uint from, uint to)
{
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    uint i = from + lane();
    for (; i + 3u * LANES < to; i += 4u * LANES) {
        s0 += term(i);
        s1 += term(i + LANES);
        s2 += term(i + 2u * LANES);
        s3 += term(i + 3u * LANES);
    }
    for (; i < to; i += LANES)
        s0 += term(i);
    return (s0 + s1) + (s2 + s3);
}

float largest_of(uint from, uint to)
{
    uint best = 0;
    for (uint i = from + lane(); i < to; i += LANES)
        best = max(best, order_of(Floats(p.x).v[i]));
    return from_order(row_max(best));
}

// The root of infinity is no infinity everywhere.
float root(float x) { return floatBitsToUint(x) == 0x7f800000u ? x : sqrt(x); }

void main()
{
    Place place = find_place(p.rows, p.k, p.segments, p.segment_length);
    if (!place.inside)
        return;
    uint first = place.row * p.k;
    float result = KIND == MAXIMUM ? largest_of(first + place.from, first + place.to)
                                   : row_sum(sum_of(first + place.from, first + place.to));
    if (KIND == MEAN)
        result /= p.divisor;
    if (KIND == ROOT)
        result = root(result);
    if (lane() == 0u && place.row < p.rows)
        Floats(p.y).v[place.row * p.segments + place.segment] = result;
}
