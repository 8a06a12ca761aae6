/* SPDX-License-Identifier: MIT */
/* Device memory: pieces do not overlap, blocks come and go, and what happens when there is none. */
#include "test.h"

#include "vulkan_hooks.h"

#define PIECES 300

static struct cr_error err = CR_ERROR_INIT;

static void done(int result)
{
    if (result < 0)
        fail_msg("%s", err.message);
}

/* xorshift32 */
static uint32_t draw(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void check_pieces(const struct vk *vk, struct vk_memory *const *pieces)
{
    size_t count = 0;
    for (int i = 0; i < PIECES; i++) {
        if (pieces[i] == NULL)
            continue;
        count++;
        uint64_t start = pieces[i]->address, end = start + pieces[i]->bytes;
        assert_ptr_equal(vk_memory_find(vk, start, end), pieces[i]);
        assert_ptr_equal(vk_memory_find(vk, end - 1, end), pieces[i]);
        assert_null(vk_memory_find(vk, start, end + 1));
        assert_null(vk_memory_find(vk, start - 1, end));
    }
    assert_int_equal(vk->heap.live_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct vk_live *live = &vk->heap.live[i];
        const struct vk_buffer *buffer = &live->memory->block->buffer;
        assert_true(live->start >= buffer->address && live->end <= buffer->address + buffer->size);
        assert_true(i == 0 || live->start >= live[-1].end);
    }
}

/* Pieces of all sizes come and go; at the end nothing is left of them but one empty block. */
static void test_pieces(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    struct vk_memory *pieces[PIECES] = {NULL};
    uint32_t seed = 2463534242;
    int objects = hooked_objects();
    for (int round = 0; round < 4000; round++) {
        struct vk_memory **piece = &pieces[draw(&seed) % PIECES];
        if (*piece != NULL) {
            vk_memory_free(vk, *piece);
            *piece = NULL;
        } else {
            uint64_t bytes = draw(&seed) % (1u << draw(&seed) % 21);
            done(vk_memory_alloc(vk, bytes, piece, &err));
            assert_true((*piece)->bytes >= bytes && (*piece)->address % 256 == 0);
        }
        if (round % 100 == 0)
            check_pieces(vk, pieces);
    }
    assert_true(vk->counters.allocations < 10);
    for (int i = 0; i < PIECES; i++)
        vk_memory_free(vk, pieces[i]);
    assert_int_equal(hooked_objects(), objects + 2); /* its buffer and its memory */
    assert_non_null(vk->heap.blocks);
    assert_null(vk->heap.blocks->next);
    assert_null(vk->heap.blocks->first->after); /* all joined again */
    assert_int_equal(vk->heap.used, vk->heap.blocks->buffer.size);
    cr_device_unref(&device);
}

/* What is joined from several pieces remembers who used any of them last: the host must not write
 * there before that is done. */
static void test_last_use(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    for (int order = 0; order < 2; order++) {
        struct vk_memory *pieces[2], *both;
        for (int i = 0; i < 2; i++)
            done(vk_memory_alloc(vk, 4096, &pieces[i], &err));
        uint64_t address = pieces[0]->address;
        pieces[1 - order]->last_use = 7;
        for (int i = 0; i < 2; i++)
            vk_memory_free(vk, pieces[i ^ order]);
        done(vk_memory_alloc(vk, 8192, &both, &err));
        assert_int_equal(both->address, address);
        assert_int_equal(both->last_use, 7);
        both->last_use = 0;
        vk_memory_free(vk, both);
    }
    cr_device_unref(&device);
}

/* A large tensor has memory of its own, which goes when nothing uses it any more. */
static void test_large_pieces(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    struct vk_memory *small, *large;
    done(vk_memory_alloc(vk, 1000, &small, &err));
    uint64_t used = vk->heap.used;
    /* More than the one empty block that is kept. */
    done(vk_memory_alloc(vk, (UINT64_C(256) << 20) + 1, &large, &err));
    assert_ptr_not_equal(small->block, large->block);
    assert_int_equal(large->block->buffer.size, large->bytes);
    large->last_use = vk_now(vk); /* as if it were recorded */
    vk_memory_free(vk, large);
    assert_true(vk->heap.used > used);
    vk->queue.completed = vk->queue.submitted = 1;
    vk_heap_reclaim(vk);
    assert_int_equal(vk->heap.used, used);
    vk->queue.completed = vk->queue.submitted = 0;
    vk_memory_free(vk, small);
    cr_device_unref(&device);
}

static void test_exhausted(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    struct vk_memory *held = NULL, *memory = NULL;
    /* The driver refuses the first, large block: a smaller one will do. */
    hooked_fail("vkAllocateMemory", 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    done(vk_memory_alloc(vk, 1000, &held, &err));
    assert_non_null(hooked_failed());
    /* It refuses exactly what is needed, and nothing is empty. */
    hooked_fail("vkAllocateMemory", 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    uint64_t large = (UINT64_C(256) << 20) + 1;
    assert_int_equal(vk_memory_alloc(vk, large, &memory, &err), CR_ERR_MEMORY);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(err.message, (const char *[]){"wanted", "used", "free"}[i]));
    cr_error_clear(&err);
    /* It refuses, but what is empty can be given back first. */
    vk_memory_free(vk, held);
    hooked_fail("vkAllocateMemory", 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    done(vk_memory_alloc(vk, large, &memory, &err));
    assert_non_null(hooked_failed());
    vk_memory_free(vk, memory);
    /* More than one piece may have. */
    assert_int_equal(vk_memory_alloc(vk, vk->physical.max_buffer + 1, &memory, &err),
                     CR_ERR_MEMORY);
    assert_non_null(strstr(err.message, "in one piece"));
    cr_error_clear(&err);
    assert_int_equal(vk_memory_alloc(vk, UINT64_MAX, &memory, &err), CR_ERR_MEMORY);
    cr_error_clear(&err);
    /* And the device goes on. */
    done(vk_memory_alloc(vk, 1000, &memory, &err));
    vk_memory_free(vk, memory);
    cr_device_unref(&device);
}

/* Scratch of one call stays while the call grows it; calls follow each other in it. */
static void test_scratch(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    const struct cr_call call = {.op = CR_OP_ADD};
    uint64_t first, second, third, again;
    vk_call_begin(vk, &call);
    done(vk_scratch(vk, 1000, &first, &err));
    done(vk_scratch(vk, 1000, &second, &err));
    assert_true(second >= first + 1000);
    done(vk_scratch(vk, 40 << 20, &third, &err));
    assert_non_null(vk_memory_find(vk, first, first + 1000));
    assert_non_null(vk_memory_find(vk, third, third + (40 << 20)));
    vk_call_end(vk);
    assert_null(vk_memory_find(vk, first, first + 1000));
    vk_call_begin(vk, &call);
    done(vk_scratch(vk, 1000, &again, &err));
    assert_int_equal(again, third); /* nothing was left behind it: start over */
    done(vk_scratch(vk, 1000, &second, &err));
    vk_call_end(vk);
    vk_call_begin(vk, &call);
    done(vk_scratch(vk, 1000, &third, &err));
    vk_call_end(vk);
    assert_true(third >= second + 1000); /* and so on: no need to wait for the call before */
    cr_device_unref(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),       cmocka_unit_test(test_last_use),
        cmocka_unit_test(test_large_pieces), cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
