/* SPDX-License-Identifier: MIT */
/* Cases with many parameters. */
#include <math.h>
#include <stdio.h>

#include "tensor/cases.h"

static const char *const weight_names[] = {"f32", "f16", "q8_0", "nf4", "nf4 nested"};

static void add_weights(struct cr_case *c, enum cr_weights weights, int64_t rows, int64_t columns)
{
    static const enum cr_dtype dtypes[] = {CR_DTYPE_F32, CR_DTYPE_F16, CR_DTYPE_Q8_0, CR_DTYPE_NF4};
    if (weights == CR_WEIGHTS_NESTED)
        cr_case_in_nested(c, rows, columns, CR_FILL_WEIGHT);
    else
        cr_case_in(c, dtypes[weights], 2, (int64_t[]){rows, columns}, CR_FILL_WEIGHT);
}

static void add_scales(struct cr_case *c, const struct cr_linear_case *shape, int branch)
{
    if (shape->scales == CR_SCALES_ABSENT) {
        cr_case_absent(c);
        return;
    }
    float *s = cr_case_in(c, CR_DTYPE_F32, 1, &shape->m, CR_FILL_NORMAL);
    for (int64_t i = 0; s != NULL && i < shape->m; i++)
        if (shape->scales == CR_SCALES_NONE ||
            (shape->scales == CR_SCALES_ALTERNATING && (i + branch) % 2 == 0))
            s[i] = 0;
}

static void add_branch(struct cr_case *c, const struct cr_linear_case *shape, int branch)
{
    bool other = shape->source > 0 && branch % 2 != 0;
    int64_t columns = other ? shape->source : shape->k;
    add_weights(c, shape->branch_weights, shape->rank, columns);
    add_weights(c, shape->branch_weights, shape->n, shape->rank);
    if (other)
        cr_case_in(c, CR_DTYPE_F32, 2, (int64_t[]){shape->m, columns}, CR_FILL_NORMAL);
    else
        cr_case_absent(c);
    add_scales(c, shape, branch);
}

void cr_case_linear(struct cr_case *c, const struct cr_linear_case *shape, uint64_t seed)
{
    static const char *const activations[] = {"", ", gelu", ", quick_gelu", ", silu", ", relu"};
    static const char *const scales[] = {"", " skipped", " scaled", " alternating"};
    bool fused = shape->activation != CR_ACTIVATION_NONE || shape->residual || shape->branches > 0;
    char branches[48] = "";
    if (shape->branches > 0)
        snprintf(branches, sizeof(branches), ", %d branches %s%s", shape->branches,
                 weight_names[shape->branch_weights], scales[shape->scales]);
    cr_case_init(c, fused ? CR_OP_LINEAR_FUSED : CR_OP_LINEAR, seed,
                 "x [%lld, %lld], w [%lld] %s%s%s%s%s", (long long)shape->m, (long long)shape->k,
                 (long long)shape->n, weight_names[shape->weights], shape->bias ? ", bias" : "",
                 activations[shape->activation], shape->residual ? ", residual" : "", branches);
    const int64_t y[2] = {shape->m, shape->n};
    cr_case_in(c, CR_DTYPE_F32, 2, (int64_t[]){shape->m, shape->k}, CR_FILL_NORMAL);
    add_weights(c, shape->weights, shape->n, shape->k);
    if (shape->bias)
        cr_case_in(c, CR_DTYPE_F32, 1, &shape->n, CR_FILL_NORMAL);
    else
        cr_case_absent(c);
    if (fused && shape->residual)
        cr_case_in(c, CR_DTYPE_F32, 2, y, CR_FILL_NORMAL);
    else if (fused)
        cr_case_absent(c);
    for (int i = 0; i < shape->branches; i++)
        add_branch(c, shape, i);
    cr_case_out(c, CR_DTYPE_F32, 2, y, CR_FILL_ZERO);
    c->call.ints[0] = shape->activation;
    c->call.ints[1] = shape->branches;
}

/* ---- Attention ---- */

/* rows[b,j]: every key somewhere in the cache, in no order, every seventh missing. */
static void fill_rows(struct cr_case *c, int32_t *rows, int64_t count, int64_t room)
{
    for (int64_t i = 0; rows != NULL && i < count; i++)
        rows[i] = i % 7 == 3 ? -1 : (int32_t)(cr_case_uniform(&c->seed) * (double)room);
}

/* Each of the extra operands is broadcast over some extents and full in others. */
static void add_extras(struct cr_case *c, const struct cr_attention_case *s)
{
    int32_t *lengths = NULL;
    uint8_t *mask = NULL;
    if (s->lengths)
        lengths = cr_case_in(c, CR_DTYPE_I32, 1, &s->b, CR_FILL_ZERO);
    else
        cr_case_absent(c);
    for (int64_t i = 0; lengths != NULL && i < s->b; i++)
        lengths[i] = (int32_t)(cr_case_uniform(&c->seed) * (double)(s->keys + 1));
    const int64_t of_mask[4] = {s->b, 1, s->queries, s->keys},
                  of_bias[4] = {1, s->heads, s->queries, s->keys};
    if (s->mask)
        mask = cr_case_in(c, CR_DTYPE_U8, 4, of_mask, CR_FILL_ZERO);
    else
        cr_case_absent(c);
    for (int64_t i = 0; mask != NULL && i < s->b * s->queries * s->keys; i++)
        mask[i] = cr_case_uniform(&c->seed) < 0.7 ? 1 + (uint8_t)(i % 255) : 0;
    if (s->bias)
        cr_case_in(c, CR_DTYPE_F32, 4, of_bias, CR_FILL_NORMAL);
    else
        cr_case_absent(c);
    if (s->rows)
        fill_rows(c, cr_case_in(c, CR_DTYPE_I32, 2, (int64_t[]){s->b, s->keys}, CR_FILL_ZERO),
                  s->b * s->keys, s->keys + 5);
    else
        cr_case_absent(c);
}

void cr_case_attention(struct cr_case *c, const struct cr_attention_case *s, uint64_t seed)
{
    cr_case_init(c, CR_OP_ATTENTION, seed,
                 "q [%lld, %lld, %lld, %lld], k [%lld, %lld] %s%s%s%s%s%s", (long long)s->b,
                 (long long)s->heads, (long long)s->queries, (long long)s->d,
                 (long long)s->kv_heads, (long long)s->keys, s->half ? "f16" : "f32",
                 s->causal ? ", causal" : "", s->lengths ? ", lengths" : "",
                 s->mask ? ", mask" : "", s->bias ? ", bias" : "", s->rows ? ", rows" : "");
    const int64_t q[4] = {s->b, s->heads, s->queries, s->d};
    const int64_t k[4] = {s->rows ? 1 : s->b, s->kv_heads, s->keys + (s->rows ? 5 : 0), s->d};
    enum cr_dtype dtype = s->half ? CR_DTYPE_F16 : CR_DTYPE_F32;
    cr_case_in(c, CR_DTYPE_F32, 4, q, CR_FILL_NORMAL);
    cr_case_in(c, dtype, 4, k, CR_FILL_NORMAL);
    cr_case_in(c, dtype, 4, k, CR_FILL_NORMAL);
    add_extras(c, s);
    cr_case_out(c, CR_DTYPE_F32, 4, q, CR_FILL_ZERO);
    c->call.ints[0] = s->causal;
    c->call.ints[1] = s->causal ? s->keys - s->queries - 1 : 0;
    c->call.reals[0] = (float)(1 / sqrt((double)s->d));
}
