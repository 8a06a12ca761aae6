/* SPDX-License-Identifier: MIT */
/* run.h: what `crayon run` and its --batch share. */
#ifndef CR_COMMAND_RUN_H
#define CR_COMMAND_RUN_H

#include "command/common.h"
#include "command/run/request.h"

struct run_settings {
    const char *image, *prompt;
    struct strings in, out, set, limit, variant;
    struct device_settings device;
    const char *plugin_path;
    const char *batch, *results, *sheet;
    struct number seed;
    bool json, quiet, verbose, profile, allow_command, resume, no_plan;
};

/* Everything that a run knows: the wishes, the loaded pipeline, the inputs and outputs. */
struct run {
    const struct run_settings *settings;
    const char *path; /* of the pipeline, as the command line has it */
    struct session session;
    struct request request;
    const struct cr_log *log;
    bool stream;           /* print text as it comes */
    const char *streamed;  /* the output that was chosen for that; NULL: none yet */
    struct cr_text so_far; /* what it said */
};

/* Run the items of settings->batch, one line each. The inputs of `run->request` count for every
 * item that does not bring its own. */
int run_batch(struct run *run);

/* The variants of settings->variant, one after the other; and what is wrong with them, before
 * anything is loaded: a usage error of the command. */
int run_variants(struct run *run);
int variants_check(const struct command *self, const struct run_settings *settings);

/* The parts of a run: put the arguments into the request; read the inputs that were noted; make a
 * run of the request, see whether it fits into memory, execute it; print its texts; add "outputs",
 * "stages" and "seconds" to a JSON object. */
int run_note_arguments(struct run *run);
int run_load_inputs(struct run *run);
int run_prepare(struct run *run, struct cr_run **out, struct cr_error *err);
int run_check_memory(const struct run *run, struct cr_run *prepared, struct cr_error *err);
void run_print_texts(const struct run *run, const struct cr_run *done);
void run_add_result(const struct run *run, const struct cr_run *done, double seconds,
                    struct cr_text *json);

/* What --profile shows: how long the operations of stage `index` took, those that took longest
 * first. As lines, and as the member "operations" of a JSON object, with a comma before it. */
void profile_say(const struct cr_run *done, size_t index);
void profile_add_json(const struct cr_run *done, size_t index, struct cr_text *json);

#endif
