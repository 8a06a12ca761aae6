/* SPDX-License-Identifier: MIT */
/* The whole of CoLLaVO, small: every allocation and every call for files fails, of loading the
 * pipeline, the weights and the tokenizer, and of the run; and, where $CRAYON_TEST_VULKAN names a
 * driver, every Vulkan call. A run either gives the answer or says why not, and leaves nothing
 * behind. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>

#include "base/json.h"
#include "collavo.h"
#include "run_stage.h"
#ifdef WITH_VULKAN
#include "faulty/faulty.h"
#endif

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

static int execute(struct cr_pipeline *pipeline, const char *const *wanted,
                   void (*check)(const struct cr_run *run), struct cr_error *err)
{
    struct cr_run *run = NULL;
    int result;
    if ((result = cr_run_create(&run, pipeline, err)) == 0 &&
        (result = cr_run_set_input(run, "image", setting.image, err)) == 0)
        result = cr_run_set_input(run, "prompt", setting.prompt, err);
    for (; *wanted != NULL && result == 0; wanted++)
        result = cr_run_want(run, *wanted, err);
    if (result == 0 && (result = cr_run_execute(run, err)) == 0)
        check(run);
    cr_run_destroy(&run);
    return result;
}

static int answer(void *user, struct cr_error *err)
{
    (void)user;
    static const char *const wanted[] = {"answer", "again", "overlay", NULL};
    struct cr_pipeline *pipeline;
    int result = load(&pipeline, err);
    if (result == 0)
        result = execute(pipeline, wanted, check_answer, err);
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

/* ---- The recorded pipeline ---- */

/* At the real geometry: 1225 rows for the picture. */
static struct {
    char *name, *text;
    int32_t tokens[64];
    size_t count; /* 0: not known yet */
} recorded;

static void check_recorded(const struct cr_run *run)
{
    size_t count;
    const int32_t *tokens = cr_value_tokens(cr_run_output(run, "tokens"), 0, &count);
    assert_true(count > 0 && count <= COUNT(recorded.tokens));
    if (recorded.count == 0)
        memcpy(recorded.tokens, tokens, count * sizeof(*tokens));
    recorded.count = count;
    assert_memory_equal(recorded.tokens, tokens, count * sizeof(*tokens));
}

static int answer_recorded(void *user, struct cr_error *err)
{
    (void)user;
    static const char *const wanted[] = {"tokens", "semantic", NULL};
    struct cr_pipeline *pipeline = NULL;
    struct cr_report *report = cr_report_create();
    int result = report == NULL ? cr_fail_memory(err, 1) : 0;
    if (result == 0)
        result = cr_pipeline_parse(&pipeline, setting.registry, recorded.text,
                                   strlen(recorded.text), recorded.name, NULL, 0, report, err);
    cr_report_destroy(&report);
    if (result == 0)
        result = cr_pipeline_set_device(pipeline, setting.device, NULL, err);
    if (result == 0)
        result = execute(pipeline, wanted, check_recorded, err);
    cr_pipeline_destroy(&pipeline);
    return result;
}

static void test_recorded(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    cJSON *json = NULL;
    const char *path = shared_path("goldens/pipeline/demo.case.json");
    if (cr_json_load(&json, path, &err) < 0)
        fail_msg("%s", err.message);
    recorded.name = cr_strdup(path);
    recorded.text = cJSON_PrintUnformatted(cr_json_get(json, "pipeline"));
    cJSON_Delete(json);
    assert_non_null(recorded.text);
    if (answer_recorded(NULL, &err) < 0)
        fail_msg("%s", err.message);
    int disturbed = sweep_some(CR_FAULT_ALLOC, ENOMEM, answer_recorded, NULL, NULL) +
                    sweep_some(CR_FAULT_OPEN, EMFILE, answer_recorded, NULL, NULL) +
                    sweep_some(CR_FAULT_READ, EIO, answer_recorded, NULL, NULL);
    printf("# %d faults\n", disturbed);
    assert_true(disturbed > 40);
    cJSON_free(recorded.text);
    cr_free(recorded.name);
}

#ifdef WITH_VULKAN
/* ---- Vulkan's calls ---- */

static const struct faulty *vulkan;
static struct cr_registry *faulty_registry;

static void check_failure(const char *call, int n, VkResult failure)
{
    struct cr_error err = CR_ERROR_INIT;
    int64_t live = cr_memory_live();
    vulkan->let_fail(call, n, failure);
    int result = answer(NULL, &err);
    vulkan->let_fail(NULL, 0, VK_SUCCESS);
    if (vulkan->objects() != 0 || cr_memory_live() != live)
        fail_msg("%s: %d Vulkan objects and %lld allocations are left", call, vulkan->objects(),
                 (long long)(cr_memory_live() - live));
    if (result < 0 && (err.code != result || (strstr(err.message, "VK_ERROR_") == NULL &&
                                              strstr(err.message, "vulkan:") == NULL)))
        fail_msg("%s: the reason is \"%s\"", call, err.message);
}

/* Each place that makes such calls, the first time that it does; with CRAYON_FAULTS=all, every
 * time. */
static void sweep_vulkan(const char *name, VkResult failure)
{
    static struct hooked_call calls[HOOKED_CALLS];
    struct cr_error err = CR_ERROR_INIT;
    const char *faults = getenv("CRAYON_FAULTS");
    const int most = faults != NULL && strcmp(faults, "all") == 0 ? INT_MAX : 1;
    int disturbed = 0;
    memset(calls, 0, sizeof(calls));
    vulkan->record(calls);
    if (answer(NULL, &err) < 0)
        fail_msg("undisturbed: %s", err.message);
    vulkan->record(NULL);
    for (int i = 0; i < HOOKED_CALLS; i++)
        for (int n = 1; n <= calls[i].hits && n <= most; n++)
            if (strncmp(calls[i].name, name, strlen(name)) == 0) {
                check_failure(calls[i].name, n, failure);
                disturbed++;
            }
    printf("# %d failures: \"%s\"\n", disturbed, name);
    assert_true(disturbed > 0);
}

static void test_vulkan_memory(void **state)
{
    (void)state;
    sweep_vulkan("", VK_ERROR_OUT_OF_DEVICE_MEMORY);
}

static void test_vulkan_lost(void **state)
{
    (void)state;
    sweep_vulkan("vkQueueSubmit ", VK_ERROR_DEVICE_LOST);
    sweep_vulkan("vkWaitSemaphores ", VK_ERROR_DEVICE_LOST);
}
#endif

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

#ifdef WITH_VULKAN
/* The plugin comes before the build tree's. */
static int setup_vulkan(void **state)
{
    static char folder[4096], path[4200], device[100];
    struct cr_error err = CR_ERROR_INIT;
    snprintf(folder, sizeof(folder), "%s/tests/faulty/.libs", getenv("top_builddir"));
    snprintf(path, sizeof(path), "%s/device-vulkan.so", folder);
    snprintf(device, sizeof(device), "vulkan:%s", getenv("CRAYON_TEST_VULKAN"));
    setup(state);
    if (cr_registry_create(&faulty_registry, &(struct cr_registry_params){.path = folder}, &err) <
        0)
        fail_msg("%s", err.message);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    vulkan = plugin == NULL ? NULL : dlsym(plugin, "faulty");
    if (vulkan == NULL)
        fail_msg("%s", dlerror());
    setting.registry = faulty_registry;
    setting.device = device;
    return 0;
}

static int teardown_vulkan(void **state)
{
    cr_registry_destroy(&faulty_registry);
    return teardown(state);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_recorded)};
#ifdef WITH_VULKAN
    const struct CMUnitTest vulkan_tests[] = {cmocka_unit_test(test_vulkan_memory),
                                              cmocka_unit_test(test_vulkan_lost)};
    /* An earlier run's pipelines would spare calls. */
    setenv("CRAYON_VULKAN_CACHE", "off", 1);
    if (getenv("CRAYON_TEST_VULKAN") != NULL)
        return cmocka_run_group_tests(vulkan_tests, setup_vulkan, teardown_vulkan);
#endif
    return cmocka_run_group_tests(tests, setup, teardown);
}
