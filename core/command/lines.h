/* SPDX-License-Identifier: MIT */
/* lines.h: input line by line. */
#ifndef CR_COMMAND_LINES_H
#define CR_COMMAND_LINES_H

#include <stdio.h>

#include <crayon/memory.h>

#define MAX_LINE (16u << 20) /* bytes */

enum line {
    LINE_GOT,
    LINE_TOO_LONG, /* passed over */
    LINE_END,
    LINE_ERROR, /* errno says what */
};

/* Append the next line without its newline. Lines are taken as they come, so that a program at the
 * other end of a pipe gets each result before it sends the next item. */
enum line read_line(FILE *file, struct cr_text *text);

#endif
