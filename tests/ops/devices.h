/* SPDX-License-Identifier: MIT */
/* devices.h: the CPU device at every level that this machine has. */
#ifndef CR_TEST_DEVICES_H
#define CR_TEST_DEVICES_H

#include "test.h"

#include <crayon/ops.h>
#include <crayon/registry.h>

/* The plugins of the build tree. */
const struct cr_registry *test_registry(void);

/* What $CRAYON_CPU_DISABLE makes of the processor: "plain", "avx2", "avx512" and so on, each
 * without OpenBLAS; and all that there is. Those that come out the same are listed once. */
struct level {
    const char *name;
    const char *disable;
};
size_t test_levels(const struct level **levels);

/* The CPU device at a level, with so many threads. */
struct cr_device *open_level(const struct level *level, int threads);
/* The best one. */
struct cr_device *open_cpu(void);

#endif
