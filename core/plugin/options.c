/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/paths.h"
#include "plugin/options.h"

/* ---- Look-up ---- */

const struct cr_option *cr_option_find(const struct cr_option *const *options, const char *name)
{
    for (; options != NULL && *options != NULL; options++)
        if (strcmp((*options)->name, name) == 0)
            return *options;
    return NULL;
}

const struct cr_port *cr_port_find(const struct cr_port *const *ports, const char *name)
{
    for (; ports != NULL && *ports != NULL; ports++)
        if (strcmp((*ports)->name, name) == 0)
            return *ports;
    return NULL;
}

bool cr_is_reserved_key(const char *key)
{
    static const char *const keys[] = {"use", "in", "device", "release", "note", "batch", "when"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return strncmp(key, "x-", 2) == 0;
}

static bool equal_strings(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool equal_lists(const struct cr_option_strings *a, const struct cr_option_strings *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; i < a->count && equal; i++)
        equal = equal_strings(a->items[i], b->items[i]);
    return equal;
}

bool cr_option_equal(const struct cr_option *option, const void *state, const void *other)
{
    const void *a = (const char *)state + option->offset;
    const void *b = (const char *)other + option->offset;
    const struct cr_option_ints *ints = a, *other_ints = b;
    switch (option->type) {
    case CR_OPTION_TYPE_STRING:
    case CR_OPTION_TYPE_CHOICE:
    case CR_OPTION_TYPE_PATH:
    case CR_OPTION_TYPE_MODEL:
    case CR_OPTION_TYPE_FILE:
        return equal_strings(*(const char *const *)a, *(const char *const *)b);
    case CR_OPTION_TYPE_INTS:
        return ints->count == other_ints->count &&
               (ints->count == 0 ||
                memcmp(ints->items, other_ints->items, ints->count * sizeof(*ints->items)) == 0);
    case CR_OPTION_TYPE_STRINGS:
        return equal_lists(a, b);
    case CR_OPTION_TYPE_BOOL:
    case CR_OPTION_TYPE_INT:
    case CR_OPTION_TYPE_NUMBER:
    case CR_OPTION_TYPE_SIZE:
        break;
    }
    return memcmp(a, b, cr_option_member_size(option->type)) == 0;
}

size_t cr_option_member_size(enum cr_option_type type)
{
    switch (type) {
    case CR_OPTION_TYPE_BOOL:
        return sizeof(bool);
    case CR_OPTION_TYPE_INT:
        return sizeof(int64_t);
    case CR_OPTION_TYPE_NUMBER:
        return sizeof(double);
    case CR_OPTION_TYPE_STRING:
    case CR_OPTION_TYPE_CHOICE:
    case CR_OPTION_TYPE_PATH:
    case CR_OPTION_TYPE_MODEL:
    case CR_OPTION_TYPE_FILE:
        return sizeof(const char *);
    case CR_OPTION_TYPE_SIZE:
        return sizeof(struct cr_size);
    case CR_OPTION_TYPE_INTS:
        return sizeof(struct cr_option_ints);
    case CR_OPTION_TYPE_STRINGS:
        return sizeof(struct cr_option_strings);
    }
    return 0;
}

/* ---- Numbers and their bounds ---- */

/* The shortest text that reads back as the same number, with a point whatever the locale says. */
static void number_text(char out[40], double number)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, number);
        if (strtod(out, NULL) == number)
            break;
    }
    const char *point = localeconv()->decimal_point;
    char *at = strstr(out, point);
    size_t length = strlen(point);
    if (at != NULL && length > 0) {
        memmove(at + 1, at + length, strlen(at + length) + 1);
        *at = '.';
    }
}

/* What a number may be. Where a side is open, it is the largest number that the type holds. */
struct bounds {
    double low, high;
    bool low_open, high_open;
};

static struct bounds bounds_of(const struct cr_option *option)
{
    double lowest = -INFINITY, highest = INFINITY;
    if (option->type == CR_OPTION_TYPE_INT || option->type == CR_OPTION_TYPE_INTS) {
        lowest = -CR_JSON_MAX_INTEGER;
        highest = CR_JSON_MAX_INTEGER;
    } else if (option->type == CR_OPTION_TYPE_SIZE) {
        lowest = 0;
        highest = INT32_MAX;
    }
    struct bounds bounds = {lowest, highest, true, true};
    if (option->min != option->max) {
        bounds.low = fmax(option->min, lowest);
        bounds.high = fmin(option->max, highest);
        bounds.low_open = option->min <= lowest && option->type != CR_OPTION_TYPE_SIZE;
        bounds.high_open = option->max >= highest;
    } else if (option->type == CR_OPTION_TYPE_SIZE) {
        bounds.low = 1;
        bounds.low_open = false;
    }
    return bounds;
}

/* "1..100", "at least 1", "at most 5", or nothing. */
static void bounds_text(char out[100], const struct bounds *bounds)
{
    char low[40], high[40];
    number_text(low, bounds->low);
    number_text(high, bounds->high);
    if (bounds->low_open && bounds->high_open)
        out[0] = '\0';
    else if (bounds->high_open)
        snprintf(out, 100, "at least %s", low);
    else if (bounds->low_open)
        snprintf(out, 100, "at most %s", high);
    else
        snprintf(out, 100, "%s..%s", low, high);
}

static int check_bounds(const struct cr_option *option, double number, struct cr_error *err)
{
    struct bounds bounds = bounds_of(option);
    if (number >= bounds.low && number <= bounds.high)
        return 0;
    char text[40], allowed[100];
    number_text(text, number);
    bounds_text(allowed, &bounds);
    bool limit_of_type = number > bounds.high ? bounds.high_open : bounds.low_open;
    if (limit_of_type)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s is too large", text);
    bool one_sided = bounds.low_open || bounds.high_open;
    return cr_fail(err, CR_ERR_ARGUMENT, "%s is %s %s", text, one_sided ? "not" : "outside",
                   allowed);
}

/* ---- Checking ---- */

static int fail_kind(const cJSON *value, const char *needed, struct cr_error *err)
{
    return cr_fail(err, CR_ERR_ARGUMENT, "%s is needed here, not %s", needed, cr_json_kind(value));
}

static int check_integer(const struct cr_option *option, const cJSON *value, struct cr_error *err)
{
    if (!cJSON_IsNumber(value))
        return fail_kind(value, "a whole number", err);
    double number = value->valuedouble;
    char text[40];
    number_text(text, number);
    if (isfinite(number) && floor(number) != number)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s is no whole number", text);
    return check_bounds(option, number, err);
}

static int check_number(const struct cr_option *option, const cJSON *value, struct cr_error *err)
{
    if (!cJSON_IsNumber(value))
        return fail_kind(value, "a number", err);
    if (!isfinite(value->valuedouble))
        return cr_fail(err, CR_ERR_ARGUMENT, "the number is too large");
    return check_bounds(option, value->valuedouble, err);
}

static int check_string(const cJSON *value, const char *needed, bool empty, struct cr_error *err)
{
    if (!cJSON_IsString(value))
        return fail_kind(value, needed, err);
    if (!empty && value->valuestring[0] == '\0')
        return cr_fail(err, CR_ERR_ARGUMENT, "%s is needed here, not an empty string", needed);
    return 0;
}

static int check_choice(const struct cr_option *option, const cJSON *value, struct cr_error *err)
{
    int result = check_string(value, "a string", true, err);
    if (result < 0)
        return result;
    struct cr_text names = CR_TEXT_INIT;
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, value->valuestring);
    for (const char *const *choice = option->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, value->valuestring) == 0) {
            cr_text_finish(&names);
            return 0;
        }
        cr_text_printf(&names, "%s%s", names.size > 0 ? ", " : "", *choice);
        cr_nearest_offer(&nearest, *choice);
    }
    if (nearest.best != NULL)
        cr_text_printf(&names, "; did you mean \"%s\"?", nearest.best);
    if (names.failed)
        result = cr_fail_memory(err, names.size);
    else
        result = cr_fail(err, CR_ERR_ARGUMENT, "\"%s\" is none of %s", value->valuestring,
                         names.data == NULL ? "(nothing)" : names.data);
    cr_text_finish(&names);
    return result;
}

static int check_size(const struct cr_option *option, const cJSON *value, struct cr_error *err)
{
    if (!cJSON_IsArray(value))
        return fail_kind(value, "a size [height, width]", err);
    int count = cJSON_GetArraySize(value);
    if (count != 2)
        return cr_fail(err, CR_ERR_ARGUMENT, "a size [height, width] has 2 numbers, not %d", count);
    int result = check_integer(option, value->child, err);
    if (result < 0) {
        cr_error_prefix(err, "height");
        return result;
    }
    result = check_integer(option, value->child->next, err);
    if (result < 0)
        cr_error_prefix(err, "width");
    return result;
}

static int check_list(const struct cr_option *option, const cJSON *value, struct cr_error *err)
{
    bool ints = option->type == CR_OPTION_TYPE_INTS;
    if (!cJSON_IsArray(value))
        return fail_kind(value, ints ? "a list of whole numbers" : "a list of strings", err);
    int index = 1;
    const cJSON *item;
    cJSON_ArrayForEach (item, value) {
        int result =
            ints ? check_integer(option, item, err) : check_string(item, "a string", true, err);
        if (result < 0) {
            cr_error_prefix(err, "item %d", index);
            return result;
        }
        index++;
    }
    return 0;
}

int cr_option_check(const struct cr_option *option, const cJSON *value, struct cr_error *err)
{
    switch (option->type) {
    case CR_OPTION_TYPE_BOOL:
        return cJSON_IsBool(value) ? 0 : fail_kind(value, "true or false", err);
    case CR_OPTION_TYPE_INT:
        return check_integer(option, value, err);
    case CR_OPTION_TYPE_NUMBER:
        return check_number(option, value, err);
    case CR_OPTION_TYPE_STRING:
        return check_string(value, "a string", true, err);
    case CR_OPTION_TYPE_CHOICE:
        return check_choice(option, value, err);
    case CR_OPTION_TYPE_PATH:
        return check_string(value, "a path", false, err);
    case CR_OPTION_TYPE_MODEL:
        return check_string(value, "a folder or the name of a model", false, err);
    case CR_OPTION_TYPE_FILE:
        return check_string(value, "a file or the name of an installed one", false, err);
    case CR_OPTION_TYPE_SIZE:
        return check_size(option, value, err);
    case CR_OPTION_TYPE_INTS:
    case CR_OPTION_TYPE_STRINGS:
        return check_list(option, value, err);
    }
    return cr_fail(err, CR_ERR_INTERNAL, "an option of unknown type %d", (int)option->type);
}

/* ---- Storing ---- */

static int copy_string(const char *from, struct cr_arena *arena, const char **to,
                       struct cr_error *err)
{
    *to = cr_arena_strdup(arena, from);
    return *to != NULL ? 0 : cr_fail_memory(err, strlen(from) + 1);
}

/* A name of a model is told from a folder by looking: only a folder is resolved. The name of a file
 * has no slash. */
static int copy_path(const struct cr_option *option, const char *path, const char *folder,
                     struct cr_arena *arena, const char **to, struct cr_error *err)
{
    char *resolved = cr_path_join(folder == NULL ? "." : folder, path);
    if (resolved == NULL)
        return cr_fail_memory(err, strlen(path) + 1);
    struct stat st;
    bool as_written = option->type == CR_OPTION_TYPE_FILE ? strchr(path, '/') == NULL
                      : option->type == CR_OPTION_TYPE_MODEL
                          ? cr_io_stat(resolved, &st) < 0 || !S_ISDIR(st.st_mode)
                          : false;
    int result = copy_string(as_written ? path : resolved, arena, to, err);
    cr_free(resolved);
    return result;
}

static int copy_ints(const cJSON *value, struct cr_arena *arena, struct cr_option_ints *to,
                     struct cr_error *err)
{
    size_t count = (size_t)cJSON_GetArraySize(value), index = 0;
    int64_t *items = cr_arena_alloc(arena, count * sizeof(*items));
    if (items == NULL)
        return cr_fail_memory(err, count * sizeof(*items));
    const cJSON *item;
    cJSON_ArrayForEach (item, value)
        items[index++] = (int64_t)item->valuedouble;
    *to = (struct cr_option_ints){items, count};
    return 0;
}

static int copy_strings(const cJSON *value, struct cr_arena *arena, struct cr_option_strings *to,
                        struct cr_error *err)
{
    size_t count = (size_t)cJSON_GetArraySize(value), index = 0;
    const char **items = cr_arena_alloc(arena, count * sizeof(*items));
    if (items == NULL)
        return cr_fail_memory(err, count * sizeof(*items));
    const cJSON *item;
    cJSON_ArrayForEach (item, value) {
        int result = copy_string(item->valuestring, arena, &items[index++], err);
        if (result < 0)
            return result;
    }
    *to = (struct cr_option_strings){items, count};
    return 0;
}

/* A member of any type, as it will lie in the state struct. */
union member {
    bool boolean;
    int64_t integer;
    double number;
    const char *string;
    struct cr_size size;
    struct cr_option_ints ints;
    struct cr_option_strings strings;
};

static int convert(const struct cr_option *option, const cJSON *value, const char *folder,
                   struct cr_arena *arena, union member *to, struct cr_error *err)
{
    switch (option->type) {
    case CR_OPTION_TYPE_BOOL:
        to->boolean = cJSON_IsTrue(value);
        return 0;
    case CR_OPTION_TYPE_INT:
        to->integer = (int64_t)value->valuedouble;
        return 0;
    case CR_OPTION_TYPE_NUMBER:
        to->number = value->valuedouble;
        return 0;
    case CR_OPTION_TYPE_STRING:
    case CR_OPTION_TYPE_CHOICE:
        return copy_string(value->valuestring, arena, &to->string, err);
    case CR_OPTION_TYPE_PATH:
    case CR_OPTION_TYPE_MODEL:
    case CR_OPTION_TYPE_FILE:
        return copy_path(option, value->valuestring, folder, arena, &to->string, err);
    case CR_OPTION_TYPE_SIZE:
        to->size.height = (int32_t)value->child->valuedouble;
        to->size.width = (int32_t)value->child->next->valuedouble;
        return 0;
    case CR_OPTION_TYPE_INTS:
        return copy_ints(value, arena, &to->ints, err);
    case CR_OPTION_TYPE_STRINGS:
        return copy_strings(value, arena, &to->strings, err);
    }
    return cr_fail(err, CR_ERR_INTERNAL, "an option of unknown type %d", (int)option->type);
}

int cr_option_store(const struct cr_option *option, const cJSON *value, const char *folder,
                    struct cr_arena *arena, void *state, struct cr_error *err)
{
    assert(cr_option_check(option, value, NULL) != CR_ERR_ARGUMENT);
    union member member;
    int result = convert(option, value, folder, arena, &member, err);
    if (result == 0)
        memcpy((char *)state + option->offset, &member, cr_option_member_size(option->type));
    return result;
}

/* ---- Defaults ---- */

static bool is_plain_text(enum cr_option_type type)
{
    return type == CR_OPTION_TYPE_STRING || type == CR_OPTION_TYPE_CHOICE ||
           type == CR_OPTION_TYPE_PATH || type == CR_OPTION_TYPE_MODEL ||
           type == CR_OPTION_TYPE_FILE;
}

int cr_option_default(const struct cr_option *option, cJSON **out, struct cr_error *err)
{
    *out = NULL;
    if (option->initial == NULL)
        return 0;
    cJSON *value = NULL;
    int result = 0;
    if (is_plain_text(option->type)) {
        value = cJSON_CreateString(option->initial);
        if (value == NULL)
            result = cr_fail_memory(err, strlen(option->initial) + 1);
    } else {
        result = cr_json_parse(&value, option->initial, strlen(option->initial), "default", err);
    }
    if (result == 0)
        result = cr_option_check(option, value, err);
    if (result == 0) {
        *out = value;
        return 0;
    }
    cJSON_Delete(value);
    if (result != CR_ERR_MEMORY) {
        result = CR_ERR_FORMAT;
        if (err != NULL)
            err->code = result;
    }
    return result;
}

/* ---- Description ---- */

static void describe_choices(const struct cr_option *option, struct cr_text *text)
{
    for (const char *const *choice = option->choices; *choice != NULL; choice++) {
        bool last = choice[1] == NULL;
        cr_text_printf(text, "%s%s",
                       choice == option->choices ? ""
                       : last                    ? " or "
                                                 : ", ",
                       *choice);
    }
}

void cr_option_describe(const struct cr_option *option, struct cr_text *text)
{
    static const char *const words[] = {
        [CR_OPTION_TYPE_BOOL] = "true or false",
        [CR_OPTION_TYPE_INT] = "a whole number",
        [CR_OPTION_TYPE_NUMBER] = "a number",
        [CR_OPTION_TYPE_STRING] = "a string",
        [CR_OPTION_TYPE_PATH] = "a path",
        [CR_OPTION_TYPE_MODEL] = "a folder, or the name of a model (ORG/NAME)",
        [CR_OPTION_TYPE_SIZE] = "[height, width]",
        [CR_OPTION_TYPE_INTS] = "a list of whole numbers",
        [CR_OPTION_TYPE_STRINGS] = "a list of strings",
        [CR_OPTION_TYPE_FILE] = "a file (with a slash), or the name of an installed one",
    };
    if (option->type == CR_OPTION_TYPE_CHOICE) {
        describe_choices(option, text);
        return;
    }
    cr_text_add(text, words[option->type]);
    bool each = option->type == CR_OPTION_TYPE_SIZE || option->type == CR_OPTION_TYPE_INTS;
    if (!each && option->type != CR_OPTION_TYPE_INT && option->type != CR_OPTION_TYPE_NUMBER)
        return;
    struct bounds bounds = bounds_of(option);
    char allowed[100];
    bounds_text(allowed, &bounds);
    if (allowed[0] != '\0')
        cr_text_printf(text, ", %s%s", each ? "each " : "", allowed);
}
