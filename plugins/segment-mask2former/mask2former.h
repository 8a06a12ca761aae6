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
#define SWIN_PATCH 4 /* side of a patch, and the stride of the finest map */

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
 * normalised; new references. Large batches are taken a few pictures at a time. */
int mask2former_forward(struct cr_tensor **class_logits, struct cr_tensor **mask_logits,
                        struct mask2former *network, const struct cr_tensor *pixels,
                        struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;

#endif
