/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_sweep.h"
#include "test.h"
#include "value/value.h"

static void names_types(void **state)
{
    (void)state;
    static const struct {
        enum cr_type type;
        const char *name;
    } cases[] = {
        {CR_TYPE_IMAGE, "image"},   {CR_TYPE_PANOPTIC, "panoptic"}, {CR_TYPE_TEXT, "text"},
        {CR_TYPE_TENSOR, "tensor"}, {CR_TYPE_TOKENS, "tokens"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_text("name", cr_type_name(cases[i].type), cases[i].name);
        assert_int_equal(cr_type_find(cases[i].name), cases[i].type);
    }
    assert_null(cr_type_name((enum cr_type)0));
    assert_null(cr_type_name((enum cr_type)6));
    assert_null(cr_type_name((enum cr_type) - 1));
    assert_int_equal(cr_type_find("Image"), 0);
    assert_int_equal(cr_type_find(""), 0);
}

static struct cr_value *make(enum cr_type type, size_t count)
{
    struct cr_value *value;
    assert_int_equal(cr_value_create(&value, type, count, NULL), 0);
    assert_int_equal(cr_value_type(value), type);
    assert_int_equal(cr_value_count(value), count);
    return value;
}

static void shares_pictures_and_maps(void **state)
{
    (void)state;
    struct cr_image *image;
    struct cr_panoptic *map;
    assert_int_equal(cr_image_create(&image, (struct cr_size){2, 3}, NULL), 0);
    assert_int_equal(cr_panoptic_create(&map, (struct cr_size){4, 5}, NULL), 0);
    struct cr_value *images = make(CR_TYPE_IMAGE, 2), *maps = make(CR_TYPE_PANOPTIC, 1);
    cr_value_set_image(images, 1, image);
    cr_value_set_panoptic(maps, 0, map);
    const struct cr_image *same_image = image;
    cr_image_unref(&image);
    cr_panoptic_unref(&map);
    assert_null(cr_value_image(images, 0));
    assert_ptr_equal(cr_value_image(images, 1), same_image);
    assert_int_equal(cr_image_size(cr_value_image(images, 1)).width, 3);
    assert_int_equal(cr_panoptic_size(cr_value_panoptic(maps, 0)).width, 5);
    cr_value_unref(&images);
    assert_null(images);
    cr_value_unref(&images);
    cr_value_unref(&maps);
}

static void copies_texts_and_tokens(void **state)
{
    (void)state;
    char text[] = "a horse";
    int32_t ids[3] = {1, -2, 3};
    size_t count = 9;
    struct cr_value *texts = make(CR_TYPE_TEXT, 3), *tokens = make(CR_TYPE_TOKENS, 3);
    assert_int_equal(cr_value_set_text(texts, 0, text, NULL), 0);
    assert_int_equal(cr_value_set_text(texts, 1, NULL, NULL), 0);
    assert_int_equal(cr_value_set_tokens(tokens, 0, ids, 3, NULL), 0);
    assert_int_equal(cr_value_set_tokens(tokens, 1, NULL, 0, NULL), 0);
    text[0] = '?';
    ids[0] = 77;
    assert_string_equal(cr_value_text(texts, 0), "a horse");
    assert_null(cr_value_text(texts, 1));
    assert_null(cr_value_text(texts, 2));
    ids[0] = 1;
    assert_memory_equal(cr_value_tokens(tokens, 0, &count), ids, sizeof(ids));
    assert_int_equal(count, 3);
    assert_non_null(cr_value_tokens(tokens, 1, &count)); /* empty, but set */
    assert_int_equal(count, 0);
    assert_null(cr_value_tokens(tokens, 2, &count));
    assert_int_equal(count, 0);
    cr_value_unref(&texts);
    cr_value_unref(&tokens);
}

static void wraps_a_tensor(void **state)
{
    (void)state;
    struct cr_tensor *tensor;
    struct cr_value *value;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_U8, 3, (int64_t[]){4, 0, 2}, NULL, NULL),
                     0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, NULL), 0);
    cr_tensor_unref(&tensor);
    assert_int_equal(cr_value_type(value), CR_TYPE_TENSOR);
    assert_int_equal(cr_value_count(value), 4);
    assert_int_equal(cr_tensor_extent(cr_value_tensor(value), 2), 2);
    cr_value_unref(&value);

    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, 0, NULL, NULL, NULL), 0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, &err), CR_ERR_ARGUMENT);
    assert_string_equal(err.message, "a tensor of rank 0 has no leading extent for a batch");
    assert_null(value);
    cr_tensor_unref(&tensor);
}

static void knows_what_is_missing(void **state)
{
    (void)state;
    size_t index = 99;
    struct cr_value *value = make(CR_TYPE_TEXT, 3);
    assert_false(cr_value_complete(value, &index));
    assert_int_equal(index, 0);
    assert_int_equal(cr_value_set_text(value, 0, NULL, NULL), 0);
    assert_int_equal(cr_value_set_text(value, 2, "x", NULL), 0);
    assert_false(cr_value_complete(value, &index));
    assert_int_equal(index, 1);
    assert_int_equal(cr_value_set_text(value, 1, "", NULL), 0);
    assert_true(cr_value_complete(value, &index));
    cr_value_unref(&value);
    value = make(CR_TYPE_IMAGE, 0);
    assert_true(cr_value_complete(value, &index));
    cr_value_unref(&value);
}

static void refuses_absurd_counts(void **state)
{
    (void)state;
    struct cr_value *value;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(cr_value_create(&value, CR_TYPE_TEXT, SIZE_MAX, &err), CR_ERR_MEMORY);
    assert_null(value);
    assert_int_equal(cr_value_create(&value, CR_TYPE_TEXT, SIZE_MAX / 16, &err), CR_ERR_MEMORY);
    assert_null(value);
}

/* ---- Programming errors are asserted ---- */

static void set_twice(struct cr_value *value)
{
    int result = cr_value_set_text(value, 0, "a", NULL);
    result = cr_value_set_text(value, 0, "b", NULL) + result;
}

static void set_behind_the_end(struct cr_value *value)
{
    int result = cr_value_set_text(value, 2, "a", NULL);
    (void)result;
}

static void set_another_type(struct cr_value *value)
{
    int result = cr_value_set_tokens(value, 0, NULL, 0, NULL);
    (void)result;
}

static void set_after_sealing(struct cr_value *value)
{
    cr_value_seal(value);
    int result = cr_value_set_text(value, 0, "a", NULL);
    (void)result;
}

static void get_another_type(struct cr_value *value)
{
    cr_value_image(value, 0);
}

static void get_behind_the_end(struct cr_value *value)
{
    cr_value_text(value, 2);
}

static void mistakes_are_asserted(void **state)
{
    (void)state;
    static void (*const mistakes[])(struct cr_value *) = {
        set_twice,         set_behind_the_end, set_another_type,
        set_after_sealing, get_another_type,   get_behind_the_end,
    };
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        struct cr_value *value = make(CR_TYPE_TEXT, 2);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            signal(SIGABRT, SIG_DFL);
            if (freopen("/dev/null", "w", stderr) == NULL)
                _exit(2);
            mistakes[i](value);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("mistake %zu went unnoticed", i);
        cr_value_unref(&value);
    }
}

static void sealed_values_can_be_read(void **state)
{
    (void)state;
    struct cr_value *value;
    assert_int_equal(cr_value_from_text(&value, "x", NULL), 0);
    cr_value_seal(value);
    cr_value_seal(value);
    struct cr_value *other = cr_value_ref(value);
    assert_ptr_equal(other, value);
    cr_value_unref(&value);
    assert_string_equal(cr_value_text(other, 0), "x");
    cr_value_unref(&other);
    assert_null(cr_value_ref(NULL));
}

/* ---- Faults ---- */

static int make_each(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_image *image = NULL;
    struct cr_panoptic *map = NULL;
    struct cr_value *values[4] = {NULL};
    int result = cr_image_create(&image, (struct cr_size){1, 1}, err);
    if (result == 0)
        result = cr_panoptic_create(&map, (struct cr_size){1, 1}, err);
    if (result == 0)
        result = cr_value_from_image(&values[0], image, err);
    if (result == 0)
        result = cr_value_from_panoptic(&values[1], map, err);
    if (result == 0)
        result = cr_value_from_text(&values[2], "text", err);
    if (result == 0)
        result = cr_value_create(&values[3], CR_TYPE_TOKENS, 1, err);
    if (result == 0)
        result = cr_value_set_tokens(values[3], 0, (int32_t[]){1}, 1, err);
    for (size_t i = 0; i < COUNT(values); i++)
        cr_value_unref(&values[i]);
    cr_image_unref(&image);
    cr_panoptic_unref(&map);
    return result;
}

static void fails_cleanly(void **state)
{
    (void)state;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, make_each, NULL, NULL), 2 + 4 * 2 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_types),
        cmocka_unit_test(shares_pictures_and_maps),
        cmocka_unit_test(copies_texts_and_tokens),
        cmocka_unit_test(wraps_a_tensor),
        cmocka_unit_test(knows_what_is_missing),
        cmocka_unit_test(refuses_absurd_counts),
        cmocka_unit_test(mistakes_are_asserted),
        cmocka_unit_test(sealed_values_can_be_read),
        cmocka_unit_test(fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
