/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "safetensors.h"
#include "test.h"

struct st_file {
    const char *path;
    cJSON *header;
    unsigned char *data; /* behind the header, in memory of its own: aligned */
    size_t size;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
    {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1},
};

static size_t dtype_size(const char *name)
{
    for (size_t i = 0; i < COUNT(dtypes); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].size;
    return 0;
}

struct st_file *st_open(const char *path)
{
    size_t size;
    unsigned char *bytes = (unsigned char *)read_test_file(path, &size);
    uint64_t header = 0;
    for (size_t i = 8; i-- > 0 && size >= 8;)
        header = header << 8 | bytes[i];
    if (size < 8 || header > size - 8)
        fail_msg("%s: no safetensors file", path);
    struct st_file *file = calloc(1, sizeof(*file));
    /* Nothing of the core: programs that are linked with libcrayon use this too. */
    if (file == NULL ||
        (file->header = cJSON_ParseWithLength((const char *)bytes + 8, (size_t)header)) == NULL)
        fail_msg("%s: the header is not JSON", path);
    file->path = path;
    file->size = size - 8 - (size_t)header;
    file->data = malloc(file->size + 1);
    if (file->data == NULL)
        fail_msg("%s: out of memory", path);
    memcpy(file->data, bytes + 8 + header, file->size);
    return file;
}

void st_close(struct st_file **file)
{
    if (*file == NULL)
        return;
    cJSON_Delete((*file)->header);
    free((*file)->data);
    free(*file);
    *file = NULL;
}

static int64_t whole(const struct st_file *file, const char *name, const cJSON *item)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 0x1p53 ||
        item->valuedouble != floor(item->valuedouble))
        fail_msg("%s: %s: malformed description", file->path, name);
    return (int64_t)item->valuedouble;
}

bool st_find(const struct st_file *file, const char *name, struct st_tensor *tensor)
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(file->header, name);
    if (entry == NULL)
        return false;
    const char *dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "dtype"));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (dtype == NULL || dtype_size(dtype) == 0 || cJSON_GetArraySize(offsets) != 2)
        fail_msg("%s: %s: malformed description", file->path, name);
    *tensor = (struct st_tensor){.elements = 1};
    strcpy(tensor->dtype, dtype);
    const cJSON *extent;
    cJSON_ArrayForEach (extent, cJSON_GetObjectItemCaseSensitive(entry, "shape")) {
        if (tensor->rank == 8)
            fail_msg("%s: %s: more than 8 dimensions", file->path, name);
        tensor->shape[tensor->rank] = whole(file, name, extent);
        tensor->elements *= tensor->shape[tensor->rank++];
    }
    int64_t from = whole(file, name, cJSON_GetArrayItem(offsets, 0));
    int64_t to = whole(file, name, cJSON_GetArrayItem(offsets, 1));
    tensor->bytes = (size_t)tensor->elements * dtype_size(dtype);
    if (to < from || (size_t)to > file->size || (size_t)(to - from) != tensor->bytes)
        fail_msg("%s: %s: offsets and shape disagree", file->path, name);
    if ((size_t)from % dtype_size(dtype) != 0)
        fail_msg("%s: %s: the data are not aligned", file->path, name);
    tensor->data = file->data + from;
    return true;
}

struct st_tensor st_get(const struct st_file *file, const char *name, const char *dtype)
{
    struct st_tensor tensor;
    if (!st_find(file, name, &tensor))
        fail_msg("%s: no tensor \"%s\"", file->path, name);
    if (strcmp(tensor.dtype, dtype) != 0)
        fail_msg("%s: %s: is %s, not %s", file->path, name, tensor.dtype, dtype);
    return tensor;
}

const char *st_name(const struct st_file *file, size_t index)
{
    const cJSON *entry;
    cJSON_ArrayForEach (entry, file->header)
        if (strcmp(entry->string, "__metadata__") != 0 && index-- == 0)
            return entry->string;
    return NULL;
}
