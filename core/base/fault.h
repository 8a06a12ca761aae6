/* SPDX-License-Identifier: MIT */
/* fault.h: where failures are injected. Every allocation and every system call on files passes
 * through cr_fault(), which asks the hook, if a test has set one, whether this call has to fail. */
#ifndef CR_BASE_FAULT_H
#define CR_BASE_FAULT_H

#include <crayon/base.h>

enum cr_fault_kind {
    CR_FAULT_ALLOC,
    CR_FAULT_OPEN,
    CR_FAULT_READ,
    CR_FAULT_WRITE,
    CR_FAULT_SYNC,
    CR_FAULT_RENAME,
    CR_FAULT_OTHER, /* stat, mkdir, unlink, close, dlopen */
};

/* Returns 0, or the errno value with which the call is to fail. `site` identifies the caller. */
typedef int (*cr_fault_hook)(enum cr_fault_kind kind, const void *site);

/* Set or (NULL) remove the hook. Exported for the tests, in the private part of the symbol list. */
CR_API
void cr_fault_set_hook(cr_fault_hook hook);

/* Allocations through cr_malloc() and friends that are alive; for leak checks. Exported likewise.
 */
CR_API
int64_t cr_memory_live(void);
/* Their bytes, and the most that these were since the peak was reset; 0 where the system does not
 * tell how large an allocation is. Exported likewise. */
CR_API
int64_t cr_memory_bytes(void);
CR_API
int64_t cr_memory_peak(void);
CR_API
void cr_memory_reset_peak(void);

int cr_fault(enum cr_fault_kind kind, const void *site);

#endif
