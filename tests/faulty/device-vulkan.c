/* SPDX-License-Identifier: MIT */
/* The plugin device-vulkan for tests of whole pipelines: every Vulkan call can be made to fail. */
#include "faulty.h"

static struct cr_device_ops ops;

__attribute__((constructor)) static void prepare(void)
{
    ops = *hooked_ops();
}

static const struct cr_element element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-vulkan",
    .summary = "a device whose calls can fail",
    .description = "For tests.",
    .state_size = sizeof(struct vk),
    .device = &ops,
};

CR_PLUGIN("device-vulkan", "1.0", "MIT", "a device whose calls can fail", &element);

const struct faulty faulty = {hooked_fail, hooked_record, hooked_objects};
