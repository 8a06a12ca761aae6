/* SPDX-License-Identifier: MIT */
/* Fuzz target: the JSON files of a model: the same text as config.json, as the language model and
 * CLIP read it, and as the index of shards. */
#include "fuzz.h"

#include <stdio.h>

#include <crayon/config.h>
#include <crayon/model.h>

#include "clip.h"
#include "llm.h"

/* All members by all getters. */
static void read_members(struct cr_config *config)
{
    struct cr_error err = CR_ERROR_INIT;
    for (size_t i = 0; i < cr_config_count(config, ""); i++) {
        char pointer[64];
        int length = snprintf(pointer, sizeof(pointer), "/%s", cr_config_name(config, "", i));
        if (length >= (int)sizeof(pointer))
            continue;
        int64_t whole = cr_config_int(config, pointer, 0, -5, 5);
        double number = cr_config_number(config, pointer, 0, -5, 5);
        fuzz_assert(whole >= -5 && whole <= 5 && number >= -5 && number <= 5);
        (void)cr_config_bool(config, pointer, true);
        (void)cr_config_text(config, pointer, "");
        (void)cr_config_count(config, pointer);
    }
    int result = cr_config_check(config, &err);
    fuzz_result(result, result == 0, &err);
}

static void read_shapes(const struct cr_model *model)
{
    struct cr_error err = CR_ERROR_INIT, other = CR_ERROR_INIT;
    struct llm_config llm;
    struct clip_config clip;
    int result = llm_config_read(&llm, model, NULL, &err);
    fuzz_result(result, result == 0, &err);
    fuzz_assert(result < 0 || (llm.heads % llm.key_heads == 0 && llm.head <= 256));
    result = clip_config_read(&clip, model, NULL, &other);
    fuzz_result(result, result == 0, &other);
    fuzz_assert(result < 0 || clip.width % clip.heads == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cr_error err = CR_ERROR_INIT, other = CR_ERROR_INIT;
    struct cr_config *config = NULL;
    struct cr_model *model = NULL;
    size_t count;
    int result = cr_config_parse(&config, (const char *)data, size, "f", &err);
    fuzz_result(result, config != NULL, &err);
    if (config != NULL)
        read_members(config);
    cr_config_destroy(&config);
    fuzz_write(fuzz_path("config.json"), data, size);
    fuzz_write(fuzz_path("model.safetensors.index.json"), data, size);
    fuzz_assert(cr_model_open(&model, fuzz_folder(), NULL, &other) == 0);
    read_shapes(model);
    result = cr_model_tensors(model, &count, &other);
    fuzz_result(result, result == 0, &other);
    cr_model_unref(&model);
    return 0;
}
