/* SPDX-License-Identifier: MIT */
/* mask2former.h: Mask2Former with a Swin backbone: its shape, its weights, its formulas, and what
 * turns its logits into segments.
 *
 * Sizes: B pictures of H x W pixels, Q queries, L labels. Formulas follow arXiv 2112.01527
 * (Mask2Former), 2103.14030 (Swin) and 2010.04159 (deformable attention). */
#ifndef MASK2FORMER_H
#define MASK2FORMER_H

#include <crayon/chain.h>
#include <crayon/plugin.h>

/* ---- Shape: config.c ---- */

#define SWIN_STAGES 4
#define MASK2FORMER_LABELS 4096 /* at most */
#define SWIN_PATCH 4            /* side of a patch, and the stride of the finest map */

struct swin_config {
    int64_t width; /* channels of the first stage; each stage doubles them */
    int64_t depths[SWIN_STAGES];
    int64_t heads[SWIN_STAGES];
    int64_t window; /* side; never shrunk */
    double mlp_ratio;
    double epsilon; /* of the norms inside the blocks; all others use 1e-5 */
    bool qkv_bias;
};

struct mask2former_config {
    struct swin_config swin;
    int64_t width;      /* hidden_dim; feature_size must equal it */
    int64_t mask_width; /* mask_feature_size */
    int64_t heads;
    int64_t encoder_layers; /* of the pixel decoder */
    int64_t encoder_inner;
    int64_t decoder_layers; /* that there are: one fewer than the file says */
    int64_t decoder_inner;
    int64_t queries; /* Q */
    int64_t labels;  /* L; class logits have one more, "no object" */
};

/* From `path` if given, else the model's config.json. */
int mask2former_config_read(struct mask2former_config *config, const struct cr_model *model,
                            const char *path, struct cr_error *err) CR_MUST_CHECK;

/* ---- Weights and network: weights.c, tables.c, forward.c ---- */

struct mask2former_weights;
struct mask2former_tables;

struct mask2former {
    struct mask2former_config config;
    struct mask2former_weights *weights;
    struct mask2former_tables *tables; /* for the size of pictures that came last */
};

/* Matrices as `dtype` (kernels of convolutions at 16 bits where that is quantised); everything else
 * f32. After a failure the network is as after unload. */
int mask2former_load(struct mask2former *network, struct cr_model *model, enum cr_dtype dtype,
                     struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;
void mask2former_unload(struct mask2former *network);

/* class_logits [B, Q, L + 1] and mask_logits [B, Q, ceil(H/4), ceil(W/4)] from pixels [B, 3, H, W],
 * normalised; new references. Large batches are taken a few pictures at a time. `context` (may be
 * NULL) is told how far it is, and asked whether to stop. */
int mask2former_forward(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                        struct mask2former *network, const struct cr_tensor *pixels,
                        struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;

/* ---- Pictures: pixels.c ---- */

/* How pictures become pixels, as preprocessor_config.json says it. */
struct preprocessing {
    bool resize;
    struct cr_size size;     /* that pictures are brought to; {0, 0}: by their edges */
    int64_t shortest_edge;   /* what the shorter side becomes, the aspect ratio kept, */
    int64_t longest_edge;    /* unless the longer one would exceed this */
    int64_t divisor;         /* sides are rounded up to its multiples */
    struct cr_size prescale; /* to which pictures are squashed before; {0, 0}: they are not */
    float values[3][256];    /* of each channel: what a byte becomes */
};

/* From the model's file; where there is none, 384 x 384 and the mean and deviation of ImageNet. */
int preprocessing_read(struct preprocessing *preprocessing, const struct cr_model *model,
                       struct cr_error *err) CR_MUST_CHECK;
/* The size that a picture of `size` is brought to. */
struct cr_size preprocessing_size(const struct preprocessing *preprocessing, struct cr_size size);
/* Pixels f32 [count, 3, H, W] on the stage's device, of pictures from `first` on that are brought
 * to `size`. */
int preprocessing_run(struct cr_tensor **pixels, const struct preprocessing *preprocessing,
                      const struct cr_value *images, size_t first, size_t count,
                      struct cr_size size, struct cr_context *context,
                      struct cr_error *err) CR_MUST_CHECK;

/* ---- Classes: labels.c ---- */

/* For each class of the model its label, a position among COCO's panoptic categories. */
struct label_table {
    int32_t *labels; /* NULL: the classes are COCO's */
    size_t count;
};

/* From the names in a config.json (NULL: there is none) and pairs "NAME=COCO NAME". */
int label_table_read(struct label_table *table, const char *path,
                     const struct cr_option_strings *pairs, struct cr_error *err) CR_MUST_CHECK;
void label_table_finish(struct label_table *table);
int32_t label_table_find(const struct label_table *table, int32_t class_index);
/* What a pair says: CR_LABEL_UNKNOWN for "NAME=unknown". false: it says nothing. `*name_length`
 * bytes are the name. */
bool label_pair_parse(const char *pair, size_t *name_length, int32_t *label);

/* ---- Segments: segments.c ---- */

struct segment_rules {
    double threshold;      /* class scores must exceed it */
    double mask_threshold; /* from which product of score and mask a pixel belongs to the mask */
    double overlap;        /* of the mask, that must be left beside those of others */
    bool fuse_stuff;       /* segments of the same kind of stuff become one */
    struct label_table labels;
};

/* The likeliest class of each query, of B pictures, on the host; memory of the run. */
struct query_classes {
    int64_t queries;
    float *scores;    /* [B, Q] */
    int32_t *classes; /* [B, Q]; L: no object */
    int32_t none;     /* L */
};

int query_classes_read(struct query_classes *out, const struct cr_tensor *class_logits,
                       struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;

/* What may become segments of one picture: the K queries with an object and a good score. */
struct candidates {
    int64_t count; /* K */
    float *scores;
    int32_t *classes;
    struct cr_tensor *masks;      /* [384, K, 384]: row y of each mask in 0..1; NULL: K is 0 */
    struct cr_tensor *score_list; /* [K, 1], the scores on the device */
};

int candidates_find(struct candidates *out, const struct query_classes *queries,
                    const struct cr_tensor *mask_logits, size_t item,
                    const struct segment_rules *rules, struct cr_context *context,
                    struct cr_error *err) CR_MUST_CHECK;
void candidates_finish(struct candidates *candidates);

/* The map of a size that the candidates give. */
int candidates_map(struct cr_panoptic **out, const struct candidates *candidates,
                   struct cr_size size, const struct segment_rules *rules,
                   struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;

#endif
