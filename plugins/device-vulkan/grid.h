/* SPDX-License-Identifier: MIT */
/* grid.h: for shaders whose threads work on their own. */
#ifndef VULKAN_GRID_H
#define VULKAN_GRID_H

#include "shaders.h"

/* Threads of a group: as many as every device has. */
#define VK_GRID_THREADS 128

static inline uint64_t vk_div_up(uint64_t value, uint64_t by)
{
    return (value + by - 1) / by;
}

static inline bool vk_is_aligned(uint64_t address, uint64_t to)
{
    return address % to == 0;
}

/* A dispatch of `threads` threads in all. */
static inline void vk_begin_grid(struct vk_dispatch *d, const struct vk_shader *shader,
                                 uint64_t threads)
{
    vk_begin(d, shader, VK_GRID_THREADS);
    d->groups = vk_div_up(threads, VK_GRID_THREADS);
}

/* Variants of shaders that move 16 bytes at once where addresses allow it. */
extern const struct vk_variant vk_grid_variants[];
/* For struct vk_entry. */
const char *vk_grid_variant(const struct vk *vk, const struct cr_call *call);
bool vk_grid_may_be_wide(const struct vk *vk);

/* A word that holds `value` as `dtype` (f32, f16, i32, u8), once, twice or four times; converted as
 * CAST does it. */
uint32_t vk_pattern(enum cr_dtype dtype, float value);

#endif
