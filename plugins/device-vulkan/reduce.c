/* SPDX-License-Identifier: MIT */
#include "reduce.h"

#include "shaders.h"

/* ---- Sharing out ---- */

/* Threads of a group where rows are long enough. */
#define THREADS 256
/* Elements that a lane takes at least, if the row has as many. */
#define PER_LANE 8
/* Rows are split if they are few, so that a GPU would be idle otherwise, and this long. */
#define SPLIT_ROWS 64
#define SPLIT_LENGTH 32768
#define SEGMENT_LENGTH 8192
#define MAX_SEGMENTS 256

static const struct vk_variant short_rows[] = {{"shared", 0}, {NULL, 0}};
static const struct vk_variant rows_variants[] = {
    {"subgroup", VK_NEEDS(SUBGROUP)},
    {"shared", 0},
    {NULL, 0},
};
static const struct vk_variant long_rows[] = {
    {"subgroup-split", VK_NEEDS(SUBGROUP) | VK_NEEDS(SPLIT)},
    {"shared-split", VK_NEEDS(SPLIT)},
    {"subgroup", VK_NEEDS(SUBGROUP)},
    {"shared", 0},
    {NULL, 0},
};

static uint32_t power_of_two_to(int64_t count, uint32_t most)
{
    uint32_t power = 1;
    while (power < count && power < most)
        power *= 2;
    return power;
}

static void plan(struct vk_reduction *r, const struct vk *vk, int64_t rows, int64_t k,
                 const struct vk_variant *table)
{
    const struct vk_caps *caps = vk_caps(vk);
    const struct vk_variant *variant = vk_pick(vk, table);
    uint32_t threads = THREADS;
    while (threads > caps->max_threads)
        threads /= 2;
    *r = (struct vk_reduction){
        .rows = (uint32_t)rows,
        .k = (uint32_t)k,
        .threads = threads,
        .lanes = power_of_two_to((k + PER_LANE - 1) / PER_LANE, threads),
        .segments = 1,
        .segment_length = (uint32_t)k,
        .subgroup = (variant->needs & VK_NEEDS(SUBGROUP)) != 0,
        .variant = variant->name,
    };
    if (r->subgroup && r->lanes < caps->subgroup)
        r->lanes = caps->subgroup;
    if ((variant->needs & VK_NEEDS(SPLIT)) == 0)
        return;
    int64_t length = (k + MAX_SEGMENTS - 1) / MAX_SEGMENTS;
    length = length < SEGMENT_LENGTH ? SEGMENT_LENGTH : (length + THREADS - 1) / THREADS * THREADS;
    r->lanes = threads;
    r->segment_length = (uint32_t)length;
    r->segments = (uint32_t)((k + length - 1) / length);
}

void vk_reduction_plan_whole(struct vk_reduction *r, const struct vk *vk, int64_t rows, int64_t k)
{
    plan(r, vk, rows, k, k < vk_caps(vk)->subgroup ? short_rows : rows_variants);
}

void vk_reduction_plan(struct vk_reduction *r, const struct vk *vk, int64_t rows, int64_t k)
{
    if (rows <= SPLIT_ROWS && k >= SPLIT_LENGTH)
        plan(r, vk, rows, k, long_rows);
    else
        vk_reduction_plan_whole(r, vk, rows, k);
}

void vk_reduction_begin(struct vk_dispatch *d, const struct vk *vk, const struct vk_reduction *r,
                        const struct vk_shader *const shaders[2])
{
    uint32_t rows_in_group = r->threads / r->lanes;
    vk_begin(d, shaders[r->subgroup], r->threads);
    vk_spec(d, r->lanes);
    vk_spec(d, vk_caps(vk)->subgroup);
    d->subgroup = r->subgroup;
    d->groups = ((uint64_t)r->rows + rows_in_group - 1) / rows_in_group * r->segments;
}

static const char *rows_variant(const struct vk *vk, const struct cr_call *call)
{
    struct vk_reduction r;
    vk_reduction_plan(&r, vk, vk_rows(&call->in[0]), vk_last(&call->in[0]));
    return r.variant;
}

/* ---- sum, mean, max, sum_squares ---- */

struct reduction_push {
    uint64_t x, y;
    uint32_t rows, k, segments, segment_length;
    float divisor;
};

int vk_reduce(struct vk *vk, const struct vk_reduction *r, enum vk_reduce_kind kind, float divisor,
              uint64_t x, uint64_t y, struct cr_error *err)
{
    static const struct vk_shader *const shaders[] = {&vk_shader_reduction,
                                                      &vk_shader_reduction_subgroup};
    const uint64_t elements = (uint64_t)r->rows * r->k, parts = (uint64_t)r->rows * r->segments;
    const struct reduction_push push = {x,      y, r->rows, r->k, r->segments, r->segment_length,
                                        divisor};
    struct vk_dispatch d;
    vk_reduction_begin(&d, vk, r, shaders);
    vk_spec(&d, (uint32_t)kind);
    vk_push(&d, &push, sizeof(push));
    vk_reads_at(&d, x, elements * sizeof(float));
    vk_writes_at(&d, y, parts * sizeof(float));
    d.bytes = (double)(elements + parts) * sizeof(float);
    d.operations = (double)elements * (kind == VK_REDUCE_SQUARES ? 2 : 1);
    return vk_dispatch(vk, &d, err);
}

static enum vk_reduce_kind kind_of(int op)
{
    switch (op) {
    case CR_OP_MEAN:
        return VK_REDUCE_MEAN;
    case CR_OP_MAX:
        return VK_REDUCE_MAX;
    case CR_OP_SUM_SQUARES:
        return VK_REDUCE_SQUARES;
    default:
        return VK_REDUCE_SUM;
    }
}

static int reduce(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const int64_t rows = vk_rows(&call->in[0]), k = vk_last(&call->in[0]);
    const uint64_t x = vk_address(&call->in[0]), y = vk_address(&call->out[0]);
    const enum vk_reduce_kind kind = kind_of(call->op);
    struct vk_reduction r, join;
    uint64_t parts = 0;
    if (rows == 0)
        return 0;
    vk_reduction_plan(&r, vk, rows, k);
    if (r.segments == 1)
        return vk_reduce(vk, &r, kind, (float)k, x, y, err);
    int result = vk_scratch(vk, (uint64_t)rows * r.segments * sizeof(float), &parts, err);
    if (result == 0)
        result = vk_reduce(vk, &r, kind == VK_REDUCE_MEAN ? VK_REDUCE_SUM : kind, 1, x, parts, err);
    if (result < 0)
        return result;
    vk_reduction_plan_whole(&join, vk, rows, r.segments);
    return vk_reduce(vk, &join, kind == VK_REDUCE_SQUARES ? VK_REDUCE_SUM : kind, (float)k, parts,
                     y, err);
}

/* ---- softmax, log_softmax ---- */

enum softmax_stage {
    SOFTMAX_WHOLE,
    SOFTMAX_PARTS,
    SOFTMAX_JOIN
};

struct softmax_push {
    uint64_t x, y, parts;
    uint32_t rows, k, segments, segment_length;
};

static int softmax_stage(struct vk *vk, const struct cr_call *call, const struct vk_reduction *r,
                         enum softmax_stage stage, uint64_t parts, struct cr_error *err)
{
    static const struct vk_shader *const shaders[] = {&vk_shader_softmax,
                                                      &vk_shader_softmax_subgroup};
    const uint64_t part_bytes = (uint64_t)r->rows * r->segments * 2 * sizeof(float);
    const double elements = (double)r->rows * r->k;
    const struct softmax_push push = {.x = vk_address(&call->in[0]),
                                      .y = vk_address(&call->out[0]),
                                      .parts = parts,
                                      .rows = r->rows,
                                      .k = r->k,
                                      .segments = r->segments,
                                      .segment_length = r->segment_length};
    struct vk_dispatch d;
    vk_reduction_begin(&d, vk, r, shaders);
    vk_spec(&d, call->op == CR_OP_LOG_SOFTMAX);
    vk_spec(&d, (uint32_t)stage);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, &call->in[0]);
    if (stage == SOFTMAX_JOIN)
        vk_reads_at(&d, parts, part_bytes);
    if (stage == SOFTMAX_PARTS)
        vk_writes_at(&d, parts, part_bytes);
    else
        vk_writes(&d, &call->out[0]);
    d.bytes = elements * (stage == SOFTMAX_PARTS ? 1 : 2) * sizeof(float);
    d.operations = elements * 25;
    return vk_dispatch(vk, &d, err);
}

static int softmax(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct vk_reduction r;
    uint64_t parts = 0;
    if (vk_rows(&call->in[0]) == 0)
        return 0;
    vk_reduction_plan(&r, vk, vk_rows(&call->in[0]), vk_last(&call->in[0]));
    if (r.segments == 1)
        return softmax_stage(vk, call, &r, SOFTMAX_WHOLE, 0, err);
    int result = vk_scratch(vk, (uint64_t)r.rows * r.segments * 2 * sizeof(float), &parts, err);
    if (result == 0)
        result = softmax_stage(vk, call, &r, SOFTMAX_PARTS, parts, err);
    if (result == 0)
        result = softmax_stage(vk, call, &r, SOFTMAX_JOIN, parts, err);
    return result;
}

/* ---- The family ---- */

static const struct vk_entry entries[] = {
    {CR_OP_SOFTMAX, softmax, rows_variant},
    {CR_OP_LOG_SOFTMAX, softmax, rows_variant},
    {CR_OP_SUM, reduce, rows_variant},
    {CR_OP_MEAN, reduce, rows_variant},
    {CR_OP_MAX, reduce, rows_variant},
    {CR_OP_SUM_SQUARES, reduce, rows_variant},
    {CR_OP_RMS_NORM, vk_norm, vk_norm_variant},
    {CR_OP_LAYER_NORM, vk_norm, vk_norm_variant},
    {CR_OP_GROUP_NORM, vk_norm, vk_norm_variant},
    {CR_OP_ARGMAX, vk_argmax, rows_variant},
    {CR_OP_TOPK, vk_topk, vk_topk_variant},
    {0, NULL, NULL},
};

static const struct vk_variant *const variants[] = {long_rows, rows_variants, vk_topk_variants,
                                                    NULL};

const struct vk_family vk_reduce_family = {entries, variants};
