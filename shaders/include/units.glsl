// SPDX-License-Identifier: MIT
// Moving numbers without looking at them: units of BYTES bytes, 1, 2, 4 or 16 (addresses multiples
// of 16 then). What is smaller than a word is packed by the invocation that owns the word.
//
// Include it behind the declaration of the constant BYTES.

const uint PER_WORD = BYTES < 4 ? 4 / BYTES : 1;

// Unit i of an array of units of 1, 2 or 4 bytes.
uint load_unit(uvec2 address, uint i)
{
    if (BYTES == 4)
        return Words(address).v[i];
    return bitfieldExtract(Words(address).v[i / PER_WORD], int(i % PER_WORD * 8 * BYTES),
                           int(8 * BYTES));
}

// The first `count` units of word i; the others stay.
void store_units(uvec2 address, uint i, uint word, uint count)
{
    Words(address).v[i] =
        count >= PER_WORD ? word
                          : bitfieldInsert(Words(address).v[i], word, 0, int(8 * BYTES * count));
}
