/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

void fuzz_assert(bool holds)
{
    if (!holds)
        abort();
}

void fuzz_result(int result, bool object, const struct cr_error *err)
{
    fuzz_assert(result <= 0 && (result == 0) == object && err->code == result &&
                (result < 0) == (err->message[0] != '\0'));
}

/* ---- Files ---- */

#define MAX_FILES 16

static char folder[4096];
static char *files[MAX_FILES];

static void remove_files(void)
{
    for (int i = 0; i < MAX_FILES && files[i] != NULL; i++) {
        unlink(files[i]);
        free(files[i]);
        files[i] = NULL;
    }
    rmdir(folder);
}

const char *fuzz_folder(void)
{
    const char *parent = getenv("TMPDIR");
    if (folder[0] != '\0')
        return folder;
    snprintf(folder, sizeof(folder), "%s/crayon-fuzz-XXXXXX", parent != NULL ? parent : "/tmp");
    fuzz_assert(mkdtemp(folder) != NULL && atexit(remove_files) == 0);
    return folder;
}

const char *fuzz_path(const char *name)
{
    int i = 0;
    size_t bytes = strlen(fuzz_folder()) + strlen(name) + 2;
    char *path = malloc(bytes);
    fuzz_assert(path != NULL);
    snprintf(path, bytes, "%s/%s", folder, name);
    while (i < MAX_FILES && files[i] != NULL && strcmp(files[i], path) != 0)
        i++;
    fuzz_assert(i < MAX_FILES);
    if (files[i] == NULL)
        files[i] = path;
    else
        free(path);
    return files[i];
}

void fuzz_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    fuzz_assert(file != NULL && fwrite(data, 1, size, file) == size);
    fuzz_assert(fclose(file) == 0);
}

struct fuzz_pair fuzz_split(const uint8_t *data, size_t size)
{
    size_t text = 0;
    while (text < size && data[text] != 0)
        text++;
    size_t rest = text < size ? text + 1 : size;
    return (struct fuzz_pair){data, data + rest, text, size - rest};
}

/* ---- PNG ---- */

static uint32_t read_u32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* CRC-32 as PNG has it. */
static uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

void fuzz_fix_png(uint8_t *data, size_t size)
{
    for (size_t at = 8; at < size && size - at >= 12;) {
        size_t length = read_u32(data + at);
        if (length > size - at - 12)
            return;
        uint32_t crc = checksum(data + at + 4, length + 4);
        for (int i = 0; i < 4; i++)
            data[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}
