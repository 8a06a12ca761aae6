/* SPDX-License-Identifier: MIT */
/* The pipelines that are shipped, on the scene that is shipped with them. */
#include <dirent.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "run_stage.h"

static const char *const all_outputs[] = {"objects", "semantic", "numbering", "overlay", NULL};

/* The files of tests are in the source tree; what is installed lies in one folder in the same way,
 * so a copy of that folder stands for it. */
static const char *const shipped[] = {
    "collavo-7b.json", "collavo-paper.json", "objects-grid.json",
    "objects.json",    "scene.json",         "segment.json",
};
static const char *const scene_files[] = {
    "scene/scene.jpg",
    "scene/panoptic_scene.json",
    "scene/panoptic_scene/scene.png",
};

static const char *shipped_path(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "pipelines/%s", name);
    return source_path(path);
}

static struct cr_value *load_picture(const char *path)
{
    struct cr_image *image = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_image_load(&image, path, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return stage_images(&image, 1);
}

static struct cr_run *run_shipped(struct cr_pipeline *pipeline, struct cr_value *picture)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    const char *input = picture == NULL ? NULL : "image";
    if (stage_run(&run, pipeline, input, picture, all_outputs, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

/* ---- The files ---- */

static bool is_shipped(const char *name)
{
    for (size_t i = 0; i < COUNT(shipped); i++)
        if (strcmp(shipped[i], name) == 0)
            return true;
    return false;
}

/* Plugins that need a library may have been left out. */
static bool is_complete(const char *name)
{
    static const struct {
        const char *pipeline, *stage;
    } needs[] = {
        {"collavo-7b.json", "llm-internlm"},
        {"collavo-7b.json", "segment-mask2former"},
        {"collavo-7b.json", "vision-clip"},
        {"collavo-paper.json", "llm-internlm"},
        {"collavo-paper.json", "segment-mask2former"},
        {"collavo-paper.json", "vision-clip"},
        {"segment.json", "segment-mask2former"},
    };
    for (size_t i = 0; i < COUNT(needs); i++)
        if (strcmp(needs[i].pipeline, name) == 0 &&
            cr_registry_find(stage_registry(), CR_ELEMENT_STAGE, needs[i].stage, NULL) == NULL)
            return false;
    return true;
}

/* Who runs what is shipped is not told about it each time. */
static void nothing_is_noted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(shipped); i++) {
        if (!is_complete(shipped[i]))
            continue;
        struct cr_pipeline *pipeline = NULL;
        struct cr_error err = CR_ERROR_INIT;
        struct cr_report *report = cr_report_create();
        assert_non_null(report);
        int result = cr_pipeline_load(&pipeline, stage_registry(), shipped_path(shipped[i]), NULL,
                                      0, report, &err);
        if (result < 0 || cr_report_count(report) > 0)
            fail_msg("%s: %s", shipped[i],
                     result < 0 ? err.message : cr_report_get(report, 0)->message);
        cr_report_destroy(&report);
        cr_pipeline_destroy(&pipeline);
    }
}

/* Whoever adds a pipeline adds it here. */
static void all_are_tested(void **state)
{
    (void)state;
    DIR *dir = opendir(source_path("pipelines"));
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *end = strrchr(entry->d_name, '.');
        if (end == NULL || strcmp(end, ".json") != 0 || strstr(entry->d_name, ".schema.") != NULL)
            continue;
        if (!is_shipped(entry->d_name))
            fail_msg("no test runs pipelines/%s", entry->d_name);
    }
    closedir(dir);
}

static void have_notes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(shipped); i++) {
        cJSON *json = cJSON_Parse(read_test_file(shipped_path(shipped[i]), NULL));
        assert_non_null(json);
        const char *note = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "note"));
        const char *schema =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "$schema"));
        assert_non_null(note);
        assert_true(strlen(note) > 40);
        assert_non_null(schema);
        assert_string_equal(schema, "pipeline.schema.json");
        cJSON_Delete(json);
    }
}

/* ---- Running them ---- */

static const char *caption(const struct cr_run *run)
{
    const char *text = cr_value_text(cr_run_output(run, "objects"), 0);
    return text == NULL ? "null" : text;
}

static void assert_overlay(const struct cr_run *run, const struct cr_value *picture)
{
    const struct cr_image *image = cr_value_image(picture, 0);
    const struct cr_image *overlay = cr_value_image(cr_run_output(run, "overlay"), 0);
    assert_non_null(overlay);
    assert_true(cr_image_size(overlay).height >= cr_image_size(image).height);
    assert_int_equal(cr_image_size(overlay).width, cr_image_size(image).width);
}

/* Every object of the caption is one number of one class in the maps. */
static void assert_maps_match(const struct cr_run *run)
{
    enum {
        CELLS = 35 * 35
    };
    static int32_t semantic[CELLS], numbering[CELLS];
    static bool seen[CR_COCO_LABELS + 1][21];
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, "semantic"));
    assert_int_equal(cr_tensor_read(tensor, semantic, sizeof(semantic), &err), 0);
    tensor = cr_value_tensor(cr_run_output(run, "numbering"));
    assert_int_equal(cr_tensor_read(tensor, numbering, sizeof(numbering), &err), 0);
    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < CELLS; i++) {
        if (semantic[i] == 0 || seen[semantic[i]][numbering[i]])
            continue;
        seen[semantic[i]][numbering[i]] = true;
        char object[256];
        snprintf(object, sizeof(object), "(#%d %s) [", numbering[i],
                 cr_coco_category(semantic[i] - 1)->short_name);
        if (strstr(caption(run), object) == NULL)
            fail_msg("the maps have %s, the caption is: %s", object, caption(run));
    }
}

static void objects(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = stage_load(shipped_path("objects.json"), NULL);
    struct cr_value *picture = load_picture(shipped_path("scene/scene.jpg"));
    stage_forget_log();
    struct cr_run *run = run_shipped(pipeline, cr_value_ref(picture));
    assert_string_equal(cr_pipeline_name(pipeline), "objects");
    assert_string_equal(stage_log(), "");
    assert_string_not_equal(caption(run), "null");
    assert_maps_match(run);
    assert_overlay(run, picture);
    cr_run_destroy(&run);
    cr_value_unref(&picture);
    cr_pipeline_destroy(&pipeline);
}

/* Without any argument, the same results. */
static void scene(void **state)
{
    (void)state;
    struct cr_pipeline *with_input = stage_load(shipped_path("objects.json"), NULL);
    struct cr_pipeline *alone = stage_load(shipped_path("scene.json"), NULL);
    assert_int_equal(cr_pipeline_inputs(alone), 0);
    struct cr_run *expected =
        run_shipped(with_input, load_picture(shipped_path("scene/scene.jpg")));
    struct cr_run *run = run_shipped(alone, NULL);
    assert_text("objects", caption(run), caption(expected));
    const struct cr_image *a = cr_value_image(cr_run_output(run, "overlay"), 0);
    const struct cr_image *b = cr_value_image(cr_run_output(expected, "overlay"), 0);
    struct cr_size size = cr_image_size(a);
    assert_int_equal(size.height, cr_image_size(b).height);
    assert_memory_equal(cr_image_pixels(a), cr_image_pixels(b),
                        (size_t)size.height * (size_t)size.width * 3);
    cr_run_destroy(&run);
    cr_run_destroy(&expected);
    cr_pipeline_destroy(&alone);
    cr_pipeline_destroy(&with_input);
}

/* Regions without names: maps of zeros and no caption, and a picture all the same. */
static void objects_grid(void **state)
{
    (void)state;
    static const int32_t zeros[35 * 35];
    struct cr_pipeline *pipeline = stage_load(shipped_path("objects-grid.json"), NULL);
    struct cr_value *picture = load_picture(shipped_path("scene/scene.jpg"));
    struct cr_run *run = run_shipped(pipeline, cr_value_ref(picture));
    assert_string_equal(cr_pipeline_name(pipeline), "objects-grid");
    stage_assert_map("semantic", cr_run_output(run, "semantic"), zeros, COUNT(zeros));
    stage_assert_map("numbering", cr_run_output(run, "numbering"), zeros, COUNT(zeros));
    assert_string_equal(caption(run), "null");
    assert_overlay(run, picture);
    cr_run_destroy(&run);
    cr_value_unref(&picture);
    cr_pipeline_destroy(&pipeline);
}

/* Another checkpoint by one line; what is written is read again. */
static void segment(void **state)
{
    (void)state;
    if (!is_complete("segment.json"))
        skip_because("segment-mask2former was left out by configure");
    char set[4096];
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *again = NULL;
    struct cr_run *run = NULL;
    snprintf(set, sizeof(set), "segment.model=%s", source_path("tests/golden/mask2former"));
    const char *const sets[] = {set,
                                "segment.device=cpu",
                                "segment.input_size=[96, 128]",
                                "segment.threshold=0.1",
                                "segment.mask_threshold=0.1",
                                "segment.overlap_mask_area_threshold=0",
                                NULL};
    struct cr_pipeline *pipeline = stage_load(shipped_path("segment.json"), sets);
    struct cr_value *picture = load_picture(shipped_path("scene/scene.jpg"));
    if (stage_run(&run, pipeline, "image", cr_value_ref(picture),
                  (const char *const[]){"panoptic", "overlay", NULL}, &err) < 0)
        fail_msg("%s", err.message);
    assert_overlay(run, picture);
    const struct cr_panoptic *map = cr_value_panoptic(cr_run_output(run, "panoptic"), 0);
    const struct cr_coco_query query = {.image_id = -1, .size = cr_panoptic_size(map)};
    assert_int_equal(query.size.width, cr_image_size(cr_value_image(picture, 0)).width);
    assert_true(cr_panoptic_count(map) > 0);
    assert_int_equal(cr_coco_save(map, "scene.jpg", scratch("map.png"), NULL, &err), 0);
    assert_int_equal(cr_coco_load(&again, scratch("map.json"), test_folder(), &query, NULL, &err),
                     0);
    assert_int_equal(cr_panoptic_count(again), cr_panoptic_count(map));
    for (size_t i = 0; i < cr_panoptic_count(map); i++)
        assert_int_equal(cr_panoptic_segment(again, i)->label, cr_panoptic_segment(map, i)->label);
    cr_panoptic_unref(&again);
    cr_run_destroy(&run);
    cr_value_unref(&picture);
    cr_pipeline_destroy(&pipeline);
}

static void copy(const char *name, const char *folder)
{
    char path[256];
    size_t size;
    const char *data = read_test_file(shipped_path(name), &size);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    write_test_file(scratch(path), data, size);
}

/* The schema that editors use is what these plugins declare; `make schema` writes it anew. */
static void schema(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    char *json = NULL;
    if (cr_pipeline_schema(stage_registry(), &json, &err) < 0)
        fail_msg("%s", err.message);
    if (strcmp(json, read_test_file(shipped_path("pipeline.schema.json"), NULL)) != 0)
        fail_msg("pipelines/pipeline.schema.json is not up to date: run 'make schema'");
    cr_free(json);
}

/* Nothing in the files depends on where they are. */
static void installed_elsewhere(void **state)
{
    (void)state;
    mkdir(scratch("moved"), 0700);
    mkdir(scratch("moved/scene"), 0700);
    mkdir(scratch("moved/scene/panoptic_scene"), 0700);
    for (size_t i = 0; i < COUNT(shipped); i++)
        copy(shipped[i], "moved");
    for (size_t i = 0; i < COUNT(scene_files); i++)
        copy(scene_files[i], "moved");
    struct cr_pipeline *pipeline = stage_load(scratch("moved/scene.json"), NULL);
    struct cr_run *run = run_shipped(pipeline, NULL);
    assert_string_not_equal(caption(run), "null");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* The first thing that somebody does with it: another photograph with its own annotation. */
static void other_annotations(void **state)
{
    (void)state;
    char set[4096];
    snprintf(set, sizeof(set), "segment.annotations=%s",
             shared_path("data/coco_panoptic_sample/panoptic_examples.json"));
    const char *const sets[] = {set, NULL};
    struct cr_pipeline *pipeline = stage_load(shipped_path("objects.json"), sets);
    struct cr_value *picture =
        load_picture(shared_path("data/coco_panoptic_sample/000000142238.jpg"));
    struct cr_run *run = run_shipped(pipeline, cr_value_ref(picture));
    assert_non_null(
        strstr(caption(run), "(#13 person) [0.11, 0.26, 0.91, 0.89], (#1 sports ball)"));
    assert_maps_match(run);
    assert_overlay(run, picture);
    cr_run_destroy(&run);
    cr_value_unref(&picture);
    cr_pipeline_destroy(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_tested),
        cmocka_unit_test(nothing_is_noted),
        cmocka_unit_test(have_notes),
        cmocka_unit_test(objects),
        cmocka_unit_test(scene),
        cmocka_unit_test(objects_grid),
        cmocka_unit_test(segment),
        cmocka_unit_test(schema),
        cmocka_unit_test(installed_elsewhere),
        cmocka_unit_test(other_annotations),
    };
    return cmocka_run_group_tests_name("pipelines", tests, NULL, NULL);
}
