/* SPDX-License-Identifier: MIT */
/* safetensors.h: just enough of the format to read recorded tensors in tests. Whatever is wrong
 * with a file fails the test that reads it. */
#ifndef CR_TEST_SAFETENSORS_H
#define CR_TEST_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct st_file;

struct st_tensor {
    char dtype[8]; /* as in the file: "F32", "I32", "I64", "U8", "BOOL", ... */
    int rank;
    int64_t shape[8];
    int64_t elements;
    const void *data; /* little-endian, row-major, aligned for its type; borrowed from the file */
    size_t bytes;
};

struct st_file *st_open(const char *path);
void st_close(struct st_file **file);

/* Is there a tensor `name`? Fills `tensor`. */
bool st_find(const struct st_file *file, const char *name, struct st_tensor *tensor);

/* The tensor `name`, which must be there and be of this dtype. */
struct st_tensor st_get(const struct st_file *file, const char *name, const char *dtype);

/* The name of the tensor at a position; NULL after the last. */
const char *st_name(const struct st_file *file, size_t index);

#endif
