/* SPDX-License-Identifier: MIT */
/* Pipelines that differ in a stage, run one after the other: what is opened and run again, and what
 * is not. */
#include "pipeline/share.h"
#include "pipeline_stages.h"
#include "test.h"

static const char text[] =
    "{ \"crayon\": 1, \"inputs\": { \"text\": \"text\" }, \"stages\": {"
    "  \"a\": { \"use\": \"mark\", \"mark\": \"a\", \"in\": { \"text\": \"@text\" } },"
    "  \"b\": { \"use\": \"mark\", \"mark\": \"b\", \"in\": { \"text\": \"a.text\" } },"
    "  \"c\": { \"use\": \"mark\", \"mark\": \"c\", \"in\": { \"text\": \"b.text\" } } },"
    "  \"outputs\": { \"text\": \"c.text\", \"middle\": \"b.text\" } }";

#define MOST 3

struct case_ {
    const char *changes[MOST]; /* a change for each pipeline; NULL: the pipeline as it is */
    const char *results[MOST];
    const char *events;
};

static struct cr_pipeline *load(const struct cr_registry *registry, const char *change)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_report *report = cr_report_create();
    struct cr_pipeline *pipeline;
    assert_int_equal(cr_pipeline_parse(&pipeline, registry, text, strlen(text), "share.json",
                                       &change, change != NULL, report, &err),
                     0);
    cr_report_destroy(&report);
    return pipeline;
}

static int run_one(struct cr_run *runs[MOST], struct cr_pipeline *pipelines[MOST], size_t index,
                   struct cr_value *input, struct cr_error *err)
{
    struct cr_pipeline *const *later = pipelines + index + 1;
    const size_t count = MOST - index - 1;
    int result = cr_run_create(&runs[index], pipelines[index], err);
    if (result == 0)
        result = cr_run_set_input(runs[index], "text", input, err);
    if (result == 0)
        result = cr_run_want(runs[index], "text", err);
    if (result == 0)
        result = cr_run_keep(runs[index], later, count, err);
    for (size_t i = 0; i < index && result == 0; i++)
        result = cr_run_take_over(runs[index], runs[i], err);
    if (result == 0)
        result = cr_run_execute(runs[index], err);
    int handed = cr_pipeline_hand_on(pipelines[index], later, count, result == 0 ? err : NULL);
    return result == 0 ? handed : result;
}

static int run_case(void *user, struct cr_error *err)
{
    const struct case_ *c = user;
    struct cr_registry *registry = stages_registry();
    struct cr_pipeline *pipelines[MOST];
    struct cr_run *runs[MOST] = {NULL};
    struct cr_value *input = NULL;
    int result = cr_value_from_text(&input, "<", err);
    for (size_t i = 0; i < MOST; i++)
        pipelines[i] = load(registry, c->changes[i]);
    stages_forget();
    for (size_t i = 0; i < MOST && result == 0; i++)
        result = run_one(runs, pipelines, i, input, err);
    for (size_t i = 0; i < MOST && result == 0; i++)
        assert_text("result", cr_value_text(cr_run_output(runs[i], "text"), 0), c->results[i]);
    for (size_t i = MOST; i-- > 0;) {
        cr_run_destroy(&runs[i]);
        cr_pipeline_destroy(&pipelines[i]);
    }
    cr_value_unref(&input);
    cr_registry_destroy(&registry);
    return result;
}

static struct case_ cases[] = {
    /* the same three times: all is there after the first */
    {{NULL, NULL, NULL},
     {"<abc", "<abc", "<abc"},
     "open a\nrun a\nopen b\nrun b\nopen c\nrun c\nclose a\nclose b\nclose c\n"},
    /* the last stage differs: what comes before it is neither opened nor run again */
    {{NULL, "c.mark=C", "c.mark=x"},
     {"<abc", "<abC", "<abx"},
     "open a\nrun a\nopen b\nrun b\nopen c\nrun c\nclose c\n"
     "open C\nrun C\nclose C\nopen x\nrun x\n"},
    /* the first differs: the others are run again, and stay open */
    {{NULL, "a.mark=A", "a.mark=x"},
     {"<abc", "<Abc", "<xbc"},
     "open a\nrun a\nopen b\nrun b\nopen c\nrun c\nclose a\nopen A\nrun A\nrun b\nrun c\nclose A\n"
     "open x\nrun x\nrun b\nrun c\n"},
    /* the third is as the first was: nothing is left to do */
    {{NULL, "b.mark=B", NULL},
     {"<abc", "<aBc", "<abc"},
     "open a\nrun a\nopen b\nrun b\nopen c\nrun c\nopen B\nrun B\nrun c\nclose B\n"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        if (run_case(&cases[i], &err) < 0)
            fail_msg("case %zu: %s", i, err.message);
        if (strncmp(stages_events, cases[i].events, strlen(cases[i].events)) != 0)
            assert_text("events", stages_events, cases[i].events);
        /* Whatever was opened is closed in the end, once. */
        size_t opened = 0, closed = 0;
        for (const char *at = stages_events; (at = strstr(at, "open ")) != NULL; at++)
            opened++;
        for (const char *at = stages_events; (at = strstr(at, "close ")) != NULL; at++)
            closed++;
        assert_int_equal(opened, closed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
    };
    return cmocka_run_group_tests_name("pipeline_share", tests, NULL, NULL);
}
