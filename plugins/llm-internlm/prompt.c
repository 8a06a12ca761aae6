/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/memory.h>

#include "llm.h"

/* ---- Features ---- */

/* Features [B, G, width], or [B, n, G, width] for n pictures an item. */
struct features {
    const struct cr_tensor *tensor; /* NULL: not connected */
    int64_t pictures, patches, width;
};

static int take_features(struct features *features, const char *port, struct cr_context *context,
                         struct cr_error *err)
{
    const struct cr_value *value = cr_context_input(context, port);
    *features = (struct features){.tensor = NULL};
    if (value == NULL)
        return 0;
    const struct cr_tensor *tensor = features->tensor = cr_value_tensor(value);
    const int rank = cr_tensor_rank(tensor);
    if (cr_tensor_dtype(tensor) != CR_DTYPE_F32 || rank < 3)
        return cr_fail(
            err, CR_ERR_ARGUMENT,
            "%s must be f32 [B, patches, width] or [B, pictures, patches, width], not %s "
            "of rank %d",
            port, cr_dtype_name(cr_tensor_dtype(tensor)), rank);
    features->pictures = rank == 3 ? 1 : cr_tensor_extent(tensor, 1);
    features->patches = cr_tensor_extent(tensor, rank - 2);
    features->width = cr_tensor_extent(tensor, rank - 1);
    return 0;
}

static int check_width(const struct features *features, const char *port, int64_t width,
                       const char *why, struct cr_error *err)
{
    if (features->tensor == NULL || features->width == width)
        return 0;
    return cr_fail(err, CR_ERR_ARGUMENT, "%s is %lld wide; %s %lld", port,
                   (long long)features->width, why, (long long)width);
}

/* What the crayon features have to fit, by the way in which they enter. */
static int check_crayon(const struct features *crayon, const struct llm *llm, struct cr_error *err)
{
    const struct llm_branch *branch = &llm->weights.layers[0].qkv.crayon;
    if (llm->crayon == LLM_CRAYON_ADD)
        return check_width(crayon, "crayon", llm->config.width, "the model takes", err);
    if (llm->crayon == LLM_CRAYON_PLORA && crayon->tensor != NULL && branch->a == NULL)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "crayon features are connected, and the model has no branches for them "
                       "(Plora_seg_*); set \"crayon\" to \"add\" or \"none\"");
    if (llm->crayon == LLM_CRAYON_PLORA && branch->a != NULL)
        return check_width(crayon, "crayon", cr_tensor_extent(branch->a, 1),
                           "the model's branches take", err);
    return 0;
}

/* ---- From ids ---- */

static int count_rows(struct llm_prompt *prompt, const struct llm *llm, const int32_t *ids,
                      size_t count, const struct features *image, struct cr_error *err)
{
    const int64_t tokens = cr_tensor_extent(llm->weights.embedding, 0);
    int64_t pictures = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= tokens)
            return cr_fail(err, CR_ERR_ARGUMENT, "token %zu is %d; the model has 0..%lld", i,
                           ids[i], (long long)tokens - 1);
        pictures += ids[i] == llm->image_token;
    }
    if (count == 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "the prompt is empty");
    if (pictures > 0 && image->tensor == NULL)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "the prompt holds <image> (token %d), and \"image\" is not connected",
                       llm->image_token);
    if (pictures > 0 && pictures != image->pictures)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "the prompt holds <image> %lld times for %lld pictures", (long long)pictures,
                       (long long)image->pictures);
    prompt->images = pictures * image->patches;
    prompt->rows = (int64_t)count - pictures + prompt->images;
    return 0;
}

static void expand(struct llm_prompt *prompt, const struct llm *llm, const int32_t *ids,
                   size_t count, const struct features *image, size_t item)
{
    int32_t next = (int32_t)((int64_t)item * image->pictures * image->patches);
    int64_t row = 0;
    for (size_t i = 0; i < count; i++) {
        bool picture = ids[i] == llm->image_token;
        for (int64_t k = picture ? image->patches : 1; k > 0; k--, row++) {
            prompt->ids[row] = picture ? -1 : ids[i];
            prompt->image[row] = picture ? next++ : -1;
        }
    }
}

static int make_from_ids(struct llm_prompt *prompt, const struct llm *llm, const int32_t *ids,
                         size_t count, const struct features *image, size_t item,
                         struct cr_context *context, struct cr_error *err)
{
    int result = count_rows(prompt, llm, ids, count, image, err);
    if (result < 0)
        return result;
    prompt->ids = cr_context_scratch(context, (size_t)prompt->rows * sizeof(int32_t), err);
    prompt->image = cr_context_scratch(context, (size_t)prompt->rows * sizeof(int32_t), err);
    if (prompt->ids == NULL || prompt->image == NULL)
        return CR_ERR_MEMORY;
    expand(prompt, llm, ids, count, image, item);
    return 0;
}

/* ---- From embeddings ---- */

/* Which rows are a picture's: [B, L], anything but 0 is one. NULL when the port is not connected.
 */
static int take_image_rows(int32_t **rows, const struct cr_tensor *embeddings,
                           struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *value = cr_context_input(context, "image_rows");
    *rows = NULL;
    if (value == NULL)
        return 0;
    const struct cr_tensor *tensor = cr_value_tensor(value);
    const enum cr_dtype dtype = cr_tensor_dtype(tensor);
    const size_t count = (size_t)cr_tensor_elements(tensor);
    if ((dtype != CR_DTYPE_I32 && dtype != CR_DTYPE_U8) ||
        cr_tensor_elements(tensor) !=
            cr_tensor_extent(embeddings, 0) * cr_tensor_extent(embeddings, 1))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "image_rows must be i32 or u8 [B, L], one for each row of embeddings");
    if ((*rows = cr_context_scratch(context, (count + 1) * sizeof(int32_t), err)) == NULL)
        return CR_ERR_MEMORY;
    uint8_t *bytes = (uint8_t *)*rows;
    int result = cr_tensor_read(tensor, *rows, count * cr_dtype_size(dtype), err);
    for (size_t i = count; i-- > 0 && dtype == CR_DTYPE_U8;)
        (*rows)[i] = bytes[i];
    return result;
}

static int make_from_embeddings(struct llm_prompt *prompt, const int32_t *image_rows,
                                int64_t length, const struct features *crayon, size_t item,
                                struct cr_context *context, struct cr_error *err)
{
    prompt->rows = length;
    prompt->image = cr_context_scratch(context, (size_t)length * sizeof(int32_t), err);
    if (prompt->image == NULL)
        return CR_ERR_MEMORY;
    const int64_t first = (int64_t)item * crayon->pictures * crayon->patches;
    for (int64_t i = 0; i < length; i++) {
        bool picture = image_rows != NULL && image_rows[(int64_t)item * length + i] != 0;
        prompt->image[i] = picture ? (int32_t)(first + prompt->images) : -1;
        prompt->images += picture;
    }
    return 0;
}

/* ---- Padding ---- */

/* The mask of a padded batch of ids: [B, L], 0 where there is no token: to the left only. */
static int take_mask(const int32_t **ids, size_t *sizes, struct llm_prompt *prompt, size_t item,
                     const int32_t *mask, size_t width, struct cr_error *err)
{
    size_t start = 0;
    if (*sizes != width)
        return cr_fail(err, CR_ERR_ARGUMENT, "%zu tokens, and a mask for %zu", *sizes, width);
    mask += item * width;
    while (start < width && mask[start] == 0)
        start++;
    for (size_t i = start; i < width; i++)
        if (mask[i] == 0)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "the mask hides token %zu behind one that it shows; only tokens on the "
                           "left may be hidden",
                           i);
    *ids += start;
    *sizes -= start;
    prompt->padding = (int64_t)start;
    return 0;
}

static int read_mask(int32_t **mask, size_t *width, size_t items, struct cr_context *context,
                     struct cr_error *err)
{
    const struct cr_value *value = cr_context_input(context, "mask");
    *mask = NULL;
    if (value == NULL)
        return 0;
    const struct cr_tensor *tensor = cr_value_tensor(value);
    if (cr_tensor_dtype(tensor) != CR_DTYPE_I32 || cr_tensor_rank(tensor) != 2 ||
        cr_tensor_extent(tensor, 0) != (int64_t)items)
        return cr_fail(err, CR_ERR_ARGUMENT, "mask must be i32 [B, L], 1 for a token, 0 for none");
    const size_t bytes = (size_t)cr_tensor_elements(tensor) * sizeof(int32_t);
    *width = (size_t)cr_tensor_extent(tensor, 1);
    if ((*mask = cr_context_scratch(context, bytes + 1, err)) == NULL)
        return CR_ERR_MEMORY;
    return cr_tensor_read(tensor, *mask, bytes, err);
}

/* ---- The batch ---- */

static int make_all_from_ids(struct llm_batch *batch, const struct llm *llm,
                             const struct llm_ids *given, const struct features *image,
                             struct cr_context *context, struct cr_error *err)
{
    int32_t *mask = NULL;
    size_t width = 0;
    int result = read_mask(&mask, &width, given->count, context, err);
    for (size_t i = 0; i < given->count && result == 0; i++) {
        const int32_t *ids = given->ids[i];
        size_t size = given->sizes[i];
        if (mask != NULL)
            result = take_mask(&ids, &size, &batch->prompts[i], i, mask, width, err);
        if (result == 0)
            result = make_from_ids(&batch->prompts[i], llm, ids, size, image, i, context, err);
        if (result < 0)
            cr_error_prefix(err, "item %zu", i);
    }
    return result;
}

static int make_all_from_embeddings(struct llm_batch *batch, const struct llm *llm,
                                    const struct features *crayon, struct cr_context *context,
                                    struct cr_error *err)
{
    const struct cr_tensor *given = batch->embeddings;
    int32_t *image_rows = NULL;
    if (cr_tensor_dtype(given) != CR_DTYPE_F32 || cr_tensor_rank(given) != 3 ||
        cr_tensor_extent(given, 1) < 1 || cr_tensor_extent(given, 2) != llm->config.width)
        return cr_fail(err, CR_ERR_ARGUMENT, "embeddings must be f32 [B, L, %lld]",
                       (long long)llm->config.width);
    int result = take_image_rows(&image_rows, given, context, err);
    for (size_t i = 0; i < batch->count && result == 0; i++)
        result = make_from_embeddings(&batch->prompts[i], image_rows, cr_tensor_extent(given, 1),
                                      crayon, i, context, err);
    return result;
}

static int check_rows(struct llm_batch *batch, const struct features *crayon, struct cr_error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct llm_prompt *prompt = &batch->prompts[i];
        const int64_t rows = crayon->pictures * crayon->patches;
        if (crayon->tensor != NULL && prompt->images > 0 && prompt->images != rows)
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "item %zu: crayon has %lld rows for %lld rows of pictures; they must "
                           "agree",
                           i, (long long)rows, (long long)prompt->images);
        if (prompt->rows + prompt->padding > batch->longest)
            batch->longest = prompt->rows + prompt->padding;
    }
    for (size_t i = 0; i < batch->count; i++)
        batch->prompts[i].padding = batch->longest - batch->prompts[i].rows;
    return 0;
}

int llm_batch_make(struct llm_batch *batch, const struct llm *llm, const struct llm_ids *ids,
                   struct cr_context *context, struct cr_error *err)
{
    const struct cr_value *given = cr_context_input(context, "embeddings");
    struct features image, crayon;
    *batch = (struct llm_batch){.count = given != NULL ? cr_value_count(given) : ids->count};
    batch->prompts = cr_context_scratch(context, (batch->count + 1) * sizeof(*batch->prompts), err);
    int result = batch->prompts == NULL ? CR_ERR_MEMORY : 0;
    if (result == 0)
        result = take_features(&image, "image", context, err);
    if (result == 0)
        result = take_features(&crayon, "crayon", context, err);
    if (result == 0)
        result = check_width(&image, "image", llm->config.width, "the model takes", err);
    if (result == 0)
        result = check_crayon(&crayon, llm, err);
    if (result < 0)
        return result;
    batch->image = image.tensor;
    batch->crayon = llm->crayon == LLM_CRAYON_NONE ? NULL : crayon.tensor;
    batch->embeddings = given != NULL ? cr_value_tensor(given) : NULL;
    result = given != NULL ? make_all_from_embeddings(batch, llm, &crayon, context, err)
                           : make_all_from_ids(batch, llm, ids, &image, context, err);
    return result < 0 ? result : check_rows(batch, &crayon, err);
}

static int stretch(struct llm_prompt *prompt, int64_t rows, struct cr_context *context,
                   struct cr_error *err)
{
    const size_t before = (size_t)prompt->rows * sizeof(int32_t);
    int32_t *ids = cr_context_scratch(context, (size_t)rows * sizeof(*ids), err);
    int32_t *image = cr_context_scratch(context, (size_t)rows * sizeof(*image), err);
    if (ids == NULL || image == NULL)
        return CR_ERR_MEMORY;
    memcpy(ids, prompt->ids, before);
    memcpy(image, prompt->image, before);
    for (int64_t i = prompt->rows; i < rows; i++)
        image[i] = -1;
    *prompt =
        (struct llm_prompt){.rows = rows, .images = prompt->images, .ids = ids, .image = image};
    return 0;
}

int llm_batch_stretch(struct llm_batch *batch, int64_t rows, struct cr_context *context,
                      struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < batch->count && result == 0; i++)
        if (batch->prompts[i].ids != NULL && batch->prompts[i].rows < rows)
            result = stretch(&batch->prompts[i], rows, context, err);
    batch->longest = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->prompts[i].rows > batch->longest)
            batch->longest = batch->prompts[i].rows;
    for (size_t i = 0; i < batch->count; i++)
        batch->prompts[i].padding = batch->longest - batch->prompts[i].rows;
    return result;
}
