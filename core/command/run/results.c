/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "command/lines.h"
#include "command/run/results.h"

/* ---- Ids ---- */

static uint64_t hash(const char *text)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return value;
}

/* The place of the id, or the one where it belongs. */
static struct id *find(const struct ids *ids, const char *text)
{
    size_t at = (size_t)hash(text) & (ids->capacity - 1);
    while (ids->places[at].text != NULL && strcmp(ids->places[at].text, text) != 0)
        at = (at + 1) & (ids->capacity - 1);
    return &ids->places[at];
}

/* Room for one more, with half of the places free. */
static int grow(struct ids *ids, struct cr_error *err)
{
    if (2 * (ids->count + 1) <= ids->capacity)
        return 0;
    struct ids larger = {.capacity = ids->capacity == 0 ? 64 : 2 * ids->capacity,
                         .count = ids->count};
    larger.places = cr_calloc(larger.capacity, sizeof(*larger.places));
    if (larger.places == NULL)
        return cr_fail_memory(err, larger.capacity * sizeof(*larger.places));
    for (size_t i = 0; i < ids->capacity; i++)
        if (ids->places[i].text != NULL)
            *find(&larger, ids->places[i].text) = ids->places[i];
    cr_free(ids->places);
    *ids = larger;
    return 0;
}

/* Note the id of an item, as `held` or not; `*known` is its place if it was noted before, else
 * NULL.
 */
static int note(struct ids *ids, const cJSON *id, bool held, const struct id **known,
                struct cr_error *err)
{
    int result = grow(ids, err);
    if (result < 0)
        return result;
    char *printed = cJSON_PrintUnformatted(id);
    char *text = printed == NULL ? NULL : cr_strdup(printed);
    cJSON_free(printed);
    if (text == NULL)
        return cr_fail_memory(err, 1);
    struct id *place = find(ids, text);
    *known = place->text != NULL ? place : NULL;
    if (*known != NULL) {
        cr_free(text);
        return 0;
    }
    *place = (struct id){text, held};
    ids->count++;
    return 0;
}

static void finish(struct ids *ids)
{
    for (size_t i = 0; i < ids->capacity; i++)
        cr_free(ids->places[i].text);
    cr_free(ids->places);
    *ids = (struct ids){.places = NULL};
}

/* ---- What is there ---- */

static int read_result(struct results *results, const struct cr_text *line, size_t number,
                       struct cr_error *err)
{
    cJSON *json = NULL;
    const struct id *known;
    int result = cr_json_parse_line(&json, line->data != NULL ? line->data : "", line->size,
                                    results->path, (int64_t)number, err);
    if (result < 0)
        return result;
    const cJSON *id = cr_json_get(json, "id");
    if (id == NULL || (cr_json_get(json, "outputs") == NULL && cr_json_get(json, "error") == NULL))
        result = cr_fail(err, CR_ERR_FORMAT,
                         "%s:%zu: is no result line, which has \"id\" and \"outputs\" or \"error\"",
                         results->path, number);
    else if (!cJSON_IsNull(id))
        result = note(&results->ids, id, true, &known, err);
    cJSON_Delete(json);
    return result;
}

/* `*complete` becomes how far the file has lines that end. */
static int read_results(struct results *results, FILE *file, off_t *complete, struct cr_error *err)
{
    int result = 0;
    *complete = 0;
    for (size_t number = 1; result == 0; number++) {
        struct cr_text text = CR_TEXT_INIT;
        enum line line = read_line(file, &text);
        int error = errno;
        bool ends = line == LINE_GOT && !feof(file);
        if (line == LINE_ERROR)
            result = cr_fail_errno(err, error, "%s: cannot read", results->path);
        else if (line == LINE_TOO_LONG)
            result = cr_fail(err, CR_ERR_LIMIT, "%s:%zu: the line is longer than %u bytes",
                             results->path, number, MAX_LINE);
        else if (text.failed)
            result = cr_fail_memory(err, text.size);
        else if (ends)
            result = read_result(results, &text, number, err);
        *complete += ends ? (off_t)text.size + 1 : 0;
        cr_text_finish(&text);
        if (!ends)
            break;
    }
    return result;
}

/* Take up what an earlier run left. */
static int resume(struct results *results, struct cr_error *err)
{
    off_t complete;
    FILE *file = fopen(results->path, "re");
    if (file == NULL)
        return cr_fail_errno(err, errno, "%s: cannot open", results->path);
    int result = read_results(results, file, &complete, err);
    fclose(file);
    if (result == 0 && ftruncate(results->fd, complete) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", results->path);
    return result;
}

static int open_file(struct results *results, bool resumes, struct cr_error *err)
{
    struct stat st;
    results->fd = cr_io_open(results->path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (results->fd < 0 || fstat(results->fd, &st) < 0)
        return cr_fail_errno(err, errno, "%s: cannot open for writing", results->path);
    if (!S_ISREG(st.st_mode))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s: is no regular file, which is needed for --results", results->path);
    if (resumes)
        return resume(results, err);
    if (st.st_size > 0)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s: holds something already; --resume goes on with the results in it",
                       results->path);
    return 0;
}

int results_open(struct results *results, const struct run_settings *settings)
{
    struct cr_error err = CR_ERROR_INIT;
    *results = (struct results){.path = settings->results, .fd = -1};
    if (results->path == NULL || open_file(results, settings->resume, &err) == 0)
        return EXIT_OK;
    if (results->fd >= 0)
        cr_io_close(results->fd);
    finish(&results->ids);
    return say_failure(&err);
}

/* ---- What is added ---- */

int results_admit(struct results *results, const cJSON *item, bool *skip, struct cr_error *err)
{
    const cJSON *id = cr_json_get(item, "id");
    const struct id *known = NULL;
    *skip = false;
    if (results->path == NULL)
        return 0;
    if (id == NULL || cJSON_IsNull(id))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "\"id\" is missing, by which --results tells items apart");
    int result = note(&results->ids, id, false, &known, err);
    *skip = result == 0 && known != NULL && known->held;
    results->passed_over += *skip;
    if (result == 0 && known != NULL && !known->held)
        result = cr_fail(err, CR_ERR_ARGUMENT, "an item before has the same id, %s", known->text);
    return result;
}

bool results_put(struct results *results, struct cr_text *line)
{
    if (results->path == NULL)
        return print_text(line) && flush_output();
    bool written = false;
    if (line->failed)
        say_error("out of memory");
    else if (!(written = cr_io_write_all(results->fd, line->data, line->size) == 0))
        say_error("%s: cannot write: %s", results->path, strerror(errno));
    cr_text_finish(line);
    return written;
}

bool results_close(struct results *results)
{
    bool done = true;
    if (results->fd >= 0) {
        done = cr_io_fsync(results->fd) == 0;
        done = cr_io_close(results->fd) == 0 && done;
        if (!done)
            say_error("%s: cannot write: %s", results->path, strerror(errno));
    }
    results->fd = -1;
    finish(&results->ids);
    return done;
}
