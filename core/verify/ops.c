/* SPDX-License-Identifier: MIT */
/* ops.c: cases that run one tensor operation. */
#include <string.h>

#include <crayon/memory.h>

#include "pipeline/hint.h"
#include "verify/op.h"

/* ---- Operands ---- */

static const cJSON *find(const struct op *op, const char *key, const char *name)
{
    return cr_json_get(cr_json_get(op->c->json, key), name);
}

bool op_has(const struct op *op, const char *name)
{
    return find(op, "inputs", name) != NULL;
}

static void keep(struct op *op, struct cr_tensor *tensor)
{
    op->operands[op->operand_count++] = tensor;
}

/* The type that an operand is converted to; 0: it stays as it is. */
static enum cr_dtype target(const struct cr_tensor *tensor, enum op_type type)
{
    enum cr_dtype dtype = cr_tensor_dtype(tensor), wanted = dtype;
    if (type == OP_F32 || (type == OP_REAL && (dtype == CR_DTYPE_I32 || dtype == CR_DTYPE_U8)))
        wanted = CR_DTYPE_F32;
    else if (type == OP_I32)
        wanted = CR_DTYPE_I32;
    else if (type == OP_U8)
        wanted = CR_DTYPE_U8;
    return wanted == dtype ? (enum cr_dtype)0 : wanted;
}

/* To the device, and to the type in which the operation takes it. */
static struct cr_tensor *convert(struct op *op, struct cr_tensor *given, enum op_type type,
                                 struct cr_error *err)
{
    struct cr_tensor *there = NULL, *right = NULL;
    if (cr_tensor_to(&there, given, op->device, err) < 0)
        return NULL;
    if (target(there, type) == 0)
        return there;
    int result = cr_op_cast(&right, there, target(there, type), err);
    cr_tensor_unref(&there);
    return result < 0 ? NULL : right;
}

static struct cr_tensor *load(struct op *op, const char *name, enum op_type type)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *given = NULL, *tensor = NULL;
    bool is_row;
    if (verify_tensor(op->c, find(op, "inputs", name), op->device, &given, &is_row, &err) == 0)
        tensor = convert(op, given, type, &err);
    cr_tensor_unref(&given);
    if (tensor == NULL)
        verify_failure(op->c, VERIFY_PLACE("inputs", name), &err);
    else
        keep(op, tensor);
    return tensor;
}

struct cr_tensor *op_optional(struct op *op, const char *name, enum op_type type)
{
    op->inputs[op->input_count++] = name;
    return op_has(op, name) ? load(op, name, type) : NULL;
}

struct cr_tensor *op_in(struct op *op, const char *name, enum op_type type)
{
    op->inputs[op->input_count++] = name;
    if (op_has(op, name))
        return load(op, name, type);
    verify_problem(op->c, VERIFY_PLACE("inputs"), "%s needs the input \"%s\"", op->name, name);
    return NULL;
}

int32_t *op_host_ids(struct op *op, const char *name, size_t *count)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *tensor = op_in(op, name, OP_I32);
    *count = tensor == NULL ? 0 : (size_t)cr_tensor_elements(tensor);
    int32_t *ids = tensor == NULL ? NULL : cr_arena_alloc(&op->arena, *count * sizeof(*ids) + 1);
    if (tensor != NULL && ids == NULL)
        op->c->no_memory = true;
    else if (tensor != NULL && cr_tensor_read(tensor, ids, *count * sizeof(*ids), &err) < 0)
        verify_failure(op->c, VERIFY_PLACE("inputs", name), &err);
    return ids;
}

/* ---- Attributes ---- */

static const cJSON *attribute(struct op *op, const char *name)
{
    op->attributes[op->attribute_count++] = name;
    return find(op, "attributes", name);
}

static void wrong_kind(struct op *op, const cJSON *item, const char *needed)
{
    verify_problem(op->c, VERIFY_PLACE("attributes", item->string), "%s is needed here, not %s",
                   needed, cr_json_kind(item));
}

double op_number(struct op *op, const char *name, double initial)
{
    const cJSON *item = attribute(op, name);
    if (item != NULL && !cJSON_IsNumber(item))
        wrong_kind(op, item, "a number");
    return cJSON_IsNumber(item) ? item->valuedouble : initial;
}

int64_t op_integer(struct op *op, const char *name, int64_t initial)
{
    const cJSON *item = attribute(op, name);
    if (item != NULL && !cr_json_is_integer(item))
        wrong_kind(op, item, "a whole number");
    return cr_json_is_integer(item) ? (int64_t)item->valuedouble : initial;
}

bool op_flag(struct op *op, const char *name)
{
    const cJSON *item = attribute(op, name);
    if (item != NULL && !cJSON_IsBool(item))
        wrong_kind(op, item, "true or false");
    return cJSON_IsTrue(item);
}

int op_choice(struct op *op, const char *name, const char *const *words, int initial)
{
    const cJSON *item = attribute(op, name);
    struct cr_hint hint;
    if (item == NULL)
        return initial;
    if (!cJSON_IsString(item)) {
        wrong_kind(op, item, "a string");
        return initial;
    }
    cr_hint_init(&hint, item->valuestring, "words");
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], item->valuestring) == 0)
            return i;
        cr_hint_offer(&hint, words[i]);
    }
    verify_problem(op->c, VERIFY_PLACE("attributes", name), "no \"%s\"%s", item->valuestring,
                   cr_hint_text(&hint));
    return initial;
}

void op_list(struct op *op, const char *name, int64_t list[OP_MAX_LIST], size_t *count)
{
    const cJSON *item = attribute(op, name), *one;
    *count = 0;
    if (item == NULL)
        return;
    if (cr_json_is_integer(item)) {
        list[(*count)++] = (int64_t)item->valuedouble;
        return;
    }
    bool right = cJSON_IsArray(item) && cJSON_GetArraySize(item) <= OP_MAX_LIST;
    for (one = right ? item->child : NULL; one != NULL && right; one = one->next) {
        right = cr_json_is_integer(one);
        if (right)
            list[(*count)++] = (int64_t)one->valuedouble;
    }
    if (!right)
        wrong_kind(op, item, "a list of at most 16 whole numbers");
}

/* ---- Running ---- */

bool op_ready(struct op *op)
{
    op->inputs[op->input_count] = op->attributes[op->attribute_count] = NULL;
    verify_check_keys(op->c, VERIFY_PLACE("inputs"), cr_json_get(op->c->json, "inputs"), op->name,
                      op->inputs);
    verify_check_keys(op->c, VERIFY_PLACE("attributes"), cr_json_get(op->c->json, "attributes"),
                      op->name, op->attributes);
    return verify_goes_on(op->c);
}

struct cr_tensor **op_out(struct op *op, const char *name)
{
    op->output_names[op->output_count] = name;
    return &op->outputs[op->output_count++];
}

static const struct op_entry *find_entry(struct verify_case *c, const char *name)
{
    struct cr_hint hint;
    cr_hint_init(&hint, name, "operations");
    for (const struct op_entry *entry = op_entries; entry->name != NULL; entry++) {
        if (strcmp(entry->name, name) == 0)
            return entry;
        cr_hint_offer(&hint, entry->name);
    }
    verify_problem(c, VERIFY_PLACE("op"), "no operation \"%s\"%s", name, cr_hint_text(&hint));
    return NULL;
}

static void compare_output(struct op *op, struct cr_compared *compared)
{
    struct cr_hint hint;
    cr_hint_init(&hint, compared->name, "outputs");
    for (size_t i = 0; i < op->output_count; i++) {
        if (op->outputs[i] == NULL)
            continue;
        if (strcmp(op->output_names[i], compared->name) == 0) {
            verify_compare_tensor(op->c, compared, op->outputs[i]);
            return;
        }
        cr_hint_offer(&hint, op->output_names[i]);
    }
    verify_problem(op->c, VERIFY_PLACE("expected", compared->name), "%s has no output \"%s\"%s",
                   op->name, compared->name, cr_hint_text(&hint));
}

static void run(struct op *op, const struct op_entry *entry)
{
    struct verify_case *c = op->c;
    int result = entry->run(op);
    if (result == 0 && verify_goes_on(c))
        result = cr_device_finish(op->device, &op->err);
    if (result < 0)
        verify_failure(c, VERIFY_PLACE("op"), &op->err);
    verify_widen(c);
    for (size_t i = 0; i < c->result->count && verify_goes_on(c); i++)
        compare_output(op, &c->result->compared[i]);
}

void verify_run_op(struct verify_case *c)
{
    const char *name = cr_json_get(c->json, "op")->valuestring;
    const struct op_entry *entry = find_entry(c, name);
    const struct verify_device *device =
        entry == NULL ? NULL : verify_device(c, c->asked, VERIFY_PLACE(NULL));
    if (device == NULL)
        return;
    struct op op = {.c = c, .device = device->device, .name = name, .err = CR_ERROR_INIT};
    run(&op, entry);
    for (size_t i = 0; i < op.operand_count; i++)
        cr_tensor_unref(&op.operands[i]);
    for (size_t i = 0; i < op.output_count; i++)
        cr_tensor_unref(&op.outputs[i]);
    cr_arena_finish(&op.arena);
}
