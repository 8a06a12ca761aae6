/* SPDX-License-Identifier: MIT */
/* index.h: model.safetensors.index.json, which says in which shard each tensor is. */
#ifndef CR_MODEL_INDEX_H
#define CR_MODEL_INDEX_H

#include <crayon/error.h>

#include "base/arena.h"

struct cr_index_entry {
    const char *name;
    size_t shard; /* in `shards` */
};

struct cr_index {
    struct cr_arena arena;
    struct cr_index_entry *entries; /* sorted by name, which are unique */
    size_t count;
    const char **shards; /* file names, in the order in which they come */
    size_t shard_count;
};

/* At most 100 MB, 1 M tensors, 10000 shards whose names are plain file names. */
int cr_index_read(struct cr_index *index, const char *path, struct cr_error *err);
void cr_index_finish(struct cr_index *index);

/* NULL: the index does not name it. */
const struct cr_index_entry *cr_index_find(const struct cr_index *index, const char *name);

#endif
