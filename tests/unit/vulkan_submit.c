/* SPDX-License-Identifier: MIT */
/* Submissions: how work is cut, handed over and waited for; devices side by side and one after the
 * other. */
#include "test.h"

#include <math.h>

#include "base/fault.h"
#include "shaders.h"
#include "tensor/cases.h"
#include "vulkan_hooks.h"

static struct cr_error err = CR_ERROR_INIT;

static void done(int result)
{
    if (result < 0)
        fail_msg("%s", err.message);
}

/* ---- Cutting ---- */

/* A dispatch that writes nothing, of this size. */
static void dispatch_groups(struct cr_device *device, uint64_t groups, uint32_t layers,
                            double operations)
{
    struct vk *vk = hooked_inside(device);
    struct vk_dispatch d;
    const uint32_t push[5] = {0};
    vk_begin(&d, &vk_shader_limit_fma, 64);
    vk_push(&d, push, sizeof(push));
    d.groups = groups;
    d.layers = layers;
    d.operations = operations;
    done(vk_dispatch(vk, &d, &err));
    done(vk_synchronize(vk, &err));
}

/* Every group of the folded grid once, whatever the number of pieces; none beyond. */
static void test_every_group_once(void **state)
{
    (void)state;
    static const struct {
        uint64_t groups;
        uint32_t layers;
        double seconds; /* by the estimate */
    } rows[] = {
        {1, 0, 0},
        {1, 1, 50},
        {32767, 1, 0},
        {32768, 1, 0},
        {32769, 1, 0.5},
        {65536, 1, 7.3},
        {100000, 2, 0.35},
        {32768 * 5 + 17, 1, 3},
        {32768 * 4 + 9, 1, 0},
        {7, 33, 2.1},
        {5, 3, 1},
        {3, 7, 50},
    };
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const uint32_t layers = rows[i].layers == 0 ? 1 : rows[i].layers;
        const size_t space = (size_t)32768 * 6 * layers;
        const struct hooked_grid grid = {32768, 6, layers, calloc(space, 1)};
        hooked_watch_groups(&grid);
        vk->counters.largest_estimate = 0;
        uint64_t before = vk->counters.submissions;
        dispatch_groups(device, rows[i].groups, rows[i].layers,
                        rows[i].seconds * vk->queue.operation_rate);
        hooked_watch_groups(NULL);
        for (size_t at = 0; at < space; at++)
            if (grid.counts[at] != (at % ((size_t)32768 * 6) < rows[i].groups))
                fail_msg("%llu groups in %u layers, %g s: group %zu is executed %d times",
                         (unsigned long long)rows[i].groups, layers, rows[i].seconds, at,
                         grid.counts[at]);
        free(grid.counts);
        uint64_t most = rows[i].groups > layers ? rows[i].groups : layers;
        double whole = rows[i].seconds / (double)most;
        if (vk->counters.largest_estimate > vk->queue.limit * 1.01 + whole)
            fail_msg("a submission of %g s", vk->counters.largest_estimate);
        if (rows[i].seconds > 0 && most > 1)
            assert_true(vk->counters.submissions - before > 1);
    }
    cr_device_unref(&device);
}

/* A product, cut into many submissions and in one. */
static void test_cut_work_is_right(void **state)
{
    (void)state;
    enum {
        SIDE = 64
    };
    const int64_t shape[2] = {SIDE, SIDE};
    float results[2][SIDE * SIDE];
    uint64_t submissions[2];
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            setenv("CRAYON_VULKAN_SUBMIT_MS", "0.05", 1);
        struct cr_device *device = hooked_device();
        unsetenv("CRAYON_VULKAN_SUBMIT_MS");
        struct cr_tensor *flat = hooked_numbers(device, SIDE * SIDE, -1, 0.001f), *x, *y, *z;
        done(cr_op_reshape(&x, flat, 2, shape, &err));
        done(cr_op_linear(&y, x, x, NULL, &err));
        done(cr_op_reduce(&z, CR_OP_SOFTMAX, y, &err));
        memcpy(results[i], hooked_read(z), sizeof(results[i]));
        submissions[i] = hooked_inside(device)->counters.submissions;
        cr_tensor_unref(&flat);
        cr_tensor_unref(&x);
        cr_tensor_unref(&y);
        cr_tensor_unref(&z);
        cr_device_unref(&device);
    }
    assert_true(submissions[1] > submissions[0] + 2);
    assert_memory_equal(results[0], results[1], sizeof(results[0]));
}

/* ---- Rings ---- */

/* More records and staged bytes than the rings hold, while earlier ones are in use. */
static void test_rings_go_round(void **state)
{
    (void)state;
    enum {
        ROUNDS = 600,
        BYTES = 4096
    };
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    struct cr_tensor *x = hooked_numbers(device, 1, 1, 0), *y = NULL;
    char record[BYTES];
    const struct cr_call call = {.op = CR_OP_ADD};
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t address = 0;
        memset(record, i, sizeof(record));
        vk_call_begin(vk, &call);
        done(vk_record(vk, record, sizeof(record), &address, &err));
        vk_call_end(vk);
        assert_true(address % 256 == 0);
        cr_tensor_unref(&y);
        done(cr_op_add(&y, x, x, &err));
    }
    assert_true(hooked_read(y)[0] == 2);
    assert_int_equal(vk->rings[VK_RING_RECORDS].head, (uint64_t)ROUNDS * BYTES);
    assert_int_equal(vk_record(vk, record, BYTES + 1, &(uint64_t){0}, &err), CR_ERR_INTERNAL);
    cr_error_clear(&err);
    cr_tensor_unref(&x);
    cr_tensor_unref(&y);
    cr_device_unref(&device);
}

/* Uploads into memory that work in flight reads: what was recorded before sees the old numbers. */
static void test_upload_in_flight(void **state)
{
    (void)state;
    enum {
        NUMBERS = 3000000,
        ROUNDS = 4
    }; /* together more than the staging ring */
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    const int64_t shape[2] = {1, NUMBERS};
    struct cr_tensor *x, *flat = hooked_numbers(device, NUMBERS, 0, 0), *sums[ROUNDS];
    float *numbers = malloc(NUMBERS * sizeof(*numbers));
    done(cr_op_reshape(&x, flat, 2, shape, &err));
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < NUMBERS; i++)
            numbers[i] = (float)(r + 1);
        done(cr_op_reduce(&sums[r], CR_OP_MAX, x, &err));
        done(vk_upload(vk, hooked_address(x), numbers, NUMBERS * sizeof(*numbers), &err));
    }
    for (int r = 0; r < ROUNDS; r++) {
        assert_true(hooked_read(sums[r])[0] == (float)r);
        cr_tensor_unref(&sums[r]);
    }
    memset(numbers, 0, NUMBERS * sizeof(*numbers));
    done(cr_tensor_read(x, numbers, NUMBERS * sizeof(*numbers), &err));
    for (int i = 0; i < NUMBERS; i++)
        assert_true(numbers[i] == ROUNDS);
    free(numbers);
    cr_tensor_unref(&x);
    cr_tensor_unref(&flat);
    cr_device_unref(&device);
}

/* As on a GPU whose memory the host does not see: all ways through staging, in pieces. */
static void test_memory_that_is_not_mapped(void **state)
{
    (void)state;
    enum {
        NUMBERS = 3500000
    };
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    vk->heap.mapped = vk->heap.cached = false;
    float *numbers = malloc(NUMBERS * sizeof(*numbers));
    const int64_t shape[1] = {NUMBERS};
    struct cr_tensor *x;
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = (float)i;
    done(cr_tensor_upload(&x, device, CR_DTYPE_F32, 1, shape, numbers, &err));
    memset(numbers, 0, NUMBERS * sizeof(*numbers));
    done(cr_tensor_read(x, numbers, NUMBERS * sizeof(*numbers), &err));
    for (int i = 0; i < NUMBERS; i++)
        assert_true(numbers[i] == (float)i);
    assert_true(vk->counters.submissions >= 4);
    free(numbers);
    cr_tensor_unref(&x);
    cr_device_unref(&device);
}

/* Every operation that way, with all that the self-test asks of it. */
static void test_operations_without_mapped_memory(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    vk->heap.mapped = vk->heap.cached = false;
    for (int op = 1; op < CR_OP_COUNT; op++) {
        struct cr_selftest_result result;
        if (vk_find_entry(op) == NULL)
            continue;
        done(cr_selftest_run(device, (enum cr_op)op, &result, &err));
        if (result.failed != 0)
            fail_msg("%s: %s %s", cr_op_name((enum cr_op)op), result.worst, result.problem);
    }
    cr_device_unref(&device);
}

/* ---- The steady state ---- */

static int allocations;

static int count_allocations(enum cr_fault_kind kind, const void *site)
{
    (void)site;
    allocations += kind == CR_FAULT_ALLOC;
    return 0;
}

/* A loop over calls allocates nothing and compiles nothing. */
static void test_nothing_is_allocated(void **state)
{
    (void)state;
    enum {
        LOOPS = 3000
    };
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    void *memory[3];
    for (int i = 0; i < 3; i++)
        done(vk_ops.alloc(vk, 4096, &memory[i], &err));
    struct cr_call call = {.size = sizeof(call), .op = CR_OP_ADD, .inputs = 2, .outputs = 1};
    for (int i = 0; i < 3; i++) {
        struct cr_operand *operand = i < 2 ? &call.in[i] : &call.out[0];
        *operand = (struct cr_operand){
            .memory = memory[i], .dtype = CR_DTYPE_F32, .rank = 1, .shape = {1024}};
    }
    done(vk_ops.submit(vk, &call, &err));
    done(vk_ops.wait(vk, 0, &err));
    const int objects = hooked_objects();
    const struct vk_counters before = vk->counters;
    allocations = 0;
    cr_fault_set_hook(count_allocations);
    for (int i = 0; i < LOOPS; i++) {
        struct cr_operand out = call.out[0];
        call.out[0] = call.in[i % 2];
        call.in[i % 2] = out;
        done(vk_ops.submit(vk, &call, &err));
        if (i % 100 == 99)
            done(vk_ops.wait(vk, 0, &err));
    }
    cr_fault_set_hook(NULL);
    assert_int_equal(allocations, 0);
    assert_int_equal(hooked_objects(), objects);
    assert_int_equal(vk->counters.pipelines, before.pipelines);
    assert_int_equal(vk->counters.dispatches - before.dispatches, LOOPS);
    assert_true(vk->counters.submissions - before.submissions <= LOOPS / 10);
    for (int i = 0; i < 3; i++)
        vk_ops.free(vk, memory[i]);
    cr_device_unref(&device);
}

/* ---- Alarms ---- */

static void test_alarm(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct cr_tensor *good = hooked_numbers(device, 10, 0, 1), *bad, *index;
    bad = hooked_numbers(device, 10, 0, (float)NAN);
    for (int round = 0; round < 2; round++) {
        done(cr_op_argmax(&index, good, &err));
        cr_tensor_unref(&index);
        done(cr_device_finish(device, &err));
        done(cr_op_argmax(&index, bad, &err));
        cr_tensor_unref(&index);
        assert_int_equal(cr_device_finish(device, &err), CR_ERR_DEVICE);
        assert_non_null(strstr(err.message, "argmax: "));
        cr_error_clear(&err);
        done(cr_device_finish(device, &err)); /* reported once */
    }
    cr_tensor_unref(&good);
    cr_tensor_unref(&bad);
    cr_device_unref(&device);
}

/* ---- Waiting, and the environment ---- */

/* A wait that ends early is no failure of the device. */
static void test_short_wait(void **state)
{
    (void)state;
    const int64_t shape[2] = {256, 256};
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    struct cr_tensor *flat = hooked_numbers(device, 65536, 0, 1e-5f), *x, *y;
    done(cr_op_reshape(&x, flat, 2, shape, &err));
    for (int i = 0; i < 3; i++) {
        done(cr_op_linear(&y, x, x, NULL, &err));
        assert_int_equal(vk_ops.wait(vk, 1e-9, &err), CR_ERR_DEVICE);
        assert_non_null(strstr(err.message, "not done after"));
        cr_error_clear(&err);
        done(vk_ops.wait(vk, 100, &err));
        cr_tensor_unref(&y);
    }
    cr_tensor_unref(&flat);
    cr_tensor_unref(&x);
    cr_device_unref(&device);
}

static void test_environment(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"CRAYON_VULKAN_SYNC", "some"},      {"CRAYON_VULKAN_OMIT", "all"},
        {"CRAYON_VULKAN_DISABLE", "warp"},   {"CRAYON_VULKAN_SUBMIT_MS", "1s"},
        {"CRAYON_VULKAN_SUBMIT_MS", "-200"}, {"CRAYON_VULKAN_SUBMIT_MS", "nan"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cr_device *device = NULL;
        setenv(rows[i].name, rows[i].value, 1);
        assert_int_equal(hooked_open(&device, &err), CR_ERR_ARGUMENT);
        unsetenv(rows[i].name);
        assert_non_null(strstr(err.message, rows[i].name));
        assert_non_null(strstr(err.message, rows[i].value));
        cr_error_clear(&err);
        assert_int_equal(hooked_objects(), 0);
    }
}

/* ---- Several devices ---- */

static float small_run(struct cr_device *device, float start)
{
    struct cr_tensor *x = hooked_numbers(device, 100, start, 0), *y;
    done(cr_op_add(&y, x, x, &err));
    float result = hooked_read(y)[99];
    cr_tensor_unref(&x);
    cr_tensor_unref(&y);
    return result;
}

static void test_side_by_side(void **state)
{
    (void)state;
    struct cr_device *one = hooked_device(), *other = hooked_device();
    for (int i = 0; i < 3; i++) {
        assert_true(small_run(one, (float)i) == (float)(2 * i));
        assert_true(small_run(other, (float)-i) == (float)(-2 * i));
    }
    cr_device_unref(&one);
    assert_true(small_run(other, 5) == 10);
    cr_device_unref(&other);
}

static void test_open_and_close(void **state)
{
    (void)state;
    int64_t before = cr_memory_live();
    for (int i = 0; i < 50; i++) {
        struct cr_device *device = hooked_device();
        assert_true(small_run(device, 3) == 6);
        cr_device_unref(&device);
        assert_int_equal(hooked_objects(), 0);
        assert_int_equal(cr_memory_live(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_group_once),
        cmocka_unit_test(test_cut_work_is_right),
        cmocka_unit_test(test_rings_go_round),
        cmocka_unit_test(test_upload_in_flight),
        cmocka_unit_test(test_memory_that_is_not_mapped),
        cmocka_unit_test(test_operations_without_mapped_memory),
        cmocka_unit_test(test_nothing_is_allocated),
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_short_wait),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_open_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
