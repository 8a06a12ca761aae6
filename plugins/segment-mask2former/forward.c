/* SPDX-License-Identifier: MIT */
/* The network as a whole: groups of pictures through its three parts. */
#include <crayon/memory.h>

#include "network.h"

/* ---- What the parts share ---- */

struct cr_tensor *apply_linear(struct cr_chain *c, const struct linear *linear,
                               const struct cr_tensor *x)
{
    return CR_DO(c, cr_op_linear, x, linear->w, linear->b);
}

struct cr_tensor *apply_norm(struct cr_chain *c, const struct norm *norm, const struct cr_tensor *x,
                             float epsilon)
{
    return CR_DO(c, cr_op_layer_norm, x, norm->w, norm->b, epsilon);
}

struct cr_tensor *apply_perceptron(struct cr_chain *c, const struct linear *fc1,
                                   const struct linear *fc2, enum cr_activation activation,
                                   const struct cr_tensor *x, const struct cr_tensor *y)
{
    y = CR_DO(c, cr_op_linear_fused, y, fc1->w, fc1->b,
              &(struct cr_linear_extra){.activation = activation});
    return CR_DO(c, cr_op_linear_fused, y, fc2->w, fc2->b,
                 &(struct cr_linear_extra){.residual = x});
}

void steps_next(struct steps *steps, struct cr_chain *c)
{
    steps->done++;
    if (steps->context == NULL)
        return;
    cr_context_progress(steps->context, (double)steps->done / (double)steps->count);
    if (c->result == 0 && cr_context_cancelled(steps->context))
        c->result = cr_fail(c->err, CR_ERR_CANCELLED, "cancelled");
}

/* ---- Groups ---- */

/* A group is as large as its largest tensor may be: 1 GiB; tests have other limits. */
#ifndef GROUP_NUMBERS
#define GROUP_NUMBERS (INT64_C(1) << 28)
#endif

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Numbers in the largest tensor that one picture needs. */
static int64_t find_largest(const struct mask2former_config *config, struct cr_size pixels)
{
    const struct swin_config *swin = &config->swin;
    int64_t height = ((int64_t)pixels.height + SWIN_PATCH - 1) / SWIN_PATCH;
    int64_t width = ((int64_t)pixels.width + SWIN_PATCH - 1) / SWIN_PATCH;
    int64_t largest =
        height * width *
        larger(larger(config->queries, 3 * SWIN_PATCH * SWIN_PATCH), /* of the pixels themselves */
               larger(config->width, config->mask_width));
    for (int i = 0; i < SWIN_STAGES; i++, height = (height + 1) / 2, width = (width + 1) / 2) {
        const int64_t channels = swin->width << i, side = swin->window;
        const int64_t inner = (int64_t)(swin->mlp_ratio * (double)channels);
        const int64_t windows = ((height + side - 1) / side) * ((width + side - 1) / side);
        largest = larger(largest, (height * width + 1) * larger(inner, 3 * channels));
        largest = larger(largest, windows * side * side * channels);
        if (i > 0) /* all levels of the pixel decoder have less than twice the tokens of this one */
            largest = larger(
                largest, 2 * height * width *
                             larger(config->encoder_inner, 2 * config->heads * LEVELS * POINTS));
    }
    return largest;
}

/* Rows `start`.. of the leading extent. */
static struct cr_tensor *take_items(struct cr_chain *c, const struct cr_tensor *x, int64_t start,
                                    int64_t count)
{
    int64_t from[CR_TENSOR_MAX_RANK] = {start}, extent[CR_TENSOR_MAX_RANK] = {count};
    if (count == cr_tensor_extent(x, 0))
        return CR_DO(c, cr_op_reshape, x, 4,
                     (int64_t[]){count, cr_tensor_extent(x, 1), cr_tensor_extent(x, 2),
                                 cr_tensor_extent(x, 3)});
    for (int i = 1; i < 4; i++)
        extent[i] = cr_tensor_extent(x, i);
    return CR_DO(c, cr_op_slice, x, from, extent);
}

/* Put the results of a group where those of all pictures are; `*all` is made by the first group. A
 * group of all pictures is the result. */
static int put_items(struct cr_tensor **all, struct cr_tensor **part, int64_t start, int64_t items,
                     struct cr_error *err)
{
    const int64_t count = cr_tensor_extent(*part, 0);
    const int rank = cr_tensor_rank(*part);
    int64_t shape[CR_TENSOR_MAX_RANK] = {items};
    if (count == items) {
        *all = *part;
        *part = NULL;
        return 0;
    }
    for (int i = 1; i < rank; i++)
        shape[i] = cr_tensor_extent(*part, i);
    struct cr_device *device = cr_tensor_device(*part);
    struct cr_tensor *rows = NULL;
    int32_t *list = cr_malloc((size_t)count * sizeof(*list));
    int result = list == NULL ? cr_fail_memory(err, (size_t)count * sizeof(*list)) : 0;
    for (int64_t i = 0; i < count && result == 0; i++)
        list[i] = (int32_t)(start + i);
    if (result == 0 && *all == NULL)
        result = cr_tensor_upload(all, device, CR_DTYPE_F32, rank, shape, NULL, err);
    if (result == 0)
        result = cr_tensor_upload(&rows, device, CR_DTYPE_I32, 1, &count, list, err);
    if (result == 0)
        result = cr_op_scatter_rows(*all, rows, *part, err);
    cr_tensor_unref(&rows);
    cr_tensor_unref(part);
    cr_free(list);
    return result;
}

static int run_group(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                     struct mask2former *network, const struct cr_tensor *pixels,
                     struct steps *steps, struct cr_error *err)
{
    const struct cr_size size = {(int32_t)cr_tensor_extent(pixels, 2),
                                 (int32_t)cr_tensor_extent(pixels, 3)};
    struct cr_tensor *maps[SWIN_STAGES] = {NULL};
    struct pixel_features features = {.mask = NULL};
    int result = mask2former_tables_use(network, cr_tensor_device(pixels),
                                        cr_tensor_extent(pixels, 0), size, err);
    if (result == 0)
        result = swin_forward(maps, network, pixels, steps, err);
    if (result == 0)
        result = pixel_decoder_forward(&features, network, maps, steps, err);
    for (int i = 0; i < SWIN_STAGES; i++)
        cr_tensor_unref(&maps[i]);
    if (result == 0)
        result = decoder_forward(class_logits, mask_logits, network, &features, steps, err);
    pixel_features_finish(&features);
    return result;
}

/* ---- All ---- */

static int check_pixels(const struct mask2former *network, const struct cr_tensor *pixels,
                        int64_t *largest, struct cr_error *err)
{
    bool right = cr_tensor_dtype(pixels) == CR_DTYPE_F32 && cr_tensor_rank(pixels) == 4 &&
                 cr_tensor_extent(pixels, 0) >= 1 && cr_tensor_extent(pixels, 1) == 3;
    for (int i = 2; i < 4 && right; i++)
        right = cr_tensor_extent(pixels, i) >= 1 && cr_tensor_extent(pixels, i) <= 65535;
    if (!right)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "pixels must be f32 [B, 3, height, width] with sides of 1..65535");
    const struct cr_size size = {(int32_t)cr_tensor_extent(pixels, 2),
                                 (int32_t)cr_tensor_extent(pixels, 3)};
    *largest = find_largest(&network->config, size);
    if (*largest <= INT32_MAX)
        return 0;
    return cr_fail(err, CR_ERR_LIMIT,
                   "pictures of %d x %d pixels need a tensor of %lld numbers: %d at most; make "
                   "them smaller with \"input_size\"",
                   size.height, size.width, (long long)*largest, INT32_MAX);
}

static int64_t count_steps(const struct mask2former_config *config)
{
    int64_t count = config->encoder_layers + config->decoder_layers;
    for (int i = 0; i < SWIN_STAGES; i++)
        count += config->swin.depths[i];
    return count;
}

int mask2former_forward(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                        struct mask2former *network, const struct cr_tensor *pixels,
                        struct cr_context *context, struct cr_error *err)
{
    int64_t largest = 0;
    *class_logits = *mask_logits = NULL;
    int result = check_pixels(network, pixels, &largest, err);
    if (result < 0)
        return result;
    const int64_t items = cr_tensor_extent(pixels, 0), most = larger(1, GROUP_NUMBERS / largest);
    const int64_t groups = (items + most - 1) / most;
    struct steps steps = {.context = context, .count = groups * count_steps(&network->config)};
    for (int64_t i = 0; i < groups && result == 0; i++) {
        const int64_t start = items * i / groups, end = items * (i + 1) / groups;
        struct cr_tensor *classes = NULL, *masks = NULL;
        struct cr_chain c = CR_CHAIN_INIT(err);
        const struct cr_tensor *part = take_items(&c, pixels, start, end - start);
        result = c.result < 0 ? c.result : run_group(&classes, &masks, network, part, &steps, err);
        if (result == 0)
            result = put_items(class_logits, &classes, start, items, err);
        if (result == 0)
            result = put_items(mask_logits, &masks, start, items, err);
        cr_tensor_unref(&classes);
        cr_tensor_unref(&masks);
        (void)cr_chain_finish(&c);
    }
    if (result < 0) {
        cr_tensor_unref(class_logits);
        cr_tensor_unref(mask_logits);
    }
    return result;
}
