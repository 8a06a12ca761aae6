/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/claim.h"
#include "model/numbers.h"
#include "tensor/quantized.h"

/* ---- Shapes ---- */

/* Without extents of 1 at both ends. */
static int strip(int rank, const int64_t *shape, const int64_t **start)
{
    while (rank > 0 && shape[0] == 1) {
        shape++;
        rank--;
    }
    while (rank > 0 && shape[rank - 1] == 1)
        rank--;
    *start = shape;
    return rank;
}

/* The product; false: it does not fit. */
static bool product(int rank, const int64_t *shape, int64_t *elements)
{
    *elements = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] > 0 && *elements > INT64_MAX / shape[i])
            return false;
        *elements *= shape[i];
    }
    return true;
}

static bool match_each(const struct cr_plan *plan, int rank, const int64_t *shape, int64_t *filled)
{
    for (int i = 0; i < plan->rank && rank == plan->rank; i++) {
        if (plan->shape[i] >= 0 && plan->shape[i] != shape[i])
            return false;
        filled[i] = shape[i];
    }
    return rank == plan->rank;
}

/* Can the extents of the claim, of which one may be open, be made of as many elements? */
static bool match_count(const struct cr_plan *plan, int rank, const int64_t *shape,
                        int64_t elements, int64_t *filled)
{
    const int64_t *inner, *wanted;
    int64_t known = 1, all = 0;
    int open = -1;
    for (int i = 0; i < plan->rank; i++) {
        filled[i] = plan->shape[i];
        if (filled[i] < 0)
            open = i;
        else if (filled[i] > 0 && known > INT64_MAX / filled[i])
            return false;
        else
            known *= filled[i];
    }
    if (open >= 0 && (known == 0 || elements % known != 0))
        return false;
    if (open >= 0)
        filled[open] = elements / known;
    int inner_rank = strip(rank, shape, &inner), wanted_rank = strip(plan->rank, filled, &wanted);
    return product(plan->rank, filled, &all) && all == elements &&
           (inner_rank > 0) == (wanted_rank > 0) && (inner_rank == 0 || inner[0] == wanted[0]);
}

/* Does what the files hold have the shape that is claimed? Fills open extents. */
static bool fit(struct cr_plan *plan, int rank, const int64_t *shape, int64_t elements)
{
    int64_t filled[CR_TENSOR_MAX_RANK] = {0};
    const int64_t *inner;
    int inner_rank = strip(rank, shape, &inner), open = 0;
    for (int i = 0; i < plan->rank; i++)
        open += plan->shape[i] < 0;
    if (!match_each(plan, rank, shape, filled) && !match_each(plan, inner_rank, inner, filled) &&
        (open > 1 || !match_count(plan, rank, shape, elements, filled)))
        return false;
    memcpy(plan->shape, filled, sizeof(filled));
    plan->elements = elements;
    return true;
}

/* ---- Parts ---- */

static int64_t row_elements(const struct cr_weight_source *source)
{
    int64_t elements = 1;
    for (int i = 1; i < source->rank; i++)
        elements *= source->shape[i];
    return elements;
}

/* The rows that a part means; false: they are not there. */
static bool set_rows(struct cr_plan_part *part, const struct cr_claim_part *wanted, int64_t *rows)
{
    int64_t all = part->source.rank > 0 ? part->source.shape[0] : 1;
    int64_t row = row_elements(&part->source);
    *rows = wanted->count == 0 ? all - wanted->start : wanted->count;
    if (wanted->start < 0 || *rows < 0 || wanted->start > all || *rows > all - wanted->start)
        return false;
    part->from = wanted->start * row;
    part->count = *rows * row;
    return true;
}

/* Find every part; then `shape` is that of all rows together. 1: a problem was found. */
static int find_parts(struct cr_plan *plan, const struct cr_model *model, int *rank, int64_t *shape,
                      struct cr_claim_problems *problems, struct cr_error *err)
{
    const struct cr_claim_item *item = plan->item;
    int64_t rows = 0, at = 0;
    for (size_t i = 0; i < item->part_count; i++) {
        struct cr_plan_part *part = &plan->parts[i];
        struct cr_error why = CR_ERROR_INIT;
        int64_t here = 0;
        int result = cr_weight_source_find(&part->source, model, item->parts[i].name, &why);
        if (result == CR_ERR_NOT_FOUND)
            cr_claim_problem(problems, "\"%s\" is missing", why.message);
        else if (result == CR_ERR_FORMAT || result == CR_ERR_LIMIT)
            cr_claim_problem(problems, "%s", why.message);
        else if (result < 0)
            return cr_fail(err, result, "%s", why.message);
        else if (!set_rows(part, &item->parts[i], &here))
            cr_claim_problem(problems, "\"%.200s\" has %lld rows, %lld from %lld on are wanted",
                             item->parts[i].name, (long long)part->source.shape[0],
                             (long long)item->parts[i].count, (long long)item->parts[i].start);
        else if (i > 0 && row_elements(&part->source) != row_elements(&plan->parts[0].source))
            cr_claim_problem(problems,
                             "\"%.200s\" has rows of %lld, \"%.200s\" of %lld; they cannot be put "
                             "together",
                             item->parts[i].name, (long long)row_elements(&part->source),
                             item->parts[0].name, (long long)row_elements(&plan->parts[0].source));
        else
            result = 1;
        if (result <= 0)
            return 1;
        part->at = at;
        at += part->count;
        rows += here;
        plan->part_count++;
    }
    *rank = plan->parts[0].source.rank;
    memcpy(shape, plan->parts[0].source.shape, sizeof(plan->parts[0].source.shape));
    if (*rank > 0)
        shape[0] = rows;
    return 0;
}

/* ---- Types ---- */

static bool is_quantized(enum cr_dtype dtype)
{
    return dtype == CR_DTYPE_Q8_0 || dtype == CR_DTYPE_NF4;
}

static int64_t block_of(enum cr_dtype dtype)
{
    return dtype == CR_DTYPE_NF4 ? CR_NF4_BLOCK : CR_Q8_0_BLOCK;
}

/* Can this source become the type? */
static bool converts(const struct cr_weight_source *source, enum cr_dtype dtype)
{
    if (source->kind != CR_SOURCE_DENSE)
        return is_quantized(dtype) || dtype == CR_DTYPE_F32 || dtype == CR_DTYPE_F16;
    return cr_numbers_convert(source->values.tensor->dtype,
                              is_quantized(dtype) ? CR_DTYPE_F32 : dtype);
}

/* Quantised parts stay as they are if they all are what is wanted, in whole blocks. */
static bool choose_copy(struct cr_plan *plan, struct cr_claim_problems *problems)
{
    enum cr_dtype dtype = plan->item->dtype;
    enum cr_weight_source_kind kind = dtype == CR_DTYPE_NF4 ? CR_SOURCE_NF4 : CR_SOURCE_Q8_0;
    int64_t block = block_of(dtype);
    size_t ready = 0;
    for (size_t i = 0; i < plan->part_count; i++)
        ready += plan->parts[i].source.kind == kind;
    if (ready == 0)
        return true;
    if (ready < plan->part_count) {
        cr_claim_problem(
            problems,
            "\"%.200s\" and \"%.200s\" cannot be put together as %s: only one is saved so",
            plan->item->parts[0].name, plan->item->parts[plan->part_count - 1].name,
            cr_dtype_name(dtype));
        return false;
    }
    for (size_t i = 0; i < plan->part_count; i++) {
        const struct cr_plan_part *part = &plan->parts[i];
        if (part->from % block != 0 || (i + 1 < plan->part_count && part->count % block != 0)) {
            cr_claim_problem(
                problems,
                "the rows of \"%.200s\" that are wanted are no whole blocks of %lld, in "
                "which it is saved as %s; claim f16 or f32",
                plan->item->parts[i].name, (long long)block, cr_dtype_name(dtype));
            return false;
        }
    }
    const struct cr_plan_part *first = &plan->parts[0];
    plan->mode = CR_PLAN_COPY;
    plan->nested =
        plan->part_count == 1 && first->source.nested && first->count == first->source.elements;
    return true;
}

static void choose_mode(struct cr_plan *plan, struct cr_claim_problems *problems)
{
    const struct cr_claim_item *item = plan->item;
    for (size_t i = 0; i < plan->part_count; i++)
        if (!converts(&plan->parts[i].source, item->dtype)) {
            cr_claim_problem(problems, "\"%.200s\" is %s, which cannot become %s",
                             item->parts[i].name, cr_weight_source_type(&plan->parts[i].source),
                             cr_dtype_name(item->dtype));
            return;
        }
    if (!is_quantized(item->dtype))
        return;
    plan->mode = CR_PLAN_QUANTIZE;
    plan->nested = item->dtype == CR_DTYPE_NF4 && (item->flags & CR_CLAIM_NESTED) != 0;
    if ((item->flags & CR_CLAIM_HOST) != 0 || item->rank != 2)
        cr_claim_problem(problems,
                         "\"%.200s\" is claimed as %s, which only matrices on a device can be",
                         item->parts[0].name, cr_dtype_name(item->dtype));
    else
        choose_copy(plan, problems);
}

/* ---- All of it ---- */

/* Absent, though nobody minds? Only if no part is there. */
static bool is_absent(const struct cr_model *model, const struct cr_claim_item *item)
{
    bool absent = (item->flags & CR_CLAIM_OPTIONAL) != 0;
    for (size_t i = 0; i < item->part_count && absent; i++)
        absent = cr_model_find(model, item->parts[i].name) == NULL;
    return absent;
}

int cr_plan_make(struct cr_plan *plan, const struct cr_model *model,
                 const struct cr_claim_item *item, struct cr_claim_problems *problems,
                 struct cr_error *err)
{
    int64_t shape[CR_MODEL_MAX_RANK];
    int rank = 0;
    *plan = (struct cr_plan){.item = item, .mode = CR_PLAN_DENSE, .rank = item->rank};
    memcpy(plan->shape, item->shape, sizeof(plan->shape));
    if (is_absent(model, item))
        return 0;
    plan->parts = cr_calloc(item->part_count, sizeof(*plan->parts));
    if (plan->parts == NULL)
        return cr_fail_memory(err, item->part_count * sizeof(*plan->parts));
    int result = find_parts(plan, model, &rank, shape, problems, err);
    if (result != 0)
        return result < 0 ? result : 0;
    int64_t elements = 0;
    for (size_t i = 0; i < plan->part_count; i++)
        elements += plan->parts[i].count;
    if (!fit(plan, rank, shape, elements)) {
        char found[CR_SHAPE_TEXT], wanted[CR_SHAPE_TEXT];
        cr_claim_problem(problems, "\"%.200s\" is %s, %s is needed", item->parts[0].name,
                         cr_model_shape(found, rank, shape),
                         cr_model_shape(wanted, item->rank, item->shape));
        return 0;
    }
    choose_mode(plan, problems);
    return 0;
}

void cr_plan_finish(struct cr_plan *plan)
{
    for (size_t i = 0; i < plan->part_count; i++)
        cr_weight_source_finish(&plan->parts[i].source);
    cr_free(plan->parts);
    plan->parts = NULL;
    plan->part_count = 0;
}

uint64_t cr_plan_bytes(const struct cr_plan *plan)
{
    if (plan->part_count == 0)
        return 0;
    if (plan->mode == CR_PLAN_DENSE)
        return (uint64_t)plan->elements * cr_dtype_size(plan->item->dtype);
    return cr_quantized_layout(plan->item->dtype, plan->elements, plan->nested).bytes;
}
