/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "clip.h"

/* CoLLaVO's config.json is that of its language model; the vision tower is CLIP ViT-L/14-336. */
static const struct clip_config vit_l_14_336 = {.width = 1024,
                                                .inner = 4096,
                                                .layers = 24,
                                                .heads = 16,
                                                .channels = 3,
                                                .patch = 14,
                                                .image = 336,
                                                .epsilon = 1e-5,
                                                .activation = CR_ACTIVATION_QUICK_GELU};

static enum cr_activation find_activation(struct cr_config *file, const char *pointer)
{
    const char *name = cr_config_text(file, pointer, "quick_gelu");
    if (strcmp(name, "quick_gelu") == 0)
        return CR_ACTIVATION_QUICK_GELU;
    if (strcmp(name, "gelu") == 0)
        return CR_ACTIVATION_GELU;
    cr_config_problem(file, pointer, "\"%s\" is not known; \"quick_gelu\" or \"gelu\" would be",
                      name);
    return CR_ACTIVATION_NONE;
}

/* Members lie under `at`: "" or "/vision_config". Published vision configs of small models leave
 * out what equals the defaults of ViT-B/32. */
static void read_members(struct clip_config *config, struct cr_config *file, const char *at)
{
    char pointer[64];
#define AT(name) (snprintf(pointer, sizeof(pointer), "%s/%s", at, name), pointer)
    config->width = cr_config_int(file, AT("hidden_size"), 768, 1, 16384);
    config->inner = cr_config_int(file, AT("intermediate_size"), 3072, 1, 65536);
    config->layers = cr_config_int(file, AT("num_hidden_layers"), 12, 1, 256);
    config->heads = cr_config_int(file, AT("num_attention_heads"), 12, 1, 1024);
    config->channels = cr_config_int(file, AT("num_channels"), 3, 3, 3);
    config->patch = cr_config_int(file, AT("patch_size"), 32, 1, 256);
    config->image = cr_config_int(file, AT("image_size"), 224, 1, 8192);
    config->epsilon = cr_config_number(file, AT("layer_norm_eps"), 1e-5, 0, 1);
    config->activation = find_activation(file, AT("hidden_act"));
    if (config->width % config->heads != 0 || config->width / config->heads > 256)
        cr_config_problem(
            file, AT("num_attention_heads"),
            "%lld heads do not divide a hidden_size of %lld into parts of 256 at most",
            (long long)config->heads, (long long)config->width);
    if (config->image < config->patch)
        cr_config_problem(file, AT("image_size"), "%lld is less than one patch of %lld",
                          (long long)config->image, (long long)config->patch);
#undef AT
}

/* Where the file describes a vision tower; NULL if it does not. */
static const char *vision_part(const struct cr_config *file)
{
    if (cr_config_has(file, "/vision_config"))
        return "/vision_config";
    return cr_config_has(file, "/patch_size") ? "" : NULL;
}

static int read_file(struct clip_config *config, const char *path, bool required,
                     struct cr_error *err)
{
    struct cr_config *file = NULL;
    int result = cr_config_read(&file, path, err);
    if (result < 0)
        return result;
    const char *at = vision_part(file);
    if (at != NULL) {
        read_members(config, file, at);
        result = cr_config_check(file, err);
    } else if (required) {
        result = cr_fail(err, CR_ERR_FORMAT,
                         "%s: neither \"/patch_size\" nor \"/vision_config\" is there; it should "
                         "describe a CLIP vision model",
                         path);
    }
    cr_config_destroy(&file);
    return result;
}

int clip_config_read(struct clip_config *config, const struct cr_model *model, const char *path,
                     struct cr_error *err)
{
    *config = vit_l_14_336;
    if (path != NULL)
        return read_file(config, path, true, err);
    char *own = NULL;
    int result = cr_model_file(model, "config.json", &own, err);
    if (result == CR_ERR_NOT_FOUND) {
        cr_error_clear(err);
        return 0;
    }
    if (result == 0)
        result = read_file(config, own, false, err);
    cr_free(own);
    return result;
}
