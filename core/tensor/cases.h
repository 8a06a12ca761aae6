/* SPDX-License-Identifier: MIT */
/* cases.h: small cases of every operation, and how a device fares on them. Used by `crayon devices
 * --check` and by the tests. */
#ifndef CR_TENSOR_CASES_H
#define CR_TENSOR_CASES_H

#include <crayon/ops.h>

/* ---- The self-test of a device ---- */

struct cr_selftest_result {
    int cases;         /* how many were run */
    int failed;        /* how many of them missed the bound, or could not be executed */
    double error;      /* the worst relative error |d|2 / |ref|2 of a result */
    double bound;      /* the largest error allowed; 0: every bit has to agree */
    char worst[96];    /* the case with that error; or the first that could not be executed */
    char variant[64];  /* of that case; "" if the device has no name for it */
    char problem[256]; /* why that case could not be executed; "" if all were */
};

/* Run the cases of one operation through the functions of crayon/ops.h and compare the results with
 * the reference. A device that computes wrongly or refuses is described in `result`; the function
 * itself fails only when the host is out of memory. */
CR_API
int cr_selftest_run(struct cr_device *device, enum cr_op op, struct cr_selftest_result *result,
                    struct cr_error *err) CR_MUST_CHECK;

/* The largest relative error that an operation may have on a device opened with `precision`; 0:
 * every bit has to agree. */
CR_API
double cr_selftest_bound(enum cr_op op, enum cr_precision precision);

/* ---- Cases ---- */

/* A call with its operands on the host, in memory that the case owns. */
struct cr_case {
    char name[96];
    struct cr_call call;
    uint64_t seed; /* of the next input */
    void *blocks[CR_CALL_MAX_INPUTS + CR_CALL_MAX_OUTPUTS];
    int block_count;
    int result; /* CR_ERR_MEMORY after an allocation failed: further steps do nothing */
};

/* What an operand is filled with. */
enum cr_fill {
    CR_FILL_ZERO,
    CR_FILL_NORMAL,  /* about normally distributed, standard deviation 1 */
    CR_FILL_WEIGHT,  /* the same, divided by the square root of the last extent */
    CR_FILL_UNIFORM, /* 0..1 */
};

/* Case `index` of an operation, from 0 on; false behind the last. Look at `result` before use, and
 * finish it in any case. */
CR_API
bool cr_case_get(struct cr_case *c, enum cr_op op, int index);

/* Or by hand. Operands lie at the start of their memory. */
CR_API
void cr_case_init(struct cr_case *c, enum cr_op op, uint64_t seed, const char *name, ...)
    CR_PRINTF(4, 5);
/* The next input, filled (whole numbers always with 0). Quantised matrices hold quantised numbers
 * of that kind. Returns where the numbers or codes lie, NULL when memory ran out. */
CR_API
void *cr_case_in(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape,
                 enum cr_fill fill);
/* The next input, nf4 and doubly quantised. */
CR_API
void *cr_case_in_nested(struct cr_case *c, int64_t rows, int64_t columns, enum cr_fill fill);
CR_API
void cr_case_absent(struct cr_case *c);
/* The next output; for those that are changed in place, the old contents. The output of QUANTIZE is
 * doubly quantised if ints[0] says so. */
CR_API
void *cr_case_out(struct cr_case *c, enum cr_dtype dtype, int rank, const int64_t *shape,
                  enum cr_fill fill);
CR_API
void cr_case_finish(struct cr_case *c);

/* Cases with many parameters. */

enum cr_weights {
    CR_WEIGHTS_F32,
    CR_WEIGHTS_F16,
    CR_WEIGHTS_Q8_0,
    CR_WEIGHTS_NF4,
    CR_WEIGHTS_NESTED, /* nf4, doubly quantised */
    CR_WEIGHTS_COUNT,
};

struct cr_linear_case {
    int64_t m, n, k;
    enum cr_weights weights;
    bool bias;
    /* LINEAR_FUSED only, if any of these is set: */
    enum cr_activation activation;
    bool residual;
    int branches;
    enum cr_scales {
        CR_SCALES_ABSENT,
        CR_SCALES_NONE, /* all 0: every row is skipped */
        CR_SCALES_ALL,
        CR_SCALES_ALTERNATING,
    } scales;
    enum cr_weights branch_weights;
    int64_t rank;   /* of the branches */
    int64_t source; /* Ks of another source for branches 1 and 3; 0: all read x */
};
CR_API
void cr_case_linear(struct cr_case *c, const struct cr_linear_case *shape, uint64_t seed);

struct cr_attention_case {
    int64_t b, heads, kv_heads, queries, keys, d;
    bool half, causal, lengths, mask, bias, rows;
};
CR_API
void cr_case_attention(struct cr_case *c, const struct cr_attention_case *shape, uint64_t seed);

/* The next number of a sequence: from 0 to below 1, or about normally distributed. */
CR_API
double cr_case_uniform(uint64_t *seed);
CR_API
double cr_case_normal(uint64_t *seed);

/* ---- Running and comparing ---- */

/* Bytes from the operand's first element (or code) to its end, planes included. */
CR_API
size_t cr_case_bytes(const struct cr_operand *operand);

/* Run the case through the functions of crayon/ops.h. results[i] receives what output i holds then:
 * cr_case_bytes(&call.out[i]) of them, planes where the case has them. */
CR_API
int cr_case_execute(const struct cr_case *c, struct cr_device *device, void *const *results,
                    struct cr_error *err) CR_MUST_CHECK;

/* |got - expected|2 / |expected|2 over one output; infinity where only one side is NaN or infinite;
 * 0 if all bits agree once the expected numbers are rounded to the type (a zero of the wrong sign
 * counts as the smallest error). `got` is as cr_case_execute() gives it; the planes of a quantised
 * output are compared with those that the reference wrote to `out`. */
CR_API
double cr_case_error(const struct cr_operand *out, const void *got, const double *expected);

#endif
