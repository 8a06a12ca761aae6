/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>

#include "base/json.h"
#include "fault_sweep.h"
#include "test.h"

static cJSON *parse(const char *text)
{
    cJSON *tree;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_json_parse(&tree, text, strlen(text), "t", &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return tree;
}

/* The tree as text, freed with the rest of the test's memory by the caller. */
static void assert_tree(const char *what, const cJSON *tree, const char *expected)
{
    char *text = cJSON_PrintUnformatted(tree);
    assert_non_null(text);
    assert_text(what, text, expected);
    cJSON_free(text);
}

static void builds_trees(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "null",
        "[]",
        "{}",
        "-7",
        "\"a\\\"b\xC3\xA9\"",
        "[1,[2,[3,{\"x\":[]}]],{}]",
        "{\"b\":1,\"a\":{\"b\":[true,false,null]},\"\":\"\",\"B\":2}",
        "[{\"a\":1,\"b\":{\"a\":2}},{\"a\":3}]",
        "[0.5,1e+100,123456789012]",
    };
    for (size_t i = 0; i < COUNT(documents); i++) {
        cJSON *tree = parse(documents[i]);
        assert_tree(documents[i], tree, documents[i]);
        cJSON_Delete(tree);
    }
}

static void refuses_what_cjson_would_let_pass(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"a\":1,\"b\":2,\"a\":3}", "t:1:14: the key \"a\" was used before, at 1:2"},
        {"{\n \"k\":{},\n \"x\":{\"k\":1},\n \"k\":[]\n}",
         "t:4:2: the key \"k\" was used before, at 2:2"},
        {"[{\"a\":{\"b\":1,\n\"b\":2}}]", "t:2:1: the key \"b\" was used before, at 1:8"},
        {"{\"a\":1,\"\\u0061\":2}", "t:1:8: the key \"a\" was used before, at 1:2"},
        {"{\"\\n\\u001b\":1,\"\\n\\u001b\":2}",
         "t:1:15: the key \"\\n\\u001b\" was used before, at 1:2"},
        {"{\"a\":1} x", "t:1:9: expected nothing more after the end of the document, found 'x'"},
        {"[\"\\u0000\"]", "t:1:3: a string cannot hold \\u0000 here"},
        {"[\"\xFF\"]", "t:1:3: byte 0xFF is not UTF-8"},
        {"", "t:1:1: expected a value, found the end of the text"},
        {"{\"a\":[1,2", "t:1:10: expected ',' or ']' after a value, found the end of the text"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON before, *tree = &before;
        struct cr_error err = CR_ERROR_INIT;
        assert_int_equal(cr_json_parse(&tree, cases[i].text, strlen(cases[i].text), "t", &err),
                         CR_ERR_FORMAT);
        assert_text(cases[i].text, err.message, cases[i].message);
        assert_null(tree);
    }
}

static void finds_one_duplicate_among_many(void **state)
{
    (void)state;
    struct cr_text text = CR_TEXT_INIT;
    struct cr_error err = CR_ERROR_INIT;
    cJSON *tree;
    cr_text_add(&text, "{\n");
    for (int i = 0; i < 1000; i++)
        cr_text_printf(&text, "\"k%d\": {\"same\": 0},\n", i * 7919 % 1000);
    cr_text_add(&text, "\"k500\": 1}");
    assert_int_equal(cr_json_parse(&tree, text.data, text.size, "t", &err), CR_ERR_FORMAT);
    assert_string_equal(err.message, "t:1002:1: the key \"k500\" was used before, at 502:1");
    cr_text_finish(&text);
}

static void limits_documents(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    cJSON *tree;
    assert_int_equal(cr_json_parse(&tree, "", CR_JSON_MAX_DOCUMENT + 1, "t", &err), CR_ERR_LIMIT);
    assert_string_equal(err.message, "t: the document is larger than 67108864 bytes");

    size_t most = CR_JSON_MAX_NODES;
    char *text = malloc(2 * most + 2);
    for (size_t i = 0; i < most; i++)
        memcpy(text + 2 * i, i == 0 ? "[0" : ",0", 2);
    text[2 * most] = ']'; /* `most` numbers and the list are one too many */
    assert_int_equal(cr_json_parse(&tree, text, 2 * most + 1, "t", &err), CR_ERR_LIMIT);
    assert_string_equal(err.message, "t:1:4000000: more than 2000000 values");
    text[2 * most - 2] = ']';
    assert_int_equal(cr_json_parse(&tree, text, 2 * most - 1, "t", &err), 0);
    cJSON_Delete(tree);
    free(text);
}

static int load(void *user, struct cr_error *err)
{
    cJSON *tree;
    int result = cr_json_load(&tree, user, err);
    assert_true((result == 0) == (tree != NULL));
    cJSON_Delete(tree);
    return result;
}

static void loading_fails_cleanly(void **state)
{
    (void)state;
    char *path = strdup(scratch("load.json"));
    write_test_text(path, "{\"a\":[1,\"two\",{\"three\":null}],\"b\":{\"c\":{\"d\":true}}}");
    /* reader: 3, file: 1, keys: 2, items: 8, strings: 1, names: 6 */
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, load, NULL, path) >= 20);
    assert_int_equal(sweep_faults(CR_FAULT_READ, EIO, load, NULL, path), 2);
    free(path);
}

static void looks_up_exactly(void **state)
{
    (void)state;
    cJSON *tree = parse("{\"Key\":1,\"key\":2,\"list\":[3]}");
    assert_true(cr_json_get(tree, "key")->valuedouble == 2);
    assert_true(cr_json_get(tree, "Key")->valuedouble == 1);
    assert_null(cr_json_get(tree, "KEY"));
    assert_null(cr_json_get(tree, ""));
    assert_null(cr_json_get(cr_json_get(tree, "list"), "key"));
    assert_null(cr_json_get(NULL, "key"));
    cJSON_Delete(tree);
}

/* ---- Merge patch ---- */

static const struct {
    const char *target, *patch, *result; /* target NULL: there is none */
} merges[] = {
    /* the table in appendix A of RFC 7396 */
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
    {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
    {"{\"a\":\"foo\"}", "null", "null"},
    {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    /* and more */
    {NULL, "{\"a\":{\"b\":null,\"c\":[null]}}", "{\"a\":{\"c\":[null]}}"},
    {NULL, "7", "7"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":{\"x\":null,\"y\":0}}",
     "{\"a\":1,\"b\":{\"y\":0},\"c\":3}"},
    {"{\"a\":1,\"A\":2}", "{\"A\":null}", "{\"a\":1}"},
    {"{\"a\":{\"b\":{\"c\":1,\"d\":2}}}", "{\"a\":{\"b\":{\"c\":null,\"e\":3}}}",
     "{\"a\":{\"b\":{\"d\":2,\"e\":3}}}"},
    {"{\"a\":{\"b\":1}}", "{}", "{\"a\":{\"b\":1}}"},
};

static void merges_as_rfc_7396_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(merges); i++) {
        cJSON *patch = parse(merges[i].patch);
        cJSON *target = merges[i].target == NULL ? NULL : parse(merges[i].target);
        cJSON *result = cr_json_merge(target, patch);
        assert_tree(merges[i].patch, result, merges[i].result);
        assert_tree("the patch", patch, merges[i].patch);
        cJSON_Delete(result);
        cJSON_Delete(patch);
    }
}

static int merge_all(void *user, struct cr_error *err)
{
    (void)user;
    int result = 0;
    for (size_t i = 0; i < COUNT(merges) && result == 0; i++) {
        cJSON *patch = NULL, *target = NULL;
        result = cr_json_parse(&patch, merges[i].patch, strlen(merges[i].patch), "p", err);
        if (result == 0 && merges[i].target != NULL)
            result = cr_json_parse(&target, merges[i].target, strlen(merges[i].target), "t", err);
        if (result == 0 && (target = cr_json_merge(target, patch)) == NULL)
            result = cr_fail_memory(err, 1);
        cJSON_Delete(patch);
        cJSON_Delete(target);
    }
    return result;
}

static void merging_fails_cleanly(void **state)
{
    (void)state;
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, merge_all, NULL, NULL) > 200);
}

/* ---- Small things ---- */

static void knows_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool integer;
    } cases[] = {
        {"0", true},
        {"-1", true},
        {"1.0", true},
        {"1e3", true},
        {"0.5", false},
        {"\"1\"", false},
        {"null", false},
        {"9007199254740991", true},
        {"-9007199254740991", true},
        {"9007199254740993", false}, /* it has become ...992 */
        {"-9007199254740992", false},
        {"1e300", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON *item = parse(cases[i].text);
        if (cr_json_is_integer(item) != cases[i].integer)
            fail_msg("%s", cases[i].text);
        cJSON_Delete(item);
    }
    assert_false(cr_json_is_integer(NULL));
}

static void compares(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool equal;
    } cases[] = {
        {"\"a\"", "\"a\"", true},           {"\"a\"", "\"A\"", false}, {"1", "1.0", true},
        {"1", "1.0000000000000002", false}, {"1", "\"1\"", false},     {"true", "true", true},
        {"true", "false", false},           {"false", "false", true},  {"null", "null", true},
        {"null", "false", false},           {"[]", "[]", true},        {"[1, 2]", "[1, 2]", true},
        {"[1, 2]", "[1]", false},           {"[1]", "[1, 2]", false},  {"[1, 2]", "[2, 1]", false},
        {"[[\"a\"]]", "[[\"a\"]]", true},   {"[1]", "1", false},       {"{}", "{}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON *one = parse(cases[i].one), *other = parse(cases[i].other);
        if (cr_json_equal(one, other) != cases[i].equal)
            fail_msg("%s and %s", cases[i].one, cases[i].other);
        cJSON_Delete(one);
        cJSON_Delete(other);
    }
    assert_false(cr_json_equal(NULL, NULL));
}

static void names_kinds(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "an object"}, {"[]", "a list"},   {"\"\"", "a string"}, {"1", "a number"},
        {"true", "true"},    {"false", "false"}, {"null", "null"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON *item = parse(cases[i][0]);
        assert_text(cases[i][0], cr_json_kind(item), cases[i][1]);
        cJSON_Delete(item);
    }
    assert_string_equal(cr_json_kind(NULL), "nothing");
}

static void writes_pointers_and_strings(void **state)
{
    (void)state;
    struct cr_text text = CR_TEXT_INIT;
    static const char *const keys[] = {"stages", "a/b", "m~n", "", "~1", "\xC3\xA9\""};
    for (size_t i = 0; i < COUNT(keys); i++)
        cr_json_pointer_add(&text, keys[i]);
    assert_string_equal(text.data, "/stages/a~1b/m~0n//~01/\xC3\xA9\"");
    cr_text_finish(&text);

    cr_json_quote(&text, "a\"b\\c\n\t\r\b\x01\x1F/\x7F\xC3\xA9");
    assert_string_equal(text.data,
                        "\"a\\\"b\\\\c\\n\\t\\u000d\\u0008\\u0001\\u001f/\x7F\xC3\xA9\"");
    cJSON *back = parse(text.data);
    assert_string_equal(back->valuestring, "a\"b\\c\n\t\r\b\x01\x1F/\x7F\xC3\xA9");
    cJSON_Delete(back);
    cr_text_finish(&text);
}

/* What is no UTF-8 (a file name may be that) becomes U+FFFD, byte by byte. */
static void quotes_what_is_not_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"a\xFF", "\"a\\ufffd\""},
        {"\xC3", "\"\\ufffd\""},
        {"\xC3(", "\"\\ufffd(\""},
        {"\xC0\xAF", "\"\\ufffd\\ufffd\""},
        {"\xE0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xED\xA0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xF4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xE2\x82\xAC\xF0\x9F\x98\x80", "\"\xE2\x82\xAC\xF0\x9F\x98\x80\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_text text = CR_TEXT_INIT;
        cr_json_quote(&text, cases[i].text);
        assert_string_equal(text.data, cases[i].quoted);
        cJSON_Delete(parse(text.data));
        cr_text_finish(&text);
    }
}

int main(void)
{
    sweep_cjson();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_trees),
        cmocka_unit_test(refuses_what_cjson_would_let_pass),
        cmocka_unit_test(finds_one_duplicate_among_many),
        cmocka_unit_test(limits_documents),
        cmocka_unit_test(loading_fails_cleanly),
        cmocka_unit_test(looks_up_exactly),
        cmocka_unit_test(merges_as_rfc_7396_has_it),
        cmocka_unit_test(merging_fails_cleanly),
        cmocka_unit_test(knows_integers),
        cmocka_unit_test(compares),
        cmocka_unit_test(names_kinds),
        cmocka_unit_test(writes_pointers_and_strings),
        cmocka_unit_test(quotes_what_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
