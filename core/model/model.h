/* SPDX-License-Identifier: MIT */
/* model.h: a model as the core holds it. */
#ifndef CR_MODEL_MODEL_H
#define CR_MODEL_MODEL_H

#include <pthread.h>

#include <crayon/model.h>

#include "model/store.h"

/* One tensor and the file that holds it. */
struct cr_stored {
    struct cr_weights *file;
    const struct cr_st_tensor *tensor;
};

struct cr_model {
    _Atomic int references;
    char *name; /* as asked for */
    bool is_public;
    char *folder;
    const struct cr_log *log;
    pthread_mutex_t lock; /* around the look at the weights */
    bool looked;          /* what follows is there, and does not change any more */
    struct cr_weights **files;
    size_t file_count;
    struct cr_stored *tensors; /* sorted by name */
    size_t count;
};

/* A model of the tensors of one safetensors file, whatever it is called. */
int cr_model_open_file(struct cr_model **out, const char *path, const struct cr_log *log,
                       struct cr_error *err);

/* What a claim is about. Borrowed. */
struct cr_model *cr_claim_model(const struct cr_claim *claim);

/* The tensor `name`; NULL: there is none. After cr_model_tensors(). */
const struct cr_stored *cr_model_find(const struct cr_model *model, const char *name);

/* Are the weight files still what was checked? */
int cr_model_check_files(const struct cr_model *model, struct cr_error *err);

/* A warning if there are tensors in the files of this model that nobody has loaded, in this process
 * and so far. For the end of opening a pipeline: before, the stages that want them may still come.
 */
void cr_model_warn_unclaimed(const struct cr_model *model, const struct cr_log *log);

#endif
