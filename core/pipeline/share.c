/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "pipeline/run.h"
#include "pipeline/share.h"
#include "plugin/options.h"

/* ---- The same stage, the same outputs ---- */

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_options(const struct cr_node *a, const struct cr_node *b)
{
    const struct cr_option *const *options = a->element->options;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        if (!cr_option_equal(options[i], a->state, b->state))
            return false;
    return true;
}

static bool same_stage(const struct cr_node *a, const struct cr_node *b)
{
    if (a->element != b->element || a->batch != b->batch || a->release != b->release ||
        !same_name(a->device, b->device) || !same_options(a, b))
        return false;
    for (size_t i = 0; i < a->input_count; i++)
        if (a->inputs[i].count != b->inputs[i].count)
            return false;
    return true;
}

/* The node of the same name; NULL: there is none. */
static struct cr_node *namesake(const struct cr_pipeline *pipeline, const struct cr_node *node)
{
    const struct cr_name *found =
        cr_names_find(&pipeline->node_names, node->name, strlen(node->name));
    return found != NULL ? &pipeline->nodes[found->place] : NULL;
}

/* `same`: of the nodes of `b` before this one. */
static bool same_inputs(const struct cr_node *a, const struct cr_node *b, const bool *same)
{
    for (size_t i = 0; i < a->input_count; i++) {
        for (size_t j = 0; j < a->inputs[i].count; j++) {
            const struct cr_source *from = a->inputs[i].sources[j],
                                   *other = b->inputs[i].sources[j];
            if (!same_name(from->name, other->name) ||
                (from->node == NULL) != (other->node == NULL))
                return false;
            if (from->node != NULL &&
                (!same_name(from->node->name, other->node->name) || !same[other->node->place]))
                return false;
        }
    }
    return true;
}

/* For each node of `b`, by place: does `a` have one whose outputs are the same? A new list. */
static bool *find_same(const struct cr_pipeline *a, const struct cr_pipeline *b,
                       struct cr_error *err)
{
    bool *same = cr_calloc(b->node_count + 1, sizeof(*same));
    if (same == NULL)
        cr_fail_memory(err, b->node_count);
    for (size_t i = 0; i < b->node_count && same != NULL; i++) {
        const struct cr_node *node = b->order[i], *other = namesake(a, node);
        same[node->place] =
            other != NULL && same_stage(other, node) && same_inputs(other, node, same);
    }
    return same;
}

/* ---- Values ---- */

/* `source`, of another pipeline, will be wanted there by something that has to be run. */
static void keep(struct cr_run *run, const struct cr_source *source, const bool *same)
{
    if (source->node == NULL || !same[source->node->place])
        return;
    const struct cr_node *node = namesake(run->pipeline, source->node);
    run->kept[node->outputs[source - source->node->outputs].index] = true;
}

int cr_run_keep(struct cr_run *run, struct cr_pipeline *const *later, size_t count,
                struct cr_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct cr_pipeline *other = later[i];
        bool *same = find_same(run->pipeline, other, err);
        if (same == NULL)
            return CR_ERR_MEMORY;
        for (size_t j = 0; j < other->output_count; j++)
            keep(run, other->outputs[j].source, same);
        for (size_t j = 0; j < other->node_count; j++) {
            const struct cr_node *node = &other->nodes[j];
            for (size_t k = 0; k < node->input_count && !same[j]; k++)
                for (size_t l = 0; l < node->inputs[k].count; l++)
                    keep(run, node->inputs[k].sources[l], same);
        }
        cr_free(same);
    }
    return 0;
}

int cr_run_take_over(struct cr_run *run, const struct cr_run *earlier, struct cr_error *err)
{
    const struct cr_pipeline *pipeline = run->pipeline;
    bool *same = find_same(earlier->pipeline, pipeline, err);
    if (same == NULL)
        return CR_ERR_MEMORY;
    for (size_t i = 0; i < pipeline->node_count; i++) {
        const struct cr_node *node = &pipeline->nodes[i];
        const struct cr_node *other = same[i] ? namesake(earlier->pipeline, node) : NULL;
        for (size_t j = 0; j < node->output_count && other != NULL; j++) {
            struct cr_value **given = &run->given[node->outputs[j].index];
            const struct cr_value *value = earlier->given[other->outputs[j].index];
            if (*given == NULL && value != NULL)
                *given = cr_value_ref(value);
        }
    }
    cr_free(same);
    return 0;
}

static bool is_taken(const struct cr_run *run, const struct cr_node *node)
{
    for (size_t i = 0; i < node->output_count && !run->needed[node->place]; i++)
        if (run->given[node->outputs[i].index] != NULL)
            return true;
    return false;
}

const char *cr_run_taken(const struct cr_run *run, size_t index)
{
    for (size_t i = 0; i < run->pipeline->node_count; i++)
        if (is_taken(run, run->pipeline->order[i]) && index-- == 0)
            return run->pipeline->order[i]->name;
    return NULL;
}

/* ---- Stages ---- */

/* The stage keeps its state; only who runs and closes it is another one from here on. */
static void hand_over(struct cr_node *from, struct cr_node *to, struct cr_pipeline *pipeline)
{
    to->state = from->state;
    to->is_open = to->was_open = true;
    to->opened = from->opened != NULL ? cr_node_opened(pipeline, to) : NULL;
    from->is_open = false;
    pipeline->warned = true; /* others have loaded what this one will not */
}

static void hand_on(struct cr_node *node, struct cr_pipeline *const *later, size_t count)
{
    for (size_t i = 0; i < count && node->is_open; i++) {
        struct cr_node *to = namesake(later[i], node);
        if (to != NULL && !to->is_open && same_stage(node, to))
            hand_over(node, to, later[i]);
    }
    cr_node_close(node);
}

static int lend_devices(const struct cr_pipeline *from, struct cr_pipeline *to,
                        struct cr_error *err)
{
    int result = 0;
    for (const struct cr_opened *opened = from->devices; opened != NULL && result == 0;
         opened = opened->next)
        result = cr_pipeline_lend(to, opened->asked, opened->device, err);
    return result;
}

int cr_pipeline_hand_on(struct cr_pipeline *from, struct cr_pipeline *const *later, size_t count,
                        struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = lend_devices(from, later[i], err);
    for (size_t i = 0; i < from->node_count; i++) {
        if (result == 0)
            hand_on(&from->nodes[i], later, count);
        else
            cr_node_close(&from->nodes[i]);
    }
    return result;
}
