/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "command/common.h"

struct graph_settings {
    struct strings set;
    const char *plugin_path;
};

#define MEMBER(name) offsetof(struct graph_settings, name)

static const struct option graph_options[] = {
    {"set", OPTION_LIST, MEMBER(set), "STAGE.KEY=VALUE", "change the pipeline"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

static int print_graph(const struct cr_pipeline *pipeline)
{
    struct cr_error err = CR_ERROR_INIT;
    char *dot = NULL;
    if (cr_pipeline_graph(pipeline, &dot, &err) < 0)
        return say_failure(&err);
    print_bytes(dot, strlen(dot));
    cr_free(dot);
    return EXIT_OK;
}

static int run_graph(const void *settings_, const struct strings *operands)
{
    const struct graph_settings *settings = settings_;
    struct cr_error err = CR_ERROR_INIT;
    struct session session = {.registry = NULL};
    if (session_open(&session, settings->plugin_path, message_log(CR_LOG_WARNING), &err) < 0)
        return say_failure(&err);
    int code = session_load(&session, operands->items[0], &settings->set, false);
    if (code == EXIT_OK)
        code = print_graph(session.pipeline);
    session_close(&session);
    return code;
}

const struct command command_graph = {
    .name = "graph",
    .operands = "PIPELINE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "print a pipeline as a graph in the DOT language",
    .options = graph_options,
    .settings_size = sizeof(struct graph_settings),
    .run = run_graph,
    .notes = "Draw it with Graphviz: crayon graph objects.json | dot -Tsvg > objects.svg",
};
