// SPDX-License-Identifier: MIT
// transpose: y[b,c,r] = x[b,r,c] for a batch b of two axes, by way of shared memory, so that both
// sides are read and written along the memory: c runs fastest in x (step 1), r in y.
//
// x, y: units of BYTES bytes (1, 2, 4), see units.glsl. Units smaller than a word: `rows` and every
// step of y are multiples of a word, so that the tiles of a group share none. A group moves TILE x
// TILE units. At least and in fact: the bytes of y, twice.
#version 450
#include "common.glsl"

const uint TILE = 32;

layout(constant_id = 1) const uint BYTES = 4;
#include "units.glsl"
layout(push_constant) uniform Push {
    uvec2 x, y;
    uint rows, columns;
    uint x_row, y_column;     // steps: of a row of x, of a column in y
    uint row_tiles, column_tiles;
    uvec2 batch;              // extents
    uvec2 x_batch, y_batch;   // steps
} p;

shared uint tile[TILE * (TILE + 1)]; // one more, so that columns lie in other banks

void main()
{
    uint g = group_id(), column = g % p.column_tiles * TILE;
    g /= p.column_tiles;
    uint row = g % p.row_tiles * TILE;
    g /= p.row_tiles;
    uvec2 b = uvec2(g / p.batch.y, g % p.batch.y);
    if (b.x >= p.batch.x)
        return; // the whole group
    uint rows = min(p.rows - row, TILE), columns = min(p.columns - column, TILE);
    uint from = b.x * p.x_batch.x + b.y * p.x_batch.y + row * p.x_row + column;
    uint to = b.x * p.y_batch.x + b.y * p.y_batch.y + column * p.y_column + row;
    for (uint i = thread_id(); i < TILE * TILE; i += THREADS) {
        uint r = i / TILE, c = i % TILE;
        if (r < rows && c < columns)
            tile[r * (TILE + 1) + c] = load_unit(p.x, from + r * p.x_row + c);
    }
    barrier();
    const uint LINE = TILE / PER_WORD; // words of a line of y
    for (uint i = thread_id(); i < TILE * LINE; i += THREADS) {
        uint c = i / LINE, r = i % LINE * PER_WORD;
        if (r >= rows || c >= columns)
            continue;
        uint word = tile[r * (TILE + 1) + c];
        for (uint k = 1; k < PER_WORD; k++)
            word |= tile[(r + k) * (TILE + 1) + c] << 8 * BYTES * k;
        Words(p.y).v[(to + c * p.y_column + r) / PER_WORD] = word;
    }
}
