/* SPDX-License-Identifier: MIT */
/* vulkan_hooks.h: the Vulkan device $CRAYON_TEST_VULKAN, opened so that the test sees every Vulkan
 * object and can fail every call. */
#ifndef CR_TEST_VULKAN_HOOKS_H
#define CR_TEST_VULKAN_HOOKS_H

#include <crayon/ops.h>

#include "vk.h"

/* Open it; fails with CR_ERR_* as cr_device_open() does. Skips the test when no driver is named. */
int hooked_open(struct cr_device **out, struct cr_error *err);
/* The same, which has to work. */
struct cr_device *hooked_device(void);
struct vk *hooked_inside(struct cr_device *device);

/* What such a device does; copied from the plugin's at each call. */
const struct cr_device_ops *hooked_ops(void);

/* Vulkan objects that are alive, of all devices. */
int hooked_objects(void);
/* Those that are alive now are not counted any more. */
void hooked_forget(void);

/* Let call number `n` (from 1, counted from now on) that returns a VkResult fail with `result`;
 * only calls of this name count ("vkQueueSubmit"), or from this place ("vkQueueSubmit
 * submit.c:420"); NULL: all. n = 0: none fails; n < 0: all do. */
void hooked_fail(const char *call, int n, VkResult result);
/* The call that failed, "vkQueueSubmit submit.c:420"; NULL: it was not reached. */
const char *hooked_failed(void);

/* Note each place that makes calls which can fail, and how often; unused ones have no hits. NULL:
 * no longer. */
#define HOOKED_CALLS 256
struct hooked_call {
    char name[160];
    int hits;
};
void hooked_record(struct hooked_call calls[HOOKED_CALLS]);

/* Count what vkCmdDispatchBase is asked for instead of doing it: each group of a grid of `columns`
 * x `rows` x `layers`, in `counts`. NULL: go back to work. */
struct hooked_grid {
    uint32_t columns, rows, layers;
    uint8_t *counts;
};
void hooked_watch_groups(const struct hooked_grid *grid);

/* A tensor f32 [count] of start, start + step, ... */
struct cr_tensor *hooked_numbers(struct cr_device *device, int64_t count, float start, float step);
uint64_t hooked_address(const struct cr_tensor *tensor);
/* Its numbers, which live until the next call but three. */
const float *hooked_read(const struct cr_tensor *tensor);

#endif
