/* SPDX-License-Identifier: MIT */
/* llm-internlm: the language model of CoLLaVO, from prompt to text. */
#include <string.h>

#include <crayon/memory.h>

#include "llm.h"
#include "template.h"
#include "tokenizer.h"

extern const struct cr_element tokenizer_element;

struct llm_stage {
    const char *model_name, *config_path, *weights, *cache, *crayon, *template_name;
    int64_t max_tokens, context;
    struct cr_option_ints end;
    bool ignore_end;
    struct llm_decoding decoding;
    struct cr_model *model;
    struct llm llm;
    struct tokenizer *tokenizer; /* NULL: not needed so far */
    struct template *template;
    bool plans; /* this run is one of llm_plan() */
};

/* ---- Opening ---- */

static void check_effect(struct cr_check *check, const char *option, bool effect,
                         const char *needed)
{
    if (!effect && cr_check_given(check, option))
        cr_check_problem(check, option, "it has no effect without %s", needed);
}

static void check_decoding(const struct llm_stage *stage, struct cr_check *check)
{
    const struct llm_decoding *decoding = &stage->decoding;
    const bool beams = decoding->beams > 1;
    check_effect(check, "length_penalty", beams, "\"beams\"");
    check_effect(check, "early_stopping", beams, "\"beams\"");
    check_effect(check, "top_k", decoding->temperature > 0, "\"temperature\"");
    check_effect(check, "top_p", decoding->temperature > 0, "\"temperature\"");
    if (beams && decoding->temperature > 0)
        cr_check_problem(check, "temperature",
                         "beam search does not draw; leave \"beams\" or this out");
    if (decoding->temperature > 0 && decoding->temperature < LLM_MIN_TEMPERATURE)
        cr_check_problem(check, "temperature",
                         "%g leaves only the most likely token; 0 says so, and %g is the least "
                         "above it",
                         decoding->temperature, LLM_MIN_TEMPERATURE);
    if (beams && llm_beam_candidates(decoding->beams, stage->end.count) > LLM_MAX_CANDIDATES)
        cr_check_problem(check, "eos",
                         "with %lld beams a list of at most %lld ends is followed, this has %zu",
                         (long long)decoding->beams,
                         (long long)(LLM_MAX_CANDIDATES / decoding->beams - 1), stage->end.count);
}

static void llm_check(const void *state, struct cr_check *check)
{
    const struct llm_stage *stage = state;
    static const char *const ways[] = {"prompt", "ids", "embeddings"};
    int connected = 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        connected += cr_check_connected(check, ways[i]);
    if (connected != 1)
        cr_check_problem(check, "in/prompt",
                         "connect one of \"prompt\", \"ids\" and \"embeddings\"; %s",
                         connected == 0 ? "none is" : "several are");
    if (cr_check_connected(check, "mask") && !cr_check_connected(check, "ids"))
        cr_check_problem(check, "in/mask",
                         "it says which ids are there, and \"ids\" is not connected");
    if (cr_check_connected(check, "image_rows") && !cr_check_connected(check, "embeddings"))
        cr_check_problem(check, "in/image_rows",
                         "it says which embeddings are a picture's, and \"embeddings\" is not "
                         "connected");
    if (cr_check_connected(check, "objects") && !cr_check_connected(check, "prompt"))
        cr_check_problem(check, "in/objects",
                         "captions join a question, and \"prompt\" is not connected");
    if (stage->ignore_end && cr_check_given(check, "eos"))
        cr_check_problem(check, "eos", "\"ignore_eos\" is set, so that it would have no effect");
    check_decoding(stage, check);
}

static enum llm_crayon find_crayon(const char *name)
{
    return strcmp(name, "plora") == 0 ? LLM_CRAYON_PLORA
           : strcmp(name, "add") == 0 ? LLM_CRAYON_ADD
                                      : LLM_CRAYON_NONE;
}

static int llm_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct llm_stage *stage = state;
    struct llm *llm = &stage->llm;
    int result = cr_model_open(&stage->model, stage->model_name, NULL, err);
    if (result == 0)
        result = cr_context_device(context, &llm->device, err);
    if (result == 0)
        result = llm_config_read(&llm->config, stage->model, stage->config_path, err);
    if (result == 0)
        result = llm_weights_load(&llm->weights, &llm->config, stage->model,
                                  cr_dtype_find(stage->weights), context, err);
    if (result < 0)
        return result;
    llm->crayon = find_crayon(stage->crayon);
    llm->cache_dtype = cr_dtype_find(stage->cache);
    if (strcmp(stage->cache, "auto") == 0)
        llm->cache_dtype =
            cr_device_precision(llm->device) == CR_PRECISION_EXACT ? CR_DTYPE_F32 : CR_DTYPE_F16;
    llm->image_token = cr_tensor_extent(llm->weights.embedding, 0) > llm->config.vocabulary
                           ? (int32_t)llm->config.vocabulary
                           : -1;
    return 0;
}

static void llm_close(void *state)
{
    struct llm_stage *stage = state;
    llm_weights_unload(&stage->llm.weights);
    tokenizer_close(&stage->tokenizer);
    template_close(&stage->template);
    cr_model_unref(&stage->model);
}

/* ---- Ids ---- */

static int need_tokenizer(struct llm_stage *stage, struct cr_error *err)
{
    if (stage->tokenizer != NULL)
        return 0;
    int result = tokenizer_open(&stage->tokenizer, stage->model, stage->llm.image_token, err);
    if (result == 0 && tokenizer_size(stage->tokenizer) > stage->llm.config.vocabulary)
        result = cr_fail(err, CR_ERR_FORMAT,
                         "%s: tokenizer.model has %d pieces and config.json a vocab_size of %lld; "
                         "they do not belong together",
                         cr_model_folder(stage->model), tokenizer_size(stage->tokenizer),
                         (long long)stage->llm.config.vocabulary);
    if (result < 0)
        tokenizer_close(&stage->tokenizer);
    return result;
}

/* How many pictures an item has. */
static size_t count_pictures(struct cr_context *context)
{
    const struct cr_value *image = cr_context_input(context, "image");
    if (image == NULL)
        return 0;
    const struct cr_tensor *tensor = cr_value_tensor(image);
    return cr_tensor_rank(tensor) == 4 ? (size_t)cr_tensor_extent(tensor, 1) : 1;
}

/* Template, caption and question become ids. */
static int encode_item(struct llm_stage *stage, struct token_list *list, size_t item,
                       struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *objects = cr_context_input(context, "objects");
    const char *question = cr_value_text(cr_context_input(context, "prompt"), item);
    char *prompt = NULL;
    int result = template_fill(stage->template, question != NULL ? question : "",
                               count_pictures(context), objects != NULL,
                               objects != NULL ? cr_value_text(objects, item) : NULL, &prompt, err);
    if (result == 0 && stage->template->begin)
        result = token_list_add(list, (int32_t)stage->llm.config.begin, err);
    if (result == 0)
        result = tokenizer_encode(stage->tokenizer, prompt, strlen(prompt), list, err);
    cr_free(prompt);
    return result;
}

/* The prompts of the batch as ids, by whichever port they come. `lists` is what encoding made. */
static int take_ids(struct llm_stage *stage, struct llm_ids *ids, struct token_list *lists,
                    struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *given = cr_context_input(context, "ids");
    int result = 0;
    for (size_t i = 0; i < ids->count && result == 0; i++) {
        if (given != NULL) {
            ids->ids[i] = cr_value_tokens(given, i, &ids->sizes[i]);
            continue;
        }
        if ((result = encode_item(stage, &lists[i], i, context, err)) < 0)
            cr_error_prefix(err, "item %zu", i);
        ids->ids[i] = lists[i].ids;
        ids->sizes[i] = lists[i].count;
    }
    return result;
}

static int output_ids(const struct llm_ids *ids, struct cr_context *context, struct cr_error *err)
{
    struct cr_value *value = NULL;
    if (!cr_context_wants(context, "ids"))
        return 0;
    int result = cr_value_create(&value, CR_TYPE_TOKENS, ids->count, err);
    for (size_t i = 0; i < ids->count && result == 0; i++)
        result = cr_value_set_tokens(value, i, ids->ids[i], ids->sizes[i], err);
    if (result == 0)
        cr_context_output(context, "ids", &value);
    cr_value_unref(&value);
    return result;
}

/* ---- Answers ---- */

struct answers {
    struct llm_stage *stage;
    struct cr_context *context;
    bool want_text;
    struct token_list *tokens;  /* of each item */
    struct token_stream *texts; /* of each item */
    size_t *ends;               /* bytes of each text that belong to the answer */
};

/* Where the first stop string at `from` or later begins; SIZE_MAX if there is none. `*held`: bytes
 * at the end that may be the beginning of one. */
static size_t find_stop(const struct template *t, const char *text, size_t from, size_t size,
                        size_t *held)
{
    size_t first = SIZE_MAX;
    *held = 0;
    for (size_t i = 0; t != NULL && i < t->stop_count; i++) {
        const size_t length = strlen(t->stop[i]);
        for (size_t at = from; at < size; at++) {
            const size_t rest = size - at, compare = rest < length ? rest : length;
            if (memcmp(text + at, t->stop[i], compare) != 0)
                continue;
            if (compare == length && at < first)
                first = at;
            else if (compare < length && rest > *held)
                *held = rest;
        }
    }
    return first;
}

/* Add the token to the text, hand on what has become certain of it. Vocabularies are filled up to
 * round numbers: a row that no piece stands for has no text. */
static int add_text(struct answers *a, size_t item, int32_t id, bool *stop, struct cr_error *err)
{
    struct token_stream *stream = &a->texts[item];
    size_t held;
    if (!tokenizer_knows(a->stage->tokenizer, id))
        return 0;
    int result = token_stream_add(stream, a->stage->tokenizer, id, err);
    if (result < 0)
        return result;
    size_t end = find_stop(a->stage->template, stream->text, a->ends[item], stream->size, &held);
    *stop = end != SIZE_MAX;
    end = *stop ? end : stream->size - held;
    if (end > a->ends[item])
        cr_context_emit(a->context, "text", item, stream->text + a->ends[item],
                        end - a->ends[item]);
    a->ends[item] = end > a->ends[item] ? end : a->ends[item];
    return 0;
}

static bool is_end(const struct llm_stage *stage, int32_t id)
{
    if (stage->end.count == 0)
        return id == stage->llm.config.end;
    for (size_t i = 0; i < stage->end.count; i++)
        if (stage->end.items[i] == id)
            return true;
    return false;
}

static int take_token(void *user, size_t item, int32_t id, bool *stop, struct cr_error *err)
{
    struct answers *a = user;
    int result = token_list_add(&a->tokens[item], id, err);
    if (result == 0 && a->want_text && !is_end(a->stage, id))
        result = add_text(a, item, id, stop, err);
    return result;
}

static int output_tokens(const struct answers *a, size_t count, struct cr_error *err)
{
    struct cr_value *value = NULL;
    if (!cr_context_wants(a->context, "tokens"))
        return 0;
    int result = cr_value_create(&value, CR_TYPE_TOKENS, count, err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = cr_value_set_tokens(value, i, a->tokens[i].ids, a->tokens[i].count, err);
    if (result == 0)
        cr_context_output(a->context, "tokens", &value);
    cr_value_unref(&value);
    return result;
}

/* What was held back as the beginning of a stop string was none, now that the answer has ended. */
static int output_text(struct answers *a, size_t count, struct cr_error *err)
{
    struct cr_value *value = NULL;
    if (!a->want_text)
        return 0;
    int result = cr_value_create(&value, CR_TYPE_TEXT, count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        if ((result = token_stream_end(&a->texts[i], a->stage->tokenizer, err)) < 0)
            break;
        size_t held, end = find_stop(a->stage->template, a->texts[i].text, a->ends[i],
                                     a->texts[i].size, &held);
        end = end == SIZE_MAX ? a->texts[i].size : end;
        if (end > a->ends[i])
            cr_context_emit(a->context, "text", i, a->texts[i].text + a->ends[i], end - a->ends[i]);
        char *text = cr_strndup(a->texts[i].text != NULL ? a->texts[i].text : "", end);
        result = text == NULL ? cr_fail_memory(err, end) : cr_value_set_text(value, i, text, err);
        cr_free(text);
    }
    if (result == 0)
        cr_context_output(a->context, "text", &value);
    cr_value_unref(&value);
    return result;
}

/* ---- Running ---- */

static void report_speed(struct cr_context *context, const struct llm_result *result)
{
    cr_context_figure(context, "first_token_seconds", result->first_token_seconds);
    if (result->decoded > 0 && result->decode_seconds > 0)
        cr_context_figure(context, "tokens_per_second",
                          (double)result->decoded / result->decode_seconds);
}

/* The longest prompt and answer together. Dynamic scaling has no end of its own, memory has. */
static int64_t context_limit(const struct llm_stage *stage)
{
    const struct llm_config *config = &stage->llm.config;
    const double factor = config->rope_factor > 1 ? config->rope_factor : 1;
    return stage->context > 0 ? stage->context : (int64_t)((double)config->positions * factor);
}

/* What the pipeline says is meant; what nobody said gives way to the context. */
static int64_t answer_limit(const struct llm_stage *stage, const struct llm_batch *batch)
{
    const int64_t context = context_limit(stage);
    int64_t most = stage->template != NULL && stage->template->max_tokens > 0
                       ? stage->template->max_tokens
                       : 256;
    if (stage->max_tokens > 0)
        return stage->max_tokens;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->prompts[i].rows + most > context)
            most = context - batch->prompts[i].rows;
    return most > 1 ? most : 1;
}

static bool is_prompt_example(struct cr_context *context)
{
    return cr_context_is_example(context, "prompt") || cr_context_is_example(context, "ids");
}

static int generate(struct llm_stage *stage, struct llm_batch *batch, struct answers *answers,
                    struct cr_context *context, struct cr_error *err)
{
    const bool wants_tokens = answers->want_text || cr_context_wants(context, "tokens");
    struct llm_request request = {
        .max_tokens = wants_tokens ? answer_limit(stage, batch) : 0,
        .context = context_limit(stage),
        .end = stage->end.count > 0 ? stage->end.items : &stage->llm.config.end,
        .end_count = stage->ignore_end      ? 0
                     : stage->end.count > 0 ? stage->end.count
                                            : 1,
        .decoding = &stage->decoding,
        .seed = cr_context_seed(context),
        .want_logits = cr_context_wants(context, "logits"),
        .want_hidden = cr_context_wants(context, "hidden"),
        .plans = stage->plans,
        .token = take_token,
        .user = answers,
    };
    struct llm_result result = {.logits = NULL};
    int code = 0;
    if (stage->plans && stage->context > 0 && is_prompt_example(context))
        code = llm_batch_stretch(batch, stage->context - request.max_tokens, context, err);
    if (code == 0)
        code = llm_generate(&result, &stage->llm, batch, &request, context, err);
    if (code == 0 && result.logits != NULL)
        code = cr_context_output_tensor(context, "logits", result.logits, err);
    if (code == 0 && result.hidden != NULL)
        code = cr_context_output_tensor(context, "hidden", result.hidden, err);
    if (code == 0 && wants_tokens)
        report_speed(context, &result);
    llm_result_finish(&result);
    return code;
}

static size_t count_items(struct cr_context *context)
{
    static const char *const ways[] = {"prompt", "ids", "embeddings"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (cr_context_input(context, ways[i]) != NULL)
            return cr_value_count(cr_context_input(context, ways[i]));
    return 0;
}

static int run_batch(struct llm_stage *stage, struct llm_ids *ids, struct token_list *lists,
                     struct answers *answers, struct cr_context *context, struct cr_error *err)
{
    struct llm_batch batch;
    const size_t count = ids->count;
    int result = 0;
    if (cr_context_input(context, "embeddings") == NULL) {
        result = take_ids(stage, ids, lists, context, err);
        if (result == 0)
            result = output_ids(ids, context, err);
    }
    if (result == 0)
        result = llm_batch_make(&batch, &stage->llm, ids, context, err);
    if (result == 0)
        result = generate(stage, &batch, answers, context, err);
    if (result == 0)
        result = output_tokens(answers, count, err);
    if (result == 0)
        result = output_text(answers, count, err);
    return result;
}

static int prepare(struct llm_stage *stage, struct cr_context *context, bool want_text,
                   struct cr_error *err)
{
    const bool prompt = cr_context_input(context, "prompt") != NULL;
    int result = prompt || want_text ? need_tokenizer(stage, err) : 0;
    if (result == 0 && prompt && stage->template == NULL)
        result = template_open(&stage->template, stage->template_name, err);
    return result;
}

static int llm_run(void *state, struct cr_context *context, struct cr_error *err)
{
    struct llm_stage *stage = state;
    const size_t count = count_items(context);
    struct answers answers = {
        .stage = stage, .context = context, .want_text = cr_context_wants(context, "text")};
    struct llm_ids ids = {.count = count};
    struct token_list *lists = cr_context_scratch(context, (count + 1) * sizeof(*lists), err);
    ids.ids = cr_context_scratch(context, (count + 1) * sizeof(*ids.ids), err);
    ids.sizes = cr_context_scratch(context, (count + 1) * sizeof(*ids.sizes), err);
    answers.tokens = cr_context_scratch(context, (count + 1) * sizeof(*answers.tokens), err);
    answers.texts = cr_context_scratch(context, (count + 1) * sizeof(*answers.texts), err);
    answers.ends = cr_context_scratch(context, (count + 1) * sizeof(*answers.ends), err);
    if (lists == NULL || ids.ids == NULL || ids.sizes == NULL || answers.tokens == NULL ||
        answers.texts == NULL || answers.ends == NULL)
        return CR_ERR_MEMORY;
    int result = prepare(stage, context, answers.want_text, err);
    if (result == 0)
        result = run_batch(stage, &ids, lists, &answers, context, err);
    for (size_t i = 0; i < count; i++) {
        cr_free(lists[i].ids);
        cr_free(answers.tokens[i].ids);
        token_stream_finish(&answers.texts[i]);
    }
    return result;
}

/* An answer may end at any token: the longest is what counts. So is the longest prompt while the
 * prompt is not known, where the option "context" says what that is. */
static int llm_plan(void *state, struct cr_context *context, struct cr_error *err)
{
    struct llm_stage *stage = state;
    stage->plans = true;
    int result = llm_run(state, context, err);
    stage->plans = false;
    return result;
}

static const struct cr_stage_ops llm_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = llm_check,
    .open = llm_open,
    .run = llm_run,
    .close = llm_close,
    .plan = llm_plan,
};

static const struct cr_element llm_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "llm-internlm",
    .summary = "the language model: InternLM2, InternLM and LLaMA, with crayon features",
    .description =
        "Answers prompts with pictures. The model is a Hugging Face directory as downloaded; "
        "InternLM2 (packed wqkv), the first InternLM (biases) and LLaMA are told apart by the "
        "names "
        "of their tensors. Matrices are kept as weights says, and quantised while they are loaded; "
        "a checkpoint saved in NF4 is used as it is.\n\n"
        "Crayon features enter at every layer, on the rows of pictures only: with crayon plora "
        "through the low-rank branches of the checkpoint (the released CoLLaVO), with add by being "
        "added to the rows that enter each attention, after its norm (the paper). The low-rank "
        "branches for image rows (Plora_A, Plora_B) are used whenever the checkpoint has them.\n\n"
        "A prompt is a question that a template turns into text, or ids, or embeddings. Each "
        "<image> in it becomes as many rows as its picture has patches. Captions of "
        "objects "
        "join the question as the template says. Prompts of a batch may differ in length; no "
        "result depends on its neighbours.\n\n"
        "The most likely token is chosen. With beams it is the answer whose tokens together are "
        "the most likely among those that so many beams find, by the rules of Hugging Face's "
        "generate. Beams share the cache: it takes a row for each token of the prompt, and "
        "max_tokens rows for each beam.\n\n"
        "With a temperature tokens are drawn by chance: repetition_penalty, temperature, top_k and "
        "top_p say from which, in this order. The t-th token is drawn with the t-th number that "
        "SplitMix64 gives from the seed: a run can be repeated, and an answer is the same alone, "
        "in a batch, and at any place in it. Another seed gives another answer. The published "
        "demonstration of CoLLaVO has temperature 0.9, top_k 50 and top_p 0.95, the published "
        "evaluation 3 beams; templates do not set these.\n\n"
        "An answer ends at a token of eos, at a stop string of the template, or after max_tokens; "
        "a run that is cancelled hands over what was said so far. With beams the text comes at "
        "once, when the best answer is known, and a stop string cuts it then. A token that the "
        "tokenizer does not have (a row that only fills up the vocabulary) has no text.",
    .inputs =
        CR_PORTS(CR_PORT("prompt", CR_TYPE_TEXT, CR_PORT_OPTIONAL, "questions, for the template"),
                 CR_PORT("ids", CR_TYPE_TOKENS, CR_PORT_OPTIONAL, "whole prompts as token ids"),
                 CR_PORT("mask", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "i32 [B, L]: 0 where ids are padding, on the left"),
                 CR_PORT("embeddings", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "f32 [B, L, width]: whole prompts as hidden states"),
                 CR_PORT("image_rows", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "i32 or u8 [B, L]: 1 where embeddings belong to a picture"),
                 CR_PORT("image", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "f32 [B, patches, width], or [B, pictures, patches, width]"),
                 CR_PORT("crayon", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "f32 [B, patches, width]: crayon features, a row for each of the image's"),
                 CR_PORT("objects", CR_TYPE_TEXT, CR_PORT_OPTIONAL,
                         "captions that join the question; null: nothing was found")),
    .outputs = CR_PORTS(
        CR_PORT("text", CR_TYPE_TEXT, 0, "the answers; they stream"),
        CR_PORT("tokens", CR_TYPE_TOKENS, 0, "the answers as token ids, the closing one included"),
        CR_PORT("ids", CR_TYPE_TOKENS, 0, "the prompts as token ids"),
        CR_PORT("logits", CR_TYPE_TENSOR, 0,
                "f32 [B, L, vocabulary] of the prompts' rows, right-aligned, zeros elsewhere"),
        CR_PORT("hidden", CR_TYPE_TENSOR, 0,
                "f32 [B, L, width] of the prompts' rows after the final norm")),
    .options = CR_OPTIONS(
        CR_OPTION_MODEL("model", struct llm_stage, model_name, NULL, CR_OPTION_REQUIRED,
                        "folder or public name of the model"),
        CR_OPTION_PATH("config", struct llm_stage, config_path, NULL, 0,
                       "a config.json to use instead of the model's"),
        CR_OPTION_CHOICE("weights", struct llm_stage, weights, "nf4",
                         CR_CHOICES("f32", "f16", "q8_0", "nf4"), 0,
                         "how the matrices are kept on the device"),
        CR_OPTION_CHOICE(
            "cache", struct llm_stage, cache, "auto", CR_CHOICES("auto", "f16", "f32"), 0,
            "how keys and values are kept; auto: f16, or f32 where precision is exact"),
        CR_OPTION_CHOICE("crayon", struct llm_stage, crayon, "plora",
                         CR_CHOICES("plora", "add", "none"), 0, "how crayon features enter"),
        CR_OPTION_FILE(
            "template", struct llm_stage, template_name, "collavo-demo", 0,
            "a prompt template, see crayon-template(5): the name of an installed one, or a "
            "file"),
        CR_OPTION_INT("max_tokens", struct llm_stage, max_tokens, "0", 0, 1048576, 0,
                      "the longest answer; 0: what the template says, else 256"),
        CR_OPTION_INT(
            "context", struct llm_stage, context, "0", 0, 16777216, 0,
            "the longest prompt and answer together; 0: what the model was made for, times the "
            "factor of its rope scaling"),
        CR_OPTION_INTS("eos", struct llm_stage, end, NULL, 0, 4194304, 0,
                       "token ids that end an answer; left out: the model's"),
        CR_OPTION_BOOL("ignore_eos", struct llm_stage, ignore_end, "false", 0,
                       "go on until max_tokens whatever is said"),
        CR_OPTION_INT("beams", struct llm_stage, decoding.beams, "1", 1, LLM_MAX_BEAMS, 0,
                      "how many answers are followed at once"),
        CR_OPTION_NUMBER("length_penalty", struct llm_stage, decoding.length_penalty, "1", -10, 10,
                         0,
                         "of beams: an answer's score is its log-probability divided by its "
                         "length to this power"),
        CR_OPTION_BOOL("early_stopping", struct llm_stage, decoding.early_stopping, "false", 0,
                       "of beams: be content with as many answers as there are beams, though a "
                       "better one may follow"),
        CR_OPTION_NUMBER("temperature", struct llm_stage, decoding.temperature, "0", 0, 100, 0,
                         "draw each token by chance, with its logits divided by this; 0: take the "
                         "most likely one"),
        CR_OPTION_INT("top_k", struct llm_stage, decoding.top_k, "0", 0, LLM_MAX_CANDIDATES, 0,
                      "draw among so many of the most likely tokens; 0: among all"),
        CR_OPTION_NUMBER("top_p", struct llm_stage, decoding.top_p, "1", 1e-6, 1, 0,
                         "draw among the most likely tokens that together are so likely"),
        CR_OPTION_NUMBER("repetition_penalty", struct llm_stage, decoding.repetition_penalty, "1",
                         0.01, 100, 0,
                         "what the logits of tokens that the prompt or the answer holds are "
                         "divided by where positive, multiplied by elsewhere"),
        CR_OPTION_INT("seed", struct llm_stage, decoding.seed, "0", 0, 9007199254740991, 0,
                      "of what is drawn, added to the seed of the run; the same gives the same "
                      "answer on the same device")),
    .state_size = sizeof(struct llm_stage),
    .stage = &llm_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

CR_PLUGIN("llm-internlm", CR_VERSION, "MIT", "the language model and its tokenizer", &llm_element,
          &tokenizer_element);
