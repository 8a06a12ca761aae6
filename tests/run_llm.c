/* SPDX-License-Identifier: MIT */
#include "run_llm.h"

const char *llm_model(void)
{
    return source_path("tests/golden/internlm2_plora");
}

struct cr_pipeline *llm_pipeline(const char *model, const char *options, const char *inputs,
                                 const char *wires)
{
    char text[4096], device[128] = "cpu";
    const char *vulkan = getenv("CRAYON_TEST_VULKAN");
    if (vulkan != NULL)
        snprintf(device, sizeof(device), "vulkan:%s", vulkan);
    snprintf(text, sizeof(text),
             "{\"crayon\": 1, \"inputs\": {%s}, \"stages\": {\"llm\": {\"use\": \"llm-internlm\", "
             "\"model\": \"%s\", \"device\": \"%s\", %s \"in\": {%s}}}, \"outputs\": "
             "{\"tokens\": \"llm.tokens\", \"logits\": \"llm.logits\", \"ids\": \"llm.ids\", "
             "\"text\": \"llm.text\"}}",
             inputs, model, device, options, wires);
    return stage_parse(text);
}

struct cr_pipeline *llm_with_ids(const char *options)
{
    return llm_pipeline(llm_model(), options, "\"ids\": \"tokens\"", "\"ids\": \"@ids\"");
}

struct cr_pipeline *llm_with_images(const char *options)
{
    return llm_pipeline(llm_model(), options,
                        "\"ids\": \"tokens\", \"image\": \"tensor\", \"crayon\": \"tensor\"",
                        "\"ids\": \"@ids\", \"image\": \"@image\", \"crayon\": \"@crayon\"");
}

struct cr_value *llm_ids_value(const struct llm_list *items, size_t count)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *value = NULL;
    assert_int_equal(cr_value_create(&value, CR_TYPE_TOKENS, count, &err), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(cr_value_set_tokens(value, i, items[i].ids, (size_t)items[i].count, &err),
                         0);
    return value;
}

struct cr_value *llm_floats_value(const float *data, int rank, const int64_t *shape)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *tensor = NULL;
    struct cr_value *value = NULL;
    assert_int_equal(cr_tensor_create(&tensor, CR_DTYPE_F32, rank, shape, data, &err), 0);
    assert_int_equal(cr_value_from_tensor(&value, tensor, &err), 0);
    cr_tensor_unref(&tensor);
    return value;
}

void llm_set(struct cr_run *run, const char *name, struct cr_value *value)
{
    struct cr_error err = CR_ERROR_INIT;
    if (cr_run_set_input(run, name, value, &err) < 0)
        fail_msg("%s", err.message);
    cr_value_unref(&value);
}

int llm_execute(struct cr_run *run, const char *output, struct cr_error *err)
{
    int result = cr_run_want(run, output, err);
    return result < 0 ? result : cr_run_execute(run, err);
}

void llm_answer(struct cr_pipeline *pipeline, const struct llm_list *items, size_t count,
                struct llm_list *answers)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_run *run = NULL;
    assert_int_equal(cr_run_create(&run, pipeline, &err), 0);
    llm_set(run, "ids", llm_ids_value(items, count));
    if (llm_execute(run, "tokens", &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const int32_t *tokens = cr_value_tokens(cr_run_output(run, "tokens"), i, &size);
        assert_true(size <= LLM_MAX_IDS);
        answers[i].count = (int)size;
        memcpy(answers[i].ids, tokens, size * sizeof(*tokens));
    }
    cr_run_destroy(&run);
}

void llm_assert_same(const struct llm_list *a, const struct llm_list *b, const char *what)
{
    if (a->count != b->count || memcmp(a->ids, b->ids, (size_t)a->count * sizeof(a->ids[0])) != 0)
        fail_msg("%s: %d tokens from %d on, and %d from %d on", what, a->count, a->ids[0], b->count,
                 b->ids[0]);
}

void llm_expect(int result, const struct cr_error *err, const char *message)
{
    assert_true(result < 0);
    if (strstr(err->message, message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->message, message);
}
