/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include <crayon/memory.h>

#include "test.h"
#include "weights.h"

static size_t bits_of(const char *dtype)
{
    static const struct {
        const char *name;
        size_t bits;
    } dtypes[] = {
        {"BOOL", 8}, {"U8", 8},   {"I8", 8},   {"I16", 16}, {"F16", 16}, {"BF16", 16},
        {"I32", 32}, {"F32", 32}, {"I64", 64}, {"F64", 64}, {"F4", 4},
    };
    for (size_t i = 0; i < COUNT(dtypes); i++)
        if (strcmp(dtypes[i].name, dtype) == 0)
            return dtypes[i].bits;
    fail_msg("%s is no dtype that tests write", dtype);
    return 0;
}

size_t weight_bytes(const struct weight *weight)
{
    size_t elements = 1;
    for (int i = 0; i < weight->rank; i++)
        elements *= (size_t)weight->shape[i];
    return elements * bits_of(weight->dtype) / 8;
}

static void write_file(const char *path, const char *header, size_t size, const void *data,
                       size_t bytes)
{
    unsigned char *file = malloc(8 + size + bytes);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)size >> (8 * i));
    memcpy(file + 8, header, size);
    if (bytes > 0)
        memcpy(file + 8 + size, data, bytes);
    write_test_file(path, file, 8 + size + bytes);
    free(file);
}

static void count_up(unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)i;
}

void write_header(const char *path, const char *header, size_t data_bytes)
{
    unsigned char *data = malloc(data_bytes + 1);
    assert_non_null(data);
    count_up(data, data_bytes);
    write_file(path, header, strlen(header), data, data_bytes);
    free(data);
}

void write_weights(const char *path, const struct weight *weights, size_t count)
{
    struct cr_text header = CR_TEXT_INIT, data = CR_TEXT_INIT;
    cr_text_add(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        const struct weight *weight = &weights[i];
        size_t bytes = weight_bytes(weight), start = data.size;
        unsigned char *filler = malloc(bytes + 1);
        assert_non_null(filler);
        count_up(filler, bytes);
        cr_text_append(&data, weight->data != NULL ? weight->data : filler, bytes);
        free(filler);
        cr_text_printf(&header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", weight->name,
                       weight->dtype);
        for (int j = 0; j < weight->rank; j++)
            cr_text_printf(&header, "%s%lld", j > 0 ? "," : "", (long long)weight->shape[j]);
        cr_text_printf(&header, "],\"data_offsets\":[%zu,%zu]}", start, data.size);
    }
    cr_text_add(&header, "}");
    while (header.size % 8 != 0)
        cr_text_add(&header, " ");
    assert_false(header.failed || data.failed);
    write_file(path, header.data, header.size, data.data, data.size);
    cr_text_finish(&header);
    cr_text_finish(&data);
}

const char *weights_folder(const char *name)
{
    const char *path = scratch(name);
    if (mkdir(path, 0777) != 0)
        fail_msg("%s cannot be made", path);
    return path;
}
