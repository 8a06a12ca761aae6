// SPDX-License-Identifier: MIT
// y[...,M,N] = alpha op(a) op(b), batched (matmul.glsl), in tiles (tile.glsl).
//
// Shapes: group i takes tile (i / batch items) of one item of the batch; along M first, so that groups
// that run together share columns of b. Must move: a, b, y once. Does: a once for every tile along N, b
// once for every tile along M, from the caches in part. 2 M N K operations an item.
//
// Beyond M, N and K the last element is read, and dropped or replaced by 0: no branches around
// loads. Neighbouring invocations fetch along the extent that lies consecutive in memory: k if A_ALONG_K
// (B_ALONG_K), else m (n). Sums: f32, in the order of k.
#version 450
#include "common.glsl"
#include "matmul.glsl"

layout(constant_id = 3) const bool A_ALONG_K = true;
layout(constant_id = 4) const bool B_ALONG_K = false;
layout(constant_id = 5) const uint TILE_M = 64;
layout(constant_id = 6) const uint TILE_N = 64;
layout(constant_id = 7) const uint TILE_K = 16;
layout(constant_id = 8) const uint PER_M = 8;
layout(constant_id = 9) const uint PER_N = 8;

uint tiles_m() { return (p.rows + TILE_M - 1u) / TILE_M; }
uint tiles_n() { return (p.columns + TILE_N - 1u) / TILE_N; }
uint item() { return group_id() / (tiles_m() * tiles_n()); }
uint tile_row() { return group_id() % tiles_m() * TILE_M; }
uint tile_column() { return group_id() / tiles_m() % tiles_n() * TILE_N; }

void finish_tile(uint m, uint n, float sum)
{
    m += tile_row();
    n += tile_column();
    if (m < p.rows && n < p.columns)
        Floats(p.y).v[(item() * p.rows + m) * p.columns + n] = p.alpha * sum;
}

#include "tile.glsl"

const uint A_EACH = TILE_M * TILE_K / THREADS, B_EACH = TILE_N * TILE_K / THREADS;

float next_a[A_EACH], next_b[B_EACH];

// Where element `at` of a slice stands: (row or column, k).
uvec2 place(uint at, bool along_k, uint extent)
{
    return along_k ? uvec2(at / TILE_K, at % TILE_K) : uvec2(at % extent, at / extent);
}

void fetch(uint k0)
{
    [[unroll]] for (uint i = 0; i < A_EACH; i++) {
        uvec2 at = place(thread_id() + i * THREADS, A_ALONG_K, TILE_M);
        uint m = min(tile_row() + at.x, p.rows - 1u), k = min(k0 + at.y, p.depth - 1u);
        next_a[i] = load_a(start_a(item()) + m * p.a_row + k * p.a_k);
    }
    [[unroll]] for (uint i = 0; i < B_EACH; i++) {
        uvec2 at = place(thread_id() + i * THREADS, B_ALONG_K, TILE_N);
        uint n = min(tile_column() + at.x, p.columns - 1u), k = min(k0 + at.y, p.depth - 1u);
        next_b[i] = load_b(start_b(item()) + n * p.b_column + k * p.b_k);
    }
}

void store(uint k0)
{
    [[unroll]] for (uint i = 0; i < A_EACH; i++) {
        uvec2 at = place(thread_id() + i * THREADS, A_ALONG_K, TILE_M);
        put_a(at.x, at.y, k0 + at.y < p.depth ? next_a[i] : 0.0);
    }
    [[unroll]] for (uint i = 0; i < B_EACH; i++) {
        uvec2 at = place(thread_id() + i * THREADS, B_ALONG_K, TILE_N);
        put_b(at.x, at.y, k0 + at.y < p.depth ? next_b[i] : 0.0);
    }
}

void main()
{
    clear_tile();
    if (p.depth > 0u)
        fetch(0u);
    for (uint k = 0; k < p.depth; k += TILE_K) {
        barrier();
        store(k);
        barrier();
        if (k + TILE_K < p.depth)
            fetch(k + TILE_K);
        multiply_tile();
    }
    finish_sums();
}
