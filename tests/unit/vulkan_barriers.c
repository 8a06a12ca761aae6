/* SPDX-License-Identifier: MIT */
/* Where barriers are, and that the tests would notice if one were missing: work between two
 * barriers in reverse order gives the same bits; leave out one class of barrier, and it does not.
 */
#include "test.h"

#include "shaders.h"
#include "vulkan_hooks.h"

#define COUNT_NUMBERS 1000

/* What a small program of dependent operations computed. */
typedef float (*chain)(struct cr_device *device);

static struct cr_error err = CR_ERROR_INIT;

static void done(int result)
{
    if (result < 0)
        fail_msg("%s", err.message);
}

static float first(const struct cr_tensor *tensor)
{
    return hooked_read(tensor)[0];
}

/* ((1 + 2) x (1 + 2)): the product reads what the sum wrote. */
static float read_after_write(struct cr_device *device)
{
    struct cr_tensor *a = hooked_numbers(device, COUNT_NUMBERS, 1, 0), *b, *sum, *product;
    b = hooked_numbers(device, COUNT_NUMBERS, 2, 0);
    done(cr_op_add(&sum, a, b, &err));
    done(cr_op_mul(&product, sum, sum, &err));
    float result = first(product);
    cr_tensor_unref(&a);
    cr_tensor_unref(&b);
    cr_tensor_unref(&sum);
    cr_tensor_unref(&product);
    return result;
}

static struct cr_tensor *row_zero(struct cr_device *device)
{
    const int32_t zero = 0;
    const int64_t one = 1;
    struct cr_tensor *rows = NULL;
    done(cr_tensor_upload(&rows, device, CR_DTYPE_I32, 1, &one, &zero, &err));
    return rows;
}

/* A tensor [1, COUNT_NUMBERS]: one row. */
static struct cr_tensor *row_of(struct cr_device *device, float value)
{
    const int64_t shape[2] = {1, COUNT_NUMBERS};
    struct cr_tensor *flat = hooked_numbers(device, COUNT_NUMBERS, value, 0), *row = NULL;
    done(cr_op_reshape(&row, flat, 2, shape, &err));
    cr_tensor_unref(&flat);
    return row;
}

/* x + 2 is recorded before x is overwritten. */
static float write_after_read(struct cr_device *device)
{
    struct cr_tensor *x = row_of(device, 1), *two = row_of(device, 2), *new = row_of(device, 40),
                     *rows = row_zero(device), *sum;
    /* The first call of its kind may prepare something, with barriers of its own. */
    done(cr_op_scatter_rows(new, rows, new, &err));
    done(cr_device_finish(device, &err));
    done(cr_op_add(&sum, x, two, &err));
    done(cr_op_scatter_rows(x, rows, new, &err));
    float result = first(sum);
    cr_tensor_unref(&x);
    cr_tensor_unref(&two);
    cr_tensor_unref(&new);
    cr_tensor_unref(&rows);
    cr_tensor_unref(&sum);
    return result;
}

/* What is written last stays. */
static float write_after_write(struct cr_device *device)
{
    struct cr_tensor *x = row_of(device, 1), *one = row_of(device, 30), *other = row_of(device, 3),
                     *rows = row_zero(device);
    done(cr_op_scatter_rows(x, rows, one, &err));
    done(cr_op_scatter_rows(x, rows, other, &err));
    float result = first(x);
    cr_tensor_unref(&x);
    cr_tensor_unref(&one);
    cr_tensor_unref(&other);
    cr_tensor_unref(&rows);
    return result;
}

/* A sum reads x, a copy overwrites it. */
static float copy_after_read(struct cr_device *device)
{
    struct vk *vk = hooked_inside(device);
    struct cr_tensor *x = hooked_numbers(device, COUNT_NUMBERS, 1, 0), *sum;
    struct vk_memory *source = NULL;
    const float many[4] = {9, 9, 9, 9};
    done(vk_memory_alloc(vk, sizeof(many), &source, &err));
    done(vk_store(vk, source->address, many, sizeof(many), &err));
    done(cr_op_add(&sum, x, x, &err));
    done(vk_copy(vk, source->address, hooked_address(x), sizeof(many), &err));
    float result = first(sum) + 1;
    vk_memory_free(vk, source);
    cr_tensor_unref(&x);
    cr_tensor_unref(&sum);
    return result;
}

static float run_with(chain run, const char *sync, const char *omit)
{
    setenv("CRAYON_VULKAN_SYNC", sync, 1);
    setenv("CRAYON_VULKAN_OMIT", omit, 1);
    setenv("CRAYON_VULKAN_SUBMIT_MS", "60000", 1);
    struct cr_device *device = hooked_device();
    float result = run(device);
    cr_device_unref(&device);
    unsetenv("CRAYON_VULKAN_SYNC");
    unsetenv("CRAYON_VULKAN_OMIT");
    unsetenv("CRAYON_VULKAN_SUBMIT_MS");
    return result;
}

static void test_each_class_is_needed(void **state)
{
    (void)state;
    static const struct {
        const char *omit;
        chain run;
        float expected;
    } rows[] = {
        {"raw", read_after_write, 9},
        {"war", write_after_read, 3},
        {"waw", write_after_write, 3},
        {"transfer", copy_after_read, 3},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        float plain = run_with(rows[i].run, "", ""), all = run_with(rows[i].run, "all", ""),
              reverse = run_with(rows[i].run, "reverse", ""),
              without = run_with(rows[i].run, "reverse", rows[i].omit);
        if (plain != rows[i].expected || all != plain || reverse != plain)
            fail_msg("%s: %g; with barriers everywhere %g, in reverse %g; right is %g",
                     rows[i].omit, (double)plain, (double)all, (double)reverse,
                     (double)rows[i].expected);
        if (without == plain)
            fail_msg("%s: the result is right without that barrier, too", rows[i].omit);
    }
}

/* As many barriers as there are dependencies, no more. */
static void test_number_of_barriers(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    const struct vk_counters *counters = &hooked_inside(device)->counters;
    struct cr_tensor *x = hooked_numbers(device, COUNT_NUMBERS, 1, 0), *apart[8], *chained[8];
    uint64_t before = counters->barriers;
    for (int i = 0; i < 8; i++)
        done(cr_op_add(&apart[i], x, x, &err));
    assert_int_equal(counters->barriers - before, 0);
    for (int i = 0; i < 8; i++)
        done(cr_op_add(&chained[i], i == 0 ? x : chained[i - 1], x, &err));
    assert_int_equal(counters->barriers - before, 7);
    assert_true(first(chained[7]) == 9);
    for (int i = 0; i < 8; i++) {
        cr_tensor_unref(&apart[i]);
        cr_tensor_unref(&chained[i]);
    }
    cr_tensor_unref(&x);
    cr_device_unref(&device);
}

/* More separate ranges than are kept, and more dispatches. */
static void test_many_ranges(void **state)
{
    (void)state;
    enum {
        MANY = 1500
    };
    static struct cr_tensor *sums[MANY];
    struct cr_device *device = hooked_device();
    struct cr_tensor *x = hooked_numbers(device, 1, 1, 0), *total = NULL;
    for (int i = 0; i < MANY; i++)
        done(cr_op_scale(&sums[i], x, (float)i, &err));
    for (int i = 0; i < MANY; i++) {
        struct cr_tensor *next = NULL;
        done(cr_op_add(&next, i == 0 ? x : total, sums[i], &err));
        cr_tensor_unref(&total);
        total = next;
        cr_tensor_unref(&sums[i]);
    }
    assert_true(first(total) == 1 + MANY * (MANY - 1) / 2);
    cr_tensor_unref(&total);
    cr_tensor_unref(&x);
    cr_device_unref(&device);
}

/* What is declared has to be there, in every build. */
static void test_ranges_are_checked(void **state)
{
    (void)state;
    struct cr_device *device = hooked_device();
    struct vk *vk = hooked_inside(device);
    struct vk_memory *memory = NULL;
    struct vk_dispatch d;
    done(vk_memory_alloc(vk, 1000, &memory, &err));
    for (int i = 0; i < 3; i++) {
        const uint64_t push[3] = {memory->address, 0, 0};
        vk_begin(&d, &vk_shader_limit_fma, 64);
        vk_push(&d, push, 20);
        d.groups = 1;
        if (i == 0)
            vk_reads_at(&d, memory->address + 1000, 100); /* 24 of them are padding */
        else if (i == 1)
            vk_writes_at(&d, memory->address - 4, 8);
        else
            for (int j = 0; j <= VK_MAX_RANGES; j++)
                vk_reads_at(&d, memory->address, 4);
        assert_int_equal(vk_dispatch(vk, &d, &err), CR_ERR_INTERNAL);
        assert_non_null(strstr(err.message, i < 2 ? "outside allocated memory" : "ranges read"));
        cr_error_clear(&err);
    }
    vk_memory_free(vk, memory);
    cr_device_unref(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_class_is_needed),
        cmocka_unit_test(test_number_of_barriers),
        cmocka_unit_test(test_many_ranges),
        cmocka_unit_test(test_ranges_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
