/* SPDX-License-Identifier: MIT */
/* layout.h: operations on rows (rows.c), for the table in layout.c. */
#ifndef CPU_LAYOUT_H
#define CPU_LAYOUT_H

#include "cpu.h"

int cpu_gather_rows(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
int cpu_scatter_rows(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
int cpu_scatter_add_rows(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
int cpu_embedding(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
int cpu_kv_append(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);
int cpu_rope(struct cpu *cpu, const struct cr_call *call, struct cr_error *err);

#endif
