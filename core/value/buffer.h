/* SPDX-License-Identifier: MIT */
/* buffer.h: the memory behind tensors, on the host or on a device, counted. */
#ifndef CR_VALUE_BUFFER_H
#define CR_VALUE_BUFFER_H

#include <stdatomic.h>

#include <crayon/tensor.h>

struct cr_buffer;

/* What the owner of device memory does for the value room, which does not know devices. */
struct cr_buffer_ops {
    int (*read)(struct cr_buffer *buffer, uint64_t offset, void *data, size_t bytes,
                struct cr_error *err);
    void (*release)(struct cr_buffer *buffer); /* gives the memory back and frees the struct */
    /* Where tensor structs wait between uses, so that a loop over the same shapes allocates
     * nothing: NULL if none waits; both may be NULL. */
    struct cr_tensor *(*take_tensor)(struct cr_buffer *buffer);
    void (*keep_tensor)(struct cr_buffer *buffer, struct cr_tensor *tensor);
};

struct cr_buffer {
    _Atomic int references;
    const struct cr_buffer_ops *ops;
    size_t bytes;
    void *memory;             /* a host pointer, or the device's handle */
    struct cr_device *device; /* NULL: the host */
    struct cr_buffer *next;   /* while it waits in a device's pool */
};

struct cr_tensor {
    _Atomic int references;
    enum cr_dtype dtype;
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    int64_t elements;
    struct cr_buffer *buffer;
    uint64_t
        offset; /* bytes from the start of the buffer, as are the planes of a quantised matrix */
    uint64_t scales;
    uint64_t nested; /* 0: not doubly quantised */
    uint64_t nested_map;
    struct cr_tensor *next; /* while it waits for its next use */
};

/* A tensor around a buffer (takes the caller's reference, also when it fails). The other members
 * are the caller's to set. */
int cr_tensor_wrap(struct cr_tensor **out, enum cr_dtype dtype, int rank, const int64_t *shape,
                   struct cr_buffer *buffer, struct cr_error *err);

/* The number of elements of a shape, checked as the headers say. */
int cr_shape_elements(int rank, const int64_t *shape, int64_t *elements, struct cr_error *err);

struct cr_buffer *cr_buffer_ref(struct cr_buffer *buffer);
void cr_buffer_unref(struct cr_buffer **buffer);

#endif
