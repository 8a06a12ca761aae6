/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/image.h>
#include <crayon/memory.h>

#include "fault_sweep.h"
#include "media/decode.h"
#include "pictures.h"
#include "safetensors.h"
#include "test.h"

static uint32_t seed = 1;

static uint32_t noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 16;
}

static int decode(struct cr_image **image, const struct bytes *bytes, struct cr_error *err)
{
    return cr_image_decode(image, bytes->data, bytes->size, "x.png", NULL, err);
}

static struct cr_image *decode_well(const struct bytes *bytes)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    if (decode(&image, bytes, &err) < 0)
        fail_msg("%s", err.message);
    return image;
}

/* ---- All kinds of PNG ---- */

#define WIDTH 13
#define HEIGHT 11

static const uint8_t (*make_palette(void))[3]
{
    static uint8_t palette[256][3];
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++)
            palette[i][c] = (uint8_t)(i * (c + 3) + 40 * c);
    return (const uint8_t(*)[3])palette;
}

static int to_8_bits(int sample, int bits)
{
    int most = (1 << bits) - 1;
    return (int)((2.0 * 255 * sample / most + 1) / 2);
}

/* What a pixel must become, worked out from the samples alone. */
static void expected_pixel(const struct png_recipe *recipe, const uint16_t *samples, int rgb[3])
{
    int channels = png_channels(recipe->color), alpha = 255;
    bool colors = recipe->color == 2 || recipe->color == 6;
    for (int c = 0; c < 3; c++)
        rgb[c] = recipe->color == 3 ? recipe->palette[samples[0]][c]
                                    : to_8_bits(samples[colors ? c : 0], recipe->bits);
    if (recipe->color >= 4)
        alpha = to_8_bits(samples[channels - 1], recipe->bits);
    if (recipe->color == 3 && samples[0] < recipe->transparent_count)
        alpha = recipe->alphas[samples[0]];
    if (recipe->transparent != NULL &&
        memcmp(samples, recipe->transparent, sizeof(*samples) * (size_t)channels) == 0)
        alpha = 0;
    for (int c = 0; c < 3; c++)
        rgb[c] = (int)((rgb[c] * alpha + 255 * (255 - alpha)) / 255.0 + 0.5);
}

static void check_png(const struct png_recipe *recipe)
{
    struct bytes bytes = make_png(recipe);
    struct cr_image *image = decode_well(&bytes);
    assert_int_equal(cr_image_size(image).height, HEIGHT);
    assert_int_equal(cr_image_size(image).width, WIDTH);
    assert_string_equal(cr_image_name(image), "x.png");
    const uint8_t *pixels = cr_image_pixels(image);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        int rgb[3];
        expected_pixel(recipe, recipe->samples + i * png_channels(recipe->color), rgb);
        for (int c = 0; c < 3; c++)
            if (pixels[3 * i + c] != rgb[c])
                fail_msg("colour type %d, %d bits%s%s: pixel %d, channel %d is %d, not %d",
                         recipe->color, recipe->bits, recipe->interlaced ? ", interlaced" : "",
                         recipe->transparent_count > 0 ? ", transparent" : "", i, c,
                         pixels[3 * i + c], rgb[c]);
    }
    cr_image_unref(&image);
    free_bytes(&bytes);
}

static void test_png_kinds(void **unused)
{
    (void)unused;
    static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                   {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    static const uint8_t alphas[] = {0, 128, 255, 77};
    uint16_t samples[4 * WIDTH * HEIGHT];
    for (size_t i = 0; i < 4 * COUNT(kinds); i++) {
        struct png_recipe recipe = {.width = WIDTH,
                                    .height = HEIGHT,
                                    .bits = kinds[i / 4][1],
                                    .color = kinds[i / 4][0],
                                    .interlaced = i % 2 == 1,
                                    .samples = samples,
                                    .palette = make_palette()};
        for (size_t j = 0; j < COUNT(samples); j++)
            samples[j] = (uint16_t)(noise() % (1u << recipe.bits));
        bool transparent = i % 4 >= 2;
        if (transparent && recipe.color == 3) {
            recipe.alphas = alphas;
            recipe.transparent_count = recipe.bits == 1 ? 2 : 4;
        } else if (transparent && recipe.color < 3) {
            recipe.transparent = samples;
        }
        check_png(&recipe);
    }
}

/* Colour profiles that are not well formed are common and change nothing here. */
static void test_ignored_chunks(void **unused)
{
    (void)unused;
    uint16_t samples[WIDTH * HEIGHT] = {0};
    check_png(&(struct png_recipe){
        .width = WIDTH, .height = HEIGHT, .bits = 8, .samples = samples, .broken_profile = true});
}

/* ---- JPEG ---- */

static void fill_gradient(uint8_t *samples, int width, int height, int channels)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                *samples++ = (uint8_t)(20 + 3 * x + 2 * y + 40 * c);
}

static void test_jpeg_kinds(void **unused)
{
    (void)unused;
    static const struct {
        enum jpeg_kind kind;
        bool progressive;
    } kinds[] = {{JPEG_GREY, false}, {JPEG_GREY, true}, {JPEG_COLOR, false}, {JPEG_COLOR, true}};
    uint8_t samples[3 * 37 * 21];
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int channels = kinds[i].kind == JPEG_GREY ? 1 : 3;
        fill_gradient(samples, 37, 21, channels);
        struct bytes bytes = make_jpeg(&(struct jpeg_recipe){.width = 37,
                                                             .height = 21,
                                                             .kind = kinds[i].kind,
                                                             .progressive = kinds[i].progressive,
                                                             .samples = samples});
        struct cr_image *image = decode_well(&bytes);
        assert_int_equal(cr_image_size(image).height, 21);
        assert_int_equal(cr_image_size(image).width, 37);
        for (int j = 0; j < 37 * 21; j++)
            for (int c = 0; c < 3; c++)
                assert_in_range(cr_image_pixels(image)[3 * j + c] + 8 -
                                    samples[channels * j + c % channels],
                                0, 16);
        cr_image_unref(&image);
        free_bytes(&bytes);
    }
}

static void test_jpeg_cmyk(void **unused)
{
    (void)unused;
    uint8_t samples[4 * 64] = {0};
    struct bytes bytes = make_jpeg(
        &(struct jpeg_recipe){.width = 8, .height = 8, .kind = JPEG_CMYK, .samples = samples});
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    assert_int_equal(decode(&image, &bytes, &err), CR_ERR_UNSUPPORTED);
    assert_string_equal(err.message,
                        "x.png: a JPEG picture in CMYK, for printing; convert it to RGB");
    free_bytes(&bytes);
}

/* ---- Orientation ---- */

/* How the rows ABC, DEF have to look when a file states orientation 1, 2, ... 8. */
static const struct {
    int height, width;
    const char *letters;
} upright[] = {{2, 3, "ABCDEF"}, {2, 3, "CBAFED"}, {2, 3, "FEDCBA"}, {2, 3, "DEFABC"},
               {3, 2, "ADBECF"}, {3, 2, "DAEBFC"}, {3, 2, "FCEBDA"}, {3, 2, "CFBEAD"}};

/* Each letter stands for a square of `side` pixels of one grey. */
static void check_orientation(const struct bytes *bytes, int orientation, int side)
{
    struct cr_image *image = decode_well(bytes);
    int height = upright[orientation - 1].height, width = upright[orientation - 1].width;
    const char *letters = upright[orientation - 1].letters;
    assert_int_equal(cr_image_size(image).height, height * side);
    assert_int_equal(cr_image_size(image).width, width * side);
    assert_string_equal(cr_image_name(image), "x.png");
    char got[7] = "";
    for (int i = 0; i < 6; i++) {
        int y = i / width * side + side / 2, x = i % width * side + side / 2;
        got[i] = (char)('A' + (cr_image_pixels(image)[3 * (y * width * side + x)] + 20) / 40 - 1);
    }
    assert_text(letters, got, letters);
    cr_image_unref(&image);
}

static void test_orientation(void **unused)
{
    (void)unused;
    static const uint16_t samples[] = {40, 80, 120, 160, 200, 240};
    uint8_t squares[16 * 24];
    for (int i = 0; i < 16 * 24; i++)
        squares[i] = (uint8_t)samples[i / 24 / 8 * 3 + i % 24 / 8];
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct bytes png = make_png(&(struct png_recipe){
            .width = 3, .height = 2, .bits = 8, .samples = samples, .orientation = orientation});
        check_orientation(&png, orientation, 1);
        free_bytes(&png);
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            struct bytes jpeg = make_jpeg(&(struct jpeg_recipe){.width = 24,
                                                                .height = 16,
                                                                .kind = JPEG_GREY,
                                                                .samples = squares,
                                                                .orientation = orientation,
                                                                .big_endian = big_endian});
            check_orientation(&jpeg, orientation, 8);
            free_bytes(&jpeg);
        }
    }
}

static void test_broken_exif(void **unused)
{
    (void)unused;
    static const struct {
        const char *what, *data;
        size_t size;
        int orientation;
    } cases[] = {
        {"nothing", "", 0, 1},
        {"other bytes", "abcdefghijklmnopqrstuvwxyz", 26, 1},
        {"an offset beyond the end", "II*\0\xFF\xFF\xFF\xFF\0\0\0\0", 12, 1},
        {"a cut directory", "II*\0\x08\0\0\0\x02\0\x12\x01\x03\0", 14, 1},
        {"a number out of range", "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0", 22, 1},
        {"the wrong type", "II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x03\0\0\0", 22, 1},
        {"the second entry",
         "MM\0*\0\0\0\x08\0\x02\x01\x0F\0\x02\0\0\0\0\0\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
         34, 6},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (cr_exif_orientation((const uint8_t *)cases[i].data, cases[i].size) !=
            cases[i].orientation)
            fail_msg("%s", cases[i].what);
}

/* ---- Damaged files ---- */

static struct bytes small_png(void)
{
    uint16_t samples[3 * WIDTH * HEIGHT];
    for (size_t i = 0; i < COUNT(samples); i++)
        samples[i] = (uint16_t)(noise() & 0xFF);
    return make_png(&(struct png_recipe){.width = WIDTH,
                                         .height = HEIGHT,
                                         .bits = 8,
                                         .color = 2,
                                         .samples = samples,
                                         .orientation = 6});
}

static struct bytes small_jpeg(bool progressive)
{
    uint8_t samples[3 * 24 * 16];
    fill_gradient(samples, 24, 16, 3);
    return make_jpeg(&(struct jpeg_recipe){.width = 24,
                                           .height = 16,
                                           .kind = JPEG_COLOR,
                                           .progressive = progressive,
                                           .samples = samples,
                                           .orientation = 6});
}

/* Memory of exactly the right size, so that a sanitizer sees the first byte that is read beyond. */
static int decode_copy(const uint8_t *data, size_t size, const char *what, size_t at)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    int64_t live = cr_memory_live();
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    int result = cr_image_decode(&image, copy, size, "x.png", NULL, &err);
    free(copy);
    if ((result == 0) != (image != NULL) || result != err.code)
        fail_msg("%s at %zu: result %d, code %d", what, at, result, err.code);
    if (result < 0 && strncmp(err.message, "x.png: ", 7) != 0)
        fail_msg("%s at %zu: \"%s\"", what, at, err.message);
    cr_image_unref(&image);
    if (cr_memory_live() != live)
        fail_msg("%s at %zu: memory is left", what, at);
    return result;
}

static void test_damage(void **unused)
{
    (void)unused;
    for (int kind = 0; kind < 3; kind++) {
        struct bytes bytes = kind == 0 ? small_png() : small_jpeg(kind == 2);
        assert_int_equal(decode_copy(bytes.data, bytes.size, "whole", 0), 0);
        for (size_t size = 0; size < bytes.size; size++)
            if (decode_copy(bytes.data, size, "cut off", size) == 0)
                fail_msg("kind %d cut off at %zu of %zu bytes is read", kind, size, bytes.size);
        for (size_t at = 0; at < bytes.size; at++)
            for (int bit = 0; bit < 9; bit++) {
                uint8_t before = bytes.data[at];
                bytes.data[at] ^= (uint8_t)(bit == 8 ? 0xFF : 1 << bit);
                int result = decode_copy(bytes.data, bytes.size, "flipped", at);
                bytes.data[at] = before;
                if (kind == 0 && result == 0)
                    fail_msg("PNG with byte %zu flipped is read", at);
            }
        free_bytes(&bytes);
    }
}

static void test_damage_is_located(void **unused)
{
    (void)unused;
    static uint16_t samples[100 * 200];
    for (size_t i = 0; i < COUNT(samples); i++)
        samples[i] = (uint16_t)(noise() & 0xFF);
    struct bytes bytes =
        make_png(&(struct png_recipe){.width = 200, .height = 100, .bits = 8, .samples = samples});
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    bytes.size /= 2;
    assert_int_equal(decode(&image, &bytes, &err), CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "x.png: the PNG picture is damaged in row "));
    assert_non_null(strstr(err.message, " of 100: the file ends too early; fetch it again"));
    free_bytes(&bytes);
    bytes = small_jpeg(false);
    bytes.size -= 40;
    assert_int_equal(decode(&image, &bytes, &err), CR_ERR_FORMAT);
    assert_text("cut JPEG", err.message,
                "x.png: the JPEG picture is damaged: Premature end of JPEG file; fetch it again");
    free_bytes(&bytes);
}

/* ---- Limits ---- */

/* The first 33 bytes of a PNG file, and 67 more. */
static struct bytes lying_png(uint32_t width, uint32_t height, uint8_t data[100])
{
    uint16_t sample = 0;
    struct bytes bytes =
        make_png(&(struct png_recipe){.width = 1, .height = 1, .bits = 8, .samples = &sample});
    memset(data, 0, 100);
    memcpy(data, bytes.data, bytes.size < 100 ? bytes.size : 100);
    free_bytes(&bytes);
    for (int i = 0; i < 4; i++) {
        data[16 + i] = (uint8_t)(width >> (24 - 8 * i));
        data[20 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    return (struct bytes){data, 100};
}

static void test_lies_cost_nothing(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t width, height;
        int code;
        const char *message;
    } cases[] = {
        {60000, 60000, CR_ERR_LIMIT, "x.png: 60000 x 60000 pixels exceed the limit of 67108864"},
        {0xFFFFFFFF, 0xFFFFFFFF, CR_ERR_LIMIT,
         "x.png: 4294967295 x 4294967295 pixels exceed the limit of 67108864"},
        {65536, 1, CR_ERR_LIMIT,
         "x.png: 65536 x 1 pixels: sides go up to 65535, pictures up to 268435456 pixels"},
        {0, 5, CR_ERR_FORMAT, "x.png: the picture has no pixels (0 x 5)"},
        {8000, 8000, CR_ERR_FORMAT,
         "x.png: the PNG picture is damaged: 100 bytes cannot hold 8000 x 8000 pixels; fetch it "
         "again"},
    };
    uint8_t data[100];
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes bytes = lying_png(cases[i].width, cases[i].height, data);
        struct cr_error err = CR_ERROR_INIT;
        struct cr_image *image;
        sweep_arm(CR_FAULT_ALLOC, ENOMEM, 1);
        int result = decode(&image, &bytes, &err);
        assert_false(sweep_disarm()); /* nothing was allocated */
        assert_int_equal(result, cases[i].code);
        assert_text("lying PNG", err.message, cases[i].message);
    }
}

static void test_limits(void **unused)
{
    (void)unused;
    struct bytes bytes = small_jpeg(true);
    struct cr_image *image;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image_limits limits = {.max_pixels = 24 * 16, .max_scans = 10};
    limits.max_bytes = bytes.size;
    assert_int_equal(cr_image_decode(&image, bytes.data, bytes.size, "x.jpg", &limits, &err), 0);
    cr_image_unref(&image);
    for (limits.max_scans = 9; limits.max_scans >= 5; limits.max_scans--) {
        sweep_arm(CR_FAULT_ALLOC, ENOMEM, 1);
        int result = cr_image_decode(&image, bytes.data, bytes.size, "x.jpg", &limits, &err);
        assert_false(sweep_disarm()); /* nothing was allocated */
        assert_int_equal(result, CR_ERR_LIMIT);
    }
    limits.max_scans = 5;
    assert_int_equal(cr_image_decode(&image, bytes.data, bytes.size, "x.jpg", &limits, &err),
                     CR_ERR_LIMIT);
    assert_text("scans", err.message,
                "x.jpg: the JPEG picture has more than 5 scans, which would take very long; raise "
                "the limit with \"max_scans\"");
    limits.max_pixels--;
    assert_int_equal(cr_image_decode(&image, bytes.data, bytes.size, "x.jpg", &limits, &err),
                     CR_ERR_LIMIT);
    assert_text("pixels", err.message,
                "x.jpg: 24 x 16 pixels exceed the limit of 383; raise it with \"max_pixels\"");
    limits.max_bytes--;
    assert_int_equal(cr_image_decode(&image, bytes.data, bytes.size, "x.jpg", &limits, &err),
                     CR_ERR_LIMIT);
    const char *path = scratch("large.jpg");
    write_test_file(path, bytes.data, bytes.size);
    assert_int_equal(cr_image_load(&image, path, &limits, &err), CR_ERR_LIMIT);
    assert_null(image);
    free_bytes(&bytes);
}

/* Nothing but pixels takes much of a PNG. */
static void test_chunk_limit(void **unused)
{
    (void)unused;
    struct bytes bytes = small_png();
    struct cr_image *image;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image_limits limits = {.max_chunk = 13};
    uint8_t *longer = cr_calloc(1, bytes.size + 12 + (9 << 20));
    size_t header = 33, text = 12 + (9 << 20);
    memcpy(longer, bytes.data, header);
    memcpy(longer + header, "\x00\x90\x00\x00tEXt", 8); /* 9 MiB */
    memcpy(longer + header + text, bytes.data + header, bytes.size - header);
    assert_int_equal(cr_image_decode(&image, longer, bytes.size + text, "x.png", NULL, &err),
                     CR_ERR_LIMIT);
    assert_text("chunk", err.message,
                "x.png: byte 33: a chunk of 9437184 bytes exceeds the limit of 8388608");
    assert_int_equal(cr_image_decode(&image, bytes.data, bytes.size, "x.png", &limits, &err),
                     CR_ERR_LIMIT); /* its EXIF data */
    limits.max_chunk = 60;
    assert_int_equal(cr_image_decode(&image, bytes.data, bytes.size, "x.png", &limits, &err), 0);
    cr_image_unref(&image);
    cr_free(longer);
    free_bytes(&bytes);
}

/* ---- Other formats ---- */

static const struct {
    const char *data;
    size_t size;
    int code;
    const char *message;
} others[] = {
    {"", 0, CR_ERR_FORMAT, "empty file; a PNG or JPEG picture is needed here"},
    {"GIF89a\x01\0\x01", 9, CR_ERR_UNSUPPORTED,
     "a GIF picture, which is not read here; convert it to PNG or JPEG"},
    {"RIFF\x24\0\0\0WEBPVP8 ", 16, CR_ERR_UNSUPPORTED,
     "a WebP picture, which is not read here; convert it to PNG or JPEG"},
    {"\0\0\0\x18"
     "ftypheic\0\0\0\0",
     16, CR_ERR_UNSUPPORTED, "a HEIC picture, which is not read here; convert it to PNG or JPEG"},
    {"\0\0\0\x18"
     "ftypavif\0\0\0\0",
     16, CR_ERR_UNSUPPORTED, "an AVIF picture, which is not read here; convert it to PNG or JPEG"},
    {"\0\0\0\x18"
     "ftypmp42\0\0\0\0",
     16, CR_ERR_UNSUPPORTED, "a video, which is not read here; convert it to PNG or JPEG"},
    {"II*\0\x08\0\0\0", 8, CR_ERR_UNSUPPORTED,
     "a TIFF picture, which is not read here; convert it to PNG or JPEG"},
    {"MM\0*\0\0\0\x08", 8, CR_ERR_UNSUPPORTED,
     "a TIFF picture, which is not read here; convert it to PNG or JPEG"},
    {"MM\0+\0\x08\0\0", 8, CR_ERR_UNSUPPORTED,
     "a TIFF picture, which is not read here; convert it to PNG or JPEG"},
    {"\0\0\1\0\1\0", 6, CR_ERR_UNSUPPORTED,
     "an icon, which is not read here; convert it to PNG or JPEG"},
    {"P6\n4 4\n255\n", 11, CR_ERR_UNSUPPORTED,
     "a PPM picture, which is not read here; convert it to PNG or JPEG"},
    {"qoif\0\0\0\4", 8, CR_ERR_UNSUPPORTED,
     "a QOI picture, which is not read here; convert it to PNG or JPEG"},
    {"BM\x36\x04\0\0", 6, CR_ERR_UNSUPPORTED,
     "a BMP picture, which is not read here; convert it to PNG or JPEG"},
    {"%PDF-1.7", 8, CR_ERR_UNSUPPORTED, "a PDF, which is not read here; convert it to PNG or JPEG"},
    {"<svg xmlns=", 11, CR_ERR_UNSUPPORTED,
     "an SVG, which is not read here; convert it to PNG or JPEG"},
    {"<?xml version=\"1.0\"?>\n<svg>", 27, CR_ERR_UNSUPPORTED,
     "an SVG, which is not read here; convert it to PNG or JPEG"},
    {"<?xml version=\"1.0\"?>\n<html>", 28, CR_ERR_UNSUPPORTED,
     "not a picture; a PNG or JPEG picture is needed here"},
    {"hello", 5, CR_ERR_UNSUPPORTED, "not a picture; a PNG or JPEG picture is needed here"},
    {"\x89PNG\n\x1A\n\0\0\0", 10, CR_ERR_FORMAT,
     "a PNG picture whose first 8 bytes are damaged, as by a transfer in text mode; fetch it "
     "again"},
};

static void test_other_formats(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(others); i++) {
        struct cr_error err = CR_ERROR_INIT;
        struct cr_image *image;
        int result = cr_image_decode(&image, others[i].data, others[i].size, "f", NULL, &err);
        assert_int_equal(result, others[i].code);
        assert_int_equal(strncmp(err.message, "f: ", 3), 0);
        assert_text("format", err.message + 3, others[i].message);
    }
}

static void test_missing_file(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    const char *path = scratch("absent.png");
    assert_int_equal(cr_image_load(&image, path, NULL, &err), CR_ERR_NOT_FOUND);
    assert_null(image);
    assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
    assert_true(cr_image_load(&image, test_folder(), NULL, &err) < 0);
}

/* ---- Faults ---- */

static int load_once(void *path, struct cr_error *err)
{
    struct cr_image *image;
    int result = cr_image_load(&image, path, NULL, err);
    cr_image_unref(&image);
    return result;
}

static void test_faults(void **unused)
{
    (void)unused;
    struct bytes files[] = {small_png(), small_jpeg(true)};
    const char *path = scratch("faults");
    for (size_t i = 0; i < COUNT(files); i++) {
        write_test_file(path, files[i].data, files[i].size);
        void *user = (void *)(uintptr_t)path;
        assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, load_once, NULL, user) > 3);
        assert_true(sweep_faults(CR_FAULT_OPEN, EACCES, load_once, NULL, user) > 0);
        assert_true(sweep_faults(CR_FAULT_READ, EIO, load_once, NULL, user) > 0);
        free_bytes(&files[i]);
    }
}

/* ---- Real photographs ---- */

static struct cr_image *load_photograph(const char *name)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    const char *path = shared_path(name);
    if (cr_image_load(&image, path, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(cr_image_name(image), path);
    return image;
}

static void test_photographs(void **unused)
{
    (void)unused;
    struct cr_image *image = load_photograph("data/coco_panoptic_sample/000000142238.jpg");
    assert_int_equal(cr_image_size(image).height, 427);
    assert_int_equal(cr_image_size(image).width, 640);
    cr_image_unref(&image);
    /* Every second pixel, as another program decoded them. */
    image = load_photograph("data/coco_panoptic_sample/000000439180.jpg");
    struct st_file *file = st_open(shared_path("goldens/preprocess/inputs.safetensors"));
    struct st_tensor half = st_get(file, "439180.half.u8", "U8");
    const uint8_t *expected = half.data;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 180; y++)
            for (int x = 0; x < 320; x++)
                assert_int_equal(cr_image_pixels(image)[3 * (2 * y * 640 + 2 * x) + c],
                                 expected[(c * 180 + y) * 320 + x]);
    st_close(&file);
    cr_image_unref(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_ignored_chunks),
        cmocka_unit_test(test_jpeg_kinds),
        cmocka_unit_test(test_jpeg_cmyk),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_broken_exif),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damage_is_located),
        cmocka_unit_test(test_lies_cost_nothing),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_chunk_limit),
        cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_photographs),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
