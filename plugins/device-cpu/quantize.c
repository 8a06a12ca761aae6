/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <string.h>

#include "blocks.h"
#include "convert.h"
#include "spans.h"
#include "weights.h"

struct quantize {
    enum cpu_level level;
    enum cr_dtype dtype;
    const float *x;
    int64_t elements, block, blocks;
    void *codes, *scales;
    float *absmax; /* of nf4: the scales, or numbers that become codes themselves */
    float *nested, offset;
    _Atomic int64_t bad; /* the lowest block in which there is a NaN or an infinity */
};

/* The first block of those that does not hold finite numbers only goes on record. */
static void record_bad(struct quantize *job, int64_t from, int64_t end)
{
    while (from + 1 < end) {
        int8_t codes[CPU_NF4_BLOCK];
        uint16_t scales[2];
        int64_t count = job->elements - from * job->block;
        count = count < job->block ? count : job->block;
        if (!cpu_quantize_q8_0(job->level, job->x + from * job->block, count, codes, scales))
            break;
        from++;
    }
    int64_t known = atomic_load(&job->bad);
    while (from < known && !atomic_compare_exchange_weak(&job->bad, &known, from))
        ;
}

static void quantize_span(void *argument, int64_t from, int64_t to)
{
    struct quantize *job = argument;
    int64_t start = from * job->block, end = to * job->block;
    end = end < job->elements ? end : job->elements;
    const float *x = job->x + start;
    bool good = job->dtype == CR_DTYPE_Q8_0
                    ? cpu_quantize_q8_0(job->level, x, end - start, (int8_t *)job->codes + start,
                                        (uint16_t *)job->scales + from)
                    : cpu_quantize_nf4(job->level, x, end - start,
                                       (uint8_t *)job->codes + start / 2, job->absmax + from);
    if (!good)
        record_bad(job, from, to);
}

/* Whole groups of blocks. */
static void nested_span(void *argument, int64_t from, int64_t to)
{
    struct quantize *job = argument;
    int64_t start = from * CPU_NESTED_BLOCK, end = to * CPU_NESTED_BLOCK;
    end = end < job->blocks ? end : job->blocks;
    cpu_quantize_absmax(job->absmax + start, end - start, job->offset,
                        (uint8_t *)job->scales + start, job->nested + from);
}

static void run_nested(struct cpu *cpu, struct quantize *job, const struct cr_operand *y)
{
    float *map = (float *)(void *)((char *)y->memory + y->nested_map);
    job->nested = (float *)(void *)((char *)y->memory + y->nested);
    job->offset = cpu_nested_offset(job->absmax, job->blocks);
    memcpy(map, cr_dynamic_map(), 256 * sizeof(float));
    map[256] = job->offset;
    int64_t groups = (job->blocks + CPU_NESTED_BLOCK - 1) / CPU_NESTED_BLOCK;
    cpu_spans(cpu, groups, CPU_NESTED_BLOCK * 8, nested_span, job);
}

static void report_bad(struct cpu *cpu, const struct cr_call *call, const struct quantize *job)
{
    int64_t at = job->bad * job->block, columns = cpu_last(&call->in[0]);
    if (job->bad < job->blocks)
        cpu_late(cpu, call, "a NaN or an infinity in the block of %lld from x[%lld,%lld] on",
                 (long long)job->block, (long long)(at / columns), (long long)(at % columns));
}

static int quantize(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    struct quantize job = {
        .level = cpu_level(cpu),
        .dtype = (enum cr_dtype)y->dtype,
        .x = cpu_data(x),
        .elements = cpu_elements(x),
        .block = y->dtype == CR_DTYPE_Q8_0 ? CPU_Q8_0_BLOCK : CPU_NF4_BLOCK,
        .codes = cpu_data(y),
        .scales = cpu_scales(y),
        .absmax = cpu_scales(y),
    };
    job.blocks = (job.elements + job.block - 1) / job.block;
    atomic_init(&job.bad, job.blocks);
    if (y->nested != 0) {
        size_t bytes = (size_t)job.blocks * sizeof(float);
        if ((job.absmax = cpu_caller_scratch(cpu, bytes)) == NULL)
            return cr_fail_memory(err, bytes);
    }
    cpu_spans(cpu, job.blocks, job.block, quantize_span, &job);
    if (y->nested != 0)
        run_nested(cpu, &job, y);
    report_bad(cpu, call, &job);
    return 0;
}

/* ---- dequantize ---- */

struct dequantize {
    enum cpu_level level;
    enum cr_dtype dtype;
    struct cpu_weights w;
    void *y;
};

static void dequantize_span(void *argument, int64_t from, int64_t to)
{
    enum {
        PIECE = 2048
    };
    const struct dequantize *job = argument;
    float piece[PIECE];
    if (job->dtype == CR_DTYPE_F32) {
        cpu_weights_row(job->level, &job->w, 0, from, to - from, (float *)job->y + from);
        return;
    }
    for (; from < to; from += PIECE) {
        int64_t count = to - from < PIECE ? to - from : PIECE;
        cpu_weights_row(job->level, &job->w, 0, from, count, piece);
        cpu_from_f32(job->level, piece, count, job->dtype, (uint16_t *)job->y + from);
    }
}

static int dequantize(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    (void)err;
    struct dequantize job = {
        .level = cpu_level(cpu),
        .dtype = (enum cr_dtype)call->out[0].dtype,
        .w = cpu_weights(&call->in[0]),
        .y = cpu_data(&call->out[0]),
    };
    /* Blocks know nothing of rows. */
    cpu_spans(cpu, cpu_elements(&call->in[0]), 1, dequantize_span, &job);
    return 0;
}

const struct cpu_entry cpu_quantize_family[] = {
    {CR_OP_QUANTIZE, quantize, cpu_level_variant},
    {CR_OP_DEQUANTIZE, dequantize, cpu_level_variant},
    {0, NULL, NULL},
};
