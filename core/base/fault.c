/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>

#include "base/fault.h"

static _Atomic(cr_fault_hook) hook;

void cr_fault_set_hook(cr_fault_hook new_hook)
{
    atomic_store(&hook, new_hook);
}

int cr_fault(enum cr_fault_kind kind, const void *site)
{
    cr_fault_hook current = atomic_load_explicit(&hook, memory_order_relaxed);
    return current == NULL ? 0 : current(kind, site);
}
