/* SPDX-License-Identifier: MIT */
/* Convolution, resizing and deformable attention. */
#include <string.h>

#include "shaders.h"
#include "vulkan.h"

#define THREADS 64 /* of a group, where each invocation works for itself */

static uint64_t divide_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step;
}

/* ---- conv2d ---- */

#define TILE 64 /* channels and places of a group, as in shaders/conv2d_tile.comp */
#define TILE_THREADS 128
#define TILE_LEAST 16 /* with fewer channels or places most of a tile would be empty */

struct tile_arguments {
    uint64_t x, w, bias, y;
    uint32_t channels, height, width;
    uint32_t outputs, out_width, places;
    uint32_t k, count;
    uint32_t stride_y, stride_x, padding_y, padding_x;
};

struct direct_arguments {
    uint64_t x, w, bias, y;
    uint32_t channels, height, width;
    uint32_t outputs, out_height, out_width;
    uint32_t kernel_h, kernel_w, count;
    uint32_t stride_y, stride_x, padding_y, padding_x;
};

static const struct vk_variant large_variants[] = {
    {"tile", VK_NEEDS(TILE)},
    {"direct", 0},
    {NULL, 0},
};
static const struct vk_variant small_variants[] = {
    {"direct", 0},
    {NULL, 0},
};

static const struct vk_variant *pick_conv2d(const struct vk *vk, const struct cr_call *call)
{
    const int64_t *y = call->out[0].shape;
    bool large = y[1] >= TILE_LEAST && y[0] * y[2] * y[3] >= TILE_LEAST;
    return vk_pick(vk, large ? large_variants : small_variants);
}

/* KIND_* of shaders/include/loads.glsl, for rows of K weights. */
static uint32_t kind_of_weights(const struct vk *vk, const struct cr_operand *w)
{
    bool half = w->dtype == CR_DTYPE_F16;
    int64_t k = w->shape[1] * w->shape[2] * w->shape[3];
    bool wide = vk_has(vk, VK_FEATURE_WIDE) && vk_address(w) % 16 == 0 && k % 4 == 0;
    return (half ? 1 : 0) + (wide ? 2 : 0);
}

static void begin_tile(const struct vk *vk, const struct cr_call *call, struct vk_dispatch *d)
{
    const struct cr_operand *in = call->in;
    const int64_t *x = in[0].shape, *w = in[1].shape, *y = call->out[0].shape, *ints = call->ints;
    const struct tile_arguments args = {
        .x = vk_address(&in[0]),
        .w = vk_address(&in[1]),
        .bias = vk_address(&in[2]),
        .y = vk_address(&call->out[0]),
        .channels = (uint32_t)x[1],
        .height = (uint32_t)x[2],
        .width = (uint32_t)x[3],
        .outputs = (uint32_t)y[1],
        .out_width = (uint32_t)y[3],
        .places = (uint32_t)(y[2] * y[3]),
        .k = (uint32_t)(w[1] * w[2] * w[3]),
        .count = (uint32_t)(y[0] * y[2] * y[3]),
        .stride_y = (uint32_t)ints[0],
        .stride_x = (uint32_t)ints[1],
        .padding_y = (uint32_t)ints[2],
        .padding_x = (uint32_t)ints[3],
    };
    vk_begin(d, &vk_shader_conv2d_tile, TILE_THREADS);
    vk_spec(d, kind_of_weights(vk, &in[1]));
    vk_spec(d, (uint32_t)w[2]);
    vk_spec(d, (uint32_t)w[3]);
    vk_spec(d, ints[1] >= w[3] && w[3] > 1);
    vk_spec(d, ints[2] != 0 || ints[3] != 0);
    vk_push(d, &args, sizeof(args));
    d->groups = divide_up(args.outputs, TILE) * divide_up(args.count, TILE);
}

static void begin_direct(const struct vk *vk, const struct cr_call *call, struct vk_dispatch *d)
{
    const struct cr_operand *in = call->in;
    const int64_t *x = in[0].shape, *w = in[1].shape, *y = call->out[0].shape, *ints = call->ints;
    const struct direct_arguments args = {
        .x = vk_address(&in[0]),
        .w = vk_address(&in[1]),
        .bias = vk_address(&in[2]),
        .y = vk_address(&call->out[0]),
        .channels = (uint32_t)x[1],
        .height = (uint32_t)x[2],
        .width = (uint32_t)x[3],
        .outputs = (uint32_t)y[1],
        .out_height = (uint32_t)y[2],
        .out_width = (uint32_t)y[3],
        .kernel_h = (uint32_t)w[2],
        .kernel_w = (uint32_t)w[3],
        .count = (uint32_t)vk_elements(&call->out[0]),
        .stride_y = (uint32_t)ints[0],
        .stride_x = (uint32_t)ints[1],
        .padding_y = (uint32_t)ints[2],
        .padding_x = (uint32_t)ints[3],
    };
    (void)vk;
    vk_begin(d, &vk_shader_conv2d_direct, THREADS);
    vk_spec(d, in[1].dtype == CR_DTYPE_F16);
    vk_push(d, &args, sizeof(args));
    d->groups = divide_up(args.count, THREADS);
}

static int conv2d(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const int64_t *w = call->in[1].shape;
    const double count = (double)vk_elements(&call->out[0]);
    struct vk_dispatch d;
    if (count == 0)
        return 0;
    if (pick_conv2d(vk, call)->needs != 0)
        begin_tile(vk, call, &d);
    else
        begin_direct(vk, call, &d);
    for (int i = 0; i < 3; i++)
        vk_reads(&d, &call->in[i]);
    vk_writes(&d, &call->out[0]);
    d.bytes = 4 * (count + (double)vk_elements(&call->in[0])) +
              (call->in[1].dtype == CR_DTYPE_F16 ? 2 : 4) * (double)vk_elements(&call->in[1]);
    d.operations = 2 * count * (double)(w[1] * w[2] * w[3]);
    return vk_dispatch(vk, &d, err);
}

static const char *conv2d_variant(const struct vk *vk, const struct cr_call *call)
{
    return pick_conv2d(vk, call)->name;
}

/* ---- resize ---- */

#define PLANES 8 /* of an invocation, as in shaders/resize.comp */

struct resize_arguments {
    uint64_t x, y;
    uint32_t height, width, out_height, out_width, planes, count;
};

/* Does the arithmetic that finds places along an axis go beyond 32 bits? */
static bool large(int64_t from, int64_t to)
{
    return 2 * (from + 1) * to > UINT32_MAX;
}

static int resize(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    static const double taps[] = {1, 4, 16};
    const int64_t *x = call->in[0].shape, *y = call->out[0].shape;
    const double count = (double)vk_elements(&call->out[0]);
    struct vk_dispatch d;
    const struct resize_arguments args = {
        .x = vk_address(&call->in[0]),
        .y = vk_address(&call->out[0]),
        .height = (uint32_t)x[2],
        .width = (uint32_t)x[3],
        .out_height = (uint32_t)y[2],
        .out_width = (uint32_t)y[3],
        .planes = (uint32_t)(y[0] * y[1]),
        .count = (uint32_t)(y[2] * y[3]) * (uint32_t)divide_up((uint64_t)(y[0] * y[1]), PLANES),
    };
    if (count == 0)
        return 0;
    vk_begin(&d, &vk_shader_resize, THREADS);
    vk_spec(&d, (uint32_t)call->ints[0]);
    vk_spec(&d, large(x[2], y[2]) || large(x[3], y[3]));
    vk_push(&d, &args, sizeof(args));
    vk_reads(&d, &call->in[0]);
    vk_writes(&d, &call->out[0]);
    d.groups = divide_up(args.count, THREADS);
    d.bytes = 4 * (count + (double)vk_elements(&call->in[0]));
    d.operations = 2 * taps[call->ints[0]] * count + 60.0 * args.count;
    return vk_dispatch(vk, &d, err);
}

/* ---- ms_deform_attn ---- */

#define MAX_LEVELS 8

struct deform_arguments {
    uint64_t value, locations, weights, y;
    uint32_t rows, queries, cells, heads, d, levels, points;
    uint32_t sizes[2 * MAX_LEVELS];
};

static const struct vk_variant deform_variants[] = {
    {"wide", VK_NEEDS(WIDE)},
    {"plain", 0},
    {NULL, 0},
};
static const struct vk_variant narrow_variants[] = {
    {"plain", 0},
    {NULL, 0},
};

static const struct vk_variant *pick_deform(const struct vk *vk, const struct cr_call *call)
{
    const struct cr_operand *value = &call->in[0];
    bool wide = vk_last(value) % 4 == 0 && vk_address(value) % 16 == 0 &&
                vk_address(&call->out[0]) % 16 == 0;
    return vk_pick(vk, wide ? deform_variants : narrow_variants);
}

static int ms_deform_attn(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *in = call->in;
    const int64_t *value = in[0].shape;
    const uint32_t width = pick_deform(vk, call)->needs != 0 ? 4 : 1;
    struct vk_dispatch d;
    struct deform_arguments args = {
        .value = vk_address(&in[0]),
        .locations = vk_address(&in[1]),
        .weights = vk_address(&in[2]),
        .y = vk_address(&call->out[0]),
        .rows = (uint32_t)in[2].shape[0],
        .queries = (uint32_t)call->out[0].shape[1],
        .cells = (uint32_t)value[1],
        .heads = (uint32_t)value[2],
        .d = (uint32_t)value[3],
        .levels = (uint32_t)call->ints[0],
        .points = (uint32_t)call->ints[1],
    };
    const double count = (double)vk_elements(&call->out[0]);
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < 2 * args.levels; i++)
        args.sizes[i] = (uint32_t)call->ints[2 + i];
    vk_begin(&d, &vk_shader_ms_deform_attn, THREADS);
    vk_spec(&d, width);
    vk_push(&d, &args, sizeof(args));
    for (int i = 0; i < 3; i++)
        vk_reads(&d, &in[i]);
    vk_writes(&d, &call->out[0]);
    d.groups = divide_up((uint64_t)count / width, THREADS);
    d.bytes = 4 * count;
    for (int i = 0; i < 3; i++)
        d.bytes += 4 * (double)vk_elements(&in[i]);
    d.operations = 8 * count * args.levels * args.points;
    return vk_dispatch(vk, &d, err);
}

static const char *deform_variant(const struct vk *vk, const struct cr_call *call)
{
    return pick_deform(vk, call)->name;
}

static const struct vk_entry entries[] = {
    {CR_OP_CONV2D, conv2d, conv2d_variant},
    {CR_OP_RESIZE, resize, NULL},
    {CR_OP_MS_DEFORM_ATTN, ms_deform_attn, deform_variant},
    {0, NULL, NULL},
};
static const struct vk_variant *const variants[] = {large_variants, deform_variants, NULL};

const struct vk_family vk_picture_family = {entries, variants};
