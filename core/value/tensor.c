/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/memory.h>

#include "value/buffer.h"

#define MAX_ELEMENTS ((int64_t)1 << 31) /* exclusive */

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [CR_DTYPE_F32] = {"f32", 4}, [CR_DTYPE_F16] = {"f16", 2},   [CR_DTYPE_I32] = {"i32", 4},
    [CR_DTYPE_U8] = {"u8", 1},   [CR_DTYPE_Q8_0] = {"q8_0", 0}, [CR_DTYPE_NF4] = {"nf4", 0},
};
#define DTYPES (sizeof(dtypes) / sizeof(dtypes[0]))

const char *cr_dtype_name(enum cr_dtype dtype)
{
    return (size_t)dtype < DTYPES && dtypes[dtype].name != NULL ? dtypes[dtype].name : "?";
}

enum cr_dtype cr_dtype_find(const char *name)
{
    for (size_t i = 0; i < DTYPES; i++)
        if (dtypes[i].name != NULL && strcmp(dtypes[i].name, name) == 0)
            return (enum cr_dtype)i;
    return (enum cr_dtype)0;
}

size_t cr_dtype_size(enum cr_dtype dtype)
{
    return (size_t)dtype < DTYPES ? dtypes[dtype].size : 0;
}

/* ---- Buffers ---- */

static int host_read(struct cr_buffer *buffer, uint64_t offset, void *data, size_t bytes,
                     struct cr_error *err)
{
    (void)err;
    memcpy(data, (const char *)buffer->memory + offset, bytes);
    return 0;
}

static void host_release(struct cr_buffer *buffer)
{
    cr_free(buffer->memory);
    cr_free(buffer);
}

static const struct cr_buffer_ops host_ops = {.read = host_read, .release = host_release};

static struct cr_buffer *host_buffer(size_t bytes)
{
    struct cr_buffer *buffer = cr_calloc(1, sizeof(*buffer));
    if (buffer == NULL || (buffer->memory = cr_calloc(1, bytes)) == NULL) {
        cr_free(buffer);
        return NULL;
    }
    buffer->references = 1;
    buffer->ops = &host_ops;
    buffer->bytes = bytes;
    return buffer;
}

struct cr_buffer *cr_buffer_ref(struct cr_buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

void cr_buffer_unref(struct cr_buffer **buffer)
{
    struct cr_buffer *old = *buffer;
    *buffer = NULL;
    if (old != NULL && atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) == 1)
        old->ops->release(old);
}

/* ---- Tensors ---- */

int cr_shape_elements(int rank, const int64_t *shape, int64_t *elements, struct cr_error *err)
{
    if (rank < 0 || rank > CR_TENSOR_MAX_RANK)
        return cr_fail(err, CR_ERR_ARGUMENT, "a tensor of rank %d: at most %d", rank,
                       CR_TENSOR_MAX_RANK);
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return cr_fail(err, CR_ERR_ARGUMENT, "extent %d of a tensor is %lld, below 0", i,
                           (long long)shape[i]);
        empty |= shape[i] == 0;
    }
    *elements = empty ? 0 : 1;
    for (int i = 0; i < rank && !empty; i++) {
        if (*elements > (MAX_ELEMENTS - 1) / shape[i])
            return cr_fail(err, CR_ERR_LIMIT, "a tensor of 2^31 elements or more");
        *elements *= shape[i];
    }
    return 0;
}

/* Zeroed. */
static struct cr_tensor *new_tensor(struct cr_buffer *buffer)
{
    struct cr_tensor *tensor =
        buffer->ops->take_tensor != NULL ? buffer->ops->take_tensor(buffer) : NULL;
    if (tensor == NULL)
        return cr_calloc(1, sizeof(*tensor));
    memset(tensor, 0, sizeof(*tensor));
    return tensor;
}

int cr_tensor_wrap(struct cr_tensor **out, enum cr_dtype dtype, int rank, const int64_t *shape,
                   struct cr_buffer *buffer, struct cr_error *err)
{
    *out = NULL;
    int64_t elements = 0;
    int result = cr_shape_elements(rank, shape, &elements, err);
    struct cr_tensor *tensor = result < 0 ? NULL : new_tensor(buffer);
    if (tensor == NULL) {
        cr_buffer_unref(&buffer);
        return result < 0 ? result : cr_fail_memory(err, sizeof(*tensor));
    }
    tensor->references = 1;
    tensor->dtype = dtype;
    tensor->rank = rank;
    tensor->elements = elements;
    if (rank > 0)
        memcpy(tensor->shape, shape, (size_t)rank * sizeof(*shape));
    tensor->buffer = buffer;
    *out = tensor;
    return 0;
}

int cr_tensor_create(struct cr_tensor **out, enum cr_dtype dtype, int rank, const int64_t *shape,
                     const void *data, struct cr_error *err)
{
    *out = NULL;
    if (cr_dtype_size(dtype) == 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "%d is no dtype", (int)dtype);
    int64_t elements = 0;
    int result = cr_shape_elements(rank, shape, &elements, err);
    if (result < 0)
        return result;
    size_t bytes;
    if (!cr_size_mul((size_t)elements, cr_dtype_size(dtype), &bytes))
        return cr_fail_memory(err, SIZE_MAX);
    struct cr_buffer *buffer = host_buffer(bytes);
    if (buffer == NULL)
        return cr_fail_memory(err, bytes);
    if (data != NULL && bytes > 0)
        memcpy(buffer->memory, data, bytes);
    return cr_tensor_wrap(out, dtype, rank, shape, buffer, err);
}

struct cr_tensor *cr_tensor_ref(const struct cr_tensor *tensor)
{
    struct cr_tensor *shared = (struct cr_tensor *)(uintptr_t)tensor;
    if (shared != NULL)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void cr_tensor_unref(struct cr_tensor **tensor)
{
    struct cr_tensor *old = *tensor;
    *tensor = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
        return;
    struct cr_buffer *buffer = old->buffer;
    if (buffer->ops->keep_tensor != NULL)
        buffer->ops->keep_tensor(buffer, old);
    else
        cr_free(old);
    cr_buffer_unref(&buffer);
}

enum cr_dtype cr_tensor_dtype(const struct cr_tensor *tensor)
{
    return tensor->dtype;
}

int cr_tensor_rank(const struct cr_tensor *tensor)
{
    return tensor->rank;
}

int64_t cr_tensor_extent(const struct cr_tensor *tensor, int axis)
{
    return axis >= 0 && axis < tensor->rank ? tensor->shape[axis] : 1;
}

int64_t cr_tensor_elements(const struct cr_tensor *tensor)
{
    return tensor->elements;
}

int cr_tensor_read(const struct cr_tensor *tensor, void *data, size_t bytes, struct cr_error *err)
{
    if (cr_dtype_size(tensor->dtype) == 0)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "a tensor of type %s is read with cr_tensor_read_quantized()",
                       cr_dtype_name(tensor->dtype));
    size_t holds = (size_t)tensor->elements * cr_dtype_size(tensor->dtype);
    if (bytes != holds)
        return cr_fail(err, CR_ERR_ARGUMENT, "reading %zu bytes of a tensor that holds %zu", bytes,
                       holds);
    if (bytes == 0)
        return 0;
    return tensor->buffer->ops->read(tensor->buffer, tensor->offset, data, bytes, err);
}
