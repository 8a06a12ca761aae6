/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdalign.h>

#include "base/arena.h"
#include "fault_sweep.h"
#include "test.h"

static const size_t sizes[] = {0, 1, 7, 8, 100, 3999, 4000, 4001, 100000, 16, 1, 2000, 1999, 3};

static void gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    int64_t before = cr_memory_live();
    struct cr_arena arena = CR_ARENA_INIT;
    unsigned char *memory[COUNT(sizes)];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memory[i] = cr_arena_alloc(&arena, sizes[i]);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(memory[i][j], 0);
        memset(memory[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) /* nothing overlaps */
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(memory[i][j], i + 1);
    assert_string_equal(cr_arena_strdup(&arena, "text"), "text");
    cr_arena_finish(&arena);
    assert_null(arena.blocks);
    assert_int_equal(cr_memory_live(), before);
    cr_arena_finish(&arena);
    assert_non_null(cr_arena_alloc(&arena, 1)); /* reusable */
    cr_arena_finish(&arena);
}

static void small_pieces_share_a_block(void **state)
{
    (void)state;
    int64_t before = cr_memory_live();
    struct cr_arena arena = CR_ARENA_INIT;
    for (int i = 0; i < 100; i++) {
        assert_non_null(cr_arena_alloc(&arena, 16));
        if (i % 25 == 0) /* a large one in between does not end the block */
            assert_non_null(cr_arena_alloc(&arena, 50000));
    }
    assert_int_equal(cr_memory_live(), before + 1 + 4);
    cr_arena_finish(&arena);
}

static int fill(void *user, struct cr_error *err)
{
    (void)user;
    struct cr_arena arena = CR_ARENA_INIT;
    bool failed = false;
    for (size_t i = 0; i < COUNT(sizes); i++)
        failed |= cr_arena_alloc(&arena, sizes[i]) == NULL;
    cr_arena_finish(&arena);
    return failed ? cr_fail_memory(err, 1) : 0;
}

static void fails_cleanly(void **state)
{
    (void)state;
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, fill, NULL, NULL) >= 4);
    struct cr_arena arena = CR_ARENA_INIT;
    assert_null(cr_arena_alloc(&arena, SIZE_MAX));
    assert_null(cr_arena_alloc(&arena, SIZE_MAX - 40));
    cr_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory),
        cmocka_unit_test(small_pieces_share_a_block),
        cmocka_unit_test(fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
