/* SPDX-License-Identifier: MIT */
/* budget.c: does a run fit into the memory that is free, and what would make it fit? */
#include <string.h>

#include "base/amount.h"
#include "pipeline/run.h"
#include "plugin/devices.h"
#include "plugin/options.h"

/* ---- Fitting ---- */

/* Where more is needed than there is; false: nowhere. */
static bool find_shortage(const struct cr_run *run, struct cr_device_plan *shortage)
{
    uint64_t host = 0;
    for (size_t i = 0; i < cr_run_planned_devices(run); i++) {
        *shortage = cr_run_planned_device(run, i);
        if (shortage->left > 0 && shortage->needed > shortage->left)
            return true;
    }
    for (size_t i = 0; i < run->plan_count; i++)
        host = run->plans[i].stage.host > host ? run->plans[i].stage.host : host;
    *shortage =
        (struct cr_device_plan){.name = "the host", .needed = host, .left = cr_memory_available()};
    return shortage->left > 0 && host > shortage->left;
}

/* ---- Remedies ---- */

/* A stage as it is, while something else is tried. */
struct before {
    bool release;
    const char *weights;
};

/* Where the stage's option "weights" is kept, if that can be "nf4", which becomes `*nf4`. */
static const char **weights_of(const struct cr_node *node, const char **nf4)
{
    const struct cr_option *option = cr_option_find(node->element->options, "weights");
    if (option == NULL || option->type != CR_OPTION_TYPE_CHOICE)
        return NULL;
    for (size_t i = 0; option->choices[i] != NULL; i++)
        if (strcmp(option->choices[i], "nf4") == 0) {
            *nf4 = option->choices[i];
            return (const char **)(void *)((char *)node->state + option->offset);
        }
    return NULL;
}

static bool computes(const struct cr_run *run, const struct cr_node *node)
{
    return run->needed[node->place] && cr_element_uses_device(node->element);
}

/* Nothing is gained by closing the last one, after which nothing comes. */
static const struct cr_node *last_that_computes(const struct cr_run *run)
{
    const struct cr_node *last = NULL;
    for (size_t i = 0; i < run->pipeline->node_count; i++)
        if (computes(run, run->pipeline->order[i]))
            last = run->pipeline->order[i];
    return last;
}

static void add_name(struct cr_text *names, const char *name)
{
    cr_text_printf(names, "%s\"%s\"", names->size > 0 ? ", " : "", name);
}

/* What may help: closing stages early, or 4-bit weights in one stage or in all. */
struct remedy {
    bool nf4;
    const char *only; /* a stage; NULL: all */
};

/* The stage with the most weights. */
static const char *largest_stage(const struct cr_run *run)
{
    const struct cr_stage_plan *largest = &run->plans[0].stage;
    for (size_t i = 1; i < run->plan_count; i++)
        if (run->plans[i].stage.weights > largest->weights)
            largest = &run->plans[i].stage;
    return largest->name;
}

/* Change the stages that can be; their names are added to `names`. */
static void change(struct cr_run *run, const struct remedy *remedy, struct before *before,
                   struct cr_text *names)
{
    const struct cr_node *last = last_that_computes(run);
    for (size_t i = 0; i < run->pipeline->node_count; i++) {
        struct cr_node *node = run->pipeline->order[i];
        const char *word = NULL;
        const char **weights = weights_of(node, &word);
        before[i] = (struct before){node->release, weights == NULL ? NULL : *weights};
        if (!computes(run, node) || (remedy->only != NULL && strcmp(remedy->only, node->name) != 0))
            continue;
        if (remedy->nf4 && weights != NULL && *weights != NULL && strcmp(*weights, word) != 0) {
            *weights = word;
            add_name(names, node->name);
        } else if (!remedy->nf4 && !node->release && node != last) {
            node->release = true;
            add_name(names, node->name);
        }
    }
}

static void change_back(struct cr_run *run, const struct before *before)
{
    for (size_t i = 0; i < run->pipeline->node_count; i++) {
        struct cr_node *node = run->pipeline->order[i];
        const char *word = NULL;
        const char **weights = weights_of(node, &word);
        node->release = before[i].release;
        if (weights != NULL)
            *weights = before[i].weights;
    }
}

/* Append the remedy to the message, if it is enough. */
static bool try_remedy(struct cr_run *run, const struct remedy *remedy, struct cr_text *text)
{
    struct cr_text names = CR_TEXT_INIT;
    struct cr_device_plan shortage;
    struct before *before = cr_calloc(run->pipeline->node_count, sizeof(*before));
    if (before == NULL)
        return false;
    change(run, remedy, before, &names);
    bool helps = names.size > 0 && !names.failed && cr_run_plan(run, NULL) == 0 &&
                 !find_shortage(run, &shortage);
    change_back(run, before);
    if (helps)
        cr_text_printf(text, "; %s in %s would make it fit",
                       remedy->nf4 ? "\"weights\": \"nf4\"" : "\"release\": true", names.data);
    cr_text_finish(&names);
    cr_free(before);
    return helps;
}

/* ---- The whole ---- */

static int fail_short(struct cr_run *run, const struct cr_device_plan *shortage,
                      struct cr_error *err)
{
    char needed[32], left[32];
    struct cr_text text = CR_TEXT_INIT;
    const struct remedy remedies[] = {{false, NULL}, {true, largest_stage(run)}, {true, NULL}};
    bool helps = false;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]) && !helps; i++)
        helps = try_remedy(run, &remedies[i], &text);
    int result =
        cr_fail(err, CR_ERR_MEMORY, "%s needs %s on %s, and %s are free%s", run->pipeline->name,
                cr_amount(needed, shortage->needed), shortage->name,
                cr_amount(left, shortage->left), text.size > 0 && !text.failed ? text.data : "");
    cr_text_finish(&text);
    run->plan_count = 0;
    return result;
}

/* Is there anything to plan, and nothing open? */
static bool is_due(const struct cr_run *run)
{
    bool any = false;
    for (size_t i = 0; i < run->pipeline->node_count; i++) {
        const struct cr_node *node = &run->pipeline->nodes[i];
        if (node->is_open)
            return false;
        any = any || computes(run, node);
    }
    return any;
}

int cr_run_check_memory(struct cr_run *run, struct cr_error *err)
{
    struct cr_error why = CR_ERROR_INIT;
    struct cr_device_plan shortage;
    cr_run_count_uses(run);
    if (!is_due(run))
        return 0;
    int result = cr_run_plan(run, &why);
    if (result == CR_ERR_CANCELLED)
        return cr_fail(err, result, "%s", why.message);
    if (result < 0) {
        cr_log_write(run->hooks.log, CR_LOG_INFO, run->pipeline->name,
                     "its memory cannot be planned: %s", why.message);
        return 0;
    }
    return find_shortage(run, &shortage) ? fail_short(run, &shortage, err) : 0;
}
