/* SPDX-License-Identifier: MIT */
/* devices.h: the device under test at every level that this machine has: the CPU device, or, when
 * $CRAYON_TEST_VULKAN selects one ("llvmpipe"), a Vulkan device (tests/ops/vulkan-lib.sh). */
#ifndef CR_TEST_DEVICES_H
#define CR_TEST_DEVICES_H

#include "test.h"

#include <crayon/ops.h>
#include <crayon/registry.h>

/* The plugins of the build tree. */
const struct cr_registry *test_registry(void);

/* What follows "vulkan:"; NULL when the CPU device is tested. */
const char *test_vulkan(void);
/* The element under test. */
const struct cr_element *test_element(void);

/* A way to compute. Of the CPU device: what $CRAYON_CPU_DISABLE makes of the processor ("plain",
 * "avx2", "avx512" and so on, each without OpenBLAS; and all that there is), those that come out
 * the same listed once. Of a Vulkan device: all that it can, then each feature switched off in
 * turn, then all of them; and all that it can with other barriers. */
struct level {
    const char *name;
    const char *disable; /* a list for $CRAYON_CPU_DISABLE or $CRAYON_VULKAN_DISABLE */
    const char *sync;    /* $CRAYON_VULKAN_SYNC: results are to have the bits of the first level */
};
size_t test_levels(const struct level **levels);

/* Put a level into the environment, for a device that is opened then, and remove it. */
void set_level(const struct level *level);
void unset_level(void);

/* The device at a level, with so many threads (the CPU device). */
struct cr_device *open_level(const struct level *level, int threads);
/* With all that it can. */
struct cr_device *open_best(void);

#endif
