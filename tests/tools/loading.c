/* SPDX-License-Identifier: MIT */
/* How fast a model is loaded when nothing is converted, against what reading its files takes:
 *
 *     loading [--repeats N] [--plugin-path DIRS] MODEL
 *
 * Three things take turns, N times (default 9), after a round that warms the page cache:
 *   cat    one thread reads the files into 128 KiB that stay in its cache, as cat does
 *   plain  a thread for each processor reads pieces of 2 MiB into fresh large pages, and nothing
 *          else: what loading into memory takes at least
 *   load   every tensor becomes one of the device cpu, in the type that it has
 * Printed are medians; the seconds of processor time for a GB do not feel a neighbour. */
#define _GNU_SOURCE /* MADV_HUGEPAGE */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <crayon/device.h>
#include <crayon/model.h>
#include <crayon/registry.h>

#define MAX_FILES 64
#define MAX_REPEATS 100
#define MAX_THREADS 8
#define CAT_BYTES ((size_t)128 << 10)
#define PIECE ((size_t)2 << 20)

struct files {
    const char *path[MAX_FILES];
    size_t bytes[MAX_FILES], count, total;
};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void check(int result, const struct cr_error *err)
{
    if (result < 0)
        fail(err->message);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Reading ---- */

static void cat(const struct files *files)
{
    static char buffer[CAT_BYTES];
    for (size_t i = 0; i < files->count; i++) {
        int file = open(files->path[i], O_RDONLY);
        ssize_t got;
        if (file < 0)
            fail(files->path[i]);
        while ((got = read(file, buffer, sizeof(buffer))) > 0)
            continue;
        close(file);
    }
}

struct plain {
    int file;
    char *memory;
    size_t bytes;
    _Atomic size_t next;
};

static void *read_pieces(void *argument)
{
    struct plain *plain = argument;
    size_t at;
    while ((at = atomic_fetch_add(&plain->next, PIECE)) < plain->bytes) {
        size_t end = at + PIECE < plain->bytes ? at + PIECE : plain->bytes;
        while (at < end) {
            size_t wanted = end - at < CAT_BYTES ? end - at : CAT_BYTES;
            ssize_t got = pread(plain->file, plain->memory + at, wanted, (off_t)at);
            if (got <= 0)
                fail("a file is shorter than it was");
            at += (size_t)got;
        }
    }
    return NULL;
}

static void read_plainly(const struct files *files)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[MAX_THREADS];
    for (size_t i = 0; i < files->count; i++) {
        const size_t room = files->bytes[i] + PIECE;
        void *start = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct plain plain = {.file = open(files->path[i], O_RDONLY), .bytes = files->bytes[i]};
        int started = 0;
        if (start == MAP_FAILED || plain.file < 0)
            fail(files->path[i]);
        plain.memory = (char *)(((uintptr_t)start + PIECE - 1) / PIECE * PIECE);
#ifdef MADV_HUGEPAGE
        (void)madvise(plain.memory, plain.bytes, MADV_HUGEPAGE);
#endif
        while (started + 1 < processors && started < MAX_THREADS &&
               pthread_create(&threads[started], NULL, read_pieces, &plain) == 0)
            started++;
        read_pieces(&plain);
        while (started > 0)
            pthread_join(threads[--started], NULL);
        munmap(start, room);
        close(plain.file);
    }
}

/* ---- Loading ---- */

static enum cr_dtype dtype_of(const struct cr_model_tensor *tensor)
{
    if (strcmp(tensor->dtype, "F16") == 0)
        return CR_DTYPE_F16;
    if (strcmp(tensor->dtype, "F32") == 0)
        return CR_DTYPE_F32;
    if (strcmp(tensor->dtype, "I32") == 0)
        return CR_DTYPE_I32;
    if (strcmp(tensor->dtype, "U8") != 0)
        fail("a tensor is of a type that would be converted");
    return CR_DTYPE_U8;
}

static void load(const char *name, struct cr_device *device)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_model *model;
    struct cr_claim *claim;
    size_t count;
    check(cr_model_open(&model, name, NULL, &err), &err);
    check(cr_model_tensors(model, &count, &err), &err);
    check(cr_claim_create(&claim, model, &err), &err);
    struct cr_tensor **tensors = calloc(count, sizeof(*tensors));
    if (tensors == NULL)
        fail("memory");
    for (size_t i = 0; i < count; i++) {
        const struct cr_model_tensor tensor = cr_model_tensor(model, i);
        cr_claim_tensor(claim, &tensors[i], dtype_of(&tensor), tensor.rank, tensor.shape, 0, "%s",
                        tensor.name);
    }
    check(cr_claim_load(claim, device, NULL, &err), &err);
    for (size_t i = 0; i < count; i++)
        cr_tensor_unref(&tensors[i]);
    free(tensors);
    cr_claim_destroy(&claim);
    cr_model_unref(&model);
}

/* A new one for each load: its pool is empty, so that the memory of the tensors is fresh. */
static struct cr_device *open_device(const struct cr_registry *registry)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device *device;
    check(cr_device_open(&device, registry, "cpu", NULL, &err), &err);
    return device;
}

/* ---- All of it ---- */

static void find_files(struct files *files, struct cr_model *model)
{
    struct cr_error err = CR_ERROR_INIT;
    size_t count;
    check(cr_model_tensors(model, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        const char *path = cr_model_tensor(model, i).file;
        size_t j = 0;
        while (j < files->count && strcmp(files->path[j], path) != 0)
            j++;
        if (j < files->count)
            continue;
        int file = open(path, O_RDONLY);
        off_t end = file < 0 ? -1 : lseek(file, 0, SEEK_END);
        if (end <= 0 || files->count == MAX_FILES)
            fail(path);
        close(file);
        files->path[files->count] = path;
        files->bytes[files->count++] = (size_t)end;
        files->total += (size_t)end;
    }
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

enum {
    CAT,
    PLAIN,
    LOAD,
    WAYS
};

static void run(const char *name, int repeats, const struct files *files,
                const struct cr_registry *registry)
{
    static double wall[WAYS][MAX_REPEATS + 1], busy[WAYS][MAX_REPEATS + 1];
    static const char *const names[WAYS] = {"cat", "plain", "load"};
    const double gigabytes = (double)files->total * 1e-9;
    for (int i = 0; i <= repeats; i++)
        for (int way = 0; way < WAYS; way++) {
            struct cr_device *device = way == LOAD ? open_device(registry) : NULL;
            double start = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
            if (way == CAT)
                cat(files);
            else if (way == PLAIN)
                read_plainly(files);
            else
                load(name, device);
            /* Number 0 warms up: it is overwritten. */
            wall[way][i == 0 ? 0 : i - 1] = seconds(CLOCK_MONOTONIC) - start;
            busy[way][i == 0 ? 0 : i - 1] = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
            cr_device_unref(&device);
        }
    for (int way = 0; way < WAYS; way++) {
        qsort(wall[way], (size_t)repeats, sizeof(double), compare);
        qsort(busy[way], (size_t)repeats, sizeof(double), compare);
        printf("%-6s %6.2f GB/s, %.2f of cat; best %6.2f; %.3f s of processor time a GB\n",
               names[way], gigabytes / wall[way][repeats / 2],
               wall[CAT][repeats / 2] / wall[way][repeats / 2], gigabytes / wall[way][0],
               busy[way][repeats / 2] / gigabytes);
    }
}

int main(int argc, char **argv)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_registry_params params = {.no_cache = true};
    struct cr_registry *registry;
    struct cr_model *model;
    struct files files = {.count = 0};
    int repeats = 9, at = 1;
    for (; at + 2 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--repeats") == 0)
            repeats = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--plugin-path") == 0)
            params.path = argv[at + 1];
        else
            fail("there is --repeats N and --plugin-path DIRS");
    }
    if (at + 1 != argc || repeats < 1 || repeats > MAX_REPEATS)
        fail("usage: loading [--repeats 1..100] [--plugin-path DIRS] MODEL");
    check(cr_registry_create(&registry, &params, &err), &err);
    check(cr_model_open(&model, argv[at], NULL, &err), &err);
    find_files(&files, model);
    run(argv[at], repeats, &files, registry);
    cr_model_unref(&model);
    cr_registry_destroy(&registry);
    return 0;
}
