/* SPDX-License-Identifier: MIT */
/* segment-coco-png: the panoptic map of a picture from annotation files instead of a network. */
#include <crayon/plugin.h>

struct segment_coco_png {
    const char *annotations;
    const char *masks;
    int64_t image_id;
    struct cr_size size;
    struct cr_size grid;
};

/* The two outputs of a run; NULL where nobody wants one. */
struct segmentation {
    struct cr_value *panoptic;
    struct cr_value *grid;
};

static int load_map(struct cr_panoptic **out, const struct segment_coco_png *segmenter,
                    const struct cr_image *image, struct cr_context *context, struct cr_error *err)
{
    const struct cr_coco_query query = {
        .image_id = segmenter->image_id,
        .file_name = cr_image_name(image),
        .size = cr_image_size(image),
    };
    size_t unlisted = 0;
    int result =
        cr_coco_load(out, segmenter->annotations, segmenter->masks, &query, &unlisted, err);
    /* What most people meet first: a photograph, and the data set of another. */
    if (result == CR_ERR_NOT_FOUND)
        cr_error_prefix(err, "option \"annotations\" has no map of the picture");
    if (result < 0 && query.file_name != NULL)
        cr_error_prefix(err, "%s", query.file_name);
    if (result == 0 && unlisted > 0)
        cr_context_log(context, CR_LOG_WARNING,
                       "%s: colours in the mask that segments_info lacks: %zu; they become "
                       "background",
                       query.file_name == NULL ? segmenter->annotations : query.file_name,
                       unlisted);
    return result;
}

static int set_resized(struct cr_value *value, size_t item, const struct cr_panoptic *map,
                       struct cr_size size, struct cr_error *err)
{
    struct cr_panoptic *resized = NULL;
    if (value == NULL)
        return 0;
    int result = cr_panoptic_resize(&resized, map, size, err);
    if (result == 0)
        cr_value_set_panoptic(value, item, resized);
    cr_panoptic_unref(&resized);
    return result;
}

static int segment_item(const struct segment_coco_png *segmenter, const struct cr_image *image,
                        struct segmentation *segmentation, size_t item, struct cr_context *context,
                        struct cr_error *err)
{
    struct cr_panoptic *map = NULL;
    struct cr_size size = segmenter->size.height > 0 ? segmenter->size : cr_image_size(image);
    int result = load_map(&map, segmenter, image, context, err);
    if (result == 0)
        result = set_resized(segmentation->panoptic, item, map, size, err);
    if (result == 0)
        result = set_resized(segmentation->grid, item, map, segmenter->grid, err);
    cr_panoptic_unref(&map);
    return result;
}

static int segment_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct segment_coco_png *segmenter = state;
    const struct cr_value *images = cr_context_input(context, "image");
    size_t count = cr_value_count(images);
    struct segmentation segmentation = {NULL, NULL};
    int result = 0;
    if (cr_context_wants(context, "panoptic"))
        result = cr_value_create(&segmentation.panoptic, CR_TYPE_PANOPTIC, count, err);
    if (result == 0 && cr_context_wants(context, "grid"))
        result = cr_value_create(&segmentation.grid, CR_TYPE_PANOPTIC, count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result =
                segment_item(segmenter, cr_value_image(images, i), &segmentation, i, context, err);
        cr_context_progress(context, (double)(i + 1) / (double)count);
    }
    if (result == 0 && segmentation.panoptic != NULL)
        cr_context_output(context, "panoptic", &segmentation.panoptic);
    if (result == 0 && segmentation.grid != NULL)
        cr_context_output(context, "grid", &segmentation.grid);
    cr_value_unref(&segmentation.panoptic);
    cr_value_unref(&segmentation.grid);
    return result;
}

static const struct cr_stage_ops segment_ops = {
    .size = sizeof(struct cr_stage_ops),
    .run = segment_run,
};

static const struct cr_element segment_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "segment-coco-png",
    .summary = "panoptic map of a picture from COCO annotation files",
    .description =
        "Looks a picture up in a data set in COCO's panoptic format and gives its annotated map: "
        "ground truth where other segmenters would guess. A data set is a JSON file (images, "
        "annotations with segments_info, categories) and a folder with one PNG for each image, "
        "whose colours are segment ids: R + 256 G + 65536 B, and 0 where nothing is annotated.\n\n"
        "Which image is meant is told by the file name of the picture, compared without its folder "
        "and suffix; by image_id where that is given; and where neither is known, a data set with "
        "one image alone is taken at its word. The mask must measure what the picture measures. "
        "Every item of a batch is looked up by itself. The JSON file is read in every run, for "
        "each item, and may be as large as COCO's own: only what belongs to the image is kept.\n\n"
        "Segments get the ids 1, 2, ... in the order of segments_info, groups (iscrowd) included, "
        "and keep the number of the file beside it. Their label is the position of category_id "
        "among the 133 COCO panoptic categories; categories that COCO does not know become "
        "unknown. Colours that segments_info lacks become background, with a warning that says "
        "how many they are. A listed segment without a pixel stays in the list.\n\n"
        "Both outputs are reduced from the full map by nearest neighbour: panoptic to size, grid "
        "to grid.",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0,
                               "the picture; its file name says which annotation is meant")),
    .outputs = CR_PORTS(
        CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0,
                "the map in the size of the picture, or in that of option size"),
        CR_PORT("grid", CR_TYPE_PANOPTIC, 0, "the map reduced to option grid, for crayon-encoder")),
    .options = CR_OPTIONS(
        CR_OPTION_PATH("annotations", struct segment_coco_png, annotations, NULL,
                       CR_OPTION_REQUIRED, "the JSON file of the data set"),
        CR_OPTION_PATH("masks", struct segment_coco_png, masks, NULL, 0,
                       "the folder of the PNG files; by default, beside the JSON file, the folder "
                       "of its name without .json, or else the folder panoptic"),
        CR_OPTION_INT("image_id", struct segment_coco_png, image_id, "-1", -1, 9007199254740991.0,
                      0, "id of the image in the data set; -1: told by the picture's file name"),
        CR_OPTION_SIZE("size", struct segment_coco_png, size, NULL, 1, 65535, 0,
                       "height and width of the output panoptic, in pixels; by default those of "
                       "the picture"),
        CR_OPTION_SIZE("grid", struct segment_coco_png, grid, "[35, 35]", 1, 256, 0,
                       "rows and columns of the output grid")),
    .state_size = sizeof(struct segment_coco_png),
    .stage = &segment_ops,
};

CR_PLUGIN("segment-coco-png", CR_VERSION, "MIT", "panoptic annotations in COCO files",
          &segment_element);
