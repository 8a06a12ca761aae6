/* SPDX-License-Identifier: MIT */
/* segment-mask2former: the panoptic map of a picture by Mask2Former. */
#include <string.h>

#include <crayon/memory.h>

#include "mask2former.h"

struct segmenter {
    const char *model_name;
    const char *config_path;
    const char *weights;
    struct cr_size size;
    struct cr_size grid;
    struct cr_size input_size;
    struct cr_size prescale;
    struct cr_option_strings labels;
    const char *fuse;
    struct segment_rules rules;
    struct cr_model *model; /* NULL: none was named */
    struct preprocessing preprocessing;
    struct mask2former network;
};

/* Where nothing says how large a map is to be: as in the reference. */
static const struct cr_size default_size = {384, 384};

/* ---- Checking ---- */

static void check_inputs(const struct segmenter *segmenter, struct cr_check *check)
{
    const bool image = cr_check_connected(check, "image");
    const bool pixels = cr_check_connected(check, "pixels");
    const bool classes = cr_check_connected(check, "class_logits");
    const bool masks = cr_check_connected(check, "mask_logits");
    const char *extra = pixels ? "in/pixels" : "in/class_logits";
    if (classes != masks)
        cr_check_problem(check, classes ? "in/mask_logits" : "in/class_logits",
                         "\"class_logits\" and \"mask_logits\" belong together: connect both");
    else if (image + pixels + classes != 1)
        cr_check_problem(check, image || pixels ? extra : "in/image",
                         "connect one of \"image\", \"pixels\", and \"class_logits\" with "
                         "\"mask_logits\"");
    if (!classes && segmenter->model_name == NULL)
        cr_check_problem(check, "model", "is missing: only logits that are given need no model");
    for (int i = 0; i < 2 && !image; i++) {
        const char *option = i == 0 ? "input_size" : "prescale";
        if (cr_check_given(check, option))
            cr_check_problem(check, option, "it is for \"image\", which is not connected");
    }
}

static void segmenter_check(const void *state, struct cr_check *check)
{
    const struct segmenter *segmenter = state;
    check_inputs(segmenter, check);
    for (size_t i = 0; i < segmenter->labels.count; i++) {
        size_t length = 0;
        int32_t label = 0;
        if (!label_pair_parse(segmenter->labels.items[i], &length, &label))
            cr_check_problem(check, "labels",
                             "\"%s\": \"NAME=COCO NAME\" would be right, with a name of COCO's "
                             "panoptic categories or \"unknown\" on the right",
                             segmenter->labels.items[i]);
    }
}

/* ---- Opening ---- */

static bool wants_maps(const struct cr_context *context)
{
    return cr_context_wants(context, "panoptic") || cr_context_wants(context, "grid");
}

static bool wants_logits(const struct cr_context *context)
{
    return wants_maps(context) || cr_context_wants(context, "class_logits") ||
           cr_context_wants(context, "mask_logits");
}

/* The network, once something is wanted that comes from it. */
static int need_network(struct segmenter *segmenter, struct cr_context *context,
                        struct cr_error *err)
{
    if (!wants_logits(context) || segmenter->network.weights != NULL)
        return 0;
    return mask2former_load(&segmenter->network, segmenter->model,
                            cr_dtype_find(segmenter->weights), context, err);
}

static int read_labels(struct segmenter *segmenter, struct cr_error *err)
{
    char *own = NULL;
    int result = 0;
    if (segmenter->config_path == NULL && segmenter->model != NULL)
        result = cr_model_file(segmenter->model, "config.json", &own, err);
    if (result == CR_ERR_NOT_FOUND) {
        cr_error_clear(err);
        result = 0;
    }
    if (result == 0)
        result =
            label_table_read(&segmenter->rules.labels, own != NULL ? own : segmenter->config_path,
                             &segmenter->labels, err);
    cr_free(own);
    return result;
}

static int read_preprocessing(struct segmenter *segmenter, struct cr_error *err)
{
    struct preprocessing *preprocessing = &segmenter->preprocessing;
    int result = preprocessing_read(preprocessing, segmenter->model, err);
    preprocessing->prescale = segmenter->prescale;
    if (segmenter->input_size.height > 0) {
        preprocessing->resize = true;
        preprocessing->size = segmenter->input_size;
    }
    return result;
}

static int segmenter_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct segmenter *segmenter = state;
    int result = 0;
    segmenter->rules.fuse_stuff = strcmp(segmenter->fuse, "stuff") == 0;
    if (segmenter->model_name != NULL)
        result = cr_model_open(&segmenter->model, segmenter->model_name, NULL, err);
    if (result == 0)
        result = read_labels(segmenter, err);
    if (result < 0 || cr_context_wires(context, "class_logits") > 0)
        return result;
    if (cr_context_wires(context, "image") > 0)
        result = read_preprocessing(segmenter, err);
    if (result == 0)
        result = mask2former_config_read(&segmenter->network.config, segmenter->model,
                                         segmenter->config_path, err);
    return result == 0 ? need_network(segmenter, context, err) : result;
}

static void segmenter_close(void *state)
{
    struct segmenter *segmenter = state;
    mask2former_unload(&segmenter->network);
    label_table_finish(&segmenter->rules.labels);
    cr_model_unref(&segmenter->model);
}

/* ---- Running ---- */

/* What one run makes; each NULL where nobody wants it. */
struct segmentation {
    struct cr_value *panoptic;
    struct cr_value *grid;
};

/* Items first .. first + count - 1, which go through the network together. */
struct group {
    size_t first, count;
    struct cr_tensor *pixels, *class_logits, *mask_logits;
};

static void group_finish(struct group *group)
{
    cr_tensor_unref(&group->pixels);
    cr_tensor_unref(&group->class_logits);
    cr_tensor_unref(&group->mask_logits);
}

static int set_map(struct cr_value *value, size_t item, const struct candidates *candidates,
                   struct cr_size size, const struct segment_rules *rules,
                   struct cr_context *context, struct cr_error *err)
{
    struct cr_panoptic *map = NULL;
    if (value == NULL)
        return 0;
    int result = candidates_map(&map, candidates, size, rules, context, err);
    if (result == 0)
        cr_value_set_panoptic(value, item, map);
    cr_panoptic_unref(&map);
    return result;
}

static int segment_item(const struct segmenter *segmenter, const struct group *group,
                        const struct query_classes *queries, size_t index,
                        struct segmentation *segmentation, struct cr_context *context,
                        struct cr_error *err)
{
    const struct cr_value *images = cr_context_input(context, "image");
    const size_t item = group->first + index;
    struct cr_size size =
        images != NULL ? cr_image_size(cr_value_image(images, item)) : default_size;
    if (segmenter->size.height > 0)
        size = segmenter->size;
    struct candidates candidates;
    int result = candidates_find(&candidates, queries, group->mask_logits, index, &segmenter->rules,
                                 context, err);
    if (result == 0)
        result = set_map(segmentation->panoptic, item, &candidates, size, &segmenter->rules,
                         context, err);
    if (result == 0)
        result = set_map(segmentation->grid, item, &candidates, segmenter->grid, &segmenter->rules,
                         context, err);
    candidates_finish(&candidates);
    return result;
}

static int segment_group(const struct segmenter *segmenter, const struct group *group,
                         struct segmentation *segmentation, struct cr_context *context,
                         struct cr_error *err)
{
    struct query_classes queries;
    if (!wants_maps(context))
        return 0;
    int result = query_classes_read(&queries, group->class_logits, context, err);
    for (size_t i = 0; i < group->count && result == 0; i++)
        result = segment_item(segmenter, group, &queries, i, segmentation, context, err);
    return result;
}

/* The logits of the group's pixels, if anything is wanted that comes from them, and its maps. */
static int run_group(struct segmenter *segmenter, struct group *group,
                     struct segmentation *segmentation, struct cr_context *context,
                     struct cr_error *err)
{
    int result = 0;
    if (group->class_logits == NULL && wants_logits(context)) {
        result = need_network(segmenter, context, err);
        if (result == 0)
            result = mask2former_forward(&group->class_logits, &group->mask_logits,
                                         &segmenter->network, group->pixels, context, err);
    }
    return result == 0 ? segment_group(segmenter, group, segmentation, context, err) : result;
}

static int output_tensors(const struct group *group, struct cr_context *context,
                          struct cr_error *err)
{
    int result = 0;
    if (group->pixels == NULL && cr_context_wants(context, "pixels"))
        return cr_fail(err, CR_ERR_UNSUPPORTED, "there are no pixels where logits are given");
    if (group->pixels != NULL)
        result = cr_context_output_tensor(context, "pixels", group->pixels, err);
    if (result == 0 && group->class_logits != NULL)
        result = cr_context_output_tensor(context, "class_logits", group->class_logits, err);
    if (result == 0 && group->mask_logits != NULL)
        result = cr_context_output_tensor(context, "mask_logits", group->mask_logits, err);
    return result;
}

/* ---- Pictures ---- */

static struct cr_size input_size(const struct segmenter *segmenter, const struct cr_value *images,
                                 size_t item)
{
    return preprocessing_size(&segmenter->preprocessing,
                              cr_image_size(cr_value_image(images, item)));
}

/* How many items from `first` on are brought to the same size. */
static size_t count_alike(const struct segmenter *segmenter, const struct cr_value *images,
                          size_t first)
{
    const struct cr_size size = input_size(segmenter, images, first);
    size_t end = first + 1;
    for (; end < cr_value_count(images); end++) {
        const struct cr_size other = input_size(segmenter, images, end);
        if (other.height != size.height || other.width != size.width)
            break;
    }
    return end - first;
}

static int refuse_tensors(struct cr_context *context, struct cr_error *err)
{
    static const char *const ports[] = {"pixels", "class_logits", "mask_logits"};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        if (cr_context_wants(context, ports[i]))
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "the pictures of this batch come to different sizes, so there is no "
                           "tensor \"%s\" of all; the option \"input_size\" brings them to one",
                           ports[i]);
    return 0;
}

/* Pictures of one size together, others after each other. */
static int run_images(struct segmenter *segmenter, const struct cr_value *images,
                      struct segmentation *segmentation, struct cr_context *context,
                      struct cr_error *err)
{
    const size_t count = cr_value_count(images);
    int result = 0;
    for (size_t first = 0; first < count && result == 0;) {
        struct group group = {.first = first, .count = count_alike(segmenter, images, first)};
        if (group.count < count)
            result = refuse_tensors(context, err);
        if (result == 0)
            result =
                preprocessing_run(&group.pixels, &segmenter->preprocessing, images, first,
                                  group.count, input_size(segmenter, images, first), context, err);
        if (result == 0)
            result = run_group(segmenter, &group, segmentation, context, err);
        if (result == 0 && group.count == count)
            result = output_tensors(&group, context, err);
        first += group.count;
        group_finish(&group);
        cr_context_progress(context, (double)first / (double)count);
    }
    return result;
}

/* ---- Tensors ---- */

static struct cr_tensor *take_tensor(const struct cr_context *context, const char *port)
{
    const struct cr_value *value = cr_context_input(context, port);
    return value != NULL ? cr_tensor_ref(cr_value_tensor(value)) : NULL;
}

static int run_tensors(struct segmenter *segmenter, size_t count, struct segmentation *segmentation,
                       struct cr_context *context, struct cr_error *err)
{
    struct group group = {.first = 0,
                          .count = count,
                          .pixels = take_tensor(context, "pixels"),
                          .class_logits = take_tensor(context, "class_logits"),
                          .mask_logits = take_tensor(context, "mask_logits")};
    int result = run_group(segmenter, &group, segmentation, context, err);
    if (result == 0)
        result = output_tensors(&group, context, err);
    group_finish(&group);
    return result;
}

static size_t count_items(const struct cr_context *context)
{
    static const char *const ports[] = {"image", "pixels", "class_logits"};
    const struct cr_value *value = NULL;
    for (size_t i = 0; value == NULL; i++)
        value = cr_context_input(context, ports[i]);
    return cr_value_count(value);
}

static int segmenter_run(void *state, struct cr_context *context, struct cr_error *err)
{
    struct segmenter *segmenter = state;
    const struct cr_value *images = cr_context_input(context, "image");
    const size_t count = count_items(context);
    struct segmentation segmentation = {NULL, NULL};
    int result = 0;
    if (cr_context_wants(context, "panoptic"))
        result = cr_value_create(&segmentation.panoptic, CR_TYPE_PANOPTIC, count, err);
    if (result == 0 && cr_context_wants(context, "grid"))
        result = cr_value_create(&segmentation.grid, CR_TYPE_PANOPTIC, count, err);
    if (result == 0)
        result = images != NULL ? run_images(segmenter, images, &segmentation, context, err)
                                : run_tensors(segmenter, count, &segmentation, context, err);
    if (result == 0 && segmentation.panoptic != NULL)
        cr_context_output(context, "panoptic", &segmentation.panoptic);
    if (result == 0 && segmentation.grid != NULL)
        cr_context_output(context, "grid", &segmentation.grid);
    cr_value_unref(&segmentation.panoptic);
    cr_value_unref(&segmentation.grid);
    return result;
}
/* How many queries are candidates is not known before they are there: perhaps all. */
static int segmenter_plan(void *state, struct cr_context *context, struct cr_error *err)
{
    struct segmenter *segmenter = state;
    const double threshold = segmenter->rules.threshold;
    segmenter->rules.threshold = -1;
    int result = segmenter_run(state, context, err);
    segmenter->rules.threshold = threshold;
    return result;
}

static const struct cr_stage_ops segmenter_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = segmenter_check,
    .open = segmenter_open,
    .run = segmenter_run,
    .close = segmenter_close,
    .plan = segmenter_plan,
};

static const struct cr_element segmenter_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "segment-mask2former",
    .summary = "panoptic map of a picture by Mask2Former",
    .description =
        "Finds the segments of a picture with Mask2Former (arXiv 2112.01527) and a Swin backbone, "
        "as published for Hugging Face, in any size: facebook/mask2former-swin-large-coco-panoptic "
        "is what CoLLaVO uses.\n\n"
        "A picture is resized as the model's preprocessor_config.json says (bilinear as in Pillow, "
        "to sides that are multiples of size_divisor), or to 384 x 384 where there is no such "
        "file; input_size decides instead. With prescale it is squashed to another size before, "
        "without antialiasing: CoLLaVO shows its segmenter the 490 x 490 picture that its vision "
        "encoder sees.\n\n"
        "Each query of the network has a class and a mask. Those whose class is not \"no object\" "
        "and whose score exceeds threshold are candidates. Their masks are resized to 384 x 384, "
        "brought into 0..1, and resized to the size of the map; each pixel belongs to the "
        "candidate whose score x mask is the largest there, to the first on a tie. A candidate "
        "becomes a segment if the pixels that it got, divided by those where score x mask reaches "
        "mask_threshold, exceed overlap_mask_area_threshold. Segments are numbered from 1 in the "
        "order of the queries; the pixels of candidates that were rejected are 0, and all are -1 "
        "where there was no candidate. Each output is computed from the masks in its own size. "
        "These are the rules of post_process_panoptic_segmentation in transformers. Checkpoints "
        "for instances or for semantic segmentation go through the same rules, as they do in its "
        "image-segmentation pipeline, unless told otherwise: instances compete for their pixels, "
        "and what no class of a semantic model claims strongly stays 0.\n\n"
        "With fuse, segments of the same kind of stuff become one, as COCO's annotations have it; "
        "the first one's number and score stay.\n\n"
        "The label of a segment follows from the name of its class, id2label in config.json: a "
        "name of COCO's 133 panoptic categories is that category. Names of other sets are "
        "translated by labels, a list such as [\"wall=wall-other-merged\", \"sofa=couch\"]; "
        "\"NAME=unknown\" is possible too. Other names are unknown. Classes without names "
        "(LABEL_0, LABEL_1, ...) are taken for COCO's in their order.\n\n"
        "Recorded logits may be given instead of a picture, with no model where classes are "
        "COCO's; panoptic is 384 x 384 then unless size says otherwise, and likewise for pixels. "
        "Pictures of a batch that come to one size go through the network together. The masks are "
        "enlarged in bands of rows: memory grows with the map by 4 bytes a pixel only.",
    .inputs =
        CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, CR_PORT_OPTIONAL, "pictures of any sizes"),
                 CR_PORT("pixels", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "f32 [B, 3, height, width], normalised, instead of pictures"),
                 CR_PORT("class_logits", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "f32 [B, queries, classes + 1], with mask_logits instead of pictures"),
                 CR_PORT("mask_logits", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                         "f32 [B, queries, height, width], beside class_logits")),
    .outputs = CR_PORTS(
        CR_PORT("panoptic", CR_TYPE_PANOPTIC, 0,
                "the map in the size of the picture, or in that of option size"),
        CR_PORT("grid", CR_TYPE_PANOPTIC, 0, "the map in option grid, for crayon-encoder"),
        CR_PORT("pixels", CR_TYPE_TENSOR, 0, "f32 [B, 3, height, width], normalised"),
        CR_PORT("class_logits", CR_TYPE_TENSOR, 0, "f32 [B, queries, classes + 1]"),
        CR_PORT("mask_logits", CR_TYPE_TENSOR, 0, "f32 [B, queries, height / 4, width / 4]")),
    .options = CR_OPTIONS(
        CR_OPTION_MODEL("model", struct segmenter, model_name, NULL, 0,
                        "folder or public name of a Mask2Former model"),
        CR_OPTION_PATH("config", struct segmenter, config_path, NULL, 0,
                       "a config.json instead of the model's"),
        CR_OPTION_CHOICE("weights", struct segmenter, weights, "f16",
                         CR_CHOICES("f32", "f16", "q8_0", "nf4"), 0,
                         "how the matrices are kept on the device"),
        CR_OPTION_SIZE("size", struct segmenter, size, NULL, 1, 65535, 0,
                       "height and width of the output panoptic, in pixels; by default those of "
                       "the picture"),
        CR_OPTION_SIZE("grid", struct segmenter, grid, "[35, 35]", 1, 256, 0,
                       "rows and columns of the output grid"),
        CR_OPTION_SIZE("input_size", struct segmenter, input_size, NULL, 1, 8192, 0,
                       "height and width that pictures are brought to for the network"),
        CR_OPTION_SIZE("prescale", struct segmenter, prescale, NULL, 1, 8192, 0,
                       "height and width that pictures are squashed to before anything else"),
        CR_OPTION_NUMBER("threshold", struct segmenter, rules.threshold, "0.5", 0, 1, 0,
                         "what the score of a class must exceed"),
        CR_OPTION_NUMBER("mask_threshold", struct segmenter, rules.mask_threshold, "0.5", 0, 1, 0,
                         "from which product of score and mask on a pixel belongs to the mask"),
        CR_OPTION_NUMBER("overlap_mask_area_threshold", struct segmenter, rules.overlap, "0.8", 0,
                         1, 0, "which part of a mask must be left beside those of others"),
        CR_OPTION_CHOICE("fuse", struct segmenter, fuse, "none", CR_CHOICES("none", "stuff"), 0,
                         "stuff: segments of the same kind of stuff become one"),
        CR_OPTION_STRINGS("labels", struct segmenter, labels, NULL, 0,
                          "which COCO categories the classes of a model mean whose names are not "
                          "COCO's: a list of \"NAME=COCO NAME\"")),
    .state_size = sizeof(struct segmenter),
    .stage = &segmenter_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

CR_PLUGIN("segment-mask2former", CR_VERSION, "MIT", "panoptic segmentation by Mask2Former",
          &segmenter_element);
