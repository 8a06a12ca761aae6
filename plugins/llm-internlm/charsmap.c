/* SPDX-License-Identifier: MIT */
/* A tokenizer.model is a message of Protocol Buffers (sentencepiece_model.proto): pieces, the
 * specification of the normaliser and that of its inverse. A normaliser's replacements are texts,
 * found by a double-array trie (Darts-clone) that is stored as the library has it in memory: it
 * follows the offsets in it wherever they lead. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <crayon/memory.h>

#include "charsmap.h"

#define MAX_PIECES ((size_t)1 << 22)
#define MAX_TABLE ((size_t)4 << 20)    /* bytes; all of Unicode takes 0.3 MB */
#define MAX_REPLACEMENT ((size_t)1024) /* bytes, for a character or a few */

/* Functions below return what is wrong, or NULL. */
static const char no_memory[] = "out of memory";

/* ---- The message ---- */

struct bytes {
    const uint8_t *at;
    size_t size;
};

/* A variable-length number; false when it is none. */
static bool take_number(struct bytes *from, uint64_t *number)
{
    *number = 0;
    for (int shift = 0; shift < 64 && from->size > 0; shift += 7) {
        const uint8_t byte = *from->at++;
        from->size--;
        *number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The next field of a message: its number, and what is in it if it is bytes. False: it is damaged.
 */
static bool take_field(struct bytes *from, uint64_t *number, struct bytes *content)
{
    uint64_t tag, length = 0;
    *content = (struct bytes){NULL, 0};
    if (!take_number(from, &tag) || tag >> 32 != 0)
        return false;
    *number = tag >> 3;
    switch (tag & 7) {
    case 0:
        return take_number(from, &length);
    case 1:
        length = 8;
        break;
    case 2:
        if (!take_number(from, &length))
            return false;
        break;
    case 5:
        length = 4;
        break;
    default:
        return false;
    }
    if (length > from->size)
        return false;
    if ((tag & 7) == 2)
        *content = (struct bytes){from->at, (size_t)length};
    from->at += length;
    from->size -= (size_t)length;
    return true;
}

/* ---- The trie ---- */

struct table {
    struct bytes units; /* 4 bytes each, least first */
    struct bytes texts; /* each ends with NUL */
    size_t count;
    uint8_t *seen;     /* a bit for each unit: where transitions start */
    uint32_t *pending; /* those that are seen and were not followed yet */
    size_t waiting;
};

static uint32_t unit(const struct table *table, size_t index)
{
    const uint8_t *at = table->units.at + 4 * index;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static size_t offset(uint32_t bits)
{
    return (size_t)(bits >> 10) << ((bits & (1u << 9)) >> 6);
}

/* The 256 units that transitions from `start` may lead to lie in the table. */
static bool add_start(struct table *table, size_t start)
{
    if ((start | 255) >= table->count)
        return false;
    if ((table->seen[start / 8] >> start % 8 & 1) == 0)
        table->pending[table->waiting++] = (uint32_t)start;
    table->seen[start / 8] |= (uint8_t)(1u << start % 8);
    return true;
}

/* The replacement lies among the texts, with its end. */
static bool is_text(const struct table *table, size_t start)
{
    if (start >= table->texts.size)
        return false;
    const size_t left = table->texts.size - start;
    return memchr(table->texts.at + start, 0, left < MAX_REPLACEMENT ? left : MAX_REPLACEMENT) !=
           NULL;
}

static bool follow(struct table *table, size_t start)
{
    for (size_t byte = 0; byte < 256; byte++) {
        const uint32_t bits = unit(table, start ^ byte);
        if ((bits & (1u << 31 | 0xff)) != byte)
            continue;
        const size_t next = start ^ byte ^ offset(bits);
        if (!add_start(table, next) ||
            ((bits & 1u << 8) != 0 && !is_text(table, unit(table, next) & ~(1u << 31))))
            return false;
    }
    return true;
}

static const char *walk(struct table *table)
{
    static const char damaged[] = "its table of characters leads out of itself";
    if (table->count == 0 || !add_start(table, offset(unit(table, 0))))
        return damaged;
    while (table->waiting > 0)
        if (!follow(table, table->pending[--table->waiting]))
            return damaged;
    return NULL;
}

/* u32 bytes of the trie, the trie, the texts. Nothing: characters stay as they are. */
static const char *check_table(struct bytes map)
{
    if (map.size == 0)
        return NULL;
    if (map.size > MAX_TABLE)
        return "its table of characters is larger than 4 MiB";
    const uint8_t *at = map.at;
    const size_t size =
        map.size < 4 ? 0 : at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
    if (map.size < 4 || size > map.size - 4)
        return "its table of characters is cut off";
    struct table table = {
        .units = {at + 4, size}, .texts = {at + 4 + size, map.size - 4 - size}, .count = size / 4};
    table.seen = cr_calloc(table.count / 8 + 1, 1);
    table.pending = cr_calloc(table.count + 1, sizeof(*table.pending));
    const char *problem = table.seen == NULL || table.pending == NULL ? no_memory : walk(&table);
    cr_free(table.seen);
    cr_free(table.pending);
    return problem;
}

static const char *check_normalizer(struct bytes message)
{
    while (message.size > 0) {
        uint64_t number;
        struct bytes content;
        if (!take_field(&message, &number, &content))
            return "it is no SentencePiece model: its normaliser is damaged";
        const char *problem = number == 2 ? check_table(content) : NULL;
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

static const char *check_model(struct bytes message)
{
    size_t pieces = 0;
    while (message.size > 0) {
        uint64_t number;
        struct bytes content;
        if (!take_field(&message, &number, &content))
            return "it is no SentencePiece model: it is damaged";
        if (number == 1 && ++pieces > MAX_PIECES)
            return "it has more than 4194304 pieces";
        const char *problem = number == 3 || number == 5 ? check_normalizer(content) : NULL;
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

int charsmap_check(const void *model, size_t size, struct cr_error *err)
{
    const char *problem = check_model((struct bytes){model, size});
    if (problem == NULL)
        return 0;
    return problem == no_memory ? cr_fail_memory(err, size)
                                : cr_fail(err, CR_ERR_FORMAT, "%s", problem);
}
