/* SPDX-License-Identifier: MIT */
/* neon.h: 16 quantised weights as f32. */
#ifndef CPU_NEON_H
#define CPU_NEON_H

#include "simd.h"

#if CPU_ARM
/* The 16 values of nf4 by their bytes: plane j holds byte j of each, so that a byte look-up finds
 * that byte of 16 codes at once. */
CPU_INLINE uint8x16x4_t cpu_nf4_planes(void)
{
    return vld4q_u8((const uint8_t *)cr_nf4_values());
}

/* The values of 16 codes: four look-ups, and the bytes zipped into words. */
CPU_INLINE float32x4x4_t cpu_nf4_16(const uint8x16x4_t planes, uint8x16_t codes)
{
    uint8x16_t b0 = vqtbl1q_u8(planes.val[0], codes), b1 = vqtbl1q_u8(planes.val[1], codes);
    uint8x16_t b2 = vqtbl1q_u8(planes.val[2], codes), b3 = vqtbl1q_u8(planes.val[3], codes);
    uint16x8_t low0 = vreinterpretq_u16_u8(vzip1q_u8(b0, b1));
    uint16x8_t low1 = vreinterpretq_u16_u8(vzip2q_u8(b0, b1));
    uint16x8_t high0 = vreinterpretq_u16_u8(vzip1q_u8(b2, b3));
    uint16x8_t high1 = vreinterpretq_u16_u8(vzip2q_u8(b2, b3));
    return (float32x4x4_t){{vreinterpretq_f32_u16(vzip1q_u16(low0, high0)),
                            vreinterpretq_f32_u16(vzip2q_u16(low0, high0)),
                            vreinterpretq_f32_u16(vzip1q_u16(low1, high1)),
                            vreinterpretq_f32_u16(vzip2q_u16(low1, high1))}};
}

/* Where a look-up finds 16 whole numbers, to put each into the highest byte of a word; index 255
 * gives 0. */
CPU_INLINE uint8x16x4_t cpu_s8_places(void)
{
    static const uint8_t places[4][16] = {
        {255, 255, 255, 0, 255, 255, 255, 1, 255, 255, 255, 2, 255, 255, 255, 3},
        {255, 255, 255, 4, 255, 255, 255, 5, 255, 255, 255, 6, 255, 255, 255, 7},
        {255, 255, 255, 8, 255, 255, 255, 9, 255, 255, 255, 10, 255, 255, 255, 11},
        {255, 255, 255, 12, 255, 255, 255, 13, 255, 255, 255, 14, 255, 255, 255, 15},
    };
    uint8x16x4_t result;
    CPU_UNROLL
    for (int i = 0; i < 4; i++) {
        uint8x16_t place = vld1q_u8(places[i]);
        /* Otherwise gcc knows it as a constant, and loads it anew wherever it is used. */
        __asm__("" : "+w"(place));
        result.val[i] = place;
    }
    return result;
}

/* 16 whole numbers: the conversion takes the words for fixed-point numbers with 24 fraction bits.
 * Widening by steps would take half an instruction more for each vector. */
CPU_INLINE float32x4x4_t cpu_s8_16(const uint8x16x4_t places, int8x16_t codes)
{
    float32x4x4_t result;
    CPU_UNROLL
    for (int i = 0; i < 4; i++) {
        int8x16_t placed = vqtbl1q_s8(codes, places.val[i]);
        result.val[i] = vcvtq_n_f32_s32(vreinterpretq_s32_s8(placed), 24);
    }
    return result;
}

CPU_INLINE float32x4x4_t cpu_f16_16(const uint16_t *half)
{
    float16x8_t low = vreinterpretq_f16_u16(vld1q_u16(half));
    float16x8_t high = vreinterpretq_f16_u16(vld1q_u16(half + 8));
    return (float32x4x4_t){{vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low),
                            vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)}};
}
#endif

#endif
