/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/canvas.h>

#include "command/options.h"
#include "command/run/sheet.h"

#define MAX_SHEET 16384 /* pixels of a side */
#define MAX_CELL 1024
#define GAP 16
#define FONT 18.0
#define CAPTION 32 /* pixels above a picture */

static const struct cr_color ink = {32, 32, 32, 255}, faint = {200, 200, 200, 255};

int sheet_check(const struct command *command, const char *path, const struct request *request)
{
    struct cr_error err = CR_ERROR_INIT;
    size_t images = 0;
    if (request_check_image_path(path, "the sheet", &err) < 0)
        return usage_error(command, "--sheet %s", err.message);
    for (size_t i = 0; i < request->sinks_count; i++)
        images += request->sinks[i].port.type == CR_TYPE_IMAGE;
    if (images == 0)
        return usage_error(command, "--sheet: the pipeline %s has no output that is an image",
                           cr_pipeline_name(request->pipeline));
    return EXIT_OK;
}

int sheet_init(struct sheet *sheet, size_t most, struct cr_error *err)
{
    sheet->cells = cr_calloc(most, sizeof(*sheet->cells));
    return sheet->cells != NULL ? 0 : cr_fail_memory(err, most * sizeof(*sheet->cells));
}

void sheet_add(struct sheet *sheet, const struct cr_image *image, const char *title,
               const char *subtitle)
{
    sheet->cells[sheet->count++] = (struct sheet_cell){image, title, subtitle};
}

void sheet_finish(struct sheet *sheet)
{
    cr_free(sheet->cells);
    sheet->cells = NULL;
}

/* The size of a picture in a square of `side`; never enlarged. */
static struct cr_size fit(struct cr_size size, int32_t side)
{
    int32_t longer = size.height > size.width ? size.height : size.width;
    if (longer <= side)
        return size;
    int64_t height = (int64_t)size.height * side / longer;
    int64_t width = (int64_t)size.width * side / longer;
    return (struct cr_size){height > 0 ? (int32_t)height : 1, width > 0 ? (int32_t)width : 1};
}

/* The largest picture of all, in a square of `side`. */
static struct cr_size measure(const struct sheet *sheet, int32_t side)
{
    struct cr_size cell = {64, 160}; /* for captions, where there is no picture at all */
    for (size_t i = 0; i < sheet->count; i++) {
        if (sheet->cells[i].image == NULL)
            continue;
        struct cr_size size = fit(cr_image_size(sheet->cells[i].image), side);
        cell.height = size.height > cell.height ? size.height : cell.height;
        cell.width = size.width > cell.width ? size.width : cell.width;
    }
    return cell;
}

static int draw_image(struct cr_canvas *canvas, const struct cr_image *image, int32_t side,
                      double x, double y, struct cr_error *err)
{
    struct cr_image *small = NULL;
    int result =
        cr_image_resize(&small, image, fit(cr_image_size(image), side), CR_FILTER_BILINEAR, err);
    if (result == 0)
        cr_canvas_image(canvas, small, x, y);
    cr_image_unref(&small);
    return result;
}

static int draw_cell(struct cr_canvas *canvas, const struct sheet_cell *cell, int32_t side,
                     struct cr_size size, double x, double y, struct cr_error *err)
{
    struct cr_text_extents extents;
    cr_canvas_measure(canvas, cell->title, FONT, CR_WEIGHT_BOLD, &extents);
    cr_canvas_text(canvas, cell->title, x, y + extents.ascent, FONT, CR_WEIGHT_BOLD, ink);
    cr_canvas_text(canvas, cell->subtitle, x + extents.width + FONT / 2, y + extents.ascent, FONT,
                   CR_WEIGHT_REGULAR, ink);
    if (cell->image != NULL)
        return draw_image(canvas, cell->image, side, x, y + CAPTION, err);
    cr_canvas_stroke_rect(canvas,
                          (struct cr_rect){x + 1, y + CAPTION + 1, size.width - 2, size.height - 2},
                          0, 2, faint);
    return 0;
}

static int draw(const struct sheet *sheet, struct cr_image **out, struct cr_error *err)
{
    const int32_t columns = (int32_t)sheet->columns;
    const int32_t rows = (int32_t)(sheet->count / sheet->columns);
    int32_t side = MAX_CELL;
    while (side > 64 && (columns * (side + GAP) + GAP > MAX_SHEET ||
                         rows * (side + GAP + CAPTION) + GAP > MAX_SHEET))
        side /= 2;
    const struct cr_size cell = measure(sheet, side);
    const struct cr_size size = {rows * (cell.height + CAPTION + GAP) + GAP,
                                 columns * (cell.width + GAP) + GAP};
    struct cr_canvas *canvas = NULL;
    int result = cr_canvas_create(&canvas, NULL, size, err);
    for (size_t i = 0; i < sheet->count && result == 0; i++) {
        double x = GAP + (double)(i % sheet->columns) * (cell.width + GAP);
        double y = GAP + (double)(i / sheet->columns) * (cell.height + CAPTION + GAP);
        result = draw_cell(canvas, &sheet->cells[i], side, cell, x, y, err);
    }
    if (result == 0)
        result = cr_canvas_finish(canvas, out, err);
    cr_canvas_destroy(&canvas);
    return result;
}

int sheet_save(const struct sheet *sheet, const char *path, struct cr_error *err)
{
    struct cr_image *image = NULL;
    int result = draw(sheet, &image, err);
    if (result == 0)
        result = cr_image_save(image, path, err);
    cr_image_unref(&image);
    return result;
}
