/* SPDX-License-Identifier: MIT */
/* crayon/image.h: pictures, 8-bit RGB. Counted; immutable once another object or stage can see
 * them. */
#ifndef CRAYON_IMAGE_H
#define CRAYON_IMAGE_H

#include <crayon/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_image;

/* Bounds that a file must keep to be decoded, checked before memory is asked for. 0 means the
 * default. */
struct cr_image_limits {
    uint64_t max_pixels; /* height x width; default 2^26 = 67108864 */
    uint64_t max_bytes;  /* of the file; default 256 MiB */
    uint32_t max_scans;  /* of a progressive JPEG; default 100 */
    uint32_t max_chunk; /* bytes of a chunk of a PNG other than its pixels; default 8 MiB; since ABI
                           1.3 */
    uint32_t reserved[3];
};

/* A black picture. Sides are 1..65535; CR_ERR_LIMIT otherwise. */
CR_API
int cr_image_create(struct cr_image **out, struct cr_size size, struct cr_error *err) CR_MUST_CHECK;

/* Decode a PNG or JPEG file, told apart by its first bytes. Beside the file this takes at most 3
 * bytes for a pixel, 4 more for one of an interlaced PNG with transparency, 6 more for one of a
 * progressive JPEG, another 3 while a picture is turned, and 32 MiB. Grey becomes RGB, 16 bit
 * become 8, transparency is laid over white, the EXIF orientation is applied. The picture remembers
 * `path` as its name. Other formats are CR_ERR_UNSUPPORTED, by name where they are known. */
CR_API
int cr_image_load(struct cr_image **out, const char *path, const struct cr_image_limits *limits,
                  struct cr_error *err) CR_MUST_CHECK;

/* The same from memory; `name` stands in messages and becomes the picture's name. */
CR_API
int cr_image_decode(struct cr_image **out, const void *data, size_t size, const char *name,
                    const struct cr_image_limits *limits, struct cr_error *err) CR_MUST_CHECK;

/* Encode to new memory that the caller frees with cr_free(). `format` is "png" or "jpeg" (quality
 * 92). */
CR_API
int cr_image_encode(const struct cr_image *image, const char *format, void **data, size_t *size,
                    struct cr_error *err) CR_MUST_CHECK;

/* Write to `path` as cr_file_write() does, PNG or JPEG by the suffix (.png, .jpg, .jpeg, any case).
 */
CR_API
int cr_image_save(const struct cr_image *image, const char *path,
                  struct cr_error *err) CR_MUST_CHECK;

CR_API
struct cr_image *cr_image_ref(const struct cr_image *image);
CR_API
void cr_image_unref(struct cr_image **image);

CR_API
struct cr_size cr_image_size(const struct cr_image *image);

/* height x width x 3 bytes, rows from the top without gaps, R G B. */
CR_API
const uint8_t *cr_image_pixels(const struct cr_image *image);
/* The same for the one who created the picture, before anybody else has a reference to it. */
CR_API
uint8_t *cr_image_edit(struct cr_image *image);

/* The file that the picture came from, or NULL. Derived pictures carry the name on. */
CR_API
const char *cr_image_name(const struct cr_image *image);
CR_API
int cr_image_set_name(struct cr_image *image, const char *name, struct cr_error *err) CR_MUST_CHECK;

/* A copy that may be edited. */
CR_API
int cr_image_copy(struct cr_image **out, const struct cr_image *image,
                  struct cr_error *err) CR_MUST_CHECK;

enum cr_filter {
    CR_FILTER_NEAREST,  /* the pixel under the centre, as Pillow's NEAREST picks it */
    CR_FILTER_BILINEAR, /* Pillow's BILINEAR: a triangle whose support grows with the reduction,
                           two passes of 8-bit fixed point with rounding between, bit for bit */
    CR_FILTER_BILINEAR_SAMPLED, /* between the four nearest pixels, in f32, without antialiasing, to
                                   the nearest, even on a tie: torchvision's Resize with
                                   antialias=False (since ABI 1.2) */
};

/* A resampled copy; the aspect ratio is not kept unless `size` keeps it. */
CR_API
int cr_image_resize(struct cr_image **out, const struct cr_image *image, struct cr_size size,
                    enum cr_filter filter, struct cr_error *err) CR_MUST_CHECK;

/* For each of `to` positions the index (0..from-1) of the source position that nearest-neighbour
 * reduction picks: floor of the running sum (i + 1/2) * from / to in double, summed step by step,
 * as Pillow does (ties fall where its rounding errors put them). `index` holds `to` numbers. */
CR_API
void cr_nearest_indices(int32_t from, int32_t to, int32_t *index);

#ifdef __cplusplus
}
#endif
#endif
