/* SPDX-License-Identifier: MIT */
/* words.h: what can stand at the end of a command line. */
#ifndef CR_COMMAND_WORDS_H
#define CR_COMMAND_WORDS_H

#include "command/command.h"

/* Print what the last of the words, which follow the program's name, can become: one to a line, as
 * a whole word. The lines "\tfiles" and "\tdirectories" stand for names of those, after the last
 * "=" and
 * "@" in the word. Whatever goes wrong makes the list shorter, without a message. */
void words_complete(const struct strings *words);

#endif
