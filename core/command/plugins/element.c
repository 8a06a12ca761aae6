/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "command/common.h"
#include "command/plugins/plugins.h"
#include "plugin/check.h"
#include "plugin/devices.h"
#include "plugin/options.h"

#define INDENT "    " /* of examples */

/* The lines of an example, up to the first that is neither indented nor empty. */
static void take_example(const char **text, struct cr_text *example)
{
    size_t empty = 0;
    for (const char *at = *text; *at == '\n' || strncmp(at, INDENT, strlen(INDENT)) == 0;) {
        size_t bytes = strcspn(at, "\n");
        for (; bytes > 0 && empty > 0; empty--)
            cr_text_add(example, "\n");
        empty += bytes == 0;
        if (bytes > 0)
            cr_text_printf(example, "%.*s\n", (int)(bytes - strlen(INDENT)), at + strlen(INDENT));
        *text = at += bytes + (at[bytes] == '\n');
    }
}

bool next_paragraph(const char **text, struct cr_text *paragraph, bool *literal)
{
    const char *at = *text;
    at += strspn(at, "\n");
    *literal = strncmp(at, INDENT, strlen(INDENT)) == 0;
    if (*literal) {
        *text = at;
        take_example(text, paragraph);
        return true;
    }
    at += strspn(at, " \n");
    for (;;) {
        size_t bytes = strcspn(at, " \n");
        cr_text_append(paragraph, at, bytes);
        at += bytes;
        size_t gap = strspn(at, " \n");
        size_t newlines = 0;
        for (size_t i = 0; i < gap; i++)
            newlines += at[i] == '\n';
        if (at[gap] == '\0' || newlines > 1)
            break;
        at += gap;
        cr_text_add(paragraph, " ");
    }
    *text = at;
    return paragraph->size > 0;
}

/* ---- For a terminal ---- */

static void print_ports(const char *title, const struct cr_port *const *ports)
{
    if (ports == NULL || ports[0] == NULL)
        return;
    int width = 0;
    for (const struct cr_port *const *port = ports; *port != NULL; port++)
        if ((int)strlen((*port)->name) > width)
            width = (int)strlen((*port)->name);
    print("\n%s\n", title);
    for (const struct cr_port *const *port = ports; *port != NULL; port++) {
        uint32_t flags = (*port)->flags;
        int column = print("  %-*s  %-8s  ", width, (*port)->name, cr_type_name((*port)->type));
        char *doc = cr_asprintf("%s%s%s", (*port)->doc,
                                (flags & CR_PORT_OPTIONAL) != 0 ? " (optional)" : "",
                                (flags & CR_PORT_MANY) != 0 ? " (takes a list of wires)" : "");
        print_wrapped(doc != NULL ? doc : (*port)->doc, (size_t)column, (size_t)column);
        cr_free(doc);
    }
}

/* "a whole number, 1..100; default 16" */
static void add_values(const struct cr_option *option, struct cr_text *text)
{
    cr_option_describe(option, text);
    if ((option->flags & CR_OPTION_REQUIRED) != 0)
        cr_text_add(text, "; required");
    else if (option->initial != NULL && option->initial[0] != '\0')
        cr_text_printf(text, "; default %s", option->initial);
}

static bool print_options(const struct cr_option *const *options)
{
    if (options == NULL || options[0] == NULL)
        return true;
    struct cr_text text = CR_TEXT_INIT;
    print("\noptions\n");
    for (const struct cr_option *const *option = options; *option != NULL; option++) {
        print("  %s\n      ", (*option)->name);
        print_wrapped((*option)->doc, 6, 6);
        add_values(*option, &text);
        print("      ");
        print_wrapped(text.data != NULL ? text.data : "", 6, 6);
        if (text.failed)
            return print_text(&text);
        cr_text_finish(&text);
    }
    return true;
}

static void print_example(const char *lines)
{
    for (size_t bytes; *lines != '\0'; lines += bytes + 1) {
        bytes = strcspn(lines, "\n");
        print("%s%.*s\n", bytes > 0 ? INDENT : "", (int)bytes, lines);
    }
}

bool element_print(const struct cr_element *element, const struct cr_plugin *plugin,
                   const char *file)
{
    print("%s - ", element->name);
    print_wrapped(element->summary, strlen(element->name) + 3, 4);
    print("\n%s%s, version %s, licence %s\n%s\n", cr_element_kind_name(element->kind),
          cr_element_uses_device(element) ? " that computes on a device" : "", plugin->version,
          plugin->licence, file);
    const char *rest = element->description != NULL ? element->description : "";
    struct cr_text paragraph = CR_TEXT_INIT;
    bool literal;
    while (next_paragraph(&rest, &paragraph, &literal)) {
        print("\n");
        if (literal)
            print_example(paragraph.data);
        else
            print_wrapped(paragraph.data, 0, 0);
        cr_text_finish(&paragraph);
    }
    cr_text_finish(&paragraph);
    print_ports("inputs", element->inputs);
    print_ports("outputs", element->outputs);
    return print_options(element->options);
}

/* ---- JSON ---- */

static void add_ports(struct cr_text *json, const char *key, const struct cr_port *const *ports)
{
    cr_text_printf(json, ",\"%s\":[", key);
    for (size_t i = 0; ports != NULL && ports[i] != NULL; i++) {
        const struct cr_port *port = ports[i];
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_member(json, "name", port->name);
        cr_text_add(json, ",");
        add_member(json, "type", cr_type_name(port->type));
        cr_text_printf(json, ",\"optional\":%s,\"many\":%s,",
                       (port->flags & CR_PORT_OPTIONAL) != 0 ? "true" : "false",
                       (port->flags & CR_PORT_MANY) != 0 ? "true" : "false");
        add_member(json, "doc", port->doc);
        cr_text_add(json, "}");
    }
    cr_text_add(json, "]");
}

static void add_default(struct cr_text *json, const struct cr_option *option)
{
    cJSON *initial = NULL;
    char *text = NULL;
    if (cr_option_default(option, &initial, NULL) == 0 && initial != NULL)
        text = cJSON_PrintUnformatted(initial);
    cr_text_printf(json, ",\"default\":%s", text != NULL ? text : "null");
    cJSON_free(text);
    cJSON_Delete(initial);
}

static const char *option_type_name(enum cr_option_type type)
{
    static const char *const names[] = {
        [CR_OPTION_TYPE_BOOL] = "bool",     [CR_OPTION_TYPE_INT] = "int",
        [CR_OPTION_TYPE_NUMBER] = "number", [CR_OPTION_TYPE_STRING] = "string",
        [CR_OPTION_TYPE_CHOICE] = "choice", [CR_OPTION_TYPE_PATH] = "path",
        [CR_OPTION_TYPE_MODEL] = "model",   [CR_OPTION_TYPE_SIZE] = "size",
        [CR_OPTION_TYPE_INTS] = "ints",     [CR_OPTION_TYPE_STRINGS] = "strings",
        [CR_OPTION_TYPE_FILE] = "file",
    };
    return names[type];
}

static void add_option(struct cr_text *json, const struct cr_option *option)
{
    cr_text_add(json, "{");
    add_member(json, "name", option->name);
    cr_text_add(json, ",");
    add_member(json, "type", option_type_name(option->type));
    cr_text_printf(json, ",\"required\":%s",
                   (option->flags & CR_OPTION_REQUIRED) != 0 ? "true" : "false");
    add_default(json, option);
    if (option->min < option->max)
        cr_text_printf(json, ",\"min\":%.15g,\"max\":%.15g", option->min, option->max);
    if (option->type == CR_OPTION_TYPE_CHOICE) {
        cr_text_add(json, ",\"choices\":[");
        for (size_t i = 0; option->choices[i] != NULL; i++) {
            cr_text_add(json, i > 0 ? "," : "");
            cr_json_quote(json, option->choices[i]);
        }
        cr_text_add(json, "]");
    }
    cr_text_add(json, ",");
    add_member(json, "doc", option->doc);
    cr_text_add(json, "}");
}

void element_add_json(struct cr_text *json, const struct cr_element *element)
{
    cr_text_add(json, "{");
    add_member(json, "kind", cr_element_kind_name(element->kind));
    cr_text_add(json, ",");
    add_member(json, "name", element->name);
    cr_text_add(json, ",");
    add_member(json, "summary", element->summary);
    cr_text_printf(json, ",\"uses_device\":%s", cr_element_uses_device(element) ? "true" : "false");
    if (element->description != NULL) {
        cr_text_add(json, ",");
        add_member(json, "description", element->description);
    }
    add_ports(json, "inputs", element->inputs);
    add_ports(json, "outputs", element->outputs);
    cr_text_add(json, ",\"options\":[");
    for (size_t i = 0; element->options != NULL && element->options[i] != NULL; i++) {
        cr_text_add(json, i > 0 ? "," : "");
        add_option(json, element->options[i]);
    }
    cr_text_add(json, "]}");
}
