/* SPDX-License-Identifier: MIT */
/* The stage crayon-encoder against recorded maps and captions: every *.case.json of the folder
 * crayon beside this file, and of the recorded set in ../shared, which has photographs too. */
#include <dirent.h>

#include <cjson/cJSON.h>

#include "run_stage.h"
#include "safetensors.h"

#define MAX_CASES 100
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

static struct cr_panoptic *read_panoptic(const char *folder, const cJSON *input)
{
    struct cr_panoptic *panoptic = NULL;
    struct cr_error err = CR_ERROR_INIT;
    const char *name;
    struct st_file *file = st_open(referenced_file(folder, MEMBER(input, "ids"), &name));
    struct st_tensor ids = st_get(file, name, "I32");
    assert_int_equal(ids.rank, 2);
    struct cr_size size = {(int32_t)ids.shape[0], (int32_t)ids.shape[1]};
    if (cr_panoptic_create(&panoptic, size, &err) < 0)
        fail_msg("%s", err.message);
    memcpy(cr_panoptic_edit(panoptic), ids.data, ids.bytes);
    st_close(&file);

    cJSON *root;
    const cJSON *list = referenced_json(folder, MEMBER(input, "segments"), &root), *entry;
    cJSON_ArrayForEach (entry, list) {
        const struct cr_segment segment = {.id = MEMBER(entry, "id")->valueint,
                                           .label = MEMBER(entry, "label_id")->valueint,
                                           .score = 1};
        if (cr_panoptic_add(panoptic, &segment, &err) < 0)
            fail_msg("%s", err.message);
    }
    cJSON_Delete(root);
    return panoptic;
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

/* ---- One case ---- */

/* The pipeline of one stage: what the case says under "stage" and "options". */
static struct cr_pipeline *case_pipeline(const cJSON *json)
{
    cJSON *stage = cJSON_Duplicate(MEMBER(json, "options"), true);
    cJSON_AddStringToObject(stage, "use", MEMBER(json, "stage")->valuestring);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(stage, "in"), "panoptic", "@panoptic");
    char *stage_text = cJSON_PrintUnformatted(stage);
    cJSON_Delete(stage);
    static char text[4096];
    snprintf(
        text, sizeof(text),
        "{\"crayon\": 1, \"inputs\": {\"panoptic\": \"panoptic\"}, \"stages\": {\"stage\": %s},"
        " \"outputs\": {\"semantic\": \"stage.semantic\", \"numbering\": \"stage.numbering\","
        " \"objects\": \"stage.objects\"}}",
        stage_text);
    cJSON_free(stage_text);
    return stage_parse(text);
}

struct recorded_case {
    const char *folder;
    char path[4096];
    char title[256];
};

static void run_case(void **state)
{
    const struct recorded_case *recorded = *state;
    cJSON *json = load_json(recorded->path);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *value = NULL;
    struct cr_run *run = NULL;
    struct cr_panoptic *panoptic =
        read_panoptic(recorded->folder, MEMBER(json, "inputs", "panoptic"));
    struct cr_pipeline *pipeline = case_pipeline(json);
    assert_int_equal(cr_value_from_panoptic(&value, panoptic, &err), 0);
    if (stage_run(&run, pipeline, "panoptic", value, all_outputs, &err) < 0)
        fail_msg("%s", err.message);
    assert_outputs(recorded->folder, MEMBER(json, "expected"), run);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    cr_panoptic_unref(&panoptic);
    cJSON_Delete(json);
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

static void shared_cases(void **state)
{
    (void)state;
    shared_path("goldens/crayon");
}

/* ---- Finding the cases ---- */

static struct recorded_case cases[MAX_CASES];
static struct CMUnitTest tests[MAX_CASES + 8];
static size_t test_count;

static int by_title(const void *a, const void *b)
{
    const struct recorded_case *x = a, *y = b;
    return strcmp(x->title, y->title);
}

/* Returns how many there are now. */
static size_t find_cases(size_t count, const char *prefix, const char *folder)
{
    DIR *dir = opendir(folder);
    size_t first = count;
    for (const struct dirent *entry = dir == NULL ? NULL : readdir(dir);
         entry != NULL && count < MAX_CASES; entry = readdir(dir)) {
        const char *end = strstr(entry->d_name, ".case.json");
        if (end == NULL || strcmp(end, ".case.json") != 0)
            continue;
        struct recorded_case *found = &cases[count++];
        found->folder = folder;
        snprintf(found->path, sizeof(found->path), "%s/%s", folder, entry->d_name);
        snprintf(found->title, sizeof(found->title), "%s%.*s", prefix, (int)(end - entry->d_name),
                 entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    qsort(cases + first, count - first, sizeof(*cases), by_title);
    return count;
}

static void add_test(const char *name, CMUnitTestFunction function, void *state)
{
    tests[test_count++] =
        (struct CMUnitTest){.name = name, .test_func = function, .initial_state = state};
}

int main(void)
{
    static char shared[4096];
    const char *parent = getenv("SHARED");
    snprintf(shared, sizeof(shared), "%s/goldens/crayon", parent == NULL ? "../shared" : parent);
    size_t own = find_cases(0, "", source_path("tests/golden/crayon"));
    size_t count = find_cases(own, "shared: ", shared);
    for (size_t i = 0; i < count; i++)
        add_test(cases[i].title, run_case, &cases[i]);
    if (count == own)
        add_test("shared_cases", shared_cases, NULL);
    add_test("photograph_142238", photograph_142238, NULL);
    add_test("photograph_439180", photograph_439180, NULL);
    add_test("short_names", short_names, NULL);
    if (own != 22) {
        printf("Bail out! %zu cases beside the program instead of 22\n", own);
        return 1;
    }
    return _cmocka_run_group_tests("crayon", tests, test_count, NULL, NULL);
}
