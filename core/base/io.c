/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "base/fault.h"
#include "base/io.h"

/* Fail this call if a test wants it: set errno and return `result`. */
#define FAULT(kind, result)                                                                        \
    do {                                                                                           \
        int number = cr_fault(kind, __builtin_return_address(0));                                  \
        if (number != 0) {                                                                         \
            errno = number;                                                                        \
            return result;                                                                         \
        }                                                                                          \
    } while (0)

/* Some systems refuse what does not fit an int. */
#define MAX_BYTES ((size_t)1 << 30)

int cr_io_open(const char *path, int flags, mode_t mode)
{
    FAULT(CR_FAULT_OPEN, -1);
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

ssize_t cr_io_read(int fd, void *data, size_t bytes)
{
    FAULT(CR_FAULT_READ, -1);
    ssize_t got;
    do
        got = read(fd, data, bytes < MAX_BYTES ? bytes : MAX_BYTES);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t cr_io_read_at(int fd, void *data, size_t bytes, uint64_t offset)
{
    FAULT(CR_FAULT_READ, -1);
    size_t done = 0;
    while (done < bytes) {
        size_t wanted = bytes - done < MAX_BYTES ? bytes - done : MAX_BYTES;
        ssize_t got = pread(fd, (char *)data + done, wanted, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Standard output may come from a parent that made it non-blocking. */
static bool wait_until_writable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    return poll(&wanted, 1, -1) >= 0 || errno == EINTR;
}

int cr_io_write_all(int fd, const void *data, size_t bytes)
{
    FAULT(CR_FAULT_WRITE, -1);
    const char *at = data;
    while (bytes > 0) {
        ssize_t put = write(fd, at, bytes < MAX_BYTES ? bytes : MAX_BYTES);
        if (put < 0 && (errno == EINTR || (errno == EAGAIN && wait_until_writable(fd))))
            continue;
        if (put == 0)
            errno = EIO; /* would go on for ever */
        if (put <= 0)
            return -1;
        at += put;
        bytes -= (size_t)put;
    }
    return 0;
}

int cr_io_write_at(int fd, const void *data, size_t bytes, uint64_t offset)
{
    FAULT(CR_FAULT_WRITE, -1);
    const char *at = data;
    while (bytes > 0) {
        ssize_t put = pwrite(fd, at, bytes < MAX_BYTES ? bytes : MAX_BYTES, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0)
            errno = EIO; /* would go on for ever */
        if (put <= 0)
            return -1;
        at += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return 0;
}

int cr_io_fsync(int fd)
{
    FAULT(CR_FAULT_SYNC, -1);
    int result;
    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    return result;
}

/* The descriptor is gone whatever happens, so an interrupted close() is not tried again; also when
 * a fault is injected. */
int cr_io_close(int fd)
{
    int result = close(fd);
    FAULT(CR_FAULT_OTHER, -1);
    return result < 0 && errno != EINTR ? -1 : 0;
}

int cr_io_fstat(int fd, struct stat *st)
{
    FAULT(CR_FAULT_OTHER, -1);
    return fstat(fd, st);
}

int cr_io_stat(const char *path, struct stat *st)
{
    FAULT(CR_FAULT_OTHER, -1);
    return stat(path, st);
}

int cr_io_lstat(const char *path, struct stat *st)
{
    FAULT(CR_FAULT_OTHER, -1);
    return lstat(path, st);
}

bool cr_io_is_writable(const char *path)
{
    FAULT(CR_FAULT_OTHER, false);
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

int cr_io_fchmod(int fd, mode_t mode)
{
    FAULT(CR_FAULT_OTHER, -1);
    return fchmod(fd, mode);
}

ssize_t cr_io_readlink(const char *path, char *target, size_t bytes)
{
    FAULT(CR_FAULT_OTHER, -1);
    return readlink(path, target, bytes);
}

int cr_io_rename(const char *from, const char *to)
{
    FAULT(CR_FAULT_RENAME, -1);
    return rename(from, to);
}

int cr_io_unlink(const char *path)
{
    FAULT(CR_FAULT_OTHER, -1);
    return unlink(path);
}

int cr_io_mkdir(const char *path, mode_t mode)
{
    FAULT(CR_FAULT_OTHER, -1);
    return mkdir(path, mode);
}

int cr_io_rmdir(const char *path)
{
    FAULT(CR_FAULT_OTHER, -1);
    return rmdir(path);
}

int cr_io_mkdtemp(char *path)
{
    FAULT(CR_FAULT_OTHER, -1);
    return mkdtemp(path) == NULL ? -1 : 0;
}

DIR *cr_io_opendir(const char *path)
{
    FAULT(CR_FAULT_OPEN, NULL);
    return opendir(path);
}

struct dirent *cr_io_readdir(DIR *folder)
{
    FAULT(CR_FAULT_READ, NULL);
    errno = 0;
    return readdir(folder);
}

void *cr_io_dlopen(const char *path, int flags)
{
    FAULT(CR_FAULT_OTHER, NULL);
    return dlopen(path, flags);
}

struct cr_reader {
    int fd;
    char *path;
};

int cr_reader_open(struct cr_reader **out, const char *path, struct cr_error *err)
{
    *out = NULL;
    struct cr_reader *reader = cr_calloc(1, sizeof(*reader));
    if (reader == NULL || (reader->path = cr_strdup(path)) == NULL) {
        cr_free(reader);
        return cr_fail_memory(err, sizeof(*reader) + strlen(path) + 1);
    }
    reader->fd = cr_io_open(path, O_RDONLY, 0);
    struct stat st;
    int result = 0;
    if (reader->fd < 0)
        result = cr_fail_errno(err, errno, "%s: cannot open", path);
    else if (cr_io_fstat(reader->fd, &st) < 0)
        result = cr_fail_errno(err, errno, "%s: cannot examine", path);
    else if (S_ISDIR(st.st_mode))
        result = cr_fail(err, CR_ERR_IO, "%s: is a folder, a file is needed here", path);
    if (result < 0)
        cr_reader_close(&reader);
    *out = reader;
    return result;
}

int cr_reader_read(struct cr_reader *reader, void *data, size_t bytes, size_t *got,
                   struct cr_error *err)
{
    ssize_t count = cr_io_read(reader->fd, data, bytes);
    if (count < 0)
        return cr_fail_errno(err, errno, "%s: cannot read", reader->path);
    *got = (size_t)count;
    return 0;
}

void cr_reader_close(struct cr_reader **reader)
{
    if (*reader == NULL)
        return;
    if ((*reader)->fd >= 0)
        cr_io_close((*reader)->fd);
    cr_free((*reader)->path);
    cr_free(*reader);
    *reader = NULL;
}

/* A folder that exists may be reported in many ways (EEXIST, EROFS, EACCES), so it is looked at. */
static int make_folder(const char *path, struct cr_error *err)
{
    struct stat st;
    if (cr_io_mkdir(path, 0700) == 0)
        return 0;
    int number = errno;
    if (cr_io_stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        number = ENOTDIR;
    }
    return cr_fail_errno(err, number, "%s: cannot create the folder", path);
}

int cr_mkdirs(const char *path, struct cr_error *err)
{
    char *partial = cr_strdup(path);
    if (partial == NULL)
        return cr_fail_memory(err, strlen(path) + 1);
    int result = 0;
    size_t length = strlen(path);
    for (size_t i = 1; i <= length && result == 0; i++) {
        if (partial[i] != '/' && partial[i] != '\0')
            continue;
        partial[i] = '\0';
        result = make_folder(partial, err);
        partial[i] = path[i];
    }
    cr_free(partial);
    return result;
}
