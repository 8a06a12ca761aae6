/* SPDX-License-Identifier: MIT */
/* Between host and device: uploads, downloads, records, scratch, alarms. */
#include <string.h>

#include "vk.h"

#define STAGING_BYTES (UINT64_C(32) << 20)
#define RECORD_BYTES (UINT64_C(1) << 20)
#define CHUNK (UINT64_C(4) << 20) /* one copy of an upload or download */
/* The staging ring is handed over by these parts, so that copies overlap. */
#define UPLOAD_PARTS 4
#define MAX_RECORD 4096
#define ALIGNMENT UINT64_C(256)
#define FIRST_SCRATCH (UINT64_C(4) << 20)
#define ALARM_BYTES (VK_MAX_ALARMS * sizeof(uint32_t))

static uint64_t align_up(uint64_t value)
{
    return (value + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- Rings ---- */

static int ring_open(struct vk *vk, enum vk_ring_kind kind, struct cr_error *err)
{
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    struct vk_ring *ring = &vk->rings[kind];
    if (ring->buffer.handle != VK_NULL_HANDLE)
        return 0;
    if (kind == VK_RING_STAGING)
        return vk_buffer_create(vk, &ring->buffer, STAGING_BYTES,
                                vk_memory_type(&vk->physical, host, 0), false, err);
    /* Records are written once and read by every group: in the device's memory if it is seen. */
    return vk_buffer_create(
        vk, &ring->buffer, RECORD_BYTES,
        vk_memory_type(&vk->physical, host, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT), true, err);
}

/* Wait until a submission gives something back. */
static int ring_wait(struct vk *vk, struct cr_error *err)
{
    if (vk->queue.completed < vk->queue.submitted)
        return vk_wait(vk, vk->queue.completed + 1, err);
    if (vk->queue.open || vk->recorder.pending_count > 0)
        return vk_submit(vk, err);
    return cr_fail(err, CR_ERR_INTERNAL, "one call takes more records than there is room for");
}

/* `bytes` (half of the ring at most) of contiguous memory for the open submission. */
static int ring_take(struct vk *vk, enum vk_ring_kind kind, uint64_t bytes, uint64_t *offset,
                     struct cr_error *err)
{
    struct vk_ring *ring = &vk->rings[kind];
    int result = ring_open(vk, kind, err);
    while (result == 0) {
        const uint64_t size = ring->buffer.size, at = ring->head % size;
        uint64_t start = at + bytes > size ? ring->head + size - at : ring->head;
        if (start + bytes - ring->tail <= size) {
            *offset = start % size;
            ring->head = start + align_up(bytes);
            return 0;
        }
        result = ring_wait(vk, err);
    }
    return result;
}

/* What was taken so far belongs to work that is recorded: the next submission gives it back. */
static void ring_recorded(struct vk *vk, enum vk_ring_kind kind)
{
    vk->rings[kind].call = vk->rings[kind].head;
}

/* ---- Up ---- */

static int stage(struct vk *vk, const struct vk_memory *memory, uint64_t address, const void *data,
                 uint64_t bytes, struct cr_error *err)
{
    const struct vk_buffer *to = &memory->block->buffer;
    uint64_t offset = 0;
    int result = vk_make_room(vk, vk_estimate(vk, 2.0 * (double)bytes, 0), err);
    if (result == 0)
        result = ring_take(vk, VK_RING_STAGING, bytes, &offset, err);
    if (result < 0)
        return result;
    const struct vk_buffer *from = &vk->rings[VK_RING_STAGING].buffer;
    memcpy(from->mapped + offset, data, bytes);
    result = vk_record_copy(vk, from, offset, 0, to, address - to->address, address, bytes, err);
    ring_recorded(vk, VK_RING_STAGING);
    const struct vk_slot *last = &vk->queue.slots[vk->queue.submitted % VK_SLOTS];
    if (result == 0 && vk->rings[VK_RING_STAGING].head - last->ring_head[VK_RING_STAGING] >=
                           STAGING_BYTES / UPLOAD_PARTS)
        result = vk_submit(vk, err);
    return result;
}

int vk_upload(struct vk *vk, uint64_t address, const void *data, uint64_t bytes,
              struct cr_error *err)
{
    int result = vk_check_alive(vk, err);
    if (result < 0 || bytes == 0)
        return result;
    struct vk_memory *memory = vk_memory_find(vk, address, address + bytes);
    if (memory == NULL)
        return cr_fail(err, CR_ERR_INTERNAL, "upload: %llu bytes lie outside allocated memory",
                       (unsigned long long)bytes);
    if (vk->heap.mapped && memory->last_use > vk->queue.completed &&
        memory->last_use <= vk->queue.submitted && (result = vk_poll(vk, err)) < 0)
        return result;
    if (vk->heap.mapped && memory->last_use <= vk->queue.completed) {
        const struct vk_buffer *buffer = &memory->block->buffer;
        memcpy(buffer->mapped + (address - buffer->address), data, bytes);
        return 0;
    }
    for (uint64_t at = 0; result == 0 && at < bytes; at += CHUNK)
        result = stage(vk, memory, address + at, (const char *)data + at,
                       bytes - at < CHUNK ? bytes - at : CHUNK, err);
    return result;
}

/* ---- Down ---- */

/* Room for two chunks, then for the alarms. */
static int open_readback(struct vk *vk, struct cr_error *err)
{
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (vk->readback.handle != VK_NULL_HANDLE)
        return 0;
    return vk_buffer_create(vk, &vk->readback, 2 * CHUNK + ALARM_BYTES,
                            vk_memory_type(&vk->physical, host, VK_MEMORY_PROPERTY_HOST_CACHED_BIT),
                            false, err);
}

/* Copy a chunk to its half of the readback buffer and hand that over. */
static int send_chunk(struct vk *vk, const struct vk_memory *memory, uint64_t address,
                      uint64_t chunk, uint64_t bytes, struct cr_error *err)
{
    const struct vk_buffer *from = &memory->block->buffer;
    int result = vk_make_room(vk, vk_estimate(vk, 2.0 * (double)bytes, 0), err);
    if (result == 0)
        result = vk_record_copy(vk, from, address - from->address, address, &vk->readback,
                                chunk % 2 * CHUNK, 0, bytes, err);
    return result < 0 ? result : vk_submit(vk, err);
}

/* While one chunk is on its way, the one before is taken out. */
static int fetch_chunks(struct vk *vk, const struct vk_memory *memory, uint64_t address, char *data,
                        uint64_t bytes, struct cr_error *err)
{
    uint64_t sent[2] = {0, 0};
    const uint64_t chunks = (bytes + CHUNK - 1) / CHUNK;
    int result = open_readback(vk, err);
    for (uint64_t i = 0; result == 0 && i <= chunks; i++) {
        if (i < chunks) {
            uint64_t left = bytes - i * CHUNK;
            result =
                send_chunk(vk, memory, address + i * CHUNK, i, left < CHUNK ? left : CHUNK, err);
            sent[i % 2] = vk->queue.submitted;
        }
        if (result < 0 || i == 0)
            continue;
        uint64_t at = (i - 1) * CHUNK, left = bytes - at;
        if ((result = vk_wait(vk, sent[(i - 1) % 2], err)) == 0)
            memcpy(data + at, vk->readback.mapped + (i - 1) % 2 * CHUNK,
                   left < CHUNK ? left : CHUNK);
    }
    return result;
}

int vk_download(struct vk *vk, uint64_t address, void *data, uint64_t bytes, struct cr_error *err)
{
    int result = vk_check_alive(vk, err);
    if (result < 0)
        return result;
    const struct vk_memory *memory = vk_memory_find(vk, address, address + bytes);
    if (memory == NULL && bytes > 0)
        return cr_fail(err, CR_ERR_INTERNAL, "download: %llu bytes lie outside allocated memory",
                       (unsigned long long)bytes);
    if (vk->heap.cached || bytes == 0) {
        if ((result = vk_synchronize(vk, err)) < 0 || bytes == 0)
            return result;
        const struct vk_buffer *buffer = &memory->block->buffer;
        memcpy(data, buffer->mapped + (address - buffer->address), bytes);
        return 0;
    }
    result = fetch_chunks(vk, memory, address, data, bytes, err);
    return result < 0 ? result : vk_synchronize(vk, err);
}

int vk_fetch(struct vk *vk, uint64_t address, void *data, size_t bytes, struct cr_error *err)
{
    return vk_download(vk, address, data, bytes, err);
}

int vk_store(struct vk *vk, uint64_t address, const void *data, size_t bytes, struct cr_error *err)
{
    return vk_upload(vk, address, data, bytes, err);
}

/* ---- Records and scratch ---- */

void vk_call_begin(struct vk *vk, const struct cr_call *call)
{
    vk->call = call;
    vk->scratch_call = vk->scratch_at;
    for (int i = 0; i < VK_RING_COUNT; i++)
        ring_recorded(vk, i);
}

void vk_call_end(struct vk *vk)
{
    vk->call = NULL;
    while (vk->outgrown_count > 0)
        vk_memory_free(vk, vk->outgrown[--vk->outgrown_count]);
    for (int i = 0; i < VK_RING_COUNT; i++)
        ring_recorded(vk, i);
}

int vk_record(struct vk *vk, const void *data, size_t bytes, uint64_t *address,
              struct cr_error *err)
{
    uint64_t offset = 0;
    int result = vk_check_alive(vk, err);
    if (result == 0 && bytes > MAX_RECORD)
        result =
            cr_fail(err, CR_ERR_INTERNAL, "a record of %zu bytes, %d at most", bytes, MAX_RECORD);
    if (result == 0)
        result = ring_take(vk, VK_RING_RECORDS, bytes, &offset, err);
    if (result < 0)
        return result;
    const struct vk_buffer *buffer = &vk->rings[VK_RING_RECORDS].buffer;
    memcpy(buffer->mapped + offset, data, bytes);
    *address = buffer->address + offset;
    return 0;
}

static int grow_scratch(struct vk *vk, uint64_t bytes, struct cr_error *err)
{
    struct vk_memory *old = vk->scratch;
    uint64_t wanted = old == NULL ? FIRST_SCRATCH : old->bytes * 2;
    if (vk->outgrown_count == VK_MAX_OUTGROWN)
        return cr_fail(err, CR_ERR_INTERNAL, "scratch grew %d times in one call", VK_MAX_OUTGROWN);
    int result = vk_memory_alloc(vk, wanted > bytes ? wanted : bytes, &vk->scratch, err);
    if (result < 0) {
        vk->scratch = old;
        return result;
    }
    if (old != NULL)
        vk->outgrown[vk->outgrown_count++] = old;
    vk->scratch_at = vk->scratch_call = 0;
    return 0;
}

/* Scratch of one call lies in a row; the next call goes on behind it, so that neighbours need not
 * wait for each other, and at the end it starts over. */
int vk_scratch(struct vk *vk, uint64_t bytes, uint64_t *address, struct cr_error *err)
{
    int result = vk_check_alive(vk, err);
    uint64_t size = vk->scratch == NULL ? 0 : vk->scratch->bytes;
    bytes = align_up(bytes == 0 ? 1 : bytes);
    if (vk->scratch_at + bytes > size && vk->scratch_call == vk->scratch_at)
        vk->scratch_at = vk->scratch_call = 0;
    if (result == 0 && vk->scratch_at + bytes > size)
        result = grow_scratch(vk, bytes, err);
    if (result < 0)
        return result;
    *address = vk->scratch->address + vk->scratch_at;
    vk->scratch_at += bytes;
    return 0;
}

/* ---- Alarms ---- */

static int clear_alarms(struct vk *vk, struct cr_error *err)
{
    int result = vk_barrier(vk, err);
    VkCommandBuffer commands = result < 0 ? VK_NULL_HANDLE : vk_commands(vk, err);
    if (commands == VK_NULL_HANDLE)
        return vk->lost.code;
    const struct vk_buffer *buffer = &vk->alarms->block->buffer;
    vk->api.CmdFillBuffer(commands, buffer->handle, vk->alarms->offset, ALARM_BYTES, 0);
    return vk_barrier(vk, err);
}

int vk_alarm(struct vk *vk, const struct cr_call *call, const char *message, uint64_t *address,
             struct cr_error *err)
{
    int result = vk_check_alive(vk, err);
    if (result == 0 && vk->alarms == NULL) {
        if ((result = vk_memory_alloc(vk, ALARM_BYTES, &vk->alarms, err)) == 0)
            result = clear_alarms(vk, err);
    }
    if (result == 0 && vk->alarm_count == VK_MAX_ALARMS)
        result = vk_synchronize(vk, err);
    if (result < 0)
        return result;
    vk->alarm[vk->alarm_count] = (struct vk_alarm_note){(enum cr_op)call->op, message};
    *address = vk->alarms->address + vk->alarm_count * sizeof(uint32_t);
    vk->alarm_count++;
    return 0;
}

/* The words come with the last submission. */
static int fetch_alarms(struct vk *vk, struct cr_error *err)
{
    int result = open_readback(vk, err);
    if (result == 0)
        result = vk_barrier(vk, err);
    const struct vk_buffer *from = &vk->alarms->block->buffer;
    if (result == 0)
        result = vk_record_copy(vk, from, vk->alarms->offset, vk->alarms->address, &vk->readback,
                                2 * CHUNK, 0, vk->alarm_count * sizeof(uint32_t), err);
    return result;
}

/* The first one that went off is the one that is reported. */
static int read_alarms(struct vk *vk, struct cr_error *err)
{
    uint32_t count = vk->alarm_count, at = 0;
    vk->alarm_count = 0;
    for (; at < count; at++) {
        uint32_t word = 0;
        memcpy(&word, vk->readback.mapped + 2 * CHUNK + at * sizeof(word), sizeof(word));
        if (word != 0)
            break;
    }
    if (at == count)
        return 0;
    if (vk->late.code == 0)
        cr_fail(&vk->late, CR_ERR_DEVICE, "%s: %s", cr_op_name(vk->alarm[at].op),
                vk->alarm[at].message);
    return clear_alarms(vk, err);
}

int vk_synchronize(struct vk *vk, struct cr_error *err)
{
    bool alarms = vk->alarm_count > 0;
    int result = vk_check_alive(vk, err);
    if (result == 0 && alarms)
        result = fetch_alarms(vk, err);
    if (result == 0)
        result = vk_submit(vk, err);
    if (result == 0)
        result = vk_wait(vk, vk->queue.submitted, err);
    if (result == 0 && alarms)
        result = read_alarms(vk, err);
    return result;
}

void vk_transfer_finish(struct vk *vk)
{
    for (int i = 0; i < VK_RING_COUNT; i++)
        vk_buffer_destroy(vk, &vk->rings[i].buffer);
    vk_buffer_destroy(vk, &vk->readback);
}
