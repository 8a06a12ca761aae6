/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include <crayon/memory.h>

#include "maps.h"

struct entry {
    int32_t id, label;
    int32_t number; /* from 1 among the seen entries of its label, by ascending id; not limited */
    bool seen;      /* has at least one cell; the box is valid then */
    int32_t left, top, right, bottom; /* in cells, right and bottom exclusive */
};

struct encoder {
    struct cr_size size;
    size_t count;
    struct entry *entries; /* in the order of the list */
    struct entry **by_id;
};

static int compare_ids(const void *a, const void *b)
{
    int32_t x = (*(struct entry *const *)a)->id, y = (*(struct entry *const *)b)->id;
    return (x > y) - (x < y);
}

static void encoder_finish(struct encoder *encoder)
{
    cr_free(encoder->entries);
    cr_free(encoder->by_id);
}

static int encoder_init(struct encoder *encoder, const struct cr_panoptic *grid,
                        struct cr_error *err)
{
    size_t count = cr_panoptic_count(grid);
    *encoder = (struct encoder){.size = cr_panoptic_size(grid), .count = count};
    encoder->entries = cr_calloc(count, sizeof(*encoder->entries));
    encoder->by_id = cr_calloc(count, sizeof(struct entry *));
    if (encoder->entries == NULL || encoder->by_id == NULL) {
        encoder_finish(encoder);
        return cr_fail_memory(err, count * sizeof(*encoder->entries));
    }
    for (size_t i = 0; i < count; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(grid, i);
        encoder->entries[i].id = segment->id;
        encoder->entries[i].label = segment->label;
        encoder->by_id[i] = &encoder->entries[i];
    }
    qsort(encoder->by_id, count, sizeof(struct entry *), compare_ids);
    return 0;
}

static struct entry *find_entry(const struct encoder *encoder, int32_t id)
{
    size_t low = 0, high = encoder->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (encoder->by_id[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < encoder->count && encoder->by_id[low]->id == id;
    return found ? encoder->by_id[low] : NULL;
}

static void extend_box(struct entry *entry, int32_t y, int32_t x)
{
    if (!entry->seen) {
        entry->seen = true;
        entry->left = x;
        entry->top = y;
        entry->right = entry->bottom = 0;
    }
    entry->left = x < entry->left ? x : entry->left;
    entry->right = x + 1 > entry->right ? x + 1 : entry->right;
    entry->bottom = y + 1; /* rows come from the top */
}

/* Which entry every cell belongs to: cells[i] becomes its position in the list + 1, or 0 for
 * background, ids that are not listed, and entries of unknown label. */
static void assign_cells(struct encoder *encoder, const int32_t *ids, int32_t *cells)
{
    int32_t last = 0;
    struct entry *entry = NULL;
    size_t i = 0;
    for (int32_t y = 0; y < encoder->size.height; y++) {
        for (int32_t x = 0; x < encoder->size.width; x++, i++) {
            if (ids[i] != last) {
                last = ids[i];
                entry = last > 0 ? find_entry(encoder, last) : NULL;
                if (entry != NULL && cr_coco_category(entry->label) == NULL)
                    entry = NULL;
            }
            cells[i] = entry == NULL ? 0 : (int32_t)(entry - encoder->entries) + 1;
            if (entry != NULL)
                extend_box(entry, y, x);
        }
    }
}

static void count_instances(struct encoder *encoder)
{
    int32_t seen[CR_COCO_LABELS] = {0};
    for (size_t i = 0; i < encoder->count; i++) {
        struct entry *entry = encoder->by_id[i];
        if (entry->seen)
            entry->number = ++seen[entry->label];
    }
}

static void paint_maps(const struct encoder *encoder, int32_t *semantic, int32_t *numbering)
{
    size_t cells = (size_t)encoder->size.height * (size_t)encoder->size.width;
    for (size_t i = 0; i < cells; i++) {
        semantic[i] = 0;
        if (numbering[i] == 0)
            continue;
        const struct entry *entry = &encoder->entries[numbering[i] - 1];
        semantic[i] = entry->label + 1;
        numbering[i] = entry->number <= MAX_NUMBER ? entry->number : 0;
    }
}

/* A side of a box as the reference prints it: scaled in single precision, then two decimals of the
 * exact binary value, ties to even (a float times 100 is exact in a double). Made from whole
 * numbers, since printf() would follow the locale's decimal point. */
static void add_coordinate(struct cr_text *caption, int32_t cells, int32_t side)
{
    float scale = (float)(1.0 / side);
    float value = (float)cells * scale;
    long hundredths = lrint((double)value * 100.0);
    cr_text_printf(caption, "%ld.%02ld", hundredths / 100, hundredths % 100);
}

static void add_object(struct cr_text *caption, const struct encoder *encoder,
                       const struct entry *entry, int32_t number)
{
    cr_text_printf(caption, "%s(#%d %s) [", caption->size == 0 ? "" : ", ", number,
                   cr_coco_category(entry->label)->short_name);
    add_coordinate(caption, entry->left, encoder->size.width);
    cr_text_add(caption, ", ");
    add_coordinate(caption, entry->top, encoder->size.height);
    cr_text_add(caption, ", ");
    add_coordinate(caption, entry->right, encoder->size.width);
    cr_text_add(caption, ", ");
    add_coordinate(caption, entry->bottom, encoder->size.height);
    cr_text_add(caption, "]");
}

/* Numbers in the caption follow the list, those in the map follow the ids; they differ when the
 * list is not in ascending order. Names count, which is the same as labels: no two share one. */
static int write_caption(const struct encoder *encoder, char **out, struct cr_error *err)
{
    int32_t written[CR_COCO_LABELS] = {0};
    struct cr_text caption = CR_TEXT_INIT;
    for (size_t i = 0; i < encoder->count; i++) {
        const struct entry *entry = &encoder->entries[i];
        if (entry->seen)
            add_object(&caption, encoder, entry, ++written[entry->label]);
    }
    if (caption.size == 0 && !caption.failed)
        return 0;
    *out = cr_text_take(&caption);
    if (*out == NULL)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory while the caption was written");
    return 0;
}

int encode_maps(const struct cr_panoptic *grid, int32_t *semantic, int32_t *numbering,
                char **caption, struct cr_error *err)
{
    *caption = NULL;
    struct encoder encoder;
    int result = encoder_init(&encoder, grid, err);
    if (result < 0)
        return result;
    /* The numbering map holds positions in the list until the numbers are known. */
    assign_cells(&encoder, cr_panoptic_ids(grid), numbering);
    count_instances(&encoder);
    paint_maps(&encoder, semantic, numbering);
    result = write_caption(&encoder, caption, err);
    encoder_finish(&encoder);
    return result;
}
