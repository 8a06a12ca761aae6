/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "command/common.h"
#include "command/options.h"
#include "verify/verify.h"

struct verify_settings {
    struct strings device;
    struct number threads;
    const char *plugin_path;
    bool json, quiet, allow_command;
};

#define MEMBER(name) offsetof(struct verify_settings, name)

static const struct option verify_options[] = {
    {"device", OPTION_LIST, MEMBER(device), "NAME", "cpu, vulkan:1, ...; may be repeated"},
    {"threads", OPTION_NUMBER, MEMBER(threads), "N", "of the CPU; default: one a processor"},
    {"allow-command", OPTION_FLAG, MEMBER(allow_command), NULL,
     "let stages run other programs (segment-command)"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print everything as one JSON object"},
    {"quiet", OPTION_FLAG, MEMBER(quiet), NULL, "print what did not pass, and the totals"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* All that is to be run, and how it went. */
struct verification {
    const struct verify_settings *settings;
    struct cr_verify *session;
    char **paths;
    size_t count;
    size_t totals[3]; /* by enum cr_verdict */
    struct cr_text json;
    bool any; /* in the list of the JSON object */
};

static const char *const verdict_words[] = {
    [CR_VERDICT_PASSED] = "passed",
    [CR_VERDICT_FAILED] = "FAILED",
    [CR_VERDICT_NOT_RUN] = "could not run",
};

/* ---- For people ---- */

/* "absolute 1.2e-06 of 5e-05" */
static void print_bound(const struct cr_compared *compared, enum cr_bound_kind kind,
                        const char *before)
{
    const struct cr_bound *bound = &compared->bounds[kind];
    if (kind == CR_BOUND_EXACT && bound->holds)
        print("%sexact", before);
    else if (kind == CR_BOUND_EXACT)
        print("%s%.17g differ, should be exact", before, bound->error);
    else
        print("%s%s %.3g %s %.6g", before, cr_bound_key(kind), bound->error,
              bound->holds ? "of" : "exceeds", bound->limit);
}

static void print_compared(const struct cr_compared *compared, int width)
{
    print("  %-*s  ", width, compared->name);
    if (compared->problem != NULL) {
        print("%s\n", compared->problem);
        return;
    }
    const char *before = "";
    for (int kind = 0; kind < CR_BOUND_COUNT; kind++) {
        if (!compared->bounds[kind].given)
            continue;
        print_bound(compared, (enum cr_bound_kind)kind, before);
        before = ", ";
    }
    print("\n");
}

/* The device that it computed on, or that it lacks; NULL: none. */
static const char *device_of(const char *asked, const struct cr_verified *verified)
{
    if (verified->device[0] != '\0')
        return verified->device;
    return verified->verdict == CR_VERDICT_NOT_RUN ? asked : NULL;
}

static void print_verified(const char *path, const char *asked, const struct cr_verified *verified)
{
    const char *device = device_of(asked, verified);
    int width = 0;
    print("%s: %s%s%s\n", path, verdict_words[verified->verdict], device != NULL ? " on " : "",
          device != NULL ? device : "");
    for (size_t i = 0; i < cr_report_count(verified->report); i++) {
        char *text = cr_finding_text(cr_report_get(verified->report, i));
        print("  %s\n", text != NULL ? text : "out of memory");
        cr_free(text);
    }
    for (size_t i = 0; i < verified->count; i++) {
        int length = (int)strlen(verified->compared[i].name);
        width = length > width ? length : width;
    }
    for (size_t i = 0; i < verified->count; i++)
        if (verified->compared[i].compared)
            print_compared(&verified->compared[i], width);
}

static void print_totals(const struct verification *v)
{
    size_t passed = v->totals[CR_VERDICT_PASSED], failed = v->totals[CR_VERDICT_FAILED];
    size_t absent = v->totals[CR_VERDICT_NOT_RUN], all = passed + failed + absent;
    print("%zu case%s: %zu passed, %zu failed, %zu could not run\n", all, all == 1 ? "" : "s",
          passed, failed, absent);
}

/* ---- For machines ---- */

static void add_number(struct cr_text *json, double number)
{
    if (isfinite(number))
        cr_text_printf(json, "%.9g", number);
    else
        cr_text_add(json, "null");
}

static void add_compared(struct cr_text *json, const struct cr_compared *compared)
{
    const char *before = "";
    cr_text_add(json, "{");
    add_member(json, "name", compared->name);
    cr_text_printf(json, ",\"passed\":%s,\"problem\":",
                   !compared->compared ? "null"
                   : compared->passed  ? "true"
                                       : "false");
    if (compared->problem != NULL)
        cr_json_quote(json, compared->problem);
    else
        cr_text_add(json, "null");
    cr_text_add(json, ",\"bounds\":{");
    for (int kind = 0; kind < CR_BOUND_COUNT; kind++) {
        const struct cr_bound *bound = &compared->bounds[kind];
        if (!bound->given)
            continue;
        cr_text_printf(json, "%s\"%s\":{\"limit\":", before,
                       cr_bound_key((enum cr_bound_kind)kind));
        add_number(json, bound->limit);
        cr_text_add(json, ",\"error\":");
        add_number(json, compared->compared && compared->problem == NULL ? bound->error : NAN);
        cr_text_printf(json, ",\"holds\":%s}", bound->holds ? "true" : "false");
        before = ",";
    }
    cr_text_add(json, "}}");
}

static void add_verified(struct verification *v, const char *path, const char *asked,
                         const struct cr_verified *verified)
{
    static const char *const words[] = {"passed", "failed", "not run"};
    struct cr_text *json = &v->json;
    const char *device = device_of(asked, verified);
    cr_text_add(json, v->any ? ",{" : "{");
    v->any = true;
    add_member(json, "case", path);
    cr_text_add(json, ",\"device\":");
    if (device != NULL)
        cr_json_quote(json, device);
    else
        cr_text_add(json, "null");
    cr_text_add(json, ",");
    add_member(json, "verdict", words[verified->verdict]);
    cr_text_printf(json, ",\"seconds\":%.6f,\"reasons\":[", verified->seconds);
    for (size_t i = 0; i < cr_report_count(verified->report); i++) {
        char *text = cr_finding_text(cr_report_get(verified->report, i));
        cr_text_add(json, i > 0 ? "," : "");
        cr_json_quote(json, text != NULL ? text : "out of memory");
        cr_free(text);
    }
    cr_text_add(json, "],\"outputs\":[");
    for (size_t i = 0; i < verified->count; i++) {
        cr_text_add(json, i > 0 ? "," : "");
        add_compared(json, &verified->compared[i]);
    }
    cr_text_add(json, "]}");
}

static bool print_json(struct verification *v)
{
    cr_text_printf(&v->json, "],\"passed\":%zu,\"failed\":%zu,\"not_run\":%zu}\n",
                   v->totals[CR_VERDICT_PASSED], v->totals[CR_VERDICT_FAILED],
                   v->totals[CR_VERDICT_NOT_RUN]);
    return print_text(&v->json);
}

/* ---- Running ---- */

static int run_case(struct verification *v, const char *path, const char *device)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_verified verified;
    int result = cr_verify_case(&verified, v->session, path, device, &err);
    progress_clear();
    if (result < 0)
        return say_failure(&err);
    v->totals[verified.verdict]++;
    if (v->settings->json)
        add_verified(v, path, device, &verified);
    else if (!v->settings->quiet || verified.verdict != CR_VERDICT_PASSED)
        print_verified(path, device, &verified);
    flush_output();
    cr_verified_finish(&verified);
    return EXIT_OK;
}

static int run_cases(struct verification *v)
{
    const struct strings *devices = &v->settings->device;
    int code = EXIT_OK;
    for (size_t i = 0; i < v->count && code == EXIT_OK; i++) {
        if (devices->count == 0)
            code = run_case(v, v->paths[i], NULL);
        for (size_t j = 0; j < devices->count && code == EXIT_OK; j++)
            code = run_case(v, v->paths[i], devices->items[j]);
    }
    if (!v->settings->json)
        print_totals(v);
    else if (!print_json(v))
        code = EXIT_FAILED;
    if (code != EXIT_OK)
        return code;
    return v->totals[CR_VERDICT_FAILED] > 0    ? EXIT_FAILED
           : v->totals[CR_VERDICT_NOT_RUN] > 0 ? EXIT_NOT_RUN
                                               : EXIT_OK;
}

/* Paths that lead nowhere are said before anything runs. */
static int find_cases(struct verification *v, const struct strings *operands)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < operands->count; i++) {
        struct cr_error err = CR_ERROR_INIT;
        char **found;
        size_t count;
        if (cr_verify_find(&found, &count, operands->items[i], &err) < 0) {
            code = say_failure(&err);
            continue;
        }
        char **paths = cr_realloc_array(v->paths, v->count + count, sizeof(*paths));
        if (paths == NULL) {
            say_error("out of memory");
            code = EXIT_FAILED;
            for (size_t j = 0; j < count; j++)
                cr_free(found[j]);
        } else {
            v->paths = paths;
            memcpy(paths + v->count, found, count * sizeof(*paths));
            v->count += count;
        }
        cr_free(found);
    }
    return code;
}

static void on_progress(void *user, const char *stage, double done)
{
    (void)user;
    progress_show(stage, done);
}

static int open_session(struct verification *v, const struct session *session,
                        const struct cr_log *log)
{
    const struct verify_settings *settings = v->settings;
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_verify_params params = {
        .registry = session->registry,
        .log = log,
        .threads = settings->threads.value < INT_MAX ? (int)settings->threads.value : INT_MAX,
        .cancel = stop_flag(),
        .progress = on_progress,
    };
    return cr_verify_create(&v->session, &params, &err) < 0 ? say_failure(&err) : EXIT_OK;
}

static int run_verify(const void *settings_, const struct strings *operands)
{
    struct verification v = {.settings = settings_, .json = CR_TEXT_INIT};
    struct session session = {.allow = v.settings->allow_command ? CR_ALLOW_COMMAND : 0};
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_log *log = message_log(v.settings->quiet ? CR_LOG_ERROR : CR_LOG_WARNING);
    if (session_open(&session, v.settings->plugin_path, log, &err) < 0)
        return say_failure(&err);
    defer_signals();
    cr_text_add(&v.json, "{\"crayon\":1,\"cases\":[");
    int code = find_cases(&v, operands);
    if (code == EXIT_OK)
        code = open_session(&v, &session, log);
    if (code == EXIT_OK)
        code = run_cases(&v);
    for (size_t i = 0; i < v.count; i++)
        cr_free(v.paths[i]);
    cr_free(v.paths);
    cr_text_finish(&v.json);
    cr_verify_destroy(&v.session);
    session_close(&session);
    return code;
}

const struct command command_verify = {
    .name = "verify",
    .operands = "PATH...",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .summary = "compare what comes out with recorded cases",
    .options = verify_options,
    .settings_size = sizeof(struct verify_settings),
    .run = run_verify,
    .notes = "A PATH is a case file, or a folder with case.json or *.case.json files.\n"
             "Exit status: 0 all hold, 1 some do not, 3 the rest could not run.",
};
