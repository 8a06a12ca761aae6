/* SPDX-License-Identifier: MIT */
/* fault_sweep.h: do something again and again while its first, second, third ... call of a kind
 * fails, until it runs through undisturbed. */
#ifndef CR_TEST_FAULT_SWEEP_H
#define CR_TEST_FAULT_SWEEP_H

#include "base/fault.h"
#include <crayon/error.h>

/* Does the whole thing and cleans up behind itself. Returns 0 or CR_ERR_*, as described in `err`.
 */
typedef int (*sweep_run)(void *user, struct cr_error *err);
/* Looks at what is left after a run, e.g. at files; asserts what has to hold. May be NULL. */
typedef void (*sweep_check)(void *user, int result);

/* Fail the n-th call of `kind` with the errno value `number`, n = 1, 2, ...; returns the number of
 * runs that were disturbed. Each run has to report a failure properly, or to succeed all the same,
 * and to leave no memory and no open file behind; the last, undisturbed one has to succeed. */
int sweep_faults(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user);

/* The same for what makes thousands of calls: each place that calls fails at its first three calls,
 * one at a time. With $CRAYON_FAULTS=all (make check-faults) it is sweep_faults(), and then
 * everything again with calls n, n + 1, n + 2, ... failing. */
extern int sweep_first_hits; /* 3; for a program that takes its time: fewer */
int sweep_sites(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user);

/* The same for what takes its time: the first calls, then more and more thinly. */
int sweep_some(enum cr_fault_kind kind, int number, sweep_run run, sweep_check check, void *user);

/* Fail only call `n` (from 1) of `kind`, until sweep_disarm(). Was it reached? */
void sweep_arm(enum cr_fault_kind kind, int number, int n);
bool sweep_disarm(void);

/* What fails in the run that is checked, for messages. */
const char *sweep_current(void);

/* Calls of child processes that are forked while a fault is armed count like the process's own. */

/* Let cJSON allocate through the core's functions, so that its allocations fail and count too. To
 * be called before the first tree is made. */
void sweep_cjson(void);

#endif
