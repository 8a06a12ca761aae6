/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "plugin/check.h"
#include "test.h"

struct state {
    int64_t level;
    const char *mode;
};

/* A good plugin whose every part can be spoilt. */
struct kit {
    struct cr_port input, output;
    struct cr_option level, mode;
    const char *choices[4];
    const struct cr_port *inputs[3], *outputs[3];
    const struct cr_option *options[4];
    struct cr_stage_ops ops;
    struct cr_task_ops task;
    struct cr_element element, second;
    const struct cr_element *elements[3];
    struct cr_plugin plugin;
};

static int run(void *state, struct cr_context *context, struct cr_error *err)
{
    (void)state, (void)context, (void)err;
    return 0;
}

static void init(struct kit *k)
{
    *k = (struct kit){
        .input = {sizeof(struct cr_port), 0, "image", CR_TYPE_IMAGE, "a picture"},
        .output = {sizeof(struct cr_port), 0, "image", CR_TYPE_IMAGE, "another picture"},
        .level = {sizeof(struct cr_option), 0, "level", CR_OPTION_TYPE_INT,
                  offsetof(struct state, level), "3", 0, 9, NULL, "how much"},
        .mode = {sizeof(struct cr_option), 0, "mode", CR_OPTION_TYPE_CHOICE,
                 offsetof(struct state, mode), "fast", 0, 0, k->choices, "how"},
        .choices = {"fast", "good"},
        .inputs = {&k->input},
        .outputs = {&k->output},
        .options = {&k->level, &k->mode},
        .ops = {.size = sizeof(struct cr_stage_ops), .run = run},
        .element = {.size = sizeof(struct cr_element),
                    .kind = CR_ELEMENT_STAGE,
                    .name = "soften",
                    .summary = "soften a picture",
                    .inputs = k->inputs,
                    .outputs = k->outputs,
                    .options = k->options,
                    .state_size = sizeof(struct state),
                    .stage = &k->ops},
        .elements = {&k->element},
        .plugin = {{'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
                   CR_ABI_MAJOR,
                   CR_ABI_MINOR,
                   sizeof(struct cr_plugin),
                   "blur",
                   "1.0",
                   "MIT",
                   "soften pictures",
                   k->elements},
    };
    k->second = k->element;
}

static int task_open(void *state, struct cr_task_context *context, size_t *count,
                     struct cr_error *err)
{
    (void)state, (void)context, (void)count, (void)err;
    return 0;
}

static int task_item(void *state, size_t index, struct cr_task_context *context,
                     struct cr_error *err)
{
    (void)state, (void)index, (void)context, (void)err;
    return 0;
}

static int task_finish(void *state, struct cr_task_context *context, struct cr_error *err)
{
    (void)state, (void)context, (void)err;
    return 0;
}

static void be_task(struct kit *k)
{
    k->task = (struct cr_task_ops){.size = sizeof(struct cr_task_ops),
                                   .open = task_open,
                                   .item = task_item,
                                   .score = task_item,
                                   .finish = task_finish};
    k->element.kind = CR_ELEMENT_TASK;
    k->element.stage = NULL;
    k->element.task = &k->task;
}

#define NAME63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"

/* What is done to the kit, and what is said about it; NULL: nothing. */
#define CASES(X)                                                                                   \
    /* the plugin */                                                                               \
    X(k->plugin.magic[0] = 'C',                                                                    \
      "is not a crayon plugin: its crayon_plugin does not begin with the magic bytes")             \
    X(k->plugin.abi_major = 0, "was built for plugin ABI 0.3, this is 1.3: install a plugin "      \
                               "built for crayon 0.1")                                             \
    X(k->plugin.abi_major = 2, "was built for plugin ABI 2.3, this is 1.3: install a plugin "      \
                               "built for crayon 0.1")                                             \
    X(k->plugin.abi_minor = CR_ABI_MINOR + 1,                                                      \
      "was built for plugin ABI 1.4, this is 1.3: install a newer crayon, or a plugin built for "  \
      "crayon 0.1")                                                                                \
    X(k->plugin.size -= 1, "its struct cr_plugin is too small: 55 bytes")                          \
    X(k->plugin.size += 8, NULL)                                                                   \
    X(k->plugin.name = NULL, "\"\" is no name: a lower case letter, then lower case letters, "     \
                             "digits and \"-\", at most 63 bytes")                                 \
    X(k->plugin.name = "Blur", "\"Blur\" is no name: a lower case letter, then lower case "        \
                               "letters, digits and \"-\", at most 63 bytes")                      \
    X(k->plugin.name = "9lives", "\"9lives\" is no name: a lower case letter, then lower case "    \
                                 "letters, digits and \"-\", at most 63 bytes")                    \
    X(k->plugin.name = "a-9", NULL)                                                                \
    X(k->plugin.name = NAME63, NULL)                                                               \
    X(k->plugin.name = NAME63 "x",                                                                 \
      "\"" NAME63 "x\" is no name: a lower case letter, then lower case letters, digits and "      \
      "\"-\", at most 63 bytes")                                                                   \
    X(k->plugin.version = NULL, "its version is missing, or is not one line of text")              \
    X(k->plugin.licence = "", "its licence is missing, or is not one line of text")                \
    X(k->plugin.summary = "a\nb", "its summary is missing, or is not one line of text")            \
    X(k->plugin.elements = NULL, "it has no elements")                                             \
    X(k->elements[0] = NULL, "it has no elements")                                                 \
    X(k->elements[1] = &k->second, "element \"soften\": a second one of this name")                \
    X((k->elements[1] = &k->second, k->second.name = "harden"), NULL)                              \
    /* elements */                                                                                 \
    X(k->element.size = 0, "element 1: its struct cr_element is too small: 0 bytes")               \
    X(k->element.kind = 0, "element \"soften\": its kind 0 is unknown")                            \
    X(k->element.kind = 7, "element \"soften\": its kind 7 is unknown")                            \
    X(k->element.name = "a_b", "element 1: \"a_b\" is no name: a lower case letter, then lower "   \
                               "case letters, digits and \"-\", at most 63 bytes")                 \
    X(k->element.summary = NULL,                                                                   \
      "element \"soften\": its summary is missing, or is not one line of text")                    \
    X(k->element.description = NULL, NULL)                                                         \
    X(k->element.inputs = NULL, NULL)                                                              \
    X(k->element.outputs = NULL, NULL)                                                             \
    X((k->element.options = NULL, k->element.state_size = 0), NULL)                                \
    X(k->element.stage = NULL, "element \"soften\": it has no stage functions")                    \
    X(k->ops.size = 8, "element \"soften\": its struct cr_stage_ops is too small: 8 bytes")        \
    X(k->ops.run = NULL, "element \"soften\": it has no run function")                             \
    X(k->element.flags = CR_ELEMENT_USES_DEVICE, NULL)                                             \
    X(k->element.flags = CR_ELEMENT_SERIAL, NULL)                                                  \
    X(k->element.flags = 6, "element \"soften\": its flags 0x2 are not for a stage")               \
    X((k->element.flags = 6, k->element.size = offsetof(struct cr_element, flags)), NULL)          \
    /* tasks */                                                                                    \
    X(k->element.kind = CR_ELEMENT_TASK, "element \"soften\": it has no task functions")           \
    X(be_task(k), NULL)                                                                            \
    X((be_task(k), k->element.flags = CR_ELEMENT_PARALLEL), NULL)                                  \
    X((be_task(k), k->element.flags = CR_ELEMENT_USES_DEVICE),                                     \
      "element \"soften\": its flags 0x1 are not for a task")                                      \
    X((be_task(k), k->element.size = offsetof(struct cr_element, task)),                           \
      "element \"soften\": it has no task functions")                                              \
    X((be_task(k), k->task.size = 8),                                                              \
      "element \"soften\": its struct cr_task_ops is too small: 8 bytes")                          \
    X((be_task(k), k->task.check = NULL, k->task.close = NULL), NULL)                              \
    X((be_task(k), k->task.open = NULL),                                                           \
      "element \"soften\": one of its task functions is missing")                                  \
    X((be_task(k), k->task.finish = NULL),                                                         \
      "element \"soften\": one of its task functions is missing")                                  \
    /* ports */                                                                                    \
    X(k->input.size = 4, "element \"soften\": input 1: its struct cr_port is too small: 4 bytes")  \
    X(k->output.name = "out-1",                                                                    \
      "element \"soften\": output 1: \"out-1\" is no name: a lower case letter, then lower case "  \
      "letters, digits and \"_\", at most 63 bytes")                                               \
    X(k->output.name = "out_1", NULL)                                                              \
    X(k->input.doc = NULL,                                                                         \
      "element \"soften\": input \"image\": its doc is missing, or is not one line of text")       \
    X(k->output.type = 0, "element \"soften\": output \"image\": its type 0 is unknown")           \
    X(k->input.type = 99, "element \"soften\": input \"image\": its type 99 is unknown")           \
    X(k->input.flags = CR_PORT_OPTIONAL | CR_PORT_MANY, NULL)                                      \
    X(k->input.flags = 4, "element \"soften\": input \"image\": its flags 0x4 are not for an "     \
                          "input")                                                                 \
    X(k->output.flags = CR_PORT_OPTIONAL, "element \"soften\": output \"image\": its flags 0x1 "   \
                                          "are not for an output")                                 \
    X(k->inputs[1] = &k->output, "element \"soften\": input \"image\": a second one of this name") \
    /* options */                                                                                  \
    X(k->mode.size = 4, "element \"soften\": option 2: its struct cr_option is too small: 4 "      \
                        "bytes")                                                                   \
    X(k->level.name = "", "element \"soften\": option 1: \"\" is no name: a lower case letter, "   \
                          "then lower case letters, digits and \"_\", at most 63 bytes")           \
    X(k->level.name = "note", "element \"soften\": option \"note\": the name is reserved: it "     \
                              "means something in every stage")                                    \
    X(k->level.doc = "\t",                                                                         \
      "element \"soften\": option \"level\": its doc is missing, or is not one line of text")      \
    X(k->level.type = 0, "element \"soften\": option \"level\": its type 0 is unknown")            \
    X(k->level.type = 12, "element \"soften\": option \"level\": its type 12 is unknown")          \
    X(k->level.flags = 2, "element \"soften\": option \"level\": its flags 0x2 are unknown")       \
    X(k->level.flags = CR_OPTION_REQUIRED, "element \"soften\": option \"level\": it is required " \
                                           "and has a default: one of both")                       \
    X((k->level.flags = CR_OPTION_REQUIRED, k->level.initial = NULL), NULL)                        \
    X(k->level.offset = 8, NULL)                                                                   \
    X(k->level.offset = 9, "element \"soften\": option \"level\": its member, 8 bytes at 9, lies " \
                           "outside the state of 16 bytes")                                        \
    X(k->level.offset = UINT32_MAX, "element \"soften\": option \"level\": its member, 8 bytes "   \
                                    "at 4294967295, lies outside the state of 16 bytes")           \
    X(k->element.state_size = 0,                                                                   \
      "element \"soften\": option \"level\": its member, 8 bytes at 0, "                           \
      "lies outside the state of 0 bytes")                                                         \
    X(k->level.min = 10, "element \"soften\": option \"level\": its bounds are the wrong way "     \
                         "round: min 10, max 9")                                                   \
    X(k->level.max = NAN, "element \"soften\": option \"level\": its bounds are the wrong way "    \
                          "round: min 0, max nan")                                                 \
    X((k->level.type = CR_OPTION_TYPE_SIZE, k->level.initial = NULL, k->level.min = -1),           \
      "element \"soften\": option \"level\": a size cannot be negative, and min is -1")            \
    X(k->level.initial = NULL, NULL)                                                               \
    X(k->level.initial = "10", "element \"soften\": option \"level\": its default: 10 is outside " \
                               "0..9")                                                             \
    X(k->level.initial = "\"3\"", "element \"soften\": option \"level\": its default: a whole "    \
                                  "number is needed here, not a string")                           \
    X(k->mode.initial = "slow", "element \"soften\": option \"mode\": its default: \"slow\" is "   \
                                "none of fast, good")                                              \
    X(k->mode.choices = NULL, "element \"soften\": option \"mode\": it has no choices")            \
    X(k->choices[0] = NULL, "element \"soften\": option \"mode\": it has no choices")              \
    X(k->choices[1] = "", "element \"soften\": option \"mode\": choice 2 is not one line of text") \
    X(k->choices[2] = "fast", "element \"soften\": option \"mode\": the choice \"fast\" is there " \
                              "twice")                                                             \
    X(k->options[2] = &k->level,                                                                   \
      "element \"soften\": option \"level\": a second one of this name")                           \
    X(k->mode.name = "level", "element \"soften\": option \"level\": a second one of this name")

struct spoilt {
    const char *how, *message;
};

static const struct spoilt cases[] = {
#define ROW(how, message) {#how, message},
    CASES(ROW)
#undef ROW
};

static void spoil(struct kit *k, size_t index)
{
    size_t at = 0;
#define APPLY(how, message)                                                                        \
    if (at++ == index)                                                                             \
        how;
    CASES(APPLY)
#undef APPLY
}

static void test_good(void **unused)
{
    (void)unused;
    struct kit kit;
    init(&kit);
    assert_int_equal(cr_plugin_check(&kit.plugin, NULL), 0);
}

static void test_spoilt(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kit kit;
        init(&kit);
        spoil(&kit, i);
        struct cr_error err = CR_ERROR_INIT;
        int result = cr_plugin_check(&kit.plugin, &err);
        assert_text(cases[i].how, err.message, cases[i].message == NULL ? "" : cases[i].message);
        assert_int_equal(result, cases[i].message == NULL ? 0 : CR_ERR_PLUGIN);
        assert_int_equal(err.code, result);
    }
}

/* A list without its end is noticed if it goes on for long enough. */
static void test_endless(void **unused)
{
    (void)unused;
    struct kit kit;
    init(&kit);
    const struct cr_port *ports[1002];
    for (size_t i = 0; i < COUNT(ports); i++)
        ports[i] = &kit.input;
    kit.element.inputs = ports;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_plugin_check(&kit.plugin, &err), CR_ERR_PLUGIN);
    assert_string_equal(err.message, "element \"soften\": more than 1000 inputs: does the list end "
                                     "with NULL?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_endless),
    };
    return cmocka_run_group_tests_name("plugin_check", tests, NULL, NULL);
}
