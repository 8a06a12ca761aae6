// SPDX-License-Identifier: MIT
// quantize: x to q8_0 or nf4 (constant 1), block by block over the flattened matrix.
//
//     q8_0  32 elements; s = f16(absmax / 127), code = x (1 / s) to nearest, even on a tie
//     nf4   64 elements; code = the nearest of 16 values to x (1 / absmax), the lower of two:
//           the number of boundaries that the product exceeds
//
// Both divisions are exact to the last bit (exact.glsl); the product is f32. Numbers beyond 2^64
// and below 2^-63 are scaled by a power of two first, so that no factor is a denormal number: those
// that vanish on the way are too near to 0 to matter. NaN or infinity raises the alarm.
//
// x: f32 [n]; codes, and f16 scales (q8_0) or f32 absmax (nf4). Eight threads share a block, each
// has one word of codes; of the last words what is behind the end stays. At least and in fact: 4
// bytes an element and those of the planes; about 20 (q8_0) or 40 (nf4) operations an element.
#version 450
#include "common.glsl"
#include "exact.glsl"

const uint TEAM = 8;

layout(constant_id = 1) const uint TYPE = Q8_0;
layout(push_constant) uniform Push {
    uvec2 x, codes, scales, alarm;
    uint n, blocks;
    float boundary[15];
} p;

const uint MINE = TYPE == Q8_0 ? 4 : 8; // elements of a word of codes
const uint INFINITE = 0x7f800000;

shared uint most[THREADS]; // the largest magnitude, as bits: their order is that of the numbers
shared uint halves[THREADS / TEAM];

uint code_q8_0(float x, float inverse)
{
    precise float product = x * inverse;
    return uint(int(clamp(roundEven(product), -127.0, 127.0))) & 0xff;
}

uint code_nf4(float x, float inverse)
{
    precise float product = x * inverse;
    uint code = 0;
    [[unroll]] for (int i = 0; i < 15; i++)
        code += uint(product > p.boundary[i]);
    return code;
}

// x 2^shift, shift -64, 0 or 64; a denormal x counts where it matters, also where the driver takes
// it for 0.
float shifted(uint bits, int shift)
{
    float x = uintBitsToFloat(bits);
    uint magnitude = bits & 0x7fffffff;
    if (shift > 0 && magnitude < 0x800000) {
        x = float(magnitude) * 2.5849394142282115e-26; // 2^-149 2^64
        return (bits & 0x80000000) != 0 ? -x : x;
    }
    return shift == 0 ? x : x * (shift > 0 ? 18446744073709551616.0 : 5.421010862427522e-20);
}

// The codes of count elements of a block, and its f16 scale.
uint word_q8_0(uint bits[8], uint count, uint absmax, out uint scale)
{
    // Below 2^-25 the scale is 0; shorter than the division, which needs normal results.
    scale = absmax < 0x33000000 ? 0 : float_to_half(divide_by_127(absmax));
    if (scale == 0 || scale >= 0x7c00)
        return 0;
    float inverse = reciprocal(floatBitsToUint(half_to_float(scale)), 0);
    uint word = 0;
    [[unroll]] for (uint k = 0; k < 4; k++)
        if (k < count)
            word |= code_q8_0(uintBitsToFloat(bits[k]), inverse) << 8 * k;
    return word;
}

uint word_nf4(uint bits[8], uint count, uint absmax)
{
    uint exponent = absmax >> 23, word = 0;
    int shift = exponent < 64 ? 64 : exponent > 190 ? -64 : 0;
    float inverse = absmax == 0 ? 0.0 : reciprocal(absmax, -shift);
    bool beyond = floatBitsToUint(inverse) == INFINITE;
    [[unroll]] for (uint k = 0; k < 8; k++) {
        // Times infinity: 0 becomes NaN, which exceeds nothing.
        uint code = beyond ? (int(bits[k]) > 0 ? 15 : 0)
                           : code_nf4(shifted(bits[k], shift), inverse);
        if (k < count)
            word |= code << (k & 6) * 4 + 4 - (k & 1) * 4;
    }
    return word;
}

// `bytes` bytes of a word; the others stay.
void store_bytes(uvec2 address, uint i, uint word, uint bytes)
{
    Words(address).v[i] =
        bytes >= 4 ? word : bitfieldInsert(Words(address).v[i], word, 0, int(8 * bytes));
}

// Two scales are a word.
void store_halves()
{
    uint pairs = THREADS / TEAM / 2, i = thread_id(), block = 2 * (group_id() * pairs + i);
    if (i < pairs && block < p.blocks)
        store_bytes(p.scales, block / 2, halves[2 * i] | halves[2 * i + 1] << 16,
                    block + 1 < p.blocks ? 4 : 2);
}

void main()
{
    uint team = thread_id() / TEAM, member = thread_id() % TEAM;
    uint block = group_id() * (THREADS / TEAM) + team, place = block * TEAM + member;
    uint first = place * MINE;
    uint count = block < p.blocks && first < p.n ? min(p.n - first, MINE) : 0;
    uint bits[8], absmax = 0;
    [[unroll]] for (uint k = 0; k < MINE; k++) {
        bits[k] = k < count ? Words(p.x).v[first + k] : 0;
        absmax = max(absmax, bits[k] & 0x7fffffff);
    }
    most[thread_id()] = absmax;
    barrier();
    for (uint i = 0; i < TEAM; i++)
        absmax = max(absmax, most[team * TEAM + i]);
    if (absmax >= INFINITE && count > 0) {
        atomicOr(Words(p.alarm).v[0], 1u);
        absmax = 0;
    }
    uint scale = 0;
    uint word = TYPE == Q8_0 ? word_q8_0(bits, count, absmax, scale)
                             : word_nf4(bits, count, absmax);
    if (count > 0)
        store_bytes(p.codes, place, word, TYPE == Q8_0 ? count : (count + 1) / 2);
    if (TYPE == Q8_0) {
        if (member == 0)
            halves[team] = scale;
        barrier();
        store_halves();
    } else if (member == 0 && count > 0) {
        Words(p.scales).v[block] = absmax;
    }
}
