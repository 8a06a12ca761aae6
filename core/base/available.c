/* SPDX-License-Identifier: MIT */
/* available.c: how much memory is left, as Linux tells: MemAvailable, and the limits of the control
 * groups (version 2, or 1) that the process is in. Pages of files in a group's memory can be
 * reclaimed, and do not count as used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "base/available.h"

#define MAX_FILE (256u << 10)

/* The names by which a version of control groups goes. */
struct version {
    const char *mount, *limit, *used, *reclaimable;
};

static const struct version versions[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {"/sys/fs/cgroup/unified", "memory.max", "memory.current", "inactive_file "},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file "},
};

/* A file of the system, new; NULL: it is not there. */
static char *read_file(const char *root, const char *folder, const char *group, size_t length,
                       const char *name)
{
    char *data = NULL;
    size_t size;
    char *path = cr_asprintf("%s%s%.*s/%s", root, folder, (int)length, group, name);
    if (path != NULL && cr_file_read(path, MAX_FILE, &data, &size, NULL) < 0)
        data = NULL;
    cr_free(path);
    return data;
}

/* The number behind the word `key` at the start of a line ("": of the file). */
static bool find_number(const char *text, const char *key, uint64_t *number)
{
    const size_t length = strlen(key);
    while (text != NULL && strncmp(text, key, length) != 0) {
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
    if (text == NULL)
        return false;
    char *end;
    *number = strtoull(text + length, &end, 10);
    return end != text + length; /* "max" is none */
}

static bool read_number(const char *root, const struct version *version, const char *group,
                        size_t length, const char *name, const char *key, uint64_t *number)
{
    char *text = read_file(root, version->mount, group, length, name);
    bool found = find_number(text, key, number);
    cr_free(text);
    return found;
}

/* What is left in one group, whose path is the first `length` bytes; UINT64_MAX: it has no limit.
 */
static uint64_t left_in_group(const char *root, const struct version *version, const char *group,
                              size_t length)
{
    uint64_t limit, used, reclaimable = 0;
    if (!read_number(root, version, group, length, version->limit, "", &limit) ||
        !read_number(root, version, group, length, version->used, "", &used))
        return UINT64_MAX;
    (void)read_number(root, version, group, length, "memory.stat", version->reclaimable,
                      &reclaimable);
    used -= reclaimable < used ? reclaimable : used;
    return limit > used ? limit - used : 0;
}

/* The least that is left in a group and those around it. */
static uint64_t left_in_groups(const char *root, const struct version *version, const char *group,
                               size_t length)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        const uint64_t left = left_in_group(root, version, group, length);
        least = left < least ? left : least;
        if (length == 0)
            return least;
        while (group[--length] != '/' && length > 0)
            ;
    }
}

/* A line of /proc/self/cgroup is "NUMBER:CONTROLLERS:/PATH"; version 2 has number 0 and no
 * controllers. */
static uint64_t left_by_line(const char *root, const char *line, size_t size)
{
    const char *end = line + size;
    const char *controllers = memchr(line, ':', size);
    const char *group =
        controllers == NULL ? NULL : memchr(controllers + 1, ':', (size_t)(end - controllers - 1));
    if (group == NULL)
        return UINT64_MAX;
    const size_t named = (size_t)(group - controllers - 1);
    const size_t length = (size_t)(end - ++group);
    if (named == strlen("memory") && memcmp(controllers + 1, "memory", named) == 0)
        return left_in_groups(root, &versions[2], group, length);
    if (named > 0)
        return UINT64_MAX;
    const uint64_t a = left_in_groups(root, &versions[0], group, length);
    const uint64_t b = left_in_groups(root, &versions[1], group, length);
    return a < b ? a : b;
}

uint64_t cr_memory_available_in(const char *root)
{
    uint64_t kib = 0, least = UINT64_MAX;
    char *memory = read_file(root, "/proc", "", 0, "meminfo");
    char *groups = read_file(root, "/proc/self", "", 0, "cgroup");
    if (find_number(memory, "MemAvailable:", &kib))
        least = kib * 1024;
    for (const char *line = groups; line != NULL && *line != '\0';) {
        const size_t size = strcspn(line, "\n");
        const uint64_t left = left_by_line(root, line, size);
        least = left < least ? left : least;
        line += size + (line[size] == '\n');
    }
    cr_free(memory);
    cr_free(groups);
    return least == UINT64_MAX ? 0 : least;
}

uint64_t cr_memory_available(void)
{
    return cr_memory_available_in("");
}
