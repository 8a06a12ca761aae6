/* SPDX-License-Identifier: MIT */
/* reduce.h: rows that lanes share (shaders/include/reduce.glsl): how many lanes, and how. */
#ifndef VK_REDUCE_H
#define VK_REDUCE_H

#include "vulkan.h"

/* How rows of k numbers are shared out. */
struct vk_reduction {
    uint32_t rows, k;
    uint32_t threads, lanes; /* of a group; of a row, a power of two */
    uint32_t segments;       /* of a row, each for a group of its own; 1: rows are not split */
    uint32_t segment_length;
    bool subgroup;
    const char *variant;
};

/* Lanes for short rows, a group for long ones, several groups for each of a few very long ones. */
void vk_reduction_plan(struct vk_reduction *r, const struct vk *vk, int64_t rows, int64_t k);
/* The same without splitting. */
void vk_reduction_plan_whole(struct vk_reduction *r, const struct vk *vk, int64_t rows, int64_t k);
/* Begin a dispatch of a shader that includes reduce.glsl: groups, and specialisation constants 0 to
 * 2. `shaders`: the one for shared memory, the one for subgroups. */
void vk_reduction_begin(struct vk_dispatch *d, const struct vk *vk, const struct vk_reduction *r,
                        const struct vk_shader *const shaders[2]);

/* As the constants in shaders/include/reduction.glsl. */
enum vk_reduce_kind {
    VK_REDUCE_SUM,
    VK_REDUCE_MEAN, /* the sum divided by `divisor` */
    VK_REDUCE_MAX,
    VK_REDUCE_SQUARES,
    VK_REDUCE_ROOT, /* the root of the sum */
};

/* y[rows, segments] from x[rows, k], both f32 at device addresses. */
int vk_reduce(struct vk *vk, const struct vk_reduction *r, enum vk_reduce_kind kind, float divisor,
              uint64_t x, uint64_t y, struct cr_error *err);

/* Pieces of the family that have files of their own. */
int vk_norm(struct vk *vk, const struct cr_call *call, struct cr_error *err);
const char *vk_norm_variant(const struct vk *vk, const struct cr_call *call);
int vk_argmax(struct vk *vk, const struct cr_call *call, struct cr_error *err);
int vk_topk(struct vk *vk, const struct cr_call *call, struct cr_error *err);
const char *vk_topk_variant(const struct vk *vk, const struct cr_call *call);

extern const struct vk_variant vk_topk_variants[];

#endif
