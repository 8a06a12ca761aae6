/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "pictures.h"

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    if (memory == NULL)
        abort();
    return memory;
}

void free_bytes(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){NULL, 0};
}

/* Where EXIF data keep the orientation: a TIFF file whose one directory has one entry. */
static size_t make_exif(uint8_t *to, int orientation, bool big_endian)
{
    static const uint8_t little[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3,
                                     0,   1,   0,  0, 0, 0, 0, 0, 0, 0, 0,    0,    0};
    static const uint8_t big[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0,
                                  3,   0,   0, 0,  1, 0, 0, 0, 0, 0, 0,    0,    0};
    memcpy(to, big_endian ? big : little, sizeof(little));
    to[big_endian ? 19 : 18] = (uint8_t)orientation;
    return sizeof(little);
}

/* ---- PNG ---- */

int png_channels(int color)
{
    return color == 2 ? 3 : color == 4 ? 2 : color == 6 ? 4 : 1;
}

static void append(png_structp png, png_bytep data, size_t count)
{
    struct bytes *bytes = png_get_io_ptr(png);
    uint8_t *larger = allocate(bytes->size + count);
    if (bytes->size > 0)
        memcpy(larger, bytes->data, bytes->size);
    memcpy(larger + bytes->size, data, count);
    free(bytes->data);
    bytes->data = larger;
    bytes->size += count;
}

static void flush(png_structp png)
{
    (void)png;
}

static void set_transparency(png_structp png, png_infop info, const struct png_recipe *recipe)
{
    if (recipe->color == 3 && recipe->alphas != NULL)
        png_set_tRNS(png, info, recipe->alphas, recipe->transparent_count, NULL);
    if (recipe->transparent == NULL)
        return;
    png_color_16 key = {.gray = recipe->transparent[0]};
    if (recipe->color == 2) {
        key.red = recipe->transparent[0];
        key.green = recipe->transparent[1];
        key.blue = recipe->transparent[2];
    }
    png_set_tRNS(png, info, NULL, 0, &key);
}

static void set_palette(png_structp png, png_infop info, const struct png_recipe *recipe)
{
    png_color palette[256];
    int count = 1 << recipe->bits;
    for (int i = 0; i < count; i++)
        palette[i] =
            (png_color){recipe->palette[i][0], recipe->palette[i][1], recipe->palette[i][2]};
    png_set_PLTE(png, info, palette, count);
}

/* One sample a byte (libpng packs them), or two from 16 bits on. */
static void write_rows(png_structp png, const struct png_recipe *recipe)
{
    size_t row_samples = recipe->width * (size_t)png_channels(recipe->color);
    size_t sample_bytes = recipe->bits == 16 ? 2 : 1, row_bytes = row_samples * sample_bytes;
    uint8_t *pixels = allocate(row_bytes * recipe->height);
    png_bytepp rows = allocate(recipe->height * sizeof(*rows));
    for (size_t i = 0; i < row_samples * recipe->height; i++) {
        if (recipe->bits == 16)
            pixels[2 * i] = (uint8_t)(recipe->samples[i] >> 8);
        pixels[sample_bytes * i + sample_bytes - 1] = (uint8_t)recipe->samples[i];
    }
    for (uint32_t y = 0; y < recipe->height; y++)
        rows[y] = pixels + y * row_bytes;
    png_set_packing(png);
    png_write_image(png, rows);
    free(rows);
    free(pixels);
}

struct bytes make_png(const struct png_recipe *recipe)
{
    struct bytes bytes = {NULL, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t exif[32];
    png_set_write_fn(png, &bytes, append, flush);
    png_set_IHDR(png, info, recipe->width, recipe->height, recipe->bits, recipe->color,
                 recipe->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (recipe->color == 3)
        set_palette(png, info, recipe);
    set_transparency(png, info, recipe);
    if (recipe->orientation != 0)
        png_set_eXIf_1(png, info, (png_uint_32)make_exif(exif, recipe->orientation, false), exif);
    png_write_info(png, info);
    if (recipe->broken_profile)
        png_write_chunk(png, (png_const_bytep) "iCCP", (png_const_bytep) "odd\0\0nothing", 12);
    write_rows(png, recipe);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return bytes;
}

/* ---- JPEG ---- */

struct bytes make_jpeg(const struct jpeg_recipe *recipe)
{
    static const J_COLOR_SPACE spaces[] = {JCS_GRAYSCALE, JCS_RGB, JCS_CMYK};
    static const int channels[] = {1, 3, 4};
    struct jpeg_compress_struct writer;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    writer.err = jpeg_std_error(&errors);
    jpeg_create_compress(&writer);
    jpeg_mem_dest(&writer, &data, &size);
    writer.image_width = (JDIMENSION)recipe->width;
    writer.image_height = (JDIMENSION)recipe->height;
    writer.input_components = channels[recipe->kind];
    writer.in_color_space = spaces[recipe->kind];
    jpeg_set_defaults(&writer);
    jpeg_set_quality(&writer, 95, TRUE);
    if (recipe->progressive)
        jpeg_simple_progression(&writer);
    jpeg_start_compress(&writer, TRUE);
    if (recipe->orientation != 0) {
        uint8_t exif[64] = "Exif\0";
        size_t count = 6 + make_exif(exif + 6, recipe->orientation, recipe->big_endian);
        jpeg_write_marker(&writer, JPEG_APP0 + 1, exif, (unsigned)count);
    }
    for (int y = 0; y < recipe->height; y++) {
        const uint8_t *samples = recipe->samples + y * recipe->width * channels[recipe->kind];
        JSAMPROW row = (JSAMPROW)(uintptr_t)samples;
        jpeg_write_scanlines(&writer, &row, 1);
    }
    jpeg_finish_compress(&writer);
    jpeg_destroy_compress(&writer);
    return (struct bytes){data, size};
}
