/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/process.h"

#define WAIT 20 /* ms */

extern char **environ;

/* ---- Starting ---- */

#ifdef HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
static int close_others(posix_spawn_file_actions_t *actions)
{
    return posix_spawn_file_actions_addclosefrom_np(actions, 3);
}
#else
/* Only what a program inherits has to be named; our own files close themselves. */
static int close_others(posix_spawn_file_actions_t *actions)
{
    int number = 0;
    DIR *folder = cr_io_opendir("/dev/fd");
    if (folder == NULL)
        return errno;
    for (struct dirent *entry; number == 0 && (entry = cr_io_readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);
        if (fd > 2 && flags >= 0 && (flags & FD_CLOEXEC) == 0)
            number = posix_spawn_file_actions_addclose(actions, fd);
    }
    if (number == 0)
        number = errno;
    closedir(folder);
    return number;
}
#endif

static int redirect(posix_spawn_file_actions_t *actions, int output, bool with_errors)
{
    int number = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (number == 0)
        number = posix_spawn_file_actions_adddup2(actions, output, 1);
    if (number == 0)
        number = with_errors
                     ? posix_spawn_file_actions_adddup2(actions, output, 2)
                     : posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
    return number == 0 ? close_others(actions) : number;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int number = posix_spawnattr_setpgroup(attributes, 0);
    if (number == 0)
        number = posix_spawnattr_setsigmask(attributes, &none);
    if (number == 0)
        number = posix_spawnattr_setsigdefault(attributes, &all);
    if (number == 0)
        number = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return number;
}

/* Returns 0 or an errno value. */
static int spawn(pid_t *pid, const char *const *argv, char *const *environment, int output,
                 bool with_errors)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int number = posix_spawn_file_actions_init(&actions);
    if (number != 0)
        return number;
    number = posix_spawnattr_init(&attributes);
    if (number == 0) {
        number = redirect(&actions, output, with_errors);
        if (number == 0)
            number = set_attributes(&attributes);
        if (number == 0) /* changes nothing in argv; its prototype is older than const */
            number =
                posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv,
                             environment != NULL ? environment : environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return number;
}

int cr_process_start(struct cr_process *process, const char *const *argv, char *const *environment,
                     bool with_errors, struct cr_error *err)
{
    int fds[2], number = cr_fault(CR_FAULT_OTHER, __builtin_return_address(0));
    if (number == 0 && pipe(fds) < 0)
        number = errno;
    if (number != 0)
        return cr_fail_errno(err, number, "%s: no pipe can be made", argv[0]);
    /* No other child may hold it open. */
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    number = spawn(&process->pid, argv, environment, fds[1], with_errors);
    close(fds[1]);
    process->output = fds[0];
    if (number == 0)
        return 0;
    close(fds[0]);
    return cr_fail_errno(err, number, "%s: cannot be started", argv[0]);
}

/* ---- Watching ---- */

int64_t cr_clock(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Its status is not taken: its number stays its own. */
bool cr_process_has_ended(const struct cr_process *process)
{
    siginfo_t info = {.si_pid = 0};
    int result = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return (result == 0 && info.si_pid == process->pid) || (result < 0 && errno != EINTR);
}

/* The end of the process is not always the end of the pipe: something that it started may hold it,
 * or it may have closed it before. */
ssize_t cr_process_read(struct cr_process *process, void *data, size_t bytes)
{
    bool ended = cr_process_has_ended(process);
    struct pollfd waiting = {.fd = process->output, .events = POLLIN};
    if (poll(&waiting, 1, ended ? 0 : WAIT) > 0) {
        ssize_t got = cr_io_read(process->output, data, bytes);
        if (got > 0)
            return got;
        close(process->output);
        process->output = -1; /* poll() leaves it out, and only waits */
    }
    return ended ? -1 : 0;
}

void cr_process_terminate(const struct cr_process *process)
{
    kill(-process->pid, SIGTERM);
}

int cr_process_end(struct cr_process *process)
{
    int status = -1;
    kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (process->output >= 0)
        close(process->output);
    process->output = -1;
    return status;
}
