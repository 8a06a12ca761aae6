/* SPDX-License-Identifier: MIT */
/* plan.c: what a run will take, found by running it on devices that only count. There is no second
 * formula for any stage, which could say something else than what the stage does. */
#include <assert.h>
#include <string.h>

#include "base/fault.h"
#include "pipeline/example.h"
#include "pipeline/run.h"
#include "plugin/check.h"
#include "plugin/devices.h"
#include "tensor/device.h"

/* ---- Examples ---- */

/* As large as the picture that goes into the stage, else as a photograph on the web is. */
static struct cr_size example_size(const struct cr_run *run, const struct cr_node *node)
{
    for (size_t i = 0; node != NULL && i < node->input_count; i++)
        for (size_t j = 0; j < node->inputs[i].count; j++) {
            const struct cr_value *value = run->values[node->inputs[i].sources[j]->index];
            if (cr_value_count(value) == 0)
                continue;
            if (cr_value_type(value) == CR_TYPE_IMAGE)
                return cr_image_size(cr_value_image(value, 0));
            if (cr_value_type(value) == CR_TYPE_PANOPTIC)
                return cr_panoptic_size(cr_value_panoptic(value, 0));
        }
    return (struct cr_size){480, 640};
}

static size_t count_items(const struct cr_run *run, const struct cr_node *node)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i].count > 0)
            return cr_value_count(run->values[node->inputs[i].sources[0]->index]);
    return 1;
}

/* In place of running a stage that computes on no device. */
static int give_examples(struct cr_run *run, const struct cr_node *node, struct cr_error *err)
{
    const size_t items = count_items(run, node);
    const struct cr_size size = example_size(run, node);
    int result = 0;
    for (size_t i = 0; i < node->output_count && result == 0; i++) {
        const struct cr_source *output = &node->outputs[i];
        if (run->uses[output->index] == 0)
            continue;
        run->examples[output->index] = true;
        result = cr_example(&run->values[output->index], output->type, items, size, err);
    }
    return result;
}

/* Inputs that nobody has set. */
static int fill_inputs(struct cr_run *run, struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    size_t items = 1;
    int result = 0;
    for (size_t i = 0; i < pipeline->input_count; i++)
        if (run->inputs[i] != NULL)
            items = cr_value_count(run->inputs[i]);
    for (size_t i = 0; i < pipeline->input_count && result == 0; i++) {
        const struct cr_source *input = &pipeline->inputs[i];
        if (run->inputs[i] != NULL || run->uses[input->index] == 0)
            continue;
        run->examples[input->index] = true;
        result = cr_example(&run->inputs[i], input->type, items, example_size(run, NULL), err);
        if (result < 0)
            cr_error_prefix(err, "%s: the input \"%s\" has to be given", pipeline->name,
                            input->name);
    }
    return result;
}

/* ---- Stages ---- */

static bool has_plan(const struct cr_stage_ops *ops)
{
    return CR_HAS(ops, plan) && ops->plan != NULL;
}

/* Also a stage without a device, if only it can tell the shape of what it makes. */
static bool is_run(const struct cr_run *run, const struct cr_node *node)
{
    bool wants_tensor = false;
    for (size_t i = 0; i < node->output_count; i++)
        wants_tensor = wants_tensor || (node->outputs[i].type == CR_TYPE_TENSOR &&
                                        run->uses[node->outputs[i].index] > 0);
    return cr_element_uses_device(node->element) || has_plan(node->element->stage) || wants_tensor;
}

static uint64_t used_by(const struct cr_opened *opened)
{
    uint64_t peak;
    return opened == NULL ? 0 : cr_device_used(opened->device, &peak);
}

static int open_and_run(struct cr_run *run, struct cr_node *node, struct cr_node_plan *plan,
                        struct cr_error *err)
{
    const struct cr_opened *opened = cr_node_opened(run->pipeline, node);
    const uint64_t before = used_by(opened);
    if (opened != NULL)
        cr_device_reset_peak(opened->device);
    int result = cr_node_open(run, node, err);
    const uint64_t loaded = used_by(node->opened);
    if (result == 0)
        result = cr_node_run(run, node, err);
    plan->opened = node->opened;
    if (result == 0 && plan->opened != NULL) {
        (void)cr_device_used(plan->opened->device, &plan->stage.peak);
        plan->stage.device = plan->opened->name;
        plan->stage.weights = loaded > before ? loaded - before : 0;
        plan->stage.work = plan->stage.peak - (loaded > before ? loaded : before);
    }
    return node->release ? cr_node_release(node, result, err) : result;
}

static int plan_node(struct cr_run *run, struct cr_node *node, struct cr_error *err)
{
    struct cr_node_plan *plan = &run->plans[run->plan_count++];
    *plan = (struct cr_node_plan){.stage = {.name = node->name, .release = node->release}};
    if (run->hooks.cancel != NULL && *run->hooks.cancel != 0)
        return cr_fail(err, CR_ERR_CANCELLED, "cancelled");
    cr_memory_reset_peak();
    int result =
        is_run(run, node) ? open_and_run(run, node, plan, err) : give_examples(run, node, err);
    plan->stage.host = (uint64_t)cr_memory_peak();
    if (result == 0)
        cr_run_let_go(run, node);
    return result;
}

/* ---- The whole ---- */

/* Everything is as it was before. */
static void clean_up(struct cr_run *run)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    for (size_t i = 0; i < pipeline->source_count; i++)
        cr_value_unref(&run->values[i]);
    for (size_t i = 0; i < pipeline->input_count; i++)
        if (run->examples[pipeline->inputs[i].index])
            cr_value_unref(&run->inputs[i]);
    memset(run->examples, 0, pipeline->source_count * sizeof(*run->examples));
    for (size_t i = 0; i < pipeline->node_count; i++)
        cr_node_close(&pipeline->nodes[i]);
}

static int plan_all(struct cr_run *run, struct cr_error *err)
{
    const uint64_t before = (uint64_t)cr_memory_bytes();
    cr_run_count_uses(run);
    int result = fill_inputs(run, err);
    if (result == 0)
        result = cr_run_each(run, plan_node, err);
    for (size_t i = 0; i < run->plan_count; i++) {
        uint64_t *host = &run->plans[i].stage.host;
        *host -= before < *host ? before : *host;
    }
    clean_up(run);
    return result;
}

int cr_run_plan(struct cr_run *run, struct cr_error *err)
{
    struct cr_pipeline *pipeline = run->pipeline;
    run->plan_count = run->time_count = 0;
    for (size_t i = 0; i < pipeline->node_count; i++)
        if (pipeline->nodes[i].is_open)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "%s: the stage \"%s\" is open; a plan comes before the first execution",
                           pipeline->name, pipeline->nodes[i].name);
    const struct cr_run_hooks hooks = run->hooks;
    run->hooks = (struct cr_run_hooks){.cancel = hooks.cancel};
    int result = cr_devices_begin_plan(pipeline, err);
    if (result == 0)
        result = plan_all(run, err);
    cr_devices_end_plan(pipeline);
    run->hooks = hooks;
    if (result < 0)
        run->plan_count = 0;
    return result;
}

size_t cr_run_planned_stages(const struct cr_run *run)
{
    return run->plan_count;
}

struct cr_stage_plan cr_run_planned_stage(const struct cr_run *run, size_t index)
{
    assert(index < run->plan_count);
    return run->plans[index].stage;
}

/* ---- Devices ---- */

/* Is this the first stage on its device? */
static bool is_first(const struct cr_run *run, size_t index)
{
    const struct cr_opened *opened = run->plans[index].opened;
    for (size_t i = 0; i < index && opened != NULL; i++)
        if (run->plans[i].opened != NULL && run->plans[i].opened->device == opened->device)
            return false;
    return opened != NULL;
}

size_t cr_run_planned_devices(const struct cr_run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->plan_count; i++)
        count += is_first(run, i);
    return count;
}

struct cr_device_plan cr_run_planned_device(const struct cr_run *run, size_t index)
{
    size_t at = 0;
    while (at < run->plan_count && !(is_first(run, at) && index-- == 0))
        at++;
    assert(at < run->plan_count);
    const struct cr_opened *opened = run->plans[at].opened;
    struct cr_device_plan plan = {.name = opened->name};
    cr_device_memory_left(opened->device, &plan.total, &plan.left);
    for (size_t i = 0; i < run->plan_count; i++) {
        const struct cr_node_plan *node = &run->plans[i];
        uint64_t needed = 0;
        if (node->opened != NULL && node->opened->device == opened->device)
            needed = node->stage.peak;
        if (cr_device_is_host(opened->device))
            needed += node->stage.host;
        plan.needed = needed > plan.needed ? needed : plan.needed;
    }
    return plan;
}
