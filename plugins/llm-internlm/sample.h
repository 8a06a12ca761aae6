/* SPDX-License-Identifier: MIT */
/* sample.h: the next token by chance. Temperature, then top_k, then top_p, as in Hugging Face's
 * generate. What is over the vocabulary is done on the device; what is read back are the most
 * likely tokens, and more of them only where those do not hold top_p of the whole. */
#ifndef LLM_SAMPLE_H
#define LLM_SAMPLE_H

#include "llm.h"

/* The tokens that may follow, the most likely first. */
struct llm_distribution {
    double *weights; /* room for llm_sample_room() */
    int32_t *tokens; /* likewise */
    int64_t count;   /* tokens that are known */
    int64_t kept;    /* those that may be drawn */
    double total;    /* their weight, and that of those that are not known if top_p keeps all */
};

/* Tokens of each row that are read at once; and that a distribution may have in the end. */
int64_t llm_sample_width(const struct llm_decoding *decoding, int64_t vocabulary);
int64_t llm_sample_room(const struct llm_decoding *decoding, int64_t vocabulary);

/* What tokens are compared by, [B, V] from logits [B, V]: themselves, or probabilities where the
 * weight of the others matters. */
struct cr_tensor *llm_sample_scores(struct cr_chain *chain, const struct llm_decoding *decoding,
                                    struct cr_tensor *logits);
/* The distribution of row `row`. values and indices [width]: its largest scores, which are
 * overwritten. Without top_k and top_p only as many tokens are known as hold `reach` of the whole.
 */
void llm_sample_row(struct cr_chain *chain, const struct llm_decoding *decoding,
                    const struct cr_tensor *scores, int64_t row, float *values, int32_t *indices,
                    double reach, struct llm_distribution *distribution);
/* The token at `uniform`, 0 <= uniform < 1. */
int32_t llm_sample_draw(const struct llm_distribution *distribution, double uniform);

/* The number of step `step`, 0 <= u < 1: 53 bits of the (step + 1)-th output of SplitMix64 (Steele,
 * Lea, Flood: Fast splittable pseudorandom number generators, 2014) from this seed. */
double llm_sample_uniform(uint64_t seed, uint64_t step);

/* Read the `count` largest of each row of x, descending, and where they are. */
void llm_read_largest(struct cr_chain *chain, const struct cr_tensor *x, int64_t count,
                      float *values, int32_t *indices);

#endif
