/* SPDX-License-Identifier: MIT */
/* Where numbers lie: slice, concat, permute, pad, roll. Any dtype, every bit kept. */
#include "grid.h"

static const struct vk_variant permute_variants[] = {
    {"tile", VK_NEEDS(TILE)},
    {"wide", VK_NEEDS(WIDE)},
    {"plain", 0},
    {NULL, 0},
};

/* ---- Axes ---- */

/* As the shader has them. */
enum mode {
    MODE_COPY = 0,
    MODE_PAD = 1,
    MODE_ROLL = 2,
};

/* The push constants of move.comp: y as axes, each with where it looks in x. std430. */
struct move_push {
    uint64_t x, y;
    uint32_t n, value, base, unused;
    uint32_t extent[CR_TENSOR_MAX_RANK], step[CR_TENSOR_MAX_RANK], from[CR_TENSOR_MAX_RANK];
    int32_t by[CR_TENSOR_MAX_RANK];
};

struct move {
    const struct cr_operand *x, *y;
    enum mode mode;
    uint32_t bytes; /* of a unit: 1, 2, 4, 16 */
    int axes;
    struct move_push push;
};

/* Axes of extent 1 vanish, those that run on in both become one. */
static void add_axis(struct move *m, int64_t extent, int64_t from, int64_t by, int64_t step)
{
    struct move_push *p = &m->push;
    int last = m->axes - 1;
    if (extent == 1 && from == 1 && by == 0)
        return;
    if (last >= 0 && by == 0 && from == extent && p->step[last] == from * step) {
        p->extent[last] *= (uint32_t)extent;
        p->from[last] *= (uint32_t)extent;
        p->by[last] *= (int32_t)extent;
        p->step[last] = (uint32_t)step;
        return;
    }
    p->extent[m->axes] = (uint32_t)extent;
    p->from[m->axes] = (uint32_t)from;
    p->by[m->axes] = (int32_t)by;
    p->step[m->axes++] = (uint32_t)step;
}

static void find_steps(const struct cr_operand *operand, int64_t steps[CR_TENSOR_MAX_RANK])
{
    int64_t step = 1;
    for (int i = operand->rank - 1; i >= 0; i--) {
        steps[i] = step;
        step *= operand->shape[i];
    }
}

static struct move begin_move(const struct cr_call *call, enum mode mode)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    uint32_t bytes = (uint32_t)cr_dtype_size((enum cr_dtype)y->dtype);
    return (struct move){.x = x, .y = y, .mode = mode, .bytes = bytes};
}

/* Take `factor` units for one, if the last axis runs along x and everything is a multiple. */
static bool widen(struct move *m, uint32_t factor)
{
    struct move_push *p = &m->push;
    int last = m->axes - 1;
    bool fits = p->step[last] == 1 && p->extent[last] % factor == 0 &&
                p->from[last] % factor == 0 && p->by[last] % (int32_t)factor == 0 &&
                p->base % factor == 0;
    for (int i = 0; i < last; i++)
        fits = fits && p->step[i] % factor == 0;
    if (!fits)
        return false;
    p->extent[last] /= factor;
    p->from[last] /= factor;
    p->by[last] /= (int32_t)factor;
    p->base /= factor;
    for (int i = 0; i < last; i++)
        p->step[i] /= factor;
    m->bytes *= factor;
    return true;
}

static void choose_unit(const struct vk *vk, struct move *m)
{
    if (m->bytes < 4)
        widen(m, 4 / m->bytes);
    if (m->bytes < 4)
        return;
    m->push.x += (uint64_t)m->push.base * 4;
    m->push.base = 0;
    if (vk_grid_may_be_wide(vk) && vk_is_aligned(m->push.x | m->push.y, 16))
        widen(m, 4);
}

static int run_move(struct vk *vk, struct move *m, struct cr_error *err)
{
    struct vk_dispatch d;
    if (vk_elements(m->y) == 0)
        return 0;
    if (m->axes == 0) {
        m->push.extent[0] = m->push.from[0] = m->push.step[0] = 1;
        m->axes = 1;
    }
    m->push.x = vk_address(m->x);
    m->push.y = vk_address(m->y);
    choose_unit(vk, m);
    m->push.n = 1;
    for (int i = 0; i < m->axes; i++)
        m->push.n *= m->push.extent[i];
    vk_begin_grid(&d, &vk_shader_move, vk_div_up(m->push.n, m->bytes < 4 ? 4 / m->bytes : 1));
    vk_spec(&d, m->bytes);
    vk_spec(&d, (uint32_t)m->axes);
    vk_spec(&d, m->mode);
    vk_push(&d, &m->push, sizeof(m->push));
    vk_reads(&d, m->x);
    vk_writes(&d, m->y);
    d.bytes = 2.0 * m->bytes * m->push.n;
    return vk_dispatch(vk, &d, err);
}

static int slice(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct move m = begin_move(call, MODE_COPY);
    int64_t steps[CR_TENSOR_MAX_RANK], base = 0;
    find_steps(m.x, steps);
    for (int i = 0; i < m.y->rank; i++) {
        add_axis(&m, m.y->shape[i], m.y->shape[i], 0, steps[i]);
        base += call->ints[i] * steps[i];
    }
    m.push.base = (uint32_t)base;
    return run_move(vk, &m, err);
}

/* pad, roll */
static int shift(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct move m = begin_move(call, call->op == CR_OP_PAD ? MODE_PAD : MODE_ROLL);
    int64_t steps[CR_TENSOR_MAX_RANK];
    find_steps(m.x, steps);
    for (int i = 0; i < m.y->rank; i++)
        add_axis(&m, m.y->shape[i], m.x->shape[i], call->ints[i], steps[i]);
    m.push.value = vk_pattern((enum cr_dtype)m.y->dtype, (float)call->reals[0]);
    return run_move(vk, &m, err);
}

/* ---- permute ---- */

/* Units along one side of a tile, as the shader has it. */
#define TILE 32
/* Below this, a tile is mostly empty. */
#define LEAST_SIDE 4

/* std430 */
struct transpose_push {
    uint64_t x, y;
    uint32_t rows, columns, x_row, y_column, row_tiles, column_tiles;
    uint32_t batch[2], x_batch[2], y_batch[2];
};

static struct move permuted(const struct cr_call *call)
{
    struct move m = begin_move(call, MODE_COPY);
    int64_t steps[CR_TENSOR_MAX_RANK];
    find_steps(m.x, steps);
    for (int i = 0; i < m.y->rank; i++)
        add_axis(&m, m.y->shape[i], m.y->shape[i], 0, steps[call->ints[i]]);
    return m;
}

/* The axis of y along which x runs, where that is not the last one and tiles pay; else -1. */
static int axis_across(const struct move *m)
{
    const struct move_push *p = &m->push;
    int last = m->axes - 1, across = -1;
    for (int i = 0; i < last; i++)
        if (p->step[i] == 1)
            across = i;
    bool fits = across >= 0 && p->extent[last] >= LEAST_SIDE && p->extent[across] >= LEAST_SIDE;
    /* Then every row of y starts with a word. */
    return fits && p->extent[last] * (uint64_t)m->bytes % 4 == 0 ? across : -1;
}

/* May this be done in tiles? */
static bool may_be_tiled(const struct vk *vk, const struct move *m)
{
    return vk_pick(vk, permute_variants) == &permute_variants[0] && axis_across(m) >= 0;
}

static const char *permute_variant(const struct vk *vk, const struct cr_call *call)
{
    struct move m = permuted(call);
    return may_be_tiled(vk, &m) ? permute_variants[0].name : vk_grid_variant(vk, call);
}

static int transpose(struct vk *vk, const struct move *m, int across, struct cr_error *err)
{
    const struct move_push *p = &m->push;
    int last = m->axes - 1, batch = 1;
    uint32_t step = p->extent[last];
    struct transpose_push push = {
        .x = vk_address(m->x),
        .y = vk_address(m->y),
        .rows = p->extent[last],
        .columns = p->extent[across],
        .x_row = p->step[last],
        .row_tiles = (uint32_t)vk_div_up(p->extent[last], TILE),
        .column_tiles = (uint32_t)vk_div_up(p->extent[across], TILE),
        .batch = {1, 1},
    };
    for (int i = last - 1; i >= 0; i--) {
        if (i == across) {
            push.y_column = step;
        } else {
            push.batch[batch] = p->extent[i];
            push.x_batch[batch] = p->step[i];
            push.y_batch[batch--] = step;
        }
        step *= p->extent[i];
    }
    struct vk_dispatch d;
    vk_begin(&d, &vk_shader_transpose, VK_GRID_THREADS);
    d.groups = (uint64_t)push.row_tiles * push.column_tiles * push.batch[0] * push.batch[1];
    vk_spec(&d, m->bytes);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, m->x);
    vk_writes(&d, m->y);
    d.bytes = 2.0 * m->bytes * (double)vk_elements(m->y);
    return vk_dispatch(vk, &d, err);
}

static int permute(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    struct move m = permuted(call);
    if (vk_elements(m.y) == 0 || !may_be_tiled(vk, &m))
        return run_move(vk, &m, err);
    return transpose(vk, &m, axis_across(&m), err);
}

/* ---- concat ---- */

#define MAX_INPUTS 16

/* std430 */
struct concat_input {
    uint64_t x;
    uint32_t end, unused;
};

struct concat {
    struct concat_input inputs[MAX_INPUTS];
    uint32_t bytes;
    uint64_t addresses; /* all of them or'ed: to see what they are multiples of */
};

static bool widen_pieces(struct concat *c, int count, uint32_t factor)
{
    for (int i = 0; i < count; i++)
        if (c->inputs[i].end % factor != 0)
            return false;
    for (int i = 0; i < count; i++)
        c->inputs[i].end /= factor;
    c->bytes *= factor;
    return true;
}

static void set_pieces(struct concat *c, const struct cr_call *call)
{
    const struct cr_operand *y = &call->out[0];
    int axis = (int)call->ints[0];
    int64_t step = 1, end = 0;
    c->bytes = (uint32_t)cr_dtype_size((enum cr_dtype)y->dtype);
    c->addresses = vk_address(y);
    for (int i = axis + 1; i < y->rank; i++)
        step *= y->shape[i];
    for (int i = 0; i < call->inputs; i++) {
        end += call->in[i].shape[axis] * step;
        c->inputs[i] = (struct concat_input){vk_address(&call->in[i]), (uint32_t)end, 0};
        c->addresses |= c->inputs[i].x;
    }
}

static int concat(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *y = &call->out[0];
    struct concat c = {.bytes = 0};
    struct vk_dispatch d;
    uint64_t record, bytes = (uint64_t)vk_elements(y) * cr_dtype_size((enum cr_dtype)y->dtype);
    int result;
    if (bytes == 0)
        return 0;
    set_pieces(&c, call);
    if (c.bytes < 4)
        widen_pieces(&c, call->inputs, 4 / c.bytes);
    if (c.bytes == 4 && vk_grid_may_be_wide(vk) && vk_is_aligned(c.addresses, 16))
        widen_pieces(&c, call->inputs, 4);
    if ((result =
             vk_record(vk, c.inputs, (size_t)call->inputs * sizeof(c.inputs[0]), &record, err)) < 0)
        return result;
    struct {
        uint64_t y, record;
        uint32_t n, inputs, row, unused;
    } push = {vk_address(y),
              record,
              (uint32_t)(bytes / c.bytes),
              (uint32_t)call->inputs,
              c.inputs[call->inputs - 1].end,
              0};
    vk_begin_grid(&d, &vk_shader_concat, vk_div_up(push.n, c.bytes < 4 ? 4 / c.bytes : 1));
    vk_spec(&d, c.bytes);
    vk_push(&d, &push, sizeof(push));
    for (int i = 0; i < call->inputs; i++)
        vk_reads(&d, &call->in[i]);
    vk_writes(&d, y);
    d.bytes = 2.0 * (double)bytes;
    return vk_dispatch(vk, &d, err);
}

static const struct vk_entry entries[] = {
    {CR_OP_SLICE, slice, vk_grid_variant},     {CR_OP_CONCAT, concat, vk_grid_variant},
    {CR_OP_PERMUTE, permute, permute_variant}, {CR_OP_PAD, shift, vk_grid_variant},
    {CR_OP_ROLL, shift, vk_grid_variant},      {0, NULL, NULL},
};

static const struct vk_variant *const tables[] = {vk_grid_variants, permute_variants, NULL};

const struct vk_family vk_layout_family = {entries, tables};
