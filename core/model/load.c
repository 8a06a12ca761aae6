/* SPDX-License-Identifier: MIT */
/* load.c: claims become tensors. They are made first, empty, and filled by a stream. */
#include <string.h>

#include "model/stream.h"
#include "tensor/device.h"
#include "tensor/dry.h"
#include "tensor/quantized.h"

/* The tensor of each item, and what its stream writes to. */
struct loader {
    struct cr_device *device; /* NULL: the host */
    struct cr_plan *plans;
    struct cr_target *targets;
    struct cr_tensor **tensors;
    size_t count;
};

/* ---- Writing ---- */

static int write_tensor(void *user, uint64_t offset, const void *data, size_t bytes,
                        struct cr_error *err)
{
    struct cr_buffer *buffer = ((struct cr_tensor *)user)->buffer;
    if (buffer->device != NULL)
        return cr_device_upload(buffer->device, buffer, offset, data, bytes, err);
    memcpy((char *)buffer->memory + offset, data, bytes);
    return 0;
}

/* Where a new tensor lies in the host's memory, if it does. */
static char *host_memory(const struct cr_tensor *tensor)
{
    struct cr_buffer *buffer = tensor->buffer;
    return buffer->device == NULL ? buffer->memory : cr_device_map(buffer->device, buffer);
}

/* The offset stands behind the map. */
static int write_offset(struct cr_tensor *tensor, float offset, struct cr_error *err)
{
    return write_tensor(tensor, tensor->nested_map + 256 * sizeof(float), &offset, sizeof(offset),
                        err);
}

/* The tables of a matrix that is saved doubly quantised. */
static int write_tables(struct cr_tensor *tensor, const struct cr_weight_source *source,
                        struct cr_error *err)
{
    size_t groups = (size_t)source->nested_absmax.tensor->bytes;
    int result = 0;
    if (groups > 0)
        result = write_tensor(tensor, tensor->nested, source->tables + 256, groups, err);
    if (result == 0)
        result = write_tensor(tensor, tensor->nested_map, source->tables, 256 * sizeof(float), err);
    return result == 0 ? write_offset(tensor, source->nested_offset, err) : result;
}

/* ---- Tensors ---- */

static int create_dense(struct cr_tensor **tensor, struct cr_device *device,
                        const struct cr_plan *plan, struct cr_error *err)
{
    enum cr_dtype dtype = plan->item->dtype;
    if (device == NULL || (plan->item->flags & CR_CLAIM_HOST) != 0)
        return cr_tensor_create(tensor, dtype, plan->rank, plan->shape, NULL, err);
    return cr_tensor_upload(tensor, device, dtype, plan->rank, plan->shape, NULL, err);
}

static int create_tensor(struct cr_tensor **tensor, struct cr_device *device,
                         const struct cr_plan *plan, struct cr_error *err)
{
    if (plan->mode == CR_PLAN_DENSE)
        return create_dense(tensor, device, plan, err);
    if (device == NULL)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s matrices live on a device, and there is none",
                       cr_dtype_name(plan->item->dtype));
    return cr_quantized_create(tensor, device, plan->item->dtype, plan->shape[0], plan->shape[1],
                               plan->nested, err);
}

/* The tables of what is saved quantised are read before the numbers. */
static int prepare_sources(const struct loader *loader, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < loader->count && result == 0; i++) {
        const struct cr_plan *plan = &loader->plans[i];
        for (size_t j = 0; j < plan->part_count && result == 0; j++)
            result = cr_weight_source_prepare(&plan->parts[j].source, err);
        if (result == 0 && plan->part_count > 0 && plan->nested && plan->mode == CR_PLAN_COPY)
            result = write_tables(loader->tensors[i], &plan->parts[0].source, err);
        if (result < 0)
            cr_error_prefix(err, "%.200s", plan->item->parts[0].name);
    }
    return result;
}

static int create_tensors(struct loader *loader, struct cr_error *err)
{
    for (size_t i = 0; i < loader->count; i++) {
        const struct cr_plan *plan = &loader->plans[i];
        struct cr_tensor **tensor = &loader->tensors[i];
        loader->targets[i].plan = plan;
        if (plan->part_count == 0)
            continue;
        if (create_tensor(tensor, loader->device, plan, err) < 0)
            return cr_error_prefix(err, "%.200s", plan->item->parts[0].name);
        loader->targets[i] = (struct cr_target){
            .plan = plan,
            .write = write_tensor,
            .user = *tensor,
            .memory = host_memory(*tensor),
            .scales = (*tensor)->scales,
            .nested = (*tensor)->nested,
            .map = (*tensor)->nested_map,
        };
    }
    return 0;
}

static int write_offsets(const struct loader *loader, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < loader->count && result == 0; i++)
        if (loader->plans[i].nested && loader->plans[i].mode == CR_PLAN_QUANTIZE)
            result = write_offset(loader->tensors[i], loader->targets[i].nested_offset, err);
    return result;
}

/* ---- All of it ---- */

/* What loading takes, without reading a number. */
static int rehearse(struct loader *loader, struct cr_error *err)
{
    int result = create_tensors(loader, err);
    return result == 0 ? cr_stream_rehearse(loader->targets, loader->count, err) : result;
}

static int fill(struct loader *loader, const struct cr_claim *claim,
                const struct cr_load_hooks *hooks, struct cr_error *err)
{
    int result = cr_model_check_files(claim->model, err);
    if (result == 0)
        result = create_tensors(loader, err);
    if (result == 0)
        result = prepare_sources(loader, err);
    if (result == 0)
        result = cr_stream_run(loader->targets, loader->count, hooks, err);
    if (result == 0) /* not while it was read, either */
        result = cr_model_check_files(claim->model, err);
    if (result == 0)
        result = write_offsets(loader, err);
    /* What a device notices late belongs to this load, and not to whatever comes next. */
    if (result == 0 && loader->device != NULL)
        result = cr_device_finish(loader->device, err);
    return result == 0 ? cr_claim_mark(claim, err) : result;
}

/* Hand the tensors over, or give them back. */
static void conclude(struct loader *loader, bool success)
{
    for (size_t i = 0; i < loader->count; i++) {
        if (success && loader->tensors[i] != NULL)
            *loader->plans[i].item->tensor = loader->tensors[i];
        else
            cr_tensor_unref(&loader->tensors[i]);
    }
}

int cr_claim_load(struct cr_claim *claim, struct cr_device *device,
                  const struct cr_load_hooks *hooks, struct cr_error *err)
{
    struct loader loader = {.device = device, .count = claim->count};
    int result = cr_claim_plan(claim, &loader.plans, err);
    if (result < 0)
        return result;
    loader.targets = cr_calloc(claim->count, sizeof(*loader.targets));
    loader.tensors = cr_calloc(claim->count, sizeof(struct cr_tensor *));
    if (loader.targets == NULL || loader.tensors == NULL) {
        result = cr_fail_memory(err, claim->count * sizeof(*loader.targets));
    } else {
        result = device != NULL && cr_device_is_dry(device) ? rehearse(&loader, err)
                                                            : fill(&loader, claim, hooks, err);
        conclude(&loader, result == 0);
    }
    cr_free(loader.targets);
    cr_free(loader.tensors);
    cr_plans_destroy(&loader.plans, claim->count);
    return result;
}
