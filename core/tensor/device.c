/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <crayon/memory.h>

#include "tensor/device.h"

/* Blocks are rounded up to this, so that tensors of nearly one size share them. */
#define GRAIN 256
/* A pooled block serves a request of at least this share of its size. */
#define FIT_NUMERATOR 3
#define FIT_DENOMINATOR 4

static const struct {
    const char *name;
} op_names[CR_OP_COUNT] = {
#define NAME(name, number, words, tier) [number] = {words},
    CR_OPS(NAME)
#undef NAME
};

const char *cr_op_name(enum cr_op op)
{
    return (int)op > 0 && (int)op < CR_OP_COUNT ? op_names[op].name : NULL;
}

int cr_device_create(struct cr_device **out, const struct cr_device_ops *ops, size_t state_size,
                     const char *selector, const struct cr_device_params *params,
                     struct cr_error *err)
{
    *out = NULL;
    struct cr_device *device = cr_calloc(1, sizeof(*device));
    if (device == NULL || (device->state = cr_calloc(1, state_size)) == NULL) {
        cr_free(device);
        return cr_fail_memory(err, sizeof(*device) + state_size);
    }
    device->references = 1;
    device->ops = ops;
    if (params != NULL)
        device->params = *params;
    int result = ops->open(device->state, selector, &device->params, err);
    if (result < 0) {
        cr_free(device->state);
        cr_free(device);
        return result;
    }
    pthread_mutex_init(&device->lock, NULL);
    *out = device;
    return 0;
}

struct cr_device *cr_device_ref(struct cr_device *device)
{
    atomic_fetch_add_explicit(&device->references, 1, memory_order_relaxed);
    return device;
}

/* Give the pool's memory back to the device. Called with the lock held. */
static void drain(struct cr_device *device)
{
    while (device->pool != NULL) {
        struct cr_buffer *buffer = device->pool;
        device->pool = buffer->next;
        device->figures.pooled -= buffer->bytes;
        device->ops->free(device->state, buffer->memory);
        cr_free(buffer);
    }
    while (device->spare != NULL) {
        struct cr_tensor *tensor = device->spare;
        device->spare = tensor->next;
        cr_free(tensor);
    }
}

void cr_device_unref(struct cr_device **device)
{
    struct cr_device *old = *device;
    *device = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
        return;
    drain(old);
    old->ops->close(old->state);
    pthread_mutex_destroy(&old->lock);
    cr_free(old->state);
    cr_free(old);
}

/* ---- Memory ---- */

static int buffer_read(struct cr_buffer *buffer, uint64_t offset, void *data, size_t bytes,
                       struct cr_error *err)
{
    struct cr_device *device = buffer->device;
    pthread_mutex_lock(&device->lock);
    int result = device->ops->download(device->state, buffer->memory, offset, data, bytes, err);
    pthread_mutex_unlock(&device->lock);
    return result;
}

/* Back into the pool, in order of size. The struct waits there too, so that a token loop allocates
 * nothing. */
static void buffer_release(struct cr_buffer *buffer)
{
    struct cr_device *device = buffer->device;
    buffer->device = NULL;
    pthread_mutex_lock(&device->lock);
    device->figures.used -= buffer->bytes;
    device->figures.pooled += buffer->bytes;
    struct cr_buffer **at = &device->pool;
    while (*at != NULL && (*at)->bytes < buffer->bytes)
        at = &(*at)->next;
    buffer->next = *at;
    *at = buffer;
    pthread_mutex_unlock(&device->lock);
    cr_device_unref(&device);
}

static struct cr_tensor *take_tensor(struct cr_buffer *buffer)
{
    struct cr_device *device = buffer->device;
    pthread_mutex_lock(&device->lock);
    struct cr_tensor *tensor = device->spare;
    if (tensor != NULL)
        device->spare = tensor->next;
    pthread_mutex_unlock(&device->lock);
    return tensor;
}

static void keep_tensor(struct cr_buffer *buffer, struct cr_tensor *tensor)
{
    struct cr_device *device = buffer->device;
    pthread_mutex_lock(&device->lock);
    tensor->next = device->spare;
    device->spare = tensor;
    pthread_mutex_unlock(&device->lock);
}

static const struct cr_buffer_ops buffer_ops = {.read = buffer_read,
                                                .release = buffer_release,
                                                .take_tensor = take_tensor,
                                                .keep_tensor = keep_tensor};

/* The smallest pooled buffer that fits without much waste, or NULL. */
static struct cr_buffer *take_pooled(struct cr_device *device, size_t bytes)
{
    struct cr_buffer **at = &device->pool;
    while (*at != NULL && (*at)->bytes < bytes)
        at = &(*at)->next;
    struct cr_buffer *buffer = *at;
    if (buffer == NULL || bytes / FIT_NUMERATOR * FIT_DENOMINATOR + GRAIN < buffer->bytes)
        return NULL;
    *at = buffer->next;
    device->figures.pooled -= buffer->bytes;
    return buffer;
}

static int allocate(struct cr_device *device, size_t bytes, struct cr_buffer **out,
                    struct cr_error *err)
{
    if ((*out = take_pooled(device, bytes)) != NULL)
        return 0;
    struct cr_buffer *buffer = cr_calloc(1, sizeof(*buffer));
    if (buffer == NULL)
        return cr_fail_memory(err, sizeof(*buffer));
    int result = device->ops->alloc(device->state, bytes, &buffer->memory, err);
    if (result == CR_ERR_MEMORY && device->pool != NULL) {
        drain(device);
        if (err != NULL)
            cr_error_clear(err);
        result = device->ops->alloc(device->state, bytes, &buffer->memory, err);
    }
    if (result < 0) {
        cr_free(buffer);
        return result;
    }
    buffer->bytes = bytes;
    device->figures.allocations++;
    *out = buffer;
    return 0;
}

int cr_device_buffer(struct cr_buffer **out, struct cr_device *device, size_t bytes,
                     struct cr_error *err)
{
    *out = NULL;
    if (bytes > SIZE_MAX - GRAIN)
        return cr_fail_memory(err, bytes);
    bytes = bytes == 0 ? GRAIN : (bytes + GRAIN - 1) / GRAIN * GRAIN;
    pthread_mutex_lock(&device->lock);
    struct cr_buffer *buffer = NULL;
    int result = allocate(device, bytes, &buffer, err);
    if (result == 0) {
        device->figures.used += buffer->bytes;
        if (device->figures.used > device->figures.peak)
            device->figures.peak = device->figures.used;
    }
    pthread_mutex_unlock(&device->lock);
    if (result < 0)
        return result;
    buffer->references = 1;
    buffer->ops = &buffer_ops;
    buffer->device = cr_device_ref(device);
    *out = buffer;
    return 0;
}

int cr_device_upload(struct cr_device *device, struct cr_buffer *buffer, uint64_t offset,
                     const void *data, size_t bytes, struct cr_error *err)
{
    if (bytes == 0)
        return 0;
    pthread_mutex_lock(&device->lock);
    int result = device->ops->upload(device->state, buffer->memory, offset, data, bytes, err);
    pthread_mutex_unlock(&device->lock);
    return result;
}

bool cr_device_is_host(const struct cr_device *device)
{
    const struct cr_device_ops *ops = device->ops;
    return ops->size >= offsetof(struct cr_device_ops, map) + sizeof(ops->map) && ops->map != NULL;
}

void *cr_device_map(struct cr_device *device, const struct cr_buffer *buffer)
{
    return cr_device_is_host(device) ? device->ops->map(device->state, buffer->memory) : NULL;
}

void cr_device_get_memory(const struct cr_device *device, struct cr_device_memory *memory)
{
    struct cr_device *d = (struct cr_device *)(uintptr_t)device;
    uint64_t free_bytes = 0;
    pthread_mutex_lock(&d->lock);
    *memory = d->figures;
    d->ops->memory(d->state, &memory->total, &free_bytes);
    pthread_mutex_unlock(&d->lock);
}

uint64_t cr_device_used(const struct cr_device *device, uint64_t *peak)
{
    struct cr_device *d = (struct cr_device *)(uintptr_t)device;
    pthread_mutex_lock(&d->lock);
    const uint64_t used = d->figures.used;
    *peak = d->figures.peak;
    pthread_mutex_unlock(&d->lock);
    return used;
}

void cr_device_memory_left(const struct cr_device *device, uint64_t *total, uint64_t *left)
{
    struct cr_device *d = (struct cr_device *)(uintptr_t)device;
    pthread_mutex_lock(&d->lock);
    d->ops->memory(d->state, total, left);
    *left += d->figures.pooled;
    pthread_mutex_unlock(&d->lock);
}

/* ---- Work ---- */

/* Called with the lock held. */
static void note_call(struct cr_device *device, const struct cr_call *call)
{
    const char *variant = device->ops->variant(device->state, call);
    device->watched_op = call->op;
    snprintf(device->watched_variant, sizeof(device->watched_variant), "%s",
             variant != NULL ? variant : "");
}

static int flush_and_wait(struct cr_device *device, struct cr_error *err)
{
    int result = device->ops->flush(device->state, err);
    return result < 0 ? result : device->ops->wait(device->state, 0, err);
}

/* The same as a plain submission, but to the end of it. What was submitted before profiling began
 * is waited for first. */
static int submit_timed(struct cr_device *device, const struct cr_call *call, struct cr_error *err)
{
    struct timespec start, end;
    int result = flush_and_wait(device, err);
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (result == 0)
        result = device->ops->submit(device->state, call, err);
    if (result == 0)
        result = flush_and_wait(device, err);
    clock_gettime(CLOCK_MONOTONIC, &end);
    device->profile.calls[call->op]++;
    device->profile.seconds[call->op] +=
        (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    return result;
}

int cr_device_submit(struct cr_device *device, const struct cr_call *call, struct cr_error *err)
{
    pthread_mutex_lock(&device->lock);
    if (device->watched)
        note_call(device, call);
    int result = device->profiled ? submit_timed(device, call, err)
                                  : device->ops->submit(device->state, call, err);
    pthread_mutex_unlock(&device->lock);
    return result;
}

bool cr_device_supports(struct cr_device *device, const struct cr_call *call)
{
    pthread_mutex_lock(&device->lock);
    bool result = device->ops->supports(device->state, call);
    pthread_mutex_unlock(&device->lock);
    return result;
}

int cr_device_finish(struct cr_device *device, struct cr_error *err)
{
    pthread_mutex_lock(&device->lock);
    int result = flush_and_wait(device, err);
    pthread_mutex_unlock(&device->lock);
    return result;
}

void cr_device_profile(struct cr_device *device)
{
    pthread_mutex_lock(&device->lock);
    device->profiled = true;
    pthread_mutex_unlock(&device->lock);
}

struct cr_profile cr_device_take_profile(struct cr_device *device)
{
    pthread_mutex_lock(&device->lock);
    struct cr_profile profile = device->profile;
    device->profile = (struct cr_profile){.calls = {0}};
    pthread_mutex_unlock(&device->lock);
    return profile;
}

void cr_device_watch(struct cr_device *device, bool watched)
{
    pthread_mutex_lock(&device->lock);
    device->watched = watched;
    if (watched) {
        device->watched_op = 0;
        device->watched_variant[0] = '\0';
    }
    pthread_mutex_unlock(&device->lock);
}

const char *cr_device_watched(struct cr_device *device, enum cr_op *op)
{
    *op = (enum cr_op)device->watched_op;
    return device->watched_variant;
}

void cr_device_reset_peak(struct cr_device *device)
{
    pthread_mutex_lock(&device->lock);
    device->figures.peak = device->figures.used;
    pthread_mutex_unlock(&device->lock);
}

int cr_device_trim(struct cr_device *device, struct cr_error *err)
{
    int result = cr_device_finish(device, err);
    pthread_mutex_lock(&device->lock);
    drain(device);
    pthread_mutex_unlock(&device->lock);
    return result;
}

void cr_device_get_info(const struct cr_device *device, struct cr_device_info *info)
{
    memset(info, 0, sizeof(*info));
    info->size = sizeof(*info);
    device->ops->info(device->state, info);
}

enum cr_precision cr_device_precision(const struct cr_device *device)
{
    return device->params.precision;
}

int cr_device_get_limits(struct cr_device *device, struct cr_device_limits *limits,
                         struct cr_error *err)
{
    memset(limits, 0, sizeof(*limits));
    limits->size = sizeof(*limits);
    if (device->ops->limits == NULL)
        return 0;
    pthread_mutex_lock(&device->lock);
    int result = device->ops->limits(device->state, limits, err);
    pthread_mutex_unlock(&device->lock);
    return result;
}

int cr_device_explain(struct cr_device *device, struct cr_text *text, struct cr_error *err)
{
    const struct cr_device_ops *ops = device->ops;
    if (ops->size < offsetof(struct cr_device_ops, explain) + sizeof(ops->explain) ||
        ops->explain == NULL)
        return 0;
    pthread_mutex_lock(&device->lock);
    int result = ops->explain(device->state, text, err);
    pthread_mutex_unlock(&device->lock);
    return result;
}

const char *cr_device_variant(struct cr_device *device, const struct cr_call *call)
{
    pthread_mutex_lock(&device->lock);
    const char *name = device->ops->variant(device->state, call);
    pthread_mutex_unlock(&device->lock);
    return name;
}

/* ---- Dense tensors ---- */

int cr_tensor_upload(struct cr_tensor **out, struct cr_device *device, enum cr_dtype dtype,
                     int rank, const int64_t *shape, const void *data, struct cr_error *err)
{
    *out = NULL;
    if (cr_dtype_size(dtype) == 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s is no dtype of dense tensors",
                       cr_dtype_name(dtype));
    int64_t elements = 0;
    int result = cr_shape_elements(rank, shape, &elements, err);
    if (result < 0)
        return result;
    size_t bytes = (size_t)elements * cr_dtype_size(dtype);
    struct cr_buffer *buffer = NULL;
    if ((result = cr_device_buffer(&buffer, device, bytes, err)) < 0)
        return result;
    if (data != NULL)
        result = cr_device_upload(device, buffer, 0, data, bytes, err);
    if (result < 0) {
        cr_buffer_unref(&buffer);
        return result;
    }
    return cr_tensor_wrap(out, dtype, rank, shape, buffer, err);
}

struct cr_device *cr_tensor_device(const struct cr_tensor *tensor)
{
    return tensor->buffer->device;
}

int cr_tensor_to(struct cr_tensor **out, const struct cr_tensor *tensor, struct cr_device *device,
                 struct cr_error *err)
{
    *out = NULL;
    if (tensor->buffer->device == device) {
        *out = cr_tensor_ref(tensor);
        return 0;
    }
    if (cr_dtype_size(tensor->dtype) == 0)
        return cr_fail(err, CR_ERR_UNSUPPORTED, "a tensor of type %s stays on its device",
                       cr_dtype_name(tensor->dtype));
    size_t bytes = (size_t)tensor->elements * cr_dtype_size(tensor->dtype);
    void *data = cr_malloc(bytes);
    if (data == NULL)
        return cr_fail_memory(err, bytes);
    int result = cr_tensor_read(tensor, data, bytes, err);
    if (result == 0)
        result = device == NULL
                     ? cr_tensor_create(out, tensor->dtype, tensor->rank, tensor->shape, data, err)
                     : cr_tensor_upload(out, device, tensor->dtype, tensor->rank, tensor->shape,
                                        data, err);
    cr_free(data);
    return result;
}
