/* SPDX-License-Identifier: MIT */
/* crayon/model.h: models as they are downloaded (since ABI 1.2): Hugging Face directories with
 * config.json and model.safetensors, or shards with model.safetensors.index.json.
 *
 * Looking up. A model is a folder, or a public name "ORG/NAME" that is looked for in
 *
 *   1. each folder of $CRAYON_MODEL_PATH (colon separated): FOLDER/ORG/NAME, then FOLDER/NAME
 *   2. the local Hugging Face cache ($HF_HUB_CACHE, else $HF_HOME/hub, else
 *      $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub):
 *      models--ORG--NAME/snapshots/REVISION, REVISION as refs/main says, else the newest folder
 *
 * Nothing is fetched. An error names where it looked, what is needed there and the public name.
 *
 * Weights. Files are opened and checked once a process, whoever asks for them: the store is keyed
 * by file identity (device, inode, size, time) and counted. safetensors headers are read by a
 * bounded parser: at most 100 MB, 1 M tensors, rank 8; names unique; ranges tile the data without
 * hole or overlap; shape x dtype equals the range. A file that shrinks or changes while it is open
 * is an error when it is loaded from.
 *
 * Claims. A stage lists the tensors that it needs with their shapes and wanted dtypes, all problems
 * come in one error, then everything is streamed to the device, converted and quantised on the way;
 * the extra host memory is bounded and does not depend on the size of the model.
 *
 *     struct cr_claim *claim;
 *     int64_t n = config.hidden, k = config.width;
 *     cr_claim_create(&claim, model, err);
 *     cr_claim_prefix(claim, "vision_proj.");
 *     cr_claim_tensor(claim, &state->w, CR_DTYPE_NF4, 2, (int64_t[]){n, k}, 0,
 * "vision_proj.0.weight"); cr_claim_tensor(claim, &state->b, CR_DTYPE_F32, 1, (int64_t[]){n}, 0,
 * "vision_proj.0.bias"); result = cr_context_load(context, claim, err);       (crayon/plugin.h)
 *     cr_claim_destroy(&claim);
 *
 * Threads: a model may be used by any number of threads, a claim by one. */
#ifndef CRAYON_MODEL_H
#define CRAYON_MODEL_H

#include <crayon/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_model;
struct cr_claim;

/* Open a model: find the folder. Weight files are looked at when the first tensor is asked for, so
 * that a folder with nothing but a config or a tokenizer is a model too. `log` may be NULL. */
CR_API
int cr_model_open(struct cr_model **out, const char *name, const struct cr_log *log,
                  struct cr_error *err) CR_MUST_CHECK;
CR_API
struct cr_model *cr_model_ref(struct cr_model *model);
CR_API
void cr_model_unref(struct cr_model **model);

/* The folder that was found. */
CR_API
const char *cr_model_folder(const struct cr_model *model);
/* The path of a file in the folder, new, freed with cr_free(): CR_ERR_NOT_FOUND names the file, the
 * folder and, as far as known, the public name. */
CR_API
int cr_model_file(const struct cr_model *model, const char *name, char **path,
                  struct cr_error *err) CR_MUST_CHECK;

/* ---- Tensors in the files ---- */

#define CR_MODEL_MAX_RANK 8

struct cr_model_tensor {
    const char *name;
    const char *dtype; /* as safetensors spells it: "F16", "BF16", "I64", "U8", ... */
    int rank;
    int64_t shape[CR_MODEL_MAX_RANK];
    uint64_t bytes;
    const char *file; /* its path */
};

/* All tensors, sorted by name. A missing or malformed weight file is an error here. */
CR_API
int cr_model_tensors(struct cr_model *model, size_t *count, struct cr_error *err) CR_MUST_CHECK;
CR_API
struct cr_model_tensor cr_model_tensor(const struct cr_model *model, size_t index);
/* Is there a tensor of this name (or, a matrix saved in NF4)? false also when there are no weights.
 */
CR_API
bool cr_model_has(struct cr_model *model, const char *name);

/* ---- Claims ---- */

enum cr_claim_flags {
    CR_CLAIM_OPTIONAL = 1, /* absent is right too: the tensor stays NULL */
    CR_CLAIM_NESTED = 2,   /* nf4: quantise the absmax too (what is saved in NF4 stays as saved) */
    CR_CLAIM_HOST = 4,     /* to the host instead of the device */
};

CR_API
int cr_claim_create(struct cr_claim **out, struct cr_model *model,
                    struct cr_error *err) CR_MUST_CHECK;
/* Tensors that were loaded already stay the caller's. */
CR_API
void cr_claim_destroy(struct cr_claim **claim);

/* Everything in the files whose name starts with `prefix` must be claimed, or be ignored. */
CR_API
void cr_claim_prefix(struct cr_claim *claim, const char *prefix);
/* Names that may be there and are not needed; '*' stands for any characters. */
CR_API
void cr_claim_ignore(struct cr_claim *claim, const char *pattern);

/* Claim the tensor named by `format`. It comes as `dtype`: f32, f16 from F32, F16, BF16, F64; i32
 * from I64, I32, I16, U8, BOOL (range-checked); u8 from U8, BOOL; q8_0 or nf4 (matrices) from F32,
 * F16, BF16, or from a matrix saved in NF4 (then dtype f32, f16 mean dequantised, nf4 as it is).
 * `shape` has `rank` extents, -1 for any; leading and trailing extents of 1 in the file do not
 * count (a convolution [D, C, p, p] may be claimed as [D, C p p] too: the number of elements
 * decides when the first extents agree). *tensor is set by loading. A failure of memory shows when
 * loading. */
CR_API
void cr_claim_tensor(struct cr_claim *claim, struct cr_tensor **tensor, enum cr_dtype dtype,
                     int rank, const int64_t *shape, uint32_t flags, const char *format, ...)
    CR_PRINTF(7, 8);

/* Rows of a tensor in the files: slices along the first extent. */
struct cr_claim_part {
    const char *name; /* copied */
    int64_t start;
    int64_t count; /* 0: to the end */
};
/* The same, made of the rows of one or more tensors, one after the other: a packed matrix taken
 * apart or put together. */
CR_API
void cr_claim_parts(struct cr_claim *claim, struct cr_tensor **tensor, enum cr_dtype dtype,
                    int rank, const int64_t *shape, uint32_t flags,
                    const struct cr_claim_part *parts, size_t count);

/* Bytes on the device that loading will take. */
CR_API
uint64_t cr_claim_bytes(const struct cr_claim *claim);
/* What is missing, misshapen, of a dtype that cannot be converted or not expected: one error that
 * lists all of it (the first 20, and how many more). Reads headers only. */
CR_API
int cr_claim_check(struct cr_claim *claim, struct cr_error *err) CR_MUST_CHECK;

struct cr_load_hooks {
    void *user;
    void (*progress)(void *user, double done); /* 0..1 */
    bool (*cancelled)(void *user);
    void *reserved[4];
};
/* Check, then load. After a failure no tensor of the claim is set. NaN or Inf where a matrix is
 * quantised is an error that names the tensor. `hooks` may be NULL. */
CR_API
int cr_claim_load(struct cr_claim *claim, struct cr_device *device,
                  const struct cr_load_hooks *hooks, struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
