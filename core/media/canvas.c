/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <cairo.h>

#include <crayon/canvas.h>
#include <crayon/memory.h>

#include "base/size.h"
#include "media/font.h"

#define MAX_SIDE 32767 /* cairo's */
/* Beyond, cairo's 24.8 bit numbers would wrap. */
#define MAX_COORDINATE 1e6

struct cr_canvas {
    struct cr_size size;
    char *name; /* of the background */
    unsigned char *pixels;
    cairo_surface_t *surface;
    cairo_t *cairo;
    struct cr_font *fonts[2]; /* by weight; opened when first used */
    struct cr_error failure;  /* the first one */
};

/* cairo's RGB24: one 32-bit number of the machine for each pixel. */
static int stride_of(struct cr_size size)
{
    return cairo_format_stride_for_width(CAIRO_FORMAT_RGB24, size.width);
}

static void pixels_from_image(unsigned char *pixels, int stride, const struct cr_image *image)
{
    struct cr_size size = cr_image_size(image);
    const uint8_t *rgb = cr_image_pixels(image);
    for (int32_t y = 0; y < size.height; y++) {
        uint32_t *row = (uint32_t *)(void *)(pixels + (size_t)y * (size_t)stride);
        for (int32_t x = 0; x < size.width; x++, rgb += 3)
            row[x] = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    }
}

/* The pixels in new memory, and a surface upon them. */
static int create_surface(cairo_surface_t **surface, unsigned char **pixels, struct cr_size size,
                          struct cr_error *err)
{
    int result = cr_size_check(size, err);
    if (result < 0)
        return result;
    if (size.height > MAX_SIDE || size.width > MAX_SIDE)
        return cr_fail(err, CR_ERR_LIMIT, "a canvas of %d x %d (height x width): sides are 1..%d",
                       size.height, size.width, MAX_SIDE);
    int stride = stride_of(size);
    *pixels = cr_calloc((size_t)size.height, (size_t)stride);
    if (*pixels == NULL)
        return cr_fail_memory(err, (size_t)size.height * (size_t)stride);
    *surface = cairo_image_surface_create_for_data(*pixels, CAIRO_FORMAT_RGB24, size.width,
                                                   size.height, stride);
    return 0;
}

static int start(struct cr_canvas *canvas, const struct cr_image *background, struct cr_error *err)
{
    int result = create_surface(&canvas->surface, &canvas->pixels, canvas->size, err);
    if (result < 0)
        return result;
    if (background != NULL && cr_image_name(background) != NULL &&
        (canvas->name = cr_strdup(cr_image_name(background))) == NULL)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory for a canvas");
    if (background != NULL)
        pixels_from_image(canvas->pixels, stride_of(canvas->size), background);
    cairo_surface_mark_dirty(canvas->surface);
    canvas->cairo = cairo_create(canvas->surface);
    if (cairo_status(canvas->cairo) != CAIRO_STATUS_SUCCESS)
        return cr_fail(err, CR_ERR_MEMORY, "a canvas of %d x %d: %s", canvas->size.height,
                       canvas->size.width, cairo_status_to_string(cairo_status(canvas->cairo)));
    cairo_set_antialias(canvas->cairo, CAIRO_ANTIALIAS_GOOD);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(canvas->cairo, CAIRO_LINE_CAP_ROUND);
    if (background == NULL) {
        cairo_set_source_rgb(canvas->cairo, 1, 1, 1);
        cairo_paint(canvas->cairo);
    }
    return 0;
}

int cr_canvas_create(struct cr_canvas **out, const struct cr_image *background, struct cr_size size,
                     struct cr_error *err)
{
    *out = NULL;
    struct cr_canvas *canvas = cr_calloc(1, sizeof(*canvas));
    if (canvas == NULL)
        return cr_fail_memory(err, sizeof(*canvas));
    canvas->size = background != NULL ? cr_image_size(background) : size;
    int result = start(canvas, background, err);
    if (result < 0)
        cr_canvas_destroy(&canvas);
    *out = canvas;
    return result;
}

void cr_canvas_destroy(struct cr_canvas **canvas)
{
    struct cr_canvas *old = *canvas;
    *canvas = NULL;
    if (old == NULL)
        return;
    cairo_destroy(old->cairo);
    cairo_surface_destroy(old->surface);
    cr_font_close(&old->fonts[CR_WEIGHT_REGULAR]);
    cr_font_close(&old->fonts[CR_WEIGHT_BOLD]);
    cr_free(old->pixels);
    cr_free(old->name);
    cr_free(old);
}

/* May drawing go on? Remembers a coordinate that cairo could not work with. */
static bool usable(struct cr_canvas *canvas, const double *numbers, size_t count)
{
    for (size_t i = 0; i < count && canvas->failure.code == 0; i++)
        if (!(fabs(numbers[i]) <= MAX_COORDINATE))
            cr_fail(&canvas->failure, CR_ERR_ARGUMENT,
                    "drawing with the coordinate %g; coordinates reach from -%g to %g", numbers[i],
                    MAX_COORDINATE, MAX_COORDINATE);
    return canvas->failure.code == 0;
}

static void set_color(struct cr_canvas *canvas, struct cr_color color)
{
    cairo_set_source_rgba(canvas->cairo, color.r / 255.0, color.g / 255.0, color.b / 255.0,
                          color.a / 255.0);
}

void cr_canvas_image(struct cr_canvas *canvas, const struct cr_image *image, double x, double y)
{
    if (!usable(canvas, (double[]){x, y}, 2))
        return;
    unsigned char *pixels = NULL;
    cairo_surface_t *surface = NULL;
    if (create_surface(&surface, &pixels, cr_image_size(image), &canvas->failure) == 0) {
        pixels_from_image(pixels, stride_of(cr_image_size(image)), image);
        cairo_surface_mark_dirty(surface);
        cairo_set_source_surface(canvas->cairo, surface, x, y);
        cairo_paint(canvas->cairo);
        /* The canvas must not refer to the surface any more. */
        cairo_set_source_rgb(canvas->cairo, 0, 0, 0);
    }
    cairo_surface_destroy(surface);
    cr_free(pixels);
}

static void trace_rect(struct cr_canvas *canvas, struct cr_rect rect, double radius)
{
    const double quarter = 1.57079632679489661923;
    double right = rect.x + rect.width, bottom = rect.y + rect.height;
    radius = fmin(radius, fmin(rect.width, rect.height) / 2);
    cairo_new_path(canvas->cairo);
    if (!(radius > 0)) {
        cairo_rectangle(canvas->cairo, rect.x, rect.y, rect.width, rect.height);
        return;
    }
    cairo_arc(canvas->cairo, right - radius, rect.y + radius, radius, -quarter, 0);
    cairo_arc(canvas->cairo, right - radius, bottom - radius, radius, 0, quarter);
    cairo_arc(canvas->cairo, rect.x + radius, bottom - radius, radius, quarter, 2 * quarter);
    cairo_arc(canvas->cairo, rect.x + radius, rect.y + radius, radius, 2 * quarter, 3 * quarter);
    cairo_close_path(canvas->cairo);
}

void cr_canvas_fill_rect(struct cr_canvas *canvas, struct cr_rect rect, double radius,
                         struct cr_color color)
{
    if (!usable(canvas, (double[]){rect.x, rect.y, rect.width, rect.height, radius}, 5))
        return;
    set_color(canvas, color);
    trace_rect(canvas, rect, radius);
    cairo_fill(canvas->cairo);
}

void cr_canvas_stroke_rect(struct cr_canvas *canvas, struct cr_rect rect, double radius,
                           double width, struct cr_color color)
{
    if (!usable(canvas, (double[]){rect.x, rect.y, rect.width, rect.height, radius, width}, 6))
        return;
    set_color(canvas, color);
    trace_rect(canvas, rect, radius);
    cairo_set_line_width(canvas->cairo, width);
    cairo_set_line_join(canvas->cairo, radius > 0 ? CAIRO_LINE_JOIN_ROUND : CAIRO_LINE_JOIN_MITER);
    cairo_stroke(canvas->cairo);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
}

static bool trace_points(struct cr_canvas *canvas, const double *points, size_t count)
{
    if (count == 0 || !usable(canvas, points, 2 * count))
        return false;
    cairo_new_path(canvas->cairo);
    for (size_t i = 0; i < count; i++)
        cairo_line_to(canvas->cairo, points[2 * i], points[2 * i + 1]);
    return true;
}

void cr_canvas_stroke_line(struct cr_canvas *canvas, const double *points, size_t count,
                           double width, struct cr_color color)
{
    if (!usable(canvas, &width, 1) || !trace_points(canvas, points, count))
        return;
    set_color(canvas, color);
    cairo_set_line_width(canvas->cairo, width);
    cairo_stroke(canvas->cairo);
}

void cr_canvas_fill_polygon(struct cr_canvas *canvas, const double *points, size_t count,
                            struct cr_color color)
{
    if (!trace_points(canvas, points, count))
        return;
    set_color(canvas, color);
    cairo_close_path(canvas->cairo);
    cairo_fill(canvas->cairo);
}

void cr_canvas_fill_circle(struct cr_canvas *canvas, double x, double y, double radius,
                           struct cr_color color)
{
    if (!usable(canvas, (double[]){x, y, radius}, 3))
        return;
    set_color(canvas, color);
    cairo_new_path(canvas->cairo);
    cairo_arc(canvas->cairo, x, y, fmax(radius, 0), 0, 6.28318530717958647693);
    cairo_fill(canvas->cairo);
}

/* The font, opened when it is first needed; NULL after a failure. */
static struct cr_font *font_of(struct cr_canvas *canvas, enum cr_weight weight)
{
    struct cr_font **font = &canvas->fonts[weight == CR_WEIGHT_BOLD];
    if (*font == NULL && canvas->failure.code == 0)
        cr_font_open(font, weight, &canvas->failure);
    return canvas->failure.code == 0 ? *font : NULL;
}

void cr_canvas_measure(struct cr_canvas *canvas, const char *text, double size,
                       enum cr_weight weight, struct cr_text_extents *extents)
{
    *extents = (struct cr_text_extents){0, 0, 0};
    struct cr_font *font = usable(canvas, &size, 1) ? font_of(canvas, weight) : NULL;
    if (font != NULL)
        cr_font_measure(font, text, size, extents, &canvas->failure);
}

void cr_canvas_text(struct cr_canvas *canvas, const char *text, double x, double y, double size,
                    enum cr_weight weight, struct cr_color color)
{
    if (!usable(canvas, (double[]){x, y, size}, 3))
        return;
    struct cr_font *font = font_of(canvas, weight);
    if (font == NULL)
        return;
    set_color(canvas, color);
    cairo_new_path(canvas->cairo);
    if (cr_font_trace(font, canvas->cairo, text, x, y, size, &canvas->failure) == 0)
        cairo_fill(canvas->cairo);
}

static int check(const struct cr_canvas *canvas, struct cr_error *err)
{
    if (canvas->failure.code != 0)
        return cr_fail(err, canvas->failure.code, "%s", canvas->failure.message);
    cairo_status_t status = cairo_status(canvas->cairo);
    if (status == CAIRO_STATUS_SUCCESS)
        return 0;
    return cr_fail(err, status == CAIRO_STATUS_NO_MEMORY ? CR_ERR_MEMORY : CR_ERR_INTERNAL,
                   "drawing failed: %s", cairo_status_to_string(status));
}

int cr_canvas_finish(struct cr_canvas *canvas, struct cr_image **out, struct cr_error *err)
{
    *out = NULL;
    int result = check(canvas, err);
    if (result < 0)
        return result;
    struct cr_image *image = NULL;
    result = cr_image_create(&image, canvas->size, err);
    if (result == 0)
        result = cr_image_set_name(image, canvas->name, err);
    if (result < 0) {
        cr_image_unref(&image);
        return result;
    }
    cairo_surface_flush(canvas->surface);
    uint8_t *rgb = cr_image_edit(image);
    for (int32_t y = 0; y < canvas->size.height; y++) {
        const unsigned char *bytes = canvas->pixels + (size_t)y * (size_t)stride_of(canvas->size);
        const uint32_t *row = (const uint32_t *)(const void *)bytes;
        for (int32_t x = 0; x < canvas->size.width; x++, rgb += 3) {
            rgb[0] = (uint8_t)(row[x] >> 16);
            rgb[1] = (uint8_t)(row[x] >> 8);
            rgb[2] = (uint8_t)row[x];
        }
    }
    *out = image;
    return 0;
}
