/* SPDX-License-Identifier: MIT */
/* labels.c: from the classes of a model to COCO's panoptic categories, by their names. */
#include <stdio.h>
#include <string.h>

#include "mask2former.h"

/* Classes of the largest published sets are a few thousand. */

bool label_pair_parse(const char *pair, size_t *name_length, int32_t *label)
{
    const char *equals = strrchr(pair, '=');
    if (equals == NULL || equals == pair)
        return false;
    *name_length = (size_t)(equals - pair);
    *label = cr_coco_label_by_name(equals + 1);
    return *label != CR_LABEL_UNKNOWN || strcmp(equals + 1, "unknown") == 0;
}

/* A name that the writer of the file did not choose: "LABEL_7". */
static bool is_placeholder(const char *name, size_t index)
{
    char placeholder[32];
    snprintf(placeholder, sizeof(placeholder), "LABEL_%zu", index);
    return strcmp(name, placeholder) == 0;
}

static int32_t label_of(const char *name, size_t index)
{
    if (is_placeholder(name, index))
        return index < CR_COCO_LABELS ? (int32_t)index : CR_LABEL_UNKNOWN;
    return cr_coco_label_by_name(name);
}

/* The number that a key of id2label is; -1: it is none, or too large. */
static int64_t class_of_key(const char *key)
{
    int64_t number = 0;
    if (key == NULL || key[0] == '\0' || (key[0] == '0' && key[1] != '\0'))
        return -1;
    for (; *key != '\0'; key++) {
        if (*key < '0' || *key > '9')
            return -1;
        number = 10 * number + (*key - '0');
        if (number >= MASK2FORMER_LABELS)
            return -1;
    }
    return number;
}

/* The label of a name, which pairs decide before COCO's names do. */
static int32_t decide(const char *name, size_t index, const struct cr_option_strings *pairs,
                      bool *used)
{
    int32_t label = label_of(name, index);
    for (size_t i = 0; i < pairs->count; i++) {
        size_t length = 0;
        int32_t other = CR_LABEL_UNKNOWN;
        if (!label_pair_parse(pairs->items[i], &length, &other) || strlen(name) != length ||
            memcmp(name, pairs->items[i], length) != 0)
            continue;
        used[i] = true;
        label = other;
    }
    return label;
}

static void set_label(struct label_table *table, size_t index, int32_t label)
{
    while (table->count <= index)
        table->labels[table->count++] = CR_LABEL_UNKNOWN;
    table->labels[index] = label;
}

static void read_names(struct label_table *table, struct cr_config *file,
                       const struct cr_option_strings *pairs, bool *used)
{
    const size_t names = cr_config_count(file, "/id2label");
    if (names < 1 || names > MASK2FORMER_LABELS)
        cr_config_problem(file, "/id2label", "holds %zu names, 1 to %d are needed", names,
                          MASK2FORMER_LABELS);
    for (size_t i = 0; i < names && names <= MASK2FORMER_LABELS; i++) {
        const char *key = cr_config_name(file, "/id2label", i);
        const int64_t index = class_of_key(key);
        char pointer[32];
        if (index < 0) {
            cr_config_problem(file, "/id2label", "\"%.40s\" is no class; numbers from 0 to %d are",
                              key != NULL ? key : "", MASK2FORMER_LABELS - 1);
            continue;
        }
        snprintf(pointer, sizeof(pointer), "/id2label/%s", key);
        const char *name = cr_config_text(file, pointer, CR_CONFIG_REQUIRED_TEXT);
        set_label(table, (size_t)index, decide(name, (size_t)index, pairs, used));
    }
}

static int check_pairs(const struct cr_option_strings *pairs, const bool *used, const char *path,
                       struct cr_error *err)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (!used[i])
            return cr_fail(err, CR_ERR_ARGUMENT,
                           "option \"labels\": \"%s\": no class has that name; id2label in %s "
                           "lists them",
                           pairs->items[i], path != NULL ? path : "the model's config.json");
    return 0;
}

int label_table_read(struct label_table *table, const char *path,
                     const struct cr_option_strings *pairs, struct cr_error *err)
{
    struct cr_config *file = NULL;
    bool *used = cr_calloc(pairs->count, sizeof(*used));
    int result = used == NULL ? cr_fail_memory(err, pairs->count) : 0;
    if (result == 0 && path != NULL)
        result = cr_config_read(&file, path, err);
    if (result == 0 && file != NULL && cr_config_has(file, "/id2label")) {
        table->labels = cr_calloc(MASK2FORMER_LABELS, sizeof(*table->labels));
        if (table->labels == NULL)
            result = cr_fail_memory(err, MASK2FORMER_LABELS * sizeof(*table->labels));
        else
            read_names(table, file, pairs, used);
        if (result == 0)
            result = cr_config_check(file, err);
    }
    if (result == 0)
        result = check_pairs(pairs, used, path, err);
    cr_config_destroy(&file);
    cr_free(used);
    return result;
}

void label_table_finish(struct label_table *table)
{
    cr_free(table->labels);
    *table = (struct label_table){.labels = NULL};
}

int32_t label_table_find(const struct label_table *table, int32_t class_index)
{
    if (table->labels == NULL)
        return class_index < CR_COCO_LABELS ? class_index : CR_LABEL_UNKNOWN;
    return (size_t)class_index < table->count ? table->labels[class_index] : CR_LABEL_UNKNOWN;
}
