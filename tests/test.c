/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <ftw.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

/* Strings that live until the end, in a list, so that a leak checker sees that they are in use. */
struct kept {
    struct kept *next;
    char text[];
};
static struct kept *kept;

static char *keep_bytes(size_t bytes)
{
    struct kept *entry = calloc(1, sizeof(*entry) + bytes);
    if (entry == NULL)
        abort();
    entry->next = kept;
    kept = entry;
    return entry->text;
}

static char *keep(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *keep(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t bytes = (size_t)vsnprintf(NULL, 0, format, args) + 1;
    char *text = keep_bytes(bytes);
    vsnprintf(text, bytes, format, again);
    va_end(again);
    va_end(args);
    return text;
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* ---- The folder ---- */

static char *folder;
static pid_t folder_owner;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int make_writable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

/* A child that a test forked must not take its parent's folder away. */
static void remove_folder(void)
{
    if (getpid() != folder_owner)
        return;
    nftw(folder, make_writable, 16, FTW_PHYS);
    nftw(folder, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
}

const char *test_folder(void)
{
    if (folder != NULL)
        return folder;
    folder = keep("%s/tests/scratch-XXXXXX", environment("top_builddir", "."));
    if (mkdtemp(folder) == NULL)
        fail_msg("cannot make the folder %s", folder);
    folder_owner = getpid();
    atexit(remove_folder);
    return folder;
}

const char *scratch(const char *name)
{
    return keep("%s/%s", test_folder(), name);
}

size_t count_files(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        fail_msg("cannot read the folder %s", path);
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

/* ---- Files of others ---- */

const char *source_path(const char *name)
{
    return keep("%s/%s", environment("top_srcdir", "."), name);
}

const char *shared_path(const char *name)
{
    const char *path = keep("%s/%s", environment("SHARED", "../shared"), name);
    if (access(path, R_OK) != 0)
        skip_because("%s is not there", path);
    return path;
}

/* The C library remembers which locales it did not find, so one that has to be made is made first.
 */
void use_locale(const char *name)
{
    static bool made;
    const char *utf8 = keep("%s.UTF-8", name);
    setlocale(LC_ALL, "C");
    if (!made && setlocale(LC_ALL, utf8) != NULL)
        return;
    const char *command =
        keep("localedef -i %s -f UTF-8 '%s' >'%s' 2>&1", name, scratch(utf8), scratch("localedef"));
    if (system(command) != 0)
        skip_because("there is no locale %s, and localedef cannot make it", utf8);
    setenv("LOCPATH", test_folder(), 1);
    made = true;
    if (setlocale(LC_ALL, utf8) == NULL)
        skip_because("the locale %s cannot be used", utf8);
}

void write_test_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail_msg("cannot write %s", path);
    bool written = size == 0 || fwrite(data, 1, size, file) == size;
    if (fclose(file) != 0 || !written)
        fail_msg("cannot write %s", path);
}

void write_test_text(const char *path, const char *text)
{
    write_test_file(path, text, strlen(text));
}

char *read_test_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    struct stat st;
    if (fstat(fileno(file), &st) != 0)
        fail_msg("cannot examine %s", path);
    char *text = keep_bytes((size_t)st.st_size + 1);
    size_t got = fread(text, 1, (size_t)st.st_size, file);
    fclose(file);
    if (got != (size_t)st.st_size)
        fail_msg("cannot read %s", path);
    if (size != NULL)
        *size = got;
    return text;
}

/* ---- Results ---- */

void skip_because(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("# skip: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    skip();
    abort(); /* skip() jumps back to the runner */
}

void assert_text(const char *what, const char *got, const char *expected)
{
    if (strcmp(got, expected) != 0)
        fail_msg("%s\n#   got:      %s\n#   expected: %s", what, got, expected);
}
