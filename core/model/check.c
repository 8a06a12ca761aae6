/* SPDX-License-Identifier: MIT */
/* check.c: is everything there that was claimed, and nothing else? */
#include <string.h>

#include "model/claim.h"

/* Problems beyond these are counted only; so is what would not fit into an error. */
#define MAX_LISTED 20
#define MAX_TEXT 1700

void cr_claim_problem(struct cr_claim_problems *problems, const char *format, ...)
{
    problems->count++;
    if (problems->listed == MAX_LISTED || problems->text.size > MAX_TEXT)
        return;
    problems->listed++;
    struct cr_error problem = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&problem, CR_ERR_FORMAT, format, args);
    va_end(args);
    cr_text_printf(&problems->text, "%s%s", problems->count > 1 ? "; " : "", problem.message);
}

bool cr_claim_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *back = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            back = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++back;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* ---- What is in the files besides ---- */

/* Which stored tensors does the claim know of: those that it names, their parts if they are
 * quantised, and those that it ignores. One flag for each tensor of the model; NULL: no memory. */
static bool *known_tensors(const struct cr_claim *claim)
{
    const struct cr_model *model = claim->model;
    bool *known = cr_calloc(model->count, sizeof(*known));
    if (known == NULL)
        return NULL;
    for (size_t i = 0; i < claim->count; i++)
        for (size_t j = 0; j < claim->items[i].part_count; j++) {
            const struct cr_stored *stored = cr_model_find(model, claim->items[i].parts[j].name);
            if (stored != NULL)
                known[stored - model->tensors] = true;
        }
    for (size_t i = 0; i < model->count; i++)
        for (size_t j = 0; j < claim->ignored_count && !known[i]; j++)
            known[i] = cr_claim_matches(claim->ignored[j], model->tensors[i].tensor->name);
    return known;
}

/* The parts of quantised matrices stand behind their matrix, and may come before it in the list. */
static int know_parts(const struct cr_model *model, bool *known, struct cr_error *err)
{
    for (size_t i = 0; i < model->count; i++) {
        const char *name = model->tensors[i].tensor->name;
        size_t length = known[i] ? 0 : cr_weight_source_owner(name);
        if (length == 0)
            continue;
        char *owner = cr_strndup(name, length);
        if (owner == NULL)
            return cr_fail_memory(err, length + 1);
        const struct cr_stored *stored = cr_model_find(model, owner);
        known[i] = stored != NULL && known[stored - model->tensors];
        cr_free(owner);
    }
    return 0;
}

static int know(const struct cr_claim *claim, bool **known, struct cr_error *err)
{
    *known = known_tensors(claim);
    if (*known == NULL)
        return cr_fail_memory(err, claim->model->count);
    int result = know_parts(claim->model, *known, err);
    if (result < 0) {
        cr_free(*known);
        *known = NULL;
    }
    return result;
}

static bool has_prefix(const struct cr_claim *claim, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < claim->prefix_count && !found; i++)
        found = strncmp(name, claim->prefixes[i], strlen(claim->prefixes[i])) == 0;
    return found;
}

static int find_unexpected(const struct cr_claim *claim, struct cr_claim_problems *problems,
                           struct cr_error *err)
{
    bool *known = NULL;
    int result = know(claim, &known, err);
    for (size_t i = 0; i < claim->model->count && result == 0; i++) {
        const char *name = claim->model->tensors[i].tensor->name;
        if (!known[i] && has_prefix(claim, name))
            cr_claim_problem(problems, "\"%.200s\" is not expected", name);
    }
    cr_free(known);
    return result;
}

int cr_claim_mark(const struct cr_claim *claim, struct cr_error *err)
{
    bool *known = NULL;
    int result = know(claim, &known, err);
    for (size_t i = 0; i < claim->model->count && result == 0; i++) {
        const struct cr_stored *stored = &claim->model->tensors[i];
        if (known[i])
            stored->file->claimed[stored->tensor - stored->file->header->tensors] = 1;
    }
    cr_free(known);
    return result;
}

/* ---- All of it ---- */

void cr_plans_destroy(struct cr_plan **plans, size_t count)
{
    for (size_t i = 0; i < count && *plans != NULL; i++)
        cr_plan_finish(&(*plans)[i]);
    cr_free(*plans);
    *plans = NULL;
}

static int report(const struct cr_claim *claim, const struct cr_claim_problems *problems,
                  struct cr_error *err)
{
    const char *folder = claim->model->folder;
    if (problems->count == 0)
        return 0;
    if (problems->text.failed)
        return cr_fail_memory(err, problems->text.capacity);
    if (problems->count == 1)
        return cr_fail(err, CR_ERR_FORMAT, "%s: %s", folder, problems->text.data);
    cr_fail(err, CR_ERR_FORMAT, "%s", problems->text.data);
    if (problems->count > problems->listed)
        cr_fail(err, CR_ERR_FORMAT, "%s; and %zu more", problems->text.data,
                problems->count - problems->listed);
    return cr_error_prefix(err, "%s: %zu problems with its tensors", folder, problems->count);
}

static int plan_items(const struct cr_claim *claim, struct cr_plan *plans,
                      struct cr_claim_problems *problems, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < claim->count && result == 0; i++)
        result = cr_plan_make(&plans[i], claim->model, &claim->items[i], problems, err);
    return result;
}

int cr_claim_plan(struct cr_claim *claim, struct cr_plan **plans, struct cr_error *err)
{
    struct cr_claim_problems problems = {.count = 0};
    size_t count;
    *plans = NULL;
    if (claim->failure.code != 0)
        return cr_fail(err, claim->failure.code, "%s", claim->failure.message);
    int result = cr_model_tensors(claim->model, &count, err);
    if (result < 0)
        return result;
    if ((*plans = cr_calloc(claim->count, sizeof(**plans))) == NULL)
        return cr_fail_memory(err, claim->count * sizeof(**plans));
    result = plan_items(claim, *plans, &problems, err);
    if (result == 0)
        result = find_unexpected(claim, &problems, err);
    if (result == 0)
        result = report(claim, &problems, err);
    if (result < 0)
        cr_plans_destroy(plans, claim->count);
    cr_text_finish(&problems.text);
    return result;
}

int cr_claim_check(struct cr_claim *claim, struct cr_error *err)
{
    struct cr_plan *plans = NULL;
    int result = cr_claim_plan(claim, &plans, err);
    cr_plans_destroy(&plans, claim->count);
    return result;
}

uint64_t cr_claim_bytes(const struct cr_claim *claim)
{
    struct cr_claim_problems problems = {.count = 0};
    uint64_t bytes = 0;
    size_t count;
    if (cr_model_tensors(claim->model, &count, NULL) < 0)
        return 0;
    for (size_t i = 0; i < claim->count; i++) {
        struct cr_plan plan;
        size_t before = problems.count;
        if (cr_plan_make(&plan, claim->model, &claim->items[i], &problems, NULL) == 0 &&
            problems.count == before && (claim->items[i].flags & CR_CLAIM_HOST) == 0)
            bytes += cr_plan_bytes(&plan);
        cr_plan_finish(&plan);
    }
    cr_text_finish(&problems.text);
    return bytes;
}
