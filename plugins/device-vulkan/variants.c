/* SPDX-License-Identifier: MIT */
/* Which of several ways executes an operation. */
#include <stdlib.h>
#include <string.h>

#include "vk.h"

const char *const vk_feature_names[VK_FEATURE_COUNT] = {
#define NAME(name, words, doc) words,
    VK_FEATURES(NAME)
#undef NAME
};

#define KNOWN_ONE(name, words, doc) " " words
#define KNOWN VK_FEATURES(KNOWN_ONE) /* " subgroup vector ..." */

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
        if (strlen(vk_feature_names[i]) == length && memcmp(vk_feature_names[i], name, length) == 0)
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
                           "CRAYON_VULKAN_DISABLE: there is no variant \"%.*s\"; there are:" KNOWN,
                           (int)length, at);
        if (feature >= 0)
            *features &= ~(1u << feature);
        at += length + (at[length] == ',');
    }
    return 0;
}

/* ---- In words ---- */

/* Why this row is passed over. */
static void add_reasons(const struct vk *vk, const struct vk_variant *variant, struct cr_text *text)
{
    const char *separator = "";
    for (int i = 0; i < VK_FEATURE_COUNT; i++) {
        if ((variant->needs & ~vk->caps.features & 1u << i) == 0)
            continue;
        const char *lacks = vk_physical_lacks(&vk->physical, (enum vk_feature)i);
        if (lacks != NULL)
            cr_text_printf(text, "%s%s", separator, lacks);
        else
            cr_text_printf(text, "%s%s is switched off by CRAYON_VULKAN_DISABLE", separator,
                           vk_feature_names[i]);
        separator = ", ";
    }
}

static void explain_table(const struct vk *vk, const struct vk_variant *table, struct cr_text *text)
{
    const struct vk_variant *picked = vk_pick(vk, table);
    cr_text_add(text, picked->name);
    for (; table < picked; table++) {
        cr_text_printf(text, "; not %s: ", table->name);
        add_reasons(vk, table, text);
    }
}

void vk_explain(const struct vk *vk, const struct vk_family *family, struct cr_text *text)
{
    const struct vk_entry *last = family->entries;
    while (last[1].op != 0)
        last++;
    for (int i = 0; family->variants != NULL && family->variants[i] != NULL; i++) {
        cr_text_printf(text, "%s", cr_op_name(family->entries[0].op));
        if (last > family->entries)
            cr_text_printf(text, " to %s", cr_op_name(last->op));
        cr_text_add(text, ": ");
        explain_table(vk, family->variants[i], text);
        cr_text_add(text, "\n");
    }
}
