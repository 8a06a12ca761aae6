/* SPDX-License-Identifier: MIT */
/* crayon/config.h: reading a JSON file such as config.json (since ABI 1.2).
 *
 * Getters return the value, or what to use instead, and note what is wrong; one check at the end
 * reports everything, with the file and the JSON pointer of each.
 *
 *     struct cr_config *c;
 *     if ((result = cr_config_read(&c, path, err)) < 0) return result;
 *     hidden = cr_config_int(c, "/hidden_size", CR_CONFIG_REQUIRED, 1, 65536);
 *     eps = cr_config_number(c, "/rms_norm_eps", 1e-6, 0, 1);
 *     result = cr_config_check(c, err);
 *     cr_config_destroy(&c);
 *
 * Pointers are RFC 6901, with the root as "". A null counts as absent. */
#ifndef CRAYON_CONFIG_H
#define CRAYON_CONFIG_H

#include <crayon/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cr_config;

/* Read a file of at most 16 MB that holds one JSON object; or the same from memory, `name` standing
 * for the file in messages. */
CR_API
int cr_config_read(struct cr_config **out, const char *path, struct cr_error *err) CR_MUST_CHECK;
CR_API
int cr_config_parse(struct cr_config **out, const char *text, size_t size, const char *name,
                    struct cr_error *err) CR_MUST_CHECK;
CR_API
void cr_config_destroy(struct cr_config **config);

CR_API
bool cr_config_has(const struct cr_config *config, const char *pointer);

/* Instead of a default: absent is a mistake. */
#define CR_CONFIG_REQUIRED INT64_MIN
#define CR_CONFIG_REQUIRED_NUMBER (-1e300)
#define CR_CONFIG_REQUIRED_TEXT ((const char *)-1)

/* A whole number within min..max; another number within the bounds; true or false; a string
 * (borrowed from the config; `initial` may be NULL). */
CR_API
int64_t cr_config_int(struct cr_config *config, const char *pointer, int64_t initial, int64_t min,
                      int64_t max);
CR_API
double cr_config_number(struct cr_config *config, const char *pointer, double initial, double min,
                        double max);
CR_API
bool cr_config_bool(struct cr_config *config, const char *pointer, bool initial);
CR_API
const char *cr_config_text(struct cr_config *config, const char *pointer, const char *initial);

/* The number of members of an object or items of a list; 0 when absent. Name of member `index`,
 * borrowed. */
CR_API
size_t cr_config_count(const struct cr_config *config, const char *pointer);
CR_API
const char *cr_config_name(const struct cr_config *config, const char *pointer, size_t index);

/* Note a mistake that the caller found. */
CR_API
void cr_config_problem(struct cr_config *config, const char *pointer, const char *format, ...)
    CR_PRINTF(3, 4);
/* 0, or CR_ERR_FORMAT with all mistakes so far. */
CR_API
int cr_config_check(const struct cr_config *config, struct cr_error *err) CR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
