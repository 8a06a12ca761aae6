/* SPDX-License-Identifier: MIT */
/* What depends on the size of the pictures and on nothing in them: made once and kept. Rows that
 * are gathered put windowing, shifting, padding and the split into heads into one pass. */
#include <math.h>

#include <crayon/memory.h>

#include "network.h"

#define PI 3.14159265358979323846
#define MASKED (-100.0f) /* added to scores between tokens that are no neighbours */

struct cr_size mask2former_level(const struct mask2former_tables *tables, int level)
{
    return tables->stages[SWIN_STAGES - 1 - level].size;
}

/* ---- Tables that are made on the host ---- */

struct builder {
    struct cr_device *device;
    struct cr_error *err;
    int result;
};

static void *allocate(struct builder *b, int64_t count)
{
    void *memory = b->result < 0 ? NULL : cr_malloc((size_t)count * 4);
    if (memory == NULL && b->result == 0)
        b->result = cr_fail_memory(b->err, (size_t)count * 4);
    return memory;
}

/* Numbers or row numbers [rows, columns] (columns 0: [rows]) to the device. */
static void upload(struct builder *b, struct cr_tensor **out, enum cr_dtype dtype, int64_t rows,
                   int64_t columns, const void *data)
{
    if (b->result == 0)
        b->result = cr_tensor_upload(out, b->device, dtype, columns > 0 ? 2 : 1,
                                     (int64_t[]){rows, columns}, data, b->err);
}

/* ---- Windows ---- */

struct partition {
    int64_t items, height, width;
    int64_t side, heads;
    int64_t rows, columns; /* of windows */
    int64_t shift;
};

/* The windows of a kind: rows from..to-1, columns from..to-1. */
struct range {
    int64_t top, bottom, left, right;
};

/* Without shift all windows are of the inner kind. */
static struct range find_range(const struct partition *p, int kind)
{
    const int64_t y = p->rows - 1, x = p->columns - 1;
    if (p->shift == 0 && kind == WINDOW_INNER)
        return (struct range){0, p->rows, 0, p->columns};
    if (p->shift == 0)
        return (struct range){0, 0, 0, 0};
    return (struct range){
        .top = kind & WINDOW_BOTTOM ? y : 0,
        .bottom = kind & WINDOW_BOTTOM ? y + 1 : y,
        .left = kind & WINDOW_RIGHT ? x : 0,
        .right = kind & WINDOW_RIGHT ? x + 1 : x,
    };
}

/* The token at place `place` of a window; N for padding. */
static int64_t find_token(const struct partition *p, int64_t item, int64_t row, int64_t column,
                          int64_t place)
{
    const int64_t y = (row * p->side + place / p->side + p->shift) % (p->rows * p->side);
    const int64_t x = (column * p->side + place % p->side + p->shift) % (p->columns * p->side);
    if (y >= p->height || x >= p->width)
        return p->items * p->height * p->width;
    return (item * p->height + y) * p->width + x;
}

/* The rows of one window, in the order [heads, T]: `to` at 0, 1, 2 are for queries, keys, values,
 * at 3 for what comes out. */
static void list_window(const struct partition *p, int64_t item, int64_t row, int64_t column,
                        int32_t *const to[4])
{
    const int64_t tokens = p->side * p->side, padding = p->items * p->height * p->width;
    for (int64_t place = 0; place < tokens; place++) {
        const int64_t token = find_token(p, item, row, column, place);
        for (int64_t head = 0; head < p->heads; head++) {
            const int64_t at = head * tokens + place;
            for (int64_t i = 0; i < 3; i++)
                to[i][at] = (int32_t)((token * 3 + i) * p->heads + head);
            to[3][at] = token == padding ? -1 : (int32_t)(token * p->heads + head);
        }
    }
}

static void make_windows(struct builder *b, struct windows *windows, const struct partition *p,
                         int kind)
{
    const struct range range = find_range(p, kind);
    windows->count = p->items * (range.bottom - range.top) * (range.right - range.left);
    if (windows->count == 0)
        return;
    const int64_t one = p->heads * p->side * p->side, all = windows->count * one;
    int32_t *lists = allocate(b, 4 * all);
    if (lists == NULL)
        return;
    int64_t at = 0;
    for (int64_t item = 0; item < p->items; item++)
        for (int64_t row = range.top; row < range.bottom; row++)
            for (int64_t column = range.left; column < range.right; column++, at += one)
                list_window(p, item, row, column,
                            (int32_t *const[]){lists + at, lists + all + at, lists + 2 * all + at,
                                               lists + 3 * all + at});
    upload(b, &windows->q, CR_DTYPE_I32, all, 0, lists);
    upload(b, &windows->k, CR_DTYPE_I32, all, 0, lists + all);
    upload(b, &windows->v, CR_DTYPE_I32, all, 0, lists + 2 * all);
    upload(b, &windows->out, CR_DTYPE_I32, all, 0, lists + 3 * all);
    cr_free(lists);
}

/* Which part of a window a place is in, where the last windows of a shifted map are cut. */
static int find_part(int kind, int64_t side, int64_t shift, int64_t place)
{
    const bool low = (kind & WINDOW_BOTTOM) && place / side >= side - shift;
    const bool right = (kind & WINDOW_RIGHT) && place % side >= side - shift;
    return 2 * low + right;
}

static void make_mask(struct builder *b, struct cr_tensor **mask, int64_t side, int kind)
{
    const int64_t tokens = side * side, shift = side / 2;
    float *numbers = allocate(b, tokens * tokens);
    for (int64_t i = 0; i < tokens * tokens && numbers != NULL; i++)
        numbers[i] =
            find_part(kind, side, shift, i / tokens) == find_part(kind, side, shift, i % tokens)
                ? 0
                : MASKED;
    upload(b, mask, CR_DTYPE_F32, tokens, tokens, numbers);
    cr_free(numbers);
}

/* ---- Stages ---- */

static struct cr_size half(struct cr_size size)
{
    return (struct cr_size){(size.height + 1) / 2, (size.width + 1) / 2};
}

/* Four tokens of each square, by columns; sides that are odd are filled up with zeros. */
static void make_merge(struct builder *b, struct stage_tables *stage, int64_t items)
{
    const struct cr_size from = stage->size, to = half(from);
    const int64_t squares = items * to.height * to.width;
    int32_t *rows = allocate(b, 4 * squares);
    for (int64_t i = 0; i < 4 * squares && rows != NULL; i++) {
        const int64_t square = i / 4, item = square / to.width / to.height;
        const int64_t y = square / to.width % to.height * 2 + i % 2;
        const int64_t x = square % to.width * 2 + i / 2 % 2;
        rows[i] = y < from.height && x < from.width
                      ? (int32_t)((item * from.height + y) * from.width + x)
                      : -1;
    }
    upload(b, &stage->merge, CR_DTYPE_I32, 4 * squares, 0, rows);
    cr_free(rows);
}

static void make_stage(struct builder *b, struct mask2former_tables *tables,
                       const struct swin_config *config, int index)
{
    struct stage_tables *stage = &tables->stages[index];
    const int64_t side = config->window;
    struct partition p = {
        .items = tables->items,
        .height = stage->size.height,
        .width = stage->size.width,
        .side = side,
        .heads = config->heads[index],
        .rows = (stage->size.height + side - 1) / side,
        .columns = (stage->size.width + side - 1) / side,
    };
    stage->padded = p.rows * side != p.height || p.columns * side != p.width;
    make_windows(b, &stage->plain[WINDOW_INNER], &p, WINDOW_INNER);
    p.shift = side / 2;
    for (int kind = 0; kind < WINDOW_KINDS; kind++)
        make_windows(b, &stage->shifted[kind], &p, kind);
    if (index + 1 < SWIN_STAGES)
        make_merge(b, stage, tables->items);
}

/* ---- Levels ---- */

/* Sines and cosines of each place, those of its row, then those of its column (Vaswani et al.,
 * arXiv 1706.03762), places scaled to 0..2 pi. */
static void make_positions(struct builder *b, struct cr_tensor **positions, struct cr_size size,
                           int64_t d)
{
    const int64_t places = (int64_t)size.height * size.width, part = d / 2;
    float *numbers = allocate(b, places * d);
    for (int64_t i = 0; i < d && numbers != NULL; i++) {
        const bool column = i >= part;
        const int64_t k = i % part;
        const double rate = 2 * PI / ((column ? size.width : size.height) + 1e-6) /
                            pow(10000, 2 * (double)(k / 2) / (double)part);
        for (int64_t place = 0; place < places; place++) {
            const double at = (double)(column ? place % size.width : place / size.width) + 1;
            numbers[place * d + i] = (float)(k % 2 == 0 ? sin(at * rate) : cos(at * rate));
        }
    }
    upload(b, positions, CR_DTYPE_F32, places, d, numbers);
    cr_free(numbers);
}

/* Where tokens are, as (x, y) in 0..1, once for each sample. */
static void make_centres(struct builder *b, struct mask2former_tables *tables, int64_t samples)
{
    int64_t count = 0;
    for (int i = 0; i < LEVELS; i++)
        count += cr_tensor_extent(tables->positions[i], 0);
    float *numbers = allocate(b, count * samples * 2), *to = numbers;
    for (int i = 0; i < LEVELS && numbers != NULL; i++) {
        const struct cr_size size = mask2former_level(tables, i);
        for (int64_t place = 0; place < (int64_t)size.height * size.width; place++)
            for (int64_t j = 0; j < samples; j++) {
                *to++ = ((float)(place % size.width) + 0.5f) / (float)size.width;
                *to++ = ((float)(place / size.width) + 0.5f) / (float)size.height;
            }
    }
    upload(b, &tables->centres, CR_DTYPE_F32, count, samples * 2, numbers);
    cr_free(numbers);
}

static void make_units(struct builder *b, struct mask2former_tables *tables, int64_t samples)
{
    float *numbers = allocate(b, samples * 2);
    for (int64_t i = 0; i < samples && numbers != NULL; i++) {
        const struct cr_size size = mask2former_level(tables, (int)(i / POINTS % LEVELS));
        numbers[2 * i] = 1 / (float)size.width;
        numbers[2 * i + 1] = 1 / (float)size.height;
    }
    upload(b, &tables->units, CR_DTYPE_F32, samples * 2, 0, numbers);
    cr_free(numbers);
}

/* The positions of all levels, each with the embedding of its level. */
static int join_positions(struct mask2former_tables *tables, const struct pixel_decoder *pixel,
                          struct cr_error *err)
{
    struct cr_chain c = CR_CHAIN_INIT(err);
    const struct cr_tensor *parts[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        parts[i] = CR_DO(&c, cr_op_add, tables->positions[i], pixel->levels[i]);
    tables->encoder_positions = cr_chain_take(&c, CR_DO(&c, cr_op_concat, parts, LEVELS, 0));
    return cr_chain_finish(&c);
}

/* ---- All ---- */

static int make_tables(struct mask2former_tables *tables, const struct mask2former *network,
                       struct cr_device *device, struct cr_error *err)
{
    const struct mask2former_config *config = &network->config;
    const int64_t samples = config->heads * LEVELS * POINTS;
    const float one = 1;
    struct builder b = {.device = device, .err = err};
    struct cr_size size = {(tables->pixels.height + SWIN_PATCH - 1) / SWIN_PATCH,
                           (tables->pixels.width + SWIN_PATCH - 1) / SWIN_PATCH};
    for (int i = 0; i < SWIN_STAGES; i++, size = half(size)) {
        tables->stages[i].size = size;
        make_stage(&b, tables, &config->swin, i);
    }
    for (int kind = 1; kind < WINDOW_KINDS; kind++)
        make_mask(&b, &tables->mask[kind], config->swin.window, kind);
    for (int i = 0; i < LEVELS; i++)
        make_positions(&b, &tables->positions[i], mask2former_level(tables, i), config->width);
    if (b.result == 0)
        make_centres(&b, tables, samples);
    make_units(&b, tables, samples);
    upload(&b, &tables->one, CR_DTYPE_F32, 1, 0, &one);
    return b.result < 0 ? b.result : join_positions(tables, &network->weights->pixel, err);
}

int mask2former_tables_use(struct mask2former *network, struct cr_device *device, int64_t items,
                           struct cr_size pixels, struct cr_error *err)
{
    struct mask2former_tables *tables = network->tables;
    if (tables != NULL && tables->items == items && tables->pixels.height == pixels.height &&
        tables->pixels.width == pixels.width)
        return 0;
    mask2former_tables_destroy(&network->tables);
    if ((tables = cr_calloc(1, sizeof(*tables))) == NULL)
        return cr_fail_memory(err, sizeof(*tables));
    tables->items = items;
    tables->pixels = pixels;
    int result = make_tables(tables, network, device, err);
    if (result < 0)
        mask2former_tables_destroy(&tables);
    network->tables = tables;
    return result;
}

static void finish_windows(struct windows *windows)
{
    cr_tensor_unref(&windows->q);
    cr_tensor_unref(&windows->k);
    cr_tensor_unref(&windows->v);
    cr_tensor_unref(&windows->out);
}

void mask2former_tables_destroy(struct mask2former_tables **tables)
{
    struct mask2former_tables *old = *tables;
    *tables = NULL;
    if (old == NULL)
        return;
    for (int i = 0; i < SWIN_STAGES; i++) {
        for (int kind = 0; kind < WINDOW_KINDS; kind++) {
            finish_windows(&old->stages[i].plain[kind]);
            finish_windows(&old->stages[i].shifted[kind]);
        }
        cr_tensor_unref(&old->stages[i].merge);
    }
    for (int kind = 0; kind < WINDOW_KINDS; kind++)
        cr_tensor_unref(&old->mask[kind]);
    for (int i = 0; i < LEVELS; i++)
        cr_tensor_unref(&old->positions[i]);
    cr_tensor_unref(&old->encoder_positions);
    cr_tensor_unref(&old->centres);
    cr_tensor_unref(&old->units);
    cr_tensor_unref(&old->one);
    cr_free(old);
}
