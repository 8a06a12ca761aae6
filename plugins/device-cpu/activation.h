/* SPDX-License-Identifier: MIT */
/* activation.h: functions of one element, over a run of elements. */
#ifndef CPU_ACTIVATION_H
#define CPU_ACTIVATION_H

#include "cpu.h"

/* The functions: those of enum cr_activation, and sigmoid. */
#define CPU_ACTIVATION_SIGMOID 100

/* x[0..count-1] = f(x), in place. */
void cpu_activate(enum cpu_level level, int activation, float *x, int64_t count);
/* y = silu(a) b. */
void cpu_silu_mul(enum cpu_level level, const float *a, const float *b, float *y, int64_t count);

#endif
