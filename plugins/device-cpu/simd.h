/* SPDX-License-Identifier: MIT */
/* simd.h: small helpers for kernels with intrinsics. */
#ifndef CPU_SIMD_H
#define CPU_SIMD_H

#include "cpu.h"

#if CPU_X86
#include <immintrin.h>
#endif
#if CPU_ARM
#include <arm_neon.h>
#endif

#define CPU_INLINE static inline __attribute__((always_inline))

/* Unroll the loop that follows completely (its bounds are constants). Not under a sanitizer: with a
 * check at every access the unrolled kernels take compilers minutes. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(undefined_behavior_sanitizer)
#define CPU_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CPU_SANITIZED 1
#endif
#if defined(CPU_SANITIZED) && defined(__clang__)
#define CPU_UNROLL _Pragma("clang loop unroll(disable)")
#elif defined(CPU_SANITIZED)
#define CPU_UNROLL _Pragma("GCC unroll 1")
#elif defined(__clang__)
#define CPU_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CPU_UNROLL _Pragma("GCC unroll 32")
#endif

/* Loads do not move across it: gcc's scheduler brings all loads of a long loop to its start, and
 * registers run out. */
#if defined(__clang__)
#define CPU_ORDER ((void)0)
#else
#define CPU_ORDER __asm__ volatile("" ::: "memory")
#endif

#endif
