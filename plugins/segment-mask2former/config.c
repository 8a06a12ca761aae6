/* SPDX-License-Identifier: MIT */
/* config.json as transformers writes it for Mask2Former. What is absent has the default that its
 * configuration classes give it: Mask2FormerConfig; SwinConfig; and, without any "backbone_config",
 * the Swin that Mask2FormerConfig then makes. */
#include <stdio.h>
#include <string.h>

#include <crayon/config.h>
#include <crayon/memory.h>

#include "network.h"

#define BACKBONE "/backbone_config"
#define MAX_HEAD 256    /* channels of a head: what attention takes */
#define MAX_WIDTH 16384 /* channels */

/* ---- Members that have one right value ---- */

static void expect_text(struct cr_config *file, const char *pointer, const char *wanted)
{
    const char *is = cr_config_text(file, pointer, wanted);
    if (strcmp(is, wanted) != 0)
        cr_config_problem(file, pointer, "\"%s\" is not supported, \"%s\" would be", is, wanted);
}

static void expect_false(struct cr_config *file, const char *pointer)
{
    if (cr_config_bool(file, pointer, false))
        cr_config_problem(file, pointer, "true is not supported, false would be");
}

/* Is there an object with members? One that is something else is a mistake. */
static bool has_members(struct cr_config *file, const char *pointer)
{
    if (!cr_config_has(file, pointer))
        return false;
    if (cr_config_name(file, pointer, 0) == NULL)
        cr_config_problem(file, pointer, "an object with members is needed");
    return true;
}

static bool is_list(const struct cr_config *file, const char *pointer)
{
    return cr_config_count(file, pointer) == SWIN_STAGES &&
           cr_config_name(file, pointer, 0) == NULL;
}

/* A list of SWIN_STAGES whole numbers; absent: `initial`. */
static void read_list(struct cr_config *file, const char *pointer, const int64_t *initial,
                      int64_t max, int64_t list[SWIN_STAGES])
{
    char item[64];
    memcpy(list, initial, SWIN_STAGES * sizeof(*list));
    if (!cr_config_has(file, pointer))
        return;
    if (!is_list(file, pointer)) {
        cr_config_problem(file, pointer, "a list of %d whole numbers is needed", SWIN_STAGES);
        return;
    }
    for (int i = 0; i < SWIN_STAGES; i++) {
        snprintf(item, sizeof(item), "%s/%d", pointer, i);
        list[i] = cr_config_int(file, item, CR_CONFIG_REQUIRED, 1, max);
    }
}

static void expect_strides(struct cr_config *file)
{
    static const int64_t wanted[SWIN_STAGES] = {4, 8, 16, 32};
    int64_t strides[SWIN_STAGES];
    read_list(file, "/feature_strides", wanted, 1024, strides);
    if (memcmp(strides, wanted, sizeof(wanted)) != 0)
        cr_config_problem(file, "/feature_strides",
                          "[%lld, %lld, %lld, %lld] is not supported, [4, 8, 16, 32] would be",
                          (long long)strides[0], (long long)strides[1], (long long)strides[2],
                          (long long)strides[3]);
}

/* All four stages have to come out, in order. */
static void expect_stages(struct cr_config *file)
{
    char pointer[64], wanted[16];
    const char *list = BACKBONE "/out_features";
    if (!cr_config_has(file, list))
        return;
    if (!is_list(file, list)) {
        cr_config_problem(file, list,
                          "[\"stage1\", \"stage2\", \"stage3\", \"stage4\"] would be right");
        return;
    }
    for (int i = 0; i < SWIN_STAGES; i++) {
        snprintf(pointer, sizeof(pointer), "%s/%d", list, i);
        snprintf(wanted, sizeof(wanted), "stage%d", i + 1);
        expect_text(file, pointer, wanted);
    }
}

/* ---- The backbone ---- */

static void check_swin(const struct swin_config *swin, struct cr_config *file)
{
    char pointer[64];
    for (int i = 0; i < SWIN_STAGES; i++) {
        const int64_t width = swin->width << i, heads = swin->heads[i];
        snprintf(pointer, sizeof(pointer), BACKBONE "/num_heads/%d", i);
        if (width % heads != 0 || width / heads > MAX_HEAD)
            cr_config_problem(file, pointer,
                              "%lld heads do not divide the %lld channels of their stage into "
                              "parts of %d at most",
                              (long long)heads, (long long)width, MAX_HEAD);
    }
    if (!(swin->mlp_ratio * (double)swin->width >= 1))
        cr_config_problem(file, BACKBONE "/mlp_ratio", "%g of %lld channels is less than one",
                          swin->mlp_ratio, (long long)swin->width);
}

static void read_swin(struct swin_config *swin, struct cr_config *file)
{
    static const int64_t tiny_depths[] = {2, 2, 6, 2}, small_depths[] = {2, 2, 18, 2};
    static const int64_t heads[] = {3, 6, 12, 24};
    const bool there = has_members(file, BACKBONE);
    expect_text(file, BACKBONE "/model_type", "swin");
    expect_text(file, BACKBONE "/hidden_act", "gelu");
    expect_false(file, BACKBONE "/use_absolute_embeddings");
    expect_stages(file);
    (void)cr_config_int(file, BACKBONE "/patch_size", SWIN_PATCH, SWIN_PATCH, SWIN_PATCH);
    (void)cr_config_int(file, BACKBONE "/num_channels", 3, 3, 3);
    swin->width = cr_config_int(file, BACKBONE "/embed_dim", 96, 1, MAX_WIDTH >> 3);
    read_list(file, BACKBONE "/depths", there ? tiny_depths : small_depths, 256, swin->depths);
    read_list(file, BACKBONE "/num_heads", heads, 1024, swin->heads);
    swin->window = cr_config_int(file, BACKBONE "/window_size", 7, 1, 32);
    swin->mlp_ratio = cr_config_number(file, BACKBONE "/mlp_ratio", 4, 0, 32);
    swin->epsilon = cr_config_number(file, BACKBONE "/layer_norm_eps", 1e-5, 0, 1);
    swin->qkv_bias = cr_config_bool(file, BACKBONE "/qkv_bias", true);
    check_swin(swin, file);
}

/* ---- What is behind it ---- */

static void check_head(const struct mask2former_config *config, struct cr_config *file)
{
    const int64_t features = cr_config_int(file, "/feature_size", 256, 1, MAX_WIDTH);
    if (features != config->width)
        cr_config_problem(file, "/feature_size",
                          "%lld differs from a hidden_dim of %lld, which is not supported; equal "
                          "ones would be",
                          (long long)features, (long long)config->width);
    if (config->width % NORM_GROUPS != 0)
        cr_config_problem(file, "/hidden_dim", "%lld is no multiple of %d, the groups of its norms",
                          (long long)config->width, NORM_GROUPS);
    if (config->width % config->heads != 0 || config->width / config->heads > MAX_HEAD)
        cr_config_problem(file, "/num_attention_heads",
                          "%lld heads do not divide a hidden_dim of %lld into parts of %d at most",
                          (long long)config->heads, (long long)config->width, MAX_HEAD);
}

/* transformers counts the names where there are any. */
static int64_t read_labels(struct cr_config *file)
{
    const size_t names = has_members(file, "/id2label") ? cr_config_count(file, "/id2label") : 0;
    const int64_t labels = cr_config_int(file, "/num_labels", 2, 1, MASK2FORMER_LABELS);
    if (names > MASK2FORMER_LABELS)
        cr_config_problem(file, "/id2label", "%zu labels: %d at most", names, MASK2FORMER_LABELS);
    return names > 0 ? (int64_t)names : labels;
}

static void read_members(struct mask2former_config *config, struct cr_config *file)
{
    expect_text(file, "/model_type", "mask2former");
    expect_text(file, "/activation_function", "relu");
    expect_false(file, "/use_timm_backbone");
    expect_false(file, "/pre_norm");
    expect_false(file, "/enforce_input_projection");
    (void)cr_config_int(file, "/common_stride", SWIN_PATCH, SWIN_PATCH, SWIN_PATCH);
    expect_strides(file);
    read_swin(&config->swin, file);
    config->width = cr_config_int(file, "/hidden_dim", 256, 1, MAX_WIDTH);
    config->mask_width = cr_config_int(file, "/mask_feature_size", 256, 1, MAX_WIDTH);
    config->heads = cr_config_int(file, "/num_attention_heads", 8, 1, 1024);
    config->encoder_layers = cr_config_int(file, "/encoder_layers", 6, 1, 256);
    config->encoder_inner = cr_config_int(file, "/encoder_feedforward_dim", 1024, 1, 65536);
    config->decoder_layers = cr_config_int(file, "/decoder_layers", 10, 2, 256) - 1;
    config->decoder_inner = cr_config_int(file, "/dim_feedforward", 2048, 1, 65536);
    config->queries = cr_config_int(file, "/num_queries", 100, 1, 65536);
    config->labels = read_labels(file);
    check_head(config, file);
}

int mask2former_config_read(struct mask2former_config *config, const struct cr_model *model,
                            const char *path, struct cr_error *err)
{
    char *own = NULL;
    struct cr_config *file = NULL;
    int result = 0;
    if (path == NULL)
        result = cr_model_file(model, "config.json", &own, err);
    if (result == 0)
        result = cr_config_read(&file, path != NULL ? path : own, err);
    if (result == 0) {
        read_members(config, file);
        result = cr_config_check(file, err);
    }
    cr_config_destroy(&file);
    cr_free(own);
    return result;
}
