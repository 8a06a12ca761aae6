/* SPDX-License-Identifier: MIT */
/* save.h: a model, quantised, into a new folder (what `crayon quantize` does). */
#ifndef CR_MODEL_SAVE_H
#define CR_MODEL_SAVE_H

#include <crayon/model.h>

struct cr_save_params {
    enum cr_dtype weights; /* nf4 or q8_0 */
    bool single;           /* nf4: absmax as it is, not quantised too */
    /* Names that stay as they are; names that are quantised though the rule leaves them out. '*'
     * stands for any characters. */
    const char *const *keep, *const *also;
    size_t keep_count, also_count;
    uint64_t shard_bytes; /* where a new file begins; 0: 5 GB */
};

struct cr_save_summary {
    size_t quantized, kept; /* tensors */
    uint64_t before, after; /* bytes of them all */
    size_t files;           /* of weights */
};

/* Write the folder `target`, which must not exist: weights in the layout of model/source.h, config
 * and tokenizer files as they are, except that config.json says how the weights are quantised. Made
 * under another name and renamed at the end; after a failure nothing is left.
 *
 * The rule: matrices (rank 2, of F16, BF16, F32 or F64) named "*.weight" are quantised, unless what
 * stands before ".weight" holds "embed" or "norm", or is "output" or "lm_head". */
CR_API
int cr_model_save(struct cr_model *model, const char *target, const struct cr_save_params *params,
                  const struct cr_load_hooks *hooks, struct cr_save_summary *summary,
                  struct cr_error *err);

#endif
