/* SPDX-License-Identifier: MIT */
/* llm.h: the language model: its shape, its weights, its cache, its formulas.
 *
 * Sizes: D wide, H query heads and J key heads of d numbers, F inside the perceptron, V tokens. */
#ifndef LLM_H
#define LLM_H

#include <crayon/chain.h>
#include <crayon/plugin.h>

/* ---- Shape: config.c ---- */

struct llm_config {
    int64_t width; /* D */
    int64_t layers;
    int64_t heads;       /* H */
    int64_t key_heads;   /* J; H is a multiple */
    int64_t head;        /* d */
    int64_t inner;       /* F */
    int64_t vocabulary;  /* V: rows of the output */
    int64_t positions;   /* max_position_embeddings */
    double epsilon;      /* of the RMS norms */
    double rope_base;    /* theta */
    double rope_factor;  /* of the dynamic NTK scaling; 0: none */
    int64_t begin, end;  /* ids of the tokens that open a prompt and end an answer */
    double branch_scale; /* alpha / rank of the low-rank branches in the checkpoint; 1 where
                            plora.json does not say, as in the release */
};

/* From `path` if given, else the model's config.json; and plora.json beside it if there is one. */
int llm_config_read(struct llm_config *config, const struct cr_model *model, const char *path,
                    struct cr_error *err) CR_MUST_CHECK;

/* ---- Weights: weights.c ---- */

/* Low-rank branch of one matrix: y += scale B (A x). */
struct llm_branch {
    struct cr_tensor *a, *b;
};

struct llm_linear {
    struct cr_tensor *w, *bias; /* bias may be NULL */
    struct llm_branch hidden;   /* Plora_A, Plora_B: reads what the matrix reads; or NULL */
    struct llm_branch crayon;   /* Plora_seg_A, _B: reads the crayon features; or NULL */
};

struct llm_layer {
    struct cr_tensor *attention_norm, *ffn_norm; /* [D] */
    struct llm_linear qkv;                       /* [(H + 2 J) d, D]: queries, keys, values */
    struct llm_linear out;                       /* [D, H d] */
    struct llm_linear gate, up;                  /* [F, D] */
    struct llm_linear down;                      /* [D, F] */
};

struct llm_weights {
    struct cr_tensor *embedding; /* [V + added tokens, D] */
    struct cr_tensor *norm;      /* [D] */
    struct cr_tensor *output;    /* [V, D] */
    struct llm_layer *layers;
    int64_t layer_count;
};

/* Matrices as `dtype`; low-rank branches where the checkpoint has them. */
int llm_weights_load(struct llm_weights *weights, const struct llm_config *config,
                     struct cr_model *model, enum cr_dtype dtype, struct cr_context *context,
                     struct cr_error *err) CR_MUST_CHECK;
void llm_weights_unload(struct llm_weights *weights);
/* Which weights hold a NaN or an infinity, in words; NULL if none do: for the message when logits
 * are not numbers. Reads everything. */
const char *llm_weights_find_nan(const struct llm_weights *weights, char name[128]);

/* ---- The model ---- */

enum llm_crayon {
    LLM_CRAYON_NONE,  /* crayon features are not used */
    LLM_CRAYON_PLORA, /* through the branches of the checkpoint (release) */
    LLM_CRAYON_ADD,   /* added to the image rows that enter each attention (paper) */
};

struct llm {
    struct llm_config config;
    struct llm_weights weights;
    enum llm_crayon crayon;
    enum cr_dtype cache_dtype;
    int32_t image_token;      /* the id of `<image>`; -1: the model has none */
    struct cr_device *device; /* borrowed */
};

/* ---- Cache: cache.c ---- */

/* Keys and values of every layer, [1, J, rows, d] each; which rows belong to which position of
 * which item is the caller's to say, so that items share a prefix without copies. */
struct llm_cache {
    int64_t rows;
    int64_t layers;
    struct cr_tensor **keys, **values;
};

int llm_cache_create(struct llm_cache *cache, const struct llm *llm, int64_t rows,
                     struct cr_error *err) CR_MUST_CHECK;
void llm_cache_destroy(struct llm_cache *cache);

/* ---- Formulas: forward.c ---- */

/* One pass of the layers over B items of L tokens each. A prompt is one item of any length; a step
 * of decoding is one token each of B items. */
struct llm_pass {
    int64_t items, length;             /* B, L */
    struct cr_tensor *embedded;        /* [B, L, D] */
    struct cr_tensor *cosines, *sines; /* [P, d / 2] */
    struct cr_tensor *positions;       /* i32 [B, L]: rows of those tables */
    struct cr_tensor *append;  /* i32 [B, L]: rows of the cache that receive keys and values */
    struct cr_tensor *rows;    /* i32 [B, K]: which cache row stands at which position */
    struct cr_tensor *lengths; /* i32 [B]: positions that exist, this pass included */
    int64_t causal_offset;     /* query l sees positions up to l + offset */
    struct cr_tensor *image;   /* f32 [B L]: the branches' scale on image rows, 0 elsewhere; NULL:
                                  no image rows */
    struct cr_tensor *crayon;  /* f32 [B, L, Dc]: crayon features on image rows, 0 elsewhere; or
                                  NULL */
};

/* The hidden state after the last layer and the final norm: [B, L, D]. */
struct cr_tensor *llm_forward(struct cr_chain *chain, const struct llm *llm,
                              const struct llm_cache *cache, const struct llm_pass *pass,
                              struct cr_context *context);
/* [..., V] from hidden [..., D]. */
struct cr_tensor *llm_logits(struct cr_chain *chain, const struct llm *llm,
                             struct cr_tensor *hidden);

/* cos and sin of position x frequency for half-split rotation, written to `cosines` and `sines`
 * [d / 2]. The base grows when `length`, the tokens so far, exceeds the positions that the model
 * was made for: dynamic NTK, base x (factor length / positions - (factor - 1)) ^ (d / (d - 2)). */
void llm_rope_row(const struct llm_config *config, int64_t position, int64_t length, float *cosines,
                  float *sines);

/* ---- Prompts: prompt.c ---- */

/* One item as it enters the model, on the host. Rows are tokens after each `<image>` became as many
 * rows as its picture has patches. */
struct llm_prompt {
    int64_t rows;
    int64_t padding; /* rows to the left that are not there; outputs leave room for them */
    int64_t images;  /* rows of pictures among the rows */
    int32_t *ids;    /* [rows]: token ids, -1 on rows of pictures; NULL: embeddings were given */
    int32_t *image;  /* [rows]: which row of the features, -1: none */
};

/* All items. Host memory is the context's scratch, tensors are borrowed from its inputs. */
struct llm_batch {
    size_t count;
    struct llm_prompt *prompts;
    int64_t longest;                    /* rows and padding */
    const struct cr_tensor *embeddings; /* [B, L, D]; NULL: made from ids */
    const struct cr_tensor *image;      /* features, [..., D]; or NULL */
    const struct cr_tensor *crayon;     /* features, [..., Dc]; or NULL */
};

/* Ids of every item, before pictures are put in. */
struct llm_ids {
    size_t count;
    const int32_t **ids;
    size_t *sizes;
};

/* From ids (what `ids` holds) or from embeddings, with pictures and crayon features. Whatever does
 * not fit together is CR_ERR_ARGUMENT and says for which item. */
int llm_batch_make(struct llm_batch *batch, const struct llm *llm, const struct llm_ids *ids,
                   struct cr_context *context, struct cr_error *err) CR_MUST_CHECK;

/* Make prompts of ids as long as `rows`, with token 0: for a plan. */
int llm_batch_stretch(struct llm_batch *batch, int64_t rows, struct cr_context *context,
                      struct cr_error *err) CR_MUST_CHECK;

/* ---- Generation: generate.c ---- */

/* How the next token is chosen: the most likely one, the best of several beams, or by chance. */
struct llm_decoding {
    int64_t beams;
    double length_penalty; /* a beam's score: log-probability / tokens ^ length_penalty */
    bool early_stopping;   /* end when there are `beams` answers, not when none can get better */
    double temperature;    /* 0: not by chance */
    int64_t top_k;         /* 0: all */
    double top_p;          /* 1: all */
    double repetition_penalty; /* 1: none */
    int64_t seed;
};

#define LLM_MAX_BEAMS 64
#define LLM_MIN_TEMPERATURE 1e-3
#define LLM_MAX_CANDIDATES 1024 /* that a device finds among all tokens: the bound of topk */

/* Each beam is offered as many tokens as there are ends, and one more, so that enough go on. */
static inline int64_t llm_beam_candidates(int64_t beams, size_t ends)
{
    return beams * (1 + (ends > 0 ? (int64_t)ends : 1));
}

/* Rows of the cache that an item takes. Each token of each beam has a row of its own: beams may
 * differ from their first token on. The prompt is there once. */
static inline int64_t llm_cache_rows(int64_t prompt, int64_t max_tokens, int64_t beams)
{
    return prompt + max_tokens * beams;
}

struct llm_request {
    int64_t max_tokens; /* 0: none, the prompt alone */
    int64_t context;    /* the most tokens that an item may have */
    const int64_t *end; /* tokens that end an answer */
    size_t end_count;
    const struct llm_decoding *decoding;
    uint64_t seed;                 /* of the run; the decoding's is added */
    bool want_logits, want_hidden; /* of the prompt's rows */
    bool plans; /* memory is planned: of the steps, only that with the most tokens is made */
    /* A token of item `item` was chosen; `*stop` ends the item. With several beams tokens come when
     * the best answer is known. */
    int (*token)(void *user, size_t item, int32_t id, bool *stop, struct cr_error *err);
    void *user;
};

struct llm_result {
    struct cr_tensor *logits; /* [B, longest, V], zeros on padding; if wanted */
    struct cr_tensor *hidden; /* [B, longest, D] after the final norm; if wanted */
    double first_token_seconds, decode_seconds;
    int64_t decoded; /* tokens after each item's first */
};

int llm_generate(struct llm_result *result, const struct llm *llm, const struct llm_batch *batch,
                 const struct llm_request *request, struct cr_context *context,
                 struct cr_error *err) CR_MUST_CHECK;
void llm_result_finish(struct llm_result *result);

#endif
