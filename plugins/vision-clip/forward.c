/* SPDX-License-Identifier: MIT */
#include "clip.h"

/* ---- Positions ---- */

/* [G, D] for another grid than the one that was saved: each column a picture, resized. */
static struct cr_tensor *resize_grid(struct cr_chain *c, struct cr_tensor *saved, int64_t side,
                                     struct cr_size grid, int64_t d)
{
    if (side == grid.height && side == grid.width)
        return saved;
    struct cr_tensor *x = CR_DO(c, cr_op_permute, saved, (int[]){1, 0});
    x = CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){1, d, side, side});
    x = CR_DO(c, cr_op_resize, x, grid, CR_INTERPOLATION_BICUBIC);
    x = CR_DO(c, cr_op_reshape, x, 2, (int64_t[]){d, (int64_t)grid.height * grid.width});
    return CR_DO(c, cr_op_permute, x, (int[]){1, 0});
}

/* Make `first` and `grid_positions` those of a grid; they are kept for the next run. */
static int use_grid(struct clip *clip, struct cr_size grid, struct cr_error *err)
{
    if (clip->grid.height == grid.height && clip->grid.width == grid.width)
        return 0;
    const int64_t d = clip->config.width, side = clip_native_grid(clip);
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *first =
        CR_DO(&c, cr_op_slice, clip->positions, (int64_t[]){0, 0}, (int64_t[]){1, d});
    first = CR_DO(&c, cr_op_reshape, first, 1, (int64_t[]){d});
    first = CR_DO(&c, cr_op_add, first, clip->class_embedding);
    struct cr_tensor *rest =
        CR_DO(&c, cr_op_slice, clip->positions, (int64_t[]){1, 0}, (int64_t[]){side * side, d});
    rest = resize_grid(&c, rest, side, grid, d);
    if (c.result == 0) {
        cr_tensor_unref(&clip->first);
        cr_tensor_unref(&clip->grid_positions);
        clip->first = cr_chain_take(&c, first);
        clip->grid_positions = cr_chain_take(&c, rest);
        clip->grid = grid;
    }
    return cr_chain_finish(&c);
}

/* ---- Layers ---- */

/* [B, L, D] to [B, heads, L, D / heads]. */
static struct cr_tensor *project_heads(struct cr_chain *c, const struct clip_config *config,
                                       const struct cr_tensor *x, const struct clip_linear *linear)
{
    const int64_t b = cr_tensor_extent(x, 0), l = cr_tensor_extent(x, 1);
    struct cr_tensor *y = CR_DO(c, cr_op_linear, x, linear->w, linear->b);
    y = CR_DO(c, cr_op_reshape, y, 4,
              (int64_t[]){b, l, config->heads, config->width / config->heads});
    return CR_DO(c, cr_op_permute, y, (int[]){0, 2, 1, 3});
}

static struct cr_tensor *attend(struct cr_chain *c, const struct clip_config *config,
                                const struct clip_layer *layer, const struct cr_tensor *x,
                                const struct cr_tensor *residual)
{
    struct cr_tensor *q = project_heads(c, config, x, &layer->q);
    struct cr_tensor *k = project_heads(c, config, x, &layer->k);
    struct cr_tensor *v = project_heads(c, config, x, &layer->v);
    struct cr_tensor *y = CR_DO(c, cr_op_attention, q, k, v, &(struct cr_attention){.scale = 0});
    y = CR_DO(c, cr_op_permute, y, (int[]){0, 2, 1, 3});
    y = CR_DO(c, cr_op_reshape, y, 3,
              (int64_t[]){cr_tensor_extent(x, 0), cr_tensor_extent(x, 1), config->width});
    return CR_DO(c, cr_op_linear_fused, y, layer->out.w, layer->out.b,
                 &(struct cr_linear_extra){.residual = residual});
}

/* x + out(attention(norm1(x))), then x + fc2(act(fc1(norm2(x)))). */
static struct cr_tensor *run_layer(struct cr_chain *c, const struct clip_config *config,
                                   const struct clip_layer *layer, struct cr_tensor *x)
{
    const float epsilon = (float)config->epsilon;
    struct cr_tensor *n = CR_DO(c, cr_op_layer_norm, x, layer->norm1.w, layer->norm1.b, epsilon);
    if (c->result == 0)
        x = attend(c, config, layer, n, x);
    n = CR_DO(c, cr_op_layer_norm, x, layer->norm2.w, layer->norm2.b, epsilon);
    n = CR_DO(c, cr_op_linear_fused, n, layer->fc1.w, layer->fc1.b,
              &(struct cr_linear_extra){.activation = config->activation});
    return CR_DO(c, cr_op_linear_fused, n, layer->fc2.w, layer->fc2.b,
                 &(struct cr_linear_extra){.residual = x});
}

/* ---- The tower ---- */

/* Class token and patches with their positions, normalised: [B, 1 + G, D]. */
static struct cr_tensor *embed(struct cr_chain *c, const struct clip *clip,
                               struct cr_device *device, const struct cr_tensor *pixels)
{
    const int64_t b = cr_tensor_extent(pixels, 0), d = clip->config.width;
    const int64_t patches = (int64_t)clip->grid.height * clip->grid.width;
    const int stride[2] = {(int)clip->config.patch, (int)clip->config.patch};
    struct cr_tensor *x = CR_DO(c, cr_op_conv2d, pixels, clip->patches, NULL, stride, (int[2]){0});
    x = CR_DO(c, cr_op_reshape, x, 3, (int64_t[]){b, d, patches});
    x = CR_DO(c, cr_op_permute, x, (int[]){0, 2, 1});
    x = CR_DO(c, cr_op_add, x, clip->grid_positions);
    struct cr_tensor *first =
        CR_DO(c, cr_op_fill, device, CR_DTYPE_F32, 3, (int64_t[]){b, 1, d}, 0);
    first = CR_DO(c, cr_op_add, first, clip->first);
    x = CR_DO(c, cr_op_concat, (const struct cr_tensor *[]){first, x}, 2, 1);
    return CR_DO(c, cr_op_layer_norm, x, clip->norm.w, clip->norm.b, (float)clip->config.epsilon);
}

/* Attention looks at each pair of patches: more than these would not end. */
#define MAX_PATCHES 32768

static int check_pixels(const struct clip *clip, const struct cr_tensor *pixels,
                        struct cr_error *err)
{
    const int64_t p = clip->config.patch;
    if (cr_tensor_dtype(pixels) == CR_DTYPE_F32 && cr_tensor_rank(pixels) == 4 &&
        cr_tensor_extent(pixels, 1) == 3 && cr_tensor_extent(pixels, 2) >= p &&
        cr_tensor_extent(pixels, 3) >= p && cr_tensor_extent(pixels, 2) <= 65535 &&
        cr_tensor_extent(pixels, 3) <= 65535)
        return 0;
    return cr_fail(err, CR_ERR_ARGUMENT,
                   "pixels must be f32 [B, 3, height, width] with sides of %lld..65535",
                   (long long)p);
}

int clip_forward(struct cr_tensor **hidden, struct clip *clip, const struct cr_tensor *pixels,
                 struct cr_context *context, struct cr_error *err)
{
    const struct clip_config *config = &clip->config;
    *hidden = NULL;
    int result = check_pixels(clip, pixels, err);
    if (result < 0)
        return result;
    const struct cr_size grid = {(int32_t)(cr_tensor_extent(pixels, 2) / config->patch),
                                 (int32_t)(cr_tensor_extent(pixels, 3) / config->patch)};
    if ((int64_t)grid.height * grid.width > MAX_PATCHES)
        return cr_fail(err, CR_ERR_LIMIT,
                       "%d x %d patches of %lld pixels: %d at most; make the pictures smaller with "
                       "\"input_size\"",
                       grid.height, grid.width, (long long)config->patch, MAX_PATCHES);
    if ((result = use_grid(clip, grid, err)) < 0)
        return result;
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *x = embed(&c, clip, cr_tensor_device(pixels), pixels);
    for (int64_t i = 0; i < config->layers && c.result == 0; i++) {
        if (cr_context_cancelled(context))
            c.result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            x = cr_chain_release(&c, 0, run_layer(&c, config, &clip->layers[i], x));
        cr_context_progress(context, (double)(i + 1) / (double)config->layers);
    }
    if (c.result == 0)
        x = CR_DO(&c, cr_op_slice, x, (int64_t[]){0, 1, 0},
                  (int64_t[]){cr_tensor_extent(x, 0), cr_tensor_extent(x, 1) - 1, config->width});
    *hidden = cr_chain_take(&c, x);
    return cr_chain_finish(&c);
}

int clip_connect(struct cr_tensor **features, const struct clip *clip,
                 const struct cr_tensor *hidden, struct cr_error *err)
{
    const struct clip_linear *first = &clip->connector[0], *second = &clip->connector[1];
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *x = CR_DO(&c, cr_op_linear_fused, hidden, first->w, first->b,
                                &(struct cr_linear_extra){.activation = CR_ACTIVATION_GELU});
    x = CR_DO(&c, cr_op_linear, x, second->w, second->b);
    *features = cr_chain_take(&c, x);
    return cr_chain_finish(&c);
}
