/* SPDX-License-Identifier: MIT */
/* A pull parser. Its whole state is a stack of open containers and what may come next. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"

#define CHUNK 65536
#define MAX_NUMBER 63 /* characters: more carry nothing that a double could hold */

enum state {
    EXPECT_DOCUMENT,     /* nothing was read yet */
    EXPECT_VALUE,        /* at the start, after a key's colon, after a comma in an array */
    EXPECT_VALUE_OR_END, /* after [ */
    EXPECT_KEY,          /* after a comma in an object */
    EXPECT_KEY_OR_END,   /* after { */
    EXPECT_COMMA_OR_END, /* after a value in a container */
    EXPECT_NOTHING,      /* after the outermost value */
};

struct cr_json_reader {
    char *name;
    const char *at, *start, *end; /* what is in memory: read up to `at` */
    struct cr_reader *file;       /* where more comes from, or NULL */
    char *chunk;
    int64_t offset;     /* of *start in the document */
    int64_t line;       /* of *at, from 1 */
    int64_t line_start; /* offset where that line begins */
    int64_t token_line, token_column;
    bool at_end; /* nothing more can be read into memory */
    bool nul;    /* strings may hold \u0000 */
    bool python; /* NaN and Infinity are there, too */
    enum state state;
    int depth;
    bool in_object[CR_JSON_MAX_DEPTH];
    struct cr_text text;
    struct cr_error read_error; /* of the file, found while looking for the next character */
};

static int create(struct cr_json_reader **out, const char *name, struct cr_error *err)
{
    struct cr_json_reader *reader = cr_calloc(1, sizeof(*reader));
    if (reader == NULL || (reader->name = cr_strdup(name)) == NULL) {
        cr_free(reader);
        return cr_fail_memory(err, sizeof(*reader));
    }
    reader->line = 1;
    *out = reader;
    return 0;
}

int cr_json_reader_create(struct cr_json_reader **out, const char *text, size_t size,
                          const char *name, struct cr_error *err)
{
    *out = NULL;
    int result = create(out, name, err);
    if (result == 0) {
        (*out)->at = (*out)->start = text;
        (*out)->end = size == 0 ? text : text + size;
        (*out)->at_end = true;
    }
    return result;
}

void cr_json_reader_set_line(struct cr_json_reader *reader, int64_t line)
{
    reader->line = line;
}

void cr_json_reader_allow_nul(struct cr_json_reader *reader)
{
    reader->nul = true;
}

void cr_json_reader_allow_python(struct cr_json_reader *reader)
{
    reader->python = true;
}

int cr_json_reader_open(struct cr_json_reader **out, const char *path, struct cr_error *err)
{
    *out = NULL;
    struct cr_json_reader *reader = NULL;
    int result = create(&reader, path, err);
    if (result == 0)
        result = cr_reader_open(&reader->file, path, err);
    if (result == 0 && (reader->chunk = cr_malloc(CHUNK)) == NULL)
        result = cr_fail_memory(err, CHUNK);
    if (result < 0)
        cr_json_reader_destroy(&reader);
    *out = reader;
    return result;
}

void cr_json_reader_destroy(struct cr_json_reader **reader)
{
    if (*reader == NULL)
        return;
    cr_reader_close(&(*reader)->file);
    cr_free((*reader)->chunk);
    cr_free((*reader)->name);
    cr_text_finish(&(*reader)->text);
    cr_free(*reader);
    *reader = NULL;
}

/* Read the next piece of the file; false at its end, or after a read error (which the next failure
 * reports instead of its own). */
static bool refill(struct cr_json_reader *reader)
{
    if (reader->at_end)
        return false;
    size_t got = 0;
    reader->offset += reader->end - reader->start;
    reader->at = reader->start = reader->end = reader->chunk;
    if (cr_reader_read(reader->file, reader->chunk, CHUNK, &got, &reader->read_error) < 0)
        got = 0;
    reader->end += got;
    reader->at_end = got == 0;
    return got > 0;
}

/* The next byte without taking it; -1 when there is none. */
static inline int peek(struct cr_json_reader *reader)
{
    if (reader->at == reader->end && !refill(reader))
        return -1;
    return (unsigned char)*reader->at;
}

/* Never a line feed: only skip_space() takes those. */
static inline void take(struct cr_json_reader *reader)
{
    reader->at++;
}

static int64_t column(const struct cr_json_reader *reader)
{
    return reader->offset + (reader->at - reader->start) - reader->line_start + 1;
}

static bool accept(struct cr_json_reader *reader, int byte)
{
    if (peek(reader) != byte)
        return false;
    take(reader);
    return true;
}

/* An error at a column of the line that is being read. */
static int fail_at(struct cr_json_reader *reader, int64_t at, struct cr_error *err, int code,
                   const char *format, ...) CR_PRINTF(5, 6);

static int fail_at(struct cr_json_reader *reader, int64_t at, struct cr_error *err, int code,
                   const char *format, ...)
{
    if (reader->read_error.code != 0)
        return cr_fail(err, reader->read_error.code, "%s", reader->read_error.message);
    va_list args;
    va_start(args, format);
    cr_failv(err, code, format, args);
    va_end(args);
    cr_error_prefix(err, "%s:%lld:%lld", reader->name, (long long)reader->line, (long long)at);
    return code;
}

int cr_json_fail(const struct cr_json_reader *reader, struct cr_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cr_failv(err, CR_ERR_FORMAT, format, args);
    va_end(args);
    cr_error_prefix(err, "%s:%lld:%lld", reader->name, (long long)reader->token_line,
                    (long long)reader->token_column);
    return CR_ERR_FORMAT;
}

/* "expected X, found Y" where Y is what stands at the reader's position. */
static int unexpected(struct cr_json_reader *reader, struct cr_error *err, const char *expected)
{
    int byte = peek(reader);
    if (byte < 0)
        return fail_at(reader, column(reader), err, CR_ERR_FORMAT,
                       "expected %s, found the end of the text", expected);
    if (byte < 0x20 || byte >= 0x7F)
        return fail_at(reader, column(reader), err, CR_ERR_FORMAT, "expected %s, found byte 0x%02X",
                       expected, (unsigned)byte);
    return fail_at(reader, column(reader), err, CR_ERR_FORMAT, "expected %s, found '%c'", expected,
                   byte);
}

static void skip_space(struct cr_json_reader *reader)
{
    do {
        for (; reader->at < reader->end; reader->at++) {
            if (*reader->at == '\n') {
                reader->line++;
                reader->line_start = reader->offset + (reader->at - reader->start) + 1;
            } else if (*reader->at != ' ' && *reader->at != '\t' && *reader->at != '\r') {
                return;
            }
        }
    } while (refill(reader));
}

/* ---- Strings ---- */

static int read_hex4(struct cr_json_reader *reader, unsigned *code, struct cr_error *err)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        int byte = peek(reader);
        int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return unexpected(reader, err, "four hexadecimal digits after \\u");
        *code = *code * 16 + (unsigned)digit;
        take(reader);
    }
    return 0;
}

static void append_utf8(struct cr_text *text, unsigned code)
{
    char bytes[4];
    size_t count;
    if (code < 0x80) {
        bytes[0] = (char)code;
        count = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xC0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3F));
        count = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (code & 0x3F));
        count = 3;
    } else {
        bytes[0] = (char)(0xF0 | code >> 18);
        bytes[1] = (char)(0x80 | (code >> 12 & 0x3F));
        bytes[2] = (char)(0x80 | (code >> 6 & 0x3F));
        bytes[3] = (char)(0x80 | (code & 0x3F));
        count = 4;
    }
    cr_text_append(text, bytes, count);
}

/* Behind \u; `start` is the column of the backslash. */
static int read_unicode_escape(struct cr_json_reader *reader, int64_t start, struct cr_error *err)
{
    unsigned code;
    int result = read_hex4(reader, &code, err);
    if (result < 0)
        return result;
    if (code == 0 && !reader->nul)
        return fail_at(reader, start, err, CR_ERR_FORMAT, "a string cannot hold \\u0000 here");
    if (code >= 0xDC00 && code <= 0xDFFF)
        return fail_at(reader, start, err, CR_ERR_FORMAT,
                       "\\u%04X is the second half of a surrogate pair without its first", code);
    if (code >= 0xD800 && code <= 0xDBFF) {
        unsigned low = 0;
        if (!accept(reader, '\\') || !accept(reader, 'u'))
            return unexpected(reader, err, "the second half of a surrogate pair (\\uDC00..DFFF)");
        if ((result = read_hex4(reader, &low, err)) < 0)
            return result;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail_at(reader, start + 6, err, CR_ERR_FORMAT,
                           "\\u%04X is not the second half of a surrogate pair", low);
        code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00);
    }
    append_utf8(&reader->text, code);
    return 0;
}

static int read_escape(struct cr_json_reader *reader, struct cr_error *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int64_t start = column(reader);
    take(reader);
    if (accept(reader, 'u'))
        return read_unicode_escape(reader, start, err);
    int byte = peek(reader);
    const char *found = byte > 0 ? strchr(from, byte) : NULL;
    if (found == NULL)
        return unexpected(reader, err, "one of \" \\ / b f n r t u after a backslash");
    take(reader);
    cr_text_append(&reader->text, &to[found - from], 1);
    return 0;
}

/* One character beyond ASCII: well formed as in RFC 3629 (no overlong forms, surrogates or numbers
 * above 10FFFF). */
static int read_utf8(struct cr_json_reader *reader, struct cr_error *err)
{
    int lead = peek(reader);
    int more = lead >= 0xC2 && lead <= 0xDF   ? 1
               : lead >= 0xE0 && lead <= 0xEF ? 2
               : lead >= 0xF0 && lead <= 0xF4 ? 3
                                              : 0;
    int64_t start = column(reader);
    if (more == 0)
        return fail_at(reader, start, err, CR_ERR_FORMAT, "byte 0x%02X is not UTF-8",
                       (unsigned)lead);
    int lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    int highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    char bytes[4] = {(char)lead};
    take(reader);
    for (int i = 1; i <= more; i++) {
        int byte = peek(reader);
        if (byte < lowest || byte > highest)
            return fail_at(reader, start, err, CR_ERR_FORMAT,
                           "byte 0x%02X does not begin a complete UTF-8 character", (unsigned)lead);
        bytes[i] = (char)byte;
        take(reader);
        lowest = 0x80;
        highest = 0xBF;
    }
    cr_text_append(&reader->text, bytes, (size_t)more + 1);
    return 0;
}

/* A run of plain characters that lies in memory. */
static void append_plain_run(struct cr_json_reader *reader)
{
    const char *from = reader->at, *at = from, *end = reader->end;
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    reader->at = at;
    cr_text_append(&reader->text, from, (size_t)(at - from));
}

/* Up to the closing quote, which stays. */
static int read_characters(struct cr_json_reader *reader, struct cr_error *err)
{
    for (;;) {
        int byte = peek(reader), result = 0;
        if (reader->text.size > CR_JSON_MAX_STRING)
            return fail_at(reader, column(reader), err, CR_ERR_LIMIT,
                           "the string is longer than %u bytes", CR_JSON_MAX_STRING);
        if (byte == '"')
            return 0;
        if (byte < 0)
            return unexpected(reader, err, "'\"' at the end of the string");
        if (byte < 0x20)
            return fail_at(reader, column(reader), err, CR_ERR_FORMAT,
                           "control character 0x%02X in a string; write it as \\u%04x",
                           (unsigned)byte, (unsigned)byte);
        if (byte == '\\')
            result = read_escape(reader, err);
        else if (byte >= 0x80)
            result = read_utf8(reader, err);
        else
            append_plain_run(reader);
        if (result < 0)
            return result;
    }
}

static int read_string(struct cr_json_reader *reader, struct cr_json_token *token,
                       struct cr_error *err)
{
    take(reader);
    reader->text.size = 0;
    cr_text_append(&reader->text, "", 0);
    int result = read_characters(reader, err);
    if (result < 0)
        return result;
    take(reader);
    if (reader->text.failed)
        return cr_fail_memory(err, reader->text.size);
    token->text = reader->text.data;
    token->size = reader->text.size;
    return 0;
}

/* ---- Numbers and words ---- */

struct digits {
    char text[MAX_NUMBER + 1];
    size_t size;
};

static void take_into(struct cr_json_reader *reader, struct digits *digits)
{
    if (digits->size < MAX_NUMBER)
        digits->text[digits->size] = *reader->at;
    digits->size++;
    take(reader);
}

static inline bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* Nothing but digits, and perhaps a sign? */
static bool is_whole(const struct digits *digits)
{
    for (size_t i = digits->text[0] == '-'; i < digits->size; i++)
        if (digits->text[i] < '0' || digits->text[i] > '9')
            return false;
    return true;
}

/* At least one digit. */
static int read_digits(struct cr_json_reader *reader, struct digits *digits, struct cr_error *err)
{
    if (!is_digit(peek(reader)))
        return unexpected(reader, err, "a digit");
    while (is_digit(peek(reader)))
        take_into(reader, digits);
    return 0;
}

/* strtod() reads the decimal point of the locale that the host program has set. */
static int convert(struct digits *digits, double *number, struct cr_error *err)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return cr_fail_memory(err, MAX_NUMBER);
    locale_t before = uselocale(c);
    digits->text[digits->size] = '\0';
    *number = strtod(digits->text, NULL);
    uselocale(before);
    freelocale(c);
    return 0;
}

/* The usual numbers are whole and short: they need no strtod(). */
static bool convert_short(const struct digits *digits, double *number)
{
    bool negative = digits->text[0] == '-';
    int64_t value = 0;
    if (digits->size > 15 || !is_whole(digits))
        return false;
    for (size_t i = negative; i < digits->size; i++)
        value = value * 10 + (digits->text[i] - '0');
    *number = negative ? -(double)value : (double)value;
    return true;
}

static int read_word(struct cr_json_reader *reader, const char *word, struct cr_error *err)
{
    for (const char *at = word; *at != '\0'; at++)
        if (!accept(reader, *at))
            return unexpected(reader, err, word);
    return 0;
}

/* The characters of a number, as RFC 8259 section 6 has them; of -Infinity none is kept. */
static int collect_number(struct cr_json_reader *reader, struct digits *digits,
                          struct cr_error *err)
{
    int result = 0;
    if (peek(reader) == '-')
        take_into(reader, digits);
    if (peek(reader) == 'I' && reader->python) {
        digits->size = 0;
        return read_word(reader, "Infinity", err);
    }
    if (peek(reader) == '0') {
        take_into(reader, digits);
        if (is_digit(peek(reader)))
            return cr_json_fail(reader, err, "a number cannot start with 0");
    } else {
        result = read_digits(reader, digits, err);
    }
    if (result == 0 && peek(reader) == '.') {
        take_into(reader, digits);
        result = read_digits(reader, digits, err);
    }
    if (result == 0 && (peek(reader) == 'e' || peek(reader) == 'E')) {
        take_into(reader, digits);
        if (peek(reader) == '+' || peek(reader) == '-')
            take_into(reader, digits);
        result = read_digits(reader, digits, err);
    }
    return result;
}

static int read_number(struct cr_json_reader *reader, struct cr_json_token *token,
                       struct cr_error *err)
{
    struct digits digits;
    digits.size = 0;
    int result = collect_number(reader, &digits, err);
    if (result < 0)
        return result;
    if (digits.size == 0) { /* -Infinity */
        token->type = CR_JSON_NULL;
        return 0;
    }
    if (digits.size > MAX_NUMBER)
        return cr_json_fail(reader, err, "the number has more than %d characters", MAX_NUMBER);
    token->whole = is_whole(&digits);
    if (!convert_short(&digits, &token->number))
        result = convert(&digits, &token->number, err);
    if (result == 0 && !isfinite(token->number))
        result = cr_json_fail(reader, err, "the number is out of range (at most 1.8e308)");
    return result;
}

/* ---- Structure ---- */

static int push(struct cr_json_reader *reader, bool object, struct cr_error *err)
{
    if (reader->depth == CR_JSON_MAX_DEPTH)
        return fail_at(reader, column(reader), err, CR_ERR_LIMIT, "nested deeper than %d levels",
                       CR_JSON_MAX_DEPTH);
    reader->in_object[reader->depth++] = object;
    reader->state = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    take(reader);
    return 0;
}

static void after_value(struct cr_json_reader *reader)
{
    reader->state = reader->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static int close_container(struct cr_json_reader *reader, struct cr_json_token *token)
{
    take(reader);
    reader->depth--;
    token->type = reader->in_object[reader->depth] ? CR_JSON_OBJECT_END : CR_JSON_ARRAY_END;
    after_value(reader);
    return 0;
}

static int read_value(struct cr_json_reader *reader, struct cr_json_token *token,
                      struct cr_error *err)
{
    int byte = peek(reader), result;
    switch (byte) {
    case '{':
        token->type = CR_JSON_OBJECT;
        return push(reader, true, err);
    case '[':
        token->type = CR_JSON_ARRAY;
        return push(reader, false, err);
    case '"':
        token->type = CR_JSON_STRING;
        result = read_string(reader, token, err);
        break;
    case 't':
        token->type = CR_JSON_TRUE;
        result = read_word(reader, "true", err);
        break;
    case 'f':
        token->type = CR_JSON_FALSE;
        result = read_word(reader, "false", err);
        break;
    case 'n':
        token->type = CR_JSON_NULL;
        result = read_word(reader, "null", err);
        break;
    default:
        if (reader->python && (byte == 'N' || byte == 'I')) {
            token->type = CR_JSON_NULL;
            result = read_word(reader, byte == 'N' ? "NaN" : "Infinity", err);
            break;
        }
        if (byte != '-' && (byte < '0' || byte > '9'))
            return unexpected(reader, err,
                              reader->state == EXPECT_VALUE_OR_END ? "a value or ']'" : "a value");
        token->type = CR_JSON_NUMBER;
        result = read_number(reader, token, err);
    }
    after_value(reader);
    return result;
}

static int read_key(struct cr_json_reader *reader, struct cr_json_token *token,
                    struct cr_error *err)
{
    if (peek(reader) != '"')
        return unexpected(reader, err,
                          reader->state == EXPECT_KEY_OR_END ? "a key in double quotes or '}'"
                                                             : "a key in double quotes");
    token->type = CR_JSON_KEY;
    int result = read_string(reader, token, err);
    if (result < 0)
        return result;
    skip_space(reader);
    if (!accept(reader, ':'))
        return unexpected(reader, err, "':' after the key");
    reader->state = EXPECT_VALUE;
    return 0;
}

static void mark_token(struct cr_json_reader *reader, struct cr_json_token *token)
{
    token->line = reader->token_line = reader->line;
    token->column = reader->token_column = column(reader);
}

/* A byte order mark is no part of JSON, but some editors write it and readers may pass over it. */
static int skip_mark(struct cr_json_reader *reader, struct cr_error *err)
{
    reader->state = EXPECT_VALUE;
    if (!accept(reader, 0xEF))
        return 0;
    if (!accept(reader, 0xBB) || !accept(reader, 0xBF))
        return unexpected(reader, err, "a byte order mark or a value");
    reader->line_start += 3;
    return 0;
}

int cr_json_next(struct cr_json_reader *reader, struct cr_json_token *token, struct cr_error *err)
{
    *token = (struct cr_json_token){.type = CR_JSON_END};
    int result = reader->state == EXPECT_DOCUMENT ? skip_mark(reader, err) : 0;
    if (result < 0)
        return result;
    skip_space(reader);
    mark_token(reader, token);
    if (reader->state == EXPECT_COMMA_OR_END) {
        bool object = reader->in_object[reader->depth - 1];
        if (peek(reader) == (object ? '}' : ']'))
            return close_container(reader, token);
        if (!accept(reader, ','))
            return unexpected(reader, err,
                              object ? "',' or '}' after a value" : "',' or ']' after a value");
        reader->state = object ? EXPECT_KEY : EXPECT_VALUE;
        skip_space(reader);
        mark_token(reader, token);
    }
    switch (reader->state) {
    case EXPECT_KEY_OR_END:
    case EXPECT_VALUE_OR_END:
        if (peek(reader) == (reader->state == EXPECT_KEY_OR_END ? '}' : ']'))
            return close_container(reader, token);
        return reader->state == EXPECT_KEY_OR_END ? read_key(reader, token, err)
                                                  : read_value(reader, token, err);
    case EXPECT_KEY:
        return read_key(reader, token, err);
    case EXPECT_VALUE:
        return read_value(reader, token, err);
    default:
        if (peek(reader) >= 0 || reader->read_error.code != 0)
            return unexpected(reader, err, "nothing more after the end of the document");
        return 0;
    }
}

int cr_json_skip(struct cr_json_reader *reader, const struct cr_json_token *token,
                 struct cr_error *err)
{
    if (token->type != CR_JSON_OBJECT && token->type != CR_JSON_ARRAY)
        return 0;
    int depth = reader->depth - 1;
    struct cr_json_token inner;
    while (reader->depth > depth) {
        int result = cr_json_next(reader, &inner, err);
        if (result < 0)
            return result;
    }
    return 0;
}
