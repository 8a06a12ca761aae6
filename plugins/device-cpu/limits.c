/* SPDX-License-Identifier: MIT */
/* What this processor can do at most, with the threads of the device: the best of a few runs, since
 * what a neighbour takes away is no limit of the processor. */
#include <string.h>
#include <time.h>

#include "gemm.h"
#include "simd.h"
#include "tile.h"

#define RUNS 7
#define MEMORY ((size_t)1 << 30) /* more than caches hold */
#define PIECE ((size_t)1 << 20)
#define SIDE 1024 /* of the matrices of sgemm */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct probe {
    struct cpu *cpu;
    char *memory;
    double *sink; /* one for each worker, 8 apart: what is computed must be used */
    float *a, *b, *y;
};

/* The least time of a few runs of all tasks. */
static double measure(struct probe *probe, int64_t tasks, cpu_task task)
{
    double least = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = seconds();
        cpu_parallel(probe->cpu->pool, tasks, task, probe);
        double time = seconds() - start;
        least = i == 0 || time < least ? time : least;
    }
    return least;
}

/* ---- Memory ---- */

static uint64_t read_plain(const char *from)
{
    uint64_t sums[8] = {0}, words[8];
    for (size_t i = 0; i < PIECE; i += sizeof(words)) {
        memcpy(words, from + i, sizeof(words));
        for (int j = 0; j < 8; j++)
            sums[j] ^= words[j];
    }
    return sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
}

#if CPU_X86
CPU_TARGET_AVX2 static uint64_t read_avx2(const char *from)
{
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < PIECE; i += 128) {
        const __m256i *at = (const __m256i *)(const void *)(from + i);
        s0 = _mm256_xor_si256(s0, _mm256_loadu_si256(at));
        s1 = _mm256_xor_si256(s1, _mm256_loadu_si256(at + 1));
        s2 = _mm256_xor_si256(s2, _mm256_loadu_si256(at + 2));
        s3 = _mm256_xor_si256(s3, _mm256_loadu_si256(at + 3));
    }
    uint64_t lanes[4];
    s0 = _mm256_xor_si256(_mm256_xor_si256(s0, s1), _mm256_xor_si256(s2, s3));
    _mm256_storeu_si256((__m256i *)(void *)lanes, s0);
    return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
}
#endif

static void read_task(void *argument, int64_t index, int worker)
{
    struct probe *probe = argument;
    const char *from = probe->memory + (size_t)index * PIECE;
#if CPU_X86
    if (cpu_level(probe->cpu) >= CPU_AVX2) {
        probe->sink[8 * worker] += (double)(read_avx2(from) & 1);
        return;
    }
#endif
    probe->sink[8 * worker] += (double)(read_plain(from) & 1);
}

/* From the first half of the memory to the second. */
static void copy_task(void *argument, int64_t index, int worker)
{
    struct probe *probe = argument;
    (void)worker;
    char *from = probe->memory + (size_t)index * PIECE;
    memcpy(from + MEMORY / 2, from, PIECE);
}

/* ---- Arithmetic ---- */

#define ADDS 4000000
#define CHAINS 12 /* independent sums: enough to hide the latency of an addition */

static double add_plain(void)
{
    float sums[CHAINS][8];
    for (int c = 0; c < CHAINS; c++)
        for (int j = 0; j < 8; j++)
            sums[c][j] = (float)(c + j);
    for (int i = 0; i < ADDS / 20; i++)
        for (int c = 0; c < CHAINS; c++)
            for (int j = 0; j < 8; j++)
                sums[c][j] = sums[c][j] * 0.999f + 0.001f;
    double total = 0;
    for (int c = 0; c < CHAINS; c++)
        for (int j = 0; j < 8; j++)
            total += sums[c][j];
    return total;
}

#if CPU_X86
CPU_TARGET_AVX2 static double add_avx2(void)
{
    __m256 sums[CHAINS];
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    CPU_UNROLL
    for (int c = 0; c < CHAINS; c++)
        sums[c] = _mm256_set1_ps((float)c);
    for (int i = 0; i < ADDS; i++)
        CPU_UNROLL
    for (int c = 0; c < CHAINS; c++)
        sums[c] = _mm256_fmadd_ps(sums[c], a, b);
    double total = 0;
    for (int c = 0; c < CHAINS; c++)
        total += (double)_mm256_cvtss_f32(sums[c]);
    return total;
}

CPU_TARGET_AVX512 static double add_avx512(void)
{
    __m512 sums[CHAINS];
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    CPU_UNROLL
    for (int c = 0; c < CHAINS; c++)
        sums[c] = _mm512_set1_ps((float)c);
    for (int i = 0; i < ADDS; i++)
        CPU_UNROLL
    for (int c = 0; c < CHAINS; c++)
        sums[c] = _mm512_fmadd_ps(sums[c], a, b);
    double total = 0;
    for (int c = 0; c < CHAINS; c++)
        total += (double)_mm512_cvtss_f32(sums[c]);
    return total;
}
#endif

#if CPU_ARM
#define NEON_CHAINS 24 /* for four units */

static double add_neon(void)
{
    float32x4_t sums[NEON_CHAINS];
    const float32x4_t a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
    CPU_UNROLL
    for (int c = 0; c < NEON_CHAINS; c++)
        sums[c] = vdupq_n_f32((float)c);
    for (int i = 0; i < ADDS; i++)
        CPU_UNROLL
    for (int c = 0; c < NEON_CHAINS; c++)
        sums[c] = vfmaq_f32(sums[c], a, b);
    double total = 0;
    CPU_UNROLL
    for (int c = 0; c < NEON_CHAINS; c++)
        total += (double)vaddvq_f32(sums[c]);
    return total;
}
#endif

static void add_task(void *argument, int64_t index, int worker)
{
    struct probe *probe = argument;
    (void)index;
#if CPU_X86
    if (cpu_level(probe->cpu) >= CPU_AVX2) {
        probe->sink[8 * worker] += cpu_level(probe->cpu) == CPU_AVX512 ? add_avx512() : add_avx2();
        return;
    }
#elif CPU_ARM
    if (cpu_level(probe->cpu) == CPU_NEON) {
        probe->sink[8 * worker] += add_neon();
        return;
    }
#endif
    probe->sink[8 * worker] += add_plain();
}

/* Operations of one task. */
static double add_operations(const struct cpu *cpu)
{
    switch (cpu_level(cpu)) {
    case CPU_AVX512:
        return 2.0 * ADDS * CHAINS * 16;
    case CPU_AVX2:
        return 2.0 * ADDS * CHAINS * 8;
#if CPU_ARM
    case CPU_NEON:
        return 2.0 * ADDS * NEON_CHAINS * 4;
#endif
    default:
        return 2.0 * (ADDS / 20) * CHAINS * 8;
    }
}

/* ---- A product ---- */

static struct cpu_matrix matrix_a(const void *user, int64_t item)
{
    (void)item;
    return (struct cpu_matrix){((const struct probe *)user)->a, SIDE, 1};
}

static struct cpu_matrix matrix_b(const void *user, int64_t item)
{
    (void)item;
    return (struct cpu_matrix){((const struct probe *)user)->b, SIDE, 1};
}

static float *matrix_y(const void *user, int64_t item)
{
    (void)item;
    return ((const struct probe *)user)->y;
}

/* The better of OpenBLAS and our own kernels. */
static int measure_sgemm(struct probe *probe, double *rate, struct cr_error *err)
{
    const struct cpu_gemm gemm = {1,        SIDE,     SIDE,     SIDE, 1,
                                  matrix_a, matrix_b, matrix_y, SIDE, probe};
    const struct cpu_weights w = {
        .dtype = CR_DTYPE_F32, .rows = SIDE, .columns = SIDE, .data = probe->b};
    int ways = cpu_blas_wanted(probe->cpu, &w, SIDE) ? 2 : 1;
    double least = 0;
    for (int i = 0; i < RUNS * ways; i++) {
        int result = 0;
        double start = seconds();
        if (i % ways == 1)
            cpu_blas_linear(probe->cpu, probe->a, &w, SIDE, NULL, probe->y);
        else
            result = cpu_gemm_run(probe->cpu, &gemm, err);
        double time = seconds() - start;
        if (result < 0)
            return result;
        least = i == 0 || time < least ? time : least;
    }
    *rate = 2.0 * SIDE * SIDE * SIDE / least;
    return 0;
}

int cpu_limits(void *state, struct cr_device_limits *limits, struct cr_error *err)
{
    struct cpu *cpu = state;
    const int threads = cpu_pool_threads(cpu->pool);
    struct probe probe = {.cpu = cpu};
    probe.sink = cr_calloc((size_t)threads * 8, sizeof(double));
    probe.memory = cpu_memory_alloc(MEMORY);
    if (probe.sink == NULL || probe.memory == NULL) {
        cr_free(probe.sink);
        cpu_memory_free(probe.memory);
        return cr_fail_memory(err, MEMORY);
    }
    memset(probe.memory, 0, MEMORY);
    probe.a = (float *)(void *)probe.memory;
    probe.b = probe.a + SIDE * SIDE;
    probe.y = probe.b + SIDE * SIDE;
    limits->read_bytes = (double)MEMORY / measure(&probe, MEMORY / PIECE, read_task);
    limits->copy_bytes = (double)MEMORY / measure(&probe, MEMORY / 2 / PIECE, copy_task);
    limits->multiply_adds = threads * add_operations(cpu) / measure(&probe, threads, add_task);
    int result = measure_sgemm(&probe, &limits->sgemm, err);
    /* Where the compiler makes less of the sums than of the micro-kernel, that is what shows the
     * rate. */
    if (limits->sgemm > limits->multiply_adds)
        limits->multiply_adds = limits->sgemm;
    cpu_memory_free(probe.memory);
    cr_free(probe.sink);
    return result;
}
