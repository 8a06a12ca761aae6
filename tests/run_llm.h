/* SPDX-License-Identifier: MIT */
/* run_llm.h: pipelines of one stage llm-internlm, with the model of tests/golden/internlm2_plora.
 */
#ifndef CR_TEST_RUN_LLM_H
#define CR_TEST_RUN_LLM_H

#include "run_stage.h"

#define LLM_VOCABULARY 160
#define LLM_IMAGE LLM_VOCABULARY /* the token */
#define LLM_MAX_IDS 16

/* Token ids of one item. */
struct llm_list {
    int count;
    int32_t ids[LLM_MAX_IDS];
};

const char *llm_model(void);

/* `options` ends with a comma or is empty; `inputs` and `wires` as in a pipeline. On the CPU, or on
 * the device that $CRAYON_TEST_VULKAN selects. */
struct cr_pipeline *llm_pipeline(const char *model, const char *options, const char *inputs,
                                 const char *wires);
/* With ids; with ids, image and crayon. */
struct cr_pipeline *llm_with_ids(const char *options);
struct cr_pipeline *llm_with_images(const char *options);

struct cr_value *llm_ids_value(const struct llm_list *items, size_t count);
struct cr_value *llm_floats_value(const float *data, int rank, const int64_t *shape);

/* Feed an input (consumed). */
void llm_set(struct cr_run *run, const char *name, struct cr_value *value);
/* Want this output, and run. */
int llm_execute(struct cr_run *run, const char *output, struct cr_error *err);
/* What is answered to these prompts. */
void llm_answer(struct cr_pipeline *pipeline, const struct llm_list *items, size_t count,
                struct llm_list *answers);

void llm_assert_same(const struct llm_list *a, const struct llm_list *b, const char *what);
/* It failed and says this. */
void llm_expect(int result, const struct cr_error *err, const char *message);

#endif
