/* SPDX-License-Identifier: MIT */
/* crayon/memory.h: allocation, checked sizes, growing text.
 *
 * Everything that the library or a plugin keeps goes through these functions, so that failures can
 * be injected and leaks counted in one place. Memory from here goes back through cr_free() only. */
#ifndef CRAYON_MEMORY_H
#define CRAYON_MEMORY_H

#include <crayon/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As malloc, calloc, realloc and free, but 0 bytes give a valid pointer, and cr_calloc and
 * cr_realloc_array refuse a product that overflows. NULL when memory is exhausted. Thread-safe. */
CR_API
void *cr_malloc(size_t bytes) CR_MUST_CHECK;
CR_API
void *cr_calloc(size_t count, size_t bytes) CR_MUST_CHECK;
CR_API
void *cr_realloc_array(void *memory, size_t count, size_t bytes) CR_MUST_CHECK;
CR_API
void cr_free(void *memory);

/* Bytes of the host's memory that this process can still take without swapping, within the limits
 * of the control groups that it is in; 0 where the system does not tell. (since ABI 1.3) */
CR_API
uint64_t cr_memory_available(void);

/* A copy of `text` (of its first `length` bytes, which need no NUL); NULL when memory is exhausted.
 */
CR_API
char *cr_strdup(const char *text) CR_MUST_CHECK;
CR_API
char *cr_strndup(const char *text, size_t length) CR_MUST_CHECK;

/* Formatted text in new memory; NULL when memory is exhausted. */
CR_API
char *cr_asprintf(const char *format, ...) CR_PRINTF(1, 2) CR_MUST_CHECK;

/* *out = a * b, or a + b; false and *out untouched when the result does not fit. */
static inline bool cr_size_mul(size_t a, size_t b, size_t *out)
{
    if (a != 0 && b > SIZE_MAX / a)
        return false;
    *out = a * b;
    return true;
}

static inline bool cr_size_add(size_t a, size_t b, size_t *out)
{
    if (b > SIZE_MAX - a)
        return false;
    *out = a + b;
    return true;
}

/* Growing text, held by the caller: start with CR_TEXT_INIT. After a failed append `failed` stays
 * true and further appends do nothing, so that one check at the end is enough. */
struct cr_text {
    char *data;      /* NUL-terminated, or NULL while nothing was appended */
    size_t size;     /* bytes without the NUL */
    size_t capacity; /* bytes allocated */
    bool failed;
};

#define CR_TEXT_INIT                                                                               \
    {                                                                                              \
        NULL, 0, 0, false                                                                          \
    }

CR_API
void cr_text_append(struct cr_text *text, const char *bytes, size_t count);
CR_API
void cr_text_add(struct cr_text *text, const char *string);
CR_API
void cr_text_printf(struct cr_text *text, const char *format, ...) CR_PRINTF(2, 3);
/* Take the string out: the caller frees it with cr_free(). NULL after a failure, "" when empty. */
CR_API
char *cr_text_take(struct cr_text *text);
CR_API
void cr_text_finish(struct cr_text *text);

#ifdef __cplusplus
}
#endif
#endif
