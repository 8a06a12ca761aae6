/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"

/* ---- Reading ---- */

static int too_large(const char *path, size_t limit, struct cr_error *err)
{
    return cr_fail(err, CR_ERR_LIMIT, "%s: the file is larger than the limit of %zu bytes", path,
                   limit);
}

struct buffer {
    char *data;
    size_t used, capacity;
};

/* Room for one byte more and the NUL behind it. */
static int grow(struct buffer *buffer, struct cr_error *err)
{
    if (buffer->capacity - buffer->used >= 2)
        return 0;
    size_t capacity = buffer->capacity < 65536 ? 65536 : buffer->capacity * 2;
    char *data = cr_realloc_array(buffer->data, capacity, 1);
    if (data == NULL)
        return cr_fail_memory(err, capacity);
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

/* Read to the end, whatever the size was when it was asked for: files may grow, pipes have none. */
static int read_all(int fd, const char *path, size_t limit, struct buffer *buffer,
                    struct cr_error *err)
{
    for (;;) {
        int result = grow(buffer, err);
        if (result < 0)
            return result;
        ssize_t got =
            cr_io_read(fd, buffer->data + buffer->used, buffer->capacity - buffer->used - 1);
        if (got < 0)
            return cr_fail_errno(err, errno, "%s: cannot read", path);
        if (got == 0)
            break;
        buffer->used += (size_t)got;
        if (buffer->used > limit)
            return too_large(path, limit, err);
    }
    buffer->data[buffer->used] = '\0';
    return 0;
}

/* Is this something to read from? `*size` becomes what a regular file holds now. */
static int examine(int fd, const char *path, size_t limit, size_t *size, struct cr_error *err)
{
    struct stat st;
    if (cr_io_fstat(fd, &st) < 0)
        return cr_fail_errno(err, errno, "%s: cannot examine", path);
    if (S_ISDIR(st.st_mode))
        return cr_fail(err, CR_ERR_IO, "%s: is a folder, a file is needed here", path);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        return cr_fail(err, CR_ERR_IO, "%s: is a device, a file is needed here", path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
        return too_large(path, limit, err);
    *size = S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
    return 0;
}

static int read_descriptor(int fd, const char *path, size_t limit, struct buffer *buffer,
                           struct cr_error *err)
{
    size_t size = 0;
    int result = examine(fd, path, limit, &size, err);
    if (result < 0)
        return result;
    /* One byte more than it holds, so that the end is seen without growing; and the NUL. */
    if (!cr_size_add(size, 2, &buffer->capacity) ||
        (buffer->data = cr_malloc(buffer->capacity)) == NULL)
        return cr_fail_memory(err, size);
    return read_all(fd, path, limit, buffer, err);
}

int cr_file_read(const char *path, size_t limit, char **data, size_t *size, struct cr_error *err)
{
    *data = NULL;
    *size = 0;
    int fd = cr_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return cr_fail_errno(err, errno, "%s: cannot open", path);
    struct buffer buffer = {.data = NULL};
    int result = read_descriptor(fd, path, limit, &buffer, err);
    cr_io_close(fd);
    if (result < 0) {
        cr_free(buffer.data);
        return result;
    }
    *data = buffer.data;
    *size = buffer.used;
    return 0;
}

/* ---- Writing ---- */

/* The number of the open descriptor that a path stands for, or -1. (/dev/stdout is a link to such a
 * path.) Opening it anew would start at the beginning of the file that the shell redirected to, and
 * fails for sockets. */
static int descriptor_of(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        size_t length = strlen(folders[i]);
        int fd;
        char more;
        if (strncmp(path, folders[i], length) == 0 &&
            sscanf(path + length, "%5d%c", &fd, &more) == 1 && fd >= 0)
            return fd;
    }
    return -1;
}

static int write_to(int fd, const char *path, const void *data, size_t size, struct cr_error *err)
{
    if (cr_io_write_all(fd, data, size) < 0)
        return cr_fail_errno(err, errno, "%s: cannot write", path);
    return 0;
}

static int close_written(int fd, const char *path, int result, struct cr_error *err)
{
    if (cr_io_close(fd) < 0 && result == 0)
        result = cr_fail_errno(err, errno, "%s: cannot write", path);
    return result;
}

static int write_directly(const char *path, const void *data, size_t size, struct cr_error *err)
{
    int fd = cr_io_open(path, O_WRONLY, 0);
    if (fd < 0)
        return cr_fail_errno(err, errno, "%s: cannot open for writing", path);
    return close_written(fd, path, write_to(fd, path, data, size, err), err);
}

/* One step: 1 when `*path` was a link and now is what it says, 0 when it is none (perhaps nothing
 * is there yet), a negative errno value when that cannot be told. */
static int follow_link(char **path)
{
    char link[PATH_MAX];
    ssize_t length = cr_io_readlink(*path, link, sizeof(link));
    if (length < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -errno;
    if (length == sizeof(link))
        return -ENAMETOOLONG;
    link[length] = '\0';
    char *folder = cr_path_folder(*path);
    char *next = folder == NULL ? NULL : cr_path_join(folder, link);
    cr_free(folder);
    if (next == NULL)
        return -ENOMEM;
    cr_free(*path);
    *path = next;
    return 1;
}

/* What `path` leads to, as a new string. */
static int follow_links(const char *path, char **target, struct cr_error *err)
{
    *target = cr_strdup(path);
    int more = *target == NULL ? -ENOMEM : 1;
    for (int links = 0; more > 0 && descriptor_of(*target) < 0; links++)
        more = links < 40 ? follow_link(target) : -ELOOP;
    if (more >= 0)
        return 0;
    cr_free(*target);
    *target = NULL;
    return cr_fail_errno(err, -more, "%s: cannot write", path);
}

/* A new file in the folder of `path`, open for writing; its name goes into `*temporary`. The name
 * is short and of its own, so that it fits wherever `path` does and no two writers share one. */
static int open_beside(const char *path, mode_t mode, char **temporary, int *fd,
                       struct cr_error *err)
{
    static atomic_uint counter;
    char *folder = cr_path_folder(path);
    if (folder == NULL)
        return cr_fail_memory(err, strlen(path) + 1);
    int number = EEXIST;
    for (int attempt = 0; attempt < 100 && number == EEXIST; attempt++) {
        *temporary = cr_asprintf("%s/.crayon-%ld-%u.tmp", folder, (long)getpid(),
                                 atomic_fetch_add(&counter, 1));
        if (*temporary == NULL) {
            number = ENOMEM;
            break;
        }
        *fd = cr_io_open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        if (*fd >= 0)
            break;
        number = errno;
        cr_free(*temporary);
        *temporary = NULL;
    }
    cr_free(folder);
    return *fd >= 0 ? 0 : cr_fail_errno(err, number, "%s: cannot create a file beside it", path);
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

/* `old` describes the file that is replaced, NULL when there is none. */
static int write_and_rename(const char *path, const struct stat *old, const void *data, size_t size,
                            struct cr_error *err)
{
    char *temporary = NULL;
    int fd = -1;
    mode_t mode = old == NULL ? 0666 : old->st_mode & 0777;
    int result = open_beside(path, mode, &temporary, &fd, err);
    if (result < 0)
        return result;
    result = write_to(fd, path, data, size, err);
    if (result == 0 && old != NULL && cr_io_fchmod(fd, mode) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot set the mode", path);
    if (result == 0 && cr_io_fsync(fd) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot synchronise", path);
    result = close_written(fd, path, result, err);
    if (result == 0 && cr_io_rename(temporary, path) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot rename the finished file", path);
    if (result == 0)
        sync_folder(path);
    else
        cr_io_unlink(temporary);
    cr_free(temporary);
    return result;
}

static int write_target(const char *path, const void *data, size_t size, struct cr_error *err)
{
    struct stat st;
    int fd = descriptor_of(path);
    if (fd >= 0)
        return write_to(fd, path, data, size, err);
    if (cr_io_stat(path, &st) < 0) {
        if (errno != ENOENT)
            return cr_fail_errno(err, errno, "%s: cannot write", path);
        return write_and_rename(path, NULL, data, size, err);
    }
    if (S_ISDIR(st.st_mode))
        return cr_fail(err, CR_ERR_IO, "%s: is a folder, a file name is needed here", path);
    if (!S_ISREG(st.st_mode))
        return write_directly(path, data, size, err);
    /* Renaming would replace it all the same, against the wish of the one who protected it. */
    if (!cr_io_is_writable(path))
        return cr_fail_errno(err, errno, "%s: cannot write", path);
    return write_and_rename(path, &st, data, size, err);
}

int cr_file_write(const char *path, const void *data, size_t size, struct cr_error *err)
{
    if (path[0] == '\0')
        return cr_fail(err, CR_ERR_ARGUMENT, "a file name is needed here, not an empty text");
    char *target = NULL;
    int result = follow_links(path, &target, err);
    if (result == 0)
        result = write_target(target, data, size, err);
    cr_free(target);
    return result;
}
