/* SPDX-License-Identifier: MIT */
/* run.c: one pass of a batch through the stages that the wanted outputs need. */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "pipeline/check.h"
#include "pipeline/models.h"
#include "pipeline/run.h"
#include "value/value.h"

/* ---- The object ---- */

static void *allocate(struct cr_run *run, size_t count, size_t bytes, bool *failed)
{
    void *memory = cr_arena_alloc(&run->arena, count * bytes);
    *failed = *failed || memory == NULL;
    return memory;
}

int cr_run_create(struct cr_run **out, struct cr_pipeline *pipeline, struct cr_error *err)
{
    *out = NULL;
    struct cr_run *run = cr_calloc(1, sizeof(*run));
    if (run == NULL)
        return cr_fail_memory(err, sizeof(*run));
    bool failed = false;
    run->pipeline = pipeline;
    run->inputs = allocate(run, pipeline->input_count, sizeof(*run->inputs), &failed);
    run->results = allocate(run, pipeline->output_count, sizeof(*run->results), &failed);
    run->wanted = allocate(run, pipeline->output_count, sizeof(*run->wanted), &failed);
    run->needed = allocate(run, pipeline->node_count, sizeof(*run->needed), &failed);
    run->values = allocate(run, pipeline->source_count, sizeof(*run->values), &failed);
    run->uses = allocate(run, pipeline->source_count, sizeof(*run->uses), &failed);
    run->given = allocate(run, pipeline->source_count, sizeof(*run->given), &failed);
    run->kept = allocate(run, pipeline->source_count, sizeof(*run->kept), &failed);
    run->examples = allocate(run, pipeline->source_count, sizeof(*run->examples), &failed);
    run->times = allocate(run, pipeline->node_count, sizeof(*run->times), &failed);
    run->devices = allocate(run, pipeline->node_count, sizeof(*run->devices), &failed);
    run->figures = allocate(run, pipeline->node_count, sizeof(*run->figures), &failed);
    run->plans = allocate(run, pipeline->node_count, sizeof(*run->plans), &failed);
    run->profiles = allocate(run, pipeline->node_count, sizeof(*run->profiles), &failed);
    if (failed) {
        cr_arena_finish(&run->arena);
        cr_free(run);
        return cr_fail_memory(err, pipeline->source_count * sizeof(void *));
    }
    *out = run;
    return 0;
}

static void unref_all(struct cr_value **values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_value_unref(&values[i]);
}

void cr_run_destroy(struct cr_run **run)
{
    struct cr_run *old = *run;
    *run = NULL;
    if (old == NULL)
        return;
    unref_all(old->inputs, old->pipeline->input_count);
    unref_all(old->results, old->pipeline->output_count);
    unref_all(old->given, old->pipeline->source_count);
    cr_arena_finish(&old->arena);
    cr_free(old);
}

int cr_run_set_input(struct cr_run *run, const char *name, struct cr_value *value,
                     struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    const struct cr_name *found = cr_names_find(&pipeline->input_names, name, strlen(name));
    if (found == NULL) {
        struct cr_hint hint;
        cr_hint_init(&hint, name, "inputs");
        for (size_t i = 0; i < pipeline->input_count; i++)
            cr_hint_offer(&hint, pipeline->inputs[i].name);
        return cr_fail(err, CR_ERR_NOT_FOUND, "%s: no input \"%s\"%s", pipeline->name, name,
                       cr_hint_text(&hint));
    }
    enum cr_type type = pipeline->inputs[found->place].type;
    size_t index;
    if (cr_value_type(value) != type)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: the input \"%s\" takes %s, not %s",
                       pipeline->name, name, cr_type_words(type),
                       cr_type_words(cr_value_type(value)));
    if (!cr_value_complete(value, &index))
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: item %zu of the input \"%s\" is not set",
                       pipeline->name, index, name);
    cr_value_seal(value);
    struct cr_value *old = run->inputs[found->place];
    run->inputs[found->place] = cr_value_ref(value);
    cr_value_unref(&old);
    return 0;
}

static size_t find_output(const struct cr_pipeline *pipeline, const char *name)
{
    size_t index = 0;
    while (index < pipeline->output_count && strcmp(pipeline->outputs[index].name, name) != 0)
        index++;
    return index;
}

int cr_run_want(struct cr_run *run, const char *output, struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    size_t index = find_output(pipeline, output);
    if (index < pipeline->output_count) {
        run->wanted[index] = true;
        return 0;
    }
    struct cr_hint hint;
    cr_hint_init(&hint, output, "outputs");
    for (size_t i = 0; i < pipeline->output_count; i++)
        cr_hint_offer(&hint, pipeline->outputs[i].name);
    return cr_fail(err, CR_ERR_NOT_FOUND, "%s: no output \"%s\"%s", pipeline->name, output,
                   cr_hint_text(&hint));
}

void cr_run_set_hooks(struct cr_run *run, const struct cr_run_hooks *hooks)
{
    run->hooks = *hooks;
}

void cr_run_set_seed(struct cr_run *run, uint64_t seed)
{
    run->seed = seed;
}

const struct cr_value *cr_run_output(const struct cr_run *run, const char *output)
{
    size_t index = find_output(run->pipeline, output);
    return index < run->pipeline->output_count ? run->results[index] : NULL;
}

size_t cr_run_times(const struct cr_run *run)
{
    return run->time_count;
}

struct cr_stage_time cr_run_time(const struct cr_run *run, size_t index)
{
    assert(index < run->time_count);
    return run->times[index];
}

size_t cr_run_figures(const struct cr_run *run, size_t index)
{
    assert(index < run->time_count);
    return run->figures[index].count;
}

struct cr_figure cr_run_figure(const struct cr_run *run, size_t index, size_t figure)
{
    assert(figure < cr_run_figures(run, index));
    return run->figures[index].items[figure];
}

void cr_run_add_figure(struct cr_run *run, const char *name, double value)
{
    struct cr_figures *figures = &run->figures[run->time_count];
    size_t at = 0;
    while (at < figures->count && strcmp(figures->items[at].name, name) != 0)
        at++;
    if (at == sizeof(figures->items) / sizeof(figures->items[0]))
        return;
    figures->items[at] = (struct cr_figure){name, value};
    figures->count += at == figures->count;
}

const char *cr_run_device(const struct cr_run *run, size_t index)
{
    assert(index < run->time_count);
    return run->devices[index];
}

const struct cr_profile *cr_run_profile(const struct cr_run *run, size_t index)
{
    assert(index < run->time_count);
    return &run->profiles[index];
}

/* ---- Who waits for what ---- */

static void need(struct cr_run *run, const struct cr_source *source)
{
    run->uses[source->index]++;
    if (source->node != NULL && run->given[source->index] == NULL)
        run->needed[source->node->place] = true;
}

void cr_run_count_uses(struct cr_run *run)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    memset(run->needed, 0, pipeline->node_count * sizeof(*run->needed));
    memset(run->uses, 0, pipeline->source_count * sizeof(*run->uses));
    for (size_t i = 0; i < pipeline->output_count; i++)
        if (run->wanted[i])
            need(run, pipeline->outputs[i].source);
    for (size_t i = pipeline->node_count; i-- > 0;) {
        const struct cr_node *node = pipeline->order[i];
        for (size_t j = 0; j < node->input_count && run->needed[node->place]; j++)
            for (size_t k = 0; k < node->inputs[j].count; k++)
                need(run, node->inputs[j].sources[k]);
    }
    for (size_t i = 0; i < pipeline->source_count; i++)
        run->uses[i] += run->kept[i] && run->uses[i] > 0;
}

/* Take the inputs that are needed; they have to be there, with one count of items. */
static int take_inputs(struct cr_run *run, struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    const struct cr_source *first = NULL;
    for (size_t i = 0; i < pipeline->input_count; i++) {
        const struct cr_source *input = &pipeline->inputs[i];
        if (run->uses[input->index] == 0)
            continue;
        if (run->inputs[i] == NULL)
            return cr_fail(err, CR_ERR_ARGUMENT, "%s: the input \"%s\" is needed, %s",
                           pipeline->name, input->name, cr_type_words(input->type));
        if (first == NULL)
            first = input;
        size_t items = cr_value_count(run->inputs[i]);
        size_t expected = cr_value_count(run->inputs[first->index]);
        if (items != expected)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "%s: the input \"%s\" has %zu items and \"%s\" %zu; a batch needs as "
                           "many of each",
                           pipeline->name, first->name, expected, input->name, items);
        run->values[input->index] = cr_value_ref(run->inputs[i]);
    }
    return 0;
}

/* Of nodes that need not run. */
static void take_given(struct cr_run *run)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    for (size_t i = 0; i < pipeline->node_count; i++) {
        const struct cr_node *node = &pipeline->nodes[i];
        for (size_t j = 0; j < node->output_count && !run->needed[i]; j++) {
            size_t index = node->outputs[j].index;
            if (run->given[index] != NULL && run->uses[index] > 0)
                run->values[index] = cr_value_ref(run->given[index]);
        }
    }
}

/* What is kept outlives the execution. */
static void keep_values(struct cr_run *run)
{
    for (size_t i = 0; i < run->pipeline->source_count; i++) {
        if (!run->kept[i] || run->values[i] == NULL)
            continue;
        cr_value_unref(&run->given[i]);
        run->given[i] = cr_value_ref(run->values[i]);
    }
}

/* ---- One stage ---- */

/* Point `inputs` to the values on the wires of a stage, and tell their count of items. */
static int gather(const struct cr_run *run, const struct cr_node *node, struct cr_value **inputs,
                  size_t *items, struct cr_error *err)
{
    const struct cr_source *first = NULL;
    *items = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        for (size_t j = 0; j < node->inputs[i].count; j++) {
            const struct cr_source *source = node->inputs[i].sources[j];
            *inputs = run->values[source->index];
            if (first == NULL) {
                first = source;
                *items = cr_value_count(*inputs);
            }
            if (cr_value_count(*inputs) != *items)
                return cr_fail(err, CR_ERR_ARGUMENT,
                               "its inputs differ in their counts of items: \"%s\" has %zu, \"%s\" "
                               "has %zu",
                               first->name, *items, source->name, cr_value_count(*inputs));
            inputs++;
        }
    }
    return 0;
}

static int slice_inputs(struct cr_value **slices, struct cr_value *const *inputs, size_t wires,
                        size_t start, size_t count, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < wires && result == 0; i++)
        result = cr_value_slice(&slices[i], inputs[i], start, count, err);
    return result;
}

/* Run slice after slice; `parts` gets the outputs, those of one port one after the other. */
static int run_slices(struct cr_context *context, struct cr_value *const *inputs, size_t items,
                      struct cr_value **parts, struct cr_error *err)
{
    const struct cr_node *node = context->node;
    size_t wires = cr_node_first_wire(node, node->input_count);
    int result = 0;
    for (; context->slice < context->slices && result == 0; context->slice++) {
        size_t start = context->first_item = context->slice * node->batch;
        size_t count = items - start < node->batch ? items - start : node->batch;
        result = slice_inputs(context->inputs, inputs, wires, start, count, err);
        if (result == 0)
            result = cr_context_run(context, err);
        for (size_t i = 0; i < node->output_count && result == 0; i++) {
            parts[i * context->slices + context->slice] = context->outputs[i];
            context->outputs[i] = NULL;
        }
        unref_all(context->inputs, wires);
        if (result == 0 && cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
    }
    return result;
}

static int join_outputs(struct cr_context *context, struct cr_value *const *parts,
                        struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < context->node->output_count && result == 0; i++) {
        struct cr_value *const *first = &parts[i * context->slices];
        if (first[0] != NULL)
            result = cr_value_join(&context->outputs[i], first, context->slices, err);
    }
    return result;
}

static int run_in_slices(struct cr_context *context, size_t items, struct cr_error *err)
{
    const struct cr_node *node = context->node;
    size_t wires = cr_node_first_wire(node, node->input_count);
    struct cr_value **inputs = context->inputs;
    context->slices = (items + node->batch - 1) / node->batch;
    size_t part_count = context->slices * node->output_count;
    struct cr_value **parts = cr_calloc(part_count, sizeof(*parts));
    context->inputs = cr_calloc(wires, sizeof(*inputs));
    int result = parts != NULL && context->inputs != NULL
                     ? run_slices(context, inputs, items, parts, err)
                     : cr_fail_memory(err, (part_count + wires) * sizeof(*parts));
    if (result == 0)
        result = join_outputs(context, parts, err);
    if (parts != NULL)
        unref_all(parts, part_count);
    cr_free(parts);
    cr_free(context->inputs);
    context->inputs = inputs;
    return result;
}

int cr_node_run(struct cr_run *run, struct cr_node *node, struct cr_error *err)
{
    size_t wires = cr_node_first_wire(node, node->input_count), items = 0;
    struct cr_context context = {.run = run, .node = node, .slices = 1};
    context.inputs = cr_calloc(wires, sizeof(*context.inputs));
    context.outputs = cr_calloc(node->output_count, sizeof(*context.outputs));
    int result = context.inputs != NULL && context.outputs != NULL
                     ? gather(run, node, context.inputs, &items, err)
                     : cr_fail_memory(err, (wires + node->output_count) * sizeof(void *));
    if (result == 0 && node->batch > 0 && items > node->batch)
        result = run_in_slices(&context, items, err);
    else if (result == 0)
        result = cr_context_run(&context, err);
    for (size_t i = 0; i < node->output_count && context.outputs != NULL; i++) {
        if (result == 0)
            run->values[node->outputs[i].index] = context.outputs[i];
        else
            cr_value_unref(&context.outputs[i]);
    }
    cr_free(context.inputs);
    cr_free(context.outputs);
    return result;
}

int cr_node_open(struct cr_run *run, struct cr_node *node, struct cr_error *err)
{
    struct cr_context context = {.run = run, .node = node, .slices = 1};
    return node->is_open ? 0 : cr_context_open(&context, err);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void report_progress(const struct cr_run *run, const struct cr_node *node, double done)
{
    if (run->hooks.progress != NULL)
        run->hooks.progress(run->hooks.user, node->name, done);
}

void cr_run_let_go(struct cr_run *run, const struct cr_node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        for (size_t j = 0; j < node->inputs[i].count; j++) {
            size_t index = node->inputs[i].sources[j]->index;
            if (--run->uses[index] == 0)
                cr_value_unref(&run->values[index]);
        }
    }
}

static void add_device_figures(struct cr_run *run, const struct cr_node *node)
{
    uint64_t peak;
    if (node->opened == NULL)
        return;
    (void)cr_device_used(node->opened->device, &peak);
    cr_run_add_figure(run, "device_peak_bytes", (double)peak);
    run->profiles[run->time_count] = cr_device_take_profile(node->opened->device);
}

static int execute_node(struct cr_run *run, struct cr_node *node, struct cr_error *err)
{
    if (run->hooks.cancel != NULL && *run->hooks.cancel != 0)
        return cr_fail(err, CR_ERR_CANCELLED, "cancelled before it started");
    double start = seconds();
    const struct cr_opened *device = cr_node_opened(run->pipeline, node);
    run->figures[run->time_count].count = 0;
    memset(&run->profiles[run->time_count], 0, sizeof(*run->profiles));
    if (device != NULL) {
        cr_device_reset_peak(device->device);
        (void)cr_device_take_profile(device->device);
    }
    report_progress(run, node, 0);
    int result = cr_node_open(run, node, err);
    run->stays_shut = result < 0;
    if (result < 0)
        return result;
    double opened = seconds();
    result = cr_node_run(run, node, err);
    if (node->release)
        result = cr_node_release(node, result, err);
    if (result < 0)
        return result;
    report_progress(run, node, 1);
    add_device_figures(run, node);
    run->devices[run->time_count] = node->opened != NULL ? node->opened->name : NULL;
    run->times[run->time_count++] =
        (struct cr_stage_time){node->name, opened - start, seconds() - opened};
    cr_run_let_go(run, node);
    return 0;
}

/* ---- The whole ---- */

int cr_run_each(struct cr_run *run,
                int (*visit)(struct cr_run *run, struct cr_node *node, struct cr_error *err),
                struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    int result = take_inputs(run, err);
    take_given(run);
    for (size_t i = 0; i < pipeline->node_count && result == 0; i++) {
        struct cr_node *node = pipeline->order[i];
        struct cr_error why = CR_ERROR_INIT;
        if (!run->needed[node->place] || (result = visit(run, node, &why)) == 0)
            continue;
        cr_fail(err, result, "stage \"%s\": %s", node->name, why.message);
    }
    return result;
}

static int execute(struct cr_run *run, struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    int result = cr_run_each(run, execute_node, err);
    for (size_t i = 0; i < pipeline->output_count && result == 0; i++) {
        const struct cr_output *output = &pipeline->outputs[i];
        if (!run->wanted[i])
            continue;
        result = cr_value_to(&run->results[i], run->values[output->source->index], NULL, err);
        if (result < 0)
            cr_error_prefix(err, "%s: the output \"%s\"", pipeline->name, output->name);
    }
    if (result < 0)
        unref_all(run->results, pipeline->output_count);
    return result;
}

int cr_run_execute(struct cr_run *run, struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    bool any = false;
    for (size_t i = 0; i < pipeline->output_count; i++)
        any = any || run->wanted[i];
    unref_all(run->results, pipeline->output_count);
    run->time_count = 0;
    if (!any)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: no output is wanted", pipeline->name);
    cr_run_count_uses(run);
    int result = execute(run, err);
    if (result == 0)
        cr_models_conclude(run->pipeline, run->hooks.log);
    keep_values(run);
    unref_all(run->values, pipeline->source_count);
    return result;
}
