/* SPDX-License-Identifier: MIT */
/* device-cpu: executes every call at once, in the thread that submits it and the pool's workers. */
#define _GNU_SOURCE /* sched_getaffinity */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <crayon/plugin.h>

#include "cpu.h"

#define ALIGNMENT 64
#define HUGE_PAGE ((size_t)2 << 20)
#define MAX_THREADS 256

static const struct cpu_entry *const families[] = {
    cpu_elements_family, cpu_reduce_family,    cpu_layout_family,   cpu_picture_family,
    cpu_linear_family,   cpu_attention_family, cpu_quantize_family, cpu_train_family,
};

static const struct cpu_entry *find(int op)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        for (const struct cpu_entry *entry = families[i]; entry->op != 0; entry++)
            if ((int)entry->op == op)
                return entry;
    return NULL;
}

/* ---- Memory: aligned, with the true start just below ---- */

void *cpu_memory_alloc(size_t bytes)
{
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    if (bytes > SIZE_MAX - alignment - sizeof(void *))
        return NULL;
    char *start = cr_malloc(bytes + alignment + sizeof(void *));
    if (start == NULL)
        return NULL;
    uintptr_t at = ((uintptr_t)start + sizeof(void *) + alignment - 1) / alignment * alignment;
    memcpy((void *)(at - sizeof(void *)), &start, sizeof(void *));
#ifdef MADV_HUGEPAGE
    /* Weights are read from end to end: large pages give a fifth more bandwidth. A refusal changes
     * nothing. */
    if (bytes >= HUGE_PAGE)
        (void)madvise((void *)at, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return (void *)at;
}

void cpu_memory_free(void *memory)
{
    if (memory == NULL)
        return;
    void *start;
    memcpy(&start, (char *)memory - sizeof(void *), sizeof(void *));
    cr_free(start);
}

void *cpu_scratch(struct cpu *cpu, int worker, size_t bytes)
{
    if (cpu->scratch[worker].memory != NULL && cpu->scratch[worker].bytes >= bytes)
        return cpu->scratch[worker].memory;
    cpu_memory_free(cpu->scratch[worker].memory);
    cpu->scratch[worker].memory = cpu_memory_alloc(bytes);
    cpu->scratch[worker].bytes = cpu->scratch[worker].memory == NULL ? 0 : bytes;
    return cpu->scratch[worker].memory;
}

/* ---- The table ---- */

/* Processors that this process may run on. */
static int usable_processors(void)
{
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static uint64_t physical_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static void fill_info(const struct cpu_features *features, int threads, struct cr_device_info *info)
{
    snprintf(info->name, sizeof(info->name), "cpu");
    snprintf(info->title, sizeof(info->title), "%s", features->title);
    snprintf(info->driver, sizeof(info->driver), "%s%s%s", cpu_level_name(features->level),
             features->vnni ? ", vnni" : "", features->dotprod ? ", dotprod" : "");
    snprintf(info->detail, sizeof(info->detail),
             "kernels: %s (switch off with CRAYON_CPU_DISABLE)\n"
             "caches: %ld KiB, %ld KiB, %ld KiB\n"
             "float products: %s",
             cpu_level_name(features->level), features->l1 / 1024, features->l2 / 1024,
             features->l3 / 1024,
#ifdef HAVE_OPENBLAS
             "OpenBLAS where it is faster"
#else
             "own kernels"
#endif
    );
    info->memory = physical_memory();
    info->threads = (uint32_t)threads;
}

static int list(struct cr_device_found *found, struct cr_error *err)
{
    (void)err;
    struct cpu_features features;
    struct cr_device_info info = {.size = sizeof(info)};
    cpu_detect(&features);
    fill_info(&features, usable_processors(), &info);
    cr_device_found_add(found, &info);
    return 0;
}

static void close_cpu(void *state)
{
    struct cpu *cpu = state;
    int slots = cpu->pool == NULL ? 0 : cpu_pool_threads(cpu->pool) + 1;
    for (int i = 0; i < slots && cpu->scratch != NULL; i++)
        cpu_memory_free(cpu->scratch[i].memory);
    cr_free(cpu->scratch);
    cpu->scratch = NULL;
    cpu_pool_destroy(&cpu->pool);
}

static int open_cpu(void *state, const char *selector, const struct cr_device_params *params,
                    struct cr_error *err)
{
    struct cpu *cpu = state;
    if (selector[0] != '\0')
        return cr_fail(err, CR_ERR_NOT_FOUND, "no device \"cpu:%s\"; there is one: cpu", selector);
    if (params->threads < 0 || params->threads > MAX_THREADS)
        return cr_fail(err, CR_ERR_ARGUMENT, "%d threads: 1..%d, or 0 for one per processor",
                       params->threads, MAX_THREADS);
    cpu->params = *params;
    cpu_detect(&cpu->features);
    cpu->blas = cpu_blas_allowed();
    int threads = params->threads > 0 ? params->threads : usable_processors();
    threads = threads > MAX_THREADS ? MAX_THREADS : threads;
    int result = cpu_pool_create(&cpu->pool, threads, err);
    if (result == 0 &&
        (cpu->scratch = cr_calloc((size_t)threads + 1, sizeof(*cpu->scratch))) == NULL)
        result = cr_fail_memory(err, ((size_t)threads + 1) * sizeof(*cpu->scratch));
    if (result < 0)
        close_cpu(cpu);
    return result;
}

static void info_cpu(const void *state, struct cr_device_info *info)
{
    const struct cpu *cpu = state;
    fill_info(&cpu->features, cpu_pool_threads(cpu->pool), info);
}

static bool supports(const void *state, const struct cr_call *call)
{
    (void)state;
    return find(call->op) != NULL;
}

static const char *variant(const void *state, const struct cr_call *call)
{
    const struct cpu_entry *entry = find(call->op);
    return entry == NULL ? NULL : entry->variant == NULL ? "plain" : entry->variant(state, call);
}

static int alloc_memory(void *state, size_t bytes, void **memory, struct cr_error *err)
{
    (void)state;
    *memory = cpu_memory_alloc(bytes);
    return *memory != NULL ? 0 : cr_fail_memory(err, bytes);
}

static void free_memory(void *state, void *memory)
{
    (void)state;
    cpu_memory_free(memory);
}

static void *map_memory(void *state, void *memory)
{
    (void)state;
    return memory;
}

static int upload(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err)
{
    (void)state;
    (void)err;
    memcpy((char *)memory + offset, data, bytes);
    return 0;
}

/* Report what went wrong since the last synchronisation, once. */
static int report_late(struct cpu *cpu, struct cr_error *err)
{
    int code = cpu->late.code;
    if (code != 0)
        cr_fail(err, code, "%s", cpu->late.message);
    cr_error_clear(&cpu->late);
    return code;
}

static int download(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err)
{
    memcpy(data, (char *)memory + offset, bytes);
    return report_late(state, err);
}

void cpu_late(struct cpu *cpu, const struct cr_call *call, const char *format, ...)
{
    if (cpu->late.code != 0)
        return;
    va_list args;
    va_start(args, format);
    cr_failv(&cpu->late, CR_ERR_DEVICE, format, args);
    va_end(args);
    cr_error_prefix(&cpu->late, "%s", cr_op_name((enum cr_op)call->op));
}

static int submit(void *state, const struct cr_call *call, struct cr_error *err)
{
    const struct cpu_entry *entry = find(call->op);
    if (entry == NULL)
        return cr_fail(err, CR_ERR_UNSUPPORTED, "the device cpu has no such operation");
    return entry->run(state, call, err);
}

static int flush(void *state, struct cr_error *err)
{
    (void)state;
    (void)err;
    return 0;
}

static int wait_all(void *state, double seconds, struct cr_error *err)
{
    (void)seconds;
    return report_late(state, err);
}

static void memory_figures(const void *state, uint64_t *total, uint64_t *free_bytes)
{
    (void)state;
    *total = physical_memory();
    *free_bytes = cr_memory_available();
}

static const struct cr_device_ops cpu_ops = {
    .size = sizeof(struct cr_device_ops),
    .list = list,
    .open = open_cpu,
    .info = info_cpu,
    .supports = supports,
    .variant = variant,
    .alloc = alloc_memory,
    .free = free_memory,
    .upload = upload,
    .download = download,
    .submit = submit,
    .flush = flush,
    .wait = wait_all,
    .memory = memory_figures,
    .close = close_cpu,
    .limits = cpu_limits,
    .map = map_memory,
};

static const struct cr_element device_cpu = {
    .size = sizeof(struct cr_element),
    .kind = CR_ELEMENT_DEVICE,
    .name = "device-cpu",
    .summary = "tensor operations on the processor",
    .description =
        "Executes every operation on the processor, with kernels for AVX-512, AVX2 and NEON chosen "
        "when the device is opened, and plain C everywhere else. Worker threads sleep while there "
        "is nothing to do and never wait by spinning, so that a neighbour on one of the processors "
        "costs its share and no more.\n\n"
        "The same input gives the same bits for a given number of threads.",
    .state_size = sizeof(struct cpu),
    .device = &cpu_ops,
};

CR_PLUGIN("device-cpu", CR_VERSION, "MIT", "tensor operations on the processor", &device_cpu);
