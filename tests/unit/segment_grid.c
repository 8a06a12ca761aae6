/* SPDX-License-Identifier: MIT */
/* The stage segment-grid: its regions by the functions that the plugin is made of, and the plugin
 * itself in a pipeline. */
#include "../../plugins/segment-grid/regions.h"
#include "run_stage.h"

static const struct regions_options defaults = {24, 5, 0.001};

static uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void paint(struct cr_image *image, int32_t y0, int32_t x0, int32_t y1, int32_t x1,
                  uint32_t color)
{
    for (int32_t y = y0; y < y1; y++)
        for (int32_t x = x0; x < x1; x++) {
            uint8_t *p = cr_image_edit(image) + 3 * (y * cr_image_size(image).width + x);
            p[0] = (uint8_t)(color >> 16);
            p[1] = (uint8_t)(color >> 8);
            p[2] = (uint8_t)color;
        }
}

/* Add noise of up to `amount` steps to every sample. */
static void disturb(struct cr_image *image, int amount, uint32_t seed)
{
    struct cr_size size = cr_image_size(image);
    for (int32_t i = 0; i < size.height * size.width * 3; i++) {
        uint8_t *p = cr_image_edit(image) + i;
        int value = *p + (int)(next_number(&seed) % (2 * (uint32_t)amount + 1)) - amount;
        *p = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* Six flat fields of different sizes; the largest is blue, the smallest red. */
static struct cr_image *six_fields(void)
{
    struct cr_image *image = stage_image(90, 120, NULL);
    paint(image, 0, 0, 90, 120, 0x3d7a33);
    paint(image, 0, 0, 40, 120, 0x5b9bd8);
    paint(image, 50, 10, 80, 50, 0xd8c860);
    paint(image, 55, 70, 85, 95, 0x6a4630);
    paint(image, 5, 90, 20, 110, 0xf4f4ee);
    paint(image, 60, 100, 75, 110, 0xd02c28);
    return image;
}

/* ---- What has to hold for every picture ---- */

/* How many pixels hang together by sides with `start`, which are marked. */
static int32_t flood(const int32_t *labels, bool *marked, int32_t height, int32_t width,
                     int32_t start, int32_t *stack)
{
    int32_t count = 0, depth = 0;
    stack[depth++] = start;
    marked[start] = true;
    while (depth > 0) {
        int32_t i = stack[--depth], x = i % width, y = i / width;
        int32_t near[4] = {x > 0 ? i - 1 : -1, x + 1 < width ? i + 1 : -1, y > 0 ? i - width : -1,
                           y + 1 < height ? i + width : -1};
        count++;
        for (int k = 0; k < 4; k++)
            if (near[k] >= 0 && !marked[near[k]] && labels[near[k]] == labels[i]) {
                marked[near[k]] = true;
                stack[depth++] = near[k];
            }
    }
    return count;
}

/* Regions are 0..count-1, each one piece, none larger than the one before it. */
static void check_regions(const int32_t *labels, struct cr_size size, int32_t count, int32_t least)
{
    int32_t pixels = size.height * size.width;
    bool *marked = calloc((size_t)pixels, sizeof(*marked));
    int32_t *areas = calloc((size_t)count, sizeof(*areas));
    int32_t *stack = calloc((size_t)pixels, sizeof(*stack));
    assert_true(marked != NULL && areas != NULL && stack != NULL);
    for (int32_t i = 0; i < pixels; i++) {
        assert_in_range(labels[i], 0, count - 1);
        if (marked[i])
            continue;
        if (areas[labels[i]] != 0)
            fail_msg("region %d is in two pieces", labels[i]);
        areas[labels[i]] = flood(labels, marked, size.height, size.width, i, stack);
    }
    for (int32_t i = 0; i < count; i++) {
        assert_true(areas[i] > 0 && (count == 1 || areas[i] >= least));
        assert_true(i == 0 || areas[i] <= areas[i - 1]);
    }
    free(marked);
    free(areas);
    free(stack);
}

/* The regions of a picture; the caller frees them. */
static int32_t *find(const struct cr_image *image, const struct regions_options *options,
                     int32_t *count)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_size size = cr_image_size(image);
    size_t pixels = (size_t)size.height * (size_t)size.width;
    int32_t *labels = calloc(pixels, sizeof(*labels));
    assert_non_null(labels);
    if (regions_find(image, options, labels, count, &err) < 0)
        fail_msg("%s", err.message);
    check_regions(labels, size, *count, (int32_t)(options->min_area * (double)pixels));
    assert_true(*count <= options->most);
    return labels;
}

/* ---- Pictures whose regions are known ---- */

static void flat_picture_is_one_region(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{1, 1},   {1, 9},    {9, 1},   {2, 2},
                                       {40, 60}, {3, 2000}, {2000, 3}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct cr_image *image = stage_image(sizes[i][0], sizes[i][1], NULL);
        int32_t count = 0, *labels = find(image, &defaults, &count);
        assert_int_equal(count, 1);
        free(labels);
        cr_image_unref(&image);
    }
}

/* Edges are where they are, although the picture is smoothed: at any place, level or upright. */
static void two_colours_are_split_exactly(void **state)
{
    (void)state;
    static const uint32_t colors[][2] = {
        {0xff0000, 0x0000ff}, {0x3d7a33, 0x5b9bd8}, {0x000000, 0xffffff}, {0x808080, 0x9c9c9c}};
    for (size_t i = 0; i < COUNT(colors); i++)
        for (int32_t at = 4; at <= 56; at += 4) {
            struct cr_image *image = stage_image(60, 60, NULL);
            paint(image, 0, 0, 60, 60, colors[i][0]);
            if (at % 8 == 0)
                paint(image, at, 0, 60, 60, colors[i][1]);
            else
                paint(image, 0, at, 60, 60, colors[i][1]);
            int32_t count = 0, *labels = find(image, &defaults, &count);
            assert_int_equal(count, 2);
            for (int32_t p = 0; p < 3600; p++) {
                bool second = at % 8 == 0 ? p / 60 >= at : p % 60 >= at;
                /* With equal sizes the upper left one comes first. */
                bool larger = second ? at < 30 : at >= 30;
                if (labels[p] != (larger ? 0 : 1))
                    fail_msg("colours %zu, edge at %d: pixel (%d, %d) is on the wrong side", i, at,
                             p % 60, p / 60);
            }
            free(labels);
            cr_image_unref(&image);
        }
}

static void fields_are_found_through_noise(void **state)
{
    (void)state;
    /* In so small a picture, the default of min_area is a speck of 10 pixels. */
    static const struct regions_options options = {24, 5, 0.005};
    struct cr_image *clean = six_fields();
    int32_t count = 0, *expected = find(clean, &options, &count);
    assert_int_equal(count, 6);
    /* By size: the blue, then the green around the others, the red at last. */
    assert_int_equal(expected[0], 0);
    assert_int_equal(expected[45 * 120], 1);
    assert_int_equal(expected[70 * 120 + 105], 5);
    for (uint32_t seed = 1; seed <= 5; seed++) {
        struct cr_image *noisy = six_fields();
        disturb(noisy, 14, seed);
        int32_t found = 0, *labels = find(noisy, &options, &found), different = 0;
        assert_int_equal(found, 6);
        for (int32_t i = 0; i < 90 * 120; i++)
            different += labels[i] != expected[i];
        if (different > 108) /* 1 % */
            fail_msg("seed %u: %d of %d pixels are in the wrong region", seed, different, 90 * 120);
        free(labels);
        cr_image_unref(&noisy);
    }
    free(expected);
    cr_image_unref(&clean);
}

/* Neither around the sides, where one row ends and the next begins, nor across a corner. */
static void only_neighbours_are_joined(void **state)
{
    (void)state;
    struct cr_image *image = stage_image(40, 60, NULL);
    paint(image, 0, 0, 40, 20, 0x3d7a33);
    paint(image, 0, 45, 40, 60, 0x3d7a33);
    int32_t count = 0, *labels = find(image, &defaults, &count);
    assert_int_equal(count, 3);
    assert_int_equal(labels[30], 0); /* 25, 20 and 15 columns */
    assert_int_equal(labels[0], 1);
    assert_int_equal(labels[59], 2);
    free(labels);
    paint(image, 0, 0, 40, 60, 0x808080);
    paint(image, 0, 0, 20, 30, 0x3d7a33);
    paint(image, 20, 30, 40, 60, 0x3d7a33);
    labels = find(image, &defaults, &count);
    assert_int_equal(count, 4);
    free(labels);
    cr_image_unref(&image);
}

static void a_gradient_is_one_region(void **state)
{
    (void)state;
    struct cr_image *image = stage_image(100, 100, NULL);
    for (int32_t y = 0; y < 100; y++)
        paint(image, y, 0, y + 1, 100, 0x4080c0 + (uint32_t)y * 0x010100);
    paint(image, 60, 20, 90, 50, 0x202020);
    int32_t count = 0, *labels = find(image, &(struct regions_options){2, 5, 0.001}, &count);
    assert_int_equal(count, 2);
    assert_int_equal(labels[0], labels[99 * 100 + 99]);
    assert_int_equal(labels[75 * 100 + 35], 1);
    free(labels);
    cr_image_unref(&image);
}

static void options_do_what_they_say(void **state)
{
    (void)state;
    static const struct {
        struct regions_options options;
        int32_t count;
    } cases[] = {
        {{6, 0, 0.001}, 6},    {{4, 0, 0.001}, 4}, {{1, 0, 0.001}, 1},
        {{24, 100, 0.001}, 1}, {{24, 5, 0.02}, 5}, /* the red field has 1.4 % */
        {{24, 5, 0.3}, 2},     {{24, 5, 1}, 1},
    };
    struct cr_image *image = six_fields();
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t count = 0, *labels = find(image, &cases[i].options, &count);
        if (count != cases[i].count)
            fail_msg("row %zu: %d regions, expected %d", i, count, cases[i].count);
        free(labels);
    }
    cr_image_unref(&image);
}

/* Pure noise has no regions, but nothing may go wrong either, nor take long. */
static void noise_keeps_the_rules(void **state)
{
    (void)state;
    static const struct regions_options harsh = {4096, 0, 0};
    static const int32_t sizes[][2] = {{1, 1}, {1, 50}, {50, 1}, {31, 47}, {160, 200}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct cr_image *image = stage_image(sizes[i][0], sizes[i][1], NULL);
        disturb(image, 127, 7);
        int32_t count = 0, *labels = find(image, &defaults, &count);
        free(labels);
        labels = find(image, &harsh, &count);
        int32_t again = 0, *same = find(image, &harsh, &again);
        assert_int_equal(again, count);
        assert_memory_equal(labels, same, (size_t)(sizes[i][0] * sizes[i][1]) * sizeof(*labels));
        free(labels);
        free(same);
        cr_image_unref(&image);
    }
}

/* ---- The plugin ---- */

static struct cr_pipeline *pipeline_with(const char *options)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {\"image\": \"image\"}, \"stages\": {\"segment\": {"
             "\"use\": \"segment-grid\"%s, \"in\": {\"image\": \"@image\"}}},"
             " \"outputs\": {\"panoptic\": \"segment.panoptic\", \"grid\": \"segment.grid\"}}",
             options);
    return stage_parse(text);
}

static struct cr_run *segment(struct cr_pipeline *pipeline, struct cr_image *const *images,
                              size_t count, const char *const *outputs)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    if (stage_run(&run, pipeline, "image", stage_images(images, count), outputs, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

static const char *const both[] = {"panoptic", "grid", NULL};

static void assert_same_map(const struct cr_panoptic *a, const struct cr_panoptic *b)
{
    struct cr_size size = cr_panoptic_size(a);
    assert_int_equal(size.height, cr_panoptic_size(b).height);
    assert_int_equal(size.width, cr_panoptic_size(b).width);
    assert_int_equal(cr_panoptic_count(a), cr_panoptic_count(b));
    assert_memory_equal(cr_panoptic_ids(a), cr_panoptic_ids(b),
                        (size_t)size.height * (size_t)size.width * sizeof(int32_t));
}

static void plugin_lists_every_region(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = pipeline_with("");
    struct cr_image *image = six_fields();
    struct cr_run *run = segment(pipeline, &image, 1, both);
    const struct cr_panoptic *map = cr_value_panoptic(cr_run_output(run, "panoptic"), 0);
    const struct cr_panoptic *grid = cr_value_panoptic(cr_run_output(run, "grid"), 0);
    assert_int_equal(cr_panoptic_count(map), 6);
    for (size_t i = 0; i < 6; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(map, i);
        assert_int_equal(segment->id, i + 1);
        assert_int_equal(segment->original_id, i + 1);
        assert_int_equal(segment->label, CR_LABEL_UNKNOWN);
        assert_true(segment->score == 1 && !segment->crowd);
    }
    assert_int_equal(cr_panoptic_size(map).height, 90);
    assert_int_equal(cr_panoptic_size(map).width, 120);
    for (int32_t i = 0; i < 90 * 120; i++)
        assert_in_range(cr_panoptic_ids(map)[i], 1, 6);
    struct cr_error err = CR_ERROR_INIT;
    struct cr_panoptic *reduced = NULL;
    assert_int_equal(cr_panoptic_resize(&reduced, map, (struct cr_size){35, 35}, &err), 0);
    assert_same_map(grid, reduced);
    cr_panoptic_unref(&reduced);
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

static void sizes_are_options(void **state)
{
    (void)state;
    static const char *const one[] = {"panoptic", NULL};
    struct cr_pipeline *pipeline =
        pipeline_with(", \"size\": [33, 44], \"grid\": [2, 3], \"regions\": 3");
    struct cr_image *image = six_fields();
    struct cr_run *run = segment(pipeline, &image, 1, both);
    const struct cr_panoptic *map = cr_value_panoptic(cr_run_output(run, "panoptic"), 0);
    const struct cr_panoptic *grid = cr_value_panoptic(cr_run_output(run, "grid"), 0);
    assert_int_equal(cr_panoptic_size(map).height, 33);
    assert_int_equal(cr_panoptic_size(map).width, 44);
    assert_int_equal(cr_panoptic_size(grid).height, 2);
    assert_int_equal(cr_panoptic_size(grid).width, 3);
    assert_int_equal(cr_panoptic_count(map), 3);
    cr_run_destroy(&run);
    image = six_fields();
    run = segment(pipeline, &image, 1, one);
    assert_null(cr_run_output(run, "grid"));
    cr_run_destroy(&run);
    cr_pipeline_destroy(&pipeline);
}

/* Large ones are reduced: every pixel has a region all the same, and long ones keep both sides. */
static void large_and_long_pictures_work(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{1200, 1600}, {1, 65535}, {65535, 1}, {20, 40000}};
    struct cr_pipeline *pipeline = pipeline_with("");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        int32_t height = sizes[i][0], width = sizes[i][1];
        struct cr_image *image = stage_image(height, width, NULL);
        paint(image, 0, 0, (height + 1) / 2, width / 2, 0xc03020);
        struct cr_run *run = segment(pipeline, &image, 1, both);
        const struct cr_panoptic *map = cr_value_panoptic(cr_run_output(run, "panoptic"), 0);
        assert_int_equal(cr_panoptic_size(map).height, height);
        assert_int_equal(cr_panoptic_size(map).width, width);
        assert_int_equal(cr_panoptic_count(map), width == 1 ? 1 : 2);
        const int32_t *ids = cr_panoptic_ids(map);
        assert_int_equal(ids[0], width == 1 ? 1 : 2);
        assert_int_equal(ids[(size_t)height * (size_t)width - 1], 1);
        cr_run_destroy(&run);
    }
    cr_pipeline_destroy(&pipeline);
}

static void items_do_not_depend_on_each_other(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = pipeline_with("");
    struct cr_image *images[] = {six_fields(), stage_image(7, 5, NULL), six_fields()};
    disturb(images[0], 40, 3);
    struct cr_image *alone = cr_image_ref(images[0]);
    struct cr_run *batch = segment(pipeline, images, 3, both);
    struct cr_run *single = segment(pipeline, &alone, 1, both);
    for (size_t i = 0; both[i] != NULL; i++)
        assert_same_map(cr_value_panoptic(cr_run_output(batch, both[i]), 0),
                        cr_value_panoptic(cr_run_output(single, both[i]), 0));
    assert_int_equal(cr_panoptic_count(cr_value_panoptic(cr_run_output(batch, "panoptic"), 1)), 1);
    cr_run_destroy(&batch);
    cr_run_destroy(&single);
    cr_pipeline_destroy(&pipeline);
}

static int try_to_segment(void *user, struct cr_error *err)
{
    struct cr_run *run = NULL;
    struct cr_value *value = NULL;
    struct cr_pipeline *pipeline = user;
    struct cr_image *image = NULL;
    int result = cr_image_create(&image, (struct cr_size){6, 8}, err);
    if (result == 0)
        result = cr_value_from_image(&value, image, err);
    if (result == 0)
        result = cr_run_create(&run, pipeline, err);
    if (result == 0)
        result = cr_run_set_input(run, "image", value, err);
    if (result == 0)
        result = cr_run_want(run, "panoptic", err);
    if (result == 0)
        result = cr_run_want(run, "grid", err);
    if (result == 0)
        result = cr_run_execute(run, err);
    cr_run_destroy(&run);
    cr_value_unref(&value);
    cr_image_unref(&image);
    return result;
}

static void every_fault_is_reported(void **state)
{
    (void)state;
    struct cr_pipeline *pipeline = pipeline_with("");
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(try_to_segment(pipeline, &err), 0); /* opens the stage, which stays open */
    stage_sweep(try_to_segment, pipeline);
    cr_pipeline_destroy(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_picture_is_one_region),
        cmocka_unit_test(two_colours_are_split_exactly),
        cmocka_unit_test(fields_are_found_through_noise),
        cmocka_unit_test(only_neighbours_are_joined),
        cmocka_unit_test(a_gradient_is_one_region),
        cmocka_unit_test(options_do_what_they_say),
        cmocka_unit_test(noise_keeps_the_rules),
        cmocka_unit_test(plugin_lists_every_region),
        cmocka_unit_test(sizes_are_options),
        cmocka_unit_test(large_and_long_pictures_work),
        cmocka_unit_test(items_do_not_depend_on_each_other),
        cmocka_unit_test(every_fault_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
