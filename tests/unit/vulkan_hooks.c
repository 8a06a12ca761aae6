/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <dlfcn.h>

#include "vulkan_hooks.h"

#include "tensor/device.h"
#include "value/buffer.h"

static struct vk_api real; /* of the device opened last: one driver, so all are alike */
static int objects;
static struct hooked_grid groups;
static struct hooked_call *recorded; /* NULL: nothing is noted */

static struct {
    const char *call;
    int left;
    VkResult result;
    char failed[160];
} fault;

int hooked_objects(void)
{
    return objects;
}

void hooked_forget(void)
{
    objects = 0;
}

void hooked_fail(const char *call, int n, VkResult result)
{
    fault.call = call;
    fault.left = n;
    fault.result = result;
    fault.failed[0] = '\0';
}

const char *hooked_failed(void)
{
    return fault.failed[0] != '\0' ? fault.failed : NULL;
}

void hooked_watch_groups(const struct hooked_grid *grid)
{
    groups = grid == NULL ? (struct hooked_grid){0, 0, 0, NULL} : *grid;
}

void hooked_record(struct hooked_call calls[HOOKED_CALLS])
{
    recorded = calls;
}

static void note(const char *call)
{
    for (int i = 0; i < HOOKED_CALLS; i++) {
        if (recorded[i].hits == 0)
            snprintf(recorded[i].name, sizeof(recorded[i].name), "%s", call);
        if (strcmp(recorded[i].name, call) == 0) {
            recorded[i].hits++;
            return;
        }
    }
}

static VkResult inject(void *user, const char *call, const char *site)
{
    (void)user;
    const char *name = strrchr(site, '/');
    char whole[sizeof(fault.failed)];
    snprintf(whole, sizeof(whole), "%s %s", call, name == NULL ? site : name + 1);
    if (recorded != NULL)
        note(whole);
    if (fault.left == 0 ||
        (fault.call != NULL && strcmp(fault.call, call) != 0 && strcmp(fault.call, whole) != 0) ||
        (fault.left > 0 && --fault.left > 0))
        return VK_SUCCESS;
    memcpy(fault.failed, whole, sizeof(whole));
    return fault.result;
}

/* ---- Counting ---- */

/* Creators and destroyers of objects that hang on the device. */
#define WATCHED(X)                                                                                 \
    X(Buffer, VkBuffer, VkBufferCreateInfo)                                                        \
    X(CommandPool, VkCommandPool, VkCommandPoolCreateInfo)                                         \
    X(Semaphore, VkSemaphore, VkSemaphoreCreateInfo)                                               \
    X(QueryPool, VkQueryPool, VkQueryPoolCreateInfo)                                               \
    X(ShaderModule, VkShaderModule, VkShaderModuleCreateInfo)                                      \
    X(PipelineLayout, VkPipelineLayout, VkPipelineLayoutCreateInfo)                                \
    X(PipelineCache, VkPipelineCache, VkPipelineCacheCreateInfo)

#define WRAPPERS(name, type, info)                                                                 \
    static VKAPI_ATTR VkResult VKAPI_CALL create##name(                                            \
        VkDevice device, const info *create, const VkAllocationCallbacks *allocator, type *out)    \
    {                                                                                              \
        VkResult result = real.Create##name(device, create, allocator, out);                       \
        objects += result == VK_SUCCESS;                                                           \
        return result;                                                                             \
    }                                                                                              \
    static VKAPI_ATTR void VKAPI_CALL destroy##name(VkDevice device, type object,                  \
                                                    const VkAllocationCallbacks *allocator)        \
    {                                                                                              \
        objects--;                                                                                 \
        real.Destroy##name(device, object, allocator);                                             \
    }
WATCHED(WRAPPERS)

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *create,
                                                      const VkAllocationCallbacks *allocator,
                                                      VkInstance *out)
{
    VkResult result = real.CreateInstance(create, allocator, out);
    objects += result == VK_SUCCESS;
    return result;
}

static VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance instance,
                                                   const VkAllocationCallbacks *allocator)
{
    objects--;
    real.DestroyInstance(instance, allocator);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                                    const VkDeviceCreateInfo *create,
                                                    const VkAllocationCallbacks *allocator,
                                                    VkDevice *out)
{
    VkResult result = real.CreateDevice(physical, create, allocator, out);
    objects += result == VK_SUCCESS;
    return result;
}

static VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice device,
                                                 const VkAllocationCallbacks *allocator)
{
    objects--;
    real.DestroyDevice(device, allocator);
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device,
                                                      const VkMemoryAllocateInfo *allocate,
                                                      const VkAllocationCallbacks *allocator,
                                                      VkDeviceMemory *out)
{
    VkResult result = real.AllocateMemory(device, allocate, allocator, out);
    objects += result == VK_SUCCESS;
    return result;
}

static VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice device, VkDeviceMemory memory,
                                              const VkAllocationCallbacks *allocator)
{
    objects--;
    real.FreeMemory(device, memory, allocator);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache cache,
                                                       uint32_t count,
                                                       const VkComputePipelineCreateInfo *create,
                                                       const VkAllocationCallbacks *allocator,
                                                       VkPipeline *out)
{
    VkResult result = real.CreateComputePipelines(device, cache, count, create, allocator, out);
    objects += result == VK_SUCCESS;
    return result;
}

static VKAPI_ATTR void VKAPI_CALL destroy_pipeline(VkDevice device, VkPipeline pipeline,
                                                   const VkAllocationCallbacks *allocator)
{
    objects--;
    real.DestroyPipeline(device, pipeline, allocator);
}

static VKAPI_ATTR void VKAPI_CALL dispatch_base(VkCommandBuffer commands, uint32_t x, uint32_t y,
                                                uint32_t z, uint32_t columns, uint32_t rows,
                                                uint32_t layers)
{
    if (groups.counts == NULL) {
        real.CmdDispatchBase(commands, x, y, z, columns, rows, layers);
        return;
    }
    assert_true(x + columns <= groups.columns && y + rows <= groups.rows);
    assert_true(z + layers <= groups.layers);
    for (uint32_t l = z; l < z + layers; l++)
        for (uint32_t r = y; r < y + rows; r++)
            for (uint32_t c = x; c < x + columns; c++)
                groups.counts[((size_t)l * groups.rows + r) * groups.columns + c]++;
}

/* Called after the global, the instance's and the device's functions: each time all that are there.
 */
static void replace(void *user, struct vk_api *api)
{
    (void)user;
    if (api->CreateInstance != create_instance) {
        real.CreateInstance = api->CreateInstance;
        api->CreateInstance = create_instance;
    }
    if (api->DestroyInstance != NULL && api->DestroyInstance != destroy_instance) {
        real.DestroyInstance = api->DestroyInstance;
        real.CreateDevice = api->CreateDevice;
        api->DestroyInstance = destroy_instance;
        api->CreateDevice = create_device;
    }
    if (api->DestroyDevice == NULL)
        return;
#define REPLACE(name, type, info)                                                                  \
    real.Create##name = api->Create##name;                                                         \
    real.Destroy##name = api->Destroy##name;                                                       \
    api->Create##name = create##name;                                                              \
    api->Destroy##name = destroy##name;
    WATCHED(REPLACE)
    real.DestroyDevice = api->DestroyDevice;
    real.AllocateMemory = api->AllocateMemory;
    real.FreeMemory = api->FreeMemory;
    real.CreateComputePipelines = api->CreateComputePipelines;
    real.DestroyPipeline = api->DestroyPipeline;
    real.CmdDispatchBase = api->CmdDispatchBase;
    api->DestroyDevice = destroy_device;
    api->AllocateMemory = allocate_memory;
    api->FreeMemory = free_memory;
    api->CreateComputePipelines = create_pipelines;
    api->DestroyPipeline = destroy_pipeline;
    api->CmdDispatchBase = dispatch_base;
}

/* ---- Devices and tensors ---- */

static const struct vk_hooks hooks = {.loaded = replace, .fault = inject};

static int open_hooked(void *state, const char *selector, const struct cr_device_params *params,
                       struct cr_error *err)
{
    return vk_open(state, selector, params, &hooks, err);
}

const struct cr_device_ops *hooked_ops(void)
{
    static struct cr_device_ops ops;
    /* The loader unloads drivers, and then nobody can tell that a leak is theirs: keep them. */
    (void)dlopen("libvulkan_lvp.so", RTLD_LAZY | RTLD_NODELETE);
    ops = vk_ops;
    ops.open = open_hooked;
    return &ops;
}

int hooked_open(struct cr_device **out, struct cr_error *err)
{
    const char *name = getenv("CRAYON_TEST_VULKAN");
    if (name == NULL)
        skip_because("CRAYON_TEST_VULKAN names no driver");
    return cr_device_create(out, hooked_ops(), sizeof(struct vk), name, NULL, err);
}

struct cr_device *hooked_device(void)
{
    struct cr_device *device = NULL;
    struct cr_error err = CR_ERROR_INIT;
    if (hooked_open(&device, &err) < 0)
        fail_msg("no device: %s", err.message);
    return device;
}

struct vk *hooked_inside(struct cr_device *device)
{
    return device->state;
}

struct cr_tensor *hooked_numbers(struct cr_device *device, int64_t count, float start, float step)
{
    struct cr_tensor *tensor = NULL;
    struct cr_error err = CR_ERROR_INIT;
    float *numbers = malloc((size_t)count * sizeof(*numbers));
    for (int64_t i = 0; i < count; i++)
        numbers[i] = start + step * (float)i;
    if (cr_tensor_upload(&tensor, device, CR_DTYPE_F32, 1, &count, numbers, &err) < 0)
        fail_msg("upload: %s", err.message);
    free(numbers);
    return tensor;
}

uint64_t hooked_address(const struct cr_tensor *tensor)
{
    const struct vk_memory *memory = tensor->buffer->memory;
    return memory->address + tensor->offset;
}

const float *hooked_read(const struct cr_tensor *tensor)
{
    static float results[4][1 << 16];
    static int next;
    struct cr_error err = CR_ERROR_INIT;
    float *result = results[next++ % 4];
    size_t bytes = (size_t)cr_tensor_elements(tensor) * sizeof(float);
    assert_true(bytes <= sizeof(results[0]));
    if (cr_tensor_read(tensor, result, bytes, &err) < 0)
        fail_msg("read: %s", err.message);
    return result;
}
