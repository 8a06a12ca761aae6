/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr */

#include "config.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"

#ifdef HAVE_GETAUXVAL
#include <sys/auxv.h>
#endif

#define MARKER ".crayon-build-tree"

bool cr_is_privileged(void)
{
#ifdef HAVE_GETAUXVAL
    if (getauxval(AT_SECURE) != 0)
        return true;
#endif
    return getuid() != geteuid() || getgid() != getegid();
}

char *cr_path_join(const char *base, const char *path)
{
    if (path[0] == '/' || base[0] == '\0' || strcmp(base, ".") == 0)
        return cr_strdup(path);
    return cr_asprintf("%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/", path);
}

char *cr_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return cr_strdup(".");
    return cr_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

const char *cr_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

char *cr_path_stem(const char *path)
{
    const char *base = cr_path_base(path);
    const char *dot = strrchr(base, '.');
    return dot == NULL || dot == base ? cr_strdup(base) : cr_strndup(base, (size_t)(dot - base));
}

static bool exists(const char *path)
{
    struct stat st;
    return cr_io_stat(path, &st) == 0;
}

/* `folder`/`name` if it exists, else NULL. Takes `folder` (may be NULL). */
static char *find_in(char *folder, const char *name)
{
    char *path = folder == NULL ? NULL : cr_path_join(folder, name);
    if (path != NULL && !exists(path)) {
        cr_free(path);
        path = NULL;
    }
    cr_free(folder);
    return path;
}

/* The file whose code is running here: the library, or a program that links the core statically.
 * A program's name without a folder says nothing: the shell found it somewhere in $PATH. */
static bool own_file(char path[PATH_MAX], struct stat *st)
{
    Dl_info info;
    void *self;
    char *(*function)(void) = cr_path_build_tree;
    memcpy(&self, &function, sizeof(self));
    return dladdr(self, &info) != 0 && info.dli_fname != NULL &&
           strchr(info.dli_fname, '/') != NULL && realpath(info.dli_fname, path) != NULL &&
           cr_io_stat(path, st) == 0;
}

/* Is the marker in `folder`, put there by the user who put the library where it is? Others could
 * leave one above a library that is installed below a shared folder such as /tmp. */
static bool has_marker(const char *folder, uid_t owner)
{
    struct stat st;
    char *marker = cr_path_join(folder, MARKER);
    bool found =
        marker != NULL && cr_io_stat(marker, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == owner;
    cr_free(marker);
    return found;
}

/* The library lies in BUILD/.libs/libcrayon.so; a program that links the core statically (the unit
 * tests) lies in BUILD/tests/..., so its parents are asked too. */
char *cr_path_build_tree(void)
{
    char file[PATH_MAX];
    struct stat st;
    if (!own_file(file, &st))
        return NULL;
    for (int level = 0; level < 5; level++) {
        char *slash = strrchr(file, '/');
        if (slash == NULL || slash == file)
            return NULL;
        *slash = '\0';
        if (has_marker(file, st.st_uid))
            return cr_strdup(file);
    }
    return NULL;
}

char *cr_path_source_tree(void)
{
    char *marker = find_in(cr_path_build_tree(), MARKER);
    char *text = NULL;
    size_t size;
    if (marker == NULL || cr_file_read(marker, PATH_MAX, &text, &size, NULL) < 0) {
        cr_free(marker);
        return NULL;
    }
    cr_free(marker);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

char *cr_data_path(const char *name)
{
    char *path = find_in(cr_path_build_tree(), name);
    if (path == NULL)
        path = find_in(cr_path_source_tree(), name);
    if (path == NULL)
        path = find_in(cr_strdup(CRAYON_DATADIR), name);
    return path;
}

static char *user_folder(const char *variable, const char *fallback)
{
    if (cr_is_privileged())
        return NULL;
    const char *value = getenv(variable);
    if (value != NULL && value[0] == '/')
        return cr_path_join(value, "crayon");
    const char *home = getenv("HOME");
    if (home == NULL || home[0] != '/')
        return NULL;
    return cr_asprintf("%s/%s/crayon", home, fallback);
}

char *cr_path_user_cache(void)
{
    return user_folder("XDG_CACHE_HOME", ".cache");
}

char *cr_path_user_data(void)
{
    return user_folder("XDG_DATA_HOME", ".local/share");
}
