/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include <crayon/error.h>
#include <crayon/log.h>

/* Programs need not expect two messages at once. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void cr_log_writev(const struct cr_log *log, enum cr_log_level level, const char *subject,
                   const char *format, va_list args)
{
    if (log == NULL || log->write == NULL || level > log->level)
        return;
    struct cr_error text = CR_ERROR_INIT; /* cuts what is too long, and marks the cut */
    cr_failv(&text, CR_OK, format, args);
    pthread_mutex_lock(&one_at_a_time);
    log->write(log->user, level, subject, text.message);
    pthread_mutex_unlock(&one_at_a_time);
}

void cr_log_write(const struct cr_log *log, enum cr_log_level level, const char *subject,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cr_log_writev(log, level, subject, format, args);
    va_end(args);
}
