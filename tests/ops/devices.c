/* SPDX-License-Identifier: MIT */
#include "devices.h"

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
    return registry;
}

struct cr_device *open_level(const struct level *level, int threads)
{
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = threads};
    setenv("CRAYON_CPU_DISABLE", level->disable, 1);
    if (cr_device_open(&device, test_registry(), "cpu", &params, &err) < 0)
        fail_msg("no device: %s", err.message);
    unsetenv("CRAYON_CPU_DISABLE");
    return device;
}

struct cr_device *open_cpu(void)
{
    static const struct level best = {"best", ""};
    return open_level(&best, 2);
}

size_t test_levels(const struct level **levels)
{
    static const struct level candidates[] = {
        {"plain", "avx512,avx2,vnni,neon,dotprod,openblas"},
        {"avx2", "avx512,openblas"},
        {"avx512", "vnni,openblas"},
        {"neon", "dotprod,openblas"},
        {"all but openblas", "openblas"},
        {"all", ""},
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
