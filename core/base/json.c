/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "base/json.h"
#include "base/utf8.h"

/* ---- From tokens to a tree ---- */

/* A key of an object that is still open, for finding duplicates when it closes. The name is the
 * tree's. */
struct key {
    const char *name;
    int64_t line, column;
};

struct builder {
    struct cr_json_reader *reader;
    const char *document; /* its name in messages */
    cJSON *root;
    size_t values;
    int depth;
    cJSON *open[CR_JSON_MAX_DEPTH];
    size_t first_key[CR_JSON_MAX_DEPTH]; /* of each open container, in `keys` */
    struct key *keys;
    size_t key_count, key_capacity;
    struct cr_text key; /* whose value comes next */
    int64_t key_line, key_column;
};

static int remember_key(struct builder *builder, const char *name, struct cr_error *err)
{
    if (builder->key_count == builder->key_capacity) {
        size_t capacity = builder->key_capacity == 0 ? 64 : builder->key_capacity * 2;
        struct key *keys = cr_realloc_array(builder->keys, capacity, sizeof(*keys));
        if (keys == NULL)
            return cr_fail_memory(err, capacity * sizeof(*keys));
        builder->keys = keys;
        builder->key_capacity = capacity;
    }
    builder->keys[builder->key_count++] =
        (struct key){name, builder->key_line, builder->key_column};
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order == 0)
        order = (x->line > y->line) - (x->line < y->line);
    if (order == 0)
        order = (x->column > y->column) - (x->column < y->column);
    return order;
}

static int fail_duplicate(const struct builder *builder, const struct key *key,
                          struct cr_error *err)
{
    struct cr_text quoted = CR_TEXT_INIT;
    cr_json_quote(&quoted, key[1].name);
    int result = cr_fail(
        err, CR_ERR_FORMAT, "%s:%lld:%lld: the key %s was used before, at %lld:%lld",
        builder->document, (long long)key[1].line, (long long)key[1].column,
        quoted.failed ? "here" : quoted.data, (long long)key[0].line, (long long)key[0].column);
    cr_text_finish(&quoted);
    return result;
}

/* An object is complete: none of its keys may stand there twice. */
static int check_keys(struct builder *builder, struct cr_error *err)
{
    size_t start = builder->first_key[builder->depth];
    size_t count = builder->key_count - start;
    builder->key_count = start;
    if (count < 2)
        return 0;
    struct key *keys = builder->keys + start;
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < count; i++)
        if (strcmp(keys[i - 1].name, keys[i].name) == 0)
            return fail_duplicate(builder, &keys[i - 1], err);
    return 0;
}

static cJSON *create_item(const struct cr_json_token *token)
{
    switch (token->type) {
    case CR_JSON_OBJECT:
        return cJSON_CreateObject();
    case CR_JSON_ARRAY:
        return cJSON_CreateArray();
    case CR_JSON_STRING:
        return cJSON_CreateString(token->text);
    case CR_JSON_NUMBER:
        return cJSON_CreateNumber(token->number);
    case CR_JSON_NULL:
        return cJSON_CreateNull();
    default:
        return cJSON_CreateBool(token->type == CR_JSON_TRUE);
    }
}

/* Hang the item into the tree; true when the tree owns it. */
static bool attach(struct builder *builder, cJSON *item)
{
    if (builder->depth == 0) {
        builder->root = item;
        return true;
    }
    cJSON *parent = builder->open[builder->depth - 1];
    return cJSON_IsObject(parent) ? cJSON_AddItemToObject(parent, builder->key.data, item)
                                  : cJSON_AddItemToArray(parent, item);
}

static int add_value(struct builder *builder, const struct cr_json_token *token,
                     struct cr_error *err)
{
    if (++builder->values > CR_JSON_MAX_NODES)
        return cr_fail(err, CR_ERR_LIMIT, "%s:%lld:%lld: more than %u values", builder->document,
                       (long long)token->line, (long long)token->column, CR_JSON_MAX_NODES);
    cJSON *item = create_item(token);
    if (item == NULL || !attach(builder, item)) {
        cJSON_Delete(item);
        return cr_fail_memory(err, sizeof(cJSON) + token->size);
    }
    int result = item->string != NULL ? remember_key(builder, item->string, err) : 0;
    if (token->type == CR_JSON_OBJECT || token->type == CR_JSON_ARRAY) {
        builder->first_key[builder->depth] = builder->key_count;
        builder->open[builder->depth++] = item;
    }
    return result;
}

static int add_key(struct builder *builder, const struct cr_json_token *token, struct cr_error *err)
{
    builder->key.size = 0;
    cr_text_append(&builder->key, token->text, token->size);
    builder->key_line = token->line;
    builder->key_column = token->column;
    return builder->key.failed ? cr_fail_memory(err, token->size + 1) : 0;
}

static int build(struct builder *builder, struct cr_error *err)
{
    struct cr_json_token token;
    int result;
    while ((result = cr_json_next(builder->reader, &token, err)) == 0 &&
           token.type != CR_JSON_END) {
        if (token.type == CR_JSON_KEY) {
            result = add_key(builder, &token, err);
        } else if (token.type == CR_JSON_OBJECT_END || token.type == CR_JSON_ARRAY_END) {
            builder->depth--;
            result = check_keys(builder, err);
        } else {
            result = add_value(builder, &token, err);
        }
        if (result < 0)
            return result;
    }
    return result;
}

static int parse(cJSON **out, const char *text, size_t size, const char *name, int64_t line,
                 bool python, struct cr_error *err)
{
    *out = NULL;
    if (size > CR_JSON_MAX_DOCUMENT)
        return cr_fail(err, CR_ERR_LIMIT, "%s: the document is larger than %u bytes", name,
                       CR_JSON_MAX_DOCUMENT);
    struct builder builder = {.document = name};
    int result = cr_json_reader_create(&builder.reader, text, size, name, err);
    if (result == 0) {
        cr_json_reader_set_line(builder.reader, line);
        if (python)
            cr_json_reader_allow_python(builder.reader);
        result = build(&builder, err);
    }
    if (result == 0)
        *out = builder.root;
    else
        cJSON_Delete(builder.root);
    cr_text_finish(&builder.key);
    cr_free(builder.keys);
    cr_json_reader_destroy(&builder.reader);
    return result;
}

int cr_json_parse_line(cJSON **out, const char *text, size_t size, const char *name, int64_t line,
                       struct cr_error *err)
{
    return parse(out, text, size, name, line, false, err);
}

int cr_json_parse(cJSON **out, const char *text, size_t size, const char *name,
                  struct cr_error *err)
{
    return parse(out, text, size, name, 1, false, err);
}

static int load(cJSON **out, const char *path, bool python, struct cr_error *err)
{
    *out = NULL;
    char *text;
    size_t size;
    int result = cr_file_read(path, CR_JSON_MAX_DOCUMENT, &text, &size, err);
    if (result == 0)
        result = parse(out, text, size, path, 1, python, err);
    cr_free(text);
    return result;
}

int cr_json_load(cJSON **out, const char *path, struct cr_error *err)
{
    return load(out, path, false, err);
}

int cr_json_load_python(cJSON **out, const char *path, struct cr_error *err)
{
    return load(out, path, true, err);
}

/* ---- Trees ---- */

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
            if (fresh->string == NULL) /* cJSON up to 1.7.16 replaces without looking */
                return false;
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
           fabs(item->valuedouble) <= CR_JSON_MAX_INTEGER;
}

/* Not cJSON_Compare(): it takes numbers that are nearly equal for equal, and its time doubles with
 * each level of objects. */
bool cr_json_equal(const cJSON *a, const cJSON *b)
{
    if (cJSON_IsString(a) && cJSON_IsString(b))
        return strcmp(a->valuestring, b->valuestring) == 0;
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
        return a->valuedouble == b->valuedouble;
    if (!cJSON_IsArray(a) || !cJSON_IsArray(b))
        return (cJSON_IsTrue(a) && cJSON_IsTrue(b)) || (cJSON_IsFalse(a) && cJSON_IsFalse(b)) ||
               (cJSON_IsNull(a) && cJSON_IsNull(b));
    const cJSON *x = a->child, *y = b->child;
    for (; x != NULL && y != NULL; x = x->next, y = y->next)
        if (!cr_json_equal(x, y))
            return false;
    return x == NULL && y == NULL;
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

/* Is the reference token at `token` (up to '/' or the end), unescaped, this key? */
static bool is_key(const char *token, const char *key)
{
    for (; *token != '\0' && *token != '/'; token++, key++) {
        char byte = *token;
        if (byte == '~' && (token[1] == '0' || token[1] == '1'))
            byte = *++token == '0' ? '~' : '/';
        if (*key != byte)
            return false;
    }
    return *key == '\0';
}

/* The item that the token's digits count, without leading zeros; NULL: there is none. */
static const cJSON *item_at(const cJSON *list, const char *token)
{
    size_t index = 0, length = strcspn(token, "/");
    if (length == 0 || length > 9 || (length > 1 && token[0] == '0'))
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (token[i] < '0' || token[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(token[i] - '0');
    }
    const cJSON *item = list->child;
    while (item != NULL && index-- > 0)
        item = item->next;
    return item;
}

const cJSON *cr_json_at(const cJSON *root, const char *pointer)
{
    const cJSON *at = root;
    while (at != NULL && *pointer == '/') {
        const char *token = pointer + 1;
        if (cJSON_IsArray(at)) {
            at = item_at(at, token);
        } else {
            at = cJSON_IsObject(at) ? at->child : NULL;
            while (at != NULL && !is_key(token, at->string))
                at = at->next;
        }
        pointer = token + strcspn(token, "/");
    }
    return *pointer != '\0' ? NULL : at;
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

/* The character at `text` as it stands in a JSON string; returns its bytes. File names may be no
 * UTF-8, but JSON always is. */
static size_t quote_character(struct cr_text *quoted, const char *text)
{
    unsigned char byte = (unsigned char)*text;
    size_t length = cr_utf8_length(text);
    if (byte == '"' || byte == '\\')
        cr_text_printf(quoted, "\\%c", byte);
    else if (byte == '\n')
        cr_text_add(quoted, "\\n");
    else if (byte == '\t')
        cr_text_add(quoted, "\\t");
    else if (byte < 0x20)
        cr_text_printf(quoted, "\\u%04x", byte);
    else if (length == 0)
        cr_text_add(quoted, "\\ufffd");
    else
        cr_text_append(quoted, text, length);
    return length == 0 ? 1 : length;
}

void cr_json_quote(struct cr_text *text, const char *string)
{
    cr_text_add(text, "\"");
    while (*string != '\0')
        string += quote_character(text, string);
    cr_text_add(text, "\"");
}
