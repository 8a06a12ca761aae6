/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include <dlfcn.h>

#include "vulkan.h"

static struct cr_registry *registry;

static void destroy_registry(void)
{
    cr_registry_destroy(&registry);
}

const struct cr_registry *test_registry(void)
{
    struct cr_error err = CR_ERROR_INIT;
    if (registry != NULL)
        return registry;
    unsetenv("CRAYON_PLUGIN_PATH");
    if (cr_registry_create(&registry, NULL, &err) < 0)
        fail_msg("no registry: %s", err.message);
    atexit(destroy_registry);
    /* The loader unloads drivers, and then nobody can tell that a leak is theirs: keep them. */
    if (test_vulkan() != NULL)
        (void)dlopen("libvulkan_lvp.so", RTLD_LAZY | RTLD_NODELETE);
    return registry;
}

const char *test_vulkan(void)
{
    return getenv("CRAYON_TEST_VULKAN");
}

const struct cr_element *test_element(void)
{
    const char *name = test_vulkan() != NULL ? "device-vulkan" : "device-cpu";
    const struct cr_element *element =
        cr_registry_find(test_registry(), CR_ELEMENT_DEVICE, name, NULL);
    assert_non_null(element);
    return element;
}

void set_level(const struct level *level)
{
    setenv(test_vulkan() != NULL ? "CRAYON_VULKAN_DISABLE" : "CRAYON_CPU_DISABLE", level->disable,
           1);
    if (level->sync != NULL)
        setenv("CRAYON_VULKAN_SYNC", level->sync, 1);
}

void unset_level(void)
{
    unsetenv("CRAYON_CPU_DISABLE");
    unsetenv("CRAYON_VULKAN_DISABLE");
    unsetenv("CRAYON_VULKAN_SYNC");
}

struct cr_device *open_level(const struct level *level, int threads)
{
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = threads};
    char name[128] = "cpu";
    if (test_vulkan() != NULL)
        snprintf(name, sizeof(name), "vulkan:%s", test_vulkan());
    set_level(level);
    if (cr_device_open(&device, test_registry(), name, &params, &err) < 0)
        fail_msg("no device: %s", err.message);
    unset_level();
    return device;
}

struct cr_device *open_best(void)
{
    static const struct level best = {.name = "best", .disable = ""};
    return open_level(&best, 2);
}

static size_t cpu_levels(const struct level **levels)
{
    static const struct level candidates[] = {
        {"plain", "avx512,avx2,vnni,neon,dotprod,openblas", NULL},
        {"avx2", "avx512,openblas", NULL},
        {"avx512", "vnni,openblas", NULL},
        {"neon", "dotprod,openblas", NULL},
        {"all but openblas", "openblas", NULL},
        {"all", "", NULL},
    };
    static struct level found[COUNT(candidates)];
    static char seen[COUNT(candidates)][sizeof((struct cr_device_info){0}.driver)];
    static size_t count;
    static bool listed;
    *levels = found;
    for (size_t i = 0; !listed && i < COUNT(candidates); i++) {
        struct cr_device *device = open_level(&candidates[i], 1);
        struct cr_device_info info;
        bool known = false;
        cr_device_get_info(device, &info);
        cr_device_unref(&device);
        /* The info does not tell whether OpenBLAS is used. */
        for (size_t j = 0; j < count && candidates[i].disable[0] != '\0'; j++)
            known = known || strcmp(seen[j], info.driver) == 0;
        if (known)
            continue;
        memcpy(seen[count], info.driver, sizeof(info.driver));
        found[count++] = candidates[i];
    }
    listed = true;
    return count;
}

/* Every feature that a variant needs, off in turn. No shader asks for the last three so far. */
static size_t vulkan_levels(const struct level **levels)
{
    static char all[256];
    static struct level list[VK_FEATURE_F16 + 4];
    static const char *const words[] = {
#define WORDS(name, words, doc) words,
        VK_FEATURES(WORDS)
#undef WORDS
    };
    static char names[VK_FEATURE_F16][32];
    size_t count = 0;
    all[0] = '\0';
    list[count++] = (struct level){"all", "", NULL};
    for (int i = 0; i < VK_FEATURE_F16; i++) {
        snprintf(names[i], sizeof(names[i]), "no %s", words[i]);
        list[count++] = (struct level){names[i], words[i], NULL};
        strcat(strcat(all, i > 0 ? "," : ""), words[i]);
    }
    list[count++] = (struct level){"plain", all, NULL};
    list[count++] = (struct level){"all barriers", "", "all"};
    list[count++] = (struct level){"reversed", "", "reverse"};
    *levels = list;
    return count;
}

size_t test_levels(const struct level **levels)
{
    return test_vulkan() != NULL ? vulkan_levels(levels) : cpu_levels(levels);
}
