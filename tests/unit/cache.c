/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <unistd.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static void test_paths(void **unused)
{
    (void)unused;
    static const struct {
        const char *xdg, *home, *expected;
    } cases[] = {
        {"/x", "/home/a", "/x/crayon/vulkan/b"},
        {"x", "/home/a", "/home/a/.cache/crayon/vulkan/b"},
        {"", "/home/a", "/home/a/.cache/crayon/vulkan/b"},
        {"x", "home", "(none)"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        setenv("XDG_CACHE_HOME", cases[i].xdg, 1);
        setenv("HOME", cases[i].home, 1);
        char *path = cr_cache_path("vulkan/b");
        assert_text(cases[i].xdg, path != NULL ? path : "(none)", cases[i].expected);
        cr_free(path);
    }
}

static void test_writing(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct stat st;
    setenv("XDG_CACHE_HOME", scratch("cache"), 1);
    assert_int_equal(cr_cache_write("deep/er/file", "one", 3, &err), 0);
    assert_int_equal(cr_cache_write("deep/er/file", "two!", 4, &err), 0);
    assert_text("contents", read_test_file(scratch("cache/crayon/deep/er/file"), NULL), "two!");
    assert_int_equal(count_files(scratch("cache/crayon/deep/er")), 1);
    assert_int_equal(stat(scratch("cache/crayon/deep"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_nowhere(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "", 1);
    assert_int_equal(cr_cache_write("a", "one", 3, &err), CR_ERR_NOT_FOUND);
    assert_text("message", err.message,
                "a: no place for it; neither XDG_CACHE_HOME nor HOME is an absolute path");
    cr_error_clear(&err);
}

static void test_not_a_folder(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    write_test_text(scratch("plain"), "");
    setenv("XDG_CACHE_HOME", scratch("plain"), 1);
    assert_int_equal(cr_cache_write("a", "one", 3, &err), CR_ERR_IO);
    assert_non_null(strstr(err.message, "/plain"));
    cr_error_clear(&err);
}

static int write_all(void *user, struct cr_error *err)
{
    (void)user;
    return cr_cache_write("swept/file", "one", 3, err);
}

static void test_faults(void **unused)
{
    (void)unused;
    setenv("XDG_CACHE_HOME", scratch("faults"), 1);
    assert_true(sweep_faults(CR_FAULT_ALLOC, 0, write_all, NULL, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_writing),
        cmocka_unit_test(test_nowhere), cmocka_unit_test(test_not_a_folder),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
