// SPDX-License-Identifier: MIT
// Several consecutive elements of an f32 or f16 array at once. `kind` is a specialisation constant
// of the shader; the wide kinds are for arrays at multiples of 16 bytes whose rows hold a multiple
// of 8 elements (of 4 for load4).
const uint KIND_F32 = 0, KIND_F16 = 1, KIND_WIDE_F32 = 2, KIND_WIDE_F16 = 3;

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Words2 { uvec2 v[]; };

vec2 word_to_floats(uint word)
{
    return vec2(half_to_float(word & 0xffffu), half_to_float(word >> 16));
}

float load_element(uint kind, uvec2 address, uint i)
{
    return (kind & 1u) != 0u ? load_half(address, i) : Floats(address).v[i];
}

// Elements i .. i + 3, of which `left` are there; zeros for the others.
vec4 load4(uint kind, uvec2 address, uint i, int left)
{
    if (left <= 0)
        return vec4(0);
    if (kind == KIND_WIDE_F32)
        return Floats4(address).v[i >> 2];
    if (kind == KIND_WIDE_F16) {
        uvec2 words = Words2(address).v[i >> 2];
        return vec4(word_to_floats(words.x), word_to_floats(words.y));
    }
    vec4 result = vec4(0);
    [[unroll]] for (int c = 0; c < 4; c++)
        if (c < left)
            result[c] = load_element(kind, address, i + c);
    return result;
}

// Elements i .. i + 7 in two halves.
void load8(uint kind, uvec2 address, uint i, int left, out vec4 low, out vec4 high)
{
    if (kind == KIND_WIDE_F16 && left > 0) {
        uvec4 words = Words4(address).v[i >> 3];
        low = vec4(word_to_floats(words.x), word_to_floats(words.y));
        high = vec4(word_to_floats(words.z), word_to_floats(words.w));
        return;
    }
    low = load4(kind, address, i, left);
    high = load4(kind, address, i + 4u, left - 4);
}
