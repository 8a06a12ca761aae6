/* SPDX-License-Identifier: MIT */
/* The plugin's one symbol. */
#include "vk.h"

static const struct cr_element device_vulkan = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-vulkan",
    .summary = "tensor operations on GPUs, by Vulkan",
    .description = "Executes every operation on a GPU with Vulkan 1.2, or on a driver that "
                   "computes on the processor if it is named.",
    .state_size = sizeof(struct vk),
    .device = &vk_ops,
};

CR_PLUGIN("device-vulkan", CR_VERSION, "MIT", "tensor operations on GPUs, by Vulkan",
          &device_vulkan);
