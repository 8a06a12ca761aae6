/* SPDX-License-Identifier: MIT */
/* quantizer.h: q8_0 and nf4 on the host, bit for bit what crayon/ops.h says of QUANTIZE.
 *
 * Weights are quantised here and not by the device that will hold them: an eighth of the bytes
 * travels to it, no matrix has to lie there in f32 first, and reading, quantising and uploading go
 * on at the same time. */
#ifndef CR_MODEL_QUANTIZER_H
#define CR_MODEL_QUANTIZER_H

#include <crayon/base.h>

/* What stands between two codes: made once, used by any number of threads. */
struct cr_quantizer {
    float nf4[15];
    float nested[255];
};

void cr_quantizer_init(struct cr_quantizer *quantizer);

/* x[count], which starts where a block does: the codes of the elements, the scales of the blocks.
 * False: there is a NaN or an infinity. */
bool cr_quantize_q8_0(const float *x, int64_t count, int8_t *codes, uint16_t *scales);
bool cr_quantize_nf4(const struct cr_quantizer *quantizer, const float *x, int64_t count,
                     uint8_t *codes, float *absmax);
/* The absmax of a whole matrix: returns the offset; one code a block, one number a group of 256. */
float cr_quantize_absmax(const struct cr_quantizer *quantizer, const float *absmax, int64_t blocks,
                         uint8_t *codes, float *nested);

/* The way back: `from` elements into a block of 64, absmax being that of the first block touched.
 */
void cr_dequantize_nf4(const uint8_t *codes, int64_t from, int64_t count, const float *absmax,
                       float *out);
void cr_dequantize_q8_0(const int8_t *codes, int64_t from, int64_t count, const uint16_t *scales,
                        float *out);

#endif
