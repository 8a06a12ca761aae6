/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include <crayon/memory.h>

#include "value/value.h"

struct token_list {
    int32_t *ids;
    size_t count;
};

struct text {
    char *bytes; /* with a NUL behind them; NULL: the null item */
    size_t size;
};

union item {
    struct cr_image *image;
    struct cr_panoptic *panoptic;
    struct text text;
    struct token_list tokens;
};

struct cr_value {
    _Atomic int references;
    _Atomic bool sealed;
    enum cr_type type;
    size_t count;
    struct cr_tensor *tensor; /* CR_TYPE_TENSOR: instead of items */
    bool *is_set;
    union item items[];
};

static const char *const type_names[] = {
    [CR_TYPE_IMAGE] = "image",   [CR_TYPE_PANOPTIC] = "panoptic", [CR_TYPE_TEXT] = "text",
    [CR_TYPE_TENSOR] = "tensor", [CR_TYPE_TOKENS] = "tokens",
};
#define TYPES (sizeof(type_names) / sizeof(type_names[0]))

const char *cr_type_name(enum cr_type type)
{
    return (size_t)type < TYPES ? type_names[type] : NULL;
}

enum cr_type cr_type_find(const char *name)
{
    for (size_t i = 1; i < TYPES; i++)
        if (strcmp(type_names[i], name) == 0)
            return (enum cr_type)i;
    return (enum cr_type)0;
}

static struct cr_value *allocate(enum cr_type type, size_t count, size_t items)
{
    size_t bytes;
    if (!cr_size_mul(items, sizeof(union item), &bytes) ||
        !cr_size_add(bytes, sizeof(struct cr_value), &bytes))
        return NULL;
    struct cr_value *value = cr_calloc(1, bytes);
    if (value == NULL)
        return NULL;
    if ((value->is_set = cr_calloc(items, sizeof(bool))) == NULL) {
        cr_free(value);
        return NULL;
    }
    value->references = 1;
    value->type = type;
    value->count = count;
    return value;
}

int cr_value_create(struct cr_value **out, enum cr_type type, size_t count, struct cr_error *err)
{
    assert(cr_type_name(type) != NULL && type != CR_TYPE_TENSOR);
    *out = allocate(type, count, count);
    return *out != NULL ? 0 : cr_fail_memory(err, count * sizeof(union item));
}

int cr_value_from_tensor(struct cr_value **out, const struct cr_tensor *tensor,
                         struct cr_error *err)
{
    *out = NULL;
    if (cr_tensor_rank(tensor) == 0)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "a tensor of rank 0 has no leading extent for a batch");
    struct cr_value *value = allocate(CR_TYPE_TENSOR, (size_t)cr_tensor_extent(tensor, 0), 0);
    if (value == NULL)
        return cr_fail_memory(err, sizeof(*value));
    value->tensor = cr_tensor_ref(tensor);
    *out = value;
    return 0;
}

struct cr_value *cr_value_ref(const struct cr_value *value)
{
    struct cr_value *shared = (struct cr_value *)(uintptr_t)value;
    if (shared != NULL)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

static void item_finish(enum cr_type type, union item *item)
{
    if (type == CR_TYPE_IMAGE)
        cr_image_unref(&item->image);
    else if (type == CR_TYPE_PANOPTIC)
        cr_panoptic_unref(&item->panoptic);
    else if (type == CR_TYPE_TEXT)
        cr_free(item->text.bytes);
    else if (type == CR_TYPE_TOKENS)
        cr_free(item->tokens.ids);
}

void cr_value_unref(struct cr_value **value)
{
    struct cr_value *old = *value;
    *value = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
        return;
    if (old->type == CR_TYPE_TENSOR)
        cr_tensor_unref(&old->tensor);
    else
        for (size_t i = 0; i < old->count; i++)
            item_finish(old->type, &old->items[i]);
    cr_free(old->is_set);
    cr_free(old);
}

enum cr_type cr_value_type(const struct cr_value *value)
{
    return value->type;
}

size_t cr_value_count(const struct cr_value *value)
{
    return value->count;
}

void cr_value_seal(struct cr_value *value)
{
    atomic_store(&value->sealed, true);
}

bool cr_value_complete(const struct cr_value *value, size_t *index)
{
    if (value->type == CR_TYPE_TENSOR)
        return true;
    for (size_t i = 0; i < value->count; i++) {
        if (!value->is_set[i]) {
            *index = i;
            return false;
        }
    }
    return true;
}

/* The item that is about to be set. */
static union item *claim(struct cr_value *value, enum cr_type type, size_t index)
{
    assert(value->type == type && index < value->count && !value->is_set[index] &&
           !atomic_load(&value->sealed));
    value->is_set[index] = true;
    return &value->items[index];
}

void cr_value_set_image(struct cr_value *value, size_t index, const struct cr_image *image)
{
    assert(image != NULL);
    claim(value, CR_TYPE_IMAGE, index)->image = cr_image_ref(image);
}

void cr_value_set_panoptic(struct cr_value *value, size_t index, const struct cr_panoptic *panoptic)
{
    assert(panoptic != NULL);
    claim(value, CR_TYPE_PANOPTIC, index)->panoptic = cr_panoptic_ref(panoptic);
}

int cr_value_set_text(struct cr_value *value, size_t index, const char *text, struct cr_error *err)
{
    return cr_value_set_text_bytes(value, index, text, text == NULL ? 0 : strlen(text), err);
}

int cr_value_set_text_bytes(struct cr_value *value, size_t index, const char *text, size_t size,
                            struct cr_error *err)
{
    char *copy = NULL;
    if (text != NULL) {
        if (size == SIZE_MAX || (copy = cr_malloc(size + 1)) == NULL)
            return cr_fail_memory(err, size);
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    claim(value, CR_TYPE_TEXT, index)->text = (struct text){copy, size};
    return 0;
}

int cr_value_set_tokens(struct cr_value *value, size_t index, const int32_t *ids, size_t count,
                        struct cr_error *err)
{
    int32_t *copy = cr_calloc(count, sizeof(*ids));
    if (copy == NULL)
        return cr_fail_memory(err, count * sizeof(*ids));
    if (count > 0)
        memcpy(copy, ids, count * sizeof(*ids));
    claim(value, CR_TYPE_TOKENS, index)->tokens = (struct token_list){copy, count};
    return 0;
}

static const union item *look(const struct cr_value *value, enum cr_type type, size_t index)
{
    assert(value->type == type && index < value->count);
    return &value->items[index];
}

const struct cr_image *cr_value_image(const struct cr_value *value, size_t index)
{
    return look(value, CR_TYPE_IMAGE, index)->image;
}

const struct cr_panoptic *cr_value_panoptic(const struct cr_value *value, size_t index)
{
    return look(value, CR_TYPE_PANOPTIC, index)->panoptic;
}

const char *cr_value_text(const struct cr_value *value, size_t index)
{
    return look(value, CR_TYPE_TEXT, index)->text.bytes;
}

size_t cr_value_text_size(const struct cr_value *value, size_t index)
{
    return look(value, CR_TYPE_TEXT, index)->text.size;
}

const int32_t *cr_value_tokens(const struct cr_value *value, size_t index, size_t *count)
{
    const struct token_list *tokens = &look(value, CR_TYPE_TOKENS, index)->tokens;
    *count = tokens->count;
    return tokens->ids;
}

const struct cr_tensor *cr_value_tensor(const struct cr_value *value)
{
    assert(value->type == CR_TYPE_TENSOR);
    return value->tensor;
}

int cr_value_from_image(struct cr_value **out, const struct cr_image *image, struct cr_error *err)
{
    int result = cr_value_create(out, CR_TYPE_IMAGE, 1, err);
    if (result == 0)
        cr_value_set_image(*out, 0, image);
    return result;
}

int cr_value_from_panoptic(struct cr_value **out, const struct cr_panoptic *panoptic,
                           struct cr_error *err)
{
    int result = cr_value_create(out, CR_TYPE_PANOPTIC, 1, err);
    if (result == 0)
        cr_value_set_panoptic(*out, 0, panoptic);
    return result;
}

int cr_value_from_text(struct cr_value **out, const char *text, struct cr_error *err)
{
    int result = cr_value_create(out, CR_TYPE_TEXT, 1, err);
    if (result == 0 && (result = cr_value_set_text(*out, 0, text, err)) < 0)
        cr_value_unref(out);
    return result;
}
