/* SPDX-License-Identifier: MIT */
/* lanes.h: kernels that are written once, with vectors of 8 numbers as the compilers have them,
 * and compiled for each instruction set. */
#ifndef CPU_LANES_H
#define CPU_LANES_H

#include "simd.h"

#define CPU_LANES 8

typedef float cpu_v8 __attribute__((vector_size(32)));
typedef int32_t cpu_v8i __attribute__((vector_size(32)));
/* The same anywhere in memory. */
typedef float cpu_v8_at __attribute__((vector_size(32), aligned(4), may_alias));

#define CPU_LOAD8(at) ((cpu_v8)(*(const cpu_v8_at *)(const void *)(at)))
#define CPU_STORE8(at, value) (*(cpu_v8_at *)(void *)(at) = (value))

/* Every other number of a and b, from the first or from the second on. */
#if defined(__clang__)
#define CPU_EVEN8(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define CPU_ODD8(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#else
#define CPU_EVEN8(a, b) __builtin_shuffle(a, b, (cpu_v8i){0, 2, 4, 6, 8, 10, 12, 14})
#define CPU_ODD8(a, b) __builtin_shuffle(a, b, (cpu_v8i){1, 3, 5, 7, 9, 11, 13, 15})
#endif

/* name(level, ...) from name_body(level, ...), an always inlined function. `parameters` and
 * `arguments` are lists in parentheses; the first is `enum cpu_level level`. */
#if CPU_X86
#define CPU_VARIANTS(name, parameters, arguments)                                                  \
    CPU_TARGET_AVX512 static void name##_avx512 parameters                                         \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }                                                                                              \
    CPU_TARGET_AVX2 static void name##_avx2 parameters                                             \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }                                                                                              \
    static void name parameters                                                                    \
    {                                                                                              \
        if (level == CPU_AVX512)                                                                   \
            name##_avx512 arguments;                                                               \
        else if (level == CPU_AVX2)                                                                \
            name##_avx2 arguments;                                                                 \
        else                                                                                       \
            name##_body arguments;                                                                 \
    }
#else
#define CPU_VARIANTS(name, parameters, arguments)                                                  \
    static void name parameters                                                                    \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }
#endif

#endif
