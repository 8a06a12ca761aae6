/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/image.h>
#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static struct cr_image *make_image(int32_t height, int32_t width)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    assert_int_equal(cr_image_create(&image, (struct cr_size){height, width}, &err), 0);
    uint8_t *pixels = cr_image_edit(image);
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++, pixels += 3) {
            pixels[0] = (uint8_t)(2 * x + y);
            pixels[1] = (uint8_t)(255 - 2 * y);
            pixels[2] = (uint8_t)(x / 8 % 2 * 200);
        }
    return image;
}

static size_t pixel_bytes(const struct cr_image *image)
{
    return 3 * (size_t)cr_image_size(image).height * (size_t)cr_image_size(image).width;
}

static void test_png_is_exact(void **unused)
{
    (void)unused;
    static const int32_t sides[][2] = {{1, 1}, {1, 65535}, {65535, 1}, {37, 53}};
    for (size_t i = 0; i < COUNT(sides); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_image *image = make_image(sides[i][0], sides[i][1]), *again;
        void *data, *second;
        size_t size, second_size;
        assert_int_equal(cr_image_encode(image, "png", &data, &size, &err), 0);
        assert_int_equal(cr_image_decode(&again, data, size, "x", NULL, &err), 0);
        assert_int_equal(cr_image_size(again).height, sides[i][0]);
        assert_int_equal(cr_image_size(again).width, sides[i][1]);
        assert_memory_equal(cr_image_pixels(again), cr_image_pixels(image), pixel_bytes(image));
        assert_int_equal(cr_image_encode(again, "png", &second, &second_size, &err), 0);
        assert_int_equal(size, second_size);
        assert_memory_equal(data, second, size);
        cr_free(data);
        cr_free(second);
        cr_image_unref(&image);
        cr_image_unref(&again);
    }
}

/* The bytes behind the marker FF C0: 8 bits, height, width, 3 channels, of 1 x 1 samples each. */
static void check_sampling(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 19 <= size; i++)
        if (data[i] == 0xFF && data[i + 1] == 0xC0) {
            assert_int_equal(data[i + 9], 3);
            for (int c = 0; c < 3; c++)
                assert_int_equal(data[i + 11 + (size_t)(3 * c)], 0x11);
            return;
        }
    fail_msg("no frame header");
}

static void test_jpeg_is_close(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = make_image(64, 80), *again;
    void *data;
    size_t size;
    assert_int_equal(cr_image_encode(image, "jpeg", &data, &size, &err), 0);
    check_sampling(data, size);
    assert_int_equal(cr_image_decode(&again, data, size, "x", NULL, &err), 0);
    assert_int_equal(cr_image_size(again).height, 64);
    for (size_t i = 0; i < pixel_bytes(image); i++)
        assert_in_range(cr_image_pixels(again)[i] + 24 - cr_image_pixels(image)[i], 0, 48);
    cr_free(data);
    cr_image_unref(&again);
    cr_image_unref(&image);
}

static void test_unknown_format(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = make_image(1, 1);
    void *data;
    size_t size;
    assert_int_equal(cr_image_encode(image, "gif", &data, &size, &err), CR_ERR_ARGUMENT);
    assert_text("format", err.message,
                "\"gif\" is no format that pictures are written in; use \"png\" or \"jpeg\"");
    assert_int_equal(cr_image_save(image, "folder.png/x.gif", &err), CR_ERR_ARGUMENT);
    assert_text("suffix", err.message,
                "folder.png/x.gif: pictures are written as PNG or JPEG; let the name end in .png, "
                ".jpg or .jpeg");
    assert_int_equal(cr_image_save(image, "folder.png/x", &err), CR_ERR_ARGUMENT);
    cr_image_unref(&image);
}

/* libjpeg's own limit is a little lower than that of pictures here. */
static void test_jpeg_side(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = make_image(1, 65535);
    const char *path = scratch("wide.jpg");
    assert_int_equal(cr_image_save(image, path, &err), CR_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "wide.jpg: the JPEG picture cannot be written: "));
    cr_image_unref(&image);
}

static void test_save(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *start;
    } cases[] = {{"a.png", "\x89PNG"},
                 {"a.PNG", "\x89PNG"},
                 {"b.jpg", "\xFF\xD8\xFF"},
                 {"b.JPeG", "\xFF\xD8\xFF"}};
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = make_image(20, 30), *again;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *path = scratch(cases[i].name);
        assert_int_equal(cr_image_save(image, path, &err), 0);
        size_t size;
        const char *data = read_test_file(path, &size);
        assert_true(size > 4 && strncmp(data, cases[i].start, strlen(cases[i].start)) == 0);
        assert_int_equal(cr_image_load(&again, path, NULL, &err), 0);
        assert_string_equal(cr_image_name(again), path);
        cr_image_unref(&again);
    }
    cr_image_unref(&image);
}

struct saving {
    struct cr_image *image;
    const char *path;
};

static int save_once(void *user, struct cr_error *err)
{
    struct saving *saving = user;
    return cr_image_save(saving->image, saving->path, err);
}

/* The file is the old one or the new one, and nothing lies beside it. */
static void check_file(void *user, int result)
{
    struct saving *saving = user;
    size_t size;
    const char *data = read_test_file(saving->path, &size);
    assert_true(result < 0 ? strcmp(data, "old") == 0 : size > 3);
    write_test_text(saving->path, "old");
}

static void test_faults(void **unused)
{
    (void)unused;
    static const char *const names[] = {"old.png", "old.jpg"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct saving saving = {make_image(40, 50), scratch(names[i])};
        write_test_text(saving.path, "old");
        size_t files = count_files(test_folder());
        assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, save_once, check_file, &saving) > 2);
        assert_true(sweep_faults(CR_FAULT_WRITE, ENOSPC, save_once, check_file, &saving) > 0);
        assert_true(sweep_faults(CR_FAULT_SYNC, EIO, save_once, NULL, &saving) > 0);
        assert_true(sweep_faults(CR_FAULT_RENAME, EACCES, save_once, NULL, &saving) > 0);
        assert_int_equal(count_files(test_folder()), files);
        cr_image_unref(&saving.image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_is_exact),   cmocka_unit_test(test_jpeg_is_close),
        cmocka_unit_test(test_unknown_format), cmocka_unit_test(test_jpeg_side),
        cmocka_unit_test(test_save),           cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
