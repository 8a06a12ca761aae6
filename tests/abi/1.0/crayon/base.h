/* SPDX-License-Identifier: MIT */
/* crayon/base.h: what every other header needs: attributes, the version, result codes.
 *
 * Conventions of the whole library
 *
 *   Results     A fallible function returns 0 or a negative code of enum cr_result, and describes
 *               the failure in its last argument, a struct cr_error (NULL: not wanted).
 *   Ownership   `create` gives the caller an object, `destroy` ends it. Shared objects are counted:
 *               `create` gives one reference, `ref` another, `unref` gives one back. `destroy` and
 *               `unref` take the address of the pointer and leave NULL there; NULL is harmless.
 *   Borrowing   A `const` pointer that a getter returns lives as long as the object it came from.
 *   Out values  `*out` is NULL (or untouched, for plain numbers) after a failure.
 *   Sizes       Pictures and grids are (height, width), rows first, as in all shapes.
 *   Threads     Functions are safe to call at the same time on different objects. One object is
 *               used by one thread at a time, unless it is immutable: then by any number.
 */
#ifndef CRAYON_BASE_H
#define CRAYON_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CR_VERSION_MAJOR 0
#define CR_VERSION_MINOR 1
#define CR_VERSION_PATCH 0
#define CR_VERSION "0.1.0"

#if defined(__GNUC__) || defined(__clang__)
#define CR_API __attribute__((visibility("default")))
#define CR_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define CR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CR_API
#define CR_PRINTF(format_at, args_at)
#define CR_MUST_CHECK
#endif

/* Result codes: name, number, the words that cr_result_name() gives. Numbers never change meaning.
 */
#define CR_RESULTS(X)                                                                              \
    X(OK, 0, "success")                                                                            \
    X(ERR_MEMORY, -1, "out of memory")                                                             \
    X(ERR_IO, -2, "input/output error")                                                            \
    X(ERR_FORMAT, -3, "malformed data")                                                            \
    X(ERR_ARGUMENT, -4, "invalid argument")                                                        \
    X(ERR_LIMIT, -5, "limit exceeded")                                                             \
    X(ERR_NOT_FOUND, -6, "not found")                                                              \
    X(ERR_UNSUPPORTED, -7, "not supported")                                                        \
    X(ERR_PLUGIN, -8, "plugin refused")                                                            \
    X(ERR_PIPELINE, -9, "invalid pipeline")                                                        \
    X(ERR_DEVICE, -10, "device error")                                                             \
    X(ERR_CANCELLED, -11, "cancelled")                                                             \
    X(ERR_INTERNAL, -12, "internal error")

enum cr_result {
#define CR_RESULT_ENTRY(name, number, words) CR_##name = number,
    CR_RESULTS(CR_RESULT_ENTRY)
#undef CR_RESULT_ENTRY
};

/* The words for a result code, e.g. "limit exceeded"; "unknown result" for a number not in the
 * list. */
CR_API
const char *cr_result_name(int result);

/* The version of the library that is running, e.g. "0.1.0"; compare with CR_VERSION. */
CR_API
const char *cr_version(void);

/* A height and a width, in pixels or cells. {0, 0} stands for "not given" where a text says so. */
struct cr_size {
    int32_t height;
    int32_t width;
};

#ifdef __cplusplus
}
#endif
#endif
