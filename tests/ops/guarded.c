/* SPDX-License-Identifier: MIT */
#include "guarded.h"

#include <float.h>
#include <math.h>

#include <crayon/memory.h>

#include "tensor/quantized.h"

/* A NaN as f32 and as f16, so that a number that is read where none should be shows. */
#define CANARY 0xFFC5
#define CANARY_BYTES 256

static const int thread_counts[] = {1, 2, 3};
#define MAX_LEVELS 16

/* ---- Tables ---- */

static void table_open(struct table *table, const struct level *level, int threads)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_params params = {.precision = CR_PRECISION_EXACT, .threads = threads};
    const struct cr_element *element = test_element();
    table->ops = element->device;
    table->state = cr_calloc(1, element->state_size);
    assert_non_null(table->state);
    snprintf(table->name, sizeof(table->name), "%s, %d threads", level->name, threads);
    set_level(level);
    if (table->ops->open(table->state, test_vulkan() != NULL ? test_vulkan() : "", &params, &err) <
        0)
        fail_msg("no device: %s", err.message);
    unset_level();
}

static struct table tables[MAX_LEVELS][COUNT(thread_counts)];

static void close_tables(void)
{
    for (size_t i = 0; i < MAX_LEVELS * COUNT(thread_counts); i++) {
        struct table *table = &tables[i / COUNT(thread_counts)][i % COUNT(thread_counts)];
        if (table->state != NULL)
            table->ops->close(table->state);
        cr_free(table->state);
        table->state = NULL;
    }
}

/* Devices stay open from case to case. */
static const struct table *table_of(size_t level, size_t threads)
{
    static bool registered;
    struct table *table = &tables[level][threads];
    const struct level *levels;
    assert_true(level < MAX_LEVELS && level < test_levels(&levels));
    if (table->state == NULL)
        table_open(table, &levels[level], thread_counts[threads]);
    if (!registered)
        atexit(close_tables);
    registered = true;
    return table;
}

const struct table *level_table(size_t level)
{
    return table_of(level, 1);
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

/* As tensors lie that devices allocate. */
#define ALL_ALIGNED (-1)

static void lay_out(struct placed *p, const struct cr_case *c, int shift)
{
    size_t at = 0;
    p->call = c->call;
    for (int i = 0; i < c->call.inputs; i++)
        if (c->call.in[i].memory != NULL)
            place(&p->call.in[i], &at, shift == ALL_ALIGNED ? 0 : i + shift);
    for (int i = 0; i < c->call.outputs; i++)
        place(&p->call.out[i], &at, shift == ALL_ALIGNED ? 0 : i + 1 + shift);
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

static void check_piece(const struct placed *p, const char *after, size_t from, size_t to,
                        const struct table *table, const struct cr_case *c)
{
    if (memcmp(after + from, p->image + from, to - from) == 0)
        return;
    while (after[from] == p->image[from])
        from++;
    fail_msg("%s of %s by %s: byte %zu, outside the outputs, was changed; the first output is at "
             "%llu",
             cr_op_name((enum cr_op)c->call.op), c->name, table->name, from,
             (unsigned long long)p->call.out[0].offset);
}

/* Outputs lie behind each other; what is before, between and behind them has to stay. */
static void check_around(const struct placed *p, const char *after, const struct table *table,
                         const struct cr_case *c)
{
    size_t from = 0;
    for (int i = 0; i < p->call.outputs; i++) {
        check_piece(p, after, from, p->call.out[i].offset, table, c);
        from = p->call.out[i].offset + cr_case_bytes(&p->call.out[i]);
    }
    check_piece(p, after, from, p->bytes, table, c);
}

/* ---- Running ---- */

/* The operands in a block of the device. */
static void allocate(struct cr_call *call, const struct placed *p, const struct table *table,
                     const struct cr_case *c)
{
    struct cr_error err = CR_ERROR_INIT;
    void *memory = NULL;
    *call = p->call;
    if (table->ops->alloc(table->state, p->bytes, &memory, &err) < 0)
        fail_msg("%s by %s: %s", c->name, table->name, err.message);
    for (int i = 0; i < call->inputs; i++)
        call->in[i].memory = call->in[i].memory != NULL ? memory : NULL;
    for (int i = 0; i < call->outputs; i++)
        call->out[i].memory = memory;
    call->precision = CR_PRECISION_EXACT;
}

static const char *variant_of(const struct placed *p, const struct table *table,
                              const struct cr_case *c)
{
    struct cr_call call;
    allocate(&call, p, table, c);
    const char *variant = table->ops->variant(table->state, &call);
    table->ops->free(table->state, call.out[0].memory);
    return variant != NULL ? variant : "";
}

/* After the call, the whole block. */
static char *run_block(const struct placed *p, const struct table *table, const struct cr_case *c)
{
    struct cr_call call;
    struct cr_error err = CR_ERROR_INIT;
    char *after = cr_malloc(p->bytes);
    assert_non_null(after);
    allocate(&call, p, table, c);
    void *memory = call.out[0].memory;
    bool ran = table->ops->upload(table->state, memory, 0, p->image, p->bytes, &err) == 0 &&
               table->ops->submit(table->state, &call, &err) == 0 &&
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
                     variant_of(p, table, c), i, error, e->bound);
    }
}

static void check_same(const struct placed *p, const char *after, const char *first,
                       const struct table *table, const struct cr_case *c)
{
    for (int i = 0; i < c->call.outputs; i++) {
        uint64_t offset = p->call.out[i].offset;
        if (memcmp(after + offset, first + offset, cr_case_bytes(&c->call.out[i])) != 0)
            fail_msg("%s of %s by %s: other bits than in another run, or with one thread",
                     cr_op_name((enum cr_op)c->call.op), c->name, table->name);
    }
}

/* The first run is compared with the reference, the others with the first. */
static void check_cpu_level(size_t level, const struct cr_case *c, const struct placed *p,
                            const struct expectation *e)
{
    char *first = NULL;
    for (size_t t = 0; t < COUNT(thread_counts); t++) {
        const struct table *table = table_of(level, t);
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

/* The levels that choose a variant which none before them has chosen; the first one always. */
static size_t list_variants(size_t chosen[MAX_LEVELS], const struct level *levels, size_t count,
                            const struct cr_case *c, const struct placed *p)
{
    const char *seen[MAX_LEVELS];
    size_t variants = 0;
    for (size_t i = 0; i < count; i++) {
        bool known = levels[i].sync != NULL;
        const char *name = known ? NULL : variant_of(p, level_table(i), c);
        for (size_t j = 0; j < variants && !known; j++)
            known = strcmp(seen[j], name) == 0;
        if (known)
            continue;
        seen[variants] = name;
        chosen[variants++] = i;
    }
    return variants;
}

/* A driver compiles for every shape, which takes most of the time. So beside the first level a case
 * takes one other variant, each in its turn; the self-test takes all. */
static size_t other_variant(const struct level *levels, size_t count, const struct cr_case *c,
                            const struct placed *p)
{
    static size_t turn;
    size_t chosen[MAX_LEVELS], variants = list_variants(chosen, levels, count, c, p);
    return variants == 1 ? 0 : chosen[1 + turn++ % (variants - 1)];
}

/* Three runs with all that the device can, one of another variant, and for some cases one with
 * other barriers. */
static void check_vulkan(const struct level *levels, size_t count, const struct cr_case *c,
                         const struct placed *p, const struct expectation *e)
{
    static size_t cases;
    const struct table *table = level_table(0);
    char *first = run_block(p, table, c), *after;
    check_numbers(p, first, table, c, e);
    for (int run = 1; run < 3; run++) {
        after = run_block(p, table, c);
        check_same(p, after, first, table, c);
        cr_free(after);
    }
    size_t other = other_variant(levels, count, c, p);
    if (other > 0) {
        after = run_block(p, level_table(other), c);
        check_numbers(p, after, level_table(other), c, e);
        cr_free(after);
    }
    cases++;
    for (size_t i = 0; i < count; i++)
        if (levels[i].sync != NULL && (cases + i) % 8 == 0) {
            after = run_block(p, level_table(i), c);
            check_same(p, after, first, level_table(i), c);
            cr_free(after);
        }
    cr_free(first);
}

static void expect(struct expectation *e, const struct cr_case *c)
{
    struct cr_error err = CR_ERROR_INIT;
    assert_int_equal(c->result, 0);
    for (int i = 0; i < c->call.outputs; i++) {
        e->numbers[i] =
            cr_malloc((size_t)cr_operand_elements(&c->call.out[i]) * sizeof(double) + 1);
        assert_non_null(e->numbers[i]);
    }
    assert_int_equal(cr_reference(&c->call, e->numbers, &err), 0);
}

static void expectation_finish(struct expectation *e)
{
    for (int i = 0; i < CR_CALL_MAX_OUTPUTS; i++)
        cr_free(e->numbers[i]);
}

static void check_placed(struct cr_case *c, double bound, int shift)
{
    struct placed p;
    struct expectation e = {.bound = bound};
    const struct level *levels;
    size_t count = test_levels(&levels);
    expect(&e, c);
    lay_out(&p, c, shift);
    fill_image(&p, c);
    if (test_vulkan() != NULL)
        check_vulkan(levels, count, c, &p, &e);
    for (size_t i = 0; i < count && test_vulkan() == NULL; i++)
        check_cpu_level(i, c, &p, &e);
    cr_free(p.image);
    expectation_finish(&e);
    cr_case_finish(c);
}

void check_case_within(struct cr_case *c, double bound)
{
    check_placed(c, bound, (int)(c->seed % 3));
}

void check_case_aligned(struct cr_case *c)
{
    double bound = cr_selftest_bound((enum cr_op)c->call.op, CR_PRECISION_EXACT);
    check_placed(c, bound, ALL_ALIGNED);
}

void check_case(struct cr_case *c)
{
    check_case_within(c, cr_selftest_bound((enum cr_op)c->call.op, CR_PRECISION_EXACT));
}

/* ---- Number by number ---- */

static bool fits(double got, double expected, double relative, double absolute)
{
    float rounded = (float)expected;
    if (isnan(got) || isnan(expected))
        return isnan(got) && isnan(expected);
    if (isinf(got) || isinf(rounded))
        return got == rounded;
    if (got == 0 && expected == 0 && absolute < 1e-30)
        return (signbit(got) != 0) == (signbit(expected) != 0);
    return fabs(got - expected) <= relative * fabs(expected) + absolute;
}

static void *memory_copy(const struct cr_operand *operand)
{
    void *copy = cr_malloc(cr_case_bytes(operand) + 1);
    assert_non_null(copy);
    memcpy(copy, operand->memory, cr_case_bytes(operand));
    return copy;
}

/* Some GPUs take f32 denormals for 0: the case is changed to what they see. */
static void flush_inputs(struct cr_case *c)
{
    for (int i = 0; i < c->call.inputs; i++) {
        float *x = c->call.in[i].memory;
        int64_t elements = c->call.in[i].dtype == CR_DTYPE_F32 && x != NULL
                               ? cr_operand_elements(&c->call.in[i])
                               : 0;
        for (int64_t j = 0; j < elements; j++)
            x[j] = fpclassify(x[j]) == FP_SUBNORMAL ? copysignf(0, x[j]) : x[j];
    }
}

/* What the numbers of a result may be. */
struct allowance {
    struct expectation exact, flushed;
    double relative, absolute;
};

static void check_output(const struct table *table, const struct cr_case *c, int index,
                         const struct allowance *a)
{
    struct cr_operand out = c->call.out[index];
    int64_t elements = cr_operand_elements(&out);
    void *result = cr_malloc(cr_case_bytes(&out) + 1);
    double *got = cr_malloc((size_t)elements * sizeof(double) + 1);
    assert_true(result != NULL && got != NULL);
    run_guarded(table, c, index, result);
    out.memory = result;
    cr_operand_numbers(&out, got);
    for (int64_t j = 0; j < elements; j++) {
        double expected = a->exact.numbers[index][j];
        if (fits(got[j], expected, a->relative, a->absolute) ||
            (test_vulkan() != NULL &&
             (fits(got[j], expected, a->relative, a->absolute + FLT_MIN) ||
              fits(got[j], a->flushed.numbers[index][j], a->relative, a->absolute + FLT_MIN))))
            continue;
        fail_msg("%s of %s by %s: number %lld of output %d is %g, expected %g",
                 cr_op_name((enum cr_op)c->call.op), c->name, table->name, (long long)j, index,
                 got[j], expected);
    }
    cr_free(got);
    cr_free(result);
}

void check_each(struct cr_case *c, double relative, double absolute)
{
    struct placed p;
    struct allowance a = {.relative = relative, .absolute = absolute};
    const struct level *levels;
    size_t count = test_levels(&levels);
    struct cr_case flushed = *c;
    expect(&a.exact, c);
    lay_out(&p, c, 0);
    for (int i = 0; i < c->call.inputs; i++) /* a copy of its own */
        if (c->call.in[i].memory != NULL)
            flushed.call.in[i].memory = memory_copy(&c->call.in[i]);
    flush_inputs(&flushed);
    expect(&a.flushed, &flushed);
    size_t other = test_vulkan() != NULL ? other_variant(levels, count, c, &p) : 0;
    for (size_t level = 0; level < count; level++)
        if (test_vulkan() == NULL || level == 0 || level == other)
            for (int i = 0; i < c->call.outputs; i++)
                check_output(level_table(level), c, i, &a);
    for (int i = 0; i < c->call.inputs; i++)
        cr_free(flushed.call.in[i].memory);
    expectation_finish(&a.exact);
    expectation_finish(&a.flushed);
    cr_free(p.image);
    cr_case_finish(c);
}
