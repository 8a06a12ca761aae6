/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "charsmap.h"
#include "pieces.h"
#include "tokenizer.h"

#define MAX_MODEL_BYTES ((size_t)64 << 20)
#define MAX_ADDED 65536
#define MAX_ID (1 << 22)

struct added {
    char *text;
    size_t length;
    int32_t id;
};

struct tokenizer {
    struct pieces *pieces;
    struct added *added; /* the longest first */
    size_t count, capacity;
    bool starts[256]; /* bytes that an added token begins with */
};

/* ---- Added tokens ---- */

static const struct added *find_added(const struct tokenizer *tokenizer, const char *text)
{
    for (size_t i = 0; i < tokenizer->count; i++)
        if (strcmp(tokenizer->added[i].text, text) == 0)
            return &tokenizer->added[i];
    return NULL;
}

static int grow(struct tokenizer *tokenizer, struct cr_error *err)
{
    const size_t capacity = tokenizer->capacity == 0 ? 16 : 2 * tokenizer->capacity;
    if (tokenizer->count < tokenizer->capacity)
        return 0;
    struct added *added = cr_realloc_array(tokenizer->added, capacity, sizeof(*added));
    if (added == NULL)
        return cr_fail_memory(err, capacity * sizeof(*added));
    tokenizer->added = added;
    tokenizer->capacity = capacity;
    return 0;
}

/* In order of length. A token that is there already must have the same id. */
static int add_token(struct tokenizer *tokenizer, const char *text, int32_t id,
                     struct cr_error *err)
{
    const struct added *known = find_added(tokenizer, text);
    if (known != NULL && known->id != id)
        return cr_fail(err, CR_ERR_FORMAT, "the token \"%s\" is %d here and %d elsewhere", text, id,
                       known->id);
    if (known != NULL || text[0] == '\0')
        return 0;
    if (tokenizer->count == MAX_ADDED)
        return cr_fail(err, CR_ERR_LIMIT, "more than %d added tokens", MAX_ADDED);
    int result = grow(tokenizer, err);
    char *copy = result < 0 ? NULL : cr_strdup(text);
    if (copy == NULL)
        return result < 0 ? result : cr_fail_memory(err, strlen(text) + 1);
    const size_t length = strlen(text);
    size_t at = 0;
    while (at < tokenizer->count && tokenizer->added[at].length >= length)
        at++;
    memmove(&tokenizer->added[at + 1], &tokenizer->added[at],
            (tokenizer->count - at) * sizeof(*tokenizer->added));
    tokenizer->added[at] = (struct added){copy, length, id};
    tokenizer->count++;
    tokenizer->starts[(unsigned char)text[0]] = true;
    return 0;
}

/* Tokens that SentencePiece has and would not match in text: they are controls there. */
static int add_controls(struct tokenizer *tokenizer, struct cr_error *err)
{
    static const char *const controls[] = {"<s>", "</s>", "<unk>"};
    int result = 0;
    for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]) && result == 0; i++) {
        int32_t id = pieces_find(tokenizer->pieces, controls[i]);
        if (id >= 0)
            result = add_token(tokenizer, controls[i], id, err);
    }
    return result;
}

/* ---- What the model's files say ---- */

/* A key as a step of a JSON pointer; false if it is too long. */
static bool escape(const char *key, char *step, size_t size)
{
    size_t used = 0;
    for (; *key != '\0' && used + 3 < size; key++) {
        if (*key == '~' || *key == '/') {
            step[used++] = '~';
            step[used++] = *key == '~' ? '0' : '1';
        } else {
            step[used++] = *key;
        }
    }
    step[used] = '\0';
    return *key == '\0';
}

#define STEP_BYTES 512

/* added_tokens.json: {"<image>": 92544, ...} */
static int read_added_tokens(struct tokenizer *tokenizer, struct cr_config *file,
                             struct cr_error *err)
{
    int result = 0;
    for (size_t i = 0; i < cr_config_count(file, "") && result == 0; i++) {
        char step[STEP_BYTES], pointer[STEP_BYTES + 2];
        const char *name = cr_config_name(file, "", i);
        if (!escape(name, step, sizeof(step)))
            continue;
        snprintf(pointer, sizeof(pointer), "/%s", step);
        int64_t id = cr_config_int(file, pointer, CR_CONFIG_REQUIRED, 0, MAX_ID);
        if (cr_config_check(file, err) < 0)
            return CR_ERR_FORMAT;
        result = add_token(tokenizer, name, (int32_t)id, err);
    }
    return result;
}

/* tokenizer_config.json: {"added_tokens_decoder": {"92544": {"content": "<image>"}, ...}} */
static int read_decoder(struct tokenizer *tokenizer, struct cr_config *file, struct cr_error *err)
{
    static const char at[] = "/added_tokens_decoder";
    int result = 0;
    for (size_t i = 0; i < cr_config_count(file, at) && result == 0; i++) {
        char pointer[STEP_BYTES], *end;
        const char *name = cr_config_name(file, at, i);
        long id = name == NULL ? -1 : strtol(name, &end, 10);
        if (name == NULL || name[0] < '0' || name[0] > '9' || *end != '\0' || id > MAX_ID)
            cr_config_problem(file, at, "\"%s\" is no id", name != NULL ? name : "");
        snprintf(pointer, sizeof(pointer), "%s/%ld/content", at, id);
        const char *text = cr_config_text(file, pointer, "");
        if (cr_config_check(file, err) < 0)
            return CR_ERR_FORMAT;
        result = add_token(tokenizer, text, (int32_t)id, err);
    }
    return result;
}

typedef int (*file_reader)(struct tokenizer *tokenizer, struct cr_config *file,
                           struct cr_error *err);

/* Absent files are right too. */
static int read_optional(struct tokenizer *tokenizer, const struct cr_model *model,
                         const char *name, file_reader reader, struct cr_error *err)
{
    char *path = NULL;
    struct cr_config *file = NULL;
    struct cr_error why = CR_ERROR_INIT;
    int result = cr_model_file(model, name, &path, &why);
    if (result == CR_ERR_NOT_FOUND)
        return 0;
    if (result == 0 && (result = cr_config_read(&file, path, &why)) == 0) {
        result = reader(tokenizer, file, &why);
        if (result < 0 && strncmp(why.message, path, strlen(path)) != 0)
            cr_error_prefix(&why, "%s", path);
    }
    cr_config_destroy(&file);
    cr_free(path);
    return result < 0 ? cr_fail(err, result, "%s", why.message) : 0;
}

/* ---- Opening ---- */

static int load_pieces(struct tokenizer *tokenizer, const struct cr_model *model,
                       struct cr_error *err)
{
    char *path = NULL, *data = NULL, message[256];
    size_t size = 0;
    int result = cr_model_file(model, "tokenizer.model", &path, err);
    if (result == 0)
        result = cr_file_read(path, MAX_MODEL_BYTES, &data, &size, err);
    if (result == 0 && (result = charsmap_check(data, size, err)) < 0)
        cr_error_prefix(err, "%s", path);
    if (result == 0 && (tokenizer->pieces = pieces_load(data, size, message)) == NULL)
        result = cr_fail(err, CR_ERR_FORMAT, "%s: it is no SentencePiece model: %s", path, message);
    cr_free(data);
    cr_free(path);
    return result;
}

int tokenizer_open(struct tokenizer **out, const struct cr_model *model, int32_t image,
                   struct cr_error *err)
{
    *out = NULL;
    struct tokenizer *tokenizer = cr_calloc(1, sizeof(*tokenizer));
    if (tokenizer == NULL)
        return cr_fail_memory(err, sizeof(*tokenizer));
    int result = load_pieces(tokenizer, model, err);
    if (result == 0)
        result = add_controls(tokenizer, err);
    if (result == 0)
        result = read_optional(tokenizer, model, "added_tokens.json", read_added_tokens, err);
    if (result == 0)
        result = read_optional(tokenizer, model, "tokenizer_config.json", read_decoder, err);
    if (result == 0 && find_added(tokenizer, "<image>") == NULL)
        result = add_token(tokenizer, "<image>",
                           image >= 0 ? image : pieces_size(tokenizer->pieces), err);
    if (result < 0)
        tokenizer_close(&tokenizer);
    *out = tokenizer;
    return result;
}

void tokenizer_close(struct tokenizer **tokenizer)
{
    struct tokenizer *old = *tokenizer;
    *tokenizer = NULL;
    if (old == NULL)
        return;
    for (size_t i = 0; i < old->count; i++)
        cr_free(old->added[i].text);
    cr_free(old->added);
    pieces_free(old->pieces);
    cr_free(old);
}

int32_t tokenizer_size(const struct tokenizer *tokenizer)
{
    return pieces_size(tokenizer->pieces);
}

int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *piece)
{
    const struct added *added = find_added(tokenizer, piece);
    return added != NULL ? added->id : pieces_find(tokenizer->pieces, piece);
}

/* ---- Lists ---- */

int token_list_add(struct token_list *list, int32_t id, struct cr_error *err)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        int32_t *ids = cr_realloc_array(list->ids, capacity, sizeof(*ids));
        if (ids == NULL)
            return cr_fail_memory(err, capacity * sizeof(*ids));
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return 0;
}

/* ---- Encoding ---- */

/* Bytes of the UTF-8 character at `text` (RFC 3629), 0 if there is none. */
static size_t character(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (length == 0 || length > size || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool is_long = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool is_beyond = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return is_long || is_beyond ? 0 : length;
}

static int check_text(const char *text, size_t size, struct cr_error *err)
{
    for (size_t at = 0; at < size;) {
        size_t length = character(text + at, size - at);
        if (length == 0)
            return cr_fail(err, CR_ERR_FORMAT,
                           "byte %zu of the text, 0x%02x, does not begin a character of UTF-8", at,
                           (unsigned char)text[at]);
        at += length;
    }
    return 0;
}

/* The added token that the text begins with; the longest. */
static const struct added *match(const struct tokenizer *tokenizer, const char *text, size_t size)
{
    if (!tokenizer->starts[(unsigned char)text[0]])
        return NULL;
    for (size_t i = 0; i < tokenizer->count; i++) {
        const struct added *added = &tokenizer->added[i];
        if (added->length <= size && memcmp(added->text, text, added->length) == 0)
            return added;
    }
    return NULL;
}

struct sink {
    struct token_list *list;
    struct cr_error *err;
    int result;
};

static bool add_to_list(void *user, int32_t id)
{
    struct sink *sink = user;
    sink->result = token_list_add(sink->list, id, sink->err);
    return sink->result == 0;
}

static int encode_part(const struct tokenizer *tokenizer, const char *text, size_t size,
                       struct token_list *list, struct cr_error *err)
{
    struct sink sink = {list, err, 0};
    if (size == 0 || pieces_encode(tokenizer->pieces, text, size, add_to_list, &sink))
        return 0;
    return sink.result < 0 ? sink.result
                           : cr_fail(err, CR_ERR_MEMORY, "no memory to tokenise %zu bytes", size);
}

int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                     struct token_list *list, struct cr_error *err)
{
    size_t start = 0;
    int result = check_text(text, size, err);
    for (size_t at = 0; at < size && result == 0;) {
        const struct added *added = match(tokenizer, text + at, size - at);
        if (added == NULL) {
            at++;
            continue;
        }
        result = encode_part(tokenizer, text + start, at - start, list, err);
        if (result == 0)
            result = token_list_add(list, added->id, err);
        start = at += added->length;
    }
    return result < 0 ? result : encode_part(tokenizer, text + start, size - start, list, err);
}

/* ---- Decoding ---- */

static bool put_text(void *user, const char *text, size_t size)
{
    struct cr_text *out = user;
    /* Bytes, NUL among them: cr_text_add() would stop there. */
    cr_text_append(out, text, size);
    return !out->failed;
}

/* Text of an id that SentencePiece does not have; NULL if nobody has it. */
static const struct added *find_id(const struct tokenizer *tokenizer, int32_t id)
{
    for (size_t i = 0; i < tokenizer->count; i++)
        if (tokenizer->added[i].id == id)
            return &tokenizer->added[i];
    return NULL;
}

bool tokenizer_knows(const struct tokenizer *tokenizer, int32_t id)
{
    return (id >= 0 && id < pieces_size(tokenizer->pieces)) || find_id(tokenizer, id) != NULL;
}

static int decode_into(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                       struct cr_text *text, struct cr_error *err)
{
    const int32_t size = pieces_size(tokenizer->pieces);
    size_t start = 0;
    bool good = true;
    for (size_t i = 0; i <= count && good; i++) {
        if (i < count && ids[i] >= 0 && ids[i] < size)
            continue;
        if (i > start)
            good = pieces_decode(tokenizer->pieces, ids + start, i - start, put_text, text);
        start = i + 1;
        if (i == count || !good)
            break;
        const struct added *added = find_id(tokenizer, ids[i]);
        if (added == NULL)
            return cr_fail(err, CR_ERR_ARGUMENT, "token %zu, %d, is none of the tokenizer's 0..%d",
                           i, ids[i], size - 1);
        good = put_text(text, added->text, added->length);
    }
    return good ? 0 : cr_fail(err, CR_ERR_MEMORY, "no memory for the text of %zu tokens", count);
}

int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                     char **text, size_t *size, struct cr_error *err)
{
    struct cr_text out = CR_TEXT_INIT;
    *text = NULL;
    int result = decode_into(tokenizer, ids, count, &out, err);
    if (result == 0) {
        *size = out.size;
        if ((*text = cr_text_take(&out)) == NULL)
            result = cr_fail_memory(err, *size + 1);
    }
    cr_text_finish(&out);
    return result;
}

/* ---- Streams ---- */

static int append(struct token_stream *stream, const char *text, size_t size, struct cr_error *err)
{
    if (stream->size + size + 1 > stream->capacity) {
        const size_t capacity = 2 * (stream->size + size + 1);
        char *grown = cr_realloc_array(stream->text, capacity, 1);
        if (grown == NULL)
            return cr_fail_memory(err, capacity);
        stream->text = grown;
        stream->capacity = capacity;
    }
    memcpy(stream->text + stream->size, text, size);
    stream->size += size;
    stream->text[stream->size] = '\0';
    return 0;
}

/* Does the text end with U+FFFD, which may be the beginning of a character? */
static bool is_open(const char *text, size_t size)
{
    return size >= 3 && memcmp(text + size - 3, "\xef\xbf\xbd", 3) == 0;
}

/* The text of the tokens behind `context`, less that of those that were given out: blanks depend on
 * what comes before, so single tokens cannot be decoded alone. */
static int advance(struct token_stream *stream, const struct tokenizer *tokenizer, bool last,
                   struct cr_error *err)
{
    if (stream->done == stream->list.count)
        return 0;
    const int32_t *ids = stream->list.ids + stream->context;
    const size_t before = stream->done - stream->context;
    char *old = NULL, *text = NULL;
    size_t old_size = 0, size = 0;
    int result = tokenizer_decode(tokenizer, ids, before, &old, &old_size, err);
    if (result == 0)
        result = tokenizer_decode(tokenizer, ids, stream->list.count - stream->context, &text,
                                  &size, err);
    if (result == 0 && size > old_size && (last || !is_open(text, size))) {
        result = append(stream, text + old_size, size - old_size, err);
        stream->context = stream->done;
        stream->done = stream->list.count;
    }
    cr_free(old);
    cr_free(text);
    return result;
}

int token_stream_add(struct token_stream *stream, const struct tokenizer *tokenizer, int32_t id,
                     struct cr_error *err)
{
    int result = token_list_add(&stream->list, id, err);
    return result < 0 ? result : advance(stream, tokenizer, false, err);
}

int token_stream_end(struct token_stream *stream, const struct tokenizer *tokenizer,
                     struct cr_error *err)
{
    return advance(stream, tokenizer, true, err);
}

void token_stream_finish(struct token_stream *stream)
{
    cr_free(stream->list.ids);
    cr_free(stream->text);
    *stream = (struct token_stream){.text = NULL};
}
