/* SPDX-License-Identifier: MIT */
/* tokenizer-sentencepiece: texts to tokens, and back. */
#include <crayon/memory.h>

#include "tokenizer.h"

struct tokenizer_stage {
    const char *model_name;
    bool begin;
    struct cr_model *model;
    struct tokenizer *tokenizer;
    int32_t begin_id;
};

static void tokenizer_check(const void *state, struct cr_check *check)
{
    (void)state;
    const bool text = cr_check_connected(check, "text");
    if (text == cr_check_connected(check, "tokens"))
        cr_check_problem(check, text ? "in/tokens" : "in/text",
                         "connect \"text\" or \"tokens\", %s", text ? "not both" : "one of them");
    if (!text && cr_check_given(check, "bos"))
        cr_check_problem(check, "bos", "it is about texts that become tokens");
}

static int stage_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct tokenizer_stage *stage = state;
    (void)context;
    int result = cr_model_open(&stage->model, stage->model_name, NULL, err);
    if (result == 0)
        result = tokenizer_open(&stage->tokenizer, stage->model, -1, err);
    if (result == 0 && stage->begin &&
        (stage->begin_id = tokenizer_find(stage->tokenizer, "<s>")) < 0)
        result = cr_fail(err, CR_ERR_FORMAT,
                         "%s: tokenizer.model has no piece \"<s>\" to begin with; set \"bos\" to "
                         "false",
                         cr_model_folder(stage->model));
    return result;
}

static void stage_close(void *state)
{
    struct tokenizer_stage *stage = state;
    tokenizer_close(&stage->tokenizer);
    cr_model_unref(&stage->model);
}

static int encode_item(const struct tokenizer_stage *stage, const struct cr_value *texts,
                       struct cr_value *tokens, size_t item, struct cr_error *err)
{
    const char *text = cr_value_text(texts, item);
    struct token_list list = {.ids = NULL};
    int result = stage->begin ? token_list_add(&list, stage->begin_id, err) : 0;
    if (result == 0 && text != NULL)
        result =
            tokenizer_encode(stage->tokenizer, text, cr_value_text_size(texts, item), &list, err);
    if (result == 0)
        result = cr_value_set_tokens(tokens, item, list.ids, list.count, err);
    cr_free(list.ids);
    return result;
}

static int decode_item(const struct tokenizer_stage *stage, const struct cr_value *tokens,
                       struct cr_value *texts, size_t item, struct cr_error *err)
{
    char *text = NULL;
    size_t count, size;
    const int32_t *ids = cr_value_tokens(tokens, item, &count);
    int result = tokenizer_decode(stage->tokenizer, ids, count, &text, &size, err);
    if (result == 0)
        result = cr_value_set_text_bytes(texts, item, text, size, err);
    cr_free(text);
    return result;
}

/* One direction: what the input lacks is made, both can be had. */
static int stage_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct tokenizer_stage *stage = state;
    const struct cr_value *texts = cr_context_input(context, "text");
    const struct cr_value *tokens = cr_context_input(context, "tokens");
    const bool encodes = texts != NULL;
    const struct cr_value *input = encodes ? texts : tokens;
    struct cr_value *made = NULL, *same = cr_value_ref(input);
    const size_t count = cr_value_count(input);
    int result = cr_value_create(&made, encodes ? CR_TYPE_TOKENS : CR_TYPE_TEXT, count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = encodes ? encode_item(stage, texts, made, i, err)
                         : decode_item(stage, tokens, made, i, err);
        if (result < 0 && count > 1)
            cr_error_prefix(err, "item %zu", i);
    }
    if (result == 0 && cr_context_wants(context, encodes ? "tokens" : "text"))
        cr_context_output(context, encodes ? "tokens" : "text", &made);
    if (result == 0 && cr_context_wants(context, encodes ? "text" : "tokens"))
        cr_context_output(context, encodes ? "text" : "tokens", &same);
    cr_value_unref(&made);
    cr_value_unref(&same);
    return result;
}

static const struct cr_stage_ops stage_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = tokenizer_check,
    .open = stage_open,
    .run = stage_run,
    .close = stage_close,
};

extern const struct cr_element tokenizer_element;

const struct cr_element tokenizer_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "tokenizer-sentencepiece",
    .summary = "texts to token ids and back, by a SentencePiece model",
    .description =
        "Splits texts into the tokens of a model's tokenizer.model, or puts tokens together to "
        "text. The tokens that a model adds (\"<image>\", and those that its added_tokens.json and "
        "tokenizer_config.json name), \"<s>\", \"</s>\" and \"<unk>\" are looked for first, the "
        "longest first, and keep the blanks around them. \"<image>\" is the first id behind the "
        "vocabulary unless the files say otherwise.\n\n"
        "Texts must be UTF-8. Bytes that make no UTF-8 when tokens are put together become U+FFFD "
        "each; control tokens give no text.",
    .inputs =
        CR_PORTS(CR_PORT("text", CR_TYPE_TEXT, CR_PORT_OPTIONAL, "texts to split"),
                 CR_PORT("tokens", CR_TYPE_TOKENS, CR_PORT_OPTIONAL, "token ids to put together")),
    .outputs = CR_PORTS(CR_PORT("tokens", CR_TYPE_TOKENS, 0, "token ids"),
                        CR_PORT("text", CR_TYPE_TEXT, 0, "the text of the tokens")),
    .options = CR_OPTIONS(
        CR_OPTION_MODEL("model", struct tokenizer_stage, model_name, NULL, CR_OPTION_REQUIRED,
                        "folder or public name of a model with a tokenizer.model"),
        CR_OPTION_BOOL("bos", struct tokenizer_stage, begin, "true", 0,
                       "put \"<s>\" before the tokens of each text")),
    .state_size = sizeof(struct tokenizer_stage),
    .stage = &stage_ops,
};
