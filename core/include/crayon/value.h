/* SPDX-License-Identifier: MIT */
/* crayon/value.h: what flows between stages: lists of B items of one type (a batch).
 *
 * The creator sets the items, then gives the value to a stage, a run or a port: from then on it is
 * sealed and nobody changes it. Getters may be used at any time, from any thread once it is sealed.
 */
#ifndef CRAYON_VALUE_H
#define CRAYON_VALUE_H

#include <crayon/image.h>
#include <crayon/panoptic.h>
#include <crayon/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_value;

/* Types of values, with the names that pipeline files use. */
enum cr_type {
    CR_TYPE_IMAGE = 1,    /* "image"     pictures of any sizes */
    CR_TYPE_PANOPTIC = 2, /* "panoptic"  panoptic maps of any sizes */
    CR_TYPE_TEXT = 3,     /* "text"      UTF-8 strings; an item may be null: there is none */
    CR_TYPE_TENSOR = 4,   /* "tensor"    one dense tensor whose leading extent is B */
    CR_TYPE_TOKENS = 5,   /* "tokens"    lists of token ids, of any lengths */
};

/* "image", ...; NULL for a number that is none. cr_type_find: the reverse, 0 for a name that is
 * none. */
CR_API
const char *cr_type_name(enum cr_type type);
CR_API
enum cr_type cr_type_find(const char *name);

/* A list of `count` items, all unset. Not for tensors. */
CR_API
int cr_value_create(struct cr_value **out, enum cr_type type, size_t count,
                    struct cr_error *err) CR_MUST_CHECK;
/* A value around a tensor [B, ...]; takes a reference of its own. A rank of 0 is CR_ERR_ARGUMENT.
 */
CR_API
int cr_value_from_tensor(struct cr_value **out, const struct cr_tensor *tensor,
                         struct cr_error *err) CR_MUST_CHECK;
CR_API
struct cr_value *cr_value_ref(const struct cr_value *value);
CR_API
void cr_value_unref(struct cr_value **value);

CR_API
enum cr_type cr_value_type(const struct cr_value *value);
CR_API
size_t cr_value_count(const struct cr_value *value); /* B */

/* Set item `index` (< count), once, before the value is sealed. Pictures and maps are referenced,
 * texts (NULL: the null item) and ids copied. Using the wrong type, index or a sealed value is a
 * programming error: asserted. */
CR_API
void cr_value_set_image(struct cr_value *value, size_t index, const struct cr_image *image);
CR_API
void cr_value_set_panoptic(struct cr_value *value, size_t index,
                           const struct cr_panoptic *panoptic);
CR_API
int cr_value_set_text(struct cr_value *value, size_t index, const char *text,
                      struct cr_error *err) CR_MUST_CHECK;
/* The same for text that may hold NUL. (since ABI 1.2) */
CR_API
int cr_value_set_text_bytes(struct cr_value *value, size_t index, const char *text, size_t size,
                            struct cr_error *err) CR_MUST_CHECK;
CR_API
int cr_value_set_tokens(struct cr_value *value, size_t index, const int32_t *ids, size_t count,
                        struct cr_error *err) CR_MUST_CHECK;

/* Item `index` (< count), borrowed. NULL when unset; for texts also when the item is null. */
CR_API
const struct cr_image *cr_value_image(const struct cr_value *value, size_t index);
CR_API
const struct cr_panoptic *cr_value_panoptic(const struct cr_value *value, size_t index);
CR_API
const char *cr_value_text(const struct cr_value *value, size_t index);
/* Bytes of a text, without the NUL behind it; 0 for a null item. (since ABI 1.2) */
CR_API
size_t cr_value_text_size(const struct cr_value *value, size_t index);
CR_API
const int32_t *cr_value_tokens(const struct cr_value *value, size_t index, size_t *count);
/* The tensor [B, ...]. */
CR_API
const struct cr_tensor *cr_value_tensor(const struct cr_value *value);

/* One-item values, the common case. */
CR_API
int cr_value_from_image(struct cr_value **out, const struct cr_image *image,
                        struct cr_error *err) CR_MUST_CHECK;
CR_API
int cr_value_from_panoptic(struct cr_value **out, const struct cr_panoptic *panoptic,
                           struct cr_error *err) CR_MUST_CHECK;
CR_API
int cr_value_from_text(struct cr_value **out, const char *text, struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
