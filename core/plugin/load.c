/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#ifdef __ELF__
#include <link.h>
#endif

#include "base/io.h"
#include "plugin/check.h"
#include "plugin/load.h"

#ifdef __ELF__

/* The loader maps what the headers of a file promise, and dies with SIGBUS when the file is
 * shorter. Where the headers say that it ends; 0 when it is no such file at all, which the loader
 * can tell. */
static uint64_t promised_size(int fd)
{
    ElfW(Ehdr) header;
    if (cr_io_read(fd, &header, sizeof(header)) != (ssize_t)sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        header.e_phentsize != sizeof(ElfW(Phdr)))
        return 0;
    uint64_t end = header.e_phoff + (uint64_t)header.e_phnum * sizeof(ElfW(Phdr));
    if (lseek(fd, (off_t)header.e_phoff, SEEK_SET) < 0)
        return 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) part;
        if (cr_io_read(fd, &part, sizeof(part)) != (ssize_t)sizeof(part))
            break;
        uint64_t part_end = (uint64_t)part.p_offset + part.p_filesz;
        if (part.p_type == PT_LOAD && part_end > end)
            end = part_end;
    }
    return end;
}

static int check_whole(const char *path, struct cr_error *err)
{
    int fd = cr_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return cr_fail_errno(err, errno, "cannot be opened");
    struct stat st;
    int result = 0;
    uint64_t promised = promised_size(fd);
    if (cr_io_fstat(fd, &st) < 0)
        result = cr_fail_errno(err, errno, "cannot be examined");
    else if (promised > (uint64_t)st.st_size)
        result = cr_fail(err, CR_ERR_PLUGIN,
                         "is truncated: it has %lld bytes, and its headers tell of %llu",
                         (long long)st.st_size, (unsigned long long)promised);
    cr_io_close(fd);
    return result;
}

#else

static int check_whole(const char *path, struct cr_error *err)
{
    (void)path, (void)err;
    return 0;
}

#endif

/* What the loader had to say, without the path that it puts before it. */
static int fail_loader(const char *path, struct cr_error *err)
{
    const char *words = dlerror();
    size_t length = strlen(path);
    if (words == NULL)
        words = "the loader does not say why";
    else if (strncmp(words, path, length) == 0 && strncmp(words + length, ": ", 2) == 0)
        words += length + 2;
    return cr_fail(err, CR_ERR_PLUGIN, "cannot be loaded: %s", words);
}

static int check_opened(const struct cr_plugin *plugin, const char *name, struct cr_error *err)
{
    if (plugin == NULL)
        return cr_fail(err, CR_ERR_PLUGIN,
                       "is not a crayon plugin: it has no symbol crayon_plugin");
    int result = cr_plugin_check(plugin, err);
    if (result == 0 && strcmp(plugin->name, name) != 0)
        result = cr_fail(err, CR_ERR_PLUGIN,
                         "calls itself \"%s\": the file of that plugin is named %s.so",
                         plugin->name, plugin->name);
    return result;
}

int cr_plugin_open(const char *path, const char *name, void **handle,
                   const struct cr_plugin **plugin, struct cr_error *err)
{
    *plugin = NULL;
    *handle = NULL;
    int result = check_whole(path, err);
    if (result < 0)
        return result;
    *handle = cr_io_dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*handle == NULL)
        return fail_loader(path, err);
    const struct cr_plugin *found = dlsym(*handle, "crayon_plugin");
    result = check_opened(found, name, err);
    if (result == 0)
        *plugin = found;
    else
        cr_plugin_close(handle);
    return result;
}

void cr_plugin_close(void **handle)
{
    if (*handle != NULL)
        dlclose(*handle);
    *handle = NULL;
}
