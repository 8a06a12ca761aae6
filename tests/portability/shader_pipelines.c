/* SPDX-License-Identifier: MIT */
/* shader_pipelines: what the driver's compiler makes of every shader with every specialisation that
 * is shipped, without a device that could run it.
 *
 *   shader_pipelines             one test case; a table of what was compiled as comments
 *   shader_pipelines --dump DIR  write DIR/NAME.spv for every shader
 *
 * The device is opened with a table in which memory, command buffers and submissions are stand-ins,
 * and gets the calls of the self-test and those of real models, with each feature switched off in
 * turn. What asks for a pipeline then is what asks for it on real hardware. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vk.h"

#include "shaders.h"
#include "shipped_calls.h"

#include "tensor/cases.h"

/* ---- What was compiled ---- */

#define MAX_ROWS 4096
#define MAX_STATISTICS 24

struct row {
    const struct vk_shader *shader;
    uint32_t spec[VK_MAX_SPECS], specs, subgroup;
    uint64_t vgprs, sgprs, shared, scratch, spilled_vgprs, spilled_sgprs, waves, instructions;
};

static struct row rows[MAX_ROWS];
static size_t row_count;
static int problems;

#define PROBLEM(...) (problems++, printf("# " __VA_ARGS__))

static const struct vk_shader *shader_of_code(const uint32_t *code)
{
    for (size_t i = 0; vk_shaders[i] != NULL; i++)
        if (vk_shaders[i]->code == code)
            return vk_shaders[i];
    return NULL;
}

static bool same(const struct row *a, const struct row *b)
{
    return a->shader == b->shader && a->subgroup == b->subgroup && a->specs == b->specs &&
           memcmp(a->spec, b->spec, sizeof(a->spec)) == 0;
}

static void print_row(const struct row *row)
{
    char spec[200] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < row->specs; i++)
        used += (size_t)snprintf(spec + used, sizeof(spec) - used, "%s%u", i > 0 ? "," : "",
                                 row->spec[i]);
    printf("# %-28s %-34s %5u %5llu %5llu %6llu %7llu %7llu %5llu %7llu\n", row->shader->name, spec,
           row->subgroup, (unsigned long long)row->vgprs, (unsigned long long)row->sgprs,
           (unsigned long long)row->shared, (unsigned long long)row->scratch,
           (unsigned long long)row->spilled_vgprs, (unsigned long long)row->waves,
           (unsigned long long)row->instructions);
}

/* ---- Stand-ins ---- */

static uintptr_t next_handle = 4096;
static uint64_t next_address = UINT64_C(0x100000000), submitted;
static VkDeviceSize last_size; /* of the buffer that was created last: it gets memory next */
static void *mapped[256];      /* of this device */
static size_t mapped_count;

#define NEW_HANDLE(type) ((type)(next_handle += 64))

static VkResult create_buffer(VkDevice device, const VkBufferCreateInfo *info,
                              const VkAllocationCallbacks *allocator, VkBuffer *buffer)
{
    (void)device, (void)allocator;
    last_size = info->size;
    *buffer = NEW_HANDLE(VkBuffer);
    return VK_SUCCESS;
}

static void needs_of_buffer(VkDevice device, VkBuffer buffer, VkMemoryRequirements *needs)
{
    (void)device, (void)buffer;
    *needs = (VkMemoryRequirements){.size = last_size, .alignment = 256, .memoryTypeBits = 3};
}

static VkDeviceAddress address_of_buffer(VkDevice device, const VkBufferDeviceAddressInfo *info)
{
    (void)device, (void)info;
    next_address += UINT64_C(1) << 36;
    return next_address;
}

static VkResult allocate_memory(VkDevice device, const VkMemoryAllocateInfo *info,
                                const VkAllocationCallbacks *allocator, VkDeviceMemory *memory)
{
    (void)device, (void)info, (void)allocator;
    *memory = NEW_HANDLE(VkDeviceMemory);
    return VK_SUCCESS;
}

/* Zeros: what the device is said to have computed. */
static VkResult map_memory(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset,
                           VkDeviceSize size, VkMemoryMapFlags flags, void **data)
{
    (void)device, (void)memory, (void)offset, (void)size, (void)flags;
    if (mapped_count == sizeof(mapped) / sizeof(mapped[0]) ||
        (*data = calloc(1, (size_t)last_size)) == NULL)
        return VK_ERROR_MEMORY_MAP_FAILED;
    mapped[mapped_count++] = *data;
    return VK_SUCCESS;
}

static void free_mapped(void)
{
    while (mapped_count > 0)
        free(mapped[--mapped_count]);
}

static VkResult create_pool(VkDevice device, const VkCommandPoolCreateInfo *info,
                            const VkAllocationCallbacks *allocator, VkCommandPool *pool)
{
    (void)device, (void)info, (void)allocator;
    *pool = NEW_HANDLE(VkCommandPool);
    return VK_SUCCESS;
}

static VkResult allocate_commands(VkDevice device, const VkCommandBufferAllocateInfo *info,
                                  VkCommandBuffer *commands)
{
    (void)device, (void)info;
    *commands = NEW_HANDLE(VkCommandBuffer);
    return VK_SUCCESS;
}

static VkResult create_semaphore(VkDevice device, const VkSemaphoreCreateInfo *info,
                                 const VkAllocationCallbacks *allocator, VkSemaphore *semaphore)
{
    (void)device, (void)info, (void)allocator;
    *semaphore = NEW_HANDLE(VkSemaphore);
    return VK_SUCCESS;
}

static VkResult create_queries(VkDevice device, const VkQueryPoolCreateInfo *info,
                               const VkAllocationCallbacks *allocator, VkQueryPool *pool)
{
    (void)device, (void)info, (void)allocator;
    *pool = NEW_HANDLE(VkQueryPool);
    return VK_SUCCESS;
}

static VkResult no_queries(VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count,
                           size_t bytes, void *data, VkDeviceSize stride, VkQueryResultFlags flags)
{
    (void)device, (void)pool, (void)first, (void)count;
    (void)bytes, (void)data, (void)stride, (void)flags;
    return VK_NOT_READY;
}

static VkResult submit(VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence)
{
    (void)queue, (void)fence;
    for (uint32_t i = 0; i < count; i++)
        for (const VkBaseInStructure *next = submits[i].pNext; next != NULL; next = next->pNext)
            if (next->sType == VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO)
                submitted =
                    ((const VkTimelineSemaphoreSubmitInfo *)next)->pSignalSemaphoreValues[0];
    return VK_SUCCESS;
}

static VkResult counter(VkDevice device, VkSemaphore semaphore, uint64_t *value)
{
    (void)device, (void)semaphore;
    *value = submitted;
    return VK_SUCCESS;
}

/* A GPU of 16 GiB, and memory of the host. */
static void memory_of_device(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *properties)
{
    (void)device;
    properties->memoryProperties = (VkPhysicalDeviceMemoryProperties){
        .memoryTypeCount = 2,
        .memoryTypes = {{VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0},
                        {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                             VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                             VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                         1}},
        .memoryHeapCount = 2,
        .memoryHeaps = {{UINT64_C(16) << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT},
                        {UINT64_C(16) << 30, 0}},
    };
}

/* ---- What is real: modules and pipelines ---- */

static PFN_vkCreateDevice real_create_device;
static PFN_vkCreateShaderModule real_create_module;
static PFN_vkCreateComputePipelines real_create_pipelines;
static PFN_vkDestroyPipeline real_destroy_pipeline;
static PFN_vkGetPipelineExecutableStatisticsKHR get_statistics;
static PFN_vkGetDeviceProcAddr get_device_address;

/* With the extension that tells what became of a shader. */
static VkResult create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                              const VkAllocationCallbacks *allocator, VkDevice *device)
{
    const char *extensions[32];
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE,
    };
    VkDeviceCreateInfo with = *info;
    memcpy(&executables.pNext, &info->pNext, sizeof(info->pNext)); /* loses a const */
    with.pNext = &executables;
    memcpy(extensions, info->ppEnabledExtensionNames,
           info->enabledExtensionCount * sizeof(extensions[0]));
    extensions[with.enabledExtensionCount++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    with.ppEnabledExtensionNames = extensions;
    return real_create_device(physical, &with, allocator, device);
}

#define FIND(device, name, pointer)                                                                \
    do {                                                                                           \
        PFN_vkVoidFunction found = get_device_address(device, name);                               \
        memcpy(&(pointer), &found, sizeof(pointer));                                               \
    } while (0)

static const struct vk_shader *module_shader; /* of the module that was created last */

static VkResult create_module(VkDevice device, const VkShaderModuleCreateInfo *info,
                              const VkAllocationCallbacks *allocator, VkShaderModule *module)
{
    module_shader = shader_of_code(info->pCode);
    if (module_shader == NULL)
        PROBLEM("a module is none of the shaders\n");
    return real_create_module(device, info, allocator, module);
}

static void take_statistic(struct row *row, const VkPipelineExecutableStatisticKHR *statistic)
{
    const struct {
        const char *name;
        uint64_t *value;
    } wanted[] = {
        {"VGPRs", &row->vgprs},
        {"SGPRs", &row->sgprs},
        {"LDS size", &row->shared},
        {"Scratch size", &row->scratch},
        {"Spilled VGPRs", &row->spilled_vgprs},
        {"Spilled SGPRs", &row->spilled_sgprs},
        {"Subgroups per SIMD", &row->waves},
        {"Instructions", &row->instructions},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strcmp(statistic->name, wanted[i].name) == 0)
            *wanted[i].value = statistic->value.u64;
}

static void measure(VkDevice device, VkPipeline pipeline, struct row *row)
{
    VkPipelineExecutableStatisticKHR statistics[MAX_STATISTICS];
    uint32_t count = MAX_STATISTICS;
    memset(statistics, 0, sizeof(statistics));
    for (int i = 0; i < MAX_STATISTICS; i++)
        statistics[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    if (get_statistics(device, &info, &count, statistics) < 0)
        PROBLEM("%s: no statistics\n", row->shader->name);
    for (uint32_t i = 0; i < count && i < MAX_STATISTICS; i++)
        take_statistic(row, &statistics[i]);
    if (row->vgprs == 0)
        PROBLEM("%s: the driver does not tell its registers\n", row->shader->name);
    if (row->spilled_vgprs > 0 || row->scratch > 0)
        PROBLEM("%s: registers are spilled to memory\n", row->shader->name);
}

static void describe(struct row *row, const VkComputePipelineCreateInfo *info)
{
    const VkSpecializationInfo *spec = info->stage.pSpecializationInfo;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT *size = info->stage.pNext;
    *row = (struct row){.shader = module_shader};
    row->specs = (uint32_t)(spec->dataSize / sizeof(uint32_t));
    memcpy(row->spec, spec->pData, spec->dataSize);
    row->subgroup = size != NULL ? size->requiredSubgroupSize : 0;
}

static VkResult create_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                 const VkComputePipelineCreateInfo *infos,
                                 const VkAllocationCallbacks *allocator, VkPipeline *pipelines)
{
    struct row row;
    (void)cache;
    if (count != 1 || module_shader == NULL || row_count == MAX_ROWS)
        return VK_ERROR_UNKNOWN;
    describe(&row, &infos[0]);
    pipelines[0] = NEW_HANDLE(VkPipeline);
    for (size_t i = 0; i < row_count; i++)
        if (same(&rows[i], &row))
            return VK_SUCCESS;
    VkComputePipelineCreateInfo info = infos[0];
    VkPipeline pipeline = VK_NULL_HANDLE;
    info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    FIND(device, "vkGetPipelineExecutableStatisticsKHR", get_statistics);
    VkResult result = real_create_pipelines(device, VK_NULL_HANDLE, 1, &info, allocator, &pipeline);
    if (result != VK_SUCCESS)
        return result;
    measure(device, pipeline, &row);
    real_destroy_pipeline(device, pipeline, allocator);
    print_row(&row);
    rows[row_count++] = row;
    return VK_SUCCESS;
}

/* ---- The table ---- */

/* ISO C lets a function pointer pass through another type; these are called with arguments that
 * they do not look at, which every calling convention of the GPUs' systems allows. */
#define NOTHING(name) (api->name = (PFN_vk##name)(PFN_vkVoidFunction)nothing)
#define REPLACE(name, function, original)                                                          \
    if (api->name != NULL && api->name != (function)) {                                            \
        (original) = api->name;                                                                    \
        api->name = (function);                                                                    \
    }

static VkResult nothing(void)
{
    return VK_SUCCESS;
}

static void stand_in_for_memory(struct vk_api *api)
{
    api->GetPhysicalDeviceMemoryProperties2 = memory_of_device;
    api->CreateBuffer = create_buffer;
    api->GetBufferMemoryRequirements = needs_of_buffer;
    api->GetBufferDeviceAddress = address_of_buffer;
    api->AllocateMemory = allocate_memory;
    api->MapMemory = map_memory;
    NOTHING(DestroyBuffer);
    NOTHING(FreeMemory);
    NOTHING(BindBufferMemory);
}

static void stand_in_for_work(struct vk_api *api)
{
    api->CreateCommandPool = create_pool;
    api->AllocateCommandBuffers = allocate_commands;
    api->CreateSemaphore = create_semaphore;
    api->GetSemaphoreCounterValue = counter;
    api->CreateQueryPool = create_queries;
    api->GetQueryPoolResults = no_queries;
    api->QueueSubmit = submit;
    NOTHING(DestroyCommandPool);
    NOTHING(ResetCommandPool);
    NOTHING(BeginCommandBuffer);
    NOTHING(EndCommandBuffer);
    NOTHING(DestroySemaphore);
    NOTHING(WaitSemaphores);
    NOTHING(DestroyQueryPool);
    NOTHING(CmdBindPipeline);
    NOTHING(CmdPushConstants);
    NOTHING(CmdDispatchBase);
    NOTHING(CmdPipelineBarrier);
    NOTHING(CmdCopyBuffer);
    NOTHING(CmdFillBuffer);
    NOTHING(CmdResetQueryPool);
    NOTHING(CmdWriteTimestamp);
}

/* Called when the functions of the loader, of the instance and of the device were looked up. */
static void loaded(void *user, struct vk_api *api)
{
    (void)user;
    stand_in_for_memory(api);
    stand_in_for_work(api);
    get_device_address = api->GetDeviceProcAddr;
    REPLACE(CreateDevice, create_device, real_create_device);
    REPLACE(CreateShaderModule, create_module, real_create_module);
    REPLACE(CreateComputePipelines, create_pipelines, real_create_pipelines);
    if (api->DestroyPipeline != NULL &&
        api->DestroyPipeline != (PFN_vkDestroyPipeline)(PFN_vkVoidFunction)nothing)
        real_destroy_pipeline = api->DestroyPipeline;
    NOTHING(DestroyPipeline);
}

/* ---- Calls ---- */

/* The call with a piece of the device's memory for each operand, `shift` bytes from its start. */
static int submit_call(struct vk *vk, const struct cr_call *given, uint64_t shift,
                       struct cr_error *err)
{
    struct cr_call call = *given;
    struct cr_operand *operands[CR_CALL_MAX_INPUTS + CR_CALL_MAX_OUTPUTS];
    int count = 0, result = 0;
    for (int i = 0; i < call.inputs + call.outputs; i++) {
        struct cr_operand *at = i < call.inputs ? &call.in[i] : &call.out[i - call.inputs];
        if (at->memory == NULL)
            continue;
        size_t bytes = cr_case_bytes(at) + 64 + shift;
        if (result == 0 && (result = vk_ops.alloc(vk, bytes, &at->memory, err)) == 0)
            operands[count++] = at;
        at->offset += shift;
        at->scales += shift;
        at->nested += at->nested != 0 ? shift : 0;
        at->nested_map += shift;
    }
    if (result == 0)
        result = vk_ops.submit(vk, &call, err);
    for (int i = 0; i < count; i++)
        vk_ops.free(vk, operands[i]->memory);
    return result;
}

static void submit_both(void *user, const struct cr_call *call)
{
    struct cr_error err = CR_ERROR_INIT;
    if (submit_call(user, call, 0, &err) < 0 || submit_call(user, call, 4, &err) < 0)
        PROBLEM("%s: %s\n", cr_op_name((enum cr_op)call->op), err.message);
}

static void submit_all(struct vk *vk)
{
    struct cr_case c;
    for (int op = 1; op < CR_OP_COUNT; op++)
        for (int i = 0; cr_case_get(&c, (enum cr_op)op, i); i++) {
            submit_both(vk, &c.call);
            cr_case_finish(&c);
        }
    shipped_calls(submit_both, vk);
    struct cr_device_limits limits = {.size = sizeof(limits)};
    struct cr_error err = CR_ERROR_INIT;
    if (vk_ops.limits(vk, &limits, &err) < 0)
        PROBLEM("limits: %s\n", err.message);
}

static char device_name[256];
static bool has_subgroups; /* of a required size */

/* All calls with these features switched off. */
static void compile_without(const char *features)
{
    static const struct vk_hooks hooks = {.loaded = loaded};
    struct cr_error err = CR_ERROR_INIT;
    struct vk *vk = cr_calloc(1, sizeof(*vk));
    setenv("CRAYON_VULKAN_DISABLE", features, 1);
    if (vk == NULL || vk_open(vk, "0", NULL, &hooks, &err) < 0) {
        PROBLEM("the device: %s\n", err.message);
    } else {
        snprintf(device_name, sizeof(device_name), "%s", vk->physical.properties.deviceName);
        has_subgroups = vk->physical.subgroup > 0;
        submit_all(vk);
        vk_close(vk);
    }
    free_mapped();
    cr_free(vk);
}

static void compile_all(void)
{
    static const char *const features[] = {"",
#define WITHOUT(name, words, doc) words,
                                           VK_FEATURES(WITHOUT)
#undef WITHOUT
    };
    char all[256] = "";
    printf("# %-28s %-34s %5s %5s %5s %6s %7s %7s %5s %7s\n", "shader", "specialisation", "lanes",
           "VGPRs", "SGPRs", "LDS", "scratch", "spilled", "waves", "instr.");
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        compile_without(features[i]);
        strcat(strcat(all, features[i]), ",");
    }
    compile_without(all);
    for (size_t i = 0; vk_shaders[i] != NULL; i++) {
        bool used = !has_subgroups && strstr(vk_shaders[i]->name, "_subgroup") != NULL;
        for (size_t j = 0; j < row_count; j++)
            used = used || rows[j].shader == vk_shaders[i];
        if (!used)
            PROBLEM("%s: no call asks for this shader\n", vk_shaders[i]->name);
    }
}

/* ---- The program ---- */

static int dump(const char *folder)
{
    for (size_t i = 0; vk_shaders[i] != NULL; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s.spv", folder, vk_shaders[i]->name);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(vk_shaders[i]->code, vk_shaders[i]->bytes, 1, file) != 1 ||
            fclose(file) != 0)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        return dump(argv[2]);
    compile_all();
    printf("%s - %s: %zu pipelines\n", problems > 0 ? "not ok" : "ok", device_name, row_count);
    return EXIT_SUCCESS;
}
