/* SPDX-License-Identifier: MIT */
/* Memory of devices: pools, references, what happens when there is not enough, and that nothing
 * leaks. */
#include "devices.h"

#include <errno.h>
#include <pthread.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "tensor/device.h"

/* ---- The CPU device, watched ---- */

static struct cr_device_ops watched;
static const struct cr_device_ops *real;
static int opened, closed;
static int64_t blocks;      /* that are out */
static size_t bytes, limit; /* that were asked for since the last drain; what there is */
static bool submit_fails, lacks_fused;

static int watch_open(void *state, const char *selector, const struct cr_device_params *params,
                      struct cr_error *err)
{
    opened++;
    return real->open(state, selector, params, err);
}

static void watch_close(void *state)
{
    closed++;
    real->close(state);
}

/* Every block holds its size in front. */
static int watch_alloc(void *state, size_t size, void **memory, struct cr_error *err)
{
    if (limit > 0 && bytes + size > limit)
        return cr_fail(err, CR_ERR_MEMORY, "%zu bytes wanted, %zu of %zu used", size, bytes, limit);
    int result = real->alloc(state, size + 64, memory, err);
    if (result < 0)
        return result;
    memcpy(*memory, &size, sizeof(size));
    *memory = (char *)*memory + 64;
    blocks++;
    bytes += size;
    return 0;
}

static void watch_free(void *state, void *memory)
{
    size_t size;
    char *start = (char *)memory - 64;
    memcpy(&size, start, sizeof(size));
    blocks--;
    bytes -= size;
    real->free(state, start);
}

static int watch_submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    if (submit_fails)
        return cr_fail(err, CR_ERR_DEVICE, "the device is lost");
    return real->submit(state, call, err);
}

static bool watch_supports(const void *state, const struct cr_call *call)
{
    return !lacks_fused && real->supports(state, call);
}

static int create(struct cr_device **device, struct cr_error *err)
{
    struct cr_device_params params = {.threads = 2};
    const struct cr_element *element =
        cr_registry_find(test_registry(), CR_ELEMENT_DEVICE, "device-cpu", NULL);
    real = element->device;
    watched = *real;
    watched.open = watch_open;
    watched.close = watch_close;
    watched.alloc = watch_alloc;
    watched.free = watch_free;
    watched.submit = watch_submit;
    watched.supports = watch_supports;
    return cr_device_create(device, &watched, element->state_size, "", &params, err);
}

static int setup(void **state)
{
    (void)state;
    opened = closed = 0;
    blocks = 0;
    bytes = limit = 0;
    submit_fails = lacks_fused = false;
    return 0;
}

/* Everything that was opened and handed out has come back. */
static int teardown(void **state)
{
    (void)state;
    return opened == closed && blocks == 0 && bytes == 0 ? 0 : -1;
}

static struct cr_device *watch(void)
{
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(create(&device, &err), 0);
    return device;
}

static struct cr_tensor *numbers(struct cr_device *device, int64_t rows, int64_t columns)
{
    struct cr_tensor *tensor = NULL;
    float *data = malloc((size_t)(rows * columns) * sizeof(float) + 1);
    for (int64_t i = 0; i < rows * columns; i++)
        data[i] = (float)(i % 17) / 16 - 0.5f;
    assert_int_equal(
        cr_tensor_upload(&tensor, device, CR_DTYPE_F32, 2, (int64_t[]){rows, columns}, data, NULL),
        0);
    free(data);
    return tensor;
}

/* ---- References ---- */

/* A device lives as long as a tensor on it, or a view of one. */
static void test_references(void **state)
{
    (void)state;
    struct cr_device *device = watch(), *more = cr_device_ref(device);
    struct cr_tensor *x = numbers(device, 2, 3), *view = NULL;
    float data[6];
    struct cr_error err = CR_ERROR_INIT;
    assert_ptr_equal(cr_tensor_device(x), device);
    assert_int_equal(cr_op_reshape(&view, x, 1, (int64_t[]){6}, &err), 0);
    cr_device_unref(&device);
    assert_null(device);
    cr_device_unref(&more);
    cr_tensor_unref(&x);
    assert_int_equal(closed, 0);
    assert_int_equal(cr_tensor_read(view, data, sizeof(data), &err), 0);
    assert_true(data[5] == 5.0f / 16 - 0.5f);
    cr_tensor_unref(&view);
    assert_int_equal(closed, 1);
    cr_device_unref(&device); /* NULL is nothing */
}

static void test_moving(void **state)
{
    (void)state;
    struct cr_device *device = watch();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = numbers(device, 5, 7), *same = NULL, *host = NULL, *back = NULL;
    float a[35], b[35];
    assert_int_equal(cr_tensor_to(&same, x, device, &err), 0);
    assert_ptr_equal(same, x);
    assert_int_equal(cr_tensor_to(&host, x, NULL, &err), 0);
    assert_null(cr_tensor_device(host));
    assert_int_equal(cr_tensor_to(&back, host, device, &err), 0);
    assert_ptr_equal(cr_tensor_device(back), device);
    assert_int_equal(cr_tensor_extent(back, 1), 7);
    assert_int_equal(cr_tensor_read(x, a, sizeof(a), &err), 0);
    assert_int_equal(cr_tensor_read(back, b, sizeof(b), &err), 0);
    assert_memory_equal(a, b, sizeof(a));
    cr_tensor_unref(&x);
    cr_tensor_unref(&same);
    cr_tensor_unref(&host);
    cr_tensor_unref(&back);
    cr_device_unref(&device);
}

/* ---- Pools ---- */

/* A layer's worth of operations on three rows, with everything that they need. */
struct layer {
    struct cr_device *device;
    struct cr_tensor *x, *w, *quantised, *norm, *a, *b, *scale, *cache, *ids;
};

static int layer_init(struct layer *l, struct cr_device *device, struct cr_error *err)
{
    static const float data[64 * 64] = {0.5f, -0.25f};
    static const int64_t square[2] = {64, 64}, low[2] = {8, 64}, high[2] = {64, 8}, x[2] = {3, 64},
                         cache[4] = {1, 2, 9, 32}, three = 3, k = 64;
    static const int32_t ids[3] = {5, -1, 60};
    memset(l, 0, sizeof(*l));
    l->device = device;
    int result;
    (void)((result = cr_tensor_upload(&l->x, device, CR_DTYPE_F32, 2, x, data, err)) < 0 ||
           (result = cr_tensor_upload(&l->w, device, CR_DTYPE_F32, 2, square, data, err)) < 0 ||
           (result = cr_op_quantize(&l->quantised, l->w, CR_DTYPE_NF4, true, err)) < 0 ||
           (result = cr_tensor_upload(&l->norm, device, CR_DTYPE_F32, 1, &k, data, err)) < 0 ||
           (result = cr_tensor_upload(&l->a, device, CR_DTYPE_F32, 2, low, data, err)) < 0 ||
           (result = cr_tensor_upload(&l->b, device, CR_DTYPE_F32, 2, high, data, err)) < 0 ||
           (result = cr_tensor_upload(&l->scale, device, CR_DTYPE_F32, 1, &three, data, err)) < 0 ||
           (result = cr_op_fill(&l->cache, device, CR_DTYPE_F16, 4, cache, 0, err)) < 0 ||
           (result = cr_tensor_create(&l->ids, CR_DTYPE_I32, 1, &three, ids, err)) < 0);
    return result;
}

static void layer_finish(struct layer *l)
{
    struct cr_tensor **all[] = {&l->x, &l->w,     &l->quantised, &l->norm, &l->a,
                                &l->b, &l->scale, &l->cache,     &l->ids};
    for (size_t i = 0; i < COUNT(all); i++)
        cr_tensor_unref(all[i]);
}

static int run_layer(const struct layer *l, struct cr_error *err)
{
    struct cr_tensor *embedded = NULL, *normed = NULL, *q = NULL, *heads = NULL, *flat = NULL;
    struct cr_tensor *attended = NULL, *y = NULL, *indices = NULL, *values = NULL, *loss = NULL;
    struct cr_linear_extra extra = {.activation = CR_ACTIVATION_SILU, .branches = 1};
    const int32_t at = 2, labels[3] = {1, -100, 63};
    int32_t best[3];
    int result;
    extra.branch[0] = (struct cr_branch){.a = l->a, .b = l->b, .scale = l->scale};
    (void)((result = cr_op_embedding(&embedded, l->quantised, l->ids, err)) < 0 ||
           (result = cr_op_rms_norm(&normed, embedded, l->norm, 1e-5f, err)) < 0 ||
           (result = cr_op_linear_fused(&q, normed, l->quantised, NULL, &extra, err)) < 0 ||
           (result = cr_op_reshape(&heads, q, 4, (int64_t[]){1, 3, 2, 32}, err)) < 0 ||
           (result = cr_op_kv_append(l->cache, heads, &at, NULL, err)) < 0 ||
           (result = cr_op_reshape(&flat, q, 4, (int64_t[]){1, 2, 3, 32}, err)) < 0 ||
           (result = cr_op_attention(&attended, flat, l->cache, l->cache, NULL, err)) < 0 ||
           (result = cr_op_reshape(&y, attended, 2, (int64_t[]){3, 64}, err)) < 0 ||
           (result = cr_op_topk(&values, &indices, y, 1, err)) < 0 ||
           (result = cr_op_linear_cross_entropy(&loss, y, l->w, labels, err)) < 0 ||
           (result = cr_tensor_read(indices, best, sizeof(best), err)) < 0);
    struct cr_tensor **all[] = {&embedded, &normed, &q,      &heads,   &flat,
                                &attended, &y,      &values, &indices, &loss};
    for (size_t i = 0; i < COUNT(all); i++)
        cr_tensor_unref(all[i]);
    return result;
}

/* After the first round nothing is asked of the device any more. */
static void check_pool(bool fused)
{
    struct cr_device *device = watch();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_memory before, after;
    struct layer layer;
    lacks_fused = !fused;
    assert_int_equal(layer_init(&layer, device, &err), 0);
    assert_int_equal(run_layer(&layer, &err), 0);
    cr_device_get_memory(device, &before);
    assert_true(before.allocations > 0 && before.used > 0 && before.pooled > 0);
    assert_true(before.peak >= before.used && before.total > 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(run_layer(&layer, &err), 0);
    cr_device_get_memory(device, &after);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.used, before.used);
    assert_int_equal(after.pooled, before.pooled);
    assert_int_equal(after.peak, before.peak);
    assert_int_equal(after.used + after.pooled, bytes);
    layer_finish(&layer);
    cr_device_get_memory(device, &after);
    assert_int_equal(after.used, 0);
    assert_int_equal(after.pooled, bytes);
    cr_device_unref(&device);
}

static void test_pool(void **state)
{
    (void)state;
    check_pool(true);
    check_pool(false);
}

/* Several threads on one device: calls are serialised, tensors are counted. */
static void *run_layers(void *device)
{
    struct cr_error error = CR_ERROR_INIT;
    struct layer layer;
    int result = layer_init(&layer, device, &error);
    for (int i = 0; i < 20 && result == 0; i++)
        result = run_layer(&layer, &error);
    layer_finish(&layer);
    return result == 0 ? device : NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct cr_device *device = watch();
    struct cr_device_memory memory;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_layers, device), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, device);
    }
    cr_device_get_memory(device, &memory);
    assert_int_equal(memory.used, 0);
    cr_device_unref(&device);
}

/* A block is not handed out for something much smaller. */
static void test_pool_fits(void **state)
{
    (void)state;
    struct cr_device *device = watch();
    struct cr_tensor *large = numbers(device, 1000, 100), *small, *nearly;
    struct cr_device_memory memory;
    cr_tensor_unref(&large);
    small = numbers(device, 10, 10);
    cr_device_get_memory(device, &memory);
    assert_int_equal(memory.allocations, 2);
    nearly = numbers(device, 950, 100);
    cr_device_get_memory(device, &memory);
    assert_int_equal(memory.allocations, 2);
    cr_tensor_unref(&small);
    cr_tensor_unref(&nearly);
    cr_device_unref(&device);
}

/* When the device has no more, what is pooled is given back and it is tried again. */
static void test_exhaustion(void **state)
{
    (void)state;
    struct cr_device *device = watch();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = NULL, *kept = numbers(device, 8, 8);
    limit = 64 << 10;
    for (int64_t i = 1; i < 6; i++) {
        x = numbers(device, i * 16, 16);
        cr_tensor_unref(&x);
    }
    int64_t before = blocks;
    assert_true(before > 3);
    x = numbers(device, 63 * 4 - 1, 64);
    assert_int_equal(blocks, 2);
    struct cr_tensor *y = NULL;
    assert_int_equal(cr_op_scale(&y, x, 2, &err), CR_ERR_MEMORY);
    assert_null(y);
    assert_ptr_equal(strstr(err.message, "scale: "), err.message);
    assert_non_null(strstr(err.message, "bytes wanted"));
    cr_tensor_unref(&x);
    cr_tensor_unref(&kept);
    cr_device_unref(&device);
}

static void test_failing_submit(void **state)
{
    (void)state;
    struct cr_device *device = watch();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *x = numbers(device, 3, 4), *y = NULL, *indices = NULL;
    submit_fails = true;
    assert_int_equal(cr_op_topk(&y, &indices, x, 2, &err), CR_ERR_DEVICE);
    assert_text("submit", err.message, "topk: the device is lost");
    assert_null(y);
    assert_null(indices);
    cr_tensor_unref(&x);
    cr_device_unref(&device);
}

/* ---- Faults ---- */

/* Which allocation fails, and whether fused operations are composed. */
static int work(void *user, struct cr_error *err)
{
    struct cr_device *device = NULL;
    struct layer layer;
    lacks_fused = *(bool *)user;
    int result = create(&device, err);
    if (result < 0)
        return result;
    result = layer_init(&layer, device, err);
    if (result == 0)
        result = run_layer(&layer, err);
    layer_finish(&layer);
    cr_device_unref(&device);
    return result;
}

static void all_came_back(void *user, int result)
{
    (void)user;
    (void)result;
    assert_int_equal(blocks, 0);
    assert_int_equal(bytes, 0);
}

static void test_faults(void **state)
{
    (void)state;
    for (int composed = 0; composed < 2; composed++) {
        bool lacks = composed != 0;
        assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, work, all_came_back, &lacks) > 30);
    }
    opened = closed; /* a failed open is not closed */
}

/* The operations of every family once, with and without memory. */
static int other_work(void *user, struct cr_error *err)
{
    struct cr_tensor *x = NULL, *y = NULL, *z = NULL, *host = NULL;
    struct cr_device *device = NULL;
    const int64_t shape[4] = {1, 4, 6, 8};
    const int one[2] = {1, 1}, order[4] = {3, 1, 0, 2};
    (void)user;
    int result = create(&device, err);
    if (result < 0)
        return result;
#define STEP(call) ((result = (call)) < 0 || (cr_tensor_unref(&y), cr_tensor_unref(&z), false))
    (void)(STEP(cr_op_fill(&x, device, CR_DTYPE_F32, 4, shape, 1, err)) ||
           STEP(cr_op_conv2d(&y, x, x, NULL, one, one, err)) ||
           STEP(cr_op_resize(&y, x, (struct cr_size){9, 5}, CR_INTERPOLATION_BICUBIC, err)) ||
           STEP(cr_op_permute(&y, x, order, err)) ||
           STEP(cr_op_matmul(&y, x, x, false, true, 1, err)) ||
           STEP(cr_op_group_norm(&y, x, NULL, NULL, 2, 1e-5f, err)) ||
           STEP(cr_op_reduce(&y, CR_OP_SOFTMAX, x, err)) ||
           STEP(cr_op_concat(&y, (const struct cr_tensor *const[]){x, x}, 2, 1, err)) ||
           STEP(cr_op_grad_norm(&y, (const struct cr_tensor *const[]){x, x}, 2, err)) ||
           STEP(cr_op_topk(&y, &z, x, 3, err)) || STEP(cr_tensor_to(&host, x, NULL, err)) ||
           STEP(cr_tensor_to(&y, host, device, err)));
#undef STEP
    cr_tensor_unref(&x);
    cr_tensor_unref(&y);
    cr_tensor_unref(&z);
    cr_tensor_unref(&host);
    cr_device_unref(&device);
    return result;
}

static void test_other_faults(void **state)
{
    (void)state;
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, other_work, all_came_back, NULL) > 20);
    opened = closed;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_references),     TEST(test_moving),    TEST(test_pool),
        TEST(test_threads),        TEST(test_pool_fits), TEST(test_exhaustion),
        TEST(test_failing_submit), TEST(test_faults),    TEST(test_other_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
