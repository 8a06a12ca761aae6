/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "base/json.h"
#include "base/paths.h"
#include "media/categories.h"
#include "media/coco.h"
#include "media/decode.h"

/* What is to be written of a segment. Those without a pixel are left out (the official tools refuse
 * a listed segment that is not in the picture); the others are numbered from 1 in their order. */
struct written {
    int32_t id; /* 0: has no pixel */
    int64_t area;
    int32_t left, top, right, bottom; /* of the tight box, all inclusive */
};

struct saving {
    const struct cr_panoptic *panoptic;
    struct written *segments;
    struct cr_image *colors;
    size_t count;
};

static void grow_box(struct written *segment, int32_t x, int32_t y)
{
    if (segment->area++ == 0) {
        segment->left = segment->right = x;
        segment->top = y;
    }
    segment->left = x < segment->left ? x : segment->left;
    segment->right = x > segment->right ? x : segment->right;
    segment->bottom = y;
}

/* The position of a listed id, or -1. */
static ptrdiff_t position_of(const struct cr_panoptic *panoptic, int32_t id)
{
    const struct cr_segment *segment = id > 0 ? cr_panoptic_find(panoptic, id) : NULL;
    return segment == NULL ? -1 : segment - cr_panoptic_segment(panoptic, 0);
}

typedef void visit(struct saving *saving, size_t segment, size_t pixel, int32_t x, int32_t y);

static void visit_pixels(struct saving *saving, visit *function)
{
    struct cr_size size = cr_panoptic_size(saving->panoptic);
    const int32_t *ids = cr_panoptic_ids(saving->panoptic);
    size_t pixel = 0;
    int32_t last = 0;
    ptrdiff_t position = -1;
    for (int32_t y = 0; y < size.height; y++)
        for (int32_t x = 0; x < size.width; x++, pixel++) {
            if (ids[pixel] != last) {
                last = ids[pixel];
                position = position_of(saving->panoptic, last);
            }
            if (position >= 0)
                function(saving, (size_t)position, pixel, x, y);
        }
}

static void measure_pixel(struct saving *saving, size_t segment, size_t pixel, int32_t x, int32_t y)
{
    (void)pixel;
    grow_box(&saving->segments[segment], x, y);
}

static void color_pixel(struct saving *saving, size_t segment, size_t pixel, int32_t x, int32_t y)
{
    (void)x;
    (void)y;
    int32_t id = saving->segments[segment].id;
    uint8_t *rgb = cr_image_edit(saving->colors) + 3 * pixel;
    rgb[0] = (uint8_t)id;
    rgb[1] = (uint8_t)(id >> 8);
    rgb[2] = (uint8_t)(id >> 16);
}

static int measure(struct saving *saving, struct cr_error *err)
{
    size_t listed = cr_panoptic_count(saving->panoptic);
    if ((saving->segments = cr_calloc(listed, sizeof(*saving->segments))) == NULL)
        return cr_fail_memory(err, listed * sizeof(*saving->segments));
    visit_pixels(saving, measure_pixel);
    for (size_t i = 0; i < listed; i++)
        if (saving->segments[i].area > 0)
            saving->segments[i].id = (int32_t)++saving->count;
    if (saving->count > CR_COCO_MAX_SEGMENTS)
        return cr_fail(err, CR_ERR_LIMIT, "%zu segments; a COCO file holds up to %d", saving->count,
                       CR_COCO_MAX_SEGMENTS);
    int result = cr_image_create(&saving->colors, cr_panoptic_size(saving->panoptic), err);
    if (result == 0)
        visit_pixels(saving, color_pixel);
    return result;
}

/* ---- JSON ---- */

/* COCO's photographs bear their number as their name. */
static long long image_id_of(const char *image_name)
{
    const char *base = cr_path_base(image_name);
    size_t digits = strspn(base, "0123456789");
    bool number = digits > 0 && digits <= 15 && (base[digits] == '.' || base[digits] == '\0');
    return number ? strtoll(base, NULL, 10) : 1;
}

static void add_segments(struct cr_text *json, const struct saving *saving, bool *unknown)
{
    const char *separator = "";
    for (size_t i = 0; i < cr_panoptic_count(saving->panoptic); i++) {
        const struct cr_segment *segment = cr_panoptic_segment(saving->panoptic, i);
        const struct cr_category *category = cr_coco_category(segment->label);
        const struct written *written = &saving->segments[i];
        if (written->id == 0)
            continue;
        *unknown = *unknown || category == NULL;
        cr_text_printf(json,
                       "%s\n      {\"id\": %d, \"category_id\": %d, \"area\": %lld, "
                       "\"bbox\": [%d, %d, %d, %d], \"iscrowd\": %d}",
                       separator, written->id, category != NULL ? category->category_id : 0,
                       (long long)written->area, written->left, written->top,
                       written->right - written->left + 1, written->bottom - written->top + 1,
                       segment->crowd ? 1 : 0);
        separator = ",";
    }
}

static void add_categories(struct cr_text *json, bool unknown)
{
    if (unknown)
        cr_text_add(json, "\n    {\"id\": 0, \"name\": \"unknown\", \"supercategory\": "
                          "\"unknown\", \"isthing\": 0, \"color\": [128, 128, 128]},");
    for (int32_t label = 0; label < CR_COCO_LABELS; label++) {
        const struct cr_category *category = cr_coco_category(label);
        cr_text_printf(json, "%s\n    {\"id\": %d, \"name\": ", label > 0 ? "," : "",
                       category->category_id);
        cr_json_quote(json, category->name);
        cr_text_add(json, ", \"supercategory\": ");
        cr_json_quote(json, cr_coco_supercategory(label));
        cr_text_printf(json, ", \"isthing\": %d, \"color\": [%d, %d, %d]}", category->thing ? 1 : 0,
                       category->color[0], category->color[1], category->color[2]);
    }
}

static void describe(struct cr_text *json, const struct saving *saving, const char *image_name,
                     const char *png)
{
    struct cr_size size = cr_panoptic_size(saving->panoptic);
    long long image_id = image_id_of(image_name);
    bool unknown = false;
    cr_text_printf(json, "{\n  \"images\": [\n    {\"id\": %lld, \"file_name\": ", image_id);
    cr_json_quote(json, cr_path_base(image_name));
    cr_text_printf(json,
                   ", \"height\": %d, \"width\": %d}\n  ],\n  \"annotations\": [\n    "
                   "{\"image_id\": %lld, \"file_name\": ",
                   size.height, size.width, image_id);
    cr_json_quote(json, cr_path_base(png));
    cr_text_add(json, ", \"segments_info\": [");
    add_segments(json, saving, &unknown);
    cr_text_add(json, "\n    ]}\n  ],\n  \"categories\": [");
    add_categories(json, unknown);
    cr_text_add(json, "\n  ]\n}\n");
}

/* ---- Files ---- */

static int beside(char **json, const char *png, struct cr_error *err)
{
    char *folder = cr_path_folder(png), *stem = cr_path_stem(png);
    char *name = stem == NULL ? NULL : cr_asprintf("%s.json", stem);
    *json = folder == NULL || name == NULL ? NULL : cr_path_join(folder, name);
    cr_free(folder);
    cr_free(stem);
    cr_free(name);
    return *json != NULL ? 0 : cr_fail_memory(err, strlen(png) + 6);
}

static int write_both(const struct saving *saving, const char *image_name, const char *png,
                      const char *json, struct cr_error *err)
{
    struct cr_text picture = CR_TEXT_INIT, text = CR_TEXT_INIT;
    int result = cr_png_encode(saving->colors, &picture, err);
    if (result == 0) {
        describe(&text, saving, image_name, png);
        if (text.failed)
            result = cr_fail(err, CR_ERR_MEMORY, "%s: out of memory", json);
    }
    /* The JSON file last: where it is, the picture that it names is there too. */
    if (result == 0)
        result = cr_file_write(png, picture.data, picture.size, err);
    if (result == 0)
        result = cr_file_write(json, text.data, text.size, err);
    cr_text_finish(&picture);
    cr_text_finish(&text);
    return result;
}

int cr_coco_save(const struct cr_panoptic *panoptic, const char *image_name, const char *png,
                 const char *json, struct cr_error *err)
{
    struct saving saving = {.panoptic = panoptic};
    char *name = NULL;
    int result = json == NULL ? beside(&name, png, err) : 0;
    const char *path = json == NULL ? name : json;
    if (result == 0 && strcmp(path, png) == 0)
        result = cr_fail(err, CR_ERR_ARGUMENT,
                         "%s: the picture and the description need two different files", png);
    if (result == 0 && (result = measure(&saving, err)) < 0)
        cr_error_prefix(err, "%s", png);
    if (result == 0)
        result = write_both(&saving, image_name != NULL ? image_name : png, png, path, err);
    cr_image_unref(&saving.colors);
    cr_free(saving.segments);
    cr_free(name);
    return result;
}
