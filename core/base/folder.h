/* SPDX-License-Identifier: MIT */
/* folder.h: folders for the files of a moment. */
#ifndef CR_BASE_FOLDER_H
#define CR_BASE_FOLDER_H

#include <crayon/error.h>

/* A new folder in $TMPDIR (/tmp, where that is not set, not absolute, or not to be trusted), for
 * the user alone. A new string, freed with cr_free(). */
int cr_folder_create(char **path, struct cr_error *err);
/* Is nothing in it but files and folders? A link could lead anywhere, and nobody writes to a FIFO.
 */
int cr_folder_check(const char *path, struct cr_error *err);
/* Remove it with all that is in it; links are removed and not followed. */
int cr_folder_remove(const char *path, struct cr_error *err);

#endif
