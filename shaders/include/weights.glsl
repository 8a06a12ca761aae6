// SPDX-License-Identifier: MIT
// Reading a weight matrix W[N,K] of any type, in words, unpacked in registers.
//
// Blocks of quantised matrices run over the flattened matrix (crayon/device.h). A *unit* is what one
// invocation loads at once: UNIT elements of one row, 1, 2 or 4 words. Where K is a multiple of
// UNIT, units never leave a row; they begin at multiples of UNIT, so a unit also lies in one block
// of 32 (q8_0) or 64 (nf4) and has one scale. Where K is not (no model known to us has that, but
// nothing forbids it) LOADS is BY_ELEMENT: four elements at a time, each looked up alone.
//
// The 16 values of nf4 lie in shared memory. 16 consecutive words are 16 banks, and invocations that
// want the same word are served by one broadcast, so no pattern of codes conflicts: copies would
// gain nothing. A tree of selects takes 15 instructions a weight; subgroup shuffles go through the
// same crossbar on AMD and NVIDIA, and need their feature. A table of pairs by byte halves the
// lookups but conflicts (256 entries in 32 banks).
//
// The includer declares the specialisation constants and addresses named here:
//   WEIGHTS (the type), NESTED (doubly quantised), LOADS (BY_ELEMENT, BY_WORD, WIDE: 128 bits at
//   once), UNIT; p.w, p.scales, p.nested, p.map

#include "quantized.glsl"

const bool SCALED = WEIGHTS == Q8_0 || WEIGHTS == NF4;

shared float nf4_values[16];
shared float nested_map[NESTED ? 257 : 1]; // the 257th is the offset

// Before anything else here; all invocations. Ends with a barrier where there is something to share.
void prepare_weights()
{
    if (WEIGHTS != NF4)
        return;
    if (thread_id() < 16u)
        nf4_values[thread_id()] = NF4_VALUES[thread_id()];
    if (NESTED)
        for (uint i = thread_id(); i < 257u; i += THREADS)
            nested_map[i] = Floats(p.map).v[i];
    barrier();
}

// The scale of an element's block, 1 for types without.
float weight_scale(uint element)
{
    if (WEIGHTS == Q8_0)
        return load_half(p.scales, element >> 5);
    if (WEIGHTS != NF4)
        return 1.0;
    uint block = element >> 6;
    if (!NESTED)
        return Floats(p.scales).v[block];
    uint code = Words(p.scales).v[block >> 2] >> ((block & 3u) << 3) & 0xffu;
    return nested_map[code] * Floats(p.nested).v[block >> 8] + nested_map[256];
}

// The words of the unit that begins at an element; as many as it has, the others are 0.
uvec4 load_unit(uint element)
{
    const uint per_word = WEIGHTS == F32 ? 1u : WEIGHTS == F16 ? 2u : WEIGHTS == Q8_0 ? 4u : 8u;
    const uint count = UNIT / per_word;
    uint word = element / per_word;
    if (LOADS == WIDE && count == 4u)
        return Words4(p.w).v[word >> 2];
    if (count == 1u)
        return uvec4(Words(p.w).v[word], 0, 0, 0);
    if (count == 2u)
        return uvec4(Words(p.w).v[word], Words(p.w).v[word + 1u], 0, 0);
    return uvec4(Words(p.w).v[word], Words(p.w).v[word + 1u], Words(p.w).v[word + 2u],
                 Words(p.w).v[word + 3u]);
}

// The value of the code at a bit. In terms of byte offsets, which is what the lookup takes in the
// end: one shift and one mask remain.
float nf4_value(uint codes, uint bit)
{
    uint offset = (bit >= 2u ? codes >> bit - 2u : codes << 2u - bit) & 60u;
    return nf4_values[offset >> 2];
}

// Elements 4 i .. 4 i + 3 of a unit, without the scale.
vec4 unit_quad(uvec4 unit, uint i)
{
    if (WEIGHTS == F32)
        return uintBitsToFloat(unit);
    if (WEIGHTS == F16) {
        uvec2 pairs = i == 0u ? unit.xy : unit.zw;
        return vec4(half_to_float(pairs.x & 0xffffu), half_to_float(pairs.x >> 16),
                    half_to_float(pairs.y & 0xffffu), half_to_float(pairs.y >> 16));
    }
    if (WEIGHTS == Q8_0) {
        int codes = int(unit[i]);
        return vec4(bitfieldExtract(codes, 0, 8), bitfieldExtract(codes, 8, 8),
                    bitfieldExtract(codes, 16, 8), codes >> 24);
    }
    uint codes = unit[i >> 1], first = (i & 1u) << 4; // element 2 j of a byte is its high half
    return vec4(nf4_value(codes, first + 4u), nf4_value(codes, first),
                nf4_value(codes, first + 12u), nf4_value(codes, first + 8u));
}

// One element, scaled.
float weight(uint element)
{
    if (WEIGHTS == F32)
        return Floats(p.w).v[element];
    if (WEIGHTS == F16)
        return load_half(p.w, element);
    if (WEIGHTS == Q8_0) {
        int codes = int(Words(p.w).v[element >> 2]);
        return float(codes << (24u - ((element & 3u) << 3)) >> 24) * weight_scale(element);
    }
    uint codes = Words(p.w).v[element >> 3] >> ((element & 7u ^ 1u) << 2);
    return nf4_values[codes & 15u] * weight_scale(element);
}

// The first `count` (at most 4) elements from `element` on, scaled; 0 for the others.
vec4 weights_alone(uint element, uint count)
{
    vec4 quad = vec4(0);
    for (uint i = 0; i < min(count, 4u); i++)
        quad[i] = weight(element + i);
    return quad;
}
