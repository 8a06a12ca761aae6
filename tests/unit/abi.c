/* SPDX-License-Identifier: MIT */
/* A plugin that was compiled from the first ABI's headers (tests/abi/1.0) is loaded, read and run
 * by today's library. Only the public interface is used here. */
#include <sys/stat.h>

#include <crayon/crayon.h>

#include "test.h"

static struct cr_registry *registry;
static char heard[1000];

static int build_and_load(void **unused)
{
    (void)unused;
    const char *cc = getenv("CC");
    char command[8192];
    umask(022);
    snprintf(command, sizeof(command),
             "%s -std=c11 -shared -fPIC -Wall -Wextra -Wpedantic -Werror -I'%s' '%s' -o "
             "'%s/first-abi.so'",
             cc == NULL || cc[0] == '\0' ? "cc" : cc, source_path("tests/abi/1.0"),
             source_path("tests/abi/plugin-1.0.c"), test_folder());
    if (system(command) != 0)
        return -1;
    struct cr_registry_params params = {.path = test_folder(), .only_path = true, .no_cache = true};
    return cr_registry_create(&registry, &params, NULL);
}

static int unload(void **unused)
{
    (void)unused;
    cr_registry_destroy(&registry);
    return 0;
}

static const struct cr_element *stage(void)
{
    assert_int_equal(cr_registry_count(registry), 1);
    struct cr_plugin_info info = cr_registry_get(registry, 0);
    assert_text("reason", info.reason == NULL ? "" : info.reason, "");
    const struct cr_element *element =
        cr_registry_find(registry, CR_ELEMENT_STAGE, "first-abi", NULL);
    assert_non_null(element);
    return element;
}

static void test_plugin(void **unused)
{
    (void)unused;
    const struct cr_element *element = stage();
    const struct cr_plugin *plugin = cr_registry_get(registry, 0).plugin;
    assert_int_equal(plugin->abi_major, 1);
    assert_int_equal(plugin->abi_minor, 0);
    assert_string_equal(plugin->name, "first-abi");
    assert_string_equal(plugin->version, "0.1");
    assert_string_equal(plugin->licence, "MIT");
    assert_string_equal(plugin->summary, "a plugin of the first ABI");
    assert_ptr_equal(plugin->elements[0], element);
    assert_null(plugin->elements[1]);
    assert_string_equal(element->summary, "a stage of the first ABI");
    assert_string_equal(element->description, "It was built long ago.\n\nIt still runs.");
    assert_non_null(element->stage->check);
    assert_non_null(element->stage->open);
    assert_non_null(element->stage->run);
    assert_non_null(element->stage->close);
}

static void test_ports(void **unused)
{
    (void)unused;
    const struct cr_element *element = stage();
    assert_string_equal(element->inputs[0]->name, "texts");
    assert_int_equal(element->inputs[0]->type, CR_TYPE_TEXT);
    assert_int_equal(element->inputs[0]->flags, CR_PORT_MANY);
    assert_string_equal(element->inputs[0]->doc, "any number of texts");
    assert_string_equal(element->inputs[1]->name, "image");
    assert_int_equal(element->inputs[1]->type, CR_TYPE_IMAGE);
    assert_int_equal(element->inputs[1]->flags, CR_PORT_OPTIONAL);
    assert_null(element->inputs[2]);
    assert_string_equal(element->outputs[0]->name, "text");
    assert_null(element->outputs[1]);
}

static void test_options(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *initial;
        enum cr_option_type type;
        double min, max;
    } expected[] = {
        {"flag", "true", CR_OPTION_TYPE_BOOL, 0, 0},
        {"count", "3", CR_OPTION_TYPE_INT, 1, 256},
        {"ratio", "0.25", CR_OPTION_TYPE_NUMBER, 0, 1},
        {"text", "old", CR_OPTION_TYPE_STRING, 0, 0},
        {"mode", "exact", CR_OPTION_TYPE_CHOICE, 0, 0},
        {"file", NULL, CR_OPTION_TYPE_PATH, 0, 0},
        {"model", NULL, CR_OPTION_TYPE_MODEL, 0, 0},
        {"size", "[35, 36]", CR_OPTION_TYPE_SIZE, 1, 1000},
        {"ints", "[1, 2, 3]", CR_OPTION_TYPE_INTS, 0, 9},
        {"strings", "[\"a\"]", CR_OPTION_TYPE_STRINGS, 0, 0},
    };
    const struct cr_option *const *options = stage()->options;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_text("name", options[i]->name, expected[i].name);
        assert_text(expected[i].name, options[i]->initial == NULL ? "NULL" : options[i]->initial,
                    expected[i].initial == NULL ? "NULL" : expected[i].initial);
        assert_int_equal(options[i]->type, expected[i].type);
        assert_true(options[i]->min == expected[i].min && options[i]->max == expected[i].max);
        assert_int_equal(options[i]->flags, strcmp(expected[i].name, "model") == 0 ? 1 : 0);
    }
    assert_null(options[COUNT(expected)]);
    assert_string_equal(options[4]->choices[1], "quick");
    assert_null(options[4]->choices[2]);
}

/* ---- Running it ---- */

static int parse(struct cr_pipeline **pipeline, const char *options, struct cr_report *report)
{
    char text[2000];
    int length = snprintf(
        text, sizeof(text),
        "{\"crayon\": 1, \"inputs\": {\"a\": \"text\", \"b\": \"text\", \"image\": \"image\"},"
        " \"stages\": {\"old\": {\"use\": \"first-abi\", \"model\": \"ORG/NAME\", %s"
        "   \"in\": {\"texts\": [\"@a\", \"@b\"], \"image\": \"@image\"}}},"
        " \"outputs\": {\"text\": \"old.text\"}}",
        options);
    return cr_pipeline_parse(pipeline, registry, text, (size_t)length, "test", NULL, 0, report,
                             NULL);
}

static void hear_text(void *user, const char *output, size_t item, const char *bytes, size_t count)
{
    (void)user, (void)bytes;
    snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "[%s %zu: %zu]", output, item,
             count);
}

static void hear_log(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    (void)user;
    if (level <= CR_LOG_INFO)
        snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "[%s: %s]", subject,
                 message);
}

static void feed_text(struct cr_run *run, const char *name, const char *text)
{
    struct cr_value *value;
    assert_int_equal(cr_value_from_text(&value, text, NULL), 0);
    assert_int_equal(cr_run_set_input(run, name, value, NULL), 0);
    cr_value_unref(&value);
}

static void feed_image(struct cr_run *run)
{
    struct cr_image *image;
    struct cr_value *value;
    assert_int_equal(cr_image_create(&image, (struct cr_size){2, 3}, NULL), 0);
    assert_int_equal(cr_value_from_image(&value, image, NULL), 0);
    assert_int_equal(cr_run_set_input(run, "image", value, NULL), 0);
    cr_image_unref(&image);
    cr_value_unref(&value);
}

static void test_run(void **unused)
{
    (void)unused;
    stage();
    struct cr_report *report = cr_report_create();
    struct cr_pipeline *pipeline;
    struct cr_run *run;
    assert_int_equal(parse(&pipeline, "\"ratio\": 0.5, \"size\": [7, 8],", report), 0);
    assert_int_equal(cr_run_create(&run, pipeline, NULL), 0);
    struct cr_log log = {.write = hear_log, .level = CR_LOG_DEBUG};
    struct cr_run_hooks hooks = {.emit = hear_text, .log = &log};
    cr_run_set_hooks(run, &hooks);
    cr_run_set_seed(run, 42);
    feed_text(run, "a", "one");
    feed_text(run, "b", NULL);
    feed_image(run);
    heard[0] = '\0';
    assert_int_equal(cr_run_want(run, "text", NULL), 0);
    assert_int_equal(cr_run_execute(run, NULL), 0);
    const char *text = cr_value_text(cr_run_output(run, "text"), 0);
    assert_text("output", text, "1 3 50% old exact 7 x 8 3 1 ORG/NAME | 2 x 3, 2 wires one (null)");
    char expected[200];
    snprintf(expected, sizeof(expected), "[old: opened with seed 42][text 0: %zu]", strlen(text));
    assert_text("heard", heard, expected);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    cr_report_destroy(&report);
}

static void test_check(void **unused)
{
    (void)unused;
    stage();
    struct cr_report *report = cr_report_create();
    struct cr_pipeline *pipeline;
    assert_int_equal(parse(&pipeline, "\"count\": 13, \"flag\": false,", report), CR_ERR_PIPELINE);
    assert_int_equal(cr_report_errors(report), 1);
    const struct cr_finding *finding = cr_report_get(report, 0);
    assert_string_equal(finding->pointer, "/stages/old/count");
    static const char start[] = "13 brings bad luck, flag or not, with a picture";
    assert_int_equal(strncmp(finding->message, start, strlen(start)), 0);
    cr_report_destroy(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plugin), cmocka_unit_test(test_ports), cmocka_unit_test(test_options),
        cmocka_unit_test(test_run),    cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests_name("abi", tests, build_and_load, unload);
}
