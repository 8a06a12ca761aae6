/* SPDX-License-Identifier: MIT */
/* Colours are adjusted in OKLCH (lightness, chroma, hue of the OKLab space, Ottosson 2020), where
 * equal steps look equal. */
#include "palette.h"

#include <crayon/panoptic.h>
#include <math.h>

#define TURN 6.28318530717958647692
#define GOLDEN_TURN (TURN * 0.61803398874989484820)

struct lch {
    double lightness, chroma, hue;
};

static double to_linear(uint8_t value)
{
    double v = value / 255.0;
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static double to_display(double v)
{
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static struct lch lch_from_rgb(const uint8_t color[3])
{
    double r = to_linear(color[0]), g = to_linear(color[1]), b = to_linear(color[2]);
    double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    double lightness = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
    double u = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s;
    double v = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s;
    return (struct lch){lightness, sqrt(u * u + v * v), atan2(v, u)};
}

static void linear_from_lch(struct lch color, double rgb[3])
{
    double u = color.chroma * cos(color.hue), v = color.chroma * sin(color.hue);
    double l = color.lightness + 0.3963377774 * u + 0.2158037573 * v;
    double m = color.lightness - 0.1055613458 * u - 0.0638541728 * v;
    double s = color.lightness - 0.0894841775 * u - 1.2914855480 * v;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

/* The nearest colour that a screen can show: chroma gives way, lightness and hue stay. */
static void rgb_from_lch(struct lch color, uint8_t out[3])
{
    double rgb[3];
    for (int i = 0; i < 24; i++) {
        linear_from_lch(color, rgb);
        if (fmin(fmin(rgb[0], rgb[1]), rgb[2]) >= -0.0005 &&
            fmax(fmax(rgb[0], rgb[1]), rgb[2]) <= 1.0005)
            break;
        color.chroma *= 0.93;
    }
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)(to_display(fmin(fmax(rgb[i], 0), 1)) * 255 + 0.5);
}

static double between(double low, double high, double value)
{
    return fmin(fmax(value, low), high);
}

void palette_color(int32_t label, int32_t nth, uint8_t color[3])
{
    /* Steps of the plastic number, which spread any count of points evenly over a square. */
    double u = fmod(0.5 + nth * 0.75487766624669, 1), v = fmod(0.5 + nth * 0.56984029099805, 1);
    const struct cr_category *category = cr_coco_category(label);
    struct lch base = {0.74 + 0.07 * cos(nth * 2.1), 0.125, nth * GOLDEN_TURN + 0.6};
    if (category != NULL) {
        base = lch_from_rgb(category->color);
        bool grey = base.chroma < 0.03;
        if (category->thing)
            base = (struct lch){between(0.60, 0.80, base.lightness),
                                between(0.14, 0.21, base.chroma), base.hue};
        else
            base = (struct lch){between(0.56, 0.78, base.lightness),
                                grey ? base.chroma : between(0.06, 0.11, base.chroma), base.hue};
        base.lightness = between(0.5, 0.88, base.lightness + 0.26 * (u - 0.5));
        base.hue += 0.8 * (v - 0.5);
    }
    rgb_from_lch(base, color);
}

bool palette_is_light(const uint8_t color[3])
{
    double luminance =
        0.2126 * to_linear(color[0]) + 0.7152 * to_linear(color[1]) + 0.0722 * to_linear(color[2]);
    /* Contrast as WCAG 2 defines it, (a + 0.05) / (b + 0.05), is equal here. */
    return luminance > 0.1791;
}
