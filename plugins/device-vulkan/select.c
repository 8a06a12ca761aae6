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
    VkPhysicalDeviceSubgroupProperties operations = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = &physical->maintenance3};
    void *next = &operations;
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
    VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT, .pNext = next};
    bool has_pci = has(extensions, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = has_pci ? &pci : next};
    api->GetPhysicalDeviceProperties2(physical->handle, &properties);
    physical->properties = properties.properties;
    if (has_pci)
        snprintf(physical->pci, sizeof(physical->pci), "%04x:%02x:%02x.%x", pci.pciDomain,
                 pci.pciBus, pci.pciDevice, pci.pciFunction);
    if ((operations.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0)
        physical->subgroup_operations = operations.supportedOperations;
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

/* Lanes to ask for: full subgroups of a required size, and what shaders do with them, have to be
 * there, else 0. */
static uint32_t choose_subgroup(const struct vk_physical *physical,
                                const VkPhysicalDeviceSubgroupSizeControlFeaturesEXT *control)
{
    const VkPhysicalDeviceSubgroupSizeControlPropertiesEXT *sizes = &physical->subgroups;
    const VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                          VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                          VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    if ((physical->subgroup_operations & needed) != needed || !control->subgroupSizeControl ||
        !control->computeFullSubgroups ||
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

/* ---- Which one is meant ---- */

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

/* Numbers may not depend on the order in which a loader finds its drivers. */
static int compare(const void *left, const void *right)
{
    const struct vk_physical *a = left, *b = right;
    if (rank(a) != rank(b))
        return rank(b) - rank(a);
    if (a->properties.vendorID != b->properties.vendorID)
        return a->properties.vendorID < b->properties.vendorID ? -1 : 1;
    if (a->properties.deviceID != b->properties.deviceID)
        return a->properties.deviceID < b->properties.deviceID ? -1 : 1;
    int order = memcmp(a->id.deviceUUID, b->id.deviceUUID, VK_UUID_SIZE);
    return order != 0 ? order : (int)a->vulkan12.driverID - (int)b->vulkan12.driverID;
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
        int code = describe(api, &list[i], err);
        if (code < 0)
            return code;
    }
    qsort(list, *count, sizeof(*list), compare);
    for (uint32_t i = 0; i < *count; i++)
        list[i].index = i;
    return 0;
}

static bool contains(const char *text, const char *part)
{
    for (size_t length = strlen(part); *text != '\0'; text++)
        if (strncasecmp(text, part, length) == 0)
            return true;
    return false;
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 9;
}

/* With or without the dashes. */
static bool is_uuid(const struct vk_physical *physical, const char *text)
{
    char uuid[37], plain[37];
    size_t length = 0;
    vk_physical_uuid(physical, uuid);
    for (const char *at = uuid; *at != '\0'; at++)
        if (*at != '-')
            plain[length++] = *at;
    plain[length] = '\0';
    return strcasecmp(text, uuid) == 0 || strcasecmp(text, plain) == 0;
}

/* How well the selector fits: 0 not at all, 1 a part of the name, 2 the name, 3 it alone. */
static int fit(const struct vk_physical *physical, const char *selector)
{
    if (is_number(selector))
        return strtoul(selector, NULL, 10) == physical->index ? 3 : 0;
    if (is_uuid(physical, selector))
        return 3;
    if (strcasecmp(physical->properties.deviceName, selector) == 0)
        return 2;
    return contains(physical->properties.deviceName, selector) ? 1 : 0;
}

static void list_devices(struct cr_text *text, const struct vk_physical *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cr_text_printf(text, "%svulkan:%u (%s)", text->size > 0 ? ", " : "", list[i].index,
                       list[i].properties.deviceName);
}

static int fail_unknown(const struct vk_physical *list, uint32_t count, const char *selector,
                        struct cr_error *err)
{
    struct cr_text known = CR_TEXT_INIT;
    list_devices(&known, list, count);
    cr_fail(err, CR_ERR_NOT_FOUND, "no device \"vulkan:%s\"; there are: %s", selector,
            known.size > 0 ? known.data : "none");
    cr_text_finish(&known);
    return CR_ERR_NOT_FOUND;
}

static int fail_ambiguous(const struct vk_physical *list, uint32_t count, const char *selector,
                          int best, struct cr_error *err)
{
    struct cr_text matches = CR_TEXT_INIT;
    for (uint32_t i = 0; i < count; i++)
        if (fit(&list[i], selector) == best)
            list_devices(&matches, &list[i], 1);
    cr_fail(err, CR_ERR_NOT_FOUND, "\"vulkan:%s\" fits several devices: %s; name one by its number",
            selector, matches.size > 0 ? matches.data : "");
    cr_text_finish(&matches);
    return CR_ERR_NOT_FOUND;
}

/* There is no real GPU, or none that could be used. */
static int fail_no_gpu(const struct vk_physical *list, uint32_t count, struct cr_error *err)
{
    struct cr_text software = CR_TEXT_INIT;
    int result = CR_ERR_NOT_FOUND;
    for (uint32_t i = 0; i < count; i++)
        if (vk_physical_software(&list[i]))
            list_devices(&software, &list[i], 1);
    if (count > 0 && rank(&list[0]) > 0)
        result = cr_fail(err, CR_ERR_UNSUPPORTED, "no GPU that could be used: %s has %s",
                         list[0].properties.deviceName, list[0].unusable);
    else if (software.size > 0)
        cr_fail(err, CR_ERR_NOT_FOUND,
                "no GPU, only drivers that compute on the processor: %s; they are used when they "
                "are named so",
                software.data);
    else
        cr_fail(err, CR_ERR_NOT_FOUND, "no GPU: the Vulkan drivers on this machine find none");
    cr_text_finish(&software);
    return result;
}

static int choose_named(const struct vk_physical *list, uint32_t count, const char *selector,
                        const struct vk_physical **chosen, struct cr_error *err)
{
    int best = 0, matches = 0;
    for (uint32_t i = 0; i < count; i++) {
        int how = fit(&list[i], selector);
        if (how > best) {
            best = how;
            matches = 0;
            *chosen = &list[i];
        }
        matches += how > 0 && how == best;
    }
    if (best == 0)
        return fail_unknown(list, count, selector, err);
    if (matches > 1)
        return fail_ambiguous(list, count, selector, best, err);
    if ((*chosen)->unusable[0] != '\0')
        return cr_fail(err, CR_ERR_UNSUPPORTED, "vulkan:%u (%s) cannot be used: it has %s",
                       (*chosen)->index, (*chosen)->properties.deviceName, (*chosen)->unusable);
    return 0;
}

int vk_physical_choose(const struct vk_physical *list, uint32_t count, const char *selector,
                       const struct vk_physical **chosen, struct cr_error *err)
{
    *chosen = NULL;
    if (selector[0] != '\0')
        return choose_named(list, count, selector, chosen, err);
    for (uint32_t i = 0; i < count && *chosen == NULL; i++) /* the best ones come first */
        if (rank(&list[i]) > 0 && list[i].unusable[0] == '\0')
            *chosen = &list[i];
    return *chosen != NULL ? 0 : fail_no_gpu(list, count, err);
}
