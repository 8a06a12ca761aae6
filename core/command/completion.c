/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "command/common.h"
#include "command/completion/words.h"
#include "command/options.h"

struct completion_settings {
    char unused;
};

static const struct option completion_options[] = {
    {NULL, OPTION_FLAG, 0, NULL, NULL},
};

/* core/command/completion/crayon.bash, as 'make install' installs it; a test compares. */
static const char script[] =
    "# SPDX-License-Identifier: MIT\n"
    "# bash completion for crayon(1), printed by 'crayon completion bash'. What can follow is for "
    "the program to\n"
    "# say, which knows its commands, options, pipelines and plugins.\n"
    "\n"
    "_crayon() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} words current program word rest before\n"
    "    read -a words <<<\"$line\"\n"
    "    [[ $line == *[[:blank:]] ]] && words+=('')\n"
    "    current=${words[${#words[@]} - 1]}\n"
    "    program=${words[0]/#\\~\\//$HOME/}\n"
    "    type -P \"$program\" >/dev/null || program=crayon\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r word; do\n"
    "        case $word in\n"
    "        $'\\tfiles' | $'\\tdirectories')\n"
    "            rest=${current##*=}\n"
    "            rest=${rest#@}\n"
    "            before=${current%\"$rest\"}\n"
    "            while IFS= read -r word; do\n"
    "                if [[ -d $word ]]; then word+=/; fi\n"
    "                COMPREPLY+=(\"$before$(printf %q \"$word\")\")\n"
    "            done < <(compgen \"-${word:1:1}\" -- \"$rest\")\n"
    "            ;;\n"
    "        *) COMPREPLY+=(\"$word\") ;;\n"
    "        esac\n"
    "    done < <(\"$program\" completion bash -- \"${words[@]:1}\" 2>/dev/null </dev/null)\n"
    "    # Readline replaces what follows the last character that breaks words.\n"
    "    [[ $COMP_WORDBREAKS == *:* ]] || current=${current//:/}\n"
    "    [[ $COMP_WORDBREAKS == *=* ]] || current=${current//=/}\n"
    "    before=${current%\"${current##*[=:]}\"}\n"
    "    COMPREPLY=(\"${COMPREPLY[@]#\"$before\"}\")\n"
    "    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=.@/] ]]; then compopt -o nospace "
    "2>/dev/null; fi\n"
    "}\n"
    "complete -F _crayon crayon\n";

static int run_completion(const void *settings, const struct strings *operands)
{
    (void)settings;
    if (strcmp(operands->items[0], "bash") != 0)
        return usage_error(&command_completion, "\"%s\": only bash is known here",
                           operands->items[0]);
    if (operands->count == 1)
        print("%s", script);
    else
        words_complete(&(struct strings){operands->items + 1, operands->count - 1});
    return EXIT_OK;
}

const struct command command_completion = {
    .name = "completion",
    .operands = "bash [WORD...]",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .summary = "print what completes command lines in a shell",
    .options = completion_options,
    .settings_size = sizeof(struct completion_settings),
    .run = run_completion,
    .notes = "With words after --: what the last of them can become.",
};
