/* SPDX-License-Identifier: MIT */
/* PNG. libpng reports errors by longjmp(): everything it may jump across lies in struct session,
 * and attempt() is the one place that it jumps to. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "media/decode.h"

/* What libpng may hold at a time beside a chunk: rows of 65535 pixels of 8 bytes, zlib's windows.
 */
#define WORK_MEMORY ((size_t)24 << 20)
#define MAX_CHUNKS 1000
/* No deflate stream grows by more when it is unpacked. */
#define MAX_EXPANSION 1032
/* A photograph of 12 million pixels takes 0.8 s so, and 2.7 s with libpng's choice of filters, for
 * a file that is 1 % smaller. */
#define COMPRESSION_LEVEL 2
#define ROW_FILTER PNG_FILTER_UP

struct session {
    jmp_buf jump;
    char message[160]; /* of libpng's error */
    bool no_memory;
    size_t used, limit; /* bytes that libpng holds and may hold */
    png_structp png;
    png_infop info;
    struct cr_image *image;
    uint32_t height, width;
    uint32_t row; /* that is being read or written, for messages */

    /* Reading. */
    const struct cr_encoded *file;
    size_t at;
    enum cr_png_use use;
    bool alpha;
    int passes;
    uint8_t *rgba; /* one row, or all of them when the picture is interlaced */

    /* Writing. */
    const uint8_t *pixels;
    struct cr_text *bytes;
};

/* ---- What libpng calls ---- */

/* In front of each block stands its size. */
union block {
    size_t size;
    max_align_t align;
};

static png_voidp allocate(png_structp png, png_alloc_size_t bytes)
{
    struct session *session = png_get_mem_ptr(png);
    union block *block = NULL;
    if (bytes <= session->limit - session->used)
        block = cr_malloc(sizeof(*block) + bytes);
    if (block == NULL) {
        session->no_memory = true;
        return NULL;
    }
    block->size = bytes;
    session->used += bytes;
    return block + 1;
}

static void release(png_structp png, png_voidp memory)
{
    struct session *session = png_get_mem_ptr(png);
    if (memory == NULL)
        return;
    union block *block = (union block *)memory - 1;
    session->used -= block->size;
    cr_free(block);
}

static void on_error(png_structp png, png_const_charp message)
{
    struct session *session = png_get_error_ptr(png);
    strncpy(session->message, message, sizeof(session->message) - 1);
    longjmp(session->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static bool attempt(struct session *session, void (*step)(struct session *))
{
    if (setjmp(session->jump) != 0)
        return false;
    step(session);
    return !session->no_memory;
}

/* ---- Reading ---- */

static void read_bytes(png_structp png, png_bytep data, size_t count)
{
    struct session *session = png_get_io_ptr(png);
    if (count > session->file->size - session->at)
        png_error(png, "the file ends too early");
    memcpy(data, session->file->data + session->at, count);
    session->at += count;
}

/* Only what changes pixels or their place is looked at: the palette, transparency, EXIF. Broken
 * colour profiles, which are common, are then no reason to refuse a picture. */
static void ignore_other_chunks(png_structp png)
{
    static const png_byte ignored[] = "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0"
                                      "sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, ignored, sizeof(ignored) / 5);
}

static void read_header(struct session *session)
{
    session->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, session, on_error, on_warning,
                                            session, allocate, release);
    if (session->png == NULL || (session->info = png_create_info_struct(session->png)) == NULL) {
        session->no_memory = true;
        return;
    }
    png_set_user_limits(session->png, 65535, 65535);
    png_set_chunk_cache_max(session->png, MAX_CHUNKS);
    png_set_chunk_malloc_max(session->png, session->file->max_chunk);
    png_set_crc_action(session->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(session->png, 0);
    ignore_other_chunks(session->png);
    png_set_read_fn(session->png, session, read_bytes);
    png_read_info(session->png, session->info);
}

/* Ask for rows of 8-bit RGB or RGBA. */
static void set_transformations(struct session *session)
{
    png_structp png = session->png;
    int color = png_get_color_type(png, session->info);
    bool transparent = png_get_valid(png, session->info, PNG_INFO_tRNS) != 0;
    session->alpha = (color & PNG_COLOR_MASK_ALPHA) != 0 || transparent;
    if (session->use == CR_PNG_IDS && session->alpha) {
        png_set_strip_alpha(png); /* as the official tools do */
        session->alpha = false;
    }
    png_set_expand(png);
    png_set_scale_16(png);
    if (!(color & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
    session->passes = png_set_interlace_handling(png);
    png_read_update_info(png, session->info);
    size_t channels = session->alpha ? 4 : 3;
    if (png_get_rowbytes(png, session->info) != channels * session->width)
        png_error(png, "rows of an unexpected size");
}

static void lay_over_white(uint8_t *rgb, const uint8_t *rgba, size_t count)
{
    for (size_t i = 0; i < count; i++, rgb += 3, rgba += 4) {
        unsigned alpha = rgba[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((rgba[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

static void read_rows(struct session *session)
{
    size_t pixels = session->width;
    for (int pass = 0; pass < session->passes; pass++) {
        for (session->row = 0; session->row < session->height; session->row++) {
            uint8_t *rgb = cr_image_edit(session->image) + 3 * pixels * session->row;
            uint8_t *row = session->rgba == NULL ? rgb : session->rgba;
            if (session->rgba != NULL && session->passes > 1)
                row += 4 * pixels * session->row;
            png_read_row(session->png, row, NULL);
            if (session->rgba != NULL && pass == session->passes - 1)
                lay_over_white(rgb, row, pixels);
        }
    }
    png_read_end(session->png, session->info);
}

static int failure(const struct session *session, struct cr_error *err)
{
    if (session->no_memory)
        return cr_fail(err, CR_ERR_MEMORY, "%s: out of memory while the PNG picture was read",
                       session->file->name);
    if (session->row > 0 && session->row < session->height)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the PNG picture is damaged in row %u of %u: %s; fetch it again",
                       session->file->name, session->row + 1, session->height, session->message);
    return cr_fail(err, CR_ERR_FORMAT, "%s: the PNG picture is damaged: %s; fetch it again",
                   session->file->name, session->message);
}

/* Before libpng sees the file, so that a lie costs nothing. */
static int check_header(struct session *session, struct cr_error *err)
{
    const uint8_t *data = session->file->data;
    if (session->file->size < 8 || png_sig_cmp(data, 0, 8) != 0)
        return cr_fail(err, CR_ERR_FORMAT, "%s: not a PNG picture, which is needed here",
                       session->file->name);
    if (session->file->size < 33 || memcmp(data + 12, "IHDR", 4) != 0)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the PNG picture is damaged: its header is %s; fetch it again",
                       session->file->name, session->file->size < 33 ? "cut off" : "missing");
    session->width = png_get_uint_32(data + 16);
    session->height = png_get_uint_32(data + 20);
    int result = cr_encoded_check_size(session->file, session->height, session->width, err);
    if (result < 0)
        return result;
    int bits = data[24] * (data[25] == 2 ? 3 : data[25] == 4 ? 2 : data[25] == 6 ? 4 : 1);
    uint64_t raw = (((uint64_t)session->width * (unsigned)bits + 7) / 8 + 1) * session->height;
    if (raw / MAX_EXPANSION > session->file->size)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the PNG picture is damaged: %zu bytes cannot hold %u x %u pixels; "
                       "fetch it again",
                       session->file->name, session->file->size, session->width, session->height);
    if (session->use == CR_PNG_IDS && (data[24] > 8 || (data[25] & PNG_COLOR_MASK_COLOR) == 0))
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: a %s PNG of %d bits; segment ids are colours of an 8-bit RGB PNG",
                       session->file->name, data[25] & PNG_COLOR_MASK_COLOR ? "colour" : "grey",
                       data[24]);
    return 0;
}

/* What is no pixel is text, a colour profile, a thumbnail: little, unless it is meant to do harm.
 */
static int check_chunks(const struct session *session, struct cr_error *err)
{
    const struct cr_encoded *file = session->file;
    for (size_t at = 8; file->size - at >= 12;) {
        const uint8_t *chunk = file->data + at;
        uint32_t length = png_get_uint_32(chunk);
        if (length > file->max_chunk && memcmp(chunk + 4, "IDAT", 4) != 0)
            return cr_fail(err, CR_ERR_LIMIT,
                           "%s: byte %zu: a chunk of %u bytes exceeds the limit of %u%s",
                           file->name, at, length, file->max_chunk,
                           file->adjustable ? "; raise it with \"max_chunk\"" : "");
        if (length > file->size - at - 12)
            break;
        at += 12 + (size_t)length;
    }
    return 0;
}

static int create_rows(struct session *session, struct cr_error *err)
{
    struct cr_size size = {(int32_t)session->height, (int32_t)session->width};
    int result = cr_image_create(&session->image, size, err);
    if (result < 0 || !session->alpha)
        return result;
    size_t rows = session->passes > 1 ? session->height : 1;
    session->rgba = cr_calloc(rows * session->width, 4);
    return session->rgba == NULL ? cr_fail_memory(err, rows * session->width * 4) : 0;
}

static int orientation_of(struct session *session)
{
    png_uint_32 count;
    png_bytep data;
    if (png_get_eXIf_1(session->png, session->info, &count, &data) == 0)
        return 1;
    return cr_exif_orientation(data, count);
}

static int decode(struct session *session, int *orientation, struct cr_error *err)
{
    int result = check_header(session, err);
    if (result == 0)
        result = check_chunks(session, err);
    if (result < 0)
        return result;
    if (!attempt(session, read_header) || !attempt(session, set_transformations))
        return failure(session, err);
    if ((result = create_rows(session, err)) < 0)
        return result;
    if (!attempt(session, read_rows))
        return failure(session, err);
    *orientation = orientation_of(session);
    return 0;
}

int cr_png_decode(struct cr_image **out, int *orientation, const struct cr_encoded *file,
                  enum cr_png_use use, struct cr_error *err)
{
    struct session session = {
        .file = file, .use = use, .limit = WORK_MEMORY + (size_t)file->max_chunk};
    int result = decode(&session, orientation, err);
    if (session.png != NULL)
        png_destroy_read_struct(&session.png, &session.info, NULL);
    cr_free(session.rgba);
    if (result < 0)
        cr_image_unref(&session.image);
    *out = session.image;
    return result;
}

/* ---- Writing ---- */

static void write_bytes(png_structp png, png_bytep data, size_t count)
{
    struct session *session = png_get_io_ptr(png);
    cr_text_append(session->bytes, (const char *)data, count);
    if (session->bytes->failed) {
        session->no_memory = true;
        png_error(png, "out of memory");
    }
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

static void write_picture(struct session *session)
{
    session->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, session, on_error, on_warning,
                                             session, allocate, release);
    if (session->png == NULL || (session->info = png_create_info_struct(session->png)) == NULL) {
        session->no_memory = true;
        return;
    }
    png_set_write_fn(session->png, session, write_bytes, flush_bytes);
    png_set_compression_level(session->png, COMPRESSION_LEVEL);
    png_set_filter(session->png, PNG_FILTER_TYPE_BASE, ROW_FILTER);
    png_set_IHDR(session->png, session->info, session->width, session->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(session->png, session->info);
    for (session->row = 0; session->row < session->height; session->row++)
        png_write_row(session->png,
                      session->pixels + 3 * (size_t)session->width * (size_t)session->row);
    png_write_end(session->png, NULL);
}

int cr_png_encode(const struct cr_image *image, struct cr_text *bytes, struct cr_error *err)
{
    struct cr_size size = cr_image_size(image);
    struct session session = {.limit = WORK_MEMORY,
                              .height = (uint32_t)size.height,
                              .width = (uint32_t)size.width,
                              .pixels = cr_image_pixels(image),
                              .bytes = bytes};
    bool done = attempt(&session, write_picture);
    if (session.png != NULL)
        png_destroy_write_struct(&session.png, &session.info);
    if (done)
        return 0;
    if (session.no_memory)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory while the PNG picture was written");
    return cr_fail(err, CR_ERR_INTERNAL, "the PNG picture cannot be written: %s", session.message);
}
