/* SPDX-License-Identifier: MIT */
/* Which of several ways executes an operation. */
#include <stdlib.h>
#include <string.h>

#include "vk.h"

static const char *const feature_names[VK_FEATURE_COUNT] = {
#define NAME(name, words, doc) words,
    VK_FEATURES(NAME)
#undef NAME
};

const struct vk_caps *vk_caps(const struct vk *vk)
{
    return &vk->caps;
}

const struct vk_variant *vk_pick(const struct vk *vk, const struct vk_variant *table)
{
    while (table[1].name != NULL && (table->needs & ~vk->caps.features) != 0)
        table++;
    return table;
}

static int find_feature(const char *name, size_t length)
{
    for (int i = 0; i < VK_FEATURE_COUNT; i++)
        if (strlen(feature_names[i]) == length && memcmp(feature_names[i], name, length) == 0)
            return i;
    return -1;
}

int vk_disable(uint32_t *features, struct cr_error *err)
{
    const char *words = getenv("CRAYON_VULKAN_DISABLE");
    for (const char *at = words; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        int feature = find_feature(at, length);
        if (feature < 0 && length > 0)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "CRAYON_VULKAN_DISABLE: there is no variant \"%.*s\"; there are: "
                           "subgroup, vector, tile, split, wide, f16, dot, coopmat",
                           (int)length, at);
        if (feature >= 0)
            *features &= ~(1u << feature);
        at += length + (at[length] == ',');
    }
    return 0;
}
