/* SPDX-License-Identifier: MIT */
/* Beam search, with the bookkeeping of transformers from 4.36 on: lengths count generated tokens,
 * the closing one included. */
#include <math.h>

#include "generate.h"

static double score(const struct llm_request *request, double sum, int64_t length)
{
    return sum / pow((double)length, request->decoding->length_penalty);
}

static int64_t find_worst(const struct llm_answer *answer)
{
    int64_t worst = 0;
    for (int64_t i = 1; i < answer->complete_count; i++)
        if (answer->hypotheses[i].score < answer->hypotheses[worst].score)
            worst = i;
    return worst;
}

/* Keep it if it is among the best. */
static void complete(struct llm_answer *answer, const struct llm_request *request,
                     struct llm_node last, double sum, int64_t length)
{
    const struct llm_hypothesis hypothesis = {last, score(request, sum, length)};
    const int64_t worst = find_worst(answer);
    if (answer->complete_count < request->decoding->beams)
        answer->hypotheses[answer->complete_count++] = hypothesis;
    else if (hypothesis.score > answer->hypotheses[worst].score)
        answer->hypotheses[worst] = hypothesis;
}

/* `best`: the largest sum of the step that was just done. */
static bool is_settled(const struct llm_answer *answer, const struct llm_request *request,
                       double best)
{
    if (answer->complete_count < request->decoding->beams)
        return false;
    return request->decoding->early_stopping ||
           answer->hypotheses[find_worst(answer)].score >= score(request, best, answer->chosen);
}

void llm_beam_step(struct llm_answer *answer, const struct llm_request *request, int64_t vocabulary,
                   int64_t count, const float *sums, const int32_t *indices)
{
    const int64_t beams = request->decoding->beams, first = answer->chosen * beams;
    int64_t filled = 0;
    for (int64_t rank = 0; rank < count && filled < beams; rank++) {
        const int64_t beam = indices[rank] / vocabulary;
        const struct llm_node node = {
            .token = (int32_t)(indices[rank] % vocabulary),
            .parent = answer->chosen == 0 ? -1 : llm_answer_node(answer, request, beam)};
        if (!llm_ends(request, node.token)) {
            answer->nodes[first + filled] = node;
            answer->sums[filled++] = sums[rank];
        } else if (rank < beams) {
            complete(answer, request, node, (double)sums[rank], answer->chosen + 1);
        }
    }
    answer->chosen++;
    answer->settled = is_settled(answer, request, (double)sums[0]);
}

void llm_beam_close(struct llm_answer *answer, const struct llm_request *request)
{
    for (int64_t i = 0; i < request->decoding->beams && !answer->settled; i++)
        complete(answer, request, answer->nodes[llm_answer_node(answer, request, i)],
                 (double)answer->sums[i], answer->chosen);
}

int64_t llm_beam_best(const struct llm_answer *answer, int32_t *tokens)
{
    const struct llm_hypothesis *best = &answer->hypotheses[0];
    for (int64_t i = 1; i < answer->complete_count; i++)
        if (answer->hypotheses[i].score > best->score)
            best = &answer->hypotheses[i];
    int64_t count = 1;
    for (int32_t at = best->last.parent; at >= 0; at = answer->nodes[at].parent)
        count++;
    int64_t left = count;
    tokens[--left] = best->last.token;
    for (int32_t at = best->last.parent; at >= 0; at = answer->nodes[at].parent)
        tokens[--left] = answer->nodes[at].token;
    return count;
}
