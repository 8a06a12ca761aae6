/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/panoptic.h>

#include "base/size.h"

struct cr_panoptic {
    _Atomic int references;
    struct cr_size size;
    struct cr_segment *segments;
    size_t *by_id; /* positions in `segments`, sorted by id */
    size_t count, capacity;
    int32_t ids[];
};

int cr_panoptic_create(struct cr_panoptic **out, struct cr_size size, struct cr_error *err)
{
    *out = NULL;
    int result = cr_size_check(size, err);
    if (result < 0)
        return result;
    size_t bytes =
        sizeof(struct cr_panoptic) + (size_t)size.height * (size_t)size.width * sizeof(int32_t);
    struct cr_panoptic *panoptic = cr_calloc(1, bytes);
    if (panoptic == NULL)
        return cr_fail_memory(err, bytes);
    panoptic->references = 1;
    panoptic->size = size;
    *out = panoptic;
    return 0;
}

struct cr_panoptic *cr_panoptic_ref(const struct cr_panoptic *panoptic)
{
    struct cr_panoptic *shared = (struct cr_panoptic *)(uintptr_t)panoptic;
    if (shared != NULL)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void cr_panoptic_unref(struct cr_panoptic **panoptic)
{
    struct cr_panoptic *old = *panoptic;
    *panoptic = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
        return;
    cr_free(old->segments);
    cr_free(old->by_id);
    cr_free(old);
}

/* Where in by_id this id stands, or would stand. */
static size_t position(const struct cr_panoptic *panoptic, int32_t id)
{
    size_t low = 0, high = panoptic->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (panoptic->segments[panoptic->by_id[middle]].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int reserve(struct cr_panoptic *panoptic, struct cr_error *err)
{
    if (panoptic->count < panoptic->capacity)
        return 0;
    size_t capacity = panoptic->capacity == 0 ? 16 : panoptic->capacity * 2;
    struct cr_segment *segments = cr_realloc_array(panoptic->segments, capacity, sizeof(*segments));
    if (segments == NULL)
        return cr_fail_memory(err, capacity * sizeof(*segments));
    panoptic->segments = segments;
    size_t *by_id = cr_realloc_array(panoptic->by_id, capacity, sizeof(*by_id));
    if (by_id == NULL)
        return cr_fail_memory(err, capacity * sizeof(*by_id));
    panoptic->by_id = by_id;
    panoptic->capacity = capacity;
    return 0;
}

int cr_panoptic_add(struct cr_panoptic *panoptic, const struct cr_segment *segment,
                    struct cr_error *err)
{
    if (segment->id <= 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "segment id %d: ids of segments are above 0",
                       segment->id);
    if (segment->label < CR_LABEL_UNKNOWN || segment->label >= CR_COCO_LABELS)
        return cr_fail(err, CR_ERR_ARGUMENT, "segment %d: label %d is outside 0..%d (%d: unknown)",
                       segment->id, segment->label, CR_COCO_LABELS - 1, CR_LABEL_UNKNOWN);
    if (cr_panoptic_find(panoptic, segment->id) != NULL)
        return cr_fail(err, CR_ERR_ARGUMENT, "segment %d is listed twice", segment->id);
    int result = reserve(panoptic, err);
    if (result < 0)
        return result;
    size_t at = position(panoptic, segment->id);
    memmove(&panoptic->by_id[at + 1], &panoptic->by_id[at],
            (panoptic->count - at) * sizeof(panoptic->by_id[0]));
    panoptic->by_id[at] = panoptic->count;
    panoptic->segments[panoptic->count++] = *segment;
    return 0;
}

struct cr_size cr_panoptic_size(const struct cr_panoptic *panoptic)
{
    return panoptic->size;
}

const int32_t *cr_panoptic_ids(const struct cr_panoptic *panoptic)
{
    return panoptic->ids;
}

int32_t *cr_panoptic_edit(struct cr_panoptic *panoptic)
{
    return panoptic->ids;
}

size_t cr_panoptic_count(const struct cr_panoptic *panoptic)
{
    return panoptic->count;
}

const struct cr_segment *cr_panoptic_segment(const struct cr_panoptic *panoptic, size_t index)
{
    return &panoptic->segments[index];
}

const struct cr_segment *cr_panoptic_find(const struct cr_panoptic *panoptic, int32_t id)
{
    size_t at = position(panoptic, id);
    if (at == panoptic->count || panoptic->segments[panoptic->by_id[at]].id != id)
        return NULL;
    return &panoptic->segments[panoptic->by_id[at]];
}

int cr_panoptic_resize(struct cr_panoptic **out, const struct cr_panoptic *panoptic,
                       struct cr_size size, struct cr_error *err)
{
    *out = NULL;
    if (cr_size_equal(size, panoptic->size)) {
        *out = cr_panoptic_ref(panoptic);
        return 0;
    }
    struct cr_panoptic *resized = NULL;
    int32_t *rows = NULL;
    int result = cr_panoptic_create(&resized, size, err);
    if (result < 0)
        return result;
    size_t indices = (size_t)size.height + (size_t)size.width;
    if ((rows = cr_malloc(indices * sizeof(*rows))) == NULL)
        result = cr_fail_memory(err, indices * sizeof(*rows));
    for (size_t i = 0; i < panoptic->count && result == 0; i++)
        result = cr_panoptic_add(resized, &panoptic->segments[i], err);
    if (result == 0) {
        int32_t *columns = rows + size.height;
        cr_nearest_indices(panoptic->size.height, size.height, rows);
        cr_nearest_indices(panoptic->size.width, size.width, columns);
        int32_t *to = resized->ids;
        for (int32_t y = 0; y < size.height; y++) {
            const int32_t *from = panoptic->ids + (size_t)rows[y] * (size_t)panoptic->size.width;
            for (int32_t x = 0; x < size.width; x++)
                *to++ = from[columns[x]];
        }
        *out = resized;
        resized = NULL;
    }
    cr_free(rows);
    cr_panoptic_unref(&resized);
    return result;
}
