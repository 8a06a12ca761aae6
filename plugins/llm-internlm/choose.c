/* SPDX-License-Identifier: MIT */
/* From the last hidden state to the next token. What is over the vocabulary is the device's. */
#include "generate.h"

/* The list of used tokens is rounded up, so that the shapes of consecutive steps agree. */
#define USED_GRAIN 64

/* ---- Room ---- */

static int64_t count_candidates(const struct llm_choice *choice)
{
    const struct llm_decoding *decoding = choice->request->decoding;
    if (decoding->beams > 1)
        return llm_beam_candidates(decoding->beams, choice->request->end_count);
    return decoding->temperature > 0 ? llm_sample_width(decoding, choice->llm->config.vocabulary)
                                     : 1;
}

static int check_candidates(const struct llm_choice *choice, struct cr_error *err)
{
    if (choice->candidates <= choice->llm->config.vocabulary)
        return 0;
    return cr_fail(err, CR_ERR_ARGUMENT,
                   "%lld beams choose among the %lld most likely tokens, and the model has %lld; "
                   "lower \"beams\"",
                   (long long)choice->request->decoding->beams, (long long)choice->candidates,
                   (long long)choice->llm->config.vocabulary);
}

static int prepare_chance(struct llm_choice *choice, struct cr_context *context,
                          struct cr_error *err)
{
    const size_t room =
        (size_t)llm_sample_room(choice->request->decoding, choice->llm->config.vocabulary);
    struct llm_distribution *d = &choice->distribution;
    d->weights = cr_context_scratch(context, room * sizeof(*d->weights), err);
    d->tokens = cr_context_scratch(context, room * sizeof(*d->tokens), err);
    return d->weights == NULL || d->tokens == NULL ? CR_ERR_MEMORY : 0;
}

/* The most tokens that an answer of `chosen` ones and its prompt may consist of, rounded. */
static int64_t most_used(const struct llm_choice *choice, int64_t chosen)
{
    int64_t most = 0;
    for (size_t i = 0; i < choice->batch->count; i++) {
        const struct llm_prompt *prompt = &choice->batch->prompts[i];
        const int64_t tokens = prompt->ids == NULL ? 0 : prompt->rows - prompt->images;
        most = tokens > most ? tokens : most;
    }
    return (most + chosen + USED_GRAIN) / USED_GRAIN * USED_GRAIN;
}

static int prepare_penalty(struct llm_choice *choice, size_t answers, struct cr_context *context,
                           struct cr_error *err)
{
    const struct llm_request *request = choice->request;
    const size_t list = (size_t)most_used(choice, request->max_tokens);
    const int64_t rows = (int64_t)answers * request->decoding->beams;
    if (rows > INT32_MAX / choice->llm->config.vocabulary)
        return cr_fail(err, CR_ERR_LIMIT,
                       "\"repetition_penalty\" takes %lld answers and beams at once at most, not "
                       "%lld; the stage key \"batch\" splits them",
                       (long long)(INT32_MAX / choice->llm->config.vocabulary), (long long)rows);
    choice->is_used = cr_context_scratch(context, (size_t)choice->llm->config.vocabulary, err);
    choice->used = cr_context_scratch(
        context, answers * (size_t)request->decoding->beams * list * sizeof(*choice->used), err);
    return choice->is_used == NULL || choice->used == NULL ? CR_ERR_MEMORY : 0;
}

int llm_choice_prepare(struct llm_choice *choice, size_t answers, struct cr_context *context,
                       struct cr_error *err)
{
    choice->candidates = count_candidates(choice);
    const size_t count = answers * (size_t)choice->candidates;
    choice->values = cr_context_scratch(context, count * sizeof(*choice->values), err);
    choice->indices = cr_context_scratch(context, count * sizeof(*choice->indices), err);
    if (choice->values == NULL || choice->indices == NULL)
        return CR_ERR_MEMORY;
    int result = check_candidates(choice, err);
    if (result == 0 && choice->request->decoding->temperature > 0)
        result = prepare_chance(choice, context, err);
    if (result == 0 && choice->request->decoding->repetition_penalty != 1)
        result = prepare_penalty(choice, answers, context, err);
    return result;
}

/* ---- Repetition ---- */

struct used {
    const struct llm_choice *choice;
    int32_t *list;
    int64_t count;
};

static void use(struct used *used, int32_t token)
{
    const struct llm_choice *choice = used->choice;
    if (token < 0 || token >= choice->llm->config.vocabulary || choice->is_used[token] != 0)
        return;
    choice->is_used[token] = 1;
    used->list[used->count++] = token;
}

/* Each token of the prompt and of a beam once, as places in all rows of logits; -1 fills the list.
 */
static void list_used(const struct llm_choice *choice, const struct llm_answer *answer,
                      int64_t beam, int64_t row, int64_t room, int32_t *list)
{
    const struct llm_prompt *prompt = &choice->batch->prompts[answer->item];
    struct used used = {choice, list, 0};
    for (int64_t i = 0; i < prompt->rows && prompt->ids != NULL; i++)
        use(&used, prompt->ids[i]);
    int32_t at = answer->chosen > 0 ? llm_answer_node(answer, choice->request, beam) : -1;
    for (; at >= 0; at = answer->nodes[at].parent)
        use(&used, answer->nodes[at].token);
    for (int64_t i = 0; i < room; i++) {
        if (i < used.count) {
            choice->is_used[list[i]] = 0;
            list[i] += (int32_t)(row * choice->llm->config.vocabulary);
        } else {
            list[i] = -1;
        }
    }
}

/* In place, where a token was used: x / penalty above 0, x penalty below (Keskar and others, arXiv
 * 1909.05858). */
static void penalise(struct cr_chain *c, const struct llm_choice *choice, struct cr_tensor *x,
                     const struct llm_answer *answers, int64_t beams)
{
    const float penalty = (float)choice->request->decoding->repetition_penalty;
    const int64_t rows = c->result < 0 ? 0 : cr_tensor_extent(x, 0);
    const int64_t room = most_used(choice, answers[0].chosen), count = rows * room;
    for (int64_t i = 0; i < rows; i++)
        list_used(choice, &answers[i / beams], i % beams, i, room, choice->used + i * room);
    struct cr_tensor *places =
        CR_DO(c, cr_tensor_upload, choice->llm->device, CR_DTYPE_I32, 1, &count, choice->used);
    struct cr_tensor *all =
        CR_DO(c, cr_op_reshape, x, 2, (int64_t[]){rows * choice->llm->config.vocabulary, 1});
    struct cr_tensor *old = CR_DO(c, cr_op_gather_rows, all, places);
    struct cr_tensor *above = CR_DO(c, cr_op_unary, CR_OP_RELU, old);
    struct cr_tensor *below = CR_DO(c, cr_op_unary, CR_OP_RELU, CR_DO(c, cr_op_scale, old, -1.0f));
    above = CR_DO(c, cr_op_scale, above, 1 / penalty);
    below = CR_DO(c, cr_op_scale, below, -penalty);
    struct cr_tensor *changed = CR_DO(c, cr_op_add, above, below);
    if (c->result == 0)
        c->result = cr_op_scatter_rows(all, places, changed, c->err);
}

/* ---- One beam ---- */

static void add_token(struct llm_answer *answer, int32_t token)
{
    const int32_t chosen = (int32_t)answer->chosen++;
    answer->nodes[chosen] = (struct llm_node){token, chosen - 1};
}

static void choose_likeliest(struct cr_chain *c, const struct llm_choice *choice,
                             struct cr_tensor *logits, struct llm_answer *answers, size_t count)
{
    struct cr_tensor *best = CR_DO(c, cr_op_argmax, logits);
    if (c->result == 0)
        c->result = cr_tensor_read(best, choice->indices, count * sizeof(*choice->indices), c->err);
    for (size_t i = 0; i < count && c->result == 0; i++)
        add_token(&answers[i], choice->indices[i]);
}

/* What an item draws depends on the seed and on how far it is, and not on its neighbours. */
static void choose_by_chance(struct cr_chain *c, struct llm_choice *choice,
                             struct cr_tensor *logits, struct llm_answer *answers, size_t count)
{
    const struct llm_decoding *decoding = choice->request->decoding;
    const uint64_t seed = choice->request->seed + (uint64_t)decoding->seed;
    struct cr_tensor *scores = llm_sample_scores(c, decoding, logits);
    llm_read_largest(c, scores, choice->candidates, choice->values, choice->indices);
    for (size_t i = 0; i < count && c->result == 0; i++) {
        const double uniform = llm_sample_uniform(seed, (uint64_t)answers[i].chosen);
        const size_t first = i * (size_t)choice->candidates;
        llm_sample_row(c, decoding, scores, (int64_t)i, choice->values + first,
                       choice->indices + first, uniform, &choice->distribution);
        if (c->result == 0)
            add_token(&answers[i], llm_sample_draw(&choice->distribution, uniform));
    }
}

/* ---- Several beams ---- */

/* `logarithms`: of the probabilities, a row for each beam. */
static void choose_beams(struct cr_chain *c, const struct llm_choice *choice,
                         struct cr_tensor *logarithms, struct llm_answer *answers, size_t count)
{
    const int64_t vocabulary = choice->llm->config.vocabulary;
    const int64_t beams = llm_answer_beams(&answers[0], choice->request);
    if (beams > 1) {
        const int64_t rows = (int64_t)count * beams;
        for (int64_t i = 0; i < rows; i++)
            choice->values[i] = answers[i / beams].sums[i % beams];
        struct cr_tensor *sums = CR_DO(c, cr_tensor_upload, choice->llm->device, CR_DTYPE_F32, 2,
                                       (int64_t[]){rows, 1}, choice->values);
        logarithms = CR_DO(c, cr_op_add, logarithms, sums);
    }
    struct cr_tensor *all =
        CR_DO(c, cr_op_reshape, logarithms, 2, (int64_t[]){(int64_t)count, beams * vocabulary});
    llm_read_largest(c, all, choice->candidates, choice->values, choice->indices);
    for (size_t i = 0; i < count && c->result == 0; i++) {
        const size_t first = i * (size_t)choice->candidates;
        llm_beam_step(&answers[i], choice->request, vocabulary, choice->candidates,
                      choice->values + first, choice->indices + first);
    }
}

/* ---- Any of these ---- */

void llm_choose(struct cr_chain *c, struct llm_choice *choice, struct cr_tensor *hidden,
                struct llm_answer *answers, size_t count)
{
    const struct llm_decoding *decoding = choice->request->decoding;
    const int64_t beams = llm_answer_beams(&answers[0], choice->request);
    struct cr_tensor *x = llm_logits(c, choice->llm, hidden);
    x = CR_DO(c, cr_op_reshape, x, 2,
              (int64_t[]){(int64_t)count * beams, choice->llm->config.vocabulary});
    if (decoding->beams > 1)
        x = CR_DO(c, cr_op_reduce, CR_OP_LOG_SOFTMAX, x);
    if (decoding->repetition_penalty != 1)
        penalise(c, choice, x, answers, beams);
    if (decoding->beams > 1)
        choose_beams(c, choice, x, answers, count);
    else if (decoding->temperature > 0)
        choose_by_chance(c, choice, x, answers, count);
    else
        choose_likeliest(c, choice, x, answers, count);
    char name[128];
    if (c->result == CR_ERR_DEVICE && llm_weights_find_nan(&choice->llm->weights, name) != NULL)
        c->result =
            cr_fail(c->err, CR_ERR_FORMAT, "the weights hold a NaN or an infinity: %s", name);
}
