/* SPDX-License-Identifier: MIT */
/* vk.h: the inside of the Vulkan device. Kernels see vulkan.h only. */
#ifndef VK_H
#define VK_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <crayon/plugin.h>

#include "vulkan.h"

/* ---- The dispatch table (loader.c) ---- */

/* Every Vulkan function that is used, by who hands out its address. */
#define VK_GLOBAL_FUNCTIONS(X)                                                                     \
    X(CreateInstance)                                                                              \
    X(EnumerateInstanceVersion)

#define VK_INSTANCE_FUNCTIONS(X)                                                                   \
    X(DestroyInstance)                                                                             \
    X(EnumeratePhysicalDevices)                                                                    \
    X(EnumerateDeviceExtensionProperties)                                                          \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(GetPhysicalDeviceFeatures2)                                                                  \
    X(GetPhysicalDeviceMemoryProperties2)                                                          \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                      \
    X(CreateDevice)                                                                                \
    X(GetDeviceProcAddr)

#define VK_DEVICE_FUNCTIONS(X)                                                                     \
    X(DestroyDevice)                                                                               \
    X(GetDeviceQueue)                                                                              \
    X(QueueSubmit)                                                                                 \
    X(CreateBuffer)                                                                                \
    X(DestroyBuffer)                                                                               \
    X(GetBufferMemoryRequirements)                                                                 \
    X(GetBufferDeviceAddress)                                                                      \
    X(AllocateMemory)                                                                              \
    X(FreeMemory)                                                                                  \
    X(BindBufferMemory)                                                                            \
    X(MapMemory)                                                                                   \
    X(CreateCommandPool)                                                                           \
    X(DestroyCommandPool)                                                                          \
    X(ResetCommandPool)                                                                            \
    X(AllocateCommandBuffers)                                                                      \
    X(BeginCommandBuffer)                                                                          \
    X(EndCommandBuffer)                                                                            \
    X(CreateSemaphore)                                                                             \
    X(DestroySemaphore)                                                                            \
    X(WaitSemaphores)                                                                              \
    X(GetSemaphoreCounterValue)                                                                    \
    X(CreateQueryPool)                                                                             \
    X(DestroyQueryPool)                                                                            \
    X(GetQueryPoolResults)                                                                         \
    X(CreateShaderModule)                                                                          \
    X(DestroyShaderModule)                                                                         \
    X(CreatePipelineLayout)                                                                        \
    X(DestroyPipelineLayout)                                                                       \
    X(CreatePipelineCache)                                                                         \
    X(DestroyPipelineCache)                                                                        \
    X(GetPipelineCacheData)                                                                        \
    X(CreateComputePipelines)                                                                      \
    X(DestroyPipeline)                                                                             \
    X(CmdBindPipeline)                                                                             \
    X(CmdPushConstants)                                                                            \
    X(CmdDispatchBase)                                                                             \
    X(CmdPipelineBarrier)                                                                          \
    X(CmdCopyBuffer)                                                                               \
    X(CmdFillBuffer)                                                                               \
    X(CmdResetQueryPool)                                                                           \
    X(CmdWriteTimestamp)

/* Of extensions: NULL where the device lacks them. */
#define VK_OPTIONAL_FUNCTIONS(X) X(GetDeviceFaultInfoEXT)

struct vk_api {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
#define VK_API_MEMBER(name) PFN_vk##name name;
    VK_GLOBAL_FUNCTIONS(VK_API_MEMBER)
    VK_INSTANCE_FUNCTIONS(VK_API_MEMBER)
    VK_DEVICE_FUNCTIONS(VK_API_MEMBER)
    VK_OPTIONAL_FUNCTIONS(VK_API_MEMBER)
#undef VK_API_MEMBER
    const struct vk_hooks *hooks; /* or NULL */
    VkResult injected;            /* what hooks->fault answered last */
};

/* For tests: a device opened with hooks can be watched and failed. */
struct vk_hooks {
    /* Called whenever functions were loaded (global, instance, device): may replace some. */
    void (*loaded)(void *user, struct vk_api *api);
    /* Asked before each call that returns a VkResult; anything but VK_SUCCESS is taken for the
     * call's result, and the call is not made. `site` is "file:line". */
    VkResult (*fault)(void *user, const char *call, const char *site);
    void *user;
};

#define VK_SITE_TEXT(line) #line
#define VK_SITE(file, line) file ":" VK_SITE_TEXT(line)
/* The one way to call a function that returns a VkResult. */
#define VK_CALL(api, name, ...)                                                                    \
    ((api)->hooks != NULL && (api)->hooks->fault != NULL &&                                        \
             ((api)->injected = (api)->hooks->fault((api)->hooks->user, "vk" #name,                \
                                                    VK_SITE(__FILE__, __LINE__))) != VK_SUCCESS    \
         ? (api)->injected                                                                         \
         : (api)->name(__VA_ARGS__))

/* Load libvulkan.so.1 and the global functions. The library stays loaded until the process ends:
 * drivers leave threads and thread-local data behind. */
int vk_api_load(struct vk_api *api, const struct vk_hooks *hooks, struct cr_error *err);
int vk_api_instance(struct vk_api *api, VkInstance *instance, struct cr_error *err);
int vk_api_device(struct vk_api *api, VkDevice device, struct cr_error *err);
/* "VK_ERROR_DEVICE_LOST", ... */
const char *vk_result_name(VkResult result);
/* CR_ERR_MEMORY or CR_ERR_DEVICE, "<what>: <VkResult>". */
int vk_fail(struct cr_error *err, VkResult result, const char *what);

/* ---- Which device (select.c) ---- */

#define VK_MAX_DEVICES 16

struct vk_physical {
    VkPhysicalDevice handle;
    uint32_t index;
    uint32_t family; /* the queue family for compute */
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceIDProperties id;
    VkPhysicalDeviceVulkan12Properties vulkan12;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT subgroups;
    VkSubgroupFeatureFlags subgroup_operations; /* in compute shaders */
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t timestamp_bits;      /* 0: no timestamps */
    uint32_t subgroup;            /* lanes that can be asked for in compute shaders; 0: none */
    uint64_t max_buffer;          /* bytes */
    bool f16, dot, cooperative;   /* hardware features that variants may need */
    bool budget, fault, feedback; /* extensions that are there */
    char pci[32];                 /* "0000:03:00.0", or "" */
    char unusable[128]; /* why it cannot be used, "no timeline semaphores"; "" if it can */
};

int vk_physical_list(struct vk_api *api, VkInstance instance, struct vk_physical *list,
                     uint32_t *count, struct cr_error *err);
/* What follows "vulkan:": "", an index, a UUID, or part of a name. */
int vk_physical_choose(const struct vk_physical *list, uint32_t count, const char *selector,
                       const struct vk_physical **chosen, struct cr_error *err);

/* describe.c */
void vk_physical_info(const struct vk_physical *physical, struct cr_device_info *info);
bool vk_physical_software(const struct vk_physical *physical);
void vk_physical_uuid(const struct vk_physical *physical, char text[37]);
/* What a device lacks for a feature, "the driver lacks shaderFloat16"; NULL: nothing. */
const char *vk_physical_lacks(const struct vk_physical *physical, enum vk_feature feature);

/* ---- Memory (memory.c) ---- */

struct vk_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    uint64_t size, address; /* address 0: it has none */
    char *mapped;           /* NULL: the host does not see it */
};

/* A piece of a block: what alloc() hands out. */
struct vk_memory {
    struct vk_block *block;
    struct vk_memory *before, *after; /* neighbours in the block */
    uint64_t offset, bytes, address;
    uint64_t last_use; /* the submission that touches it last */
    bool used;
};

struct vk_block {
    struct vk_buffer buffer;
    struct vk_memory *first;
    uint64_t used;       /* bytes */
    uint64_t retired_at; /* the submission after which it may be destroyed */
    struct vk_block *next;
};

/* Pieces that are in use, in the order of their addresses. */
struct vk_live {
    uint64_t start, end;
    struct vk_memory *memory;
};

struct vk_heap {
    struct vk_block *blocks, *retired;
    struct vk_live *live;
    size_t live_count, live_capacity;
    uint64_t next_block; /* bytes */
    uint64_t used;       /* bytes of all blocks */
    uint32_t type;       /* memory type of blocks */
    bool mapped, cached; /* the host sees blocks; and reads them fast */
};

int vk_buffer_create(struct vk *vk, struct vk_buffer *buffer, uint64_t bytes, uint32_t type,
                     bool addressed, struct cr_error *err);
void vk_buffer_destroy(struct vk *vk, struct vk_buffer *buffer);
/* The first memory type that has all of `wanted`, preferring `better` as well; UINT32_MAX: none. */
uint32_t vk_memory_type(const struct vk_physical *physical, VkMemoryPropertyFlags wanted,
                        VkMemoryPropertyFlags better);
void vk_heap_init(struct vk *vk);
void vk_heap_finish(struct vk *vk);
int vk_memory_alloc(struct vk *vk, uint64_t bytes, struct vk_memory **out, struct cr_error *err);
void vk_memory_free(struct vk *vk, struct vk_memory *memory);
/* The piece that holds all of the range; NULL: none does. */
struct vk_memory *vk_memory_find(const struct vk *vk, uint64_t start, uint64_t end);
/* Destroy retired blocks that no submission needs any more. */
void vk_heap_reclaim(struct vk *vk);
void vk_heap_figures(const struct vk *vk, uint64_t *total, uint64_t *free_bytes);

/* ---- Between host and device (transfer.c) ---- */

/* Host memory that submissions use up in order. Positions only grow; the offset is the position
 * modulo the size. */
struct vk_ring {
    struct vk_buffer buffer;
    uint64_t head, tail;
    uint64_t call; /* the head up to which everything belongs to recorded work */
};

enum vk_ring_kind {
    VK_RING_STAGING, /* uploads */
    VK_RING_RECORDS, /* vk_record() */
    VK_RING_COUNT
};

#define VK_MAX_ALARMS 4096
#define VK_MAX_OUTGROWN 16

struct vk_alarm_note {
    enum cr_op op;
    const char *message;
};

int vk_upload(struct vk *vk, uint64_t address, const void *data, uint64_t bytes,
              struct cr_error *err);
int vk_download(struct vk *vk, uint64_t address, void *data, uint64_t bytes, struct cr_error *err);
/* Wait for everything and note alarms that went off in vk->late. */
int vk_synchronize(struct vk *vk, struct cr_error *err);
/* Around the recording of a call. */
void vk_call_begin(struct vk *vk, const struct cr_call *call);
void vk_call_end(struct vk *vk);
void vk_transfer_finish(struct vk *vk);

/* ---- Recording (record.c) ---- */

#define VK_MAX_PENDING 1024
#define VK_MAX_INTERVALS 1024

struct vk_pending {
    VkPipeline pipeline; /* VK_NULL_HANDLE: a copy */
    uint64_t group, groups;
    uint32_t layer, layers;
    uint32_t push_bytes;
    uint8_t push[VK_MAX_PUSH];
    VkBuffer from, to;
    VkBufferCopy copy;
};

/* Disjoint intervals in order. */
struct vk_intervals {
    struct vk_range item[VK_MAX_INTERVALS];
    uint32_t count;
};

enum vk_sync {
    VK_SYNC_DERIVED,
    VK_SYNC_ALL,
    VK_SYNC_REVERSE
};
enum vk_omit {
    VK_OMIT_NONE,
    VK_OMIT_RAW,
    VK_OMIT_WAR,
    VK_OMIT_WAW,
    VK_OMIT_TRANSFER
};

struct vk_recorder {
    struct vk_pending pending[VK_MAX_PENDING];
    uint32_t pending_count;
    /* What was read and written since the last barrier, by [transfer]. */
    struct vk_intervals read[2], written[2];
    enum vk_sync sync;
    enum vk_omit omit;
    VkPipeline bound; /* in the open command buffer */
};

/* Write what is pending into the open command buffer. */
int vk_emit(struct vk *vk, struct cr_error *err);
/* Everything after this waits for everything before. */
int vk_barrier(struct vk *vk, struct cr_error *err);
/* A copy between buffers. An address of 0 is memory outside blocks, which needs no barrier. */
int vk_record_copy(struct vk *vk, const struct vk_buffer *from, uint64_t from_offset,
                   uint64_t from_address, const struct vk_buffer *to, uint64_t to_offset,
                   uint64_t to_address, uint64_t bytes, struct cr_error *err);

/* ---- Submissions (submit.c) ---- */

#define VK_SLOTS 16

struct vk_slot {
    VkCommandPool pool;
    VkCommandBuffer commands;
    uint64_t value;  /* the submission that it holds; 0: none yet */
    uint64_t ops;    /* bits 1 << enum cr_op */
    double estimate; /* seconds, of which: */
    double by_bytes, by_operations;
    double submitted_at; /* seconds */
    uint64_t ring_head[VK_RING_COUNT];
};

struct vk_queue {
    VkSemaphore timeline;
    VkQueryPool queries; /* two timestamps for each slot; or VK_NULL_HANDLE */
    struct vk_slot slots[VK_SLOTS];
    uint64_t submitted, completed; /* submissions, counted from 1 */
    bool open;                     /* the slot of submission submitted + 1 is being written */
    uint64_t ops;                  /* recorded and not submitted: as in vk_slot */
    double estimate, by_bytes, by_operations;
    uint32_t dispatches;
    double limit;                     /* seconds in one submission */
    double byte_rate, operation_rate; /* a second */
    double overhead;                  /* seconds for each dispatch */
    double patience;                  /* seconds that any wait is given at least */
};

int vk_queue_init(struct vk *vk, struct cr_error *err);
void vk_queue_finish(struct vk *vk);
/* Seconds that this much work takes. */
double vk_estimate(const struct vk *vk, double bytes, double operations);
/* Make room for work of this estimate: submits if the open submission would become too long. */
int vk_make_room(struct vk *vk, double estimate, struct cr_error *err);
/* Account for work that was recorded. */
void vk_account(struct vk *vk, double bytes, double operations, double estimate);
/* The command buffer of the open submission; NULL after an error. */
VkCommandBuffer vk_commands(struct vk *vk, struct cr_error *err);
int vk_submit(struct vk *vk, struct cr_error *err);
/* Look how far the device is. */
int vk_poll(struct vk *vk, struct cr_error *err);
int vk_wait(struct vk *vk, uint64_t value, struct cr_error *err);
/* False: what was submitted is not done after `seconds`, which is no error yet. */
bool vk_wait_briefly(struct vk *vk, double seconds);
/* Before the end: let the device finish. False: it may still be working, and nothing that it uses
 * may be destroyed. */
bool vk_settle(struct vk *vk);
/* The number of the submission that what is recorded now will belong to. */
static inline uint64_t vk_now(const struct vk *vk);
double vk_seconds(void);

/* The device is dead from now on: every call returns this error. */
int vk_lose(struct vk *vk, struct cr_error *err, const char *format, ...) CR_PRINTF(3, 4);
/* The error of a call; the end of the device if it says so. */
int vk_fail_call(struct vk *vk, struct cr_error *err, VkResult result, const char *call);
/* 0, or the error of a device that was lost. */
int vk_check_alive(const struct vk *vk, struct cr_error *err);

/* ---- Pipelines (pipelines.c) ---- */

#define VK_CACHE_NAME 96

struct vk_pipeline {
    const struct vk_shader *shader; /* NULL: an empty place in the table */
    bool subgroup;
    uint32_t specs;
    uint32_t spec[VK_MAX_SPECS];
    VkPipeline handle;
};

struct vk_pipelines {
    struct vk_pipeline *table; /* open addressing; the size is a power of two */
    size_t size, count;
    VkPipelineLayout layout;
    VkPipelineCache cache;
    char file[VK_CACHE_NAME]; /* of the cache on disk; "": there is none */
    uint64_t loaded;          /* bytes that came from there */
    uint64_t loaded_hash;
};

int vk_pipelines_init(struct vk *vk, struct cr_error *err);
void vk_pipelines_finish(struct vk *vk);
int vk_pipeline_get(struct vk *vk, const struct vk_dispatch *d, VkPipeline *pipeline,
                    struct cr_error *err);

/* The driver's cache, filled from disk unless $CRAYON_VULKAN_CACHE is "off" or there is any doubt
 * about the file (cache.c). */
int vk_cache_init(struct vk *vk, struct cr_error *err);
/* Keep it on disk, if something new was compiled. */
void vk_cache_save(struct vk *vk);

/* ---- Variants (variants.c) ---- */

extern const char *const vk_feature_names[VK_FEATURE_COUNT];
/* Take away what $CRAYON_VULKAN_DISABLE names. */
int vk_disable(uint32_t *features, struct cr_error *err);
/* For each table of the family, the row that is taken and why better ones are not; lines. */
void vk_explain(const struct vk *vk, const struct vk_family *family, struct cr_text *text);

/* ---- The device (device.c) ---- */

struct vk_counters {
    uint64_t submissions, barriers, dispatches, pieces, copies, pipelines, allocations;
    uint64_t pipelines_kept; /* of those, found in the cache, as far as the driver tells */
    double largest_estimate; /* seconds, of one submission */
};

struct vk {
    struct vk_api api;
    VkInstance instance;
    VkDevice device;
    VkQueue vk_queue;
    struct vk_physical physical;
    struct cr_device_params params;
    struct vk_caps caps;
    struct vk_heap heap;
    struct vk_queue queue;
    struct vk_pipelines pipelines;
    struct vk_ring rings[VK_RING_COUNT];
    struct vk_buffer readback;
    struct vk_memory *scratch;
    uint64_t scratch_at, scratch_call; /* offsets: the next free byte; where this call began */
    struct vk_memory *outgrown[VK_MAX_OUTGROWN]; /* scratch that this call still uses */
    uint32_t outgrown_count;
    struct vk_memory *alarms;
    struct vk_alarm_note alarm[VK_MAX_ALARMS];
    uint32_t alarm_count;
    const struct cr_call *call; /* being recorded; or NULL */
    struct cr_error late;       /* of finished work, not yet reported */
    struct cr_error lost;       /* code 0: the device is alive */
    struct vk_counters counters;
    struct vk_recorder recorder;
};

static inline uint64_t vk_now(const struct vk *vk)
{
    return vk->queue.submitted + 1;
}

/* The entry of an operation; NULL: no family has it. */
const struct vk_entry *vk_find_entry(int op);
/* limits.c */
int vk_limits(void *state, struct cr_device_limits *limits, struct cr_error *err);

/* Open with hooks; the element's open() has none. */
int vk_open(struct vk *vk, const char *selector, const struct cr_device_params *params,
            const struct vk_hooks *hooks, struct cr_error *err);
void vk_close(struct vk *vk);

/* The element's table: for tests that open it with hooks. */
extern const struct cr_device_ops vk_ops;

#endif
