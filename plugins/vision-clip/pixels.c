/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>

#include "clip.h"

/* Of CLIP's training pictures, in 0..1 (the preprocessor_config.json of openai/clip-vit-*). */
static const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
static const float deviation[3] = {0.26862954f, 0.26130258f, 0.27577711f};

/* (x - 255 mean) / (255 deviation) of every channel, planes one after the other. */
static void normalise(float *planes, const uint8_t *pixels, size_t count)
{
    for (size_t c = 0; c < 3; c++) {
        const float shift = mean[c] * 255, scale = deviation[c] * 255;
        for (size_t i = 0; i < count; i++)
            planes[c * count + i] = ((float)pixels[3 * i + c] - shift) / scale;
    }
}

int clip_pixels(struct cr_tensor **out, const struct cr_value *images, struct cr_size size,
                struct cr_context *context, struct cr_error *err)
{
    const size_t count = cr_value_count(images);
    const size_t plane = (size_t)size.height * (size_t)size.width;
    size_t bytes = 0;
    if (!cr_size_mul(3 * plane * sizeof(float), count, &bytes))
        return cr_fail(err, CR_ERR_LIMIT, "%zu pictures of %d x %d exceed the address space", count,
                       size.height, size.width);
    float *planes = cr_context_scratch(context, bytes, err);
    int result = planes == NULL ? CR_ERR_MEMORY : 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        struct cr_image *resized = NULL;
        result = cr_image_resize(&resized, cr_value_image(images, i), size,
                                 CR_FILTER_BILINEAR_SAMPLED, err);
        if (result == 0)
            normalise(planes + i * 3 * plane, cr_image_pixels(resized), plane);
        cr_image_unref(&resized);
    }
    const int64_t shape[4] = {(int64_t)count, 3, size.height, size.width};
    struct cr_device *device = NULL;
    if (result == 0)
        result = cr_context_device(context, &device, err);
    return result < 0 ? result : cr_tensor_upload(out, device, CR_DTYPE_F32, 4, shape, planes, err);
}
