/* SPDX-License-Identifier: MIT */
/* A plugin of the first ABI. It is compiled from the headers in tests/abi/1.0 alone, which are
 * never changed, as a plugin that somebody built long ago and does not build again; today's core
 * has to load it, read its declarations and run it. It uses everything that ABI 1.0 has. */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/plugin.h>

struct state {
    bool flag;
    int64_t count;
    double ratio;
    const char *text;
    const char *mode;
    const char *file;
    const char *model;
    struct cr_size size;
    struct cr_option_ints ints;
    struct cr_option_strings strings;
    char *opened;
};

static void check(const void *state, struct cr_check *check)
{
    const struct state *self = state;
    if (self->count == 13)
        cr_check_problem(check, "count", "13 brings bad luck%s%s",
                         cr_check_given(check, "flag") ? ", flag or not" : "",
                         cr_check_connected(check, "image") ? ", with a picture" : "");
}

static int open_stage(void *state, struct cr_context *context, struct cr_error *err)
{
    struct state *self = state;
    self->opened =
        cr_asprintf("%d %lld %d%% %s %s %d x %d %zu %zu %s", self->flag, (long long)self->count,
                    (int)(self->ratio * 100), self->text, self->mode, self->size.height,
                    self->size.width, self->ints.count, self->strings.count, self->model);
    cr_context_log(context, CR_LOG_INFO, "opened with seed %llu",
                   (unsigned long long)cr_context_seed(context));
    return self->opened == NULL ? cr_fail_memory(err, 1) : 0;
}

/* One text for each item: what the options are, and what came in. */
static int run_item(struct state *self, struct cr_context *context, struct cr_value *texts,
                    size_t item, struct cr_error *err)
{
    const struct cr_value *images = cr_context_input(context, "image");
    struct cr_size size = {0, 0};
    if (images != NULL)
        size = cr_image_size(cr_value_image(images, item));
    char *text = cr_context_scratch(context, 1000, err);
    if (text == NULL)
        return CR_ERR_MEMORY;
    snprintf(text, 1000, "%s | %d x %d, %zu wires", self->opened, size.height, size.width,
             cr_context_wires(context, "texts"));
    for (size_t i = 0; i < cr_context_wires(context, "texts"); i++) {
        const char *word = cr_value_text(cr_context_input_at(context, "texts", i), item);
        strncat(text, word == NULL ? " (null)" : " ", 1000 - strlen(text) - 1);
        strncat(text, word == NULL ? "" : word, 1000 - strlen(text) - 1);
    }
    cr_context_emit(context, "text", item, text, strlen(text));
    return cr_value_set_text(texts, item, text, err);
}

static int run(void *state, struct cr_context *context, struct cr_error *err)
{
    size_t count = cr_value_count(cr_context_input_at(context, "texts", 0));
    struct cr_value *texts = NULL;
    int result = cr_value_create(&texts, CR_TYPE_TEXT, count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result = run_item(state, context, texts, i, err);
        cr_context_progress(context, (double)(i + 1) / (double)count);
    }
    if (result == 0 && cr_context_wants(context, "text"))
        cr_context_output(context, "text", &texts);
    cr_value_unref(&texts);
    return result;
}

static void close_stage(void *state)
{
    struct state *self = state;
    cr_free(self->opened);
    self->opened = NULL;
}

static const struct cr_stage_ops ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = check,
    .open = open_stage,
    .run = run,
    .close = close_stage,
};

static const struct cr_element element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "first-abi",
    .summary = "a stage of the first ABI",
    .description = "It was built long ago.\n\nIt still runs.",
    .inputs = CR_PORTS(CR_PORT("texts", CR_TYPE_TEXT, CR_PORT_MANY, "any number of texts"),
                       CR_PORT("image", CR_TYPE_IMAGE, CR_PORT_OPTIONAL, "a picture")),
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "what came in")),
    .options = CR_OPTIONS(
        CR_OPTION_BOOL("flag", struct state, flag, "true", 0, "a switch"),
        CR_OPTION_INT("count", struct state, count, "3", 1, 256, 0, "how many"),
        CR_OPTION_NUMBER("ratio", struct state, ratio, "0.25", 0, 1, 0, "a share"),
        CR_OPTION_STRING("text", struct state, text, "old", 0, "any text"),
        CR_OPTION_CHOICE("mode", struct state, mode, "exact", CR_CHOICES("exact", "quick"), 0,
                         "how"),
        CR_OPTION_PATH("file", struct state, file, NULL, 0, "a file"),
        CR_OPTION_MODEL("model", struct state, model, NULL, CR_OPTION_REQUIRED, "a model"),
        CR_OPTION_SIZE("size", struct state, size, "[35, 36]", 1, 1000, 0, "in cells"),
        CR_OPTION_INTS("ints", struct state, ints, "[1, 2, 3]", 0, 9, 0, "some numbers"),
        CR_OPTION_STRINGS("strings", struct state, strings, "[\"a\"]", 0, "some words")),
    .state_size = sizeof(struct state),
    .stage = &ops,
};

CR_PLUGIN("first-abi", "0.1", "MIT", "a plugin of the first ABI", &element);
