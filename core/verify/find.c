/* SPDX-License-Identifier: MIT */
/* find.c: which files are cases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"
#include "verify/verify.h"

#define SUFFIX ".case.json"

struct list {
    char **items;
    size_t count;
};

static int add(struct list *list, char *path, struct cr_error *err)
{
    char **items = cr_realloc_array(list->items, list->count + 1, sizeof(*items));
    if (items != NULL)
        list->items = items;
    if (path == NULL || items == NULL) {
        cr_free(path);
        return cr_fail_memory(err, (list->count + 1) * sizeof(*items));
    }
    items[list->count++] = path;
    return 0;
}

static bool is_case(const char *name)
{
    size_t length = strlen(name);
    return strcmp(name, "case.json") == 0 ||
           (length > strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(struct list *list, const char *path, struct cr_error *err)
{
    DIR *folder = cr_io_opendir(path);
    if (folder == NULL)
        return cr_fail_errno(err, errno, "%s: cannot open", path);
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = cr_io_readdir(folder)) != NULL)
        if (is_case(entry->d_name))
            result = add(list, cr_path_join(path, entry->d_name), err);
    if (result == 0 && errno != 0)
        result = cr_fail_errno(err, errno, "%s: cannot be read", path);
    closedir(folder);
    if (result == 0 && list->count == 0)
        return cr_fail(err, CR_ERR_NOT_FOUND,
                       "%s: no case in this folder: a file case.json or *" SUFFIX, path);
    if (result == 0)
        qsort(list->items, list->count, sizeof(*list->items), by_name);
    return result;
}

int cr_verify_find(char ***paths, size_t *count, const char *path, struct cr_error *err)
{
    struct list list = {.items = NULL};
    struct stat st;
    *paths = NULL;
    *count = 0;
    if (cr_io_stat(path, &st) < 0)
        return cr_fail_errno(err, errno, "%s: cannot open", path);
    int result =
        S_ISDIR(st.st_mode) ? list_folder(&list, path, err) : add(&list, cr_strdup(path), err);
    if (result < 0) {
        for (size_t i = 0; i < list.count; i++)
            cr_free(list.items[i]);
        cr_free(list.items);
        return result;
    }
    *paths = list.items;
    *count = list.count;
    return 0;
}
