/* SPDX-License-Identifier: MIT */
#include "draw.h"

#include <crayon/memory.h>
#include <math.h>
#include <string.h>

#include "paint.h"
#include "palette.h"

/* A canvas takes 4 bytes a pixel and 32767 pixels a side: large pictures are drawn on in pieces. */
#define TILE 1024

static const struct cr_color ink = {32, 33, 36, 255}, paper = {250, 249, 246, 255};

static enum cr_weight weight_of(bool thing)
{
    return thing ? CR_WEIGHT_BOLD : CR_WEIGHT_REGULAR;
}

/* ---- The plan ---- */

static int measure_texts(struct overlay_plan *plan, struct cr_error *err)
{
    struct cr_canvas *canvas;
    struct cr_image *unused;
    int result = cr_canvas_create(&canvas, NULL, (struct cr_size){1, 1}, err);
    if (result < 0)
        return result;
    double text = plan->style.text;
    struct cr_text_extents extents;
    for (size_t i = 0; i < plan->count; i++) {
        bool thing = plan->survey.segments[plan->labels[i].index].thing;
        cr_canvas_measure(canvas, plan->labels[i].text, text, weight_of(thing), &extents);
        plan->labels[i].width = ceil(extents.width + 2 * layout_label_margin(&plan->style));
    }
    for (size_t i = 0; i < plan->legend.count; i++) {
        cr_canvas_measure(canvas, plan->legend.entries[i].text, text,
                          weight_of(plan->legend.entries[i].thing), &extents);
        plan->legend.entries[i].width = extents.width;
    }
    /* Reports what failed on the way, such as a missing font. */
    result = cr_canvas_finish(canvas, &unused, err);
    cr_image_unref(&unused);
    cr_canvas_destroy(&canvas);
    return result;
}

static int plan_texts(struct overlay_plan *plan, const struct overlay_options *options,
                      struct cr_error *err)
{
    int result = 0;
    if (options->labels)
        result = layout_labels(&plan->labels, &plan->count, &plan->survey, options->min_area, err);
    if (result == 0 && options->legend)
        result = legend_create(&plan->legend, &plan->survey, err);
    if (result == 0 && plan->count + plan->legend.count > 0)
        result = measure_texts(plan, err);
    if (result == 0 && plan->count > 0)
        result = layout_place(plan->labels, plan->count, &plan->survey, &plan->style, err);
    if (result == 0 && plan->legend.count > 0) {
        legend_arrange(&plan->legend, plan->size, &plan->style);
        plan->size = plan->legend.size;
    }
    return result;
}

int overlay_plan(struct overlay_plan *plan, const struct overlay_options *options,
                 const struct cr_image *image, const struct cr_panoptic *panoptic,
                 struct cr_error *err)
{
    *plan = (struct overlay_plan){.size = cr_image_size(image)};
    plan->style = overlay_style(options, plan->size);
    int result = cr_panoptic_resize(&plan->panoptic, panoptic, plan->size, err);
    if (result == 0)
        result = survey_create(&plan->survey, plan->panoptic, panoptic, options->grid, err);
    if (result == 0)
        result = plan_texts(plan, options, err);
    if (result < 0)
        overlay_plan_finish(plan);
    return result;
}

void overlay_plan_finish(struct overlay_plan *plan)
{
    survey_finish(&plan->survey);
    legend_finish(&plan->legend);
    cr_panoptic_unref(&plan->panoptic);
    cr_free(plan->labels);
    *plan = (struct overlay_plan){0};
}

/* ---- Drawing on a piece of the picture ---- */

struct tile {
    struct cr_canvas *canvas;
    const struct overlay_plan *plan;
    double x, y, width, height; /* which piece of the picture */
};

static bool in_tile(const struct tile *tile, struct cr_rect rect)
{
    return rect.x < tile->x + tile->width && rect.x + rect.width > tile->x &&
           rect.y < tile->y + tile->height && rect.y + rect.height > tile->y;
}

static double leader_width(const struct overlay_plan *plan)
{
    return fmax(1.2, plan->style.text * 0.11);
}

/* A label with the line to its segment's centre. */
static struct cr_rect label_box(const struct overlay_plan *plan, const struct label *label)
{
    const struct surveyed *segment = &plan->survey.segments[label->index];
    struct cr_rect r = label->rect;
    if (!label->leader)
        return r;
    double around = 4 * leader_width(plan);
    double x0 = fmin(r.x, segment->x) - around, x1 = fmax(r.x + r.width, segment->x) + around;
    double y0 = fmin(r.y, segment->y) - around, y1 = fmax(r.y + r.height, segment->y) + around;
    return (struct cr_rect){x0, y0, x1 - x0, y1 - y0};
}

static struct cr_rect entry_box(const struct overlay_plan *plan, const struct legend_entry *entry)
{
    double width = plan->legend.swatch + plan->style.text + entry->width;
    return (struct cr_rect){entry->x, entry->y, width, plan->legend.row};
}

static bool label_in_tile(const struct tile *tile, const struct label *label)
{
    return label->placed && in_tile(tile, label_box(tile->plan, label));
}

static bool is_empty(const struct tile *tile)
{
    const struct overlay_plan *plan = tile->plan;
    for (size_t i = 0; i < plan->count; i++)
        if (label_in_tile(tile, &plan->labels[i]))
            return false;
    for (size_t i = 0; i < plan->legend.count; i++)
        if (in_tile(tile, entry_box(plan, &plan->legend.entries[i])))
            return false;
    return true;
}

static struct cr_color color_of(const uint8_t color[3], uint8_t alpha)
{
    return (struct cr_color){color[0], color[1], color[2], alpha};
}

/* A line from the label's edge to its segment's centre, with a dot there, dark on light. */
static void draw_leader(const struct tile *tile, const struct label *label)
{
    const struct surveyed *segment = &tile->plan->survey.segments[label->index];
    struct cr_rect rect = label->rect;
    double x0 =
        fmin(fmax(segment->x, rect.x + rect.height / 2), rect.x + rect.width - rect.height / 2);
    double y0 = fmin(fmax(segment->y, rect.y + 1), rect.y + rect.height - 1);
    double thick = leader_width(tile->plan);
    double line[] = {x0 - tile->x, y0 - tile->y, segment->x - tile->x, segment->y - tile->y};
    struct cr_color dark = {0, 0, 0, 150}, color = color_of(segment->color, 255);
    cr_canvas_stroke_line(tile->canvas, line, 2, thick * 2.2, dark);
    cr_canvas_fill_circle(tile->canvas, line[2], line[3], thick * 2.5, dark);
    cr_canvas_stroke_line(tile->canvas, line, 2, thick, color);
    cr_canvas_fill_circle(tile->canvas, line[2], line[3], thick * 1.8, color);
}

static void draw_label(const struct tile *tile, const struct label *label)
{
    const struct surveyed *segment = &tile->plan->survey.segments[label->index];
    struct cr_rect rect = label->rect;
    rect.x -= tile->x;
    rect.y -= tile->y;
    double text = tile->plan->style.text, line = fmax(1, text * 0.07);
    double radius = segment->thing ? rect.height * 0.42 : rect.height * 0.16;
    bool light = palette_is_light(segment->color);
    struct cr_color front =
        light ? (struct cr_color){0, 0, 0, 255} : (struct cr_color){255, 255, 255, 255};
    cr_canvas_fill_rect(tile->canvas, rect, radius, color_of(segment->color, 240));
    struct cr_rect rim = {rect.x + line / 2, rect.y + line / 2, rect.width - line,
                          rect.height - line};
    front.a = 130;
    cr_canvas_stroke_rect(tile->canvas, rim, radius, line, front);
    front.a = 255;
    /* Letters without descender look centred when the capitals are. */
    cr_canvas_text(tile->canvas, label->text, rect.x + layout_label_margin(&tile->plan->style),
                   rect.y + rect.height / 2 + text * 0.36, text, weight_of(segment->thing), front);
}

/* Things are round, stuff is square; what is unknown shows that it has many colours. */
static void draw_swatch(const struct tile *tile, const struct legend_entry *entry, double x,
                        double y)
{
    double side = tile->plan->legend.swatch;
    double radius = entry->thing ? side / 2 : side * 0.15;
    uint8_t color[3];
    int32_t parts = entry->label == CR_LABEL_UNKNOWN && entry->segments > 1 ? 3 : 1;
    for (int32_t i = 0; i < parts; i++) {
        palette_color(entry->label, i, color);
        struct cr_rect rect = {x + side * i / parts, y, side / parts, side};
        cr_canvas_fill_rect(tile->canvas, rect, parts > 1 ? 0 : radius, color_of(color, 255));
    }
}

static void draw_legend(const struct tile *tile)
{
    const struct legend *legend = &tile->plan->legend;
    double text = tile->plan->style.text;
    for (size_t i = 0; i < legend->count; i++) {
        const struct legend_entry *entry = &legend->entries[i];
        if (!in_tile(tile, entry_box(tile->plan, entry)))
            continue;
        double x = entry->x - tile->x, y = entry->y - tile->y;
        draw_swatch(tile, entry, x, y + (legend->row - legend->swatch) / 2);
        cr_canvas_text(tile->canvas, entry->text, x + legend->swatch + text * 0.55,
                       y + legend->row / 2 + text * 0.36, text, weight_of(entry->thing), ink);
    }
}

static void draw_tile(const struct tile *tile)
{
    const struct overlay_plan *plan = tile->plan;
    for (size_t i = 0; i < plan->count; i++)
        if (label_in_tile(tile, &plan->labels[i]) && plan->labels[i].leader)
            draw_leader(tile, &plan->labels[i]);
    for (size_t i = 0; i < plan->count; i++)
        if (label_in_tile(tile, &plan->labels[i]))
            draw_label(tile, &plan->labels[i]);
    draw_legend(tile);
}

static void copy_rows(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride,
                      struct cr_size size)
{
    for (int32_t y = 0; y < size.height; y++)
        memcpy(to + (size_t)y * to_stride, from + (size_t)y * from_stride, 3 * (size_t)size.width);
}

/* Draw on the piece at (y, x) of the picture. */
static int draw_piece(struct cr_image *picture, const struct overlay_plan *plan, int32_t y,
                      int32_t x, struct cr_error *err)
{
    struct cr_size size = {plan->size.height - y < TILE ? plan->size.height - y : TILE,
                           plan->size.width - x < TILE ? plan->size.width - x : TILE};
    size_t stride = 3 * (size_t)plan->size.width, short_stride = 3 * (size_t)size.width;
    uint8_t *corner = cr_image_edit(picture) + (size_t)y * stride + 3 * (size_t)x;
    struct cr_image *piece = NULL, *drawn = NULL;
    struct cr_canvas *canvas = NULL;
    struct tile tile = {NULL, plan, x, y, size.width, size.height};
    if (is_empty(&tile))
        return 0;
    int result = cr_image_create(&piece, size, err);
    if (result == 0) {
        copy_rows(cr_image_edit(piece), short_stride, corner, stride, size);
        result = cr_canvas_create(&canvas, piece, size, err);
    }
    if (result == 0) {
        tile.canvas = canvas;
        draw_tile(&tile);
        result = cr_canvas_finish(canvas, &drawn, err);
    }
    if (result == 0)
        copy_rows(corner, stride, cr_image_pixels(drawn), short_stride, size);
    cr_canvas_destroy(&canvas);
    cr_image_unref(&drawn);
    cr_image_unref(&piece);
    return result;
}

/* Everything that the photograph does not cover. */
static void fill_paper(struct cr_image *picture, struct cr_size photograph)
{
    struct cr_size size = cr_image_size(picture);
    uint8_t *pixel = cr_image_edit(picture);
    for (int32_t y = 0; y < size.height; y++)
        for (int32_t x = 0; x < size.width; x++, pixel += 3)
            if (y >= photograph.height || x >= photograph.width) {
                pixel[0] = paper.r;
                pixel[1] = paper.g;
                pixel[2] = paper.b;
            }
}

int overlay_draw(struct cr_image **out, const struct overlay_plan *plan,
                 const struct overlay_options *options, const struct cr_image *image,
                 struct cr_error *err)
{
    struct cr_image *picture = NULL;
    *out = NULL;
    int result = cr_image_create(&picture, plan->size, err);
    if (result == CR_ERR_LIMIT && plan->legend.count > 0)
        cr_error_prefix(err, "the photograph with its legend (\"legend\": false leaves it out)");
    if (result == 0)
        result = cr_image_set_name(picture, cr_image_name(image), err);
    if (result == 0) {
        fill_paper(picture, cr_image_size(image));
        result = paint_segments(cr_image_edit(picture), 3 * (size_t)plan->size.width, image,
                                &plan->survey, options, &plan->style, err);
    }
    if (plan->count + plan->legend.count > 0)
        for (int32_t y = 0; result == 0 && y < plan->size.height; y += TILE)
            for (int32_t x = 0; result == 0 && x < plan->size.width; x += TILE)
                result = draw_piece(picture, plan, y, x, err);
    if (result < 0)
        cr_image_unref(&picture);
    *out = picture;
    return result;
}
