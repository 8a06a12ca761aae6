/* SPDX-License-Identifier: MIT */
/* crayon-encoder: the two maps that the Crayon Prompt is painted from, the caption of the objects,
 * and, with a model, the prompt itself. The rules of the maps are in maps.c, the learned half in
 * learned.c. */
#include <crayon/memory.h>
#include <crayon/plugin.h>

#include "learned.h"
#include "maps.h"

struct crayon_encoder {
    const char *categories;
    struct cr_size grid;
    const char *model_name;
    const char *weights;
    struct cr_model *model; /* NULL: none was named */
    struct learned learned;
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
    int result = cr_tensor_create(&tensor, CR_DTYPE_I32, 3, shape, map, err);
    if (result == 0)
        result = cr_context_output_tensor(context, port, tensor, err);
    cr_tensor_unref(&tensor);
    return result;
}

/* ---- Maps of panoptic values ---- */

static int encode_panoptic(const struct crayon_encoder *encoder, struct encoding *encoding,
                           struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *panoptic = cr_context_input(context, "panoptic");
    size_t count = cr_value_count(panoptic);
    int result = encoding_init(encoding, count, encoder->grid, context, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result = encode_item(cr_value_panoptic(panoptic, i), encoder->grid, encoding, i, err);
    }
    if (result == 0)
        result = output_map(context, "semantic", encoding, encoder->grid, encoding->semantic, err);
    if (result == 0)
        result =
            output_map(context, "numbering", encoding, encoder->grid, encoding->numbering, err);
    if (result == 0 && cr_context_wants(context, "objects"))
        cr_context_output(context, "objects", &encoding->objects);
    return result;
}

/* ---- Maps that are given ---- */

/* Read one map to the host, and hand it on where it is wanted. */
static int take_map(const char *port, int32_t **map, struct encoding *encoding,
                    struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *value = cr_context_input(context, port);
    const struct cr_tensor *tensor = cr_value_tensor(value);
    const int rank = cr_tensor_rank(tensor);
    if (cr_tensor_dtype(tensor) != CR_DTYPE_I32 || rank < 2 || rank > 3)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s must be i32 [B, rows, columns] or [B, cells], not %s of rank %d", port,
                       cr_dtype_name(cr_tensor_dtype(tensor)), rank);
    encoding->count = (size_t)cr_tensor_extent(tensor, 0);
    encoding->cells =
        (size_t)cr_tensor_extent(tensor, 1) * (size_t)(rank == 3 ? cr_tensor_extent(tensor, 2) : 1);
    size_t bytes = (size_t)cr_tensor_elements(tensor) * sizeof(int32_t);
    if ((*map = cr_context_scratch(context, bytes, err)) == NULL)
        return CR_ERR_MEMORY;
    int result = cr_tensor_read(tensor, *map, bytes, err);
    if (result == 0 && cr_context_wants(context, port)) {
        struct cr_value *same = cr_value_ref(value);
        cr_context_output(context, port, &same);
    }
    return result;
}

static int take_maps(struct encoding *encoding, struct cr_context *context, struct cr_error *err)
{
    *encoding = (struct encoding){.count = 0};
    int result = take_map("semantic", &encoding->semantic, encoding, context, err);
    const size_t cells = encoding->cells;
    if (result == 0)
        result = take_map("numbering", &encoding->numbering, encoding, context, err);
    if (result == 0 && encoding->cells != cells)
        result = cr_fail(err, CR_ERR_ARGUMENT,
                         "semantic has %zu cells and numbering %zu; they must agree", cells,
                         encoding->cells);
    if (result == 0 && cr_context_wants(context, "objects"))
        result = cr_fail(err, CR_ERR_UNSUPPORTED,
                         "objects come from a panoptic map; the two maps do not hold them");
    return result;
}

/* ---- The prompt ---- */

static int check_able(const struct crayon_encoder *encoder, bool features, struct cr_error *err)
{
    if (encoder->model == NULL)
        return cr_fail(
            err, CR_ERR_ARGUMENT,
            "embedding and features are learned: name a model with the option \"model\"");
    if (features && encoder->learned.w[0] == NULL)
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "%s has no connector (vision_proj_for_seg.*), so there are no features; "
                       "\"embedding\" is what it gives",
                       cr_model_folder(encoder->model));
    return 0;
}

static int output_prompt(const struct crayon_encoder *encoder, const struct encoding *encoding,
                         struct cr_context *context, struct cr_error *err)
{
    const bool wants_features = cr_context_wants(context, "features");
    struct cr_tensor *embedding = NULL, *features = NULL;
    if (!wants_features && !cr_context_wants(context, "embedding"))
        return 0;
    int result = check_able(encoder, wants_features, err);
    if (result == 0)
        result = learned_embed(&embedding, &encoder->learned, encoding->semantic,
                               encoding->numbering, encoding->count, encoding->cells, err);
    if (result == 0)
        result = cr_context_output_tensor(context, "embedding", embedding, err);
    if (result == 0 && wants_features)
        result = learned_connect(&features, &encoder->learned, embedding, err);
    if (result == 0 && wants_features)
        result = cr_context_output_tensor(context, "features", features, err);
    cr_tensor_unref(&embedding);
    cr_tensor_unref(&features);
    return result;
}

/* ---- The stage ---- */

static void encoder_check(const void *state, struct cr_check *check)
{
    const struct crayon_encoder *encoder = state;
    const bool panoptic = cr_check_connected(check, "panoptic");
    const bool semantic = cr_check_connected(check, "semantic");
    const bool numbering = cr_check_connected(check, "numbering");
    if (panoptic && (semantic || numbering))
        cr_check_problem(check, semantic ? "in/semantic" : "in/numbering",
                         "the maps are made from \"panoptic\", which is connected too; connect "
                         "either");
    else if (!panoptic && !(semantic && numbering))
        cr_check_problem(check, "in/panoptic",
                         "connect \"panoptic\", or both \"semantic\" and \"numbering\"");
    if (encoder->model_name == NULL && cr_check_given(check, "weights"))
        cr_check_problem(check, "weights", "it is about the model, and none is named");
}

static int encoder_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct crayon_encoder *encoder = state;
    if (encoder->model_name == NULL)
        return 0;
    int result = cr_model_open(&encoder->model, encoder->model_name, NULL, err);
    if (result == 0)
        result = learned_load(&encoder->learned, encoder->model, cr_dtype_find(encoder->weights),
                              context, err);
    return result;
}

static int encoder_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct crayon_encoder *encoder = state;
    struct encoding encoding;
    int result = cr_context_input(context, "panoptic") != NULL
                     ? encode_panoptic(encoder, &encoding, context, err)
                     : take_maps(&encoding, context, err);
    if (result == 0)
        result = output_prompt(encoder, &encoding, context, err);
    cr_value_unref(&encoding.objects);
    return result;
}

static void encoder_close(void *state)
{
    struct crayon_encoder *encoder = state;
    learned_unload(&encoder->learned);
    cr_model_unref(&encoder->model);
}

static const struct cr_stage_ops encoder_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = encoder_check,
    .open = encoder_open,
    .run = encoder_run,
    .close = encoder_close,
};

static const struct cr_element encoder_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "crayon-encoder",
    .summary = "Crayon maps, object caption and Crayon Prompt of a panoptic map",
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
        "With a model (CoLLaVO's), the prompt itself: embedding is, for every cell, the semantic "
        "query of its class plus the numbering query of its number (seg_prompt_embed, "
        "seg_num_embed); features is the connector's view of it (vision_proj_for_seg: linear, "
        "gelu, "
        "linear). Recorded maps may be given instead of a panoptic map; a number that is no row of "
        "the model's tables is an error.\n\n"
        "The items of a batch do not depend on each other.",
    .inputs =
        CR_PORTS(CR_PORT("panoptic", CR_TYPE_PANOPTIC, CR_PORT_OPTIONAL,
                         "which segment each pixel belongs to, in any size; reduced to the grid"),
                 CR_PORT("semantic", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "i32 [B, rows, columns] or [B, cells], instead of a panoptic map"),
                 CR_PORT("numbering", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "i32 [B, rows, columns] or [B, cells], beside semantic")),
    .outputs = CR_PORTS(CR_PORT("semantic", CR_TYPE_TENSOR, 0,
                                "i32 [B, rows, columns]: label + 1, 0 where nothing is known"),
                        CR_PORT("numbering", CR_TYPE_TENSOR, 0,
                                "i32 [B, rows, columns]: instance number 1..20 within the label, "
                                "else 0"),
                        CR_PORT("objects", CR_TYPE_TEXT, 0,
                                "the objects with numbers and boxes; null when there are none"),
                        CR_PORT("embedding", CR_TYPE_TENSOR, 0,
                                "f32 [B, cells, d]: the Crayon Prompt; needs a model"),
                        CR_PORT("features", CR_TYPE_TENSOR, 0,
                                "f32 [B, cells, width of the language model], after the connector; "
                                "needs a model")),
    .options = CR_OPTIONS(
        CR_OPTION_CHOICE("categories", struct crayon_encoder, categories, "coco-panoptic",
                         CR_CHOICES("coco-panoptic"), 0,
                         "the categories that labels of the panoptic map stand for"),
        CR_OPTION_SIZE("grid", struct crayon_encoder, grid, "[35, 35]", 1, 256, 0,
                       "rows and columns of the maps, one cell for each patch of the vision "
                       "encoder"),
        CR_OPTION_MODEL("model", struct crayon_encoder, model_name, NULL, 0,
                        "folder or public name of a CoLLaVO model, for embedding and features"),
        CR_OPTION_CHOICE("weights", struct crayon_encoder, weights, "f32",
                         CR_CHOICES("f32", "f16", "q8_0", "nf4"), 0,
                         "how the connector's matrices are kept on the device")),
    .state_size = sizeof(struct crayon_encoder),
    .stage = &encoder_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

CR_PLUGIN("crayon-encoder", CR_VERSION, "MIT", "maps, caption and queries of the Crayon Prompt",
          &encoder_element);
