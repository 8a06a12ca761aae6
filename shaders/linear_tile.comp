// SPDX-License-Identifier: MIT
// y[M,N] = x[M,K] W[N,K]^T for many rows, in tiles (tile.glsl); W of any type, dequantised when a slice
// of it goes to shared memory, never as a whole.
//
//     y[m,n] = sum over k of x[m,k] W[n,k], then finish_sum() (linear.glsl)
//
// Shapes: group i takes tile i % (tiles along M) of x's rows with tile i / (tiles along M) of W's:
// groups that run together share rows of W, which then come from memory once. Rows beyond M and N
// are read at the last row and dropped; k beyond K counts as 0 on both sides. With split K, split z
// takes k from z split_depth on.
//
// Must move: W, x and y once. Does: W once for every tile along M, x once for every tile along N, from
// the caches in part. 2 M N K operations; a weight is unpacked once for TILE_M rows.
//
// The next slices are fetched into registers while the current ones are multiplied. Sums: f32, in
// the order of k.
#version 450
#include "common.glsl"
#include "activation.glsl"
#include "linear.glsl"
#include "weights.glsl"

layout(constant_id = 5) const uint TILE_M = 64;
layout(constant_id = 6) const uint TILE_N = 64;
layout(constant_id = 7) const uint TILE_K = 16;
layout(constant_id = 8) const uint PER_M = 8;
layout(constant_id = 9) const uint PER_N = 8;

uint tiles_m() { return (p.rows + TILE_M - 1u) / TILE_M; }
uint tile_row() { return group_id() % tiles_m() * TILE_M; }
uint tile_column() { return group_id() / tiles_m() * TILE_N; }

void finish_tile(uint m, uint n, float sum)
{
    m += tile_row();
    n += tile_column();
    if (m < p.rows && n < p.columns)
        finish_sum(m, n, sum);
}

#include "tile.glsl"

// What an invocation fetches of each slice: quads of x, units of W; neighbours take neighbouring k.
const uint X_QUADS = TILE_M * TILE_K / 4u, X_EACH = (X_QUADS + THREADS - 1u) / THREADS;
const uint W_UNITS = TILE_N * TILE_K / UNIT, W_EACH = (W_UNITS + THREADS - 1u) / THREADS;

vec4 next_x[X_EACH];
uvec4 next_w[W_EACH];
float next_scale[W_EACH];

shared uint live_rows;

// Unless by element, rows end with whole units, and beyond the last one it is read again: no branches
// around loads.
void fetch(uint k0, uint end)
{
    [[unroll]] for (uint i = 0; i < X_EACH; i++) {
        uint at = thread_id() + i * THREADS, k = k0 + at % (TILE_K / 4u) * 4u;
        uint m = min(tile_row() + at / (TILE_K / 4u), p.rows - 1u);
        next_x[i] = load_x(m, LOADS == BY_ELEMENT ? k : min(k, end - 4u), end);
    }
    [[unroll]] for (uint i = 0; i < W_EACH; i++) {
        uint at = thread_id() + i * THREADS, k = k0 + at % (TILE_K / UNIT) * UNIT;
        uint row = min(tile_column() + at / (TILE_K / UNIT), p.columns - 1u) * p.depth;
        if (LOADS == BY_ELEMENT)
            next_w[i] = floatBitsToUint(weights_alone(row + k, k < end ? end - k : 0u));
        else {
            next_w[i] = load_unit(row + min(k, end - UNIT));
            next_scale[i] = weight_scale(row + min(k, end - UNIT));
        }
    }
}

void store_x(uint k0, uint end)
{
    [[unroll]] for (uint i = 0; i < X_EACH; i++) {
        uint at = thread_id() + i * THREADS, row = at / (TILE_K / 4u), k = at % (TILE_K / 4u) * 4u;
        vec4 x = k0 + k < end ? next_x[i] : vec4(0);
        if (X_QUADS % THREADS == 0u || at < X_QUADS)
            [[unroll]] for (uint j = 0; j < 4u; j++)
                put_a(row, k + j, x[j]);
    }
}

void store_w(uint k0, uint end)
{
    [[unroll]] for (uint i = 0; i < W_EACH; i++) {
        uint at = thread_id() + i * THREADS;
        uint column = at / (TILE_K / UNIT), k = at % (TILE_K / UNIT) * UNIT;
        if (W_UNITS % THREADS == 0u || at < W_UNITS)
            [[unroll]] for (uint q = 0; q < UNIT / 4u; q++) {
                vec4 w = LOADS == BY_ELEMENT ? uintBitsToFloat(next_w[i]) : unit_quad(next_w[i], q);
                if (SCALED && LOADS != BY_ELEMENT)
                    w *= next_scale[i];
                w = k0 + k < end ? w : vec4(0);
                [[unroll]] for (uint j = 0; j < 4u; j++)
                    put_b(column, k + 4u * q + j, w[j]);
            }
    }
}

// Does any row of the tile need this product at all?
bool tile_is_live()
{
    if (!present(p.row_scale))
        return true;
    if (thread_id() == 0u)
        live_rows = 0u;
    barrier();
    for (uint m = thread_id(); m < TILE_M && tile_row() + m < p.rows; m += THREADS)
        if (row_is_live(tile_row() + m))
            atomicOr(live_rows, 1u);
    barrier();
    return live_rows != 0u;
}

void main()
{
    prepare_weights();
    clear_tile();
    uint start = gl_WorkGroupID.z * p.split_depth, end = min(start + p.split_depth, p.depth);
    if (tile_is_live() && start < end) {
        fetch(start, end);
        for (uint k = start; k < end; k += TILE_K) {
            barrier();
            store_x(k, end);
            store_w(k, end);
            barrier();
            if (k + TILE_K < end)
                fetch(k + TILE_K, end);
            multiply_tile();
        }
    }
    finish_sums();
}
