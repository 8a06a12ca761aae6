/* SPDX-License-Identifier: MIT */
/* json.h: JSON as RFC 8259 has it and no wider, with the place of every mistake.
 *
 * Two ways in: a pull reader for files of any size, of which only a part is wanted; and trees
 * (cJSON) for documents. cJSON alone would accept invalid UTF-8, cut strings at \u0000, let
 * duplicate keys pass and ignore the case of keys; here the reader validates the text first, and
 * cr_json_get() is exact. */
#ifndef CR_BASE_JSON_H
#define CR_BASE_JSON_H

#include <cjson/cJSON.h>

#include <crayon/error.h>
#include <crayon/memory.h>

#define CR_JSON_MAX_DEPTH 64
#define CR_JSON_MAX_DOCUMENT (64u << 20) /* bytes of a document that becomes a tree */
#define CR_JSON_MAX_NODES 2000000u       /* values in such a document */
#define CR_JSON_MAX_STRING (16u << 20)   /* bytes of one string */
/* 2^53 - 1: the next one is what a double makes of several whole numbers. */
#define CR_JSON_MAX_INTEGER 9007199254740991.0

/* ---- Pull reader ---- */

enum cr_json_type {
    CR_JSON_END, /* of the document */
    CR_JSON_OBJECT,
    CR_JSON_OBJECT_END,
    CR_JSON_ARRAY,
    CR_JSON_ARRAY_END,
    CR_JSON_KEY,
    CR_JSON_STRING,
    CR_JSON_NUMBER,
    CR_JSON_TRUE,
    CR_JSON_FALSE,
    CR_JSON_NULL,
};

struct cr_json_token {
    enum cr_json_type type;
    const char *text;     /* KEY, STRING: unescaped, NUL-terminated; valid until the next token */
    size_t size;          /* bytes of it */
    double number;        /* NUMBER */
    bool whole;           /* NUMBER: written with digits (and a sign) only */
    int64_t line, column; /* of its first character, from 1; columns count bytes */
};

struct cr_json_reader;

/* Read from memory (borrowed). `name` stands in errors: "NAME:LINE:COLUMN: ...". */
CR_API
int cr_json_reader_create(struct cr_json_reader **out, const char *text, size_t size,
                          const char *name, struct cr_error *err);
/* Count lines from another number than 1; before the first token. */
CR_API
void cr_json_reader_set_line(struct cr_json_reader *reader, int64_t line);
/* Take \u0000 in strings, an error otherwise: for those who look at the size of each. */
CR_API
void cr_json_reader_allow_nul(struct cr_json_reader *reader);
/* Take the NaN, Infinity and -Infinity that Python writes, as null. */
void cr_json_reader_allow_python(struct cr_json_reader *reader);
/* Read a file piece by piece. */
int cr_json_reader_open(struct cr_json_reader **out, const char *path, struct cr_error *err);
CR_API
void cr_json_reader_destroy(struct cr_json_reader **reader);

/* The next token. CR_ERR_FORMAT with the place when the text is not JSON; CR_ERR_LIMIT beyond the
 * limits on depth and strings. Keys are not compared with each other. */
CR_API
int cr_json_next(struct cr_json_reader *reader, struct cr_json_token *token, struct cr_error *err);
/* Pass over the rest of the value whose first token is `token`. */
CR_API
int cr_json_skip(struct cr_json_reader *reader, const struct cr_json_token *token,
                 struct cr_error *err);
/* Where the last token began, for errors about what it says: fills "NAME:LINE:COLUMN: <message>".
 */
CR_API
int cr_json_fail(const struct cr_json_reader *reader, struct cr_error *err, const char *format, ...)
    CR_PRINTF(3, 4);

/* ---- Trees ---- */

/* Parse a whole document (validated as above; duplicate keys are an error too). The tree is the
 * caller's: cJSON_Delete(). */
CR_API
int cr_json_parse(cJSON **out, const char *text, size_t size, const char *name,
                  struct cr_error *err);
/* The same for a document that begins at another line of the file `name` than the first. */
CR_API
int cr_json_parse_line(cJSON **out, const char *text, size_t size, const char *name, int64_t line,
                       struct cr_error *err);
CR_API
int cr_json_load(cJSON **out, const char *path, struct cr_error *err);
/* The same for a file that Python may have written: numbers that are not finite become null. */
int cr_json_load_python(cJSON **out, const char *path, struct cr_error *err);

/* The member `key` of an object, exact in case; NULL when absent or `object` is no object. */
CR_API
cJSON *cr_json_get(const cJSON *object, const char *key);

/* RFC 7396: the result of laying `patch` over `target`. Consumes `target` (may be NULL), copies
 * from `patch`. NULL when memory is exhausted. */
cJSON *cr_json_merge(cJSON *target, const cJSON *patch);

/* Is it a whole number that stands for itself alone (|x| < 2^53)? */
CR_API
bool cr_json_is_integer(const cJSON *item);

/* Do both say the same? Of scalars and lists; an object is equal to nothing. */
bool cr_json_equal(const cJSON *a, const cJSON *b);

/* "an object", "a string", ... for messages. */
CR_API
const char *cr_json_kind(const cJSON *item);

/* What a JSON pointer (RFC 6901, "" being the root) leads to; NULL when there is nothing. */
CR_API
const cJSON *cr_json_at(const cJSON *root, const char *pointer);

/* Append "/key" with ~ and / escaped (RFC 6901). */
void cr_json_pointer_add(struct cr_text *pointer, const char *key);

/* Append a string as JSON, in quotes. What is not UTF-8 becomes U+FFFD. */
CR_API
void cr_json_quote(struct cr_text *text, const char *string);

#endif
