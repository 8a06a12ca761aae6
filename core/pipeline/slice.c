/* SPDX-License-Identifier: MIT */
/* slice.c: parts of a batch, for stages that take only so many items at once. */
#include <string.h>

#include "pipeline/run.h"
#include "value/value.h"

/* ---- Tensors ---- */

/* Bytes of one item. */
static size_t row_bytes(const struct cr_tensor *tensor)
{
    size_t bytes = cr_dtype_size(cr_tensor_dtype(tensor));
    for (int axis = 1; axis < cr_tensor_rank(tensor); axis++)
        bytes *= (size_t)cr_tensor_extent(tensor, axis);
    return bytes;
}

/* The tensor `like` with other numbers, `rows` items of them. */
static int tensor_value(struct cr_value **out, const struct cr_tensor *like, size_t rows,
                        const void *data, struct cr_error *err)
{
    int64_t shape[CR_TENSOR_MAX_RANK] = {(int64_t)rows};
    for (int axis = 1; axis < cr_tensor_rank(like); axis++)
        shape[axis] = cr_tensor_extent(like, axis);
    struct cr_tensor *tensor = NULL;
    int result =
        cr_tensor_create(&tensor, cr_tensor_dtype(like), cr_tensor_rank(like), shape, data, err);
    if (result == 0)
        result = cr_value_from_tensor(out, tensor, err);
    cr_tensor_unref(&tensor);
    return result;
}

static int slice_tensor(struct cr_value **out, const struct cr_value *value, size_t start,
                        size_t count, struct cr_error *err)
{
    const struct cr_tensor *tensor = cr_value_tensor(value);
    size_t row = row_bytes(tensor), bytes = row * cr_value_count(value);
    unsigned char *data = cr_malloc(bytes);
    if (data == NULL)
        return cr_fail_memory(err, bytes);
    int result = cr_tensor_read(tensor, data, bytes, err);
    if (result == 0)
        result = tensor_value(out, tensor, count, data + start * row, err);
    cr_free(data);
    return result;
}

static bool same_items(const struct cr_tensor *a, const struct cr_tensor *b)
{
    bool same = cr_tensor_dtype(a) == cr_tensor_dtype(b) && cr_tensor_rank(a) == cr_tensor_rank(b);
    for (int axis = 1; axis < cr_tensor_rank(a) && same; axis++)
        same = cr_tensor_extent(a, axis) == cr_tensor_extent(b, axis);
    return same;
}

static int join_tensors(struct cr_value **out, struct cr_value *const *parts, size_t count,
                        size_t items, struct cr_error *err)
{
    const struct cr_tensor *first = cr_value_tensor(parts[0]);
    size_t row = row_bytes(first), used = 0;
    unsigned char *data = cr_malloc(row * items);
    int result = data != NULL ? 0 : cr_fail_memory(err, row * items);
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct cr_tensor *tensor = cr_value_tensor(parts[i]);
        size_t bytes = row * cr_value_count(parts[i]);
        if (!same_items(first, tensor))
            result = cr_fail(err, CR_ERR_PLUGIN,
                             "items in one part of the batch have another shape than in the first");
        else
            result = cr_tensor_read(tensor, data + used, bytes, err);
        used += bytes;
    }
    if (result == 0)
        result = tensor_value(out, first, items, data, err);
    cr_free(data);
    return result;
}

/* ---- Lists ---- */

static int copy_item(struct cr_value *to, size_t at, const struct cr_value *from, size_t index,
                     struct cr_error *err)
{
    size_t count;
    switch (cr_value_type(from)) {
    case CR_TYPE_IMAGE:
        cr_value_set_image(to, at, cr_value_image(from, index));
        return 0;
    case CR_TYPE_PANOPTIC:
        cr_value_set_panoptic(to, at, cr_value_panoptic(from, index));
        return 0;
    case CR_TYPE_TEXT:
        return cr_value_set_text_bytes(to, at, cr_value_text(from, index),
                                       cr_value_text_size(from, index), err);
    case CR_TYPE_TOKENS: {
        const int32_t *ids = cr_value_tokens(from, index, &count);
        return cr_value_set_tokens(to, at, ids, count, err);
    }
    case CR_TYPE_TENSOR:
        break;
    }
    return cr_fail(err, CR_ERR_INTERNAL, "a batch of this type has no items");
}

static int copy_items(struct cr_value *to, size_t at, const struct cr_value *from, size_t start,
                      size_t count, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = copy_item(to, at + i, from, start + i, err);
    return result;
}

int cr_value_slice(struct cr_value **out, const struct cr_value *value, size_t start, size_t count,
                   struct cr_error *err)
{
    *out = NULL;
    int result;
    if (cr_value_type(value) == CR_TYPE_TENSOR)
        result = slice_tensor(out, value, start, count, err);
    else if ((result = cr_value_create(out, cr_value_type(value), count, err)) == 0)
        result = copy_items(*out, 0, value, start, count, err);
    if (result < 0)
        cr_value_unref(out);
    else
        cr_value_seal(*out);
    return result;
}

int cr_value_join(struct cr_value **out, struct cr_value *const *parts, size_t count,
                  struct cr_error *err)
{
    *out = NULL;
    size_t items = 0;
    for (size_t i = 0; i < count; i++)
        items += cr_value_count(parts[i]);
    int result;
    if (cr_value_type(parts[0]) == CR_TYPE_TENSOR) {
        result = join_tensors(out, parts, count, items, err);
    } else {
        result = cr_value_create(out, cr_value_type(parts[0]), items, err);
        size_t used = 0;
        for (size_t i = 0; i < count && result == 0; i++) {
            result = copy_items(*out, used, parts[i], 0, cr_value_count(parts[i]), err);
            used += cr_value_count(parts[i]);
        }
    }
    if (result < 0)
        cr_value_unref(out);
    else
        cr_value_seal(*out);
    return result;
}
