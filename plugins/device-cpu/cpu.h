/* SPDX-License-Identifier: MIT */
/* cpu.h: the CPU device: its state, its threads, how kernels see operands. */
#ifndef CPU_H
#define CPU_H

#include <crayon/memory.h>
#include <crayon/ops.h>

/* ---- What the processor can do ---- */

enum cpu_level {
    CPU_PLAIN,  /* C as the compiler makes it */
    CPU_AVX2,   /* x86-64 with AVX2, FMA and F16C */
    CPU_AVX512, /* and AVX-512 F, BW, DQ, VL */
    CPU_NEON,   /* AArch64 */
};

struct cpu_features {
    enum cpu_level level; /* the best that is present and not switched off */
    bool vnni;            /* AVX-512 VNNI: 8-bit dot products */
    bool dotprod;         /* AArch64 dot product */
    char title[128];      /* "AMD EPYC" */
    long l1, l2, l3;      /* bytes of one cache, 0: unknown */
};

/* What is there, less what $CRAYON_CPU_DISABLE names (avx512, avx2, vnni, neon, dotprod; commas
 * between). */
void cpu_detect(struct cpu_features *features);
/* Is OpenBLAS compiled in, and "openblas" not switched off? */
bool cpu_blas_allowed(void);
const char *cpu_level_name(enum cpu_level level);

/* Functions for one instruction set are marked, so that one file holds all variants of a kernel and
 * the compiler's flags need not differ. */
#if defined(__x86_64__)
#define CPU_X86 1
#define CPU_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define CPU_TARGET_AVX512                                                                          \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#define CPU_TARGET_VNNI                                                                            \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#else
#define CPU_X86 0
#endif
#if defined(__AARCH64EL__)
#define CPU_ARM 1
#if defined(__clang__)
#define CPU_TARGET_DOTPROD __attribute__((target("dotprod")))
#else
#define CPU_TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#else
#define CPU_ARM 0
#endif

/* ---- Threads ---- */

/* Workers that sleep while there is nothing to do. Tasks are taken one by one from a shared
 * counter, so that a worker whose core is busy with something else takes fewer; nobody spins. What
 * a task computes must not depend on who computes it. */
struct cpu_pool;
int cpu_pool_create(struct cpu_pool **out, int threads, struct cr_error *err);
void cpu_pool_destroy(struct cpu_pool **pool);
int cpu_pool_threads(const struct cpu_pool *pool);

/* Run task(argument, i, worker) for i in 0..tasks-1 and wait; worker < threads. Not to be nested.
 */
typedef void (*cpu_task)(void *argument, int64_t index, int worker);
void cpu_parallel(struct cpu_pool *pool, int64_t tasks, cpu_task task, void *argument);

/* ---- The device ---- */

struct cpu {
    struct cr_device_params params;
    struct cpu_features features;
    struct cpu_pool *pool;
    bool blas; /* use OpenBLAS for large float products */
    struct {
        void *memory;
        size_t bytes;
    } * scratch;          /* one for each worker, and one more for the caller */
    struct cr_error late; /* of a finished call, not yet reported */
};

/* Memory for tensors, aligned to 64 at least; large blocks lie in large pages where the system has
 * them. NULL when memory is exhausted. */
void *cpu_memory_alloc(size_t bytes);
void cpu_memory_free(void *memory);

/* At least `bytes` of scratch that worker `worker` (or, with threads, the caller) keeps from call
 * to call: nothing is allocated in the steady state. Aligned to 64. NULL when memory is exhausted.
 */
void *cpu_scratch(struct cpu *cpu, int worker, size_t bytes);
static inline void *cpu_caller_scratch(struct cpu *cpu, size_t bytes)
{
    return cpu_scratch(cpu, cpu_pool_threads(cpu->pool), bytes);
}

/* An error that is reported at the next synchronisation (the first one stays). Call it from the
 * submitting thread. */
void cpu_late(struct cpu *cpu, const struct cr_call *call, const char *format, ...) CR_PRINTF(3, 4);

static inline enum cpu_level cpu_level(const struct cpu *cpu)
{
    return cpu->features.level;
}

/* Measure the processor's limits: limits.c. */
int cpu_limits(void *state, struct cr_device_limits *limits, struct cr_error *err);

/* ---- Operands ---- */

static inline bool cpu_present(const struct cr_operand *operand)
{
    return operand->memory != NULL;
}

/* The first element, or the codes; NULL for an absent operand. */
static inline void *cpu_data(const struct cr_operand *operand)
{
    return operand->memory == NULL ? NULL : (char *)operand->memory + operand->offset;
}

static inline void *cpu_scales(const struct cr_operand *operand)
{
    return (char *)operand->memory + operand->scales;
}

static inline int64_t cpu_elements(const struct cr_operand *operand)
{
    int64_t elements = 1;
    for (int i = 0; i < operand->rank; i++)
        elements *= operand->shape[i];
    return elements;
}

static inline int64_t cpu_last(const struct cr_operand *operand)
{
    return operand->rank == 0 ? 1 : operand->shape[operand->rank - 1];
}

/* The product of all extents but the last. */
static inline int64_t cpu_rows(const struct cr_operand *operand)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < operand->rank; i++)
        rows *= operand->shape[i];
    return rows;
}

/* ---- Kernels ---- */

/* Execute a call. CR_ERR_MEMORY when scratch cannot be had. */
typedef int (*cpu_kernel)(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
/* The name of the variant that would run; may be NULL in a family: "plain". */
typedef const char *(*cpu_variant)(const struct cpu *cpu, const struct cr_call *call);

struct cpu_entry {
    enum cr_op op; /* 0 ends a family */
    cpu_kernel run;
    cpu_variant variant;
};

/* A family of kernels is a file or a few; device.c lists them. */
extern const struct cpu_entry cpu_elements_family[]; /* elements.c: add .. silu_mul, fill, cast */
extern const struct cpu_entry
    cpu_reduce_family[]; /* reduce.c: softmax .. sum_squares, argmax, topk, norms */
extern const struct cpu_entry cpu_layout_family[];  /* layout.c: slice, concat, permute, pad, roll,
                                                       rows, embedding, kv_append, rope */
extern const struct cpu_entry cpu_picture_family[]; /* picture.c: conv2d, resize */
extern const struct cpu_entry cpu_linear_family[];  /* linear.c: linear, linear_fused, matmul */
extern const struct cpu_entry cpu_attention_family[]; /* attention.c: attention, ms_deform_attn */
extern const struct cpu_entry cpu_quantize_family[];  /* quantize.c: quantize, dequantize */
extern const struct cpu_entry
    cpu_train_family[]; /* train.c: linear_cross_entropy, adamw_step, grad_norm */

#endif
