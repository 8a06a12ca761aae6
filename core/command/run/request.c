/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/nearest.h"
#include "command/run/request.h"

int request_init(struct request *request, const struct cr_pipeline *pipeline, struct cr_error *err)
{
    size_t inputs = cr_pipeline_inputs(pipeline), outputs = cr_pipeline_outputs(pipeline);
    *request = (struct request){
        .pipeline = pipeline,
        .feeds = cr_calloc(inputs, sizeof(struct feed)),
        .sinks = cr_calloc(outputs, sizeof(struct sink)),
    };
    if (request->feeds == NULL || request->sinks == NULL) {
        request_finish(request);
        return cr_fail_memory(err, inputs * sizeof(struct feed) + outputs * sizeof(struct sink));
    }
    request->feeds_count = inputs;
    for (size_t i = 0; i < inputs; i++) {
        request->feeds[i].port = cr_pipeline_input(pipeline, i);
        request->feeds[i].limits = &request->limits;
    }
    request->sinks_count = outputs;
    for (size_t i = 0; i < outputs; i++) {
        request->sinks[i].port = cr_pipeline_output(pipeline, i);
        request->sinks[i].wanted = request->sinks[i].port.type == CR_TYPE_TEXT;
    }
    return 0;
}

int request_init_like(struct request *request, const struct request *other, struct cr_error *err)
{
    int result = request_init(request, other->pipeline, err);
    request->limits = other->limits;
    for (size_t i = 0; result == 0 && i < other->feeds_count; i++)
        if (other->feeds[i].value != NULL)
            request->feeds[i].value = cr_value_ref(other->feeds[i].value);
    return result;
}

int request_set_limit(struct request *request, const char *text, struct cr_error *err)
{
    static const char *const names[] = {"max_pixels", "max_bytes", "max_chunk", "max_scans"};
    struct cr_image_limits *limits = &request->limits;
    uint64_t number = 0;
    size_t i = 0, length = strcspn(text, "=");
    while (i < 4 && (strlen(names[i]) != length || strncmp(text, names[i], length) != 0))
        i++;
    if (i == 4)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "no limit \"%.*s\"; there are: max_pixels, max_bytes, max_chunk, max_scans",
                       (int)length, text);
    const char *digits = text[length] == '=' ? text + length + 1 : "";
    const uint64_t most = i < 2 ? UINT64_MAX / 10 - 1 : UINT32_MAX;
    size_t count = strspn(digits, "0123456789");
    for (size_t j = 0; j < count && number <= most; j++)
        number = 10 * number + (uint64_t)(digits[j] - '0');
    if (number == 0 || number > most || digits[count] != '\0')
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: a whole number from 1 on is needed after \"=\"",
                       text);
    if (i < 2)
        *(i == 0 ? &limits->max_pixels : &limits->max_bytes) = number;
    else
        *(i == 2 ? &limits->max_chunk : &limits->max_scans) = (uint32_t)number;
    return 0;
}

void request_finish(struct request *request)
{
    for (size_t i = 0; i < request->feeds_count; i++)
        cr_value_unref(&request->feeds[i].value);
    cr_free(request->feeds);
    cr_free(request->sinks);
    *request = (struct request){.feeds = NULL};
}

/* ---- Finding ports ---- */

static struct cr_pipeline_port get_port(const struct cr_pipeline *pipeline, bool input,
                                        size_t index)
{
    return input ? cr_pipeline_input(pipeline, index) : cr_pipeline_output(pipeline, index);
}

/* "the pipeline objects has no input "imge"; did you mean "image"? inputs: image (image)" */
static int unknown_port(const struct cr_pipeline *pipeline, bool input, const char *name,
                        struct cr_error *err)
{
    size_t count = input ? cr_pipeline_inputs(pipeline) : cr_pipeline_outputs(pipeline);
    const char *kind = input ? "input" : "output";
    struct cr_text list = CR_TEXT_INIT;
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, name);
    for (size_t i = 0; i < count; i++) {
        struct cr_pipeline_port port = get_port(pipeline, input, i);
        cr_nearest_offer(&nearest, port.name);
        cr_text_printf(&list, "%s%s (%s)", i == 0 ? "" : ", ", port.name, cr_type_name(port.type));
    }
    struct cr_text message = CR_TEXT_INIT;
    cr_text_printf(&message, "the pipeline %s has no %s \"%s\"", cr_pipeline_name(pipeline), kind,
                   name);
    if (nearest.best != NULL)
        cr_text_printf(&message, "; did you mean \"%s\"?", nearest.best);
    cr_text_printf(&message, "%s %ss: %s", nearest.best != NULL ? "" : ";", kind,
                   count > 0 ? list.data : "none");
    int result = message.failed || list.failed ? cr_fail_memory(err, message.size + list.size)
                                               : cr_fail(err, CR_ERR_ARGUMENT, "%s", message.data);
    cr_text_finish(&list);
    cr_text_finish(&message);
    return result;
}

struct feed *request_feed(struct request *request, const char *name, struct cr_error *err)
{
    for (size_t i = 0; i < request->feeds_count; i++)
        if (strcmp(request->feeds[i].port.name, name) == 0)
            return &request->feeds[i];
    unknown_port(request->pipeline, true, name, err);
    return NULL;
}

struct sink *request_sink(struct request *request, const char *name, struct cr_error *err)
{
    for (size_t i = 0; i < request->sinks_count; i++)
        if (strcmp(request->sinks[i].port.name, name) == 0)
            return &request->sinks[i];
    unknown_port(request->pipeline, false, name, err);
    return NULL;
}

/* ---- Where outputs go ---- */

static bool has_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path), end = strlen(suffix);
    return length > end && strcasecmp(path + length - end, suffix) == 0;
}

/* Will a file of this name hold the type? */
static int check_suffix(const struct sink *sink, const char *path, struct cr_error *err)
{
    const char *name = sink->port.name;
    switch (sink->port.type) {
    case CR_TYPE_IMAGE:
        if (!has_suffix(path, ".png") && !has_suffix(path, ".jpg") && !has_suffix(path, ".jpeg"))
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "%s: %s is an image; its file name ends with .png, .jpg or .jpeg", path,
                           name);
        return 0;
    case CR_TYPE_PANOPTIC:
        if (!has_suffix(path, ".png"))
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "%s: %s is a panoptic map; its file name ends with .png, and a .json "
                           "file is written beside it",
                           path, name);
        return 0;
    case CR_TYPE_TENSOR:
    case CR_TYPE_TOKENS:
        if (!has_suffix(path, ".json"))
            return cr_fail(err, CR_ERR_ARGUMENT, "%s: %s is %s; its file name ends with .json",
                           path, name, sink->port.type == CR_TYPE_TENSOR ? "a tensor" : "tokens");
        return 0;
    case CR_TYPE_TEXT:
        return 0;
    }
    return 0;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The folder of `path` as a new string; NULL when memory is exhausted. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL   ? cr_strdup(".")
           : slash == path ? cr_strdup("/")
                           : cr_strndup(path, (size_t)(slash - path));
}

/* A long run should not end with a folder that is not there. */
static int check_place(const char *path, struct cr_error *err)
{
    if (is_folder(path))
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: is a folder; a file name is needed here", path);
    char *folder = folder_of(path);
    if (folder == NULL)
        return cr_fail_memory(err, strlen(path) + 1);
    int result = 0;
    if (!is_folder(folder))
        result = cr_fail(err, CR_ERR_ARGUMENT, "%s: there is no folder %s", path, folder);
    cr_free(folder);
    return result;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static bool is_same_inode(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Do two names lead to one file, by links, "./" or the like, even if it is not there yet? */
static bool is_same_file(const char *one, const char *other)
{
    if (strcmp(one, other) == 0 || is_same_inode(one, other))
        return true;
    char *a = folder_of(one), *b = folder_of(other);
    bool same =
        a != NULL && b != NULL && strcmp(base_of(one), base_of(other)) == 0 && is_same_inode(a, b);
    cr_free(a);
    cr_free(b);
    return same;
}

char *request_companion(enum cr_type type, const char *path)
{
    bool has_one = type == CR_TYPE_PANOPTIC && has_suffix(path, ".png");
    return has_one ? cr_asprintf("%.*s.json", (int)strlen(path) - 4, path) : NULL;
}

/* The file into which both outputs would write; NULL: there is none. */
static const char *shared_file(enum cr_type type, const char *path, const struct sink *other)
{
    char *beside = request_companion(type, path);
    char *other_beside = request_companion(other->port.type, other->path);
    const char *shared = NULL;
    if (is_same_file(path, other->path) ||
        (other_beside != NULL && is_same_file(path, other_beside)))
        shared = path;
    else if (beside != NULL && is_same_file(beside, other->path))
        shared = other->path;
    cr_free(beside);
    cr_free(other_beside);
    return shared;
}

static int check_alone(const struct request *request, const struct sink *sink, const char *path,
                       struct cr_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    for (size_t i = 0; i < request->sinks_count; i++) {
        const struct sink *other = &request->sinks[i];
        if (other->path == NULL || standard != (strcmp(other->path, "-") == 0))
            continue;
        const char *shared =
            standard ? "standard output" : shared_file(sink->port.type, path, other);
        if (shared != NULL)
            return cr_fail(err, CR_ERR_ARGUMENT, "%s and %s are both written to %s",
                           other->port.name, sink->port.name, shared);
    }
    return 0;
}

int request_set_path(struct request *request, struct sink *sink, const char *path,
                     struct cr_error *err)
{
    if (path[0] == '\0')
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: the file name is empty", sink->port.name);
    if (sink->path != NULL)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s is written twice: to %s and to %s",
                       sink->port.name, sink->path, path);
    bool standard = strcmp(path, "-") == 0;
    if (standard && sink->port.type == CR_TYPE_PANOPTIC)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s is a panoptic map, which is two files: standard output cannot take it",
                       sink->port.name);
    int result = check_alone(request, sink, path, err);
    if (result == 0 && !standard)
        result = check_suffix(sink, path, err);
    if (result == 0 && !standard)
        result = check_place(path, err);
    if (result == 0) {
        sink->path = path;
        sink->wanted = true;
    }
    return result;
}

int request_check_image_path(const char *path, const char *what, struct cr_error *err)
{
    const struct sink sink = {.port = {.name = what, .type = CR_TYPE_IMAGE}};
    int result = check_suffix(&sink, path, err);
    return result == 0 ? check_place(path, err) : result;
}

void request_add_offers(const struct request *request, bool as_json, struct cr_text *text)
{
    const char *separator = "";
    for (size_t i = 0; i < request->sinks_count; i++) {
        const struct sink *sink = &request->sinks[i];
        enum cr_type type = sink->port.type;
        if (sink->wanted)
            continue;
        cr_text_printf(text,
                       as_json ? "%s%s (%s): \"%s\": \"FILE.%s\"" : "%s%s (%s): --out %s=FILE.%s",
                       separator, sink->port.name, cr_type_name(type), sink->port.name,
                       type == CR_TYPE_TENSOR || type == CR_TYPE_TOKENS ? "json" : "png");
        separator = ", ";
    }
}

int request_check_wanted(const struct request *request, bool as_json, struct cr_error *err)
{
    for (size_t i = 0; i < request->sinks_count; i++)
        if (request->sinks[i].wanted)
            return 0;
    struct cr_text text = CR_TEXT_INIT;
    request_add_offers(request, as_json, &text);
    int result = text.failed ? cr_fail_memory(err, text.size)
                             : cr_fail(err, CR_ERR_ARGUMENT,
                                       "the pipeline %s has no text output; ask for another: %s",
                                       cr_pipeline_name(request->pipeline),
                                       text.size > 0 ? text.data : "there is none");
    cr_text_finish(&text);
    return result;
}

/* ---- Running ---- */

/* How a missing input is given: "--image FILE", "--in depth=@FILE", "\"image\": \"FILE\"". */
static void add_remedy(struct cr_text *text, struct cr_pipeline_port port, bool as_json)
{
    bool is_text = port.type == CR_TYPE_TEXT;
    const char *what = is_text ? "TEXT" : "FILE";
    if (as_json)
        cr_text_printf(text, "\"in\": {\"%s\": \"%s\"}", port.name, what);
    else if (strcmp(port.name, "image") == 0 || strcmp(port.name, "prompt") == 0)
        cr_text_printf(text, "--%s %s", port.name, what);
    else
        cr_text_printf(text, "--in %s=%s%s", port.name, is_text ? "" : "@", what);
}

int request_check_complete(const struct request *request, bool as_json, struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    for (size_t i = 0; i < request->feeds_count; i++) {
        const struct feed *feed = &request->feeds[i];
        if (feed->value != NULL || feed->text != NULL)
            continue;
        cr_text_printf(&text, "%s%s: ", text.size > 0 ? "; " : "the pipeline needs ",
                       feed->port.name);
        add_remedy(&text, feed->port, as_json);
    }
    int result = 0;
    if (text.failed)
        result = cr_fail_memory(err, text.size);
    else if (text.size > 0)
        result = cr_fail(err, CR_ERR_ARGUMENT, "%s", text.data);
    cr_text_finish(&text);
    return result;
}

int request_prepare(const struct request *request, struct cr_pipeline *pipeline,
                    struct cr_run **run, struct cr_error *err)
{
    int result = cr_run_create(run, pipeline, err);
    for (size_t i = 0; result == 0 && i < request->feeds_count; i++)
        if (request->feeds[i].value != NULL)
            result =
                cr_run_set_input(*run, request->feeds[i].port.name, request->feeds[i].value, err);
    for (size_t i = 0; result == 0 && i < request->sinks_count; i++)
        if (request->sinks[i].wanted)
            result = cr_run_want(*run, request->sinks[i].port.name, err);
    if (result < 0)
        cr_run_destroy(run);
    return result;
}

int request_check_memory(struct cr_run *run, struct cr_error *err)
{
    struct cr_error why = CR_ERROR_INIT;
    int result = cr_run_check_memory(run, &why);
    if (result < 0)
        cr_fail(err, result, "%s%s", why.message,
                result == CR_ERR_MEMORY ? "; --no-plan tries it all the same" : "");
    return result;
}
