/* SPDX-License-Identifier: MIT */
/* picture.h: the targets `png` and `jpeg` are this one, each with its own corpus. */
#ifndef CR_FUZZ_PICTURE_H
#define CR_FUZZ_PICTURE_H

#include "fuzz.h"

#include <string.h>

#include <crayon/image.h>
#include <crayon/memory.h>

/* Small, so that a search does not spend its time on pixels. */
#define MAX_PIXELS (1 << 18)

/* Written and read again it is the same. */
static void check_picture(const struct cr_image *image)
{
    struct cr_size size = cr_image_size(image), again_size;
    size_t pixels = (size_t)size.height * (size_t)size.width;
    struct cr_error err = CR_ERROR_INIT;
    struct cr_image *again = NULL;
    void *data = NULL;
    size_t bytes = 0;
    fuzz_assert(size.height > 0 && size.width > 0 && pixels <= MAX_PIXELS);
    fuzz_assert(cr_image_encode(image, "png", &data, &bytes, &err) == 0);
    fuzz_assert(cr_image_decode(&again, data, bytes, "again", NULL, &err) == 0);
    again_size = cr_image_size(again);
    fuzz_assert(again_size.height == size.height && again_size.width == size.width);
    fuzz_assert(memcmp(cr_image_pixels(image), cr_image_pixels(again), pixels * 3) == 0);
    cr_image_unref(&again);
    cr_free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cr_image_limits limits = {.max_pixels = MAX_PIXELS};
    struct cr_image *image = NULL;
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_image_decode(&image, data, size, "f", &limits, &err);
    fuzz_result(result, image != NULL, &err);
    if (image != NULL)
        check_picture(image);
    cr_image_unref(&image);
    return 0;
}

#endif
