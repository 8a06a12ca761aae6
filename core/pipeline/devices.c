/* SPDX-License-Identifier: MIT */
/* devices.c: the devices of a pipeline, opened when a stage first asks, and values on their way
 * there and back. */
#include <string.h>

#include <crayon/device.h>

#include "pipeline/run.h"
#include "plugin/devices.h"
#include "tensor/device.h"
#include "tensor/dry.h"
#include "value/value.h"

int cr_pipeline_set_device(struct cr_pipeline *pipeline, const char *name,
                           const struct cr_device_params *params, struct cr_error *err)
{
    if (pipeline->devices != NULL)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: the devices are open already", pipeline->name);
    if (name == NULL)
        name = "auto";
    int result = cr_device_known(pipeline->registry, name, err);
    if (result < 0)
        return result;
    char *copy = cr_arena_strdup(&pipeline->arena, name);
    if (copy == NULL)
        return cr_fail_memory(err, strlen(name) + 1);
    pipeline->device = copy;
    memset(&pipeline->device_params, 0, sizeof(pipeline->device_params));
    if (params != NULL)
        pipeline->device_params = *params;
    return 0;
}

void cr_pipeline_profile(struct cr_pipeline *pipeline)
{
    pipeline->profiled = true;
}

/* ---- Opening ---- */

static struct cr_opened *find_asked(const struct cr_pipeline *pipeline, const char *name)
{
    struct cr_opened *opened = pipeline->devices;
    while (opened != NULL && strcmp(opened->asked, name) != 0)
        opened = opened->next;
    return opened;
}

/* "vulkan" and "vulkan:0" may mean one device: it is shared, the second one closes again. */
static void share(const struct cr_pipeline *pipeline, struct cr_opened *opened)
{
    for (const struct cr_opened *other = pipeline->devices; other != NULL; other = other->next) {
        if (strcmp(other->name, opened->name) == 0) {
            cr_device_unref(&opened->device);
            opened->device = cr_device_ref(other->device);
            opened->real = other->real == NULL ? NULL : cr_device_ref(other->real);
            return;
        }
    }
}

/* Put a device that only counts before this one: that of another entry which means the same. */
static int stand_in(const struct cr_pipeline *pipeline, struct cr_opened *opened,
                    struct cr_error *err)
{
    struct cr_device *dry = NULL;
    if (opened->real != NULL)
        return 0;
    for (const struct cr_opened *other = pipeline->devices; other != NULL && dry == NULL;
         other = other->next)
        if (other->real == opened->device)
            dry = cr_device_ref(other->device);
    int result = dry != NULL ? 0 : cr_device_create_dry(&dry, opened->device, err);
    if (result == 0) {
        opened->real = opened->device;
        opened->device = dry;
    }
    return result;
}

int cr_devices_begin_plan(struct cr_pipeline *pipeline, struct cr_error *err)
{
    int result = 0;
    pipeline->plans = true;
    for (struct cr_opened *opened = pipeline->devices; opened != NULL && result == 0;
         opened = opened->next)
        result = stand_in(pipeline, opened, err);
    return result;
}

void cr_devices_end_plan(struct cr_pipeline *pipeline)
{
    pipeline->plans = false;
    for (struct cr_opened *opened = pipeline->devices; opened != NULL; opened = opened->next) {
        if (opened->real == NULL)
            continue;
        cr_device_unref(&opened->device);
        opened->device = opened->real;
        opened->real = NULL;
    }
}

static int open_device(struct cr_pipeline *pipeline, const char *name, struct cr_opened **out,
                       struct cr_error *err)
{
    struct cr_opened *opened = cr_arena_alloc(&pipeline->arena, sizeof(*opened));
    char automatic[64];
    if (opened == NULL)
        return cr_fail_memory(err, sizeof(*opened));
    opened->asked = name;
    if (strcmp(name, "auto") == 0) {
        cr_device_automatic(pipeline->registry, automatic);
        name = automatic;
    }
    int result =
        cr_device_open(&opened->device, pipeline->registry, name, &pipeline->device_params, err);
    if (result < 0) {
        cr_error_prefix(err, "device \"%s\"", name);
        return result;
    }
    struct cr_device_info info;
    cr_device_get_info(opened->device, &info);
    memcpy(opened->name, info.name, sizeof(opened->name));
    share(pipeline, opened);
    if (pipeline->profiled)
        cr_device_profile(opened->real != NULL ? opened->real : opened->device);
    if (pipeline->plans && (result = stand_in(pipeline, opened, err)) < 0) {
        cr_device_unref(&opened->device);
        return result;
    }
    opened->next = pipeline->devices;
    pipeline->devices = *out = opened;
    return 0;
}

int cr_pipeline_lend(struct cr_pipeline *pipeline, const char *name, struct cr_device *device,
                     struct cr_error *err)
{
    if (find_asked(pipeline, name) != NULL)
        return 0;
    struct cr_opened *opened = cr_arena_alloc(&pipeline->arena, sizeof(*opened));
    struct cr_device_info info;
    if (opened == NULL || (opened->asked = cr_arena_strdup(&pipeline->arena, name)) == NULL)
        return cr_fail_memory(err, sizeof(*opened));
    cr_device_get_info(device, &info);
    memcpy(opened->name, info.name, sizeof(opened->name));
    opened->device = cr_device_ref(device);
    opened->next = pipeline->devices;
    pipeline->devices = opened;
    return 0;
}

static const char *device_name(const struct cr_pipeline *pipeline, const struct cr_node *node)
{
    return node->device != NULL       ? node->device
           : pipeline->device != NULL ? pipeline->device
                                      : "auto";
}

struct cr_opened *cr_node_opened(const struct cr_pipeline *pipeline, const struct cr_node *node)
{
    return node->opened != NULL ? node->opened : find_asked(pipeline, device_name(pipeline, node));
}

int cr_node_device(struct cr_pipeline *pipeline, struct cr_node *node, struct cr_device **device,
                   struct cr_error *err)
{
    *device = NULL;
    if (node->opened == NULL && (node->opened = cr_node_opened(pipeline, node)) == NULL) {
        int result = open_device(pipeline, device_name(pipeline, node), &node->opened, err);
        if (result < 0)
            return result;
    }
    *device = node->opened->device;
    return 0;
}

int cr_node_finish(const struct cr_node *node, struct cr_error *err)
{
    int result = node->opened == NULL ? 0 : cr_device_finish(node->opened->device, err);
    if (result < 0)
        cr_error_prefix(err, "device \"%s\"", node->opened->name);
    return result;
}

void cr_devices_close(struct cr_pipeline *pipeline)
{
    for (struct cr_opened *opened = pipeline->devices; opened != NULL; opened = opened->next)
        cr_device_unref(&opened->device);
    pipeline->devices = NULL;
}

/* ---- Values ---- */

bool cr_value_is_on(const struct cr_value *value, const struct cr_device *device)
{
    return cr_value_type(value) != CR_TYPE_TENSOR ||
           cr_tensor_device(cr_value_tensor(value)) == device;
}

int cr_value_to(struct cr_value **out, const struct cr_value *value, struct cr_device *device,
                struct cr_error *err)
{
    *out = NULL;
    if (cr_value_is_on(value, device)) {
        *out = cr_value_ref(value);
        return 0;
    }
    struct cr_tensor *tensor = NULL;
    int result = cr_tensor_to(&tensor, cr_value_tensor(value), device, err);
    if (result == 0 && (result = cr_value_from_tensor(out, tensor, err)) == 0)
        cr_value_seal(*out);
    cr_tensor_unref(&tensor);
    return result;
}
