/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "llm.h"

static void read_rope(struct llm_config *config, struct cr_config *file)
{
    config->rope_base = cr_config_number(file, "/rope_theta", 10000, 1, 1e12);
    config->rope_factor = 0;
    if (!cr_config_has(file, "/rope_scaling"))
        return;
    const char *type =
        cr_config_text(file,
                       cr_config_has(file, "/rope_scaling/rope_type") ? "/rope_scaling/rope_type"
                                                                      : "/rope_scaling/type",
                       CR_CONFIG_REQUIRED_TEXT);
    if (type == NULL || strcmp(type, "default") == 0)
        return;
    if (strcmp(type, "dynamic") != 0)
        cr_config_problem(file, "/rope_scaling", "\"%s\" is not known; \"dynamic\" is", type);
    config->rope_factor =
        cr_config_number(file, "/rope_scaling/factor", CR_CONFIG_REQUIRED_NUMBER, 1, 1e6);
}

static void read_heads(struct llm_config *config, struct cr_config *file)
{
    config->heads = cr_config_int(file, "/num_attention_heads", CR_CONFIG_REQUIRED, 1, 1024);
    config->key_heads = cr_config_int(file, "/num_key_value_heads", config->heads, 1, 1024);
    config->head = cr_config_int(file, "/head_dim", config->width / config->heads, 1, 16384);
    if (config->head > 256 || config->head % 2 != 0)
        cr_config_problem(
            file, "/num_attention_heads",
            "%lld heads of %lld numbers for a hidden_size of %lld: a head must be even and "
            "256 at most",
            (long long)config->heads, (long long)config->head, (long long)config->width);
    if (config->heads % config->key_heads != 0)
        cr_config_problem(file, "/num_key_value_heads",
                          "%lld does not divide num_attention_heads, %lld",
                          (long long)config->key_heads, (long long)config->heads);
}

static void read_members(struct llm_config *config, struct cr_config *file)
{
    config->width = cr_config_int(file, "/hidden_size", CR_CONFIG_REQUIRED, 1, 65536);
    config->layers = cr_config_int(file, "/num_hidden_layers", CR_CONFIG_REQUIRED, 1, 1024);
    config->inner = cr_config_int(file, "/intermediate_size", CR_CONFIG_REQUIRED, 1, 1 << 20);
    config->vocabulary = cr_config_int(file, "/vocab_size", CR_CONFIG_REQUIRED, 1, 1 << 22);
    config->positions = cr_config_int(file, "/max_position_embeddings", 2048, 1, 1 << 24);
    config->epsilon = cr_config_number(file, "/rms_norm_eps", 1e-6, 0, 1);
    config->begin = cr_config_int(file, "/bos_token_id", 1, 0, config->vocabulary - 1);
    config->end = cr_config_int(file, "/eos_token_id", 2, 0, config->vocabulary - 1);
    const char *activation = cr_config_text(file, "/hidden_act", "silu");
    if (strcmp(activation, "silu") != 0)
        cr_config_problem(file, "/hidden_act", "\"%s\" is not known; \"silu\" is", activation);
    read_heads(config, file);
    read_rope(config, file);
}

/* The rank is told by the tensors, alpha by nobody but this file: {"rank": 256, "alpha": 256}. */
static int read_branch_scale(struct llm_config *config, const struct cr_model *model,
                             struct cr_error *err)
{
    char *path = NULL;
    struct cr_config *file = NULL;
    int result = cr_model_file(model, "plora.json", &path, err);
    if (result == CR_ERR_NOT_FOUND) {
        if (err != NULL)
            cr_error_clear(err);
        return 0;
    }
    if (result == 0)
        result = cr_config_read(&file, path, err);
    if (result == 0) {
        double rank = cr_config_number(file, "/rank", CR_CONFIG_REQUIRED_NUMBER, 1, 65536);
        double alpha = cr_config_number(file, "/alpha", CR_CONFIG_REQUIRED_NUMBER, 0, 65536);
        config->branch_scale = alpha / rank;
        result = cr_config_check(file, err);
    }
    cr_config_destroy(&file);
    cr_free(path);
    return result;
}

int llm_config_read(struct llm_config *config, const struct cr_model *model, const char *path,
                    struct cr_error *err)
{
    char *own = NULL;
    struct cr_config *file = NULL;
    *config = (struct llm_config){.branch_scale = 1};
    int result = path != NULL ? 0 : cr_model_file(model, "config.json", &own, err);
    if (result == 0)
        result = cr_config_read(&file, path != NULL ? path : own, err);
    if (result == 0) {
        read_members(config, file);
        result = cr_config_check(file, err);
    }
    cr_config_destroy(&file);
    cr_free(own);
    return result < 0 ? result : read_branch_scale(config, model, err);
}
