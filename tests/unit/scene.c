/* SPDX-License-Identifier: MIT */
/* The shipped scene is what its program draws: the annotation pixel by pixel, the photograph as
 * closely as JPEG keeps it. */
#include <crayon/memory.h>

#include "../../pipelines/scene/scene.h"
#include "test.h"

static struct scene scene;

static int draw(void **state)
{
    (void)state;
    scene_init(&scene);
    scene_draw(&scene);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    scene_finish(&scene);
    return 0;
}

static struct cr_image *load(const char *name)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    if (cr_image_load(&image, source_path(name), NULL, &err) < 0)
        fail_msg("%s", err.message);
    struct cr_size size = cr_image_size(image);
    assert_int_equal(size.height, SCENE_HEIGHT);
    assert_int_equal(size.width, SCENE_WIDTH);
    return image;
}

static void annotation_is_exact(void **state)
{
    (void)state;
    struct cr_image *committed = load("pipelines/scene/panoptic_scene/scene.png");
    struct cr_image *drawn = scene_annotation(&scene);
    const uint8_t *a = cr_image_pixels(committed), *b = cr_image_pixels(drawn);
    size_t different = 0;
    for (size_t i = 0; i < (size_t)SCENE_WIDTH * SCENE_HEIGHT; i++)
        different += memcmp(a + 3 * i, b + 3 * i, 3) != 0;
    assert_int_equal(different, 0);
    cr_image_unref(&committed);
    cr_image_unref(&drawn);
}

static void json_is_exact(void **state)
{
    (void)state;
    char *drawn = scene_json(&scene);
    char *committed = read_test_file(source_path("pipelines/scene/panoptic_scene.json"), NULL);
    assert_text("panoptic_scene.json", drawn, committed);
    cr_free(drawn);
}

/* Quality 92 costs under 3 steps of 255 on average (measured: 2.5; 4.6 in the worst block); a
 * changed picture costs more, in the block where it changed. */
static void photograph_is_close(void **state)
{
    (void)state;
    enum {
        BLOCK = 32
    };
    struct cr_image *committed = load("pipelines/scene/scene.jpg");
    struct cr_image *drawn = scene_photograph(&scene);
    const uint8_t *a = cr_image_pixels(committed), *b = cr_image_pixels(drawn);
    double total = 0, worst = 0;
    for (int top = 0; top < SCENE_HEIGHT; top += BLOCK)
        for (int left = 0; left < SCENE_WIDTH; left += BLOCK) {
            double sum = 0;
            for (int y = top; y < top + BLOCK; y++)
                for (int i = 3 * left; i < 3 * (left + BLOCK); i++)
                    sum += abs(a[y * 3 * SCENE_WIDTH + i] - b[y * 3 * SCENE_WIDTH + i]);
            total += sum;
            worst = sum > worst ? sum : worst;
        }
    double mean = total / (3.0 * SCENE_WIDTH * SCENE_HEIGHT);
    worst /= 3.0 * BLOCK * BLOCK;
    if (mean > 3 || worst > 10)
        fail_msg("scene.jpg differs from the drawing by %.2f on average, %.2f in one block; "
                 "after a change to the drawing, run \"make scene\"",
                 mean, worst);
    cr_image_unref(&committed);
    cr_image_unref(&drawn);
}

static void the_same_every_time(void **state)
{
    (void)state;
    struct scene again;
    scene_init(&again);
    scene_draw(&again);
    struct cr_image *first = scene_photograph(&scene), *second = scene_photograph(&again);
    size_t pixels = (size_t)SCENE_WIDTH * SCENE_HEIGHT;
    assert_memory_equal(cr_image_pixels(first), cr_image_pixels(second), 3 * pixels);
    assert_memory_equal(scene.ids, again.ids, pixels * sizeof *scene.ids);
    cr_image_unref(&first);
    cr_image_unref(&second);
    scene_finish(&again);
}

/* What makes the scene worth shipping: rich, and with the corner cases of real annotations. */
static void has_what_annotations_have(void **state)
{
    (void)state;
    int area[SCENE_SEGMENTS + 1] = {0}, crowds = 0, horses = 0, tiny = 0;
    for (size_t i = 0; i < (size_t)SCENE_WIDTH * SCENE_HEIGHT; i++)
        area[scene.ids[i]]++;
    assert_int_equal(area[0], 0); /* every pixel belongs to something */
    assert_in_range(scene.count, 14, SCENE_SEGMENTS);
    for (int i = 1; i <= scene.count; i++) {
        assert_true(area[i] > 0);
        crowds += scene.segments[i - 1].crowd;
        horses += scene.segments[i - 1].category_id == 19;
        tiny += area[i] < SCENE_WIDTH * SCENE_HEIGHT / 35 / 35; /* less than a cell of the grid */
    }
    assert_int_equal(crowds, 1);
    assert_int_equal(horses, 2);
    assert_in_range(tiny, 3, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotation_is_exact),       cmocka_unit_test(json_is_exact),
        cmocka_unit_test(photograph_is_close),       cmocka_unit_test(the_same_every_time),
        cmocka_unit_test(has_what_annotations_have),
    };
    return cmocka_run_group_tests(tests, draw, forget);
}
