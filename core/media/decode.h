/* SPDX-License-Identifier: MIT */
/* decode.h: the picture formats behind cr_image_decode() and cr_image_encode(). */
#ifndef CR_MEDIA_DECODE_H
#define CR_MEDIA_DECODE_H

#include <crayon/image.h>
#include <crayon/memory.h>

/* A file in memory and the bounds that it has to keep. */
struct cr_encoded {
    const uint8_t *data;
    size_t size;
    const char *name; /* for messages */
    uint64_t max_pixels;
    uint32_t max_scans, max_chunk;
    bool adjustable; /* the caller has set limits, and so may be told to raise them */
};

enum cr_png_use {
    CR_PNG_PICTURE, /* whatever PNG can hold becomes 8-bit RGB over white */
    CR_PNG_IDS,     /* colours are numbers: nothing that would change them is accepted */
};

/* Fill in the defaults for what `limits` (may be NULL) leaves open. */
void cr_encoded_init(struct cr_encoded *file, const void *data, size_t size, const char *name,
                     const struct cr_image_limits *limits);
/* The largest file that `limits` let in. */
size_t cr_limits_bytes(const struct cr_image_limits *limits);

/* Refuses a picture that is larger than the limits, before memory is asked for it. */
int cr_encoded_check_size(const struct cr_encoded *file, uint64_t height, uint64_t width,
                          struct cr_error *err);

/* `*orientation` is the EXIF orientation that the file states, 1 (upright) when it states none. */
int cr_png_decode(struct cr_image **out, int *orientation, const struct cr_encoded *file,
                  enum cr_png_use use, struct cr_error *err);
int cr_jpeg_decode(struct cr_image **out, int *orientation, const struct cr_encoded *file,
                   struct cr_error *err);

/* Append the encoded picture to `bytes`, which the caller finishes in any case. */
int cr_png_encode(const struct cr_image *image, struct cr_text *bytes, struct cr_error *err);
int cr_jpeg_encode(const struct cr_image *image, int quality, struct cr_text *bytes,
                   struct cr_error *err);

/* The orientation 1..8 in EXIF data (a TIFF header and what follows); 1 when there is none or the
 * data are damaged: how a picture is meant to be held is not worth refusing the picture for. */
int cr_exif_orientation(const uint8_t *data, size_t size);
/* Replace `*image` by the same picture upright. */
int cr_image_orient(struct cr_image **image, int orientation, struct cr_error *err);

#endif
