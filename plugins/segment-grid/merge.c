/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>
#include <math.h>
#include <stdlib.h>

#include "regions.h"

/* Regions that are still there, at their own positions; others point to what took them in. */
struct region {
    int32_t into;  /* itself, or the region that it became part of */
    int32_t first; /* its first pixel */
    double pixels;
    double around;  /* pairs of pixels across all its borders */
    double l, a, b; /* sums */
};

/* Two regions that touch. */
struct border {
    int32_t a, b;
    double length; /* pairs of pixels across it */
    double step;   /* sum of the differences across it */
    double difference, cost;
};

struct graph {
    const struct lab *lab;
    struct region *regions;
    struct border *borders;
    int32_t region_count, border_count;
    /* For each region, where a border of the region that is being merged leads: its position + 1.
     */
    int32_t *met;
    /* Finds a border by its two regions while the graph is built; open addressing. */
    int32_t *table;
    uint32_t mask;
};

static double difference(const struct lab *lab, int32_t i, int32_t j)
{
    double l = lab->l[i] - lab->l[j], a = lab->a[i] - lab->a[j], b = lab->b[i] - lab->b[j];
    return sqrt(l * l + a * a + b * b);
}

static void add_border(struct graph *graph, int32_t a, int32_t b, double step)
{
    graph->regions[a].around++;
    graph->regions[b].around++;
    if (a > b) {
        int32_t swap = a;
        a = b;
        b = swap;
    }
    uint32_t at = ((uint32_t)a * 0x9e3779b1u ^ (uint32_t)b * 0x85ebca77u) & graph->mask;
    while (graph->table[at] != 0) {
        struct border *known = &graph->borders[graph->table[at] - 1];
        if (known->a == a && known->b == b) {
            known->length++;
            known->step += step;
            return;
        }
        at = (at + 1) & graph->mask;
    }
    graph->borders[graph->border_count++] = (struct border){a, b, 1, step, 0, 0};
    graph->table[at] = graph->border_count;
}

static void gather(struct graph *graph, const int32_t *labels)
{
    const struct lab *lab = graph->lab;
    int32_t pixels = lab->height * lab->width;
    for (int32_t i = 0; i < pixels; i++) {
        struct region *region = &graph->regions[labels[i]];
        if (region->pixels == 0) {
            region->into = labels[i];
            region->first = i;
        }
        region->pixels++;
        region->l += lab->l[i];
        region->a += lab->a[i];
        region->b += lab->b[i];
        if ((i + 1) % lab->width != 0 && labels[i + 1] != labels[i])
            add_border(graph, labels[i], labels[i + 1], difference(lab, i, i + 1));
        if (i + lab->width < pixels && labels[i + lab->width] != labels[i])
            add_border(graph, labels[i], labels[i + lab->width],
                       difference(lab, i, i + lab->width));
    }
}

static void graph_finish(struct graph *graph)
{
    cr_free(graph->regions);
    cr_free(graph->borders);
    cr_free(graph->met);
    cr_free(graph->table);
}

/* Regions in a plane that touch by sides: `n` of them have at most 3 n borders (Euler). */
static int graph_create(struct graph *graph, const struct lab *lab, const int32_t *labels,
                        int32_t count, struct cr_error *err)
{
    size_t regions = (size_t)count, slots = 16;
    while (slots < 8 * regions)
        slots *= 2;
    *graph = (struct graph){.lab = lab,
                            .regions = cr_calloc(regions, sizeof(struct region)),
                            .borders = cr_calloc(3 * regions, sizeof(struct border)),
                            .met = cr_calloc(regions, sizeof(int32_t)),
                            .table = cr_calloc(slots, sizeof(int32_t)),
                            .region_count = count,
                            .mask = (uint32_t)slots - 1};
    if (graph->regions == NULL || graph->borders == NULL || graph->met == NULL ||
        graph->table == NULL) {
        graph_finish(graph);
        return cr_fail_memory(err, regions * (sizeof(struct region) + 3 * sizeof(struct border)));
    }
    gather(graph, labels);
    return 0;
}

/* Near 0 for a region that is nothing but rim, such as the strip of mixed colours that a soft edge
 * leaves between two others, 1 for one that is four pixels thick or more. */
static double substance(const struct region *region)
{
    return region->around > 0 ? fmin(fmax(region->pixels / region->around - 1, 0.01), 1) : 1;
}

/* How different two neighbours are: their mean colours, and the step where they meet. A sky that
 * darkens upwards has different means, but no step. What joining them costs: the same, but small
 * regions are given up before large ones. */
static void judge(const struct graph *graph, struct border *border)
{
    const struct region *p = &graph->regions[border->a], *q = &graph->regions[border->b];
    double l = p->l / p->pixels - q->l / q->pixels;
    double a = p->a / p->pixels - q->a / q->pixels;
    double b = p->b / p->pixels - q->b / q->pixels;
    double smaller = p->pixels < q->pixels ? p->pixels : q->pixels;
    border->difference = 0.5 * sqrt(l * l + a * a + b * b) + 0.5 * border->step / border->length;
    border->difference *= fmin(substance(p), substance(q));
    border->cost = border->difference * sqrt(sqrt(smaller));
}

/* Put the borders of region `from` to region `to`, which takes it in; two borders to the same
 * third region become one. */
static void move_borders(struct graph *graph, int32_t from, int32_t to)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < graph->border_count; i++) {
        struct border border = graph->borders[i];
        border.a = border.a == from ? to : border.a;
        border.b = border.b == from ? to : border.b;
        if (border.a == border.b)
            continue;
        int32_t third = border.a == to ? border.b : border.b == to ? border.a : -1;
        if (third >= 0 && graph->met[third] > 0) {
            graph->borders[graph->met[third] - 1].length += border.length;
            graph->borders[graph->met[third] - 1].step += border.step;
            continue;
        }
        graph->borders[kept++] = border;
        if (third >= 0)
            graph->met[third] = kept;
    }
    graph->border_count = kept;
    for (int32_t i = 0; i < kept; i++) {
        struct border *border = &graph->borders[i];
        graph->met[border->a] = graph->met[border->b] = 0;
        if (border->a == to || border->b == to)
            judge(graph, border);
    }
}

static void join(struct graph *graph, struct border border)
{
    int32_t from = border.a > border.b ? border.a : border.b, to = border.a + border.b - from;
    struct region *p = &graph->regions[to], *q = &graph->regions[from];
    p->pixels += q->pixels;
    p->l += q->l;
    p->a += q->a;
    p->b += q->b;
    p->around += q->around - 2 * border.length;
    q->into = to;
    graph->region_count--;
    move_borders(graph, from, to);
}

/* The border that has to go next, or -1. */
static int32_t choose_border(const struct graph *graph, const struct regions_options *options)
{
    int32_t nearest = -1, cheapest = -1;
    for (int32_t i = 0; i < graph->border_count; i++) {
        const struct border *border = &graph->borders[i];
        if (nearest < 0 || border->difference < graph->borders[nearest].difference)
            nearest = i;
        if (cheapest < 0 || border->cost < graph->borders[cheapest].cost)
            cheapest = i;
    }
    if (nearest >= 0 && graph->borders[nearest].difference < options->min_difference)
        return nearest;
    return graph->region_count > options->most ? cheapest : -1;
}

static void merge_all(struct graph *graph, const struct regions_options *options)
{
    for (int32_t i = 0; i < graph->border_count; i++)
        judge(graph, &graph->borders[i]);
    int32_t i;
    while ((i = choose_border(graph, options)) >= 0)
        join(graph, graph->borders[i]);
}

/* ---- The final numbers ---- */

struct rank {
    int32_t region, first;
    double pixels;
};

static int by_size(const void *a, const void *b)
{
    const struct rank *left = a, *right = b;
    if (left->pixels != right->pixels)
        return left->pixels > right->pixels ? -1 : 1;
    return (left->first > right->first) - (left->first < right->first);
}

static int32_t owner(const struct graph *graph, int32_t region)
{
    while (graph->regions[region].into != region)
        region = graph->regions[region].into;
    return region;
}

static int number_regions(struct graph *graph, int32_t before, int32_t *labels,
                          struct cr_error *err)
{
    struct rank *ranks = cr_calloc((size_t)graph->region_count, sizeof(*ranks));
    if (ranks == NULL)
        return cr_fail_memory(err, (size_t)graph->region_count * sizeof(*ranks));
    int32_t count = 0;
    for (int32_t i = 0; i < before; i++)
        if (graph->regions[i].into == i)
            ranks[count++] = (struct rank){i, graph->regions[i].first, graph->regions[i].pixels};
    qsort(ranks, (size_t)count, sizeof(*ranks), by_size);
    /* `met` is free now. */
    for (int32_t i = 0; i < count; i++)
        graph->met[ranks[i].region] = i;
    int32_t pixels = graph->lab->height * graph->lab->width;
    for (int32_t i = 0; i < pixels; i++)
        labels[i] = graph->met[owner(graph, labels[i])];
    cr_free(ranks);
    return 0;
}

int regions_merge(const struct lab *lab, const struct regions_options *options, int32_t *labels,
                  int32_t *count, struct cr_error *err)
{
    struct graph graph;
    int result = graph_create(&graph, lab, labels, *count, err);
    if (result < 0)
        return result;
    merge_all(&graph, options);
    result = number_regions(&graph, *count, labels, err);
    *count = graph.region_count;
    graph_finish(&graph);
    return result;
}

int regions_find(const struct cr_image *image, const struct regions_options *options,
                 int32_t *labels, int32_t *count, struct cr_error *err)
{
    struct lab lab;
    int result = lab_create(&lab, image, err);
    if (result < 0)
        return result;
    int32_t pixels = lab.height * lab.width;
    /* Merging takes time with the square of the regions, so that even without a least area there
     * are a few thousand at most. */
    double least = ceil(fmax(options->min_area * pixels, pixels / 4096.0));
    result = lab_smooth(&lab, err);
    if (result == 0)
        result = regions_split(&lab, (int32_t)least, labels, count, err);
    if (result == 0)
        result = regions_merge(&lab, options, labels, count, err);
    lab_finish(&lab);
    return result;
}
