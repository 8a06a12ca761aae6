/* SPDX-License-Identifier: MIT */
/* verify.h: running recorded cases and comparing what comes out with what a reference computed.
 * crayon-verify(1) describes the files. */
#ifndef CR_VERIFY_VERIFY_H
#define CR_VERIFY_VERIFY_H

#include <crayon/registry.h>

/* A session: devices stay open from one case to the next. */
struct cr_verify;

struct cr_verify_params {
    const struct cr_registry *registry; /* must outlive the session */
    const struct cr_log *log;           /* likewise; or NULL */
    int threads;                        /* of CPU devices; 0: as many as there are processors */
    const volatile int *cancel;         /* nonzero: stop at the next safe point; or NULL */
    /* Stage `stage` is `done` (0..1) through; or NULL. */
    void (*progress)(void *user, const char *stage, double done);
    void *user;
};

CR_API
int cr_verify_create(struct cr_verify **out, const struct cr_verify_params *params,
                     struct cr_error *err);
CR_API
void cr_verify_destroy(struct cr_verify **verify);

/* The case files that a path means: the file itself, or all cases in a folder by name. A list of
 * `*count` new strings in a new list, each freed with cr_free(). A folder without a case, and a
 * path that does not exist, are CR_ERR_NOT_FOUND. */
CR_API
int cr_verify_find(char ***paths, size_t *count, const char *path, struct cr_error *err);

enum cr_verdict {
    CR_VERDICT_PASSED,
    CR_VERDICT_FAILED,
    CR_VERDICT_NOT_RUN, /* a plugin or a device is absent */
};

/* Kinds of bounds, with the keys that they have in a case. */
#define CR_BOUNDS(X)                                                                               \
    X(RELATIVE, "relative")                                                                        \
    X(ABSOLUTE, "absolute")                                                                        \
    X(EXACT, "exact")                                                                              \
    X(MISMATCHES, "mismatches")

enum cr_bound_kind {
#define CR_BOUND_ENTRY(name, key) CR_BOUND_##name,
    CR_BOUNDS(CR_BOUND_ENTRY)
#undef CR_BOUND_ENTRY
    CR_BOUND_COUNT
};

CR_API
const char *cr_bound_key(enum cr_bound_kind kind);

struct cr_bound {
    bool given;
    double limit; /* EXACT: 0 */
    double error; /* EXACT: elements that differ. Infinity where there is no number */
    bool holds;
};

/* One expected value. */
struct cr_compared {
    char *name;
    struct cr_bound bounds[CR_BOUND_COUNT];
    char *problem; /* why it could not be compared, or NULL: bounds have no errors then */
    bool compared; /* false: it was not come to */
    bool passed;
};

/* One case on one device. */
struct cr_verified {
    enum cr_verdict verdict;
    char device[64]; /* that it computed on, "" for none; the first of several */
    struct cr_compared *compared;
    size_t count;
    struct cr_report *report; /* what is wrong with the case, or why it could not run */
    double seconds;
};

/* Run the case in the file `path` on `device` (NULL: "auto", where something computes) with exact
 * precision. What is wrong
 * with the case is in the result; the function fails for want of memory and when it was cancelled
 * only. */
CR_API
int cr_verify_case(struct cr_verified *out, struct cr_verify *verify, const char *path,
                   const char *device, struct cr_error *err);
CR_API
void cr_verified_finish(struct cr_verified *verified);

#endif
