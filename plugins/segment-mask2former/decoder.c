/* SPDX-License-Identifier: MIT */
/* The decoder: queries that look at one level after the other, each only where its mask of the
 * layer before says that its object is. */
#include "network.h"

/* ---- Attention ---- */

/* [B, L, D] to [B, heads, L, D / heads]. */
static struct cr_tensor *project_heads(struct cr_chain *c, int64_t heads, const struct cr_tensor *x,
                                       const struct linear *linear)
{
    if (c->result < 0)
        return NULL;
    const int64_t b = cr_tensor_extent(x, 0), l = cr_tensor_extent(x, 1);
    struct cr_tensor *y = apply_linear(c, linear, x);
    y = CR_DO(c, cr_op_reshape, y, 4, (int64_t[]){b, l, heads, cr_tensor_extent(x, 2) / heads});
    return CR_DO(c, cr_op_permute, y, (int[]){0, 2, 1, 3});
}

/* What attention works on; `mask` may be NULL. */
struct operands {
    const struct cr_tensor *q, *k, *v, *mask;
};

/* norm(x + out(attention(q, k, v))) */
static struct cr_tensor *attend(struct cr_chain *c, int64_t heads, const struct attention *weights,
                                const struct norm *norm, const struct operands *of,
                                const struct cr_tensor *x)
{
    if (c->result < 0)
        return NULL;
    const size_t mark = cr_chain_mark(c);
    struct cr_tensor *q = project_heads(c, heads, of->q, &weights->q);
    struct cr_tensor *k = project_heads(c, heads, of->k, &weights->k);
    struct cr_tensor *v = project_heads(c, heads, of->v, &weights->v);
    struct cr_tensor *y =
        CR_DO(c, cr_op_attention, q, k, v, &(struct cr_attention){.mask = of->mask});
    y = CR_DO(c, cr_op_permute, y, (int[]){0, 2, 1, 3});
    y = CR_DO(c, cr_op_reshape, y, 3,
              (int64_t[]){cr_tensor_extent(x, 0), cr_tensor_extent(x, 1), cr_tensor_extent(x, 2)});
    y = CR_DO(c, cr_op_linear_fused, y, weights->out.w, weights->out.b,
              &(struct cr_linear_extra){.residual = x});
    return cr_chain_release(c, mark, apply_norm(c, norm, y, NORM_EPSILON));
}

/* ---- Masks ---- */

struct cr_tensor *decoder_masks(struct cr_chain *c, const struct mask2former *network,
                                const struct cr_tensor *queries, const struct cr_tensor *features)
{
    const struct linear *mask = network->weights->decoder.mask;
    const struct cr_linear_extra relu = {.activation = CR_ACTIVATION_RELU};
    const size_t mark = cr_chain_mark(c);
    struct cr_tensor *x = CR_DO(c, cr_op_linear_fused, queries, mask[0].w, mask[0].b, &relu);
    x = CR_DO(c, cr_op_linear_fused, x, mask[1].w, mask[1].b, &relu);
    x = apply_linear(c, &mask[2], x);
    return cr_chain_release(c, mark, CR_DO(c, cr_op_matmul, x, features, false, false, 1.0f));
}

/* Doubled probabilities are below 1 exactly where a probability is below one half, so that a cast,
 * which truncates, says what is visible. Where the largest of a query is below 1, 1 is added. */
struct cr_tensor *decoder_visible(struct cr_chain *c, const struct mask2former *network,
                                  const struct cr_tensor *logits, int level)
{
    const struct cr_size from = network->tables->stages[0].size;
    const struct cr_size to = mask2former_level(network->tables, level);
    const int64_t items = network->tables->items, queries = network->config.queries;
    const int64_t places = (int64_t)to.height * to.width;
    const size_t mark = cr_chain_mark(c);
    struct cr_tensor *x =
        CR_DO(c, cr_op_reshape, logits, 4, (int64_t[]){items, queries, from.height, from.width});
    x = CR_DO(c, cr_op_resize, x, to, CR_INTERPOLATION_BILINEAR);
    x = CR_DO(c, cr_op_unary, CR_OP_SIGMOID, x);
    x = CR_DO(c, cr_op_scale, x, 2.0f);
    x = CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){items, 1, queries, places});
    struct cr_tensor *blind = CR_DO(c, cr_op_reduce, CR_OP_MAX, x);
    blind = CR_DO(c, cr_op_cast, blind, CR_DTYPE_I32);
    blind = CR_DO(c, cr_op_cast, blind, CR_DTYPE_F32);
    blind = CR_DO(c, cr_op_scale, blind, -1.0f);
    blind = CR_DO(c, cr_op_add, blind, network->tables->one);
    blind = CR_DO(c, cr_op_unary, CR_OP_RELU, blind); /* 1 or 0 */
    x = CR_DO(c, cr_op_add, x, blind);
    return cr_chain_release(c, mark, CR_DO(c, cr_op_cast, x, CR_DTYPE_U8));
}

/* ---- Layers ---- */

struct cr_tensor *decoder_start(struct cr_chain *c, const struct mask2former *network)
{
    const struct mask2former_config *config = &network->config;
    const struct cr_tensor *features = network->weights->decoder.features;
    struct cr_tensor *x =
        CR_DO(c, cr_op_fill, cr_tensor_device(features), CR_DTYPE_F32, 3,
              (int64_t[]){network->tables->items, config->queries, config->width}, 0.0f);
    return CR_DO(c, cr_op_add, x, features);
}

struct cr_tensor *decoder_layer(struct cr_chain *c, const struct mask2former *network,
                                int64_t index, const struct cr_tensor *queries,
                                const struct pixel_features *features,
                                const struct cr_tensor *visible)
{
    const struct decoder *decoder = &network->weights->decoder;
    const struct decoder_layer *layer = &decoder->layers[index];
    const int64_t heads = network->config.heads;
    const int level = (int)(index % LEVELS);
    struct cr_tensor *value = CR_DO(c, cr_op_add, features->levels[level], decoder->levels[level]);
    struct cr_tensor *key = CR_DO(c, cr_op_add, value, network->tables->positions[level]);
    struct cr_tensor *query = CR_DO(c, cr_op_add, queries, decoder->positions);
    struct cr_tensor *x =
        attend(c, heads, &layer->cross, &layer->cross_norm,
               &(struct operands){.q = query, .k = key, .v = value, .mask = visible}, queries);
    query = CR_DO(c, cr_op_add, x, decoder->positions);
    x = attend(c, heads, &layer->self, &layer->self_norm,
               &(struct operands){.q = query, .k = query, .v = x}, x);
    x = apply_perceptron(c, &layer->fc1, &layer->fc2, CR_ACTIVATION_RELU, x, x);
    return apply_norm(c, &layer->norm, x, NORM_EPSILON);
}

/* ---- All ---- */

static struct cr_tensor *run_layers(struct cr_chain *c, const struct mask2former *network,
                                    const struct pixel_features *features, struct steps *steps)
{
    const struct norm *norm = &network->weights->decoder.norm;
    struct cr_tensor *x = cr_chain_release(c, 0, decoder_start(c, network));
    for (int64_t i = 0; i < network->config.decoder_layers && c->result == 0; i++) {
        struct cr_tensor *logits =
            decoder_masks(c, network, apply_norm(c, norm, x, NORM_EPSILON), features->mask);
        struct cr_tensor *visible = decoder_visible(c, network, logits, (int)(i % LEVELS));
        x = cr_chain_release(c, 0, decoder_layer(c, network, i, x, features, visible));
        steps_next(steps, c);
    }
    return apply_norm(c, norm, x, NORM_EPSILON);
}

int decoder_forward(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                    const struct mask2former *network, const struct pixel_features *features,
                    struct steps *steps, struct cr_error *err)
{
    struct cr_chain c = CR_CHAIN_INIT(err);
    const struct cr_size size = network->tables->stages[0].size;
    struct cr_tensor *x = run_layers(&c, network, features, steps);
    struct cr_tensor *classes = apply_linear(&c, &network->weights->decoder.classes, x);
    struct cr_tensor *masks = decoder_masks(&c, network, x, features->mask);
    masks = CR_DO(
        &c, cr_op_reshape, masks, 4,
        (int64_t[]){network->tables->items, network->config.queries, size.height, size.width});
    *class_logits = cr_chain_take(&c, classes);
    *mask_logits = cr_chain_take(&c, masks);
    return cr_chain_finish(&c);
}
