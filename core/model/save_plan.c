/* SPDX-License-Identifier: MIT */
/* save_plan.c: which tensors are quantised, what the files will hold, and in which order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/shard.h"
#include "tensor/quantized.h"

#define SHARD_BYTES UINT64_C(5000000000)

/* ---- The rule ---- */

static bool matches_any(const char *const *patterns, size_t count, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
        found = cr_claim_matches(patterns[i], name);
    return found;
}

/* Does the last `length` bytes long part of a name hold this word? */
static bool holds(const char *part, size_t length, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= length; i++)
        if (strncmp(part + i, word, size) == 0)
            return true;
    return false;
}

static bool is(const char *part, size_t length, const char *word)
{
    return length == strlen(word) && strncmp(part, word, length) == 0;
}

/* "layers.0.attention.wo.weight" is the weight of a linear layer, "tok_embeddings.weight",
 * "ffn_norm.weight" and "output.weight" are not, or are better left alone. */
static bool is_linear(const char *name)
{
    static const char suffix[] = ".weight";
    size_t length = strlen(name), tail = sizeof(suffix) - 1;
    if (length <= tail || strcmp(name + length - tail, suffix) != 0)
        return false;
    size_t end = length - tail, start = end;
    while (start > 0 && name[start - 1] != '.')
        start--;
    const char *part = name + start;
    size_t size = end - start;
    return !holds(part, size, "embed") && !holds(part, size, "norm") && !is(part, size, "output") &&
           !is(part, size, "lm_head");
}

static bool is_real(enum cr_st_dtype dtype)
{
    return dtype == CR_ST_F16 || dtype == CR_ST_BF16 || dtype == CR_ST_F32 || dtype == CR_ST_F64;
}

static bool is_quantized(const struct cr_st_tensor *tensor, const struct cr_save_params *params)
{
    return tensor->rank == 2 && tensor->shape[0] > 0 && tensor->shape[1] > 0 &&
           is_real(tensor->dtype) && !matches_any(params->keep, params->keep_count, tensor->name) &&
           (is_linear(tensor->name) || matches_any(params->also, params->also_count, tensor->name));
}

/* ---- Entries ---- */

static int add_entry(struct cr_save *save, const char *name, const char *suffix,
                     enum cr_st_dtype dtype, int rank, const int64_t *shape, uint64_t bytes,
                     struct cr_error *err)
{
    if (save->entry_count == save->entry_capacity) {
        size_t capacity = save->entry_capacity == 0 ? 256 : save->entry_capacity * 2;
        struct cr_entry *entries = cr_realloc_array(save->entries, capacity, sizeof(*entries));
        if (entries == NULL)
            return cr_fail_memory(err, capacity * sizeof(*entries));
        save->entries = entries;
        save->entry_capacity = capacity;
    }
    struct cr_entry *entry = &save->entries[save->entry_count];
    *entry = (struct cr_entry){
        .name = cr_asprintf("%s%s", name, suffix), .dtype = dtype, .rank = rank, .bytes = bytes};
    if (entry->name == NULL)
        return cr_fail_memory(err, strlen(name) + strlen(suffix) + 1);
    for (int i = 0; i < rank; i++)
        entry->shape[i] = shape[i];
    save->entry_count++;
    return 0;
}

static int add_vector(struct cr_save *save, const char *name, const char *suffix,
                      enum cr_st_dtype dtype, int64_t extent, struct cr_error *err)
{
    return add_entry(save, name, suffix, dtype, 1, &extent,
                     (uint64_t)extent * (uint64_t)cr_st_dtype_bits(dtype) / 8, err);
}

int cr_save_state(char text[CR_SAVE_STATE], const struct cr_st_tensor *tensor, bool nested,
                  float offset)
{
    const char *dtype = tensor->dtype == CR_ST_F16    ? "float16"
                        : tensor->dtype == CR_ST_BF16 ? "bfloat16"
                        : tensor->dtype == CR_ST_F64  ? "float64"
                                                      : "float32";
    int size =
        snprintf(text, CR_SAVE_STATE,
                 "{\"quant_type\": \"nf4\", \"blocksize\": %d, \"dtype\": \"%s\", "
                 "\"shape\": [%lld, %lld]",
                 CR_NF4_BLOCK, dtype, (long long)tensor->shape[0], (long long)tensor->shape[1]);
    if (nested)
        size += snprintf(text + size, CR_SAVE_STATE - (size_t)size,
                         ", \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", "
                         "\"nested_offset\": %.17e",
                         CR_NESTED_BLOCK, (double)offset);
    return size + snprintf(text + size, CR_SAVE_STATE - (size_t)size, "}");
}

static int add_nf4(struct cr_save *save, const struct cr_st_tensor *tensor, struct cr_error *err)
{
    bool nested = !save->params->single;
    int64_t elements = tensor->shape[0] * tensor->shape[1];
    int64_t blocks = (elements + CR_NF4_BLOCK - 1) / CR_NF4_BLOCK;
    const int64_t codes[2] = {(elements + 1) / 2, 1};
    char state[CR_SAVE_STATE];
    const char *name = tensor->name;
    int result = add_entry(save, name, "", CR_ST_U8, 2, codes, (uint64_t)codes[0], err);
    if (result == 0)
        result = add_vector(save, name, ".absmax", nested ? CR_ST_U8 : CR_ST_F32, blocks, err);
    if (result == 0)
        result = add_vector(save, name, ".quant_map", CR_ST_F32, 16, err);
    if (result == 0)
        result = add_vector(save, name, CR_NF4_STATE, CR_ST_U8,
                            cr_save_state(state, tensor, nested, 0), err);
    if (result == 0 && nested)
        result = add_vector(save, name, ".nested_absmax", CR_ST_F32,
                            (blocks + CR_NESTED_BLOCK - 1) / CR_NESTED_BLOCK, err);
    if (result == 0 && nested)
        result = add_vector(save, name, ".nested_quant_map", CR_ST_F32, 256, err);
    return result;
}

static int add_q8_0(struct cr_save *save, const struct cr_st_tensor *tensor, struct cr_error *err)
{
    int64_t elements = tensor->shape[0] * tensor->shape[1];
    int result =
        add_entry(save, tensor->name, "", CR_ST_I8, 2, tensor->shape, (uint64_t)elements, err);
    if (result == 0)
        result = add_vector(save, tensor->name, CR_Q8_0_SCALES, CR_ST_F16,
                            (elements + CR_Q8_0_BLOCK - 1) / CR_Q8_0_BLOCK, err);
    return result;
}

static int add_entries(struct cr_save *save, struct cr_save_job *job, struct cr_error *err)
{
    const struct cr_st_tensor *tensor = job->stored.tensor;
    job->first = save->entry_count;
    int result = !job->quantized ? add_entry(save, tensor->name, "", tensor->dtype, tensor->rank,
                                             tensor->shape, tensor->bytes, err)
                 : save->params->weights == CR_DTYPE_NF4 ? add_nf4(save, tensor, err)
                                                         : add_q8_0(save, tensor, err);
    job->count = save->entry_count - job->first;
    return result;
}

/* ---- Shards ---- */

static int compare_jobs(const void *a, const void *b)
{
    const struct cr_save_job *x = a, *y = b;
    if (x->stored.file != y->stored.file)
        return strcmp(x->stored.file->path, y->stored.file->path);
    uint64_t p = x->stored.tensor->start, q = y->stored.tensor->start;
    return p != q ? (p > q) - (p < q) : strcmp(x->stored.tensor->name, y->stored.tensor->name);
}

/* A new shard where the source begins a new file, and where one would become too large. */
static void assign_shards(struct cr_save *save)
{
    uint64_t limit = save->params->shard_bytes > 0 ? save->params->shard_bytes : SHARD_BYTES;
    uint64_t used = 0;
    size_t shard = 0;
    for (size_t i = 0; i < save->job_count; i++) {
        struct cr_save_job *job = &save->jobs[i];
        uint64_t bytes = 0;
        for (size_t j = 0; j < job->count; j++)
            bytes += save->entries[job->first + j].bytes;
        bool other = i > 0 && save->jobs[i - 1].stored.file != job->stored.file;
        if (other || (used > 0 && used + bytes > limit)) {
            shard++;
            used = 0;
        }
        used += bytes;
        job->shard = shard;
        for (size_t j = 0; j < job->count; j++)
            save->entries[job->first + j].shard = shard;
    }
    save->shard_count = shard + 1;
}

/* The entries from..to are a shard. The largest elements first, so that each tensor is aligned to
 * its own: readers that map the file like that. */
static void place_shard(struct cr_save *save, size_t from, size_t to)
{
    static const int sizes[] = {64, 32, 16, 8, 6, 4};
    uint64_t at = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t j = from; j < to; j++)
            if (cr_st_dtype_bits(save->entries[j].dtype) == sizes[i]) {
                save->entries[j].start = at;
                at += save->entries[j].bytes;
            }
}

static void place_entries(struct cr_save *save)
{
    for (size_t from = 0, to; from < save->entry_count; from = to) {
        for (to = from; to < save->entry_count; to++)
            if (save->entries[to].shard != save->entries[from].shard)
                break;
        place_shard(save, from, to);
    }
}

int cr_save_plan(struct cr_save *save, const struct cr_model *model,
                 const struct cr_save_params *params, struct cr_error *err)
{
    *save = (struct cr_save){.params = params};
    save->jobs = cr_calloc(model->count, sizeof(*save->jobs));
    if (save->jobs == NULL)
        return cr_fail_memory(err, model->count * sizeof(*save->jobs));
    save->job_count = model->count;
    for (size_t i = 0; i < model->count; i++)
        save->jobs[i].stored = model->tensors[i];
    if (model->count > 1)
        qsort(save->jobs, save->job_count, sizeof(*save->jobs), compare_jobs);
    int result = 0;
    for (size_t i = 0; i < save->job_count && result == 0; i++) {
        save->jobs[i].quantized = is_quantized(save->jobs[i].stored.tensor, params);
        result = add_entries(save, &save->jobs[i], err);
    }
    if (result == 0) {
        assign_shards(save);
        place_entries(save);
    }
    return result;
}

void cr_save_finish(struct cr_save *save)
{
    for (size_t i = 0; i < save->entry_count; i++)
        cr_free(save->entries[i].name);
    cr_free(save->entries);
    cr_free(save->jobs);
    *save = (struct cr_save){.jobs = NULL};
}
