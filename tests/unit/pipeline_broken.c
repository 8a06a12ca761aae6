/* SPDX-License-Identifier: MIT */
/* Every file in tests/pipelines/broken says what its mistakes are, in a file beside it. */
#include <dirent.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "pipeline_stages.h"
#include "test.h"

static int is_case(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".json") == 0;
}

static void check_case(const struct cr_registry *registry, const char *name)
{
    char expected_path[300];
    snprintf(expected_path, sizeof(expected_path), "%.*s.expected", (int)strlen(name) - 5, name);
    const char *expected = read_test_file(expected_path, NULL);
    struct cr_report *report = cr_report_create();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline;
    int result = cr_pipeline_load(&pipeline, registry, name, NULL, 0, report, &err);
    char *got = stages_report(report);
    assert_text(name, got, expected);
    if (result != CR_ERR_PIPELINE || pipeline != NULL || strstr(err.message, name) == NULL)
        fail_msg("%s: result %d, %s", name, result, err.message);
    cr_free(got);
    cr_report_destroy(&report);
}

static void test_broken(void **state)
{
    (void)state;
    struct cr_registry *registry = stages_registry();
    struct dirent **entries;
    assert_int_equal(chdir(source_path("tests/pipelines/broken")), 0);
    int count = scandir(".", &entries, is_case, alphasort);
    assert_true(count >= 45);
    for (int i = 0; i < count; i++) {
        check_case(registry, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    cr_registry_destroy(&registry);
    printf("# %d files\n", count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
