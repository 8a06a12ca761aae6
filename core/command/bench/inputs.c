/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "command/bench/bench.h"
#include "tensor/device.h"

/* Copies together exceed this, and the last cache by the factor. */
#define COLD_BYTES ((size_t)256 << 20)
#define COLD_FACTOR 4
#define COLD_MOST ((size_t)512 << 20)
#define MOST_COPIES 512

/* ---- Numbers ---- */

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void fill_bytes(void *data, size_t bytes, uint64_t *seed)
{
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        uint64_t word = next(seed);
        memcpy((char *)data + i, &word, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
    }
}

static void fill_f32(float *data, size_t count, uint64_t *seed)
{
    for (size_t i = 0; i < count; i += 2) {
        uint64_t word = next(seed);
        data[i] = (float)(int32_t)(word >> 32) * 0x1p-31f;
        if (i + 1 < count)
            data[i + 1] = (float)(int32_t)word * 0x1p-31f;
    }
}

/* Half-precision numbers of either sign with this exponent: 14 gives 1/2 to 1. */
static void fill_f16(uint16_t *data, size_t count, unsigned exponent, uint64_t *seed)
{
    fill_bytes(data, count * sizeof(*data), seed);
    for (size_t i = 0; i < count; i++)
        data[i] = (uint16_t)((data[i] & 0x83ffu) | exponent << 10);
}

/* Codes of q8_0 go from -127 to 127. */
static void fill_q8(int8_t *data, size_t count, uint64_t *seed)
{
    fill_bytes(data, count, seed);
    for (size_t i = 0; i < count; i++)
        data[i] = data[i] == -128 ? -127 : data[i];
}

static void fill_dense(void *data, enum cr_dtype dtype, size_t count, int32_t limit, uint64_t *seed)
{
    switch (dtype) {
    case CR_DTYPE_F16:
        fill_f16(data, count, 14, seed);
        break;
    case CR_DTYPE_I32:
        for (size_t i = 0; i < count; i++)
            ((int32_t *)data)[i] = (int32_t)(next(seed) % (uint64_t)limit);
        break;
    case CR_DTYPE_U8:
        fill_bytes(data, count, seed);
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)data)[i] = ((uint8_t *)data)[i] > 15;
        break;
    default:
        fill_f32(data, count, seed);
    }
}

/* ---- Planes ---- */

double bench_type_bytes(enum bench_type type, double elements)
{
    switch (type) {
    case BENCH_F32:
        return 4 * elements;
    case BENCH_F16:
        return 2 * elements;
    case BENCH_Q8_0:
        return elements + elements / 32 * 2;
    case BENCH_NF4:
        return elements / 2 + elements / 64 * 4;
    case BENCH_NF4X2:
        return elements / 2 + elements / 64 + elements / 64 / 256 * 4;
    }
    return 0;
}

static bool is_quantized(enum bench_type type)
{
    return type >= BENCH_Q8_0;
}

static enum cr_dtype dtype_of(enum bench_type type)
{
    static const enum cr_dtype dtypes[] = {
        [BENCH_F32] = CR_DTYPE_F32, [BENCH_F16] = CR_DTYPE_F16,   [BENCH_Q8_0] = CR_DTYPE_Q8_0,
        [BENCH_NF4] = CR_DTYPE_NF4, [BENCH_NF4X2] = CR_DTYPE_NF4,
    };
    return dtypes[type];
}

static int64_t count_elements(int rank, const int64_t *shape)
{
    int64_t elements = 1;
    for (int i = 0; i < rank; i++)
        elements *= shape[i];
    return elements;
}

/* A tensor on the host from which copies on the device are made. */
struct master {
    enum bench_type type;
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    void *codes, *scales; /* all numbers of a dense tensor are codes */
    float *nested;
};

static void fill_quantized(struct master *master, size_t elements, uint64_t *seed)
{
    size_t blocks = (elements + 63) / 64, groups = (blocks + 255) / 256;
    if (master->type == BENCH_Q8_0) {
        fill_q8(master->codes, elements, seed);
        fill_f16(master->scales, (elements + 31) / 32, 8, seed);
        return;
    }
    fill_bytes(master->codes, (elements + 1) / 2, seed);
    if (master->type == BENCH_NF4X2)
        fill_bytes(master->scales, blocks, seed);
    else
        fill_f32(master->scales, blocks, seed);
    for (size_t i = 0; master->nested != NULL && i < groups; i++)
        master->nested[i] = 0.01f;
}

static void master_finish(struct master *master)
{
    cr_free(master->codes);
    cr_free(master->scales);
    cr_free(master->nested);
}

static int master_init(struct master *master, enum bench_type type, int rank, const int64_t *shape,
                       uint64_t *seed, struct cr_error *err)
{
    size_t elements = (size_t)count_elements(rank, shape);
    size_t bytes = (size_t)bench_type_bytes(type, (double)elements) + 1;
    *master = (struct master){.type = type, .rank = rank};
    memcpy(master->shape, shape, (size_t)rank * sizeof(*shape));
    master->codes = cr_malloc(bytes);
    if (is_quantized(type))
        master->scales = cr_malloc((elements + 31) / 32 * sizeof(float));
    if (type == BENCH_NF4X2)
        master->nested = cr_malloc((elements / 64 / 256 + 1) * sizeof(float));
    if (master->codes == NULL || (is_quantized(type) && master->scales == NULL) ||
        (type == BENCH_NF4X2 && master->nested == NULL)) {
        master_finish(master);
        return cr_fail_memory(err, bytes);
    }
    if (is_quantized(type))
        fill_quantized(master, elements, seed);
    else
        fill_dense(master->codes, dtype_of(type), elements, 1, seed);
    return 0;
}

static int master_upload(const struct master *master, struct cr_tensor **out,
                         struct cr_device *device, struct cr_error *err)
{
    enum cr_dtype dtype = dtype_of(master->type);
    if (!is_quantized(master->type))
        return cr_tensor_upload(out, device, dtype, master->rank, master->shape, master->codes,
                                err);
    struct cr_quantized parts = {.codes = master->codes, .scales = master->scales};
    if (master->type == BENCH_NF4X2) {
        parts.nested_absmax = master->nested;
        parts.nested_map = cr_dynamic_map();
        parts.nested_offset = 0.02f;
    }
    return cr_tensor_upload_quantized(out, device, dtype, master->shape[0], master->shape[1],
                                      &parts, err);
}

/* ---- Warm ---- */

static struct cr_tensor **next_warm(struct bench_inputs *inputs)
{
    return inputs->result == 0 ? &inputs->warm[inputs->warm_count++] : NULL;
}

void bench_warm(struct bench_inputs *inputs, enum cr_dtype dtype, int rank, const int64_t *shape,
                int32_t limit)
{
    struct cr_tensor **out = next_warm(inputs);
    if (out == NULL)
        return;
    size_t count = (size_t)count_elements(rank, shape), bytes = count * cr_dtype_size(dtype);
    void *data = cr_malloc(bytes);
    if (data == NULL) {
        inputs->result = cr_fail_memory(inputs->err, bytes);
        return;
    }
    fill_dense(data, dtype, count, limit, &inputs->seed);
    inputs->result = cr_tensor_upload(out, inputs->device, dtype, rank, shape, data, inputs->err);
    cr_free(data);
}

void bench_warm_f32(struct bench_inputs *inputs, int rank, const int64_t *shape)
{
    bench_warm(inputs, CR_DTYPE_F32, rank, shape, 0);
}

void bench_warm_weights(struct bench_inputs *inputs, enum bench_type type, int64_t rows,
                        int64_t columns)
{
    struct cr_tensor **out = next_warm(inputs);
    struct master master;
    if (out == NULL)
        return;
    inputs->result =
        master_init(&master, type, 2, (int64_t[]){rows, columns}, &inputs->seed, inputs->err);
    if (inputs->result == 0) {
        inputs->result = master_upload(&master, out, inputs->device, inputs->err);
        master_finish(&master);
    }
}

/* ---- Cold ---- */

static void finish_cold(struct bench_cold *cold)
{
    for (int i = 0; i < cold->tensors; i++) {
        for (size_t j = 0; cold->copies[i] != NULL && j < cold->count; j++)
            cr_tensor_unref(&cold->copies[i][j]);
        cr_free(cold->copies[i]);
    }
    memset(cold, 0, sizeof(*cold));
}

/* So many copies that they exceed every cache of this machine. */
static size_t count_copies(double bytes)
{
    size_t wanted = COLD_BYTES;
#ifdef _SC_LEVEL3_CACHE_SIZE
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (cache > 0 && (size_t)cache * COLD_FACTOR > wanted)
        wanted = (size_t)cache * COLD_FACTOR;
#endif
    if (wanted > COLD_MOST)
        wanted = COLD_MOST;
    double copies = (double)wanted / bytes + 1;
    return copies > MOST_COPIES ? MOST_COPIES : (size_t)copies;
}

static int make_copies(struct bench_inputs *inputs, const struct master *master)
{
    struct bench_cold *cold = &inputs->cold;
    int result = 0;
    for (int i = 0; i < cold->tensors && result == 0; i++) {
        cold->copies[i] = cr_calloc(cold->count, sizeof(*cold->copies[i]));
        if (cold->copies[i] == NULL)
            return cr_fail_memory(inputs->err, cold->count * sizeof(*cold->copies[i]));
        for (size_t j = 0; j < cold->count && result == 0; j++)
            result = master_upload(master, &cold->copies[i][j], inputs->device, inputs->err);
    }
    return result;
}

void bench_cold(struct bench_inputs *inputs, int tensors, enum bench_type type, int rank,
                const int64_t *shape)
{
    struct bench_cold *cold = &inputs->cold;
    struct master master;
    size_t shape_bytes = (size_t)rank * sizeof(*shape);
    if (inputs->result < 0 || (cold->tensors == tensors && cold->type == type &&
                               cold->rank == rank && memcmp(cold->shape, shape, shape_bytes) == 0))
        return;
    finish_cold(cold);
    inputs->result = cr_device_trim(inputs->device, inputs->err);
    if (inputs->result == 0)
        inputs->result = master_init(&master, type, rank, shape, &inputs->seed, inputs->err);
    if (inputs->result < 0)
        return;
    cold->tensors = tensors;
    cold->type = type;
    cold->rank = rank;
    memcpy(cold->shape, shape, shape_bytes);
    cold->count =
        count_copies(tensors * bench_type_bytes(type, (double)count_elements(rank, shape)));
    inputs->result = make_copies(inputs, &master);
    master_finish(&master);
    if (inputs->result < 0)
        finish_cold(cold);
}

struct cr_tensor *bench_cold_get(const struct bench_inputs *inputs, int index)
{
    return inputs->cold.copies[index][inputs->cold.turn];
}

void bench_next_turn(struct bench_inputs *inputs)
{
    if (inputs->cold.count > 0)
        inputs->cold.turn = (inputs->cold.turn + 1) % inputs->cold.count;
}

/* ---- The end ---- */

void bench_inputs_reset(struct bench_inputs *inputs)
{
    for (int i = 0; i < inputs->warm_count; i++)
        cr_tensor_unref(&inputs->warm[i]);
    inputs->warm_count = 0;
}

void bench_inputs_finish(struct bench_inputs *inputs)
{
    bench_inputs_reset(inputs);
    finish_cold(&inputs->cold);
}
