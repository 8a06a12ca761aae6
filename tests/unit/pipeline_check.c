/* SPDX-License-Identifier: MIT */
/* What a pipeline becomes when it is loaded: order, files over files, --set, remarks. Mistakes are
 * in pipeline_broken.c. */
#include <unistd.h>

#include <crayon/memory.h>
#include <crayon/plugin.h>

#include "pipeline/hint.h"
#include "pipeline/names.h"
#include "pipeline_stages.h"
#include "test.h"

static struct cr_registry *registry;

static int setup(void **state)
{
    (void)state;
    registry = stages_registry();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cr_registry_destroy(&registry);
    return 0;
}

/* Load a file of the scratch folder with changes; the report's text is kept in `*said`. */
static struct cr_pipeline *load(const char *name, const char *const *sets, size_t count,
                                char **said)
{
    struct cr_report *report = cr_report_create();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline;
    int result = cr_pipeline_load(&pipeline, registry, scratch(name), sets, count, report, &err);
    *said = stages_report(report);
    if ((result == 0) != (cr_report_errors(report) == 0) || (result == 0) != (pipeline != NULL))
        fail_msg("result %d: %s\n%s", result, err.message, *said);
    cr_report_destroy(&report);
    return pipeline;
}

/* The value of a key in the effective pipeline: what follows `"key": ` up to the end of the line.
 */
static void assert_printed(const struct cr_pipeline *pipeline, const char *expected)
{
    char *json;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_pipeline_print(pipeline, &json, &err), 0);
    if (strstr(json, expected) == NULL)
        fail_msg("this is not in the pipeline: %s\n%s", expected, json);
    cr_free(json);
}

static void assert_not_printed(const struct cr_pipeline *pipeline, const char *unexpected)
{
    char *json;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_pipeline_print(pipeline, &json, &err), 0);
    if (strstr(json, unexpected) != NULL)
        fail_msg("this is in the pipeline: %s\n%s", unexpected, json);
    cr_free(json);
}

/* ---- Names and hints ---- */

static void test_names(void **state)
{
    (void)state;
    cJSON *object = cJSON_Parse("{\"ab\": 1, \"b\": 2, \"a\": 3, \"abc\": 4, \"B\": 5}");
    struct cr_names names;
    assert_true(cr_names_init(&names, object));
    static const struct {
        const char *text;
        size_t length;
        int value; /* 0: not there */
    } cases[] = {{"a", 1, 3},    {"ab", 2, 1},   {"abc", 3, 4},  {"abc.d", 3, 4},
                 {"abcd", 4, 0}, {"abcd", 2, 1}, {"b", 1, 2},    {"B", 1, 5},
                 {"c", 1, 0},    {"", 0, 0},     {"a\0b", 1, 3}, {"A", 1, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct cr_name *found = cr_names_find(&names, cases[i].text, cases[i].length);
        assert_int_equal(found == NULL ? 0 : found->member->valueint, cases[i].value);
    }
    assert_int_equal(cr_names_find(&names, "a", 1)->place, 2);
    cr_names_finish(&names);
    cJSON_Delete(object);
    assert_true(cr_names_init(&names, NULL));
    assert_null(cr_names_find(&names, "a", 1));
    cr_names_finish(&names);
}

static void test_hints(void **state)
{
    (void)state;
    struct cr_hint hint;
    cr_hint_init(&hint, "gird", "outputs");
    assert_string_equal(cr_hint_text(&hint), "; there are no outputs");
    cr_hint_offer(&hint, "panoptic");
    assert_string_equal(cr_hint_text(&hint), "; known outputs: panoptic");
    cr_hint_offer(&hint, "grid");
    assert_string_equal(cr_hint_text(&hint),
                        "; did you mean \"grid\"? Known outputs: panoptic, grid");
    char name[40];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "an_output_of_some_length_%d", i);
        cr_hint_offer(&hint, name);
    }
    const char *text = cr_hint_text(&hint);
    assert_true(strlen(text) < 700);
    assert_string_equal(text + strlen(text) - 5, ", ...");
}

/* ---- Order ---- */

static void test_order(void **state)
{
    (void)state;
    static const struct {
        const char *stages; /* NAME<SOURCE,SOURCE NAME ... */
        const char *order;
    } cases[] = {
        {"a b c", "a b c"},
        {"c b a", "c b a"},
        {"h g f e d c b a", "h g f e d c b a"},
        {"f<a e<a d<a c<a b<a a", "a f e d c b"},
        {"a<b b", "b a"},
        {"c<a b a", "b a c"},
        {"a b<a c<a d<b,c", "a b c d"},
        {"d<b,c c<a b<a a", "a c b d"},
        {"z y<z x<y,z w", "z y x w"},
        {"e<d d<c c<b b<a a", "a b c d e"},
        {"a<x b x<y c y", "b c y x a"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_text text = CR_TEXT_INIT;
        cr_text_add(&text, "{\"crayon\": 1, \"stages\": {");
        char copy[100], *rest = NULL;
        snprintf(copy, sizeof(copy), "%s", cases[i].stages);
        for (char *word = strtok_r(copy, " ", &rest); word != NULL;
             word = strtok_r(NULL, " ", &rest)) {
            char *sources = strchr(word, '<');
            if (sources != NULL)
                *sources++ = '\0';
            cr_text_printf(&text, "%s\"%s\": {\"use\": \"mark\", \"in\": {\"text\": [",
                           word == copy ? "" : ",", word);
            for (char *c = sources; c != NULL && *c != '\0'; c += 1 + (c[1] == ','))
                cr_text_printf(&text, "%s\"%c.text\"", c == sources ? "" : ",", *c);
            cr_text_add(&text, "]}}");
        }
        cr_text_printf(&text, "}, \"outputs\": {\"text\": \"%c.text\"}}", cases[i].stages[0]);
        struct cr_pipeline *pipeline = stages_pipeline(registry, "order.json", text.data);
        char order[100] = "";
        for (size_t j = 0; j < cr_pipeline_stages(pipeline); j++) {
            strcat(order, j == 0 ? "" : " ");
            strcat(order, cr_pipeline_stage(pipeline, j).name);
        }
        assert_text(cases[i].stages, order, cases[i].order);
        cr_pipeline_destroy(&pipeline);
        cr_text_finish(&text);
    }
}

/* ---- Looking at it ---- */

static const char scene[] =
    "{\"crayon\": 1, \"note\": \"a note\", \"x-who\": [1, {\"a\": 2.5}],\n"
    " \"inputs\": {\"image\": \"image\", \"unused\": \"text\"},\n"
    " \"stages\": {\n"
    "  \"overlay\": {\"use\": \"overlay\", \"note\": \"paint\",\n"
    "              \"in\": {\"image\": \"@image\", \"panoptic\": \"segment.grid\"}},\n"
    "  \"segment\": {\"use\": \"segment\", \"file\": \"parts.json\", \"labels\": [\"\\u00e4\", "
    "\"b\\n\"],\n"
    "              \"batch\": 2, \"release\": true, \"in\": {\"image\": \"photo.image\"}},\n"
    "  \"photo\": {\"use\": \"photo\", \"path\": \"../x/horse.jpg\"},\n"
    "  \"idle\": {\"use\": \"mark\", \"x-idle\": null}},\n"
    " \"outputs\": {\"picture\": \"overlay.image\", \"raw\": \"@image\", \"map\": "
    "\"segment.panoptic\"}}";

static void test_getters(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "folder/scene.json", scene);
    assert_string_equal(cr_pipeline_name(pipeline), "scene");
    assert_int_equal(cr_pipeline_inputs(pipeline), 2);
    assert_string_equal(cr_pipeline_input(pipeline, 0).name, "image");
    assert_int_equal(cr_pipeline_input(pipeline, 1).type, CR_TYPE_TEXT);
    assert_null(cr_pipeline_input(pipeline, 1).wire);
    assert_int_equal(cr_pipeline_outputs(pipeline), 3);
    struct cr_pipeline_port picture = cr_pipeline_output(pipeline, 0);
    assert_string_equal(picture.name, "picture");
    assert_string_equal(picture.wire, "overlay.image");
    assert_int_equal(picture.type, CR_TYPE_IMAGE);
    assert_string_equal(cr_pipeline_output(pipeline, 1).wire, "@image");
    assert_int_equal(cr_pipeline_output(pipeline, 2).type, CR_TYPE_PANOPTIC);
    assert_int_equal(cr_pipeline_stages(pipeline), 4);
    assert_string_equal(cr_pipeline_stage(pipeline, 0).name, "photo");
    assert_string_equal(cr_pipeline_stage(pipeline, 2).element->name, "overlay");
    cr_pipeline_destroy(&pipeline);
    assert_null(pipeline);
    cr_pipeline_destroy(&pipeline);
}

static void test_print(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "/data/scene.json", scene);
    char *json, *again;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_pipeline_print(pipeline, &json, &err), 0);
    cr_pipeline_destroy(&pipeline);
    assert_text("effective", json,
                "{\n"
                "  \"crayon\": 1,\n"
                "  \"name\": \"scene\",\n"
                "  \"x-who\": [1, { \"a\": 2.5 }],\n"
                "  \"note\": \"a note\",\n"
                "  \"inputs\": { \"image\": \"image\", \"unused\": \"text\" },\n"
                "  \"stages\": {\n"
                "    \"overlay\": {\n"
                "      \"use\": \"overlay\",\n"
                "      \"in\": { \"image\": \"@image\", \"panoptic\": \"segment.grid\" },\n"
                "      \"note\": \"paint\"\n"
                "    },\n"
                "    \"segment\": {\n"
                "      \"use\": \"segment\",\n"
                "      \"outlines\": true,\n"
                "      \"max_side\": 1024,\n"
                "      \"threshold\": 0.5,\n"
                "      \"mode\": \"exact\",\n"
                "      \"file\": \"/data/parts.json\",\n"
                "      \"grid\": [35, 35],\n"
                "      \"labels\": [\"\xc3\xa4\", \"b\\n\"],\n"
                "      \"in\": { \"image\": \"photo.image\" },\n"
                "      \"batch\": 2,\n"
                "      \"release\": true\n"
                "    },\n"
                "    \"photo\": { \"use\": \"photo\", \"path\": \"/data/../x/horse.jpg\" },\n"
                "    \"idle\": { \"use\": \"mark\", \"mark\": \"\", \"x-idle\": null }\n"
                "  },\n"
                "  \"outputs\": { \"picture\": \"overlay.image\", \"raw\": \"@image\", "
                "\"map\": \"segment.panoptic\" }\n"
                "}\n");
    pipeline = stages_pipeline(registry, "somewhere/else.json", json);
    assert_int_equal(cr_pipeline_print(pipeline, &again, &err), 0);
    assert_text("printed twice", again, json);
    cr_pipeline_destroy(&pipeline);
    cr_free(json);
    cr_free(again);
}

static void test_graph(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stages_pipeline(registry, "the \"scene\".json", scene);
    char *dot;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_pipeline_graph(pipeline, &dot, &err), 0);
    assert_text("graph", dot,
                "digraph \"the \\\"scene\\\"\" {\n"
                "    rankdir=LR;\n"
                "    node [shape=Mrecord, fontname=\"sans-serif\", fontsize=11];\n"
                "    edge [fontname=\"sans-serif\", fontsize=9, color=gray40];\n"
                "    \"@image\" [shape=ellipse, label=\"image\"];\n"
                "    \"@unused\" [shape=ellipse, label=\"unused\"];\n"
                "    \"overlay\" [label=\"{{<i0> image|<i1> panoptic|<i2> caption}|overlay|"
                "{<o0> image}}\"];\n"
                "    \"segment\" [label=\"{{<i0> image}|segment|{<o0> panoptic|<o1> grid|<o2> "
                "scores}}\"];\n"
                "    \"photo\" [label=\"{photo|{<o0> image}}\"];\n"
                "    \"idle\" [label=\"{{<i0> text}|idle\\n(mark)|{<o0> text}}\", style=dashed];\n"
                "    \"=picture\" [shape=ellipse, label=\"picture\"];\n"
                "    \"=raw\" [shape=ellipse, label=\"raw\"];\n"
                "    \"=map\" [shape=ellipse, label=\"map\"];\n"
                "    \"@image\" -> \"overlay\":i0 [label=\"image\"];\n"
                "    \"segment\":o1 -> \"overlay\":i1 [label=\"panoptic\"];\n"
                "    \"photo\":o0 -> \"segment\":i0 [label=\"image\"];\n"
                "    \"overlay\":o0 -> \"=picture\" [label=\"image\"];\n"
                "    \"@image\" -> \"=raw\" [label=\"image\"];\n"
                "    \"segment\":o0 -> \"=map\" [label=\"panoptic\"];\n"
                "}\n");
    write_test_text(scratch("graph.dot"), dot);
    cr_free(dot);
    cr_pipeline_destroy(&pipeline);
    if (system("command -v dot >/dev/null 2>&1") != 0)
        skip_because("the text was compared, but there is no dot to read it");
    char command[1000];
    snprintf(command, sizeof(command), "dot -Tsvg '%s' -o '%s'", scratch("graph.dot"),
             scratch("graph.svg"));
    assert_int_equal(system(command), 0);
}

/* ---- Remarks ---- */

static void test_remarks(void **state)
{
    (void)state;
    write_test_text(scratch("scene.json"), scene);
    char *said;
    struct cr_pipeline *pipeline = load("scene.json", NULL, 0, &said);
    char expected[1000];
    snprintf(expected, sizeof(expected),
             "note: %s: /inputs/unused: nothing uses this input\n"
             "note: %s: /stages/idle: no output needs this stage: it never runs\n",
             scratch("scene.json"), scratch("scene.json"));
    assert_text("remarks", said, expected);
    cr_free(said);
    cr_pipeline_destroy(&pipeline);
    /* What is needed only by way of others is needed. */
    write_test_text(scratch("chain.json"),
                    "{\"crayon\": 1, \"inputs\": {\"in\": \"text\"}, \"stages\": {\n"
                    " \"a\": {\"use\": \"mark\", \"in\": {\"text\": \"@in\"}},\n"
                    " \"b\": {\"use\": \"mark\", \"in\": {\"text\": \"a.text\"}},\n"
                    " \"c\": {\"use\": \"mark\", \"in\": {\"text\": \"b.text\"}}},\n"
                    " \"outputs\": {\"out\": \"c.text\"}}");
    pipeline = load("chain.json", NULL, 0, &said);
    assert_text("no remarks", said, "");
    cr_free(said);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Files over files ---- */

static const char base_text[] =
    "{\"crayon\": 1, \"name\": \"base\", \"inputs\": {\"image\": \"image\"}, \"stages\": {\n"
    " \"segment\": {\"use\": \"segment\", \"file\": \"parts.json\", \"threshold\": 0.25,\n"
    "             \"in\": {\"image\": \"@image\"}},\n"
    " \"photo\": {\"use\": \"photo\", \"path\": \"horse.jpg\"}},\n"
    " \"outputs\": {\"map\": \"segment.panoptic\", \"picture\": \"photo.image\"}}";

static void make_folders(void)
{
    char command[1000];
    snprintf(command, sizeof(command), "mkdir -p '%s' '%s'", scratch("one"), scratch("two"));
    assert_int_equal(system(command), 0);
    write_test_text(scratch("one/base.json"), base_text);
    write_test_text(scratch("two/middle.json"),
                    "{\"crayon\": 1, \"extends\": \"../one/base.json\", \"stages\": {\n"
                    " \"photo\": {\"path\": \"cat.jpg\"}, \"segment\": {\"max_side\": 512}}}");
    write_test_text(scratch("top.json"),
                    "{\"crayon\": 1, \"extends\": \"two/middle.json\", \"name\": \"top\",\n"
                    " \"stages\": {\"segment\": {\"threshold\": 0.75}},\n"
                    " \"outputs\": {\"picture\": null, \"raw\": \"photo.image\"}}");
}

/* A path starts from the folder of the file that wrote it. */
static void test_layers(void **state)
{
    (void)state;
    make_folders();
    char *said, expected[500];
    struct cr_pipeline *pipeline = load("top.json", NULL, 0, &said);
    assert_text("no remarks", said, "");
    cr_free(said);
    assert_string_equal(cr_pipeline_name(pipeline), "top");
    assert_int_equal(cr_pipeline_outputs(pipeline), 2);
    assert_string_equal(cr_pipeline_output(pipeline, 1).name, "raw");
    snprintf(expected, sizeof(expected), "\"file\": \"%s\"", scratch("two/../one/parts.json"));
    assert_printed(pipeline, expected);
    snprintf(expected, sizeof(expected), "\"path\": \"%s\"", scratch("two/cat.jpg"));
    assert_printed(pipeline, expected);
    assert_printed(pipeline, "\"threshold\": 0.75");
    assert_printed(pipeline, "\"max_side\": 512");
    assert_not_printed(pipeline, "extends");
    cr_pipeline_destroy(&pipeline);
}

/* A path in --set starts from the working folder. */
static void test_set_path(void **state)
{
    (void)state;
    make_folders();
    const char *sets[] = {"photo.path=dog.jpg"};
    char *said, here[500], expected[600];
    struct cr_pipeline *pipeline = load("top.json", sets, 1, &said);
    cr_free(said);
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(expected, sizeof(expected), "\"path\": \"%s/dog.jpg\"", here);
    assert_printed(pipeline, expected);
    cr_pipeline_destroy(&pipeline);
}

/* A folder is a model's folder; what is none is its public name. */
static void test_model(void **state)
{
    (void)state;
    make_folders();
    write_test_text(
        scratch("model.json"),
        "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\n"
        " \"a\": {\"use\": \"segment\", \"model\": \"one\", \"in\": {\"image\": \"@image\"}},\n"
        " \"b\": {\"use\": \"segment\", \"model\": \"ORG/NAME\", \"in\": {\"image\": "
        "\"@image\"}}},\n"
        " \"outputs\": {\"a\": \"a.grid\", \"b\": \"b.grid\"}}");
    char *said, expected[500];
    struct cr_pipeline *pipeline = load("model.json", NULL, 0, &said);
    cr_free(said);
    snprintf(expected, sizeof(expected), "\"model\": \"%s\"", scratch("one"));
    assert_printed(pipeline, expected);
    assert_printed(pipeline, "\"model\": \"ORG/NAME\"");
    cr_pipeline_destroy(&pipeline);
}

/* Swapping a plugin drops what the new one lacks, as far as it was inherited. */
static void test_swap(void **state)
{
    (void)state;
    make_folders();
    write_test_text(scratch("swap.json"),
                    "{\"crayon\": 1, \"extends\": \"two/middle.json\",\n"
                    " \"stages\": {\"segment\": {\"use\": \"blobs\", \"count\": 7}}}");
    char *said, expected[2000];
    struct cr_pipeline *pipeline = load("swap.json", NULL, 0, &said);
    snprintf(expected, sizeof(expected),
             "note: %s: /stages/segment/file: dropped: blobs has no option \"file\", which %s gave "
             "to its predecessor\n"
             "note: %s: /stages/segment/max_side: dropped: blobs has no option \"max_side\", which "
             "%s gave to its predecessor\n",
             scratch("swap.json"), scratch("two/../one/base.json"), scratch("swap.json"),
             scratch("two/middle.json"));
    assert_text("swap", said, expected);
    cr_free(said);
    assert_printed(pipeline, "\"use\": \"blobs\", \"threshold\": 0.25, \"count\": 7");
    assert_not_printed(pipeline, "parts.json");
    cr_pipeline_destroy(&pipeline);

    /* What was written together with or after the new plugin is a mistake, also if a layer on top
     * repeats the plugin. */
    write_test_text(scratch("again.json"),
                    "{\"crayon\": 1, \"extends\": \"swap.json\",\n"
                    " \"stages\": {\"segment\": {\"use\": \"blobs\", \"max_side\": 99}}}");
    assert_null(load("again.json", NULL, 0, &said));
    assert_non_null(strstr(said, "again.json: /stages/segment/max_side: no option \"max_side\""));
    cr_free(said);
    const char *sets[] = {"segment.max_side=99", "segment.use=blobs"};
    assert_null(load("top.json", sets, 2, &said));
    assert_non_null(strstr(said, "--set: /stages/segment/max_side: no option \"max_side\""));
    cr_free(said);
    const char *swap[] = {"segment.use=blobs"};
    pipeline = load("top.json", swap, 1, &said);
    assert_non_null(pipeline);
    assert_non_null(strstr(said, "note: --set: /stages/segment/file: dropped"));
    cr_free(said);
    cr_pipeline_destroy(&pipeline);
}

/* The ports of the old plugin go the same way. */
static void test_swap_ports(void **state)
{
    (void)state;
    make_folders();
    const char *sets[] = {"photo.use=mark", "outputs.picture=null", "outputs.raw=null"};
    write_test_text(scratch("wired.json"), "{\"crayon\": 1, \"stages\": {\n"
                                           " \"a\": {\"use\": \"mark\"}, \"b\": {\"use\": "
                                           "\"mark\", \"in\": {\"text\": \"a.text\"}}},\n"
                                           " \"outputs\": {\"text\": \"b.text\"}}");
    const char *swap[] = {"b.use=photo", "b.path=x.png", "outputs.text=b.image"};
    char *said;
    struct cr_pipeline *pipeline = load("wired.json", swap, 3, &said);
    assert_non_null(pipeline);
    assert_non_null(strstr(said, "note: --set: /stages/b/in/text: dropped: photo has no port"));
    assert_printed(pipeline, "\"b\": { \"use\": \"photo\", \"path\": ");
    cr_free(said);
    cr_pipeline_destroy(&pipeline);
    assert_non_null(pipeline = load("top.json", sets, 3, &said));
    assert_non_null(strstr(said, "note: --set: /stages/photo/path: dropped: mark has no option"));
    cr_free(said);
    cr_pipeline_destroy(&pipeline);
}

/* ---- --set ---- */

static void test_sets(void **state)
{
    (void)state;
    make_folders();
    static const struct {
        const char *set;
        const char *printed;
    } cases[] = {
        {"segment.threshold=0.125", "\"threshold\": 0.125"},
        {"segment.title=two words", "\"title\": \"two words\""},
        {"segment.title=\"5\"", "\"title\": \"5\""},
        {"segment.title=a=b", "\"title\": \"a=b\""},
        {"segment.title=", "\"title\": \"\""},
        {"segment.title={not json", "\"title\": \"{not json\""},
        {"segment.grid=[7, 9]", "\"grid\": [7, 9]"},
        {"segment.outlines=false", "\"outlines\": false"},
        {"segment.threshold=null", "\"threshold\": 0.5"},
        {"segment.in.image=photo.image", "\"in\": { \"image\": \"photo.image\" }"},
        {"segment.x-mark.deep.down=1", "\"x-mark\": { \"deep\": { \"down\": 1 } }"},
        {"outputs.more=segment.grid", "\"more\": \"segment.grid\""},
        {"inputs.extra=text", "\"extra\": \"text\""},
        {"name=another", "\"name\": \"another\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *said;
        struct cr_pipeline *pipeline = load("top.json", &cases[i].set, 1, &said);
        if (pipeline == NULL)
            fail_msg("%s: %s", cases[i].set, said);
        assert_printed(pipeline, cases[i].printed);
        cr_free(said);
        cr_pipeline_destroy(&pipeline);
    }
    const char *later[] = {"segment.title=a", "segment.title=b"};
    char *said;
    struct cr_pipeline *pipeline = load("top.json", later, 2, &said);
    assert_printed(pipeline, "\"title\": \"b\"");
    cr_free(said);
    cr_pipeline_destroy(&pipeline);
}

#define FORMS "; write STAGE.KEY=VALUE, inputs.NAME=TYPE, outputs.NAME=WIRE or name=TEXT\n"

static void test_broken_sets(void **state)
{
    (void)state;
    make_folders();
    static const struct {
        const char *set;
        const char *said;
    } cases[] = {
        {"segment", "--set: \"segment\" has no \"=\"" FORMS},
        {"segment=1", "--set: \"segment\" names no place" FORMS},
        {"=1", "--set: \"\" names no place" FORMS},
        {"segment.=1", "--set: \"segment.\" names no place" FORMS},
        {"segment..x=1", "--set: \"segment..x\" names no place" FORMS},
        {".segment=1", "--set: \".segment\" names no place" FORMS},
        {"outputs=1", "--set: \"outputs\" names no place" FORMS},
        {"segmnt.threshold=1", "--set: segmnt.threshold: no stage \"segmnt\"; did you mean "
                               "\"segment\"? Known stages: segment, photo\n"},
        {"outputs.a.b=1",
         "--set: outputs.a.b: no stage \"outputs\"; known stages: segment, photo\n"},
        {"extends.x=1", "--set: extends.x: no stage \"extends\"; known stages: segment, photo\n"},
        {"segment.title=\xff", "--set: segment.title: the value is not valid UTF-8\n"},
        {"segment.threshold=2", "--set: /stages/segment/threshold: 2 is outside 0..1 (segment, "
                                "default 0.5)\n"},
        {"segment.threshold=high", "--set: /stages/segment/threshold: a number is needed here, not "
                                   "a string (segment, default 0.5)\n"},
        {"segment.treshold=1",
         "--set: /stages/segment/treshold: no option \"treshold\" (segment); did you mean "
         "\"threshold\"? Known options: outlines, max_side, threshold, title, mode, file, model, "
         "grid, sides, labels\n"},
        {"segment.in.image=null", "--set: /stages/segment/in/image: nothing is connected here; "
                                  "segment needs an image: the photograph\n"},
        {"outputs.map=segment.map", "--set: /outputs/map: \"segment.map\": stage \"segment\" "
                                    "(segment) has no output \"map\"; known outputs: panoptic, "
                                    "grid, scores\n"},
        {"name=5", "--set: /name: a string is needed here, not a number\n"},
        {"inputs.image=img", "--set: /inputs/image: no type \"img\"; known types: image, panoptic, "
                             "text, tensor, tokens\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *said;
        assert_null(load("top.json", &cases[i].set, 1, &said));
        assert_text(cases[i].set, said, cases[i].said);
        cr_free(said);
    }
    /* All at once, and beside the mistakes of the file. */
    const char *sets[] = {"a", "b.c=1", "segment.max_side=1", "segment.threshold=2"};
    char *said;
    assert_null(load("top.json", sets, 4, &said));
    size_t lines = 0;
    for (const char *c = said; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 4);
    cr_free(said);
}

/* ---- Where files are ---- */

static void test_not_found(void **state)
{
    (void)state;
    struct cr_report *report = cr_report_create();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline;
    int result = cr_pipeline_load(&pipeline, registry, "no-such-pipeline", NULL, 0, report, &err);
    assert_int_equal(result, CR_ERR_NOT_FOUND);
    assert_string_equal(err.message, "no-such-pipeline: no such file, and no installed pipeline "
                                     "has that name");
    assert_int_equal(
        cr_pipeline_load(&pipeline, registry, scratch("none.json"), NULL, 0, report, &err),
        CR_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "none.json: cannot open"));
    assert_int_equal(cr_report_count(report), 0);
    assert_null(pipeline);
    cr_report_destroy(&report);
}

/* A report that has findings of something else already says nothing about this pipeline. */
static void test_old_report(void **state)
{
    (void)state;
    struct cr_report *report = cr_report_create();
    cr_report_add(report, CR_SEVERITY_ERROR, "other.json", "", "wrong");
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline;
    assert_int_equal(cr_pipeline_parse(&pipeline, registry, scene, sizeof(scene) - 1, "scene.json",
                                       NULL, 0, report, &err),
                     0);
    cr_pipeline_destroy(&pipeline);
    cr_report_destroy(&report);
}

/* ---- What a stage's own check sees ---- */

static void test_asked(void **state)
{
    (void)state;
    static const struct {
        const char *options, *output;
        bool good;
    } cases[] = {
        /* "scores" needs a threshold: is the output wired? */
        {"\"threshold\": 0", "scores", false},
        {"\"threshold\": 0", "grid", true},
        {"\"threshold\": 0.5", "scores", true},
        /* "title" is for "quick" only: writing a default out is not giving an option. */
        {"\"title\": \"t\", \"mode\": \"quick\"", "grid", false},
        {"\"title\": \"t\", \"mode\": \"exact\"", "grid", true},
        {"\"title\": \"t\"", "grid", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char json[500];
        snprintf(json, sizeof(json),
                 "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\"segment\": {\n"
                 " \"use\": \"segment\", %s, \"in\": {\"image\": \"@image\"}}},\n"
                 " \"outputs\": {\"out\": \"segment.%s\"}}",
                 cases[i].options, cases[i].output);
        struct cr_report *report = cr_report_create();
        struct cr_pipeline *pipeline;
        int result = cr_pipeline_parse(&pipeline, registry, json, strlen(json), "a.json", NULL, 0,
                                       report, NULL);
        if ((result == 0) != cases[i].good)
            fail_msg("%s: %s", cases[i].options, stages_report(report));
        cr_pipeline_destroy(&pipeline);
        cr_report_destroy(&report);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_hints),
        cmocka_unit_test(test_order),     cmocka_unit_test(test_getters),
        cmocka_unit_test(test_print),     cmocka_unit_test(test_graph),
        cmocka_unit_test(test_remarks),   cmocka_unit_test(test_layers),
        cmocka_unit_test(test_set_path),  cmocka_unit_test(test_model),
        cmocka_unit_test(test_swap),      cmocka_unit_test(test_swap_ports),
        cmocka_unit_test(test_sets),      cmocka_unit_test(test_broken_sets),
        cmocka_unit_test(test_not_found), cmocka_unit_test(test_old_report),
        cmocka_unit_test(test_asked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
