/* SPDX-License-Identifier: MIT */
/* Finding Vulkan at run time, and the table through which every call goes. */
#include <dlfcn.h>
#include <string.h>

#include "vk.h"

#define LIBRARY "libvulkan.so.1"

static const struct {
    VkResult result;
    const char *name;
} result_names[] = {
#define NAME(result)                                                                               \
    {                                                                                              \
        result, #result                                                                            \
    }
    NAME(VK_SUCCESS),
    NAME(VK_NOT_READY),
    NAME(VK_TIMEOUT),
    NAME(VK_INCOMPLETE),
    NAME(VK_ERROR_OUT_OF_HOST_MEMORY),
    NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY),
    NAME(VK_ERROR_INITIALIZATION_FAILED),
    NAME(VK_ERROR_DEVICE_LOST),
    NAME(VK_ERROR_MEMORY_MAP_FAILED),
    NAME(VK_ERROR_LAYER_NOT_PRESENT),
    NAME(VK_ERROR_EXTENSION_NOT_PRESENT),
    NAME(VK_ERROR_FEATURE_NOT_PRESENT),
    NAME(VK_ERROR_INCOMPATIBLE_DRIVER),
    NAME(VK_ERROR_TOO_MANY_OBJECTS),
    NAME(VK_ERROR_INVALID_EXTERNAL_HANDLE),
    NAME(VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS),
    NAME(VK_ERROR_UNKNOWN),
#undef NAME
};

const char *vk_result_name(VkResult result)
{
    for (size_t i = 0; i < sizeof(result_names) / sizeof(result_names[0]); i++)
        if (result_names[i].result == result)
            return result_names[i].name;
    return "a result that has no name";
}

int vk_fail(struct cr_error *err, VkResult result, const char *what)
{
    bool memory = result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return cr_fail(err, memory ? CR_ERR_MEMORY : CR_ERR_DEVICE, "%s: %s", what,
                   vk_result_name(result));
}

static void report_loaded(struct vk_api *api)
{
    if (api->hooks != NULL && api->hooks->loaded != NULL)
        api->hooks->loaded(api->hooks->user, api);
}

static int fail_missing(struct cr_error *err, const char *name)
{
    return cr_fail(err, CR_ERR_UNSUPPORTED,
                   "the Vulkan driver has no vk%s; a loader and a driver for Vulkan 1.2 are needed",
                   name);
}

/* ISO C knows no way from an object pointer to a function pointer; POSIX promises this one. */
static PFN_vkGetInstanceProcAddr entry_point(void *library)
{
    PFN_vkGetInstanceProcAddr entry = NULL;
    void *symbol = dlsym(library, "vkGetInstanceProcAddr");
    memcpy(&entry, &symbol, sizeof(entry));
    return entry;
}

int vk_api_load(struct vk_api *api, const struct vk_hooks *hooks, struct cr_error *err)
{
    memset(api, 0, sizeof(*api));
    api->hooks = hooks;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL)
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "no Vulkan loader on this machine (%s); install it (Debian: libvulkan1) and "
                       "the GPU's driver (mesa-vulkan-drivers, or the vendor's)",
                       dlerror());
    api->GetInstanceProcAddr = entry_point(library);
    dlclose(library); /* stays: RTLD_NODELETE */
    if (api->GetInstanceProcAddr == NULL)
        return cr_fail(err, CR_ERR_UNSUPPORTED, "%s is no Vulkan loader: %s", LIBRARY,
                       "it has no vkGetInstanceProcAddr");
#define LOAD(name)                                                                                 \
    if ((api->name = (PFN_vk##name)api->GetInstanceProcAddr(NULL, "vk" #name)) == NULL)            \
        return fail_missing(err, #name);
    VK_GLOBAL_FUNCTIONS(LOAD)
#undef LOAD
    report_loaded(api);
    return 0;
}

static int load_instance(struct vk_api *api, VkInstance instance, struct cr_error *err)
{
#define LOAD(name)                                                                                 \
    if ((api->name = (PFN_vk##name)api->GetInstanceProcAddr(instance, "vk" #name)) == NULL)        \
        return fail_missing(err, #name);
    VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    report_loaded(api);
    return 0;
}

int vk_api_instance(struct vk_api *api, VkInstance *instance, struct cr_error *err)
{
    uint32_t version = 0;
    *instance = VK_NULL_HANDLE;
    VkResult result = VK_CALL(api, EnumerateInstanceVersion, &version);
    if (result != VK_SUCCESS)
        return vk_fail(err, result, "vkEnumerateInstanceVersion");
    if (version < VK_API_VERSION_1_2)
        return cr_fail(err, CR_ERR_UNSUPPORTED, "the Vulkan loader is of version %u.%u, not 1.2",
                       VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "crayon",
        .pEngineName = "crayon",
        .apiVersion = VK_API_VERSION_1_2,
    };
    const VkInstanceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
    };
    result = VK_CALL(api, CreateInstance, &create, NULL, instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return cr_fail(err, CR_ERR_UNSUPPORTED,
                       "no Vulkan driver on this machine (%s); install the GPU's (Debian: "
                       "mesa-vulkan-drivers, or the vendor's)",
                       vk_result_name(result));
    if (result != VK_SUCCESS)
        return vk_fail(err, result, "vkCreateInstance");
    return load_instance(api, *instance, err);
}

int vk_api_device(struct vk_api *api, VkDevice device, struct cr_error *err)
{
#define LOAD(name)                                                                                 \
    if ((api->name = (PFN_vk##name)api->GetDeviceProcAddr(device, "vk" #name)) == NULL)            \
        return fail_missing(err, #name);
    VK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
#define LOAD(name) api->name = (PFN_vk##name)api->GetDeviceProcAddr(device, "vk" #name);
    VK_OPTIONAL_FUNCTIONS(LOAD)
#undef LOAD
    report_loaded(api);
    return 0;
}
