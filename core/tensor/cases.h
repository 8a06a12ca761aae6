/* SPDX-License-Identifier: MIT */
/* cases.h: small cases of every operation, and how a device fares on them. Used by `crayon devices
 * --check` and by the tests. */
#ifndef CR_TENSOR_CASES_H
#define CR_TENSOR_CASES_H

#include <crayon/ops.h>

/* ---- The self-test of a device ---- */

struct cr_selftest_result {
    int cases;         /* how many were run */
    int failed;        /* how many of them missed the bound, or failed to run */
    double error;      /* the worst relative error |d|2 / |ref|2 of a result */
    double bound;      /* 0: every bit has to agree */
    char worst[96];    /* the case with that error, or that failed */
    char variant[64];  /* of that case; "" if the device has no name for it */
    char problem[256]; /* why a case failed to run; "" if none did */
};

/* Run the cases of one operation through the functions of crayon/ops.h and compare the results with
 * the reference. A device that computes wrongly or refuses is described in `result`; the function
 * itself fails only when the host is out of memory. */
int cr_selftest_run(struct cr_device *device, enum cr_op op, struct cr_selftest_result *result,
                    struct cr_error *err) CR_MUST_CHECK;

/* The largest relative error that an operation may have on a device opened with `precision`; 0:
 * every bit has to agree. */
double cr_selftest_bound(enum cr_op op, enum cr_precision precision);

/* ---- Cases ---- */

/* A call with its operands on the host, in the case's own memory. */
struct cr_case {
    char name[96];
    struct cr_call call;
    uint64_t seed; /* of the next input */
    void *blocks[CR_CALL_MAX_INPUTS + CR_CALL_MAX_OUTPUTS];
    int block_count;
    int result; /* CR_ERR_MEMORY after an allocation failed: the steps after that do nothing */
};

/* What an input is filled with. */
enum cr_fill {
    CR_FILL_NORMAL,  /* about normally distributed, standard deviation 1 */
    CR_FILL_WEIGHT,  /* the same, divided by the square root of the last extent */
    CR_FILL_UNIFORM, /* 0..1 */
    CR_FILL_ZERO,
};

/* The cases of an operation, from 0 on; CR_ERR_NOT_FOUND behind the last. */
int cr_case_get(struct cr_case *out, enum cr_op op, int index, struct cr_error *err) CR_MUST_CHECK;

/* Or by hand: */
void cr_case_init(struct cr_case *c, enum cr_op op, uint64_t seed, const char *name, ...)
    CR_PRINTF(4, 5);
/* The next input, filled; whole numbers are filled with 0. Returns where its numbers (or codes)
 * lie, NULL when memory ran out. Quantised matrices hold quantised numbers of that kind. */
void *cr_case_in(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape,
                 enum cr_fill fill);
void *cr_case_nested(struct cr_case *c, int64_t rows, int64_t columns, enum cr_fill fill);
void cr_case_absent(struct cr_case *c);
/* The next output; for those that are changed in place, the old contents. */
void *cr_case_out(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape,
                  enum cr_fill fill);
void cr_case_finish(struct cr_case *c);

/* A number from 0 to below 1, or one about normally distributed, of a sequence. */
double cr_case_uniform(uint64_t *seed);
double cr_case_normal(uint64_t *seed);

/* Run the case through the functions of crayon/ops.h. results[i] receives what output i holds then,
 * in its own dtype (planes of quantised matrices as in the case), and is call.out[i]'s size. */
int cr_case_execute(const struct cr_case *c, struct cr_device *device, void *const *results,
                    struct cr_error *err) CR_MUST_CHECK;

/* |got - expected|2 / |expected|2 over one output; 0 if all bits agree, infinity where a NaN or an
 * infinity is on one side only. `got` is in the output's own dtype. */
double cr_case_error(const struct cr_operand *out, const void *got, const double *expected);

#endif
