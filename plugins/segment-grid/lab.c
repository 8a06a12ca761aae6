/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>
#include <math.h>

#include "regions.h"

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

int lab_create(struct lab *lab, const struct cr_image *image, struct cr_error *err)
{
    struct cr_size size = cr_image_size(image);
    size_t pixels = (size_t)size.height * (size_t)size.width;
    *lab = (struct lab){.height = size.height, .width = size.width};
    lab->l = cr_calloc(pixels, 3 * sizeof(float));
    if (lab->l == NULL)
        return cr_fail_memory(err, pixels * 3 * sizeof(float));
    lab->a = lab->l + pixels;
    lab->b = lab->a + pixels;
    convert(lab, cr_image_pixels(image));
    return 0;
}

void lab_finish(struct lab *lab)
{
    cr_free(lab->l);
    *lab = (struct lab){0};
}

/* The Gaussian at 0, 1 and 2 pixels, for a sum of 1. */
static const float weights[3] = {0.4994f, 0.2287f, 0.0216f};

/* Along `count` values that lie `stride` apart; beyond the ends the last value goes on. */
static void smooth_line(float *values, size_t stride, int32_t count, float *line)
{
    for (int32_t i = 0; i < count; i++)
        line[i + 2] = values[(size_t)i * stride];
    line[0] = line[1] = line[2];
    line[count + 2] = line[count + 3] = line[count + 1];
    for (int32_t i = 0; i < count; i++) {
        const float *at = line + i + 2;
        values[(size_t)i * stride] =
            weights[0] * at[0] + weights[1] * (at[-1] + at[1]) + weights[2] * (at[-2] + at[2]);
    }
}

int lab_smooth(struct lab *lab, struct cr_error *err)
{
    int32_t longest = lab->height > lab->width ? lab->height : lab->width;
    float *line = cr_calloc((size_t)longest + 4, sizeof(*line));
    if (line == NULL)
        return cr_fail_memory(err, ((size_t)longest + 4) * sizeof(*line));
    size_t width = (size_t)lab->width;
    float *planes[] = {lab->l, lab->a, lab->b};
    for (int k = 0; k < 3; k++) {
        for (int32_t y = 0; y < lab->height; y++)
            smooth_line(planes[k] + (size_t)y * width, 1, lab->width, line);
        for (int32_t x = 0; x < lab->width; x++)
            smooth_line(planes[k] + x, width, lab->height, line);
    }
    cr_free(line);
    return 0;
}
