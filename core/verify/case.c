/* SPDX-License-Identifier: MIT */
/* case.c: one case file: its keys, what kind of case it is, and the verdict. */
#include <string.h>
#include <time.h>

#include <crayon/memory.h>

#include "base/paths.h"
#include "pipeline/hint.h"
#include "verify/case.h"

#define CASE_FORMAT 1

/* ---- The session ---- */

int cr_verify_create(struct cr_verify **out, const struct cr_verify_params *params,
                     struct cr_error *err)
{
    *out = cr_calloc(1, sizeof(**out));
    if (*out == NULL)
        return cr_fail_memory(err, sizeof(**out));
    (*out)->params = *params;
    return 0;
}

void cr_verify_destroy(struct cr_verify **verify)
{
    if (*verify != NULL)
        verify_devices_close(*verify);
    cr_free(*verify);
    *verify = NULL;
}

/* ---- Reporting ---- */

static void add_finding(struct verify_case *c, struct verify_place place, const char *message)
{
    struct cr_text pointer = CR_TEXT_INIT;
    for (size_t i = 0; i < sizeof(place.steps) / sizeof(place.steps[0]); i++) {
        if (place.steps[i] == NULL)
            break;
        cr_json_pointer_add(&pointer, place.steps[i]);
    }
    c->no_memory = c->no_memory || pointer.failed;
    cr_report_add(c->result->report, CR_SEVERITY_ERROR, c->path,
                  pointer.data != NULL ? pointer.data : "", "%s", message);
    cr_text_finish(&pointer);
}

void verify_problem(struct verify_case *c, struct verify_place place, const char *format, ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_FORMAT, format, args);
    va_end(args);
    add_finding(c, place, text.message);
    c->result->verdict = CR_VERDICT_FAILED;
}

void verify_failure(struct verify_case *c, struct verify_place place, const struct cr_error *err)
{
    if (err->code == CR_ERR_MEMORY)
        c->no_memory = true;
    else if (err->code == CR_ERR_CANCELLED)
        c->cancelled = true;
    else
        verify_problem(c, place, "%s", err->message);
}

void verify_absent(struct verify_case *c, struct verify_place place, const char *format, ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_NOT_FOUND, format, args);
    va_end(args);
    add_finding(c, place, text.message);
    if (c->result->verdict == CR_VERDICT_PASSED)
        c->result->verdict = CR_VERDICT_NOT_RUN;
}

bool verify_goes_on(const struct verify_case *c)
{
    return c->result->verdict == CR_VERDICT_PASSED && !c->no_memory && !c->cancelled;
}

void verify_check_keys(struct verify_case *c, struct verify_place place, const cJSON *object,
                       const char *what, const char *const *keys)
{
    size_t depth = 0;
    while (place.steps[depth] != NULL)
        depth++;
    const cJSON *item;
    cJSON_ArrayForEach (item, object) {
        struct cr_hint hint;
        bool is_known = strncmp(item->string, "x-", 2) == 0;
        cr_hint_init(&hint, item->string, "keys");
        for (size_t i = 0; keys[i] != NULL; i++) {
            is_known = is_known || strcmp(item->string, keys[i]) == 0;
            cr_hint_offer(&hint, keys[i]);
        }
        place.steps[depth] = item->string;
        if (!is_known)
            verify_problem(c, place, "%s has no key \"%s\"%s", what, item->string,
                           cr_hint_text(&hint));
    }
}

/* ---- The keys ---- */

static void check_object(struct verify_case *c, const char *key)
{
    const cJSON *item = cr_json_get(c->json, key);
    if (item != NULL && !cJSON_IsObject(item))
        verify_problem(c, VERIFY_PLACE(key), "an object is needed here, not %s",
                       cr_json_kind(item));
}

static void check_format(struct verify_case *c)
{
    const cJSON *format = cr_json_get(c->json, "crayon-case");
    if (format == NULL)
        verify_problem(c, VERIFY_PLACE(NULL), "is no case: it has no \"crayon-case\": %d",
                       CASE_FORMAT);
    else if (!cJSON_IsNumber(format) || format->valuedouble != CASE_FORMAT)
        verify_problem(c, VERIFY_PLACE("crayon-case"), "this crayon reads cases of format %d only",
                       CASE_FORMAT);
}

/* A key that belongs to another one. */
static void check_company(struct verify_case *c, const char *key, const char *other)
{
    if (cr_json_get(c->json, key) != NULL && cr_json_get(c->json, other) == NULL)
        verify_problem(c, VERIFY_PLACE(key), "this key stands beside \"%s\" only", other);
}

static void check_kind(struct verify_case *c)
{
    static const char *const kinds[] = {"stage", "pipeline", "op"};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++)
        count += cr_json_get(c->json, kinds[i]) != NULL;
    if (count != 1)
        verify_problem(c, VERIFY_PLACE(NULL),
                       "%s: a case has \"stage\", \"pipeline\" or \"op\", one of them",
                       count == 0 ? "nothing to run" : "more than one thing to run");
    const cJSON *stage = cr_json_get(c->json, "stage"), *op = cr_json_get(c->json, "op");
    const cJSON *pipeline = cr_json_get(c->json, "pipeline");
    if (stage != NULL && !cJSON_IsString(stage))
        verify_problem(c, VERIFY_PLACE("stage"), "the name of a plugin is needed here, not %s",
                       cr_json_kind(stage));
    if (op != NULL && !cJSON_IsString(op))
        verify_problem(c, VERIFY_PLACE("op"), "the name of an operation is needed here, not %s",
                       cr_json_kind(op));
    if (pipeline != NULL && !cJSON_IsString(pipeline) && !cJSON_IsObject(pipeline))
        verify_problem(c, VERIFY_PLACE("pipeline"),
                       "a pipeline, or the name of its file, is needed here, not %s",
                       cr_json_kind(pipeline));
    check_company(c, "options", "stage");
    check_company(c, "attributes", "op");
    check_company(c, "train", "pipeline");
}

static void check_case(struct verify_case *c)
{
    static const char *const keys[] = {
        "crayon-case", "name",    "note",       "stage", "options",  "pipeline", "op",
        "inputs",      "devices", "attributes", "train", "expected", "$schema",  NULL};
    static const char *const objects[] = {"options", "attributes", "inputs", "train", "devices"};
    if (!cJSON_IsObject(c->json)) {
        verify_problem(c, VERIFY_PLACE(NULL), "a case is an object, not %s", cr_json_kind(c->json));
        return;
    }
    check_format(c);
    verify_check_keys(c, VERIFY_PLACE(NULL), c->json, "a case", keys);
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        check_object(c, objects[i]);
    check_kind(c);
    verify_read_expected(c);
}

/* Training has keys of its own, which are checked; it cannot run in this version. */
static void check_train(struct verify_case *c)
{
    static const char *const keys[] = {"labels", "trainable", "optimizer", "steps", NULL};
    const cJSON *train = cr_json_get(c->json, "train");
    if (train == NULL)
        return;
    verify_check_keys(c, VERIFY_PLACE("train"), train, "\"train\"", keys);
    verify_absent(c, VERIFY_PLACE("train"), "this version of crayon cannot train");
}

/* ---- The whole ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void load(struct verify_case *c)
{
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_json_load(&c->json, c->path, &err);
    if (result == CR_ERR_MEMORY) {
        c->no_memory = true;
    } else if (result < 0) { /* the message names the file, and the line */
        size_t length = strlen(c->path);
        bool named = strncmp(err.message, c->path, length) == 0 && err.message[length] == ':';
        cr_report_add(c->result->report, CR_SEVERITY_ERROR, c->path, "", "%s",
                      named ? err.message + length + 1 + (err.message[length + 1] == ' ')
                            : err.message);
        c->result->verdict = CR_VERDICT_FAILED;
    }
}

/* `device`: named by the user; or NULL. */
static void run(struct verify_case *c, const char *device)
{
    load(c);
    if (c->json != NULL)
        check_case(c);
    if (verify_goes_on(c))
        check_train(c);
    if (verify_goes_on(c) && device != NULL)
        verify_need_device(c, device);
    if (verify_goes_on(c) && cr_json_get(c->json, "op") != NULL)
        verify_run_op(c);
    else if (verify_goes_on(c))
        verify_run_pipeline(c);
}

/* A value that did not hold fails the case, whatever else was in order. */
static void conclude(struct verify_case *c)
{
    struct cr_verified *result = c->result;
    if (result->verdict != CR_VERDICT_PASSED)
        return;
    for (size_t i = 0; i < result->count; i++)
        if (!result->compared[i].passed && (result->compared[i].compared || !c->is_partial))
            result->verdict = CR_VERDICT_FAILED;
    if (result->verdict == CR_VERDICT_PASSED && c->is_partial)
        result->verdict = CR_VERDICT_NOT_RUN;
}

int cr_verify_case(struct cr_verified *out, struct cr_verify *verify, const char *path,
                   const char *device, struct cr_error *err)
{
    memset(out, 0, sizeof(*out));
    struct verify_case c = {.verify = verify, .path = path, .result = out};
    double start = seconds();
    c.asked = device != NULL ? device : "auto";
    c.folder = cr_path_folder(path);
    out->report = cr_report_create();
    c.no_memory = c.folder == NULL || out->report == NULL;
    if (!c.no_memory)
        run(&c, device);
    conclude(&c);
    verify_files_close(&c);
    cJSON_Delete(c.json);
    cr_free(c.folder);
    out->seconds = seconds() - start;
    if (!c.no_memory && !c.cancelled)
        return 0;
    cr_verified_finish(out);
    return c.no_memory ? cr_fail_memory(err, 1) : cr_fail(err, CR_ERR_CANCELLED, "cancelled");
}

void cr_verified_finish(struct cr_verified *verified)
{
    for (size_t i = 0; i < verified->count; i++) {
        cr_free(verified->compared[i].name);
        cr_free(verified->compared[i].problem);
    }
    cr_free(verified->compared);
    cr_report_destroy(&verified->report);
    memset(verified, 0, sizeof(*verified));
}
