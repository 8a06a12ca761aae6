/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/image.h>

#include "fault_sweep.h"
#include "test.h"

static const struct {
    int32_t height, width;
    int result;
    const char *message;
} sizes[] = {
    {1, 1, 0, ""},
    {1, 65535, 0, ""},
    {65535, 1, 0, ""},
    {0, 1, CR_ERR_LIMIT, "a size of 0 x 1 (height x width): sides are 1..65535"},
    {1, 0, CR_ERR_LIMIT, "a size of 1 x 0 (height x width): sides are 1..65535"},
    {-1, 5, CR_ERR_LIMIT, "a size of -1 x 5 (height x width): sides are 1..65535"},
    {65536, 1, CR_ERR_LIMIT, "a size of 65536 x 1 (height x width): sides are 1..65535"},
    {INT32_MIN, INT32_MIN, CR_ERR_LIMIT,
     "a size of -2147483648 x -2147483648 (height x width): sides are 1..65535"},
    {65535, 65535, CR_ERR_LIMIT,
     "a size of 65535 x 65535 (height x width) exceeds 268435456 pixels"},
    {16384, 16385, CR_ERR_LIMIT,
     "a size of 16384 x 16385 (height x width) exceeds 268435456 pixels"},
};

static void checks_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        int before;
        struct cr_image *image = (void *)&before;
        struct cr_size size = {sizes[i].height, sizes[i].width};
        struct cr_error err = CR_ERROR_INIT;
        assert_int_equal(cr_image_create(&image, size, &err), sizes[i].result);
        assert_text("message", err.message, sizes[i].message);
        assert_true((image != NULL) == (sizes[i].result == 0));
        cr_image_unref(&image);
    }
}

static void starts_black_and_nameless(void **state)
{
    (void)state;
    struct cr_image *image;
    assert_int_equal(cr_image_create(&image, (struct cr_size){3, 5}, NULL), 0);
    assert_int_equal(cr_image_size(image).height, 3);
    assert_int_equal(cr_image_size(image).width, 5);
    assert_null(cr_image_name(image));
    for (int i = 0; i < 45; i++)
        assert_int_equal(cr_image_pixels(image)[i], 0);
    assert_ptr_equal(cr_image_edit(image), cr_image_pixels(image));
    cr_image_unref(&image);
    assert_null(image);
    cr_image_unref(&image);
}

static void is_counted(void **state)
{
    (void)state;
    int64_t before = cr_memory_live();
    struct cr_image *image;
    assert_int_equal(cr_image_create(&image, (struct cr_size){1, 1}, NULL), 0);
    struct cr_image *other = cr_image_ref(image);
    assert_ptr_equal(other, image);
    cr_image_unref(&image);
    cr_image_edit(other)[2] = 7; /* still there */
    cr_image_unref(&other);
    assert_int_equal(cr_memory_live(), before);
    assert_null(cr_image_ref(NULL));
}

static void copies_are_independent(void **state)
{
    (void)state;
    struct cr_image *image, *copy;
    assert_int_equal(cr_image_create(&image, (struct cr_size){2, 2}, NULL), 0);
    for (int i = 0; i < 12; i++)
        cr_image_edit(image)[i] = (uint8_t)(i * 20);
    assert_int_equal(cr_image_set_name(image, "a.png", NULL), 0);
    assert_int_equal(cr_image_copy(&copy, image, NULL), 0);
    assert_memory_equal(cr_image_pixels(copy), cr_image_pixels(image), 12);
    assert_string_equal(cr_image_name(copy), "a.png");
    cr_image_edit(copy)[0] = 99;
    assert_int_equal(cr_image_pixels(image)[0], 0);
    assert_int_equal(cr_image_set_name(image, cr_image_name(image), NULL), 0); /* its own name */
    assert_string_equal(cr_image_name(image), "a.png");
    assert_int_equal(cr_image_set_name(image, NULL, NULL), 0);
    assert_null(cr_image_name(image));
    assert_string_equal(cr_image_name(copy), "a.png");
    cr_image_unref(&image);
    cr_image_unref(&copy);
}

static int make_and_copy(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_image *image = NULL, *copy = NULL;
    int result = cr_image_create(&image, (struct cr_size){4, 4}, err);
    if (result == 0)
        result = cr_image_set_name(image, "n", err);
    if (result == 0)
        result = cr_image_copy(&copy, image, err);
    assert_true((result == 0) == (copy != NULL));
    cr_image_unref(&image);
    cr_image_unref(&copy);
    return result;
}

static void fails_cleanly(void **state)
{
    (void)state;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, make_and_copy, NULL, NULL), 4);
}

/* ---- cr_nearest_indices ---- */

static const int32_t from_640[35] = {9,   27,  45,  63,  82,  100, 118, 137, 155, 173, 191, 210,
                                     228, 246, 265, 283, 301, 319, 338, 356, 374, 393, 411, 429,
                                     447, 466, 484, 502, 521, 539, 557, 576, 594, 612, 630};

/* 640 / 35 x (i + 1/2) is whole for i = 3, 10, 17, 24, 31: 64, 192, 320, 448, 576. The sum of
 * rounded steps falls just short of all but the last. */
static void running_sums_decide_ties(void **state)
{
    (void)state;
    int32_t index[35];
    cr_nearest_indices(640, 35, index);
    assert_memory_equal(index, from_640, sizeof(index));
}

static const struct {
    int32_t from, to, index[8];
} nearest[] = {
    {7, 3, {1, 3, 5}},
    {3, 7, {0, 0, 1, 1, 1, 2, 2}},
    {5, 1, {2}},
    {4, 1, {2}}, /* the centre lies between 1 and 2 */
    {1, 4, {0, 0, 0, 0}},
    {4, 4, {0, 1, 2, 3}},
    {8, 4, {1, 3, 5, 7}},
    {2, 7, {0, 0, 0, 0, 1, 1, 1}}, /* sums: 0.142857 ... 0.999999 (no tie), 1.285714 */
    {65535, 2, {16383, 49151}},
};

static void picks_the_position_under_the_centre(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(nearest); i++) {
        int32_t index[8];
        cr_nearest_indices(nearest[i].from, nearest[i].to, index);
        assert_memory_equal(index, nearest[i].index, (size_t)nearest[i].to * sizeof(*index));
    }
}

static void stays_inside_and_never_goes_back(void **state)
{
    (void)state;
    static int32_t index[4000];
    for (int32_t from = 1; from < 700; from += 3) {
        for (int32_t to = 1; to < 4000; to = to * 3 / 2 + 1) {
            cr_nearest_indices(from, to, index);
            for (int32_t i = 0; i < to; i++) {
                assert_in_range(index[i], 0, from - 1);
                assert_true(i == 0 || index[i] >= index[i - 1]);
                /* at most one off where exact arithmetic has a tie */
                int64_t numerator = (2 * (int64_t)i + 1) * from, exact = numerator / (2 * to);
                assert_true(index[i] == exact ||
                            (index[i] == exact - 1 && numerator % (2 * to) == 0));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_sizes),
        cmocka_unit_test(starts_black_and_nameless),
        cmocka_unit_test(is_counted),
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(fails_cleanly),
        cmocka_unit_test(running_sums_decide_ties),
        cmocka_unit_test(picks_the_position_under_the_centre),
        cmocka_unit_test(stays_inside_and_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
