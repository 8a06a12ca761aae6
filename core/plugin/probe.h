/* SPDX-License-Identifier: MIT */
/* probe.h: load a file in a child process first. The child is the program crayon-probe. */
#ifndef CR_PLUGIN_PROBE_H
#define CR_PLUGIN_PROBE_H

#include <crayon/error.h>

struct cr_probe {
    char *program;      /* absolute path; NULL: there is none */
    char *library_path; /* what LD_LIBRARY_PATH has to be, or NULL: as it is */
};

enum cr_probe_outcome {
    CR_PROBE_GOOD,    /* it can be loaded */
    CR_PROBE_REFUSED, /* it was loaded and found wanting, or the loader refused it */
    CR_PROBE_VIOLENT, /* it took the process down, or kept it */
    CR_PROBE_NONE,    /* there is no such program, or it could not be started */
};

#define CR_PROBE_REASON 1024

/* How long a plugin may take, in milliseconds; tests lower it. */
extern int cr_probe_limit;

/* Look for the program: in the build tree, else where it is installed. */
int cr_probe_init(struct cr_probe *probe, struct cr_error *err);
void cr_probe_finish(struct cr_probe *probe);

/* Probe the file at an absolute path as the plugin `name`. `reason` is set unless it is good. */
enum cr_probe_outcome cr_probe_file(const struct cr_probe *probe, const char *path,
                                    const char *name, char reason[CR_PROBE_REASON]);

#endif
