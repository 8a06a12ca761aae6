/* SPDX-License-Identifier: MIT */
/* print.c: the pipeline as it takes effect: merged, with defaults and whole paths. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/paths.h"
#include "pipeline/pipeline.h"
#include "plugin/options.h"

/* Add `item` (taken; NULL: it could not be made) to the object. False without memory. */
static bool add(cJSON *object, const char *key, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToObject(object, key, item))
        return true;
    cJSON_Delete(item);
    return false;
}

/* Copy the member of that name, if there is one. */
static bool copy(cJSON *object, const char *key, const cJSON *from)
{
    const cJSON *item = cr_json_get(from, key);
    return item == NULL || add(object, key, cJSON_Duplicate(item, true));
}

static bool copy_extras(cJSON *object, const cJSON *from)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, from)
        if (strncmp(item->string, "x-", 2) == 0 &&
            !add(object, item->string, cJSON_Duplicate(item, true)))
            return false;
    return copy(object, "note", from);
}

/* ---- Options ---- */

/* A path as the stage has it, from the root. Names of models and of installed files stay. */
static bool add_path(cJSON *object, const struct cr_node *node, const struct cr_option *option,
                     const char *here)
{
    const char *path;
    memcpy(&path, (const char *)node->state + option->offset, sizeof(path));
    if (path == NULL)
        return true;
    struct stat st;
    bool is_name = option->type == CR_OPTION_TYPE_FILE ? strchr(path, '/') == NULL
                   : option->type == CR_OPTION_TYPE_MODEL
                       ? cr_io_stat(path, &st) < 0 || !S_ISDIR(st.st_mode)
                       : false;
    char *whole = is_name ? cr_strdup(path) : cr_path_join(here, path);
    bool done = whole != NULL && add(object, option->name, cJSON_CreateString(whole));
    cr_free(whole);
    return done;
}

static bool add_option(cJSON *object, const struct cr_node *node, const struct cr_option *option,
                       const char *here)
{
    if (option->type == CR_OPTION_TYPE_PATH || option->type == CR_OPTION_TYPE_MODEL ||
        option->type == CR_OPTION_TYPE_FILE)
        return add_path(object, node, option, here);
    if (cr_json_get(node->json, option->name) != NULL)
        return copy(object, option->name, node->json);
    cJSON *initial;
    if (cr_option_default(option, &initial, NULL) < 0)
        return false;
    return initial == NULL || add(object, option->name, initial);
}

/* ---- Stages ---- */

/* The wires of the ports that the plugin has: those that were dropped are gone. */
static bool add_wires(cJSON *object, const struct cr_node *node)
{
    const cJSON *in = cr_json_get(node->json, "in");
    cJSON *kept = cJSON_CreateObject();
    bool done = kept != NULL;
    for (size_t i = 0; i < node->input_count && done; i++)
        done = copy(kept, node->element->inputs[i]->name, in);
    if (done && kept->child != NULL)
        return add(object, "in", kept);
    cJSON_Delete(kept);
    return done;
}

static bool fill_stage(cJSON *object, const struct cr_node *node, const char *here)
{
    bool done = copy(object, "use", node->json);
    const struct cr_option *const *options = node->element->options;
    for (size_t i = 0; options != NULL && options[i] != NULL && done; i++)
        done = add_option(object, node, options[i], here);
    return done && add_wires(object, node) && copy(object, "device", node->json) &&
           copy(object, "batch", node->json) && copy(object, "release", node->json) &&
           copy_extras(object, node->json);
}

/* Add an empty object and return it. */
static cJSON *add_object(cJSON *object, const char *key)
{
    cJSON *member = cJSON_CreateObject();
    return add(object, key, member) ? member : NULL;
}

static bool fill_stages(cJSON *stages, const struct cr_pipeline *pipeline, const char *here)
{
    bool done = stages != NULL;
    for (size_t i = 0; i < pipeline->node_count && done; i++) {
        cJSON *stage = add_object(stages, pipeline->nodes[i].name);
        done = stage != NULL && fill_stage(stage, &pipeline->nodes[i], here);
    }
    return done;
}

/* ---- The whole ---- */

int cr_pipeline_print(const struct cr_pipeline *pipeline, char **json, struct cr_error *err)
{
    *json = NULL;
    char here[PATH_MAX];
    if (getcwd(here, sizeof(here)) == NULL)
        return cr_fail_errno(err, errno, "the working folder");
    cJSON *root = cJSON_CreateObject();
    bool done = root != NULL && add(root, "crayon", cJSON_CreateNumber(CR_PIPELINE_FORMAT)) &&
                add(root, "name", cJSON_CreateString(pipeline->name)) &&
                copy_extras(root, pipeline->tree) && copy(root, "inputs", pipeline->tree) &&
                fill_stages(add_object(root, "stages"), pipeline, here) &&
                copy(root, "outputs", pipeline->tree);
    struct cr_text text = CR_TEXT_INIT;
    if (done)
        cr_json_write(&text, root);
    cJSON_Delete(root);
    *json = done ? cr_text_take(&text) : NULL;
    return *json != NULL ? 0 : cr_fail_memory(err, 1);
}
