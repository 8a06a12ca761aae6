/* SPDX-License-Identifier: MIT */
/* People and animals: limbs are tubes, drawn from the far side to the near one. Animals look to the
 * left; a unit is 1/100 of a horse's height at the withers, the feet stand at y = 0. */
#include <math.h>

#include "scene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    PERSON = 1,
    BIRD = 16,
    DOG = 18,
    HORSE = 19,
    SHEEP = 20,
    UMBRELLA = 28,
    KITE = 38
};

/* One limb of a figure. */
struct part {
    uint32_t hex;
    double bevel; /* units over which it rounds; 0: flat */
    int count;
    struct node nodes[6];
};

static void draw_parts(struct scene *scene, const struct part *parts, size_t count, double x,
                       double y, double scale)
{
    for (size_t i = 0; i < count; i++) {
        outline_place(&scene->outline, x, y, scale, fabs(scale), 0);
        outline_limb(&scene->outline, parts[i].nodes, (size_t)parts[i].count);
        outline_place(&scene->outline, 0, 0, 1, 1, 0);
        if (parts[i].bevel > 0)
            scene_round(scene, rgb_hex(parts[i].hex), fmax(2, parts[i].bevel * fabs(scale)));
        else
            scene_flat(scene, rgb_hex(parts[i].hex), 1);
    }
}

static void blob(struct scene *scene, const struct point *points, size_t count, double x, double y,
                 double scale, uint32_t hex, double bevel)
{
    outline_place(&scene->outline, x, y, scale, fabs(scale), 0);
    outline_blob(&scene->outline, points, count);
    outline_place(&scene->outline, 0, 0, 1, 1, 0);
    scene_round(scene, rgb_hex(hex), fmax(2, bevel * fabs(scale)));
}

#define BLOB(scene, x, y, scale, hex, bevel, ...)                                                  \
    blob(scene, (const struct point[]){__VA_ARGS__}, COUNT(((const struct point[]){__VA_ARGS__})), \
         x, y, scale, hex, bevel)

static void shadow(struct scene *scene, double x, double y, double radius_x, double radius_y)
{
    double away = x < SCENE_SUN_X ? -0.35 : 0.35;
    scene_glow(scene, x + radius_x * away, y, radius_x, radius_y, rgb_hex(0x0f1d0c), 0.62);
}

/* ---- Horses ---- */

struct coat {
    uint32_t body, far, hair, hoof;
};

static void draw_far_legs(struct scene *scene, const struct coat *c, double x, double y, double s)
{
    const struct part parts[] = {
        {c->far, 5, 4, {{-27, -58, 9}, {-24, -38, 5}, {-23, -20, 3.5}, {-22, -5, 3.2}}},
        {c->hoof, 2, 2, {{-22, -3.5, 3.4}, {-24, -1.5, 3.6}}},
        {c->far,
         5,
         5,
         {{33, -62, 13}, {35, -45, 7.5}, {41, -33, 4.6}, {37, -18, 3.5}, {36, -5, 3.2}}},
        {c->hoof, 2, 2, {{36, -3.5, 3.4}, {34, -1.5, 3.6}}},
    };
    draw_parts(scene, parts, COUNT(parts), x, y, s);
}

static void draw_near_legs(struct scene *scene, const struct coat *c, double x, double y, double s)
{
    const struct part parts[] = {
        {c->body,
         6,
         5,
         {{-36, -64, 11}, {-37, -48, 7}, {-37, -36, 5}, {-38, -18, 3.6}, {-38, -5, 3.4}}},
        {c->hoof, 2, 2, {{-38, -3.5, 3.7}, {-40, -1.6, 3.9}}},
        {c->body,
         8,
         6,
         {{40, -74, 16},
          {42, -58, 12},
          {45, -45, 7.5},
          {51, -34, 5},
          {47, -18, 3.7},
          {47, -5, 3.4}}},
        {c->hoof, 2, 2, {{47, -3.5, 3.7}, {45, -1.6, 3.9}}},
    };
    draw_parts(scene, parts, COUNT(parts), x, y, s);
}

/* Trunk and neck are one outline, so that no crease runs between them. */
static void draw_trunk(struct scene *scene, const struct coat *c, double x, double y, double s,
                       bool grazes)
{
    static const struct point high_neck[] = {{-14, -94},  {-30, -108}, {-42, -122}, {-58, -138},
                                             {-68, -142}, {-76, -136}, {-76, -126}, {-68, -112},
                                             {-62, -98},  {-56, -78},  {-40, -70},  {-20, -76}};
    static const struct point low_neck[] = {{-22, -96}, {-44, -92}, {-58, -74}, {-70, -54},
                                            {-80, -44}, {-84, -36}, {-78, -28}, {-68, -32},
                                            {-56, -44}, {-48, -56}, {-30, -62}};
    outline_place(&scene->outline, x, y, s, fabs(s), 0);
    if (grazes)
        outline_blob(&scene->outline, low_neck, COUNT(low_neck));
    else
        outline_blob(&scene->outline, high_neck, COUNT(high_neck));
    BLOB(scene, x, y, s, c->body, 17, {-54, -76}, {-46, -93}, {-30, -99}, {-12, -93}, {8, -92},
         {28, -98}, {46, -95}, {57, -82}, {55, -66}, {44, -56}, {22, -52}, {-4, -50}, {-28, -52},
         {-46, -60});
}

static void draw_tail(struct scene *scene, const struct coat *c, double x, double y, double s)
{
    const struct part parts[] = {
        {c->hair, 4, 5, {{53, -90, 3.2}, {61, -78, 5}, {63, -58, 6}, {61, -38, 4.5}, {57, -24, 1}}},
        {c->hair, 3, 4, {{55, -86, 3}, {66, -66, 3}, {67, -46, 2.6}, {63, -30, 0.8}}},
    };
    draw_parts(scene, parts, COUNT(parts), x, y, s);
}

static void draw_far_ear(struct scene *scene, const struct coat *c, double x, double y, double s)
{
    const struct part ear[] = {{c->far, 2, 2, {{-68, -137, 2.6}, {-70, -146, 0.7}}}};
    draw_parts(scene, ear, COUNT(ear), x, y, s);
}

static void draw_high_head(struct scene *scene, const struct coat *c, double x, double y, double s)
{
    BLOB(scene, x, y, s, c->body, 8, {-62, -139}, {-72, -142}, {-80, -132}, {-90, -116},
         {-97, -106}, {-97, -99}, {-90, -96}, {-82, -101}, {-74, -110}, {-64, -118}, {-58, -128});
    const struct part parts[] = {
        {c->body, 2, 2, {{-63, -138, 3}, {-62, -149, 0.7}}},
        {c->hair,
         3,
         5,
         {{-64, -143, 3}, {-54, -137, 4.6}, {-44, -124, 5.6}, {-34, -110, 5.2}, {-26, -100, 2}}},
        {c->hair, 2, 3, {{-68, -144, 2.2}, {-74, -136, 2.2}, {-76, -129, 0.7}}},
        {0x1a1210, 0, 2, {{-76.5, -128, 1.7}, {-77.5, -127, 1.5}}},
        {c->far, 0, 2, {{-94.5, -104, 1.2}, {-93.8, -102.6, 1}}},
    };
    draw_parts(scene, parts, COUNT(parts), x, y, s);
}

static void draw_low_head(struct scene *scene, const struct coat *c, double x, double y, double s)
{
    BLOB(scene, x, y, s, c->body, 8, {-72, -50}, {-82, -50}, {-88, -40}, {-92, -24}, {-96, -12},
         {-95, -4}, {-88, -2}, {-82, -8}, {-76, -20}, {-70, -32}, {-68, -42});
    const struct part parts[] = {
        {c->body, 2, 2, {{-76, -50, 3}, {-82, -58, 0.7}}},
        {c->hair,
         3,
         5,
         {{-80, -51, 2.6}, {-70, -62, 4.8}, {-58, -78, 5.4}, {-46, -92, 4.8}, {-34, -98, 2}}},
        {0x1a1210, 0, 2, {{-84, -34, 1.7}, {-84.6, -33, 1.5}}},
        {c->far, 0, 2, {{-92, -8, 1.2}, {-91.4, -6.6, 1}}},
    };
    draw_parts(scene, parts, COUNT(parts), x, y, s);
}

static void draw_horse(struct scene *scene, const struct coat *coat, double x, double y,
                       double scale, bool grazes)
{
    scene->id = 0;
    shadow(scene, x, y - 2, 85 * fabs(scale), 11 * fabs(scale));
    scene_segment(scene, HORSE, false);
    draw_far_legs(scene, coat, x, y - 4 * fabs(scale), scale);
    draw_tail(scene, coat, x, y, scale);
    if (!grazes)
        draw_far_ear(scene, coat, x, y, scale);
    draw_trunk(scene, coat, x, y, scale, grazes);
    draw_near_legs(scene, coat, x, y, scale);
    if (grazes)
        draw_low_head(scene, coat, x, y, scale);
    else
        draw_high_head(scene, coat, x, y, scale);
}

/* ---- Dog and sheep ---- */

static void draw_dog(struct scene *scene, double x, double y, double scale)
{
    static const uint32_t coat = 0xd08a3e, far = 0x8d5a28, white = 0xfff0dc, dark = 0x241a16;
    const struct part back[] = {
        {far, 4, 3, {{-18, -24, 6}, {-15, -12, 3.4}, {-20, -1, 3}}},
        {far, 4, 4, {{22, -26, 8}, {20, -15, 4.4}, {25, -9, 3}, {21, -1, 3}}},
        {coat, 4, 5, {{32, -38, 4}, {41, -47, 4.4}, {47, -59, 5}, {44, -69, 4}, {38, -73, 1.4}}},
        {white, 3, 2, {{44, -69, 3.6}, {38, -73, 1.4}}},
        {coat, 10, 4, {{-20, -36, 14.5}, {-4, -34, 13}, {14, -35, 12}, {25, -36, 12}}},
        {white, 5, 3, {{-31, -36, 7}, {-27, -27, 8}, {-18, -25, 6}}},
    };
    const struct part front[] = {
        {coat, 5, 4, {{-24, -28, 8}, {-25, -15, 4.2}, {-25, -8, 3.4}, {-26, -2, 3.2}}},
        {white, 3, 2, {{-25, -6, 3.5}, {-29, -1.5, 3.2}}},
        {coat, 6, 5, {{27, -32, 11}, {29, -20, 6.6}, {34, -12, 4}, {31, -6, 3.4}, {30, -2, 3.2}}},
        {white, 3, 2, {{31, -5, 3.5}, {27, -1.5, 3.2}}},
        {coat, 8, 3, {{-20, -42, 11}, {-30, -54, 9}, {-34, -62, 9.5}}},
        {white, 5, 3, {{-36, -60, 7}, {-46, -56, 5.4}, {-52, -55, 4.2}}},
        {coat, 5, 2, {{-35, -65, 8.4}, {-42, -62, 5}}},
        {far, 3, 3, {{-29, -69, 3.6}, {-22, -64, 4.4}, {-20, -56, 2.4}}},
        {dark, 0, 2, {{-55, -57, 2.3}, {-56, -56.6, 2}}},
        {dark, 0, 2, {{-42, -63.5, 1.5}, {-42.4, -63.2, 1.4}}},
        {dark, 0, 3, {{-54, -52, 0.6}, {-49, -50.6, 0.7}, {-45, -52, 0.5}}},
        {0xc23b32, 2, 3, {{-24, -58, 2.2}, {-28, -52, 2.4}, {-36, -49, 2}}},
    };
    scene->id = 0;
    shadow(scene, x, y - 1, 46 * fabs(scale), 7 * fabs(scale));
    scene_segment(scene, DOG, false);
    draw_parts(scene, back, COUNT(back), x, y, scale);
    draw_parts(scene, front, COUNT(front), x, y, scale);
}

static void draw_sheep(struct scene *scene, double x, double y, double scale, uint64_t seed)
{
    static const uint32_t face = 0x4a3d3a;
    const struct part legs[] = {
        {face, 2, 2, {{-18, -20, 3.4}, {-19, -1, 2.8}}},
        {face, 2, 2, {{-9, -20, 3.4}, {-8, -2, 2.8}}},
        {face, 2, 2, {{17, -20, 3.4}, {16, -2, 2.8}}},
        {face, 2, 2, {{24, -20, 3.4}, {25, -1, 2.8}}},
    };
    const struct part head[] = {
        {face, 5, 3, {{-33, -44, 7.5}, {-39, -40, 6.6}, {-44, -35, 5}}},
        {face, 2, 2, {{-30, -47, 3}, {-22, -48, 2}}},
        {0xf7ead2, 3, 2, {{-34, -51, 5}, {-29, -52, 5}}},
    };
    struct dice dice = {seed};
    int32_t id = scene->id;
    scene->id = 0;
    shadow(scene, x, y - 1, 40 * fabs(scale), 7 * fabs(scale));
    scene->id = id;
    draw_parts(scene, legs, COUNT(legs), x, y, scale);
    outline_place(&scene->outline, x, y, scale, fabs(scale), 0);
    outline_ellipse(&scene->outline, 2, -34, 29, 18);
    for (int i = 0; i < 18; i++) {
        double angle = i * 0.34906585;
        double high = dice_range(&dice, 4.5, 7), wide = dice_range(&dice, 4.5, 7);
        outline_ellipse(&scene->outline, 2 + 27 * cos(angle), -34 + 16 * sin(angle), wide, high);
    }
    scene_round(scene, rgb_hex(0xf2e4cb), fmax(2, 16 * fabs(scale)));
    outline_place(&scene->outline, 0, 0, 1, 1, 0);
    draw_parts(scene, head, COUNT(head), x, y, scale);
}

static void draw_flock(struct scene *scene)
{
    static const double members[][3] = {{846, 302, -0.17}, {868, 300, 0.17}, {893, 296, 0.17},
                                        {918, 298, -0.17}, {832, 311, 0.20}, {858, 310, 0.20},
                                        {884, 306, -0.19}, {908, 307, 0.20}, {936, 305, 0.19},
                                        {846, 321, -0.23}, {874, 318, 0.23}, {900, 318, 0.23},
                                        {928, 317, -0.23}};
    scene_segment(scene, SHEEP, true);
    for (size_t i = 0; i < COUNT(members); i++)
        draw_sheep(scene, members[i][0], members[i][1], members[i][2], 50 + i);
}

/* ---- Birds ---- */

static void draw_flying_bird(struct scene *scene, double x, double y, double scale)
{
    static const struct part parts[] = {
        {0x3c4450, 0, 4, {{0, 0, 2.6}, {-9, -7, 2.4}, {-18, -8, 1.5}, {-27, -3, 0.5}}},
        {0x3c4450, 0, 4, {{0, 0, 2.6}, {8, -9, 2.4}, {16, -12, 1.5}, {25, -9, 0.5}}},
        {0xf1e3d3, 2, 3, {{-7, 3, 1.6}, {0, 1, 3}, {9, 2, 1}}},
        {0xe8a04a, 0, 2, {{-8, 3, 0.9}, {-10.5, 3.8, 0.5}}},
    };
    scene_segment(scene, BIRD, false);
    draw_parts(scene, parts, COUNT(parts), x, y, scale);
}

static void draw_swan(struct scene *scene, double x, double y, double scale)
{
    static const struct part parts[] = {
        {0xf4efe6,
         3,
         6,
         {{-19, -8, 4.6},
          {-24, -17, 3.6},
          {-21, -27, 3},
          {-22, -35, 3},
          {-28, -38, 3.2},
          {-31, -36, 2.6}}},
        {0xe58b2f, 0, 2, {{-33, -35, 1.8}, {-39, -33, 1}}},
        {0x1c1715, 0, 2, {{-32.6, -37, 1.1}, {-33.4, -36, 0.9}}},
    };
    scene->id = 0;
    outline_ellipse(&scene->outline, x, y + 7 * scale, 24 * scale, 6 * scale);
    scene_flat(scene, rgb_hex(0xf0e6da), 0.30);
    scene_segment(scene, BIRD, false);
    draw_parts(scene, parts, 1, x, y, scale);
    BLOB(scene, x, y, scale, 0xfbf6ec, 8, {-25, -2}, {-22, -12}, {-10, -17}, {4, -20}, {18, -19},
         {31, -15}, {25, -5}, {14, 1}, {-12, 2});
    BLOB(scene, x, y, scale, 0xffffff, 5, {-12, -12}, {2, -19}, {20, -19}, {32, -19}, {20, -9},
         {2, -6});
    draw_parts(scene, parts + 1, COUNT(parts) - 1, x, y, scale);
}

/* ---- People ---- */

static void draw_walker(struct scene *scene, double x, double y, double scale)
{
    static const uint32_t skin = 0xf0b68d, hair = 0x59331f, boots = 0x5b3726;
    const struct part behind[] = {
        {skin, 3, 3, {{5, -34, 4.6}, {9, -18, 3.6}, {13, -7, 3}}},
        {boots, 3, 3, {{11, -14, 4}, {14, -4, 3.6}, {9, -2, 3}}},
        {skin, 3, 3, {{-5, -34, 4.6}, {-7, -18, 3.8}, {-8, -6, 3}}},
        {boots, 3, 3, {{-7.5, -14, 4}, {-8, -4, 3.8}, {-13, -2, 3}}},
        {hair, 4, 3, {{3, -99, 7}, {7, -90, 5.4}, {8, -80, 3}}},
        {skin, 2, 2, {{0, -90, 3.2}, {0, -84, 3.6}}},
    };
    draw_parts(scene, behind, COUNT(behind), x, y, scale);
    BLOB(scene, x, y, scale, 0xf4c542, 8, {-8, -85}, {0, -88}, {8, -85}, {9, -70}, {8, -60},
         {14, -44}, {19, -31}, {4, -28}, {-12, -30}, {-18, -32}, {-12, -46}, {-8, -60}, {-9, -72});
    const struct part front[] = {
        {skin, 5, 2, {{-1.5, -99, 7}, {-2.5, -96, 6}}},
        {hair, 3, 4, {{-6, -105, 3}, {0, -107, 4.4}, {6, -102, 4.6}, {7, -94, 3}}},
        {0x3b2418, 0, 2, {{-5.4, -98.8, 1.0}, {-5.6, -98.2, 1.0}}},
        {0xc04f45, 0, 2, {{-6.6, -93.6, 0.7}, {-4.4, -93.2, 0.6}}},
        {0x3d7fa6, 0, 2, {{-8.6, -61, 1.6}, {8.4, -61, 1.6}}},
        {0xf0d070, 3, 3, {{7, -82, 4.2}, {10, -72, 3.8}, {3, -66, 3}}},
        {skin, 2, 3, {{6, -68, 2.8}, {-3, -69, 2.4}, {-9, -73, 2.6}}},
    };
    draw_parts(scene, front, COUNT(front), x, y, scale);
}

static void draw_umbrella(struct scene *scene, double x, double y, double scale)
{
    static const uint32_t panels[] = {0xf26a52, 0xd8402f, 0xb93127, 0x962622};
    scene_segment(scene, UMBRELLA, false);
    outline_place(&scene->outline, x, y, scale, scale, -0.10);
    outline_line(&scene->outline, 0, -3, 0, -78, 0.9);
    scene_flat(scene, rgb_hex(0x4b3526), 1);
    for (size_t i = 0; i < COUNT(panels); i++) {
        double left = -42 + 21.0 * (double)i, right = left + 21;
        struct point panel[15];
        size_t count = 0;
        for (int k = 0; k <= 6; k++) { /* up the left rib */
            double a = k * 0.2617993878;
            panel[count++] = (struct point){left * cos(a), -44 - 33 * sin(a)};
        }
        for (int k = 5; k >= 0; k--) {
            double a = k * 0.2617993878;
            panel[count++] = (struct point){right * cos(a), -44 - 33 * sin(a)};
        }
        panel[count++] = (struct point){(left + right) / 2 + 3, -48.5};
        panel[count++] = (struct point){(left + right) / 2 - 3, -48.5};
        outline_polygon(&scene->outline, panel, count);
        scene_flat(scene, rgb_hex(panels[i]), 1);
    }
    outline_line(&scene->outline, 0, -77, 0, -82, 1.1);
    scene_flat(scene, rgb_hex(0x4b3526), 1);
    outline_place(&scene->outline, 0, 0, 1, 1, 0);
}

static void draw_kite_flyer(struct scene *scene, double x, double y, double scale)
{
    static const uint32_t skin = 0xd99a6c, hair = 0x2c1c14, jeans = 0x3c5a8c, shirt = 0xe2503c;
    const struct part parts[] = {
        {skin, 3, 3, {{3, -74, 3.4}, {13, -85, 3}, {20, -96, 2.6}}},
        {shirt, 3, 2, {{3, -74, 4.6}, {10, -82, 4}}},
        {0x2c3f63, 5, 4, {{4, -42, 7.5}, {9, -26, 5.4}, {20, -17, 4.2}, {27, -19, 3.4}}},
        {0xf3ece0, 3, 2, {{27, -18, 3.8}, {30, -24, 3}}},
        {jeans, 6, 4, {{-4, -42, 7.5}, {-8, -26, 5.6}, {-7, -12, 4.2}, {-8, -5, 3.6}}},
        {0xf3ece0, 3, 2, {{-8, -3.4, 3.6}, {-14, -2.6, 3.2}}},
        {shirt, 8, 4, {{0, -46, 8.4}, {-1, -56, 9}, {-1, -66, 9.6}, {0, -72, 8}}},
        {0xf7e0c0, 0, 2, {{-8.6, -60, 1.3}, {7.4, -60, 1.3}}},
        {skin, 2, 2, {{0, -80, 3.4}, {0, -76, 3.6}}},
        {skin, 5, 2, {{-0.5, -90, 8}, {-1, -87, 7}}},
        {hair, 4, 5, {{-7, -94, 2.6}, {-3, -98, 4}, {4, -97, 4.6}, {7, -91, 3.6}, {6, -86, 2}}},
        {0x1d1310, 0, 2, {{-6, -89, 1}, {-6.1, -88.6, 1}}},
        {shirt, 3, 3, {{-6, -72, 4.8}, {-15, -78, 4}, {-19, -83, 3.6}}},
        {skin, 3, 3, {{-19, -83, 3}, {-24, -92, 2.7}, {-25, -98, 3}}},
    };
    scene->id = 0;
    shadow(scene, x, y, 40 * scale, 6 * scale);
    scene_segment(scene, PERSON, false);
    draw_parts(scene, parts, COUNT(parts), x, y, scale);
}

/* The line is thinner than a pixel, so the annotation leaves it out. */
static void draw_kite(struct scene *scene, double x, double y, double hand_x, double hand_y)
{
    scene->id = 0;
    cairo_set_source_rgba(scene->cr, 1, 0.97, 0.9, 0.75);
    cairo_set_line_width(scene->cr, 0.8);
    cairo_move_to(scene->cr, hand_x, hand_y);
    cairo_curve_to(scene->cr, hand_x + 18, hand_y - 120, x - 60, y + 150, x, y + 8);
    cairo_stroke(scene->cr);
    scene_segment(scene, KITE, false);
    outline_place(&scene->outline, x, y, 1, 1, 0.42);
    static const struct node tail[] = {
        {0, 38, 0.9}, {7, 54, 0.9}, {-3, 70, 0.9}, {8, 88, 0.9}, {1, 104, 0.9}};
    outline_limb(&scene->outline, tail, COUNT(tail));
    scene_flat(scene, rgb_hex(0xfff4df), 1);
    static const uint32_t bows[] = {0xf2b632, 0xd8402f, 0x2f8f8a, 0xf2b632};
    for (size_t i = 0; i < COUNT(bows); i++) {
        struct node knot = tail[i + 1];
        struct point bow[] = {{knot.x - 6, knot.y - 3.4}, {knot.x, knot.y},
                              {knot.x + 6, knot.y - 3.4}, {knot.x + 6, knot.y + 3.4},
                              {knot.x, knot.y},           {knot.x - 6, knot.y + 3.4}};
        outline_polygon(&scene->outline, bow, COUNT(bow));
        scene_flat(scene, rgb_hex(bows[i]), 1);
    }
    static const struct point quarters[][3] = {{{0, -34}, {-27, -6}, {0, -6}},
                                               {{0, -34}, {27, -6}, {0, -6}},
                                               {{-27, -6}, {0, -6}, {0, 40}},
                                               {{27, -6}, {0, -6}, {0, 40}}};
    static const uint32_t cloth[] = {0xf7c63f, 0xe4502f, 0xd53e2a, 0xf2b632};
    for (size_t i = 0; i < COUNT(quarters); i++) {
        outline_polygon(&scene->outline, quarters[i], 3);
        scene_flat(scene, rgb_hex(cloth[i]), 1);
    }
    outline_line(&scene->outline, 0, -34, 0, 40, 0.8);
    outline_line(&scene->outline, -27, -6, 27, -6, 0.8);
    scene_flat(scene, rgb_hex(0x7a2a1c), 1);
    outline_place(&scene->outline, 0, 0, 1, 1, 0);
}

static void draw_people(struct scene *scene)
{
    scene->id = 0;
    shadow(scene, 612, 484, 38, 7);
    scene_segment(scene, PERSON, false);
    draw_walker(scene, 610, 486, 1.12);
    draw_umbrella(scene, 599, 404, 1.12);
    draw_dog(scene, 556, 514, 0.70);
    draw_kite_flyer(scene, 404, 486, 0.98);
    draw_kite(scene, 520, 70, 404 - 25, 486 - 98);
}

void living_draw(struct scene *scene)
{
    static const struct coat bay = {0x9a5a2e, 0x5c3319, 0x2a1a14, 0x2a211d};
    static const struct coat grey = {0xd9d2c8, 0x8e8780, 0x8a8078, 0x4c443e};
    draw_flying_bird(scene, 668, 112, 0.85);
    draw_flying_bird(scene, 708, 86, 0.62);
    draw_flying_bird(scene, 736, 124, 0.48);
    draw_swan(scene, 112, 350, 0.72);
    draw_flock(scene);
    scene_segment(scene, SHEEP, false);
    draw_sheep(scene, 470, 412, 0.50, 90);
    draw_horse(scene, &grey, 916, 400, 0.66, true);
    draw_horse(scene, &bay, 772, 454, 0.93, false);
    landscape_blades(scene, 392, 408, 830, 960, 120, 31);
    landscape_blades(scene, 446, 462, 690, 900, 240, 32);
    landscape_blades(scene, 406, 416, 440, 500, 50, 33);
    draw_people(scene);
    landscape_blades(scene, 480, 494, 380, 450, 70, 34);
}
