/* SPDX-License-Identifier: MIT */
/* learned.h: the learned half of the Crayon Prompt (CoLLaVO, arXiv 2402.11248, section 3): a query
 * for each class, a query for each number, their sum, and the connector to the language model. */
#ifndef CRAYON_ENCODER_LEARNED_H
#define CRAYON_ENCODER_LEARNED_H

#include <crayon/chain.h>
#include <crayon/plugin.h>

struct learned {
    struct cr_tensor *semantic;    /* [classes + 1, d], f32 */
    struct cr_tensor *numbering;   /* [numbers + 1, d], f32 */
    struct cr_tensor *w[2], *b[2]; /* connector: linear, gelu, linear; NULL: the model has none */
};

/* Load the tables, and the connector if the model has one, its matrices as `weights`. */
int learned_load(struct learned *learned, struct cr_model *model, enum cr_dtype weights,
                 struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;
void learned_unload(struct learned *learned);

/* semantic[i] + numbering[i] of each cell: [B, cells, d]. The maps are B x cells numbers; one that
 * is no row of its table is CR_ERR_ARGUMENT, with its place. */
int learned_embed(struct cr_tensor **embedding, const struct learned *learned,
                  const int32_t *semantic, const int32_t *numbering, size_t count, size_t cells,
                  struct cr_error *err) CR_MUST_CHECK;
/* [B, cells, width of the language model]. */
int learned_connect(struct cr_tensor **features, const struct learned *learned,
                    const struct cr_tensor *embedding, struct cr_error *err) CR_MUST_CHECK;

#endif
