/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "command/run/request.h"

#define MAX_TEXT (16u << 20)
#define MAX_IMAGE (256u << 20) /* where no other limit is given */

/* ---- Bytes ---- */

static int read_standard_input(size_t limit, char **data, size_t *size, struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    char block[65536];
    size_t got;
    do {
        got = fread(block, 1, sizeof(block), stdin);
        cr_text_append(&text, block, got);
    } while (got == sizeof(block) && text.size <= limit && !text.failed);
    int result = 0;
    if (ferror(stdin))
        result = cr_fail_errno(err, errno, "standard input: cannot read");
    else if (text.size > limit)
        result =
            cr_fail(err, CR_ERR_LIMIT, "standard input: more than the limit of %zu bytes", limit);
    *size = text.size;
    if (result == 0 && (*data = cr_text_take(&text)) == NULL)
        result = cr_fail_memory(err, *size);
    cr_text_finish(&text);
    return result;
}

static int read_bytes(const char *path, size_t limit, char **data, size_t *size,
                      struct cr_error *err)
{
    *data = NULL;
    if (strcmp(path, "-") == 0)
        return read_standard_input(limit, data, size, err);
    return cr_file_read(path, limit, data, size, err);
}

static int check_utf8(const char *text, const char *where, struct cr_error *err)
{
    const char *fault = cr_utf8_fault(text);
    if (*fault == '\0')
        return 0;
    return cr_fail(err, CR_ERR_FORMAT, "%s: byte %zu is not UTF-8; a text is needed here", where,
                   (size_t)(fault - text) + 1);
}

/* ---- Values ---- */

static int load_image(struct feed *feed, const char *path, struct cr_error *err)
{
    struct cr_image *image = NULL;
    int result;
    if (strcmp(path, "-") == 0) {
        uint64_t most = feed->limits->max_bytes;
        char *data;
        size_t size;
        result = read_bytes(path, most == 0 ? MAX_IMAGE : most, &data, &size, err);
        if (result == 0)
            result = cr_image_decode(&image, data, size, "standard input", feed->limits, err);
        cr_free(data);
    } else {
        result = cr_image_load(&image, path, feed->limits, err);
    }
    if (result == 0)
        result = cr_value_from_image(&feed->value, image, err);
    cr_image_unref(&image);
    return result;
}

/* The JSON file of a COCO panoptic annotation with one image. */
static int load_panoptic(struct feed *feed, const char *path, struct cr_error *err)
{
    struct cr_panoptic *panoptic = NULL;
    struct cr_coco_query any = {.image_id = -1};
    int result = cr_coco_load(&panoptic, path, NULL, &any, NULL, err);
    if (result == 0)
        result = cr_value_from_panoptic(&feed->value, panoptic, err);
    cr_panoptic_unref(&panoptic);
    return result;
}

/* A text file ends with a newline that is not part of the text. */
static int load_text(struct feed *feed, const char *path, struct cr_error *err)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    char *data;
    size_t size;
    int result = read_bytes(path, MAX_TEXT, &data, &size, err);
    if (result == 0 && memchr(data, '\0', size) != NULL)
        result = cr_fail(err, CR_ERR_FORMAT, "%s: holds a NUL byte; a text is needed here", name);
    if (result == 0 && size > 0 && data[size - 1] == '\n')
        data[size - 1] = '\0';
    if (result == 0)
        result = check_utf8(data, name, err);
    if (result == 0)
        result = cr_value_from_text(&feed->value, data, err);
    cr_free(data);
    return result;
}

/* [1, 2, 3], or {"ids": [1, 2, 3]} as crayon tokenize prints it. */
static int load_ids(struct feed *feed, const cJSON *json, struct cr_error *err)
{
    const cJSON *ids =
        cJSON_IsObject(json) && cJSON_GetArraySize(json) == 1 ? cr_json_get(json, "ids") : json;
    if (!cJSON_IsArray(ids))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "a list of token ids or {\"ids\": LIST} is needed here, not %s",
                       cr_json_kind(json));
    size_t count = 0;
    const size_t bytes = (size_t)cJSON_GetArraySize(ids) * sizeof(int32_t);
    int32_t *list = cr_malloc(bytes);
    int result = list == NULL ? cr_fail_memory(err, bytes) : 0;
    for (const cJSON *id = ids->child; id != NULL && result == 0; id = id->next) {
        if (!cJSON_IsNumber(id) ||
            !(id->valuedouble >= INT32_MIN && id->valuedouble <= INT32_MAX) ||
            id->valuedouble != (double)id->valueint)
            result = cr_fail(err, CR_ERR_ARGUMENT, "item %zu of the list is no token id", count);
        else
            list[count++] = (int32_t)id->valueint;
    }
    if (result == 0)
        result = cr_value_create(&feed->value, CR_TYPE_TOKENS, 1, err);
    if (result == 0)
        result = cr_value_set_tokens(feed->value, 0, list, count, err);
    cr_free(list);
    return result;
}

static int parse_ids(struct feed *feed, const char *text, size_t size, const char *name,
                     struct cr_error *err)
{
    cJSON *json = NULL;
    int result = cr_json_parse(&json, text, size, name, err);
    if (result == 0)
        result = load_ids(feed, json, err);
    cJSON_Delete(json);
    return result;
}

static int load_tokens(struct feed *feed, const char *path, struct cr_error *err)
{
    char *data;
    size_t size;
    int result = read_bytes(path, MAX_TEXT, &data, &size, err);
    if (result == 0)
        result = parse_ids(feed, data, size, strcmp(path, "-") == 0 ? "standard input" : path, err);
    cr_free(data);
    return result;
}

static int load_file(struct feed *feed, const char *path, struct cr_error *err)
{
    switch (feed->port.type) {
    case CR_TYPE_IMAGE:
        return load_image(feed, path, err);
    case CR_TYPE_PANOPTIC:
        return load_panoptic(feed, path, err);
    case CR_TYPE_TEXT:
        return load_text(feed, path, err);
    case CR_TYPE_TOKENS:
        return load_tokens(feed, path, err);
    case CR_TYPE_TENSOR:
        break;
    }
    return cr_fail(
        err, CR_ERR_UNSUPPORTED,
        "a tensor cannot be given here, only an image, a panoptic map, a text or tokens");
}

static int load_argument(struct feed *feed, const char *text, struct cr_error *err)
{
    bool is_text = feed->port.type == CR_TYPE_TEXT;
    if (text[0] == '@' && !(is_text && text[1] == '@'))
        return load_file(feed, text + 1, err);
    if (feed->port.type == CR_TYPE_TOKENS)
        return parse_ids(feed, text, strlen(text), "the list", err);
    if (!is_text)
        return load_file(feed, text, err);
    if (text[0] == '@')
        text++;
    int result = check_utf8(text, "the text", err);
    return result < 0 ? result : cr_value_from_text(&feed->value, text, err);
}

int feed_load_argument(struct feed *feed, const char *text, struct cr_error *err)
{
    int result = load_argument(feed, text, err);
    if (result < 0)
        cr_error_prefix(err, "input %s", feed->port.name);
    return result;
}

/* Texts from a data set are never taken for file names: a question may begin with "@". */
static int load_json(struct feed *feed, const cJSON *value, struct cr_error *err)
{
    const cJSON *file = cr_json_get(value, "file");
    bool is_text = feed->port.type == CR_TYPE_TEXT;
    if (cJSON_IsObject(value) && cJSON_IsString(file) && cJSON_GetArraySize(value) == 1)
        return load_file(feed, file->valuestring, err);
    if (is_text && cJSON_IsNull(value))
        return cr_value_from_text(&feed->value, NULL, err);
    if (feed->port.type == CR_TYPE_TOKENS)
        return load_ids(feed, value, err);
    if (!cJSON_IsString(value))
        return cr_fail(err, CR_ERR_ARGUMENT, "a string or {\"file\": FILE} is needed here, not %s",
                       cr_json_kind(value));
    if (is_text)
        return cr_value_from_text(&feed->value, value->valuestring, err);
    return load_file(feed, value->valuestring, err);
}

int feed_load_json(struct feed *feed, const cJSON *value, struct cr_error *err)
{
    cr_value_unref(&feed->value);
    int result = load_json(feed, value, err);
    if (result < 0)
        cr_error_prefix(err, "input %s", feed->port.name);
    return result;
}
