/* SPDX-License-Identifier: MIT */
/* options.h: from the words of the command line to a command's settings. */
#ifndef CR_COMMAND_OPTIONS_H
#define CR_COMMAND_OPTIONS_H

#include "command/command.h"

/* Parse the words after the subcommand's name, as GNU programs do (`--name=value`, `--name value`,
 * options and operands in any order, `--` ends the options), and run the command. The exit code. */
int command_main(const struct command *command, int argc, char **argv);

/* The text of `crayon COMMAND --help`, on stdout. */
void command_help(const struct command *command);

/* Say what was wrong with the command line and where help is. Returns EXIT_MISUSED. */
int usage_error(const struct command *command, const char *format, ...) CR_PRINTF(2, 3);

#endif
