/* SPDX-License-Identifier: MIT */
/* task.h: a task at work, as the files of this room share it. */
#ifndef CR_EVALUATE_TASK_H
#define CR_EVALUATE_TASK_H

#include "evaluate/evaluate.h"
#include "pipeline/pipeline.h"

struct cr_task {
    const struct cr_evaluate_params *params;
    const struct cr_element *element;
    struct cr_arena arena;
    cJSON *json; /* its options as they were written */
    /* The task as a node: its state; a port is connected if it has a wire. */
    struct cr_node node;
    const char **questions; /* for each output: the pipeline's input; NULL: none */
    const char **answers;   /* for each input: the pipeline's output; NULL: none */
    struct cr_run *run;     /* of the pipeline; NULL without one */
};

/* What the task is told in one call. */
struct cr_task_context {
    const struct cr_task *task;
    char *name;                 /* of the item; or NULL */
    struct cr_value **outputs;  /* by port; NULL outside item() */
    bool answered;              /* score() may ask */
    struct cr_evaluated *tells; /* finish() may tell; or NULL */
    struct cr_error misuse;     /* the first rule that was broken, or want of memory */
};

/* Find the element, fill its options, wire its ports; every mistake goes into the report.
 * CR_ERR_PIPELINE if there are any. */
int cr_task_bind(struct cr_task *task, struct cr_report *report, struct cr_error *err);

/* Set a cell of a table. More columns than there is room for are CR_ERR_PLUGIN. */
int cr_tables_set(struct cr_evaluated *evaluated, const char *table, const char *row,
                  const char *column, struct cr_cell cell, struct cr_error *err);

#endif
