/* SPDX-License-Identifier: MIT */
/* The whole of CoLLaVO, small: every allocation and every call for files fails, of loading the
 * pipeline, the weights and the tokenizer, and of the run. A run either gives the answer or says
 * why not, and leaves nothing behind. */
#include <errno.h>

#include "collavo.h"
#include "run_stage.h"

/* What is run, and what came out first. */
static struct {
    struct collavo files;
    const char *device;
    const struct cr_registry *registry;
    struct cr_value *image, *prompt;
    char answer[64];
} setting;

/* ---- One run ---- */

static int load(struct cr_pipeline **pipeline, struct cr_error *err)
{
    const struct cr_device_params params = {.threads = 2};
    struct cr_report *report = cr_report_create();
    *pipeline = NULL;
    if (report == NULL)
        return cr_fail_memory(err, 1);
    int result = cr_pipeline_load(pipeline, setting.registry, setting.files.pipeline,
                                  &setting.files.set, 1, report, err);
    if (result == 0)
        result = cr_pipeline_set_device(*pipeline, setting.device, &params, err);
    cr_report_destroy(&report);
    return result;
}

static void check_answer(const struct cr_run *run)
{
    const char *answer = cr_value_text(cr_run_output(run, "answer"), 0);
    if (setting.answer[0] == '\0')
        snprintf(setting.answer, sizeof(setting.answer), "%s", answer);
    assert_string_equal(answer, setting.answer);
    assert_string_equal(cr_value_text(cr_run_output(run, "again"), 0), setting.answer);
}

static int execute(struct cr_pipeline *pipeline, struct cr_error *err)
{
    struct cr_run *run = NULL;
    int result;
    if ((result = cr_run_create(&run, pipeline, err)) == 0 &&
        (result = cr_run_set_input(run, "image", setting.image, err)) == 0 &&
        (result = cr_run_set_input(run, "prompt", setting.prompt, err)) == 0 &&
        (result = cr_run_want(run, "answer", err)) == 0 &&
        (result = cr_run_want(run, "again", err)) == 0 &&
        (result = cr_run_want(run, "overlay", err)) == 0 &&
        (result = cr_run_execute(run, err)) == 0)
        check_answer(run);
    cr_run_destroy(&run);
    return result;
}

static int answer(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_pipeline *pipeline;
    int result = load(&pipeline, err);
    if (result == 0)
        result = execute(pipeline, err);
    cr_pipeline_destroy(&pipeline);
    return result;
}

/* ---- The core's calls ---- */

static void sweep(enum cr_fault_kind kind, int number, int least)
{
    int disturbed = sweep_sites(kind, number, answer, NULL, NULL);
    printf("# %d faults of kind %d\n", disturbed, (int)kind);
    assert_true(disturbed >= least);
}

static void test_memory(void **state)
{
    (void)state;
    sweep(CR_FAULT_ALLOC, ENOMEM, 200);
}

static void test_files(void **state)
{
    (void)state;
    sweep(CR_FAULT_OPEN, EMFILE, 3);
    sweep(CR_FAULT_READ, EIO, 5);
    sweep(CR_FAULT_OTHER, EIO, 5);
}

/* ---- Around ---- */

static int setup(void **state)
{
    (void)state;
    sweep_cjson();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = stage_image(42, 42, "photo.png");
    collavo_pixels(cr_image_edit(image));
    setting.files = collavo_write();
    setting.image = stage_images(&image, 1);
    assert_int_equal(cr_value_create(&setting.prompt, CR_TYPE_TEXT, 1, &err), 0);
    assert_int_equal(cr_value_set_text(setting.prompt, 0, COLLAVO_PROMPT, &err), 0);
    setting.registry = stage_registry();
    setting.device = "cpu";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cr_value_unref(&setting.image);
    cr_value_unref(&setting.prompt);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
