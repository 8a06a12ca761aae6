/* SPDX-License-Identifier: MIT */
/* crayon/panoptic.h: panoptic maps (which pixel belongs to which segment, and what the segments
 * are), the COCO categories, and the COCO panoptic file format. */
#ifndef CRAYON_PANOPTIC_H
#define CRAYON_PANOPTIC_H

#include <crayon/image.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Categories ---- */

/* The 133 COCO panoptic categories: 80 things, then 53 kinds of stuff, in the order of the
 * published panoptic_coco_categories.json. A *label* is a position in that order (0..132), the
 * class index of models trained on it; a *category id* is the sparse number in annotation files
 * (1..200). */

#define CR_COCO_LABELS 133
#define CR_LABEL_UNKNOWN (-1)

struct cr_category {
    int32_t category_id;
    const char *name;       /* as published: "sky-other-merged" */
    const char *short_name; /* "-merged", "-other", "-stuff" removed, in that order: "sky" */
    bool thing;             /* countable */
    uint8_t color[3];       /* R G B as published */
};

/* The category of a label, or NULL outside 0..132 (so for CR_LABEL_UNKNOWN). */
CR_API
const struct cr_category *cr_coco_category(int32_t label);
/* The label of a category id or of a published name; CR_LABEL_UNKNOWN when there is none. */
CR_API
int32_t cr_coco_label(int64_t category_id);
CR_API
int32_t cr_coco_label_by_name(const char *name);

/* ---- Panoptic maps ---- */

/* ids: i32 [height, width]; an id <= 0 is background. Segments are listed in an order that matters
 * (captions follow it), by id, each id once. A listed segment may have no pixel and a pixel's id
 * may be unlisted: that is legal, and every reader says what it does then. Counted; immutable once
 * shared. */

struct cr_panoptic;

struct cr_segment {
    int32_t id;          /* > 0 */
    int32_t label;       /* 0..132 or CR_LABEL_UNKNOWN */
    float score;         /* 0..1; 1 for annotations */
    bool crowd;          /* a group annotated as one */
    int64_t original_id; /* the id in the file it came from, else `id` */
    int64_t category_id; /* of a map from a whole data set: as the file has it; else 0 (since ABI
                            1.3) */
    int64_t reserved[3]; /* 0 */
};

/* All background, no segment. Sides as for pictures. */
CR_API
int cr_panoptic_create(struct cr_panoptic **out, struct cr_size size,
                       struct cr_error *err) CR_MUST_CHECK;
CR_API
struct cr_panoptic *cr_panoptic_ref(const struct cr_panoptic *panoptic);
CR_API
void cr_panoptic_unref(struct cr_panoptic **panoptic);

/* Append a segment (copied), by the creator, before the map is shared. CR_ERR_ARGUMENT for an id <=
 * 0, an id that is listed already, or a label out of range. */
CR_API
int cr_panoptic_add(struct cr_panoptic *panoptic, const struct cr_segment *segment,
                    struct cr_error *err) CR_MUST_CHECK;

CR_API
struct cr_size cr_panoptic_size(const struct cr_panoptic *panoptic);
CR_API
const int32_t *cr_panoptic_ids(const struct cr_panoptic *panoptic);
CR_API
int32_t *cr_panoptic_edit(struct cr_panoptic *panoptic); /* the creator, before sharing */
CR_API
size_t cr_panoptic_count(const struct cr_panoptic *panoptic);
CR_API
const struct cr_segment *cr_panoptic_segment(const struct cr_panoptic *panoptic, size_t index);
/* The segment with this id, or NULL. */
CR_API
const struct cr_segment *cr_panoptic_find(const struct cr_panoptic *panoptic, int32_t id);

/* A copy reduced (or enlarged) by nearest neighbour; the list of segments is kept whole. When the
 * size is already right, another reference to the same map. */
CR_API
int cr_panoptic_resize(struct cr_panoptic **out, const struct cr_panoptic *panoptic,
                       struct cr_size size, struct cr_error *err) CR_MUST_CHECK;

/* ---- COCO panoptic files ---- */

/* A dataset is one JSON file (images, annotations with segments_info, categories) and a folder with
 * one PNG per image whose colours are ids: R + 256 G + 65536 B, 0 = unlabelled. */

/* Which image of a dataset is meant: by number, else by file name (the last part of a path,
 * compared without its suffix), else the only one there is. */
struct cr_coco_query {
    int64_t image_id;      /* < 0: not given */
    const char *file_name; /* NULL: not given */
    struct cr_size size;   /* what the map must measure; {0, 0}: anything */
};

/* Read the map of one image. `json` is the dataset file; `png_dir` its folder, or NULL for the
 * usual places: beside the JSON file, its name without ".json", then "panoptic". The JSON file may
 * be as large as COCO's own (hundreds of MB): only what belongs to the image is kept. Segments get
 * ids 1..n in the order of segments_info (crowd included) and keep theirs as original_id;
 * categories that COCO does not know are unknown, and so are numbers that the file itself declares
 * with another name than COCO's. Colours in the PNG that are not listed become
 * background, and are counted in `*unlisted` (may be NULL). */
CR_API
int cr_coco_load(struct cr_panoptic **out, const char *json, const char *png_dir,
                 const struct cr_coco_query *query, size_t *unlisted,
                 struct cr_error *err) CR_MUST_CHECK;

/* A whole data set (since ABI 1.3): what its file lists, without its text; some tens of bytes for
 * each segment. Several threads may read from it at once. */
struct cr_coco;

/* Read a data set; `json` and `png_dir` as above. */
CR_API
int cr_coco_open(struct cr_coco **out, const char *json, const char *png_dir,
                 struct cr_error *err) CR_MUST_CHECK;
CR_API
void cr_coco_close(struct cr_coco **coco);

/* The annotations, in the order of the file; the one of an image, or cr_coco_count(). */
struct cr_coco_entry {
    int64_t image_id;
    const char *image; /* the photograph's file name; NULL: the file does not list the image */
    const char *png;   /* of the map; as written */
};
CR_API
size_t cr_coco_count(const struct cr_coco *coco);
CR_API
struct cr_coco_entry cr_coco_entry(const struct cr_coco *coco, size_t index);
CR_API
size_t cr_coco_find(const struct cr_coco *coco, int64_t image_id);

/* The categories that the file declares. */
struct cr_coco_class {
    int64_t category_id;
    const char *name;
    int32_t label; /* CR_LABEL_UNKNOWN: none of COCO's */
    bool thing;    /* where the file does not say: as COCO has it, else false */
};
CR_API
size_t cr_coco_classes(const struct cr_coco *coco);
CR_API
struct cr_coco_class cr_coco_class(const struct cr_coco *coco, size_t index);

/* Read the map of annotation `index` as it is: ids are the colours of the PNG, those that are not
 * listed too, and segments have their category_id. */
CR_API
int cr_coco_map(struct cr_panoptic **out, const struct cr_coco *coco, size_t index,
                struct cr_error *err) CR_MUST_CHECK;

/* Write a map as COCO panoptic files that the official tools read: `png`, and `json` (NULL: the
 * PNG's name with .json) with the one image. Segments are numbered 1..n; those without a pixel,
 * which the tools refuse, and ids that are not listed are left out. Unknown labels get category 0,
 * declared as "unknown". */
CR_API
int cr_coco_save(const struct cr_panoptic *panoptic, const char *image_name, const char *png,
                 const char *json, struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
