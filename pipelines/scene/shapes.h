/* SPDX-License-Identifier: MIT */
/* shapes.h: outlines of the scene, as polygons. One outline serves the picture (filled by cairo,
 * anti-aliased) and the annotation (filled here, a pixel belongs to it if its centre does). */
#ifndef SCENE_SHAPES_H
#define SCENE_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point {
    double x, y;
};

/* A point on the axis of a limb, and how thick the limb is there. */
struct node {
    double x, y, radius;
};

/* Closed contours, filled by the nonzero rule. `end[i]` is one past the last point of contour i. */
struct outline {
    struct point *points;
    size_t count, capacity;
    size_t *end;
    size_t contours, contour_capacity;
    /* Applied to everything that is added: scale (a negative x mirrors), turn, move. */
    double scale_x, scale_y, angle, move_x, move_y;
};

void outline_init(struct outline *outline);
void outline_finish(struct outline *outline);
/* Forget the contours, keep the memory and the placement. */
void outline_clear(struct outline *outline);
void outline_place(struct outline *outline, double x, double y, double scale_x, double scale_y,
                   double angle);

void outline_polygon(struct outline *outline, const struct point *points, size_t count);
/* A smooth closed curve through the points. */
void outline_blob(struct outline *outline, const struct point *points, size_t count);
void outline_ellipse(struct outline *outline, double x, double y, double radius_x, double radius_y);
void outline_ring(struct outline *outline, double x, double y, double radius, double width);
void outline_rect(struct outline *outline, double x, double y, double width, double height);
/* A tube with round ends along a smooth curve through the nodes, as thick as they say. */
void outline_limb(struct outline *outline, const struct node *nodes, size_t count);
void outline_line(struct outline *outline, double x0, double y0, double x1, double y1,
                  double radius);

struct bounds {
    int x0, y0, x1, y1; /* pixels; x1, y1 are outside */
};
/* The pixels that the outline touches, grown by `margin`, within width x height. */
struct bounds outline_bounds(const struct outline *outline, int margin, int width, int height);

/* Set ids[y * width + x] = id for every pixel whose centre is inside. */
void outline_stamp(const struct outline *outline, int32_t *ids, int width, int height, int32_t id);

void *must_allocate(void *memory, size_t count, size_t bytes);

/* A stream of numbers that depends on the seed alone. */
struct dice {
    uint64_t state;
};
/* One throw to an expression: compilers differ in which argument of a call they evaluate first. */
uint32_t dice_bits(struct dice *dice);
double dice_unit(struct dice *dice); /* 0 <= u < 1 */
double dice_range(struct dice *dice, double low, double high);

#endif
