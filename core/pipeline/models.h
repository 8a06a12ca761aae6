/* SPDX-License-Identifier: MIT */
/* models.h: the models that stages of a pipeline load from. They are held until every stage is
 * open, so that their files are read once; then it is known what nobody wanted. */
#ifndef CR_PIPELINE_MODELS_H
#define CR_PIPELINE_MODELS_H

#include <crayon/model.h>

struct cr_pipeline;

/* A model in the list of a pipeline. */
struct cr_held_model {
    struct cr_held_model *next;
    struct cr_model *model;
};

int cr_models_hold(struct cr_pipeline *pipeline, struct cr_model *model, struct cr_error *err);
/* If every stage was open: warn of tensors that none has loaded, once, and let the models go. */
void cr_models_conclude(struct cr_pipeline *pipeline, const struct cr_log *log);
void cr_models_release(struct cr_pipeline *pipeline);

#endif
