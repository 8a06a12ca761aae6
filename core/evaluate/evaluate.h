/* SPDX-License-Identifier: MIT */
/* evaluate.h: running a task: its items go through a pipeline, it scores what comes back. The part
 * of tasks themselves is in crayon/plugin.h. */
#ifndef CR_EVALUATE_EVALUATE_H
#define CR_EVALUATE_EVALUATE_H

#include <crayon/pipeline.h>

struct cr_evaluate_params {
    const struct cr_registry *registry;
    const char *task;
    const char *const *sets; /* KEY=VALUE: options of the task */
    size_t set_count;
    struct cr_pipeline *pipeline; /* NULL: the task answers itself */
    uint64_t limit;               /* do only the first so many items; 0: all */
    unsigned threads;             /* for tasks that can use several; 0: one for each processor */
    bool no_plan;                 /* run a pipeline that memory may not hold, too */
    const struct cr_log *log;     /* or NULL */
    const volatile int *cancel;   /* nonzero: stop at the next safe point; or NULL */
    /* Called by one thread at a time; either may be NULL. An item is through. An item failed: its
     * name, or NULL, and why. */
    void (*progress)(void *user, size_t done, size_t count);
    void (*failed)(void *user, size_t index, const char *name, const char *reason);
    void *user;
};

/* Tables of figures, as a task tells them. */
#define CR_TABLE_COLUMNS 16

struct cr_cell {
    enum cr_unit unit; /* 0: empty */
    double value;
};

struct cr_row {
    char *name;
    struct cr_cell cells[CR_TABLE_COLUMNS];
};

struct cr_table {
    char *name;
    char *columns[CR_TABLE_COLUMNS];
    size_t column_count;
    struct cr_row *rows;
    size_t row_count, row_capacity;
};

struct cr_evaluated {
    size_t count;   /* items that were to be done */
    size_t scored;  /* items that the figures are of */
    size_t failed;  /* items that are left out, each with a reason */
    bool cancelled; /* before all were done */
    double seconds;
    struct cr_table *tables;
    size_t table_count;
};

/* Run a task. First everything is checked, and nothing opened: mistakes go into `report`, all at
 * once, and make the result CR_ERR_PIPELINE; a pipeline that does not fit into memory is refused.
 * An item that fails is reported and left out; when a stage of the pipeline cannot be opened, or
 * the task itself fails, so does the function. What was done when the cancel flag is seen keeps its
 * figures. */
CR_API
int cr_evaluate(struct cr_evaluated *out, const struct cr_evaluate_params *params,
                struct cr_report *report, struct cr_error *err);
CR_API
void cr_evaluated_finish(struct cr_evaluated *evaluated);

#endif
