/* SPDX-License-Identifier: MIT */
#include "spans.h"

struct spans {
    int64_t items, length;
    cpu_span span;
    void *argument;
};

static void run_span(void *argument, int64_t index, int worker)
{
    const struct spans *s = argument;
    (void)worker;
    int64_t from = index * s->length, left = s->items - from;
    s->span(s->argument, from, from + (left < s->length ? left : s->length));
}

void cpu_spans(struct cpu *cpu, int64_t items, int64_t cost, cpu_span span, void *argument)
{
    int64_t length = cost < CPU_SPAN ? CPU_SPAN / (cost > 0 ? cost : 1) : 1;
    struct spans s = {items, length, span, argument};
    if (items <= 0)
        return;
    if (items <= length || items * cost <= CPU_SPAN)
        span(argument, 0, items);
    else
        cpu_parallel(cpu->pool, (items + length - 1) / length, run_span, &s);
}

const char *cpu_level_variant(const struct cpu *cpu, const struct cr_call *call)
{
    (void)call;
    return cpu_level_name(cpu_level(cpu));
}
