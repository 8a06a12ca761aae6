/* SPDX-License-Identifier: MIT */
/* --variant: one pipeline in several variants on the same inputs. What two variants have in common
 * is opened and computed once. */
#include <string.h>

#include "command/options.h"
#include "command/run/run.h"
#include "command/run/sheet.h"
#include "pipeline/share.h"

struct variant {
    const char *name;
    struct strings sets;          /* those of all, then its own */
    struct strings out;           /* NAME=FILE with the variant's name in the file's */
    struct run_settings settings; /* the same as everybody's but for these two */
    struct run run;
    struct cr_run *done; /* what came of it, also if it failed; NULL: it was not come to */
    bool succeeded;
    struct cr_error why;
    double seconds;
};

struct variants {
    const struct run_settings *settings;
    struct variant *items;
    size_t count;
    struct cr_pipeline **pipelines; /* of the items */
    char **strings;                 /* that belong to the lists above */
    size_t string_count;
};

/* ---- The command line ---- */

/* "NAME:STAGE.KEY=VALUE", or "NAME" for the pipeline as it is; NAME becomes part of file names. */
static bool is_well_formed(const char *text)
{
    size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (name == 0 || name > 60)
        return false;
    return text[name] == '\0' ||
           (text[name] == ':' && text[name + 1] != '=' && strchr(text + name, '=') != NULL);
}

int variants_check(const struct command *self, const struct run_settings *settings)
{
    const char *last = NULL;
    if (settings->sheet != NULL && settings->variant.count == 0)
        return usage_error(self, "--sheet shows variants: --variant NAME:STAGE.KEY=VALUE");
    for (size_t i = 0; i < settings->variant.count; i++) {
        if (is_well_formed(settings->variant.items[i]))
            continue;
        if (last != NULL)
            say_error("--variant %s: NAME:STAGE.KEY=VALUE is needed", last);
        last = settings->variant.items[i];
    }
    if (last != NULL)
        return usage_error(self,
                           "--variant %s: NAME:STAGE.KEY=VALUE is needed; NAME is of letters, "
                           "digits, - and _, and alone stands for the pipeline as it is",
                           last);
    if (settings->variant.count > 0 && (settings->batch != NULL || settings->profile))
        return usage_error(self, "--variant excludes --batch and --profile");
    for (size_t i = 0; i < settings->out.count && settings->variant.count > 0; i++) {
        const char *equals = strchr(settings->out.items[i], '=');
        if (equals != NULL && strcmp(equals, "=-") == 0)
            return usage_error(self, "--out %s: with --variant, outputs go into files",
                               settings->out.items[i]);
    }
    return EXIT_OK;
}

/* Take a new string into the list; false: there is no memory for it. */
static bool append(struct variants *v, struct strings *list, char *string)
{
    const char **items = cr_realloc_array(list->items, list->count + 1, sizeof(*items));
    if (items != NULL)
        list->items = items;
    char **strings = cr_realloc_array(v->strings, v->string_count + 1, sizeof(*strings));
    if (strings != NULL)
        v->strings = strings;
    if (items == NULL || strings == NULL || string == NULL) {
        cr_free(string);
        return false;
    }
    items[list->count++] = strings[v->string_count++] = string;
    return true;
}

/* The variant of the name before the colon, added if it is new; NULL: no memory. */
static struct variant *find_variant(struct variants *v, const char *text)
{
    size_t length = strcspn(text, ":");
    for (size_t i = 0; i < v->count; i++)
        if (strlen(v->items[i].name) == length && strncmp(v->items[i].name, text, length) == 0)
            return &v->items[i];
    struct strings names = {NULL, 0};
    bool added = append(v, &names, cr_strndup(text, length));
    struct variant *variant = added ? &v->items[v->count++] : NULL;
    if (variant != NULL)
        variant->name = names.items[0];
    cr_free(names.items);
    return variant;
}

/* "out.png" becomes "out.NAME.png". */
static char *variant_file(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/'), *dot = strrchr(file, '.');
    if (dot == NULL || (slash != NULL && dot < slash))
        dot = file + strlen(file);
    return cr_asprintf("%.*s.%s%s", (int)(dot - file), file, name, dot);
}

static bool fill_variant(struct variants *v, struct variant *variant)
{
    const struct strings *sets = &v->settings->set, *out = &v->settings->out;
    bool done = true;
    for (size_t i = 0; i < sets->count && done; i++)
        done = append(v, &variant->sets, cr_strdup(sets->items[i]));
    for (size_t i = 0; i < out->count && done; i++)
        done = append(v, &variant->out, variant_file(out->items[i], variant->name));
    for (size_t i = 0; i < v->settings->variant.count && done; i++) {
        const char *text = v->settings->variant.items[i], *colon = strchr(text, ':');
        if (colon != NULL && find_variant(v, text) == variant)
            done = append(v, &variant->sets, cr_strdup(colon + 1));
    }
    return done;
}

static bool read_variants(struct variants *v)
{
    const struct strings *texts = &v->settings->variant;
    v->items = cr_calloc(texts->count, sizeof(*v->items));
    v->pipelines = cr_calloc(texts->count, sizeof(*v->pipelines));
    bool done = v->items != NULL && v->pipelines != NULL;
    for (size_t i = 0; i < texts->count && done; i++)
        done = find_variant(v, texts->items[i]) != NULL;
    for (size_t i = 0; i < v->count && done; i++)
        done = fill_variant(v, &v->items[i]);
    return done;
}

/* ---- Loading ---- */

static int load_variant(struct variant *variant, const struct run *run)
{
    variant->settings = *run->settings;
    variant->settings.out = variant->out;
    variant->run = (struct run){
        .settings = &variant->settings,
        .path = run->path,
        .session = {.registry = run->session.registry},
        .log = run->log,
    };
    int code = session_load(&variant->run.session, run->path, &variant->sets, run->settings->quiet);
    if (code == EXIT_OK)
        code = session_set_device(&variant->run.session, &command_run, &run->settings->device,
                                  run->log);
    return code;
}

/* Pictures for the sheet. */
static void want_pictures(struct request *request)
{
    for (size_t i = 0; i < request->sinks_count; i++)
        if (request->sinks[i].port.type == CR_TYPE_IMAGE)
            request->sinks[i].wanted = true;
}

static int prepare_request(struct variant *variant)
{
    struct cr_error err = CR_ERROR_INIT;
    struct request *request = &variant->run.request;
    if (request_init(request, variant->run.session.pipeline, &err) < 0)
        return say_failure(&err);
    if (variant->settings.sheet != NULL)
        want_pictures(request);
    return run_note_arguments(&variant->run);
}

/* All mistakes of all variants, before anything is opened. */
static int load_variants(struct variants *v, const struct run *run)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < v->count; i++) {
        int one = load_variant(&v->items[i], run);
        if (one != EXIT_OK)
            say_error("in the variant %s", v->items[i].name);
        code = code == EXIT_OK ? one : code;
        v->pipelines[i] = v->items[i].run.session.pipeline;
    }
    for (size_t i = 0; i < v->count && code == EXIT_OK; i++)
        code = prepare_request(&v->items[i]);
    return code;
}

/* Inputs are read once; the variants have the same ones, unless they change "inputs". */
static int load_inputs(struct variants *v)
{
    int code = run_load_inputs(&v->items[0].run);
    const struct request *first = &v->items[0].run.request;
    for (size_t i = 1; i < v->count && code == EXIT_OK; i++) {
        struct request *request = &v->items[i].run.request;
        for (size_t j = 0; j < first->feeds_count; j++) {
            struct feed *feed = request_feed(request, first->feeds[j].port.name, NULL);
            if (feed == NULL || first->feeds[j].value == NULL ||
                feed->port.type != first->feeds[j].port.type)
                continue;
            feed->value = cr_value_ref(first->feeds[j].value);
            feed->text = NULL;
        }
        code = run_load_inputs(&v->items[i].run);
    }
    return code;
}

/* ---- Running ---- */

static int execute(struct variants *v, size_t index, struct cr_error *err)
{
    struct variant *variant = &v->items[index];
    const double start = seconds_now();
    const size_t later = index + 1;
    int result = run_prepare(&variant->run, &variant->done, err);
    if (result == 0)
        result = cr_run_keep(variant->done, v->pipelines + later, v->count - later, err);
    for (size_t i = 0; i < index && result == 0; i++)
        if (v->items[i].done != NULL)
            result = cr_run_take_over(variant->done, v->items[i].done, err);
    if (result == 0 && index == 0)
        result = run_check_memory(&variant->run, variant->done, err);
    if (result == 0)
        result = cr_run_execute(variant->done, err);
    variant->seconds = seconds_now() - start;
    progress_clear();
    if (result == 0)
        result = request_save(&variant->run.request, variant->done, err);
    struct cr_error *more = result == 0 ? err : NULL;
    int handed =
        cr_pipeline_hand_on(v->pipelines[index], v->pipelines + later, v->count - later, more);
    return result == 0 ? handed : result;
}

/* "coco: 1.234 s (segment 0.812 s, overlay 0.301 s; as before: crayon)" */
static void print_heading(const struct variant *variant)
{
    const size_t ran = cr_run_times(variant->done);
    print("%s: %.3f s", variant->name, variant->seconds);
    for (size_t i = 0; i < ran; i++) {
        struct cr_stage_time time = cr_run_time(variant->done, i);
        print("%s%s %.3f s", i == 0 ? " (" : ", ", time.name, time.open_seconds + time.run_seconds);
    }
    const char *before = ran > 0 ? "; as before: " : " (as before: ", *name;
    size_t taken = 0;
    for (; (name = cr_run_taken(variant->done, taken)) != NULL; taken++, before = ", ")
        print("%s%s", before, name);
    print("%s\n", ran + taken > 0 ? ")" : "");
}

static void run_variant(struct variants *v, size_t index)
{
    struct variant *variant = &v->items[index];
    variant->succeeded = execute(v, index, &variant->why) == 0;
    bool stopped = variant->why.code == CR_ERR_CANCELLED && stop_signal() != 0;
    if (!variant->succeeded && !stopped)
        say_error("variant %s: %s", variant->name, variant->why.message);
    if (!variant->succeeded || v->settings->json)
        return;
    if (index > 0)
        print("\n");
    print_heading(variant);
    run_print_texts(&variant->run, variant->done);
    flush_output();
}

/* ---- The whole ---- */

static void add_variant(struct cr_text *json, const struct variant *variant)
{
    const char *before = "";
    cr_text_add(json, "{");
    add_member(json, "name", variant->name);
    cr_text_add(json, ",");
    if (!variant->succeeded) {
        add_member(json, "error", variant->why.message);
        cr_text_add(json, "}");
        return;
    }
    cr_text_add(json, "\"shared\":[");
    for (size_t i = 0; cr_run_taken(variant->done, i) != NULL; i++, before = ",") {
        cr_text_add(json, before);
        cr_json_quote(json, cr_run_taken(variant->done, i));
    }
    cr_text_add(json, "],");
    run_add_result(&variant->run, variant->done, variant->seconds, json);
    cr_text_add(json, "}");
}

static bool print_json(const struct variants *v)
{
    struct cr_text json = CR_TEXT_INIT;
    cr_text_add(&json, "{\"crayon\":1,");
    add_member(&json, "pipeline", cr_pipeline_name(v->pipelines[0]));
    cr_text_add(&json, ",\"variants\":[");
    for (size_t i = 0; i < v->count; i++) {
        cr_text_add(&json, i > 0 ? "," : "");
        add_variant(&json, &v->items[i]);
    }
    cr_text_add(&json, "],\"sheet\":");
    if (v->settings->sheet != NULL)
        cr_json_quote(&json, v->settings->sheet);
    else
        cr_text_add(&json, "null");
    cr_text_add(&json, "}\n");
    return print_text(&json);
}

/* A row for each picture of the pipeline, a column for each variant. */
static int save_sheet(const struct variants *v, struct cr_error *err)
{
    const struct request *request = &v->items[0].run.request;
    struct sheet sheet = {.columns = v->count};
    int result = sheet_init(&sheet, request->sinks_count * v->count, err);
    for (size_t i = 0; i < request->sinks_count && result == 0; i++) {
        const struct cr_pipeline_port *port = &request->sinks[i].port;
        if (port->type != CR_TYPE_IMAGE)
            continue;
        for (size_t j = 0; j < v->count; j++) {
            const struct variant *variant = &v->items[j];
            const struct cr_value *value =
                variant->succeeded ? cr_run_output(variant->done, port->name) : NULL;
            bool shown = value != NULL && cr_value_type(value) == CR_TYPE_IMAGE;
            sheet_add(&sheet, shown ? cr_value_image(value, 0) : NULL, variant->name, port->name);
        }
    }
    if (result == 0)
        result = sheet_save(&sheet, v->settings->sheet, err);
    sheet_finish(&sheet);
    return result;
}

static int conclude(const struct variants *v)
{
    struct cr_error err = CR_ERROR_INIT;
    int code = EXIT_OK;
    for (size_t i = 0; i < v->count; i++)
        if (!v->items[i].succeeded)
            code = EXIT_FAILED;
    if (v->settings->sheet != NULL && save_sheet(v, &err) < 0)
        code = say_failure(&err);
    if (v->settings->json && !print_json(v))
        code = EXIT_FAILED;
    return stop_signal() != 0 ? say_failure(&(struct cr_error){.code = CR_ERR_CANCELLED}) : code;
}

/* What was handed on lies in the pipelines before. */
static void finish_variants(struct variants *v)
{
    for (size_t i = v->count; i-- > 0;) {
        cr_run_destroy(&v->items[i].done);
        request_finish(&v->items[i].run.request);
        cr_pipeline_destroy(&v->items[i].run.session.pipeline);
        cr_free(v->items[i].sets.items);
        cr_free(v->items[i].out.items);
    }
    for (size_t i = 0; i < v->string_count; i++)
        cr_free(v->strings[i]);
    cr_free(v->strings);
    cr_free(v->pipelines);
    cr_free(v->items);
}

int run_variants(struct run *run)
{
    struct variants v = {.settings = run->settings};
    int code = EXIT_FAILED;
    if (!read_variants(&v))
        say_error("out of memory");
    else
        code = load_variants(&v, run);
    if (code == EXIT_OK && v.settings->sheet != NULL)
        code = sheet_check(&command_run, v.settings->sheet, &v.items[0].run.request);
    if (code == EXIT_OK)
        code = load_inputs(&v);
    defer_signals();
    if (code == EXIT_OK) {
        for (size_t i = 0; i < v.count; i++)
            if (stop_signal() == 0)
                run_variant(&v, i);
            else
                cr_fail(&v.items[i].why, CR_ERR_CANCELLED, "cancelled before it started");
        code = conclude(&v);
    }
    finish_variants(&v);
    return code;
}
