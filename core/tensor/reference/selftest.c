/* SPDX-License-Identifier: MIT */
/* How a device fares on the cases. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <crayon/memory.h>

#include "tensor/cases.h"
#include "tensor/device.h"
#include "tensor/reference/internal.h"

/* Sums in f32, in whatever order. */
#define SUMS 1e-5
/* Variants with 8-bit activations, which only a device that may be fast has. Their names begin with
 * "int8-". */
#define BYTES 1e-2

double cr_selftest_bound(enum cr_op op, enum cr_precision precision)
{
    (void)precision; /* what bounds a variant has of its own, its name tells */
    switch (op) {
    case CR_OP_EMBEDDING: /* what only moves numbers, picks one, or rounds once */
    case CR_OP_GATHER_ROWS:
    case CR_OP_SCATTER_ROWS:
    case CR_OP_KV_APPEND:
    case CR_OP_ADD:
    case CR_OP_MUL:
    case CR_OP_SCALE:
    case CR_OP_RELU:
    case CR_OP_MAX:
    case CR_OP_CAST:
    case CR_OP_SLICE:
    case CR_OP_CONCAT:
    case CR_OP_PERMUTE:
    case CR_OP_PAD:
    case CR_OP_ROLL:
    case CR_OP_FILL:
    case CR_OP_ARGMAX:
    case CR_OP_TOPK:
    case CR_OP_QUANTIZE:
    case CR_OP_DEQUANTIZE:
        return 0;
    default:
        return SUMS;
    }
}

/* What comes out of a case, and what should. */
struct outcome {
    void *results[CR_CALL_MAX_OUTPUTS];
    double *expected[CR_CALL_MAX_OUTPUTS];
};

static void outcome_finish(struct outcome *o)
{
    for (int i = 0; i < CR_CALL_MAX_OUTPUTS; i++) {
        cr_free(o->results[i]);
        cr_free(o->expected[i]);
    }
}

static int outcome_init(struct outcome *o, const struct cr_case *c, struct cr_error *err)
{
    memset(o, 0, sizeof(*o));
    if (c->result < 0)
        return cr_fail_memory(err, 0);
    for (int i = 0; i < c->call.outputs; i++) {
        size_t bytes = cr_case_bytes(&c->call.out[i]) + 1;
        size_t numbers = (size_t)cr_operand_elements(&c->call.out[i]) * sizeof(double) + 1;
        if ((o->results[i] = cr_calloc(1, bytes)) == NULL ||
            (o->expected[i] = cr_malloc(numbers)) == NULL)
            return cr_fail_memory(err, bytes + numbers);
    }
    return cr_reference(&c->call, o->expected, err);
}

/* Is this case the one to be named? The first that could not be executed, else the worst. */
static void record(struct cr_selftest_result *result, struct cr_device *device,
                   const struct cr_case *c, double error, const char *problem)
{
    const struct cr_device_ops *ops = device->ops;
    const char *variant = ops->variant != NULL ? ops->variant(device->state, &c->call) : NULL;
    bool bytes = variant != NULL && strncmp(variant, "int8-", 5) == 0;
    double bound =
        bytes ? BYTES : cr_selftest_bound((enum cr_op)c->call.op, device->params.precision);
    bool named = result->problem[0] == '\0' &&
                 (problem[0] != '\0' || result->cases == 0 || error > result->error);
    result->cases++;
    result->failed += problem[0] != '\0' || error > bound;
    result->error = error > result->error ? error : result->error;
    result->bound = bound > result->bound ? bound : result->bound;
    if (!named)
        return;
    snprintf(result->worst, sizeof(result->worst), "%s", c->name);
    snprintf(result->problem, sizeof(result->problem), "%s", problem);
    snprintf(result->variant, sizeof(result->variant), "%s", variant != NULL ? variant : "");
}

static int run_case(struct cr_device *device, const struct cr_case *c,
                    struct cr_selftest_result *result, struct cr_error *err)
{
    struct outcome o;
    struct cr_error problem = CR_ERROR_INIT;
    double error = 0;
    int code = outcome_init(&o, c, err);
    if (code == 0 && cr_case_execute(c, device, o.results, &problem) < 0) {
        record(result, device, c, 0, problem.message);
    } else if (code == 0) {
        for (int i = 0; i < c->call.outputs; i++)
            error = fmax(error, cr_case_error(&c->call.out[i], o.results[i], o.expected[i]));
        record(result, device, c, error, "");
    }
    cr_error_clear(&problem);
    outcome_finish(&o);
    return code;
}

int cr_selftest_run(struct cr_device *device, enum cr_op op, struct cr_selftest_result *result,
                    struct cr_error *err)
{
    struct cr_case c;
    int code = 0;
    memset(result, 0, sizeof(*result));
    result->bound = cr_selftest_bound(op, device->params.precision);
    for (int i = 0; code == 0 && cr_case_get(&c, op, i); i++) {
        code = run_case(device, &c, result, err);
        cr_case_finish(&c);
    }
    return code;
}
