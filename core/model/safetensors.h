/* SPDX-License-Identifier: MIT */
/* safetensors.h: the header of one safetensors file, checked.
 *
 *     u64 little-endian   bytes of the header
 *     header              a JSON object: name -> {"dtype", "shape", "data_offsets": [start, end]},
 *                         and "__metadata__": names and texts
 *     data                little-endian, row-major; offsets count from its start
 *
 * Rules (each with its own message): the header has at most 100 MB and begins with '{'; it is JSON
 * by RFC 8259, in UTF-8; at most 1 M tensors of rank 8; names are unique and hold no control
 * characters; dtypes are known; a range holds what shape and dtype say; ranges tile the data: no
 * hole, no overlap, nothing behind the last. Empty tensors and rank 0 are allowed.
 *
 * The memory taken is a small multiple of the header's size, whatever is in it. */
#ifndef CR_MODEL_SAFETENSORS_H
#define CR_MODEL_SAFETENSORS_H

#include <crayon/error.h>

#include "base/arena.h"

#define CR_ST_MAX_HEADER ((uint64_t)100 << 20)
#define CR_ST_MAX_TENSORS 1000000u
#define CR_ST_MAX_RANK 8

/* Name, bits an element. */
#define CR_ST_DTYPES(X)                                                                            \
    X(BOOL, 8)                                                                                     \
    X(F4, 4)                                                                                       \
    X(F6_E2M3, 6)                                                                                  \
    X(F6_E3M2, 6)                                                                                  \
    X(U8, 8)                                                                                       \
    X(I8, 8)                                                                                       \
    X(F8_E5M2, 8)                                                                                  \
    X(F8_E4M3, 8)                                                                                  \
    X(F8_E8M0, 8)                                                                                  \
    X(I16, 16)                                                                                     \
    X(U16, 16)                                                                                     \
    X(F16, 16)                                                                                     \
    X(BF16, 16)                                                                                    \
    X(I32, 32)                                                                                     \
    X(U32, 32)                                                                                     \
    X(F32, 32)                                                                                     \
    X(C64, 64)                                                                                     \
    X(F64, 64)                                                                                     \
    X(I64, 64)                                                                                     \
    X(U64, 64)

enum cr_st_dtype {
#define CR_ST_ENTRY(name, bits) CR_ST_##name,
    CR_ST_DTYPES(CR_ST_ENTRY)
#undef CR_ST_ENTRY
    CR_ST_DTYPE_COUNT
};

const char *cr_st_dtype_name(enum cr_st_dtype dtype);
int cr_st_dtype_bits(enum cr_st_dtype dtype);

struct cr_st_tensor {
    const char *name;
    const int64_t *shape;
    uint64_t start, bytes; /* in the data */
    uint8_t dtype;         /* enum cr_st_dtype */
    uint8_t rank;
};

struct cr_st_text {
    const char *key, *value;
};

struct cr_safetensors {
    struct cr_arena arena;        /* names, shapes, texts */
    struct cr_st_tensor *tensors; /* sorted by name */
    size_t count;
    struct cr_st_text *metadata;
    size_t metadata_count;
    uint64_t data; /* where the data begins in the file */
};

/* Check a header of `size` bytes that `data_bytes` of data follow; `path` stands in messages. */
int cr_safetensors_parse(struct cr_safetensors **out, const char *header, size_t size,
                         uint64_t data_bytes, const char *path, struct cr_error *err);
/* Read and check the header of an open file of `bytes` bytes. */
int cr_safetensors_read(struct cr_safetensors **out, int fd, uint64_t bytes, const char *path,
                        struct cr_error *err);
void cr_safetensors_destroy(struct cr_safetensors **file);

/* NULL: there is none of this name. */
const struct cr_st_tensor *cr_safetensors_find(const struct cr_safetensors *file, const char *name);

#endif
