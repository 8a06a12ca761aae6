/* SPDX-License-Identifier: MIT */
/* argmax, topk. */
#include "reduce.h"

#include "shaders.h"

/* As the constants in shaders/include/argmax.glsl and shaders/topk.comp. */
enum stage {
    WHOLE,
    PARTS,
    JOIN
};

static const char nan_met[] = "a row of x holds a NaN";

/* ---- argmax ---- */

struct argmax_push {
    uint64_t x, y, parts, alarm;
    uint32_t rows, k, segments, segment_length;
};

static int argmax_stage(struct vk *vk, const struct cr_call *call, const struct vk_reduction *r,
                        enum stage stage, struct argmax_push push, struct cr_error *err)
{
    static const struct vk_shader *const shaders[] = {&vk_shader_argmax,
                                                      &vk_shader_argmax_subgroup};
    const uint64_t part_bytes = (uint64_t)push.rows * push.segments * 2 * sizeof(uint32_t);
    struct vk_dispatch d;
    vk_reduction_begin(&d, vk, r, shaders);
    vk_spec(&d, (uint32_t)stage);
    vk_push(&d, &push, sizeof(push));
    if (stage == JOIN)
        vk_reads_at(&d, push.parts, part_bytes);
    else
        vk_reads(&d, &call->in[0]);
    if (stage == PARTS)
        vk_writes_at(&d, push.parts, part_bytes);
    else
        vk_writes(&d, &call->out[0]);
    d.bytes = d.operations = (double)r->rows * r->k * sizeof(float);
    return vk_dispatch(vk, &d, err);
}

int vk_argmax(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct vk_reduction r, join;
    if (vk_rows(&call->in[0]) == 0)
        return 0;
    vk_reduction_plan(&r, vk, vk_rows(&call->in[0]), vk_last(&call->in[0]));
    struct argmax_push push = {.x = vk_address(&call->in[0]),
                               .y = vk_address(&call->out[0]),
                               .rows = r.rows,
                               .k = r.k,
                               .segments = r.segments,
                               .segment_length = r.segment_length};
    int result = vk_alarm(vk, call, nan_met, &push.alarm, err);
    if (result < 0 || r.segments == 1)
        return result < 0 ? result : argmax_stage(vk, call, &r, WHOLE, push, err);
    const uint64_t part_bytes = (uint64_t)r.rows * r.segments * 2 * sizeof(uint32_t);
    result = vk_scratch(vk, part_bytes, &push.parts, err);
    if (result == 0)
        result = argmax_stage(vk, call, &r, PARTS, push, err);
    if (result < 0)
        return result;
    vk_reduction_plan_whole(&join, vk, r.rows, r.segments);
    return argmax_stage(vk, call, &join, JOIN, push, err);
}

/* ---- topk ---- */

/* Pairs that are sorted in shared memory: 8 bytes each, and 2 KiB for the rest. */
#define MOST_SORTED 1024
#define SPLIT_ROWS 64
#define SEGMENT_LENGTH 4096

struct topk_push {
    uint64_t x, values, indices, parts, alarm;
    uint32_t rows, n, wanted, segments, segment_length;
};

const struct vk_variant vk_topk_variants[] = {
    {"select-split", VK_NEEDS(SPLIT)}, {"select", 0}, {NULL, 0}};

static uint32_t segments_of(const struct cr_call *call)
{
    return (uint32_t)((vk_last(&call->in[0]) + SEGMENT_LENGTH - 1) / SEGMENT_LENGTH);
}

/* Only worth it where the segments leave much less than they were given. */
static bool splits(const struct vk *vk, const struct cr_call *call)
{
    const int64_t left = (int64_t)segments_of(call) * call->ints[0];
    return (vk_pick(vk, vk_topk_variants)->needs & VK_NEEDS(SPLIT)) != 0 &&
           vk_rows(&call->in[0]) <= SPLIT_ROWS && left <= vk_last(&call->in[0]) / 4;
}

const char *vk_topk_variant(const struct vk *vk, const struct cr_call *call)
{
    return vk_topk_variants[!splits(vk, call)].name;
}

/* One dispatch over `count` numbers or pairs in each of `blocks` blocks. */
static int topk_stage(struct vk *vk, const struct cr_call *call, enum stage stage,
                      const struct topk_push *push, uint32_t count, struct cr_error *err)
{
    const uint32_t blocks = stage == JOIN ? push->rows : push->rows * push->segments;
    const uint64_t part_bytes =
        (uint64_t)push->rows * push->segments * push->wanted * 2 * sizeof(uint32_t);
    const uint32_t most = vk_caps(vk)->max_threads < 512 ? vk_caps(vk)->max_threads : 512;
    uint32_t sort = 1, threads = 32;
    while (sort < (count <= MOST_SORTED ? count : push->wanted))
        sort *= 2;
    while (threads * 2 <= most && threads < (count <= MOST_SORTED ? sort / 2 : count))
        threads *= 2;
    struct vk_dispatch d;
    vk_begin(&d, &vk_shader_topk, threads);
    vk_spec(&d, sort);
    vk_spec(&d, (uint32_t)stage);
    vk_push(&d, push, sizeof(*push));
    d.groups = blocks;
    vk_reads(&d, &call->in[0]);
    if (stage == JOIN)
        vk_reads_at(&d, push->parts, part_bytes);
    if (stage == PARTS)
        vk_writes_at(&d, push->parts, part_bytes);
    for (int i = 0; i < 2 && stage != PARTS; i++)
        vk_writes(&d, &call->out[i]);
    d.bytes = (double)blocks * ((double)count + 2.0 * push->wanted) * sizeof(float);
    d.operations = (double)blocks * count * 8;
    return vk_dispatch(vk, &d, err);
}

int vk_topk(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct topk_push push = {.x = vk_address(&call->in[0]),
                             .values = vk_address(&call->out[0]),
                             .indices = vk_address(&call->out[1]),
                             .rows = (uint32_t)vk_rows(&call->in[0]),
                             .n = (uint32_t)vk_last(&call->in[0]),
                             .wanted = (uint32_t)call->ints[0],
                             .segments = 1};
    push.segment_length = push.n;
    if (push.rows == 0)
        return 0;
    int result = vk_alarm(vk, call, nan_met, &push.alarm, err);
    if (result < 0 || !splits(vk, call))
        return result < 0 ? result : topk_stage(vk, call, WHOLE, &push, push.n, err);
    push.segments = segments_of(call);
    push.segment_length = SEGMENT_LENGTH;
    const uint64_t pairs = (uint64_t)push.rows * push.segments * push.wanted;
    result = vk_scratch(vk, pairs * 2 * sizeof(uint32_t), &push.parts, err);
    if (result == 0)
        result = topk_stage(vk, call, PARTS, &push, SEGMENT_LENGTH, err);
    if (result == 0)
        result = topk_stage(vk, call, JOIN, &push, push.segments * push.wanted, err);
    return result;
}
