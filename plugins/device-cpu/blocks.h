/* SPDX-License-Identifier: MIT */
/* blocks.h: quantising and dequantising runs of blocks, without a device. */
#ifndef CPU_BLOCKS_H
#define CPU_BLOCKS_H

#include "cpu.h"

/* Blocks of absmax that share a second-level scale. */
#define CPU_NESTED_BLOCK 256

/* Quantise x[count], which starts at a block's start: the codes of each element, and the scales of
 * each block. False: there is a NaN or an infinity. */
bool cpu_quantize_q8_0(enum cpu_level level, const float *x, int64_t count, int8_t *codes,
                       uint16_t *scales);
bool cpu_quantize_nf4(enum cpu_level level, const float *x, int64_t count, uint8_t *codes,
                      float *absmax);

/* The second level, for whole numbers of CPU_NESTED_BLOCK (the last may be short). */
float cpu_nested_offset(const float *absmax, int64_t blocks);
void cpu_quantize_absmax(const float *absmax, int64_t blocks, float offset, uint8_t *codes,
                         float *nested);

#endif
