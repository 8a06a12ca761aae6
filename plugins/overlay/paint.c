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

/* Every pixel gets the greatest rank of the pixels within n of it; where that exceeds its own, it
 * is part of an outline. The greatest of a window comes from two halves, those of the block that
 * the window begins in and of the one that it ends in (van Herk 1992), so that the time does not
 * depend on n. A rank holds in its lowest bit whether the segment is a thing; 0 is none. */
struct ranks {
    const struct survey *survey;
    int32_t n, window; /* window = 2 n + 1 */
    int32_t *of;       /* rank by position in the list */
    int32_t *indices;  /* a row of the map */
    int32_t *spread;   /* a row of ranks with n places before and after */
    int32_t *block;    /* `window` rows: those of the block so far */
    int32_t *before;   /* `window` rows: of the last block, row i holds the greatest from i on */
    int32_t *prefix;   /* the greatest of the block so far */
};

static int ranks_create(struct ranks *ranks, const struct survey *survey, int32_t n,
                        struct cr_error *err)
{
    size_t columns = (size_t)survey->size.width, window = 2 * (size_t)n + 1;
    size_t places = survey->count + columns + (columns + window) + 2 * window * columns + columns;
    *ranks = (struct ranks){.survey = survey, .n = n, .window = (int32_t)window};
    ranks->of = cr_calloc(places, sizeof(int32_t));
    if (ranks->of == NULL)
        return cr_fail_memory(err, places * sizeof(int32_t));
    ranks->indices = ranks->of + survey->count;
    ranks->spread = ranks->indices + columns;
    ranks->block = ranks->spread + columns + window;
    ranks->before = ranks->block + window * columns;
    ranks->prefix = ranks->before + window * columns;
    for (size_t i = 0; i < survey->count; i++)
        ranks->of[i] = 2 * (survey->segments[i].rank + 1) + survey->segments[i].thing;
    return 0;
}

static void raise_row(int32_t *row, const int32_t *other, int32_t count)
{
    for (int32_t x = 0; x < count; x++)
        row[x] = row[x] > other[x] ? row[x] : other[x];
}

/* The greatest rank within n pixels to the left and right, for row `y`; nothing beyond the map. */
static void widen_row(struct ranks *ranks, int32_t y, int32_t *wide)
{
    int32_t width = ranks->survey->size.width, n = ranks->n, padded = width + 2 * n, size = 1;
    memset(wide, 0, (size_t)width * sizeof(*wide));
    if (y >= ranks->survey->size.height)
        return;
    memset(ranks->spread, 0, (size_t)padded * sizeof(*ranks->spread));
    survey_row(ranks->survey, y, ranks->indices);
    for (int32_t x = 0; x < width; x++)
        if (ranks->indices[x] != SURVEY_NONE)
            ranks->spread[x + n] = ranks->of[ranks->indices[x]];
    /* spread[x] becomes the greatest of `size` values from x on. */
    for (; 2 * size <= ranks->window; size *= 2)
        raise_row(ranks->spread, ranks->spread + size, padded - size);
    raise_row(wide, ranks->spread, width);
    raise_row(wide, ranks->spread + ranks->window - size, width);
}

/* Take in row `y`, the next one. */
static void ranks_add(struct ranks *ranks, int32_t y)
{
    int32_t width = ranks->survey->size.width, place = y % ranks->window;
    size_t columns = (size_t)width;
    int32_t *row = ranks->block + (size_t)place * columns;
    if (place == 0)
        memset(ranks->prefix, 0, columns * sizeof(*ranks->prefix));
    widen_row(ranks, y, row);
    raise_row(ranks->prefix, row, width);
    if (place + 1 < ranks->window)
        return;
    for (int32_t i = place; i > 0; i--)
        raise_row(ranks->block + (size_t)(i - 1) * columns, ranks->block + (size_t)i * columns,
                  width);
    int32_t *swap = ranks->before;
    ranks->before = ranks->block;
    ranks->block = swap;
}

/* Row `y`, after row y + n was taken in. */
static void outline_row(uint8_t *out, const struct ranks *ranks, int32_t y)
{
    static const uint8_t white[3] = {255, 255, 255};
    int32_t first = y - ranks->n, width = ranks->survey->size.width;
    bool has_before = first > 0 && first % ranks->window != 0;
    const int32_t *before = ranks->before;
    if (has_before)
        before += (size_t)(first % ranks->window) * (size_t)width;
    survey_row(ranks->survey, y, ranks->indices);
    for (int32_t x = 0; x < width; x++) {
        int32_t own = ranks->indices[x] != SURVEY_NONE ? ranks->of[ranks->indices[x]] : 0;
        int32_t greatest = ranks->prefix[x];
        if (has_before && before[x] > greatest)
            greatest = before[x];
        if (greatest > own)
            blend(out + 3 * (size_t)x, white, greatest & 1 ? PAINT_THING_EDGE : PAINT_STUFF_EDGE);
    }
}

static int paint_outlines(uint8_t *out, size_t stride, const struct survey *survey, int32_t n,
                          struct cr_error *err)
{
    struct ranks ranks;
    int result = ranks_create(&ranks, survey, n, err);
    if (result < 0)
        return result;
    for (int32_t y = 0; y < n; y++)
        ranks_add(&ranks, y);
    for (int32_t y = 0; y < survey->size.height; y++) {
        ranks_add(&ranks, y + n);
        outline_row(out + (size_t)y * stride, &ranks, y);
    }
    cr_free(ranks.of);
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
