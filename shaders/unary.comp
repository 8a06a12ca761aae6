// SPDX-License-Identifier: MIT
// unary: y[i] = f(x[i]). f is SIGMOID, RELU, GELU, QUICK_GELU or SILU (activation.glsl), or SCALE:
// x factor.
//
// x, y: f32 [n]. A thread computes WIDE elements that lie together: one, or four (both addresses
// multiples of 16; the last few one by one). At least and in fact: 8 bytes an element and 1 (RELU,
// SCALE) to 30 operations.
#version 450
#include "common.glsl"
#include "activation.glsl"

const uint SCALE = 6; // beside the activations

layout(constant_id = 1) const uint KIND = 0;
layout(constant_id = 2) const uint WIDE = 1;
layout(push_constant) uniform Push {
    uvec2 x, y;
    uint n;
    float factor;
} p;

float apply(float x)
{
    if (KIND != SCALE)
        return activate(KIND, x);
    precise float y = x * p.factor;
    return y;
}

void main()
{
    uint i = global_id() * WIDE;
    if (i >= p.n)
        return;
    if (WIDE == 4 && p.n - i >= 4) {
        vec4 x = Floats4(p.x).v[i / 4];
        Floats4(p.y).v[i / 4] = vec4(apply(x.x), apply(x.y), apply(x.z), apply(x.w));
        return;
    }
    for (uint end = min(i + WIDE, p.n); i < end; i++)
        Floats(p.y).v[i] = apply(Floats(p.x).v[i]);
}
