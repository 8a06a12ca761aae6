/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>
#include <crayon/plugin.h>

#include "pipeline_stages.h"
#include "plugin/registry.h"
#include "test.h"

char stages_events[4000];

void stages_forget(void)
{
    stages_events[0] = '\0';
}

static void event(const char *what, const char *who)
{
    size_t used = strlen(stages_events);
    snprintf(stages_events + used, sizeof(stages_events) - used, "%s %s\n", what, who);
}

/* Stages that are checked and never run. */
static int run_nothing(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state, (void)context;
    return cr_fail(err, CR_ERR_UNSUPPORTED, "this stage is for checking only");
}

/* ---- segment: every type of option ---- */

struct segment {
    bool outlines;
    int64_t max_side;
    double threshold;
    const char *title, *mode, *file, *model;
    struct cr_size grid;
    struct cr_option_ints sides;
    struct cr_option_strings labels;
};

static void segment_check(const void *state, struct cr_check *check)
{
    const struct segment *segment = state;
    if (cr_check_given(check, "file") && cr_check_given(check, "model"))
        cr_check_problem(check, "file", "either \"file\" or \"model\" can be given, not both");
    if (cr_check_given(check, "title") && cr_check_given(check, "mode"))
        cr_check_problem(check, "title", "a title needs the default of \"mode\"");
    if (segment->max_side == 100)
        cr_check_problem(check, NULL, "this stage dislikes the number %d", 100);
    if (cr_check_connected(check, "scores") && segment->threshold == 0)
        cr_check_problem(check, "threshold",
                         "\"scores\" is wired, so a threshold above 0 is needed");
}

static const struct cr_stage_ops segment_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = segment_check,
    .run = run_nothing,
};

static const struct cr_element segment = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "segment",
    .summary = "find the parts of a picture",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the photograph")),
    .outputs = CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "the map"),
                        CR_PORT("grid", CR_TYPE_PANOPTIC, 0, "the map, reduced"),
                        CR_PORT("scores", CR_TYPE_TENSOR, 0, "a score for each part")),
    .options = CR_OPTIONS(
        CR_OPTION_BOOL("outlines", struct segment, outlines, "true", 0, "draw outlines"),
        CR_OPTION_INT("max_side", struct segment, max_side, "1024", 64, 4096, 0,
                      "longer side of the picture, in pixels"),
        CR_OPTION_NUMBER("threshold", struct segment, threshold, "0.5", 0, 1, 0,
                         "score from which a part counts"),
        CR_OPTION_STRING("title", struct segment, title, NULL, 0, "a title"),
        CR_OPTION_CHOICE("mode", struct segment, mode, "exact", CR_CHOICES("exact", "quick"), 0,
                         "how to go about it"),
        CR_OPTION_PATH("file", struct segment, file, NULL, 0, "a file with parts"),
        CR_OPTION_MODEL("model", struct segment, model, NULL, 0, "the network"),
        CR_OPTION_SIZE("grid", struct segment, grid, "[35, 35]", 1, 200, 0, "size of the grid"),
        CR_OPTION_INTS("sides", struct segment, sides, NULL, 1, 9, 0, "sides of the parts"),
        CR_OPTION_STRINGS("labels", struct segment, labels, NULL, 0, "labels to keep")),
    .state_size = sizeof(struct segment),
    .stage = &segment_ops,
};

/* ---- blobs: what a segment may be replaced by ---- */

struct blobs {
    double threshold;
    int64_t count;
};

static const struct cr_stage_ops nothing_ops = {
    .size = sizeof(struct cr_stage_ops),
    .run = run_nothing,
};

static const struct cr_element blobs = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "blobs",
    .summary = "find blobs",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the photograph")),
    .outputs = CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "the map")),
    .options = CR_OPTIONS(
        CR_OPTION_NUMBER("threshold", struct blobs, threshold, "0.5", 0, 1, 0, "brightness"),
        CR_OPTION_INT("count", struct blobs, count, "3", 0, 0, 0, "how many blobs")),
    .state_size = sizeof(struct blobs),
    .stage = &nothing_ops,
};

/* ---- overlay, photo, collage ---- */

static const struct cr_element overlay = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "overlay",
    .summary = "paint a map over a picture",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the photograph"),
                       CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "the map"),
                       CR_PORT("caption", CR_TYPE_TEXT, CR_PORT_OPTIONAL, "a line below")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the painted picture")),
    .stage = &nothing_ops,
};

struct photo {
    const char *path;
};

static const struct cr_element photo = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "photo",
    .summary = "a picture from a file",
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the picture")),
    .options = CR_OPTIONS(
        CR_OPTION_PATH("path", struct photo, path, NULL, CR_OPTION_REQUIRED, "file to read")),
    .state_size = sizeof(struct photo),
    .stage = &nothing_ops,
};

static const struct cr_element collage = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "collage",
    .summary = "many pictures on one",
    .inputs = CR_PORTS(
        CR_PORT("images", CR_TYPE_IMAGE, CR_PORT_MANY, "the pictures"),
        CR_PORT("frames", CR_TYPE_IMAGE, CR_PORT_MANY | CR_PORT_OPTIONAL, "pictures around them")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the collage")),
    .stage = &nothing_ops,
};

/* ---- mark: texts with a mark at their ends ---- */

struct mark {
    const char *mark;
    int64_t opened;
};

static int mark_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct mark *mark = state;
    event("open", mark->mark);
    mark->opened++;
    return cr_context_scratch(context, 100, err) == NULL ? CR_ERR_MEMORY : 0;
}

static int mark_item(const struct mark *mark, struct cr_context *context, struct cr_value *out,
                     size_t item, struct cr_error *err)
{
    char text[400] = "";
    for (size_t i = 0; i < cr_context_wires(context, "text"); i++) {
        const char *part = cr_value_text(cr_context_input_at(context, "text", i), item);
        strncat(text, part == NULL ? "~" : part, 150);
    }
    strncat(text, mark->mark, 150);
    cr_context_emit(context, "text", item, text, strlen(text));
    return cr_value_set_text(out, item, text, err);
}

static int mark_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct mark *mark = state;
    event("run", mark->mark);
    cr_context_log(context, CR_LOG_INFO, "marking with %s, seed %llu", mark->mark,
                   (unsigned long long)cr_context_seed(context));
    const struct cr_value *in = cr_context_input(context, "text");
    size_t count = in == NULL ? 1 : cr_value_count(in);
    struct cr_value *out;
    int result = cr_value_create(&out, CR_TYPE_TEXT, count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = mark_item(mark, context, out, i, err);
        cr_context_progress(context, (double)(i + 1) / (double)count);
    }
    if (result < 0)
        cr_value_unref(&out);
    else
        cr_context_output(context, "text", &out);
    return result;
}

static void mark_close(void *state)
{
    const struct mark *mark = state;
    event("close", mark->mark);
}

static const struct cr_stage_ops mark_ops = {
    .size = sizeof(struct cr_stage_ops),
    .open = mark_open,
    .run = mark_run,
    .close = mark_close,
};

static const struct cr_element mark = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "mark",
    .summary = "put a mark behind a text",
    .inputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, CR_PORT_OPTIONAL | CR_PORT_MANY, "texts")),
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "them and the mark")),
    .options = CR_OPTIONS(CR_OPTION_STRING("mark", struct mark, mark, "", 0, "what to add")),
    .state_size = sizeof(struct mark),
    .stage = &mark_ops,
};

/* ---- rogue: a stage that breaks one of the rules ---- */

struct rogue {
    const char *does;
};

static bool does(const struct rogue *rogue, const char *what)
{
    return strcmp(rogue->does, what) == 0;
}

static int rogue_open(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct rogue *rogue = state;
    event("open", rogue->does);
    if (does(rogue, "fail-open"))
        return cr_fail(err, CR_ERR_IO, "model.bin: no such file");
    if (does(rogue, "output-in-open")) {
        struct cr_value *value;
        int result = cr_value_from_text(&value, "early", err);
        if (result == 0)
            cr_context_output(context, "text", &value);
        return result;
    }
    return 0;
}

static int rogue_value(const struct rogue *rogue, struct cr_context *context,
                       struct cr_value **value, struct cr_error *err)
{
    size_t count = cr_value_count(cr_context_input(context, "text"));
    if (does(rogue, "wrong-type"))
        return cr_value_create(value, CR_TYPE_TOKENS, count, err);
    if (does(rogue, "wrong-count"))
        count++;
    int result = cr_value_create(value, CR_TYPE_TEXT, count, err);
    if (does(rogue, "unset-item"))
        count--;
    for (size_t i = 0; i < count && result == 0; i++)
        result = cr_value_set_text(*value, i, "rogue", err);
    return result;
}

static int rogue_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct rogue *rogue = state;
    event("run", rogue->does);
    if (does(rogue, "fail-run"))
        return cr_fail(err, CR_ERR_FORMAT, "photo.png: not a picture");
    if (does(rogue, "fail-silently"))
        return CR_ERR_LIMIT;
    if (does(rogue, "return-five"))
        return 5;
    if (does(rogue, "cancel"))
        return cr_context_cancelled(context) ? cr_fail(err, CR_ERR_CANCELLED, "stopped") : 0;
    if (does(rogue, "no-output"))
        return 0;
    struct cr_value *value = NULL;
    int result = rogue_value(rogue, context, &value, err);
    if (result == 0 && does(rogue, "twice")) {
        struct cr_value *again = cr_value_ref(value);
        cr_context_output(context, "text", &again);
    }
    if (result == 0)
        cr_context_output(context, "text", &value);
    cr_value_unref(&value);
    return result;
}

static void rogue_close(void *state)
{
    const struct rogue *rogue = state;
    event("close", rogue->does);
}

static const struct cr_stage_ops rogue_ops = {
    .size = sizeof(struct cr_stage_ops),
    .open = rogue_open,
    .run = rogue_run,
    .close = rogue_close,
};

static const struct cr_element rogue = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "rogue",
    .summary = "break a rule",
    .inputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "texts")),
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "other texts"),
                        CR_PORT("tokens", CR_TYPE_TOKENS, 0, "never set")),
    .options = CR_OPTIONS(CR_OPTION_STRING("does", struct rogue, does, "nothing", 0, "which one")),
    .state_size = sizeof(struct rogue),
    .stage = &rogue_ops,
};

/* ---- counting: a tensor and tokens that tell the size of the batch they were made in ---- */

static int count_run(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state;
    size_t count = cr_value_count(cr_context_input(context, "text"));
    int64_t shape[] = {(int64_t)count, 2};
    int32_t *numbers = cr_context_scratch(context, count * sizeof(*numbers) * 2, err);
    if (numbers == NULL)
        return CR_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        numbers[2 * i] = (int32_t)count;
        numbers[2 * i + 1] = (int32_t)i;
    }
    struct cr_tensor *tensor = NULL;
    struct cr_value *batch = NULL, *tokens = NULL;
    int result = cr_tensor_create(&tensor, CR_DTYPE_I32, 2, shape, numbers, err);
    if (result == 0)
        result = cr_value_from_tensor(&batch, tensor, err);
    cr_tensor_unref(&tensor);
    if (result == 0)
        result = cr_value_create(&tokens, CR_TYPE_TOKENS, count, err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = cr_value_set_tokens(tokens, i, numbers + 2 * i, 2, err);
    if (result == 0) {
        cr_context_output(context, "tensor", &batch);
        cr_context_output(context, "tokens", &tokens);
    }
    cr_value_unref(&batch);
    cr_value_unref(&tokens);
    return result;
}

static const struct cr_stage_ops count_ops = {
    .size = sizeof(struct cr_stage_ops),
    .run = count_run,
};

static const struct cr_element count = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "count",
    .summary = "count the items of a batch",
    .inputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "texts"),
                       CR_PORT("tensor", CR_TYPE_TENSOR, CR_PORT_OPTIONAL, "passed over"),
                       CR_PORT("tokens", CR_TYPE_TOKENS, CR_PORT_OPTIONAL, "passed over")),
    .outputs = CR_PORTS(CR_PORT("tensor", CR_TYPE_TENSOR, 0, "size of the batch and place in it"),
                        CR_PORT("tokens", CR_TYPE_TOKENS, 0, "the same")),
    .stage = &count_ops,
};

/* ---- The registry ---- */

static const struct cr_plugin plugin = {
    .magic = {'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
    .abi_major = CR_ABI_MAJOR,
    .abi_minor = CR_ABI_MINOR,
    .size = sizeof(struct cr_plugin),
    .name = "test-stages",
    .version = "1.0",
    .licence = "MIT",
    .summary = "stages for tests",
    .elements = (const struct cr_element *const[]){&segment, &blobs, &overlay, &photo, &collage,
                                                   &mark, &rogue, &count, NULL},
};

struct cr_registry *stages_registry(void)
{
    struct cr_registry *registry;
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_registry_params params = {.only_path = true, .no_cache = true};
    if (cr_registry_create(&registry, &params, &err) < 0 ||
        cr_registry_add_static(registry, &plugin, &err) < 0)
        fail_msg("%s", err.message);
    return registry;
}

char *stages_report(const struct cr_report *report)
{
    struct cr_text text = CR_TEXT_INIT;
    for (size_t i = 0; i < cr_report_count(report); i++) {
        const struct cr_finding *finding = cr_report_get(report, i);
        char *line = cr_finding_text(finding);
        cr_text_printf(&text, "%s%s\n", finding->severity == CR_SEVERITY_NOTE ? "note: " : "",
                       line);
        cr_free(line);
    }
    return cr_text_take(&text);
}

struct cr_pipeline *stages_pipeline(const struct cr_registry *registry, const char *name,
                                    const char *text)
{
    struct cr_pipeline *pipeline;
    struct cr_report *report = cr_report_create();
    struct cr_error err = CR_ERROR_INIT;
    if (cr_pipeline_parse(&pipeline, registry, text, strlen(text), name, NULL, 0, report, &err) < 0)
        fail_msg("%s\n%s", err.message, stages_report(report));
    cr_report_destroy(&report);
    return pipeline;
}
