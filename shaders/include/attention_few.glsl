// SPDX-License-Identifier: MIT
// Flash attention of few rows (include/attention.glsl has the mathematics): each key and value is
// read once for all ROWS rows of the block, in the order in which they lie.
//
// LANES invocations take a key: each has UNITS x 8 columns of q, k, v and of the sums, in registers.
// The THREADS / LANES sets of lanes go through the chunk side by side, BATCH keys each at a time,
// with running maxima of their own; at the end they are joined in a fixed order. The products of a
// key are summed over its lanes by lane_sums(), which the includer has: by subgroup operations, or
// through shared memory.
//
// d <= 8 LANES UNITS. Operations: 4 d for each row and key; bytes: k and v once for each block of
// rows. Registers: 16 ROWS UNITS for q and sums, BATCH (2 ROWS + 8 UNITS) and about 30 more; shared
// memory 4 KiB, or 12 with sums through shared memory.
#include "attention.glsl"

layout(constant_id = 2) const uint LANES = 8;
layout(constant_id = 3) const uint UNITS = 1;
layout(constant_id = 4) const uint ROWS = 1;

const uint SETS = THREADS / LANES;
const uint BATCH = 4;
const uint PRODUCTS = BATCH * ROWS;

void lane_sums(uint thread, inout float products[PRODUCTS]);

shared float pool[THREADS * 8];
shared float tops[SETS * ROWS];
shared float totals[SETS * ROWS];

vec4 q[ROWS * UNITS * 2], sums[ROWS * UNITS * 2];
float top[ROWS], total[ROWS];

void load_queries(Task t, uint lane, uint last)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint from = query_row(t, min(t.block * ROWS + r, last)) * a.d;
        [[unroll]] for (uint u = 0; u < UNITS; u++) {
            uint c = (lane + LANES * u) * 8u, at = (r * UNITS + u) * 2u;
            load8(KIND_F32, a.q, from + c, int(a.d) - int(c), q[at], q[at + 1u]);
            sums[at] = sums[at + 1u] = vec4(0);
        }
        top[r] = LOWEST;
        total[r] = 0.0;
    }
}

void multiply_key(uint lane, uint at, uint n, inout float products[PRODUCTS])
{
    [[unroll]] for (uint u = 0; u < UNITS; u++) {
        uint c = (lane + LANES * u) * 8u;
        vec4 low, high;
        load8(KIND, a.k, at + c, int(a.d) - int(c), low, high);
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            products[n * ROWS + r] += dot(q[(r * UNITS + u) * 2u], low) +
                                      dot(q[(r * UNITS + u) * 2u + 1u], high);
    }
}

void add_value(uint lane, uint at, uint n, float p[PRODUCTS])
{
    [[unroll]] for (uint u = 0; u < UNITS; u++) {
        uint c = (lane + LANES * u) * 8u;
        vec4 low, high;
        load8(KIND, a.v, at + c, int(a.d) - int(c), low, high);
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            if (p[n * ROWS + r] != 0.0) {
                sums[(r * UNITS + u) * 2u] += p[n * ROWS + r] * low;
                sums[(r * UNITS + u) * 2u + 1u] += p[n * ROWS + r] * high;
            }
    }
}

// Scores become p; what was summed up before is scaled.
void soften(Task t, uint last, uint j0, uint at[BATCH], inout float s[PRODUCTS])
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        float most = top[r];
        [[unroll]] for (uint n = 0; n < BATCH; n++) {
            float score = LOWEST;
            if (at[n] != NOWHERE)
                score = score_of(t, min(t.block * ROWS + r, last), j0 + SETS * n, s[n * ROWS + r],
                                 total[r]);
            s[n * ROWS + r] = score;
            most = max(most, score);
        }
        float factor = exp_below(top[r] - most);
        top[r] = most;
        total[r] *= factor;
        [[unroll]] for (uint u = 0; u < 2 * UNITS; u++)
            sums[r * UNITS * 2u + u] *= factor;
        [[unroll]] for (uint n = 0; n < BATCH; n++) {
            float p = s[n * ROWS + r] == LOWEST ? 0.0 : exp_below(s[n * ROWS + r] - most);
            s[n * ROWS + r] = p;
            total[r] += p;
        }
    }
}

// Row r of all sets of lanes: relative to the largest maximum, in the order of the sets.
void store(Task t, uint thread, uint r, uint last)
{
    float most = LOWEST, all = 0.0;
    for (uint i = 0; i < SETS; i++)
        most = max(most, tops[i * ROWS + r]);
    for (uint i = 0; i < SETS; i++)
        all += totals[i * ROWS + r] * exp_below(tops[i * ROWS + r] - most);
    float factor = exp_below(top[r] - most), by = 1.0;
    uint row = t.block * ROWS + r, to = query_row(t, min(row, last)) * a.d;
    if (a.chunks == 1u) {
        by = inverse_of(all);
    } else {
        to = part_at(t, ROWS, r);
        if (thread == 0u) {
            Floats(a.y).v[to + a.d] = most;
            Floats(a.y).v[to + a.d + 1u] = all;
        }
    }
    [[unroll]] for (uint u = 0; u < UNITS; u++) {
        barrier(); // the pool is free
        [[unroll]] for (uint c = 0; c < 8; c++)
            pool[thread * 8u + c] = sums[(r * UNITS + u) * 2u + c / 4u][c % 4u] * factor;
        barrier();
        for (uint c = thread; c < LANES * 8u; c += THREADS) {
            float sum = 0.0;
            for (uint i = 0; i < SETS; i++)
                sum += pool[i * LANES * 8u + c];
            uint column = LANES * u * 8u + c;
            if (column < a.d && row <= last)
                Floats(a.y).v[to + column] = sum * by;
        }
    }
}

void attend(uint thread)
{
    Task t = task_of(group_id());
    uint lane = thread % LANES, set = thread / LANES;
    uint last = min((t.block + 1u) * ROWS, a.queries * a.group) - 1u;
    uint end = min(reach_of(t, last), (t.chunk + 1u) * a.chunk_keys);
    load_queries(t, lane, last);
    for (uint j0 = t.chunk * a.chunk_keys; j0 < end; j0 += SETS * BATCH) {
        uint at[BATCH];
        float s[PRODUCTS];
        [[unroll]] for (uint i = 0; i < PRODUCTS; i++)
            s[i] = 0.0;
        [[unroll]] for (uint n = 0; n < BATCH; n++) {
            at[n] = key_at(t, j0 + set + SETS * n, end);
            if (at[n] != NOWHERE)
                multiply_key(lane, at[n], n, s);
        }
        lane_sums(thread, s);
        soften(t, last, j0 + set, at, s);
        [[unroll]] for (uint n = 0; n < BATCH; n++)
            if (at[n] != NOWHERE)
                add_value(lane, at[n], n, s);
    }
    if (lane == 0u)
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            tops[set * ROWS + r] = top[r];
            totals[set * ROWS + r] = total[r];
        }
    barrier();
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        store(t, thread, r, last);
}
