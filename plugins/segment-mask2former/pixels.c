/* SPDX-License-Identifier: MIT */
/* pixels.c: from pictures to what the network sees, as Hugging Face's Mask2FormerImageProcessor
 * does it. */
#include <stdio.h>

#include <crayon/memory.h>

#include "mask2former.h"

/* Of either side, of what the network sees. */
#define MAX_SIDE 8192
/* Pillow's number for bilinear. */
#define RESAMPLE_BILINEAR 2

/* ---- preprocessor_config.json ---- */

/* A whole number: the shorter side; or an object with height and width, or with the two edges. */
static void read_size(struct preprocessing *p, struct cr_config *file)
{
    const int64_t most = cr_config_int(
        file, "/_max_size", cr_config_int(file, "/max_size", 1333, 1, MAX_SIDE), 1, MAX_SIDE);
    if (cr_config_has(file, "/size/height") || cr_config_has(file, "/size/width")) {
        p->size.height =
            (int32_t)cr_config_int(file, "/size/height", CR_CONFIG_REQUIRED, 1, MAX_SIDE);
        p->size.width =
            (int32_t)cr_config_int(file, "/size/width", CR_CONFIG_REQUIRED, 1, MAX_SIDE);
        return;
    }
    if (!cr_config_has(file, "/size"))
        return;
    p->size = (struct cr_size){0, 0};
    if (cr_config_count(file, "/size") > 0) {
        p->shortest_edge =
            cr_config_int(file, "/size/shortest_edge", CR_CONFIG_REQUIRED, 1, MAX_SIDE);
        p->longest_edge = cr_config_int(file, "/size/longest_edge", most, 1, MAX_SIDE);
    } else {
        p->shortest_edge = cr_config_int(file, "/size", CR_CONFIG_REQUIRED, 1, MAX_SIDE);
        p->longest_edge = most;
    }
    if (p->longest_edge <= p->shortest_edge)
        cr_config_problem(file, "/size",
                          "a longest edge of %lld is not more than the shortest, %lld",
                          (long long)p->longest_edge, (long long)p->shortest_edge);
}

/* In the precision of the reference: rescaled in double, normalised in f32. */
static void read_values(struct preprocessing *p, struct cr_config *file)
{
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    const bool rescale = cr_config_bool(file, "/do_rescale", true);
    const bool normalize = cr_config_bool(file, "/do_normalize", true);
    const double factor =
        rescale ? cr_config_number(file, "/rescale_factor", 1.0 / 255, 1e-9, 1e3) : 1;
    for (int c = 0; c < 3; c++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/image_mean/%d", c);
        const float shift =
            normalize ? (float)cr_config_number(file, pointer, mean[c], -1e6, 1e6) : 0;
        snprintf(pointer, sizeof(pointer), "/image_std/%d", c);
        const float scale =
            normalize ? (float)cr_config_number(file, pointer, deviation[c], 1e-6, 1e6) : 1;
        for (int value = 0; value < 256; value++)
            p->values[c][value] = ((float)(value * factor) - shift) / scale;
    }
}

static void check_list(struct cr_config *file, const char *pointer)
{
    const size_t count = cr_config_count(file, pointer);
    if (cr_config_has(file, pointer) && count != 3)
        cr_config_problem(file, pointer, "holds %zu numbers, one for each of 3 channels is needed",
                          count);
}

static void read_members(struct preprocessing *p, struct cr_config *file)
{
    p->resize = cr_config_bool(file, "/do_resize", true);
    read_size(p, file);
    p->divisor = cr_config_int(file, "/size_divisor",
                               cr_config_int(file, "/size_divisibility", 32, 0, 1024), 0, 1024);
    if (p->divisor == 0)
        p->divisor = 1;
    const int64_t resample = cr_config_int(file, "/resample", RESAMPLE_BILINEAR, 0, 5);
    if (resample != RESAMPLE_BILINEAR)
        cr_config_problem(file, "/resample", "%lld is not supported; %d (bilinear) is",
                          (long long)resample, RESAMPLE_BILINEAR);
    check_list(file, "/image_mean");
    check_list(file, "/image_std");
    read_values(p, file);
}

int preprocessing_read(struct preprocessing *preprocessing, const struct cr_model *model,
                       struct cr_error *err)
{
    static const char empty[] = "{}";
    struct cr_config *file = NULL;
    char *path = NULL;
    preprocessing->size = (struct cr_size){384, 384};
    int result = cr_model_file(model, "preprocessor_config.json", &path, err);
    if (result == 0) {
        result = cr_config_read(&file, path, err);
    } else if (result == CR_ERR_NOT_FOUND) {
        cr_error_clear(err);
        result = cr_config_parse(&file, empty, sizeof(empty) - 1, "defaults", err);
    }
    if (result == 0) {
        read_members(preprocessing, file);
        result = cr_config_check(file, err);
    }
    cr_config_destroy(&file);
    cr_free(path);
    return result;
}

/* ---- Sizes ---- */

static int32_t round_up(int64_t side, int64_t divisor)
{
    side = side < 1 ? 1 : side;
    return (int32_t)((side + divisor - 1) / divisor * divisor);
}

/* Scaled so that the shorter side is shortest_edge, or the longer one longest_edge if that is
 * less; truncated as the reference does. */
static struct cr_size scale_edges(const struct preprocessing *p, struct cr_size size)
{
    const bool upright = size.width <= size.height;
    const int64_t narrow = upright ? size.width : size.height;
    const int64_t wide = upright ? size.height : size.width;
    int64_t shorter = p->shortest_edge;
    int64_t longer = (int64_t)((double)(p->shortest_edge * wide) / (double)narrow);
    if (longer > p->longest_edge) {
        shorter = (int64_t)((double)(p->longest_edge * shorter) / (double)longer);
        longer = p->longest_edge;
    }
    return (struct cr_size){round_up(upright ? longer : shorter, p->divisor),
                            round_up(upright ? shorter : longer, p->divisor)};
}

struct cr_size preprocessing_size(const struct preprocessing *preprocessing, struct cr_size size)
{
    const struct preprocessing *p = preprocessing;
    if (p->prescale.height > 0)
        size = p->prescale;
    if (!p->resize)
        return size;
    if (p->size.height == 0)
        return scale_edges(p, size);
    return (struct cr_size){round_up(p->size.height, p->divisor),
                            round_up(p->size.width, p->divisor)};
}

/* ---- Pixels ---- */

/* A picture as planes of numbers. */
static int fill_planes(float *planes, const struct preprocessing *p, const struct cr_image *image,
                       struct cr_size size, struct cr_error *err)
{
    const size_t plane = (size_t)size.height * (size_t)size.width;
    struct cr_image *squashed = NULL, *resized = NULL;
    int result = 0;
    if (p->prescale.height > 0)
        result = cr_image_resize(&squashed, image, p->prescale, CR_FILTER_BILINEAR_SAMPLED, err);
    if (result == 0)
        result = cr_image_resize(&resized, squashed != NULL ? squashed : image, size,
                                 CR_FILTER_BILINEAR, err);
    if (result == 0) {
        const uint8_t *pixel = cr_image_pixels(resized);
        for (size_t i = 0; i < plane; i++, pixel += 3)
            for (size_t c = 0; c < 3; c++)
                planes[c * plane + i] = p->values[c][pixel[c]];
    }
    cr_image_unref(&squashed);
    cr_image_unref(&resized);
    return result;
}

int preprocessing_run(struct cr_tensor **pixels, const struct preprocessing *preprocessing,
                      const struct cr_value *images, size_t first, size_t count,
                      struct cr_size size, struct cr_context *context, struct cr_error *err)
{
    const size_t item = 3 * (size_t)size.height * (size_t)size.width;
    const int64_t shape[4] = {(int64_t)count, 3, size.height, size.width};
    size_t bytes = 0;
    if (!cr_size_mul(item * sizeof(float), count, &bytes))
        return cr_fail(err, CR_ERR_LIMIT, "%zu pictures of %d x %d exceed the address space", count,
                       size.height, size.width);
    float *planes = cr_malloc(bytes);
    struct cr_device *device = NULL;
    int result = planes == NULL ? cr_fail_memory(err, bytes) : 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = fill_planes(planes + i * item, preprocessing, cr_value_image(images, first + i),
                             size, err);
    if (result == 0)
        result = cr_context_device(context, &device, err);
    if (result == 0)
        result = cr_tensor_upload(pixels, device, CR_DTYPE_F32, 4, shape, planes, err);
    cr_free(planes);
    return result;
}
