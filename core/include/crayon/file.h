/* SPDX-License-Identifier: MIT */
/* crayon/file.h: whole files in, whole files out. */
#ifndef CRAYON_FILE_H
#define CRAYON_FILE_H

#include <crayon/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Read all of `path` into new memory (`*data`, followed by a NUL that `*size` does not count; freed
 * with cr_free). A file of more than `limit` bytes is CR_ERR_LIMIT before anything is read;
 * directories and devices are refused, pipes are read to their end. */
CR_API
int cr_file_read(const char *path, size_t limit, char **data, size_t *size,
                 struct cr_error *err) CR_MUST_CHECK;

/* Make `path` hold exactly these bytes: written to a temporary file beside it, synchronised,
 * renamed. After a failure `path` is what it was before. The target's permissions are kept (a file
 * without write permission is refused), a new file gets 0666 less the umask. If `path` is a link,
 * the file that it points to is replaced. Something that is no regular file, such as /dev/stdout or
 * a pipe, is written to directly. */
CR_API
int cr_file_write(const char *path, const void *data, size_t size,
                  struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
