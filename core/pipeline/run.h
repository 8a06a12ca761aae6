/* SPDX-License-Identifier: MIT */
/* run.h: a run, and what a stage sees of it. */
#ifndef CR_PIPELINE_RUN_H
#define CR_PIPELINE_RUN_H

#include "pipeline/pipeline.h"
#include "tensor/device.h"

/* What a stage told of its run. */
struct cr_figures {
    size_t count;
    struct cr_figure items[8];
};

/* What a stage will take. */
struct cr_node_plan {
    struct cr_stage_plan stage;
    const struct cr_opened *opened; /* its device; NULL: none */
};

struct cr_run {
    struct cr_pipeline *pipeline;
    struct cr_arena arena;       /* of the arrays below, each with an entry for ... */
    struct cr_value **inputs;    /* ... an input of the pipeline: as given, or NULL */
    struct cr_value **results;   /* ... an output: after a successful execution */
    bool *wanted;                /* ... an output */
    bool *needed;                /* ... a node */
    struct cr_value **values;    /* ... a source: while somebody waits for it */
    size_t *uses;                /* ... a source: wires and wanted outputs that wait for it */
    struct cr_value **given;     /* ... a source: known without running its node (share.h) */
    bool *kept;                  /* ... a source: what it gets becomes `given` */
    bool *examples;              /* ... a source: its value is one, for a plan */
    struct cr_stage_time *times; /* ... a node that ran */
    const char **devices;        /* ... a node that ran: the name of its device, or NULL */
    struct cr_figures *figures;  /* ... a node that ran */
    struct cr_profile *profiles; /* ... a node that ran */
    size_t time_count;
    bool stays_shut;            /* the last execution failed because a stage could not be opened */
    struct cr_node_plan *plans; /* ... a needed node, in order */
    size_t plan_count;
    struct cr_run_hooks hooks;
    uint64_t seed;
};

/* One call of open() or run(). */
struct cr_context {
    struct cr_run *run;
    struct cr_node *node;
    struct cr_arena scratch;
    struct cr_value **inputs;  /* by port, then by wire; NULL in open() */
    struct cr_value **outputs; /* by port: what the stage handed over; NULL in open() */
    size_t first_item;         /* of the slice in the batch */
    size_t slice, slices;
    struct cr_error misuse; /* the first rule that the stage broke */
    char *folder;           /* that holds those of cr_context_folder(); NULL: none */
    size_t folders;         /* in it, called 0, 1, ... */
};

/* Open or run the stage that the context is about. Errors say what is wrong, not where. After a
 * successful run all wanted outputs are there and as declared. */
int cr_context_open(struct cr_context *context, struct cr_error *err);
int cr_context_run(struct cr_context *context, struct cr_error *err);

/* Remove what cr_context_folder() gave. */
void cr_context_remove_folders(struct cr_context *context);

/* How long each operation took in the stages that ran, as the times are counted; a pipeline is
 * profiled from cr_pipeline_profile() on, before its first run. */
CR_API
void cr_pipeline_profile(struct cr_pipeline *pipeline);
CR_API
const struct cr_profile *cr_run_profile(const struct cr_run *run, size_t index);

/* Note a figure of the stage that runs; the last one of a name counts, those beyond the eighth are
 * dropped. */
void cr_run_add_figure(struct cr_run *run, const char *name, double value);

/* Close the stage if it is open. */
void cr_node_close(struct cr_node *node);
/* Close it after a run with this result, and give the memory of its device that nobody uses back to
 * the system. The result. */
int cr_node_release(struct cr_node *node, int result, struct cr_error *err);

/* ---- The parts of an execution, for plan.c too ---- */

/* Count who waits for what, from the wanted outputs back to the inputs: fills `needed`, `uses`. */
void cr_run_count_uses(struct cr_run *run);
/* Take the inputs, then visit the stages that are needed, in their order. An error names the stage.
 */
int cr_run_each(struct cr_run *run,
                int (*visit)(struct cr_run *run, struct cr_node *node, struct cr_error *err),
                struct cr_error *err);
/* Open a stage that is not open. */
int cr_node_open(struct cr_run *run, struct cr_node *node, struct cr_error *err);
/* The values on its wires go in, those that somebody waits for are kept. */
int cr_node_run(struct cr_run *run, struct cr_node *node, struct cr_error *err);
/* Values are let go as soon as nobody waits for them. */
void cr_run_let_go(struct cr_run *run, const struct cr_node *node);

/* Wires of all input ports together; where the wires of port `port` start among them. */
size_t cr_node_first_wire(const struct cr_node *node, size_t port);

/* Does the value need no moving to the device (NULL: the host)? Only tensors do. The same value
 * there, sealed; another reference if it needs no moving. */
bool cr_value_is_on(const struct cr_value *value, const struct cr_device *device);
int cr_value_to(struct cr_value **out, const struct cr_value *value, struct cr_device *device,
                struct cr_error *err);

/* Items start .. start + count - 1 of a batch; batches put one after the other. Sealed. */
int cr_value_slice(struct cr_value **out, const struct cr_value *value, size_t start, size_t count,
                   struct cr_error *err);
int cr_value_join(struct cr_value **out, struct cr_value *const *parts, size_t count,
                  struct cr_error *err);

#endif
