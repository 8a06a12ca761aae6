/* SPDX-License-Identifier: MIT */
/* charsmap.h: what the SentencePiece library takes from a tokenizer.model without looking: the
 * table that its normaliser replaces characters by, and how many pieces there are. */
#ifndef LLM_CHARSMAP_H
#define LLM_CHARSMAP_H

#include <crayon/error.h>

/* Fails with what is wrong with a model that the library cannot be given. What the library finds
 * out itself may still be wrong. */
int charsmap_check(const void *model, size_t size, struct cr_error *err) CR_MUST_CHECK;

#endif
