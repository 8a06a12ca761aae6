/* SPDX-License-Identifier: MIT */
/* Write a checkpoint of CoLLaVO-7B's shape, with all its names, in 16-bit floats and shards as it
 * is published, filled with random numbers: to try loading, memory and speed at full size.
 *
 *     checkpoint [--layers N] [--shard-bytes N] FOLDER
 *
 * No tokenizer.model is written. */
#include <stdlib.h>
#include <string.h>

#include "writer.h"

#define WIDTH 4096
#define HEADS 32
#define KEY_HEADS 8
#define HEAD 128
#define INNER 14336
#define VOCABULARY 92544
#define RANK 256
#define CRAYON 4096 /* features that the branches read */
#define VISION 1024
#define VISION_INNER 4096
#define VISION_LAYERS 24
#define VISION_TOKENS 1226

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

static void language_model(int layers)
{
    char layer[64];
    writer_matrix(VOCABULARY + 1, WIDTH, "model.", "tok_embeddings.weight");
    for (int i = 0; i < layers; i++) {
        snprintf(layer, sizeof(layer), "model.layers.%d.", i);
        plora((HEADS + 2 * KEY_HEADS) * HEAD, WIDTH, layer, "attention.wqkv");
        plora(WIDTH, HEADS * HEAD, layer, "attention.wo");
        plora(INNER, WIDTH, layer, "feed_forward.w1");
        plora(INNER, WIDTH, layer, "feed_forward.w3");
        plora(WIDTH, INNER, layer, "feed_forward.w2");
        writer_vector(WIDTH, layer, "attention_norm.weight", true);
        writer_vector(WIDTH, layer, "ffn_norm.weight", true);
    }
    writer_vector(WIDTH, "model.", "norm.weight", true);
    writer_matrix(VOCABULARY, WIDTH, "output", ".weight");
}

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
    writer_linear(WIDTH, VISION, "vision_proj_for_seg.", "0");
    writer_linear(WIDTH, WIDTH, "vision_proj_for_seg.", "2");
    writer_matrix(134, VISION, "seg_prompt_embed", ".weight");
    writer_matrix(21, VISION, "seg_num_embed", ".weight");
}

static void write_config(const char *folder, int layers)
{
    FILE *file = writer_create(folder, "config.json");
    fprintf(file,
            "{\"architectures\":[\"CoLLaVOModel\"],\"model_type\":\"internlm\",\"bias\":false,"
            "\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":2,\"hidden_act\":\"silu\","
            "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
            "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"rms_norm_eps\":1e-05,"
            "\"rope_theta\":1000000,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":1.0},"
            "\"max_position_embeddings\":32768,\"vocab_size\":%d,\"tie_word_embeddings\":false}\n",
            WIDTH, INNER, layers, HEADS, KEY_HEADS, VOCABULARY);
    writer_close(file);
}

int main(int argc, char **argv)
{
    int layers = 32, at = 1;
    uint64_t limit = 10000000000u;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--layers") == 0)
            layers = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--shard-bytes") == 0)
            limit = strtoull(argv[at + 1], NULL, 10);
        else
            break;
    }
    if (at + 1 != argc || argv[at][0] == '-' || layers < 1 || layers > 32 || limit == 0) {
        fprintf(stderr, "usage: checkpoint [--layers 1..32] [--shard-bytes N] FOLDER\n");
        return 2;
    }
    writer_folder(argv[at]);
    language_model(layers);
    vision_tower();
    connectors();
    write_config(argv[at], layers);
    writer_save(argv[at], limit);
    return 0;
}
