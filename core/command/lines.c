/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "command/lines.h"

enum line read_line(FILE *file, struct cr_text *text)
{
    bool too_long = false, any = false;
    int byte;
    errno = 0;
    while ((byte = getc_unlocked(file)) != EOF && byte != '\n') {
        char letter = (char)byte;
        any = true;
        if (text->size < MAX_LINE)
            cr_text_append(text, &letter, 1);
        else
            too_long = true;
    }
    if (byte == EOF && ferror(file))
        return LINE_ERROR;
    if (byte == EOF && !any)
        return LINE_END;
    return too_long ? LINE_TOO_LONG : LINE_GOT;
}
