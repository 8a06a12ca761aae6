/* SPDX-License-Identifier: MIT */
/* The stage vision-clip: preprocessing against recorded numbers, batches, what is refused. The
 * recorded networks are cases of `crayon verify`. */
#include <math.h>

#include "run_stage.h"
#include "safetensors.h"

static const char *clip_model(void)
{
    return source_path("tests/golden/clip_vision");
}

static struct cr_pipeline *vision(const char *model, const char *options, const char *port)
{
    char text[4096];
    snprintf(
        text, sizeof(text),
        "{\"crayon\": 1, \"inputs\": {\"in\": \"%s\"}, \"stages\": {\"vision\": {\"use\": "
        "\"vision-clip\", \"model\": \"%s\", \"weights\": \"f32\", \"device\": \"cpu\"%s, "
        "\"in\": {\"%s\": \"@in\"}}}, \"outputs\": {\"pixels\": \"vision.pixels\", \"hidden\": "
        "\"vision.hidden\", \"features\": \"vision.features\"}}",
        strcmp(port, "image") == 0 ? "image" : "tensor", model, options, port);
    return stage_parse(text);
}

/* The numbers of a tensor on whatever device. */
static float *read_numbers(const struct cr_run *run, const char *output, size_t *count)
{
    const struct cr_tensor *tensor = cr_value_tensor(cr_run_output(run, output));
    struct cr_error err = CR_ERROR_INIT;
    *count = (size_t)cr_tensor_elements(tensor);
    float *numbers = calloc(*count + 1, sizeof(*numbers));
    assert_non_null(numbers);
    if (cr_tensor_read(tensor, numbers, *count * sizeof(*numbers), &err) < 0)
        fail_msg("%s: %s", output, err.message);
    return numbers;
}

static struct cr_value *run_input(const float *numbers, int64_t b, int64_t h, int64_t w)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *tensor = NULL;
    struct cr_value *value = NULL;
    const int64_t shape[4] = {b, 3, h, w};
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, 4, shape, numbers, &err), 0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
    cr_tensor_unref(&tensor);
    return value;
}

/* ---- Preprocessing ---- */

static void check_pixels(const char *name, const char *size, int32_t height, int32_t width)
{
    struct st_file *inputs = st_open(shared_path("goldens/preprocess/inputs.safetensors"));
    struct st_file *expected = st_open(shared_path("goldens/preprocess/expected.safetensors"));
    char text[96];
    snprintf(text, sizeof(text), "%s.u8", name);
    struct st_tensor picture = st_get(inputs, text, "U8");
    struct cr_image *image =
        stage_image((int32_t)picture.shape[1], (int32_t)picture.shape[2], NULL);
    const int64_t plane = picture.shape[1] * picture.shape[2];
    for (int64_t i = 0; i < 3 * plane; i++)
        cr_image_edit(image)[3 * (i % plane) + i / plane] = ((const uint8_t *)picture.data)[i];
    snprintf(text, sizeof(text), ", \"input_size\": [%d, %d]", height, width);
    struct cr_pipeline *pipeline = vision(clip_model(), text, "image");
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "in", stage_images(&image, 1),
                  (const char *const[]){"pixels", NULL}, &err) < 0)
        fail_msg("%s", err.message);
    snprintf(text, sizeof(text), "%s.clip_%s.pixel_values", name, size);
    struct st_tensor wanted = st_get(expected, text, "F32");
    size_t count, off = 0;
    float *got = read_numbers(run, "pixels", &count);
    assert_int_equal(count, wanted.elements);
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - ((const float *)wanted.data)[i]);
        off += difference > 1e-5;
        if (difference > 0.0153) /* one level of 255, by the smallest deviation */
            fail_msg("%s: number %zu is %g, recorded %g", text, i, got[i],
                     ((const float *)wanted.data)[i]);
    }
    if (off * 1000 > count)
        fail_msg("%s: %zu of %zu numbers are a level off", text, off, count);
    free(got);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    st_close(&inputs);
    st_close(&expected);
}

static void test_pixels(void **unused)
{
    (void)unused;
    check_pixels("142238.crop", "70x70", 70, 70);
    check_pixels("142238.crop", "56x98", 56, 98);
    check_pixels("439180.crop", "70x70", 70, 70);
    check_pixels("439180.crop", "56x98", 56, 98);
}

/* ---- Batches and grids ---- */

static float *hidden_of(struct cr_pipeline *pipeline, const float *pixels, int64_t b, int64_t h,
                        int64_t w, size_t *count)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "in", run_input(pixels, b, h, w),
                  (const char *const[]){"hidden", NULL}, &err) < 0)
        fail_msg("%s", err.message);
    float *numbers = read_numbers(run, "hidden", count);
    cr_run_destroy(&run);
    return numbers;
}

/* An item comes out the same alone and among others, and after a run with another grid. */
static void test_batch(void **unused)
{
    (void)unused;
    enum {
        SIDE = 42,
        PLANES = 3 * SIDE * SIDE,
        ITEMS = 3
    };
    struct cr_pipeline *pipeline = vision(clip_model(), "", "pixels");
    float *pixels = calloc(ITEMS * PLANES, sizeof(*pixels));
    assert_non_null(pixels);
    for (int i = 0; i < ITEMS * PLANES; i++)
        pixels[i] = (float)sin(0.37 * i) + (float)(i / PLANES);
    size_t all, one, other;
    float *batch = hidden_of(pipeline, pixels, ITEMS, SIDE, SIDE, &all);
    float *oblong = hidden_of(pipeline, pixels, 1, 14, 126, &other);
    assert_int_equal(all, ITEMS * 9 * 64);
    assert_int_equal(other, 9 * 64);
    for (int i = 0; i < ITEMS; i++) {
        float *alone = hidden_of(pipeline, pixels + i * PLANES, 1, SIDE, SIDE, &one);
        assert_int_equal(one, 9 * 64);
        for (size_t j = 0; j < one; j++)
            if (fabs((double)alone[j] - batch[(size_t)i * one + j]) > 2e-5)
                fail_msg("item %d, number %zu: %g alone, %g in a batch", i, j, alone[j],
                         batch[(size_t)i * one + j]);
        free(alone);
    }
    free(batch);
    free(oblong);
    free(pixels);
    cr_pipeline_destroy(&pipeline);
}

/* The size that the position embedding was saved for: 4 x 4 patches of 14. */
static void test_native_size(void **unused)
{
    (void)unused;
    struct cr_pipeline *pipeline = vision(clip_model(), "", "image");
    struct cr_image *image = stage_image(31, 17, NULL);
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(stage_run(&run, pipeline, "in", stage_images(&image, 1),
                               (const char *const[]){"pixels", "hidden", NULL}, &err),
                     0);
    const struct cr_tensor *pixels = cr_value_tensor(cr_run_output(run, "pixels"));
    const struct cr_tensor *hidden = cr_value_tensor(cr_run_output(run, "hidden"));
    assert_int_equal(cr_tensor_extent(pixels, 2), 56);
    assert_int_equal(cr_tensor_extent(pixels, 3), 56);
    assert_int_equal(cr_tensor_extent(hidden, 1), 16);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- What is refused ---- */

static void expect_failure(struct cr_pipeline *pipeline, struct cr_value *value, const char *output,
                           const char *message)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_true(stage_run(&run, pipeline, "in", value, (const char *const[]){output, NULL}, &err) <
                0);
    if (strstr(err.message, message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void test_refused(void **unused)
{
    (void)unused;
    static const float small[3 * 13 * 14] = {0};
    expect_failure(vision(clip_model(), "", "pixels"), run_input(small, 1, 13, 14), "hidden",
                   "pixels must be f32 [B, 3, height, width] with sides of 14..65535");
    expect_failure(vision(clip_model(), "", "pixels"), run_input(small, 1, 14, 13), "hidden",
                   "sides of 14..65535");
    static const float fits[3 * 14 * 14] = {0};
    expect_failure(vision(clip_model(), "", "pixels"), run_input(fits, 1, 14, 14), "features",
                   "has no connector (vision_proj.*)");
    expect_failure(vision(source_path("tests/golden/nf4"), "", "pixels"),
                   run_input(fits, 1, 14, 14), "hidden", "no CLIP vision tower among its");
    struct cr_image *image = stage_image(8, 8, NULL);
    expect_failure(vision(clip_model(), ", \"input_size\": [13, 14]", "image"),
                   stage_images(&image, 1), "pixels",
                   "an input_size of [13, 14] is less than one "
                   "patch, 14");
}

static void test_mistakes(void **unused)
{
    (void)unused;
    char *findings = stage_mistakes(
        "{\"crayon\": 1, \"stages\": {\"v\": {\"use\": \"vision-clip\", \"model\": \"m\"}}, "
        "\"outputs\": {\"hidden\": \"v.hidden\"}}");
    assert_text("findings", findings,
                "test.json: /stages/v/in/image: connect \"image\" or \"pixels\", one of them "
                "(vision-clip)\n");
    cr_free(findings);
    findings = stage_mistakes(
        "{\"crayon\": 1, \"inputs\": {\"x\": \"tensor\"}, \"stages\": {\"v\": {\"use\": "
        "\"vision-clip\", \"model\": \"m\", \"input_size\": [56, 56], \"in\": {\"pixels\": "
        "\"@x\"}}}, \"outputs\": {\"hidden\": \"v.hidden\"}}");
    assert_text("findings", findings,
                "test.json: /stages/v/input_size: pixels come in their size; it is for "
                "\"image\" (vision-clip)\n");
    cr_free(findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels),      cmocka_unit_test(test_batch),
        cmocka_unit_test(test_native_size), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests_name("vision-clip", tests, NULL, NULL);
}
