/* SPDX-License-Identifier: MIT */
/* weights.h: model folders made for a test. */
#ifndef CR_TEST_WEIGHTS_H
#define CR_TEST_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

/* A tensor to be written: its dtype as safetensors spells it, up to 4 extents. */
struct weight {
    const char *name, *dtype;
    int rank;
    int64_t shape[4];
    const void *data; /* NULL: bytes that count up from 0 */
};

/* Bytes that it takes. */
size_t weight_bytes(const struct weight *weight);
/* Write a safetensors file with a well-formed header. */
void write_weights(const char *path, const struct weight *weights, size_t count);
/* The same with a header of your own: u64 size, header, `data_bytes` bytes that count up from 0. */
void write_header(const char *path, const char *header, size_t data_bytes);

/* A new folder: scratch(name). */
const char *weights_folder(const char *name);

#endif
