/* SPDX-License-Identifier: MIT */
/* segment-grid: regions of similar colour, without a model. */
#include <crayon/memory.h>
#include <crayon/plugin.h>
#include <math.h>

#include "regions.h"

/* Larger pictures are reduced to this for finding regions: bounds time and memory, and is what the
 * least areas and differences are made for. */
#define WORKING_PIXELS (640 * 480)

struct segment_grid {
    int64_t regions;
    double min_difference, min_area;
    struct cr_size size, grid;
};

static struct cr_size working_size(struct cr_size full)
{
    double pixels = (double)full.height * full.width;
    double factor = pixels > WORKING_PIXELS ? sqrt(WORKING_PIXELS / pixels) : 1;
    struct cr_size size = {(int32_t)(full.height * factor), (int32_t)(full.width * factor)};
    /* A picture of one row stays one. Its columns then bound the pixels. */
    size.height = size.height < 1 ? 1 : size.height;
    size.width = size.width < 1 ? 1 : size.width;
    return size;
}

/* The regions of a picture as a map of the size in which they were found. */
static int find_regions(const struct segment_grid *options, const struct cr_image *image,
                        struct cr_panoptic **out, struct cr_error *err)
{
    struct cr_size full = cr_image_size(image), size = working_size(full);
    const struct regions_options how = {.most = (int32_t)options->regions,
                                        .min_difference = options->min_difference,
                                        .min_area = options->min_area};
    struct cr_image *working = NULL;
    int32_t count = 0;
    int result = cr_panoptic_create(out, size, err);
    if (result == 0 && size.height == full.height && size.width == full.width)
        working = cr_image_ref(image);
    else if (result == 0)
        result = cr_image_resize(&working, image, size, CR_FILTER_BILINEAR, err);
    if (result == 0)
        result = regions_find(working, &how, cr_panoptic_edit(*out), &count, err);
    if (result == 0) {
        int32_t *ids = cr_panoptic_edit(*out);
        for (size_t i = 0; i < (size_t)size.height * (size_t)size.width; i++)
            ids[i]++;
    }
    for (int32_t id = 1; result == 0 && id <= count; id++)
        result =
            cr_panoptic_add(*out,
                            &(const struct cr_segment){
                                .id = id, .label = CR_LABEL_UNKNOWN, .score = 1, .original_id = id},
                            err);
    cr_image_unref(&working);
    if (result < 0)
        cr_panoptic_unref(out);
    return result;
}

/* At the size of the output, from which the grid is taken, too. */
static int segment_image(const void *state, const struct cr_image *image,
                         struct cr_context *context, struct cr_panoptic **map, struct cr_error *err)
{
    const struct segment_grid *options = state;
    struct cr_panoptic *found = NULL;
    struct cr_size size = options->size.height > 0 ? options->size : cr_image_size(image);
    (void)context;
    int result = find_regions(options, image, &found, err);
    if (result == 0)
        result = cr_panoptic_resize(map, found, size, err);
    cr_panoptic_unref(&found);
    return result;
}

static int segment_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct segment_grid *options = state;
    return cr_context_segment(context, options, segment_image, options->size, options->grid, err);
}

static const struct cr_stage_ops segment_ops = {.size = sizeof(struct cr_stage_ops),
                                                .run = segment_run};

static const struct cr_element segment_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "segment-grid",
    .summary = "regions of similar colour, without model or annotation",
    .description =
        "Cuts a photograph into connected regions by colour and edges alone, so that every "
        "pipeline runs on any photograph. It does not know what the regions are: each is a "
        "segment of its own with an unknown class, and a caption can only number them. For names, "
        "use a segmenter with a model, or an annotation.\\n\\n"
        "The photograph is reduced to 640 x 480 pixels if it has more, so that time and memory "
        "have a bound. Colours are compared in the Lab space (CIE 1976), where a difference of "
        "about 2.3 is just noticeable, and smoothed where that blurs no edge. The graph-based "
        "method of Felzenszwalb and Huttenlocher "
        "(Efficient Graph-Based Image Segmentation, 2004) first finds many small regions: "
        "neighbours are joined where the step between them is not larger than the variation "
        "inside. Then the most similar neighbours are joined one after the other. Similar means a "
        "small difference of mean colours and a small step where the two meet, in equal parts; "
        "joining a small region costs less than joining two large ones, and strips that are all "
        "rim, as soft edges leave them, count as similar to both sides.\\n\\n"
        "Segments are numbered by size: 1 is the largest. Every pixel belongs to one, each is "
        "connected in the reduced photograph, and scores are 1. The same photograph gives the "
        "same regions every time. The map is carried to its final size by nearest neighbour.",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the photograph")),
    .outputs = CR_PORTS(
        CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0, "the regions, at the size of the photograph"),
        CR_PORT("grid", CR_TYPE_PANOPTIC, 0,
                "the same, reduced by nearest neighbour to the grid of the Crayon Prompt")),
    .options = CR_OPTIONS(
        CR_OPTION_INT("regions", struct segment_grid, regions, "24", 1, 4096, 0,
                      "so many regions are left at most"),
        CR_OPTION_NUMBER("min_difference", struct segment_grid, min_difference, "5", 0, 100, 0,
                         "neighbours that differ by less are one region, however few are left; in "
                         "Lab units"),
        CR_OPTION_NUMBER("min_area", struct segment_grid, min_area, "0.001", 0, 1, 0,
                         "the least part of the photograph that a region covers; 1/4096 at the "
                         "least, whatever is given"),
        CR_OPTION_SIZE("size", struct segment_grid, size, NULL, 1, 65535, 0,
                       "size of the output panoptic; the photograph's if not given"),
        CR_OPTION_SIZE("grid", struct segment_grid, grid, "[35, 35]", 1, 256, 0,
                       "size of the output grid")),
    .state_size = sizeof(struct segment_grid),
    .stage = &segment_ops,
};

CR_PLUGIN("segment-grid", CR_VERSION, "MIT", "regions of similar colour, without model",
          &segment_element);
