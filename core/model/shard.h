/* SPDX-License-Identifier: MIT */
/* shard.h: what the weight files of a quantised model will hold, and writing one of them. */
#ifndef CR_MODEL_SHARD_H
#define CR_MODEL_SHARD_H

#include "model/save.h"
#include "model/stream.h"

/* A tensor of a file to be written. */
struct cr_entry {
    char *name;
    enum cr_st_dtype dtype;
    int rank;
    int64_t shape[CR_MODEL_MAX_RANK];
    uint64_t bytes, start; /* in the data of its shard */
    size_t shard;
};

/* A tensor of the source: one entry, or several where it is quantised. */
struct cr_save_job {
    struct cr_stored stored;
    bool quantized;
    size_t first, count; /* its entries */
    size_t shard;
    /* For the stream. */
    struct cr_st_tensor raw;
    struct cr_claim_item item;
    struct cr_plan plan;
    struct cr_plan_part part;
};

/* The entries of a job that is quantised, in their order. */
enum {
    CR_ENTRY_CODES,
    CR_ENTRY_SCALES,
    CR_ENTRY_TABLE, /* nf4 from here on */
    CR_ENTRY_STATE,
    CR_ENTRY_NESTED, /* doubly quantised from here on */
    CR_ENTRY_MAP,
    CR_ENTRY_COUNT
};

struct cr_save {
    const struct cr_save_params *params;
    struct cr_save_job *jobs; /* in the order of the files */
    size_t job_count;
    struct cr_entry *entries;
    size_t entry_count, entry_capacity;
    size_t shard_count;
};

/* Decide what becomes of each tensor and where it goes. */
int cr_save_plan(struct cr_save *save, const struct cr_model *model,
                 const struct cr_save_params *params, struct cr_error *err);
void cr_save_finish(struct cr_save *save);

/* The description of a matrix in nf4; its length does not depend on the offset. */
#define CR_SAVE_STATE 512
int cr_save_state(char text[CR_SAVE_STATE], const struct cr_st_tensor *tensor, bool nested,
                  float offset);

/* Write a shard into the new file `path`. */
int cr_save_shard(struct cr_save *save, size_t shard, const char *path,
                  const struct cr_load_hooks *hooks, struct cr_error *err);

#endif
