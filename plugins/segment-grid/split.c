/* SPDX-License-Identifier: MIT */
/* The graph-based segmentation of Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image
 * Segmentation" (2004), written from the formula in the paper. Pixels are nodes, neighbours are
 * joined by an edge whose weight is the difference of their colours. Edges are taken from the
 * lightest to the heaviest; one joins its two components C1 and C2 if its weight is at most
 *
 *     min(Int(C1) + k / |C1|, Int(C2) + k / |C2|)
 *
 * where Int(C) is the heaviest edge that was used to build C. Here neighbours are four, so that
 * regions hang together by sides of pixels and not by corners. */
#include <crayon/memory.h>
#include <math.h>

#include "regions.h"

/* Weights are counted in 64ths of a Lab unit, which sorts them in linear time, and capped: nothing
 * is joined at such a step. */
#define WEIGHT_STEPS 64
#define HEAVIEST 8191
/* k: how eager small components are to grow. Small on purpose, since similar regions are joined
 * later by better reasons. */
#define EAGERNESS (30 * WEIGHT_STEPS)

struct forest {
    int32_t *parent;
    int32_t *size;
    float *limit; /* Int(C) + k / |C|, at roots */
};

static int32_t find_root(const struct forest *forest, int32_t node)
{
    int32_t *parent = forest->parent;
    while (parent[node] != node) {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    return node;
}

static void join(struct forest *forest, int32_t a, int32_t b, int32_t weight)
{
    if (forest->size[a] < forest->size[b]) {
        int32_t swap = a;
        a = b;
        b = swap;
    }
    forest->parent[b] = a;
    forest->size[a] += forest->size[b];
    forest->limit[a] = (float)weight + (float)EAGERNESS / (float)forest->size[a];
}

/* Edge 2 i leads from pixel i to the right, 2 i + 1 downwards. */
static int32_t edge_weight(const struct lab *lab, int32_t edge)
{
    int32_t i = edge / 2, j = edge % 2 == 0 ? i + 1 : i + lab->width;
    float l = lab->l[i] - lab->l[j], a = lab->a[i] - lab->a[j], b = lab->b[i] - lab->b[j];
    float weight = sqrtf(l * l + a * a + b * b) * WEIGHT_STEPS;
    return weight < HEAVIEST ? (int32_t)weight : HEAVIEST;
}

static bool edge_exists(const struct lab *lab, int32_t edge)
{
    int32_t i = edge / 2;
    return edge % 2 == 0 ? (i + 1) % lab->width != 0 : i / lab->width + 1 < lab->height;
}

/* All edges, the lightest first, in the order of their numbers where weights are equal. */
static int32_t sort_edges(const struct lab *lab, int32_t *edges)
{
    int32_t start[HEAVIEST + 2] = {0}, all = 2 * lab->height * lab->width;
    for (int32_t edge = 0; edge < all; edge++)
        if (edge_exists(lab, edge))
            start[edge_weight(lab, edge) + 1]++;
    for (int32_t weight = 0; weight <= HEAVIEST; weight++)
        start[weight + 1] += start[weight];
    for (int32_t edge = 0; edge < all; edge++)
        if (edge_exists(lab, edge))
            edges[start[edge_weight(lab, edge)]++] = edge;
    return start[HEAVIEST];
}

static void grow(struct forest *forest, const struct lab *lab, const int32_t *edges, int32_t count,
                 int32_t min_pixels)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t weight = edge_weight(lab, edges[i]);
        int32_t from = edges[i] / 2, to = edges[i] % 2 == 0 ? from + 1 : from + lab->width;
        int32_t a = find_root(forest, from), b = find_root(forest, to);
        if (a != b && (float)weight <= forest->limit[a] && (float)weight <= forest->limit[b])
            join(forest, a, b, weight);
    }
    /* What stayed too small goes to the neighbour that is most like it. */
    for (int32_t i = 0; i < count; i++) {
        int32_t from = edges[i] / 2, to = edges[i] % 2 == 0 ? from + 1 : from + lab->width;
        int32_t a = find_root(forest, from), b = find_root(forest, to);
        if (a != b && (forest->size[a] < min_pixels || forest->size[b] < min_pixels))
            join(forest, a, b, 0);
    }
}

/* Number the roots in the order of their first pixels; the sizes are not needed any more. */
static int32_t number_roots(struct forest *forest, int32_t pixels, int32_t *labels)
{
    int32_t count = 0;
    for (int32_t i = 0; i < pixels; i++)
        forest->size[i] = -1;
    for (int32_t i = 0; i < pixels; i++) {
        int32_t root = find_root(forest, i);
        if (forest->size[root] < 0)
            forest->size[root] = count++;
        labels[i] = forest->size[root];
    }
    return count;
}

int regions_split(const struct lab *lab, int32_t min_pixels, int32_t *labels, int32_t *count,
                  struct cr_error *err)
{
    int32_t pixels = lab->height * lab->width;
    struct forest forest = {.parent = cr_calloc((size_t)pixels, sizeof(int32_t)),
                            .size = cr_calloc((size_t)pixels, sizeof(int32_t)),
                            .limit = cr_calloc((size_t)pixels, sizeof(float))};
    int32_t *edges = cr_calloc((size_t)pixels, 2 * sizeof(int32_t));
    int result = 0;
    if (forest.parent == NULL || forest.size == NULL || forest.limit == NULL || edges == NULL)
        result = cr_fail_memory(err, (size_t)pixels * 5 * sizeof(int32_t));
    if (result == 0) {
        for (int32_t i = 0; i < pixels; i++) {
            forest.parent[i] = i;
            forest.size[i] = 1;
            forest.limit[i] = EAGERNESS;
        }
        grow(&forest, lab, edges, sort_edges(lab, edges), min_pixels);
        *count = number_roots(&forest, pixels, labels);
    }
    cr_free(edges);
    cr_free(forest.limit);
    cr_free(forest.size);
    cr_free(forest.parent);
    return result;
}
