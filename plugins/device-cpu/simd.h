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

/* Unroll the loop that follows completely (its bounds are constants). */
#if defined(__clang__)
#define CPU_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CPU_UNROLL _Pragma("GCC unroll 32")
#endif

#endif
