/* SPDX-License-Identifier: MIT */
/* process.h: another program, run beside this one and ended together with all that it started. */
#ifndef CR_BASE_PROCESS_H
#define CR_BASE_PROCESS_H

#include <sys/types.h>

#include <crayon/error.h>

struct cr_process {
    pid_t pid;
    int output; /* what it writes is read from here; -1: it has closed it */
};

/* Start `argv` (ended by NULL; a name without a slash is looked up in $PATH) with the environment
 * (NULL: the own one). It reads nothing and has no other files open than its standard streams;
 * standard output is `output`, standard error goes there too if `with_errors`, else nowhere. It
 * leads a process group of its own, and no signal is blocked or ignored. After 0, cr_process_end()
 * has to be called. */
int cr_process_start(struct cr_process *process, const char *const *argv, char *const *environment,
                     bool with_errors, struct cr_error *err);
/* What it has written, up to `bytes` bytes, waiting for some hundredths of a second: 0 when there
 * is nothing so far, -1 when the process has ended and all was read. */
ssize_t cr_process_read(struct cr_process *process, void *data, size_t bytes);
bool cr_process_has_ended(const struct cr_process *process);
/* Ask it and all that it started to end. */
void cr_process_terminate(const struct cr_process *process);
/* End it, if it has not ended, with all that it started. Returns its status as waitpid() has it, -1
 * when nobody can know because this process ignores SIGCHLD. */
int cr_process_end(struct cr_process *process);

/* Milliseconds of a clock that only goes forward. */
int64_t cr_clock(void);

#endif
