/* SPDX-License-Identifier: MIT */
/* plan.h: `crayon check --plan`: what a run will take. */
#ifndef CR_COMMAND_CHECK_PLAN_H
#define CR_COMMAND_CHECK_PLAN_H

#include "command/common.h"

/* Inputs that are known; a plan makes do with examples for others. */
struct plan_inputs {
    const char *image, *prompt;
    struct strings in; /* NAME=VALUE */
};

/* Is each of --in a pair? EXIT_OK, or a usage error. */
int plan_check_inputs(const struct plan_inputs *inputs);

/* Plan a run that wants every output of the pipeline. The caller destroys the run. */
int plan_make(struct cr_run **run, struct cr_pipeline *pipeline, const struct plan_inputs *inputs,
              struct cr_error *err);

/* A table on standard output; or the member "plan" of an object. */
void plan_print(const struct cr_run *run);
void plan_add(struct cr_text *json, const struct cr_run *run);

#endif
