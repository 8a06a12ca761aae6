/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "command/options.h"
#include "command/run/run.h"
#include "pipeline/run.h"

#define MEMBER(name) offsetof(struct run_settings, name)

static const struct option run_options[] = {
    {"image", OPTION_TEXT, MEMBER(image), "FILE", "short for --in image=@FILE"},
    {"prompt", OPTION_TEXT, MEMBER(prompt), "TEXT", "short for --in prompt=TEXT"},
    {"in", OPTION_LIST, MEMBER(in), "NAME=VALUE",
     "an input: a text, or @FILE (@-: standard input)"},
    {"out", OPTION_LIST, MEMBER(out), "NAME=FILE",
     "write an output to a file (-: standard output)"},
    {"set", OPTION_LIST, MEMBER(set), "STAGE.KEY=VALUE", "change the pipeline"},
    {"variant", OPTION_LIST, MEMBER(variant), "NAME:CHANGE",
     "compare: run it with STAGE.KEY=VALUE as well"},
    {"sheet", OPTION_TEXT, MEMBER(sheet), "FILE", "with --variant: all pictures side by side"},
    {"limit", OPTION_LIST, MEMBER(limit), "NAME=N", "max_pixels, max_bytes, ... of pictures"},
    {"batch", OPTION_TEXT, MEMBER(batch), "FILE",
     "run every line of a JSON Lines file (-: as above)"},
    {"results", OPTION_TEXT, MEMBER(results), "FILE", "with --batch: append the results to a file"},
    {"resume", OPTION_FLAG, MEMBER(resume), NULL, "pass over items whose results are in that file"},
    {"device", OPTION_TEXT, MEMBER(device.device), "NAME", "cpu, vulkan:1, ...; default: auto"},
    {"precision", OPTION_TEXT, MEMBER(device.precision), "HOW", "exact or fast; default: fast"},
    {"threads", OPTION_NUMBER, MEMBER(device.threads), "N", "of the CPU; default: one a processor"},
    {"seed", OPTION_NUMBER, MEMBER(seed), "N", "seed for what draws random numbers"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {"allow-command", OPTION_FLAG, MEMBER(allow_command), NULL,
     "let stages run other programs (segment-command)"},
    {"no-plan", OPTION_FLAG, MEMBER(no_plan), NULL, "load also what memory will not hold"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "print the result as one JSON object"},
    {"profile", OPTION_FLAG, MEMBER(profile), NULL, "how long operations take, waiting for each"},
    {"quiet", OPTION_FLAG, MEMBER(quiet), NULL, "no notes, hints, warnings or progress"},
    {"verbose", OPTION_FLAG, MEMBER(verbose), NULL, "say more, with the time of every stage"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* ---- The command line ---- */

static const struct command *const self = &command_run;

/* What the command line asks for is wrong, or memory ran out meanwhile. */
static int refuse(const struct cr_error *err)
{
    return err->code == CR_ERR_MEMORY ? say_failure(err) : usage_error(self, "%s", err->message);
}

/* An input from the command line is only noted, so that all usage errors come before any file is
 * read. */
static int note_input(struct run *run, const char *name, const char *text)
{
    struct cr_error err = CR_ERROR_INIT;
    struct feed *feed = request_feed(&run->request, name, &err);
    if (feed == NULL)
        return refuse(&err);
    if (feed->text != NULL)
        return usage_error(self, "the input %s is given twice", name);
    feed->text = text;
    return EXIT_OK;
}

static int note_output(struct run *run, const char *name, const char *path)
{
    struct cr_error err = CR_ERROR_INIT;
    struct sink *sink = request_sink(&run->request, name, &err);
    if (sink == NULL || request_set_path(&run->request, sink, path, &err) < 0)
        return refuse(&err);
    if (run->settings->json && strcmp(path, "-") == 0)
        return usage_error(self, "--json and --out %s=- both want standard output", name);
    return EXIT_OK;
}

/* Hand the two sides of each NAME=VALUE to `note`. */
static int note_pairs(struct run *run, const char *option, const struct strings *pairs,
                      int (*note)(struct run *run, const char *name, const char *value))
{
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < pairs->count; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        if (equals == NULL || equals == pairs->items[i])
            return usage_error(self, "--%s %s: NAME=%s is needed", option, pairs->items[i],
                               strcmp(option, "in") == 0 ? "VALUE" : "FILE");
        char *name = cr_strndup(pairs->items[i], (size_t)(equals - pairs->items[i]));
        if (name == NULL) {
            say_error("out of memory");
            return EXIT_FAILED;
        }
        code = note(run, name, equals + 1);
        cr_free(name);
    }
    return code;
}

int run_note_arguments(struct run *run)
{
    const struct run_settings *settings = run->settings;
    struct cr_error err = CR_ERROR_INIT;
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < settings->limit.count; i++)
        if (request_set_limit(&run->request, settings->limit.items[i], &err) < 0)
            code = usage_error(self, "--limit: %s", err.message);
    if (code == EXIT_OK && settings->image != NULL)
        code = note_input(run, "image", settings->image);
    if (code == EXIT_OK && settings->prompt != NULL)
        code = note_input(run, "prompt", settings->prompt);
    if (code == EXIT_OK)
        code = note_pairs(run, "in", &settings->in, note_input);
    if (code == EXIT_OK)
        code = note_pairs(run, "out", &settings->out, note_output);
    if (code == EXIT_OK && settings->batch == NULL &&
        (request_check_complete(&run->request, false, &err) < 0 ||
         request_check_wanted(&run->request, false, &err) < 0))
        code = refuse(&err);
    return code;
}

int run_load_inputs(struct run *run)
{
    struct cr_error err = CR_ERROR_INIT;
    for (size_t i = 0; i < run->request.feeds_count; i++) {
        struct feed *feed = &run->request.feeds[i];
        if (feed->text != NULL && feed_load_argument(feed, feed->text, &err) < 0)
            return say_failure(&err);
    }
    return EXIT_OK;
}

/* ---- Running ---- */

static size_t count_texts(const struct request *request)
{
    size_t count = 0;
    for (size_t i = 0; i < request->sinks_count; i++)
        count += request->sinks[i].wanted && request->sinks[i].port.type == CR_TYPE_TEXT &&
                 request->sinks[i].path == NULL;
    return count;
}

/* Text that comes while the pipeline runs is shown at once, for the one output that speaks first;
 * others are printed when they are complete. */
static void on_emit(void *user, const char *output, size_t item, const char *bytes, size_t count)
{
    struct run *run = user;
    if (item != 0 || (run->streamed != NULL && strcmp(run->streamed, output) != 0))
        return;
    if (run->streamed == NULL) {
        struct sink *sink = request_sink(&run->request, output, NULL);
        if (sink == NULL || !sink->wanted || sink->path != NULL)
            return;
        run->streamed = sink->port.name;
        if (count_texts(&run->request) > 1)
            print("%s: ", output);
    }
    cr_text_append(&run->so_far, bytes, count);
    print_bytes(bytes, count);
    flush_output();
}

static void on_progress(void *user, const char *stage, double done)
{
    (void)user;
    progress_show(stage, done);
}

static const struct sink *standard_output_sink(const struct request *request)
{
    for (size_t i = 0; i < request->sinks_count; i++)
        if (request->sinks[i].path != NULL && strcmp(request->sinks[i].path, "-") == 0)
            return &request->sinks[i];
    return NULL;
}

int run_prepare(struct run *run, struct cr_run **out, struct cr_error *err)
{
    const struct run_settings *settings = run->settings;
    struct cr_run_hooks hooks = {
        .user = run,
        .emit = run->stream ? on_emit : NULL,
        .progress = settings->quiet ? NULL : on_progress,
        .log = run->log,
        .cancel = stop_flag(),
    };
    int result = request_prepare(&run->request, run->session.pipeline, out, err);
    if (result < 0)
        return result;
    cr_run_set_hooks(*out, &hooks);
    if (settings->seed.given)
        cr_run_set_seed(*out, settings->seed.value);
    return 0;
}

int run_check_memory(const struct run *run, struct cr_run *prepared, struct cr_error *err)
{
    return run->settings->no_plan ? 0 : request_check_memory(prepared, err);
}

static int execute(struct run *run, struct cr_run **out, struct cr_error *err)
{
    int result = run_prepare(run, out, err);
    if (result == 0)
        result = run_check_memory(run, *out, err);
    if (result == 0)
        result = cr_run_execute(*out, err);
    progress_clear();
    return result;
}

/* ---- Results ---- */

static void print_result(const struct run *run, const struct sink *sink, const char *text)
{
    if (text == NULL && !run->settings->quiet)
        say_note("%s is null: there is no text", sink->port.name);
    if (text != NULL && count_texts(&run->request) > 1)
        print("%s: ", sink->port.name);
    if (text != NULL)
        print("%s\n", text);
}

/* What was not shown yet of the text that was streamed. */
static void print_rest(const struct run *run, const struct sink *sink, const char *text)
{
    size_t shown = run->so_far.size;
    if (text != NULL && !run->so_far.failed && strncmp(text, run->so_far.data, shown) == 0) {
        print("%s\n", text + shown);
    } else { /* it was taken back: say it again, whole */
        print("\n");
        print_result(run, sink, text);
    }
}

/* The streamed text first: its line is still open. */
void run_print_texts(const struct run *run, const struct cr_run *done)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < run->request.sinks_count; i++) {
            const struct sink *sink = &run->request.sinks[i];
            if (sink->port.type != CR_TYPE_TEXT || sink->path != NULL)
                continue;
            const char *text = cr_value_text(cr_run_output(done, sink->port.name), 0);
            bool streamed = run->streamed == sink->port.name;
            if (pass == 0 && streamed)
                print_rest(run, sink, text);
            else if (pass == 1 && !streamed)
                print_result(run, sink, text);
        }
}

/* "also: overlay (image): --out overlay=FILE.png", for someone who asked for nothing special. */
static void hint_at_others(const struct request *request)
{
    struct cr_text text = CR_TEXT_INIT;
    request_add_offers(request, false, &text);
    if (text.size > 0)
        say_plain("also: %s", text.data);
    cr_text_finish(&text);
}

void run_add_result(const struct run *run, const struct cr_run *done, double seconds,
                    struct cr_text *json)
{
    request_add_outputs(&run->request, done, json);
    cr_text_add(json, ",\"stages\":[");
    for (size_t i = 0; i < cr_run_times(done); i++) {
        struct cr_stage_time time = cr_run_time(done, i);
        cr_text_printf(json, "%s{\"name\":", i > 0 ? "," : "");
        cr_json_quote(json, time.name);
        cr_text_add(json, ",\"device\":");
        if (cr_run_device(done, i) != NULL)
            cr_json_quote(json, cr_run_device(done, i));
        else
            cr_text_add(json, "null");
        cr_text_printf(json, ",\"open_seconds\":%.6f,\"run_seconds\":%.6f", time.open_seconds,
                       time.run_seconds);
        for (size_t j = 0; j < cr_run_figures(done, i); j++) {
            struct cr_figure figure = cr_run_figure(done, i, j);
            cr_text_printf(json, ",\"%s\":%.*f", figure.name,
                           figure.value == (double)(int64_t)figure.value ? 0 : 6, figure.value);
        }
        if (run->settings->profile)
            profile_add_json(done, i, json);
        cr_text_add(json, "}");
    }
    cr_text_printf(json, "],\"seconds\":%.6f", seconds);
}

static bool print_json(const struct run *run, const struct cr_run *done, double seconds)
{
    struct cr_text json = CR_TEXT_INIT;
    cr_text_add(&json, "{\"crayon\":1,");
    add_member(&json, "pipeline", cr_pipeline_name(run->session.pipeline));
    cr_text_add(&json, ",");
    run_add_result(run, done, seconds, &json);
    cr_text_add(&json, "}\n");
    return print_text(&json);
}

static void say_times(const struct cr_run *done, double seconds)
{
    for (size_t i = 0; i < cr_run_times(done); i++) {
        struct cr_stage_time time = cr_run_time(done, i);
        const char *device = cr_run_device(done, i);
        say_plain("%s: opened in %.3f s, ran in %.3f s%s%s", time.name, time.open_seconds,
                  time.run_seconds, device != NULL ? " on " : "", device != NULL ? device : "");
    }
    say_plain("%.3f s in all", seconds);
}

static int deliver(struct run *run, const struct cr_run *done, double seconds)
{
    struct cr_error err = CR_ERROR_INIT;
    const struct run_settings *settings = run->settings;
    if (request_save(&run->request, done, &err) < 0)
        return say_failure(&err);
    const struct sink *standard = standard_output_sink(&run->request);
    if (settings->json) {
        if (!print_json(run, done, seconds))
            return EXIT_FAILED;
    } else if (standard != NULL) {
        if (sink_print(standard, cr_run_output(done, standard->port.name), &err) < 0)
            return say_failure(&err);
    } else {
        run_print_texts(run, done);
    }
    if (settings->verbose)
        say_times(done, seconds);
    for (size_t i = 0; settings->profile && !settings->json && i < cr_run_times(done); i++)
        profile_say(done, i);
    if (settings->out.count == 0 && !settings->json && !settings->quiet)
        hint_at_others(&run->request);
    return EXIT_OK;
}

static int run_once(struct run *run)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *done = NULL;
    run->stream = !run->settings->json && standard_output_sink(&run->request) == NULL &&
                  (count_texts(&run->request) == 1 || output_is_terminal());
    double start = seconds_now();
    int result = execute(run, &done, &err), code;
    if (result < 0 && run->streamed != NULL)
        print("\n");
    if (result < 0)
        code = say_failure(&err);
    else if ((code = deliver(run, done, seconds_now() - start)) == EXIT_OK && stop_signal() != 0)
        code = say_failure(&(struct cr_error){.code = CR_ERR_CANCELLED});
    cr_text_finish(&run->so_far);
    cr_run_destroy(&done);
    return code;
}

static int run_loaded(struct run *run)
{
    struct cr_error err = CR_ERROR_INIT;
    if (request_init(&run->request, run->session.pipeline, &err) < 0)
        return say_failure(&err);
    int code = run_note_arguments(run);
    if (code == EXIT_OK)
        code = run_load_inputs(run);
    defer_signals();
    if (code == EXIT_OK)
        code = run->settings->batch != NULL ? run_batch(run) : run_once(run);
    request_finish(&run->request);
    return code;
}

static int check_settings(const struct run_settings *settings)
{
    if (settings->quiet && settings->verbose)
        return usage_error(self, "--quiet and --verbose exclude each other");
    if (settings->batch != NULL && settings->out.count > 0)
        return usage_error(self, "with --batch, files are named by \"out\" in each line, "
                                 "not by --out");
    if (settings->results != NULL && settings->batch == NULL)
        return usage_error(self, "--results is for --batch; --out NAME=FILE writes one output");
    if (settings->resume && settings->results == NULL)
        return usage_error(self, "--resume needs --results FILE, which says what is done");
    if (settings->batch != NULL && settings->profile)
        return usage_error(self, "--profile looks at one run, not at a --batch");
    int code = variants_check(self, settings);
    return code == EXIT_OK ? device_settings_check(self, &settings->device) : code;
}

static int load_and_run(struct run *run)
{
    const struct run_settings *settings = run->settings;
    int code = session_load(&run->session, run->path, &settings->set, settings->quiet);
    if (code == EXIT_OK && settings->profile)
        cr_pipeline_profile(run->session.pipeline);
    if (code == EXIT_OK)
        code = session_set_device(&run->session, self, &settings->device, run->log);
    return code == EXIT_OK ? run_loaded(run) : code;
}

static int run_run(const void *settings_, const struct strings *operands)
{
    const struct run_settings *settings = settings_;
    struct cr_error err = CR_ERROR_INIT;
    int code = check_settings(settings);
    if (code != EXIT_OK)
        return code;
    struct run run = {
        .settings = settings,
        .path = operands->items[0],
        .session = {.allow = settings->allow_command ? CR_ALLOW_COMMAND : 0},
        .log = message_log(settings->verbose ? CR_LOG_DEBUG
                           : settings->quiet ? CR_LOG_ERROR
                                             : CR_LOG_WARNING),
    };
    if (session_open(&run.session, settings->plugin_path, run.log, &err) < 0)
        return say_failure(&err);
    code = settings->variant.count > 0 ? run_variants(&run) : load_and_run(&run);
    session_close(&run.session);
    return code;
}

const struct command command_run = {
    .name = "run",
    .operands = "PIPELINE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "run a pipeline and print its text outputs",
    .options = run_options,
    .settings_size = sizeof(struct run_settings),
    .run = run_run,
};
