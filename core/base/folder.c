/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/memory.h>

#include "base/folder.h"
#include "base/io.h"
#include "base/paths.h"

/* Folders in folders. */
#define MAX_DEPTH 32

int cr_folder_create(char **path, struct cr_error *err)
{
    const char *place = cr_is_privileged() ? NULL : getenv("TMPDIR");
    if (place == NULL || place[0] != '/')
        place = "/tmp";
    *path = cr_asprintf("%s/crayon-XXXXXX", place);
    if (*path == NULL)
        return cr_fail_memory(err, strlen(place));
    if (cr_io_mkdtemp(*path) == 0)
        return 0;
    int number = errno;
    cr_free(*path);
    *path = NULL;
    return cr_fail_errno(err, number, "%s: no folder can be made in it", place);
}

/* Call `visit` for everything in a folder, folders after what is in them. */
static int walk(const char *path, int depth, int (*visit)(const char *, mode_t, struct cr_error *),
                struct cr_error *err);

static int walk_entry(const char *path, int depth,
                      int (*visit)(const char *, mode_t, struct cr_error *), struct cr_error *err)
{
    struct stat st;
    if (cr_io_lstat(path, &st) < 0)
        return cr_fail_errno(err, errno, "%s: cannot examine", path);
    int result = S_ISDIR(st.st_mode) ? walk(path, depth + 1, visit, err) : 0;
    return result == 0 ? visit(path, st.st_mode, err) : result;
}

static int walk(const char *path, int depth, int (*visit)(const char *, mode_t, struct cr_error *),
                struct cr_error *err)
{
    if (depth > MAX_DEPTH)
        return cr_fail(err, CR_ERR_LIMIT, "%s: more than %d folders in folders", path, MAX_DEPTH);
    DIR *folder = cr_io_opendir(path);
    if (folder == NULL)
        return cr_fail_errno(err, errno, "%s: cannot open", path);
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = cr_io_readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *inner = cr_path_join(path, entry->d_name);
        result = inner == NULL ? cr_fail_memory(err, strlen(path))
                               : walk_entry(inner, depth, visit, err);
        cr_free(inner);
    }
    if (result == 0 && errno != 0)
        result = cr_fail_errno(err, errno, "%s: cannot be read", path);
    closedir(folder);
    return result;
}

static int check_entry(const char *path, mode_t mode, struct cr_error *err)
{
    if (S_ISREG(mode) || S_ISDIR(mode))
        return 0;
    return cr_fail(err, CR_ERR_FORMAT, "%s: is %s, only files and folders may be left there", path,
                   S_ISLNK(mode)    ? "a link"
                   : S_ISFIFO(mode) ? "a FIFO"
                                    : "a socket or a device");
}

int cr_folder_check(const char *path, struct cr_error *err)
{
    return walk(path, 0, check_entry, err);
}

static int remove_entry(const char *path, mode_t mode, struct cr_error *err)
{
    if ((S_ISDIR(mode) ? cr_io_rmdir(path) : cr_io_unlink(path)) == 0)
        return 0;
    return cr_fail_errno(err, errno, "%s: cannot be removed", path);
}

int cr_folder_remove(const char *path, struct cr_error *err)
{
    int result = walk(path, 0, remove_entry, err);
    return result == 0 ? remove_entry(path, S_IFDIR, err) : result;
}
