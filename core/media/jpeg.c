/* SPDX-License-Identifier: MIT */
/* JPEG. As in png.c, libjpeg's errors jump to attempt(), across nothing but struct session. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "media/decode.h"

#define EXIF_MARKER (JPEG_APP0 + 1)
#define EXIF_START "Exif\0\0"
#define EXIF_START_SIZE 6
/* Beyond the coefficients of the picture: tables, a few rows, the longest markers. */
#define WORK_MEMORY ((size_t)32 << 20)
#define OUTPUT_CHUNK 16384

struct session {
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX]; /* of libjpeg's error */
    int code;                      /* its number */
    struct jpeg_error_mgr errors;

    /* Reading. */
    struct jpeg_decompress_struct reader;
    struct jpeg_progress_mgr progress;
    const struct cr_encoded *file;
    struct cr_image *image;
    bool too_many_scans;

    /* Writing. */
    struct jpeg_compress_struct writer;
    struct jpeg_destination_mgr destination;
    const struct cr_image *source;
    int quality;
    struct cr_text *bytes;
    uint8_t chunk[OUTPUT_CHUNK];
};

static void on_error(j_common_ptr codec)
{
    struct session *session = codec->client_data;
    session->code = codec->err->msg_code;
    codec->err->format_message(codec, session->message);
    longjmp(session->jump, 1);
}

/* libjpeg fills up what is missing with grey and calls that a warning. Here it is an error; only
 * stray bytes between markers and odd headers, which many cameras write, are none. */
static void on_message(j_common_ptr codec, int level)
{
    if (level >= 0)
        return;
    switch (codec->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
        return;
    default:
        on_error(codec);
    }
}

static void set_errors(struct session *session)
{
    jpeg_std_error(&session->errors);
    session->errors.error_exit = on_error;
    session->errors.emit_message = on_message;
}

static bool attempt(struct session *session, void (*step)(struct session *))
{
    if (setjmp(session->jump) != 0)
        return false;
    step(session);
    return true;
}

/* ---- Reading ---- */

/* A progressive picture may hold thousands of scans, each of which costs a pass over everything.
 * They are counted before memory is asked for, by markers, which only start with 0xFF (and are not
 * followed by 0 there); in a damaged file libjpeg may see more. */
static uint32_t count_scans(const struct cr_encoded *file)
{
    uint32_t scans = 0;
    for (size_t at = 2; at < file->size && file->size - at >= 4;) {
        const uint8_t *found = memchr(file->data + at, 0xFF, file->size - at - 3);
        if (found == NULL || found[1] == 0xD9)
            break;
        bool alone = found[1] <= 0x01 || (found[1] >= 0xD0 && found[1] <= 0xD8);
        at = (size_t)(found - file->data);
        at += found[1] == 0xFF ? 1 : alone ? 2 : 2 + (size_t)(found[2] << 8 | found[3]);
        scans += found[1] == 0xDA;
    }
    return scans;
}

static void on_progress(j_common_ptr codec)
{
    struct session *session = codec->client_data;
    if ((uint32_t)session->reader.input_scan_number > session->file->max_scans) {
        session->too_many_scans = true;
        longjmp(session->jump, 1);
    }
}

static void read_header(struct session *session)
{
    struct jpeg_decompress_struct *reader = &session->reader;
    jpeg_create_decompress(reader);
    session->progress.progress_monitor = on_progress;
    reader->progress = &session->progress;
    jpeg_save_markers(reader, EXIF_MARKER, 0xFFFF);
    jpeg_mem_src(reader, session->file->data, (unsigned long)session->file->size);
    jpeg_read_header(reader, TRUE);
}

static void read_rows(struct session *session)
{
    struct jpeg_decompress_struct *reader = &session->reader;
    reader->out_color_space = JCS_RGB;
    size_t side = 64; /* blocks at the edges are whole */
    size_t coefficients = sizeof(JCOEF) * (size_t)reader->num_components *
                          (reader->image_width + side) * (reader->image_height + side);
    reader->mem->max_memory_to_use = (long)(coefficients + WORK_MEMORY);
    jpeg_start_decompress(reader);
    while (reader->output_scanline < reader->output_height) {
        JSAMPROW row = cr_image_edit(session->image) +
                       3 * (size_t)reader->output_width * (size_t)reader->output_scanline;
        jpeg_read_scanlines(reader, &row, 1);
    }
    jpeg_finish_decompress(reader);
}

static int too_many_scans(const struct cr_encoded *file, struct cr_error *err)
{
    return cr_fail(err, CR_ERR_LIMIT,
                   "%s: the JPEG picture has more than %u scans, which would take very long%s",
                   file->name, file->max_scans,
                   file->adjustable ? "; raise the limit with \"max_scans\"" : "");
}

static int failure(const struct session *session, struct cr_error *err)
{
    const char *name = session->file->name;
    if (session->too_many_scans)
        return too_many_scans(session->file, err);
    if (session->code == JERR_OUT_OF_MEMORY)
        return cr_fail(err, CR_ERR_MEMORY, "%s: out of memory while the JPEG picture was read",
                       name);
    if (session->reader.output_scanline > 0)
        return cr_fail(err, CR_ERR_FORMAT,
                       "%s: the JPEG picture is damaged in row %u of %u: %s; fetch it again", name,
                       session->reader.output_scanline + 1, session->reader.output_height,
                       session->message);
    return cr_fail(err, CR_ERR_FORMAT, "%s: the JPEG picture is damaged: %s; fetch it again", name,
                   session->message);
}

static int check_header(const struct session *session, struct cr_error *err)
{
    const struct jpeg_decompress_struct *reader = &session->reader;
    const char *name = session->file->name;
    int result =
        cr_encoded_check_size(session->file, reader->image_height, reader->image_width, err);
    if (result < 0)
        return result;
    if (count_scans(session->file) > session->file->max_scans)
        return too_many_scans(session->file, err);
    if (reader->data_precision != 8)
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "%s: a JPEG picture of %d bits; convert it to 8 bits", name,
                       reader->data_precision);
    switch (reader->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
        return 0;
    case JCS_CMYK:
    case JCS_YCCK:
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "%s: a JPEG picture in CMYK, for printing; convert it to RGB", name);
    default:
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "%s: a JPEG picture of %d channels; convert it to RGB or grey", name,
                       reader->num_components);
    }
}

static int orientation_of(const struct session *session)
{
    for (jpeg_saved_marker_ptr marker = session->reader.marker_list; marker != NULL;
         marker = marker->next)
        if (marker->marker == EXIF_MARKER && marker->data_length > EXIF_START_SIZE &&
            memcmp(marker->data, EXIF_START, EXIF_START_SIZE) == 0)
            return cr_exif_orientation(marker->data + EXIF_START_SIZE,
                                       marker->data_length - EXIF_START_SIZE);
    return 1;
}

static int decode(struct session *session, int *orientation, struct cr_error *err)
{
    if (!attempt(session, read_header))
        return failure(session, err);
    int result = check_header(session, err);
    if (result < 0)
        return result;
    struct cr_size size = {(int32_t)session->reader.image_height,
                           (int32_t)session->reader.image_width};
    if ((result = cr_image_create(&session->image, size, err)) < 0)
        return result;
    *orientation = orientation_of(session); /* reading to the end frees the markers */
    return attempt(session, read_rows) ? 0 : failure(session, err);
}

int cr_jpeg_decode(struct cr_image **out, int *orientation, const struct cr_encoded *file,
                   struct cr_error *err)
{
    struct session session = {.file = file};
    set_errors(&session);
    session.reader.err = &session.errors;
    session.reader.client_data = &session;
    int result = decode(&session, orientation, err);
    jpeg_destroy_decompress(&session.reader);
    if (result < 0)
        cr_image_unref(&session.image);
    *out = session.image;
    return result;
}

/* ---- Writing ---- */

static void start_output(j_compress_ptr writer)
{
    struct session *session = writer->client_data;
    session->destination.next_output_byte = session->chunk;
    session->destination.free_in_buffer = sizeof(session->chunk);
}

static void append_output(struct session *session, size_t count)
{
    cr_text_append(session->bytes, (const char *)session->chunk, count);
    if (session->bytes->failed)
        ERREXIT1(&session->writer, JERR_OUT_OF_MEMORY, 0);
    start_output(&session->writer);
}

static boolean empty_output(j_compress_ptr writer)
{
    append_output(writer->client_data, OUTPUT_CHUNK);
    return TRUE;
}

static void finish_output(j_compress_ptr writer)
{
    struct session *session = writer->client_data;
    append_output(session, OUTPUT_CHUNK - session->destination.free_in_buffer);
}

static void write_rows(struct session *session)
{
    struct jpeg_compress_struct *writer = &session->writer;
    size_t row_bytes = 3 * (size_t)writer->image_width;
    while (writer->next_scanline < writer->image_height) {
        const uint8_t *pixels =
            cr_image_pixels(session->source) + row_bytes * writer->next_scanline;
        JSAMPROW row = (JSAMPROW)(uintptr_t)pixels; /* libjpeg does not write to it */
        jpeg_write_scanlines(writer, &row, 1);
    }
}

static void write_picture(struct session *session)
{
    struct jpeg_compress_struct *writer = &session->writer;
    struct cr_size size = cr_image_size(session->source);
    jpeg_create_compress(writer);
    writer->dest = &session->destination;
    writer->image_width = (JDIMENSION)size.width;
    writer->image_height = (JDIMENSION)size.height;
    writer->input_components = 3;
    writer->in_color_space = JCS_RGB;
    jpeg_set_defaults(writer);
    jpeg_set_quality(writer, session->quality, TRUE);
    /* Full colour resolution: fine outlines and letters would bleed otherwise. */
    for (int i = 0; i < writer->num_components; i++)
        writer->comp_info[i].h_samp_factor = writer->comp_info[i].v_samp_factor = 1;
    jpeg_start_compress(writer, TRUE);
    write_rows(session);
    jpeg_finish_compress(writer);
}

int cr_jpeg_encode(const struct cr_image *image, int quality, struct cr_text *bytes,
                   struct cr_error *err)
{
    struct session session = {.source = image, .quality = quality, .bytes = bytes};
    set_errors(&session);
    session.writer.err = &session.errors;
    session.writer.client_data = &session;
    session.destination.init_destination = start_output;
    session.destination.empty_output_buffer = empty_output;
    session.destination.term_destination = finish_output;
    bool done = attempt(&session, write_picture);
    jpeg_destroy_compress(&session.writer);
    if (done)
        return 0;
    if (session.code == JERR_OUT_OF_MEMORY)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory while the JPEG picture was written");
    return cr_fail(err, CR_ERR_ARGUMENT, "the JPEG picture cannot be written: %s", session.message);
}
