/* SPDX-License-Identifier: MIT */
/* bind.c: a task before anything is opened: its options, and what its ports are wired to. */
#include <string.h>

#include <crayon/memory.h>

#include "evaluate/task.h"
#include "pipeline/check.h"
#include "pipeline/options.h"
#include "pipeline/run.h"
#include "plugin/options.h"

struct binding {
    struct cr_task *task;
    struct cr_report *report;
    bool no_memory;
};

static const struct cr_element *find_element(const struct binding *b)
{
    const struct cr_registry *registry = b->task->params->registry;
    const char *name = b->task->params->task;
    const struct cr_element *element = cr_registry_find(registry, CR_ELEMENT_TASK, name, NULL);
    struct cr_hint hint;
    cr_hint_init(&hint, name, "tasks");
    for (size_t i = 0; i < cr_registry_elements(registry); i++)
        if (cr_registry_element(registry, i)->kind == CR_ELEMENT_TASK)
            cr_hint_offer(&hint, cr_registry_element(registry, i)->name);
    if (element == NULL && cr_registry_find(registry, CR_ELEMENT_STAGE, name, NULL) != NULL)
        cr_report_add(b->report, CR_SEVERITY_ERROR, name, "",
                      "this is a stage of pipelines and no task%s", cr_hint_text(&hint));
    else if (element == NULL)
        cr_report_add(b->report, CR_SEVERITY_ERROR, name, "", "there is no such task%s",
                      cr_hint_text(&hint));
    return element;
}

/* ---- Options ---- */

static void on_problem(void *user, const struct cr_node *node, const char *key, const char *message)
{
    const struct binding *b = user;
    if (key == NULL || strncmp(key, "in/", 3) == 0)
        cr_report_add(b->report, CR_SEVERITY_ERROR, node->name, "", "%s%s%s",
                      key != NULL ? key + 3 : "", key != NULL ? ": " : "", message);
    else
        cr_report_add(b->report, CR_SEVERITY_ERROR, "--set", "", "%s: %s", key, message);
}

static const char *folder_of(void *user, const struct cr_node *node, const char *option)
{
    (void)user, (void)node, (void)option;
    return ".";
}

/* KEY=VALUE becomes a member of the options; the last one of a key counts. */
static void read_set(struct binding *b, const char *set)
{
    const char *equals = strchr(set, '=');
    cJSON *value = NULL;
    if (equals == NULL || equals == set) {
        cr_report_add(b->report, CR_SEVERITY_ERROR, "--set", "",
                      "\"%s\": write KEY=VALUE for an option of the task", set);
        return;
    }
    char *key = cr_strndup(set, (size_t)(equals - set));
    b->no_memory = b->no_memory || key == NULL || cr_sets_value(equals + 1, &value, NULL) < 0;
    if (!b->no_memory && value == NULL)
        cr_report_add(b->report, CR_SEVERITY_ERROR, "--set", "", "%s: the value is not valid UTF-8",
                      key);
    if (!b->no_memory && value != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(b->task->json, key);
        if (!cJSON_AddItemToObject(b->task->json, key, value)) {
            cJSON_Delete(value);
            b->no_memory = true;
        }
    }
    cr_free(key);
}

static void bind_options(struct binding *b, const struct cr_binder *binder)
{
    struct cr_task *task = b->task;
    const struct cr_evaluate_params *params = task->params;
    for (size_t i = 0; i < params->set_count && !b->no_memory; i++)
        read_set(b, params->sets[i]);
    const cJSON *value;
    cJSON_ArrayForEach (value, task->json) {
        const struct cr_option *option = cr_option_find(task->element->options, value->string);
        if (option != NULL)
            cr_bind_option(binder, &task->node, option, value);
        else
            cr_bind_unknown(binder, &task->node, value->string);
    }
    cr_bind_defaults(binder, &task->node);
}

/* ---- Wires ---- */

typedef struct cr_pipeline_port get_port(const struct cr_pipeline *pipeline, size_t index);

static size_t count_type(const struct cr_port *const *ports, enum cr_type type)
{
    size_t count = 0;
    for (; *ports != NULL; ports++)
        count += (*ports)->type == type;
    return count;
}

/* The pipeline's port of this name, else the only one of the type, if the task has only one, too;
 * NULL: there is none. */
static const char *match(const struct binding *b, const struct cr_port *const *ports,
                         const struct cr_port *port, get_port *get, size_t count, const char *what)
{
    const struct cr_pipeline *pipeline = b->task->params->pipeline;
    const char *found = NULL;
    size_t of_type = 0;
    for (size_t i = 0; i < count; i++) {
        struct cr_pipeline_port other = get(pipeline, i);
        if (strcmp(other.name, port->name) == 0 && other.type != port->type) {
            cr_report_add(b->report, CR_SEVERITY_ERROR, cr_pipeline_name(pipeline), "",
                          "its %s \"%s\" is %s, the task %s has %s of this name", what, port->name,
                          cr_type_words(other.type), b->task->element->name,
                          cr_type_words(port->type));
            return NULL;
        }
        if (other.type != port->type)
            continue;
        if (strcmp(other.name, port->name) == 0)
            return other.name;
        found = other.name;
        of_type++;
    }
    return of_type == 1 && count_type(ports, port->type) == 1 ? found : NULL;
}

/* "objects (text), overlay (image)" */
static void list_ports(struct cr_text *text, const struct cr_pipeline *pipeline, get_port *get,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_text_printf(text, "%s%s (%s)", i > 0 ? ", " : "", get(pipeline, i).name,
                       cr_type_name(get(pipeline, i).type));
}

static void report_unanswered(struct binding *b, const struct cr_port *port)
{
    const struct cr_pipeline *pipeline = b->task->params->pipeline;
    struct cr_text outputs = CR_TEXT_INIT;
    if (pipeline == NULL) {
        cr_report_add(b->report, CR_SEVERITY_ERROR, b->task->element->name, "",
                      "the task needs a pipeline that answers with \"%s\", %s", port->name,
                      cr_type_words(port->type));
        return;
    }
    list_ports(&outputs, pipeline, cr_pipeline_output, cr_pipeline_outputs(pipeline));
    cr_report_add(b->report, CR_SEVERITY_ERROR, cr_pipeline_name(pipeline), "",
                  "has no output \"%s\", nor a single one that is %s, for the task %s; "
                  "its outputs: %s. 'outputs.%s=STAGE.PORT' would set one",
                  port->name, cr_type_words(port->type), b->task->element->name,
                  outputs.data != NULL ? outputs.data : "none", port->name);
    b->no_memory = b->no_memory || outputs.failed;
    cr_text_finish(&outputs);
}

static void wire_answers(struct binding *b)
{
    struct cr_task *task = b->task;
    const struct cr_pipeline *pipeline = task->params->pipeline;
    size_t wired = 0, before = cr_report_errors(b->report);
    for (size_t i = 0; i < task->node.input_count; i++) {
        const struct cr_port *port = task->element->inputs[i];
        if (pipeline != NULL)
            task->answers[i] = match(b, task->element->inputs, port, cr_pipeline_output,
                                     cr_pipeline_outputs(pipeline), "output");
        task->node.inputs[i].count = task->answers[i] != NULL;
        wired += task->node.inputs[i].count;
    }
    for (size_t i = 0; i < task->node.input_count && cr_report_errors(b->report) == before; i++) {
        bool optional = (task->element->inputs[i]->flags & CR_PORT_OPTIONAL) != 0;
        if (task->answers[i] == NULL && (!optional || (pipeline != NULL && wired == 0)))
            report_unanswered(b, task->element->inputs[i]);
    }
}

static void wire_questions(struct binding *b)
{
    struct cr_task *task = b->task;
    const struct cr_pipeline *pipeline = task->params->pipeline;
    size_t wired = 0;
    for (size_t i = 0; i < task->node.output_count; i++) {
        const struct cr_port *port = task->element->outputs[i];
        if (pipeline != NULL)
            task->questions[i] = match(b, task->element->outputs, port, cr_pipeline_input,
                                       cr_pipeline_inputs(pipeline), "input");
        task->node.outputs[i] =
            (struct cr_source){.name = port->name, .type = port->type, .wires = 0};
        task->node.outputs[i].wires = task->questions[i] != NULL;
        wired += task->node.outputs[i].wires;
    }
    if (pipeline == NULL || wired > 0)
        return;
    struct cr_text outputs = CR_TEXT_INIT;
    for (size_t i = 0; i < task->node.output_count; i++)
        cr_text_printf(&outputs, "%s%s (%s)", i > 0 ? ", " : "", task->element->outputs[i]->name,
                       cr_type_name(task->element->outputs[i]->type));
    cr_report_add(b->report, CR_SEVERITY_ERROR, cr_pipeline_name(pipeline), "",
                  "takes nothing of what the task %s hands out: %s", task->element->name,
                  outputs.data != NULL ? outputs.data : "nothing");
    b->no_memory = b->no_memory || outputs.failed;
    cr_text_finish(&outputs);
}

static bool is_asked(const struct cr_task *task, const char *input)
{
    for (size_t i = 0; i < task->node.output_count; i++)
        if (task->questions[i] != NULL && strcmp(task->questions[i], input) == 0)
            return true;
    return false;
}

/* A run that wants the answers; what it needs has to come from the task. */
static int make_run(struct binding *b, struct cr_error *err)
{
    struct cr_task *task = b->task;
    struct cr_pipeline *pipeline = task->params->pipeline;
    int result = cr_run_create(&task->run, pipeline, err);
    for (size_t i = 0; i < task->node.input_count && result == 0; i++)
        if (task->answers[i] != NULL)
            result = cr_run_want(task->run, task->answers[i], err);
    if (result < 0)
        return result;
    const struct cr_run_hooks hooks = {.log = task->params->log, .cancel = task->params->cancel};
    cr_run_set_hooks(task->run, &hooks);
    cr_run_count_uses(task->run);
    for (size_t i = 0; i < pipeline->input_count; i++) {
        const struct cr_source *input = &pipeline->inputs[i];
        if (task->run->uses[input->index] > 0 && !is_asked(task, input->name))
            cr_report_add(b->report, CR_SEVERITY_ERROR, cr_pipeline_name(pipeline), "",
                          "needs the input \"%s\", %s, which the task %s does not hand out",
                          input->name, cr_type_words(input->type), task->element->name);
    }
    return 0;
}

/* ---- The task ---- */

static size_t count_ports(const struct cr_port *const *ports)
{
    size_t count = 0;
    while (ports != NULL && ports[count] != NULL)
        count++;
    return count;
}

static int allocate(struct cr_task *task, struct cr_error *err)
{
    struct cr_node *node = &task->node;
    struct cr_arena *arena = &task->arena;
    node->name = task->element->name;
    node->element = task->element;
    node->input_count = count_ports(task->element->inputs);
    node->output_count = count_ports(task->element->outputs);
    node->inputs = cr_arena_alloc(arena, node->input_count * sizeof(*node->inputs));
    node->outputs = cr_arena_alloc(arena, node->output_count * sizeof(*node->outputs));
    node->state = cr_arena_alloc(arena, task->element->state_size);
    task->questions = cr_arena_alloc(arena, node->output_count * sizeof(*task->questions));
    task->answers = cr_arena_alloc(arena, node->input_count * sizeof(*task->answers));
    node->json = task->json = cJSON_CreateObject();
    if (node->inputs == NULL || node->outputs == NULL || node->state == NULL ||
        task->questions == NULL || task->answers == NULL || task->json == NULL)
        return cr_fail_memory(err, task->element->state_size);
    return 0;
}

static int check(struct binding *b, struct cr_error *err)
{
    struct cr_task *task = b->task;
    const struct cr_binder binder = {b, &task->arena, &b->no_memory, on_problem, folder_of};
    size_t before = cr_report_errors(b->report);
    bind_options(b, &binder);
    wire_questions(b);
    wire_answers(b);
    struct cr_check question = {&binder, &task->node};
    if (!b->no_memory && cr_report_errors(b->report) == before && task->element->task->check)
        task->element->task->check(task->node.state, &question);
    if (b->no_memory)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory");
    return task->params->pipeline != NULL && cr_report_errors(b->report) == before
               ? make_run(b, err)
               : 0;
}

int cr_task_bind(struct cr_task *task, struct cr_report *report, struct cr_error *err)
{
    struct binding b = {.task = task, .report = report};
    size_t before = cr_report_errors(report);
    int result = 0;
    if ((task->element = find_element(&b)) != NULL && (result = allocate(task, err)) == 0)
        result = check(&b, err);
    size_t mistakes = cr_report_errors(report) - before;
    if (result == 0 && mistakes > 0)
        result = cr_fail(err, CR_ERR_PIPELINE, "%s: %zu mistake%s", task->params->task, mistakes,
                         mistakes == 1 ? "" : "s");
    return result;
}
