/* SPDX-License-Identifier: MIT */
/* linear_cross_entropy, adamw_step, grad_norm. */
#include <math.h>
#include <string.h>

#include "linear.h"
#include "reduce.h"

#include "shaders.h"

#define ELEMENT_THREADS 128

/* ---- linear_cross_entropy ---- */

#define IGNORED (-100)
#define CHUNK_BYTES ((int64_t)64 << 20)
/* So that rows and labels of a chunk fit a record. */
#define CHUNK_ROWS 512

/* Some labelled rows of x, and their labels behind them. */
struct chunk {
    uint32_t list[2 * CHUNK_ROWS];
    int64_t rows;
};

struct loss {
    const struct cr_call *call;
    int64_t n, k;
    int64_t rows;               /* of a chunk, at most */
    uint64_t x, logits, losses; /* scratch: rows, their logits; the losses of all */
};

struct rows_push {
    uint64_t x, list, y;
    uint32_t rows, k;
};

/* x's labelled rows, side by side. */
static int gather_rows(struct vk *vk, const struct loss *l, const struct chunk *c, uint64_t list,
                       struct cr_error *err)
{
    const uint64_t elements = (uint64_t)(c->rows * l->k);
    const struct rows_push push = {vk_address(&l->call->in[0]), list, l->x, (uint32_t)c->rows,
                                   (uint32_t)l->k};
    struct vk_dispatch d;
    vk_begin(&d, &vk_shader_labelled_rows, ELEMENT_THREADS);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, &l->call->in[0]);
    vk_writes_at(&d, l->x, elements * sizeof(float));
    d.groups = (elements + ELEMENT_THREADS - 1) / ELEMENT_THREADS;
    d.bytes = 2.0 * (double)elements * sizeof(float);
    return vk_dispatch(vk, &d, err);
}

struct loss_push {
    uint64_t logits, list, losses;
    uint32_t rows, k;
};

static int row_losses(struct vk *vk, const struct loss *l, const struct chunk *c, uint64_t list,
                      uint64_t losses, struct cr_error *err)
{
    static const struct vk_shader *const shaders[] = {&vk_shader_row_loss,
                                                      &vk_shader_row_loss_subgroup};
    const double logits = (double)c->rows * (double)l->n;
    const struct loss_push push = {l->logits, list, losses, (uint32_t)c->rows, (uint32_t)l->n};
    struct vk_reduction r;
    struct vk_dispatch d;
    vk_reduction_plan_whole(&r, vk, c->rows, l->n);
    vk_reduction_begin(&d, vk, &r, shaders);
    vk_push(&d, &push, sizeof(push));
    vk_reads_at(&d, l->logits, (uint64_t)(c->rows * l->n) * sizeof(float));
    vk_writes_at(&d, losses, (uint64_t)c->rows * sizeof(float));
    d.bytes = logits * sizeof(float);
    d.operations = logits * 15;
    return vk_dispatch(vk, &d, err);
}

/* The losses of the chunk's rows, to `losses`. */
static int run_chunk(struct vk *vk, const struct loss *l, struct chunk *c, uint64_t losses,
                     struct cr_error *err)
{
    const struct vk_product product = {
        .x = l->x, .w = &l->call->in[1], .y = l->logits, .rows = c->rows};
    uint64_t list;
    int result = vk_record(vk, c->list, (size_t)(2 * c->rows) * sizeof(uint32_t), &list, err);
    if (result == 0)
        result = gather_rows(vk, l, c, list, err);
    if (result == 0)
        result = vk_product(vk, &product, err);
    if (result == 0)
        result = row_losses(vk, l, c, list, losses, err);
    return result;
}

/* The next labelled rows from `*at` on. */
static void next_chunk(struct chunk *c, const struct loss *l, const int32_t *labels, int64_t *at)
{
    int32_t kept[CHUNK_ROWS];
    const int64_t m = l->call->in[0].shape[0];
    for (c->rows = 0; *at < m && c->rows < l->rows; ++*at)
        if (labels[*at] != IGNORED) {
            c->list[c->rows] = (uint32_t)*at;
            kept[c->rows++] = labels[*at];
        }
    memcpy(c->list + c->rows, kept, (size_t)c->rows * sizeof(*kept));
}

/* Scratch for chunks, and for the losses of all labelled rows. */
static int loss_init(struct loss *l, struct vk *vk, const struct cr_call *call, int64_t labelled,
                     struct cr_error *err)
{
    *l = (struct loss){.call = call, .n = call->in[1].shape[0], .k = call->in[0].shape[1]};
    l->rows = CHUNK_BYTES / (int64_t)sizeof(float) / (l->n > 0 ? l->n : 1);
    l->rows = l->rows < CHUNK_ROWS ? l->rows : CHUNK_ROWS;
    l->rows = l->rows < labelled ? l->rows : labelled;
    l->rows = l->rows > 1 ? l->rows : 1;
    int result = vk_scratch(vk, (uint64_t)(l->rows * l->k + 1) * sizeof(float), &l->x, err);
    if (result == 0)
        result = vk_scratch(vk, (uint64_t)(l->rows * l->n + 1) * sizeof(float), &l->logits, err);
    if (result == 0)
        result = vk_scratch(vk, (uint64_t)(labelled + 1) * sizeof(float), &l->losses, err);
    return result;
}

/* How many rows are labelled. The front door has checked labels that came through it. */
static int count_labels(const int32_t *labels, int64_t rows, int64_t n, int64_t *labelled,
                        struct cr_error *err)
{
    *labelled = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (labels[i] == IGNORED)
            continue;
        if (labels[i] < 0 || labels[i] >= n)
            return cr_fail(err, CR_ERR_ARGUMENT, "label %lld is %d, outside 0..%lld (%d: none)",
                           (long long)i, labels[i], (long long)n - 1, IGNORED);
        ++*labelled;
    }
    return 0;
}

static int run_loss(struct vk *vk, const struct cr_call *call, const int32_t *labels,
                    struct cr_error *err)
{
    struct loss l;
    struct chunk c;
    struct vk_reduction r;
    int64_t labelled, at = 0, done = 0;
    int result = count_labels(labels, call->in[0].shape[0], call->in[1].shape[0], &labelled, err);
    if (result == 0)
        result = loss_init(&l, vk, call, labelled, err);
    while (result == 0 && done < labelled) {
        next_chunk(&c, &l, labels, &at);
        result = run_chunk(vk, &l, &c, l.losses + (uint64_t)done * sizeof(float), err);
        done += c.rows;
    }
    if (result < 0)
        return result;
    vk_reduction_plan_whole(&r, vk, 1, labelled);
    return vk_reduce(vk, &r, VK_REDUCE_MEAN, labelled > 0 ? (float)labelled : 1, l.losses,
                     vk_address(&call->out[0]), err);
}

/* Which rows are labelled decides what is recorded, so the host has to know: this waits. */
static int linear_cross_entropy(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const size_t bytes = (size_t)call->in[0].shape[0] * sizeof(int32_t);
    int32_t *labels = cr_malloc(bytes + 1);
    if (labels == NULL)
        return cr_fail_memory(err, bytes);
    int result = bytes > 0 ? vk_fetch(vk, vk_address(&call->in[2]), labels, bytes, err) : 0;
    if (result == 0)
        result = run_loss(vk, call, labels, err);
    cr_free(labels);
    return result;
}

static const char *loss_variant(const struct vk *vk, const struct cr_call *call)
{
    return vk_product_variant(vk, &call->in[0], &call->in[1]);
}

/* ---- adamw_step ---- */

struct adamw_push {
    uint64_t grad, p, m, v;
    uint32_t count;
    float decay, beta1, beta2, other1, other2, rate, scale, epsilon;
};

static int adamw_step(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const double *reals = call->reals, step = (double)call->ints[0];
    const uint64_t count = (uint64_t)vk_elements(&call->in[0]);
    const struct adamw_push push = {
        .grad = vk_address(&call->in[0]),
        .p = vk_address(&call->out[0]),
        .m = vk_address(&call->out[1]),
        .v = vk_address(&call->out[2]),
        .count = (uint32_t)count,
        .decay = (float)(reals[0] * reals[4]),
        .beta1 = (float)reals[1],
        .beta2 = (float)reals[2],
        .other1 = (float)(1 - reals[1]),
        .other2 = (float)(1 - reals[2]),
        .rate = (float)(reals[0] / (1 - pow(reals[1], step))),
        .scale = (float)(1 / (1 - pow(reals[2], step))),
        .epsilon = (float)reals[3],
    };
    struct vk_dispatch d;
    if (count == 0)
        return 0;
    vk_begin(&d, &vk_shader_adamw, ELEMENT_THREADS);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, &call->in[0]);
    for (int i = 0; i < 3; i++) {
        vk_reads(&d, &call->out[i]);
        vk_writes(&d, &call->out[i]);
    }
    d.groups = (count + ELEMENT_THREADS - 1) / ELEMENT_THREADS;
    d.bytes = 28.0 * (double)count;
    d.operations = 15.0 * (double)count;
    return vk_dispatch(vk, &d, err);
}

/* ---- grad_norm ---- */

/* Each tensor is a row of its own, and its segments' sums follow those of the one before it. */
static int grad_norm(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct vk_reduction r[CR_CALL_MAX_INPUTS], join;
    uint64_t parts, at = 0, total = 0;
    for (int i = 0; i < call->inputs; i++) {
        vk_reduction_plan(&r[i], vk, 1, vk_elements(&call->in[i]));
        total += r[i].segments;
    }
    int result = vk_scratch(vk, total * sizeof(float), &parts, err);
    for (int i = 0; i < call->inputs && result == 0; i++) {
        result = vk_reduce(vk, &r[i], VK_REDUCE_SQUARES, 1, vk_address(&call->in[i]),
                           parts + at * sizeof(float), err);
        at += r[i].segments;
    }
    if (result < 0)
        return result;
    vk_reduction_plan_whole(&join, vk, 1, (int64_t)total);
    return vk_reduce(vk, &join, VK_REDUCE_ROOT, 1, parts, vk_address(&call->out[0]), err);
}

static const char *norm_variant(const struct vk *vk, const struct cr_call *call)
{
    struct vk_reduction r;
    vk_reduction_plan(&r, vk, 1, vk_elements(&call->in[0]));
    return r.variant;
}

/* ---- The family ---- */

static const struct vk_entry entries[] = {
    {CR_OP_LINEAR_CROSS_ENTROPY, linear_cross_entropy, loss_variant},
    {CR_OP_ADAMW_STEP, adamw_step, NULL},
    {CR_OP_GRAD_NORM, grad_norm, norm_variant},
    {0, NULL, NULL},
};

const struct vk_family vk_train_family = {entries, NULL};
