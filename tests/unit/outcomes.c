/* SPDX-License-Identifier: MIT */
#include "plugin/outcomes.h"
#include "test.h"

#define HEADER "crayon plugin outcomes 1 " CR_VERSION "\n"

static const char *file(void)
{
    return scratch("cache/crayon/plugins");
}

static int set_up(void **unused)
{
    (void)unused;
    setenv("XDG_CACHE_HOME", scratch("cache"), 1);
    return mkdir(scratch("cache"), 0700) < 0 || mkdir(scratch("cache/crayon"), 0700) < 0 ? -1 : 0;
}

static struct stat status(ino_t inode)
{
    struct stat st = {.st_dev = 5, .st_ino = inode, .st_size = 7};
    st.st_mtim.tv_sec = 3;
    st.st_mtim.tv_nsec = 9;
    return st;
}

/* What is known of /a.so when the file holds this text. */
static void check_text(const char *text, size_t size, const char *expected)
{
    struct cr_outcomes outcomes;
    struct stat st = status(6);
    write_test_file(file(), text, size);
    cr_outcomes_load(&outcomes);
    const char *known = cr_outcomes_find(&outcomes, "/a.so", &st);
    assert_text(text, known == NULL ? "nothing" : known, expected);
    cr_outcomes_finish(&outcomes);
}

static void test_round_trip(void **unused)
{
    (void)unused;
    struct cr_outcomes outcomes;
    struct stat a = status(6), b = status(UINT32_MAX);
    cr_outcomes_load(&outcomes);
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &a));
    cr_outcomes_add(&outcomes, "/a.so", &a, "ok");
    cr_outcomes_add(&outcomes, "/with space.so", &b, "crashed: Aborted");
    cr_outcomes_add(&outcomes, "/with\ttab.so", &a, "ok");
    cr_outcomes_add(&outcomes, "/with\nline.so", &a, "ok");
    cr_outcomes_save(&outcomes, NULL);
    cr_outcomes_finish(&outcomes);

    assert_text("file", read_test_file(file(), NULL),
                HEADER "5\t6\t7\t3000000009\tok\t/a.so\n"
                       "5\t4294967295\t7\t3000000009\tcrashed: Aborted\t/with space.so\n");
    cr_outcomes_load(&outcomes);
    assert_string_equal(cr_outcomes_find(&outcomes, "/a.so", &a), "ok");
    assert_string_equal(cr_outcomes_find(&outcomes, "/with space.so", &b), "crashed: Aborted");
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &b));
    a.st_size++;
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &a));
    a = status(6);
    a.st_mtim.tv_nsec++;
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &a));
    a = status(6);
    a.st_dev++;
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &a));

    /* a newer outcome takes the place of the older one */
    a = status(8);
    cr_outcomes_add(&outcomes, "/a.so", &a, "exited");
    assert_string_equal(cr_outcomes_find(&outcomes, "/a.so", &a), "exited");
    a = status(6);
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &a));
    assert_int_equal(outcomes.count, 2);
    cr_outcomes_finish(&outcomes);
}

#define LINE "5\t6\t7\t3000000009\tok\t/a.so\n"

static void test_doubtful(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {HEADER LINE, "ok"},
        {HEADER "nonsense\n" LINE, "ok"},
        {HEADER "\n\n" LINE "\n", "ok"},
        {HEADER "1\t2\n" LINE, "ok"},
        {HEADER "5\t6\t7\t3000000009\tok\t/a.so", "nothing"}, /* cut off */
        {HEADER "5\t6\t7\t3000000009\tok\n", "nothing"},
        {HEADER "5\t6\t7\t3000000009\t\t/a.so\n", "nothing"},
        {HEADER "5\t6\t7\t3000000009\tok\ta.so\n", "nothing"},
        {HEADER "5\t6\t7\t3000000009\tok\t/a.so\tmore\n", "nothing"},
        {HEADER "5\t6\t7\t-3000000009\tok\t/a.so\n", "nothing"},
        {HEADER "5\t6\t \t3000000009\tok\t/a.so\n", "nothing"},
        {HEADER "18446744073709551621\t6\t7\t3000000009\tok\t/a.so\n", "nothing"},
        {"crayon plugin outcomes 1 99.0.0\n" LINE, "nothing"},
        {"crayon plugin outcomes 2 " CR_VERSION "\n" LINE, "nothing"},
        {LINE, "nothing"},
        {"", "nothing"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_text(cases[i].text, strlen(cases[i].text), cases[i].expected);
    static const char with_nul[] = HEADER "5\t6\t7\t3000000009\tok\t/a.so\0x\n";
    check_text(with_nul, sizeof(with_nul) - 1, "nothing");
}

/* Old lines give way to new ones. */
static void test_limit(void **unused)
{
    (void)unused;
    struct cr_outcomes outcomes;
    write_test_text(file(), HEADER);
    cr_outcomes_load(&outcomes);
    for (int i = 0; i < 1005; i++) {
        char path[20];
        struct stat st = status(1);
        snprintf(path, sizeof(path), "/%d.so", i);
        cr_outcomes_add(&outcomes, path, &st, "ok");
    }
    assert_int_equal(outcomes.count, 1000);
    struct stat st = status(1);
    assert_null(cr_outcomes_find(&outcomes, "/4.so", &st));
    assert_non_null(cr_outcomes_find(&outcomes, "/5.so", &st));
    assert_non_null(cr_outcomes_find(&outcomes, "/1004.so", &st));
    cr_outcomes_save(&outcomes, NULL);
    cr_outcomes_finish(&outcomes);
    cr_outcomes_load(&outcomes);
    assert_int_equal(outcomes.count, 1000);
    cr_outcomes_finish(&outcomes);
}

static void test_no_place(void **unused)
{
    (void)unused;
    struct cr_outcomes outcomes;
    struct stat st = status(6);
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "", 1);
    cr_outcomes_load(&outcomes);
    cr_outcomes_add(&outcomes, "/a.so", &st, "ok");
    assert_null(cr_outcomes_find(&outcomes, "/a.so", &st));
    cr_outcomes_save(&outcomes, NULL);
    cr_outcomes_finish(&outcomes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_doubtful),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_place),
    };
    return cmocka_run_group_tests_name("outcomes", tests, set_up, NULL);
}
