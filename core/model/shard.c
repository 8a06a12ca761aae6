/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "model/shard.h"

/* The file being written. */
struct file {
    int fd;
    const char *path;
};

static int write_file(void *user, uint64_t offset, const void *data, size_t bytes,
                      struct cr_error *err)
{
    const struct file *file = user;
    if (cr_io_write_at(file->fd, data, bytes, offset) < 0)
        return cr_fail_errno(err, errno, "%s: cannot write", file->path);
    return 0;
}

/* ---- The header ---- */

static void add_metadata(struct cr_text *text, const struct cr_safetensors *source)
{
    cr_text_add(text, "{\"__metadata__\":{");
    for (size_t i = 0; i < source->metadata_count; i++) {
        cr_text_add(text, i > 0 ? "," : "");
        cr_json_quote(text, source->metadata[i].key);
        cr_text_add(text, ":");
        cr_json_quote(text, source->metadata[i].value);
    }
    if (source->metadata_count == 0) /* without it some readers refuse a file */
        cr_text_add(text, "\"format\":\"pt\"");
    cr_text_add(text, "}");
}

static void add_tensor(struct cr_text *text, const struct cr_entry *entry)
{
    cr_text_add(text, ",");
    cr_json_quote(text, entry->name);
    cr_text_printf(text, ":{\"dtype\":\"%s\",\"shape\":[", cr_st_dtype_name(entry->dtype));
    for (int i = 0; i < entry->rank; i++)
        cr_text_printf(text, "%s%lld", i > 0 ? "," : "", (long long)entry->shape[i]);
    cr_text_printf(text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)entry->start,
                   (unsigned long long)(entry->start + entry->bytes));
}

/* Its size and the header, padded so that the data is aligned; `*data` is where that begins. */
static int write_header(const struct cr_save *save, size_t shard, struct file *file, uint64_t *data,
                        struct cr_error *err)
{
    struct cr_text text = CR_TEXT_INIT;
    size_t first = 0;
    while (first < save->job_count && save->jobs[first].shard != shard)
        first++;
    static const struct cr_safetensors none = {.tensors = NULL};
    add_metadata(&text, first < save->job_count ? save->jobs[first].stored.file->header : &none);
    for (size_t i = 0; i < save->entry_count; i++)
        if (save->entries[i].shard == shard)
            add_tensor(&text, &save->entries[i]);
    cr_text_add(&text, "}");
    while (text.size % 8 != 0 && !text.failed)
        cr_text_add(&text, " ");
    unsigned char size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)((uint64_t)text.size >> (8 * i));
    int result = text.failed ? cr_fail_memory(err, text.capacity) : 0;
    if (result == 0)
        result = write_file(file, 0, size, sizeof(size), err);
    if (result == 0)
        result = write_file(file, sizeof(size), text.data, text.size, err);
    *data = sizeof(size) + text.size;
    cr_text_finish(&text);
    return result;
}

/* ---- The data ---- */

/* A tensor that stays as it is: its bytes. */
static void plan_copy(struct cr_save_job *job)
{
    job->raw.dtype = CR_ST_U8;
    job->item.dtype = CR_DTYPE_U8;
    job->plan.mode = CR_PLAN_DENSE;
    job->plan.rank = 1;
    job->plan.shape[0] = (int64_t)job->raw.bytes;
    job->plan.elements = (int64_t)job->raw.bytes;
}

static void plan_quantized(struct cr_save_job *job, const struct cr_save_params *params)
{
    job->item.dtype = params->weights;
    job->plan.mode = CR_PLAN_QUANTIZE;
    job->plan.nested = params->weights == CR_DTYPE_NF4 && !params->single;
    job->plan.rank = 2;
    job->plan.shape[0] = job->raw.shape[0];
    job->plan.shape[1] = job->raw.shape[1];
    job->plan.elements = job->raw.shape[0] * job->raw.shape[1];
}

/* A plan as one for a claim would be, of one part. */
static void make_plan(struct cr_save_job *job, const struct cr_save_params *params)
{
    job->raw = *job->stored.tensor;
    if (job->quantized)
        plan_quantized(job, params);
    else
        plan_copy(job);
    job->part = (struct cr_plan_part){.count = job->plan.elements};
    job->part.source = (struct cr_weight_source){.kind = CR_SOURCE_DENSE,
                                                 .values = {job->stored.file, &job->raw},
                                                 .elements = job->plan.elements};
    job->plan.item = &job->item;
    job->plan.parts = &job->part;
    job->plan.part_count = 1;
}

static struct cr_target make_target(const struct cr_save *save, struct cr_save_job *job,
                                    struct file *file, uint64_t data)
{
    const struct cr_entry *entries = &save->entries[job->first];
    struct cr_target target = {.plan = &job->plan, .write = write_file, .user = file};
    target.values = data + entries[CR_ENTRY_CODES].start;
    if (job->count > CR_ENTRY_SCALES)
        target.scales = data + entries[CR_ENTRY_SCALES].start;
    if (job->count > CR_ENTRY_MAP) {
        target.nested = data + entries[CR_ENTRY_NESTED].start;
        target.map = data + entries[CR_ENTRY_MAP].start;
    }
    return target;
}

/* The table and the description of a matrix in nf4. */
static int write_state(const struct cr_save *save, const struct cr_save_job *job,
                       const struct cr_target *target, uint64_t data, struct cr_error *err)
{
    const struct cr_entry *entries = &save->entries[job->first];
    char state[CR_SAVE_STATE];
    int size = cr_save_state(state, job->stored.tensor, job->plan.nested, target->nested_offset);
    int result = write_file(target->user, data + entries[CR_ENTRY_TABLE].start, cr_nf4_values(),
                            16 * sizeof(float), err);
    if (result == 0 && (uint64_t)size != entries[CR_ENTRY_STATE].bytes)
        result = cr_fail(err, CR_ERR_INTERNAL, "the description of %.200s has %d bytes, not %llu",
                         job->stored.tensor->name, size,
                         (unsigned long long)entries[CR_ENTRY_STATE].bytes);
    return result == 0 ? write_file(target->user, data + entries[CR_ENTRY_STATE].start, state,
                                    (size_t)size, err)
                       : result;
}

static int write_data(struct cr_save *save, size_t shard, struct file *file, uint64_t data,
                      const struct cr_load_hooks *hooks, struct cr_error *err)
{
    size_t first = 0, end;
    while (first < save->job_count && save->jobs[first].shard != shard)
        first++;
    for (end = first; end < save->job_count && save->jobs[end].shard == shard; end++)
        make_plan(&save->jobs[end], save->params);
    struct cr_target *targets = cr_calloc(end - first, sizeof(*targets));
    if (targets == NULL)
        return cr_fail_memory(err, (end - first) * sizeof(*targets));
    for (size_t i = first; i < end; i++)
        targets[i - first] = make_target(save, &save->jobs[i], file, data);
    int result = cr_stream_run(targets, end - first, hooks, err);
    for (size_t i = first; i < end && result == 0; i++)
        if (save->jobs[i].count > CR_ENTRY_STATE)
            result = write_state(save, &save->jobs[i], &targets[i - first], data, err);
    cr_free(targets);
    return result;
}

/* What was written has to pass the checks that reading it will make. */
static int check_written(const struct file *file, struct cr_error *err)
{
    struct cr_safetensors *header = NULL;
    struct stat st;
    if (cr_io_fstat(file->fd, &st) < 0)
        return cr_fail_errno(err, errno, "%s: cannot examine", file->path);
    int result = cr_safetensors_read(&header, file->fd, (uint64_t)st.st_size, file->path, err);
    cr_safetensors_destroy(&header);
    return result;
}

int cr_save_shard(struct cr_save *save, size_t shard, const char *path,
                  const struct cr_load_hooks *hooks, struct cr_error *err)
{
    struct file file = {.fd = cr_io_open(path, O_RDWR | O_CREAT | O_EXCL, 0666), .path = path};
    uint64_t data = 0;
    if (file.fd < 0)
        return cr_fail_errno(err, errno, "%s: cannot create", path);
    int result = write_header(save, shard, &file, &data, err);
    if (result == 0)
        result = write_data(save, shard, &file, data, hooks, err);
    if (result == 0)
        result = check_written(&file, err);
    if (result == 0 && cr_io_fsync(file.fd) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot synchronise", path);
    if (cr_io_close(file.fd) < 0 && result == 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    return result;
}
