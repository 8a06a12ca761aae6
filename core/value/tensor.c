/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/tensor.h>

#define MAX_ELEMENTS ((int64_t)1 << 31) /* exclusive */

struct cr_tensor {
    _Atomic int references;
    enum cr_dtype dtype;
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    int64_t elements;
    void *data;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [CR_DTYPE_F32] = {"f32", 4},
    [CR_DTYPE_F16] = {"f16", 2},
    [CR_DTYPE_I32] = {"i32", 4},
    [CR_DTYPE_U8] = {"u8", 1},
};

static bool is_dtype(enum cr_dtype dtype)
{
    return (int)dtype >= CR_DTYPE_F32 && (int)dtype <= CR_DTYPE_U8;
}

const char *cr_dtype_name(enum cr_dtype dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].name : "?";
}

size_t cr_dtype_size(enum cr_dtype dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].size : 0;
}

static int count_elements(int rank, const int64_t *shape, int64_t *elements, struct cr_error *err)
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

int cr_tensor_create(struct cr_tensor **out, enum cr_dtype dtype, int rank, const int64_t *shape,
                     const void *data, struct cr_error *err)
{
    *out = NULL;
    if (!is_dtype(dtype))
        return cr_fail(err, CR_ERR_ARGUMENT, "%d is no dtype", (int)dtype);
    int64_t elements = 0;
    int result = count_elements(rank, shape, &elements, err);
    if (result < 0)
        return result;
    size_t bytes;
    if (!cr_size_mul((size_t)elements, cr_dtype_size(dtype), &bytes))
        return cr_fail_memory(err, SIZE_MAX);
    struct cr_tensor *tensor = cr_calloc(1, sizeof(*tensor));
    if (tensor == NULL || (tensor->data = cr_calloc(1, bytes)) == NULL) {
        cr_free(tensor);
        return cr_fail_memory(err, bytes);
    }
    tensor->references = 1;
    tensor->dtype = dtype;
    tensor->rank = rank;
    tensor->elements = elements;
    if (rank > 0)
        memcpy(tensor->shape, shape, (size_t)rank * sizeof(*shape));
    if (data != NULL && bytes > 0)
        memcpy(tensor->data, data, bytes);
    *out = tensor;
    return 0;
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
    cr_free(old->data);
    cr_free(old);
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
    size_t holds = (size_t)tensor->elements * cr_dtype_size(tensor->dtype);
    if (bytes != holds)
        return cr_fail(err, CR_ERR_ARGUMENT, "reading %zu bytes of a tensor that holds %zu", bytes,
                       holds);
    if (bytes > 0)
        memcpy(data, tensor->data, bytes);
    return 0;
}
