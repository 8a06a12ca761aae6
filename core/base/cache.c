/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"

char *cr_cache_path(const char *name)
{
    char *folder = cr_path_user_cache();
    char *path = folder == NULL ? NULL : cr_path_join(folder, name);
    cr_free(folder);
    return path;
}

int cr_cache_write(const char *name, const void *data, size_t size, struct cr_error *err)
{
    char *path = cr_cache_path(name);
    if (path == NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND,
                       "%s: no place for it; neither XDG_CACHE_HOME nor HOME is an absolute path",
                       name);
    char *folder = cr_path_folder(path);
    int result = folder == NULL ? cr_fail_memory(err, strlen(path) + 1) : cr_mkdirs(folder, err);
    if (result == 0)
        result = cr_file_write(path, data, size, err);
    cr_free(folder);
    cr_free(path);
    return result;
}
