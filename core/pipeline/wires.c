/* SPDX-License-Identifier: MIT */
/* wires.c: from "stage.port" and "@input" to what they name, and which ports they may feed. */
#include <stdio.h>
#include <string.h>

#include "pipeline/check.h"
#include "plugin/options.h"

/* ---- What a wire starts from ---- */

static struct cr_source *no_input(struct cr_checker *checker, struct cr_place place,
                                  const char *wire)
{
    const struct cr_pipeline *pipeline = checker->pipeline;
    if (checker->no_inputs)
        return NULL;
    struct cr_hint hint;
    cr_hint_init(&hint, wire + 1, "inputs");
    for (size_t i = 0; i < pipeline->input_count; i++)
        cr_hint_offer(&hint, pipeline->inputs[i].name);
    cr_problem(checker, place, "\"%s\": the pipeline has no input \"%s\"%s", wire, wire + 1,
               cr_hint_text(&hint));
    return NULL;
}

static struct cr_source *no_stage(struct cr_checker *checker, struct cr_place place,
                                  const char *wire, const char *name)
{
    const struct cr_pipeline *pipeline = checker->pipeline;
    if (checker->no_stages)
        return NULL;
    struct cr_hint hint;
    cr_hint_init(&hint, name, "stages");
    for (size_t i = 0; i < pipeline->node_count; i++)
        cr_hint_offer(&hint, pipeline->nodes[i].name);
    cr_problem(checker, place, "\"%s\": no stage \"%s\"%s", wire, name, cr_hint_text(&hint));
    return NULL;
}

static struct cr_source *no_output(struct cr_checker *checker, struct cr_place place,
                                   const char *wire, const struct cr_node *node, const char *port)
{
    struct cr_hint hint;
    cr_hint_init(&hint, port, "outputs");
    for (size_t i = 0; i < node->output_count; i++)
        cr_hint_offer(&hint, node->outputs[i].name);
    cr_problem(checker, place, "\"%s\": stage \"%s\" (%s) has no output \"%s\"%s", wire, node->name,
               node->element->name, port, cr_hint_text(&hint));
    return NULL;
}

static struct cr_source *resolve_output(struct cr_checker *checker, struct cr_place place,
                                        const char *wire, const char *dot)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    size_t length = (size_t)(dot - wire);
    const struct cr_name *found = cr_names_find(&pipeline->node_names, wire, length);
    if (found == NULL) {
        char name[80];
        snprintf(name, sizeof(name), "%.*s", (int)length, wire);
        return no_stage(checker, place, wire, name);
    }
    struct cr_node *node = &pipeline->nodes[found->place];
    if (node->element == NULL)
        return NULL; /* reported where the stage says what it uses */
    for (size_t i = 0; i < node->output_count; i++)
        if (strcmp(node->outputs[i].name, dot + 1) == 0)
            return &node->outputs[i];
    return no_output(checker, place, wire, node, dot + 1);
}

#define FORMS "\"@INPUT\" for an input of the pipeline or \"STAGE.PORT\" for an output of a stage"

/* The name of an input or a stage alone is nearly a wire. */
static void no_wire(struct cr_checker *checker, struct cr_place place, const char *text)
{
    const struct cr_pipeline *pipeline = checker->pipeline;
    const struct cr_name *stage = cr_names_find(&pipeline->node_names, text, strlen(text));
    const struct cr_node *node = stage == NULL ? NULL : &pipeline->nodes[stage->place];
    if (cr_names_find(&pipeline->input_names, text, strlen(text)) != NULL)
        cr_problem(checker, place, "\"%s\" is not a wire; did you mean \"@%s\"? Write " FORMS, text,
                   text);
    else if (node != NULL && node->output_count > 0)
        cr_problem(checker, place, "\"%s\" is not a wire; did you mean \"%s.%s\"? Write " FORMS,
                   text, text, node->outputs[0].name);
    else
        cr_problem(checker, place, "\"%s\" is not a wire; write " FORMS, text);
}

static struct cr_source *resolve(struct cr_checker *checker, struct cr_place place,
                                 const cJSON *item)
{
    struct cr_pipeline *pipeline = checker->pipeline;
    if (!cJSON_IsString(item)) {
        cr_problem(checker, place, "a wire is needed here, " FORMS ", not %s", cr_json_kind(item));
        return NULL;
    }
    const char *wire = item->valuestring, *dot = strchr(wire, '.');
    if (wire[0] == '@' && wire[1] != '\0') {
        const struct cr_name *found =
            cr_names_find(&pipeline->input_names, wire + 1, strlen(wire + 1));
        return found == NULL ? no_input(checker, place, wire) : &pipeline->inputs[found->place];
    }
    if (wire[0] != '@' && dot != NULL && dot != wire && dot[1] != '\0')
        return resolve_output(checker, place, wire, dot);
    no_wire(checker, place, wire);
    return NULL;
}

struct cr_source *cr_wire_resolve(struct cr_checker *checker, struct cr_place place,
                                  const cJSON *wire)
{
    struct cr_source *source = resolve(checker, place, wire);
    if (source != NULL)
        source->wires++;
    return source;
}

/* ---- The ports of a stage ---- */

/* An output beside `source` that has the type, for "did you mean". */
static const struct cr_source *sibling(const struct cr_source *source, enum cr_type type)
{
    const struct cr_node *node = source->node;
    for (size_t i = 0; node != NULL && i < node->output_count; i++)
        if (node->outputs[i].type == type)
            return &node->outputs[i];
    return NULL;
}

static void check_type(struct cr_checker *checker, struct cr_place place, const char *wire,
                       const struct cr_source *source, const struct cr_port *port)
{
    if (source->type == port->type || source->type == 0)
        return;
    const struct cr_source *other = sibling(source, port->type);
    char hint[200] = "";
    if (other != NULL)
        snprintf(hint, sizeof(hint), "; did you mean \"%s.%s\"?", other->node->name, other->name);
    cr_problem(checker, place, "\"%s\" is %s, this port takes %s%s", wire,
               cr_type_words(source->type), cr_type_words(port->type), hint);
}

/* Connect one wire. `place` is the wire's. */
static void connect(struct cr_checker *checker, struct cr_place place, const cJSON *wire,
                    const struct cr_port *port, struct cr_wires *wires)
{
    struct cr_source *source = cr_wire_resolve(checker, place, wire);
    if (source == NULL)
        return;
    check_type(checker, place, wire->valuestring, source, port);
    wires->sources[wires->count++] = source;
}

static void connect_port(struct cr_checker *checker, struct cr_node *node,
                         const struct cr_port *port, struct cr_wires *wires, const cJSON *item)
{
    struct cr_place place = CR_PLACE("stages", node->name, "in", item->string);
    bool is_list = cJSON_IsArray(item), takes_list = (port->flags & CR_PORT_MANY) != 0;
    if (is_list && !takes_list) {
        cr_problem(checker, place, "this port takes one wire, not a list");
        return;
    }
    size_t count = is_list ? (size_t)cJSON_GetArraySize(item) : 1;
    wires->sources = cr_check_alloc(checker, count, sizeof(struct cr_source *));
    if (wires->sources == NULL)
        return;
    if (!is_list) {
        connect(checker, place, item, port, wires);
        node->lacks_wire = node->lacks_wire || wires->count == 0;
        return;
    }
    if (count == 0 && !(port->flags & CR_PORT_OPTIONAL))
        cr_problem(checker, place, "the list is empty; %s needs at least one wire here",
                   node->element->name);
    const cJSON *wire;
    size_t index = 0;
    cJSON_ArrayForEach (wire, item) {
        char step[24];
        snprintf(step, sizeof(step), "%zu", index++);
        connect(checker, CR_PLACE("stages", node->name, "in", item->string, step), wire, port,
                wires);
    }
    node->lacks_wire = node->lacks_wire || wires->count < count;
}

static void no_port(struct cr_checker *checker, const struct cr_node *node, const char *name)
{
    struct cr_place place = CR_PLACE("stages", node->name, "in", name);
    if (cr_node_drops(checker, node, place, "port"))
        return;
    struct cr_hint hint;
    cr_hint_init(&hint, name, "ports");
    for (size_t i = 0; i < node->input_count; i++)
        cr_hint_offer(&hint, node->element->inputs[i]->name);
    cr_problem(checker, place, "no port \"%s\" (%s)%s", name, node->element->name,
               cr_hint_text(&hint));
}

/* The plugin is not known, so its ports are not; that a wire leads from somewhere is. */
static void resolve_all(struct cr_checker *checker, const struct cr_node *node, const cJSON *item)
{
    struct cr_place place = CR_PLACE("stages", node->name, "in", item->string);
    if (!cJSON_IsArray(item)) {
        cr_wire_resolve(checker, place, item);
        return;
    }
    const cJSON *wire;
    cJSON_ArrayForEach (wire, item)
        cr_wire_resolve(checker, place, wire);
}

static void connect_member(struct cr_checker *checker, struct cr_node *node, const cJSON *item)
{
    if (node->element == NULL) {
        resolve_all(checker, node, item);
        return;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const struct cr_port *port = node->element->inputs[i];
        if (strcmp(port->name, item->string) == 0) {
            connect_port(checker, node, port, &node->inputs[i], item);
            return;
        }
    }
    no_port(checker, node, item->string);
}

void cr_node_connect(struct cr_checker *checker, struct cr_node *node, const cJSON *in)
{
    if (!cJSON_IsObject(in)) {
        cr_problem(checker, CR_PLACE("stages", node->name, "in"),
                   "an object of ports and wires is needed here, not %s", cr_json_kind(in));
        return;
    }
    const cJSON *item;
    cJSON_ArrayForEach (item, in)
        connect_member(checker, node, item);
}

void cr_node_check_ports(struct cr_checker *checker, struct cr_node *node, const cJSON *in)
{
    if (in != NULL && !cJSON_IsObject(in))
        return; /* reported */
    for (size_t i = 0; i < node->input_count; i++) {
        const struct cr_port *port = node->element->inputs[i];
        if (!(port->flags & CR_PORT_OPTIONAL) && cr_json_get(in, port->name) == NULL)
            cr_problem(checker, CR_PLACE("stages", node->name, "in", port->name),
                       "nothing is connected here; %s needs %s: %s", node->element->name,
                       cr_type_words(port->type), port->doc);
    }
}

/* ---- Leftovers of another plugin ---- */

bool cr_node_drops(struct cr_checker *checker, const struct cr_node *node, struct cr_place place,
                   const char *what)
{
    const struct cr_layer *change = cr_layer_of_change(checker->pipeline, node->name);
    const struct cr_layer *writer = cr_layer_of(checker->pipeline, place);
    /* Layers are ordered from the last word to the first. */
    if (change == NULL || writer <= change)
        return false;
    size_t steps = 0;
    while (place.steps[steps] != NULL)
        steps++;
    cr_remark(checker, change, place,
              "dropped: %s has no %s \"%s\", which %s gave to its predecessor", node->element->name,
              what, place.steps[steps - 1], writer->file);
    return true;
}
