/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"
#include "model/hub.h"
#include "model/index.h"
#include "model/model.h"

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

/* ---- The folder ---- */

int cr_model_open(struct cr_model **out, const char *name, const struct cr_log *log,
                  struct cr_error *err)
{
    *out = NULL;
    struct cr_model *model = cr_calloc(1, sizeof(*model));
    if (model == NULL || (model->name = cr_strdup(name)) == NULL) {
        cr_free(model);
        return cr_fail_memory(err, sizeof(*model));
    }
    int result = cr_hub_find(&model->folder, &model->is_public, name, err);
    if (result < 0) {
        cr_free(model->name);
        cr_free(model);
        return result;
    }
    model->references = 1;
    model->log = log;
    pthread_mutex_init(&model->lock, NULL);
    *out = model;
    return 0;
}

struct cr_model *cr_model_ref(struct cr_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

/* Forget what was found in the folder. */
static void forget(struct cr_model *model)
{
    for (size_t i = 0; i < model->file_count; i++)
        cr_weights_unref(&model->files[i]);
    cr_free(model->files);
    cr_free(model->tensors);
    model->files = NULL;
    model->tensors = NULL;
    model->file_count = model->count = 0;
}

void cr_model_unref(struct cr_model **model)
{
    struct cr_model *old = *model;
    *model = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
        return;
    forget(old);
    pthread_mutex_destroy(&old->lock);
    cr_free(old->folder);
    cr_free(old->name);
    cr_free(old);
}

const char *cr_model_folder(const struct cr_model *model)
{
    return model->folder;
}

/* " of the model \"ORG/NAME\"", where that is known. */
static char *whose(const struct cr_model *model)
{
    return model->is_public ? cr_asprintf(" of the model \"%s\"", model->name) : cr_strdup("");
}

static int missing_file(const struct cr_model *model, const char *what, struct cr_error *err)
{
    char *of = whose(model);
    int result = of == NULL ? cr_fail_memory(err, 64)
                            : cr_fail(err, CR_ERR_NOT_FOUND, "%s: there is no %s in this folder%s",
                                      model->folder, what, of);
    cr_free(of);
    return result;
}

int cr_model_file(const struct cr_model *model, const char *name, char **path, struct cr_error *err)
{
    struct stat st;
    *path = cr_path_join(model->folder, name);
    if (*path == NULL)
        return cr_fail_memory(err, strlen(name));
    int result = 0;
    if (cr_io_stat(*path, &st) < 0)
        result = errno == ENOENT || errno == ENOTDIR
                     ? missing_file(model, name, err)
                     : cr_fail_errno(err, errno, "%s: cannot examine", *path);
    if (result < 0) {
        cr_free(*path);
        *path = NULL;
    }
    return result;
}

/* ---- Its tensors ---- */

static int compare(const void *a, const void *b)
{
    const struct cr_stored *x = a, *y = b;
    return strcmp(x->tensor->name, y->tensor->name);
}

static int open_file(struct cr_model *model, const char *name, struct cr_error *err)
{
    char *path = cr_path_join(model->folder, name);
    if (path == NULL)
        return cr_fail_memory(err, strlen(name));
    int result = cr_weights_open(&model->files[model->file_count], path, err);
    if (result == 0)
        model->file_count++;
    cr_free(path);
    return result;
}

/* The file that an earlier shard is, under another name. */
static bool is_open(const struct cr_model *model, size_t index)
{
    bool found = false;
    for (size_t i = 0; i < index && !found; i++)
        found = model->files[i] == model->files[index];
    return found;
}

static int open_shards(struct cr_model *model, const struct cr_index *index, const char *path,
                       struct cr_error *err)
{
    model->files = cr_calloc(index->shard_count, sizeof(struct cr_weights *));
    if (model->files == NULL)
        return cr_fail_memory(err, index->shard_count * sizeof(struct cr_weights *));
    for (size_t i = 0; i < index->shard_count; i++) {
        int result = open_file(model, index->shards[i], err);
        if (result == CR_ERR_NOT_FOUND)
            cr_error_prefix(err, "%s names a shard that is missing", path);
        if (result < 0)
            return result;
    }
    return 0;
}

/* All tensors of all files, as they come; each once, though two links may lead to it. */
static int collect(struct cr_model *model, struct cr_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < model->file_count; i++)
        count += is_open(model, i) ? 0 : model->files[i]->header->count;
    model->tensors = cr_calloc(count, sizeof(*model->tensors));
    if (model->tensors == NULL)
        return cr_fail_memory(err, count * sizeof(*model->tensors));
    for (size_t i = 0; i < model->file_count; i++) {
        const struct cr_safetensors *header = model->files[i]->header;
        bool again = is_open(model, i);
        for (size_t j = 0; j < header->count && !again; j++)
            model->tensors[model->count++] =
                (struct cr_stored){model->files[i], &header->tensors[j]};
    }
    if (count > 1)
        qsort(model->tensors, count, sizeof(*model->tensors), compare);
    return 0;
}

/* Is everything in the shard that the index says? */
static int check_index(const struct cr_model *model, const struct cr_index *index, const char *path,
                       struct cr_error *err)
{
    for (size_t i = 0; i < index->count; i++) {
        const struct cr_index_entry *entry = &index->entries[i];
        if (cr_safetensors_find(model->files[entry->shard]->header, entry->name) == NULL)
            return cr_fail(err, CR_ERR_FORMAT, "%s: \"%.200s\" is not in %s, where it should be",
                           path, entry->name, index->shards[entry->shard]);
    }
    return 0;
}

/* A name in several shards means the one that the index names. */
static int drop_others(struct cr_model *model, const struct cr_index *index, const char *path,
                       struct cr_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct cr_stored *here = &model->tensors[i];
        bool twice = (i > 0 && compare(here - 1, here) == 0) ||
                     (i + 1 < model->count && compare(here, here + 1) == 0);
        const struct cr_index_entry *entry =
            twice ? cr_index_find(index, here->tensor->name) : NULL;
        if (twice && entry == NULL)
            return cr_fail(err, CR_ERR_FORMAT,
                           "%s: \"%.200s\" is in several shards and not in the index, which would "
                           "say in which",
                           path, here->tensor->name);
        if (!twice || model->files[entry->shard] == here->file)
            model->tensors[kept++] = *here;
    }
    model->count = kept;
    return 0;
}

static int look_at_shards(struct cr_model *model, const char *path, struct cr_error *err)
{
    struct cr_index index = {.entries = NULL};
    int result = cr_index_read(&index, path, err);
    if (result == 0)
        result = open_shards(model, &index, path, err);
    if (result == 0)
        result = check_index(model, &index, path, err);
    if (result == 0)
        result = collect(model, err);
    if (result == 0)
        result = drop_others(model, &index, path, err);
    cr_index_finish(&index);
    return result;
}

static int look_at_single(struct cr_model *model, struct cr_error *err)
{
    model->files = cr_calloc(1, sizeof(struct cr_weights *));
    if (model->files == NULL)
        return cr_fail_memory(err, sizeof(struct cr_weights *));
    int result = open_file(model, SINGLE, err);
    if (result == CR_ERR_NOT_FOUND) {
        cr_error_clear(err);
        return missing_file(model, SINGLE " and no " INDEX, err);
    }
    return result == 0 ? collect(model, err) : result;
}

static int look(struct cr_model *model, struct cr_error *err)
{
    struct stat st;
    struct cr_error why = CR_ERROR_INIT;
    char *path = cr_path_join(model->folder, INDEX);
    if (path == NULL)
        return cr_fail_memory(err, sizeof(INDEX));
    int result = cr_io_stat(path, &st) == 0 ? look_at_shards(model, path, &why)
                                            : look_at_single(model, &why);
    cr_free(path);
    if (result < 0) {
        forget(model);
        return cr_fail(err, result, "%s", why.message);
    }
    model->looked = true;
    return 0;
}

int cr_model_tensors(struct cr_model *model, size_t *count, struct cr_error *err)
{
    pthread_mutex_lock(&model->lock);
    int result = model->looked ? 0 : look(model, err);
    pthread_mutex_unlock(&model->lock);
    if (result == 0)
        *count = model->count;
    return result;
}

struct cr_model_tensor cr_model_tensor(const struct cr_model *model, size_t index)
{
    const struct cr_stored *stored = &model->tensors[index];
    struct cr_model_tensor tensor = {
        .name = stored->tensor->name,
        .dtype = cr_st_dtype_name(stored->tensor->dtype),
        .rank = stored->tensor->rank,
        .bytes = stored->tensor->bytes,
        .file = stored->file->path,
    };
    for (int i = 0; i < tensor.rank; i++)
        tensor.shape[i] = stored->tensor->shape[i];
    return tensor;
}

const struct cr_stored *cr_model_find(const struct cr_model *model, const char *name)
{
    const struct cr_st_tensor tensor = {.name = name};
    const struct cr_stored wanted = {.tensor = &tensor};
    if (model->count == 0)
        return NULL;
    return bsearch(&wanted, model->tensors, model->count, sizeof(wanted), compare);
}

bool cr_model_has(struct cr_model *model, const char *name)
{
    size_t count;
    return cr_model_tensors(model, &count, NULL) == 0 && cr_model_find(model, name) != NULL;
}

int cr_model_check_files(const struct cr_model *model, struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < model->file_count && result == 0; i++)
        result = cr_weights_check(model->files[i], err);
    return result;
}

/* ---- A file alone ---- */

static int look_at_file(struct cr_model *model, const char *path, struct cr_error *err)
{
    model->name = cr_strdup(path);
    model->folder = cr_path_folder(path);
    model->files = cr_calloc(1, sizeof(struct cr_weights *));
    if (model->name == NULL || model->folder == NULL || model->files == NULL)
        return cr_fail_memory(err, strlen(path));
    int result = cr_weights_open(&model->files[0], path, err);
    if (result < 0)
        return result;
    model->file_count = 1;
    model->looked = true;
    return collect(model, err);
}

int cr_model_open_file(struct cr_model **out, const char *path, const struct cr_log *log,
                       struct cr_error *err)
{
    *out = cr_calloc(1, sizeof(**out));
    if (*out == NULL)
        return cr_fail_memory(err, sizeof(**out));
    (*out)->references = 1;
    (*out)->log = log;
    pthread_mutex_init(&(*out)->lock, NULL);
    int result = look_at_file(*out, path, err);
    if (result < 0)
        cr_model_unref(out);
    return result;
}

/* ---- What nobody wanted ---- */

void cr_model_warn_unclaimed(const struct cr_model *model, const struct cr_log *log)
{
    size_t count = 0, listed = 0;
    struct cr_text names = CR_TEXT_INIT;
    for (size_t i = 0; i < model->count; i++) {
        const struct cr_stored *stored = &model->tensors[i];
        size_t at = (size_t)(stored->tensor - stored->file->header->tensors);
        if (stored->file->claimed[at] != 0)
            continue;
        if (count++ < 5) {
            cr_text_printf(&names, "%s%.100s", listed > 0 ? ", " : "", stored->tensor->name);
            listed++;
        }
    }
    if (count > 0 && !names.failed)
        cr_log_write(log, CR_LOG_WARNING, model->name,
                     "no stage uses %zu of the %zu tensors in %s: %s%s", count, model->count,
                     model->folder, names.data, count > listed ? ", ..." : "");
    cr_text_finish(&names);
}
