/* SPDX-License-Identifier: MIT */
/* paths.h: where things are. New strings, freed with cr_free(); NULL when there is no such place
 * (or no memory). */
#ifndef CR_BASE_PATHS_H
#define CR_BASE_PATHS_H

#include <crayon/base.h>

/* The build tree that this library runs from, or NULL when it is installed. The tree is recognised
 * by the file that configure leaves at its top (".crayon-build-tree", which holds the source
 * folder). */
char *cr_path_build_tree(void);
/* The source folder of that build tree, or NULL. */
char *cr_path_source_tree(void);

/* $XDG_CACHE_HOME/crayon and $XDG_DATA_HOME/crayon with the usual defaults; relative values are
 * ignored. NULL for a privileged process, whose environment is not trusted. */
char *cr_path_user_cache(void);
char *cr_path_user_data(void);

/* `path` as seen from folder `base`: absolute paths stay. */
char *cr_path_join(const char *base, const char *path);
/* The folder part ("." when there is none); the last part; the last part without its suffix. */
char *cr_path_folder(const char *path);
const char *cr_path_base(const char *path);
char *cr_path_stem(const char *path);

/* Does the process run with more rights than its user has (AT_SECURE)? The environment is not
 * trusted then. */
bool cr_is_privileged(void);

#endif
