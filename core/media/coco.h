/* SPDX-License-Identifier: MIT */
/* coco.h: what coco_scan.c finds in a dataset file and coco.c makes a map of. */
#ifndef CR_MEDIA_COCO_H
#define CR_MEDIA_COCO_H

#include <crayon/memory.h>
#include <crayon/panoptic.h>

#define CR_COCO_MAX_ID 0xFFFFFF /* three bytes of colour */
#define CR_COCO_MAX_SEGMENTS 65536
#define CR_COCO_MAX_CATEGORIES 4096

/* A place in the dataset file. */
struct cr_coco_place {
    int64_t line, column;
};

struct cr_coco_segment {
    struct cr_coco_place place;
    int64_t id, category_id;
    bool crowd;
};

struct cr_coco_annotation {
    struct cr_coco_place place;
    int64_t image_id;
    struct cr_text file_name; /* of the PNG, as written */
    struct cr_coco_segment *segments;
    size_t count, capacity;
    struct cr_error
        problem; /* the first thing wrong with it; only matters if it is the wanted one */
};

/* A category that the file declares, as a label. */
struct cr_coco_declared {
    int64_t category_id;
    int32_t label;
};

struct cr_coco_found {
    struct cr_coco_annotation annotation; /* without problem */
    struct cr_coco_declared *declared;
    size_t count, capacity;
};

/* Find the annotation that `query` means. `found` starts zeroed and is finished in any case. */
int cr_coco_scan(struct cr_coco_found *found, const char *json, const struct cr_coco_query *query,
                 struct cr_error *err);
void cr_coco_found_finish(struct cr_coco_found *found);

/* Who wants everything in a file. Called in its order; the texts are valid during the call. */
struct cr_coco_visitor {
    void *user;
    int (*image)(void *user, int64_t id, const char *file_name, struct cr_error *err);
    int (*annotation)(void *user, const struct cr_coco_annotation *annotation,
                      struct cr_error *err);
    int (*category)(void *user, const struct cr_coco_class *category, struct cr_error *err);
};
int cr_coco_visit(const char *json, const struct cr_coco_visitor *visitor, struct cr_error *err);

/* Read the PNG called `name` that the annotation at `place` names, as colours; its `size` may be
 * {0, 0}: any. */
int cr_coco_colors(struct cr_image **out, const char *json, const char *png_dir, const char *name,
                   struct cr_coco_place place, struct cr_size size, struct cr_error *err);

/* The label of a category id in this file. */
int32_t cr_coco_found_label(const struct cr_coco_found *found, int64_t category_id);

#endif
