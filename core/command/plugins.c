/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "command/common.h"
#include "command/options.h"
#include "command/plugins/plugins.h"
#include "plugin/check.h"

struct plugins_settings {
    const char *plugin_path;
    bool json, schema, man;
};

#define MEMBER(name) offsetof(struct plugins_settings, name)

static const struct option plugins_options[] = {
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print everything as one JSON object"},
    {"schema", OPTION_FLAG, MEMBER(schema), NULL, "print the JSON Schema of pipeline files"},
    {"man", OPTION_FLAG, MEMBER(man), NULL, "print the manual page of NAME (mdoc)"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* The file that a loaded plugin came from. */
static const char *file_of(const struct cr_registry *registry, const struct cr_plugin *plugin)
{
    for (size_t i = 0; i < cr_registry_count(registry); i++)
        if (cr_registry_get(registry, i).plugin == plugin)
            return cr_registry_get(registry, i).file;
    return "";
}

/* ---- The list ---- */

struct widths {
    int name, version, kind;
};

static void widen(int *width, const char *text)
{
    int length = (int)strlen(text);
    if (length > *width)
        *width = length;
}

static struct widths measure(const struct cr_registry *registry)
{
    struct widths widths = {0, 0, 0};
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        const struct cr_plugin *plugin = cr_registry_get(registry, i).plugin;
        if (plugin == NULL)
            continue;
        widen(&widths.version, plugin->version);
        for (const struct cr_element *const *e = plugin->elements; *e != NULL; e++) {
            widen(&widths.name, (*e)->name);
            widen(&widths.kind, cr_element_kind_name((*e)->kind));
        }
    }
    return widths;
}

static void list_plugin(const struct cr_plugin_info *info, const struct widths *widths)
{
    const struct cr_plugin *plugin = info->plugin;
    for (const struct cr_element *const *e = plugin->elements; *e != NULL; e++) {
        int column = print("%-*s  %-*s  %-*s  ", widths->name, (*e)->name, widths->version,
                           plugin->version, widths->kind, cr_element_kind_name((*e)->kind));
        print_wrapped((*e)->summary, (size_t)column, (size_t)column);
    }
    print("    %s\n", info->file);
}

/* Files that were not loaded: hidden by an earlier one of the same name, or refused. */
static size_t list_others(const struct cr_registry *registry, bool shadowed, const char *title)
{
    size_t count = 0;
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        struct cr_plugin_info info = cr_registry_get(registry, i);
        if (info.plugin != NULL || info.shadowed != shadowed)
            continue;
        if (count++ == 0)
            print("\n%s:\n", title);
        print("  %s\n    ", info.file);
        print_wrapped(info.reason, 4, 4);
    }
    return count;
}

static void list_paths(const struct cr_registry *registry)
{
    print("no plugin was found; searched:\n");
    for (size_t i = 0; i < cr_registry_paths(registry); i++) {
        const char *reason = NULL;
        const char *path = cr_registry_path(registry, i, &reason);
        print("  %s: %s\n", path, reason != NULL ? reason : "no plugin could be loaded");
    }
}

static int list_all(const struct cr_registry *registry)
{
    struct widths widths = measure(registry);
    size_t loaded = 0;
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        struct cr_plugin_info info = cr_registry_get(registry, i);
        if (info.plugin != NULL) {
            list_plugin(&info, &widths);
            loaded++;
        }
    }
    if (loaded == 0)
        list_paths(registry);
    list_others(registry, false, "refused");
    list_others(registry, true, "hidden by a file found earlier");
    return loaded > 0 ? EXIT_OK : EXIT_FAILED;
}

/* ---- JSON ---- */

static void add_plugin(struct cr_text *json, const struct cr_plugin_info *info)
{
    const struct cr_plugin *plugin = info->plugin;
    cr_text_add(json, "{");
    add_member(json, "name", plugin->name);
    cr_text_add(json, ",");
    add_member(json, "version", plugin->version);
    cr_text_add(json, ",");
    add_member(json, "licence", plugin->licence);
    cr_text_add(json, ",");
    add_member(json, "summary", plugin->summary);
    cr_text_add(json, ",");
    add_member(json, "file", info->file);
    cr_text_add(json, ",\"elements\":[");
    for (const struct cr_element *const *e = plugin->elements; *e != NULL; e++) {
        cr_text_add(json, e == plugin->elements ? "" : ",");
        element_add_json(json, *e);
    }
    cr_text_add(json, "]}");
}

static void add_plugins(struct cr_text *json, const struct cr_registry *registry,
                        const struct cr_plugin *only)
{
    const char *separator = "";
    cr_text_add(json, "\"plugins\":[");
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        struct cr_plugin_info info = cr_registry_get(registry, i);
        if (info.plugin == NULL || (only != NULL && info.plugin != only))
            continue;
        cr_text_add(json, separator);
        add_plugin(json, &info);
        separator = ",";
    }
    cr_text_add(json, "]");
}

static void add_refused(struct cr_text *json, const struct cr_registry *registry)
{
    const char *separator = "";
    cr_text_add(json, ",\"refused\":[");
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        struct cr_plugin_info info = cr_registry_get(registry, i);
        if (info.plugin != NULL)
            continue;
        cr_text_printf(json, "%s{", separator);
        add_member(json, "file", info.file);
        cr_text_add(json, ",");
        add_member(json, "reason", info.reason);
        cr_text_printf(json, ",\"shadowed\":%s}", info.shadowed ? "true" : "false");
        separator = ",";
    }
    cr_text_add(json, "]");
}

static void add_paths(struct cr_text *json, const struct cr_registry *registry)
{
    cr_text_add(json, ",\"paths\":[");
    for (size_t i = 0; i < cr_registry_paths(registry); i++) {
        const char *reason = NULL;
        const char *path = cr_registry_path(registry, i, &reason);
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_member(json, "path", path);
        cr_text_add(json, ",\"reason\":");
        if (reason != NULL)
            cr_json_quote(json, reason);
        else
            cr_text_add(json, "null");
        cr_text_add(json, "}");
    }
    cr_text_add(json, "]");
}

static int print_json(const struct cr_registry *registry, const struct cr_plugin *only)
{
    struct cr_text json = CR_TEXT_INIT;
    cr_text_add(&json, "{\"crayon\":1,");
    add_plugins(&json, registry, only);
    if (only == NULL) {
        add_refused(&json, registry);
        add_paths(&json, registry);
    }
    cr_text_add(&json, "}\n");
    if (!print_text(&json))
        return EXIT_FAILED;
    return only != NULL || cr_registry_elements(registry) > 0 ? EXIT_OK : EXIT_FAILED;
}

/* ---- One by name ---- */

static const struct cr_plugin *find_plugin(const struct cr_registry *registry, const char *name)
{
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        const struct cr_plugin *plugin = cr_registry_get(registry, i).plugin;
        if (plugin != NULL && strcmp(plugin->name, name) == 0)
            return plugin;
    }
    return NULL;
}

/* Is `file` NAME.so? */
static bool is_file_of(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash != NULL ? slash + 1 : file;
    size_t length = strlen(name);
    return strncmp(base, name, length) == 0 && strcmp(base + length, ".so") == 0;
}

static int not_found(const struct cr_registry *registry, const char *name)
{
    for (size_t i = 0; i < cr_registry_count(registry); i++) {
        struct cr_plugin_info info = cr_registry_get(registry, i);
        if (info.plugin == NULL && is_file_of(info.file, name)) {
            say_error("%s was refused: %s", info.file, info.reason);
            return EXIT_FAILED;
        }
    }
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, name);
    for (size_t i = 0; i < cr_registry_elements(registry); i++)
        cr_nearest_offer(&nearest, cr_registry_element(registry, i)->name);
    if (nearest.best != NULL)
        say_error("no plugin \"%s\"; did you mean \"%s\"?", name, nearest.best);
    else
        say_error("no plugin \"%s\"; 'crayon plugins' lists them", name);
    return EXIT_FAILED;
}

static int print_manual(const struct cr_element *element)
{
    struct cr_text page = CR_TEXT_INIT;
    element_manual(element, &page);
    return print_text(&page) ? EXIT_OK : EXIT_FAILED;
}

/* An element has the name, or a plugin with all of its elements. */
static int show(const struct cr_registry *registry, const struct plugins_settings *settings,
                const char *name)
{
    const struct cr_plugin *plugin = NULL;
    const struct cr_element *element = NULL;
    for (int kind = CR_ELEMENT_STAGE; element == NULL && kind <= CR_ELEMENT_TASK; kind++)
        element = cr_registry_find(registry, (enum cr_element_kind)kind, name, &plugin);
    if (element == NULL && (plugin = find_plugin(registry, name)) == NULL)
        return not_found(registry, name);
    if (settings->json)
        return print_json(registry, plugin);
    bool complete = true;
    for (const struct cr_element *const *e = plugin->elements; complete && *e != NULL; e++) {
        if (element != NULL && *e != element)
            continue;
        if (settings->man)
            complete = print_manual(*e) == EXIT_OK;
        else
            complete = element_print(*e, plugin, file_of(registry, plugin));
    }
    return complete ? EXIT_OK : EXIT_FAILED;
}

/* ---- The command ---- */

static int print_schema(const struct cr_registry *registry)
{
    struct cr_error err = CR_ERROR_INIT;
    char *schema = NULL;
    if (cr_pipeline_schema(registry, &schema, &err) < 0)
        return say_failure(&err);
    size_t length = strlen(schema);
    print("%s%s", schema, length > 0 && schema[length - 1] == '\n' ? "" : "\n");
    cr_free(schema);
    return EXIT_OK;
}

static int check_settings(const struct plugins_settings *settings, const char *name)
{
    if (settings->json + settings->schema + settings->man > 1)
        return usage_error(&command_plugins, "--json, --schema and --man exclude each other");
    if (settings->man && name == NULL)
        return usage_error(&command_plugins, "--man needs the name of a plugin");
    if (settings->schema && name != NULL)
        return usage_error(&command_plugins, "--schema covers all plugins; leave out \"%s\"", name);
    return EXIT_OK;
}

static int run_plugins(const void *settings_, const struct strings *operands)
{
    const struct plugins_settings *settings = settings_;
    const char *name = operands->count > 0 ? operands->items[0] : NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct session session = {.registry = NULL};
    int code = check_settings(settings, name);
    if (code != EXIT_OK)
        return code;
    if (session_open(&session, settings->plugin_path, message_log(CR_LOG_ERROR), &err) < 0)
        return say_failure(&err);
    if (name != NULL)
        code = show(session.registry, settings, name);
    else if (settings->schema)
        code = print_schema(session.registry);
    else if (settings->json)
        code = print_json(session.registry, NULL);
    else
        code = list_all(session.registry);
    session_close(&session);
    return code;
}

const struct command command_plugins = {
    .name = "plugins",
    .operands = "[NAME]",
    .operands_max = 1,
    .summary = "list plugins, or show the ports and options of one",
    .options = plugins_options,
    .settings_size = sizeof(struct plugins_settings),
    .run = run_plugins,
};
