/* SPDX-License-Identifier: MIT */
/* sets.c: changes of the form STAGE.KEY=VALUE as a patch. */
#include <string.h>

#include "base/utf8.h"
#include "pipeline/hint.h"
#include "pipeline/pipeline.h"

struct sets {
    const struct cr_pipeline *pipeline;
    struct cr_report *report;
    cJSON *tree;
};

#define FORMS "write STAGE.KEY=VALUE, inputs.NAME=TYPE, outputs.NAME=WIRE or name=TEXT"

/* The member of `object` that is an object itself; made, or put in the place of something else. */
static cJSON *descend(cJSON *object, const char *key)
{
    cJSON *member = cr_json_get(object, key);
    if (cJSON_IsObject(member))
        return member;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddObjectToObject(object, key);
}

/* Put `value` where the dotted path leads. Takes `value`, cuts `path`. */
static int put(struct sets *sets, char *path, bool is_stage, cJSON *value, struct cr_error *err)
{
    cJSON *object = is_stage ? descend(sets->tree, "stages") : sets->tree;
    char *key = path;
    for (char *dot = strchr(key, '.'); dot != NULL && object != NULL; dot = strchr(key, '.')) {
        *dot = '\0';
        object = descend(object, key);
        key = dot + 1;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (object != NULL && cJSON_AddItemToObject(object, key, value))
        return 0;
    cJSON_Delete(value);
    return cr_fail_memory(err, sizeof(cJSON));
}

int cr_sets_value(const char *text, cJSON **out, struct cr_error *err)
{
    *out = NULL;
    if (*cr_utf8_fault(text) != '\0')
        return 0;
    struct cr_error why = CR_ERROR_INIT;
    int result = cr_json_parse(out, text, strlen(text), "--set", &why);
    if (result == CR_ERR_FORMAT || result == CR_ERR_LIMIT) {
        struct cr_text quoted = CR_TEXT_INIT;
        cr_json_quote(&quoted, text);
        result = quoted.failed ? cr_fail_memory(&why, strlen(text))
                               : cr_json_parse(out, quoted.data, quoted.size, "--set", &why);
        cr_text_finish(&quoted);
    }
    if (result == CR_ERR_MEMORY)
        return cr_fail(err, result, "%s", why.message);
    return 0;
}

/* Is `path` a path of the kind that its first part asks for? */
static bool check_path(struct sets *sets, const char *path, bool *is_stage)
{
    size_t first = strcspn(path, "."), dots = 0;
    bool has_gap = path[0] == '.';
    for (const char *c = path; *c != '\0'; c++) {
        dots += *c == '.';
        has_gap = has_gap || (*c == '.' && (c[1] == '.' || c[1] == '\0'));
    }
    bool is_name = strcmp(path, "name") == 0;
    bool is_port =
        dots == 1 && (strncmp(path, "inputs.", 7) == 0 || strncmp(path, "outputs.", 8) == 0);
    *is_stage = !is_name && !is_port;
    if (has_gap || path[0] == '\0' || (*is_stage && dots == 0)) {
        cr_report_add(sets->report, CR_SEVERITY_ERROR, "--set", "", "\"%s\" names no place; " FORMS,
                      path);
        return false;
    }
    const cJSON *stages = cr_json_get(sets->pipeline->tree, "stages"), *stage;
    struct cr_hint hint;
    char name[64] = "";
    strncat(name, path, first < sizeof(name) ? first : sizeof(name) - 1);
    cr_hint_init(&hint, name, "stages");
    bool found = !*is_stage;
    cJSON_ArrayForEach (stage, stages) {
        if (found || stage->string == NULL)
            break;
        found = strcmp(stage->string, name) == 0;
        cr_hint_offer(&hint, stage->string);
    }
    if (!found)
        cr_report_add(sets->report, CR_SEVERITY_ERROR, "--set", "", "%s: no stage \"%s\"%s", path,
                      name, cr_hint_text(&hint));
    return found;
}

static int read_one(struct sets *sets, const char *set, struct cr_error *err)
{
    const char *equals = strchr(set, '=');
    if (equals == NULL) {
        cr_report_add(sets->report, CR_SEVERITY_ERROR, "--set", "", "\"%s\" has no \"=\"; " FORMS,
                      set);
        return 0;
    }
    char *path = cr_strndup(set, (size_t)(equals - set));
    if (path == NULL)
        return cr_fail_memory(err, (size_t)(equals - set));
    bool is_stage;
    int result = 0;
    if (check_path(sets, path, &is_stage)) {
        cJSON *value = NULL;
        result = cr_sets_value(equals + 1, &value, err);
        if (result == 0 && value == NULL)
            cr_report_add(sets->report, CR_SEVERITY_ERROR, "--set", "",
                          "%s: the value is not valid UTF-8", path);
        else if (result == 0)
            result = put(sets, path, is_stage, value, err);
    }
    cr_free(path);
    return result;
}

int cr_sets_read(struct cr_pipeline *pipeline, const char *const *sets, size_t count,
                 struct cr_report *report, struct cr_error *err)
{
    if (count == 0)
        return 0;
    struct cr_layer *layer = &pipeline->layers[0];
    struct sets reading = {pipeline, report, cJSON_CreateObject()};
    layer->tree = reading.tree;
    int result = layer->tree != NULL ? 0 : cr_fail_memory(err, sizeof(cJSON));
    for (size_t i = 0; i < count && result == 0; i++)
        result = read_one(&reading, sets[i], err);
    if (result == 0 && !cr_names_init(&layer->stages, cr_json_get(layer->tree, "stages")))
        result = cr_fail_memory(err, sizeof(struct cr_name));
    return result;
}
