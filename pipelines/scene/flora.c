/* SPDX-License-Identifier: MIT */
/* Trees, grass blades and flowers. */
#include <math.h>

#include "scene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    FLOWER = 119
};

/* ---- Trees ---- */

static void leaf(struct scene *scene, double x, double y, double size, double angle,
                 struct rgb color)
{
    static const struct point shape[] = {{-1, 0.1}, {-0.4, -0.5}, {0.5, -0.45},
                                         {1, 0.05}, {0.4, 0.5},   {-0.5, 0.45}};
    outline_place(&scene->outline, x, y, size, size * 0.75, angle);
    outline_polygon(&scene->outline, shape, COUNT(shape));
    outline_place(&scene->outline, 0, 0, 1, 1, 0);
    scene_flat(scene, color, 1);
}

/* Leaves in an ellipse, dark ones first, sunlit ones last, above and on the side of the sun. */
struct foliage {
    double x, y, radius_x, radius_y;
    double leaf; /* pixels */
    int count;
    uint32_t dark, light;
    uint64_t seed;
};

static void draw_foliage(struct scene *scene, const struct foliage *f)
{
    struct dice dice = {f->seed};
    double side = f->x < SCENE_SUN_X ? 1 : -1;
    for (int i = 0; i < f->count; i++) {
        double layer = (double)i / f->count;
        double angle = dice_range(&dice, 0, 6.2831853), away = sqrt(dice_unit(&dice));
        double u = away * cos(angle) + 0.22 * layer * side, v = away * sin(angle) - 0.26 * layer;
        double sun = 0.5 + 0.42 * u * side - 0.42 * v + dice_range(&dice, -0.22, 0.22);
        double t = fmin(fmax(sun * (0.35 + 0.65 * layer), 0), 1);
        struct rgb color = rgb_mix(rgb_hex(f->dark), rgb_hex(f->light), t);
        double turn = dice_range(&dice, 0, 3.14159), size = f->leaf * dice_range(&dice, 0.6, 1.3);
        leaf(scene, f->x + u * f->radius_x, f->y + v * f->radius_y, size, turn, color);
    }
}

static void conifer(struct scene *scene, double x, double foot, double height, uint64_t seed)
{
    struct dice dice = {seed};
    int rows = 5 + (int)(height / 4);
    for (int i = 0; i < rows; i++) {
        double t = (double)i / rows, half = height * 0.21 * (0.12 + t);
        double y = foot - height * (1 - t);
        double lean = dice_range(&dice, -0.06, 0.06) * height * 0.3;
        double left = half * dice_range(&dice, 0.75, 1.2),
               right = half * dice_range(&dice, 0.75, 1.2);
        struct point bough[] = {
            {x + lean * 0.2, y - height * 0.1},   {x + right, y + height * 0.075},
            {x + right * 0.3, y + height * 0.05}, {x, y + height * 0.08},
            {x - left * 0.4, y + height * 0.05},  {x - left, y + height * 0.08}};
        outline_polygon(&scene->outline, bough, COUNT(bough));
        double shade = dice_range(&dice, 0, 0.25);
        scene_flat(scene, rgb_mix(rgb_hex(0x22372f), rgb_hex(0x4a5a34), shade + 0.3 * (1 - t)), 1);
        /* The sunny side of the bough. */
        outline_line(&scene->outline, x - left * 0.15, y, x - left * 0.8, y + height * 0.06,
                     height * 0.014);
        scene_flat(scene, rgb_hex(0x8c7d3c), 0.5);
    }
}

/* The wood on the far shore, hazy, and the hill's own trees. */
void far_wood_draw(struct scene *scene)
{
    struct dice dice = {77};
    struct point shore[] = {{-5, 252},  {180, 256}, {330, 259}, {520, 257},
                            {760, 250}, {965, 240}, {965, 268}, {-5, 267}};
    outline_polygon(&scene->outline, shore, COUNT(shore));
    scene_flat(scene, rgb_hex(0x5c6a5a), 1);
    for (double x = -6; x < 770; x += dice_range(&dice, 2.2, 5.5)) {
        double near_sun = exp(-pow((x - SCENE_SUN_X) / 130, 2));
        double height = dice_range(&dice, 7, 19) * (1 - 0.45 * near_sun);
        double shade = dice_range(&dice, 0, 1);
        struct rgb color = rgb_mix(rgb_hex(0x3d5350), rgb_hex(0x6d7a5a), shade);
        color = rgb_mix(color, rgb_hex(0xe2ab76), 0.15 + 0.5 * near_sun);
        double y = 262 - 0.004 * fabs(x - 300);
        struct point tree[] = {{x, y - height}, {x + height * 0.24, y}, {x - height * 0.24, y}};
        outline_polygon(&scene->outline, tree, COUNT(tree));
        scene_flat(scene, color, 1);
    }
}

void hill_trees_draw(struct scene *scene)
{
    static const double firs[][3] = {{690, 278, 52}, {708, 274, 70}, {726, 271, 58}, {741, 267, 78},
                                     {676, 282, 36}, {951, 244, 84}, {935, 246, 66}};
    for (size_t i = 0; i < COUNT(firs); i++)
        conifer(scene, firs[i][0], firs[i][1], firs[i][2], 900 + i);
    static const struct foliage crowns[] = {
        {893, 196, 46, 40, 3.4, 900, 0x1f3417, 0xc0a53f, 61},
        {862, 214, 30, 30, 3.2, 480, 0x1f3417, 0xb49d3e, 62},
        {925, 222, 34, 28, 3.2, 460, 0x203617, 0xa2923a, 63},
    };
    static const struct node trunk[] = {{893, 260, 5}, {892, 236, 4}, {894, 205, 3}};
    outline_limb(&scene->outline, trunk, COUNT(trunk));
    scene_round(scene, rgb_hex(0x5a4330), 5);
    for (size_t i = 0; i < COUNT(crowns); i++)
        draw_foliage(scene, &crowns[i]);
}

/* The old tree that frames the picture. */
void big_tree_draw(struct scene *scene)
{
    static const struct node trunk[] = {{12, 668, 44},   {30, 600, 28}, {38, 500, 21},
                                        {42, 380, 17.5}, {44, 270, 16}, {38, 150, 13},
                                        {24, 30, 9}};
    static const struct node boughs[][4] = {
        {{44, 300, 9}, {76, 226, 7}, {130, 160, 4.6}, {212, 112, 1.6}},
        {{42, 230, 8}, {74, 160, 6}, {120, 90, 4}, {170, 30, 2}},
        {{42, 330, 7}, {20, 270, 5}, {-4, 230, 4}, {-30, 200, 3}},
    };
    static const struct foliage crowns[] = {
        {10, 190, 62, 46, 5.0, 620, 0x15280f, 0x9fa53a, 201},
        {30, 100, 90, 70, 5.2, 1150, 0x15280f, 0xaeb040, 202},
        {120, 60, 90, 56, 5.2, 1050, 0x182c10, 0xc2bd48, 203},
        {70, 12, 130, 46, 5.2, 1000, 0x15280f, 0xaeb040, 204},
        {196, 84, 52, 34, 4.8, 480, 0x1c3012, 0xd6c955, 205},
        {224, 30, 60, 30, 4.8, 460, 0x1c3012, 0xd0c550, 206},
        {232, 112, 30, 17, 4.4, 130, 0x22370f, 0xdccf5c, 207},
        {132, 132, 40, 20, 4.6, 190, 0x1c3012, 0xb9b745, 208},
    };
    scene->id = scene->tree;
    outline_limb(&scene->outline, trunk, COUNT(trunk));
    scene_round(scene, rgb_hex(0x6b5038), 26);
    struct dice dice = {88};
    scene->id = 0;
    for (int i = 0; i < 260; i++) { /* bark */
        double y = dice_range(&dice, 170, 640), t = (y - 150) / 490, half = 13 + 13 * t * t;
        double x = 42 - 8 * t * t * t + dice_range(&dice, -0.85, 0.85) * half;
        double down = dice_range(&dice, 6, 20), aside = dice_range(&dice, -1.5, 1.5);
        outline_line(&scene->outline, x, y, x + aside, y + down, 0.7);
        scene_flat(scene, rgb_hex(dice_unit(&dice) < 0.6 ? 0x2c1e14 : 0xc29a6a), 0.45);
    }
    scene->id = scene->tree;
    for (size_t i = 0; i < COUNT(boughs); i++) {
        outline_limb(&scene->outline, boughs[i], 4);
        scene_round(scene, rgb_hex(0x5d4632), 8);
    }
    for (size_t i = 0; i < COUNT(crowns); i++)
        draw_foliage(scene, &crowns[i]);
}

/* ---- Grass ---- */

static struct rgb blade_color(double x, double y, struct dice *dice)
{
    double near = fmin(fmax((y - 250) / 390, 0), 1);
    double gold = 0.30 + 0.55 * step_between(0.42, 0.72, cloud(x / 70, y / 34, 3, 21));
    struct rgb green = rgb_mix(rgb_hex(0x8d9c48), rgb_hex(0x3d5d1a), near);
    struct rgb color = rgb_mix(green, rgb_hex(0xdcc66a), gold * dice_unit(dice));
    return rgb_scale(color, dice_range(dice, 0.7, 1.18));
}

void landscape_blades(struct scene *scene, double top, double bottom, double left, double right,
                      int count, uint64_t seed)
{
    struct dice dice = {seed};
    scene->id = scene->grass;
    for (int i = 0; i < count; i++) {
        double x = dice_range(&dice, left, right);
        double y = top + (bottom - top) * (i + dice_unit(&dice)) / count;
        double near = fmax((y - 240) / 400, 0);
        double height = (2.5 + 17 * near) * dice_range(&dice, 0.5, 1.25);
        double lean = height * dice_range(&dice, -0.35, 0.6), foot = 0.35 + 1.0 * near;
        struct rgb color = blade_color(x, y, &dice);
        int column = (int)x, row = (int)y;
        if (column < 0 || column >= SCENE_WIDTH || row < 0 || row >= SCENE_HEIGHT ||
            scene->ids[row * SCENE_WIDTH + column] != scene->grass)
            continue;
        struct point blade[] = {{x - foot, y}, {x + lean, y - height}, {x + foot, y}};
        outline_polygon(&scene->outline, blade, COUNT(blade));
        scene_flat(scene, color, 0.85);
    }
}

/* ---- Flowers ---- */

static void flower(struct scene *scene, double x, double y, double size, uint32_t petals,
                   uint32_t heart, struct dice *dice)
{
    double lean = dice_range(dice, -0.4, 0.4) * size, height = size * dice_range(dice, 1.8, 3.2);
    struct node stem[] = {{x, y, size * 0.09},
                          {x + lean * 0.3, y - height / 2, size * 0.09},
                          {x + lean, y - height, size * 0.09}};
    outline_limb(&scene->outline, stem, COUNT(stem));
    scene_flat(scene, rgb_hex(0x4b6a22), 1);
    double turn = dice_range(dice, 0, 1.2566);
    for (int i = 0; i < 5; i++) {
        double angle = turn + i * 1.25663706;
        outline_place(&scene->outline, x + lean, y - height, size, size * 0.72, 0);
        outline_ellipse(&scene->outline, 0.36 * cos(angle), 0.36 * sin(angle), 0.34, 0.34);
        outline_place(&scene->outline, 0, 0, 1, 1, 0);
        scene_flat(scene, rgb_scale(rgb_hex(petals), 0.82 + 0.22 * dice_unit(dice)), 1);
    }
    outline_ellipse(&scene->outline, x + lean, y - height, size * 0.2, size * 0.15);
    scene_flat(scene, rgb_hex(heart), 1);
}

void flowers_draw(struct scene *scene)
{
    static const struct {
        double left, right, top, bottom;
        int count;
    } beds[] = {{640, 965, 560, 652, 120}, {700, 900, 535, 560, 22}, {60, 372, 604, 652, 62}};
    static const uint32_t kinds[][2] = {
        {0xe2402c, 0x2a1712}, {0xfff6e6, 0xf2b632}, {0x6f86d6, 0x39407c}, {0xf7cf4a, 0x9c6a1c}};
    scene_segment(scene, FLOWER, false);
    struct dice dice = {314};
    for (size_t bed = 0; bed < COUNT(beds); bed++)
        for (int i = 0; i < beds[bed].count; i++) {
            double t = (i + dice_unit(&dice)) / beds[bed].count;
            double y = beds[bed].top + (beds[bed].bottom - beds[bed].top) * t;
            double x = dice_range(&dice, beds[bed].left, beds[bed].right);
            size_t kind = dice_bits(&dice) >> 16 & 3;
            if (noise(x / 60, y / 30, 66) > 0.45)
                kind = 0; /* poppies grow together */
            flower(scene, x, y, 3 + (y - 520) * 0.055, kinds[kind][0], kinds[kind][1], &dice);
        }
}
