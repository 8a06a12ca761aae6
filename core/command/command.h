/* SPDX-License-Identifier: MIT */
/* command.h: what every file of the program knows: the shape of a subcommand, and its exit codes.
 */
#ifndef CR_COMMAND_COMMAND_H
#define CR_COMMAND_COMMAND_H

#include <crayon/crayon.h>

/* An interrupted program exits with 128 + the number of the signal: 130 or 143. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_MISUSED = 2,
    EXIT_NOT_RUN = 3, /* what ran succeeded, but something could not be run here */
};

struct strings {
    const char **items;
    size_t count;
};

struct number {
    bool given;
    uint64_t value;
};

/* What follows an option's name, and the member of the settings that receives it. */
enum option_kind {
    OPTION_FLAG,   /* nothing; bool */
    OPTION_TEXT,   /* any text, at most once; const char * */
    OPTION_LIST,   /* any text, any number of times; struct strings */
    OPTION_NUMBER, /* a whole number >= 0, at most once; struct number */
};

struct option {
    const char *name; /* without the two dashes */
    enum option_kind kind;
    size_t offset;        /* of the member in the settings */
    const char *argument; /* what --help calls it; NULL for flags */
    const char *help;
};

/* One subcommand. Parsing, usage errors and --help all come from this description. */
struct command {
    const char *name;
    const char *operands; /* as the usage line shows them */
    size_t operands_min, operands_max;
    const char *summary;          /* one line, small first letter, no full stop */
    const struct option *options; /* ends with a NULL name */
    size_t settings_size;
    int (*run)(const void *settings, const struct strings *operands); /* the exit code */
    const char *notes; /* below the options; or NULL */
};

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_graph;
extern const struct command command_plugins;
extern const struct command command_devices;
extern const struct command command_eval;
extern const struct command command_bench;
extern const struct command command_completion;
extern const struct command command_quantize;
extern const struct command command_tokenize;
extern const struct command command_verify;

/* The subcommands, in the order of --help; ends with NULL. */
extern const struct command *const commands[];

#endif
