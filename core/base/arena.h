/* SPDX-License-Identifier: MIT */
/* arena.h: memory that is freed as a whole. */
#ifndef CR_BASE_ARENA_H
#define CR_BASE_ARENA_H

#include <crayon/base.h>

/* Starts as CR_ARENA_INIT; cr_arena_finish() frees everything and leaves it reusable. */
struct cr_arena {
    struct cr_arena_block *blocks;
};

#define CR_ARENA_INIT                                                                              \
    {                                                                                              \
        NULL                                                                                       \
    }

/* Zeroed, aligned for any type; NULL when memory is exhausted. */
void *cr_arena_alloc(struct cr_arena *arena, size_t bytes) CR_MUST_CHECK;
char *cr_arena_strdup(struct cr_arena *arena, const char *text) CR_MUST_CHECK;
void cr_arena_finish(struct cr_arena *arena);

#endif
