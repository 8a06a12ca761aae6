/* SPDX-License-Identifier: MIT */
#include "learned.h"

#define SEMANTIC "seg_prompt_embed.weight"
#define NUMBERING "seg_num_embed.weight"
#define CONNECTOR "vision_proj_for_seg."

static void claim_all(struct learned *learned, struct cr_claim *claim, struct cr_model *model,
                      enum cr_dtype weights)
{
    static const int64_t any[2] = {-1, -1};
    cr_claim_tensor(claim, &learned->semantic, CR_DTYPE_F32, 2, any, 0, SEMANTIC);
    cr_claim_tensor(claim, &learned->numbering, CR_DTYPE_F32, 2, any, 0, NUMBERING);
    if (!cr_model_has(model, CONNECTOR "0.weight"))
        return;
    cr_claim_prefix(claim, CONNECTOR);
    for (int i = 0; i < 2; i++) {
        cr_claim_tensor(claim, &learned->w[i], weights, 2, any, 0, CONNECTOR "%d.weight", 2 * i);
        cr_claim_tensor(claim, &learned->b[i], CR_DTYPE_F32, 1, any, 0, CONNECTOR "%d.bias", 2 * i);
    }
}

static int fail_shapes(const struct cr_model *model, const char *a, int64_t x, const char *b,
                       int64_t y, struct cr_error *err)
{
    return cr_fail(err, CR_ERR_FORMAT, "%s: %s is %lld wide and %s takes %lld; they should agree",
                   cr_model_folder(model), a, (long long)x, b, (long long)y);
}

static int check_shapes(const struct learned *learned, const struct cr_model *model,
                        struct cr_error *err)
{
    const int64_t d = cr_tensor_extent(learned->semantic, 1);
    if (cr_tensor_extent(learned->numbering, 1) != d)
        return fail_shapes(model, SEMANTIC, d, NUMBERING, cr_tensor_extent(learned->numbering, 1),
                           err);
    int64_t width = d;
    const char *before = SEMANTIC;
    for (int i = 0; i < 2 && learned->w[0] != NULL; i++) {
        static const char *const names[] = {CONNECTOR "0.weight", CONNECTOR "2.weight"};
        static const char *const biases[] = {CONNECTOR "0.bias", CONNECTOR "2.bias"};
        if (cr_tensor_extent(learned->w[i], 1) != width)
            return fail_shapes(model, before, width, names[i], cr_tensor_extent(learned->w[i], 1),
                               err);
        width = cr_tensor_extent(learned->w[i], 0);
        before = names[i];
        if (cr_tensor_extent(learned->b[i], 0) != width)
            return fail_shapes(model, names[i], width, biases[i],
                               cr_tensor_extent(learned->b[i], 0), err);
    }
    return 0;
}

int learned_load(struct learned *learned, struct cr_model *model, enum cr_dtype weights,
                 struct cr_context *context, struct cr_error *err)
{
    struct cr_claim *claim = NULL;
    int result = cr_claim_create(&claim, model, err);
    if (result < 0)
        return result;
    claim_all(learned, claim, model, weights);
    result = cr_context_load(context, claim, err);
    if (result == 0)
        result = check_shapes(learned, model, err);
    cr_claim_destroy(&claim);
    return result;
}

void learned_unload(struct learned *learned)
{
    cr_tensor_unref(&learned->semantic);
    cr_tensor_unref(&learned->numbering);
    for (int i = 0; i < 2; i++) {
        cr_tensor_unref(&learned->w[i]);
        cr_tensor_unref(&learned->b[i]);
    }
}

static int check_map(const char *port, const int32_t *map, size_t count, size_t cells, int64_t rows,
                     struct cr_error *err)
{
    for (size_t i = 0; i < count * cells; i++)
        if (map[i] < 0 || map[i] >= rows)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "%s of item %zu, cell %zu is %d; the model's table has rows 0..%lld",
                           port, i / cells, i % cells, map[i], (long long)rows - 1);
    return 0;
}

int learned_embed(struct cr_tensor **embedding, const struct learned *learned,
                  const int32_t *semantic, const int32_t *numbering, size_t count, size_t cells,
                  struct cr_error *err)
{
    const int64_t shape[2] = {(int64_t)count, (int64_t)cells};
    struct cr_chain c = CR_CHAIN_INIT(err);
    *embedding = NULL;
    c.result =
        check_map("semantic", semantic, count, cells, cr_tensor_extent(learned->semantic, 0), err);
    if (c.result == 0)
        c.result = check_map("numbering", numbering, count, cells,
                             cr_tensor_extent(learned->numbering, 0), err);
    struct cr_tensor *classes = CR_DO(&c, cr_tensor_create, CR_DTYPE_I32, 2, shape, semantic);
    struct cr_tensor *numbers = CR_DO(&c, cr_tensor_create, CR_DTYPE_I32, 2, shape, numbering);
    classes = CR_DO(&c, cr_op_embedding, learned->semantic, classes);
    numbers = CR_DO(&c, cr_op_embedding, learned->numbering, numbers);
    *embedding = cr_chain_take(&c, CR_DO(&c, cr_op_add, classes, numbers));
    return cr_chain_finish(&c);
}

int learned_connect(struct cr_tensor **features, const struct learned *learned,
                    const struct cr_tensor *embedding, struct cr_error *err)
{
    struct cr_chain c = CR_CHAIN_INIT(err);
    struct cr_tensor *x = CR_DO(&c, cr_op_linear_fused, embedding, learned->w[0], learned->b[0],
                                &(struct cr_linear_extra){.activation = CR_ACTIVATION_GELU});
    x = CR_DO(&c, cr_op_linear, x, learned->w[1], learned->b[1]);
    *features = cr_chain_take(&c, x);
    return cr_chain_finish(&c);
}
