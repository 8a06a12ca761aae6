/* SPDX-License-Identifier: MIT */
/* Thousands of stages: nothing in the checks grows with their square. */
#include <time.h>

#include <crayon/memory.h>

#include "pipeline_stages.h"
#include "test.h"

/* Sanitizers and a busy machine may take a good part of it; without them it is a few hundredths. */
#define LIMIT 1.0

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Each stage takes from the one before it, the file has them from last to first. */
static void write_chain(struct cr_text *text, int count)
{
    cr_text_add(text, "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {");
    for (int i = count; i-- > 0;) {
        cr_text_printf(text, "\"s%d\": {\"use\": \"overlay\", \"in\": {\"image\": \"", i);
        cr_text_printf(text, i == 0 ? "@image" : "s%d.image", i - 1);
        cr_text_printf(text, "\", \"panoptic\": \"m%d.panoptic\"}},", i);
        cr_text_printf(
            text,
            "\"m%d\": {\"use\": \"segment\", \"file\": \"f%d.json\", \"in\": {\"image\": "
            "\"@image\"}}%s",
            i, i, i == 0 ? "" : ",");
    }
    cr_text_printf(text, "}, \"outputs\": {\"last\": \"s%d.image\"}}", count - 1);
}

/* All stages and as many inputs lead into one. */
static void write_fan(struct cr_text *text, int count)
{
    cr_text_add(text, "{\"crayon\": 1, \"inputs\": {");
    for (int i = 0; i < count; i++)
        cr_text_printf(text, "%s\"i%d\": \"text\"", i == 0 ? "" : ",", i);
    cr_text_add(text, "}, \"stages\": {\"all\": {\"use\": \"mark\", \"in\": {\"text\": [");
    for (int i = 0; i < count; i++)
        cr_text_printf(text, "%s\"s%d.text\", \"@i%d\"", i == 0 ? "" : ",", i, i);
    cr_text_add(text, "]}}");
    for (int i = 0; i < count; i++)
        cr_text_printf(text, ", \"s%d\": {\"use\": \"mark\", \"in\": {\"text\": \"@i%d\"}}", i, i);
    cr_text_add(text, "}, \"outputs\": {\"all\": \"all.text\"}}");
}

/* Every stage is part of one ring. */
static void write_ring(struct cr_text *text, int count)
{
    cr_text_add(text, "{\"crayon\": 1, \"stages\": {");
    for (int i = 0; i < count; i++)
        cr_text_printf(text, "%s\"s%d\": {\"use\": \"mark\", \"in\": {\"text\": \"s%d.text\"}}",
                       i == 0 ? "" : ",", i, (i + 1) % count);
    cr_text_add(text, "}, \"outputs\": {\"out\": \"s0.text\"}}");
}

/* Every stage misspells an option and the one that it takes from. */
static void write_mess(struct cr_text *text, int count)
{
    cr_text_add(text, "{\"crayon\": 1, \"stages\": {");
    for (int i = 0; i < count; i++)
        cr_text_printf(text,
                       "%s\"stage%d\": {\"use\": \"segment\", \"treshold\": 1, \"in\": {\"image\": "
                       "\"stgae%d.image\"}}",
                       i == 0 ? "" : ",", i, i);
    cr_text_add(text, "}, \"outputs\": {\"out\": \"stage0.grid\"}}");
}

static double check(const char *name, void (*write)(struct cr_text *, int), int count,
                    size_t errors)
{
    struct cr_registry *registry = stages_registry();
    struct cr_report *report = cr_report_create();
    struct cr_pipeline *pipeline;
    struct cr_text text = CR_TEXT_INIT;
    struct cr_error err = CR_ERROR_INIT;
    write(&text, count);
    double start = now();
    int result = cr_pipeline_parse(&pipeline, registry, text.data, text.size, "large.json", NULL, 0,
                                   report, &err);
    double seconds = now() - start;
    assert_int_equal(result, errors == 0 ? 0 : CR_ERR_PIPELINE);
    assert_int_equal(cr_report_errors(report), errors);
    assert_int_equal(cr_report_count(report), errors);
    printf("# %s of %d: %.0f ms\n", name, count, 1e3 * seconds);
    cr_pipeline_destroy(&pipeline);
    cr_text_finish(&text);
    cr_report_destroy(&report);
    cr_registry_destroy(&registry);
    return seconds;
}

static void test_thousand(void **state)
{
    (void)state;
    assert_true(check("chain", write_chain, 1000, 0) < LIMIT);
    assert_true(check("fan", write_fan, 1000, 0) < LIMIT);
    assert_true(check("ring", write_ring, 1000, 1) < LIMIT);
    assert_true(check("mess", write_mess, 1000, 2000) < 3 * LIMIT);
}

/* Five times as much takes not twenty-five times as long. */
static void test_five_thousand(void **state)
{
    (void)state;
    assert_true(check("chain", write_chain, 5000, 0) < 5 * LIMIT);
    assert_true(check("fan", write_fan, 5000, 0) < 5 * LIMIT);
    assert_true(check("ring", write_ring, 5000, 1) < 5 * LIMIT);
}

/* The chain runs as well, and is let go without a deep stack. */
static void write_line(struct cr_text *text, int count)
{
    cr_text_add(text, "{\"crayon\": 1, \"stages\": {\"s0\": {\"use\": \"mark\"}");
    for (int i = 1; i < count; i++)
        cr_text_printf(text, ", \"s%d\": {\"use\": \"mark\", \"in\": {\"text\": \"s%d.text\"}}", i,
                       i - 1);
    cr_text_printf(text, "}, \"outputs\": {\"out\": \"s%d.text\"}}", count - 1);
}

static void test_run(void **state)
{
    (void)state;
    struct cr_registry *registry = stages_registry();
    struct cr_text text = CR_TEXT_INIT;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run;
    write_line(&text, 5000);
    struct cr_pipeline *pipeline = stages_pipeline(registry, "line.json", text.data);
    cr_text_finish(&text);
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    assert_int_equal(cr_run_want(run, "out", &err), 0);
    assert_int_equal(cr_run_execute(run, &err), 0);
    assert_int_equal(cr_run_times(run), 5000);
    assert_string_equal(cr_value_text(cr_run_output(run, "out"), 0), "");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    cr_registry_destroy(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_thousand),
                                       cmocka_unit_test(test_five_thousand),
                                       cmocka_unit_test(test_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
