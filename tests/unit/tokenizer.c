/* SPDX-License-Identifier: MIT */
/* The tokenizer against recorded strings, its streams, templates, what is refused. Linked with the
 * plugin's own files. */
#include "test.h"

#include <sys/stat.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/json.h"
#include "template.h"
#include "tokenizer.h"

/* ---- The recorded strings ---- */

static struct tokenizer *open_in(const char *folder)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_model *model = NULL;
    struct tokenizer *tokenizer = NULL;
    if (cr_model_open(&model, folder, NULL, &err) < 0 ||
        tokenizer_open(&tokenizer, model, -1, &err) < 0)
        fail_msg("%s", err.message);
    cr_model_unref(&model);
    return tokenizer;
}

/* A folder that holds this file as its tokenizer.model. */
static const char *folder_with(const char *file)
{
    static int number;
    char path[4096], *data = NULL;
    size_t size = 0;
    struct cr_error err = CR_ERROR_INIT;
    snprintf(path, sizeof(path), "tokenizer-%d", number++);
    const char *folder = scratch(path);
    assert_int_equal(mkdir(folder, 0700), 0);
    if (cr_file_read(file, 64 << 20, &data, &size, &err) < 0)
        fail_msg("%s", err.message);
    snprintf(path, sizeof(path), "%s/tokenizer.model", folder);
    write_test_file(path, data, size);
    cr_free(data);
    return folder;
}

#define MAX_RECORDED 4096

/* One of the recorded: read value by value, because texts may hold NUL. */
struct recorded {
    char *text;
    size_t size;
    int32_t ids[MAX_RECORDED];
    size_t count;
};

static char *copy_text(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static void next(struct cr_json_reader *reader, struct cr_json_token *token)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_json_next(reader, token, &err) < 0)
        fail_msg("%s", err.message);
}

static void read_recorded_ids(struct cr_json_reader *reader, struct recorded *entry)
{
    struct cr_json_token token;
    entry->count = 0;
    for (next(reader, &token); token.type == CR_JSON_NUMBER; next(reader, &token)) {
        assert_true(entry->count < MAX_RECORDED);
        entry->ids[entry->count++] = (int32_t)token.number;
    }
    assert_int_equal(token.type, CR_JSON_ARRAY_END);
}

/* The text and the ids of these names of the object whose { was read. */
static void read_recorded(struct cr_json_reader *reader, const char *text, const char *ids,
                          struct recorded *entry)
{
    struct cr_json_token token;
    bool is_text, is_ids;
    entry->text = NULL;
    for (next(reader, &token); token.type == CR_JSON_KEY; next(reader, &token)) {
        is_text = strcmp(token.text, text) == 0;
        is_ids = strcmp(token.text, ids) == 0;
        next(reader, &token);
        if (is_text) {
            entry->size = token.size;
            entry->text = copy_text(token.text, token.size);
        } else if (is_ids) {
            read_recorded_ids(reader, entry);
        } else {
            assert_int_equal(cr_json_skip(reader, &token, NULL), 0);
        }
    }
    assert_non_null(entry->text);
}

/* Where two lists differ, in words. */
static void assert_ids(const struct recorded *entry, const struct token_list *got)
{
    for (size_t i = 0; i < got->count && i < entry->count; i++)
        if (got->ids[i] != entry->ids[i])
            fail_msg("%s: token %zu is %d, recorded %d", entry->text, i, got->ids[i],
                     entry->ids[i]);
    if (got->count != entry->count)
        fail_msg("%s: %zu tokens, recorded %zu", entry->text, got->count, entry->count);
}

static void check_encode(const struct tokenizer *tokenizer, const struct recorded *entry)
{
    struct cr_error err = CR_ERROR_INIT;
    struct token_list list = {.ids = NULL};
    assert_int_equal(token_list_add(&list, 1, &err), 0);
    if (tokenizer_encode(tokenizer, entry->text, entry->size, &list, &err) < 0)
        fail_msg("%s: %s", entry->text, err.message);
    assert_ids(entry, &list);
    cr_free(list.ids);
}

static void check_stream(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                         const char *text, size_t size)
{
    struct cr_error err = CR_ERROR_INIT;
    struct token_stream stream = {.text = NULL};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(token_stream_add(&stream, tokenizer, ids[i], &err), 0);
        /* Whole characters only: what was given out is a beginning of the text. */
        if (stream.size > size || (stream.size > 0 && memcmp(stream.text, text, stream.size) != 0))
            fail_msg("after %zu tokens \"%s\", of \"%s\"", i + 1, stream.text, text);
        assert_true(stream.size == size || ((unsigned char)text[stream.size] & 0xc0) != 0x80);
    }
    assert_int_equal(token_stream_end(&stream, tokenizer, &err), 0);
    assert_int_equal(stream.size, size);
    assert_true(size == 0 || memcmp(stream.text, text, size) == 0);
    token_stream_finish(&stream);
}

static void check_decode(const struct tokenizer *tokenizer, const struct recorded *entry)
{
    struct cr_error err = CR_ERROR_INIT;
    size_t size;
    char *text = NULL;
    if (tokenizer_decode(tokenizer, entry->ids, entry->count, &text, &size, &err) < 0)
        fail_msg("%s", err.message);
    if (size != entry->size || memcmp(text, entry->text, size) != 0)
        fail_msg("decoded \"%s\", recorded \"%s\"", text, entry->text);
    check_stream(tokenizer, entry->ids, entry->count, text, size);
    cr_free(text);
}

/* The entries of a list, each as one call of `check`. How many? */
static int check_list(struct cr_json_reader *reader, const struct tokenizer *tokenizer,
                      const char *text, const char *ids,
                      void (*check)(const struct tokenizer *, const struct recorded *))
{
    static struct recorded entry;
    struct cr_json_token token;
    int count = 0;
    next(reader, &token);
    assert_int_equal(token.type, CR_JSON_ARRAY);
    for (next(reader, &token); token.type == CR_JSON_OBJECT; next(reader, &token), count++) {
        read_recorded(reader, text, ids, &entry);
        check(tokenizer, &entry);
        free(entry.text);
    }
    return count;
}

static void test_recorded(void **unused)
{
    (void)unused;
    struct tokenizer *tokenizer =
        open_in(folder_with(shared_path("goldens/tokenizer/V7_sft.model")));
    struct cr_error err = CR_ERROR_INIT;
    struct cr_json_reader *reader = NULL;
    struct cr_json_token token;
    char *data = NULL;
    size_t size = 0;
    if (cr_file_read(shared_path("goldens/tokenizer/expected.json"), 64 << 20, &data, &size, &err) <
            0 ||
        cr_json_reader_create(&reader, data, size, "expected.json", &err) < 0)
        fail_msg("%s", err.message);
    cr_json_reader_allow_nul(reader);
    next(reader, &token);
    next(reader, &token);
    assert_string_equal(token.text, "encode");
    assert_int_equal(check_list(reader, tokenizer, "text", "nostrip_ids", check_encode), 222);
    next(reader, &token);
    assert_string_equal(token.text, "decode");
    assert_int_equal(check_list(reader, tokenizer, "decoded", "ids", check_decode), 57);
    cr_json_reader_destroy(&reader);
    cr_free(data);
    tokenizer_close(&tokenizer);
}

/* ---- The small tokenizer that comes with the tests ---- */

static struct tokenizer *small(void)
{
    return open_in(source_path("tests/tokenizer"));
}

static void test_round_trip(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"",
                                        " ",
                                        "a horse",
                                        "  two  blanks ",
                                        "line\nline\n\n\ttab",
                                        "na\xc3\xafve \xe2\x82\xac 5 \xf0\x9f\x90\x8e.",
                                        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
                                        "<image> and </s> and <image>",
                                        "(#1 horse) [0.06, 0.38, 0.27, 0.91]"};
    struct tokenizer *tokenizer = small();
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct token_list list = {.ids = NULL};
        char *text = NULL;
        size_t size;
        assert_int_equal(tokenizer_encode(tokenizer, texts[i], strlen(texts[i]), &list, &err), 0);
        assert_int_equal(tokenizer_decode(tokenizer, list.ids, list.count, &text, &size, &err), 0);
        /* Controls leave no text. */
        if (strstr(texts[i], "</s>") == NULL)
            assert_string_equal(text, texts[i]);
        check_stream(tokenizer, list.ids, list.count, text, size);
        cr_free(text);
        cr_free(list.ids);
    }
    tokenizer_close(&tokenizer);
}

static void test_added_tokens(void **unused)
{
    (void)unused;
    struct tokenizer *tokenizer = small();
    struct cr_error err = CR_ERROR_INIT;
    struct token_list list = {.ids = NULL};
    const int32_t image = tokenizer_size(tokenizer);
    assert_int_equal(tokenizer_find(tokenizer, "<image>"), image);
    assert_int_equal(tokenizer_find(tokenizer, "<s>"), 1);
    assert_int_equal(tokenizer_find(tokenizer, "no such piece"), -1);
    assert_int_equal(tokenizer_encode(tokenizer, "<image><s><image", 16, &list, &err), 0);
    assert_true(list.count > 3);
    assert_int_equal(list.ids[0], image);
    assert_int_equal(list.ids[1], 1);
    for (size_t i = 2; i < list.count; i++)
        assert_true(list.ids[i] != image);
    cr_free(list.ids);
    tokenizer_close(&tokenizer);
}

static void test_nul(void **unused)
{
    (void)unused;
    static const char text[] = "a\0b";
    struct tokenizer *tokenizer = small();
    struct cr_error err = CR_ERROR_INIT;
    struct token_list list = {.ids = NULL};
    char *back = NULL;
    size_t size;
    assert_int_equal(tokenizer_encode(tokenizer, text, 3, &list, &err), 0);
    assert_int_equal(tokenizer_decode(tokenizer, list.ids, list.count, &back, &size, &err), 0);
    assert_int_equal(size, 3);
    assert_memory_equal(back, text, 3);
    cr_free(back);
    cr_free(list.ids);
    tokenizer_close(&tokenizer);
}

static void test_not_utf8(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"abc\xff", "byte 3 of the text, 0xff, does not begin a character of UTF-8"},
        {"\xc3", "byte 0 of the text, 0xc3"},
        {"ok \xed\xa0\x80", "byte 3 of the text, 0xed"},
        {"\xc0\x80", "byte 0 of the text, 0xc0"},
        {"\xf4\x90\x80\x80", "byte 0 of the text, 0xf4"},
        {"x\xe0\x80\xaf", "byte 1 of the text, 0xe0"},
    };
    struct tokenizer *tokenizer = small();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct token_list list = {.ids = NULL};
        assert_int_equal(
            tokenizer_encode(tokenizer, cases[i].text, strlen(cases[i].text), &list, &err),
            CR_ERR_FORMAT);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].message);
        cr_free(list.ids);
    }
    tokenizer_close(&tokenizer);
}

static void test_wrong_ids(void **unused)
{
    (void)unused;
    struct tokenizer *tokenizer = small();
    struct cr_error err = CR_ERROR_INIT;
    const int32_t ids[] = {3, 1000000};
    char *text = NULL;
    size_t size;
    assert_int_equal(tokenizer_decode(tokenizer, ids, 2, &text, &size, &err), CR_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "token 1, 1000000, is none of the tokenizer's 0.."));
    assert_null(text);
    tokenizer_close(&tokenizer);
}

/* Truncated at every length of a sample, and with bytes changed: an error or a tokenizer, never a
 * crash. */
static void test_hostile_models(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    char *data = NULL, path[4096];
    size_t size = 0;
    uint32_t seed = 1;
    if (cr_file_read(source_path("tests/tokenizer/tokenizer.model"), 1 << 20, &data, &size, &err) <
        0)
        fail_msg("%s", err.message);
    const char *folder = folder_with(source_path("tests/tokenizer/tokenizer.model"));
    snprintf(path, sizeof(path), "%s/tokenizer.model", folder);
    int refused = 0;
    for (int i = 0; i < 300; i++) {
        struct cr_model *model = NULL;
        struct tokenizer *tokenizer = NULL;
        size_t length = size;
        char *copy = malloc(size + 1);
        memcpy(copy, data, size);
        seed = seed * 1664525u + 1013904223u;
        if (i % 2 == 0)
            length = i == 0 ? 0 : (seed >> 8) % size;
        else
            for (int j = 0; j < 8; j++, seed = seed * 1664525u + 1013904223u)
                copy[(seed >> 8) % size] = (char)(seed >> 3);
        write_test_file(path, copy, length);
        free(copy);
        assert_int_equal(cr_model_open(&model, folder, NULL, &err), 0);
        cr_error_clear(&err);
        if (tokenizer_open(&tokenizer, model, -1, &err) < 0) {
            refused++;
            assert_null(tokenizer);
            if (strstr(err.message, "tokenizer.model") == NULL)
                fail_msg("\"%s\" does not name the file", err.message);
        }
        tokenizer_close(&tokenizer);
        cr_model_unref(&model);
    }
    assert_true(refused > 100);
    cr_free(data);
}

/* Tables of characters in which the library would read beyond their ends: a trie that leads out of
 * itself, a replacement behind the texts, one without an end. */
static void test_hostile_tables(void **unused)
{
    (void)unused;
    static const char *const names[] = {"far", "value", "unterminated"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_model *model = NULL;
        struct tokenizer *tokenizer = NULL;
        char name[100], path[4096], *data;
        size_t size;
        snprintf(name, sizeof(name), "tests/fuzz/corpus/tokenizer/charsmap-%s", names[i]);
        data = read_test_file(source_path(name), &size);
        const char *folder = folder_with(source_path("tests/tokenizer/small.model"));
        snprintf(path, sizeof(path), "%s/tokenizer.model", folder);
        write_test_file(path, data + 1, size - 1); /* before it: no added tokens */
        assert_int_equal(cr_model_open(&model, folder, NULL, &err), 0);
        assert_int_equal(tokenizer_open(&tokenizer, model, -1, &err), CR_ERR_FORMAT);
        if (strstr(err.message, "tokenizer.model: its table of characters leads out") == NULL)
            fail_msg("%s: %s", names[i], err.message);
        cr_model_unref(&model);
    }
}

/* ---- Templates ---- */

static char *filled(const char *name, const char *question, size_t images, bool captions,
                    const char *caption)
{
    struct cr_error err = CR_ERROR_INIT;
    struct template *t = NULL;
    char *prompt = NULL;
    if (template_open(&t, name, &err) < 0 ||
        template_fill(t, question, images, captions, caption, &prompt, &err) < 0)
        fail_msg("%s", err.message);
    template_close(&t);
    return prompt;
}

#define PREFIX                                                                                     \
    "AI assistant should give helpful and detailed answers to user after fully understanding an "  \
    "image."

static void test_templates(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *question;
        size_t images;
        bool captions;
        const char *caption, *prompt;
    } cases[] = {
        {"collavo-demo", "What is it?", 1, true, "(#1 cat) [0.00, 0.00, 1.00, 1.00]",
         PREFIX " <image> USER: The image includes (#1 cat) [0.00, 0.00, 1.00, 1.00]. What is it? "
                "ASSISTANT:"},
        {"collavo-demo", "What is it?", 1, true, NULL,
         PREFIX " <image> USER: None of detailed object information for image. What is it? "
                "ASSISTANT:"},
        {"collavo-demo", "What is it?", 1, false, NULL,
         PREFIX " <image> USER: What is it? ASSISTANT:"},
        {"collavo-demo", "What is it?", 0, false, NULL, PREFIX " USER: What is it? ASSISTANT:"},
        {"collavo-demo", "{image} {objects} {question}", 2, true, "{question}",
         PREFIX " <image><image> USER: The image includes {question}. {image} {objects} {question} "
                "ASSISTANT:"},
        {"collavo-eval", "Why?", 1, false, NULL,
         PREFIX " <image> [UNUSED_TOKEN_146]user\nWhy?[UNUSED_TOKEN_145]\n"
                "[UNUSED_TOKEN_146]assistant\n"},
        {"collavo-paper", "Why?", 1, false, NULL, "<image><stop>User: Why?Assistant: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *prompt = filled(cases[i].name, cases[i].question, cases[i].images, cases[i].captions,
                              cases[i].caption);
        assert_text(cases[i].name, prompt, cases[i].prompt);
        cr_free(prompt);
    }
}

static void test_wrong_templates(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{", ""},
        {"[]", ""},
        {"{\"crayon-template\": 1}", "/prompt: is missing"},
        {"{\"crayon-template\": 2, \"prompt\": \"{question}\"}", "/crayon-template"},
        {"{\"crayon-template\": 1, \"prompt\": \"hello\"}", "/prompt: {question} is not in it"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question} {objects}\"}",
         "/prompt: \"{objects}\" is nothing that is filled in here"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question}\", \"stop\": [\"\"]}",
         "/stop/0: an empty"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question}\", \"stop\": [7]}",
         "/stop/0: is a number"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question}\", \"stopp\": []}",
         "\"stopp\" is no member of a template"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question}\", \"objects\": \"{question}\"}",
         "/objects: {objects} is not in it"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question}\", \"begin\": 1}",
         "/begin: is a number"},
        {"{\"crayon-template\": 1, \"prompt\": \"{question}\", \"max_tokens\": 0}", "/max_tokens"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct template *t = NULL;
        const char *path = scratch("template.json");
        write_test_text(path, cases[i].text);
        assert_true(template_open(&t, path, &err) < 0);
        assert_null(t);
        if (strstr(err.message, path) == NULL || strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.message,
                     cases[i].message);
    }
    struct cr_error err = CR_ERROR_INIT;
    struct template *t = NULL;
    assert_int_equal(template_open(&t, "collavo-dmeo", &err), CR_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "no template \"collavo-dmeo\" is installed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_added_tokens),   cmocka_unit_test(test_nul),
        cmocka_unit_test(test_not_utf8),       cmocka_unit_test(test_wrong_ids),
        cmocka_unit_test(test_hostile_models), cmocka_unit_test(test_hostile_tables),
        cmocka_unit_test(test_templates),      cmocka_unit_test(test_wrong_templates),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
