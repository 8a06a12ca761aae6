/* SPDX-License-Identifier: MIT */
/* op.h: one tensor operation of a case: its operands and attributes, asked for by name.
 *
 * An operation asks for everything that it takes, then, if verify_op_ready(), it runs. What was
 * written and never asked for is a mistake. */
#ifndef CR_VERIFY_OP_H
#define CR_VERIFY_OP_H

#include <crayon/ops.h>

#include "verify/case.h"

#define OP_MAX_OPERANDS 32
#define OP_MAX_OUTPUTS 6
#define OP_MAX_LIST 16

struct op {
    struct verify_case *c;
    struct cr_device *device;
    const char *name;
    struct cr_tensor *operands[OP_MAX_OPERANDS]; /* kept until the end */
    size_t operand_count;
    const char *inputs[OP_MAX_OPERANDS], *attributes[OP_MAX_OPERANDS]; /* asked for; end in NULL */
    size_t input_count, attribute_count;
    const char *output_names[OP_MAX_OUTPUTS];
    struct cr_tensor *outputs[OP_MAX_OUTPUTS];
    size_t output_count;
    struct cr_arena arena;
    struct cr_error err;
};

/* How an operand is wanted on the device. */
enum op_type {
    OP_AS_IT_IS,
    OP_REAL, /* of whatever precision; whole numbers are converted to f32 */
    OP_F32,  /* converted */
    OP_I32,  /* converted from u8 */
    OP_U8,   /* converted from i32 */
};

/* The operand; NULL: it is not there, which is a mistake unless it is optional. */
struct cr_tensor *op_in(struct op *op, const char *name, enum op_type type);
struct cr_tensor *op_optional(struct op *op, const char *name, enum op_type type);
bool op_has(const struct op *op, const char *name);
/* Whole numbers on the host, `*count` of them, until the end; or NULL. */
int32_t *op_host_ids(struct op *op, const char *name, size_t *count);

double op_number(struct op *op, const char *name, double initial);
int64_t op_integer(struct op *op, const char *name, int64_t initial);
bool op_flag(struct op *op, const char *name);
/* The place in `words` (which ends with NULL) of a text; `initial` when it is left out. */
int op_choice(struct op *op, const char *name, const char *const *words, int initial);
/* A list of whole numbers, `*count` of them; a single one stands for itself. */
void op_list(struct op *op, const char *name, int64_t list[OP_MAX_LIST], size_t *count);

/* Nothing is wrong so far, and nothing is left that was not asked for. */
bool op_ready(struct op *op);
/* Where the result `name` goes. */
struct cr_tensor **op_out(struct op *op, const char *name);

/* ---- oplist.c ---- */

struct op_entry {
    const char *name;
    int (*run)(struct op *op);
};
extern const struct op_entry op_entries[]; /* end with a NULL name */

#endif
