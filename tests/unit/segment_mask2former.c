/* SPDX-License-Identifier: MIT */
/* The stage segment-mask2former around its network: pictures, labels, segments, what is refused.
 * The recorded network and the recorded post-processing are cases of `crayon verify`. */
#include <math.h>

#include "run_stage.h"
#include "safetensors.h"
#include "weights.h"

#define MODEL "tests/golden/mask2former"

/* ---- Pipelines ---- */

/* The CPU, or the Vulkan device that tests/portability/lavapipe.sh chose. */
static const char *device(void)
{
    static char name[96];
    const char *vulkan = getenv("CRAYON_TEST_VULKAN");
    snprintf(name, sizeof(name), "%s%s", vulkan != NULL ? "vulkan:" : "cpu",
             vulkan != NULL ? vulkan : "");
    return name;
}

/* The stage alone; `ports` such as "image" or "class_logits mask_logits" are inputs. */
static struct cr_pipeline *segmenter(const char *options, const char *ports)
{
    static const char *const names[] = {"image", "pixels", "class_logits", "mask_logits"};
    char text[8192], inputs[256] = "", wires[256] = "";
    const char *comma = "";
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strstr(ports, names[i]) == NULL)
            continue;
        snprintf(inputs + strlen(inputs), sizeof(inputs) - strlen(inputs), "%s\"%s\": \"%s\"",
                 comma, names[i], i == 0 ? "image" : "tensor");
        snprintf(wires + strlen(wires), sizeof(wires) - strlen(wires), "%s\"%s\": \"@%s\"", comma,
                 names[i], names[i]);
        comma = ", ";
    }
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {%s}, \"stages\": {\"segment\": {\"use\": "
             "\"segment-mask2former\", \"device\": \"%s\", %s, \"in\": {%s}}}, \"outputs\": "
             "{\"panoptic\": \"segment.panoptic\", \"grid\": \"segment.grid\", \"pixels\": "
             "\"segment.pixels\", \"class_logits\": \"segment.class_logits\", \"mask_logits\": "
             "\"segment.mask_logits\"}}",
             inputs, device(), options, wires);
    return stage_parse(text);
}

static struct cr_value *tensor_value(int rank, const int64_t *shape, const float *numbers)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *tensor = NULL;
    struct cr_value *value = NULL;
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, rank, shape, numbers, &err), 0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
    cr_tensor_unref(&tensor);
    return value;
}

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

/* One run on pictures that must succeed; `value` is consumed. */
static struct cr_run *run_images(struct cr_pipeline *pipeline, struct cr_value *value,
                                 const char *const *outputs)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (stage_run(&run, pipeline, "image", value, outputs, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

static const struct cr_panoptic *map_of(const struct cr_run *run, const char *output, size_t item)
{
    const struct cr_panoptic *map = cr_value_panoptic(cr_run_output(run, output), item);
    assert_non_null(map);
    return map;
}

/* The same segments; `differing` pixels may belong to others. */
static void assert_same_maps(const char *what, const struct cr_panoptic *a,
                             const struct cr_panoptic *b, size_t differing)
{
    const struct cr_size x = cr_panoptic_size(a), y = cr_panoptic_size(b);
    if (x.height != y.height || x.width != y.width || cr_panoptic_count(a) != cr_panoptic_count(b))
        fail_msg("%s: [%d, %d] with %zu segments and [%d, %d] with %zu", what, x.height, x.width,
                 cr_panoptic_count(a), y.height, y.width, cr_panoptic_count(b));
    for (size_t i = 0; i < cr_panoptic_count(a); i++) {
        const struct cr_segment *s = cr_panoptic_segment(a, i), *t = cr_panoptic_segment(b, i);
        if (s->id != t->id || s->label != t->label || fabsf(s->score - t->score) > 2e-5f)
            fail_msg("%s: segment %zu is %d, %d, %g and %d, %d, %g", what, i, s->id, s->label,
                     (double)s->score, t->id, t->label, (double)t->score);
    }
    size_t differ = 0;
    for (size_t i = 0; i < (size_t)x.height * (size_t)x.width; i++)
        differ += cr_panoptic_ids(a)[i] != cr_panoptic_ids(b)[i];
    if (differ > differing)
        fail_msg("%s: %zu ids differ", what, differ);
}

/* ---- Models ---- */

/* A folder with files of these contents beside the weights of the recorded model; NULL: none. */
static const char *model_folder(const char *name, const char *config, const char *preprocessor)
{
    static char path[4200];
    static int made;
    size_t size;
    char numbered[64];
    snprintf(numbered, sizeof(numbered), "%s-%d", name, made++);
    name = weights_folder(numbered);
    snprintf(path, sizeof(path), "%s/model.safetensors", name);
    const char *weights = read_test_file(source_path(MODEL "/model.safetensors"), &size);
    write_test_file(path, weights, size);
    snprintf(path, sizeof(path), "%s/config.json", name);
    write_test_text(path, config != NULL ? config
                                         : read_test_file(source_path(MODEL "/config.json"), NULL));
    snprintf(path, sizeof(path), "%s/preprocessor_config.json", name);
    if (preprocessor != NULL)
        write_test_text(path, preprocessor);
    return name;
}

static const char *with_model(const char *folder, const char *options)
{
    static char text[6000];
    snprintf(text, sizeof(text), "\"model\": \"%s\", \"weights\": \"f32\"%s", folder, options);
    return text;
}

/* ---- Pictures ---- */

static struct cr_image *image_of(const struct st_tensor *picture)
{
    struct cr_image *image =
        stage_image((int32_t)picture->shape[1], (int32_t)picture->shape[2], NULL);
    const int64_t plane = picture->shape[1] * picture->shape[2];
    for (int64_t i = 0; i < 3 * plane; i++)
        cr_image_edit(image)[3 * (i % plane) + i / plane] = ((const uint8_t *)picture->data)[i];
    return image;
}

static float *pixels_of(const char *options, struct cr_image *image, int64_t shape[2])
{
    size_t count;
    struct cr_pipeline *pipeline = segmenter(options, "image");
    struct cr_run *run =
        run_images(pipeline, stage_images(&image, 1), (const char *const[]){"pixels", NULL});
    const struct cr_tensor *pixels = cr_value_tensor(cr_run_output(run, "pixels"));
    shape[0] = cr_tensor_extent(pixels, 2);
    shape[1] = cr_tensor_extent(pixels, 3);
    float *numbers = read_numbers(run, "pixels", &count);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    return numbers;
}

static void check_pixels(const char *name, const char *recorded, const char *options)
{
    struct st_file *inputs = st_open(shared_path("goldens/preprocess/inputs.safetensors"));
    struct st_file *expected = st_open(shared_path("goldens/preprocess/expected.safetensors"));
    char text[96];
    int64_t shape[2];
    snprintf(text, sizeof(text), "%s.u8", name);
    const struct st_tensor picture = st_get(inputs, text, "U8");
    snprintf(text, sizeof(text), "%s.m2f_%s.pixel_values", name, recorded);
    const struct st_tensor wanted = st_get(expected, text, "F32");
    float *got = pixels_of(with_model(source_path(MODEL), options), image_of(&picture), shape);
    assert_int_equal(shape[0], wanted.shape[2]);
    assert_int_equal(shape[1], wanted.shape[3]);
    for (int64_t i = 0; i < wanted.elements; i++)
        if (!(fabs((double)got[i] - ((const float *)wanted.data)[i]) <= 1e-6))
            fail_msg("%s: number %lld is %g, recorded %g", text, (long long)i, (double)got[i],
                     (double)((const float *)wanted.data)[i]);
    free(got);
    st_close(&inputs);
    st_close(&expected);
}

/* Sides are rounded up to multiples of 32: 64 x 80 becomes 64 x 96. */
static void pixels_are_the_recorded_ones(void **state)
{
    (void)state;
    static const char *const pictures[] = {"142238.crop", "439180.crop", "439180.half"};
    for (size_t i = 0; i < COUNT(pictures); i++) {
        check_pixels(pictures[i], "96x96", ", \"input_size\": [96, 96]");
        check_pixels(pictures[i], "64x80", ", \"input_size\": [64, 80]");
    }
}

/* What CoLLaVO shows its segmenter: the picture squashed to 490 x 490, then to 384 x 384. */
static void pixels_are_prescaled(void **state)
{
    (void)state;
    struct st_file *inputs = st_open(shared_path("goldens/preprocess/inputs.safetensors"));
    struct st_file *expected = st_open(shared_path("goldens/preprocess/expected.safetensors"));
    const struct st_tensor picture = st_get(inputs, "439180.half.u8", "U8");
    const struct st_tensor wanted = st_get(expected, "439180.half.demo_chain_384.every8", "F32");
    int64_t shape[2];
    size_t off = 0;
    float *got = pixels_of(with_model(source_path(MODEL), ", \"prescale\": [490, 490]"),
                           image_of(&picture), shape);
    assert_int_equal(shape[0], 384);
    assert_int_equal(shape[1], 384);
    for (int64_t i = 0; i < wanted.elements; i++) {
        const int64_t c = i / (48 * 48), y = i / 48 % 48 * 8, x = i % 48 * 8;
        off += fabs((double)got[(c * 384 + y) * 384 + x] - ((const float *)wanted.data)[i]) > 1e-5;
    }
    /* Ties of the first step may fall to either side. */
    if (off * 1000 > (size_t)wanted.elements)
        fail_msg("%zu of %lld numbers differ", off, (long long)wanted.elements);
    free(got);
    st_close(&inputs);
    st_close(&expected);
}

/* What preprocessor_config.json says: sizes, and one number of a grey picture (128). */
static void preprocessing_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int32_t height, width;       /* of the picture */
        int64_t to_height, to_width; /* of the pixels */
        double value;                /* of the first channel */
    } cases[] = {
        {"{}", 40, 50, 384, 384, (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": {\"height\": 33, \"width\": 64}}", 9, 9, 64, 64,
         (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": {\"height\": 33, \"width\": 65}, \"size_divisor\": 0}", 9, 9, 33, 65,
         (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": {\"height\": 33, \"width\": 65}, \"size_divisibility\": 10}", 9, 9, 40, 70,
         (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": {\"shortest_edge\": 80, \"longest_edge\": 133}}", 48, 64, 96, 128,
         (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": {\"shortest_edge\": 80, \"longest_edge\": 133}}", 64, 48, 128, 96,
         (128 / 255.0 - 0.485) / 0.229},
        /* 106 would be too long: 133 x 79 -> 160 x 96 */
        {"{\"size\": {\"shortest_edge\": 100, \"longest_edge\": 133}}", 50, 30, 160, 96,
         (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": 40, \"_max_size\": 60}", 1, 900, 32, 64, (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": 40, \"max_size\": 60}", 900, 1, 64, 32, (128 / 255.0 - 0.485) / 0.229},
        /* What goldens/preprocess recorded of two photographs. */
        {"{\"size\": 800}", 427, 640, 800, 1216, (128 / 255.0 - 0.485) / 0.229},
        {"{\"size\": 800}", 360, 640, 768, 1344, (128 / 255.0 - 0.485) / 0.229},
        {"{\"do_resize\": false}", 37, 41, 37, 41, (128 / 255.0 - 0.485) / 0.229},
        {"{\"do_resize\": false, \"do_normalize\": false}", 37, 41, 37, 41, 128 / 255.0},
        {"{\"do_resize\": false, \"do_normalize\": false, \"do_rescale\": false}", 37, 41, 37, 41,
         128},
        {"{\"do_resize\": false, \"rescale_factor\": 0.5, \"image_mean\": [1, 2, 3], "
         "\"image_std\": [4, 5, 6]}",
         3, 5, 3, 5, (128 * 0.5 - 1) / 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t shape[2];
        float *pixels =
            pixels_of(with_model(model_folder("preprocessing", NULL, cases[i].file), ""),
                      stage_image(cases[i].height, cases[i].width, NULL), shape);
        if (shape[0] != cases[i].to_height || shape[1] != cases[i].to_width ||
            fabs((double)pixels[0] - cases[i].value) > 1e-6)
            fail_msg("%s: %lld x %lld, %g", cases[i].file, (long long)shape[0], (long long)shape[1],
                     (double)pixels[0]);
        free(pixels);
    }
}

/* ---- Logits made for a test ---- */

/* Of B = 1: each query has one class and a mask that is `inside` in a rectangle of the 8 x 8 mask,
 * and -inside elsewhere. */
struct query {
    int label; /* CLASSES: no object */
    float certainty;
    int top, left, bottom, right;
    float inside;
};

enum {
    CLASSES = 133,
    SIDE = 8,
    MAX_QUERIES = 48
};

static struct cr_run *run_logits(struct cr_pipeline *pipeline, const struct query *queries,
                                 size_t count, const char *const *outputs)
{
    static float classes[MAX_QUERIES][CLASSES + 1], masks[MAX_QUERIES][SIDE][SIDE];
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    memset(classes, 0, sizeof(classes));
    for (size_t i = 0; i < count; i++) {
        classes[i][queries[i].label] = queries[i].certainty;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                masks[i][y][x] = y >= queries[i].top && y < queries[i].bottom &&
                                         x >= queries[i].left && x < queries[i].right
                                     ? queries[i].inside
                                     : -queries[i].inside;
    }
    struct cr_value *first =
        tensor_value(3, (int64_t[]){1, (int64_t)count, CLASSES + 1}, &classes[0][0]);
    struct cr_value *second =
        tensor_value(4, (int64_t[]){1, (int64_t)count, SIDE, SIDE}, &masks[0][0][0]);
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    assert_int_equal(cr_run_set_input(run, "class_logits", first, &err), 0);
    assert_int_equal(cr_run_set_input(run, "mask_logits", second, &err), 0);
    for (size_t i = 0; outputs[i] != NULL; i++)
        assert_int_equal(cr_run_want(run, outputs[i], &err), 0);
    cr_value_unref(&first);
    cr_value_unref(&second);
    if (cr_run_execute(run, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

static struct cr_pipeline *logits(const char *options)
{
    return segmenter(options, "class_logits mask_logits");
}

/* "1:label 2:label ..." of a map. */
static const char *segments_of(const struct cr_panoptic *map)
{
    static char text[512];
    text[0] = '\0';
    for (size_t i = 0; i < cr_panoptic_count(map); i++) {
        const struct cr_segment *segment = cr_panoptic_segment(map, i);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d:%d", i > 0 ? " " : "",
                 segment->id, segment->label);
    }
    return text;
}

static int32_t id_at(const struct cr_panoptic *map, int32_t y, int32_t x)
{
    return cr_panoptic_ids(map)[(int64_t)y * cr_panoptic_size(map).width + x];
}

/* ---- Segments ---- */

static const char *const maps[] = {"panoptic", "grid", NULL};

/* Left and right halves; one that is not certain enough; one that the others cover. */
static void segments_are_found(void **state)
{
    (void)state;
    static const struct query queries[] = {
        {0, 20, 0, 0, 8, 4, 9},   {CLASSES, 20, 0, 0, 8, 8, 9},
        {5, 5, 0, 0, 8, 8, 9}, /* e^5 among 134: 0.527, but for the threshold */
        {119, 20, 0, 4, 8, 8, 9}, {7, 9, 2, 1, 6, 7, 5},
    };
    struct cr_pipeline *pipeline = logits("\"size\": [40, 60], \"grid\": [4, 6], "
                                          "\"threshold\": 0.6");
    struct cr_run *run = run_logits(pipeline, queries, COUNT(queries), maps);
    const struct cr_panoptic *map = map_of(run, "panoptic", 0);
    assert_int_equal(cr_panoptic_size(map).height, 40);
    assert_int_equal(cr_panoptic_size(map).width, 60);
    assert_string_equal(segments_of(map), "1:0 2:119");
    assert_int_equal(id_at(map, 0, 0), 1);
    assert_int_equal(id_at(map, 20, 20), 1);
    assert_int_equal(id_at(map, 39, 59), 2);
    map = map_of(run, "grid", 0);
    assert_string_equal(segments_of(map), "1:0 2:119");
    assert_int_equal(cr_panoptic_size(map).height, 4);
    assert_int_equal(id_at(map, 3, 2), 1);
    assert_int_equal(id_at(map, 0, 3), 2);
    assert_true(fabs((double)cr_panoptic_segment(map, 0)->score - 1) < 1e-6);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void nothing_is_found(void **state)
{
    (void)state;
    static const struct query no_object[] = {{CLASSES, 20, 0, 0, 8, 8, 9}, {3, 1, 0, 0, 8, 8, 9}};
    /* Masks that are nowhere above 0.5. */
    static const struct query rejected[] = {{3, 20, 0, 0, 8, 8, -1}, {4, 20, 0, 0, 8, 8, -2}};
    struct cr_pipeline *pipeline = logits("\"size\": [3, 5]");
    struct cr_run *run = run_logits(pipeline, no_object, COUNT(no_object), maps);
    assert_string_equal(segments_of(map_of(run, "panoptic", 0)), "");
    for (int i = 0; i < 15; i++)
        assert_int_equal(cr_panoptic_ids(map_of(run, "panoptic", 0))[i], -1);
    cr_run_destroy(&run);
    run = run_logits(pipeline, rejected, COUNT(rejected), maps);
    assert_string_equal(segments_of(map_of(run, "panoptic", 0)), "");
    for (int i = 0; i < 15; i++)
        assert_int_equal(cr_panoptic_ids(map_of(run, "panoptic", 0))[i], 0);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* 119 is sky, 0 person: two pieces of sky become one, two persons stay two. */
static void stuff_is_fused(void **state)
{
    (void)state;
    static const struct query queries[] = {
        {119, 20, 0, 0, 2, 8, 9}, {0, 20, 2, 0, 4, 8, 9},   {119, 20, 4, 0, 6, 8, 9},
        {0, 20, 6, 0, 8, 4, 9},   {116, 20, 6, 4, 8, 8, 9},
    };
    struct cr_pipeline *apart = logits("\"size\": [8, 8]");
    struct cr_pipeline *fused = logits("\"size\": [8, 8], \"fuse\": \"stuff\"");
    struct cr_run *run = run_logits(apart, queries, COUNT(queries), maps);
    assert_string_equal(segments_of(map_of(run, "panoptic", 0)), "1:119 2:0 3:119 4:0 5:116");
    cr_run_destroy(&run);
    run = run_logits(fused, queries, COUNT(queries), maps);
    const struct cr_panoptic *map = map_of(run, "panoptic", 0);
    assert_string_equal(segments_of(map), "1:119 2:0 3:0 4:116");
    assert_int_equal(id_at(map, 0, 0), 1);
    assert_int_equal(id_at(map, 5, 5), 1);
    assert_int_equal(id_at(map, 7, 0), 3);
    assert_int_equal(id_at(map, 7, 7), 4);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&apart);
    cr_pipeline_destroy(&fused);
}

/* The first wins. */
static void ties_are_broken(void **state)
{
    (void)state;
    static const struct query queries[] = {{8, 20, 0, 0, 8, 8, 9}, {9, 20, 0, 0, 8, 8, 9}};
    struct cr_pipeline *pipeline = logits("\"size\": [30, 30]");
    struct cr_run *run = run_logits(pipeline, queries, COUNT(queries), maps);
    assert_string_equal(segments_of(map_of(run, "panoptic", 0)), "1:8");
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

struct threshold {
    const char *value, *segments;
};

/* What is found among the queries at each value of an option. */
static void expect_segments(const char *size, const char *option, const struct query *queries,
                            size_t count, const struct threshold *cases, size_t case_count)
{
    for (size_t i = 0; i < case_count; i++) {
        char options[128];
        snprintf(options, sizeof(options), "\"size\": %s, \"%s\": %s", size, option,
                 cases[i].value);
        struct cr_pipeline *pipeline = logits(options);
        struct cr_run *run = run_logits(pipeline, queries, count, maps);
        assert_text(cases[i].value, segments_of(map_of(run, "panoptic", 0)), cases[i].segments);
        cr_run_destroy(&run);
        cr_pipeline_destroy(&pipeline);
    }
}

/* A quotient of exactly 4/5 is as f32 more than 0.8, which the reference compares it with. */
static void overlap_is_compared(void **state)
{
    (void)state;
    /* In 5 columns: the first mask has all, the second, being more certain, takes one. */
    static const struct threshold cases[] = {
        {"0.79", "1:1 2:2"}, {"0.8", "1:1 2:2"}, {"0.81", "1:2"}};
    static const struct query queries[] = {{1, 20, 0, 0, 8, 8, 3}, {2, 20, 0, 0, 8, 1, 30}};
    expect_segments("[1, 5]", "overlap_mask_area_threshold", queries, COUNT(queries), cases,
                    COUNT(cases));
}

/* score x mask reaches the threshold when it is equal to it. */
static void mask_threshold_is_reached(void **state)
{
    (void)state;
    static const struct query queries[] = {{1, 120, 0, 0, 8, 8, 0}}; /* 1 x sigmoid(0) */
    static const struct threshold cases[] = {
        {"0", "1:1"}, {"0.5", "1:1"}, {"0.5000001", ""}, {"1", ""}};
    expect_segments("[9, 7]", "mask_threshold", queries, COUNT(queries), cases, COUNT(cases));
}

/* ---- Bands ---- */

/* More candidates make bands of fewer rows; these cover nothing and must change nothing. */
static void bands_do_not_show(void **state)
{
    (void)state;
    static const char *const sizes[] = {"[700, 900]", "[3001, 257]", "[257, 3001]", "[1, 65535]",
                                        "[65535, 1]", "[1, 1]",      "[35, 35]",    "[385, 383]"};
    static struct query queries[MAX_QUERIES] = {
        {0, 20, 0, 0, 5, 4, 4},  {119, 20, 3, 2, 8, 8, 2}, {7, 20, 1, 1, 4, 7, 3},
        {41, 20, 6, 0, 8, 5, 6}, {116, 20, 0, 5, 3, 8, 1},
    };
    for (size_t i = 5; i < COUNT(queries); i++)
        queries[i] = (struct query){(int)i, 20, 0, 0, 0, 0, 90};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char options[64];
        snprintf(options, sizeof(options), "\"size\": %s", sizes[i]);
        struct cr_pipeline *pipeline = logits(options);
        struct cr_run *few = run_logits(pipeline, queries, 5, maps);
        struct cr_run *many = run_logits(pipeline, queries, COUNT(queries), maps);
        assert_same_maps(sizes[i], map_of(few, "panoptic", 0), map_of(many, "panoptic", 0), 0);
        assert_same_maps(sizes[i], map_of(few, "grid", 0), map_of(many, "grid", 0), 0);
        assert_true(cr_panoptic_count(map_of(few, "panoptic", 0)) > 0);
        cr_run_destroy(&few);
        cr_run_destroy(&many);
        cr_pipeline_destroy(&pipeline);
    }
}

static double figure_of(const struct cr_run *run, const char *name)
{
    for (size_t i = 0; i < cr_run_figures(run, 0); i++)
        if (strcmp(cr_run_figure(run, 0, i).name, name) == 0)
            return cr_run_figure(run, 0, i).value;
    fail_msg("there is no figure \"%s\"", name);
    return 0;
}

/* All masks at once would be 48 MB x 4 x 4 = 768 MB. */
static void memory_is_bounded(void **state)
{
    (void)state;
    static const struct query queries[] = {{0, 20, 0, 0, 4, 4, 4},
                                           {119, 20, 4, 0, 8, 8, 4},
                                           {7, 20, 0, 4, 4, 8, 4},
                                           {41, 20, 3, 3, 5, 5, 1}};
    struct cr_pipeline *pipeline = logits("\"size\": [6000, 8000]");
    struct cr_run *run =
        run_logits(pipeline, queries, COUNT(queries), (const char *const[]){"panoptic", NULL});
    const struct cr_panoptic *map = map_of(run, "panoptic", 0);
    assert_string_equal(segments_of(map), "1:0 2:119 3:7");
    assert_int_equal(id_at(map, 0, 0), 1);
    assert_int_equal(id_at(map, 5999, 0), 2);
    assert_int_equal(id_at(map, 0, 7999), 3);
    if (figure_of(run, "device_peak_bytes") > 192e6)
        fail_msg("%g bytes on the device", figure_of(run, "device_peak_bytes"));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- Labels ---- */

/* The label of a segment of class `index` for these names and pairs. */
static int32_t label_for(const char *names, const char *pairs, int index)
{
    char config[1024], options[4096];
    const struct query query = {index, 20, 0, 0, 8, 8, 9};
    snprintf(config, sizeof(config), "{%s}", names);
    snprintf(options, sizeof(options), ", \"size\": [2, 2]%s", pairs);
    struct cr_pipeline *pipeline =
        logits(with_model(model_folder("labels", config, NULL), options));
    struct cr_run *run = run_logits(pipeline, &query, 1, maps);
    assert_int_equal(cr_panoptic_count(map_of(run, "panoptic", 0)), 1);
    const int32_t label = cr_panoptic_segment(map_of(run, "panoptic", 0), 0)->label;
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
    return label;
}

static void labels_follow_names(void **state)
{
    (void)state;
    static const char ade[] = "\"id2label\": {\"0\": \"wall\", \"1\": \"tree-merged\", \"2\": "
                              "\"person\", \"4\": \"sofa\", \"3\": \"LABEL_3\"}";
    static const char pairs[] = ", \"labels\": [\"wall=wall-other-merged\", \"sofa=couch\", "
                                "\"person=unknown\"]";
    static const struct {
        const char *names, *pairs;
        int index;
        int32_t label;
    } cases[] = {
        {"", "", 0, 0},
        {"", "", 132, 132},
        {"\"id2label\": null", "", 5, 5},
        {"\"id2label\": {\"0\": \"LABEL_0\", \"1\": \"LABEL_1\"}", "", 1, 1},
        {"\"id2label\": {\"0\": \"LABEL_1\", \"1\": \"LABEL_1\"}", "", 0, CR_LABEL_UNKNOWN},
        {"\"id2label\": {\"0\": \"LABEL_0\", \"1\": \"LABEL_1\"}", "", 2, CR_LABEL_UNKNOWN},
        {ade, "", 0, CR_LABEL_UNKNOWN},
        {ade, "", 1, 116},
        {ade, "", 2, 0},
        {ade, "", 3, 3},
        {ade, "", 4, CR_LABEL_UNKNOWN},
        {ade, "", 5, CR_LABEL_UNKNOWN},
        {ade, pairs, 0, 131},
        {ade, pairs, 1, 116},
        {ade, pairs, 2, CR_LABEL_UNKNOWN},
        {ade, pairs, 4, 57},
        {"\"id2label\": {\"0\": \"a=b\"}", ", \"labels\": [\"a=b=person\"]", 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const int32_t label = label_for(cases[i].names, cases[i].pairs, cases[i].index);
        if (label != cases[i].label)
            fail_msg("case %zu, {%s}%s: class %d is %d, not %d", i, cases[i].names, cases[i].pairs,
                     cases[i].index, label, cases[i].label);
    }
}

/* ---- The whole way ---- */

static struct cr_image *noise(int32_t height, int32_t width, unsigned seed)
{
    struct cr_image *image = stage_image(height, width, NULL);
    for (int64_t i = 0; i < 3 * (int64_t)height * width; i++) {
        seed = seed * 1664525u + 1013904223u;
        cr_image_edit(image)[i] = (uint8_t)(seed >> 24);
    }
    return image;
}

/* Pictures of any sizes: the map has the picture's, and no neighbour in the batch shows. */
static void batches_are_items(void **state)
{
    (void)state;
    static const struct cr_size sizes[] = {{1, 1}, {96, 128}, {3, 900}, {900, 2}, {96, 128}};
    static const char options[] = ", \"input_size\": [96, 128], \"threshold\": 0.1, "
                                  "\"mask_threshold\": 0.1, \"overlap_mask_area_threshold\": 0.1";
    struct cr_pipeline *pipeline = segmenter(with_model(source_path(MODEL), options), "image");
    struct cr_image *images[COUNT(sizes)];
    size_t found = 0;
    for (size_t i = 0; i < COUNT(sizes); i++)
        images[i] = noise(sizes[i].height, sizes[i].width, (unsigned)i);
    struct cr_run *all = run_images(pipeline, stage_images(images, COUNT(sizes)), maps);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct cr_image *image = noise(sizes[i].height, sizes[i].width, (unsigned)i);
        struct cr_run *one = run_images(pipeline, stage_images(&image, 1), maps);
        const struct cr_panoptic *map = map_of(all, "panoptic", i);
        assert_int_equal(cr_panoptic_size(map).height, sizes[i].height);
        assert_int_equal(cr_panoptic_size(map).width, sizes[i].width);
        assert_same_maps("panoptic", map, map_of(one, "panoptic", 0),
                         (size_t)sizes[i].height * (size_t)sizes[i].width / 1000);
        assert_same_maps("grid", map_of(all, "grid", i), map_of(one, "grid", 0), 2);
        found += cr_panoptic_count(map);
        cr_run_destroy(&one);
    }
    assert_true(found > 0);
    cr_run_destroy(&all);
    cr_pipeline_destroy(&pipeline);
}

static const char *edges_model(void)
{
    return with_model(
        model_folder("edges", NULL, "{\"size\": {\"shortest_edge\": 64, \"longest_edge\": 200}}"),
        "");
}

/* Pictures that come to different sizes go one after the other; a tensor of all is impossible. */
static void sizes_may_differ(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = segmenter(edges_model(), "image");
    struct cr_error err = CR_ERROR_INIT;
    for (int tensors = 0; tensors < 2; tensors++) {
        struct cr_image *images[3] = {noise(40, 40, 1), noise(40, 40, 2), noise(20, 50, 3)};
        struct cr_run *run = NULL;
        const char *const outputs[] = {"panoptic", tensors ? "mask_logits" : NULL, NULL};
        int result = stage_run(&run, pipeline, "image", stage_images(images, 3), outputs, &err);
        if (!tensors && result < 0)
            fail_msg("%s", err.message);
        if (tensors && (result != CR_ERR_ARGUMENT ||
                        strstr(err.message, "no tensor \"mask_logits\" of all") == NULL))
            fail_msg("%d: %s", result, err.message);
        if (!tensors)
            assert_int_equal(cr_panoptic_size(map_of(run, "panoptic", 2)).width, 50);
        cr_run_destroy(&run);
    }
    cr_pipeline_destroy(&pipeline);
}

/* Pixels alone need no network, and logits pass through. */
static void only_what_is_wanted_is_computed(void **state)
{
    (void)state;
    const struct query query = {3, 20, 0, 0, 8, 8, 9};
    const char *folder = model_folder("no-weights", NULL, NULL);
    char path[4200];
    int64_t shape[2];
    size_t count;
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    remove(path);
    free(pixels_of(with_model(folder, ""), stage_image(5, 5, NULL), shape));
    assert_int_equal(shape[0], 384);
    struct cr_pipeline *pipeline = logits(with_model(folder, ""));
    struct cr_run *run =
        run_logits(pipeline, &query, 1, (const char *const[]){"class_logits", "panoptic", NULL});
    float *numbers = read_numbers(run, "class_logits", &count);
    assert_int_equal(count, CLASSES + 1);
    assert_true(numbers[3] == 20);
    assert_int_equal(cr_panoptic_size(map_of(run, "panoptic", 0)).height, 384);
    free(numbers);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* All queries may become candidates, and the plan has room for them. */
static void all_candidates_are_planned(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = segmenter(
        with_model(source_path(MODEL), ", \"input_size\": [32, 32], \"threshold\": 0"), "image");
    struct cr_image *image = noise(300, 400, 7);
    struct cr_value *value = stage_images(&image, 1);
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    assert_int_equal(cr_run_set_input(run, "image", value, &err), 0);
    assert_int_equal(cr_run_want(run, "panoptic", &err), 0);
    cr_value_unref(&value);
    if (cr_run_plan(run, &err) < 0 || cr_run_execute(run, &err) < 0)
        fail_msg("%s", err.message);
    const double planned = (double)cr_run_planned_stage(run, 0).peak;
    const double measured = figure_of(run, "device_peak_bytes");
    /* Some may have no object. */
    if (measured > planned || measured < planned / 2)
        fail_msg("%g bytes planned, %g measured", planned, measured);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* ---- What is refused ---- */

static void mistakes_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *stage, *message;
    } cases[] = {
        {"\"model\": \"x\", \"in\": {\"pixels\": \"@a\", \"class_logits\": \"@a\", "
         "\"mask_logits\": \"@a\"}",
         "/stages/s/in/pixels: connect one of"},
        {"\"model\": \"x\", \"in\": {}", "/stages/s/in/image: connect one of"},
        {"\"in\": {\"class_logits\": \"@a\"}", "/stages/s/in/mask_logits: \"class_logits\" and"},
        {"\"in\": {\"pixels\": \"@a\"}", "/stages/s/model: is missing"},
        {"\"model\": \"x\", \"prescale\": [3, 3], \"in\": {\"pixels\": \"@a\"}",
         "/stages/s/prescale: it is for \"image\""},
        {"\"model\": \"x\", \"input_size\": [3, 3], \"in\": {\"pixels\": \"@a\"}",
         "/stages/s/input_size: it is for \"image\""},
        {"\"labels\": [\"wall\"], \"in\": {\"class_logits\": \"@a\", \"mask_logits\": \"@a\"}",
         "/stages/s/labels: \"wall\": \"NAME=COCO NAME\""},
        {"\"labels\": [\"wall=walls\"], \"in\": {\"class_logits\": \"@a\", \"mask_logits\": "
         "\"@a\"}",
         "/stages/s/labels: \"wall=walls\""},
        {"\"labels\": [\"=person\"], \"in\": {\"class_logits\": \"@a\", \"mask_logits\": "
         "\"@a\"}",
         "/stages/s/labels: \"=person\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1024];
        snprintf(text, sizeof(text),
                 "{\"crayon\": 1, \"inputs\": {\"a\": \"tensor\"}, \"stages\": {\"s\": {\"use\": "
                 "\"segment-mask2former\", %s}}, \"outputs\": {\"grid\": \"s.grid\"}}",
                 cases[i].stage);
        char *found = stage_mistakes(text);
        if (strstr(found, cases[i].message) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].stage, found, cases[i].message);
        cr_free(found);
    }
}

static void expect_failure(struct cr_pipeline *pipeline, const char *input, struct cr_value *value,
                           const char *output, const char *message)
{
    struct cr_run *run = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_true(stage_run(&run, pipeline, input, value, (const char *const[]){output, NULL}, &err) <
                0);
    if (strstr(err.message, message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *preprocessor, *options, *message;
    } cases[] = {
        {NULL, "[]", "", "preprocessor_config.json: holds a list, an object is needed"},
        {NULL, "{\"size\": 1e9}", "", "/size: 1000000000 is outside 1..8192"},
        {NULL, "{\"size\": \"384\"}", "", "/size: is a string, a whole number is needed"},
        {NULL, "{\"size\": {}}", "", "/size: is an object, a whole number is needed"},
        {NULL, "{\"size\": {\"height\": 384}}", "", "/size/width: is missing"},
        {NULL, "{\"size\": {\"height\": 384, \"width\": -1}}", "", "/size/width: -1 is outside"},
        {NULL, "{\"size\": {\"longest_edge\": 384}}", "", "/size/shortest_edge: is missing"},
        {NULL, "{\"size\": 100, \"_max_size\": 100}", "",
         "/size: a longest edge of 100 is not more than the shortest, 100"},
        {NULL, "{\"resample\": 3}", "", "/resample: 3 is not supported; 2 (bilinear) is"},
        {NULL, "{\"image_mean\": [0.5, 0.5]}", "", "/image_mean: holds 2 numbers"},
        {NULL, "{\"image_std\": [1, 0, 1]}", "", "/image_std/1: 0 is outside"},
        {NULL, "{\"image_std\": [1, \"1\", 1]}", "", "/image_std/1: is a string"},
        {NULL, "{\"image_mean\": 0.5}", "", "/image_mean: holds 0 numbers"},
        {NULL, "{\"do_resize\": 1}", "", "/do_resize: is a number, true or false is needed"},
        {NULL, "{\"size_divisor\": -32}", "", "/size_divisor: -32 is outside"},
        {NULL, "{\"rescale_factor\": 0}", "", "/rescale_factor: 0 is outside"},
        {"{\"id2label\": {\"one\": \"person\"}}", NULL, "", "/id2label: \"one\" is no class"},
        {"{\"id2label\": {\"-1\": \"person\"}}", NULL, "", "/id2label: \"-1\" is no class"},
        {"{\"id2label\": {\"01\": \"person\"}}", NULL, "", "/id2label: \"01\" is no class"},
        {"{\"id2label\": {\"\": \"person\"}}", NULL, "", "/id2label: \"\" is no class"},
        {"{\"id2label\": {\"99999999999999999999\": \"person\"}}", NULL, "",
         "is no class; numbers from 0 to 4095 are"},
        {"{\"id2label\": {\"0\": 7}}", NULL, "", "/id2label/0: is a number, a string is needed"},
        {"{\"id2label\": {\"0\": null}}", NULL, "", "/id2label/0: is missing"},
        {"{\"id2label\": [\"person\"]}", NULL, "", "/id2label: \"\" is no class"},
        {"{\"id2label\": \"person\"}", NULL, "", "/id2label: holds 0 names"},
        {"{\"id2label\": {}}", NULL, "", "/id2label: holds 0 names"},
        {"{\"id2label\": {\"0\": \"wall\"}}", NULL, ", \"labels\": [\"walls=wall-brick\"]",
         "\"walls=wall-brick\": no class has that name"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *folder = model_folder("refused", cases[i].config, cases[i].preprocessor);
        struct cr_image *image = stage_image(4, 4, NULL);
        expect_failure(segmenter(with_model(folder, cases[i].options), "image"), "image",
                       stage_images(&image, 1), "grid", cases[i].message);
    }
}

static void bad_tensors_are_refused(void **state)
{
    (void)state;
    static const float numbers[2 * 3 * 4 * 4] = {0};
    struct cr_pipeline *pipeline = logits("\"size\": [2, 2]");
    static const struct {
        int rank;
        int64_t classes[3], masks[4];
        const char *message;
    } cases[] = {
        {2, {1, 3}, {1, 3, 4, 4}, "class_logits must be f32 [B, queries, classes + 1]"},
        {3, {1, 3, 1}, {1, 3, 4, 4}, "class_logits must be f32 [B, queries, classes + 1]"},
        {3, {1, 3, 4}, {1, 2, 4, 4}, "mask_logits have 2 queries and class_logits 3"},
        {3, {1, 3, 4}, {1, 3, 0, 4}, "mask_logits must be f32 [B, queries, height, width]"},
        {3, {2, 3, 4}, {1, 3, 4, 4}, "item"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_run *run = NULL;
        struct cr_error err = CR_ERROR_INIT;
        struct cr_value *classes = tensor_value(cases[i].rank, cases[i].classes, numbers);
        struct cr_value *masks = tensor_value(4, cases[i].masks, numbers);
        assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
        assert_int_equal(cr_run_set_input(run, "class_logits", classes, &err), 0);
        int result = cr_run_set_input(run, "mask_logits", masks, &err);
        if (result == 0)
            result = cr_run_want(run, "grid", &err);
        if (result == 0)
            result = cr_run_execute(run, &err);
        if (result >= 0 || strstr(err.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].message);
        cr_value_unref(&classes);
        cr_value_unref(&masks);
        cr_run_destroy(&run);
    }
    cr_pipeline_destroy(&pipeline);
}

/* ---- Faults ---- */

struct attempt {
    struct cr_pipeline *pipeline;
    struct cr_value *classes, *masks;
};

static int segment_again(void *user, struct cr_error *err)
{
    const struct attempt *attempt = user;
    struct cr_run *run = NULL;
    int result = cr_run_create(&run, attempt->pipeline, err);
    if (result == 0)
        result = cr_run_set_input(run, "class_logits", attempt->classes, err);
    if (result == 0)
        result = cr_run_set_input(run, "mask_logits", attempt->masks, err);
    if (result == 0)
        result = cr_run_want(run, "panoptic", err);
    if (result == 0)
        result = cr_run_execute(run, err);
    cr_run_destroy(&run);
    return result;
}

static void faults_while_segmenting(void **state)
{
    (void)state;
    static const float classes[2][3] = {{9, 0, 0}, {0, 9, 0}}, masks[2][2][2] = {{{9, -9}}};
    struct attempt attempt = {
        logits("\"size\": [3, 3], \"fuse\": \"stuff\""),
        tensor_value(3, (int64_t[]){1, 2, 3}, &classes[0][0]),
        tensor_value(4, (int64_t[]){1, 2, 2, 2}, &masks[0][0][0]),
    };
    assert_int_equal(segment_again(&attempt, NULL), 0); /* the stage stays open */
    stage_sweep(segment_again, &attempt);
    cr_value_unref(&attempt.classes);
    cr_value_unref(&attempt.masks);
    cr_pipeline_destroy(&attempt.pipeline);
}

/* The files of the model, and the pixels. */
static int open_again(void *user, struct cr_error *err)
{
    struct cr_pipeline *pipeline = NULL;
    struct cr_run *run = NULL;
    struct cr_image *image = NULL;
    struct cr_value *value = NULL;
    struct cr_report *report = cr_report_create();
    int result = report == NULL ? cr_fail(err, CR_ERR_MEMORY, "no report")
                                : cr_pipeline_parse(&pipeline, stage_registry(), user, strlen(user),
                                                    "test.json", NULL, 0, report, err);
    if (result == 0)
        result = cr_image_create(&image, (struct cr_size){3, 4}, err);
    if (result == 0)
        result = cr_value_from_image(&value, image, err);
    if (result == 0)
        result = cr_run_create(&run, pipeline, err);
    if (result == 0)
        result = cr_run_set_input(run, "image", value, err);
    if (result == 0)
        result = cr_run_want(run, "pixels", err);
    if (result == 0)
        result = cr_run_execute(run, err);
    cr_run_destroy(&run);
    cr_value_unref(&value);
    cr_image_unref(&image);
    cr_pipeline_destroy(&pipeline);
    cr_report_destroy(&report);
    return result;
}

static void faults_while_opening(void **state)
{
    (void)state;
    const char *folder =
        model_folder("faults", "{\"id2label\": {\"0\": \"wall\"}, \"num_queries\": 3}",
                     "{\"size\": {\"height\": 32, \"width\": 32}, \"image_mean\": [1, 1, 1]}");
    char text[8192];
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\"s\": {\"use\": "
             "\"segment-mask2former\", \"device\": \"cpu\", \"model\": \"%s\", \"prescale\": [9, "
             "9], \"labels\": [\"wall=wall-brick\"], \"in\": {\"image\": \"@image\"}}}, "
             "\"outputs\": {\"pixels\": \"s.pixels\"}}",
             folder);
    sweep_cjson();
    stage_sweep(open_again, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_the_recorded_ones),
        cmocka_unit_test(pixels_are_prescaled),
        cmocka_unit_test(preprocessing_is_read),
        cmocka_unit_test(segments_are_found),
        cmocka_unit_test(nothing_is_found),
        cmocka_unit_test(stuff_is_fused),
        cmocka_unit_test(ties_are_broken),
        cmocka_unit_test(overlap_is_compared),
        cmocka_unit_test(mask_threshold_is_reached),
        cmocka_unit_test(bands_do_not_show),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(labels_follow_names),
        cmocka_unit_test(batches_are_items),
        cmocka_unit_test(sizes_may_differ),
        cmocka_unit_test(only_what_is_wanted_is_computed),
        cmocka_unit_test(all_candidates_are_planned),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(bad_tensors_are_refused),
        cmocka_unit_test(faults_while_segmenting),
        cmocka_unit_test(faults_while_opening),
    };
    return cmocka_run_group_tests_name("segment_mask2former", tests, NULL, NULL);
}
