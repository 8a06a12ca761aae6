/* SPDX-License-Identifier: MIT */
/* words.c: candidates come from what is declared: the tables of commands, the ports of pipelines,
 * the options of plugins. */
#include <dirent.h>
#include <string.h>

#include "command/common.h"
#include "command/completion/words.h"

/* The word that is being completed: `before` stays as it is, and what can stand after it begins
 * with `start`. */
struct target {
    const char *word;
    size_t before; /* bytes of the word */
    const char *start;
};

/* What the words before it said. */
struct line {
    const struct command *command;
    const char *operand; /* the first */
    const char *plugin_path, *pipeline;
    struct strings sets; /* items borrowed */
    struct session session;
    bool opened;
    struct target target;
};

/* ---- Offering ---- */

static void offer(const struct target *target, const char *candidate, const char *end)
{
    if (strncmp(candidate, target->start, strlen(target->start)) == 0)
        print("%.*s%s%s\n", (int)target->before, target->word, candidate, end);
}

static void offer_files(void)
{
    print("\tfiles\n");
}

static void offer_choices(const struct target *target, const char *const *choices)
{
    for (; choices != NULL && *choices != NULL; choices++)
        offer(target, *choices, "");
}

/* What follows the next "=" of the word; NULL: there is none. */
static const char *value_in(const struct target *target)
{
    const char *equals = strchr(target->start, '=');
    return equals != NULL ? equals + 1 : NULL;
}

static struct target value_target(const struct target *target)
{
    const char *value = value_in(target);
    return (struct target){target->word, (size_t)(value - target->word), value};
}

/* Is `name` what stands before the "=" of the word? */
static bool is_key(const struct target *target, const char *name)
{
    size_t length = strcspn(target->start, "=");
    return strlen(name) == length && strncmp(target->start, name, length) == 0;
}

/* ---- Plugins and pipelines ---- */

static const struct cr_registry *registry_of(struct line *line)
{
    if (!line->opened && session_open(&line->session, line->plugin_path, NULL, NULL) < 0)
        line->session.registry = NULL;
    line->opened = true;
    return line->session.registry;
}

static const struct cr_pipeline *pipeline_of(struct line *line)
{
    const char *path = line->pipeline != NULL ? line->pipeline : line->operand;
    struct cr_report *report = cr_report_create();
    if (line->session.pipeline == NULL && path != NULL && report != NULL &&
        registry_of(line) != NULL &&
        cr_pipeline_load(&line->session.pipeline, line->session.registry, path, line->sets.items,
                         line->sets.count, report, NULL) < 0)
        line->session.pipeline = NULL;
    cr_report_destroy(&report);
    return line->session.pipeline;
}

/* Names of elements of a kind, without what they begin with. */
static void offer_elements(struct line *line, const struct target *target, uint32_t kind,
                           const char *without)
{
    const struct cr_registry *registry = registry_of(line);
    for (size_t i = 0; registry != NULL && i < cr_registry_elements(registry); i++) {
        const struct cr_element *element = cr_registry_element(registry, i);
        size_t skipped = strlen(without);
        if ((kind == 0 || element->kind == kind) && strncmp(element->name, without, skipped) == 0)
            offer(target, element->name + skipped, "");
    }
}

static void offer_devices(struct line *line, const struct target *target)
{
    offer(target, "auto", "");
    offer_elements(line, target, CR_ELEMENT_DEVICE, "device-");
}

/* Those that are installed, by name, and files. */
static void offer_pipelines(const struct target *target)
{
    static const char known[] = "objects.json", ending[] = ".json";
    char *path = cr_data_path("pipelines/objects.json");
    DIR *folder = NULL;
    if (path != NULL) {
        path[strlen(path) - strlen(known)] = '\0';
        folder = opendir(path);
    }
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        size_t length = strlen(entry->d_name), end = strlen(ending);
        if (length <= end || strcmp(entry->d_name + length - end, ending) != 0)
            continue;
        entry->d_name[length - end] = '\0';
        if (strchr(entry->d_name, '.') == NULL) /* pipeline.schema */
            offer(target, entry->d_name, "");
    }
    if (folder != NULL)
        closedir(folder);
    cr_free(path);
    offer_files();
}

/* ---- KEY=VALUE ---- */

static void offer_option_value(const struct target *target, const struct cr_option *option)
{
    switch (option->type) {
    case CR_OPTION_TYPE_BOOL:
        offer_choices(target, CR_CHOICES("true", "false"));
        break;
    case CR_OPTION_TYPE_CHOICE:
        offer_choices(target, option->choices);
        break;
    case CR_OPTION_TYPE_PATH:
    case CR_OPTION_TYPE_MODEL:
    case CR_OPTION_TYPE_FILE:
        offer_files();
        break;
    default:
        if (option->initial != NULL)
            offer(target, option->initial, "");
    }
}

static void offer_options(const struct target *target, const struct cr_element *element)
{
    for (size_t i = 0; element->options != NULL && element->options[i] != NULL; i++) {
        const struct cr_option *option = element->options[i];
        if (value_in(target) == NULL) {
            offer(target, option->name, "=");
        } else if (is_key(target, option->name)) {
            struct target value = value_target(target);
            offer_option_value(&value, option);
        }
    }
}

/* What every stage has. */
static void offer_stage_keys(struct line *line, const struct target *target)
{
    if (value_in(target) == NULL) {
        offer(target, "use", "=");
        offer(target, "device", "=");
        return;
    }
    struct target value = value_target(target);
    if (is_key(target, "use"))
        offer_elements(line, &value, CR_ELEMENT_STAGE, "");
    else if (is_key(target, "device"))
        offer_devices(line, &value);
}

/* STAGE.KEY=VALUE */
static void offer_changes(struct line *line, const struct target *target)
{
    const struct cr_pipeline *pipeline = pipeline_of(line);
    const char *dot = strchr(target->start, '.');
    for (size_t i = 0; pipeline != NULL && i < cr_pipeline_stages(pipeline); i++) {
        struct cr_pipeline_stage stage = cr_pipeline_stage(pipeline, i);
        size_t length = strlen(stage.name);
        if (dot == NULL) {
            offer(target, stage.name, ".");
        } else if ((size_t)(dot - target->start) == length &&
                   strncmp(target->start, stage.name, length) == 0) {
            struct target key = {target->word, (size_t)(dot + 1 - target->word), dot + 1};
            offer_options(&key, stage.element);
            offer_stage_keys(line, &key);
        }
    }
}

/* KEY=VALUE of a task, STAGE.KEY=VALUE of the pipeline that answers */
static void offer_settings(struct line *line, const struct target *target)
{
    const struct cr_registry *registry = registry_of(line);
    const struct cr_element *task =
        registry == NULL || line->operand == NULL
            ? NULL
            : cr_registry_find(registry, CR_ELEMENT_TASK, line->operand, NULL);
    if (task != NULL)
        offer_options(target, task);
    if (line->pipeline != NULL)
        offer_changes(line, target);
}

/* NAME=VALUE, NAME=FILE */
static void offer_ports(struct line *line, const struct target *target, bool input)
{
    const struct cr_pipeline *pipeline = value_in(target) != NULL ? NULL : pipeline_of(line);
    size_t count = pipeline == NULL ? 0
                   : input          ? cr_pipeline_inputs(pipeline)
                                    : cr_pipeline_outputs(pipeline);
    if (value_in(target) != NULL)
        offer_files();
    for (size_t i = 0; i < count; i++)
        offer(target,
              input ? cr_pipeline_input(pipeline, i).name : cr_pipeline_output(pipeline, i).name,
              "=");
}

static void offer_limits(const struct target *target)
{
    if (value_in(target) != NULL)
        return;
    for (const char *const *name = CR_CHOICES("max_pixels", "max_bytes", "max_chunk", "max_scans");
         *name != NULL; name++)
        offer(target, *name, "=");
}

/* ---- Options and operands ---- */

/* What --help calls the value of an option, and --limit of two kinds, tells what it is. */
static void offer_value(struct line *line, const struct option *option)
{
    const struct target *target = &line->target;
    const char *what = option->argument;
    if (strcmp(option->name, "device") == 0)
        offer_devices(line, target);
    else if (strcmp(option->name, "precision") == 0)
        offer_choices(target, CR_CHOICES("fast", "exact"));
    else if (strcmp(option->name, "weights") == 0)
        offer_choices(target, CR_CHOICES("nf4", "q8_0"));
    else if (strcmp(option->name, "pipeline") == 0)
        offer_pipelines(target);
    else if (strcmp(what, "STAGE.KEY=VALUE") == 0)
        offer_changes(line, target);
    else if (strcmp(what, "KEY=VALUE") == 0)
        offer_settings(line, target);
    else if (strcmp(what, "NAME=VALUE") == 0 || strcmp(what, "NAME=FILE") == 0)
        offer_ports(line, target, strcmp(what, "NAME=VALUE") == 0);
    else if (strcmp(what, "NAME=N") == 0)
        offer_limits(target);
    else if (strcmp(what, "FILE") == 0)
        offer_files();
    else if (strcmp(what, "DIRS") == 0 || strcmp(what, "MODEL") == 0)
        print("\tdirectories\n");
}

static void offer_operand(struct line *line)
{
    const struct command *command = line->command;
    const char *what = command->operands;
    if (strncmp(what, "PIPELINE", strlen("PIPELINE")) == 0)
        offer_pipelines(&line->target);
    else if (command == &command_plugins)
        offer_elements(line, &line->target, 0, "");
    else if (strcmp(what, "TASK") == 0)
        offer_elements(line, &line->target, CR_ELEMENT_TASK, "");
    else if (command == &command_completion)
        offer(&line->target, "bash", "");
    else if (what[0] != '\0')
        offer_files();
}

static void offer_option_names(const struct line *line)
{
    struct target target = {line->target.word, 2, line->target.word + 2};
    for (const struct option *option = line->command->options; option->name != NULL; option++)
        offer(&target, option->name, option->kind == OPTION_FLAG ? "" : "=");
    offer(&target, "help", "");
}

static void offer_commands(const struct target *target, bool options)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        offer(target, commands[i]->name, "");
    offer(target, "help", "");
    if (options && target->start[0] == '-')
        offer_choices(target, CR_CHOICES("--help", "--version"));
}

/* ---- The line ---- */

static const struct option *find_option(const struct command *command, const char *word)
{
    size_t length = strcspn(word + 2, "=");
    for (const struct option *option = command->options; option->name != NULL; option++)
        if (strlen(option->name) == length && strncmp(option->name, word + 2, length) == 0)
            return option;
    return NULL;
}

static void note_value(struct line *line, const struct option *option, const char *value)
{
    if (strcmp(option->name, "plugin-path") == 0)
        line->plugin_path = value;
    else if (strcmp(option->name, "pipeline") == 0)
        line->pipeline = value;
    else if (option->argument != NULL && strcmp(option->argument, "STAGE.KEY=VALUE") == 0)
        line->sets.items[line->sets.count++] = value;
}

/* Read the words before the last one. Returns the option whose value the last one is, or NULL. */
static const struct option *read_words(struct line *line, const struct strings *words,
                                       bool *only_operands)
{
    for (size_t i = 1; i + 1 < words->count; i++) {
        const char *word = words->items[i];
        if (*only_operands || word[0] != '-' || word[1] == '\0') {
            line->operand = line->operand == NULL ? word : line->operand;
        } else if (strcmp(word, "--") == 0) {
            *only_operands = true;
        } else if (word[1] == '-') {
            const struct option *option = find_option(line->command, word);
            const char *equals = strchr(word, '=');
            if (option == NULL || option->kind == OPTION_FLAG)
                continue;
            if (equals == NULL && i + 2 == words->count)
                return option;
            note_value(line, option, equals != NULL ? equals + 1 : words->items[++i]);
        }
    }
    return NULL;
}

static void complete_line(struct line *line, const struct strings *words)
{
    const char *last = words->items[words->count - 1];
    bool only_operands = false;
    const struct option *option = read_words(line, words, &only_operands);
    line->target = (struct target){last, 0, last};
    if (option == NULL && !only_operands && strncmp(last, "--", 2) == 0) {
        option = strchr(last, '=') != NULL ? find_option(line->command, last) : NULL;
        if (option == NULL) {
            offer_option_names(line);
            return;
        }
        line->target.start = strchr(last, '=') + 1;
        line->target.before = (size_t)(line->target.start - last);
    }
    if (option != NULL && option->kind != OPTION_FLAG)
        offer_value(line, option);
    else if (option == NULL)
        offer_operand(line);
}

void words_complete(const struct strings *words)
{
    const char *last = words->items[words->count - 1], *first = words->items[0];
    struct line line = {.command = NULL};
    if (words->count == 1 || (words->count == 2 && strcmp(first, "help") == 0)) {
        offer_commands(&(struct target){last, 0, last}, words->count == 1);
        return;
    }
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, first) == 0)
            line.command = commands[i];
    line.sets.items = cr_calloc(words->count, sizeof(*line.sets.items));
    if (line.command != NULL && line.sets.items != NULL)
        complete_line(&line, words);
    cr_free(line.sets.items);
    session_close(&line.session);
}
