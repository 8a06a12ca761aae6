/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "command/lines.h"
#include "command/run/run.h"

struct batch {
    struct run *run;
    const char *name; /* of the file, for messages */
    FILE *file;
    size_t line; /* number of the line, from 1 */
    size_t failures;
};

static int parse_line(const struct batch *batch, const struct cr_text *line, cJSON **item,
                      struct cr_error *err)
{
    int result =
        cr_json_parse_line(item, line->data, line->size, batch->name, (int64_t)batch->line, err);
    if (result < 0)
        return result;
    if (!cJSON_IsObject(*item)) {
        cr_fail(err, CR_ERR_FORMAT, "%s:%zu: an object is needed here, not %s", batch->name,
                batch->line, cr_json_kind(*item));
        cJSON_Delete(*item);
        *item = NULL;
        return CR_ERR_FORMAT;
    }
    return 0;
}

/* ---- Items ---- */

static int check_keys(const cJSON *item, struct cr_error *err)
{
    static const char *const known[] = {"id", "in", "out"};
    const cJSON *member;
    cJSON_ArrayForEach (member, item) {
        struct cr_nearest nearest;
        cr_nearest_init(&nearest, member->string);
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            cr_nearest_offer(&nearest, known[i]);
        if (nearest.best == NULL)
            return cr_fail(err, CR_ERR_ARGUMENT, "no key \"%s\"; known: id, in, out",
                           member->string);
        if (nearest.distance > 0)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "no key \"%s\"; did you mean \"%s\"? known: id, in, out", member->string,
                           nearest.best);
    }
    return 0;
}

static int set_inputs(struct request *request, const cJSON *in, struct cr_error *err)
{
    if (in != NULL && !cJSON_IsObject(in))
        return cr_fail(err, CR_ERR_ARGUMENT, "\"in\": an object is needed here, not %s",
                       cr_json_kind(in));
    const cJSON *member;
    cJSON_ArrayForEach (member, in) {
        struct feed *feed = request_feed(request, member->string, err);
        if (feed == NULL)
            return CR_ERR_ARGUMENT;
        int result = feed_load_json(feed, member, err);
        if (result < 0)
            return result;
    }
    return request_check_complete(request, true, err);
}

static int set_outputs(struct request *request, const cJSON *out, struct cr_error *err)
{
    if (out != NULL && !cJSON_IsObject(out))
        return cr_fail(err, CR_ERR_ARGUMENT, "\"out\": an object is needed here, not %s",
                       cr_json_kind(out));
    const cJSON *member;
    cJSON_ArrayForEach (member, out) {
        struct sink *sink = request_sink(request, member->string, err);
        if (sink == NULL)
            return CR_ERR_ARGUMENT;
        if (!cJSON_IsString(member))
            return cr_fail(err, CR_ERR_ARGUMENT, "output %s: a file name is needed here, not %s",
                           member->string, cr_json_kind(member));
        if (strcmp(member->valuestring, "-") == 0)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "output %s: standard output holds the result lines; name a file",
                           member->string);
        int result = request_set_path(request, sink, member->valuestring, err);
        if (result < 0)
            return result;
    }
    return request_check_wanted(request, true, err);
}

/* A number that a double cannot hold would come back as another one. */
static int check_id(const cJSON *id, struct cr_error *err)
{
    if (cJSON_IsNumber(id) && !cr_json_is_integer(id) &&
        (id->valuedouble >= 9007199254740992.0 || id->valuedouble <= -9007199254740992.0))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "\"id\": the number is too large to come back unchanged; write it as a "
                       "string");
    return 0;
}

/* Ctrl-C lets the item in progress finish: no cancel flag here. */
static int execute(const struct batch *batch, const struct request *request, struct cr_run **done,
                   struct cr_error *err)
{
    const struct run *run = batch->run;
    struct cr_run_hooks hooks = {.log = run->log};
    int result = request_prepare(request, run->session.pipeline, done, err);
    if (result < 0)
        return result;
    cr_run_set_hooks(*done, &hooks);
    if (run->settings->seed.given)
        cr_run_set_seed(*done, run->settings->seed.value);
    result = cr_run_execute(*done, err);
    return result < 0 ? result : request_save(request, *done, err);
}

/* Run one item; its outputs are appended to the result line. */
static int run_item(const struct batch *batch, const cJSON *item, struct cr_text *json,
                    struct cr_error *err)
{
    struct request request;
    struct cr_run *done = NULL;
    int result = request_init_like(&request, &batch->run->request, err);
    if (result < 0)
        return result;
    if ((result = check_keys(item, err)) == 0 &&
        (result = check_id(cr_json_get(item, "id"), err)) == 0 &&
        (result = set_outputs(&request, cr_json_get(item, "out"), err)) == 0 &&
        (result = set_inputs(&request, cr_json_get(item, "in"), err)) == 0 &&
        (result = execute(batch, &request, &done, err)) == 0)
        request_add_outputs(&request, done, json);
    cr_run_destroy(&done);
    request_finish(&request);
    if (result < 0)
        cr_error_prefix(err, "%s:%zu", batch->name, batch->line);
    return result;
}

/* ---- Results ---- */

static void add_id(struct cr_text *json, const cJSON *item)
{
    const cJSON *id = cr_json_get(item, "id");
    bool returned = id != NULL && check_id(id, NULL) == 0;
    char *text = returned ? cJSON_PrintUnformatted(id) : NULL;
    cr_text_printf(json, "{\"id\":%s,", text != NULL ? text : "null");
    json->failed = json->failed || (returned && text == NULL);
    cJSON_free(text);
}

/* One line in, one line out; false when nothing more can be written. */
static bool answer_line(struct batch *batch, const struct cr_text *line, bool too_long)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_text json = CR_TEXT_INIT;
    cJSON *item = NULL;
    int result;
    if (too_long)
        result = cr_fail(&err, CR_ERR_LIMIT, "%s:%zu: the line is longer than %u bytes",
                         batch->name, batch->line, MAX_LINE);
    else if (line->failed)
        result = cr_fail_memory(&err, line->size);
    else
        result = parse_line(batch, line, &item, &err);
    add_id(&json, item);
    if (result == 0)
        result = run_item(batch, item, &json, &err);
    if (result < 0) {
        batch->failures++;
        cr_text_add(&json, "\"error\":");
        cr_json_quote(&json, err.message);
    }
    cr_text_add(&json, "}\n");
    cJSON_Delete(item);
    return print_text(&json) && flush_output();
}

static bool is_blank(const struct cr_text *line)
{
    return line->size == 0 || strspn(line->data, " \t\r") == line->size;
}

static int answer_all(struct batch *batch)
{
    for (;;) {
        struct cr_text text = CR_TEXT_INIT;
        enum line line = stop_signal() == 0 ? read_line(batch->file, &text) : LINE_END;
        int number = errno;
        bool goes_on = line == LINE_GOT || line == LINE_TOO_LONG;
        batch->line++;
        if (goes_on && (line == LINE_TOO_LONG || text.failed || !is_blank(&text)))
            goes_on = answer_line(batch, &text, line == LINE_TOO_LONG);
        cr_text_finish(&text);
        if (goes_on)
            continue;
        if (stop_signal() != 0)
            return say_failure(&(struct cr_error){.code = CR_ERR_CANCELLED});
        if (line != LINE_ERROR)
            return batch->failures > 0 ? EXIT_FAILED : EXIT_OK;
        say_error("%s: cannot read: %s", batch->name, strerror(number));
        return EXIT_FAILED;
    }
}

int run_batch(struct run *run)
{
    struct batch batch = {.run = run, .name = run->settings->batch, .file = stdin};
    if (strcmp(batch.name, "-") == 0)
        batch.name = "standard input";
    else if ((batch.file = fopen(batch.name, "re")) == NULL) {
        say_error("%s: cannot open: %s", batch.name, strerror(errno));
        return EXIT_FAILED;
    }
    int code = answer_all(&batch);
    if (batch.file != stdin)
        fclose(batch.file);
    if (batch.failures == 1)
        say_error("1 item failed; its line says why");
    else if (batch.failures > 1)
        say_error("%zu items failed; their lines say why", batch.failures);
    return code;
}
