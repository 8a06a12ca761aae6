/* SPDX-License-Identifier: MIT */
/* schema.c: the format as a JSON Schema, so that editors complete and check pipelines. The fixed
 * part is written out; the stages come from the declarations of the plugins. */
#include <math.h>
#include <string.h>

#include "pipeline/pipeline.h"
#include "plugin/options.h"

#define NAME "[A-Za-z_][A-Za-z0-9_-]{0,62}"
#define PORT "[a-z][a-z0-9_]{0,62}"

/* The part that does not depend on plugins, with ' in the place of ". A file that extends another
 * one is a patch: its stages need no "use", null removes. Only names are checked there, for the
 * kinds depend on files that a schema does not see. */
static const char frame[] =
    "{"
    "'$schema': 'https://json-schema.org/draft/2020-12/schema',"
    "'title': 'crayon pipeline',"
    "'description': 'stages and the wires between them, see crayon-pipeline(5)',"
    "'type': 'object',"
    "'required': ['crayon'],"
    "'properties': {"
    "  '$schema': {'type': 'string', 'description': 'ignored'},"
    "  'crayon': {'const': 1, 'description': 'the format'},"
    "  'name': {'type': 'string', 'minLength': 1, 'description': 'default: the name of the file'},"
    "  'note': {'$ref': '#/$defs/note'},"
    "  'extends': {'type': 'string', 'minLength': 1, 'description': 'the file that it changes'},"
    "  'inputs': {}, 'stages': {}, 'outputs': {}"
    "},"
    "'patternProperties': {'^x-': {}},"
    "'additionalProperties': false,"
    "'if': {'required': ['extends']},"
    "'then': {'properties': {"
    "  'inputs': {'$ref': '#/$defs/changed-inputs'},"
    "  'stages': {'$ref': '#/$defs/changed-stages'},"
    "  'outputs': {'$ref': '#/$defs/changed-outputs'}"
    "}},"
    "'else': {'required': ['stages', 'outputs'], 'properties': {"
    "  'inputs': {'$ref': '#/$defs/inputs'},"
    "  'stages': {'$ref': '#/$defs/stages'},"
    "  'outputs': {'$ref': '#/$defs/outputs'}"
    "}},"
    "'$defs': {"
    "  'name': {'pattern': '^" NAME "$'},"
    "  'stage-name': {'$ref': '#/$defs/name', 'not': {'enum': ['inputs', 'outputs', 'name']}},"
    "  'note': {'type': 'string', 'description': 'for people'},"
    "  'type': {'enum': []},"
    "  'wire': {'type': 'string', 'pattern': '^(@" NAME "|" NAME "[.]" PORT ")$',"
    "    'description': '@INPUT of the pipeline or STAGE.PORT'},"
    "  'wires': {'anyOf': [{'$ref': '#/$defs/wire'},"
    "    {'type': 'array', 'items': {'$ref': '#/$defs/wire'}}]},"
    "  'device': {'type': 'string', 'minLength': 1,"
    "    'description': 'what the stage computes on: auto, cpu, vulkan:1, ...'},"
    "  'batch': {'type': 'integer', 'minimum': 1, 'description': 'so many items at once at most'},"
    "  'release': {'type': 'boolean', 'description': 'close the stage after each run'},"
    "  'inputs': {'type': 'object', 'propertyNames': {'$ref': '#/$defs/name'},"
    "    'additionalProperties': {'$ref': '#/$defs/type'}},"
    "  'outputs': {'type': 'object', 'minProperties': 1, 'propertyNames': {'$ref': '#/$defs/name'},"
    "    'additionalProperties': {'$ref': '#/$defs/wire'}},"
    "  'stages': {'type': 'object', 'minProperties': 1,"
    "    'propertyNames': {'$ref': '#/$defs/stage-name'},"
    "    'additionalProperties': {'$ref': '#/$defs/stage'}},"
    "  'stage': {'type': 'object', 'required': ['use'],"
    "    'properties': {'use': {'$ref': '#/$defs/use'}}, 'allOf': []},"
    "  'use': {'oneOf': []},"
    "  'changed-inputs': {'type': 'object', 'propertyNames': {'$ref': '#/$defs/name'},"
    "    'additionalProperties': {'anyOf': [{'type': 'null'}, {'$ref': '#/$defs/type'}]}},"
    "  'changed-outputs': {'type': 'object', 'propertyNames': {'$ref': '#/$defs/name'},"
    "    'additionalProperties': {'anyOf': [{'type': 'null'}, {'$ref': '#/$defs/wire'}]}},"
    "  'changed-stages': {'type': 'object', 'propertyNames': {'$ref': '#/$defs/stage-name'},"
    "    'additionalProperties': {'anyOf': [{'type': 'null'}, {'$ref': '#/$defs/changed-stage'}]}},"
    "  'changed-stage': {'type': 'object', 'properties': {"
    "      'use': {'anyOf': [{'type': 'null'}, {'$ref': '#/$defs/use'}]},"
    "      'in': {'type': 'object', 'additionalProperties': {"
    "        'anyOf': [{'type': 'null'}, {'$ref': '#/$defs/wires'}]}}},"
    "    'patternProperties': {'^x-': {}},"
    "    'additionalProperties': false}"
    "}}";

/* ---- Building trees ---- */

/* A failed allocation is remembered: one look at the end is enough. */
struct builder {
    cJSON *root;
    bool failed;
};

/* Add `item` (taken; NULL: it could not be made) to an object, or to a list if `key` is NULL.
 * Returns it, or NULL, which may be given in turn. */
static cJSON *add(struct builder *builder, cJSON *to, const char *key, cJSON *item)
{
    if (to != NULL && item != NULL &&
        (key == NULL ? cJSON_AddItemToArray(to, item) : cJSON_AddItemToObject(to, key, item)))
        return item;
    builder->failed = true;
    cJSON_Delete(item);
    return NULL;
}

static cJSON *add_object(struct builder *builder, cJSON *to, const char *key)
{
    return add(builder, to, key, cJSON_CreateObject());
}

static void add_string(struct builder *builder, cJSON *to, const char *key, const char *string)
{
    add(builder, to, key, cJSON_CreateString(string));
}

static void add_number(struct builder *builder, cJSON *to, const char *key, double number)
{
    add(builder, to, key, cJSON_CreateNumber(number));
}

static cJSON *definition(const struct builder *builder, const char *name)
{
    return cr_json_get(cr_json_get(builder->root, "$defs"), name);
}

static void add_reference(struct builder *builder, cJSON *to, const char *name)
{
    char *reference = cr_asprintf("#/$defs/%s", name);
    if (reference == NULL)
        builder->failed = true;
    else
        add_string(builder, to, "$ref", reference);
    cr_free(reference);
}

/* ---- Options ---- */

static void add_bounds(struct builder *builder, cJSON *to, const struct cr_option *option)
{
    bool has_bounds = option->min != option->max;
    if (has_bounds && isfinite(option->min))
        add_number(builder, to, "minimum", option->min);
    else if (option->type == CR_OPTION_TYPE_SIZE)
        add_number(builder, to, "minimum", 1);
    if (has_bounds && isfinite(option->max))
        add_number(builder, to, "maximum", option->max);
}

static cJSON *add_items(struct builder *builder, cJSON *to, const char *type)
{
    add_string(builder, to, "type", "array");
    cJSON *items = add_object(builder, to, "items");
    add_string(builder, items, "type", type);
    return items;
}

static void describe_kind(struct builder *builder, cJSON *to, const struct cr_option *option)
{
    switch (option->type) {
    case CR_OPTION_TYPE_BOOL:
        add_string(builder, to, "type", "boolean");
        break;
    case CR_OPTION_TYPE_INT:
    case CR_OPTION_TYPE_NUMBER:
        add_string(builder, to, "type", option->type == CR_OPTION_TYPE_INT ? "integer" : "number");
        add_bounds(builder, to, option);
        break;
    case CR_OPTION_TYPE_STRING:
        add_string(builder, to, "type", "string");
        break;
    case CR_OPTION_TYPE_PATH:
    case CR_OPTION_TYPE_MODEL:
    case CR_OPTION_TYPE_FILE:
        add_string(builder, to, "type", "string");
        add_number(builder, to, "minLength", 1);
        break;
    case CR_OPTION_TYPE_CHOICE: {
        cJSON *choices = add(builder, to, "enum", cJSON_CreateArray());
        for (size_t i = 0; option->choices[i] != NULL; i++)
            add_string(builder, choices, NULL, option->choices[i]);
        break;
    }
    case CR_OPTION_TYPE_SIZE:
        add_bounds(builder, add_items(builder, to, "integer"), option);
        add_number(builder, to, "minItems", 2);
        add_number(builder, to, "maxItems", 2);
        break;
    case CR_OPTION_TYPE_INTS:
        add_bounds(builder, add_items(builder, to, "integer"), option);
        break;
    case CR_OPTION_TYPE_STRINGS:
        add_items(builder, to, "string");
        break;
    }
}

static void describe_option(struct builder *builder, cJSON *properties,
                            const struct cr_option *option)
{
    cJSON *property = add_object(builder, properties, option->name);
    describe_kind(builder, property, option);
    cJSON *initial = NULL;
    if (cr_option_default(option, &initial, NULL) < 0)
        builder->failed = true;
    else if (initial != NULL)
        add(builder, property, "default", initial);
    add_string(builder, property, "description", option->doc);
}

/* ---- Stages ---- */

static void describe_ports(struct builder *builder, cJSON *properties, cJSON *required,
                           const struct cr_port *const *ports)
{
    cJSON *in = add_object(builder, properties, "in");
    add_string(builder, in, "type", "object");
    cJSON *members = add_object(builder, in, "properties");
    cJSON *needed = cJSON_CreateArray();
    for (; ports != NULL && *ports != NULL; ports++) {
        cJSON *port = add_object(builder, members, (*ports)->name);
        add_reference(builder, port, (*ports)->flags & CR_PORT_MANY ? "wires" : "wire");
        add_string(builder, port, "description", (*ports)->doc);
        if ((*ports)->flags & CR_PORT_OPTIONAL)
            continue;
        add_string(builder, needed, NULL, (*ports)->name);
        if ((*ports)->flags & CR_PORT_MANY)
            add_number(builder, port, "minItems", 1);
    }
    if (needed != NULL && needed->child != NULL)
        add_string(builder, required, NULL, "in");
    add(builder, in, "required", needed);
    add(builder, in, "additionalProperties", cJSON_CreateFalse());
}

/* One stage in full, as "#/$defs/use-NAME". */
static void describe_stage(struct builder *builder, const struct cr_element *element,
                           const char *name)
{
    cJSON *stage = add_object(builder, cr_json_get(builder->root, "$defs"), name);
    add_string(builder, stage, "title", element->name);
    add_string(builder, stage, "description", element->summary);
    cJSON *required = add(builder, stage, "required", cJSON_CreateArray());
    cJSON *properties = add_object(builder, stage, "properties");
    add_object(builder, properties, "use");
    describe_ports(builder, properties, required, element->inputs);
    for (size_t i = 0; element->options != NULL && element->options[i] != NULL; i++) {
        describe_option(builder, properties, element->options[i]);
        if (element->options[i]->flags & CR_OPTION_REQUIRED)
            add_string(builder, required, NULL, element->options[i]->name);
    }
    static const char *const common[] = {"device", "batch", "release", "note"};
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
        add_reference(builder, add_object(builder, properties, common[i]), common[i]);
    add_object(builder, add_object(builder, stage, "patternProperties"), "^x-");
    add(builder, stage, "additionalProperties", cJSON_CreateFalse());
}

/* "If it uses this plugin, then these are its keys." */
static void select_stage(struct builder *builder, const struct cr_element *element,
                         const char *name)
{
    cJSON *rule = add_object(builder, cr_json_get(definition(builder, "stage"), "allOf"), NULL);
    cJSON *use = add_object(
        builder, add_object(builder, add_object(builder, rule, "if"), "properties"), "use");
    add_string(builder, use, "const", element->name);
    add_reference(builder, add_object(builder, rule, "then"), name);
    cJSON *choice = add_object(builder, cr_json_get(definition(builder, "use"), "oneOf"), NULL);
    add_string(builder, choice, "const", element->name);
    add_string(builder, choice, "description", element->summary);
}

/* Any key that a stage may have is one that a change may set. */
static void allow_changes(struct builder *builder, const char *name)
{
    cJSON *changes = cr_json_get(definition(builder, "changed-stage"), "properties");
    const cJSON *key;
    cJSON_ArrayForEach (key, cr_json_get(definition(builder, name), "properties"))
        if (cr_json_get(changes, key->string) == NULL)
            add_object(builder, changes, key->string);
}

static void add_stage(struct builder *builder, const struct cr_element *element)
{
    char *name = cr_asprintf("use-%s", element->name);
    if (name == NULL) {
        builder->failed = true;
        return;
    }
    describe_stage(builder, element, name);
    select_stage(builder, element, name);
    allow_changes(builder, name);
    cr_free(name);
}

/* ---- The whole ---- */

static cJSON *parse_frame(void)
{
    char *text = cr_strdup(frame);
    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    cJSON *root = text == NULL ? NULL : cJSON_Parse(text);
    cr_free(text);
    return root;
}

int cr_pipeline_schema(const struct cr_registry *registry, char **json, struct cr_error *err)
{
    *json = NULL;
    struct builder builder = {.root = parse_frame()};
    if (builder.root == NULL)
        return cr_fail_memory(err, sizeof(frame));
    cJSON *types = cr_json_get(definition(&builder, "type"), "enum");
    for (int type = 1; cr_type_name((enum cr_type)type) != NULL; type++)
        add_string(&builder, types, NULL, cr_type_name((enum cr_type)type));
    for (size_t i = 0; i < cr_registry_elements(registry); i++)
        if (cr_registry_element(registry, i)->kind == CR_ELEMENT_STAGE)
            add_stage(&builder, cr_registry_element(registry, i));
    struct cr_text text = CR_TEXT_INIT;
    if (!builder.failed)
        cr_json_write(&text, builder.root);
    cJSON_Delete(builder.root);
    *json = builder.failed ? NULL : cr_text_take(&text);
    return *json != NULL ? 0 : cr_fail_memory(err, 1);
}
