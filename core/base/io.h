/* SPDX-License-Identifier: MIT */
/* io.h: the system calls of the core, each with a place where tests make it fail. All retry on
 * EINTR and are otherwise the calls that they are named after. */
#ifndef CR_BASE_IO_H
#define CR_BASE_IO_H

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <crayon/error.h>

CR_API
int cr_io_open(const char *path, int flags, mode_t mode); /* O_CLOEXEC is added */
ssize_t cr_io_read(int fd, void *data, size_t bytes);
/* `bytes` bytes from `offset` on, fewer only at the end of the file; the position stays. */
ssize_t cr_io_read_at(int fd, void *data, size_t bytes, uint64_t offset);
CR_API
int cr_io_write_all(int fd, const void *data, size_t bytes); /* 0, or -1 with errno */
/* The same at an offset; the position stays. */
int cr_io_write_at(int fd, const void *data, size_t bytes, uint64_t offset);
CR_API
int cr_io_fsync(int fd);
CR_API
int cr_io_close(int fd);
int cr_io_fstat(int fd, struct stat *st);
int cr_io_stat(const char *path, struct stat *st);
int cr_io_lstat(const char *path, struct stat *st);
/* For the effective user. */
bool cr_io_is_writable(const char *path);
int cr_io_fchmod(int fd, mode_t mode);
ssize_t cr_io_readlink(const char *path, char *target, size_t bytes);
int cr_io_rename(const char *from, const char *to);
int cr_io_unlink(const char *path);
int cr_io_mkdir(const char *path, mode_t mode);
int cr_io_rmdir(const char *path);
int cr_io_mkdtemp(char *path); /* 0, or -1 with errno */
DIR *cr_io_opendir(const char *path);
/* NULL at the end, with 0 in errno, and after a failure. */
struct dirent *cr_io_readdir(DIR *folder);
void *cr_io_dlopen(const char *path, int flags);

/* A buffered reader for large files that are read from front to back. */
struct cr_reader;
int cr_reader_open(struct cr_reader **out, const char *path, struct cr_error *err);
/* Up to `bytes` bytes; *got is 0 at the end. */
int cr_reader_read(struct cr_reader *reader, void *data, size_t bytes, size_t *got,
                   struct cr_error *err);
void cr_reader_close(struct cr_reader **reader);

/* Create a folder and its missing parents with mode 0700 (XDG base directories). */
int cr_mkdirs(const char *path, struct cr_error *err);

#endif
