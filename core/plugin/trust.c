/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "plugin/trust.h"

/* Is `group` the primary group of `owner`? A user without an entry (as in some containers) has only
 * the group that the process runs with. */
static bool is_own_group(uid_t owner, gid_t group)
{
    struct passwd entry, *found = NULL;
    char buffer[4096];
    if (getpwuid_r(owner, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
        return found->pw_gid == group;
    return owner == 0 ? group == 0 : owner == geteuid() && group == getegid();
}

int cr_trust_check(const struct stat *st, struct cr_error *err)
{
    unsigned mode = (unsigned)st->st_mode & 07777;
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return cr_fail(err, CR_ERR_PLUGIN,
                       "belongs to user %ld; only what belongs to root or to you (user %ld) is "
                       "loaded: chown, or install it anew",
                       (long)st->st_uid, (long)geteuid());
    if ((mode & S_IWOTH) != 0)
        return cr_fail(err, CR_ERR_PLUGIN, "can be written by everybody (mode %04o): chmod o-w",
                       mode);
    if ((mode & S_IWGRP) != 0 && !is_own_group(st->st_uid, st->st_gid))
        return cr_fail(err, CR_ERR_PLUGIN,
                       "can be written by group %ld, which is not its owner's own (mode %04o): "
                       "chmod g-w",
                       (long)st->st_gid, mode);
    return 0;
}

/* In a sticky folder (such as /tmp) everybody can add, but not exchange what others have there. */
static int check_parents(const char *path, struct cr_error *err)
{
    char folder[PATH_MAX];
    if (strlen(path) >= sizeof(folder))
        return cr_fail(err, CR_ERR_PLUGIN, "has a path that is too long");
    strcpy(folder, path);
    for (char *slash; (slash = strrchr(folder, '/')) != NULL && slash != folder;) {
        *slash = '\0';
        struct stat st;
        if (cr_io_stat(folder, &st) < 0)
            return cr_fail_errno(err, errno, "lies in %s, which cannot be examined", folder);
        if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
            return cr_fail(err, CR_ERR_PLUGIN,
                           "lies in %s, which can be written by everybody (mode %04o): chmod o-w",
                           folder, (unsigned)st.st_mode & 07777);
    }
    return 0;
}

int cr_trust_path(const char *path, struct stat *st, struct cr_error *err)
{
    if (cr_io_stat(path, st) < 0)
        return cr_fail_errno(err, errno, "cannot be examined");
    int result = cr_trust_check(st, err);
    return result < 0 ? result : check_parents(path, err);
}
