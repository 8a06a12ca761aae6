/* SPDX-License-Identifier: MIT */
/* clip.h: the vision tower of CLIP (Radford et al., arXiv 2103.00020): its shape, its weights, its
 * formulas. Sizes: B pictures, G patches of p x p pixels, L = G + 1 tokens, D wide, N layers. */
#ifndef VISION_CLIP_H
#define VISION_CLIP_H

#include <crayon/chain.h>
#include <crayon/plugin.h>

/* ---- Shape: config.c ---- */

struct clip_config {
    int64_t width;    /* D */
    int64_t inner;    /* of the perceptron of each layer */
    int64_t layers;   /* N */
    int64_t heads;    /* D is a multiple */
    int64_t channels; /* 3 */
    int64_t patch;    /* p */
    int64_t image;    /* side of the pictures that it was trained with, in pixels */
    double epsilon;   /* of the layer norms */
    enum cr_activation activation;
};

/* From `path` if given; else from the model's config.json if that describes a CLIP model or its
 * vision part; else ViT-L/14 at 336 pixels, which is what CoLLaVO holds and does not describe. */
int clip_config_read(struct clip_config *config, const struct cr_model *model, const char *path,
                     struct cr_error *err) CR_MUST_CHECK;

/* ---- Weights: weights.c ---- */

struct clip_linear {
    struct cr_tensor *w, *b;
};

struct clip_norm {
    struct cr_tensor *w, *b;
};

struct clip_layer {
    struct clip_norm norm1, norm2;
    struct clip_linear q, k, v, out, fc1, fc2;
};

struct clip {
    struct clip_config config;
    struct cr_tensor *class_embedding; /* [D] */
    struct cr_tensor *patches;         /* [D, 3, p, p] */
    struct cr_tensor *positions;       /* [1 + g g, D]: the class token's, then the grid's */
    struct clip_norm norm;             /* before the first layer */
    struct clip_layer *layers;
    struct clip_linear connector[2]; /* no tensors: the model has none */
    /* For the grid that was asked for last: */
    struct cr_size grid;              /* {0, 0}: none yet */
    struct cr_tensor *first;          /* [D]: class embedding + its position */
    struct cr_tensor *grid_positions; /* [G, D] */
};

/* Load what config describes; matrices as `weights`. Everything is NULL after a failure. */
int clip_load(struct clip *clip, struct cr_model *model, enum cr_dtype weights,
              struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;
void clip_unload(struct clip *clip);
/* The side of the grid that the position embedding was saved for. */
int64_t clip_native_grid(const struct clip *clip);

/* ---- Pictures: pixels.c ---- */

/* Pictures reduced to `size` and normalised: f32 [B, 3, H, W] on the stage's device. */
int clip_pixels(struct cr_tensor **out, const struct cr_value *images, struct cr_size size,
                struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;

/* ---- Formulas: forward.c ---- */

/* Last hidden state of the patches, before any final norm: [B, G, D] from pixels [B, 3, H, W]. */
int clip_forward(struct cr_tensor **hidden, struct clip *clip, const struct cr_tensor *pixels,
                 struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;
/* [B, G, width of the language model] from hidden. */
int clip_connect(struct cr_tensor **features, const struct clip *clip,
                 const struct cr_tensor *hidden, struct cr_error *err) CR_MUST_CHECK;

#endif
