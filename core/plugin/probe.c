/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "base/fault.h"
#include "base/paths.h"
#include "base/process.h"
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

/* ---- Listening to it ---- */

/* Read one line, until `deadline`. A report without an end of line is none. */
static bool read_report(struct cr_process *process, char report[CR_PROBE_REASON], int64_t deadline)
{
    size_t used = 0;
    while (used < CR_PROBE_REASON - 1 && cr_clock() < deadline) {
        ssize_t got = cr_process_read(process, report + used, CR_PROBE_REASON - 1 - used);
        if (got < 0)
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

static enum cr_probe_outcome listen_to(struct cr_process *process, char reason[CR_PROBE_REASON])
{
    int64_t deadline = cr_clock() + cr_probe_limit;
    if (read_report(process, reason, deadline)) {
        cr_process_end(process);
        if (strcmp(reason, "ok") == 0)
            return CR_PROBE_GOOD;
        if (strncmp(reason, "no ", 3) == 0)
            memmove(reason, reason + 3, strlen(reason + 3) + 1);
        return CR_PROBE_REFUSED;
    }
    bool ended = cr_process_has_ended(process);
    int status = cr_process_end(process);
    if (ended)
        describe_end(status, reason);
    else
        snprintf(reason, CR_PROBE_REASON, "was not loaded after %g s", cr_probe_limit / 1000.0);
    return CR_PROBE_VIOLENT;
}

/* Its report comes through standard output; whatever the plugin itself writes is lost. */
static int start(struct cr_process *process, const struct cr_probe *probe, const char *path,
                 const char *name, struct cr_error *err)
{
    if (probe->program == NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND, "there is no %s", CRAYON_PROBEDIR "/crayon-probe");
    int number = cr_fault(CR_FAULT_OTHER, &cr_probe_limit);
    if (number != 0)
        return cr_fail_errno(err, number, "no pipe can be made");
    char **environment = NULL;
    if (probe->library_path != NULL &&
        (environment = make_environment(probe->library_path)) == NULL)
        return cr_fail_memory(err, strlen(probe->library_path));
    const char *const argv[] = {probe->program, path, name, NULL};
    int result = cr_process_start(process, argv, environment, false, err);
    free_environment(environment);
    return result;
}

enum cr_probe_outcome cr_probe_file(const struct cr_probe *probe, const char *path,
                                    const char *name, char reason[CR_PROBE_REASON])
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_process process;
    if (start(&process, probe, path, name, &err) == 0)
        return listen_to(&process, reason);
    snprintf(reason, CR_PROBE_REASON, "%.*s", CR_PROBE_REASON - 1, err.message);
    return CR_PROBE_NONE;
}
