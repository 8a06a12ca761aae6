/* SPDX-License-Identifier: MIT */
#ifndef CR_BASE_AVAILABLE_H
#define CR_BASE_AVAILABLE_H

#include <crayon/memory.h>

/* cr_memory_available() of a system whose /proc and /sys lie below the folder `root`. */
uint64_t cr_memory_available_in(const char *root);

#endif
