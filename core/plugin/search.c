/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"
#include "plugin/search.h"
#include "plugin/trust.h"

#define FOLDER "plugins"

static int keep(const char *text, struct cr_arena *arena, const char **out, struct cr_error *err)
{
    *out = cr_arena_strdup(arena, text);
    return *out != NULL ? 0 : cr_fail_memory(err, strlen(text) + 1);
}

/* ---- Folders ---- */

/* Why nothing can be taken from a folder; 0 if something can. */
static int examine(struct cr_search_folder *folder, struct cr_error *why)
{
    char real[PATH_MAX];
    struct stat st;
    if (realpath(folder->path, real) == NULL || cr_io_stat(real, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? cr_fail(why, CR_ERR_PLUGIN, "no such folder")
                                                   : cr_fail_errno(why, errno, "cannot be opened");
    folder->device = st.st_dev;
    folder->inode = st.st_ino;
    if (!S_ISDIR(st.st_mode))
        return cr_fail(why, CR_ERR_PLUGIN, "is not a folder");
    return folder->exempt ? 0 : cr_trust_path(real, &st, why);
}

static bool is_known(const struct cr_search *search, const struct cr_search_folder *folder)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct cr_search_folder *other = &search->folders[i];
        if (strcmp(other->path, folder->path) == 0 ||
            (folder->inode != 0 && folder->inode == other->inode &&
             folder->device == other->device))
            return true;
    }
    return false;
}

static int add_absolute(struct cr_search *search, const char *path, bool exempt,
                        struct cr_arena *arena, struct cr_error *err)
{
    struct cr_search_folder folder = {.exempt = exempt};
    int result = keep(path, arena, &folder.path, err);
    if (result < 0)
        return result;
    struct cr_error why = CR_ERROR_INIT;
    if (examine(&folder, &why) < 0 && (result = keep(why.message, arena, &folder.reason, err)) < 0)
        return result;
    if (is_known(search, &folder))
        return 0;
    struct cr_search_folder *folders =
        cr_realloc_array(search->folders, search->count + 1, sizeof(*folders));
    if (folders == NULL)
        return cr_fail_memory(err, (search->count + 1) * sizeof(*folders));
    search->folders = folders;
    folders[search->count++] = folder;
    return 0;
}

/* One entry of a path: `length` bytes, taken from the current folder if relative. */
static int add_entry(struct cr_search *search, const char *entry, size_t length,
                     struct cr_arena *arena, struct cr_error *err)
{
    char here[PATH_MAX];
    while (length > 1 && entry[length - 1] == '/')
        length--;
    if (length == 0 || (entry[0] != '/' && getcwd(here, sizeof(here)) == NULL))
        return 0;
    char *path = length == 1 && entry[0] == '.' ? cr_strdup(here)
                 : entry[0] == '/'              ? cr_strndup(entry, length)
                                   : cr_asprintf("%s/%.*s", strcmp(here, "/") == 0 ? "" : here,
                                                 (int)length, entry);
    int result =
        path == NULL ? cr_fail_memory(err, length) : add_absolute(search, path, false, arena, err);
    cr_free(path);
    return result;
}

static int add_list(struct cr_search *search, const char *list, struct cr_arena *arena,
                    struct cr_error *err)
{
    int result = 0;
    while (list != NULL && *list != '\0' && result == 0) {
        size_t length = strcspn(list, ":");
        result = add_entry(search, list, length, arena, err);
        list += length + (list[length] == ':');
    }
    return result;
}

/* Takes `base` (may be NULL, then there is no such place). */
static int add_below(struct cr_search *search, char *base, const char *name, bool exempt,
                     struct cr_arena *arena, struct cr_error *err)
{
    if (base == NULL)
        return 0;
    char *path = cr_path_join(base, name);
    int result = path == NULL ? cr_fail_memory(err, strlen(base))
                              : add_absolute(search, path, exempt, arena, err);
    cr_free(base);
    cr_free(path);
    return result;
}

/* ---- What lies in a folder ---- */

struct names {
    const char **items;
    size_t count;
};

static int names_add(struct names *names, const char *name, struct cr_arena *arena,
                     struct cr_error *err)
{
    const char **items = cr_realloc_array(names->items, names->count + 1, sizeof(*items));
    if (items == NULL)
        return cr_fail_memory(err, (names->count + 1) * sizeof(*items));
    names->items = items;
    int result = keep(name, arena, &items[names->count], err);
    if (result == 0)
        names->count++;
    return result;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), end = strlen(suffix);
    return length > end && strcmp(name + length - end, suffix) == 0;
}

/* The entries of a folder that end in `suffix` and are not hidden, sorted. `*number` is the errno
 * value of a folder that cannot be read. */
static int list(const char *path, const char *suffix, struct names *names, struct cr_arena *arena,
                int *number, struct cr_error *err)
{
    *names = (struct names){NULL, 0};
    *number = 0;
    DIR *stream = cr_io_opendir(path);
    if (stream == NULL) {
        *number = errno;
        return 0;
    }
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = cr_io_readdir(stream)) != NULL)
        if (entry->d_name[0] != '.' && ends_with(entry->d_name, suffix))
            result = names_add(names, entry->d_name, arena, err);
    if (result == 0)
        *number = errno;
    closedir(stream);
    if (result < 0) {
        cr_free(names->items);
        *names = (struct names){NULL, 0};
    } else if (names->count > 0) {
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    }
    return result;
}

int cr_search_list(struct cr_search_folder *folder, struct cr_arena *arena, const char ***names,
                   size_t *count, struct cr_error *err)
{
    struct names found = {NULL, 0};
    struct cr_error why = CR_ERROR_INIT;
    int result = 0, number = 0;
    if (folder->reason == NULL)
        result = list(folder->path, ".so", &found, arena, &number, err);
    if (number != 0)
        cr_fail_errno(&why, number, "cannot be read");
    else if (folder->reason == NULL && found.count == 0)
        cr_fail(&why, CR_ERR_NOT_FOUND, "holds no plugin");
    if (result == 0 && why.code != 0)
        result = keep(why.message, arena, &folder->reason, err);
    *names = found.items;
    *count = found.count;
    return result;
}

/* ---- The search ---- */

/* In a build tree each plugin lies where libtool puts it: plugins/NAME/.libs/NAME.so. */
static int add_build_tree(struct cr_search *search, struct cr_arena *arena, struct cr_error *err)
{
    char *tree = cr_path_build_tree();
    if (tree == NULL)
        return 0;
    char *plugins = cr_path_join(tree, FOLDER);
    struct names names = {NULL, 0};
    int number, result = 0;
    if (plugins == NULL)
        result = cr_fail_memory(err, strlen(tree));
    else
        result = list(plugins, "", &names, arena, &number, err);
    for (size_t i = 0; i < names.count && result == 0; i++) {
        char *path = cr_asprintf("%s/%s/.libs", plugins, names.items[i]);
        struct stat st;
        if (path == NULL)
            result = cr_fail_memory(err, strlen(plugins));
        else if (cr_io_stat(path, &st) == 0)
            result = add_absolute(search, path, true, arena, err);
        cr_free(path);
    }
    cr_free(names.items);
    cr_free(plugins);
    cr_free(tree);
    return result;
}

int cr_search_init(struct cr_search *search, const struct cr_registry_params *params,
                   struct cr_arena *arena, struct cr_error *err)
{
    *search = (struct cr_search){NULL, 0};
    bool privileged = cr_is_privileged();
    int result = add_list(search, params->path, arena, err);
    if (!params->only_path && result == 0) {
        if (!privileged)
            result = add_list(search, getenv("CRAYON_PLUGIN_PATH"), arena, err);
        if (!privileged && result == 0)
            result = add_below(search, cr_path_user_data(), FOLDER, false, arena, err);
        if (result == 0)
            result = add_build_tree(search, arena, err);
        if (result == 0)
            result = add_absolute(search, CRAYON_PLUGINDIR, false, arena, err);
    }
    if (result < 0)
        cr_search_finish(search);
    return result;
}

void cr_search_finish(struct cr_search *search)
{
    cr_free(search->folders);
    *search = (struct cr_search){NULL, 0};
}
