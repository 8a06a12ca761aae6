/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/bench/bench.h"
#include "tensor/device.h"

#define MOST_REPEATS 100000

double bench_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The time of one execution, from `repeats` of them. */
static int run(const struct bench_case *c, struct bench_inputs *inputs, int64_t repeats,
               double *seconds, struct cr_error *err)
{
    double start = bench_now();
    int result = 0;
    for (int64_t i = 0; i < repeats && result == 0; i++) {
        result = c->kind->run(inputs, c, err);
        bench_next_turn(inputs);
    }
    if (result == 0)
        result = cr_device_finish(inputs->device, err);
    *seconds = (bench_now() - start) / (double)repeats;
    return result;
}

/* The first execution, which also tells the variant. */
static int warm_up(struct bench_result *result, struct bench_inputs *inputs, struct cr_error *err)
{
    enum cr_op op;
    double seconds;
    cr_device_watch(inputs->device, true);
    int code = run(result->c, inputs, 1, &seconds, err);
    const char *variant = cr_device_watched(inputs->device, &op);
    result->composed = op != result->c->kind->op;
    if (!result->composed)
        memcpy(result->variant, variant, strnlen(variant, sizeof(result->variant) - 1));
    cr_device_watch(inputs->device, false);
    return code;
}

static int measure(struct bench_result *result, struct bench_inputs *inputs,
                   const struct bench_plan *plan, double *times, struct cr_error *err)
{
    double once;
    int code = warm_up(result, inputs, err);
    if (code == 0)
        code = run(result->c, inputs, 1, &once, err);
    if (code < 0)
        return code;
    double repeats = once > 0 ? plan->seconds / once + 1 : MOST_REPEATS;
    result->repeats = repeats > MOST_REPEATS ? MOST_REPEATS : (int64_t)repeats;
    result->runs = plan->runs;
    for (int i = 0; i < plan->runs && code == 0; i++)
        code = run(result->c, inputs, result->repeats, &times[i], err);
    return code;
}

static void summarise(struct bench_result *result, double *times)
{
    int runs = result->runs;
    qsort(times, (size_t)runs, sizeof(*times), compare);
    result->least = times[0];
    result->most = times[runs - 1];
    result->quartile1 = times[(runs - 1) / 4];
    result->quartile3 = times[runs - 1 - (runs - 1) / 4];
    result->seconds = (times[(runs - 1) / 2] + times[runs / 2]) / 2;
}

/* The limit that the case meets first, and how near it comes. */
static void judge(struct bench_result *result, const struct cr_device_limits *limits)
{
    const struct bench_kind *kind = result->c->kind;
    double rate = kind->product ? limits->sgemm : limits->multiply_adds;
    double moving = limits->read_bytes > 0 ? result->bytes / limits->read_bytes : 0;
    double computing = rate > 0 ? result->operations / rate : 0;
    double least = moving > computing ? moving : computing;
    result->limit = least <= 0            ? ""
                    : moving >= computing ? "read"
                    : kind->product       ? "sgemm"
                                          : "fma";
    result->share = result->seconds > 0 ? least / result->seconds : 0;
}

int bench_measure(struct bench_result *result, const struct bench_case *c,
                  struct bench_inputs *inputs, const struct bench_plan *plan,
                  const struct cr_device_limits *limits, struct cr_error *err)
{
    *result = (struct bench_result){.c = c, .limit = ""};
    double *times = cr_calloc((size_t)plan->runs, sizeof(*times));
    if (times == NULL)
        return cr_fail_memory(err, (size_t)plan->runs * sizeof(*times));
    inputs->result = 0;
    inputs->err = err;
    c->kind->prepare(inputs, c);
    int code = inputs->result;
    if (code == 0)
        code = measure(result, inputs, plan, times, err);
    result->bytes = c->kind->bytes(c);
    result->operations = c->kind->operations(c);
    if (code == 0) {
        summarise(result, times);
        judge(result, limits);
    }
    cr_free(times);
    return code;
}
