/* SPDX-License-Identifier: MIT */
/* The land from the sky down to the meadow. */
#include <math.h>

#include "scene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    TREE = 184,
    GRASS = 193,
    MOUNTAIN = 192,
    SKY = 187,
    WATER = 178,
    ROAD = 149,
    ROCK = 198
};

static double far_from_sun(double x, double y)
{
    double dx = x - SCENE_SUN_X, dy = (y - SCENE_SUN_Y) * 1.25;
    return sqrt(dx * dx + dy * dy);
}

/* ---- Sky ---- */

static struct rgb clear_sky(double y)
{
    static const struct {
        double at;
        uint32_t hex;
    } stops[] = {
        {0, 0x2f62a6}, {0.34, 0x6f9cc8}, {0.62, 0xb9c4c4}, {0.82, 0xf3cf9b}, {1, 0xffbf79}};
    double t = fmin(fmax(y / SCENE_HORIZON, 0), 1);
    size_t i = 0;
    while (i + 2 < COUNT(stops) && t > stops[i + 1].at)
        i++;
    double u = (t - stops[i].at) / (stops[i + 1].at - stops[i].at);
    return rgb_mix(rgb_hex(stops[i].hex), rgb_hex(stops[i + 1].hex), u);
}

static double cloud_density(double x, double y)
{
    double drift = 40 * noise(x * 0.006, y * 0.01, 71);
    double c = cloud(x * 0.0052 + y * 0.004, (y + drift) * 0.0185, 6, 3);
    return step_between(0.47, 0.66, c - 0.0007 * y + 0.03);
}

static struct rgb sky_shader(const void *data, double x, double y)
{
    (void)data;
    double sun = far_from_sun(x, y);
    struct rgb color = clear_sky(y);
    color = rgb_mix(color, rgb_hex(0xffd48f), 0.75 * exp(-sun / 120));
    double density = cloud_density(x, y);
    /* A cloud is bright where it thins out towards the sun. */
    double toward = cloud_density(x + (SCENE_SUN_X - x) * 0.04, y + (SCENE_SUN_Y - y) * 0.06);
    double bright = 0.45 + 0.9 * (density - toward) + 0.55 * exp(-sun / 260);
    struct rgb vapour = rgb_mix(rgb_hex(0x8a8fae), rgb_hex(0xffe2bd), fmin(fmax(bright, 0), 1));
    color = rgb_mix(color, vapour, 0.88 * density);
    color = rgb_mix(color, rgb_hex(0xfff3cf), exp(-sun * sun / 1400));
    return rgb_mix(color, rgb_hex(0xfffdf0), step_between(19, 14, sun));
}

/* ---- Mountains ---- */

struct ridge {
    double base, height, width; /* pixels: the foot, how high peaks rise, how wide they are */
    double valley;              /* how deep the gap before the sun is, 0..1 */
    uint32_t rock, snow;
    double snow_line; /* y above which snow lies */
    double haze;      /* how much of the evening air lies before it, 0..1 */
    uint32_t seed;
};

static double ridge_top(const struct ridge *ridge, double x)
{
    double sharp = 0, weight = 1;
    for (int i = 0; i < 5; i++) {
        double n = noise(x / ridge->width * (1 << i), i * 9.3, ridge->seed + (uint32_t)i);
        sharp += weight * (1 - fabs(2 * n - 1));
        weight *= 0.45;
    }
    double gap = exp(-pow((x - SCENE_SUN_X) / 120, 2)) * ridge->valley;
    return ridge->base - ridge->height * (sharp / 1.75) * (1 - gap);
}

static struct rgb ridge_shader(const void *data, double x, double y)
{
    const struct ridge *ridge = data;
    double depth = y - ridge_top(ridge, x);
    /* Faces turned to the sun: folded noise whose creases run down the slope. */
    double fold = cloud((x + 0.6 * depth) / 34, depth / 95, 5, ridge->seed + 40);
    double fold2 = cloud((x + 0.6 * depth - 5) / 34, depth / 95, 5, ridge->seed + 40);
    double light = 0.5 + 5.0 * (fold2 - fold);
    light = fmin(fmax(light, 0), 1);
    double cold = ridge->snow_line + 70 * (cloud(x / 26, y / 18, 4, ridge->seed + 60) - 0.5);
    struct rgb face = rgb_hex(ridge->rock);
    face = rgb_mix(rgb_scale(face, 0.62), rgb_mix(face, rgb_hex(0xf0b98a), 0.32), light);
    struct rgb white = rgb_mix(rgb_hex(0x8e9cc4), rgb_hex(ridge->snow), light);
    struct rgb color = rgb_mix(face, white, step_between(cold + 8, cold - 8, y));
    double mist = ridge->haze + 0.45 * step_between(ridge->base - 100, ridge->base, y);
    struct rgb air = rgb_mix(rgb_hex(0xb7b4c6), rgb_hex(0xffd09a), exp(-far_from_sun(x, y) / 170));
    return rgb_mix(color, air, fmin(mist, 0.92));
}

static void draw_ridge(struct scene *scene, const struct ridge *ridge)
{
    struct point points[SCENE_WIDTH / 2 + 5];
    size_t count = 0;
    for (int x = -2; x <= SCENE_WIDTH + 2; x += 2)
        points[count++] = (struct point){x, ridge_top(ridge, x)};
    points[count++] = (struct point){SCENE_WIDTH + 2, SCENE_HORIZON + 6};
    points[count++] = (struct point){-2, SCENE_HORIZON + 6};
    outline_polygon(&scene->outline, points, count);
    scene_shade(scene, ridge_shader, ridge);
}

static void draw_mountains(struct scene *scene)
{
    static const struct ridge ridges[] = {
        {266, 205, 250, 0.62, 0x6f7797, 0xfff0dc, 150, 0.42, 12},
        {266, 118, 190, 0.55, 0x5b6680, 0xf6dfc6, 60, 0.26, 29},
        {266, 66, 240, 0.50, 0x47586a, 0xf6dfc6, 0, 0.10, 47},
    };
    scene_segment(scene, MOUNTAIN, false);
    for (size_t i = 0; i < COUNT(ridges); i++)
        draw_ridge(scene, &ridges[i]);
}

/* ---- Water ---- */

static struct rgb water_shader(const void *data, double x, double y)
{
    const struct scene *scene = data;
    double depth = y - SCENE_HORIZON, near = depth / 170;
    double wave = cloud(x * 0.035 / (0.35 + near), depth * 0.55 / (0.22 + near), 3, 5) - 0.5;
    double fine = noise(x * 0.16 / (0.3 + near), depth * 1.9 / (0.3 + near), 8) - 0.5;
    double ripple = wave * (2 + 26 * near) + fine * (1 + 7 * near);
    struct rgb mirrored =
        scene_pixel(scene, x + ripple * 0.5, SCENE_HORIZON - 2 - depth * 1.22 + ripple);
    struct rgb deep = rgb_mix(rgb_hex(0x6f8a95), rgb_hex(0x1d4a5c), fmin(near, 1));
    double clear = 0.22 + 0.42 * near + 0.35 * fmax(-wave - fine * 0.4, 0);
    struct rgb color = rgb_mix(mirrored, deep, fmin(clear, 0.8));
    /* The path of the sun: sparks that thin out to both sides. */
    double path = exp(-pow((x - SCENE_SUN_X) / (16 + 50 * near), 2));
    double spark = step_between(0.02, 0.30, wave + fine * 0.9 + 0.16 * path) * path;
    return rgb_mix(color, rgb_hex(0xffe9b0), fmin(spark * 1.05, 0.95));
}

static void draw_water(struct scene *scene)
{
    scene_segment(scene, WATER, false);
    outline_rect(&scene->outline, -2, SCENE_HORIZON, 790, 190);
    scene_shade(scene, water_shader, scene);
}

/* ---- Meadow and road ---- */

static struct rgb grass_shader(const void *data, double x, double y)
{
    (void)data;
    double near = fmin(fmax((y - 236) / 400, 0), 1), size = 3 + 30 * near;
    struct rgb far = rgb_mix(rgb_hex(0xc2b460), rgb_hex(0x9ba654), step_between(560, 900, x));
    struct rgb color = rgb_mix(far, rgb_hex(0x46661f), sqrt(near));
    double patch = cloud(x / (size * 4), y / (size * 1.4), 4, 21);
    double tuft = cloud(x / size * 1.5, y / size * 1.2, 3, 22);
    color = rgb_mix(color, rgb_hex(0xcfb958), 0.75 * step_between(0.46, 0.75, patch));
    color = rgb_scale(color, 0.72 + 0.5 * tuft);
    return rgb_mix(color, rgb_hex(0xffd58a), 0.18 * exp(-far_from_sun(x, y) / 200));
}

static void draw_meadow(struct scene *scene)
{
    static const struct point meadow[] = {
        {-5, 436},  {50, 428},  {104, 417}, {160, 414}, {232, 405}, {300, 398}, {352, 384},
        {410, 371}, {455, 352}, {520, 336}, {572, 316}, {640, 297}, {688, 279}, {745, 268},
        {800, 259}, {880, 249}, {965, 240}, {965, 645}, {-5, 645}};
    scene->grass = scene_segment(scene, GRASS, false);
    outline_polygon(&scene->outline, meadow, COUNT(meadow));
    scene_shade(scene, grass_shader, NULL);
}

static struct rgb road_shader(const void *data, double x, double y)
{
    (void)data;
    double near = (y - 262) / 380, size = 2 + 22 * near;
    double grit = cloud(x / size * 2, y / size * 3.4, 4, 31);
    double stone = noise(x / (1.5 + 3 * near), y / (1 + 2 * near), 33);
    struct rgb color = rgb_mix(rgb_hex(0xd9b583), rgb_hex(0xa88258), near);
    color = rgb_scale(color, 0.72 + 0.5 * grit);
    color = rgb_mix(color, rgb_hex(0xe8cfa2), 0.6 * step_between(0.78, 0.95, stone));
    return rgb_mix(color, rgb_hex(0x6b5138), 0.5 * step_between(0.22, 0.06, stone));
}

static const struct node road_axis[] = {{452, 672, 104},  {500, 606, 66},   {560, 540, 42},
                                        {604, 486, 28.5}, {618, 446, 20.5}, {608, 410, 14.5},
                                        {604, 380, 10.5}, {630, 352, 8},    {684, 329, 6.4},
                                        {742, 306, 5},    {783, 287, 4},    {806, 272, 3.4}};

static void draw_road(struct scene *scene)
{
    scene_segment(scene, ROAD, false);
    outline_limb(&scene->outline, road_axis, COUNT(road_axis));
    scene_shade(scene, road_shader, NULL);
    /* Two ruts, where the ground is packed and damp. */
    scene->id = 0;
    for (int side = -1; side <= 1; side += 2) {
        struct node rut[COUNT(road_axis)];
        for (size_t i = 0; i < COUNT(rut); i++)
            rut[i] = (struct node){road_axis[i].x + side * 0.42 * road_axis[i].radius,
                                   road_axis[i].y, road_axis[i].radius * 0.15};
        outline_limb(&scene->outline, rut, COUNT(rut));
        scene_flat(scene, rgb_hex(0x70543a), 0.32);
    }
}

/* Where something keeps the low sun off the grass. */
static void draw_shadows(struct scene *scene)
{
    static const double shadows[][4] = {
        {270, 596, 420, 30}, {120, 585, 260, 40}, {880, 276, 120, 9}, {745, 279, 60, 5}};
    scene->id = 0;
    for (size_t i = 0; i < COUNT(shadows); i++)
        scene_glow(scene, shadows[i][0], shadows[i][1], shadows[i][2], shadows[i][3],
                   rgb_hex(0x0d1c10), 0.55);
}

static void draw_rocks(struct scene *scene)
{
    static const double rocks[][3] = {{372, 381, 15}, {392, 377, 9},  {348, 388, 8},
                                      {421, 369, 6},  {404, 381, 5},  {88, 424, 12},
                                      {70, 427, 7},   {334, 393, 4.5}};
    scene_segment(scene, ROCK, false);
    for (size_t i = 0; i < COUNT(rocks); i++) {
        double x = rocks[i][0], y = rocks[i][1], r = rocks[i][2];
        struct point stone[] = {{x - r, y},
                                {x - 0.7 * r, y - 0.6 * r},
                                {x - 0.1 * r, y - 0.85 * r},
                                {x + 0.6 * r, y - 0.6 * r},
                                {x + r, y - 0.05 * r},
                                {x + 0.3 * r, y + 0.18 * r},
                                {x - 0.5 * r, y + 0.15 * r}};
        outline_blob(&scene->outline, stone, COUNT(stone));
        scene_round(scene, rgb_hex(0x8d8684), r * 0.9);
    }
}

void landscape_draw(struct scene *scene)
{
    scene_segment(scene, SKY, false);
    outline_rect(&scene->outline, -2, -2, SCENE_WIDTH + 4, SCENE_HORIZON + 10);
    scene_shade(scene, sky_shader, NULL);
    draw_mountains(scene);
    scene->tree = scene_segment(scene, TREE, false);
    far_wood_draw(scene);
    draw_water(scene);
    draw_meadow(scene);
    scene->id = scene->tree;
    hill_trees_draw(scene);
    draw_shadows(scene);
    draw_rocks(scene);
    draw_road(scene);
    landscape_blades(scene, 250, 636, -4, SCENE_WIDTH + 4, 15000, 5);
    scene_glow(scene, SCENE_SUN_X, SCENE_SUN_Y + 20, 330, 150, rgb_hex(0xffc26e), 0.30);
}
