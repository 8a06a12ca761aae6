/* SPDX-License-Identifier: MIT */
/* quantized.h: where the planes of a quantised matrix lie in its buffer. */
#ifndef CR_TENSOR_QUANTIZED_H
#define CR_TENSOR_QUANTIZED_H

#include <crayon/device.h>

#define CR_Q8_0_BLOCK 32
#define CR_NF4_BLOCK 64
#define CR_NESTED_BLOCK 256

/* All offsets are bytes from the start of the buffer, aligned to 64. */
struct cr_quantized_layout {
    int64_t blocks;
    size_t codes_bytes;
    size_t scales, scales_bytes;
    size_t nested, nested_bytes; /* 0 without double quantisation */
    size_t map;                  /* 256 floats, and the offset */
    size_t bytes;                /* of the whole buffer */
};

CR_API
struct cr_quantized_layout cr_quantized_layout(enum cr_dtype dtype, int64_t elements, bool nested);

/* An empty quantised matrix on a device. */
int cr_quantized_create(struct cr_tensor **out, struct cr_device *device, enum cr_dtype dtype,
                        int64_t rows, int64_t columns, bool nested, struct cr_error *err);

#endif
