/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/panoptic.h>

#include "fault_sweep.h"
#include "test.h"

static struct cr_panoptic *make(int32_t height, int32_t width)
{
    struct cr_panoptic *map;
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){height, width}, NULL), 0);
    return map;
}

static void starts_as_background(void **state)
{
    (void)state;
    struct cr_panoptic *map = make(3, 4);
    assert_int_equal(cr_panoptic_size(map).height, 3);
    assert_int_equal(cr_panoptic_size(map).width, 4);
    assert_int_equal(cr_panoptic_count(map), 0);
    for (int i = 0; i < 12; i++)
        assert_int_equal(cr_panoptic_ids(map)[i], 0);
    assert_null(cr_panoptic_find(map, 0));
    assert_null(cr_panoptic_find(map, 1));
    cr_panoptic_unref(&map);
    assert_null(map);
    cr_panoptic_unref(&map);
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){0, 4}, &err), CR_ERR_LIMIT);
    assert_string_equal(err.message, "a size of 0 x 4 (height x width): sides are 1..65535");
    assert_null(map);
}

static void checks_segments(void **state)
{
    (void)state;
    static const struct {
        struct cr_segment segment;
        int result;
        const char *message;
    } cases[] = {
        {{.id = 5, .label = 0}, 0, ""},
        {{.id = 1, .label = 132}, 0, ""},
        {{.id = INT32_MAX, .label = CR_LABEL_UNKNOWN}, 0, ""},
        {{.id = 0, .label = 1}, CR_ERR_ARGUMENT, "segment id 0: ids of segments are above 0"},
        {{.id = -3, .label = 1}, CR_ERR_ARGUMENT, "segment id -3: ids of segments are above 0"},
        {{.id = 5, .label = 1}, CR_ERR_ARGUMENT, "segment 5 is listed twice"},
        {{.id = 7, .label = 133},
         CR_ERR_ARGUMENT,
         "segment 7: label 133 is outside 0..132 (-1: unknown)"},
        {{.id = 7, .label = -2},
         CR_ERR_ARGUMENT,
         "segment 7: label -2 is outside 0..132 (-1: unknown)"},
    };
    struct cr_panoptic *map = make(1, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cr_error err = CR_ERROR_INIT;
        assert_int_equal(cr_panoptic_add(map, &cases[i].segment, &err), cases[i].result);
        assert_text("message", err.message, cases[i].message);
    }
    assert_int_equal(cr_panoptic_count(map), 3);
    cr_panoptic_unref(&map);
}

/* Listed in the order of addition, found by id whatever that order was. */
static void keeps_the_order_and_finds_by_id(void **state)
{
    (void)state;
    struct cr_panoptic *map = make(1, 1);
    for (int32_t i = 0; i < 1000; i++) {
        struct cr_segment segment = {.id = 2 * (i * 7919 % 1000) + 2,
                                     .label = i % 133,
                                     .score = (float)i,
                                     .original_id = -i};
        assert_int_equal(cr_panoptic_add(map, &segment, NULL), 0);
    }
    assert_int_equal(cr_panoptic_count(map), 1000);
    for (int32_t i = 0; i < 1000; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(map, (size_t)i);
        assert_int_equal(segment->id, 2 * (i * 7919 % 1000) + 2);
        assert_int_equal(segment->original_id, -i);
        assert_ptr_equal(cr_panoptic_find(map, segment->id), segment);
        assert_null(cr_panoptic_find(map, segment->id + 1));
    }
    cr_panoptic_unref(&map);
}

static struct cr_panoptic *make_example(void)
{
    struct cr_panoptic *map = make(4, 6);
    for (int i = 0; i < 24; i++)
        cr_panoptic_edit(map)[i] = i;
    for (int32_t id = 3; id > 0; id--)
        assert_int_equal(
            cr_panoptic_add(map, &(struct cr_segment){.id = id, .label = id, .crowd = id == 2},
                            NULL),
            0);
    return map;
}

static void resizes_by_nearest_neighbour(void **state)
{
    (void)state;
    struct cr_panoptic *map = make_example(), *small, *large, *same;
    assert_int_equal(cr_panoptic_resize(&small, map, (struct cr_size){2, 3}, NULL), 0);
    static const int32_t expected[6] = {7, 9, 11, 19, 21, 23}; /* rows 1, 3; columns 1, 3, 5 */
    assert_memory_equal(cr_panoptic_ids(small), expected, sizeof(expected));
    assert_int_equal(cr_panoptic_count(small), 3); /* also those without a pixel */
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(cr_panoptic_segment(small, i), cr_panoptic_segment(map, i),
                            sizeof(struct cr_segment));

    assert_int_equal(cr_panoptic_resize(&large, map, (struct cr_size){8, 18}, NULL), 0);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 18; x++)
            assert_int_equal(cr_panoptic_ids(large)[y * 18 + x], y / 2 * 6 + x / 3);

    assert_int_equal(cr_panoptic_resize(&same, map, (struct cr_size){4, 6}, NULL), 0);
    assert_ptr_equal(same, map);
    cr_panoptic_unref(&map);
    assert_int_equal(cr_panoptic_ids(same)[23], 23); /* a reference of its own */
    cr_panoptic_unref(&same);
    cr_panoptic_unref(&small);
    cr_panoptic_unref(&large);
}

static void refuses_wrong_sizes(void **state)
{
    (void)state;
    struct cr_panoptic *map = make_example(), *out = map;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_panoptic_resize(&out, map, (struct cr_size){70000, 1}, &err), CR_ERR_LIMIT);
    assert_string_equal(err.message, "a size of 70000 x 1 (height x width): sides are 1..65535");
    assert_null(out);
    cr_panoptic_unref(&map);
}

static int fill_and_resize(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_panoptic *map = NULL, *resized = NULL;
    int result = cr_panoptic_create(&map, (struct cr_size){4, 4}, err);
    for (int32_t id = 40; id > 0 && result == 0; id--)
        result = cr_panoptic_add(map, &(struct cr_segment){.id = id}, err);
    if (result == 0)
        result = cr_panoptic_resize(&resized, map, (struct cr_size){2, 2}, err);
    assert_true((result == 0) == (resized != NULL));
    cr_panoptic_unref(&map);
    cr_panoptic_unref(&resized);
    return result;
}

static void fails_cleanly(void **state)
{
    (void)state;
    /* two maps, two lists that grow three times each, the indices */
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, fill_and_resize, NULL, NULL), 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_as_background),
        cmocka_unit_test(checks_segments),
        cmocka_unit_test(keeps_the_order_and_finds_by_id),
        cmocka_unit_test(resizes_by_nearest_neighbour),
        cmocka_unit_test(refuses_wrong_sizes),
        cmocka_unit_test(fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
