/* SPDX-License-Identifier: MIT */
/* crayon/log.h: messages for the person who runs the program. The library never prints: it calls
 * what the program handed in, and is silent when that is NULL. */
#ifndef CRAYON_LOG_H
#define CRAYON_LOG_H

#include <crayon/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cr_log_level {
    CR_LOG_ERROR,   /* something failed */
    CR_LOG_WARNING, /* it goes on, but differently from what was asked */
    CR_LOG_INFO,    /* worth knowing once */
    CR_LOG_DEBUG,   /* for the people who build it */
};

/* Where messages go. `write` gets one message (no newline at its end) and the name of its subject:
 * a stage, a plugin, a file. It may be called from any thread, but one call at a time; it must not
 * log itself. Longer messages end with "...". */
struct cr_log {
    void (*write)(void *user, enum cr_log_level level, const char *subject, const char *message);
    void *user;
    enum cr_log_level level; /* messages above this level are not composed at all */
};

/* Send a message to `log` (NULL: nothing happens). */
CR_API
void cr_log_write(const struct cr_log *log, enum cr_log_level level, const char *subject,
                  const char *format, ...) CR_PRINTF(4, 5);
CR_API
void cr_log_writev(const struct cr_log *log, enum cr_log_level level, const char *subject,
                   const char *format, va_list args) CR_PRINTF(4, 0);

#ifdef __cplusplus
}
#endif
#endif
