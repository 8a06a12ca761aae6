/* SPDX-License-Identifier: MIT */
/* check.c: the parts of a pipeline outside its stages, and the order of checking. */
#include <string.h>

#include "pipeline/check.h"

/* ---- Reporting ---- */

/* The JSON pointer of a place. */
static void pointer_write(struct cr_text *pointer, struct cr_place place)
{
    for (size_t i = 0; i < CR_MAX_STEPS && place.steps[i] != NULL; i++)
        cr_json_pointer_add(pointer, place.steps[i]);
}

static void report(struct cr_checker *checker, enum cr_severity severity,
                   const struct cr_layer *layer, struct cr_place place, const char *message)
{
    struct cr_text pointer = CR_TEXT_INIT;
    pointer_write(&pointer, place);
    if (pointer.failed)
        checker->no_memory = true;
    else
        cr_report_add(checker->report, severity, layer->file,
                      pointer.data == NULL ? "" : pointer.data, "%s", message);
    cr_text_finish(&pointer);
}

void cr_problem(struct cr_checker *checker, struct cr_place place, const char *format, ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_PIPELINE, format, args);
    va_end(args);
    report(checker, CR_SEVERITY_ERROR, cr_layer_of(checker->pipeline, place), place, text.message);
}

void cr_remark(struct cr_checker *checker, const struct cr_layer *layer, struct cr_place place,
               const char *format, ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_PIPELINE, format, args);
    va_end(args);
    report(checker, CR_SEVERITY_NOTE, layer, place, text.message);
}

void *cr_check_alloc(struct cr_checker *checker, size_t count, size_t bytes)
{
    size_t total;
    void *memory =
        cr_size_mul(count, bytes, &total) ? cr_arena_alloc(&checker->pipeline->arena, total) : NULL;
    checker->no_memory = checker->no_memory || memory == NULL;
    return memory;
}

const char *cr_type_words(enum cr_type type)
{
    static const char *const words[] = {
        [CR_TYPE_IMAGE] = "an image", [CR_TYPE_PANOPTIC] = "a panoptic map",
        [CR_TYPE_TEXT] = "a text",    [CR_TYPE_TENSOR] = "a tensor",
        [CR_TYPE_TOKENS] = "tokens",
    };
    return cr_type_name(type) == NULL ? "something unknown" : words[type];
}

/* ---- Names ---- */

#define MAX_NAME 63
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

static void check_name(struct cr_checker *checker, struct cr_place place, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > MAX_NAME || strspn(name, LETTERS "0123456789-") != length ||
        strspn(name, LETTERS) == 0)
        cr_problem(checker, place,
                   "not a name: 1..%d letters, digits, _ or -, the first one a letter or _",
                   MAX_NAME);
}

/* What "--set" would take for something else. */
static void check_stage_name(struct cr_checker *checker, struct cr_place place, const char *name)
{
    check_name(checker, place, name);
    if (strcmp(name, "inputs") == 0 || strcmp(name, "outputs") == 0 || strcmp(name, "name") == 0)
        cr_problem(checker, place,
                   "a stage cannot have this name: it is a part of the pipeline in "
                   "\"--set %s...\"",
                   name);
}

/* ---- Inputs and outputs ---- */

static enum cr_type read_type(struct cr_checker *checker, const cJSON *input)
{
    struct cr_place place = CR_PLACE("inputs", input->string);
    if (!cJSON_IsString(input)) {
        cr_problem(checker, place, "the name of a type is needed here, not %s",
                   cr_json_kind(input));
        return (enum cr_type)0;
    }
    enum cr_type found = cr_type_find(input->valuestring);
    struct cr_hint hint;
    cr_hint_init(&hint, input->valuestring, "types");
    for (int type = 1; cr_type_name((enum cr_type)type) != NULL; type++)
        cr_hint_offer(&hint, cr_type_name((enum cr_type)type));
    if (found == 0)
        cr_problem(checker, place, "no type \"%s\"%s", input->valuestring, cr_hint_text(&hint));
    return found;
}

static void read_inputs(struct cr_checker *checker, const cJSON *inputs)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    if (inputs == NULL)
        return;
    checker->no_inputs = !cJSON_IsObject(inputs);
    if (checker->no_inputs) {
        cr_problem(checker, CR_PLACE("inputs"),
                   "an object of names and types is needed here, not %s", cr_json_kind(inputs));
        return;
    }
    size_t count = (size_t)cJSON_GetArraySize(inputs);
    pipeline->inputs = cr_check_alloc(checker, count, sizeof(*pipeline->inputs));
    if (!cr_names_init(&pipeline->input_names, inputs))
        checker->no_memory = true;
    if (checker->no_memory)
        return;
    const cJSON *input;
    cJSON_ArrayForEach (input, inputs) {
        check_name(checker, CR_PLACE("inputs", input->string), input->string);
        pipeline->inputs[pipeline->input_count++] = (struct cr_source){
            .name = input->string,
            .type = read_type(checker, input),
            .index = pipeline->source_count++,
        };
    }
}

static void read_outputs(struct cr_checker *checker, const cJSON *outputs)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    if (outputs == NULL || (cJSON_IsObject(outputs) && outputs->child == NULL)) {
        cr_problem(checker, CR_PLACE("outputs"),
                   "nothing comes out: at least one output is needed, {\"NAME\": \"STAGE.PORT\"}");
        return;
    }
    if (!cJSON_IsObject(outputs)) {
        cr_problem(checker, CR_PLACE("outputs"),
                   "an object of names and wires is needed here, not %s", cr_json_kind(outputs));
        return;
    }
    size_t count = (size_t)cJSON_GetArraySize(outputs);
    pipeline->outputs = cr_check_alloc(checker, count, sizeof(*pipeline->outputs));
    if (checker->no_memory)
        return;
    const cJSON *output;
    cJSON_ArrayForEach (output, outputs) {
        struct cr_place place = CR_PLACE("outputs", output->string);
        check_name(checker, place, output->string);
        struct cr_source *source = cr_wire_resolve(checker, place, output);
        if (source != NULL)
            pipeline->outputs[pipeline->output_count++] =
                (struct cr_output){output->string, output->valuestring, source};
    }
}

/* ---- Stages ---- */

/* Wires may lead to stages further down: all nodes are there before the first one is checked. */
static void declare_stages(struct cr_checker *checker, const cJSON *stages)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    size_t count = (size_t)cJSON_GetArraySize(stages);
    pipeline->nodes = cr_check_alloc(checker, count, sizeof(*pipeline->nodes));
    if (!cr_names_init(&pipeline->node_names, stages))
        checker->no_memory = true;
    if (checker->no_memory)
        return;
    const cJSON *stage;
    cJSON_ArrayForEach (stage, stages) {
        struct cr_node *node = &pipeline->nodes[pipeline->node_count];
        node->name = stage->string;
        node->json = stage;
        node->place = pipeline->node_count++;
        cr_node_declare(checker, node);
    }
}

static void read_stages(struct cr_checker *checker, const cJSON *stages)
{
    checker->no_stages = !cJSON_IsObject(stages) || stages->child == NULL;
    if (stages == NULL) {
        cr_problem(checker, CR_PLACE("stages"),
                   "the stages are missing: {\"NAME\": {\"use\": \"PLUGIN\", ...}, ...}");
        return;
    }
    if (!cJSON_IsObject(stages)) {
        cr_problem(checker, CR_PLACE("stages"),
                   "an object of names and stages is needed here, not %s", cr_json_kind(stages));
        return;
    }
    if (stages->child == NULL)
        cr_problem(checker, CR_PLACE("stages"),
                   "at least one stage is needed: {\"NAME\": {\"use\": \"PLUGIN\", ...}}");
    declare_stages(checker, stages);
    for (size_t i = 0; i < checker->pipeline->node_count && !checker->no_memory; i++) {
        struct cr_node *node = &checker->pipeline->nodes[i];
        check_stage_name(checker, CR_PLACE("stages", node->name), node->name);
        cr_node_check(checker, node);
    }
}

/* ---- The top level ---- */

static void check_text(struct cr_checker *checker, const cJSON *item)
{
    if (!cJSON_IsString(item))
        cr_problem(checker, CR_PLACE(item->string), "a string is needed here, not %s",
                   cr_json_kind(item));
    else if (strcmp(item->string, "name") == 0 && item->valuestring[0] == '\0')
        cr_problem(checker, CR_PLACE("name"), "the name is empty; leave it out to use the file's");
}

static void check_keys(struct cr_checker *checker)
{
    static const char *const keys[] = {"crayon", "name",   "note",    "extends",
                                       "inputs", "stages", "outputs", "$schema"};
    const cJSON *item;
    cJSON_ArrayForEach (item, checker->pipeline->tree) {
        struct cr_hint hint;
        bool is_known = strncmp(item->string, "x-", 2) == 0;
        cr_hint_init(&hint, item->string, "keys");
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            is_known = is_known || strcmp(item->string, keys[i]) == 0;
            cr_hint_offer(&hint, keys[i]);
        }
        if (!is_known)
            cr_problem(checker, CR_PLACE(item->string), "a pipeline has no key \"%s\"%s",
                       item->string, cr_hint_text(&hint));
        if (strcmp(item->string, "name") == 0 || strcmp(item->string, "note") == 0)
            check_text(checker, item);
    }
}

int cr_pipeline_check(struct cr_pipeline *pipeline, struct cr_report *report, struct cr_error *err)
{
    struct cr_checker checker = {.pipeline = pipeline, .report = report};
    size_t before = cr_report_errors(report);
    check_keys(&checker);
    read_inputs(&checker, cr_json_get(pipeline->tree, "inputs"));
    read_stages(&checker, cr_json_get(pipeline->tree, "stages"));
    read_outputs(&checker, cr_json_get(pipeline->tree, "outputs"));
    for (size_t i = 0; i < pipeline->node_count && !checker.no_memory; i++)
        cr_node_ask_plugin(&checker, &pipeline->nodes[i]);
    if (!checker.no_memory)
        cr_graph_order(&checker);
    /* What is not needed may be so because of a mistake. */
    if (!checker.no_memory && cr_report_errors(report) == before)
        cr_graph_mark_needed(&checker);
    return checker.no_memory ? cr_fail_memory(err, 1) : 0;
}
