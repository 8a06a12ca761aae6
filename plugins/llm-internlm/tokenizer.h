/* SPDX-License-Identifier: MIT */
/* tokenizer.h: SentencePiece behind a small C interface, with the tokens that a model adds.
 *
 * Text is split at the added and special tokens first (`<image>`, `<s>`, `</s>`, `<unk>`, and what
 * added_tokens.json, special_tokens_map.json and tokenizer_config.json of the model name), longest
 * match first, without stripping blanks; what lies between goes through SentencePiece
 * (tokenizer.model), whose user-defined pieces it matches itself. */
#ifndef LLM_TOKENIZER_H
#define LLM_TOKENIZER_H

#include <crayon/plugin.h>

struct tokenizer;

/* From the model's tokenizer.model. `image` is the id of `<image>`, or -1: the number of pieces,
 * as CoLLaVO adds it. */
int tokenizer_open(struct tokenizer **out, const struct cr_model *model, int32_t image,
                   struct cr_error *err) CR_MUST_CHECK;
void tokenizer_close(struct tokenizer **tokenizer);

/* Ids that SentencePiece knows, added ones not counted. */
int32_t tokenizer_size(const struct tokenizer *tokenizer);
/* The id of a piece or an added token; -1 if there is none. */
int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *piece);
/* Is the id a piece or an added token? */
bool tokenizer_knows(const struct tokenizer *tokenizer, int32_t id);

/* Ids of UTF-8 text (no BOS is added), appended to a growing list. Invalid UTF-8 is CR_ERR_FORMAT
 * with the byte's place. */
struct token_list {
    int32_t *ids; /* freed with cr_free() */
    size_t count, capacity;
};
int token_list_add(struct token_list *list, int32_t id, struct cr_error *err) CR_MUST_CHECK;
int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                     struct token_list *list, struct cr_error *err) CR_MUST_CHECK;

/* Text of ids, NUL-terminated, freed with cr_free(); `*size` without the NUL. Bytes that are no
 * UTF-8 become U+FFFD each; control tokens give nothing; added tokens their text. An id that is
 * none is CR_ERR_ARGUMENT. */
int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                     char **text, size_t *size, struct cr_error *err) CR_MUST_CHECK;

/* Text as it grows token by token: never half a character. Starts zeroed. */
struct token_stream {
    struct token_list list; /* so far */
    size_t context;         /* tokens before this one no longer matter for the text of new ones */
    size_t done;            /* tokens whose text was given out */
    char *text;             /* the text that was given out, NUL-terminated; NULL: none so far */
    size_t size, capacity;
};
/* Add a token to the text: what of it became certain is appended to `text`. */
int token_stream_add(struct token_stream *stream, const struct tokenizer *tokenizer, int32_t id,
                     struct cr_error *err) CR_MUST_CHECK;
/* There will be no more: what is left of half characters becomes U+FFFD. */
int token_stream_end(struct token_stream *stream, const struct tokenizer *tokenizer,
                     struct cr_error *err) CR_MUST_CHECK;
void token_stream_finish(struct token_stream *stream);

#endif
