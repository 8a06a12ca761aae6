// SPDX-License-Identifier: MIT
#version 450
// topk: the WANTED (k <= 1024) largest of each row of n numbers, descending, the lower index first
// on ties; exact. values f32 [rows, k], indices i32 [rows, k]. A NaN raises the alarm and gives NaN
// and -1 for its row.
//
// Elements are pairs (order, index), compared as one number of 64 bits, order first, then the lower
// index. Where there are more than SORT of them, a threshold that exactly k pairs reach is found
// digit by digit of 8 bits with a histogram (a radix selection), and those are collected. Then a
// bitonic sort in shared memory, which makes the order in which they were collected unimportant.
//
// Needs to read 4 n bytes a row and to write 8 k; reads them once a digit until the threshold is
// found (1 to 8 times, seldom more than 3 of them) and once to collect, mostly from a cache.
//
// STAGE: rows that are split into segments take two dispatches. The first writes the k best pairs of
// each segment, parts[r, segment, k, 2] (pairs of zeros where it has fewer elements); the second
// picks among those.
#include "common.glsl"
#include "order.glsl"

const uint WHOLE = 0, PARTS = 1, JOIN = 2;
layout(constant_id = 1) const uint SORT = 1024; // pairs that are sorted, a power of two
layout(constant_id = 2) const uint STAGE = WHOLE;

layout(push_constant) uniform Push {
    uvec2 x, values, indices, parts, alarm;
    uint rows, n, wanted, segments, segment_length;
} p;

const uint DIGITS = 8, BUCKETS = 256, SPANS = 16;

// A pair: order, and the index with all bits inverted, so that in both the larger comes first.
shared uvec2 pairs[SORT];
shared uint histogram[BUCKETS], spans[SPANS];
shared uint collected;
shared uvec2 threshold, mask;
shared uint missing; // pairs still to be found among those that agree with the threshold so far
shared bool decided;

uvec2 pair(uint row, uint i)
{
    if (STAGE == JOIN) {
        uint at = (row * p.segments * p.wanted + i) * 2u;
        return uvec2(Words(p.parts).v[at], Words(p.parts).v[at + 1u]);
    }
    return uvec2(order_of_equals(Floats(p.x).v[row * p.n + i]), ~i);
}

bool before(uvec2 a, uvec2 b) { return a.x > b.x || a.x == b.x && a.y > b.y; }

uint digit_of(uvec2 pair, uint digit)
{
    return (digit < 4u ? pair.x : pair.y) >> 24u - 8u * (digit & 3u) & 255u;
}

// The bucket in which the last wanted pair lies, by one thread: spans of 16 buckets, then buckets.
void decide(uint digit)
{
    uint left = missing, bucket = BUCKETS - 1u, span = SPANS - 1u;
    for (; span > 0u && spans[span] < left; span--)
        left -= spans[span];
    bucket = span * (BUCKETS / SPANS) + BUCKETS / SPANS - 1u;
    for (; bucket > 0u && histogram[bucket] < left; bucket--)
        left -= histogram[bucket];
    uint shift = 24u - 8u * (digit & 3u);
    if (digit < 4u) {
        threshold.x |= bucket << shift;
        mask.x |= 255u << shift;
    } else {
        threshold.y |= bucket << shift;
        mask.y |= 255u << shift;
    }
    decided = histogram[bucket] == left; // all of them are wanted
    missing = left;
}

void count_digit(uint row, uint from, uint to, uint digit)
{
    for (uint i = thread_id(); i < BUCKETS; i += THREADS)
        histogram[i] = 0u;
    barrier();
    for (uint i = from + thread_id(); i < to; i += THREADS) {
        uvec2 it = pair(row, i);
        if ((it & mask) == threshold)
            atomicAdd(histogram[digit_of(it, digit)], 1u);
    }
    barrier();
    for (uint i = thread_id(); i < SPANS; i += THREADS) {
        uint sum = 0;
        for (uint j = 0; j < BUCKETS / SPANS; j++)
            sum += histogram[i * (BUCKETS / SPANS) + j];
        spans[i] = sum;
    }
    barrier();
    if (thread_id() == 0u)
        decide(digit);
    barrier();
}

// Leaves the threshold: wanted are the pairs that, where `mask` is set, are not below it.
void find_threshold(uint row, uint from, uint to)
{
    if (thread_id() == 0u) {
        threshold = uvec2(0);
        mask = uvec2(0);
        missing = p.wanted;
        decided = to - from <= SORT;
    }
    barrier();
    for (uint digit = 0; digit < DIGITS; digit++) {
        if (decided) // the same for all: nobody writes it before the next barrier
            break;
        count_digit(row, from, to, digit);
    }
}

void collect(uint row, uint from, uint to)
{
    for (uint i = thread_id(); i < SORT; i += THREADS)
        pairs[i] = uvec2(0);
    if (thread_id() == 0u)
        collected = 0u;
    barrier();
    for (uint i = from + thread_id(); i < to; i += THREADS) {
        uvec2 it = pair(row, i);
        if (!before(threshold, it & mask)) {
            uint at = atomicAdd(collected, 1u);
            if (at < SORT)
                pairs[at] = it;
        }
    }
    barrier();
}

void sort()
{
    for (uint size = 2u; size <= SORT; size <<= 1)
        for (uint step = size / 2u; step > 0u; step >>= 1) {
            for (uint i = thread_id(); i < SORT / 2u; i += THREADS) {
                uint a = i / step * step * 2u + i % step, b = a + step;
                uvec2 left = pairs[a], right = pairs[b];
                bool descending = (a & size) == 0u;
                if (before(right, left) == descending) {
                    pairs[a] = right;
                    pairs[b] = left;
                }
            }
            barrier();
        }
}

void write(uint row, uint segment)
{
    bool bad = pairs[0].x == ORDER_NAN;
    if (STAGE != PARTS && bad && thread_id() == 0u)
        atomicOr(Words(p.alarm).v[0], 1u);
    for (uint i = thread_id(); i < p.wanted; i += THREADS) {
        uvec2 it = i < SORT ? pairs[i] : uvec2(0);
        uint at = row * p.wanted + i;
        if (STAGE == PARTS) {
            at = ((row * p.segments + segment) * p.wanted + i) * 2u;
            Words(p.parts).v[at] = it.x;
            Words(p.parts).v[at + 1u] = it.y;
        } else {
            // From x, as order and index do not tell 0 from -0.
            Words(p.values).v[at] = bad ? 0x7fc00000u : Words(p.x).v[row * p.n + ~it.y];
            Ints(p.indices).v[at] = bad ? -1 : int(~it.y);
        }
    }
}

void main()
{
    uint segments = STAGE == JOIN ? 1u : p.segments;
    uint row = group_id() / segments, segment = group_id() % segments;
    if (row >= p.rows)
        return;
    uint from = segment * p.segment_length, to = min(p.n, from + p.segment_length);
    if (STAGE == JOIN) {
        from = 0u;
        to = p.segments * p.wanted;
    }
    find_threshold(row, from, to);
    collect(row, from, to);
    sort();
    write(row, segment);
}
