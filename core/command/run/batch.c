/* SPDX-License-Identifier: MIT */
/* batch.c: every line of a file through the pipeline.
 *
 * The first thread reads lines into a ring of items, in which they stay until their results are
 * written, in the same order. It runs them itself, one after the other, until one has shown that
 * the pipeline computes on no device; then workers do, each with a pipeline of its own. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/nearest.h"
#include "command/lines.h"
#include "command/run/results.h"
#include "command/run/run.h"
#include "plugin/devices.h"

#define MAX_WORKERS 16
#define ITEMS (2 * MAX_WORKERS)
/* Seconds between two sights of the progress. */
#define PROGRESS_INTERVAL 0.1

/* What an item told of the pipeline. */
enum weight {
    WEIGHT_UNKNOWN, /* it failed */
    WEIGHT_LIGHT,   /* it computes on no device */
    WEIGHT_HEAVY,
};

struct item {
    cJSON *json; /* NULL: it is done already, with an error */
    size_t line; /* its number, from 1 */
    struct cr_text result;
    bool done, failed, dropped; /* dropped: stopped on the way, and not to be listed */
};

struct worker {
    struct batch *batch;
    struct session session; /* borrows the registry */
    pthread_t thread;
};

struct batch {
    struct run *run;
    const char *name; /* of the file, for messages */
    FILE *file;
    size_t line;  /* that was read last */
    size_t total; /* lines that are no empty ones; 0: not known */
    double shown; /* when the progress was */

    /* Of the items read, so many were taken up, and so many of those written. */
    struct item items[ITEMS];
    size_t read, taken, written;
    struct results results;
    size_t failures;
    int unreadable; /* the errno value with which reading ended; 0: none */
    bool broken;    /* nothing more can be written */
    bool closed;    /* nothing more will be read */
    bool decided;   /* whether there are workers */

    pthread_mutex_t lock; /* of all of the above, once there are workers; of messages, too */
    pthread_cond_t work, room;
    struct worker workers[MAX_WORKERS];
    size_t worker_count;
    struct cr_log log;
};

/* ---- Lines ---- */

static int parse_line(const struct batch *batch, const struct cr_text *line, bool too_long,
                      cJSON **json, struct cr_error *err)
{
    if (too_long)
        return cr_fail(err, CR_ERR_LIMIT, "%s:%zu: the line is longer than %u bytes", batch->name,
                       batch->line, MAX_LINE);
    if (line->failed)
        return cr_fail_memory(err, line->size);
    int result =
        cr_json_parse_line(json, line->data, line->size, batch->name, (int64_t)batch->line, err);
    if (result < 0 || cJSON_IsObject(*json))
        return result;
    cr_fail(err, CR_ERR_FORMAT, "%s:%zu: an object is needed here, not %s", batch->name,
            batch->line, cr_json_kind(*json));
    cJSON_Delete(*json);
    *json = NULL;
    return CR_ERR_FORMAT;
}

static bool is_blank(const struct cr_text *line)
{
    return line->size == 0 || strspn(line->data, " \t\r") == line->size;
}

/* How many items there will be, if that can be told without waiting. */
static size_t count_lines(FILE *file)
{
    struct stat st;
    size_t count = 0;
    if (fstat(fileno(file), &st) < 0 || !S_ISREG(st.st_mode) || ftello(file) != 0)
        return 0;
    for (enum line line = LINE_GOT; line != LINE_END && line != LINE_ERROR;) {
        struct cr_text text = CR_TEXT_INIT;
        line = read_line(file, &text);
        count += line == LINE_TOO_LONG || (line == LINE_GOT && !text.failed && !is_blank(&text));
        cr_text_finish(&text);
    }
    rewind(file);
    return count;
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
        (id->valuedouble > CR_JSON_MAX_INTEGER || id->valuedouble < -CR_JSON_MAX_INTEGER))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "\"id\": the number is too large to come back unchanged; write it as a "
                       "string");
    return 0;
}

/* After a signal the item is given up, even where a stage hands over what it has. */
static int execute(struct batch *batch, struct cr_pipeline *pipeline, const struct request *request,
                   struct cr_run **done, struct cr_error *err)
{
    struct cr_run_hooks hooks = {.log = &batch->log, .cancel = stop_flag()};
    int result = request_prepare(request, pipeline, done, err);
    if (result < 0)
        return result;
    cr_run_set_hooks(*done, &hooks);
    if (batch->run->settings->seed.given)
        cr_run_set_seed(*done, batch->run->settings->seed.value);
    if (!batch->run->settings->no_plan)
        result = request_check_memory(*done, err);
    if (result == 0)
        result = cr_run_execute(*done, err);
    if (result == 0 && stop_signal() != 0)
        result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
    return result < 0 ? result : request_save(request, *done, err);
}

static enum weight weigh(const struct cr_run *done)
{
    for (size_t i = 0; i < cr_run_times(done); i++)
        if (cr_run_device(done, i) != NULL)
            return WEIGHT_HEAVY;
    return WEIGHT_LIGHT;
}

/* Run one item; its outputs are appended to the result line. */
static int run_item(struct batch *batch, struct cr_pipeline *pipeline, const struct item *item,
                    struct cr_text *json, enum weight *weight, struct cr_error *err)
{
    struct request request;
    struct cr_run *done = NULL;
    int result = request_init_like(&request, &batch->run->request, err);
    if (result < 0)
        return result;
    if ((result = check_keys(item->json, err)) == 0 &&
        (result = set_outputs(&request, cr_json_get(item->json, "out"), err)) == 0 &&
        (result = set_inputs(&request, cr_json_get(item->json, "in"), err)) == 0 &&
        (result = execute(batch, pipeline, &request, &done, err)) == 0) {
        request_add_outputs(&request, done, json);
        *weight = weigh(done);
    }
    cr_run_destroy(&done);
    request_finish(&request);
    if (result < 0)
        cr_error_prefix(err, "%s:%zu", batch->name, item->line);
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

static void fail_item(struct item *item, const struct cr_error *err)
{
    item->failed = true;
    cr_text_add(&item->result, "\"error\":");
    cr_json_quote(&item->result, err->message);
}

/* Run an item that has been taken up. */
static enum weight answer(struct batch *batch, struct cr_pipeline *pipeline, struct item *item)
{
    struct cr_error err = CR_ERROR_INIT;
    enum weight weight = WEIGHT_UNKNOWN;
    if (item->json != NULL && stop_signal() != 0) {
        item->dropped = true;
    } else if (item->json != NULL) {
        int result = run_item(batch, pipeline, item, &item->result, &weight, &err);
        item->dropped = result == CR_ERR_CANCELLED && stop_signal() != 0;
        if (result < 0)
            fail_item(item, &err);
    }
    cr_text_add(&item->result, "}\n");
    cJSON_Delete(item->json);
    item->json = NULL;
    return weight;
}

static void show_progress(struct batch *batch)
{
    double now = seconds_now();
    char text[80];
    if (batch->run->settings->quiet || now - batch->shown < PROGRESS_INTERVAL)
        return;
    batch->shown = now;
    size_t place = batch->written + batch->results.passed_over;
    if (batch->total > 0)
        snprintf(text, sizeof(text), "item %zu of %zu", place, batch->total);
    else
        snprintf(text, sizeof(text), "item %zu", place);
    progress_show(text, batch->total > 0 ? (double)place / (double)batch->total : 0);
}

/* Write what is done and has its turn. */
static void write_done(struct batch *batch)
{
    for (; batch->written < batch->taken; batch->written++) {
        struct item *item = &batch->items[batch->written % ITEMS];
        if (!item->done)
            break;
        if (!item->dropped && !batch->broken) {
            batch->failures += item->failed;
            batch->broken = !results_put(&batch->results, &item->result);
        }
        cr_text_finish(&item->result);
        *item = (struct item){.json = NULL};
    }
    show_progress(batch);
}

/* ---- Taking up items ---- */

/* Run the next item. The lock is held before and after. */
static enum weight step(struct batch *batch, struct cr_pipeline *pipeline)
{
    struct item *item = &batch->items[batch->taken++ % ITEMS];
    pthread_mutex_unlock(&batch->lock);
    enum weight weight = answer(batch, pipeline, item);
    pthread_mutex_lock(&batch->lock);
    item->done = true;
    write_done(batch);
    pthread_cond_signal(&batch->room);
    return weight;
}

static void *work(void *worker_)
{
    struct worker *worker = worker_;
    struct batch *batch = worker->batch;
    pthread_mutex_lock(&batch->lock);
    for (;;) {
        while (batch->taken == batch->read && !batch->closed)
            pthread_cond_wait(&batch->work, &batch->lock);
        if (batch->taken == batch->read)
            break;
        step(batch, worker->session.pipeline);
    }
    pthread_mutex_unlock(&batch->lock);
    return NULL;
}

/* As many as there are threads to use, if no stage forbids it. */
static size_t count_workers(const struct run *run)
{
    const struct number *threads = &run->settings->device.threads;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t wanted = threads->given && threads->value > 0 ? threads->value
                      : processors > 0                     ? (uint64_t)processors
                                                           : 1;
    for (size_t i = 0; i < cr_pipeline_stages(run->session.pipeline); i++)
        if (cr_element_is_serial(cr_pipeline_stage(run->session.pipeline, i).element))
            return 1;
    return wanted < MAX_WORKERS ? (size_t)wanted : MAX_WORKERS;
}

static int start_worker(struct batch *batch)
{
    const struct run *run = batch->run;
    struct worker *worker = &batch->workers[batch->worker_count];
    *worker = (struct worker){.batch = batch, .session = {.registry = run->session.registry}};
    int code = session_load(&worker->session, run->path, &run->settings->set, true);
    /* A later item may want an output that is computed on a device. */
    if (code == EXIT_OK)
        code =
            session_set_device(&worker->session, &command_run, &run->settings->device, &batch->log);
    if (code == EXIT_OK && pthread_create(&worker->thread, NULL, work, worker) != 0) {
        say_error("a thread cannot be started");
        code = EXIT_FAILED;
    }
    if (code == EXIT_OK)
        batch->worker_count++;
    else
        cr_pipeline_destroy(&worker->session.pipeline);
    return code;
}

/* Signals are for the thread that waits for lines. */
static int start_workers(struct batch *batch)
{
    sigset_t all, before;
    int code = EXIT_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t wanted = count_workers(batch->run);
         wanted > 1 && batch->worker_count < wanted && code == EXIT_OK;)
        code = start_worker(batch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void end_workers(struct batch *batch)
{
    pthread_mutex_lock(&batch->lock);
    batch->closed = true;
    pthread_cond_broadcast(&batch->work);
    pthread_mutex_unlock(&batch->lock);
    for (size_t i = 0; i < batch->worker_count; i++) {
        pthread_join(batch->workers[i].thread, NULL);
        cr_pipeline_destroy(&batch->workers[i].session.pipeline);
    }
}

/* Run the item that was read, or leave it to the workers. */
static int hand_over(struct batch *batch)
{
    int code = EXIT_OK;
    pthread_mutex_lock(&batch->lock);
    batch->read++;
    if (batch->worker_count > 0) {
        pthread_cond_signal(&batch->work);
    } else {
        enum weight weight = step(batch, batch->run->session.pipeline);
        if (weight == WEIGHT_LIGHT && !batch->decided)
            code = start_workers(batch);
        batch->decided = batch->decided || weight != WEIGHT_UNKNOWN;
    }
    pthread_mutex_unlock(&batch->lock);
    return code;
}

/* A place for the next item; NULL when the batch is to end. */
static struct item *free_item(struct batch *batch)
{
    pthread_mutex_lock(&batch->lock);
    while (batch->read - batch->written == ITEMS)
        pthread_cond_wait(&batch->room, &batch->lock);
    bool ends = batch->broken || stop_signal() != 0;
    pthread_mutex_unlock(&batch->lock);
    return ends ? NULL : &batch->items[batch->read % ITEMS];
}

/* Make an item of a line, unless its result is there. */
static int take_line(struct batch *batch, struct item *item, const struct cr_text *line,
                     bool too_long)
{
    struct cr_error err = CR_ERROR_INIT;
    bool skip = false;
    item->line = batch->line;
    int result = parse_line(batch, line, too_long, &item->json, &err);
    if (result == 0) {
        pthread_mutex_lock(&batch->lock);
        if ((result = check_id(cr_json_get(item->json, "id"), &err)) == 0)
            result = results_admit(&batch->results, item->json, &skip, &err);
        pthread_mutex_unlock(&batch->lock);
        cr_error_prefix(&err, "%s:%zu", batch->name, batch->line);
    }
    if (!skip)
        add_id(&item->result, item->json);
    if (result < 0)
        fail_item(item, &err);
    if (result < 0 || skip) {
        cJSON_Delete(item->json);
        item->json = NULL;
    }
    return skip ? EXIT_OK : hand_over(batch);
}

/* ---- The whole ---- */

static int read_all(struct batch *batch)
{
    int code = EXIT_OK;
    struct item *item;
    while (code == EXIT_OK && (item = free_item(batch)) != NULL) {
        struct cr_text text = CR_TEXT_INIT;
        enum line line = read_line(batch->file, &text);
        batch->unreadable = line == LINE_ERROR ? errno : 0;
        batch->line++;
        bool too_long = line == LINE_TOO_LONG;
        if (too_long || (line == LINE_GOT && (text.failed || !is_blank(&text))))
            code = take_line(batch, item, &text, too_long);
        cr_text_finish(&text);
        if (line == LINE_END || line == LINE_ERROR)
            break;
    }
    return code;
}

/* Messages of workers come one after the other, and not into the middle of a result. */
static void write_message(void *user, enum cr_log_level level, const char *subject,
                          const char *message)
{
    struct batch *batch = user;
    const struct cr_log *log = batch->run->log;
    pthread_mutex_lock(&batch->lock);
    log->write(log->user, level, subject, message);
    pthread_mutex_unlock(&batch->lock);
}

static int conclude(struct batch *batch, int code)
{
    progress_clear();
    if (batch->results.passed_over > 0 && !batch->run->settings->quiet)
        say_note("%s holds the results of %zu items already", batch->results.path,
                 batch->results.passed_over);
    if (!results_close(&batch->results) || batch->broken)
        code = EXIT_FAILED;
    if (batch->unreadable != 0 && stop_signal() == 0) {
        say_error("%s: cannot read: %s", batch->name, strerror(batch->unreadable));
        code = EXIT_FAILED;
    }
    if (batch->failures == 1)
        say_error("1 item failed; its line says why");
    else if (batch->failures > 1)
        say_error("%zu items failed; their lines say why", batch->failures);
    if (stop_signal() != 0)
        return say_failure(&(struct cr_error){.code = CR_ERR_CANCELLED});
    return code == EXIT_OK && batch->failures > 0 ? EXIT_FAILED : code;
}

static int run_opened(struct batch *batch)
{
    int code = results_open(&batch->results, batch->run->settings);
    if (code != EXIT_OK)
        return code;
    if (!batch->run->settings->quiet && progress_is_shown())
        batch->total = count_lines(batch->file);
    pthread_mutex_init(&batch->lock, NULL);
    pthread_cond_init(&batch->work, NULL);
    pthread_cond_init(&batch->room, NULL);
    code = read_all(batch);
    end_workers(batch);
    pthread_cond_destroy(&batch->room);
    pthread_cond_destroy(&batch->work);
    pthread_mutex_destroy(&batch->lock);
    return conclude(batch, code);
}

int run_batch(struct run *run)
{
    struct batch batch = {.run = run, .name = run->settings->batch, .file = stdin};
    batch.log = (struct cr_log){.user = &batch, .level = run->log->level, .write = write_message};
    if (strcmp(batch.name, "-") == 0)
        batch.name = "standard input";
    else if ((batch.file = fopen(batch.name, "re")) == NULL) {
        say_error("%s: cannot open: %s", batch.name, strerror(errno));
        return EXIT_FAILED;
    }
    int code = run_opened(&batch);
    if (batch.file != stdin)
        fclose(batch.file);
    return code;
}
