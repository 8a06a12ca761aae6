/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/error.h>

#include "test.h"

static void names_results(void **state)
{
    (void)state;
    static const struct {
        int result;
        const char *words;
    } cases[] = {
        {0, "success"},         {CR_ERR_MEMORY, "out of memory"},
        {-5, "limit exceeded"}, {CR_ERR_INTERNAL, "internal error"},
        {1, "unknown result"},  {-13, "unknown result"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_text("name", cr_result_name(cases[i].result), cases[i].words);
    assert_string_equal(cr_version(), CR_VERSION);
}

static void formats_and_prefixes(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_error_prefix(&err, "nowhere"), 0);
    assert_string_equal(err.message, "");
    assert_int_equal(cr_fail(&err, CR_ERR_FORMAT, "%s is %d", "x", 7), CR_ERR_FORMAT);
    assert_int_equal(err.code, CR_ERR_FORMAT);
    assert_string_equal(err.message, "x is 7");
    assert_int_equal(cr_error_prefix(&err, "%s", "a.json"), CR_ERR_FORMAT);
    assert_string_equal(err.message, "a.json: x is 7");
    cr_error_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.message, "");
}

static void tolerates_no_error_struct(void **state)
{
    (void)state;
    assert_int_equal(cr_fail(NULL, CR_ERR_LIMIT, "%d", 1), CR_ERR_LIMIT);
    assert_int_equal(cr_fail_errno(NULL, EACCES, "x"), CR_ERR_IO);
    assert_int_equal(cr_fail_memory(NULL, 1), CR_ERR_MEMORY);
    assert_int_equal(cr_error_prefix(NULL, "x"), 0);
}

static void describes_system_errors(void **state)
{
    (void)state;
    static const struct {
        int number, code;
    } cases[] = {
        {ENOENT, CR_ERR_NOT_FOUND},
        {ENOMEM, CR_ERR_MEMORY},
        {EACCES, CR_ERR_IO},
        {ENOSPC, CR_ERR_IO},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        char expected[256];
        snprintf(expected, sizeof(expected), "f: cannot open: %s", strerror(cases[i].number));
        assert_int_equal(cr_fail_errno(&err, cases[i].number, "%s: cannot open", "f"),
                         cases[i].code);
        assert_text("message", err.message, expected);
    }
    struct cr_error err = CR_ERROR_INIT;
    cr_fail_memory(&err, 12345);
    assert_string_equal(err.message, "out of memory: 12345 bytes could not be allocated");
}

/* A message of `length` bytes `fill` (a character of 1 to 4 bytes, repeated and cut anywhere). */
static void make_long(char *text, size_t length, const char *fill)
{
    for (size_t i = 0; i < length; i++)
        text[i] = fill[i % strlen(fill)];
    text[length] = '\0';
}

static bool is_whole_utf8(const char *text)
{
    for (size_t i = 0; text[i] != '\0';) {
        unsigned char lead = (unsigned char)text[i++];
        int more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        for (; more > 0; more--)
            if (((unsigned char)text[i++] & 0xC0) != 0x80)
                return false;
    }
    return true;
}

static void cuts_long_messages_between_characters(void **state)
{
    (void)state;
    static const char *const fills[] = {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\xB4"};
    char text[4097];
    for (size_t i = 0; i < COUNT(fills); i++) {
        for (size_t lead = 0; lead < 4; lead++) {
            struct cr_error err = CR_ERROR_INIT;
            make_long(text, 4096, fills[i]);
            cr_fail(&err, CR_ERR_FORMAT, "%.*s%s", (int)lead, "abc", text);
            size_t length = strlen(err.message);
            assert_true(length < sizeof(err.message) && length >= sizeof(err.message) - 4);
            assert_string_equal(err.message + length - 3, "...");
            assert_true(is_whole_utf8(err.message));
            cr_error_prefix(&err, "in");
            assert_int_equal(strncmp(err.message, "in: ", 4), 0);
            assert_string_equal(err.message + strlen(err.message) - 3, "...");
            assert_true(is_whole_utf8(err.message));
        }
    }
}

static void keeps_what_just_fits(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    char text[sizeof(err.message) + 1];
    make_long(text, sizeof(err.message) - 1, "x");
    cr_fail(&err, CR_ERR_FORMAT, "%s", text);
    assert_string_equal(err.message, text);
    cr_error_prefix(&err, "%s", text); /* the place alone fills it */
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_string_equal(err.message + sizeof(err.message) - 4, "...");
    cr_fail(&err, CR_ERR_FORMAT, "%s", text);
    assert_int_equal(cr_fail_errno(&err, EACCES, "%s", text), CR_ERR_IO);
    assert_string_equal(err.message + sizeof(err.message) - 4, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_results),
        cmocka_unit_test(formats_and_prefixes),
        cmocka_unit_test(tolerates_no_error_struct),
        cmocka_unit_test(describes_system_errors),
        cmocka_unit_test(cuts_long_messages_between_characters),
        cmocka_unit_test(keeps_what_just_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
