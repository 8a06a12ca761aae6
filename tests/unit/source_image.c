/* SPDX-License-Identifier: MIT */
/* The stage source-image. */
#include <unistd.h>

#include "run_stage.h"

static const char *const image_output[] = {"image", NULL};

/* A picture of one colour in this program's folder; returns its path. */
static const char *write_picture(const char *name, int32_t height, int32_t width, uint8_t shade)
{
    const char *path = scratch(name);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = stage_image(height, width, NULL);
    memset(cr_image_edit(image), shade, (size_t)height * (size_t)width * 3);
    if (cr_image_save(image, path, &err) < 0)
        fail_msg("%s", err.message);
    cr_image_unref(&image);
    return path;
}

static struct cr_pipeline *source_pipeline(const char *path, const char *options)
{
    char text[8192];
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"stages\": {\"photo\": {\"use\": \"source-image\","
             " \"path\": \"%s\"%s}}, \"outputs\": {\"image\": \"photo.image\"}}",
             path, options);
    return stage_parse(text);
}

static const struct cr_image *run_source(struct cr_run **run, struct cr_pipeline *pipeline)
{
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(run, pipeline, NULL, NULL, image_output, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(cr_value_count(cr_run_output(*run, "image")), 1);
    return cr_value_image(cr_run_output(*run, "image"), 0);
}

static void reads_pictures(void **state)
{
    (void)state;
    static const char *const names[] = {"source.png", "source.jpg", "source.JPEG"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = write_picture(names[i], 3, 5, 200);
        struct cr_pipeline *pipeline = source_pipeline(path, "");
        struct cr_run *run = NULL;
        const struct cr_image *image = run_source(&run, pipeline);
        assert_int_equal(cr_image_size(image).height, 3);
        assert_int_equal(cr_image_size(image).width, 5);
        assert_int_equal(cr_image_pixels(image)[3 * 5 * 3 - 1], 200);
        assert_string_equal(cr_image_name(image), path);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

/* A path in a pipeline file starts from the folder of that file. */
static void relative_path(void **state)
{
    (void)state;
    write_picture("beside.png", 2, 2, 10);
    const char *file = scratch("relative.json");
    write_test_text(file, "{\"crayon\": 1, \"stages\": {\"photo\": {\"use\": \"source-image\","
                          " \"path\": \"beside.png\"}},"
                          " \"outputs\": {\"image\": \"photo.image\"}}");
    struct cr_pipeline *pipeline = stage_load(file, NULL);
    struct cr_run *run = NULL;
    assert_int_equal(cr_image_pixels(run_source(&run, pipeline))[0], 10);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* A file that changes between two runs of one pipeline: each sees what is there. */
static void read_anew(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = source_pipeline(write_picture("anew.png", 2, 2, 20), "");
    struct cr_run *first = NULL, *second = NULL;
    const struct cr_image *before = run_source(&first, pipeline);
    write_picture("anew.png", 4, 4, 30);
    const struct cr_image *after = run_source(&second, pipeline);
    assert_int_equal(cr_image_pixels(before)[0], 20);
    assert_int_equal(cr_image_pixels(after)[0], 30);
    assert_int_equal(cr_image_size(after).width, 4);
    cr_run_destroy(&first);
    cr_run_destroy(&second);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Mistakes and faults ---- */

/* %s in a message stands for the path. */
static void check_failure(const char *path, const char *options, int code, const char *message)
{
    struct cr_pipeline *pipeline = source_pipeline(path, options);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    char expected[4096];
    const char *hole = strstr(message, "%s");
    assert_non_null(hole);
    snprintf(expected, sizeof(expected), "%.*s%s%s", (int)(hole - message), message, path,
             hole + 2);
    assert_int_equal(stage_run(&run, pipeline, NULL, NULL, image_output, &err), code);
    assert_text(path, err.message, expected);
    assert_null(cr_run_output(run, "image"));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void failures(void **state)
{
    (void)state;
    const char *picture = write_picture("limits.png", 30, 40, 1);
    const char *text = scratch("text.png");
    write_test_text(text, "no picture at all");
    check_failure(scratch("absent.png"), "", CR_ERR_NOT_FOUND,
                  "stage \"photo\": %s: cannot open: No such file or directory");
    check_failure(picture, ", \"max_pixels\": 1199", CR_ERR_LIMIT,
                  "stage \"photo\": %s: 40 x 30 pixels exceed the limit of 1199; raise it with "
                  "\"max_pixels\"");
    check_failure(picture, ", \"max_bytes\": 50", CR_ERR_LIMIT,
                  "stage \"photo\": %s: the file is larger than the limit of 50 bytes");
    check_failure(picture, ", \"max_chunk\": 12", CR_ERR_LIMIT,
                  "stage \"photo\": %s: byte 8: a chunk of 13 bytes exceeds the limit of 12; raise "
                  "it with \"max_chunk\"");
    check_failure(text, "", CR_ERR_UNSUPPORTED,
                  "stage \"photo\": %s: not a picture; a PNG or JPEG picture is needed here");
}

static void limits_are_inclusive(void **state)
{
    (void)state;
    struct cr_run *run = NULL;
    struct cr_pipeline *pipeline =
        source_pipeline(write_picture("exact.png", 30, 40, 1), ", \"max_pixels\": 1200");
    assert_non_null(run_source(&run, pipeline));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void faults(void **state)
{
    (void)state;
    stage_sweep_run(source_pipeline(write_picture("faults.png", 2, 2, 1), ""), NULL, NULL,
                    image_output);
}

static void wrong_pipelines(void **state)
{
    (void)state;
    char *mistakes = stage_mistakes(
        "{\"crayon\": 1, \"stages\": {\"photo\": {\"use\": \"source-image\", \"max_pixels\": 0,"
        " \"max_scans\": 1.5}}, \"outputs\": {\"image\": \"photo.image\"}}");
    assert_text(
        "mistakes", mistakes,
        "test.json: /stages/photo/max_pixels: 0 is outside 1..268435456 (source-image, default "
        "67108864)\n"
        "test.json: /stages/photo/max_scans: 1.5 is no whole number (source-image, default 100)\n"
        "test.json: /stages/photo/path: the option is missing (source-image): a path; the PNG or "
        "JPEG file\n");
    cr_free(mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pictures),
        cmocka_unit_test(relative_path),
        cmocka_unit_test(read_anew),
        cmocka_unit_test(failures),
        cmocka_unit_test(limits_are_inclusive),
        cmocka_unit_test(wrong_pipelines),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests_name("source_image", tests, NULL, NULL);
}
