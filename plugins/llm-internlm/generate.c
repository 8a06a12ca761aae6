/* SPDX-License-Identifier: MIT */
/* Decoding. Prompts go through the model one by one, so that none feels its neighbours; then all
 * beams of all items that have not ended take one step together. */
#include <string.h>
#include <time.h>

#include <crayon/memory.h>

#include "generate.h"

struct generation {
    const struct llm *llm;
    const struct llm_batch *batch;
    const struct llm_request *request;
    struct cr_context *context;
    struct cr_error *err;
    struct llm_cache cache;
    struct llm_choice choice;
    struct llm_answer *answers; /* those that go on come first */
    size_t going;
    int32_t *ints; /* room for what a pass uploads */
    float *floats;
    struct cr_tensor **logits, **hidden; /* of each item, padded; or NULL */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- What a pass uploads ---- */

static struct cr_tensor *upload_ints(struct cr_chain *c, const struct generation *g, int rank,
                                     const int64_t *shape, const int32_t *data)
{
    return CR_DO(c, cr_tensor_upload, g->llm->device, CR_DTYPE_I32, rank, shape, data);
}

static struct cr_tensor *upload_floats(struct cr_chain *c, const struct generation *g, int rank,
                                       const int64_t *shape, const float *data)
{
    return CR_DO(c, cr_tensor_upload, g->llm->device, CR_DTYPE_F32, rank, shape, data);
}

/* ---- A prompt ---- */

static struct cr_tensor *gather(struct cr_chain *c, const struct cr_tensor *features,
                                struct cr_tensor *index, int64_t rows)
{
    const int64_t width = cr_tensor_extent(features, cr_tensor_rank(features) - 1);
    struct cr_tensor *flat =
        CR_DO(c, cr_op_reshape, features, 2,
              (int64_t[]){cr_tensor_elements(features) / (width > 0 ? width : 1), width});
    flat = CR_DO(c, cr_op_gather_rows, flat, index);
    return CR_DO(c, cr_op_reshape, flat, 3, (int64_t[]){1, rows, width});
}

/* The first hidden state, and what the image rows need on the way. */
static void embed(struct cr_chain *c, const struct generation *g, size_t item,
                  struct llm_pass *pass)
{
    const struct llm_prompt *prompt = &g->batch->prompts[item];
    const int64_t rows = prompt->rows, d = g->llm->config.width;
    struct cr_tensor *index = NULL;
    if (prompt->images > 0)
        index = upload_ints(c, g, 1, &rows, prompt->image);
    if (prompt->ids == NULL) {
        pass->embedded = CR_DO(c, cr_op_slice, g->batch->embeddings,
                               (int64_t[]){(int64_t)item, 0, 0}, (int64_t[]){1, rows, d});
    } else {
        struct cr_tensor *ids = upload_ints(c, g, 2, (int64_t[]){1, rows}, prompt->ids);
        pass->embedded = CR_DO(c, cr_op_embedding, g->llm->weights.embedding, ids);
        if (index != NULL)
            pass->embedded =
                CR_DO(c, cr_op_add, pass->embedded, gather(c, g->batch->image, index, rows));
    }
    if (index == NULL)
        return;
    for (int64_t i = 0; i < rows; i++)
        g->floats[i] = prompt->image[i] < 0 ? 0 : (float)g->llm->config.branch_scale;
    pass->image = upload_floats(c, g, 1, &rows, g->floats);
    if (g->batch->crayon != NULL)
        pass->crayon = gather(c, g->batch->crayon, index, rows);
}

/* Rotary tables of positions 0..rows - 1, and rows of the cache from `first` on. */
static void place_prompt(struct cr_chain *c, const struct generation *g, int64_t first,
                         int64_t rows, struct llm_pass *pass)
{
    const int64_t half = g->llm->config.head / 2;
    const int32_t length = (int32_t)rows;
    float *sines = g->floats + rows * half;
    for (int64_t i = 0; i < rows; i++)
        llm_rope_row(&g->llm->config, i, rows, g->floats + i * half, sines + i * half);
    pass->cosines = upload_floats(c, g, 2, (int64_t[]){rows, half}, g->floats);
    pass->sines = upload_floats(c, g, 2, (int64_t[]){rows, half}, sines);
    for (int64_t i = 0; i < rows; i++)
        g->ints[i] = (int32_t)i;
    pass->positions = upload_ints(c, g, 2, (int64_t[]){1, rows}, g->ints);
    for (int64_t i = 0; i < rows; i++)
        g->ints[i] = (int32_t)(first + i);
    pass->append = pass->rows = upload_ints(c, g, 2, (int64_t[]){1, rows}, g->ints);
    pass->lengths = upload_ints(c, g, 1, (int64_t[]){1}, &length);
}

/* Keep an output of the prompt's rows, with zeros where the item is padded. */
static void keep_rows(struct cr_chain *c, struct cr_tensor *x, const struct llm_prompt *prompt,
                      struct cr_tensor **kept)
{
    x = CR_DO(c, cr_op_pad, x, (int64_t[]){0, prompt->padding, 0}, (int64_t[]){0, 0, 0}, 0);
    *kept = cr_chain_take(c, x);
}

static int run_prompt(struct generation *g, struct llm_answer *answer)
{
    const struct llm_prompt *prompt = &g->batch->prompts[answer->item];
    const int64_t rows = prompt->rows, d = g->llm->config.width;
    struct cr_chain c = CR_CHAIN_INIT(g->err);
    struct llm_pass pass = {.items = 1, .length = rows};
    embed(&c, g, answer->item, &pass);
    place_prompt(&c, g, answer->first_row, rows, &pass);
    struct cr_tensor *hidden = llm_forward(&c, g->llm, &g->cache, &pass, g->context);
    if (g->hidden != NULL)
        keep_rows(&c, hidden, prompt, &g->hidden[answer->item]);
    if (g->logits != NULL)
        keep_rows(&c, llm_logits(&c, g->llm, hidden), prompt, &g->logits[answer->item]);
    if (g->request->max_tokens > 0) {
        hidden = CR_DO(&c, cr_op_slice, hidden, (int64_t[]){0, rows - 1, 0}, (int64_t[]){1, 1, d});
        llm_choose(&c, &g->choice, hidden, answer, 1);
    }
    return cr_chain_finish(&c);
}

/* ---- A step ---- */

/* Positions are rounded up, so that the shapes of consecutive steps agree and their memory is
 * reused. */
#define STEP_GRAIN 64

static int64_t longest_answer(const struct generation *g)
{
    int64_t longest = 0;
    for (size_t i = 0; i < g->going; i++) {
        const int64_t length = llm_answer_length(&g->answers[i]);
        longest = length > longest ? length : longest;
    }
    return (longest + 1 + STEP_GRAIN - 1) / STEP_GRAIN * STEP_GRAIN;
}

/* Where in the cache the prompt lies, then the tokens up to node `last`, then nothing. */
static void place_rows(const struct llm_answer *answer, int32_t last, int64_t count, int32_t *rows)
{
    const int64_t length = llm_answer_length(answer);
    const int32_t first = (int32_t)answer->first_row, prompt = (int32_t)answer->prompt;
    for (int32_t i = 0; i < prompt; i++)
        rows[i] = first + i;
    for (int64_t i = length; i >= prompt; i--, last = answer->nodes[last].parent)
        rows[i] = first + prompt + last;
    for (int64_t i = length + 1; i < count; i++)
        rows[i] = -1;
}

/* The last tokens of all beams of all answers that go on. */
static void place_step(struct cr_chain *c, const struct generation *g, struct llm_pass *pass)
{
    const int64_t half = g->llm->config.head / 2, n = g->request->decoding->beams;
    const int64_t b = pass->items, k = longest_answer(g);
    float *sines = g->floats + b * half;
    int32_t *const positions = g->ints, *const appended = positions + b,
                   *const lengths = appended + b, *const ids = lengths + b, *const rows = ids + b;
    for (int64_t i = 0; i < b; i++) {
        const struct llm_answer *answer = &g->answers[i / n];
        const int64_t length = llm_answer_length(answer);
        const int32_t node = llm_answer_node(answer, g->request, i % n);
        llm_rope_row(&g->llm->config, length, length + 1, g->floats + i * half, sines + i * half);
        positions[i] = (int32_t)i;
        lengths[i] = (int32_t)(length + 1);
        ids[i] = answer->nodes[node].token;
        place_rows(answer, node, k, rows + i * k);
        appended[i] = rows[i * k + length];
    }
    pass->cosines = upload_floats(c, g, 2, (int64_t[]){b, half}, g->floats);
    pass->sines = upload_floats(c, g, 2, (int64_t[]){b, half}, sines);
    pass->positions = upload_ints(c, g, 2, (int64_t[]){b, 1}, positions);
    pass->append = upload_ints(c, g, 2, (int64_t[]){b, 1}, appended);
    pass->lengths = upload_ints(c, g, 1, &b, lengths);
    pass->rows = upload_ints(c, g, 2, (int64_t[]){b, k}, rows);
    pass->embedded = CR_DO(c, cr_op_embedding, g->llm->weights.embedding,
                           upload_ints(c, g, 2, (int64_t[]){b, 1}, ids));
}

static int run_step(struct generation *g)
{
    struct cr_chain c = CR_CHAIN_INIT(g->err);
    struct llm_pass pass = {.items = (int64_t)g->going * g->request->decoding->beams, .length = 1};
    place_step(&c, g, &pass);
    struct cr_tensor *hidden = llm_forward(&c, g->llm, &g->cache, &pass, g->context);
    llm_choose(&c, &g->choice, hidden, g->answers, g->going);
    return cr_chain_finish(&c);
}

/* ---- What is told ---- */

static int tell_token(struct generation *g, const struct llm_answer *answer, int32_t token,
                      bool *over)
{
    *over = false;
    int result = g->request->token(g->request->user, answer->item, token, over, g->err);
    *over = *over || result < 0 || llm_ends(g->request, token);
    return result;
}

/* The best of all beams, token by token. */
static int tell_best(struct generation *g, struct llm_answer *answer)
{
    int result = 0;
    bool over = false;
    llm_beam_close(answer, g->request);
    const int64_t count = llm_beam_best(answer, g->ints);
    for (int64_t i = 0; i < count && !over; i++)
        result = tell_token(g, answer, g->ints[i], &over);
    return result;
}

/* What has become certain of an answer by the last step. */
static int tell_answer(struct generation *g, struct llm_answer *answer, bool *over)
{
    const bool full = answer->chosen == g->request->max_tokens;
    int result = 0;
    if (g->request->decoding->beams > 1) {
        *over = answer->settled || full;
        return *over ? tell_best(g, answer) : 0;
    }
    result = tell_token(g, answer, answer->nodes[answer->chosen - 1].token, over);
    *over = *over || full;
    return result;
}

/* Tell of the last step; answers that have ended leave the front. */
static int tell(struct generation *g)
{
    size_t kept = 0;
    int result = 0;
    for (size_t i = 0; i < g->going && result == 0; i++) {
        struct llm_answer answer = g->answers[i];
        bool over = false;
        result = tell_answer(g, &answer, &over);
        if (!over)
            g->answers[kept++] = answer;
    }
    g->going = result < 0 ? 0 : kept;
    return result;
}

/* A cancelled run: what there is so far is an answer, too. */
static int tell_rest(struct generation *g)
{
    int result = 0;
    cr_error_clear(g->err);
    for (size_t i = 0; i < g->going && g->request->decoding->beams > 1 && result == 0; i++)
        result = tell_best(g, &g->answers[i]);
    g->going = 0;
    return result;
}

/* ---- The whole ---- */

static int check_context(const struct generation *g)
{
    const int64_t limit = g->request->context;
    for (size_t i = 0; i < g->batch->count; i++) {
        const int64_t wanted = g->batch->prompts[i].rows + g->request->max_tokens;
        if (wanted > limit)
            return cr_fail(g->err, CR_ERR_LIMIT,
                           "item %zu: a prompt of %lld tokens and an answer of %lld exceed the "
                           "model's %lld by %lld; shorten the prompt or lower \"max_tokens\"",
                           i, (long long)g->batch->prompts[i].rows,
                           (long long)g->request->max_tokens, (long long)limit,
                           (long long)(wanted - limit));
    }
    return 0;
}

/* The nodes of the answers, and for beams what else they need. */
static int prepare_answers(struct generation *g)
{
    const size_t beams = (size_t)g->request->decoding->beams, count = g->batch->count;
    const size_t nodes = (size_t)g->request->max_tokens * beams;
    struct llm_node *all =
        cr_context_scratch(g->context, (count * nodes + 1) * sizeof(*all), g->err);
    float *sums = cr_context_scratch(g->context, (count * beams + 1) * sizeof(*sums), g->err);
    struct llm_hypothesis *hypotheses =
        cr_context_scratch(g->context, (count * beams + 1) * sizeof(*hypotheses), g->err);
    if (all == NULL || sums == NULL || hypotheses == NULL)
        return CR_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        g->answers[i].nodes = all + i * nodes;
        g->answers[i].sums = sums + i * beams;
        g->answers[i].hypotheses = hypotheses + i * beams;
    }
    return 0;
}

/* Host memory for what passes upload: of items that are `longest`. */
static int prepare_uploads(struct generation *g, int64_t longest)
{
    const size_t half = (size_t)g->llm->config.head / 2, wide = (size_t)longest + 2 * STEP_GRAIN;
    const size_t rows = (g->batch->count + 1) * (size_t)g->request->decoding->beams;
    g->ints = cr_context_scratch(g->context, rows * (wide + 4) * sizeof(int32_t), g->err);
    g->floats =
        cr_context_scratch(g->context, 2 * (wide + rows) * (half + 1) * sizeof(float), g->err);
    return g->ints == NULL || g->floats == NULL ? CR_ERR_MEMORY : 0;
}

static int prepare(struct generation *g)
{
    const int64_t most = g->request->max_tokens;
    int64_t rows = 0, longest = 0;
    g->answers =
        cr_context_scratch(g->context, (g->batch->count + 1) * sizeof(*g->answers), g->err);
    if (g->answers == NULL)
        return CR_ERR_MEMORY;
    for (size_t i = 0; i < g->batch->count; i++) {
        const int64_t prompt = g->batch->prompts[i].rows;
        g->answers[i] = (struct llm_answer){.item = i, .prompt = prompt, .first_row = rows};
        rows += llm_cache_rows(prompt, most, g->request->decoding->beams);
        longest = prompt + most > longest ? prompt + most : longest;
    }
    if (rows > INT32_MAX)
        return cr_fail(g->err, CR_ERR_LIMIT, "the batch needs a cache of %lld tokens",
                       (long long)rows);
    int result = llm_cache_create(&g->cache, g->llm, rows, g->err);
    if (result == 0)
        result = prepare_answers(g);
    if (result == 0)
        result = prepare_uploads(g, longest);
    if (result == 0)
        result = llm_choice_prepare(&g->choice, g->batch->count, g->context, g->err);
    return result;
}

/* For a plan: the step that takes the most, as if all tokens before it had been chosen. */
static int run_last_step(struct generation *g)
{
    const int64_t beams = g->request->decoding->beams, steps = g->request->max_tokens - 1;
    for (size_t i = 0; i < g->going; i++) {
        struct llm_answer *answer = &g->answers[i];
        for (int64_t at = 0; at < steps * beams; at++)
            answer->nodes[at].parent = at < beams ? -1 : (int32_t)(at - beams);
        answer->chosen = steps > answer->chosen ? steps : answer->chosen;
    }
    return steps > 0 ? run_step(g) : 0;
}

static int run_all(struct generation *g, struct llm_result *out)
{
    const double start = now();
    int result = 0;
    for (size_t i = 0; i < g->batch->count && result == 0; i++) {
        result = run_prompt(g, &g->answers[i]);
        cr_context_progress(g->context, 0.5 * (double)(i + 1) / (double)g->batch->count);
    }
    out->first_token_seconds = now() - start;
    if (g->request->max_tokens == 0 || result < 0)
        return result;
    g->going = g->batch->count;
    if (g->request->plans)
        return run_last_step(g);
    result = tell(g);
    const double decoding = now();
    for (int64_t step = 1; result == 0 && g->going > 0; step++) {
        const int64_t going = (int64_t)g->going;
        if ((result = run_step(g)) == CR_ERR_CANCELLED) {
            result = tell_rest(g);
            break;
        }
        out->decoded += going;
        if (result == 0)
            result = tell(g);
        cr_context_progress(g->context, 0.5 + 0.5 * (double)step / (double)g->request->max_tokens);
    }
    out->decode_seconds = now() - decoding;
    return result;
}

static int join(struct cr_tensor **out, struct cr_tensor **parts, size_t count,
                struct cr_error *err)
{
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *whole = count > 0 ? parts[0] : NULL;
    for (size_t i = 1; i < count; i++)
        whole = cr_chain_release(
            &c, 0, CR_DO(&c, cr_op_concat, (const struct cr_tensor *[]){whole, parts[i]}, 2, 0));
    *out = cr_chain_take(&c, whole);
    return cr_chain_finish(&c);
}

static int keep_room(struct generation *g, struct cr_tensor ***kept, bool wanted)
{
    if (!wanted)
        return 0;
    *kept = cr_context_scratch(g->context, (g->batch->count + 1) * sizeof(**kept), g->err);
    return *kept == NULL ? CR_ERR_MEMORY : 0;
}

int llm_generate(struct llm_result *out, const struct llm *llm, const struct llm_batch *batch,
                 const struct llm_request *request, struct cr_context *context,
                 struct cr_error *err)
{
    struct generation g = {.llm = llm,
                           .batch = batch,
                           .request = request,
                           .context = context,
                           .err = err,
                           .choice = {.llm = llm, .batch = batch, .request = request}};
    *out = (struct llm_result){.logits = NULL};
    int result = check_context(&g);
    if (result == 0)
        result = keep_room(&g, &g.logits, request->want_logits);
    if (result == 0)
        result = keep_room(&g, &g.hidden, request->want_hidden);
    if (result == 0)
        result = prepare(&g);
    if (result == 0)
        result = run_all(&g, out);
    if (result == 0 && g.logits != NULL)
        result = join(&out->logits, g.logits, batch->count, err);
    if (result == 0 && g.hidden != NULL)
        result = join(&out->hidden, g.hidden, batch->count, err);
    for (size_t i = 0; i < batch->count; i++) {
        if (g.logits != NULL)
            cr_tensor_unref(&g.logits[i]);
        if (g.hidden != NULL)
            cr_tensor_unref(&g.hidden[i]);
    }
    llm_cache_destroy(&g.cache);
    return result;
}

void llm_result_finish(struct llm_result *result)
{
    cr_tensor_unref(&result->logits);
    cr_tensor_unref(&result->hidden);
}
