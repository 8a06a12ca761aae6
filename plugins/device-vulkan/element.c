/* SPDX-License-Identifier: MIT */
/* The plugin's one symbol. */
#include "vk.h"

static const struct cr_element device_vulkan = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-vulkan",
    .summary = "tensor operations on GPUs, by Vulkan",
    .description =
        "Executes every operation on a GPU whose driver has Vulkan 1.2, buffer device addresses "
        "and timeline semaphores. Which one: vulkan is the first real GPU, one with memory of its "
        "own before others; vulkan:1 goes by the number that 'crayon devices' shows, vulkan:NAME "
        "by "
        "a part of the name, vulkan:UUID by the identity of the card. A driver that computes on "
        "the processor (lavapipe, SwiftShader) is used only when it is named so.\n\n"
        "Work is recorded and handed over in submissions of 200 ms at most, by an estimate from "
        "rates that earlier submissions showed, since drivers end what takes much longer and a "
        "desktop on the same GPU would stand still. No wait is endless: when a GPU does not finish "
        "what was estimated for half a minute and more, or its driver reports it as lost, the "
        "device is given up with an error that names the operations in flight. Opening it again "
        "starts clean.\n\n"
        "Tensors lie in blocks of up to 1 GiB. When memory runs out, the error says how much was "
        "wanted, used and free.\n\n"
        "Shaders are compiled when they are first needed, and what the driver makes of them is "
        "kept in $XDG_CACHE_HOME/crayon/vulkan, a file for each device and driver, for the next "
        "start. A file that another driver or other shaders made, or that is damaged, is not used "
        "and written anew. CRAYON_VULKAN_CACHE=off does without.\n\n"
        "The same input gives the same bits on the same GPU and driver.\n\n"
        "For finding out what is to blame for a wrong result there are environment variables. "
        "CRAYON_VULKAN_DISABLE takes variants away, by names with commas between: subgroup, "
        "vector, "
        "tile, split, wide, f16, dot, coopmat. CRAYON_VULKAN_SYNC=all puts a barrier after every "
        "dispatch, CRAYON_VULKAN_SYNC=reverse executes what lies between two barriers in reverse "
        "order; both have to give the same bits, else a barrier is missing. "
        "CRAYON_VULKAN_SUBMIT_MS is the length of a submission in milliseconds instead of 200: "
        "less, if a driver still ends them. CRAYON_VULKAN_OMIT (raw, war, waw, transfer) leaves a "
        "class of barriers out and makes results wrong: tests show with it that they would "
        "notice.",
    .state_size = sizeof(struct vk),
    .device = &vk_ops,
};

CR_PLUGIN("device-vulkan", CR_VERSION, "MIT", "tensor operations on GPUs, by Vulkan",
          &device_vulkan);
