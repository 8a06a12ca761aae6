/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "clip.h"

/* Where the tower lies: in a vision model, in a whole CLIP model, in CoLLaVO. */
static const char *const prefixes[] = {"vision_model.", "vit.vision_tower.vision_model.",
                                       "vision_tower.vision_model."};

#define PROBE "embeddings.patch_embedding.weight"
#define NAME_BYTES 192

/* What is being claimed, and from where. */
struct claims {
    struct cr_claim *claim;
    const char *prefix;
    enum cr_dtype weights;
};

static const char *find_prefix(struct cr_model *model)
{
    char name[NAME_BYTES];
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        snprintf(name, sizeof(name), "%s" PROBE, prefixes[i]);
        if (cr_model_has(model, name))
            return prefixes[i];
    }
    return NULL;
}

static void claim_vector(const struct claims *c, struct cr_tensor **tensor, int64_t n,
                         const char *name)
{
    cr_claim_tensor(c->claim, tensor, CR_DTYPE_F32, 1, (int64_t[]){n}, 0, "%s%s", c->prefix, name);
}

static void claim_norm(const struct claims *c, struct clip_norm *norm, int64_t n, const char *name)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof(full), "%s.weight", name);
    claim_vector(c, &norm->w, n, full);
    snprintf(full, sizeof(full), "%s.bias", name);
    claim_vector(c, &norm->b, n, full);
}

static void claim_linear(const struct claims *c, struct clip_linear *linear, int64_t n, int64_t k,
                         const char *name)
{
    char bias[NAME_BYTES];
    cr_claim_tensor(c->claim, &linear->w, c->weights, 2, (int64_t[]){n, k}, 0, "%s%s.weight",
                    c->prefix, name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    claim_vector(c, &linear->b, n, bias);
}

static void claim_layer(const struct claims *c, struct clip_layer *layer,
                        const struct clip_config *config, int64_t index)
{
    char name[NAME_BYTES];
    const int64_t d = config->width, inner = config->inner;
#define AT(part) (snprintf(name, sizeof(name), "encoder.layers.%lld." part, (long long)index), name)
    claim_norm(c, &layer->norm1, d, AT("layer_norm1"));
    claim_linear(c, &layer->q, d, d, AT("self_attn.q_proj"));
    claim_linear(c, &layer->k, d, d, AT("self_attn.k_proj"));
    claim_linear(c, &layer->v, d, d, AT("self_attn.v_proj"));
    claim_linear(c, &layer->out, d, d, AT("self_attn.out_proj"));
    claim_norm(c, &layer->norm2, d, AT("layer_norm2"));
    claim_linear(c, &layer->fc1, inner, d, AT("mlp.fc1"));
    claim_linear(c, &layer->fc2, d, inner, AT("mlp.fc2"));
#undef AT
}

static void claim_tower(const struct claims *c, struct clip *clip)
{
    const struct clip_config *config = &clip->config;
    const int64_t d = config->width, p = config->patch;
    cr_claim_prefix(c->claim, c->prefix);
    claim_vector(c, &clip->class_embedding, d, "embeddings.class_embedding");
    cr_claim_tensor(c->claim, &clip->patches,
                    c->weights == CR_DTYPE_F32 ? CR_DTYPE_F32 : CR_DTYPE_F16, 4,
                    (int64_t[]){d, config->channels, p, p}, 0, "%s" PROBE, c->prefix);
    cr_claim_tensor(c->claim, &clip->positions, CR_DTYPE_F32, 2, (int64_t[]){-1, d}, 0,
                    "%sembeddings.position_embedding.weight", c->prefix);
    claim_norm(c, &clip->norm, d, "pre_layrnorm"); /* as the files spell it */
    for (int64_t i = 0; i < config->layers; i++)
        claim_layer(c, &clip->layers[i], config, i);
    /* Not used by the features of the patches. */
    cr_claim_ignore(c->claim, "*embeddings.position_ids");
    cr_claim_ignore(c->claim, "*post_layernorm.*");
}

/* The connector's inner width is free, so is the language model's. */
static void claim_connector(struct claims *c, struct clip *clip, struct cr_model *model)
{
    if (!cr_model_has(model, "vision_proj.0.weight"))
        return;
    c->prefix = "vision_proj.";
    cr_claim_prefix(c->claim, c->prefix);
    claim_linear(c, &clip->connector[0], -1, clip->config.width, "0");
    claim_linear(c, &clip->connector[1], -1, -1, "2");
}

/* What shapes alone could not say before the tensors were there. */
static int check_loaded(const struct clip *clip, const struct cr_model *model, struct cr_error *err)
{
    const struct clip_linear *first = &clip->connector[0], *second = &clip->connector[1];
    const int64_t grid = clip_native_grid(clip), rows = cr_tensor_extent(clip->positions, 0);
    if (grid < 1 || grid * grid + 1 != rows)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the position embedding has %lld rows: one for the class token and a "
                       "square number for the patches would be right",
                       cr_model_folder(model), (long long)rows);
    if (first->w == NULL)
        return 0;
    const int64_t inner = cr_tensor_extent(first->w, 0), outer = cr_tensor_extent(second->w, 0);
    if (cr_tensor_extent(first->b, 0) != inner || cr_tensor_extent(second->w, 1) != inner ||
        cr_tensor_extent(second->b, 0) != outer)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: vision_proj.0 [%lld, ...] and vision_proj.2 [%lld, %lld] or their "
                       "biases do not fit each other",
                       cr_model_folder(model), (long long)inner, (long long)outer,
                       (long long)cr_tensor_extent(second->w, 1));
    return 0;
}

static int fail_no_tower(struct cr_model *model, struct cr_error *err)
{
    size_t count = 0;
    int result = cr_model_tensors(model, &count, err);
    if (result < 0)
        return result;
    return cr_fail(err, CR_ERR_FORMAT,
                   "%s: no CLIP vision tower among its %zu tensors: \"%s" PROBE "\" or \"%s" PROBE
                   "\" would be there",
                   cr_model_folder(model), count, prefixes[0], prefixes[1]);
}

int clip_load(struct clip *clip, struct cr_model *model, enum cr_dtype weights,
              struct cr_context *context, struct cr_error *err)
{
    struct claims c = {.prefix = find_prefix(model), .weights = weights};
    if (c.prefix == NULL)
        return fail_no_tower(model, err);
    clip->layers = cr_calloc((size_t)clip->config.layers, sizeof(*clip->layers));
    if (clip->layers == NULL)
        return cr_fail_memory(err, (size_t)clip->config.layers * sizeof(*clip->layers));
    int result = cr_claim_create(&c.claim, model, err);
    if (result < 0)
        return result;
    claim_tower(&c, clip);
    claim_connector(&c, clip, model);
    result = cr_context_load(context, c.claim, err);
    if (result == 0)
        result = check_loaded(clip, model, err);
    cr_claim_destroy(&c.claim);
    return result;
}

int64_t clip_native_grid(const struct clip *clip)
{
    const int64_t patches = cr_tensor_extent(clip->positions, 0) - 1;
    int64_t side = 0;
    while ((side + 1) * (side + 1) <= patches)
        side++;
    return side;
}

static void unload_linear(struct clip_linear *linear)
{
    cr_tensor_unref(&linear->w);
    cr_tensor_unref(&linear->b);
}

static void unload_norm(struct clip_norm *norm)
{
    cr_tensor_unref(&norm->w);
    cr_tensor_unref(&norm->b);
}

static void unload_layer(struct clip_layer *layer)
{
    struct clip_linear *linears[] = {&layer->q,   &layer->k,   &layer->v,
                                     &layer->out, &layer->fc1, &layer->fc2};
    for (size_t i = 0; i < sizeof(linears) / sizeof(linears[0]); i++)
        unload_linear(linears[i]);
    unload_norm(&layer->norm1);
    unload_norm(&layer->norm2);
}

void clip_unload(struct clip *clip)
{
    for (int64_t i = 0; i < clip->config.layers && clip->layers != NULL; i++)
        unload_layer(&clip->layers[i]);
    cr_free(clip->layers);
    unload_norm(&clip->norm);
    unload_linear(&clip->connector[0]);
    unload_linear(&clip->connector[1]);
    cr_tensor_unref(&clip->class_embedding);
    cr_tensor_unref(&clip->patches);
    cr_tensor_unref(&clip->positions);
    cr_tensor_unref(&clip->first);
    cr_tensor_unref(&clip->grid_positions);
    *clip = (struct clip){.config = clip->config};
}
