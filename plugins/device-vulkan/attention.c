/* SPDX-License-Identifier: MIT */
/* Attention in three ways: tiles of many queries; few queries, by subgroup operations or without.
 * Where that makes too few groups, the keys are split into chunks whose results a second dispatch
 * joins, in their order. */
#include "shaders.h"
#include "vulkan.h"

#define FEW_ROWS 8 /* up to so many are a case for the ways of few rows */
#define THREADS 128
#define BATCH 4 /* keys of a lane at a time, as in shaders/include/attention_few.glsl */

/* As in shaders/include/attention.glsl. */
struct arguments {
    uint64_t q, k, v, y, lengths, mask, bias, rows, alarm;
    uint32_t group, kv_heads, queries, keys, d, room, cover;
    int32_t offset;
    float scale;
    uint32_t blocks, chunks, chunk_keys;
};

/* As in shaders/attention_join.comp. */
struct join_arguments {
    uint64_t parts, y;
    uint32_t group, kv_heads, queries, d, blocks, chunks, rows, count;
};

static const struct vk_variant few_variants[] = {
    {"few-subgroup", VK_NEEDS(SUBGROUP)},
    {"few", 0},
    {NULL, 0},
};
static const struct vk_variant many_variants[] = {
    {"tile", VK_NEEDS(TILE)},
    {"few-subgroup", VK_NEEDS(SUBGROUP)},
    {"few", 0},
    {NULL, 0},
};
static const struct vk_variant *const attention_variants[] = {few_variants, many_variants, NULL};

/* A call, and how it is executed. */
struct plan {
    const struct cr_call *call;
    struct arguments args;
    const struct vk_shader *shader;
    uint64_t items;   /* B Hkv */
    uint32_t rows;    /* of a block */
    uint32_t threads; /* of a group */
    uint32_t step;    /* a chunk is a multiple of so many keys */
    uint32_t spec[4]; /* from constant 2 on */
    int specs;
    bool subgroup;
};

static const struct vk_variant *pick(const struct vk *vk, const struct cr_call *call)
{
    const int64_t *q = call->in[0].shape, heads = call->in[1].shape[1];
    bool few = heads > 0 && q[1] / heads * q[2] <= FEW_ROWS;
    return vk_pick(vk, few ? few_variants : many_variants);
}

static uint32_t divide_up(uint64_t value, uint64_t step)
{
    return (uint32_t)((value + step - 1) / step);
}

/* KIND_* of shaders/include/loads.glsl. */
static uint32_t kind_of(const struct vk *vk, const struct cr_operand *operand)
{
    bool half = operand->dtype == CR_DTYPE_F16;
    bool wide = vk_has(vk, VK_FEATURE_WIDE) && vk_address(operand) % 16 == 0 &&
                vk_last(operand) % (half ? 8 : 4) == 0;
    return (half ? 1 : 0) + (wide ? 2 : 0);
}

/* k and v are loaded in the same way. */
static uint32_t kind_of_keys(const struct vk *vk, const struct cr_call *call)
{
    uint32_t k = kind_of(vk, &call->in[1]), v = kind_of(vk, &call->in[2]);
    return k < v ? k : v;
}

/* Which of the first three extents a mask or bias has. */
static uint32_t cover_of(const struct cr_operand *operand)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 3 && vk_present(operand); i++)
        bits |= operand->shape[i] != 1 ? 1u << i : 0;
    return bits;
}

static int32_t offset_of(const struct cr_call *call, int64_t queries, int64_t keys)
{
    int64_t offset = call->ints[1];
    if (call->ints[0] == 0 || offset > keys)
        return (int32_t)keys;
    return (int32_t)(offset < -queries ? -queries : offset);
}

static struct arguments arguments_of(const struct cr_call *call)
{
    const struct cr_operand *in = call->in;
    const int64_t *q = in[0].shape, *k = in[1].shape;
    int64_t keys = vk_present(&in[6]) ? in[6].shape[1] : k[2];
    return (struct arguments){
        .q = vk_address(&in[0]),
        .k = vk_address(&in[1]),
        .v = vk_address(&in[2]),
        .lengths = vk_address(&in[3]),
        .mask = vk_address(&in[4]),
        .bias = vk_address(&in[5]),
        .rows = vk_address(&in[6]),
        .group = (uint32_t)(q[1] / k[1]),
        .kv_heads = (uint32_t)k[1],
        .queries = (uint32_t)q[2],
        .keys = (uint32_t)keys,
        .d = (uint32_t)q[3],
        .room = (uint32_t)k[2],
        .cover = cover_of(&in[4]) | cover_of(&in[5]) << 3,
        .offset = offset_of(call, q[2], keys),
        .scale = (float)call->reals[0],
    };
}

static void plan_tile(const struct vk *vk, struct plan *plan, uint32_t rows)
{
    const uint32_t d = plan->args.d, lanes = d > 128 ? 16 : 8;
    const uint32_t columns = divide_up(d, 4 * (uint64_t)lanes);
    uint32_t keys = 32;
    while (keys * columns * lanes > 256)
        keys /= 2;
    plan->shader = &vk_shader_attention_tile;
    plan->threads = rows <= 32 && lanes == 8 ? THREADS / 2 : THREADS;
    plan->rows = 4 * plan->threads / lanes;
    plan->step = 256;
    plan->specs = 4;
    plan->spec[0] = lanes;
    plan->spec[1] = columns;
    plan->spec[2] = keys;
    plan->spec[3] = kind_of(vk, &plan->call->in[0]);
}

static void plan_few(const struct vk *vk, struct plan *plan, uint32_t rows, bool subgroup)
{
    const uint32_t units = divide_up(plan->args.d, 8);
    const uint32_t most_lanes = subgroup && vk_caps(vk)->subgroup < 16 ? vk_caps(vk)->subgroup : 16;
    uint32_t lanes = 4, at_once = 1;
    while (lanes < units && lanes < most_lanes)
        lanes *= 2;
    const uint32_t each = divide_up(units, lanes), most_rows = 4 / each; /* registers */
    while (at_once < rows && at_once < most_rows)
        at_once *= 2;
    plan->shader = subgroup ? &vk_shader_attention_few_subgroup : &vk_shader_attention_few;
    plan->subgroup = subgroup;
    plan->rows = at_once;
    plan->threads = THREADS;
    /* With few keys most lanes would have none; but a subgroup is taken whole. */
    uint32_t least = vk_caps(vk)->subgroup > 0 ? vk_caps(vk)->subgroup : 32;
    least = least < lanes ? lanes : least;
    while (plan->threads > least && plan->threads / 2 / lanes * BATCH >= plan->args.keys)
        plan->threads /= 2;
    plan->step = 2 * plan->threads / lanes * BATCH;
    plan->specs = 3;
    plan->spec[0] = lanes;
    plan->spec[1] = each;
    plan->spec[2] = at_once;
}

/* Enough groups for a large device, from blocks of rows and chunks of keys. */
static void plan_chunks(const struct vk *vk, struct plan *plan, uint32_t rows)
{
    struct arguments *args = &plan->args;
    const uint64_t wanted = 512;
    args->blocks = divide_up(rows, plan->rows);
    uint64_t groups = plan->items * args->blocks;
    uint32_t chunks = vk_has(vk, VK_FEATURE_SPLIT) ? divide_up(wanted, groups) : 1;
    uint32_t steps = divide_up(args->keys, plan->step);
    chunks = chunks < steps ? chunks : steps;
    args->chunk_keys = chunks <= 1 ? args->keys : divide_up(steps, chunks) * plan->step;
    args->chunks = chunks <= 1 ? 1 : divide_up(args->keys, args->chunk_keys);
}

static void make_plan(const struct vk *vk, const struct cr_call *call, struct plan *plan)
{
    const struct vk_variant *variant = pick(vk, call);
    *plan = (struct plan){.call = call, .args = arguments_of(call)};
    const uint32_t rows = plan->args.group * plan->args.queries;
    plan->items = (uint64_t)call->in[0].shape[0] * plan->args.kv_heads;
    if (variant->name[0] == 't')
        plan_tile(vk, plan, rows);
    else
        plan_few(vk, plan, rows, variant->needs != 0);
    plan_chunks(vk, plan, rows);
}

static uint64_t parts_bytes(const struct plan *plan)
{
    const struct arguments *args = &plan->args;
    return plan->items * args->blocks * args->chunks * plan->rows * (args->d + 2) * sizeof(float);
}

static int join(struct vk *vk, const struct plan *plan, struct cr_error *err)
{
    const struct arguments *args = &plan->args;
    const struct cr_operand *y = &plan->call->out[0];
    struct vk_dispatch d;
    const struct join_arguments join = {
        .parts = args->y,
        .y = vk_address(y),
        .group = args->group,
        .kv_heads = args->kv_heads,
        .queries = args->queries,
        .d = args->d,
        .blocks = args->blocks,
        .chunks = args->chunks,
        .rows = plan->rows,
        .count = (uint32_t)vk_elements(y),
    };
    vk_begin(&d, &vk_shader_attention_join, 64);
    vk_push(&d, &join, sizeof(join));
    vk_reads_at(&d, join.parts, parts_bytes(plan));
    vk_writes(&d, y);
    d.groups = divide_up(join.count, 64);
    d.bytes = (double)parts_bytes(plan) + 4.0 * join.count;
    d.operations = 6.0 * join.count * join.chunks;
    return vk_dispatch(vk, &d, err);
}

/* What the dispatch touches and costs. */
static void declare(const struct plan *plan, struct vk_dispatch *d)
{
    const struct cr_call *call = plan->call;
    const struct arguments *args = &plan->args;
    const double rows = (double)plan->items * args->group * args->queries;
    const double size = call->in[1].dtype == CR_DTYPE_F16 ? 2 : 4;
    for (int i = 0; i <= 6; i++)
        vk_reads(d, &call->in[i]);
    if (args->chunks > 1)
        vk_writes_at(d, args->y, parts_bytes(plan));
    else
        vk_writes(d, &call->out[0]);
    d->groups = plan->items * args->blocks * args->chunks;
    d->operations = 4 * rows * args->keys * args->d;
    d->bytes = 2 * size * (double)plan->items * args->keys * args->d + 8 * rows * args->d;
    if (vk_present(&call->in[4]))
        d->bytes += (double)vk_elements(&call->in[4]);
    if (vk_present(&call->in[5]))
        d->bytes += 4 * (double)vk_elements(&call->in[5]);
}

static int attention(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct plan plan;
    struct vk_dispatch d;
    struct arguments *args = &plan.args;
    int result = 0;
    if (vk_elements(&call->out[0]) == 0)
        return 0;
    make_plan(vk, call, &plan);
    if (args->rows != 0)
        result =
            vk_alarm(vk, call, "rows holds a row that the cache does not have", &args->alarm, err);
    args->y = vk_address(&call->out[0]);
    if (result == 0 && args->chunks > 1)
        result = vk_scratch(vk, parts_bytes(&plan), &args->y, err);
    if (result < 0)
        return result;
    vk_begin(&d, plan.shader, plan.threads);
    vk_spec(&d, kind_of_keys(vk, call));
    for (int i = 0; i < plan.specs; i++)
        vk_spec(&d, plan.spec[i]);
    d.subgroup = plan.subgroup;
    vk_push(&d, args, sizeof(*args));
    declare(&plan, &d);
    if (args->alarm != 0)
        vk_writes_at(&d, args->alarm, sizeof(uint32_t));
    result = vk_dispatch(vk, &d, err);
    return result == 0 && args->chunks > 1 ? join(vk, &plan, err) : result;
}

static const char *variant(const struct vk *vk, const struct cr_call *call)
{
    return pick(vk, call)->name;
}

static const struct vk_entry entries[] = {
    {CR_OP_ATTENTION, attention, variant},
    {0, NULL, NULL},
};

const struct vk_family vk_attention_family = {entries, attention_variants};
