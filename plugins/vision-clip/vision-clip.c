/* SPDX-License-Identifier: MIT */
/* vision-clip: patch features of pictures, by the vision tower of CLIP, and by the connector that
 * CoLLaVO puts behind it. */
#include "clip.h"

struct vision_clip {
    const char *model_name;
    const char *config_path;
    const char *weights;
    struct cr_size input_size;
    struct cr_model *model;
    struct clip clip;
};

static void vision_check(const void *state, struct cr_check *check)
{
    (void)state;
    const bool image = cr_check_connected(check, "image");
    if (image == cr_check_connected(check, "pixels"))
        cr_check_problem(check, image ? "in/pixels" : "in/image",
                         "connect \"image\" or \"pixels\", %s", image ? "not both" : "one of them");
    if (!image && cr_check_given(check, "input_size"))
        cr_check_problem(check, "input_size", "pixels come in their size; it is for \"image\"");
}

static int vision_open(void *state, struct cr_context *context, struct cr_error *err)
{
    struct vision_clip *vision = state;
    int result = cr_model_open(&vision->model, vision->model_name, NULL, err);
    if (result == 0)
        result = clip_config_read(&vision->clip.config, vision->model, vision->config_path, err);
    if (result == 0)
        result =
            clip_load(&vision->clip, vision->model, cr_dtype_find(vision->weights), context, err);
    return result;
}

static void vision_close(void *state)
{
    struct vision_clip *vision = state;
    clip_unload(&vision->clip);
    cr_model_unref(&vision->model);
}

/* The pixels on the device, from whichever input there is. */
static int take_pixels(struct cr_tensor **pixels, const struct vision_clip *vision,
                       struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *given = cr_context_input(context, "pixels");
    if (given != NULL) {
        *pixels = cr_tensor_ref(cr_value_tensor(given));
        return 0;
    }
    struct cr_size size = vision->input_size;
    if (size.height == 0)
        size.height = size.width =
            (int32_t)(clip_native_grid(&vision->clip) * vision->clip.config.patch);
    if (size.height < vision->clip.config.patch || size.width < vision->clip.config.patch)
        return cr_fail(err, CR_ERR_ARGUMENT, "an input_size of [%d, %d] is less than one patch, %d",
                       size.height, size.width, (int)vision->clip.config.patch);
    return clip_pixels(pixels, cr_context_input(context, "image"), size, context, err);
}

static int hand_over_features(const struct vision_clip *vision, struct cr_context *context,
                              const struct cr_tensor *hidden, struct cr_error *err)
{
    struct cr_tensor *features = NULL;
    if (!cr_context_wants(context, "features"))
        return 0;
    if (vision->clip.connector[0].w == NULL)
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "%s has no connector (vision_proj.*), so there are no features; \"hidden\" "
                       "is what it gives",
                       cr_model_folder(vision->model));
    int result = clip_connect(&features, &vision->clip, hidden, err);
    if (result == 0)
        result = cr_context_output_tensor(context, "features", features, err);
    cr_tensor_unref(&features);
    return result;
}

static int vision_run(void *state, struct cr_context *context, struct cr_error *err)
{
    struct vision_clip *vision = state;
    struct cr_tensor *pixels = NULL, *hidden = NULL;
    int result = take_pixels(&pixels, vision, context, err);
    if (result == 0)
        result = cr_context_output_tensor(context, "pixels", pixels, err);
    if (result == 0 &&
        (cr_context_wants(context, "hidden") || cr_context_wants(context, "features")))
        result = clip_forward(&hidden, &vision->clip, pixels, context, err);
    if (result == 0 && hidden != NULL)
        result = cr_context_output_tensor(context, "hidden", hidden, err);
    if (result == 0 && hidden != NULL)
        result = hand_over_features(vision, context, hidden, err);
    cr_tensor_unref(&pixels);
    cr_tensor_unref(&hidden);
    return result;
}

static const struct cr_stage_ops vision_ops = {
    .size = sizeof(struct cr_stage_ops),
    .check = vision_check,
    .open = vision_open,
    .run = vision_run,
    .close = vision_close,
};

static const struct cr_element vision_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "vision-clip",
    .summary = "patch features of pictures by the vision tower of CLIP",
    .description =
        "Encodes pictures with the vision tower of CLIP, in any published size, and, where the "
        "model has one, with the connector to a language model behind it.\n\n"
        "The tower is found in a CLIP model or vision model (vision_model.*) or inside a CoLLaVO "
        "checkpoint (vit.vision_tower.vision_model.*), as downloaded. Its shape comes from the "
        "option config, else from the model's config.json where that describes it, else it is "
        "ViT-L/14 at 336 pixels, which CoLLaVO holds without saying so.\n\n"
        "A picture is squashed to input_size by bilinear sampling of the four nearest pixels, "
        "rounded to whole numbers, and normalised by CLIP's mean and deviation: what CoLLaVO was "
        "trained with. The position embedding is resized to the grid of patches by bicubic "
        "interpolation when it was saved for another one.\n\n"
        "hidden is the last hidden state of the patches, row by row, without the class token and "
        "without the final layer norm. features is the connector's view of it "
        "(vision_proj: linear, gelu, linear).",
    .inputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, CR_PORT_OPTIONAL, "pictures of any sizes"),
                       CR_PORT("pixels", CR_TYPE_TENSOR, CR_PORT_OPTIONAL,
                               "f32 [B, 3, height, width], normalised, instead of pictures")),
    .outputs = CR_PORTS(
        CR_PORT("pixels", CR_TYPE_TENSOR, 0, "f32 [B, 3, height, width], normalised"),
        CR_PORT("hidden", CR_TYPE_TENSOR, 0, "f32 [B, patches, width] before the final norm"),
        CR_PORT("features", CR_TYPE_TENSOR, 0,
                "f32 [B, patches, width of the language model], after the connector")),
    .options = CR_OPTIONS(
        CR_OPTION_MODEL("model", struct vision_clip, model_name, NULL, CR_OPTION_REQUIRED,
                        "folder or public name of a CLIP or CoLLaVO model"),
        CR_OPTION_PATH("config", struct vision_clip, config_path, NULL, 0,
                       "a config.json of the vision tower, where the model has none"),
        CR_OPTION_CHOICE("weights", struct vision_clip, weights, "f16",
                         CR_CHOICES("f32", "f16", "q8_0", "nf4"), 0,
                         "how the matrices are kept on the device"),
        CR_OPTION_SIZE("input_size", struct vision_clip, input_size, NULL, 1, 8192, 0,
                       "height and width that pictures are brought to; left out: those of the "
                       "saved position embedding (490 x 490 for CoLLaVO)")),
    .state_size = sizeof(struct vision_clip),
    .stage = &vision_ops,
    .flags = CR_ELEMENT_USES_DEVICE,
};

CR_PLUGIN("vision-clip", CR_VERSION, "MIT", "the vision tower of CLIP", &vision_element);
