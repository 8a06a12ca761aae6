/* SPDX-License-Identifier: MIT */
/* builder.h: how the front-end puts a call together.
 *
 *     struct cr_builder b;
 *     cr_build(&b, CR_OP_RMS_NORM, err);
 *     cr_build_in(&b, "x", x, CR_F32);
 *     cr_build_optional(&b, "w", w, CR_F32 | CR_F16);
 *     cr_build_shape(&b, "w", w, 1, (int64_t[]){K});
 *     cr_build_out(&b, y, CR_DTYPE_F32, rank, shape);
 *     b.call.reals[0] = eps;
 *     return cr_build_submit(&b);
 *
 * After the first failure the other steps do nothing, and submit reports it. */
#ifndef CR_TENSOR_BUILDER_H
#define CR_TENSOR_BUILDER_H

#include <crayon/device.h>

#include "value/buffer.h"

/* Sets of dtypes. */
#define CR_F32 (1u << CR_DTYPE_F32)
#define CR_F16 (1u << CR_DTYPE_F16)
#define CR_I32 (1u << CR_DTYPE_I32)
#define CR_U8 (1u << CR_DTYPE_U8)
#define CR_Q8_0 (1u << CR_DTYPE_Q8_0)
#define CR_NF4 (1u << CR_DTYPE_NF4)
#define CR_DENSE (CR_F32 | CR_F16 | CR_I32 | CR_U8)
#define CR_WEIGHTS (CR_F32 | CR_F16 | CR_Q8_0 | CR_NF4)

struct cr_builder {
    struct cr_call call;
    struct cr_device *device; /* of the first operand */
    char device_of[32];       /* that operand's name */
    struct cr_error *err;
    int result;
    struct cr_tensor **outputs[CR_CALL_MAX_OUTPUTS]; /* results to be unset after a failure */
    int created;
};

void cr_build(struct cr_builder *b, enum cr_op op, struct cr_error *err);

/* The next input. NULL is an error; cr_build_optional() records an absent operand. */
void cr_build_in(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                 unsigned dtypes);
void cr_build_optional(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                       unsigned dtypes);
/* An output that exists: it is changed in place. */
void cr_build_in_place(struct cr_builder *b, const char *name, struct cr_tensor *tensor,
                       unsigned dtypes);
/* A new output. */
void cr_build_out(struct cr_builder *b, struct cr_tensor **out, enum cr_dtype dtype, int rank,
                  const int64_t *shape);
/* A host array that becomes the next input. */
void cr_build_ints(struct cr_builder *b, struct cr_device *device, int rank, const int64_t *shape,
                   const int32_t *data, struct cr_tensor **keep);

/* Fail unless `condition`: "<op>: <message>". */
void cr_build_expect(struct cr_builder *b, bool condition, const char *format, ...) CR_PRINTF(3, 4);
/* Fail unless the tensor (NULL passes) has this shape; -1 stands for any extent. */
void cr_build_shape(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                    int rank, const int64_t *shape);
void cr_build_rank(struct cr_builder *b, const char *name, const struct cr_tensor *tensor,
                   int least, int most);

static inline bool cr_build_ok(const struct cr_builder *b)
{
    return b->result == 0;
}

/* Hand the call over. After a failure every new output is released and NULL. */
int cr_build_submit(struct cr_builder *b);
/* The same without handing over: for operations that turn out to be nothing (no elements). */
int cr_build_end(struct cr_builder *b);

/* "[2, 32]" into `text`; a negative extent is "any". */
const char *cr_shape_text(char text[96], int rank, const int64_t *shape);
/* "x[3]" into `text`: one of several operands. */
const char *cr_numbered(char text[32], const char *name, size_t index);
/* The product of all extents but the last. */
int64_t cr_rows_of(const struct cr_tensor *tensor);
/* The last extent (1 for rank 0). */
int64_t cr_last_of(const struct cr_tensor *tensor);

#endif
