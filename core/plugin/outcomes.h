/* SPDX-License-Identifier: MIT */
/* outcomes.h: what probing files gave, remembered in $XDG_CACHE_HOME/crayon/plugins.
 *
 * A text file: a line that names the format and the library, then one line for each file, its parts
 * separated by tabs: device, inode, size, time of the last change in ns, "ok" or what it did, path.
 * A line that is not exactly so is dropped, as is a file of another library's; what is not
 * remembered is probed again. */
#ifndef CR_PLUGIN_OUTCOMES_H
#define CR_PLUGIN_OUTCOMES_H

#include <sys/stat.h>

#include <crayon/error.h>
#include <crayon/log.h>

struct cr_outcome;

struct cr_outcomes {
    char *path; /* NULL: nothing is remembered */
    struct cr_outcome *items;
    size_t count;
    bool changed;
};

/* Never fail: without memory, or a readable file, nothing is remembered. */
void cr_outcomes_load(struct cr_outcomes *outcomes);
/* Write the file if something was added. */
void cr_outcomes_save(struct cr_outcomes *outcomes, const struct cr_log *log);
void cr_outcomes_finish(struct cr_outcomes *outcomes);

/* What is known of the file, as it is now: "ok", what it did, or NULL. */
const char *cr_outcomes_find(const struct cr_outcomes *outcomes, const char *path,
                             const struct stat *st);
void cr_outcomes_add(struct cr_outcomes *outcomes, const char *path, const struct stat *st,
                     const char *outcome);

#endif
