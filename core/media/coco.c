/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "base/io.h"
#include "base/paths.h"
#include "base/size.h"
#include "media/coco.h"
#include "media/decode.h"

/* ---- The PNG ---- */

/* File names in a dataset must not lead out of its folder. */
static bool stays_inside(const char *name)
{
    if (name[0] == '/')
        return false;
    for (const char *part = name; part != NULL;) {
        const char *slash = strchr(part, '/');
        size_t length = slash == NULL ? strlen(part) : (size_t)(slash - part);
        if (length == 2 && memcmp(part, "..", 2) == 0)
            return false;
        part = slash == NULL ? NULL : slash + 1;
    }
    return true;
}

static bool exists(const char *path)
{
    struct stat st;
    return cr_io_stat(path, &st) == 0;
}

/* The places where the PNGs of a dataset usually lie. */
#define USUAL_FOLDERS 3

static int usual_folders(char *folders[USUAL_FOLDERS], const char *json, struct cr_error *err)
{
    folders[0] = cr_path_folder(json);
    char *stem = cr_path_stem(json);
    folders[1] = folders[0] != NULL && stem != NULL ? cr_path_join(folders[0], stem) : NULL;
    folders[2] = folders[0] != NULL ? cr_path_join(folders[0], "panoptic") : NULL;
    cr_free(stem);
    for (int i = 0; i < USUAL_FOLDERS; i++)
        if (folders[i] == NULL)
            return cr_fail_memory(err, strlen(json));
    return 0;
}

static int find_png(char **path, const char *json, const char *name, struct cr_coco_place place,
                    struct cr_error *err)
{
    char *folders[USUAL_FOLDERS] = {NULL};
    int result = usual_folders(folders, json, err);
    for (int i = 0; i < USUAL_FOLDERS && result == 0 && *path == NULL; i++) {
        char *candidate = cr_path_join(folders[i], name);
        if (candidate == NULL)
            result = cr_fail_memory(err, strlen(name));
        else if (exists(candidate))
            *path = candidate;
        else
            cr_free(candidate);
    }
    if (result == 0 && *path == NULL)
        result = cr_fail(err, CR_ERR_NOT_FOUND,
                         "%s:%lld:%lld: the annotation's picture \"%s\" is in none of the folders "
                         "%s, %s, %s; say where it lies",
                         json, (long long)place.line, (long long)place.column, name, folders[0],
                         folders[1], folders[2]);
    for (int i = 0; i < USUAL_FOLDERS; i++)
        cr_free(folders[i]);
    return result;
}

static int locate_png(char **path, const char *json, const char *png_dir, const char *name,
                      struct cr_coco_place place, struct cr_error *err)
{
    *path = NULL;
    if (!stays_inside(name))
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s:%lld:%lld: the annotation's \"file_name\" is \"%s\", which leads out of "
                       "the dataset's folder",
                       json, (long long)place.line, (long long)place.column, name);
    if (png_dir == NULL)
        return find_png(path, json, name, place, err);
    if ((*path = cr_path_join(png_dir, name)) == NULL)
        return cr_fail_memory(err, strlen(png_dir) + strlen(name));
    if (exists(*path))
        return 0;
    return cr_fail(err, CR_ERR_NOT_FOUND,
                   "%s: there is no such file; the annotation at %s:%lld:%lld names it", *path,
                   json, (long long)place.line, (long long)place.column);
}

static int load_png(struct cr_image **out, const char *path, struct cr_size size,
                    struct cr_error *err)
{
    char *data;
    size_t bytes;
    int orientation, result = cr_file_read(path, cr_limits_bytes(NULL), &data, &bytes, err);
    if (result < 0)
        return result;
    /* What is as large as the photograph is not too large. */
    struct cr_encoded file;
    cr_encoded_init(&file, data, bytes, path, NULL);
    if ((uint64_t)size.height * (uint64_t)size.width > file.max_pixels)
        file.max_pixels = (uint64_t)size.height * (uint64_t)size.width;
    result = cr_png_decode(out, &orientation, &file, CR_PNG_IDS, err);
    cr_free(data);
    if (result < 0 || (size.height == 0 && size.width == 0))
        return result;
    struct cr_size found = cr_image_size(*out);
    if (cr_size_equal(found, size))
        return 0;
    cr_image_unref(out);
    return cr_fail(err, CR_ERR_FORMAT,
                   "%s: the annotation measures %d x %d pixels, the photograph %d x %d; they do "
                   "not belong together",
                   path, found.width, found.height, size.width, size.height);
}

int cr_coco_colors(struct cr_image **out, const char *json, const char *png_dir, const char *name,
                   struct cr_coco_place place, struct cr_size size, struct cr_error *err)
{
    char *path = NULL;
    *out = NULL;
    int result = locate_png(&path, json, png_dir, name, place, err);
    if (result == 0)
        result = load_png(out, path, size, err);
    cr_free(path);
    return result;
}

/* ---- Colours to ids ---- */

struct color_id {
    uint32_t color;
    int32_t id;
};

/* Colours that are not listed: one bit each, so that each is counted once. */
struct unlisted {
    uint8_t *seen;
    size_t count;
};

static int by_color(const void *a, const void *b)
{
    uint32_t first = ((const struct color_id *)a)->color;
    uint32_t second = ((const struct color_id *)b)->color;
    return first < second ? -1 : first > second;
}

static int note_unlisted(struct unlisted *unlisted, uint32_t color, struct cr_error *err)
{
    size_t bytes = ((size_t)CR_COCO_MAX_ID + 1) / 8;
    if (unlisted->seen == NULL && (unlisted->seen = cr_calloc(bytes, 1)) == NULL)
        return cr_fail_memory(err, bytes);
    uint8_t bit = (uint8_t)(1 << color % 8);
    unlisted->count += (unlisted->seen[color / 8] & bit) == 0;
    unlisted->seen[color / 8] |= bit;
    return 0;
}

static int number_pixels(int32_t *ids, const struct cr_image *image, const struct color_id *colors,
                         size_t count, struct unlisted *unlisted, struct cr_error *err)
{
    struct cr_size size = cr_image_size(image);
    size_t pixels = (size_t)size.height * (size_t)size.width;
    const uint8_t *rgb = cr_image_pixels(image);
    struct color_id last = {0, 0}; /* neighbours are mostly alike */
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        uint32_t color = (uint32_t)(rgb[0] | rgb[1] << 8 | rgb[2] << 16);
        if (color != last.color) {
            struct color_id key = {color, 0};
            const struct color_id *found =
                color == 0 ? NULL : bsearch(&key, colors, count, sizeof(key), by_color);
            last = found != NULL ? *found : key;
            if (found == NULL && color != 0) {
                int result = note_unlisted(unlisted, color, err);
                if (result < 0)
                    return result;
            }
        }
        ids[i] = last.id;
    }
    return 0;
}

static int fill_ids(struct cr_panoptic *panoptic, const struct cr_image *image,
                    const struct cr_coco_annotation *annotation, size_t *unlisted_count,
                    struct cr_error *err)
{
    struct color_id *colors = cr_calloc(annotation->count, sizeof(*colors));
    if (colors == NULL)
        return cr_fail_memory(err, annotation->count * sizeof(*colors));
    for (size_t i = 0; i < annotation->count; i++)
        colors[i] = (struct color_id){(uint32_t)annotation->segments[i].id, (int32_t)i + 1};
    qsort(colors, annotation->count, sizeof(*colors), by_color);
    struct unlisted unlisted = {NULL, 0};
    int result =
        number_pixels(cr_panoptic_edit(panoptic), image, colors, annotation->count, &unlisted, err);
    if (result == 0 && unlisted_count != NULL)
        *unlisted_count = unlisted.count;
    cr_free(unlisted.seen);
    cr_free(colors);
    return result;
}

static int build(struct cr_panoptic **out, const struct cr_image *image,
                 const struct cr_coco_found *found, size_t *unlisted, struct cr_error *err)
{
    int result = cr_panoptic_create(out, cr_image_size(image), err);
    for (size_t i = 0; i < found->annotation.count && result == 0; i++) {
        const struct cr_coco_segment *from = &found->annotation.segments[i];
        struct cr_segment segment = {.id = (int32_t)i + 1,
                                     .label = cr_coco_found_label(found, from->category_id),
                                     .score = 1,
                                     .crowd = from->crowd,
                                     .original_id = from->id};
        result = cr_panoptic_add(*out, &segment, err);
    }
    if (result == 0)
        result = fill_ids(*out, image, &found->annotation, unlisted, err);
    if (result < 0)
        cr_panoptic_unref(out);
    return result;
}

int cr_coco_load(struct cr_panoptic **out, const char *json, const char *png_dir,
                 const struct cr_coco_query *query, size_t *unlisted, struct cr_error *err)
{
    *out = NULL;
    struct cr_coco_found found = {.count = 0};
    struct cr_image *image = NULL;
    struct cr_size size = query != NULL ? query->size : (struct cr_size){0, 0};
    int result = cr_coco_scan(&found, json, query, err);
    if (result == 0)
        result = cr_coco_colors(&image, json, png_dir, found.annotation.file_name.data,
                                found.annotation.place, size, err);
    if (result == 0)
        result = build(out, image, &found, unlisted, err);
    cr_image_unref(&image);
    cr_coco_found_finish(&found);
    return result;
}
