/* SPDX-License-Identifier: MIT */
/* reference.h: every operation of crayon/ops.h as a plain loop in double, to be read with a pencil:
 * what devices are compared with.
 *
 * A call is encoded as crayon/ops.h lays it down, with the operands on the host: `memory` is a host
 * pointer, and what lies there has the operand's own dtype. Nothing is checked; a call that the
 * front-end would not make is not to be asked for. */
#ifndef CR_TENSOR_REFERENCE_H
#define CR_TENSOR_REFERENCE_H

#include <crayon/device.h>

/* out[i] becomes what call->out[i] is to hold, row-major, as doubles (whole numbers and bytes too).
 * Operations in place read the old contents from call->out[i] and leave them alone: out[i] is the
 * new contents. QUANTIZE writes the planes of call->out[0], bit for bit, and the numbers that they
 * mean to out[0]. May run out of memory, and fails in no other way. */
CR_API
int cr_reference(const struct cr_call *call, double *const *out,
                 struct cr_error *err) CR_MUST_CHECK;

/* The elements of an operand. */
CR_API
int64_t cr_operand_elements(const struct cr_operand *operand);
/* All elements of an operand, exactly. A quantised weight is code x scale without rounding; the
 * scale of a doubly quantised block is rounded to f32 as crayon/device.h writes it: map x
 * nested_absmax, then + offset. */
CR_API
void cr_operand_numbers(const struct cr_operand *operand, double *numbers);

/* binary16, to nearest even. */
CR_API
double cr_half_number(uint16_t half);
CR_API
uint16_t cr_half(double number);

/* Quantise `count` numbers into the planes of `to` (its offsets are set, its memory is there). */
CR_API
int cr_reference_quantize(const float *x, int64_t count, const struct cr_operand *to,
                          struct cr_error *err) CR_MUST_CHECK;

#endif
