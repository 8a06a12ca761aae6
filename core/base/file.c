/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"

static int too_large(const char *path, size_t limit, struct cr_error *err)
{
    return cr_fail(err, CR_ERR_LIMIT, "%s: the file is larger than the limit of %zu bytes", path,
                   limit);
}

/* Read to the end, whatever the size was when it was asked for: files may grow, pipes have none. */
static int read_all(int fd, const char *path, size_t limit, size_t expected, char **data,
                    size_t *size, struct cr_error *err)
{
    size_t capacity = expected + 1, used = 0;
    char *buffer = cr_malloc(capacity);
    if (buffer == NULL)
        return cr_fail_memory(err, capacity);
    for (;;) {
        if (used + 1 >= capacity) {
            size_t larger = capacity < 65536 ? 65536 : capacity * 2;
            char *moved = cr_realloc_array(buffer, larger, 1);
            if (moved == NULL) {
                cr_free(buffer);
                return cr_fail_memory(err, larger);
            }
            buffer = moved;
            capacity = larger;
        }
        ssize_t got = cr_io_read(fd, buffer + used, capacity - used - 1);
        if (got < 0) {
            int number = errno;
            cr_free(buffer);
            return cr_fail_errno(err, number, "%s: cannot read", path);
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > limit) {
            cr_free(buffer);
            return too_large(path, limit, err);
        }
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    return 0;
}

int cr_file_read(const char *path, size_t limit, char **data, size_t *size, struct cr_error *err)
{
    *data = NULL;
    *size = 0;
    int fd = cr_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return cr_fail_errno(err, errno, "%s: cannot open", path);
    struct stat st;
    int result;
    if (cr_io_fstat(fd, &st) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot examine", path);
    else if (S_ISDIR(st.st_mode))
        result = cr_fail(err, CR_ERR_IO, "%s: is a folder, a file is needed here", path);
    else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
        result = cr_fail(err, CR_ERR_IO, "%s: is a device, a file is needed here", path);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
        result = too_large(path, limit, err);
    else
        result = read_all(fd, path, limit, S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 0, data,
                          size, err);
    cr_io_close(fd);
    return result;
}

static int write_directly(const char *path, const void *data, size_t size, struct cr_error *err)
{
    int fd = cr_io_open(path, O_WRONLY, 0);
    if (fd < 0)
        return cr_fail_errno(err, errno, "%s: cannot open for writing", path);
    int result = 0;
    if (cr_io_write_all(fd, data, size) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    if (cr_io_close(fd) < 0 && result == 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    return result;
}

/* A new file beside `path`, open for writing; its name goes into `*temporary`. Names are tried one
 * after the other, so that two processes that write the same file do not share one. */
static int open_beside(const char *path, mode_t mode, char **temporary, struct cr_error *err)
{
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        char *name = cr_asprintf("%s.tmp-%ld-%u", path, (long)getpid(), attempt);
        if (name == NULL) {
            cr_fail_memory(err, strlen(path) + 32);
            return -1;
        }
        int fd = cr_io_open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        if (fd >= 0) {
            *temporary = name;
            return fd;
        }
        int number = errno;
        cr_free(name);
        if (number != EEXIST) {
            cr_fail_errno(err, number, "%s: cannot create a file beside it", path);
            return -1;
        }
    }
    cr_fail(err, CR_ERR_IO, "%s: too many unfinished temporary files beside it", path);
    return -1;
}

/* Make the renaming itself durable. Some file systems cannot synchronise a folder: not an error. */
static void sync_folder(const char *path)
{
    char *folder = cr_path_folder(path);
    int fd = folder == NULL ? -1 : cr_io_open(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        cr_io_fsync(fd);
        cr_io_close(fd);
    }
    cr_free(folder);
}

static int write_and_rename(const char *path, mode_t mode, bool keep_mode, const void *data,
                            size_t size, struct cr_error *err)
{
    char *temporary = NULL;
    int fd = open_beside(path, mode, &temporary, err);
    if (fd < 0)
        return err != NULL ? err->code : CR_ERR_IO;
    int result = 0;
    if (cr_io_write_all(fd, data, size) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    else if (keep_mode && fchmod(fd, mode) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot set the mode", path);
    else if (cr_io_fsync(fd) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot synchronise", path);
    if (cr_io_close(fd) < 0 && result == 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    if (result == 0 && cr_io_rename(temporary, path) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot rename the finished file", path);
    if (result < 0)
        unlink(temporary);
    else
        sync_folder(path);
    cr_free(temporary);
    return result;
}

int cr_file_write(const char *path, const void *data, size_t size, struct cr_error *err)
{
    struct stat st;
    if (cr_io_stat(path, &st) < 0) {
        if (errno != ENOENT)
            return cr_fail_errno(err, errno, "%s: cannot write", path);
        return write_and_rename(path, 0666, false, data, size, err);
    }
    if (S_ISDIR(st.st_mode))
        return cr_fail(err, CR_ERR_IO, "%s: is a folder, a file name is needed here", path);
    if (!S_ISREG(st.st_mode))
        return write_directly(path, data, size, err);
    char target[PATH_MAX];
    if (realpath(path, target) == NULL)
        return cr_fail_errno(err, errno, "%s: cannot follow the link", path);
    return write_and_rename(target, st.st_mode & 07777, true, data, size, err);
}
