/* SPDX-License-Identifier: MIT */
/* bench.h: the parts of `crayon bench`: cases, how they are run and measured, what is printed. */
#ifndef CR_COMMAND_BENCH_H
#define CR_COMMAND_BENCH_H

#include "base/json.h"
#include "command/command.h"

/* ---- Inputs: inputs.c ---- */

/* What a matrix of weights, or a cache, holds. */
enum bench_type {
    BENCH_F32,
    BENCH_F16,
    BENCH_Q8_0,
    BENCH_NF4,
    BENCH_NF4X2, /* doubly quantised */
};

/* Bytes of so many elements. */
double bench_type_bytes(enum bench_type type, double elements);

#define BENCH_WARM 12
#define BENCH_COLD 2

/* Tensors that every run reads anew from memory: weights, key and value caches. There are so many
 * copies, used in turn, that no cache holds the one that comes next. */
struct bench_cold {
    enum bench_type type;
    int rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    int tensors; /* of one copy: 0..BENCH_COLD */
    struct cr_tensor **copies[BENCH_COLD];
    size_t count, turn;
};

struct bench_inputs {
    struct cr_device *device;
    uint64_t seed;
    struct cr_tensor *warm[BENCH_WARM]; /* tensors that stay as an earlier operation left them */
    int warm_count;
    struct bench_cold cold; /* kept from case to case as long as it fits */
    int result;             /* of preparing: the first failure stays */
    struct cr_error *err;
};

/* The next of `warm`: f32 and f16 from -1 to 1, i32 from 0 to below `limit`, u8 mostly 1. */
void bench_warm(struct bench_inputs *inputs, enum cr_dtype dtype, int rank, const int64_t *shape,
                int32_t limit);
/* The same of an f32 tensor. */
void bench_warm_f32(struct bench_inputs *inputs, int rank, const int64_t *shape);
/* A warm matrix of weights. */
void bench_warm_weights(struct bench_inputs *inputs, enum bench_type type, int64_t rows,
                        int64_t columns);
/* `tensors` cold tensors of this shape; quantised ones have rank 2. */
void bench_cold(struct bench_inputs *inputs, int tensors, enum bench_type type, int rank,
                const int64_t *shape);
/* Cold tensor `index` of this turn. */
struct cr_tensor *bench_cold_get(const struct bench_inputs *inputs, int index);
void bench_next_turn(struct bench_inputs *inputs);

/* Release what one case holds alone, or everything. */
void bench_inputs_reset(struct bench_inputs *inputs);
void bench_inputs_finish(struct bench_inputs *inputs);

/* ---- Cases: cases.c; what they do: kinds.c, moves.c ---- */

struct bench_case;

/* A kind of case: one operation, with formulas for the least that it needs. */
struct bench_kind {
    enum cr_op op;
    bool product; /* its arithmetic is measured against sgemm, not against plain multiply-adds */
    void (*prepare)(struct bench_inputs *inputs, const struct bench_case *c);
    int (*run)(struct bench_inputs *inputs, const struct bench_case *c, struct cr_error *err);
    double (*bytes)(const struct bench_case *c); /* read once, or written once */
    double (*operations)(const struct bench_case *c);
};

enum bench_model {
    BENCH_LLM,
    BENCH_VIT,
    BENCH_SWIN,
};
#define BENCH_MODELS 3

struct bench_case {
    enum bench_model model;
    bool quick; /* part of --quick */
    const char *name;
    const struct bench_kind *kind;
    enum bench_type type; /* of the weights or the cache */
    int64_t n[8];         /* extents, as the kind names them */
};

extern const struct bench_case bench_cases[];
extern const size_t bench_case_count;
/* "InternLM2-7B", and what the sizes stand for. */
const char *bench_model_title(enum bench_model model);

/* n[]: M, N, K */
extern const struct bench_kind bench_linear;
/* n[]: M, N, K, activation, branches, their rank, rows with a scale other than 0, residual (0, 1)
 */
extern const struct bench_kind bench_linear_fused;
/* n[]: batch, M, N, K */
extern const struct bench_kind bench_matmul;
/* n[]: batch, heads, key heads, queries, keys, d, enum bench_attention_flags */
extern const struct bench_kind bench_attention;
enum bench_attention_flags {
    BENCH_CAUSAL = 1,
    BENCH_BIAS = 2,   /* for each head */
    BENCH_MASK = 4,   /* for each item */
    BENCH_BIASES = 8, /* for each item and head */
};
/* n[]: queries, heads, d, points, then the sides of three square levels */
extern const struct bench_kind bench_ms_deform_attn;
/* n[]: channels, height and width, channels out, kernel, stride, padding */
extern const struct bench_kind bench_conv2d;
/* n[]: M, N, K, labelled rows */
extern const struct bench_kind bench_linear_cross_entropy;
/* n[]: rows of the table, D, ids */
extern const struct bench_kind bench_embedding;

/* n[]: M, K */
extern const struct bench_kind bench_rms_norm, bench_layer_norm, bench_silu_mul, bench_scale,
    bench_sigmoid, bench_relu, bench_gelu, bench_quick_gelu, bench_silu, bench_softmax,
    bench_log_softmax, bench_sum, bench_mean, bench_max, bench_sum_squares, bench_argmax,
    bench_cast, bench_fill, bench_adamw_step, bench_grad_norm;
/* n[]: M, K, rows of the second operand: M or 1 */
extern const struct bench_kind bench_add, bench_mul;
/* n[]: M, K, k */
extern const struct bench_kind bench_topk;
/* n[]: channels, height and width, groups */
extern const struct bench_kind bench_group_norm;
/* n[]: L, heads, d */
extern const struct bench_kind bench_rope;
/* n[]: L, heads, d, rows of the cache */
extern const struct bench_kind bench_kv_append;
/* n[]: rows of x, D, rows moved */
extern const struct bench_kind bench_gather_rows, bench_scatter_rows, bench_scatter_add_rows;
/* n[]: the shape, and what changes: extents kept; tensors; axes 1 and 2; added behind; shift */
extern const struct bench_kind bench_slice, bench_concat, bench_permute, bench_pad, bench_roll;
/* n[]: channels, height and width, those of the result, enum cr_interpolation */
extern const struct bench_kind bench_resize;
/* n[]: N, K */
extern const struct bench_kind bench_quantize, bench_dequantize;

/* ---- Measuring: measure.c ---- */

struct bench_result {
    const struct bench_case *c;
    bool lacking;     /* the device has no such operation */
    bool composed;    /* it lacks the fused one: basic ones took its place */
    char variant[64]; /* "": it has no name */
    int runs;
    int64_t repeats; /* of one run */
    double seconds;  /* the median of the runs, for one execution */
    double least, most, quartile1, quartile3;
    double bytes, operations;    /* that it needs at least */
    double share;                /* of the device's limit; 0: that is not known */
    const char *limit;           /* "read", "fma", "sgemm"; "" */
    double before, before_share; /* of the baseline; 0: it has none */
};

/* Seconds since some moment. */
double bench_now(void);

struct bench_plan {
    int runs;
    double seconds; /* that a run lasts at least */
};

/* Prepare, warm up, run. The tensors of the case remain until bench_inputs_reset(). */
int bench_measure(struct bench_result *result, const struct bench_case *c,
                  struct bench_inputs *inputs, const struct bench_plan *plan,
                  const struct cr_device_limits *limits, struct cr_error *err);

/* ---- An earlier run: baseline.c ---- */

/* Read the file that `crayon bench --json` wrote. */
int bench_baseline_load(cJSON **baseline, const char *path, struct cr_error *err);
/* Look up what the case took then. */
void bench_baseline_find(const cJSON *baseline, struct bench_result *result);
/* Say which of the selected cases it lacks, which of its cases there are no longer, and whether it
 * is from another device. */
void bench_baseline_compare(const cJSON *baseline, const char *path,
                            const struct cr_device_info *info, const struct bench_result *results,
                            size_t count);

/* ---- Output: print.c ---- */

struct bench_table {
    int name_width;
    bool baseline; /* with the ratios */
    int model;     /* whose title came last; -1: none */
};

void bench_print_head(const struct cr_device_info *info, const struct cr_device_limits *limits);
void bench_print_result(struct bench_table *table, const struct bench_result *result);
void bench_add_head(struct cr_text *json, const struct cr_device_info *info,
                    const struct cr_device_limits *limits);
void bench_add_result(struct cr_text *json, const struct bench_result *result);
/* `after`: the limits at the end; all 0 if they were not measured again. */
void bench_add_end(struct cr_text *json, const struct cr_device_limits *after);

#endif
