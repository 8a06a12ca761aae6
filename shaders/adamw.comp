// SPDX-License-Identifier: MIT
#version 450
// adamw: one step of AdamW with decoupled decay (Loshchilov and Hutter, arXiv 1711.05101), in place:
//
//     m = beta1 m + (1 - beta1) g
//     v = beta2 v + (1 - beta2) g^2
//     p = p - rate decay p - rate m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon)
//
// All f32, one element an invocation. The corrections come from the host, in double and rounded
// once: `rate` has the first in it, `scale` is the second. Reads 16 bytes an element and writes 12,
// which is also the least; about 15 operations.
#include "common.glsl"

layout(push_constant) uniform Push {
    uvec2 grad, p, m, v;
    uint count;
    float decay; // rate x decay
    float beta1, beta2, other1, other2; // other: 1 - beta
    float rate, scale, epsilon;
} p;

// The root of infinity is no infinity everywhere.
float root(float x) { return floatBitsToUint(x) == 0x7f800000u ? x : sqrt(x); }

void main()
{
    uint i = global_id();
    if (i >= p.count)
        return;
    float g = Floats(p.grad).v[i], old = Floats(p.p).v[i];
    float m = p.beta1 * Floats(p.m).v[i] + p.other1 * g;
    float v = p.beta2 * Floats(p.v).v[i] + p.other2 * g * g;
    Floats(p.m).v[i] = m;
    Floats(p.v).v[i] = v;
    Floats(p.p).v[i] = old - p.decay * old - p.rate * m / (root(v * p.scale) + p.epsilon);
}
