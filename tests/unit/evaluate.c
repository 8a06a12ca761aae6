/* SPDX-License-Identifier: MIT */
/* A task that asks for numbers with a mark behind them: wires, figures, items that fail, rules that
 * are broken, interrupts, several threads. */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>

#include <crayon/memory.h>
#include <crayon/plugin.h>

#include "evaluate/evaluate.h"
#include "fault_sweep.h"
#include "pipeline_stages.h"
#include "plugin/registry.h"
#include "test.h"

/* ---- The task ---- */

struct marks {
    int64_t count, bad;
    const char *breaks;
    bool *right; /* by item */
    atomic_int scored;
};

static bool breaks(const struct marks *marks, const char *rule)
{
    return strcmp(marks->breaks, rule) == 0;
}

static void marks_check(const void *state, struct cr_check *check)
{
    const struct marks *marks = state;
    if (marks->count == 77 && !cr_check_connected(check, "answer"))
        cr_check_problem(check, "count", "77 takes a pipeline");
    if (marks->count == 78)
        cr_check_problem(check, NULL, "78 is too much");
}

static int marks_open(void *state, struct cr_task_context *context, size_t *count,
                      struct cr_error *err)
{
    struct marks *marks = state;
    if (breaks(marks, "figure-early"))
        cr_task_figure(context, "marks", "all", "right", CR_UNIT_COUNT, 1);
    if (breaks(marks, "fail-open"))
        return cr_fail(err, CR_ERR_IO, "questions.json: no such file");
    *count = (size_t)marks->count;
    marks->right = cr_calloc(*count, sizeof(*marks->right));
    return marks->right != NULL ? 0 : cr_fail_memory(err, *count);
}

static int marks_item(void *state, size_t index, struct cr_task_context *context,
                      struct cr_error *err)
{
    const struct marks *marks = state;
    char text[32];
    struct cr_value *value = NULL;
    snprintf(text, sizeof(text), "%zu", index);
    if (index % 2 == 1 && cr_task_name(context, text, err) < 0)
        return CR_ERR_MEMORY;
    if ((int64_t)index == marks->bad)
        return breaks(marks, "silent") ? CR_ERR_FORMAT
                                       : cr_fail(err, CR_ERR_FORMAT, "the question is missing");
    if (!cr_task_wants(context, "prompt") || breaks(marks, "no-output"))
        return 0;
    int result = breaks(marks, "wrong-type") ? cr_value_create(&value, CR_TYPE_TOKENS, 1, err)
                                             : cr_value_from_text(&value, text, err);
    if (result == 0 && breaks(marks, "twice")) {
        struct cr_value *again = cr_value_ref(value);
        cr_task_output(context, "prompt", &again);
    }
    if (result == 0)
        cr_task_output(context, "prompt", &value);
    assert_null(value);
    return result;
}

static int marks_score(void *state, size_t index, struct cr_task_context *context,
                       struct cr_error *err)
{
    struct marks *marks = state;
    const struct cr_value *answer = cr_task_input(context, "answer");
    char expected[32];
    (void)err;
    snprintf(expected, sizeof(expected), "%zu!", index);
    marks->right[index] = answer == NULL || strcmp(cr_value_text(answer, 0), expected) == 0;
    marks->scored++;
    return 0;
}

static int marks_finish(void *state, struct cr_task_context *context, struct cr_error *err)
{
    const struct marks *marks = state;
    size_t right = 0;
    (void)err;
    for (int64_t i = 0; i < marks->count; i++)
        right += marks->right[i];
    int scored = marks->scored;
    cr_task_figure(context, "marks", "all", "right", CR_UNIT_COUNT, (double)right);
    cr_task_figure(context, "marks", "all", "share", CR_UNIT_SHARE,
                   scored > 0 ? (double)right / scored : NAN);
    cr_task_figure(context, "marks", "none", "share", CR_UNIT_SHARE, NAN);
    cr_task_figure(context, "rest", "all", "scored", CR_UNIT_NUMBER, scored);
    for (int i = 0; i < 17 && breaks(marks, "columns"); i++) {
        char name[8];
        snprintf(name, sizeof(name), "%d", i);
        cr_task_figure(context, "wide", "all", name, CR_UNIT_COUNT, 0);
    }
    return 0;
}

static void marks_close(void *state)
{
    struct marks *marks = state;
    cr_free(marks->right);
    marks->right = NULL;
}

static const struct cr_task_ops ops = {
    .size = sizeof(struct cr_task_ops),
    .check = marks_check,
    .open = marks_open,
    .item = marks_item,
    .score = marks_score,
    .finish = marks_finish,
    .close = marks_close,
};

static const struct cr_element element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_TASK,
    .name = "task-marks",
    .summary = "numbers with marks",
    .inputs = CR_PORTS(CR_PORT("answer", CR_TYPE_TEXT, CR_PORT_OPTIONAL, "the number, marked")),
    .outputs = CR_PORTS(CR_PORT("prompt", CR_TYPE_TEXT, 0, "the number")),
    .options = CR_OPTIONS(
        CR_OPTION_INT("count", struct marks, count, NULL, 0, 1000, CR_OPTION_REQUIRED, "items"),
        CR_OPTION_INT("bad", struct marks, bad, "-1", -1, 1000, 0, "the item that fails"),
        CR_OPTION_STRING("breaks", struct marks, breaks, "", 0, "a rule to break")),
    .state_size = sizeof(struct marks),
    .flags = CR_ELEMENT_PARALLEL,
    .task = &ops,
};

static const struct cr_plugin plugin = {
    .magic = {'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
    .abi_major = CR_ABI_MAJOR,
    .abi_minor = CR_ABI_MINOR,
    .size = sizeof(struct cr_plugin),
    .name = "test-marks",
    .version = "1.0",
    .licence = "MIT",
    .summary = "a task for tests",
    .elements = (const struct cr_element *const[]){&element, NULL},
};

/* ---- Running it ---- */

#define PIPELINE(input, mark, output)                                                              \
    "{ \"crayon\": 1, \"inputs\": { \"" input "\": \"text\", \"other\": \"image\" }, "             \
    "\"stages\": { \"m\": { \"use\": " mark ", \"in\": { \"text\": \"@" input "\" } } }, "         \
    "\"outputs\": { \"" output "\": \"m.text\" } }"
static const char marking[] = PIPELINE("prompt", "\"mark\", \"mark\": \"!\"", "answer");

static struct cr_registry *registry;

struct evaluation {
    const char *pipeline; /* NULL: none */
    const char *sets[4];
    uint64_t limit;
    unsigned threads;
    const volatile int *cancel;
    int *stops; /* becomes 1 when three items are through; or NULL */
    char log[1000];
    size_t progress;
};

static void on_progress(void *user, size_t done, size_t count)
{
    struct evaluation *e = user;
    e->progress++;
    assert_int_equal(done, e->progress);
    assert_true(done <= count);
    if (e->stops != NULL && done == 3)
        *e->stops = 1;
}

static void on_failed(void *user, size_t index, const char *name, const char *reason)
{
    struct evaluation *e = user;
    size_t used = strlen(e->log);
    snprintf(e->log + used, sizeof(e->log) - used, "%zu %s: %s\n", index, name != NULL ? name : "-",
             reason);
}

static int evaluate(struct evaluation *e, struct cr_evaluated *out, struct cr_error *err)
{
    struct cr_report *report = cr_report_create();
    struct cr_pipeline *pipeline = NULL;
    size_t count = 0;
    *out = (struct cr_evaluated){.count = 0};
    while (count < COUNT(e->sets) && e->sets[count] != NULL)
        count++;
    int result = report != NULL ? 0 : cr_fail_memory(err, 1);
    if (result == 0 && e->pipeline != NULL)
        result = cr_pipeline_parse(&pipeline, registry, e->pipeline, strlen(e->pipeline),
                                   "marks.json", NULL, 0, report, err);
    const struct cr_evaluate_params params = {
        .registry = registry,
        .task = "task-marks",
        .sets = e->sets,
        .set_count = count,
        .pipeline = pipeline,
        .limit = e->limit,
        .threads = e->threads,
        .cancel = e->cancel,
        .progress = on_progress,
        .failed = on_failed,
        .user = e,
    };
    if (result == 0)
        result = cr_evaluate(out, &params, report, err);
    if (result == CR_ERR_PIPELINE) {
        char *findings = stages_report(report);
        snprintf(e->log, sizeof(e->log), "%s", findings);
        cr_free(findings);
    }
    cr_pipeline_destroy(&pipeline);
    cr_report_destroy(&report);
    return result;
}

static void expect(struct evaluation *e, struct cr_evaluated *out)
{
    struct cr_error err = CR_ERROR_INIT;
    if (evaluate(e, out, &err) < 0)
        fail_msg("%s\n%s", err.message, e->log);
}

static const struct cr_cell *cell(const struct cr_evaluated *out, size_t table, size_t row,
                                  size_t column)
{
    assert_true(table < out->table_count && row < out->tables[table].row_count &&
                column < out->tables[table].column_count);
    return &out->tables[table].rows[row].cells[column];
}

static void test_figures(void **state)
{
    (void)state;
    struct evaluation e = {.pipeline = marking, .sets = {"count=5", "bad=3"}};
    struct cr_evaluated out;
    expect(&e, &out);
    assert_true(out.count == 5 && out.scored == 4 && out.failed == 1 && !out.cancelled);
    assert_text("log", e.log, "3 3: the question is missing\n");
    assert_int_equal(e.progress, 5);
    assert_int_equal(out.table_count, 2);
    assert_string_equal(out.tables[0].name, "marks");
    assert_string_equal(out.tables[0].rows[1].name, "none");
    assert_string_equal(out.tables[0].columns[1], "share");
    assert_true(cell(&out, 0, 0, 0)->unit == CR_UNIT_COUNT && cell(&out, 0, 0, 0)->value == 4);
    assert_true(cell(&out, 0, 0, 1)->value == 1);
    assert_int_equal(cell(&out, 0, 1, 0)->unit, 0);
    assert_true(isnan(cell(&out, 0, 1, 1)->value));
    assert_true(cell(&out, 1, 0, 0)->value == 4);
    cr_evaluated_finish(&out);
}

/* Other names, met by type; wrong answers; the first items only. */
static void test_wires(void **state)
{
    (void)state;
    static const char other[] = PIPELINE("question", "\"mark\", \"mark\": \"?\"", "said");
    struct evaluation e = {.pipeline = other, .sets = {"count=5"}, .limit = 2};
    struct cr_evaluated out;
    expect(&e, &out);
    assert_true(out.count == 2 && out.scored == 2);
    assert_true(cell(&out, 0, 0, 0)->value == 0);
    cr_evaluated_finish(&out);
}

static void test_threads(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 100; threads += 33) {
        struct evaluation e = {.sets = {"count=500", "bad=300"}, .threads = threads};
        struct cr_evaluated out;
        expect(&e, &out);
        assert_true(out.scored == 499 && out.failed == 1 && cell(&out, 1, 0, 0)->value == 499);
        cr_evaluated_finish(&out);
    }
}

static void test_cancel(void **state)
{
    (void)state;
    int stop = 0;
    struct evaluation e = {
        .pipeline = marking, .sets = {"count=50"}, .cancel = &stop, .stops = &stop};
    struct cr_evaluated out;
    expect(&e, &out);
    assert_true(out.cancelled && out.count == 50 && out.scored == 3 && out.failed == 0);
    assert_true(cell(&out, 1, 0, 0)->value == 3);
    cr_evaluated_finish(&out);
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *set, *log, *failure;
    } cases[] = {
        {"breaks=wrong-type", "0 -: the output \"prompt\" is declared as a text and is tokens\n",
         NULL},
        {"breaks=twice", "0 -: the output \"prompt\" is set twice\n", NULL},
        {"breaks=no-output", "0 -: the output \"prompt\" was not set\n", NULL},
        {"breaks=silent", "0 -: it failed without a reason\n", NULL},
        {"breaks=figure-early", "", "task-marks: a figure is told outside of finish()"},
        {"breaks=fail-open", "", "task-marks: questions.json: no such file"},
        {"breaks=columns", "", "task-marks: the table \"wide\" has more than 16 columns"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_evaluated out;
        struct evaluation e = {
            .pipeline = marking,
            .sets = {"count=1", cases[i].set,
                     strcmp(cases[i].set, "breaks=silent") == 0 ? "bad=0" : "bad=-1"}};
        int result = evaluate(&e, &out, &err);
        assert_text(cases[i].set, e.log, cases[i].log);
        assert_text(cases[i].set, result == 0 ? "" : err.message,
                    cases[i].failure != NULL ? cases[i].failure : "");
        cr_evaluated_finish(&out);
    }
}

/* A stage that cannot be opened would fail for every item. */
static void test_shut(void **state)
{
    (void)state;
    static const char shut[] = PIPELINE("prompt", "\"rogue\", \"does\": \"fail-open\"", "answer");
    struct cr_error err = CR_ERROR_INIT;
    struct cr_evaluated out;
    struct evaluation e = {.pipeline = shut, .sets = {"count=5"}};
    assert_int_equal(evaluate(&e, &out, &err), CR_ERR_IO);
    assert_text("shut", err.message, "task-marks: stage \"m\": model.bin: no such file");
    assert_text("log", e.log, "");
}

static void test_mistakes(void **state)
{
    (void)state;
    static const char deaf[] =
        "{ \"crayon\": 1, \"inputs\": { \"image\": \"image\" }, \"stages\": { \"m\": { \"use\": "
        "\"mark\" } }, \"outputs\": { \"answer\": \"m.text\" } }";
    static const char greedy[] =
        "{ \"crayon\": 1, \"inputs\": { \"prompt\": \"text\", \"more\": \"text\" }, \"stages\": { "
        "\"m\": { \"use\": \"mark\", \"in\": { \"text\": [\"@prompt\", \"@more\"] } } }, "
        "\"outputs\": { \"answer\": \"m.text\" } }";
    static const struct {
        const char *pipeline, *set, *log;
    } cases[] = {
        {NULL, "cuont=3",
         "--set: cuont: no option \"cuont\" (task-marks); did you mean \"count\"? Known options: "
         "count, bad, breaks\n"
         "--set: count: the option is missing (task-marks): a whole number, 0..1000; items\n"},
        {NULL, "count=x",
         "--set: count: a whole number is needed here, not a string (task-marks)\n"},
        {NULL, "count",
         "--set: \"count\": write KEY=VALUE for an option of the task\n"
         "--set: count: the option is missing (task-marks): a whole number, 0..1000; items\n"},
        {NULL, "count=77", "--set: count: 77 takes a pipeline (task-marks)\n"},
        {NULL, "count=78", "task-marks: 78 is too much (task-marks)\n"},
        {deaf, "count=1",
         "note: marks.json: /inputs/image: nothing uses this input\n"
         "marks: takes nothing of what the task task-marks hands out: prompt "
         "(text)\n"},
        {greedy, "count=1",
         "marks: needs the input \"more\", a text, which the task task-marks "
         "does not hand out\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_evaluated out;
        struct evaluation e = {.pipeline = cases[i].pipeline, .sets = {cases[i].set}};
        assert_int_equal(evaluate(&e, &out, &err), CR_ERR_PIPELINE);
        assert_text(cases[i].set, e.log, cases[i].log);
    }
}

/* ---- Faults ---- */

static int evaluate_once(void *user, struct cr_error *err)
{
    (void)user;
    struct evaluation e = {.pipeline = marking, .sets = {"count=2"}, .threads = 1};
    struct cr_evaluated out;
    int result = evaluate(&e, &out, err);
    cr_evaluated_finish(&out);
    return result;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, evaluate_once, NULL, NULL) > 50);
}

int main(void)
{
    sweep_cjson();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),  cmocka_unit_test(test_wires),
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_rules),    cmocka_unit_test(test_shut),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_faults),
    };
    registry = stages_registry();
    if (cr_registry_add_static(registry, &plugin, NULL) < 0)
        return 1;
    int failed = cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
    cr_registry_destroy(&registry);
    return failed;
}
