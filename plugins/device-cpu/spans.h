/* SPDX-License-Identifier: MIT */
/* spans.h: work over many items, shared out in pieces that do not depend on the number of threads.
 */
#ifndef CPU_SPANS_H
#define CPU_SPANS_H

#include "cpu.h"

/* Elements of one piece; less than two are not worth waking a thread. */
#define CPU_SPAN (32 << 10)

/* Run span(argument, from, to) over the items 0..items-1, each of which is `cost` elements of work.
 */
typedef void (*cpu_span)(void *argument, int64_t from, int64_t to);
void cpu_spans(struct cpu *cpu, int64_t items, int64_t cost, cpu_span span, void *argument);

/* The variant of kernels that exist for every level. */
const char *cpu_level_variant(const struct cpu *cpu, const struct cr_call *call);

#endif
