/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "command/common.h"
#include "command/options.h"

#define LINE_WIDTH 79

/* ---- Results ---- */

/* Not stdio: its buffer is lost when standard output is a pipe that does not block. */
static struct {
    char bytes[32768];
    size_t used;
    int number; /* the errno value of the first write that failed */
} output;

static void write_output(const char *bytes, size_t count)
{
    if (output.number == 0 && count > 0 && cr_io_write_all(STDOUT_FILENO, bytes, count) < 0)
        output.number = errno;
}

bool flush_output(void)
{
    write_output(output.bytes, output.used);
    output.used = 0;
    return output.number == 0;
}

static void buffer_output(const char *bytes, size_t count)
{
    if (count > sizeof(output.bytes) - output.used)
        flush_output();
    if (count > sizeof(output.bytes)) {
        write_output(bytes, count);
        return;
    }
    memcpy(output.bytes + output.used, bytes, count);
    output.used += count;
}

/* Names of files and texts from other people's data come to a terminal, where escape sequences
 * among them would be obeyed. How many of the bytes at `bytes` are one control character, C0 or
 * (in UTF-8) C1? */
static size_t control_length(const char *bytes, size_t count)
{
    unsigned char byte = (unsigned char)bytes[0];
    if (byte < 0x20 || byte == 0x7F)
        return 1;
    return byte == 0xC2 && count > 1 && ((unsigned char)bytes[1] & 0xE0) == 0x80 ? 2 : 0;
}

/* Hand the text to `write` with "\x1b" and the like for control characters; those in `kept` may
 * stay. */
static void write_visible(const char *bytes, size_t count, const char *kept,
                          void (*write)(const char *bytes, size_t count))
{
    size_t start = 0;
    for (size_t i = 0, length; i < count; i += length) {
        length = control_length(bytes + i, count - i);
        if (length == 0 || (bytes[i] != '\0' && strchr(kept, bytes[i]) != NULL)) {
            length = 1;
            continue;
        }
        write(bytes + start, i - start);
        start = i + length;
        for (size_t j = i; j < start; j++) {
            char shown[8];
            int used = snprintf(shown, sizeof(shown), "\\x%02x", (unsigned char)bytes[j]);
            write(shown, (size_t)used);
        }
    }
    write(bytes + start, count - start);
}

bool output_is_terminal(void)
{
    static int answer = -1;
    if (answer < 0)
        answer = isatty(STDOUT_FILENO) == 1;
    return answer;
}

void print_bytes(const char *bytes, size_t count)
{
    progress_clear();
    if (output_is_terminal())
        write_visible(bytes, count, "\n\t", buffer_output);
    else
        buffer_output(bytes, count);
}

static int print_long(size_t size, const char *format, va_list args) CR_PRINTF(2, 0);

static int print_long(size_t size, const char *format, va_list args)
{
    char *text = cr_malloc(size);
    if (text == NULL) {
        output.number = ENOMEM;
        return 0;
    }
    int count = vsnprintf(text, size, format, args);
    print_bytes(text, (size_t)count);
    cr_free(text);
    return count;
}

int print(const char *format, ...)
{
    char text[1024];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int count = vsnprintf(text, sizeof(text), format, args);
    if ((size_t)count < sizeof(text))
        print_bytes(text, (size_t)count);
    else
        count = print_long((size_t)count + 1, format, again);
    va_end(again);
    va_end(args);
    return count;
}

bool print_text(struct cr_text *text)
{
    bool complete = !text->failed;
    if (complete)
        print_bytes(text->data != NULL ? text->data : "", text->size);
    else
        say_error("out of memory");
    cr_text_finish(text);
    return complete;
}

void add_member(struct cr_text *json, const char *key, const char *value)
{
    cr_json_quote(json, key);
    cr_text_add(json, ":");
    cr_json_quote(json, value);
}

/* Columns of the first `bytes` bytes of UTF-8. */
static size_t columns(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

void print_wrapped(const char *text, size_t column, size_t indent)
{
    bool first = true;
    for (text += strspn(text, " \n"); *text != '\0'; text += strspn(text, " \n")) {
        size_t bytes = strcspn(text, " \n"), width = columns(text, bytes);
        if (!first && column + 1 + width > LINE_WIDTH) {
            print("\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            print(" ");
            column++;
        }
        print_bytes(text, bytes);
        column += width;
        text += bytes;
        first = false;
    }
    print("\n");
}

int finish_output(int code)
{
    progress_clear();
    flush_output();
    if (output.number == 0)
        return code;
    if (output.number != EPIPE) /* whoever read it has seen enough */
        say_error("cannot write to standard output: %s", strerror(output.number));
    return code == EXIT_OK ? EXIT_FAILED : code;
}

/* ---- Messages ---- */

static bool terminal_is_capable(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

static bool wants_color(void)
{
    static int answer = -1;
    if (answer < 0)
        answer = terminal_is_capable() && getenv("NO_COLOR") == NULL;
    return answer;
}

static void write_message(const char *bytes, size_t count)
{
    fwrite(bytes, 1, count, stderr);
}

static void add_message(const char *format, va_list args) CR_PRINTF(1, 0);

/* A message is one line, whatever the names in it hold. */
static void add_message(const char *format, va_list args)
{
    char start[2560], *text = start;
    va_list again;
    va_copy(again, args);
    int count = vsnprintf(start, sizeof(start), format, args);
    size_t size = count < 0 ? 0 : (size_t)count;
    if (size >= sizeof(start)) {
        text = cr_malloc(size + 1);
        if (text != NULL)
            vsnprintf(text, size + 1, format, again);
        else
            size = sizeof(start) - 1; /* what fits has to do */
    }
    va_end(again);
    write_visible(text != NULL ? text : start, size, "", write_message);
    if (text != start)
        cr_free(text);
}

void say(enum say_kind kind, const char *format, va_list args)
{
    static const struct {
        const char *color, *word;
    } kinds[] = {
        [SAY_PLAIN] = {"", ""},
        [SAY_NOTE] = {"\033[1m", "note: "},
        [SAY_WARNING] = {"\033[1;33m", "warning: "},
        [SAY_ERROR] = {"\033[1;31m", "error: "},
    };
    progress_clear();
    flush_output(); /* so that a terminal shows both in the order in which they came */
    bool color = wants_color() && kind != SAY_PLAIN;
    flockfile(stderr);
    fprintf(stderr, "crayon: %s%s%s", color ? kinds[kind].color : "", kinds[kind].word,
            color ? "\033[0m" : "");
    add_message(format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
}

#define SAY(kind)                                                                                  \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    say((kind), format, args);                                                                     \
    va_end(args)

void say_plain(const char *format, ...)
{
    SAY(SAY_PLAIN);
}

void say_note(const char *format, ...)
{
    SAY(SAY_NOTE);
}

void say_error(const char *format, ...)
{
    SAY(SAY_ERROR);
}

static void say_warning(const char *format, ...) CR_PRINTF(1, 2);

static void say_warning(const char *format, ...)
{
    SAY(SAY_WARNING);
}

int say_failure(const struct cr_error *err)
{
    if (err->code == CR_ERR_CANCELLED && stop_signal() != 0) {
        say_plain(stop_signal() == SIGINT ? "interrupted" : "terminated");
        return 128 + stop_signal();
    }
    say_error("%s", err->message);
    return EXIT_FAILED;
}

static void write_log(void *user, enum cr_log_level level, const char *subject, const char *message)
{
    (void)user;
    if (level == CR_LOG_ERROR)
        say_error("%s: %s", subject, message);
    else if (level == CR_LOG_WARNING)
        say_warning("%s: %s", subject, message);
    else
        say_plain("%s: %s", subject, message);
}

const struct cr_log *message_log(enum cr_log_level level)
{
    static struct cr_log log = {.write = write_log};
    log.level = level;
    return &log;
}

static bool progress_shown;

bool progress_is_shown(void)
{
    static int capable = -1;
    if (capable < 0)
        capable = terminal_is_capable();
    return capable;
}

void progress_show(const char *stage, double done)
{
    static const char bar[] = "####################", rest[] = "                    ";
    if (!progress_is_shown())
        return;
    int length = (int)((double)strlen(bar) * (done < 0 ? 0 : done < 1 ? done : 1));
    fprintf(stderr, "\r\033[Kcrayon: %s %.0f %% [%.*s%s]", stage, 100 * done, length, bar,
            rest + length);
    fflush(stderr);
    progress_shown = true;
}

void progress_clear(void)
{
    if (!progress_shown)
        return;
    progress_shown = false;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Signals ---- */

/* C promises that a handler may write a volatile sig_atomic_t; hooks want the flag as an int. */
static volatile sig_atomic_t stop, patient;
_Static_assert(_Generic((sig_atomic_t)0, int : 1, default : 0), "sig_atomic_t is an int");

static void on_signal(int number)
{
    if (stop != 0 || !patient)
        _exit(128 + number);
    stop = number;
}

void catch_signals(void)
{
    /* No SA_RESTART: waiting for input ends, too. A signal that was ignored stays so (nohup). */
    static const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction action = {.sa_handler = on_signal}, before;
        sigemptyset(&action.sa_mask);
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

void defer_signals(void)
{
    patient = 1;
}

int stop_signal(void)
{
    return stop;
}

const volatile int *stop_flag(void)
{
    return &stop;
}

/* ---- Pipelines ---- */

int session_open(struct session *session, const char *plugin_path, const struct cr_log *log,
                 struct cr_error *err)
{
    struct cr_registry_params params = {.path = plugin_path, .log = log, .allow = session->allow};
    return cr_registry_create(&session->registry, &params, err);
}

int device_settings_check(const struct command *command, const struct device_settings *settings)
{
    const char *precision = settings->precision;
    if (precision == NULL || strcmp(precision, "fast") == 0 || strcmp(precision, "exact") == 0)
        return EXIT_OK;
    return usage_error(command, "--precision: \"%s\" is neither exact nor fast", precision);
}

struct cr_device_params device_settings_params(const struct device_settings *settings,
                                               const struct cr_log *log)
{
    bool exact = settings->precision != NULL && strcmp(settings->precision, "exact") == 0;
    return (struct cr_device_params){
        .precision = exact ? CR_PRECISION_EXACT : CR_PRECISION_FAST,
        .threads = settings->threads.value < INT_MAX ? (int)settings->threads.value : INT_MAX,
        .log = log,
    };
}

void say_finding(const struct cr_finding *finding)
{
    char *text = cr_finding_text(finding);
    const char *shown = text != NULL ? text : finding->message;
    if (finding->severity == CR_SEVERITY_NOTE)
        say_note("%s", shown);
    else
        say_error("%s", shown);
    cr_free(text);
}

void say_findings(const struct cr_report *report, bool notes)
{
    for (size_t i = 0; i < cr_report_count(report); i++) {
        const struct cr_finding *finding = cr_report_get(report, i);
        if (notes || finding->severity != CR_SEVERITY_NOTE)
            say_finding(finding);
    }
}

int session_load(struct session *session, const char *path, const struct strings *sets, bool quiet)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_report *report = cr_report_create();
    int code = EXIT_OK;
    if (report == NULL) {
        say_error("out of memory");
        return EXIT_FAILED;
    }
    int result = cr_pipeline_load(&session->pipeline, session->registry, path, sets->items,
                                  sets->count, report, &err);
    say_findings(report, !quiet);
    if (result < 0)
        code = cr_report_errors(report) > 0 ? EXIT_FAILED : say_failure(&err);
    cr_report_destroy(&report);
    return code;
}

int session_set_device(struct session *session, const struct command *command,
                       const struct device_settings *settings, const struct cr_log *log)
{
    struct cr_device_params params = device_settings_params(settings, log);
    struct cr_error err = CR_ERROR_INIT;
    int result = cr_pipeline_set_device(session->pipeline, settings->device, &params, &err);
    if (result == CR_ERR_NOT_FOUND)
        return usage_error(command, "--device: %s", err.message);
    return result < 0 ? say_failure(&err) : EXIT_OK;
}

void session_close(struct session *session)
{
    cr_pipeline_destroy(&session->pipeline);
    cr_registry_destroy(&session->registry);
}
