/* SPDX-License-Identifier: MIT */
/* pipeline_stages.h: a registry of stages that exist for the tests of pipelines only. */
#ifndef CR_PIPELINE_STAGES_H
#define CR_PIPELINE_STAGES_H

#include <crayon/pipeline.h>

/* A registry with the stages of pipeline_stages.c alone. Fails the test if it cannot be made. */
struct cr_registry *stages_registry(void);

/* What the stages "mark" and "rogue" did, a line each: "open a", "run a", "close a". */
extern char stages_events[4000];
void stages_forget(void);

/* Load a pipeline from a text, as if it were a file of this name. Without mistakes, or the test
 * fails and shows them. */
struct cr_pipeline *stages_pipeline(const struct cr_registry *registry, const char *name,
                                    const char *text);

/* All findings of a report, a line each, notes with "note: " before them. Freed with cr_free(). */
char *stages_report(const struct cr_report *report);

#endif
