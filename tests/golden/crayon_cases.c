/* SPDX-License-Identifier: MIT */
/* The way from photographs to maps and captions, compared with the recorded set in ../shared, and
 * the names of labels. The cases themselves are run by crayon verify. */
#include <cjson/cJSON.h>

#include "run_stage.h"
#include "safetensors.h"

static const char *const all_outputs[] = {"semantic", "numbering", "objects", NULL};

/* ---- Case files ---- */

static cJSON *load_json(const char *path)
{
    size_t size;
    const char *text = read_test_file(path, &size);
    cJSON *json = cJSON_ParseWithLength(text, size);
    if (json == NULL)
        fail_msg("%s is not JSON", path);
    return json;
}

/* The member at a path of keys; it must be there. */
static const cJSON *member(const cJSON *json, const char *const *keys)
{
    for (size_t i = 0; keys[i] != NULL; i++) {
        const cJSON *next = cJSON_GetObjectItemCaseSensitive(json, keys[i]);
        if (next == NULL)
            fail_msg("there is no \"%s\"", keys[i]);
        json = next;
    }
    return json;
}
#define MEMBER(json, ...) member(json, (const char *const[]){__VA_ARGS__, NULL})

/* The file of a reference "FILE#PLACE", in the folder of the case; `*place` is what follows the #.
 */
static const char *referenced_file(const char *folder, const cJSON *reference, const char **place)
{
    static char path[4096];
    const char *text = cJSON_GetStringValue(reference);
    const char *hash = text == NULL ? NULL : strchr(text, '#');
    if (hash == NULL)
        fail_msg("a reference is FILE#PLACE, not %s", text == NULL ? "something else" : text);
    snprintf(path, sizeof(path), "%s/%.*s", folder, (int)(hash - text), text);
    *place = hash + 1;
    return path;
}

/* What a reference "FILE.json#/KEY/KEY" stands for; the caller deletes `*root`. */
static const cJSON *referenced_json(const char *folder, const cJSON *reference, cJSON **root)
{
    const char *pointer;
    *root = load_json(referenced_file(folder, reference, &pointer));
    char keys[256];
    snprintf(keys, sizeof(keys), "%s", pointer);
    const cJSON *found = *root;
    char *rest = NULL;
    for (char *key = strtok_r(keys, "/", &rest); key != NULL; key = strtok_r(NULL, "/", &rest))
        found = MEMBER(found, key);
    return found;
}

/* ---- Comparing ---- */

static void assert_map(const char *folder, const cJSON *expected, const char *output,
                       const struct cr_run *run)
{
    const char *name;
    const cJSON *reference = MEMBER(expected, output, "value");
    struct st_file *file = st_open(referenced_file(folder, reference, &name));
    struct st_tensor tensor = st_get(file, name, "I32");
    stage_assert_map(name, cr_run_output(run, output), tensor.data, (size_t)tensor.elements);
    st_close(&file);
}

static void assert_caption(const char *folder, const cJSON *expected, const struct cr_run *run)
{
    cJSON *root;
    const cJSON *reference = MEMBER(expected, "objects", "value");
    const char *text = cJSON_GetStringValue(referenced_json(folder, reference, &root));
    const char *got = cr_value_text(cr_run_output(run, "objects"), 0);
    assert_text("objects", got == NULL ? "null" : got, text == NULL ? "null" : text);
    cJSON_Delete(root);
}

static void assert_outputs(const char *folder, const cJSON *expected, const struct cr_run *run)
{
    assert_map(folder, expected, "semantic", run);
    assert_map(folder, expected, "numbering", run);
    assert_caption(folder, expected, run);
}

/* ---- Photographs ---- */

/* From the annotation files themselves. They list segments that have no cell on the grid; the
 * recorded lists with and without those lead to the same maps and caption. */
static void check_photograph(const char *number)
{
    char name[256], text[8192];
    snprintf(name, sizeof(name), "data/coco_panoptic_sample/000000%s.jpg", number);
    const char *photograph = shared_path(name);
    const char *folder = shared_path("goldens/crayon");
    snprintf(
        text, sizeof(text),
        "{\"crayon\": 1, \"stages\": {\"photo\": {\"use\": \"source-image\", \"path\": \"%s\"},"
        "\"segment\": {\"use\": \"segment-coco-png\", \"in\": {\"image\": \"photo.image\"},"
        " \"annotations\": \"%s\"},"
        "\"crayon\": {\"use\": \"crayon-encoder\", \"in\": {\"panoptic\": \"segment.grid\"}}},"
        " \"outputs\": {\"semantic\": \"crayon.semantic\", \"numbering\": \"crayon.numbering\","
        " \"objects\": \"crayon.objects\"}}",
        photograph, shared_path("data/coco_panoptic_sample/panoptic_examples.json"));
    struct cr_error err = CR_ERROR_INIT;
    struct cr_pipeline *pipeline = stage_parse(text);
    struct cr_run *run = NULL;
    stage_forget_log();
    if (stage_run(&run, pipeline, NULL, NULL, all_outputs, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(stage_log(), "");
    static const char *const kinds[] = {"", "_vanished"};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        snprintf(name, sizeof(name), "%s/real_%s%s.case.json", folder, number, kinds[i]);
        cJSON *json = load_json(name);
        assert_outputs(folder, MEMBER(json, "expected"), run);
        cJSON_Delete(json);
    }
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void photograph_142238(void **state)
{
    (void)state;
    check_photograph("142238");
}

static void photograph_439180(void **state)
{
    (void)state;
    check_photograph("439180");
}

/* ---- Names ---- */

/* Every label's name as the recorded captions have it; captions count names by label, so that no
 * two may be equal. */
static void short_names(void **state)
{
    (void)state;
    cJSON *json = load_json(source_path("tests/golden/crayon/expected.json"));
    const cJSON *names = MEMBER(json, "short_names");
    assert_int_equal(cJSON_GetArraySize(names), CR_COCO_LABELS);
    for (int i = 0; i < CR_COCO_LABELS; i++) {
        const char *name = cJSON_GetArrayItem(names, i)->valuestring;
        assert_string_equal(cr_coco_category(i)->short_name, name);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(cr_coco_category(j)->short_name, name);
    }
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(photograph_142238),
        cmocka_unit_test(photograph_439180),
        cmocka_unit_test(short_names),
    };
    return cmocka_run_group_tests_name("crayon", tests, NULL, NULL);
}
