/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <locale.h>
#include <math.h>

#include "base/json.h"
#include "fault_sweep.h"
#include "test.h"

static const char *const type_names[] = {"end",    "{",      "}",    "[",     "]",   "key",
                                         "string", "number", "true", "false", "null"};

/* All tokens as one line, "{ key:a number:1 }", or the error behind what came before it. */
static const char *tokens_of(struct cr_json_reader *reader)
{
    static char line[4096];
    struct cr_error err = CR_ERROR_INIT;
    struct cr_json_token token;
    size_t used = 0;
    line[0] = '\0';
    do {
        if (cr_json_next(reader, &token, &err) < 0) {
            snprintf(line + used, sizeof(line) - used, "%s", err.message);
            return line;
        }
        const char *name = type_names[token.type];
        if (token.type == CR_JSON_KEY || token.type == CR_JSON_STRING)
            snprintf(line + used, sizeof(line) - used, "%s:%s ", name, token.text);
        else if (token.type == CR_JSON_NUMBER)
            snprintf(line + used, sizeof(line) - used, "%s:%.17g ", name, token.number);
        else
            snprintf(line + used, sizeof(line) - used, "%s ", name);
        used = strlen(line);
    } while (token.type != CR_JSON_END);
    line[used - 1] = '\0';
    return line;
}

static const char *tokens_of_text(const char *text, size_t size)
{
    struct cr_json_reader *reader;
    assert_int_equal(cr_json_reader_create(&reader, text, size, "t", NULL), 0);
    const char *line = tokens_of(reader);
    cr_json_reader_destroy(&reader);
    assert_null(reader);
    return line;
}

#define T(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t size;
    const char *tokens;
} valid[] = {
    {T("0"), "number:0 end"},
    {T(" \t\r\n null \n"), "null end"},
    {T("true"), "true end"},
    {T("false"), "false end"},
    {T("\"\""), "string: end"},
    {T("{}"), "{ } end"},
    {T("[]"), "[ ] end"},
    {T("[[],{}]"), "[ [ ] { } ] end"},
    {T("{\"a\":1,\"b\":[true,false,null,\"x\"]}"),
     "{ key:a number:1 key:b [ true false null string:x ] } end"},
    {T("{ \"a\" : { } , \"a\" : 2 }"), "{ key:a { } key:a number:2 } end"},
    {T("{\"\":0}"), "{ key: number:0 } end"},
    {T("\xEF\xBB\xBF{}"), "{ } end"},
    /* strings */
    {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "string:\"\\/\b\f\n\r\t end"},
    {T("\"\\u0041\\u00e9\\u20AC\\uD83D\\udc34\""),
     "string:A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\xB4 end"},
    {T("\"\\u0001\\uFFFF\\uDBFF\\uDFFF\""), "string:\x01\xEF\xBF\xBF\xF4\x8F\xBF\xBF end"},
    {T("\"\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\""),
     "string:\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80 end"},
    /* numbers */
    {T("[-0,-1,10,123456789012345,1234567890123456,12345678901234567890]"),
     "[ number:-0 number:-1 number:10 number:123456789012345 number:1234567890123456 "
     "number:1.2345678901234567e+19 ] end"},
    {T("[0.5,-1.25e2,1E+3,1e-3,0e0,0.1]"),
     "[ number:0.5 number:-125 number:1000 number:0.001 number:0 number:0.10000000000000001 ] end"},
    {T("[9007199254740992,9007199254740993,1.7976931348623157e308,5e-324,1e-400]"),
     "[ number:9007199254740992 number:9007199254740992 number:1.7976931348623157e+308 "
     "number:4.9406564584124654e-324 number:0 ] end"},
    {T("0.1234567890123456789012345678901234567890123456789012345678901"),
     "number:0.12345678901234568 end"},
};

static void reads_valid_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++)
        assert_text(valid[i].text, tokens_of_text(valid[i].text, valid[i].size), valid[i].tokens);
}

static const struct {
    const char *text;
    size_t size;
    const char *message; /* with the tokens before it */
} invalid[] = {
    /* structure */
    {T(""), "t:1:1: expected a value, found the end of the text"},
    {T("  \n "), "t:2:2: expected a value, found the end of the text"},
    {T("[1"), "[ number:1 t:1:3: expected ',' or ']' after a value, found the end of the text"},
    {T("[1,]"), "[ number:1 t:1:4: expected a value, found ']'"},
    {T("[,1]"), "[ t:1:2: expected a value or ']', found ','"},
    {T("[1 2]"), "[ number:1 t:1:4: expected ',' or ']' after a value, found '2'"},
    {T("[1}"), "[ number:1 t:1:3: expected ',' or ']' after a value, found '}'"},
    {T("{"), "{ t:1:2: expected a key in double quotes or '}', found the end of the text"},
    {T("{a:1}"), "{ t:1:2: expected a key in double quotes or '}', found 'a'"},
    {T("{'a':1}"), "{ t:1:2: expected a key in double quotes or '}', found '''"},
    {T("{1:1}"), "{ t:1:2: expected a key in double quotes or '}', found '1'"},
    {T("{\"a\"}"), "{ t:1:5: expected ':' after the key, found '}'"},
    {T("{\"a\",1}"), "{ t:1:5: expected ':' after the key, found ','"},
    {T("{\"a\":}"), "{ key:a t:1:6: expected a value, found '}'"},
    {T("{\"a\":1,}"), "{ key:a number:1 t:1:8: expected a key in double quotes, found '}'"},
    {T("{\"a\":1\n \"b\":2}"),
     "{ key:a number:1 t:2:2: expected ',' or '}' after a value, found '\"'"},
    {T("{\"a\":1]"), "{ key:a number:1 t:1:7: expected ',' or '}' after a value, found ']'"},
    {T("1 2"), "number:1 t:1:3: expected nothing more after the end of the document, found '2'"},
    {T("{}\n}"), "{ } t:2:1: expected nothing more after the end of the document, found '}'"},
    {T("null\0"),
     "null t:1:5: expected nothing more after the end of the document, found byte 0x00"},
    {T("// note\n1"), "t:1:1: expected a value, found '/'"},
    {T("[1, /* */ 2]"), "[ number:1 t:1:5: expected a value, found '/'"},
    {T("\xEF\xBB{}"), "t:1:3: expected a byte order mark or a value, found '{'"},
    {T("\xEF\xBB\xBF?"), "t:1:1: expected a value, found '?'"},
    {T("\xEF\xBB\xBF\xEF\xBB\xBF{}"), "t:1:1: expected a value, found byte 0xEF"},
    {T("[\xC2\xA0 1]"), "[ t:1:2: expected a value or ']', found byte 0xC2"},
    {T("[\f1]"), "[ t:1:2: expected a value or ']', found byte 0x0C"},
    /* words */
    {T("nul"), "t:1:4: expected null, found the end of the text"},
    {T("tRue"), "t:1:2: expected true, found 'R'"},
    {T("falsey"), "false t:1:6: expected nothing more after the end of the document, found 'y'"},
    {T("NaN"), "t:1:1: expected a value, found 'N'"},
    {T("[Infinity]"), "[ t:1:2: expected a value or ']', found 'I'"},
    {T("-Infinity"), "t:1:2: expected a digit, found 'I'"},
    /* numbers */
    {T("[-]"), "[ t:1:3: expected a digit, found ']'"},
    {T("+1"), "t:1:1: expected a value, found '+'"},
    {T(".5"), "t:1:1: expected a value, found '.'"},
    {T("[1.]"), "[ t:1:4: expected a digit, found ']'"},
    {T("[1.e1]"), "[ t:1:4: expected a digit, found 'e'"},
    {T("1e"), "t:1:3: expected a digit, found the end of the text"},
    {T("1e+"), "t:1:4: expected a digit, found the end of the text"},
    {T("[01]"), "[ t:1:2: a number cannot start with 0"},
    {T("[-00]"), "[ t:1:2: a number cannot start with 0"},
    {T("0x10"), "number:0 t:1:2: expected nothing more after the end of the document, found 'x'"},
    {T("[1e309]"), "[ t:1:2: the number is out of range (at most 1.8e308)"},
    {T("[-1e999999999999999999]"), "[ t:1:2: the number is out of range (at most 1.8e308)"},
    {T("1234567890123456789012345678901234567890123456789012345678901234"),
     "t:1:1: the number has more than 63 characters"},
    /* strings */
    {T("\"abc"), "t:1:5: expected '\"' at the end of the string, found the end of the text"},
    {T("\"a\nb\""), "t:1:3: control character 0x0A in a string; write it as \\u000a"},
    {T("\"a\tb\""), "t:1:3: control character 0x09 in a string; write it as \\u0009"},
    {T("\"\x1F\""), "t:1:2: control character 0x1F in a string; write it as \\u001f"},
    {T("\"a\0b\""), "t:1:3: control character 0x00 in a string; write it as \\u0000"},
    {T("\"\\x\""), "t:1:3: expected one of \" \\ / b f n r t u after a backslash, found 'x'"},
    {T("\"\\"),
     "t:1:3: expected one of \" \\ / b f n r t u after a backslash, found the end of the text"},
    {T("\"\\\0\""),
     "t:1:3: expected one of \" \\ / b f n r t u after a backslash, found byte 0x00"},
    {T("\"\\u12G4\""), "t:1:6: expected four hexadecimal digits after \\u, found 'G'"},
    {T("\"\\u123\""), "t:1:7: expected four hexadecimal digits after \\u, found '\"'"},
    {T("\"ab\\u0000\""), "t:1:4: a string cannot hold \\u0000 here"},
    {T("\"\\uDC00\""), "t:1:2: \\uDC00 is the second half of a surrogate pair without its first"},
    {T("\"\\uD800\""),
     "t:1:8: expected the second half of a surrogate pair (\\uDC00..DFFF), found '\"'"},
    {T("\"\\uD800\\n\""),
     "t:1:9: expected the second half of a surrogate pair (\\uDC00..DFFF), found 'n'"},
    {T("\"\\uD800\\uD800\""), "t:1:8: \\uD800 is not the second half of a surrogate pair"},
    {T("\"\\uD800\\u0041\""), "t:1:8: \\u0041 is not the second half of a surrogate pair"},
    /* UTF-8 */
    {T("\"\x80\""), "t:1:2: byte 0x80 is not UTF-8"},
    {T("\"a\xC0\x80\""), "t:1:3: byte 0xC0 is not UTF-8"},
    {T("\"\xC1\xBF\""), "t:1:2: byte 0xC1 is not UTF-8"},
    {T("\"\xF5\x80\x80\x80\""), "t:1:2: byte 0xF5 is not UTF-8"},
    {T("\"\xFF\""), "t:1:2: byte 0xFF is not UTF-8"},
    {T("\"\xC3\""), "t:1:2: byte 0xC3 does not begin a complete UTF-8 character"},
    {T("\"\xC3\xC3\""), "t:1:2: byte 0xC3 does not begin a complete UTF-8 character"},
    {T("\"\xE0\x9F\xBF\""), "t:1:2: byte 0xE0 does not begin a complete UTF-8 character"},
    {T("\"\xED\xA0\x80\""), "t:1:2: byte 0xED does not begin a complete UTF-8 character"},
    {T("\"\xF0\x8F\xBF\xBF\""), "t:1:2: byte 0xF0 does not begin a complete UTF-8 character"},
    {T("\"\xF4\x90\x80\x80\""), "t:1:2: byte 0xF4 does not begin a complete UTF-8 character"},
    {T("\"\xE2\x82"), "t:1:2: byte 0xE2 does not begin a complete UTF-8 character"},
};

static void names_every_mistake_and_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(invalid); i++)
        assert_text(invalid[i].text, tokens_of_text(invalid[i].text, invalid[i].size),
                    invalid[i].message);
}

static void tokens_know_their_place(void **state)
{
    (void)state;
    static const char text[] = "{\n  \"a\" :\n\t[1,\r\n  \"\xC3\xA9\", 2]}\n";
    static const struct {
        enum cr_json_type type;
        int64_t line, column;
    } expected[] = {
        {CR_JSON_OBJECT, 1, 1},     {CR_JSON_KEY, 2, 3},         {CR_JSON_ARRAY, 3, 2},
        {CR_JSON_NUMBER, 3, 3},     {CR_JSON_STRING, 4, 3},      {CR_JSON_NUMBER, 4, 9},
        {CR_JSON_ARRAY_END, 4, 10}, {CR_JSON_OBJECT_END, 4, 11}, {CR_JSON_END, 5, 1},
        {CR_JSON_END, 5, 1},
    };
    struct cr_json_reader *reader;
    struct cr_json_token token;
    assert_int_equal(cr_json_reader_create(&reader, text, sizeof(text) - 1, "t", NULL), 0);
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_int_equal(cr_json_next(reader, &token, NULL), 0);
        assert_int_equal(token.type, expected[i].type);
        assert_int_equal(token.line, expected[i].line);
        assert_int_equal(token.column, expected[i].column);
    }
    cr_json_reader_destroy(&reader);
}

static void limits_depth(void **state)
{
    (void)state;
    char text[2 * (CR_JSON_MAX_DEPTH + 1)];
    for (size_t depth = CR_JSON_MAX_DEPTH; depth <= CR_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        const char *line = tokens_of_text(text, 2 * depth);
        const char *end =
            depth > CR_JSON_MAX_DEPTH ? "t:1:65: nested deeper than 64 levels" : "] end";
        assert_text("end", line + strlen(line) - strlen(end), end);
    }
}

static void limits_strings(void **state)
{
    (void)state;
    const size_t most = CR_JSON_MAX_STRING;
    char *text = malloc(most + 3);
    memset(text, 'x', most + 3);
    text[0] = text[most + 1] = text[most + 2] = '"';
    for (size_t longer = 0; longer < 2; longer++) {
        struct cr_json_reader *reader;
        struct cr_json_token token;
        struct cr_error err = CR_ERROR_INIT;
        assert_int_equal(cr_json_reader_create(&reader, text, most + 2 + longer, "t", NULL), 0);
        assert_int_equal(cr_json_next(reader, &token, &err), longer ? CR_ERR_LIMIT : 0);
        assert_text("message", err.message,
                    longer ? "t:1:16777219: the string is longer than 16777216 bytes" : "");
        cr_json_reader_destroy(&reader);
        text[most + 1] = 'x';
    }
    free(text);
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE", "ps_AF"}; /* "," and U+066B */
    for (size_t i = 0; i < COUNT(names); i++) {
        struct cr_json_reader *reader;
        struct cr_json_token token;
        use_locale(names[i]);
        assert_string_not_equal(localeconv()->decimal_point, ".");
        assert_int_equal(cr_json_reader_create(&reader, "2.75", 4, "t", NULL), 0);
        assert_int_equal(cr_json_next(reader, &token, NULL), 0);
        assert_true(token.number == 2.75);
        assert_string_not_equal(localeconv()->decimal_point, "."); /* was put back */
        cr_json_reader_destroy(&reader);
    }
    setlocale(LC_ALL, "C");
}

static void nul_may_be_allowed(void **state)
{
    (void)state;
    static const char text[] = "[\"a\\u0000b\", \"\\u0000\"]";
    struct cr_json_reader *reader;
    struct cr_json_token token;
    assert_int_equal(cr_json_reader_create(&reader, text, sizeof(text) - 1, "t", NULL), 0);
    cr_json_reader_allow_nul(reader);
    assert_int_equal(cr_json_next(reader, &token, NULL), 0);
    assert_int_equal(cr_json_next(reader, &token, NULL), 0);
    assert_int_equal(token.size, 3);
    assert_memory_equal(token.text, "a\0b", 4);
    assert_int_equal(cr_json_next(reader, &token, NULL), 0);
    assert_int_equal(token.size, 1);
    assert_memory_equal(token.text, "\0", 2);
    cr_json_reader_destroy(&reader);
}

static const char *tokens_of_python(const char *text)
{
    struct cr_json_reader *reader;
    assert_int_equal(cr_json_reader_create(&reader, text, strlen(text), "t", NULL), 0);
    cr_json_reader_allow_python(reader);
    const char *line = tokens_of(reader);
    cr_json_reader_destroy(&reader);
    return line;
}

static void python_may_be_allowed(void **state)
{
    (void)state;
    static const char text[] = "[NaN, Infinity, -Infinity, -1, null]";
    assert_string_equal(tokens_of_python(text), "[ null null null number:-1 null ] end");
    assert_string_equal(tokens_of_text(text, sizeof(text) - 1),
                        "[ t:1:2: expected a value or ']', found 'N'");
    assert_string_equal(tokens_of_python("-Infinite"), "t:1:9: expected Infinity, found 'e'");
    assert_string_equal(tokens_of_python("Nan"), "t:1:3: expected NaN, found 'n'");
}

/* ---- Skipping and errors about what was read ---- */

static void skips_values(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,{\"b\":[]},[2]],\"c\":7,\"d\":{\"x\":{}},\"e\":8}";
    struct cr_json_reader *reader;
    struct cr_json_token token;
    struct cr_error err = CR_ERROR_INIT;
    char line[64] = "";
    assert_int_equal(cr_json_reader_create(&reader, text, sizeof(text) - 1, "t", NULL), 0);
    assert_int_equal(cr_json_next(reader, &token, NULL), 0);
    while (cr_json_next(reader, &token, NULL) == 0 && token.type == CR_JSON_KEY) {
        strcat(line, token.text);
        assert_int_equal(cr_json_next(reader, &token, NULL), 0);
        assert_int_equal(cr_json_skip(reader, &token, NULL), 0);
    }
    assert_string_equal(line, "acde");
    assert_int_equal(token.type, CR_JSON_OBJECT_END);
    assert_int_equal(cr_json_fail(reader, &err, "%s is missing", "f"), CR_ERR_FORMAT);
    assert_string_equal(err.message, "t:1:47: f is missing");
    cr_json_reader_destroy(&reader);

    assert_int_equal(cr_json_reader_create(&reader, "[[1,2", 5, "t", NULL), 0);
    assert_int_equal(cr_json_next(reader, &token, NULL), 0);
    assert_int_equal(cr_json_skip(reader, &token, &err), CR_ERR_FORMAT);
    assert_string_equal(err.message,
                        "t:1:6: expected ',' or ']' after a value, found the end of the text");
    cr_json_reader_destroy(&reader);
}

/* ---- Files ---- */

#define CHUNK 65536

/* The same tokens whichever of their bytes is the first of the second piece of the file. */
static void tokens_may_straddle_pieces(void **state)
{
    (void)state;
    static const char tail[] =
        "[-12.5e1,\n\"p\\u00e9\xC3\xA9\\\"\\uD83D\\uDC34q\",true,{\"k\" :null}]";
    static const char expected[] =
        "[ number:-125 string:p\xC3\xA9\xC3\xA9\"\xF0\x9F\x90\xB4q true { key:k null } ] end";
    char *path = strdup(scratch("straddle.json"));
    char *text = malloc(CHUNK + sizeof(tail));
    for (size_t before = 0; before <= sizeof(tail); before++) {
        size_t lead = CHUNK - before;
        memset(text, ' ', lead);
        memcpy(text + lead, tail, sizeof(tail) - 1);
        write_test_file(path, text, lead + sizeof(tail) - 1);
        struct cr_json_reader *reader;
        assert_int_equal(cr_json_reader_open(&reader, path, NULL), 0);
        assert_text("tokens", tokens_of(reader), expected);
        cr_json_reader_destroy(&reader);
    }
    free(text);
    free(path);
}

static void places_count_across_pieces(void **state)
{
    (void)state;
    char *path = strdup(scratch("places.json"));
    char expected[4096];
    char *text = malloc(3 * CHUNK);
    memset(text, ' ', 3 * CHUNK);
    text[0] = '[';
    text[CHUNK - 1] = '\n'; /* the last byte of a piece ends the first line */
    text[2 * CHUNK + 9] = '?';
    write_test_file(path, text, 3 * CHUNK);
    struct cr_json_reader *reader;
    assert_int_equal(cr_json_reader_open(&reader, path, NULL), 0);
    snprintf(expected, sizeof(expected), "[ %s:2:%d: expected a value or ']', found '?'", path,
             CHUNK + 10);
    assert_text("error", tokens_of(reader), expected);
    cr_json_reader_destroy(&reader);
    free(text);
    free(path);
}

static int read_file(void *user, struct cr_error *err)
{
    struct cr_json_reader *reader;
    struct cr_json_token token = {.type = CR_JSON_NULL};
    int result = cr_json_reader_open(&reader, user, err);
    assert_true((result == 0) == (reader != NULL));
    while (result == 0 && token.type != CR_JSON_END)
        result = cr_json_next(reader, &token, err);
    cr_json_reader_destroy(&reader);
    return result;
}

static void reading_fails_cleanly(void **state)
{
    (void)state;
    char *path = strdup(scratch("fails.json"));
    char *text = malloc(CHUNK + 100);
    memset(text, 'x', CHUNK + 100);
    text[0] = '"';
    text[CHUNK + 99] = '"';
    write_test_file(path, text, CHUNK + 100);
    free(text);
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, read_file, NULL, path) >= 6);
    assert_int_equal(sweep_faults(CR_FAULT_OPEN, EACCES, read_file, NULL, path), 1);
    assert_int_equal(sweep_faults(CR_FAULT_READ, EIO, read_file, NULL, path), 3);

    struct cr_error err = CR_ERROR_INIT;
    char expected[4096];
    snprintf(expected, sizeof(expected), "%s: cannot read: %s", path, strerror(EIO));
    for (int n = 1; n <= 3; n++) { /* a read error is no syntax error */
        sweep_arm(CR_FAULT_READ, EIO, n);
        assert_int_equal(read_file(path, &err), CR_ERR_IO);
        assert_true(sweep_disarm());
        assert_text("message", err.message, expected);
    }
    free(path);
    char missing[] = "/nonexistent/x.json";
    assert_int_equal(read_file(missing, &err), CR_ERR_NOT_FOUND);
    assert_string_equal(err.message, "/nonexistent/x.json: cannot open: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_valid_documents),
        cmocka_unit_test(names_every_mistake_and_its_place),
        cmocka_unit_test(tokens_know_their_place),
        cmocka_unit_test(limits_depth),
        cmocka_unit_test(limits_strings),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(nul_may_be_allowed),
        cmocka_unit_test(python_may_be_allowed),
        cmocka_unit_test(skips_values),
        cmocka_unit_test(tokens_may_straddle_pieces),
        cmocka_unit_test(places_count_across_pieces),
        cmocka_unit_test(reading_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
