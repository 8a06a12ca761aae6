/* SPDX-License-Identifier: MIT */
/* The manual page of an element, from what it declares. */
#include <string.h>

#include "base/json.h"
#include "command/plugins/plugins.h"
#include "plugin/devices.h"
#include "plugin/options.h"

/* Pages change when declarations do, not with the day on which they are printed. */
#define MANUAL_DATE "November 24, 2026"
#define LINE_WIDTH 78

/* A word of running text: what mdoc would take for its own is escaped. */
static void add_word(struct cr_text *page, const char *word, size_t bytes, bool at_line_start)
{
    if (at_line_start && (word[0] == '.' || word[0] == '\''))
        cr_text_add(page, "\\&");
    for (size_t i = 0; i < bytes; i++) {
        if (word[i] == '\\')
            cr_text_add(page, "\\e");
        else
            cr_text_append(page, word + i, 1);
    }
}

/* Running text. A sentence starts a line, so that it gets the space of a sentence before it. */
static void add_text(struct cr_text *page, const char *text)
{
    size_t column = 0;
    bool sentence_ended = false;
    for (text += strspn(text, " \n"); *text != '\0'; text += strspn(text, " \n")) {
        size_t bytes = strcspn(text, " \n");
        bool starts = column == 0 || sentence_ended || column + 1 + bytes > LINE_WIDTH;
        if (column > 0)
            cr_text_add(page, starts ? "\n" : " ");
        add_word(page, text, bytes, starts);
        column = starts ? bytes : column + 1 + bytes;
        sentence_ended = strchr(".!?", text[bytes - 1]) != NULL;
        text += bytes;
    }
    cr_text_add(page, "\n");
}

/* Lines as they are. */
static void add_lines(struct cr_text *page, const char *lines)
{
    cr_text_add(page, ".Bd -literal -offset indent\n");
    for (size_t bytes; *lines != '\0'; lines += bytes + 1) {
        bytes = strcspn(lines, "\n");
        add_word(page, lines, bytes, true);
        cr_text_add(page, "\n");
    }
    cr_text_add(page, ".Ed\n");
}

/* The rest of a macro line: quotes would be eaten, too. */
static void add_argument(struct cr_text *page, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"')
            cr_text_add(page, "\\(dq");
        else
            add_word(page, text, 1, false);
    }
}

/* A word in small letters, and no name such as "i32" or "segments_info". */
static bool starts_with_word(const char *text)
{
    size_t letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    return letters > 0 && strchr(" ,;:.", text[letters]) != NULL;
}

/* A doc text has no full stop; on a page it is a sentence. */
static void add_sentence(struct cr_text *page, const char *doc)
{
    char *text = cr_asprintf("%s.", doc);
    page->failed = page->failed || text == NULL;
    if (text != NULL && starts_with_word(text))
        text[0] = (char)(text[0] - 'a' + 'A');
    if (text != NULL)
        add_text(page, text);
    cr_free(text);
}

static void add_ports(struct cr_text *page, const char *title, const struct cr_port *const *ports)
{
    if (ports == NULL || ports[0] == NULL)
        return;
    cr_text_printf(page, ".Sh %s\n.Bl -tag -width Ds\n", title);
    for (size_t i = 0; ports[i] != NULL; i++) {
        cr_text_printf(page, ".It Cm %s Pq %s\n", ports[i]->name, cr_type_name(ports[i]->type));
        add_sentence(page, ports[i]->doc);
        if ((ports[i]->flags & CR_PORT_OPTIONAL) != 0)
            cr_text_add(page, "May stay unconnected.\n");
        if ((ports[i]->flags & CR_PORT_MANY) != 0)
            cr_text_add(page, "Takes a list of wires.\n");
    }
    cr_text_add(page, ".El\n");
}

static void add_option(struct cr_text *page, const struct cr_option *option)
{
    struct cr_text values = CR_TEXT_INIT;
    cr_text_printf(page, ".It Cm %s\n", option->name);
    add_sentence(page, option->doc);
    cr_text_add(&values, "takes ");
    cr_option_describe(option, &values);
    if ((option->flags & CR_OPTION_REQUIRED) != 0)
        cr_text_add(&values, "; must be given");
    else if (option->initial != NULL && option->initial[0] != '\0')
        cr_text_printf(&values, "; the default is %s", option->initial);
    page->failed = page->failed || values.failed;
    if (values.data != NULL)
        add_sentence(page, values.data);
    cr_text_finish(&values);
}

static void add_options(struct cr_text *page, const struct cr_element *element)
{
    const struct cr_option *const *options = element->options;
    if (options == NULL || options[0] == NULL)
        return;
    cr_text_printf(page, ".Sh OPTIONS\n%s:\n.Bl -tag -width Ds\n",
                   element->kind == CR_ELEMENT_TASK ? "What\n.Fl -set Ar KEY=VALUE\nsets"
                                                    : "Keys of the stage in a pipeline file");
    for (size_t i = 0; options[i] != NULL; i++)
        add_option(page, options[i]);
    cr_text_add(page, ".El\n");
}

/* ---- The example ---- */

/* A value that the option would take. */
static const char *example_value(const struct cr_option *option)
{
    static const char *const values[] = {
        [CR_OPTION_TYPE_BOOL] = "true",        [CR_OPTION_TYPE_INT] = "1",
        [CR_OPTION_TYPE_NUMBER] = "1",         [CR_OPTION_TYPE_STRING] = "\"TEXT\"",
        [CR_OPTION_TYPE_CHOICE] = NULL,        [CR_OPTION_TYPE_PATH] = "\"FILE\"",
        [CR_OPTION_TYPE_MODEL] = "\"FOLDER\"", [CR_OPTION_TYPE_SIZE] = "[35, 35]",
        [CR_OPTION_TYPE_INTS] = "[1]",         [CR_OPTION_TYPE_STRINGS] = "[\"TEXT\"]",
        [CR_OPTION_TYPE_FILE] = "\"./FILE\"",
    };
    return values[option->type];
}

static void add_example_options(struct cr_text *page, const struct cr_option *const *options)
{
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        const struct cr_option *option = options[i];
        if ((option->flags & CR_OPTION_REQUIRED) == 0)
            continue;
        cr_text_printf(page, ",\n  \"%s\": ", option->name);
        if (option->type == CR_OPTION_TYPE_CHOICE)
            cr_json_quote(page, option->choices[0]);
        else
            cr_text_add(page, example_value(option));
    }
}

/* Pictures and questions come from the pipeline's inputs, everything else from other stages. */
static void add_example_wire(struct cr_text *page, const struct cr_port *port)
{
    const char *wire = port->type == CR_TYPE_IMAGE      ? "@image"
                       : port->type == CR_TYPE_TEXT     ? "@prompt"
                       : port->type == CR_TYPE_PANOPTIC ? "segment.panoptic"
                                                        : NULL;
    cr_text_printf(page, "\"%s\": ", port->name);
    if (wire != NULL)
        cr_json_quote(page, wire);
    else
        cr_text_printf(page, "\"STAGE.%s\"", port->name);
}

static void add_example(struct cr_text *page, const struct cr_element *element)
{
    size_t wires = 0;
    cr_text_add(page, ".Sh EXAMPLES\nA stage of a pipeline:\n.Bd -literal -offset indent\n");
    cr_text_printf(page, "\"STAGE\": {\n  \"use\": \"%s\"", element->name);
    add_example_options(page, element->options);
    for (size_t i = 0; element->inputs != NULL && element->inputs[i] != NULL; i++) {
        if ((element->inputs[i]->flags & CR_PORT_OPTIONAL) != 0)
            continue;
        cr_text_add(page, wires++ == 0 ? ",\n  \"in\": { " : ", ");
        add_example_wire(page, element->inputs[i]);
    }
    cr_text_add(page, wires > 0 ? " }\n}\n.Ed\n" : "\n}\n.Ed\n");
}

static void add_title(struct cr_text *page, const char *name)
{
    cr_text_add(page, ".Dt CRAYON-");
    for (; *name != '\0'; name++) {
        char letter = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        cr_text_append(page, &letter, 1);
    }
    cr_text_add(page, " 7\n.Os\n");
}

/* ---- The page ---- */

/* "cpu" of "device-cpu": what follows --device. */
static const char *device_name(const struct cr_element *element)
{
    const char *dash = strchr(element->name, '-');
    return dash != NULL ? dash + 1 : element->name;
}

static void add_opening(struct cr_text *page, const struct cr_element *element)
{
    cr_text_add(page, "\n.Sh DESCRIPTION\n");
    if (element->kind == CR_ELEMENT_DEVICE)
        cr_text_printf(page, ".Cm %s\nis a device of\n.Xr crayon 1 .\n", device_name(element));
    else if (element->kind == CR_ELEMENT_TASK)
        cr_text_printf(page, ".Cm %s\nis a task of\n.Xr crayon-eval 1 .\n", element->name);
    else
        cr_text_printf(page, ".Cm %s\nis a stage of\n.Xr crayon 1\npipelines.\n%s", element->name,
                       cr_element_uses_device(element) ? "It computes on a device.\n" : "");
}

static void add_stage_end(struct cr_text *page, const struct cr_element *element)
{
    add_example(page, element);
    cr_text_add(page, ".Sh SEE ALSO\n.Xr crayon-plugins 1 ,\n.Xr crayon-run 1 ,\n"
                      ".Xr crayon-pipeline 5 ,\n.Xr crayon-plugin 7\n");
}

static void add_device_end(struct cr_text *page, const struct cr_element *element)
{
    cr_text_printf(page,
                   ".Sh EXAMPLES\nCheck that it computes rightly, and how fast:\n"
                   ".Bd -literal -offset indent\n$ crayon devices --device %s --check\n"
                   "$ crayon bench --device %s --quick\n.Ed\n",
                   device_name(element), device_name(element));
    cr_text_add(page, ".Sh SEE ALSO\n.Xr crayon-bench 1 ,\n.Xr crayon-devices 1 ,\n"
                      ".Xr crayon-plugins 1 ,\n.Xr crayon-plugin 7\n");
}

/* The same for a command line. */
static const char *example_word(const struct cr_option *option)
{
    return option->type == CR_OPTION_TYPE_CHOICE  ? option->choices[0]
           : option->type == CR_OPTION_TYPE_PATH  ? "FILE"
           : option->type == CR_OPTION_TYPE_MODEL ? "FOLDER"
           : option->type == CR_OPTION_TYPE_FILE  ? "./FILE"
                                                  : "VALUE";
}

static void add_task_end(struct cr_text *page, const struct cr_element *element)
{
    cr_text_printf(page, ".Sh EXAMPLES\n.Bd -literal -offset indent\n$ crayon eval %s",
                   element->name);
    for (size_t i = 0; element->options != NULL && element->options[i] != NULL; i++)
        if ((element->options[i]->flags & CR_OPTION_REQUIRED) != 0)
            cr_text_printf(page, " \\e\n    --set %s=%s", element->options[i]->name,
                           example_word(element->options[i]));
    cr_text_add(page, " \\e\n    --pipeline FILE\n.Ed\n.Sh SEE ALSO\n.Xr crayon-eval 1 ,\n"
                      ".Xr crayon-plugins 1 ,\n.Xr crayon-pipeline 5 ,\n.Xr crayon-plugin 7\n");
}

void element_manual(const struct cr_element *element, struct cr_text *page)
{
    cr_text_printf(page,
                   ".\\\" SPDX-License-Identifier: MIT\n"
                   ".\\\" Printed by 'crayon plugins %s --man'.\n.Dd %s\n",
                   element->name, MANUAL_DATE);
    add_title(page, element->name);
    cr_text_printf(page, ".Sh NAME\n.Nm crayon-%s\n.Nd ", element->name);
    add_argument(page, element->summary);
    add_opening(page, element);
    const char *rest = element->description != NULL ? element->description : "";
    struct cr_text paragraph = CR_TEXT_INIT;
    bool literal;
    while (next_paragraph(&rest, &paragraph, &literal)) {
        cr_text_add(page, literal ? "" : ".Pp\n");
        if (literal)
            add_lines(page, paragraph.data);
        else
            add_text(page, paragraph.data);
        cr_text_finish(&paragraph);
    }
    page->failed = page->failed || paragraph.failed;
    cr_text_finish(&paragraph);
    add_ports(page, "INPUTS", element->inputs);
    add_ports(page, "OUTPUTS", element->outputs);
    add_options(page, element);
    if (element->kind == CR_ELEMENT_DEVICE)
        add_device_end(page, element);
    else if (element->kind == CR_ELEMENT_TASK)
        add_task_end(page, element);
    else
        add_stage_end(page, element);
}
