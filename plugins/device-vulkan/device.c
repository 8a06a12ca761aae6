/* SPDX-License-Identifier: MIT */
/* device-vulkan: the element, its table, opening and closing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vk.h"

static const struct vk_family *const families[] = {
    &vk_elements_family,  &vk_linear_family,
    &vk_attention_family, &vk_reduce_family,
    &vk_layout_family,    &vk_rows_family,
    &vk_picture_family,   &vk_quantize_family,
    &vk_train_family,     NULL,
};

const struct vk_entry *vk_find_entry(int op)
{
    for (const struct vk_family *const *family = families; *family != NULL; family++)
        for (const struct vk_entry *entry = (*family)->entries; entry->op != 0; entry++)
            if ((int)entry->op == op)
                return entry;
    return NULL;
}

/* ---- Opening ---- */

/* The structs that switch features on, chained. */
struct feature_chain {
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan12Features vulkan12;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroups;
#ifdef VK_EXT_device_fault
    VkPhysicalDeviceFaultFeaturesEXT fault;
#endif
    const char *extensions[8];
    uint32_t extension_count;
};

static void fill_chain(const struct vk_physical *physical, struct feature_chain *chain)
{
    memset(chain, 0, sizeof(*chain));
    chain->features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    chain->features.pNext = &chain->vulkan12;
    chain->vulkan12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    chain->vulkan12.bufferDeviceAddress = VK_TRUE;
    chain->vulkan12.timelineSemaphore = VK_TRUE;
    if (physical->subgroup > 0) {
        chain->subgroups.sType =
            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
        chain->subgroups.subgroupSizeControl = VK_TRUE;
        chain->subgroups.computeFullSubgroups = VK_TRUE;
        chain->vulkan12.pNext = &chain->subgroups;
        chain->extensions[chain->extension_count++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    }
    if (physical->feedback)
        chain->extensions[chain->extension_count++] =
            VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME;
    if (physical->budget)
        chain->extensions[chain->extension_count++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
#ifdef VK_EXT_device_fault
    if (physical->fault) {
        chain->fault.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT;
        chain->fault.deviceFault = VK_TRUE;
        chain->fault.pNext = chain->features.pNext;
        chain->features.pNext = &chain->fault;
        chain->extensions[chain->extension_count++] = VK_EXT_DEVICE_FAULT_EXTENSION_NAME;
    }
#endif
}

static int create_device(struct vk *vk, struct cr_error *err)
{
    struct feature_chain chain;
    const float priority = 1;
    fill_chain(&vk->physical, &chain);
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = vk->physical.family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &chain.features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = chain.extension_count,
        .ppEnabledExtensionNames = chain.extensions,
    };
    VkResult result =
        VK_CALL(&vk->api, CreateDevice, vk->physical.handle, &create, NULL, &vk->device);
    if (result != VK_SUCCESS)
        return vk_fail(err, result, "vkCreateDevice");
    int code = vk_api_device(&vk->api, vk->device, err);
    if (code == 0)
        vk->api.GetDeviceQueue(vk->device, vk->physical.family, 0, &vk->vk_queue);
    return code;
}

static int set_caps(struct vk *vk, struct cr_error *err)
{
    const struct vk_physical *physical = &vk->physical;
    vk->caps = (struct vk_caps){
        .features = VK_NEEDS(VECTOR) | VK_NEEDS(TILE) | VK_NEEDS(SPLIT) | VK_NEEDS(WIDE) |
                    (physical->subgroup > 0 ? VK_NEEDS(SUBGROUP) : 0) |
                    (physical->f16 ? VK_NEEDS(F16) : 0) | (physical->dot ? VK_NEEDS(DOT) : 0) |
                    (physical->cooperative ? VK_NEEDS(COOPMAT) : 0),
        .subgroup = physical->subgroup,
        .max_threads = physical->properties.limits.maxComputeWorkGroupInvocations,
        .shared_memory = physical->properties.limits.maxComputeSharedMemorySize,
        .software = vk_physical_software(physical),
        .keeps_denormals = physical->vulkan12.shaderDenormPreserveFloat32,
    };
    if (physical->properties.limits.maxComputeWorkGroupSize[0] < vk->caps.max_threads)
        vk->caps.max_threads = physical->properties.limits.maxComputeWorkGroupSize[0];
    return vk_disable(&vk->caps.features, err);
}

static int choose(struct vk *vk, const char *selector, struct cr_error *err)
{
    struct vk_physical *list = cr_calloc(VK_MAX_DEVICES, sizeof(*list));
    const struct vk_physical *chosen = NULL;
    uint32_t count = 0;
    if (list == NULL)
        return cr_fail_memory(err, VK_MAX_DEVICES * sizeof(*list));
    int result = vk_physical_list(&vk->api, vk->instance, list, &count, err);
    if (result == 0)
        result = vk_physical_choose(list, count, selector, &chosen, err);
    if (result == 0)
        vk->physical = *chosen;
    cr_free(list);
    return result;
}

/* $NAME has to be one of the words; returns its place, 0 where it is not set. */
static int read_choice(const char *name, const char *const *words, int *choice,
                       struct cr_error *err)
{
    const char *value = getenv(name);
    *choice = 0;
    if (value == NULL || value[0] == '\0')
        return 0;
    for (int i = 1; words[i] != NULL; i++)
        if (strcmp(words[i], value) == 0) {
            *choice = i;
            return 0;
        }
    return cr_fail(err, CR_ERR_ARGUMENT, "%s: \"%s\" is none of its values", name, value);
}

/* Seconds of one submission; 0: not said. */
static int read_limit(double *limit, struct cr_error *err)
{
    const char *value = getenv("CRAYON_VULKAN_SUBMIT_MS");
    char *end = NULL;
    if (value == NULL || value[0] == '\0')
        return 0;
    *limit = strtod(value, &end) / 1000;
    if (*end != '\0' || !(*limit > 0 && *limit <= 60))
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "CRAYON_VULKAN_SUBMIT_MS: \"%s\" is no number of milliseconds in 0..60000",
                       value);
    return 0;
}

static int read_environment(struct vk *vk, struct cr_error *err)
{
    static const char *const syncs[] = {"", "all", "reverse", NULL};
    static const char *const omits[] = {"", "raw", "war", "waw", "transfer", NULL};
    int sync = 0, omit = 0;
    int result = read_choice("CRAYON_VULKAN_SYNC", syncs, &sync, err);
    if (result == 0)
        result = read_choice("CRAYON_VULKAN_OMIT", omits, &omit, err);
    if (result == 0)
        result = read_limit(&vk->queue.limit, err);
    vk->recorder.sync = (enum vk_sync)sync;
    vk->recorder.omit = (enum vk_omit)omit;
    return result;
}

int vk_open(struct vk *vk, const char *selector, const struct cr_device_params *params,
            const struct vk_hooks *hooks, struct cr_error *err)
{
    if (params != NULL)
        vk->params = *params;
    int result = vk_api_load(&vk->api, hooks, err);
    if (result == 0)
        result = read_environment(vk, err);
    if (result == 0)
        result = vk_api_instance(&vk->api, &vk->instance, err);
    if (result == 0)
        result = choose(vk, selector, err);
    if (result == 0)
        result = set_caps(vk, err);
    if (result == 0)
        result = create_device(vk, err);
    if (result == 0)
        result = vk_queue_init(vk, err);
    if (result == 0)
        result = vk_pipelines_init(vk, err);
    if (result == 0)
        vk_heap_init(vk);
    if (result < 0)
        vk_close(vk);
    return result;
}

/* For whoever wants to know where the time went. */
static void log_counters(const struct vk *vk)
{
    const struct vk_counters *c = &vk->counters;
    char name[32];
    snprintf(name, sizeof(name), "vulkan:%u", vk->physical.index);
    cr_log_write(vk->params.log, CR_LOG_DEBUG, name,
                 "%llu dispatches in %llu submissions (the longest was estimated at %.0f ms), %llu "
                 "barriers, %llu copies, %llu pipelines, %llu allocations; rates: %.3g bytes/s, "
                 "%.3g operations/s",
                 (unsigned long long)c->dispatches, (unsigned long long)c->submissions,
                 1000 * c->largest_estimate, (unsigned long long)c->barriers,
                 (unsigned long long)c->copies, (unsigned long long)c->pipelines,
                 (unsigned long long)c->allocations, vk->queue.byte_rate, vk->queue.operation_rate);
}

void vk_close(struct vk *vk)
{
    if (vk->device != VK_NULL_HANDLE)
        log_counters(vk);
    if (vk->device != VK_NULL_HANDLE && !vk_settle(vk)) {
        /* It may still be working: what it uses is left to it, only our own memory is freed. */
        vk->device = VK_NULL_HANDLE;
        vk->instance = VK_NULL_HANDLE;
    }
    vk_transfer_finish(vk);
    vk_heap_finish(vk);
    vk_pipelines_finish(vk);
    vk_queue_finish(vk);
    if (vk->device != VK_NULL_HANDLE && vk->api.DestroyDevice != NULL)
        vk->api.DestroyDevice(vk->device, NULL);
    if (vk->instance != VK_NULL_HANDLE && vk->api.DestroyInstance != NULL)
        vk->api.DestroyInstance(vk->instance, NULL);
    vk->device = VK_NULL_HANDLE;
    vk->instance = VK_NULL_HANDLE;
}

/* ---- The table ---- */

static int list_with(struct vk_api *api, VkInstance instance, struct cr_device_found *found,
                     struct cr_error *err)
{
    struct vk_physical *list = cr_calloc(VK_MAX_DEVICES, sizeof(*list));
    uint32_t count = 0;
    if (list == NULL)
        return cr_fail_memory(err, VK_MAX_DEVICES * sizeof(*list));
    int result = vk_physical_list(api, instance, list, &count, err);
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        struct cr_device_info info = {.size = sizeof(info)};
        vk_physical_info(&list[i], &info);
        cr_device_found_add(found, &info);
    }
    if (result == 0 && count == 0)
        result =
            cr_fail(err, CR_ERR_NOT_FOUND, "no GPU: the Vulkan drivers on this machine find none");
    cr_free(list);
    return result;
}

static int list(struct cr_device_found *found, struct cr_error *err)
{
    struct vk_api api;
    VkInstance instance = VK_NULL_HANDLE;
    int result = vk_api_load(&api, NULL, err);
    if (result == 0)
        result = vk_api_instance(&api, &instance, err);
    if (result == 0)
        result = list_with(&api, instance, found, err);
    if (instance != VK_NULL_HANDLE && api.DestroyInstance != NULL)
        api.DestroyInstance(instance, NULL);
    return result;
}

static int open_vulkan(void *state, const char *selector, const struct cr_device_params *params,
                       struct cr_error *err)
{
    return vk_open(state, selector, params, NULL, err);
}

static void close_vulkan(void *state)
{
    vk_close(state);
}

static void info_vulkan(const void *state, struct cr_device_info *info)
{
    const struct vk *vk = state;
    vk_physical_info(&vk->physical, info);
}

static bool supports(const void *state, const struct cr_call *call)
{
    (void)state;
    return vk_find_entry(call->op) != NULL;
}

static const char *variant(const void *state, const struct cr_call *call)
{
    const struct vk_entry *entry = vk_find_entry(call->op);
    return entry == NULL ? NULL : entry->variant == NULL ? "plain" : entry->variant(state, call);
}

static int alloc_memory(void *state, size_t bytes, void **memory, struct cr_error *err)
{
    struct vk_memory *piece = NULL;
    int result = vk_check_alive(state, err);
    if (result == 0)
        result = vk_memory_alloc(state, bytes, &piece, err);
    *memory = piece;
    return result;
}

static void free_memory(void *state, void *memory)
{
    vk_memory_free(state, memory);
}

static int upload(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err)
{
    return vk_upload(state, ((struct vk_memory *)memory)->address + offset, data, bytes, err);
}

/* Report what went wrong since the last synchronisation, once. */
static int report_late(struct vk *vk, struct cr_error *err)
{
    int code = vk->late.code;
    if (code != 0)
        cr_fail(err, code, "%s", vk->late.message);
    cr_error_clear(&vk->late);
    return code;
}

static int download(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err)
{
    int result =
        vk_download(state, ((struct vk_memory *)memory)->address + offset, data, bytes, err);
    return result < 0 ? result : report_late(state, err);
}

static int submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    struct vk *vk = state;
    const struct vk_entry *entry = vk_find_entry(call->op);
    if (entry == NULL)
        return cr_fail(err, CR_ERR_UNSUPPORTED, "the device vulkan has no such operation");
    int result = vk_check_alive(vk, err);
    if (result < 0)
        return result;
    vk_call_begin(vk, call);
    result = entry->run(vk, call, err);
    vk_call_end(vk);
    return result;
}

static int flush(void *state, struct cr_error *err)
{
    return vk_submit(state, err);
}

static int wait_all(void *state, double seconds, struct cr_error *err)
{
    int result = 0;
    if (seconds > 0) {
        if ((result = vk_submit(state, err)) < 0)
            return result;
        if (!vk_wait_briefly(state, seconds))
            return cr_fail(err, CR_ERR_DEVICE, "not done after %g s; it may be waited for again",
                           seconds);
    }
    result = vk_synchronize(state, err);
    return result < 0 ? result : report_late(state, err);
}

static int explain(const void *state, struct cr_text *text, struct cr_error *err)
{
    for (const struct vk_family *const *family = families; *family != NULL; family++)
        vk_explain(state, *family, text);
    return text->failed ? cr_fail_memory(err, text->size) : 0;
}

static void memory_figures(const void *state, uint64_t *total, uint64_t *free_bytes)
{
    vk_heap_figures(state, total, free_bytes);
}

const struct cr_device_ops vk_ops = {
    .size = sizeof(struct cr_device_ops),
    .list = list,
    .open = open_vulkan,
    .info = info_vulkan,
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
    .close = close_vulkan,
    .limits = vk_limits,
    .explain = explain,
};
