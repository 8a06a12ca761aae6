/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/io.h"
#include "base/json.h"
#include "model/safetensors.h"

/* A name in a message: the first bytes of it, as one that is a megabyte long would push out all
 * that comes behind. */
#define NAME "%.200s"

static const struct {
    const char *name;
    int bits;
} dtypes[] = {
#define ENTRY(name, bits) {#name, bits},
    CR_ST_DTYPES(ENTRY)
#undef ENTRY
};

const char *cr_st_dtype_name(enum cr_st_dtype dtype)
{
    return dtypes[dtype].name;
}

int cr_st_dtype_bits(enum cr_st_dtype dtype)
{
    return dtypes[dtype].bits;
}

/* ---- One tensor ---- */

enum keys {
    DTYPE = 1,
    SHAPE = 2,
    OFFSETS = 4,
};

/* What a tensor's object says, while it is read. */
struct entry {
    const char *name;
    unsigned seen; /* enum keys */
    int dtype, rank;
    int64_t shape[CR_ST_MAX_RANK];
    uint64_t start, end;
};

struct parser {
    struct cr_json_reader *reader;
    struct cr_safetensors *file;
    size_t capacity, metadata_capacity;
    const char *path;
    struct cr_error *err;
};

/* A whole number below 2^53, up to which a double holds each; no file is as large. */
static bool is_extent(const struct cr_json_token *token)
{
    return token->type == CR_JSON_NUMBER && token->whole && token->number >= 0 &&
           token->number <= CR_JSON_MAX_INTEGER;
}

static int expect(struct parser *p, struct cr_json_token *token, enum cr_json_type type,
                  const struct entry *entry, const char *what)
{
    int result = cr_json_next(p->reader, token, p->err);
    if (result == 0 && token->type != type)
        result = cr_json_fail(p->reader, p->err, "tensor \"" NAME "\": %s", entry->name, what);
    return result;
}

static int unknown_dtype(struct parser *p, const struct entry *entry, const char *dtype)
{
    struct cr_text known = CR_TEXT_INIT;
    for (size_t i = 0; i < CR_ST_DTYPE_COUNT; i++)
        cr_text_printf(&known, "%s%s", i > 0 ? ", " : "", dtypes[i].name);
    int result = cr_json_fail(p->reader, p->err,
                              "tensor \"" NAME "\": the dtype \"%.40s\" is unknown; known are %s",
                              entry->name, dtype, known.failed ? "..." : known.data);
    cr_text_finish(&known);
    return result;
}

static int read_dtype(struct parser *p, struct entry *entry)
{
    struct cr_json_token token;
    int result = expect(p, &token, CR_JSON_STRING, entry, "\"dtype\" has to be a string");
    if (result < 0)
        return result;
    for (int i = 0; i < CR_ST_DTYPE_COUNT; i++)
        if (strcmp(token.text, dtypes[i].name) == 0) {
            entry->dtype = i;
            return 0;
        }
    return unknown_dtype(p, entry, token.text);
}

static int read_shape(struct parser *p, struct entry *entry)
{
    struct cr_json_token token;
    int result = expect(p, &token, CR_JSON_ARRAY, entry, "\"shape\" has to be a list");
    while (result == 0 && (result = cr_json_next(p->reader, &token, p->err)) == 0) {
        if (token.type == CR_JSON_ARRAY_END)
            return 0;
        if (!is_extent(&token))
            result = cr_json_fail(
                p->reader, p->err,
                "tensor \"" NAME
                "\": extent %d of \"shape\" has to be a whole number from 0 to 2^53 - 1",
                entry->name, entry->rank);
        else if (entry->rank == CR_ST_MAX_RANK)
            result = cr_json_fail(p->reader, p->err, "tensor \"" NAME "\": its rank exceeds %d",
                                  entry->name, CR_ST_MAX_RANK);
        else
            entry->shape[entry->rank++] = (int64_t)token.number;
    }
    return result;
}

static int read_offsets(struct parser *p, struct entry *entry)
{
    static const char what[] =
        "\"data_offsets\" has to be [start, end], whole numbers from 0 to 2^53 - 1";
    struct cr_json_token token;
    uint64_t offsets[2] = {0};
    int result = expect(p, &token, CR_JSON_ARRAY, entry, what);
    for (int i = 0; i < 2 && result == 0; i++) {
        result = expect(p, &token, CR_JSON_NUMBER, entry, what);
        if (result == 0 && !is_extent(&token))
            result = cr_json_fail(p->reader, p->err, "tensor \"" NAME "\": %s", entry->name, what);
        if (result == 0)
            offsets[i] = (uint64_t)token.number;
    }
    if (result == 0)
        result = expect(p, &token, CR_JSON_ARRAY_END, entry, what);
    if (result == 0 && offsets[1] < offsets[0])
        result = cr_json_fail(p->reader, p->err,
                              "tensor \"" NAME "\": its range ends at %llu, before it starts "
                              "at %llu",
                              entry->name, (unsigned long long)offsets[1],
                              (unsigned long long)offsets[0]);
    entry->start = offsets[0];
    entry->end = offsets[1];
    return result;
}

static int read_member(struct parser *p, struct entry *entry, const char *key)
{
    static const struct {
        const char *name;
        unsigned bit;
        int (*read)(struct parser *p, struct entry *entry);
    } members[] = {
        {"dtype", DTYPE, read_dtype},
        {"shape", SHAPE, read_shape},
        {"data_offsets", OFFSETS, read_offsets},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (strcmp(key, members[i].name) != 0)
            continue;
        if ((entry->seen & members[i].bit) != 0)
            return cr_json_fail(p->reader, p->err, "tensor \"" NAME "\": \"%s\" stands there twice",
                                entry->name, key);
        entry->seen |= members[i].bit;
        return members[i].read(p, entry);
    }
    return cr_json_fail(p->reader, p->err,
                        "tensor \"" NAME "\": the key \"%.100s\" is unknown; known are \"dtype\", "
                        "\"shape\" and \"data_offsets\"",
                        entry->name, key);
}

/* Do shape and dtype make what the range holds? */
static int check_bytes(struct parser *p, const struct entry *entry)
{
    uint64_t elements = 1;
    bool empty = false, fits = true;
    for (int i = 0; i < entry->rank; i++)
        empty |= entry->shape[i] == 0;
    for (int i = 0; i < entry->rank && fits && !empty; i++) {
        fits = (uint64_t)entry->shape[i] <= UINT64_MAX / 64 / elements;
        elements *= fits ? (uint64_t)entry->shape[i] : 1;
    }
    uint64_t bits = empty ? 0 : elements * (uint64_t)dtypes[entry->dtype].bits;
    if (!fits)
        return cr_json_fail(p->reader, p->err,
                            "tensor \"" NAME "\": its shape makes more elements than can be "
                            "counted",
                            entry->name);
    if (bits % 8 != 0)
        return cr_json_fail(p->reader, p->err,
                            "tensor \"" NAME "\": %llu elements of %s are no whole bytes",
                            entry->name, (unsigned long long)elements, dtypes[entry->dtype].name);
    if (bits / 8 != entry->end - entry->start)
        return cr_json_fail(p->reader, p->err,
                            "tensor \"" NAME "\": its range holds %llu bytes, its shape of %s "
                            "takes %llu",
                            entry->name, (unsigned long long)(entry->end - entry->start),
                            dtypes[entry->dtype].name, (unsigned long long)(bits / 8));
    return 0;
}

/* ---- All of them ---- */

/* Room for one more of `count` items. */
static void *grow(void *items, size_t count, size_t *capacity, size_t bytes, struct cr_error *err)
{
    if (count < *capacity)
        return items;
    size_t more = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = cr_realloc_array(items, more, bytes);
    if (moved == NULL)
        cr_fail_memory(err, more * bytes);
    else
        *capacity = more;
    return moved;
}

static int keep(struct parser *p, const struct entry *entry)
{
    struct cr_safetensors *file = p->file;
    struct cr_st_tensor *tensors =
        grow(file->tensors, file->count, &p->capacity, sizeof(*tensors), p->err);
    if (tensors == NULL)
        return CR_ERR_MEMORY;
    file->tensors = tensors;
    size_t bytes = (size_t)entry->rank * sizeof(int64_t);
    int64_t *shape = bytes == 0 ? NULL : cr_arena_alloc(&file->arena, bytes);
    if (bytes > 0 && shape == NULL)
        return cr_fail_memory(p->err, bytes);
    if (bytes > 0)
        memcpy(shape, entry->shape, bytes);
    tensors[file->count++] = (struct cr_st_tensor){
        .name = entry->name,
        .shape = shape,
        .start = entry->start,
        .bytes = entry->end - entry->start,
        .dtype = (uint8_t)entry->dtype,
        .rank = (uint8_t)entry->rank,
    };
    return 0;
}

static int check_name(struct parser *p, const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)at[0], next = (unsigned char)at[1];
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next >= 0x80 && next < 0xA0))
            return cr_json_fail(p->reader, p->err,
                                "the name of a tensor holds the control character U+%04X",
                                byte == 0xC2 ? next : byte);
    }
    if (name[0] == '\0')
        return cr_json_fail(p->reader, p->err, "a tensor has an empty name");
    if (p->file->count == CR_ST_MAX_TENSORS)
        return cr_json_fail(p->reader, p->err, "more than %u tensors", CR_ST_MAX_TENSORS);
    return 0;
}

static int read_tensor(struct parser *p, const char *name)
{
    struct entry entry = {.name = cr_arena_strdup(&p->file->arena, name)};
    if (entry.name == NULL)
        return cr_fail_memory(p->err, strlen(name) + 1);
    struct cr_json_token token;
    int result = expect(p, &token, CR_JSON_OBJECT, &entry, "has to be an object");
    while (result == 0 && (result = cr_json_next(p->reader, &token, p->err)) == 0 &&
           token.type == CR_JSON_KEY)
        result = read_member(p, &entry, token.text);
    if (result < 0)
        return result;
    if (entry.seen != (DTYPE | SHAPE | OFFSETS))
        return cr_json_fail(p->reader, p->err, "tensor \"" NAME "\": \"%s\" is missing", entry.name,
                            (entry.seen & DTYPE) == 0   ? "dtype"
                            : (entry.seen & SHAPE) == 0 ? "shape"
                                                        : "data_offsets");
    if ((result = check_bytes(p, &entry)) < 0)
        return result;
    return keep(p, &entry);
}

static int read_text(struct parser *p, const char *key)
{
    struct cr_safetensors *file = p->file;
    struct cr_st_text *texts =
        grow(file->metadata, file->metadata_count, &p->metadata_capacity, sizeof(*texts), p->err);
    if (texts == NULL)
        return CR_ERR_MEMORY;
    file->metadata = texts;
    struct cr_st_text *text = &texts[file->metadata_count];
    struct cr_json_token token;
    text->key = cr_arena_strdup(&file->arena, key);
    int result = cr_json_next(p->reader, &token, p->err);
    if (result == 0 && token.type != CR_JSON_STRING)
        return cr_json_fail(p->reader, p->err, "\"__metadata__\" holds names and strings only");
    if (result < 0)
        return result;
    text->value = cr_arena_strdup(&file->arena, token.text);
    if (text->key == NULL || text->value == NULL)
        return cr_fail_memory(p->err, token.size);
    file->metadata_count++;
    return 0;
}

static int read_metadata(struct parser *p, bool *seen)
{
    struct cr_json_token token;
    if (*seen)
        return cr_json_fail(p->reader, p->err, "\"__metadata__\" stands there twice");
    *seen = true;
    int result = cr_json_next(p->reader, &token, p->err);
    if (result == 0 && token.type != CR_JSON_OBJECT)
        result = cr_json_fail(p->reader, p->err, "\"__metadata__\" has to be an object");
    while (result == 0 && (result = cr_json_next(p->reader, &token, p->err)) == 0 &&
           token.type == CR_JSON_KEY)
        result = read_text(p, token.text);
    return result;
}

static int read_header(struct parser *p)
{
    struct cr_json_token token;
    bool metadata = false;
    int result = cr_json_next(p->reader, &token, p->err); /* the '{' */
    while (result == 0 && (result = cr_json_next(p->reader, &token, p->err)) == 0 &&
           token.type == CR_JSON_KEY) {
        if (strcmp(token.text, "__metadata__") == 0)
            result = read_metadata(p, &metadata);
        else if ((result = check_name(p, token.text)) == 0)
            result = read_tensor(p, token.text);
    }
    return result == 0 ? cr_json_next(p->reader, &token, p->err) : result; /* the end */
}

/* ---- Rules for all tensors together ---- */

static int compare_names(const void *a, const void *b)
{
    const struct cr_st_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_starts(const void *a, const void *b)
{
    const struct cr_st_tensor *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int compare_keys(const void *a, const void *b)
{
    const struct cr_st_text *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* Sorts by start. */
static int check_tiling(struct cr_safetensors *file, uint64_t data_bytes, const char *path,
                        struct cr_error *err)
{
    uint64_t end = 0;
    if (file->count > 1)
        qsort(file->tensors, file->count, sizeof(*file->tensors), compare_starts);
    for (size_t i = 0; i < file->count; i++) {
        const struct cr_st_tensor *tensor = &file->tensors[i];
        if (tensor->start < end)
            return cr_fail(err, CR_ERR_FORMAT,
                           "%s: tensor \"" NAME "\" starts at %llu of the data, in the midst of "
                           "\"" NAME "\", which ends at %llu",
                           path, tensor->name, (unsigned long long)tensor->start,
                           file->tensors[i - 1].name, (unsigned long long)end);
        if (tensor->start > end)
            return cr_fail(err, CR_ERR_FORMAT,
                           "%s: bytes %llu to %llu of the data, before tensor \"" NAME
                           "\", belong to no tensor",
                           path, (unsigned long long)end, (unsigned long long)tensor->start,
                           tensor->name);
        end += tensor->bytes;
    }
    if (end > data_bytes)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the file is cut short: it holds %llu bytes of data, its tensors take "
                       "%llu",
                       path, (unsigned long long)data_bytes, (unsigned long long)end);
    if (end < data_bytes)
        return cr_fail(err, CR_ERR_FORMAT, "%s: %llu bytes behind the last tensor belong to none",
                       path, (unsigned long long)(data_bytes - end));
    return 0;
}

/* Sorts by name. */
static int check_names(struct cr_safetensors *file, const char *path, struct cr_error *err)
{
    if (file->count > 1)
        qsort(file->tensors, file->count, sizeof(*file->tensors), compare_names);
    for (size_t i = 1; i < file->count; i++)
        if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0)
            return cr_fail(err, CR_ERR_FORMAT, "%s: two tensors are named \"" NAME "\"", path,
                           file->tensors[i].name);
    if (file->metadata_count > 1)
        qsort(file->metadata, file->metadata_count, sizeof(*file->metadata), compare_keys);
    for (size_t i = 1; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i - 1].key, file->metadata[i].key) == 0)
            return cr_fail(err, CR_ERR_FORMAT, "%s: \"" NAME "\" stands twice in \"__metadata__\"",
                           path, file->metadata[i].key);
    return 0;
}

/* ---- Files ---- */

int cr_safetensors_parse(struct cr_safetensors **out, const char *header, size_t size,
                         uint64_t data_bytes, const char *path, struct cr_error *err)
{
    *out = NULL;
    if (size == 0 || header[0] != '{')
        return cr_fail(err, CR_ERR_FORMAT, "%s: the header does not begin with '{'", path);
    struct cr_safetensors *file = cr_calloc(1, sizeof(*file));
    if (file == NULL)
        return cr_fail_memory(err, sizeof(*file));
    struct parser parser = {.file = file, .path = path, .err = err};
    int result = cr_json_reader_create(&parser.reader, header, size, path, err);
    if (result == 0)
        result = read_header(&parser);
    cr_json_reader_destroy(&parser.reader);
    if (result == 0)
        result = check_tiling(file, data_bytes, path, err);
    if (result == 0)
        result = check_names(file, path, err);
    if (result < 0)
        cr_safetensors_destroy(&file);
    *out = file;
    return result;
}

static int read_at(int fd, void *data, size_t bytes, uint64_t offset, const char *path,
                   struct cr_error *err)
{
    ssize_t got = cr_io_read_at(fd, data, bytes, offset);
    if (got < 0)
        return cr_fail_errno(err, errno, "%s: cannot read", path);
    if ((size_t)got < bytes)
        return cr_fail(err, CR_ERR_IO, "%s: the file shrinks while it is read", path);
    return 0;
}

int cr_safetensors_read(struct cr_safetensors **out, int fd, uint64_t bytes, const char *path,
                        struct cr_error *err)
{
    unsigned char start[8];
    uint64_t size = 0;
    *out = NULL;
    if (bytes < sizeof(start))
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: %llu bytes are no safetensors file, which begins with the 8 bytes of "
                       "its header's size",
                       path, (unsigned long long)bytes);
    int result = read_at(fd, start, sizeof(start), 0, path, err);
    if (result < 0)
        return result;
    for (int i = 7; i >= 0; i--)
        size = size << 8 | start[i];
    if (size > CR_ST_MAX_HEADER)
        return cr_fail(err, CR_ERR_LIMIT,
                       "%s: a header of %llu bytes, at most %llu are read; is this a safetensors "
                       "file?",
                       path, (unsigned long long)size, (unsigned long long)CR_ST_MAX_HEADER);
    if (size > bytes - sizeof(start))
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the file is cut short: its header has %llu bytes, %llu are there", path,
                       (unsigned long long)size, (unsigned long long)(bytes - sizeof(start)));
    char *header = cr_malloc((size_t)size);
    if (header == NULL)
        return cr_fail_memory(err, (size_t)size);
    result = read_at(fd, header, (size_t)size, sizeof(start), path, err);
    if (result == 0)
        result = cr_safetensors_parse(out, header, (size_t)size, bytes - sizeof(start) - size, path,
                                      err);
    if (result == 0)
        (*out)->data = sizeof(start) + size;
    cr_free(header);
    return result;
}

void cr_safetensors_destroy(struct cr_safetensors **file)
{
    struct cr_safetensors *old = *file;
    *file = NULL;
    if (old == NULL)
        return;
    cr_arena_finish(&old->arena);
    cr_free(old->tensors);
    cr_free(old->metadata);
    cr_free(old);
}

const struct cr_st_tensor *cr_safetensors_find(const struct cr_safetensors *file, const char *name)
{
    const struct cr_st_tensor wanted = {.name = name};
    if (file->count == 0)
        return NULL;
    return bsearch(&wanted, file->tensors, file->count, sizeof(wanted), compare_names);
}
