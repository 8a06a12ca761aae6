/* SPDX-License-Identifier: MIT */
/* crayon/device.h: devices, for those who use them and for those who write one (since ABI 1.1).
 *
 * A device executes tensor operations (crayon/ops.h). It is an element of a plugin, as a stage is:
 * the element "device-cpu" is the device "cpu". Operations are recorded and return;
 * cr_tensor_read() and cr_device_finish() wait, and report what went wrong late, naming the first
 * operation that failed.
 *
 * Threads: a device may be used from several threads; calls are serialised inside. */
#ifndef CRAYON_DEVICE_H
#define CRAYON_DEVICE_H

#include <crayon/log.h>
#include <crayon/memory.h>
#include <crayon/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Using devices ---- */

struct cr_device;
struct cr_registry;
struct cr_call;

enum cr_precision {
    CR_PRECISION_FAST,  /* the default: variants with their own stated bound are allowed */
    CR_PRECISION_EXACT, /* f32 activations and accumulation: relative error 1e-5 at most */
};

struct cr_device_params {
    enum cr_precision precision;
    int threads;              /* of a CPU device; 0: as many as there are processors to run on */
    const struct cr_log *log; /* must outlive the device; or NULL */
    uint32_t reserved[8];
};

/* Open a device by name: "cpu", "vulkan", "vulkan:1", "vulkan:PART-OF-NAME", "vulkan:UUID"; NULL or
 * "auto": the first real GPU, else "cpu". The registry must outlive the device; `params` may be
 * NULL. */
CR_API
int cr_device_open(struct cr_device **out, const struct cr_registry *registry, const char *name,
                   const struct cr_device_params *params, struct cr_error *err) CR_MUST_CHECK;
CR_API
struct cr_device *cr_device_ref(struct cr_device *device);
/* Tensors on a device keep it alive. */
CR_API
void cr_device_unref(struct cr_device **device);

/* What there is to know about a device. Strings are NUL-terminated. */
struct cr_device_info {
    uint32_t size;    /* sizeof(struct cr_device_info) */
    uint32_t flags;   /* enum cr_device_flags */
    char name[64];    /* how to open it: "cpu", "vulkan:0" */
    char title[128];  /* "AMD EPYC", "NVIDIA H100" */
    char driver[128]; /* "avx512: x86-64 with AVX-512", "RADV 23.3.1" */
    char detail[512]; /* what was detected and what follows from it; lines */
    uint64_t memory;  /* bytes that it can hold */
    uint32_t threads; /* 0 where it has no meaning */
    uint32_t reserved[7];
};

enum cr_device_flags {
    CR_DEVICE_SOFTWARE = 1, /* a GPU driver that computes on the CPU: used only when named */
    CR_DEVICE_GPU = 2,
    CR_DEVICE_UNUSABLE = 4, /* it is there, but cannot be opened; `detail` says why (ABI 1.2) */
};

CR_API
void cr_device_get_info(const struct cr_device *device, struct cr_device_info *info);
/* What it was opened with. (since ABI 1.2) */
CR_API
enum cr_precision cr_device_precision(const struct cr_device *device);

/* Wait until everything recorded so far is done. */
CR_API
int cr_device_finish(struct cr_device *device, struct cr_error *err) CR_MUST_CHECK;

struct cr_device_memory {
    uint64_t total;       /* bytes that the device has */
    uint64_t used;        /* by live tensors of this device */
    uint64_t pooled;      /* kept for reuse */
    uint64_t peak;        /* the most that was used at once */
    uint64_t allocations; /* that reached the device, not the pool; counted since it was opened */
};
CR_API
void cr_device_get_memory(const struct cr_device *device, struct cr_device_memory *memory);

/* What a device can do at most, measured on it (takes a second or two): the yardstick of `crayon
 * bench`. 0: not known. */
struct cr_device_limits {
    uint32_t size; /* sizeof(struct cr_device_limits) */
    uint32_t reserved;
    double read_bytes;    /* a second, from memory that no cache holds */
    double copy_bytes;    /* a second, read plus written */
    double multiply_adds; /* f32 operations a second: two for each multiply-add, from registers */
    double sgemm;         /* f32 operations a second in a product of large f32 matrices */
};
CR_API
int cr_device_get_limits(struct cr_device *device, struct cr_device_limits *limits,
                         struct cr_error *err) CR_MUST_CHECK;

/* The name of the variant that executes a call, for bench and logs; NULL when the device has none.
 */
CR_API
const char *cr_device_variant(struct cr_device *device, const struct cr_call *call);

/* Which variants execute the operations of an open device, and why better ones do not: lines that
 * are added to `text`; none from a device that has nothing to say. Since ABI 1.2. */
CR_API
int cr_device_explain(struct cr_device *device, struct cr_text *text,
                      struct cr_error *err) CR_MUST_CHECK;

/* Every device of every loaded plugin: `found` is called once for each. A plugin that cannot look
 * (no driver) says so in `unavailable` (may be NULL). */
CR_API
int cr_device_list(const struct cr_registry *registry,
                   void (*found)(void *user, const struct cr_device_info *info),
                   void (*unavailable)(void *user, const char *element, const char *reason),
                   void *user, struct cr_error *err) CR_MUST_CHECK;

/* Tensors on a device. `data` is copied before the call returns; NULL: the contents are undefined.
 */
CR_API
int cr_tensor_upload(struct cr_tensor **out, struct cr_device *device, enum cr_dtype dtype,
                     int rank, const int64_t *shape, const void *data,
                     struct cr_error *err) CR_MUST_CHECK;
/* The same numbers on `device` (NULL: on the host); another reference if they are there already. */
CR_API
int cr_tensor_to(struct cr_tensor **out, const struct cr_tensor *tensor, struct cr_device *device,
                 struct cr_error *err) CR_MUST_CHECK;
/* The device that holds a tensor; NULL: the host. Borrowed. */
CR_API
struct cr_device *cr_tensor_device(const struct cr_tensor *tensor);

/* Quantised matrices [rows, columns] from their parts, as files hold them.
 *
 * Blocks run over the flattened matrix, the last one may be short.
 *   q8_0  blocks of 32; codes i8 [n], scales f16 [blocks]; w = code x scale
 *   nf4   blocks of 64; codes u8 [(n + 1) / 2], element 2i in the high nibble; w = NF4[code] x
 * absmax[block]. absmax is f32 [blocks]; or, doubly quantised, u8 [blocks] with absmax[b] =
 * map[code[b]] x nested_absmax[b / 256] + offset. */
struct cr_quantized {
    const void *codes;
    const void *scales;         /* f16 (q8_0), f32 (nf4), u8 (nf4, doubly quantised) */
    const float *nested_absmax; /* [(blocks + 255) / 256]; NULL: not doubly quantised */
    const float *nested_map;    /* [256] */
    float nested_offset;
    uint32_t reserved[8];
};
CR_API
int cr_tensor_upload_quantized(struct cr_tensor **out, struct cr_device *device,
                               enum cr_dtype dtype, int64_t rows, int64_t columns,
                               const struct cr_quantized *parts,
                               struct cr_error *err) CR_MUST_CHECK;
/* Read the planes back: codes, scales and (if it has them) second-level scales, each sized as
 * above. NULL: not wanted.
 * `*nested` tells whether the matrix is doubly quantised. */
CR_API
int cr_tensor_read_quantized(const struct cr_tensor *tensor, void *codes, void *scales,
                             float *nested_absmax, float *nested_map, float *nested_offset,
                             bool *nested, struct cr_error *err) CR_MUST_CHECK;

/* The 16 values of NF4, ascending, and the 256 of the signed dynamic map (QLoRA, arXiv 2305.14314,
 * appendix E; the map as bitsandbytes documents it). */
CR_API
const float *cr_nf4_values(void);
CR_API
const float *cr_dynamic_map(void);

/* ---- Writing a device ---- */

/* Every operation: enumerator, name, tier (B: every device has it; F: the front-end composes it
 * where a device lacks it). Numbers never change; new ones are added at the end. crayon/ops.h
 * specifies each. */
#define CR_OPS(X)                                                                                  \
    X(LINEAR, 1, "linear", B)                                                                      \
    X(MATMUL, 2, "matmul", B)                                                                      \
    X(EMBEDDING, 3, "embedding", B)                                                                \
    X(GATHER_ROWS, 4, "gather_rows", B)                                                            \
    X(SCATTER_ROWS, 5, "scatter_rows", B)                                                          \
    X(SCATTER_ADD_ROWS, 6, "scatter_add_rows", B)                                                  \
    X(RMS_NORM, 7, "rms_norm", B)                                                                  \
    X(LAYER_NORM, 8, "layer_norm", B)                                                              \
    X(GROUP_NORM, 9, "group_norm", B)                                                              \
    X(ROPE, 10, "rope", B)                                                                         \
    X(ATTENTION, 11, "attention", B)                                                               \
    X(KV_APPEND, 12, "kv_append", B)                                                               \
    X(ADD, 13, "add", B)                                                                           \
    X(MUL, 14, "mul", B)                                                                           \
    X(SCALE, 15, "scale", B)                                                                       \
    X(SIGMOID, 16, "sigmoid", B)                                                                   \
    X(RELU, 17, "relu", B)                                                                         \
    X(GELU, 18, "gelu", B)                                                                         \
    X(QUICK_GELU, 19, "quick_gelu", B)                                                             \
    X(SILU, 20, "silu", B)                                                                         \
    X(SILU_MUL, 21, "silu_mul", B)                                                                 \
    X(SOFTMAX, 22, "softmax", B)                                                                   \
    X(LOG_SOFTMAX, 23, "log_softmax", B)                                                           \
    X(SUM, 24, "sum", B)                                                                           \
    X(MEAN, 25, "mean", B)                                                                         \
    X(MAX, 26, "max", B)                                                                           \
    X(SUM_SQUARES, 27, "sum_squares", B)                                                           \
    X(CAST, 28, "cast", B)                                                                         \
    X(SLICE, 29, "slice", B)                                                                       \
    X(CONCAT, 30, "concat", B)                                                                     \
    X(PERMUTE, 31, "permute", B)                                                                   \
    X(PAD, 32, "pad", B)                                                                           \
    X(ROLL, 33, "roll", B)                                                                         \
    X(FILL, 34, "fill", B)                                                                         \
    X(CONV2D, 35, "conv2d", B)                                                                     \
    X(RESIZE, 36, "resize", B)                                                                     \
    X(MS_DEFORM_ATTN, 37, "ms_deform_attn", B)                                                     \
    X(ARGMAX, 38, "argmax", B)                                                                     \
    X(TOPK, 39, "topk", B)                                                                         \
    X(LINEAR_FUSED, 40, "linear_fused", F)                                                         \
    X(LINEAR_CROSS_ENTROPY, 41, "linear_cross_entropy", F)                                         \
    X(ADAMW_STEP, 42, "adamw_step", B)                                                             \
    X(GRAD_NORM, 43, "grad_norm", B)                                                               \
    X(QUANTIZE, 44, "quantize", B)                                                                 \
    X(DEQUANTIZE, 45, "dequantize", B)

enum cr_op {
#define CR_OP_ENTRY(name, number, words, tier) CR_OP_##name = number,
    CR_OPS(CR_OP_ENTRY)
#undef CR_OP_ENTRY
};
#define CR_OP_COUNT 46 /* one more than the largest number */

/* "linear", ...; NULL for a number that is none. */
CR_API
const char *cr_op_name(enum cr_op op);

/* One tensor as a device sees it: a piece of a memory block that the device handed out. */
struct cr_operand {
    void *memory;    /* what alloc() gave; NULL: the operand is absent */
    uint64_t offset; /* bytes from its start to the first element (or to the codes) */
    int32_t dtype;   /* enum cr_dtype */
    int32_t rank;
    int64_t shape[CR_TENSOR_MAX_RANK];
    /* Quantised matrices: bytes from the start of the memory to the scales; to f32
     * nested_absmax[...] (0: not doubly quantised); and to f32 map[256], which the offset follows
     * as a 257th number. */
    uint64_t scales, nested, nested_map;
    uint32_t reserved[4];
};

/* Whole-number and real attributes, by the names that crayon/ops.h lists for each operation. */
#define CR_CALL_MAX_INPUTS 24
#define CR_CALL_MAX_OUTPUTS 4
#define CR_CALL_MAX_INTS 24
#define CR_CALL_MAX_REALS 8

struct cr_call {
    uint32_t size;     /* sizeof(struct cr_call) */
    int32_t op;        /* enum cr_op */
    int32_t precision; /* enum cr_precision */
    int32_t inputs,
        outputs; /* how many of the arrays below are used; absent ones in between have no memory */
    struct cr_operand in[CR_CALL_MAX_INPUTS];
    struct cr_operand out[CR_CALL_MAX_OUTPUTS]; /* for operations in place: what is changed */
    int64_t ints[CR_CALL_MAX_INTS];
    double reals[CR_CALL_MAX_REALS];
};

/* What list() reports to. */
struct cr_device_found;
CR_API
void cr_device_found_add(struct cr_device_found *found, const struct cr_device_info *info);

/* The device table. The core has checked shapes, dtypes and ranges of a call, and calls from one
 * thread at a time. `state` is the element's state (state_size bytes, zeroed). Memory is used in
 * the order of submission: a block that was freed and allocated again is safe to hand out while
 * earlier calls still run, as long as later ones wait for them. */
struct cr_device_ops {
    uint32_t size; /* sizeof(struct cr_device_ops) */
    uint32_t reserved;
    /* Report the devices that there are. An error is the reason why there are none. */
    int (*list)(struct cr_device_found *found, struct cr_error *err);
    /* Open the device that `selector` ("" = the default one, else what follows the colon) means. */
    int (*open)(void *state, const char *selector, const struct cr_device_params *params,
                struct cr_error *err);
    void (*info)(const void *state, struct cr_device_info *info);
    /* Can this call be executed? Only asked for operations of tier F. */
    bool (*supports)(const void *state, const struct cr_call *call);
    /* The name of the variant that would execute this call, for bench and logs:
     * "avx512-nf4-vector". */
    const char *(*variant)(const void *state, const struct cr_call *call);
    /* A block of `bytes` (> 0), aligned to 64 at least. CR_ERR_MEMORY says how much was wanted,
     * used and free. */
    int (*alloc)(void *state, size_t bytes, void **memory, struct cr_error *err);
    void (*free)(void *state, void *memory);
    /* The data may be reused by the caller when upload returns. */
    int (*upload)(void *state, void *memory, uint64_t offset, const void *data, size_t bytes,
                  struct cr_error *err);
    /* Waits for everything submitted before. */
    int (*download)(void *state, void *memory, uint64_t offset, void *data, size_t bytes,
                    struct cr_error *err);
    /* Record a call. A device may execute it at once. */
    int (*submit)(void *state, const struct cr_call *call, struct cr_error *err);
    /* Hand what was recorded to the hardware; wait for it, `seconds` at most (<= 0: without limit).
     * A failure of an earlier call (a NaN met by argmax, a lost device) is reported here and by
     * download(), once, naming the operation. */
    int (*flush)(void *state, struct cr_error *err);
    int (*wait)(void *state, double seconds, struct cr_error *err);
    void (*memory)(const void *state, uint64_t *total, uint64_t *free_bytes);
    void (*close)(void *state);
    /* Measure what crayon/device.h says; may be NULL. */
    int (*limits)(void *state, struct cr_device_limits *limits, struct cr_error *err);
    /* What cr_device_explain() says; may be NULL. Since ABI 1.2. */
    int (*explain)(const void *state, struct cr_text *text, struct cr_error *err);
    /* The host's address of a block, for a device that executes calls at once and in the host's
     * memory: weights are read straight into it. May be NULL. Since ABI 1.2. */
    void *(*map)(void *state, void *memory);
};

#ifdef __cplusplus
}
#endif
#endif
