/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "model/claim.h"

int cr_claim_create(struct cr_claim **out, struct cr_model *model, struct cr_error *err)
{
    *out = cr_calloc(1, sizeof(**out));
    if (*out == NULL)
        return cr_fail_memory(err, sizeof(**out));
    (*out)->model = cr_model_ref(model);
    return 0;
}

struct cr_model *cr_claim_model(const struct cr_claim *claim)
{
    return claim->model;
}

static void free_strings(char **strings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_free(strings[i]);
    cr_free(strings);
}

static void free_parts(struct cr_claim_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_free((void *)(uintptr_t)parts[i].name);
    cr_free(parts);
}

void cr_claim_destroy(struct cr_claim **claim)
{
    struct cr_claim *old = *claim;
    *claim = NULL;
    if (old == NULL)
        return;
    for (size_t i = 0; i < old->count; i++)
        free_parts(old->items[i].parts, old->items[i].part_count);
    cr_free(old->items);
    free_strings(old->prefixes, old->prefix_count);
    free_strings(old->ignored, old->ignored_count);
    cr_model_unref(&old->model);
    cr_free(old);
}

/* ---- Claiming ---- */

static void out_of_memory(struct cr_claim *claim, size_t bytes)
{
    if (claim->failure.code == 0)
        cr_fail_memory(&claim->failure, bytes);
}

static void add_string(struct cr_claim *claim, char ***strings, size_t *count, const char *string)
{
    char **more = cr_realloc_array(*strings, *count + 1, sizeof(*more));
    char *copy = more == NULL ? NULL : cr_strdup(string);
    if (more != NULL)
        *strings = more;
    if (copy != NULL)
        more[(*count)++] = copy;
    else
        out_of_memory(claim, strlen(string) + sizeof(*more));
}

void cr_claim_prefix(struct cr_claim *claim, const char *prefix)
{
    add_string(claim, &claim->prefixes, &claim->prefix_count, prefix);
}

void cr_claim_ignore(struct cr_claim *claim, const char *pattern)
{
    add_string(claim, &claim->ignored, &claim->ignored_count, pattern);
}

/* Copies of the parts; NULL: no memory. */
static struct cr_claim_part *copy_parts(const struct cr_claim_part *parts, size_t count)
{
    struct cr_claim_part *copies = cr_calloc(count, sizeof(*copies));
    for (size_t i = 0; i < count && copies != NULL; i++) {
        copies[i] = parts[i];
        if ((copies[i].name = cr_strdup(parts[i].name)) == NULL) {
            free_parts(copies, i);
            copies = NULL;
        }
    }
    return copies;
}

static struct cr_claim_item *next_item(struct cr_claim *claim)
{
    if (claim->count == claim->capacity) {
        size_t capacity = claim->capacity == 0 ? 32 : claim->capacity * 2;
        struct cr_claim_item *items = cr_realloc_array(claim->items, capacity, sizeof(*items));
        if (items == NULL)
            return NULL;
        claim->items = items;
        claim->capacity = capacity;
    }
    return &claim->items[claim->count];
}

void cr_claim_parts(struct cr_claim *claim, struct cr_tensor **tensor, enum cr_dtype dtype,
                    int rank, const int64_t *shape, uint32_t flags,
                    const struct cr_claim_part *parts, size_t count)
{
    if (claim->failure.code == 0 && (rank < 0 || rank > CR_TENSOR_MAX_RANK || count == 0))
        cr_fail(&claim->failure, CR_ERR_ARGUMENT,
                "a claim of rank %d made of %zu parts: the rank is 0..%d, and one part at least",
                rank, count, CR_TENSOR_MAX_RANK);
    if (claim->failure.code != 0)
        return;
    struct cr_claim_item *item = next_item(claim);
    struct cr_claim_part *copies = item == NULL ? NULL : copy_parts(parts, count);
    if (copies == NULL) {
        out_of_memory(claim, sizeof(*item) + count * sizeof(*copies));
        return;
    }
    *item = (struct cr_claim_item){.tensor = tensor,
                                   .dtype = dtype,
                                   .rank = rank,
                                   .flags = flags,
                                   .parts = copies,
                                   .part_count = count};
    for (int i = 0; i < rank; i++)
        item->shape[i] = shape[i];
    claim->count++;
}

void cr_claim_tensor(struct cr_claim *claim, struct cr_tensor **tensor, enum cr_dtype dtype,
                     int rank, const int64_t *shape, uint32_t flags, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = length < 0 ? NULL : cr_malloc((size_t)length + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    if (text == NULL)
        out_of_memory(claim, (size_t)length + 1);
    else
        cr_claim_parts(claim, tensor, dtype, rank, shape, flags,
                       &(struct cr_claim_part){.name = text}, 1);
    cr_free(text);
}
