/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>

#include <crayon/canvas.h>
#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static const struct cr_color black = {0, 0, 0, 255}, red = {255, 0, 0, 255};

static struct cr_canvas *make_canvas(int32_t height, int32_t width)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_canvas *canvas;
    assert_int_equal(cr_canvas_create(&canvas, NULL, (struct cr_size){height, width}, &err), 0);
    return canvas;
}

/* The picture; the canvas is gone. */
static struct cr_image *finish(struct cr_canvas *canvas)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    if (cr_canvas_finish(canvas, &image, &err) < 0)
        fail_msg("%s", err.message);
    cr_canvas_destroy(&canvas);
    return image;
}

static void assert_pixel(const struct cr_image *image, int32_t x, int32_t y, int r, int g, int b)
{
    const uint8_t *pixel = cr_image_pixels(image) + 3 * (y * cr_image_size(image).width + x);
    if (pixel[0] != r || pixel[1] != g || pixel[2] != b)
        fail_msg("pixel (%d, %d) is %d %d %d, not %d %d %d", x, y, pixel[0], pixel[1], pixel[2], r,
                 g, b);
}

/* Rows of '#' (black), '.' (white) and '+' (anything between). */
static void assert_drawing(const struct cr_image *image, const char *const *expected)
{
    struct cr_size size = cr_image_size(image);
    for (int32_t y = 0; y < size.height; y++)
        for (int32_t x = 0; x < size.width; x++) {
            int grey = cr_image_pixels(image)[3 * (y * size.width + x)];
            char got = grey == 0 ? '#' : grey == 255 ? '.' : '+';
            if (got != expected[y][x])
                fail_msg("pixel (%d, %d) is %d, not %c", x, y, grey, expected[y][x]);
        }
}

static void test_background(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = finish(make_canvas(2, 3));
    assert_int_equal(cr_image_size(image).height, 2);
    assert_int_equal(cr_image_size(image).width, 3);
    assert_null(cr_image_name(image));
    for (int32_t i = 0; i < 6; i++)
        assert_pixel(image, i % 3, i / 3, 255, 255, 255);
    for (int i = 0; i < 18; i++)
        cr_image_edit(image)[i] = (uint8_t)(i * 13);
    assert_int_equal(cr_image_set_name(image, "horse.png", &err), 0);
    struct cr_canvas *canvas;
    assert_int_equal(cr_canvas_create(&canvas, image, (struct cr_size){0, 0}, &err), 0);
    struct cr_image *copy = finish(canvas);
    assert_memory_equal(cr_image_pixels(copy), cr_image_pixels(image), 18);
    assert_string_equal(cr_image_name(copy), "horse.png");
    cr_image_unref(&copy);
    cr_image_unref(&image);
}

static void test_rectangles(void **unused)
{
    (void)unused;
    static const char *const filled[] = {"......", ".###..", ".###..", "......"};
    static const char *const stroked[] = {"....... ", ".#####. ", ".#...#. ", ".#####. ",
                                          "......."};
    static const char *const rounded[] = {"..........", ".+######+.", ".########.", ".########.",
                                          ".########.", ".+######+.", ".........."};
    struct cr_canvas *canvas = make_canvas(4, 6);
    cr_canvas_fill_rect(canvas, (struct cr_rect){1, 1, 3, 2}, 0, black);
    struct cr_image *image = finish(canvas);
    assert_drawing(image, filled);
    cr_image_unref(&image);

    canvas = make_canvas(5, 7);
    cr_canvas_stroke_rect(canvas, (struct cr_rect){1.5, 1.5, 4, 2}, 0, 1, black);
    image = finish(canvas);
    assert_drawing(image, stroked);
    cr_image_unref(&image);

    canvas = make_canvas(7, 10);
    cr_canvas_fill_rect(canvas, (struct cr_rect){1, 1, 8, 5}, 1, black);
    image = finish(canvas);
    assert_drawing(image, rounded);
    cr_image_unref(&image);
}

static void test_colors_and_cover(void **unused)
{
    (void)unused;
    struct cr_canvas *canvas = make_canvas(1, 4);
    cr_canvas_fill_rect(canvas, (struct cr_rect){0, 0, 1, 1}, 0,
                        (struct cr_color){10, 20, 30, 255});
    cr_canvas_fill_rect(canvas, (struct cr_rect){1, 0, 1, 1}, 0, (struct cr_color){255, 0, 0, 51});
    cr_canvas_fill_rect(canvas, (struct cr_rect){2, 0, 1, 1}, 0, (struct cr_color){9, 9, 9, 0});
    cr_canvas_fill_rect(canvas, (struct cr_rect){3.5, 0, 1, 1}, 0, black);
    struct cr_image *image = finish(canvas);
    assert_pixel(image, 0, 0, 10, 20, 30);
    assert_pixel(image, 1, 0, 255, 204, 204);
    assert_pixel(image, 2, 0, 255, 255, 255);
    assert_in_range(cr_image_pixels(image)[9], 126, 129); /* half a pixel */
    cr_image_unref(&image);
}

static void test_lines_polygons_circles(void **unused)
{
    (void)unused;
    static const char *const expected[] = {"........", ".######.", ".######.", "........"};
    static const double line[] = {2, 2, 6, 2}, square[] = {1, 1, 7, 1, 7, 3, 1, 3};
    struct cr_canvas *canvas = make_canvas(4, 8);
    cr_canvas_fill_polygon(canvas, square, 4, black);
    struct cr_image *image = finish(canvas);
    assert_drawing(image, expected);
    cr_image_unref(&image);

    canvas = make_canvas(4, 8);
    cr_canvas_stroke_line(canvas, line, 2, 2, black);
    cr_canvas_stroke_line(canvas, line, 0, 2, red); /* no points: nothing */
    image = finish(canvas);
    assert_pixel(image, 3, 1, 0, 0, 0);
    assert_pixel(image, 3, 2, 0, 0, 0);
    assert_pixel(image, 3, 0, 255, 255, 255);
    cr_image_unref(&image);

    canvas = make_canvas(40, 40);
    cr_canvas_fill_circle(canvas, 20, 20, 15, black);
    image = finish(canvas);
    double covered = 0;
    for (int i = 0; i < 1600; i++)
        covered += (255 - cr_image_pixels(image)[3 * i]) / 255.0;
    if (fabs(covered / (3.14159265 * 225) - 1) > 0.01)
        fail_msg("the circle covers %g pixels", covered);
    assert_pixel(image, 20, 6, 0, 0, 0);
    assert_pixel(image, 20, 4, 255, 255, 255);
    cr_image_unref(&image);
}

static void test_image(void **unused)
{
    (void)unused;
    struct cr_canvas *canvas = make_canvas(2, 2);
    cr_canvas_fill_rect(canvas, (struct cr_rect){0, 0, 2, 2}, 0, (struct cr_color){1, 2, 3, 255});
    struct cr_image *stamp = finish(canvas);
    canvas = make_canvas(4, 5);
    cr_canvas_image(canvas, stamp, 2, 1);
    cr_canvas_image(canvas, stamp, -1, 3); /* sticks out */
    cr_image_unref(&stamp);
    struct cr_image *image = finish(canvas);
    for (int32_t y = 0; y < 4; y++)
        for (int32_t x = 0; x < 5; x++) {
            bool inside = (x >= 2 && x < 4 && y >= 1 && y < 3) || (x == 0 && y == 3);
            assert_pixel(image, x, y, inside ? 1 : 255, inside ? 2 : 255, inside ? 3 : 255);
        }
    cr_image_unref(&image);
}

/* ---- Text ---- */

struct box {
    int32_t left, top, right, bottom; /* inclusive; left > right: nothing is drawn */
};

static struct box box_of(const struct cr_image *image)
{
    struct cr_size size = cr_image_size(image);
    struct box box = {size.width, size.height, -1, -1};
    for (int32_t y = 0; y < size.height; y++)
        for (int32_t x = 0; x < size.width; x++)
            if (cr_image_pixels(image)[3 * (y * size.width + x)] < 255) {
                box.left = x < box.left ? x : box.left;
                box.top = y < box.top ? y : box.top;
                box.right = x > box.right ? x : box.right;
                box.bottom = y > box.bottom ? y : box.bottom;
            }
    return box;
}

static struct cr_image *write_text(const char *text, double size, enum cr_weight weight)
{
    struct cr_canvas *canvas = make_canvas(100, 300);
    cr_canvas_text(canvas, text, 10, 60, size, weight, black);
    return finish(canvas);
}

static struct cr_text_extents measure(const char *text, double size, enum cr_weight weight)
{
    struct cr_text_extents extents;
    struct cr_canvas *canvas = make_canvas(1, 1);
    cr_canvas_measure(canvas, text, size, weight, &extents);
    struct cr_image *image = finish(canvas);
    cr_image_unref(&image);
    return extents;
}

/* From the font's own tables, in units of 1/2048 of its size. */
static void test_extents(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        enum cr_weight weight;
        int units;
    } cases[] = {
        {"", CR_WEIGHT_REGULAR, 0},
        {"H", CR_WEIGHT_REGULAR, 1540},
        {"HH", CR_WEIGHT_REGULAR, 3080},
        {"l", CR_WEIGHT_REGULAR, 569},
        {"H", CR_WEIGHT_BOLD, 1714},
        {"AV", CR_WEIGHT_REGULAR, 1401 + 1401 - 131}, /* kerned */
        {"\xC3\x84", CR_WEIGHT_REGULAR, 1401},        /* one letter of two bytes */
        {"\xE4\xB8\xAD", CR_WEIGHT_REGULAR, 1229},    /* not in the font: a box */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_text_extents extents = measure(cases[i].text, 32, cases[i].weight);
        if (fabs(extents.width * 64 - cases[i].units) > 0.001)
            fail_msg("\"%s\" is %g units wide, not %d", cases[i].text, extents.width * 64,
                     cases[i].units);
        assert_true(fabs(extents.ascent * 64 - 1901) < 0.001);
        assert_true(fabs(extents.descent * 64 - 483) < 0.001);
    }
    /* No rounding to pixels: labels are laid out alike at any size. */
    assert_true(fabs(measure("Horse", 10, CR_WEIGHT_BOLD).width * 4.4 -
                     measure("Horse", 44, CR_WEIGHT_BOLD).width) < 1e-9);
}

static void test_text_position(void **unused)
{
    (void)unused;
    struct cr_image *image = write_text("H", 64, CR_WEIGHT_REGULAR);
    struct box box = box_of(image); /* of the capital: 1493 high, from 201 to 1339 */
    assert_int_equal(box.left, 16);
    assert_int_equal(box.right, 51);
    assert_int_equal(box.top, 13);
    assert_int_equal(box.bottom, 59);
    cr_image_unref(&image);
    image = write_text("\xE4\xB8\xAD", 64, CR_WEIGHT_REGULAR); /* shows as a box */
    box = box_of(image);
    assert_true(box.right - box.left > 20 && box.bottom - box.top > 40);
    cr_image_unref(&image);
    image = write_text(" ", 64, CR_WEIGHT_REGULAR);
    assert_int_equal(box_of(image).right, -1);
    cr_image_unref(&image);
}

static void test_text_is_alike(void **unused)
{
    (void)unused;
    struct cr_image *first = write_text("#1 horse", 30, CR_WEIGHT_BOLD);
    struct cr_image *second = write_text("#1 horse", 30, CR_WEIGHT_BOLD);
    struct cr_image *regular = write_text("#1 horse", 30, CR_WEIGHT_REGULAR);
    size_t bytes = (size_t)3 * 100 * 300;
    assert_memory_equal(cr_image_pixels(first), cr_image_pixels(second), bytes);
    assert_memory_not_equal(cr_image_pixels(first), cr_image_pixels(regular), bytes);
    cr_image_unref(&first);
    cr_image_unref(&second);
    cr_image_unref(&regular);
}

/* Bytes that are no UTF-8 are drawn as the sign for that, and never read beyond the text. */
static void test_broken_text(void **unused)
{
    (void)unused;
    static const char *const cases[] = {"\xFF",     "\x80",         "\xC3",    "\xC0\xAF",
                                        "\xE4\xB8", "\xF0\x9F\x98", "\xF8\x88"};
    double sign = measure("\xEF\xBF\xBD", 32, CR_WEIGHT_REGULAR).width;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *copy = malloc(strlen(cases[i]) + 1);
        strcpy(copy, cases[i]);
        assert_true(fabs(measure(copy, 32, CR_WEIGHT_REGULAR).width - sign * (double)strlen(copy)) <
                    1e-9);
        free(copy);
    }
}

/* ---- Failures ---- */

static int no_files(enum cr_fault_kind kind, const void *site)
{
    (void)site;
    return kind == CR_FAULT_OTHER ? ENOENT : 0;
}

static void test_missing_font(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_text_extents extents;
    struct cr_image *image;
    struct cr_canvas *canvas = make_canvas(10, 10);
    cr_fault_set_hook(no_files);
    cr_canvas_text(canvas, "x", 1, 9, 9, CR_WEIGHT_BOLD, black);
    cr_fault_set_hook(NULL);
    cr_canvas_measure(canvas, "x", 9, CR_WEIGHT_REGULAR, &extents); /* the first failure stays */
    assert_true(extents.width == 0 && extents.ascent == 0 && extents.descent == 0);
    assert_int_equal(cr_canvas_finish(canvas, &image, &err), CR_ERR_NOT_FOUND);
    assert_null(image);
    const char start[] = "fonts/DejaVuSans-Bold.ttf is missing; it lies in the build tree or in /";
    assert_int_equal(strncmp(err.message, start, strlen(start)), 0);
    cr_canvas_destroy(&canvas);
    assert_null(canvas);
    cr_canvas_destroy(&canvas);
}

static void test_bad_numbers(void **unused)
{
    (void)unused;
    static const double numbers[] = {NAN, INFINITY, -INFINITY, 1e7, -1e7};
    for (size_t i = 0; i < COUNT(numbers); i++)
        for (int shape = 0; shape < 4; shape++) {
            struct cr_error err = CR_ERROR_INIT;
            struct cr_image *image;
            struct cr_canvas *canvas = make_canvas(4, 4);
            double points[] = {0, 0, 1, numbers[i]};
            if (shape == 0)
                cr_canvas_fill_rect(canvas, (struct cr_rect){0, 0, numbers[i], 1}, 0, red);
            else if (shape == 1)
                cr_canvas_stroke_line(canvas, points, 2, 1, red);
            else if (shape == 2)
                cr_canvas_fill_circle(canvas, 1, 1, numbers[i], red);
            else
                cr_canvas_text(canvas, "x", 1, 1, numbers[i], CR_WEIGHT_BOLD, red);
            assert_int_equal(cr_canvas_finish(canvas, &image, &err), CR_ERR_ARGUMENT);
            assert_non_null(strstr(err.message, "drawing with the coordinate "));
            cr_canvas_destroy(&canvas);
        }
}

static void test_size_limits(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_canvas *canvas;
    assert_int_equal(cr_canvas_create(&canvas, NULL, (struct cr_size){0, 5}, &err), CR_ERR_LIMIT);
    assert_null(canvas);
    assert_int_equal(cr_canvas_create(&canvas, NULL, (struct cr_size){1, 32768}, &err),
                     CR_ERR_LIMIT);
    assert_text("cairo's side", err.message,
                "a canvas of 1 x 32768 (height x width): sides are 1..32767");
    struct cr_image *image = finish(make_canvas(1, 32767));
    cr_image_unref(&image);
}

static int draw_once(void *user, struct cr_error *err)
{
    struct cr_image *image = NULL;
    struct cr_canvas *canvas;
    int result = cr_canvas_create(&canvas, user, (struct cr_size){0, 0}, err);
    if (result < 0)
        return result;
    cr_canvas_image(canvas, user, 3, 3);
    cr_canvas_text(canvas, "#1 horse", 1, 9, 9, CR_WEIGHT_BOLD, black);
    cr_canvas_text(canvas, "#1 horse", 1, 9, 9, CR_WEIGHT_REGULAR, black);
    result = cr_canvas_finish(canvas, &image, err);
    cr_canvas_destroy(&canvas);
    cr_image_unref(&image);
    return result;
}

static void test_faults(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = finish(make_canvas(10, 10));
    assert_int_equal(cr_image_set_name(image, "horse.png", &err), 0);
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, draw_once, NULL, image) > 20);
    assert_true(sweep_faults(CR_FAULT_OPEN, EMFILE, draw_once, NULL, image) >= 2);
    assert_true(sweep_faults(CR_FAULT_READ, EIO, draw_once, NULL, image) >= 2);
    cr_image_unref(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_background),
        cmocka_unit_test(test_rectangles),
        cmocka_unit_test(test_colors_and_cover),
        cmocka_unit_test(test_lines_polygons_circles),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_text_position),
        cmocka_unit_test(test_text_is_alike),
        cmocka_unit_test(test_broken_text),
        cmocka_unit_test(test_missing_font),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("canvas", tests, NULL, NULL);
}
