/* SPDX-License-Identifier: MIT */
/* crayon/tensor.h: dense arrays of numbers, row-major, at most 4-D, under 2^31 elements. Counted;
 * immutable once shared. */
#ifndef CRAYON_TENSOR_H
#define CRAYON_TENSOR_H

#include <crayon/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_tensor;

enum cr_dtype {
    CR_DTYPE_F32 = 1,
    CR_DTYPE_F16 = 2, /* IEEE 754 binary16 */
    CR_DTYPE_I32 = 3,
    CR_DTYPE_U8 = 4,
    CR_DTYPE_Q8_0 = 5, /* quantised matrices (since ABI 1.1): crayon/device.h */
    CR_DTYPE_NF4 = 6,
};

#define CR_TENSOR_MAX_RANK 4

/* "f32", "f16", "i32", "u8", "q8_0", "nf4"; "?" for a number that is none. */
CR_API
const char *cr_dtype_name(enum cr_dtype dtype);
/* The reverse; 0 for a name that is none. (since ABI 1.2) */
CR_API
enum cr_dtype cr_dtype_find(const char *name);
/* Bytes an element; 0 for quantised types and for a number that is none. */
CR_API
size_t cr_dtype_size(enum cr_dtype dtype);

/* A tensor with a copy of the numbers at `data` (NULL: zeros). `shape` has `rank` (0..4) extents >=
 * 0. */
CR_API
int cr_tensor_create(struct cr_tensor **out, enum cr_dtype dtype, int rank, const int64_t *shape,
                     const void *data, struct cr_error *err) CR_MUST_CHECK;
CR_API
struct cr_tensor *cr_tensor_ref(const struct cr_tensor *tensor);
CR_API
void cr_tensor_unref(struct cr_tensor **tensor);

CR_API
enum cr_dtype cr_tensor_dtype(const struct cr_tensor *tensor);
CR_API
int cr_tensor_rank(const struct cr_tensor *tensor);
CR_API
int64_t cr_tensor_extent(const struct cr_tensor *tensor, int axis);
CR_API
int64_t cr_tensor_elements(const struct cr_tensor *tensor);

/* Copy all numbers to host memory: `bytes` must be elements x element size. This is where late
 * errors of a device show. */
CR_API
int cr_tensor_read(const struct cr_tensor *tensor, void *data, size_t bytes,
                   struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
