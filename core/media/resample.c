/* SPDX-License-Identifier: MIT */
/* Resampling. BILINEAR has to agree with Pillow bit for bit, since models were trained on pictures
 * that Pillow reduced: the order of the passes, where windows begin and end, and every rounding
 * below are part of the result. */
#include <math.h>

#include <crayon/image.h>
#include <crayon/memory.h>

#include "base/size.h"

/* Weights are fixed point: 32 bits less 8 for the pixel and 2 for sums that overshoot. */
#define WEIGHT_BITS (32 - 8 - 2)

/* What one row (or column) of the result is made of: for position i, `count[i]` source positions
 * from `first[i]`, weighed by weights[i * window ...]. */
struct kernel {
    int32_t window;
    int32_t *first, *count, *weights;
    double *exact; /* one window, before rounding */
};

static void kernel_finish(struct kernel *kernel)
{
    cr_free(kernel->first);
    cr_free(kernel->count);
    cr_free(kernel->weights);
    cr_free(kernel->exact);
}

static double triangle(double x)
{
    x = x < 0 ? -x : x;
    return x < 1 ? 1 - x : 0;
}

/* The triangle around the centre of position i; it widens with the reduction, so that every source
 * pixel counts, and is cut off, then normalised, at the borders. */
static void kernel_fill(struct kernel *kernel, int32_t i, int32_t from, int32_t to)
{
    double scale = (double)from / to;
    double support = scale < 1 ? 1 : scale;
    double inverse = 1 / support;
    double center = (i + 0.5) * scale;
    int32_t first = (int32_t)(center - support + 0.5);
    int32_t end = (int32_t)(center + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > from ? from : end;
    double sum = 0;
    for (int32_t j = first; j < end; j++)
        sum += kernel->exact[j - first] = triangle((j - center + 0.5) * inverse);
    int32_t *weights = kernel->weights + (size_t)i * (size_t)kernel->window;
    for (int32_t j = 0; j < end - first; j++) {
        double weight = sum != 0 ? kernel->exact[j] / sum : kernel->exact[j];
        weights[j] = (int32_t)(0.5 + weight * (1 << WEIGHT_BITS));
    }
    kernel->first[i] = first;
    kernel->count[i] = end - first;
}

static int kernel_init(struct kernel *kernel, int32_t from, int32_t to, struct cr_error *err)
{
    double scale = (double)from / to;
    int32_t reach = (int32_t)scale; /* the support, rounded up */
    reach += reach < scale;
    size_t positions = (size_t)to;
    *kernel = (struct kernel){.window = 2 * (reach < 1 ? 1 : reach) + 1};
    size_t window = (size_t)kernel->window;
    kernel->first = cr_calloc(positions, sizeof(*kernel->first));
    kernel->count = cr_calloc(positions, sizeof(*kernel->count));
    kernel->weights = cr_calloc(positions * window, sizeof(*kernel->weights));
    kernel->exact = cr_calloc(window, sizeof(*kernel->exact));
    if (kernel->first == NULL || kernel->count == NULL || kernel->weights == NULL ||
        kernel->exact == NULL)
        return cr_fail_memory(err, positions * window * sizeof(*kernel->weights));
    for (int32_t i = 0; i < to; i++)
        kernel_fill(kernel, i, from, to);
    return 0;
}

/* Weights are at least 0 and sum to 1, so only rounding can carry a sum past 255. */
static uint8_t to_byte(int32_t sum)
{
    sum >>= WEIGHT_BITS;
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* One pixel: `count` pixels that lie `step` bytes apart. */
static void blend(uint8_t *to, const uint8_t *from, size_t step, const int32_t *weights,
                  int32_t count)
{
    int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r;
    for (int32_t i = 0; i < count; i++, from += step) {
        r += from[0] * weights[i];
        g += from[1] * weights[i];
        b += from[2] * weights[i];
    }
    to[0] = to_byte(r);
    to[1] = to_byte(g);
    to[2] = to_byte(b);
}

static void resize_rows(struct cr_image *to, const struct cr_image *from,
                        const struct kernel *kernel)
{
    struct cr_size size = cr_image_size(to);
    size_t width = (size_t)cr_image_size(from).width;
    const uint8_t *row = cr_image_pixels(from);
    uint8_t *pixel = cr_image_edit(to);
    for (int32_t y = 0; y < size.height; y++, row += 3 * width)
        for (int32_t x = 0; x < size.width; x++, pixel += 3)
            blend(pixel, row + 3 * (size_t)kernel->first[x], 3,
                  kernel->weights + (size_t)x * (size_t)kernel->window, kernel->count[x]);
}

static void resize_columns(struct cr_image *to, const struct cr_image *from,
                           const struct kernel *kernel)
{
    struct cr_size size = cr_image_size(to);
    size_t stride = 3 * (size_t)size.width;
    uint8_t *pixel = cr_image_edit(to);
    for (int32_t y = 0; y < size.height; y++) {
        const uint8_t *column = cr_image_pixels(from) + stride * (size_t)kernel->first[y];
        for (int32_t x = 0; x < size.width; x++, pixel += 3, column += 3)
            blend(pixel, column, stride, kernel->weights + (size_t)y * (size_t)kernel->window,
                  kernel->count[y]);
    }
}

typedef void resize_pass(struct cr_image *to, const struct cr_image *from,
                         const struct kernel *kernel);

/* One direction; `*image` is replaced. */
static int run_pass(struct cr_image **image, resize_pass *pass, struct cr_size size, int32_t from,
                    int32_t to, struct cr_error *err)
{
    if (from == to)
        return 0;
    struct kernel kernel = {.window = 0};
    struct cr_image *resized = NULL;
    int result = cr_image_create(&resized, size, err);
    if (result == 0)
        result = kernel_init(&kernel, from, to, err);
    if (result == 0) {
        pass(resized, *image, &kernel);
        cr_image_unref(image);
        *image = resized;
        resized = NULL;
    }
    kernel_finish(&kernel);
    cr_image_unref(&resized);
    return result;
}

static int resize_bilinear(struct cr_image **out, const struct cr_image *image, struct cr_size size,
                           struct cr_error *err)
{
    struct cr_size from = cr_image_size(image);
    struct cr_image *current = cr_image_ref(image);
    int result = run_pass(&current, resize_rows, (struct cr_size){from.height, size.width},
                          from.width, size.width, err);
    if (result == 0)
        result = run_pass(&current, resize_columns, size, from.height, size.height, err);
    if (result == 0 && current == image)
        result = cr_image_copy(out, image, err);
    else if (result == 0)
        *out = cr_image_ref(current);
    cr_image_unref(&current);
    return result;
}

static int resize_nearest(struct cr_image **out, const struct cr_image *image, struct cr_size size,
                          struct cr_error *err)
{
    struct cr_size from = cr_image_size(image);
    int32_t *rows = cr_calloc((size_t)size.height + (size_t)size.width, sizeof(*rows));
    if (rows == NULL)
        return cr_fail_memory(err, ((size_t)size.height + (size_t)size.width) * sizeof(*rows));
    int32_t *columns = rows + size.height;
    cr_nearest_indices(from.height, size.height, rows);
    cr_nearest_indices(from.width, size.width, columns);
    int result = cr_image_create(out, size, err);
    if (result == 0) {
        uint8_t *to = cr_image_edit(*out);
        for (int32_t y = 0; y < size.height; y++) {
            const uint8_t *row = cr_image_pixels(image) + 3 * (size_t)rows[y] * (size_t)from.width;
            for (int32_t x = 0; x < size.width; x++, to += 3) {
                const uint8_t *pixel = row + 3 * (size_t)columns[x];
                to[0] = pixel[0];
                to[1] = pixel[1];
                to[2] = pixel[2];
            }
        }
    }
    cr_free(rows);
    return result;
}

/* ---- Sampled ---- */

/* Between which two source positions a position of the result lies, and how far from the first. */
struct sample {
    int32_t first, second;
    float weight; /* of the second */
};

/* The scale in f32, the place in double, the weight in f32: found by comparing with what torch
 * records, where it decides how ties are rounded. */
static void fill_samples(struct sample *samples, int32_t from, int32_t to)
{
    const float scale = (float)from / (float)to;
    for (int32_t i = 0; i < to; i++) {
        double at = (double)scale * (i + 0.5) - 0.5;
        at = at < 0 ? 0 : at;
        int32_t first = (int32_t)at;
        first = first > from - 1 ? from - 1 : first;
        samples[i] =
            (struct sample){first, first < from - 1 ? first + 1 : first, (float)(at - first)};
    }
}

static void sample_row(uint8_t *to, const uint8_t *upper, const uint8_t *lower, float weight,
                       const struct sample *columns, int32_t width)
{
    for (int32_t x = 0; x < width; x++) {
        const size_t left = 3 * (size_t)columns[x].first, right = 3 * (size_t)columns[x].second;
        const float w1 = columns[x].weight, w0 = 1 - w1;
        for (size_t c = 0; c < 3; c++) {
            float above = w0 * (float)upper[left + c] + w1 * (float)upper[right + c];
            float below = w0 * (float)lower[left + c] + w1 * (float)lower[right + c];
            *to++ = (uint8_t)lrintf((1 - weight) * above + weight * below);
        }
    }
}

static int resize_sampled(struct cr_image **out, const struct cr_image *image, struct cr_size size,
                          struct cr_error *err)
{
    struct cr_size from = cr_image_size(image);
    const size_t stride = 3 * (size_t)from.width, count = (size_t)size.height + (size_t)size.width;
    struct sample *rows = cr_calloc(count, sizeof(*rows));
    if (rows == NULL)
        return cr_fail_memory(err, count * sizeof(*rows));
    struct sample *columns = rows + size.height;
    fill_samples(rows, from.height, size.height);
    fill_samples(columns, from.width, size.width);
    int result = cr_image_create(out, size, err);
    for (int32_t y = 0; y < size.height && result == 0; y++)
        sample_row(cr_image_edit(*out) + 3 * (size_t)size.width * (size_t)y,
                   cr_image_pixels(image) + stride * (size_t)rows[y].first,
                   cr_image_pixels(image) + stride * (size_t)rows[y].second, rows[y].weight,
                   columns, size.width);
    cr_free(rows);
    return result;
}

static int resize(struct cr_image **out, const struct cr_image *image, struct cr_size size,
                  enum cr_filter filter, struct cr_error *err)
{
    switch (filter) {
    case CR_FILTER_NEAREST:
        return resize_nearest(out, image, size, err);
    case CR_FILTER_BILINEAR:
        return resize_bilinear(out, image, size, err);
    case CR_FILTER_BILINEAR_SAMPLED:
        return resize_sampled(out, image, size, err);
    }
    return cr_fail(err, CR_ERR_ARGUMENT, "%d is no filter", (int)filter);
}

int cr_image_resize(struct cr_image **out, const struct cr_image *image, struct cr_size size,
                    enum cr_filter filter, struct cr_error *err)
{
    *out = NULL;
    int result = cr_size_check(size, err);
    if (result < 0)
        return result;
    struct cr_image *resized = NULL;
    result = resize(&resized, image, size, filter, err);
    if (result == 0)
        result = cr_image_set_name(resized, cr_image_name(image), err);
    if (result < 0)
        cr_image_unref(&resized);
    *out = resized;
    return result;
}
