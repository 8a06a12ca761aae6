/* SPDX-License-Identifier: MIT */
#include "survey.h"

#include <crayon/memory.h>
#include <stdlib.h>
#include <string.h>

#include "palette.h"

/* Longer sides are reduced to this for finding centres and judging places, so that both take the
 * same time for every picture. */
#define REDUCED_SIDE 640

static int by_id(const void *a, const void *b)
{
    const struct survey_key *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static int32_t find(const struct survey *survey, int32_t id)
{
    size_t low = 0, high = survey->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (survey->keys[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < survey->count && survey->keys[low].id == id ? survey->keys[low].index
                                                             : SURVEY_NONE;
}

/* Neighbours mostly have the same id: the last answer is kept. */
struct finder {
    const struct survey *survey;
    int32_t id, index;
};

static inline int32_t finder_index(struct finder *finder, int32_t id)
{
    if (id != finder->id) {
        finder->id = id;
        finder->index = id > 0 ? find(finder->survey, id) : SURVEY_NONE;
    }
    return finder->index;
}

void survey_row(const struct survey *survey, int32_t y, int32_t *indices)
{
    const int32_t *ids = cr_panoptic_ids(survey->panoptic) + (size_t)y * (size_t)survey->size.width;
    struct finder finder = {survey, 0, SURVEY_NONE};
    for (int32_t x = 0; x < survey->size.width; x++)
        indices[x] = finder_index(&finder, ids[x]);
}

int32_t survey_at(const struct survey *survey, double x, double y)
{
    if (!(x >= 0 && y >= 0 && x < survey->size.width && y < survey->size.height))
        return SURVEY_NONE;
    int32_t column = (int32_t)(x * survey->reduced.width / survey->size.width);
    int32_t row = (int32_t)(y * survey->reduced.height / survey->size.height);
    return survey->map[(size_t)row * (size_t)survey->reduced.width + (size_t)column];
}

static int list_segments(struct survey *survey, struct cr_error *err)
{
    const struct cr_panoptic *panoptic = survey->panoptic;
    survey->count = cr_panoptic_count(panoptic);
    survey->segments = cr_calloc(survey->count, sizeof(*survey->segments));
    survey->keys = cr_calloc(survey->count, sizeof(*survey->keys));
    if (survey->segments == NULL || survey->keys == NULL)
        return cr_fail_memory(err, survey->count * sizeof(*survey->segments));
    for (size_t i = 0; i < survey->count; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(panoptic, i);
        const struct cr_category *category = cr_coco_category(segment->label);
        survey->segments[i].label = segment->label;
        survey->segments[i].crowd = segment->crowd;
        survey->segments[i].thing = category != NULL && category->thing;
        survey->keys[i] = (struct survey_key){segment->id, (int32_t)i};
    }
    qsort(survey->keys, survey->count, sizeof(*survey->keys), by_id);
    return 0;
}

/* Areas, and the longest run of each segment. */
static void measure_row(struct survey *survey, const int32_t *row, int32_t y)
{
    int32_t width = survey->size.width;
    for (int32_t start = 0, x = 1; x <= width; x++) {
        if (x < width && row[x] == row[start])
            continue;
        if (row[start] != SURVEY_NONE) {
            struct surveyed *s = &survey->segments[row[start]];
            s->area += x - start;
            if (x - start > s->run) {
                s->run = x - start;
                s->run_x = start + (x - start) / 2;
                s->run_y = y;
            }
        }
        start = x;
    }
}

static int measure(struct survey *survey, struct cr_error *err)
{
    size_t bytes = (size_t)survey->size.width * sizeof(int32_t);
    int32_t *row = cr_malloc(bytes);
    if (row == NULL)
        return cr_fail_memory(err, bytes);
    for (int32_t y = 0; y < survey->size.height; y++) {
        survey_row(survey, y, row);
        measure_row(survey, row, y);
    }
    cr_free(row);
    return 0;
}

/* ---- Numbers ---- */

/* Which segments have a cell when the map is reduced to `grid` by nearest neighbour? */
static int mark_grid(const struct survey *survey, const struct cr_panoptic *original,
                     struct cr_size grid, bool *seen, struct cr_error *err)
{
    size_t count = (size_t)grid.height + (size_t)grid.width;
    int32_t *rows = cr_calloc(count, sizeof(*rows));
    if (rows == NULL)
        return cr_fail_memory(err, count * sizeof(*rows));
    int32_t *columns = rows + grid.height;
    struct cr_size size = cr_panoptic_size(original);
    cr_nearest_indices(size.height, grid.height, rows);
    cr_nearest_indices(size.width, grid.width, columns);
    const int32_t *ids = cr_panoptic_ids(original);
    struct finder finder = {survey, 0, SURVEY_NONE};
    for (int32_t y = 0; y < grid.height; y++)
        for (int32_t x = 0; x < grid.width; x++) {
            size_t at = (size_t)rows[y] * (size_t)size.width + (size_t)columns[x];
            int32_t index = finder_index(&finder, ids[at]);
            if (index != SURVEY_NONE)
                seen[index] = true;
        }
    cr_free(rows);
    return 0;
}

static void count_classes(struct survey *survey, const bool *seen)
{
    int32_t numbers[CR_COCO_LABELS + 1] = {0}, present[CR_COCO_LABELS + 1] = {0};
    for (size_t i = 0; i < survey->count; i++) {
        struct surveyed *s = &survey->segments[i];
        int32_t nth = present[s->label + 1];
        if (s->area > 0)
            present[s->label + 1]++;
        if (s->area > 0 && seen[i])
            s->number = ++numbers[s->label + 1];
        palette_color(s->label, nth, s->color);
    }
    for (size_t i = 0; i < survey->count; i++)
        survey->segments[i].alone = present[survey->segments[i].label + 1] == 1;
}

static int number_segments(struct survey *survey, const struct cr_panoptic *original,
                           struct cr_size grid, struct cr_error *err)
{
    bool *seen = cr_calloc(survey->count, sizeof(*seen));
    if (seen == NULL)
        return cr_fail_memory(err, survey->count);
    int result = 0;
    if (grid.height == 0 || grid.width == 0)
        memset(seen, true, survey->count * sizeof(*seen));
    else
        result = mark_grid(survey, original, grid, seen, err);
    if (result == 0)
        count_classes(survey, seen);
    cr_free(seen);
    return result;
}

/* ---- Ranks ---- */

struct standing {
    int32_t index;
    bool thing;
    int64_t area;
};

/* Lower rank first. */
static int by_standing(const void *a, const void *b)
{
    const struct standing *left = a, *right = b;
    if (left->thing != right->thing)
        return left->thing ? 1 : -1;
    if (left->area != right->area)
        return left->area > right->area ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static int rank_segments(struct survey *survey, struct cr_error *err)
{
    struct standing *standings = cr_calloc(survey->count, sizeof(*standings));
    if (standings == NULL)
        return cr_fail_memory(err, survey->count * sizeof(*standings));
    for (size_t i = 0; i < survey->count; i++)
        standings[i] =
            (struct standing){(int32_t)i, survey->segments[i].thing, survey->segments[i].area};
    qsort(standings, survey->count, sizeof(*standings), by_standing);
    for (size_t i = 0; i < survey->count; i++)
        survey->segments[standings[i].index].rank = (int32_t)i;
    cr_free(standings);
    return 0;
}

/* ---- Visual centres ---- */

static int reduce(struct survey *survey, struct cr_error *err)
{
    struct cr_size full = survey->size;
    int32_t longest = full.height > full.width ? full.height : full.width;
    double factor = longest > REDUCED_SIDE ? (double)REDUCED_SIDE / longest : 1;
    struct cr_size small = {(int32_t)(full.height * factor), (int32_t)(full.width * factor)};
    small.height += small.height == 0;
    small.width += small.width == 0;
    survey->reduced = small;
    size_t cells = (size_t)small.height * (size_t)small.width;
    survey->map = cr_calloc(cells, sizeof(*survey->map));
    survey->distance = cr_calloc(cells, sizeof(*survey->distance));
    if (survey->map == NULL || survey->distance == NULL)
        return cr_fail_memory(err, cells * sizeof(*survey->map));
    const int32_t *ids = cr_panoptic_ids(survey->panoptic);
    struct finder finder = {survey, 0, SURVEY_NONE};
    int32_t *cell = survey->map;
    for (int32_t y = 0; y < small.height; y++)
        for (int32_t x = 0; x < small.width; x++) {
            int64_t row = (2 * (int64_t)y + 1) * full.height / (2 * (int64_t)small.height);
            int64_t column = (2 * (int64_t)x + 1) * full.width / (2 * (int64_t)small.width);
            *cell++ = finder_index(&finder, ids[row * full.width + column]);
        }
    return 0;
}

/* A step from a cell to its neighbour at (dy, dx) costs 3, or 4 across a corner: Borgefors'
 * chamfer distance (1986), within 8 % of the Euclidean one. What is not the same segment, and the
 * world outside, is where distances start. */
static void relax(struct survey *survey, int32_t y, int32_t x, int32_t dy, int32_t dx)
{
    int32_t width = survey->reduced.width;
    size_t here = (size_t)y * (size_t)width + (size_t)x;
    int32_t cost = dy != 0 && dx != 0 ? 4 : 3, reach = cost;
    int32_t row = y + dy, column = x + dx;
    if (row >= 0 && row < survey->reduced.height && column >= 0 && column < width) {
        size_t there = (size_t)row * (size_t)width + (size_t)column;
        if (survey->map[there] == survey->map[here])
            reach = survey->distance[there] + cost;
    }
    if (reach < survey->distance[here])
        survey->distance[here] = reach;
}

static void measure_distances(struct survey *survey)
{
    static const int32_t before[4][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}};
    int32_t height = survey->reduced.height, width = survey->reduced.width;
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++)
        survey->distance[i] = INT32_MAX / 2;
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++)
            for (int i = 0; i < 4; i++)
                relax(survey, y, x, before[i][0], before[i][1]);
    for (int32_t y = height; y-- > 0;)
        for (int32_t x = width; x-- > 0;)
            for (int i = 0; i < 4; i++)
                relax(survey, y, x, -before[i][0], -before[i][1]);
}

/* What is collected about one segment on the way to its centre. */
struct centre {
    int64_t cells;
    double sum_x, sum_y;
    int32_t deepest;
    double nearest; /* to the mean, squared */
    int32_t x, y, depth;
};

/* The visual centre is where a segment is thick; of the places that are nearly as thick as the
 * thickest, the one nearest to its mean. */
static void choose_centres(const struct survey *survey, struct centre *centres)
{
    int32_t width = survey->reduced.width;
    for (size_t i = 0; i < survey->count; i++)
        centres[i].nearest = 1e300;
    for (int32_t y = 0; y < survey->reduced.height; y++)
        for (int32_t x = 0; x < width; x++) {
            size_t at = (size_t)y * (size_t)width + (size_t)x;
            if (survey->map[at] == SURVEY_NONE)
                continue;
            struct centre *c = &centres[survey->map[at]];
            if ((int64_t)survey->distance[at] * 10 < (int64_t)c->deepest * 9)
                continue;
            double dx = x - c->sum_x / (double)c->cells, dy = y - c->sum_y / (double)c->cells;
            double away = dx * dx + dy * dy;
            if (away < c->nearest) {
                c->nearest = away;
                c->x = x;
                c->y = y;
                c->depth = survey->distance[at];
            }
        }
}

static void gather_centres(const struct survey *survey, struct centre *centres)
{
    int32_t width = survey->reduced.width;
    for (int32_t y = 0; y < survey->reduced.height; y++)
        for (int32_t x = 0; x < width; x++) {
            size_t at = (size_t)y * (size_t)width + (size_t)x;
            if (survey->map[at] == SURVEY_NONE)
                continue;
            struct centre *c = &centres[survey->map[at]];
            c->cells++;
            c->sum_x += x;
            c->sum_y += y;
            if (survey->distance[at] > c->deepest)
                c->deepest = survey->distance[at];
        }
}

static int find_centres(struct survey *survey, struct cr_error *err)
{
    struct centre *centres = cr_calloc(survey->count, sizeof(*centres));
    if (centres == NULL)
        return cr_fail_memory(err, survey->count * sizeof(*centres));
    measure_distances(survey);
    gather_centres(survey, centres);
    choose_centres(survey, centres);
    double scale_x = (double)survey->size.width / survey->reduced.width;
    double scale_y = (double)survey->size.height / survey->reduced.height;
    double scale = scale_x < scale_y ? scale_x : scale_y;
    for (size_t i = 0; i < survey->count; i++) {
        struct surveyed *s = &survey->segments[i];
        const struct centre *c = &centres[i];
        s->x = c->cells > 0 ? (c->x + 0.5) * scale_x : s->run_x + 0.5;
        s->y = c->cells > 0 ? (c->y + 0.5) * scale_y : s->run_y + 0.5;
        s->radius = c->cells > 0 ? (c->depth / 3.0 - 0.5) * scale : 0.5;
    }
    cr_free(centres);
    return 0;
}

int survey_create(struct survey *survey, const struct cr_panoptic *panoptic,
                  const struct cr_panoptic *original, struct cr_size grid, struct cr_error *err)
{
    *survey = (struct survey){.size = cr_panoptic_size(panoptic), .panoptic = panoptic};
    int result = list_segments(survey, err);
    if (result == 0)
        result = measure(survey, err);
    if (result == 0)
        result = number_segments(survey, original, grid, err);
    if (result == 0)
        result = rank_segments(survey, err);
    if (result == 0)
        result = reduce(survey, err);
    if (result == 0)
        result = find_centres(survey, err);
    if (result < 0)
        survey_finish(survey);
    return result;
}

void survey_finish(struct survey *survey)
{
    cr_free(survey->segments);
    cr_free(survey->keys);
    cr_free(survey->map);
    cr_free(survey->distance);
    *survey = (struct survey){0};
}
