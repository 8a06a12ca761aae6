/* SPDX-License-Identifier: MIT */
#include "guarded.h"

#include <crayon/memory.h>

#include "tensor/quantized.h"

/* A NaN as f32 and as f16, so that a number that is read where none should be shows. */
#define CANARY 0xFFC5
#define CANARY_BYTES 256

static const int thread_counts[] = {1, 2, 3};

/* ---- Tables ---- */

void table_open(struct table *table, const struct level *level, int threads)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = threads};
    const struct cr_element *element =
        cr_registry_find(test_registry(), CR_ELEMENT_DEVICE, "device-cpu", NULL);
    assert_non_null(element);
    table->ops = element->device;
    table->state = cr_calloc(1, element->state_size);
    assert_non_null(table->state);
    snprintf(table->name, sizeof(table->name), "%s, %d threads", level->name, threads);
    setenv("CRAYON_CPU_DISABLE", level->disable, 1);
    if (table->ops->open(table->state, "", &params, &err) < 0)
        fail_msg("no device: %s", err.message);
    unsetenv("CRAYON_CPU_DISABLE");
}

void table_close(struct table *table)
{
    table->ops->close(table->state);
    cr_free(table->state);
    table->state = NULL;
}

/* ---- One block ---- */

struct placed {
    struct cr_call call; /* offsets into the block, no memory yet */
    size_t bytes;
    char *image; /* what the block holds before the call */
    int operands;
};

/* Move an operand to `*at` or a little behind; odd operands are aligned to 4 only, even ones to 64
 * more often than not, as a device may have fast paths for that. */
static void place(struct cr_operand *operand, size_t *at, int index)
{
    size_t bytes = cr_case_bytes(operand);
    size_t start =
        (*at + CANARY_BYTES + 63) / 64 * 64 + (index % 3 == 0 ? 0 : 4 + 16 * (size_t)(index % 4));
    operand->offset = start;
    operand->scales += start;
    operand->nested += operand->nested != 0 ? start : 0;
    operand->nested_map += start;
    *at = start + (bytes + 3) / 4 * 4;
}

static void lay_out(struct placed *p, const struct cr_case *c, int shift)
{
    size_t at = 0;
    p->call = c->call;
    for (int i = 0; i < c->call.inputs; i++)
        if (c->call.in[i].memory != NULL)
            place(&p->call.in[i], &at, i + shift);
    for (int i = 0; i < c->call.outputs; i++)
        place(&p->call.out[i], &at, i + 1 + shift);
    p->bytes = at + CANARY_BYTES;
    p->image = cr_malloc(p->bytes);
    assert_non_null(p->image);
    const uint16_t canary = CANARY;
    for (size_t i = 0; i + 1 < p->bytes; i += 2)
        memcpy(p->image + i, &canary, sizeof(canary));
}

static bool in_place(int op)
{
    return op == CR_OP_SCATTER_ROWS || op == CR_OP_SCATTER_ADD_ROWS || op == CR_OP_KV_APPEND ||
           op == CR_OP_ADAMW_STEP;
}

static void fill_image(struct placed *p, const struct cr_case *c)
{
    for (int i = 0; i < c->call.inputs; i++)
        if (c->call.in[i].memory != NULL)
            memcpy(p->image + p->call.in[i].offset, c->call.in[i].memory,
                   cr_case_bytes(&c->call.in[i]));
    for (int i = 0; i < c->call.outputs && in_place(c->call.op); i++)
        memcpy(p->image + p->call.out[i].offset, c->call.out[i].memory,
               cr_case_bytes(&c->call.out[i]));
}

/* Is byte `at` the caller's to change? Planes of a quantised output have gaps between them. */
static bool of_output(const struct placed *p, size_t at)
{
    for (int i = 0; i < p->call.outputs; i++) {
        const struct cr_operand *out = &p->call.out[i];
        if (at >= out->offset && at < out->offset + cr_case_bytes(out))
            return true;
    }
    return false;
}

static void check_around(const struct placed *p, const char *after, const struct table *table,
                         const struct cr_case *c)
{
    for (size_t i = 0; i < p->bytes; i++)
        if (after[i] != p->image[i] && !of_output(p, i))
            fail_msg("%s of %s by %s: byte %zu outside the outputs was changed (the first output "
                     "is at %llu)",
                     cr_op_name((enum cr_op)c->call.op), c->name, table->name, i,
                     (unsigned long long)p->call.out[0].offset);
}

/* ---- Running ---- */

/* After the call, the whole block. */
static char *run_block(const struct placed *p, const struct table *table, const struct cr_case *c)
{
    struct cr_call call = p->call;
    struct cr_error err = CR_ERROR_INIT;
    void *memory = NULL;
    char *after = cr_malloc(p->bytes);
    assert_non_null(after);
    bool ran = table->ops->alloc(table->state, p->bytes, &memory, &err) == 0 &&
               table->ops->upload(table->state, memory, 0, p->image, p->bytes, &err) == 0;
    for (int i = 0; i < call.inputs; i++)
        call.in[i].memory = call.in[i].memory != NULL ? memory : NULL;
    for (int i = 0; i < call.outputs; i++)
        call.out[i].memory = memory;
    call.precision = CR_PRECISION_EXACT;
    ran = ran && table->ops->submit(table->state, &call, &err) == 0 &&
          table->ops->download(table->state, memory, 0, after, p->bytes, &err) == 0;
    table->ops->free(table->state, memory);
    if (!ran)
        fail_msg("%s of %s by %s: %s", cr_op_name((enum cr_op)c->call.op), c->name, table->name,
                 err.message);
    check_around(p, after, table, c);
    return after;
}

void run_guarded(const struct table *table, const struct cr_case *c, int index, void *result)
{
    struct placed p;
    lay_out(&p, c, 0);
    fill_image(&p, c);
    char *after = run_block(&p, table, c);
    memcpy(result, after + p.call.out[index].offset, cr_case_bytes(&c->call.out[index]));
    cr_free(after);
    cr_free(p.image);
}

/* What every run of one level has to give. */
struct expectation {
    double *numbers[CR_CALL_MAX_OUTPUTS];
    double bound;
};

static void check_numbers(const struct placed *p, const char *after, const struct table *table,
                          const struct cr_case *c, const struct expectation *e)
{
    for (int i = 0; i < c->call.outputs; i++) {
        double error = cr_case_error(&c->call.out[i], after + p->call.out[i].offset, e->numbers[i]);
        if (error > e->bound)
            fail_msg("%s of %s by %s (%s): output %d is off by %.3e, %.0e allowed",
                     cr_op_name((enum cr_op)c->call.op), c->name, table->name,
                     table->ops->variant(table->state, &c->call), i, error, e->bound);
    }
}

static void check_same(const struct placed *p, const char *after, const char *first,
                       const struct table *table, const struct cr_case *c)
{
    for (int i = 0; i < c->call.outputs; i++) {
        uint64_t offset = p->call.out[i].offset;
        if (memcmp(after + offset, first + offset, cr_case_bytes(&c->call.out[i])) != 0)
            fail_msg("%s of %s by %s: other bits than with one thread, or in another run",
                     cr_op_name((enum cr_op)c->call.op), c->name, table->name);
    }
}

/* The first run is compared with the reference, the others with the first. */
static void check_level(const struct level *level, size_t index, const struct cr_case *c,
                        const struct placed *p, const struct expectation *e)
{
    static struct table tables[8][COUNT(thread_counts)];
    char *first = NULL;
    for (size_t t = 0; t < COUNT(thread_counts); t++) {
        struct table *table = &tables[index][t];
        if (table->state == NULL)
            table_open(table, level, thread_counts[t]);
        for (int run = 0; run < (thread_counts[t] == 2 ? 3 : 1); run++) {
            char *after = run_block(p, table, c);
            if (first == NULL) {
                check_numbers(p, after, table, c, e);
                first = after;
                continue;
            }
            check_same(p, after, first, table, c);
            cr_free(after);
        }
    }
    cr_free(first);
}

void check_case_within(struct cr_case *c, double bound)
{
    struct placed p;
    struct expectation e = {.bound = bound};
    struct cr_error err = CR_ERROR_INIT;
    const struct level *levels;
    size_t count = test_levels(&levels);
    assert_int_equal(c->result, 0);
    for (int i = 0; i < c->call.outputs; i++) {
        e.numbers[i] = cr_malloc((size_t)cr_operand_elements(&c->call.out[i]) * sizeof(double) + 1);
        assert_non_null(e.numbers[i]);
    }
    assert_int_equal(cr_reference(&c->call, e.numbers, &err), 0);
    lay_out(&p, c, (int)(c->seed % 3));
    fill_image(&p, c);
    for (size_t i = 0; i < count; i++)
        check_level(&levels[i], i, c, &p, &e);
    cr_free(p.image);
    for (int i = 0; i < c->call.outputs; i++)
        cr_free(e.numbers[i]);
    cr_case_finish(c);
}

void check_case(struct cr_case *c)
{
    check_case_within(c, cr_selftest_bound((enum cr_op)c->call.op, CR_PRECISION_EXACT));
}
