/* SPDX-License-Identifier: MIT */
/* From a file to a picture: which format it is, and what holds for all of them. */
#include <string.h>

#include <crayon/file.h>

#include "base/size.h"
#include "media/decode.h"

#define DEFAULT_PIXELS ((uint64_t)1 << 26)
#define DEFAULT_BYTES ((uint64_t)256 << 20)
#define DEFAULT_SCANS 100
#define DEFAULT_CHUNK ((uint32_t)8 << 20)

static const uint8_t png_start[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
static const uint8_t jpeg_start[] = {0xFF, 0xD8, 0xFF};

/* What people hand in instead. A byte of `mask` that is '.' is not compared. */
static const struct {
    const char *start, *mask;
    size_t size;
    const char *what;
} others[] = {
    {"GIF8", "xxxx", 4, "a GIF picture"},
    {"RIFF....WEBP", "xxxx....xxxx", 12, "a WebP picture"},
    {"....ftypheic", "....xxxxxxxx", 12, "a HEIC picture"},
    {"....ftypheix", "....xxxxxxxx", 12, "a HEIC picture"},
    {"....ftypmif1", "....xxxxxxxx", 12, "a HEIC picture"},
    {"....ftyphevc", "....xxxxxxxx", 12, "a HEIC picture"},
    {"....ftypavif", "....xxxxxxxx", 12, "an AVIF picture"},
    {"....ftypavis", "....xxxxxxxx", 12, "an AVIF picture"},
    {"....ftyp", "....xxxx", 8, "a video"},
    {"II*\0", "xxxx", 4, "a TIFF picture"},
    {"MM\0*", "xxxx", 4, "a TIFF picture"},
    {"II+\0", "xxxx", 4, "a TIFF picture"},
    {"MM\0+", "xxxx", 4, "a TIFF picture"},
    {"BM", "xx", 2, "a BMP picture"},
    {"\0\0\1\0", "xxxx", 4, "an icon"},
    {"P5\n", "xxx", 3, "a PGM picture"},
    {"P6\n", "xxx", 3, "a PPM picture"},
    {"qoif", "xxxx", 4, "a QOI picture"},
    {"v/1\x01", "xxxx", 4, "an OpenEXR picture"},
    {"\0\0\0\x0CJXL ", "xxxxxxxx", 8, "a JPEG XL picture"},
    {"\xFF\x0A", "xx", 2, "a JPEG XL picture"},
    {"\0\0\0\x0CjP  ", "xxxxxxxx", 8, "a JPEG 2000 picture"},
    {"8BPS", "xxxx", 4, "a Photoshop picture"},
    {"%PDF", "xxxx", 4, "a PDF"},
    {"%!PS", "xxxx", 4, "a PostScript file"},
    {"<svg", "xxxx", 4, "an SVG"},
};

void cr_encoded_init(struct cr_encoded *file, const void *data, size_t size, const char *name,
                     const struct cr_image_limits *limits)
{
    *file = (struct cr_encoded){.data = data,
                                .size = size,
                                .name = name,
                                .max_pixels = DEFAULT_PIXELS,
                                .max_scans = DEFAULT_SCANS,
                                .max_chunk = DEFAULT_CHUNK,
                                .adjustable = limits != NULL};
    if (limits != NULL && limits->max_pixels != 0)
        file->max_pixels = limits->max_pixels;
    if (limits != NULL && limits->max_scans != 0)
        file->max_scans = limits->max_scans;
    if (limits != NULL && limits->max_chunk != 0)
        file->max_chunk = limits->max_chunk;
}

size_t cr_limits_bytes(const struct cr_image_limits *limits)
{
    uint64_t bytes = limits != NULL && limits->max_bytes != 0 ? limits->max_bytes : DEFAULT_BYTES;
    return bytes > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)bytes;
}

int cr_encoded_check_size(const struct cr_encoded *file, uint64_t height, uint64_t width,
                          struct cr_error *err)
{
    if (height == 0 || width == 0)
        return cr_fail(err, CR_ERR_FORMAT, "%s: the picture has no pixels (%llu x %llu)",
                       file->name, (unsigned long long)width, (unsigned long long)height);
    if (width > file->max_pixels / height)
        return cr_fail(err, CR_ERR_LIMIT, "%s: %llu x %llu pixels exceed the limit of %llu%s",
                       file->name, (unsigned long long)width, (unsigned long long)height,
                       (unsigned long long)file->max_pixels,
                       file->adjustable ? "; raise it with \"max_pixels\"" : "");
    if (height > CR_MAX_SIDE || width > CR_MAX_SIDE || height * width > (uint64_t)CR_MAX_PIXELS)
        return cr_fail(err, CR_ERR_LIMIT,
                       "%s: %llu x %llu pixels: sides go up to %d, pictures up to %lld pixels",
                       file->name, (unsigned long long)width, (unsigned long long)height,
                       CR_MAX_SIDE, (long long)CR_MAX_PIXELS);
    return 0;
}

static bool starts_with(const struct cr_encoded *file, const uint8_t *start, size_t size)
{
    return file->size >= size && memcmp(file->data, start, size) == 0;
}

static bool matches(const struct cr_encoded *file, const char *start, const char *mask, size_t size)
{
    if (file->size < size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (mask[i] != '.' && file->data[i] != (uint8_t)start[i])
            return false;
    return true;
}

/* An SVG usually begins with an XML declaration and comments. */
static bool mentions_svg(const struct cr_encoded *file)
{
    size_t end = file->size < 1024 ? file->size : 1024;
    if (file->size < 1 || file->data[0] != '<')
        return false;
    for (size_t i = 0; i + 4 <= end; i++)
        if (memcmp(file->data + i, "<svg", 4) == 0)
            return true;
    return false;
}

static int refuse(const struct cr_encoded *file, struct cr_error *err)
{
    if (file->size == 0)
        return cr_fail(err, CR_ERR_FORMAT, "%s: empty file; a PNG or JPEG picture is needed here",
                       file->name);
    if (matches(file, (const char *)png_start, "xxxx", 4))
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: a PNG picture whose first 8 bytes are damaged, as by a transfer in "
                       "text mode; fetch it again",
                       file->name);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (matches(file, others[i].start, others[i].mask, others[i].size))
            return cr_fail(err, CR_ERR_UNSUPPORTED,
                           "%s: %s, which is not read here; convert it to PNG or JPEG", file->name,
                           others[i].what);
    if (mentions_svg(file))
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "%s: an SVG, which is not read here; convert it to PNG or JPEG", file->name);
    return cr_fail(err, CR_ERR_UNSUPPORTED,
                   "%s: not a picture; a PNG or JPEG picture is needed here", file->name);
}

int cr_image_decode(struct cr_image **out, const void *data, size_t size, const char *name,
                    const struct cr_image_limits *limits, struct cr_error *err)
{
    *out = NULL;
    struct cr_encoded file;
    cr_encoded_init(&file, data, size, name, limits);
    if (size > cr_limits_bytes(limits))
        return cr_fail(err, CR_ERR_LIMIT, "%s: the file is larger than the limit of %zu bytes",
                       name, cr_limits_bytes(limits));
    struct cr_image *image = NULL;
    int orientation = 1, result;
    if (starts_with(&file, png_start, sizeof(png_start)))
        result = cr_png_decode(&image, &orientation, &file, CR_PNG_PICTURE, err);
    else if (starts_with(&file, jpeg_start, sizeof(jpeg_start)))
        result = cr_jpeg_decode(&image, &orientation, &file, err);
    else
        return refuse(&file, err);
    if (result == 0)
        result = cr_image_set_name(image, name, err);
    if (result == 0)
        result = cr_image_orient(&image, orientation, err);
    if (result < 0)
        cr_image_unref(&image);
    *out = image;
    return result;
}

int cr_image_load(struct cr_image **out, const char *path, const struct cr_image_limits *limits,
                  struct cr_error *err)
{
    *out = NULL;
    char *data;
    size_t size;
    int result = cr_file_read(path, cr_limits_bytes(limits), &data, &size, err);
    if (result < 0)
        return result;
    result = cr_image_decode(out, data, size, path, limits, err);
    cr_free(data);
    return result;
}
