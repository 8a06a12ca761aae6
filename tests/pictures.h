/* SPDX-License-Identifier: MIT */
/* pictures.h: PNG and JPEG files for tests, made by libpng and libjpeg themselves, so that the
 * library's own writers are not tested with themselves. */
#ifndef CR_TEST_PICTURES_H
#define CR_TEST_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t size;
};

struct png_recipe {
    uint32_t width, height;
    int bits, color; /* as in the PNG header: color 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha */
    bool interlaced;
    /* Samples of pixels from the top left, `channels` a pixel, each below 2^bits. */
    const uint16_t *samples;
    /* 2^bits entries when color is 3. */
    const uint8_t (*palette)[3];
    /* tRNS: for a palette the first `transparent_count` alphas, else one transparent colour. */
    const uint8_t *alphas;
    int transparent_count;
    const uint16_t *transparent;
    int orientation;     /* written as EXIF data when not 0 */
    bool broken_profile; /* an iCCP chunk that holds no colour profile */
};

int png_channels(int color);
struct bytes make_png(const struct png_recipe *recipe);

enum jpeg_kind {
    JPEG_GREY,
    JPEG_COLOR,
    JPEG_CMYK
};

struct jpeg_recipe {
    int width, height;
    enum jpeg_kind kind;
    bool progressive;
    const uint8_t *samples;
    int orientation;
    bool big_endian; /* the EXIF data */
};

struct bytes make_jpeg(const struct jpeg_recipe *recipe);

void free_bytes(struct bytes *bytes);

#endif
