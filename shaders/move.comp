// SPDX-License-Identifier: MIT
// move: y[i0,i1,i2,i3] = x[base + sum of step a], where a = i - by on each axis: slice and permute
// (MODE COPY, by 0), pad (PAD: where a is outside of x, `value`) and roll (ROLL: a wraps round).
//
// x, y: units of BYTES bytes, see units.glsl; the host joins axes and widens units as far as it
// goes. A thread writes one unit, or a whole word of units: the last word's other bytes stay. At
// least and in fact: the bytes of y, twice; about 10 operations for each axis beyond the first.
#version 450
#include "common.glsl"

const uint COPY = 0, PAD = 1, ROLL = 2;
const uint OUTSIDE = 0xffffffff;

layout(constant_id = 1) const uint BYTES = 4;
layout(constant_id = 2) const uint AXES = 1;
layout(constant_id = 3) const uint MODE = COPY;
#include "units.glsl"
layout(push_constant) uniform Push {
    uvec2 x, y;
    uint n, value, base;
    uint unused;
    uvec4 extent, step, from; // of y; in x; of x
    ivec4 by;
} p;

// The unit of x that y's unit i is.
uint source(uint i)
{
    uint at = p.base;
    bool inside = true;
    [[unroll]] for (int axis = int(AXES) - 1; axis >= 0; axis--) {
        uint extent = p.extent[axis];
        int a = int(axis == 0 ? i : i % extent);
        i /= extent;
        if (MODE != COPY)
            a -= p.by[axis];
        if (MODE == ROLL && a < 0)
            a += int(p.from[axis]);
        if (MODE == PAD && uint(a) >= p.from[axis])
            inside = false;
        at += uint(a) * p.step[axis];
    }
    return inside ? at : OUTSIDE;
}

void main()
{
    uint i = global_id() * PER_WORD;
    if (i >= p.n)
        return;
    if (BYTES == 16) {
        uint from = source(i);
        Words4(p.y).v[i] = from == OUTSIDE ? uvec4(p.value) : Words4(p.x).v[from];
        return;
    }
    uint count = min(p.n - i, PER_WORD), word = 0;
    for (uint k = 0; k < count; k++) {
        uint from = source(i + k);
        uint unit = from == OUTSIDE ? p.value : load_unit(p.x, from);
        word = BYTES == 4 ? unit : bitfieldInsert(word, unit, int(8 * BYTES * k), int(8 * BYTES));
    }
    store_units(p.y, i / PER_WORD, word, count);
}
