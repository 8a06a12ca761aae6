/* SPDX-License-Identifier: MIT */
/* The decoder (LLaMA, arXiv 2302.13971; InternLM2, arXiv 2403.17297), with CoLLaVO's crayon
 * features at every layer. x is the residual stream [B, L, D]. */
#include <math.h>

#include "llm.h"

/* ---- Products ---- */

static void add_branch(struct cr_linear_extra *extra, const struct llm_branch *branch,
                       const struct cr_tensor *source, const struct cr_tensor *scale)
{
    extra->branch[extra->branches++] =
        (struct cr_branch){.a = branch->a, .b = branch->b, .source = source, .scale = scale};
}

/* x W^T + bias, and on image rows what the low-rank branches say of x and of the crayon features;
 * then + residual. */
static struct cr_tensor *project(struct cr_chain *c, const struct llm *llm,
                                 const struct llm_pass *pass, const struct cr_tensor *x,
                                 const struct llm_linear *linear, const struct cr_tensor *residual)
{
    struct cr_linear_extra extra = {.residual = residual};
    if (pass->image != NULL && linear->hidden.a != NULL)
        add_branch(&extra, &linear->hidden, NULL, pass->image);
    if (pass->image != NULL && pass->crayon != NULL && llm->crayon == LLM_CRAYON_PLORA &&
        linear->crayon.a != NULL)
        add_branch(&extra, &linear->crayon, pass->crayon, pass->image);
    if (extra.branches == 0 && residual == NULL)
        return CR_DO(c, cr_op_linear, x, linear->w, linear->bias);
    return CR_DO(c, cr_op_linear_fused, x, linear->w, linear->bias, &extra);
}

/* ---- Attention ---- */

/* [B, L, heads, d] to [B, heads, L, d], and back. */
static struct cr_tensor *swap(struct cr_chain *c, struct cr_tensor *x, int64_t b, int64_t first,
                              int64_t second, int64_t d)
{
    if (first == 1 || second == 1)
        return CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){b, second, first, d});
    return CR_DO(c, cr_op_permute, x, (int[]){0, 2, 1, 3});
}

static struct cr_tensor *take_heads(struct cr_chain *c, const struct llm_pass *pass,
                                    struct cr_tensor *x, int64_t start, int64_t count, int64_t d)
{
    return CR_DO(c, cr_op_slice, x, (int64_t[]){0, 0, start, 0},
                 (int64_t[]){pass->items, pass->length, count, d});
}

static void append(struct cr_chain *c, struct cr_tensor *cache, const struct cr_tensor *x,
                   const struct cr_tensor *rows)
{
    if (c->result == 0)
        c->result = cr_op_kv_append_rows(cache, x, rows, c->err);
}

static struct cr_tensor *attend(struct cr_chain *c, const struct llm *llm,
                                const struct llm_cache *cache, const struct llm_pass *pass,
                                int64_t layer, struct cr_tensor *x)
{
    const struct llm_config *config = &llm->config;
    const int64_t h = config->heads, j = config->key_heads, d = config->head;
    const int64_t b = pass->items, l = pass->length;
    x = CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){b, l, h + 2 * j, d});
    struct cr_tensor *v = take_heads(c, pass, x, h + j, j, d);
    struct cr_tensor *qk = take_heads(c, pass, x, 0, h + j, d);
    qk = CR_DO(c, cr_op_rope, qk, pass->cosines, pass->sines, pass->positions);
    append(c, cache->keys[layer], take_heads(c, pass, qk, h, j, d), pass->append);
    append(c, cache->values[layer], v, pass->append);
    struct cr_tensor *q = swap(c, take_heads(c, pass, qk, 0, h, d), b, l, h, d);
    struct cr_tensor *y = CR_DO(c, cr_op_attention, q, cache->keys[layer], cache->values[layer],
                                &(struct cr_attention){.causal = l > 1,
                                                       .offset = pass->causal_offset,
                                                       .lengths = pass->lengths,
                                                       .rows = pass->rows});
    y = swap(c, y, b, h, l, d);
    return CR_DO(c, cr_op_reshape, y, 3, (int64_t[]){b, l, h * d});
}

/* ---- Layers ---- */

static struct cr_tensor *run_layer(struct cr_chain *c, const struct llm *llm,
                                   const struct llm_cache *cache, const struct llm_pass *pass,
                                   int64_t index, struct cr_tensor *x)
{
    const struct llm_layer *layer = &llm->weights.layers[index];
    const float epsilon = (float)llm->config.epsilon;
    struct cr_tensor *n = CR_DO(c, cr_op_rms_norm, x, layer->attention_norm, epsilon);
    if (llm->crayon == LLM_CRAYON_ADD && pass->crayon != NULL)
        n = CR_DO(c, cr_op_add, n, pass->crayon);
    n = project(c, llm, pass, n, &layer->qkv, NULL);
    n = attend(c, llm, cache, pass, index, n);
    x = project(c, llm, pass, n, &layer->out, x);
    n = CR_DO(c, cr_op_rms_norm, x, layer->ffn_norm, epsilon);
    struct cr_tensor *gate = project(c, llm, pass, n, &layer->gate, NULL);
    struct cr_tensor *up = project(c, llm, pass, n, &layer->up, NULL);
    n = CR_DO(c, cr_op_silu_mul, gate, up);
    return project(c, llm, pass, n, &layer->down, x);
}

struct cr_tensor *llm_forward(struct cr_chain *c, const struct llm *llm,
                              const struct llm_cache *cache, const struct llm_pass *pass,
                              struct cr_context *context)
{
    const size_t mark = cr_chain_mark(c);
    struct cr_tensor *x = pass->embedded;
    for (int64_t i = 0; i < llm->config.layers && c->result == 0; i++) {
        if (cr_context_cancelled(context))
            c->result = cr_fail(c->err, CR_ERR_CANCELLED, "cancelled");
        else
            x = cr_chain_release(c, mark, run_layer(c, llm, cache, pass, i, x));
    }
    return CR_DO(c, cr_op_rms_norm, x, llm->weights.norm, (float)llm->config.epsilon);
}

struct cr_tensor *llm_logits(struct cr_chain *c, const struct llm *llm, struct cr_tensor *hidden)
{
    return CR_DO(c, cr_op_linear, hidden, llm->weights.output, NULL);
}

void llm_rope_row(const struct llm_config *config, int64_t position, int64_t length, float *cosines,
                  float *sines)
{
    const double d = (double)config->head, limit = (double)config->positions;
    double base = config->rope_base;
    if (config->rope_factor > 0 && length > config->positions)
        base *= pow(config->rope_factor * (double)length / limit - (config->rope_factor - 1),
                    d / (d - 2));
    /* Frequencies and angles in f32, as in the code that the models were trained with. */
    for (int64_t i = 0; i < config->head / 2; i++) {
        float frequency = 1 / (float)pow(base, 2.0 * (double)i / d);
        float angle = (float)position * frequency;
        cosines[i] = (float)cos((double)angle);
        sines[i] = (float)sin((double)angle);
    }
}
