/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/config.h>
#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static struct cr_config *parse(const char *text)
{
    struct cr_config *config;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_config_parse(&config, text, strlen(text), "c.json", &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return config;
}

static void assert_problems(struct cr_config *config, const char *message)
{
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_config_check(config, &err), CR_ERR_FORMAT);
    assert_text("problems", err.message, message);
}

static void assert_clean(struct cr_config *config)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_config_check(config, &err) < 0)
        fail_msg("%s", err.message);
}

static void reads_values(void **state)
{
    (void)state;
    struct cr_config *c =
        parse("{\"hidden\":4096,\"eps\":1e-6,\"act\":\"silu\",\"bias\":false,\"none\":null,"
              "\"vision\":{\"size\":[336,-2],\"a/b\":{\"m~n\":7}},\"\":5}");
    assert_int_equal(cr_config_int(c, "/hidden", CR_CONFIG_REQUIRED, 1, 65536), 4096);
    assert_int_equal(cr_config_int(c, "/vision/size/0", CR_CONFIG_REQUIRED, 1, 65536), 336);
    assert_int_equal(cr_config_int(c, "/vision/size/1", 9, -2, 5), -2);
    assert_int_equal(cr_config_int(c, "/vision/a~1b/m~0n", 9, 0, 10), 7);
    assert_int_equal(cr_config_int(c, "/", 9, 0, 10), 5);
    assert_true(cr_config_number(c, "/eps", 1, 0, 1) == 1e-6);
    assert_true(cr_config_number(c, "/hidden", 1, 0, 1e9) == 4096);
    assert_false(cr_config_bool(c, "/bias", true));
    assert_string_equal(cr_config_text(c, "/act", NULL), "silu");
    /* What is absent, or null. */
    assert_int_equal(cr_config_int(c, "/none", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/vision/size/2", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/vision/size/00", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/hidden/x", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/hid", 9, 0, 10), 9);
    assert_true(cr_config_number(c, "/x", 0.5, 0, 1) == 0.5);
    assert_true(cr_config_bool(c, "/x", true));
    assert_null(cr_config_text(c, "/x", NULL));
    assert_string_equal(cr_config_text(c, "/x", "gelu"), "gelu");
    assert_true(cr_config_has(c, "/vision/size"));
    assert_false(cr_config_has(c, "/none"));
    assert_false(cr_config_has(c, "hidden"));
    assert_true(cr_config_has(c, ""));
    assert_clean(c);
    cr_config_destroy(&c);
    cr_config_destroy(&c);
}

static void counts_and_names(void **state)
{
    (void)state;
    struct cr_config *c = parse("{\"a\":{\"x\":1,\"y\":2},\"b\":[1,2,3],\"c\":\"text\"}");
    assert_int_equal(cr_config_count(c, ""), 3);
    assert_int_equal(cr_config_count(c, "/a"), 2);
    assert_int_equal(cr_config_count(c, "/b"), 3);
    assert_int_equal(cr_config_count(c, "/c"), 0);
    assert_int_equal(cr_config_count(c, "/d"), 0);
    assert_string_equal(cr_config_name(c, "/a", 1), "y");
    assert_null(cr_config_name(c, "/a", 2));
    assert_null(cr_config_name(c, "/b", 0));
    cr_config_destroy(&c);
}

static void reports_everything_at_once(void **state)
{
    (void)state;
    struct cr_config *c = parse("{\"a\":\"x\",\"b\":1.5,\"c\":70000,\"d\":[],\"e\":2,\"f\":1e300}");
    assert_int_equal(cr_config_int(c, "/a", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/b", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/c", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/f", 9, 0, 10), 9);
    assert_int_equal(cr_config_int(c, "/gone", CR_CONFIG_REQUIRED, 3, 10), 3);
    assert_true(cr_config_number(c, "/e", 0.5, 0, 1) == 0.5);
    assert_true(cr_config_number(c, "/d", CR_CONFIG_REQUIRED_NUMBER, 0.25, 1) == 0.25);
    assert_true(cr_config_number(c, "/gone", CR_CONFIG_REQUIRED_NUMBER, 0.25, 1) == 0.25);
    assert_true(cr_config_bool(c, "/e", true));
    assert_string_equal(cr_config_text(c, "/e", CR_CONFIG_REQUIRED_TEXT), "");
    assert_string_equal(cr_config_text(c, "/gone", CR_CONFIG_REQUIRED_TEXT), "");
    cr_config_problem(c, "", "is %s", "strange");
    assert_problems(c, "c.json: /a: is a string, a whole number is needed; "
                       "/b: is 1.5, a whole number is needed; "
                       "/c: 70000 is outside 0..10; "
                       "/f: is 1.0000000000000001e+300, a whole number is needed; "
                       "/gone: is missing; a whole number is needed; "
                       "/e: 2 is outside 0..1; "
                       "/d: is a list, a number is needed; "
                       "/gone: is missing; a number is needed; "
                       "/e: is a number, true or false is needed; "
                       "/e: is a number, a string is needed; "
                       "/gone: is missing; a string is needed; "
                       "is strange");
    cr_config_destroy(&c);
}

static void counts_what_it_does_not_list(void **state)
{
    (void)state;
    struct cr_config *c = parse("{}");
    for (int i = 0; i < 23; i++)
        cr_config_problem(c, "/x", "is %d", i);
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_config_check(c, &err), CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "c.json: 23 problems: /x: is 0; "));
    assert_non_null(strstr(err.message, "/x: is 19; and 3 more"));
    cr_config_destroy(&c);
}

static void refuses_what_is_no_object(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[1]", "c.json: holds a list, an object is needed"},
        {"{\"a\":1,\"a\":2}", "c.json:1:8: the key \"a\" was used before, at 1:2"},
        {"{", "c.json:1:2: expected a key in double quotes or '}', found the end of the text"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_config *config;
        struct cr_error err = CR_ERROR_INIT;
        assert_int_equal(
            cr_config_parse(&config, cases[i].text, strlen(cases[i].text), "c.json", &err),
            CR_ERR_FORMAT);
        assert_text(cases[i].text, err.message, cases[i].message);
        assert_null(config);
    }
}

static void reads_files(void **state)
{
    (void)state;
    struct cr_config *config;
    struct cr_error err = CR_ERROR_INIT;
    write_test_text(scratch("config.json"), "{\"n\": 3}\n");
    assert_int_equal(cr_config_read(&config, scratch("config.json"), &err), 0);
    assert_int_equal(cr_config_int(config, "/n", 0, 0, 9), 3);
    cr_config_destroy(&config);
    assert_int_equal(cr_config_read(&config, scratch("gone.json"), &err), CR_ERR_NOT_FOUND);
    assert_null(config);
}

static int read_all(void *user, struct cr_error *err)
{
    struct cr_config *config = NULL;
    int result = cr_config_read(&config, user, err);
    if (result == 0) {
        cr_config_problem(config, "/n", "is odd");
        struct cr_error problem = CR_ERROR_INIT;
        if (cr_config_check(config, &problem) == CR_ERR_MEMORY)
            result = cr_fail(err, CR_ERR_MEMORY, "%s", problem.message);
    }
    cr_config_destroy(&config);
    return result;
}

static void survives_faults(void **state)
{
    (void)state;
    write_test_text(scratch("faults.json"), "{\"n\":{\"a\":[1,\"x\"]}}");
    void *path = (void *)(uintptr_t)scratch("faults.json");
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, read_all, NULL, path) > 5);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, read_all, NULL, path) > 0);
}

int main(void)
{
    sweep_cjson();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_values),
        cmocka_unit_test(counts_and_names),
        cmocka_unit_test(reports_everything_at_once),
        cmocka_unit_test(counts_what_it_does_not_list),
        cmocka_unit_test(refuses_what_is_no_object),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(survives_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
