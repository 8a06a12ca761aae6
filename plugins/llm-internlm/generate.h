/* SPDX-License-Identifier: MIT */
/* generate.h: what the files of generation share. */
#ifndef LLM_GENERATE_H
#define LLM_GENERATE_H

#include "sample.h"

/* A token of an answer, and the one that it follows: -1, the prompt. The tokens of an item's beams
 * are a tree: node t n + i is the t-th token of beam i of n. Its keys and values lie in the cache
 * at that distance behind the prompt's, so that beams share what they have in common. */
struct llm_node {
    int32_t token, parent;
};

/* A complete answer, by its last token. */
struct llm_hypothesis {
    struct llm_node last;
    double score;
};

/* One item that is being answered. */
struct llm_answer {
    size_t item;
    int64_t prompt;         /* rows */
    int64_t first_row;      /* of the cache; the item's rows follow each other */
    int64_t chosen;         /* tokens chosen so far, the last of which are not in the cache yet */
    struct llm_node *nodes; /* [max_tokens, beams] */
    /* Of beam search alone: */
    float *sums;                       /* [beams]: log-probability of each beam */
    struct llm_hypothesis *hypotheses; /* [beams], complete_count of them used */
    int64_t complete_count;
    bool settled; /* none of the beams can get better than what is complete */
};

/* Tokens in the cache. */
static inline int64_t llm_answer_length(const struct llm_answer *answer)
{
    return answer->prompt + answer->chosen - 1;
}

static inline int64_t llm_answer_beams(const struct llm_answer *answer,
                                       const struct llm_request *request)
{
    return answer->chosen == 0 ? 1 : request->decoding->beams;
}

/* The node of a beam's last token. */
static inline int32_t llm_answer_node(const struct llm_answer *answer,
                                      const struct llm_request *request, int64_t beam)
{
    return (int32_t)((answer->chosen - 1) * request->decoding->beams + beam);
}

static inline bool llm_ends(const struct llm_request *request, int32_t token)
{
    for (size_t i = 0; i < request->end_count; i++)
        if (request->end[i] == token)
            return true;
    return false;
}

/* ---- Beams: beam.c ---- */

/* Go on with the best of `count` candidates, which are in descending order: the sums of
 * log-probabilities, and beam V + token. */
void llm_beam_step(struct llm_answer *answer, const struct llm_request *request, int64_t vocabulary,
                   int64_t count, const float *sums, const int32_t *indices);
/* There will be no further token: what the beams have so far counts as complete. */
void llm_beam_close(struct llm_answer *answer, const struct llm_request *request);
/* The tokens of the best complete answer, and how many: at most max_tokens. */
int64_t llm_beam_best(const struct llm_answer *answer, int32_t *tokens);

/* ---- Choosing: choose.c ---- */

struct llm_choice {
    const struct llm *llm;
    const struct llm_batch *batch;
    const struct llm_request *request;
    int64_t candidates;                   /* of an answer */
    float *values;                        /* [answers, candidates] */
    int32_t *indices;                     /* likewise */
    struct llm_distribution distribution; /* by chance: of one answer after the other */
    uint8_t *is_used;                     /* [V], zeros; with a repetition penalty, as is */
    int32_t *used;                        /* room for the tokens that all beams have used */
};

/* Room for `answers` answers at once, scratch of the context. */
int llm_choice_prepare(struct llm_choice *choice, size_t answers, struct cr_context *context,
                       struct cr_error *err) CR_MUST_CHECK;
/* The next token of every beam of `count` answers, from the hidden state of their last ones
 * [..., D]. Waits for the device: late errors show here. */
void llm_choose(struct cr_chain *chain, struct llm_choice *choice, struct cr_tensor *hidden,
                struct llm_answer *answers, size_t count);

#endif
