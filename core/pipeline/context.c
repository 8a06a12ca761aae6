/* SPDX-License-Identifier: MIT */
/* context.c: what a stage sees of a run, and whether it keeps the rules. */
#include <assert.h>
#include <string.h>

#include <crayon/plugin.h>

#include "model/model.h"
#include "pipeline/check.h"
#include "pipeline/models.h"
#include "pipeline/run.h"
#include "plugin/check.h"
#include "plugin/devices.h"
#include "tensor/device.h"
#include "value/value.h"

void cr_context_figure(struct cr_context *context, const char *name, double value)
{
    cr_run_add_figure(context->run, name, value);
}

/* ---- Ports ---- */

static size_t input_port(const struct cr_node *node, const char *name)
{
    size_t port = 0;
    while (port < node->input_count && strcmp(node->element->inputs[port]->name, name) != 0)
        port++;
    assert(port < node->input_count && "an input that the element declares");
    return port;
}

static size_t output_port(const struct cr_node *node, const char *name)
{
    size_t port = 0;
    while (port < node->output_count && strcmp(node->outputs[port].name, name) != 0)
        port++;
    assert(port < node->output_count && "an output that the element declares");
    return port;
}

size_t cr_node_first_wire(const struct cr_node *node, size_t port)
{
    size_t wires = 0;
    for (size_t i = 0; i < port; i++)
        wires += node->inputs[i].count;
    return wires;
}

/* ---- Values ---- */

size_t cr_context_wires(const struct cr_context *context, const char *port)
{
    return context->node->inputs[input_port(context->node, port)].count;
}

const struct cr_value *cr_context_input_at(const struct cr_context *context, const char *port,
                                           size_t index)
{
    size_t at = input_port(context->node, port);
    assert(index < context->node->inputs[at].count);
    if (context->inputs == NULL)
        return NULL;
    return context->inputs[cr_node_first_wire(context->node, at) + index];
}

const struct cr_value *cr_context_input(const struct cr_context *context, const char *port)
{
    return cr_context_wires(context, port) == 0 ? NULL : cr_context_input_at(context, port, 0);
}

bool cr_context_is_example(const struct cr_context *context, const char *port)
{
    const struct cr_wires *wires = &context->node->inputs[input_port(context->node, port)];
    return wires->count > 0 && context->run->examples[wires->sources[0]->index];
}

bool cr_context_wants(const struct cr_context *context, const char *port)
{
    size_t at = output_port(context->node, port);
    return context->run->uses[context->node->outputs[at].index] > 0;
}

static void misuse(struct cr_context *context, const char *format, ...) CR_PRINTF(2, 3);

static void misuse(struct cr_context *context, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (context->misuse.code == CR_OK)
        cr_failv(&context->misuse, CR_ERR_PLUGIN, format, args);
    va_end(args);
}

void cr_context_output(struct cr_context *context, const char *port, struct cr_value **value)
{
    size_t at = output_port(context->node, port);
    if (context->outputs == NULL)
        misuse(context, "the output \"%s\" is set while the stage opens", port);
    else if (context->outputs[at] != NULL)
        misuse(context, "the output \"%s\" is set twice", port);
    if (*value != NULL)
        cr_value_seal(*value);
    if (context->misuse.code != CR_OK || !cr_context_wants(context, port)) {
        cr_value_unref(value);
        return;
    }
    context->outputs[at] = *value;
    *value = NULL;
}

int cr_context_output_tensor(struct cr_context *context, const char *port,
                             const struct cr_tensor *tensor, struct cr_error *err)
{
    struct cr_value *value = NULL;
    if (!cr_context_wants(context, port))
        return 0;
    int result = cr_value_from_tensor(&value, tensor, err);
    if (result == 0)
        cr_context_output(context, port, &value);
    return result;
}

/* ---- The device ---- */

int cr_context_device(struct cr_context *context, struct cr_device **device, struct cr_error *err)
{
    *device = NULL;
    if (!cr_element_uses_device(context->node->element))
        return cr_fail(err, CR_ERR_PLUGIN,
                       "%s asks for a device, and its flags lack CR_ELEMENT_USES_DEVICE",
                       context->node->element->name);
    return cr_node_device(context->run->pipeline, context->node, device, err);
}

static void load_progress(void *user, double done)
{
    cr_context_progress(user, done);
}

static bool load_cancelled(void *user)
{
    return cr_context_cancelled(user);
}

int cr_context_load(struct cr_context *context, struct cr_claim *claim, struct cr_error *err)
{
    struct cr_device *device = NULL;
    const struct cr_load_hooks hooks = {
        .user = context, .progress = load_progress, .cancelled = load_cancelled};
    int result = cr_context_device(context, &device, err);
    if (result == 0)
        result = cr_models_hold(context->run->pipeline, cr_claim_model(claim), err);
    return result == 0 ? cr_claim_load(claim, device, &hooks, err) : result;
}

/* ---- Services ---- */

void *cr_context_scratch(struct cr_context *context, size_t bytes, struct cr_error *err)
{
    void *memory = cr_arena_alloc(&context->scratch, bytes);
    if (memory == NULL)
        cr_fail_memory(err, bytes);
    return memory;
}

bool cr_context_cancelled(const struct cr_context *context)
{
    const volatile int *cancel = context->run->hooks.cancel;
    return cancel != NULL && *cancel != 0;
}

void cr_context_progress(struct cr_context *context, double done)
{
    const struct cr_run_hooks *hooks = &context->run->hooks;
    double clamped = done >= 0 ? done < 1 ? done : 1 : 0; /* not a number becomes 0 */
    if (hooks->progress != NULL)
        hooks->progress(hooks->user, context->node->name,
                        ((double)context->slice + clamped) / (double)context->slices);
}

uint64_t cr_context_seed(const struct cr_context *context)
{
    return context->run->seed;
}

void cr_context_emit(struct cr_context *context, const char *port, size_t item, const char *bytes,
                     size_t count)
{
    const struct cr_run *run = context->run;
    const struct cr_source *source = &context->node->outputs[output_port(context->node, port)];
    for (size_t i = 0; i < run->pipeline->output_count && run->hooks.emit != NULL; i++)
        if (run->wanted[i] && run->pipeline->outputs[i].source == source)
            run->hooks.emit(run->hooks.user, run->pipeline->outputs[i].name,
                            context->first_item + item, bytes, count);
}

void cr_context_log(const struct cr_context *context, enum cr_log_level level, const char *format,
                    ...)
{
    va_list args;
    va_start(args, format);
    cr_log_writev(context->run->hooks.log, level, context->node->name, format, args);
    va_end(args);
}

/* ---- The calls ---- */

/* What a call left behind: its result, if it said why. */
static int conclude(struct cr_context *context, int result, struct cr_error *why,
                    struct cr_error *err)
{
    cr_context_remove_folders(context);
    cr_arena_finish(&context->scratch);
    if (result == 0 && context->misuse.code != CR_OK) {
        *why = context->misuse;
        result = why->code;
    }
    if (result == 0)
        return 0;
    if (result > 0 || why->code == CR_OK)
        return cr_fail(err, result > 0 ? CR_ERR_PLUGIN : result, "%s",
                       why->code == CR_OK ? "it failed without a reason" : why->message);
    return cr_fail(err, result, "%s", why->message);
}

/* What the stage left on its device belongs to it: so do the time that this takes, and errors that
 * show late. After a failure nothing of it is left for the next one. */
static int settle(const struct cr_node *node, int result, struct cr_error *why)
{
    if (result == 0)
        return cr_node_finish(node, why);
    (void)cr_node_finish(node, NULL);
    return result;
}

int cr_context_open(struct cr_context *context, struct cr_error *err)
{
    struct cr_node *node = context->node;
    struct cr_error why = CR_ERROR_INIT;
    int result = 0;
    if (node->element->stage->open != NULL)
        result = node->element->stage->open(node->state, context, &why);
    node->is_open = true;
    node->was_open = node->was_open || !context->run->pipeline->plans;
    result = settle(node, result, &why);
    result = conclude(context, result, &why, err);
    if (result < 0)
        cr_node_close(node);
    return result;
}

void cr_node_close(struct cr_node *node)
{
    if (node->is_open && node->element->stage->close != NULL)
        node->element->stage->close(node->state);
    node->is_open = false;
}

int cr_node_release(struct cr_node *node, int result, struct cr_error *err)
{
    cr_node_close(node);
    if (node->opened == NULL)
        return result;
    int trimmed = cr_device_trim(node->opened->device, result == 0 ? err : NULL);
    return result < 0 ? result : trimmed;
}

/* Is the output what the element declares? `items` is the size of the batch; SIZE_MAX: it is for
 * the first output to say. */
static int check_output(const struct cr_context *context, const struct cr_source *port,
                        const struct cr_value *value, size_t *items, struct cr_error *err)
{
    if (context->run->uses[port->index] == 0)
        return 0;
    if (value == NULL)
        return cr_fail(err, CR_ERR_PLUGIN, "the output \"%s\" was not set", port->name);
    if (cr_value_type(value) != port->type)
        return cr_fail(err, CR_ERR_PLUGIN, "the output \"%s\" is declared as %s and is %s",
                       port->name, cr_type_words(port->type), cr_type_words(cr_value_type(value)));
    if (*items == SIZE_MAX)
        *items = cr_value_count(value);
    if (cr_value_count(value) != *items)
        return cr_fail(err, CR_ERR_PLUGIN, "the output \"%s\" has %zu items in a batch of %zu",
                       port->name, cr_value_count(value), *items);
    size_t index;
    if (!cr_value_complete(value, &index))
        return cr_fail(err, CR_ERR_PLUGIN, "item %zu of the output \"%s\" was not set", index,
                       port->name);
    return 0;
}

static int check_outputs(const struct cr_context *context, struct cr_error *err)
{
    const struct cr_node *node = context->node;
    size_t items = cr_node_first_wire(node, node->input_count) == 0
                       ? SIZE_MAX
                       : cr_value_count(context->inputs[0]);
    int result = 0;
    for (size_t i = 0; i < node->output_count && result == 0; i++)
        result = check_output(context, &node->outputs[i], context->outputs[i], &items, err);
    return result;
}

/* Where the stage wants its inputs: only tensors move, and only they make the device open. */
static int find_place(struct cr_context *context, size_t wires, struct cr_device **device,
                      struct cr_error *err)
{
    bool any = false;
    *device = NULL;
    for (size_t i = 0; i < wires; i++)
        any = any || cr_value_type(context->inputs[i]) == CR_TYPE_TENSOR;
    return any && cr_element_uses_device(context->node->element)
               ? cr_context_device(context, device, err)
               : 0;
}

/* Fill `moved` with the inputs as the stage wants them. */
static int move_inputs(struct cr_context *context, struct cr_value **moved, size_t wires,
                       struct cr_error *err)
{
    struct cr_device *device;
    int result = find_place(context, wires, &device, err);
    for (size_t i = 0; i < wires && result == 0; i++)
        result = cr_value_to(&moved[i], context->inputs[i], device, err);
    return result;
}

/* While the pipeline is planned, a stage may have a shorter way. */
static int call_stage(struct cr_context *context, struct cr_error *why)
{
    const struct cr_node *node = context->node;
    const struct cr_stage_ops *ops = node->element->stage;
    const bool plans = context->run->pipeline->plans && CR_HAS(ops, plan) && ops->plan != NULL;
    return (plans ? ops->plan : ops->run)(node->state, context, why);
}

static int run_stage(struct cr_context *context, struct cr_error *why)
{
    struct cr_node *node = context->node;
    struct cr_value **given = context->inputs;
    size_t wires = cr_node_first_wire(node, node->input_count);
    struct cr_value **moved = cr_context_scratch(context, wires * sizeof(*moved), why);
    if (moved == NULL)
        return CR_ERR_MEMORY;
    int result = move_inputs(context, moved, wires, why);
    if (result == 0) {
        context->inputs = moved;
        result = call_stage(context, why);
        context->inputs = given;
    }
    for (size_t i = 0; i < wires; i++)
        cr_value_unref(&moved[i]);
    return settle(node, result, why);
}

int cr_context_run(struct cr_context *context, struct cr_error *err)
{
    struct cr_node *node = context->node;
    struct cr_error why = CR_ERROR_INIT;
    int result = run_stage(context, &why);
    if (result == 0 && context->misuse.code == CR_OK)
        result = check_outputs(context, &why);
    result = conclude(context, result, &why, err);
    for (size_t i = 0; i < node->output_count && result < 0; i++)
        cr_value_unref(&context->outputs[i]);
    return result;
}
