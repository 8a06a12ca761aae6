/* SPDX-License-Identifier: MIT */
/* Dispatches and copies, as they are recorded: what they touch, and where a barrier has to be.
 *
 * Everything since the last barrier is kept with the ranges that it reads and writes. Work that
 * touches what earlier work since then wrote, or writes what earlier work read, gets one memory
 * barrier before it, which covers everything before. Between two barriers the order therefore does
 * not matter, and $CRAYON_VULKAN_SYNC=reverse takes it at its word. */
#include <string.h>

#include "vk.h"

#define ROW 32768u /* groups are folded: x + y * ROW */
#define MAX_GROUPS ((uint64_t)ROW * 65535)
#define MAX_COPY (UINT64_C(64) << 20)

/* ---- Building a dispatch ---- */

void vk_begin(struct vk_dispatch *d, const struct vk_shader *shader, uint32_t local_size)
{
    memset(d, 0, offsetof(struct vk_dispatch, push));
    d->push_bytes = d->read_count = d->write_count = 0;
    d->shader = shader;
    vk_spec(d, local_size);
}

/* Counts go on beyond the arrays; vk_dispatch() refuses them. */
void vk_spec(struct vk_dispatch *d, uint32_t value)
{
    if (d->specs < VK_MAX_SPECS)
        d->spec[d->specs] = value;
    d->specs++;
}

void vk_push(struct vk_dispatch *d, const void *data, size_t bytes)
{
    d->push_bytes = (uint32_t)bytes;
    if (bytes <= VK_MAX_PUSH)
        memcpy(d->push, data, bytes);
}

static void add_range(struct vk_range *ranges, uint32_t *count, uint64_t address, uint64_t bytes)
{
    if (bytes == 0)
        return;
    if (*count < VK_MAX_RANGES)
        ranges[*count] =
            (struct vk_range){address & ~UINT64_C(3), (address + bytes + 3) & ~UINT64_C(3)};
    (*count)++;
}

void vk_reads_at(struct vk_dispatch *d, uint64_t address, uint64_t bytes)
{
    add_range(d->reads, &d->read_count, address, bytes);
}

void vk_writes_at(struct vk_dispatch *d, uint64_t address, uint64_t bytes)
{
    add_range(d->writes, &d->write_count, address, bytes);
}

/* ---- Operands ---- */

static uint64_t base(const struct cr_operand *operand)
{
    const struct vk_memory *memory = operand->memory;
    return memory == NULL ? 0 : memory->address;
}

uint64_t vk_address(const struct cr_operand *operand)
{
    return operand->memory == NULL ? 0 : base(operand) + operand->offset;
}

uint64_t vk_scales(const struct cr_operand *operand)
{
    return operand->memory == NULL ? 0 : base(operand) + operand->scales;
}

uint64_t vk_nested(const struct cr_operand *operand)
{
    return operand->memory == NULL || operand->nested == 0 ? 0 : base(operand) + operand->nested;
}

uint64_t vk_nested_map(const struct cr_operand *operand)
{
    return operand->memory == NULL || operand->nested == 0 ? 0
                                                           : base(operand) + operand->nested_map;
}

/* Widen [start, end) by the plane at `offset`. */
static void widen(struct vk_range *range, uint64_t offset, uint64_t bytes)
{
    range->start = offset < range->start ? offset : range->start;
    range->end = offset + bytes > range->end ? offset + bytes : range->end;
}

/* All planes of a quantised matrix lie in its memory: one range around them. */
static struct vk_range operand_range(const struct cr_operand *operand)
{
    uint64_t elements = (uint64_t)vk_elements(operand);
    if (operand->dtype != CR_DTYPE_Q8_0 && operand->dtype != CR_DTYPE_NF4)
        return (struct vk_range){operand->offset,
                                 operand->offset +
                                     elements * cr_dtype_size((enum cr_dtype)operand->dtype)};
    bool q8 = operand->dtype == CR_DTYPE_Q8_0;
    uint64_t blocks = q8 ? (elements + 31) / 32 : (elements + 63) / 64;
    struct vk_range range = {operand->offset,
                             operand->offset + (q8 ? elements : (elements + 1) / 2)};
    widen(&range, operand->scales, blocks * (q8 ? 2 : operand->nested != 0 ? 1 : 4));
    if (operand->nested != 0) {
        widen(&range, operand->nested, (blocks + 255) / 256 * 4);
        widen(&range, operand->nested_map, 257 * 4);
    }
    return range;
}

void vk_reads(struct vk_dispatch *d, const struct cr_operand *operand)
{
    if (operand->memory == NULL)
        return;
    struct vk_range range = operand_range(operand);
    vk_reads_at(d, base(operand) + range.start, range.end - range.start);
}

void vk_writes(struct vk_dispatch *d, const struct cr_operand *operand)
{
    if (operand->memory == NULL)
        return;
    struct vk_range range = operand_range(operand);
    vk_writes_at(d, base(operand) + range.start, range.end - range.start);
}

/* ---- Intervals ---- */

/* The first interval that ends at `address` or later (after: later). */
static uint32_t first_interval(const struct vk_intervals *set, uint64_t address, bool after)
{
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->item[middle].end < address + after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool overlaps(const struct vk_intervals *set, struct vk_range range)
{
    uint32_t at = first_interval(set, range.start, true);
    return at < set->count && set->item[at].start < range.end;
}

/* Add a range, joined with those it touches. There is room for one more. */
static void insert(struct vk_intervals *set, struct vk_range range)
{
    uint32_t at = first_interval(set, range.start, false), last = at;
    while (last < set->count && set->item[last].start <= range.end)
        last++;
    if (last > at) {
        if (set->item[at].start < range.start)
            range.start = set->item[at].start;
        if (set->item[last - 1].end > range.end)
            range.end = set->item[last - 1].end;
    }
    memmove(&set->item[at + 1], &set->item[last], (set->count - last) * sizeof(set->item[0]));
    set->item[at] = range;
    set->count = set->count + 1 - (last - at);
}

/* ---- Barriers ---- */

struct accesses {
    const struct vk_range *reads, *writes;
    uint32_t read_count, write_count;
    bool transfer;
};

static bool any_overlap(const struct vk_intervals *set, const struct vk_range *ranges,
                        uint32_t count)
{
    for (uint32_t i = 0; set->count > 0 && i < count; i++)
        if (overlaps(set, ranges[i]))
            return true;
    return false;
}

/* Does this work have to wait for work since the last barrier? */
static bool conflicts(const struct vk_recorder *recorder, const struct accesses *a)
{
    for (int t = 0; t < 2; t++) {
        bool transfer = t == 1 || a->transfer;
        if (transfer && recorder->omit == VK_OMIT_TRANSFER)
            continue;
        if ((transfer || recorder->omit != VK_OMIT_RAW) &&
            any_overlap(&recorder->written[t], a->reads, a->read_count))
            return true;
        if ((transfer || recorder->omit != VK_OMIT_WAW) &&
            any_overlap(&recorder->written[t], a->writes, a->write_count))
            return true;
        if ((transfer || recorder->omit != VK_OMIT_WAR) &&
            any_overlap(&recorder->read[t], a->writes, a->write_count))
            return true;
    }
    return false;
}

static void forget(struct vk_recorder *recorder)
{
    for (int t = 0; t < 2; t++)
        recorder->read[t].count = recorder->written[t].count = 0;
}

int vk_barrier(struct vk *vk, struct cr_error *err)
{
    int result = vk_emit(vk, err);
    VkCommandBuffer commands = result < 0 ? VK_NULL_HANDLE : vk_commands(vk, err);
    if (commands == VK_NULL_HANDLE)
        return vk->lost.code;
    const VkMemoryBarrier all = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vk->api.CmdPipelineBarrier(commands, stages, stages, 0, 1, &all, 0, NULL, 0, NULL);
    vk->counters.barriers++;
    forget(&vk->recorder);
    return 0;
}

/* Order this work after what it depends on, and remember what it touches. */
static int order(struct vk *vk, const struct accesses *a, struct cr_error *err)
{
    struct vk_recorder *recorder = &vk->recorder;
    struct vk_intervals *read = &recorder->read[a->transfer],
                        *written = &recorder->written[a->transfer];
    bool full = read->count + a->read_count > VK_MAX_INTERVALS ||
                written->count + a->write_count > VK_MAX_INTERVALS;
    if (full || conflicts(recorder, a)) {
        int result = vk_barrier(vk, err);
        if (result < 0)
            return result;
    }
    for (uint32_t i = 0; i < a->read_count; i++)
        insert(read, a->reads[i]);
    for (uint32_t i = 0; i < a->write_count; i++)
        insert(written, a->writes[i]);
    return 0;
}

/* ---- Emission ---- */

/* Groups first .. first + count - 1 of the folded grid: whole rows at once, and the rest of a row.
 */
static void emit_groups(struct vk *vk, VkCommandBuffer commands, const struct vk_pending *pending)
{
    uint64_t at = pending->group, left = pending->groups;
    while (left > 0) {
        uint32_t x = (uint32_t)(at % ROW), y = (uint32_t)(at / ROW), columns = ROW - x, rows = 1;
        if (left < columns)
            columns = (uint32_t)left;
        else if (x == 0)
            rows = (uint32_t)(left / ROW);
        vk->api.CmdDispatchBase(commands, x, y, pending->layer, columns, rows, pending->layers);
        vk->counters.pieces++;
        at += (uint64_t)columns * rows;
        left -= (uint64_t)columns * rows;
    }
}

static void emit_one(struct vk *vk, VkCommandBuffer commands, const struct vk_pending *pending)
{
    if (pending->pipeline == VK_NULL_HANDLE) {
        vk->api.CmdCopyBuffer(commands, pending->from, pending->to, 1, &pending->copy);
        return;
    }
    if (vk->recorder.bound != pending->pipeline) {
        vk->api.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pending->pipeline);
        vk->recorder.bound = pending->pipeline;
    }
    if (pending->push_bytes > 0)
        vk->api.CmdPushConstants(commands, vk->pipelines.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 pending->push_bytes, pending->push);
    emit_groups(vk, commands, pending);
}

int vk_emit(struct vk *vk, struct cr_error *err)
{
    struct vk_recorder *recorder = &vk->recorder;
    uint32_t count = recorder->pending_count;
    if (count == 0)
        return 0;
    VkCommandBuffer commands = vk_commands(vk, err);
    if (commands == VK_NULL_HANDLE)
        return vk->lost.code;
    for (uint32_t i = 0; i < count; i++)
        emit_one(vk, commands,
                 &recorder->pending[recorder->sync == VK_SYNC_REVERSE ? count - 1 - i : i]);
    recorder->pending_count = 0;
    return 0;
}

/* The next place in the list. */
static struct vk_pending *next_pending(struct vk *vk, struct cr_error *err)
{
    struct vk_recorder *recorder = &vk->recorder;
    if (recorder->pending_count == VK_MAX_PENDING && vk_emit(vk, err) < 0)
        return NULL;
    return &recorder->pending[recorder->pending_count++];
}

static int after_work(struct vk *vk, struct cr_error *err)
{
    return vk->recorder.sync == VK_SYNC_ALL ? vk_barrier(vk, err) : 0;
}

/* ---- Dispatches ---- */

static int check_shape(const struct vk_dispatch *d, struct cr_error *err)
{
    const char *name = d->shader->name;
    if (d->specs > VK_MAX_SPECS)
        return cr_fail(err, CR_ERR_INTERNAL, "%s: %u specialisation constants, %d at most", name,
                       d->specs, VK_MAX_SPECS);
    if (d->push_bytes > VK_MAX_PUSH || d->push_bytes % 4 != 0)
        return cr_fail(err, CR_ERR_INTERNAL, "%s: %u bytes of push constants, %d at most, by words",
                       name, d->push_bytes, VK_MAX_PUSH);
    if (d->read_count > VK_MAX_RANGES || d->write_count > VK_MAX_RANGES)
        return cr_fail(err, CR_ERR_INTERNAL, "%s: %u ranges read, %u written, %d at most", name,
                       d->read_count, d->write_count, VK_MAX_RANGES);
    if (d->groups > MAX_GROUPS || d->layers > 65535)
        return cr_fail(err, CR_ERR_LIMIT, "%s: %llu groups in %u layers", name,
                       (unsigned long long)d->groups, d->layers);
    return 0;
}

/* Every range has to lie in memory that somebody owns. */
static int touch(struct vk *vk, const char *name, const struct vk_range *ranges, uint32_t count,
                 struct cr_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        struct vk_memory *memory = vk_memory_find(vk, ranges[i].start, ranges[i].end);
        if (memory == NULL)
            return cr_fail(err, CR_ERR_INTERNAL,
                           "%s: range %u, %llu bytes at %#llx, lies outside allocated memory", name,
                           i, (unsigned long long)(ranges[i].end - ranges[i].start),
                           (unsigned long long)ranges[i].start);
        memory->last_use = vk_now(vk);
    }
    return 0;
}

static int touch_all(struct vk *vk, const char *name, const struct accesses *a,
                     struct cr_error *err)
{
    int result = touch(vk, name, a->reads, a->read_count, err);
    return result < 0 ? result : touch(vk, name, a->writes, a->write_count, err);
}

/* One piece of a dispatch, in whatever submission has room for it. What it touches was noted for
 * the open one. */
static int add_piece(struct vk *vk, const struct vk_dispatch *d, VkPipeline pipeline,
                     const struct accesses *a, const struct vk_pending *part, double share,
                     struct cr_error *err)
{
    double estimate = share * vk_estimate(vk, d->bytes, d->operations);
    uint64_t noted = vk_now(vk);
    int result = vk_make_room(vk, estimate, err);
    if (result == 0 && vk_now(vk) != noted)
        result = touch_all(vk, d->shader->name, a, err);
    struct vk_pending *pending = result < 0 ? NULL : next_pending(vk, err);
    if (pending == NULL)
        return result < 0 ? result : vk->lost.code;
    *pending = *part;
    pending->pipeline = pipeline;
    pending->push_bytes = d->push_bytes;
    memcpy(pending->push, d->push, d->push_bytes);
    vk_account(vk, share * d->bytes, share * d->operations, estimate);
    return 0;
}

/* Cut along the groups, or along the layers where there are more of those. */
static int add_pieces(struct vk *vk, const struct vk_dispatch *d, VkPipeline pipeline,
                      const struct accesses *a, struct cr_error *err)
{
    double parts = vk_estimate(vk, d->bytes, d->operations) / vk->queue.limit;
    uint32_t layers = d->layers == 0 ? 1 : d->layers;
    bool by_layers = layers > d->groups;
    uint64_t whole = by_layers ? layers : d->groups, step = whole;
    if (parts > 1)
        step = parts >= (double)whole ? 1 : (uint64_t)((double)whole / parts);
    for (uint64_t at = 0; at < whole; at += step) {
        uint64_t count = whole - at < step ? whole - at : step;
        struct vk_pending part = {.groups = d->groups, .layers = layers};
        if (by_layers) {
            part.layer = (uint32_t)at;
            part.layers = (uint32_t)count;
        } else {
            part.group = at;
            part.groups = count;
        }
        int result = add_piece(vk, d, pipeline, a, &part, (double)count / (double)whole, err);
        if (result < 0)
            return result;
    }
    return 0;
}

int vk_dispatch(struct vk *vk, const struct vk_dispatch *d, struct cr_error *err)
{
    const struct accesses accesses = {d->reads, d->writes, d->read_count, d->write_count, false};
    VkPipeline pipeline = VK_NULL_HANDLE;
    int result = vk_check_alive(vk, err);
    if (result == 0)
        result = check_shape(d, err);
    if (result < 0 || d->groups == 0)
        return result;
    if ((result = touch_all(vk, d->shader->name, &accesses, err)) < 0 ||
        (result = vk_pipeline_get(vk, d, &pipeline, err)) < 0 ||
        (result = order(vk, &accesses, err)) < 0 ||
        (result = add_pieces(vk, d, pipeline, &accesses, err)) < 0)
        return result;
    vk->counters.dispatches++;
    return after_work(vk, err);
}

/* ---- Copies ---- */

static int add_copy(struct vk *vk, const struct vk_pending *copy, uint64_t bytes,
                    struct cr_error *err)
{
    double estimate = vk_estimate(vk, 2.0 * (double)bytes, 0);
    struct vk_pending *pending = next_pending(vk, err);
    if (pending == NULL)
        return vk->lost.code;
    *pending = *copy;
    vk_account(vk, 2.0 * (double)bytes, 0, estimate);
    vk->counters.copies++;
    return after_work(vk, err);
}

int vk_record_copy(struct vk *vk, const struct vk_buffer *from, uint64_t from_offset,
                   uint64_t from_address, const struct vk_buffer *to, uint64_t to_offset,
                   uint64_t to_address, uint64_t bytes, struct cr_error *err)
{
    struct vk_range read, written;
    struct accesses a = {&read, &written, 0, 0, true};
    if (from_address != 0)
        add_range(&read, &a.read_count, from_address, bytes);
    if (to_address != 0)
        add_range(&written, &a.write_count, to_address, bytes);
    int result = touch_all(vk, "copy", &a, err);
    if (result == 0)
        result = order(vk, &a, err);
    const struct vk_pending copy = {
        .from = from->handle, .to = to->handle, .copy = {from_offset, to_offset, bytes}};
    return result < 0 ? result : add_copy(vk, &copy, bytes, err);
}

int vk_copy(struct vk *vk, uint64_t from, uint64_t to, uint64_t bytes, struct cr_error *err)
{
    int result = vk_check_alive(vk, err);
    for (uint64_t at = 0; result == 0 && at < bytes; at += MAX_COPY) {
        uint64_t count = bytes - at < MAX_COPY ? bytes - at : MAX_COPY;
        const struct vk_memory *source = vk_memory_find(vk, from + at, from + at + count),
                               *target = vk_memory_find(vk, to + at, to + at + count);
        if (source == NULL || target == NULL)
            return cr_fail(err, CR_ERR_INTERNAL, "copy: %llu bytes lie outside allocated memory",
                           (unsigned long long)count);
        const struct vk_buffer *source_buffer = &source->block->buffer,
                               *target_buffer = &target->block->buffer;
        if ((result = vk_make_room(vk, vk_estimate(vk, 2.0 * (double)count, 0), err)) == 0)
            result = vk_record_copy(vk, source_buffer, from + at - source_buffer->address,
                                    from + at, target_buffer, to + at - target_buffer->address,
                                    to + at, count, err);
    }
    return result;
}
