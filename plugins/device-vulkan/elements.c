/* SPDX-License-Identifier: MIT */
/* Elements: add .. silu_mul, fill, cast. */
#include "grid.h"

/* As the shaders have them. */
enum unary_kind {
    UNARY_SIGMOID = 5, /* those before are enum cr_activation */
    UNARY_SCALE = 6,
};
enum binary_kind {
    BINARY_ADD = 0,
    BINARY_MUL = 1,
    BINARY_SILU_MUL = 2,
};

/* Four elements in one load, where all of these addresses allow it. */
static bool is_wide(const struct vk *vk, uint64_t a, uint64_t b, uint64_t c)
{
    return vk_grid_may_be_wide(vk) && vk_is_aligned(a | b | c, 16);
}

/* ---- Functions of one element ---- */

static uint32_t unary_kind(int op)
{
    switch (op) {
    case CR_OP_SIGMOID:
        return UNARY_SIGMOID;
    case CR_OP_RELU:
        return CR_ACTIVATION_RELU;
    case CR_OP_GELU:
        return CR_ACTIVATION_GELU;
    case CR_OP_QUICK_GELU:
        return CR_ACTIVATION_QUICK_GELU;
    case CR_OP_SILU:
        return CR_ACTIVATION_SILU;
    default:
        return UNARY_SCALE;
    }
}

static int unary(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    struct {
        uint64_t x, y;
        uint32_t n;
        float factor;
    } push = {vk_address(x), vk_address(y), (uint32_t)vk_elements(x), (float)call->reals[0]};
    struct vk_dispatch d;
    if (push.n == 0)
        return 0;
    uint32_t wide = is_wide(vk, push.x, push.y, 0) ? 4 : 1, kind = unary_kind(call->op);
    vk_begin_grid(&d, &vk_shader_unary, vk_div_up(push.n, wide));
    vk_spec(&d, kind);
    vk_spec(&d, wide);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_writes(&d, y);
    d.bytes = 8.0 * push.n;
    d.operations = (kind == UNARY_SCALE || kind == CR_ACTIVATION_RELU ? 1.0 : 30.0) * push.n;
    return vk_dispatch(vk, &d, err);
}

/* ---- add, mul, silu_mul ---- */

/* a as axes along which b has a constant step; as few as possible. std430. */
struct binary {
    uint64_t a, b, y;
    uint32_t n, unused;
    uint32_t extent[CR_TENSOR_MAX_RANK], step[CR_TENSOR_MAX_RANK];
};

static int add_axis(struct binary *job, int axes, int64_t extent, int64_t step)
{
    if (extent == 1)
        return axes;
    if (axes > 0 && job->step[axes - 1] == extent * step) {
        job->extent[axes - 1] *= (uint32_t)extent;
        job->step[axes - 1] = (uint32_t)step;
        return axes;
    }
    job->extent[axes] = (uint32_t)extent;
    job->step[axes] = (uint32_t)step;
    return axes + 1;
}

/* Returns how many axes there are. */
static int set_axes(struct binary *job, const struct cr_operand *a, const struct cr_operand *b)
{
    int64_t steps[CR_TENSOR_MAX_RANK] = {0}, step = 1;
    int axes = 0;
    for (int i = 1; i <= b->rank; i++) {
        int64_t extent = b->shape[b->rank - i];
        steps[a->rank - i] = extent == 1 ? 0 : step;
        step *= extent;
    }
    for (int i = 0; i < a->rank; i++)
        axes = add_axis(job, axes, a->shape[i], steps[i]);
    if (axes == 0)
        job->extent[axes++] = 1;
    return axes;
}

/* Four at once: a run of them must not cross the end of a row, and b's have to be aligned too. */
static bool binary_is_wide(const struct vk *vk, const struct binary *job, int axes)
{
    bool fits = axes == 1 || job->extent[axes - 1] % 4 == 0;
    bool moving = job->step[axes - 1] != 0;
    for (int i = 0; i < axes - 1 && moving; i++)
        fits = fits && job->step[i] % 4 == 0;
    return fits && is_wide(vk, job->a, job->y, moving ? job->b : 0);
}

static int binary(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    struct binary job = {vk_address(a), vk_address(b), vk_address(y), (uint32_t)vk_elements(a)};
    struct vk_dispatch d;
    if (job.n == 0)
        return 0;
    int axes = set_axes(&job, a, b);
    uint32_t wide = binary_is_wide(vk, &job, axes) ? 4 : 1;
    vk_begin_grid(&d, &vk_shader_binary, vk_div_up(job.n, wide));
    vk_spec(&d, call->op == CR_OP_ADD   ? BINARY_ADD
                : call->op == CR_OP_MUL ? BINARY_MUL
                                        : BINARY_SILU_MUL);
    vk_spec(&d, (uint32_t)axes);
    vk_spec(&d, wide);
    vk_push(&d, &job, sizeof(job));
    vk_reads(&d, a);
    vk_reads(&d, b);
    vk_writes(&d, y);
    d.bytes = 8.0 * job.n + 4.0 * (double)vk_elements(b);
    d.operations = (call->op == CR_OP_SILU_MUL ? 16.0 : 1.0) * job.n;
    return vk_dispatch(vk, &d, err);
}

/* ---- fill, cast ---- */

static int fill(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *y = &call->out[0];
    uint64_t bytes = (uint64_t)vk_elements(y) * cr_dtype_size((enum cr_dtype)y->dtype);
    struct {
        uint64_t y;
        uint32_t words, rest, pattern, unused;
    } push = {vk_address(y), (uint32_t)(bytes / 4), (uint32_t)(bytes % 4),
              vk_pattern((enum cr_dtype)y->dtype, (float)call->reals[0]), 0};
    struct vk_dispatch d;
    if (bytes == 0)
        return 0;
    uint32_t wide = is_wide(vk, push.y, 0, 0) ? 4 : 1;
    vk_begin_grid(&d, &vk_shader_fill, push.words / wide + 1);
    vk_spec(&d, wide);
    vk_push(&d, &push, sizeof(push));
    vk_writes(&d, y);
    d.bytes = (double)bytes;
    return vk_dispatch(vk, &d, err);
}

static int cast(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *x = &call->in[0], *y = &call->out[0];
    size_t from = cr_dtype_size((enum cr_dtype)x->dtype),
           to = cr_dtype_size((enum cr_dtype)y->dtype);
    struct {
        uint64_t x, y;
        uint32_t n, unused;
    } push = {vk_address(x), vk_address(y), (uint32_t)vk_elements(x), 0};
    struct vk_dispatch d;
    if (push.n == 0)
        return 0;
    if (x->dtype == y->dtype)
        return vk_copy(vk, push.x, push.y, push.n * (uint64_t)from, err);
    bool wide = is_wide(vk, from == 4 ? push.x : 0, to == 4 ? push.y : 0, 0);
    vk_begin_grid(&d, &vk_shader_cast, vk_div_up(push.n, 4));
    vk_spec(&d, (uint32_t)x->dtype);
    vk_spec(&d, (uint32_t)y->dtype);
    vk_spec(&d, wide);
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, x);
    vk_writes(&d, y);
    d.bytes = (double)(from + to) * push.n;
    d.operations = 10.0 * push.n;
    return vk_dispatch(vk, &d, err);
}

static const struct vk_entry entries[] = {
    {CR_OP_ADD, binary, vk_grid_variant},       {CR_OP_MUL, binary, vk_grid_variant},
    {CR_OP_SCALE, unary, vk_grid_variant},      {CR_OP_SIGMOID, unary, vk_grid_variant},
    {CR_OP_RELU, unary, vk_grid_variant},       {CR_OP_GELU, unary, vk_grid_variant},
    {CR_OP_QUICK_GELU, unary, vk_grid_variant}, {CR_OP_SILU, unary, vk_grid_variant},
    {CR_OP_SILU_MUL, binary, vk_grid_variant},  {CR_OP_CAST, cast, vk_grid_variant},
    {CR_OP_FILL, fill, vk_grid_variant},        {0, NULL, NULL},
};

static const struct vk_variant *const tables[] = {vk_grid_variants, NULL};

const struct vk_family vk_elements_family = {entries, tables};
