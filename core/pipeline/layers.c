/* SPDX-License-Identifier: MIT */
/* layers.c: a pipeline file and those that it extends, and which of them wrote what. */
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "base/io.h"
#include "base/paths.h"
#include "pipeline/pipeline.h"

/* ---- Reading ---- */

/* The file that `name` means when `folder` is where relative paths start: a file there, or for a
 * bare name one of the installed pipelines. NULL when memory is exhausted. */
static char *locate(const char *folder, const char *name)
{
    char *path = cr_path_join(folder, name);
    struct stat st;
    if (path == NULL || strchr(name, '/') != NULL ||
        (cr_io_stat(path, &st) == 0 && !S_ISDIR(st.st_mode)))
        return path;
    static const char *const endings[] = {".json", ""};
    char *installed = NULL;
    for (size_t i = 0; i < 2 && installed == NULL; i++) {
        char *relative = cr_asprintf("pipelines/%s%s", name, endings[i]);
        installed = relative == NULL ? NULL : cr_data_path(relative);
        cr_free(relative);
    }
    if (installed == NULL)
        return path;
    cr_free(path);
    return installed;
}

/* Report what the JSON reader said: "FILE:LINE:COLUMN: message", or "FILE: message". */
static void report_syntax(struct cr_report *report, const char *file, const char *message)
{
    size_t length = strlen(file);
    if (strncmp(message, file, length) != 0 || message[length] != ':') {
        cr_report_add(report, CR_SEVERITY_ERROR, file, "", "%s", message);
        return;
    }
    const char *rest = message + length + 1;
    char *end;
    long long line = strtoll(rest, &end, 10), column = 0;
    if (end != rest && *end == ':')
        column = strtoll(end + 1, &end, 10);
    if (column > 0 && strncmp(end, ": ", 2) == 0)
        cr_report_add_at(report, CR_SEVERITY_ERROR, file, line, column, "%s", end + 2);
    else
        cr_report_add(report, CR_SEVERITY_ERROR, file, "", "%s", rest + strspn(rest, " "));
}

/* Fill the layer from the file, or from `text` that stands for it. Takes `file`. What the JSON
 * reader refuses is reported, and leaves the layer without a tree. */
static int layer_read(struct cr_layer *layer, char *file, const char *text, size_t size,
                      struct cr_report *report, struct cr_error *err)
{
    layer->file = file;
    layer->folder = file == NULL ? NULL : cr_path_folder(file);
    if (layer->folder == NULL)
        return cr_fail_memory(err, 1);
    struct stat st;
    if (cr_io_stat(file, &st) == 0) {
        layer->device = st.st_dev;
        layer->inode = st.st_ino;
    }
    struct cr_error problem = CR_ERROR_INIT;
    int result = text != NULL ? cr_json_parse(&layer->tree, text, size, file, &problem)
                              : cr_json_load(&layer->tree, file, &problem);
    if (result == CR_ERR_FORMAT || result == CR_ERR_LIMIT)
        report_syntax(report, file, problem.message);
    else if (result < 0)
        return cr_fail(err, result, "%s", problem.message);
    if (!cr_names_init(&layer->stages, cr_json_get(layer->tree, "stages")))
        return cr_fail_memory(err, sizeof(struct cr_name));
    return 0;
}

/* What each file has to say for itself, whatever it extends. */
static bool check_format(const struct cr_layer *layer, struct cr_report *report)
{
    const cJSON *format = cr_json_get(layer->tree, "crayon");
    const enum cr_severity error = CR_SEVERITY_ERROR;
    if (layer->tree == NULL)
        return false; /* reported */
    if (!cJSON_IsObject(layer->tree))
        cr_report_add(report, error, layer->file, "", "a pipeline is an object, not %s",
                      cr_json_kind(layer->tree));
    else if (format == NULL)
        cr_report_add(report, error, layer->file, "",
                      "\"crayon\": %d is missing, which says that this is a pipeline",
                      CR_PIPELINE_FORMAT);
    else if (!cJSON_IsNumber(format))
        cr_report_add(report, error, layer->file, "/crayon",
                      "the number of the format is needed here, %d, not %s", CR_PIPELINE_FORMAT,
                      cr_json_kind(format));
    else if (format->valuedouble != CR_PIPELINE_FORMAT)
        cr_report_add(report, error, layer->file, "/crayon",
                      "this is format %g, this crayon reads %d", format->valuedouble,
                      CR_PIPELINE_FORMAT);
    else
        return true;
    return false;
}

/* Does the file that was read last stand further up in the chain already? */
static bool is_cycle(const struct cr_pipeline *pipeline)
{
    const struct cr_layer *last = &pipeline->layers[pipeline->layer_count - 1];
    for (const struct cr_layer *layer = &pipeline->layers[1]; layer < last; layer++)
        if (layer->inode == last->inode && layer->device == last->device && layer->inode != 0)
            return true;
    return false;
}

static int report_cycle(const struct cr_pipeline *pipeline, struct cr_report *report,
                        struct cr_error *err)
{
    struct cr_text chain = CR_TEXT_INIT;
    for (size_t i = 1; i < pipeline->layer_count; i++)
        cr_text_printf(&chain, "%s%s", i == 1 ? "" : " -> ",
                       cr_path_base(pipeline->layers[i].file));
    char *text = cr_text_take(&chain);
    if (text == NULL)
        return cr_fail_memory(err, 1);
    cr_report_add(report, CR_SEVERITY_ERROR, pipeline->layers[pipeline->layer_count - 2].file,
                  "/extends", "the files extend each other in a ring: %s", text);
    cr_free(text);
    return 0;
}

/* Read the file that the last layer extends, if it does: the next layer. */
static int read_extended(struct cr_pipeline *pipeline, bool *more, struct cr_report *report,
                         struct cr_error *err)
{
    const struct cr_layer *layer = &pipeline->layers[pipeline->layer_count - 1];
    const cJSON *extends = cr_json_get(layer->tree, "extends");
    *more = false;
    if (!check_format(layer, report) || extends == NULL)
        return 0;
    if (!cJSON_IsString(extends) || extends->valuestring[0] == '\0') {
        cr_report_add(report, CR_SEVERITY_ERROR, layer->file, "/extends",
                      "the path of a pipeline file is needed here, not %s",
                      cJSON_IsString(extends) ? "an empty string" : cr_json_kind(extends));
        return 0;
    }
    if (pipeline->layer_count > CR_MAX_CHAIN) {
        cr_report_add(report, CR_SEVERITY_ERROR, layer->file, "/extends",
                      "this is file %d of a chain of \"extends\"; it must be the last",
                      CR_MAX_CHAIN);
        return 0;
    }
    struct cr_error problem = CR_ERROR_INIT;
    int result = layer_read(&pipeline->layers[pipeline->layer_count++],
                            locate(layer->folder, extends->valuestring), NULL, 0, report, &problem);
    if (result == CR_ERR_MEMORY)
        return cr_fail(err, result, "%s", problem.message);
    if (result < 0) {
        bool is_bare = result == CR_ERR_NOT_FOUND && strchr(extends->valuestring, '/') == NULL;
        cr_report_add(report, CR_SEVERITY_ERROR, layer->file, "/extends", "%s%s", problem.message,
                      is_bare ? ", and no installed pipeline has that name" : "");
        return 0;
    }
    if (is_cycle(pipeline))
        return report_cycle(pipeline, report, err);
    *more = true;
    return 0;
}

int cr_layers_load(struct cr_pipeline *pipeline, const char *path, const char *text, size_t size,
                   struct cr_report *report, struct cr_error *err)
{
    struct cr_layer *sets = &pipeline->layers[0];
    sets->file = cr_strdup("--set");
    sets->folder = cr_strdup(".");
    pipeline->layer_count = 1;
    if (sets->file == NULL || sets->folder == NULL)
        return cr_fail_memory(err, 8);
    char *file = text != NULL ? cr_strdup(path) : locate(".", path);
    int result =
        layer_read(&pipeline->layers[pipeline->layer_count++], file, text, size, report, err);
    if (result == CR_ERR_NOT_FOUND && strchr(path, '/') == NULL)
        return cr_fail(err, result, "%s: no such file, and no installed pipeline has that name",
                       path);
    bool more = result == 0;
    while (more && result == 0)
        result = read_extended(pipeline, &more, report, err);
    return result;
}

/* ---- Merging ---- */

int cr_layers_merge(struct cr_pipeline *pipeline, const char *const *sets, size_t count,
                    struct cr_report *report, struct cr_error *err)
{
    /* The last file is what the others change: it is no patch, and a null in it is a mistake. */
    size_t last = pipeline->layer_count - 1;
    pipeline->tree = cJSON_Duplicate(pipeline->layers[last].tree, true);
    for (size_t i = last - 1; i >= 1 && pipeline->tree != NULL; i--)
        pipeline->tree = cr_json_merge(pipeline->tree, pipeline->layers[i].tree);
    if (pipeline->tree == NULL)
        return cr_fail_memory(err, sizeof(cJSON));
    int result = cr_sets_read(pipeline, sets, count, report, err);
    if (result < 0 || pipeline->layers[0].tree == NULL)
        return result;
    pipeline->tree = cr_json_merge(pipeline->tree, pipeline->layers[0].tree);
    return pipeline->tree != NULL ? 0 : cr_fail_memory(err, sizeof(cJSON));
}

void cr_layers_finish(struct cr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->layer_count; i++) {
        struct cr_layer *layer = &pipeline->layers[i];
        cr_names_finish(&layer->stages);
        cJSON_Delete(layer->tree);
        cr_free(layer->file);
        cr_free(layer->folder);
    }
    cJSON_Delete(pipeline->tree);
}

/* ---- Who wrote it ---- */

/* What the layer says about a place: the item there, or what it has instead of an object around it.
 * NULL: nothing. */
static const cJSON *layer_get(const struct cr_layer *layer, struct cr_place place)
{
    const cJSON *item = layer->tree;
    for (size_t i = 0; i < CR_MAX_STEPS && place.steps[i] != NULL && cJSON_IsObject(item); i++) {
        const char *step = place.steps[i];
        if (i == 1 && strcmp(place.steps[0], "stages") == 0) {
            const struct cr_name *stage = cr_names_find(&layer->stages, step, strlen(step));
            item = stage == NULL ? NULL : stage->member;
        } else {
            item = cr_json_get(item, step);
        }
    }
    return item;
}

static const struct cr_layer *find_layer(const struct cr_pipeline *pipeline, struct cr_place place)
{
    for (size_t i = 0; i < pipeline->layer_count; i++)
        if (layer_get(&pipeline->layers[i], place) != NULL)
            return &pipeline->layers[i];
    return NULL;
}

const struct cr_layer *cr_layer_of(const struct cr_pipeline *pipeline, struct cr_place place)
{
    size_t steps = 0;
    while (steps < CR_MAX_STEPS && place.steps[steps] != NULL)
        steps++;
    const struct cr_layer *layer = find_layer(pipeline, place);
    if (steps >= 2 && strcmp(place.steps[0], "stages") == 0 &&
        (layer == NULL || (steps == 2 && cJSON_IsObject(layer_get(layer, place))))) {
        const struct cr_layer *user =
            find_layer(pipeline, CR_PLACE("stages", place.steps[1], "use"));
        layer = user != NULL ? user : layer;
    }
    while (layer == NULL && steps > 0) {
        place.steps[--steps] = NULL;
        /* All layers have the whole; what is missing there is missing in the file itself. */
        layer = steps == 0 ? &pipeline->layers[1] : find_layer(pipeline, place);
    }
    return layer;
}

const struct cr_layer *cr_layer_of_change(const struct cr_pipeline *pipeline, const char *stage)
{
    const struct cr_layer *changed = NULL;
    const cJSON *now = NULL;
    for (size_t i = 0; i < pipeline->layer_count; i++) {
        const struct cr_layer *layer = &pipeline->layers[i];
        const cJSON *use = layer_get(layer, CR_PLACE("stages", stage, "use"));
        if (use == NULL)
            continue;
        if (now == NULL)
            now = use;
        if (!cr_json_equal(use, now))
            return changed;
        changed = layer;
    }
    return NULL;
}
