/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/device.h"
#include "tensor/dry.h"

struct dry {
    struct cr_device *real;
};

static int open_dry(void *state, const char *selector, const struct cr_device_params *params,
                    struct cr_error *err)
{
    (void)state, (void)selector, (void)params, (void)err;
    return 0;
}

static void info(const void *state, struct cr_device_info *info)
{
    const struct dry *dry = state;
    cr_device_get_info(dry->real, info);
}

static bool supports(const void *state, const struct cr_call *call)
{
    const struct dry *dry = state;
    return cr_device_supports(dry->real, call);
}

static const char *variant(const void *state, const struct cr_call *call)
{
    (void)state, (void)call;
    return NULL;
}

/* One handle for all: nobody looks into it. */
static int alloc_memory(void *state, size_t bytes, void **memory, struct cr_error *err)
{
    (void)bytes, (void)err;
    *memory = state;
    return 0;
}

static void free_memory(void *state, void *memory)
{
    (void)state, (void)memory;
}

static int upload(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err)
{
    (void)state, (void)memory, (void)offset, (void)data, (void)bytes, (void)err;
    return 0;
}

static int download(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err)
{
    (void)state, (void)memory, (void)offset, (void)err;
    memset(data, 0, bytes);
    return 0;
}

static int submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    (void)state, (void)call, (void)err;
    return 0;
}

static int flush(void *state, struct cr_error *err)
{
    (void)state, (void)err;
    return 0;
}

static int wait_all(void *state, double seconds, struct cr_error *err)
{
    (void)state, (void)seconds, (void)err;
    return 0;
}

static void memory_figures(const void *state, uint64_t *total, uint64_t *free_bytes)
{
    const struct dry *dry = state;
    cr_device_memory_left(dry->real, total, free_bytes);
}

static void close_dry(void *state)
{
    struct dry *dry = state;
    cr_device_unref(&dry->real);
}

static const struct cr_device_ops dry_ops = {
    .size = sizeof(struct cr_device_ops),
    .open = open_dry,
    .info = info,
    .supports = supports,
    .variant = variant,
    .alloc = alloc_memory,
    .free = free_memory,
    .upload = upload,
    .download = download,
    .submit = submit,
    .flush = flush,
    .wait = wait_all,
    .memory = memory_figures,
    .close = close_dry,
};

int cr_device_create_dry(struct cr_device **out, struct cr_device *real, struct cr_error *err)
{
    int result = cr_device_create(out, &dry_ops, sizeof(struct dry), "", &real->params, err);
    if (result == 0)
        ((struct dry *)(*out)->state)->real = cr_device_ref(real);
    return result;
}

bool cr_device_is_dry(const struct cr_device *device)
{
    return device->ops == &dry_ops;
}
