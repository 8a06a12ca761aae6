/* SPDX-License-Identifier: MIT */
/* device.h: a device as the core holds it: the plugin's table and state, a pool of memory, a lock.
 */
#ifndef CR_TENSOR_DEVICE_H
#define CR_TENSOR_DEVICE_H

#include <pthread.h>

#include <crayon/device.h>

#include "value/buffer.h"

/* How often each operation was executed, and how long that took. */
struct cr_profile {
    uint64_t calls[CR_OP_COUNT];
    double seconds[CR_OP_COUNT];
};

struct cr_device {
    _Atomic int references;
    const struct cr_device_ops *ops;
    void *state;
    struct cr_device_params params;
    pthread_mutex_t lock;    /* around ops, the pool and the figures */
    struct cr_buffer *pool;  /* free buffers, the smallest first */
    struct cr_tensor *spare; /* structs of tensors that are gone */
    struct cr_device_memory figures;
    bool watched; /* note what is submitted: cr_device_watch() */
    int watched_op;
    char watched_variant[64];
    bool profiled; /* time what is submitted: cr_device_profile() */
    struct cr_profile profile;
};

/* A device of this table, opened. `params` may be NULL. */
CR_API
int cr_device_create(struct cr_device **out, const struct cr_device_ops *ops, size_t state_size,
                     const char *selector, const struct cr_device_params *params,
                     struct cr_error *err);

/* Memory from the pool, or new. */
int cr_device_buffer(struct cr_buffer **out, struct cr_device *device, size_t bytes,
                     struct cr_error *err);
int cr_device_upload(struct cr_device *device, struct cr_buffer *buffer, uint64_t offset,
                     const void *data, size_t bytes, struct cr_error *err);
/* The host's address of a buffer that may be filled there, by several threads at once; NULL: it has
 * to be uploaded. */
void *cr_device_map(struct cr_device *device, const struct cr_buffer *buffer);
/* Is its memory the host's? */
bool cr_device_is_host(const struct cr_device *device);
int cr_device_submit(struct cr_device *device, const struct cr_call *call, struct cr_error *err);
bool cr_device_supports(struct cr_device *device, const struct cr_call *call);
/* Bytes that tensors use, and the most since the peak was reset; the device is not asked. */
uint64_t cr_device_used(const struct cr_device *device, uint64_t *peak);
/* Bytes that the device has, and how many of them tensors can still take: what is pooled counts. */
void cr_device_memory_left(const struct cr_device *device, uint64_t *total, uint64_t *left);

/* ---- For `crayon bench`, `crayon devices` and `crayon run --profile` ---- */

/* From now on note each call that is submitted; or do not. */
CR_API
void cr_device_watch(struct cr_device *device, bool watched);
/* The operation (0: none) and the variant ("": it has no name) of the last call that was noted. */
CR_API
const char *cr_device_watched(struct cr_device *device, enum cr_op *op);
/* From now on wait for each call that is submitted, and time it. */
void cr_device_profile(struct cr_device *device);
/* What was timed since this was asked last. */
struct cr_profile cr_device_take_profile(struct cr_device *device);
/* From now on count the peak of the memory from what is used now. */
CR_API
void cr_device_reset_peak(struct cr_device *device);
/* Wait for everything, then give the memory that no tensor holds back to the device. */
CR_API
int cr_device_trim(struct cr_device *device, struct cr_error *err) CR_MUST_CHECK;

struct cr_registry;
/* The device that "auto" means: the first real GPU of any plugin, else "cpu". */
CR_API
void cr_device_automatic(const struct cr_registry *registry, char name[64]);

#endif
