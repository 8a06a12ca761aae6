/* SPDX-License-Identifier: MIT */
/* faulty.h: what tests/faulty/device-vulkan.so exports as `faulty`. */
#ifndef CR_TEST_FAULTY_H
#define CR_TEST_FAULTY_H

#include <crayon/plugin.h>

#include "unit/vulkan_hooks.h"

struct faulty {
    void (*let_fail)(const char *call, int n, VkResult result);
    void (*record)(struct hooked_call calls[HOOKED_CALLS]);
    int (*objects)(void);
};

CR_EXPORT extern const struct faulty faulty;

#endif
