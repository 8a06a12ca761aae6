#version 450
// SPDX-License-Identifier: MIT
// attention_tile: flash attention of many queries (include/attention.glsl has the mathematics).
//
// A group holds 4 THREADS / LANES rows. Invocation (tr, tc) has rows tr + i THREADS / LANES, i < 4,
// and of each the scores of KEYS / LANES keys and COLUMNS x 4 sums, all in registers. For each tile
// of 32 keys:
//
//     scores   32 columns of q and k at a time through shared memory
//     softmax  the running maximum of each row by its LANES invocations through shared memory; p
//              goes to shared memory, [key][row]
//     sums     V_KEYS values at a time through shared memory, times p
//
// Scores are never stored outside; tiles behind what the rows see are passed over. The order of all
// sums is fixed.
//
// d <= 32 COLUMNS (LANES 8) or 64 COLUMNS (LANES 16). Operations: 4 d for each row and key; bytes:
// k and v for each block of rows, q for each tile (from a cache). Registers: 16 COLUMNS sums,
// 128 / LANES scores and about 40 more; shared memory 14 KiB with 128 invocations, 9 KiB with 64.
#include "common.glsl"
#include "attention.glsl"

layout(constant_id = 2) const uint LANES = 8;
layout(constant_id = 3) const uint COLUMNS = 1;
layout(constant_id = 4) const uint V_KEYS = 32;
layout(constant_id = 5) const uint Q_KIND = 0;

const uint KEYS = 32;
const uint STEPS = 8;  // vec4 of a row of q or k at a time
const uint STRIDE = 9; // odd: rows lie in different banks
const uint STACK = THREADS / LANES;
const uint ROWS = 4 * STACK;
const uint PER = KEYS / LANES;
const uint WIDTH = COLUMNS * LANES; // vec4 of a row of v
const uint P_STRIDE = STACK + 1;
const uint K_AT = ROWS * STRIDE;
const uint V_AT = KEYS * P_STRIDE;
const uint FIRST_POOL = K_AT + KEYS * STRIDE;
const uint SECOND_POOL = V_AT + V_KEYS * WIDTH;
const uint POOL = FIRST_POOL > SECOND_POOL ? FIRST_POOL : SECOND_POOL;

shared vec4 pool[POOL];
shared uint q_at[ROWS];
shared uint k_at[KEYS];
shared uint careful; // not 0: some value is NaN or infinite

void stage_products(uint c0)
{
    for (uint i = thread_id(); i < ROWS * STEPS; i += THREADS) {
        uint row = i / STEPS, c = c0 + i % STEPS * 4u;
        pool[row * STRIDE + i % STEPS] = load4(Q_KIND, a.q, q_at[row] + c, int(a.d) - int(c));
    }
    for (uint i = thread_id(); i < KEYS * STEPS; i += THREADS) {
        uint key = i / STEPS, c = c0 + i % STEPS * 4u, at = k_at[key];
        pool[K_AT + key * STRIDE + i % STEPS] =
            load4(KIND, a.k, at + c, at == NOWHERE ? 0 : int(a.d) - int(c));
    }
}

bool all_finite(vec4 x)
{
    uvec4 bits = floatBitsToUint(x) & 0x7fffffffu;
    return all(lessThan(bits, uvec4(0x7f800000u)));
}

void stage_values(uint first)
{
    for (uint i = thread_id(); i < V_KEYS * WIDTH; i += THREADS) {
        uint c = i % WIDTH * 4u, at = k_at[first + i / WIDTH];
        vec4 value = load4(KIND, a.v, at + c, at == NOWHERE ? 0 : int(a.d) - int(c));
        if (!all_finite(value))
            atomicOr(careful, 1u);
        pool[V_AT + i] = value;
    }
}

void main()
{
    Task t = task_of(group_id());
    uint tc = thread_id() % LANES, tr = thread_id() / LANES;
    uint total = a.queries * a.group, first_row = t.block * ROWS;
    uint last = min(first_row + ROWS, total) - 1u;
    uint end = min(reach_of(t, last), (t.chunk + 1u) * a.chunk_keys);

    for (uint i = thread_id(); i < ROWS; i += THREADS)
        q_at[i] = query_row(t, min(first_row + i, last)) * a.d;
    if (thread_id() == 0u)
        careful = 0u;

    vec4 sums[4 * COLUMNS];
    [[unroll]] for (uint i = 0; i < 4 * COLUMNS; i++)
        sums[i] = vec4(0);
    vec4 top = vec4(LOWEST), sum = vec4(0); // of the four rows; `sum` of this invocation's keys

    for (uint j0 = t.chunk * a.chunk_keys; j0 < end; j0 += KEYS) {
        if (thread_id() < KEYS)
            k_at[thread_id()] = key_at(t, j0 + thread_id(), end);

        float s[4 * PER];
        [[unroll]] for (uint i = 0; i < 4 * PER; i++)
            s[i] = 0.0;
        for (uint c0 = 0; c0 < a.d; c0 += 4u * STEPS) {
            barrier();
            stage_products(c0);
            barrier();
            for (uint c = 0; c < STEPS; c++) {
                vec4 q[4];
                [[unroll]] for (uint i = 0; i < 4; i++)
                    q[i] = pool[(tr + STACK * i) * STRIDE + c];
                [[unroll]] for (uint j = 0; j < PER; j++) {
                    vec4 key = pool[K_AT + (tc + LANES * j) * STRIDE + c];
                    [[unroll]] for (uint i = 0; i < 4; i++)
                        s[i * PER + j] += dot(q[i], key);
                }
            }
        }

        vec4 most = top;
        [[unroll]] for (uint i = 0; i < 4; i++)
            [[unroll]] for (uint j = 0; j < PER; j++) {
                uint key = tc + LANES * j;
                float score = LOWEST;
                if (k_at[key] != NOWHERE)
                    score = score_of(t, min(first_row + tr + STACK * i, last), j0 + key,
                                     s[i * PER + j], sum[i]);
                s[i * PER + j] = score;
                most[i] = max(most[i], score);
            }
        barrier(); // the products are done with the pool
        pool[V_AT + tc * STACK + tr] = most;
        barrier();
        [[unroll]] for (uint i = 0; i < LANES; i++)
            most = max(most, pool[V_AT + i * STACK + tr]);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            float factor = exp_below(top[i] - most[i]);
            sum[i] *= factor;
            [[unroll]] for (uint n = 0; n < COLUMNS; n++)
                sums[i * COLUMNS + n] *= factor;
        }
        top = most;
        [[unroll]] for (uint j = 0; j < PER; j++) {
            vec4 p;
            [[unroll]] for (uint i = 0; i < 4; i++)
                p[i] = s[i * PER + j] == LOWEST ? 0.0 : exp_below(s[i * PER + j] - top[i]);
            sum += p;
            pool[(tc + LANES * j) * P_STRIDE + tr] = p;
        }

        for (uint v0 = 0; v0 < KEYS && j0 + v0 < end; v0 += V_KEYS) {
            barrier();
            stage_values(v0);
            barrier();
            bool plain = careful == 0u;
            for (uint j = 0; j < V_KEYS; j++) {
                vec4 p = pool[(v0 + j) * P_STRIDE + tr];
                [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
                    vec4 value = pool[V_AT + j * WIDTH + tc + LANES * n];
                    [[unroll]] for (uint i = 0; i < 4; i++)
                        if (plain || p[i] != 0.0)
                            sums[i * COLUMNS + n] += p[i] * value;
                }
            }
        }
    }

    barrier();
    pool[tc * STACK + tr] = sum;
    barrier();
    sum = vec4(0);
    for (uint i = 0; i < LANES; i++)
        sum += pool[i * STACK + tr];

    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint row = tr + STACK * i, at = q_at[row];
        float factor = 1.0;
        if (a.chunks == 1u) {
            factor = inverse_of(sum[i]);
        } else {
            at = part_at(t, ROWS, row);
            if (tc == 0u) {
                Floats(a.y).v[at + a.d] = top[i];
                Floats(a.y).v[at + a.d + 1u] = sum[i];
            }
        }
        if (first_row + row > last)
            continue;
        [[unroll]] for (uint n = 0; n < COLUMNS; n++)
            [[unroll]] for (uint k = 0; k < 4; k++) {
                uint c = (tc + LANES * n) * 4u + k;
                if (c < a.d)
                    Floats(a.y).v[at + c] = sums[i * COLUMNS + n][k] * factor;
            }
    }
}
