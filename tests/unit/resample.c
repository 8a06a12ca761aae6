/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>

#include <crayon/image.h>

#include "fault_sweep.h"
#include "safetensors.h"
#include "test.h"

static struct cr_image *make(int32_t height, int32_t width)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    assert_int_equal(cr_image_create(&image, (struct cr_size){height, width}, &err), 0);
    return image;
}

static struct cr_image *resize(const struct cr_image *image, int32_t height, int32_t width,
                               enum cr_filter filter)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *resized;
    if (cr_image_resize(&resized, image, (struct cr_size){height, width}, filter, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(cr_image_size(resized).height, height);
    assert_int_equal(cr_image_size(resized).width, width);
    return resized;
}

/* ---- Rows worked out by hand ---- */

/* The weights are those of the triangle at the pixels' centres, normalised: from 4 to 2, for the
 * first pixel, 3/4, 3/4, 1/4 of a sum of 7/4. */
static const struct {
    int32_t from, to;
    uint8_t before[6], after[8];
} rows[] = {
    {2, 1, {0, 255}, {128}},
    {3, 1, {0, 255, 0}, {109}},          /* 1/2 5/6.. : 2/3 1 2/3 of 7/3 */
    {4, 2, {0, 0, 255, 255}, {36, 219}}, /* 255/7 and 255 * 6/7 */
    {4, 2, {100, 0, 0, 0}, {43, 0}},     /* 300/7 */
    {2, 4, {0, 255}, {0, 64, 191, 255}}, /* the corners have one neighbour only */
    {1, 3, {77}, {77, 77, 77}},
    {3, 3, {1, 2, 3}, {1, 2, 3}},
    {2, 3, {0, 255}, {0, 128, 255}},
    {6, 6, {9, 8, 7, 6, 5, 4}, {9, 8, 7, 6, 5, 4}},
    /* Ties that weights of 20, 21 or 23 bits, or weights cut instead of rounded, would break
     * differently: worked out in integers, found by trying. */
    {5, 4, {186, 181, 185, 228, 82}, {185, 183, 210, 119}},
    {5, 4, {74, 238, 225, 15, 196}, {115, 233, 103, 151}},
    {5, 2, {61, 9, 10, 179, 140}, {33, 120}},
};

static void check_row(size_t row, bool vertical)
{
    int32_t from = rows[row].from, to = rows[row].to;
    struct cr_image *image = vertical ? make(from, 1) : make(1, from);
    for (int32_t i = 0; i < from; i++)
        for (int c = 0; c < 3; c++)
            cr_image_edit(image)[3 * i + c] = rows[row].before[i];
    struct cr_image *resized = vertical ? resize(image, to, 1, CR_FILTER_BILINEAR)
                                        : resize(image, 1, to, CR_FILTER_BILINEAR);
    for (int32_t i = 0; i < to; i++)
        for (int c = 0; c < 3; c++)
            if (cr_image_pixels(resized)[3 * i + c] != rows[row].after[i])
                fail_msg("row %zu, position %d: %d, not %d", row, i,
                         cr_image_pixels(resized)[3 * i + c], rows[row].after[i]);
    cr_image_unref(&image);
    cr_image_unref(&resized);
}

static void test_rows(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        check_row(i, false);
        check_row(i, true);
    }
}

/* The first pass rounds before the second: a single 255 in 2 x 2 gives 128 / 2 = 64, where one pass
 * would give 63.75; with 253, rounding up twice gives 64 where 63.25 would give 63. */
static void test_rounding_between_passes(void **unused)
{
    (void)unused;
    struct cr_image *image = make(2, 2);
    cr_image_edit(image)[0] = 253;
    struct cr_image *resized = resize(image, 1, 1, CR_FILTER_BILINEAR);
    assert_int_equal(cr_image_pixels(resized)[0], 64);
    assert_int_equal(cr_image_pixels(resized)[1], 0);
    cr_image_unref(&image);
    cr_image_unref(&resized);
}

/* ---- A slow version ---- */

static struct cr_image *make_noise(int32_t height, int32_t width, uint32_t seed)
{
    struct cr_image *image = make(height, width);
    for (int32_t i = 0; i < 3 * height * width; i++) {
        seed = seed * 1664525u + 1013904223u;
        cr_image_edit(image)[i] = (uint8_t)(seed >> 24);
    }
    return image;
}

/* Along one axis at one place, in double: every source position is asked for its weight. */
static double weigh(const struct cr_image *image, bool vertical, int32_t other, int32_t to,
                    int32_t at, int c)
{
    struct cr_size size = cr_image_size(image);
    int32_t from = vertical ? size.height : size.width;
    double scale = (double)from / to, support = fmax(scale, 1), sum = 0, weights = 0;
    for (int32_t i = 0; i < from; i++) {
        double distance = fabs(i + 0.5 - (at + 0.5) * scale) / support;
        double weight = distance < 1 ? 1 - distance : 0;
        int32_t pixel = vertical ? i * size.width + other : other * size.width + i;
        sum += weight * cr_image_pixels(image)[3 * pixel + c];
        weights += weight;
    }
    return sum / weights;
}

static void test_slow_version(void **unused)
{
    (void)unused;
    static const int32_t sizes[][3] = {{1, 7, 3},  {7, 1, 9},   {40, 23, 11}, {17, 100, 99},
                                       {5, 5, 64}, {64, 48, 2}, {31, 37, 30}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int vertical = 0; vertical < 2; vertical++) {
            int32_t height = sizes[i][0], width = sizes[i][1], to = sizes[i][2];
            struct cr_image *image = make_noise(height, width, (uint32_t)i + 1);
            struct cr_image *resized =
                resize(image, vertical ? to : height, vertical ? width : to, CR_FILTER_BILINEAR);
            struct cr_size size = cr_image_size(resized);
            for (int32_t j = 0; j < size.height * size.width * 3; j++) {
                int32_t y = j / 3 / size.width, x = j / 3 % size.width;
                double value =
                    weigh(image, vertical, vertical ? x : y, to, vertical ? y : x, j % 3);
                if (fabs(cr_image_pixels(resized)[j] - value) > 0.5001)
                    fail_msg("%d x %d to %d: %d, not %g", height, width, to,
                             cr_image_pixels(resized)[j], value);
            }
            cr_image_unref(&image);
            cr_image_unref(&resized);
        }
}

/* ---- Nearest neighbour, sizes, names ---- */

static void test_nearest(void **unused)
{
    (void)unused;
    static const int32_t sizes[][2] = {{1, 1}, {3, 5}, {17, 40}, {64, 31}};
    struct cr_image *image = make_noise(17, 31, 5);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        int32_t rows_from[64], columns_from[64];
        struct cr_image *resized = resize(image, sizes[i][0], sizes[i][1], CR_FILTER_NEAREST);
        cr_nearest_indices(17, sizes[i][0], rows_from);
        cr_nearest_indices(31, sizes[i][1], columns_from);
        for (int32_t j = 0; j < sizes[i][0] * sizes[i][1]; j++)
            assert_memory_equal(cr_image_pixels(resized) + 3 * j,
                                cr_image_pixels(image) + 3 * (31 * rows_from[j / sizes[i][1]] +
                                                              columns_from[j % sizes[i][1]]),
                                3);
        cr_image_unref(&resized);
    }
    cr_image_unref(&image);
}

static void test_name_and_size(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image = make_noise(4, 4, 1), *resized;
    assert_int_equal(cr_image_set_name(image, "horse.png", &err), 0);
    for (int filter = 0; filter < 3; filter++) {
        resized = resize(image, 4, 4, (enum cr_filter)filter);
        assert_ptr_not_equal(resized, image);
        assert_memory_equal(cr_image_pixels(resized), cr_image_pixels(image), 48);
        assert_string_equal(cr_image_name(resized), "horse.png");
        cr_image_unref(&resized);
        assert_int_equal(
            cr_image_resize(&resized, image, (struct cr_size){0, 4}, (enum cr_filter)filter, &err),
            CR_ERR_LIMIT);
        assert_null(resized);
        assert_int_equal(cr_image_resize(&resized, image, (struct cr_size){4, 65536},
                                         (enum cr_filter)filter, &err),
                         CR_ERR_LIMIT);
    }
    cr_image_unref(&image);
}

struct resizing {
    struct cr_image *image;
    enum cr_filter filter;
};

static int resize_once(void *user, struct cr_error *err)
{
    struct resizing *resizing = user;
    struct cr_image *resized;
    int result =
        cr_image_resize(&resized, resizing->image, (struct cr_size){3, 9}, resizing->filter, err);
    cr_image_unref(&resized);
    return result;
}

static void test_faults(void **unused)
{
    (void)unused;
    struct cr_error err = CR_ERROR_INIT;
    struct resizing resizing = {make(5, 6), CR_FILTER_BILINEAR};
    assert_int_equal(cr_image_set_name(resizing.image, "horse.png", &err), 0);
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, resize_once, NULL, &resizing), 11);
    resizing.filter = CR_FILTER_NEAREST;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, resize_once, NULL, &resizing), 3);
    resizing.filter = CR_FILTER_BILINEAR_SAMPLED;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, resize_once, NULL, &resizing), 3);
    cr_image_unref(&resizing.image);
}

/* ---- Sampled ---- */

/* The four nearest pixels, in double. */
static double sample(const struct cr_image *image, struct cr_size to, int32_t y, int32_t x, int c)
{
    struct cr_size from = cr_image_size(image);
    double at_y = fmax((y + 0.5) * from.height / to.height - 0.5, 0);
    double at_x = fmax((x + 0.5) * from.width / to.width - 0.5, 0), sum = 0;
    for (int i = 0; i < 4; i++) {
        int32_t row = (int32_t)at_y + i / 2, column = (int32_t)at_x + i % 2;
        double weight = (1 - fabs(at_y - row)) * (1 - fabs(at_x - column));
        row = row < from.height ? row : from.height - 1;
        column = column < from.width ? column : from.width - 1;
        sum += weight * cr_image_pixels(image)[3 * (row * from.width + column) + c];
    }
    return sum;
}

static void test_sampled(void **unused)
{
    (void)unused;
    static const int32_t sizes[][4] = {{1, 1, 1, 1},   {1, 1, 5, 3},     {7, 1, 3, 2},
                                       {3, 200, 2, 7}, {40, 23, 11, 64}, {17, 33, 17, 33}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct cr_size to = {sizes[i][2], sizes[i][3]};
        struct cr_image *image = make_noise(sizes[i][0], sizes[i][1], (uint32_t)i + 1);
        struct cr_image *resized = resize(image, to.height, to.width, CR_FILTER_BILINEAR_SAMPLED);
        for (int32_t j = 0; j < to.height * to.width * 3; j++) {
            double value = sample(image, to, j / 3 / to.width, j / 3 % to.width, j % 3);
            if (fabs(cr_image_pixels(resized)[j] - value) > 0.5001)
                fail_msg("%d x %d to %d x %d: %d, not %g", sizes[i][0], sizes[i][1], to.height,
                         to.width, cr_image_pixels(resized)[j], value);
        }
        cr_image_unref(&image);
        cr_image_unref(&resized);
    }
}

/* Half-way between two numbers: to the even one. */
static void test_sampled_ties(void **unused)
{
    (void)unused;
    struct cr_image *image = make(1, 2);
    for (int c = 0; c < 3; c++) {
        cr_image_edit(image)[c] = (uint8_t)(2 * c);
        cr_image_edit(image)[3 + c] = (uint8_t)(2 * c + 1 + 2 * (c == 1));
    }
    struct cr_image *resized = resize(image, 1, 1, CR_FILTER_BILINEAR_SAMPLED);
    assert_int_equal(cr_image_pixels(resized)[0], 0); /* 0.5 */
    assert_int_equal(cr_image_pixels(resized)[1], 4); /* 3.5 */
    assert_int_equal(cr_image_pixels(resized)[2], 4); /* 4.5 */
    cr_image_unref(&image);
    cr_image_unref(&resized);
}

/* ---- Recorded results ---- */

static struct cr_image *from_planes(const struct st_tensor *tensor)
{
    struct cr_image *image = make((int32_t)tensor->shape[1], (int32_t)tensor->shape[2]);
    int64_t plane = tensor->shape[1] * tensor->shape[2];
    for (int64_t j = 0; j < 3 * plane; j++)
        cr_image_edit(image)[3 * (j % plane) + j / plane] = ((const uint8_t *)tensor->data)[j];
    return image;
}

/* How many numbers differ; by more than 1 fails at once. */
static int64_t count_differences(const struct cr_image *image, const struct st_tensor *expected,
                                 const char *name)
{
    int64_t plane = expected->shape[1] * expected->shape[2], different = 0;
    for (int64_t j = 0; j < 3 * plane; j++) {
        int got = cr_image_pixels(image)[3 * (j % plane) + j / plane];
        int wanted = ((const uint8_t *)expected->data)[j];
        if (got < wanted - 1 || got > wanted + 1)
            fail_msg("%s at %lld: %d, recorded %d", name, (long long)j, got, wanted);
        different += got != wanted;
    }
    return different;
}

static void check_recorded(const char *const (*cases)[2], size_t count, enum cr_filter filter,
                           double share)
{
    struct st_file *inputs = st_open(shared_path("goldens/preprocess/inputs.safetensors"));
    struct st_file *expected = st_open(shared_path("goldens/preprocess/expected.safetensors"));
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s.u8", cases[i][0]);
        struct st_tensor input = st_get(inputs, name, "U8");
        snprintf(name, sizeof(name), "%s.%s", cases[i][0], cases[i][1]);
        struct st_tensor output = st_get(expected, name, "U8");
        struct cr_image *image = from_planes(&input);
        struct cr_image *resized =
            resize(image, (int32_t)output.shape[1], (int32_t)output.shape[2], filter);
        int64_t different = count_differences(resized, &output, name);
        if ((double)different > share * (double)output.elements)
            fail_msg("%s: %lld of %lld numbers differ", name, (long long)different,
                     (long long)output.elements);
        cr_image_unref(&image);
        cr_image_unref(&resized);
    }
    st_close(&inputs);
    st_close(&expected);
}

static void test_pillow(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        {"142238.crop", "m2f_96x96.u8"}, {"142238.crop", "m2f_64x80.u8"},
        {"439180.crop", "m2f_96x96.u8"}, {"439180.crop", "m2f_64x80.u8"},
        {"439180.half", "m2f_96x96.u8"}, {"439180.half", "m2f_64x80.u8"}};
    check_recorded(cases, COUNT(cases), CR_FILTER_BILINEAR, 0);
}

static void test_torchvision(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        {"142238.crop", "clip_70x70.u8"}, {"142238.crop", "clip_56x98.u8"},
        {"439180.crop", "clip_70x70.u8"}, {"439180.crop", "clip_56x98.u8"},
        {"439180.half", "clip_70x70.u8"}, {"439180.half", "clip_56x98.u8"}};
    check_recorded(cases, COUNT(cases), CR_FILTER_BILINEAR_SAMPLED, 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_rounding_between_passes),
        cmocka_unit_test(test_slow_version),  cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_name_and_size), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_pillow),        cmocka_unit_test(test_sampled),
        cmocka_unit_test(test_sampled_ties),  cmocka_unit_test(test_torchvision),
    };
    return cmocka_run_group_tests_name("resample", tests, NULL, NULL);
}
