/* SPDX-License-Identifier: MIT */
/* Write a checkpoint of CoLLaVO-7B's shape, with all its names, in 16-bit floats and shards as it
 * is published, filled with random numbers: to try loading, memory and speed at full size.
 *
 *     checkpoint [--layers N] [--shard-bytes N] [--variant release|paper] [--sparse yes] FOLDER
 *
 * The paper's variant is InternLM-7B without branches, whose Crayon Prompt is as wide as the model.
 * Sparse files are a header before a hole and take no room on the disk: enough to plan memory. No
 * tokenizer.model is written. */
#include <stdlib.h>
#include <string.h>

#include "writer.h"

#define WIDTH 4096
#define HEADS 32
#define HEAD 128
#define RANK 256
#define CRAYON 4096 /* features that the branches read */
#define VISION 1024
#define VISION_INNER 4096
#define VISION_LAYERS 24
#define VISION_TOKENS 1226

/* What the two variants differ in. */
struct variant {
    const char *name;
    int key_heads, inner, vocabulary;
    int crayon; /* width of the two tables of the Crayon Prompt */
    void (*add_language_model)(int layers);
    const char *config;
};

static const struct variant *variant;

/* A linear of the language model: the matrix and its branches for image rows. */
static void plora(int64_t n, int64_t k, const char *layer, const char *name)
{
    char prefix[96];
    snprintf(prefix, sizeof(prefix), "%s%s.Plora_", layer, name);
    writer_matrix(RANK, k, prefix, "A.weight");
    writer_matrix(n, RANK, prefix, "B.weight");
    writer_matrix(n, k, prefix, "main.weight");
    writer_matrix(RANK, strstr(name, "w2") != NULL ? k : CRAYON, prefix, "seg_A.weight");
    writer_matrix(n, RANK, prefix, "seg_B.weight");
}

static void add_internlm2(int layers)
{
    char layer[64];
    const int64_t inner = variant->inner;
    writer_matrix(variant->vocabulary + 1, WIDTH, "model.", "tok_embeddings.weight");
    for (int i = 0; i < layers; i++) {
        snprintf(layer, sizeof(layer), "model.layers.%d.", i);
        plora((HEADS + 2 * variant->key_heads) * HEAD, WIDTH, layer, "attention.wqkv");
        plora(WIDTH, HEADS * HEAD, layer, "attention.wo");
        plora(inner, WIDTH, layer, "feed_forward.w1");
        plora(inner, WIDTH, layer, "feed_forward.w3");
        plora(WIDTH, inner, layer, "feed_forward.w2");
        writer_vector(WIDTH, layer, "attention_norm.weight", true);
        writer_vector(WIDTH, layer, "ffn_norm.weight", true);
    }
    writer_vector(WIDTH, "model.", "norm.weight", true);
    writer_matrix(variant->vocabulary, WIDTH, "output", ".weight");
}

static void add_internlm(int layers)
{
    static const char *const projections[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    char layer[64], attention[96];
    writer_matrix(variant->vocabulary + 1, WIDTH, "model.", "embed_tokens.weight");
    for (int i = 0; i < layers; i++) {
        snprintf(layer, sizeof(layer), "model.layers.%d.", i);
        snprintf(attention, sizeof(attention), "%sself_attn.", layer);
        for (int j = 0; j < 4; j++)
            writer_linear(WIDTH, WIDTH, attention, projections[j]);
        writer_matrix(variant->inner, WIDTH, layer, "mlp.gate_proj.weight");
        writer_matrix(variant->inner, WIDTH, layer, "mlp.up_proj.weight");
        writer_matrix(WIDTH, variant->inner, layer, "mlp.down_proj.weight");
        writer_vector(WIDTH, layer, "input_layernorm.weight", true);
        writer_vector(WIDTH, layer, "post_attention_layernorm.weight", true);
    }
    writer_vector(WIDTH, "model.", "norm.weight", true);
    writer_matrix(variant->vocabulary, WIDTH, "lm_head", ".weight");
}

static const struct variant variants[] = {
    {"release", 8, 14336, 92544, VISION, add_internlm2,
     "\"bias\":false,\"rms_norm_eps\":1e-05,\"rope_theta\":1000000,"
     "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":1.0},\"max_position_embeddings\":32768"},
    {"paper", HEADS, 11008, 103168, WIDTH, add_internlm,
     "\"bias\":true,\"rms_norm_eps\":1e-06,\"max_position_embeddings\":2048"},
};

#define TOWER "vit.vision_tower.vision_model."

static void vision_tower(void)
{
    static const char *const attention[] = {"self_attn.k_proj", "self_attn.v_proj",
                                            "self_attn.q_proj", "self_attn.out_proj"};
    writer_vector(VISION, TOWER, "embeddings.class_embedding", false);
    writer_add(4, (int64_t[]){VISION, 3, 14, 14}, false, TOWER "embeddings.patch_embedding.weight");
    writer_matrix(VISION_TOKENS, VISION, TOWER, "embeddings.position_embedding.weight");
    writer_norm(VISION, TOWER, "pre_layrnorm");
    writer_norm(VISION, TOWER, "post_layernorm");
    for (int i = 0; i < VISION_LAYERS; i++) {
        char layer[96];
        snprintf(layer, sizeof(layer), TOWER "encoder.layers.%d.", i);
        for (int j = 0; j < 4; j++)
            writer_linear(VISION, VISION, layer, attention[j]);
        writer_norm(VISION, layer, "layer_norm1");
        writer_norm(VISION, layer, "layer_norm2");
        writer_linear(VISION_INNER, VISION, layer, "mlp.fc1");
        writer_linear(VISION, VISION_INNER, layer, "mlp.fc2");
    }
}

static void connectors(void)
{
    writer_linear(WIDTH, VISION, "vision_proj.", "0");
    writer_linear(WIDTH, WIDTH, "vision_proj.", "2");
    writer_linear(WIDTH, variant->crayon, "vision_proj_for_seg.", "0");
    writer_linear(WIDTH, WIDTH, "vision_proj_for_seg.", "2");
    writer_matrix(134, variant->crayon, "seg_prompt_embed", ".weight");
    writer_matrix(21, variant->crayon, "seg_num_embed", ".weight");
}

static void write_config(const char *folder, int layers)
{
    FILE *file = writer_create(folder, "config.json");
    fprintf(file,
            "{\"architectures\":[\"CoLLaVOModel\"],\"model_type\":\"internlm\","
            "\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":2,\"hidden_act\":\"silu\","
            "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
            "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"vocab_size\":%d,"
            "\"tie_word_embeddings\":false,%s}\n",
            WIDTH, variant->inner, layers, HEADS, variant->key_heads, variant->vocabulary,
            variant->config);
    writer_close(file);
}

static const struct variant *find_variant(const char *name)
{
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        if (strcmp(variants[i].name, name) == 0)
            return &variants[i];
    return NULL;
}

int main(int argc, char **argv)
{
    int layers = 32, at = 1;
    uint64_t limit = 10000000000u;
    bool sparse = false;
    variant = &variants[0];
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--layers") == 0)
            layers = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--shard-bytes") == 0)
            limit = strtoull(argv[at + 1], NULL, 10);
        else if (strcmp(argv[at], "--variant") == 0)
            variant = find_variant(argv[at + 1]);
        else if (strcmp(argv[at], "--sparse") == 0)
            sparse = strcmp(argv[at + 1], "yes") == 0;
        else
            break;
    }
    if (at + 1 != argc || argv[at][0] == '-' || layers < 1 || layers > 32 || limit == 0 ||
        variant == NULL) {
        fprintf(stderr, "usage: checkpoint [--layers 1..32] [--shard-bytes N]\n"
                        "                  [--variant release|paper] [--sparse yes] FOLDER\n");
        return 2;
    }
    writer_folder(argv[at]);
    variant->add_language_model(layers);
    vision_tower();
    connectors();
    write_config(argv[at], layers);
    writer_save(argv[at], limit, sparse);
    return 0;
}
