/* SPDX-License-Identifier: MIT */
/* config.c: values out of a JSON file by their pointers, and what is wrong with them. */
#include <math.h>
#include <string.h>

#include <crayon/config.h>
#include <crayon/file.h>

#include "base/json.h"

#define MAX_BYTES ((size_t)16 << 20)
/* Further problems are counted only. */
#define MAX_LISTED 20

struct cr_config {
    char *name; /* of the file */
    cJSON *root;
    struct cr_text problems; /* "/pointer: what; /pointer: what" */
    size_t count;
};

int cr_config_parse(struct cr_config **out, const char *text, size_t size, const char *name,
                    struct cr_error *err)
{
    *out = NULL;
    if (size > MAX_BYTES)
        return cr_fail(err, CR_ERR_LIMIT, "%s: %zu bytes, at most %zu are read", name, size,
                       MAX_BYTES);
    struct cr_config *config = cr_calloc(1, sizeof(*config));
    if (config == NULL || (config->name = cr_strdup(name)) == NULL) {
        cr_free(config);
        return cr_fail_memory(err, sizeof(*config));
    }
    int result = cr_json_parse(&config->root, text, size, name, err);
    if (result == 0 && !cJSON_IsObject(config->root))
        result = cr_fail(err, CR_ERR_FORMAT, "%s: holds %s, an object is needed", name,
                         cr_json_kind(config->root));
    if (result < 0)
        cr_config_destroy(&config);
    *out = config;
    return result;
}

int cr_config_read(struct cr_config **out, const char *path, struct cr_error *err)
{
    *out = NULL;
    char *text = NULL;
    size_t size = 0;
    int result = cr_file_read(path, MAX_BYTES, &text, &size, err);
    if (result == 0)
        result = cr_config_parse(out, text, size, path, err);
    cr_free(text);
    return result;
}

void cr_config_destroy(struct cr_config **config)
{
    struct cr_config *old = *config;
    *config = NULL;
    if (old == NULL)
        return;
    cJSON_Delete(old->root);
    cr_text_finish(&old->problems);
    cr_free(old->name);
    cr_free(old);
}

/* ---- Pointers ---- */

/* What a pointer leads to; NULL when it is absent or null. */
static const cJSON *find(const struct cr_config *config, const char *pointer)
{
    const cJSON *at = cr_json_at(config->root, pointer);
    return cJSON_IsNull(at) ? NULL : at;
}

bool cr_config_has(const struct cr_config *config, const char *pointer)
{
    return find(config, pointer) != NULL;
}

size_t cr_config_count(const struct cr_config *config, const char *pointer)
{
    const cJSON *item = find(config, pointer);
    return cJSON_IsObject(item) || cJSON_IsArray(item) ? (size_t)cJSON_GetArraySize(item) : 0;
}

const char *cr_config_name(const struct cr_config *config, const char *pointer, size_t index)
{
    const cJSON *item = find(config, pointer);
    const cJSON *member = cJSON_IsObject(item) ? item->child : NULL;
    while (member != NULL && index-- > 0)
        member = member->next;
    return member != NULL ? member->string : NULL;
}

/* ---- Problems ---- */

void cr_config_problem(struct cr_config *config, const char *pointer, const char *format, ...)
{
    if (config->count++ >= MAX_LISTED)
        return;
    struct cr_error problem = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&problem, CR_ERR_FORMAT, format, args);
    va_end(args);
    cr_text_printf(&config->problems, "%s%s%s%s", config->count > 1 ? "; " : "", pointer,
                   pointer[0] != '\0' ? ": " : "", problem.message);
}

int cr_config_check(const struct cr_config *config, struct cr_error *err)
{
    if (config->count == 0)
        return 0;
    if (config->problems.failed)
        return cr_fail_memory(err, config->problems.capacity);
    if (config->count > MAX_LISTED)
        return cr_fail(err, CR_ERR_FORMAT, "%s: %zu problems: %s; and %zu more", config->name,
                       config->count, config->problems.data, config->count - MAX_LISTED);
    return cr_fail(err, CR_ERR_FORMAT, "%s: %s", config->name, config->problems.data);
}

/* ---- Values ---- */

static void is_missing(struct cr_config *config, const char *pointer, const char *wanted)
{
    cr_config_problem(config, pointer, "is missing; %s is needed", wanted);
}

static void is_wrong(struct cr_config *config, const char *pointer, const cJSON *item,
                     const char *wanted)
{
    cr_config_problem(config, pointer, "is %s, %s is needed", cr_json_kind(item), wanted);
}

int64_t cr_config_int(struct cr_config *config, const char *pointer, int64_t initial, int64_t min,
                      int64_t max)
{
    const cJSON *item = find(config, pointer);
    bool required = initial == CR_CONFIG_REQUIRED;
    int64_t fallback = required ? min : initial;
    if (item == NULL && required)
        is_missing(config, pointer, "a whole number");
    else if (item != NULL && !cJSON_IsNumber(item))
        is_wrong(config, pointer, item, "a whole number");
    else if (item != NULL && !cr_json_is_integer(item))
        cr_config_problem(config, pointer, "is %.17g, a whole number is needed", item->valuedouble);
    else if (item != NULL && (item->valuedouble < (double)min || item->valuedouble > (double)max))
        cr_config_problem(config, pointer, "%.0f is outside %lld..%lld", item->valuedouble,
                          (long long)min, (long long)max);
    else if (item != NULL)
        return (int64_t)item->valuedouble;
    return fallback;
}

double cr_config_number(struct cr_config *config, const char *pointer, double initial, double min,
                        double max)
{
    const cJSON *item = find(config, pointer);
    bool required = initial == CR_CONFIG_REQUIRED_NUMBER;
    if (item == NULL && required)
        is_missing(config, pointer, "a number");
    else if (item != NULL && !cJSON_IsNumber(item))
        is_wrong(config, pointer, item, "a number");
    else if (item != NULL && !(item->valuedouble >= min && item->valuedouble <= max))
        cr_config_problem(config, pointer, "%g is outside %g..%g", item->valuedouble, min, max);
    else if (item != NULL)
        return item->valuedouble;
    return required ? min : initial;
}

bool cr_config_bool(struct cr_config *config, const char *pointer, bool initial)
{
    const cJSON *item = find(config, pointer);
    if (cJSON_IsBool(item))
        return cJSON_IsTrue(item);
    if (item != NULL)
        is_wrong(config, pointer, item, "true or false");
    return initial;
}

const char *cr_config_text(struct cr_config *config, const char *pointer, const char *initial)
{
    const cJSON *item = find(config, pointer);
    bool required = initial == CR_CONFIG_REQUIRED_TEXT;
    if (cJSON_IsString(item))
        return item->valuestring;
    if (item != NULL)
        is_wrong(config, pointer, item, "a string");
    else if (required)
        is_missing(config, pointer, "a string");
    return required ? "" : initial;
}
