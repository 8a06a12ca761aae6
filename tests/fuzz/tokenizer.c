/* SPDX-License-Identifier: MIT */
/* Fuzz target: the tokenizer of a model: its added_tokens.json, which is its tokenizer_config.json
 * too (nothing: neither is there), a NUL byte, and its tokenizer.model. */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "tokenizer.h"

/* Ids of a text, and their text again. */
static void check(const struct tokenizer *tokenizer, const char *text, size_t size)
{
    struct token_list list = {.ids = NULL};
    struct cr_error err = CR_ERROR_INIT;
    struct token_stream stream = {.text = NULL};
    char *decoded = NULL;
    size_t bytes = 0;
    int result = tokenizer_encode(tokenizer, text, size, &list, &err);
    fuzz_result(result, result == 0, &err);
    for (size_t i = 0; i < list.count && result == 0; i++)
        fuzz_assert(token_stream_add(&stream, tokenizer, list.ids[i], &err) == 0);
    if (result == 0)
        fuzz_assert(token_stream_end(&stream, tokenizer, &err) == 0 &&
                    tokenizer_decode(tokenizer, list.ids, list.count, &decoded, &bytes, &err) == 0);
    token_stream_finish(&stream);
    cr_free(decoded);
    cr_free(list.ids);
}

/* Write it, or see to it that it is not there. */
static void put(const char *name, const void *data, size_t size)
{
    if (size == 0)
        unlink(fuzz_path(name));
    else
        fuzz_write(fuzz_path(name), data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "USER: <image> a cat, \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 \0 "
                               "</s>[UNUSED_TOKEN_145]  \n";
    struct cr_error err = CR_ERROR_INIT;
    struct cr_model *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct fuzz_pair files = fuzz_split(data, size);
    put("added_tokens.json", files.text, files.text_size);
    put("tokenizer_config.json", files.text, files.text_size);
    fuzz_write(fuzz_path("tokenizer.model"), files.rest, files.rest_size);
    fuzz_assert(cr_model_open(&model, fuzz_folder(), NULL, &err) == 0);
    int result = tokenizer_open(&tokenizer, model, -1, &err);
    fuzz_result(result, tokenizer != NULL, &err);
    if (tokenizer != NULL)
        check(tokenizer, text, sizeof(text) - 1);
    tokenizer_close(&tokenizer);
    cr_model_unref(&model);
    return 0;
}
