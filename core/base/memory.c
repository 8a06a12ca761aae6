/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/fault.h"

#if defined(HAVE_MALLOC_USABLE_SIZE)
#include <malloc.h>
#elif defined(HAVE_MALLOC_SIZE)
#include <malloc/malloc.h>
#endif

/* The caller's address tells one allocation site from another. */
#define SITE __builtin_return_address(0)

static _Atomic int64_t live, live_bytes, peak;

int64_t cr_memory_live(void)
{
    return atomic_load(&live);
}

int64_t cr_memory_bytes(void)
{
    return atomic_load(&live_bytes);
}

int64_t cr_memory_peak(void)
{
    return atomic_load(&peak);
}

void cr_memory_reset_peak(void)
{
    atomic_store(&peak, atomic_load(&live_bytes));
}

static int64_t size_of(void *memory)
{
#if defined(HAVE_MALLOC_USABLE_SIZE)
    return (int64_t)malloc_usable_size(memory);
#elif defined(HAVE_MALLOC_SIZE)
    return (int64_t)malloc_size(memory);
#else
    (void)memory;
    return 0;
#endif
}

static void count_bytes(int64_t bytes)
{
    const int64_t now = atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed) + bytes;
    int64_t most = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > most && !atomic_compare_exchange_weak_explicit(
                             &peak, &most, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* Hand out new memory, or NULL. */
static void *count_new(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
        count_bytes(size_of(memory));
    }
    return memory;
}

static void *allocate(size_t count, size_t bytes, const void *site)
{
    size_t total;
    if (!cr_size_mul(count, bytes, &total) || cr_fault(CR_FAULT_ALLOC, site) != 0)
        return NULL;
    return count_new(calloc(1, total == 0 ? 1 : total));
}

void *cr_malloc(size_t bytes)
{
    if (cr_fault(CR_FAULT_ALLOC, SITE) != 0)
        return NULL;
    return count_new(malloc(bytes == 0 ? 1 : bytes));
}

void *cr_calloc(size_t count, size_t bytes)
{
    return allocate(count, bytes, SITE);
}

void *cr_realloc_array(void *memory, size_t count, size_t bytes)
{
    size_t total;
    if (!cr_size_mul(count, bytes, &total) || cr_fault(CR_FAULT_ALLOC, SITE) != 0)
        return NULL;
    const int64_t before = memory == NULL ? 0 : size_of(memory);
    void *moved = realloc(memory, total == 0 ? 1 : total);
    if (memory == NULL)
        return count_new(moved);
    if (moved != NULL)
        count_bytes(size_of(moved) - before);
    return moved;
}

void cr_free(void *memory)
{
    if (memory == NULL)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&live_bytes, size_of(memory), memory_order_relaxed);
    free(memory);
}

static char *copy(const char *text, size_t length, const void *site)
{
    size_t bytes;
    char *result = cr_size_add(length, 1, &bytes) ? allocate(1, bytes, site) : NULL;
    if (result != NULL)
        memcpy(result, text, length);
    return result;
}

char *cr_strdup(const char *text)
{
    return copy(text, strlen(text), SITE);
}

char *cr_strndup(const char *text, size_t length)
{
    return copy(text, strnlen(text, length), SITE);
}

char *cr_asprintf(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *result = length < 0 ? NULL : allocate(1, (size_t)length + 1, SITE);
    if (result != NULL)
        vsnprintf(result, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return result;
}

/* Make room for `more` bytes and a NUL. */
static bool reserve(struct cr_text *text, size_t more)
{
    size_t need;
    if (text->failed || !cr_size_add(text->size, more, &need) || !cr_size_add(need, 1, &need)) {
        text->failed = true;
        return false;
    }
    if (need <= text->capacity)
        return true;
    size_t capacity = text->capacity < 32 ? 64 : text->capacity * 2;
    if (capacity < need)
        capacity = need;
    char *data = cr_realloc_array(text->data, capacity, 1);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void cr_text_append(struct cr_text *text, const char *bytes, size_t count)
{
    if (!reserve(text, count))
        return;
    if (count > 0)
        memcpy(text->data + text->size, bytes, count);
    text->size += count;
    text->data[text->size] = '\0';
}

void cr_text_add(struct cr_text *text, const char *string)
{
    cr_text_append(text, string, strlen(string));
}

void cr_text_printf(struct cr_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length < 0)
        text->failed = true;
    else if (reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->size, (size_t)length + 1, format, again);
        text->size += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

char *cr_text_take(struct cr_text *text)
{
    if (!text->failed && text->data == NULL)
        cr_text_append(text, "", 0);
    char *result = text->failed ? NULL : text->data;
    if (text->failed)
        cr_free(text->data);
    *text = (struct cr_text)CR_TEXT_INIT;
    return result;
}

void cr_text_finish(struct cr_text *text)
{
    cr_free(text->data);
    *text = (struct cr_text)CR_TEXT_INIT;
}
