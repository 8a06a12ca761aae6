/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "base/json.h"

/* ---- Validation: everything that cJSON would let pass ---- */

/* The keys of the objects that are open, for finding duplicates: sorted when an object closes. */
struct key {
    char *name;
    int64_t line, column;
};

struct keys {
    struct key *items;
    size_t count, capacity;
    size_t starts[CR_JSON_MAX_DEPTH]; /* where the keys of each open object start */
    int depth;
};

static void keys_cut(struct keys *keys, size_t count)
{
    while (keys->count > count)
        cr_free(keys->items[--keys->count].name);
}

static int keys_add(struct keys *keys, const struct cr_json_token *token, struct cr_error *err)
{
    if (keys->count == keys->capacity) {
        size_t capacity = keys->capacity == 0 ? 64 : keys->capacity * 2;
        struct key *items = cr_realloc_array(keys->items, capacity, sizeof(*items));
        if (items == NULL)
            return cr_fail_memory(err, capacity * sizeof(*items));
        keys->items = items;
        keys->capacity = capacity;
    }
    struct key *key = &keys->items[keys->count];
    *key = (struct key){cr_strndup(token->text, token->size), token->line, token->column};
    if (key->name == NULL)
        return cr_fail_memory(err, token->size + 1);
    keys->count++;
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order == 0)
        order = x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                                   : (x->column > y->column) - (x->column < y->column);
    return order;
}

/* An object closes: none of its keys may stand there twice. */
static int keys_close(struct keys *keys, const char *name, struct cr_error *err)
{
    size_t start = keys->starts[--keys->depth];
    size_t count = keys->count - start;
    if (count > 1)
        qsort(keys->items + start, count, sizeof(*keys->items), compare_keys);
    int result = 0;
    for (size_t i = start + 1; i < keys->count && result == 0; i++)
        if (strcmp(keys->items[i - 1].name, keys->items[i].name) == 0)
            result = cr_fail(err, CR_ERR_FORMAT,
                             "%s:%lld:%lld: the key \"%s\" stands here a second time; the first is "
                             "at %lld:%lld",
                             name, (long long)keys->items[i].line, (long long)keys->items[i].column,
                             keys->items[i].name, (long long)keys->items[i - 1].line,
                             (long long)keys->items[i - 1].column);
    keys_cut(keys, start);
    return result;
}

static int validate_all(struct cr_json_reader *reader, struct keys *keys, const char *name,
                        struct cr_error *err)
{
    struct cr_json_token token;
    size_t nodes = 0;
    int result;
    do {
        if ((result = cr_json_next(reader, &token, err)) < 0)
            return result;
        if (token.type == CR_JSON_OBJECT)
            keys->starts[keys->depth++] = keys->count;
        else if (token.type == CR_JSON_OBJECT_END)
            result = keys_close(keys, name, err);
        else if (token.type == CR_JSON_KEY)
            result = keys_add(keys, &token, err);
        if (result == 0 && ++nodes > CR_JSON_MAX_NODES)
            result = cr_fail(err, CR_ERR_LIMIT, "%s: more than %u values", name, CR_JSON_MAX_NODES);
    } while (result == 0 && token.type != CR_JSON_END);
    return result;
}

static int validate(const char *text, size_t size, const char *name, struct cr_error *err)
{
    struct cr_json_reader *reader = NULL;
    struct keys keys = {.items = NULL};
    int result = cr_json_reader_create(&reader, text, size, name, err);
    if (result == 0)
        result = validate_all(reader, &keys, name, err);
    keys_cut(&keys, 0);
    cr_free(keys.items);
    cr_json_reader_destroy(&reader);
    return result;
}

/* ---- Trees ---- */

int cr_json_parse(cJSON **out, const char *text, size_t size, const char *name,
                  struct cr_error *err)
{
    *out = NULL;
    if (size > CR_JSON_MAX_DOCUMENT)
        return cr_fail(err, CR_ERR_LIMIT, "%s: the document is larger than %u bytes", name,
                       CR_JSON_MAX_DOCUMENT);
    int result = validate(text, size, name, err);
    if (result < 0)
        return result;
    *out = cJSON_ParseWithLength(text, size);
    return *out != NULL ? 0 : cr_fail_memory(err, size);
}

int cr_json_load(cJSON **out, const char *path, struct cr_error *err)
{
    *out = NULL;
    char *text;
    size_t size;
    int result = cr_file_read(path, CR_JSON_MAX_DOCUMENT, &text, &size, err);
    if (result == 0)
        result = cr_json_parse(out, text, size, path, err);
    cr_free(text);
    return result;
}

cJSON *cr_json_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

/* Lay `patch` over `object`, both objects. Members keep their places. */
static bool merge_into(cJSON *object, const cJSON *patch)
{
    const cJSON *member;
    cJSON_ArrayForEach (member, patch) {
        cJSON *old = cr_json_get(object, member->string);
        if (cJSON_IsNull(member)) {
            cJSON_DeleteItemFromObjectCaseSensitive(object, member->string);
        } else if (cJSON_IsObject(old) && cJSON_IsObject(member)) {
            if (!merge_into(old, member))
                return false;
        } else {
            cJSON *fresh = cr_json_merge(NULL, member);
            if (fresh == NULL)
                return false;
            if (old == NULL
                    ? !cJSON_AddItemToObject(object, member->string, fresh)
                    : !cJSON_ReplaceItemInObjectCaseSensitive(object, member->string, fresh)) {
                cJSON_Delete(fresh);
                return false;
            }
        }
    }
    return true;
}

cJSON *cr_json_merge(cJSON *target, const cJSON *patch)
{
    if (!cJSON_IsObject(patch)) {
        cJSON_Delete(target);
        return cJSON_Duplicate(patch, true);
    }
    if (!cJSON_IsObject(target)) {
        cJSON_Delete(target);
        target = cJSON_CreateObject();
    }
    if (target != NULL && !merge_into(target, patch)) {
        cJSON_Delete(target);
        return NULL;
    }
    return target;
}

bool cr_json_is_integer(const cJSON *item)
{
    return cJSON_IsNumber(item) && floor(item->valuedouble) == item->valuedouble &&
           fabs(item->valuedouble) <= 9007199254740992.0;
}

const char *cr_json_kind(const cJSON *item)
{
    return item == NULL           ? "nothing"
           : cJSON_IsObject(item) ? "an object"
           : cJSON_IsArray(item)  ? "a list"
           : cJSON_IsString(item) ? "a string"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsBool(item)   ? (cJSON_IsTrue(item) ? "true" : "false")
           : cJSON_IsNull(item)   ? "null"
                                  : "an unknown value";
}

void cr_json_pointer_add(struct cr_text *pointer, const char *key)
{
    cr_text_add(pointer, "/");
    for (; *key != '\0'; key++) {
        if (*key == '~')
            cr_text_add(pointer, "~0");
        else if (*key == '/')
            cr_text_add(pointer, "~1");
        else
            cr_text_append(pointer, key, 1);
    }
}

void cr_json_quote(struct cr_text *text, const char *string)
{
    cr_text_add(text, "\"");
    for (; *string != '\0'; string++) {
        unsigned char byte = (unsigned char)*string;
        if (byte == '"' || byte == '\\')
            cr_text_printf(text, "\\%c", byte);
        else if (byte == '\n')
            cr_text_add(text, "\\n");
        else if (byte == '\t')
            cr_text_add(text, "\\t");
        else if (byte < 0x20)
            cr_text_printf(text, "\\u%04x", byte);
        else
            cr_text_append(text, string, 1);
    }
    cr_text_add(text, "\"");
}
