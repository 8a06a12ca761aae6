/* SPDX-License-Identifier: MIT */
/* What the device can do at most: the best of a few runs of small shaders. On a driver that
 * computes on the processor everything is short: its figures say nothing about any GPU. */
#include <string.h>

#include "shaders.h"
#include "vk.h"

#define RUNS 5
#define SIDE_SOFTWARE 128 /* of the matrices of sgemm */
#define SIDE 2048

struct probe {
    struct vk *vk;
    struct vk_memory *memory;
    uint64_t bytes; /* of the memory */
    uint32_t threads;
};

/* Record something, `amount` of work; the best rate of a few runs. */
typedef int (*probe_record)(const struct probe *probe, double *amount, struct cr_error *err);

static int measure(const struct probe *probe, probe_record record, double *rate,
                   struct cr_error *err)
{
    *rate = 0;
    for (int i = 0; i < RUNS; i++) {
        double amount = 0, start = vk_seconds();
        int result = record(probe, &amount, err);
        if (result == 0)
            result = vk_synchronize(probe->vk, err);
        if (result < 0)
            return result;
        double found = amount / (vk_seconds() - start);
        if (i > 0 && found > *rate) /* the first run compiles and warms up */
            *rate = found;
    }
    return 0;
}

static int record_read(const struct probe *probe, double *amount, struct cr_error *err)
{
    const uint32_t vectors = (uint32_t)(probe->bytes / 16), rounds = 16;
    const struct {
        uint64_t x, sink;
        uint32_t rounds, stride;
    } args = {probe->memory->address, probe->memory->address, rounds, vectors / rounds};
    struct vk_dispatch d;
    vk_begin(&d, &vk_shader_limit_read, probe->threads);
    vk_push(&d, &args, sizeof(args));
    vk_reads_at(&d, args.x, probe->bytes);
    d.groups = args.stride / probe->threads;
    d.bytes = *amount = 16.0 * rounds * (double)d.groups * probe->threads;
    return vk_dispatch(probe->vk, &d, err);
}

static int record_copy(const struct probe *probe, double *amount, struct cr_error *err)
{
    *amount = (double)probe->bytes;
    return vk_copy(probe->vk, probe->memory->address, probe->memory->address + probe->bytes / 2,
                   probe->bytes / 2, err);
}

static int record_fma(const struct probe *probe, double *amount, struct cr_error *err)
{
    const bool software = probe->vk->caps.software;
    const struct {
        uint64_t sink;
        uint32_t rounds;
        float factor, term;
    } args = {probe->memory->address, software ? 512 : 4096, 0.999f, 0.001f};
    struct vk_dispatch d;
    vk_begin(&d, &vk_shader_limit_fma, probe->threads);
    vk_push(&d, &args, 20);
    d.groups = software ? 64 : 8192;
    d.operations = *amount = 64.0 * args.rounds * (double)d.groups * probe->threads;
    return vk_dispatch(probe->vk, &d, err);
}

static int record_sgemm(const struct probe *probe, double *amount, struct cr_error *err)
{
    const int64_t side = probe->vk->caps.software ? SIDE_SOFTWARE : SIDE;
    const struct vk_entry *linear = vk_find_entry(CR_OP_LINEAR);
    const struct cr_operand matrix = {
        .memory = probe->memory, .dtype = CR_DTYPE_F32, .rank = 2, .shape = {side, side}};
    struct cr_call call = {.size = sizeof(call), .op = CR_OP_LINEAR, .inputs = 3, .outputs = 1};
    call.in[0] = call.in[1] = call.out[0] = matrix;
    call.in[1].offset = (uint64_t)(side * side) * sizeof(float);
    call.out[0].offset = 2 * call.in[1].offset;
    *amount = 2.0 * (double)(side * side * side);
    vk_call_begin(probe->vk, &call);
    int result = linear->run(probe->vk, &call, err);
    vk_call_end(probe->vk);
    return result;
}

/* Numbers whose arithmetic is neither denormal nor infinite. */
static int fill(const struct probe *probe, struct cr_error *err)
{
    enum {
        COUNT = 1 << 16
    };
    float *numbers = cr_malloc(COUNT * sizeof(*numbers));
    int result = numbers == NULL ? cr_fail_memory(err, COUNT * sizeof(*numbers)) : 0;
    for (int i = 0; result == 0 && i < COUNT; i++)
        numbers[i] = (float)(i % 251) / 251.0f - 0.5f;
    for (uint64_t at = 0; result == 0 && at < probe->bytes; at += COUNT * sizeof(*numbers))
        result = vk_upload(probe->vk, probe->memory->address + at, numbers,
                           COUNT * sizeof(*numbers), err);
    cr_free(numbers);
    return result;
}

int vk_limits(void *state, struct cr_device_limits *limits, struct cr_error *err)
{
    struct vk *vk = state;
    struct probe probe = {
        .vk = vk,
        .bytes = vk->caps.software ? UINT64_C(16) << 20 : UINT64_C(512) << 20,
        .threads = 128,
    };
    int result = vk_memory_alloc(vk, probe.bytes, &probe.memory, err);
    if (result == 0)
        result = fill(&probe, err);
    if (result == 0)
        result = measure(&probe, record_read, &limits->read_bytes, err);
    if (result == 0)
        result = measure(&probe, record_copy, &limits->copy_bytes, err);
    if (result == 0)
        result = measure(&probe, record_fma, &limits->multiply_adds, err);
    if (result == 0)
        result = measure(&probe, record_sgemm, &limits->sgemm, err);
    vk_memory_free(vk, probe.memory);
    return result;
}
