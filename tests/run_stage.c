/* SPDX-License-Identifier: MIT */
#include "run_stage.h"

#include <dlfcn.h>
#include <errno.h>

static struct cr_registry *registry;

static void destroy_registry(void)
{
    cr_registry_destroy(&registry);
}

const struct cr_registry *stage_registry(void)
{
    if (registry != NULL)
        return registry;
    struct cr_error err = CR_ERROR_INIT;
    /* Whatever else the user has installed would come before the build tree. */
    unsetenv("CRAYON_PLUGIN_PATH");
    if (cr_registry_create(&registry, NULL, &err) < 0)
        fail_msg("no registry: %s", err.message);
    atexit(destroy_registry);
    /* The loader unloads drivers, and then nobody can tell that a leak is theirs: keep them. */
    if (getenv("CRAYON_TEST_VULKAN") != NULL)
        (void)dlopen("libvulkan_lvp.so", RTLD_LAZY | RTLD_NODELETE);
    return registry;
}

/* ---- Pipelines ---- */

static void print_findings(const struct cr_report *report, struct cr_text *text)
{
    for (size_t i = 0; i < cr_report_count(report); i++) {
        char *line = cr_finding_text(cr_report_get(report, i));
        cr_text_printf(text, "%s\n", line == NULL ? "out of memory" : line);
        cr_free(line);
    }
}

static void fail_with_findings(const struct cr_report *report, const struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    print_findings(report, &text);
    fail_msg("%s\n%s", err->message, text.data == NULL ? "" : text.data);
}

struct cr_pipeline *stage_parse(const char *json)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_report *report = cr_report_create();
    assert_non_null(report);
    if (cr_pipeline_parse(&pipeline, stage_registry(), json, strlen(json), source_path("test.json"),
                          NULL, 0, report, &err) < 0)
        fail_with_findings(report, &err);
    cr_report_destroy(&report);
    return pipeline;
}

struct cr_pipeline *stage_load(const char *path, const char *const *sets)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_report *report = cr_report_create();
    size_t count = 0;
    while (sets != NULL && sets[count] != NULL)
        count++;
    assert_non_null(report);
    if (cr_pipeline_load(&pipeline, stage_registry(), path, sets, count, report, &err) < 0)
        fail_with_findings(report, &err);
    cr_report_destroy(&report);
    return pipeline;
}

char *stage_mistakes(const char *json)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_text text = CR_TEXT_INIT;
    struct cr_report *report = cr_report_create();
    assert_non_null(report);
    int result = cr_pipeline_parse(&pipeline, stage_registry(), json, strlen(json), "test.json",
                                   NULL, 0, report, &err);
    assert_int_equal(result, CR_ERR_PIPELINE);
    assert_null(pipeline);
    print_findings(report, &text);
    cr_report_destroy(&report);
    return cr_text_take(&text);
}

/* ---- Runs ---- */

/* A plain buffer: what is logged must not count as the library's memory. */
static char log_text[8192];

static void append_log(void *user, enum cr_log_level level, const char *subject,
                       const char *message)
{
    (void)user, (void)level;
    size_t used = strlen(log_text);
    snprintf(log_text + used, sizeof(log_text) - used, "%s: %s\n", subject, message);
}

static const struct cr_log warnings = {.write = append_log, .level = CR_LOG_WARNING};

const char *stage_log(void)
{
    return log_text;
}

void stage_forget_log(void)
{
    log_text[0] = '\0';
}

int stage_run(struct cr_run **run, struct cr_pipeline *pipeline, const char *input,
              struct cr_value *value, const char *const *outputs, struct cr_error *err)
{
    const struct cr_run_hooks hooks = {.log = &warnings};
    int result = cr_run_create(run, pipeline, err);
    if (result == 0)
        cr_run_set_hooks(*run, &hooks);
    if (result == 0 && input != NULL)
        result = cr_run_set_input(*run, input, value, err);
    for (size_t i = 0; outputs[i] != NULL && result == 0; i++)
        result = cr_run_want(*run, outputs[i], err);
    cr_value_unref(&value);
    return result < 0 ? result : cr_run_execute(*run, err);
}

/* ---- Values ---- */

void stage_assert_map(const char *what, const struct cr_value *value, const int32_t *expected,
                      size_t count)
{
    if (value == NULL)
        fail_msg("%s: there is no output", what);
    const struct cr_tensor *tensor = cr_value_tensor(value);
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_tensor_dtype(tensor), CR_DTYPE_I32);
    assert_int_equal(cr_tensor_elements(tensor), (int64_t)count);
    int32_t *got = calloc(count + 1, sizeof(*got));
    assert_non_null(got);
    if (cr_tensor_read(tensor, got, count * sizeof(*got), &err) < 0)
        fail_msg("%s: %s", what, err.message);
    for (size_t i = 0; i < count; i++)
        if (got[i] != expected[i])
            fail_msg("%s: element %zu is %d, expected %d", what, i, got[i], expected[i]);
    free(got);
}

struct cr_image *stage_image(int32_t height, int32_t width, const char *name)
{
    struct cr_image *image = NULL;
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_image_create(&image, (struct cr_size){height, width}, &err);
    if (result == 0 && name != NULL)
        result = cr_image_set_name(image, name, &err);
    if (result < 0)
        fail_msg("%s", err.message);
    memset(cr_image_edit(image), 128, (size_t)height * (size_t)width * 3);
    return image;
}

struct cr_value *stage_images(struct cr_image *const *images, size_t count)
{
    struct cr_value *value = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_value_create(&value, CR_TYPE_IMAGE, count, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < count; i++) {
        struct cr_image *image = images[i];
        cr_value_set_image(value, i, image);
        cr_image_unref(&image);
    }
    return value;
}

/* ---- Faults ---- */

void stage_sweep(sweep_run attempt, void *user)
{
    sweep_faults(CR_FAULT_ALLOC, ENOMEM, attempt, NULL, user);
    sweep_faults(CR_FAULT_OPEN, EACCES, attempt, NULL, user);
    sweep_faults(CR_FAULT_READ, EIO, attempt, NULL, user);
    sweep_faults(CR_FAULT_OTHER, EIO, attempt, NULL, user);
}

struct attempt {
    struct cr_pipeline *pipeline;
    const char *input;
    struct cr_value *value;
    const char *const *outputs;
};

static int run_again(void *user, struct cr_error *err)
{
    const struct attempt *attempt = user;
    struct cr_run *run = NULL;
    struct cr_value *value = attempt->value == NULL ? NULL : cr_value_ref(attempt->value);
    int result = stage_run(&run, attempt->pipeline, attempt->input, value, attempt->outputs, err);
    cr_run_destroy(&run);
    return result;
}

void stage_sweep_run(struct cr_pipeline *pipeline, const char *input, struct cr_value *value,
                     const char *const *outputs)
{
    struct attempt attempt = {pipeline, input, value, outputs};
    stage_sweep(run_again, &attempt);
    cr_value_unref(&attempt.value);
    cr_pipeline_destroy(&attempt.pipeline);
}
