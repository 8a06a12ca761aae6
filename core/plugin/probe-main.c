/* SPDX-License-Identifier: MIT */
/* crayon-probe FILE NAME: load one plugin and say how it went, in one line on standard output:
 * "ok", or "no" and the reason. The library starts it before it loads a file that it has never
 * seen; what becomes of this process, crashed or stuck, is an answer too. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "plugin/load.h"

/* Keep standard output for the report alone. */
static int take_output(void)
{
    int report = dup(1);
    int null = open("/dev/null", O_WRONLY);
    if (report < 0 || null < 0 || dup2(null, 1) < 0)
        return -1;
    close(null);
    fcntl(report, F_SETFD, FD_CLOEXEC);
    return report;
}

/* Where results go in the program that would load it. */
static bool streams_are_open(void)
{
    return fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0;
}

static void say(int report, const char *word, const char *reason)
{
    char line[1000];
    int length = snprintf(line, sizeof(line), "%s%s\n", word, reason);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof(line)) {
        length = sizeof(line) - 1;
        line[length - 1] = '\n';
    }
    for (int i = 0; i < length - 1; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    if (write(report, line, (size_t)length) < 0)
        _exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: crayon-probe FILE NAME (the crayon library calls this)\n");
        return 2;
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    int report = take_output();
    if (report < 0)
        return 1;
    struct cr_error err = CR_ERROR_INIT;
    void *handle;
    const struct cr_plugin *plugin;
    if (cr_plugin_open(argv[1], argv[2], &handle, &plugin, &err) < 0) {
        say(report, "no ", err.message);
    } else if (!streams_are_open()) {
        say(report, "no ", "closed a standard stream when it was loaded");
    } else {
        cr_plugin_close(&handle); /* before the report: this can crash as well */
        say(report, "ok", "");
    }
    _exit(0); /* no more of the plugin's code, nor of what it loaded */
}
