/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/paths.h"
#include "plugin/probe.h"

#define LIBRARY_PATH "LD_LIBRARY_PATH"

extern char **environ;

int cr_probe_limit = 10000;

/* ---- The program ---- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* In a build tree libtool puts a script at the top and the program into .libs/, beside the library:
 * the program is started directly, with the library path that the script would have set. */
static int find_built(struct cr_probe *probe, const char *tree)
{
    probe->program = cr_asprintf("%s/.libs/crayon-probe", tree);
    if (probe->program == NULL)
        return CR_ERR_MEMORY;
    if (!is_program(probe->program)) {
        cr_free(probe->program);
        probe->program = NULL;
        return 0;
    }
    const char *inherited = getenv(LIBRARY_PATH);
    probe->library_path =
        cr_asprintf("%s/.libs%s%s", tree, inherited == NULL || inherited[0] == '\0' ? "" : ":",
                    inherited == NULL ? "" : inherited);
    return probe->library_path == NULL ? CR_ERR_MEMORY : 0;
}

int cr_probe_init(struct cr_probe *probe, struct cr_error *err)
{
    *probe = (struct cr_probe){NULL, NULL};
    int result = 0;
    char *tree = cr_path_build_tree();
    if (tree != NULL)
        result = find_built(probe, tree);
    cr_free(tree);
    if (result == 0 && probe->program == NULL && is_program(CRAYON_PROBEDIR "/crayon-probe")) {
        probe->program = cr_strdup(CRAYON_PROBEDIR "/crayon-probe");
        result = probe->program == NULL ? CR_ERR_MEMORY : 0;
    }
    if (result == 0)
        return 0;
    cr_probe_finish(probe);
    return cr_fail_memory(err, sizeof(CRAYON_PROBEDIR));
}

void cr_probe_finish(struct cr_probe *probe)
{
    cr_free(probe->program);
    cr_free(probe->library_path);
    *probe = (struct cr_probe){NULL, NULL};
}

/* ---- Starting it ---- */

/* The environment with another library path: an array whose last string is new. */
static char **make_environment(const char *library_path)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL)
        count++;
    char **result = cr_calloc(count + 2, sizeof(*result));
    char *entry = cr_asprintf(LIBRARY_PATH "=%s", library_path);
    if (result == NULL || entry == NULL) {
        cr_free(result);
        cr_free(entry);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], LIBRARY_PATH "=", strlen(LIBRARY_PATH "=")) != 0)
            result[kept++] = environ[i];
    result[kept] = entry;
    return result;
}

static void free_environment(char **environment)
{
    size_t last = 0;
    if (environment == NULL)
        return;
    while (environment[last + 1] != NULL)
        last++;
    cr_free(environment[last]);
    cr_free(environment);
}

/* Its report comes through standard output; whatever the plugin itself writes is lost. It leads a
 * process group of its own, so that it can be ended with all that it started, and has none of the
 * signals blocked or ignored that this process has. */
static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int report)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int number = 0;
    if ((number = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (number = posix_spawn_file_actions_adddup2(actions, report, 1)) == 0 &&
        (number = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0)) == 0 &&
        (number = posix_spawnattr_setpgroup(attributes, 0)) == 0 &&
        (number = posix_spawnattr_setsigmask(attributes, &none)) == 0 &&
        (number = posix_spawnattr_setsigdefault(attributes, &all)) == 0)
        number = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return number;
}

/* Returns 0 or an errno value. */
static int spawn(const struct cr_probe *probe, const char *path, const char *name, int report,
                 pid_t *pid)
{
    /* posix_spawn() changes neither; its prototype is older than const. */
    union {
        const char *in;
        char *out;
    } arguments[] = {{probe->program}, {path}, {name}};
    char *const argv[] = {arguments[0].out, arguments[1].out, arguments[2].out, NULL};
    char **environment = NULL;
    if (probe->library_path != NULL &&
        (environment = make_environment(probe->library_path)) == NULL)
        return ENOMEM;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int number = posix_spawn_file_actions_init(&actions);
    if (number == 0) {
        number = posix_spawnattr_init(&attributes);
        if (number == 0) {
            number = prepare(&actions, &attributes, report);
            if (number == 0)
                number = posix_spawn(pid, probe->program, &actions, &attributes, argv,
                                     environment != NULL ? environment : environ);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    free_environment(environment);
    return number;
}

/* ---- Listening to it ---- */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Has the process ended? Its status is not taken: its number stays its own. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    int result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return (result == 0 && info.si_pid == pid) || (result < 0 && errno != EINTR);
}

static bool wait_for(pid_t pid, int64_t deadline)
{
    bool ended;
    while (!(ended = has_ended(pid)) && now() < deadline)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    return ended;
}

/* Read one line, until `deadline`. A report without an end of line is none. The end of the process
 * is not always the end of the pipe: something that the plugin started may hold it. */
static bool read_report(pid_t pid, int fd, char report[CR_PROBE_REASON], int64_t deadline)
{
    size_t used = 0;
    while (used < CR_PROBE_REASON - 1 && now() < deadline) {
        bool ended = has_ended(pid);
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        if (poll(&waiting, 1, ended ? 0 : 20) < 0 && errno != EINTR)
            return false;
        if (waiting.revents == 0 && ended)
            return false;
        if (waiting.revents == 0)
            continue;
        ssize_t got = cr_io_read(fd, report + used, CR_PROBE_REASON - 1 - used);
        if (got <= 0)
            return false;
        used += (size_t)got;
        report[used] = '\0';
        char *end = strchr(report, '\n');
        if (end != NULL) {
            *end = '\0';
            return true;
        }
    }
    return false;
}

/* End the process and everything that it started. The result is its status, or -1 when nobody can
 * know because this process ignores SIGCHLD. */
static int end(pid_t pid)
{
    int status = -1;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void describe_end(int status, char reason[CR_PROBE_REASON])
{
    if (status == -1)
        snprintf(reason, CR_PROBE_REASON, "ended the process when it was loaded");
    else if (WIFSIGNALED(status))
        snprintf(reason, CR_PROBE_REASON, "crashed when it was loaded: %s",
                 strsignal(WTERMSIG(status)));
    else
        snprintf(reason, CR_PROBE_REASON, "exited with status %d when it was loaded",
                 WEXITSTATUS(status));
}

static enum cr_probe_outcome listen_to(pid_t pid, int fd, char reason[CR_PROBE_REASON])
{
    int64_t deadline = now() + cr_probe_limit;
    if (read_report(pid, fd, reason, deadline)) {
        end(pid);
        if (strcmp(reason, "ok") == 0)
            return CR_PROBE_GOOD;
        if (strncmp(reason, "no ", 3) == 0)
            memmove(reason, reason + 3, strlen(reason + 3) + 1);
        return CR_PROBE_REFUSED;
    }
    bool ended = wait_for(pid, deadline);
    int status = end(pid);
    if (ended)
        describe_end(status, reason);
    else
        snprintf(reason, CR_PROBE_REASON, "was not loaded after %g s", cr_probe_limit / 1000.0);
    return CR_PROBE_VIOLENT;
}

/* A pipe that no other child inherits. */
static int open_pipe(int fds[2], struct cr_error *err)
{
    int number = cr_fault(CR_FAULT_OTHER, &cr_probe_limit);
    if (number == 0 && pipe(fds) < 0)
        number = errno;
    if (number != 0)
        return cr_fail_errno(err, number, "no pipe can be made");
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    return 0;
}

enum cr_probe_outcome cr_probe_file(const struct cr_probe *probe, const char *path,
                                    const char *name, char reason[CR_PROBE_REASON])
{
    struct cr_error err = CR_ERROR_INIT;
    enum cr_probe_outcome outcome = CR_PROBE_NONE;
    int fds[2];
    if (probe->program == NULL) {
        cr_fail(&err, CR_ERR_NOT_FOUND, "there is no %s", CRAYON_PROBEDIR "/crayon-probe");
    } else if (open_pipe(fds, &err) == 0) {
        pid_t pid;
        int number = spawn(probe, path, name, fds[1], &pid);
        close(fds[1]);
        if (number == 0)
            outcome = listen_to(pid, fds[0], reason);
        else
            cr_fail_errno(&err, number, "%s cannot be started", probe->program);
        close(fds[0]);
    }
    if (outcome == CR_PROBE_NONE)
        snprintf(reason, CR_PROBE_REASON, "%.*s", CR_PROBE_REASON - 1, err.message);
    return outcome;
}
