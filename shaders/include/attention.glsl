// SPDX-License-Identifier: MIT
// What the ways through attention share: arguments, which keys a query sees, scores.
//
//     y[b,h,i,:] = sum_j p_j v[j,:] / sum_j p_j,   p_j = exp(s_j - max s),
//     s_j = scale q[b,h,i,:] . k[j,:] + bias[b,h,i,j]   over the keys j that query i sees
//
// q[B,H,Lq,d] f32; k, v [B,Hkv,Lk,d] f32 or f16, or [1,Hkv,room,d] behind rows[B,Lk]; mask u8 and
// bias f32 [B|1,H|1,Lq|1,Lk]; lengths i32 [B].
//
// The queries of the H / Hkv heads that share a key head are the rows of one matrix: row r is query
// r / group of head r % group, so that a block of rows sees about the same keys under a causal
// mask. A group of invocations takes one block of rows and one chunk of the keys.
//
// A hidden key has the score LOWEST and p = 0, and its value is not multiplied: it may be NaN. Where
// a score is NaN or infinite, the sum of the row becomes NaN, and with it the result. Scores and
// the maximum are finite throughout, as drivers may assume they are.
#include "loads.glsl"

layout(constant_id = 1) const uint KIND = 0; // of k and v

layout(push_constant) uniform Arguments
{
    uvec2 q, k, v;
    uvec2 y; // the result; or partial results, if there are several chunks
    uvec2 lengths, mask, bias, rows, alarm;
    uint group;    // H / Hkv
    uint kv_heads; // Hkv
    uint queries;  // Lq
    uint keys;     // Lk
    uint d;
    uint room;   // rows of k and v
    uint cover;  // bit 0, 1, 2: mask has an extent along B, H, Lq; bit 3, 4, 5: bias has
    int offset;  // query i sees keys j <= i + offset
    float scale;
    uint blocks;     // of rows, for each item and key head
    uint chunks;     // of keys
    uint chunk_keys; // in a chunk
} a;

const float LOWEST = -3.4028234663852886e38;
const uint NOWHERE = 0xffffffffu;

float nan() { return uintBitsToFloat(0x7fc00000u); }

// e^x for x <= 0. Far below, where f32 ends, any tiny number will do.
float exp_below(float x) { return exp(max(x, -104.0)); }

// What a group works on.
struct Task {
    uint item;    // b Hkv + key head
    uint b, head; // the item of the batch; the key head
    uint block, chunk;
};

// The last queries of causal attention have the most to do: they come first.
Task task_of(uint id)
{
    Task t;
    t.chunk = id % a.chunks;
    id /= a.chunks;
    t.block = a.blocks - 1u - id % a.blocks;
    t.item = id / a.blocks;
    t.b = t.item / a.kv_heads;
    t.head = t.item % a.kv_heads;
    return t;
}

// The number of a row of q and y among all of B H Lq.
uint query_row(Task t, uint row)
{
    return ((t.b * a.kv_heads + t.head) * a.group + row % a.group) * a.queries + row / a.group;
}

// How many keys rows up to `last` see at most.
uint reach_of(Task t, uint last)
{
    int count = int(a.keys), query = int(last / a.group);
    if (present(a.lengths))
        count = clamp(Ints(a.lengths).v[t.b], 0, count);
    if (a.offset < count - 1 - query)
        count = max(query + a.offset + 1, 0);
    return uint(count);
}

// Where key j lies in k and v, in elements; NOWHERE behind `end` or where nothing is.
uint key_at(Task t, uint j, uint end)
{
    if (j >= end)
        return NOWHERE;
    if (!present(a.rows))
        return (t.item * a.room + j) * a.d;
    int row = Ints(a.rows).v[t.b * a.keys + j];
    if (row >= int(a.room))
        atomicOr(Words(a.alarm).v[0], 1u);
    return row < 0 || row >= int(a.room) ? NOWHERE : (t.head * a.room + uint(row)) * a.d;
}

// The element of a mask or bias for query i of a head, key j.
uint cover_at(uint has, uint b, uint head, uint i, uint j)
{
    uint at = (has & 1u) != 0u ? b : 0u;
    if ((has & 2u) != 0u)
        at = at * a.group * a.kv_heads + head;
    if ((has & 4u) != 0u)
        at = at * a.queries + i;
    return at * a.keys + j;
}

// The score of a product q . k; LOWEST where the row does not see the key. `sum` becomes NaN if the
// score is NaN or infinite.
float score_of(Task t, uint row, uint j, float product, inout float sum)
{
    uint i = row / a.group, head = t.head * a.group + row % a.group;
    if (int(j) - int(i) > a.offset)
        return LOWEST;
    if (present(a.mask)) {
        uint at = cover_at(a.cover, t.b, head, i, j);
        if ((Words(a.mask).v[at >> 2] >> ((at & 3u) << 3) & 0xffu) == 0u)
            return LOWEST;
    }
    float score = product * a.scale;
    if (present(a.bias))
        score += Floats(a.bias).v[cover_at(a.cover >> 3, t.b, head, i, j)];
    uint bits = floatBitsToUint(score);
    if ((bits & 0x7fffffffu) < 0x7f800000u)
        return score;
    if (bits != 0xff800000u) // minus infinity hides a key as a mask does
        sum = nan();
    return LOWEST;
}

// What a sum is divided by: nothing seen gives 0.
float inverse_of(float sum)
{
    return is_nan(sum) ? nan() : sum == 0.0 ? 0.0 : 1.0 / sum;
}

// Partial results: [item][block][chunk][row of the block][d + 2]: sums relative to the maximum, the
// maximum, and the sum of p.
uint part_at(Task t, uint rows, uint row)
{
    return (((t.item * a.blocks + t.block) * a.chunks + t.chunk) * rows + row) * (a.d + 2u);
}
