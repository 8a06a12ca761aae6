/* SPDX-License-Identifier: MIT */
/* stream.h: from files to wherever numbers are wanted, piece by piece, on several threads. */
#ifndef CR_MODEL_STREAM_H
#define CR_MODEL_STREAM_H

#include <stdatomic.h>

#include "model/claim.h"

/* Something being made by a plan: a tensor, or a part of a file. */
struct cr_target {
    const struct cr_plan *plan; /* without parts: nothing is to be done */
    /* Takes bytes at an offset. Called from several threads, for different bytes. */
    int (*write)(void *user, uint64_t offset, const void *data, size_t bytes, struct cr_error *err);
    void *user;
    char *memory; /* where those offsets lie in the host's memory; NULL: only write() knows */
    /* Where numbers (or codes), scales, nested_absmax and nested_map begin. */
    uint64_t values, scales, nested, map;
    float nested_offset; /* of what was doubly quantised, afterwards */
    /* The stream's own. */
    float *absmax; /* of all blocks, while they wait for double quantisation */
    _Atomic size_t left;
};

/* Make all targets. `hooks` may be NULL; they are called from this thread. */
int cr_stream_run(struct cr_target *targets, size_t count, const struct cr_load_hooks *hooks,
                  struct cr_error *err);
/* Take the host memory that this would take for buffers, and give it back; nothing is read. */
int cr_stream_rehearse(struct cr_target *targets, size_t count, struct cr_error *err);

#endif
