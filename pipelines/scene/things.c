/* SPDX-License-Identifier: MIT */
/* What stands by the water and on it: house, fence, boats, bench, bicycle, the big tree. */
#include <math.h>

#include "scene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    BICYCLE = 2,
    BOAT = 9,
    BENCH = 15,
    BACKPACK = 27,
    HOUSE = 128,
    FENCE = 185,
    FLOWER = 119
};

static void place(struct scene *scene, double x, double y, double scale)
{
    outline_place(&scene->outline, x, y, scale, fabs(scale), 0);
}

static void unplace(struct scene *scene)
{
    outline_place(&scene->outline, 0, 0, 1, 1, 0);
}

static void polygon(struct scene *scene, const struct point *points, size_t count, uint32_t hex)
{
    outline_polygon(&scene->outline, points, count);
    scene_flat(scene, rgb_hex(hex), 1);
}

#define POLYGON(scene, hex, ...)                                                                   \
    polygon(scene, (const struct point[]){__VA_ARGS__},                                            \
            COUNT(((const struct point[]){__VA_ARGS__})), hex)

/* ---- House: units of 1/100 of its length, the foot of the near corner at (0, 0) ---- */

static struct rgb wall_shader(const void *data, double x, double y)
{
    const uint32_t *hex = data;
    double stain = cloud(x / 9, y / 5, 4, 91);
    double board = fabs(y / 4.2 - floor(y / 4.2) - 0.5) > 0.40 ? 0.90 : 1;
    return rgb_scale(rgb_hex(*hex), (0.84 + 0.3 * stain) * board);
}

static struct rgb roof_shader(const void *data, double x, double y)
{
    const uint32_t *hex = data;
    double row = floor(y / 3.1), tile = noise((x + 2 * fmod(row, 2)) / 3.2, row * 7.7, 92);
    double edge = y / 3.1 - row < 0.25 ? 0.80 : 1;
    return rgb_scale(rgb_hex(*hex), (0.80 + 0.34 * tile) * edge);
}

static void window(struct scene *scene, double x, double y, double width, double height)
{
    outline_rect(&scene->outline, x - 1.4, y - 1.4, width + 2.8, height + 2.8);
    scene_flat(scene, rgb_hex(0xf2e6cf), 1);
    outline_rect(&scene->outline, x, y, width, height);
    scene_flat(scene, rgb_hex(0xffcf69), 1);
    outline_rect(&scene->outline, x, y, width, height * 0.42);
    scene_flat(scene, rgb_hex(0xfff0b4), 0.7);
    outline_rect(&scene->outline, x + width / 2 - 0.5, y, 1, height);
    outline_rect(&scene->outline, x, y + height / 2 - 0.5, width, 1);
    scene_flat(scene, rgb_hex(0x6b4a2a), 1);
}

static void draw_roof(struct scene *scene)
{
    static const uint32_t sunny = 0xc1573a, shady = 0x8c3d30;
    POLYGON(scene, 0x6d6057, {52, -72}, {62, -72}, {62, -98}, {52, -98});
    POLYGON(scene, 0x8d7c70, {52, -72}, {55, -72}, {55, -98}, {52, -98});
    POLYGON(scene, 0x4e443e, {50.5, -98}, {63.5, -98}, {63.5, -101}, {50.5, -101});
    struct point front[] = {{-5, -46}, {15, -86}, {88, -82}, {108, -44}};
    outline_polygon(&scene->outline, front, COUNT(front));
    scene_shade(scene, roof_shader, &shady);
    struct point gable[] = {{-5, -46}, {15, -86}, {17, -84}, {1, -43}};
    outline_polygon(&scene->outline, gable, COUNT(gable));
    scene_flat(scene, rgb_hex(sunny), 1);
    struct point side[] = {{-45, -46}, {-42, -48}, {15, -86}, {13, -81}};
    outline_polygon(&scene->outline, side, COUNT(side));
    scene_flat(scene, rgb_hex(0xe0906a), 1);
}

void house_draw(struct scene *scene)
{
    static const uint32_t sunny = 0xffe6bf, shady = 0xbfa58f;
    scene_segment(scene, HOUSE, false);
    place(scene, 802, 268, 0.95);
    /* The gable looks at the sun, the long wall is in half shade. */
    struct point end[] = {{-40, -4}, {-40, -47}, {15, -84}, {4, -46}, {4, 0}};
    outline_polygon(&scene->outline, end, COUNT(end));
    scene_shade(scene, wall_shader, &sunny);
    struct point wall[] = {{4, 0}, {4, -47}, {103, -45}, {103, -5}};
    outline_polygon(&scene->outline, wall, COUNT(wall));
    scene_shade(scene, wall_shader, &shady);
    draw_roof(scene);
    window(scene, -27, -38, 10, 15);
    window(scene, 15, -36, 11, 14);
    window(scene, 35, -36, 11, 14);
    window(scene, 82, -35, 11, 14);
    POLYGON(scene, 0x5b3a26, {57, -2.5}, {57, -36}, {71, -36}, {71, -3});
    POLYGON(scene, 0x7c5236, {59, -3}, {59, -34}, {64, -34}, {64, -3});
    unplace(scene);
    /* Smoke is air to the annotation. */
    scene->id = 0;
    struct dice dice = {404};
    for (int i = 0; i < 16; i++)
        scene_glow(scene, 857 + i * 3.2 + dice_range(&dice, -2, 2), 169 - i * 4.6, 4 + i * 0.9,
                   3.5 + i * 0.7, rgb_hex(0xe9dcd4), 0.20 - i * 0.008);
}

/* ---- Fence ---- */

struct post {
    double x, y, height;
};

static void draw_rails(struct scene *scene, const struct post *posts, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        struct post a = posts[i], b = posts[i + 1];
        for (int rail = 0; rail < 2; rail++) {
            double t = rail == 0 ? 0.86 : 0.45;
            double sag = rail == 0 && i % 3 == 1 ? 0.03 : 0;
            struct node nodes[] = {{a.x, a.y - a.height * t, a.height * 0.045},
                                   {b.x, b.y - b.height * (t - sag), b.height * 0.045}};
            outline_limb(&scene->outline, nodes, 2);
            scene_round(scene, rgb_hex(0xb08d66), fmax(2, a.height * 0.06));
        }
    }
}

static void draw_posts(struct scene *scene, const struct post *posts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct post p = posts[i];
        double half = p.height * 0.065, tilt = (i * 7 % 5 - 2.0) * 0.012 * p.height;
        struct point shape[] = {{p.x - half, p.y + half},
                                {p.x - half + tilt, p.y - p.height},
                                {p.x + tilt, p.y - p.height - half * 0.7},
                                {p.x + half + tilt, p.y - p.height},
                                {p.x + half, p.y + half}};
        outline_polygon(&scene->outline, shape, COUNT(shape));
        scene_round(scene, rgb_hex(0x9c7a56), fmax(2, half * 1.3));
    }
}

void fence_along_road_draw(struct scene *scene)
{
    static const struct post posts[] = {{665, 462, 53}, {652, 430, 43}, {645, 404, 35},
                                        {650, 382, 28}, {674, 364, 23}, {706, 349, 19},
                                        {738, 333, 16}, {768, 317, 13}, {793, 303, 11}};
    scene->fence = scene_segment(scene, FENCE, false);
    draw_rails(scene, posts, COUNT(posts));
    draw_posts(scene, posts, COUNT(posts));
}

void fence_across_draw(struct scene *scene)
{
    static const struct post posts[] = {
        {665, 462, 53}, {738, 474, 57}, {816, 484, 60}, {898, 492, 63}, {985, 499, 66}};
    scene->id = scene->fence;
    draw_rails(scene, posts, COUNT(posts));
    draw_posts(scene, posts, COUNT(posts));
}

/* ---- Boats ---- */

/* The same boat upside down in the water, pale and broken by waves. */
static void mirror_strips(struct scene *scene, const struct point *points, size_t count, double x,
                          double y, double scale, uint32_t hex, double depth)
{
    int32_t id = scene->id;
    scene->id = 0;
    cairo_save(scene->cr);
    for (double strip = 0; strip < depth; strip += 3)
        cairo_rectangle(scene->cr, x - 200 * scale, y + strip, 400 * scale, 1.9);
    cairo_clip(scene->cr);
    outline_place(&scene->outline, x, y, scale, -fabs(scale), 0);
    outline_polygon(&scene->outline, points, count);
    scene_flat(scene, rgb_hex(hex), 0.42);
    unplace(scene);
    cairo_restore(scene->cr);
    scene->id = id;
}

static const struct point sail_main[] = {{-2, -96}, {-3, -12}, {-46, -12}, {-32, -38}, {-16, -70}};
static const struct point sail_fore[] = {{3, -88}, {38, -12}, {5, -14}};
static const struct point hull[] = {{-50, -9}, {-44, 1}, {36, 1}, {50, -11}, {20, -8}};

static void draw_sail_boat(struct scene *scene, double x, double y, double scale)
{
    mirror_strips(scene, sail_main, COUNT(sail_main), x, y, scale, 0xf2d6b0, 70 * fabs(scale));
    mirror_strips(scene, sail_fore, COUNT(sail_fore), x, y, scale, 0xe0a878, 60 * fabs(scale));
    mirror_strips(scene, hull, COUNT(hull), x, y, scale, 0x2d3440, 12 * fabs(scale));
    scene_segment(scene, BOAT, false);
    place(scene, x, y, scale);
    outline_line(&scene->outline, 0, -8, 0, -99, 1.3);
    outline_line(&scene->outline, 0, -11, -48, -11, 1.1);
    scene_flat(scene, rgb_hex(0x5a3f2a), 1);
    outline_polygon(&scene->outline, sail_main, COUNT(sail_main));
    scene_flat(scene, rgb_hex(0xfff1d8), 1);
    outline_polygon(&scene->outline, sail_fore, COUNT(sail_fore));
    scene_flat(scene, rgb_hex(0xe8b083), 1);
    outline_polygon(&scene->outline, hull, COUNT(hull));
    scene_flat(scene, rgb_hex(0x353d4c), 1);
    POLYGON(scene, 0xc7503a, {-50, -9}, {20, -8}, {50, -11}, {49, -9}, {20, -5.5}, {-49, -6.5});
    unplace(scene);
}

static void draw_rowing_boat(struct scene *scene, double x, double y, double scale)
{
    static const struct point side[] = {{-58, -20}, {-50, 2},  {-20, 9},  {25, 9},
                                        {48, 2},    {60, -22}, {30, -13}, {-30, -12}};
    static const struct point inside[] = {{-54, -18}, {-30, -12}, {30, -13},
                                          {56, -20},  {32, -21},  {-30, -20}};
    mirror_strips(scene, side, COUNT(side), x, y + 14 * scale, scale, 0x40281a, 30 * scale);
    scene_segment(scene, BOAT, false);
    place(scene, x, y, scale);
    outline_blob(&scene->outline, inside, COUNT(inside));
    scene_flat(scene, rgb_hex(0x3f2a1d), 1);
    POLYGON(scene, 0x9a6f45, {-24, -20}, {-14, -20}, {-10, -12}, {-22, -12});
    POLYGON(scene, 0x9a6f45, {14, -20}, {24, -20}, {26, -12}, {14, -12});
    outline_polygon(&scene->outline, side, COUNT(side));
    scene_round(scene, rgb_hex(0x9b5f38), 9 * scale);
    static const struct node rim[] = {
        {-58, -20, 1.7}, {-30, -12, 1.7}, {30, -13, 1.7}, {60, -22, 1.7}};
    outline_limb(&scene->outline, rim, COUNT(rim));
    scene_flat(scene, rgb_hex(0xf0cf9a), 1);
    outline_line(&scene->outline, -6, -14, -66, 4, 1.5);
    scene_flat(scene, rgb_hex(0xd0a872), 1);
    unplace(scene);
}

void boats_draw(struct scene *scene)
{
    draw_sail_boat(scene, 462, 306, 0.72);
    draw_sail_boat(scene, 142, 277, -0.22);
    draw_rowing_boat(scene, 214, 384, 0.95);
}

/* ---- Bench, backpack, bicycle ---- */

static void beam(struct scene *scene, double x0, double y0, double x1, double y1, double radius,
                 uint32_t hex)
{
    outline_line(&scene->outline, x0, y0, x1, y1, radius);
    scene_round(scene, rgb_hex(hex), fmax(2, radius * 1.4));
}

static void draw_bench(struct scene *scene, double x, double y, double scale)
{
    scene_segment(scene, BENCH, false);
    place(scene, x, y, scale);
    /* The far legs, then slats from the seat up, then the near legs. */
    beam(scene, -62, -42, -58, -6, 3, 0x332b2a);
    beam(scene, 74, -42, 78, -6, 3, 0x332b2a);
    for (int i = 0; i < 3; i++)
        beam(scene, -72 + i * 2, -46 + i * 4.6, 66 + i * 2, -46 + i * 4.6, 2.5, 0xb5793f);
    for (int i = 0; i < 3; i++)
        beam(scene, -80 + i * 3, -88 + i * 12.5, 58 + i * 3, -88 + i * 12.5, 4.2, 0xc4884a);
    static const double ends[] = {-68, 62};
    for (size_t i = 0; i < COUNT(ends); i++) {
        beam(scene, ends[i] - 12, -90, ends[i], -40, 3, 0x3d3433);
        beam(scene, ends[i], -40, ends[i] - 2, 0, 3, 0x3d3433);
        beam(scene, ends[i], -40, ends[i] + 17, -33, 2.6, 0x3d3433);
        beam(scene, ends[i] + 17, -33, ends[i] + 20, 6, 3, 0x3d3433);
        beam(scene, ends[i] - 4, -58, ends[i] + 18, -56, 2.6, 0x3d3433);
        beam(scene, ends[i] + 18, -56, ends[i] + 17, -33, 2.4, 0x3d3433);
    }
    unplace(scene);
}

static void draw_backpack(struct scene *scene, double x, double y, double scale)
{
    static const struct point body[] = {{-15, 0},  {-18, -20}, {-13, -40}, {0, -46},
                                        {13, -40}, {18, -20},  {15, 0},    {0, 3}};
    static const struct point pocket[] = {{-11, -3}, {-12, -17}, {0, -20},
                                          {12, -17}, {11, -3},   {0, -1}};
    scene_segment(scene, BACKPACK, false);
    place(scene, x, y, scale);
    outline_ring(&scene->outline, 0, -47, 4, 2);
    scene_flat(scene, rgb_hex(0x23324a), 1);
    outline_blob(&scene->outline, body, COUNT(body));
    scene_round(scene, rgb_hex(0x3f6ea8), 8 * scale);
    outline_blob(&scene->outline, pocket, COUNT(pocket));
    scene_round(scene, rgb_hex(0xe7a13d), 5 * scale);
    outline_line(&scene->outline, -13, -26, 13, -26, 0.9);
    scene_flat(scene, rgb_hex(0x1d2a3d), 1);
    unplace(scene);
}

static void draw_wheel(struct scene *scene, double x, double y, double radius)
{
    outline_ring(&scene->outline, x, y, radius, 3.4);
    scene_flat(scene, rgb_hex(0x23211f), 1);
    outline_ring(&scene->outline, x, y, radius - 2.4, 1.1);
    scene_flat(scene, rgb_hex(0xc9c2b8), 1);
    for (int i = 0; i < 12; i++) {
        double angle = i * 0.5235987755982988 + 0.2;
        outline_line(&scene->outline, x, y, x + (radius - 2) * cos(angle),
                     y + (radius - 2) * sin(angle), 0.28);
    }
    scene_flat(scene, rgb_hex(0xded8cc), 0.9);
    outline_ellipse(&scene->outline, x, y, 3, 3);
    scene_flat(scene, rgb_hex(0x8d8880), 1);
}

static void draw_bicycle(struct scene *scene, double x, double y, double scale)
{
    scene_segment(scene, BICYCLE, false);
    place(scene, x, y, scale);
    draw_wheel(scene, -52, -33, 31);
    draw_wheel(scene, 52, -33, 31);
    static const double tubes[][4] = {
        {-52, -33, -4, -34}, {-52, -33, -17, -72}, {-4, -34, -20, -80}, {-4, -34, 33, -72},
        {-17, -72, 32, -78}, {31, -84, 37, -66},   {37, -66, 52, -33}};
    for (size_t i = 0; i < COUNT(tubes); i++)
        outline_line(&scene->outline, tubes[i][0], tubes[i][1], tubes[i][2], tubes[i][3], 2.0);
    scene_round(scene, rgb_hex(0x1f8f8a), 4);
    static const struct node bar[] = {
        {31, -84, 1.4}, {30, -92, 1.4}, {36, -95, 1.5}, {44, -91, 1.6}};
    outline_limb(&scene->outline, bar, COUNT(bar));
    static const struct node saddle[] = {{-31, -83, 3.4}, {-22, -84, 2.8}, {-9, -82, 1.4}};
    outline_limb(&scene->outline, saddle, COUNT(saddle));
    outline_line(&scene->outline, -4, -34, 4, -22, 1.3);
    outline_line(&scene->outline, 0, -21, 9, -22, 1.6);
    scene_flat(scene, rgb_hex(0x2c2220), 1);
    outline_ring(&scene->outline, -4, -34, 7, 2.4);
    scene_flat(scene, rgb_hex(0x4a4642), 1);
    outline_line(&scene->outline, -52, -37, -4, -41, 0.6);
    outline_line(&scene->outline, -52, -29, -4, -27, 0.6);
    scene_flat(scene, rgb_hex(0x3a3734), 1);
    outline_line(&scene->outline, -70, -68, -26, -68, 1.2);
    outline_line(&scene->outline, -62, -68, -52, -36, 0.8);
    scene_flat(scene, rgb_hex(0x55504b), 1);
    unplace(scene);
}

void resting_place_draw(struct scene *scene)
{
    draw_bench(scene, 168, 573, 0.98);
    draw_backpack(scene, 206, 530, 0.95);
    draw_bicycle(scene, 330, 590, 0.98);
}
