/* SPDX-License-Identifier: MIT */
/* Two ways of naming: InternLM2 (queries, keys and values packed into wqkv, head group by head
 * group, perhaps with low-rank branches) and LLaMA (q_proj, k_proj, v_proj; with biases it is the
 * first InternLM). Either becomes one matrix [queries, keys, values]. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "llm.h"

#define NAME_BYTES 128

enum naming {
    NAMING_INTERNLM2,
    NAMING_LLAMA
};

struct names {
    const char *embedding, *norm, *output;
    const char *attention_norm, *ffn_norm;
    const char *out, *gate, *up, *down;
};

static const struct names namings[] = {
    [NAMING_INTERNLM2] = {"model.tok_embeddings.weight", "model.norm.weight", "output.weight",
                          "attention_norm.weight", "ffn_norm.weight", "attention.wo",
                          "feed_forward.w1", "feed_forward.w3", "feed_forward.w2"},
    [NAMING_LLAMA] = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
                      "input_layernorm.weight", "post_attention_layernorm.weight",
                      "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"},
};

struct claims {
    struct cr_claim *claim;
    struct cr_model *model;
    const struct llm_config *config;
    enum cr_dtype dtype; /* of the matrices */
    enum naming naming;
    const struct names *names;
    const char *main; /* between a matrix' name and ".weight": "" or ".Plora_main" */
    int64_t layer;
    struct cr_claim_part *parts;    /* three for each key head, three at least */
    char (*part_names)[NAME_BYTES]; /* three */
};

/* ---- One matrix ---- */

static void claim_vector(struct claims *c, struct cr_tensor **tensor, int64_t n, const char *name)
{
    cr_claim_tensor(c->claim, tensor, CR_DTYPE_F32, 1, (int64_t[]){n}, 0, "model.layers.%lld.%s",
                    (long long)c->layer, name);
}

static bool has(struct claims *c, const char *matrix, const char *member)
{
    char name[2 * NAME_BYTES];
    snprintf(name, sizeof(name), "model.layers.%lld.%s%s", (long long)c->layer, matrix, member);
    return cr_model_has(c->model, name);
}

/* Low-rank branches keep 16 bits: they are small, and were trained in them. */
static enum cr_dtype branch_dtype(const struct claims *c)
{
    return c->dtype == CR_DTYPE_F32 ? CR_DTYPE_F32 : CR_DTYPE_F16;
}

static void claim_branch(struct claims *c, struct llm_branch *branch, const char *matrix,
                         const char *name, int64_t n)
{
    char member[32];
    snprintf(member, sizeof(member), ".%s_A.weight", name);
    if (!has(c, matrix, member))
        return;
    cr_claim_tensor(c->claim, &branch->a, branch_dtype(c), 2, (int64_t[]){-1, -1}, 0,
                    "model.layers.%lld.%s.%s_A.weight", (long long)c->layer, matrix, name);
    cr_claim_tensor(c->claim, &branch->b, branch_dtype(c), 2, (int64_t[]){n, -1}, 0,
                    "model.layers.%lld.%s.%s_B.weight", (long long)c->layer, matrix, name);
}

/* w2's file holds Plora_seg matrices that nothing uses: `crayon` says whether they are wanted. */
static void claim_linear(struct claims *c, struct llm_linear *linear, const char *matrix, int64_t n,
                         int64_t k, bool crayon)
{
    char bias[NAME_BYTES];
    snprintf(bias, sizeof(bias), "%s%s.bias", matrix, c->main);
    cr_claim_tensor(c->claim, &linear->w, c->dtype, 2, (int64_t[]){n, k}, 0,
                    "model.layers.%lld.%s%s.weight", (long long)c->layer, matrix, c->main);
    if (has(c, bias, ""))
        claim_vector(c, &linear->bias, n, bias);
    claim_branch(c, &linear->hidden, matrix, "Plora", n);
    if (crayon)
        claim_branch(c, &linear->crayon, matrix, "Plora_seg", n);
}

/* ---- Queries, keys, values ---- */

/* The rows of a packed matrix in the order queries, keys, values: each key head has a group of its
 * query heads, one key, one value. */
static size_t unpack(struct claims *c, const char *name)
{
    const int64_t d = c->config->head, group = c->config->heads / c->config->key_heads;
    size_t count = 0;
    for (int64_t what = 0; what < 3; what++)
        for (int64_t j = 0; j < c->config->key_heads; j++) {
            int64_t start = j * (group + 2) * d + (what == 0 ? 0 : (group + what - 1) * d);
            c->parts[count++] = (struct cr_claim_part){name, start, what == 0 ? group * d : d};
        }
    return count;
}

static void claim_unpacked(struct claims *c, struct cr_tensor **tensor, enum cr_dtype dtype,
                           int rank, const int64_t *shape, const char *member)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "model.layers.%lld.attention.wqkv%s", (long long)c->layer, member);
    size_t count = unpack(c, name);
    cr_claim_parts(c->claim, tensor, dtype, rank, shape, 0, c->parts, count);
}

static void claim_unpacked_branch(struct claims *c, struct llm_branch *branch, const char *name,
                                  int64_t n)
{
    char member[32];
    snprintf(member, sizeof(member), ".%s_A.weight", name);
    if (!has(c, "attention.wqkv", member))
        return;
    cr_claim_tensor(c->claim, &branch->a, branch_dtype(c), 2, (int64_t[]){-1, -1}, 0,
                    "model.layers.%lld.attention.wqkv%s", (long long)c->layer, member);
    snprintf(member, sizeof(member), ".%s_B.weight", name);
    claim_unpacked(c, &branch->b, branch_dtype(c), 2, (int64_t[]){n, -1}, member);
}

static void claim_packed_qkv(struct claims *c, struct llm_linear *qkv, int64_t n)
{
    char member[32];
    snprintf(member, sizeof(member), "%s.weight", c->main);
    claim_unpacked(c, &qkv->w, c->dtype, 2, (int64_t[]){n, c->config->width}, member);
    snprintf(member, sizeof(member), "%s.bias", c->main);
    if (has(c, "attention.wqkv", member))
        claim_unpacked(c, &qkv->bias, CR_DTYPE_F32, 1, (int64_t[]){n}, member);
    claim_unpacked_branch(c, &qkv->hidden, "Plora", n);
    claim_unpacked_branch(c, &qkv->crayon, "Plora_seg", n);
}

static void name_separate(struct claims *c, const char *member)
{
    static const char *const projections[] = {"q_proj", "k_proj", "v_proj"};
    for (int i = 0; i < 3; i++) {
        snprintf(c->part_names[i], NAME_BYTES, "model.layers.%lld.self_attn.%s.%s",
                 (long long)c->layer, projections[i], member);
        c->parts[i] = (struct cr_claim_part){c->part_names[i], 0, 0};
    }
}

static void claim_separate_qkv(struct claims *c, struct llm_linear *qkv, int64_t n)
{
    name_separate(c, "weight");
    cr_claim_parts(c->claim, &qkv->w, c->dtype, 2, (int64_t[]){n, c->config->width}, 0, c->parts,
                   3);
    name_separate(c, "bias");
    if (cr_model_has(c->model, c->part_names[0]))
        cr_claim_parts(c->claim, &qkv->bias, CR_DTYPE_F32, 1, (int64_t[]){n}, 0, c->parts, 3);
}

/* ---- All ---- */

static void claim_layer(struct claims *c, struct llm_layer *layer)
{
    const struct llm_config *config = c->config;
    const int64_t d = config->width, f = config->inner;
    const int64_t n = (config->heads + 2 * config->key_heads) * config->head;
    claim_vector(c, &layer->attention_norm, d, c->names->attention_norm);
    claim_vector(c, &layer->ffn_norm, d, c->names->ffn_norm);
    if (c->naming == NAMING_INTERNLM2)
        claim_packed_qkv(c, &layer->qkv, n);
    else
        claim_separate_qkv(c, &layer->qkv, n);
    claim_linear(c, &layer->out, c->names->out, d, config->heads * config->head, true);
    claim_linear(c, &layer->gate, c->names->gate, f, d, true);
    claim_linear(c, &layer->up, c->names->up, f, d, true);
    claim_linear(c, &layer->down, c->names->down, d, f, false);
}

/* Rows of the embedding beyond the vocabulary are added tokens such as `<image>`. */
static void claim_all(struct claims *c, struct llm_weights *weights)
{
    const struct llm_config *config = c->config;
    const int64_t d = config->width;
    cr_claim_prefix(c->claim, "model.");
    cr_claim_tensor(c->claim, &weights->embedding, branch_dtype(c), 2, (int64_t[]){-1, d}, 0, "%s",
                    c->names->embedding);
    cr_claim_tensor(c->claim, &weights->norm, CR_DTYPE_F32, 1, (int64_t[]){d}, 0, "%s",
                    c->names->norm);
    const bool tied = !cr_model_has(c->model, c->names->output);
    cr_claim_tensor(c->claim, &weights->output, c->dtype, 2,
                    (int64_t[]){tied ? -1 : config->vocabulary, d}, 0, "%s",
                    tied ? c->names->embedding : c->names->output);
    for (c->layer = 0; c->layer < config->layers; c->layer++)
        claim_layer(c, &weights->layers[c->layer]);
    cr_claim_ignore(c->claim, "*.rotary_emb.inv_freq");
    cr_claim_ignore(c->claim, "*.feed_forward.w2.Plora_seg_*");
}

static int find_naming(struct claims *c, struct cr_error *err)
{
    size_t count = 0;
    int result = cr_model_tensors(c->model, &count, err);
    if (result < 0)
        return result;
    c->main = cr_model_has(c->model, "model.layers.0.attention.wqkv.Plora_main.weight")
                  ? ".Plora_main"
                  : "";
    if (c->main[0] != '\0' || cr_model_has(c->model, "model.layers.0.attention.wqkv.weight"))
        c->naming = NAMING_INTERNLM2;
    else if (cr_model_has(c->model, "model.layers.0.self_attn.q_proj.weight"))
        c->naming = NAMING_LLAMA;
    else
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: no language model among its %zu tensors: "
                       "\"model.layers.0.attention.wqkv.weight\" (InternLM2), the same with "
                       "\".Plora_main\" (CoLLaVO), or \"model.layers.0.self_attn.q_proj.weight\" "
                       "(InternLM, LLaMA) would be there",
                       cr_model_folder(c->model), count);
    c->names = &namings[c->naming];
    return 0;
}

/* Branches must have the width of what they read, and one rank. */
static int check_branch(const struct llm_branch *branch, int64_t reads, int64_t layer,
                        const char *what, const struct cr_model *model, struct cr_error *err)
{
    if (branch->a == NULL)
        return 0;
    const int64_t rank = cr_tensor_extent(branch->a, 0);
    if (cr_tensor_extent(branch->b, 1) == rank &&
        (reads < 0 || cr_tensor_extent(branch->a, 1) == reads))
        return 0;
    return cr_fail(
        err, CR_ERR_FORMAT,
        "%s: the branch of %s in layer %lld does not fit: A [%lld, %lld], B [%lld, %lld]",
        cr_model_folder(model), what, (long long)layer, (long long)rank,
        (long long)cr_tensor_extent(branch->a, 1), (long long)cr_tensor_extent(branch->b, 0),
        (long long)cr_tensor_extent(branch->b, 1));
}

static int check_linear(const struct llm_linear *linear, int64_t layer, const char *what,
                        const struct cr_model *model, struct cr_error *err)
{
    int result =
        check_branch(&linear->hidden, cr_tensor_extent(linear->w, 1), layer, what, model, err);
    return result < 0 ? result : check_branch(&linear->crayon, -1, layer, what, model, err);
}

static int check_all(struct llm_weights *weights, const struct cr_model *model,
                     struct cr_error *err)
{
    int result = 0;
    for (int64_t i = 0; i < weights->layer_count && result == 0; i++) {
        const struct llm_layer *layer = &weights->layers[i];
        const struct llm_linear *linears[] = {&layer->qkv, &layer->out, &layer->gate, &layer->up,
                                              &layer->down};
        static const char *const names[] = {"the queries, keys and values",
                                            "the attention's output", "the gate",
                                            "the upward matrix", "the downward matrix"};
        for (size_t j = 0; j < 5 && result == 0; j++)
            result = check_linear(linears[j], i, names[j], model, err);
    }
    return result;
}

int llm_weights_load(struct llm_weights *weights, const struct llm_config *config,
                     struct cr_model *model, enum cr_dtype dtype, struct cr_context *context,
                     struct cr_error *err)
{
    struct claims c = {.model = model, .config = config, .dtype = dtype};
    const size_t layers = (size_t)config->layers;
    int result = find_naming(&c, err);
    if (result < 0)
        return result;
    weights->layers = cr_calloc(layers, sizeof(*weights->layers));
    weights->layer_count = weights->layers != NULL ? config->layers : 0;
    c.parts = cr_calloc(3 * (size_t)config->key_heads + 3, sizeof(*c.parts));
    c.part_names = cr_calloc(3, sizeof(*c.part_names));
    if (weights->layers == NULL || c.parts == NULL || c.part_names == NULL)
        result = cr_fail_memory(err, layers * sizeof(*weights->layers));
    if (result == 0)
        result = cr_claim_create(&c.claim, model, err);
    if (result == 0) {
        claim_all(&c, weights);
        result = cr_context_load(context, c.claim, err);
    }
    if (result == 0)
        result = check_all(weights, model, err);
    cr_claim_destroy(&c.claim);
    cr_free(c.parts);
    cr_free(c.part_names);
    return result;
}

/* ---- Letting go ---- */

static void unload_linear(struct llm_linear *linear)
{
    struct cr_tensor **tensors[] = {&linear->w,        &linear->bias,     &linear->hidden.a,
                                    &linear->hidden.b, &linear->crayon.a, &linear->crayon.b};
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
        cr_tensor_unref(tensors[i]);
}

void llm_weights_unload(struct llm_weights *weights)
{
    for (int64_t i = 0; i < weights->layer_count; i++) {
        struct llm_layer *layer = &weights->layers[i];
        cr_tensor_unref(&layer->attention_norm);
        cr_tensor_unref(&layer->ffn_norm);
        unload_linear(&layer->qkv);
        unload_linear(&layer->out);
        unload_linear(&layer->gate);
        unload_linear(&layer->up);
        unload_linear(&layer->down);
    }
    cr_free(weights->layers);
    cr_tensor_unref(&weights->embedding);
    cr_tensor_unref(&weights->norm);
    cr_tensor_unref(&weights->output);
    *weights = (struct llm_weights){.layers = NULL};
}

/* ---- Numbers that are none ---- */

/* Quantised matrices were looked at while they were made. */
static bool has_nan(const struct cr_tensor *tensor)
{
    if (tensor == NULL || cr_dtype_size(cr_tensor_dtype(tensor)) == 0)
        return false;
    float sum = 0;
    struct cr_chain c = CR_CHAIN_INIT(NULL);
    struct cr_tensor *x = CR_DO(&c, cr_op_cast, tensor, CR_DTYPE_F32);
    x = CR_DO(&c, cr_op_reshape, x, 2, (int64_t[]){1, cr_tensor_elements(tensor)});
    x = CR_DO(&c, cr_op_reduce, CR_OP_SUM_SQUARES, x);
    bool found = c.result == 0 && cr_tensor_read(x, &sum, sizeof(sum), NULL) == 0 && !isfinite(sum);
    (void)cr_chain_finish(&c);
    return found;
}

static bool linear_has_nan(const struct llm_linear *linear)
{
    return has_nan(linear->w) || has_nan(linear->bias) || has_nan(linear->hidden.a) ||
           has_nan(linear->hidden.b) || has_nan(linear->crayon.a) || has_nan(linear->crayon.b);
}

static const char *find_in_layer(const struct llm_layer *layer)
{
    const struct {
        const char *name;
        bool found;
    } parts[] = {
        {"attention norm", has_nan(layer->attention_norm)},
        {"queries, keys and values", linear_has_nan(&layer->qkv)},
        {"attention output", linear_has_nan(&layer->out)},
        {"perceptron norm", has_nan(layer->ffn_norm)},
        {"gate", linear_has_nan(&layer->gate)},
        {"upward matrix", linear_has_nan(&layer->up)},
        {"downward matrix", linear_has_nan(&layer->down)},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].found)
            return parts[i].name;
    return NULL;
}

const char *llm_weights_find_nan(const struct llm_weights *weights, char name[128])
{
    if (has_nan(weights->embedding))
        return strcpy(name, "embedding");
    for (int64_t i = 0; i < weights->layer_count; i++) {
        const char *part = find_in_layer(&weights->layers[i]);
        if (part != NULL) {
            snprintf(name, 128, "%s of layer %lld", part, (long long)i);
            return name;
        }
    }
    if (has_nan(weights->norm))
        return strcpy(name, "final norm");
    return has_nan(weights->output) ? strcpy(name, "output") : NULL;
}
