/* SPDX-License-Identifier: MIT */
/* Products with a weight matrix: which shader, and in which sizes. The reasons for the sizes stand
 * in the shaders (linear_vector.glsl, linear_tile.comp, tile.glsl). */
#include <string.h>

#include "linear.h"

#include "shaders.h"

/* Up to so many rows of x the weights are read once for all. */
#define VECTOR_ROWS 16
#define VECTOR_THREADS 64
#define W_ROWS 4
#define SHORT_UNITS 4 /* rows of at most so many units */
/* As many groups as keep a large GPU busy, and the fewest before K is split to come there. */
#define WANTED_GROUPS 1024
#define SPLIT_BELOW 256
#define MAX_SPLITS 16
#define COMBINE_THREADS 64

/* ---- Variants ---- */

/* Few rows: vectors if there are any; many rows: tiles. Each can do the other's work. Whether loads
 * are wide, and whether K is split, depends on addresses and sizes too: see name_of(). */
#define FEW_ROWS(type)                                                                             \
    {                                                                                              \
        {type "-vector-subgroup", VK_NEEDS(VECTOR) | VK_NEEDS(SUBGROUP)},                          \
            {type "-vector", VK_NEEDS(VECTOR)}, {type "-tile", VK_NEEDS(TILE)},                    \
            {type "-plain", 0}, {NULL, 0},                                                         \
    }
#define MANY_ROWS(type)                                                                            \
    {                                                                                              \
        {type "-tile", VK_NEEDS(TILE)},                                                            \
            {type "-vector-subgroup", VK_NEEDS(VECTOR) | VK_NEEDS(SUBGROUP)},                      \
            {type "-vector", VK_NEEDS(VECTOR)}, {type "-plain", 0}, {NULL, 0},                     \
    }

static const struct vk_variant few_f32[] = FEW_ROWS("f32"), few_f16[] = FEW_ROWS("f16"),
                               few_q8_0[] = FEW_ROWS("q8_0"), few_nf4[] = FEW_ROWS("nf4");
static const struct vk_variant many_f32[] = MANY_ROWS("f32"), many_f16[] = MANY_ROWS("f16"),
                               many_q8_0[] = MANY_ROWS("q8_0"), many_nf4[] = MANY_ROWS("nf4");

const struct vk_variant *const vk_linear_variants[] = {
    few_f32,   few_f16,  few_q8_0,           few_nf4, many_f32, many_f16,
    many_q8_0, many_nf4, vk_matmul_variants, NULL,
};

static const struct vk_variant *table_of(int32_t dtype, int64_t rows)
{
    const bool few = rows <= VECTOR_ROWS;
    switch (dtype) {
    case CR_DTYPE_F16:
        return few ? few_f16 : many_f16;
    case CR_DTYPE_Q8_0:
        return few ? few_q8_0 : many_q8_0;
    case CR_DTYPE_NF4:
        return few ? few_nf4 : many_nf4;
    default:
        return few ? few_f32 : many_f32;
    }
}

/* ---- Plans ---- */

enum loads {
    BY_ELEMENT,
    BY_WORD,
    WIDE
}; /* as in linear.glsl */

/* The push constants of linear.glsl. */
struct push {
    uint64_t x, w, scales, nested, map, bias, residual, row_scale, partial, y;
    uint32_t rows, columns, depth, split_depth, splits, activation, adding, unused;
};

struct plan {
    const struct vk_product *product;
    struct push push;
    const struct vk_shader *shader;
    bool subgroup, plain;
    uint32_t unit, loads, threads;
    uint32_t sizes[5], size_count; /* specialisation constants from 5 on */
    uint64_t groups;
    int64_t step; /* what a group takes of K at once */
};

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static uint32_t power_of_two(int64_t count, uint32_t most)
{
    uint32_t power = 1;
    while (power < count && power < most)
        power *= 2;
    return power;
}

/* The largest unit of at most `most` elements and 128 bits that divides K, if any does. */
static void plan_loads(struct plan *plan, const struct vk *vk, uint32_t most)
{
    const struct cr_operand *w = plan->product->w;
    uint32_t per_word = w->dtype == CR_DTYPE_F32    ? 1
                        : w->dtype == CR_DTYPE_F16  ? 2
                        : w->dtype == CR_DTYPE_Q8_0 ? 4
                                                    : 8;
    uint32_t unit = 4 * per_word < most ? 4 * per_word : most;
    while (unit > 4 && unit > per_word && plan->push.depth % unit != 0)
        unit /= 2;
    bool whole = plan->push.depth % unit == 0;
    /* Memory blocks begin at multiples of 64. */
    bool aligned = plan->product->x % 16 == 0 && (unit < 4 * per_word || w->offset % 16 == 0);
    plan->unit = whole ? unit : 4;
    plan->loads = !whole ? BY_ELEMENT : aligned && vk_has(vk, VK_FEATURE_WIDE) ? WIDE : BY_WORD;
}

/* More lanes for a row make more groups. */
static void plan_vector(struct plan *plan, const struct vk *vk, bool subgroup)
{
    const int64_t rows = plan->push.rows, columns = plan->push.columns;
    const uint32_t x_rows = power_of_two(rows, VECTOR_ROWS);
    plan_loads(plan, vk, x_rows <= 2 ? 32 : x_rows <= 4 ? 16 : 8);
    plan->shader = subgroup ? &vk_shader_linear_vector_subgroup : &vk_shader_linear_vector;
    plan->subgroup = subgroup;
    plan->threads = VECTOR_THREADS;
    /* Few sizes, so that there are few pipelines: short rows leave lanes idle. */
    const int64_t units = divide_up(plan->push.depth, plan->unit);
    uint32_t most = units <= SHORT_UNITS ? SHORT_UNITS : VECTOR_THREADS;
    if (subgroup && most > vk_caps(vk)->subgroup)
        most = vk_caps(vk)->subgroup;
    uint32_t lanes = x_rows == 1 ? 32 : 16;
    lanes = lanes < most ? lanes : most;
    int64_t chunks = divide_up(rows, x_rows), groups;
    for (;; lanes *= 2) {
        groups = chunks * divide_up(columns, VECTOR_THREADS / lanes * W_ROWS);
        if (groups >= WANTED_GROUPS || lanes >= most)
            break;
    }
    plan->groups = (uint64_t)groups;
    plan->step = (int64_t)lanes * plan->unit;
    plan->sizes[0] = x_rows;
    plan->sizes[1] = W_ROWS;
    plan->sizes[2] = lanes;
    plan->size_count = 3;
}

/* An invocation for each column of y, up to 16 rows of it. */
static void plan_plain(struct plan *plan, const struct vk *vk)
{
    const int64_t rows = plan->push.rows;
    const uint32_t x_rows = power_of_two(rows, VECTOR_ROWS);
    plan_loads(plan, vk, 8);
    plan->plain = true;
    plan->shader = &vk_shader_linear_vector;
    plan->threads = VECTOR_THREADS;
    plan->groups =
        (uint64_t)(divide_up(rows, x_rows) * divide_up(plan->push.columns, VECTOR_THREADS));
    plan->step = plan->push.depth;
    plan->sizes[0] = x_rows;
    plan->sizes[1] = plan->sizes[2] = 1;
    plan->size_count = 3;
}

/* Sizes of a tile and of an invocation's part of it. What each takes of registers, compiled for
 * four generations of AMD GPUs, stands in tile.glsl. */
struct tile {
    uint32_t m, n, k, per_m, per_n;
};
static const struct tile low_tile = {32, 64, 16, 4, 8}, small_tile = {64, 64, 16, 8, 4},
                         large_tile = {128, 64, 16, 8, 8}, large_f32_tile = {128, 64, 8, 8, 8};

static int64_t count_tiles(const struct tile *tile, int64_t rows, int64_t columns)
{
    return divide_up(rows, tile->m) * divide_up(columns, tile->n);
}

/* Large tiles where there are enough of them. */
static void plan_tile(struct plan *plan, const struct vk *vk)
{
    const int64_t rows = plan->push.rows, columns = plan->push.columns;
    const struct tile *large =
        plan->product->w->dtype == CR_DTYPE_F32 ? &large_f32_tile : &large_tile;
    const struct tile *tile = &small_tile;
    if (rows <= low_tile.m)
        tile = &low_tile;
    else if (rows > small_tile.m && count_tiles(large, rows, columns) >= SPLIT_BELOW)
        tile = large;
    plan_loads(plan, vk, 8);
    plan->shader = &vk_shader_linear_tile;
    plan->threads = tile->m / tile->per_m * (tile->n / tile->per_n);
    plan->groups = (uint64_t)count_tiles(tile, rows, columns);
    plan->step = tile->k;
    memcpy(plan->sizes, tile, sizeof(*tile));
    plan->size_count = sizeof(*tile) / sizeof(uint32_t);
}

/* Split K where there are few groups and each has many steps, at least two of which remain. */
static void plan_splits(struct plan *plan, const struct vk *vk)
{
    int64_t depth = plan->push.depth, splits = 1;
    if (vk_has(vk, VK_FEATURE_SPLIT) && plan->groups > 0 && plan->groups < SPLIT_BELOW &&
        plan->step > 0) {
        splits = divide_up(2 * SPLIT_BELOW, (int64_t)plan->groups);
        int64_t most = depth / (2 * plan->step);
        splits = splits < most ? splits : most;
        splits = splits < 1 ? 1 : splits > MAX_SPLITS ? MAX_SPLITS : splits;
    }
    int64_t split_depth = depth;
    if (splits > 1)
        split_depth = divide_up(divide_up(depth, splits), plan->step) * plan->step;
    plan->push.split_depth = (uint32_t)split_depth;
    plan->push.splits = split_depth > 0 ? (uint32_t)divide_up(depth, split_depth) : 1;
}

/* All but addresses, so that it may be asked for without memory. */
static void make_plan(struct plan *plan, const struct vk *vk, const struct vk_product *product)
{
    const struct cr_operand *w = product->w;
    *plan = (struct plan){
        .product = product,
        .push = {.rows = (uint32_t)product->rows,
                 .columns = (uint32_t)w->shape[0],
                 .depth = (uint32_t)w->shape[1],
                 .activation = product->activation,
                 .adding = product->add},
    };
    uint32_t needs = vk_pick(vk, table_of(w->dtype, product->rows))->needs;
    if ((needs & VK_NEEDS(VECTOR)) != 0)
        plan_vector(plan, vk, (needs & VK_NEEDS(SUBGROUP)) != 0);
    else if ((needs & VK_NEEDS(TILE)) != 0)
        plan_tile(plan, vk);
    else
        plan_plain(plan, vk);
    plan_splits(plan, vk);
}

/* What bench, logs and tests call a plan: its row of the table, and what was decided apart. */
#define MODES(type, path)                                                                          \
    {                                                                                              \
        {type path, type path "-split"},                                                           \
        {                                                                                          \
            type path "-wide", type path "-wide-split"                                             \
        }                                                                                          \
    }
#define PATHS(type)                                                                                \
    {                                                                                              \
        MODES(type, "-vector-subgroup"), MODES(type, "-vector"), MODES(type, "-tile"),             \
            MODES(type, "-plain")                                                                  \
    }

static const char *name_of(const struct plan *plan)
{
    static const char *const names[][4][2][2] = {
        [CR_DTYPE_F32] = PATHS("f32"),
        [CR_DTYPE_F16] = PATHS("f16"),
        [CR_DTYPE_Q8_0] = PATHS("q8_0"),
        [CR_DTYPE_NF4] = PATHS("nf4"),
    };
    int path = plan->shader == &vk_shader_linear_tile ? 2 : plan->plain ? 3 : !plan->subgroup;
    return names[plan->product->w->dtype][path][plan->loads == WIDE][plan->push.splits > 1];
}

const char *vk_product_variant(const struct vk *vk, const struct cr_operand *x,
                               const struct cr_operand *w)
{
    const struct vk_product product = {.x = x->offset, .w = w, .rows = vk_rows(x)};
    struct plan plan;
    make_plan(&plan, vk, &product);
    return name_of(&plan);
}

/* ---- Dispatches ---- */

/* What linear.glsl's store_finished() touches; the number of bytes. */
static double declare_finish(struct vk_dispatch *d, const struct plan *plan)
{
    const struct vk_product *product = plan->product;
    uint64_t columns = plan->push.columns * sizeof(float), y = plan->push.rows * columns;
    double bytes = (double)y;
    if (product->bias != 0)
        vk_reads_at(d, product->bias, columns);
    if (product->residual != 0) {
        vk_reads_at(d, product->residual, y);
        bytes += (double)y;
    }
    if (product->add) {
        vk_reads_at(d, product->y, y);
        bytes += (double)y;
    }
    vk_writes_at(d, product->y, y);
    return bytes;
}

static double weight_bytes(const struct cr_operand *w)
{
    static const double each[] = {[CR_DTYPE_F32] = 4,
                                  [CR_DTYPE_F16] = 2,
                                  [CR_DTYPE_Q8_0] = 1 + 2 / 32.0,
                                  [CR_DTYPE_NF4] = 0.5 + 4 / 64.0};
    return each[w->dtype] * (double)w->shape[0] * (double)w->shape[1];
}

/* Specialisation constants 1 to 4. */
static void specialise(struct vk_dispatch *d, const struct plan *plan)
{
    const struct vk_product *product = plan->product;
    vk_spec(d, (uint32_t)product->w->dtype);
    vk_spec(d, product->w->nested != 0);
    vk_spec(d, plan->loads);
    vk_spec(d, plan->unit);
}

static void push_addresses(struct push *push, const struct vk_product *product)
{
    push->x = product->x;
    push->w = vk_address(product->w);
    push->scales = vk_scales(product->w);
    push->nested = vk_nested(product->w);
    push->map = vk_nested_map(product->w);
    push->bias = product->bias;
    push->residual = product->residual;
    push->row_scale = product->scale;
    push->y = product->y;
}

static int dispatch_sums(struct vk *vk, const struct plan *plan, struct cr_error *err)
{
    const struct push *push = &plan->push;
    const double rows = push->rows, columns = push->columns, depth = push->depth;
    struct vk_dispatch d;
    vk_begin(&d, plan->shader, plan->threads);
    specialise(&d, plan);
    for (uint32_t i = 0; i < plan->size_count; i++)
        vk_spec(&d, plan->sizes[i]);
    vk_push(&d, push, sizeof(*push));
    d.subgroup = plan->subgroup;
    d.groups = plan->groups;
    d.layers = push->splits;
    d.operations = 2 * rows * columns * depth;
    d.bytes = weight_bytes(plan->product->w) + 4 * rows * depth;
    vk_reads_at(&d, push->x, (uint64_t)push->rows * push->depth * sizeof(float));
    vk_reads(&d, plan->product->w);
    if (push->row_scale != 0)
        vk_reads_at(&d, push->row_scale, push->rows * sizeof(float));
    if (push->splits == 1)
        d.bytes += declare_finish(&d, plan);
    else {
        d.bytes += 4 * rows * columns * push->splits;
        vk_writes_at(&d, push->partial,
                     (uint64_t)push->splits * push->rows * push->columns * sizeof(float));
    }
    return vk_dispatch(vk, &d, err);
}

static int combine_sums(struct vk *vk, const struct plan *plan, struct cr_error *err)
{
    const struct push *push = &plan->push;
    const uint64_t count = (uint64_t)push->rows * push->columns;
    struct vk_dispatch d;
    vk_begin(&d, &vk_shader_linear_combine, COMBINE_THREADS);
    specialise(&d, plan);
    vk_push(&d, push, sizeof(*push));
    d.groups = (count + COMBINE_THREADS - 1) / COMBINE_THREADS;
    d.operations = (double)count * push->splits;
    d.bytes = 4 * (double)count * push->splits + declare_finish(&d, plan);
    vk_reads_at(&d, push->partial, count * push->splits * sizeof(float));
    if (push->row_scale != 0)
        vk_reads_at(&d, push->row_scale, push->rows * sizeof(float));
    return vk_dispatch(vk, &d, err);
}

int vk_product(struct vk *vk, const struct vk_product *product, struct cr_error *err)
{
    if (product->rows == 0 || product->w->shape[0] == 0)
        return 0;
    struct plan plan;
    make_plan(&plan, vk, product);
    push_addresses(&plan.push, product);
    if (plan.push.splits == 1)
        return dispatch_sums(vk, &plan, err);
    uint64_t bytes =
        (uint64_t)plan.push.splits * plan.push.rows * plan.push.columns * sizeof(float);
    int result = vk_scratch(vk, bytes, &plan.push.partial, err);
    if (result == 0)
        result = dispatch_sums(vk, &plan, err);
    return result == 0 ? combine_sums(vk, &plan, err) : result;
}
