/* SPDX-License-Identifier: MIT */
/* The pixel decoder: an encoder with deformable attention over three levels of maps, and a feature
 * pyramid from its finest level to the finest map. */
#include "network.h"

/* [B, h w, channels] as maps [B, channels, h w], and back: the same permutation. */
static struct cr_tensor *turn(struct cr_chain *c, const struct cr_tensor *x)
{
    return CR_DO(c, cr_op_permute, x, (int[]){0, 2, 1});
}

/* A linear of a map of the backbone, [N, C], as [B, D, h w], normalised. */
static struct cr_tensor *project(struct cr_chain *c, const struct mask2former *network,
                                 const struct cr_tensor *map, const struct linear *linear,
                                 const struct norm *norm)
{
    const int64_t items = network->tables->items, d = network->config.width;
    struct cr_tensor *x = apply_linear(c, linear, map);
    x = CR_DO(c, cr_op_reshape, x, 3, (int64_t[]){items, cr_tensor_extent(map, 0) / items, d});
    x = turn(c, x);
    return CR_DO(c, cr_op_group_norm, x, norm->w, norm->b, NORM_GROUPS, NORM_EPSILON);
}

/* ---- The encoder: tokens of all levels, [B, S, D] ---- */

/* What each token takes from the places that it looks at, in all levels: [B, S, D]. */
static struct cr_tensor *sample(struct cr_chain *c, const struct mask2former *network,
                                const struct encoder_layer *layer, const struct cr_tensor *x)
{
    const struct mask2former_tables *tables = network->tables;
    const int64_t items = tables->items, s = cr_tensor_extent(tables->centres, 0);
    const int64_t heads = network->config.heads, d = network->config.width / heads;
    const int64_t points = (int64_t)LEVELS * POINTS;
    int64_t shapes[2 * LEVELS];
    for (int i = 0; i < LEVELS; i++) {
        shapes[2 * i] = mask2former_level(tables, i).height;
        shapes[2 * i + 1] = mask2former_level(tables, i).width;
    }
    struct cr_tensor *value = apply_linear(c, &layer->value, x);
    value = CR_DO(c, cr_op_reshape, value, 4, (int64_t[]){items, s, heads, d});
    struct cr_tensor *query = CR_DO(c, cr_op_add, x, tables->encoder_positions);
    struct cr_tensor *at = apply_linear(c, &layer->offsets, query);
    at = CR_DO(c, cr_op_mul, at, tables->units);
    at = CR_DO(c, cr_op_add, at, tables->centres);
    at = CR_DO(c, cr_op_reshape, at, 4, (int64_t[]){items * s, heads, points, 2});
    struct cr_tensor *weights = apply_linear(c, &layer->weights, query);
    weights = CR_DO(c, cr_op_reshape, weights, 3, (int64_t[]){items * s, heads, points});
    weights = CR_DO(c, cr_op_reduce, CR_OP_SOFTMAX, weights);
    return CR_DO(c, cr_op_ms_deform_attn, value, shapes, LEVELS, at, weights);
}

static struct cr_tensor *encoder_layer(struct cr_chain *c, const struct mask2former *network,
                                       const struct encoder_layer *layer, const struct cr_tensor *x)
{
    struct cr_tensor *y = sample(c, network, layer, x);
    y = CR_DO(c, cr_op_linear_fused, y, layer->out.w, layer->out.b,
              &(struct cr_linear_extra){.residual = x});
    y = apply_norm(c, &layer->norm1, y, NORM_EPSILON);
    y = apply_perceptron(c, &layer->fc1, &layer->fc2, CR_ACTIVATION_RELU, y, y);
    return apply_norm(c, &layer->norm2, y, NORM_EPSILON);
}

static struct cr_tensor *encode(struct cr_chain *c, const struct mask2former *network,
                                struct cr_tensor *const maps[SWIN_STAGES], struct steps *steps)
{
    const struct pixel_decoder *weights = &network->weights->pixel;
    const struct cr_tensor *parts[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        parts[i] = turn(c, project(c, network, maps[SWIN_STAGES - 1 - i], &weights->project[i],
                                   &weights->project_norm[i]));
    struct cr_tensor *x = cr_chain_release(c, 0, CR_DO(c, cr_op_concat, parts, LEVELS, 1));
    for (int64_t i = 0; i < network->config.encoder_layers && c->result == 0; i++) {
        x = cr_chain_release(c, 0, encoder_layer(c, network, &weights->layers[i], x));
        steps_next(steps, c);
    }
    return x;
}

/* ---- The pyramid ---- */

/* Mask features [B, M, h w] from the finest level, [B, h w, D], and the finest map. */
static struct cr_tensor *refine(struct cr_chain *c, const struct mask2former *network,
                                const struct cr_tensor *level, const struct cr_tensor *map)
{
    const struct pixel_decoder *weights = &network->weights->pixel;
    const struct cr_size from = mask2former_level(network->tables, LEVELS - 1);
    const struct cr_size to = network->tables->stages[0].size;
    const int64_t items = network->tables->items, d = network->config.width;
    const int64_t places = (int64_t)to.height * to.width;
    struct cr_tensor *up =
        CR_DO(c, cr_op_reshape, turn(c, level), 4, (int64_t[]){items, d, from.height, from.width});
    up = CR_DO(c, cr_op_resize, up, to, CR_INTERPOLATION_BILINEAR);
    struct cr_tensor *x = project(c, network, map, &weights->lateral, &weights->lateral_norm);
    x = CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){items, d, to.height, to.width});
    x = cr_chain_release(c, 0, CR_DO(c, cr_op_add, x, up));
    x = CR_DO(c, cr_op_conv2d, x, weights->smooth, NULL, (int[]){1, 1}, (int[]){1, 1});
    x = CR_DO(c, cr_op_group_norm, x, weights->smooth_norm.w, weights->smooth_norm.b, NORM_GROUPS,
              NORM_EPSILON);
    x = cr_chain_release(c, 0, CR_DO(c, cr_op_unary, CR_OP_RELU, x));
    x = CR_DO(c, cr_op_conv2d, x, weights->mask, weights->mask_bias, (int[]){1, 1}, (int[]){0, 0});
    return CR_DO(c, cr_op_reshape, x, 3, (int64_t[]){items, network->config.mask_width, places});
}

/* ---- All ---- */

/* The tokens of each level by themselves, new references. */
static void split(struct cr_chain *c, const struct mask2former *network, const struct cr_tensor *x,
                  struct cr_tensor *levels[LEVELS])
{
    int64_t start = 0;
    for (int i = 0; i < LEVELS; i++) {
        const int64_t count = cr_tensor_extent(network->tables->positions[i], 0);
        levels[i] = cr_chain_take(
            c, CR_DO(c, cr_op_slice, x, (int64_t[]){0, start, 0},
                     (int64_t[]){network->tables->items, count, network->config.width}));
        start += count;
    }
}

int pixel_decoder_forward(struct pixel_features *features, const struct mask2former *network,
                          struct cr_tensor *const maps[SWIN_STAGES], struct steps *steps,
                          struct cr_error *err)
{
    struct cr_chain c = CR_CHAIN_INIT(err);
    *features = (struct pixel_features){.mask = NULL};
    split(&c, network, encode(&c, network, maps, steps), features->levels);
    (void)cr_chain_release(&c, 0, NULL);
    features->mask = cr_chain_take(&c, refine(&c, network, features->levels[LEVELS - 1], maps[0]));
    int result = cr_chain_finish(&c);
    if (result < 0)
        pixel_features_finish(features);
    return result;
}

void pixel_features_finish(struct pixel_features *features)
{
    for (int i = 0; i < LEVELS; i++)
        cr_tensor_unref(&features->levels[i]);
    cr_tensor_unref(&features->mask);
}
