/* SPDX-License-Identifier: MIT */
/* pieces.h: the SentencePiece library, from C. Nothing throws. */
#ifndef LLM_PIECES_H
#define LLM_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pieces;

/* From the bytes of a tokenizer.model. NULL: `message` says why. */
struct pieces *pieces_load(const void *data, size_t size, char message[256]);
void pieces_free(struct pieces *pieces);

int32_t pieces_size(const struct pieces *pieces);
/* The id of a piece, -1 if it is none. */
int32_t pieces_find(const struct pieces *pieces, const char *piece);

/* Ids of valid UTF-8, and text of ids in 0..size - 1, handed to `add` or `put` as they are there;
 * these return false to give up. false: they did, or memory ran out. */
bool pieces_encode(const struct pieces *pieces, const char *text, size_t size,
                   bool (*add)(void *user, int32_t id), void *user);
bool pieces_decode(const struct pieces *pieces, const int32_t *ids, size_t count,
                   bool (*put)(void *user, const char *text, size_t size), void *user);

#ifdef __cplusplus
}
#endif
#endif
