/* SPDX-License-Identifier: MIT */
#include "cpu.h"

const struct cpu_entry cpu_elements_family[] = {{0, NULL, NULL}};
