/* SPDX-License-Identifier: MIT */
/* search.h: the folders that plugins are looked for in, and the files that lie there. */
#ifndef CR_PLUGIN_SEARCH_H
#define CR_PLUGIN_SEARCH_H

#include <sys/types.h>

#include <crayon/registry.h>

#include "base/arena.h"

struct cr_search_folder {
    const char *path;   /* absolute */
    const char *reason; /* why nothing is taken from here, or NULL */
    bool exempt;        /* part of the build tree: owner and mode are not looked at */
    dev_t device;
    ino_t inode;
};

/* The folders of a search, in order, each once. Texts live in the arena of the caller. */
struct cr_search {
    struct cr_search_folder *folders;
    size_t count;
};

int cr_search_init(struct cr_search *search, const struct cr_registry_params *params,
                   struct cr_arena *arena, struct cr_error *err);
void cr_search_finish(struct cr_search *search);

/* The names of the *.so files in a folder, sorted; the array is freed with cr_free(). When there
 * are none, the folder's reason says why. */
int cr_search_list(struct cr_search_folder *folder, struct cr_arena *arena, const char ***names,
                   size_t *count, struct cr_error *err);

#endif
