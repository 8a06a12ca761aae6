/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <string.h>

#include "command/bench/bench.h"
#include "command/common.h"
#include "command/options.h"
#include "tensor/device.h"

#define RUNS 7
#define MOST_RUNS 1000
#define RUN_SECONDS 0.02
#define QUICK_SECONDS 0.005
/* When the cases took this long, the limits are measured again, and a change by so much is told. */
#define LONG_SECONDS 10
#define STEADY 0.1

struct bench_settings {
    const char *device, *filter, *baseline, *plugin_path;
    struct number threads, runs;
    bool quick, json;
};

#define MEMBER(name) offsetof(struct bench_settings, name)

static const struct option bench_options[] = {
    {"device", OPTION_TEXT, MEMBER(device), "NAME", "cpu, vulkan:1, ...; default: auto"},
    {"threads", OPTION_NUMBER, MEMBER(threads), "N", "use N threads; default: one a processor"},
    {"filter", OPTION_TEXT, MEMBER(filter), "TEXT", "only cases with this in their names"},
    {"quick", OPTION_FLAG, MEMBER(quick), NULL, "only a few cases, within half a minute"},
    {"runs", OPTION_NUMBER, MEMBER(runs), "N", "the median of N runs; default 7"},
    {"baseline", OPTION_TEXT, MEMBER(baseline), "FILE", "print ratios to an earlier --json"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print everything as one JSON object"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

struct bench {
    const struct bench_settings *settings;
    struct cr_device *device;
    struct cr_device_info info;
    struct cr_device_limits limits, limits_after;
    cJSON *baseline; /* or NULL */
    struct bench_table table;
    struct bench_result *results;
    size_t count; /* of results so far */
    struct cr_text json;
};

static bool is_selected(const struct bench_settings *settings, const struct bench_case *c)
{
    return (!settings->quick || c->quick) &&
           (settings->filter == NULL || strstr(c->name, settings->filter) != NULL);
}

/* How many cases are selected, and the longest name. */
static size_t survey(const struct bench_settings *settings, int *name_width)
{
    size_t count = 0;
    *name_width = 0;
    for (size_t i = 0; i < bench_case_count; i++) {
        if (!is_selected(settings, &bench_cases[i]))
            continue;
        int length = (int)strlen(bench_cases[i].name);
        *name_width = length > *name_width ? length : *name_width;
        count++;
    }
    return count;
}

static void show_head(struct bench *bench)
{
    if (bench->settings->json)
        bench_add_head(&bench->json, &bench->info, &bench->limits);
    else
        bench_print_head(&bench->info, &bench->limits);
}

static void show_result(struct bench *bench, const struct bench_result *result)
{
    if (!bench->settings->json) {
        bench_print_result(&bench->table, result);
        return;
    }
    cr_text_add(&bench->json, bench->count > 0 ? "," : "");
    bench_add_result(&bench->json, result);
}

/* One case. That a device lacks an operation is a result, too. */
static int run_case(struct bench *bench, const struct bench_case *c, struct bench_inputs *inputs,
                    struct cr_error *err)
{
    const struct bench_settings *settings = bench->settings;
    struct bench_result *result = &bench->results[bench->count];
    const struct bench_plan plan = {settings->runs.given ? (int)settings->runs.value : RUNS,
                                    settings->quick ? QUICK_SECONDS : RUN_SECONDS};
    int code = bench_measure(result, c, inputs, &plan, &bench->limits, err);
    bench_inputs_reset(inputs);
    if (code == CR_ERR_UNSUPPORTED) {
        cr_error_clear(err);
        result->lacking = true;
        code = 0;
    }
    if (code < 0) {
        cr_error_prefix(err, "%s", c->name);
        return code;
    }
    if (bench->baseline != NULL)
        bench_baseline_find(bench->baseline, result);
    show_result(bench, result);
    bench->count++;
    return cr_device_trim(bench->device, err);
}

static int run_cases(struct bench *bench, size_t selected, struct cr_error *err)
{
    struct bench_inputs inputs = {.device = bench->device, .seed = 88172645463325252u};
    int result = 0;
    for (size_t i = 0; i < bench_case_count && result == 0; i++) {
        if (!is_selected(bench->settings, &bench_cases[i]))
            continue;
        if (bench->settings->json)
            progress_show("bench", (double)bench->count / (double)selected);
        result = run_case(bench, &bench_cases[i], &inputs, err);
    }
    bench_inputs_finish(&inputs);
    return result;
}

static bool has_moved(double before, double after)
{
    return before > 0 && (after > before * (1 + STEADY) || after < before * (1 - STEADY));
}

/* Was the machine the same at the end as at the beginning? */
static int check_limits(struct bench *bench, struct cr_error *err)
{
    const struct cr_device_limits *before = &bench->limits, *after = &bench->limits_after;
    int result = cr_device_get_limits(bench->device, &bench->limits_after, err);
    if (result == 0 && (has_moved(before->read_bytes, after->read_bytes) ||
                        has_moved(before->multiply_adds, after->multiply_adds) ||
                        has_moved(before->sgemm, after->sgemm)))
        say_note("the machine was not at rest: read %.1f GB/s, fma %.1f and sgemm %.1f GFLOP/s at "
                 "the end",
                 after->read_bytes / 1e9, after->multiply_adds / 1e9, after->sgemm / 1e9);
    return result;
}

static int run_all(struct bench *bench, const struct session *session, size_t selected,
                   struct cr_error *err)
{
    const struct bench_settings *settings = bench->settings;
    struct cr_device_params params = {
        .threads = settings->threads.value < INT_MAX ? (int)settings->threads.value : INT_MAX,
        .log = message_log(CR_LOG_WARNING)};
    int result = 0;
    if (settings->baseline != NULL)
        result = bench_baseline_load(&bench->baseline, settings->baseline, err);
    if (result == 0)
        result = cr_device_open(&bench->device, session->registry, settings->device, &params, err);
    if (result == 0)
        result = cr_device_get_limits(bench->device, &bench->limits, err);
    if (result < 0)
        return result;
    cr_device_get_info(bench->device, &bench->info);
    show_head(bench);
    double start = bench_now();
    result = run_cases(bench, selected, err);
    if (result == 0 && bench_now() - start > LONG_SECONDS)
        result = check_limits(bench, err);
    if (result < 0)
        return result;
    if (bench->baseline != NULL)
        bench_baseline_compare(bench->baseline, settings->baseline, &bench->info, bench->results,
                               bench->count);
    return 0;
}

static int bench_selected(const struct bench_settings *settings, size_t selected, int name_width)
{
    struct cr_error err = CR_ERROR_INIT;
    struct session session = {.registry = NULL};
    struct bench bench = {.settings = settings, .json = CR_TEXT_INIT};
    bench.table = (struct bench_table){name_width, settings->baseline != NULL, -1};
    int code = EXIT_OK;
    bench.results = cr_calloc(selected, sizeof(*bench.results));
    if (bench.results == NULL)
        cr_fail_memory(&err, selected * sizeof(*bench.results));
    if (bench.results == NULL ||
        session_open(&session, settings->plugin_path, message_log(CR_LOG_ERROR), &err) < 0 ||
        run_all(&bench, &session, selected, &err) < 0)
        code = say_failure(&err);
    bench_add_end(&bench.json, &bench.limits_after);
    if (settings->json && code == EXIT_OK && !print_text(&bench.json))
        code = EXIT_FAILED;
    cr_text_finish(&bench.json);
    cJSON_Delete(bench.baseline);
    cr_free(bench.results);
    cr_device_unref(&bench.device);
    session_close(&session);
    return code;
}

static int run_bench(const void *settings_, const struct strings *operands)
{
    const struct bench_settings *settings = settings_;
    int name_width;
    (void)operands;
    if (settings->runs.given && (settings->runs.value < 1 || settings->runs.value > MOST_RUNS))
        return usage_error(&command_bench, "--runs: %llu is outside 1..%d",
                           (unsigned long long)settings->runs.value, MOST_RUNS);
    size_t selected = survey(settings, &name_width);
    if (selected == 0) {
        say_error("no case%s has \"%s\" in its name", settings->quick ? " of --quick" : "",
                  settings->filter);
        return EXIT_FAILED;
    }
    return bench_selected(settings, selected, name_width);
}

const struct command command_bench = {
    .name = "bench",
    .operands = "",
    .summary = "measure a device, and its operations against its limits",
    .options = bench_options,
    .settings_size = sizeof(struct bench_settings),
    .run = run_bench,
    .notes = "Times are medians with half the distance of the quartiles. Shares are of the\n"
             "limit that the least bytes and operations meet first; see crayon-bench(1).",
};
