/* SPDX-License-Identifier: MIT */
/* Which physical devices there are, what they can do, and which one a name means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vk.h"

#define MAX_EXTENSIONS 512
/* Lanes that are asked for where a driver offers a choice: what most hardware works with. */
#define PREFERRED_SUBGROUP 32

bool vk_physical_software(const struct vk_physical *physical)
{
    return physical->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

/* ---- What a device can do ---- */

struct extensions {
    VkExtensionProperties list[MAX_EXTENSIONS];
    uint32_t count;
};

static bool has(const struct extensions *extensions, const char *name)
{
    for (uint32_t i = 0; i < extensions->count; i++)
        if (strcmp(extensions->list[i].extensionName, name) == 0)
            return true;
    return false;
}

static void find_family(struct vk_api *api, struct vk_physical *physical)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = 32;
    physical->family = UINT32_MAX;
    api->GetPhysicalDeviceQueueFamilyProperties(physical->handle, &count, families);
    /* A family without graphics is preferred: a long dispatch there does not hold up a screen. */
    for (uint32_t i = 0; i < count; i++) {
        bool better = physical->family == UINT32_MAX ||
                      ((families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0 &&
                       (families[physical->family].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0);
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0 && families[i].queueCount > 0 &&
            better)
            physical->family = i;
    }
    if (physical->family != UINT32_MAX)
        physical->timestamp_bits = families[physical->family].timestampValidBits;
}

static void read_properties(struct vk_api *api, struct vk_physical *physical,
                            const struct extensions *extensions)
{
    physical->subgroups.sType =
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT;
    physical->maintenance3.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    physical->id.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
    physical->vulkan12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    physical->maintenance3.pNext = &physical->id;
    physical->id.pNext = &physical->vulkan12;
    void *next = &physical->maintenance3;
    if (has(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        physical->subgroups.pNext = next;
        next = &physical->subgroups;
    }
#ifdef VK_KHR_maintenance4
    VkPhysicalDeviceMaintenance4PropertiesKHR maintenance4 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES_KHR, .pNext = next};
    if (has(extensions, VK_KHR_MAINTENANCE_4_EXTENSION_NAME))
        next = &maintenance4;
#endif
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = next};
    api->GetPhysicalDeviceProperties2(physical->handle, &properties);
    physical->properties = properties.properties;
    physical->max_buffer = physical->maintenance3.maxMemoryAllocationSize;
#ifdef VK_KHR_maintenance4
    if (maintenance4.maxBufferSize > 0 && maintenance4.maxBufferSize < physical->max_buffer)
        physical->max_buffer = maintenance4.maxBufferSize;
#endif
    /* These point into the stack. */
    physical->subgroups.pNext = physical->maintenance3.pNext = physical->id.pNext = NULL;
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    api->GetPhysicalDeviceMemoryProperties2(physical->handle, &memory);
    physical->memory = memory.memoryProperties;
}

/* Lanes to ask for: full subgroups of a required size have to be there, else 0. */
static uint32_t choose_subgroup(const struct vk_physical *physical,
                                const VkPhysicalDeviceSubgroupSizeControlFeaturesEXT *control)
{
    const VkPhysicalDeviceSubgroupSizeControlPropertiesEXT *sizes = &physical->subgroups;
    if (!control->subgroupSizeControl || !control->computeFullSubgroups ||
        (sizes->requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0)
        return 0;
    uint32_t size = PREFERRED_SUBGROUP;
    size = size < sizes->minSubgroupSize ? sizes->minSubgroupSize : size;
    size = size > sizes->maxSubgroupSize ? sizes->maxSubgroupSize : size;
    return size >= 4 ? size : 0;
}

static void read_features(struct vk_api *api, struct vk_physical *physical,
                          const struct extensions *extensions)
{
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT};
    VkPhysicalDeviceVulkan12Features vulkan12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    if (has(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        vulkan12.pNext = &control;
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &vulkan12};
    api->GetPhysicalDeviceFeatures2(physical->handle, &features);
    if (!vulkan12.bufferDeviceAddress)
        snprintf(physical->unusable, sizeof(physical->unusable), "no buffer device addresses");
    else if (!vulkan12.timelineSemaphore)
        snprintf(physical->unusable, sizeof(physical->unusable), "no timeline semaphores");
    physical->f16 = vulkan12.shaderFloat16;
    physical->subgroup = choose_subgroup(physical, &control);
    physical->budget = has(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    physical->feedback = has(extensions, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
    physical->dot = has(extensions, "VK_KHR_shader_integer_dot_product");
    physical->cooperative = has(extensions, "VK_KHR_cooperative_matrix");
#ifdef VK_EXT_device_fault
    physical->fault = has(extensions, VK_EXT_DEVICE_FAULT_EXTENSION_NAME);
#endif
}

static int describe(struct vk_api *api, struct vk_physical *physical, struct cr_error *err)
{
    VkPhysicalDeviceProperties2 basic = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    api->GetPhysicalDeviceProperties2(physical->handle, &basic);
    physical->properties = basic.properties;
    find_family(api, physical);
    if (basic.properties.apiVersion < VK_API_VERSION_1_2) {
        snprintf(physical->unusable, sizeof(physical->unusable), "Vulkan %u.%u, not 1.2",
                 VK_VERSION_MAJOR(basic.properties.apiVersion),
                 VK_VERSION_MINOR(basic.properties.apiVersion));
        return 0;
    }
    struct extensions *extensions = cr_calloc(1, sizeof(*extensions));
    if (extensions == NULL)
        return cr_fail_memory(err, sizeof(*extensions));
    extensions->count = MAX_EXTENSIONS;
    VkResult result = VK_CALL(api, EnumerateDeviceExtensionProperties, physical->handle, NULL,
                              &extensions->count, extensions->list);
    if (result == VK_SUCCESS || result == VK_INCOMPLETE) {
        read_properties(api, physical, extensions);
        read_features(api, physical, extensions);
        if (physical->family == UINT32_MAX)
            snprintf(physical->unusable, sizeof(physical->unusable), "no queue for compute");
    }
    cr_free(extensions);
    return result == VK_SUCCESS || result == VK_INCOMPLETE
               ? 0
               : vk_fail(err, result, "vkEnumerateDeviceExtensionProperties");
}

int vk_physical_list(struct vk_api *api, VkInstance instance, struct vk_physical *list,
                     uint32_t *count, struct cr_error *err)
{
    VkPhysicalDevice handles[VK_MAX_DEVICES];
    *count = VK_MAX_DEVICES;
    VkResult result = VK_CALL(api, EnumeratePhysicalDevices, instance, count, handles);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        *count = 0;
        return vk_fail(err, result, "vkEnumeratePhysicalDevices");
    }
    memset(list, 0, *count * sizeof(*list));
    for (uint32_t i = 0; i < *count; i++) {
        list[i].handle = handles[i];
        list[i].index = i;
        int code = describe(api, &list[i], err);
        if (code < 0)
            return code;
    }
    return 0;
}

/* ---- Which one is meant ---- */

static void format_uuid(const uint8_t uuid[VK_UUID_SIZE], char text[37])
{
    char *at = text;
    for (unsigned i = 0; i < VK_UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at += snprintf(at, 3, "%02x", uuid[i]);
    }
}

static bool contains(const char *text, const char *part)
{
    for (size_t length = strlen(part); *text != '\0'; text++)
        if (strncasecmp(text, part, length) == 0)
            return true;
    return false;
}

/* Real GPUs, the one with memory of its own first. */
static int rank(const struct vk_physical *physical)
{
    switch (physical->properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return 4;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return 3;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return 0;
    default:
        return 1;
    }
}

static bool matches(const struct vk_physical *physical, const char *selector)
{
    char uuid[37];
    char *end = NULL;
    unsigned long index = strtoul(selector, &end, 10);
    if (selector[0] >= '0' && selector[0] <= '9' && *end == '\0')
        return index == physical->index;
    format_uuid(physical->id.deviceUUID, uuid);
    return strcasecmp(selector, uuid) == 0 || contains(physical->properties.deviceName, selector);
}

static const struct vk_physical *find(const struct vk_physical *list, uint32_t count,
                                      const char *selector)
{
    const struct vk_physical *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (selector[0] != '\0' && matches(&list[i], selector))
            return &list[i];
        if (selector[0] == '\0' && rank(&list[i]) > 0 && list[i].unusable[0] == '\0' &&
            (best == NULL || rank(&list[i]) > rank(best)))
            best = &list[i];
    }
    return best;
}

int vk_physical_choose(const struct vk_physical *list, uint32_t count, const char *selector,
                       const struct vk_physical **chosen, struct cr_error *err)
{
    *chosen = find(list, count, selector);
    if (*chosen != NULL && (*chosen)->unusable[0] != '\0')
        return cr_fail(err, CR_ERR_UNSUPPORTED, "vulkan:%u (%s) cannot be used: %s",
                       (*chosen)->index, (*chosen)->properties.deviceName, (*chosen)->unusable);
    if (*chosen != NULL)
        return 0;
    struct cr_text known = CR_TEXT_INIT;
    for (uint32_t i = 0; i < count; i++)
        cr_text_printf(&known, "%svulkan:%u (%s)", i > 0 ? ", " : "", i,
                       list[i].properties.deviceName);
    cr_fail(err, CR_ERR_NOT_FOUND,
            selector[0] == '\0' ? "no GPU%s%s; by name there are: %s"
                                : "no device \"vulkan%s%s\"; there are: %s",
            selector[0] == '\0' ? "" : ":", selector, known.size > 0 ? known.data : "none");
    cr_text_finish(&known);
    return CR_ERR_NOT_FOUND;
}

void vk_physical_info(const struct vk_physical *physical, struct cr_device_info *info)
{
    char uuid[37];
    uint64_t memory = 0;
    for (uint32_t i = 0; i < physical->memory.memoryHeapCount; i++)
        if ((physical->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
            memory += physical->memory.memoryHeaps[i].size;
    format_uuid(physical->id.deviceUUID, uuid);
    info->flags = CR_DEVICE_GPU | (vk_physical_software(physical) ? CR_DEVICE_SOFTWARE : 0);
    info->memory = memory;
    snprintf(info->name, sizeof(info->name), "vulkan:%u", physical->index);
    snprintf(info->title, sizeof(info->title), "%.127s", physical->properties.deviceName);
    snprintf(info->driver, sizeof(info->driver), "%.60s %.60s", physical->vulkan12.driverName,
             physical->vulkan12.driverInfo);
    snprintf(info->detail, sizeof(info->detail), "uuid: %s\nVulkan %u.%u.%u, subgroups of %u", uuid,
             VK_VERSION_MAJOR(physical->properties.apiVersion),
             VK_VERSION_MINOR(physical->properties.apiVersion),
             VK_VERSION_PATCH(physical->properties.apiVersion), physical->subgroup);
}
