/* SPDX-License-Identifier: MIT */
/* bind.c: one stage of the file: its plugin, its options, the keys that every stage has. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/check.h"
#include "plugin/devices.h"
#include "plugin/options.h"

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

static void option_store(struct cr_checker *checker, struct cr_node *node,
                         const struct cr_option *option, const cJSON *value)
{
    struct cr_place place = CR_PLACE("stages", node->name, option->name);
    bool has_path = option->type == CR_OPTION_TYPE_PATH || option->type == CR_OPTION_TYPE_MODEL;
    const char *folder = has_path ? cr_layer_of(checker->pipeline, place)->folder : ".";
    if (cr_option_store(option, value, folder, &checker->pipeline->arena, node->state, NULL) < 0)
        checker->no_memory = true;
}

static void check_option(struct cr_checker *checker, struct cr_node *node,
                         const struct cr_option *option, const cJSON *value)
{
    struct cr_error why = CR_ERROR_INIT;
    int result = cr_option_check(option, value, &why);
    if (result == CR_ERR_MEMORY) {
        checker->no_memory = true;
    } else if (result < 0) {
        bool has_default = option->initial != NULL;
        cr_problem(checker, CR_PLACE("stages", node->name, option->name), "%s (%s%s%s)",
                   why.message, node->element->name, has_default ? ", default " : "",
                   has_default ? option->initial : "");
    } else {
        option_store(checker, node, option, value);
    }
}

static void unknown_option(struct cr_checker *checker, const struct cr_node *node, const char *key)
{
    struct cr_place place = CR_PLACE("stages", node->name, key);
    if (cr_node_drops(checker, node, place, "option"))
        return;
    struct cr_hint hint;
    cr_hint_init(&hint, key, "options");
    const struct cr_option *const *options = node->element->options;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        cr_hint_offer(&hint, options[i]->name);
    cr_problem(checker, place, "no option \"%s\" (%s)%s", key, node->element->name,
               cr_hint_text(&hint));
}

/* An option that the stage leaves out. */
static void default_option(struct cr_checker *checker, struct cr_node *node,
                           const struct cr_option *option)
{
    if (option->flags & CR_OPTION_REQUIRED) {
        struct cr_text kind = CR_TEXT_INIT;
        cr_option_describe(option, &kind);
        if (kind.failed)
            checker->no_memory = true;
        else
            cr_problem(checker, CR_PLACE("stages", node->name, option->name),
                       "the option is missing (%s): %s; %s", node->element->name,
                       kind.data == NULL ? "" : kind.data, option->doc);
        cr_text_finish(&kind);
        return;
    }
    cJSON *initial = NULL;
    if (cr_option_default(option, &initial, NULL) < 0)
        checker->no_memory = true; /* its text was checked when the plugin was loaded */
    else if (initial != NULL)
        option_store(checker, node, option, initial);
    cJSON_Delete(initial);
}

static void default_options(struct cr_checker *checker, struct cr_node *node)
{
    const struct cr_option *const *options = node->element->options;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        if (cr_json_get(node->json, options[i]->name) == NULL)
            default_option(checker, node, options[i]);
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
    if (option == NULL)
        unknown_option(checker, node, value->string);
    else
        check_option(checker, node, option, value);
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
    default_options(checker, node);
    cr_node_check_ports(checker, node, cr_json_get(node->json, "in"));
    /* Without that wire the plugin would see a port unconnected, and complain in vain. */
    node->is_sound = cr_report_errors(checker->report) == before && !node->lacks_wire;
}

/* ---- What the plugin itself has to say ---- */

struct cr_check {
    struct cr_checker *checker;
    const struct cr_node *node;
};

void cr_node_ask_plugin(struct cr_checker *checker, struct cr_node *node)
{
    struct cr_check check = {checker, node};
    if (node->is_sound && node->element->stage->check != NULL)
        node->element->stage->check(node->state, &check);
}

bool cr_check_connected(const struct cr_check *check, const char *port)
{
    const struct cr_node *node = check->node;
    for (size_t i = 0; i < node->input_count; i++)
        if (strcmp(node->element->inputs[i]->name, port) == 0)
            return node->inputs[i].count > 0;
    for (size_t i = 0; i < node->output_count; i++)
        if (strcmp(node->outputs[i].name, port) == 0)
            return node->outputs[i].wires > 0;
    assert(false && "a port that the element declares");
    return false;
}

/* The effective pipeline, which writes all defaults out, has to be as good as the original. */
bool cr_check_given(const struct cr_check *check, const char *name)
{
    const struct cr_option *option = cr_option_find(check->node->element->options, name);
    assert(option != NULL && "an option that the element declares");
    const cJSON *value = cr_json_get(check->node->json, name);
    cJSON *initial = NULL;
    if (value != NULL && cr_option_default(option, &initial, NULL) < 0)
        check->checker->no_memory = true;
    bool given = value != NULL && !(initial != NULL && cr_json_equal(value, initial));
    cJSON_Delete(initial);
    return given;
}

void cr_check_problem(struct cr_check *check, const char *key, const char *format, ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_PIPELINE, format, args);
    va_end(args);
    struct cr_place place = CR_PLACE("stages", check->node->name, key);
    if (key != NULL && strncmp(key, "in/", 3) == 0)
        place = CR_PLACE("stages", check->node->name, "in", key + 3);
    cr_problem(check->checker, place, "%s (%s)", text.message, check->node->element->name);
}
