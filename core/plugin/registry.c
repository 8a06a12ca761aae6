/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>
#include <crayon/registry.h>

#include "base/io.h"
#include "base/paths.h"
#include "plugin/check.h"
#include "plugin/load.h"
#include "plugin/outcomes.h"
#include "plugin/probe.h"
#include "plugin/registry.h"
#include "plugin/search.h"
#include "plugin/trust.h"

struct file {
    const char *path; /* as found: FOLDER/NAME.so */
    const char *name;
    dev_t device;
    ino_t inode;
    void *handle;
    const struct cr_plugin *plugin;
    const char *reason;
    bool shadowed;
};

struct entry {
    const struct cr_element *element;
    const struct file *file;
};

struct cr_registry {
    struct cr_arena arena; /* all texts */
    struct cr_search search;
    struct file **files; /* in the arena */
    size_t file_count;
    struct entry *entries; /* sorted by name, then kind */
    size_t entry_count;
    uint32_t allowed; /* of enum cr_permission */
};

/* What is needed while a registry is made. */
struct maker {
    struct cr_registry *registry;
    const struct cr_log *log;
    struct cr_outcomes outcomes;
    struct cr_probe probe;
    bool warned; /* that there is no probe */
};

/* ---- One file ---- */

/* The file behind `file->path`, free of links. */
static int locate(struct file *file, char real[PATH_MAX], struct stat *st, struct cr_error *why)
{
    if (realpath(file->path, real) == NULL || cr_io_stat(real, st) < 0)
        return cr_fail_errno(why, errno, "cannot be opened");
    file->device = st->st_dev;
    file->inode = st->st_ino;
    return S_ISREG(st->st_mode) ? 0 : cr_fail(why, CR_ERR_PLUGIN, "is not a regular file");
}

/* The folder that it was found in was examined before; a link may lead out of there. */
static int check_trust(const char *real, struct cr_error *why)
{
    struct stat st;
    int result = cr_trust_path(real, &st, why);
    if (result < 0)
        return result;
    char folder[PATH_MAX];
    strcpy(folder, real);
    *strrchr(folder, '/') = '\0';
    const char *place = folder[0] == '\0' ? "/" : folder;
    if (cr_io_stat(place, &st) < 0)
        return cr_fail_errno(why, errno, "lies in %s, which cannot be examined", place);
    result = cr_trust_check(&st, why);
    if (result < 0)
        cr_error_prefix(why, "lies in %s, which is not safe", place);
    return result;
}

/* Has an earlier file the same name, or is it the same file? */
static int check_shadow(const struct cr_registry *registry, struct file *file, struct cr_error *why)
{
    for (size_t i = 0; i < registry->file_count; i++) {
        const struct file *other = registry->files[i];
        if (other->plugin == NULL)
            continue;
        file->shadowed = strcmp(other->name, file->name) == 0 ||
                         (other->inode == file->inode && other->device == file->device);
        if (file->shadowed)
            return cr_fail(why, CR_ERR_PLUGIN, "the plugin \"%s\" was loaded from %s already",
                           other->name, other->path);
    }
    return 0;
}

/* Load the file in another process first, unless that has been done. Only what the file itself did
 * is remembered: a loader that refuses it for want of a library may change its mind. */
static int probe(struct maker *maker, const struct file *file, const char *real,
                 const struct stat *st, struct cr_error *why)
{
    const char *known = cr_outcomes_find(&maker->outcomes, real, st);
    if (known != NULL && strcmp(known, "ok") == 0)
        return 0;
    if (known != NULL)
        return cr_fail(why, CR_ERR_PLUGIN, "%s (as remembered in %s; delete that to try again)",
                       known, maker->outcomes.path);
    char reason[CR_PROBE_REASON];
    switch (cr_probe_file(&maker->probe, real, file->name, reason)) {
    case CR_PROBE_GOOD:
        cr_outcomes_add(&maker->outcomes, real, st, "ok");
        return 0;
    case CR_PROBE_VIOLENT:
        cr_outcomes_add(&maker->outcomes, real, st, reason);
        return cr_fail(why, CR_ERR_PLUGIN, "%s", reason);
    case CR_PROBE_REFUSED:
        return cr_fail(why, CR_ERR_PLUGIN, "%s", reason);
    case CR_PROBE_NONE:
        if (!maker->warned)
            cr_log_write(maker->log, CR_LOG_WARNING, "plugins",
                         "new plugins are loaded without trying them in a process of their own: %s",
                         reason);
        maker->warned = true;
        return 0;
    }
    return 0;
}

/* ---- Elements ---- */

static int compare_entry(const struct entry *entry, const char *name, uint32_t kind)
{
    int order = strcmp(entry->element->name, name);
    return order != 0 ? order : (entry->element->kind > kind) - (entry->element->kind < kind);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return compare_entry(x, y->element->name, y->element->kind);
}

static const struct entry *find_entry(const struct cr_registry *registry, uint32_t kind,
                                      const char *name)
{
    size_t low = 0, high = registry->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_entry(&registry->entries[middle], name, kind);
        if (order == 0)
            return &registry->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int check_elements(const struct cr_registry *registry, const struct cr_plugin *plugin,
                          struct cr_error *why)
{
    for (size_t i = 0; plugin->elements[i] != NULL; i++) {
        const struct cr_element *element = plugin->elements[i];
        const struct entry *taken = find_entry(registry, element->kind, element->name);
        if (taken != NULL)
            return cr_fail(why, CR_ERR_PLUGIN,
                           "its element \"%s\" has the name of one that %s has already",
                           element->name, taken->file->path);
    }
    return 0;
}

static int add_elements(struct cr_registry *registry, const struct file *file, struct cr_error *err)
{
    size_t count = 0;
    while (file->plugin->elements[count] != NULL)
        count++;
    struct entry *entries = cr_realloc_array(registry->entries, registry->entry_count + count,
                                             sizeof(*registry->entries));
    if (entries == NULL)
        return cr_fail_memory(err, count * sizeof(*entries));
    registry->entries = entries;
    for (size_t i = 0; i < count; i++)
        entries[registry->entry_count++] = (struct entry){file->plugin->elements[i], file};
    qsort(entries, registry->entry_count, sizeof(*entries), compare_entries);
    return 0;
}

/* ---- Making a registry ---- */

/* Load one file, or say why not. */
static int load(struct maker *maker, struct file *file, const struct cr_search_folder *folder,
                struct cr_error *why)
{
    char real[PATH_MAX];
    struct stat st;
    const struct cr_plugin *plugin;
    int result;
    if ((result = locate(file, real, &st, why)) < 0 ||
        (result = check_shadow(maker->registry, file, why)) < 0 ||
        (!folder->exempt && (result = check_trust(real, why)) < 0) ||
        (result = probe(maker, file, real, &st, why)) < 0 ||
        (result = cr_plugin_open(real, file->name, &file->handle, &plugin, why)) < 0)
        return result;
    result = check_elements(maker->registry, plugin, why);
    if (result == 0)
        file->plugin = plugin;
    else
        cr_plugin_close(&file->handle);
    return result;
}

static struct file *add_file(struct cr_registry *registry, const char *folder, const char *name)
{
    struct cr_arena *arena = &registry->arena;
    struct file **files =
        cr_realloc_array(registry->files, registry->file_count + 1, sizeof(*files));
    if (files == NULL)
        return NULL;
    registry->files = files;
    struct file *file = cr_arena_alloc(arena, sizeof(*file));
    char *path = cr_arena_alloc(arena, strlen(folder) + 1 + strlen(name) + 1);
    char *stem = cr_arena_strdup(arena, name);
    if (file == NULL || path == NULL || stem == NULL)
        return NULL;
    strcpy(path, folder);
    strcat(path, "/");
    strcat(path, name);
    stem[strlen(stem) - strlen(".so")] = '\0';
    file->path = path;
    file->name = stem;
    return file;
}

static int consider(struct maker *maker, const struct cr_search_folder *folder, const char *name,
                    struct cr_error *err)
{
    struct cr_registry *registry = maker->registry;
    struct file *file = add_file(registry, folder->path, name);
    if (file == NULL)
        return cr_fail_memory(err, sizeof(*file));
    struct cr_error why = CR_ERROR_INIT;
    int result = 0;
    if (load(maker, file, folder, &why) < 0) {
        file->reason = cr_arena_strdup(&registry->arena, why.message);
        result = file->reason == NULL ? cr_fail_memory(err, strlen(why.message) + 1) : 0;
        cr_log_write(maker->log, file->shadowed ? CR_LOG_DEBUG : CR_LOG_WARNING, file->path, "%s",
                     why.message);
    }
    registry->files[registry->file_count++] = file;
    return result == 0 && file->plugin != NULL ? add_elements(registry, file, err) : result;
}

static int make(struct maker *maker, struct cr_error *err)
{
    struct cr_search *search = &maker->registry->search;
    int result = 0;
    for (size_t i = 0; i < search->count && result == 0; i++) {
        const char **names;
        size_t count;
        result = cr_search_list(&search->folders[i], &maker->registry->arena, &names, &count, err);
        for (size_t j = 0; j < count && result == 0; j++)
            result = consider(maker, &search->folders[i], names[j], err);
        cr_free(names);
    }
    return result;
}

static uint32_t allowed_by_environment(void)
{
    const char *value = cr_is_privileged() ? NULL : getenv("CRAYON_ALLOW_COMMAND");
    return value != NULL && strcmp(value, "1") == 0 ? CR_ALLOW_COMMAND : 0;
}

int cr_registry_create(struct cr_registry **out, const struct cr_registry_params *params,
                       struct cr_error *err)
{
    static const struct cr_registry_params none = {.path = NULL};
    if (params == NULL)
        params = &none;
    *out = NULL;
    struct cr_registry *registry = cr_calloc(1, sizeof(*registry));
    if (registry == NULL)
        return cr_fail_memory(err, sizeof(*registry));
    registry->allowed = params->allow | allowed_by_environment();
    struct maker maker = {.registry = registry, .log = params->log};
    if (!params->no_cache)
        cr_outcomes_load(&maker.outcomes);
    int result;
    if ((result = cr_search_init(&registry->search, params, &registry->arena, err)) == 0 &&
        (result = cr_probe_init(&maker.probe, err)) == 0)
        result = make(&maker, err);
    cr_outcomes_save(&maker.outcomes, params->log);
    cr_outcomes_finish(&maker.outcomes);
    cr_probe_finish(&maker.probe);
    if (result < 0)
        cr_registry_destroy(&registry);
    *out = registry;
    return result;
}

int cr_registry_add_static(struct cr_registry *registry, const struct cr_plugin *plugin,
                           struct cr_error *err)
{
    int result;
    if ((result = cr_plugin_check(plugin, err)) < 0 ||
        (result = check_elements(registry, plugin, err)) < 0)
        return result;
    struct file *file = add_file(registry, "(built in)", "static.so");
    if (file == NULL)
        return cr_fail_memory(err, sizeof(*file));
    file->name = plugin->name;
    file->plugin = plugin;
    registry->files[registry->file_count++] = file;
    return add_elements(registry, file, err);
}

void cr_registry_destroy(struct cr_registry **registry)
{
    struct cr_registry *self = *registry;
    if (self == NULL)
        return;
    for (size_t i = self->file_count; i-- > 0;)
        cr_plugin_close(&self->files[i]->handle);
    cr_search_finish(&self->search);
    cr_free(self->files);
    cr_free(self->entries);
    cr_arena_finish(&self->arena);
    cr_free(self);
    *registry = NULL;
}

/* ---- Looking at it ---- */

bool cr_registry_allows(const struct cr_registry *registry, enum cr_permission permission)
{
    return (registry->allowed & (uint32_t)permission) != 0;
}

size_t cr_registry_count(const struct cr_registry *registry)
{
    return registry->file_count;
}

struct cr_plugin_info cr_registry_get(const struct cr_registry *registry, size_t index)
{
    const struct file *file = registry->files[index];
    return (struct cr_plugin_info){
        .file = file->path,
        .plugin = file->plugin,
        .reason = file->reason,
        .shadowed = file->shadowed,
    };
}

const char *cr_registry_refusal(const struct cr_registry *registry, const char *prefix,
                                const char *name, size_t length)
{
    const size_t before = strlen(prefix);
    for (size_t i = 0; i < registry->file_count; i++) {
        const struct file *file = registry->files[i];
        if (file->reason != NULL && !file->shadowed && strncmp(file->name, prefix, before) == 0 &&
            strncmp(file->name + before, name, length) == 0 && file->name[before + length] == '\0')
            return file->reason;
    }
    return NULL;
}

size_t cr_registry_paths(const struct cr_registry *registry)
{
    return registry->search.count;
}

const char *cr_registry_path(const struct cr_registry *registry, size_t index, const char **reason)
{
    const struct cr_search_folder *folder = &registry->search.folders[index];
    if (reason != NULL)
        *reason = folder->reason;
    return folder->path;
}

size_t cr_registry_elements(const struct cr_registry *registry)
{
    return registry->entry_count;
}

const struct cr_element *cr_registry_element(const struct cr_registry *registry, size_t index)
{
    return registry->entries[index].element;
}

const struct cr_element *cr_registry_find(const struct cr_registry *registry,
                                          enum cr_element_kind kind, const char *name,
                                          const struct cr_plugin **plugin)
{
    const struct entry *entry = find_entry(registry, kind, name);
    if (plugin != NULL)
        *plugin = entry == NULL ? NULL : entry->file->plugin;
    return entry == NULL ? NULL : entry->element;
}
