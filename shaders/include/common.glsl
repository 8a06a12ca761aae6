// SPDX-License-Identifier: MIT
// What every shader starts with: addresses, words, exact conversions.
//
//     #version 450
//     #include "common.glsl"
//
// Memory is seen as 32-bit words only. Addresses come as uvec2 push constants and are cast to a
// buffer reference: Floats(p.x).v[i].
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in; // specialisation constant 0
layout(constant_id = 0) const uint THREADS = 64;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int v[]; };
// Only where the host has checked that the address is a multiple of 16.
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats4 { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Words4 { uvec4 v[]; };

// As enum cr_dtype.
const uint F32 = 1, F16 = 2, I32 = 3, U8 = 4, Q8_0 = 5, NF4 = 6;

// The group's number; the host folds large counts into two dimensions.
uint group_id() { return gl_WorkGroupID.x + (gl_WorkGroupID.y << 15); }
uint thread_id() { return gl_LocalInvocationID.x; }
// The number of this invocation in the whole grid: compare it with the count before use.
uint global_id() { return group_id() * THREADS + thread_id(); }

bool present(uvec2 address) { return (address.x | address.y) != 0u; }

// By bits: compilers may take isnan() for false.
bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// IEEE 754 binary16 in the low half of a word, exactly, whatever the driver does with denormals.
float half_to_float(uint h)
{
    uint sign = (h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u)
        return uintBitsToFloat(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x400u)
        return uintBitsToFloat(sign | (magnitude << 13) + 0x38000000u);
    return uintBitsToFloat(sign | floatBitsToUint(float(magnitude) * 5.9604644775390625e-8));
}

// To nearest, even on a tie; overflow gives infinity, NaN stays NaN.
uint float_to_half(float x)
{
    uint bits = floatBitsToUint(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return sign | 0x7e00u | magnitude >> 13 & 0x1ffu;
    if (magnitude >= 0x47800000u) // 65536 and more
        return sign | 0x7c00u;
    if (magnitude >= 0x38800000u) { // normal as binary16
        uint rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
        return sign | (rounded - 0x38000000u) >> 13;
    }
    if (magnitude < 0x33000000u) // below half of the smallest denormal
        return sign;
    uint shift = 126u - (magnitude >> 23); // 14..24
    uint mantissa = magnitude & 0x7fffffu | 0x800000u;
    uint kept = mantissa >> shift, rest = mantissa & (1u << shift) - 1u;
    uint half_way = 1u << shift - 1u;
    return sign | kept + uint(rest > half_way || rest == half_way && (kept & 1u) != 0u);
}

// Element i of an f16 array.
float load_half(uvec2 address, uint i)
{
    return half_to_float(Words(address).v[i >> 1] >> ((i & 1u) << 4) & 0xffffu);
}
