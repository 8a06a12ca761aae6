/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "command/common.h"
#include "command/options.h"
#include "evaluate/evaluate.h"

struct eval_settings {
    struct strings set;
    const char *pipeline;
    struct number limit;
    struct device_settings device;
    const char *plugin_path;
    bool no_plan, json, quiet, allow_command;
};

#define MEMBER(name) offsetof(struct eval_settings, name)

static const struct option eval_options[] = {
    {"set", OPTION_LIST, MEMBER(set), "KEY=VALUE",
     "an option of the task; STAGE.KEY=VALUE: of the pipeline"},
    {"pipeline", OPTION_TEXT, MEMBER(pipeline), "FILE", "the pipeline that answers"},
    {"limit", OPTION_NUMBER, MEMBER(limit), "N", "do only the first N items"},
    {"device", OPTION_TEXT, MEMBER(device.device), "NAME", "cpu, vulkan:1, ...; default: auto"},
    {"precision", OPTION_TEXT, MEMBER(device.precision), "HOW", "exact or fast; default: fast"},
    {"threads", OPTION_NUMBER, MEMBER(device.threads), "N", "of the CPU; default: one a processor"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {"allow-command", OPTION_FLAG, MEMBER(allow_command), NULL,
     "let stages run other programs (segment-command)"},
    {"no-plan", OPTION_FLAG, MEMBER(no_plan), NULL, "load also what memory will not hold"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print everything as one JSON object"},
    {"quiet", OPTION_FLAG, MEMBER(quiet), NULL, "no notes, hints, warnings or progress"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* So many failed items are told one by one. */
#define MAX_TOLD 10

struct evaluation {
    const struct eval_settings *settings;
    const char *task;
    struct session session;
    const struct cr_log *log;
    struct strings of_task, of_pipeline; /* settings->set, parted */
    struct cr_text failures;             /* members of a JSON list */
    size_t failed;
};

static const struct command *const self = &command_eval;

/* ---- While it runs ---- */

static void on_progress(void *user, size_t done, size_t count)
{
    const struct evaluation *e = user;
    progress_show(e->task, (double)done / (double)count);
}

static void on_failed(void *user, size_t index, const char *name, const char *reason)
{
    struct evaluation *e = user;
    if (e->settings->json) {
        cr_text_printf(&e->failures, "%s{\"item\":%zu,\"name\":", e->failed > 0 ? "," : "", index);
        if (name != NULL)
            cr_json_quote(&e->failures, name);
        else
            cr_text_add(&e->failures, "null");
        cr_text_add(&e->failures, ",");
        add_member(&e->failures, "error", reason);
        cr_text_add(&e->failures, "}");
    }
    if (e->failed++ >= MAX_TOLD)
        return;
    if (name != NULL)
        say_error("%s: %s", name, reason);
    else
        say_error("item %zu: %s", index, reason);
}

/* ---- For people ---- */

/* "41.23": shares in per cent, which the title of the column says. */
static void format_cell(const struct cr_cell *cell, char text[32])
{
    if (cell->unit == 0 || !isfinite(cell->value))
        strcpy(text, cell->unit == 0 ? "" : "-");
    else if (cell->unit == CR_UNIT_COUNT)
        snprintf(text, 32, "%.0f", cell->value);
    else if (cell->unit == CR_UNIT_SHARE)
        snprintf(text, 32, "%.2f", 100 * cell->value);
    else
        snprintf(text, 32, "%.6g", cell->value);
}

static bool has_shares(const struct cr_table *table, size_t column)
{
    for (size_t i = 0; i < table->row_count; i++)
        if (table->rows[i].cells[column].unit == CR_UNIT_SHARE)
            return true;
    return false;
}

static int cell_width(const struct cr_table *table, size_t column)
{
    char text[32];
    int width = (int)strlen(table->columns[column]) + (has_shares(table, column) ? 2 : 0);
    for (size_t i = 0; i < table->row_count; i++) {
        format_cell(&table->rows[i].cells[column], text);
        width = (int)strlen(text) > width ? (int)strlen(text) : width;
    }
    return width;
}

static void print_table(const struct cr_table *table)
{
    int widths[CR_TABLE_COLUMNS], first = (int)strlen(table->name);
    char text[32];
    for (size_t i = 0; i < table->row_count; i++)
        if ((int)strlen(table->rows[i].name) > first)
            first = (int)strlen(table->rows[i].name);
    print("%-*s", first, table->name);
    for (size_t j = 0; j < table->column_count; j++) {
        bool shares = has_shares(table, j);
        widths[j] = cell_width(table, j);
        print("  %*s%s", widths[j] - (shares ? 2 : 0), table->columns[j], shares ? " %" : "");
    }
    print("\n");
    for (size_t i = 0; i < table->row_count; i++) {
        print("%-*s", first, table->rows[i].name);
        for (size_t j = 0; j < table->column_count; j++) {
            format_cell(&table->rows[i].cells[j], text);
            print("  %*s", widths[j], text);
        }
        print("\n");
    }
}

static void print_tables(const struct cr_evaluated *evaluated)
{
    for (size_t i = 0; i < evaluated->table_count; i++) {
        if (i > 0)
            print("\n");
        print_table(&evaluated->tables[i]);
    }
}

/* ---- For machines ---- */

static void add_row(struct cr_text *json, const struct cr_table *table, const struct cr_row *row)
{
    const char *before = "";
    cr_json_quote(json, row->name);
    cr_text_add(json, ":{");
    for (size_t i = 0; i < table->column_count; i++) {
        const struct cr_cell *cell = &row->cells[i];
        if (cell->unit == 0)
            continue;
        cr_text_add(json, before);
        cr_json_quote(json, table->columns[i]);
        if (isfinite(cell->value))
            cr_text_printf(json, ":%.17g", cell->value);
        else
            cr_text_add(json, ":null");
        before = ",";
    }
    cr_text_add(json, "}");
}

static bool print_json(const struct evaluation *e, const struct cr_evaluated *evaluated)
{
    struct cr_text json = CR_TEXT_INIT;
    cr_text_add(&json, "{\"crayon\":1,");
    add_member(&json, "task", e->task);
    cr_text_add(&json, ",\"pipeline\":");
    if (e->session.pipeline != NULL)
        cr_json_quote(&json, cr_pipeline_name(e->session.pipeline));
    else
        cr_text_add(&json, "null");
    cr_text_printf(&json, ",\"items\":%zu,\"scored\":%zu,\"cancelled\":%s,\"seconds\":%.6f",
                   evaluated->count, evaluated->scored, evaluated->cancelled ? "true" : "false",
                   evaluated->seconds);
    cr_text_printf(&json, ",\"failed\":[%s],\"tables\":{",
                   e->failures.data != NULL ? e->failures.data : "");
    for (size_t i = 0; i < evaluated->table_count; i++) {
        const struct cr_table *table = &evaluated->tables[i];
        cr_text_add(&json, i > 0 ? "," : "");
        cr_json_quote(&json, table->name);
        cr_text_add(&json, ":{");
        for (size_t j = 0; j < table->row_count; j++) {
            cr_text_add(&json, j > 0 ? "," : "");
            add_row(&json, table, &table->rows[j]);
        }
        cr_text_add(&json, "}");
    }
    cr_text_add(&json, "}}\n");
    json.failed = json.failed || e->failures.failed;
    return print_text(&json);
}

/* ---- The command ---- */

/* What the figures do not cover. */
static int conclude(const struct evaluation *e, const struct cr_evaluated *evaluated)
{
    if (e->failed > MAX_TOLD)
        say_error("and %zu more", e->failed - MAX_TOLD);
    if (e->failed > 0)
        say_error("%zu of %zu items failed; the figures leave them out", e->failed,
                  evaluated->count);
    if (!evaluated->cancelled)
        return e->failed > 0 ? EXIT_FAILED : EXIT_OK;
    say_plain("stopped after %zu of %zu items; the figures are of these",
              evaluated->scored + evaluated->failed, evaluated->count);
    return say_failure(&(struct cr_error){.code = CR_ERR_CANCELLED});
}

static int evaluate(struct evaluation *e, struct cr_report *report)
{
    const struct eval_settings *settings = e->settings;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_evaluated evaluated;
    uint64_t threads = settings->device.threads.value;
    const struct cr_evaluate_params params = {
        .registry = e->session.registry,
        .task = e->task,
        .sets = e->of_task.items,
        .set_count = e->of_task.count,
        .pipeline = e->session.pipeline,
        .limit = settings->limit.value,
        .threads = threads < UINT_MAX ? (unsigned)threads : UINT_MAX,
        .no_plan = settings->no_plan,
        .log = e->log,
        .cancel = stop_flag(),
        .progress = settings->quiet ? NULL : on_progress,
        .failed = on_failed,
        .user = e,
    };
    int result = cr_evaluate(&evaluated, &params, report, &err);
    progress_clear();
    say_findings(report, !settings->quiet);
    if (result < 0)
        return cr_report_errors(report) > 0 ? EXIT_FAILED : say_failure(&err);
    int code = EXIT_OK;
    if (!settings->json)
        print_tables(&evaluated);
    else if (!print_json(e, &evaluated))
        code = EXIT_FAILED;
    flush_output();
    if (code == EXIT_OK)
        code = conclude(e, &evaluated);
    cr_evaluated_finish(&evaluated);
    return code;
}

static int run_loaded(struct evaluation *e)
{
    const struct eval_settings *settings = e->settings;
    int code = EXIT_OK;
    if (settings->pipeline != NULL)
        code = session_load(&e->session, settings->pipeline, &e->of_pipeline, settings->quiet);
    if (code == EXIT_OK && settings->pipeline != NULL)
        code = session_set_device(&e->session, self, &settings->device, e->log);
    if (code != EXIT_OK)
        return code;
    struct cr_report *report = cr_report_create();
    defer_signals();
    if (report == NULL)
        say_error("out of memory");
    code = report != NULL ? evaluate(e, report) : EXIT_FAILED;
    cr_report_destroy(&report);
    return code;
}

/* "KEY=VALUE" is about the task, "STAGE.KEY=VALUE" about the pipeline. */
static int part_sets(struct evaluation *e)
{
    const struct strings *sets = &e->settings->set;
    e->of_task.items = cr_calloc(sets->count + 1, sizeof(*e->of_task.items));
    e->of_pipeline.items = cr_calloc(sets->count + 1, sizeof(*e->of_pipeline.items));
    if (e->of_task.items == NULL || e->of_pipeline.items == NULL) {
        say_error("out of memory");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < sets->count; i++) {
        const char *set = sets->items[i];
        bool dotted = set[strcspn(set, ".=")] == '.';
        struct strings *to = dotted ? &e->of_pipeline : &e->of_task;
        if (dotted && e->settings->pipeline == NULL)
            return usage_error(self, "--set %s is about a pipeline: --pipeline FILE is needed",
                               set);
        to->items[to->count++] = set;
    }
    return EXIT_OK;
}

static int check_settings(const struct eval_settings *settings)
{
    if (settings->limit.given && settings->limit.value == 0)
        return usage_error(self, "--limit 0 leaves nothing to do; leave it out for all items");
    return device_settings_check(self, &settings->device);
}

static int run_eval(const void *settings_, const struct strings *operands)
{
    const struct eval_settings *settings = settings_;
    struct evaluation e = {.settings = settings,
                           .task = operands->items[0],
                           .session = {.allow = settings->allow_command ? CR_ALLOW_COMMAND : 0},
                           .log = message_log(settings->quiet ? CR_LOG_ERROR : CR_LOG_WARNING),
                           .failures = CR_TEXT_INIT};
    struct cr_error err = CR_ERROR_INIT;
    int code = check_settings(settings);
    if (code == EXIT_OK)
        code = part_sets(&e);
    if (code == EXIT_OK && session_open(&e.session, settings->plugin_path, e.log, &err) < 0)
        code = say_failure(&err);
    if (code == EXIT_OK)
        code = run_loaded(&e);
    session_close(&e.session);
    cr_free(e.of_task.items);
    cr_free(e.of_pipeline.items);
    cr_text_finish(&e.failures);
    return code;
}

const struct command command_eval = {
    .name = "eval",
    .operands = "TASK",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "score answers to a benchmark",
    .options = eval_options,
    .settings_size = sizeof(struct eval_settings),
    .run = run_eval,
    .notes = "'crayon plugins' lists the tasks; 'crayon plugins TASK' shows its options.",
};
