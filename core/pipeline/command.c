/* SPDX-License-Identifier: MIT */
/* command.c: programs that a stage runs, and folders for their files. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include <crayon/plugin.h>

#include "base/folder.h"
#include "base/io.h"
#include "base/process.h"
#include "base/utf8.h"
#include "pipeline/run.h"
#include "plugin/registry.h"

/* How long a program has for ending by itself, in milliseconds. */
#define GRACE 2000

/* The end of what a program says: all that is kept of it, and what a message shows. */
#define KEPT 4096
#define SHOWN_BYTES 900
#define SHOWN_LINES 8

struct tail {
    char bytes[KEPT + 1];
    size_t used;
};

/* ---- Folders ---- */

/* Folder `number` of the call. */
static char *folder_path(const struct cr_context *context, size_t number, struct cr_error *err)
{
    char *path = cr_asprintf("%s/%zu", context->folder, number);
    if (path == NULL)
        cr_fail_memory(err, strlen(context->folder) + 1);
    return path;
}

const char *cr_context_folder(struct cr_context *context, struct cr_error *err)
{
    if (context->folder == NULL && cr_folder_create(&context->folder, err) < 0)
        return NULL;
    char *path = folder_path(context, context->folders, err);
    if (path == NULL)
        return NULL;
    char *kept = cr_arena_strdup(&context->scratch, path);
    cr_free(path);
    if (kept == NULL) {
        cr_fail_memory(err, strlen(context->folder) + 1);
        return NULL;
    }
    if (cr_io_mkdir(kept, 0700) < 0) {
        cr_fail_errno(err, errno, "%s: cannot create the folder", kept);
        return NULL;
    }
    context->folders++;
    return kept;
}

void cr_context_remove_folders(struct cr_context *context)
{
    struct cr_error why = CR_ERROR_INIT;
    if (context->folder == NULL)
        return;
    if (cr_folder_remove(context->folder, &why) < 0)
        cr_context_log(context, CR_LOG_WARNING, "a work folder is left behind: %s", why.message);
    cr_free(context->folder);
    context->folder = NULL;
    context->folders = 0;
}

/* ---- What a program says ---- */

static void keep(struct tail *tail, const char *bytes, size_t count)
{
    if (count > KEPT) {
        bytes += count - KEPT;
        count = KEPT;
    }
    if (count > KEPT - tail->used) {
        size_t kept = KEPT - count;
        memmove(tail->bytes, tail->bytes + tail->used - kept, kept);
        tail->used = kept;
    }
    memcpy(tail->bytes + tail->used, bytes, count);
    tail->used += count;
}

/* Where the last lines that a message has room for begin. */
static const char *last_lines(const struct tail *tail)
{
    const char *start = tail->bytes + tail->used;
    for (int lines = 0; start > tail->bytes; start--) {
        lines += start[-1] == '\n';
        if (lines == SHOWN_LINES || tail->bytes + tail->used - start == SHOWN_BYTES)
            break;
    }
    while (((unsigned char)*start & 0xC0) == 0x80)
        start++;
    return start;
}

/* Add the last lines as one: `; it said: "Traceback ... | ValueError: ..."`. */
static void add_words(const struct tail *tail_, struct cr_text *text)
{
    struct tail tail = *tail_;
    while (tail.used > 0 && strchr(" \t\r\n", tail.bytes[tail.used - 1]) != NULL)
        tail.used--;
    tail.bytes[tail.used] = '\0';
    if (tail.used == 0)
        return;
    cr_text_add(text, "; it said: \"");
    const char *end = tail.bytes + tail.used;
    for (const char *at = last_lines(&tail); at < end;) {
        size_t length = *at == '\0' ? 0 : cr_utf8_length(at);
        if (*at == '\n')
            cr_text_add(text, " | ");
        else if (length == 0 || (unsigned char)*at < 0x20)
            cr_text_add(text, " ");
        else
            cr_text_append(text, at, length);
        at += length == 0 ? 1 : length;
    }
    cr_text_add(text, "\"");
}

/* ---- Running ---- */

/* How it went: the first that is true. */
struct ending {
    bool cancelled, late;
    int status; /* as waitpid() has it, or -1 */
};

static void stop(struct cr_process *process, struct tail *tail)
{
    char bytes[KEPT];
    int64_t deadline = cr_clock() + GRACE;
    cr_process_terminate(process);
    for (ssize_t got = 0; got >= 0 && cr_clock() < deadline;) {
        got = cr_process_read(process, bytes, sizeof(bytes));
        if (got > 0)
            keep(tail, bytes, (size_t)got);
    }
}

static void watch(const struct cr_context *context, struct cr_process *process, double timeout,
                  struct tail *tail, struct ending *ending)
{
    char bytes[KEPT];
    int64_t start = cr_clock();
    ssize_t got = 0;
    while (got >= 0 && !ending->cancelled && !ending->late) {
        got = cr_process_read(process, bytes, sizeof(bytes));
        if (got > 0)
            keep(tail, bytes, (size_t)got);
        ending->cancelled = got >= 0 && cr_context_cancelled(context);
        ending->late = got >= 0 && (double)(cr_clock() - start) > 1000 * timeout;
    }
    if (got >= 0)
        stop(process, tail);
    ending->status = cr_process_end(process);
}

/* A status that nobody can know (-1) is none to complain of: what the program leaves will tell. */
static int judge(const struct ending *ending, const char *program, double timeout,
                 const struct tail *tail, struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    int status = ending->status, result;
    if (ending->cancelled)
        return cr_fail(err, CR_ERR_CANCELLED, "cancelled");
    if (ending->late)
        cr_text_printf(&text, "took longer than %g s and was ended", timeout);
    else if (status != -1 && WIFSIGNALED(status))
        cr_text_printf(&text, "was ended by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    else if (status != -1 && WEXITSTATUS(status) != 0)
        cr_text_printf(&text, "exited with status %d", WEXITSTATUS(status));
    if (text.size == 0 && !text.failed)
        return 0;
    add_words(tail, &text);
    result = text.failed ? cr_fail_memory(err, text.size)
                         : cr_fail(err, CR_ERR_IO, "%s: %s", program, text.data);
    cr_text_finish(&text);
    return result;
}

static int check_folders(const struct cr_context *context, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < context->folders && result == 0; i++) {
        char *path = folder_path(context, i, err);
        if (path == NULL)
            return CR_ERR_MEMORY;
        result = cr_folder_check(path, err);
        cr_free(path);
    }
    return result;
}

int cr_context_command(struct cr_context *context, const char *const *argv, double timeout,
                       struct cr_error *err)
{
    struct cr_process process;
    struct tail tail = {.used = 0};
    struct ending ending = {.status = -1};
    if (!cr_registry_allows(context->run->pipeline->registry, CR_ALLOW_COMMAND))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "it runs a program (%s), which only the user can allow, not a pipeline: "
                       "with --allow-command, or with CRAYON_ALLOW_COMMAND=1 in the environment",
                       argv[0]);
    int result = cr_process_start(&process, argv, NULL, true, err);
    if (result < 0)
        return result;
    watch(context, &process, timeout, &tail, &ending);
    result = judge(&ending, argv[0], timeout, &tail, err);
    return result == 0 ? check_folders(context, err) : result;
}
