/* SPDX-License-Identifier: MIT */
/* utf8.h: is it UTF-8? */
#ifndef CR_BASE_UTF8_H
#define CR_BASE_UTF8_H

#include <stddef.h>

/* Bytes at `text` (NUL-terminated, not at its end) that are one valid character; 0: they are none.
 */
static inline size_t cr_utf8_length(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] < 0xC2 || byte[0] > 0xF4)
        return 0;
    size_t length = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : 2;
    for (size_t i = 1; i < length; i++)
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies above U+10FFFF. */
    if ((byte[0] == 0xE0 && byte[1] < 0xA0) || (byte[0] == 0xED && byte[1] > 0x9F) ||
        (byte[0] == 0xF0 && byte[1] < 0x90) || (byte[0] == 0xF4 && byte[1] > 0x8F))
        return 0;
    return length;
}

/* The first byte that belongs to no valid character, or the NUL at the end. */
static inline const char *cr_utf8_fault(const char *text)
{
    for (size_t length; *text != '\0' && (length = cr_utf8_length(text)) > 0;)
        text += length;
    return text;
}

#endif
