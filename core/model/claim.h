/* SPDX-License-Identifier: MIT */
/* claim.h: what was claimed, and how it is going to be made. */
#ifndef CR_MODEL_CLAIM_H
#define CR_MODEL_CLAIM_H

#include <crayon/memory.h>

#include "model/source.h"

struct cr_claim_item {
    struct cr_tensor **tensor;
    enum cr_dtype dtype;
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    uint32_t flags;
    struct cr_claim_part *parts; /* their names are the item's */
    size_t part_count;
};

struct cr_claim {
    struct cr_model *model;
    struct cr_claim_item *items;
    size_t count, capacity;
    char **prefixes, **ignored;
    size_t prefix_count, ignored_count;
    struct cr_error failure; /* of an earlier call, which could not say so */
};

/* What is wrong with a claim. */
struct cr_claim_problems {
    struct cr_text text;
    size_t count, listed;
};
void cr_claim_problem(struct cr_claim_problems *problems, const char *format, ...) CR_PRINTF(2, 3);

/* Is `name` of this pattern, in which '*' stands for any characters? */
bool cr_claim_matches(const char *pattern, const char *name);

/* A run of elements of one source, and where it begins in the result. */
struct cr_plan_part {
    struct cr_weight_source source;
    int64_t from, count, at;
};

enum cr_plan_mode {
    CR_PLAN_DENSE,    /* numbers, converted or as they are */
    CR_PLAN_QUANTIZE, /* through f32 */
    CR_PLAN_COPY,     /* quantised in the files, and stays so */
};

/* How one item is made. */
struct cr_plan {
    const struct cr_claim_item *item;
    enum cr_plan_mode mode;
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    int64_t elements;
    bool nested; /* the result is doubly quantised */
    struct cr_plan_part *parts;
    size_t part_count;
};

/* Plan an item. What the user has to mend goes to `problems`; the plan then is not to be used. A
 * plan without parts: an optional tensor that is absent. */
int cr_plan_make(struct cr_plan *plan, const struct cr_model *model,
                 const struct cr_claim_item *item, struct cr_claim_problems *problems,
                 struct cr_error *err);
void cr_plan_finish(struct cr_plan *plan);
/* Bytes of its tensor on a device. */
uint64_t cr_plan_bytes(const struct cr_plan *plan);

/* Plans of all items, in their order, after all checks. */
int cr_claim_plan(struct cr_claim *claim, struct cr_plan **plans, struct cr_error *err);
void cr_plans_destroy(struct cr_plan **plans, size_t count);
/* Note in the store that somebody wants what the claim names. */
int cr_claim_mark(const struct cr_claim *claim, struct cr_error *err);

#endif
