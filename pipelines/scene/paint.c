/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <crayon/memory.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIXELS ((size_t)SCENE_WIDTH * SCENE_HEIGHT)

void scene_init(struct scene *scene)
{
    *scene = (struct scene){0};
    scene->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, SCENE_WIDTH, SCENE_HEIGHT);
    scene->cr = cairo_create(scene->surface);
    scene->ids = must_allocate(NULL, PIXELS, sizeof *scene->ids);
    memset(scene->ids, 0, PIXELS * sizeof *scene->ids);
    outline_init(&scene->outline);
}

void scene_finish(struct scene *scene)
{
    cairo_destroy(scene->cr);
    cairo_surface_destroy(scene->surface);
    cr_free(scene->ids);
    outline_finish(&scene->outline);
}

int32_t scene_segment(struct scene *scene, int category_id, bool crowd)
{
    if (scene->count == SCENE_SEGMENTS) {
        fprintf(stderr, "draw: more than %d segments\n", SCENE_SEGMENTS);
        exit(EXIT_FAILURE);
    }
    scene->segments[scene->count++] = (struct scene_segment){category_id, crowd};
    scene->id = scene->count;
    return scene->id;
}

/* ---- Colours and noise ---- */

struct rgb rgb_hex(uint32_t hex)
{
    return (struct rgb){(hex >> 16 & 255) / 255.0, (hex >> 8 & 255) / 255.0, (hex & 255) / 255.0};
}

struct rgb rgb_mix(struct rgb a, struct rgb b, double t)
{
    return (struct rgb){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

struct rgb rgb_scale(struct rgb a, double factor)
{
    return (struct rgb){a.r * factor, a.g * factor, a.b * factor};
}

double step_between(double low, double high, double x)
{
    double t = fmin(fmax((x - low) / (high - low), 0), 1);
    return t * t * (3 - 2 * t);
}

static double lattice(int x, int y, uint32_t seed)
{
    uint32_t h = (uint32_t)x * 0x8da6b343u ^ (uint32_t)y * 0xd8163841u ^ seed * 0xcb1ab31fu;
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    return (h ^ (h >> 15)) / 4294967296.0;
}

double noise(double x, double y, uint32_t seed)
{
    int column = (int)floor(x), row = (int)floor(y);
    double u = step_between(0, 1, x - column), v = step_between(0, 1, y - row);
    double top = lattice(column, row, seed) * (1 - u) + lattice(column + 1, row, seed) * u;
    double below =
        lattice(column, row + 1, seed) * (1 - u) + lattice(column + 1, row + 1, seed) * u;
    return top * (1 - v) + below * v;
}

double cloud(double x, double y, int octaves, uint32_t seed)
{
    double sum = 0, weight = 0.5, total = 0;
    for (int i = 0; i < octaves; i++) {
        sum += weight * noise(x, y, seed + (uint32_t)i);
        total += weight;
        weight *= 0.5;
        x = x * 2.03 + 17.1;
        y = y * 2.03 + 5.7;
    }
    return sum / total;
}

/* ---- Filling ---- */

static void trace(struct scene *scene)
{
    const struct outline *outline = &scene->outline;
    size_t start = 0;
    for (size_t c = 0; c < outline->contours; c++) {
        cairo_new_sub_path(scene->cr);
        for (size_t i = start; i < outline->end[c]; i++)
            cairo_line_to(scene->cr, outline->points[i].x, outline->points[i].y);
        cairo_close_path(scene->cr);
        start = outline->end[c];
    }
}

static void fill(struct scene *scene)
{
    trace(scene);
    cairo_fill(scene->cr);
    if (scene->id != 0)
        outline_stamp(&scene->outline, scene->ids, SCENE_WIDTH, SCENE_HEIGHT, scene->id);
    outline_clear(&scene->outline);
}

void scene_flat(struct scene *scene, struct rgb color, double alpha)
{
    cairo_set_source_rgba(scene->cr, color.r, color.g, color.b, alpha);
    fill(scene);
}

static uint8_t byte(double value)
{
    return (uint8_t)(fmin(fmax(value, 0), 1) * 255 + 0.5);
}

static uint32_t pack(struct rgb color)
{
    return 0xff000000u | (uint32_t)byte(color.r) << 16 | (uint32_t)byte(color.g) << 8 |
           byte(color.b);
}

/* Fill with the colours of `patch`, whose top left corner lies at the corner of `box`. */
static void fill_patch(struct scene *scene, cairo_surface_t *patch, struct bounds box)
{
    cairo_surface_mark_dirty(patch);
    cairo_set_source_surface(scene->cr, patch, box.x0, box.y0);
    cairo_pattern_set_filter(cairo_get_source(scene->cr), CAIRO_FILTER_NEAREST);
    fill(scene);
    cairo_surface_destroy(patch);
}

static uint32_t *patch_row(cairo_surface_t *patch, int y)
{
    unsigned char *data = cairo_image_surface_get_data(patch);
    return (uint32_t *)(void *)(data + (ptrdiff_t)y * cairo_image_surface_get_stride(patch));
}

static bool is_empty(struct bounds box)
{
    return box.x1 <= box.x0 || box.y1 <= box.y0;
}

void scene_shade(struct scene *scene, scene_shader shader, const void *data)
{
    struct bounds box = outline_bounds(&scene->outline, 1, SCENE_WIDTH, SCENE_HEIGHT);
    if (is_empty(box)) {
        outline_clear(&scene->outline);
        return;
    }
    cairo_surface_t *patch =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, box.x1 - box.x0, box.y1 - box.y0);
    cairo_surface_flush(scene->surface);
    for (int y = box.y0; y < box.y1; y++)
        for (int x = box.x0; x < box.x1; x++)
            patch_row(patch, y - box.y0)[x - box.x0] = pack(shader(data, x + 0.5, y + 0.5));
    fill_patch(scene, patch, box);
}

/* One pass of a moving average of 2 * radius + 1 along a row or column of `count` values. */
static void smooth_line(float *values, size_t stride, int count, int radius, float *line)
{
    float sum = 0;
    for (int i = 0; i < count; i++)
        line[i] = values[(size_t)i * stride];
    for (int i = -radius; i < count + radius; i++) {
        if (i + radius < count)
            sum += line[i + radius];
        if (i - radius - 1 >= 0)
            sum -= line[i - radius - 1];
        if (i >= 0 && i < count)
            values[(size_t)i * stride] = sum / (float)(2 * radius + 1);
    }
}

static void smooth(float *values, int width, int height, int radius)
{
    float *line = must_allocate(NULL, (size_t)(width > height ? width : height), sizeof *line);
    for (int pass = 0; pass < 2; pass++) {
        for (int y = 0; y < height; y++)
            smooth_line(values + (size_t)y * (size_t)width, 1, width, radius, line);
        for (int x = 0; x < width; x++)
            smooth_line(values + x, (size_t)width, height, radius, line);
    }
    cr_free(line);
}

/* The outline's coverage within `box`, 0..1. */
static float *coverage(struct scene *scene, struct bounds box)
{
    int width = box.x1 - box.x0, height = box.y1 - box.y0;
    int32_t *inside = must_allocate(NULL, PIXELS, sizeof *inside);
    memset(inside, 0, PIXELS * sizeof *inside);
    outline_stamp(&scene->outline, inside, SCENE_WIDTH, SCENE_HEIGHT, 1);
    float *values = must_allocate(NULL, (size_t)width * (size_t)height, sizeof *values);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            values[(size_t)y * (size_t)width + (size_t)x] =
                (float)inside[(size_t)(y + box.y0) * SCENE_WIDTH + (size_t)(x + box.x0)];
    cr_free(inside);
    return values;
}

/* Light on a surface that slopes by (dx, dy): warm from the sun, cool from the sky above. `side` is
 * where the sun stands, from -1 (left) to 1 (right). */
static struct rgb lit(struct rgb color, double dx, double dy, double side)
{
    double length = sqrt(dx * dx + dy * dy + 1);
    double sun = fmax((dx * 0.82 * side - dy * 0.42 + 0.40) / length, 0);
    double sky = 0.60 - 0.45 * dy / length;
    struct rgb light = {0.30 * sky + 1.08 * sun + 0.20, 0.34 * sky + 0.93 * sun + 0.20,
                        0.46 * sky + 0.70 * sun + 0.22};
    return (struct rgb){color.r * light.r, color.g * light.g, color.b * light.b};
}

void scene_round(struct scene *scene, struct rgb color, double bevel)
{
    int radius = (int)ceil(bevel / 2);
    struct bounds box = outline_bounds(&scene->outline, 2 * radius + 1, SCENE_WIDTH, SCENE_HEIGHT);
    if (is_empty(box)) {
        outline_clear(&scene->outline);
        return;
    }
    int width = box.x1 - box.x0, height = box.y1 - box.y0;
    float *relief = coverage(scene, box);
    smooth(relief, width, height, radius);
    cairo_surface_t *patch = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const float *row = relief + (size_t)y * (size_t)width;
            size_t up = y > 0 ? (size_t)width : 0, down = y + 1 < height ? (size_t)width : 0;
            double dx = row[x > 0 ? x - 1 : x] - row[x + 1 < width ? x + 1 : x];
            double dy = *(row + x - up) - *(row + x + down);
            double side = fmin(fmax((SCENE_SUN_X - box.x0 - x) / 120, -1), 1);
            patch_row(patch, y)[x] = pack(lit(color, dx * bevel * 1.1, dy * bevel * 1.1, side));
        }
    cr_free(relief);
    fill_patch(scene, patch, box);
}

void scene_glow(struct scene *scene, double x, double y, double radius_x, double radius_y,
                struct rgb color, double alpha)
{
    cairo_pattern_t *pattern = cairo_pattern_create_radial(0, 0, 0, 0, 0, 1);
    for (int i = 0; i <= 8; i++) {
        double t = i / 8.0;
        cairo_pattern_add_color_stop_rgba(pattern, t, color.r, color.g, color.b,
                                          alpha * (1 - t) * (1 - t) * (1 + 2 * t));
    }
    cairo_save(scene->cr);
    cairo_translate(scene->cr, x, y);
    cairo_scale(scene->cr, radius_x, radius_y);
    cairo_set_source(scene->cr, pattern);
    cairo_paint(scene->cr);
    cairo_restore(scene->cr);
    cairo_pattern_destroy(pattern);
}

static int within(double value, int limit)
{
    return value < 0 ? 0 : value >= limit ? limit - 1 : (int)value;
}

uint32_t scene_pixel_bits(const struct scene *scene, double x, double y)
{
    return patch_row(scene->surface, within(y, SCENE_HEIGHT))[within(x, SCENE_WIDTH)] & 0xffffffu;
}

struct rgb scene_pixel(const struct scene *scene, double x, double y)
{
    return rgb_hex(scene_pixel_bits(scene, x, y));
}

void scene_develop(struct scene *scene)
{
    struct dice dice = {2024};
    cairo_surface_flush(scene->surface);
    for (int y = 0; y < SCENE_HEIGHT; y++) {
        uint32_t *row = patch_row(scene->surface, y);
        for (int x = 0; x < SCENE_WIDTH; x++) {
            double u = (x + 0.5) / SCENE_WIDTH - 0.5, v = (y + 0.5) / SCENE_HEIGHT - 0.5;
            double light = 1.03 - 0.42 * (u * u + v * v);
            double grain = (dice_unit(&dice) + dice_unit(&dice) - 1) * 0.019;
            struct rgb color = rgb_scale(rgb_hex(row[x]), light);
            row[x] = pack((struct rgb){color.r + grain, color.g + grain, color.b + grain});
        }
    }
    cairo_surface_mark_dirty(scene->surface);
}

void scene_draw(struct scene *scene)
{
    landscape_draw(scene);
    house_draw(scene);
    boats_draw(scene);
    fence_along_road_draw(scene);
    living_draw(scene);
    fence_across_draw(scene);
    big_tree_draw(scene);
    resting_place_draw(scene);
    flowers_draw(scene);
    scene_develop(scene);
}
