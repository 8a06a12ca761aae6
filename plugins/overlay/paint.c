/* SPDX-License-Identifier: MIT */
#include "paint.h"

#include <crayon/memory.h>
#include <math.h>
#include <string.h>

struct overlay_style overlay_style(const struct overlay_options *options, struct cr_size size)
{
    double side = sqrt((double)size.height * size.width);
    struct overlay_style style = {.text = options->label_size,
                                  .outline = (int32_t)options->outline,
                                  .stripe = (int32_t)fmax(3, side / 110)};
    if (style.text <= 0)
        style.text = fmax(10, side / 54);
    if (options->outline < 0)
        style.outline = (int32_t)fmin(fmax(1, side / 520), 12);
    return style;
}

int32_t paint_alpha(const struct overlay_options *options, const struct overlay_style *style,
                    const struct surveyed *segment, int32_t x, int32_t y)
{
    double opacity = segment->thing ? options->opacity : options->opacity * options->stuff_opacity;
    if (segment->crowd && (x + y) / style->stripe % 2 != 0)
        opacity *= 0.4;
    return (int32_t)(255 * opacity + 0.5);
}

static void blend(uint8_t *out, const uint8_t *color, int32_t alpha)
{
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)((out[i] * (255 - alpha) + color[i] * alpha + 127) / 255);
}

static void blend_row(uint8_t *out, const struct survey *survey, const int32_t *indices, int32_t y,
                      const struct overlay_options *options, const struct overlay_style *style)
{
    int32_t last = SURVEY_NONE, alpha = 0;
    for (int32_t x = 0; x < survey->size.width; x++) {
        if (indices[x] == SURVEY_NONE)
            continue;
        const struct surveyed *segment = &survey->segments[indices[x]];
        if (indices[x] != last || segment->crowd)
            alpha = paint_alpha(options, style, segment, x, y);
        last = indices[x];
        blend(out + 3 * (size_t)x, segment->color, alpha);
    }
}

/* ---- Outlines ---- */

/* The rank of a pixel's segment and, in its lowest bit, whether that is a thing; 0 for none. */
static int32_t rank_of(const struct survey *survey, int32_t index)
{
    if (index == SURVEY_NONE)
        return 0;
    const struct surveyed *segment = &survey->segments[index];
    return 2 * (segment->rank + 1) + segment->thing;
}

/* Ranks of the rows around the one that is painted, each the greatest of 2 n + 1 in its row. */
struct ranks {
    int32_t n;
    int32_t width;
    int32_t *rows;     /* a ring of 2 n + 1 */
    int32_t *plain;    /* a row before it is spread */
    int32_t *greatest; /* of all rows of the ring */
};

static int32_t *ring_row(const struct ranks *ranks, int32_t y)
{
    return ranks->rows + (size_t)(y % (2 * ranks->n + 1)) * (size_t)ranks->width;
}

static void raise_row(int32_t *row, const int32_t *other, int32_t count)
{
    for (int32_t x = 0; x < count; x++)
        row[x] = row[x] > other[x] ? row[x] : other[x];
}

/* Put row `y` into the ring; beyond the picture there is nothing. */
static void ranks_add(struct ranks *ranks, const struct survey *survey, int32_t y)
{
    int32_t *row = ring_row(ranks, y), width = ranks->width;
    size_t bytes = (size_t)width * sizeof(int32_t);
    memset(row, 0, bytes);
    if (y >= survey->size.height)
        return;
    survey_row(survey, y, ranks->plain);
    for (int32_t x = 0; x < width; x++)
        ranks->plain[x] = rank_of(survey, ranks->plain[x]);
    memcpy(row, ranks->plain, bytes);
    for (int32_t d = 1; d <= ranks->n && d < width; d++) {
        raise_row(row + d, ranks->plain, width - d);
        raise_row(row, ranks->plain + d, width - d);
    }
}

static void outline_row(uint8_t *out, struct ranks *ranks, const struct survey *survey, int32_t y)
{
    static const uint8_t white[3] = {255, 255, 255};
    memset(ranks->greatest, 0, (size_t)ranks->width * sizeof(int32_t));
    for (int32_t v = y > ranks->n ? y - ranks->n : 0; v <= y + ranks->n; v++)
        raise_row(ranks->greatest, ring_row(ranks, v), ranks->width);
    survey_row(survey, y, ranks->plain);
    for (int32_t x = 0; x < ranks->width; x++)
        if (ranks->greatest[x] > rank_of(survey, ranks->plain[x]))
            blend(out + 3 * (size_t)x, white,
                  ranks->greatest[x] & 1 ? PAINT_THING_EDGE : PAINT_STUFF_EDGE);
}

static int paint_outlines(uint8_t *out, size_t stride, const struct survey *survey, int32_t n,
                          struct cr_error *err)
{
    size_t columns = (size_t)survey->size.width;
    struct ranks ranks = {.n = n, .width = survey->size.width};
    ranks.rows = cr_calloc((2 * (size_t)n + 3) * columns, sizeof(int32_t));
    if (ranks.rows == NULL)
        return cr_fail_memory(err, (2 * (size_t)n + 3) * columns * sizeof(int32_t));
    ranks.plain = ranks.rows + (2 * (size_t)n + 1) * columns;
    ranks.greatest = ranks.plain + columns;
    for (int32_t y = 0; y < n; y++)
        ranks_add(&ranks, survey, y);
    for (int32_t y = 0; y < survey->size.height; y++) {
        ranks_add(&ranks, survey, y + n);
        outline_row(out + (size_t)y * stride, &ranks, survey, y);
    }
    cr_free(ranks.rows);
    return 0;
}

int paint_segments(uint8_t *out, size_t stride, const struct cr_image *image,
                   const struct survey *survey, const struct overlay_options *options,
                   const struct overlay_style *style, struct cr_error *err)
{
    size_t columns = (size_t)survey->size.width;
    int32_t *indices = cr_calloc(columns, sizeof(*indices));
    if (indices == NULL)
        return cr_fail_memory(err, columns * sizeof(*indices));
    for (int32_t y = 0; y < survey->size.height; y++) {
        uint8_t *row = out + (size_t)y * stride;
        memcpy(row, cr_image_pixels(image) + 3 * columns * (size_t)y, 3 * columns);
        survey_row(survey, y, indices);
        blend_row(row, survey, indices, y, options, style);
    }
    cr_free(indices);
    return style->outline > 0 ? paint_outlines(out, stride, survey, style->outline, err) : 0;
}
