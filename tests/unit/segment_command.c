/* SPDX-License-Identifier: MIT */
/* The stage segment-command: batches, and failures on the way. Programs and how they end are in
 * tests/cli/segment-command.sh. */
#include <dirent.h>
#include <sys/stat.h>

#include "run_stage.h"

static const char *const both_outputs[] = {"panoptic", "grid", NULL};

/* A map of 2 x 2 pixels, which programs copy. */
static int write_map(void **state)
{
    (void)state;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = stage_image(2, 2, NULL);
    uint8_t *pixels = cr_image_edit(image);
    memset(pixels, 0, 12);
    pixels[0] = pixels[3] = 9;
    pixels[6] = 7;
    if (cr_image_save(image, scratch("map.png"), &err) < 0)
        fail_msg("%s", err.message);
    cr_image_unref(&image);
    write_test_text(scratch("panoptic.json"),
                    "{\"annotations\": [{\"image_id\": 1, \"file_name\": \"map.png\","
                    " \"segments_info\": [{\"id\": 7, \"category_id\": 1, \"iscrowd\": 0},"
                    " {\"id\": 9, \"category_id\": 187, \"iscrowd\": 0}]}]}");
    mkdir(scratch("tmp"), 0700);
    setenv("TMPDIR", scratch("tmp"), 1);
    setenv("CRAYON_ALLOW_COMMAND", "1", 1);
    return 0;
}

static struct cr_pipeline *copying_pipeline(void)
{
    char text[8192];
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\"segment\": {"
             "\"use\": \"segment-command\", \"size\": [2, 4], \"grid\": [1, 1],"
             " \"command\": [\"cp\", \"%s\", \"%s/panoptic.json\", \"{folder}\"],"
             " \"in\": {\"image\": \"@image\"}}}, \"outputs\": {"
             "\"panoptic\": \"segment.panoptic\", \"grid\": \"segment.grid\"}}",
             scratch("map.png"), test_folder());
    return stage_parse(text);
}

static struct cr_value *pictures(size_t count, int32_t last_side)
{
    struct cr_image *images[4] = {NULL};
    for (size_t i = 0; i < count; i++) {
        int32_t side = i + 1 < count ? 2 : last_side;
        images[i] = stage_image(side, side, NULL);
    }
    return stage_images(images, count);
}

static size_t left_behind(void)
{
    size_t count = 0;
    DIR *folder = opendir(scratch("tmp"));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void batch(void **state)
{
    (void)state;
    static const int32_t wide[] = {2, 2, 2, 2, 1, 1, 0, 0};
    struct cr_pipeline *pipeline = copying_pipeline();
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "image", pictures(3, 2), both_outputs, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < 3; i++) {
        const struct cr_panoptic *map = cr_value_panoptic(cr_run_output(run, "panoptic"), i);
        assert_memory_equal(cr_panoptic_ids(map), wide, sizeof(wide));
        assert_int_equal(cr_panoptic_count(map), 2);
        assert_int_equal(cr_panoptic_segment(map, 0)->original_id, 7);
        assert_int_equal(cr_panoptic_segment(map, 0)->label, 0);
        assert_int_equal(cr_panoptic_segment(map, 1)->label, 119);
        map = cr_value_panoptic(cr_run_output(run, "grid"), i);
        assert_int_equal(cr_panoptic_size(map).height * cr_panoptic_size(map).width, 1);
    }
    cr_run_destroy(&run);
    assert_int_equal(left_behind(), 0);
    assert_int_equal(stage_run(&run, pipeline, "image", pictures(2, 3), both_outputs, &err),
                     CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "measures 2 x 2 pixels, the photograph 3 x 3"));
    cr_run_destroy(&run);
    assert_int_equal(left_behind(), 0);
    cr_pipeline_destroy(&pipeline);
}

/* Where removing the work folder is what failed, it is left behind, and the user is told. */
static void faults(void **state)
{
    (void)state;
    stage_forget_log();
    stage_sweep_run(copying_pipeline(), "image", pictures(1, 2), both_outputs);
    size_t told = 0;
    for (const char *at = stage_log(); (at = strstr(at, "a work folder is left behind")) != NULL;
         at++)
        told++;
    assert_int_equal(left_behind(), told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests_name("segment_command", tests, write_map, NULL);
}
