/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>
#include <crayon/memory.h>

#include "template.h"

#define MAX_STOPS 64
#define MAX_PROMPT_BYTES ((size_t)64 << 20)

/* ---- Reading ---- */

static const char *const members[] = {"crayon-template", "name",      "source",    "prompt",
                                      "image",           "text_only", "objects",   "nothing",
                                      "begin",           "stop",      "max_tokens"};

static void check_members(struct cr_config *file)
{
    for (size_t i = 0; i < cr_config_count(file, ""); i++) {
        const char *name = cr_config_name(file, "", i);
        bool known = strncmp(name, "x-", 2) == 0;
        for (size_t j = 0; j < sizeof(members) / sizeof(members[0]); j++)
            known = known || strcmp(members[j], name) == 0;
        if (!known)
            cr_config_problem(file, "", "\"%s\" is no member of a template", name);
    }
    if (cr_config_int(file, "/crayon-template", CR_CONFIG_REQUIRED, 1, 1) != 1)
        return;
    (void)cr_config_text(file, "/name", "");
    (void)cr_config_text(file, "/source", "");
}

/* Every {word} of a text must be one of `words` (which ends with NULL), and the first must be
 * there.
 */
static void check_words(struct cr_config *file, const char *pointer, const char *text,
                        const char *const *words)
{
    bool found = words[0] == NULL || text == NULL;
    for (const char *at = text; at != NULL && (at = strchr(at, '{')) != NULL; at++) {
        bool known = false;
        for (size_t i = 0; words[i] != NULL; i++) {
            const size_t length = strlen(words[i]);
            bool same = strncmp(at, words[i], length) == 0;
            known = known || same;
            found = found || (same && i == 0);
        }
        if (!known)
            cr_config_problem(file, pointer, "\"%.20s\" is nothing that is filled in here", at);
    }
    if (!found)
        cr_config_problem(file, pointer, "%s is not in it", words[0]);
}

static bool take(struct cr_config *file, const char *pointer, const char *initial, char **out)
{
    const char *text = cr_config_text(file, pointer, initial);
    *out = text == NULL ? NULL : cr_strdup(text);
    return text == NULL || *out != NULL;
}

static bool take_stops(struct template *t, struct cr_config *file)
{
    const size_t count = cr_config_count(file, "/stop");
    if (cr_config_has(file, "/stop") && (count > MAX_STOPS || cr_config_name(file, "/stop", 0)))
        cr_config_problem(file, "/stop", "a list of at most %d strings is needed", MAX_STOPS);
    t->stop = cr_calloc(count + 1, sizeof(*t->stop));
    for (size_t i = 0; i < count && count <= MAX_STOPS && t->stop != NULL; i++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/stop/%zu", i);
        if (!take(file, pointer, CR_CONFIG_REQUIRED_TEXT, &t->stop[i]))
            return false;
        if (t->stop[i] != NULL && t->stop[i][0] == '\0')
            cr_config_problem(file, pointer, "an empty string would stop every answer");
        t->stop_count++;
    }
    return t->stop != NULL;
}

static bool take_members(struct template *t, struct cr_config *file)
{
    static const char *const in_prompt[] = {"{question}", "{image}", NULL};
    static const char *const in_objects[] = {"{objects}", "{question}", NULL};
    static const char *const in_question[] = {"{question}", NULL};
    static const char *const none[] = {NULL};
    bool good = take(file, "/prompt", CR_CONFIG_REQUIRED_TEXT, &t->prompt) &&
                take(file, "/image", "<image>", &t->image) &&
                take(file, "/text_only", NULL, &t->text_only) &&
                take(file, "/objects", NULL, &t->objects) &&
                take(file, "/nothing", NULL, &t->nothing) && take_stops(t, file);
    check_words(file, "/prompt", t->prompt, in_prompt);
    check_words(file, "/text_only", t->text_only, in_question);
    check_words(file, "/objects", t->objects, in_objects);
    check_words(file, "/nothing", t->nothing, in_question);
    check_words(file, "/image", t->image, none);
    t->begin = cr_config_bool(file, "/begin", true);
    t->max_tokens = cr_config_int(file, "/max_tokens", 0, 1, 1 << 20);
    return good;
}

static int read_template(struct template *t, const char *path, struct cr_error *err)
{
    struct cr_config *file = NULL;
    int result = cr_config_read(&file, path, err);
    if (result < 0)
        return result;
    check_members(file);
    result = take_members(t, file) ? cr_config_check(file, err)
                                   : cr_fail_memory(err, MAX_STOPS * sizeof(*t->stop));
    cr_config_destroy(&file);
    return result;
}

/* A path, or the name of a template that is installed. */
static char *find_file(const char *name)
{
    if (strchr(name, '/') != NULL)
        return cr_strdup(name);
    char *relative = cr_asprintf("pipelines/templates/%s.json", name);
    char *path = relative == NULL ? NULL : cr_data_path(relative);
    cr_free(relative);
    return path;
}

int template_open(struct template **out, const char *name, struct cr_error *err)
{
    *out = NULL;
    struct template *t = cr_calloc(1, sizeof(*t));
    if (t == NULL)
        return cr_fail_memory(err, sizeof(*t));
    char *path = find_file(name);
    int result = path != NULL ? read_template(t, path, err)
                              : cr_fail(err, CR_ERR_NOT_FOUND,
                                        "no template \"%s\" is installed (collavo-demo, "
                                        "collavo-eval, collavo-paper are); a file is named with a "
                                        "slash: ./%s.json",
                                        name, name);
    cr_free(path);
    if (result < 0)
        template_close(&t);
    *out = t;
    return result;
}

void template_close(struct template **t)
{
    struct template *old = *t;
    *t = NULL;
    if (old == NULL)
        return;
    for (size_t i = 0; i < old->stop_count; i++)
        cr_free(old->stop[i]);
    cr_free(old->stop);
    cr_free(old->prompt);
    cr_free(old->image);
    cr_free(old->text_only);
    cr_free(old->objects);
    cr_free(old->nothing);
    cr_free(old);
}

/* ---- Filling ---- */

/* Word i of a text becomes value i; what is filled in is not looked at again. */
struct filling {
    const char *word, *value;
};

static void fill(struct cr_text *out, const char *text, const struct filling *fillings)
{
    while (*text != '\0') {
        const struct filling *filling = fillings;
        while (filling->word != NULL && strncmp(text, filling->word, strlen(filling->word)) != 0)
            filling++;
        if (filling->word == NULL) {
            cr_text_append(out, text++, 1);
            continue;
        }
        cr_text_add(out, filling->value);
        text += strlen(filling->word);
    }
}

static char *fill_question(const struct template *t, const char *question, bool captions,
                           const char *caption)
{
    struct cr_text out = CR_TEXT_INIT;
    const char *around = !captions ? NULL : caption != NULL ? t->objects : t->nothing;
    const struct filling fillings[] = {
        {"{objects}", caption != NULL ? caption : ""}, {"{question}", question}, {NULL, NULL}};
    fill(&out, around != NULL ? around : "{question}", fillings);
    return cr_text_take(&out);
}

int template_fill(const struct template *t, const char *question, size_t images, bool captions,
                  const char *caption, char **prompt, struct cr_error *err)
{
    struct cr_text all = CR_TEXT_INIT, pictures = CR_TEXT_INIT;
    *prompt = NULL;
    if (strlen(question) > MAX_PROMPT_BYTES)
        return cr_fail(err, CR_ERR_LIMIT, "a question of %zu bytes; %zu at most", strlen(question),
                       MAX_PROMPT_BYTES);
    char *joined = fill_question(t, question, captions, caption);
    for (size_t i = 0; i < images; i++)
        cr_text_add(&pictures, t->image);
    char *image = cr_text_take(&pictures);
    if (joined != NULL && image != NULL) {
        const struct filling fillings[] = {
            {"{question}", joined}, {"{image}", image}, {NULL, NULL}};
        fill(&all, images == 0 && t->text_only != NULL ? t->text_only : t->prompt, fillings);
        *prompt = cr_text_take(&all);
    }
    cr_free(joined);
    cr_free(image);
    return *prompt != NULL ? 0 : cr_fail_memory(err, strlen(question));
}
