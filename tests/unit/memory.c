/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static void counts_what_is_alive(void **state)
{
    (void)state;
    int64_t before = cr_memory_live();
    char *a = cr_malloc(10), *b = cr_calloc(3, 4), *c = cr_realloc_array(NULL, 5, 2);
    char *d = cr_strdup("d"), *e = cr_strndup("eeee", 2), *f = cr_asprintf("%d", 6);
    assert_int_equal(cr_memory_live(), before + 6);
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    assert_string_equal(d, "d");
    assert_string_equal(e, "ee");
    assert_string_equal(f, "6");
    memset(c, 'x', 10);
    c = cr_realloc_array(c, 1000, 2);
    assert_memory_equal(c, "xxxxxxxxxx", 10);
    assert_int_equal(cr_memory_live(), before + 6);
    cr_free(a), cr_free(b), cr_free(c), cr_free(d), cr_free(e), cr_free(f), cr_free(NULL);
    assert_int_equal(cr_memory_live(), before);
}

static void gives_a_pointer_for_nothing(void **state)
{
    (void)state;
    char *a = cr_malloc(0), *b = cr_calloc(0, 8), *c = cr_realloc_array(NULL, 0, 8);
    char *d = cr_realloc_array(cr_malloc(9), 0, 1);
    assert_true(a != NULL && b != NULL && c != NULL && d != NULL);
    cr_free(a), cr_free(b), cr_free(c), cr_free(d);
}

static void refuses_products_that_overflow(void **state)
{
    (void)state;
    static const struct {
        size_t a, b;
        bool product, sum;
    } cases[] = {
        {0, SIZE_MAX, true, true},          {SIZE_MAX, 0, true, true},
        {1, SIZE_MAX, true, false},         {SIZE_MAX, 1, true, false},
        {SIZE_MAX / 2, 2, true, true},      {SIZE_MAX / 2 + 1, 2, false, true},
        {SIZE_MAX, SIZE_MAX, false, false}, {SIZE_MAX / 2, SIZE_MAX / 2 + 1, false, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t out = 77;
        assert_int_equal(cr_size_mul(cases[i].a, cases[i].b, &out), cases[i].product);
        assert_true(out == (cases[i].product ? cases[i].a * cases[i].b : 77));
        out = 77;
        assert_int_equal(cr_size_add(cases[i].a, cases[i].b, &out), cases[i].sum);
        assert_true(out == (cases[i].sum ? cases[i].a + cases[i].b : 77));
    }
    assert_null(cr_calloc(SIZE_MAX / 2 + 1, 2));
    assert_null(cr_realloc_array(NULL, SIZE_MAX / 2 + 1, 2));
}

static void copies_at_most_what_is_there(void **state)
{
    (void)state;
    const char three[3] = {'a', 'b', 'c'}; /* no NUL */
    char *whole = cr_strndup(three, 3), *cut = cr_strndup("ab", SIZE_MAX);
    assert_string_equal(whole, "abc");
    assert_string_equal(cut, "ab");
    cr_free(whole), cr_free(cut);
}

static void grows_text(void **state)
{
    (void)state;
    struct cr_text text = CR_TEXT_INIT;
    for (int i = 0; i < 1000; i++)
        cr_text_printf(&text, "%03d,", i);
    cr_text_add(&text, "end");
    cr_text_append(&text, "\0x", 2);
    assert_int_equal(text.size, 4000 + 3 + 2);
    assert_memory_equal(text.data + 3996, "999,end\0x", 10); /* and the NUL behind */
    char *taken = cr_text_take(&text);
    assert_int_equal(strlen(taken), 4003);
    assert_true(text.data == NULL && text.size == 0);
    cr_free(taken);
    taken = cr_text_take(&text);
    assert_string_equal(taken, "");
    cr_free(taken);
    cr_text_finish(&text);
    cr_text_finish(&text);
}

static int build_text(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_text text = CR_TEXT_INIT;
    for (int i = 0; i < 500; i++) {
        cr_text_printf(&text, "%d", i);
        cr_text_add(&text, ", ");
    }
    bool failed = text.failed;
    char *result = cr_text_take(&text);
    assert_true(failed == (result == NULL));
    assert_false(text.failed);
    cr_free(result);
    return result != NULL ? 0 : cr_fail_memory(err, 1);
}

static void remembers_that_text_failed(void **state)
{
    (void)state;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, build_text, NULL, NULL), 7);
}

static int allocate_each(void *user, struct cr_error *err)
{
    (void)user;
    char *all[6] = {cr_malloc(1),   cr_calloc(1, 1),    cr_realloc_array(NULL, 1, 1),
                    cr_strdup("x"), cr_strndup("x", 1), cr_asprintf("x")};
    int missing = 0;
    for (size_t i = 0; i < COUNT(all); i++) {
        missing += all[i] == NULL;
        cr_free(all[i]);
    }
    assert_true(missing <= 1);
    return missing == 0 ? 0 : cr_fail_memory(err, 1);
}

static void every_function_can_fail(void **state)
{
    (void)state;
    assert_int_equal(sweep_faults(CR_FAULT_ALLOC, ENOMEM, allocate_each, NULL, NULL), 6);
}

static void a_failed_realloc_keeps_the_old(void **state)
{
    (void)state;
    char *old = cr_strdup("old");
    sweep_arm(CR_FAULT_ALLOC, ENOMEM, 1);
    assert_null(cr_realloc_array(old, 100, 1));
    assert_true(sweep_disarm());
    assert_string_equal(old, "old");
    cr_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_is_alive),
        cmocka_unit_test(gives_a_pointer_for_nothing),
        cmocka_unit_test(refuses_products_that_overflow),
        cmocka_unit_test(copies_at_most_what_is_there),
        cmocka_unit_test(grows_text),
        cmocka_unit_test(remembers_that_text_failed),
        cmocka_unit_test(every_function_can_fail),
        cmocka_unit_test(a_failed_realloc_keeps_the_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
