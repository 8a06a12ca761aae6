/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "pipeline/hint.h"
#include "pipeline/options.h"
#include "plugin/options.h"

static void problem(const struct cr_binder *binder, const struct cr_node *node, const char *key,
                    const char *format, ...) CR_PRINTF(4, 5);

static void problem(const struct cr_binder *binder, const struct cr_node *node, const char *key,
                    const char *format, ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_PIPELINE, format, args);
    va_end(args);
    binder->problem(binder->user, node, key, text.message);
}

/* ---- Options ---- */

static void store(const struct cr_binder *binder, struct cr_node *node,
                  const struct cr_option *option, const cJSON *value)
{
    bool has_path = option->type == CR_OPTION_TYPE_PATH || option->type == CR_OPTION_TYPE_MODEL ||
                    option->type == CR_OPTION_TYPE_FILE;
    const char *folder = has_path ? binder->folder(binder->user, node, option->name) : ".";
    if (cr_option_store(option, value, folder, binder->arena, node->state, NULL) < 0)
        *binder->no_memory = true;
}

void cr_bind_option(const struct cr_binder *binder, struct cr_node *node,
                    const struct cr_option *option, const cJSON *value)
{
    struct cr_error why = CR_ERROR_INIT;
    int result = cr_option_check(option, value, &why);
    if (result == CR_ERR_MEMORY) {
        *binder->no_memory = true;
    } else if (result < 0) {
        bool has_default = option->initial != NULL;
        problem(binder, node, option->name, "%s (%s%s%s)", why.message, node->element->name,
                has_default ? ", default " : "", has_default ? option->initial : "");
    } else {
        store(binder, node, option, value);
    }
}

void cr_bind_unknown(const struct cr_binder *binder, const struct cr_node *node, const char *key)
{
    struct cr_hint hint;
    cr_hint_init(&hint, key, "options");
    const struct cr_option *const *options = node->element->options;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        cr_hint_offer(&hint, options[i]->name);
    problem(binder, node, key, "no option \"%s\" (%s)%s", key, node->element->name,
            cr_hint_text(&hint));
}

static void missing(const struct cr_binder *binder, const struct cr_node *node,
                    const struct cr_option *option)
{
    struct cr_text kind = CR_TEXT_INIT;
    cr_option_describe(option, &kind);
    if (kind.failed)
        *binder->no_memory = true;
    else
        problem(binder, node, option->name, "the option is missing (%s): %s; %s",
                node->element->name, kind.data == NULL ? "" : kind.data, option->doc);
    cr_text_finish(&kind);
}

static void store_default(const struct cr_binder *binder, struct cr_node *node,
                          const struct cr_option *option)
{
    cJSON *initial = NULL;
    if (cr_option_default(option, &initial, NULL) < 0)
        *binder->no_memory = true; /* its text was checked when the plugin was loaded */
    else if (initial != NULL)
        store(binder, node, option, initial);
    cJSON_Delete(initial);
}

void cr_bind_defaults(const struct cr_binder *binder, struct cr_node *node)
{
    const struct cr_option *const *options = node->element->options;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        if (cr_json_get(node->json, options[i]->name) != NULL)
            continue;
        if ((options[i]->flags & CR_OPTION_REQUIRED) != 0)
            missing(binder, node, options[i]);
        else
            store_default(binder, node, options[i]);
    }
}

/* ---- What the plugin itself has to say ---- */

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
        *check->binder->no_memory = true;
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
    problem(check->binder, check->node, key, "%s (%s)", text.message, check->node->element->name);
}
