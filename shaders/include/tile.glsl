// SPDX-License-Identifier: MIT
// The inside of a matrix product in tiles: a group sums a tile of y, TILE_M x TILE_N, over K in
// steps of TILE_K. In each step both operands' slices lie in shared memory, k by k; an invocation
// keeps PER_M x PER_N sums in registers.
//
// Shared memory delivers 32 words a clock where 64 multiply-adds are done (AMD; NVIDIA and Intel are
// alike), so PER_M = PER_N = 4, with 8 words for 16 multiply-adds, would be at that limit; 8 x 8 with 16 for
// 64 has room for writing the slices. An invocation's rows (and columns) are quads that lie
// TILE_M / PER_M quads apart: neighbours then read neighbouring quads, free of bank conflicts. Rows of
// shared memory are a quad longer than the tile, so that slices are written with two-way conflicts at most.
//
// Registers and waves of a SIMD on AMD, as Mesa 22.3 compiles linear_tile for polaris10 and vega10
// (GCN), navi10 and navi21 (RDNA); nothing spilled:
//
//     tile          per invocation    registers    waves GCN, RDNA
//     128 x 64, 16  8 x 8             128          2, 8     f16, q8_0, nf4
//     128 x 64, 8   8 x 8             108          2, 8     f32: at 16 it takes 132, and 1 wave
//     64 x 64, 16   8 x 4             72..80       3, 12
//     32 x 64, 16   4 x 8             80..96       2, 8
//
// The includer declares THREADS = (TILE_M / PER_M) (TILE_N / PER_N), TILE_M, TILE_N, TILE_K, PER_M,
// PER_N (multiples of 4), and finish_tile(m, n, sum), told of every sum of the tile.

const uint QUADS_M = TILE_M / PER_M, QUADS_N = TILE_N / PER_N; // invocations along each side
const uint PITCH_M = TILE_M / 4u + 1u, PITCH_N = TILE_N / 4u + 1u;

shared vec4 tile_a[TILE_K * PITCH_M]; // [k][row]
shared vec4 tile_b[TILE_K * PITCH_N]; // [k][column]

vec4 tile_sums[PER_M * PER_N / 4u]; // [row][quad of columns]

void clear_tile()
{
    [[unroll]] for (uint i = 0; i < PER_M * PER_N / 4u; i++)
        tile_sums[i] = vec4(0);
}

void put_a(uint row, uint k, float value) { tile_a[k * PITCH_M + row / 4u][row & 3u] = value; }
void put_b(uint column, uint k, float value)
{
    tile_b[k * PITCH_N + column / 4u][column & 3u] = value;
}

void multiply_k(uint k)
{
    vec4 a[PER_M / 4u], b[PER_N / 4u];
    [[unroll]] for (uint i = 0; i < PER_M / 4u; i++)
        a[i] = tile_a[k * PITCH_M + thread_id() / QUADS_N + i * QUADS_M];
    [[unroll]] for (uint j = 0; j < PER_N / 4u; j++)
        b[j] = tile_b[k * PITCH_N + thread_id() % QUADS_N + j * QUADS_N];
    [[unroll]] for (uint i = 0; i < PER_M; i++)
        [[unroll]] for (uint j = 0; j < PER_N / 4u; j++)
            tile_sums[i * (PER_N / 4u) + j] += a[i / 4u][i & 3u] * b[j];
}

// One step. Four k at a time are enough for reading ahead, and keep the code small.
void multiply_tile()
{
    [[dont_unroll]] for (uint k = 0; k < TILE_K; k += 4u)
        [[unroll]] for (uint i = 0; i < 4u; i++)
            multiply_k(k + i);
}

// One row of each invocation at a time goes through shared memory, so that neighbours write
// neighbouring words of y, and the code that finishes a sum exists once. Registers have no index:
// the row is found by comparing.
void finish_sums()
{
    [[dont_unroll]] for (uint row = 0; row < PER_M; row++) {
        barrier();
        [[unroll]] for (uint i = 0; i < PER_M; i++)
            if (i == row)
                [[unroll]] for (uint j = 0; j < PER_N / 4u; j++)
                    tile_a[thread_id() / QUADS_N * (TILE_N / 4u) + thread_id() % QUADS_N +
                           j * QUADS_N] = tile_sums[i * (PER_N / 4u) + j];
        barrier();
        [[dont_unroll]] for (uint at = thread_id(); at < QUADS_M * TILE_N; at += THREADS) {
            uint m = 4u * (at / TILE_N + row / 4u * QUADS_M) + (row & 3u);
            finish_tile(m, at % TILE_N, tile_a[at / 4u][at & 3u]);
        }
    }
}
