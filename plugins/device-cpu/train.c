/* SPDX-License-Identifier: MIT */
#include "cpu.h"

const struct cpu_entry cpu_train_family[] = {{0, NULL, NULL}};
