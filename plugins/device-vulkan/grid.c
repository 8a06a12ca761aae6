/* SPDX-License-Identifier: MIT */
#include "grid.h"

const struct vk_variant vk_grid_variants[] = {
    {"wide", VK_NEEDS(WIDE)},
    {"plain", 0},
    {NULL, 0},
};

const char *vk_grid_variant(const struct vk *vk, const struct cr_call *call)
{
    (void)call;
    return vk_pick(vk, vk_grid_variants)->name;
}

bool vk_grid_may_be_wide(const struct vk *vk)
{
    return vk_pick(vk, vk_grid_variants) == &vk_grid_variants[0];
}
