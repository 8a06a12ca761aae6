/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include <cjson/cJSON.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "test.h"

static enum cr_fault_kind armed_kind;
static int armed_number;
static atomic_int countdown; /* 0 and below: spent, or not armed */

static int hook(enum cr_fault_kind kind, const void *site)
{
    (void)site;
    return kind == armed_kind && atomic_fetch_sub(&countdown, 1) == 1 ? armed_number : 0;
}

void sweep_arm(enum cr_fault_kind kind, int number, int n)
{
    armed_kind = kind;
    armed_number = number;
    atomic_store(&countdown, n);
    cr_fault_set_hook(hook);
}

bool sweep_disarm(void)
{
    cr_fault_set_hook(NULL);
    return atomic_load(&countdown) <= 0;
}

int sweep_faults(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user)
{
    for (int n = 1; n < 1000000; n++) {
        struct cr_error err = CR_ERROR_INIT;
        int64_t live = cr_memory_live();
        sweep_arm(kind, number, n);
        int result = run(user, &err);
        bool reached = sweep_disarm();
        if (cr_memory_live() != live)
            fail_msg("fault %d of kind %d: %lld allocations are left", n, (int)kind,
                     (long long)(cr_memory_live() - live));
        if (result < 0 && (err.code != result || err.message[0] == '\0'))
            fail_msg("fault %d of kind %d: returned %d, reported %d \"%s\"", n, (int)kind, result,
                     err.code, err.message);
        if (!reached && result != 0)
            fail_msg("without a fault: %s", err.message);
        if (check != NULL)
            check(user, result);
        if (!reached)
            return n - 1;
    }
    fail_msg("the sweep does not end");
    return -1;
}

void sweep_cjson(void)
{
    cJSON_Hooks hooks = {.malloc_fn = cr_malloc, .free_fn = cr_free};
    cJSON_InitHooks(&hooks);
}
