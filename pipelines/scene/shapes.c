/* SPDX-License-Identifier: MIT */
#include "shapes.h"

#include <crayon/memory.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TURN 6.28318530717958647692

void *must_allocate(void *memory, size_t count, size_t bytes)
{
    void *grown = cr_realloc_array(memory, count, bytes);
    if (grown == NULL) {
        fprintf(stderr, "draw: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return grown;
}

uint32_t dice_bits(struct dice *dice)
{
    /* SplitMix64 (Steele, Lea, Flood 2014). */
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

double dice_unit(struct dice *dice)
{
    return dice_bits(dice) / 4294967296.0;
}

double dice_range(struct dice *dice, double low, double high)
{
    return low + (high - low) * dice_unit(dice);
}

void outline_init(struct outline *outline)
{
    *outline = (struct outline){.scale_x = 1, .scale_y = 1};
}

void outline_finish(struct outline *outline)
{
    cr_free(outline->points);
    cr_free(outline->end);
    outline_init(outline);
}

void outline_clear(struct outline *outline)
{
    outline->count = 0;
    outline->contours = 0;
}

void outline_place(struct outline *outline, double x, double y, double scale_x, double scale_y,
                   double angle)
{
    outline->scale_x = scale_x;
    outline->scale_y = scale_y;
    outline->angle = angle;
    outline->move_x = x;
    outline->move_y = y;
}

/* Positions are multiples of 1/256, as in cairo: rounding errors of sine and cosine, which differ
 * between machines, vanish there. */
static double snap(double value)
{
    return floor(value * 256 + 0.5) / 256;
}

static void add(struct outline *outline, double x, double y)
{
    if (outline->count == outline->capacity) {
        outline->capacity = 2 * outline->capacity + 64;
        outline->points =
            must_allocate(outline->points, outline->capacity, sizeof *outline->points);
    }
    x *= outline->scale_x;
    y *= outline->scale_y;
    double c = cos(outline->angle), s = sin(outline->angle);
    outline->points[outline->count++] = (struct point){snap(c * x - s * y + outline->move_x),
                                                       snap(s * x + c * y + outline->move_y)};
}

static double doubled_area(const struct point *points, size_t count)
{
    double area = 0;
    for (size_t i = 0; i < count; i++) {
        struct point a = points[i], b = points[(i + 1) % count];
        area += a.x * b.y - a.y * b.x;
    }
    return area;
}

/* All contours turn the same way, so that overlapping parts unite; a hole turns the other way. */
static void close_contour(struct outline *outline, bool hole)
{
    size_t start = outline->contours == 0 ? 0 : outline->end[outline->contours - 1];
    struct point *points = outline->points + start;
    size_t count = outline->count - start;
    if ((doubled_area(points, count) < 0) != hole)
        for (size_t i = 0; i < count / 2; i++) {
            struct point swap = points[i];
            points[i] = points[count - 1 - i];
            points[count - 1 - i] = swap;
        }
    if (outline->contours == outline->contour_capacity) {
        outline->contour_capacity = 2 * outline->contour_capacity + 16;
        outline->end = must_allocate(outline->end, outline->contour_capacity, sizeof *outline->end);
    }
    outline->end[outline->contours++] = outline->count;
}

void outline_polygon(struct outline *outline, const struct point *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(outline, points[i].x, points[i].y);
    close_contour(outline, false);
}

/* Catmull-Rom: the curve from b to c at t, whose neighbours are a and d. */
static double spline(double a, double b, double c, double d, double t)
{
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t +
                  (3 * b - 3 * c + d - a) * t * t * t);
}

void outline_blob(struct outline *outline, const struct point *points, size_t count)
{
    enum {
        STEPS = 8
    };
    for (size_t i = 0; i < count; i++) {
        struct point a = points[(i + count - 1) % count], b = points[i];
        struct point c = points[(i + 1) % count], d = points[(i + 2) % count];
        for (int step = 0; step < STEPS; step++) {
            double t = (double)step / STEPS;
            add(outline, spline(a.x, b.x, c.x, d.x, t), spline(a.y, b.y, c.y, d.y, t));
        }
    }
    close_contour(outline, false);
}

/* Enough corners that the polygon is within a tenth of a pixel of the circle. */
static int corners(const struct outline *outline, double radius)
{
    double pixels = radius * fmax(fabs(outline->scale_x), fabs(outline->scale_y));
    return 6 + (int)(6 * sqrt(fmax(pixels, 0)));
}

static void circle(struct outline *outline, double x, double y, double radius_x, double radius_y,
                   bool hole)
{
    int count = corners(outline, fmax(radius_x, radius_y));
    for (int i = 0; i < count; i++) {
        double angle = TURN * i / count;
        add(outline, x + radius_x * cos(angle), y + radius_y * sin(angle));
    }
    close_contour(outline, hole);
}

void outline_ellipse(struct outline *outline, double x, double y, double radius_x, double radius_y)
{
    circle(outline, x, y, radius_x, radius_y, false);
}

void outline_ring(struct outline *outline, double x, double y, double radius, double width)
{
    circle(outline, x, y, radius + width / 2, radius + width / 2, false);
    circle(outline, x, y, radius - width / 2, radius - width / 2, true);
}

void outline_rect(struct outline *outline, double x, double y, double width, double height)
{
    struct point points[] = {{x, y}, {x + width, y}, {x + width, y + height}, {x, y + height}};
    outline_polygon(outline, points, 4);
}

/* Two circles and the quadrilateral between their sides. */
static void capsule(struct outline *outline, struct node a, struct node b)
{
    double dx = b.x - a.x, dy = b.y - a.y, length = sqrt(dx * dx + dy * dy);
    circle(outline, b.x, b.y, b.radius, b.radius, false);
    if (length < 1e-9)
        return;
    double nx = -dy / length, ny = dx / length;
    struct point side[] = {{a.x + nx * a.radius, a.y + ny * a.radius},
                           {b.x + nx * b.radius, b.y + ny * b.radius},
                           {b.x - nx * b.radius, b.y - ny * b.radius},
                           {a.x - nx * a.radius, a.y - ny * a.radius}};
    outline_polygon(outline, side, 4);
}

void outline_limb(struct outline *outline, const struct node *nodes, size_t count)
{
    enum {
        STEPS = 6
    };
    struct node last = nodes[0];
    circle(outline, last.x, last.y, last.radius, last.radius, false);
    for (size_t i = 0; i + 1 < count; i++) {
        struct node a = nodes[i > 0 ? i - 1 : 0], b = nodes[i], c = nodes[i + 1];
        struct node d = nodes[i + 2 < count ? i + 2 : count - 1];
        int steps = count == 2 ? 1 : STEPS;
        for (int step = 1; step <= steps; step++) {
            double t = (double)step / steps;
            struct node next = {spline(a.x, b.x, c.x, d.x, t), spline(a.y, b.y, c.y, d.y, t),
                                b.radius + (c.radius - b.radius) * t};
            capsule(outline, last, next);
            last = next;
        }
    }
}

void outline_line(struct outline *outline, double x0, double y0, double x1, double y1,
                  double radius)
{
    struct node nodes[] = {{x0, y0, radius}, {x1, y1, radius}};
    outline_limb(outline, nodes, 2);
}

static int clamp(double value, int limit)
{
    return value < 0 ? 0 : value > limit ? limit : (int)value;
}

struct bounds outline_bounds(const struct outline *outline, int margin, int width, int height)
{
    double x0 = 1e9, y0 = 1e9, x1 = -1e9, y1 = -1e9;
    for (size_t i = 0; i < outline->count; i++) {
        struct point p = outline->points[i];
        x0 = fmin(x0, p.x);
        y0 = fmin(y0, p.y);
        x1 = fmax(x1, p.x);
        y1 = fmax(y1, p.y);
    }
    struct bounds bounds = {clamp(floor(x0) - margin, width), clamp(floor(y0) - margin, height),
                            clamp(ceil(x1) + margin, width), clamp(ceil(y1) + margin, height)};
    return bounds;
}

struct crossing {
    double x;
    int turn;
};

static int by_x(const void *a, const void *b)
{
    const struct crossing *left = a, *right = b;
    return (left->x > right->x) - (left->x < right->x);
}

/* Where the contours cross the horizontal line at `y`, from left to right. */
static size_t cross_row(const struct outline *outline, double y, struct crossing *crossings)
{
    size_t count = 0, start = 0;
    for (size_t c = 0; c < outline->contours; c++) {
        size_t end = outline->end[c];
        for (size_t i = start; i < end; i++) {
            struct point a = outline->points[i];
            struct point b = outline->points[i + 1 < end ? i + 1 : start];
            if ((a.y <= y) == (b.y <= y))
                continue;
            double x = a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y));
            crossings[count++] = (struct crossing){x, a.y <= y ? 1 : -1};
        }
        start = end;
    }
    qsort(crossings, count, sizeof *crossings, by_x);
    return count;
}

void outline_stamp(const struct outline *outline, int32_t *ids, int width, int height, int32_t id)
{
    struct bounds box = outline_bounds(outline, 1, width, height);
    struct crossing *crossings = must_allocate(NULL, outline->count + 1, sizeof *crossings);
    for (int y = box.y0; y < box.y1; y++) {
        size_t count = cross_row(outline, y + 0.5, crossings);
        int winding = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            winding += crossings[i].turn;
            if (winding == 0)
                continue;
            int from = clamp(ceil(crossings[i].x - 0.5), width);
            int to = clamp(ceil(crossings[i + 1].x - 0.5), width);
            for (int x = from; x < to; x++)
                ids[(size_t)y * (size_t)width + (size_t)x] = id;
        }
    }
    cr_free(crossings);
}
