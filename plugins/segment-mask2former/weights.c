/* SPDX-License-Identifier: MIT */
/* Names and shapes as in the state dict of transformers' Mask2FormerForUniversalSegmentation. */
#include <stdarg.h>
#include <stdio.h>

#include <crayon/memory.h>

#include "network.h"

#define NAME_BYTES 192
#define BACKBONE "model.pixel_level_module.encoder."
#define PIXEL_DECODER "model.pixel_level_module.decoder."
#define TRANSFORMER "model.transformer_module."

/* A walk over all tensors, to claim each or to let it go. */
struct walk {
    struct cr_claim *claim; /* NULL: let go */
    enum cr_dtype dtype;    /* of matrices */
    bool no_bias;           /* linears have none for now */
    char at[NAME_BYTES];    /* what names begin with now */
};

static void enter(struct walk *walk, const char *format, ...) CR_PRINTF(2, 3);
static void enter(struct walk *walk, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(walk->at, sizeof(walk->at), format, args);
    va_end(args);
}

/* ---- One tensor, one linear, one norm ---- */

static void visit(struct walk *walk, struct cr_tensor **tensor, enum cr_dtype dtype, int rank,
                  const int64_t *shape, const char *name)
{
    if (walk->claim == NULL)
        cr_tensor_unref(tensor);
    else
        cr_claim_tensor(walk->claim, tensor, dtype, rank, shape, 0, "%s%s", walk->at, name);
}

static void visit_vector(struct walk *walk, struct cr_tensor **tensor, int64_t n, const char *name)
{
    visit(walk, tensor, CR_DTYPE_F32, 1, (int64_t[]){n}, name);
}

static void visit_matrix(struct walk *walk, struct cr_tensor **tensor, int64_t n, int64_t k,
                         const char *name)
{
    visit(walk, tensor, walk->dtype, 2, (int64_t[]){n, k}, name);
}

static void visit_linear(struct walk *walk, struct linear *linear, int64_t n, int64_t k,
                         const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "%s.weight", name);
    visit_matrix(walk, &linear->w, n, k, full);
    snprintf(full, sizeof(full), "%s.bias", name);
    if (!walk->no_bias)
        visit_vector(walk, &linear->b, n, full);
}

static void visit_norm(struct walk *walk, struct norm *norm, int64_t n, const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "%s.weight", name);
    visit_vector(walk, &norm->w, n, full);
    snprintf(full, sizeof(full), "%s.bias", name);
    visit_vector(walk, &norm->b, n, full);
}

/* The kernel [o, i, side, side] of a convolution, which cannot be quantised. */
static void visit_kernel(struct walk *walk, struct cr_tensor **tensor, int64_t o, int64_t i,
                         int64_t side, const char *name)
{
    const enum cr_dtype dtype = walk->dtype == CR_DTYPE_F32 ? CR_DTYPE_F32 : CR_DTYPE_F16;
    visit(walk, tensor, dtype, 4, (int64_t[]){o, i, side, side}, name);
}

/* Some rows, one after the other, of one tensor or of several. */
static void visit_parts(struct walk *walk, struct cr_tensor **tensor, enum cr_dtype dtype, int rank,
                        const int64_t *shape, const struct cr_claim_part *parts, size_t count)
{
    if (walk->claim == NULL)
        cr_tensor_unref(tensor);
    else
        cr_claim_parts(walk->claim, tensor, dtype, rank, shape, 0, parts, count);
}

/* ---- The backbone ---- */

/* Queries, keys and values as one linear. */
static void visit_qkv(struct walk *walk, struct linear *qkv, int64_t width)
{
    static const char *const names[3] = {"query", "key", "value"};
    char w[3][NAME_BYTES + 32], b[3][NAME_BYTES + 32];
    struct cr_claim_part parts[2][3] = {{{0}}};
    for (int i = 0; i < 3; i++) {
        snprintf(w[i], sizeof(w[i]), "%sattention.self.%s.weight", walk->at, names[i]);
        snprintf(b[i], sizeof(b[i]), "%sattention.self.%s.bias", walk->at, names[i]);
        parts[0][i].name = w[i];
        parts[1][i].name = b[i];
    }
    visit_parts(walk, &qkv->w, walk->dtype, 2, (int64_t[]){3 * width, width}, parts[0], 3);
    if (!walk->no_bias)
        visit_parts(walk, &qkv->b, CR_DTYPE_F32, 1, (int64_t[]){3 * width}, parts[1], 3);
}

static void visit_block(struct walk *walk, struct swin_block *block,
                        const struct swin_config *config, int stage)
{
    const int64_t width = config->width << stage, side = 2 * config->window - 1;
    const int64_t inner = (int64_t)(config->mlp_ratio * (double)width);
    visit_norm(walk, &block->norm1, width, "layernorm_before");
    visit(walk, &block->bias, CR_DTYPE_F32, 2, (int64_t[]){side * side, config->heads[stage]},
          "attention.self.relative_position_bias_table");
    walk->no_bias = !config->qkv_bias;
    visit_qkv(walk, &block->qkv, width);
    walk->no_bias = false;
    visit_linear(walk, &block->out, width, width, "attention.output.dense");
    visit_norm(walk, &block->norm2, width, "layernorm_after");
    visit_linear(walk, &block->fc1, inner, width, "intermediate.dense");
    visit_linear(walk, &block->fc2, width, inner, "output.dense");
}

static void visit_merge(struct walk *walk, struct swin_stage *stage, int64_t width, int index)
{
    enter(walk, BACKBONE "encoder.layers.%d.downsample.", index);
    visit_norm(walk, &stage->merge_norm, 4 * width, "norm");
    visit_matrix(walk, &stage->merge.w, 2 * width, 4 * width, "reduction.weight");
}

static void visit_swin(struct walk *walk, struct swin *swin, const struct swin_config *config)
{
    char name[16];
    enter(walk, BACKBONE "embeddings.");
    visit_kernel(walk, &swin->patches, config->width, 3, SWIN_PATCH,
                 "patch_embeddings.projection.weight");
    visit_vector(walk, &swin->patch_bias, config->width, "patch_embeddings.projection.bias");
    visit_norm(walk, &swin->norm, config->width, "norm");
    for (int i = 0; i < SWIN_STAGES; i++) {
        for (int64_t j = 0; j < config->depths[i]; j++) {
            enter(walk, BACKBONE "encoder.layers.%d.blocks.%lld.", i, (long long)j);
            visit_block(walk, &swin->stages[i].blocks[j], config, i);
        }
        if (i + 1 < SWIN_STAGES)
            visit_merge(walk, &swin->stages[i], config->width << i, i);
        snprintf(name, sizeof(name), "stage%d", i + 1);
        enter(walk, BACKBONE "hidden_states_norms.");
        visit_norm(walk, &swin->stages[i].norm, config->width << i, name);
    }
}

/* ---- The pixel decoder ---- */

static void visit_encoder_layer(struct walk *walk, struct encoder_layer *layer,
                                const struct mask2former_config *config)
{
    const int64_t d = config->width, samples = config->heads * LEVELS * POINTS;
    visit_linear(walk, &layer->offsets, 2 * samples, d, "self_attn.sampling_offsets");
    visit_linear(walk, &layer->weights, samples, d, "self_attn.attention_weights");
    visit_linear(walk, &layer->value, d, d, "self_attn.value_proj");
    visit_linear(walk, &layer->out, d, d, "self_attn.output_proj");
    visit_norm(walk, &layer->norm1, d, "self_attn_layer_norm");
    visit_linear(walk, &layer->fc1, config->encoder_inner, d, "fc1");
    visit_linear(walk, &layer->fc2, d, config->encoder_inner, "fc2");
    visit_norm(walk, &layer->norm2, d, "final_layer_norm");
}

/* The embedding of each level by itself. */
static void visit_levels(struct walk *walk, struct cr_tensor *levels[LEVELS], int64_t d,
                         const char *name)
{
    for (int i = 0; i < LEVELS; i++)
        visit_parts(walk, &levels[i], CR_DTYPE_F32, 2, (int64_t[]){1, d},
                    &(struct cr_claim_part){name, i, 1}, 1);
}

static void visit_pixel_decoder(struct walk *walk, struct pixel_decoder *pixel,
                                const struct mask2former_config *config)
{
    const int64_t d = config->width, finest = config->swin.width;
    visit_levels(walk, pixel->levels, d, PIXEL_DECODER "level_embed");
    for (int i = 0; i < LEVELS; i++) {
        enter(walk, PIXEL_DECODER "input_projections.%d.", i);
        visit_linear(walk, &pixel->project[i], d, finest << (SWIN_STAGES - 1 - i), "0");
        visit_norm(walk, &pixel->project_norm[i], d, "1");
    }
    for (int64_t i = 0; i < config->encoder_layers; i++) {
        enter(walk, PIXEL_DECODER "encoder.layers.%lld.", (long long)i);
        visit_encoder_layer(walk, &pixel->layers[i], config);
    }
    enter(walk, PIXEL_DECODER);
    visit_matrix(walk, &pixel->lateral.w, d, finest, "adapter_1.0.weight");
    visit_norm(walk, &pixel->lateral_norm, d, "adapter_1.1");
    visit_kernel(walk, &pixel->smooth, d, d, 3, "layer_1.0.weight");
    visit_norm(walk, &pixel->smooth_norm, d, "layer_1.1");
    visit_kernel(walk, &pixel->mask, config->mask_width, d, 1, "mask_projection.weight");
    visit_vector(walk, &pixel->mask_bias, config->mask_width, "mask_projection.bias");
}

/* ---- The decoder ---- */

static void visit_self(struct walk *walk, struct attention *self, int64_t d)
{
    visit_linear(walk, &self->q, d, d, "self_attn.q_proj");
    visit_linear(walk, &self->k, d, d, "self_attn.k_proj");
    visit_linear(walk, &self->v, d, d, "self_attn.v_proj");
    visit_linear(walk, &self->out, d, d, "self_attn.out_proj");
}

/* Saved as one matrix; its parts are applied to different things. */
static void visit_cross(struct walk *walk, struct attention *cross, int64_t d)
{
    struct linear *const linears[3] = {&cross->q, &cross->k, &cross->v};
    char w[NAME_BYTES + 32], b[NAME_BYTES + 32];
    snprintf(w, sizeof(w), "%scross_attn.in_proj_weight", walk->at);
    snprintf(b, sizeof(b), "%scross_attn.in_proj_bias", walk->at);
    for (int i = 0; i < 3; i++) {
        visit_parts(walk, &linears[i]->w, walk->dtype, 2, (int64_t[]){d, d},
                    &(struct cr_claim_part){w, i * d, d}, 1);
        visit_parts(walk, &linears[i]->b, CR_DTYPE_F32, 1, (int64_t[]){d},
                    &(struct cr_claim_part){b, i * d, d}, 1);
    }
    visit_linear(walk, &cross->out, d, d, "cross_attn.out_proj");
}

static void visit_decoder_layer(struct walk *walk, struct decoder_layer *layer,
                                const struct mask2former_config *config)
{
    const int64_t d = config->width;
    visit_cross(walk, &layer->cross, d);
    visit_norm(walk, &layer->cross_norm, d, "cross_attn_layer_norm");
    visit_self(walk, &layer->self, d);
    visit_norm(walk, &layer->self_norm, d, "self_attn_layer_norm");
    visit_linear(walk, &layer->fc1, config->decoder_inner, d, "fc1");
    visit_linear(walk, &layer->fc2, d, config->decoder_inner, "fc2");
    visit_norm(walk, &layer->norm, d, "final_layer_norm");
}

static void visit_decoder(struct walk *walk, struct decoder *decoder,
                          const struct mask2former_config *config)
{
    static const char *const masks[3] = {"0.0", "1.0", "2.0"};
    const int64_t d = config->width, queries = config->queries;
    visit_levels(walk, decoder->levels, d, TRANSFORMER "level_embed.weight");
    enter(walk, TRANSFORMER);
    visit(walk, &decoder->features, CR_DTYPE_F32, 2, (int64_t[]){queries, d},
          "queries_features.weight");
    visit(walk, &decoder->positions, CR_DTYPE_F32, 2, (int64_t[]){queries, d},
          "queries_embedder.weight");
    for (int64_t i = 0; i < config->decoder_layers; i++) {
        enter(walk, TRANSFORMER "decoder.layers.%lld.", (long long)i);
        visit_decoder_layer(walk, &decoder->layers[i], config);
    }
    enter(walk, TRANSFORMER "decoder.");
    visit_norm(walk, &decoder->norm, d, "layernorm");
    enter(walk, TRANSFORMER "decoder.mask_predictor.mask_embedder.");
    for (int i = 0; i < 3; i++)
        visit_linear(walk, &decoder->mask[i], i < 2 ? d : config->mask_width, d, masks[i]);
    enter(walk, "%s", "");
    visit_linear(walk, &decoder->classes, config->labels + 1, d, "class_predictor");
}

/* ---- All ---- */

static void visit_all(struct walk *walk, struct mask2former *network)
{
    const struct mask2former_config *config = &network->config;
    visit_swin(walk, &network->weights->swin, &config->swin);
    visit_pixel_decoder(walk, &network->weights->pixel, config);
    visit_decoder(walk, &network->weights->decoder, config);
}

static int make_layers(struct mask2former *network, struct cr_error *err)
{
    const struct mask2former_config *config = &network->config;
    struct mask2former_weights *w = cr_calloc(1, sizeof(*w));
    if ((network->weights = w) == NULL)
        return cr_fail_memory(err, sizeof(*w));
    bool made = true;
    for (int i = 0; i < SWIN_STAGES; i++) {
        struct swin_stage *stage = &w->swin.stages[i];
        stage->blocks = cr_calloc((size_t)config->swin.depths[i], sizeof(*stage->blocks));
        made &= stage->blocks != NULL;
    }
    w->pixel.layers = cr_calloc((size_t)config->encoder_layers, sizeof(*w->pixel.layers));
    w->decoder.layers = cr_calloc((size_t)config->decoder_layers, sizeof(*w->decoder.layers));
    made &= w->pixel.layers != NULL && w->decoder.layers != NULL;
    return made ? 0 : cr_fail_memory(err, sizeof(*w));
}

int mask2former_claim(struct mask2former *network, struct cr_claim *claim, enum cr_dtype dtype,
                      struct cr_error *err)
{
    struct walk walk = {.claim = claim, .dtype = dtype};
    int result = make_layers(network, err);
    if (result < 0)
        return result;
    cr_claim_prefix(claim, "model.");
    cr_claim_prefix(claim, "class_predictor.");
    cr_claim_ignore(claim, "*.relative_position_index"); /* follows from the window */
    cr_claim_ignore(claim, "criterion.*");               /* of training */
    visit_all(&walk, network);
    return 0;
}

static void let_go(struct mask2former *network)
{
    struct mask2former_weights *w = network->weights;
    bool made = w->pixel.layers != NULL && w->decoder.layers != NULL;
    for (int i = 0; i < SWIN_STAGES; i++)
        made &= w->swin.stages[i].blocks != NULL;
    if (made)
        visit_all(&(struct walk){.claim = NULL}, network);
    for (int i = 0; i < SWIN_STAGES; i++)
        cr_free(w->swin.stages[i].blocks);
    cr_free(w->pixel.layers);
    cr_free(w->decoder.layers);
    cr_free(w);
    network->weights = NULL;
}

void mask2former_unload(struct mask2former *network)
{
    mask2former_tables_destroy(&network->tables);
    if (network->weights != NULL)
        let_go(network);
}

/* ---- Relative positions ---- */

/* For each pair of tokens of a window, the row of the table: [T T]. */
static int32_t *list_pairs(int64_t window)
{
    const int64_t tokens = window * window, side = 2 * window - 1;
    int32_t *rows = cr_malloc((size_t)(tokens * tokens) * sizeof(*rows));
    for (int64_t i = 0; i < tokens * tokens && rows != NULL; i++) {
        const int64_t query = i / tokens, key = i % tokens;
        const int64_t dy = query / window - key / window, dx = query % window - key % window;
        rows[i] = (int32_t)((dy + window - 1) * side + dx + window - 1);
    }
    return rows;
}

/* The table of a block, [side^2, heads], becomes its bias, [1, heads, T, T]. */
static void spread(struct cr_chain *c, struct cr_tensor **bias, const struct cr_tensor *rows,
                   int64_t tokens)
{
    const int64_t heads = cr_tensor_extent(*bias, 1);
    struct cr_tensor *x = CR_DO(c, cr_op_gather_rows, *bias, rows);
    x = CR_DO(c, cr_op_permute, x, (int[]){1, 0});
    x = CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){1, heads, tokens, tokens});
    if (c->result < 0)
        return;
    cr_tensor_unref(bias);
    *bias = cr_chain_take(c, x);
}

int mask2former_prepare(struct mask2former *network, struct cr_error *err)
{
    const struct swin_config *config = &network->config.swin;
    const int64_t tokens = config->window * config->window;
    struct swin *swin = &network->weights->swin;
    struct cr_chain c = CR_CHAIN_INIT(err);
    int32_t *list = list_pairs(config->window);
    if (list == NULL)
        return cr_fail_memory(err, (size_t)(tokens * tokens) * sizeof(*list));
    struct cr_tensor *rows = CR_DO(&c, cr_tensor_upload, cr_tensor_device(swin->patches),
                                   CR_DTYPE_I32, 1, (int64_t[]){tokens * tokens}, list);
    cr_free(list);
    for (int i = 0; i < SWIN_STAGES; i++)
        for (int64_t j = 0; j < config->depths[i] && c.result == 0; j++) {
            spread(&c, &swin->stages[i].blocks[j].bias, rows, tokens);
            (void)cr_chain_release(&c, 0, rows);
        }
    return cr_chain_finish(&c);
}

int mask2former_load(struct mask2former *network, struct cr_model *model, enum cr_dtype dtype,
                     struct cr_context *context, struct cr_error *err)
{
    struct cr_claim *claim = NULL;
    int result = cr_claim_create(&claim, model, err);
    if (result == 0)
        result = mask2former_claim(network, claim, dtype, err);
    if (result == 0)
        result = cr_context_load(context, claim, err);
    cr_claim_destroy(&claim);
    if (result == 0)
        result = mask2former_prepare(network, err);
    if (result < 0)
        mask2former_unload(network);
    return result;
}
