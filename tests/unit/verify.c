/* SPDX-License-Identifier: MIT */
/* Cases: every form of a value, every bound, every way to fail. A stage that hands its inputs on
 * makes the outputs. */
#include <errno.h>

#include <crayon/memory.h>
#include <crayon/plugin.h>

#include "base/fault.h"
#include "fault_sweep.h"
#include "pipeline_stages.h"
#include "plugin/registry.h"
#include "test.h"
#include "verify/verify.h"

/* ---- echo ---- */

static int echo_run(void *state, struct cr_context *context, struct cr_error *err)
{
    static const char *const ports[] = {"image", "panoptic", "text", "tensor", "tokens"};
    (void)state;
    (void)err;
    for (size_t i = 0; i < COUNT(ports); i++) {
        const struct cr_value *value = cr_context_input(context, ports[i]);
        struct cr_value *out = cr_value_ref(value);
        if (out != NULL)
            cr_context_output(context, ports[i], &out);
    }
    return 0;
}

static void echo_check(const void *state, struct cr_check *check)
{
    (void)state;
    if (!cr_check_connected(check, "text") && !cr_check_connected(check, "tensor") &&
        !cr_check_connected(check, "image") && !cr_check_connected(check, "panoptic") &&
        !cr_check_connected(check, "tokens"))
        cr_check_problem(check, NULL, "there is nothing to hand on");
}

static const struct cr_stage_ops echo_ops = {
    .size = sizeof(struct cr_stage_ops), .check = echo_check, .run = echo_run};

struct echo {
    int64_t level;
};

static const struct cr_element echo = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "echo",
    .summary = "hand everything on",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, CR_PORT_OPTIONAL, "a picture"),
                       CR_PORT("panoptic", CR_TYPE_PANOPTIC, CR_PORT_OPTIONAL, "a map"),
                       CR_PORT("text", CR_TYPE_TEXT, CR_PORT_OPTIONAL, "a text"),
                       CR_PORT("tensor", CR_TYPE_TENSOR, CR_PORT_OPTIONAL, "numbers"),
                       CR_PORT("tokens", CR_TYPE_TOKENS, CR_PORT_OPTIONAL, "ids")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the same"),
                        CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "the same"),
                        CR_PORT("text", CR_TYPE_TEXT, 0, "the same"),
                        CR_PORT("tensor", CR_TYPE_TENSOR, 0, "the same"),
                        CR_PORT("tokens", CR_TYPE_TOKENS, 0, "the same")),
    .options = CR_OPTIONS(CR_OPTION_INT("level", struct echo, level, "3", 0, 9, 0, "ignored")),
    .state_size = sizeof(struct echo),
    .stage = &echo_ops,
};

static const struct cr_plugin plugin = {
    .magic = {'c', 'r', 'a', 'y', 'o', 'n', '\r', '\n'},
    .abi_major = CR_ABI_MAJOR,
    .abi_minor = CR_ABI_MINOR,
    .size = sizeof(struct cr_plugin),
    .name = "test-echo",
    .version = "1.0",
    .licence = "MIT",
    .summary = "a stage for tests",
    .elements = (const struct cr_element *const[]){&echo, NULL},
};

/* ---- Files beside the cases ---- */

#define NAN_BITS "\0\0\xc0\x7f"
#define ONE_BITS "\0\0\x80\x3f"
#define TWO_BITS "\0\0\0\x40"
#define INF_BITS "\0\0\x80\x7f"

/* A safetensors file from its header and data. */
static void write_tensors(const char *name, const char *header, const void *data, size_t bytes)
{
    char file[4096];
    size_t size = strlen(header);
    assert_true(8 + size + bytes <= sizeof(file));
    for (int i = 0; i < 8; i++)
        file[i] = (char)(size >> (8 * i));
    memcpy(file + 8, header, size);
    memcpy(file + 8 + size, data, bytes);
    write_test_file(scratch(name), file, 8 + size + bytes);
}

static void write_files(void)
{
    static const char floats[] = ONE_BITS ONE_BITS NAN_BITS ONE_BITS;
    static const int64_t ids[] = {2, 2, 5, 7, 8, 9};
    uint8_t pixels[12];
    for (int i = 0; i < 12; i++)
        pixels[i] = (uint8_t)(20 * i);
    write_tensors("floats.safetensors",
                  "{\"good\": {\"dtype\": \"F32\", \"shape\": [1, 2], \"data_offsets\": [0, 8]},"
                  " \"bad\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [8, 16]}}",
                  floats, 16);
    write_tensors("ids.safetensors",
                  "{\"rows\": {\"dtype\": \"I64\", \"shape\": [2, 3], \"data_offsets\": [0, 48]}}",
                  ids, sizeof(ids));
    write_tensors("pixels.safetensors",
                  "{\"one\": {\"dtype\": \"U8\", \"shape\": [2, 3, 1, 2],"
                  " \"data_offsets\": [0, 12]}}",
                  pixels, 12);
    write_test_text(scratch("numbers.json"),
                    "{\"a\": [[1, 2], [3, 4]], \"b/c\": {\"t\": \"from a file\"},"
                    " \"list\": [\"x\", null], \"half\": 0.5, \"segments\": [{\"id\": 1,"
                    " \"label_id\": 17, \"score\": 0.5}]}");
    write_test_text(scratch("words.txt"), "several words\n");
}

/* ---- Running a case ---- */

static struct cr_registry *registry;
static struct cr_verify *session;

static int setup(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    registry = stages_registry();
    const struct cr_verify_params params = {.registry = registry};
    if (cr_registry_add_static(registry, &plugin, &err) < 0 ||
        cr_verify_create(&session, &params, &err) < 0)
        fail_msg("%s", err.message);
    write_files();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cr_verify_destroy(&session);
    cr_registry_destroy(&registry);
    assert_int_equal(cr_memory_live(), 0);
    return 0;
}

static void run_text(struct cr_verified *out, const char *text)
{
    struct cr_error err = CR_ERROR_INIT;
    write_test_text(scratch("case.json"), text);
    if (cr_verify_case(out, session, scratch("case.json"), NULL, &err) < 0)
        fail_msg("%s", err.message);
}

/* Names that would be right are offered in each message; the nearest is enough here. */
static void cut_offers(char *text)
{
    static const char *const starts[] = {" Known ", "; known "};
    for (size_t i = 0; i < COUNT(starts); i++)
        for (char *at; (at = strstr(text, starts[i])) != NULL;)
            memmove(at, at + strcspn(at, "\n"), strlen(at + strcspn(at, "\n")) + 1);
}

/* Everything that is said about a case: findings without the folder, and problems. */
static const char *account(const struct cr_verified *verified)
{
    static char text[8000];
    static const char *const verdicts[] = {"passed", "failed", "not run"};
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", verdicts[verified->verdict]);
    for (size_t i = 0; i < cr_report_count(verified->report); i++) {
        const struct cr_finding *finding = cr_report_get(verified->report, i);
        const char *message = finding->message;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "\n%s: ", finding->pointer);
        for (const char *at; (at = strstr(message, test_folder())) != NULL;) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s", (int)(at - message),
                                     message);
            message = at + strlen(test_folder()) + 1;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", message);
    }
    for (size_t i = 0; i < verified->count && cr_report_count(verified->report) == 0; i++) {
        const struct cr_compared *compared = &verified->compared[i];
        if (compared->problem != NULL)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "\n%s: %s", compared->name,
                                     compared->problem);
        for (int kind = 0; kind < CR_BOUND_COUNT && compared->problem == NULL; kind++)
            if (compared->bounds[kind].given && !compared->bounds[kind].holds)
                used +=
                    (size_t)snprintf(text + used, sizeof(text) - used, "\n%s: %s %.4g > %.4g",
                                     compared->name, cr_bound_key((enum cr_bound_kind)kind),
                                     compared->bounds[kind].error, compared->bounds[kind].limit);
    }
    cut_offers(text);
    return text;
}

static void check_text(const char *text, const char *expected)
{
    struct cr_verified verified;
    run_text(&verified, text);
    assert_text(text, account(&verified), expected);
    cr_verified_finish(&verified);
}

/* A case that hands `port` through `echo`: "in" and "value" as given, with these bounds. */
static void check(const char *port, const char *in, const char *value, const char *bounds,
                  const char *expected)
{
    char text[4000];
    snprintf(text, sizeof(text),
             "{\"crayon-case\": 1, \"stage\": \"echo\", \"inputs\": {\"%s\": %s},"
             " \"expected\": {\"%s\": {\"value\": %s, %s}}}",
             port, in, port, value, bounds);
    check_text(text, expected);
}

#define EXACT "\"exact\": true"

/* ---- Bounds ---- */

static void test_bounds(void **state)
{
    (void)state;
    check("tensor", "[1.5, 2]", "[1.5, 2]", EXACT, "passed");
    check("tensor", "[3, 4.5]", "[3, 4]", EXACT, "failed\ntensor: exact 1 > 0");
    check("tensor", "[0.25, 4]", "[0, 4]", "\"absolute\": 0.25", "passed");
    check("tensor", "[0.25, 4]", "[0, 4]", "\"absolute\": 0.2499",
          "failed\ntensor: absolute 0.25 > 0.2499");
    check("tensor", "[3, 4.5]", "[3, 4]", "\"relative\": 0.1", "passed");
    check("tensor", "[3, 4.5]", "[3, 4]", "\"relative\": 0.0999",
          "failed\ntensor: relative 0.1 > 0.0999");
    /* All of several bounds must hold. */
    check("tensor", "[3, 4.5]", "[3, 4]", "\"relative\": 0.1, \"absolute\": 0.4",
          "failed\ntensor: absolute 0.5 > 0.4");
    check("tensor", "[3, 4.5]", "[3, 4]", "\"relative\": 0.01, \"absolute\": 0.5",
          "failed\ntensor: relative 0.1 > 0.01");
    check("tensor", "[1, 2, 3]", "[1, 9, 9]", "\"mismatches\": 2", "passed");
    check("tensor", "[1, 2, 3]", "[1, 9, 9]", "\"mismatches\": 1",
          "failed\ntensor: mismatches 2 > 1");
    /* A zero reference: 0 when both are, and 1e-7 absolute. */
    check("tensor", "[0.0, 0]", "[0, 0]", "\"relative\": 0", "passed");
    check("tensor", "[1e-7, 0]", "[0, 0]", "\"relative\": 1e-9", "passed");
    check("tensor", "[1.1e-7, 0]", "[0, 0]", "\"relative\": 1e9",
          "failed\ntensor: relative inf > 1e+09");
}

/* An infinity in both is no difference, and no excuse for others. */
static void test_infinities(void **state)
{
    (void)state;
    static const char floats[] = INF_BITS ONE_BITS INF_BITS TWO_BITS ONE_BITS TWO_BITS;
    write_tensors("high.safetensors",
                  "{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]},"
                  " \"b\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [8, 16]},"
                  " \"c\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [16, 24]}}",
                  floats, 24);
#define HIGH(name) "\"high.safetensors#" name "\""
    check("tensor", HIGH("a"), HIGH("a"), "\"relative\": 0, \"absolute\": 0", "passed");
    check("tensor", HIGH("a"), HIGH("b"), "\"relative\": 0.49",
          "failed\ntensor: relative 0.5 > 0.49");
    check("tensor", HIGH("a"), HIGH("b"), "\"absolute\": 0.9", "failed\ntensor: absolute 1 > 0.9");
    check("tensor", HIGH("c"), HIGH("b"), "\"absolute\": 1e30",
          "failed\ntensor: absolute inf > 1e+30");
    check("tensor", HIGH("b"), HIGH("c"), "\"relative\": 1e30",
          "failed\ntensor: relative inf > 1e+30");
}

static void test_devices(void **state)
{
    (void)state;
    /* Nothing was computed on a device: the key changes nothing, but it is checked. */
    check("tensor", "[1]", "[2]", "\"absolute\": 0.5, \"devices\": {\"cpu\": {\"absolute\": 1}}",
          "failed\ntensor: absolute 1 > 0.5");
    check("tensor", "[1]", "[1]", "\"absolute\": 0.5, \"devices\": {\"cpu\": {\"abslute\": 1}}",
          "failed\n/expected/tensor/devices/cpu/abslute: a set of bounds has no key \"abslute\"; "
          "did you mean \"absolute\"?");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", \"inputs\": {\"tensor\": [1]},"
               "\"devices\": {\"cpu\": {\"tensr\": {\"absolute\": 1}, \"exact\": 3}, \"x\": 1},"
               "\"expected\": {\"tensor\": {\"value\": [1], \"exact\": true}}}",
               "failed\n/devices/cpu/exact: true is needed here, not a number\n"
               "/devices/cpu/tensr: nothing is expected of \"tensr\"; did you mean \"tensor\"?"
               "\n"
               "/devices/x: an object of bounds is needed here, not a number");
}

/* ---- Values ---- */

static void test_tensors(void **state)
{
    (void)state;
    check("tensor", "\"floats.safetensors#good\"", "[1, 1]", EXACT, "passed");
    check("tensor", "\"ids.safetensors#rows\"", "[[2, 2, 5], [7, 8, 9]]", EXACT, "passed");
    check("tensor", "\"ids.safetensors#rows[1]\"", "[7, 8, 9]", EXACT, "passed");
    check("tensor", "\"numbers.json#/a\"", "[[1, 2], [3, 4]]", EXACT, "passed");
    check("tensor", "\"numbers.json#/a/1/0\"", "3", EXACT, "passed");
    check("tensor", "0.5", "\"numbers.json#/half\"", EXACT, "passed");
    check("tensor", "[true, false]", "[1, 0]", EXACT, "passed");
    /* Leading extents of 1 do not count, maps of whole numbers are told by their count. */
    check("tensor", "[[[0.5, 1]]]", "[0.5, 1]", EXACT, "passed");
    check("tensor", "[[0.5], [1]]", "[0.5, 1]", EXACT,
          "failed\ntensor: its shape is f32 [2,1], not f32 [2]");
    check("tensor", "[[1], [2]]", "[1, 2]", EXACT, "passed");
    check("tensor", "[1, 2]", "[1, 2, 3]", EXACT,
          "failed\ntensor: its shape is i32 [2], not i32 [3]");
    /* A NaN never passes. */
    check("tensor", "\"floats.safetensors#bad\"", "[1, 1]", "\"mismatches\": 9",
          "failed\ntensor: there is a NaN in it");
    check("tensor", "[1, 1]", "\"floats.safetensors#bad\"", "\"absolute\": 9",
          "failed\ntensor: there is a NaN in what is expected");
}

static void test_malformed_tensors(void **state)
{
    (void)state;
    check("tensor", "[[1, 2], [3]]", "[1]", EXACT,
          "failed\n/inputs/tensor: the lists differ in length");
    check("tensor", "[1, \"a\"]", "[1]", EXACT,
          "failed\n/inputs/tensor: a number is needed in the lists, not a string");
    check("tensor", "[[[[[1]]]]]", "[1]", EXACT,
          "failed\n/inputs/tensor: lists within lists: at most 4 deep");
    check("tensor", "\"words\"", "[1]", EXACT,
          "failed\n/inputs/tensor: \"words\" is no tensor: FILE.safetensors#NAME, "
          "FILE.json#/POINTER or lists of numbers are needed here");
    check("tensor", "\"none.safetensors#x\"", "[1]", EXACT,
          "failed\n/inputs/tensor: none.safetensors: cannot open: No such file or directory");
    check("tensor", "\"floats.safetensors#x\"", "[1]", EXACT,
          "failed\n/inputs/tensor: floats.safetensors: no tensor \"x\"");
    check("tensor", "\"ids.safetensors#rows[2]\"", "[1]", EXACT,
          "failed\n/inputs/tensor: ids.safetensors#rows[2]: there is no row 2: it has 2");
    check("tensor", "\"numbers.json#/nothing\"", "[1]", EXACT,
          "failed\n/inputs/tensor: numbers.json: there is nothing at /nothing");
    check("tensor", "[1]", "\"numbers.json#/a/7\"", EXACT,
          "failed\n/expected/tensor/value: numbers.json: there is nothing at /a/7");
    check("tensor", "[1]", "\"none.json#/a\"", EXACT,
          "failed\n/expected/tensor/value: none.json: cannot open: No such file or directory");
}

static void test_texts(void **state)
{
    (void)state;
    check("text", "\"a b\"", "\"a b\"", EXACT, "passed");
    check("text", "\"words.txt\"", "\"several words\"", EXACT, "passed");
    check("text", "{\"text\": \"words.txt\"}", "{\"text\": \"words.txt\"}", EXACT, "passed");
    check("text", "{\"text\": \"words.txt\"}", "\"words.txt\"", EXACT,
          "failed\ntext: it is \"words.txt\", not \"several words\"");
    check("text", "\"numbers.json#/b~1c/t\"", "\"from a file\"", EXACT, "passed");
    check("text", "\"numbers.json#/list\"", "[\"x\", null]", EXACT, "passed");
    check("text", "null", "null", EXACT, "passed");
    check("text", "null", "\"\"", EXACT, "failed\ntext: it is null, not \"\"");
    check("text", "[\"a\", \"b\"]", "[\"a\", \"c\"]", EXACT,
          "failed\ntext: it is \"b\", not \"c\"");
    check("text", "[\"a\", \"b\"]", "\"a\"", EXACT, "failed\ntext: it has 2 items, not 1");
    check("text", "\"a\"", "\"a\"", "\"absolute\": 1",
          "failed\ntext: a text has no size of an error: \"exact\" or \"mismatches\" suit it");
    check("text", "[\"a\", 7]", "\"a\"", EXACT,
          "failed\n/inputs/text: item 1: a text, a text file, {\"text\": TEXT} or null is needed "
          "here, not a number");
}

static void test_images(void **state)
{
    (void)state;
    check("image", "\"pixels.safetensors#one[0]\"", "\"pixels.safetensors#one[0]\"", EXACT,
          "passed");
    check("image", "\"pixels.safetensors#one\"",
          "[\"pixels.safetensors#one[0]\", \"pixels.safetensors#one[1]\"]", EXACT, "passed");
    check("image", "\"pixels.safetensors#one[0]\"", "\"pixels.safetensors#one[1]\"",
          "\"absolute\": 119", "failed\nimage: absolute 120 > 119");
    check("image", "\"photo.png\"", "\"photo.png\"", EXACT,
          "failed\n/inputs/image: no file \"photo.png\" beside the case");
    check("image", "\"words.txt\"", "\"words.txt\"", EXACT,
          "failed\n/inputs/image: words.txt: not a picture; a PNG or JPEG picture is needed here");
    check("image", "\"ids.safetensors#rows\"", "\"photo.png\"", EXACT,
          "failed\n/inputs/image: a picture is a tensor of type u8, [3,H,W] or [B,3,H,W], and this "
          "one is none");
    check("image", "[[1]]", "\"photo.png\"", EXACT,
          "failed\n/inputs/image: item 0: a picture is needed here, not a list");
}

#define MAP(ids, segments) "{\"ids\": " ids ", \"segments\": " segments "}"

static void test_panoptic(void **state)
{
    (void)state;
    static const char one[] = MAP("[[0, 1]]", "[{\"id\": 1, \"label_id\": 17}]");
    check("panoptic", one, one, EXACT, "passed");
    check("panoptic", one, MAP("[[-3, 1]]", "\"numbers.json#/segments\""), EXACT, "passed");
    check("panoptic", one, MAP("[[1, 1]]", "[{\"id\": 1, \"label_id\": 17}]"), EXACT,
          "failed\npanoptic: exact 1 > 0");
    check("panoptic", one, MAP("[[1, 1]]", "[{\"id\": 1, \"label_id\": 17}]"), "\"mismatches\": 1",
          "passed");
    check("panoptic", one, MAP("[[0, 1]]", "[{\"id\": 1, \"label_id\": 16}]"), "\"mismatches\": 9",
          "failed\npanoptic: the segments (id, label) are (1, 17), not (1, 16)");
    check("panoptic", one, MAP("[[0, 1]]", "[]"), "\"mismatches\": 9",
          "failed\npanoptic: the segments (id, label) are (1, 17), not none");
    check("panoptic", one, MAP("[[0], [1]]", "\"numbers.json#/segments\""), EXACT,
          "failed\npanoptic: the map has 1 x 2 pixels, not 2 x 1");
    check("panoptic", MAP("[[[0, 1]], [[0, 0]]]", "[\"a\", 2, 3]"), one, EXACT,
          "failed\n/inputs/panoptic: \"segments\": 2 lists are needed, one for each map");
    check("panoptic", MAP("[[[0, 1]], [[0, 0]]]", "[[{\"id\": 1, \"label_id\": 17}], []]"), one,
          EXACT, "failed\npanoptic: it has 2 items, not 1");
    check("panoptic", MAP("[0.5]", "[]"), one, EXACT,
          "failed\n/inputs/panoptic: \"ids\" are whole numbers [H,W] or [B,H,W]");
    check(
        "panoptic", MAP("[[1]]", "[{\"id\": 1, \"label_id\": 133}]"), one, EXACT,
        "failed\n/inputs/panoptic: segment 0: a segment is {\"id\": N, \"label_id\": N}, label_id "
        "from -1 to 132");
    check("panoptic", "{\"png\": \"a.png\"}", one, EXACT,
          "failed\n/inputs/panoptic: a panoptic map is needed here, {\"ids\": VALUE, \"segments\": "
          "VALUE} or {\"png\": FILE, \"json\": FILE}, not an object");
}

static void test_tokens(void **state)
{
    (void)state;
    check("tokens", "[5, 6]", "[5, 6]", EXACT, "passed");
    check("tokens", "[5, 6]", "[[5, 6]]", EXACT, "passed");
    check("tokens", "[5, 6]", "[5, 7]", EXACT, "failed\ntokens: row 0 is [5,6], not [5,7]");
    check("tokens", "[5, 6]", "[5, 7]", "\"mismatches\": 1", "passed");
    check("tokens", "[5, 6]", "[5]", EXACT, "failed\ntokens: row 0 is [5,6], not [5]");
    check("tokens", "[5, 6]", "[[5, 6], [1]]", EXACT, "failed\ntokens: it has 1 items, not 2");
    /* Rows were padded on the left with one id, up to the longest one. */
    check("tokens", "[[5], [7, 8, 9]]", "\"ids.safetensors#rows\"", EXACT, "passed");
    check("tokens", "\"ids.safetensors#rows\"", "[[5], [7, 8, 9]]", EXACT, "passed");
    check("tokens", "[[5], [8, 9]]", "\"ids.safetensors#rows\"", EXACT,
          "failed\ntokens: row 0 is [5], not [2,2,5]");
    check("tokens", "[[5], [7, 8, 9]]", "[[3, 2, 5], [7, 8, 9]]", EXACT,
          "failed\ntokens: row 0 is [5], not [3,2,5]");
    check("tokens", "[[5], [6], [7, 8]]", "[[1, 5], [2, 6], [7, 8]]", EXACT,
          "failed\ntokens: row 1 is [6], not [2,6]");
    check("tokens", "[5, 0.5]", "[5]", EXACT,
          "failed\n/inputs/tokens: token 1 is no whole number of 32 bits");
    check("tokens", "\"floats.safetensors#good\"", "[5]", EXACT,
          "failed\n/inputs/tokens: tokens are whole numbers [L] or [B,L]");
}

/* ---- The case itself ---- */

#define EXPECTED "\"expected\": {\"text\": {\"value\": \"a\", \"exact\": true}}"
#define INPUTS "\"inputs\": {\"text\": \"a\"}"

static void test_keys(void **state)
{
    (void)state;
    check_text(
        "{\"crayon-case\": 1, \"note\": \"n\", \"x-more\": 1, \"stage\": \"echo\", \"options\":"
        " {\"level\": 4}, " INPUTS ", " EXPECTED "}",
        "passed");
    check_text("{\"crayon-case\": 1,\n \"stage\" \"echo\"}",
               "failed\n: 2:10: expected ':' after the key, found '\"'");
    check_text("[]", "failed\n: a case is an object, not a list");
    check_text("{\"stage\": \"echo\", \"input\": {}, " EXPECTED "}",
               "failed\n: is no case: it has no \"crayon-case\": 1\n"
               "/input: a case has no key \"input\"; did you mean \"inputs\"?");
    check_text("{\"crayon-case\": 2, \"stage\": \"echo\", " INPUTS ", " EXPECTED "}",
               "failed\n/crayon-case: this crayon reads cases of format 1 only");
    check_text(
        "{\"crayon-case\": 1, " INPUTS ", " EXPECTED "}",
        "failed\n: nothing to run: a case has \"stage\", \"pipeline\" or \"op\", one of them");
    check_text(
        "{\"crayon-case\": 1, \"op\": \"add\", \"stage\": \"echo\", " EXPECTED "}",
        "failed\n: more than one thing to run: a case has \"stage\", \"pipeline\" or \"op\", "
        "one of them");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", \"attributes\": {}, \"inputs\": [], "
               "\"expected\": {}}",
               "failed\n/inputs: an object is needed here, not a list\n"
               "/attributes: this key stands beside \"op\" only\n"
               "/expected: nothing is expected: {\"OUTPUT\": {\"value\": VALUE, BOUND: ...}}");
    check_text(
        "{\"crayon-case\": 1, \"stage\": \"echo\", \"expected\": {\"a\": 1, \"b\": {\"exact\": "
        "false}, \"c\": {\"value\": 1, \"relativ\": 1, \"absolute\": -1, \"mismatches\": 0.5}}}",
        "failed\n/expected/a: {\"value\": VALUE, BOUND: ...} is needed here, not a number\n"
        "/expected/b: the value is missing: \"value\": VALUE\n"
        "/expected/b/exact: true is needed here, not false\n"
        "/expected/c/relativ: an expected value has no key \"relativ\"; did you mean "
        "\"relative\"?\n"
        "/expected/c/absolute: -1 is below 0\n"
        "/expected/c/mismatches: 0.5 is no whole number, at least 0");
    check_text(
        "{\"crayon-case\": 1, \"stage\": \"echo\", " INPUTS
        ", \"expected\": {\"text\": {\"value\": \"a\"}}}",
        "failed\n/expected/text: it has no bound: one of \"relative\", \"absolute\", \"exact\" "
        "and \"mismatches\" at least");
}

static void test_stages(void **state)
{
    (void)state;
    check_text("{\"crayon-case\": 1, \"stage\": \"ehco\", " INPUTS ", " EXPECTED "}",
               "not run\n/stage: no plugin \"ehco\"");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", \"inputs\": {\"txt\": \"a\"}, " EXPECTED
               "}",
               "failed\n/inputs/txt: echo has no input \"txt\"; did you mean \"text\"?");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", " INPUTS
               ", \"expected\": {\"txt\": {\"value\": \"a\", \"exact\": true}}}",
               "failed\n/expected/txt: echo has no output \"txt\"; did you mean \"text\"?");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", \"options\": {\"level\": 12}, " INPUTS
               ", " EXPECTED "}",
               "failed\n/options/level: 12 is outside 0..9 (echo, default 3)");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", \"options\": {\"use\": \"x\"}, " INPUTS
               ", " EXPECTED "}",
               "failed\n/options/use: this is no option of echo");
    check_text("{\"crayon-case\": 1, \"stage\": \"echo\", \"inputs\": {\"tensor\": [1]}, " EXPECTED
               "}",
               "failed\n: stage \"stage\": the output \"text\" was not set");
}

#define PIPELINE(use, more)                                                                        \
    "\"pipeline\": {\"crayon\": 1, \"inputs\": {\"t\": \"text\"}, \"stages\": {\"e\": {\"use\": "  \
    "\"" use "\", \"in\": {\"text\": \"@t\"}" more "}}, \"outputs\": {\"text\": \"e.text\"}}"

static void test_pipelines(void **state)
{
    (void)state;
    check_text(
        "{\"crayon-case\": 1, " PIPELINE("echo", "") ", \"inputs\": {\"t\": \"a\"}, " EXPECTED "}",
        "passed");
    check_text(
        "{\"crayon-case\": 1, " PIPELINE("ehco", "") ", \"inputs\": {\"t\": \"a\"}, " EXPECTED "}",
        "not run\n/pipeline/stages/e/use: no plugin \"ehco\"; did you mean \"echo\"?");
    check_text("{\"crayon-case\": 1, " PIPELINE(
                   "echo", ", \"device\": \"warp\"") ", \"inputs\": {\"t\": \"a\"}, " EXPECTED "}",
               "not run\n/pipeline/stages/e/device: no device \"warp\"; there are: none, no device "
               "plugin was found");
    check_text("{\"crayon-case\": 1, " PIPELINE(
                   "echo", ", \"lvl\": 1") ", \"inputs\": {\"t\": \"a\"}, " EXPECTED "}",
               "failed\n/pipeline/stages/e/lvl: no option \"lvl\" (echo)"
               "");
    check_text("{\"crayon-case\": 1, " PIPELINE(
                   "echo", "") ", \"inputs\": {\"u\": \"a\"}, "
                               "\"expected\": {\"v\": {\"value\": \"a\", \"exact\": true}}}",
               "failed\n/inputs/u: the pipeline has no input \"u\"; did you mean "
               "\"t\"?\n/expected/v: case: no output \"v\"");
    check_text("{\"crayon-case\": 1, " PIPELINE("echo", "") ", " EXPECTED "}",
               "failed\n: case: the input \"t\" is needed, a text");
    /* What hangs on an absent plugin is not blamed for it. */
    check_text("{\"crayon-case\": 1, \"pipeline\": {\"crayon\": 1, \"stages\": {\"a\": {\"use\": "
               "\"absent\"}, \"e\": {\"use\": \"echo\", \"in\": {\"text\": \"a.text\"}}}, "
               "\"outputs\": {\"text\": \"e.text\"}}, " EXPECTED "}",
               "not run\n/pipeline/stages/a/use: no plugin \"absent\"");
    write_test_text(scratch("p.json"), "{\"crayon\": 1, \"stages\": {\"m\": {\"use\": \"mark\", "
                                       "\"mark\": \"a\"}}, \"outputs\": {\"text\": \"m.text\"}}");
    check_text("{\"crayon-case\": 1, \"pipeline\": \"p.json\", " EXPECTED "}", "passed");
    check_text("{\"crayon-case\": 1, \"pipeline\": \"q.json\", " EXPECTED "}",
               "failed\n/pipeline: q.json: cannot open: No such file or directory");
    check_text("{\"crayon-case\": 1, " PIPELINE("echo", "") ", \"train\": {\"labels\": [1], "
                                                            "\"step\": 1}, " EXPECTED "}",
               "failed\n/train/step: \"train\" has no key \"step\"; did you mean \"steps\"?\n"
               "/train: this version of crayon cannot train");
    check_text("{\"crayon-case\": 1, " PIPELINE("echo", "") ", \"train\": {\"steps\": 1}, " EXPECTED
                                                            "}",
               "not run\n/train: this version of crayon cannot train");
}

static void test_ops(void **state)
{
    (void)state;
    check_text("{\"crayon-case\": 1, \"op\": \"ad\", " EXPECTED "}",
               "failed\n/op: no operation \"ad\"; did you mean \"add\"?");
}

/* ---- Finding cases ---- */

static void test_find(void **state)
{
    (void)state;
    char **paths;
    size_t count;
    struct cr_error err = CR_ERROR_INIT;
    char expected[4000];
    write_test_text(scratch("b.case.json"), "{}");
    write_test_text(scratch("case.json"), "{}");
    write_test_text(scratch("other.json"), "{}");
    assert_int_equal(cr_verify_find(&paths, &count, test_folder(), &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(paths[0], scratch("b.case.json"));
    assert_string_equal(paths[1], scratch("case.json"));
    for (size_t i = 0; i < count; i++)
        cr_free(paths[i]);
    cr_free(paths);
    assert_int_equal(cr_verify_find(&paths, &count, scratch("other.json"), &err), 0);
    assert_int_equal(count, 1);
    cr_free(paths[0]);
    cr_free(paths);
    assert_int_equal(cr_verify_find(&paths, &count, scratch("none"), &err), CR_ERR_NOT_FOUND);
    snprintf(expected, sizeof(expected), "%s: cannot open: No such file or directory",
             scratch("none"));
    assert_text("none", err.message, expected);
}

/* ---- Faults ---- */

static int attempt(void *user, struct cr_error *err)
{
    struct cr_verified verified;
    (void)user;
    int result = cr_verify_case(&verified, session, scratch("sweep.json"), NULL, err);
    if (result < 0)
        return result;
    /* A file that cannot be read fails the case, with the reason. */
    if (verified.verdict != CR_VERDICT_PASSED)
        result = cr_fail(err, CR_ERR_IO, "%s", cr_report_get(verified.report, 0)->message);
    cr_verified_finish(&verified);
    return result;
}

static void test_faults(void **state)
{
    (void)state;
    write_test_text(
        scratch("sweep.json"),
        "{\"crayon-case\": 1, \"stage\": \"echo\", \"inputs\": {"
        "\"text\": \"words.txt\", \"tensor\": \"floats.safetensors#good\", \"tokens\": [1, 2],"
        "\"image\": \"pixels.safetensors#one[0]\", \"panoptic\": " MAP(
            "[[0, 1]]",
            "\"numbers.json#/segments\"") "},"
                                          "\"expected\": {\"text\": {\"value\": \"several words\", "
                                          "\"exact\": true},"
                                          "\"tensor\": {\"value\": [1, 1], \"absolute\": 0},"
                                          "\"tokens\": {\"value\": [1, 2], \"exact\": true},"
                                          "\"image\": {\"value\": \"pixels.safetensors#one[0]\", "
                                          "\"exact\": true},"
                                          "\"panoptic\": {\"value\": " MAP(
                                              "[[0, 1]]",
                                              "\"numbers.json#/segments\"") ","
                                                                            " \"mismatches\": "
                                                                            "0}}}");
    assert_true(sweep_faults(CR_FAULT_ALLOC, 0, attempt, NULL, NULL) > 50);
    assert_true(sweep_faults(CR_FAULT_OPEN, EACCES, attempt, NULL, NULL) > 3);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, attempt, NULL, NULL) > 3);
}

int main(void)
{
    sweep_cjson();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bounds),
        TEST(test_infinities),
        TEST(test_devices),
        TEST(test_tensors),
        TEST(test_malformed_tensors),
        TEST(test_texts),
        TEST(test_images),
        TEST(test_panoptic),
        TEST(test_tokens),
        TEST(test_keys),
        TEST(test_stages),
        TEST(test_pipelines),
        TEST(test_ops),
        TEST(test_find),
        TEST(test_faults),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
