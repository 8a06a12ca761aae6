/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "command/check/plan.h"
#include "command/common.h"
#include "command/options.h"

struct check_settings {
    struct strings set;
    const char *plugin_path, *device;
    struct plan_inputs inputs;
    bool print, plan, json;
};

#define MEMBER(name) offsetof(struct check_settings, name)

static const struct option check_options[] = {
    {"set", OPTION_LIST, MEMBER(set), "STAGE.KEY=VALUE", "change the pipelines"},
    {"device", OPTION_TEXT, MEMBER(device), "NAME", "a device that they are to run on"},
    {"print", OPTION_FLAG, MEMBER(print), NULL, "print the pipelines as they take effect"},
    {"plan", OPTION_FLAG, MEMBER(plan), NULL, "print how much memory each stage will take"},
    {"image", OPTION_TEXT, MEMBER(inputs.image), "FILE", "for --plan: as of crayon run"},
    {"prompt", OPTION_TEXT, MEMBER(inputs.prompt), "TEXT", "for --plan: as of crayon run"},
    {"in", OPTION_LIST, MEMBER(inputs.in), "NAME=VALUE", "for --plan: as of crayon run"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print what was found as one JSON object"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* A file, and what was found in it. */
struct checked {
    const char *path;
    struct cr_pipeline *pipeline; /* NULL when it has errors */
    struct cr_run *planned;       /* NULL: it was not asked for, or failed */
    struct cr_report *report;
};

/* ---- For people ---- */

typedef struct cr_pipeline_port get_port(const struct cr_pipeline *pipeline, size_t index);

static void print_ports(const char *title, const struct cr_pipeline *pipeline, size_t count,
                        get_port *get)
{
    print(", %s: ", title);
    for (size_t i = 0; i < count; i++) {
        struct cr_pipeline_port port = get(pipeline, i);
        print("%s%s (%s)", i > 0 ? ", " : "", port.name, cr_type_name(port.type));
    }
    if (count == 0)
        print("none");
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_verdict(const struct checked *checked)
{
    const struct cr_pipeline *pipeline = checked->pipeline;
    const size_t errors = cr_report_errors(checked->report);
    if (errors > 0) {
        print("%s: %zu error%s\n", checked->path, errors, plural(errors));
        return;
    }
    size_t stages = cr_pipeline_stages(pipeline);
    print("%s: ok, %zu stage%s", checked->path, stages, plural(stages));
    print_ports("inputs", pipeline, cr_pipeline_inputs(pipeline), cr_pipeline_input);
    print_ports("outputs", pipeline, cr_pipeline_outputs(pipeline), cr_pipeline_output);
    print("\n");
}

/* ---- For machines ---- */

static void add_findings(struct cr_text *json, const struct cr_report *report)
{
    cr_text_add(json, ",\"findings\":[");
    for (size_t i = 0; i < cr_report_count(report); i++) {
        const struct cr_finding *finding = cr_report_get(report, i);
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_member(json, "severity", finding->severity == CR_SEVERITY_ERROR ? "error" : "note");
        cr_text_add(json, ",");
        add_member(json, "file", finding->file);
        cr_text_add(json, ",");
        if (finding->line > 0) {
            cr_text_printf(json, "\"line\":%lld,\"column\":%lld,", (long long)finding->line,
                           (long long)finding->column);
        } else {
            add_member(json, "pointer", finding->pointer);
            cr_text_add(json, ",");
        }
        add_member(json, "message", finding->message);
        cr_text_add(json, "}");
    }
    cr_text_add(json, "]");
}

static void add_ports(struct cr_text *json, const char *key, const struct cr_pipeline *pipeline,
                      size_t count, get_port *get)
{
    cr_text_printf(json, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        struct cr_pipeline_port port = get(pipeline, i);
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_member(json, "name", port.name);
        cr_text_add(json, ",");
        add_member(json, "type", cr_type_name(port.type));
        if (port.wire != NULL) {
            cr_text_add(json, ",");
            add_member(json, "wire", port.wire);
        }
        cr_text_add(json, "}");
    }
    cr_text_add(json, "]");
}

static void add_stages(struct cr_text *json, const struct cr_pipeline *pipeline)
{
    cr_text_add(json, ",\"stages\":[");
    for (size_t i = 0; i < cr_pipeline_stages(pipeline); i++) {
        struct cr_pipeline_stage stage = cr_pipeline_stage(pipeline, i);
        cr_text_add(json, i > 0 ? ",{" : "{");
        add_member(json, "name", stage.name);
        cr_text_add(json, ",");
        add_member(json, "use", stage.element->name);
        cr_text_add(json, "}");
    }
    cr_text_add(json, "]");
}

static void add_checked(struct cr_text *json, const struct checked *checked)
{
    const struct cr_pipeline *pipeline = checked->pipeline;
    cr_text_add(json, "{");
    add_member(json, "file", checked->path);
    cr_text_printf(json, ",\"ok\":%s", cr_report_errors(checked->report) == 0 ? "true" : "false");
    add_findings(json, checked->report);
    if (pipeline != NULL) {
        cr_text_add(json, ",");
        add_member(json, "name", cr_pipeline_name(pipeline));
        add_stages(json, pipeline);
        add_ports(json, "inputs", pipeline, cr_pipeline_inputs(pipeline), cr_pipeline_input);
        add_ports(json, "outputs", pipeline, cr_pipeline_outputs(pipeline), cr_pipeline_output);
    }
    if (checked->planned != NULL)
        plan_add(json, checked->planned);
    cr_text_add(json, "}");
}

/* ---- The command ---- */

static int print_effective(const struct cr_pipeline *pipeline)
{
    struct cr_error err = CR_ERROR_INIT;
    char *text = NULL;
    if (cr_pipeline_print(pipeline, &text, &err) < 0)
        return say_failure(&err);
    size_t length = strlen(text);
    print("%s%s", text, length > 0 && text[length - 1] == '\n' ? "" : "\n");
    cr_free(text);
    return EXIT_OK;
}

/* A failure for a reason outside of the file is a finding like others, and those name the file. */
static void add_failure(struct checked *checked, const struct cr_error *err)
{
    size_t length = strlen(checked->path);
    bool named = strncmp(err->message, checked->path, length) == 0 &&
                 strncmp(err->message + length, ": ", 2) == 0;
    cr_report_add(checked->report, CR_SEVERITY_ERROR, checked->path, "", "%s",
                  err->message + (named ? length + 2 : 0));
}

static void load(struct checked *checked, const struct session *session,
                 const struct check_settings *settings)
{
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_pipeline_load(&checked->pipeline, session->registry, checked->path,
                                  settings->set.items, settings->set.count, checked->report, &err);
    if (result == 0 && settings->device != NULL &&
        cr_pipeline_set_device(checked->pipeline, settings->device, NULL, &err) < 0) {
        cr_report_add(checked->report, CR_SEVERITY_ERROR, "--device", "", "%s", err.message);
        cr_pipeline_destroy(&checked->pipeline);
    }
    if (result < 0 && cr_report_errors(checked->report) == 0)
        add_failure(checked, &err);
}

static void make_plan(struct checked *checked, const struct check_settings *settings)
{
    struct cr_error err = CR_ERROR_INIT;
    if (plan_make(&checked->planned, checked->pipeline, &settings->inputs, &err) < 0) {
        add_failure(checked, &err);
        cr_run_destroy(&checked->planned);
    }
}

static int print_checked(const struct checked *checked, const struct check_settings *settings)
{
    say_findings(checked->report, true);
    if (settings->print)
        return checked->pipeline != NULL ? print_effective(checked->pipeline) : EXIT_FAILED;
    print_verdict(checked);
    if (checked->planned != NULL)
        plan_print(checked->planned);
    return EXIT_OK;
}

static int check_file(const struct check_settings *settings, const struct session *session,
                      const char *path, struct cr_text *json)
{
    struct checked checked = {.path = path, .report = cr_report_create()};
    if (checked.report == NULL) {
        say_error("out of memory");
        return EXIT_FAILED;
    }
    load(&checked, session, settings);
    if (settings->plan && checked.pipeline != NULL)
        make_plan(&checked, settings);
    int code = cr_report_errors(checked.report) == 0 ? EXIT_OK : EXIT_FAILED;
    if (settings->json)
        add_checked(json, &checked);
    else if (print_checked(&checked, settings) != EXIT_OK)
        code = EXIT_FAILED;
    cr_run_destroy(&checked.planned);
    cr_pipeline_destroy(&checked.pipeline);
    cr_report_destroy(&checked.report);
    return code;
}

static int run_check(const void *settings_, const struct strings *operands)
{
    const struct check_settings *settings = settings_;
    struct cr_error err = CR_ERROR_INIT;
    struct session session = {.registry = NULL};
    if (settings->print && settings->json)
        return usage_error(&command_check, "--print and --json exclude each other");
    if (settings->print && settings->plan)
        return usage_error(&command_check, "--print and --plan exclude each other");
    const struct plan_inputs *inputs = &settings->inputs;
    if (!settings->plan &&
        (inputs->image != NULL || inputs->prompt != NULL || inputs->in.count > 0))
        return usage_error(&command_check, "inputs are for --plan");
    if (plan_check_inputs(inputs) != EXIT_OK)
        return EXIT_MISUSED;
    if (session_open(&session, settings->plugin_path, message_log(CR_LOG_WARNING), &err) < 0)
        return say_failure(&err);
    struct cr_text json = CR_TEXT_INIT;
    int code = EXIT_OK;
    cr_text_add(&json, "{\"crayon\":1,\"files\":[");
    for (size_t i = 0; i < operands->count; i++) {
        cr_text_add(&json, i > 0 ? "," : "");
        if (check_file(settings, &session, operands->items[i], &json) != EXIT_OK)
            code = EXIT_FAILED;
    }
    cr_text_add(&json, "]}\n");
    if (settings->json && !print_text(&json))
        code = EXIT_FAILED;
    cr_text_finish(&json);
    session_close(&session);
    return code;
}

const struct command command_check = {
    .name = "check",
    .operands = "PIPELINE...",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .summary = "check pipelines without running them",
    .options = check_options,
    .settings_size = sizeof(struct check_settings),
    .run = run_check,
};
