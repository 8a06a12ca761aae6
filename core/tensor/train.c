/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/memory.h>
#include <crayon/ops.h>

#include "tensor/builder.h"
#include "tensor/device.h"

#define IGNORED (-100)
#define CHUNK_BYTES (64 << 20)

/* ---- Loss ---- */

/* The labelled rows and their labels. */
struct labelled {
    int32_t *rows, *labels;
    int32_t *places; /* scratch of that size */
    int64_t count;
};

static void labelled_finish(struct labelled *list)
{
    cr_free(list->rows);
    cr_free(list->labels);
    cr_free(list->places);
}

static int labelled_init(struct labelled *list, const int32_t *labels, int64_t rows,
                         struct cr_error *err)
{
    list->rows = cr_calloc((size_t)rows, sizeof(int32_t));
    list->labels = cr_calloc((size_t)rows, sizeof(int32_t));
    list->places = cr_calloc((size_t)rows, sizeof(int32_t));
    list->count = 0;
    if (list->rows == NULL || list->labels == NULL || list->places == NULL) {
        labelled_finish(list);
        return cr_fail_memory(err, (size_t)rows * sizeof(int32_t));
    }
    for (int64_t i = 0; i < rows; i++) {
        if (labels[i] == IGNORED)
            continue;
        list->rows[list->count] = (int32_t)i;
        list->labels[list->count++] = labels[i];
    }
    return 0;
}

struct chunk {
    struct cr_tensor *rows, *places, *x, *logits, *logp, *flat, *picked, *loss;
};

static void chunk_finish(struct chunk *c)
{
    struct cr_tensor **all[] = {&c->rows, &c->places, &c->x,      &c->logits,
                                &c->logp, &c->flat,   &c->picked, &c->loss};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        cr_tensor_unref(all[i]);
}

/* The losses [count,1] of some labelled rows: -log_softmax(logits)[label]. `places` is scratch for
 * `count` numbers. */
static int chunk_loss(struct chunk *c, const struct cr_tensor *x, const struct cr_tensor *w,
                      const int32_t *rows, const int32_t *labels, int32_t *places, int64_t count,
                      struct cr_error *err)
{
    struct cr_device *device = x->buffer->device;
    int64_t n = w->shape[0];
    for (int64_t i = 0; i < count; i++)
        places[i] = (int32_t)(i * n + labels[i]);
    int result;
    (void)((result = cr_tensor_upload(&c->rows, device, CR_DTYPE_I32, 1, &count, rows, err)) < 0 ||
           (result = cr_tensor_upload(&c->places, device, CR_DTYPE_I32, 1, &count, places, err)) <
               0 ||
           (result = cr_op_gather_rows(&c->x, x, c->rows, err)) < 0 ||
           (result = cr_op_linear(&c->logits, c->x, w, NULL, err)) < 0 ||
           (result = cr_op_reduce(&c->logp, CR_OP_LOG_SOFTMAX, c->logits, err)) < 0 ||
           (result = cr_op_reshape(&c->flat, c->logp, 2, (int64_t[]){count * n, 1}, err)) < 0 ||
           (result = cr_op_gather_rows(&c->picked, c->flat, c->places, err)) < 0 ||
           (result = cr_op_scale(&c->loss, c->picked, -1, err)) < 0);
    return result;
}

/* *total += the sum of the chunk's losses. */
static int add_chunk(struct cr_tensor **total, const struct cr_tensor *losses, int64_t count,
                     struct cr_error *err)
{
    struct cr_tensor *row = NULL, *sum = NULL, *flat = NULL, *next = NULL;
    int result;
    (void)((result = cr_op_reshape(&row, losses, 2, (int64_t[]){1, count}, err)) < 0 ||
           (result = cr_op_reduce(&sum, CR_OP_SUM, row, err)) < 0 ||
           (result = cr_op_reshape(&flat, sum, 1, (int64_t[]){1}, err)) < 0 ||
           (result = cr_op_add(&next, *total, flat, err)) < 0);
    cr_tensor_unref(&row);
    cr_tensor_unref(&sum);
    cr_tensor_unref(&flat);
    if (result == 0) {
        cr_tensor_unref(total);
        *total = next;
    }
    return result;
}

static int compose_loss(struct cr_tensor **loss, const struct cr_tensor *x,
                        const struct cr_tensor *w, const int32_t *labels, struct cr_error *err)
{
    struct labelled list;
    struct cr_tensor *total = NULL;
    const int64_t one = 1;
    int result = labelled_init(&list, labels, x->shape[0], err);
    if (result < 0)
        return result;
    int64_t step = CHUNK_BYTES / (int64_t)sizeof(float) / (w->shape[0] > 0 ? w->shape[0] : 1);
    step = step < 1 ? 1 : step;
    result = cr_op_fill(&total, x->buffer->device, CR_DTYPE_F32, 1, &one, 0, err);
    for (int64_t at = 0; result == 0 && at < list.count; at += step) {
        struct chunk c = {NULL};
        int64_t count = list.count - at < step ? list.count - at : step;
        result = chunk_loss(&c, x, w, list.rows + at, list.labels + at, list.places, count, err);
        if (result == 0)
            result = add_chunk(&total, c.loss, count, err);
        chunk_finish(&c);
    }
    if (result == 0)
        result = cr_op_scale(loss, total, list.count > 0 ? 1.0f / (float)list.count : 0, err);
    cr_tensor_unref(&total);
    labelled_finish(&list);
    return result;
}

int cr_op_linear_cross_entropy(struct cr_tensor **loss, const struct cr_tensor *x,
                               const struct cr_tensor *w, const int32_t *labels,
                               struct cr_error *err)
{
    struct cr_builder b;
    struct cr_tensor *kept = NULL;
    const int64_t one = 1;
    *loss = NULL;
    cr_build(&b, CR_OP_LINEAR_CROSS_ENTROPY, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_in(&b, "w", w, CR_WEIGHTS);
    cr_build_rank(&b, "x", x, 2, 2);
    cr_build_rank(&b, "w", w, 2, 2);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_shape(&b, "w", w, 2, (int64_t[]){-1, x->shape[1]});
    for (int64_t i = 0; cr_build_ok(&b) && i < x->shape[0]; i++)
        cr_build_expect(&b, labels[i] == IGNORED || (labels[i] >= 0 && labels[i] < w->shape[0]),
                        "label %lld is %d, outside 0..%lld (%d: not labelled)", (long long)i,
                        labels[i], (long long)w->shape[0] - 1, IGNORED);
    cr_build_ints(&b, b.device, 1, x->shape, labels, &kept);
    if (cr_build_ok(&b) && !cr_device_supports(b.device, &b.call)) {
        cr_tensor_unref(&kept);
        return compose_loss(loss, x, w, labels, err);
    }
    cr_build_out(&b, loss, CR_DTYPE_F32, 1, &one);
    int result = cr_build_submit(&b);
    cr_tensor_unref(&kept);
    return result;
}

/* ---- Optimiser ---- */

int cr_op_adamw_step(struct cr_tensor *p, struct cr_tensor *m, struct cr_tensor *v,
                     const struct cr_tensor *grad, const struct cr_adamw *adamw,
                     struct cr_error *err)
{
    struct cr_builder b;
    cr_build(&b, CR_OP_ADAMW_STEP, err);
    cr_build_in(&b, "grad", grad, CR_F32);
    cr_build_in_place(&b, "p", p, CR_F32);
    cr_build_in_place(&b, "m", m, CR_F32);
    cr_build_in_place(&b, "v", v, CR_F32);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_shape(&b, "p", p, grad->rank, grad->shape);
    cr_build_shape(&b, "m", m, grad->rank, grad->shape);
    cr_build_shape(&b, "v", v, grad->rank, grad->shape);
    cr_build_expect(&b, adamw->step >= 1, "step %lld, they count from 1", (long long)adamw->step);
    b.call.ints[0] = adamw->step;
    const float reals[] = {adamw->rate, adamw->beta1, adamw->beta2, adamw->epsilon, adamw->decay};
    for (int i = 0; i < 5; i++)
        b.call.reals[i] = reals[i];
    return cr_build_submit(&b);
}

int cr_op_grad_norm(struct cr_tensor **y, const struct cr_tensor *const *x, size_t count,
                    struct cr_error *err)
{
    struct cr_builder b;
    char name[32];
    const int64_t one = 1;
    *y = NULL;
    cr_build(&b, CR_OP_GRAD_NORM, err);
    cr_build_expect(&b, count >= 1 && count <= CR_CALL_MAX_INPUTS, "%zu tensors, 1..%d", count,
                    CR_CALL_MAX_INPUTS);
    for (size_t i = 0; cr_build_ok(&b) && i < count; i++)
        cr_build_in(&b, cr_numbered(name, "x", i), x[i], CR_F32);
    if (cr_build_ok(&b))
        cr_build_out(&b, y, CR_DTYPE_F32, 1, &one);
    return cr_build_submit(&b);
}
