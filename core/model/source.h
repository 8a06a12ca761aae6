/* SPDX-License-Identifier: MIT */
/* source.h: one tensor as the files hold it: plain numbers, or a quantised matrix made of several
 * stored tensors.
 *
 *   nf4, as bitsandbytes saves it; n elements, blocks of 64:
 *     NAME                                   U8, (n + 1) / 2 bytes (or another type of as many
 *                                            bytes: its option quant_storage)
 *     NAME.quant_state.bitsandbytes__nf4     U8, a JSON object: quant_type, blocksize, shape, ...
 *     NAME.quant_map                         F32 [16], the table of NF4
 *     NAME.absmax                            F32 [blocks]; or U8 [blocks], doubly quantised, with
 *     NAME.nested_absmax, .nested_quant_map  F32 [(blocks + 255) / 256], F32 [256]
 *   q8_0, as `crayon quantize` saves it; blocks of 32:
 *     NAME                                   I8, in the shape of the matrix: the codes
 *     NAME.q8_0_scales                       F16 [blocks] */
#ifndef CR_MODEL_SOURCE_H
#define CR_MODEL_SOURCE_H

#include "model/model.h"

enum cr_weight_source_kind {
    CR_SOURCE_DENSE,
    CR_SOURCE_NF4,
    CR_SOURCE_Q8_0,
};

struct cr_weight_source {
    enum cr_weight_source_kind kind;
    struct cr_stored values; /* the numbers, or the codes */
    struct cr_stored scales, nested_absmax, nested_map, state;
    int rank;
    int64_t shape[CR_MODEL_MAX_RANK]; /* of what it means, not of the codes */
    int64_t elements;
    bool nested;
    float nested_offset;
    float *tables; /* once prepared: nested_map[256], then nested_absmax */
};

#define CR_NF4_STATE ".quant_state.bitsandbytes__nf4"
#define CR_Q8_0_SCALES ".q8_0_scales"

/* CR_ERR_NOT_FOUND (with the name alone as message): there is none. CR_ERR_FORMAT: its parts do not
 * fit together. Reads the description of a quantised matrix, else nothing but headers. */
int cr_weight_source_find(struct cr_weight_source *source, const struct cr_model *model,
                          const char *name, struct cr_error *err);
/* Read the small tables of a doubly quantised matrix. */
int cr_weight_source_prepare(struct cr_weight_source *source, struct cr_error *err);
void cr_weight_source_finish(struct cr_weight_source *source);

static inline const char *cr_weight_source_name(const struct cr_weight_source *source)
{
    return source->values.tensor->name;
}
/* "F16", "nf4", "q8_0" */
const char *cr_weight_source_type(const struct cr_weight_source *source);

/* The length of NAME in "NAME.absmax" and the like, the parts of quantised matrices; 0: it is no
 * such name. */
size_t cr_weight_source_owner(const char *name);

/* Elements that read functions take at once at most, and the bytes that they need beside. */
#define CR_SOURCE_STRIP 65536
#define CR_SOURCE_RAW ((size_t)CR_SOURCE_STRIP * 8 + 64)

/* `count` elements from `from` on, as f32. `raw` is CR_SOURCE_RAW bytes of scratch memory. */
int cr_weight_source_read_f32(const struct cr_weight_source *source, int64_t from, int64_t count,
                              void *raw, float *out, struct cr_error *err);
/* absmax of blocks (nf4), as f32. `raw`: `count` bytes. */
int cr_weight_source_read_absmax(const struct cr_weight_source *source, int64_t block,
                                 int64_t count, void *raw, float *out, struct cr_error *err);
/* Dense numbers as `dtype`. CR_ERR_FORMAT when one is out of range, naming it. */
int cr_weight_source_read(const struct cr_weight_source *source, enum cr_dtype dtype, int64_t from,
                          int64_t count, void *raw, void *out, struct cr_error *err);

/* f32 numbers of this source, which were read from `from` on, as f32 or f16; the same error. */
int cr_weight_source_narrow(const struct cr_weight_source *source, enum cr_dtype dtype,
                            int64_t from, const float *numbers, int64_t count, void *out,
                            struct cr_error *err);

/* "[4096, 14336]"; a negative extent is "any". */
#define CR_SHAPE_TEXT 160
const char *cr_model_shape(char text[CR_SHAPE_TEXT], int rank, const int64_t *shape);

#endif
