/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>

#include "llm.h"

int llm_cache_create(struct llm_cache *cache, const struct llm *llm, int64_t rows,
                     struct cr_error *err)
{
    const struct llm_config *config = &llm->config;
    const int64_t shape[4] = {1, config->key_heads, rows, config->head};
    const size_t layers = (size_t)config->layers;
    *cache = (struct llm_cache){.rows = rows, .layers = config->layers};
    cache->keys = cr_calloc(2 * layers, sizeof(struct cr_tensor *));
    if (cache->keys == NULL)
        return cr_fail_memory(err, 2 * layers * sizeof(struct cr_tensor *));
    cache->values = cache->keys + layers;
    int result = 0;
    for (size_t i = 0; i < 2 * layers && result == 0; i++)
        result =
            cr_tensor_upload(&cache->keys[i], llm->device, llm->cache_dtype, 4, shape, NULL, err);
    if (result < 0) {
        cr_error_prefix(err, "a cache of %lld tokens", (long long)rows);
        llm_cache_destroy(cache);
    }
    return result;
}

void llm_cache_destroy(struct llm_cache *cache)
{
    for (int64_t i = 0; i < 2 * cache->layers && cache->keys != NULL; i++)
        cr_tensor_unref(&cache->keys[i]);
    cr_free(cache->keys);
    *cache = (struct llm_cache){.keys = NULL};
}
