/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "writer.h"

struct entry {
    char name[256];
    int rank;
    int64_t shape[4];
    uint64_t bytes;
    int shard;
    bool ones;
};

static struct entry *entries;
static size_t count, capacity;

void writer_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Tensors ---- */

void writer_add(int rank, const int64_t *shape, bool ones, const char *format, ...)
{
    if (count == capacity) {
        capacity = capacity == 0 ? 1024 : 2 * capacity;
        if ((entries = realloc(entries, capacity * sizeof(*entries))) == NULL)
            writer_fail("memory");
    }
    struct entry *entry = &entries[count++];
    *entry = (struct entry){.rank = rank, .bytes = 2, .ones = ones};
    for (int i = 0; i < rank; i++) {
        entry->shape[i] = shape[i];
        entry->bytes *= (uint64_t)shape[i];
    }
    va_list args;
    va_start(args, format);
    vsnprintf(entry->name, sizeof(entry->name), format, args);
    va_end(args);
}

void writer_matrix(int64_t n, int64_t k, const char *prefix, const char *name)
{
    writer_add(2, (int64_t[]){n, k}, false, "%s%s", prefix, name);
}

void writer_vector(int64_t n, const char *prefix, const char *name, bool ones)
{
    writer_add(1, &n, ones, "%s%s", prefix, name);
}

void writer_linear(int64_t n, int64_t k, const char *prefix, const char *name)
{
    writer_add(2, (int64_t[]){n, k}, false, "%s%s.weight", prefix, name);
    writer_add(1, &n, false, "%s%s.bias", prefix, name);
}

void writer_norm(int64_t n, const char *prefix, const char *name)
{
    writer_add(1, &n, true, "%s%s.weight", prefix, name);
    writer_add(1, &n, false, "%s%s.bias", prefix, name);
}

/* ---- Numbers ---- */

static uint16_t table[65536]; /* half floats, about normal with deviation 1 */

static uint16_t to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude < 0x38800000u)
        return (uint16_t)sign;
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* 65536 numbers of deviation `scale`: sums of four uniform ones. */
static void fill_table(float scale)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 65536; i++) {
        float sum = 0;
        for (int j = 0; j < 4; j++)
            sum += (float)(next(&state) >> 40) / 16777216.0f - 0.5f;
        table[i] = to_half(sum * 1.7320508f * scale);
    }
}

static void write_numbers(FILE *file, const struct entry *entry, uint64_t *state)
{
    static uint16_t piece[1 << 18];
    uint64_t left = entry->bytes / 2;
    const int64_t columns = entry->rank == 1 ? 4096 : (int64_t)left / entry->shape[0];
    fill_table(1 / sqrtf((float)columns));
    while (left > 0) {
        size_t n = left < sizeof(piece) / 2 ? (size_t)left : sizeof(piece) / 2;
        for (size_t i = 0; i < n; i += 4) {
            uint64_t random = next(state);
            for (size_t j = 0; j < 4 && i + j < n; j++, random >>= 16)
                piece[i + j] = entry->ones ? 0x3c00 : table[random & 0xffff];
        }
        if (fwrite(piece, 2, n, file) != n)
            writer_fail("writing");
        left -= n;
    }
}

/* ---- Files ---- */

FILE *writer_create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        writer_fail(path);
    return file;
}

void writer_close(FILE *file)
{
    if (fclose(file) != 0)
        writer_fail("closing");
}

static void print_shape(FILE *file, const struct entry *entry)
{
    for (int i = 0; i < entry->rank; i++)
        fprintf(file, "%s%" PRId64, i > 0 ? "," : "", entry->shape[i]);
}

/* A hole in place of the numbers. */
static void write_hole(FILE *file, uint64_t end)
{
    if (fflush(file) != 0 || ftruncate(fileno(file), (off_t)end) != 0)
        writer_fail("making a hole");
}

static void write_shard(const char *folder, int shard, int shards, bool sparse, uint64_t *state)
{
    char name[64];
    char *header = NULL;
    size_t size = 0;
    uint64_t offset = 0;
    FILE *text = open_memstream(&header, &size);
    fprintf(text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        if (entries[i].shard != shard)
            continue;
        fprintf(text, ",\"%s\":{\"dtype\":\"F16\",\"shape\":[", entries[i].name);
        print_shape(text, &entries[i]);
        fprintf(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset,
                offset + entries[i].bytes);
        offset += entries[i].bytes;
    }
    fprintf(text, "}");
    while (fflush(text) == 0 && size % 8 != 0)
        fputc(' ', text);
    writer_close(text);
    snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", shard + 1, shards);
    FILE *file = writer_create(folder, name);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)size >> (8 * i));
    if (fwrite(length, 1, 8, file) != 8 || fwrite(header, 1, size, file) != size)
        writer_fail(name);
    for (size_t i = 0; i < count && !sparse; i++)
        if (entries[i].shard == shard)
            write_numbers(file, &entries[i], state);
    if (sparse)
        write_hole(file, 8 + size + offset);
    writer_close(file);
    free(header);
}

static void write_index(const char *folder, int shards)
{
    FILE *file = writer_create(folder, "model.safetensors.index.json");
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += entries[i].bytes;
    fprintf(file, "{\"metadata\":{\"total_size\":%" PRIu64 "},\"weight_map\":{", total);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%s\"%s\":\"model-%05d-of-%05d.safetensors\"", i > 0 ? "," : "",
                entries[i].name, entries[i].shard + 1, shards);
    fprintf(file, "}}\n");
    writer_close(file);
}

void writer_folder(const char *folder)
{
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        writer_fail(folder);
}

void writer_save(const char *folder, uint64_t shard_bytes, bool sparse)
{
    int shard = 0;
    uint64_t used = 0, state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < count; i++) {
        if (used > 0 && used + entries[i].bytes > shard_bytes) {
            shard++;
            used = 0;
        }
        entries[i].shard = shard;
        used += entries[i].bytes;
    }
    write_index(folder, shard + 1);
    for (int i = 0; i <= shard; i++)
        write_shard(folder, i, shard + 1, sparse, &state);
    free(entries);
    entries = NULL;
    count = capacity = 0;
}
