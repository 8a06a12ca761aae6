/* SPDX-License-Identifier: MIT */
/* attention.h: what the two ways through attention share: many queries in tiles, and few queries
 * one by one. */
#ifndef CPU_ATTENTION_H
#define CPU_ATTENTION_H

#include "weights.h"

/* A mask or bias [B|1,H|1,Lq|1,Lk]: strides are 0 where it is broadcast. */
struct cpu_cover {
    const void *data; /* NULL: none */
    int64_t batch, head, query;
};

struct cpu_attention {
    struct cpu *cpu;
    enum cpu_level level;
    const float *q;
    const void *k, *v;
    bool half; /* k and v are f16 */
    float *y;
    int64_t batch, heads, key_heads, group, queries, keys, d;
    int64_t cache_rows; /* extent of k and v along the keys */
    float scale;
    bool causal;
    int64_t offset;
    const int32_t *lengths, *rows;
    struct cpu_cover mask, bias;
};

/* Where key j of item b and key head h lies in k and v, in elements; -1: nothing there. */
static inline int64_t cpu_attention_key(const struct cpu_attention *a, int64_t b, int64_t h,
                                        int64_t j)
{
    if (a->rows == NULL)
        return ((b * a->key_heads + h) * a->cache_rows + j) * a->d;
    int32_t row = a->rows[b * a->keys + j];
    return row < 0 ? -1 : (h * a->cache_rows + row) * a->d;
}

/* Keys that query i of item b can see at most: 0..count-1. */
static inline int64_t cpu_attention_reach(const struct cpu_attention *a, int64_t b, int64_t i)
{
    int64_t count = a->keys;
    if (a->lengths != NULL && a->lengths[b] < count)
        count = a->lengths[b] < 0 ? 0 : a->lengths[b];
    if (a->causal && i + a->offset + 1 < count)
        count = i + a->offset + 1 < 0 ? 0 : i + a->offset + 1;
    return count;
}

/* One query of one head of one item. */
struct cpu_attention_row {
    int64_t b, head, query;
};

/* Room for the scores of a query: they are processed in whole vectors. */
#define CPU_ATTENTION_ROOM(count) (((count) + 15) / 16 * 16)

/* The scores [count] of one query for keys j0.. become weights: scaled, biased, and then exp(score
 * - maximum), 0 where the key is hidden; so do those behind them up to CPU_ATTENTION_ROOM(count).
 * By online softmax (Milakov and Gimelshein, arXiv 1805.02867) the running maximum and sum take
 * them in. Returns the factor for what was summed up before. */
float cpu_attention_soften(const struct cpu_attention *a, const struct cpu_attention_row *row,
                           int64_t j0, int64_t count, float *scores, float *maximum, float *sum);

/* y = x factor */
void cpu_attention_scale(enum cpu_level level, const float *x, int64_t count, float factor,
                         float *y);

/* One row of k or v as f32; zeros where nothing is there. */
void cpu_attention_load(const struct cpu_attention *a, const void *from, int64_t at, float *out);

/* Few rows (group x queries): memory is what counts. */
int cpu_attention_few(const struct cpu_attention *a, struct cr_error *err);

int cpu_ms_deform_attn(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);

#endif
