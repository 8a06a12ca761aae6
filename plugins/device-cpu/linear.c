/* SPDX-License-Identifier: MIT */
/* linear and linear_fused: the product, then for each range of columns, while it is in the cache,
 * bias, branches, activation and residual. */
#include <math.h>
#include <string.h>

#include "activation.h"
#include "gemm.h"
#include "lanes.h"
#include "product.h"

#define LINEAR_IN_X 0
#define LINEAR_IN_W 1
#define LINEAR_IN_BIAS 2
#define LINEAR_IN_RESIDUAL 3
#define LINEAR_IN_BRANCHES 4

/* Rows of x that one task multiplies, about: half a megabyte of y, and packing the weights again
 * for each such task costs three hundredths. */
#define TASK_ROWS 1024

/* A branch with at least one row that is not skipped: t = A source for those rows, and B. */
struct branch {
    struct cpu_product up; /* B t */
    const float *scale;    /* [m], or NULL for 1 */
    const int32_t *rows;   /* which rows of y; NULL: all */
    int64_t count;
};

struct linear {
    struct cpu *cpu;
    struct cpu_product product;
    const float *bias, *residual;
    float *y;
    int64_t m, n, chunk, rows_per_task, row_tasks;
    int activation;
    int branches;
    struct branch branch[CR_MAX_BRANCHES];
    size_t scratch; /* floats of one worker's work */
    float *work;    /* that much for each thread */
};

/* ---- Memory: one block of the caller's scratch, cut into pieces ---- */

struct pieces {
    char *at;
    size_t bytes;
};

static void *piece(struct pieces *pieces, size_t bytes)
{
    bytes = (bytes + 63) / 64 * 64;
    void *memory = pieces->at;
    if (pieces->at != NULL)
        pieces->at += bytes;
    pieces->bytes += bytes;
    return memory;
}

/* ---- Ranges of y ---- */

/* y += factor x */
CPU_INLINE void add_body(enum cpu_level level, const float *x, int64_t count, float factor,
                         float *y)
{
    (void)level;
    int64_t i = 0;
    for (; i + CPU_LANES <= count; i += CPU_LANES)
        CPU_STORE8(y + i, CPU_LOAD8(y + i) + CPU_LOAD8(x + i) * factor);
    for (; i < count; i++)
        y[i] += factor * x[i];
}
CPU_VARIANTS(add, (enum cpu_level level, const float *x, int64_t count, float factor, float *y),
             (level, x, count, factor, y))

/* y[rows] += scale (B t), for columns n0..n1-1 and the branch's rows among m0..m1-1. */
static void add_branch(const struct branch *b, const struct linear *l, int64_t n0, int64_t n1,
                       int64_t m0, int64_t m1, float *work)
{
    int64_t width = n1 - n0, step = cpu_product_step(&b->up);
    float *part = work + cpu_product_scratch(&b->up);
    for (int64_t r = 0; r < b->count; r += step) {
        int64_t end = b->count - r < step ? b->count : r + step;
        int64_t first = b->rows != NULL ? b->rows[r] : r,
                last = b->rows != NULL ? b->rows[end - 1] : end - 1;
        if (last < m0 || first >= m1)
            continue;
        cpu_product_range(&b->up, n0, n1, r, end, part, width, work);
        for (int64_t i = r; i < end; i++) {
            int64_t row = b->rows != NULL ? b->rows[i] : i;
            if (row < m0 || row >= m1)
                continue;
            add(cpu_level(l->cpu), part + (i - r) * width, width,
                b->scale != NULL ? b->scale[row] : 1, l->y + row * l->n + n0);
        }
    }
}

static void finish_range(const struct linear *l, int64_t n0, int64_t n1, int64_t m0, int64_t m1,
                         float *work)
{
    const enum cpu_level level = cpu_level(l->cpu);
    for (int64_t i = m0; i < m1 && l->bias != NULL; i++)
        add(level, l->bias + n0, n1 - n0, 1, l->y + i * l->n + n0);
    for (int i = 0; i < l->branches; i++)
        add_branch(&l->branch[i], l, n0, n1, m0, m1, work);
    for (int64_t i = m0; i < m1; i++) {
        float *y = l->y + i * l->n + n0;
        cpu_activate(level, l->activation, y, n1 - n0);
        if (l->residual != NULL)
            add(level, l->residual + i * l->n + n0, n1 - n0, 1, y);
    }
}

static void run_task(void *argument, int64_t index, int worker)
{
    const struct linear *l = argument;
    int64_t n0 = index / l->row_tasks * l->chunk, m0 = index % l->row_tasks * l->rows_per_task;
    int64_t n1 = l->n - n0 < l->chunk ? l->n : n0 + l->chunk;
    int64_t m1 = l->m - m0 < l->rows_per_task ? l->m : m0 + l->rows_per_task;
    float *work = l->work + (size_t)worker * l->scratch;
    cpu_product_range(&l->product, n0, n1, m0, m1, l->y + m0 * l->n + n0, l->n, work);
    finish_range(l, n0, n1, m0, m1, work);
}

/* Columns are shared out first; rows too where there are few columns, or so many rows that their
 * part of y does not stay in the cache until it is finished. */
static void share_out(struct linear *l)
{
    l->chunk = cpu_product_chunk(&l->product);
    l->rows_per_task = l->m;
    l->row_tasks = 1;
    if (!l->product.tiled)
        return;
    const int64_t threads = cpu_pool_threads(l->cpu->pool), mr = l->product.tile.mr;
    const int64_t column_tasks = (l->n + l->chunk - 1) / l->chunk;
    int64_t row_tasks = l->m / TASK_ROWS, most = l->m / (8 * mr);
    if (row_tasks * column_tasks < 4 * threads)
        row_tasks = (4 * threads + column_tasks - 1) / column_tasks;
    row_tasks = row_tasks > most ? most : row_tasks;
    if (row_tasks <= 1)
        return;
    l->rows_per_task = ((l->m + row_tasks - 1) / row_tasks + mr - 1) / mr * mr;
    l->row_tasks = (l->m + l->rows_per_task - 1) / l->rows_per_task;
}

/* Prepare x and compute everything. */
static void run_linear(struct linear *l, float *prepared)
{
    cpu_product_prepare(&l->product, l->cpu, prepared);
    cpu_parallel(l->cpu->pool, (l->n + l->chunk - 1) / l->chunk * l->row_tasks, run_task, l);
}

/* ---- Branches ---- */

/* What one branch of the call needs before the ranges: its live rows gathered, t, and t prepared
 * for B. */
struct branch_plan {
    struct cpu_weights a, b;
    const float *source, *scale;
    int64_t columns, count;
    int32_t *rows;
    float *gathered, *t, *down_prepared, *up_prepared;
    struct linear down;
};

static int64_t count_live(const float *scale, int64_t m)
{
    int64_t count = 0;
    for (int64_t i = 0; i < m; i++)
        count += scale[i] != 0;
    return count;
}

static void plan_branch(struct branch_plan *plan, const struct cr_call *call, int index,
                        const struct cpu *cpu, int64_t m)
{
    const struct cr_operand *in = &call->in[LINEAR_IN_BRANCHES + 4 * index];
    const struct cr_operand *source = cpu_present(&in[2]) ? &in[2] : &call->in[LINEAR_IN_X];
    memset(plan, 0, sizeof(*plan));
    plan->a = cpu_weights(&in[0]);
    plan->b = cpu_weights(&in[1]);
    plan->source = cpu_data(source);
    plan->columns = cpu_last(source);
    plan->scale = cpu_data(&in[3]);
    plan->count = plan->scale != NULL ? count_live(plan->scale, m) : m;
    plan->down.cpu = (struct cpu *)(uintptr_t)cpu;
    plan->down.m = plan->count;
    plan->down.n = plan->a.rows;
    cpu_product_init(&plan->down.product, cpu, &plan->a, plan->source, plan->count);
    share_out(&plan->down);
    plan->down.scratch = cpu_product_scratch(&plan->down.product);
}

/* Cut the branch's memory; called once to count and once for real. */
static void place_branch(struct branch_plan *plan, struct branch *branch, const struct cpu *cpu,
                         int64_t m, struct pieces *pieces)
{
    size_t count = (size_t)plan->count, rank = (size_t)plan->a.rows;
    if (plan->count < m) {
        plan->rows = piece(pieces, count * sizeof(int32_t));
        plan->gathered = piece(pieces, count * (size_t)plan->columns * sizeof(float));
    }
    plan->t = piece(pieces, count * rank * sizeof(float));
    plan->down_prepared = piece(pieces, cpu_product_prepared(&plan->down.product) * sizeof(float));
    cpu_product_init(&branch->up, cpu, &plan->b, plan->t, plan->count);
    plan->up_prepared = piece(pieces, cpu_product_prepared(&branch->up) * sizeof(float));
}

static void gather_live(struct branch_plan *plan, int64_t m)
{
    int64_t count = 0;
    size_t bytes = (size_t)plan->columns * sizeof(float);
    for (int64_t i = 0; i < m; i++) {
        if (plan->scale[i] == 0)
            continue;
        memcpy(plan->gathered + count * plan->columns, plan->source + i * plan->columns, bytes);
        plan->rows[count++] = (int32_t)i;
    }
}

/* t = A source for the live rows, ready for B. */
static void run_branch(struct branch_plan *plan, struct branch *branch, struct linear *l)
{
    if (plan->rows != NULL) {
        gather_live(plan, l->m);
        plan->down.product.x = plan->gathered;
    }
    plan->down.y = plan->t;
    plan->down.work = l->work;
    run_linear(&plan->down, plan->down_prepared);
    cpu_product_prepare(&branch->up, l->cpu, plan->up_prepared);
    branch->scale = plan->scale;
    branch->rows = plan->rows;
    branch->count = plan->count;
}

/* ---- The operations ---- */

static void init_linear(struct linear *l, struct cpu *cpu, const struct cr_call *call)
{
    const struct cpu_weights w = cpu_weights(&call->in[LINEAR_IN_W]);
    memset(l, 0, sizeof(*l));
    l->cpu = cpu;
    l->y = cpu_data(&call->out[0]);
    l->m = cpu_rows(&call->in[LINEAR_IN_X]);
    l->n = w.rows;
    l->bias = cpu_data(&call->in[LINEAR_IN_BIAS]);
    cpu_product_init(&l->product, cpu, &w, cpu_data(&call->in[LINEAR_IN_X]), l->m);
    share_out(l);
    l->scratch = cpu_product_scratch(&l->product);
}

static void larger(size_t *value, size_t other)
{
    if (other > *value)
        *value = other;
}

static size_t round_floats(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static int linear(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    struct linear l;
    init_linear(&l, cpu, call);
    if (l.m == 0 || l.n == 0)
        return 0;
    if (cpu_blas_wanted(cpu, &l.product.w, l.m))
        return cpu_blas_linear(cpu, l.product.x, &l.product.w, l.m, l.bias, l.y);
    size_t threads = (size_t)cpu_pool_threads(cpu->pool);
    l.scratch = round_floats(l.scratch);
    size_t prepared = round_floats(cpu_product_prepared(&l.product));
    float *memory = cpu_caller_scratch(cpu, (prepared + threads * l.scratch) * sizeof(float));
    if (memory == NULL)
        return cr_fail_memory(err, (prepared + threads * l.scratch) * sizeof(float));
    l.work = memory + prepared;
    run_linear(&l, memory);
    return 0;
}

static int linear_fused(struct cpu *cpu, const struct cr_call *call, struct cr_error *err)
{
    struct linear l;
    struct branch_plan plans[CR_MAX_BRANCHES];
    init_linear(&l, cpu, call);
    if (l.m == 0 || l.n == 0)
        return 0;
    l.residual = cpu_data(&call->in[LINEAR_IN_RESIDUAL]);
    l.activation = (int)call->ints[0];
    for (int i = 0; i < (int)call->ints[1]; i++) {
        struct branch_plan *plan = &plans[l.branches];
        plan_branch(plan, call, i, cpu, l.m);
        if (plan->count > 0)
            l.branches++;
    }
    char *memory = NULL;
    float *prepared = NULL;
    for (int pass = 0; pass < 2; pass++) {
        struct pieces pieces = {memory, 0};
        prepared = piece(&pieces, cpu_product_prepared(&l.product) * sizeof(float));
        for (int i = 0; i < l.branches; i++) {
            struct branch *b = &l.branch[i];
            place_branch(&plans[i], b, cpu, l.m, &pieces);
            larger(&l.scratch, plans[i].down.scratch);
            larger(&l.scratch,
                   cpu_product_scratch(&b->up) + (size_t)(cpu_product_step(&b->up) * l.chunk));
        }
        l.scratch = round_floats(l.scratch);
        size_t threads = (size_t)cpu_pool_threads(cpu->pool);
        l.work = piece(&pieces, threads * l.scratch * sizeof(float));
        if (pass == 0 && (memory = cpu_caller_scratch(cpu, pieces.bytes)) == NULL)
            return cr_fail_memory(err, pieces.bytes);
    }
    for (int i = 0; i < l.branches; i++) {
        plans[i].down.scratch = l.scratch;
        run_branch(&plans[i], &l.branch[i], &l);
    }
    run_linear(&l, prepared);
    return 0;
}

static const char *linear_variant(const struct cpu *cpu, const struct cr_call *call)
{
    struct linear l;
    init_linear(&l, (struct cpu *)(uintptr_t)cpu, call);
    if (call->op == CR_OP_LINEAR && cpu_blas_wanted(cpu, &l.product.w, l.m))
        return "openblas";
    return cpu_product_name(&l.product);
}

const struct cpu_entry cpu_linear_family[] = {
    {CR_OP_LINEAR, linear, linear_variant},
    {CR_OP_LINEAR_FUSED, linear_fused, linear_variant},
    {CR_OP_MATMUL, cpu_matmul, cpu_matmul_variant},
    {0, NULL, NULL},
};
