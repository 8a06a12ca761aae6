/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "measure.h"

/* ---- Intersections ---- */

/* How many pixels have one true and one predicted id. */
struct pair {
    int32_t truth, prediction;
    uint64_t pixels; /* 0: the place is free */
};

/* Open addressing; a power of two, at most half full. */
struct table {
    struct pair *pairs;
    size_t capacity, count;
};

static struct pair *find_pair(const struct table *table, int32_t truth, int32_t prediction)
{
    uint64_t key = (uint64_t)(uint32_t)truth << 32 | (uint32_t)prediction;
    key = (key ^ key >> 29) * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(key >> 32) & (table->capacity - 1);
    struct pair *pair = &table->pairs[at];
    while (pair->pixels > 0 && (pair->truth != truth || pair->prediction != prediction)) {
        at = (at + 1) & (table->capacity - 1);
        pair = &table->pairs[at];
    }
    return pair;
}

static int grow(struct table *table, struct cr_error *err)
{
    struct table grown = {.capacity = table->capacity == 0 ? 256 : 2 * table->capacity,
                          .count = table->count};
    if ((grown.pairs = cr_calloc(grown.capacity, sizeof(*grown.pairs))) == NULL)
        return cr_fail_memory(err, grown.capacity * sizeof(*grown.pairs));
    for (size_t i = 0; i < table->capacity; i++) {
        const struct pair *old = &table->pairs[i];
        if (old->pixels > 0)
            *find_pair(&grown, old->truth, old->prediction) = *old;
    }
    cr_free(table->pairs);
    *table = grown;
    return 0;
}

static int add_pixels(struct table *table, int32_t truth, int32_t prediction, uint64_t pixels,
                      struct cr_error *err)
{
    if (2 * (table->count + 1) > table->capacity) {
        int result = grow(table, err);
        if (result < 0)
            return result;
    }
    struct pair *pair = find_pair(table, truth, prediction);
    table->count += pair->pixels == 0;
    *pair = (struct pair){truth, prediction, pair->pixels + pixels};
    return 0;
}

/* Neighbours are mostly alike: runs are counted, and the table asked once for each. */
static int count_pixels(struct table *table, const int32_t *truth, const int32_t *prediction,
                        size_t pixels, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0, end; i < pixels && result == 0; i = end) {
        for (end = i + 1;
             end < pixels && truth[end] == truth[i] && prediction[end] == prediction[i];)
            end++;
        result = add_pixels(table, truth[i] > 0 ? truth[i] : 0,
                            prediction[i] > 0 ? prediction[i] : 0, end - i, err);
    }
    return result;
}

/* ---- Segments ---- */

/* A segment and what is known of it. */
struct region {
    const struct pq_segment *segment;
    uint64_t area;
    uint64_t excused; /* pixels of a prediction on void, then on crowds of its class, too */
    bool matched;
};

struct comparison {
    struct table table;
    struct region *truths, *predictions; /* sorted by id */
    size_t truth_count, prediction_count;
    struct pq_outcome *outcomes;
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    int32_t first = ((const struct region *)a)->segment->id;
    int32_t second = ((const struct region *)b)->segment->id;
    return first < second ? -1 : first > second;
}

static struct region *sort_regions(const struct pq_map *map, struct cr_error *err)
{
    struct region *regions = cr_calloc(map->count + 1, sizeof(*regions));
    if (regions == NULL) {
        cr_fail_memory(err, map->count * sizeof(*regions));
        return NULL;
    }
    for (size_t i = 0; i < map->count; i++)
        regions[i].segment = &map->segments[i];
    qsort(regions, map->count, sizeof(*regions), by_id);
    return regions;
}

static struct region *find_region(struct region *regions, size_t count, int32_t id)
{
    const struct pq_segment segment = {.id = id};
    const struct region key = {.segment = &segment};
    return id > 0 ? bsearch(&key, regions, count, sizeof(key), by_id) : NULL;
}

static struct region *truth_of(const struct comparison *c, const struct pair *pair)
{
    return find_region(c->truths, c->truth_count, pair->truth);
}

static struct region *prediction_of(const struct comparison *c, const struct pair *pair)
{
    return find_region(c->predictions, c->prediction_count, pair->prediction);
}

static int measure_areas(struct comparison *c, bool unlisted_is_void, struct cr_error *err)
{
    for (size_t i = 0; i < c->table.capacity; i++) {
        const struct pair *pair = &c->table.pairs[i];
        if (pair->pixels == 0)
            continue;
        struct region *truth = truth_of(c, pair), *prediction = prediction_of(c, pair);
        if (prediction == NULL && pair->prediction > 0 && !unlisted_is_void)
            return cr_fail(err, CR_ERR_FORMAT,
                           "segment %d has pixels in the prediction, and is not listed",
                           pair->prediction);
        if (truth != NULL)
            truth->area += pair->pixels;
        if (prediction != NULL)
            prediction->area += pair->pixels;
        if (prediction != NULL && pair->truth == 0)
            prediction->excused += pair->pixels;
    }
    for (size_t i = 0; i < c->prediction_count; i++)
        if (c->predictions[i].area == 0)
            return cr_fail(err, CR_ERR_FORMAT,
                           "segment %d is listed in the prediction, and has no pixels",
                           c->predictions[i].segment->id);
    return 0;
}

/* ---- Matches ---- */

static void note(struct comparison *c, int32_t class, enum pq_kind kind, double iou)
{
    c->outcomes[c->count++] = (struct pq_outcome){class, kind, iou};
}

static double iou_of(const struct region *truth, const struct region *prediction, uint64_t pixels)
{
    uint64_t all = truth->area + prediction->area - pixels - prediction->excused;
    return (double)pixels / (double)all;
}

static void match(struct comparison *c)
{
    for (size_t i = 0; i < c->table.capacity; i++) {
        const struct pair *pair = &c->table.pairs[i];
        struct region *truth = pair->pixels > 0 ? truth_of(c, pair) : NULL;
        struct region *prediction = truth != NULL ? prediction_of(c, pair) : NULL;
        if (prediction == NULL || truth->segment->crowd ||
            truth->segment->class != prediction->segment->class)
            continue;
        double iou = iou_of(truth, prediction, pair->pixels);
        if (iou <= 0.5)
            continue;
        truth->matched = prediction->matched = true;
        note(c, truth->segment->class, PQ_TRUE_POSITIVE, iou);
    }
}

/* From here on, crowds excuse as void does. */
static void excuse_crowds(struct comparison *c)
{
    for (size_t i = 0; i < c->table.capacity; i++) {
        const struct pair *pair = &c->table.pairs[i];
        const struct region *truth = pair->pixels > 0 ? truth_of(c, pair) : NULL;
        struct region *prediction = truth != NULL ? prediction_of(c, pair) : NULL;
        if (prediction != NULL && truth->segment->crowd &&
            truth->segment->class == prediction->segment->class)
            prediction->excused += pair->pixels;
    }
}

static void find_misses(struct comparison *c)
{
    for (size_t i = 0; i < c->truth_count; i++)
        if (!c->truths[i].matched && !c->truths[i].segment->crowd)
            note(c, c->truths[i].segment->class, PQ_FALSE_NEGATIVE, 0);
    for (size_t i = 0; i < c->prediction_count; i++) {
        const struct region *prediction = &c->predictions[i];
        bool excused = 2 * prediction->excused > prediction->area;
        if (!prediction->matched && !excused && prediction->segment->class >= 0)
            note(c, prediction->segment->class, PQ_FALSE_POSITIVE, 0);
    }
}

static int compare(struct comparison *c, const struct pq_map *truth,
                   const struct pq_map *prediction, size_t pixels, struct cr_error *err)
{
    size_t most = truth->count + prediction->count + 1;
    c->truth_count = truth->count;
    c->prediction_count = prediction->count;
    if ((c->truths = sort_regions(truth, err)) == NULL ||
        (c->predictions = sort_regions(prediction, err)) == NULL)
        return CR_ERR_MEMORY;
    if ((c->outcomes = cr_calloc(most, sizeof(*c->outcomes))) == NULL)
        return cr_fail_memory(err, most * sizeof(*c->outcomes));
    int result = count_pixels(&c->table, truth->ids, prediction->ids, pixels, err);
    if (result == 0)
        result = measure_areas(c, prediction->unlisted_is_void, err);
    if (result < 0)
        return result;
    match(c);
    excuse_crowds(c);
    find_misses(c);
    return 0;
}

int pq_compare(struct pq_outcome **outcomes, size_t *count, const struct pq_map *truth,
               const struct pq_map *prediction, size_t pixels, struct cr_error *err)
{
    struct comparison c = {.count = 0};
    int result = compare(&c, truth, prediction, pixels, err);
    cr_free(c.table.pairs);
    cr_free(c.truths);
    cr_free(c.predictions);
    if (result < 0)
        cr_free(c.outcomes);
    *outcomes = result < 0 ? NULL : c.outcomes;
    *count = result < 0 ? 0 : c.count;
    return result;
}

/* ---- Qualities ---- */

void pq_add(struct pq_tally *tallies, const struct pq_outcome *outcomes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pq_tally *tally = &tallies[outcomes[i].class];
        tally->iou += outcomes[i].iou;
        tally->true_positives += outcomes[i].kind == PQ_TRUE_POSITIVE;
        tally->false_positives += outcomes[i].kind == PQ_FALSE_POSITIVE;
        tally->false_negatives += outcomes[i].kind == PQ_FALSE_NEGATIVE;
    }
}

bool pq_occurs(const struct pq_tally *tally)
{
    return tally->true_positives + tally->false_positives + tally->false_negatives > 0;
}

struct pq_quality pq_quality_of(const struct pq_tally *tally)
{
    double positives = (double)tally->true_positives;
    double all =
        positives + 0.5 * (double)tally->false_positives + 0.5 * (double)tally->false_negatives;
    if (tally->true_positives == 0)
        return (struct pq_quality){0, 0, 0};
    return (struct pq_quality){tally->iou / all, tally->iou / positives, positives / all};
}

void pq_mean_add(struct pq_mean *mean, const struct pq_tally *tally)
{
    if (!pq_occurs(tally))
        return;
    struct pq_quality quality = pq_quality_of(tally);
    mean->sum.pq += quality.pq;
    mean->sum.sq += quality.sq;
    mean->sum.rq += quality.rq;
    mean->classes++;
}

struct pq_quality pq_mean_of(const struct pq_mean *mean)
{
    double classes = mean->classes > 0 ? (double)mean->classes : NAN;
    return (struct pq_quality){mean->sum.pq / classes, mean->sum.sq / classes,
                               mean->sum.rq / classes};
}
