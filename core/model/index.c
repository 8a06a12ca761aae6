/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/json.h"
#include "model/index.h"
#include "model/safetensors.h"

#define MAX_SHARDS 1000u

struct parser {
    struct cr_json_reader *reader;
    struct cr_index *index;
    size_t capacity, shard_capacity;
    struct cr_error *err;
};

static int compare_entries(const void *a, const void *b)
{
    const struct cr_index_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* A shard lies beside the index. */
static bool is_file_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strchr(name, '\\') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int add_shard(struct parser *p, const char *name, size_t *shard)
{
    struct cr_index *index = p->index;
    /* Neighbours mostly lie in one shard. */
    for (size_t i = index->shard_count; i-- > 0;)
        if (strcmp(index->shards[i], name) == 0) {
            *shard = i;
            return 0;
        }
    if (!is_file_name(name))
        return cr_json_fail(p->reader, p->err,
                            "\"%.200s\" is no shard; a file name without folders is needed", name);
    if (index->shard_count == MAX_SHARDS)
        return cr_json_fail(p->reader, p->err, "more than %u shards", MAX_SHARDS);
    if (index->shard_count == p->shard_capacity) {
        size_t capacity = p->shard_capacity == 0 ? 16 : p->shard_capacity * 2;
        const char **shards = cr_realloc_array(index->shards, capacity, sizeof(*shards));
        if (shards == NULL)
            return cr_fail_memory(p->err, capacity * sizeof(*shards));
        index->shards = shards;
        p->shard_capacity = capacity;
    }
    char *copy = cr_arena_strdup(&index->arena, name);
    if (copy == NULL)
        return cr_fail_memory(p->err, strlen(name) + 1);
    *shard = index->shard_count;
    index->shards[index->shard_count++] = copy;
    return 0;
}

static int add_entry(struct parser *p, const char *key)
{
    struct cr_index *index = p->index;
    if (index->count == CR_ST_MAX_TENSORS)
        return cr_json_fail(p->reader, p->err, "more than %u tensors", CR_ST_MAX_TENSORS);
    if (index->count == p->capacity) {
        size_t capacity = p->capacity == 0 ? 256 : p->capacity * 2;
        struct cr_index_entry *entries =
            cr_realloc_array(index->entries, capacity, sizeof(*entries));
        if (entries == NULL)
            return cr_fail_memory(p->err, capacity * sizeof(*entries));
        index->entries = entries;
        p->capacity = capacity;
    }
    struct cr_index_entry entry = {.name = cr_arena_strdup(&index->arena, key)};
    struct cr_json_token token;
    if (entry.name == NULL)
        return cr_fail_memory(p->err, strlen(key) + 1);
    int result = cr_json_next(p->reader, &token, p->err);
    if (result == 0 && token.type != CR_JSON_STRING)
        result = cr_json_fail(p->reader, p->err,
                              "\"%.200s\": the name of a shard is needed, a string", entry.name);
    if (result == 0)
        result = add_shard(p, token.text, &entry.shard);
    if (result == 0)
        index->entries[index->count++] = entry;
    return result;
}

static int read_map(struct parser *p)
{
    struct cr_json_token token;
    int result = cr_json_next(p->reader, &token, p->err);
    if (result == 0 && token.type != CR_JSON_OBJECT)
        result = cr_json_fail(p->reader, p->err, "\"weight_map\" has to be an object");
    while (result == 0 && (result = cr_json_next(p->reader, &token, p->err)) == 0 &&
           token.type == CR_JSON_KEY)
        result = add_entry(p, token.text);
    return result;
}

/* Members other than the map (such as "metadata") say nothing that is needed. */
static int read_document(struct parser *p)
{
    struct cr_json_token token;
    bool seen = false;
    int result = cr_json_next(p->reader, &token, p->err);
    if (result == 0 && token.type != CR_JSON_OBJECT)
        result = cr_json_fail(p->reader, p->err, "an object with \"weight_map\" is needed");
    while (result == 0 && (result = cr_json_next(p->reader, &token, p->err)) == 0 &&
           token.type == CR_JSON_KEY) {
        bool map = strcmp(token.text, "weight_map") == 0;
        if (map && seen)
            result = cr_json_fail(p->reader, p->err, "\"weight_map\" stands there twice");
        else if (map)
            result = read_map(p);
        else if ((result = cr_json_next(p->reader, &token, p->err)) == 0)
            result = cr_json_skip(p->reader, &token, p->err);
        seen = seen || map;
    }
    if (result == 0)
        result = cr_json_next(p->reader, &token, p->err); /* the end */
    if (result == 0 && !seen)
        result = cr_json_fail(p->reader, p->err, "\"weight_map\" is missing");
    return result;
}

static int check_names(struct cr_index *index, const char *path, struct cr_error *err)
{
    if (index->count > 1)
        qsort(index->entries, index->count, sizeof(*index->entries), compare_entries);
    for (size_t i = 1; i < index->count; i++)
        if (strcmp(index->entries[i - 1].name, index->entries[i].name) == 0)
            return cr_fail(err, CR_ERR_FORMAT, "%s: \"%.200s\" stands twice in \"weight_map\"",
                           path, index->entries[i].name);
    return 0;
}

int cr_index_read(struct cr_index *index, const char *path, struct cr_error *err)
{
    struct parser parser = {.index = index, .err = err};
    char *text = NULL;
    size_t size = 0;
    int result = cr_file_read(path, CR_ST_MAX_HEADER, &text, &size, err);
    if (result == 0)
        result = cr_json_reader_create(&parser.reader, text, size, path, err);
    if (result == 0)
        result = read_document(&parser);
    cr_json_reader_destroy(&parser.reader);
    cr_free(text);
    return result == 0 ? check_names(index, path, err) : result;
}

void cr_index_finish(struct cr_index *index)
{
    cr_arena_finish(&index->arena);
    cr_free(index->entries);
    cr_free(index->shards);
    *index = (struct cr_index){.entries = NULL};
}

const struct cr_index_entry *cr_index_find(const struct cr_index *index, const char *name)
{
    const struct cr_index_entry wanted = {.name = name};
    if (index->count == 0)
        return NULL;
    return bsearch(&wanted, index->entries, index->count, sizeof(wanted), compare_entries);
}
