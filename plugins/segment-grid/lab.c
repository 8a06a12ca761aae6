/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>
#include <math.h>
#include <string.h>

#include "regions.h"

/* Smoothing takes in pixels this far away whose colours differ by no more than this. */
#define REACH 2
#define ALIKE 14.0f

/* sRGB to CIE XYZ (D65), each row divided by the white point. */
static const float to_xyz[3][3] = {{0.4339499f, 0.3762098f, 0.1898403f},
                                   {0.2126729f, 0.7151522f, 0.0721750f},
                                   {0.0177566f, 0.1094680f, 0.8727754f}};

static float lab_curve(float t)
{
    return t > 216.0f / 24389 ? cbrtf(t) : t * (841.0f / 108) + 16.0f / 116;
}

static void convert(struct lab *lab, const uint8_t *rgb)
{
    float linear[256];
    for (int i = 0; i < 256; i++) {
        double v = i / 255.0;
        linear[i] = (float)(v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    size_t pixels = (size_t)lab->height * (size_t)lab->width;
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        float r = linear[rgb[0]], g = linear[rgb[1]], b = linear[rgb[2]], f[3];
        for (int k = 0; k < 3; k++)
            f[k] = lab_curve(to_xyz[k][0] * r + to_xyz[k][1] * g + to_xyz[k][2] * b);
        lab->l[i] = 116 * f[1] - 16;
        lab->a[i] = 500 * (f[0] - f[1]);
        lab->b[i] = 200 * (f[1] - f[2]);
    }
}

static int lab_allocate(struct lab *lab, int32_t height, int32_t width, struct cr_error *err)
{
    size_t pixels = (size_t)height * (size_t)width;
    *lab = (struct lab){.height = height, .width = width};
    lab->l = cr_calloc(pixels, 3 * sizeof(float));
    if (lab->l == NULL)
        return cr_fail_memory(err, pixels * 3 * sizeof(float));
    lab->a = lab->l + pixels;
    lab->b = lab->a + pixels;
    return 0;
}

int lab_create(struct lab *lab, const struct cr_image *image, struct cr_error *err)
{
    struct cr_size size = cr_image_size(image);
    int result = lab_allocate(lab, size.height, size.width, err);
    if (result == 0)
        convert(lab, cr_image_pixels(image));
    return result;
}

void lab_finish(struct lab *lab)
{
    cr_free(lab->l);
    *lab = (struct lab){0};
}

#define SORT(a, b)                                                                                 \
    do {                                                                                           \
        float low = a < b ? a : b;                                                                 \
        b = a < b ? b : a;                                                                         \
        a = low;                                                                                   \
    } while (0)

/* Of nine: the exchange network of Paeth (Graphics Gems, 1990). */
static inline float median(const float *p, const float *q, const float *r, int32_t left, int32_t x,
                           int32_t right)
{
    float a = p[left], b = p[x], c = p[right], d = q[left], e = q[x], f = q[right];
    float g = r[left], h = r[x], i = r[right];
    SORT(b, c);
    SORT(e, f);
    SORT(h, i);
    SORT(a, b);
    SORT(d, e);
    SORT(g, h);
    SORT(b, c);
    SORT(e, f);
    SORT(h, i);
    SORT(a, d);
    SORT(f, i);
    SORT(e, h);
    SORT(d, g);
    SORT(b, e);
    SORT(c, f);
    SORT(e, h);
    SORT(e, c);
    SORT(g, e);
    SORT(e, c);
    return e;
}

/* One row of a plane from the rows above, at and below it; beyond the sides the last value goes on.
 */
static void smooth_row(float *out, const float *above, const float *here, const float *below,
                       int32_t width)
{
    for (int32_t x = 0; x < width; x++)
        out[x] = median(above, here, below, x > 0 ? x - 1 : x, x, x + 1 < width ? x + 1 : x);
}

/* `lines` has room for two rows: copies of the one above and of the one that is replaced. */
static void take_medians(float *plane, int32_t height, int32_t width, float *lines)
{
    size_t bytes = (size_t)width * sizeof(*plane);
    float *above = lines, *here = lines + width;
    memcpy(above, plane, bytes);
    for (int32_t y = 0; y < height; y++) {
        float *row = plane + (size_t)y * (size_t)width;
        memcpy(here, row, bytes);
        smooth_row(row, above, here, y + 1 < height ? row + width : here, width);
        float *swap = above;
        above = here;
        here = swap;
    }
}

/* The mean of those pixels around (y, x) whose colour is like its own: Lee's sigma filter (1983).
 */
static void average(const struct lab *from, struct lab *to, int32_t y, int32_t x)
{
    int32_t y0 = y > REACH ? y - REACH : 0, x0 = x > REACH ? x - REACH : 0;
    int32_t y1 = y + REACH < from->height ? y + REACH : from->height - 1;
    int32_t x1 = x + REACH < from->width ? x + REACH : from->width - 1;
    int32_t here = y * from->width + x;
    float sum_l = 0, sum_a = 0, sum_b = 0, count = 0;
    for (int32_t v = y0; v <= y1; v++)
        for (int32_t i = v * from->width + x0; i <= v * from->width + x1; i++) {
            float l = from->l[i] - from->l[here], a = from->a[i] - from->a[here];
            float b = from->b[i] - from->b[here];
            float alike = l * l + a * a + b * b <= ALIKE * ALIKE ? 1.0f : 0.0f;
            sum_l += alike * l;
            sum_a += alike * a;
            sum_b += alike * b;
            count += alike;
        }
    to->l[here] = from->l[here] + sum_l / count;
    to->a[here] = from->a[here] + sum_a / count;
    to->b[here] = from->b[here] + sum_b / count;
}

int lab_smooth(struct lab *lab, struct cr_error *err)
{
    struct lab result;
    int status = lab_allocate(&result, lab->height, lab->width, err);
    if (status < 0)
        return status;
    /* The block of the result lends two rows until it is written. */
    float *planes[] = {lab->l, lab->a, lab->b};
    for (int k = 0; k < 3; k++)
        take_medians(planes[k], lab->height, lab->width, result.l);
    for (int32_t y = 0; y < lab->height; y++)
        for (int32_t x = 0; x < lab->width; x++)
            average(lab, &result, y, x);
    lab_finish(lab);
    *lab = result;
    return 0;
}
