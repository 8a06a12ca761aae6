/* SPDX-License-Identifier: MIT */
/* segment-mask2former: the panoptic map of a picture by Mask2Former. */
#include "mask2former.h"

struct segmenter {
    const char *model_name;
    const char *config_path;
    const char *weights;
    struct cr_size size;
    struct cr_size grid;
    struct cr_size input_size;
    struct cr_size prescale;
    double threshold;
    double mask_threshold;
    double overlap_threshold;
    struct cr_model *model; /* NULL: none was named */
    struct mask2former network;
};

static void segmenter_check(const void *state, struct cr_check *check)
{
    const struct segmenter *segmenter = state;
    const bool image = cr_check_connected(check, "image");
    const bool pixels = cr_check_connected(check, "pixels");
    const bool classes = cr_check_connected(check, "class_logits");
    const bool masks = cr_check_connected(check, "mask_logits");
    if (classes != masks)
        cr_check_problem(check, classes ? "in/mask_logits" : "in/class_logits",
                         "class_logits and mask_logits belong together; connect both");
    else if (image + pixels + classes != 1)
        cr_check_problem(check, "in/image",
                         "connect \"image\", or \"pixels\", or \"class_logits\" with "
                         "\"mask_logits\": one of the three");
    if (!classes && segmenter->model_name == NULL)
        cr_check_problem(check, "model", "name a model; only logits that are given need none");
}

/* The network, when something is wanted that comes from it. */
static int need_network(struct segmenter *segmenter, struct cr_context *context,
                        struct cr_error *err)
{
    if (segmenter->network.weights != NULL)
        return 0;
    return mask2former_load(&segmenter->network, segmenter->model,
                            cr_dtype_find(segmenter->weights), context, err);
}

static int segmenter_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct segmenter *segmenter = state;
    if (segmenter->model_name == NULL)
        return 0;
    int result = cr_model_open(&segmenter->model, segmenter->model_name, NULL, err);
    if (result == 0 && cr_context_wires(context, "class_logits") == 0)
        result = mask2former_config_read(&segmenter->network.config, segmenter->model,
                                         segmenter->config_path, err);
    return result;
}

static void segmenter_close(void *state)
{
    struct segmenter *segmenter = state;
    mask2former_unload(&segmenter->network);
    cr_model_unref(&segmenter->model);
}

static int segmenter_run(void *state, struct cr_context *context, struct cr_error *err)
{
    struct segmenter *segmenter = state;
    const struct cr_value *pixels = cr_context_input(context, "pixels");
    struct cr_tensor *classes = NULL, *masks = NULL;
    if (pixels == NULL || cr_context_wants(context, "panoptic") ||
        cr_context_wants(context, "grid"))
        return cr_fail(err, CR_ERR_UNSUPPORTED, "only pixels and logits so far");
    int result = need_network(segmenter, context, err);
    if (result == 0)
        result = mask2former_forward(&classes, &masks, &segmenter->network, cr_value_tensor(pixels),
                                     context, err);
    if (result == 0)
        result = cr_context_output_tensor(context, "pixels", cr_value_tensor(pixels), err);
    if (result == 0)
        result = cr_context_output_tensor(context, "class_logits", classes, err);
    if (result == 0)
        result = cr_context_output_tensor(context, "mask_logits", masks, err);
    cr_tensor_unref(&classes);
    cr_tensor_unref(&masks);
    return result;
}

static const struct cr_stage_ops segmenter_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = segmenter_check,
    .open = segmenter_open,
    .run = segmenter_run,
    .close = segmenter_close,
};

static const struct cr_element segmenter_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "segment-mask2former",
    .summary = "panoptic map of a picture by Mask2Former",
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
        CR_OPTION_NUMBER("threshold", struct segmenter, threshold, "0.5", 0, 1, 0,
                         "class scores must exceed it"),
        CR_OPTION_NUMBER("mask_threshold", struct segmenter, mask_threshold, "0.5", 0, 1, 0,
                         "from which product of class score and mask a pixel counts"),
        CR_OPTION_NUMBER("overlap_mask_area_threshold", struct segmenter, overlap_threshold, "0.8",
                         0, 1, 0, "how much of a mask must be left beside the others")),
    .state_size = sizeof(struct segmenter),
    .stage = &segmenter_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

CR_PLUGIN("segment-mask2former", CR_VERSION, "MIT", "panoptic segmentation by Mask2Former",
          &segmenter_element);
