// SPDX-License-Identifier: MIT
// argmax: y[r] = the index of the largest of x[r, 0..k), the lowest on ties; a NaN raises the alarm
// and gives -1. x f32, y i32.
//
// Reads 4 k bytes a row, which is also the least; no arithmetic but comparisons.
//
// STAGE: rows that are split into segments take two dispatches. The first finds order and index of
// the largest of each segment, parts[r, segment, 2]; the second picks among those.
#include "common.glsl"
#include "reduce.glsl"
#include "order.glsl"

const uint WHOLE = 0, PARTS = 1, JOIN = 2;
layout(constant_id = 3) const uint STAGE = WHOLE;

layout(push_constant) uniform Push {
    uvec2 x, y, parts, alarm;
    uint rows, k, segments, segment_length;
} p;

const uint NOWHERE = 0xffffffffu;

// A lane sees indices in ascending order, so that the first of equals is the lowest.
void look(uint order, uint index, inout uint best, inout uint where)
{
    if (order > best) {
        best = order;
        where = index;
    }
}

void main()
{
    // After a split, the parts of a row are what there is to look at.
    Place place = STAGE == JOIN ? find_place(p.rows, p.segments, 1u, p.segments)
                                : find_place(p.rows, p.k, p.segments, p.segment_length);
    if (!place.inside)
        return;
    uint best = 0, where = NOWHERE;
    for (uint i = place.from + lane(); i < place.to; i += LANES) {
        uint at = (place.row * p.segments + i) * 2u;
        if (STAGE == JOIN)
            look(Words(p.parts).v[at], Words(p.parts).v[at + 1u], best, where);
        else
            look(order_of_equals(Floats(p.x).v[place.row * p.k + i]), i, best, where);
    }
    uint top = row_max(best);
    where = row_min(best == top ? where : NOWHERE);
    if (lane() != 0u || place.row >= p.rows)
        return;
    if (STAGE == PARTS) {
        uint at = (place.row * p.segments + place.segment) * 2u;
        Words(p.parts).v[at] = top;
        Words(p.parts).v[at + 1u] = where;
        return;
    }
    if (top == ORDER_NAN)
        atomicOr(Words(p.alarm).v[0], 1u);
    Ints(p.y).v[place.row] = top == ORDER_NAN ? -1 : int(where);
}
