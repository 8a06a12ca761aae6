/* SPDX-License-Identifier: MIT */
/* trust.h: may code from this place run with the user's rights? */
#ifndef CR_PLUGIN_TRUST_H
#define CR_PLUGIN_TRUST_H

#include <sys/stat.h>

#include <crayon/error.h>

/* Does the thing belong to root or the user, and can nobody else write to it? Root's and the user's
 * own groups count as themselves. The message says what is wrong and what to do, without naming the
 * file: "can be written by everybody (mode 0666): chmod o-w". CR_ERR_PLUGIN. */
int cr_trust_check(const struct stat *st, struct cr_error *err);

/* A file, or folder, at `path`, which is absolute and free of links: itself, and the folders on the
 * way to it. Those need not belong to anybody, but none of them may let everybody exchange what
 * lies in it. `*st` is filled. */
int cr_trust_path(const char *path, struct stat *st, struct cr_error *err);

#endif
