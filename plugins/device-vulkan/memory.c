/* SPDX-License-Identifier: MIT */
/* Device memory: blocks from which tensors get pieces, and buffers of their own for large ones.
 *
 * A driver allows few allocations (4096 are promised) and some systems refuse large ones, so blocks
 * begin at 256 MiB and grow to 1 GiB. A piece is freed at once: its next owner's work comes later
 * on the same queue, and barriers follow from addresses, not from owners. Only what Vulkan itself
 * has to give back (an empty block) waits for the submissions that may use it. */
#include <stdio.h>
#include <string.h>

#include "vk.h"

#define GRAIN UINT64_C(256)
#define FIRST_BLOCK (UINT64_C(256) << 20)
#define FIRST_BLOCK_SOFTWARE (UINT64_C(32) << 20) /* some drivers fill blocks with zeros */
#define LARGEST_BLOCK (UINT64_C(1) << 30)
#define OWN_SHARE 2  /* a tensor larger than a block divided by this gets memory of its own */
#define HEAP_SHARE 8 /* a block is no larger than the heap divided by this */

/* ---- Buffers ---- */

uint32_t vk_memory_type(const struct vk_physical *physical, VkMemoryPropertyFlags wanted,
                        VkMemoryPropertyFlags better)
{
    /* Types with more than these (protected, uncached on the device, ...) are for other uses. */
    const VkMemoryPropertyFlags known =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const VkMemoryPropertyFlags tries[2] = {wanted | better, wanted};
    for (int t = 0; t < 2; t++)
        for (uint32_t i = 0; i < physical->memory.memoryTypeCount; i++) {
            VkMemoryPropertyFlags flags = physical->memory.memoryTypes[i].propertyFlags;
            if ((flags & tries[t]) == tries[t] && (flags & ~known) == 0)
                return i;
        }
    return UINT32_MAX;
}

static bool is_mapped(const struct vk *vk, uint32_t type)
{
    const VkMemoryPropertyFlags mapped =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    return (vk->physical.memory.memoryTypes[type].propertyFlags & mapped) == mapped;
}

/* Returns what failed, NULL on success. */
static const char *back_with_memory(struct vk *vk, struct vk_buffer *buffer, uint32_t type,
                                    bool addressed, VkResult *result)
{
    VkMemoryRequirements needs;
    vk->api.GetBufferMemoryRequirements(vk->device, buffer->handle, &needs);
    if ((needs.memoryTypeBits >> type & 1) == 0) {
        *result = VK_ERROR_FEATURE_NOT_PRESENT;
        return "vkGetBufferMemoryRequirements";
    }
    const VkMemoryAllocateFlagsInfo flags = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
        .flags = addressed ? VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT : 0,
    };
    const VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = &flags,
        .allocationSize = needs.size,
        .memoryTypeIndex = type,
    };
    *result = VK_CALL(&vk->api, AllocateMemory, vk->device, &allocate, NULL, &buffer->memory);
    if (*result != VK_SUCCESS)
        return "vkAllocateMemory";
    vk->counters.allocations++;
    *result = VK_CALL(&vk->api, BindBufferMemory, vk->device, buffer->handle, buffer->memory, 0);
    if (*result != VK_SUCCESS)
        return "vkBindBufferMemory";
    if (!is_mapped(vk, type))
        return NULL;
    void *mapped = NULL;
    *result =
        VK_CALL(&vk->api, MapMemory, vk->device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
    buffer->mapped = mapped;
    return *result == VK_SUCCESS ? NULL : "vkMapMemory";
}

int vk_buffer_create(struct vk *vk, struct vk_buffer *buffer, uint64_t bytes, uint32_t type,
                     bool addressed, struct cr_error *err)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->size = bytes;
    const VkBufferCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 (addressed ? VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                  VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT
                            : 0u),
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    const char *failed = "vkCreateBuffer";
    VkResult result = VK_CALL(&vk->api, CreateBuffer, vk->device, &create, NULL, &buffer->handle);
    if (result == VK_SUCCESS)
        failed = back_with_memory(vk, buffer, type, addressed, &result);
    if (failed != NULL) {
        vk_buffer_destroy(vk, buffer);
        return vk_fail_call(vk, err, result, failed);
    }
    const VkBufferDeviceAddressInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                            .buffer = buffer->handle};
    if (addressed)
        buffer->address = vk->api.GetBufferDeviceAddress(vk->device, &info);
    return 0;
}

void vk_buffer_destroy(struct vk *vk, struct vk_buffer *buffer)
{
    bool given_up = vk->device == VK_NULL_HANDLE; /* see vk_close() */
    if (!given_up && buffer->handle != VK_NULL_HANDLE)
        vk->api.DestroyBuffer(vk->device, buffer->handle, NULL);
    if (!given_up && buffer->memory != VK_NULL_HANDLE)
        vk->api.FreeMemory(vk->device, buffer->memory, NULL);
    memset(buffer, 0, sizeof(*buffer));
}

/* ---- The heap ---- */

static uint64_t type_heap_size(const struct vk *vk, uint32_t type)
{
    const VkPhysicalDeviceMemoryProperties *memory = &vk->physical.memory;
    return memory->memoryHeaps[memory->memoryTypes[type].heapIndex].size;
}

/* Device-local; and visible to the host where that costs nothing: all of the heap is (software,
 * integrated GPUs, resizable BAR). */
static uint32_t choose_type(const struct vk *vk)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    uint32_t plain = vk_memory_type(&vk->physical, local, 0);
    uint32_t mapped = vk_memory_type(&vk->physical,
                                     local | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                     VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    if (mapped != UINT32_MAX && type_heap_size(vk, mapped) >= type_heap_size(vk, plain))
        return mapped;
    return plain;
}

void vk_heap_init(struct vk *vk)
{
    struct vk_heap *heap = &vk->heap;
    heap->type = choose_type(vk);
    heap->mapped = is_mapped(vk, heap->type);
    heap->cached = heap->mapped && (vk->physical.memory.memoryTypes[heap->type].propertyFlags &
                                    VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    uint64_t share = type_heap_size(vk, heap->type) / HEAP_SHARE;
    uint64_t first = vk->caps.software ? FIRST_BLOCK_SOFTWARE : FIRST_BLOCK;
    heap->next_block = first < share ? first : share;
}

static void destroy_block(struct vk *vk, struct vk_block *block)
{
    while (block->first != NULL) {
        struct vk_memory *memory = block->first;
        block->first = memory->after;
        cr_free(memory);
    }
    vk->heap.used -= block->buffer.size;
    vk_buffer_destroy(vk, &block->buffer);
    cr_free(block);
}

void vk_heap_reclaim(struct vk *vk)
{
    for (struct vk_block **at = &vk->heap.retired; *at != NULL;) {
        struct vk_block *block = *at;
        if (block->retired_at > vk->queue.completed) {
            at = &block->next;
            continue;
        }
        *at = block->next;
        destroy_block(vk, block);
    }
}

void vk_heap_finish(struct vk *vk)
{
    struct vk_block **lists[2] = {&vk->heap.blocks, &vk->heap.retired};
    for (int i = 0; i < 2; i++)
        while (*lists[i] != NULL) {
            struct vk_block *block = *lists[i];
            *lists[i] = block->next;
            destroy_block(vk, block);
        }
    cr_free(vk->heap.live);
    memset(&vk->heap, 0, sizeof(vk->heap));
}

/* What the system says is free in the heap, or what is left of its size. */
void vk_heap_figures(const struct vk *vk, uint64_t *total, uint64_t *free_bytes)
{
    uint32_t index = vk->physical.memory.memoryTypes[vk->heap.type].heapIndex;
    *total = vk->physical.memory.memoryHeaps[index].size;
    *free_bytes = *total > vk->heap.used ? *total - vk->heap.used : 0;
    if (!vk->physical.budget)
        return;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    vk->api.GetPhysicalDeviceMemoryProperties2(vk->physical.handle, &properties);
    uint64_t limit = budget.heapBudget[index], usage = budget.heapUsage[index];
    *free_bytes = limit > usage ? limit - usage : 0;
}

static int fail_exhausted(const struct vk *vk, uint64_t bytes, struct cr_error *err)
{
    uint64_t total = 0, free_bytes = 0;
    const double mib = 1 << 20;
    vk_heap_figures(vk, &total, &free_bytes);
    return cr_fail(err, CR_ERR_MEMORY,
                   "out of memory on %s: wanted %.1f MiB; %.1f MiB used, %.1f MiB free of %.1f MiB",
                   vk->physical.properties.deviceName, (double)bytes / mib,
                   (double)vk->heap.used / mib, (double)free_bytes / mib, (double)total / mib);
}

/* ---- Live pieces by address ---- */

/* The first piece that ends after `address`. */
static size_t live_after(const struct vk_heap *heap, uint64_t address)
{
    size_t low = 0, high = heap->live_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heap->live[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct vk_memory *vk_memory_find(const struct vk *vk, uint64_t start, uint64_t end)
{
    size_t at = live_after(&vk->heap, start);
    if (at == vk->heap.live_count || vk->heap.live[at].start > start || vk->heap.live[at].end < end)
        return NULL;
    return vk->heap.live[at].memory;
}

static int live_reserve(struct vk_heap *heap, struct cr_error *err)
{
    if (heap->live_count < heap->live_capacity)
        return 0;
    size_t capacity = heap->live_capacity == 0 ? 256 : heap->live_capacity * 2;
    struct vk_live *live = cr_realloc_array(heap->live, capacity, sizeof(*live));
    if (live == NULL)
        return cr_fail_memory(err, capacity * sizeof(*live));
    heap->live = live;
    heap->live_capacity = capacity;
    return 0;
}

static void live_add(struct vk_heap *heap, struct vk_memory *memory)
{
    size_t at = live_after(heap, memory->address);
    memmove(&heap->live[at + 1], &heap->live[at], (heap->live_count - at) * sizeof(*heap->live));
    heap->live[at] = (struct vk_live){memory->address, memory->address + memory->bytes, memory};
    heap->live_count++;
}

static void live_remove(struct vk_heap *heap, const struct vk_memory *memory)
{
    size_t at = live_after(heap, memory->address);
    heap->live_count--;
    memmove(&heap->live[at], &heap->live[at + 1], (heap->live_count - at) * sizeof(*heap->live));
}

/* ---- Pieces ---- */

static struct vk_memory *best_fit(const struct vk_heap *heap, uint64_t bytes)
{
    struct vk_memory *best = NULL;
    for (const struct vk_block *block = heap->blocks; block != NULL; block = block->next) {
        if (block->buffer.size - block->used < bytes)
            continue;
        for (struct vk_memory *memory = block->first; memory != NULL; memory = memory->after)
            if (!memory->used && memory->bytes >= bytes &&
                (best == NULL || memory->bytes < best->bytes))
                best = memory;
    }
    return best;
}

static int create_block(struct vk *vk, uint64_t bytes, struct cr_error *err)
{
    struct vk_block *block = cr_calloc(1, sizeof(*block));
    struct vk_memory *memory = cr_calloc(1, sizeof(*memory));
    int result = block == NULL || memory == NULL
                     ? cr_fail_memory(err, sizeof(*block) + sizeof(*memory))
                     : vk_buffer_create(vk, &block->buffer, bytes, vk->heap.type, true, err);
    if (result < 0) {
        cr_free(block);
        cr_free(memory);
        return result;
    }
    *memory = (struct vk_memory){.block = block, .bytes = bytes, .address = block->buffer.address};
    block->first = memory;
    block->next = vk->heap.blocks;
    vk->heap.blocks = block;
    vk->heap.used += bytes;
    return 0;
}

/* A block that has room for `bytes`, smaller than planned if the system has no more. */
static int try_block(struct vk *vk, uint64_t bytes, struct cr_error *err)
{
    struct vk_heap *heap = &vk->heap;
    uint64_t most = vk->physical.max_buffer / GRAIN * GRAIN;
    uint64_t size = heap->next_block / GRAIN * GRAIN;
    if (bytes > heap->next_block / OWN_SHARE)
        size = bytes;
    size = size < most ? size : most;
    for (;;) {
        int result = create_block(vk, size > bytes ? size : bytes, err);
        if (result == 0 && size > bytes) {
            uint64_t share = type_heap_size(vk, heap->type) / HEAP_SHARE;
            share = share > heap->next_block ? share : heap->next_block;
            heap->next_block = heap->next_block * 2 < share ? heap->next_block * 2 : share;
            heap->next_block = heap->next_block < LARGEST_BLOCK ? heap->next_block : LARGEST_BLOCK;
        }
        if (result != CR_ERR_MEMORY || size <= bytes)
            return result;
        size /= 2;
        if (err != NULL)
            cr_error_clear(err);
    }
}

static void retire(struct vk *vk, struct vk_block *block)
{
    struct vk_block **at = &vk->heap.blocks;
    while (*at != block)
        at = &(*at)->next;
    *at = block->next;
    block->retired_at = block->first->last_use;
    block->next = vk->heap.retired;
    vk->heap.retired = block;
    vk_heap_reclaim(vk);
}

/* An empty block of the common size stays for the next piece, if it is the only one: drivers take
 * their time for a new one, and some fill it with zeros. */
static bool is_spare(const struct vk_heap *heap, const struct vk_block *block)
{
    for (const struct vk_block *other = heap->blocks; other != NULL; other = other->next)
        if (other != block && other->used == 0)
            return false;
    return block->buffer.size <= FIRST_BLOCK;
}

static struct vk_block *find_spare(const struct vk_heap *heap)
{
    struct vk_block *block = heap->blocks;
    while (block != NULL && block->used > 0)
        block = block->next;
    return block;
}

/* Wait for everything, so that retired blocks can go, and the spare one. */
static int reclaim_all(struct vk *vk, struct cr_error *err)
{
    struct vk_block *spare = find_spare(&vk->heap);
    if (spare != NULL)
        retire(vk, spare);
    int result = vk_submit(vk, err);
    if (result == 0)
        result = vk_wait(vk, vk->queue.submitted, err);
    if (result == 0)
        vk_heap_reclaim(vk);
    return result;
}

static int add_block(struct vk *vk, uint64_t bytes, struct cr_error *err)
{
    if (bytes > vk->physical.max_buffer)
        return cr_fail(err, CR_ERR_MEMORY, "%s: wanted %.1f MiB in one piece; it allows %.1f MiB",
                       vk->physical.properties.deviceName, (double)bytes / (1 << 20),
                       (double)vk->physical.max_buffer / (1 << 20));
    int result = try_block(vk, bytes, err);
    if (result == CR_ERR_MEMORY && (vk->heap.retired != NULL || find_spare(&vk->heap) != NULL)) {
        if (err != NULL)
            cr_error_clear(err);
        if ((result = reclaim_all(vk, err)) < 0)
            return result;
        result = try_block(vk, bytes, err);
    }
    if (result != CR_ERR_MEMORY)
        return result;
    if (err != NULL)
        cr_error_clear(err);
    return fail_exhausted(vk, bytes, err);
}

/* Cut a free piece to size. */
static int split(struct vk_memory *memory, uint64_t bytes, struct cr_error *err)
{
    if (memory->bytes == bytes)
        return 0;
    struct vk_memory *rest = cr_malloc(sizeof(*rest));
    if (rest == NULL)
        return cr_fail_memory(err, sizeof(*rest));
    *rest = (struct vk_memory){
        .block = memory->block,
        .before = memory,
        .after = memory->after,
        .offset = memory->offset + bytes,
        .bytes = memory->bytes - bytes,
        .address = memory->address + bytes,
        .last_use = memory->last_use,
    };
    if (rest->after != NULL)
        rest->after->before = rest;
    memory->after = rest;
    memory->bytes = bytes;
    return 0;
}

int vk_memory_alloc(struct vk *vk, uint64_t bytes, struct vk_memory **out, struct cr_error *err)
{
    *out = NULL;
    if (bytes > UINT64_MAX - GRAIN)
        return fail_exhausted(vk, bytes, err);
    bytes = bytes == 0 ? GRAIN : (bytes + GRAIN - 1) / GRAIN * GRAIN;
    int result = live_reserve(&vk->heap, err);
    if (result < 0)
        return result;
    struct vk_memory *memory = best_fit(&vk->heap, bytes);
    if (memory == NULL) {
        if ((result = add_block(vk, bytes, err)) < 0)
            return result;
        memory = vk->heap.blocks->first;
    }
    if ((result = split(memory, bytes, err)) < 0)
        return result;
    memory->used = true;
    memory->block->used += memory->bytes;
    live_add(&vk->heap, memory);
    *out = memory;
    return 0;
}

/* Join a free piece with the free one after it. */
static void join(struct vk_memory *memory)
{
    struct vk_memory *after = memory->after;
    if (after == NULL || after->used || memory->used)
        return;
    memory->bytes += after->bytes;
    memory->last_use = memory->last_use > after->last_use ? memory->last_use : after->last_use;
    memory->after = after->after;
    if (memory->after != NULL)
        memory->after->before = memory;
    cr_free(after);
}

void vk_memory_free(struct vk *vk, struct vk_memory *memory)
{
    if (memory == NULL)
        return;
    struct vk_block *block = memory->block;
    live_remove(&vk->heap, memory);
    memory->used = false;
    block->used -= memory->bytes;
    join(memory);
    if (memory->before != NULL)
        join(memory->before);
    if (block->used == 0 && !is_spare(&vk->heap, block))
        retire(vk, block);
}
