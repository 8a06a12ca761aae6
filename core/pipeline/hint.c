/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "pipeline/hint.h"

/* So many names are compared for one message: a file of thousands of stages that misspells as many
 * is answered at once as well. */
#define MAX_COMPARED 1000

void cr_hint_init(struct cr_hint *hint, const char *wanted, const char *what)
{
    hint->what = what;
    hint->count = 0;
    hint->known[0] = '\0';
    cr_nearest_init(&hint->nearest, wanted);
}

void cr_hint_offer(struct cr_hint *hint, const char *name)
{
    if (hint->count++ < MAX_COMPARED)
        cr_nearest_offer(&hint->nearest, name);
    static const char cut[] = ", ...";
    size_t used = strlen(hint->known), length = strlen(name);
    if (used >= sizeof(cut) && strcmp(hint->known + used + 1 - sizeof(cut), cut) == 0)
        return;
    if (used + 2 + length + sizeof(cut) > sizeof(hint->known))
        strcat(hint->known, cut);
    else
        sprintf(hint->known + used, "%s%s", used == 0 ? "" : ", ", name);
}

const char *cr_hint_text(struct cr_hint *hint)
{
    if (hint->count == 0)
        snprintf(hint->text, sizeof(hint->text), "; there are no %s", hint->what);
    else if (hint->nearest.best != NULL)
        snprintf(hint->text, sizeof(hint->text), "; did you mean \"%s\"? Known %s: %s",
                 hint->nearest.best, hint->what, hint->known);
    else
        snprintf(hint->text, sizeof(hint->text), "; known %s: %s", hint->what, hint->known);
    return hint->text;
}
