/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "command/common.h"
#include "command/options.h"

/* A command line that is being taken apart. */
struct parse {
    const struct command *command;
    char **words;
    int count, next;
    char *settings;
    uint32_t seen; /* one bit for each option of the table */
    struct strings operands;
};

int usage_error(const struct command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(SAY_ERROR, format, args);
    va_end(args);
    if (command != NULL)
        say_plain("try 'crayon %s --help'", command->name);
    else
        say_plain("try 'crayon --help'");
    return EXIT_MISUSED;
}

/* The option that `word` names up to its `length`-th byte, without dashes; NULL: there is none. */
static const struct option *find_option(const struct command *command, const char *word,
                                        size_t length)
{
    for (const struct option *option = command->options; option->name != NULL; option++)
        if (strlen(option->name) == length && memcmp(option->name, word, length) == 0)
            return option;
    return NULL;
}

static int unknown_option(const struct command *command, const char *word, size_t length)
{
    char *name = cr_strndup(word, length);
    if (name == NULL)
        return usage_error(command, "unknown option");
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, name);
    for (const struct option *option = command->options; option->name != NULL; option++)
        cr_nearest_offer(&nearest, option->name);
    cr_nearest_offer(&nearest, "help");
    int code =
        nearest.best != NULL
            ? usage_error(command, "unknown option --%s; did you mean --%s?", name, nearest.best)
            : usage_error(command, "unknown option --%s", name);
    cr_free(name);
    return code;
}

static int append(struct strings *list, const char *item)
{
    const char **items = cr_realloc_array(list->items, list->count + 1, sizeof(*items));
    if (items == NULL) {
        say_error("out of memory");
        return EXIT_FAILED;
    }
    items[list->count++] = item;
    list->items = items;
    return EXIT_OK;
}

static int store_number(const struct command *command, const struct option *option,
                        const char *value, struct number *number)
{
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        return usage_error(command, "--%s: \"%s\" is not a whole number from 0 to 2^64 - 1",
                           option->name, value);
    *number = (struct number){true, parsed};
    return EXIT_OK;
}

static int store(struct parse *parse, const struct option *option, const char *value)
{
    void *member = parse->settings + option->offset;
    uint32_t bit = UINT32_C(1) << (option - parse->command->options);
    bool again = (parse->seen & bit) != 0;
    parse->seen |= bit;
    if (again && (option->kind == OPTION_TEXT || option->kind == OPTION_NUMBER))
        return usage_error(parse->command, "--%s is given twice", option->name);
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)member = true;
        return EXIT_OK;
    case OPTION_TEXT:
        *(const char **)member = value;
        return EXIT_OK;
    case OPTION_LIST:
        return append(member, value);
    case OPTION_NUMBER:
        return store_number(parse->command, option, value, member);
    }
    return EXIT_OK;
}

/* `word` starts with "--". A value that is missing on it is the next word, whatever that is. */
static int parse_option(struct parse *parse, const char *word)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const struct option *option = find_option(parse->command, name, length);
    if (option == NULL)
        return unknown_option(parse->command, name, length);
    if (option->kind == OPTION_FLAG && value != NULL)
        return usage_error(parse->command, "--%s takes no value", option->name);
    if (option->kind != OPTION_FLAG && value == NULL) {
        if (parse->next == parse->count)
            return usage_error(parse->command, "--%s needs a value: --%s %s", option->name,
                               option->name, option->argument);
        value = parse->words[parse->next++];
    }
    return store(parse, option, value);
}

static int parse_words(struct parse *parse)
{
    bool only_operands = false;
    int code = EXIT_OK;
    while (code == EXIT_OK && parse->next < parse->count) {
        const char *word = parse->words[parse->next++];
        if (only_operands || word[0] != '-' || word[1] == '\0')
            code = append(&parse->operands, word);
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (word[1] == '-')
            code = parse_option(parse, word);
        else
            code = usage_error(parse->command, "unknown option %s; options have two dashes", word);
    }
    return code;
}

static int check_operands(const struct parse *parse)
{
    const struct command *command = parse->command;
    if (parse->operands.count < command->operands_min)
        return usage_error(command, "%s is missing", command->operands);
    if (parse->operands.count > command->operands_max)
        return usage_error(command, "one argument too many: \"%s\"",
                           parse->operands.items[command->operands_max]);
    return EXIT_OK;
}

/* --help counts wherever it stands before "--", even where the rest is wrong. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static void free_settings(const struct command *command, char *settings)
{
    for (const struct option *option = command->options; option->name != NULL; option++)
        if (option->kind == OPTION_LIST)
            cr_free(((struct strings *)(void *)(settings + option->offset))->items);
    cr_free(settings);
}

int command_main(const struct command *command, int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        command_help(command);
        return EXIT_OK;
    }
    struct parse parse = {.command = command, .words = argv, .count = argc};
    parse.settings = cr_calloc(1, command->settings_size);
    if (parse.settings == NULL) {
        say_error("out of memory");
        return EXIT_FAILED;
    }
    int code = parse_words(&parse);
    if (code == EXIT_OK)
        code = check_operands(&parse);
    if (code == EXIT_OK)
        code = command->run(parse.settings, &parse.operands);
    free_settings(command, parse.settings);
    cr_free(parse.operands.items);
    return code;
}

void command_help(const struct command *command)
{
    size_t width = strlen("--help");
    for (const struct option *option = command->options; option->name != NULL; option++) {
        size_t length = 2 + strlen(option->name);
        if (option->argument != NULL)
            length += 1 + strlen(option->argument);
        if (length > width)
            width = length;
    }
    print("usage: crayon %s [OPTION...]%s%s\n\n", command->name,
          command->operands[0] != '\0' ? " " : "", command->operands);
    print("%c%s.\n\n", command->summary[0] - 'a' + 'A', command->summary + 1);
    for (const struct option *option = command->options; option->name != NULL; option++) {
        int used = print("  --%s%s%s", option->name, option->argument != NULL ? " " : "",
                         option->argument != NULL ? option->argument : "");
        print("%*s%s\n", (int)width + 4 - used, "", option->help);
    }
    print("  %-*s  %s\n", (int)width, "--help", "print this text");
    if (command->notes != NULL)
        print("\n%s\n", command->notes);
}
