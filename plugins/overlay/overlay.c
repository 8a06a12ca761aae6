/* SPDX-License-Identifier: MIT */
/* overlay: a photograph with its panoptic map painted over it. */
#include <crayon/plugin.h>

#include "draw.h"

static int overlay_one(const struct overlay_options *options, const struct cr_image *image,
                       const struct cr_panoptic *panoptic, struct cr_image **out,
                       struct cr_error *err)
{
    struct overlay_plan plan;
    *out = NULL;
    int result = overlay_plan(&plan, options, image, panoptic, err);
    if (result < 0)
        return result;
    result = overlay_draw(out, &plan, options, image, err);
    overlay_plan_finish(&plan);
    return result;
}

static int overlay_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *images = cr_context_input(context, "image");
    const struct cr_value *panoptics = cr_context_input(context, "panoptic");
    size_t count = cr_value_count(images);
    struct cr_value *pictures = NULL;
    int result = cr_value_create(&pictures, CR_TYPE_IMAGE, count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct cr_image *picture;
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result = overlay_one(state, cr_value_image(images, i), cr_value_panoptic(panoptics, i),
                                 &picture, err);
        if (result == 0) {
            cr_value_set_image(pictures, i, picture);
            cr_image_unref(&picture);
        }
        cr_context_progress(context, (double)(i + 1) / (double)count);
    }
    if (result == 0)
        cr_context_output(context, "image", &pictures);
    cr_value_unref(&pictures);
    return result;
}

static const struct cr_stage_ops overlay_ops = {.size = sizeof(struct cr_stage_ops),
                                                .run = overlay_run};

static const struct cr_element overlay_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "overlay",
    .summary = "a photograph with its panoptic map painted over it",
    .description =
        "Shows what a segmenter found: the photograph under the colours of its segments, with "
        "outlines, a label for each segment, and a legend. The photograph keeps its size and lies "
        "at the left top of the result; the legend is a strip below it, or beside it when the "
        "photograph is more than twice as high as wide, and never hides anything. A map of "
        "another size than the photograph is fitted by nearest neighbour.\n\n"
        "Colours come from the published COCO colours of the classes, moved to a lightness and "
        "strength that stay pleasant over a photograph. A class has the same colour in every "
        "picture; further segments of a class are lighter or darker and a little off in hue. "
        "Things (what can be counted) are vivid, stuff (sky, grass, walls) is muted and covers "
        "less of the photograph. A crowd, a group that is annotated as one, is hatched. "
        "Background, and pixels whose segment is not listed, stay as they are.\n\n"
        "A pixel of a segment with colour c becomes (p (255 - a) + c a) / 255, rounded, where p "
        "is the photograph and a is 255 x opacity, times stuff_opacity for stuff, times 0.4 in "
        "every second stripe of a crowd. Outlines lie around things, on what is behind them: "
        "things are in front of stuff and small segments in front of large ones, so that even the "
        "smallest keep their colour.\n\n"
        "Labels read \"#2 horse\" for things, with the number that the segment has within its "
        "class, in the order of the map's list, and \"sky\" for stuff that occurs once. Numbers "
        "are those of the caption that crayon-encoder writes for a map reduced to the same grid: "
        "segments that vanish there are not in the caption and have no number. Unknown segments, "
        "as segment-grid finds them, are labelled with their number alone. Labels sit on the "
        "thickest part of their segment; where that would hide it, or something else, they move "
        "aside, and a line leads back. They never touch each other and never leave the "
        "photograph; what finds no place is in the legend only. The legend names every class that "
        "has a pixel, things first, with round marks, then stuff, with square ones, and counts "
        "the segments.",
    .inputs =
        CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the photograph"),
                 CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0,
                         "its segments; a map of another size is fitted by nearest neighbour")),
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0,
                                "the painted photograph, with the legend below or beside it")),
    .options = CR_OPTIONS(
        CR_OPTION_NUMBER("opacity", struct overlay_options, opacity, "0.5", 0, 1, 0,
                         "how much the colours of things cover the photograph, from 0 (not at "
                         "all) to 1 (entirely)"),
        CR_OPTION_NUMBER("stuff_opacity", struct overlay_options, stuff_opacity, "0.7", 0, 1, 0,
                         "the opacity of stuff and of unknown segments, as a part of opacity"),
        CR_OPTION_INT("outline", struct overlay_options, outline, "-1", -1, 64, 0,
                      "width of outlines in pixels; 0 for none, -1 for a width that suits the "
                      "photograph's size"),
        CR_OPTION_BOOL("labels", struct overlay_options, labels, "true", 0,
                       "write a label on each segment"),
        CR_OPTION_BOOL("legend", struct overlay_options, legend, "true", 0,
                       "add a legend below or beside the photograph"),
        CR_OPTION_NUMBER("label_size", struct overlay_options, label_size, "0", 0, 200, 0,
                         "size of letters in pixels, in labels and legend; 0 for one that suits "
                         "the photograph's size"),
        CR_OPTION_NUMBER("min_area", struct overlay_options, min_area, "0.0001", 0, 1, 0,
                         "the part of the photograph that a segment must cover to get a label"),
        CR_OPTION_SIZE("grid", struct overlay_options, grid, "[35, 35]", 0, 256, 0,
                       "segments without a cell on this grid get no number, as in the caption; "
                       "[0, 0] numbers all")),
    .state_size = sizeof(struct overlay_options),
    .stage = &overlay_ops,
};

CR_PLUGIN("overlay", CR_VERSION, "MIT", "a photograph with its panoptic map painted over it",
          &overlay_element);
