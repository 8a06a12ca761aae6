/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/io.h"
#include "base/paths.h"
#include "plugin/outcomes.h"

/* Files that are gone leave their lines behind, until they are pushed out by newer ones. */
#define MAX_LINES 1000
#define MAX_BYTES (4u << 20)
#define HEADER "crayon plugin outcomes 1 " CR_VERSION

struct cr_outcome {
    uint64_t device, inode, size, changed;
    char *words, *path;
};

static void finish(struct cr_outcome *outcome)
{
    cr_free(outcome->words);
    cr_free(outcome->path);
}

static uint64_t changed_at(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20)
            return false;
    return true;
}

static void append(struct cr_outcomes *outcomes, const struct cr_outcome *outcome)
{
    struct cr_outcome copy = *outcome;
    copy.words = cr_strdup(outcome->words);
    copy.path = cr_strdup(outcome->path);
    struct cr_outcome *items =
        cr_realloc_array(outcomes->items, outcomes->count + 1, sizeof(*items));
    if (items != NULL)
        outcomes->items = items;
    if (items == NULL || copy.words == NULL || copy.path == NULL) {
        finish(&copy);
        return;
    }
    items[outcomes->count++] = copy;
}

static void forget(struct cr_outcomes *outcomes, size_t index)
{
    finish(&outcomes->items[index]);
    outcomes->count--;
    memmove(outcomes->items + index, outcomes->items + index + 1,
            (outcomes->count - index) * sizeof(*outcomes->items));
}

/* ---- Reading and writing ---- */

/* A decimal number up to the next tab; the rest of the line, or NULL. */
static char *parse_number(char *text, uint64_t *number)
{
    if (text == NULL)
        return NULL;
    char *end = text;
    *number = 0;
    for (; *end >= '0' && *end <= '9'; end++) {
        if (*number > (UINT64_MAX - 9) / 10)
            return NULL;
        *number = *number * 10 + (uint64_t)(*end - '0');
    }
    return end > text && *end == '\t' ? end + 1 : NULL;
}

static void parse_line(struct cr_outcomes *outcomes, char *line)
{
    struct cr_outcome outcome;
    char *rest = parse_number(line, &outcome.device);
    rest = parse_number(rest, &outcome.inode);
    rest = parse_number(rest, &outcome.size);
    rest = parse_number(rest, &outcome.changed);
    if (rest == NULL)
        return;
    outcome.words = rest;
    outcome.path = strchr(rest, '\t');
    if (outcome.path == NULL)
        return;
    *outcome.path++ = '\0';
    if (outcome.words[0] != '\0' && outcome.path[0] == '/' && is_plain(outcome.path))
        append(outcomes, &outcome);
}

void cr_outcomes_load(struct cr_outcomes *outcomes)
{
    *outcomes = (struct cr_outcomes){.path = NULL};
    char *folder = cr_is_privileged() ? NULL : cr_path_user_cache();
    char *text = NULL;
    size_t size = 0;
    if (folder != NULL)
        outcomes->path = cr_path_join(folder, "plugins");
    cr_free(folder);
    if (outcomes->path == NULL || cr_file_read(outcomes->path, MAX_BYTES, &text, &size, NULL) < 0)
        return;
    char *line = text;
    for (size_t number = 0; line < text + size && number <= MAX_LINES; number++) {
        char *end = memchr(line, '\n', (size_t)(text + size - line));
        if (end == NULL)
            break;
        *end = '\0';
        if (number == 0 && strcmp(line, HEADER) != 0)
            break;
        if (number > 0 && strlen(line) == (size_t)(end - line))
            parse_line(outcomes, line);
        line = end + 1;
    }
    cr_free(text);
}

void cr_outcomes_save(struct cr_outcomes *outcomes, const struct cr_log *log)
{
    if (outcomes->path == NULL || !outcomes->changed)
        return;
    struct cr_text text = CR_TEXT_INIT;
    struct cr_error err = CR_ERROR_INIT;
    cr_text_add(&text, HEADER "\n");
    for (size_t i = 0; i < outcomes->count; i++) {
        const struct cr_outcome *item = &outcomes->items[i];
        cr_text_printf(&text, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n",
                       item->device, item->inode, item->size, item->changed, item->words,
                       item->path);
    }
    char *folder = cr_path_folder(outcomes->path);
    int result = text.failed || folder == NULL ? cr_fail_memory(&err, text.size) : 0;
    if (result == 0)
        result = cr_mkdirs(folder, &err);
    if (result == 0)
        result = cr_file_write(outcomes->path, text.data, text.size, &err);
    if (result < 0)
        cr_log_write(log, CR_LOG_DEBUG, outcomes->path, "%s", err.message);
    outcomes->changed = false;
    cr_free(folder);
    cr_text_finish(&text);
}

void cr_outcomes_finish(struct cr_outcomes *outcomes)
{
    for (size_t i = 0; i < outcomes->count; i++)
        finish(&outcomes->items[i]);
    cr_free(outcomes->items);
    cr_free(outcomes->path);
    *outcomes = (struct cr_outcomes){.path = NULL};
}

/* ---- Asking and adding ---- */

const char *cr_outcomes_find(const struct cr_outcomes *outcomes, const char *path,
                             const struct stat *st)
{
    for (size_t i = 0; i < outcomes->count; i++) {
        const struct cr_outcome *item = &outcomes->items[i];
        if (strcmp(item->path, path) == 0 && item->device == (uint64_t)st->st_dev &&
            item->inode == (uint64_t)st->st_ino && item->size == (uint64_t)st->st_size &&
            item->changed == changed_at(st))
            return item->words;
    }
    return NULL;
}

void cr_outcomes_add(struct cr_outcomes *outcomes, const char *path, const struct stat *st,
                     const char *outcome)
{
    if (outcomes->path == NULL || !is_plain(path) || !is_plain(outcome))
        return;
    for (size_t i = outcomes->count; i-- > 0;)
        if (strcmp(outcomes->items[i].path, path) == 0)
            forget(outcomes, i);
    while (outcomes->count >= MAX_LINES)
        forget(outcomes, 0);
    /* The strings are copied. */
    union {
        const char *in;
        char *out;
    } words = {outcome}, place = {path};
    append(outcomes,
           &(struct cr_outcome){(uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
                                changed_at(st), words.out, place.out});
    outcomes->changed = true;
}
