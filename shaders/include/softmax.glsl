// SPDX-License-Identifier: MIT
// softmax: y[r,i] = e^(x[r,i] - top) / sum, or (LOG) x[r,i] - top - ln sum, with top = the largest
// x[r,*] and sum = the sum of e^(x[r,*] - top). f32.
//
// Needs to read and write 4 k bytes a row; reads them three times, the second and third time from a
// cache where it holds a row. About 25 operations an element and pass.
//
// STAGE: rows that are split into segments take two dispatches. The first finds top and sum of each
// segment, parts[r, segment, 2]; the second joins them, sum = sum of sum_s e^(top_s - top), and
// writes its segment.
#include "common.glsl"
#include "reduce.glsl"
#include "order.glsl"
#include "activation.glsl"
#include "logarithm.glsl"

const uint WHOLE = 0, PARTS = 1, JOIN = 2;
layout(constant_id = 3) const bool LOG = false;
layout(constant_id = 4) const uint STAGE = WHOLE;

layout(push_constant) uniform Push {
    uvec2 x, y, parts;
    uint rows, k, segments, segment_length;
} p;

float part(uint row, uint segment, uint which)
{
    return Floats(p.parts).v[(row * p.segments + segment) * 2u + which];
}

float find_top(Place place)
{
    uint best = 0;
    for (uint i = place.from + lane(); i < place.to; i += LANES)
        best = max(best, order_of(Floats(p.x).v[place.row * p.k + i]));
    return from_order(row_max(best));
}

float find_sum(Place place, float top)
{
    float sum = 0;
    for (uint i = place.from + lane(); i < place.to; i += LANES)
        sum += exp_f32(Floats(p.x).v[place.row * p.k + i] - top);
    return row_sum(sum);
}

float join_tops(Place place)
{
    uint best = 0;
    for (uint i = lane(); i < p.segments; i += LANES)
        best = max(best, order_of(part(place.row, i, 0u)));
    return from_order(row_max(best));
}

float join_sums(Place place, float top)
{
    float sum = 0;
    for (uint i = lane(); i < p.segments; i += LANES)
        sum += part(place.row, i, 1u) * exp_f32(part(place.row, i, 0u) - top);
    return row_sum(sum);
}

// A segment of nothing but -infinity adds nothing, unless there is nothing else.
void write_part(Place place, float top, float sum)
{
    uint at = (place.row * p.segments + place.segment) * 2u;
    Floats(p.parts).v[at] = top;
    Floats(p.parts).v[at + 1u] = floatBitsToUint(top) == 0xff800000u ? 0.0 : sum;
}

void main()
{
    Place place = find_place(p.rows, p.k, p.segments, p.segment_length);
    if (!place.inside)
        return;
    float top = STAGE == JOIN ? join_tops(place) : find_top(place);
    float sum = STAGE == JOIN ? join_sums(place, top) : find_sum(place, top);
    if (STAGE == PARTS) {
        if (lane() == 0u && place.row < p.rows)
            write_part(place, top, sum);
        return;
    }
    float shift = LOG ? log_f32(sum) : 0.0, factor = 1.0 / sum;
    for (uint i = place.from + lane(); i < place.to; i += LANES) {
        uint at = place.row * p.k + i;
        float x = Floats(p.x).v[at] - top;
        Floats(p.y).v[at] = LOG ? x - shift : exp_f32(x) * factor;
    }
}
