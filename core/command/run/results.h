/* SPDX-License-Identifier: MIT */
/* results.h: where the result lines of a batch go, and which of them were there before. */
#ifndef CR_COMMAND_RESULTS_H
#define CR_COMMAND_RESULTS_H

#include "base/json.h"
#include "command/run/run.h"

/* Ids as they are printed, in no order. */
struct ids {
    struct id {
        char *text; /* NULL: a free place */
        bool held;  /* by the file from the start */
    } * places;
    size_t capacity, count;
};

/* Lines go to standard output (`path` is NULL), or are appended to a file; items are then told
 * apart by their ids. */
struct results {
    const char *path;
    int fd;
    struct ids ids;
    size_t passed_over; /* items that the file held */
};

/* Open the file, which must be new or empty, unless it is to be gone on with: then the ids in it
 * are read, and half a line at its end is taken away. EXIT_OK, or the exit code. */
int results_open(struct results *results, const struct run_settings *settings);
/* Is the item to be run? It is not when the file held its result (`*skip`). An item without an id,
 * or with that of another, is an error. */
int results_admit(struct results *results, const cJSON *item, bool *skip, struct cr_error *err);
/* Write one line; takes the text. False, after a message, when nothing more can be written. */
bool results_put(struct results *results, struct cr_text *line);
/* False, after a message, when what was written may not have reached the disk. */
bool results_close(struct results *results);

#endif
