#version 450
// SPDX-License-Identifier: MIT
// resize: y[p,i,j] = sum over taps of wy[a] wx[b] x[p, clamp(iy + a), clamp(ix + b)], for planes
// x[P,H,W], y[P,oh,ow] f32. The place of output i in the input is (i + 1/2) H / oh - 1/2 = iy + t;
// wy follows from t: bilinear 1 - t, t; bicubic the cubic of Keys with a = -0.75. Nearest takes
// floor(i H / oh), bit for bit.
//
// Places are found in whole numbers: t is right to the last bits wherever it lies. LARGE: where
// 2 (H + 1) oh is beyond 32 bits, by long division.
//
// An invocation for each place of up to 8 planes, neighbours along the row. Operations: about 60
// for the place, 2 for each tap; bytes: x and y once, taps from a cache.
#include "common.glsl"

layout(constant_id = 1) const uint MODE = 0; // enum cr_interpolation
layout(constant_id = 2) const bool LARGE = false;

const uint NEAREST = 0, BILINEAR = 1, BICUBIC = 2;
const uint TAPS = MODE == BICUBIC ? 4 : 2;
const uint PLANES = 8;

layout(push_constant) uniform Arguments
{
    uvec2 x, y;
    uint height, width, out_height, out_width, planes;
    uint count; // places x blocks of planes
} a;

// (factor1 factor2 + more) / by, where the quotient has 32 bits.
uint multiply_divide(uint factor1, uint factor2, uint more, uint by, out uint rest)
{
    if (!LARGE) {
        uint product = factor1 * factor2 + more, quotient = product / by;
        rest = product - quotient * by;
        return quotient;
    }
    uint high, low, carry, quotient = 0u;
    umulExtended(factor1, factor2, high, low);
    low = uaddCarry(low, more, carry);
    high += carry;
    for (int i = 31; i >= 0; i--) {
        bool beyond = (high & 0x80000000u) != 0u;
        high = high << 1 | (low >> uint(i) & 1u);
        quotient <<= 1;
        if (beyond || high >= by) {
            high -= by;
            quotient |= 1u;
        }
    }
    rest = high;
    return quotient;
}

// At distance x of the place.
float cubic(float x)
{
    const float a = -0.75;
    return x <= 1.0 ? ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                    : ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
}

void find_taps(uint i, uint from, uint to, out uint at[TAPS], out float weight[TAPS])
{
    uint rest;
    // one more than the place, so that it is not negative
    int whole = int(multiply_divide(2u * i + 1u, from, to, 2u * to, rest)) - 1;
    float t = float(rest) / float(2u * to);
    int first = whole - int(TAPS / 2u) + 1;
    [[unroll]] for (int k = 0; k < TAPS; k++) {
        at[k] = uint(clamp(first + k, 0, int(from) - 1));
        if (MODE == BICUBIC)
            weight[k] = cubic(abs(t - float(k - 1)));
        else
            weight[k] = k == 0 ? 1.0 - t : t;
    }
}

void main()
{
    uint id = global_id(), places = a.out_height * a.out_width;
    if (id >= a.count)
        return;
    uint place = id % places, row = place / a.out_width, column = place % a.out_width;
    uint first = id / places * PLANES, end = min(first + PLANES, a.planes);
    if (MODE == NEAREST) {
        uint rest;
        uint from = multiply_divide(row, a.height, 0u, a.out_height, rest) * a.width +
                    multiply_divide(column, a.width, 0u, a.out_width, rest);
        for (uint plane = first; plane < end; plane++)
            Words(a.y).v[plane * places + place] =
                Words(a.x).v[plane * a.height * a.width + from];
        return;
    }
    uint rows[TAPS], columns[TAPS];
    float row_weights[TAPS], column_weights[TAPS];
    find_taps(row, a.height, a.out_height, rows, row_weights);
    find_taps(column, a.width, a.out_width, columns, column_weights);
    for (uint plane = first; plane < end; plane++) {
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < TAPS; i++) {
            uint start = (plane * a.height + rows[i]) * a.width;
            float line = 0.0;
            [[unroll]] for (uint j = 0; j < TAPS; j++)
                line += column_weights[j] * Floats(a.x).v[start + columns[j]];
            sum += row_weights[i] * line;
        }
        Floats(a.y).v[plane * places + place] = sum;
    }
}
