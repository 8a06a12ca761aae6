/* SPDX-License-Identifier: MIT */
/* Long chains of operations without a wait between them, on memory that is handed out again and
 * again: with barriers where the ranges ask for them, with barriers everywhere, and in the other
 * order between two barriers, a GPU gives the same bits; and about what the CPU gives. */
#include <math.h>

#include "devices.h"

#include "tensor/cases.h"

#define ROWS 40
#define COLUMNS 64
#define ELEMENTS (ROWS * COLUMNS)
#define SLOTS 6
#define STEPS 150

static const int64_t matrix[2] = {ROWS, COLUMNS};

/* Matrices that replace one another, weights, a cache, and rows in an order that has each once. */
struct chain {
    struct cr_device *device;
    struct cr_tensor *slot[SLOTS], *weights[2], *cache, *order;
    uint64_t seed;
    struct cr_error err;
};

static int64_t pick(struct chain *c, int64_t count)
{
    return (int64_t)(cr_case_uniform(&c->seed) * (double)count);
}

static struct cr_tensor *upload(struct chain *c, int64_t rows)
{
    static float numbers[COLUMNS * COLUMNS];
    struct cr_tensor *tensor = NULL;
    for (int64_t i = 0; i < rows * COLUMNS; i++)
        numbers[i] = (float)cr_case_normal(&c->seed);
    assert_int_equal(cr_tensor_upload(&tensor, c->device, CR_DTYPE_F32, 2,
                                      (int64_t[]){rows, COLUMNS}, numbers, &c->err),
                     0);
    return tensor;
}

static void chain_init(struct chain *c, struct cr_device *device, uint64_t seed)
{
    int32_t order[ROWS];
    struct cr_tensor *dense;
    *c = (struct chain){.device = device, .seed = seed, .err = CR_ERROR_INIT};
    for (int i = 0; i < SLOTS; i++)
        c->slot[i] = upload(c, ROWS);
    for (int i = 0; i < 2; i++) {
        dense = upload(c, COLUMNS);
        assert_int_equal(cr_op_quantize(&c->weights[i], dense,
                                        i == 0 ? CR_DTYPE_Q8_0 : CR_DTYPE_NF4, i == 1, &c->err),
                         0);
        cr_tensor_unref(&dense);
    }
    for (int32_t i = 0; i < ROWS; i++)
        order[i] = i * 7 % ROWS;
    assert_int_equal(
        cr_tensor_upload(&c->order, device, CR_DTYPE_I32, 1, (int64_t[]){ROWS}, order, &c->err), 0);
    assert_int_equal(cr_op_fill(&c->cache, device, CR_DTYPE_F16, 4,
                                (int64_t[]){1, 2, 2 * ROWS, COLUMNS / 2}, 0, &c->err),
                     0);
}

static void chain_finish(struct chain *c)
{
    for (int i = 0; i < SLOTS; i++)
        cr_tensor_unref(&c->slot[i]);
    cr_tensor_unref(&c->weights[0]);
    cr_tensor_unref(&c->weights[1]);
    cr_tensor_unref(&c->cache);
    cr_tensor_unref(&c->order);
}

/* Append to the cache, then attend to what is there. */
static int attend(struct chain *c, struct cr_tensor **y, const struct cr_tensor *x)
{
    struct cr_tensor *heads = NULL, *queries = NULL, *attended = NULL;
    const int64_t split[4] = {1, ROWS, 2, COLUMNS / 2}, turned[4] = {1, 2, ROWS, COLUMNS / 2};
    const int32_t at = (int32_t)pick(c, ROWS);
    int result;
    (void)((result = cr_op_reshape(&heads, x, 4, split, &c->err)) < 0 ||
           (result = cr_op_kv_append(c->cache, heads, &at, NULL, &c->err)) < 0 ||
           (result = cr_op_reshape(&queries, x, 4, turned, &c->err)) < 0 ||
           (result = cr_op_attention(&attended, queries, c->cache, c->cache, NULL, &c->err)) < 0 ||
           (result = cr_op_reshape(y, attended, 2, matrix, &c->err)) < 0);
    cr_tensor_unref(&heads);
    cr_tensor_unref(&queries);
    cr_tensor_unref(&attended);
    return result;
}

/* The two halves of the columns change places. */
static int swap_halves(struct chain *c, struct cr_tensor **y, const struct cr_tensor *x)
{
    struct cr_tensor *half[2] = {NULL, NULL};
    const int64_t extent[2] = {ROWS, COLUMNS / 2};
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++)
        result =
            cr_op_slice(&half[i], x, (int64_t[]){0, i == 0 ? COLUMNS / 2 : 0}, extent, &c->err);
    if (result == 0)
        result = cr_op_concat(y, (const struct cr_tensor *const *)half, 2, 1, &c->err);
    cr_tensor_unref(&half[0]);
    cr_tensor_unref(&half[1]);
    return result;
}

/* By way of f16 and of the transposed matrix. */
static int there_and_back(struct chain *c, struct cr_tensor **y, const struct cr_tensor *x)
{
    struct cr_tensor *turned = NULL, *halves = NULL, *back = NULL;
    const int order[2] = {1, 0};
    int result;
    (void)((result = cr_op_permute(&turned, x, order, &c->err)) < 0 ||
           (result = cr_op_cast(&halves, turned, CR_DTYPE_F16, &c->err)) < 0 ||
           (result = cr_op_permute(&back, halves, order, &c->err)) < 0 ||
           (result = cr_op_cast(y, back, CR_DTYPE_F32, &c->err)) < 0);
    cr_tensor_unref(&turned);
    cr_tensor_unref(&halves);
    cr_tensor_unref(&back);
    return result;
}

/* One step; NULL in *y: the slot was changed in place. */
static int step(struct chain *c, struct cr_tensor **y, int64_t kind, struct cr_tensor *target)
{
    const struct cr_tensor *a = c->slot[pick(c, SLOTS)], *b = c->slot[pick(c, SLOTS)];
    switch (kind) {
    case 0:
        return cr_op_add(y, a, b, &c->err);
    case 1:
        return cr_op_silu_mul(y, a, b, &c->err);
    case 2:
        return cr_op_rms_norm(y, a, NULL, 1e-5f, &c->err);
    case 3:
        return cr_op_linear(y, a, c->weights[0], NULL, &c->err);
    case 4:
        return cr_op_linear(y, a, c->weights[1], NULL, &c->err);
    case 5:
        return attend(c, y, a);
    case 6:
        return swap_halves(c, y, a);
    case 7:
        return there_and_back(c, y, a);
    case 8:
        return cr_op_gather_rows(y, a, c->order, &c->err);
    case 9:
        return a == target ? 0 : cr_op_scatter_rows(target, c->order, a, &c->err);
    case 10:
        return a == target ? 0 : cr_op_scatter_add_rows(target, c->order, a, &c->err);
    case 11:
        *y = upload(c, ROWS);
        return 0;
    default:
        return cr_op_layer_norm(y, a, NULL, NULL, 1e-5f, &c->err);
    }
}

/* What is in all slots after many steps. Now and then something is read. */
static void run_chain(struct cr_device *device, uint64_t seed, float *result)
{
    struct chain c;
    float looked[ELEMENTS];
    chain_init(&c, device, seed);
    for (int i = 0; i < STEPS; i++) {
        struct cr_tensor *y = NULL;
        int64_t kind = pick(&c, 13), slot = pick(&c, SLOTS);
        if (step(&c, &y, kind, c.slot[slot]) < 0)
            fail_msg("step %d, kind %lld: %s", i, (long long)kind, c.err.message);
        if (y != NULL) {
            cr_tensor_unref(&c.slot[slot]);
            /* kept small, so that differences stay small */
            assert_int_equal(cr_op_rms_norm(&c.slot[slot], y, NULL, 1e-5f, &c.err), 0);
            cr_tensor_unref(&y);
        }
        if (i % 60 == 59)
            assert_int_equal(cr_tensor_read(c.slot[slot], looked, sizeof(looked), &c.err), 0);
    }
    for (int i = 0; i < SLOTS; i++)
        assert_int_equal(cr_tensor_read(c.slot[i], result + i * ELEMENTS, sizeof(looked), &c.err),
                         0);
    chain_finish(&c);
}

static float *run_level(const struct level *level, uint64_t seed)
{
    float *result = malloc(SLOTS * ELEMENTS * sizeof(float));
    struct cr_device *device = open_level(level, 2);
    run_chain(device, seed, result);
    cr_device_unref(&device);
    return result;
}

static void test_same_bits(void **state)
{
    (void)state;
    const struct level *levels;
    size_t count = test_levels(&levels);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        float *first = run_level(&levels[0], seed);
        for (size_t i = 0; i < count; i++) {
            if (i > 0 && levels[i].sync == NULL)
                continue;
            float *again = run_level(&levels[i], seed);
            for (int j = 0; j < SLOTS * ELEMENTS; j++)
                if (memcmp(&first[j], &again[j], sizeof(float)) != 0)
                    fail_msg("seed %d, %s: number %d of slot %d is %g, was %g", (int)seed,
                             levels[i].name, j % ELEMENTS, j / ELEMENTS, (double)again[j],
                             (double)first[j]);
            free(again);
        }
        free(first);
    }
}

/* As the CPU device computes it, up to rounding, which attention and norms carry on. */
static void test_like_cpu(void **state)
{
    (void)state;
    static float expected[SLOTS * ELEMENTS];
    const struct level *levels;
    struct cr_device *cpu = NULL;
    struct cr_error err = CR_ERROR_INIT;
    test_levels(&levels);
    assert_int_equal(cr_device_open(&cpu, test_registry(), "cpu", NULL, &err), 0);
    run_chain(cpu, 4, expected);
    cr_device_unref(&cpu);
    float *got = run_level(&levels[0], 4);
    double difference = 0, size = 0;
    for (int i = 0; i < SLOTS * ELEMENTS; i++) {
        difference += pow((double)got[i] - (double)expected[i], 2);
        size += pow((double)expected[i], 2);
    }
    assert_true(size > 0);
    if (!(sqrt(difference / size) < 1e-2))
        fail_msg("off by %.2e", sqrt(difference / size));
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_like_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
