/* SPDX-License-Identifier: MIT */
/* linear and linear_fused. A low-rank branch is two products: t = A source, then y += scale (B t),
 * which skips rows with scale 0. The last product of a call applies activation and residual. */
#include "linear.h"

#define LINEAR_IN_X 0
#define LINEAR_IN_W 1
#define LINEAR_IN_BIAS 2
#define LINEAR_IN_RESIDUAL 3
#define LINEAR_IN_BRANCHES 4

/* x W^T + bias */
static struct vk_product main_product(const struct cr_call *call)
{
    return (struct vk_product){
        .x = vk_address(&call->in[LINEAR_IN_X]),
        .w = &call->in[LINEAR_IN_W],
        .y = vk_address(&call->out[0]),
        .rows = vk_rows(&call->in[LINEAR_IN_X]),
        .bias = vk_address(&call->in[LINEAR_IN_BIAS]),
    };
}

static int linear(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct vk_product product = main_product(call);
    return vk_product(vk, &product, err);
}

/* t[rows,r] = A source, in scratch; only the rows whose scale is not 0 are needed. */
static int project_down(struct vk *vk, const struct cr_call *call, const struct cr_operand *branch,
                        int64_t rows, uint64_t *t, struct cr_error *err)
{
    const struct cr_operand *source = vk_present(&branch[2]) ? &branch[2] : &call->in[LINEAR_IN_X];
    const uint64_t bytes = (uint64_t)rows * (uint64_t)branch[0].shape[0] * sizeof(float);
    int result = vk_scratch(vk, bytes, t, err);
    if (result < 0)
        return result;
    const struct vk_product product = {
        .x = vk_address(source),
        .w = &branch[0],
        .y = *t,
        .rows = rows,
        .scale = vk_address(&branch[3]),
    };
    return vk_product(vk, &product, err);
}

/* The operands of the call's branches that have a rank at all: A, B, source, scale. */
static int list_branches(const struct cr_call *call, const struct cr_operand *list[])
{
    int count = 0;
    for (int i = 0; i < (int)call->ints[1]; i++) {
        const struct cr_operand *branch = &call->in[LINEAR_IN_BRANCHES + 4 * i];
        if (branch[0].shape[0] > 0)
            list[count++] = branch;
    }
    return count;
}

static void finish_with(struct vk_product *last, const struct cr_call *call)
{
    last->activation = (enum cr_activation)call->ints[0];
    last->residual = vk_address(&call->in[LINEAR_IN_RESIDUAL]);
}

static int linear_fused(struct vk *vk, const struct cr_call *call, struct cr_error *err)
{
    const struct cr_operand *branches[CR_MAX_BRANCHES];
    const int count = list_branches(call, branches);
    uint64_t t[CR_MAX_BRANCHES];
    struct vk_product product = main_product(call);
    if (product.rows == 0 || product.w->shape[0] == 0)
        return 0;
    /* Before the large product: nothing here waits for anything else. */
    for (int i = 0; i < count; i++) {
        int result = project_down(vk, call, branches[i], product.rows, &t[i], err);
        if (result < 0)
            return result;
    }
    if (count == 0)
        finish_with(&product, call);
    int result = vk_product(vk, &product, err);
    for (int i = 0; i < count && result == 0; i++) {
        struct vk_product up = {
            .x = t[i],
            .w = &branches[i][1],
            .y = product.y,
            .rows = product.rows,
            .scale = vk_address(&branches[i][3]),
            .add = true,
        };
        if (i == count - 1)
            finish_with(&up, call);
        result = vk_product(vk, &up, err);
    }
    return result;
}

static const char *linear_variant(const struct vk *vk, const struct cr_call *call)
{
    return vk_product_variant(vk, &call->in[LINEAR_IN_X], &call->in[LINEAR_IN_W]);
}

static const struct vk_entry entries[] = {
    {CR_OP_LINEAR, linear, linear_variant},
    {CR_OP_LINEAR_FUSED, linear_fused, linear_variant},
    {CR_OP_MATMUL, vk_matmul, vk_matmul_variant},
    {0, NULL, NULL},
};

const struct vk_family vk_linear_family = {entries, vk_linear_variants};
