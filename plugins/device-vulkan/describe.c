/* SPDX-License-Identifier: MIT */
/* A physical device in words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vk.h"

bool vk_physical_software(const struct vk_physical *physical)
{
    return physical->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

void vk_physical_uuid(const struct vk_physical *physical, char text[37])
{
    char *at = text;
    for (unsigned i = 0; i < VK_UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at += snprintf(at, 3, "%02x", physical->id.deviceUUID[i]);
    }
}

const char *vk_physical_lacks(const struct vk_physical *physical, enum vk_feature feature)
{
    switch (feature) {
    case VK_FEATURE_SUBGROUP:
        return physical->subgroup > 0 ? NULL
                                      : "the driver lacks full subgroups of a required size "
                                        "(VK_EXT_subgroup_size_control)";
    case VK_FEATURE_F16:
        return physical->f16 ? NULL : "the driver lacks shaderFloat16";
    case VK_FEATURE_DOT:
        return physical->dot ? NULL : "the driver lacks VK_KHR_shader_integer_dot_product";
    case VK_FEATURE_COOPMAT:
        return physical->cooperative ? NULL : "the driver lacks VK_KHR_cooperative_matrix";
    default:
        return NULL;
    }
}

/* Appends as much as there is room for. */
static void add(char *text, size_t size, const char *format, ...) CR_PRINTF(3, 4);
static void add(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static const char *type_name(const struct vk_physical *physical)
{
    switch (physical->properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "a GPU with memory of its own";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "a GPU that shares the machine's memory";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "a virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "a driver that computes on the processor";
    default:
        return "of no known type";
    }
}

/* Names of the features that are there (or not), with commas. */
static void add_features(const struct vk_physical *physical, bool there, char *text, size_t size)
{
    const char *separator = there ? "features: " : "not there: ";
    for (int i = 0; i < VK_FEATURE_COUNT; i++) {
        const char *lacks = vk_physical_lacks(physical, (enum vk_feature)i);
        if ((lacks == NULL) != there)
            continue;
        add(text, size, "%s%s", separator, vk_feature_names[i]);
        if (!there)
            add(text, size, " (%s)", lacks);
        separator = ", ";
    }
}

static void add_detail(const struct vk_physical *physical, char *text, size_t size)
{
    const VkPhysicalDeviceMemoryProperties *memory = &physical->memory;
    const uint32_t version = physical->properties.apiVersion;
    char uuid[37];
    vk_physical_uuid(physical, uuid);
    if (physical->unusable[0] != '\0')
        add(text, size, "cannot be used: it has %s\n", physical->unusable);
    add(text, size, "%s; Vulkan %u.%u.%u\nuuid %s%s%s\nmemory:", type_name(physical),
        VK_VERSION_MAJOR(version), VK_VERSION_MINOR(version), VK_VERSION_PATCH(version), uuid,
        physical->pci[0] != '\0' ? ", PCI " : "", physical->pci);
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
        add(text, size, "%s %.1f GiB%s", i > 0 ? "," : "",
            (double)memory->memoryHeaps[i].size / (double)(UINT64_C(1) << 30),
            (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0 ? " (device)"
                                                                                  : "");
    add(text, size, "\n");
    if (physical->subgroup > 0)
        add(text, size, "subgroups of %u to %u lanes, used with %u\n",
            physical->subgroups.minSubgroupSize, physical->subgroups.maxSubgroupSize,
            physical->subgroup);
    add_features(physical, true, text, size);
    add(text, size, "\n");
    add_features(physical, false, text, size);
}

void vk_physical_info(const struct vk_physical *physical, struct cr_device_info *info)
{
    uint64_t memory = 0;
    for (uint32_t i = 0; i < physical->memory.memoryHeapCount; i++)
        if ((physical->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
            memory += physical->memory.memoryHeaps[i].size;
    info->flags = CR_DEVICE_GPU | (vk_physical_software(physical) ? CR_DEVICE_SOFTWARE : 0u) |
                  (physical->unusable[0] != '\0' ? CR_DEVICE_UNUSABLE : 0u);
    info->memory = memory;
    snprintf(info->name, sizeof(info->name), "vulkan:%u", physical->index);
    snprintf(info->title, sizeof(info->title), "%.127s", physical->properties.deviceName);
    snprintf(info->driver, sizeof(info->driver), "%.60s %.60s", physical->vulkan12.driverName,
             physical->vulkan12.driverInfo);
    info->detail[0] = '\0';
    add_detail(physical, info->detail, sizeof(info->detail));
}
