/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <math.h>

#include "plugin/options.h"
#include "test.h"

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
    int64_t open;
    const char *named;
};

static const struct cr_option *const options[] = {
    CR_OPTION_BOOL("flag", struct state, flag, "true", 0, "a switch"),
    CR_OPTION_INT("count", struct state, count, "3", 1, 256, 0, "how many"),
    CR_OPTION_NUMBER("ratio", struct state, ratio, "0.25", 0, 1, 0, "a share"),
    CR_OPTION_STRING("text", struct state, text, "hello \"you\"", 0, "any text"),
    CR_OPTION_CHOICE("mode", struct state, mode, "exact", CR_CHOICES("exact", "quick", "off"), 0,
                     "how"),
    CR_OPTION_PATH("file", struct state, file, NULL, 0, "a file"),
    CR_OPTION_MODEL("model", struct state, model, NULL, CR_OPTION_REQUIRED, "a model"),
    CR_OPTION_SIZE("size", struct state, size, "[35, 36]", 1, 1000, 0, "in cells"),
    CR_OPTION_INTS("ints", struct state, ints, "[1, 2, 3]", 0, 9, 0, "some numbers"),
    CR_OPTION_STRINGS("strings", struct state, strings, "[\"a\", \"b\"]", 0, "some words"),
    CR_OPTION_INT("open", struct state, open, NULL, 0, 0, 0, "without bounds"),
    CR_OPTION_FILE("named", struct state, named, "demo", 0, "a file or an installed one"),
    NULL,
};

static const struct cr_port *const ports[] = {
    CR_PORT("image", CR_TYPE_IMAGE, 0, "a picture"),
    CR_PORT("mask", CR_TYPE_IMAGE, CR_PORT_OPTIONAL, "a mask"),
    NULL,
};

static const struct cr_option *find(const char *name)
{
    const struct cr_option *option = cr_option_find(options, name);
    assert_non_null(option);
    return option;
}

static cJSON *parse(const char *json)
{
    cJSON *value;
    assert_int_equal(cr_json_parse(&value, json, strlen(json), "test", NULL), 0);
    return value;
}

/* ---- Checking ---- */

static void test_check(void **unused)
{
    (void)unused;
    static const struct {
        const char *option, *json, *message; /* NULL: valid */
    } cases[] = {
        {"flag", "false", NULL},
        {"flag", "0", "true or false is needed here, not a number"},
        {"flag", "null", "true or false is needed here, not null"},
        {"count", "1", NULL},
        {"count", "256.0", NULL},
        {"count", "0", "0 is outside 1..256"},
        {"count", "512", "512 is outside 1..256"},
        {"count", "2.5", "2.5 is no whole number"},
        {"count", "true", "a whole number is needed here, not true"},
        {"count", "\"3\"", "a whole number is needed here, not a string"},
        {"ratio", "1", NULL},
        {"ratio", "1.1", "1.1 is outside 0..1"},
        {"ratio", "-1e-3", "-0.001 is outside 0..1"},
        {"ratio", "[0]", "a number is needed here, not a list"},
        {"text", "\"\"", NULL},
        {"text", "7", "a string is needed here, not a number"},
        {"mode", "\"quick\"", NULL},
        {"mode", "\"qiuck\"", "\"qiuck\" is none of exact, quick, off; did you mean \"quick\"?"},
        {"mode", "\"fast\"", "\"fast\" is none of exact, quick, off"},
        {"mode", "1", "a string is needed here, not a number"},
        {"file", "\"x\"", NULL},
        {"file", "\"\"", "a path is needed here, not an empty string"},
        {"file", "{}", "a path is needed here, not an object"},
        {"model", "\"\"", "a folder or the name of a model is needed here, not an empty string"},
        {"named", "\"\"",
         "a file or the name of an installed one is needed here, not an empty string"},
        {"size", "[1, 1000]", NULL},
        {"size", "35", "a size [height, width] is needed here, not a number"},
        {"size", "[35]", "a size [height, width] has 2 numbers, not 1"},
        {"size", "[1, 2, 3]", "a size [height, width] has 2 numbers, not 3"},
        {"size", "[0, 2]", "height: 0 is outside 1..1000"},
        {"size", "[2, \"2\"]", "width: a whole number is needed here, not a string"},
        {"ints", "[]", NULL},
        {"ints", "[0, 9]", NULL},
        {"ints", "[0, 10]", "item 2: 10 is outside 0..9"},
        {"ints", "3", "a list of whole numbers is needed here, not a number"},
        {"strings", "[]", NULL},
        {"strings", "[\"a\", null]", "item 2: a string is needed here, not null"},
        {"strings", "\"a\"", "a list of strings is needed here, not a string"},
        {"open", "-9007199254740991", NULL},
        {"open", "9007199254740993", "9007199254740992 is too large"},
        {"open", "1e16", "1e+16 is too large"},
        {"open", "0.1", "0.1 is no whole number"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        cJSON *value = parse(cases[i].json);
        int result = cr_option_check(find(cases[i].option), value, &err);
        cJSON_Delete(value);
        assert_text(cases[i].json, err.message, cases[i].message == NULL ? "" : cases[i].message);
        assert_int_equal(result, cases[i].message == NULL ? 0 : CR_ERR_ARGUMENT);
    }
}

/* The bounds that a declaration gives, what is said about a value beyond them, and how they read
 * in a description. */
static void test_bounds(void **unused)
{
    (void)unused;
    static const struct {
        enum cr_option_type type;
        double min, max;
        const char *json, *message, *description;
    } cases[] = {
        {CR_OPTION_TYPE_INT, 1, INFINITY, "0", "0 is not at least 1", "a whole number, at least 1"},
        {CR_OPTION_TYPE_INT, 1, INFINITY, "1e300", "1e+300 is too large",
         "a whole number, at least 1"},
        {CR_OPTION_TYPE_INT, -INFINITY, 5, "6", "6 is not at most 5", "a whole number, at most 5"},
        {CR_OPTION_TYPE_INT, -INFINITY, 5, "-1e300", "-1e+300 is too large",
         "a whole number, at most 5"},
        {CR_OPTION_TYPE_INT, 0, 0, "-1e300", "-1e+300 is too large", "a whole number"},
        {CR_OPTION_TYPE_NUMBER, 0, 0, "1e300", "", "a number"},
        {CR_OPTION_TYPE_NUMBER, 0.5, INFINITY, "0.1", "0.1 is not at least 0.5",
         "a number, at least 0.5"},
        {CR_OPTION_TYPE_NUMBER, -0.1, 0.3, "1", "1 is outside -0.1..0.3", "a number, -0.1..0.3"},
        {CR_OPTION_TYPE_SIZE, 0, 0, "[0, 1]", "height: 0 is not at least 1",
         "[height, width], each at least 1"},
        {CR_OPTION_TYPE_SIZE, 0, 0, "[1, 2147483648]", "width: 2147483648 is too large",
         "[height, width], each at least 1"},
        {CR_OPTION_TYPE_SIZE, 0, 8, "[0, 9]", "width: 9 is outside 0..8",
         "[height, width], each 0..8"},
        {CR_OPTION_TYPE_INTS, -1, 8, "[-2]", "item 1: -2 is outside -1..8",
         "a list of whole numbers, each -1..8"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_option option = {.type = cases[i].type, .min = cases[i].min, .max = cases[i].max};
        struct cr_error err = CR_ERROR_INIT;
        cJSON *value = parse(cases[i].json);
        int result = cr_option_check(&option, value, &err);
        cJSON_Delete(value);
        assert_text(cases[i].json, err.message, cases[i].message);
        assert_int_equal(result, cases[i].message[0] == '\0' ? 0 : CR_ERR_ARGUMENT);
        struct cr_text text = CR_TEXT_INIT;
        cr_option_describe(&option, &text);
        assert_string_equal(text.data, cases[i].description);
        cr_text_finish(&text);
    }
}

/* A comma as decimal mark is not let into messages. */
static void test_locale(void **unused)
{
    (void)unused;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        skip_because("there is no locale de_DE.UTF-8");
    struct cr_error err = CR_ERROR_INIT;
    cJSON *value = cJSON_CreateNumber(1.5);
    assert_int_equal(cr_option_check(find("ratio"), value, &err), CR_ERR_ARGUMENT);
    assert_string_equal(err.message, "1.5 is outside 0..1");
    cJSON_Delete(value);
    setlocale(LC_ALL, "C");
}

static void test_describe(void **unused)
{
    (void)unused;
    static const char *const words[][2] = {
        {"flag", "true or false"},
        {"count", "a whole number, 1..256"},
        {"ratio", "a number, 0..1"},
        {"text", "a string"},
        {"mode", "exact, quick or off"},
        {"file", "a path"},
        {"model", "a folder, or the name of a model (ORG/NAME)"},
        {"size", "[height, width], each 1..1000"},
        {"ints", "a list of whole numbers, each 0..9"},
        {"strings", "a list of strings"},
        {"named", "a file (with a slash), or the name of an installed one"},
        {"open", "a whole number"},
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        struct cr_text text = CR_TEXT_INIT;
        cr_option_describe(find(words[i][0]), &text);
        assert_string_equal(text.data, words[i][1]);
        cr_text_finish(&text);
    }
}

/* ---- Storing ---- */

static void store(struct state *state, struct cr_arena *arena, const char *name, const char *json,
                  const char *folder)
{
    cJSON *value = parse(json);
    assert_int_equal(cr_option_check(find(name), value, NULL), 0);
    assert_int_equal(cr_option_store(find(name), value, folder, arena, state, NULL), 0);
    cJSON_Delete(value); /* what was stored does not borrow from it */
}

static void test_store(void **unused)
{
    (void)unused;
    struct state state = {.flag = false};
    struct cr_arena arena = CR_ARENA_INIT;
    store(&state, &arena, "flag", "true", NULL);
    store(&state, &arena, "count", "17", NULL);
    store(&state, &arena, "ratio", "0.125", NULL);
    store(&state, &arena, "text", "\"grüß\"", NULL);
    store(&state, &arena, "mode", "\"off\"", NULL);
    store(&state, &arena, "size", "[4, 5]", NULL);
    store(&state, &arena, "ints", "[7, 8]", NULL);
    store(&state, &arena, "strings", "[\"x\", \"\"]", NULL);
    store(&state, &arena, "open", "-9007199254740991", NULL);
    assert_true(state.flag);
    assert_int_equal(state.count, 17);
    assert_true(state.ratio == 0.125);
    assert_string_equal(state.text, "grüß");
    assert_string_equal(state.mode, "off");
    assert_int_equal(state.size.height, 4);
    assert_int_equal(state.size.width, 5);
    assert_int_equal(state.ints.count, 2);
    assert_int_equal(state.ints.items[0], 7);
    assert_int_equal(state.ints.items[1], 8);
    assert_int_equal(state.strings.count, 2);
    assert_string_equal(state.strings.items[0], "x");
    assert_string_equal(state.strings.items[1], "");
    assert_true(state.open == -9007199254740991);
    assert_null(state.file);
    store(&state, &arena, "ints", "[]", NULL);
    assert_int_equal(state.ints.count, 0);
    cr_arena_finish(&arena);
}

static void test_paths(void **unused)
{
    (void)unused;
    static const struct {
        const char *option, *folder, *json, *stored;
    } cases[] = {
        {"file", "/data/pipelines", "\"a.png\"", "/data/pipelines/a.png"},
        {"file", "/data/pipelines/", "\"../a.png\"", "/data/pipelines/../a.png"},
        {"file", "/data", "\"/abs/a.png\"", "/abs/a.png"},
        {"file", ".", "\"a.png\"", "a.png"},
        {"file", NULL, "\"a.png\"", "a.png"},
        {"model", "/", "\"tmp\"", "/tmp"},
        {"model", "/no-such-folder", "\"ORG/NAME\"", "ORG/NAME"},
        {"model", "/dev", "\"null\"", "null"},
        {"model", "/etc", "\"/tmp\"", "/tmp"},
        {"named", "/etc", "\"passwd\"", "passwd"},
        {"named", "/etc", "\"./passwd\"", "/etc/./passwd"},
        {"named", "/etc", "\"/a/b\"", "/a/b"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct state state = {.flag = false};
        struct cr_arena arena = CR_ARENA_INIT;
        store(&state, &arena, cases[i].option, cases[i].json, cases[i].folder);
        const char *stored = cases[i].option[0] == 'f'   ? state.file
                             : cases[i].option[0] == 'm' ? state.model
                                                         : state.named;
        assert_string_equal(stored, cases[i].stored);
        cr_arena_finish(&arena);
    }
}

/* ---- Defaults and look-up ---- */

static void test_default(void **unused)
{
    (void)unused;
    static const struct {
        const char *option, *json;
    } cases[] = {
        {"flag", "true"},      {"count", "3"},
        {"ratio", "0.25"},     {"text", "\"hello \\\"you\\\"\""},
        {"mode", "\"exact\""}, {"file", NULL},
        {"model", NULL},       {"size", "[35,36]"},
        {"ints", "[1,2,3]"},   {"strings", "[\"a\",\"b\"]"},
        {"named", "\"demo\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON *value;
        assert_int_equal(cr_option_default(find(cases[i].option), &value, NULL), 0);
        if (cases[i].json == NULL) {
            assert_null(value);
            continue;
        }
        char *text = cJSON_PrintUnformatted(value);
        assert_string_equal(text, cases[i].json);
        cJSON_free(text);
        cJSON_Delete(value);
    }
}

static void test_bad_default(void **unused)
{
    (void)unused;
    static const struct {
        enum cr_option_type type;
        const char *initial, *message;
    } cases[] = {
        {CR_OPTION_TYPE_INT, "300", "300 is outside 1..256"},
        {CR_OPTION_TYPE_INT, "x", "default:1:1:"},
        {CR_OPTION_TYPE_BOOL, "\"yes\"", "true or false is needed here, not a string"},
        {CR_OPTION_TYPE_SIZE, "[1]", "a size [height, width] has 2 numbers, not 1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_option option = {
            .type = cases[i].type, .initial = cases[i].initial, .min = 1, .max = 256};
        struct cr_error err = CR_ERROR_INIT;
        cJSON *value;
        assert_int_equal(cr_option_default(&option, &value, &err), CR_ERR_FORMAT);
        assert_int_equal(err.code, CR_ERR_FORMAT);
        assert_null(value);
        assert_int_equal(strncmp(err.message, cases[i].message, strlen(cases[i].message)), 0);
    }
}

static void test_find(void **unused)
{
    (void)unused;
    assert_ptr_equal(cr_option_find(options, "ratio"), options[2]);
    assert_null(cr_option_find(options, "Ratio"));
    assert_null(cr_option_find(NULL, "ratio"));
    assert_ptr_equal(cr_port_find(ports, "mask"), ports[1]);
    assert_null(cr_port_find(ports, "masks"));
    assert_null(cr_port_find(NULL, "mask"));
}

static void test_reserved(void **unused)
{
    (void)unused;
    static const char *const yes[] = {"use",   "in",   "device", "release", "note",
                                      "batch", "when", "x-",     "x-mine"};
    static const char *const no[] = {"", "x", "xx-", "Use", "uses", "inn", "model"};
    for (size_t i = 0; i < COUNT(yes); i++)
        assert_true(cr_is_reserved_key(yes[i]));
    for (size_t i = 0; i < COUNT(no); i++)
        assert_false(cr_is_reserved_key(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_locale),  cmocka_unit_test(test_describe),
        cmocka_unit_test(test_store),   cmocka_unit_test(test_paths),
        cmocka_unit_test(test_default), cmocka_unit_test(test_bad_default),
        cmocka_unit_test(test_find),    cmocka_unit_test(test_reserved),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
