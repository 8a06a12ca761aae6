/* SPDX-License-Identifier: MIT */
/* crayon-encoder: the two maps that the Crayon Prompt is painted from, and the caption of the
 * objects. The rules are in maps.c. */
#include <crayon/memory.h>
#include <crayon/plugin.h>

#include "maps.h"

struct crayon_encoder {
    const char *categories;
    struct cr_size grid;
};

/* What one run makes: the maps of all items one after the other, and the captions. */
struct encoding {
    size_t count;
    size_t cells;       /* of one map */
    int32_t *semantic;  /* count x cells */
    int32_t *numbering; /* count x cells */
    struct cr_value *objects;
};

static int encode_item(const struct cr_panoptic *panoptic, struct cr_size grid,
                       struct encoding *encoding, size_t item, struct cr_error *err)
{
    struct cr_panoptic *reduced = NULL;
    char *caption = NULL;
    size_t at = item * encoding->cells;
    int result = cr_panoptic_resize(&reduced, panoptic, grid, err);
    if (result == 0)
        result =
            encode_maps(reduced, encoding->semantic + at, encoding->numbering + at, &caption, err);
    if (result == 0)
        result = cr_value_set_text(encoding->objects, item, caption, err);
    cr_free(caption);
    cr_panoptic_unref(&reduced);
    return result;
}

static int encoding_init(struct encoding *encoding, size_t count, struct cr_size grid,
                         struct cr_context *context, struct cr_error *err)
{
    size_t cells = (size_t)grid.height * (size_t)grid.width, bytes = 0;
    *encoding = (struct encoding){.count = count, .cells = cells};
    if (!cr_size_mul(count, cells * sizeof(int32_t), &bytes))
        return cr_fail(err, CR_ERR_LIMIT, "%zu maps of %zu cells exceed the address space", count,
                       cells);
    if ((encoding->semantic = cr_context_scratch(context, bytes, err)) == NULL ||
        (encoding->numbering = cr_context_scratch(context, bytes, err)) == NULL)
        return CR_ERR_MEMORY;
    return cr_value_create(&encoding->objects, CR_TYPE_TEXT, count, err);
}

static int output_map(struct cr_context *context, const char *port, const struct encoding *encoding,
                      struct cr_size grid, const int32_t *map, struct cr_error *err)
{
    if (!cr_context_wants(context, port))
        return 0;
    const int64_t shape[3] = {(int64_t)encoding->count, grid.height, grid.width};
    struct cr_tensor *tensor = NULL;
    struct cr_value *value = NULL;
    int result = cr_tensor_create(&tensor, CR_DTYPE_I32, 3, shape, map, err);
    if (result == 0)
        result = cr_value_from_tensor(&value, tensor, err);
    if (result == 0)
        cr_context_output(context, port, &value);
    cr_tensor_unref(&tensor);
    return result;
}

static int encoder_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct crayon_encoder *encoder = state;
    const struct cr_value *panoptic = cr_context_input(context, "panoptic");
    size_t count = cr_value_count(panoptic);
    struct encoding encoding;
    int result = encoding_init(&encoding, count, encoder->grid, context, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result = encode_item(cr_value_panoptic(panoptic, i), encoder->grid, &encoding, i, err);
    }
    if (result == 0)
        result = output_map(context, "semantic", &encoding, encoder->grid, encoding.semantic, err);
    if (result == 0)
        result =
            output_map(context, "numbering", &encoding, encoder->grid, encoding.numbering, err);
    if (result == 0 && cr_context_wants(context, "objects"))
        cr_context_output(context, "objects", &encoding.objects);
    cr_value_unref(&encoding.objects);
    return result;
}

static const struct cr_stage_ops encoder_ops = {
    .size = sizeof(struct cr_stage_ops),
    .run = encoder_run,
};

static const struct cr_element encoder_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "crayon-encoder",
    .summary = "Crayon maps, instance numbers and object caption of a panoptic map",
    .description =
        "Turns a panoptic map into what CoLLaVO's Crayon Prompt is painted from: for every cell of "
        "a grid the class of the segment there (semantic) and which instance of that class it is "
        "(numbering), and one line of text that lists the objects with their boxes (objects). The "
        "map is first reduced to the grid by nearest neighbour; boxes and numbers are those of the "
        "reduced map.\n\n"
        "semantic holds label + 1, where a label is a position in the list of the 133 COCO "
        "panoptic categories, and 0 where nothing is known: background (ids of 0 and below), ids "
        "that the list of segments lacks, and segments of unknown label.\n\n"
        "numbering counts the instances of each label from 1 in ascending order of segment id. "
        "Segments without a cell on the grid are not counted. Instances beyond the 20th get 0, as "
        "the model has no numbering query for them; so does everything that is 0 in semantic.\n\n"
        "objects lists the segments that have a cell and a known label, in the order of the list "
        "of segments, as in \"(#1 horse) [0.06, 0.38, 0.27, 0.91], (#2 horse) [0.56, 0.41, 0.77, "
        "0.99]\". The number counts equal names in the order of the text and goes on beyond 20. "
        "Names are those of COCO without the endings \"-merged\", \"-other\" and \"-stuff\". A box "
        "is "
        "[left, top, right, bottom], tight around the segment's cells, right and bottom exclusive, "
        "as a fraction of the width and height of the grid. When there is nothing to list the item "
        "is null.\n\n"
        "The items of a batch do not depend on each other.",
    .inputs =
        CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0,
                         "which segment each pixel belongs to, in any size; reduced to the grid")),
    .outputs = CR_PORTS(CR_PORT("semantic", CR_TYPE_TENSOR, 0,
                                "i32 [B, rows, columns]: label + 1, 0 where nothing is known"),
                        CR_PORT("numbering", CR_TYPE_TENSOR, 0,
                                "i32 [B, rows, columns]: instance number 1..20 within the label, "
                                "else 0"),
                        CR_PORT("objects", CR_TYPE_TEXT, 0,
                                "the objects with numbers and boxes; null when there are none")),
    .options = CR_OPTIONS(
        CR_OPTION_CHOICE("categories", struct crayon_encoder, categories, "coco-panoptic",
                         CR_CHOICES("coco-panoptic"), 0,
                         "the categories that labels of the panoptic map stand for"),
        CR_OPTION_SIZE("grid", struct crayon_encoder, grid, "[35, 35]", 1, 256, 0,
                       "rows and columns of the maps, one cell for each patch of the vision "
                       "encoder")),
    .state_size = sizeof(struct crayon_encoder),
    .stage = &encoder_ops,
};

CR_PLUGIN("crayon-encoder", CR_VERSION, "MIT", "maps, numbering and caption of the Crayon Prompt",
          &encoder_element);
