/* SPDX-License-Identifier: MIT */
/* save.c: the folder of a quantised model. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <crayon/file.h>

#include "base/io.h"
#include "base/json.h"
#include "base/paths.h"
#include "model/shard.h"

#define CONFIG "config.json"
#define MAX_CONFIG ((size_t)16 << 20)
#define COPY_BYTES 65536

struct saver {
    struct cr_model *model;
    const struct cr_save_params *params;
    const struct cr_load_hooks *hooks;
    struct cr_save save;
    char *folder;       /* under its other name */
    uint64_t done, all; /* bytes of the source, for the progress */
    uint64_t part;      /* bytes of the shard that is being written */
};

/* FOLDER/NAME; NULL with the error. */
static char *path_of(const char *folder, const char *name, struct cr_error *err)
{
    char *path = cr_asprintf("%s/%s", folder, name);
    if (path == NULL)
        cr_fail_memory(err, strlen(folder) + strlen(name) + 2);
    return path;
}

/* ---- Other files ---- */

/* Weights, in whatever format, are not copied: they would be the ones that are not quantised. */
static bool is_weights(const char *name)
{
    static const char *const suffixes[] = {
        ".safetensors", ".safetensors.index.json",
        ".bin",         ".bin.index.json",
        ".pt",          ".pth",
        ".ckpt",        ".h5",
        ".msgpack",     ".onnx",
        ".gguf",        ".ot",
        ".npz",
    };
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        size_t tail = strlen(suffixes[i]);
        if (length > tail && strcmp(name + length - tail, suffixes[i]) == 0)
            return true;
    }
    return false;
}

static int copy_bytes(int from, int to, const char *source, const char *path, struct cr_error *err)
{
    char *buffer = cr_malloc(COPY_BYTES);
    ssize_t got = buffer == NULL ? 0 : 1;
    int result = buffer == NULL ? cr_fail_memory(err, COPY_BYTES) : 0;
    while (result == 0 && got > 0) {
        got = cr_io_read(from, buffer, COPY_BYTES);
        if (got < 0)
            result = cr_fail_errno(err, errno, "%s: cannot read", source);
        else if (cr_io_write_all(to, buffer, (size_t)got) < 0)
            result = cr_fail_errno(err, errno, "%s: cannot write", path);
    }
    if (result == 0 && cr_io_fsync(to) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot synchronise", path);
    cr_free(buffer);
    return result;
}

static int copy_file(const char *source, const char *path, struct cr_error *err)
{
    int from = cr_io_open(source, O_RDONLY, 0);
    if (from < 0)
        return cr_fail_errno(err, errno, "%s: cannot open", source);
    int to = cr_io_open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    int result = to < 0 ? cr_fail_errno(err, errno, "%s: cannot create", path)
                        : copy_bytes(from, to, source, path, err);
    if (to >= 0 && cr_io_close(to) < 0 && result == 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    cr_io_close(from);
    return result;
}

static int copy_entry(const struct saver *saver, const char *name, struct cr_error *err)
{
    char *source = path_of(saver->model->folder, name, err);
    char *path = source == NULL ? NULL : path_of(saver->folder, name, err);
    struct stat st;
    int result = path == NULL ? CR_ERR_MEMORY : 0;
    if (result == 0 && cr_io_stat(source, &st) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot examine", source);
    if (result == 0 && S_ISREG(st.st_mode))
        result = copy_file(source, path, err);
    cr_free(source);
    cr_free(path);
    return result;
}

/* Config and tokenizer, README and licence: what is no weights, no folder and not hidden. */
static int copy_others(const struct saver *saver, struct cr_error *err)
{
    DIR *folder = cr_io_opendir(saver->model->folder);
    int result = 0;
    if (folder == NULL)
        return cr_fail_errno(err, errno, "%s: cannot be listed", saver->model->folder);
    struct dirent *entry;
    while (result == 0 && (entry = cr_io_readdir(folder)) != NULL)
        if (entry->d_name[0] != '.' && !is_weights(entry->d_name) &&
            strcmp(entry->d_name, CONFIG) != 0)
            result = copy_entry(saver, entry->d_name, err);
    if (result == 0 && errno != 0)
        result = cr_fail_errno(err, errno, "%s: cannot be read", saver->model->folder);
    closedir(folder);
    return result;
}

/* ---- config.json ---- */

/* Modules whose matrices stay as they are; readers that build quantised layers have to know. */
static bool add_kept_modules(const struct cr_save *save, cJSON *list)
{
    static const char suffix[] = ".weight";
    bool complete = list != NULL;
    for (size_t i = 0; i < save->job_count && complete; i++) {
        const struct cr_st_tensor *tensor = save->jobs[i].stored.tensor;
        size_t length = strlen(tensor->name), tail = sizeof(suffix) - 1;
        if (save->jobs[i].quantized || tensor->rank != 2 || length <= tail ||
            strcmp(tensor->name + length - tail, suffix) != 0)
            continue;
        char *module = cr_strndup(tensor->name, length - tail);
        cJSON *item = module == NULL ? NULL : cJSON_CreateString(module);
        complete = item != NULL && cJSON_AddItemToArray(list, item);
        if (!complete)
            cJSON_Delete(item);
        cr_free(module);
    }
    return complete;
}

/* As transformers writes and reads it for bitsandbytes. */
static bool add_quantization(const struct saver *saver, cJSON *config)
{
    bool nf4 = saver->params->weights == CR_DTYPE_NF4;
    cJSON *says = cJSON_AddObjectToObject(config, "quantization_config");
    if (says == NULL)
        return false;
    if (!nf4)
        return cJSON_AddStringToObject(says, "quant_method", "crayon-q8_0") != NULL;
    return cJSON_AddStringToObject(says, "quant_method", "bitsandbytes") != NULL &&
           cJSON_AddTrueToObject(says, "load_in_4bit") != NULL &&
           cJSON_AddFalseToObject(says, "load_in_8bit") != NULL &&
           cJSON_AddStringToObject(says, "bnb_4bit_quant_type", "nf4") != NULL &&
           cJSON_AddBoolToObject(says, "bnb_4bit_use_double_quant", !saver->params->single) !=
               NULL &&
           cJSON_AddStringToObject(says, "bnb_4bit_quant_storage", "uint8") != NULL &&
           cJSON_AddStringToObject(says, "bnb_4bit_compute_dtype", "float16") != NULL &&
           add_kept_modules(&saver->save, cJSON_AddArrayToObject(says, "llm_int8_skip_modules"));
}

static int write_config(const struct saver *saver, const char *source, const char *path,
                        struct cr_error *err)
{
    cJSON *config = NULL;
    char *text = NULL;
    size_t size = 0;
    int result = cr_file_read(source, MAX_CONFIG, &text, &size, err);
    if (result == 0)
        result = cr_json_parse(&config, text, size, source, err);
    cr_free(text);
    if (result == 0 && !cJSON_IsObject(config))
        result = cr_fail(err, CR_ERR_FORMAT, "%s: holds %s, an object is needed", source,
                         cr_json_kind(config));
    if (result == 0) {
        cJSON_DeleteItemFromObjectCaseSensitive(config, "quantization_config");
        char *printed = add_quantization(saver, config) ? cJSON_Print(config) : NULL;
        result = printed == NULL ? cr_fail_memory(err, size)
                                 : cr_file_write(path, printed, strlen(printed), err);
        cJSON_free(printed);
    }
    cJSON_Delete(config);
    return result;
}

static int save_config(const struct saver *saver, struct cr_error *err)
{
    struct stat st;
    char *source = path_of(saver->model->folder, CONFIG, err);
    char *path = source == NULL ? NULL : path_of(saver->folder, CONFIG, err);
    int result = path == NULL ? CR_ERR_MEMORY : 0;
    if (result == 0 && cr_io_stat(source, &st) == 0)
        result = write_config(saver, source, path, err);
    else if (result == 0 && errno != ENOENT)
        result = cr_fail_errno(err, errno, "%s: cannot examine", source);
    cr_free(source);
    cr_free(path);
    return result;
}

/* ---- Weights ---- */

static void shard_name(char name[64], size_t shard, size_t count)
{
    if (count == 1)
        snprintf(name, 64, "model.safetensors");
    else
        snprintf(name, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, count);
}

static void shard_progress(void *user, double done)
{
    const struct saver *saver = user;
    double bytes = (double)saver->done + done * (double)saver->part;
    if (saver->hooks->progress != NULL)
        saver->hooks->progress(saver->hooks->user, bytes / (double)saver->all);
}

static bool shard_cancelled(void *user)
{
    const struct saver *saver = user;
    return saver->hooks->cancelled != NULL && saver->hooks->cancelled(saver->hooks->user);
}

static uint64_t shard_source(const struct cr_save *save, size_t shard)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < save->job_count; i++)
        bytes += save->jobs[i].shard == shard ? save->jobs[i].stored.tensor->bytes : 0;
    return bytes;
}

static int save_shards(struct saver *saver, struct cr_error *err)
{
    const struct cr_load_hooks hooks = {
        .user = saver, .progress = shard_progress, .cancelled = shard_cancelled};
    int result = 0;
    for (size_t i = 0; i < saver->save.shard_count && result == 0; i++) {
        char name[64];
        shard_name(name, i, saver->save.shard_count);
        char *path = path_of(saver->folder, name, err);
        saver->part = shard_source(&saver->save, i);
        result = path == NULL ? CR_ERR_MEMORY
                              : cr_save_shard(&saver->save, i, path,
                                              saver->hooks != NULL ? &hooks : NULL, err);
        saver->done += saver->part;
        cr_free(path);
    }
    return result;
}

static int save_index(const struct saver *saver, struct cr_error *err)
{
    const struct cr_save *save = &saver->save;
    struct cr_text text = CR_TEXT_INIT;
    uint64_t total = 0;
    if (save->shard_count == 1)
        return 0;
    for (size_t i = 0; i < save->entry_count; i++)
        total += save->entries[i].bytes;
    cr_text_printf(&text, "{\n  \"metadata\": {\"total_size\": %llu},\n  \"weight_map\": {",
                   (unsigned long long)total);
    for (size_t i = 0; i < save->entry_count; i++) {
        char name[64];
        shard_name(name, save->entries[i].shard, save->shard_count);
        cr_text_add(&text, i > 0 ? ",\n    " : "\n    ");
        cr_json_quote(&text, save->entries[i].name);
        cr_text_printf(&text, ": \"%s\"", name);
    }
    cr_text_add(&text, "\n  }\n}\n");
    char *path = path_of(saver->folder, "model.safetensors.index.json", err);
    int result = path == NULL  ? CR_ERR_MEMORY
                 : text.failed ? cr_fail_memory(err, text.capacity)
                               : cr_file_write(path, text.data, text.size, err);
    cr_text_finish(&text);
    cr_free(path);
    return result;
}

/* ---- The folder ---- */

/* Take back what was written. */
static void remove_folder(const char *path)
{
    DIR *folder = cr_io_opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = cr_io_readdir(folder)) != NULL;) {
        char *file = entry->d_name[0] == '.' && strchr("./", entry->d_name[1]) != NULL
                         ? NULL
                         : path_of(path, entry->d_name, NULL);
        if (file != NULL)
            cr_io_unlink(file);
        cr_free(file);
    }
    if (folder != NULL)
        closedir(folder);
    cr_io_rmdir(path);
}

static void sync_folder(const char *path)
{
    int fd = cr_io_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        cr_io_fsync(fd); /* some file systems cannot do it to a folder */
        cr_io_close(fd);
    }
}

static int fill_folder(struct saver *saver, const char *target, struct cr_error *err)
{
    int result = save_shards(saver, err);
    if (result == 0) /* a download that went on meanwhile, say */
        result = cr_model_check_files(saver->model, err);
    if (result == 0)
        result = save_index(saver, err);
    if (result == 0)
        result = copy_others(saver, err);
    if (result == 0)
        result = save_config(saver, err);
    if (result == 0)
        sync_folder(saver->folder);
    if (result == 0 && cr_io_rename(saver->folder, target) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot rename the finished folder", target);
    return result;
}

/* Beside the target: renaming does not reach other file systems. */
static int make_folder(struct saver *saver, const char *target, struct cr_error *err)
{
    struct stat st;
    size_t length = strlen(target);
    while (length > 1 && target[length - 1] == '/')
        length--;
    if (length == 0)
        return cr_fail(err, CR_ERR_ARGUMENT,
                       "the name of a new folder is needed, not an empty text");
    if (cr_io_stat(target, &st) == 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "%s: is there already; name a folder that is not",
                       target);
    saver->folder = cr_asprintf("%.*s.crayon-%ld.tmp", (int)length, target, (long)getpid());
    if (saver->folder == NULL)
        return cr_fail_memory(err, length + 32);
    if (cr_io_mkdir(saver->folder, 0777) < 0)
        return cr_fail_errno(err, errno, "%s: cannot create the folder", saver->folder);
    return 0;
}

static void summarize(struct saver *saver, struct cr_save_summary *summary)
{
    *summary = (struct cr_save_summary){.files = saver->save.shard_count};
    for (size_t i = 0; i < saver->save.job_count; i++) {
        summary->before += saver->save.jobs[i].stored.tensor->bytes;
        summary->quantized += saver->save.jobs[i].quantized;
        summary->kept += !saver->save.jobs[i].quantized;
    }
    for (size_t i = 0; i < saver->save.entry_count; i++)
        summary->after += saver->save.entries[i].bytes;
    saver->all = summary->before > 0 ? summary->before : 1;
}

int cr_model_save(struct cr_model *model, const char *target, const struct cr_save_params *params,
                  const struct cr_load_hooks *hooks, struct cr_save_summary *summary,
                  struct cr_error *err)
{
    struct saver saver = {.model = model, .params = params, .hooks = hooks};
    size_t count;
    if (params->weights != CR_DTYPE_NF4 && params->weights != CR_DTYPE_Q8_0)
        return cr_fail(err, CR_ERR_ARGUMENT, "weights are quantised to nf4 or q8_0, not to %s",
                       cr_dtype_name(params->weights));
    int result = cr_model_tensors(model, &count, err);
    if (result == 0)
        result = cr_save_plan(&saver.save, model, params, err);
    if (result == 0)
        summarize(&saver, summary);
    if (result == 0 && summary->quantized == 0)
        result = cr_fail(err, CR_ERR_ARGUMENT,
                         "%s: holds no matrix to be quantised: none of F16, BF16 or F32 is named "
                         "\"*.weight\" and wanted",
                         model->folder);
    if (result == 0 && (result = make_folder(&saver, target, err)) == 0) {
        result = fill_folder(&saver, target, err);
        if (result < 0)
            remove_folder(saver.folder);
    }
    cr_free(saver.folder);
    cr_save_finish(&saver.save);
    return result;
}
