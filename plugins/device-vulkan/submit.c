/* SPDX-License-Identifier: MIT */
/* Submissions: when work is handed over, how long that may take, and what happens if it does not
 * come back.
 *
 * Drivers end work that runs for seconds, and a desktop on the same GPU stands still meanwhile. So
 * a submission is closed when its estimate reaches a limit; rates for the estimate are learnt from
 * finished submissions. Waits end, too: a device that does not finish what was estimated for ages
 * is as lost as one whose driver says so. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vk.h"

#define LIMIT 0.2        /* seconds of work in one submission */
#define EARLY 0.0005     /* seconds of work that are worth handing to a device without any */
#define POLL_EVERY 16    /* dispatches */
#define LEAST_TIME 0.001 /* seconds of a submission from which rates are learnt */
#define PATIENCE 30.0    /* seconds that a wait is given, beside what follows: */
#define PATIENCE_SOFTWARE                                                                          \
    600.0                    /* the same of a driver that computes, and compiles, on a processor   \
                                that others may keep busy */
#define PATIENCE_FACTOR 50   /* times the estimate of what is in flight */
#define MOST_PATIENCE 3600.0 /* whatever the estimate says */
#define FAREWELL 5.0         /* seconds that close() waits for a device that did not answer */

double vk_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- The queue ---- */

static int create_slot(struct vk *vk, struct vk_slot *slot, struct cr_error *err)
{
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = vk->physical.family,
    };
    VkResult result = VK_CALL(&vk->api, CreateCommandPool, vk->device, &pool, NULL, &slot->pool);
    if (result != VK_SUCCESS)
        return vk_fail(err, result, "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = slot->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    result = VK_CALL(&vk->api, AllocateCommandBuffers, vk->device, &allocate, &slot->commands);
    return result == VK_SUCCESS ? 0 : vk_fail(err, result, "vkAllocateCommandBuffers");
}

static int create_timeline(struct vk *vk, struct cr_error *err)
{
    const VkSemaphoreTypeCreateInfo type = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
    };
    const VkSemaphoreCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
        .pNext = &type,
    };
    VkResult result =
        VK_CALL(&vk->api, CreateSemaphore, vk->device, &create, NULL, &vk->queue.timeline);
    return result == VK_SUCCESS ? 0 : vk_fail(err, result, "vkCreateSemaphore");
}

static int create_queries(struct vk *vk, struct cr_error *err)
{
    const VkQueryPoolCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * VK_SLOTS,
    };
    if (vk->physical.timestamp_bits == 0)
        return 0;
    VkResult result =
        VK_CALL(&vk->api, CreateQueryPool, vk->device, &create, NULL, &vk->queue.queries);
    return result == VK_SUCCESS ? 0 : vk_fail(err, result, "vkCreateQueryPool");
}

int vk_queue_init(struct vk *vk, struct cr_error *err)
{
    struct vk_queue *queue = &vk->queue;
    bool software = vk->caps.software;
    if (queue->limit == 0)
        queue->limit = LIMIT;
    /* Less than what the slowest device of its kind does. */
    queue->byte_rate = software ? 2e8 : 1e10;
    queue->operation_rate = software ? 1e8 : 1e11;
    queue->overhead = software ? 2e-5 : 4e-6;
    queue->patience = software ? PATIENCE_SOFTWARE : PATIENCE;
    int result = create_timeline(vk, err);
    if (result == 0)
        result = create_queries(vk, err);
    for (int i = 0; result == 0 && i < VK_SLOTS; i++)
        result = create_slot(vk, &queue->slots[i], err);
    return result;
}

void vk_queue_finish(struct vk *vk)
{
    struct vk_queue *queue = &vk->queue;
    bool given_up = vk->device == VK_NULL_HANDLE; /* see vk_close() */
    for (int i = 0; !given_up && i < VK_SLOTS; i++)
        if (queue->slots[i].pool != VK_NULL_HANDLE)
            vk->api.DestroyCommandPool(vk->device, queue->slots[i].pool, NULL);
    if (!given_up && queue->queries != VK_NULL_HANDLE)
        vk->api.DestroyQueryPool(vk->device, queue->queries, NULL);
    if (!given_up && queue->timeline != VK_NULL_HANDLE)
        vk->api.DestroySemaphore(vk->device, queue->timeline, NULL);
    memset(queue, 0, sizeof(*queue));
}

/* ---- The end of a device ---- */

/* "linear, softmax": what was handed over, or recorded, and is not known to be done. */
static void name_unfinished(const struct vk *vk, char *text, size_t size)
{
    uint64_t ops = vk->queue.ops;
    size_t used = 0;
    for (int i = 0; i < VK_SLOTS; i++)
        if (vk->queue.slots[i].value > vk->queue.completed)
            ops |= vk->queue.slots[i].ops;
    text[0] = '\0';
    for (int op = 0; op < CR_OP_COUNT && used + 32 < size; op++)
        if ((ops >> op & 1) != 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     op == 0 ? "copies" : cr_op_name((enum cr_op)op));
}

/* What the driver knows about the fault; "" if nothing. */
static void describe_fault(struct vk *vk, char *text, size_t size)
{
    text[0] = '\0';
#ifdef VK_EXT_device_fault
    VkDeviceFaultAddressInfoEXT address = {.addressType = VK_DEVICE_FAULT_ADDRESS_TYPE_NONE_EXT};
    VkDeviceFaultVendorInfoEXT vendor = {.vendorFaultCode = 0};
    VkDeviceFaultCountsEXT counts = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_COUNTS_EXT,
                                     .addressInfoCount = 1,
                                     .vendorInfoCount = 1};
    VkDeviceFaultInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_INFO_EXT,
                                 .pAddressInfos = &address,
                                 .pVendorInfos = &vendor};
    if (!vk->physical.fault || vk->api.GetDeviceFaultInfoEXT == NULL ||
        VK_CALL(&vk->api, GetDeviceFaultInfoEXT, vk->device, &counts, &info) < 0)
        return;
    int used = snprintf(text, size, "; the driver says: %.80s", info.description);
    if (counts.addressInfoCount > 0)
        used += snprintf(text + used, size - (size_t)used, ", access of kind %d at %#llx",
                         (int)address.addressType, (unsigned long long)address.reportedAddress);
    if (counts.vendorInfoCount > 0)
        snprintf(text + used, size - (size_t)used, ", %.60s (code %llu)", vendor.description,
                 (unsigned long long)vendor.vendorFaultCode);
#else
    (void)vk;
    (void)size;
#endif
}

int vk_lose(struct vk *vk, struct cr_error *err, const char *format, ...)
{
    char unfinished[512], fault[256];
    if (vk->lost.code == 0) {
        va_list args;
        va_start(args, format);
        cr_failv(&vk->lost, CR_ERR_DEVICE, format, args);
        va_end(args);
        struct cr_error what = vk->lost;
        name_unfinished(vk, unfinished, sizeof(unfinished));
        describe_fault(vk, fault, sizeof(fault));
        cr_fail(&vk->lost, CR_ERR_DEVICE,
                "the device vulkan:%u (%s) is lost: %s; unfinished: %s%s; open it again to go on",
                vk->physical.index, vk->physical.properties.deviceName, what.message,
                unfinished[0] != '\0' ? unfinished : "nothing", fault);
    }
    return vk_check_alive(vk, err);
}

int vk_fail_call(struct vk *vk, struct cr_error *err, VkResult result, const char *call)
{
    if (result == VK_ERROR_DEVICE_LOST)
        return vk_lose(vk, err, "%s: %s", call, vk_result_name(result));
    return vk_fail(err, result, call);
}

int vk_check_alive(const struct vk *vk, struct cr_error *err)
{
    return vk->lost.code == 0 ? 0 : cr_fail(err, vk->lost.code, "%s", vk->lost.message);
}

/* ---- Estimates ---- */

double vk_estimate(const struct vk *vk, double bytes, double operations)
{
    double by_bytes = bytes / vk->queue.byte_rate,
           by_operations = operations / vk->queue.operation_rate;
    return vk->queue.overhead + (by_bytes > by_operations ? by_bytes : by_operations);
}

void vk_account(struct vk *vk, double bytes, double operations, double estimate)
{
    struct vk_queue *queue = &vk->queue;
    queue->ops |= UINT64_C(1) << (vk->call != NULL ? vk->call->op : 0);
    queue->estimate += estimate;
    queue->dispatches++;
    if (bytes / queue->byte_rate > operations / queue->operation_rate)
        queue->by_bytes += estimate;
    else
        queue->by_operations += estimate;
}

/* A rate follows what was measured: down at once, up by half of the way and no more than double. */
static double learn(double rate, double factor, double share)
{
    factor = factor > 2 ? 2 : factor < 0.1 ? 0.1 : factor;
    if (factor > 1)
        factor = 1 + (factor - 1) / 2;
    return rate * (1 + (factor - 1) * share);
}

static double measured_time(struct vk *vk, const struct vk_slot *slot)
{
    uint64_t times[2] = {0, 0};
    if (vk->queue.queries == VK_NULL_HANDLE)
        return vk_seconds() - slot->submitted_at;
    VkResult result = VK_CALL(&vk->api, GetQueryPoolResults, vk->device, vk->queue.queries,
                              (uint32_t)(slot - vk->queue.slots) * 2, 2, sizeof(times), times,
                              sizeof(times[0]), VK_QUERY_RESULT_64_BIT);
    if (result != VK_SUCCESS)
        return 0;
    uint64_t ticks = times[1] - times[0];
    if (vk->physical.timestamp_bits < 64)
        ticks &= (UINT64_C(1) << vk->physical.timestamp_bits) - 1;
    return (double)ticks * 1e-9 * (double)vk->physical.properties.limits.timestampPeriod;
}

/* A submission is done: learn from it, and give back what it held. */
static void finish_slot(struct vk *vk, const struct vk_slot *slot)
{
    struct vk_queue *queue = &vk->queue;
    double time = measured_time(vk, slot);
    if (time > 0 && (time > LEAST_TIME || slot->estimate > LEAST_TIME)) {
        double factor = slot->estimate / time;
        queue->byte_rate = learn(queue->byte_rate, factor, slot->by_bytes / slot->estimate);
        queue->operation_rate =
            learn(queue->operation_rate, factor, slot->by_operations / slot->estimate);
    }
    for (int i = 0; i < VK_RING_COUNT; i++)
        if (vk->rings[i].tail < slot->ring_head[i])
            vk->rings[i].tail = slot->ring_head[i];
}

static void note_completed(struct vk *vk, uint64_t value)
{
    struct vk_queue *queue = &vk->queue;
    if (value <= queue->completed)
        return;
    for (uint64_t v = queue->completed + 1; v <= value && v <= queue->submitted; v++)
        finish_slot(vk, &queue->slots[v % VK_SLOTS]);
    queue->completed = value < queue->submitted ? value : queue->submitted;
    vk_heap_reclaim(vk);
}

/* ---- Waiting ---- */

int vk_poll(struct vk *vk, struct cr_error *err)
{
    uint64_t value = 0;
    if (vk->queue.completed == vk->queue.submitted)
        return 0;
    VkResult result =
        VK_CALL(&vk->api, GetSemaphoreCounterValue, vk->device, vk->queue.timeline, &value);
    if (result != VK_SUCCESS)
        return vk_lose(vk, err, "vkGetSemaphoreCounterValue: %s", vk_result_name(result));
    note_completed(vk, value);
    return 0;
}

static VkResult wait_timeline(struct vk *vk, uint64_t value, double seconds)
{
    const VkSemaphoreWaitInfo wait = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
        .semaphoreCount = 1,
        .pSemaphores = &vk->queue.timeline,
        .pValues = &value,
    };
    return VK_CALL(&vk->api, WaitSemaphores, vk->device, &wait, (uint64_t)(seconds * 1e9));
}

/* Seconds after which it is certain that nothing comes any more. */
static double deadline(const struct vk *vk, uint64_t value)
{
    double estimate = 0;
    for (int i = 0; i < VK_SLOTS; i++) {
        const struct vk_slot *slot = &vk->queue.slots[i];
        if (slot->value > vk->queue.completed && slot->value <= value)
            estimate += slot->estimate;
    }
    double seconds = vk->queue.patience + PATIENCE_FACTOR * estimate;
    return seconds < MOST_PATIENCE ? seconds : MOST_PATIENCE;
}

bool vk_wait_briefly(struct vk *vk, double seconds)
{
    return vk->queue.completed == vk->queue.submitted ||
           wait_timeline(vk, vk->queue.submitted, seconds) != VK_TIMEOUT;
}

int vk_wait(struct vk *vk, uint64_t value, struct cr_error *err)
{
    int alive = vk_check_alive(vk, err);
    if (alive < 0 || value <= vk->queue.completed)
        return alive;
    double seconds = deadline(vk, value), start = vk_seconds();
    VkResult result = wait_timeline(vk, value, seconds);
    if (result == VK_TIMEOUT)
        return vk_lose(vk, err, "submission %llu was not done after %.1f s (limit %.1f s)",
                       (unsigned long long)value, vk_seconds() - start, seconds);
    if (result != VK_SUCCESS)
        return vk_lose(vk, err, "vkWaitSemaphores: %s", vk_result_name(result));
    note_completed(vk, value);
    return 0;
}

/* ---- Recording into a submission ---- */

static int open_slot(struct vk *vk, struct vk_slot *slot, struct cr_error *err)
{
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VkResult result = VK_CALL(&vk->api, ResetCommandPool, vk->device, slot->pool, 0);
    if (result != VK_SUCCESS)
        return vk_lose(vk, err, "vkResetCommandPool: %s", vk_result_name(result));
    result = VK_CALL(&vk->api, BeginCommandBuffer, slot->commands, &begin);
    if (result != VK_SUCCESS)
        return vk_lose(vk, err, "vkBeginCommandBuffer: %s", vk_result_name(result));
    if (vk->queue.queries != VK_NULL_HANDLE) {
        uint32_t query = (uint32_t)(slot - vk->queue.slots) * 2;
        vk->api.CmdResetQueryPool(slot->commands, vk->queue.queries, query, 2);
        vk->api.CmdWriteTimestamp(slot->commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
                                  vk->queue.queries, query);
    }
    vk->recorder.bound = VK_NULL_HANDLE;
    vk->queue.open = true;
    return 0;
}

VkCommandBuffer vk_commands(struct vk *vk, struct cr_error *err)
{
    struct vk_slot *slot = &vk->queue.slots[vk_now(vk) % VK_SLOTS];
    if (vk_check_alive(vk, err) < 0)
        return VK_NULL_HANDLE;
    if (!vk->queue.open && (vk_wait(vk, slot->value, err) < 0 || open_slot(vk, slot, err) < 0))
        return VK_NULL_HANDLE;
    return slot->commands;
}

/* What the host reads after the wait has to be visible to it. */
static void close_slot(struct vk *vk, const struct vk_slot *slot)
{
    const VkMemoryBarrier to_host = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
    };
    vk->api.CmdPipelineBarrier(
        slot->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0, NULL, 0, NULL);
    if (vk->queue.queries != VK_NULL_HANDLE)
        vk->api.CmdWriteTimestamp(slot->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                  vk->queue.queries, (uint32_t)(slot - vk->queue.slots) * 2 + 1);
}

static VkResult submit_slot(struct vk *vk, const struct vk_slot *slot, uint64_t value)
{
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &value,
    };
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &timeline,
        .commandBufferCount = 1,
        .pCommandBuffers = &slot->commands,
        .signalSemaphoreCount = 1,
        .pSignalSemaphores = &vk->queue.timeline,
    };
    return VK_CALL(&vk->api, QueueSubmit, vk->vk_queue, 1, &submit, VK_NULL_HANDLE);
}

/* The open submission becomes a submitted one. */
static void hand_over(struct vk *vk, struct vk_slot *slot)
{
    struct vk_queue *queue = &vk->queue;
    slot->value = ++queue->submitted;
    slot->ops = queue->ops;
    slot->estimate = queue->estimate;
    slot->by_bytes = queue->by_bytes;
    slot->by_operations = queue->by_operations;
    slot->submitted_at = vk_seconds();
    for (int i = 0; i < VK_RING_COUNT; i++)
        slot->ring_head[i] = vk->rings[i].call;
    vk->counters.submissions++;
    if (queue->estimate > vk->counters.largest_estimate)
        vk->counters.largest_estimate = queue->estimate;
    queue->open = false;
    queue->ops = 0;
    queue->estimate = queue->by_bytes = queue->by_operations = 0;
    queue->dispatches = 0;
}

int vk_submit(struct vk *vk, struct cr_error *err)
{
    int result = vk_check_alive(vk, err);
    if (result == 0)
        result = vk_emit(vk, err);
    if (result < 0 || !vk->queue.open)
        return result;
    struct vk_slot *slot = &vk->queue.slots[vk_now(vk) % VK_SLOTS];
    close_slot(vk, slot);
    VkResult answer = VK_CALL(&vk->api, EndCommandBuffer, slot->commands);
    if (answer != VK_SUCCESS)
        return vk_lose(vk, err, "vkEndCommandBuffer: %s", vk_result_name(answer));
    answer = submit_slot(vk, slot, vk_now(vk));
    if (answer != VK_SUCCESS)
        return vk_lose(vk, err, "vkQueueSubmit: %s", vk_result_name(answer));
    hand_over(vk, slot);
    return 0;
}

int vk_make_room(struct vk *vk, double estimate, struct cr_error *err)
{
    struct vk_queue *queue = &vk->queue;
    if (queue->dispatches > 0 && queue->estimate + estimate > queue->limit)
        return vk_submit(vk, err);
    if (queue->dispatches == 0 || queue->dispatches % POLL_EVERY != 0)
        return 0;
    int result = vk_poll(vk, err);
    if (result == 0 && queue->completed == queue->submitted && queue->estimate >= EARLY)
        result = vk_submit(vk, err);
    return result;
}

bool vk_settle(struct vk *vk)
{
    if (vk->queue.timeline == VK_NULL_HANDLE || vk->queue.completed == vk->queue.submitted)
        return true;
    double start = vk_seconds(), waited = 0;
    VkResult result = VK_TIMEOUT;
    while (result == VK_TIMEOUT && waited < FAREWELL) {
        result = wait_timeline(vk, vk->queue.submitted, FAREWELL - waited);
        waited = vk_seconds() - start;
    }
    return result != VK_TIMEOUT;
}
