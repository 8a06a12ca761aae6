/* SPDX-License-Identifier: MIT */
/* Rows by their numbers: embedding, gather, scatter, the key and value cache, rope. */
#include <limits.h>

#include "grid.h"

/* Bytes of a unit in which rows of `width` f32 may be moved: 16, or 4. */
static uint32_t row_unit(const struct vk *vk, int64_t width, uint64_t a, uint64_t b)
{
    return vk_grid_may_be_wide(vk) && width % 4 == 0 && vk_is_aligned(a | b, 16) ? 16 : 4;
}

/* Elements of a slice along the first extent. */
static int64_t row_width(const struct cr_operand *operand)
{
    int64_t width = 1;
    for (int i = 1; i < operand->rank; i++)
        width *= operand->shape[i];
    return width;
}

/* ---- gather, embedding ---- */

static const char no_row[] = "a number in rows is neither -1 nor that of a row of x";

/* y[r] = x[rows[r]]; numbers from `least` to -1 give zeros. */
static int gather_f32(struct vk *vk, const struct cr_call *call, int32_t least, const char *message,
                      struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *rows = &call->in[1], *y = &call->out[0];
    int64_t width = row_width(x), elements = vk_elements(y);
    struct {
        uint64_t x, rows, y, alarm;
        uint32_t n, width;
        int32_t limit, least;
    } push = {
        .x = vk_address(x),
        .rows = vk_address(rows),
        .y = vk_address(y),
        .limit = (int32_t)x->shape[0],
        .least = least,
    };
    struct vk_dispatch d;
    int result;
    if (elements == 0)
        return 0;
    if ((result = vk_alarm(vk, call, message, &push.alarm, err)) < 0)
        return result;
    uint32_t unit = row_unit(vk, width, push.x, push.y);
    push.n = (uint32_t)(elements / (unit / 4));
    push.width = (uint32_t)(width / (unit / 4));
    vk_begin_grid(&d, &vk_shader_gather_rows, push.n);
    vk_spec(&d, unit);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_reads(&d, rows);
    vk_writes(&d, y);
    d.bytes = 8.0 * (double)elements + 4.0 * (double)vk_elements(rows);
    return vk_dispatch(vk, &d, err);
}

static int gather_rows(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    return gather_f32(vk, call, -1, no_row, err);
}

static double bits_of(const struct cr_operand *table)
{
    return table->dtype == CR_DTYPE_F16 ? 16 : table->dtype == CR_DTYPE_Q8_0 ? 8.5 : 4.5;
}

static int embedding(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    static const char message[] = "an id is beyond the last row of the table";
    const struct cr_operand *table = &call->in[0], *ids = &call->in[1], *y = &call->out[0];
    if (table->dtype == CR_DTYPE_F32)
        return gather_f32(vk, call, INT32_MIN, message, err);
    struct {
        uint64_t table, scales, nested, map, ids, y, alarm;
        uint32_t n, width;
        int32_t limit;
        uint32_t unused;
    } push = {
        .table = vk_address(table),
        .ids = vk_address(ids),
        .y = vk_address(y),
        .n = (uint32_t)vk_elements(y),
        .width = (uint32_t)vk_last(table),
        .limit = (int32_t)table->shape[0],
    };
    struct vk_dispatch d;
    int result;
    if (push.n == 0)
        return 0;
    if (table->dtype != CR_DTYPE_F16) {
        push.scales = vk_scales(table);
        push.nested = vk_nested(table);
        push.map = vk_nested_map(table);
    }
    if ((result = vk_alarm(vk, call, message, &push.alarm, err)) < 0)
        return result;
    vk_begin_grid(&d, &vk_shader_embedding, push.n);
    vk_spec(&d, (uint32_t)table->dtype);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, table);
    vk_reads(&d, ids);
    vk_writes(&d, y);
    d.bytes = push.n * (4 + bits_of(table) / 8) + 4.0 * (double)vk_elements(ids);
    d.operations = 2.0 * push.n;
    return vk_dispatch(vk, &d, err);
}

/* ---- scatter ---- */

static int scatter_rows(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *rows = &call->in[0], *src = &call->in[1], *x = &call->out[0];
    int64_t width = row_width(x), elements = vk_elements(src);
    struct {
        uint64_t rows, src, x, alarm;
        uint32_t n, width;
        int32_t limit;
        uint32_t unused;
    } push = {
        .rows = vk_address(rows),
        .src = vk_address(src),
        .x = vk_address(x),
        .limit = (int32_t)x->shape[0],
    };
    struct vk_dispatch d;
    int result;
    if (elements == 0)
        return 0;
    if ((result = vk_alarm(vk, call, no_row, &push.alarm, err)) < 0)
        return result;
    uint32_t unit = row_unit(vk, width, push.src, push.x);
    push.n = (uint32_t)(elements / (unit / 4));
    push.width = (uint32_t)(width / (unit / 4));
    vk_begin_grid(&d, &vk_shader_scatter_rows, push.n);
    vk_spec(&d, unit);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, rows);
    vk_reads(&d, src);
    vk_writes(&d, x);
    d.bytes = 8.0 * (double)elements + 4.0 * (double)vk_elements(rows);
    return vk_dispatch(vk, &d, err);
}

/* One dispatch walks at most so many rows: a thread does them one by one. */
#define WALK 8192
/* Threads that keep a GPU busy, and how often the list may be walked for that. */
#define WANTED_THREADS 8192
#define MOST_SHARES 64

static uint32_t shares_of(int64_t width, int64_t limit)
{
    uint32_t shares = 1;
    while (shares < MOST_SHARES && shares < limit && shares * width < WANTED_THREADS)
        shares *= 2;
    return shares;
}

static int scatter_add_rows(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *rows = &call->in[0], *src = &call->in[1], *x = &call->out[0];
    int64_t width = row_width(x), count = rows->shape[0];
    struct {
        uint64_t rows, src, x, alarm;
        uint32_t first, end, width;
        int32_t limit;
    } push = {
        .rows = vk_address(rows),
        .src = vk_address(src),
        .x = vk_address(x),
        .width = (uint32_t)width,
        .limit = (int32_t)x->shape[0],
    };
    int result = 0;
    if (vk_elements(src) == 0)
        return 0;
    if ((result = vk_alarm(vk, call, no_row, &push.alarm, err)) < 0)
        return result;
    uint32_t shares = shares_of(width, x->shape[0]);
    for (int64_t from = 0; from < count && result == 0; from += WALK) {
        struct vk_dispatch d;
        push.first = (uint32_t)from;
        push.end = (uint32_t)(from + WALK < count ? from + WALK : count);
        double elements = (double)(push.end - push.first) * (double)width;
        vk_begin_grid(&d, &vk_shader_scatter_add_rows, (uint64_t)width * shares);
        vk_spec(&d, shares);
        vk_push(&d, &push, sizeof(push));
        vk_reads(&d, rows);
        vk_reads(&d, src);
        vk_reads(&d, x);
        vk_writes(&d, x);
        d.bytes = 12 * elements;
        d.operations = elements;
        result = vk_dispatch(vk, &d, err);
    }
    return result;
}

/* ---- rope ---- */

static int rope(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    const struct cr_operand *cosines = &call->in[1], *sines = &call->in[2], *at = &call->in[3];
    struct {
        uint64_t x, cosines, sines, positions, y, alarm;
        uint32_t n, half, heads;
        int32_t limit;
    } push = {
        .x = vk_address(x),
        .cosines = vk_address(cosines),
        .sines = vk_address(sines),
        .positions = vk_address(at),
        .y = vk_address(y),
        .n = (uint32_t)(vk_elements(x) / 2),
        .half = (uint32_t)(vk_last(x) / 2),
        .heads = (uint32_t)x->shape[2],
        .limit = (int32_t)cosines->shape[0],
    };
    struct vk_dispatch d;
    int result;
    if (push.n == 0)
        return 0;
    if ((result = vk_alarm(vk, call, "a position is beyond the tables of cosines and sines",
                           &push.alarm, err)) < 0)
        return result;
    vk_begin_grid(&d, &vk_shader_rope, push.n);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_reads(&d, cosines);
    vk_reads(&d, sines);
    vk_reads(&d, at);
    vk_writes(&d, y);
    d.bytes = 16.0 * push.n + 8.0 * push.n / push.heads + 4.0 * (double)vk_elements(at);
    d.operations = 6.0 * push.n;
    return vk_dispatch(vk, &d, err);
}

/* ---- kv_append ---- */

/* As the shader has them. */
enum append_way {
    APPEND_WORDS = 0,
    APPEND_WORDS4 = 1,
    APPEND_PAIRS = 2,
    APPEND_HALVES = 3,
};

static int kv_append(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    static const uint32_t units[] = {1, 4, 2, 1}; /* elements, by way */
    const struct cr_operand *x = &call->in[0], *at = &call->in[1], *cache = &call->out[0];
    struct {
        uint64_t x, positions, cache;
        uint32_t n, width, heads, steps, room, shared;
    } push = {
        .x = vk_address(x),
        .positions = vk_address(at),
        .cache = vk_address(cache),
        .heads = (uint32_t)x->shape[2],
        .steps = (uint32_t)x->shape[1],
        .room = (uint32_t)cache->shape[2],
        .shared = call->ints[0] != 0,
    };
    struct vk_dispatch d;
    int64_t elements = vk_elements(x), width = vk_last(x);
    if (elements == 0)
        return 0;
    enum append_way way = cache->dtype == CR_DTYPE_F16
                              ? width % 2 == 0 ? APPEND_PAIRS : APPEND_HALVES
                          : row_unit(vk, width, push.x, push.cache) == 16 ? APPEND_WORDS4
                                                                          : APPEND_WORDS;
    push.n = (uint32_t)elements / units[way];
    push.width = (uint32_t)width / units[way];
    vk_begin_grid(&d, &vk_shader_kv_append, push.n);
    vk_spec(&d, way);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_reads(&d, at);
    vk_reads(&d, cache); /* of shared words, the other half */
    vk_writes(&d, cache);
    d.bytes = (4.0 + (double)cr_dtype_size((enum cr_dtype)cache->dtype)) * (double)elements;
    return vk_dispatch(vk, &d, err);
}

static const struct vk_entry entries[] = {
    {CR_OP_EMBEDDING, embedding, vk_grid_variant},
    {CR_OP_GATHER_ROWS, gather_rows, vk_grid_variant},
    {CR_OP_SCATTER_ROWS, scatter_rows, vk_grid_variant},
    {CR_OP_SCATTER_ADD_ROWS, scatter_add_rows, NULL},
    {CR_OP_ROPE, rope, NULL},
    {CR_OP_KV_APPEND, kv_append, vk_grid_variant},
    {0, NULL, NULL},
};

static const struct vk_variant *const tables[] = {vk_grid_variants, NULL};

const struct vk_family vk_rows_family = {entries, tables};
