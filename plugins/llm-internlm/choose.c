/* SPDX-License-Identifier: MIT */
/* From the last hidden state to the next token. Everything over the vocabulary is the device's. */
#include "generate.h"

int llm_choice_prepare(struct llm_choice *choice, size_t answers, struct cr_context *context,
                       struct cr_error *err)
{
    const struct llm_request *request = choice->request;
    const int64_t beams = request->decoding->beams, vocabulary = choice->llm->config.vocabulary;
    choice->candidates = beams > 1 ? llm_beam_candidates(beams, request->end_count) : 1;
    if (choice->candidates > vocabulary)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%lld beams choose among the %lld most likely tokens, and the model has "
                       "%lld; lower \"beams\"",
                       (long long)beams, (long long)choice->candidates, (long long)vocabulary);
    const size_t count = (answers + 1) * (size_t)choice->candidates;
    choice->values = cr_context_scratch(context, count * sizeof(*choice->values), err);
    choice->indices = cr_context_scratch(context, count * sizeof(*choice->indices), err);
    return choice->values == NULL || choice->indices == NULL ? CR_ERR_MEMORY : 0;
}

static void read(struct cr_chain *c, const struct cr_tensor *x, void *data)
{
    const size_t size = x == NULL ? 0 : cr_dtype_size(cr_tensor_dtype(x));
    if (c->result == 0)
        c->result = cr_tensor_read(x, data, (size_t)cr_tensor_elements(x) * size, c->err);
}

/* The largest of each row of x, descending, and where they are. */
static void read_largest(struct cr_chain *c, const struct cr_tensor *x, int64_t count,
                         float *values, int32_t *indices)
{
    struct cr_tensor *largest = NULL, *places = NULL;
    if (c->result == 0)
        c->result = cr_op_topk(&largest, &places, x, (int)count, c->err);
    read(c, largest, values);
    read(c, places, indices);
    cr_tensor_unref(&largest);
    cr_tensor_unref(&places);
}

/* ---- The most likely token ---- */

static void choose_likeliest(struct cr_chain *c, const struct llm_choice *choice,
                             struct cr_tensor *logits, struct llm_answer *answers, size_t count)
{
    read(c, CR_DO(c, cr_op_argmax, logits), choice->indices);
    for (size_t i = 0; i < count && c->result == 0; i++) {
        const int32_t chosen = (int32_t)answers[i].chosen++;
        answers[i].nodes[chosen] = (struct llm_node){choice->indices[i], chosen - 1};
    }
}

/* ---- Beams ---- */

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
    read_largest(c, all, choice->candidates, choice->values, choice->indices);
    for (size_t i = 0; i < count && c->result == 0; i++) {
        const int64_t first = (int64_t)i * choice->candidates;
        llm_beam_step(&answers[i], choice->request, vocabulary, choice->candidates,
                      choice->values + first, choice->indices + first);
    }
}

/* ---- Any of them ---- */

void llm_choose(struct cr_chain *c, const struct llm_choice *choice, struct cr_tensor *hidden,
                struct llm_answer *answers, size_t count)
{
    const struct llm_decoding *decoding = choice->request->decoding;
    const int64_t rows = (int64_t)count * llm_answer_beams(&answers[0], choice->request);
    struct cr_tensor *x = llm_logits(c, choice->llm, hidden);
    x = CR_DO(c, cr_op_reshape, x, 2, (int64_t[]){rows, choice->llm->config.vocabulary});
    if (decoding->beams > 1)
        choose_beams(c, choice, CR_DO(c, cr_op_reduce, CR_OP_LOG_SOFTMAX, x), answers, count);
    else
        choose_likeliest(c, choice, x, answers, count);
    char name[128];
    if (c->result == CR_ERR_DEVICE && llm_weights_find_nan(&choice->llm->weights, name) != NULL)
        c->result =
            cr_fail(c->err, CR_ERR_FORMAT, "the weights hold a NaN or an infinity: %s", name);
}
