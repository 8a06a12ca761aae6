/* SPDX-License-Identifier: MIT */
/* source-image: a picture from a file that the pipeline itself names. */
#include <crayon/plugin.h>

struct source_image {
    const char *path;
    int64_t max_pixels, max_bytes, max_chunk, max_scans;
};

/* The file is read in every run and not kept: a run sees the file as it is then, and a large
 * picture does not stay in memory between runs. */
static int source_run(void *state, struct cr_context *context, struct cr_error *err)
{
    const struct source_image *source = state;
    if (!cr_context_wants(context, "image"))
        return 0;
    const struct cr_image_limits limits = {
        .max_pixels = (uint64_t)source->max_pixels,
        .max_bytes = (uint64_t)source->max_bytes,
        .max_scans = (uint32_t)source->max_scans,
        .max_chunk = (uint32_t)source->max_chunk,
    };
    struct cr_image *image = NULL;
    struct cr_value *value = NULL;
    int result = cr_image_load(&image, source->path, &limits, err);
    if (result == 0)
        result = cr_value_from_image(&value, image, err);
    if (result == 0)
        cr_context_output(context, "image", &value);
    cr_image_unref(&image);
    return result;
}

static const struct cr_stage_ops source_ops = {
    .size = sizeof(struct cr_stage_ops),
    .run = source_run,
};

static const struct cr_element source_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_STAGE,
    .name = "source-image",
    .summary = "a picture from a file",
    .description =
        "Reads one picture from a PNG or JPEG file, told apart by its first bytes and not by its "
        "name. Grey becomes RGB, 16 bits a channel become 8, transparency is laid over white, and "
        "the orientation that a camera wrote beside the picture (EXIF) is applied.\n\n"
        "The stage has no input: it stands where a pipeline names its own picture, instead of an "
        "input that is given with --image. Its output always has one item, so it cannot be mixed "
        "with inputs that bring a batch of several.\n\n"
        "The file is read anew in every run and not kept in between.\n\n"
        "The limits are checked before memory is asked for, so that a small file cannot make the "
        "program ask for any amount of it. Raise them for pictures that are meant to be large.",
    .outputs = CR_PORTS(CR_PORT("image", CR_TYPE_IMAGE, 0, "the picture, one item")),
    .options = CR_OPTIONS(
        CR_OPTION_PATH("path", struct source_image, path, NULL, CR_OPTION_REQUIRED,
                       "the PNG or JPEG file"),
        CR_OPTION_INT("max_pixels", struct source_image, max_pixels, "67108864", 1, 268435456, 0,
                      "largest height x width that is decoded"),
        CR_OPTION_INT("max_bytes", struct source_image, max_bytes, "268435456", 1, 4294967296, 0,
                      "largest file that is read, in bytes"),
        CR_OPTION_INT("max_chunk", struct source_image, max_chunk, "8388608", 1, 268435456, 0,
                      "largest part of a PNG other than the pixels (EXIF, a profile, "
                      "text), in bytes"),
        CR_OPTION_INT("max_scans", struct source_image, max_scans, "100", 1, 10000, 0,
                      "most passes of a progressive JPEG that are decoded")),
    .state_size = sizeof(struct source_image),
    .stage = &source_ops,
};

CR_PLUGIN("source-image", CR_VERSION, "MIT", "pictures from files", &source_element);
