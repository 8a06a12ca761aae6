/* SPDX-License-Identifier: MIT */
/* numbers.h: from the numbers of files to those of tensors. All runs may be of any length and the
 * data of files need not be aligned. */
#ifndef CR_MODEL_NUMBERS_H
#define CR_MODEL_NUMBERS_H

#include <crayon/tensor.h>

#include "model/safetensors.h"

/* Can numbers of this type become `dtype` (f32, f16, i32 or u8)? */
bool cr_numbers_convert(enum cr_st_dtype from, enum cr_dtype to);
/* Are they that already? */
bool cr_numbers_same(enum cr_st_dtype from, enum cr_dtype to);
/* Convert; returns how many could be: less than `count` where the next is out of range (i32, and
 * what is finite and would become infinite in f16 or f32). */
size_t cr_numbers_to(enum cr_dtype to, enum cr_st_dtype from, const void *data, size_t count,
                     void *out);
/* F32, F16, BF16 or F64 to f32, without a look at the range. */
void cr_numbers_to_f32(enum cr_st_dtype from, const void *data, size_t count, float *out);

float cr_numbers_half(uint16_t half);
uint16_t cr_numbers_to_half(float number);

#endif
