/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "plugin/check.h"
#include "plugin/options.h"

/* A list that goes on for longer has lost the NULL at its end. */
#define MAX_LIST 1000
#define MAX_NAME 63

/* Everything here describes the plugin's mistakes to the one who wrote it. */
#define REFUSE(...) cr_fail(err, CR_ERR_PLUGIN, __VA_ARGS__)

/* ---- Words ---- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* A lower case letter, then letters, digits and `joint`; "" and NULL are no name. */
static bool is_name(const char *name, char joint)
{
    if (name == NULL || !is_lower(name[0]))
        return false;
    size_t length = 1;
    while (is_lower(name[length]) || (name[length] >= '0' && name[length] <= '9') ||
           name[length] == joint)
        if (++length > MAX_NAME)
            return false;
    return name[length] == '\0';
}

/* One line of text for people. */
static bool is_line(const char *text)
{
    if (text == NULL || text[0] == '\0')
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int check_name(const char *name, char joint, struct cr_error *err)
{
    if (is_name(name, joint))
        return 0;
    return REFUSE("\"%.*s\" is no name: a lower case letter, then lower case letters, digits and "
                  "\"%c\", at most %d bytes",
                  MAX_NAME + 1, name == NULL ? "" : name, joint, MAX_NAME);
}

static int check_line(const char *text, const char *member, struct cr_error *err)
{
    return is_line(text) ? 0 : REFUSE("its %s is missing, or is not one line of text", member);
}

/* ---- Lists ---- */

/* Every list is one of pointers that ends with NULL; `list` may be NULL. */
static int count_list(const void *list, const char *what, size_t *count, struct cr_error *err)
{
    const void *const *items = list;
    for (*count = 0; items != NULL && items[*count] != NULL; (*count)++)
        if (*count == MAX_LIST)
            return REFUSE("more than %d %s: does the list end with NULL?", MAX_LIST, what);
    return 0;
}

/* ---- Ports ---- */

static int check_port(const struct cr_port *port, bool input, struct cr_error *err)
{
    if (!CR_HAS(port, doc))
        return REFUSE("its struct cr_port is too small: %u bytes", port->size);
    int result;
    if ((result = check_name(port->name, '_', err)) < 0 ||
        (result = check_line(port->doc, "doc", err)) < 0)
        return result;
    if (cr_type_name(port->type) == NULL)
        return REFUSE("its type %d is unknown", (int)port->type);
    uint32_t known = input ? CR_PORT_OPTIONAL | CR_PORT_MANY : 0;
    if ((port->flags & ~known) != 0)
        return REFUSE("its flags %#x are not for %s", port->flags & ~known,
                      input ? "an input" : "an output");
    return 0;
}

static int check_ports(const struct cr_port *const *ports, bool input, struct cr_error *err)
{
    size_t count;
    int result = count_list(ports, input ? "inputs" : "outputs", &count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = check_port(ports[i], input, err);
        for (size_t j = 0; j < i && result == 0; j++)
            if (strcmp(ports[j]->name, ports[i]->name) == 0)
                result = REFUSE("a second one of this name");
        if (result < 0 && CR_HAS(ports[i], name) && is_name(ports[i]->name, '_'))
            cr_error_prefix(err, "%s \"%s\"", input ? "input" : "output", ports[i]->name);
        else if (result < 0)
            cr_error_prefix(err, "%s %zu", input ? "input" : "output", i + 1);
    }
    return result;
}

/* ---- Options ---- */

static int check_choices(const struct cr_option *option, struct cr_error *err)
{
    size_t count;
    int result = count_list(option->choices, "choices", &count, err);
    if (result < 0)
        return result;
    if (count == 0)
        return REFUSE("it has no choices");
    for (size_t i = 0; i < count; i++) {
        if (!is_line(option->choices[i]))
            return REFUSE("choice %zu is not one line of text", i + 1);
        for (size_t j = 0; j < i; j++)
            if (strcmp(option->choices[i], option->choices[j]) == 0)
                return REFUSE("the choice \"%s\" is there twice", option->choices[i]);
    }
    return 0;
}

static int check_bounds(const struct cr_option *option, struct cr_error *err)
{
    if (isnan(option->min) || isnan(option->max) || option->min > option->max)
        return REFUSE("its bounds are the wrong way round: min %g, max %g", option->min,
                      option->max);
    if (option->type == CR_OPTION_TYPE_SIZE && option->min < 0)
        return REFUSE("a size cannot be negative, and min is %g", option->min);
    return 0;
}

static int check_default(const struct cr_option *option, struct cr_error *err)
{
    if (option->initial == NULL)
        return 0;
    if ((option->flags & CR_OPTION_REQUIRED) != 0)
        return REFUSE("it is required and has a default: one of both");
    cJSON *value;
    int result = cr_option_default(option, &value, err);
    cJSON_Delete(value);
    if (result == 0 || result == CR_ERR_MEMORY)
        return result;
    cr_error_prefix(err, "its default");
    if (err != NULL)
        err->code = CR_ERR_PLUGIN;
    return CR_ERR_PLUGIN;
}

static int check_option(const struct cr_option *option, size_t state_size, struct cr_error *err)
{
    if (!CR_HAS(option, doc))
        return REFUSE("its struct cr_option is too small: %u bytes", option->size);
    int result;
    if ((result = check_name(option->name, '_', err)) < 0 ||
        (result = check_line(option->doc, "doc", err)) < 0)
        return result;
    if (cr_is_reserved_key(option->name))
        return REFUSE("the name is reserved: it means something in every stage");
    size_t bytes = cr_option_member_size(option->type);
    if (bytes == 0)
        return REFUSE("its type %d is unknown", (int)option->type);
    if ((option->flags & ~(uint32_t)CR_OPTION_REQUIRED) != 0)
        return REFUSE("its flags %#x are unknown", option->flags & ~(uint32_t)CR_OPTION_REQUIRED);
    if (state_size < bytes || option->offset > state_size - bytes)
        return REFUSE("its member, %zu bytes at %u, lies outside the state of %zu bytes", bytes,
                      option->offset, state_size);
    if (option->type == CR_OPTION_TYPE_CHOICE && (result = check_choices(option, err)) < 0)
        return result;
    if ((result = check_bounds(option, err)) < 0)
        return result;
    return check_default(option, err);
}

static int check_options(const struct cr_element *element, struct cr_error *err)
{
    const struct cr_option *const *options = element->options;
    size_t count;
    int result = count_list(options, "options", &count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = check_option(options[i], element->state_size, err);
        for (size_t j = 0; j < i && result == 0; j++)
            if (strcmp(options[j]->name, options[i]->name) == 0)
                result = REFUSE("a second one of this name");
        if (result < 0 && CR_HAS(options[i], name) && is_name(options[i]->name, '_'))
            cr_error_prefix(err, "option \"%s\"", options[i]->name);
        else if (result < 0)
            cr_error_prefix(err, "option %zu", i + 1);
    }
    return result;
}

/* ---- Elements and the plugin ---- */

static int check_stage(const struct cr_element *element, struct cr_error *err)
{
    const struct cr_stage_ops *ops = element->stage;
    if (ops == NULL)
        return REFUSE("it has no stage functions");
    if (!CR_HAS(ops, close))
        return REFUSE("its struct cr_stage_ops is too small: %u bytes", ops->size);
    if (ops->run == NULL)
        return REFUSE("it has no run function");
    return 0;
}

static int check_device(const struct cr_element *element, struct cr_error *err)
{
    const struct cr_device_ops *ops = CR_HAS(element, device) ? element->device : NULL;
    if (ops == NULL)
        return REFUSE("it has no device functions");
    if (!CR_HAS(ops, limits))
        return REFUSE("its struct cr_device_ops is too small: %u bytes", ops->size);
    if (ops->list == NULL || ops->open == NULL || ops->info == NULL || ops->supports == NULL ||
        ops->variant == NULL || ops->alloc == NULL || ops->free == NULL || ops->upload == NULL ||
        ops->download == NULL || ops->submit == NULL || ops->flush == NULL || ops->wait == NULL ||
        ops->memory == NULL || ops->close == NULL)
        return REFUSE("one of its device functions is missing");
    return 0;
}

static int check_task(const struct cr_element *element, struct cr_error *err)
{
    const struct cr_task_ops *ops = CR_HAS(element, task) ? element->task : NULL;
    if (ops == NULL)
        return REFUSE("it has no task functions");
    if (!CR_HAS(ops, close))
        return REFUSE("its struct cr_task_ops is too small: %u bytes", ops->size);
    if (ops->open == NULL || ops->item == NULL || ops->score == NULL || ops->finish == NULL)
        return REFUSE("one of its task functions is missing");
    return 0;
}

static const struct {
    uint32_t kind;
    const char *name;
    uint32_t flags; /* that it may have */
    int (*check)(const struct cr_element *element, struct cr_error *err);
} kinds[] = {
    {CR_ELEMENT_STAGE, "stage", CR_ELEMENT_USES_DEVICE | CR_ELEMENT_SERIAL, check_stage},
    {CR_ELEMENT_DEVICE, "device", 0, check_device},
    {CR_ELEMENT_TASK, "task", CR_ELEMENT_PARALLEL, check_task},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *cr_element_kind_name(uint32_t kind)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return NULL;
}

static int check_kind(const struct cr_element *element, struct cr_error *err)
{
    size_t i = 0;
    while (i < KINDS && kinds[i].kind != element->kind)
        i++;
    if (i == KINDS)
        return REFUSE("its kind %u is unknown", element->kind);
    uint32_t flags = CR_HAS(element, flags) ? element->flags & ~kinds[i].flags : 0; /* of ABI 1.2 */
    if (flags != 0)
        return REFUSE("its flags %#x are not for a %s", flags, kinds[i].name);
    return kinds[i].check(element, err);
}

static int check_element(const struct cr_element *element, struct cr_error *err)
{
    if (!CR_HAS(element, stage))
        return REFUSE("its struct cr_element is too small: %u bytes", element->size);
    int result;
    if ((result = check_name(element->name, '-', err)) < 0 ||
        (result = check_line(element->summary, "summary", err)) < 0)
        return result;
    if ((result = check_ports(element->inputs, true, err)) < 0 ||
        (result = check_ports(element->outputs, false, err)) < 0 ||
        (result = check_options(element, err)) < 0)
        return result;
    return check_kind(element, err);
}

static int check_elements(const struct cr_plugin *plugin, struct cr_error *err)
{
    size_t count;
    int result = count_list(plugin->elements, "elements", &count, err);
    if (result == 0 && count == 0)
        return REFUSE("it has no elements");
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct cr_element *element = plugin->elements[i];
        result = check_element(element, err);
        for (size_t j = 0; j < i && result == 0; j++)
            if (strcmp(plugin->elements[j]->name, element->name) == 0 &&
                plugin->elements[j]->kind == element->kind)
                result = REFUSE("a second one of this name");
        if (result < 0 && CR_HAS(element, name) && is_name(element->name, '-'))
            cr_error_prefix(err, "element \"%s\"", element->name);
        else if (result < 0)
            cr_error_prefix(err, "element %zu", i + 1);
    }
    return result;
}

/* Nothing behind the version is looked at when the version does not fit. */
static int check_version(const struct cr_plugin *plugin, struct cr_error *err)
{
    if (memcmp(plugin->magic, CR_PLUGIN_MAGIC, sizeof(plugin->magic)) != 0)
        return REFUSE("is not a crayon plugin: its crayon_plugin does not begin with the magic "
                      "bytes");
    if (plugin->abi_major != CR_ABI_MAJOR)
        return REFUSE("was built for plugin ABI %u.%u, this is %d.%d: install a plugin built for "
                      "crayon %d.%d",
                      plugin->abi_major, plugin->abi_minor, CR_ABI_MAJOR, CR_ABI_MINOR,
                      CR_VERSION_MAJOR, CR_VERSION_MINOR);
    if (plugin->abi_minor > CR_ABI_MINOR)
        return REFUSE("was built for plugin ABI %u.%u, this is %d.%d: install a newer crayon, or a "
                      "plugin built for crayon %d.%d",
                      plugin->abi_major, plugin->abi_minor, CR_ABI_MAJOR, CR_ABI_MINOR,
                      CR_VERSION_MAJOR, CR_VERSION_MINOR);
    if (!CR_HAS(plugin, elements))
        return REFUSE("its struct cr_plugin is too small: %u bytes", plugin->size);
    return 0;
}

int cr_plugin_check(const struct cr_plugin *plugin, struct cr_error *err)
{
    int result;
    if ((result = check_version(plugin, err)) < 0 ||
        (result = check_name(plugin->name, '-', err)) < 0 ||
        (result = check_line(plugin->version, "version", err)) < 0 ||
        (result = check_line(plugin->licence, "licence", err)) < 0 ||
        (result = check_line(plugin->summary, "summary", err)) < 0)
        return result;
    return check_elements(plugin, err);
}
