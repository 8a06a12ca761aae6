/* SPDX-License-Identifier: MIT */
/* Plans of memory: against what runs then measure, on the CPU, or on the device that
 * CRAYON_TEST_VULKAN names. */
#include <unistd.h>

#include "run_stage.h"

static const char *device(void)
{
    static char name[128];
    const char *vulkan = getenv("CRAYON_TEST_VULKAN");
    snprintf(name, sizeof(name), vulkan != NULL ? "vulkan:%s" : "cpu", vulkan);
    return name;
}

/* A small CoLLaVO on ids; `crayon`, `vision` and `llm` are options that end with a comma. */
static struct cr_pipeline *collavo(const char *crayon, const char *vision, const char *llm)
{
    static const char format[] =
        "{'crayon': 1, 'inputs': {'image': 'image', 'ids': 'tokens'}, 'stages': {"
        "'segment': {'use': 'segment-grid', 'in': {'image': '@image'}},"
        "'crayon': {'use': 'crayon-encoder', 'model': '%s', 'grid': [3, 3], %s"
        " 'in': {'panoptic': 'segment.panoptic'}},"
        "'vision': {'use': 'vision-clip', 'model': '%s', 'config': '%s/clip_config.json',"
        " 'input_size': [42, 42], %s 'in': {'image': '@image'}},"
        "'llm': {'use': 'llm-internlm', 'model': '%s', 'ignore_eos': %s, %s"
        " 'in': {'ids': '@ids', 'image': 'vision.features', 'crayon': 'crayon.features'}}},"
        "'outputs': {'tokens': 'llm.tokens', 'objects': 'crayon.objects'}}";
    const char *model = source_path("tests/golden/collavo_e2e");
    struct cr_error err = CR_ERROR_INIT;
    const char *goes_on = strstr(llm, "'eos'") == NULL ? "true" : "false";
    char *json = cr_asprintf(format, model, crayon, model, model, vision, model, goes_on, llm);
    assert_non_null(json);
    for (char *c = json; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    struct cr_pipeline *pipeline = stage_parse(json);
    cr_free(json);
    assert_int_equal(cr_pipeline_set_device(pipeline, device(), NULL, &err), 0);
    return pipeline;
}

/* A picture, and a prompt with one in it. */
static struct cr_run *prepare(struct cr_pipeline *pipeline)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = stage_image(60, 80, NULL);
    struct cr_value *images = stage_images(&image, 1), *ids = NULL;
    int32_t list[32] = {1, 160}; /* 160: <image> */
    for (int i = 2; i < 32; i++)
        list[i] = i;
    assert_int_equal(cr_value_create(&ids, CR_TYPE_TOKENS, 1, &err), 0);
    assert_int_equal(cr_value_set_tokens(ids, 0, list, COUNT(list), &err), 0);
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    assert_int_equal(cr_run_set_input(run, "image", images, &err), 0);
    assert_int_equal(cr_run_set_input(run, "ids", ids, &err), 0);
    assert_int_equal(cr_run_want(run, "tokens", &err), 0);
    cr_value_unref(&images);
    cr_value_unref(&ids);
    return run;
}

static double measured_peak(const struct cr_run *run, size_t stage)
{
    for (size_t i = 0; i < cr_run_figures(run, stage); i++) {
        struct cr_figure figure = cr_run_figure(run, stage, i);
        if (strcmp(figure.name, "device_peak_bytes") == 0)
            return figure.value;
    }
    return 0;
}

/* Plan and run; every stage on a device has to take what was planned, give or take `tolerance`. */
static void compare(const char *what, struct cr_pipeline *pipeline, double tolerance)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = prepare(pipeline);
    if (cr_run_plan(run, &err) < 0 || cr_run_execute(run, &err) < 0)
        fail_msg("%s: %s", what, err.message);
    assert_int_equal(cr_run_planned_stages(run), cr_run_times(run));
    int compared = 0;
    for (size_t i = 0; i < cr_run_times(run); i++) {
        const struct cr_stage_plan plan = cr_run_planned_stage(run, i);
        const double peak = measured_peak(run, i);
        assert_string_equal(plan.name, cr_run_time(run, i).name);
        if (cr_run_device(run, i) == NULL) {
            assert_null(plan.device);
            continue;
        }
        assert_string_equal(plan.device, cr_run_device(run, i));
        if ((double)plan.peak < peak * (1 - tolerance) ||
            (double)plan.peak > peak * (1 + tolerance))
            fail_msg("%s: stage \"%s\": %llu bytes planned, %.0f measured", what, plan.name,
                     (unsigned long long)plan.peak, peak);
        compared++;
    }
    assert_int_equal(compared, 3);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void equals_what_is_measured(void **state)
{
    (void)state;
    compare("f32", collavo("'weights': 'f32',", "'weights': 'f32',", "'weights': 'f32',"), 0);
    compare("nf4", collavo("", "", "'weights': 'nf4', 'max_tokens': 100, 'context': 200,"), 0);
    compare("beams", collavo("", "", "'beams': 3, 'max_tokens': 20,"), 0);
    compare("released",
            collavo("'release': true,", "'release': true,", "'release': true, 'max_tokens': 9,"),
            0);
    compare("added", collavo("", "'weights': 'q8_0',", "'crayon': 'add', 'max_tokens': 1,"), 0);
}

/* A device that counts reads zeros: every token is 0, also where that ends an answer. */
static void ends_with_zeros(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline =
        collavo("", "", "'beams': 2, 'repetition_penalty': 1.2, 'eos': [0], 'max_tokens': 8,");
    struct cr_run *run = prepare(pipeline);
    if (cr_run_plan(run, &err) < 0)
        fail_msg("%s", err.message);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Weight files are closed when every stage that reads them is. */
static void closes_what_is_released(void **state)
{
    (void)state;
    static const char released[] = "'release': true,";
    struct cr_error err = CR_ERROR_INIT;
    if (access("/proc/self/fd", R_OK) != 0 || strcmp(device(), "cpu") != 0)
        skip_because("open files are counted in /proc, on the CPU, which opens none itself");
    const size_t before = count_files("/proc/self/fd");
    struct cr_pipeline *pipeline = collavo(released, released, "'max_tokens': 2,");
    struct cr_run *run = prepare(pipeline);
    assert_int_equal(cr_run_check_memory(run, &err), 0);
    assert_int_equal(cr_run_execute(run, &err), 0);
    assert_int_equal(count_files("/proc/self/fd"), before + 1); /* that of the language model */
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    pipeline = collavo(released, released, "'release': true, 'max_tokens': 2,");
    run = prepare(pipeline);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cr_run_check_memory(run, &err), 0);
        assert_int_equal(cr_run_execute(run, &err), 0);
        assert_int_equal(count_files("/proc/self/fd"), before);
    }
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_what_is_measured),
        cmocka_unit_test(ends_with_zeros),
        cmocka_unit_test(closes_what_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
