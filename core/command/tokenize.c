/* SPDX-License-Identifier: MIT */
/* crayon tokenize: texts to token ids and back, a line at a time, through the stage
 * tokenizer-sentencepiece. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "command/common.h"
#include "command/lines.h"
#include "command/options.h"

#define MAX_IDS (1u << 22) /* of one line */

struct tokenize_settings {
    const char *model;
    const char *plugin_path;
    bool decode, json;
};

#define MEMBER(name) offsetof(struct tokenize_settings, name)

static const struct option tokenize_options[] = {
    {"model", OPTION_TEXT, MEMBER(model), "MODEL", "folder or public name (required)"},
    {"decode", OPTION_FLAG, MEMBER(decode), NULL, "token ids to text"},
    {"json", OPTION_FLAG, MEMBER(json), NULL, "texts are JSON strings"},
    {"plugin-path", OPTION_TEXT, MEMBER(plugin_path), "DIRS",
     "search these folders for plugins first"},
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

struct tokenize {
    const struct tokenize_settings *settings;
    struct session session;
    const char *name; /* of the input, for messages */
    FILE *file;
    size_t line;
};

/* ---- Lines ---- */

/* The value on a line of JSON: its tokens go to `take` until it returns something. */
static int read_json(const struct tokenize *t, const struct cr_text *line,
                     int (*take)(void *user, struct cr_json_reader *reader, struct cr_error *err),
                     void *user, struct cr_error *err)
{
    struct cr_json_reader *reader = NULL;
    struct cr_json_token token;
    int result = cr_json_reader_create(&reader, line->data != NULL ? line->data : "", line->size,
                                       t->name, err);
    if (result < 0)
        return result;
    cr_json_reader_set_line(reader, (int64_t)t->line);
    cr_json_reader_allow_nul(reader);
    result = take(user, reader, err);
    if (result == 0)
        result = cr_json_next(reader, &token, err);
    if (result == 0 && token.type != CR_JSON_END)
        result = cr_json_fail(reader, err, "one value a line is needed here");
    cr_json_reader_destroy(&reader);
    return result;
}

static int take_string(void *user, struct cr_json_reader *reader, struct cr_error *err)
{
    struct cr_text *text = user;
    struct cr_json_token token;
    int result = cr_json_next(reader, &token, err);
    if (result < 0)
        return result;
    if (token.type != CR_JSON_STRING)
        return cr_json_fail(reader, err, "a string is needed here");
    cr_text_append(text, token.text, token.size);
    return 0;
}

struct id_list {
    int32_t *ids;
    size_t count, capacity;
};

static int add_id(struct id_list *list, const struct cr_json_token *token,
                  struct cr_json_reader *reader, struct cr_error *err)
{
    const bool fits =
        token->type == CR_JSON_NUMBER && token->number >= INT32_MIN && token->number <= INT32_MAX;
    if (!fits || token->number != (double)(int32_t)token->number)
        return cr_json_fail(reader, err, "a token id, a whole number, is needed here");
    if (list->count == MAX_IDS)
        return cr_json_fail(reader, err, "more than %u token ids", MAX_IDS);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : 2 * list->capacity;
        int32_t *ids = cr_realloc_array(list->ids, capacity, sizeof(*ids));
        if (ids == NULL)
            return cr_fail_memory(err, capacity * sizeof(*ids));
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = (int32_t)token->number;
    return 0;
}

/* [1, 2, 3], or {"ids": [1, 2, 3]} as encoding prints it. */
static int take_ids(void *user, struct cr_json_reader *reader, struct cr_error *err)
{
    struct cr_json_token token;
    int result = cr_json_next(reader, &token, err);
    const bool is_object = result == 0 && token.type == CR_JSON_OBJECT;
    if (is_object)
        result = cr_json_next(reader, &token, err);
    if (result == 0 && is_object &&
        (token.type != CR_JSON_KEY || token.size != 3 || memcmp(token.text, "ids", 3) != 0))
        return cr_json_fail(reader, err, "the one member here is \"ids\"");
    if (result == 0 && is_object)
        result = cr_json_next(reader, &token, err);
    if (result == 0 && token.type != CR_JSON_ARRAY)
        return cr_json_fail(reader, err, "a list of token ids is needed here");
    while (result == 0 && (result = cr_json_next(reader, &token, err)) == 0 &&
           token.type != CR_JSON_ARRAY_END)
        result = add_id(user, &token, reader, err);
    if (result == 0 && is_object)
        result = cr_json_next(reader, &token, err);
    if (result == 0 && is_object && token.type != CR_JSON_OBJECT_END)
        return cr_json_fail(reader, err, "the one member here is \"ids\"");
    return result;
}

/* ---- One line ---- */

static int read_text(const struct tokenize *t, const struct cr_text *line, struct cr_value **out,
                     struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    int result = 0;
    if (t->settings->json)
        result = read_json(t, line, take_string, &text, err);
    else if (line->size > 0)
        cr_text_append(&text, line->data, line->size);
    if (result == 0 && text.failed)
        result = cr_fail_memory(err, line->size);
    if (result == 0)
        result = cr_value_create(out, CR_TYPE_TEXT, 1, err);
    if (result == 0)
        result =
            cr_value_set_text_bytes(*out, 0, text.data != NULL ? text.data : "", text.size, err);
    cr_text_finish(&text);
    return result;
}

static int read_ids(const struct tokenize *t, const struct cr_text *line, struct cr_value **out,
                    struct cr_error *err)
{
    struct id_list list = {.ids = NULL};
    int result = read_json(t, line, take_ids, &list, err);
    if (result == 0)
        result = cr_value_create(out, CR_TYPE_TOKENS, 1, err);
    if (result == 0)
        result = cr_value_set_tokens(*out, 0, list.ids, list.count, err);
    cr_free(list.ids);
    return result;
}

static void add_ids(struct cr_text *out, const struct cr_value *value)
{
    size_t count;
    const int32_t *ids = cr_value_tokens(value, 0, &count);
    cr_text_add(out, "{\"ids\": [");
    for (size_t i = 0; i < count; i++)
        cr_text_printf(out, "%s%d", i > 0 ? ", " : "", ids[i]);
    cr_text_add(out, "]}");
}

/* A JSON string of bytes that may hold NUL. */
static void quote(struct cr_text *out, const char *text, size_t size)
{
    cr_text_add(out, "\"");
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            cr_text_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            cr_text_printf(out, "\\u%04x", c);
        else
            cr_text_append(out, text + i, 1);
    }
    cr_text_add(out, "\"");
}

static void print_line(const struct tokenize *t, const struct cr_value *value, struct cr_text *out)
{
    if (!t->settings->decode)
        add_ids(out, value);
    else if (t->settings->json)
        quote(out, cr_value_text(value, 0), cr_value_text_size(value, 0));
    else
        cr_text_append(out, cr_value_text(value, 0), cr_value_text_size(value, 0));
    cr_text_add(out, "\n");
}

static int answer(struct tokenize *t, const struct cr_text *line, struct cr_text *out,
                  struct cr_error *err)
{
    struct cr_value *input = NULL;
    struct cr_run *run = NULL;
    int result =
        t->settings->decode ? read_ids(t, line, &input, err) : read_text(t, line, &input, err);
    if (result == 0 && (result = cr_run_create(&run, t->session.pipeline, err)) == 0) {
        result = cr_run_set_input(run, "in", input, err);
        if (result == 0)
            result = cr_run_want(run, "out", err);
        if (result == 0 && (result = cr_run_execute(run, err)) < 0)
            cr_error_prefix(err, "%s:%zu", t->name, t->line);
        if (result == 0)
            print_line(t, cr_run_output(run, "out"), out);
    }
    cr_run_destroy(&run);
    cr_value_unref(&input);
    return result;
}

static int answer_all(struct tokenize *t)
{
    enum line line = LINE_GOT;
    struct cr_error err = CR_ERROR_INIT;
    int code = EXIT_OK;
    while (code == EXIT_OK && stop_signal() == 0) {
        struct cr_text text = CR_TEXT_INIT, out = CR_TEXT_INIT;
        t->line++;
        line = read_line(t->file, &text);
        int result = 0;
        if (line == LINE_TOO_LONG)
            result = cr_fail(&err, CR_ERR_LIMIT, "%s:%zu: the line has more than %u bytes", t->name,
                             t->line, MAX_LINE);
        else if (line == LINE_ERROR)
            result = cr_fail_errno(&err, errno, "%s", t->name);
        else if (line == LINE_GOT)
            result = text.failed ? cr_fail_memory(&err, text.size) : answer(t, &text, &out, &err);
        if (result < 0)
            code = say_failure(&err);
        else if (line == LINE_GOT && !print_text(&out))
            code = EXIT_FAILED;
        else if (line == LINE_GOT && !flush_output())
            code = EXIT_FAILED;
        cr_text_finish(&text);
        cr_text_finish(&out);
        if (line == LINE_END)
            break;
    }
    return code;
}

/* ---- The command ---- */

static int load_pipeline(struct tokenize *t)
{
    struct cr_text json = CR_TEXT_INIT;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_report *report = cr_report_create();
    const bool decode = t->settings->decode;
    cr_text_printf(&json,
                   "{\"crayon\": 1, \"inputs\": {\"in\": \"%s\"}, \"stages\": {\"tokenizer\": "
                   "{\"use\": \"tokenizer-sentencepiece\", \"in\": {\"%s\": \"@in\"}, \"model\": ",
                   decode ? "tokens" : "text", decode ? "tokens" : "text");
    cr_json_quote(&json, t->settings->model);
    cr_text_printf(&json, "}}, \"outputs\": {\"out\": \"tokenizer.%s\"}}",
                   decode ? "text" : "tokens");
    int result = report == NULL || json.failed
                     ? cr_fail_memory(&err, json.size)
                     : cr_pipeline_parse(&t->session.pipeline, t->session.registry, json.data,
                                         json.size, "crayon tokenize", NULL, 0, report, &err);
    if (result == CR_ERR_PIPELINE)
        say_findings(report, false);
    else if (result < 0)
        (void)say_failure(&err);
    cr_report_destroy(&report);
    cr_text_finish(&json);
    return result < 0 ? EXIT_FAILED : EXIT_OK;
}

static int open_input(struct tokenize *t, const struct strings *operands)
{
    t->file = stdin;
    t->name = "standard input";
    if (operands->count == 0 || strcmp(operands->items[0], "-") == 0)
        return EXIT_OK;
    struct cr_error err = CR_ERROR_INIT;
    t->name = operands->items[0];
    t->file = fopen(t->name, "rbe");
    if (t->file != NULL)
        return EXIT_OK;
    (void)cr_fail_errno(&err, errno, "%s", t->name);
    return say_failure(&err);
}

static int run_tokenize(const void *settings_, const struct strings *operands)
{
    struct tokenize t = {.settings = settings_};
    struct cr_error err = CR_ERROR_INIT;
    if (t.settings->model == NULL)
        return usage_error(&command_tokenize, "--model is needed: the folder or public name of a "
                                              "model with a tokenizer.model");
    if (session_open(&t.session, t.settings->plugin_path, message_log(CR_LOG_WARNING), &err) < 0)
        return say_failure(&err);
    int code = load_pipeline(&t);
    if (code == EXIT_OK)
        code = open_input(&t, operands);
    if (code == EXIT_OK)
        code = answer_all(&t);
    if (t.file != NULL && t.file != stdin)
        fclose(t.file);
    session_close(&t.session);
    return code;
}

const struct command command_tokenize = {
    .name = "tokenize",
    .operands = "[FILE]",
    .operands_min = 0,
    .operands_max = 1,
    .summary = "texts to token ids, or back, a line at a time",
    .options = tokenize_options,
    .settings_size = sizeof(struct tokenize_settings),
    .run = run_tokenize,
    .notes = "One text a line in, one {\"ids\": [...]} a line out; with --decode the other way "
             "round.",
};
