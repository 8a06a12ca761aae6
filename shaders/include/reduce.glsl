// SPDX-License-Identifier: MIT
// What the lanes of a row find together: a sum, a maximum, a minimum.
//
// A group holds THREADS / LANES rows (powers of two); LANES lanes share a row, and each takes its
// elements lane, lane + LANES, ... All lanes of a group call the functions below together, those
// without a row too, and each gets the result of its row.
//
// Two variants of every shader that includes this: through shared memory, by halves; or, with
// REDUCE_BY_SUBGROUPS, through subgroups of exactly SUBGROUP lanes, all of them full, LANES being
// at least as many. Which invocation sits on which lane of a subgroup is the driver's choice: lanes
// are numbered by subgroup, never by gl_LocalInvocationID.
//
// The order depends on the sizes only, so that the same call gives the same bits.
#ifdef REDUCE_BY_SUBGROUPS
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

layout(constant_id = 1) const uint LANES = 64;
layout(constant_id = 2) const uint SUBGROUP = 4; // of the subgroup variant only

#ifdef REDUCE_BY_SUBGROUPS
uint reduce_thread() { return gl_SubgroupID * SUBGROUP + gl_SubgroupInvocationID; }
#else
uint reduce_thread() { return thread_id(); }
#endif
uint lane() { return reduce_thread() & LANES - 1u; }
uint row_in_group() { return reduce_thread() / LANES; }
const uint ROWS_IN_GROUP = THREADS / LANES;

shared uint reduce_parts[THREADS];

const uint REDUCE_SUM = 0, REDUCE_MAX = 1, REDUCE_MIN = 2;

// Sums are of floats, seen as words; maxima and minima of unsigned numbers.
uint reduce_join(uint kind, uint a, uint b)
{
    return kind == REDUCE_SUM   ? floatBitsToUint(uintBitsToFloat(a) + uintBitsToFloat(b))
           : kind == REDUCE_MAX ? max(a, b)
                                : min(a, b);
}

#ifdef REDUCE_BY_SUBGROUPS
uint reduce_row(uint kind, uint x)
{
    x = kind == REDUCE_SUM   ? floatBitsToUint(subgroupAdd(uintBitsToFloat(x)))
        : kind == REDUCE_MAX ? subgroupMax(x)
                             : subgroupMin(x);
    if (LANES == SUBGROUP)
        return x;
    if (gl_SubgroupInvocationID == 0u)
        reduce_parts[gl_SubgroupID] = x;
    barrier();
    uint first = row_in_group() * (LANES / SUBGROUP);
    x = reduce_parts[first];
    for (uint i = 1; i < LANES / SUBGROUP; i++)
        x = reduce_join(kind, x, reduce_parts[first + i]);
    barrier();
    return x;
}
#else
uint reduce_row(uint kind, uint x)
{
    if (LANES == 1u)
        return x;
    uint at = thread_id();
    reduce_parts[at] = x;
    barrier();
    for (uint width = LANES / 2u; width > 0u; width >>= 1) {
        if (lane() < width)
            reduce_parts[at] = reduce_join(kind, reduce_parts[at], reduce_parts[at + width]);
        barrier();
    }
    x = reduce_parts[at - lane()];
    barrier();
    return x;
}
#endif

float row_sum(float x) { return uintBitsToFloat(reduce_row(REDUCE_SUM, floatBitsToUint(x))); }
uint row_max(uint x) { return reduce_row(REDUCE_MAX, x); }
uint row_min(uint x) { return reduce_row(REDUCE_MIN, x); }

// ---- Where the lanes of this group work ----

// Long rows may be split into segments of `length` elements, one for each group; else segments is 1.
struct Place {
    bool inside; // false for a whole group at once: it has nothing to do
    uint row, segment;
    uint from, to; // elements of the row; none for lanes without a row
};

Place find_place(uint rows, uint k, uint segments, uint length)
{
    Place place;
    uint block = group_id(), first = block / segments * ROWS_IN_GROUP;
    place.inside = first < rows;
    place.row = first + row_in_group();
    place.segment = block % segments;
    place.from = place.segment * length;
    place.to = place.row < rows ? min(k, place.from + length) : 0u;
    return place;
}
