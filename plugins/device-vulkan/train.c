/* SPDX-License-Identifier: MIT */
/* adamw_step, grad_norm. */
#include <math.h>

#include "reduce.h"

#include "shaders.h"

#define ELEMENT_THREADS 128

/* ---- adamw_step ---- */

struct adamw_push {
    uint64_t grad, p, m, v;
    uint32_t count;
    float decay, beta1, beta2, other1, other2, rate, scale, epsilon;
};

static int adamw_step(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const double *reals = call->reals, step = (double)call->ints[0];
    const uint64_t count = (uint64_t)vk_elements(&call->in[0]);
    const struct adamw_push push = {
        .grad = vk_address(&call->in[0]),
        .p = vk_address(&call->out[0]),
        .m = vk_address(&call->out[1]),
        .v = vk_address(&call->out[2]),
        .count = (uint32_t)count,
        .decay = (float)(reals[0] * reals[4]),
        .beta1 = (float)reals[1],
        .beta2 = (float)reals[2],
        .other1 = (float)(1 - reals[1]),
        .other2 = (float)(1 - reals[2]),
        .rate = (float)(reals[0] / (1 - pow(reals[1], step))),
        .scale = (float)(1 / (1 - pow(reals[2], step))),
        .epsilon = (float)reals[3],
    };
    struct vk_dispatch d;
    if (count == 0)
        return 0;
    vk_begin(&d, &vk_shader_adamw, ELEMENT_THREADS);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, &call->in[0]);
    for (int i = 0; i < 3; i++) {
        vk_reads(&d, &call->out[i]);
        vk_writes(&d, &call->out[i]);
    }
    d.groups = (count + ELEMENT_THREADS - 1) / ELEMENT_THREADS;
    d.bytes = 28.0 * (double)count;
    d.operations = 15.0 * (double)count;
    return vk_dispatch(vk, &d, err);
}

/* ---- grad_norm ---- */

/* Each tensor is a row of its own, and its segments' sums follow those of the one before it. */
static int grad_norm(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct vk_reduction r[CR_CALL_MAX_INPUTS], join;
    uint64_t parts, at = 0, total = 0;
    for (int i = 0; i < call->inputs; i++) {
        vk_reduction_plan(&r[i], vk, 1, vk_elements(&call->in[i]));
        total += r[i].segments;
    }
    int result = vk_scratch(vk, total * sizeof(float), &parts, err);
    for (int i = 0; i < call->inputs && result == 0; i++) {
        result = vk_reduce(vk, &r[i], VK_REDUCE_SQUARES, 1, vk_address(&call->in[i]),
                           parts + at * sizeof(float), err);
        at += r[i].segments;
    }
    if (result < 0)
        return result;
    vk_reduction_plan_whole(&join, vk, 1, (int64_t)total);
    return vk_reduce(vk, &join, VK_REDUCE_ROOT, 1, parts, vk_address(&call->out[0]), err);
}

static const char *norm_variant(const struct vk *vk, const struct cr_call *call)
{
    struct vk_reduction r;
    vk_reduction_plan(&r, vk, 1, vk_elements(&call->in[0]));
    return r.variant;
}

/* ---- The family ---- */

static const struct vk_entry entries[] = {
    {CR_OP_ADAMW_STEP, adamw_step, NULL},
    {CR_OP_GRAD_NORM, grad_norm, norm_variant},
    {0, NULL, NULL},
};

const struct vk_family vk_train_family = {entries, NULL};
