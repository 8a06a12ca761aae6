/* SPDX-License-Identifier: MIT */
/* store.h: the weight files that this process has open, each once, whoever opens it. A file is
 * known by device, inode, size and time of change.
 *
 * Data is read with pread(), never mapped: a file that shrinks is then a short read and not a
 * SIGBUS, which a library could only survive by changing the signal handling of its host. The copy
 * costs little, because every number passes through a buffer on its way to the device anyway. */
#ifndef CR_MODEL_STORE_H
#define CR_MODEL_STORE_H

#include <stdatomic.h>

#include <sys/stat.h>

#include "model/safetensors.h"

struct cr_weights {
    struct cr_weights *next;
    size_t references; /* under the lock of the store */
    struct stat identity;
    int fd;
    char *path; /* by which it was opened first */
    struct cr_safetensors *header;
    _Atomic unsigned char *claimed; /* for each tensor: has somebody loaded it? */
};

/* The file at `path`, from the store or opened and checked. */
int cr_weights_open(struct cr_weights **out, const char *path, struct cr_error *err);
struct cr_weights *cr_weights_ref(struct cr_weights *weights);
void cr_weights_unref(struct cr_weights **weights);

/* Is the file still what was checked? */
int cr_weights_check(const struct cr_weights *weights, struct cr_error *err);
/* `bytes` bytes of a tensor from its byte `offset` on. Any number of threads. */
int cr_weights_load(const struct cr_weights *weights, const struct cr_st_tensor *tensor,
                    uint64_t offset, void *data, size_t bytes, struct cr_error *err);

#endif
