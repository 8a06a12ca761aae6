/* SPDX-License-Identifier: MIT */
/* segments.c: from logits to a panoptic map, by the rules of Mask2Former's post-processing in
 * Hugging Face's transformers. What is heavy runs on the device, in bands of rows, so that memory
 * does not grow with the picture; a row comes out the same in whatever band it is. */
#include <math.h>
#include <string.h>

#include "mask2former.h"

/* Masks are brought to this side first, whatever the size of the network's input was. */
#define MASK_SIDE 384
/* Numbers in one band: rows x width x masks. */
#define BAND_NUMBERS (4 << 20)

/* ---- Classes of queries ---- */

static int check_class_logits(const struct cr_tensor *logits, struct cr_error *err)
{
    if (cr_tensor_dtype(logits) == CR_DTYPE_F32 && cr_tensor_rank(logits) == 3 &&
        cr_tensor_extent(logits, 1) >= 1 && cr_tensor_extent(logits, 2) >= 2)
        return 0;
    return cr_fail(err, CR_ERR_ARGUMENT,
                   "class_logits must be f32 [B, queries, classes + 1], not %s of rank %d",
                   cr_dtype_name(cr_tensor_dtype(logits)), cr_tensor_rank(logits));
}

/* The largest softmax of each row, and where it is; the first on ties. */
static int find_largest(struct query_classes *out, const struct cr_tensor *logits, size_t count,
                        struct cr_error *err)
{
    struct cr_tensor *shares = NULL, *values = NULL, *indices = NULL;
    int result = cr_op_reduce(&shares, CR_OP_SOFTMAX, logits, err);
    if (result == 0)
        result = cr_op_topk(&values, &indices, shares, 1, err);
    if (result == 0)
        result = cr_tensor_read(values, out->scores, count * sizeof(*out->scores), err);
    if (result == 0)
        result = cr_tensor_read(indices, out->classes, count * sizeof(*out->classes), err);
    cr_tensor_unref(&shares);
    cr_tensor_unref(&values);
    cr_tensor_unref(&indices);
    return result;
}

int query_classes_read(struct query_classes *out, const struct cr_tensor *class_logits,
                       struct cr_context *context, struct cr_error *err)
{
    int result = check_class_logits(class_logits, err);
    if (result < 0)
        return result;
    const size_t count =
        (size_t)cr_tensor_extent(class_logits, 0) * (size_t)cr_tensor_extent(class_logits, 1);
    *out = (struct query_classes){.queries = cr_tensor_extent(class_logits, 1),
                                  .none = (int32_t)cr_tensor_extent(class_logits, 2) - 1};
    out->scores = cr_context_scratch(context, count * sizeof(*out->scores), err);
    out->classes = cr_context_scratch(context, count * sizeof(*out->classes), err);
    if (out->scores == NULL || out->classes == NULL)
        return CR_ERR_MEMORY;
    return find_largest(out, class_logits, count, err);
}

/* ---- Candidates ---- */

static int check_mask_logits(const struct cr_tensor *logits, const struct query_classes *queries,
                             struct cr_error *err)
{
    if (cr_tensor_dtype(logits) != CR_DTYPE_F32 || cr_tensor_rank(logits) != 4 ||
        cr_tensor_extent(logits, 2) < 1 || cr_tensor_extent(logits, 3) < 1)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "mask_logits must be f32 [B, queries, height, width], not %s of rank %d",
                       cr_dtype_name(cr_tensor_dtype(logits)), cr_tensor_rank(logits));
    if (cr_tensor_extent(logits, 1) != queries->queries)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "mask_logits have %lld queries and class_logits %lld; they must agree",
                       (long long)cr_tensor_extent(logits, 1), (long long)queries->queries);
    return 0;
}

/* Scores and thresholds meet as f32, as they do in the reference. */
static void keep_good(struct candidates *out, int32_t *rows, const struct query_classes *queries,
                      size_t item, double threshold)
{
    const int64_t first = (int64_t)item * queries->queries;
    for (int64_t i = first; i < first + queries->queries; i++) {
        if (queries->classes[i] == queries->none || !(queries->scores[i] > (float)threshold))
            continue;
        out->scores[out->count] = queries->scores[i];
        out->classes[out->count] = queries->classes[i];
        rows[out->count++] = (int32_t)i;
    }
}

/* The masks of these rows of [B Q, h, w], resized: [384, K, 384]. */
static int make_masks(struct candidates *out, const struct cr_tensor *mask_logits,
                      const int32_t *rows, struct cr_device *device, struct cr_error *err)
{
    const int64_t k = out->count, h = cr_tensor_extent(mask_logits, 2);
    const int64_t w = cr_tensor_extent(mask_logits, 3);
    const int64_t all = cr_tensor_extent(mask_logits, 0) * cr_tensor_extent(mask_logits, 1);
    const struct cr_size side = {MASK_SIDE, MASK_SIDE};
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *scores =
        CR_DO(&c, cr_tensor_upload, device, CR_DTYPE_F32, 2, (int64_t[]){k, 1}, out->scores);
    struct cr_tensor *index =
        CR_DO(&c, cr_tensor_upload, device, CR_DTYPE_I32, 1, (int64_t[]){k}, rows);
    struct cr_tensor *x = CR_DO(&c, cr_op_reshape, mask_logits, 3, (int64_t[]){all, h, w});
    x = CR_DO(&c, cr_op_gather_rows, x, index);
    x = CR_DO(&c, cr_op_reshape, x, 4, (int64_t[]){1, k, h, w});
    x = CR_DO(&c, cr_op_resize, x, side, CR_INTERPOLATION_BILINEAR);
    x = CR_DO(&c, cr_op_unary, CR_OP_SIGMOID, x);
    x = CR_DO(&c, cr_op_reshape, x, 3, (int64_t[]){k, MASK_SIDE, MASK_SIDE});
    x = CR_DO(&c, cr_op_permute, x, (int[]){1, 0, 2});
    if (c.result == 0) {
        out->masks = cr_chain_take(&c, x);
        out->score_list = cr_chain_take(&c, scores);
    }
    return cr_chain_finish(&c);
}

int candidates_find(struct candidates *out, const struct query_classes *queries,
                    const struct cr_tensor *mask_logits, size_t item,
                    const struct segment_rules *rules, struct cr_context *context,
                    struct cr_error *err)
{
    const size_t q = (size_t)queries->queries;
    *out = (struct candidates){.count = 0};
    int result = check_mask_logits(mask_logits, queries, err);
    if (result < 0)
        return result;
    int32_t *rows = cr_context_scratch(context, q * sizeof(*rows), err);
    out->scores = cr_context_scratch(context, q * sizeof(*out->scores), err);
    out->classes = cr_context_scratch(context, q * sizeof(*out->classes), err);
    if (rows == NULL || out->scores == NULL || out->classes == NULL)
        return CR_ERR_MEMORY;
    keep_good(out, rows, queries, item, rules->threshold);
    return out->count > 0 ? make_masks(out, mask_logits, rows, cr_tensor_device(mask_logits), err)
                          : 0;
}

void candidates_finish(struct candidates *candidates)
{
    cr_tensor_unref(&candidates->masks);
    cr_tensor_unref(&candidates->score_list);
}

/* ---- Bands ---- */

/* Rows of a map, made from a few rows of the masks. */
struct band {
    int32_t first, rows;
    int32_t *above, *below; /* [rows]: which two of `used` a row lies between, */
    float *upper, *lower;   /* and what each of them counts */
    int32_t *used;          /* rows of the masks, ascending */
    int32_t used_count;
};

/* Rows are asked for in ascending order, but for the last one but one. */
static int32_t use_row(struct band *band, int32_t row)
{
    int32_t at = band->used_count - 1;
    while (at >= 0 && band->used[at] > row)
        at--;
    if (at < 0 || band->used[at] < row)
        band->used[at = band->used_count++] = row;
    return at;
}

/* Bilinear, align_corners false, as the reference weighs. */
static void fill_band(struct band *band, int32_t height)
{
    band->used_count = 0;
    for (int32_t i = 0; i < band->rows; i++) {
        double at = ((double)(band->first + i) + 0.5) * MASK_SIDE / height - 0.5;
        at = at < 0 ? 0 : at;
        const int32_t row = (int32_t)at;
        band->lower[i] = (float)(at - row);
        band->upper[i] = 1 - band->lower[i];
        band->above[i] = use_row(band, row);
        band->below[i] = use_row(band, row + 1 < MASK_SIDE ? row + 1 : row);
    }
}

/* What a map is drawn with; memory of the run. */
struct drawing {
    const struct candidates *candidates;
    struct cr_device *device;
    struct cr_size size;
    float mask_threshold;
    struct band band;
    float *counts;      /* [K], of one band */
    int64_t *areas;     /* [K]: pixels where it is the largest, */
    int64_t *originals; /* and pixels where score x mask reaches the threshold */
    int32_t *ids;       /* [K]: of the segment that it becomes; 0: none */
};

static struct cr_tensor *upload(struct cr_chain *c, const struct drawing *drawing,
                                enum cr_dtype dtype, int64_t count, const void *data)
{
    return CR_DO(c, cr_tensor_upload, drawing->device, dtype, 1, &count, data);
}

/* Rows `index` of x [..., K, W], each counted `weight`. */
static struct cr_tensor *weigh_rows(struct cr_chain *c, const struct drawing *drawing,
                                    const struct cr_tensor *x, const int32_t *index,
                                    const float *weights)
{
    const int64_t rows = drawing->band.rows;
    struct cr_tensor *list = upload(c, drawing, CR_DTYPE_I32, rows, index);
    struct cr_tensor *y = CR_DO(c, cr_op_gather_rows, x, list);
    struct cr_tensor *weight = upload(c, drawing, CR_DTYPE_F32, rows, weights);
    weight = CR_DO(c, cr_op_reshape, weight, 3, (int64_t[]){rows, 1, 1});
    return CR_DO(c, cr_op_mul, y, weight);
}

/* score x mask of the band's pixels: [rows, K, W]. Along the rows first, then between them, each
 * step an operation of its own: no neighbour of a row can change its bits. */
static struct cr_tensor *weigh_masks(struct cr_chain *c, const struct drawing *drawing)
{
    const struct band *band = &drawing->band;
    const int64_t k = drawing->candidates->count, w = drawing->size.width, u = band->used_count;
    const struct cr_size size = {(int32_t)k, (int32_t)w};
    struct cr_tensor *used = upload(c, drawing, CR_DTYPE_I32, u, band->used);
    struct cr_tensor *x = CR_DO(c, cr_op_gather_rows, drawing->candidates->masks, used);
    x = CR_DO(c, cr_op_reshape, x, 4, (int64_t[]){1, u, k, MASK_SIDE});
    x = CR_DO(c, cr_op_resize, x, size, CR_INTERPOLATION_BILINEAR);
    x = CR_DO(c, cr_op_reshape, x, 3, (int64_t[]){u, k, w});
    struct cr_tensor *y = weigh_rows(c, drawing, x, band->above, band->upper);
    y = CR_DO(c, cr_op_add, y, weigh_rows(c, drawing, x, band->below, band->lower));
    return CR_DO(c, cr_op_mul, y, drawing->candidates->score_list);
}

/* The sum over rows and columns of x [rows, K, W]: [K, 1]. */
static struct cr_tensor *sum_pixels(struct cr_chain *c, const struct drawing *drawing,
                                    const struct cr_tensor *x)
{
    const int64_t rows = drawing->band.rows, k = drawing->candidates->count;
    struct cr_tensor *y = CR_DO(c, cr_op_reduce, CR_OP_SUM, x);
    y = CR_DO(c, cr_op_reshape, y, 2, (int64_t[]){rows, k});
    y = CR_DO(c, cr_op_permute, y, (int[]){1, 0});
    return CR_DO(c, cr_op_reduce, CR_OP_SUM, y);
}

/* For each mask, how many of x [rows, K, W], which are 1 at most, reach the threshold: [K, 1].
 * Exactly: a difference has the right sign, and `large` lifts whatever is not 0 above 1. */
static struct cr_tensor *count_reaching(struct cr_chain *c, const struct drawing *drawing,
                                        const struct cr_tensor *x)
{
    static const float large = 0x1p126f;
    const float threshold = drawing->mask_threshold * large, one = 1;
    struct cr_tensor *y = CR_DO(c, cr_op_scale, x, -large);
    y = CR_DO(c, cr_op_add, y, upload(c, drawing, CR_DTYPE_F32, 1, &threshold));
    y = CR_DO(c, cr_op_unary, CR_OP_RELU, y); /* 0 where x reaches it, else above 1 */
    y = CR_DO(c, cr_op_scale, y, -1);
    y = CR_DO(c, cr_op_add, y, upload(c, drawing, CR_DTYPE_F32, 1, &one));
    y = CR_DO(c, cr_op_unary, CR_OP_RELU, y);
    return sum_pixels(c, drawing, y);
}

/* The largest of each pixel of the band to `largest`, and what it adds to the areas. */
static int draw_band(struct drawing *drawing, int32_t *largest, struct cr_error *err)
{
    const size_t k = (size_t)drawing->candidates->count;
    const size_t pixels = (size_t)drawing->band.rows * (size_t)drawing->size.width;
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *x = cr_chain_release(&c, 0, weigh_masks(&c, drawing));
    struct cr_tensor *labels = CR_DO(&c, cr_op_permute, x, (int[]){0, 2, 1});
    labels = CR_DO(&c, cr_op_argmax, labels);
    struct cr_tensor *counts = count_reaching(&c, drawing, x);
    if (c.result == 0)
        c.result = cr_tensor_read(labels, largest, pixels * sizeof(*largest), err);
    if (c.result == 0)
        c.result = cr_tensor_read(counts, drawing->counts, k * sizeof(*drawing->counts), err);
    if (c.result == 0) {
        for (size_t i = 0; i < pixels; i++)
            drawing->areas[largest[i]]++;
        for (size_t i = 0; i < k; i++)
            drawing->originals[i] += (int64_t)drawing->counts[i];
    }
    return cr_chain_finish(&c);
}

static int draw(struct drawing *drawing, int32_t *largest, struct cr_context *context,
                struct cr_error *err)
{
    struct band *band = &drawing->band;
    const int32_t most = band->rows, width = drawing->size.width, height = drawing->size.height;
    int result = 0;
    for (band->first = 0; band->first < height && result == 0; band->first += most) {
        band->rows = height - band->first < most ? height - band->first : most;
        fill_band(band, height);
        if (cr_context_cancelled(context))
            result = cr_fail(err, CR_ERR_CANCELLED, "cancelled");
        else
            result = draw_band(drawing, largest + (size_t)band->first * (size_t)width, err);
    }
    return result;
}

static int drawing_init(struct drawing *drawing, const struct candidates *candidates,
                        struct cr_size size, const struct segment_rules *rules,
                        struct cr_context *context, struct cr_error *err)
{
    const size_t k = (size_t)candidates->count;
    int64_t rows = BAND_NUMBERS / ((int64_t)size.width * candidates->count);
    rows = rows < 1 ? 1 : rows < size.height ? rows : size.height;
    *drawing = (struct drawing){.candidates = candidates,
                                .device = cr_tensor_device(candidates->masks),
                                .size = size,
                                .mask_threshold = (float)rules->mask_threshold};
    struct band *band = &drawing->band;
    band->rows = (int32_t)rows;
    const size_t bytes = (size_t)rows * sizeof(int32_t);
    if ((band->above = cr_context_scratch(context, bytes, err)) == NULL ||
        (band->below = cr_context_scratch(context, bytes, err)) == NULL ||
        (band->upper = cr_context_scratch(context, bytes, err)) == NULL ||
        (band->lower = cr_context_scratch(context, bytes, err)) == NULL ||
        (band->used = cr_context_scratch(context, MASK_SIDE * sizeof(int32_t), err)) == NULL ||
        (drawing->counts = cr_context_scratch(context, k * sizeof(float), err)) == NULL ||
        (drawing->areas = cr_context_scratch(context, k * sizeof(int64_t), err)) == NULL ||
        (drawing->originals = cr_context_scratch(context, k * sizeof(int64_t), err)) == NULL ||
        (drawing->ids = cr_context_scratch(context, k * sizeof(int32_t), err)) == NULL)
        return CR_ERR_MEMORY;
    return 0;
}

/* ---- Segments ---- */

/* Is enough of the mask left? Their quotient is f32, as in the reference. */
static bool is_accepted(int64_t area, int64_t original, double overlap)
{
    return area > 0 && original > 0 && (double)((float)area / (float)original) > overlap;
}

/* Number the candidates that are accepted, in their order. */
static int list_segments(struct cr_panoptic *map, const struct drawing *drawing,
                         const struct segment_rules *rules, struct cr_error *err)
{
    int32_t next = 1, fused[CR_COCO_LABELS] = {0};
    int result = 0;
    for (int64_t k = 0; k < drawing->candidates->count && result == 0; k++) {
        if (!is_accepted(drawing->areas[k], drawing->originals[k], rules->overlap))
            continue;
        const int32_t label = label_table_find(&rules->labels, drawing->candidates->classes[k]);
        const struct cr_category *category = cr_coco_category(label);
        const bool fuses = rules->fuse_stuff && category != NULL && !category->thing;
        if (fuses && fused[label] > 0) {
            drawing->ids[k] = fused[label];
            continue;
        }
        const struct cr_segment segment = {
            .id = next,
            .label = label,
            .score = (float)(rint((double)drawing->candidates->scores[k] * 1e6) / 1e6),
            .original_id = next,
        };
        result = cr_panoptic_add(map, &segment, err);
        drawing->ids[k] = next++;
        if (fuses)
            fused[label] = segment.id;
    }
    return result;
}

int candidates_map(struct cr_panoptic **out, const struct candidates *candidates,
                   struct cr_size size, const struct segment_rules *rules,
                   struct cr_context *context, struct cr_error *err)
{
    const size_t pixels = (size_t)size.height * (size_t)size.width;
    struct cr_panoptic *map = NULL;
    struct drawing drawing;
    int result = cr_panoptic_create(&map, size, err);
    if (result < 0)
        return result;
    int32_t *ids = cr_panoptic_edit(map);
    if (candidates->count > 0) {
        result = drawing_init(&drawing, candidates, size, rules, context, err);
        if (result == 0)
            result = draw(&drawing, ids, context, err);
        if (result == 0)
            result = list_segments(map, &drawing, rules, err);
        for (size_t i = 0; i < pixels && result == 0; i++)
            ids[i] = drawing.ids[ids[i]];
    } else { /* which the reference tells apart from candidates that were all rejected */
        memset(ids, 0xff, pixels * sizeof(*ids));
    }
    if (result == 0)
        *out = cr_panoptic_ref(map);
    cr_panoptic_unref(&map);
    return result;
}
