/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <crayon/error.h>

static const struct {
    int number;
    const char *words;
} results[] = {
#define RESULT(name, number, words) {number, words},
    CR_RESULTS(RESULT)
#undef RESULT
};

const char *cr_result_name(int result)
{
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i].number == result)
            return results[i].words;
    return "unknown result";
}

const char *cr_version(void)
{
    return CR_VERSION;
}

/* End a message that did not fit with "...", without leaving half a UTF-8 character before it. */
static void mark_cut(char *message, size_t capacity)
{
    size_t end = capacity - 4;
    while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
        end--;
    memcpy(message + end, "...", 4);
}

int cr_failv(struct cr_error *err, int code, const char *format, va_list args)
{
    if (err == NULL)
        return code;
    err->code = code;
    int length = vsnprintf(err->message, sizeof(err->message), format, args);
    if (length < 0)
        err->message[0] = '\0';
    else if ((size_t)length >= sizeof(err->message))
        mark_cut(err->message, sizeof(err->message));
    return code;
}

/* "<message>: <text>". */
static void add_behind(struct cr_error *err, const char *text)
{
    size_t used = strlen(err->message), room = sizeof(err->message) - used;
    int length = snprintf(err->message + used, room, ": %s", text);
    if (length < 0)
        err->message[used] = '\0';
    else if ((size_t)length >= room)
        mark_cut(err->message, sizeof(err->message));
}

int cr_fail(struct cr_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cr_failv(err, code, format, args);
    va_end(args);
    return code;
}

int cr_fail_errno(struct cr_error *err, int number, const char *format, ...)
{
    int code = number == ENOMEM ? CR_ERR_MEMORY : number == ENOENT ? CR_ERR_NOT_FOUND : CR_ERR_IO;
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, format);
    cr_failv(err, code, format, args);
    va_end(args);
    char words[128];
    /* The POSIX strerror_r(), which returns int: _GNU_SOURCE is not set here on purpose. */
    add_behind(err, strerror_r(number, words, sizeof(words)) == 0 ? words : "unknown error");
    return code;
}

int cr_fail_memory(struct cr_error *err, size_t bytes)
{
    return cr_fail(err, CR_ERR_MEMORY, "out of memory: %zu bytes could not be allocated", bytes);
}

int cr_error_prefix(struct cr_error *err, const char *format, ...)
{
    if (err == NULL || err->code == CR_OK)
        return err == NULL ? 0 : err->code;
    struct cr_error inner = *err;
    va_list args;
    va_start(args, format);
    cr_failv(err, inner.code, format, args);
    va_end(args);
    add_behind(err, inner.message);
    return err->code;
}

void cr_error_clear(struct cr_error *err)
{
    err->code = CR_OK;
    err->message[0] = '\0';
}
