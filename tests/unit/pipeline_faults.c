/* SPDX-License-Identifier: MIT */
/* Every allocation, and every call for the files of a pipeline, fails once. */
#include <errno.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "pipeline_stages.h"
#include "test.h"

static struct cr_registry *registry;

static const char base_text[] =
    "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\n"
    " \"a\": {\"use\": \"mark\", \"mark\": \"a\", \"in\": {\"text\": \"@in\"}},\n"
    " \"b\": {\"use\": \"mark\", \"mark\": \"b\", \"batch\": 2, \"in\": {\"text\": [\"a.text\", "
    "\"@in\"]}},\n"
    " \"n\": {\"use\": \"count\", \"batch\": 2, \"release\": true, \"in\": {\"text\": "
    "\"b.text\"}},\n"
    " \"photo\": {\"use\": \"photo\", \"path\": \"a.png\"},\n"
    " \"s\": {\"use\": \"segment\", \"file\": \"f\", \"labels\": [\"x\", \"y\"], \"sides\": [1, "
    "2],\n"
    "       \"max_side\": 100000, \"in\": {\"image\": \"photo.image\"}}},\n"
    " \"outputs\": {\"b\": \"b.text\", \"n\": \"n.tensor\", \"t\": \"n.tokens\", \"s\": "
    "\"s.grid\"}}";

static const char top_text[] = "{\"crayon\": 1, \"extends\": \"base.json\",\n"
                               " \"stages\": {\"s\": {\"use\": \"blobs\", \"threshold\": 0.25}}, "
                               "\"outputs\": {\"s\": \"s.panoptic\"}}";

static int load(struct cr_pipeline **pipeline, size_t *notes, struct cr_error *err)
{
    const char *sets[] = {"a.mark=z", "b.x-note=[1, 2]"};
    struct cr_report *report = cr_report_create();
    *pipeline = NULL;
    if (report == NULL)
        return cr_fail_memory(err, 1);
    int result =
        cr_pipeline_load(pipeline, registry, scratch("top.json"), sets, COUNT(sets), report, err);
    /* A file that cannot be read is a mistake of the one that extends it. */
    if (cr_report_errors(report) > 0 && result != CR_ERR_PIPELINE)
        fail_msg("mistakes, and the result %d", result);
    *notes = cr_report_count(report);
    cr_report_destroy(&report);
    return result;
}

static int sweep_load(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_pipeline *pipeline;
    size_t notes;
    int result = load(&pipeline, &notes, err);
    assert_int_equal(result == 0, pipeline != NULL);
    cr_pipeline_destroy(&pipeline);
    return result;
}

/* The whole way, of what runs. */
static int execute(struct cr_pipeline *pipeline, struct cr_value *input, struct cr_error *err)
{
    struct cr_run *run = NULL;
    int result;
    if ((result = cr_run_create(&run, pipeline, err)) == 0 &&
        (result = cr_run_set_input(run, "in", input, err)) == 0 &&
        (result = cr_run_want(run, "b", err)) == 0 && (result = cr_run_want(run, "n", err)) == 0 &&
        (result = cr_run_want(run, "t", err)) == 0 && (result = cr_run_execute(run, err)) == 0)
        assert_string_equal(cr_value_text(cr_run_output(run, "b"), 2), "3z3b");
    cr_run_destroy(&run);
    return result;
}

static int sweep_run_all(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_pipeline *pipeline;
    struct cr_value *input = NULL;
    char *json = NULL, *dot = NULL, *schema = NULL;
    size_t notes;
    int result;
    if ((result = load(&pipeline, &notes, err)) == 0 &&
        (result = cr_pipeline_print(pipeline, &json, err)) == 0 &&
        (result = cr_pipeline_graph(pipeline, &dot, err)) == 0 &&
        (result = cr_pipeline_schema(registry, &schema, err)) == 0 &&
        (result = cr_value_create(&input, CR_TYPE_TEXT, 3, err)) == 0 &&
        (result = cr_value_set_text(input, 0, "1", err)) == 0 &&
        (result = cr_value_set_text(input, 1, NULL, err)) == 0 &&
        (result = cr_value_set_text(input, 2, "3", err)) == 0)
        result = execute(pipeline, input, err);
    cr_value_unref(&input);
    cr_free(json);
    cr_free(dot);
    cr_free(schema);
    cr_pipeline_destroy(&pipeline);
    return result;
}

static void test_memory(void **state)
{
    (void)state;
    int disturbed = sweep_faults(CR_FAULT_ALLOC, ENOMEM, sweep_run_all, NULL, NULL);
    printf("# %d allocations\n", disturbed);
    assert_true(disturbed > 500);
}

static void test_files(void **state)
{
    (void)state;
    assert_true(sweep_faults(CR_FAULT_OPEN, EACCES, sweep_load, NULL, NULL) == 2);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, sweep_load, NULL, NULL) >= 2);
    assert_true(sweep_faults(CR_FAULT_OTHER, EIO, sweep_load, NULL, NULL) >= 2);
}

static int setup(void **state)
{
    (void)state;
    sweep_cjson();
    registry = stages_registry();
    write_test_text(scratch("base.json"), base_text);
    write_test_text(scratch("top.json"), top_text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cr_registry_destroy(&registry);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
