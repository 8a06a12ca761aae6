/* SPDX-License-Identifier: MIT */
/* bind.c: one stage of the file: its plugin, its options, the keys that every stage has. */
#include <string.h>

#include "pipeline/check.h"
#include "pipeline/options.h"
#include "plugin/devices.h"
#include "plugin/options.h"
#include "plugin/registry.h"

/* ---- Declaring ---- */

static size_t count_ports(const struct cr_port *const *ports)
{
    size_t count = 0;
    while (ports != NULL && ports[count] != NULL)
        count++;
    return count;
}

void cr_node_declare(struct cr_checker *checker, struct cr_node *node)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    const cJSON *use = cr_json_get(node->json, "use");
    if (!cJSON_IsString(use))
        return;
    node->element = cr_registry_find(pipeline->registry, CR_ELEMENT_STAGE, use->valuestring, NULL);
    if (node->element == NULL)
        return;
    node->input_count = count_ports(node->element->inputs);
    node->output_count = count_ports(node->element->outputs);
    node->inputs = cr_check_alloc(checker, node->input_count, sizeof(*node->inputs));
    node->outputs = cr_check_alloc(checker, node->output_count, sizeof(*node->outputs));
    node->state = cr_check_alloc(checker, 1, node->element->state_size);
    for (size_t i = 0; i < node->output_count && !checker->no_memory; i++) {
        const struct cr_port *port = node->element->outputs[i];
        node->outputs[i] =
            (struct cr_source){port->name, node, port->type, pipeline->source_count++};
    }
}

/* ---- Options ---- */

static void on_problem(void *user, const struct cr_node *node, const char *key, const char *message)
{
    struct cr_place place = CR_PLACE("stages", node->name, key);
    if (key != NULL && strncmp(key, "in/", 3) == 0)
        place = CR_PLACE("stages", node->name, "in", key + 3);
    cr_problem(user, place, "%s", message);
}

static const char *folder_of(void *user, const struct cr_node *node, const char *option)
{
    const struct cr_checker *checker = user;
    return cr_layer_of(checker->pipeline, CR_PLACE("stages", node->name, option))->folder;
}

static struct cr_binder binder_of(struct cr_checker *checker)
{
    return (struct cr_binder){checker, &checker->pipeline->arena, &checker->no_memory, on_problem,
                              folder_of};
}

/* ---- Keys that every stage has ---- */

static void check_device(struct cr_checker *checker, struct cr_node *node, const cJSON *value)
{
    struct cr_place place = CR_PLACE("stages", node->name, "device");
    struct cr_error why = CR_ERROR_INIT;
    if (!cJSON_IsString(value)) {
        cr_problem(checker, place, "the name of a device is needed here, not %s",
                   cr_json_kind(value));
        return;
    }
    node->device = value->valuestring;
    if (cr_device_known(checker->pipeline->registry, node->device, &why) < 0)
        cr_problem(checker, place, "%s", why.message);
    else if (node->element != NULL && !cr_element_uses_device(node->element))
        cr_remark(checker, cr_layer_of(checker->pipeline, place), place,
                  "%s computes on no device: the key changes nothing", node->element->name);
}

static void check_release(struct cr_checker *checker, struct cr_node *node, const cJSON *value)
{
    if (!cJSON_IsBool(value))
        cr_problem(checker, CR_PLACE("stages", node->name, "release"),
                   "true or false is needed here, not %s", cr_json_kind(value));
    node->release = cJSON_IsTrue(value);
}

static void check_batch(struct cr_checker *checker, struct cr_node *node, const cJSON *value)
{
    struct cr_place place = CR_PLACE("stages", node->name, "batch");
    if (!cJSON_IsNumber(value))
        cr_problem(checker, place, "a whole number, at least 1, is needed here, not %s",
                   cr_json_kind(value));
    else if (!cr_json_is_integer(value) || value->valuedouble < 1)
        cr_problem(checker, place, "%g is no whole number, at least 1", value->valuedouble);
    else
        node->batch = (size_t)value->valuedouble;
}

static void check_when(struct cr_checker *checker, struct cr_node *node, const cJSON *value)
{
    (void)value;
    cr_problem(checker, CR_PLACE("stages", node->name, "when"),
               "this key is reserved: a stage runs whenever an output needs it");
}

static void check_note(struct cr_checker *checker, struct cr_node *node, const cJSON *value)
{
    if (!cJSON_IsString(value))
        cr_problem(checker, CR_PLACE("stages", node->name, "note"),
                   "a string is needed here, not %s", cr_json_kind(value));
}

static const struct {
    const char *key;
    void (*check)(struct cr_checker *checker, struct cr_node *node, const cJSON *value);
} common_keys[] = {
    {"in", cr_node_connect}, {"device", check_device}, {"release", check_release},
    {"batch", check_batch},  {"when", check_when},     {"note", check_note},
};

/* ---- The stage ---- */

/* A stage without a plugin is often one of an extended file whose name was not met. */
static void no_plugin(struct cr_checker *checker, const struct cr_node *node)
{
    const struct cr_pipeline *pipeline = checker->pipeline;
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, node->name);
    for (size_t i = 0; i < pipeline->node_count && pipeline->layer_count > 2; i++)
        if (pipeline->nodes[i].element != NULL)
            cr_nearest_offer(&nearest, pipeline->nodes[i].name);
    struct cr_place place = CR_PLACE("stages", node->name, "use");
    if (nearest.best == NULL)
        cr_problem(checker, place, "the plugin is missing: \"use\": \"PLUGIN\"");
    else
        cr_problem(checker, place, "the plugin is missing; did you mean the stage \"%s\"?",
                   nearest.best);
}

static void unknown_plugin(struct cr_checker *checker, const struct cr_node *node, const cJSON *use)
{
    struct cr_place place = CR_PLACE("stages", node->name, "use");
    if (use == NULL) {
        no_plugin(checker, node);
        return;
    }
    if (!cJSON_IsString(use)) {
        cr_problem(checker, place, "the name of a plugin is needed here, not %s",
                   cr_json_kind(use));
        return;
    }
    struct cr_hint hint;
    const struct cr_registry *registry = checker->pipeline->registry;
    const char *refusal =
        cr_registry_refusal(registry, "", use->valuestring, strlen(use->valuestring));
    if (refusal != NULL) {
        cr_problem(checker, place, "the plugin \"%s\" was not loaded: %s", use->valuestring,
                   refusal);
        return;
    }
    cr_hint_init(&hint, use->valuestring, "plugins");
    for (size_t i = 0; i < cr_registry_elements(registry); i++)
        if (cr_registry_element(registry, i)->kind == CR_ELEMENT_STAGE)
            cr_hint_offer(&hint, cr_registry_element(registry, i)->name);
    cr_problem(checker, place, "no plugin \"%s\"%s", use->valuestring, cr_hint_text(&hint));
}

static void check_key(struct cr_checker *checker, struct cr_node *node, const cJSON *value)
{
    for (size_t i = 0; i < sizeof(common_keys) / sizeof(common_keys[0]); i++) {
        if (strcmp(value->string, common_keys[i].key) == 0) {
            common_keys[i].check(checker, node, value);
            return;
        }
    }
    if (cr_is_reserved_key(value->string) || node->element == NULL)
        return;
    const struct cr_option *option = cr_option_find(node->element->options, value->string);
    const struct cr_binder binder = binder_of(checker);
    struct cr_place place = CR_PLACE("stages", node->name, value->string);
    if (option != NULL)
        cr_bind_option(&binder, node, option, value);
    else if (!cr_node_drops(checker, node, place, "option"))
        cr_bind_unknown(&binder, node, value->string);
}

void cr_node_check(struct cr_checker *checker, struct cr_node *node)
{
    size_t before = cr_report_errors(checker->report);
    if (!cJSON_IsObject(node->json)) {
        cr_problem(checker, CR_PLACE("stages", node->name),
                   "a stage is an object, {\"use\": \"PLUGIN\", ...}, not %s",
                   cr_json_kind(node->json));
        return;
    }
    if (node->element == NULL)
        unknown_plugin(checker, node, cr_json_get(node->json, "use"));
    const cJSON *value;
    cJSON_ArrayForEach (value, node->json)
        check_key(checker, node, value);
    if (node->element == NULL)
        return;
    const struct cr_binder binder = binder_of(checker);
    cr_bind_defaults(&binder, node);
    cr_node_check_ports(checker, node, cr_json_get(node->json, "in"));
    /* Without that wire the plugin would see a port unconnected, and complain in vain. */
    node->is_sound = cr_report_errors(checker->report) == before && !node->lacks_wire;
}

void cr_node_ask_plugin(struct cr_checker *checker, struct cr_node *node)
{
    const struct cr_binder binder = binder_of(checker);
    struct cr_check check = {&binder, node};
    if (node->is_sound && node->element->stage->check != NULL)
        node->element->stage->check(node->state, &check);
}
