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

/* A file that belongs to the toolkit ("pipelines/templates/collavo-demo.json"): from the build tree
 * when the library runs from one, else where it is installed. A new string, freed with cr_free();
 * NULL when there is none of that name (or no memory). (since ABI 1.2) */
CR_API
char *cr_data_path(const char *name);

/* ---- The user's cache (since ABI 1.2) ---- */

/* Where `name` ("vulkan/gpu.pipelines") lies in the user's cache, $XDG_CACHE_HOME/crayon or
 * ~/.cache/crayon; relative values of the variable are ignored. A new string, freed with cr_free();
 * NULL when there is no such place (no home, a privileged process) or no memory. What lies there
 * may vanish at any time, and is read with suspicion: other versions wrote it. */
CR_API
char *cr_cache_path(const char *name);

/* cr_file_write() to that path; folders that are missing are made, for the user alone (0700).
 * CR_ERR_NOT_FOUND: there is no such place. */
CR_API
int cr_cache_write(const char *name, const void *data, size_t size,
                   struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
