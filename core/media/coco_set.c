/* SPDX-License-Identifier: MIT */
/* A whole data set in memory: what COCO's tools load with the text, without the text. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "media/coco.h"

struct segment {
    int64_t category_id;
    int32_t id;
    bool crowd;
};

struct entry {
    int64_t image_id;
    const char *image, *png;
    struct cr_coco_place place;
    size_t first, count; /* of its segments */
};

struct named {
    int64_t image_id;
    const char *name;
};

struct cr_coco {
    struct cr_arena arena; /* of the names */
    char *json, *png_dir;
    struct entry *entries;
    size_t count, capacity;
    size_t *by_image; /* the entries, sorted by image */
    struct segment *segments;
    size_t segment_count, segment_capacity;
    struct cr_coco_class *classes;
    size_t class_count, class_capacity;
    struct named *images; /* while the file is read: the list of images */
    size_t image_count, image_capacity;
};

/* ---- Reading ---- */

/* The list with room for `more` items behind its `count`; NULL: no memory. */
static void *grow(void *items, size_t count, size_t more, size_t *capacity, size_t bytes)
{
    if (items != NULL && *capacity - count >= more)
        return items;
    size_t wanted = 2 * *capacity + more + 64;
    void *grown = cr_realloc_array(items, wanted, bytes);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

static int take_image(void *user, int64_t id, const char *file_name, struct cr_error *err)
{
    struct cr_coco *coco = user;
    char *name = cr_arena_strdup(&coco->arena, file_name);
    struct named *images =
        grow(coco->images, coco->image_count, 1, &coco->image_capacity, sizeof(*images));
    if (images != NULL)
        coco->images = images;
    if (images == NULL || name == NULL)
        return cr_fail_memory(err, sizeof(*images));
    images[coco->image_count++] = (struct named){id, name};
    return 0;
}

static int take_annotation(void *user, const struct cr_coco_annotation *annotation,
                           struct cr_error *err)
{
    struct cr_coco *coco = user;
    char *png = cr_arena_strdup(&coco->arena, annotation->file_name.data);
    struct entry *entries = grow(coco->entries, coco->count, 1, &coco->capacity, sizeof(*entries));
    struct segment *segments = grow(coco->segments, coco->segment_count, annotation->count,
                                    &coco->segment_capacity, sizeof(*segments));
    if (entries != NULL)
        coco->entries = entries;
    if (segments != NULL)
        coco->segments = segments;
    if (png == NULL || entries == NULL || segments == NULL)
        return cr_fail_memory(err, annotation->count * sizeof(*segments));
    entries[coco->count++] = (struct entry){
        .image_id = annotation->image_id,
        .png = png,
        .place = annotation->place,
        .first = coco->segment_count,
        .count = annotation->count,
    };
    for (size_t i = 0; i < annotation->count; i++) {
        const struct cr_coco_segment *from = &annotation->segments[i];
        segments[coco->segment_count++] =
            (struct segment){from->category_id, (int32_t)from->id, from->crowd};
    }
    return 0;
}

static int take_category(void *user, const struct cr_coco_class *category, struct cr_error *err)
{
    struct cr_coco *coco = user;
    for (size_t i = 0; i < coco->class_count; i++)
        if (coco->classes[i].category_id == category->category_id)
            return cr_fail(err, CR_ERR_FORMAT, "%s: a second category with the id %lld", coco->json,
                           (long long)category->category_id);
    if (coco->class_count == CR_COCO_MAX_CATEGORIES)
        return cr_fail(err, CR_ERR_LIMIT, "%s: more than %d categories", coco->json,
                       CR_COCO_MAX_CATEGORIES);
    char *name = cr_arena_strdup(&coco->arena, category->name);
    struct cr_coco_class *classes =
        grow(coco->classes, coco->class_count, 1, &coco->class_capacity, sizeof(*classes));
    if (classes != NULL)
        coco->classes = classes;
    if (classes == NULL || name == NULL)
        return cr_fail_memory(err, sizeof(*classes));
    classes[coco->class_count] = *category;
    classes[coco->class_count++].name = name;
    return 0;
}

/* ---- Images and their annotations ---- */

static int by_id(const void *a, const void *b)
{
    int64_t first = ((const struct named *)a)->image_id;
    int64_t second = ((const struct named *)b)->image_id;
    return first < second ? -1 : first > second;
}

static void name_images(struct cr_coco *coco)
{
    if (coco->image_count > 0)
        qsort(coco->images, coco->image_count, sizeof(*coco->images), by_id);
    for (size_t i = 0; i < coco->count && coco->image_count > 0; i++) {
        struct named key = {coco->entries[i].image_id, NULL};
        const struct named *found =
            bsearch(&key, coco->images, coco->image_count, sizeof(key), by_id);
        coco->entries[i].image = found != NULL ? found->name : NULL;
    }
    cr_free(coco->images);
    coco->images = NULL;
}

/* The list of images may come after that of the annotations, so the index is made of a list of
 * pairs: image, entry. */
struct indexed {
    int64_t image_id;
    size_t entry;
};

static int by_image(const void *a, const void *b)
{
    const struct indexed *first = a, *second = b;
    if (first->image_id != second->image_id)
        return first->image_id < second->image_id ? -1 : 1;
    return first->entry < second->entry ? -1 : 1;
}

static int index_entries(struct cr_coco *coco, struct cr_error *err)
{
    struct indexed *sorted = cr_calloc(coco->count, sizeof(*sorted));
    coco->by_image = cr_calloc(coco->count, sizeof(*coco->by_image));
    if (sorted == NULL || coco->by_image == NULL) {
        cr_free(sorted);
        return cr_fail_memory(err, coco->count * sizeof(*sorted));
    }
    for (size_t i = 0; i < coco->count; i++)
        sorted[i] = (struct indexed){coco->entries[i].image_id, i};
    qsort(sorted, coco->count, sizeof(*sorted), by_image);
    int result = 0;
    for (size_t i = 0; i < coco->count && result == 0; i++) {
        coco->by_image[i] = sorted[i].entry;
        if (i == 0 || sorted[i].image_id != sorted[i - 1].image_id)
            continue;
        struct cr_coco_place place = coco->entries[sorted[i].entry].place;
        result = cr_fail(err, CR_ERR_FORMAT, "%s:%lld:%lld: a second annotation of image %lld",
                         coco->json, (long long)place.line, (long long)place.column,
                         (long long)sorted[i].image_id);
    }
    cr_free(sorted);
    return result;
}

/* ---- The data set ---- */

static int read_set(struct cr_coco *coco, struct cr_error *err)
{
    const struct cr_coco_visitor visitor = {coco, take_image, take_annotation, take_category};
    int result = cr_coco_visit(coco->json, &visitor, err);
    if (result < 0)
        return result;
    name_images(coco);
    return index_entries(coco, err);
}

int cr_coco_open(struct cr_coco **out, const char *json, const char *png_dir, struct cr_error *err)
{
    *out = NULL;
    struct cr_coco *coco = cr_calloc(1, sizeof(*coco));
    if (coco == NULL)
        return cr_fail_memory(err, sizeof(*coco));
    coco->json = cr_strdup(json);
    coco->png_dir = png_dir != NULL ? cr_strdup(png_dir) : NULL;
    int result = coco->json != NULL && (png_dir == NULL || coco->png_dir != NULL)
                     ? read_set(coco, err)
                     : cr_fail_memory(err, strlen(json) + 1);
    if (result < 0)
        cr_coco_close(&coco);
    *out = coco;
    return result;
}

void cr_coco_close(struct cr_coco **coco)
{
    struct cr_coco *old = *coco;
    *coco = NULL;
    if (old == NULL)
        return;
    cr_arena_finish(&old->arena);
    cr_free(old->entries);
    cr_free(old->by_image);
    cr_free(old->segments);
    cr_free(old->classes);
    cr_free(old->images);
    cr_free(old->png_dir);
    cr_free(old->json);
    cr_free(old);
}

size_t cr_coco_count(const struct cr_coco *coco)
{
    return coco->count;
}

struct cr_coco_entry cr_coco_entry(const struct cr_coco *coco, size_t index)
{
    const struct entry *entry = &coco->entries[index];
    return (struct cr_coco_entry){entry->image_id, entry->image, entry->png};
}

size_t cr_coco_find(const struct cr_coco *coco, int64_t image_id)
{
    size_t low = 0, high = coco->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (coco->entries[coco->by_image[middle]].image_id < image_id)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < coco->count && coco->entries[coco->by_image[low]].image_id == image_id;
    return found ? coco->by_image[low] : coco->count;
}

size_t cr_coco_classes(const struct cr_coco *coco)
{
    return coco->class_count;
}

struct cr_coco_class cr_coco_class(const struct cr_coco *coco, size_t index)
{
    return coco->classes[index];
}

/* ---- Maps ---- */

static int32_t label_of(const struct cr_coco *coco, int64_t category_id)
{
    for (size_t i = 0; i < coco->class_count; i++)
        if (coco->classes[i].category_id == category_id)
            return coco->classes[i].label;
    return cr_coco_label(category_id);
}

static int build(struct cr_panoptic *map, const struct cr_coco *coco, const struct entry *entry,
                 const struct cr_image *colors, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < entry->count && result == 0; i++) {
        const struct segment *from = &coco->segments[entry->first + i];
        const struct cr_segment segment = {
            .id = from->id,
            .label = label_of(coco, from->category_id),
            .score = 1,
            .crowd = from->crowd,
            .original_id = from->id,
            .category_id = from->category_id,
        };
        result = cr_panoptic_add(map, &segment, err);
    }
    struct cr_size size = cr_image_size(colors);
    const uint8_t *rgb = cr_image_pixels(colors);
    int32_t *ids = cr_panoptic_edit(map);
    for (size_t i = 0; i < (size_t)size.height * (size_t)size.width; i++, rgb += 3)
        ids[i] = rgb[0] | rgb[1] << 8 | rgb[2] << 16;
    return result;
}

int cr_coco_map(struct cr_panoptic **out, const struct cr_coco *coco, size_t index,
                struct cr_error *err)
{
    const struct entry *entry = &coco->entries[index];
    struct cr_image *colors = NULL;
    *out = NULL;
    int result = cr_coco_colors(&colors, coco->json, coco->png_dir, entry->png, entry->place,
                                (struct cr_size){0, 0}, err);
    if (result == 0)
        result = cr_panoptic_create(out, cr_image_size(colors), err);
    if (result == 0)
        result = build(*out, coco, entry, colors, err);
    if (result < 0)
        cr_panoptic_unref(out);
    cr_image_unref(&colors);
    return result;
}
