/* SPDX-License-Identifier: MIT */
/* common.h: talking to the terminal, stopping on signals, opening pipelines. */
#ifndef CR_COMMAND_COMMON_H
#define CR_COMMAND_COMMON_H

#include <signal.h>

#include "command/command.h"

/* ---- Results: standard output ---- */

/* The first failure to write is remembered for finish_output(). print() returns the bytes. On a
 * terminal, control characters other than newline and tab are shown as "\x1b". */
int print(const char *format, ...) CR_PRINTF(1, 2);
void print_bytes(const char *bytes, size_t count);
/* Print a collected text; false, with a message, when memory ran out while it grew. */
bool print_text(struct cr_text *text);
/* Append "key":"value" to a JSON object. */
void add_member(struct cr_text *json, const char *key, const char *value);
/* Break `text` at spaces so that no line is longer than 79 columns; the first line starts at column
 * `column`, the others are indented by `indent`. Ends the last line. */
void print_wrapped(const char *text, size_t column, size_t indent);
/* False when something could not be written. */
bool flush_output(void);
/* Has everything arrived? Otherwise says so. Returns `code`, or EXIT_FAILED in place of EXIT_OK. */
int finish_output(int code);
/* Is the result going to a person? */
bool output_is_terminal(void);

/* ---- Messages: standard error, "crayon: ..." ---- */

/* Each is one line: control characters in it are shown as "\x1b". */

enum say_kind {
    SAY_PLAIN,
    SAY_NOTE,
    SAY_WARNING,
    SAY_ERROR,
};
void say(enum say_kind kind, const char *format, va_list args) CR_PRINTF(2, 0);
void say_plain(const char *format, ...) CR_PRINTF(1, 2);
void say_note(const char *format, ...) CR_PRINTF(1, 2);
void say_error(const char *format, ...) CR_PRINTF(1, 2);
/* The failure itself; or, if it is that a signal came, that. Returns the exit code for it. */
int say_failure(const struct cr_error *err);

/* A log that shows messages up to `level`. */
const struct cr_log *message_log(enum cr_log_level level);

/* Show how far a stage is, if standard error is a terminal; the line is gone with the next message,
 * result, or progress_clear(). */
void progress_show(const char *stage, double done);
void progress_clear(void);
/* Would it be seen? */
bool progress_is_shown(void);

/* Of a clock that only goes forward. */
double seconds_now(void);

/* ---- Signals ---- */

/* SIGINT and SIGTERM end the program with 130 or 143. After defer_signals() the first one only sets
 * a flag, so that work can be ended in order. */
void catch_signals(void);
void defer_signals(void);
int stop_signal(void); /* 0: none came */
const volatile int *stop_flag(void);

/* ---- Pipelines ---- */

struct session {
    uint32_t allow; /* of enum cr_permission; to be set before it is opened */
    struct cr_registry *registry;
    struct cr_pipeline *pipeline;
};

/* Load plugins; `path` as --plugin-path has it, or NULL. */
int session_open(struct session *session, const char *plugin_path, const struct cr_log *log,
                 struct cr_error *err) CR_MUST_CHECK;
/* Load a pipeline and say what was found in it. EXIT_OK, or the exit code. */
int session_load(struct session *session, const char *path, const struct strings *sets, bool quiet);
void session_close(struct session *session);

/* How a command line asks for devices. */
struct device_settings {
    const char *device, *precision;
    struct number threads;
};
/* Is "--precision" one of its words? EXIT_OK, or a usage error of `command`. */
int device_settings_check(const struct command *command, const struct device_settings *settings);
/* As cr_device_open() takes them. */
struct cr_device_params device_settings_params(const struct device_settings *settings,
                                               const struct cr_log *log);

/* Let the pipeline compute there; an unknown name is a mistake of `command`'s command line. */
int session_set_device(struct session *session, const struct command *command,
                       const struct device_settings *settings, const struct cr_log *log);

/* "crayon: error: FINDING" or "crayon: note: FINDING". */
void say_finding(const struct cr_finding *finding);
/* All findings of a report; notes only if asked for. */
void say_findings(const struct cr_report *report, bool notes);

#endif
