/* SPDX-License-Identifier: MIT */
#include "cpu.h"

const struct cpu_entry cpu_linear_family[] = {{0, NULL, NULL}};
