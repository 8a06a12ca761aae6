/* SPDX-License-Identifier: MIT */
/* The scene as a COCO panoptic dataset of one picture. */
#include <crayon/memory.h>
#include <stdio.h>
#include <stdlib.h>

#include "scene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The categories that the scene uses, as COCO publishes them. */
static const struct category {
    int id;
    const char *name, *supercategory;
    bool thing;
    uint8_t color[3];
} categories[] = {
    {1, "person", "person", true, {220, 20, 60}},
    {2, "bicycle", "vehicle", true, {119, 11, 32}},
    {9, "boat", "vehicle", true, {0, 0, 192}},
    {15, "bench", "outdoor", true, {250, 0, 30}},
    {16, "bird", "animal", true, {165, 42, 42}},
    {18, "dog", "animal", true, {0, 226, 252}},
    {19, "horse", "animal", true, {182, 182, 255}},
    {20, "sheep", "animal", true, {0, 82, 0}},
    {27, "backpack", "accessory", true, {255, 179, 240}},
    {28, "umbrella", "accessory", true, {0, 125, 92}},
    {38, "kite", "sports", true, {0, 228, 0}},
    {119, "flower", "plant", false, {241, 129, 0}},
    {128, "house", "building", false, {70, 70, 70}},
    {149, "road", "ground", false, {128, 64, 128}},
    {178, "water-other", "water", false, {58, 41, 149}},
    {184, "tree-merged", "plant", false, {107, 142, 35}},
    {185, "fence-merged", "structural", false, {190, 153, 153}},
    {187, "sky-other-merged", "sky", false, {70, 130, 180}},
    {192, "mountain-merged", "solid", false, {64, 170, 64}},
    {193, "grass-merged", "plant", false, {152, 251, 152}},
    {198, "rock-merged", "solid", false, {0, 114, 143}},
};

static const struct category *find_category(int id)
{
    for (size_t i = 0; i < COUNT(categories); i++)
        if (categories[i].id == id)
            return &categories[i];
    fprintf(stderr, "draw: category %d is not in the list\n", id);
    exit(EXIT_FAILURE);
}

/* The colour that stands for segment `number` (from 1): its category's, a little off, so that the
 * file can be looked at and no two are the same. */
static void id_color(const struct scene *scene, int number, uint8_t color[3])
{
    const struct category *category = find_category(scene->segments[number - 1].category_id);
    for (int i = 0; i < 3; i++) {
        int base = category->color[i] < 64    ? 64
                   : category->color[i] > 191 ? 191
                                              : category->color[i];
        color[i] = (uint8_t)(base + (number * (17 + 12 * i)) % 97 - 48);
    }
}

static struct cr_image *new_image(void)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *image;
    if (cr_image_create(&image, (struct cr_size){SCENE_HEIGHT, SCENE_WIDTH}, &err) < 0) {
        fprintf(stderr, "draw: %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    return image;
}

struct cr_image *scene_photograph(const struct scene *scene)
{
    struct cr_image *image = new_image();
    uint8_t *pixel = cr_image_edit(image);
    for (int y = 0; y < SCENE_HEIGHT; y++)
        for (int x = 0; x < SCENE_WIDTH; x++) {
            uint32_t color = scene_pixel_bits(scene, x, y);
            *pixel++ = (uint8_t)(color >> 16);
            *pixel++ = (uint8_t)(color >> 8);
            *pixel++ = (uint8_t)color;
        }
    return image;
}

struct cr_image *scene_annotation(const struct scene *scene)
{
    struct cr_image *image = new_image();
    uint8_t *pixels = cr_image_edit(image);
    for (size_t i = 0; i < (size_t)SCENE_WIDTH * SCENE_HEIGHT; i++)
        if (scene->ids[i] > 0)
            id_color(scene, scene->ids[i], pixels + 3 * i);
    return image;
}

struct extent {
    int area, x0, y0, x1, y1; /* x1, y1 are inside */
};

static void measure(const struct scene *scene, struct extent *extents)
{
    for (int i = 0; i < scene->count; i++)
        extents[i] = (struct extent){0, SCENE_WIDTH, SCENE_HEIGHT, -1, -1};
    for (int y = 0; y < SCENE_HEIGHT; y++)
        for (int x = 0; x < SCENE_WIDTH; x++) {
            int32_t id = scene->ids[y * SCENE_WIDTH + x];
            if (id <= 0)
                continue;
            struct extent *e = &extents[id - 1];
            e->area++;
            e->x0 = x < e->x0 ? x : e->x0;
            e->x1 = x > e->x1 ? x : e->x1;
            e->y0 = y < e->y0 ? y : e->y0;
            e->y1 = y > e->y1 ? y : e->y1;
        }
}

/* The segments of things, or of stuff, in the order in which they were drawn. */
static void add_segments(const struct scene *scene, const struct extent *extents, bool things,
                         struct cr_text *text)
{
    for (int i = 0; i < scene->count; i++) {
        const struct scene_segment *segment = &scene->segments[i];
        struct extent e = extents[i];
        if (find_category(segment->category_id)->thing != things || e.area == 0)
            continue;
        uint8_t color[3];
        id_color(scene, i + 1, color);
        cr_text_printf(text,
                       "%s\n        {\"id\": %d, \"category_id\": %d, \"area\": %d, "
                       "\"bbox\": [%d, %d, %d, %d], \"iscrowd\": %d}",
                       text->data[text->size - 1] == '}' ? "," : "",
                       color[0] + 256 * color[1] + 65536 * color[2], segment->category_id, e.area,
                       e.x0, e.y0, e.x1 - e.x0 + 1, e.y1 - e.y0 + 1, segment->crowd);
    }
}

static void add_categories(struct cr_text *text)
{
    for (size_t i = 0; i < COUNT(categories); i++)
        cr_text_printf(text,
                       "%s\n    {\"id\": %d, \"name\": \"%s\", \"supercategory\": \"%s\", "
                       "\"isthing\": %d, \"color\": [%d, %d, %d]}",
                       i > 0 ? "," : "", categories[i].id, categories[i].name,
                       categories[i].supercategory, categories[i].thing, categories[i].color[0],
                       categories[i].color[1], categories[i].color[2]);
}

char *scene_json(const struct scene *scene)
{
    struct extent extents[SCENE_SEGMENTS];
    measure(scene, extents);
    struct cr_text text = CR_TEXT_INIT;
    cr_text_printf(&text,
                   "{\n"
                   "  \"info\": {\"description\": \"The scene that crayon ships: drawn by "
                   "pipelines/scene/draw.c, annotated by the same program\", \"version\": \"1\"},\n"
                   "  \"licenses\": [{\"id\": 1, \"name\": \"MIT\", "
                   "\"url\": \"https://opensource.org/license/mit\"}],\n"
                   "  \"images\": [{\"id\": 1, \"file_name\": \"scene.jpg\", \"height\": %d, "
                   "\"width\": %d, \"license\": 1}],\n"
                   "  \"annotations\": [\n"
                   "    {\"image_id\": 1, \"file_name\": \"scene.png\", \"segments_info\": [",
                   SCENE_HEIGHT, SCENE_WIDTH);
    add_segments(scene, extents, true, &text);
    add_segments(scene, extents, false, &text);
    cr_text_add(&text, "\n    ]}\n  ],\n  \"categories\": [");
    add_categories(&text);
    cr_text_add(&text, "\n  ]\n}\n");
    char *json = cr_text_take(&text);
    if (json == NULL) {
        fprintf(stderr, "draw: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return json;
}
