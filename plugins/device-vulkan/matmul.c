/* SPDX-License-Identifier: MIT */
/* matmul: both operands with any strides (matmul.glsl). */
#include "linear.h"

#include "shaders.h"

#define TILE_M 64
#define TILE_N 64
#define TILE_K 16
#define PER_M 8
#define PER_N 4
#define TILE_THREADS (TILE_M / PER_M * (TILE_N / PER_N))
#define PLAIN_THREADS 64

const struct vk_variant vk_matmul_variants[] = {
    {"tile", VK_NEEDS(TILE)},
    {"plain", 0},
    {NULL, 0},
};

/* The push constants of matmul.glsl. */
struct push {
    uint64_t a, b, y;
    uint32_t items, rows, columns, depth;
    uint32_t inner;
    uint32_t a_outer, a_inner, b_outer, b_inner;
    uint32_t a_row, a_k, b_column, b_k;
    float alpha;
};

/* Extent `axis` (0, 1) of the two leading ones, as if the rank were 4. */
static int64_t leading(const struct cr_operand *operand, int axis)
{
    int at = axis - (4 - operand->rank);
    return at < 0 ? 1 : operand->shape[at];
}

static void leading_strides(const struct cr_operand *operand, uint32_t *outer, uint32_t *inner)
{
    int64_t matrix = operand->shape[operand->rank - 2] * operand->shape[operand->rank - 1];
    *inner = leading(operand, 1) == 1 ? 0 : (uint32_t)matrix;
    *outer = leading(operand, 0) == 1 ? 0 : (uint32_t)(matrix * leading(operand, 1));
}

static struct push make_push(const struct cr_call *call)
{
    const struct cr_operand *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    const bool transpose_a = call->ints[0] != 0, transpose_b = call->ints[1] != 0;
    const uint32_t a_columns = (uint32_t)vk_last(a), b_columns = (uint32_t)vk_last(b);
    struct push push = {
        .a = vk_address(a),
        .b = vk_address(b),
        .y = vk_address(y),
        .items = (uint32_t)(leading(y, 0) * leading(y, 1)),
        .rows = (uint32_t)y->shape[y->rank - 2],
        .columns = (uint32_t)vk_last(y),
        .depth = transpose_a ? (uint32_t)a->shape[a->rank - 2] : a_columns,
        .inner = (uint32_t)leading(y, 1),
        .a_row = transpose_a ? 1 : a_columns,
        .a_k = transpose_a ? a_columns : 1,
        .b_column = transpose_b ? b_columns : 1,
        .b_k = transpose_b ? 1 : b_columns,
        .alpha = (float)call->reals[0],
    };
    leading_strides(a, &push.a_outer, &push.a_inner);
    leading_strides(b, &push.b_outer, &push.b_inner);
    return push;
}

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

int vk_matmul(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    const struct push push = make_push(call);
    const bool tiled = vk_pick(vk, vk_matmul_variants)->needs != 0;
    const uint64_t count = (uint64_t)vk_elements(y);
    struct vk_dispatch d;
    if (count == 0)
        return 0;
    vk_begin(&d, tiled ? &vk_shader_matmul : &vk_shader_matmul_plain,
             tiled ? TILE_THREADS : PLAIN_THREADS);
    vk_spec(&d, a->dtype == CR_DTYPE_F16);
    vk_spec(&d, b->dtype == CR_DTYPE_F16);
    d.groups = (count + PLAIN_THREADS - 1) / PLAIN_THREADS;
    if (tiled) {
        const uint32_t sizes[] = {
            push.a_k == 1, push.b_k == 1, TILE_M, TILE_N, TILE_K, PER_M, PER_N,
        };
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            vk_spec(&d, sizes[i]);
        d.groups =
            (uint64_t)push.items * divide_up(push.rows, TILE_M) * divide_up(push.columns, TILE_N);
    }
    vk_push(&d, &push, sizeof(push));
    vk_reads(&d, a);
    vk_reads(&d, b);
    vk_writes(&d, y);
    d.operations = 2.0 * (double)count * push.depth;
    d.bytes = 4.0 * (double)count +
              (a->dtype == CR_DTYPE_F16 ? 2.0 : 4.0) * (double)vk_elements(a) +
              (b->dtype == CR_DTYPE_F16 ? 2.0 : 4.0) * (double)vk_elements(b);
    return vk_dispatch(vk, &d, err);
}

const char *vk_matmul_variant(const struct vk *vk, const struct cr_call *call)
{
    (void)call;
    return vk_pick(vk, vk_matmul_variants)->name;
}
