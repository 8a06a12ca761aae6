/* SPDX-License-Identifier: MIT */
/* evaluate.c: item after item through the task and the pipeline. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "evaluate/task.h"
#include "pipeline/run.h"

#define MAX_THREADS 64

/* What the threads share. */
struct work {
    const struct cr_task *task;
    struct cr_evaluated *out;
    pthread_mutex_t lock; /* around the members below, `out` and the callbacks */
    size_t next;
    struct cr_error failure; /* of the evaluation, not of an item */
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_cancelled(const struct cr_task *task)
{
    return task->params->cancel != NULL && *task->params->cancel != 0;
}

/* The result of a call; a broken rule is a failure too, and a failure has a reason. */
static int conclude(const struct cr_task_context *context, int result, struct cr_error *why)
{
    if (result == 0 && context->misuse.code != CR_OK)
        return cr_fail(why, context->misuse.code, "%s", context->misuse.message);
    if (result > 0 || (result < 0 && why->code == CR_OK))
        return cr_fail(why, result > 0 ? CR_ERR_PLUGIN : result, "it failed without a reason");
    return result;
}

/* ---- One item ---- */

static int run_pipeline(struct cr_task_context *context, struct cr_error *err)
{
    const struct cr_task *task = context->task;
    int result = 0;
    for (size_t i = 0; i < task->node.output_count && result == 0; i++) {
        if (task->questions[i] == NULL)
            continue;
        if (context->outputs[i] == NULL)
            return cr_fail(err, CR_ERR_PLUGIN, "the output \"%s\" was not set",
                           task->element->outputs[i]->name);
        result = cr_run_set_input(task->run, task->questions[i], context->outputs[i], err);
    }
    return result == 0 ? cr_run_execute(task->run, err) : result;
}

static int do_item(struct cr_task_context *context, size_t index, struct cr_error *err)
{
    const struct cr_task *task = context->task;
    const struct cr_task_ops *ops = task->element->task;
    int result = ops->item(task->node.state, index, context, err);
    result = conclude(context, result, err);
    if (result == 0 && task->run != NULL)
        result = run_pipeline(context, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < task->node.output_count; i++)
        cr_value_unref(&context->outputs[i]);
    context->outputs = NULL;
    context->answered = true;
    result = ops->score(task->node.state, index, context, err);
    return conclude(context, result, err);
}

/* Count what came of an item; false when the work ends here. */
static bool take_result(struct work *work, size_t index, const struct cr_task_context *context,
                        const struct cr_error *why)
{
    const struct cr_evaluate_params *params = work->task->params;
    struct cr_evaluated *out = work->out;
    bool shut = work->task->run != NULL && work->task->run->stays_shut;
    if (why->code == CR_ERR_CANCELLED && is_cancelled(work->task))
        return false;
    if (why->code != CR_OK && shut) {
        cr_fail(&work->failure, why->code, "%s", why->message);
        return false;
    }
    if (why->code == CR_OK) {
        out->scored++;
    } else {
        out->failed++;
        if (params->failed != NULL)
            params->failed(params->user, index, context->name, why->message);
    }
    if (params->progress != NULL)
        params->progress(params->user, out->scored + out->failed, out->count);
    return true;
}

static bool work_on(struct work *work, size_t index, struct cr_value **outputs)
{
    struct cr_error why = CR_ERROR_INIT;
    struct cr_task_context context = {.task = work->task, .outputs = outputs};
    if (do_item(&context, index, &why) == 0)
        cr_error_clear(&why);
    pthread_mutex_lock(&work->lock);
    bool goes_on = take_result(work, index, &context, &why);
    pthread_mutex_unlock(&work->lock);
    for (size_t i = 0; i < work->task->node.output_count; i++)
        cr_value_unref(&outputs[i]);
    cr_free(context.name);
    return goes_on;
}

/* ---- All items ---- */

/* The number of the next item; `count`: there is none. */
static size_t next_item(struct work *work)
{
    pthread_mutex_lock(&work->lock);
    bool stop = is_cancelled(work->task) || work->failure.code != CR_OK;
    size_t next = stop || work->next == work->out->count ? work->out->count : work->next++;
    pthread_mutex_unlock(&work->lock);
    return next;
}

static void *work_thread(void *user)
{
    struct work *work = user;
    size_t ports = work->task->node.output_count;
    struct cr_value **outputs = cr_calloc(ports > 0 ? ports : 1, sizeof(struct cr_value *));
    if (outputs == NULL) {
        pthread_mutex_lock(&work->lock);
        cr_fail_memory(&work->failure, ports * sizeof(struct cr_value *));
        pthread_mutex_unlock(&work->lock);
    }
    bool goes_on = outputs != NULL;
    while (goes_on) {
        size_t index = next_item(work);
        goes_on = index < work->out->count && work_on(work, index, outputs);
    }
    cr_free(outputs);
    return NULL;
}

/* A pipeline is used by one thread. */
static size_t count_threads(const struct cr_task *task, size_t items)
{
    size_t count = task->params->threads;
    if ((task->element->flags & CR_ELEMENT_PARALLEL) == 0 || task->run != NULL)
        return 1;
    if (count == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        count = processors > 0 ? (size_t)processors : 1;
    }
    count = count < MAX_THREADS ? count : MAX_THREADS;
    return count < items ? count : items;
}

/* Threads that cannot be had are missed by nobody but the clock. */
static int do_items(const struct cr_task *task, struct cr_evaluated *out, struct cr_error *err)
{
    struct work work = {.task = task, .out = out};
    size_t count = count_threads(task, out->count), started = 0;
    pthread_t threads[MAX_THREADS];
    pthread_mutex_init(&work.lock, NULL);
    while (started + 1 < count && pthread_create(&threads[started], NULL, work_thread, &work) == 0)
        started++;
    work_thread(&work);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&work.lock);
    out->cancelled = is_cancelled(task) && out->scored + out->failed < out->count;
    return work.failure.code == CR_OK ? 0
                                      : cr_fail(err, work.failure.code, "%s", work.failure.message);
}

/* ---- The task ---- */

static int open_task(const struct cr_task *task, struct cr_evaluated *out, struct cr_error *err)
{
    struct cr_task_context context = {.task = task};
    int result = task->element->task->open(task->node.state, &context, &out->count, err);
    result = conclude(&context, result, err);
    if (result == 0 && task->params->limit > 0 && task->params->limit < out->count)
        out->count = (size_t)task->params->limit;
    return result;
}

static int finish_task(const struct cr_task *task, struct cr_evaluated *out, struct cr_error *err)
{
    struct cr_task_context context = {.task = task, .tells = out};
    int result = task->element->task->finish(task->node.state, &context, err);
    return conclude(&context, result, err);
}

static int work_out(const struct cr_task *task, struct cr_evaluated *out, struct cr_error *err)
{
    double start = seconds();
    struct cr_error why = CR_ERROR_INIT;
    int result = open_task(task, out, &why);
    if (result == 0)
        result = do_items(task, out, &why);
    if (result == 0)
        result = finish_task(task, out, &why);
    if (task->element->task->close != NULL)
        task->element->task->close(task->node.state);
    out->seconds = seconds() - start;
    return result == 0 ? 0 : cr_fail(err, result, "%s: %s", task->element->name, why.message);
}

int cr_evaluate(struct cr_evaluated *out, const struct cr_evaluate_params *params,
                struct cr_report *report, struct cr_error *err)
{
    struct cr_task task = {.params = params};
    *out = (struct cr_evaluated){.count = 0};
    int result = cr_task_bind(&task, report, err);
    if (result == 0 && task.run != NULL && !params->no_plan)
        result = cr_run_check_memory(task.run, err);
    if (result == 0)
        result = work_out(&task, out, err);
    if (result < 0)
        cr_evaluated_finish(out);
    cr_run_destroy(&task.run);
    cJSON_Delete(task.json);
    cr_arena_finish(&task.arena);
    return result;
}
