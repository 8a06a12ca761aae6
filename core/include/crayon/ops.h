/* SPDX-License-Identifier: MIT */
/* crayon/ops.h: tensor operations (since ABI 1.1). The one front door to every device.
 *
 * Each function checks shapes, dtypes and ranges on the host, allocates the result on the device of
 * its arguments, and records the operation. All tensors of a call live on one device. Results are
 * f32 unless said; the caller owns a reference to each. A function returns CR_ERR_ARGUMENT for
 * arguments that do not fit, naming the operation, the argument and both shapes: "linear: w [64,
 * 31] does not fit x [2, 32]: K must agree".
 *
 * Numbers. Sums are f32 in a fixed order that depends on the shape and the number of threads only,
 * so that the same call gives the same bits. NaN and Inf propagate as IEEE 754 has it: a NaN in an
 * input reaches every output that it takes part in (max, relu, softmax and attention too); -0 and
 * denormals are kept, not flushed.
 *
 * For those who write a device, "Call" says how an operation is encoded in a struct cr_call
 * (crayon/device.h): `in` and `out` operands, `i` whole numbers, `r` reals. "?" marks operands that
 * may be absent.
 *
 * Notation: x[M,K] is a tensor of rank 2; leading extents written "..." are any, so x[...,K] has M
 * = product of the leading extents rows. */
#ifndef CRAYON_OPS_H
#define CRAYON_OPS_H

#include <crayon/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Products ---- */

/* y[...,N] = x[...,K] W[N,K]^T + bias[N]. x, bias (may be NULL) f32; W f32, f16, q8_0 or nf4.
 *
 * Call LINEAR: in x, W, bias?; out y */
CR_API
int cr_op_linear(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                 const struct cr_tensor *bias, struct cr_error *err) CR_MUST_CHECK;

enum cr_activation {
    CR_ACTIVATION_NONE = 0,
    CR_ACTIVATION_GELU = 1,       /* x Phi(x), by erf */
    CR_ACTIVATION_QUICK_GELU = 2, /* x sigmoid(1.702 x) */
    CR_ACTIVATION_SILU = 3,       /* x sigmoid(x) */
    CR_ACTIVATION_RELU = 4,
};

/* A low-rank branch: s[m] B (A src[m]). A[r,Ks], B[N,r] f32, f16, q8_0 or nf4. `source` [...,Ks],
 * or NULL for x. `scale` f32 [M], or NULL for 1: a row whose scale is 0 is skipped, bit for bit. */
struct cr_branch {
    const struct cr_tensor *a, *b, *source, *scale;
};

#define CR_MAX_BRANCHES 4

struct cr_linear_extra {
    enum cr_activation activation;
    const struct cr_tensor *residual; /* [...,N], added last; or NULL */
    size_t branches;
    struct cr_branch branch[CR_MAX_BRANCHES];
};

/* y = activation(x W^T + bias + sum of branches) + residual. Composed where the device lacks it.
 *
 * Call LINEAR_FUSED: in x, W, bias?, residual?, then A, B, source?, scale? for each branch; out y;
 * i activation, branches */
CR_API
int cr_op_linear_fused(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                       const struct cr_tensor *bias, const struct cr_linear_extra *extra,
                       struct cr_error *err) CR_MUST_CHECK;

/* y[...,M,N] = alpha op(a) op(b), op transposing the last two extents if asked. a[...,M,K],
 * b[...,K,N] f32 or f16; ranks 2..4; leading extents equal, or 1 (broadcast), or missing.
 *
 * Call MATMUL: in a, b (rank as given); out y; i transpose_a, transpose_b; r alpha */
CR_API
int cr_op_matmul(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
                 bool transpose_a, bool transpose_b, float alpha,
                 struct cr_error *err) CR_MUST_CHECK;

/* ---- Rows ---- */

/* y[...,D] = table[ids[...]]; an id < 0 gives zeros, an id >= rows is an error: checked before
 * dispatch for ids on the host (which are uploaded), by an error flag that the next synchronisation
 * reports for ids on a device. table f32, f16, q8_0 or nf4.
 *
 * Call EMBEDDING: in table, ids; out y */
CR_API
int cr_op_embedding(struct cr_tensor **y, const struct cr_tensor *table,
                    const struct cr_tensor *ids, struct cr_error *err) CR_MUST_CHECK;

/* Rows are the slices along the first extent. y[R,...] = x[rows[R],...]; rows i32, 0..x rows - 1,
 * or -1: zeros.
 *
 * Call GATHER_ROWS: in x, rows; out y */
CR_API
int cr_op_gather_rows(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *rows,
                      struct cr_error *err) CR_MUST_CHECK;
/* In place: x[rows[r],...] = src[r,...]; rows unique, -1 is passed over.
 *
 * Call SCATTER_ROWS: in rows, src; out x */
CR_API
int cr_op_scatter_rows(struct cr_tensor *x, const struct cr_tensor *rows,
                       const struct cr_tensor *src, struct cr_error *err) CR_MUST_CHECK;
/* In place: x[rows[r],...] += src[r,...], in the order of r.
 *
 * Call SCATTER_ADD_ROWS: in rows, src; out x */
CR_API
int cr_op_scatter_add_rows(struct cr_tensor *x, const struct cr_tensor *rows,
                           const struct cr_tensor *src, struct cr_error *err) CR_MUST_CHECK;

/* ---- Norms: over the last extent K, f32; weights f32 or f16, NULL: 1 (0 for bias) ---- */

/* x / sqrt(mean(x^2) + eps) w
 *
 * Call RMS_NORM: in x, w?; out y; r eps */
CR_API
int cr_op_rms_norm(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                   float eps, struct cr_error *err) CR_MUST_CHECK;
/* (x - mean) / sqrt(variance + eps) w + b, two passes
 *
 * Call LAYER_NORM: in x, w?, b?; out y; r eps */
CR_API
int cr_op_layer_norm(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                     const struct cr_tensor *b, float eps, struct cr_error *err) CR_MUST_CHECK;
/* x[B,C,H,W] (or [B,C,L]) normalised over each of `groups` groups of channels; w[C], b[C].
 *
 * Call GROUP_NORM: in x, w?, b?; out y; i groups; r eps */
CR_API
int cr_op_group_norm(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                     const struct cr_tensor *b, int groups, float eps,
                     struct cr_error *err) CR_MUST_CHECK;

/* ---- Attention ---- */

/* Half-split rotation of x[B,L,H,d] (d even): with p = positions[b,l] and i < d/2,
 *
 *     y[i]       = x[i] cos[p,i] - x[i + d/2] sin[p,i]
 *     y[i + d/2] = x[i + d/2] cos[p,i] + x[i] sin[p,i]
 *
 * cos, sin f32 [P,d/2] come from the host; positions i32 [B,L], 0..P-1, else the error flag.
 *
 * Call ROPE: in x, cos, sin, positions; out y */
CR_API
int cr_op_rope(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *cosines,
               const struct cr_tensor *sines, const struct cr_tensor *positions,
               struct cr_error *err) CR_MUST_CHECK;

struct cr_attention {
    float scale; /* 0: 1 / sqrt(d) */
    bool causal; /* query i sees keys j <= i + offset */
    int64_t offset;
    const struct cr_tensor *lengths; /* i32 [B]: keys j >= lengths[b] are not there; or NULL */
    const struct cr_tensor *mask;    /* u8 [B|1,H|1,Lq|1,Lk]: 0 hides the key; or NULL */
    const struct cr_tensor *bias;    /* f32 [B|1,H|1,Lq|1,Lk], added to the scaled score; or NULL */
    const struct cr_tensor
        *rows; /* i32 [B,Lk]: key and value j of item b are row rows[b,j] of k and v, whose leading
                  extent is then 1 and which hold R rows; below 0: nothing there. Or NULL */
};

/* y[B,H,Lq,d] = softmax(scale q k^T + bias, over what is visible) v. q[B,H,Lq,d] f32;
 * k[B,Hkv,Lk,d], v[B,Hkv,Lk,d] f32 or f16; H is a multiple of Hkv and head h reads h / (H / Hkv); d
 * <= 256. With `rows`: k, v [1,Hkv,R,d] and Lk from `rows`. Online softmax, no Lq x Lk buffer. A
 * query that sees nothing gives 0.
 *
 * Call ATTENTION: in q, k, v, lengths?, mask?, bias?, rows?; out y; i causal, offset; r scale */
CR_API
int cr_op_attention(struct cr_tensor **y, const struct cr_tensor *q, const struct cr_tensor *k,
                    const struct cr_tensor *v, const struct cr_attention *extra,
                    struct cr_error *err) CR_MUST_CHECK;

/* In place: cache[b,h,at[b]+l,:] = x[b,l,h,:]. cache [B,Hkv,Lmax,d] f32 or f16, x[B,L,Hkv,d] f32,
 * at i32 [B] on the host: checked. With rows i32 [B,L] (host) instead of `at`: cache [1,Hkv,R,d],
 * row rows[b,l]; -1 is passed over.
 *
 * Call KV_APPEND: in x, positions i32 [B,L]; out cache; i shared (1: the cache is [1,Hkv,R,d]) */
CR_API
int cr_op_kv_append(struct cr_tensor *cache, const struct cr_tensor *x, const int32_t *at,
                    const int32_t *rows, struct cr_error *err) CR_MUST_CHECK;

/* The same for a shared cache [1,Hkv,R,d] and rows i32 [B,L] on the device, which are not checked
 * on the host: a row that the cache does not have is passed over. For loops that give the same rows
 * to every layer. (since ABI 1.2) */
CR_API
int cr_op_kv_append_rows(struct cr_tensor *cache, const struct cr_tensor *x,
                         const struct cr_tensor *rows, struct cr_error *err) CR_MUST_CHECK;

/* value[B,S,H,d] f32 with S = sum of h w over the levels; shapes i64 pairs (h, w) on the host,
 * `levels` <= 8 of them; locations f32 [B*Q, H, levels*points, 2] (x, y in 0..1) with rank 4,
 * weights f32 [B*Q, H, levels*points] of rank 3; y[B,Q,H*d]: sum over levels and points of weight x
 * bilinear sample, zeros outside, pixel centres at (i + 1/2) / size (Deformable DETR, arXiv
 * 2010.04159).
 *
 * Call MS_DEFORM_ATTN: in value, locations, weights; out y; i levels, points, h0, w0, h1, w1, ...
 */
CR_API
int cr_op_ms_deform_attn(struct cr_tensor **y, const struct cr_tensor *value, const int64_t *shapes,
                         int levels, const struct cr_tensor *locations,
                         const struct cr_tensor *weights, struct cr_error *err) CR_MUST_CHECK;

/* ---- Elements ---- */

/* a + b, a b: f32; b's shape is a's, or a trailing part of it, or ones broadcast (each extent of b,
 * aligned at the end, equals a's or is 1).
 *
 * Call ADD, MUL: in a, b; out y */
CR_API
int cr_op_add(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
              struct cr_error *err) CR_MUST_CHECK;
CR_API
int cr_op_mul(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
              struct cr_error *err) CR_MUST_CHECK;
/* x factor
 *
 * Call SCALE: in x; out y; r factor */
CR_API
int cr_op_scale(struct cr_tensor **y, const struct cr_tensor *x, float factor,
                struct cr_error *err) CR_MUST_CHECK;
/* SIGMOID, RELU, GELU, QUICK_GELU, SILU of each element.
 *
 * Call: in x; out y */
CR_API
int cr_op_unary(struct cr_tensor **y, enum cr_op op, const struct cr_tensor *x,
                struct cr_error *err) CR_MUST_CHECK;
/* silu(a) b, equal shapes
 *
 * Call SILU_MUL: in a, b; out y */
CR_API
int cr_op_silu_mul(struct cr_tensor **y, const struct cr_tensor *a, const struct cr_tensor *b,
                   struct cr_error *err) CR_MUST_CHECK;

/* ---- Over the last extent ---- */

/* SOFTMAX, LOG_SOFTMAX: same shape. SUM, MEAN, MAX, SUM_SQUARES: the last extent becomes 1. K >= 1.
 * A fixed tree order.
 *
 * Call: in x; out y */
CR_API
int cr_op_reduce(struct cr_tensor **y, enum cr_op op, const struct cr_tensor *x,
                 struct cr_error *err) CR_MUST_CHECK;
/* i32 [...]: the index of the largest element, the lowest on ties; a NaN raises the error flag.
 *
 * Call ARGMAX: in x; out y */
CR_API
int cr_op_argmax(struct cr_tensor **y, const struct cr_tensor *x,
                 struct cr_error *err) CR_MUST_CHECK;
/* The k (1..1024, <= K) largest, descending, the lower index first on ties: values f32 [...,k],
 * indices i32 [...,k].
 *
 * Call TOPK: in x; out values, indices; i k */
CR_API
int cr_op_topk(struct cr_tensor **values, struct cr_tensor **indices, const struct cr_tensor *x,
               int k, struct cr_error *err) CR_MUST_CHECK;

/* ---- Layout ---- */

/* The same numbers under another shape with as many elements: a view, nothing is executed. */
CR_API
int cr_op_reshape(struct cr_tensor **y, const struct cr_tensor *x, int rank, const int64_t *shape,
                  struct cr_error *err) CR_MUST_CHECK;
/* To f32, f16, i32 or u8. f16 rounds to nearest even; whole numbers truncate towards 0 and
 * saturate, NaN gives 0.
 *
 * Call CAST: in x; out y */
CR_API
int cr_op_cast(struct cr_tensor **y, const struct cr_tensor *x, enum cr_dtype dtype,
               struct cr_error *err) CR_MUST_CHECK;
/* y = x[start : start + extent] on every axis (any dtype but quantised).
 *
 * Call SLICE: in x; out y; i start[4] */
CR_API
int cr_op_slice(struct cr_tensor **y, const struct cr_tensor *x, const int64_t *start,
                const int64_t *extent, struct cr_error *err) CR_MUST_CHECK;
/* 1..16 tensors that agree in all extents but `axis`.
 *
 * Call CONCAT: in x0, x1, ...; out y; i axis */
CR_API
int cr_op_concat(struct cr_tensor **y, const struct cr_tensor *const *x, size_t count, int axis,
                 struct cr_error *err) CR_MUST_CHECK;
/* y's axis i is x's axis order[i].
 *
 * Call PERMUTE: in x; out y; i order[4] */
CR_API
int cr_op_permute(struct cr_tensor **y, const struct cr_tensor *x, const int *order,
                  struct cr_error *err) CR_MUST_CHECK;
/* `before` and `after` elements of `value` around each axis; negative numbers cut.
 *
 * Call PAD: in x; out y; i before[4]; r value */
CR_API
int cr_op_pad(struct cr_tensor **y, const struct cr_tensor *x, const int64_t *before,
              const int64_t *after, float value, struct cr_error *err) CR_MUST_CHECK;
/* y[i + shift mod extent] = x[i] on every axis.
 *
 * Call ROLL: in x; out y; i shift[4] (0 <= shift < extent) */
CR_API
int cr_op_roll(struct cr_tensor **y, const struct cr_tensor *x, const int64_t *shift,
               struct cr_error *err) CR_MUST_CHECK;
/* A new tensor of one value.
 *
 * Call FILL: out y; r value */
CR_API
int cr_op_fill(struct cr_tensor **y, struct cr_device *device, enum cr_dtype dtype, int rank,
               const int64_t *shape, float value, struct cr_error *err) CR_MUST_CHECK;

/* ---- Pictures ---- */

/* x[B,C,H,W] f32, w[O,C,kh,kw] f32 or f16, bias[O] f32 or NULL; zero padding. Each extent of y
 * [B,O,...] is (extent + 2 padding - kernel) / stride + 1, rounded down.
 *
 * Call CONV2D: in x, w, bias?; out y; i stride_y, stride_x, padding_y, padding_x */
CR_API
int cr_op_conv2d(struct cr_tensor **y, const struct cr_tensor *x, const struct cr_tensor *w,
                 const struct cr_tensor *bias, const int stride[2], const int padding[2],
                 struct cr_error *err) CR_MUST_CHECK;

enum cr_interpolation {
    CR_INTERPOLATION_NEAREST = 0, /* floor(i from / to) */
    CR_INTERPOLATION_BILINEAR = 1,
    CR_INTERPOLATION_BICUBIC = 2, /* a = -0.75 */
};
/* x[B,C,H,W] to [B,C,height,width]; align_corners false, no antialiasing; edges repeat.
 *
 * Call RESIZE: in x; out y; i mode */
CR_API
int cr_op_resize(struct cr_tensor **y, const struct cr_tensor *x, struct cr_size size,
                 enum cr_interpolation mode, struct cr_error *err) CR_MUST_CHECK;

/* ---- Training ---- */

/* loss [1]: mean over the labelled rows of -log softmax(x W^T)[label]; labels i32 [M] on the host,
 * -100: not labelled. Only labelled rows are projected, in chunks of at most 64 MiB of logits. No
 * label: 0. x[M,K] f32, W[N,K] as in linear.
 *
 * Call LINEAR_CROSS_ENTROPY: in x, W, labels i32 [M]; out loss */
CR_API
int cr_op_linear_cross_entropy(struct cr_tensor **loss, const struct cr_tensor *x,
                               const struct cr_tensor *w, const int32_t *labels,
                               struct cr_error *err) CR_MUST_CHECK;

struct cr_adamw {
    float rate, beta1, beta2, epsilon, decay;
    int64_t step; /* from 1 */
};
/* In place, decoupled decay (Loshchilov and Hutter, arXiv 1711.05101): p -= rate decay p; m, v
 * updated; p -= rate m^ / (sqrt(v^) + epsilon). All f32 of one shape.
 *
 * Call ADAMW_STEP: in grad; out p, m, v; i step; r rate, beta1, beta2, epsilon, decay */
CR_API
int cr_op_adamw_step(struct cr_tensor *p, struct cr_tensor *m, struct cr_tensor *v,
                     const struct cr_tensor *grad, const struct cr_adamw *adamw,
                     struct cr_error *err) CR_MUST_CHECK;
/* f32 [1]: sqrt of the sum of squares over 1..24 tensors.
 *
 * Call GRAD_NORM: in x0, x1, ...; out y */
CR_API
int cr_op_grad_norm(struct cr_tensor **y, const struct cr_tensor *const *x, size_t count,
                    struct cr_error *err) CR_MUST_CHECK;

/* ---- Quantisation: the same bits on every device and host ---- */

/* x[N,K] f32 to q8_0 or nf4 (nested: absmax quantised too).
 *
 *   q8_0    s = f16(absmax / 127); code = w (1 / s) to the nearest, even on a tie, within +-127 (0
 *           where s is 0)
 *   nf4     code = the nearest of the 16 values to w (1 / absmax), the lower one on a midpoint; the
 *           product in f32. A block of zeros gets code 7 (the value 0)
 *   nested  offset = mean(absmax), summed in f64; c = absmax - offset; per 256 blocks the largest
 *           |c|; code = the nearest of the dynamic map
 *
 * NaN or Inf in x raises the error flag.
 *
 * Call QUANTIZE: in x; out y; i nested */
CR_API
int cr_op_quantize(struct cr_tensor **y, const struct cr_tensor *x, enum cr_dtype dtype,
                   bool nested, struct cr_error *err) CR_MUST_CHECK;
/* To f32 or f16; products in f32, rounded once.
 *
 * Call DEQUANTIZE: in x; out y */
CR_API
int cr_op_dequantize(struct cr_tensor **y, const struct cr_tensor *x, enum cr_dtype dtype,
                     struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
