/* SPDX-License-Identifier: MIT */
#include <stdalign.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/arena.h"

struct cr_arena_block {
    struct cr_arena_block *next;
    size_t used, capacity;
    alignas(max_align_t) unsigned char data[];
};

#define BLOCK_BYTES 4000

void *cr_arena_alloc(struct cr_arena *arena, size_t bytes)
{
    const size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX - align - sizeof(struct cr_arena_block))
        return NULL;
    bytes = (bytes + align - 1) / align * align;
    struct cr_arena_block *block = arena->blocks;
    if (block == NULL || block->capacity - block->used < bytes) {
        size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = cr_calloc(1, sizeof(*block) + capacity);
        if (block == NULL)
            return NULL;
        block->capacity = capacity;
        /* What fills a block alone goes behind the one that still has room. */
        struct cr_arena_block **place =
            bytes > BLOCK_BYTES && arena->blocks != NULL ? &arena->blocks->next : &arena->blocks;
        block->next = *place;
        *place = block;
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    return memory;
}

char *cr_arena_strdup(struct cr_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = cr_arena_alloc(arena, bytes);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

void cr_arena_finish(struct cr_arena *arena)
{
    while (arena->blocks != NULL) {
        struct cr_arena_block *next = arena->blocks->next;
        cr_free(arena->blocks);
        arena->blocks = next;
    }
}
