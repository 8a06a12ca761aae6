/* SPDX-License-Identifier: MIT */
/* Write a checkpoint of Mask2Former with a Swin backbone, with all its names:
 *
 *     segmenter [--swin tiny|small|base|large] [--sparse yes] FOLDER
 */
#include <string.h>

#include "writer.h"

#define BACKBONE "model.pixel_level_module.encoder."
#define PIXEL "model.pixel_level_module.decoder."
#define TRANSFORMER "model.transformer_module."
#define STAGES 4
#define WIDTH 256
#define HEADS 8
#define LABELS 133
#define DECODER_LAYERS 9
#define ENCODER_LAYERS 6

struct swin {
    const char *name;
    int64_t width, depths[STAGES], heads[STAGES], window, queries;
};

/* As published for COCO panoptic. */
static const struct swin swins[] = {
    {"tiny", 96, {2, 2, 6, 2}, {3, 6, 12, 24}, 7, 100},
    {"small", 96, {2, 2, 18, 2}, {3, 6, 12, 24}, 7, 100},
    {"base", 128, {2, 2, 18, 2}, {4, 8, 16, 32}, 12, 100},
    {"large", 192, {2, 2, 18, 2}, {6, 12, 24, 48}, 12, 200},
};

static void block(const struct swin *swin, int stage, int64_t index)
{
    char at[128];
    const int64_t width = swin->width << stage, side = 2 * swin->window - 1;
    snprintf(at, sizeof(at), BACKBONE "encoder.layers.%d.blocks.%d.", stage, (int)index);
    writer_norm(width, at, "layernorm_before");
    writer_matrix(side * side, swin->heads[stage], at,
                  "attention.self.relative_position_bias_table");
    writer_linear(width, width, at, "attention.self.query");
    writer_linear(width, width, at, "attention.self.key");
    writer_linear(width, width, at, "attention.self.value");
    writer_linear(width, width, at, "attention.output.dense");
    writer_norm(width, at, "layernorm_after");
    writer_linear(4 * width, width, at, "intermediate.dense");
    writer_linear(width, 4 * width, at, "output.dense");
}

static void backbone(const struct swin *swin)
{
    char at[128];
    writer_add(4, (int64_t[]){swin->width, 3, 4, 4}, false,
               BACKBONE "embeddings.patch_embeddings.projection.weight");
    writer_vector(swin->width, BACKBONE, "embeddings.patch_embeddings.projection.bias", false);
    writer_norm(swin->width, BACKBONE, "embeddings.norm");
    for (int i = 0; i < STAGES; i++) {
        for (int64_t j = 0; j < swin->depths[i]; j++)
            block(swin, i, j);
        snprintf(at, sizeof(at), BACKBONE "encoder.layers.%d.downsample.", i);
        if (i + 1 < STAGES) {
            writer_norm(swin->width << (i + 2), at, "norm");
            writer_matrix(swin->width << (i + 1), swin->width << (i + 2), at, "reduction.weight");
        }
        snprintf(at, sizeof(at), "hidden_states_norms.stage%d", i + 1);
        writer_norm(swin->width << i, BACKBONE, at);
    }
}

static void perceptron(int64_t inner, const char *at)
{
    writer_linear(inner, WIDTH, at, "fc1");
    writer_linear(WIDTH, inner, at, "fc2");
    writer_norm(WIDTH, at, "final_layer_norm");
}

static void pixel_decoder(const struct swin *swin)
{
    char at[128];
    writer_matrix(3, WIDTH, PIXEL, "level_embed");
    for (int i = 0; i < 3; i++) {
        snprintf(at, sizeof(at), PIXEL "input_projections.%d.", i);
        writer_add(4, (int64_t[]){WIDTH, swin->width << (3 - i), 1, 1}, false, "%s0.weight", at);
        writer_vector(WIDTH, at, "0.bias", false);
        writer_norm(WIDTH, at, "1");
    }
    for (int i = 0; i < ENCODER_LAYERS; i++) {
        snprintf(at, sizeof(at), PIXEL "encoder.layers.%d.", i);
        writer_linear(HEADS * 3 * 4 * 2, WIDTH, at, "self_attn.sampling_offsets");
        writer_linear(HEADS * 3 * 4, WIDTH, at, "self_attn.attention_weights");
        writer_linear(WIDTH, WIDTH, at, "self_attn.value_proj");
        writer_linear(WIDTH, WIDTH, at, "self_attn.output_proj");
        writer_norm(WIDTH, at, "self_attn_layer_norm");
        perceptron(1024, at);
    }
    writer_add(4, (int64_t[]){WIDTH, swin->width, 1, 1}, false, PIXEL "adapter_1.0.weight");
    writer_norm(WIDTH, PIXEL, "adapter_1.1");
    writer_add(4, (int64_t[]){WIDTH, WIDTH, 3, 3}, false, PIXEL "layer_1.0.weight");
    writer_norm(WIDTH, PIXEL, "layer_1.1");
    writer_add(4, (int64_t[]){WIDTH, WIDTH, 1, 1}, false, PIXEL "mask_projection.weight");
    writer_vector(WIDTH, PIXEL, "mask_projection.bias", false);
}

static void decoder(const struct swin *swin)
{
    static const char *const parts[] = {"self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj",
                                        "self_attn.out_proj"};
    char at[128];
    writer_matrix(3, WIDTH, TRANSFORMER, "level_embed.weight");
    writer_matrix(swin->queries, WIDTH, TRANSFORMER, "queries_embedder.weight");
    writer_matrix(swin->queries, WIDTH, TRANSFORMER, "queries_features.weight");
    for (int i = 0; i < DECODER_LAYERS; i++) {
        snprintf(at, sizeof(at), TRANSFORMER "decoder.layers.%d.", i);
        for (int j = 0; j < 4; j++)
            writer_linear(WIDTH, WIDTH, at, parts[j]);
        writer_norm(WIDTH, at, "self_attn_layer_norm");
        writer_matrix(3 * WIDTH, WIDTH, at, "cross_attn.in_proj_weight");
        writer_vector(3 * WIDTH, at, "cross_attn.in_proj_bias", false);
        writer_linear(WIDTH, WIDTH, at, "cross_attn.out_proj");
        writer_norm(WIDTH, at, "cross_attn_layer_norm");
        perceptron(2048, at);
    }
    writer_norm(WIDTH, TRANSFORMER, "decoder.layernorm");
    for (int i = 0; i < 3; i++) {
        snprintf(at, sizeof(at), "decoder.mask_predictor.mask_embedder.%d.0", i);
        writer_linear(WIDTH, WIDTH, TRANSFORMER, at);
    }
    writer_linear(LABELS + 1, WIDTH, "", "class_predictor");
}

static void write_list(FILE *file, const char *name, const int64_t list[STAGES])
{
    fprintf(file, "\"%s\":[%d,%d,%d,%d],", name, (int)list[0], (int)list[1], (int)list[2],
            (int)list[3]);
}

static void write_config(const char *folder, const struct swin *swin)
{
    FILE *file = writer_create(folder, "config.json");
    fprintf(file, "{\"model_type\":\"mask2former\",\"num_queries\":%d,\"id2label\":{",
            (int)swin->queries);
    for (int i = 0; i < LABELS; i++)
        fprintf(file, "%s\"%d\":\"LABEL_%d\"", i > 0 ? "," : "", i, i);
    fprintf(file, "},\"backbone_config\":{\"model_type\":\"swin\",");
    write_list(file, "depths", swin->depths);
    write_list(file, "num_heads", swin->heads);
    fprintf(file, "\"embed_dim\":%d,\"window_size\":%d}}\n", (int)swin->width, (int)swin->window);
    writer_close(file);
}

static const struct swin *find_swin(const char *name)
{
    for (size_t i = 0; i < sizeof(swins) / sizeof(swins[0]); i++)
        if (strcmp(swins[i].name, name) == 0)
            return &swins[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct swin *swin = find_swin("large");
    bool sparse = false;
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--swin") == 0)
            swin = find_swin(argv[at + 1]);
        else if (strcmp(argv[at], "--sparse") == 0)
            sparse = strcmp(argv[at + 1], "yes") == 0;
        else
            break;
    }
    if (at + 1 != argc || argv[at][0] == '-' || swin == NULL) {
        fprintf(stderr, "usage: segmenter [--swin tiny|small|base|large] [--sparse yes] FOLDER\n");
        return 2;
    }
    writer_folder(argv[at]);
    backbone(swin);
    pixel_decoder(swin);
    decoder(swin);
    write_config(argv[at], swin);
    writer_save(argv[at], 10000000000u, sparse);
    return 0;
}
