/* SPDX-License-Identifier: MIT */
/* Devices in pipelines: which one a stage gets, when it opens, and where values are. */
#include <crayon/memory.h>

#include "base/fault.h"
#include "pipeline/run.h"
#include "pipeline_stages.h"
#include "plugin/registry.h"
#include "test.h"

/* What happened, a word each. */
static char events[1000];

static void event(const char *what, const char *whose)
{
    size_t used = strlen(events);
    snprintf(events + used, sizeof(events) - used, "%s%s ", what, whose);
}

/* ---- "pretend": a device that keeps memory and computes nothing ---- */

struct pretend {
    char name[64];
    enum cr_precision precision;
    int threads;
};

static bool fails_late;

static int list(struct cr_device_found *found, struct cr_error *err)
{
    (void)err;
    struct cr_device_info info = {.size = sizeof(info), .name = "pretend:0"};
    info.flags = CR_DEVICE_GPU;
    cr_device_found_add(found, &info);
    return 0;
}

static int open_device(void *state, const char *selector, const struct cr_device_params *params,
                       struct cr_error *err)
{
    struct pretend *pretend = state;
    if (strcmp(selector, "9") == 0)
        return cr_fail(err, CR_ERR_NOT_FOUND, "there are two, 0 and 1");
    snprintf(pretend->name, sizeof(pretend->name), "pretend:%s", selector[0] ? selector : "0");
    event("open-", pretend->name);
    if (params->precision == CR_PRECISION_EXACT && params->threads == 3)
        event("exact-3", "");
    return 0;
}

static void info(const void *state, struct cr_device_info *info)
{
    const struct pretend *pretend = state;
    snprintf(info->name, sizeof(info->name), "%s", pretend->name);
}

static bool supports(const void *state, const struct cr_call *call)
{
    (void)state, (void)call;
    return false;
}

static const char *variant(const void *state, const struct cr_call *call)
{
    (void)state, (void)call;
    return NULL;
}

static int get_memory(void *state, size_t bytes, void **memory, struct cr_error *err)
{
    (void)state;
    *memory = cr_calloc(1, bytes);
    return *memory != NULL ? 0 : cr_fail_memory(err, bytes);
}

static void free_memory(void *state, void *memory)
{
    (void)state;
    cr_free(memory);
}

static int upload(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err)
{
    (void)state, (void)err;
    event("up", "");
    memcpy((char *)memory + offset, data, bytes);
    return 0;
}

static int download(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err)
{
    (void)state, (void)err;
    event("down", "");
    memcpy(data, (char *)memory + offset, bytes);
    return 0;
}

static int submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    (void)state, (void)call;
    return cr_fail(err, CR_ERR_UNSUPPORTED, "nothing can be computed");
}

static int flush(void *state, struct cr_error *err)
{
    (void)state, (void)err;
    return 0;
}

static int wait_all(void *state, double seconds, struct cr_error *err)
{
    (void)state, (void)seconds;
    bool fails = fails_late;
    fails_late = false;
    return fails ? cr_fail(err, CR_ERR_DEVICE, "argmax met a NaN") : 0;
}

static void figures(const void *state, uint64_t *total, uint64_t *free_bytes)
{
    (void)state;
    *total = *free_bytes = 1 << 20;
}

static void close_device(void *state)
{
    event("close-", ((struct pretend *)state)->name);
}

static const struct cr_device_ops pretend_ops = {
    .size = sizeof(struct cr_device_ops),
    .list = list,
    .open = open_device,
    .info = info,
    .supports = supports,
    .variant = variant,
    .alloc = get_memory,
    .free = free_memory,
    .upload = upload,
    .download = download,
    .submit = submit,
    .flush = flush,
    .wait = wait_all,
    .memory = figures,
    .close = close_device,
};

static const struct cr_element pretend = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-pretend",
    .summary = "keeps memory",
    .state_size = sizeof(struct pretend),
    .device = &pretend_ops,
};

/* ---- Stages that tell where their tensor is, and hand it on ---- */

struct pass {
    bool asks, late;
};

static int pass_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct pass *pass = state;
    const struct cr_value *value = cr_context_input(context, "tensor");
    struct cr_device *device = NULL;
    if (pass->asks) {
        int result = cr_context_device(context, &device, err);
        if (result < 0)
            return result;
    }
    fails_late = pass->late;
    struct cr_device *place = value == NULL ? NULL : cr_tensor_device(cr_value_tensor(value));
    struct cr_device_info about = {.name = "host"};
    if (place != NULL)
        cr_device_get_info(place, &about);
    event("run-", value == NULL ? "without" : about.name);
    if (pass->asks && value != NULL)
        assert_ptr_equal(place, device);
    struct cr_value *out = NULL;
    if (value != NULL) {
        out = cr_value_ref(value);
        cr_context_output(context, "tensor", &out);
        return 0;
    }
    struct cr_tensor *one = NULL;
    float number = 7;
    int result = cr_tensor_create(&one, CR_DTYPE_F32, 1, (int64_t[]){1}, &number, err);
    if (result == 0 && (result = cr_value_from_tensor(&out, one, err)) == 0)
        cr_context_output(context, "tensor", &out);
    cr_tensor_unref(&one);
    return result;
}

static const struct cr_stage_ops pass_ops = {.size = sizeof(struct cr_stage_ops), .run = pass_run};

#define PASS(name_, flags_)                                                                        \
    {                                                                                              \
        .size = sizeof(struct cr_element), .kind = CR_ELEMENT_STAGE, .name = (name_),              \
        .summary = "hand a tensor on",                                                             \
        .inputs = CR_PORTS(CR_PORT("tensor", CR_TYPE_TENSOR, CR_PORT_OPTIONAL, "numbers")),        \
        .outputs = CR_PORTS(CR_PORT("tensor", CR_TYPE_TENSOR, 0, "the same")),                     \
        .options = CR_OPTIONS(                                                                     \
            CR_OPTION_BOOL("asks", struct pass, asks, "false", 0, "ask for the device"),           \
            CR_OPTION_BOOL("late", struct pass, late, "false", 0, "fail at the end")),             \
        .state_size = sizeof(struct pass), .stage = &pass_ops, .flags = (flags_)                   \
    }

static const struct cr_element compute = PASS("compute", CR_ELEMENT_USES_DEVICE);
static const struct cr_element host = PASS("host", 0);
/* As a plugin of an earlier ABI has it: what lies where its flags would be means nothing. */
static struct cr_element early = PASS("early", CR_ELEMENT_USES_DEVICE);

static const struct cr_plugin plugin = {
    .magic = {'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
    .abi_major = CR_ABI_MAJOR,
    .abi_minor = CR_ABI_MINOR,
    .size = sizeof(struct cr_plugin),
    .name = "test-devices",
    .version = "1.0",
    .licence = "MIT",
    .summary = "a device, and stages",
    .elements = (const struct cr_element *const[]){&pretend, &compute, &host, &early, NULL},
};

static struct cr_registry *registry;

static int setup(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    early.size = offsetof(struct cr_element, flags);
    registry = stages_registry();
    if (cr_registry_add_static(registry, &plugin, &err) < 0)
        fail_msg("%s", err.message);
    events[0] = '\0';
    fails_late = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cr_registry_destroy(&registry);
    assert_int_equal(cr_memory_live(), 0);
    return 0;
}

/* ---- Running ---- */

#define PIPELINE(stages, last)                                                                     \
    "{\"crayon\": 1, \"inputs\": {\"x\": \"tensor\"}, \"stages\": {" stages                        \
    "}, \"outputs\": {\"y\": \"" last ".tensor\"}}"

static int run_pipeline(struct cr_pipeline *pipeline, struct cr_run **out, struct cr_error *err)
{
    float numbers[4] = {1, 2, 3, 4};
    struct cr_tensor *tensor;
    struct cr_value *value;
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, 2, (int64_t[]){2, 2}, numbers, NULL),
                     0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, NULL), 0);
    assert_int_equal(cr_run_create(out, pipeline, NULL), 0);
    assert_int_equal(cr_run_set_input(*out, "x", value, NULL), 0);
    assert_int_equal(cr_run_want(*out, "y", NULL), 0);
    cr_tensor_unref(&tensor);
    cr_value_unref(&value);
    return cr_run_execute(*out, err);
}

/* Run with `device` (NULL: not set), and compare the events up to the end of the pipeline. The
 * output is on the host, and what went in. */
static void check_run(const char *text, const char *device, const char *expected)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "test", text);
    events[0] = '\0';
    if (device != NULL && cr_pipeline_set_device(pipeline, device, NULL, &err) < 0)
        fail_msg("%s", err.message);
    if (run_pipeline(pipeline, &run, &err) < 0)
        fail_msg("%s", err.message);
    const struct cr_tensor *out = cr_value_tensor(cr_run_output(run, "y"));
    float numbers[4];
    assert_null(cr_tensor_device(out));
    assert_int_equal(cr_tensor_read(out, numbers, sizeof(numbers), &err), 0);
    assert_true(numbers[0] == 1 && numbers[3] == 4);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    assert_text(text, events, expected);
}

static void test_places(void **state)
{
    (void)state;
    /* The default is the first GPU; the output comes down. */
    check_run(PIPELINE("\"a\": {\"use\": \"compute\", \"in\": {\"tensor\": \"@x\"}}", "a"), NULL,
              "open-pretend:0 up run-pretend:0 down close-pretend:0 ");
    /* A stage without the flag gets what is on the host, whatever comes before and after. */
    check_run(PIPELINE("\"a\": {\"use\": \"compute\", \"in\": {\"tensor\": \"@x\"}},"
                       "\"b\": {\"use\": \"host\", \"in\": {\"tensor\": \"a.tensor\"}},"
                       "\"c\": {\"use\": \"early\", \"in\": {\"tensor\": \"b.tensor\"}}",
                       "c"),
              "pretend:1",
              "open-pretend:1 up run-pretend:1 down run-host run-host "
              "close-pretend:1 ");
    /* Between two stages on one device nothing moves, whatever they call it. */
    check_run(PIPELINE("\"a\": {\"use\": \"compute\", \"in\": {\"tensor\": \"@x\"}},"
                       "\"b\": {\"use\": \"compute\", \"asks\": true, \"device\": \"pretend\","
                       "        \"in\": {\"tensor\": \"a.tensor\"}}",
                       "b"),
              "pretend:0",
              "open-pretend:0 up run-pretend:0 open-pretend:0 close-pretend:0 "
              "run-pretend:0 down close-pretend:0 ");
    /* Between two devices it goes by the host. */
    check_run(PIPELINE("\"a\": {\"use\": \"compute\", \"in\": {\"tensor\": \"@x\"}},"
                       "\"b\": {\"use\": \"compute\", \"device\": \"pretend:1\","
                       "        \"in\": {\"tensor\": \"a.tensor\"}}",
                       "b"),
              NULL,
              "open-pretend:0 up run-pretend:0 open-pretend:1 down up run-pretend:1 down "
              "close-pretend:1 close-pretend:0 ");
    /* In parts of the batch, too. */
    check_run(
        PIPELINE("\"a\": {\"use\": \"compute\", \"batch\": 1, \"in\": {\"tensor\": \"@x\"}}", "a"),
        NULL,
        "open-pretend:0 up run-pretend:0 up run-pretend:0 down down "
        "close-pretend:0 ");
}

static void test_lazily(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run;
    struct cr_pipeline *pipeline =
        stages_pipeline(registry, "test", PIPELINE("\"a\": {\"use\": \"compute\"}", "a"));
    /* No tensor goes in and nobody asks: the device stays shut. */
    assert_int_equal(run_pipeline(pipeline, &run, &err), 0);
    assert_text("events", events, "run-without ");
    assert_int_equal(cr_run_times(run), 1);
    assert_null(cr_run_device(run, 0));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_params(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run;
    const struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = 3};
    struct cr_pipeline *pipeline = stages_pipeline(
        registry, "test",
        PIPELINE("\"a\": {\"use\": \"compute\", \"in\": {\"tensor\": \"@x\"}}", "a"));
    assert_int_equal(cr_pipeline_set_device(pipeline, "nonsense", NULL, &err), CR_ERR_NOT_FOUND);
    assert_text("unknown", err.message, "no device \"nonsense\"; there are: pretend");
    assert_int_equal(cr_pipeline_set_device(pipeline, NULL, &params, NULL), 0);
    assert_int_equal(run_pipeline(pipeline, &run, &err), 0);
    assert_text("events", events, "open-pretend:0 exact-3 up run-pretend:0 down ");
    assert_string_equal(cr_run_device(run, 0), "pretend:0");
    cr_run_destroy(&run);
    cr_error_clear(&err);
    assert_int_equal(cr_pipeline_set_device(pipeline, "auto", NULL, &err), CR_ERR_ARGUMENT);
    assert_text("too late", err.message, "test: the devices are open already");
    cr_pipeline_destroy(&pipeline);
}

/* ---- What goes wrong ---- */

static void check_failure(const char *text, int code, const char *message)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "test", text);
    assert_int_equal(run_pipeline(pipeline, &run, &err), code);
    assert_text(text, err.message, message);
    assert_null(cr_run_output(run, "y"));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_failures(void **state)
{
    (void)state;
    check_failure(PIPELINE("\"a\": {\"use\": \"compute\", \"device\": \"pretend:9\","
                           "        \"in\": {\"tensor\": \"@x\"}}",
                           "a"),
                  CR_ERR_NOT_FOUND, "stage \"a\": device \"pretend:9\": there are two, 0 and 1");
    check_failure(PIPELINE("\"a\": {\"use\": \"host\", \"asks\": true,"
                           "        \"in\": {\"tensor\": \"@x\"}}",
                           "a"),
                  CR_ERR_PLUGIN,
                  "stage \"a\": host asks for a device, and its flags lack CR_ELEMENT_USES_DEVICE");
    /* An error that shows late is that of the stage that caused it. */
    check_failure(PIPELINE("\"a\": {\"use\": \"compute\", \"late\": true,"
                           "        \"in\": {\"tensor\": \"@x\"}},"
                           "\"b\": {\"use\": \"host\", \"in\": {\"tensor\": \"a.tensor\"}}",
                           "b"),
                  CR_ERR_DEVICE, "stage \"a\": device \"pretend:0\": argmax met a NaN");
}

static void test_check(void **state)
{
    (void)state;
    static const char text[] = PIPELINE("\"a\": {\"use\": \"compute\", \"device\": \"pretned\"},"
                                        "\"b\": {\"use\": \"compute\", \"device\": 3},"
                                        "\"c\": {\"use\": \"host\", \"device\": \"auto\"},"
                                        "\"d\": {\"use\": \"compute\", \"device\": \"pretend:7\"}",
                                        "a");
    struct cr_report *report = cr_report_create();
    struct cr_pipeline *pipeline;
    assert_int_equal(
        cr_pipeline_parse(&pipeline, registry, text, strlen(text), "test", NULL, 0, report, NULL),
        CR_ERR_PIPELINE);
    char *found = stages_report(report);
    assert_text("findings", found,
                "test: /stages/a/device: no device \"pretned\"; there are: pretend\n"
                "test: /stages/b/device: the name of a device is needed here, not a number\n"
                "note: test: /stages/c/device: host computes on no device: the key changes "
                "nothing\n");
    cr_free(found);
    cr_report_destroy(&report);
}

/* The effective pipeline keeps the key. */
static void test_print(void **state)
{
    (void)state;
    char *json;
    struct cr_pipeline *pipeline = stages_pipeline(
        registry, "test", PIPELINE("\"a\": {\"use\": \"compute\", \"device\": \"auto\"}", "a"));
    assert_int_equal(cr_pipeline_print(pipeline, &json, NULL), 0);
    assert_non_null(strstr(json, "\"device\": \"auto\""));
    cr_free(json);
    cr_pipeline_destroy(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lazily, setup, teardown),
        cmocka_unit_test_setup_teardown(test_params, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_print, setup, teardown),
    };
    return cmocka_run_group_tests_name("pipeline_devices", tests, NULL, NULL);
}
