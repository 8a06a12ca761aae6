/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <crayon/log.h>

void cr_log_writev(const struct cr_log *log, enum cr_log_level level, const char *subject,
                   const char *format, va_list args)
{
    if (log == NULL || log->write == NULL || level > log->level)
        return;
    char message[2048];
    if (vsnprintf(message, sizeof(message), format, args) >= 0)
        log->write(log->user, level, subject, message);
}

void cr_log_write(const struct cr_log *log, enum cr_log_level level, const char *subject,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cr_log_writev(log, level, subject, format, args);
    va_end(args);
}
