/* SPDX-License-Identifier: MIT */
/* crayon/pipeline.h: load a pipeline file, look at it, run it. For programs. crayon-pipeline(5)
 * describes the format.
 *
 *     struct cr_pipeline *p;
 *     struct cr_run *run;
 *     if (cr_pipeline_load(&p, registry, "objects.json", NULL, 0, report, &err) == 0 &&
 *         cr_run_create(&run, p, &err) == 0 &&
 *         cr_run_set_input(run, "image", photograph, &err) == 0 &&
 *         cr_run_want(run, "objects", &err) == 0 && cr_run_execute(run, &err) == 0)
 *         puts(cr_value_text(cr_run_output(run, "objects"), 0));
 */
#ifndef CRAYON_PIPELINE_H
#define CRAYON_PIPELINE_H

#include <crayon/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_pipeline;
struct cr_run;

/* Read, merge and check a pipeline; nothing is opened yet. `path` is a file; a name without a slash
 * that is no file here is looked up among the installed pipelines, with or without ".json". `sets`
 * are `count` changes of the form STAGE.KEY=VALUE that are laid over the file. Every mistake goes
 * into `report` (required), notes too; with any mistake the result is CR_ERR_PIPELINE. The registry
 * must outlive the pipeline. */
CR_API
int cr_pipeline_load(struct cr_pipeline **out, const struct cr_registry *registry, const char *path,
                     const char *const *sets, size_t count, struct cr_report *report,
                     struct cr_error *err) CR_MUST_CHECK;
/* The same from memory; `name` stands for the file in messages, and relative paths (`extends` too)
 * are relative to the folder in `name`. */
CR_API
int cr_pipeline_parse(struct cr_pipeline **out, const struct cr_registry *registry,
                      const char *text, size_t size, const char *name, const char *const *sets,
                      size_t count, struct cr_report *report, struct cr_error *err) CR_MUST_CHECK;
/* Closes the stages that are open. Runs made from it must be gone. */
CR_API
void cr_pipeline_destroy(struct cr_pipeline **pipeline);

/* The name in the file, else the file's name without folder and ".json". */
CR_API
const char *cr_pipeline_name(const struct cr_pipeline *pipeline);

struct cr_pipeline_port {
    const char *name;
    enum cr_type type;
    const char *wire; /* outputs: "stage.port" or "@input" that feeds it; inputs: NULL */
};

CR_API
size_t cr_pipeline_inputs(const struct cr_pipeline *pipeline);
CR_API
struct cr_pipeline_port cr_pipeline_input(const struct cr_pipeline *pipeline, size_t index);
CR_API
size_t cr_pipeline_outputs(const struct cr_pipeline *pipeline);
CR_API
struct cr_pipeline_port cr_pipeline_output(const struct cr_pipeline *pipeline, size_t index);

struct cr_pipeline_stage {
    const char *name;
    const struct cr_element *element;
};

/* In the order in which they run. */
CR_API
size_t cr_pipeline_stages(const struct cr_pipeline *pipeline);
CR_API
struct cr_pipeline_stage cr_pipeline_stage(const struct cr_pipeline *pipeline, size_t index);

/* The effective pipeline (merged, defaults filled in, paths resolved), which loads again unchanged;
 * and its graph in the DOT language. New strings, freed with cr_free(). */
CR_API
int cr_pipeline_print(const struct cr_pipeline *pipeline, char **json,
                      struct cr_error *err) CR_MUST_CHECK;
CR_API
int cr_pipeline_graph(const struct cr_pipeline *pipeline, char **dot,
                      struct cr_error *err) CR_MUST_CHECK;

/* The JSON Schema (draft 2020-12) of pipeline files, with the options of every stage in the
 * registry. */
CR_API
int cr_pipeline_schema(const struct cr_registry *registry, char **json,
                       struct cr_error *err) CR_MUST_CHECK;

/* The device of every stage that computes and names none itself: a name as cr_device_open() has it,
 * NULL for "auto", which is also the default; and how devices are opened, those that stages name
 * too (`params` may be NULL). Before the first run: CR_ERR_ARGUMENT once a device is open.
 * CR_ERR_NOT_FOUND when no plugin has such a device. Devices are opened when a stage first needs
 * them, one for all stages that mean the same, and closed with the pipeline. (since 1.2) */
CR_API
int cr_pipeline_set_device(struct cr_pipeline *pipeline, const char *name,
                           const struct cr_device_params *params,
                           struct cr_error *err) CR_MUST_CHECK;

/* ---- Runs ---- */

/* One pass of a batch through the pipeline. Stages stay open between runs of one pipeline, unless
 * they say "release". One run executes at a time on a pipeline. */

CR_API
int cr_run_create(struct cr_run **out, struct cr_pipeline *pipeline,
                  struct cr_error *err) CR_MUST_CHECK;
CR_API
void cr_run_destroy(struct cr_run **run);

/* Feed an input; keeps a reference and seals the value. All inputs have the same count of items. */
CR_API
int cr_run_set_input(struct cr_run *run, const char *name, struct cr_value *value,
                     struct cr_error *err) CR_MUST_CHECK;
/* Ask for an output: only the stages that wanted outputs need are opened and run. */
CR_API
int cr_run_want(struct cr_run *run, const char *output, struct cr_error *err) CR_MUST_CHECK;

struct cr_run_hooks {
    void *user;
    /* Text of an output as it comes: item `item` of output `output`. */
    void (*emit)(void *user, const char *output, size_t item, const char *bytes, size_t count);
    /* Stage `stage` is `done` (0..1) through. */
    void (*progress)(void *user, const char *stage, double done);
    const struct cr_log *log;
    const volatile int *cancel; /* nonzero: stop at the next safe point */
    void *reserved[4];
};
/* Any member may be NULL; copied. */
CR_API
void cr_run_set_hooks(struct cr_run *run, const struct cr_run_hooks *hooks);
CR_API
void cr_run_set_seed(struct cr_run *run, uint64_t seed);

/* Open what is needed and run it. An error names the stage. CR_ERR_CANCELLED when the cancel flag
 * was seen. */
CR_API
int cr_run_execute(struct cr_run *run, struct cr_error *err) CR_MUST_CHECK;

/* Find out what the run will take of each device and of the host, without loading anything: the
 * stages are opened and run on devices that only count (crayon/plugin.h). Weight files need headers
 * and nothing else. Inputs that were not set are examples, and so is what comes from stages that
 * compute on no device, which are not run. Before the first execution: CR_ERR_ARGUMENT when a stage
 * is open already. (since 1.3) */
CR_API
int cr_run_plan(struct cr_run *run, struct cr_error *err) CR_MUST_CHECK;

/* All in bytes. */
struct cr_stage_plan {
    const char *name;
    const char *device; /* as it calls itself; NULL: the stage computes on none */
    uint64_t weights;   /* on the device once the stage is open */
    uint64_t work;      /* beyond that, at most, while it runs: caches, activations, results */
    uint64_t peak;      /* on the device meanwhile, at most, of all stages together */
    uint64_t host; /* on the host meanwhile, at most, of all stages together; 0 where the system
                      does not tell how large allocations are */
    bool release;  /* the stage is closed after its run */
};
/* The stages that will run, in order, after a successful cr_run_plan(). (since 1.3) */
CR_API
size_t cr_run_planned_stages(const struct cr_run *run);
CR_API
struct cr_stage_plan cr_run_planned_stage(const struct cr_run *run, size_t index);

struct cr_device_plan {
    const char *name;
    uint64_t needed; /* at most, at once; where the device's memory is the host's, with what the
                        host needs */
    uint64_t total;  /* what the device has */
    uint64_t left;   /* how much of that is free; 0: not known */
};
/* The devices that they compute on. (since 1.3) */
CR_API
size_t cr_run_planned_devices(const struct cr_run *run);
CR_API
struct cr_device_plan cr_run_planned_device(const struct cr_run *run, size_t index);

/* Does everything fit into what is free? CR_ERR_MEMORY says how much is needed, how much is free,
 * and whether "release" or "weights" would help. Plans first; a run that computes on no device,
 * whose stages are open already, or that cannot be planned, passes: that a model is missing, say,
 * is for the execution to tell. (since 1.3) */
CR_API
int cr_run_check_memory(struct cr_run *run, struct cr_error *err) CR_MUST_CHECK;

/* A wanted output after a successful cr_run_execute(), borrowed; NULL otherwise. Tensors are on the
 * host. */
CR_API
const struct cr_value *cr_run_output(const struct cr_run *run, const char *output);

struct cr_stage_time {
    const char *name;
    double open_seconds, run_seconds;
};
/* Times of the stages that ran in the last execution, in order. */
CR_API
size_t cr_run_times(const struct cr_run *run);
CR_API
struct cr_stage_time cr_run_time(const struct cr_run *run, size_t index);
/* The device that the stage computed on, as it calls itself ("cpu", "vulkan:0"); NULL: on none.
 * Borrowed from the pipeline. (since 1.2) */
CR_API
const char *cr_run_device(const struct cr_run *run, size_t index);

/* What a stage tells of its run beside the time: "tokens_per_second"; and, of stages on a device,
 * "device_peak_bytes", the most memory that was used there meanwhile, by all stages together.
 * (since 1.2) */
struct cr_figure {
    const char *name;
    double value;
};
CR_API
size_t cr_run_figures(const struct cr_run *run, size_t index);
CR_API
struct cr_figure cr_run_figure(const struct cr_run *run, size_t index, size_t figure);

#ifdef __cplusplus
}
#endif
#endif
