/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "sample.h"

/* Without top_k: so many tokens hold nearly all the weight after nearly every text. */
#define WIDTH 512

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t llm_sample_width(const struct llm_decoding *decoding, int64_t vocabulary)
{
    return least(decoding->top_k > 0 ? decoding->top_k : WIDTH, vocabulary);
}

int64_t llm_sample_room(const struct llm_decoding *decoding, int64_t vocabulary)
{
    return decoding->top_k > 0 ? least(decoding->top_k, vocabulary) : vocabulary;
}

/* ---- From the device ---- */

static void read_all(struct cr_chain *c, const struct cr_tensor *x, void *data)
{
    if (c->result == 0)
        c->result = cr_tensor_read(
            x, data, (size_t)cr_tensor_elements(x) * cr_dtype_size(cr_tensor_dtype(x)), c->err);
}

void llm_read_largest(struct cr_chain *c, const struct cr_tensor *x, int64_t count, float *values,
                      int32_t *indices)
{
    struct cr_tensor *largest = NULL, *places = NULL;
    if (c->result == 0)
        c->result = cr_op_topk(&largest, &places, x, (int)count, c->err);
    read_all(c, largest, values);
    read_all(c, places, indices);
    cr_tensor_unref(&largest);
    cr_tensor_unref(&places);
}

struct cr_tensor *llm_sample_scores(struct cr_chain *c, const struct llm_decoding *decoding,
                                    struct cr_tensor *logits)
{
    if (decoding->top_k > 0)
        return logits;
    logits = CR_DO(c, cr_op_scale, logits, (float)(1 / decoding->temperature));
    return CR_DO(c, cr_op_reduce, CR_OP_SOFTMAX, logits);
}

/* ---- Distributions ---- */

static void add_probabilities(struct llm_distribution *d, int64_t count, const float *values,
                              const int32_t *indices)
{
    for (int64_t i = 0; i < count; i++, d->count++) {
        d->weights[d->count] = (double)values[i];
        d->tokens[d->count] = indices[i];
        d->total += (double)values[i];
    }
}

/* The softmax of the logits that top_k leaves. */
static void add_logits(struct llm_distribution *d, int64_t count, const float *values,
                       const int32_t *indices, double temperature)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        d->weights[i] = exp((double)(values[i] - values[0]) / temperature);
        d->tokens[i] = indices[i];
        sum += d->weights[i];
    }
    for (int64_t i = 0; i < count; i++)
        d->weights[i] /= sum;
    d->count = count;
    d->total = 1;
}

/* Add the next tokens of a row, [V, 1], after the last `count` have been struck out. */
static void add_more(struct cr_chain *c, struct llm_distribution *d, struct cr_tensor *row,
                     int64_t count, float *values, int32_t *indices)
{
    const size_t mark = cr_chain_mark(c);
    const int64_t vocabulary = cr_tensor_extent(row, 0), shape[2] = {count, 1};
    struct cr_device *device = cr_tensor_device(row);
    struct cr_tensor *known = CR_DO(c, cr_tensor_upload, device, CR_DTYPE_I32, 1, shape, indices);
    struct cr_tensor *none = CR_DO(c, cr_op_fill, device, CR_DTYPE_F32, 2, shape, -1.0f);
    if (c->result == 0)
        c->result = cr_op_scatter_rows(row, known, none, c->err);
    struct cr_tensor *line = CR_DO(c, cr_op_reshape, row, 2, (int64_t[]){1, vocabulary});
    count = least(count, vocabulary - d->count);
    llm_read_largest(c, line, count, values, indices);
    if (c->result == 0)
        add_probabilities(d, count, values, indices);
    (void)cr_chain_release(c, mark, NULL);
}

/* Add tokens until they hold `reach` of the whole. */
static void add_until(struct cr_chain *c, struct llm_distribution *d,
                      const struct cr_tensor *scores, int64_t row, float *values, int32_t *indices,
                      double reach)
{
    const int64_t vocabulary = cr_tensor_extent(scores, 1), width = d->count;
    const size_t mark = cr_chain_mark(c);
    if (d->total >= reach || d->count == vocabulary)
        return;
    struct cr_tensor *rest =
        CR_DO(c, cr_op_slice, scores, (int64_t[]){row, 0}, (int64_t[]){1, vocabulary});
    rest = CR_DO(c, cr_op_reshape, rest, 2, (int64_t[]){vocabulary, 1});
    while (c->result == 0 && d->total < reach && d->count < vocabulary)
        add_more(c, d, rest, width, values, indices);
    (void)cr_chain_release(c, mark, NULL);
}

void llm_sample_row(struct cr_chain *c, const struct llm_decoding *decoding,
                    const struct cr_tensor *scores, int64_t row, float *values, int32_t *indices,
                    double reach, struct llm_distribution *d)
{
    const double top_p = decoding->top_p;
    d->count = 0;
    d->total = 0;
    if (c->result < 0)
        return;
    const int64_t width = llm_sample_width(decoding, cr_tensor_extent(scores, 1));
    if (decoding->top_k > 0) {
        add_logits(d, width, values, indices, decoding->temperature);
    } else {
        add_probabilities(d, width, values, indices);
        add_until(c, d, scores, row, values, indices, top_p < 1 ? top_p : reach);
    }
    d->kept = d->count;
    d->total = 1;
    if (top_p == 1)
        return;
    d->total = d->kept = 0;
    while (d->kept < d->count && d->total < top_p)
        d->total += d->weights[d->kept++];
}

int32_t llm_sample_draw(const struct llm_distribution *d, double uniform)
{
    const double target = uniform * d->total;
    double sum = 0;
    int64_t at = 0;
    while (at + 1 < d->kept && (sum += d->weights[at]) <= target)
        at++;
    return d->tokens[at];
}

double llm_sample_uniform(uint64_t seed, uint64_t step)
{
    uint64_t x = seed + (step + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}
