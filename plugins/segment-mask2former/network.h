/* SPDX-License-Identifier: MIT */
/* network.h: what the files of the network share: weights, tables for a size of pictures, and the
 * formulas of each part.
 *
 * Sizes: B pictures of a group that is computed at once; a stage of the backbone has maps of h x w
 * tokens, N = B h w in all, and C channels. D is the width behind the backbone, M that of the mask
 * features, S the number of tokens of the three levels that the pixel decoder encodes. */
#ifndef MASK2FORMER_NETWORK_H
#define MASK2FORMER_NETWORK_H

#include "mask2former.h"

#define LEVELS 3       /* that the pixel decoder encodes, coarsest first: those of stages 4, 3, 2 */
#define POINTS 4       /* that a head samples in each of them */
#define NORM_GROUPS 32 /* of the group norms of the pixel decoder */
#define NORM_EPSILON 1e-5f

/* ---- Weights: weights.c ---- */

struct linear {
    struct cr_tensor *w, *b;
};

struct norm {
    struct cr_tensor *w, *b;
};

struct swin_block {
    struct norm norm1, norm2;
    struct linear qkv; /* the rows of queries, then keys, then values */
    struct linear out, fc1, fc2;
    struct cr_tensor *bias; /* [1, heads, T, T], T = window^2 tokens: of their relative position */
};

struct swin_stage {
    struct swin_block *blocks;
    struct norm merge_norm; /* after the blocks: to the next stage. None in the last one */
    struct linear merge;
    struct norm norm; /* of the stage's map */
};

struct swin {
    struct cr_tensor *patches, *patch_bias; /* [C, 3, 4, 4] */
    struct norm norm;
    struct swin_stage stages[SWIN_STAGES];
};

struct encoder_layer {
    struct linear offsets, weights, value, out, fc1, fc2;
    struct norm norm1, norm2;
};

struct pixel_decoder {
    struct linear project[LEVELS];
    struct norm project_norm[LEVELS];
    struct cr_tensor *levels[LEVELS]; /* [1, D] */
    struct encoder_layer *layers;
    struct linear lateral; /* without bias */
    struct norm lateral_norm;
    struct cr_tensor *smooth; /* [D, D, 3, 3] */
    struct norm smooth_norm;
    struct cr_tensor *mask, *mask_bias; /* [M, D, 1, 1] */
};

struct attention {
    struct linear q, k, v, out;
};

struct decoder_layer {
    struct attention cross, self;
    struct linear fc1, fc2;
    struct norm cross_norm, self_norm, norm;
};

struct decoder {
    struct cr_tensor *features, *positions; /* of the queries: [Q, D] */
    struct cr_tensor *levels[LEVELS];       /* [1, D] */
    struct decoder_layer *layers;
    struct norm norm;
    struct linear mask[3]; /* a perceptron from a query to the mask that it means */
    struct linear classes;
};

struct mask2former_weights {
    struct swin swin;
    struct pixel_decoder pixel;
    struct decoder decoder;
};

/* Say what is needed. The tensors are those of network->weights. */
int mask2former_claim(struct mask2former *network, struct cr_claim *claim, enum cr_dtype dtype,
                      struct cr_error *err) CR_MUST_CHECK;
/* After loading: turn tables of relative positions into biases. */
int mask2former_prepare(struct mask2former *network, struct cr_error *err) CR_MUST_CHECK;

/* ---- Tables: tables.c ---- */

/* Windows of a map that are shifted cut it where it wraps around: those at the lower edge hold two
 * parts that are no neighbours, so do those at the right edge, and the last one four. Windows of
 * one kind share a mask, so attention is done kind by kind. */
enum window_kind {
    WINDOW_INNER = 0,
    WINDOW_BOTTOM = 1,
    WINDOW_RIGHT = 2,
    WINDOW_KINDS = 4
};

/* W windows of one kind in all pictures. Rows of d numbers, in the order [W, heads, T]. */
struct windows {
    int64_t count;               /* W; 0: there are none of this kind */
    struct cr_tensor *q, *k, *v; /* among [N or N + 1, 3, heads] */
    struct cr_tensor *out;       /* among [N, heads]; -1: padding */
};

struct stage_tables {
    struct cr_size size;                /* h, w */
    bool padded;                        /* windows reach beyond the map; what is there is token N */
    struct windows plain[WINDOW_KINDS]; /* one kind */
    struct windows shifted[WINDOW_KINDS];
    struct cr_tensor *merge; /* rows of C numbers, in the order [N', 4] of the next stage; -1:
                                outside */
};

struct mask2former_tables {
    int64_t items; /* B */
    struct cr_size pixels;
    struct stage_tables stages[SWIN_STAGES];
    struct cr_tensor *mask[WINDOW_KINDS]; /* [T, T]: -100 for pairs of no neighbours; or NULL */
    struct cr_tensor *positions[LEVELS];  /* [h w, D]: sines */
    struct cr_tensor *encoder_positions;  /* [S, D]: with the level's embedding */
    struct cr_tensor *centres;            /* [S, heads LEVELS POINTS 2]: where a token looks */
    struct cr_tensor *units; /* [heads LEVELS POINTS 2]: offsets come in pixels of each level */
    struct cr_tensor *one;   /* [1] */
};

/* Make network->tables those for `items` pictures of a size. */
int mask2former_tables_use(struct mask2former *network, struct cr_device *device, int64_t items,
                           struct cr_size pixels, struct cr_error *err) CR_MUST_CHECK;
void mask2former_tables_destroy(struct mask2former_tables **tables);
/* The size of a level's maps. */
struct cr_size mask2former_level(const struct mask2former_tables *tables, int level);

/* ---- Formulas ---- */

/* W x + b; norms over the last extent. */
struct cr_tensor *apply_linear(struct cr_chain *c, const struct linear *linear,
                               const struct cr_tensor *x);
struct cr_tensor *apply_norm(struct cr_chain *c, const struct norm *norm, const struct cr_tensor *x,
                             float epsilon);
/* x + fc2(act(fc1(y))) */
struct cr_tensor *apply_perceptron(struct cr_chain *c, const struct linear *fc1,
                                   const struct linear *fc2, enum cr_activation activation,
                                   const struct cr_tensor *x, const struct cr_tensor *y);

/* How far a run is. */
struct steps {
    struct cr_context *context; /* NULL: nobody asks */
    int64_t done, count;
};
/* One more is done; a run that is cancelled fails here. */
void steps_next(struct steps *steps, struct cr_chain *c);

/* swin.c. Maps are [N, C]. */
struct cr_tensor *swin_embed(struct cr_chain *c, const struct mask2former *network,
                             const struct cr_tensor *pixels);
struct cr_tensor *swin_block(struct cr_chain *c, const struct mask2former *network, int stage,
                             int64_t index, const struct cr_tensor *x);
struct cr_tensor *swin_merge(struct cr_chain *c, const struct mask2former *network, int stage,
                             const struct cr_tensor *x);
/* The normalised map of each stage, new references, from pixels [B, 3, H, W]. */
int swin_forward(struct cr_tensor *maps[SWIN_STAGES], const struct mask2former *network,
                 const struct cr_tensor *pixels, struct steps *steps,
                 struct cr_error *err) CR_MUST_CHECK;

/* pixel_decoder.c */
struct pixel_features {
    struct cr_tensor *levels[LEVELS]; /* [B, h w, D] */
    struct cr_tensor *mask;           /* [B, M, h w] of the first stage */
};
int pixel_decoder_forward(struct pixel_features *features, const struct mask2former *network,
                          struct cr_tensor *const maps[SWIN_STAGES], struct steps *steps,
                          struct cr_error *err) CR_MUST_CHECK;
void pixel_features_finish(struct pixel_features *features);

/* decoder.c. Queries are [B, Q, D]. */
struct cr_tensor *decoder_start(struct cr_chain *c, const struct mask2former *network);
/* Mask logits [B, Q, h w] of normalised queries. */
struct cr_tensor *decoder_masks(struct cr_chain *c, const struct mask2former *network,
                                const struct cr_tensor *queries, const struct cr_tensor *features);
/* u8 [B, 1, Q, h w of a level]: 0 where a query does not look. A query that would look nowhere
 * looks everywhere. */
struct cr_tensor *decoder_visible(struct cr_chain *c, const struct mask2former *network,
                                  const struct cr_tensor *logits, int level);
/* Layer `index`, which looks at level index % LEVELS. */
struct cr_tensor *decoder_layer(struct cr_chain *c, const struct mask2former *network,
                                int64_t index, const struct cr_tensor *queries,
                                const struct pixel_features *features,
                                const struct cr_tensor *visible);
int decoder_forward(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                    const struct mask2former *network, const struct pixel_features *features,
                    struct steps *steps, struct cr_error *err) CR_MUST_CHECK;

#endif
