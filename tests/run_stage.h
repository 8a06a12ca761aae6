/* SPDX-License-Identifier: MIT */
/* run_stage.h: run pipelines in tests as a program would: through the library, with the plugins of
 * the build tree. Programs that include it link with $(stage_libs). */
#ifndef CR_TEST_RUN_STAGE_H
#define CR_TEST_RUN_STAGE_H

#include "fault_sweep.h"
#include "test.h"

#include <crayon/crayon.h>

/* The plugins, found once for the whole program. */
const struct cr_registry *stage_registry(void);

/* A pipeline from its JSON text, which must be right; relative paths start from the source tree. */
struct cr_pipeline *stage_parse(const char *json);
/* The same from a file, with changes (ended by NULL; NULL: none). */
struct cr_pipeline *stage_load(const char *path, const char *const *sets);
/* All findings about a pipeline that must be wrong, one to a line. */
char *stage_mistakes(const char *json);

/* One run with one input (NULL: none, `value` is consumed) that wants these outputs (ended by
 * NULL). Returns the result of cr_run_execute(); fails the test when the run cannot be set up. The
 * caller destroys `*run`. */
int stage_run(struct cr_run **run, struct cr_pipeline *pipeline, const char *input,
              struct cr_value *value, const char *const *outputs, struct cr_error *err);

/* The warnings that runs have logged since stage_forget_log(), as "SUBJECT: MESSAGE" lines. */
const char *stage_log(void);
void stage_forget_log(void);

/* Fails unless the value holds exactly these i32 numbers. */
void stage_assert_map(const char *what, const struct cr_value *value, const int32_t *expected,
                      size_t count);

/* A picture of one colour whose name is `name` (NULL: none). */
struct cr_image *stage_image(int32_t height, int32_t width, const char *name);
/* A list of these pictures (consumed). */
struct cr_value *stage_images(struct cr_image *const *images, size_t count);

/* Let each allocation and each system call on files fail in turn. */
void stage_sweep(sweep_run attempt, void *user);
/* The same for stage_run(); the pipeline and the value are consumed. */
void stage_sweep_run(struct cr_pipeline *pipeline, const char *input, struct cr_value *value,
                     const char *const *outputs);

#endif
