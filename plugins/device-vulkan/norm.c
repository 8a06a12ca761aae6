/* SPDX-License-Identifier: MIT */
/* rms_norm, layer_norm, group_norm. */
#include "reduce.h"

#include "shaders.h"

/* As the constants in shaders/include/norm.glsl. */
enum kind {
    RMS,
    LAYER,
    GROUP
};
enum stage {
    WHOLE,
    SUMS,
    SQUARES,
    APPLY
};

struct push {
    uint64_t x, w, b, y, parts;
    uint32_t rows, k, segments, segment_length;
    uint32_t groups, channels, size;
    float eps;
};

/* The rows of group_norm are the groups of each item. */
static void plan(struct vk_reduction *r, const struct vk *vk, const struct cr_call *call)
{
    const struct cr_operand *x = &call->in[0];
    int64_t rows = vk_rows(x), k = vk_last(x);
    if (call->op == CR_OP_GROUP_NORM) {
        rows = x->shape[0] * call->ints[0];
        k = rows > 0 ? vk_elements(x) / rows : 0;
    }
    vk_reduction_plan(r, vk, rows, k);
}

static enum kind kind_of(const struct cr_call *call)
{
    return call->op == CR_OP_RMS_NORM ? RMS : call->op == CR_OP_LAYER_NORM ? LAYER : GROUP;
}

static uint32_t type_of(const struct cr_operand *weights)
{
    return vk_present(weights) ? (uint32_t)weights->dtype : 0;
}

static struct push push_of(const struct cr_call *call, const struct vk_reduction *r, uint64_t parts)
{
    struct push push = {
        .x = vk_address(&call->in[0]),
        .w = vk_address(&call->in[1]),
        .b = vk_address(&call->in[2]),
        .y = vk_address(&call->out[0]),
        .parts = parts,
        .rows = r->rows,
        .k = r->k,
        .segments = r->segments,
        .segment_length = r->segment_length,
        .groups = 1,
        .channels = 1,
        .size = 1,
        .eps = (float)call->reals[0],
    };
    if (kind_of(call) == GROUP) {
        push.groups = (uint32_t)call->ints[0];
        push.channels = (uint32_t)(call->in[0].shape[1] / call->ints[0]);
        push.size = r->k / push.channels;
    }
    return push;
}

/* Sums lie in front of squares. */
static uint64_t part_bytes(const struct vk_reduction *r)
{
    return (uint64_t)r->rows * r->segments * sizeof(float);
}

static void declare_parts(struct vk_dispatch *d, const struct vk_reduction *r, enum kind kind,
                          enum stage stage, uint64_t parts)
{
    const uint64_t bytes = part_bytes(r);
    if (stage == SUMS)
        vk_writes_at(d, parts, bytes);
    if (stage == SQUARES || stage == APPLY)
        vk_reads_at(d, parts, stage == APPLY && kind != RMS ? 2 * bytes : bytes);
    if (stage == SQUARES)
        vk_writes_at(d, parts + bytes, bytes);
}

static int run_stage(struct vk *vk, const struct cr_call *call, const struct vk_reduction *r,
                     enum stage stage, uint64_t parts, struct cr_error *err)
{
    static const struct vk_shader *const shaders[] = {&vk_shader_norm, &vk_shader_norm_subgroup};
    const struct push push = push_of(call, r, parts);
    const bool writes = stage == WHOLE || stage == APPLY;
    const double elements = (double)r->rows * r->k;
    struct vk_dispatch d;
    vk_reduction_begin(&d, vk, r, shaders);
    vk_spec(&d, (uint32_t)kind_of(call));
    vk_spec(&d, (uint32_t)stage);
    vk_spec(&d, type_of(&call->in[1]));
    vk_spec(&d, type_of(&call->in[2]));
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, &call->in[0]);
    declare_parts(&d, r, kind_of(call), stage, parts);
    if (writes) {
        vk_reads(&d, &call->in[1]);
        vk_reads(&d, &call->in[2]);
        vk_writes(&d, &call->out[0]);
    }
    d.bytes = elements * (writes ? 2 : 1) * sizeof(float);
    d.operations = elements * (stage == WHOLE ? 8 : 3);
    return vk_dispatch(vk, &d, err);
}

int vk_norm(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct vk_reduction r;
    uint64_t parts = 0;
    if (vk_elements(&call->in[0]) == 0)
        return 0;
    plan(&r, vk, call);
    if (r.segments == 1)
        return run_stage(vk, call, &r, WHOLE, 0, err);
    int result = vk_scratch(vk, 2 * part_bytes(&r), &parts, err);
    if (result == 0)
        result = run_stage(vk, call, &r, SUMS, parts, err);
    if (result == 0 && kind_of(call) != RMS)
        result = run_stage(vk, call, &r, SQUARES, parts, err);
    if (result == 0)
        result = run_stage(vk, call, &r, APPLY, parts, err);
    return result;
}

const char *vk_norm_variant(const struct vk *vk, const struct cr_call *call)
{
    struct vk_reduction r;
    plan(&r, vk, call);
    return r.variant;
}
