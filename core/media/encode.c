/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include <crayon/file.h>

#include "base/paths.h"
#include "media/decode.h"

#define JPEG_QUALITY 92

int cr_image_encode(const struct cr_image *image, const char *format, void **data, size_t *size,
                    struct cr_error *err)
{
    *data = NULL;
    *size = 0;
    struct cr_text bytes = CR_TEXT_INIT;
    int result;
    if (strcmp(format, "png") == 0)
        result = cr_png_encode(image, &bytes, err);
    else if (strcmp(format, "jpeg") == 0)
        result = cr_jpeg_encode(image, JPEG_QUALITY, &bytes, err);
    else
        result = cr_fail(err, CR_ERR_ARGUMENT,
                         "\"%s\" is no format that pictures are written in; use \"png\" or "
                         "\"jpeg\"",
                         format);
    if (result == 0) {
        *size = bytes.size;
        *data = cr_text_take(&bytes);
    }
    cr_text_finish(&bytes);
    return result;
}

static const char *format_of(const char *path)
{
    const char *suffix = strrchr(cr_path_base(path), '.');
    if (suffix != NULL && strcasecmp(suffix, ".png") == 0)
        return "png";
    if (suffix != NULL && (strcasecmp(suffix, ".jpg") == 0 || strcasecmp(suffix, ".jpeg") == 0))
        return "jpeg";
    return NULL;
}

int cr_image_save(const struct cr_image *image, const char *path, struct cr_error *err)
{
    const char *format = format_of(path);
    if (format == NULL)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "%s: pictures are written as PNG or JPEG; let the name end in .png, .jpg or "
                       ".jpeg",
                       path);
    void *data;
    size_t size;
    int result = cr_image_encode(image, format, &data, &size, err);
    if (result < 0) {
        cr_error_prefix(err, "%s", path);
        return result;
    }
    result = cr_file_write(path, data, size, err);
    cr_free(data);
    return result;
}
