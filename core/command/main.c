/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "command/common.h"
#include "command/options.h"

const struct command *const commands[] = {&command_run,      &command_check,      &command_graph,
                                          &command_plugins,  &command_devices,    &command_verify,
                                          &command_eval,     &command_bench,      &command_quantize,
                                          &command_tokenize, &command_completion, NULL};

/* A stream that the caller closed must not become the number of a file that is opened later, or
 * results would be written into it. Here it stays a stream that cannot be used. */
static void keep_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(EXIT_FAILED);
}

static void compose_help(struct cr_text *text)
{
    cr_text_add(text, "usage: crayon COMMAND [ARGUMENT...]\n\n"
                      "Runs pipelines of plugins on pictures and text.\n\n");
    for (size_t i = 0; commands[i] != NULL; i++)
        cr_text_printf(text, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    cr_text_add(text,
                "  help       print this text, or that of a command\n\n"
                "  --help     print this text\n"
                "  --version  print the version\n\n"
                "'crayon COMMAND --help' lists a command's options; crayon(1) is the manual.\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    struct cr_nearest nearest;
    cr_nearest_init(&nearest, name);
    for (size_t i = 0; commands[i] != NULL; i++)
        cr_nearest_offer(&nearest, commands[i]->name);
    cr_nearest_offer(&nearest, "help");
    cr_nearest_offer(&nearest, "--help");
    cr_nearest_offer(&nearest, "--version");
    const char *what = name[0] == '-' ? "option" : "command";
    if (nearest.best != NULL)
        return usage_error(NULL, "unknown %s %s; did you mean %s?", what, name, nearest.best);
    return usage_error(NULL, "unknown %s %s", what, name);
}

static int help(int argc, char **argv)
{
    const struct command *command = argc > 0 ? find_command(argv[0]) : NULL;
    if (argc > 1)
        return usage_error(NULL, "one argument too many: \"%s\"", argv[1]);
    if (argc > 0 && command == NULL)
        return unknown_command(argv[0]);
    if (command != NULL) {
        command_help(command);
        return EXIT_OK;
    }
    struct cr_text text = CR_TEXT_INIT;
    compose_help(&text);
    return print_text(&text) ? EXIT_OK : EXIT_FAILED;
}

static int no_command(void)
{
    struct cr_text text = CR_TEXT_INIT;
    compose_help(&text);
    fputs(text.failed ? "" : text.data, stderr);
    cr_text_finish(&text);
    return EXIT_MISUSED;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return no_command();
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(0, NULL);
    if (strcmp(word, "help") == 0)
        return help(argc - 2, argv + 2);
    if (strcmp(word, "--version") == 0) {
        print("crayon %s\n", cr_version());
        return EXIT_OK;
    }
    const struct command *command = find_command(word);
    return command != NULL ? command_main(command, argc - 2, argv + 2) : unknown_command(word);
}

int main(int argc, char **argv)
{
    keep_streams();
    catch_signals();
    return finish_output(dispatch(argc, argv));
}
