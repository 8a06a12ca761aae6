/* SPDX-License-Identifier: MIT */
/* weights.h: rows of a weight matrix of any type as f32. */
#ifndef CPU_WEIGHTS_H
#define CPU_WEIGHTS_H

#include "cpu.h"

#define CPU_NF4_BLOCK 64
#define CPU_Q8_0_BLOCK 32

struct cpu_weights {
    enum cr_dtype dtype;
    int64_t rows, columns;
    const void *data;    /* numbers, or codes */
    const void *scales;  /* f16 (q8_0), f32 (nf4), u8 (nf4, doubly quantised) */
    const float *nested; /* NULL: not doubly quantised */
    const float *map;    /* map[256] is the offset */
};

struct cpu_weights cpu_weights(const struct cr_operand *operand);

/* Bytes that one row takes, codes and scales. */
size_t cpu_weights_row_bytes(const struct cpu_weights *w);

/* The scale of block `block` of the flattened matrix. */
float cpu_weights_scale(const struct cpu_weights *w, int64_t block);

/* out[0..count-1] = row `row`, from column `column` on. */
void cpu_weights_row(enum cpu_level level, const struct cpu_weights *w, int64_t row, int64_t column,
                     int64_t count, float *out);

float cpu_f16_to_f32(uint16_t half);
uint16_t cpu_f32_to_f16(float value); /* to nearest even */
/* Many at once. */
void cpu_f16_row(enum cpu_level level, const uint16_t *half, int64_t count, float *out);

#endif
