/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/memory.h>

#include "model/model.h"
#include "pipeline/models.h"
#include "pipeline/pipeline.h"

int cr_models_hold(struct cr_pipeline *pipeline, struct cr_model *model, struct cr_error *err)
{
    /* Stages open the same folder each for itself. */
    for (const struct cr_held_model *held = pipeline->models; held != NULL; held = held->next)
        if (strcmp(cr_model_folder(held->model), cr_model_folder(model)) == 0)
            return 0;
    struct cr_held_model *held = cr_malloc(sizeof(*held));
    if (held == NULL)
        return cr_fail_memory(err, sizeof(*held));
    held->model = cr_model_ref(model);
    held->next = pipeline->models;
    pipeline->models = held;
    return 0;
}

void cr_models_conclude(struct cr_pipeline *pipeline, const struct cr_log *log)
{
    for (size_t i = 0; i < pipeline->node_count; i++)
        if (!pipeline->nodes[i].was_open)
            return;
    for (const struct cr_held_model *held = pipeline->models; held != NULL && !pipeline->warned;
         held = held->next)
        cr_model_warn_unclaimed(held->model, log);
    pipeline->warned = true;
    cr_models_release(pipeline);
}

void cr_models_release(struct cr_pipeline *pipeline)
{
    while (pipeline->models != NULL) {
        struct cr_held_model *held = pipeline->models;
        pipeline->models = held->next;
        cr_model_unref(&held->model);
        cr_free(held);
    }
}
