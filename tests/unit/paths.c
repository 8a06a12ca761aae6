/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/paths.h"
#include "fault_sweep.h"
#include "test.h"

/* Takes `got`. */
static void assert_path(const char *what, char *got, const char *expected)
{
    assert_text(what, got != NULL ? got : "(none)", expected != NULL ? expected : "(none)");
    cr_free(got);
}

static void takes_names_apart(void **state)
{
    (void)state;
    static const struct {
        const char *path, *folder, *base, *stem;
    } cases[] = {
        {"a.png", ".", "a.png", "a"},
        {"x/a.png", "x", "a.png", "a"},
        {"/a", "/", "a", "a"},
        {"/x/y.d/a.tar.gz", "/x/y.d", "a.tar.gz", "a.tar"},
        {".hidden", ".", ".hidden", ".hidden"},
        {"x/.hidden.txt", "x", ".hidden.txt", ".hidden"},
        {"a.", ".", "a.", "a"},
        {"", ".", "", ""},
        {"x.d/", "x.d", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_path(cases[i].path, cr_path_folder(cases[i].path), cases[i].folder);
        assert_text(cases[i].path, cr_path_base(cases[i].path), cases[i].base);
        assert_path(cases[i].path, cr_path_stem(cases[i].path), cases[i].stem);
    }
}

static void joins(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"x", "a", "x/a"}, {"x/", "a", "x/a"}, {"/", "a", "/a"},        {"x", "/a", "/a"},
        {".", "a", "a"},   {"", "a", "a"},     {"x", "../a", "x/../a"}, {"x/y", "b/c", "x/y/b/c"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_path(cases[i][0], cr_path_join(cases[i][0], cases[i][1]), cases[i][2]);
}

static void set(const char *name, const char *value)
{
    if (value == NULL)
        unsetenv(name);
    else
        setenv(name, value, 1);
}

static void user_folders_follow_xdg(void **state)
{
    (void)state;
    static const struct {
        const char *xdg, *home, *cache, *data;
    } cases[] = {
        {"/xdg", "/home/u", "/xdg/crayon", "/xdg/crayon"},
        {"/xdg/", NULL, "/xdg/crayon", "/xdg/crayon"},
        {"relative", "/home/u", "/home/u/.cache/crayon", "/home/u/.local/share/crayon"},
        {"", "/home/u", "/home/u/.cache/crayon", "/home/u/.local/share/crayon"},
        {NULL, "/home/u", "/home/u/.cache/crayon", "/home/u/.local/share/crayon"},
        {NULL, "relative", NULL, NULL},
        {NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set("XDG_CACHE_HOME", cases[i].xdg);
        set("XDG_DATA_HOME", cases[i].xdg);
        set("HOME", cases[i].home);
        assert_path("cache", cr_path_user_cache(), cases[i].cache);
        assert_path("data", cr_path_user_data(), cases[i].data);
    }
}

static void knows_the_build_tree(void **state)
{
    (void)state;
    const char *build = getenv("top_builddir"), *source = getenv("top_srcdir");
    if (build == NULL || source == NULL)
        skip_because("top_builddir and top_srcdir are not set");
    char *real_build = realpath(build, NULL), *real_source = realpath(source, NULL);
    assert_path("build tree", cr_path_build_tree(), real_build);
    assert_path("source tree", cr_path_source_tree(), real_source);
    assert_false(cr_is_privileged());

    char expected[4096];
    snprintf(expected, sizeof(expected), "%s/core/crayon.map", real_source);
    assert_path("source file", cr_data_path("core/crayon.map"), expected);
    snprintf(expected, sizeof(expected), "%s/Makefile", real_build);
    assert_path("built file", cr_data_path("Makefile"), expected);
    assert_path("no file", cr_data_path("core/no-such-file"), NULL);
    free(real_build);
    free(real_source);
}

/* Without memory or with a failed stat() there is no path; nothing else happens. */
static int find_data(void *user, struct cr_error *err)
{
    (void)user, (void)err;
    cr_free(cr_data_path("core/crayon.map"));
    cr_free(cr_data_path("core/no-such-file"));
    return 0;
}

static void finding_fails_cleanly(void **state)
{
    (void)state;
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, find_data, NULL, NULL) > 10);
    assert_true(sweep_faults(CR_FAULT_OTHER, EIO, find_data, NULL, NULL) > 10);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, find_data, NULL, NULL) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_names_apart),       cmocka_unit_test(joins),
        cmocka_unit_test(user_folders_follow_xdg), cmocka_unit_test(knows_the_build_tree),
        cmocka_unit_test(finding_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
