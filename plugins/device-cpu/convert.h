/* SPDX-License-Identifier: MIT */
/* convert.h: runs of numbers from one dense type to another, by the rules of cast. */
#ifndef CPU_CONVERT_H
#define CPU_CONVERT_H

#include "cpu.h"

void cpu_to_f32(enum cpu_level level, enum cr_dtype from, const void *in, int64_t count,
                float *out);
void cpu_from_f32(enum cpu_level level, const float *in, int64_t count, enum cr_dtype to,
                  void *out);

/* A weight of a norm as f32: in place, or converted into `memory`; NULL for an absent operand. */
const float *cpu_as_f32(enum cpu_level level, const struct cr_operand *operand, float *memory);

#endif
