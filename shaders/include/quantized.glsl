// SPDX-License-Identifier: MIT
// Quantised matrices from their planes (crayon/device.h, struct cr_quantized). Blocks run over the
// flattened matrix: 32 elements of q8_0, 64 of nf4; 256 blocks share a second-level scale.

const float NF4_VALUES[16] =
    float[](-1.0, -0.696192801, -0.525073051, -0.394917488, -0.284441382, -0.18477343,
            -0.0910500363, 0.0, 0.0795802996, 0.160930201, 0.246112302, 0.337915242, 0.440709829,
            0.562617004, 0.722956836, 1.0);

// The code of element i of q8_0, with its sign.
int q8_0_code(uvec2 codes, uint i)
{
    return bitfieldExtract(Ints(codes).v[i / 4], int(i % 4 * 8), 8);
}

float q8_0_scale(uvec2 scales, uint block) { return load_half(scales, block); }

// The first of two elements is in the high nibble of a byte: element k (0..7) of a word of codes.
uint nf4_code(uint word, uint k) { return word >> ((k & 6) * 4 + 4 - (k & 1) * 4) & 15; }

// `nested` 0: not doubly quantised. The offset stands behind the map. Rounded after each step, as
// everywhere.
float nf4_absmax(uvec2 scales, uvec2 nested, uvec2 map, uint block)
{
    if (!present(nested))
        return Floats(scales).v[block];
    uint code = Words(scales).v[block / 4] >> block % 4 * 8 & 0xff;
    precise float absmax = Floats(map).v[code] * Floats(nested).v[block / 256];
    absmax = absmax + Floats(map).v[256];
    return absmax;
}
