// SPDX-License-Identifier: MIT
// binary: y[i] = a[i] + b[j], a[i] b[j], or silu(a[i]) b[j].
//
// a, y: f32, seen as AXES axes of these extents, the last of which runs fastest; b: f32 with its
// own step along each axis, 0 where it is repeated. The host joins axes along which b runs on. A
// thread computes WIDE elements: one, or four along the last axis, whose extent is a multiple of 4,
// with addresses and steps to suit. (With one axis n may be any: the last few go one by one.)
//
// At least and in fact: 8 bytes an element and those of b; 1 operation, 16 for silu.
#version 450
#include "common.glsl"
#include "activation.glsl"

const uint ADD = 0, MUL = 1; // else SILU_MUL

layout(constant_id = 1) const uint KIND = 0;
layout(constant_id = 2) const uint AXES = 1;
layout(constant_id = 3) const uint WIDE = 1;
layout(push_constant) uniform Push {
    uvec2 a, b, y;
    uint n;
    uint unused;
    uvec4 extent, b_step;
} p;

float apply(float a, float b)
{
    precise float y = KIND == ADD ? a + b : KIND == MUL ? a * b : silu(a) * b;
    return y;
}

// Where b has the element that stands beside a's element i.
uint beside(uint i)
{
    uint at = 0;
    [[unroll]] for (uint axis = AXES - 1; axis > 0; axis--) {
        at += i % p.extent[axis] * p.b_step[axis];
        i /= p.extent[axis];
    }
    return at + i * p.b_step[0];
}

void main()
{
    uint i = global_id() * WIDE;
    if (i >= p.n)
        return;
    uint j = beside(i), step = p.b_step[AXES - 1];
    if (WIDE == 4 && p.n - i >= 4) {
        vec4 a = Floats4(p.a).v[i / 4];
        vec4 b = step == 0 ? vec4(Floats(p.b).v[j]) : Floats4(p.b).v[j / 4];
        Floats4(p.y).v[i / 4] =
            vec4(apply(a.x, b.x), apply(a.y, b.y), apply(a.z, b.z), apply(a.w, b.w));
        return;
    }
    for (uint end = min(i + WIDE, p.n); i < end; i++, j += step)
        Floats(p.y).v[i] = apply(Floats(p.a).v[i], Floats(p.b).v[j]);
}
