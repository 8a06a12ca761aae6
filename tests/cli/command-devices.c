/* SPDX-License-Identifier: MIT */
/* Devices that do on purpose what the tests of the program want to see: one that computes on the
 * processor behind a GPU's face and lacks every operation, and a plugin that has none. */
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/plugin.h>

/* ---- test-idle: all of the table, and no operation ---- */

/* What it was opened with. */
struct idle {
    bool exact;
    int threads;
};

static void fill_info(struct cr_device_info *info)
{
    snprintf(info->name, sizeof(info->name), "idle:0");
    snprintf(info->title, sizeof(info->title), "a device that does nothing");
    snprintf(info->driver, sizeof(info->driver), "test 1.0");
    snprintf(info->detail, sizeof(info->detail), "first line\nsecond line");
    info->flags = CR_DEVICE_GPU | CR_DEVICE_SOFTWARE;
    info->memory = 64u << 20;
}

static int list(struct cr_device_found *found, struct cr_error *err)
{
    struct cr_device_info info = {.size = sizeof(info)};
    (void)err;
    fill_info(&info);
    cr_device_found_add(found, &info);
    return 0;
}

static int open_idle(void *state, const char *selector, const struct cr_device_params *params,
                     struct cr_error *err)
{
    *(struct idle *)state = (struct idle){params->precision == CR_PRECISION_EXACT, params->threads};
    if (selector[0] != '\0' && strcmp(selector, "0") != 0)
        return cr_fail(err, CR_ERR_NOT_FOUND, "no device \"idle:%s\"", selector);
    return 0;
}

static void info_idle(const void *state, struct cr_device_info *info)
{
    const struct idle *idle = state;
    fill_info(info);
    if (idle->exact)
        snprintf(info->driver, sizeof(info->driver), "test 1.0, exact, threads: %d", idle->threads);
}

static bool supports(const void *state, const struct cr_call *call)
{
    (void)state;
    (void)call;
    return false;
}

static const char *variant(const void *state, const struct cr_call *call)
{
    (void)state;
    (void)call;
    return NULL;
}

static int alloc_memory(void *state, size_t bytes, void **memory, struct cr_error *err)
{
    (void)state;
    *memory = cr_calloc(1, bytes);
    return *memory != NULL ? 0 : cr_fail_memory(err, bytes);
}

static void free_memory(void *state, void *memory)
{
    (void)state;
    cr_free(memory);
}

static int upload(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err)
{
    (void)state;
    (void)err;
    memcpy((char *)memory + offset, data, bytes);
    return 0;
}

static int download(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err)
{
    (void)state;
    (void)err;
    memcpy(data, (char *)memory + offset, bytes);
    return 0;
}

static int submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    (void)state;
    (void)call;
    return cr_fail(err, CR_ERR_UNSUPPORTED, "the device idle has no such operation");
}

static int flush(void *state, struct cr_error *err)
{
    (void)state;
    (void)err;
    return 0;
}

static int wait_all(void *state, double seconds, struct cr_error *err)
{
    (void)state;
    (void)seconds;
    (void)err;
    return 0;
}

static void memory_figures(const void *state, uint64_t *total, uint64_t *free_bytes)
{
    (void)state;
    *total = *free_bytes = 64u << 20;
}

static void close_idle(void *state)
{
    (void)state;
}

static const struct cr_device_ops idle_ops = {
    .size = sizeof(struct cr_device_ops),
    .list = list,
    .open = open_idle,
    .info = info_idle,
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
    .close = close_idle,
};

static const struct cr_element idle_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-idle",
    .summary = "a device that does nothing",
    .state_size = sizeof(struct idle),
    .device = &idle_ops,
};

/* ---- test-absent: no device ---- */

static int list_none(struct cr_device_found *found, struct cr_error *err)
{
    (void)found;
    return cr_fail(err, CR_ERR_NOT_FOUND, "no driver was found");
}

static int open_none(void *state, const char *selector, const struct cr_device_params *params,
                     struct cr_error *err)
{
    (void)state;
    (void)selector;
    (void)params;
    return cr_fail(err, CR_ERR_NOT_FOUND, "no driver was found");
}

static const struct cr_device_ops absent_ops = {
    .size = sizeof(struct cr_device_ops),
    .list = list_none,
    .open = open_none,
    .info = info_idle,
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
    .close = close_idle,
};

static const struct cr_element absent_element = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-absent",
    .summary = "a plugin without a device",
    .state_size = sizeof(struct idle),
    .device = &absent_ops,
};

CR_PLUGIN("command-devices", "1.0", "MIT", "devices for the tests of the program", &absent_element,
          &idle_element);
