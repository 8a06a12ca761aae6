/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <crayon/memory.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a place costs, in heights of a label away from the centre. */
#define COST_OF_A_THING 2.6  /* the label covers nothing but another thing */
#define COST_OF_STUFF 0.5    /* ... nothing but other stuff */
#define COST_OF_HIDING 8.0   /* the label covers all of its own segment */
#define COST_OF_A_CENTRE 1.2 /* for each other segment whose centre it covers */
#define COST_OF_A_LEADER 1.5
#define FARTHEST 7.0 /* a label further from its segment helps nobody */

double layout_label_height(const struct overlay_style *style)
{
    return ceil(style->text * 1.42);
}

double layout_label_margin(const struct overlay_style *style)
{
    return style->text * 0.42;
}

/* Texts are ASCII and short: the longest name has 14 characters. */
static void name_label(struct label *label, const struct surveyed *segment)
{
    const struct cr_category *category = cr_coco_category(segment->label);
    const char *crowd = segment->crowd ? " (crowd)" : "";
    /* Stuff comes once as a rule: a number would only be noise. */
    bool numbered = segment->number > 0 && (segment->thing || !segment->alone);
    if (category == NULL && numbered)
        snprintf(label->text, sizeof(label->text), "#%d%s", segment->number, crowd);
    else if (numbered)
        snprintf(label->text, sizeof(label->text), "#%d %s%s", segment->number,
                 category->short_name, crowd);
    else
        snprintf(label->text, sizeof(label->text), "%s%s",
                 category != NULL ? category->short_name : "unknown", crowd);
}

int layout_labels(struct label **labels, size_t *count, const struct survey *survey,
                  double min_area, struct cr_error *err)
{
    *count = 0;
    *labels = cr_calloc(survey->count, sizeof(**labels));
    if (*labels == NULL)
        return cr_fail_memory(err, survey->count * sizeof(**labels));
    double least = min_area * survey->size.height * survey->size.width;
    for (size_t i = 0; i < survey->count; i++) {
        const struct surveyed *segment = &survey->segments[i];
        if (segment->area == 0 || (double)segment->area < least)
            continue;
        struct label *label = &(*labels)[(*count)++];
        label->index = (int32_t)i;
        name_label(label, segment);
    }
    return 0;
}

/* ---- Candidates ---- */

struct placing {
    const struct survey *survey;
    struct label *labels;
    size_t count;
    size_t *order;         /* labels in the order in which they choose */
    struct cr_rect *taken; /* the places of those that have one */
    size_t taken_count;
    double height, gap;  /* of a label; between labels */
    struct label *label; /* the one that chooses now */
    struct surveyed *segment;
    double best; /* cost of the best place so far */
    struct cr_rect rect;
    bool leader;
};

static bool touches(struct cr_rect a, struct cr_rect b, double gap)
{
    return a.x < b.x + b.width + gap && b.x < a.x + a.width + gap && a.y < b.y + b.height + gap &&
           b.y < a.y + a.height + gap;
}

static bool is_free(const struct placing *p, struct cr_rect rect)
{
    for (size_t i = 0; i < p->taken_count; i++)
        if (touches(rect, p->taken[i], p->gap))
            return false;
    return true;
}

static bool contains(struct cr_rect rect, double x, double y)
{
    return x >= rect.x && x <= rect.x + rect.width && y >= rect.y && y <= rect.y + rect.height;
}

/* What the label would hide: other things are worth more than stuff. Its own segment may be written
 * on if it is not hidden by that. */
static double cost_of_cover(const struct placing *p, struct cr_rect rect)
{
    enum {
        ROWS = 3,
        COLUMNS = 7
    };
    double cost = 0, own = 0;
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++) {
            double x = rect.x + rect.width * (column + 0.5) / COLUMNS;
            double y = rect.y + rect.height * (row + 0.5) / ROWS;
            int32_t index = survey_at(p->survey, x, y);
            if (index == p->label->index)
                own++;
            else if (index != SURVEY_NONE)
                cost += p->survey->segments[index].thing ? COST_OF_A_THING : COST_OF_STUFF;
        }
    /* The part of the segment that is hidden; samples may miss one that is smaller than the label.
     */
    double size = rect.width * rect.height, area = (double)p->segment->area;
    double hidden = own / (ROWS * COLUMNS) * size / area;
    double around = 1.5 * p->segment->radius + 1;
    struct cr_rect wide = {rect.x - around, rect.y - around, rect.width + 2 * around,
                           rect.height + 2 * around};
    if (area < size / 2 && contains(wide, p->segment->x, p->segment->y))
        hidden = 1;
    return cost / (ROWS * COLUMNS) + COST_OF_HIDING * fmin(hidden, 1);
}

static double cost_of_centres(const struct placing *p, struct cr_rect rect)
{
    double cost = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (&p->labels[i] == p->label)
            continue;
        const struct surveyed *other = &p->survey->segments[p->labels[i].index];
        if (contains(rect, other->x, other->y))
            cost += COST_OF_A_CENTRE;
    }
    return cost;
}

/* Consider the label with its middle at (x, y), moved into the picture; `cost` so far. */
static void consider(struct placing *p, double x, double y, double cost)
{
    double width = p->label->width, height = p->height;
    double right = p->survey->size.width - width - p->gap;
    double bottom = p->survey->size.height - height - p->gap;
    if (right < p->gap || bottom < p->gap || cost >= p->best)
        return;
    struct cr_rect rect = {floor(fmin(fmax(x - width / 2, p->gap), right)),
                           floor(fmin(fmax(y - height / 2, p->gap), bottom)), width, height};
    double dx = rect.x + width / 2 - x, dy = rect.y + height / 2 - y;
    cost += sqrt(dx * dx + dy * dy) / height * 0.5;
    bool on_segment =
        survey_at(p->survey, rect.x + width / 2, rect.y + height / 2) == p->label->index;
    cost += on_segment ? 0 : COST_OF_A_LEADER;
    if (cost >= p->best || !is_free(p, rect))
        return;
    cost += cost_of_cover(p, rect);
    if (cost < p->best)
        cost += cost_of_centres(p, rect);
    if (cost >= p->best)
        return;
    p->best = cost;
    p->rect = rect;
    p->leader = !on_segment;
}

/* Places around the centre, up to FARTHEST labels' heights away, the near ones first. */
static void consider_around(struct placing *p)
{
    enum {
        DIRECTIONS = 24
    };
    consider(p, p->segment->x, p->segment->y, 0);
    double wide = 1 + 0.4 * p->label->width / p->height;
    for (double away = 0.5; away <= FARTHEST; away += 0.5)
        for (int i = 0; i < DIRECTIONS; i++) {
            double angle = 6.28318530717958647692 * i / DIRECTIONS;
            /* Labels are wide: a step to the side is longer than one up or down. */
            double x = p->segment->x + away * p->height * wide * 0.5 * cos(angle);
            double y = p->segment->y + away * p->height * sin(angle);
            consider(p, x, y, away);
        }
}

/* Places elsewhere in a large segment: as good as its centre if the segment is thick there. */
static void consider_inside(struct placing *p)
{
    const struct survey *survey = p->survey;
    double scale_x = (double)survey->size.width / survey->reduced.width;
    double scale_y = (double)survey->size.height / survey->reduced.height;
    int32_t step_x = (int32_t)fmax(2, p->label->width / scale_x / 3);
    int32_t step_y = (int32_t)fmax(2, p->height / scale_y / 2);
    for (int32_t y = step_y / 2; y < survey->reduced.height; y += step_y)
        for (int32_t x = step_x / 2; x < survey->reduced.width; x += step_x) {
            size_t at = (size_t)y * (size_t)survey->reduced.width + (size_t)x;
            if (survey->map[at] != p->label->index)
                continue;
            double depth = survey->distance[at] / 3.0 * fmin(scale_x, scale_y);
            if (depth < p->height * 0.4)
                continue;
            double dx = (x + 0.5) * scale_x - p->segment->x;
            double dy = (y + 0.5) * scale_y - p->segment->y;
            double away = sqrt(dx * dx + dy * dy) / p->height;
            consider(p, (x + 0.5) * scale_x, (y + 0.5) * scale_y, 0.3 + fmin(0.22 * away, 6));
        }
}

static void place_label(struct placing *p, size_t index)
{
    p->label = &p->labels[index];
    p->segment = &p->survey->segments[p->label->index];
    p->best = 1e300;
    consider_around(p);
    if (p->segment->radius > p->height)
        consider_inside(p);
    p->label->placed = p->best < 1e300;
    p->label->rect = p->rect;
    p->label->leader = p->leader;
    if (p->label->placed)
        p->taken[p->taken_count++] = p->rect;
}

/* ---- The order of choice ---- */

struct turn {
    size_t index;
    double room; /* how many places inside its segment a label has, about */
};

/* Who has the least room chooses first; large segments have room elsewhere. */
static int by_room(const void *a, const void *b)
{
    const struct turn *left = a, *right = b;
    if (left->room != right->room)
        return left->room < right->room ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static void order_labels(struct placing *p, struct turn *turns)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct surveyed *segment = &p->survey->segments[p->labels[i].index];
        double room = (double)segment->area / (p->labels[i].width * p->height);
        /* A speck chooses after those who can show their label on themselves. */
        if (segment->radius < p->height * 0.3)
            room += 1e6;
        turns[i] = (struct turn){i, room};
    }
    qsort(turns, p->count, sizeof(*turns), by_room);
    for (size_t i = 0; i < p->count; i++)
        p->order[i] = turns[i].index;
}

int layout_place(struct label *labels, size_t count, const struct survey *survey,
                 const struct overlay_style *style, struct cr_error *err)
{
    struct turn *turns = cr_calloc(count, sizeof(*turns));
    size_t *order = cr_calloc(count, sizeof(*order));
    struct cr_rect *taken = cr_calloc(count, sizeof(*taken));
    int result = 0;
    if (turns == NULL || order == NULL || taken == NULL) {
        result = cr_fail_memory(err, count * sizeof(*taken));
    } else {
        struct placing placing = {.survey = survey,
                                  .labels = labels,
                                  .count = count,
                                  .order = order,
                                  .taken = taken,
                                  .height = layout_label_height(style),
                                  .gap = fmax(1, style->text * 0.12)};
        order_labels(&placing, turns);
        for (size_t i = 0; i < count; i++)
            place_label(&placing, order[i]);
    }
    cr_free(turns);
    cr_free(order);
    cr_free(taken);
    return result;
}
