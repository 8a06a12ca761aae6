/* SPDX-License-Identifier: MIT */
/* Plans of pipelines: what is counted and when, examples, what does not fit and what helps, on a
 * device that has a megabyte. */
#include <errno.h>

#include <crayon/memory.h>

#include "base/amount.h"
#include "fault_sweep.h"
#include "pipeline/run.h"
#include "pipeline_stages.h"
#include "plugin/registry.h"
#include "tensor/device.h"
#include "test.h"

#define KIB 1024

/* ---- "small": a device with a megabyte, of which some is taken by others ---- */

static uint64_t taken; /* by others */
static int64_t held;   /* by the device's blocks */
static int uploads, submits;

static int list(struct cr_device_found *found, struct cr_error *err)
{
    (void)found, (void)err;
    return 0;
}

static int open_device(void *state, const char *selector, const struct cr_device_params *params,
                       struct cr_error *err)
{
    (void)state, (void)selector, (void)params, (void)err;
    return 0;
}

static void info(const void *state, struct cr_device_info *info)
{
    (void)state;
    strcpy(info->name, "small");
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
    size_t *block = cr_malloc(sizeof(*block));
    if (block == NULL)
        return cr_fail_memory(err, bytes);
    held += (int64_t)(*block = bytes);
    *memory = block;
    return 0;
}

static void free_memory(void *state, void *memory)
{
    (void)state;
    held -= (int64_t) * (size_t *)memory;
    cr_free(memory);
}

static int upload(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err)
{
    (void)state, (void)memory, (void)offset, (void)data, (void)bytes, (void)err;
    uploads++;
    return 0;
}

static int download(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err)
{
    (void)state, (void)memory, (void)offset, (void)err;
    memset(data, 1, bytes);
    return 0;
}

static int submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    (void)state, (void)call, (void)err;
    submits++;
    return 0;
}

static int flush(void *state, struct cr_error *err)
{
    (void)state, (void)err;
    return 0;
}

static int wait_all(void *state, double seconds, struct cr_error *err)
{
    (void)state, (void)seconds, (void)err;
    return 0;
}

static void figures(const void *state, uint64_t *total, uint64_t *free_bytes)
{
    (void)state;
    *total = 1 << 20;
    *free_bytes = *total - taken - (uint64_t)held;
}

static void close_device(void *state)
{
    (void)state;
}

static const struct cr_device_ops small_ops = {
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

static const struct cr_element small = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-small",
    .summary = "a megabyte",
    .device = &small_ops,
};

/* ---- "hold": a stage with weights, that works ---- */

struct hold {
    int64_t size, work, longest; /* KiB */
    const char *weights;
    bool fails;
    struct cr_tensor *tensor;
};

static int take(struct cr_tensor **tensor, int64_t kib, struct cr_context *context,
                struct cr_error *err)
{
    struct cr_device *device;
    int result = cr_context_device(context, &device, err);
    const int64_t count = kib * KIB;
    return result < 0 ? result
                      : cr_tensor_upload(tensor, device, CR_DTYPE_U8, 1, &count, NULL, err);
}

static int hold_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct hold *hold = state;
    if (hold->fails)
        return cr_fail(err, CR_ERR_NOT_FOUND, "no model");
    return take(&hold->tensor, strcmp(hold->weights, "nf4") == 0 ? hold->size / 8 : hold->size,
                context, err);
}

static void hold_close(void *state)
{
    struct hold *hold = state;
    cr_tensor_unref(&hold->tensor);
}

/* Half as much host memory as device memory; then an operation, and what comes of it is read. */
static int work(int64_t kib, struct cr_context *context, struct cr_error *err)
{
    struct cr_tensor *a = NULL, *b = NULL;
    uint8_t number = 9;
    int result = cr_context_scratch(context, (size_t)kib * KIB / 2, err) == NULL
                     ? CR_ERR_MEMORY
                     : take(&a, kib / 2, context, err);
    if (result == 0)
        result = take(&b, kib - kib / 2, context, err);
    cr_tensor_unref(&b);
    if (result == 0)
        result = take(&b, 1, context, err);
    cr_tensor_unref(&b);
    cr_tensor_unref(&a);
    if (result == 0)
        result = cr_tensor_create(&a, CR_DTYPE_U8, 1, (int64_t[]){1}, &number, err);
    if (result == 0)
        result = cr_context_output_tensor(context, "out", a, err);
    cr_tensor_unref(&a);
    return result;
}

static int hold_run(void *state, struct cr_context *context, struct cr_error *err)
{
    return work(((struct hold *)state)->work, context, err);
}

static int hold_plan(void *state, struct cr_context *context, struct cr_error *err)
{
    return work(((struct hold *)state)->longest, context, err);
}

static const struct cr_stage_ops hold_ops = {
    .size = sizeof(struct cr_stage_ops), .open = hold_open, .run = hold_run, .close = hold_close};
static const struct cr_stage_ops long_ops = {.size = sizeof(struct cr_stage_ops),
                                             .open = hold_open,
                                             .run = hold_run,
                                             .close = hold_close,
                                             .plan = hold_plan};

#define HOLD(name_, ops_)                                                                          \
    {                                                                                              \
        .size = sizeof(struct cr_element), .kind = CR_ELEMENT_STAGE, .name = (name_),              \
        .summary = "holds memory",                                                                 \
        .inputs = CR_PORTS(CR_PORT("in", CR_TYPE_TENSOR, CR_PORT_OPTIONAL, "what comes before"),   \
                           CR_PORT("text", CR_TYPE_TEXT, CR_PORT_OPTIONAL, "a text")),             \
        .outputs = CR_PORTS(CR_PORT("out", CR_TYPE_TENSOR, 0, "a byte")),                          \
        .options = CR_OPTIONS(                                                                     \
            CR_OPTION_INT("size", struct hold, size, "0", 0, 4096, 0, "of the weights"),           \
            CR_OPTION_INT("work", struct hold, work, "2", 2, 4096, 0, "of a run"),                 \
            CR_OPTION_INT("longest", struct hold, longest, "2", 2, 4096, 0, "of a long run"),      \
            CR_OPTION_BOOL("fails", struct hold, fails, "false", 0, "do not open"),                \
            CR_OPTION_CHOICE("weights", struct hold, weights, "f32", CR_CHOICES("f32", "nf4"), 0,  \
                             "how they are kept")),                                                \
        .state_size = sizeof(struct hold), .stage = (ops_), .flags = CR_ELEMENT_USES_DEVICE        \
    }

static const struct cr_element hold = HOLD("hold", &hold_ops);
static const struct cr_element hold_long = HOLD("hold-long", &long_ops);

/* ---- "make": what must not be run; "look": what it is replaced by ---- */

static int make_run(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state, (void)context;
    return cr_fail(err, CR_ERR_IO, "this stage reads the disk");
}

static char seen[400];

static int look_run(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state;
    static const char *const ports[] = {"image", "panoptic", "text", "tokens"};
    const struct cr_size image =
        cr_image_size(cr_value_image(cr_context_input(context, "image"), 0));
    const struct cr_panoptic *panoptic =
        cr_value_panoptic(cr_context_input(context, "panoptic"), 0);
    const struct cr_size size = cr_panoptic_size(panoptic);
    size_t count;
    (void)cr_value_tokens(cr_context_input(context, "tokens"), 0, &count);
    snprintf(seen, sizeof(seen), "%d x %d, %d x %d with %zu, text %d, %zu tokens;", image.height,
             image.width, size.height, size.width, cr_panoptic_count(panoptic),
             cr_value_text_size(cr_context_input(context, "text"), 0) > 10, count);
    for (size_t i = 0; i < COUNT(ports); i++)
        if (cr_context_is_example(context, ports[i]))
            snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), " %s", ports[i]);
    struct cr_value *text = NULL;
    int result = cr_value_from_text(&text, "", err);
    if (result == 0)
        cr_context_output(context, "text", &text);
    return result;
}

static const struct cr_stage_ops make_ops = {.size = sizeof(struct cr_stage_ops), .run = make_run};
static const struct cr_stage_ops look_ops = {.size = sizeof(struct cr_stage_ops), .run = look_run};

static const struct cr_element make = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "make",
    .summary = "computes on no device",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, CR_PORT_OPTIONAL, "a picture")),
    .outputs = CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "a map"),
                        CR_PORT("text", CR_TYPE_TEXT, 0, "a text"),
                        CR_PORT("tokens", CR_TYPE_TOKENS, 0, "tokens")),
    .stage = &make_ops,
};

static const struct cr_element look = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "look",
    .summary = "looks at its inputs",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "a picture"),
                       CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "a map"),
                       CR_PORT("text", CR_TYPE_TEXT, 0, "a text"),
                       CR_PORT("tokens", CR_TYPE_TOKENS, 0, "tokens")),
    .outputs = CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, 0, "a text")),
    .stage = &look_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

static const struct cr_plugin plugin = {
    .magic = {'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
    .abi_major = CR_ABI_MAJOR,
    .abi_minor = CR_ABI_MINOR,
    .size = sizeof(struct cr_plugin),
    .name = "test-plan",
    .version = "1.0",
    .licence = "MIT",
    .summary = "a device, and stages",
    .elements = (const struct cr_element *const[]){&small, &hold, &hold_long, &make, &look, NULL},
};

static struct cr_registry *registry;

static int setup(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    registry = stages_registry();
    if (cr_registry_add_static(registry, &plugin, &err) < 0)
        fail_msg("%s", err.message);
    taken = 0;
    uploads = submits = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cr_registry_destroy(&registry);
    assert_int_equal(cr_memory_live(), 0);
    assert_int_equal(held, 0);
    return 0;
}

/* ---- Plans ---- */

/* A run of a pipeline of stages that hold memory: a, then b, then c. */
static struct cr_run *prepare(struct cr_pipeline **pipeline, const char *a, const char *b,
                              const char *c)
{
    char text[1000];
    struct cr_run *run;
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"stages\": {\"a\": {%s}, \"b\": {%s, \"in\": {\"in\": \"a.out\"}}, "
             "\"c\": {%s, \"in\": {\"in\": \"b.out\"}}}, \"outputs\": {\"out\": \"c.out\"}}",
             a, b, c);
    *pipeline = stages_pipeline(registry, "test", text);
    assert_int_equal(cr_pipeline_set_device(*pipeline, "small", NULL, NULL), 0);
    assert_int_equal(cr_run_create(&run, *pipeline, NULL), 0);
    assert_int_equal(cr_run_want(run, "out", NULL), 0);
    return run;
}

static void finish(struct cr_run *run, struct cr_pipeline *pipeline)
{
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Its input takes 256 bytes on the device, the least that there is. */
#define INPUT(index) ((index) > 0 ? 256u : 0u)

static void assert_stage(const struct cr_run *run, size_t index, const char *name, uint64_t weights,
                         uint64_t work_kib, uint64_t peak)
{
    const struct cr_stage_plan plan = cr_run_planned_stage(run, index);
    assert_string_equal(plan.name, name);
    assert_string_equal(plan.device, "small");
    assert_int_equal(plan.weights, weights * KIB);
    assert_int_equal(plan.work, work_kib * KIB + INPUT(index));
    assert_int_equal(plan.peak, peak * KIB + INPUT(index));
}

#define A "\"use\": \"hold\", \"size\": 400, \"work\": 100"
#define B "\"use\": \"hold\", \"size\": 200, \"work\": 60"
#define C "\"use\": \"hold-long\", \"size\": 80, \"work\": 10, \"longest\": 300"

static void counts(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline;
    struct cr_run *run = prepare(&pipeline, A, B, C);
    assert_int_equal(cr_run_plan(run, NULL), 0);
    assert_int_equal(cr_run_planned_stages(run), 3);
    assert_stage(run, 0, "a", 400, 100, 500);
    assert_stage(run, 1, "b", 200, 60, 660);
    assert_stage(run, 2, "c", 80, 300, 980);
    assert_int_equal(held, 0); /* of the device itself nothing was asked */
    assert_int_equal(uploads + submits, 0);
    assert_int_equal(cr_run_planned_devices(run), 1);
    const struct cr_device_plan device = cr_run_planned_device(run, 0);
    assert_string_equal(device.name, "small");
    assert_int_equal(device.needed, 980 * KIB + INPUT(2));
    assert_int_equal(device.total, 1024 * KIB);
    assert_int_equal(device.left, 1024 * KIB);
    if (cr_memory_bytes() > 0) { /* where the system tells sizes */
        const uint64_t host = cr_run_planned_stage(run, 2).host;
        assert_true(host >= 150 * KIB && host < 200 * KIB);
    }
    finish(run, pipeline);
}

static void lets_go_of_what_is_released(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline;
    struct cr_run *run = prepare(&pipeline, A ", \"release\": true", B ", \"release\": true", C);
    assert_int_equal(cr_run_plan(run, NULL), 0);
    assert_stage(run, 0, "a", 400, 100, 500);
    assert_stage(run, 1, "b", 200, 60, 260);
    assert_stage(run, 2, "c", 80, 300, 380);
    assert_true(cr_run_planned_stage(run, 0).release && !cr_run_planned_stage(run, 2).release);
    /* The run itself gives memory back to the device, not only to the pool: c alone is left, with
     * what it took last. */
    assert_int_equal(cr_run_execute(run, NULL), 0);
    assert_true(held >= 80 * KIB && held <= 92 * KIB);
    struct cr_device_memory memory;
    cr_device_get_memory(pipeline->devices->device, &memory);
    assert_int_equal(memory.used, 80 * KIB);
    /* Once it is open there is nothing to plan. */
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_run_plan(run, &err), CR_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the stage \"c\" is open"));
    taken = 1024 * KIB - (uint64_t)held;
    assert_int_equal(cr_run_check_memory(run, NULL), 0);
    finish(run, pipeline);
}

static void then_runs_as_ever(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline;
    struct cr_run *run = prepare(&pipeline, A, B, C);
    assert_int_equal(cr_run_check_memory(run, NULL), 0);
    assert_int_equal(cr_run_execute(run, NULL), 0);
    assert_int_equal(cr_run_times(run), 3);
    assert_string_equal(cr_run_device(run, 1), "small");
    uint8_t byte = 0;
    const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, "out"));
    assert_int_equal(cr_tensor_read(tensor, &byte, 1, NULL), 0);
    assert_int_equal(byte, 9);
    finish(run, pipeline);
}

static void two_names_are_one_device(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline;
    struct cr_run *run = prepare(&pipeline, A ", \"device\": \"small:0\"", B, C);
    assert_int_equal(cr_run_plan(run, NULL), 0);
    assert_int_equal(cr_run_planned_devices(run), 1);
    assert_int_equal(cr_run_planned_device(run, 0).needed, 980 * KIB + INPUT(2));
    /* Again, now that both are open. */
    assert_int_equal(cr_run_plan(run, NULL), 0);
    assert_int_equal(cr_run_planned_device(run, 0).needed, 980 * KIB + INPUT(2));
    finish(run, pipeline);
}

/* ---- What does not fit ---- */

static void refuses(const char *a, const char *b, const char *c, const char *message)
{
    struct cr_pipeline *pipeline;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = prepare(&pipeline, a, b, c);
    int result = cr_run_check_memory(run, &err);
    assert_text(a, err.message, message);
    assert_int_equal(result, message[0] == '\0' ? 0 : CR_ERR_MEMORY);
    /* Nothing is left of what was tried. */
    assert_int_equal(cr_run_plan(run, NULL), 0);
    char amount[32];
    cr_amount(amount, cr_run_planned_device(run, 0).needed);
    assert_true(message[0] == '\0' || strstr(message, amount) != NULL);
    finish(run, pipeline);
}

static void says_what_would_fit(void **state)
{
    (void)state;
    refuses(A, B, C, "");
    taken = 400 * KIB;
    refuses(
        A, B, C,
        "test needs 1 MB on small, and 639 kB are free; \"release\": true in \"a\", \"b\" would "
        "make it fit");
    taken = 460 * KIB;
    refuses(
        A ", \"release\": true", B, C,
        "test needs 594 kB on small, and 578 kB are free; \"release\": true in \"b\" would make "
        "it fit");
    taken = 600 * KIB;
    refuses(A, "\"use\": \"hold\", \"size\": 20", "\"use\": \"hold\", \"size\": 80",
            "test needs 514 kB on small, and 434 kB are free; \"weights\": \"nf4\" in \"a\" would "
            "make it fit");
    refuses(A, B, C,
            "test needs 1 MB on small, and 434 kB are free; \"weights\": \"nf4\" in \"a\", \"b\", "
            "\"c\" would make it fit");
    taken = 1000 * KIB;
    refuses(A, B, C, "test needs 1 MB on small, and 24.6 kB are free");
}

static void planning_that_fails(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = prepare(&pipeline, A, B ", \"fails\": true", C);
    assert_int_equal(cr_run_plan(run, &err), CR_ERR_NOT_FOUND);
    assert_text("plan", err.message, "stage \"b\": no model");
    assert_int_equal(cr_run_planned_stages(run), 0);
    assert_int_equal(cr_run_planned_devices(run), 0);
    /* It is for the run to say. */
    assert_int_equal(cr_run_check_memory(run, NULL), 0);
    finish(run, pipeline);
}

/* ---- Examples ---- */

#define LOOK                                                                                       \
    "{\"crayon\": 1, \"inputs\": {\"image\": \"image\", \"text\": \"text\"}, \"stages\": {"        \
    "\"m\": {\"use\": \"make\", \"in\": {\"image\": \"@image\"}},"                                 \
    "\"l\": {\"use\": \"look\", \"in\": {\"image\": \"@image\", \"text\": \"@text\","              \
    " \"panoptic\": \"m.panoptic\", \"tokens\": \"m.tokens\"}}}, \"outputs\": {\"t\": "            \
    "\"l.text\"}}"

static void examples_stand_in(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "test", LOOK);
    struct cr_run *run;
    struct cr_image *image = NULL;
    struct cr_value *value = NULL;
    assert_int_equal(cr_run_create(&run, pipeline, NULL), 0);
    assert_int_equal(cr_run_want(run, "t", NULL), 0);
    assert_int_equal(cr_run_plan(run, NULL), 0);
    assert_text("no inputs", seen,
                "480 x 640, 480 x 640 with 16, text 1, 64 tokens; image panoptic text tokens");
    assert_null(cr_run_planned_stage(run, 0).device);
    assert_int_equal(cr_image_create(&image, (struct cr_size){30, 50}, NULL), 0);
    assert_int_equal(cr_value_from_image(&value, image, NULL), 0);
    assert_int_equal(cr_run_set_input(run, "image", value, NULL), 0);
    assert_int_equal(cr_run_plan(run, NULL), 0);
    assert_text("an image", seen,
                "30 x 50, 30 x 50 with 16, text 1, 64 tokens; panoptic text tokens");
    cr_value_unref(&value);
    cr_image_unref(&image);
    /* The examples are gone: the run misses its input. */
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_run_execute(run, &err), CR_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the input \"text\" is needed"));
    finish(run, pipeline);
}

static void tensors_have_no_example(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run;
    struct cr_pipeline *pipeline = stages_pipeline(
        registry, "test",
        "{\"crayon\": 1, \"inputs\": {\"x\": \"tensor\"}, \"stages\": {\"a\": {\"use\": \"hold\", "
        "\"in\": {\"in\": \"@x\"}}}, \"outputs\": {\"out\": \"a.out\"}}");
    assert_int_equal(cr_run_create(&run, pipeline, NULL), 0);
    assert_int_equal(cr_run_want(run, "out", NULL), 0);
    assert_int_equal(cr_run_plan(run, &err), CR_ERR_ARGUMENT);
    assert_text("tensor", err.message,
                "test: the input \"x\" has to be given: a tensor has no ordinary shape");
    finish(run, pipeline);
}

/* ---- Faults ---- */

static int attempt(void *user, struct cr_error *err)
{
    struct cr_run *run = NULL;
    int result = cr_run_create(&run, user, err);
    if (result == 0)
        result = cr_run_want(run, "out", err);
    if (result == 0)
        result = cr_run_plan(run, err);
    cr_run_destroy(&run);
    return result;
}

static void failures_leave_nothing(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline;
    struct cr_run *run = prepare(&pipeline, A, B ", \"release\": true", C);
    assert_int_equal(cr_run_plan(run, NULL), 0); /* opens the device, for all times */
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, attempt, NULL, pipeline) > 10);
    finish(run, pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts, setup, teardown),
        cmocka_unit_test_setup_teardown(lets_go_of_what_is_released, setup, teardown),
        cmocka_unit_test_setup_teardown(then_runs_as_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(two_names_are_one_device, setup, teardown),
        cmocka_unit_test_setup_teardown(says_what_would_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(planning_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(examples_stand_in, setup, teardown),
        cmocka_unit_test_setup_teardown(tensors_have_no_example, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_leave_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
