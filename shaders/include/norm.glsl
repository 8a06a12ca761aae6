// SPDX-License-Identifier: MIT
// norm: y = (x - mean) / sqrt(variance + eps) w + b over rows of k numbers, in two passes (the
// squares are of what is left when the mean is gone); RMS: y = x / sqrt(mean of x^2 + eps) w.
// x, y f32 [rows, k]; w, b f32, f16 or absent.
//
// LAYER and RMS: w[k], b[k]. GROUP: a row is one group of one item, `channels` channels of `size`
// numbers; w, b have a number for each of the channels of all `groups` groups.
//
// Needs to read and write 4 k bytes a row; reads them three times (RMS: twice), the later times from
// a cache where it holds a row. About 8 operations an element.
//
// STAGE: rows that are split into segments take three dispatches (RMS: two). SUMS writes the sum of
// each segment (RMS: of its squares), SQUARES the squares about the mean, behind the sums; APPLY
// joins both and writes its segment.
#include "common.glsl"
#include "reduce.glsl"

const uint RMS = 0, LAYER = 1, GROUP = 2;
const uint WHOLE = 0, SUMS = 1, SQUARES = 2, APPLY = 3;
layout(constant_id = 3) const uint KIND = RMS;
layout(constant_id = 4) const uint STAGE = WHOLE;
layout(constant_id = 5) const uint W_TYPE = 0; // F32, F16; 0: absent
layout(constant_id = 6) const uint B_TYPE = 0;

layout(push_constant) uniform Push {
    uvec2 x, w, b, y, parts;
    uint rows, k, segments, segment_length;
    uint groups, channels, size; // of GROUP
    float eps;
} p;

float sum_of(Place place, float centre, bool squares)
{
    float s0 = 0, s1 = 0;
    uint first = place.row * p.k, i = place.from + lane();
    for (; i + LANES < place.to; i += 2u * LANES) {
        float a = Floats(p.x).v[first + i] - centre, b = Floats(p.x).v[first + i + LANES] - centre;
        s0 += squares ? a * a : a;
        s1 += squares ? b * b : b;
    }
    if (i < place.to) {
        float a = Floats(p.x).v[first + i] - centre;
        s0 += squares ? a * a : a;
    }
    return row_sum(s0 + s1);
}

float join(Place place, uint first)
{
    float sum = 0;
    for (uint i = lane(); i < p.segments; i += LANES)
        sum += Floats(p.parts).v[first + place.row * p.segments + i];
    return row_sum(sum);
}

float load(uint type, uvec2 address, uint i, float absent)
{
    return type == F32 ? Floats(address).v[i] : type == F16 ? load_half(address, i) : absent;
}

void write_part(Place place, uint first, float sum)
{
    if (lane() == 0u && place.row < p.rows)
        Floats(p.parts).v[first + place.row * p.segments + place.segment] = sum;
}

// What is divided by a root of infinity is 0, whatever the driver's root of infinity is.
float inverse_root(float x) { return floatBitsToUint(x) == 0x7f800000u ? 0.0 : 1.0 / sqrt(x); }

void apply(Place place, float centre, float factor)
{
    uint first = place.row * p.k, channel = KIND == GROUP ? place.row % p.groups * p.channels : 0u;
    for (uint i = place.from + lane(); i < place.to; i += LANES) {
        uint at = KIND == GROUP ? channel + i / p.size : i;
        float y = (Floats(p.x).v[first + i] - centre) * factor;
        if (W_TYPE != 0u)
            y *= load(W_TYPE, p.w, at, 1.0);
        if (B_TYPE != 0u)
            y += load(B_TYPE, p.b, at, 0.0);
        Floats(p.y).v[first + i] = y;
    }
}

void main()
{
    Place place = find_place(p.rows, p.k, p.segments, p.segment_length);
    if (!place.inside)
        return;
    uint squares_at = KIND == RMS ? 0u : p.rows * p.segments;
    float count = float(p.k), centre = 0.0, squares;
    if (STAGE == SUMS) {
        write_part(place, 0u, sum_of(place, 0.0, KIND == RMS));
        return;
    }
    if (KIND != RMS)
        centre = (STAGE == WHOLE ? sum_of(place, 0.0, false) : join(place, 0u)) / count;
    if (STAGE == APPLY)
        squares = join(place, squares_at);
    else
        squares = sum_of(place, centre, true);
    if (STAGE == SQUARES) {
        write_part(place, squares_at, squares);
        return;
    }
    apply(place, centre, inverse_root(squares / count + p.eps));
}
