/* SPDX-License-Identifier: MIT */
/* stages.c: cases that run a stage or a pipeline. A stage becomes a pipeline around it. */
#include <string.h>

#include <crayon/memory.h>
#include <crayon/pipeline.h>

#include "base/paths.h"
#include "pipeline/hint.h"
#include "pipeline/pipeline.h"
#include "plugin/devices.h"
#include "plugin/options.h"
#include "verify/case.h"

/* The name of the stage in the pipeline around it. */
#define STAGE "stage"

static const cJSON *member(const struct verify_case *c, const char *key)
{
    return cr_json_get(c->json, key);
}

/* ---- A pipeline around a stage ---- */

/* Add `item` (taken; NULL: it could not be made). */
static void add(struct verify_case *c, cJSON *object, const char *key, cJSON *item)
{
    if (object != NULL && item != NULL && cJSON_AddItemToObject(object, key, item))
        return;
    cJSON_Delete(item);
    c->no_memory = true;
}

static cJSON *add_object(struct verify_case *c, cJSON *object, const char *key)
{
    cJSON *item = cJSON_CreateObject();
    add(c, object, key, item);
    return c->no_memory ? NULL : item;
}

static void add_text(struct verify_case *c, cJSON *object, const char *key, const char *format,
                     const char *name)
{
    char *text = cr_asprintf("%s%s", format, name);
    if (text == NULL)
        c->no_memory = true;
    else
        add(c, object, key, cJSON_CreateString(text));
    cr_free(text);
}

static void unknown_port(struct verify_case *c, const char *key, const char *name,
                         const struct cr_element *element, const struct cr_port *const *ports)
{
    struct cr_hint hint;
    cr_hint_init(&hint, name, key);
    for (; ports != NULL && *ports != NULL; ports++)
        cr_hint_offer(&hint, (*ports)->name);
    verify_problem(c, VERIFY_PLACE(key, name), "%s has no %s \"%s\"%s", element->name,
                   strcmp(key, "inputs") == 0 ? "input" : "output", name, cr_hint_text(&hint));
}

static void add_inputs(struct verify_case *c, cJSON *pipeline, cJSON *stage,
                       const struct cr_element *element)
{
    cJSON *inputs = add_object(c, pipeline, "inputs"), *in = add_object(c, stage, "in");
    const cJSON *input;
    cJSON_ArrayForEach (input, member(c, "inputs")) {
        const struct cr_port *port = cr_port_find(element->inputs, input->string);
        if (port == NULL) {
            unknown_port(c, "inputs", input->string, element, element->inputs);
            continue;
        }
        add_text(c, inputs, input->string, cr_type_name(port->type), "");
        add_text(c, in, input->string, "@", input->string);
    }
}

static void add_outputs(struct verify_case *c, cJSON *pipeline, const struct cr_element *element)
{
    cJSON *outputs = add_object(c, pipeline, "outputs");
    for (size_t i = 0; i < c->result->count; i++) {
        const char *name = c->result->compared[i].name;
        if (cr_port_find(element->outputs, name) == NULL)
            unknown_port(c, "expected", name, element, element->outputs);
        else
            add_text(c, outputs, name, STAGE ".", name);
    }
}

/* The options are keys of the stage. */
static cJSON *make_stage(struct verify_case *c, const struct cr_element *element)
{
    const cJSON *options = member(c, "options");
    cJSON *stage = options == NULL ? cJSON_CreateObject() : cJSON_Duplicate(options, true);
    for (const char *const *key = (const char *const[]){"use", "in", NULL}; *key != NULL; key++)
        if (cr_json_get(options, *key) != NULL)
            verify_problem(c, VERIFY_PLACE("options", *key), "this is no option of %s",
                           element->name);
    if (stage == NULL || !verify_goes_on(c)) {
        c->no_memory = c->no_memory || stage == NULL;
        cJSON_Delete(stage);
        return NULL;
    }
    add_text(c, stage, "use", element->name, "");
    return stage;
}

static cJSON *wrap_stage(struct verify_case *c)
{
    const char *name = member(c, "stage")->valuestring;
    const struct cr_element *element =
        cr_registry_find(c->verify->params.registry, CR_ELEMENT_STAGE, name, NULL);
    if (element == NULL) {
        verify_absent(c, VERIFY_PLACE("stage"), "no plugin \"%s\"", name);
        return NULL;
    }
    cJSON *stage = make_stage(c, element);
    if (stage == NULL)
        return NULL;
    cJSON *pipeline = cJSON_CreateObject();
    add(c, pipeline, "crayon", cJSON_CreateNumber(CR_PIPELINE_FORMAT));
    add_inputs(c, pipeline, stage, element);
    add_outputs(c, pipeline, element);
    add(c, add_object(c, pipeline, "stages"), STAGE, stage);
    if (verify_goes_on(c))
        return pipeline;
    cJSON_Delete(pipeline);
    return NULL;
}

/* ---- Loading ---- */

/* What makes a case one that cannot run here, in the words of the checker. */
static bool is_absence(const struct cr_finding *finding)
{
    const char *key = strrchr(finding->pointer, '/');
    if (key == NULL)
        return false;
    return (strcmp(key, "/use") == 0 && strncmp(finding->message, "no plugin \"", 11) == 0) ||
           (strcmp(key, "/device") == 0 && strncmp(finding->message, "no device \"", 11) == 0);
}

/* The pointer of a finding in the pipeline around a stage, as a pointer in the case. */
static char *case_pointer(const char *pointer)
{
    static const struct {
        const char *from, *to;
    } prefixes[] = {
        {"/stages/" STAGE "/in/", "/inputs/"}, {"/stages/" STAGE "/use", "/stage"},
        {"/stages/" STAGE "/", "/options/"},   {"/stages/" STAGE, "/stage"},
        {"/outputs/", "/expected/"},
    };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t length = strlen(prefixes[i].from);
        if (strncmp(pointer, prefixes[i].from, length) == 0)
            return cr_asprintf("%s%s", prefixes[i].to, pointer + length);
    }
    return cr_strdup(pointer);
}

/* A finding of the checker becomes one of the case. */
static void take_finding(struct verify_case *c, const struct cr_finding *finding)
{
    struct cr_report *report = c->result->report;
    if (finding->line > 0) {
        cr_report_add_at(report, CR_SEVERITY_ERROR, finding->file, finding->line, finding->column,
                         "%s", finding->message);
        return;
    }
    bool own = strcmp(finding->file, c->path) == 0;
    char *pointer = !own                         ? cr_strdup(finding->pointer)
                    : member(c, "stage") != NULL ? case_pointer(finding->pointer)
                                                 : cr_asprintf("/pipeline%s", finding->pointer);
    c->no_memory = c->no_memory || pointer == NULL;
    cr_report_add(report, CR_SEVERITY_ERROR, finding->file, pointer != NULL ? pointer : "", "%s",
                  finding->message);
    cr_free(pointer);
}

static void take_findings(struct verify_case *c, const struct cr_report *report,
                          const struct cr_error *err)
{
    size_t absences = 0;
    for (size_t i = 0; i < cr_report_count(report); i++) {
        const struct cr_finding *finding = cr_report_get(report, i);
        if (finding->severity != CR_SEVERITY_ERROR)
            continue;
        take_finding(c, finding);
        absences += is_absence(finding);
    }
    c->result->verdict = absences > 0 && absences == cr_report_errors(report) ? CR_VERDICT_NOT_RUN
                                                                              : CR_VERDICT_FAILED;
    if (cr_report_errors(report) == 0)
        verify_failure(c, VERIFY_PLACE("pipeline"), err);
}

static int parse(struct verify_case *c, struct cr_pipeline **out, const cJSON *json,
                 struct cr_report *report, struct cr_error *err)
{
    char *text = cJSON_PrintUnformatted(json);
    if (text == NULL)
        return cr_fail_memory(err, 1);
    int result = cr_pipeline_parse(out, c->verify->params.registry, text, strlen(text), c->path,
                                   NULL, 0, report, err);
    cJSON_free(text);
    return result;
}

static int load_file(struct verify_case *c, struct cr_pipeline **out, const char *name,
                     struct cr_report *report, struct cr_error *err)
{
    char *path = cr_path_join(c->folder, name);
    if (path == NULL)
        return cr_fail_memory(err, strlen(name));
    int result = cr_pipeline_load(out, c->verify->params.registry, path, NULL, 0, report, err);
    cr_free(path);
    return result;
}

/* ---- Without what is absent ---- */

/* The name of the stage that a wire or a pointer begins with, at `start`. */
static const cJSON *stage_at(const cJSON *stages, const char *start, const char *end)
{
    const cJSON *stage;
    size_t length = strcspn(start, end);
    cJSON_ArrayForEach (stage, stages)
        if (strlen(stage->string) == length && strncmp(stage->string, start, length) == 0)
            return stage;
    return NULL;
}

/* Does a wire start from a stage that is gone? */
static bool hangs(const cJSON *stages, const cJSON *wire)
{
    const cJSON *one;
    bool result = cJSON_IsString(wire) && wire->valuestring[0] != '@' &&
                  stage_at(stages, wire->valuestring, ".") == NULL;
    if (cJSON_IsArray(wire))
        cJSON_ArrayForEach (one, wire)
            result = result || hangs(stages, one);
    return result;
}

/* Remove the members of `object` that hang by their wire, or by one of those in "in". */
static bool remove_hanging(const cJSON *stages, cJSON *object, bool are_stages)
{
    bool any = false;
    for (cJSON *item = object->child, *next; item != NULL; item = next) {
        const cJSON *wires = cr_json_get(item, "in"), *wire;
        bool gone = !are_stages && hangs(stages, item);
        next = item->next;
        if (are_stages && wires != NULL)
            cJSON_ArrayForEach (wire, wires)
                gone = gone || hangs(stages, wire);
        if (gone)
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
        any = any || gone;
    }
    return any;
}

/* Take out the stages of these findings and all that needs them. Is an output left? */
static bool prune(cJSON *pipeline, const struct cr_report *report)
{
    cJSON *stages = cr_json_get(pipeline, "stages"), *outputs = cr_json_get(pipeline, "outputs");
    for (size_t i = 0; i < cr_report_count(report); i++) {
        const struct cr_finding *finding = cr_report_get(report, i);
        const cJSON *stage = finding->severity == CR_SEVERITY_ERROR
                                 ? stage_at(stages, finding->pointer + strlen("/stages/"), "/")
                                 : NULL;
        if (stage != NULL)
            cJSON_Delete(cJSON_DetachItemViaPointer(stages, (cJSON *)(uintptr_t)stage));
    }
    while (remove_hanging(stages, stages, true))
        ;
    remove_hanging(stages, outputs, false);
    return outputs->child != NULL;
}

/* Everything that is expected must be an output of the whole pipeline. */
static bool knows_outputs(const struct verify_case *c, const cJSON *pipeline)
{
    for (size_t i = 0; i < c->result->count; i++)
        if (cr_json_get(cr_json_get(pipeline, "outputs"), c->result->compared[i].name) == NULL)
            return false;
    return true;
}

/* What can be run of a pipeline that is written in the case itself, if plugins are all that it
 * lacks; NULL: nothing. */
static struct cr_pipeline *load_rest(struct verify_case *c, const cJSON *json,
                                     const struct cr_report *report)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_report *ignored = cr_report_create();
    cJSON *rest = cJSON_Duplicate(json, true);
    if (ignored == NULL || rest == NULL)
        c->no_memory = true;
    else if (cr_json_get(json, "extends") == NULL && knows_outputs(c, json) &&
             prune(rest, report) && parse(c, &pipeline, rest, ignored, NULL) == 0)
        c->is_partial = true;
    cJSON_Delete(rest);
    cr_report_destroy(&ignored);
    if (c->is_partial)
        c->result->verdict = CR_VERDICT_PASSED; /* of the rest, so far */
    return pipeline;
}

static struct cr_pipeline *load_pipeline(struct verify_case *c)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_report *report = cr_report_create();
    cJSON *around = member(c, "stage") != NULL ? wrap_stage(c) : NULL;
    const cJSON *json = around != NULL ? around : member(c, "pipeline");
    c->no_memory = c->no_memory || report == NULL;
    if (verify_goes_on(c)) {
        int result = cJSON_IsString(json) ? load_file(c, &pipeline, json->valuestring, report, &err)
                                          : parse(c, &pipeline, json, report, &err);
        if (result == CR_ERR_MEMORY)
            c->no_memory = true;
        else if (result < 0)
            take_findings(c, report, &err);
        if (c->result->verdict == CR_VERDICT_NOT_RUN && json == member(c, "pipeline") &&
            cJSON_IsObject(json))
            pipeline = load_rest(c, json, report);
    }
    cJSON_Delete(around);
    cr_report_destroy(&report);
    return pipeline;
}

/* ---- Running ---- */

/* The devices of the session, for the stages that compute. */
static void lend_devices(struct verify_case *c, struct cr_pipeline *pipeline)
{
    struct cr_error err = CR_ERROR_INIT;
    pipeline->device = c->asked;
    for (size_t i = 0; i < pipeline->node_count && verify_goes_on(c); i++) {
        const struct cr_node *node = &pipeline->nodes[i];
        if (!node->is_needed || !cr_element_uses_device(node->element))
            continue;
        const char *name = node->device != NULL ? node->device : c->asked;
        struct verify_device *device = verify_device(c, name, VERIFY_PLACE(NULL));
        if (device != NULL && cr_pipeline_lend(pipeline, name, device->device, &err) < 0)
            c->no_memory = true;
    }
}

static enum cr_type input_type(const struct cr_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < cr_pipeline_inputs(pipeline); i++)
        if (strcmp(cr_pipeline_input(pipeline, i).name, name) == 0)
            return cr_pipeline_input(pipeline, i).type;
    return (enum cr_type)0;
}

static void set_input(struct verify_case *c, const struct cr_pipeline *pipeline, struct cr_run *run,
                      const cJSON *input)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *value = NULL;
    struct verify_place place = VERIFY_PLACE("inputs", input->string);
    enum cr_type type = input_type(pipeline, input->string);
    struct cr_hint hint;
    cr_hint_init(&hint, input->string, "inputs");
    for (size_t i = 0; i < cr_pipeline_inputs(pipeline); i++)
        cr_hint_offer(&hint, cr_pipeline_input(pipeline, i).name);
    if (type == 0)
        verify_problem(c, place, "the pipeline has no input \"%s\"%s", input->string,
                       cr_hint_text(&hint));
    else if (verify_value(c, input, type, &value, &err) < 0 ||
             cr_run_set_input(run, input->string, value, &err) < 0)
        verify_failure(c, place, &err);
    cr_value_unref(&value);
}

static bool has_output(const struct cr_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < cr_pipeline_outputs(pipeline); i++)
        if (strcmp(cr_pipeline_output(pipeline, i).name, name) == 0)
            return true;
    return false;
}

static void want_output(struct verify_case *c, const struct cr_pipeline *pipeline,
                        struct cr_run *run, const char *name)
{
    struct cr_error err = CR_ERROR_INIT;
    if (c->is_partial && !has_output(pipeline, name))
        return;
    if (cr_run_want(run, name, &err) < 0)
        verify_failure(c, VERIFY_PLACE("expected", name), &err);
}

static void prepare(struct verify_case *c, const struct cr_pipeline *pipeline, struct cr_run *run)
{
    const struct cr_verify_params *params = &c->verify->params;
    const struct cr_run_hooks hooks = {
        .user = params->user,
        .progress = params->progress,
        .log = params->log,
        .cancel = params->cancel,
    };
    const cJSON *input;
    cJSON_ArrayForEach (input, member(c, "inputs"))
        set_input(c, pipeline, run, input);
    for (size_t i = 0; i < c->result->count; i++)
        want_output(c, pipeline, run, c->result->compared[i].name);
    cr_run_set_hooks(run, &hooks);
}

static void execute(struct verify_case *c, struct cr_run *run)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_run_execute(run, &err) < 0) {
        verify_failure(c, VERIFY_PLACE(NULL), &err);
        return;
    }
    verify_widen(c);
    for (size_t i = 0; i < c->result->count; i++) {
        struct cr_compared *compared = &c->result->compared[i];
        const struct cr_value *value = cr_run_output(run, compared->name);
        if (value != NULL || !c->is_partial)
            verify_compare(c, compared, value);
    }
}

void verify_run_pipeline(struct verify_case *c)
{
    struct cr_pipeline *pipeline = load_pipeline(c);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    if (pipeline != NULL && cr_run_create(&run, pipeline, &err) < 0)
        c->no_memory = true;
    if (pipeline != NULL && verify_goes_on(c))
        prepare(c, pipeline, run);
    if (pipeline != NULL && verify_goes_on(c))
        lend_devices(c, pipeline);
    if (pipeline != NULL && verify_goes_on(c))
        execute(c, run);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}
