// SPDX-License-Identifier: MIT
// concat: y[o,j] is the piece of x0[o,:], x1[o,:], ... that stands at j when they follow each
// other.
//
// x, y: units of BYTES bytes, see units.glsl. The record has for each input its address, and where
// its piece ends in a row of y. A thread writes one unit, or a whole word of units: the last word's
// other bytes stay. At least and in fact: the bytes of y, twice.
#version 450
#include "common.glsl"

layout(constant_id = 1) const uint BYTES = 4;
#include "units.glsl"
layout(push_constant) uniform Push {
    uvec2 y, record;
    uint n, inputs;
    uint row; // units of a row of y
} p;

// Which input, and which of its units, y's unit i is.
struct Source {
    uvec2 x;
    uint at;
};

Source source(uint i)
{
    uint o = i / p.row, j = i % p.row, start = 0, k = 0;
    uint end = Words(p.record).v[2];
    while (j >= end && k + 1 < p.inputs) {
        k++;
        start = end;
        end = Words(p.record).v[4 * k + 2];
    }
    return Source(uvec2(Words(p.record).v[4 * k], Words(p.record).v[4 * k + 1]),
                  o * (end - start) + j - start);
}

void main()
{
    uint i = global_id() * PER_WORD;
    if (i >= p.n)
        return;
    if (BYTES == 16) {
        Source from = source(i);
        Words4(p.y).v[i] = Words4(from.x).v[from.at];
        return;
    }
    uint count = min(p.n - i, PER_WORD), word = 0;
    for (uint k = 0; k < count; k++) {
        Source from = source(i + k);
        uint unit = load_unit(from.x, from.at);
        word = BYTES == 4 ? unit : bitfieldInsert(word, unit, int(8 * BYTES * k), int(8 * BYTES));
    }
    store_units(p.y, i / PER_WORD, word, count);
}
