/* SPDX-License-Identifier: MIT */
/* crayon/error.h: one failure (struct cr_error), and many findings about a file (struct cr_report).
 *
 * The layer that knows fills the error; layers above only add where (cr_error_prefix). Only a
 * program prints. A message is a sentence without final full stop that names the file, the place,
 * what is wrong and what would be right:
 *
 *     photo.png: 70000 x 70000 pixels exceed the limit of 67108864; raise it with "max_pixels"
 */
#ifndef CRAYON_ERROR_H
#define CRAYON_ERROR_H

#include <crayon/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One failure. Held by the caller, needs no clean-up; a longer message is cut at the end with
 * "...". Its size is part of the ABI and never changes. Start with CR_ERROR_INIT. */
struct cr_error {
    int code;           /* enum cr_result; CR_OK while nothing failed */
    char message[2044]; /* NUL-terminated UTF-8, empty while nothing failed */
};

#define CR_ERROR_INIT                                                                              \
    {                                                                                              \
        0,                                                                                         \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Record a failure in `err` (NULL: nothing is recorded) and return `code`, so that a function can
 * end with `return cr_fail(err, CR_ERR_FORMAT, "%s: ...", path);`. */
CR_API
int cr_fail(struct cr_error *err, int code, const char *format, ...) CR_PRINTF(3, 4);
CR_API
int cr_failv(struct cr_error *err, int code, const char *format, va_list args) CR_PRINTF(3, 0);

/* The same for a failed system call: "<message>: <words for the errno value `number`>", CR_ERR_IO
 * (CR_ERR_MEMORY for ENOMEM, CR_ERR_NOT_FOUND for ENOENT). */
CR_API
int cr_fail_errno(struct cr_error *err, int number, const char *format, ...) CR_PRINTF(3, 4);

/* CR_ERR_MEMORY with the number of bytes that could not be had. */
CR_API
int cr_fail_memory(struct cr_error *err, size_t bytes);

/* Put "<where>: " before the message, if `err` holds a failure. Returns err->code (0 for NULL). */
CR_API
int cr_error_prefix(struct cr_error *err, const char *format, ...) CR_PRINTF(2, 3);

/* Forget a failure: code CR_OK, message empty. */
CR_API
void cr_error_clear(struct cr_error *err);

/* Many findings about one thing, in the order in which they were made. */
struct cr_report;

enum cr_severity {
    CR_SEVERITY_NOTE,  /* done, and worth knowing */
    CR_SEVERITY_ERROR, /* has to be mended */
};

/* One finding. `file` is a path or a name such as "--set"; `pointer` a JSON pointer (RFC 6901) or
 * ""; `line` and `column` count from 1, 0 when the place is given by the pointer. */
struct cr_finding {
    enum cr_severity severity;
    const char *file;
    const char *pointer;
    int64_t line;
    int64_t column;
    const char *message;
};

/* NULL only when memory is exhausted. */
CR_API
struct cr_report *cr_report_create(void);
CR_API
void cr_report_destroy(struct cr_report **report);

/* Add a finding; its strings are copied. When memory runs out the finding is dropped, but
 * cr_report_errors() still counts it. */
CR_API
void cr_report_add(struct cr_report *report, enum cr_severity severity, const char *file,
                   const char *pointer, const char *format, ...) CR_PRINTF(5, 6);
/* The same with a line and a column instead of a pointer. */
CR_API
void cr_report_add_at(struct cr_report *report, enum cr_severity severity, const char *file,
                      int64_t line, int64_t column, const char *format, ...) CR_PRINTF(6, 7);

CR_API
size_t cr_report_count(const struct cr_report *report); /* findings */
CR_API
size_t cr_report_errors(const struct cr_report *report); /* those of severity ERROR */

/* Finding `index` (< count), borrowed. */
CR_API
const struct cr_finding *cr_report_get(const struct cr_report *report, size_t index);

/* "file: pointer: message", "file:line:column: message", or "file: message", as a new string that
 * the caller frees with cr_free(); NULL when memory is exhausted. */
CR_API
char *cr_finding_text(const struct cr_finding *finding);

#ifdef __cplusplus
}
#endif
#endif
