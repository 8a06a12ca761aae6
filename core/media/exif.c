/* SPDX-License-Identifier: MIT */
/* The one thing that EXIF data are read for: how the camera was held. */
#include "media/decode.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

struct tiff {
    const uint8_t *data;
    size_t size;
    bool little;
};

static bool read_number(const struct tiff *tiff, size_t at, size_t bytes, uint32_t *value)
{
    if (at > tiff->size || bytes > tiff->size - at)
        return false;
    *value = 0;
    for (size_t i = 0; i < bytes; i++)
        *value |= (uint32_t)tiff->data[at + i] << 8 * (tiff->little ? i : bytes - 1 - i);
    return true;
}

int cr_exif_orientation(const uint8_t *data, size_t size)
{
    struct tiff tiff = {data, size, size > 0 && data[0] == 'I'};
    uint32_t order, magic, start, count, tag, type, value;
    if (!read_number(&tiff, 0, 2, &order) || (order != 0x4949 && order != 0x4D4D) ||
        !read_number(&tiff, 2, 2, &magic) || magic != 42 || !read_number(&tiff, 4, 4, &start) ||
        !read_number(&tiff, start, 2, &count))
        return 1;
    for (size_t i = 0; i < count; i++) {
        size_t entry = (size_t)start + 2 + 12 * i;
        if (!read_number(&tiff, entry, 2, &tag) || !read_number(&tiff, entry + 2, 2, &type) ||
            !read_number(&tiff, entry + 8, 2, &value))
            return 1;
        if (tag == TAG_ORIENTATION)
            return type == TYPE_SHORT && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

int cr_image_orient(struct cr_image **image, int orientation, struct cr_error *err)
{
    if (orientation == 1)
        return 0;
    /* Where the stored picture's first row and first column belong on the upright one:
     * 1 top, left; 2 top, right; 3 bottom, right; 4 bottom, left; 5 left, top; 6 right, top;
     * 7 right, bottom; 8 left, bottom. */
    bool transposed = orientation >= 5;
    bool flip_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    bool flip_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    struct cr_size from = cr_image_size(*image);
    struct cr_size size = transposed ? (struct cr_size){from.width, from.height} : from;
    struct cr_image *upright = NULL;
    int result = cr_image_create(&upright, size, err);
    if (result == 0)
        result = cr_image_set_name(upright, cr_image_name(*image), err);
    if (result < 0) {
        cr_image_unref(&upright);
        return result;
    }
    const uint8_t *source = cr_image_pixels(*image);
    uint8_t *to = cr_image_edit(upright);
    for (int32_t y = 0; y < size.height; y++)
        for (int32_t x = 0; x < size.width; x++, to += 3) {
            int32_t across = flip_x ? size.width - 1 - x : x;
            int32_t down = flip_y ? size.height - 1 - y : y;
            const uint8_t *pixel =
                source + 3 * ((size_t)(transposed ? across : down) * (size_t)from.width +
                              (size_t)(transposed ? down : across));
            to[0] = pixel[0];
            to[1] = pixel[1];
            to[2] = pixel[2];
        }
    cr_image_unref(image);
    *image = upright;
    return 0;
}
