/* SPDX-License-Identifier: MIT */
/* The backbone: windows of tokens attend within themselves, and every other block's windows are
 * shifted by half their side. */
#include "network.h"

/* ---- Attention within windows ---- */

/* Rows of d numbers as [W, heads, T, d]. */
static struct cr_tensor *take_windows(struct cr_chain *c, const struct cr_tensor *x,
                                      const struct cr_tensor *rows, const int64_t shape[4])
{
    struct cr_tensor *y = CR_DO(c, cr_op_gather_rows, x, rows);
    return CR_DO(c, cr_op_reshape, y, 4, shape);
}

/* The windows of one kind: from qkv [., d] into out [N heads, d]. */
static void attend_kind(struct cr_chain *c, const struct windows *windows,
                        const struct cr_tensor *mask, const struct cr_tensor *bias,
                        const struct cr_tensor *qkv, struct cr_tensor *out)
{
    if (c->result < 0)
        return;
    const int64_t d = cr_tensor_extent(qkv, 1);
    const int64_t heads = cr_tensor_extent(bias, 1), tokens = cr_tensor_extent(bias, 2);
    const int64_t shape[4] = {windows->count, heads, tokens, d};
    const size_t mark = cr_chain_mark(c);
    struct cr_tensor *q = take_windows(c, qkv, windows->q, shape);
    struct cr_tensor *k = take_windows(c, qkv, windows->k, shape);
    struct cr_tensor *v = take_windows(c, qkv, windows->v, shape);
    const struct cr_tensor *added = mask == NULL ? bias : CR_DO(c, cr_op_add, bias, mask);
    struct cr_tensor *y = CR_DO(c, cr_op_attention, q, k, v, &(struct cr_attention){.bias = added});
    y = CR_DO(c, cr_op_reshape, y, 2, (int64_t[]){windows->count * heads * tokens, d});
    if (c->result == 0)
        c->result = cr_op_scatter_rows(out, windows->out, y, c->err);
    (void)cr_chain_release(c, mark, NULL);
}

/* x + out(attention(y)), y being x normalised. */
static struct cr_tensor *attend(struct cr_chain *c, const struct mask2former *network, int stage,
                                const struct swin_block *block, bool shifted,
                                const struct cr_tensor *x, const struct cr_tensor *y)
{
    if (c->result < 0)
        return NULL;
    const struct stage_tables *tables = &network->tables->stages[stage];
    const struct windows *windows = shifted ? tables->shifted : tables->plain;
    const int64_t n = cr_tensor_extent(x, 0), width = cr_tensor_extent(x, 1);
    const int64_t heads = network->config.swin.heads[stage], d = width / heads;
    const int64_t rows = (tables->padded ? n + 1 : n) * 3 * heads;
    if (tables->padded) /* windows see padding as zeros, before their linear */
        y = CR_DO(c, cr_op_pad, y, (int64_t[]){0, 0}, (int64_t[]){1, 0}, 0);
    struct cr_tensor *qkv = apply_linear(c, &block->qkv, y);
    qkv = CR_DO(c, cr_op_reshape, qkv, 2, (int64_t[]){rows, d});
    struct cr_tensor *out = CR_DO(c, cr_tensor_upload, cr_tensor_device(x), CR_DTYPE_F32, 2,
                                  (int64_t[]){n * heads, d}, NULL);
    for (int kind = 0; kind < WINDOW_KINDS; kind++)
        if (windows[kind].count > 0)
            attend_kind(c, &windows[kind], network->tables->mask[kind], block->bias, qkv, out);
    out = CR_DO(c, cr_op_reshape, out, 2, (int64_t[]){n, width});
    return CR_DO(c, cr_op_linear_fused, out, block->out.w, block->out.b,
                 &(struct cr_linear_extra){.residual = x});
}

/* ---- Parts ---- */

/* Pictures are filled up to whole patches with zeros, below and to the right. */
struct cr_tensor *swin_embed(struct cr_chain *c, const struct mask2former *network,
                             const struct cr_tensor *pixels)
{
    const struct swin *swin = &network->weights->swin;
    const struct cr_size size = network->tables->stages[0].size;
    const int64_t below = size.height * (int64_t)SWIN_PATCH - cr_tensor_extent(pixels, 2);
    const int64_t right = size.width * (int64_t)SWIN_PATCH - cr_tensor_extent(pixels, 3);
    const int64_t items = cr_tensor_extent(pixels, 0), width = network->config.swin.width;
    const int64_t places = (int64_t)size.height * size.width;
    if (below > 0 || right > 0)
        pixels = CR_DO(c, cr_op_pad, pixels, (int64_t[]){0, 0, 0, 0},
                       (int64_t[]){0, 0, below, right}, 0);
    struct cr_tensor *x = CR_DO(c, cr_op_conv2d, pixels, swin->patches, swin->patch_bias,
                                (int[]){SWIN_PATCH, SWIN_PATCH}, (int[]){0, 0});
    x = CR_DO(c, cr_op_reshape, x, 3, (int64_t[]){items, width, places});
    x = CR_DO(c, cr_op_permute, x, (int[]){0, 2, 1});
    x = CR_DO(c, cr_op_reshape, x, 2, (int64_t[]){items * places, width});
    return apply_norm(c, &swin->norm, x, NORM_EPSILON);
}

struct cr_tensor *swin_block(struct cr_chain *c, const struct mask2former *network, int stage,
                             int64_t index, const struct cr_tensor *x)
{
    const struct swin_block *block = &network->weights->swin.stages[stage].blocks[index];
    const float epsilon = (float)network->config.swin.epsilon;
    const size_t mark = cr_chain_mark(c);
    struct cr_tensor *y = apply_norm(c, &block->norm1, x, epsilon);
    x = cr_chain_release(c, mark, attend(c, network, stage, block, index % 2 == 1, x, y));
    y = apply_norm(c, &block->norm2, x, epsilon);
    y = apply_perceptron(c, &block->fc1, &block->fc2, CR_ACTIVATION_GELU, x, y);
    return cr_chain_release(c, mark, y);
}

struct cr_tensor *swin_merge(struct cr_chain *c, const struct mask2former *network, int stage,
                             const struct cr_tensor *x)
{
    const struct swin_stage *weights = &network->weights->swin.stages[stage];
    const struct cr_tensor *rows = network->tables->stages[stage].merge;
    struct cr_tensor *y = CR_DO(c, cr_op_gather_rows, x, rows);
    y = CR_DO(
        c, cr_op_reshape, y, 2,
        (int64_t[]){cr_tensor_extent(rows, 0) / 4, 4 * (network->config.swin.width << stage)});
    y = apply_norm(c, &weights->merge_norm, y, NORM_EPSILON);
    return apply_linear(c, &weights->merge, y);
}

/* ---- All ---- */

int swin_forward(struct cr_tensor *maps[SWIN_STAGES], const struct mask2former *network,
                 const struct cr_tensor *pixels, struct steps *steps, struct cr_error *err)
{
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *x = cr_chain_release(&c, 0, swin_embed(&c, network, pixels));
    for (int i = 0; i < SWIN_STAGES; i++) {
        for (int64_t j = 0; j < network->config.swin.depths[i] && c.result == 0; j++) {
            x = cr_chain_release(&c, 0, swin_block(&c, network, i, j, x));
            steps_next(steps, &c);
        }
        maps[i] = cr_chain_take(
            &c, apply_norm(&c, &network->weights->swin.stages[i].norm, x, NORM_EPSILON));
        if (i + 1 < SWIN_STAGES)
            x = cr_chain_release(&c, 0, swin_merge(&c, network, i, x));
    }
    return cr_chain_finish(&c);
}
