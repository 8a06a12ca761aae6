/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/ops.h>

#include "tensor/builder.h"

int cr_op_rope(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *cosines,
               const struct cr_tensor *sines, const struct cr_tensor *positions,
               struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_ROPE, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 4, 4);
    cr_build_in(&b, "cos", cosines, CR_F32);
    cr_build_in(&b, "sin", sines, CR_F32);
    cr_build_in(&b, "positions", positions, CR_I32);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_expect(&b, x->shape[3] % 2 == 0, "d = %lld is odd", (long long)x->shape[3]);
    cr_build_shape(&b, "cos", cosines, 2, (int64_t[]){-1, x->shape[3] / 2});
    cr_build_shape(&b, "sin", sines, 2, cosines->shape);
    cr_build_shape(&b, "positions", positions, 2, x->shape);
    cr_build_out(&b, y, CR_DTYPE_F32, 4, x->shape);
    return cr_build_submit(&b);
}

/* A mask or bias: each extent is 1 or the full one, the last is the full one. */
static void build_broadcast(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                            unsigned dtypes, const int64_t full[4])
{
    char is[96], wanted[96];
    cr_build_optional(b, name, tensor, dtypes);
    if (!cr_build_ok(b) || tensor == NULL)
        return;
    bool fits = tensor->rank == 4 && tensor->shape[3] == full[3];
    for (int i = 0; fits && i < 3; i++)
        fits = tensor->shape[i] == 1 || tensor->shape[i] == full[i];
    cr_build_expect(b, fits, "%s %s cannot be broadcast to %s", name,
                    cr_shape_text(is, tensor->rank, tensor->shape), cr_shape_text(wanted, 4, full));
}

static void check_heads(struct cr_builder *b, const struct cr_tensor *q, const struct cr_tensor *k,
                        const struct cr_tensor *v, bool rows)
{
    char qs[96], ks[96];
    cr_shape_text(qs, 4, q->shape);
    cr_shape_text(ks, 4, k->shape);
    cr_build_shape(b, "v", v, 4, k->shape);
    cr_build_expect(b, k->dtype == v->dtype, "k is %s, but v %s", cr_dtype_name(k->dtype),
                    cr_dtype_name(v->dtype));
    cr_build_expect(b, k->shape[0] == (rows ? 1 : q->shape[0]),
                    "k %s has the wrong leading extent for q %s%s", ks, qs,
                    rows ? " (1 with rows)" : "");
    cr_build_expect(b, k->shape[3] == q->shape[3], "k %s and q %s differ in d", ks, qs);
    cr_build_expect(b, q->shape[3] >= 1 && q->shape[3] <= 256, "q %s: d is outside 1..256", qs);
    cr_build_expect(b, k->shape[1] > 0 && q->shape[1] % k->shape[1] == 0,
                    "%lld query heads are no multiple of %lld key heads", (long long)q->shape[1],
                    (long long)k->shape[1]);
}

int cr_op_attention(struct cr_tensor **y, const struct cr_tensor *q, const struct cr_tensor *k,
                    const struct cr_tensor *v, const struct cr_attention *extra,
                    struct cr_error *err)
{
    static const struct cr_attention plain = {.scale = 0};
    if (extra == NULL)
        extra = &plain;
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_ATTENTION, err);
    cr_build_in(&b, "q", q, CR_F32);
    cr_build_in(&b, "k", k, CR_F32 | CR_F16);
    cr_build_in(&b, "v", v, CR_F32 | CR_F16);
    cr_build_rank(&b, "q", q, 4, 4);
    cr_build_rank(&b, "k", k, 4, 4);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    check_heads(&b, q, k, v, extra->rows != NULL);
    cr_build_optional(&b, "lengths", extra->lengths, CR_I32);
    cr_build_shape(&b, "lengths", extra->lengths, 1, q->shape);
    int64_t keys = k->shape[2];
    if (extra->rows != NULL)
        keys = extra->rows->rank == 2 ? extra->rows->shape[1] : -1;
    const int64_t full[4] = {q->shape[0], q->shape[1], q->shape[2], keys};
    build_broadcast(&b, "mask", extra->mask, CR_U8, full);
    build_broadcast(&b, "bias", extra->bias, CR_F32, full);
    cr_build_optional(&b, "rows", extra->rows, CR_I32);
    cr_build_shape(&b, "rows", extra->rows, 2, (int64_t[]){q->shape[0], -1});
    cr_build_out(&b, y, CR_DTYPE_F32, 4, q->shape);
    b.call.ints[0] = extra->causal;
    b.call.ints[1] = extra->offset;
    b.call.reals[0] = extra->scale != 0 ? extra->scale : (float)(1 / sqrt((double)q->shape[3]));
    return cr_build_submit(&b);
}

/* Where each new row goes: positions[b,l], from `at` or from `rows`, checked against the cache. */
static int32_t *append_positions(struct cr_builder *b, const struct cr_tensor *cache,
                                 const struct cr_tensor *x, const int32_t *at, const int32_t *rows)
{
    int64_t batch = x->shape[0], length = x->shape[1], room = cache->shape[2];
    size_t bytes = (size_t)(batch * length) * sizeof(int32_t);
    int32_t *positions = cr_malloc(bytes);
    if (positions == NULL) {
        b->result = cr_fail_memory(b->err, bytes);
        return NULL;
    }
    for (int64_t i = 0; i < batch * length && cr_build_ok(b); i++) {
        int64_t position = rows != NULL ? rows[i] : (int64_t)at[i / length] + i % length;
        cr_build_expect(b, position >= (rows != NULL ? -1 : 0) && position < room,
                        "row %lld of the cache, which has %lld", (long long)position,
                        (long long)room);
        positions[i] = (int32_t)position;
    }
    return positions;
}

int cr_op_kv_append(struct cr_tensor *cache, const struct cr_tensor *x, const int32_t *at,
                    const int32_t *rows, struct cr_error *err)
{
    struct cr_builder b;
    struct cr_tensor *kept = NULL;
    cr_build(&b, CR_OP_KV_APPEND, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 4, 4);
    cr_build_rank(&b, "cache", cache, 4, 4);
    cr_build_expect(&b, (at == NULL) != (rows == NULL), "either `at` or `rows` is needed");
    cr_build_in_place(&b, "cache", cache, CR_F32 | CR_F16);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_shape(&b, "cache", cache, 4,
                   (int64_t[]){rows != NULL ? 1 : x->shape[0], x->shape[2], -1, x->shape[3]});
    int32_t *positions = cr_build_ok(&b) ? append_positions(&b, cache, x, at, rows) : NULL;
    cr_build_ints(&b, b.device, 2, x->shape, positions, &kept);
    cr_free(positions);
    b.call.ints[0] = rows != NULL;
    int result = cr_build_submit(&b);
    cr_tensor_unref(&kept);
    return result;
}

int cr_op_kv_append_rows(struct cr_tensor *cache, const struct cr_tensor *x,
                         const struct cr_tensor *rows, struct cr_error *err)
{
    struct cr_builder b;
    cr_build(&b, CR_OP_KV_APPEND, err);
    cr_build_in(&b, "x", x, CR_F32);
    cr_build_rank(&b, "x", x, 4, 4);
    cr_build_rank(&b, "cache", cache, 4, 4);
    cr_build_in_place(&b, "cache", cache, CR_F32 | CR_F16);
    cr_build_in(&b, "rows", rows, CR_I32);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    cr_build_shape(&b, "cache", cache, 4, (int64_t[]){1, x->shape[2], -1, x->shape[3]});
    cr_build_shape(&b, "rows", rows, 2, x->shape);
    b.call.ints[0] = 1;
    return cr_build_submit(&b);
}

int cr_op_ms_deform_attn(struct cr_tensor **y, const struct cr_tensor *value, const int64_t *shapes,
                         int levels, const struct cr_tensor *locations,
                         const struct cr_tensor *weights, struct cr_error *err)
{
    struct cr_builder b;
    *y = NULL;
    cr_build(&b, CR_OP_MS_DEFORM_ATTN, err);
    cr_build_in(&b, "value", value, CR_F32);
    cr_build_in(&b, "locations", locations, CR_F32);
    cr_build_in(&b, "weights", weights, CR_F32);
    cr_build_rank(&b, "value", value, 4, 4);
    cr_build_rank(&b, "weights", weights, 3, 3);
    cr_build_expect(&b, levels >= 1 && levels <= 8, "%d levels, 1..8", levels);
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    int64_t cells = 0;
    for (int i = 0; i < levels; i++) {
        cr_build_expect(&b, shapes[2 * i] > 0 && shapes[2 * i + 1] > 0, "level %d is empty", i);
        cells += shapes[2 * i] * shapes[2 * i + 1];
        b.call.ints[2 + 2 * i] = shapes[2 * i];
        b.call.ints[3 + 2 * i] = shapes[2 * i + 1];
    }
    int64_t batch = value->shape[0], heads = value->shape[2], samples = weights->shape[2];
    cr_build_expect(&b, cells == value->shape[1], "value has %lld cells, the levels %lld",
                    (long long)value->shape[1], (long long)cells);
    cr_build_expect(&b, samples % levels == 0 && samples > 0,
                    "%lld samples cannot be split into %d levels", (long long)samples, levels);
    cr_build_expect(&b, batch > 0 && weights->shape[0] % batch == 0 && weights->shape[1] == heads,
                    "weights do not fit value: B*Q rows of %lld heads are needed",
                    (long long)heads);
    cr_build_shape(&b, "locations", locations, 4,
                   (int64_t[]){weights->shape[0], heads, samples, 2});
    if (!cr_build_ok(&b))
        return cr_build_end(&b);
    b.call.ints[0] = levels;
    b.call.ints[1] = samples / levels;
    cr_build_out(&b, y, CR_DTYPE_F32, 3,
                 (int64_t[]){batch, weights->shape[0] / batch, heads * value->shape[3]});
    return cr_build_submit(&b);
}
