/* SPDX-License-Identifier: MIT */
/* Products with 8-bit activations, for AArch64 processors that multiply and add bytes by fours.
 * Sums of a block are whole numbers and exact; four blocks become one vector, which the products of
 * their scales multiply. */
#include <string.h>

#include "neon.h"
#include "vector.h"

#if CPU_ARM

#define AHEAD 1024
#define GROUP 4        /* blocks */
#define BLOCK_BYTES 32 /* codes of a block, of either type */

/* acc[i] += the products of bytes 4 i .. 4 i + 3. */
CPU_TARGET_DOTPROD CPU_INLINE int32x4_t dot(int32x4_t acc, int8x16_t a, int8x16_t b)
{
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(acc) : "w"(a), "w"(b));
    return acc;
}

/* ---- x as bytes ---- */

/* 16 numbers, to nearest even. */
CPU_INLINE void put_codes(const float32x4_t *v, float inverse, int8_t *codes)
{
    int16x4_t half[4];
    CPU_UNROLL
    for (int i = 0; i < 4; i++)
        half[i] = vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(v[i], inverse)));
    vst1q_s8(codes, vcombine_s8(vqmovn_s16(vcombine_s16(half[0], half[1])),
                                vqmovn_s16(vcombine_s16(half[2], half[3]))));
}

/* One block: the largest magnitude becomes 127. A NaN is the largest of all, and its scale. */
static float quantise(const float *x, int block, bool even_odd, int8_t *codes)
{
    float32x4_t top = vdupq_n_f32(0);
    for (int i = 0; i < block; i += 4)
        top = vmaxq_f32(top, vabsq_f32(vld1q_f32(x + i)));
    float scale = vmaxvq_f32(top) / 127;
    float inverse = scale < 0x1p-126f ? 0 : 1 / scale;
    for (int i = 0; i < block; i += 32) {
        float32x4_t v[8];
        for (int j = 0; j < 8; j += 2) {
            if (even_odd) {
                float32x4x2_t pair = vld2q_f32(x + i + 4 * j);
                v[j / 2] = pair.val[0];
                v[j / 2 + 4] = pair.val[1];
            } else {
                v[j] = vld1q_f32(x + i + 4 * j);
                v[j + 1] = vld1q_f32(x + i + 4 * j + 4);
            }
        }
        put_codes(v, inverse, codes + i);
        put_codes(v + 4, inverse, codes + i + 16);
    }
    return inverse == 0 ? 0 * scale : scale;
}

void cpu_vector_bytes(enum cpu_x_order order, const float *x, int64_t m, int64_t k, float *out)
{
    const int block = order == CPU_X_BYTES_32 ? 32 : 64;
    int8_t *codes = (int8_t *)out;
    float *scales = (float *)(void *)(codes + m * k);
    for (int64_t i = 0; i < m * k / block; i++)
        scales[i] = quantise(x + i * block, block, order == CPU_X_BYTES_64, codes + i * block);
}

/* ---- Blocks ---- */

CPU_TARGET_DOTPROD CPU_INLINE int32x4_t q8_0_block(const int8_t *w, const int8_t *x)
{
    int32x4_t acc = dot(vdupq_n_s32(0), vld1q_s8(w), vld1q_s8(x));
    return dot(acc, vld1q_s8(w + 16), vld1q_s8(x + 16));
}

/* The values of nf4 as whole numbers of 16 bits, 256 high + low: 127 x 256 is 1. */
struct nf4_bytes {
    int8x16_t high, low;
};

static struct nf4_bytes nf4_bytes(void)
{
    int8_t high[16], low[16];
    for (int i = 0; i < 16; i++) {
        float value = cr_nf4_values()[i] * (127 * 256);
        int whole = (int)(value + (value < 0 ? -0.5f : 0.5f));
        high[i] = (int8_t)((whole + 32768 + 128) / 256 - 128);
        low[i] = (int8_t)(whole - 256 * high[i]);
    }
    return (struct nf4_bytes){vld1q_s8(high), vld1q_s8(low)};
}

/* x: in each 32 the 16 even ones, then the 16 odd ones. */
CPU_TARGET_DOTPROD CPU_INLINE int32x4_t nf4_block(const struct nf4_bytes *values,
                                                  const uint8_t *codes, const int8_t *x)
{
    int32x4_t high = vdupq_n_s32(0), low = high;
    CPU_UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t pairs = vld1q_u8(codes + 16 * i);
        uint8x16_t even = vshrq_n_u8(pairs, 4), odd = vandq_u8(pairs, vdupq_n_u8(15));
        int8x16_t x_even = vld1q_s8(x + 32 * i), x_odd = vld1q_s8(x + 32 * i + 16);
        high = dot(high, vqtbl1q_s8(values->high, even), x_even);
        low = dot(low, vqtbl1q_s8(values->low, even), x_even);
        high = dot(high, vqtbl1q_s8(values->high, odd), x_odd);
        low = dot(low, vqtbl1q_s8(values->low, odd), x_odd);
    }
    return vaddq_s32(vshlq_n_s32(high, 8), low);
}

/* ---- Rows ---- */

/* Where things lie. */
struct place {
    const struct cpu_weights *w;
    const int8_t *x;
    const float *scales; /* of x */
    float *y;            /* at the first row of x */
    int64_t stride;
    const float *w_scales[4]; /* nf4: of rows n..n+3 of W */
};

CPU_TARGET_DOTPROD CPU_INLINE float32x4_t group_scales(const struct place *p, int64_t n, int r,
                                                       int64_t at, const bool nf4)
{
    if (nf4)
        return vld1q_f32(p->w_scales[r] + at);
    const uint16_t *scales = p->w->scales;
    uint16x4_t half = vld1_u16(scales + (n + r) * (p->w->columns / CPU_Q8_0_BLOCK) + at);
    return vcvt_f32_f16(vreinterpret_f16_u16(half));
}

/* MB rows of x against rows n + r0 .. n + r0 + RB - 1 of W. */
CPU_TARGET_DOTPROD CPU_INLINE void rows(const struct place *p, int64_t n, int r0, const bool nf4,
                                        const int MB, const int RB)
{
    const int64_t k = p->w->columns, block = nf4 ? CPU_NF4_BLOCK : CPU_Q8_0_BLOCK,
                  blocks = k / block;
    const uint8_t *codes = (const uint8_t *)p->w->data + (n + r0) * blocks * BLOCK_BYTES;
    const struct nf4_bytes values = nf4_bytes();
    float32x4_t sums[4][4];
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        sums[i][r] = vdupq_n_f32(0);
    for (int64_t at = 0; at < blocks; at += GROUP) {
        int32x4_t part[GROUP][4][4];
        CPU_UNROLL
        for (int b = 0; b < GROUP; b++) {
            CPU_UNROLL
            for (int r = 0; r < RB; r++) {
                const uint8_t *w = codes + (r * blocks + at + b) * BLOCK_BYTES;
                if (b % 2 == 0)
                    __builtin_prefetch(w + AHEAD);
                CPU_UNROLL
                for (int i = 0; i < MB; i++) {
                    const int8_t *x = p->x + i * k + (at + b) * block;
                    part[b][i][r] =
                        nf4 ? nf4_block(&values, w, x) : q8_0_block((const int8_t *)w, x);
                }
            }
            CPU_ORDER;
        }
        CPU_UNROLL
        for (int r = 0; r < RB; r++) {
            const float32x4_t scale = group_scales(p, n, r0 + r, at, nf4);
            CPU_UNROLL
            for (int i = 0; i < MB; i++) {
                int32x4_t whole = vpaddq_s32(vpaddq_s32(part[0][i][r], part[1][i][r]),
                                             vpaddq_s32(part[2][i][r], part[3][i][r]));
                float32x4_t both = vmulq_f32(scale, vld1q_f32(p->scales + i * blocks + at));
                sums[i][r] = vfmaq_f32(sums[i][r], vcvtq_f32_s32(whole), both);
            }
        }
    }
    CPU_UNROLL
    for (int i = 0; i < MB; i++)
        CPU_UNROLL
    for (int r = 0; r < RB; r++)
        p->y[i * p->stride + n + r0 + r] =
            vaddvq_f32(sums[i][r]) * (nf4 ? 1.0f / (127 * 256) : 1.0f);
}

/* Four rows of W at a time for one row of x; one for four. */
CPU_TARGET_DOTPROD CPU_INLINE void run(const struct cpu_weights *w, int64_t n0, int64_t n1,
                                       const float *x, int m, float *y, int64_t stride,
                                       float *scratch, const bool nf4)
{
    const int64_t k = w->columns, blocks = k / (nf4 ? CPU_NF4_BLOCK : CPU_Q8_0_BLOCK);
    struct place p = {.w = w, .x = (const int8_t *)x, .stride = stride};
    const float *scales = (const float *)(const void *)(p.x + m * k);
    for (int64_t n = n0; n < n1; n += 4) {
        const int count = n1 - n < 4 ? (int)(n1 - n) : 4;
        for (int r = 0; r < count && nf4; r++)
            p.w_scales[r] = cpu_vector_scales(w, n + r, scratch + r * blocks);
        int i = 0;
        for (; i < m; i += i + 4 <= m ? 4 : 1) {
            p.x = (const int8_t *)x + i * k;
            p.scales = scales + i * blocks;
            p.y = y + i * stride;
            if (i + 4 <= m)
                for (int r = 0; r < count; r++)
                    rows(&p, n, r, nf4, 4, 1);
            else if (count == 4)
                rows(&p, n, 0, nf4, 1, 4);
            else
                for (int r = 0; r < count; r++)
                    rows(&p, n, r, nf4, 1, 1);
        }
    }
}

CPU_TARGET_DOTPROD static void run_q8_0(const struct cpu_weights *w, int64_t n0, int64_t n1,
                                        const float *x, int m, float *y, int64_t stride,
                                        float *scratch)
{
    run(w, n0, n1, x, m, y, stride, scratch, false);
}

CPU_TARGET_DOTPROD static void run_nf4(const struct cpu_weights *w, int64_t n0, int64_t n1,
                                       const float *x, int m, float *y, int64_t stride,
                                       float *scratch)
{
    run(w, n0, n1, x, m, y, stride, scratch, true);
}

void cpu_vector_dotprod(const struct cpu_weights *w, struct cpu_vector *vector)
{
    if (w->dtype == CR_DTYPE_Q8_0 && w->columns % (GROUP * CPU_Q8_0_BLOCK) == 0)
        *vector = (struct cpu_vector){CPU_NEON, "int8-dotprod", CPU_X_BYTES_32, run_q8_0};
    if (w->dtype == CR_DTYPE_NF4 && w->columns % (GROUP * CPU_NF4_BLOCK) == 0)
        *vector = (struct cpu_vector){CPU_NEON, "int8-dotprod", CPU_X_BYTES_64, run_nf4};
}
#else
void cpu_vector_bytes(enum cpu_x_order order, const float *x, int64_t m, int64_t k, float *out)
{
    (void)order;
    (void)x;
    (void)m;
    (void)k;
    (void)out;
}

void cpu_vector_dotprod(const struct cpu_weights *w, struct cpu_vector *vector)
{
    (void)w;
    (void)vector;
}
#endif
