/* SPDX-License-Identifier: MIT */
/* share.h: what pipelines that differ in a few stages have in common, when they are run one after
 * the other on the same inputs (crayon run --variant). A stage is the same in two of them if its
 * name, plugin, options, device, batch and connected ports are; its outputs are, if in addition all
 * that it depends on is.
 *
 * Open stages and values pass from one pipeline to another, and what they consist of stays where it
 * was made: the pipelines and runs are destroyed together, the last one first. */
#ifndef CR_PIPELINE_SHARE_H
#define CR_PIPELINE_SHARE_H

#include <crayon/pipeline.h>

/* Before an execution: keep what some of the `later` pipelines would compute again. */
CR_API
int cr_run_keep(struct cr_run *run, struct cr_pipeline *const *later, size_t count,
                struct cr_error *err);
/* Before an execution: take over what an earlier run kept. Stages that are then not needed are
 * neither opened nor run. */
CR_API
int cr_run_take_over(struct cr_run *run, const struct cr_run *earlier, struct cr_error *err);
/* Stages whose outputs were taken over, in order: their names, and NULL behind the last one. */
CR_API
const char *cr_run_taken(const struct cr_run *run, size_t index);

/* After the executions of `from`: each open stage goes to the first of the `later` pipelines that
 * has the same and not open yet, with its device; the others are closed. */
CR_API
int cr_pipeline_hand_on(struct cr_pipeline *from, struct cr_pipeline *const *later, size_t count,
                        struct cr_error *err);

#endif
