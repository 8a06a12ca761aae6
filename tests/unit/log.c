/* SPDX-License-Identifier: MIT */
#include <crayon/log.h>

#include "test.h"

static char last[4096];
static int calls;

static void record(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    assert_ptr_equal(user, &calls);
    snprintf(last, sizeof(last), "%d %s %s", (int)level, subject, message);
    calls++;
}

static void passes_on_what_the_level_allows(void **state)
{
    (void)state;
    const struct cr_log log = {.write = record, .user = &calls, .level = CR_LOG_WARNING};
    calls = 0;
    cr_log_write(&log, CR_LOG_INFO, "s", "not %d", 1);
    cr_log_write(NULL, CR_LOG_ERROR, "s", "not %d", 2);
    cr_log_write(&(struct cr_log){.level = CR_LOG_DEBUG}, CR_LOG_ERROR, "s", "not %d", 3);
    assert_int_equal(calls, 0);
    cr_log_write(&log, CR_LOG_WARNING, "stage", "size %d", 4);
    assert_string_equal(last, "1 stage size 4");
    cr_log_write(&log, CR_LOG_ERROR, "stage", "%s", "no");
    assert_string_equal(last, "0 stage no");
    assert_int_equal(calls, 2);
}

static void marks_the_cut_of_a_long_message(void **state)
{
    (void)state;
    const struct cr_log log = {.write = record, .user = &calls, .level = CR_LOG_DEBUG};
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cr_log_write(&log, CR_LOG_DEBUG, "s", "%s", text);
    assert_string_equal(last + strlen(last) - 4, "x...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_on_what_the_level_allows),
        cmocka_unit_test(marks_the_cut_of_a_long_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
