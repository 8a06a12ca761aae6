/* SPDX-License-Identifier: MIT */
/* The stage segment-coco-png, on a small data set that the tests write themselves. */
#include <sys/stat.h>

#include "run_stage.h"

static const char *const both_outputs[] = {"panoptic", "grid", NULL};

/* ---- The data set ---- */

/* A mask from one character a pixel, as PNG: '.' is 0, 'a' the id 70000, 'b' 70001, ... */
static void write_mask(const char *name, int32_t height, int32_t width, const char *cells)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = stage_image(height, width, NULL);
    uint8_t *pixel = cr_image_edit(image);
    assert_int_equal(strlen(cells), (size_t)height * (size_t)width);
    for (size_t i = 0; cells[i] != '\0'; i++, pixel += 3) {
        uint32_t id = cells[i] == '.' ? 0 : 70000u + (uint32_t)(cells[i] - 'a');
        pixel[0] = id & 255;
        pixel[1] = id >> 8 & 255;
        pixel[2] = id >> 16 & 255;
    }
    if (cr_image_save(image, scratch(name), &err) < 0)
        fail_msg("%s", err.message);
    cr_image_unref(&image);
}

/* Two images: "street" (4 x 6, with a category that COCO does not know, a crowd, and a segment
 * without pixels) and "park" (2 x 2). "odd" is listed with another size than its mask has. */
static const char dataset[] =
    "{\"images\": [{\"id\": 7, \"file_name\": \"street.jpg\", \"height\": 4, \"width\": 6},"
    " {\"id\": 8, \"file_name\": \"park.jpg\", \"height\": 2, \"width\": 2}],"
    " \"annotations\": ["
    "{\"image_id\": 7, \"file_name\": \"street.png\", \"segments_info\": ["
    "{\"id\": 70001, \"category_id\": 3, \"iscrowd\": 0},"
    "{\"id\": 70009, \"category_id\": 1, \"iscrowd\": 0},"
    "{\"id\": 70000, \"category_id\": 187, \"iscrowd\": 0},"
    "{\"id\": 70002, \"category_id\": 999, \"iscrowd\": 0},"
    "{\"id\": 70003, \"category_id\": 1, \"iscrowd\": 1}]},"
    "{\"image_id\": 8, \"file_name\": \"park.png\", \"segments_info\": ["
    "{\"id\": 70000, \"category_id\": 193, \"iscrowd\": 0}]}],"
    " \"categories\": [{\"id\": 1, \"name\": \"person\"}, {\"id\": 3, \"name\": \"car\"},"
    " {\"id\": 187, \"name\": \"sky-other-merged\"}, {\"id\": 193, \"name\": \"grass-merged\"},"
    " {\"id\": 999, \"name\": \"gnome\"}]}";

static const char street[] = "aaaaaa"
                             "aaaccc"
                             "bbbccd"
                             "bbb.dd";
static const int32_t street_ids[] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4,
                                     1, 1, 1, 4, 4, 5, 1, 1, 1, 0, 5, 5};

static int write_dataset(void **state)
{
    (void)state;
    mkdir(scratch("set"), 0700);
    mkdir(scratch("elsewhere"), 0700);
    write_test_text(scratch("set.json"), dataset);
    write_mask("set/street.png", 4, 6, street);
    write_mask("set/park.png", 2, 2, "aa.a");
    write_mask("elsewhere/park.png", 2, 2, ".a..");
    write_mask("elsewhere/street.png", 4, 6, "aaaaaaaaaaaaxxxxxxyyyyyy");
    return 0;
}

/* ---- Running ---- */

static struct cr_pipeline *pipeline_with(const char *json, const char *options)
{
    char text[8192];
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\"segment\": {"
             "\"use\": \"segment-coco-png\", \"annotations\": \"%s\"%s,"
             " \"in\": {\"image\": \"@image\"}}}, \"outputs\": {"
             "\"panoptic\": \"segment.panoptic\", \"grid\": \"segment.grid\"}}",
             scratch(json), options);
    return stage_parse(text);
}

static struct cr_run *segment(struct cr_pipeline *pipeline, struct cr_value *images)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "image", images, both_outputs, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

static struct cr_value *one_picture(int32_t height, int32_t width, const char *name)
{
    struct cr_image *image = stage_image(height, width, name);
    return stage_images(&image, 1);
}

static const struct cr_panoptic *output_map(const struct cr_run *run, const char *output,
                                            size_t item)
{
    const struct cr_value *value = cr_run_output(run, output);
    assert_non_null(value);
    return cr_value_panoptic(value, item);
}

static void assert_ids(const struct cr_panoptic *map, int32_t height, int32_t width,
                       const int32_t *expected)
{
    assert_int_equal(cr_panoptic_size(map).height, height);
    assert_int_equal(cr_panoptic_size(map).width, width);
    for (int32_t i = 0; i < height * width; i++)
        if (cr_panoptic_ids(map)[i] != expected[i])
            fail_msg("pixel %d: id %d, expected %d", i, cr_panoptic_ids(map)[i], expected[i]);
}

/* ---- Maps ---- */

static void segments_of_the_file(void **state)
{
    (void)state;
    static const struct {
        int64_t original_id;
        int32_t label;
        bool crowd;
    } expected[] = {{70001, 2, false},
                    {70009, 0, false},
                    {70000, 119, false},
                    {70002, CR_LABEL_UNKNOWN, false},
                    {70003, 0, true}};
    struct cr_pipeline *pipeline = pipeline_with("set.json", "");
    stage_forget_log();
    struct cr_run *run = segment(pipeline, one_picture(4, 6, "/some/where/street.jpeg"));
    const struct cr_panoptic *map = output_map(run, "panoptic", 0);
    assert_ids(map, 4, 6, street_ids);
    assert_int_equal(cr_panoptic_count(map), COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct cr_segment *segment = cr_panoptic_segment(map, i);
        assert_int_equal(segment->id, i + 1);
        assert_int_equal(segment->original_id, expected[i].original_id);
        assert_int_equal(segment->label, expected[i].label);
        assert_int_equal(segment->crowd, expected[i].crowd);
    }
    assert_int_equal(cr_panoptic_size(output_map(run, "grid", 0)).height, 35);
    assert_int_equal(cr_panoptic_size(output_map(run, "grid", 0)).width, 35);
    assert_string_equal(stage_log(), "");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Both outputs come from the full map: a grid made from the map in `size` would lack segment 5. */
static void sizes(void **state)
{
    (void)state;
    static const int32_t middle[] = {4}, grid_ids[] = {3, 4, 1, 5};
    struct cr_pipeline *pipeline =
        pipeline_with("set.json", ", \"size\": [1, 1], \"grid\": [2, 2]");
    struct cr_run *run = segment(pipeline, one_picture(4, 6, "street.jpg"));
    assert_ids(output_map(run, "panoptic", 0), 1, 1, middle);
    assert_ids(output_map(run, "grid", 0), 2, 2, grid_ids);
    assert_int_equal(cr_panoptic_count(output_map(run, "grid", 0)), 5);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void by_image_id(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = pipeline_with("set.json", ", \"image_id\": 7");
    struct cr_run *run = segment(pipeline, one_picture(4, 6, "unheard-of.png"));
    assert_ids(output_map(run, "panoptic", 0), 4, 6, street_ids);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void masks_elsewhere(void **state)
{
    (void)state;
    static const int32_t expected[] = {0, 1, 0, 0};
    char options[4096];
    snprintf(options, sizeof(options), ", \"masks\": \"%s\"", scratch("elsewhere"));
    struct cr_pipeline *pipeline = pipeline_with("set.json", options);
    struct cr_run *run = segment(pipeline, one_picture(2, 2, "park.jpg"));
    assert_ids(output_map(run, "panoptic", 0), 2, 2, expected);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void unlisted_colours(void **state)
{
    (void)state;
    static const int32_t expected[] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
                                       0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    char options[4096];
    snprintf(options, sizeof(options), ", \"masks\": \"%s\"", scratch("elsewhere"));
    struct cr_pipeline *pipeline = pipeline_with("set.json", options);
    stage_forget_log();
    struct cr_run *run = segment(pipeline, one_picture(4, 6, "street.jpg"));
    assert_ids(output_map(run, "panoptic", 0), 4, 6, expected);
    assert_text("log", stage_log(),
                "segment: street.jpg: colours in the mask that segments_info lacks: 2; they become "
                "background\n");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void batch(void **state)
{
    (void)state;
    static const int32_t park_ids[] = {1, 1, 0, 1};
    struct cr_image *images[] = {stage_image(2, 2, "park.jpg"), stage_image(4, 6, "street.jpg"),
                                 stage_image(2, 2, "park.jpg")};
    struct cr_pipeline *pipeline = pipeline_with("set.json", "");
    struct cr_run *run = segment(pipeline, stage_images(images, COUNT(images)));
    assert_int_equal(cr_value_count(cr_run_output(run, "panoptic")), 3);
    assert_int_equal(cr_value_count(cr_run_output(run, "grid")), 3);
    assert_ids(output_map(run, "panoptic", 0), 2, 2, park_ids);
    assert_ids(output_map(run, "panoptic", 1), 4, 6, street_ids);
    assert_ids(output_map(run, "panoptic", 2), 2, 2, park_ids);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void one_output(void **state)
{
    (void)state;
    for (size_t i = 0; both_outputs[i] != NULL; i++) {
        const char *const wanted[] = {both_outputs[i], NULL};
        struct cr_error err = CR_ERROR_INIT;
        struct cr_run *run = NULL;
        struct cr_pipeline *pipeline = pipeline_with("set.json", "");
        struct cr_value *images = one_picture(2, 2, "park.jpg");
        assert_int_equal(stage_run(&run, pipeline, "image", images, wanted, &err), 0);
        for (size_t j = 0; both_outputs[j] != NULL; j++)
            assert_int_equal(cr_run_output(run, both_outputs[j]) != NULL, i == j);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

/* ---- Mistakes and faults ---- */

struct run_failure {
    const char *json, *options; /* options: %s is the test's folder */
    int32_t height, width;
    const char *name;
    int code;
    const char *message; /* %s likewise */
};

static const struct run_failure run_failures[] = {
    {"absent.json", "", 2, 2, "park.jpg", CR_ERR_NOT_FOUND,
     "stage \"segment\": park.jpg: option \"annotations\" has no map of the picture: "
     "%s/absent.json: cannot open: No such file or directory"},
    {"set.json", "", 2, 2, "pork.jpg", CR_ERR_NOT_FOUND,
     "stage \"segment\": pork.jpg: option \"annotations\" has no map of the picture: %s/set.json: "
     "none of 2 images is named \"pork\"; did you mean "
     "\"park\"?"},
    {"set.json", "", 2, 2, NULL, CR_ERR_ARGUMENT,
     "stage \"segment\": %s/set.json: holds 2 annotations; say which image is meant, by its number "
     "or its file name"},
    {"set.json", ", \"image_id\": 9", 2, 2, "park.jpg", CR_ERR_NOT_FOUND,
     "stage \"segment\": park.jpg: option \"annotations\" has no map of the picture: %s/set.json: "
     "none of 2 annotations is of image 9"},
    {"set.json", "", 20, 30, "park.jpg", CR_ERR_FORMAT,
     "stage \"segment\": park.jpg: %s/set/park.png: the annotation measures 2 x 2 pixels, the "
     "photograph 30 x 20; they do not belong together"},
    {"set.json", ", \"masks\": \"%s/nowhere\"", 2, 2, "park.jpg", CR_ERR_NOT_FOUND,
     "stage \"segment\": park.jpg: option \"annotations\" has no map of the picture: "
     "%s/nowhere/park.png: there is no such file; the annotation at "
     "%s/set.json:1:451 names it"},
    {"broken.json", "", 2, 2, "park.jpg", CR_ERR_FORMAT,
     "stage \"segment\": park.jpg: %s/broken.json:1:13: expected a value or ']', found '}'"},
};

/* `text` with the test's folder in the place of every %s. */
static void fill_in(char *out, size_t size, const char *text)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *hole = strstr(text, "%s"); hole != NULL; hole = strstr(text, "%s")) {
        snprintf(out + used, size - used, "%.*s%s", (int)(hole - text), text, test_folder());
        used = strlen(out);
        text = hole + 2;
    }
    snprintf(out + used, size - used, "%s", text);
}

static void failures(void **state)
{
    (void)state;
    write_test_text(scratch("broken.json"), "{\"images\": [}");
    for (size_t i = 0; i < COUNT(run_failures); i++) {
        const struct run_failure *failure = &run_failures[i];
        char options[4096], message[8192];
        fill_in(options, sizeof(options), failure->options);
        fill_in(message, sizeof(message), failure->message);
        struct cr_pipeline *pipeline = pipeline_with(failure->json, options);
        struct cr_error err = CR_ERROR_INIT;
        struct cr_run *run = NULL;
        struct cr_value *images = one_picture(failure->height, failure->width, failure->name);
        int result = stage_run(&run, pipeline, "image", images, both_outputs, &err);
        assert_text(failure->json, err.message, message);
        assert_int_equal(result, failure->code);
        assert_null(cr_run_output(run, "grid"));
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

/* The picture that fails is named, not those before it. */
static void failure_in_a_batch(void **state)
{
    (void)state;
    struct cr_image *images[] = {stage_image(2, 2, "park.jpg"), stage_image(4, 5, "street.jpg")};
    struct cr_pipeline *pipeline = pipeline_with("set.json", "");
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    char message[4096];
    assert_int_equal(
        stage_run(&run, pipeline, "image", stage_images(images, COUNT(images)), both_outputs, &err),
        CR_ERR_FORMAT);
    fill_in(message, sizeof(message),
            "stage \"segment\": street.jpg: %s/set/street.png: the annotation measures 6 x 4 "
            "pixels, the photograph 5 x 4; they do not belong together");
    assert_text("batch", err.message, message);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void faults(void **state)
{
    (void)state;
    stage_sweep_run(pipeline_with("set.json", ""), "image", one_picture(4, 6, "street.jpg"),
                    both_outputs);
}

static void wrong_pipelines(void **state)
{
    (void)state;
    static const struct {
        const char *options, *mistakes;
    } rows[] = {
        {"", "test.json: /stages/segment/annotations: the option is missing (segment-coco-png): a "
             "path; the JSON file of the data set\n"},
        {"\"annotations\": \"a.json\", \"grid\": [35, 0], \"size\": [0, 5],",
         "test.json: /stages/segment/grid: width: 0 is outside 1..256 (segment-coco-png, default "
         "[35, 35])\ntest.json: /stages/segment/size: height: 0 is outside 1..65535 "
         "(segment-coco-png)\n"},
        {"\"annotations\": \"a.json\", \"image_id\": \"7\", \"mask\": \".\",",
         "test.json: /stages/segment/image_id: a whole number is needed here, not a string "
         "(segment-coco-png, default -1)\ntest.json: /stages/segment/mask: no option \"mask\" "
         "(segment-coco-png); did you mean \"masks\"? Known options: annotations, masks, image_id, "
         "size, grid\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[1024];
        snprintf(text, sizeof(text),
                 "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\"segment\": {%s"
                 "\"use\": \"segment-coco-png\", \"in\": {\"image\": \"@image\"}}},"
                 "\"outputs\": {\"grid\": \"segment.grid\"}}",
                 rows[i].options);
        char *mistakes = stage_mistakes(text);
        assert_text(rows[i].options, mistakes, rows[i].mistakes);
        cr_free(mistakes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_of_the_file),
        cmocka_unit_test(sizes),
        cmocka_unit_test(by_image_id),
        cmocka_unit_test(masks_elsewhere),
        cmocka_unit_test(unlisted_colours),
        cmocka_unit_test(batch),
        cmocka_unit_test(one_output),
        cmocka_unit_test(failures),
        cmocka_unit_test(failure_in_a_batch),
        cmocka_unit_test(wrong_pipelines),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests_name("segment_coco_png", tests, write_dataset, NULL);
}
