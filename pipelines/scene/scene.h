/* SPDX-License-Identifier: MIT */
/* scene.h: the picture that the project ships, drawn by its own program, with its exact annotation.
 *
 * Everything is an outline with a paint. Painting an outline colours the photograph and, unless the
 * current id is 0 (shadows, reflections, light), gives its pixels to the current segment. */
#ifndef SCENE_SCENE_H
#define SCENE_SCENE_H

#include <cairo.h>
#include <crayon/image.h>

#include "shapes.h"

#define SCENE_WIDTH 960
#define SCENE_HEIGHT 640
#define SCENE_SEGMENTS 64

struct rgb {
    double r, g, b; /* 0..1 */
};

struct scene_segment {
    int category_id;
    bool crowd;
};

struct scene {
    cairo_surface_t *surface; /* the photograph, RGB24 */
    cairo_t *cr;
    int32_t *ids;           /* the annotation: number of the segment, 0 = none */
    int32_t id;             /* what the next outlines belong to; 0: to the picture only */
    struct outline outline; /* what is painted next */
    struct scene_segment segments[SCENE_SEGMENTS];
    int count;                  /* segments are numbered 1..count */
    int32_t tree, grass, fence; /* segments that have parts at several depths */
};

void scene_init(struct scene *scene);
void scene_finish(struct scene *scene);
/* Draw everything. */
void scene_draw(struct scene *scene);

/* ---- Painting: fills the outline and clears it ---- */

/* A new segment, which becomes the current one; returns its number. */
int32_t scene_segment(struct scene *scene, int category_id, bool crowd);

void scene_flat(struct scene *scene, struct rgb color, double alpha);
/* As if the shape were rounded over `bevel` pixels from its rim and lit by the evening sun. */
void scene_round(struct scene *scene, struct rgb color, double bevel);
/* A colour for each pixel. */
typedef struct rgb (*scene_shader)(const void *data, double x, double y);
void scene_shade(struct scene *scene, scene_shader shader, const void *data);
/* Light or dark without hard edge: an ellipse of `color`, alpha falling to 0 at its rim. */
void scene_glow(struct scene *scene, double x, double y, double radius_x, double radius_y,
                struct rgb color, double alpha);
/* The colour of the photograph at a pixel, as painted so far (positions outside are moved in). */
uint32_t scene_pixel_bits(const struct scene *scene, double x, double y); /* 0xRRGGBB */
struct rgb scene_pixel(const struct scene *scene, double x, double y);
/* What a lens and a sensor do: darker corners, warmth, grain. */
void scene_develop(struct scene *scene);

struct rgb rgb_hex(uint32_t hex);
struct rgb rgb_mix(struct rgb a, struct rgb b, double t);
struct rgb rgb_scale(struct rgb a, double factor);
double step_between(double low, double high, double x); /* 0 .. 1, smooth */
/* Smooth noise, 0..1, and its sum over octaves. */
double noise(double x, double y, uint32_t seed);
double cloud(double x, double y, int octaves, uint32_t seed);

/* ---- The parts, from back to front ---- */

#define SCENE_HORIZON 262.0
#define SCENE_SUN_X 318.0
#define SCENE_SUN_Y 206.0

void landscape_draw(struct scene *scene);
void far_wood_draw(struct scene *scene);
void hill_trees_draw(struct scene *scene);
void house_draw(struct scene *scene);
void boats_draw(struct scene *scene);
void living_draw(struct scene *scene);
void fence_along_road_draw(struct scene *scene);
void fence_across_draw(struct scene *scene);
void big_tree_draw(struct scene *scene);
void resting_place_draw(struct scene *scene);
void flowers_draw(struct scene *scene);
/* Blades of the meadow whose feet stand in a rectangle of the picture, small at its top. */
void landscape_blades(struct scene *scene, double top, double bottom, double left, double right,
                      int count, uint64_t seed);

/* ---- The annotation ---- */

/* The photograph, and the picture whose colours are ids, as the caller's own references. */
struct cr_image *scene_photograph(const struct scene *scene);
struct cr_image *scene_annotation(const struct scene *scene);
/* The annotation as COCO panoptic JSON, new memory that the caller frees with cr_free(). */
char *scene_json(const struct scene *scene);

#endif
