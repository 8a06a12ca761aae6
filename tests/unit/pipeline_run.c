/* SPDX-License-Identifier: MIT */
/* Runs: who runs when and how often, what happens to values, and to stages that break the rules. */
#include <crayon/memory.h>

#include "base/fault.h"
#include "pipeline/run.h"
#include "pipeline_stages.h"
#include "test.h"

static struct cr_registry *registry;

static int setup(void **state)
{
    (void)state;
    registry = stages_registry();
    stages_forget();
    return 0;
}

/* No run leaves anything behind. */
static int teardown(void **state)
{
    (void)state;
    cr_registry_destroy(&registry);
    assert_int_equal(cr_memory_live(), 0);
    return 0;
}

static struct cr_value *texts(const char *const *items, size_t count)
{
    struct cr_value *value;
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_value_create(&value, CR_TYPE_TEXT, count, &err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = cr_value_set_text(value, i, items[i], &err);
    assert_int_equal(result, 0);
    return value;
}

static struct cr_run *start(struct cr_pipeline *pipeline)
{
    struct cr_run *run;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    return run;
}

static void give(struct cr_run *run, const char *name, const char *const *items, size_t count)
{
    struct cr_value *value = texts(items, count);
    struct cr_error err = CR_ERROR_INIT;
    if (cr_run_set_input(run, name, value, &err) < 0)
        fail_msg("%s", err.message);
    cr_value_unref(&value);
}

static void want(struct cr_run *run, const char *output)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_run_want(run, output, &err) < 0)
        fail_msg("%s", err.message);
}

static void execute(struct cr_run *run)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_run_execute(run, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_output(const struct cr_run *run, const char *output, size_t item,
                          const char *expected)
{
    const struct cr_value *value = cr_run_output(run, output);
    assert_non_null(value);
    assert_text(output, cr_value_text(value, item), expected);
}

/* ---- Order, laziness ---- */

/*   in -> a -> b -> out        c hangs on a, d on nothing */
static const char tree[] =
    "{\"crayon\": 1, \"inputs\": {\"in\": \"text\", \"other\": \"text\"}, \"stages\": {\n"
    " \"b\": {\"use\": \"mark\", \"mark\": \"b\", \"in\": {\"text\": [\"a.text\", \"@in\"]}},\n"
    " \"a\": {\"use\": \"mark\", \"mark\": \"a\", \"in\": {\"text\": \"@in\"}},\n"
    " \"c\": {\"use\": \"mark\", \"mark\": \"c\", \"in\": {\"text\": [\"a.text\", \"@other\"]}},\n"
    " \"d\": {\"use\": \"mark\", \"mark\": \"d\"}},\n"
    " \"outputs\": {\"out\": \"b.text\", \"again\": \"b.text\", \"side\": \"c.text\", \"d\": "
    "\"d.text\", "
    "\"raw\": \"@in\"}}";

static void test_order(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "tree.json", tree);
    struct cr_run *run = start(pipeline);
    give(run, "in", (const char *[]){"1", NULL}, 2);
    want(run, "out");
    want(run, "again");
    execute(run);
    assert_output(run, "out", 0, "1a1b");
    assert_output(run, "out", 1, "~a~b");
    assert_ptr_equal(cr_run_output(run, "out"), cr_run_output(run, "again"));
    assert_null(cr_run_output(run, "side"));
    assert_null(cr_run_output(run, "raw"));
    assert_null(cr_run_output(run, "nonsense"));
    assert_string_equal(stages_events, "open a\nrun a\nopen b\nrun b\n");
    assert_int_equal(cr_run_times(run), 2);
    assert_string_equal(cr_run_time(run, 0).name, "a");
    assert_true(cr_run_time(run, 1).run_seconds >= 0 && cr_run_time(run, 1).run_seconds < 10);

    /* A second time nothing is opened again; what is wanted grows. */
    stages_forget();
    want(run, "raw");
    want(run, "d");
    give(run, "in", (const char *[]){"2"}, 1);
    execute(run);
    assert_output(run, "out", 0, "2a2b");
    assert_output(run, "raw", 0, "2");
    assert_output(run, "d", 0, "d");
    assert_string_equal(stages_events, "run a\nrun b\nopen d\nrun d\n");
    cr_run_destroy(&run);
    assert_null(run);
    cr_run_destroy(&run);

    stages_forget();
    cr_pipeline_destroy(&pipeline);
    assert_string_equal(stages_events, "close b\nclose a\nclose d\n");
}

static void test_release(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(
        registry, "release.json",
        "{\"crayon\": 1, \"stages\": {\n"
        " \"a\": {\"use\": \"mark\", \"mark\": \"a\", \"release\": true},\n"
        " \"b\": {\"use\": \"mark\", \"mark\": \"b\", \"in\": {\"text\": \"a.text\"}},\n"
        " \"c\": {\"use\": \"rogue\", \"does\": \"fail-run\", \"release\": true, "
        "\"in\": {\"text\": \"b.text\"}}},\n"
        " \"outputs\": {\"b\": \"b.text\", \"c\": \"c.text\"}}");
    struct cr_run *run = start(pipeline);
    want(run, "b");
    execute(run);
    execute(run);
    assert_string_equal(stages_events, "open a\nrun a\nclose a\nopen b\nrun b\n"
                                       "open a\nrun a\nclose a\nrun b\n");
    stages_forget();
    want(run, "c");
    assert_int_equal(cr_run_execute(run, NULL), CR_ERR_FORMAT);
    assert_null(cr_run_output(run, "b"));
    assert_string_equal(stages_events, "open a\nrun a\nclose a\nrun b\n"
                                       "open fail-run\nrun fail-run\nclose fail-run\n");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Values ---- */

/* Watch how many values are alive when a stage reports that it starts. */
struct watch {
    char seen[1000];
    const struct cr_run *run;
};

static void count_values(void *user, const char *stage, double done)
{
    struct watch *watch = user;
    size_t alive = 0;
    for (size_t i = 0; i < watch->run->pipeline->source_count; i++)
        alive += watch->run->values[i] != NULL;
    size_t used = strlen(watch->seen);
    if (done == 0)
        snprintf(watch->seen + used, sizeof(watch->seen) - used, "%s%zu ", stage, alive);
}

static void test_values_go(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(
        registry, "chain.json",
        "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\n"
        " \"a\": {\"use\": \"mark\", \"in\": {\"text\": \"@in\"}},\n"
        " \"b\": {\"use\": \"mark\", \"in\": {\"text\": [\"a.text\", \"a.text\"]}},\n"
        " \"c\": {\"use\": \"mark\", \"in\": {\"text\": \"b.text\"}},\n"
        " \"d\": {\"use\": \"mark\", \"in\": {\"text\": [\"a.text\", \"c.text\"]}},\n"
        " \"e\": {\"use\": \"mark\", \"in\": {\"text\": \"d.text\"}}},\n"
        " \"outputs\": {\"c\": \"c.text\", \"e\": \"e.text\"}}");
    struct cr_run *run = start(pipeline);
    struct watch watch = {.run = run};
    const struct cr_run_hooks hooks = {.user = &watch, .progress = count_values};
    cr_run_set_hooks(run, &hooks);
    give(run, "in", (const char *[]){"x"}, 1);
    want(run, "e");
    execute(run);
    /* a: in; b: a; c: a b; d: a c; e: d */
    assert_string_equal(watch.seen, "a1 b1 c2 d2 e1 ");
    watch.seen[0] = '\0';
    want(run, "c");
    execute(run);
    assert_string_equal(watch.seen, "a1 b1 c2 d2 e2 ");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Hooks ---- */

static char heard[2000];

static void hear(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void hear(const char *format, ...)
{
    size_t used = strlen(heard);
    va_list args;
    va_start(args, format);
    vsnprintf(heard + used, sizeof(heard) - used, format, args);
    va_end(args);
}

static void hear_text(void *user, const char *output, size_t item, const char *bytes, size_t count)
{
    (void)user;
    hear("%s[%zu] %.*s\n", output, item, (int)count, bytes);
}

static void hear_progress(void *user, const char *stage, double done)
{
    (void)user;
    hear("%s %g\n", stage, done);
}

static void hear_log(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    (void)user;
    hear("%s(%d): %s\n", subject, (int)level, message);
}

static void test_hooks(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "tree.json", tree);
    struct cr_run *run = start(pipeline);
    const struct cr_log log = {.write = hear_log, .level = CR_LOG_INFO};
    const struct cr_run_hooks hooks = {.emit = hear_text, .progress = hear_progress, .log = &log};
    heard[0] = '\0';
    cr_run_set_hooks(run, &hooks);
    cr_run_set_seed(run, 42);
    give(run, "in", (const char *[]){"1", "2"}, 2);
    want(run, "out");
    want(run, "again");
    execute(run);
    assert_text("hooks", heard,
                "a 0\na(2): marking with a, seed 42\na 0.5\na 1\na 1\n"
                "b 0\nb(2): marking with b, seed 42\n"
                "out[0] 1a1b\nagain[0] 1a1b\nb 0.5\nout[1] 2a2b\nagain[1] 2a2b\nb 1\nb 1\n");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Batches ---- */

static void assert_numbers(const struct cr_value *value, const int32_t *expected, size_t rows)
{
    const struct cr_tensor *tensor = cr_value_tensor(value);
    int32_t numbers[20];
    assert_int_equal(cr_tensor_extent(tensor, 0), rows);
    assert_int_equal(cr_tensor_read(tensor, numbers, rows * 2 * sizeof(int32_t), NULL), 0);
    assert_memory_equal(numbers, expected, rows * 2 * sizeof(int32_t));
    assert_int_equal(cr_value_count(value), rows);
}

/* Slices of two: numbers are the size of the batch that the stage saw, and the place in it. */
static void test_batch(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(
        registry, "batch.json",
        "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\n"
        " \"mark\": {\"use\": \"mark\", \"mark\": \"m\", \"batch\": 2, \"in\": {\"text\": "
        "\"@in\"}},\n"
        " \"a\": {\"use\": \"count\", \"batch\": 5, \"in\": {\"text\": \"mark.text\"}},\n"
        " \"b\": {\"use\": \"count\", \"batch\": 2, \"in\": {\"text\": \"mark.text\", "
        "\"tensor\": \"a.tensor\", \"tokens\": \"a.tokens\"}}},\n"
        " \"outputs\": {\"a\": \"a.tensor\", \"b\": \"b.tensor\", \"tokens\": \"b.tokens\", "
        "\"mark\": \"mark.text\"}}");
    struct cr_run *run = start(pipeline);
    const struct cr_run_hooks hooks = {.emit = hear_text, .progress = hear_progress};
    cr_run_set_hooks(run, &hooks);
    heard[0] = '\0';
    give(run, "in", (const char *[]){"1", NULL, "3", "4", "5"}, 5);
    want(run, "mark");
    execute(run);
    assert_text("slices", heard,
                "mark 0\n"
                "mark[0] 1m\nmark 0.166667\nmark[1] ~m\nmark 0.333333\n"
                "mark[2] 3m\nmark 0.5\nmark[3] 4m\nmark 0.666667\n"
                "mark[4] 5m\nmark 1\n"
                "mark 1\n");
    assert_string_equal(stages_events, "open m\nrun m\nrun m\nrun m\n");
    assert_output(run, "mark", 1, "~m");
    assert_output(run, "mark", 4, "5m");

    want(run, "a");
    want(run, "b");
    want(run, "tokens");
    execute(run);
    assert_numbers(cr_run_output(run, "a"), (const int32_t[]){5, 0, 5, 1, 5, 2, 5, 3, 5, 4}, 5);
    assert_numbers(cr_run_output(run, "b"), (const int32_t[]){2, 0, 2, 1, 2, 0, 2, 1, 1, 0}, 5);
    size_t count;
    const int32_t *ids = cr_value_tokens(cr_run_output(run, "tokens"), 3, &count);
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 1);

    /* Nothing to slice. */
    give(run, "in", NULL, 0);
    execute(run);
    assert_int_equal(cr_value_count(cr_run_output(run, "b")), 0);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_slices(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *images, *parts[3], *joined;
    assert_int_equal(cr_value_create(&images, CR_TYPE_IMAGE, 3, &err), 0);
    for (int i = 0; i < 3; i++) {
        struct cr_image *image;
        assert_int_equal(cr_image_create(&image, (struct cr_size){i + 1, 2}, &err), 0);
        cr_value_set_image(images, (size_t)i, image);
        cr_image_unref(&image);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(cr_value_slice(&parts[i], images, i, 1, &err), 0);
    assert_ptr_equal(cr_value_image(parts[2], 0), cr_value_image(images, 2));
    assert_int_equal(cr_value_join(&joined, parts, 3, &err), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(cr_value_image(joined, i), cr_value_image(images, i));
        cr_value_unref(&parts[i]);
    }
    cr_value_unref(&joined);
    cr_value_unref(&images);

    /* Rows of a tensor. */
    static const int32_t numbers[] = {1, 2, 3, 4, 5, 6};
    struct cr_tensor *rows;
    struct cr_value *all;
    assert_int_equal(
        cr_tensor_create(&rows, CR_DTYPE_I32, 2, (const int64_t[]){3, 2}, numbers, &err), 0);
    assert_int_equal(cr_value_from_tensor(&all, rows, &err), 0);
    cr_tensor_unref(&rows);
    assert_int_equal(cr_value_slice(&parts[0], all, 0, 1, &err), 0);
    assert_int_equal(cr_value_slice(&parts[1], all, 1, 2, &err), 0);
    assert_numbers(parts[1], numbers + 2, 2);
    assert_int_equal(cr_value_join(&joined, parts, 2, &err), 0);
    assert_numbers(joined, numbers, 3);
    cr_value_unref(&parts[0]);
    cr_value_unref(&parts[1]);
    cr_value_unref(&joined);
    cr_value_unref(&all);

    /* Tensors whose items have different shapes do not fit together. */
    for (int64_t i = 0; i < 2; i++) {
        struct cr_tensor *tensor;
        assert_int_equal(
            cr_tensor_create(&tensor, CR_DTYPE_U8, 2, (const int64_t[]){1, 2 + i}, NULL, &err), 0);
        assert_int_equal(cr_value_from_tensor(&parts[i], tensor, &err), 0);
        cr_tensor_unref(&tensor);
    }
    assert_int_equal(cr_value_join(&joined, parts, 2, &err), CR_ERR_PLUGIN);
    assert_null(joined);
    cr_value_unref(&parts[0]);
    cr_value_unref(&parts[1]);
}

/* ---- Inputs and outputs ---- */

static void assert_refused(int result, int code, const struct cr_error *err, const char *message)
{
    assert_int_equal(result, code);
    assert_int_equal(err->code, code);
    assert_text("error", err->message, message);
}

static void test_ends(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "tree.json", tree);
    struct cr_run *run = start(pipeline);
    struct cr_error err = CR_ERROR_INIT;
    assert_refused(cr_run_execute(run, &err), CR_ERR_ARGUMENT, &err, "tree: no output is wanted");
    assert_refused(cr_run_want(run, "uot", &err), CR_ERR_NOT_FOUND, &err,
                   "tree: no output \"uot\"; did you mean \"out\"? Known outputs: out, again, "
                   "side, d, raw");
    struct cr_value *value = texts((const char *[]){"a"}, 1);
    assert_refused(cr_run_set_input(run, "on", value, &err), CR_ERR_NOT_FOUND, &err,
                   "tree: no input \"on\"; did you mean \"in\"? Known inputs: in, other");
    cr_value_unref(&value);
    assert_int_equal(cr_value_create(&value, CR_TYPE_TEXT, 2, &err), 0);
    assert_int_equal(cr_value_set_text(value, 0, NULL, &err), 0);
    assert_refused(cr_run_set_input(run, "in", value, &err), CR_ERR_ARGUMENT, &err,
                   "tree: item 1 of the input \"in\" is not set");
    cr_value_unref(&value);
    assert_int_equal(cr_value_create(&value, CR_TYPE_IMAGE, 0, &err), 0);
    assert_refused(cr_run_set_input(run, "in", value, &err), CR_ERR_ARGUMENT, &err,
                   "tree: the input \"in\" takes a text, not an image");
    cr_value_unref(&value);

    want(run, "side");
    assert_refused(cr_run_execute(run, &err), CR_ERR_ARGUMENT, &err,
                   "tree: the input \"in\" is needed, a text");
    give(run, "in", (const char *[]){"1", "2"}, 2);
    give(run, "other", (const char *[]){"1"}, 1);
    assert_refused(cr_run_execute(run, &err), CR_ERR_ARGUMENT, &err,
                   "tree: the input \"in\" has 2 items and \"other\" 1; a batch needs as many of "
                   "each");
    assert_string_equal(stages_events, "");
    give(run, "other", (const char *[]){"3", "4"}, 2);
    execute(run);
    assert_output(run, "side", 1, "2a4c");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* A stage without inputs makes one item; where it meets a batch of two they do not fit. */
static void test_mismatch(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline =
        stages_pipeline(registry, "mismatch.json",
                        "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\n"
                        " \"a\": {\"use\": \"mark\"},\n"
                        " \"b\": {\"use\": \"mark\", \"in\": {\"text\": [\"@in\", \"a.text\"]}}},\n"
                        " \"outputs\": {\"out\": \"b.text\"}}");
    struct cr_run *run = start(pipeline);
    struct cr_error err = CR_ERROR_INIT;
    want(run, "out");
    give(run, "in", (const char *[]){"1", "2"}, 2);
    assert_refused(cr_run_execute(run, &err), CR_ERR_ARGUMENT, &err,
                   "stage \"b\": its inputs differ in their counts of items: \"in\" has 2, "
                   "\"text\" has 1");
    assert_int_equal(cr_run_times(run), 1);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Rogues ---- */

static void test_rogues(void **state)
{
    (void)state;
    static const struct {
        const char *does;
        int code;
        const char *message, *events;
    } cases[] = {
        {"nothing", 0, "", "open run close"},
        {"fail-open", CR_ERR_IO, "model.bin: no such file", "open close"},
        {"fail-run", CR_ERR_FORMAT, "photo.png: not a picture", "open run close"},
        {"fail-silently", CR_ERR_LIMIT, "it failed without a reason", "open run close"},
        {"return-five", CR_ERR_PLUGIN, "it failed without a reason", "open run close"},
        {"output-in-open", CR_ERR_PLUGIN, "the output \"text\" is set while the stage opens",
         "open close"},
        {"no-output", CR_ERR_PLUGIN, "the output \"text\" was not set", "open run close"},
        {"wrong-type", CR_ERR_PLUGIN, "the output \"text\" is declared as a text and is tokens",
         "open run close"},
        {"wrong-count", CR_ERR_PLUGIN, "the output \"text\" has 3 items in a batch of 2",
         "open run close"},
        {"unset-item", CR_ERR_PLUGIN, "item 1 of the output \"text\" was not set",
         "open run close"},
        {"twice", CR_ERR_PLUGIN, "the output \"text\" is set twice", "open run close"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[500], expected[200] = "", events[200], copy[50], *rest = NULL;
        snprintf(text, sizeof(text),
                 "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\"bad\": {\"use\": "
                 "\"rogue\", \"does\": \"%s\", \"in\": {\"text\": \"@in\"}}},\n"
                 " \"outputs\": {\"out\": \"bad.text\", \"tokens\": \"bad.tokens\"}}",
                 cases[i].does);
        struct cr_pipeline *pipeline = stages_pipeline(registry, "rogue.json", text);
        struct cr_run *run = start(pipeline);
        struct cr_error err = CR_ERROR_INIT;
        stages_forget();
        give(run, "in", (const char *[]){"1", "2"}, 2);
        want(run, "out");
        if (cases[i].code != 0)
            snprintf(expected, sizeof(expected), "stage \"bad\": %s", cases[i].message);
        assert_refused(cr_run_execute(run, &err), cases[i].code, &err, expected);
        assert_int_equal(cr_run_output(run, "out") != NULL, cases[i].code == 0);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
        events[0] = '\0';
        snprintf(copy, sizeof(copy), "%s", cases[i].events);
        for (char *what = strtok_r(copy, " ", &rest); what; what = strtok_r(NULL, " ", &rest))
            snprintf(events + strlen(events), sizeof(events) - strlen(events), "%s %s\n", what,
                     cases[i].does);
        assert_text(cases[i].does, stages_events, events);
    }
}

/* ---- Stopping ---- */

static volatile int cancel;

static void cancel_after_a(void *user, const char *stage, double done)
{
    (void)user;
    if (strcmp(stage, "a") == 0 && done == 1)
        cancel = 1;
}

static void test_cancel(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "tree.json", tree);
    struct cr_run *run = start(pipeline);
    const struct cr_run_hooks hooks = {.progress = cancel_after_a, .cancel = &cancel};
    struct cr_error err = CR_ERROR_INIT;
    cr_run_set_hooks(run, &hooks);
    give(run, "in", (const char *[]){"1"}, 1);
    want(run, "out");
    cancel = 0;
    assert_refused(cr_run_execute(run, &err), CR_ERR_CANCELLED, &err,
                   "stage \"b\": cancelled before it started");
    assert_string_equal(stages_events, "open a\nrun a\n");
    assert_null(cr_run_output(run, "out"));
    cr_run_set_hooks(run, &(const struct cr_run_hooks){.user = NULL});
    execute(run);
    assert_output(run, "out", 0, "1a1b");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Between slices, and inside a stage that looks. */
static void cancel_at_half(void *user, const char *stage, double done)
{
    (void)user, (void)stage;
    cancel = done >= 0.5;
}

static void test_cancel_slices(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline =
        stages_pipeline(registry, "slices.json",
                        "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\n"
                        " \"a\": {\"use\": \"mark\", \"mark\": \"a\", \"batch\": 1, \"in\": "
                        "{\"text\": \"@in\"}}},\n"
                        " \"outputs\": {\"out\": \"a.text\"}}");
    struct cr_run *run = start(pipeline);
    const struct cr_run_hooks hooks = {.progress = cancel_at_half, .cancel = &cancel};
    struct cr_error err = CR_ERROR_INIT;
    cr_run_set_hooks(run, &hooks);
    give(run, "in", (const char *[]){"1", "2", "3", "4"}, 4);
    want(run, "out");
    cancel = 0;
    assert_refused(cr_run_execute(run, &err), CR_ERR_CANCELLED, &err, "stage \"a\": cancelled");
    assert_string_equal(stages_events, "open a\nrun a\nrun a\n");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),  TEST(test_release), TEST(test_values_go),     TEST(test_hooks),
        TEST(test_batch),  TEST(test_slices),  TEST(test_ends),          TEST(test_mismatch),
        TEST(test_rogues), TEST(test_cancel),  TEST(test_cancel_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
