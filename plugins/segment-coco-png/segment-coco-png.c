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

static int load_map(const void *state, const struct cr_image *image, struct cr_context *context,
                    struct cr_panoptic **out, struct cr_error *err)
{
    const struct segment_coco_png *segmenter = state;
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

static int segment_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct segment_coco_png *segmenter = state;
    return cr_context_segment(context, segmenter, load_map, segmenter->size, segmenter->grid, err);
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
